"""How the controller is made to look at an object again: of what is changed in AWS it hears nothing. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.shell import kubectl
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_MARK = "lbdoctor.io/reconcile"


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


def _annotated(traffic: TrafficPath, name: str, namespace: str) -> str:
    mark = f"{_MARK}={traffic.now.replace(':', '').replace('-', '')}"
    return kubectl("annotate", name, mark, "--overwrite", namespace=namespace)
