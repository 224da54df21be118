"""What the controller would refuse of objects that are not applied yet, where nothing has told so. Pure.

On what is applied the controller's own events say it; here its rules are asked before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.analysis.ingress_backends import group_members, known_members
from kubectl_lbdoctor.analysis.ownership import controller_flags
from kubectl_lbdoctor.analysis.subnet_choice import judge, role_tag, wanted_scheme
from kubectl_lbdoctor.knowledge.annotation_catalogue import AnnotationSpec, catalogue
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef
from kubectl_lbdoctor.model.k8s import Ingress
from kubectl_lbdoctor.model.network import Subnet
from kubectl_lbdoctor.model.traffic_path import TrafficPath

READS = (reads.ALL_INGRESSES, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, reads.INGRESSES)


def is_laid(traffic: TrafficPath) -> bool:
    """Whether the path starts at an object of a manifest, and not of the cluster."""
    return any(laid.ref == traffic.subject for laid in traffic.snapshot.laid)


def group_conflicts(traffic: TrafficPath) -> Iterator[Finding]:
    """The members of an IngressGroup share one load balancer, and must agree on its settings; where they do not, the
    controller makes nothing of the whole group.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#exclusive
    """
    if not traffic.group or not is_laid(traffic):
        return
    members = group_members(traffic.snapshot, traffic.group)
    for spec in catalogue().values():
        if spec.exclusive_in_group and spec.pattern is None:
            yield from _conflict(traffic, spec, members)


def _conflict(traffic: TrafficPath, spec: AnnotationSpec, members: Sequence[Ingress]) -> Iterator[Finding]:
    said = {m.meta.key: m.meta.annotations[spec.key] for m in members if spec.key in m.meta.annotations}
    own = said.get(f"{traffic.subject.namespace}/{traffic.subject.name}")
    others = {key: value for key, value in said.items() if own is not None and _parts(value) != _parts(own)}
    if own is None or not others:
        return
    key, value = min(others.items())
    # Of maps only the keys that both have can differ: the others are added to each other.
    if spec.type == "map" and not _contradicts(own, value):
        return
    yield Finding(
        "LBD103",
        traffic.subject,
        params={
            "summary": f"{spec.suffix} is {own} here and {value} at ingress/{key.partition('/')[2]} of namespace "
            f"{key.partition('/')[0]}, and members of IngressGroup {traffic.group} must agree on it"
        },
        evidence=tuple(Evidence(f"ingress/{k}", f"{spec.key}: {v}") for k, v in sorted(said.items())[:4]),
        advice=f"give all members of the group the same {spec.key}, or say it at one of them only",
    )


def _parts(value: str) -> frozenset[str]:
    return frozenset(part.strip() for part in value.split(",") if part.strip())


def _contradicts(first: str, second: str) -> bool:
    one, other = (dict(part.split("=", 1) for part in _parts(text) if "=" in part) for text in (first, second))
    return any(other[key] != value for key, value in one.items() if key in other)


def subnets_lacking(traffic: TrafficPath) -> Iterator[Finding]:
    """Whether the controller could choose the subnets of a load balancer that is not made yet: those that are named
    exist, or its discovery finds enough: of an Application Load Balancer in two zones.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/subnet_discovery/
    """
    scheme = wanted_scheme(traffic)
    front = frontend_of(traffic)
    if not is_laid(traffic) or _has_balancer(traffic) or not scheme or traffic.subject.kind == "TargetGroupBinding":
        return
    if traffic.subject.kind == "Service" and front.reconciler().owner != "controller":
        return
    interfaces = traffic.network.interfaces.need()
    subnets = [s for s in traffic.network.subnets.need() if s.vpc_id in {i.vpc_id for i in interfaces}]
    if not subnets:
        return  # No node has told the VPC.
    if named := _named(traffic):
        yield from _missing(traffic, named, subnets)
        return
    flags = [controller_flags(workload) for workload in traffic.cluster.controllers.peek() or ()]
    cluster = next((f["cluster-name"] for f in flags if f.get("cluster-name")), "")
    judged = judge(subnets, traffic.network.route_tables.peek(), scheme, cluster)
    zones = {entry.subnet.zone for entry in judged if not entry.against}
    alone = any("ALBSingleSubnet=true" in f.get("feature-gates", "") for f in flags)
    needed = 2 if traffic.subject.kind == "Ingress" and not alone else 1
    if len(zones) >= needed:
        return
    suits = sum(not entry.against for entry in judged)
    yield Finding(
        "LBD511",
        traffic.subject,
        params={
            "summary": f"{suits} of {len(judged)} subnets suit scheme {scheme}, in {len(zones)} zones; "
            f"{needed} {'zones are' if needed > 1 else 'zone is'} needed"
        },
        advice=f"tag one subnet of each zone with {role_tag(scheme)}=1, or name them in the subnets annotation",
    )


def _has_balancer(traffic: TrafficPath) -> bool:
    """Whether the load balancer is there already: the object's own, or that of its group."""
    if frontend_of(traffic).addresses:
        return True
    return any(member.addresses for member in known_members(traffic.snapshot, traffic.group))


def _named(traffic: TrafficPath) -> frozenset[str]:
    ingress, service = traffic.ingress.peek(), traffic.service.peek()
    if traffic.subject.kind == "Ingress":
        return _parts(ingress.meta.annotations.get(f"{ALB_PREFIX}subnets", "")) if ingress is not None else frozenset()
    return _parts(service.meta.annotations.get(f"{NLB_PREFIX}subnets", "")) if service is not None else frozenset()


def _missing(traffic: TrafficPath, named: frozenset[str], subnets: list[Subnet]) -> Iterator[Finding]:
    known = {name for subnet in subnets for name in (subnet.id, subnet.tags.get("Name", ""))}
    if missing := sorted(named - known):
        yield Finding(
            "LBD511",
            ObjectRef(traffic.subject.kind, traffic.subject.namespace, traffic.subject.name),
            params={"summary": f"the VPC of the nodes has no subnet {', '.join(missing)}"},
            evidence=(Evidence(reads.SUBNETS, ", ".join(sorted(s.id for s in subnets)[:8])),),
            advice="name subnets of this VPC by their id or Name tag",
        )
