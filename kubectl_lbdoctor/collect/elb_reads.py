"""The reads of Elastic Load Balancing v2, each giving facts. In which order they are made is in `load_balancer_stages`.

Where the API takes several names or ARNs they are asked for in batches of twenty; health, attributes, listeners and
rules can be asked of one object alone (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from kubectl_lbdoctor.collect import convert_aws
from kubectl_lbdoctor.collect.fields import mapping, objects, text
from kubectl_lbdoctor.collect.outcomes import attempt, or_absent
from kubectl_lbdoctor.collect.pace import Pace
from kubectl_lbdoctor.collect.sieve import Sieve, plural, under
from kubectl_lbdoctor.collect.traced_balancers import balancer_name
from kubectl_lbdoctor.model import aws, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.kinds import AUTO_MODE_GROUP

T = TypeVar("T")

BATCH = 20
"""Names or ARNs that one call of DescribeTargetGroups, DescribeLoadBalancers or DescribeTags takes."""

PAGE = 400
"""Objects that one page of all target groups or load balancers may hold."""

# Of the controller, and of EKS Auto Mode (docs/facts.md).
_RESOURCE_TAGS = tuple(
    f"{kind}.{who}/resource" for who in ("k8s.aws", AUTO_MODE_GROUP) for kind in ("service", "ingress")
)
_GROUP_ABSENT = ("TargetGroupNotFound",)
_BALANCER_ABSENT = ("LoadBalancerNotFound",)
_KEY_REFUSED = ("ValidationError",)
"""What a call with a malformed ARN, or one of another region, is answered with: it says nothing of the other keys."""
# The name is guessed from a DNS name; one that cannot be a load balancer's is refused as invalid.
_NAME_ABSENT = (*_BALANCER_ABSENT, "ValidationError")


class Aws(Protocol):
    """What is needed of `collect.aws.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...

    def keep_pace(self, service: str, pace: Pace) -> None: ...


def batches(items: Sequence[str]) -> list[list[str]]:
    """The items, each once, in lists that one call takes."""
    unique = list(dict.fromkeys(items))
    return [unique[start : start + BATCH] for start in range(0, len(unique), BATCH)]


class ElbReader:
    """Reads of one account and region. What is not in `asked` is answered with NOT_ASKED. Safe to use from threads."""

    def __init__(self, reader: Aws, asked: frozenset[str]) -> None:
        self._reader = reader
        self._asked = asked

    def _read(self, source: str, scope: str, read: Callable[[], T]) -> Fact[T]:
        if source not in self._asked:
            return Fact.not_asked(source, "not needed for this run")
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

            def read() -> dict[str, T] | None:
                raws = or_absent(lambda: describe(keys), *absent, *(_KEY_REFUSED if len(keys) > 1 else ()))
                pairs = None if raws is None else sieve.through(raws, lambda raw: (text(raw, name), convert(raw)))
                return None if pairs is None else dict(pairs)

            return sieve.marked(self._read(source, keys[0], read))

        if not batch:
            return {}
        together = asked(batch)
        if together.is_known and together.peek() is None and len(batch) > 1:
            alone = {key: asked([key]) for key in batch}
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

        convert = convert_aws.target_group
        return self._each(reads.TARGET_GROUPS, arns, describe, "TargetGroupArn", convert, _GROUP_ABSENT)

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

        names = {host: balancer_name(host) for host in hosts}
        wanted, convert = list(dict.fromkeys(names.values())), convert_aws.load_balancer
        named = self._each(reads.LOAD_BALANCERS, wanted, describe, "LoadBalancerName", convert, _NAME_ABSENT)
        return {
            host: replace(named[name].map(lambda lb, host=host: lb if _answers_to(lb, host) else None), scope=host)  # type: ignore[misc]
            for host, name in names.items()
        }

    def all_target_groups(self) -> Fact[Mapping[str, aws.TargetGroup]]:
        """Every target group of the account and region, by ARN."""

        def records() -> list[Mapping[str, Any]]:
            return self._call("DescribeTargetGroups", "TargetGroups", PageSize=PAGE)

        convert = convert_aws.target_group
        found = self._listed(reads.TARGET_GROUPS, "", "TargetGroupArn", records, convert, "target groups")
        return found.map(lambda several: {group.arn: group for group in several})

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
            raws = or_absent(
                lambda: self._call("DescribeTargetHealth", "TargetHealthDescriptions", TargetGroupArn=arn),
                *_GROUP_ABSENT,
            )
            found = sieve.through(raws or (), convert_aws.target_health)
            return tuple(sorted(found, key=lambda t: (t.zone, t.id, t.port)))

        sieve = Sieve("targets", lambda raw: text(mapping(raw, "Target"), "Id"))
        return sieve.marked(self._read(reads.TARGET_HEALTH, arn, read))

    def group_attributes(self, arn: str) -> Fact[Mapping[str, str]]:
        """The attributes of a target group; none where it does not exist."""

        def records() -> list[Mapping[str, Any]] | None:
            operation = "DescribeTargetGroupAttributes"
            return or_absent(lambda: self._call(operation, "Attributes", TargetGroupArn=arn), *_GROUP_ABSENT)

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


def _answers_to(balancer: aws.LoadBalancer | None, host: str) -> bool:
    """Whether it is the load balancer of this DNS name, and not just one whose name looks like it."""
    return balancer is not None and balancer.dns_name.lower() == host.lower()
