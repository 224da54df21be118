"""The command line: words and flags to a command with its Options, and nothing else.

Flags may stand before or after the subcommand (`-n shop ing web`, `ing web -n shop`), as with kubectl; the later one
wins. `KIND/NAME` works as well as `KIND NAME`, with kubectl's short and plural kinds.
"""

from __future__ import annotations

from typing import Any

import click

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError, UsageError
from kubectl_lbdoctor.flags import FORMAT, VERBOSE, Group, options_of, take
from kubectl_lbdoctor.model.kinds import COMMAND_LINE, LOAD_BALANCER, TARGET_GROUP
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.formats import Result, formats_of

PROGRAM = "kubectl lbdoctor"

KINDS = {kind.name: kind.aliases for kind in COMMAND_LINE}
# What these kinds name is found in AWS by ARN, name or DNS name, and leads to the objects in the cluster.
_AWS_KINDS = tuple(kind.name for kind in COMMAND_LINE if kind.in_aws)
_KIND_OF = {alias: kind for kind, aliases in KINDS.items() for alias in aliases}


class Commands(Group):
    """Resolves kubectl's aliases of kinds, and KIND/NAME in place of a command."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name, of a kind by any of its aliases, or None."""
        kind = _KIND_OF.get(name.lower())
        return super().get_command(ctx, KINDS[kind][0] if kind else name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words mean, and the words that are left for it."""
        if args and "/" in args[0] and not args[0].startswith("-"):
            return "objects", self.commands["objects"], args
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands that the help shows, in the order in which they are declared."""
        return [name for name in self.commands if not self.commands[name].hidden]


# --- Diagnose and fix -------------------------------------------------------------------------------------------------

_DIAGNOSIS = take("kube", "time", "aws", "output", "verdict", "bundle", "probe", "fix", "change", result=Result.REPORT)


@click.group(
    cls=Commands,
    params=list(_DIAGNOSIS),
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 healthy, 1 findings, 2 usage, 3 unknown, 4 could not run, 130 interrupted.",
)
@click.pass_context
def cli(ctx: click.Context, /, **flags: Any) -> ExitStatus | None:
    """Why are the targets of my AWS load balancer on EKS unhealthy, and what do I change?

    \b
    kubectl lbdoctor ingress web -n shop
    kubectl lbdoctor ing/web svc/api
    """
    ctx.obj["flags"] = flags
    if ctx.invoked_subcommand is not None:
        return None
    options = options_of(ctx, {})
    if options.bundle.load or options.fix.names:
        return _diagnose(ctx, [], options)
    raise click.exceptions.NoArgsIsHelpError(ctx)


def _kind_command(kind: str, aliases: tuple[str, ...]) -> None:
    text = {
        TARGET_GROUP.name: "Diagnose what a target group belongs to, by ARN or name (also: tg).",
        LOAD_BALANCER.name: "Diagnose what a load balancer belongs to, by ARN, name or DNS name (also: lb).",
    }.get(
        kind,
        f"Diagnose one or more {kind}{'es' if kind.endswith('s') else 's'} by name (also: {', '.join(aliases[1:3])}).",
    )

    @cli.command(aliases[0], params=list(_DIAGNOSIS), help=text, short_help=text)
    @click.argument("names", nargs=-1, metavar="NAME...")
    @click.pass_context
    def command(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
        options = options_of(ctx, values)
        if not names and not options.bundle.load:
            raise UsageError(f"which {kind}? A name is missing", f"{PROGRAM} {aliases[0]} NAME")
        return _diagnose(ctx, [_parse(name, kind) for name in names], options)


for _kind, _aliases in KINDS.items():
    _kind_command(_kind, _aliases)


@cli.command("objects", hidden=True, params=list(_DIAGNOSIS))
@click.argument("names", nargs=-1, metavar="[KIND/NAME...]")
@click.pass_context
def objects(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
    """Diagnose objects given as KIND/NAME."""
    return _diagnose(ctx, [_parse(name, "") for name in names], options_of(ctx, values))


def _diagnose(ctx: click.Context, requested: list[tuple[str, str]], options: Options) -> ExitStatus:
    """Diagnose the objects, or repair them where --fix is given."""
    _check_probe_flags(options)
    objects = tuple(dict.fromkeys(requested))
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

    return diagnose(options, ctx.obj["env"], objects)


def _check_format(options: Options, result: Result) -> None:
    """Raise UsageError for a format, given before the command, that cannot show what the command prints."""
    formats = formats_of(result)
    if options.output.format not in formats:
        known = f"{', '.join(formats[:-1])} or {formats[-1]}"
        raise UsageError(f"-o {options.output.format} is not an output of {result.value}", f"use {known}")


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


def _parse(text: str, kind: str) -> tuple[str, str]:
    """(kind, name) of "web" or "ing/web"; raises UsageError for an unknown kind."""
    if text.startswith("arn:") or (kind in _AWS_KINDS and _KIND_OF.get(text.partition("/")[0].lower()) != kind):
        from kubectl_lbdoctor.model.arn import parse

        arn = parse(text)
        by_arn = ""
        if arn is not None:
            by_arn = TARGET_GROUP.name if arn.target_group else LOAD_BALANCER.name if arn.load_balancer else ""
        if text.startswith("arn:") and not by_arn:
            raise UsageError(f'"{text}" is neither a target group nor a load balancer')
        return by_arn or kind, text
    prefix, slash, name = text.partition("/")
    if not slash:
        if not kind:
            raise UsageError(f'"{text}" names no kind', "write KIND/NAME, for example ing/web")
        return kind, text
    found = _KIND_OF.get(prefix.lower())
    if found is None or not name:
        known = ", ".join(aliases[0] for aliases in KINDS.values())
        raise UsageError(f'"{text}" is not KIND/NAME with a known kind', f"known kinds: {known}")
    if kind and found != kind:
        raise UsageError(f'"{text}" is a {found}, but the command is about {kind}', f"{PROGRAM} {text}")
    return found, name


# --- The other commands -----------------------------------------------------------------------------------------------


@cli.command("undo", params=take("kube", "aws", "output", "change", result=Result.UNDO))
@click.argument("file")
@click.pass_context
def undo(ctx: click.Context, /, file: str, **values: Any) -> ExitStatus:
    """Take back what a fix has changed, from the undo FILE that it wrote."""
    from kubectl_lbdoctor.commands import undo as command

    options = options_of(ctx, values)
    _check_format(options, Result.UNDO)
    return command.undo(options, ctx.obj["env"], file)


@cli.command("probe", params=take("kube", "time", "aws", "output", "bundle", "probe", result=Result.PROBES))
@click.argument("names", nargs=-1, metavar="KIND/NAME...|KIND NAME...")
@click.pass_context
def probe(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
    """Send the health check to every target as the load balancer does, from a debug pod that is then removed."""
    from kubectl_lbdoctor.commands import probe as command

    options = options_of(ctx, values)
    _check_probe_flags(options)
    _check_format(options, Result.PROBES)
    if options.probe.mode == "off":
        raise UsageError("--probe off leaves nothing to do for the probe command")
    kind = _KIND_OF.get(names[0].lower(), "") if names else ""
    named = names[1:] if kind else names
    if not named and not options.bundle.load:
        raise UsageError("which object? A name is missing", f"{PROGRAM} probe ing/NAME")
    return command.probe(options, ctx.obj["env"], tuple(dict.fromkeys(_parse(name, kind) for name in named)))


@cli.command("explain", params=take(VERBOSE))
@click.argument("code")
@click.pass_context
def explain(ctx: click.Context, /, code: str, **values: Any) -> ExitStatus:
    """Explain a check: what it means, how to confirm it by hand, how to repair it."""
    from kubectl_lbdoctor.checks import CATALOGUE
    from kubectl_lbdoctor.render.explain import page

    spec = CATALOGUE.get(code.upper())
    if spec is None:
        raise UsageError(f'there is no check "{code}"', f"list them with: {PROGRAM} checks")
    ctx.obj["env"].out(page(spec))
    return ExitStatus.HEALTHY


@cli.command("checks", params=take(FORMAT, VERBOSE, result=Result.CHECKS))
@click.pass_context
def checks(ctx: click.Context, /, **values: Any) -> ExitStatus:
    """List all checks with their stable codes."""
    from kubectl_lbdoctor.checks import CATALOGUE
    from kubectl_lbdoctor.render.formats import View, render

    options, env = options_of(ctx, values), ctx.obj["env"]
    _check_format(options, Result.CHECKS)
    env.out(render(CATALOGUE, options.output.format, View(env.width)))
    return ExitStatus.HEALTHY


@cli.command("policy", params=take(VERBOSE))
@click.argument("kind", type=click.Choice(["iam", "rbac"]))
@click.option("--probe", is_flag=True, help="With rbac: a ClusterRole with what probes need, instead of the reads.")
@click.option("--fix", is_flag=True, help="What --fix and undo write, instead of the reads.")
@click.pass_context
def policy(ctx: click.Context, /, kind: str, probe: bool, fix: bool, **values: Any) -> ExitStatus:
    """Print the permissions that the doctor reads with, as an IAM policy or an RBAC ClusterRole."""
    from kubectl_lbdoctor.checks import CATALOGUE
    from kubectl_lbdoctor.model.reads import SUBJECTS
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
        reads = needed_reads(CATALOGUE) | SUBJECTS
        text = permissions.iam(reads) if kind == "iam" else permissions.rbac(reads)
    ctx.obj["env"].out(text)
    return ExitStatus.HEALTHY


@cli.command("version", params=take(VERBOSE))
@click.pass_context
def version(ctx: click.Context, /, **values: Any) -> ExitStatus:
    """Print the version."""
    ctx.obj["env"].out(f"{PROGRAM} {__version__}\n")
    return ExitStatus.HEALTHY


# --- Running ----------------------------------------------------------------------------------------------------------


_HELP_WIDTH, _MAX_HELP_WIDTH = 80, 100
"""Columns of the help where nobody looks at it on a terminal, and the most that are read with ease."""


def main(args: list[str], env: Environment) -> ExitStatus:
    """Run the program; every way to end is mapped to a sentence on stderr and a documented exit status."""
    state: dict[str, Any] = {"env": env, "flags": {}}
    try:
        width = max(min(env.width or _HELP_WIDTH, _MAX_HELP_WIDTH) - 2, 50)
        result = cli.main(args=args, prog_name=PROGRAM, standalone_mode=False, obj=state, terminal_width=width)
        return result if isinstance(result, ExitStatus) else ExitStatus(result or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        env.note(error.format_message())
        return ExitStatus.USAGE
    except click.UsageError as error:
        env.progress("")
        env.note(f"error: {error.format_message()}")
        if error.ctx is not None:
            env.note(f"hint: see {error.ctx.command_path} --help")
        return ExitStatus.USAGE
    except (KeyboardInterrupt, click.Abort):
        env.progress("")
        env.note("interrupted")
        return ExitStatus.INTERRUPTED
    except LbdoctorError as error:
        env.progress("")
        _report(error, env)
        return error.status
    except Exception as error:
        env.progress("")
        env.note(f"error: this is a bug of {PROGRAM}: {type(error).__name__}: {error}")
        if _verbose(args):
            _trace(error, env)
        else:
            env.note("hint: repeat with --verbose for the trace, and report it with a bundle (--save FILE)")
        return ExitStatus.COULD_NOT_RUN


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

    env.note(without_credentials("".join(traceback.format_exception(error)).rstrip()))
