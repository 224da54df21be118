"""The Network Load Balancer that the controller puts before the Application Load Balancer of an Ingress. Pure.

`enable-frontend-nlb` on any member of an IngressGroup makes one for all of them. Each of its listeners has a target
group of type `alb`, whose only target is the Application Load Balancer, at the port of one of its listeners. That
target is healthy where the load balancer answers the health check, an HTTP request without the host name of any rule.

Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/ingress/model_build_frontend_nlb.go
and https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html
"""

from __future__ import annotations

import re

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.ingress_backends import ingress_group
from kubectl_lbdoctor.analysis.site_rules import place_in_group
from kubectl_lbdoctor.knowledge.annotation_rules.linted import truth
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, HealthCheckIntent, effective_health_check
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.k8s import Ingress
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

ENABLE = ALB_PREFIX + "enable-frontend-nlb"
PREFIX = ALB_PREFIX + "frontend-nlb-"

_NLB_NAME = re.compile(r"\.elb\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$", re.IGNORECASE)
"""How the DNS names of Network Load Balancers end; those of Application Load Balancers have the region before "elb"."""


def members(snapshot: Snapshot, ingress: Ingress) -> tuple[Ingress, ...]:
    """The Ingresses whose load balancer it is, in the order of their group, as far as they could be read."""
    group = ingress_group(ingress, snapshot)
    listed = snapshot.cluster.group_ingresses.peek() or () if group else ()
    others = (m for m in listed if m.meta.key != ingress.meta.key and ingress_group(m, snapshot) == group)
    return tuple(sorted((ingress, *others), key=place_in_group))


def is_enabled(snapshot: Snapshot, ingress: Ingress) -> bool:
    """Whether a Network Load Balancer is asked for: the first member that says anything of it decides."""
    said = (truth(member.meta.annotations.get(ENABLE)) for member in members(snapshot, ingress))
    return next((value for value in said if value is not None), False)


def nlb_address(snapshot: Snapshot, ingress: Ingress) -> str:
    """The DNS name under which the Network Load Balancer before an Ingress is published; "" where none is.

    The status of the Ingress has the names of both load balancers, or, by `frontend-nlb-status-only`, this one alone.
    """
    if not (is_enabled(snapshot, ingress) or len(ingress.addresses) > 1):
        return ""
    return next((address for address in ingress.addresses if _is_network(snapshot, address)), "")


def _is_network(snapshot: Snapshot, address: str) -> bool:
    read = snapshot.aws.load_balancers.get(address)
    balancer = read.peek() if read is not None else None
    return balancer.type == "network" if balancer is not None else _NLB_NAME.search(address) is not None


def is_before_ingress(traffic: TrafficPath) -> bool:
    """Whether the path leads from such a Network Load Balancer to the Application Load Balancer of its Ingress."""
    return traffic.backend is not None and traffic.backend.behind == traffic.subject


def frontend_nlb_check(traffic: TrafficPath) -> HealthCheckIntent:
    """The health check that is asked for such a path: of a setting that several members of a group annotate, the first
    one's counts, since the controller refuses two that differ."""
    found: dict[str, str] = {}
    for member in _members_of(traffic):
        found = {key: value for key, value in member.meta.annotations.items() if key.startswith(PREFIX)} | found
    return effective_health_check("frontend-nlb", ingress_annotations=found)


def frontend_nlb_setting(traffic: TrafficPath, name: str) -> SettingSource:
    """Where a setting of the health check ("healthcheck-path", "success-codes", "healthy-threshold-count"…) of such a
    path is, or has to be, annotated: on the member of the group that has it, else on the path's own Ingress."""
    key = f"{PREFIX}healthcheck-{name.removeprefix('healthcheck-')}"
    own = traffic.ingress.peek()
    said = next((member for member in _members_of(traffic) if key in member.meta.annotations), own)
    ref = ObjectRef(kinds.INGRESS.name, said.meta.namespace, said.meta.name) if said is not None else traffic.subject
    return SettingSource(ref, key, said.meta.annotations if said is not None else {})


@derived
def _members_of(traffic: TrafficPath) -> tuple[Ingress, ...]:
    ingress = traffic.ingress.peek()
    return members(traffic.snapshot, ingress) if ingress is not None else ()
