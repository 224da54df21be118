"""LBD216, LBD505, LBD506, LBD511 and LBD512: does the controller find in AWS what it needs?

That is subnets with free addresses, one tagged security group for each target, and room within the quotas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import not_applied, subnet_choice
from kubectl_lbdoctor.analysis.blocked_paths import target_end
from kubectl_lbdoctor.analysis.controller_complaints import standing_complaints
from kubectl_lbdoctor.analysis.remediation import describe_load_balancer
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.complaint_places import READS as SETTING_READS
from kubectl_lbdoctor.checks.complaint_places import where_it_is_set
from kubectl_lbdoctor.checks.complaints import READS, reported
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.security_groups import Direction, rules_counted


@check(
    "LBD216",
    title="an AWS quota stops the controller",
    passes="no quota stops registration",
    severity=Severity.ERROR,
    message="an AWS quota stops the controller: {summary}",
    reads=READS,
    explains=undone_by("LBD216"),
    distinct_by=("summary", "words"),
)
def quota_reached(traffic: TrafficPath) -> Iterator[Finding]:
    """AWS refuses more targets, target groups, rules or load balancers than the account's quota.

    Repair: raise the quota, use fewer target groups per load balancer, or `ip` in place of `instance` targets.
    """
    yield from reported(traffic, "LBD216")


@check(
    "LBD505",
    title="a target interface has no or several tagged security groups",
    passes="each target interface has one tagged security group",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.TARGET_HEALTH, reads.NETWORK_INTERFACES, reads.SECURITY_GROUPS, reads.NODES),
    explains=undone_by("LBD505"),
    distinct_by=("summary", "words"),
)
def tagged_groups(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller writes its rules to the one security group of the target's interface that carries the tag
    `kubernetes.io/cluster/NAME`; with none or several it writes no rule, and targets time out. With `ip` targets they
    are registered all the same, with `instance` targets they are not.

    Confirm by hand: `aws ec2 describe-network-interfaces` and the tags of its groups. Repair: leave the tag on
    exactly one of the interface's security groups (`aws ec2 delete-tags`, `aws ec2 create-tags`).
    """
    for finding in reported(traffic, "LBD505"):
        yield replace(finding, evidence=(*finding.evidence, *_wrongly_tagged(traffic)))


_SHOWN_INTERFACES = 5


def _wrongly_tagged(traffic: TrafficPath) -> tuple[Evidence, ...]:
    """All interfaces of the targets with no or several groups that have the tag: the controller stops at the first."""
    decoded = (entry.decoded for entry in standing_complaints(traffic))
    tags = {str(d.params["tag"]) for d in decoded if d.code == "LBD505" and d.params.get("tag")}
    interfaces, groups = traffic.network.interfaces.peek(), traffic.network.security_groups.peek()
    if len(tags) != 1 or interfaces is None or groups is None:
        return ()
    (tag,) = tags
    tagged = {group.id for group in groups if tag in group.tags}
    ends = [target_end(traffic, target) for target in traffic.target_health.peek() or ()]
    mine = {(end.subnet_id, end.address) for end in ends}
    found = {
        interface.id: tuple(i for i in interface.security_groups if i in tagged)
        for interface in interfaces
        if any((interface.subnet_id, address) in mine for address in interface.private_ips)
    }
    wrong = [f"{name} ({', '.join(several) or 'none'})" for name, several in sorted(found.items()) if len(several) != 1]
    return (Evidence(f"groups with {tag}", listed(wrong, _SHOWN_INTERFACES)),) if wrong else ()


@check(
    "LBD506",
    title="a security group has no room for another rule",
    passes="security groups have room for rules",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.SECURITY_GROUPS, reads.PREFIX_LISTS),
    explains=undone_by("LBD506"),
    distinct_by=("summary", "words"),
)
def rules_quota(traffic: TrafficPath) -> Iterator[Finding]:
    """The security group has reached its quota of rules (60 by default), so the controller cannot add the one that
    admits the load balancer. Every source is a rule of its own; one that names a group counts for IPv4 and for IPv6.

    Confirm by hand: `aws ec2 describe-security-group-rules --filters Name=group-id,Values=ID`. Repair: remove
    rules, raise the quota, or let load balancers share a backend security group.
    """
    for finding in reported(traffic, "LBD506"):
        yield replace(finding, evidence=(*finding.evidence, *_fullest(traffic)))


def _fullest(traffic: TrafficPath) -> tuple[Evidence, ...]:
    """The groups of targets and load balancer with most inbound rules, as the quota counts them."""
    lists = {p.id: p for p in traffic.network.prefix_lists.peek() or ()}
    groups = traffic.network.security_groups.peek() or ()
    by_rules = [(max(rules_counted(g, Direction.INGRESS, lists)), g) for g in groups]
    by_rules.sort(key=lambda item: (-item[0], item[1].id))
    return tuple(
        Evidence(
            reads.SECURITY_GROUPS,
            f"{group.id} ({group.name}): {counted(count, 'inbound rule')}; the default quota is 60",
        )
        for count, group in by_rules[:2]
    )


@check(
    "LBD511",
    title="no suitable subnets for the load balancer are found",
    passes="subnets for the load balancer can be found",
    severity=Severity.ERROR,
    message="no subnet suits the load balancer: {summary}",
    reads=(*READS, *subnet_choice.READS, *SETTING_READS),
    explains=undone_by("LBD511"),
    distinct_by=("summary", "words"),
)
def subnets_not_found(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller finds too few subnets: the role tag (kubernetes.io/role/elb or internal-elb) is missing, they are
    tagged for another cluster, have too few free addresses, or lie in one zone. Each subnet of the VPC is listed with
    what speaks against it. Of a manifest that is not applied (`-f`), the same is asked of the nodes' VPC.

    Confirm by hand: `aws ec2 describe-subnets --filters Name=vpc-id,Values=VPC` (Tags, AvailableIpAddressCount).
    Repair: tag one subnet per zone with the role and for this cluster, or name subnets in the `subnets` annotation.
    """
    for finding in (*not_applied.subnets_lacking(traffic), *reported(traffic, "LBD511")):
        placed = where_it_is_set(traffic, finding)
        # Which subnets would suit is no question where some are named.
        yield placed if placed is not finding else subnet_choice.with_subnets(traffic, finding)


@check(
    "LBD512",
    title="a subnet has too few free addresses",
    passes="subnets have free addresses",
    severity=Severity.ERROR,
    message="[{summary}][load balancer {balancer} is impaired: it lacks what it needs to scale]",
    reads=(*READS, *subnet_choice.READS, reads.TARGET_GROUPS, reads.LOAD_BALANCERS),
    explains=undone_by("LBD512"),
    distinct_by=("summary", "words"),
)
def no_free_addresses(traffic: TrafficPath) -> Iterator[Finding]:
    """A load balancer needs at least 8 free addresses in each of its subnets, to be made and to grow. One that exists
    and does not get what it needs to grow is active_impaired: it serves, and fails under more load.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html

    Confirm by hand: `aws elbv2 describe-load-balancers` (State), `aws ec2 describe-subnets` (AvailableIpAddressCount).
    Repair: free addresses in these subnets, or choose larger ones with the `subnets` annotation.
    """
    for finding in reported(traffic, "LBD512"):
        yield subnet_choice.with_subnets(traffic, finding)
    balancer = traffic.load_balancer.need()
    if balancer is not None and balancer.state == "active_impaired":
        yield _impaired(traffic, balancer)


def _impaired(traffic: TrafficPath, balancer: LoadBalancer) -> Finding:
    mine = [s for s in traffic.network.subnets.peek() or () if s.id in balancer.zones.values()]
    short = [s for s in mine if s.free_addresses is not None and s.free_addresses < subnet_choice.FREE_ADDRESSES]
    region = traffic.context.region
    return Finding(
        "LBD512",
        ObjectRef("LoadBalancer", "", balancer.name),
        severity=Severity.WARNING,
        params={"balancer": balancer.name},
        evidence=(
            Evidence(reads.LOAD_BALANCERS, f"{balancer.name}: state active_impaired"),
            *(
                Evidence(reads.SUBNETS, f"{s.id} ({s.zone}): {counted(s.free_addresses or 0, 'free address')}")
                for s in short
            ),
        ),
        # AWS tells the state and not what is lacking, which is mostly addresses.
        confidence=Confidence.CERTAIN if short else Confidence.LIKELY,
        confirm=(
            describe_load_balancer(balancer.arn, region),
            aws("ec2", "describe-subnets", "--subnet-ids", *sorted(balancer.zones.values()), region=region),
        ),
        advice="free addresses in the subnets of the load balancer, or give it larger ones",
    )
