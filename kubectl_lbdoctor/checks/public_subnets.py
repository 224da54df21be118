"""LBD510: an internet-facing load balancer whose subnets are not public, as the controller or the route tables tell."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.controller_complaints import READS
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.complaints import reported
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.network import RouteTable
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.routes import internet_routes, is_public, table_of

_SHOWN_ROUTES = 4


@check(
    "LBD510",
    title="the subnets of an internet-facing load balancer are not public",
    passes="the subnets of an internet-facing load balancer are public",
    severity=Severity.ERROR,
    message="[{summary}][{table} leads {subnets:,1} to no internet gateway][ for {family}]",
    reads=(*READS, reads.TARGET_GROUPS, reads.LOAD_BALANCERS, reads.ROUTE_TABLES),
    explains=undone_by("LBD510"),
    distinct_by=("summary", "words"),
    by_absence=(reads.ROUTE_TABLES,),
)
def no_gateway(traffic: TrafficPath) -> Iterator[Finding]:
    """An internet-facing load balancer needs subnets with a route to an internet gateway: without one the controller
    is refused, and where it is taken away later, clients get no answer from those subnets while health checks, which
    stay inside the VPC, pass. The route table of each of its subnets is looked at, which is the VPC's main one where
    none is associated, for IPv4 and, behind a dual-stack load balancer, for IPv6. A NAT gateway and an egress-only
    internet gateway let nobody in. A route to something that may itself lead to the internet gateway (a firewall's
    endpoint, an appliance, a transit gateway) is no fault, and neither is one for the clients' addresses alone.

    Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html (an
    internet-facing one needs public subnets), https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html

    Confirm by hand: `aws ec2 describe-route-tables --filters Name=association.subnet-id,Values=SUBNET`. Repair: choose
    subnets with a route to an internet gateway, give these one, or `scheme: internal`.
    """
    yield from reported(traffic, "LBD510")
    balancer = traffic.load_balancer.need()
    if balancer is not None and balancer.scheme == "internet-facing":
        yield from _not_public(traffic, balancer)


def _not_public(traffic: TrafficPath, balancer: LoadBalancer) -> Iterator[Finding]:
    tables = traffic.network.route_tables.need()
    subnets = sorted(set(balancer.zones.values()))
    used: dict[str, tuple[RouteTable, list[str]]] = {}
    for subnet in subnets:
        table = table_of(subnet, balancer.vpc_id, tables)
        if table is not None:
            used.setdefault(table.id, (table, []))[1].append(subnet)
    for table, mine in used.values():
        lacking = [family for family in _families(balancer) if not is_public(table, six=family == _SIX)]
        if lacking:
            yield _finding(traffic, balancer, table, mine, lacking)


_FOUR, _SIX = "IPv4", "IPv6"


def _families(balancer: LoadBalancer) -> tuple[str, ...]:
    """The families of the addresses that clients reach it by
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancer.html, IpAddressType)."""
    kind = balancer.ip_address_type
    if kind == "dualstack-without-public-ipv4":
        return (_SIX,)
    return (_FOUR, _SIX) if kind == "dualstack" else (_FOUR,)


def _finding(
    traffic: TrafficPath, balancer: LoadBalancer, table: RouteTable, mine: list[str], lacking: list[str]
) -> Finding:
    families = _families(balancer)
    routes = [route for family in lacking for route in internet_routes(table, six=family == _SIX)]
    shown = [f"{r.destination or r.prefix_list} to {r.target} ({r.state})" for r in routes[:_SHOWN_ROUTES]]
    association = "associated with" if set(mine) <= set(table.subnets) else "the main table of the VPC, used by"
    return Finding(
        "LBD510",
        ObjectRef("RouteTable", "", table.id),
        # Who the clients are is not known: there may be none outside of the VPC's networks.
        severity=Severity.WARNING,
        params={
            "table": table.id,
            "subnets": tuple(mine),
            "family": lacking[0] if len(lacking) < len(families) else "",
        },
        evidence=(
            Evidence(
                f"load balancer {balancer.name}", f"internet-facing, in {', '.join(sorted(balancer.zones.values()))}"
            ),
            Evidence(f"route table {table.id}", f"{association} {', '.join(mine)}"),
            Evidence(f"route table {table.id}", f"out of the VPC: {'; '.join(shown) or 'no route'}"),
        ),
        confirm=(aws("ec2", "describe-route-tables", "--route-table-ids", table.id, region=traffic.context.region),),
        advice=f"give {table.id} a route to the VPC's internet gateway, or let the load balancer stand in public "
        "subnets; for clients inside only, `scheme: internal`",
    )
