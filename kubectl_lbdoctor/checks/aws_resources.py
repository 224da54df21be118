"""LBD216, LBD505, LBD506, LBD511 and LBD512: does the controller find in AWS what it needs?

That is subnets with free addresses, one tagged security group for each target, and room within the quotas.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import cluster_name, not_applied, subnet_choice
from kubectl_lbdoctor.analysis.blocked_paths import READS as PATH_READS
from kubectl_lbdoctor.analysis.blocked_paths import blocked, suspects, target_end
from kubectl_lbdoctor.analysis.cluster_name import name_mismatch
from kubectl_lbdoctor.analysis.controller_complaints import standing_complaints
from kubectl_lbdoctor.analysis.remediation import describe_load_balancer
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.complaint_places import READS as SETTING_READS
from kubectl_lbdoctor.checks.complaint_places import where_it_is_set
from kubectl_lbdoctor.checks.complaints import READS, reported
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.knowledge.controller_identity import plain_flag
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.security_groups import CLUSTER_TAG, Direction, rules_counted


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
    reads=(*READS, *PATH_READS, *cluster_name.READS),
    explains=undone_by("LBD505"),
    distinct_by=("summary", "words"),
)
def tagged_groups(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller writes its rules to the one security group of the target's interface that carries the tag
    `kubernetes.io/cluster/NAME`; with none or several it writes no rule, and targets time out. With `ip` targets they
    are registered all the same, with `instance` targets they are not. An interface with one group needs no tag.

    The controller says so in its log alone, and may have said it long ago: where its rule is missing from such an
    interface, the tags themselves tell it. EKS gives the tag back to the security group that it made for the cluster
    (tag `aws:eks:cluster-name`), so it is taken from the others.

    Sources: resolveEndpointSGForENI in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/networking/networking_manager.go,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2948,
    https://github.com/terraform-aws-modules/terraform-aws-eks/pull/3710

    Confirm by hand: `aws ec2 describe-network-interfaces` and the tags of its groups. Repair: leave the tag on
    exactly one of the interface's security groups (`aws ec2 delete-tags`, `aws ec2 create-tags`).
    """
    told = False
    try:
        for finding in reported(traffic, "LBD505"):
            told = True
            yield _with_tags(traffic, finding, _complained_tag(traffic))
    finally:
        if not told:
            yield from _untold(traffic)


_SHOWN_INTERFACES = 5


def _complained_tag(traffic: TrafficPath) -> str:
    """The tag that the controller misses, or finds twice; "" where it speaks of several."""
    decoded = (entry.decoded for entry in standing_complaints(traffic))
    tags = {str(d.params["tag"]) for d in decoded if d.code == "LBD505" and d.params.get("tag")}
    return next(iter(tags)) if len(tags) == 1 else ""


def _untold(traffic: TrafficPath) -> Iterator[Finding]:
    """An interface whose groups cut a target off, where the controller knows no group to write its rule to."""
    tag, binding = _cluster_tag(traffic), traffic.binding.peek()
    if not tag or binding is None or binding.group or binding.networking is None:
        return  # Which group EKS Auto Mode takes for its rules, nobody but its own complaint tells.
    # Behind the nodes of instance targets the controller writes no rules: what blocks there is none of its own.
    found = (entry for entry in blocked(traffic) if not entry.second)
    cut = {entry.target.id for entry in found if entry.hop.code in ("LBD501", "LBD514")}
    wrong = _wrongly_tagged(traffic, tag, cut) if cut or suspects(traffic) else {}
    if not wrong:
        return
    name, tagged = next(iter(wrong.items()))
    said = f"several security groups of {name} have the tag {tag}; exactly one may"
    if not tagged:
        said = f"no security group of {name} has the tag {tag}; exactly one must"
    finding = Finding(
        "LBD505",
        binding.ref,
        params={"summary": said, "words": ""},
        confirm=(
            aws("ec2", "describe-network-interfaces", "--network-interface-ids", name, region=traffic.context.region),
        ),
    )
    yield _with_tags(traffic, finding, tag)


def _cluster_tag(traffic: TrafficPath) -> str:
    """The tag that the controller goes by; "" where several controllers run, it asks for more tags, or it has the name
    of another cluster (LBD134)."""
    controllers = traffic.cluster.controllers.peek() or ()
    name = plain_flag(controllers[0], "cluster-name") if len(controllers) == 1 else ""
    if not name or plain_flag(controllers[0], "service-target-eni-security-group-tags") != "":
        return ""
    return "" if name_mismatch(traffic) is not None else CLUSTER_TAG + name


def _wrongly_tagged(traffic: TrafficPath, tag: str, targets: Container[str]) -> dict[str, tuple[str, ...]]:
    """The interfaces of targets with several groups of which not one has the tag, each with those that have it; the
    controller stops at the first."""
    known = {group.id: group for group in traffic.network.security_groups.need()}
    ends = [target_end(traffic, t) for t in traffic.target_health.need() if t.id in targets]
    mine = {(end.subnet_id, end.address) for end in ends}
    return {
        i.id: tagged
        for i in sorted(traffic.network.interfaces.need(), key=lambda i: i.id)
        if len(i.security_groups) > 1
        and all(group in known for group in i.security_groups)
        and any((i.subnet_id, address) in mine for address in i.private_ips)
        and len(tagged := tuple(group for group in i.security_groups if tag in known[group].tags)) != 1
    }


def _with_tags(traffic: TrafficPath, finding: Finding, tag: str) -> Finding:
    """The finding with all interfaces of targets that are tagged wrongly, and what takes the tag from those groups that
    need not have it."""
    groups, region = traffic.network.security_groups.peek(), traffic.context.region
    if not tag or groups is None or not traffic.network.interfaces.is_known or not traffic.target_health.is_known:
        return finding
    wrong = _wrongly_tagged(traffic, tag, {t.id for t in traffic.target_health.need()})
    if not wrong:
        return finding
    shown = listed([f"{name} ({', '.join(several) or 'none'})" for name, several in wrong.items()], _SHOWN_INTERFACES)
    several = {group for tagged in wrong.values() for group in tagged}
    made_by_eks = {group.id for group in groups if _OF_EKS in group.tags}
    taken = sorted(several - made_by_eks) if len(several & made_by_eks) == 1 else []
    untag = aws("ec2", "delete-tags", "--resources", *taken, "--tags", f"Key={tag}", region=region)
    return replace(
        finding,
        evidence=(*finding.evidence, Evidence(f"groups with {tag}", shown)),
        by_hand=(untag,) if taken else (),
        advice="" if taken else f"leave the tag {tag} on exactly one security group of each interface",
    )


# EKS puts it on the security group that it makes for a cluster.
_OF_EKS = "aws:eks:cluster-name"


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
