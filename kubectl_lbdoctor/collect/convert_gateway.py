"""From raw Gateway API JSON to slim records. Pure; what is absent gets the default of the API's specification.

Source: https://gateway-api.sigs.k8s.io/reference/spec/
"""

from __future__ import annotations

import hashlib

from kubectl_lbdoctor.collect.convert_kube import conditions, meta, selector
from kubectl_lbdoctor.collect.fields import Raw, free, mapping, number, objects, optional_flag, text, texts
from kubectl_lbdoctor.model import gateway_api as api


def gateway_class(raw: Raw) -> api.GatewayClass:
    """A GatewayClass with what it is configured by."""
    spec = mapping(raw, "spec")
    return api.GatewayClass(
        meta=meta(raw, managed=True),
        controller=text(spec, "controllerName"),
        parameters=_optional_reference(spec, "parametersRef"),
        conditions=conditions(mapping(raw, "status")),
    )


def gateway(raw: Raw) -> api.Gateway:
    """A Gateway with its listeners and what the controller says of them."""
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    return api.Gateway(
        meta=meta(raw, managed=True),
        class_name=text(spec, "gatewayClassName"),
        listeners=_listeners(spec),
        parameters=_optional_reference(mapping(spec, "infrastructure"), "parametersRef"),
        allowed_sets=_allowed(mapping(spec, "allowedListeners"), "None"),
        addresses=tuple(value for entry in objects(status, "addresses") if (value := text(entry, "value"))),
        conditions=conditions(status),
        listener_status=_listener_status(status),
        changed=_changed(raw),
        has_infrastructure="infrastructure" in spec,
    )


def _changed(raw: Raw) -> str:
    """The last time at which fields other than those of the status were written
    (https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers)."""
    entries = objects(mapping(raw, "metadata"), "managedFields")
    return max((text(entry, "time") for entry in entries if not text(entry, "subresource")), default="")


def listener_set(raw: Raw) -> api.ListenerSet:
    """A ListenerSet: listeners that it adds to a Gateway."""
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    return api.ListenerSet(
        meta=meta(raw),
        parent=_reference(mapping(spec, "parentRef"), kind="Gateway", group=api.GROUP),
        listeners=_listeners(spec),
        listener_status=_listener_status(status),
    )


def route(raw: Raw, *, kind: str) -> api.Route:
    """A route of this kind."""
    spec, status = mapping(raw, "spec"), mapping(raw, "status")
    return api.Route(
        kind=kind,
        meta=meta(raw, managed=True),
        parents=tuple(_parent(entry) for entry in objects(spec, "parentRefs")),
        hostnames=texts(spec, "hostnames"),
        rules=tuple(_rule(rule) for rule in objects(spec, "rules")),
        status=tuple(
            api.ParentStatus(_parent(mapping(entry, "parentRef")), text(entry, "controllerName"), conditions(entry))
            for entry in objects(status, "parents")
        ),
    )


def reference_grant(raw: Raw) -> api.ReferenceGrant:
    """A ReferenceGrant: who may refer from other namespaces to what is in its own."""
    spec = mapping(raw, "spec")
    return api.ReferenceGrant(
        meta=meta(raw),
        sources=tuple(_reference(entry) for entry in objects(spec, "from")),
        targets=tuple(_reference(entry) for entry in objects(spec, "to")),
    )


def settings(raw: Raw, *, kind: str) -> api.GatewaySettings:
    """A configuration of group gateway.k8s.aws of this kind."""
    return api.GatewaySettings(kind=kind, meta=meta(raw, managed=True), spec=free(raw, "spec"))


def rule_settings(raw: Raw) -> api.GatewaySettings:
    """A ListenerRuleConfiguration: what its actions are, and what the controller says of it. What they hold (logins) is
    not kept."""
    status = mapping(raw, "status")
    actions = [{"type": text(entry, "type")} for entry in objects(mapping(raw, "spec"), "actions")]
    return api.GatewaySettings(
        kind="ListenerRuleConfiguration",
        meta=meta(raw),
        spec={"actions": actions} if actions else {},
        accepted=optional_flag(status, "accepted"),
        message=text(status, "message"),
    )


def _reference(raw: Raw, kind: str = "", group: str = "") -> api.Reference:
    return api.Reference(
        kind=text(raw, "kind", kind),
        name=text(raw, "name"),
        namespace=text(raw, "namespace"),
        group=text(raw, "group", group),
    )


def _optional_reference(raw: Raw, key: str) -> api.Reference | None:
    found = mapping(raw, key)
    return _reference(found) if found else None


def _allowed(raw: Raw, default: str) -> api.AllowedRoutes:
    namespaces = mapping(raw, "namespaces")
    return api.AllowedRoutes(
        namespaces=text(namespaces, "from", default),
        selector=selector(namespaces, "selector"),
        kinds=tuple(text(entry, "kind") for entry in objects(raw, "kinds")),
    )


def _listeners(spec: Raw) -> tuple[api.GatewayListener, ...]:
    return tuple(
        api.GatewayListener(
            name=text(entry, "name"),
            port=number(entry, "port"),
            protocol=text(entry, "protocol"),
            hostname=text(entry, "hostname"),
            allowed=_allowed(mapping(entry, "allowedRoutes"), "Same"),
        )
        for entry in objects(spec, "listeners")
    )


def _listener_status(status: Raw) -> tuple[api.ListenerStatus, ...]:
    return tuple(api.ListenerStatus(text(entry, "name"), conditions(entry)) for entry in objects(status, "listeners"))


def _parent(raw: Raw) -> api.ParentReference:
    return api.ParentReference(
        name=text(raw, "name"),
        namespace=text(raw, "namespace"),
        kind=text(raw, "kind", "Gateway"),
        group=text(raw, "group", api.GROUP),
        section=text(raw, "sectionName"),
        port=number(raw, "port"),
    )


def _backend(raw: Raw) -> api.BackendReference:
    return api.BackendReference(
        name=text(raw, "name"),
        namespace=text(raw, "namespace"),
        kind=text(raw, "kind", "Service"),
        group=text(raw, "group"),
        port=number(raw, "port"),
        weight=number(raw, "weight", 1),
    )


def _rule(raw: Raw) -> api.RouteRule:
    return api.RouteRule(
        matches=tuple(_match(entry) for entry in objects(raw, "matches")),
        backends=tuple(_backend(entry) for entry in objects(raw, "backendRefs")),
        extensions=tuple(
            _reference(mapping(entry, "extensionRef"))
            for entry in objects(raw, "filters")
            if text(entry, "type") == "ExtensionRef"
        ),
        filters=tuple(text(entry, "type") for entry in objects(raw, "filters")),
    )


def _match(raw: Raw) -> api.RouteMatch:
    """A match of an HTTPRoute or a GRPCRoute. A path match without a value is "/", and without a type a prefix."""
    path, method = mapping(raw, "path"), raw.get("method")
    if isinstance(method, (str, type(None))):
        return api.RouteMatch(
            path=text(path, "value", "/"),
            path_kind=text(path, "type", "PathPrefix"),
            method=text(raw, "method"),
            headers=_conditions(raw, "headers"),
            parameters=_conditions(raw, "queryParams"),
        )
    called = mapping(raw, "method")
    return api.RouteMatch(
        path="",
        path_kind=text(called, "type", "Exact"),
        method=f"{text(called, 'service')}/{text(called, 'method')}",
        headers=_conditions(raw, "headers"),
    )


def _conditions(raw: Raw, key: str) -> tuple[api.MatchCondition, ...]:
    def name(entry: Raw) -> str:
        return text(entry, "name").lower() if key == "headers" else text(entry, "name")

    return tuple(
        api.MatchCondition(name(entry), _digest(text(entry, "value")), text(entry, "type", "Exact"))
        for entry in objects(raw, key)
    )


def _digest(value: str) -> str:
    """Tells equal values from others, and not what they are: a header may hold a secret."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]
