"""Which rules never get a request: the controller's order by examples, and by random routes that none gets one."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.route_precedence import (
    Claim,
    claims_in_order,
    routes_after_the_first,
    rules_without_requests,
)
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.gateway_api import (
    AllowedRoutes,
    BackendReference,
    Gateway,
    GatewayListener,
    MatchCondition,
    ParentReference,
    Reference,
    Route,
    RouteMatch,
    RouteRule,
)
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.snapshot import GatewayFacts, Snapshot

HTTP = GatewayListener("http", 80, "HTTP", allowed=AllowedRoutes(kinds=("HTTPRoute", "GRPCRoute")))
HTTPS = GatewayListener("https", 443, "HTTPS", "shop.example.com")
WEB = (BackendReference("web", port=80),)


def prefix(path: str) -> RouteMatch:
    return RouteMatch(path)


def exact(path: str) -> RouteMatch:
    return RouteMatch(path, "Exact")


def route(
    name: str,
    *matches: RouteMatch,
    hosts: tuple[str, ...] = (),
    created: str = "2030-01-01T00:00:00Z",
    kind: str = "HTTPRoute",
    section: str = "",
    extensions: tuple[Reference, ...] = (),
) -> Route:
    rules = (RouteRule(matches, WEB, extensions),)
    return Route(kind, Meta(name, "shop", created=created), (ParentReference("web", section=section),), hosts, rules)


def snapshot(*routes: Route, listeners: tuple[GatewayListener, ...] = (HTTP,)) -> Snapshot:
    web = Gateway(Meta("web", "shop"), "alb", listeners)
    return Snapshot(
        gateway_api=GatewayFacts(
            gateways=Fact.known(reads.GATEWAYS, (web,)),
            routes=Fact.known(reads.ROUTES, routes),
            listener_sets=Fact.known(reads.LISTENER_SETS, ()),
            grants=Fact.known(reads.REFERENCE_GRANTS, ()),
        )
    )


def dead(*routes: Route, listeners: tuple[GatewayListener, ...] = (HTTP,)) -> dict[str, str]:
    """The routes that never get a request, by the names of those that do."""
    found = rules_without_requests(snapshot(*routes, listeners=listeners), "shop", "web")
    return {ref.name: taken[0].by.route.meta.name for ref, taken in found.items()}


OLD, NEW = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"
ANY = "*.example.com"
EXTENSION = Reference("ListenerRuleConfiguration", "login")
CANARY = RouteMatch("/", headers=(MatchCondition("x-canary", "1"),))


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        # The older one; by name where both are of one second.
        ([route("a", prefix("/"), created=NEW), route("b", prefix("/"), created=OLD)], {"a": "b"}),
        ([route("b", prefix("/")), route("a", prefix("/"))], {"b": "a"}),
        # A slash at the end of a prefix means nothing; without matches every request is meant.
        ([route("a", prefix("/api/")), route("b", prefix("/api"), created=NEW)], {"b": "a"}),
        ([route("a"), route("b", created=NEW)], {"b": "a"}),
        # An exact path under the same prefix of a more specific host is not reached.
        ([route("a", prefix("/"), hosts=("shop.example.com",)), route("b", exact("/x"))], {}),
        # What is longer or has more conditions is asked first, and so gets its share.
        ([route("a", prefix("/")), route("b", prefix("/api"), created=NEW)], {}),
        ([route("a", prefix("/api")), route("b", exact("/api"), created=NEW)], {}),
        ([route("a", prefix("/")), route("b", CANARY, created=NEW)], {}),
        ([route("a", CANARY), route("b", CANARY, created=NEW)], {"b": "a"}),
        # /abc is no part of the prefix /ab.
        (
            [
                route("a", prefix("/ab"), hosts=("*.example.com",)),
                route("b", prefix("/abc"), hosts=("*.b.example.com",)),
            ],
            {},
        ),
        # More specific hosts come first, whatever the paths are.
        ([route("a", prefix("/"), hosts=("a.example.com",)), route("b", prefix("/api"), hosts=(ANY,))], {}),
        # A route without host names ties with every other, and then the older one is first (seen with release 3.3.0).
        ([route("a", prefix("/")), route("b", prefix("/"), hosts=("shop.example.com",), created=NEW)], {"b": "a"}),
        ([route("a", prefix("/"), created=NEW), route("b", prefix("/"), hosts=("shop.example.com",))], {}),
        # A regular expression is held by "/" alone, where that comes first: by its host name.
        ([route("a", prefix("/")), route("b", RouteMatch("/a.*", "RegularExpression"), created=NEW)], {"b": "a"}),
        # HTTPRoutes come before GRPCRoutes.
        (
            [
                route("a", prefix("/"), created=NEW),
                route("b", RouteMatch("", "Exact", "shop.Cart/Get"), kind="GRPCRoute", created=OLD),
            ],
            {"b": "a"},
        ),
        # An extension may add conditions of its own.
        (
            [
                route("a", prefix("/"), extensions=(Reference("ListenerRuleConfiguration", "x"),)),
                route("b", prefix("/")),
            ],
            {},
        ),
    ],
)
def test_who_gets_nothing(routes: list[Route], expected: dict[str, str]) -> None:
    assert dead(*routes) == expected


def test_a_redirect_at_another_port_takes_nothing_from_the_application() -> None:
    redirect = route("redirect", prefix("/"), section="http", created=OLD)
    application = route("application", prefix("/"), created=NEW)
    assert dead(redirect, application, listeners=(HTTP, HTTPS)) == {}


def test_of_the_routes_of_a_connection_the_oldest_is_first() -> None:
    tcp = (GatewayListener("one", 9000, "TCP"), GatewayListener("two", 9001, "TCP"))
    routes = (
        route("young", kind="TCPRoute", section="one", created=NEW),
        route("old", kind="TCPRoute", created=OLD),
        route("other", kind="TCPRoute", section="two", created=NEW),
    )
    found = routes_after_the_first(snapshot(*routes, listeners=tcp), "shop", "web")
    assert {ref.name: first.meta.name for ref, first in found.items()} == {"young": "old", "other": "old"}
    alone = routes_after_the_first(snapshot(routes[0], routes[2], listeners=tcp), "shop", "web")
    assert alone == {}


# --- An oracle: every request is asked of the claims in their order ---------------------------------------------------

HOSTS = ("a.example.com", "b.a.example.com", "*.example.com", "*.a.example.com")
PATHS = ("/", "/x", "/x/y", "/xy")
REQUESTS = list(
    product(("a.example.com", "b.a.example.com", "c.example.com", "other.org"), (*PATHS, "/x/y/z"), ("", "1"))
)

matches = st.builds(
    RouteMatch,
    path=st.sampled_from(PATHS),
    path_kind=st.sampled_from(("PathPrefix", "Exact")),
    headers=st.sampled_from(((), (MatchCondition("x-canary", "1"),))),
)
routes = st.lists(
    st.builds(
        lambda number, hosts, several, created: route(f"r{number}", *several, hosts=tuple(hosts), created=created),
        st.integers(0, 99),
        st.lists(st.sampled_from(HOSTS), max_size=2, unique=True),
        st.lists(matches, min_size=1, max_size=2),
        st.sampled_from((OLD, NEW)),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda made: made.meta.name,
)


def takes(claim: Claim, host: str, path: str, canary: str) -> bool:
    """Whether a listener rule of this claim matches a request, as an Application Load Balancer matches it."""
    hosts = [h for h in claim.hosts if h == host or (h.startswith("*.") and host.endswith(h[1:]))]
    asked = claim.request
    stem = asked.path.rstrip("/")
    in_path = path == asked.path if asked.path_kind == "Exact" else path == stem or path.startswith(f"{stem}/")
    return bool(hosts or not claim.hosts) and in_path and (not asked.headers or canary == "1")


@given(routes)
@settings(max_examples=300, deadline=None)
def test_a_rule_that_gets_a_request_is_never_called_without(several: list[Route]) -> None:
    facts = snapshot(*several)
    order = claims_in_order(facts, "shop", "web")[80]
    served = set()
    for host, path, canary in REQUESTS:
        first = next((claim for claim in order if takes(claim, host, path, canary)), None)
        if first is not None:
            served.add(first.route.meta.name)
    found = rules_without_requests(facts, "shop", "web")
    assert not served & {ref.name for ref in found}
