"""Network ACLs: every fact that the evaluator encodes, and random ACLs against a naive model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.network import AclEntry, NetworkAcl
from kubectl_lbdoctor.network.acls import (
    AclRemedy,
    AclVerdict,
    Slice,
    acl_of,
    admits,
    command,
    free_number,
    open_ports,
    opening,
)
from kubectl_lbdoctor.network.matching import EPHEMERAL, Answer, PortRange
from tests.support import network as naive

PEER = "10.0.1.5"
LAST = AclEntry(32767, cidr="0.0.0.0/0")


def entry(
    number: int, ports: tuple[int, int] | None = None, allow: bool = True, cidr: str = "0.0.0.0/0", protocol: str = "6"
) -> AclEntry:
    low, high = ports or (None, None)
    return AclEntry(number, False, allow, protocol, cidr, low, high)


def ask(*entries: AclEntry, ports: PortRange | int = 8080, peer: str = PEER, protocol: str = "tcp") -> AclVerdict:
    return admits(NetworkAcl("acl-1", entries=(*entries, LAST)), False, peer, protocol, ports)


@pytest.mark.parametrize(
    ("entries", "answer"),
    [
        ((), Answer.DENIED),
        ((entry(100, protocol="-1"),), Answer.ALLOWED),
        ((entry(100, (1, 2), protocol="-1"),), Answer.ALLOWED),
        ((entry(100),), Answer.ALLOWED),
        ((entry(100, (8080, 8080)),), Answer.ALLOWED),
        ((entry(100, (8081, 9000)),), Answer.DENIED),
        ((entry(100, protocol="17"),), Answer.DENIED),
        ((entry(100, protocol="1"),), Answer.DENIED),
        ((entry(100, cidr="10.0.1.0/24"),), Answer.ALLOWED),
        ((entry(100, cidr="10.0.2.0/24"),), Answer.DENIED),
        ((entry(100, cidr="::/0"),), Answer.DENIED),
        ((entry(200), entry(100, allow=False)), Answer.DENIED),
        ((entry(200, allow=False), entry(100)), Answer.ALLOWED),
        ((entry(200), entry(100, (443, 443), allow=False)), Answer.ALLOWED),
    ],
)
def test_first_match_decides(entries: tuple[AclEntry, ...], answer: Answer) -> None:
    assert ask(*entries).answer is answer


def test_directions_are_separate() -> None:
    out = replace(entry(100), egress=True)
    assert ask(out).answer is Answer.DENIED
    assert admits(NetworkAcl("acl-1", entries=(out,)), True, PEER, "tcp", 80).answer is Answer.ALLOWED


def test_the_implicit_deny_need_not_be_listed() -> None:
    verdict = admits(NetworkAcl("acl-1"), False, PEER, "tcp", 80)
    assert verdict.slices == (Slice(PortRange(80, 80), None),)
    assert verdict.denied_by is None


def test_linux_ports_only_is_partial_for_a_load_balancer() -> None:
    """Elastic Load Balancing uses 1024-65535: an ACL made for Linux clients makes checks fail now and then."""
    verdict = ask(entry(100, (32768, 60999)), ports=EPHEMERAL)
    assert verdict.answer is Answer.PARTIAL
    assert verdict.allowed == (PortRange(32768, 60999),)
    assert verdict.denied == (PortRange(1024, 32767), PortRange(61000, 65535))
    assert verdict.denied_by == LAST


def test_a_hole_in_the_reply_range() -> None:
    hole = entry(50, (3389, 3389), allow=False)
    verdict = ask(hole, entry(100, (1024, 65535)), ports=EPHEMERAL)
    assert (verdict.answer, verdict.denied, verdict.denied_by) == (Answer.PARTIAL, (PortRange(3389, 3389),), hole)


def test_narrow_allows_together_cover_the_range() -> None:
    """A healthy twin: explicit narrow entries instead of one wide one."""
    assert ask(entry(100, (1024, 30000)), entry(110, (30001, 65535)), ports=EPHEMERAL).answer is Answer.ALLOWED


def test_two_partial_acls_may_have_nothing_in_common() -> None:
    low, high = ask(entry(1, (1024, 2000)), ports=EPHEMERAL), ask(entry(1, (2001, 3000)), ports=EPHEMERAL)
    assert open_ports([low, high], EPHEMERAL) == ()
    assert open_ports([low], EPHEMERAL) == (PortRange(1024, 2000),)
    assert open_ports([], EPHEMERAL) == (EPHEMERAL,)


def test_ipv6() -> None:
    assert ask(entry(101, cidr="::/0"), peer="2001:db8::1").answer is Answer.ALLOWED
    assert ask(entry(100), peer="2001:db8::1").answer is Answer.DENIED


def test_association() -> None:
    default = NetworkAcl("acl-d", "vpc-1", ("subnet-1",), is_default=True)
    own = NetworkAcl("acl-2", "vpc-1", ("subnet-2",))
    assert acl_of("subnet-2", "vpc-1", [default, own]) is own
    assert acl_of("subnet-3", "vpc-1", [default, own]) is default
    assert acl_of("subnet-3", "vpc-2", [default, own]) is None, "another VPC's default says nothing"
    assert acl_of("subnet-3", "", [default, own]) is None


@pytest.mark.parametrize(
    ("taken", "before", "number"),
    [
        ((), 32767, 100),
        ((100,), 32767, 200),
        ((100, 130), 32767, 200),
        ((32766,), 32767, 32765),
        ((100,), 100, 10),
        ((90, 100), 100, 95),
        ((95, 100), 100, 96),
        ((99, 100), 100, 98),
        ((1, 2), 2, None),
        ((), 1, None),
    ],
)
def test_free_number(taken: tuple[int, ...], before: int, number: int | None) -> None:
    assert free_number(NetworkAcl("acl-1", entries=tuple(entry(n) for n in taken)), False, before) == number


def test_both_families_share_the_numbers() -> None:
    acl = NetworkAcl("acl-1", entries=(entry(10, cidr="::/0"), entry(20, allow=False)))
    assert free_number(acl, False, 20) == 15


def test_the_entry_to_add_goes_before_the_one_that_denies() -> None:
    acl = NetworkAcl("acl-1", entries=(entry(100, (80, 80)), entry(110, allow=False), LAST))
    verdict = admits(acl, False, PEER, "tcp", 8080)
    remedy = opening(acl, verdict, "10.0.1.0/24", "tcp", 8080)
    assert remedy == AclRemedy("acl-1", False, 105, 110, "tcp", "10.0.1.0/24", PortRange(8080, 8080))
    assert command(remedy, "eu-west-1") == (
        "aws ec2 create-network-acl-entry --network-acl-id acl-1 --ingress --rule-number 105 --protocol 6"
        " --port-range From=8080,To=8080 --cidr-block 10.0.1.0/24 --rule-action allow --region eu-west-1"
    )
    six = command(replace(remedy, egress=True, cidr="2001:db8::/64", ports=EPHEMERAL))
    assert "--egress" in six and "--ipv6-cidr-block 2001:db8::/64" in six and "From=1024,To=65535" in six
    assert command(replace(remedy, number=None)) == ""
    assert "--network-acl-id 'acl-1; rm'" in command(replace(remedy, acl_id="acl-1; rm"))


def test_records_survive_a_bundle() -> None:
    acl = NetworkAcl("acl-1", "vpc-1", ("subnet-1",), (entry(100, (1, 2)), LAST), True)
    assert from_json(NetworkAcl, to_json(acl)) == acl


@given(
    naive.acl("acl-1"),
    st.booleans(),
    st.sampled_from(naive.V4 + naive.V6),
    naive.protocols,
    st.tuples(naive.ports, naive.ports).map(sorted),
)
def test_like_the_naive_model(acl, egress, peer, protocol, bounds) -> None:
    asked = PortRange(*bounds)
    passing = [p for p in range(asked.first, asked.last + 1) if naive.acl_passes(acl, egress, peer, protocol, p)]
    verdict = admits(acl, egress, peer, protocol, asked)
    count = asked.last - asked.first + 1
    assert [p for r in verdict.allowed for p in range(r.first, r.last + 1)] == passing
    assert sum(r.last - r.first + 1 for r in verdict.denied) == count - len(passing)
    expected = Answer.ALLOWED if len(passing) == count else Answer.PARTIAL if passing else Answer.DENIED
    assert verdict.answer is expected
    if expected is not Answer.ALLOWED:
        remedy = opening(acl, verdict, f"{peer}/{128 if ':' in peer else 32}", protocol, asked)
        if remedy.number is None:
            assert {e.number for e in acl.entries if e.egress == egress} >= set(range(1, remedy.before))
            return
        assert 1 <= remedy.number < remedy.before <= 32767
        assert remedy.number not in {e.number for e in acl.entries if e.egress == egress}
        repaired = replace(acl, entries=(*acl.entries, remedy.entry(remedy.number)))
        assert all(naive.acl_passes(repaired, egress, peer, protocol, p) for p in range(asked.first, asked.last + 1))
