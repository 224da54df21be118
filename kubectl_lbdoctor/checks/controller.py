"""LBD1xx: ownership, the controller's model, and the controller itself."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.controller_complaints import READS as REPORT_READS
from kubectl_lbdoctor.analysis.controller_complaints import former_complaints, standing_complaints
from kubectl_lbdoctor.analysis.controller_present import is_of, lost_nodes, pods_of
from kubectl_lbdoctor.analysis.controller_reach import is_untouched
from kubectl_lbdoctor.analysis.frontends import Frontend, frontend_of, ownership, traffic_paths
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.gateways import route_of
from kubectl_lbdoctor.analysis.ingress_backends import spoken
from kubectl_lbdoctor.analysis.leadership import GRACE, leadership
from kubectl_lbdoctor.analysis.ownership import OUR_CONTROLLERS, controller_flags
from kubectl_lbdoctor.analysis.ownership import READS as OWNERSHIP_READS
from kubectl_lbdoctor.analysis.recent_edits import RECONCILE_SECONDS, last_edit
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import annotate, class_repair, edit, kubectl, patch
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.analysis.takers import takers
from kubectl_lbdoctor.checks.controller_errors import OWN_CODES as DECODED
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.checks.workload import NODE_ADVICE
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.knowledge.controller_identity import lease_of, plain_flag, watched_namespace, watching
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown, recording
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Param, Severity, Source
from kubectl_lbdoctor.model.gateway_api import Route
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL, Ingress, Pod, Service, Workload, condition
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import in_words, seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The most similar of the candidates ("" when none is similar)."""
    close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return close[0] if close else ""


def _backend_owner(traffic: TrafficPath) -> tuple[ObjectRef, str]:
    """The object that names the path's backend, an Ingress or a route, and the backend's Service."""
    if traffic.backend is not None and traffic.backend.route is not None and traffic.backend.service:
        return traffic.backend.route, traffic.backend.service
    ingress, service = _ingress_backend(traffic)
    return ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name), service


def _ingress_backend(traffic: TrafficPath) -> tuple[Ingress, str]:
    ingress = traffic.ingress.need()
    if ingress is None or traffic.backend is None or not traffic.backend.service:
        raise NotApplicable("no Ingress backend that names a Service")
    return ingress, traffic.backend.service


@check(
    "LBD106",
    title="a backend names a Service that does not exist",
    passes="every backend Service exists",
    severity=Severity.ERROR,
    message='{kind} {name} routes {paths} to Service "{service}", which does not exist'
    '[ here, but in {elsewhere:=namespace|namespaces} {elsewhere:,2}][; did you mean "{nearest}"?]',
    reads=(
        *(reads.INGRESSES, reads.SERVICES, reads.BINDINGS, reads.LOAD_BALANCERS, reads.LISTENERS, reads.RULES),
        *(reads.ALL_SERVICES, *GATEWAY_READS),
    ),
    explains=("LBD109", "LBD201", "LBD217", "LBD209"),
    distinct_by=("service",),
)
def backend_service_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A backend of an Ingress or of a Gateway's route names a Service that is not there.

    Of an Ingress the controller still reports "Successfully reconciled": it answers these paths with a fixed 503
    ("Backend service does not exist") and makes no target group for them (default of
    `--tolerate-non-existent-backend-service`). Of a route it says BackendNotFound (condition ResolvedRefs), answers
    with a fixed error, and behind a Network Load Balancer makes no listener.

    Confirm by hand: `kubectl get service NAME`. Repair: create the Service, or correct the name in Ingress or route.
    """
    owner, service = _backend_owner(traffic)
    ingress = traffic.ingress.need() if owner.kind == "Ingress" else None
    if traffic.backend is not None and traffic.backend.port == "use-annotation":
        raise NotApplicable("an action without annotation, see LBD108")
    if traffic.service.need() is not None:
        return
    names = sorted(s.meta.name for s in traffic.namespace_facts.services.need())
    elsewhere = _namespaces_of(traffic, service)
    close = "" if elsewhere else nearest(service, names)
    evidence = [Evidence(f"services in {traffic.namespace}", ", ".join(names[:8]) or "none")]
    if elsewhere:
        evidence.append(Evidence(f"services named {service}", f"in {', '.join(elsewhere[:8])}"))
    for rule in traffic.rules.peek() or ():
        for action in rule.actions:
            if action.type == "fixed-response" and "does not exist" in action.message_body:
                evidence.append(
                    Evidence(
                        Source.LISTENER_RULE,
                        f"priority {rule.priority}: fixed {action.status_code} {action.message_body!r}",
                    )
                )
    forwarding = traffic.backend.action if traffic.backend is not None else ""
    renamed = _name_patch(ingress, service, close, forwarding) if close and ingress is not None else None
    yield Finding(
        "LBD106",
        owner,
        params={
            "kind": owner.kind,
            "name": owner.name,
            "service": service,
            "paths": tuple(map(spoken, traffic.backend.paths)) if traffic.backend else (),
            "nearest": close,
            "elsewhere": elsewhere,
        },
        evidence=tuple(dict.fromkeys(evidence)),
        confirm=(kubectl("get", "services", "-A", f"--field-selector=metadata.name={service}"),),
        by_hand=(renamed.command if renamed is not None else kubectl("edit", str(owner), namespace=owner.namespace),),
        advice=f'correct the backend name to "{close}", or create Service {service}'
        if close
        else _ELSEWHERE[owner.kind == "Ingress"].format(namespace=elsewhere[0])
        if elsewhere
        else f"create Service {service} in namespace {traffic.namespace}, or name another one there",
    )


# An Ingress leads to Services of its own namespace, a route to others, where a grant there allows it.
# https://kubernetes.io/docs/concepts/services-networking/ingress/,
# https://gateway-api.sigs.k8s.io/api-types/referencegrant/
_ELSEWHERE = {
    True: "an Ingress leads to Services of its own namespace only: make one in namespace {namespace}; with one "
    "IngressGroup for both they share the load balancer",
    False: "name namespace {namespace} in the route's backendRefs, and allow it by a ReferenceGrant there",
}


def _namespaces_of(traffic: TrafficPath, service: str) -> tuple[str, ...]:
    """The other namespaces in which a Service of this name is; none where they could not be searched."""
    found = traffic.cluster.services_elsewhere.peek() or ()
    return tuple(sorted({s.meta.namespace for s in found if s.meta.name == service} - {traffic.namespace}))


@check(
    "LBD107",
    title="a backend names a port that its Service does not have",
    passes="every backend port is a port of its Service",
    severity=Severity.ERROR,
    message="{kind} {name} routes {paths} to port {port} of Service {service}, which has "
    "{ports:=port|ports} {ports:?no port}",
    reads=(reads.INGRESSES, reads.SERVICES, reads.BINDINGS, *GATEWAY_READS),
    explains=("LBD103", "LBD109", "LBD217", "LBD209"),
    fix="backend-port",
    distinct_by=("service", "port"),
)
def backend_port_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A backend of an Ingress or of a Gateway's route names a port that the Service does not have; often it is the
    container's port instead.

    For an Ingress the controller cannot build its model then (event FailedBuildModel, "unable to find port P on service
    NS/NAME"), for every member of the same IngressGroup. Of a route it says BackendNotFound and goes on without it.

    Confirm by hand: `kubectl get service NAME`. Repair: name the Service's own port in Ingress or route.
    """
    owner, service_name = _backend_owner(traffic)
    route = route_of(traffic.snapshot, owner).need() if owner.kind != "Ingress" else None
    service = traffic.service.need()
    if service is None or traffic.service_port.need() is not None or traffic.backend is None:
        return
    port = traffic.backend.port
    if port == "use-annotation":
        raise NotApplicable("an action, not a port")
    wanted, action = _port_meant(service, port), traffic.backend.action
    repairs: tuple[Repair, ...] = ()
    if not action:
        candidates = [wanted] if wanted else [str(p.port) for p in service.ports]
        repairs = tuple(
            Repair(number, (change,)).with_reason(f"Service {service_name} has port {number}, not {port}")
            for number in candidates
            if (change := _port_change(traffic, route, service_name, port, number)) is not None
        )
    listed = tuple(f"{p.port}{f' ({p.name})' if p.name else ''} -> {p.target}" for p in service.ports)
    ports = ", ".join(listed) or "no port"
    place = f" in annotation {ALB_PREFIX}actions.{action}" if action else ""
    yield Finding(
        "LBD107",
        owner,
        params={
            "kind": owner.kind,
            "name": owner.name,
            "service": service_name,
            "port": port,
            "paths": tuple(map(spoken, traffic.backend.paths)),
            "ports": listed,
        },
        evidence=(Evidence(f"service/{service_name}", f"ports: {ports}"),),
        confirm=(kubectl("get", "service", service_name, "-o", "yaml", namespace=traffic.namespace),),
        repairs=repairs,
        fix_automatic=bool(wanted and repairs),
        advice=f"name one of the Service's ports{place}: {ports}" if place or not wanted else "",
    )


def _port_meant(service: Service, port: str) -> str:
    """The Service port that was certainly meant: the only one, or the one whose targetPort was named instead."""
    by_target = [p for p in service.ports if p.target == port]
    if len(by_target) == 1:
        return str(by_target[0].port)
    return str(service.ports[0].port) if len(service.ports) == 1 else ""


def _port_change(traffic: TrafficPath, route: Route | None, service: str, port: str, wanted: str) -> Change | None:
    """Corrects the port of a backend in the Ingress or in the route; None where it names none."""
    if route is None:
        ingress, _ = _ingress_backend(traffic)
        return _port_patch(ingress, service, port, wanted)
    edits = []
    for position, rule in enumerate(route.rules):
        for index, backend in enumerate(rule.backends):
            home = backend.namespace or route.meta.namespace
            if (home, backend.name, str(backend.port or "")) == (traffic.namespace, service, port):
                here = f"/spec/rules/{position}/backendRefs/{index}"
                edits += [edit(f"{here}/name", service, service), edit(f"{here}/port", backend.port, int(wanted))]
    if not port or not edits:
        return None
    return replace(patch(route.ref, f"backend {service}: port", *edits), now=port, then=wanted)


def _name_patch(ingress: Ingress, service: str, wanted: str, action: str) -> Change | None:
    """Names another Service wherever the Ingress names this one, in its rules or in the annotation of the action that
    forwards to it; None where neither does."""
    backends = [
        f"/spec/rules/{path.rule}/http/paths/{path.index}/backend/service/name"
        for path in ingress.paths
        if path.backend.service == service
    ]
    if ingress.default_backend is not None and ingress.default_backend.service == service:
        backends.append("/spec/defaultBackend/service/name")
    ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
    if backends:
        return patch(ref, f"backend {service}", *(edit(pointer, service, wanted) for pointer in backends))
    key = f"{ALB_PREFIX}actions.{action}"
    said = ingress.meta.annotations.get(key, "")
    # Go reads the keys of JSON in upper or lower case alike.
    then = re.sub(rf'("serviceName"\s*:\s*"){re.escape(service)}"', rf'\g<1>{wanted}"', said, flags=re.IGNORECASE)
    return annotate(ref, ingress.meta.annotations, {key: then}) if then != said else None


def _port_patch(ingress: Ingress, service: str, port: str, wanted: str) -> Change:
    """Corrects the port wherever the Ingress names it for this Service."""
    now: dict[str, object] = {"number": int(port)} if port.isdigit() else {"name": port}
    then: dict[str, object] = {"number": int(wanted)}
    backends = [
        f"/spec/rules/{path.rule}/http/paths/{path.index}/backend/service"
        for path in ingress.paths
        if path.backend.service == service and path.backend.port == port
    ]
    default = ingress.default_backend
    if default is not None and default.service == service and default.port == port:
        backends.append("/spec/defaultBackend/service")
    ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
    edits = [e for b in backends for e in (edit(f"{b}/name", service, service), edit(f"{b}/port", now, then))]
    change = patch(ref, f"backend {service}: port", *edits)
    return replace(change, now=port, then=wanted)


def _deployment_ref(workload: Workload) -> ObjectRef:
    return ObjectRef("Deployment", workload.meta.namespace, workload.meta.name)


def _controller_pods(snapshot: Snapshot, workload: Workload) -> list[Pod]:
    return [pod for pod in snapshot.cluster.controller_pods.need() if is_of(pod, workload)]


def _pod_state(pod: Pod) -> str:
    """Why a controller pod is not ready, in the kubelet's words."""
    for status in pod.statuses:
        if status.ready:
            continue
        if status.reason:
            last = (
                f"last run {status.last_reason} with exit code {status.last_exit_code}, " if status.last_reason else ""
            )
            return f"{status.reason} ({last}{counted(status.restarts, 'restart')})"
        return f"{status.state or 'not started'}, not ready"
    scheduled = condition(pod.conditions, "PodScheduled")
    return scheduled.message if scheduled is not None and scheduled.status == "False" else pod.phase


@check(
    "LBD102",
    title="the controller has no ready replica",
    passes="the controller has a ready replica",
    scope=Scope.CLUSTER,
    severity=Severity.ERROR,
    message="the controller has no ready replica: "
    "[its {nodes:=node|nodes} {nodes:,2} {nodes:=is|are} not ready][{why}]",
    reads=(reads.CONTROLLER, reads.CONTROLLER_PODS, reads.NODES),
    explains=(*undone_by("LBD102"), "LBD124", "LBD126", "LBD215", "LBD401", "LBD601"),
)
def controller_not_ready(snapshot: Snapshot) -> Iterator[Finding]:
    """No pod of the controller is ready, so nothing is reconciled: new endpoints are not registered, old targets stay,
    and its webhooks refuse changes. Of several controllers those count that take the object and look at its namespace
    (`--watch-namespace`): another one that is ready does nothing for it.

    Confirm by hand: `kubectl get deployment -A -l app.kubernetes.io/name=aws-load-balancer-controller`.
    Repair: scale it up, correct what the pod's state names, or bring the node back on which its pods run.
    """
    controllers = snapshot.cluster.controllers.need()
    if not controllers:
        raise NotApplicable("no controller runs in this cluster (EKS Auto Mode runs it in AWS)")
    for workload, subjects in _idle_controllers(snapshot, controllers):
        yield _not_ready(snapshot, workload, subjects)


def _idle_controllers(
    snapshot: Snapshot, controllers: tuple[Workload, ...]
) -> Iterator[tuple[Workload, tuple[ObjectRef, ...]]]:
    """The first controller of each set that has no ready one, with the subjects that wait for it: () for all."""
    if not snapshot.subjects:
        for workload in controllers:
            watched = watched_namespace(workload)
            others = (other for other in controllers if watched_namespace(other) in ("", watched))
            if not any(other.ready for other in others):
                yield workload, ()
                return
        return
    waiting: dict[str, dict[ObjectRef, None]] = {}
    idle: dict[str, Workload] = {}
    with recording():  # Who takes an object chooses among controllers; where it is not known, all may.
        for traffic in traffic_paths(snapshot):
            able = watching(_able(traffic) or controllers, traffic.subject.namespace)
            if able and not any(workload.ready for workload in able):
                idle[able[0].meta.key] = able[0]
                waiting.setdefault(able[0].meta.key, {})[traffic.subject] = None
    for key, subjects in waiting.items():
        yield idle[key], () if {*subjects} >= {*snapshot.subjects} else tuple(subjects)


def _able(traffic: TrafficPath) -> tuple[Workload, ...]:
    try:
        return takers(traffic)
    except (Unknown, NotApplicable):
        return ()


def _not_ready(snapshot: Snapshot, workload: Workload, subjects: tuple[ObjectRef, ...]) -> Finding:
    ref = _deployment_ref(workload)
    commands: tuple[str, ...] = ()
    confirm = [kubectl("get", "pods", "-o", "wide", namespace=ref.namespace)]
    why, advice = "", "correct what the state of its pods or their last log names"
    lost = lost_nodes(snapshot)
    if lost:
        advice = NODE_ADVICE
        evidence = [
            Evidence(f"node {node.meta.name}", f"Ready={node.ready}, the controller runs there") for node in lost
        ]
        confirm += [kubectl("describe", "node", node.meta.name) for node in lost]
    elif workload.replicas == 0:
        why, evidence = "it is scaled to zero", [Evidence(str(ref), "spec.replicas is 0")]
        commands = (kubectl("scale", str(ref), "--replicas=2", namespace=ref.namespace),)
    else:
        confirm.append(kubectl("logs", str(ref), "--previous", namespace=ref.namespace))
        # What is about to go with its node stays Running as it was when the kubelet was last heard.
        pods = pods_of(workload, snapshot.cluster.controller_pods.need()) or _controller_pods(snapshot, workload)
        states = [_pod_state(pod) for pod in pods]
        why = states[0] if states else "no pod exists"
        evidence = [
            Evidence(f"pod {pod.meta.name}", state) for pod, state in zip(pods[:3], states[:3], strict=True)
        ] or [Evidence(str(ref), f"{counted(workload.replicas, 'replica')} wanted, no pod exists")]
    watched = watched_namespace(workload)
    if watched:
        evidence.append(
            Evidence(str(ref), f"--watch-namespace={watched}: no other controller that is ready looks there")
        )
    return Finding(
        "LBD102",
        ref,
        params={
            "name": f"{ref.namespace}/{ref.name}",
            "nodes": tuple(node.meta.name for node in lost),
            "why": why,
        },
        evidence=tuple(evidence),
        confirm=tuple(confirm),
        by_hand=commands,
        advice="" if commands else advice,
        subjects=subjects,
    )


@check(
    "LBD109",
    title="a backend has no reconciled TargetGroupBinding",
    passes="every backend has a reconciled TargetGroupBinding",
    severity=Severity.ERROR,
    message="[TargetGroupBinding {binding} is not reconciled: {summary}]"
    "[{object} has no TargetGroupBinding for backend {backend}]",
    reads=(*REPORT_READS, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, *GATEWAY_READS),
    explains=("LBD205", "LBD206", "LBD217"),
    distinct_by=("backend", "summary"),
    by_absence=(reads.BINDINGS, reads.EVENTS),
)
def binding_not_reconciled(traffic: TrafficPath) -> Iterator[Finding]:
    """A backend has no TargetGroupBinding although its Service and port exist, or the controller cannot reconcile the
    binding. The binding is the controller's own record of a target group; without it nothing is registered.

    Most failures of a binding stand in the controller's log only and make no event. One that somebody deleted is made
    again when its Ingress, Service or Gateway changes, after the sync period (10 h), or when the controller is
    restarted. In the first minute after these were written nothing is late.

    Confirm by hand: `kubectl get targetgroupbindings` and the controller's log.

    Repair: read why in the controller's log (`kubectl logs -n kube-system deployment/aws-load-balancer-controller`)
    and correct that. Where somebody deleted the binding, a change of any annotation of the Ingress, Service or Gateway
    makes the controller look at it again.
    """
    for entry in standing_complaints(traffic):
        if entry.stage_code == "LBD109" and entry.decoded.code not in DECODED:
            params = {"binding": entry.ref.name, "summary": entry.decoded.clause, "backend": ""}
            yield Finding("LBD109", entry.ref, params=params, evidence=(entry.evidence,))
    if traffic.subject.kind == "TargetGroupBinding" or traffic.binding.need() is not None:
        return
    front, service = frontend_of(traffic).manifest.need(), traffic.service.need()
    if front is None or service is None or traffic.service_port.need() is None or traffic.backend is None:
        return
    if traffic.subject.kind == "Service" and service.type != "LoadBalancer":
        return
    maker = ownership(traffic).owner
    if maker not in _BINDINGS_OF or last_edit(traffic) < RECONCILE_SECONDS:
        return
    in_aws = maker == "auto-mode"
    if in_aws and is_untouched(frontend_of(traffic), front):
        return  # Whether anybody works on it cannot be seen; LBD132 tells where Auto Mode does not run.
    where = f"{traffic.backend.service}:{traffic.backend.port}"
    yield Finding(
        "LBD109",
        traffic.subject,
        params={"object": f"{traffic.subject.kind} {traffic.subject.name}", "backend": where, "summary": ""},
        evidence=(
            Evidence(
                f"targetgroupbindings in {traffic.namespace}",
                ", ".join(b.service + ":" + b.port for b in traffic.namespace_facts.bindings.need()) or "none",
            ),
            *(hint.evidence for hint in former_complaints(traffic)),
        ),
        confirm=(kubectl("get", _BINDINGS_OF[maker], namespace=traffic.namespace),),
        by_hand=() if in_aws else looked_at_again(traffic),
        advice="EKS Auto Mode makes it when it reconciles the object again, after any change of it; the events of the "
        "object say what keeps it from that"
        if in_aws
        else "the controller makes it when it reconciles the object again, and its log says what keeps it from that",
    )


_BINDINGS_OF = {
    "controller": f"{kinds.TARGET_GROUP_BINDING.plural}.{kinds.TARGET_GROUP_BINDING.group}",
    "auto-mode": f"{kinds.TARGET_GROUP_BINDING.plural}.{kinds.AUTO_MODE_GROUP}",
}
_CLASSES = {kinds.INGRESS.name: ("ingressclass",), kinds.GATEWAY.name: ("gatewayclass",)}


@check(
    "LBD101",
    title="no AWS Load Balancer Controller class owns the object",
    passes="an AWS Load Balancer Controller class owns the object",
    severity=Severity.ERROR,
    message="{object} belongs to no AWS Load Balancer Controller: {why}",
    scope=Scope.FRONTEND,
    reads=(*OWNERSHIP_READS, *GATEWAY_READS),
    explains=(*undone_by("LBD101"), "LBD102"),
    fix="ingress-class",
    by_absence=(reads.INGRESS_CLASSES, reads.CONTROLLER, reads.GATEWAY_CLASSES, reads.GATEWAYS),
)
def not_owned(frontend: Frontend) -> Iterator[Finding]:
    """The object's class does not lead to the AWS Load Balancer Controller (or to EKS Auto Mode), so nobody makes a
    load balancer for it, and no event says so.

    Confirm by hand: `kubectl get ingressclass` (of a Gateway: `kubectl get gatewayclass`) and the object's class.
    Repair: set `ingressClassName: alb`, for a Service `loadBalancerClass: service.k8s.aws/nlb` (only when it is
    created), for a Gateway a class whose controllerName is `gateway.k8s.aws/alb` or `gateway.k8s.aws/nlb`.
    """
    frontend.require_class()
    owner = frontend.reconciler()
    if owner.owner not in ("other", "nobody"):
        return
    ref, manifest = frontend.ref, frontend.manifest.peek()
    repairs: tuple[Repair, ...] = ()
    ours = [c.meta.name for c in frontend.snapshot.cluster.ingress_classes.need() if c.controller in OUR_CONTROLLERS]
    if isinstance(manifest, Ingress):
        # Where the field names a class of the controller and the annotation wins over it, that one is meant.
        named = manifest.spec_class_name
        repairs = tuple(class_repair(ref, manifest, name) for name in ([named] if named in ours else ours))
    yield Finding(
        "LBD101",
        ref,
        params={"object": f"{ref.kind} {ref.name}", "why": owner.why},
        evidence=tuple(owner.evidence),
        confirm=tuple(kubectl("get", name) for name in _CLASSES.get(ref.kind, ())),
        repairs=repairs,
        fix_automatic=len(repairs) == 1 and owner.owner == "nobody",
    )


@check(
    "LBD115",
    title="the TargetGroupBinding's Service or port does not exist",
    passes="the TargetGroupBinding's Service and port exist",
    severity=Severity.ERROR,
    message="TargetGroupBinding {binding} refers to [port {port} of ]Service {service}, which "
    "{fault:missing=does not exist|*=has {ports:=port|ports} {ports:?none}}[; did you mean "
    '"{nearest}"?]',
    reads=(reads.BINDINGS, reads.SERVICES, reads.TARGET_HEALTH),
    explains=("LBD109", "LBD217", "LBD205", "LBD206"),
)
def binding_reference_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A TargetGroupBinding names a Service, or a port of it, that does not exist (any more). The controller then
    deregisters all of its targets (event BackendNotFound), with `ip` targets when an endpoint next changes: until then
    they serve, and this is a warning.

    Confirm by hand: `kubectl get targetgroupbinding NAME -o yaml`. Repair: restore the Service or port, or correct the
    binding; a binding made by the controller follows its Ingress or Service.
    """
    binding = traffic.binding.need()
    if binding is None:
        raise NotApplicable("no TargetGroupBinding")
    service = traffic.service.need()
    if service is not None and service.find_port(binding.port) is not None:
        return
    if service is None:
        names = [s.meta.name for s in traffic.namespace_facts.services.need()]
        missing: dict[str, Param] = {"fault": "missing", "port": "", "nearest": nearest(binding.service, names)}
    else:
        ports = tuple(f"{p.port}{f' ({p.name})' if p.name else ''}" for p in service.ports)
        missing = {"fault": "other ports", "port": binding.port, "ports": ports}
    serving = [t.key for t in traffic.target_health.peek() or () if t.state == "healthy"]
    evidence = [Evidence(f"targetgroupbinding/{binding.meta.name}", f"serviceRef {binding.service}:{binding.port}")]
    if serving:
        evidence.append(
            Evidence(Source.TARGET_HEALTH, f"{', '.join(serving[:5])} healthy until the controller takes them out")
        )
    yield Finding(
        "LBD115",
        binding.ref,
        params={"binding": binding.meta.name, "service": binding.service, "ports": (), **missing},
        evidence=tuple(evidence),
        confirm=(kubectl("get", "service", namespace=traffic.namespace),),
        advice="create what the binding names, or correct its spec.serviceRef",
        severity=Severity.WARNING if serving else None,
    )


@check(
    "LBD126",
    title="the webhook's Service has no ready endpoint",
    passes="the webhook's Service has a ready endpoint",
    scope=Scope.CLUSTER,
    severity=Severity.ERROR,
    message="the webhook's Service {service} has no ready endpoint, so changes are refused",
    reads=(reads.WEBHOOKS, reads.WEBHOOK_SLICES),
    explains=(*undone_by("LBD126"), "LBD401"),
    by_absence=(reads.WEBHOOK_SLICES,),
)
def webhook_without_endpoint(snapshot: Snapshot) -> Iterator[Finding]:
    """The API server calls the controller's webhooks through a Service; without a ready endpoint every change of an
    Ingress, TargetGroupBinding or new Service is refused ("no endpoints available for service").

    Confirm by hand: `kubectl get endpointslices -n kube-system`. Repair: bring the controller up (`kubectl get pods
    -n kube-system -l app.kubernetes.io/name=aws-load-balancer-controller`); a Service whose selector does not match
    its pods has the same effect.
    """
    webhooks = snapshot.cluster.webhooks.need()
    for namespace, name in sorted({(w.service_namespace, w.service_name) for w in webhooks if w.service_name}):
        slices = [
            s for s in snapshot.cluster.webhook_slices.need() if s.service == name and s.meta.namespace == namespace
        ]
        if not any(e.is_ready for s in slices for e in s.endpoints):
            yield Finding(
                "LBD126",
                ObjectRef("Service", namespace, name),
                params={"service": f"{namespace}/{name}"},
                evidence=(Evidence(Source.ENDPOINT_SLICES, f"{counted(len(slices), 'slice')}, no ready endpoint"),),
                confirm=(kubectl("get", "endpointslices", "-l", f"{SERVICE_LABEL}={name}", namespace=namespace),),
            )


@check(
    "LBD136",
    title="no pod of the controller leads",
    passes="a pod of the controller leads",
    scope=Scope.CLUSTER,
    severity=Severity.ERROR,
    message="no pod of the controller leads, so nothing is reconciled: its Lease lapsed {silent} ago",
    reads=(reads.CONTROLLER, reads.CONTROLLER_PODS, reads.CONTROLLER_LEASES),
    explains=undone_by("LBD136"),
)
def nobody_leads(snapshot: Snapshot) -> Iterator[Finding]:
    """Of the controller's pods one works, the one that holds the Lease and renews it every two seconds; the others
    wait, and are ready all the same. A Lease that nobody renews while pods are ready means that they cannot write it:
    their Role lacks it (the log says "error retrieving resource lock"), or they do not reach the API server.

    Confirm by hand: `kubectl get lease aws-load-balancer-controller-leader -n kube-system -o yaml`, renewTime. Repair:
    what the log of the pods says; the chart's Role allows it.
    """
    pods, told = snapshot.cluster.controller_pods.need(), False
    for workload in snapshot.cluster.controllers.need():
        ready = [p for p in pods_of(workload, pods) if p.is_ready and _has_been_ready(snapshot, p)]
        led = leadership(snapshot, workload).peek() if ready and lease_of(workload) is not None else None
        told = told or led is not None
        if led is None or not led.lapsed:
            continue
        lease = led.lease.meta
        yield Finding(
            "LBD136",
            ObjectRef("Deployment", workload.meta.namespace, workload.meta.name),
            params={"silent": in_words(led.silent)},
            evidence=(
                Evidence(f"lease {lease.key}", f"renewTime {led.lease.renewed}, holder {led.lease.holder or 'nobody'}"),
                Evidence(f"deployment {workload.meta.key}", f"{counted(len(ready), 'ready pod')}"),
            ),
            confirm=(
                kubectl("get", "lease", lease.name, "-o", "yaml", namespace=lease.namespace),
                kubectl("logs", f"deployment/{workload.meta.name}", namespace=workload.meta.namespace),
            ),
            by_hand=(
                kubectl("rollout", "restart", f"deployment/{workload.meta.name}", namespace=workload.meta.namespace),
            ),
            advice="the controller's service account needs get, create and update of leases in that namespace, and its "
            "pods a way to the API server; the log says which of them is missing",
        )
    if not told:
        raise NotApplicable("no ready controller whose Lease was read")


def _has_been_ready(snapshot: Snapshot, pod: Pod) -> bool:
    """Whether a pod has had the time to become the leader."""
    ready = condition(pod.conditions, "Ready")
    return ready is not None and seconds_between(ready.since, snapshot.taken_at) > GRACE


@check(
    "LBD127",
    title="two controllers own the same objects",
    passes="one controller owns the cluster's objects",
    scope=Scope.CLUSTER,
    severity=Severity.ERROR,
    message="{count} controllers of one cluster compete for the same objects: {names}",
    reads=(reads.CONTROLLER,),
    distinct_by=("names",),
)
def several_controllers(snapshot: Snapshot) -> Iterator[Finding]:
    """Two installations of the controller with the same cluster name look at the same namespaces, and each holds a
    leader lease of its own: both rewrite each other's rules and targets, and health flips without a cause in the
    objects. One without `--watch-namespace` looks at all namespaces. Two that share one lease (the same namespace and
    lease name) are no conflict: one of them leads.

    A class of its own does not keep a controller apart: `--ingress-class` is compared with the annotation
    kubernetes.io/ingress.class alone. An Ingress with `ingressClassName` is taken by all whose IngressClass is of
    controller ingress.k8s.aws/alb, and bindings have no class. Where `--ingress-class` differs, this is a warning: what
    both take depends on the objects.

    Source: classifyIngress in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/group_loader.go, and the
    warning of https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/ that several
    controllers compete for the rules of the nodes' security groups.

    Confirm by hand: `kubectl get deployment -A -l app.kubernetes.io/name=aws-load-balancer-controller`. Repair: remove
    one of them, or give each a namespace of its own with `--watch-namespace`.
    """
    by_cluster: dict[str, list[Workload]] = {}
    for workload in snapshot.cluster.controllers.need():
        if workload.ready > 0:
            by_cluster.setdefault(controller_flags(workload).get("cluster-name", ""), []).append(workload)
    for several in by_cluster.values():
        pairs = [(one, other) for one in several for other in several if _compete(one, other)]
        competing = [one for one in several if any(one in pair for pair in pairs)]
        if not competing:
            continue
        names = tuple(sorted(workload.meta.key for workload in competing))
        alike = any(_class(one) == _class(other) for one, other in pairs)
        namespace, _, name = names[0].partition("/")
        yield Finding(
            "LBD127",
            ObjectRef("Deployment", namespace, name),
            params={"count": len(names), "names": names},
            severity=None if alike else Severity.WARNING,
            evidence=tuple(
                Evidence(f"deployment {workload.meta.key}", f"ready, {_scope_of(workload)}")
                for workload in sorted(competing, key=lambda workload: workload.meta.key)
            ),
            confirm=(kubectl("get", "deployments", "-A", "-l", "app.kubernetes.io/name=aws-load-balancer-controller"),),
        )


def _compete(one: Workload, other: Workload) -> bool:
    """Whether two controllers work on the same objects at the same time; not where a namespace cannot be told."""
    first, second = plain_flag(one, "watch-namespace"), plain_flag(other, "watch-namespace")
    if one is other or first is None or second is None or _lease(one) == _lease(other):
        return False
    return first == second or "" in (first, second)


def _lease(workload: Workload) -> tuple[str, str]:
    return lease_of(workload) or (workload.meta.namespace, workload.meta.key)


def _class(workload: Workload) -> str:
    return controller_flags(workload).get("ingress-class", "") or "alb"


def _scope_of(workload: Workload) -> str:
    watched = watched_namespace(workload)
    return f"--ingress-class={_class(workload)}, {f'namespace {watched}' if watched else 'all namespaces'}"
