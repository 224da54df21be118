"""Load balancers and target groups are asked for twenty at a time, and one that is gone takes nothing else with it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubectl_lbdoctor.collect.elb_reads import ElbReader
from kubectl_lbdoctor.collect.known_balancers import KnownBalancers
from kubectl_lbdoctor.collect.load_balancer_stages import LoadBalancerStages
from kubectl_lbdoctor.errors import AwsApiError, ReadDenied, Unreachable
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Ingress, Meta
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot
from kubectl_lbdoctor.permission import Permission

PREFIX = "arn:aws:elasticloadbalancing:us-west-2:123456789012"


def host(name: str) -> str:
    return f"{name}-1234567890.us-west-2.elb.amazonaws.com"


class Elb:
    """Holds load balancers by name and target groups by ARN, and answers as the API does."""

    region = "us-west-2"

    def __init__(self, names: list[str], groups: list[str] | None = None) -> None:
        self.names, self.groups = names, groups or []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.denied = ""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        assert all(len(value) <= 20 for value in params.values() if isinstance(value, list)), params
        self.calls.append((operation, params))
        if operation == self.denied:
            raise ReadDenied("no", Permission(action=f"elasticloadbalancing:{operation}"))
        if operation == "DescribeLoadBalancers":
            names = params.get("Names") or [a.split("/")[2] for a in params.get("LoadBalancerArns", ())] or self.names
            self._require(names, self.names, "LoadBalancerNotFound")
            return [
                {"LoadBalancerName": n, "LoadBalancerArn": f"{PREFIX}:loadbalancer/app/{n}/1", "DNSName": host(n)}
                for n in names
            ]
        if operation == "DescribeTargetGroups":
            if any(":us-west-2:" not in arn for arn in params["TargetGroupArns"] if arn.startswith("arn:")):
                raise AwsApiError("'arn' is not a valid target group ARN", "ValidationError")
            self._require(params["TargetGroupArns"], self.groups, "TargetGroupNotFound")
            return [{"TargetGroupArn": arn, "TargetGroupName": arn} for arn in params["TargetGroupArns"]]
        return []

    def account(self) -> str:
        self.calls.append(("GetCallerIdentity", {}))
        if self.denied == "GetCallerIdentity":
            raise Unreachable("AWS cannot be reached for sts:GetCallerIdentity")
        return "123456789012"

    def keep_pace(self, service: str, pace: Any) -> None:
        raise AssertionError("a diagnosis keeps no pace")

    def _require(self, wanted: list[str], held: list[str], code: str) -> None:
        if missing := [name for name in wanted if name not in held]:
            raise AwsApiError(f"{missing[0]} not found", code)

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [params for name, params in self.calls if name == operation]


def names(count: int) -> list[str]:
    return [f"lb-{number}" for number in range(count)]


def diagnose(elb: Elb, published: list[str]) -> dict[str, Fact[Any]]:
    """The facts of load balancers for one Ingress each, published under these hosts."""
    ingresses = tuple(
        Ingress(Meta(f"web-{number}", "shop"), addresses=(address,)) for number, address in enumerate(published)
    )
    snapshot = Snapshot(
        subjects=tuple(ObjectRef("Ingress", "shop", i.meta.name) for i in ingresses),
        namespaces={
            "shop": NamespaceFacts(
                ingresses=Fact.known(reads.INGRESSES, ingresses), bindings=Fact.known(reads.BINDINGS, ())
            )
        },
    )
    with ThreadPoolExecutor(4) as pool:
        return dict(LoadBalancerStages(ElbReader(elb, reads.AWS), pool).read(snapshot).load_balancers)


def test_twenty_names_in_one_call() -> None:
    elb = Elb(names(45))
    found = diagnose(elb, [host(name) for name in names(45)])
    assert sorted(len(params["Names"]) for params in elb.asked("DescribeLoadBalancers")) == [5, 20, 20]
    assert [found[host(name)].need().name for name in names(45)] == names(45)


def test_one_name_that_is_gone_takes_nothing_else_with_it() -> None:
    """Its batch is asked one by one, and the account's load balancers are looked through once for all that are left."""
    elb = Elb([name for name in names(22) if name not in ("lb-3", "lb-21")])
    found = diagnose(elb, [host(name) for name in names(22)])
    assert [name for name in names(22) if found[host(name)].need() is None] == ["lb-3", "lb-21"]
    asked = elb.asked("DescribeLoadBalancers")
    assert [len(params.get("Names", ())) for params in asked].count(0) == 1
    assert len(asked) == 2 + 20 + 2 + 1


def test_a_name_that_belongs_to_another_load_balancer_is_not_taken_for_it() -> None:
    """The same head with another hash: a load balancer that was made anew."""
    old = "lb-0-999.us-west-2.elb.amazonaws.com"
    assert diagnose(Elb(["lb-0"]), [old])[old].need() is None


def test_denied_names_are_unknown_and_asked_once() -> None:
    elb = Elb(names(3))
    elb.denied = "DescribeLoadBalancers"
    found = diagnose(elb, [host(name) for name in names(3)])
    assert [(str(fact.permission), fact.scope) for fact in found.values()] == [
        ("elasticloadbalancing:DescribeLoadBalancers", host(name)) for name in names(3)
    ]
    assert len(elb.calls) == 1


def test_a_load_balancer_that_is_gone_does_not_make_others_look_absent() -> None:
    """By ARN, as target groups name them: LoadBalancerNotFound for one fails the call for all."""
    elb = Elb(["lb-0", "lb-2"])
    arns = [f"{PREFIX}:loadbalancer/app/{name}/1" for name in names(3)]
    found = ElbReader(elb, reads.AWS).load_balancers(arns)
    assert [found[arn].need() and found[arn].need().name for arn in arns] == ["lb-0", None, "lb-2"]


def test_a_target_group_that_is_gone_does_not_make_others_look_absent() -> None:
    elb = Elb([], ["a", "c"])
    found = ElbReader(elb, reads.AWS).target_groups(["a", "b", "c"])
    assert [found[arn].need() is None for arn in ("a", "b", "c")] == [False, True, False]


def test_an_arn_that_is_none_of_this_region_takes_nothing_else_with_it() -> None:
    """AWS refuses the whole call: "... is not a valid target group ARN"."""

    class Strict(Elb):
        def _require(self, wanted: list[str], held: list[str], code: str) -> None:
            if any("us-east-1" in name for name in wanted):
                raise AwsApiError("'x' is not a valid target group ARN", "ValidationError")
            super()._require(wanted, held, code)

    elsewhere = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/b/1"
    found = ElbReader(Strict([], ["a", "c"]), reads.AWS).target_groups(["a", elsewhere, "c"])
    assert [found[arn].need() is None for arn in ("a", "c")] == [False, False]
    assert found[elsewhere].state.value == "not-asked"


@pytest.mark.parametrize(("count", "calls"), [(0, 0), (20, 1), (21, 2)])
def test_tags_of_twenty_groups_in_one_call(count: int, calls: int) -> None:
    elb = Elb([])
    ElbReader(elb, reads.AWS).resources([f"group-{number}" for number in range(count)])
    assert len(elb.asked("DescribeTags")) == calls


def test_what_is_not_declared_is_not_asked() -> None:
    elb = Elb(["lb-0"], ["a"])
    found = ElbReader(elb, frozenset()).target_groups(["a"])
    assert (found["a"].state.value, elb.calls) == ("not-asked", [])


# --- What another account or region holds ---

MINE = f"{PREFIX}:targetgroup/mine/1"
GONE = f"{PREFIX}:targetgroup/gone/1"
THEIRS = "arn:aws:elasticloadbalancing:us-west-2:155642222660:targetgroup/theirs/1"
ABROAD = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/abroad/1"
MALFORMED = "arn:aws:elasticloadbalancing:oops"


def test_a_group_of_another_account_is_not_absent() -> None:
    found = ElbReader(Elb([], [MINE]), reads.AWS).target_groups([MINE, THEIRS, GONE])
    assert found[MINE].need() is not None
    assert found[GONE].is_known and found[GONE].need() is None
    assert (found[THEIRS].state.value, found[THEIRS].reason) == (
        "not-asked",
        "target group theirs is of account 155642222660, these credentials are of 123456789012; "
        "use --profile for that account",
    )


def test_nor_has_it_no_targets() -> None:
    class NotFound(Elb):
        def call(self, *args: Any, **params: Any) -> Any:
            raise AwsApiError("not found", "TargetGroupNotFound")

    reader = ElbReader(NotFound([]), reads.AWS)
    assert reader.target_health(GONE).need() == ()
    assert reader.target_health(THEIRS).state.value == "not-asked"
    assert reader.group_attributes(THEIRS).state.value == "not-asked"


def test_a_group_in_another_region_takes_nothing_else_with_it() -> None:
    elb = Elb([], [MINE])
    found = ElbReader(elb, reads.AWS).target_groups([MINE, ABROAD, MALFORMED])
    assert found[MINE].need() is not None
    assert (
        found[ABROAD].reason
        == "target group abroad is in region eu-west-1, and asked is us-west-2; use --region eu-west-1"
    )
    assert found[MALFORMED].state.value == "failed" and "not a valid" in found[MALFORMED].reason
    asked = [params["TargetGroupArns"] for params in elb.asked("DescribeTargetGroups")]
    assert all(ABROAD not in arns for arns in asked)


def test_whose_credentials_they_are_is_asked_only_where_something_is_not_found() -> None:
    elb = Elb([], [MINE])
    ElbReader(elb, reads.AWS).target_groups([MINE])
    assert not elb.asked("GetCallerIdentity")


def test_where_that_cannot_be_told_nothing_is_absent_but_what_was_found_tells_it() -> None:
    elb = Elb([], [MINE])
    elb.denied = "GetCallerIdentity"
    reader = ElbReader(elb, reads.AWS)
    alone = reader.target_groups([GONE])[GONE]
    assert (alone.state.value, alone.reason) == ("failed", "AWS cannot be reached for sts:GetCallerIdentity")
    reader.target_groups([MINE])
    assert reader.target_groups([GONE])[GONE].need() is None


def test_all_groups_of_the_account_do_not_tell_of_another_one() -> None:
    class Whole(Elb):
        def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
            assert params == {"PageSize": 400}
            return [{"TargetGroupArn": MINE, "TargetGroupName": "mine"}]

    scan = KnownBalancers(Whole([]), reads.AWS)
    with ThreadPoolExecutor(2) as pool:
        scan.read_whole(pool, 1000, 0)
    found = scan.target_groups([MINE, GONE, THEIRS, ABROAD])
    assert {arn: fact.state.value for arn, fact in found.items()} == {
        MINE: "known",
        GONE: "known",
        THEIRS: "not-asked",
        ABROAD: "not-asked",
    }


def test_a_load_balancer_in_another_region_is_not_absent() -> None:
    for name in ("web-1.eu-west-1.elb.amazonaws.com", "web-1.elb.eu-west-1.amazonaws.com"):
        fact = diagnose(Elb([]), [name])[name]
        assert (
            fact.reason
            == f"load balancer {name} is in region eu-west-1, and asked is us-west-2; use --region eu-west-1"
        )
