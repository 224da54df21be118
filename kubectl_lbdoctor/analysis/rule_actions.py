"""What the rules of a route do with a request besides sending it to a backend, as the controller makes them. Pure.

A ListenerRuleConfiguration, named by a filter of type ExtensionRef, may add a login before the backend, or a fixed
answer in its place. Other filters are taken or refused by their types.

Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/routeutils/route_rule_action.go
and buildListenerRules in pkg/gateway/model/model_build_listener.go there.
"""

from __future__ import annotations

from kubectl_lbdoctor.analysis.gateways import route_of
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.gateway_api import SETTINGS_GROUP, BackendReference, GatewaySettings, Reference, Route
from kubectl_lbdoctor.model.gateway_api import RouteRule as Rule
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

LOGINS = frozenset({"authenticate-oidc", "authenticate-cognito", "jwt-validation"})
"""Actions that come before the backend, and on HTTPS listeners alone: elsewhere they are left out without a word."""

FIXED_RESPONSE, REDIRECT = "fixed-response", "redirect"

_PASSED_OVER = ("ExtensionRef", "URLRewrite")
_REDIRECT_FILTER = "RequestRedirect"


def configurations_named(rule: Rule) -> tuple[Reference, ...]:
    """The ListenerRuleConfigurations that a rule's filters name; more than one is refused."""
    own = (SETTINGS_GROUP, kinds.LISTENER_RULE_CONFIGURATION.name)
    return tuple(reference for reference in rule.extensions if (reference.group, reference.kind) == own)


@derived
def _rule_configurations(snapshot: Snapshot) -> dict[ObjectRef, GatewaySettings]:
    return {settings.ref: settings for settings in snapshot.gateway_api.rule_configurations.need()}


def configuration_of_rule(snapshot: Snapshot, route: Route, rule: Rule) -> Fact[GatewaySettings | None]:
    """The ListenerRuleConfiguration that holds for a rule: the only one that it names, if it exists and the controller
    has accepted it; None where there is none such."""
    named = configurations_named(rule)

    def found() -> GatewaySettings | None:
        ref = ObjectRef(kinds.LISTENER_RULE_CONFIGURATION.name, route.meta.namespace, named[0].name)
        settings = _rule_configurations(snapshot).get(ref)
        return settings if settings is not None and settings.accepted else None

    if len(named) != 1:
        return Fact.by_definition(None)
    return snapshot.gateway_api.rule_configurations.chosen(named[0].name, found)


def actions_of(settings: GatewaySettings | None) -> frozenset[str]:
    """The types of the actions of a ListenerRuleConfiguration."""
    listed = settings.spec.get("actions") if settings is not None else ()
    entries = listed if isinstance(listed, (list, tuple)) else ()
    return frozenset(str(entry.get("type")) for entry in entries if isinstance(entry, dict))


def refused_filter(route: Route, rule: Rule, actions: frozenset[str]) -> str:
    """The type of the filter for which the controller builds nothing of the Gateway at all; "" where there is none.
    actions: those of the rule's configuration. A redirect of such needs a filter of type RequestRedirect beside it.
    """
    if FIXED_RESPONSE in actions:
        return ""  # Its other filters are not looked at.
    if route.kind == "GRPCRoute":
        return next((kind for kind in rule.filters if kind != "ExtensionRef"), "")
    if route.kind != "HTTPRoute":
        return ""
    if rule.filters == ("ExtensionRef",) and REDIRECT in actions:
        return "ExtensionRef"
    # The first one that decides: what stands behind a redirect is not looked at.
    first = next((kind for kind in rule.filters if kind not in _PASSED_OVER), "")
    return "" if first == _REDIRECT_FILTER else first


def _places(route: Route, namespace: str, service: str, port: str) -> tuple[tuple[Rule, BackendReference], ...]:
    return tuple(
        (rule, backend)
        for rule in route.rules
        for backend in rule.backends
        if (backend.kind, backend.namespace or route.meta.namespace, backend.name) == ("Service", namespace, service)
        and str(backend.port or "") == port
    )


@derived
def declared_idle(traffic: TrafficPath) -> str:
    """Why no request is meant for a route's backend: its weight is 0 wherever the route leads to it, or a configuration
    answers in its place. "" where some may be."""
    backend = traffic.backend
    route = route_of(traffic.snapshot, backend.route).peek() if backend is not None and backend.route else None
    if backend is None or route is None or not backend.service:
        return ""
    places = _places(route, traffic.namespace, backend.service, backend.port)
    if not places:
        return ""
    if all(found.weight == 0 for _, found in places):
        return "weight 0: no traffic is meant for this backend"
    answering = [configuration_of_rule(traffic.snapshot, route, rule).peek() for rule, _ in places]
    if all(FIXED_RESPONSE in actions_of(settings) for settings in answering):
        names = ", ".join(dict.fromkeys(settings.meta.name for settings in answering if settings is not None))
        return f"ListenerRuleConfiguration {names} answers in place of this backend"
    return ""
