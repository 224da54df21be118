"""What one subject lacks leaves the others as they are; findings are folded without comparing every pair."""

from __future__ import annotations

from dataclasses import fields, replace

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.report import Report, Status
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot
from kubectl_lbdoctor.report import build
from tests.support.world import World

ELSEWHERE = ObjectRef("Ingress", "pay", "api")


def denied(facts: NamespaceFacts) -> NamespaceFacts:
    """All reads of a namespace, refused."""
    every = {f.name: getattr(facts, f.name).source for f in fields(NamespaceFacts) if f.name != "selected_pods"}
    return NamespaceFacts(
        **{name: Fact.denied(source, "forbidden", f"list in pay: {source}", "pay") for name, source in every.items()}
    )


def two_subjects() -> Snapshot:
    snapshot = World().build()
    return replace(
        snapshot,
        subjects=(*snapshot.subjects, ELSEWHERE),
        namespaces={**snapshot.namespaces, "pay": denied(snapshot.namespaces["shop"])},
    )


def report_of(snapshot: Snapshot) -> Report:
    paths = traffic_paths(snapshot)
    return build(snapshot, paths, run(CATALOGUE, paths), CATALOGUE)


def test_a_denied_namespace_leaves_a_subject_elsewhere_healthy() -> None:
    report = report_of(two_subjects())
    assert {s.ref.name: s.status for s in report.subjects} == {"web": Status.HEALTHY, "api": Status.UNKNOWN}
    assert report.status is Status.UNKNOWN
    assert {entry.read for entry in report.coverage.denied} >= {"core/pods", "core/services"}


def test_a_denied_target_group_is_unknown_for_its_own_subject_alone() -> None:
    snapshot = World().build()
    lost = Fact.denied("elbv2:DescribeTargetHealth", "denied", "elasticloadbalancing:DescribeTargetHealth", "arn:other")
    aws = replace(snapshot.aws, target_health={**snapshot.aws.target_health, "arn:other": lost})
    report = report_of(replace(snapshot, aws=aws))
    assert [s.status for s in report.subjects] == [Status.HEALTHY]
    assert [entry.read for entry in report.coverage.denied] == ["elbv2:DescribeTargetHealth"]


def test_what_the_whole_cluster_lacks_leaves_every_subject_unknown() -> None:
    snapshot = World().build()
    nodes = Fact.denied("core/nodes", "forbidden", "list nodes (cluster)", "/api/v1/nodes")
    report = report_of(replace(snapshot, cluster=replace(snapshot.cluster, nodes=nodes)))
    assert [s.status for s in report.subjects] == [Status.UNKNOWN]
