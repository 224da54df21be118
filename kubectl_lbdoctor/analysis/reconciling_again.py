"""How the controller is made to look at an object again: of what is changed in AWS it hears nothing. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_MARK = "lbdoctor.io/reconcile"
_CHECKPOINT = "elbv2.k8s.aws/checkpoint"


def looked_at_again(traffic: TrafficPath) -> tuple[str, ...]:
    """The commands that make the controller reconcile the frontend again: it hears of any change of an annotation, also
    of one that means nothing
    (https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/main/controllers, the event handlers of
    Ingresses, Services and Gateways). Bindings that people made are reconciled of themselves."""
    frontend = frontend_of(traffic)
    gateways = [ref for ref, _ in frontend.reconciled if ref.kind == kinds.GATEWAY.name]
    objects: list[ObjectRef] = gateways or [frontend.ref]
    if objects == [frontend.ref] and frontend.ref.kind == kinds.TARGET_GROUP_BINDING.name:
        return ()
    return tuple(_annotated(traffic, str(ref), ref.namespace) for ref in objects)


def compared_again(traffic: TrafficPath) -> tuple[str, ...]:
    """The command that makes the controller compare the targets of a binding with what is registered; () where another
    one than this controller works on it.

    Since 2.9.1 it passes over a binding whose endpoints and spec are those of the checkpoint that it keeps on it as an
    annotation. A restart is no way around that: the new pod, too, takes it away only 30 to 45 minutes later.
    Older releases compare after any change.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/pkg/targetgroupbinding/resource_manager.go,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v2.17.1/controllers/elbv2/targetgroupbinding_deferred_reconciler.go
    """
    binding = traffic.binding.peek()
    if binding is None or binding.group:
        return ()
    return (_annotated(traffic, kubectl_name(binding.ref), traffic.namespace, f"{_CHECKPOINT}-"),)


def _annotated(traffic: TrafficPath, name: str, namespace: str, *others: str) -> str:
    mark = f"{_MARK}={traffic.now.replace(':', '').replace('-', '')}"
    return kubectl("annotate", name, *others, mark, "--overwrite", namespace=namespace)
