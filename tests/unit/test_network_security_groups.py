"""Security groups: every fact that the evaluator encodes, and random rule sets against a naive model."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.network import IpPermission, PrefixList, SecurityGroup
from kubectl_lbdoctor.network.matching import Answer, PortRange
from kubectl_lbdoctor.network.security_groups import (
    Direction,
    GroupRemedy,
    GroupVerdict,
    Peer,
    admits,
    command,
)
from tests.support.network import GROUPS, V4, V6, all_groups, all_lists, few, ports, protocols, rule_passes

IN, OUT = Direction.INGRESS, Direction.EGRESS
LB = Peer("10.0.1.5", ("sg-lb",))


def ask(
    *rules: IpPermission, peer: Peer = LB, protocol: str = "tcp", port: int = 8080, **lists: PrefixList
) -> GroupVerdict:
    known = {item.id: item for item in lists.values()}
    return admits(IN, [SecurityGroup("sg-node", ingress=rules)], peer, protocol, port, known)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (IpPermission("tcp", 8080, 8080, cidrs=("10.0.1.0/24",)), True),
        (IpPermission("tcp", 8080, 8080, cidrs=("10.0.2.0/24",)), False),
        (IpPermission("tcp", 0, 65535, groups=("sg-lb",)), True),
        (IpPermission("tcp", 0, 65535, groups=("sg-other",)), False),
        (IpPermission("tcp", 0, 65535, stale_groups=("sg-lb",)), False),
        (IpPermission("tcp", 80, 8079, groups=("sg-lb",)), False),
        (IpPermission("tcp", None, None, groups=("sg-lb",)), True),
        (IpPermission("tcp", -1, -1, groups=("sg-lb",)), True),
        (IpPermission("-1", None, None, groups=("sg-lb",)), True),
        (IpPermission("-1", 1, 2, groups=("sg-lb",)), True),
        (IpPermission("6", 8080, 8080, groups=("sg-lb",)), True),
        (IpPermission("udp", 8080, 8080, groups=("sg-lb",)), False),
        (IpPermission("icmp", -1, -1, cidrs=("0.0.0.0/0",)), False),
        (IpPermission("tcp", 8080, 8080, cidrs=("::/0",)), False),
    ],
)
def test_one_rule(rule: IpPermission, allowed: bool) -> None:
    verdict = ask(rule)
    assert verdict.answer is (Answer.ALLOWED if allowed else Answer.DENIED)
    assert (verdict.rule is rule, verdict.group_id) == ((True, "sg-node") if allowed else (False, ""))


def test_ipv6_is_admitted_by_ipv6_rules_only() -> None:
    peer = Peer("2001:db8::5", ())
    assert ask(IpPermission("tcp", 8080, 8080, cidrs=("0.0.0.0/0",)), peer=peer).answer is Answer.DENIED
    assert ask(IpPermission("tcp", 8080, 8080, cidrs=("2001:db8::/64",)), peer=peer).source == "2001:db8::/64"


def test_all_groups_count_and_an_empty_one_takes_nothing_away() -> None:
    """Union over the interface's groups; the one that admits need not be the one with the cluster's tag."""
    tagged = SecurityGroup("sg-node", tags={"kubernetes.io/cluster/x": "owned"})
    opened = SecurityGroup("sg-extra", ingress=(IpPermission("tcp", 8080, 8080, groups=("sg-lb",)),))
    verdict = admits(IN, [tagged, opened], LB, "tcp", 8080, {})
    assert (verdict.answer, verdict.group_id, verdict.source) == (Answer.ALLOWED, "sg-extra", "sg-lb")


def test_directions_are_separate() -> None:
    group = SecurityGroup("sg-node", egress=(IpPermission(cidrs=("0.0.0.0/0",)),))
    assert admits(OUT, [group], LB, "tcp", 8080, {}).answer is Answer.ALLOWED
    assert admits(IN, [group], LB, "tcp", 8080, {}).answer is Answer.DENIED


def test_prefix_list() -> None:
    rule = IpPermission("tcp", 8080, 8080, prefix_lists=("pl-1",))
    assert ask(rule, a=PrefixList("pl-1", ("10.0.0.0/16",))).source == "pl-1"
    assert ask(rule, a=PrefixList("pl-1", ("10.9.0.0/16",))).answer is Answer.DENIED
    unread = ask(rule)
    assert (unread.answer, unread.unknown, unread.missing) == (Answer.UNKNOWN, ("pl-1",), None)
    assert ask(IpPermission("tcp", 9, 9, prefix_lists=("pl-1",))).answer is Answer.DENIED, "another port: no matter"
    assert ask(rule, IpPermission(groups=("sg-lb",))).answer is Answer.ALLOWED, "another rule decides"


def test_a_client_behind_nat_carries_no_group() -> None:
    """A reference matches private addresses of interfaces that carry the group, nothing translated."""
    rule = IpPermission("tcp", 8080, 8080, groups=("sg-lb",))
    assert ask(rule, peer=Peer("203.0.113.9", ())).answer is Answer.DENIED
    assert ask(rule, peer=Peer("10.0.1.5", None)).answer is Answer.UNKNOWN


def test_groups_that_were_not_read_never_deny() -> None:
    group = SecurityGroup("sg-node")
    verdict = admits(IN, [group], LB, "tcp", 8080, {}, unread=["sg-extra"])
    assert (verdict.answer, verdict.unknown) == (Answer.UNKNOWN, ("sg-extra",))
    assert admits(IN, [], LB, "tcp", 8080, {}).answer is Answer.UNKNOWN


def test_the_missing_rule_names_the_load_balancers_group_and_the_clusters() -> None:
    groups = [SecurityGroup("sg-1"), SecurityGroup("sg-2", tags={"kubernetes.io/cluster/x": "shared"})]
    verdict = admits(IN, groups, LB, "TCP", 8080, {})
    assert verdict.missing == GroupRemedy("sg-2", IN, "tcp", PortRange(8080, 8080), "sg-lb", ("sg-1", "sg-2"))
    assert command(verdict.missing) == (
        "aws ec2 authorize-security-group-ingress --group-id sg-2 --protocol tcp --port 8080 --source-group sg-lb"
    )
    two = admits(IN, groups, Peer("10.0.1.5", ("sg-a", "sg-b"), "10.0.1.0/24"), "tcp", 80, {})
    assert two.missing and two.missing.peer == "10.0.1.0/24"
    assert admits(IN, groups, Peer("10.0.1.5", ()), "tcp", 80, {}).missing == replace(two.missing, peer="10.0.1.5/32")


def test_commands() -> None:
    base = GroupRemedy("sg-1", IN, "tcp", PortRange(80, 80), "10.0.0.0/24")
    assert command(base, "eu-west-1").endswith("--protocol tcp --port 80 --cidr 10.0.0.0/24 --region eu-west-1")
    assert command(replace(base, peer="2001:db8::/64")) == (
        "aws ec2 authorize-security-group-ingress --group-id sg-1"
        " --ip-permissions 'IpProtocol=tcp,FromPort=80,ToPort=80,Ipv6Ranges=[{CidrIpv6=2001:db8::/64}]'"
    )
    assert command(replace(base, direction=OUT, peer="sg-2")) == (
        "aws ec2 authorize-security-group-egress --group-id sg-1"
        " --ip-permissions 'IpProtocol=tcp,FromPort=80,ToPort=80,UserIdGroupPairs=[{GroupId=sg-2}]'"
    )
    hostile = replace(base, group_id="sg-1; rm -rf ~")
    assert shlex.split(command(hostile))[4] == "sg-1; rm -rf ~"


def test_records_survive_a_bundle() -> None:
    group = SecurityGroup("sg-1", "n", "vpc-1", {"a": "b"}, (IpPermission("tcp", 1, 2, ("10.0.0.0/8",), ("pl-1",)),))
    assert from_json(SecurityGroup, to_json(group)) == group


peers = st.builds(Peer, address=st.sampled_from(V4 + V6), group_ids=few(GROUPS))
carried = few(GROUPS, 3).filter(bool)
directions = st.sampled_from(list(Direction))


@given(directions, all_groups, carried, peers, protocols, ports, all_lists)
def test_like_the_naive_model(direction, groups, carries, peer, protocol, port, lists) -> None:
    own = [groups[i] for i in carries]
    side = "ingress" if direction is IN else "egress"
    expected = any(
        rule_passes(rule, peer.address, peer.group_ids, protocol, port, lists)
        for group in own
        for rule in getattr(group, side)
    )
    verdict = admits(direction, own, peer, protocol, port, lists)
    assert verdict.answer is (Answer.ALLOWED if expected else Answer.DENIED)
    if expected:
        assert rule_passes(verdict.rule, peer.address, peer.group_ids, protocol, port, lists)
        assert verdict.rule in getattr(groups[verdict.group_id], side)
    else:
        assert verdict.missing
        changed = [
            replace(g, **{side: (*getattr(g, side), verdict.missing.permission)})
            if g.id == verdict.missing.group_id
            else g
            for g in own
        ]
        after = admits(direction, changed, peer, protocol, port, lists)
        assert (after.answer, after.rule) == (Answer.ALLOWED, verdict.missing.permission)


@given(all_groups, carried, peers, ports, all_lists, few(GROUPS, 3), few(("pl-1", "pl-2")), st.booleans())
def test_less_knowledge_never_gives_another_certainty(
    groups, carries, peer, port, lists, hidden_groups, hidden_lists, hide_peer
) -> None:
    full = admits(IN, [groups[i] for i in carries], peer, "tcp", port, lists).answer
    read = [groups[i] for i in carries if i not in hidden_groups]
    less = admits(
        IN,
        read,
        replace(peer, group_ids=None) if hide_peer else peer,
        "tcp",
        port,
        {i: found for i, found in lists.items() if i not in hidden_lists},
        [i for i in carries if i in hidden_groups],
    )
    assert less.answer in (full, Answer.UNKNOWN)
    assert (less.answer is Answer.UNKNOWN) == bool(less.unknown)
