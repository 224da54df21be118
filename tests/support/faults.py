"""Which requests to the API server fail, and how: one read of `model.reads` in one namespace, while others of the same
resource are served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kubectl_lbdoctor.model import reads
from tests.support.api_requests import Asked, rbac_resource
from tests.support.shop import NS

# Seconds: long enough for every client of the tests to give up first, and cut short when the fault is taken away.
SLOW = 20.0

# Reads of the same resource outside of `shop` are told apart by the labels that they select.
_SELECTED = {
    reads.CONTROLLER_PODS: "app.kubernetes.io/name=aws-load-balancer-controller",
    reads.KUBE_PROXY_PODS: "k8s-app=kube-proxy",
}
_IN_KUBE_SYSTEM = {reads.CONTROLLER_PODS, reads.KUBE_PROXY, reads.KUBE_PROXY_PODS}


@dataclass(frozen=True)
class KubeFault:
    """Requests that fail with kind "denied", "error", "slow" or "unauthorized": of these resources ("" and () for all),
    in a namespace that `where` holds for, with a label selector that has `selector` in it."""

    kind: str
    group: str = ""
    resources: tuple[str, ...] = ()
    where: Callable[[str], bool] = lambda namespace: True
    selector: str = ""
    verbs: tuple[str, ...] = ("get", "list")
    also: tuple[str, ...] = ()
    """Further groups of the same resources."""

    @classmethod
    def of(cls, read: str, kind: str) -> KubeFault:
        """The fault that hits exactly one read of `model.reads`."""
        rule = reads.KUBE[read]
        group, *also = rule.groups
        where, selector = _where(read, rule), _SELECTED.get(read, "")
        return cls(kind, group, rule.resources, where, selector, also=tuple(also))

    def hits(self, asked: Asked) -> bool:
        resource = rbac_resource(asked.resource)
        if self.resources and (asked.group not in (self.group, *self.also) or resource not in self.resources):
            return False
        selected = self.selector in asked.query.get("labelSelector", "")
        return asked.verb in self.verbs and self.where(asked.namespace) and selected


def _where(read: str, rule: reads.KubeRead) -> Callable[[str], bool]:
    if read == reads.NAMESPACES:
        return lambda namespace: True
    if read in _IN_KUBE_SYSTEM:
        return lambda namespace: namespace == "kube-system"
    return lambda namespace: (namespace == NS) is not rule.cluster_wide
