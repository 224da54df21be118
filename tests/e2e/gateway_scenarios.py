"""What can be wrong with a Gateway, one fault each, and what looks like it and is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.lab import examples
from tests.lab import gateway_examples as made
from tests.lab.examples import Manifest

_TLS = {"mode": "Terminate", "certificateRefs": [{"name": "web"}]}
_SECOND = [examples.app("blue"), examples.service("blue")]
_SPLIT = [{"name": "web", "port": 80, "weight": 80}, {"name": "blue", "port": 80, "weight": 20}]
_LOGIN = {"group": made.SETTINGS, "kind": "ListenerRuleConfiguration", "name": "login"}


@dataclass(frozen=True)
class Fault:
    """manifests: of a Gateway with one fault. code, object: of the first diagnosis. subject: what is diagnosed."""

    name: str
    code: str
    object: str
    manifests: Callable[[], list[Manifest]]
    subject: str = "gateway/web"


@dataclass(frozen=True)
class Twin:
    """manifests: of a Gateway that is right, close to a fault. notes: codes of what is worth knowing and no fault."""

    name: str
    manifests: Callable[[], list[Manifest]]
    subject: str = "gateway/web"
    notes: tuple[str, ...] = ()


def base(*, route: Manifest | None = None, gateway: Manifest | None = None) -> list[Manifest]:
    """A healthy Application Load Balancer, with another route or Gateway."""
    own = gateway or made.gateway()
    return [examples.app(), examples.service(), own, route or made.route(), made.configuration()]


def network(**route: object) -> list[Manifest]:
    """A healthy Network Load Balancer, with another route."""
    own = made.gateway(made.NLB_CLASS, protocol="TCP")
    return [examples.app(), examples.service(), own, made.route("TCPRoute", **route), made.configuration(path="")]  # type: ignore[arg-type]


def chained(path: str = examples.HEALTH_PATH, hostnames: Sequence[str] = ()) -> list[Manifest]:
    """A Network Load Balancer of Gateway "front", whose target is the Application Load Balancer of Gateway "web".
    path: of the check behind. hostnames: of the route behind. The application answers "/" for the check in front."""
    behind = {"group": made.API, "kind": "Gateway", "name": "web"}
    return [
        examples.app(args=[*examples.APP_ARGS, "--path", "/=200"]),
        examples.service(),
        made.gateway(),
        made.route(hostnames=hostnames),
        made.configuration(path=path),
        made.gateway(made.NLB_CLASS, "front", protocol="TCP"),
        made.route("TCPRoute", name="front", parent={"name": "front"}, backend=behind),
        made.settings(
            "TargetGroupConfiguration",
            "front",
            {
                "targetReference": {"kind": "Gateway", "name": "web"},
                "defaultConfiguration": {"healthCheckConfig": made.FAST},
            },
        ),
    ]


def _filtered(reference: Manifest) -> Manifest:
    return made.route(rule={"filters": [{"type": "ExtensionRef", "extensionRef": reference}]})


def _refused_rule_configuration() -> Manifest:
    login = {
        "issuer": "https://login.example.com",
        "authorizationEndpoint": "https://login.example.com/authorize",
        "tokenEndpoint": "https://login.example.com/token",
        "userInfoEndpoint": "https://login.example.com/user",
        "secret": {"name": "absent"},
    }
    action = {"type": "authenticate-oidc", "authenticateOIDCConfig": login}
    return made.settings("ListenerRuleConfiguration", "login", {"actions": [action]})


FAULTS = [
    # The class, and the configuration of the Gateway.
    Fault("class-missing", "LBD101", "Gateway/web", lambda: base(gateway=made.gateway("awsalb"))),
    Fault(
        "parameters-missing", "LBD146", "Gateway/web", lambda: base(gateway=made.with_parameters(made.gateway(), "lbc"))
    ),
    Fault(
        "default-configuration-of-one-service",
        "LBD146",
        "LoadBalancerConfiguration/lbc",
        lambda: [
            *base(gateway=made.with_parameters(made.gateway(), "lbc")),
            made.settings("LoadBalancerConfiguration", "lbc", {"defaultTargetGroupConfiguration": {"name": "web"}}),
        ],
    ),
    # A Gateway alone: its load balancer gets no listener.
    Fault(
        "no-route",
        "LBD153",
        "Gateway/web",
        lambda: [examples.app(), examples.service(), made.gateway(), made.configuration()],
    ),
    # Listeners.
    Fault(
        "protocol-of-the-other-load-balancer",
        "LBD142",
        "Gateway/web",
        lambda: base(gateway=made.gateway(more=[{"name": "tcp", "port": 9000, "protocol": "TCP"}])),
    ),
    Fault(
        "two-protocols-on-one-port",
        "LBD142",
        "Gateway/web",
        lambda: base(gateway=made.gateway(more=[{"name": "tls", "port": 80, "protocol": "HTTPS"}])),
    ),
    Fault(
        "no-certificate",
        "LBD103",
        "Gateway/web",
        lambda: base(gateway=made.gateway(port=443, protocol="HTTPS", hostname="without.example.com", tls=_TLS)),
    ),
    Fault(
        "certificate-without-a-host-name",
        "LBD103",
        "Gateway/web",
        lambda: base(gateway=made.gateway(port=443, protocol="HTTPS", tls=_TLS)),
    ),
    # Routes.
    Fault("no-such-listener", "LBD143", "HTTPRoute/web", lambda: base(route=made.route(parent={"sectionName": "x"}))),
    Fault(
        "no-common-host",
        "LBD143",
        "HTTPRoute/web",
        lambda: base(
            gateway=made.gateway(hostname="shop.example.com"), route=made.route(hostnames=["api.example.org"])
        ),
    ),
    Fault("kind-of-the-other-load-balancer", "LBD143", "TCPRoute/web", lambda: base(route=made.route("TCPRoute"))),
    Fault("service-missing", "LBD106", "HTTPRoute/web", lambda: base(route=made.route(backend={"name": "wbe"}))),
    Fault("port-missing", "LBD107", "HTTPRoute/web", lambda: base(route=made.route(backend={"port": 8080}))),
    Fault(
        "no-reference-grant",
        "LBD144",
        "HTTPRoute/web",
        lambda: base(route=made.route(backend={"name": "kubernetes", "namespace": "default", "port": 443})),
    ),
    Fault(
        "backend-of-an-unknown-kind",
        "LBD145",
        "HTTPRoute/web",
        lambda: base(route=made.route(backend={"group": "apps", "kind": "Deployment"})),
    ),
    Fault("rule-configuration-missing", "LBD147", "HTTPRoute/web", lambda: base(route=_filtered(_LOGIN))),
    Fault(
        "rule-configuration-refused",
        "LBD147",
        "ListenerRuleConfiguration/login",
        lambda: [_refused_rule_configuration(), *base(route=_filtered(_LOGIN))],
    ),
    Fault(
        "filter-that-is-not-taken",
        "LBD147",
        "HTTPRoute/web",
        lambda: base(
            route=made.route(
                rule={
                    "filters": [
                        {
                            "type": "RequestHeaderModifier",
                            "requestHeaderModifier": {"set": [{"name": "X-Env", "value": "lab"}]},
                        }
                    ]
                }
            )
        ),
    ),
    Fault(
        "route-twice",
        "LBD148",
        "HTTPRoute/z-second",
        lambda: [*base(), made.route(name="z-second")],
    ),
    Fault(
        "host-behind-an-older-route-without-one",
        "LBD148",
        "HTTPRoute/z-second",
        lambda: [*base(), made.route(name="z-second", hostnames=["shop.example.com"])],
    ),
    Fault(
        "http-and-grpc-share-a-host",
        "LBD143",
        "GRPCRoute/z-second",
        lambda: [
            *base(route=made.route(hostnames=["shop.example.com"])),
            made.route("GRPCRoute", name="z-second", hostnames=["shop.example.com"]),
        ],
    ),
    # Target groups.
    Fault("no-configuration", "LBD204", "Service/web", lambda: base()[:-1]),
    Fault(
        "configuration-of-another-service",
        "LBD149",
        "TargetGroupConfiguration/web",
        lambda: [*base()[:-1], made.configuration("wbe")],
    ),
    Fault(
        "check-path", "LBD301", "TargetGroupConfiguration/web", lambda: [*base()[:-1], made.configuration(path="/x")]
    ),
    Fault(
        "selector",
        "LBD201",
        "Service/web",
        lambda: [examples.app(), examples.service(selector={"app": "wbe"}), *base()[2:]],
    ),
    # A Gateway behind a Gateway.
    Fault(
        "behind-with-a-wrong-check",
        "LBD301",
        "TargetGroupConfiguration/web",
        lambda: chained(path="/x"),
        "gateway/front",
    ),
    Fault(
        "behind-knows-hosts-alone",
        "LBD145",
        "TCPRoute/front",
        lambda: chained(hostnames=("shop.example.com",)),
        "gateway/front",
    ),
    Fault(
        "behind-cannot-be-built",
        "LBD204",
        "Service/web",
        lambda: [m for m in chained() if m["metadata"]["name"] != "web" or m["kind"] != "TargetGroupConfiguration"],
        "gateway/front",
    ),
    # A Network Load Balancer.
    Fault("network-no-configuration", "LBD204", "Service/web", lambda: network()[:-1]),
    Fault("network-service-missing", "LBD106", "TCPRoute/web", lambda: network(backend={"name": "wbe"})),
    Fault(
        "network-gateway-missing",
        "LBD145",
        "TCPRoute/web",
        lambda: network(backend={"group": made.API, "kind": "Gateway", "name": "front"}),
    ),
]

TWINS = [
    Twin("behind-a-gateway", chained, "gateway/front"),
    Twin(
        "weight-zero",
        lambda: [
            examples.app("blue", replicas=0),
            examples.service("blue"),
            made.configuration("blue", name="blue"),
            *base(route=made.route(backends=[_SPLIT[0], {**_SPLIT[1], "weight": 0}])),
        ],
        notes=("LBD406",),
    ),
    Twin(
        "exact-and-wildcard-listeners",
        lambda: [
            *base(
                gateway=made.gateway(
                    hostname="*.example.com",
                    more=[{"name": "shop", "port": 80, "protocol": "HTTP", "hostname": "shop.example.com"}],
                ),
                route=made.route(parent={"sectionName": "main"}),
            ),
            made.route(name="z-shop", parent={"sectionName": "shop"}),
        ],
    ),
    Twin("route-without-host", lambda: base(gateway=made.gateway(hostname="shop.example.com"))),
    Twin(
        "fixed-response",
        lambda: [
            made.settings(
                "ListenerRuleConfiguration",
                "login",
                {"actions": [{"type": "fixed-response", "fixedResponseConfig": {"statusCode": 503}}]},
            ),
            *base(),
            made.route(
                name="closed",
                rule={
                    "matches": [{"path": {"type": "PathPrefix", "value": "/closed"}}],
                    "filters": [{"type": "ExtensionRef", "extensionRef": _LOGIN}],
                },
            ),
        ],
        notes=("LBD209",),
    ),
    Twin(
        "weights", lambda: [*_SECOND, made.configuration("blue", name="blue"), *base(route=made.route(backends=_SPLIT))]
    ),
    Twin(
        "several-routes",
        lambda: [
            *base(),
            made.route(name="api", rule={"matches": [{"path": {"type": "PathPrefix", "value": "/api"}}]}),
            made.route(name="canary", rule={"matches": [{"headers": [{"name": "X-Canary", "value": "1"}]}]}),
            made.route(
                name="host",
                hostnames=["shop.example.com"],
                rule={"matches": [{"path": {"type": "PathPrefix", "value": "/shop"}}]},
            ),
        ],
    ),
    Twin(
        "listener-set",
        lambda: [
            *base(gateway=_open_to_sets()),
            made.listener_set("more"),
            made.route(name="more", parent={"kind": "ListenerSet", "name": "more", "group": made.API}),
        ],
    ),
    Twin(
        "configurations",
        lambda: [
            examples.app(),
            examples.service(),
            made.with_parameters(made.gateway(), "lbc"),
            made.route(),
            made.settings("LoadBalancerConfiguration", "lbc", {"defaultTargetGroupConfiguration": {"name": "all"}}),
            made.configuration("", name="all"),
        ],
    ),
    Twin(
        "rule-configuration",
        lambda: [
            made.settings(
                "ListenerRuleConfiguration",
                "login",
                {"conditions": [{"field": "source-ip", "sourceIPConfig": {"values": ["10.0.0.0/8"]}}]},
            ),
            *base(route=_filtered(_LOGIN)),
        ],
    ),
]


def _open_to_sets() -> Manifest:
    own = made.gateway()
    return {**own, "spec": {**own["spec"], "allowedListeners": {"namespaces": {"from": "Same"}}}}
