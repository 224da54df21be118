"""The reads of Elastic Load Balancing v2, each giving facts. In which order they are made is in `load_balancer_stages`.

Where the API takes several names or ARNs they are asked for in batches of twenty; health, attributes, listeners and
rules can be asked of one object alone (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from kubectl_lbdoctor.collect import convert_aws
from kubectl_lbdoctor.collect.outcomes import attempt, or_absent
from kubectl_lbdoctor.collect.subjects import balancer_name
from kubectl_lbdoctor.model import aws, reads
from kubectl_lbdoctor.model.fact import Fact

T = TypeVar("T")

BATCH = 20
"""Names or ARNs that one call of DescribeTargetGroups, DescribeLoadBalancers or DescribeTags takes."""

_GROUP_ABSENT = ("TargetGroupNotFound",)
_BALANCER_ABSENT = ("LoadBalancerNotFound",)
# The name is guessed from a DNS name; one that cannot be a load balancer's is refused as invalid.
_NAME_ABSENT = (*_BALANCER_ABSENT, "ValidationError")


class Aws(Protocol):
    """What is needed of `collect.aws.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...


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

    def _each(
        self, source: str, batch: list[str], describe: Callable[[list[str]], dict[str, T]], absent: tuple[str, ...]
    ) -> dict[str, Fact[T | None]]:
        """Each object of a batch by its key. One that does not exist fails the whole call, so that the batch is then
        asked one by one."""

        def found(keys: list[str]) -> dict[str, T] | None:
            return or_absent(lambda: describe(keys), *absent)

        if not batch:
            return {}
        together = self._read(source, batch[0], lambda: found(batch))
        if together.is_known and together.peek() is None and len(batch) > 1:
            return {key: self._read(source, key, lambda key=key: (found([key]) or {}).get(key)) for key in batch}  # type: ignore[misc]
        return {
            key: replace(together.map(lambda table, key=key: (table or {}).get(key)), scope=key)  # type: ignore[misc]
            for key in batch
        }

    def target_groups(self, arns: list[str]) -> dict[str, Fact[aws.TargetGroup | None]]:
        """At most twenty target groups by ARN."""

        def describe(batch: list[str]) -> dict[str, aws.TargetGroup]:
            raw = self._call("DescribeTargetGroups", "TargetGroups", TargetGroupArns=batch)
            return {entry["TargetGroupArn"]: convert_aws.target_group(entry) for entry in raw}

        return self._each(reads.TARGET_GROUPS, arns, describe, _GROUP_ABSENT)

    def load_balancers(self, arns: list[str]) -> dict[str, Fact[aws.LoadBalancer | None]]:
        """At most twenty load balancers by ARN."""

        def describe(batch: list[str]) -> dict[str, aws.LoadBalancer]:
            raw = self._call("DescribeLoadBalancers", "LoadBalancers", LoadBalancerArns=batch)
            return {entry["LoadBalancerArn"]: convert_aws.load_balancer(entry) for entry in raw}

        return self._each(reads.LOAD_BALANCERS, arns, describe, _BALANCER_ABSENT)

    def load_balancers_by_host(self, hosts: list[str]) -> dict[str, Fact[aws.LoadBalancer | None]]:
        """At most twenty load balancers by DNS name, as far as its head tells the name.

        That head ("internal-" and the hash after the last "-" aside) saves reading every load balancer of the account;
        what it does not lead to may still be among `all_load_balancers`.
        """

        def describe(names: list[str]) -> dict[str, aws.LoadBalancer]:
            raw = self._call("DescribeLoadBalancers", "LoadBalancers", Names=names)
            return {entry["LoadBalancerName"]: convert_aws.load_balancer(entry) for entry in raw}

        names = {host: balancer_name(host) for host in hosts}
        named = self._each(reads.LOAD_BALANCERS, list(dict.fromkeys(names.values())), describe, _NAME_ABSENT)
        return {
            host: replace(named[name].map(lambda lb, host=host: lb if _answers_to(lb, host) else None), scope=host)  # type: ignore[misc]
            for host, name in names.items()
        }

    def all_load_balancers(self) -> Fact[Mapping[str, aws.LoadBalancer]]:
        """Every load balancer of the account and region, by DNS name in lower case."""

        def read() -> Mapping[str, aws.LoadBalancer]:
            raw = self._call("DescribeLoadBalancers", "LoadBalancers")
            return {entry.get("DNSName", "").lower(): convert_aws.load_balancer(entry) for entry in raw}

        return self._read(reads.LOAD_BALANCERS, "", read)

    def resources(self, arns: list[str]) -> Fact[Mapping[str, str]]:
        """The controller's resource tag of each target group that carries one, by ARN; for any number of ARNs."""

        def read() -> Mapping[str, str]:
            found: dict[str, str] = {}
            for batch in batches(arns):
                for entry in self._call("DescribeTags", "TagDescriptions", ResourceArns=batch):
                    tags = {tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags", ())}
                    for key in ("ingress.k8s.aws/resource", "service.k8s.aws/resource"):
                        if key in tags:
                            found[entry["ResourceArn"]] = tags[key]
            return found

        return self._read(reads.TAGS, arns[0] if arns else "", read)

    def target_health(self, arn: str) -> Fact[tuple[aws.TargetHealth, ...]]:
        """The targets of a group with their health; none where the group does not exist."""

        def read() -> tuple[aws.TargetHealth, ...]:
            raw = self._call("DescribeTargetHealth", "TargetHealthDescriptions", TargetGroupArn=arn)
            found = [convert_aws.target_health(entry) for entry in raw]
            return tuple(sorted(found, key=lambda t: (t.zone, t.id, t.port)))

        return self._read(reads.TARGET_HEALTH, arn, lambda: or_absent(read, *_GROUP_ABSENT) or ())

    def group_attributes(self, arn: str) -> Fact[Mapping[str, str]]:
        """The attributes of a target group; none where it does not exist."""

        def read() -> Mapping[str, str]:
            raw = self._call("DescribeTargetGroupAttributes", "Attributes", TargetGroupArn=arn)
            return convert_aws.attributes(raw)

        return self._read(reads.TARGET_GROUP_ATTRIBUTES, arn, lambda: or_absent(read, *_GROUP_ABSENT) or {})

    def balancer_attributes(self, arn: str) -> Fact[Mapping[str, str]]:
        """The attributes of a load balancer; none where it does not exist."""

        def read() -> Mapping[str, str]:
            raw = self._call("DescribeLoadBalancerAttributes", "Attributes", LoadBalancerArn=arn)
            return convert_aws.attributes(raw)

        return self._read(reads.LOAD_BALANCER_ATTRIBUTES, arn, lambda: or_absent(read, *_BALANCER_ABSENT) or {})

    def listeners(self, arn: str) -> Fact[tuple[aws.Listener, ...]]:
        """The listeners of a load balancer."""

        def read() -> tuple[aws.Listener, ...]:
            raw = self._call("DescribeListeners", "Listeners", LoadBalancerArn=arn)
            return tuple(convert_aws.listener(entry) for entry in raw)

        return self._read(reads.LISTENERS, arn, read)

    def rules(self, arn: str) -> Fact[tuple[aws.ListenerRule, ...]]:
        """The rules of an Application Load Balancer's listener."""

        def read() -> tuple[aws.ListenerRule, ...]:
            raw = self._call("DescribeRules", "Rules", ListenerArn=arn)
            return tuple(convert_aws.rule(entry, arn) for entry in raw)

        return self._read(reads.RULES, arn, read)


def _answers_to(balancer: aws.LoadBalancer | None, host: str) -> bool:
    """Whether it is the load balancer of this DNS name, and not just one whose name looks like it."""
    return balancer is not None and balancer.dns_name.lower() == host.lower()
