"""The reads of Elastic Load Balancing v2, each giving facts. In which order they are made is in `load_balancer_stages`.

Where the API takes several names or ARNs they are asked for in batches of twenty; health, attributes, listeners and
rules can be asked of one object alone (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar, cast

from kubectl_lbdoctor.collect import convert_aws
from kubectl_lbdoctor.collect.accounts import Credentials, other_account, other_region, other_region_of_host
from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.fields import mapping, objects, text
from kubectl_lbdoctor.collect.outcomes import attempt, or_absent
from kubectl_lbdoctor.collect.sieve import Sieve, plural, under
from kubectl_lbdoctor.collect.traced_balancers import balancer_name
from kubectl_lbdoctor.errors import NoCredentials
from kubectl_lbdoctor.model import aws, reads
from kubectl_lbdoctor.model.arn import Arn, target_group_name
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP

T = TypeVar("T")

BATCH = 20
"""Names or ARNs that one call of DescribeTargetGroups, DescribeLoadBalancers or DescribeTags takes."""

_NOT_NEEDED = "not needed for this run"
"""Why a read is not made that no check declares."""

PAGE = 400
"""Objects that one page of all target groups or load balancers may hold."""

# Of the controller, and of EKS Auto Mode (docs/facts.md).
_RESOURCE_TAGS = tuple(
    f"{kind}/resource"
    for who in ("k8s.aws", AUTO_MODE_GROUP)
    for kind in (f"service.{who}", f"ingress.{who}", f"gateway.{who}.alb", f"gateway.{who}.nlb")
)
_GROUP_ABSENT = ("TargetGroupNotFound",)
_BALANCER_ABSENT = ("LoadBalancerNotFound",)
# The name is guessed from a DNS name; one that cannot be a load balancer's is refused as invalid.
_NAME_ABSENT = (*_BALANCER_ABSENT, "ValidationError")
# One ARN that is none, or is of another region, fails the whole call, as one of what does not exist does.
_MALFORMED = "ValidationError"


class Aws(Credentials, Protocol):
    """What is needed of `collect.aws_api.client.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...

    def keep_pace(self, service: str, pace: Pace) -> None: ...


def batches(items: Sequence[str]) -> list[list[str]]:
    """The items, each once, in lists that one call takes."""
    unique = list(dict.fromkeys(items))
    return [unique[start : start + BATCH] for start in range(0, len(unique), BATCH)]


class ElbReader:
    """Reads of one account and region. What is not in `asked` is answered with NOT_ASKED, and so is what another
    account or region holds. Safe to use from threads."""

    def __init__(self, reader: Aws, asked: frozenset[str]) -> None:
        self._reader = reader
        self._asked = asked
        self._own: set[str] = set()

    def _must_be_here(self, arn: str) -> None:
        """What is not found does not exist only where the credentials would lead to it. Raises LbdoctorError where they
        do not, and where that is not known. (What was found tells the account without a further call.)"""
        found = parse_arn(arn)
        if found is None or found.account in self._own:
            return
        if reason := other_account(self._reader, arn, _called(arn)):
            raise NoCredentials(reason)

    def _absent_only_here(self, arn: str, read: Callable[[], T], *codes: str) -> T | None:
        found = or_absent(read, *codes)
        if found is None:
            self._must_be_here(arn)
        return found

    def asks(self, source: str) -> bool:
        """Whether this run needs a read; what it does not need is not asked."""
        return source in self._asked

    def _read(self, source: str, scope: str, read: Callable[[], T]) -> Fact[T]:
        if not self.asks(source):
            return Fact.not_asked(source, _NOT_NEEDED)
        return attempt(source, scope, read)

    def _call(self, operation: str, result_key: str, **params: Any) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self._reader.call("elbv2", operation, result_key, **params)
        return found

    def _listed(
        self,
        source: str,
        scope: str,
        name: str,
        records: Callable[[], list[Mapping[str, Any]] | None],
        convert: Callable[[Mapping[str, Any]], T],
        noun: str,
    ) -> Fact[tuple[T, ...]]:
        """The records of one answer; what of it is not understood is left out and counted. name: the field that tells
        which one a record is. records: None where what they belong to does not exist."""
        sieve = Sieve(noun, under(name))
        return sieve.marked(self._read(source, scope, lambda: tuple(sieve.through(records() or (), convert))))

    def _each(
        self,
        source: str,
        batch: list[str],
        describe: Callable[[list[str]], list[Mapping[str, Any]]],
        name: str,
        convert: Callable[[Mapping[str, Any]], T],
        absent: tuple[str, ...],
    ) -> dict[str, Fact[T | None]]:
        """Each object of a batch by its key, which stands in the field `name`. One that does not exist, or whose key is
        none of this account and region, fails the whole call, so that the batch is then asked one by one."""

        def asked(keys: list[str]) -> Fact[dict[str, T] | None]:
            sieve = Sieve(plural(name.removesuffix("Arn").removesuffix("Name")) + "s", under(name))
            codes = absent if len(keys) == 1 else (*absent, _MALFORMED)

            def read() -> dict[str, T] | None:
                raws = or_absent(lambda: describe(keys), *codes)
                if raws is None and len(keys) == 1:
                    self._must_be_here(keys[0])
                self._own.update(arn.account for raw in raws or () if (arn := _arn_of(raw)) is not None)
                pairs = None if raws is None else sieve.through(raws, lambda raw: (text(raw, name), convert(raw)))
                return None if pairs is None else dict(pairs)

            return sieve.marked(self._read(source, keys[0], read))

        if not batch:
            return {}
        together = asked(batch)
        if together.is_known and together.peek() is None and len(batch) > 1:
            elsewhere = {key: self._read(source, key, lambda key=key: self._must_be_here(key)) for key in batch}  # type: ignore[misc]
            # Where it cannot be told whose the credentials are, only what is not found is in doubt.
            alone = {
                key: cast("Any", fact) if fact.state is ReadState.NOT_ASKED else asked([key])
                for key, fact in elsewhere.items()
            }
        else:
            alone = dict.fromkeys(batch, together)
        return {
            key: replace(fact.chosen(key, lambda key=key, fact=fact: (fact.need() or {}).get(key)), scope=key)  # type: ignore[misc]
            for key, fact in alone.items()
        }

    def target_groups(self, arns: list[str]) -> dict[str, Fact[aws.TargetGroup | None]]:
        """At most twenty target groups by ARN."""

        def describe(batch: list[str]) -> list[Mapping[str, Any]]:
            return self._call("DescribeTargetGroups", "TargetGroups", TargetGroupArns=batch)

        convert, elsewhere = convert_aws.target_group, self.in_other_regions(reads.TARGET_GROUPS, arns)
        here = [arn for arn in arns if arn not in elsewhere]
        return elsewhere | self._each(reads.TARGET_GROUPS, here, describe, "TargetGroupArn", convert, _GROUP_ABSENT)

    def groups_of_balancer(self, arn: str) -> Fact[Mapping[str, aws.TargetGroup]]:
        """The target groups that the listeners of one load balancer lead to, by ARN."""

        def records() -> list[Mapping[str, Any]]:
            return self._call("DescribeTargetGroups", "TargetGroups", LoadBalancerArn=arn)

        convert = convert_aws.target_group
        found = self._listed(reads.TARGET_GROUPS, arn, "TargetGroupArn", records, convert, "target groups")
        return found.map(lambda groups: {group.arn: group for group in groups})

    def in_other_regions(self, source: str, arns: Iterable[str]) -> dict[str, Fact[Any]]:
        """Those of the ARNs that are not asked for because they are in another region, with the reason."""
        reasons = {arn: other_region(self._reader, arn, _called(arn)) for arn in arns}
        return {arn: Fact.not_asked(source, reason, arn) for arn, reason in reasons.items() if reason}

    def load_balancers(self, arns: list[str]) -> dict[str, Fact[aws.LoadBalancer | None]]:
        """At most twenty load balancers by ARN."""

        def describe(batch: list[str]) -> list[Mapping[str, Any]]:
            return self._call("DescribeLoadBalancers", "LoadBalancers", LoadBalancerArns=batch)

        convert = convert_aws.load_balancer
        return self._each(reads.LOAD_BALANCERS, arns, describe, "LoadBalancerArn", convert, _BALANCER_ABSENT)

    def load_balancers_by_host(self, hosts: list[str]) -> dict[str, Fact[aws.LoadBalancer | None]]:
        """At most twenty load balancers by DNS name, as far as its head tells the name.

        That head ("internal-" and the hash after the last "-" aside) saves reading every load balancer of the account;
        what it does not lead to may still be among `all_load_balancers`.
        """

        def describe(names: list[str]) -> list[Mapping[str, Any]]:
            return self._call("DescribeLoadBalancers", "LoadBalancers", Names=names)

        elsewhere = {host: reason for host in hosts if (reason := other_region_of_host(self._reader, host))}
        names = {host: balancer_name(host) for host in hosts if host not in elsewhere}
        wanted, convert = list(dict.fromkeys(names.values())), convert_aws.load_balancer
        named = self._each(reads.LOAD_BALANCERS, wanted, describe, "LoadBalancerName", convert, _NAME_ABSENT)
        found = {
            host: replace(named[name].map(lambda lb, host=host: lb if _answers_to(lb, host) else None), scope=host)  # type: ignore[misc]
            for host, name in names.items()
        }
        return found | {h: Fact.not_asked(reads.LOAD_BALANCERS, reason, h) for h, reason in elsewhere.items()}

    def all_target_groups(self) -> Fact[Mapping[str, aws.TargetGroup]]:
        """Every target group of the account and region, by ARN."""

        def records() -> list[Mapping[str, Any]]:
            return self._call("DescribeTargetGroups", "TargetGroups", PageSize=PAGE)

        convert = convert_aws.target_group
        found = self._listed(reads.TARGET_GROUPS, "", "TargetGroupArn", records, convert, "target groups")
        self._own.update(arn.account for group in found.peek() or () if (arn := parse_arn(group.arn)) is not None)
        return found.map(lambda several: {group.arn: group for group in several})

    def absent_only_here(self, arn: str, fact: Fact[T | None]) -> Fact[T | None]:
        """The fact, unknown where it says that there is no such thing, and the credentials would not lead to it."""
        if not fact.is_known or fact.peek() is not None:
            return fact
        here = self._read(fact.source, arn, lambda: self._must_be_here(arn))
        return fact if here.is_known else cast("Fact[T | None]", here)

    def all_load_balancers(self) -> Fact[Mapping[str, aws.LoadBalancer]]:
        """Every load balancer of the account and region, by DNS name in lower case."""

        def records() -> list[Mapping[str, Any]]:
            return self._call("DescribeLoadBalancers", "LoadBalancers", PageSize=PAGE)

        convert, noun = convert_aws.load_balancer, "load balancers"
        found = self._listed(reads.LOAD_BALANCERS, "", "LoadBalancerArn", records, convert, noun)
        return found.map(lambda several: {balancer.dns_name.lower(): balancer for balancer in several})

    def resources(self, arns: list[str]) -> Fact[Mapping[str, str]]:
        """The controller's resource tag of each target group that carries one, by ARN; for any number of ARNs."""

        def records() -> list[Mapping[str, Any]]:
            several = (self._call("DescribeTags", "TagDescriptions", ResourceArns=batch) for batch in batches(arns))
            return [entry for part in several for entry in part]

        def resource(raw: Mapping[str, Any]) -> tuple[str, str]:
            tags = {text(tag, "Key"): text(tag, "Value") for tag in objects(raw, "Tags")}
            return text(raw, "ResourceArn"), next((tags[key] for key in _RESOURCE_TAGS if key in tags), "")

        found = self._listed(reads.TAGS, arns[0] if arns else "", "ResourceArn", records, resource, "tag descriptions")
        return found.map(lambda pairs: {arn: value for arn, value in pairs if value})

    def target_health(self, arn: str) -> Fact[tuple[aws.TargetHealth, ...]]:
        """The targets of a group with their health; none where the group does not exist."""

        def read() -> tuple[aws.TargetHealth, ...]:
            operation, key = "DescribeTargetHealth", "TargetHealthDescriptions"
            raws = self._absent_only_here(arn, lambda: self._call(operation, key, TargetGroupArn=arn), *_GROUP_ABSENT)
            found = sieve.through(raws or (), convert_aws.target_health)
            return tuple(sorted(found, key=lambda t: (t.zone, t.id, t.port)))

        if elsewhere := self.in_other_regions(reads.TARGET_HEALTH, [arn]):
            return elsewhere[arn]
        sieve = Sieve("targets", lambda raw: text(mapping(raw, "Target"), "Id"))
        return sieve.marked(self._read(reads.TARGET_HEALTH, arn, read))

    def group_attributes(self, arn: str) -> Fact[Mapping[str, str]]:
        """The attributes of a target group; none where it does not exist."""

        def records() -> list[Mapping[str, Any]] | None:
            operation, key = "DescribeTargetGroupAttributes", "Attributes"
            return self._absent_only_here(arn, lambda: self._call(operation, key, TargetGroupArn=arn), *_GROUP_ABSENT)

        if elsewhere := self.in_other_regions(reads.TARGET_GROUP_ATTRIBUTES, [arn]):
            return elsewhere[arn]
        return self._attributes(reads.TARGET_GROUP_ATTRIBUTES, arn, records)

    def balancer_attributes(self, arn: str) -> Fact[Mapping[str, str]]:
        """The attributes of a load balancer; none where it does not exist."""

        def records() -> list[Mapping[str, Any]] | None:
            operation = "DescribeLoadBalancerAttributes"
            return or_absent(lambda: self._call(operation, "Attributes", LoadBalancerArn=arn), *_BALANCER_ABSENT)

        return self._attributes(reads.LOAD_BALANCER_ATTRIBUTES, arn, records)

    def _attributes(
        self, source: str, arn: str, records: Callable[[], list[Mapping[str, Any]] | None]
    ) -> Fact[Mapping[str, str]]:
        found = self._listed(source, arn, "Key", records, lambda raw: convert_aws.attributes((raw,)), "attributes")
        return found.map(lambda parts: {key: value for part in parts for key, value in part.items()})

    def listeners(self, arn: str) -> Fact[tuple[aws.Listener, ...]]:
        """The listeners of a load balancer."""

        def records() -> list[Mapping[str, Any]]:
            return self._call("DescribeListeners", "Listeners", LoadBalancerArn=arn)

        return self._listed(reads.LISTENERS, arn, "ListenerArn", records, convert_aws.listener, "listeners")

    def rules(self, arn: str) -> Fact[tuple[aws.ListenerRule, ...]]:
        """The rules of an Application Load Balancer's listener."""

        def records() -> list[Mapping[str, Any]]:
            return self._call("DescribeRules", "Rules", ListenerArn=arn)

        return self._listed(reads.RULES, arn, "RuleArn", records, lambda raw: convert_aws.rule(raw, arn), "rules")


def _arn_of(raw: Any) -> Arn | None:
    """The ARN of a target group or load balancer, as AWS gives them."""
    named = (raw.get("TargetGroupArn") or raw.get("LoadBalancerArn")) if isinstance(raw, Mapping) else None
    return parse_arn(named) if isinstance(named, str) else None


def _called(arn: str) -> str:
    """How a sentence calls the resource of an ARN."""
    return f"target group {target_group_name(arn)}" if ":targetgroup/" in arn else arn


def _answers_to(balancer: aws.LoadBalancer | None, host: str) -> bool:
    """Whether it is the load balancer of this DNS name, and not just one whose name looks like it."""
    return balancer is not None and balancer.dns_name.lower() == host.lower()
