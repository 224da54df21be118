"""NetworkPolicies: every fact that the evaluator encodes, and random policies against a naive model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.k8s import Container, ContainerPort, Meta, Pod
from kubectl_lbdoctor.model.network import (
    LabelRequirement,
    LabelSelector,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
)
from kubectl_lbdoctor.network.matching import Answer
from kubectl_lbdoctor.network.network_policies import PolicyVerdict, admits, selects
from tests.support import network as naive

LB = "10.0.1.5"
POD = Pod(
    Meta("web-1", "shop", labels={"app": "web"}),
    host_ip="10.0.2.9",
    containers=(Container("web", ports=(ContainerPort(8080, "http"), ContainerPort(8080, "dns", "UDP"))),),
)


def policy(*rules: PolicyRule, name: str = "p", types: tuple[str, ...] = ("Ingress",), **labels: str) -> NetworkPolicy:
    return NetworkPolicy(Meta(name, "shop"), LabelSelector(labels), types, rules)


def ask(
    *policies: NetworkPolicy, source: str = LB, port: int = 8080, pod: Pod = POD, local: bool = False
) -> PolicyVerdict:
    return admits(policies, pod, source, port, node_local=local)


def block(cidr: str, *excepts: str) -> PolicyPeer:
    return PolicyPeer(cidr, excepts)


ALLOWED, DENIED = Answer.ALLOWED, Answer.DENIED
PODS = PolicyPeer(pod_selector=LabelSelector(), namespace_selector=LabelSelector())


@pytest.mark.parametrize(
    ("rules", "answer"),
    [
        ((), DENIED),
        ((PolicyRule(),), ALLOWED),
        ((PolicyRule(peers=(PODS,)),), DENIED),
        ((PolicyRule(peers=(PODS, block("10.0.1.0/24"))),), ALLOWED),
        ((PolicyRule(peers=(PODS,)), PolicyRule(peers=(block("0.0.0.0/0"),))), ALLOWED),
        ((PolicyRule(peers=(block("10.0.2.0/24"),)),), DENIED),
        ((PolicyRule(peers=(block("0.0.0.0/0", "10.0.0.0/16"),)),), DENIED),
        ((PolicyRule(peers=(block("0.0.0.0/0", "10.0.2.0/24"),)),), ALLOWED),
        ((PolicyRule(peers=(block("0.0.0.0/0", "10.0.0.0/16"), block("10.0.1.0/24"))),), ALLOWED),
        ((PolicyRule(peers=(block("::/0"),)),), DENIED),
        ((PolicyRule(ports=(PolicyPort("8080"),)),), ALLOWED),
        ((PolicyRule(ports=(PolicyPort("80"),)),), DENIED),
        ((PolicyRule(ports=(PolicyPort("8000", 8100),)),), ALLOWED),
        ((PolicyRule(ports=(PolicyPort("8000", 8079),)),), DENIED),
        ((PolicyRule(ports=(PolicyPort("http"),)),), ALLOWED),
        ((PolicyRule(ports=(PolicyPort("metrics"),)),), DENIED),
        ((PolicyRule(ports=(PolicyPort("dns"),)),), DENIED),
        ((PolicyRule(ports=(PolicyPort("8080", protocol="UDP"),)),), DENIED),
        ((PolicyRule(ports=(PolicyPort(protocol="UDP"),)),), DENIED),
        ((PolicyRule(ports=(PolicyPort(),)),), ALLOWED),
        ((PolicyRule(peers=(block("10.0.1.0/24"),), ports=(PolicyPort("80"),)),), DENIED),
    ],
)
def test_rules(rules: tuple[PolicyRule, ...], answer: Answer) -> None:
    verdict = ask(policy(*rules))
    assert verdict.answer is answer
    assert (verdict.rule is not None) == (answer is ALLOWED) == (verdict.missing is None)


def test_a_pod_that_no_policy_selects_is_open() -> None:
    assert ask(policy(app="other")).answer is ALLOWED
    assert ask(replace(policy(), meta=Meta("p", "elsewhere"))).answer is ALLOWED
    assert ask().answer is ALLOWED


@pytest.mark.parametrize(
    ("types", "isolates"),
    [((), True), (("Ingress",), True), (("Ingress", "Egress"), True), (("Egress",), False)],
)
def test_policy_types(types: tuple[str, ...], isolates: bool) -> None:
    assert ask(policy(types=types)).answer is (DENIED if isolates else ALLOWED)


def test_policies_add_up() -> None:
    verdict = ask(policy(name="deny"), policy(PolicyRule(peers=(block("10.0.1.0/24"),)), name="lb"))
    assert (verdict.answer, verdict.selecting, verdict.policy) == (ALLOWED, ("deny", "lb"), "lb")


def test_the_pods_own_node_always_gets_in_and_other_nodes_do_not() -> None:
    assert ask(policy(), source="10.0.2.9").answer is ALLOWED
    assert ask(policy(), source="10.0.2.77").answer is DENIED
    assert ask(policy(), source="10.0.2.77", local=True).answer is ALLOWED


def test_pods_on_the_hosts_network_are_not_restricted() -> None:
    assert ask(policy(), pod=replace(POD, host_network=True)).answer is ALLOWED


def test_ipv6() -> None:
    assert ask(policy(PolicyRule(peers=(block("2001:db8::/64"),))), source="2001:db8::7").answer is ALLOWED


def test_what_is_missing_and_what_takes_it_away() -> None:
    verdict = ask(policy(PolicyRule(peers=(block("0.0.0.0/0", "10.0.0.0/16"),))))
    assert verdict.excluded_by == "10.0.0.0/16"
    missing = admits([policy()], POD, LB, 8080, name_as="10.0.1.0/24").missing
    assert missing and missing.patch() == [
        {
            "op": "add",
            "path": "/spec/ingress",
            "value": [{"from": [{"ipBlock": {"cidr": "10.0.1.0/24"}}], "ports": [{"protocol": "TCP", "port": 8080}]}],
        }
    ]
    assert verdict.missing and verdict.missing.patch()[0]["path"] == "/spec/ingress/-"
    assert verdict.missing.cidr == "10.0.1.5/32"


@pytest.mark.parametrize(
    ("requirement", "labels", "holds"),
    [
        (LabelRequirement("a", "In", ("1", "2")), {"a": "1"}, True),
        (LabelRequirement("a", "In", ("1", "2")), {"a": "3"}, False),
        (LabelRequirement("a", "In", ("1",)), {}, False),
        (LabelRequirement("a", "NotIn", ("1",)), {"a": "1"}, False),
        (LabelRequirement("a", "NotIn", ("1",)), {}, True),
        (LabelRequirement("a", "Exists"), {"a": ""}, True),
        (LabelRequirement("a", "Exists"), {}, False),
        (LabelRequirement("a", "DoesNotExist"), {}, True),
        (LabelRequirement("a", "DoesNotExist"), {"a": ""}, False),
    ],
)
def test_match_expressions(requirement: LabelRequirement, labels: dict[str, str], holds: bool) -> None:
    assert selects(LabelSelector({}, (requirement,)), labels) is holds
    assert selects(LabelSelector({"x": "y"}, (requirement,)), labels) is False


def test_records_survive_a_bundle() -> None:
    full = replace(
        policy(PolicyRule((block("10.0.0.0/8", "10.1.0.0/16"), PODS), (PolicyPort("1", 2, "UDP"),))),
        pod_selector=LabelSelector({"a": "b"}, (LabelRequirement("c", "In", ("d",)),)),
    )
    assert from_json(NetworkPolicy, to_json(full)) == full


label_sets = st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"))
requirements = st.one_of(
    st.builds(LabelRequirement, st.sampled_from("ab"), st.sampled_from(["In", "NotIn"]), st.just(("1",))),
    st.builds(LabelRequirement, st.sampled_from("ab"), st.sampled_from(["Exists", "DoesNotExist"])),
)
selectors = st.builds(LabelSelector, label_sets, st.lists(requirements, max_size=1).map(tuple))
peers = st.one_of(
    st.builds(PolicyPeer, cidr=st.sampled_from(naive.CIDRS), excepts=naive.few(naive.CIDRS, 1)), st.just(PODS)
)
policy_ports = st.one_of(
    st.builds(
        PolicyPort, st.integers(0, 9).map(str), st.sampled_from([0, 0, 5, 9]), st.sampled_from(["TCP", "TCP", "UDP"])
    ),
    st.builds(PolicyPort, st.sampled_from(["", "http", "other"]), protocol=st.sampled_from(["TCP", "TCP", "UDP"])),
)
policies = st.builds(
    NetworkPolicy,
    meta=st.builds(Meta, st.just("p"), st.sampled_from(["shop", "shop", "other"])),
    pod_selector=selectors,
    policy_types=st.sampled_from([(), ("Ingress",), ("Egress",), ("Ingress", "Egress")]),
    ingress=st.lists(
        st.builds(PolicyRule, st.lists(peers, max_size=2).map(tuple), st.lists(policy_ports, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
)


def naive_selects(selector: LabelSelector, labels: dict[str, str]) -> bool:
    allowed = {
        "In": lambda r: labels.get(r.key, "none") in r.values,
        "NotIn": lambda r: labels.get(r.key, "none") not in r.values,
        "Exists": lambda r: r.key in labels,
        "DoesNotExist": lambda r: r.key not in labels,
    }
    return set(selector.match_labels.items()) <= set(labels.items()) and all(
        allowed[r.operator](r) for r in selector.match_expressions
    )


def naive_port(entry: PolicyPort, number: int, names: dict[tuple[str, str], int]) -> bool:
    if entry.protocol != "TCP":
        return False
    if entry.port == "":
        return True
    if entry.port.isdigit():
        return number in {int(entry.port), *range(int(entry.port), entry.end_port + 1)}
    return names.get((entry.port, "TCP")) == number


def naive_peer(peer: PolicyPeer, source: str) -> bool:
    if not peer.cidr:
        return False
    return naive.in_cidr(peer.cidr, source) and not any(naive.in_cidr(e, source) for e in peer.excepts)


@given(
    st.lists(policies, max_size=3),
    label_sets,
    st.sampled_from(naive.V4 + naive.V6),
    naive.ports,
    naive.ports,
)
def test_like_the_naive_model(found, labels, source, port, named) -> None:
    pod = Pod(Meta("w", "shop", labels=labels), containers=(Container("c", ports=(ContainerPort(named, "http"),)),))
    names = {("http", "TCP"): named}
    mine = [
        p
        for p in found
        if p.meta.namespace == "shop" and p.policy_types != ("Egress",) and naive_selects(p.pod_selector, labels)
    ]
    open_to = any(
        (not rule.ports or any(naive_port(e, port, names) for e in rule.ports))
        and (not rule.peers or any(naive_peer(e, source) for e in rule.peers))
        for p in mine
        for rule in p.ingress
    )
    verdict = admits(found, pod, source, port)
    assert verdict.answer is (ALLOWED if not mine or open_to else DENIED)
    if verdict.missing:
        rule = PolicyRule((PolicyPeer(verdict.missing.cidr),), (PolicyPort(str(port)),))
        changed = replace(mine[0], ingress=(*mine[0].ingress, rule))
        assert admits([changed if p is mine[0] else p for p in found], pod, source, port).answer is ALLOWED
