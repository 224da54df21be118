"""`kubectl lbdoctor scan`: all frontends of a namespace or of the cluster, a line for each, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from kubectl_lbdoctor.analysis.frontends import without_foreign
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.collect.collector import OpenAws
from kubectl_lbdoctor.collect.sweep import Stage, SweepPlan, stages
from kubectl_lbdoctor.commands.examination import (
    check_save,
    context_of,
    deadline_of,
    examine,
    from_bundle,
    ignored_codes,
    save_bundle,
    show,
    where_of_bundle,
)
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus, ReadDenied, ReadFailed, UsageError
from kubectl_lbdoctor.model.kinds import NAMESPACE
from kubectl_lbdoctor.model.report import FailOn
from kubectl_lbdoctor.model.scan import Reach, ScanReport
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.formats import format_of, render
from kubectl_lbdoctor.render.refresh import Refresh
from kubectl_lbdoctor.render.scan_stream import ScanStream
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.report import needed_reads
from kubectl_lbdoctor.scan_report import scan_report

DEFAULT_RATE = 5.0
"""Calls of ELBv2 in a second: half of what AWS gives back to an account, so that the controller keeps the other half.
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/throttling.html"""


FIRST_SCREEN = 1.0
"""Seconds after the reads of Kubernetes that a first screen waits for the state of all load balancers."""


def scan(options: Options, env: Environment) -> ExitStatus:
    """Look at every frontend and print a line for each.

    Raises LbdoctorError where the cluster cannot be asked or the namespace does not exist; that nothing is in it is a
    result. What was known when a person ends the run is printed, as a part.
    """
    check_save(options)
    if options.scan.watch:
        check_watch(options)
    settings = ScanSettings(ignored_codes(options), aws_rate(options), FailOn(options.verdict.fail_on))
    if options.bundle.load:
        return _of_bundle(options, env, settings)
    deadline = deadline_of(options, default=None)
    with Connections(options.kube, options.aws, env, deadline, options.output.level) as connections:
        scanned = ClusterScan(connections, options, env, settings)
        if options.scan.watch:
            from kubectl_lbdoctor.commands.watch_scan import watch

            return watch(scanned)
        return _of_cluster(scanned)


@dataclass(frozen=True)
class ScanSettings:
    """What was typed, understood. ignore: beginnings of codes. rate: calls of ELBv2 in a second."""

    ignore: tuple[str, ...]
    rate: float
    fail_on: FailOn


def check_watch(options: Options) -> None:
    """Raise UsageError for what does not go with -w."""
    if options.bundle.load:
        raise UsageError("-w watches a cluster, and a bundle stays as it is", "leave out --from")
    if not format_of(options.output.format).for_people:
        raise UsageError(f"-w prints no document, which -o {options.output.format} wants", "use -o table or wide")


def aws_rate(options: Options) -> float:
    """The pace of --aws-rate. Raises UsageError for what is no number above 0."""
    given = options.scan.aws_rate
    if not given:
        return DEFAULT_RATE
    try:
        rate = float(given)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise UsageError(f'--aws-rate wants calls in a second, above 0: "{given}"', "for example --aws-rate 2")
    return rate


@dataclass(frozen=True)
class ClusterScan:
    """Scans one cluster, again and again over the same connections."""

    connections: Connections
    options: Options
    env: Environment
    settings: ScanSettings

    @property
    def namespace(self) -> str:
        """The namespace that is scanned, "" for all of them."""
        return "" if self.options.scan.all_namespaces else self.connections.namespace

    def stages(self) -> Iterator[Stage]:
        """The facts as they become known. Raises CouldNotRun, and UsageError for labels that are none."""
        plan = SweepPlan(
            namespace=self.namespace,
            reads=needed_reads(CATALOGUE),
            context=context_of(self.connections),
            taken_at=self.env.now(),
            labels=self.options.objects.labels,
            aws_rate=self.settings.rate,
            counts=not self.options.scan.no_cloudwatch,
            patience=FIRST_SCREEN,
            by_server=self.connections.kube.clock.corrected,
        )
        self.env.progress("reading the cluster")
        open_aws = cast("OpenAws", self.connections.open_aws)
        try:
            yield from stages(self.connections.kube, open_aws, plan, self._tell)
        except ValueError as error:
            raise UsageError(f"-l {plan.labels}: {error}", "labels look like app=web,tier!=test") from error

    def _tell(self, progress: Reach) -> None:
        """How far it is, on stderr while a person watches."""
        parts = [counted(progress.objects, "object")]
        if progress.groups:
            parts.append(
                f"target groups: {progress.known} of {progress.groups} known, {progress.asked} asked, "
                f"{progress.left} to ask"
            )
        if progress.rate:
            parts.append(f"{progress.rate:.2g} calls a second{', slowed down by AWS' if progress.slowed else ''}")
        self.env.progress(", ".join(parts))

    def report(self, stage: Stage, *, complete: bool) -> ScanReport:
        """The scan as far as a stage knows it."""
        return scan_report(
            stage.snapshot,
            examine(stage.snapshot, self.connections.where, self.settings.ignore),
            stage.foreign,
            stage.progress,
            complete=complete,
            namespace=self.namespace,
            labels=self.options.objects.labels,
            fail_on=self.settings.fail_on,
        )

    def last_report(self, stopped: Callable[[], bool]) -> ScanReport:
        """The scan as far as it comes until `stopped` holds. Raises as `stages` and `check_namespace` do."""
        known: Stage | None = None
        for stage in self.stages():
            known = stage
            if stopped():
                break
        assert known is not None, "a scan has a stage, or raises why it has none"
        if not known.snapshot.subjects:
            self.check_namespace()
        return self.report(known, complete=known.done)

    def check_namespace(self) -> None:
        """Raise CouldNotRun where a namespace without any frontend does not exist; who may not see it is not told."""
        if not self.namespace:
            return
        try:
            if self.connections.kube.get(NAMESPACE.path(name=self.namespace)) is not None:
                return
        except (ReadDenied, ReadFailed):
            return
        raise CouldNotRun(f'there is no namespace "{self.namespace}"', "list them with: kubectl get namespaces")


def _of_cluster(scanned: ClusterScan) -> ExitStatus:
    options, env = scanned.options, scanned.env
    format = format_of(options.output.format)
    screen = Refresh(env) if env.is_terminal and format.for_people else None
    stream = ScanStream(env) if format.streams else None
    known: Stage | None = None
    ending: ExitStatus | None = None
    try:
        for stage in scanned.stages():
            known = stage
            if not stage.done and screen is not None:
                screen.show(screen_of(scanned.report(stage, complete=False), options, env))
            if not stage.done and stream is not None and stage.progress.known:
                stream.show(scanned.report(stage, complete=False))
    except KeyboardInterrupt:
        if known is None:
            raise
        ending = ExitStatus.INTERRUPTED
    assert known is not None, "a scan has a stage, or raises why it has none"
    if not known.snapshot.subjects:
        scanned.check_namespace()
    if screen is not None:
        screen.clear()
    report = scanned.report(known, complete=known.done and ending is None)
    status = _shown(known.snapshot, report, options, env, scanned.connections.calls, ending, stream)
    if ending is not None:
        env.note("interrupted")
    return status


def _of_bundle(options: Options, env: Environment, settings: ScanSettings) -> ExitStatus:
    snapshot, report = recorded(options, env, settings)
    return _shown(snapshot, report, options, env, {})


def recorded(options: Options, env: Environment, settings: ScanSettings) -> tuple[Snapshot, ScanReport]:
    """The facts of --from, and the scan that they give. Raises CouldNotRun for a file that is no bundle, and for
    labels."""
    if options.objects.labels:
        raise CouldNotRun("a bundle cannot be searched by labels", "leave out -l")
    snapshot, _ = from_bundle(options, env, ())
    namespace = options.kube.namespace
    if namespace:
        snapshot = snapshot.about(tuple(ref for ref in snapshot.subjects if ref.namespace == namespace))
    own, left_out = without_foreign(snapshot)
    found = examine(own, where_of_bundle(options), settings.ignore)
    reach = Reach(len(own.subjects))
    return snapshot, scan_report(own, found, left_out, reach, namespace=namespace, fail_on=settings.fail_on)


def screen_of(report: ScanReport, options: Options, env: Environment) -> str:
    """The screen of a scan that goes on."""
    view = View(env.width, False, env.colour, not options.output.no_headers)
    return render(report, options.output.format, view)


def _shown(
    snapshot: Snapshot,
    report: ScanReport,
    options: Options,
    env: Environment,
    calls: Mapping[str, int],
    ending: ExitStatus | None = None,
    stream: ScanStream | None = None,
) -> ExitStatus:
    """Print the result and keep what was read. ending: how the run ends whatever was found, None for by that. stream:
    what has begun to write the document."""
    status = report.exit_status if ending is None else ending
    if stream is not None:
        stream.end(report, env.run(status, calls))
    else:
        show(_drawn(report, snapshot, options), options, env, env.run(status, calls))
    save_bundle(snapshot, options, env)
    return status


def _drawn(scan: ScanReport, snapshot: Snapshot, options: Options) -> object:
    """What the format of -o shows: the scan, or where it draws, its report with pictures."""
    if not format_of(options.output.format).draws:
        return scan
    from kubectl_lbdoctor.analysis.pictures import pictured

    return pictured(scan.report, snapshot, scan)
