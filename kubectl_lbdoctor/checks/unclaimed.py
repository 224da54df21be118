"""LBD129 to LBD133 and LBD137: objects that nobody takes, and of which nobody says so: no event, no line in a log."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_reach import (
    PUBLISHING_SECONDS,
    TAKING_SECONDS,
    is_untouched,
    still_served,
    switched_off,
)
from kubectl_lbdoctor.analysis.desired_state import READS as DESIRED_READS
from kubectl_lbdoctor.analysis.frontends import Frontend, frontend_of
from kubectl_lbdoctor.analysis.node_targets import COMPUTE_TYPE
from kubectl_lbdoctor.analysis.ownership import (
    AUTO_MODE_CLASS,
    CONTROLLER_CLASS,
    SERVICE_CLASS,
    Ownership,
    controller_flags,
)
from kubectl_lbdoctor.analysis.remediation import class_repair, kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.analysis.takers import takers
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.knowledge.controller_identity import watched_namespace, watching
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Event, Ingress, Service, TargetGroupBinding, Workload
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP, TARGET_GROUP_BINDING
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.model.times import seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_READS = (
    *DESIRED_READS,
    reads.EVENTS,
    reads.PODS,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
)
# Where the chart puts the controller, and what it calls it.
_BY_CHART = ObjectRef("Deployment", "kube-system", "aws-load-balancer-controller")
_SELECTOR = "app.kubernetes.io/name=aws-load-balancer-controller"
_SERVICE_WEBHOOK = "mservice.elbv2.k8s.aws"


_NOT_TAKEN = {
    False: "no address, no finalizer and no event of a controller",
    True: "no target, no finalizer and no event of a controller",
}


def _named(ref: ObjectRef) -> str:
    return f"{ref.kind} {ref.namespace}/{ref.name}"


def _ref(workload: Workload) -> ObjectRef:
    return ObjectRef("Deployment", workload.meta.namespace, workload.meta.name)


def _edit_flags(workload: Workload) -> str:
    return kubectl("edit", "deployment", workload.meta.name, namespace=workload.meta.namespace)


@check(
    "LBD129",
    title="no AWS Load Balancer Controller is installed",
    passes="an AWS Load Balancer Controller is installed",
    severity=Severity.ERROR,
    message="no AWS Load Balancer Controller is installed, so nothing reconciles {objects:,3}",
    reads=(*_READS, reads.WEBHOOKS, reads.WEBHOOK_SLICES),
    explains=(*undone_by("LBD129"), "LBD215", "LBD101", "LBD124", "LBD126", "LBD133"),
    by_absence=(reads.INGRESS_CLASSES,),
)
def no_controller(traffic: TrafficPath) -> Iterator[Finding]:
    """The object's class is the AWS Load Balancer Controller's, and no Deployment of the cluster runs it: none carries
    its label, its image or its flags. Nothing is made, and nobody says so; what was made before stays as it is.

    EKS Auto Mode needs no controller for its own classes (`eks.amazonaws.com/alb`, `eks.amazonaws.com/nlb`), and the
    cloud provider none for Services without a class: neither is meant here. Where Deployments may not be listed, this
    is unknown. While every target still passes it is a warning, unless its webhooks were left behind: nobody answers
    them, so that changes are refused (LBD126).

    Confirm by hand: `kubectl get deployment -A -l app.kubernetes.io/name=aws-load-balancer-controller`. Repair: install
    it, https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation/.
    """
    frontend = frontend_of(traffic)
    owner = frontend.reconciler()
    if traffic.cluster.controllers.need():
        return
    manifest = frontend.manifest.need()
    if manifest is None or not (owner.owner == "controller" or _meant_for_controller(traffic, manifest, owner)):
        raise NotApplicable("no object of the AWS Load Balancer Controller")
    if any(e.is_ready for s in traffic.cluster.webhook_slices.peek() or () for e in s.endpoints):
        raise NotApplicable("a controller that is no Deployment serves the webhooks")
    webhooks = traffic.cluster.webhooks.peek()
    refuses = bool(webhooks) and traffic.cluster.webhook_slices.is_known
    harmless = still_served(traffic) and not refuses
    classes = traffic.cluster.ingress_classes.peek() or ()
    ours = [c.meta.name for c in classes if c.controller == CONTROLLER_CLASS]
    auto = [c.meta.name for c in classes if c.controller == AUTO_MODE_CLASS]
    yield Finding(
        "LBD129",
        _BY_CHART,
        params={"objects": (_named(frontend.ref),)},
        evidence=(
            Evidence(str(frontend.ref), owner.why or "its class is the controller's"),
            Evidence(reads.CONTROLLER, "none in any namespace has the controller's label, image or flags"),
            Evidence(Source.INGRESS_CLASSES, f"of {CONTROLLER_CLASS}: {', '.join(ours) or 'none'}"),
            *((Evidence(reads.WEBHOOKS, f"of the controller: {len(webhooks)}"),) if webhooks is not None else ()),
        ),
        confidence=Confidence.LIKELY if harmless else Confidence.CERTAIN,
        confirm=(kubectl("get", "deployments", "-A", "-l", _SELECTOR),),
        advice="install the AWS Load Balancer Controller (chart eks/aws-load-balancer-controller) with an IAM role"
        + (f", or give the object to EKS Auto Mode with class {auto[0]}" if auto else ""),
        severity=Severity.WARNING if harmless else None,
    )


def _meant_for_controller(traffic: TrafficPath, manifest: object, owner: Ownership) -> bool:
    """Whether an Ingress that nobody owns was written for the controller: its class would come with it."""
    if owner.owner != "nobody" or not isinstance(manifest, Ingress):
        return False
    if any(c.controller == AUTO_MODE_CLASS for c in traffic.cluster.ingress_classes.need()):
        return False
    return manifest.class_name == "alb" or any(key.startswith(ALB_PREFIX) for key in manifest.meta.annotations)


@check(
    "LBD130",
    title="the controller's part for this object is switched off",
    passes="the controller's part for this object is switched on",
    severity=Severity.ERROR,
    message="the controller runs with {flag}, so it leaves {objects:,3} alone",
    reads=_READS,
    explains=(*undone_by("LBD130"), "LBD215"),
    distinct_by=("flag",),
)
def part_switched_off(traffic: TrafficPath) -> Iterator[Finding]:
    """A feature gate tells the controller to leave objects of this kind alone: `EnableServiceController=false` or
    `ServiceTypeLoadBalancerOnly=true` for Services, `EnableIPTargetType=false` for targets of type `ip`. Of Services it
    then says nothing at all; of `ip` targets it says that they are not supported.

    A second controller of the same class whose part is on takes the object, and nothing is wrong. While every target
    still passes this is a warning.

    Confirm by hand: the arguments of the controller's Deployment. Repair: remove the gate, or give the object to
    somebody else (another class, another target type).
    """
    frontend = frontend_of(traffic)
    able = watching(takers(traffic), frontend.ref.namespace)
    found = [(workload, switched_off(traffic, workload)) for workload in able]
    if not found or any(off is None for _, off in found):
        return
    workload, off = found[0]
    if off is None:
        return
    served = still_served(traffic)
    yield Finding(
        "LBD130",
        _ref(workload),
        params={
            "controller": workload.meta.key,
            "flag": off.flag,
            "part": off.part,
            "objects": (_named(frontend.ref),),
        },
        evidence=(
            Evidence(str(_ref(workload)), off.flag),
            Evidence(str(frontend.ref), frontend.reconciler().why),
        ),
        confirm=(kubectl("get", "deployment", workload.meta.name, "-o", "yaml", namespace=workload.meta.namespace),),
        by_hand=(_edit_flags(workload),),
        advice=f"take {off.gate} out of --feature-gates (chart value controllerConfig.featureGates)",
        severity=Severity.WARNING if served else None,
    )


@check(
    "LBD131",
    title="the controller does not watch the object's namespace",
    passes="the controller watches the object's namespace",
    severity=Severity.ERROR,
    message="the controller watches namespace {watched} only, so nothing reconciles {objects:,3}",
    reads=_READS,
    explains=(*undone_by("LBD131"), "LBD215"),
)
def namespace_not_watched(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller was started with `--watch-namespace` and looks at one namespace; the object is in another one. It
    is not seen at all, so no event and no log line tells it.

    Several controllers that each watch a namespace of their own are usual: this is said only where none of those that
    take the object's class watches its namespace. While every target still passes it is a warning.

    Confirm by hand: the arguments of the controller's Deployment. Repair: remove the flag (chart value watchNamespace),
    install a controller for this namespace, or move the object.
    """
    frontend = frontend_of(traffic)
    able = takers(traffic)
    if not able or watching(able, frontend.ref.namespace):
        return
    served = still_served(traffic)
    workload = able[0]
    yield Finding(
        "LBD131",
        _ref(workload),
        params={
            "controller": workload.meta.key,
            "watched": watched_namespace(workload),
            "objects": (_named(frontend.ref),),
        },
        evidence=(
            *(Evidence(str(_ref(w)), f"--watch-namespace={watched_namespace(w)}") for w in able[:4]),
            Evidence(str(frontend.ref), f"in namespace {frontend.ref.namespace}"),
        ),
        confirm=(kubectl("get", "deployment", workload.meta.name, "-o", "yaml", namespace=workload.meta.namespace),),
        by_hand=(_edit_flags(workload),),
        advice="remove --watch-namespace, or run another controller for this namespace",
        severity=Severity.WARNING if served else None,
    )


@check(
    "LBD132",
    title="an object has the class of EKS Auto Mode, which does not run here",
    passes="EKS Auto Mode runs where an object has its class",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="{object} is for EKS Auto Mode ({by:group=API group|*=class} {name}), which seems not to run here",
    reads=(*_READS, reads.LISTENERS, reads.RULES),
    explains=undone_by("LBD132"),
    fix="ingress-class",
)
def auto_mode_is_off(frontend: Frontend) -> Iterator[Finding]:
    """The object's class leads to EKS Auto Mode, and half a minute later nothing shows that anybody took it: no
    address, no finalizer, no event. No node of the cluster was made by Auto Mode. A TargetGroupBinding is Auto Mode's
    by its API group, and is taken where targets are registered.

    Auto Mode runs its load balancing in AWS, so its absence is concluded, not seen: its nodes carry the label
    `eks.amazonaws.com/compute-type: auto`.

    Confirm by hand: `aws eks describe-cluster --name NAME --query
    cluster.kubernetesNetworkConfig.elasticLoadBalancing`. Repair: give the object a class of the AWS Load Balancer
    Controller, or switch Auto Mode's load balancing on.
    """
    owner = frontend.reconciler()
    if owner.owner != "auto-mode":
        raise NotApplicable("not a class of EKS Auto Mode")
    manifest = frontend.manifest.need()
    frontend.facts.events.need()
    age = seconds_between(manifest.meta.created, frontend.snapshot.taken_at)
    if age < TAKING_SECONDS or not is_untouched(frontend, manifest):
        return
    bound = isinstance(manifest, TargetGroupBinding)
    if bound and any(path.target_health.need() for path in frontend.paths()):
        return
    cluster = frontend.snapshot.cluster
    if any(node.meta.labels.get(COMPUTE_TYPE) == "auto" for node in cluster.nodes.need()):
        return
    ref = frontend.ref
    repairs: tuple[Repair, ...] = ()
    ours = [c.meta.name for c in cluster.ingress_classes.peek() or () if c.controller == CONTROLLER_CLASS]
    if isinstance(manifest, Ingress) and cluster.controllers.peek():
        repairs = tuple(class_repair(ref, manifest, name) for name in ours)
    yield Finding(
        "LBD132",
        ref,
        params={
            "object": f"{ref.kind} {ref.name}",
            "by": "group" if bound else "class",
            "name": AUTO_MODE_GROUP if bound else owner.class_name,
        },
        evidence=(
            *owner.evidence,
            Evidence(str(manifest.ref if bound else ref), _NOT_TAKEN[bound]),
            Evidence(Source.NODES, f"none of {len(cluster.nodes.need())} has label {COMPUTE_TYPE}=auto"),
        ),
        confidence=Confidence.LIKELY,
        confirm=(
            *_describe_cluster(frontend.snapshot.context),
            kubectl("get", "nodes", "-L", COMPUTE_TYPE),
        ),
        repairs=repairs,
        fix_automatic=len(repairs) == 1,
        advice=f"create it in group {TARGET_GROUP_BINDING.group}, which the AWS Load Balancer Controller reads, or "
        "switch EKS Auto Mode's load balancing on"
        if bound
        else f"a Service's loadBalancerClass cannot be changed: create it again with {SERVICE_CLASS}"
        if isinstance(manifest, Service)
        else "give it a class of the AWS Load Balancer Controller, or switch EKS Auto Mode's load balancing on",
    )


def _describe_cluster(context: Context) -> tuple[str, ...]:
    """What tells whether Auto Mode's load balancing is on; nothing where the cluster's name in EKS is not known."""
    if not context.cluster:
        return ()
    query = ("--query", "cluster.kubernetesNetworkConfig.elasticLoadBalancing")
    return (aws("eks", "describe-cluster", "--name", context.cluster, *query, region=context.region),)


@check(
    "LBD133",
    title="a Service has no class, so the controller leaves it alone",
    passes="a Service without a class gets its load balancer",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="Service {service} has no loadBalancerClass, so the controller leaves it alone",
    reads=(*_READS, reads.WEBHOOKS),
    # What the cloud provider makes of its annotations is no matter where it is not meant.
    explains=(*undone_by("LBD133"), "LBD110", "LBD111", "LBD112", "LBD608"),
)
def made_before_the_webhook(frontend: Frontend) -> Iterator[Finding]:
    """The controller's webhook sets `loadBalancerClass` on Services of type LoadBalancer when they are created. This
    one was created before the webhook or while it did not answer, names no class and asks for the controller by no
    annotation either: it belongs to the cloud provider, which has made nothing.

    A Service whose load balancer the cloud provider has made is its own and nothing is wrong with it.

    Confirm by hand: `kubectl get service NAME -o jsonpath='{.spec.loadBalancerClass}'` is empty. Repair: create the
    Service again; a class can be set only when a Service is created or becomes one of type LoadBalancer.
    """
    manifest = frontend.manifest.need()
    if not isinstance(manifest, Service) or manifest.type != "LoadBalancer":
        raise NotApplicable("no Service of type LoadBalancer")
    if frontend.reconciler().owner != "cloud-provider" or frontend.addresses:
        return
    waited = TAKING_SECONDS if is_untouched(frontend, manifest) else PUBLISHING_SECONDS
    if seconds_between(manifest.meta.created, frontend.snapshot.taken_at) < waited:
        return
    cluster = frontend.snapshot.cluster
    webhooks = [w for w in cluster.webhooks.need() if w.name == _SERVICE_WEBHOOK]
    controllers = cluster.controllers.need()
    if not webhooks or not controllers:
        return
    trouble = _last_warning(frontend)
    tried = f"the cloud provider tried and failed ({trouble.reason})" if trouble is not None else ""
    wanted = controller_flags(controllers[0]).get("load-balancer-class") or SERVICE_CLASS
    yield Finding(
        "LBD133",
        frontend.ref,
        params={"service": manifest.meta.name, "tried": tried},
        evidence=(
            *frontend.reconciler().evidence,
            Evidence(str(frontend.ref), f"created {manifest.meta.created}, no address yet"),
            Evidence(reads.WEBHOOKS, f"{webhooks[0].configuration}: {_SERVICE_WEBHOOK} sets the class of new Services"),
            *((Evidence(f"event on {frontend.ref}", f"{trouble.reason}: {trouble.message[:300]}"),) if trouble else ()),
        ),
        confidence=Confidence.LIKELY,
        confirm=(
            kubectl(
                "get", str(frontend.ref), "-o", "jsonpath={.spec.loadBalancerClass}", namespace=frontend.ref.namespace
            ),
        ),
        advice=f"delete the Service and create it again with loadBalancerClass: {wanted}",
    )


def _last_warning(frontend: Frontend) -> Event | None:
    """The newest complaint of the cloud provider's service controller about the Service."""
    if not frontend.facts.events.is_known:
        return None
    ref = frontend.ref
    events = index.events_by_object(frontend.snapshot, ref.namespace).get((ref.kind, ref.name), ())
    return next((e for e in events if e.type == "Warning" and e.component == "service-controller"), None)


@check(
    "LBD137",
    title="a Service asks for a load balancer, and its type is another",
    passes="a Service that asks for a load balancer is of type LoadBalancer",
    scope=Scope.FRONTEND,
    severity=Severity.ERROR,
    message="Service {service} is of type {type}, so nobody makes the load balancer that it {asks:finalizer=had|"
    "*=is annotated for}",
    reads=(*_READS, reads.LOAD_BALANCERS, reads.LISTENERS, reads.RULES),
    explains=("LBD103", "LBD104", "LBD109", "LBD112"),
    by_absence=(reads.BINDINGS,),
)
def not_of_the_type(frontend: Frontend) -> Iterator[Finding]:
    """A load balancer of its own is made for Services of type LoadBalancer only. This one has annotations for one, or
    the finalizer of the controller that made one before the type was changed, and nothing leads to it: no Ingress, no
    Gateway and no TargetGroupBinding has a target group of it.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer

    Confirm by hand: `kubectl get service NAME`. Repair: make it one of type LoadBalancer with its class, which can be
    set as the type is; or diagnose the Ingress or Gateway that is meant to lead to it.
    """
    service = frontend.manifest.need()
    if not isinstance(service, Service) or service.type == "LoadBalancer":
        raise NotApplicable("no Service of another type")
    annotated = sorted(key for key in service.meta.annotations if key.startswith(NLB_PREFIX))
    finalizers = [name for name in service.meta.finalizers if name == _SERVICE_FINALIZER]
    if not (annotated or finalizers) or any(path.target_group.need() is not None for path in frontend.paths()):
        return
    ref, cluster = frontend.ref, frontend.snapshot.cluster
    flags = [controller_flags(workload) for workload in cluster.controllers.peek() or ()]
    named = (flags[0].get("load-balancer-class") if flags else "") or SERVICE_CLASS
    wanted = json.dumps({"spec": {"type": "LoadBalancer", "loadBalancerClass": named}})
    yield Finding(
        "LBD137",
        ref,
        params={
            "service": service.meta.name,
            "type": service.type,
            "asks": "annotation" if annotated else "finalizer",
        },
        evidence=(
            Evidence(str(ref), f"spec.type {service.type}"),
            *(Evidence(str(ref), f"{key}: {service.meta.annotations[key]}"[:300]) for key in annotated[:3]),
            *(Evidence(str(ref), f"finalizer {name}") for name in finalizers),
        ),
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
        by_hand=(kubectl("patch", str(ref), "--type=merge", "-p", wanted, namespace=ref.namespace),) if flags else (),
        advice="make it a Service of type LoadBalancer with its class, or diagnose the Ingress or Gateway that is to "
        "lead to it",
    )


_SERVICE_FINALIZER = "service.k8s.aws/resources"
"""https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/controllers/service/service_controller.go"""
