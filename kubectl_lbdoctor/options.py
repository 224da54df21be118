"""What the command line says, as data. Each flag stands here once: its names, its help, and the field that holds it.

The flags come in groups, one frozen record each; a command takes the groups that it can use. `flags` makes
click's options from the records. An empty value means that the flag was not given.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar, NamedTuple

from kubectl_lbdoctor.record import record

COMPLETE = "_LBDOCTOR_COMPLETE"
"""The variable with which a shell's script asks for completions in place of a command line."""


class Flag(NamedTuple):
    """How a field is written on the command line. metavar: the name of its value in the help. choices: all values that
    it takes, () for any. hidden: it is taken, and the help does not show it."""

    names: tuple[str, ...]
    help: str
    metavar: str
    choices: tuple[str, ...]
    hidden: bool = False


def flag(
    *names: str,
    help: str = "",
    metavar: str = "",
    choices: tuple[str, ...] = (),
    default: object = "",
    hidden: bool = False,
) -> Any:
    """A field for a flag. A default of False makes it a switch, one of () lets it be given several times."""
    return field(default=default, metadata={"flag": Flag(names, help, metavar, choices, hidden)})


@record
class KubeOptions:
    """Which cluster, as whom: kubectl's connection flags, with their names and meaning in kubectl.

    request_timeout: for one request, as typed ("1s", "2m", "0" for none).
    """

    heading: ClassVar[str] = "Connection"

    namespace: str = flag("-n", "--namespace", metavar="NAME", help="Namespace of the objects.")
    context: str = flag("--context", metavar="NAME", help="Context of the kubeconfig.")
    kubeconfig: str = flag("--kubeconfig", metavar="FILE", help="Path of the kubeconfig.")
    cluster: str = flag("--cluster", metavar="NAME", help="Cluster of the kubeconfig.")
    user: str = flag("--user", metavar="NAME", help="User of the kubeconfig.")
    server: str = flag("-s", "--server", metavar="URL", help="Address of the API server.")
    as_user: str = flag("--as", metavar="USER", help="User to impersonate.")
    as_groups: tuple[str, ...] = flag("--as-group", metavar="GROUP", help="Group to impersonate.", default=())
    as_uid: str = flag("--as-uid", metavar="UID", help="UID to impersonate.")
    as_user_extra: tuple[str, ...] = flag(
        "--as-user-extra", metavar="KEY=VALUE", help="Extra field of the user to impersonate.", default=()
    )
    token: str = flag("--token", metavar="TOKEN", help="Bearer token for the API server.")
    username: str = flag("--username", metavar="NAME", help="User name for basic authentication.")
    password: str = flag("--password", metavar="PASSWORD", help="Password for basic authentication.")
    client_certificate: str = flag("--client-certificate", metavar="FILE", help="Client certificate for TLS.")
    client_key: str = flag("--client-key", metavar="FILE", help="Key of the client certificate.")
    certificate_authority: str = flag(
        "--certificate-authority", metavar="FILE", help="Certificate authority of the API server."
    )
    tls_server_name: str = flag("--tls-server-name", metavar="NAME", help="Name that its certificate must have.")
    insecure_skip_tls_verify: bool = flag(
        "--insecure-skip-tls-verify", help="Do not verify the API server's certificate.", default=False
    )
    request_timeout: str = flag(
        "--request-timeout", metavar="TIME", help="Longest wait for one request (1s, 2m, 0 = none)."
    )


@record
class ObjectOptions:
    """What is looked at, besides what is named: manifests and kubectl's selectors. files: as typed, "-" for standard
    input. labels, fields: as typed. before_apply: the manifests are looked at, not what is live."""

    heading: ClassVar[str] = "Objects"

    files: tuple[str, ...] = flag(
        *("-f", "--filename"),
        metavar="FILE",
        help="What manifests name: a file, a directory, or - for standard input.",
        default=(),
    )
    recursive: bool = flag("-R", "--recursive", help="With -f: directories below as well.", default=False)
    before_apply: bool = flag(
        "--before-apply",
        help="With -f: what would be wrong once it is applied [where nothing of it exists].",
        default=False,
    )
    labels: str = flag("-l", "--selector", metavar="QUERY", help="Only objects with these labels (app=web).")
    fields: str = flag("--field-selector", metavar="QUERY", help="Only objects with these fields (metadata.name=web).")


@record
class KubectlOnly:
    """Flags that kubectl takes with every command and that change nothing here: discovery is not cached, the plugin
    has no version that a server could match, warnings of the API server are not shown, klog is not used. They are
    accepted so that one set of flags serves both. `kubectl options` of 1.34 lists them.

    Its --profile is not among them: here that is the AWS profile.
    """

    heading: ClassVar[str] = "Connection"

    cache_dir: str = flag("--cache-dir", hidden=True)
    match_server_version: bool = flag("--match-server-version", hidden=True, default=False)
    disable_compression: bool = flag("--disable-compression", hidden=True, default=False)
    warnings_as_errors: bool = flag("--warnings-as-errors", hidden=True, default=False)
    kuberc: str = flag("--kuberc", hidden=True)
    profile_output: str = flag("--profile-output", hidden=True)
    log_flush_frequency: str = flag("--log-flush-frequency", hidden=True)
    vmodule: str = flag("--vmodule", hidden=True)


@record
class TimeOptions:
    """How long a diagnosis may take. limit: for all of its reads together, as typed ("10s", "2m", "0" for no end)."""

    heading: ClassVar[str] = "Connection"

    limit: str = flag(
        "--timeout",
        metavar="TIME",
        help="Longest time for all reads [30s, 1s more for each further object; a scan has no end; 0 = no end].",
    )


@record
class AwsOptions:
    """How AWS is asked, if at all."""

    heading: ClassVar[str] = "AWS"

    profile: str = flag("--profile", metavar="NAME", help="AWS profile [from the kubeconfig's aws arguments].")
    region: str = flag("--region", metavar="NAME", help="AWS region [from the kubeconfig, then the nodes' labels].")
    no_aws: bool = flag("--no-aws", help="Do not ask AWS.", default=False)


@record
class ScanOptions:
    """What a scan looks at, and at which pace. aws_rate: calls of ELBv2 a second, as typed."""

    heading: ClassVar[str] = "Scan"

    all_namespaces: bool = flag("-A", "--all-namespaces", help="All namespaces.", default=False)
    watch: bool = flag("-w", "--watch", help="Go on, and show what changes.", default=False)
    aws_rate: str = flag(
        "--aws-rate",
        metavar="NUMBER",
        help="Calls of the load balancers' API in a second [5, half of what AWS gives back; less once it slows down].",
    )
    no_cloudwatch: bool = flag(
        "--no-cloudwatch",
        help="Do not ask CloudWatch, which costs, how many targets are healthy: ask each target group.",
        default=False,
    )


@record
class OutputOptions:
    """What is printed. format: the name of a renderer (`render.FORMATS`), for some with "=" and an argument; which of
    them a command offers is its own. verbose: more is told on stderr. level: kubectl's log level. colour: auto leaves
    it to the terminal and the environment."""

    heading: ClassVar[str] = "Output"

    format: str = flag("-o", "--output", metavar="FORMAT", help="One of: {}.", default="table")
    no_headers: bool = flag("--no-headers", help="Print tables without their line of titles.", default=False)
    verbose: bool = flag("--verbose", help="Say more on stderr: calls, unknown checks, traces.", default=False)
    level: int = flag(
        "-v", "--v", metavar="LEVEL", help="As --verbose; from 6 on each request, from 8 on its headers.", default=0
    )
    colour: str = flag(
        "--color",
        choices=("auto", "always", "never"),
        help="Colour the screen [auto: on a terminal; NO_COLOR and FORCE_COLOR count].",
        default="auto",
    )


@record
class PageOptions:
    """Where a diagnosis is shown. open: as a page in the browser."""

    heading: ClassVar[str] = "Output"

    open: bool = flag("--open", help="Show it as a page (-o html) in the browser.", default=False)


@record
class VerdictOptions:
    """When findings fail the run. fail_on: a word of `model.report.FailOn`. ignore: as typed, codes or beginnings of
    codes with commas between. wait_healthy: as typed, "" for no wait."""

    heading: ClassVar[str] = "Verdict"

    fail_on: str = flag(
        "--fail-on",
        choices=("error", "degraded", "warning", "info"),
        help="Exit with 1 from this severity on; degraded: where any object is not healthy [error].",
        default="error",
    )
    ignore: tuple[str, ...] = flag(
        "--ignore",
        metavar="CODE,...",
        help="Leave out these findings (LBD601,LBD7), which are counted; objects say so with lbdoctor.io/ignore.",
        default=(),
    )
    wait_healthy: str = flag(
        "--wait-healthy",
        metavar="TIME",
        help="Diagnose again until the exit status is 0, for this long at most (90s, 5m).",
    )


@record
class HistoryOptions:
    """How far back a diagnosis looks. since: as typed, "" for not at all."""

    heading: ClassVar[str] = "Verdict"

    since: str = flag(
        "--since",
        metavar="TIME",
        help="Also tell since when targets fail (CloudWatch, ALB logs) and who changed the cause (CloudTrail): 3h.",
    )


@record
class BundleOptions:
    """Files that hold everything that was read. save: is written, load: is read in place of a cluster."""

    heading: ClassVar[str] = "Bundles"

    save: str = flag("--save", metavar="FILE", help="Keep everything that was read in a redacted bundle.")
    load: str = flag("--from", metavar="FILE", help="Diagnose a bundle instead of a cluster.")


@record
class ProbeFlags:
    """Whether and how health checks are sent. mode: auto leaves it to the command. target: "pod" looks inside."""

    heading: ClassVar[str] = "Probes"

    mode: str = flag(
        "--probe",
        choices=("auto", "proxy", "pod", "off"),
        help="Send health checks where they settle something: through the API server (auto, proxy), from a debug pod, "
        "or not at all.",
        default="auto",
    )
    image: str = flag("--probe-image", metavar="IMAGE", help="Image of the debug pod: sh and curl [curlimages/curl].")
    nodes: tuple[str, ...] = flag(
        "--probe-node", metavar="NAME", help="Node of the debug pod (all: each one).", default=()
    )
    target: str = flag(
        "--probe-target",
        choices=("pod",),
        help="Look inside the target pods, with an ephemeral container (it cannot be removed).",
    )


@record
class FixOptions:
    """What is repaired. names: as typed, NAME[=VALUE] with commas between. wait: as typed. undo_file: a file or a
    directory."""

    heading: ClassVar[str] = "Changes"

    names: tuple[str, ...] = flag(
        "--fix", metavar="NAME[=VALUE],...", help="Repair what was found (all: whatever is certain).", default=()
    )
    wait: str = flag("--wait", metavar="TIME", help="Longest wait for targets after a fix (90s, 2m, 0 = none).")
    undo_file: str = flag(
        "--undo-file", metavar="FILE", help="Where a fix writes how to take it back [lbdoctor-undo-…]."
    )


@record
class ChangeOptions:
    """How changes are made, by a fix and by its undoing. dry_run: none, client or server."""

    heading: ClassVar[str] = "Changes"

    yes: bool = flag("-y", "--yes", help="Apply the changes without asking.", default=False)
    dry_run: str = flag(
        "--dry-run",
        choices=("none", "client", "server"),
        help="Show the changes only, or let the servers try them.",
        default="none",
    )


@record
class Options:
    """Everything that the command line says, by group; a group that a command does not take holds its defaults."""

    kube: KubeOptions = KubeOptions()
    objects: ObjectOptions = ObjectOptions()
    kubectl_only: KubectlOnly = KubectlOnly()
    time: TimeOptions = TimeOptions()
    scan: ScanOptions = ScanOptions()
    aws: AwsOptions = AwsOptions()
    output: OutputOptions = OutputOptions()
    page: PageOptions = PageOptions()
    verdict: VerdictOptions = VerdictOptions()
    history: HistoryOptions = HistoryOptions()
    bundle: BundleOptions = BundleOptions()
    probe: ProbeFlags = ProbeFlags()
    fix: FixOptions = FixOptions()
    change: ChangeOptions = ChangeOptions()


GROUPS: dict[str, type[Any]] = {
    "kube": KubeOptions,
    "objects": ObjectOptions,
    "kubectl_only": KubectlOnly,
    "time": TimeOptions,
    "scan": ScanOptions,
    "aws": AwsOptions,
    "output": OutputOptions,
    "page": PageOptions,
    "verdict": VerdictOptions,
    "history": HistoryOptions,
    "bundle": BundleOptions,
    "probe": ProbeFlags,
    "fix": FixOptions,
    "change": ChangeOptions,
}
"""The groups by their names in `Options`."""
