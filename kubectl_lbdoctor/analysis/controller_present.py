"""Which pods are the controller as it is configured now, and since when they have the say.

What a controller said that is gone, or has since been given other arguments, another region or other credentials, is no
proof of anything: IRSA, arguments and the environment are those of a pod, and a Deployment that is changed or restarted
makes new pods. All pods of one template carry the same label pod-template-hash
(https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label), so the newest pod that
serves tells the present template.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kubectl_lbdoctor.knowledge.log_lines import parse_log_line
from kubectl_lbdoctor.model import index
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.k8s import Node, Pod, Workload
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.times import CLOCK_TOLERANCE, parse_time
from kubectl_lbdoctor.record import record

_TEMPLATE = "pod-template-hash"
_IMAGE = "aws-load-balancer-controller"
_LEADS = "Starting workers"
"""What the replica says that has become the leader (controller-runtime); the others reconcile nothing."""


@record
class PresentController:
    """The controllers as they are configured now.

    gone: pods that still exist and are of former configurations or about to go, "namespace/name". since: from when on
    the present ones have the say, None where that is not known. absent: there are controllers, and none has a pod.
    """

    gone: frozenset[str] = frozenset()
    since: datetime | None = None
    absent: bool = False

    def came_after(self, time: datetime | None) -> bool:
        """Whether something was certainly said before the present controller had the say."""
        if self.absent:
            return True
        return time is not None and self.since is not None and time < self.since - CLOCK_TOLERANCE


@derived
def present_controller(snapshot: Snapshot) -> PresentController:
    """The pods that are the controllers now. Where Deployments, pods or their times are not known, nothing is said to
    be of the past."""
    cluster = snapshot.cluster
    workloads, pods = cluster.controllers.peek(), cluster.controller_pods.peek()
    if not workloads or pods is None:
        return PresentController()
    present: set[str] = set()
    starts: list[datetime | None] = []
    for living in (pods_of(workload, pods) for workload in workloads):
        if living:
            leading = _of_newest_template(living)
            starts.append(_since(snapshot, leading))
            # Newer pods that do not come up speak for the configuration that is wanted.
            newest = max(pod.meta.created for pod in leading)
            present.update(pod.meta.key for pod in living if pod in leading or pod.meta.created > newest)
    known = [start for start in starts if start is not None]
    return PresentController(
        gone=frozenset(pod.meta.key for pod in pods) - present,
        since=min(known) if known and len(known) == len(starts) else None,
        absent=not starts,
    )


def pods_of(workload: Workload, pods: Iterable[Pod]) -> list[Pod]:
    """The pods of a controller's Deployment that are neither finished nor about to go, of all its templates."""
    return [pod for pod in pods if is_of(pod, workload) and not pod.meta.deleted and not pod.is_finished]


@derived
def lost_nodes(snapshot: Snapshot) -> tuple[Node, ...]:
    """The nodes that keep the controller from having a ready replica: none of them is ready, and all its pods run
    there. () where that is not so, or not known."""
    cluster = snapshot.cluster
    workloads, pods = cluster.controllers.peek(), cluster.controller_pods.peek()
    if not workloads or not pods or not cluster.nodes.is_known or any(workload.ready for workload in workloads):
        return ()
    nodes = index.nodes_by_name(snapshot)
    under = {pod.node: nodes.get(pod.node) for workload in workloads for pod in pods_of(workload, pods)}
    lost = [node for node in under.values() if node is not None and node.ready != "True"]
    return tuple(lost) if len(lost) == len(under) else ()


def is_of(pod: Pod, workload: Workload) -> bool:
    """Whether a pod is one of a controller's Deployment, of whichever template and in whichever phase."""
    wanted = workload.selector.items()
    return pod.meta.namespace == workload.meta.namespace and wanted <= pod.meta.labels.items()


def _of_newest_template(pods: list[Pod]) -> list[Pod]:
    """The pods of the newest template that serves. New pods that do not come up leave the say to the old ones."""
    serving = [pod for pod in pods if pod.is_ready] or [pod for pod in pods if _started(pod)[1]] or pods
    if not serving:
        return []
    newest = max(serving, key=lambda pod: (pod.meta.created, pod.meta.name))
    template = newest.meta.labels.get(_TEMPLATE, "")
    return [pod for pod in pods if pod.meta.labels.get(_TEMPLATE, "") == template]


def _started(pod: Pod) -> tuple[str, bool]:
    """When the controller's container was started, and whether it runs. One that crashes again and again says the same
    in each run: then it speaks since its pod was started."""
    serving = pod.serving_containers()
    own = next((c.name for c in serving if _IMAGE in c.image), serving[0].name if serving else "")
    status = next((s for s in pod.statuses if s.name == own), None)
    if status is not None and status.state == "running":
        return status.since, True
    return pod.started or pod.meta.created, False


def _since(snapshot: Snapshot, pods: Iterable[Pod]) -> datetime | None:
    """When the leader of these pods began to work, by its log; else when the first of them started."""
    logs = snapshot.cluster.controller_logs
    led = [time for pod in pods if (log := logs.get(pod.meta.key)) and (time := _leads_since(log.peek() or ""))]
    if led:
        return min(led)
    starts = [parse_time(_started(pod)[0]) for pod in pods]
    known = [start for start in starts if start is not None]
    return min(known) if len(known) == len(starts) else None


def _leads_since(log: str) -> datetime | None:
    if _LEADS not in log:
        return None
    lines = (line for line in log.splitlines() if _LEADS in line)
    return next((record.time for line in lines if (record := parse_log_line(line)) and record.msg == _LEADS), None)
