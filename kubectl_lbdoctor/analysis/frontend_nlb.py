"""The Network Load Balancer that the controller puts before the Application Load Balancer of an Ingress. Pure.

`enable-frontend-nlb` on any member of an IngressGroup makes one for all of them. Each of its listeners has a target
group of type `alb`, whose only target is the Application Load Balancer, at the port of one of its listeners. That
target is healthy where the load balancer answers the health check, an HTTP request without the host name of any rule.

Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_frontend_nlb.go
and https://docs.aws.amazon.com/elasticloadbalancing/latest/network/application-load-balancer-target.html
"""

from __future__ import annotations

import re

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.ingress_backends import ingress_group, known_members, parameters_of
from kubectl_lbdoctor.analysis.site_rules import place_in_group
from kubectl_lbdoctor.knowledge.annotation_rules.linted import listeners_of, truth
from kubectl_lbdoctor.knowledge.annotation_values import ValueProblem, parse_map
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, HealthCheckIntent, effective_health_check
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.k8s import Ingress
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

ENABLE = ALB_PREFIX + "enable-frontend-nlb"
PREFIX = ALB_PREFIX + "frontend-nlb-"
_MAPPING = PREFIX + "listener-port-mapping"
_ASKING = (ENABLE, ALB_PREFIX + "listen-ports", _MAPPING)
"""The annotations that decide which listeners the Network Load Balancer has."""

_NLB_NAME = re.compile(r"\.elb\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$", re.IGNORECASE)
"""How the DNS names of Network Load Balancers end; those of Application Load Balancers have the region before "elb"."""


def members(snapshot: Snapshot, ingress: Ingress) -> tuple[Ingress, ...]:
    """The Ingresses whose load balancer it is, in the order of their group, as far as they could be read. One that is
    being deleted is no member any more."""
    group = ingress_group(ingress, snapshot)
    others = (m for m in known_members(snapshot, group) if m.meta.key != ingress.meta.key)
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
    return traffic.behind == traffic.subject


def frontend_nlb_check(traffic: TrafficPath) -> HealthCheckIntent:
    """The health check that is asked for such a path: of a setting that several members of a group annotate, the first
    one's counts, since the controller refuses two that differ."""
    found: dict[str, str] = {}
    for member in _askers(traffic):
        found = {key: value for key, value in member.meta.annotations.items() if key.startswith(PREFIX)} | found
    return effective_health_check("frontend-nlb", ingress_annotations=found)


@record
class AgreedSetting(SettingSource):
    """A setting that several members of a group annotate, who have to say the same: the controller refuses the whole
    group where two differ (mergeHealthCheckField), so that no fix changes one of them alone."""

    holders: tuple[ObjectRef, ...] = ()

    @property
    def settable(self) -> bool:
        return False

    @property
    def instruction(self) -> str:
        return f"annotate {' and '.join(map(str, self.holders))} alike with {self.label}"

    def how(self, value: str) -> str:
        return f"{self.instruction}={value}"


def frontend_nlb_setting(traffic: TrafficPath, name: str) -> SettingSource:
    """Where a setting of the health check ("healthcheck-path", "success-codes", "healthy-threshold-count"…) of such a
    path is, or has to be, annotated: on the members that have it, else on the path's own Ingress, if its annotations
    count for the port, else on the first one whose do."""
    key = f"{PREFIX}healthcheck-{name.removeprefix('healthcheck-')}"
    askers, own = _askers(traffic), traffic.ingress.peek()
    if own is None:
        return SettingSource(traffic.subject, key, {})
    holders = [member for member in askers if key in member.meta.annotations]
    first = next(iter(holders), own if own in askers else askers[0])
    if len(holders) > 1:
        return AgreedSetting(_ref(first), key, first.meta.annotations, tuple(map(_ref, holders)))
    return SettingSource(_ref(first), key, first.meta.annotations)


def _ref(ingress: Ingress) -> ObjectRef:
    return ObjectRef(kinds.INGRESS.name, ingress.meta.namespace, ingress.meta.name)


@derived
def _askers(traffic: TrafficPath) -> tuple[Ingress, ...]:
    """The members of the group whose annotations decide about the check of the path's port: those that ask for the
    port, or all of them, where none certainly does."""
    ingress = traffic.ingress.peek()
    if ingress is None:
        return ()
    everybody, port = members(traffic.snapshot, ingress), traffic.backend.port if traffic.backend is not None else ""
    asking = (m for m in everybody if port.isdigit() and int(port) in (_ports_of(traffic.snapshot, m) or ()))
    return tuple(asking) or everybody


def frontend_nlb_ports(snapshot: Snapshot, ingress: Ingress) -> frozenset[int] | None:
    """The ports that the Network Load Balancer before an Ingress has listeners for, by what the members of its group
    ask for; None where that is not certain."""
    if ingress_group(ingress, snapshot) and not snapshot.cluster.group_ingresses.is_known:
        return None
    asked = [_ports_of(snapshot, member) for member in members(snapshot, ingress)]
    return None if None in asked else frozenset(port for ports in asked for port in ports or ())


def asked_of_frontend_nlb(traffic: TrafficPath) -> dict[int, str]:
    """The ports that the Ingress of such a path wants listeners for on the Network Load Balancer before its own, each
    with what asks for it; {} where none certainly is."""
    ingress = traffic.ingress.peek()
    if ingress is None or not is_enabled(traffic.snapshot, ingress) or not traffic.cluster.class_params.is_known:
        return {}
    said = ", ".join(f"{key}: {ingress.meta.annotations[key]}" for key in _ASKING if key in ingress.meta.annotations)
    return dict.fromkeys(sorted(_ports_of(traffic.snapshot, ingress) or ()), f"annotations {said}")


def _ports_of(snapshot: Snapshot, member: Ingress) -> frozenset[int] | None:
    """The ports of the Network Load Balancer that one member asks for: those of its own listeners, or those that it
    maps to them (buildFrontendNlbListenerConfigByPortForIngress); None where that is not certain."""
    own = listeners_of(member.meta.annotations, parameters_of(member, snapshot))
    try:
        mapped = parse_map(member.meta.annotations.get(_MAPPING, ""))
        ports = {int(nlb): int(alb) for nlb, alb in mapped.items()}
    except (ValueProblem, ValueError):
        return None  # The controller refuses it.
    if own is None:
        return None
    return frozenset(nlb for nlb, alb in ports.items() if alb in own) if ports else frozenset(own)
