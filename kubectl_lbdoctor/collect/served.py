"""What the API server gives with every object of a kind: an object without it did not come from there as it is.

Most fields of the Kubernetes API may lack, and their absence means something: a Service without a selector has its
endpoints made by hand. A few cannot lack, because the API server refuses to store an object without them, sets a
default or writes them itself. Where one of these is not there, something between here and the API server has taken it
away, and what else was taken away nobody knows: such an object is left out and counted, and accuses nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, TypeVar

from kubectl_lbdoctor.collect.fields import NotUnderstood, Raw, mapping, number
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.kinds import Kind
from kubectl_lbdoctor.record import record

T = TypeVar("T")

_TEMPLATE = (
    *("spec.template.spec: containers", "spec.template.spec.containers[]: name", "spec: selector"),
    "status: observedGeneration",  # what has none was made a moment ago: no status is known of it
)
_WEBHOOKS = (
    *("webhooks[]: name", "webhooks[]: failurePolicy", "webhooks[].clientConfig: service|url"),
    *("webhooks[].clientConfig.service[]: name", "webhooks[].clientConfig.service[]: namespace"),
)
_LISTENERS = ("spec.listeners[]: name", "spec.listeners[]: port", "spec.listeners[]: protocol")

_ALWAYS: Mapping[Kind, tuple[str, ...]] = {
    # Either rules or a default backend, a backend of each path; the API server writes the status itself.
    # https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/
    kinds.INGRESS: (
        *("spec: rules|defaultBackend", "spec.rules[].http[]: paths", "*: status?"),
        *("spec.rules[].http[].paths[].backend: service|resource", "spec.defaultBackend[]: service|resource"),
        "spec.rules[].http[].paths[].backend.service[]: name",
    ),
    # type is ClusterIP by default, protocol TCP. Only a headless Service and an ExternalName one need no ports.
    # https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/
    kinds.SERVICE: (
        *("spec: type", "spec: ports|externalName|clusterIP=None", "spec.ports[]: port", "spec.ports[]: protocol"),
        *("spec.ports[]: targetPort", "*: status?"),
    ),
    # serviceRef with both its fields is required (the CRD's schema); the controller's webhook refuses a binding that
    # names no target group.
    # https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/targetgroupbinding/spec/
    kinds.TARGET_GROUP_BINDING: (
        *("spec.serviceRef: name", "spec.serviceRef: port", "spec: targetGroupARN|targetGroupName"),
    ),
    # https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-class-v1/
    kinds.INGRESS_CLASS: ("spec: controller",),
    kinds.INGRESS_CLASS_PARAMS: (),
    # https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/
    kinds.NETWORK_POLICY: ("spec: podSelector?", "spec: policyTypes"),
    # https://gateway-api.sigs.k8s.io/reference/spec/ (what its CRDs require or give a default)
    kinds.GATEWAY_CLASS: ("spec: controllerName",),
    kinds.GATEWAY: ("spec: gatewayClassName", "spec: listeners", *_LISTENERS),
    kinds.LISTENER_SET: ("spec: parentRef", "spec: listeners", *_LISTENERS),
    kinds.REFERENCE_GRANT: ("spec: from", "spec: to"),
    **dict.fromkeys(kinds.ROUTES, ("*: spec?", "spec.parentRefs[]: name")),
    # https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/spec/
    kinds.LOAD_BALANCER_CONFIGURATION: (),
    kinds.TARGET_GROUP_CONFIGURATION: (),
    kinds.LISTENER_RULE_CONFIGURATION: (),
    # Both lists are written even where they are empty, as null then. A port's number may lack in the API, but not in
    # slices that the endpoint slice controller makes.
    # https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
    kinds.ENDPOINT_SLICE: ("*: addressType", "*: endpoints??", "*: ports??", "endpoints[]: addresses", "ports[]: port"),
    # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
    kinds.POD: ("spec: containers", "spec.containers[]: name", "status: phase"),
    # https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/
    kinds.NODE: ("*: spec?", "*: status?"),
    kinds.NAMESPACE: (),
    # https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    kinds.EVENT: ("*: involvedObject?",),
    kinds.SERVICE_ACCOUNT: (),
    kinds.LEASE: (),
    # https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/
    kinds.SECRET: ("*: type",),
    # replicas is 1 by default. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/
    kinds.DEPLOYMENT: ("spec: replicas", *_TEMPLATE),
    kinds.STATEFUL_SET: ("spec: replicas", *_TEMPLATE),
    kinds.REPLICA_SET: ("spec: replicas", *_TEMPLATE),
    # The numbers of its status are written even where they are 0.
    # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/daemon-set-v1/
    kinds.DAEMON_SET: (*_TEMPLATE, "status: desiredNumberScheduled", "status: numberReady"),
    # https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/mutating-webhook-configuration-v1/
    kinds.MUTATING_WEBHOOK_CONFIGURATION: _WEBHOOKS,
    kinds.VALIDATING_WEBHOOK_CONFIGURATION: _WEBHOOKS,
}
"""What every stored object of a kind has, as "place: field". A place is a way of fields, "*" the object itself; "a[]"
goes on in each entry of a list, or in an object, and nowhere where it lacks. A field is there and not empty; "a?" may
be empty, "a??" null, too; "a=x" is x; of "a|b" one is there."""


@record
class _Rule:
    """place: fields with whether their entries are meant. fields: name, what may stand there besides ("", "?", "??"),
    and the value that is wanted, None for any."""

    written: str
    place: tuple[tuple[str, bool], ...]
    fields: tuple[tuple[str, str, str | None], ...]

    def holds(self, raw: Raw) -> bool:
        return all(any(_has(found, field) for field in self.fields) for found in _at(raw, self.place))


def _parsed(written: str) -> _Rule:
    place, _, fields = written.partition(": ")
    steps = () if place == "*" else tuple((part.removesuffix("[]"), part.endswith("[]")) for part in place.split("."))
    alternatives = []
    for field in fields.split("|"):
        name, equals, value = field.partition("=")
        plain = name.rstrip("?")
        alternatives.append((plain, name[len(plain) :], value if equals else None))
    return _Rule(written, steps, tuple(alternatives))


_RULES = {kind: tuple(map(_parsed, rules)) for kind, rules in _ALWAYS.items()}


def _tls_secret(raw: Raw) -> str:
    """A Secret of this type is refused without these keys.

    https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets
    """
    of_tls = raw.get("type") == "kubernetes.io/tls"
    return "it has no data.tls.crt" if of_tls and "tls.crt" not in mapping(raw, "data") else ""


def _counts(available: str, ready: str) -> Callable[[Raw], str]:
    """Numbers that are 0 are left out of a status, so that one that was lost shows by the others only: what is
    available has been ready for some time."""

    def contradiction(raw: Raw) -> str:
        status = mapping(raw, "status")
        more = number(status, available) > number(status, ready)
        return f"its status.{available} is larger than its status.{ready}" if more else ""

    return contradiction


_REPLICAS = _counts("availableReplicas", "readyReplicas")
_CONTRADICTIONS: Mapping[Kind, Callable[[Raw], str]] = {
    kinds.SECRET: _tls_secret,
    kinds.DEPLOYMENT: _REPLICAS,
    kinds.STATEFUL_SET: _REPLICAS,
    kinds.REPLICA_SET: _REPLICAS,
    kinds.DAEMON_SET: _counts("numberAvailable", "numberReady"),
}
"""What of an object contradicts the rest, "" where nothing does."""


class AsWritten(dict[str, Any]):
    """An object as a manifest has it: no API server has given it defaults and a status yet, so that it lacks them by
    right."""


def whole(kind: Kind, convert: Callable[..., T]) -> Callable[..., T]:
    """The converter, for objects that are whole: it raises NotUnderstood for one that lacks what every object of its
    kind has."""

    @wraps(convert)
    def checked(raw: Raw, **more: Any) -> T:
        if not isinstance(raw, AsWritten):
            require_whole(kind, raw)
        return convert(raw, **more)

    return checked


def require_whole(kind: Kind, raw: Raw) -> None:
    """Raise NotUnderstood for an object that lacks what every object of its kind has."""
    for rule in _RULES[kind]:
        if not rule.holds(raw):
            raise NotUnderstood(f"it has no {rule.written.removeprefix('*: ').replace(': ', '.').rstrip('?')}")
    contradiction = _CONTRADICTIONS.get(kind)
    if contradiction is not None and (what := contradiction(raw)):
        raise NotUnderstood(what)


def _at(raw: Any, place: tuple[tuple[str, bool], ...]) -> Iterator[Raw]:
    """The objects at a place; {} for one that should be there and is not."""
    if not place:
        yield raw if isinstance(raw, Mapping) else {}
        return
    (name, each), rest = place[0], place[1:]
    found = raw.get(name) if isinstance(raw, Mapping) else None
    if not each:
        yield from _at(found, rest)
        return
    for entry in found if isinstance(found, list) else () if found is None else (found,):
        yield from _at(entry, rest)


def _has(holder: Raw, field: tuple[str, str, str | None]) -> bool:
    name, besides, wanted = field
    if name not in holder:
        return False
    value = holder[name]
    if wanted is not None:
        return bool(value == wanted)
    if value is None:
        return besides == "??"
    return bool(besides) or value not in ("", [], {})
