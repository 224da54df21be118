"""Where it is set who may come in by the security group that the controller makes for an Ingress's load balancer. Pure.

The parameters of its class win over the annotation of an Ingress. Of a group, the members that listen on a port decide
about it, and the controller refuses two that differ. Where any member names security groups, nobody's setting counts.

Sources, computeIngressExplicitInboundCIDRs and mergeListenPortConfigs of the controller:
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_listener.go and
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_builder.go
"""

from __future__ import annotations

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.frontend_nlb import AgreedSetting, members
from kubectl_lbdoctor.analysis.ingress_backends import class_params_of, parameters_of
from kubectl_lbdoctor.knowledge.annotation_rules.linted import listeners_of
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.k8s import Ingress
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_KEY, _GROUPS, _FIELD = ALB_PREFIX + "inbound-cidrs", ALB_PREFIX + "security-groups", "inboundCIDRs"


@record
class ClassSetting(SettingSource):
    """A setting of IngressClassParams, which holds for all Ingresses of the class: no fix changes it for one of them.
    key: the field of its spec."""

    @property
    def settable(self) -> bool:
        return False

    @property
    def label(self) -> str:
        return f"spec.{self.key}"

    def how(self, value: str) -> str:
        return f"set {self.label} of {self.ref}, for all Ingresses of its class, to {value}"


def inbound_cidrs(traffic: TrafficPath, port: int) -> SettingSource | None:
    """The setting that decides from which addresses a port of the Ingress's load balancer is reached; None where none
    does, or that is not certain."""
    ingress, snapshot = traffic.ingress.peek(), traffic.snapshot
    if ingress is None or not (snapshot.cluster.class_params.is_known and snapshot.cluster.ingress_classes.is_known):
        return None
    everybody = members(snapshot, ingress)
    if any(_GROUPS in member.meta.annotations for member in everybody):
        return None
    asking = [m for m in everybody if port in (listeners_of(m.meta.annotations, parameters_of(m, snapshot)) or ())]
    found = [source for source in (_of_member(snapshot, member) for member in asking) if source is not None]
    if not found:
        return None
    first, places = found[0], tuple(dict.fromkeys(source.ref for source in found))
    if len(places) == 1:
        return first
    return AgreedSetting(first.ref, first.key, first.annotations, places)


def _of_member(snapshot: Snapshot, member: Ingress) -> SettingSource | None:
    params = class_params_of(member, snapshot)
    said = params.spec.get(_FIELD) if params is not None else None
    if params is not None and isinstance(said, list) and said:
        ref = ObjectRef(kinds.INGRESS_CLASS_PARAMS.name, "", params.meta.name)
        return ClassSetting(ref, _FIELD, {_FIELD: ",".join(map(str, said))})
    if not member.meta.annotations.get(_KEY):
        return None
    ref = ObjectRef(kinds.INGRESS.name, member.meta.namespace, member.meta.name)
    return SettingSource(ref, _KEY, member.meta.annotations)
