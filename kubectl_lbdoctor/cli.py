"""The command line: flags to Options, and nothing else.

Flags may stand before or after the subcommand (`-n shop ing web`, `ing web -n shop`), as with kubectl; the later one
wins. `KIND/NAME` works as well as `KIND NAME`, with kubectl's short and plural kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError, UsageError
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.kinds import COMMAND_LINE
from kubectl_lbdoctor.options import Options

PROGRAM = "kubectl lbdoctor"

KINDS = {kind.name: kind.aliases for kind in COMMAND_LINE}
# What these kinds name is found in AWS by ARN, name or DNS name, and leads to the objects in the cluster.
_AWS_KINDS = tuple(kind.name for kind in COMMAND_LINE if kind.in_aws)
_KIND_OF = {alias: kind for kind, aliases in KINDS.items() for alias in aliases}


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that every diagnosing command shares with the group; names and meaning as in kubectl."""
    options = [
        click.option("-n", "--namespace", metavar="NAME", help="Namespace of the objects."),
        click.option("-o", "--output", type=click.Choice(["table", "wide", "json", "yaml", "name"]), help="Format."),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig."),
        click.option("--kubeconfig", metavar="FILE", help="Path of the kubeconfig."),
        click.option("--cluster", metavar="NAME", help="Cluster of the kubeconfig."),
        click.option("--user", metavar="NAME", help="User of the kubeconfig."),
        click.option("-s", "--server", metavar="URL", help="Address of the API server."),
        click.option("--as", "as_user", metavar="USER", help="User to impersonate."),
        click.option("--as-group", "as_groups", multiple=True, metavar="GROUP", help="Group to impersonate."),
        click.option("--insecure-skip-tls-verify", is_flag=True, help="Do not verify the API server's certificate."),
        click.option("--request-timeout", metavar="TIME", help="Longest wait for one request (1s, 2m, 0 = none)."),
        click.option("--profile", metavar="NAME", help="AWS profile [from the kubeconfig's aws arguments]."),
        click.option("--region", metavar="NAME", help="AWS region [from the kubeconfig, then the nodes' labels]."),
        click.option("--no-aws", is_flag=True, help="Do not ask AWS."),
        click.option(
            "--fail-on",
            type=click.Choice(["error", "warning", "info"]),
            help="Exit with 1 from this severity on [error].",
        ),
        click.option("--save", metavar="FILE", help="Keep everything that was read in a redacted bundle."),
        click.option("--from", "from_file", metavar="FILE", help="Diagnose a bundle instead of a cluster."),
        click.option(
            "--fix", multiple=True, metavar="NAME[=VALUE],...", help="Repair what was found (all: whatever is certain)."
        ),
        click.option("-y", "--yes", is_flag=True, help="Apply the changes without asking."),
        click.option(
            "--dry-run",
            type=click.Choice(["none", "client", "server"]),
            help="Show the changes only, or let the servers try them.",
        ),
        click.option("--wait", metavar="TIME", help="Longest wait for targets after a fix (90s, 2m, 0 = none)."),
        click.option("--undo-file", metavar="FILE", help="Where a fix writes how to take it back [lbdoctor-undo-…]."),
        click.option(
            "--probe",
            type=click.Choice(["auto", "proxy", "pod", "off"]),
            help="Send health checks where they settle something: through the API server (auto, proxy), from a "
            "debug pod, or not at all.",
        ),
        click.option("--probe-image", metavar="IMAGE", help="Image of the debug pod: sh and curl [curlimages/curl]."),
        click.option(
            "--probe-node", "probe_nodes", multiple=True, metavar="NAME", help="Node of the debug pod (all: each one)."
        ),
        click.option(
            "--probe-target",
            type=click.Choice(["pod"]),
            help="Look inside the target pods, with an ephemeral container (it cannot be removed).",
        ),
        click.option("-v", "--verbose", is_flag=True, help="Say more on stderr: calls, unknown checks, traces."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


class Group(click.Group):
    """Resolves kubectl's aliases of kinds, and KIND/NAME in place of a command."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        kind = _KIND_OF.get(name.lower())
        return super().get_command(ctx, KINDS[kind][0] if kind else name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and "/" in args[0] and not args[0].startswith("-"):
            return "objects", self.commands["objects"], args
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in self.commands if not self.commands[name].hidden]


def _merge(ctx: click.Context, /, values: dict[str, Any]) -> Options:
    """The group's flags, overridden by those of the subcommand."""
    merged: dict[str, Any] = {}
    for source in (ctx.obj["flags"], values):
        for name, value in source.items():
            if value not in (None, False, ()) and (name, value) != ("dry_run", "none"):
                merged[name] = value
    known = {field.name for field in fields(Options)}
    return Options(**{name: value for name, value in merged.items() if name in known})


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 healthy, 1 findings, 2 usage, 3 unknown, 4 could not run, 130 interrupted.",
)
@common_options
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
    if flags.get("from_file") or flags.get("fix"):
        return _diagnose(ctx, [], {})
    raise click.exceptions.NoArgsIsHelpError(ctx)


def _check_probe_options(options: Options) -> None:
    """Raise UsageError for options of probes that do not go together."""
    given = {
        "--probe-image": options.probe_image,
        "--probe-node": options.probe_nodes,
        "--probe-target": options.probe_target,
    }
    flags = [flag for flag, value in given.items() if value]
    if flags and options.probe in ("off", "proxy"):
        raise UsageError(f"{flags[0]} is for debug pods, and --probe {options.probe} makes none", "use --probe pod")
    if options.probe_target and options.probe_nodes:
        raise UsageError("--probe-target pod looks inside the target pods: --probe-node has no part in it")
    if options.from_file and (flags or options.probe in ("proxy", "pod")):
        raise UsageError("with --from nothing is sent: the recorded answers are used")


def _diagnose(ctx: click.Context, /, wanted: list[tuple[str, str]], values: dict[str, Any]) -> ExitStatus:
    from kubectl_lbdoctor.app import diagnose

    options = _merge(ctx, values)
    ctx.obj["options"] = options
    _check_probe_options(options)
    if options.fix:
        from kubectl_lbdoctor.repair import fix

        return fix(options, ctx.obj["env"], tuple(dict.fromkeys(wanted)))
    given = {
        "--yes": options.yes,
        "--dry-run": options.dry_run,
        "--wait": options.wait,
        "--undo-file": options.undo_file,
    }
    if useless := [flag for flag, value in given.items() if value]:
        raise UsageError(f"{' and '.join(useless)} {'goes' if len(useless) == 1 else 'go'} with --fix NAME")
    return diagnose(options, ctx.obj["env"], tuple(dict.fromkeys(wanted)))


def _kind_command(kind: str, aliases: tuple[str, ...]) -> None:
    text = {
        "TargetGroup": "Diagnose what a target group belongs to, by ARN or name (also: tg).",
        "LoadBalancer": "Diagnose what a load balancer belongs to, by ARN, name or DNS name (also: lb).",
    }.get(
        kind,
        f"Diagnose one or more {kind}{'es' if kind.endswith('s') else 's'} by name (also: {', '.join(aliases[1:3])}).",
    )

    @cli.command(aliases[0], help=text, short_help=text)
    @click.argument("names", nargs=-1, metavar="NAME...")
    @common_options
    @click.pass_context
    def command(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
        from_file = values.get("from_file") or ctx.obj["flags"].get("from_file")
        if not names and not from_file:
            raise UsageError(f"which {kind}? A name is missing", f"{PROGRAM} {aliases[0]} NAME")
        return _diagnose(ctx, [_parse(name, kind) for name in names], values)


for _kind, _aliases in KINDS.items():
    _kind_command(_kind, _aliases)


@cli.command("objects", hidden=True)
@click.argument("names", nargs=-1, metavar="[KIND/NAME...]")
@common_options
@click.pass_context
def objects(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
    """Diagnose objects given as KIND/NAME."""
    return _diagnose(ctx, [_parse(name, "") for name in names], values)


def _parse(text: str, kind: str) -> tuple[str, str]:
    """(kind, name) of "web" or "ing/web"; raises UsageError for an unknown kind."""
    if text.startswith("arn:") or (kind in _AWS_KINDS and _KIND_OF.get(text.partition("/")[0].lower()) != kind):
        arn = parse_arn(text)
        by_arn = ""
        if arn is not None:
            by_arn = "TargetGroup" if arn.target_group else "LoadBalancer" if arn.load_balancer else ""
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


@cli.command("undo")
@click.argument("file")
@common_options
@click.pass_context
def undo(ctx: click.Context, /, file: str, **values: Any) -> ExitStatus:
    """Take back what a fix has changed, from the undo FILE that it wrote."""
    from kubectl_lbdoctor.undoing import undo as take_back

    options = _merge(ctx, values)
    given = {
        "--fix": options.fix,
        "--wait": options.wait,
        "--undo-file": options.undo_file,
        "--from": options.from_file,
    }
    if useless := [flag for flag, value in given.items() if value]:
        raise UsageError(f"{' and '.join(useless)} means nothing to undo", f"{PROGRAM} undo {file}")
    return take_back(options, ctx.obj["env"], file)


@cli.command("probe")
@click.argument("names", nargs=-1, metavar="KIND/NAME...|KIND NAME...")
@common_options
@click.pass_context
def probe(ctx: click.Context, /, names: tuple[str, ...], **values: Any) -> ExitStatus:
    """Send the health check to every target as the load balancer does, from a debug pod that is then removed."""
    from kubectl_lbdoctor.probing import probe as send

    options = _merge(ctx, values)
    ctx.obj["options"] = options
    _check_probe_options(options)
    useless = {
        "--fix": options.fix,
        "--yes": options.yes,
        "--dry-run": options.dry_run,
        "--wait": options.wait,
        "--undo-file": options.undo_file,
        "--fail-on": options.fail_on != Options().fail_on,
    }
    if flags := [flag for flag, value in useless.items() if value]:
        raise UsageError(f"{' and '.join(flags)} means nothing to probe", f"{PROGRAM} probe ing/NAME")
    kind = _KIND_OF.get(names[0].lower(), "") if names else ""
    named = names[1:] if kind else names
    if not named and not options.from_file:
        raise UsageError("which object? A name is missing", f"{PROGRAM} probe ing/NAME")
    return send(options, ctx.obj["env"], tuple(dict.fromkeys(_parse(name, kind) for name in named)))


@cli.command("explain")
@click.argument("code")
@click.pass_context
def explain(ctx: click.Context, /, code: str) -> ExitStatus:
    """Explain a check: what it means, how to confirm it by hand, how to repair it."""
    from kubectl_lbdoctor.checks import CATALOGUE
    from kubectl_lbdoctor.render.explain import page

    spec = CATALOGUE.get(code.upper())
    if spec is None:
        raise UsageError(f'there is no check "{code}"', f"list them with: {PROGRAM} checks")
    ctx.obj["env"].out(page(spec))
    return ExitStatus.HEALTHY


@cli.command("checks")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml", "name"]), default="table")
@click.pass_context
def checks(ctx: click.Context, /, output: str) -> ExitStatus:
    """List all checks with their stable codes."""
    from kubectl_lbdoctor.checks import CATALOGUE
    from kubectl_lbdoctor.render.explain import catalogue

    env: Environment = ctx.obj["env"]
    env.out(catalogue(CATALOGUE, output, env.width))
    return ExitStatus.HEALTHY


@cli.command("policy")
@click.argument("kind", type=click.Choice(["iam", "rbac"]))
@click.option("--probe", is_flag=True, help="With rbac: a ClusterRole with what probes need, instead of the reads.")
@click.option("--fix", is_flag=True, help="What --fix and undo write, instead of the reads.")
@click.pass_context
def policy(ctx: click.Context, /, kind: str, probe: bool, fix: bool) -> ExitStatus:
    """Print the permissions that the doctor reads with, as an IAM policy or an RBAC ClusterRole."""
    from kubectl_lbdoctor.checks import CATALOGUE
    from kubectl_lbdoctor.render.policy import iam, rbac, rbac_probe
    from kubectl_lbdoctor.report import needed_reads

    if probe and fix:
        raise UsageError("--probe and --fix are two roles", f"{PROGRAM} policy {kind} --fix")
    if fix:
        from kubectl_lbdoctor.fix.writers import AWS_WRITES
        from kubectl_lbdoctor.render.policy import iam_fix, rbac_fix

        ctx.obj["env"].out(rbac_fix() if kind == "rbac" else iam_fix({*AWS_WRITES, *AWS_WRITES.values()}))
        return ExitStatus.HEALTHY
    if probe:
        if kind != "rbac":
            raise UsageError("probes need no permission in AWS", f"{PROGRAM} policy rbac --probe")
        ctx.obj["env"].out(rbac_probe())
        return ExitStatus.HEALTHY
    ctx.obj["env"].out(iam(needed_reads(CATALOGUE)) if kind == "iam" else rbac(needed_reads(CATALOGUE)))
    return ExitStatus.HEALTHY


@cli.command("version")
@click.pass_context
def version(ctx: click.Context, /) -> ExitStatus:
    """Print the version."""
    ctx.obj["env"].out(f"{PROGRAM} {__version__}\n")
    return ExitStatus.HEALTHY


def main(args: list[str], env: Environment) -> ExitStatus:
    """Run the program; every way to end is mapped to a sentence on stderr and a documented exit status."""
    state: dict[str, Any] = {"env": env, "flags": {}, "options": Options()}
    try:
        result = cli.main(args=args, prog_name=PROGRAM, standalone_mode=False, obj=state)
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
        _report(error, env, args)
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
    return "-v" in args or "--verbose" in args


def _report(error: LbdoctorError, env: Environment, args: list[str]) -> None:
    from kubectl_lbdoctor.render.text import clean

    env.note(f"error: {clean(error.message)}")
    if error.hint:
        env.note(f"hint: {clean(error.hint)}")
    if _verbose(args):
        _trace(error, env)


def _trace(error: BaseException, env: Environment) -> None:
    import traceback

    env.note("".join(traceback.format_exception(error)).rstrip())
