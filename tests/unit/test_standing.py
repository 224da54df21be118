"""What is over is over: the rule alone, against a model of a controller and by hand-written histories."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.knowledge.controller_errors import Stage, decode, decode_event
from kubectl_lbdoctor.knowledge.reconcile_steps import BindingStep, FrontStep, Reached, reached
from kubectl_lbdoctor.knowledge.standing import HEARD_AGAIN, Statement, Verdict, unsettled, verdicts
from kubectl_lbdoctor.model.k8s import Event

NOON = datetime(2026, 11, 29, 12, 0, 0, tzinfo=timezone.utc)
OVER, STANDS, HIDDEN, FORMER = Verdict.OVER, Verdict.STANDS, Verdict.HIDDEN, Verdict.FORMER


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def said(cause: str, step: int, seconds: float | None, **values: object) -> Statement:
    when = None if seconds is None else at(seconds)
    return replace(Statement("web", cause, Reached(step, step), when), **values)  # type: ignore[arg-type]


def done(seconds: float, step: int = FrontStep.DONE, **values: object) -> Statement:
    return replace(Statement("web", None, Reached(step, step), at(seconds)), **values)  # type: ignore[arg-type]


HISTORIES: dict[str, tuple[list[Statement], list[Verdict]]] = {
    "a later step ends": ([said("a", 5, 0), said("b", 9, 60)], [OVER, STANDS]),
    "the same step ends": ([said("a", 5, 0), said("b", 5, 60)], [OVER, STANDS]),
    "an earlier step hides": ([said("a", 5, 0), said("b", 3, 60)], [HIDDEN, STANDS]),
    "a success ends": ([said("a", 5, 0), done(60)], [OVER, STANDS]),
    "a success of earlier steps ends nothing": ([said("a", 5, 0), done(60, FrontStep.MODEL)], [STANDS, STANDS]),
    "a success of before ends nothing": ([done(0), said("a", 5, 60)], [STANDS, STANDS]),
    "nothing later, hours ago": ([said("a", 5, -7200)], [STANDS]),
    "a success of the same second": ([said("a", 5, 0), done(0)], [OVER, STANDS]),
    "within a second, by the fraction": (
        [done(0.2, exact=True), said("a", 5, 0.9, exact=True)],
        [STANDS, STANDS],
    ),
    "an event's second holds the line": ([said("a", 5, 0), said("b", 9, 0.9, exact=True)], [OVER, STANDS]),
    "two steps of one second": ([said("a", 5, 0), said("b", 3, 0)], [STANDS, OVER]),
    "two of one step and second": ([said("a", 5, 0), said("b", 5, 0)], [STANDS, STANDS]),
    "without a time": ([said("a", 5, None), said("b", 9, 0), done(9)], [STANDS, OVER, STANDS]),
    "of another object": ([said("a", 5, 0, about="api"), done(60)], [STANDS, STANDS]),
    "of another speaker": ([said("a", 5, 0, speaker="nginx"), said("b", 9, 60)], [STANDS, STANDS]),
    "a former one is a hint": ([said("a", 5, 0, former=True)], [FORMER]),
    "a former one that is over": ([said("a", 5, 0, former=True), done(60)], [OVER, STANDS]),
    "throttled once hides nothing": ([said("a", 5, 0), said("b", 3, 60, passing=True)], [STANDS, STANDS]),
    "throttled once at the same step": ([said("a", 3, 0), said("b", 3, 60, passing=True)], [STANDS, STANDS]),
    "throttled at a later step": ([said("a", 3, 0), said("b", 5, 60, passing=True)], [OVER, STANDS]),
    "throttled all the time": (
        [said("a", 5, 0), said("b", 3, 60, passing=True, count=HEARD_AGAIN)],
        [HIDDEN, STANDS],
    ),
    "over in its own log": ([said("a", 5, 0, over_at=at(3))], [OVER]),
    "over, and heard since": ([said("a", 5, 9, over_at=at(3))], [STANDS]),
    "rules that fail on the way": (
        [
            said("rules", 0, 0.1, exact=True, reached=Reached(BindingStep.NETWORK, BindingStep.GATES, halts=False)),
            said("denied", BindingStep.REGISTER, 0.2, exact=True),
        ],
        [STANDS, STANDS],
    ),
    "rules that fail, and a pass that only waits": (
        [
            said("rules", 0, 0, reached=Reached(BindingStep.NETWORK, BindingStep.GATES, halts=False)),
            done(9, BindingStep.REGISTER),
        ],
        [STANDS, STANDS],
    ),
    "a step that is not told": (
        [said("odd", 0, 0, reached=Reached(FrontStep.SECURITY_GROUP, FrontStep.DELETION)), said("b", 9, 60)],
        [HIDDEN, STANDS],
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_history(name: str) -> None:
    statements, expected = HISTORIES[name]
    assert list(verdicts(statements)) == expected
    assert list(verdicts(statements[::-1])) == expected[::-1]


@given(
    st.lists(st.tuples(st.sampled_from(["break", "cure", "wait"]), st.integers(1, 6)), min_size=1, max_size=14),
    st.booleans(),
)
def test_of_any_history_exactly_the_present_cause_stands(actions: list[tuple[str, int]], exact: bool) -> None:
    """A controller stops at the first step that is broken, and says so; several causes come and go."""
    broken: dict[int, str] = {}
    heard: dict[str, Statement] = {}
    successes: list[Statement] = []
    for number, (action, step) in enumerate(actions):
        if action == "break":
            broken.setdefault(step, f"{step}:{number}")
        elif action == "cure":
            broken.pop(step, None)
        if broken:
            first = min(broken)
            heard[broken[first]] = said(broken[first], first, number, exact=exact)
        else:
            successes.append(done(number, exact=exact))
    statements = [*heard.values(), *successes]
    standing = {s.cause for s, v in zip(statements, verdicts(statements), strict=True) if v is STANDS} - {None}
    assert standing == ({broken[min(broken)]} if broken else set())


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 30), st.booleans()), min_size=1, max_size=10))
def test_the_latest_complaint_of_a_present_controller_is_never_lost(heard: list[tuple[int, int, bool]]) -> None:
    statements = [said(f"c{n}", step, second, former=old) for n, (step, second, old) in enumerate(heard)]
    latest = max(second for _, second, _ in heard)
    last = [(s, v) for s, v in zip(statements, verdicts(statements), strict=True) if s.at == at(latest)]
    furthest = max(s.reached.first for s, _ in last)
    for statement, verdict in last:
        if statement.reached.first == furthest:
            assert verdict is (FORMER if statement.former else STANDS)


DENIED = (
    "operation error Elastic Load Balancing v2: {}, https response error StatusCode: 403, RequestID: 1, api error "
    "AccessDenied: User: arn:aws:sts::000000000001:assumed-role/lbc/1 is not authorized to perform: "
    "elasticloadbalancing:{} on resource: x because no identity-based policy allows it"
)
REFUSED = (
    'Internal error occurred: failed calling webhook "mtargetgroupbinding.elbv2.k8s.aws": failed to call webhook: Post '
    '"https://aws-load-balancer-webhook-service.kube-system.svc:443/x": dial tcp 10.0.1.5:9443: connect: refused'
)


@pytest.mark.parametrize(
    ("reason", "message", "first", "last"),
    [
        ("FailedAddFinalizer", "Failed add finalizer due to " + REFUSED, FrontStep.FINALIZER, FrontStep.FINALIZER),
        ("FailedBuildModel", "Failed build model due to anything", FrontStep.MODEL, FrontStep.MODEL),
        (
            "FailedDeployModel",
            "Failed deploy model due to " + DENIED.format("CreateTargetGroup", "CreateTargetGroup"),
            FrontStep.TARGET_GROUP,
            FrontStep.TARGET_GROUP,
        ),
        ("FailedDeployModel", "Failed deploy model due to " + REFUSED, FrontStep.BINDING, FrontStep.BINDING),
        (
            "FailedDeployModel",
            '(combined from similar events): Failed deploy model due to targetgroupbindings.elbv2.k8s.aws "x" is '
            "forbidden",
            FrontStep.BINDING,
            FrontStep.BINDING,
        ),
        ("FailedDeployModel", "Failed deploy model due to odd", FrontStep.SECURITY_GROUP, FrontStep.DELETION),
        ("FailedUpdateStatus", "Failed update status due to odd", FrontStep.STATUS, FrontStep.STATUS),
    ],
)
def test_step_of_an_event(reason: str, message: str, first: int, last: int) -> None:
    assert reached("Ingress", decode_event(reason, message), reason) == Reached(first, last)


def test_what_writes_is_no_model_even_where_the_log_does_not_say() -> None:
    decoded = decode(DENIED.format("CreateRule", "CreateRule"), stage=Stage.BUILD)
    assert reached("IngressGroup", decoded, "Reconciler error") == Reached(FrontStep.RULE, FrontStep.RULE)


@pytest.mark.parametrize(
    ("said_as", "text", "expected"),
    [
        ("Reconciler error", DENIED.format("RegisterTargets", "RegisterTargets"), (7, 7, True)),
        ("Reconciler error", DENIED.format("DescribeTargetHealth", "DescribeTargetHealth"), (3, 3, True)),
        ("Reconciler error", REFUSED, (5, 9, True)),
        ("BackendNotFound", "backend not found: Service a/b not found", (2, 2, True)),
        ("FailedNetworkReconcile", "expected exactly one securityGroup", (4, 8, False)),
        ("Requesting network requeue due to error from ReconcileForPodEndpoints", "odd", (4, 8, False)),
        ("Reconciler error", "odd", (2, 9, True)),
    ],
)
def test_step_of_a_binding(said_as: str, text: str, expected: tuple[int, int, bool]) -> None:
    assert reached(
        "TargetGroupBinding", decode_event(said_as, text) if " " not in said_as else decode(text), said_as
    ) == (Reached(*expected))


def test_unsettled_warnings_are_those_that_no_success_followed() -> None:
    old = Event("Ingress", "web", type="Warning", reason="FailedDeployModel", last="2026-11-29T12:00:00Z")
    success = replace(old, type="Normal", reason="SuccessfullyReconciled", last="2026-11-29T12:00:05Z")
    new = replace(old, last="2026-11-29T12:00:09Z")
    other = replace(old, name="api")
    assert list(unsettled([old, success, new, other])) == [new, other]
    assert list(unsettled([replace(old, last="")])) == [replace(old, last="")]
