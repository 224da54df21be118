"""What was not read is one line for each read, in however many namespaces it was refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Coverage, Denied, FailedRead
from kubectl_lbdoctor.model.probe import PROBES, ProbeAnswer, ProbeFacts
from kubectl_lbdoctor.model.report import CheckCounts, Report, Status, UnknownCheck
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.render.coverage_lines import coverage_lines
from tests.support import cases, product

NAMES = tuple(f"team-{number:03}" for number in range(90))


def lines(coverage: Coverage, *unknown: UnknownCheck, wide: bool = False) -> list[str]:
    report = Report(
        status=Status.UNKNOWN,
        generated_at="2026-11-23T12:00:00Z",
        context=Context(),
        subjects=(),
        diagnoses=(),
        checks=CheckCounts(0, 0, 1, 0, 0),
        coverage=coverage,
        unknown=unknown,
    )
    return list(coverage_lines(report, wide))


def denied(read: str, what: str, *namespaces: str) -> tuple[Denied, ...]:
    return tuple(Denied(read, Permission(("list",), what, namespace=name)) for name in namespaces)


def test_a_read_that_many_namespaces_deny_is_one_line() -> None:
    found = lines(Coverage(denied=(*denied("core/services", "services", *NAMES), *denied("core/pods", "pods", "shop"))))
    assert found[:2] == [
        "LBD001 denied: list services in 90 namespaces (team-000, team-001, team-002 and 87 more). "
        "Nothing is called healthy without it",
        "LBD001 denied: list pods in namespace shop. Nothing is called healthy without it",
    ]
    assert lines(Coverage(denied=denied("core/services", "services", *NAMES)), wide=True)[0].count("team-0") == 90


def test_what_leaves_a_check_undecided_comes_first() -> None:
    controller = Denied("apps/deployments (all namespaces)", Permission(("list",), "deployments", "apps"))
    check = UnknownCheck("LBD102", "", "the controller is ready", "denied", False, "", controller.read)
    found = lines(Coverage(denied=(*denied("core/services", "services", *NAMES), controller)), check)
    assert found[0] == (
        "LBD001 denied: list deployments.apps (cluster). Not judged: whether the controller is ready (LBD102)"
    )


def test_a_list_of_the_cluster_is_no_list_of_a_namespace() -> None:
    whole = Denied("core/services", Permission(("list",), "services"))
    found = lines(Coverage(denied=(whole, *denied("core/services", "services", "shop", "pay"))))
    assert [line.partition(". ")[0] for line in found[:2]] == [
        "LBD001 denied: list services (cluster)",
        "LBD001 denied: list services in 2 namespaces (shop, pay)",
    ]


def pods_failed(problem: str, *namespaces: str) -> tuple[FailedRead, ...]:
    return tuple(FailedRead("core/pods", problem, Permission(("list",), "pods", namespace=name)) for name in namespaces)


def test_a_read_that_fails_alike_in_many_namespaces_is_one_line() -> None:
    failed = pods_failed("the API server answered 429 (3 attempts): too many requests", *NAMES[:2])
    other = pods_failed("it timed out after 10s", "team-009")
    assert lines(Coverage(failed=(*failed, *other))) == [
        "LBD002 not read: core/pods: could not list pods in 2 namespaces (team-000, team-001): the API server answered "
        "429 (3 attempts): too many requests. Nothing is called healthy without it",
        "LBD002 not read: core/pods: could not list pods in namespace team-009: it timed out after 10s. "
        "Nothing is called healthy without it",
    ]


def test_where_a_read_was_made_is_not_taken_from_what_others_say() -> None:
    """A namespace in a server's own words is no place of the read."""
    said = "the API server answered 500: policy in namespace {} is broken"
    failed = [FailedRead("core/nodes", said.format(name), Permission(("list",), "nodes")) for name in NAMES[:2]]
    assert lines(Coverage(failed=tuple(failed))) == [
        f"LBD002 not read: core/nodes: could not list nodes (cluster): {said.format(name)}. "
        "Nothing is called healthy without it"
        for name in NAMES[:2]
    ]


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("LBD225-pods-of-an-overlay", False),
        ("LBD005-refused-for-no-known-reason", True),
        ("healthy-beside-finished-pods", True),
    ],
)
@pytest.mark.parametrize(
    "answers",
    [
        Fact.failed(PROBES, "no answer", "shop"),
        Fact.denied(PROBES, "refused", Permission(("get",), "pods/proxy"), "shop"),
    ],
    ids=["failed", "denied"],
)
def test_probes_that_told_nothing_are_named_until_the_cause_is_proven(
    case: str, told: bool, answers: Fact[tuple[ProbeAnswer, ...]]
) -> None:
    """They look for causes: where one is proven for everything that fails, they could have added nothing."""
    snapshot = replace(cases.result(case).snapshot, probes=ProbeFacts(answers))
    report = product.judge(snapshot).report
    found = [line for line in coverage_lines(report, wide=False) if "LBD00" in line]
    assert any("no answer" in line or "get pods/proxy" in line for line in found) is told
    assert report.coverage.failed or report.coverage.denied, "documents keep it"
    assert report.status is not Status.HEALTHY
