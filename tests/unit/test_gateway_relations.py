"""Which Gateway takes which route: by name, by a ListenerSet, by namespace, kind and host name, and with what grant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis import gateway_settings
from kubectl_lbdoctor.analysis.gateways import (
    Refusal,
    attachments,
    gateways_of_route,
    granted,
    hosts_in_common,
    routes_of,
)
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.gateway_api import (
    AllowedRoutes,
    BackendReference,
    Gateway,
    GatewayListener,
    GatewaySettings,
    ListenerSet,
    ParentReference,
    Reference,
    ReferenceGrant,
    Route,
)
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.snapshot import GatewayFacts, Snapshot

SAME, EVERY, NONE = AllowedRoutes("Same"), AllowedRoutes("All"), AllowedRoutes("None")


def snapshot(
    *routes: Route,
    gateways: tuple[Gateway, ...] = (),
    sets: tuple[ListenerSet, ...] = (),
    grants: tuple[ReferenceGrant, ...] = (),
    configurations: tuple[GatewaySettings, ...] = (),
) -> Snapshot:
    return Snapshot(
        gateway_api=GatewayFacts(
            gateways=Fact.known(reads.GATEWAYS, gateways),
            routes=Fact.known(reads.ROUTES, routes),
            listener_sets=Fact.known(reads.LISTENER_SETS, sets),
            grants=Fact.known(reads.REFERENCE_GRANTS, grants),
            group_configurations=Fact.known(reads.TARGET_GROUP_CONFIGURATIONS, configurations),
        )
    )


def gateway(*listeners: GatewayListener, sets: AllowedRoutes = NONE, name: str = "web") -> Gateway:
    return Gateway(Meta(name, "edge"), "alb", listeners, allowed_sets=sets)


def route(
    *parents: ParentReference, space: str = "shop", kind: str = "HTTPRoute", hosts: tuple[str, ...] = ()
) -> Route:
    return Route(kind, Meta("web", space), parents, hosts)


def parent(name: str = "web", kind: str = "Gateway", section: str = "", port: int = 0) -> ParentReference:
    return ParentReference(name, "edge", kind, section=section, port=port)


HTTP = GatewayListener("http", 80, "HTTP", allowed=EVERY)
HTTPS = GatewayListener("https", 443, "HTTPS", "*.example.com", EVERY)
OWN = GatewayListener("own", 8080, "HTTP", allowed=SAME)
TCP = GatewayListener("tcp", 9000, "TCP", allowed=EVERY)


@pytest.mark.parametrize(
    ("said", "taken", "refusal"),
    [
        (route(parent()), ["http", "https"], None),
        (route(parent(), space="edge"), ["http", "https", "own"], None),
        (route(parent(section="https")), ["https"], None),
        (route(parent(port=80)), ["http"], None),
        (route(parent(section="http", port=443)), [], Refusal.NO_SECTION),
        (route(parent(section="own")), [], Refusal.NAMESPACE),
        (route(parent(section="tcp")), [], Refusal.KIND),
        (route(parent(section="tcp"), kind="TCPRoute"), ["tcp"], None),
        (route(parent(), hosts=("shop.example.com",)), ["http", "https"], None),
        (route(parent(section="https"), hosts=("example.com",)), [], Refusal.HOSTNAME),
        (route(parent(section="https"), hosts=("example.com", "a.b.example.com")), ["https"], None),
    ],
)
def test_a_listener_takes_a_route(said: Route, taken: list[str], refusal: Refusal | None) -> None:
    web = gateway(HTTP, HTTPS, OWN, TCP)
    (found,) = attachments(snapshot(said, gateways=(web,)), said, web)
    assert ([section.listener.name for section in found.taken], found.refusal) == (taken, refusal)


@pytest.mark.parametrize(
    ("allowed", "space", "leads"),
    [
        (NONE, "edge", False),
        (SAME, "edge", True),
        (SAME, "shop", False),
        (EVERY, "shop", True),
        (AllowedRoutes("Selector", {"matchLabels": {"a": "b"}}), "shop", True),  # its labels could not be read
    ],
)
def test_a_listener_set_leads_to_a_gateway_that_allows_it(allowed: AllowedRoutes, space: str, leads: bool) -> None:
    web = gateway(OWN, sets=allowed)
    more = ListenerSet(Meta("more", space), Reference("Gateway", "web", "edge"), (HTTP,))
    said = route(ParentReference("more", space, "ListenerSet"))
    whole = snapshot(said, gateways=(web, gateway(HTTP, name="other")), sets=(more,))
    assert gateways_of_route(whole, said) == ((web,) if leads else ())
    assert routes_of(whole, "edge", "web").need() == ((said,) if leads else ())
    assert routes_of(whole, "edge", "other").need() == ()
    found = attachments(whole, said, web)
    assert [section.owner for one in found for section in one.taken] == ([more.ref] if leads else [])


def test_a_route_names_a_gateway_twice_and_is_there_once() -> None:
    web = gateway(HTTP, HTTPS)
    said = route(parent(section="http"), parent(section="https"), parent("other"), parent("missing"))
    whole = snapshot(said, gateways=(gateway(HTTP, name="other"), web))
    assert [g.meta.name for g in gateways_of_route(whole, said)] == ["web", "other"]
    assert routes_of(whole, "edge", "web").need() == (said,)
    assert len(attachments(whole, said, web)) == 2


def test_another_namespace_has_a_gateway_of_the_same_name() -> None:
    here, there = gateway(HTTP), Gateway(Meta("web", "shop"), "alb", (HTTP,))
    said = route(ParentReference("web"))
    whole = snapshot(said, gateways=(here, there))
    assert gateways_of_route(whole, said) == (there,)
    assert routes_of(whole, "edge", "web").need() == ()


GRANT = ReferenceGrant(Meta("g", "infra"), (Reference("HTTPRoute", namespace="shop"),), (Reference("Service", "api"),))


@pytest.mark.parametrize(
    ("backend", "allowed"),
    [
        (BackendReference("api"), True),
        (BackendReference("api", "shop"), True),
        (BackendReference("api", "infra"), True),
        (BackendReference("other", "infra"), False),
        (BackendReference("api", "elsewhere"), False),
        (BackendReference("api", "infra", "Gateway"), False),
    ],
)
def test_grants(backend: BackendReference, allowed: bool) -> None:
    assert granted(snapshot(grants=(GRANT,)), route(), backend) is allowed


def test_a_grant_that_could_not_be_read_may_be_there() -> None:
    assert granted(Snapshot(), route(), BackendReference("api", "infra")) is None


def test_the_configuration_of_a_service() -> None:
    def of(name: str, space: str, reference: object) -> GatewaySettings:
        return GatewaySettings("TargetGroupConfiguration", Meta(name, space), {"targetReference": reference})

    whole = snapshot(
        configurations=(
            of("z", "shop", {"name": "api"}),
            of("b", "shop", {"name": "api", "kind": "Service"}),
            of("a", "infra", {"name": "api"}),
            of("a", "shop", {"name": "api", "kind": "Gateway"}),
            of("c", "shop", "api"),
        )
    )
    found = gateway_settings.configuration_of_service(whole, "shop", "api").need()
    assert found is not None and found.meta.name == "b"
    assert gateway_settings.configuration_of_service(whole, "shop", "").need() is None
    assert gateway_settings.configuration_of_service(whole, "edge", "api").need() is None


_LABELS = st.sampled_from(["a", "b", "example", "com", "Shop"])
HOSTS = st.lists(_LABELS, min_size=1, max_size=4).map(".".join)


@given(HOSTS | st.just("") | HOSTS.map("*.{}".format), HOSTS | st.just("") | HOSTS.map("*.{}".format))
def test_hosts_in_common_is_the_more_specific_and_the_same_from_both_sides(one: str, other: str) -> None:
    found = hosts_in_common(one, other)
    again = hosts_in_common(other, one)
    assert (found is None) == (again is None)
    if found is not None and again is not None:
        assert found.lower() == again.lower() and found in (one, other)
        assert hosts_in_common(found, one) is not None and hosts_in_common(found, other) is not None


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("", "", ""),
        ("", "a.example.com", "a.example.com"),
        ("*.example.com", "a.b.example.com", "a.b.example.com"),
        ("*.example.com", "example.com", None),
        ("*.example.com", "*.a.example.com", "*.a.example.com"),
        ("*.example.com", "notexample.com", None),
        ("a.example.com", "b.example.com", None),
    ],
)
def test_hosts_in_common(one: str, other: str, common: str | None) -> None:
    assert hosts_in_common(one, other) == common
