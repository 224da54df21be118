"""Reads of Elastic Load Balancing that remember what they have read, and read the whole account where that is less."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

from kubectl_lbdoctor.collect.elb_reads import BATCH, Aws, ElbReader
from kubectl_lbdoctor.model import aws, reads
from kubectl_lbdoctor.model.fact import Fact

T = TypeVar("T")

WHOLE = 8 * BATCH
"""From so many objects on, all of the account are read. An account has at most 3,000 target groups in a region, eight
pages: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"""


class KnownBalancers(ElbReader):
    """The reads of one scan. Safe to use from threads."""

    def __init__(self, reader: Aws, asked: frozenset[str]) -> None:
        super().__init__(reader, asked)
        self._all_groups: Fact[Mapping[str, aws.TargetGroup]] | None = None
        self._all_balancers: Fact[Mapping[str, aws.LoadBalancer]] | None = None
        self._groups: dict[str, Fact[aws.TargetGroup | None]] = {}
        self._balancers: dict[str, Fact[aws.LoadBalancer | None]] = {}
        self._health: dict[str, Fact[tuple[aws.TargetHealth, ...]]] = {}
        self._denied: Fact[tuple[aws.TargetHealth, ...]] | None = None

    def read_whole(self, pool: Executor, groups: int, balancers: int) -> None:
        """Read all target groups, or all load balancers, of the account where so many of them are wanted."""
        all_groups = pool.submit(self.all_target_groups) if groups > WHOLE else None
        all_balancers = pool.submit(super().all_load_balancers) if balancers > WHOLE else None
        if all_groups is not None:
            all_groups.result()
        if all_balancers is not None:
            self._all_balancers = all_balancers.result()

    def all_target_groups(self) -> Fact[Mapping[str, aws.TargetGroup]]:
        if self._all_groups is None:
            self._all_groups = super().all_target_groups()
        return self._all_groups

    def groups_of_balancer(self, arn: str) -> Fact[Mapping[str, aws.TargetGroup]]:
        whole = self._all_groups
        if whole is None:
            return super().groups_of_balancer(arn)
        return whole.map(lambda table: {key: group for key, group in table.items() if arn in group.load_balancer_arns})

    def target_groups(self, arns: list[str]) -> dict[str, Fact[aws.TargetGroup | None]]:
        whole = self._all_groups
        if whole is not None:
            elsewhere = self.in_other_regions(reads.TARGET_GROUPS, arns)
            return {arn: self.absent_only_here(arn, _picked(whole, arn, arn)) for arn in arns} | elsewhere
        self._groups.update(super().target_groups([arn for arn in arns if arn not in self._groups]))
        return {arn: self._groups[arn] for arn in arns}

    def load_balancers(self, arns: list[str]) -> dict[str, Fact[aws.LoadBalancer | None]]:
        whole = self._all_balancers
        if whole is not None:
            by_arn: Fact[Mapping[str, aws.LoadBalancer]] = whole.map(
                lambda table: {balancer.arn: balancer for balancer in table.values()}
            )
            return {arn: _picked(by_arn, arn, arn) for arn in arns}
        self._balancers.update(super().load_balancers([arn for arn in arns if arn not in self._balancers]))
        return {arn: self._balancers[arn] for arn in arns}

    def load_balancers_by_host(self, hosts: list[str]) -> dict[str, Fact[aws.LoadBalancer | None]]:
        whole = self._all_balancers
        if whole is not None:
            return {host: _picked(whole, host.lower(), host, name=None) for host in hosts}
        self._balancers.update(super().load_balancers_by_host([h for h in hosts if h not in self._balancers]))
        return {host: self._balancers[host] for host in hosts}

    def all_load_balancers(self) -> Fact[Mapping[str, aws.LoadBalancer]]:
        return self._all_balancers if self._all_balancers is not None else super().all_load_balancers()

    def target_health(self, arn: str) -> Fact[tuple[aws.TargetHealth, ...]]:
        """Once it is denied for one target group, no other is asked for: the action knows no resources in IAM. What has
        failed, as when AWS was asked too much, is asked again when it is wanted again."""
        if (known := self._health.get(arn)) is not None:
            return known
        denied = self._denied
        found = replace(denied, scope=arn) if denied is not None else super().target_health(arn)
        if found.permission:
            self._denied = found
        if found.is_known:
            self._health[arn] = found
        return found


def _picked(table: Fact[Mapping[str, T]], key: str, scope: str, *, name: str | None = "") -> Fact[T | None]:
    """One entry of a table; None where it is not among them. name: as in `Fact.chosen`, "" for the key."""
    return replace(table.chosen(key if name == "" else name, lambda: table.need().get(key)), scope=scope)
