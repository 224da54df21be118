"""One cluster, scanned: what was typed about it, and the facts and the report as they become known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.collect.collector import OpenAws
from kubectl_lbdoctor.collect.sweep import Stage, SweepPlan, stages
from kubectl_lbdoctor.commands.examination import context_of, examine
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ReadDenied, ReadFailed, UsageError
from kubectl_lbdoctor.model.kinds import NAMESPACE
from kubectl_lbdoctor.model.report import FailOn
from kubectl_lbdoctor.model.scan import Reach, ScanReport
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.report import needed_reads
from kubectl_lbdoctor.scan_report import scan_report

DEFAULT_RATE = 5.0
"""Calls of ELBv2 in a second: half of what AWS gives back to an account, so that the controller keeps the other half.
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/throttling.html"""

FIRST_SCREEN = 1.0
"""Seconds after the reads of Kubernetes that a first screen waits for the state of all load balancers."""


@dataclass(frozen=True)
class ScanSettings:
    """What was typed, understood. ignore: beginnings of codes. rate: calls of ELBv2 in a second."""

    ignore: tuple[str, ...]
    rate: float
    fail_on: FailOn


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


def screen_of(report: ScanReport, options: Options, env: Environment) -> str:
    """The screen of a scan that goes on."""
    view = View(env.width, False, env.colour, not options.output.no_headers)
    return render(report, options.output.format, view)
