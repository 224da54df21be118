"""The command line: words and flags to a command with its Options, and nothing else.

Flags may stand before or after the subcommand (`-n shop ing web`, `ing web -n shop`), as with kubectl; the later one
wins. What the words that name objects mean stands in `words`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from kubectl_lbdoctor import PROGRAM, __version__
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError, UsageError
from kubectl_lbdoctor.flags import (
    FORMAT,
    HEADERS,
    VERBOSE,
    YES,
    Group,
    common_flags,
    options_of,
    path_of,
    take,
    typed,
)
from kubectl_lbdoctor.model.asked import Asked
from kubectl_lbdoctor.model.failed import Failed, Reason
from kubectl_lbdoctor.model.kinds import BY_ALIAS, COMMAND_LINE, LOAD_BALANCER, TARGET_GROUP
from kubectl_lbdoctor.options import COMPLETE, Options
from kubectl_lbdoctor.render.formats import Result, format_of, formats_of
from kubectl_lbdoctor.suggestions import likely, question
from kubectl_lbdoctor.words import names_objects, parse, selected, without_files

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish", "powershell")
"""The shells that completion has a script for."""


class Commands(Group):
    """Resolves kubectl's aliases of kinds, and KIND/NAME in place of a command."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name, of a kind by any of its aliases, or None."""
        kind = BY_ALIAS.get(name.lower())
        return super().get_command(ctx, kind.aliases[0] if kind else name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words mean, and the words that are left for it."""
        if args and args[0].lower() not in BY_ALIAS and args[0] not in self.commands and names_objects(args[0]):
            return "objects", self.commands["objects"], args
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise UsageError(f'there is no command "{args[0]}"', _meant(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Commands and flags, and objects where a word names its kind (ing/we)."""
        return _object_names(ctx, None, incomplete) if "/" in incomplete else super().shell_complete(ctx, incomplete)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands that the help shows, in the order in which they are declared."""
        return [name for name in self.commands if not self.commands[name].hidden]


def _meant(word: str, commands: list[str]) -> str:
    """What to do about a command that does not exist."""
    meant = question(f"{PROGRAM} {name}" for name in likely(word, commands))
    return meant or f"see {PROGRAM} --help; objects are named KIND NAME or KIND/NAME"


def _print_version(ctx: click.Context) -> None:
    """Without any import: people and scripts ask for it often."""
    ctx.obj["env"].out(f"{PROGRAM} {__version__}\n")


def _version_flag(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        _print_version(ctx)
        ctx.exit()


def _object_names(ctx: click.Context, param: click.Parameter | None, incomplete: str) -> list[CompletionItem[str]]:
    """Completion of the objects that a command is about."""
    from kubectl_lbdoctor.completion.values import object_names

    given = ctx.params.get("names") or ()
    kind = ctx.info_name if ctx.info_name in BY_ALIAS else next(iter(given), "")
    return object_names(kind or "", incomplete, given, typed(ctx).kube, ctx.obj["env"].variables)


def _codes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Completion of the codes of checks."""
    from kubectl_lbdoctor.completion.values import codes

    return codes(incomplete)


# --- Diagnose and fix -------------------------------------------------------------------------------------------------

_DIAGNOSIS = take(
    *("kube", "objects", "time", "aws", "output", "page", "verdict", "history", "bundle", "probe", "fix", "change"),
    result=Result.REPORT,
)


_SCAN = take(
    *("kube", "objects.labels", "time", "scan", "aws", "output", "page", "verdict.fail_on", "verdict.ignore", "bundle"),
    result=Result.SCAN,
)
_ANY = {param.name: param for param in (*_DIAGNOSIS, *_SCAN, *take(FORMAT))}
"""All flags, which may stand before a command; -o takes every format there, and the command says which are its own."""


@click.group(
    cls=Commands,
    params=[
        *_ANY.values(),
        click.Option(
            ["-V", "--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version_flag,
            help="Print the version and exit.",
        ),
    ],
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 healthy, 1 findings, 2 usage, 3 unknown, 4 could not run, 130 interrupted.",
)
@click.pass_context
def cli(ctx: click.Context, /, **flags: Any) -> ExitStatus | None:
    """Why are the targets of my AWS load balancer on EKS unhealthy, and what do I change?"""
    ctx.obj["flags"] = flags
    if ctx.invoked_subcommand is not None:
        return None
    options = options_of(ctx, {})
    named = options.objects.files or options.objects.labels or options.objects.fields
    sweeps = options.scan.all_namespaces or options.scan.watch
    if not sweeps and (options.bundle.load or options.fix.names or named):
        return _diagnose(ctx, [], options)
    return _scan(ctx, options)


@cli.command(
    "scan",
    params=_SCAN,
    context_settings={"allow_extra_args": True},
    short_help="Look at all frontends, a line for each, the worst first.",
)
@click.pass_context
def scan(ctx: click.Context, /, **values: Any) -> ExitStatus:
    """Look at every Ingress, LoadBalancer Service, Gateway and TargetGroupBinding of a namespace, or of all (-A)."""
    if ctx.args:
        named = " ".join(ctx.args) if names_objects(ctx.args[0]) else f"ing/{ctx.args[0]}"
        raise UsageError(
            f'a scan looks at all frontends and takes no name: "{ctx.args[0]}"',
            f"one object is diagnosed with {PROGRAM} {named}, a namespace scanned with {PROGRAM} scan -n NAMESPACE",
        )
    return _scan(ctx, options_of(ctx, values))


def _scan(ctx: click.Context, options: Options) -> ExitStatus:
    from kubectl_lbdoctor.commands.scan import scan

    if options.page.open:
        options = _as_page(options)
    _check_format(options, Result.SCAN)
    return scan(options, ctx.obj["env"])


def _kind_command(kind: str, aliases: tuple[str, ...]) -> None:
    short = {
        TARGET_GROUP.name: "Diagnose what a target group belongs to (tg).",
        LOAD_BALANCER.name: "Diagnose what a load balancer belongs to (lb).",
    }.get(kind, f"Diagnose {kind}{'es' if kind.endswith('s') else 's'} ({aliases[1]}).")
    text = {
        TARGET_GROUP.name: "Diagnose what a target group belongs to, by its ARN or name (also: tg).",
        LOAD_BALANCER.name: "Diagnose what a load balancer belongs to, by its ARN, name or DNS name (also: lb).",
    }.get(kind, f"{short.rpartition(' ')[0]} by name, or all of a namespace (also: {', '.join(aliases[1:3])}).")

    @cli.command(aliases[0], params=list(_DIAGNOSIS), help=text, short_help=short)
    @click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=_object_names)
    @click.pass_context
    def command(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
        return _diagnose(ctx, (aliases[0], *names), options_of(ctx, values))


for _kind in COMMAND_LINE:
    _kind_command(_kind.name, _kind.aliases)


@cli.command("objects", hidden=True, params=list(_DIAGNOSIS))
@click.argument("names", nargs=-1, metavar="[KIND/NAME...]", shell_complete=_object_names)
@click.pass_context
def objects(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
    """Diagnose what is named by KIND/NAME, a list of kinds, a site, an ARN, or words on standard input (-)."""
    return _diagnose(ctx, names, options_of(ctx, values))


def _diagnose(ctx: click.Context, words: Sequence[str], options: Options) -> ExitStatus:
    """Diagnose the objects that the words name, or repair them where --fix is given."""
    _check_probe_flags(options)
    objects = _question(ctx, words, options)
    if options.verdict.wait_healthy and (options.fix.names or options.bundle.load):
        other = "a fix has --wait" if options.fix.names else "a bundle stays as it is"
        raise UsageError(f"--wait-healthy goes with neither --fix nor --from: {other}")
    if options.history.since and (options.fix.names or options.bundle.load):
        raise UsageError("--since goes with neither --fix nor --from: a bundle holds what was asked when it was saved")
    if options.page.open:
        options = _as_page(options)
    if options.fix.names:
        from kubectl_lbdoctor.commands.fix import fix

        _check_format(options, Result.FIX)
        return fix(options, ctx.obj["env"], objects)
    given = {
        "--yes": options.change.yes,
        "--dry-run": options.change.dry_run != "none",
        "--wait": options.fix.wait,
        "--undo-file": options.fix.undo_file,
    }
    if useless := [flag for flag, value in given.items() if value]:
        raise UsageError(f"{' and '.join(useless)} {'goes' if len(useless) == 1 else 'go'} with --fix NAME")
    from kubectl_lbdoctor.commands.diagnose import diagnose

    _check_format(options, Result.REPORT)
    return diagnose(options, ctx.obj["env"], objects)


def _as_page(options: Options) -> Options:
    """What --open asks for. Raises UsageError where something else is to be shown."""
    if options.fix.names:
        raise UsageError("--open shows a diagnosis, and goes not with --fix", "look first, then repair")
    if options.output.format not in ("table", "html"):
        raise UsageError(f"--open shows the page of -o html, not -o {options.output.format}")
    return replace(options, output=replace(options.output, format="html"))


def _check_format(options: Options, result: Result) -> None:
    """Raise UsageError for a format, given before the command, that cannot show what the command prints, and for a
    template that cannot be read; CouldNotRun where there is nothing to read it."""
    output, formats = options.output.format, formats_of(result)
    if output.partition("=")[0] not in formats:
        known = f"{', '.join(formats[:-1])} or {formats[-1]}"
        raise UsageError(f"-o {output.partition('=')[0]} is not an output of {result.value}", f"use {known}")
    format_of(output).check(output)


def _check_probe_flags(options: Options) -> None:
    """Raise UsageError for flags of probes that do not go together."""
    probe = options.probe
    given = {"--probe-image": probe.image, "--probe-node": probe.nodes, "--probe-target": probe.target}
    flags = [flag for flag, value in given.items() if value]
    if flags and probe.mode in ("off", "proxy"):
        raise UsageError(f"{flags[0]} is for debug pods, and --probe {probe.mode} makes none", "use --probe pod")
    if probe.target and probe.nodes:
        raise UsageError("--probe-target pod looks inside the target pods: --probe-node has no part in it")
    if options.bundle.load and (flags or probe.mode in ("proxy", "pod")):
        raise UsageError("with --from nothing is sent: the recorded answers are used")


def _question(ctx: click.Context, words: Sequence[str], options: Options) -> tuple[Asked, ...]:
    """What the words and selectors ask about. Raises UsageError for words that name nothing."""
    objects = options.objects
    question = parse(words, ctx.obj["env"].stdin)
    without_files(question, objects.files, objects.labels, objects.fields)
    if objects.files and options.bundle.load:
        raise UsageError("-f is compared with a cluster, and --from reads none", "leave one of them out")
    if not objects.files and (objects.recursive or objects.before_apply):
        raise UsageError(f"{'-R' if objects.recursive else '--before-apply'} goes with -f FILE")
    return selected(question, objects.labels, objects.fields)


@cli.command(
    "controller",
    params=take("kube", "time", "output", "verdict.fail_on", "verdict.ignore", "bundle", result=Result.CONTROLLER),
    short_help="Look at the controller itself: replicas, version, identity, errors.",
)
@click.pass_context
def controller(ctx: click.Context, /, **values: Any) -> ExitStatus:
    """Look at the AWS Load Balancer Controllers themselves: replicas, version, flags, IAM identity, webhook, recent
    errors."""
    from kubectl_lbdoctor.commands.controller import controller

    options = options_of(ctx, values)
    _check_format(options, Result.CONTROLLER)
    return controller(options, ctx.obj["env"])


# --- The other commands -----------------------------------------------------------------------------------------------


@cli.command(
    "undo",
    params=take("kube", "aws", FORMAT, VERBOSE, HEADERS, "change", result=Result.UNDO),
    short_help="Take back what a fix has changed.",
)
@click.argument("file", type=click.Path())
@click.pass_context
def undo(ctx: click.Context, /, file: str, **values: Any) -> ExitStatus:
    """Take back what a fix has changed, from the undo FILE that it wrote."""
    from kubectl_lbdoctor.commands import undo as command

    options = options_of(ctx, values)
    _check_format(options, Result.UNDO)
    return command.undo(options, ctx.obj["env"], file)


@cli.command(
    "probe",
    params=take("kube", "objects", "time", "aws", "output", "bundle", "probe", result=Result.PROBES),
    short_help="Send the health check to each target, from a debug pod.",
)
@click.argument("names", nargs=-1, metavar="KIND/NAME...|KIND NAME...", shell_complete=_object_names)
@click.pass_context
def probe(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
    """Send the health check to every target as the load balancer does, from a debug pod that is then removed."""
    from kubectl_lbdoctor.commands import probe as command

    options = options_of(ctx, values)
    _check_probe_flags(options)
    _check_format(options, Result.PROBES)
    if options.probe.mode == "off":
        raise UsageError("--probe off leaves nothing to do for the probe command")
    question = _question(ctx, names, options)
    if not question and not options.bundle.load and not options.objects.files:
        raise UsageError("which object? A name is missing", f"{PROGRAM} probe ing/NAME")
    return command.probe(options, ctx.obj["env"], question)


@cli.command(
    "explain",
    params=take(FORMAT, VERBOSE, result=Result.EXPLANATION),
    short_help="Explain a code, a reason of AWS, or a fix.",
)
@click.argument("topics", nargs=-1, metavar="CODE|REASON|FIX...", shell_complete=_codes)
@click.pass_context
def explain(ctx: click.Context, /, topics: tuple[str, ...], **values: Any) -> ExitStatus:
    """Explain codes, reasons that AWS gives for a target, and fixes: what each one means, how to confirm it by hand,
    how to repair it."""
    from kubectl_lbdoctor.commands import explain as command

    options = options_of(ctx, values)
    _check_format(options, Result.EXPLANATION)
    if not topics:
        raise UsageError("explain what? A CODE, a REASON of AWS or a FIX is missing", f"{PROGRAM} explain LBD301")
    return command.explain(options, ctx.obj["env"], topics)


@cli.command(
    "checks",
    params=take(FORMAT, VERBOSE, HEADERS, result=Result.CHECKS),
    short_help="List the checks with their codes and fixes.",
)
@click.argument("codes", nargs=-1, metavar="[CODE...]")
@click.option("--fixable", is_flag=True, help="Only those that --fix can repair.")
@click.pass_context
def checks(ctx: click.Context, /, codes: tuple[str, ...], fixable: bool, **values: Any) -> ExitStatus:
    """List the checks with their stable codes; all of them, or those whose codes begin so (LBD3)."""
    from kubectl_lbdoctor.commands import explain as command

    options = options_of(ctx, values)
    _check_format(options, Result.CHECKS)
    return command.checks(options, ctx.obj["env"], codes, fixable)


@cli.command(
    "mcp",
    params=take(
        *("kube", "time", "aws", "scan.aws_rate", "scan.no_cloudwatch"),
        *(VERBOSE, "bundle.load", "probe", "fix.undo_file"),
    ),
    short_help="Serve agents over the Model Context Protocol.",
)
@click.option("--allow-fix", is_flag=True, help="Offer apply_fix, which changes the cluster and AWS.")
@click.pass_context
def mcp(ctx: click.Context, /, allow_fix: bool, **values: Any) -> ExitStatus:
    """Serve agents over the Model Context Protocol, on standard input and output; read-only without --allow-fix."""
    from kubectl_lbdoctor.mcp_server.serve import serve

    options = options_of(ctx, values)
    _check_probe_flags(options)
    return serve(options, ctx.obj["env"], allow_fix)


@cli.command("policy", params=take(VERBOSE), short_help="Print the permissions that it reads or writes with.")
@click.argument("kind", type=click.Choice(["iam", "rbac"]))
@click.option("--probe", is_flag=True, help="With rbac: a ClusterRole with what probes need, instead of the reads.")
@click.option("--fix", is_flag=True, help="What --fix and undo write, instead of the reads.")
@click.pass_context
def policy(ctx: click.Context, /, kind: str, probe: bool, fix: bool, **values: Any) -> ExitStatus:
    """Print the permissions that the doctor reads with, as an IAM policy or an RBAC ClusterRole."""
    from kubectl_lbdoctor.checks import CATALOGUE
    from kubectl_lbdoctor.model.reads import OF_GATEWAYS, SUBJECTS
    from kubectl_lbdoctor.render import permissions
    from kubectl_lbdoctor.report import needed_reads

    if probe and fix:
        raise UsageError("--probe and --fix are two roles", f"{PROGRAM} policy {kind} --fix")
    if probe and kind == "iam":
        raise UsageError("probes need no permission in AWS", f"{PROGRAM} policy rbac --probe")
    if probe:
        text = permissions.rbac_probe()
    elif fix and kind == "rbac":
        text = permissions.rbac_fix()
    elif fix:
        from kubectl_lbdoctor.model.group_edits import GROUP_WRITES
        from kubectl_lbdoctor.model.plan import AWS_WRITES

        text = permissions.iam_fix({*AWS_WRITES, *AWS_WRITES.values()}, GROUP_WRITES)
    else:
        reads = needed_reads(CATALOGUE) | SUBJECTS | OF_GATEWAYS
        text = permissions.iam(reads) if kind == "iam" else permissions.rbac(reads)
    ctx.obj["env"].out(text)
    return ExitStatus.HEALTHY


@cli.command("version", params=take(FORMAT, VERBOSE, result=Result.VERSION), short_help="Print the version.")
@click.option("--client", is_flag=True, help="As with kubectl: no server is asked, which is so in any case.")
@click.pass_context
def version(ctx: click.Context, /, client: bool, **values: Any) -> ExitStatus:
    """Print the version."""
    from kubectl_lbdoctor.model.version import Version
    from kubectl_lbdoctor.render.formats import render
    from kubectl_lbdoctor.render.view import View

    options, env = options_of(ctx, values), ctx.obj["env"]
    _check_format(options, Result.VERSION)
    if options.output.format == "table":
        _print_version(ctx)
    else:
        env.out(render(Version(__version__), options.output.format, View(run=env.run(ExitStatus.HEALTHY))))
    return ExitStatus.HEALTHY


@cli.command("options", short_help="List the flags of the connection and of AWS.")
@click.pass_context
def options(ctx: click.Context, /) -> ExitStatus:
    """List the flags of the connection and of AWS, which nearly every command takes."""
    ctx.obj["env"].out(common_flags(ctx))
    return ExitStatus.HEALTHY


@cli.command("help", short_help="Print the help of a command.")
@click.argument("command", nargs=-1, metavar="[COMMAND]")
@click.pass_context
def help_page(ctx: click.Context, /, command: tuple[str, ...]) -> ExitStatus:
    """Print the help of a command, or of the program."""
    parent = ctx.find_root()
    page = cli if not command else cli.get_command(parent, command[0])
    if page is None:
        raise UsageError(f'there is no command "{command[0]}"', _meant(command[0], cli.list_commands(parent)))
    context = parent if page is cli else click.Context(page, parent=parent, info_name=command[0])
    ctx.obj["env"].out(page.get_help(context) + "\n")
    return ExitStatus.HEALTHY


@cli.command("completion", params=take(YES, VERBOSE), short_help="Set up completion with the Tab key.")
@click.argument("what", type=click.Choice([*SHELLS, "install"]))
@click.option("--dir", metavar="DIR", type=click.Path(), help="With install: the folder, which is to be on PATH.")
@click.pass_context
def completion(ctx: click.Context, /, what: str, dir: str | None, **values: Any) -> ExitStatus:
    """Set up completion: `install` for `kubectl lbdoctor`, a shell's script for `kubectl-lbdoctor` called by itself.

    \b
    kubectl lbdoctor completion install
    source <(kubectl lbdoctor completion bash)
    """
    from kubectl_lbdoctor.commands import completion as command

    options, env = options_of(ctx, values), ctx.obj["env"]
    if what == "install":
        return command.install(env, dir or "", options.change.yes)
    if dir:
        raise UsageError("--dir goes with install", f"{PROGRAM} completion install --dir {dir}")
    return command.shell_script(env, cli, what)


# --- Running ----------------------------------------------------------------------------------------------------------


_HELP_WIDTH, _MAX_HELP_WIDTH = 80, 100
"""Columns of the help where nobody looks at it on a terminal, and the most that are read with ease."""


def main(args: list[str], env: Environment) -> ExitStatus:
    """Run the program; every way to end is mapped to a sentence on stderr and a documented exit status."""
    state: dict[str, Any] = {"env": env, "flags": {}}
    if args[:1] == ["__complete"] or env.variables.get(COMPLETE):
        from kubectl_lbdoctor.commands.completion import complete

        return complete(env, cli, args[1:], state)
    try:
        _check_text(args)
        width = max(min(env.width or _HELP_WIDTH, _MAX_HELP_WIDTH) - 2, 50)
        result = cli.main(args=args, prog_name=PROGRAM, standalone_mode=False, obj=state, terminal_width=width)
        return result if isinstance(result, ExitStatus) else ExitStatus(result or 0)
    except click.UsageError as error:
        env.progress("")
        env.note(f"error: {_clean(error.format_message())}")
        hint = f"see {path_of(error.ctx)} --help" if error.ctx is not None else ""
        if hint:
            env.note(f"hint: {hint}")
        _tell(env, args, Failed(Reason.USAGE, error.format_message(), hint), ExitStatus.USAGE)
        return ExitStatus.USAGE
    except (KeyboardInterrupt, click.Abort):
        env.progress("")
        env.note("interrupted")
        _tell(env, args, Failed(Reason.INTERRUPTED, "interrupted"), ExitStatus.INTERRUPTED)
        return ExitStatus.INTERRUPTED
    except LbdoctorError as error:
        env.progress("")
        _report(error, env)
        reason = Reason.USAGE if error.status is ExitStatus.USAGE else Reason.COULD_NOT_RUN
        _tell(env, args, Failed(reason, error.message, error.hint), error.status)
        return error.status
    except Exception as error:
        env.progress("")
        env.note(_clean(f"error: this is a bug of {PROGRAM}: {type(error).__name__}: {error}"))
        if _verbose(args):
            _trace(error, env)
        else:
            env.note("hint: repeat with --verbose for the trace, and report it with a bundle (--save FILE)")
        failed = Failed(
            Reason.BUG, f"this is a bug of {PROGRAM}: {type(error).__name__}: {error}", "report it with --save"
        )
        _tell(env, args, failed, ExitStatus.COULD_NOT_RUN)
        return ExitStatus.COULD_NOT_RUN


def _check_text(args: list[str]) -> None:
    """Raise UsageError for an argument that holds bytes which are no UTF-8: no name, path or value of the APIs does."""
    for word in args:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            shown = word.encode("utf-8", "backslashreplace").decode()
            raise UsageError(f"the argument {shown} is no text in UTF-8") from error


def _tell(env: Environment, args: list[str], failed: Failed, status: ExitStatus) -> None:
    """Print the document of an error where documents are asked for, unless a result was printed before."""
    from kubectl_lbdoctor.render.error_documents import error_document

    if not env.has_output:
        env.out(error_document(args, failed, env.run(status)))


def _verbose(args: list[str]) -> bool:
    """Whether more is to be told of a bug of ours, which may come before the flags are understood."""
    return any(word == "--verbose" or word.startswith(("-v", "--v=")) or word == "--v" for word in args)


def _report(error: LbdoctorError, env: Environment) -> None:
    from kubectl_lbdoctor.render.text import quoted

    env.note(f"error: {quoted(error.message)}")
    if error.hint:
        env.note(f"hint: {quoted(error.hint)}")


def _trace(error: BaseException, env: Environment) -> None:
    import traceback

    from kubectl_lbdoctor.knowledge.secret_text import without_credentials

    for line in without_credentials("".join(traceback.format_exception(error))).rstrip().split("\n"):
        env.note(_clean(line))


def _clean(text: str) -> str:
    from kubectl_lbdoctor.render.text import clean

    return clean(text)
