"""What one subject lacks leaves the others as they are; findings are folded without comparing every pair."""

from __future__ import annotations

from dataclasses import fields, replace

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.report import Report, Status
from kubectl_lbdoctor.model.scan import ScanRow
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.render.scan_screen import count_healthy
from kubectl_lbdoctor.report import build
from tests.support.world import World

ELSEWHERE = ObjectRef("Ingress", "pay", "api")


def denied(facts: NamespaceFacts) -> NamespaceFacts:
    """All reads of a namespace, refused."""
    every = {f.name: getattr(facts, f.name).source for f in fields(NamespaceFacts) if f.name != "selected_pods"}
    return NamespaceFacts(
        **{
            name: Fact.denied(source, "forbidden", Permission(said=f"list in pay: {source}"), "pay")
            for name, source in every.items()
        }
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
    lost = Fact.denied(
        "elbv2:DescribeTargetHealth",
        "denied",
        Permission(action="elasticloadbalancing:DescribeTargetHealth"),
        "arn:other",
    )
    aws = replace(snapshot.aws, target_health={**snapshot.aws.target_health, "arn:other": lost})
    report = report_of(replace(snapshot, aws=aws))
    assert [s.status for s in report.subjects] == [Status.HEALTHY]
    assert [entry.read for entry in report.coverage.denied] == ["elbv2:DescribeTargetHealth"]


def test_what_the_whole_cluster_lacks_leaves_every_subject_unknown() -> None:
    snapshot = World().build()
    nodes = Fact.denied("core/nodes", "forbidden", Permission(("list",), "nodes"), "/api/v1/nodes")
    report = report_of(replace(snapshot, cluster=replace(snapshot.cluster, nodes=nodes)))
    assert [s.status for s in report.subjects] == [Status.UNKNOWN]


def test_a_backend_whose_binding_may_not_be_read_is_not_without_a_target_group() -> None:
    """Who has the built-in role `view` may list no custom resources; the tags that lead on may be denied, too."""
    snapshot = World().build()
    mine = snapshot.namespaces["shop"]
    shut = replace(
        mine,
        bindings=Fact.denied(mine.bindings.source, "forbidden", Permission(("list",), "targetgroupbindings"), "shop"),
    )
    (subject,) = report_of(replace(snapshot, namespaces={"shop": shut})).subjects
    assert (subject.status, subject.backends_without_group, subject.dead_paths) == (Status.UNKNOWN, (), ())
    assert subject.unknown_backends == 1
    row = ScanRow((subject.ref,), subject.status, unknown_backends=subject.unknown_backends)
    assert count_healthy(row) == "?/?"
    (before,) = report_of(snapshot).subjects
    assert before.unknown_backends == 0
    beside = ScanRow((subject.ref,), subject.status, target_groups=before.target_groups, unknown_backends=1)
    assert count_healthy(beside) == f"{beside.healthy}/{beside.targets}+?"
