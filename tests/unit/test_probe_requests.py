"""The request that the load balancer sends, its success codes, and the verdict in AWS's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.knowledge.success_codes import accepts, ranges
from kubectl_lbdoctor.model import aws, network, reads
from kubectl_lbdoctor.model.fact import Fact, Unknown
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe.next_probes import next_probes
from kubectl_lbdoctor.probe.requests import Verdict, describe, difference, judge, requests
from tests.support.world import NLB_ARN, World, instance_target, mismatch, pod, target, timed_out


def asked(world: World) -> tuple[ProbeRequest, ...]:
    (traffic,) = traffic_paths(world.build())
    return requests(traffic)[0]


def checked(world: World, **values: Any) -> World:
    return world.with_group(health_check=replace(world.group.health_check, **values))


def test_an_alb_names_the_target() -> None:
    first, second = asked(checked(World(), path="/healthz", matcher="200-399", timeout=4))
    assert first == ProbeRequest(
        "10.0.1.34:8080",
        "10.0.1.34",
        8080,
        "shop",
        "web-abc-1",
        "node1",
        "HTTP",
        "HTTP1",
        "/healthz",
        "10.0.1.34:8080",
        4.0,
        "200-399",
    )
    assert second.pod == "web-abc-2"
    assert describe(first) == "GET http :8080/healthz"


def test_the_port_that_is_really_checked() -> None:
    """DescribeTargetHealth resolves it per target: a named port, another check port, a node port."""
    world = World(health=(target(1, check_port="9090"), target(2, check_port="traffic-port")))
    assert [(r.port, r.host) for r in asked(world)] == [(9090, "10.0.1.34:9090"), (8080, "10.0.2.34:8080")]


def test_a_grpc_group_calls_the_default_method() -> None:
    world = checked(World().with_group(protocol_version="GRPC"), path="", matcher="")
    first = asked(world)[0]
    assert (first.version, first.path, first.matcher) == ("GRPC", "/AWS.ALB/healthcheck", "12")
    assert describe(first) == "gRPC http :8080/AWS.ALB/healthcheck"


def test_a_node_is_asked_on_its_own_address() -> None:
    world = World(health=(instance_target(1), instance_target(2))).with_group(target_type="instance")
    assert [(r.address, r.port, r.pod, r.node) for r in asked(world)] == [
        ("10.0.1.10", 30080, "", "node1"),
        ("10.0.2.10", 30080, "", "node2"),
    ]


def test_the_node_of_an_instance_may_be_unknown() -> None:
    world = World(health=(instance_target(9),)).with_group(target_type="instance")
    (traffic,) = traffic_paths(world.build())
    made, unasked = requests(traffic)
    assert made == ()
    assert [(u.target, u.reason) for u in unasked] == [
        ("i-00000000000000009:30080", "no node of the cluster is this instance")
    ]


def test_pods_that_were_not_read_leave_no_guess() -> None:
    world = World()
    snapshot = world.build()
    facts = replace(
        snapshot.namespaces["shop"], pods=Fact.denied(reads.PODS, "forbidden", Permission(("list",), "pods"))
    )
    (traffic,) = traffic_paths(replace(snapshot, namespaces={"shop": facts}))
    made, unasked = requests(traffic)
    assert made == () and [u.reason for u in unasked] == ["core/pods was not read"] * 2
    assert next_probes(traffic) == ()


def test_a_group_that_was_not_read_is_unknown() -> None:
    (traffic,) = traffic_paths(World().build())
    unread = replace(traffic, target_health=Fact.denied(reads.TARGET_HEALTH, "no", Permission(said="x")))
    with pytest.raises(Unknown):
        requests(unread)


def test_an_nlb_names_itself_and_its_listener() -> None:
    """Its HTTPS check offers TLS 1.2 at most, and one TCP check has neither path nor codes."""
    world = checked(World().as_nlb(), protocol="HTTPS", path="/healthz", matcher="200-399")
    snapshot = world.build()
    suffix = NLB_ARN.split(":loadbalancer/")[1]
    interface = network.NetworkInterface("eni-lb", private_ips=("10.0.1.77",), description=f"ELB {suffix}")
    held = Fact.known(reads.NETWORK_INTERFACES, (interface,))
    snapshot = replace(snapshot, network=replace(snapshot.network, interfaces=held))
    (traffic,) = traffic_paths(snapshot)
    forwarding = aws.Listener("l", NLB_ARN, "TLS", 443, (aws.Action("forward", {world.group.arn: 1}),))
    traffic = replace(traffic, listeners=Fact.known(reads.LISTENERS, (forwarding,)))
    first = requests(traffic)[0][0]
    assert (first.host, first.tls, first.version) == ("10.0.1.77:443", "1.2", "HTTP1")
    tcp = asked(checked(World().as_nlb(), protocol="TCP", path="", matcher=""))[0]
    assert (tcp.protocol, tcp.path, tcp.host, tcp.matcher) == ("TCP", "", "", "")


def test_an_nlbs_check_carries_proxy_protocol_where_it_is_on() -> None:
    world = checked(World().as_nlb(), protocol="HTTP", path="/healthz", matcher="200-399")
    (traffic,) = traffic_paths(world.build())

    def attributes(traffic: TrafficPath, fact: Fact[Mapping[str, str]]) -> TrafficPath:
        return replace(traffic, group_attributes=fact)

    on = attributes(traffic, Fact.known(reads.TARGET_GROUP_ATTRIBUTES, {"proxy_protocol_v2.enabled": "true"}))
    off = attributes(traffic, Fact.known(reads.TARGET_GROUP_ATTRIBUTES, {"proxy_protocol_v2.enabled": "false"}))
    assert [r.proxy_protocol for t in (on, off) for r in requests(t)[0][:1]] == [True, False]
    assert describe(requests(on)[0][0]) == "GET http :8080/healthz (proxy protocol)"
    unread = attributes(
        traffic, Fact.denied(reads.TARGET_GROUP_ATTRIBUTES, "no", Permission(action="elasticloadbalancing:X"))
    )
    made, left = requests(unread)
    assert not made and {entry.reason for entry in left} == {f"{reads.TARGET_GROUP_ATTRIBUTES} was not read"}
    (tcp,) = traffic_paths(checked(World().as_nlb(), protocol="TCP", path="", matcher="").build())
    assert len(requests(attributes(tcp, unread.group_attributes))[0]) == len(tcp.targets())


def test_only_failing_targets_are_asked_unbidden() -> None:
    (traffic,) = traffic_paths(World(health=(mismatch(1, "404"), target(2))).build())
    assert [r.target for r in next_probes(traffic)] == ["10.0.1.34:8080"]
    (traffic,) = traffic_paths(World().build())
    assert next_probes(traffic) == ()


def test_ipv6_targets_are_bracketed() -> None:
    pods = (pod(1, ip="2001:db8::1", ips=("2001:db8::1",)),)
    world = World(health=(target(1, id="2001:db8::1"),), pods=pods)
    assert asked(world)[0].host == "[2001:db8::1]:8080"


# --- Success codes ---


@pytest.mark.parametrize(
    ("matcher", "code", "wanted"),
    [
        ("200", 200, True),
        ("200", 201, False),
        ("200,202,300-399", 399, True),
        ("200, 202", 202, True),
        ("200-299", 300, False),
        ("0-99", 12, True),
        ("", 200, False),
        ("x-y", 200, False),
        ("200-", 200, False),
        ("٢٠٠", 200, False),
    ],
)
def test_accepts(matcher: str, code: int, wanted: bool) -> None:
    assert accepts(matcher, code) is wanted


codes = st.integers(0, 599)
parts = st.one_of(codes.map(lambda c: (c, c)), st.tuples(codes, codes))


@given(st.lists(parts, min_size=1, max_size=6), codes)
def test_accepts_is_membership(wanted: list[tuple[int, int]], code: int) -> None:
    text = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in wanted)
    assert accepts(text, code) == any(low <= code <= high for low, high in wanted)
    assert list(ranges(text)) == wanted


@given(st.text(max_size=30), codes)
def test_any_text_is_a_matcher(text: str, code: int) -> None:
    accepts(text, code)


# --- Verdict ---

REQUEST = ProbeRequest("10.0.1.34:8080", "10.0.1.34", 8080, "shop", "web-abc-1", "node1", matcher="200", timeout=2.0)


def answer(outcome: Outcome = Outcome.ANSWERED, status: int | None = None, **values: Any) -> ProbeAnswer:
    return ProbeAnswer(values.pop("request", REQUEST), values.pop("via", Transport.POD), outcome, status, **values)


MISMATCH = ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]")
FAILED = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
LATE = ("unhealthy", "Target.Timeout", "Request timed out")


@pytest.mark.parametrize(
    ("given_answer", "application", "network_"),
    [
        (answer(status=200), ("healthy", "", ""), ("healthy", "", "")),
        (answer(status=404), MISMATCH, FAILED),
        (answer(status=200, seconds=3.0), LATE, FAILED),
        (answer(Outcome.TIMEOUT), LATE, FAILED),
        *((answer(kind), FAILED, FAILED) for kind in (Outcome.REFUSED, Outcome.CLOSED, Outcome.TLS, Outcome.GARBLED)),
        (
            answer(request=replace(REQUEST, protocol="TCP")),
            ("healthy", "", ""),
            ("healthy", "", ""),
        ),
    ],
)
def test_verdicts_use_the_words_of_aws(given_answer: ProbeAnswer, application: Any, network_: Any) -> None:
    assert judge(given_answer, network=False) == Verdict(*application)
    assert judge(given_answer, network=True) == Verdict(*network_)


def test_what_says_nothing_of_the_target_is_unknown() -> None:
    """The API server's own packets may be filtered: its silence is no timeout of the load balancer's."""
    assert not judge(answer(Outcome.INCONCLUSIVE, detail="denied"), False).known
    assert not judge(answer(Outcome.TIMEOUT, via=Transport.PROXY), False).known
    assert judge(answer(Outcome.TIMEOUT, via=Transport.FORWARD), False).known
    assert not judge(answer(status=None), False).known


def test_a_verdict_is_one_short_phrase() -> None:
    assert str(Verdict(*MISMATCH)) == "unhealthy ResponseCodeMismatch [404]"
    assert str(Verdict("healthy")) == "healthy"


def test_differences_are_evidence() -> None:
    good, healthy = answer(status=200), Verdict("healthy")
    assert "filtered on the way" in difference(good, healthy, timed_out(1))
    assert "on its own node" in difference(replace(good, source="node1"), healthy, timed_out(1))
    assert "loopback" in difference(replace(good, via=Transport.FORWARD), healthy, timed_out(1))
    assert difference(answer(status=404), Verdict(*MISMATCH), mismatch(1, "404")) == ""
    assert "healthy for the load balancer" in difference(answer(status=404), Verdict(*MISMATCH), target(1))
    assert "Target.Timeout" in difference(answer(status=404), Verdict(*MISMATCH), timed_out(1))
    assert difference(answer(Outcome.INCONCLUSIVE), Verdict("unknown"), timed_out(1)) == ""
    initial = aws.TargetHealth("10.0.1.34", 8080, state="initial")
    assert difference(good, healthy, initial) == ""
