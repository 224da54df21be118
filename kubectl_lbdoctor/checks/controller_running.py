"""LBD102, LBD126, LBD127 and LBD136: does a controller run, ready, leading, reachable at its webhook, and alone?"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_present import is_of, lost_nodes, pods_of
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.leadership import GRACE, leadership
from kubectl_lbdoctor.analysis.ownership import controller_flags
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.analysis.takers import takers
from kubectl_lbdoctor.checks.registry import Scope, check
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.checks.workload import NODE_ADVICE
from kubectl_lbdoctor.knowledge.controller_errors import Stage
from kubectl_lbdoctor.knowledge.controller_identity import lease_of, plain_flag, watched_namespace, watching
from kubectl_lbdoctor.knowledge.controller_logs import ControllerError, relevant_errors
from kubectl_lbdoctor.knowledge.spoken_errors import quotation
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown, recording
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL, Pod, Workload, condition
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import in_words, seconds_between
from kubectl_lbdoctor.model.traffic_path import TrafficPath


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
            last = f"{status.last_reason} with exit code {status.last_exit_code}, " if status.last_reason else ""
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
    reads=(reads.CONTROLLER, reads.CONTROLLER_PODS, reads.NODES, reads.CONTROLLER_LOGS, reads.WEBHOOK_SECRET),
    explains=(*undone_by("LBD102"), "LBD124", "LBD126", "LBD215", "LBD401", "LBD601"),
)
def controller_not_ready(snapshot: Snapshot) -> Iterator[Finding]:
    """No pod of the controller is ready, so nothing is reconciled: new endpoints are not registered, old targets stay,
    and its webhooks refuse changes. Of several controllers those count that take the object and look at its namespace
    (`--watch-namespace`): another one that is ready does nothing for it.

    Why its containers end, the log of the last run says: a definition (CRD) that is missing after an upgrade, a flag
    that it does not know, an identity or VPC that it cannot tell.

    Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/4684 (a missing CRD),
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/4712

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
        said, missing = _last_error(snapshot, pods), _missing_certificate(snapshot, workload, pods)
        evidence = [
            Evidence(f"pod {pod.meta.name}", state) for pod, state in zip(pods[:3], states[:3], strict=True)
        ] or [Evidence(str(ref), f"{counted(workload.replicas, 'replica')} wanted, no pod exists")]
        if said is not None:
            why = said.decoded.clause
            evidence.append(Evidence(Source.CONTROLLER_LOG, quotation(f"{said.msg}: {said.decoded.raw}")))
            kind = str(said.decoded.params.get("resource_kind", ""))
            advice = _install(kind, str(said.decoded.params.get("resource_group", ""))) if kind else advice
        elif missing:
            why = f"{missing} does not exist"
            evidence.append(Evidence(reads.WEBHOOK_SECRET, "none"))
            advice = (
                "have the certificate of its webhooks made: cert-manager has to run where the chart is told to use "
                "it, else install the chart again"
            )
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


_ONE_RUN = 300
"""Seconds. What the controller says of one failure at its start: it waits two minutes for kinds that do not exist."""


def _last_error(snapshot: Snapshot, pods: list[Pod]) -> ControllerError | None:
    """What the log says of why the containers end: of the errors about no object in the last minutes of a run the
    newest that is understood, else the newest at its start; None where something else has ended them."""
    for pod in pods:
        log = snapshot.cluster.controller_logs.get(pod.meta.key)
        if log is None or not any(s.last_reason == "Error" and not s.ready for s in pod.statuses):
            continue
        errors = [e for e in relevant_errors((log.peek() or "").splitlines()) if not e.name and not e.superseded]
        if not errors or errors[0].decoded.stage is not Stage.START:
            continue
        newest = errors[0].last_seen
        late = [e for e in errors if newest and e.last_seen and (newest - e.last_seen).total_seconds() <= _ONE_RUN]
        return next((e for e in late if e.decoded.known), errors[0])
    return None


def _missing_certificate(snapshot: Snapshot, workload: Workload, pods: list[Pod]) -> str:
    """The Secret of the webhooks' certificate that the template names, where pods cannot be created and it is known
    that there is none."""
    waiting = any(s.reason == "ContainerCreating" for pod in pods for s in pod.statuses)
    if not waiting or not workload.certificate_secret:
        return ""
    named = (workload.meta.namespace, workload.certificate_secret)
    listed = snapshot.cluster.webhook_certificates.peek()
    missing = listed is not None and all((entry.namespace, entry.secret) != named for entry in listed)
    return "the Secret of its webhooks' certificate" if missing else ""


def _install(kind: str, group: str) -> str:
    """How a missing definition is installed: each release needs those of its time."""
    if group == kinds.GATEWAY.group:
        return (
            f"install the CRDs of Gateway API that its release needs ({kind} is missing; its release notes name the "
            "version of https://github.com/kubernetes-sigs/gateway-api/releases), then restart it"
        )
    return (
        f"install the CRDs of its release ({kind} is missing): kubectl apply -k "
        '"github.com/aws/eks-charts/stable/aws-load-balancer-controller/crds?ref=master"; then restart it'
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
