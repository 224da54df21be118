"""LBD14x: Gateways and their routes: class, listeners, attachment and references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.chained_gateways import fault_of_check
from kubectl_lbdoctor.analysis.controller_complaints import READS as CONTROLLER_READS
from kubectl_lbdoctor.analysis.frontends import Frontend
from kubectl_lbdoctor.analysis.frontends.gateway import GatewayApiFrontend
from kubectl_lbdoctor.analysis.gateway_conditions import (
    SEE_EVENTS,
    SETTLING_SECONDS,
    not_taken_over,
    refusal,
    refused,
    refused_at,
    said,
    stands,
    waits_for_class,
)
from kubectl_lbdoctor.analysis.gateway_settings import READS
from kubectl_lbdoctor.analysis.gateways import (
    ALB_CONTROLLER,
    NLB_CONTROLLER,
    Attachment,
    Refusal,
    attachments,
    backends,
    balancer_arn,
    class_of,
    gateway_of,
    granted,
    grants_of,
    listener_owners,
    parent_ref,
    route_kinds,
    route_of,
    routes_of_subject,
    sections,
)
from kubectl_lbdoctor.analysis.remediation import edit, kubectl, written
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.analysis.similar_names import nearest
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.knowledge.controller_identity import feature_gates
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Param, Severity, Source
from kubectl_lbdoctor.model.gateway_api import GROUP, BackendReference, Gateway, ListenerSet, Route
from kubectl_lbdoctor.model.k8s import Condition, Workload, condition
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_GATES = {ALB_CONTROLLER: "ALBGatewayAPI", NLB_CONTROLLER: "NLBGatewayAPI"}
"""The feature gate of the controller's part that reconciles the Gateways of a class."""


def of_gateway_api(frontend: Frontend) -> GatewayApiFrontend:
    """The frontend, where it is a Gateway or a route. Raises NotApplicable for others, Unknown where it is unread."""
    if not isinstance(frontend, GatewayApiFrontend):
        raise NotApplicable("no Gateway and no route")
    frontend.manifest.need()
    return frontend


@check(
    "LBD140",
    title="the GatewayClass is not accepted",
    passes="the GatewayClass is accepted",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="GatewayClass {name} is not accepted: {reason}",
    reads=READS,
    explains=undone_by("LBD140"),
    distinct_by=("name",),
)
def class_not_accepted(frontend: Frontend) -> Iterator[Finding]:
    """The controller does not accept the class: `parametersRef` names a LoadBalancerConfiguration that does not exist,
    or no namespace for it. It then makes nothing of the Gateways of this class, and says so at each of them.

    Confirm by hand: `kubectl describe gatewayclass NAME`. Repair: make the LoadBalancerConfiguration, or correct or
    remove `parametersRef`.
    """
    for gateway in of_gateway_api(frontend).ours:
        found = class_of(frontend.snapshot, gateway).need()
        accepted = condition(found.conditions, "Accepted") if found is not None else None
        if found is None or found.controller not in _GATES or accepted is None or accepted.status != "False":
            continue
        if not stands(accepted, found.meta.generation):
            continue
        ref, named = ObjectRef(kinds.GATEWAY_CLASS.name, "", found.meta.name), found.parameters
        yield Finding(
            "LBD140",
            ref,
            params={
                "name": found.meta.name,
                "reason": accepted.message or accepted.reason,
            },
            evidence=(
                said(str(ref), accepted),
                *((Evidence(str(ref), f"parametersRef {named.kind} {named.namespace}/{named.name}"),) if named else ()),
                Evidence(str(gateway.ref), f"class {found.meta.name}"),
            ),
            confirm=(kubectl("get", str(ref), "-o", "yaml"),),
            by_hand=(kubectl("edit", str(ref)),),
            advice="make the LoadBalancerConfiguration that parametersRef names (with its namespace), or correct it",
        )


@check(
    "LBD141",
    title="the controller's part for Gateways does not run",
    passes="the controller's part for Gateways is at work",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="nobody {fault:never=has looked|left=looks any more} at Gateway {name}: the controller's {gate} does not "
    "run",
    reads=(*READS, *CONTROLLER_READS, reads.EVENTS, reads.CONTROLLER_LOGS),
    explains=undone_by("LBD141"),
)
def gateway_part_off(frontend: Frontend) -> Iterator[Finding]:
    """The Gateway's class is the controller's, and a minute later nobody has written a condition or an event. The
    controller leaves Gateways alone where its feature gate is off (before release 3.2 by default), or where it started
    without the CRDs that it needs; that stands in its log alone. CRDs that are installed later need a restart of it.
    Of a Gateway that it has worked on before, all goes on, and no change is taken over.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/main/pkg/gateway/crddetect

    Confirm by hand: the controller's log has "Disabling ALBGatewayAPI" or "Disabling NLBGatewayAPI". Repair: install
    the CRDs of Gateway API and of the controller, and restart it; for an older release, its feature gates.
    """
    for gateway in of_gateway_api(frontend).ours:
        found = class_of(frontend.snapshot, gateway).need()
        gate = _GATES.get(found.controller, "") if found is not None else ""
        if not gate or seconds_between(gateway.meta.created, frontend.snapshot.taken_at) < SETTLING_SECONDS:
            continue
        controllers = frontend.snapshot.cluster.controllers.need()
        closed = _closed_gate(frontend.snapshot, controllers, gate)
        seen = gateway.meta.finalizers or any(c.reason not in ("Pending", "") for c in gateway.conditions)
        if not controllers or (seen and not closed) or (not seen and _has_events(frontend.snapshot, gateway)):
            continue
        yield _part_off(gateway, gate, controllers[0], closed, bool(seen))


def _has_events(snapshot: Snapshot, gateway: Gateway) -> bool:
    events = snapshot.facts_of(gateway.meta.namespace).events.need()
    return any((event.kind, event.name) == (gateway.ref.kind, gateway.ref.name) for event in events)


def _closed_gate(snapshot: Snapshot, controllers: Iterable[Workload], gate: str) -> tuple[Evidence, ...]:
    """What says that the controller's part does not run: its flag, or the line that it writes when it starts."""
    flags = [
        Evidence(f"deployment/{workload.meta.name}", f"--feature-gates has {gate}=false")
        for workload in controllers
        if feature_gates(workload).get(gate) is False
    ]
    lines = [line for log in snapshot.cluster.controller_logs.values() for line in (log.peek() or "").splitlines()]
    started = [line for line in lines if f"Disabling {gate}" in line]
    return (*flags, *(Evidence(Source.CONTROLLER_LOG, line[:300]) for line in started[-1:]))


def _part_off(gateway: Gateway, gate: str, workload: Workload, closed: tuple[Evidence, ...], seen: bool) -> Finding:
    """seen: the controller has worked on the Gateway before, so that what it made goes on as it is."""
    never = "no condition, no finalizer and no event of the controller"
    left = "what the controller has made of it goes on, and no change is taken over"
    by_flag = any("feature-gates" in entry.text for entry in closed)
    advice = (
        f"start it without {gate}=false in --feature-gates"
        if by_flag
        else (
            "install the CRDs of Gateway API and of the controller that its release needs first; before "
            f"release 3.2 start it with --feature-gates={gate}=true"
        )
    )
    crds = ("gateways.gateway.networking.k8s.io", "targetgroupconfigurations.gateway.k8s.aws")
    restart = kubectl("rollout", "restart", f"deployment/{workload.meta.name}", namespace=workload.meta.namespace)
    return Finding(
        "LBD141",
        ObjectRef("Deployment", workload.meta.namespace, workload.meta.name),
        params={"name": gateway.meta.name, "gate": gate, "fault": "left" if seen else "never"},
        severity=Severity.WARNING if seen else None,
        explains=("LBD150",) if seen else (),
        evidence=(*closed, Evidence(str(gateway.ref), left if seen else never)),
        confirm=(kubectl("get", "crd", *crds),),
        by_hand=() if by_flag else (restart,),
        advice=advice,
    )


@check(
    "LBD142",
    title="a listener of the Gateway is not valid",
    passes="every listener is valid",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="listener {listener} of {kind} {name} is not valid: {reason}",
    reads=READS,
    explains=("LBD209", "LBD143", "LBD150"),
    distinct_by=("kind", "name", "listener"),
)
def listener_invalid(frontend: Frontend) -> Iterator[Finding]:
    """The controller refuses a listener: another one has its port with another protocol or the same host name, its
    protocol is none that the load balancer has, or it allows kinds of routes that do not exist.

    Confirm by hand: `kubectl get gateway NAME -o yaml`, status.listeners. Repair: the listener.
    """
    for gateway in of_gateway_api(frontend).ours:
        for owner in listener_owners(frontend.snapshot, gateway):
            for status in owner.listener_status:
                refused = next((found for found in status.conditions if _refuses(found, owner.meta.generation)), None)
                if refused is not None:
                    yield _invalid(owner, status.name, refused)


def _refuses(found: Condition, generation: int) -> bool:
    """Whether a condition of a listener, about this generation of its object, says that it is not valid."""
    if found.type not in ("Conflicted", "Accepted", "ResolvedRefs"):
        return False
    if not stands(found, generation):
        return False
    return found.status == ("True" if found.type == "Conflicted" else "False")


def _invalid(owner: Gateway | ListenerSet, name: str, refused: Condition) -> Finding:
    ref = owner.ref
    listener = next((entry for entry in owner.listeners if entry.name == name), None)
    where = f"{listener.protocol} {listener.port} {listener.hostname}".strip() if listener else ""
    return Finding(
        "LBD142",
        ref,
        params={
            "listener": name,
            "kind": ref.kind,
            "name": ref.name,
            "reason": refused.message or refused.reason,
        },
        evidence=(said(f"{ref}, listener {name}", refused), Evidence(str(ref), f"{name}: {where}")),
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
        by_hand=(kubectl("edit", str(ref), namespace=ref.namespace),),
        advice="give it a port or a host name of its own"
        if refused.type == "Conflicted"
        else "give it a protocol that the load balancer has, and kinds of routes that exist",
    )


@check(
    "LBD143",
    title="a route is not attached to its Gateway",
    passes="every route is attached to its Gateway",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{kind} {name} is not attached to {parent}: {fault:missing=it does not exist|section=it has no listener "
    "{section}|namespace=it takes routes of {allowed} only|kind=its listeners take {allowed} only|"
    "hostname=no host name in common ({allowed})|said=the controller refuses it ({allowed})}",
    reads=(*READS, reads.NAMESPACES),
    explains=("LBD209",),
    fix="allowed-routes",
    distinct_by=("kind", "name", "parent", "section"),
    by_absence=(reads.GATEWAYS,),
)
def route_not_attached(frontend: Frontend) -> Iterator[Finding]:
    """A route names a Gateway as its parent, and no listener there takes it: the Gateway does not exist, has no
    listener of this name or port, takes routes of its own namespace only (the default), of other kinds or for other
    hosts. Nothing is made for the route; an Application Load Balancer answers its requests with 404.

    Confirm by hand: `kubectl get ROUTE NAME -o yaml`, status.parents; the listener's attachedRoutes is 0. Repair: for
    another namespace allowedRoutes of the listener, else the route's parentRefs or hostnames.

    The controller has rules of its own besides (an HTTPRoute and a GRPCRoute may not share a host name at one port):
    what its status says of a route as it is now counts where these rules find nothing.
    """
    found = of_gateway_api(frontend)
    for route in routes_of_subject(frontend.snapshot, found.ref):
        for parent in route.parents:
            ref = parent_ref(route, parent)
            if found.ref != route.ref or ref.kind != "Gateway":
                continue
            if gateway_of(frontend.snapshot, ref.namespace, ref.name).need() is None:
                yield _no_parent(frontend, route, ref)
        for gateway in found.ours:
            for attachment in attachments(frontend.snapshot, route, gateway):
                if attachment.refusal is not None:
                    yield _not_attached(frontend, route, gateway, attachment, attachment.refusal)
                elif (no := refused_at(route, attachment.parent)) is not None:
                    yield _said_to_be_refused(route, gateway, no)


def _said_to_be_refused(route: Route, gateway: Gateway, found: Condition) -> Finding:
    parent = f"Gateway {gateway.meta.namespace}/{gateway.meta.name}"
    return Finding(
        "LBD143",
        route.ref,
        params=_params(route, parent, "said", allowed=found.reason),
        evidence=(said(str(route.ref), found),),
        confirm=(kubectl("get", _resource(route), "-o", "yaml", namespace=route.meta.namespace),),
        by_hand=(kubectl("edit", _resource(route), namespace=route.meta.namespace),),
        advice="correct what the controller says of it",
    )


def _no_parent(frontend: Frontend, route: Route, parent: ObjectRef) -> Finding:
    gateways = frontend.snapshot.gateway_api.gateways.need()
    names = [f"{g.meta.namespace}/{g.meta.name}" for g in gateways]
    close = nearest(f"{parent.namespace}/{parent.name}", names)
    return Finding(
        "LBD143",
        route.ref,
        params=_params(route, f"Gateway {parent.namespace}/{parent.name}", "missing"),
        evidence=(Evidence(reads.GATEWAYS, ", ".join(names[:8]) or "none"),),
        confirm=(kubectl("get", "gateways.gateway.networking.k8s.io", "-A"),),
        by_hand=(kubectl("edit", _resource(route), namespace=route.meta.namespace),),
        advice=f"name {close} in parentRefs"
        if close
        else f"make the Gateway {parent.name}, or name another in parentRefs",
        effect_of=(),
    )


def _params(route: Route, parent: str, fault: str, section: str = "", allowed: str = "") -> dict[str, Param]:
    return {
        "kind": route.kind,
        "name": f"{route.meta.namespace}/{route.meta.name}",
        "parent": parent,
        "fault": fault,
        "section": section,
        "allowed": allowed,
    }


def _resource(route: Route) -> str:
    return f"{route.kind.lower()}/{route.meta.name}"


def _not_attached(
    frontend: Frontend, route: Route, gateway: Gateway, attachment: Attachment, refusal: Refusal
) -> Finding:
    ref, parent = gateway.ref, f"Gateway {gateway.meta.namespace}/{gateway.meta.name}"
    section = attachment.refused[0][0] if attachment.refused else None
    where = section.listener if section is not None else None
    names = ", ".join(f"{s.listener.name} ({s.listener.port})" for s in sections(frontend.snapshot, gateway)) or "none"
    status = [
        said(f"{route.ref} at {ref}", found)
        for entry in route.status
        if parent_ref(route, entry.parent) == ref
        for found in entry.conditions
        if found.type == "Accepted" and found.status == "False"
    ]
    wanted = attachment.parent.section or (str(attachment.parent.port) if attachment.parent.port else "")
    edits_gateway = refusal is Refusal.NAMESPACE and section is not None and section.owner.kind == "Gateway"
    params, advice = _params(route, parent, "section", wanted), f"name one of its listeners: {names}"
    if refusal is Refusal.NAMESPACE and where is not None:
        params = _params(route, parent, "namespace", wanted, _allowed_namespaces(gateway, where.allowed.namespaces))
        advice = "allow the route's namespace in allowedRoutes of the listener, or move the route"
    elif refusal is Refusal.KIND and where is not None:
        params = _params(route, parent, "kind", wanted, ", ".join(route_kinds(where)) or "no known kind")
        advice = (
            f"a {where.protocol} listener takes {', '.join(route_kinds(where))}: use one of them, or another listener"
        )
    elif refusal is Refusal.HOSTNAME and where is not None:
        hosts = ", ".join(route.hostnames)
        params = _params(route, parent, "hostname", wanted, f"listener {where.hostname}, route {hosts}")
        advice = "give route and listener a host name in common"
    # Of which kinds a listener takes none that exists, it is not valid (LBD142).
    unknown_kinds = refusal is Refusal.KIND and where is not None and not route_kinds(where)
    return Finding(
        "LBD143",
        ref if edits_gateway else route.ref,
        params=params,
        evidence=(*status, Evidence(str(ref), f"listeners: {names}")),
        confirm=(kubectl("get", _resource(route), "-o", "yaml", namespace=route.meta.namespace),),
        repairs=_allow(gateway, where.name, route) if edits_gateway and where is not None else (),
        by_hand=() if edits_gateway else (kubectl("edit", _resource(route), namespace=route.meta.namespace),),
        advice=advice,
        effect_of=("LBD142",) if unknown_kinds else (),
    )


def _allowed_namespaces(gateway: Gateway, allowed: str) -> str:
    words = {"Same": f"namespace {gateway.meta.namespace}", "Selector": "namespaces that their selector matches"}
    return words.get(allowed, "no namespace")


def _allow(gateway: Gateway, listener: str, route: Route) -> tuple[Repair, ...]:
    """Let the listener take routes of all namespaces, or of the route's alone (by the label that names a namespace)."""
    index, found = next((i, entry) for i, entry in enumerate(gateway.listeners) if entry.name == listener)
    if found.allowed.namespaces != "Same":
        return ()
    ref, here = gateway.ref, f"/spec/listeners/{index}"
    guard = edit(f"{here}/name", listener, listener)
    risk = "routes of every namespace may then take requests of this listener"
    change = written(ref, (guard, edit(f"{here}/allowedRoutes/namespaces/from", "Same", "All")))
    return (Repair("All", (change,)).with_reason(f"{route.kind} {route.meta.name} is in {route.meta.namespace}", risk),)


@check(
    "LBD144",
    title="a reference to another namespace is not granted",
    passes="every reference to another namespace is granted",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{kind} {name} leads to {target} in namespace {namespace}, which grants it no reference",
    reads=READS,
    explains=("LBD109", "LBD209"),
    distinct_by=("kind", "name", "target", "namespace"),
    by_absence=(reads.REFERENCE_GRANTS,),
)
def reference_not_granted(frontend: Frontend) -> Iterator[Finding]:
    """A route leads to a Service of another namespace, and no ReferenceGrant there allows it. The controller then
    treats the backend as if it did not exist (ResolvedRefs False, RefNotPermitted).

    Source: https://gateway-api.sigs.k8s.io/api-types/referencegrant/

    Confirm by hand: `kubectl get referencegrants -n NAMESPACE -o yaml`. Repair: a ReferenceGrant in the Service's
    namespace, made by whoever owns it.
    """
    for route in routes_of_subject(frontend.snapshot, of_gateway_api(frontend).ref):
        for _, backend in backends(route):
            allowed = granted(frontend.snapshot, route, backend)
            if allowed:
                continue
            listed = grants_of(frontend.snapshot, backend.namespace)
            if allowed is None:
                continue
            grants = ", ".join(g.meta.name for g in listed) or "none"
            yield Finding(
                "LBD144",
                route.ref,
                params={
                    "kind": route.kind,
                    "name": f"{route.meta.namespace}/{route.meta.name}",
                    "target": f"{backend.kind} {backend.name}",
                    "namespace": backend.namespace,
                },
                evidence=(
                    *refused(route, "ResolvedRefs"),
                    Evidence(f"referencegrants in {backend.namespace}", grants),
                ),
                confirm=(kubectl("get", "referencegrants", "-o", "yaml", namespace=backend.namespace),),
                advice=f"make a ReferenceGrant in namespace {backend.namespace}: from {route.kind} of namespace "
                f"{route.meta.namespace} to {backend.kind} {backend.name}",
            )


@check(
    "LBD145",
    title="a backend of a route is none that the controller can send to",
    passes="every backend of a route is one that the controller can send to",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{kind} {name} leads to {target}: {fault:kind=the controller knows no backends of this kind|port=it needs "
    "a port|missing=it does not exist|network=it is no Application Load Balancer|listener=no listener has its port|"
    "unmade=its load balancer is not made|unanswered=no rule of it answers the health check|"
    "tls=its listener speaks HTTPS, and the health check HTTP}",
    reads=(
        *(*READS, reads.SERVICES, reads.BINDINGS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
        *(reads.LISTENERS, reads.RULES, reads.TAGS),
    ),
    explains=("LBD109", "LBD209", "LBD150"),
    distinct_by=("kind", "name", "target"),
    by_absence=(reads.GATEWAYS,),
)
def backend_unusable(frontend: Frontend) -> Iterator[Finding]:
    """A route names a backend that is no Service, no target group and no Gateway, or a Service or Gateway without a
    port. The controller leaves it out (ResolvedRefs False, InvalidKind or UnsupportedValue).

    A Gateway as backend puts a Network Load Balancer before an Application Load Balancer: the other Gateway has to
    exist, to be of the class of Application Load Balancers, to have the port and to be made already. It is a target as
    every other: the health check, GET / over HTTP unless a TargetGroupConfiguration for the Gateway says otherwise, has
    to be answered by a route without host names; without one the answer is 404. An HTTPS listener needs an HTTPS check.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/routeutils/backend.go
    and backend_gateway.go there.

    Confirm by hand: `kubectl get ROUTE NAME -o yaml`. Repair: the backendRef, or the Gateway that it names.
    """
    for route in routes_of_subject(frontend.snapshot, of_gateway_api(frontend).ref):
        for _, backend in backends(route):
            fault = _fault_of_backend(frontend, route, backend)
            if fault:
                yield _unusable(route, backend, fault)
    for traffic in frontend.paths():
        if fault := fault_of_check(traffic):
            yield from _fails_its_check(traffic, fault)


def _fails_its_check(traffic: TrafficPath, fault: str) -> Iterator[Finding]:
    """The finding about the route to a Gateway that cannot answer the check of the load balancer before it."""
    assert traffic.backend is not None and traffic.backend.route is not None and traffic.backend.behind is not None
    route = route_of(traffic.snapshot, traffic.backend.route).need()
    behind, group = traffic.backend.behind, traffic.target_group.peek()
    if route is None:
        return
    path = group.health_check.path or "/" if group is not None else "/"
    failing = traffic.unhealthy()
    named = BackendReference(behind.name, behind.namespace, behind.kind, GROUP, int(traffic.backend.port or 0))
    finding = _unusable(route, named, fault)
    settings = f"a TargetGroupConfiguration whose targetReference is {behind.kind} {behind.name}"
    seen = {
        "unanswered": f"no route without host names takes GET {path} on port {traffic.backend.port}",
        "tls": f"the listener of port {traffic.backend.port} is HTTPS",
    }
    advice = {
        "unanswered": f"let a route without host names take {path} at {behind}, or set healthCheckPath or matcher in "
        f"{settings} (namespace {behind.namespace})",
        "tls": f"set healthCheckProtocol HTTPS in {settings} (namespace {behind.namespace})",
    }
    yield replace(
        finding,
        evidence=(
            Evidence(Source.TARGET_HEALTH, f"{failing[0].state}: {failing[0].reason} {failing[0].description}".strip()),
            Evidence(str(behind), seen[fault]),
        ),
        targets=tuple(target.key for target in failing),
        by_hand=(),
        advice=advice[fault],
    )


_BACKEND_ADVICE = {
    "kind": "name a Service and its port",
    "port": "name a port of it",
    "missing": "make it, or correct its name and namespace",
    "network": "name a Gateway of an Application Load Balancer",
    "listener": "name the port of one of its listeners",
    "unmade": "see what keeps it from being made",
    "unanswered": "",
    "tls": "",
}


def _fault_of_backend(frontend: Frontend, route: Route, backend: BackendReference) -> str:
    """What is wrong with a backendRef, "" for nothing. That of a missing Service has a code of its own."""
    if backend.kind not in ("Service", "TargetGroupName", "Gateway"):
        return "kind"
    if backend.kind != "TargetGroupName" and not backend.port:
        return "port"
    if backend.kind != "Gateway" or not granted(frontend.snapshot, route, backend):
        return ""
    behind = gateway_of(frontend.snapshot, backend.namespace or route.meta.namespace, backend.name).need()
    if behind is None:
        return "missing"
    owner = class_of(frontend.snapshot, behind).need()
    if owner is not None and owner.controller == NLB_CONTROLLER:
        return "network"
    if backend.port not in {section.listener.port for section in sections(frontend.snapshot, behind)}:
        return "listener"
    return "" if balancer_arn(behind) else "unmade"


def _unusable(route: Route, backend: BackendReference, fault: str) -> Finding:
    port = f" port {backend.port}" if backend.port else ""
    named = f"{backend.group or 'core'}/{backend.kind} {backend.name}{port}"
    return Finding(
        "LBD145",
        route.ref,
        params={
            "kind": route.kind,
            "name": f"{route.meta.namespace}/{route.meta.name}",
            "target": f"{backend.kind} {backend.name}",
            "fault": fault,
        },
        evidence=(*refused(route, "ResolvedRefs"), Evidence(str(route.ref), f"backendRef {named}")),
        confirm=(kubectl("get", _resource(route), "-o", "yaml", namespace=route.meta.namespace),),
        by_hand=(kubectl("edit", _resource(route), namespace=route.meta.namespace),),
        advice=_BACKEND_ADVICE[fault],
    )


@check(
    "LBD150",
    title="the controller does not accept the Gateway, or not its last change",
    passes="the controller has accepted the Gateway as it is",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{gateways:=Gateway|Gateways} {gateways} {fault:refused=is not accepted ({reason})|stale=has changed, and "
    "the controller has not taken it over|class={gateways:=waits|wait} for GatewayClass {gateway_class}, which the "
    "controller has not accepted as it is}",
    reads=READS,
    explains=("LBD109", "LBD209"),
    distinct_by=("fault",),
)
def gateway_not_accepted(frontend: Frontend) -> Iterator[Finding]:
    """The status of the Gateway says that it is not accepted, or it still speaks of an earlier generation although the
    last change is a minute old. What the controller has made of it stays as it was. Usually another diagnosis says why;
    alone, the controller's events and log do. Where the condition speaks of the GatewayClass, that is not accepted, or
    the controller has not yet read the last version of its LoadBalancerConfiguration: all Gateways of the class wait.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/controllers/gateway/gateway_controller.go

    Confirm by hand: `kubectl describe gateway NAME`, or `kubectl describe gatewayclass NAME`. Repair: what the
    condition or the newest event names.
    """
    for gateway in of_gateway_api(frontend).ours:
        no = refusal(gateway)
        stale = not_taken_over(gateway, frontend.snapshot.taken_at)
        found = no or stale
        if found is None or gateway.meta.deleted:
            continue
        generations = f"generation {gateway.meta.generation}; the condition is of {found.observed_generation}"
        of_class = no is not None and waits_for_class(gateway, no)
        blamed = ObjectRef("GatewayClass", "", gateway.class_name) if of_class else gateway.ref
        yield Finding(
            "LBD150",
            blamed,
            params={
                "gateways": (gateway.meta.name,),
                "gateway_class": gateway.class_name,
                "fault": "class" if of_class else "refused" if no is not None else "stale",
                "reason": "its events say why" if found.message == SEE_EVENTS else found.reason,
            },
            evidence=(said(str(gateway.ref), found), *((Evidence(str(gateway.ref), generations),) if stale else ())),
            confirm=(kubectl("describe", str(blamed), namespace=blamed.namespace),),
            advice=(
                "see in its conditions and in the log of the controller what keeps it; all Gateways of the class wait"
                if of_class
                else "correct what the controller says of it; it tries again by itself"
                if no is not None
                else "see in the events and the log of the controller why it has not; it tries again by itself"
            ),
        )
