"""What the cassette and the recorded cases use of the product, in one place: its errors, and one run from reads to a
report. Only this module has to follow when the product's own modules are renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect.collector import Collector, ReadPlan
from kubectl_lbdoctor.collect.inventory import ClusterInventory
from kubectl_lbdoctor.collect.kubernetes_api.client import permission_of
from kubectl_lbdoctor.collect.subjects import Finder
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ApiMissing, AwsApiError, NoCredentials, ReadDenied, ReadFailed
from kubectl_lbdoctor.model.asked import Named
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import CheckResult, ObjectRef
from kubectl_lbdoctor.model.kinds import KINDS
from kubectl_lbdoctor.model.probe import PROBES, Outcome, ProbeAnswer, ProbeFacts, ProbeRequest, Transport
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.options import AwsOptions, KubeOptions
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe import rounds
from kubectl_lbdoctor.report import build, needed_reads

__all__ = [
    "CATALOGUE",
    "ApiMissing",
    "AwsApiError",
    "NoCredentials",
    "Permission",
    "ProbeRequest",
    "ReadDenied",
    "ReadFailed",
    "Run",
    "collect",
    "judge",
    "open_readers",
    "permission_of",
    "probed",
    "resolved",
    "said",
]


@dataclass(frozen=True)
class Run:
    """One diagnosis: what was read, the result of every check, and the report."""

    snapshot: Snapshot
    results: tuple[CheckResult, ...]
    report: Report


def open_readers(variables: Mapping[str, str], namespace: str, region: str) -> tuple[Any, Any]:
    """The product's own readers of the Kubernetes API and of AWS, as its command line would open them."""
    environment = Environment(variables=variables)
    kube = KubeOptions(namespace=namespace, kubeconfig=variables["KUBECONFIG"])
    connections = Connections(kube, AwsOptions(region=region), environment)
    return connections.kube, connections.open_aws(lambda: region)


def collect(
    kube: Any, open_aws: Callable[[Any], Any], subjects: list[tuple[str, str, str]], namespace: str, now: str
) -> Snapshot:
    """Everything that a diagnosis of these (kind, namespace, name) needs, read by the product's own collector."""
    plan = ReadPlan(
        subjects=tuple(ObjectRef(*subject) for subject in subjects),
        reads=needed_reads(CATALOGUE),
        context=Context(kube_context="lab", server="https://10.0.0.1:6443", namespace=namespace, cluster="lab"),
        taken_at=now,
    )
    return Collector(kube, open_aws).collect(plan)


def resolved(kube: Any, wanted: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The objects behind (kind, namespace, name): target groups and load balancers are traced to theirs."""
    found: list[tuple[str, str, str]] = []
    for kind, namespace, name in wanted:
        led = Finder(ClusterInventory(kube), namespace).find([Named(KINDS[kind], name)])
        assert not led.missing, led.missing
        found += [(ref.kind, ref.namespace, ref.name) for ref in led.subjects]
    return found


def probed(snapshot: Snapshot, answer: Callable[[ProbeRequest], list[Mapping[str, Any]]]) -> Snapshot:
    """The snapshot with the answers to the health checks that the product itself asks for; `answer` gives fields of
    ProbeAnswers, with `outcome` and `via` by their values."""

    def send(requests: tuple[ProbeRequest, ...]) -> ProbeFacts:
        told = []
        for request in requests:
            for entry in answer(request):
                fields = dict(entry)
                outcome = Outcome(fields.pop("outcome", "answered"))
                told.append(ProbeAnswer(request, Transport(fields.pop("via", "pod proxy")), outcome, **fields))
        return ProbeFacts(Fact.known(PROBES, tuple(told)))

    return rounds.ask(snapshot, send)


def judge(snapshot: Snapshot) -> Run:
    """Every check over the snapshot, and the report."""
    joined = traffic_paths(snapshot)
    results = run(CATALOGUE, joined)
    return Run(snapshot, results, build(snapshot, joined, results, CATALOGUE))


def said(run: Run) -> dict[str, Any]:
    """What a case states of a report."""
    report = run.report
    return {
        "status": report.status.value,
        "exit": int(report.exit_status()),
        "diagnoses": [
            {
                "code": d.finding.code,
                "object": "/".join(
                    filter(None, (d.finding.object.kind, d.finding.object.namespace, d.finding.object.name))
                ),
                "severity": d.severity.value,
                "explains": sorted(d.explains),
                # As the screen does: a fix that the program can make, not the name alone.
                "fix": d.fix if d.finding.repairs or d.finding.repair_template else "",
            }
            for d in report.diagnoses
        ],
        "unknown": sorted(
            {u.code for u in report.unknown}
            | {str(d.permission) for d in report.coverage.denied}
            | {f.read for f in report.coverage.failed}
        ),
    }
