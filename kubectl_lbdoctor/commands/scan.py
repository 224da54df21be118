"""`kubectl lbdoctor scan`: all frontends of a namespace or of the cluster, a line for each, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.collector import OpenAws
from kubectl_lbdoctor.collect.sweep import Stage, SweepPlan, SweepProgress, stages
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
from kubectl_lbdoctor.model.where import NOWHERE, Where
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.report import needed_reads
from kubectl_lbdoctor.scan_report import scan_report, without_foreign

DEFAULT_RATE = 5.0
"""Calls of ELBv2 in a second: half of what AWS gives back to an account, so that the controller keeps the other half.
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/throttling.html"""


def scan(options: Options, env: Environment) -> ExitStatus:
    """Look at every frontend and print a line for each.

    Raises LbdoctorError where the cluster cannot be asked or the namespace does not exist; that nothing is in it is a
    result. What was known when a person ends the run is printed, as a part.
    """
    check_save(options)
    made = Scan(options, env)
    if options.bundle.load:
        return made.of_bundle()
    deadline = deadline_of(options, default=None)
    with Connections(options.kube, options.aws, env, deadline, options.output.level) as connections:
        return made.of_cluster(connections)


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


class Scan:
    """One scan with what the command line says of it."""

    def __init__(self, options: Options, env: Environment) -> None:
        self._options = options
        self._env = env
        self._ignore = ignored_codes(options)
        self._rate = aws_rate(options)

    def of_bundle(self) -> ExitStatus:
        """The scan of what a bundle holds."""
        if self._options.objects.labels:
            raise CouldNotRun("a bundle cannot be searched by labels", "leave out -l")
        snapshot, _ = from_bundle(self._options, self._env, ())
        namespace = self._options.kube.namespace
        if namespace:
            subjects = tuple(ref for ref in snapshot.subjects if ref.namespace == namespace)
            snapshot = snapshot.about(subjects)
        report = self._report(snapshot, Reach(len(snapshot.subjects)), True, namespace, where_of_bundle(self._options))
        return self._shown(snapshot, report, {})

    def of_cluster(self, connections: Connections) -> ExitStatus:
        """The scan of a cluster, stage by stage."""
        namespace = "" if self._options.scan.all_namespaces else connections.namespace
        known: Stage | None = None
        try:
            for stage in self._stages(connections, namespace):
                known = stage
        except KeyboardInterrupt:
            if known is None:
                raise
            return self._interrupted(known, connections, namespace)
        if known is None or (not known.snapshot.subjects and namespace):
            _check_namespace(connections, namespace)
        assert known is not None
        report = self._report(known.snapshot, _reach(known.progress), known.done, namespace, connections.where)
        return self._shown(known.snapshot, report, connections.calls)

    def _interrupted(self, known: Stage, connections: Connections, namespace: str) -> ExitStatus:
        report = self._report(known.snapshot, _reach(known.progress), False, namespace, connections.where)
        self._shown(known.snapshot, report, connections.calls, ExitStatus.INTERRUPTED)
        self._env.note("interrupted")
        return ExitStatus.INTERRUPTED

    def _stages(self, connections: Connections, namespace: str) -> Iterator[Stage]:
        plan = SweepPlan(
            namespace=namespace,
            reads=needed_reads(CATALOGUE),
            context=context_of(connections),
            taken_at=self._env.now(),
            labels=self._options.objects.labels,
            aws_rate=self._rate,
            counts=not self._options.scan.no_cloudwatch,
        )
        self._env.progress("reading the cluster")
        return stages(connections.kube, cast("OpenAws", connections.open_aws), plan, self._tell)

    def _tell(self, progress: SweepProgress) -> None:
        """How far it is, on stderr while a person watches."""
        left = progress.groups - progress.known
        groups = f", target groups: {progress.known} known, {progress.asked} asked, {left} left"
        slowed = ", slowed down by AWS" if progress.slowed else ""
        pace = f" at {self._rate:g} a second" if progress.groups else ""
        self._env.progress(f"{progress.objects} objects{groups if progress.groups else ''}{pace}{slowed}")

    def _report(
        self, snapshot: Snapshot, reach: Reach, complete: bool, namespace: str, where: Where = NOWHERE
    ) -> ScanReport:
        own, left_out = without_foreign(snapshot)
        return scan_report(
            own,
            examine(own, where, self._ignore),
            left_out,
            reach,
            complete=complete,
            namespace=namespace,
            labels=self._options.objects.labels,
        )

    def _shown(
        self, snapshot: Snapshot, report: ScanReport, calls: dict[str, int], ending: ExitStatus | None = None
    ) -> ExitStatus:
        """Print the result and keep what was read. ending: how the run ends whatever was found, None for by that."""
        status = report.exit_status(FailOn(self._options.verdict.fail_on)) if ending is None else ending
        show(report, self._options, self._env, self._env.run(status, calls))
        save_bundle(snapshot, self._options, self._env)
        return status


def _reach(progress: SweepProgress) -> Reach:
    return Reach(progress.objects, progress.groups, progress.known, progress.asked, progress.slowed)


def _check_namespace(connections: Connections, namespace: str) -> None:
    """Raise CouldNotRun where a namespace without any frontend does not exist; who may not see it is not told."""
    try:
        if connections.kube.get(NAMESPACE.path(name=namespace)) is not None:
            return
    except (ReadDenied, ReadFailed):
        return
    raise CouldNotRun(f'there is no namespace "{namespace}"', "list them with: kubectl get namespaces")
