"""Why the controller did not choose a subnet: what its discovery asks of each one, looked up one by one.

The rules are the controller's (AWS Load Balancer Controller, "Subnet discovery"): the role tag that fits the scheme,
with the value "1" or none, no tag of another cluster alone, 8 free addresses; one subnet per Availability Zone. Where
no subnet of the VPC carries the role tag, the route tables decide: a route to an internet gateway makes a subnet
public. The subnets of the whole VPC are read only where the controller says that it found none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from kubectl_lbdoctor.analysis.desired_state import asked_address_type, class_parameters, declaration_of
from kubectl_lbdoctor.analysis.ownership import controller_flags
from kubectl_lbdoctor.knowledge.annotation_rules.linted import truth
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Evidence, Finding
from kubectl_lbdoctor.model.network import RouteTable, Subnet
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.routes import table_of
from kubectl_lbdoctor.network.security_groups import CLUSTER_TAG
from kubectl_lbdoctor.record import record

READS = (
    reads.ALL_INGRESSES,
    reads.INGRESS_CLASSES,
    reads.INGRESS_CLASS_PARAMS,
    reads.NETWORK_INTERFACES,
    reads.SUBNETS,
    reads.ROUTE_TABLES,
)
FREE_ADDRESSES = 8
_SHOWN = 8
_NO_IPV6 = "no IPv6 range"


@record
class Judged:
    """One subnet and what speaks against it; `taggable`: nothing but the role tag, and its routes fit the scheme."""

    subnet: Subnet
    against: tuple[str, ...]
    taggable: bool = False


def judge(
    subnets: Iterable[Subnet],
    tables: tuple[RouteTable, ...] | None,
    scheme: str,
    cluster: str,
    dual_stack: bool = False,
) -> list[Judged]:
    """Every subnet as the controller's discovery sees it; those that it may choose have nothing against them."""
    everyone = sorted(subnets, key=lambda s: (s.zone, s.id))
    role = role_tag(scheme)
    tagged = any(s.tags.get(role) in ("", "1") for s in everyone)
    found = []
    for subnet in everyone:
        public = _public(subnet, tables)
        fits = None if public is None else public == (scheme == "internet-facing")
        against = []
        missing = subnet.tags.get(role) not in ("", "1")
        if role in subnet.tags and missing:
            against.append(f"{role} is {subnet.tags[role]!r} instead of '1'")
        elif missing and tagged:
            against.append(f"no tag {role}")
        elif missing and fits is False:
            kind = "no route to an internet gateway" if scheme == "internet-facing" else "public by its route table"
            against.append(f"no tag {role}, and {kind}")
        by_role = len(against)
        others = sorted(k[len(CLUSTER_TAG) :] for k in subnet.tags if k.startswith(CLUSTER_TAG))
        if others and cluster and cluster not in others:
            against.append(f"tagged for cluster {', '.join(others)}, not for {cluster}")
        if subnet.free_addresses is not None and subnet.free_addresses < FREE_ADDRESSES:
            against.append(f"{subnet.free_addresses} free addresses, {FREE_ADDRESSES} are needed")
        if dual_stack and not any(":" in cidr for cidr in subnet.cidrs):
            against.append(_NO_IPV6)
        found.append(Judged(subnet, tuple(against), len(against) == by_role == 1 and fits is not False))
    return found


def role_tag(scheme: str) -> str:
    return f"kubernetes.io/role/{'elb' if scheme == 'internet-facing' else 'internal-elb'}"


def with_subnets(traffic: TrafficPath, finding: Finding) -> Finding:
    """The finding with every subnet of the VPC and what speaks against it, as far as EC2 tells."""
    vpcs = {i.vpc_id for i in traffic.network.interfaces.peek() or ()} - {""}
    subnets = [s for s in traffic.network.subnets.peek() or () if not vpcs or s.vpc_id in vpcs]
    scheme = wanted_scheme(traffic)
    if not subnets or not scheme:
        return finding
    names = {controller_flags(w).get("cluster-name", "") for w in traffic.cluster.controllers.peek() or ()} - {""}
    cluster = next(iter(names)) if len(names) == 1 else ""
    judged = judge(subnets, traffic.network.route_tables.peek(), scheme, cluster, _is_dual_stack(traffic))
    judged.sort(key=lambda j: not j.against)
    evidence = [Evidence(reads.SUBNETS, f"for scheme {scheme}: {_line(j)}") for j in judged[:_SHOWN]]
    if len(judged) > _SHOWN:
        left = judged[_SHOWN:]
        bad = sum(bool(j.against) for j in left)
        evidence.append(Evidence(reads.SUBNETS, f"{bad} more are not suitable, {len(left) - bad} more are"))
    untagged = [j.subnet.id for j in judged if j.taggable]
    commands = finding.by_hand
    if untagged:
        tag = f"Key={role_tag(scheme)},Value=1"
        commands = (
            *commands,
            aws("ec2", "create-tags", "--resources", *untagged, "--tags", tag, region=traffic.context.region),
        )
    lacking = [j.subnet.id for j in judged if j.against == (_NO_IPV6,)]
    advice = f"give {', '.join(lacking)} an IPv6 range each, or set ip-address-type to ipv4" if lacking else ""
    return replace(finding, evidence=(*finding.evidence, *evidence), by_hand=commands, advice=advice or finding.advice)


def _is_dual_stack(traffic: TrafficPath) -> bool:
    """Whether a load balancer with IPv6 addresses is asked for; False also where that was not read."""
    with suppress(Unknown, NotApplicable):
        front = declaration_of(traffic)
        asked = asked_address_type(traffic, front) if front is not None else None
        return asked is not None and asked.is_dual_stack
    return False


def wanted_scheme(traffic: TrafficPath) -> str:
    """internet-facing or internal, as IngressClassParams or the annotation ask for it; "" where that was not read."""
    ingress, service = traffic.ingress.peek(), traffic.service.peek()
    if traffic.subject.kind == "Ingress":
        if ingress is None:
            return ""
        with suppress(Unknown):
            parameters = class_parameters(traffic, ingress.class_name)
            return str(
                parameters.get("scheme") or ingress.meta.annotations.get(f"{ALB_PREFIX}scheme") or _default(traffic)
            )
        return ""
    if service is None:
        return ""
    internal = truth(service.meta.annotations.get(f"{NLB_PREFIX}internal"))
    older = "" if internal is None else "internal" if internal else "internet-facing"
    return service.meta.annotations.get(f"{NLB_PREFIX}scheme") or older or _default(traffic)


def cloud_provider_scheme(annotations: Mapping[str, str]) -> str:
    """The scheme that a Service's annotation asks the cloud provider for; "" without one. Any value but "false" is
    internal, also 0.0.0.0/0. The AWS Load Balancer Controller reads a boolean there, and comes to it after its own
    annotation.

    Sources: EnsureLoadBalancer in
    https://github.com/kubernetes/cloud-provider-aws/blob/v1.36.1/pkg/providers/v1/aws.go, buildLoadBalancerScheme in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/service/model_build_load_balancer.go.
    """
    internal = annotations.get(f"{NLB_PREFIX}internal", "")
    return "" if not internal else "internet-facing" if internal == "false" else "internal"


def _default(traffic: TrafficPath) -> str:
    """What the controller takes where nobody says it: its flag, or internal."""
    flags = [controller_flags(w) for w in traffic.cluster.controllers.peek() or ()]
    return next((f["default-load-balancer-scheme"] for f in flags if f.get("default-load-balancer-scheme")), "internal")


def _public(subnet: Subnet, tables: tuple[RouteTable, ...] | None) -> bool | None:
    """Whether its route table has a route to an internet gateway; None where that was not read."""
    table = table_of(subnet.id, subnet.vpc_id, tables) if tables is not None else None
    return any(r.target.startswith("igw-") for r in table.routes) if table is not None else None


def _line(judged: Judged) -> str:
    subnet = judged.subnet
    name = f"{subnet.tags['Name']}, " if subnet.tags.get("Name") else ""
    return f"{subnet.id} ({name}{subnet.zone}): {'; '.join(judged.against) or 'suitable'}"
