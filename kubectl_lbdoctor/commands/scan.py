"""`kubectl lbdoctor scan`: all frontends of a namespace or of the cluster, a line for each, the worst first."""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.analysis.frontends import without_foreign
from kubectl_lbdoctor.collect.sweep import Stage
from kubectl_lbdoctor.commands.cluster_scan import ClusterScan, ScanSettings, aws_rate, screen_of
from kubectl_lbdoctor.commands.examination import (
    check_save,
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
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus, UsageError
from kubectl_lbdoctor.model.report import FailOn
from kubectl_lbdoctor.model.scan import Reach, ScanReport
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.formats import format_of
from kubectl_lbdoctor.render.refresh import Refresh
from kubectl_lbdoctor.render.scan_stream import ScanStream
from kubectl_lbdoctor.scan_report import scan_report


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


def check_watch(options: Options) -> None:
    """Raise UsageError for what does not go with -w."""
    if options.bundle.load:
        raise UsageError("-w watches a cluster, and a bundle stays as it is", "leave out --from")
    if not format_of(options.output.format).for_people:
        raise UsageError(f"-w prints no document, which -o {options.output.format} wants", "use -o table or wide")


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
