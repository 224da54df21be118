"""From the facts about the controllers to their page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kubectl_lbdoctor.analysis.controller_complaints import STALE_SECONDS
from kubectl_lbdoctor.analysis.controller_present import is_of, present_controller
from kubectl_lbdoctor.analysis.leadership import leadership
from kubectl_lbdoctor.analysis.ownership import AUTO_MODE_CLASS
from kubectl_lbdoctor.analysis.running_version import running
from kubectl_lbdoctor.checks.registry import Catalogue, Scope
from kubectl_lbdoctor.checks.runner import run_one
from kubectl_lbdoctor.knowledge.controller_errors import decode_event
from kubectl_lbdoctor.knowledge.controller_identity import (
    RECONCILED,
    TROUBLE,
    controller_flags,
    irsa_roles,
    lease_of,
    variables,
)
from kubectl_lbdoctor.knowledge.controller_logs import ControllerError, relevant_errors
from kubectl_lbdoctor.knowledge.standing import unsettled
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.controller_page import (
    ControllerPage,
    ControllerPod,
    ControllerView,
    Identity,
    Leader,
    LoggedError,
    WebhookView,
)
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Pod, Workload
from kubectl_lbdoctor.model.report import FailOn
from kubectl_lbdoctor.model.snapshot import ClusterFacts, NamespaceFacts, Snapshot
from kubectl_lbdoctor.model.times import seconds_between
from kubectl_lbdoctor.report import build

READS = frozenset(
    {
        *(reads.CONTROLLER, reads.CONTROLLER_PODS, reads.CONTROLLER_LOGS, reads.SERVICE_ACCOUNTS),
        *(reads.WEBHOOKS, reads.WEBHOOK_SLICES, reads.INGRESS_CLASSES, reads.CONTROLLER_LEASES),
    }
)
"""What the page is made from, with the events about what a controller reconciles."""

FLAGS = (
    *("cluster-name", "aws-region", "aws-vpc-id", "aws-vpc-tags", "ingress-class", "load-balancer-class"),
    *("watch-namespace", "default-target-type", "feature-gates", "enable-endpoint-slices", "leader-election-id"),
    *("aws-api-endpoints", "aws-api-throttle", "enable-shield", "enable-waf", "enable-wafv2"),
)
"""The flags that decide what a controller takes and where it works:
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/configurations/"""

_EVERYWHERE = "cluster"
"""The key under which findings about the whole cluster stand together, so that causes and effects find each other."""


def controller_page(
    snapshot: Snapshot, catalogue: Catalogue, ignore: Sequence[str] = (), fail_on: FailOn = FailOn.ERROR
) -> ControllerPage:
    """The page of a snapshot, whatever its subjects. ignore: beginnings of codes that nobody wants to hear of."""
    snapshot = _alone(snapshot)
    cluster = snapshot.cluster
    releases = {entry.workload.meta.key: entry.text for entry in running(snapshot)}
    whole = [spec for spec in catalogue.checks() if spec.scope is Scope.CLUSTER]
    results = [run_one(spec, snapshot, (_EVERYWHERE,)) for spec in whole]
    return ControllerPage(
        report=build(snapshot, (), results, catalogue, ignore),
        controllers=tuple(_view(snapshot, workload, releases) for workload in cluster.controllers.peek() or ()),
        webhooks=tuple(_webhooks(cluster)),
        errors=tuple(_errors(snapshot)),
        auto_mode=any(c.controller == AUTO_MODE_CLASS for c in cluster.ingress_classes.peek() or ()),
        known=cluster.controllers.is_known,
        fail_on=fail_on,
    )


def _alone(snapshot: Snapshot) -> Snapshot:
    """What `READS` give, and nothing that a diagnosis has read besides."""
    whole = snapshot.cluster
    cluster = ClusterFacts(
        ingress_classes=whole.ingress_classes,
        controllers=whole.controllers,
        controller_pods=whole.controller_pods,
        controller_logs=whole.controller_logs,
        service_accounts=whole.service_accounts,
        leases=whole.leases,
        webhooks=whole.webhooks,
        webhook_slices=whole.webhook_slices,
    )
    events = {name: NamespaceFacts(events=facts.events) for name, facts in snapshot.namespaces.items()}
    return Snapshot(snapshot.taken_at, snapshot.context, namespaces=events, cluster=cluster)


def _view(snapshot: Snapshot, workload: Workload, releases: Mapping[str, str]) -> ControllerView:
    given, cluster = controller_flags(workload), snapshot.cluster
    pods = [pod for pod in cluster.controller_pods.peek() or () if is_of(pod, workload)]
    account = workload.service_account or "default"
    identity, role = _identity(cluster, f"{workload.meta.namespace}/{account}", pods)
    return ControllerView(
        ref=ObjectRef("Deployment", workload.meta.namespace, workload.meta.name),
        replicas=workload.replicas,
        ready=workload.ready,
        version=releases.get(workload.meta.key, ""),
        flags={name: given[name] for name in FLAGS if name in given},
        service_account=account,
        identity=identity,
        role=role,
        pods=tuple(map(_pod, pods)),
        leader=_leader(snapshot, workload) if lease_of(workload) is not None else None,
    )


def _leader(snapshot: Snapshot, workload: Workload) -> Leader:
    found = leadership(snapshot, workload)
    led = found.peek()
    if led is None:
        return Leader(permission=found.permission)
    return Leader(True, led.holder, led.lease.renewed, led.lapsed)


def _identity(cluster: ClusterFacts, account: str, pods: Iterable[Pod]) -> tuple[Identity, str]:
    """How the pods of a service account ("namespace/name") get their role, and the role's ARN as far as it is known."""
    role = irsa_roles(cluster).get(account, "")
    if role:
        return Identity.IRSA, role
    if any("AWS_CONTAINER_CREDENTIALS_FULL_URI" in variables(pod) for pod in pods):
        return Identity.POD_IDENTITY, ""
    read = cluster.service_accounts.get(account)
    return (Identity.NODE if read is not None and read.is_known and pods else Identity.UNKNOWN), ""


def _pod(pod: Pod) -> ControllerPod:
    serving = {container.name for container in pod.serving_containers()}
    statuses = [status for status in pod.statuses if status.name in serving]
    held = next((status for status in statuses if status.state != "running"), None)
    return ControllerPod(
        name=pod.meta.name,
        node=pod.node,
        ready=pod.is_ready,
        restarts=sum(status.restarts for status in statuses),
        state="running" if statuses and held is None else (held.reason or held.state) if held else pod.phase,
    )


def _webhooks(cluster: ClusterFacts) -> Iterator[WebhookView]:
    found = cluster.webhooks.peek() or ()
    slices = cluster.webhook_slices.peek()
    for namespace, name, port in sorted({(w.service_namespace, w.service_name, w.service_port) for w in found}):
        mine = [s for s in slices or () if s.service == name and s.meta.namespace == namespace]
        ready = sum(1 for piece in mine for endpoint in piece.endpoints if endpoint.is_ready)
        policies = (w.failure_policy for w in found if (w.service_namespace, w.service_name) == (namespace, name))
        yield WebhookView(
            service=ObjectRef("Service", namespace, name),
            port=port,
            endpoints=None if slices is None else ready,
            policies=tuple(sorted({*policies} - {""})),
        )


def _errors(snapshot: Snapshot) -> Iterator[LoggedError]:
    """What the present controllers have said in logs and events: what stands first, then the newest."""
    gone = present_controller(snapshot).gone
    logs = (log.peek() or "" for pod, log in snapshot.cluster.controller_logs.items() if pod not in gone)
    errors = relevant_errors(line for log in logs for line in log.splitlines())
    told = [_logged(error, snapshot.taken_at) for error in errors]
    in_logs = {(error.code, error.about) for error in told}
    told += [error for error in _in_events(snapshot) if (error.code, error.about) not in in_logs]
    newest_first = sorted(told, key=lambda error: error.last, reverse=True)
    yield from sorted(newest_first, key=lambda error: error.over)


def _logged(error: ControllerError, now: str) -> LoggedError:
    last = error.last_seen.strftime("%Y-%m-%dT%H:%M:%SZ") if error.last_seen is not None else ""
    over = error.superseded or _is_stale(last, now)
    return LoggedError(
        code=error.decoded.code if error.decoded.known else "",
        text=error.decoded.summary,
        count=error.count,
        last=last,
        about=ObjectRef(error.kind, error.namespace, error.name) if error.name else None,
        over=over,
        own=error.decoded.code in TROUBLE and not over,
    )


def _in_events(snapshot: Snapshot) -> Iterator[LoggedError]:
    events = (event for facts in snapshot.namespaces.values() for event in facts.events.peek() or ())
    for event in unsettled(event for event in events if event.kind in RECONCILED):
        decoded = decode_event(event.reason, event.message)
        if not decoded.code:
            continue
        over = _is_stale(event.last, snapshot.taken_at)
        yield LoggedError(
            code=decoded.code if decoded.known else "",
            text=decoded.summary,
            count=event.count,
            last=event.last,
            about=ObjectRef(event.kind, event.namespace, event.name),
            over=over,
            own=decoded.code in TROUBLE and not over,
        )


def _is_stale(last: str, now: str) -> bool:
    """Whether the controller, which tries again, would have said it again by now."""
    return bool(last) and seconds_between(last, now) > STALE_SECONDS
