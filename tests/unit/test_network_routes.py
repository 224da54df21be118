"""Route tables: every fact that the evaluator encodes, and random tables against a naive model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.network import PrefixList, RouteTable, VpcRoute
from kubectl_lbdoctor.network.matching import Answer
from kubectl_lbdoctor.network.routes import RouteKind, RouteVerdict, route_for, table_of
from tests.support import network as naive

LOCAL = VpcRoute("10.0.0.0/16", target="local")
LOCAL6 = VpcRoute("2001:db8::/56", target="local")
INTERNET = VpcRoute("0.0.0.0/0", target="igw-1")


def ask(address: str, *routes: VpcRoute, **lists: PrefixList) -> RouteVerdict:
    return route_for(RouteTable("rtb-1", routes=routes), address, {item.id: item for item in lists.values()})


@pytest.mark.parametrize(
    ("address", "routes", "answer", "kind"),
    [
        ("10.0.3.4", (LOCAL, INTERNET), Answer.ALLOWED, RouteKind.LOCAL),
        ("2001:db8::5", (LOCAL, LOCAL6), Answer.ALLOWED, RouteKind.LOCAL),
        ("2001:db8::5", (LOCAL, INTERNET), Answer.DENIED, RouteKind.NONE),
        ("10.9.0.1", (LOCAL,), Answer.DENIED, RouteKind.NONE),
        ("10.9.0.1", (LOCAL, INTERNET), Answer.DENIED, RouteKind.INTERNET),
        ("100.64.0.1", (LOCAL, INTERNET), Answer.DENIED, RouteKind.INTERNET),
        ("8.8.8.8", (LOCAL, INTERNET), Answer.ALLOWED, RouteKind.INTERNET),
        ("10.9.0.1", (INTERNET, VpcRoute("10.9.0.0/16", target="pcx-1")), Answer.ALLOWED, RouteKind.PEERING),
        ("10.9.0.1", (VpcRoute("10.9.0.0/16", target="pcx-1", state="blackhole"),), Answer.DENIED, RouteKind.PEERING),
        ("10.9.0.1", (VpcRoute("10.9.0.0/16", target="tgw-1"),), Answer.UNKNOWN, RouteKind.TRANSIT),
        ("10.9.0.1", (VpcRoute("10.9.0.0/16", target="vgw-1"),), Answer.UNKNOWN, RouteKind.VPN),
        ("10.9.0.1", (VpcRoute("0.0.0.0/0", target="nat-1"),), Answer.UNKNOWN, RouteKind.NAT),
        ("10.0.3.4", (LOCAL, VpcRoute("10.0.3.0/24", target="eni-1")), Answer.UNKNOWN, RouteKind.MIDDLEBOX),
        ("10.0.3.4", (LOCAL, VpcRoute("10.0.3.0/24", target="i-1")), Answer.UNKNOWN, RouteKind.MIDDLEBOX),
    ],
)
def test_route(address: str, routes: tuple[VpcRoute, ...], answer: Answer, kind: RouteKind) -> None:
    verdict = ask(address, *routes)
    assert (verdict.answer, verdict.kind) == (answer, kind)
    assert bool(verdict.unknown) == (answer is Answer.UNKNOWN)


def test_a_blackhole_is_not_bypassed_by_a_wider_route() -> None:
    hole = VpcRoute("10.9.0.0/24", target="pcx-gone", state="blackhole")
    verdict = ask("10.9.0.1", VpcRoute("10.9.0.0/16", target="pcx-1"), hole)
    assert (verdict.answer, verdict.route, verdict.blackhole) == (Answer.DENIED, hole, True)


def test_equal_destinations() -> None:
    """Static, then prefix list, then propagated."""
    static = VpcRoute("10.9.0.0/16", target="pcx-1")
    by_list = VpcRoute(prefix_list="pl-1", target="tgw-1")
    propagated = VpcRoute("10.9.0.0/16", target="vgw-1", propagated=True)
    peers = PrefixList("pl-1", ("10.9.0.0/16",))
    assert ask("10.9.0.1", propagated, by_list, static, a=peers).route is static
    assert ask("10.9.0.1", propagated, by_list, a=peers).route is by_list
    assert ask("10.9.0.1", by_list, VpcRoute("10.9.0.0/24", target="pcx-1"), a=peers).kind is RouteKind.PEERING


def test_propagated_routes_never_win_over_the_local_one() -> None:
    propagated = VpcRoute("10.0.3.0/24", target="vgw-1", propagated=True)
    assert ask("10.0.3.4", LOCAL, propagated).kind is RouteKind.LOCAL


def test_a_prefix_list_that_was_not_read() -> None:
    by_list = VpcRoute(prefix_list="pl-s3", target="vpce-1")
    assert ask("10.0.3.4", LOCAL, by_list).answer is Answer.ALLOWED, "the VPC's own addresses are local"
    verdict = ask("10.9.0.1", LOCAL, by_list, VpcRoute("10.9.0.0/16", target="pcx-1"))
    assert (verdict.answer, verdict.unknown) == (Answer.UNKNOWN, ("pl-s3",))


def test_association() -> None:
    main, own = RouteTable("rtb-m", "vpc-1", main=True), RouteTable("rtb-2", "vpc-1", ("subnet-2",))
    assert table_of("subnet-2", "vpc-1", [main, own]) is own
    assert table_of("subnet-1", "vpc-1", [main, own]) is main
    assert table_of("subnet-1", "vpc-2", [main, own]) is None
    assert table_of("subnet-1", "", [main, own]) is None


def test_records_survive_a_bundle() -> None:
    table = RouteTable("rtb-1", "vpc-1", ("subnet-1",), True, (LOCAL, VpcRoute(prefix_list="pl-1", target="tgw-1")))
    assert from_json(RouteTable, to_json(table)) == table


@given(naive.tables(), st.sampled_from(naive.V4 + naive.V6), naive.all_lists)
def test_like_the_naive_model(table, address, lists) -> None:
    expected = naive.route_used(table, address, lists)
    verdict = route_for(table, address, lists)
    assert verdict.answer is not Answer.ALLOWED or verdict.route is not None
    if expected is None:
        assert (verdict.route, verdict.answer) == (None, Answer.DENIED)
        return
    assert verdict.route and (verdict.route.target, verdict.route.state) == (expected.target, expected.state)
    reaches = expected.state == "active" and expected.target in ("local", "pcx-1")
    beyond = expected.state == "active" and expected.target == "vgw-1"
    # All addresses of the naive model are private: an internet gateway drops what is sent to them.
    assert verdict.answer is (Answer.ALLOWED if reaches else Answer.UNKNOWN if beyond else Answer.DENIED)
