"""The pictures of all recorded cases: where each fault lies on the way, written by hand, and what holds for all."""

from __future__ import annotations

import functools

import pytest

from kubectl_lbdoctor.analysis.pictures import pictured
from kubectl_lbdoctor.model.picture import Hop, Picture, Pictured, Place, Stop, Verdict
from tests.support import cases

SHUT = {
    # Who asks for it, and who makes it.
    "LBD112-annotation-on-the-deployment": {(Place.OBJECT, "ingress/web")},
    "LBD102-controller-scaled-to-zero": {(Place.CONTROLLER, "AWS Load Balancer Controller")},
    "LBD120-register-denied": {(Place.CONTROLLER, "AWS Load Balancer Controller")},
    # Clients, listeners, registration.
    "LBD504-clients-not-admitted": {(Place.CLIENTS, "clients from the internet")},
    "LBD106-missing-service": {(Place.RULE, "/api")},
    "LBD209-rule-deleted-by-hand": {(Place.RULE, "/")},
    "LBD109-binding-deleted": {(Place.GROUP, "no target group")},
    "LBD201-selector-mismatch": {(Place.REGISTRATION, "service/web")},
    "LBD208-zone-disabled": {(Place.ZONE, "us-west-2c")},
    # The filters, in the order of packets and replies.
    "LBD503-balancer-egress-revoked": {(Place.SOURCE_GROUPS, "sg-00000000000000102, sg-00000000000000101")},
    "LBD507-acl-request-denied": {(Place.REQUEST_ACL_IN, "acl-00000000000000001")},
    "LBD501-security-group-rule-revoked": {(Place.TARGET_GROUPS, "sg-00000000000000001")},
    "LBD501-traffic-port-closed": {(Place.TARGET_GROUPS, "sg-00000000000000001")},
    "LBD514-branch-interface": {(Place.TARGET_GROUPS, "sg-000000000000000aa")},
    "LBD515-clients-not-admitted-by-nodes": {(Place.TARGET_GROUPS, "sg-00000000000000001")},
    "LBD515-clients-not-admitted-by-acl": {(Place.REQUEST_ACL_IN, "acl-00000000000000002")},
    "LBD502-node-groups-pod-on-first": {(Place.NODE_TO_POD, "sg-00000000000000001")},
    "LBD508-acl-return-denied": {(Place.RETURN_ACL_OUT, "acl-00000000000000001")},
    "LBD509-no-route-back": {(Place.RETURN_ROUTE, "rtb-00000000000000002")},
    # Nodes, pods, the answer.
    "LBD409-kubelet-stopped": {(Place.NODE, "node/node2")},
    "LBD602-local-policy-behind-alb": {(Place.NODE, "node2")},
    "LBD513-policy-without-the-load-balancer": {(Place.NETWORK_POLICY, "networkpolicy/pods-only")},
    "LBD402-image-missing": {(Place.POD, "deployment/web")},
    "LBD301-path-404": {(Place.ANSWER, "HTTP :8080/ expects 200")},
    "LBD307-wrong-target-port": {(Place.ANSWER, "HTTP :9090/healthz expects 200")},
    "two-backends-with-two-causes": {
        (Place.POD, "deployment/api"),
        (Place.ANSWER, "HTTP :8080/nowhere expects 200"),
    },
}
"""The hops at which a diagnosis lies that stops the traffic."""


@functools.cache
def drawn(name: str) -> Pictured:
    run = cases.result(name)
    return pictured(run.report, run.snapshot)


def stops(picture: Picture) -> list[Stop]:
    return [stop for branch in picture.branches for zone in branch.zones for stop in zone.stops]


def traced(name: str, target: str) -> dict[Place, Hop]:
    """The trace of a target of the first picture, by place."""
    (found,) = [stop for stop in stops(drawn(name).pictures[0]) if stop.target == target]
    return {hop.place: hop for hop in found.hops}


@pytest.mark.parametrize("name", SHUT)
def test_where_it_is_shut(name: str) -> None:
    (picture,) = drawn(name).pictures
    found = {(hop.place, hop.name) for hop in picture.hops() if hop.verdict is Verdict.BLOCKS and hop.causes}
    assert found == SHUT[name]


@pytest.mark.parametrize("name", cases.names())
def test_a_picture_agrees_with_its_report(name: str) -> None:
    """Every diagnosis of the way has a place, traffic stops somewhere where targets are not healthy, an unknown hop
    says why, and what is healthy is open (but for clients, of whom health says nothing)."""
    made = drawn(name)
    hops = [hop for picture in made.pictures for hop in picture.hops()]
    placed = {rank for hop in hops for rank in hop.causes}
    assert [d.finding.code for d in made.report.diagnoses if d.rank not in placed] == []
    for picture in made.pictures:
        shut = [hop for hop in picture.hops() if hop.verdict is Verdict.BLOCKS]
        if picture.status.value in ("unhealthy", "degraded"):
            assert shut
        if picture.status.value == "healthy":
            assert {hop.place for hop in shut} <= {Place.CLIENTS}
    for hop in hops:
        assert hop.verdict is not Verdict.UNKNOWN or hop.missing or hop.decided, hop
        assert hop.verdict is not Verdict.BLOCKS or hop.causes or hop.effect_of, hop


@pytest.mark.parametrize("name", cases.names()[::3])
def test_a_trace_is_in_the_order_of_the_way(name: str) -> None:
    for picture in drawn(name).pictures:
        for stop in stops(picture):
            places = [hop.place.position for hop in stop.hops]
            assert places == sorted(set(places)) and stop.hops[-1].place is Place.ANSWER, stop.target


def test_a_trace_names_the_entries_that_decided() -> None:
    trace = traced("LBD501-security-group-rule-revoked", "10.0.1.41:8080")
    assert [(place.value, hop.verdict.value, hop.decided) for place, hop in trace.items() if place.is_gate] == [
        ("source-groups", "passes", "rule of sg-00000000000000102: all protocols to 0.0.0.0/0"),
        ("request-acl-out", "passes", "entry 100 allows 0.0.0.0/0"),
        ("request-route", "passes", "route 10.0.0.0/16 to local"),
        ("request-acl-in", "passes", "entry 100 allows 0.0.0.0/0"),
        ("target-groups", "blocks", "no rule for tcp 8080 from sg-00000000000000101"),
        ("return-acl-out", "passes", "entry 100 allows 0.0.0.0/0"),
        ("return-route", "passes", "route 10.0.0.0/16 to local"),
        ("return-acl-in", "passes", "entry 100 allows 0.0.0.0/0"),
    ]
    assert trace[Place.RULE].decided == "rule 1 (0000000000000104)"
    assert (trace[Place.ANSWER].verdict, trace[Place.ANSWER].decided) == (Verdict.NOT_REACHED, "unhealthy Timeout")


def test_an_acl_is_named_by_its_entry() -> None:
    trace = traced("LBD507-acl-request-denied-in-one-zone", "10.0.1.41:8080")
    assert trace[Place.REQUEST_ACL_IN].decided == "entry 50 denies 10.0.96.0/20"
    healthy = traced("LBD507-acl-request-denied-in-one-zone", "10.0.2.41:8080")
    assert {hop.verdict for hop in healthy.values()} == {Verdict.PASSES}


def test_a_denied_read_is_a_hop_that_names_the_permission() -> None:
    trace = traced("denied-ec2-beside-timeouts", "10.0.1.41:8080")
    gates = trace[Place.TARGET_GROUPS]
    assert (gates.verdict, gates.missing) == (
        Verdict.UNKNOWN,
        ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
    )
    assert trace[Place.CLIENTS].missing == ("ec2:DescribeSecurityGroups",)


def test_an_answer_proves_what_was_not_read() -> None:
    """Security groups were denied, and the targets are healthy: they let the checks pass, whoever reads them."""
    trace = traced("denied-security-groups", "10.0.1.41:8080")
    assert trace[Place.TARGET_GROUPS].verdict is Verdict.PASSES
    assert trace[Place.TARGET_GROUPS].decided == "an answer came back through it"
    assert trace[Place.CLIENTS].verdict is Verdict.UNKNOWN  # Of clients the checks say nothing.


def test_an_effect_names_the_cause_that_lies_elsewhere() -> None:
    """The rule is missing because the controller is down: the gate is shut, and its cause lies there."""
    (picture,) = drawn("LBD102-controller-down-rule-missing").pictures
    (controller,) = [hop for hop in picture.hops() if hop.place is Place.CONTROLLER]
    gates = [hop for hop in picture.hops() if hop.place is Place.TARGET_GROUPS]
    assert controller.causes == (1,)
    assert {(gate.verdict, gate.causes, gate.effect_of) for gate in gates} == {(Verdict.BLOCKS, (), (1,))}


def test_branches_with_nothing_wrong_are_one_line() -> None:
    (picture,) = drawn("two-backends-with-two-causes").pictures
    assert [branch.backend for branch in picture.branches] == ["api:80", "rest:80"]
    assert [(b.backend, b.healthy, b.total, b.zones) for b in picture.folded] == [("web:80", 2, 2, ())]


def test_health_that_was_not_read_is_unknown() -> None:
    (picture,) = drawn("failed-target-health").pictures
    (branch,) = picture.branches
    assert (branch.total, branch.verdict) == (-1, Verdict.UNKNOWN)
