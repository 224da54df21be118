"""In which order the load balancers of a run are read, because each answer says what to ask next.

First what Kubernetes names: target groups by the ARNs of bindings and actions, load balancers by their published DNS
names. Then the load balancers that those groups belong to, then listeners, then rules. Last the target groups that only
AWS knows of: by the controller's tags where bindings could not be read, by a listener for Services without binding.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress
from kubectl_lbdoctor.analysis.frontends import frontend, listener_groups, traffic_paths
from kubectl_lbdoctor.analysis.idle_backends import other_colours
from kubectl_lbdoctor.collect.elb_reads import ElbReader, batches
from kubectl_lbdoctor.model import aws, reads
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.snapshot import AwsFacts, Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

Balancers = dict[str, Fact[aws.LoadBalancer | None]]
Listeners = dict[str, Fact[tuple[aws.Listener, ...]]]
Rules = dict[str, Fact[tuple[aws.ListenerRule, ...]]]


class LoadBalancerStages:
    """One run's reads of load balancers and target groups; `read` is called once."""

    def __init__(self, elb: ElbReader, pool: Executor) -> None:
        self._elb = elb
        self._pool = pool
        self._groups: dict[str, Fact[aws.TargetGroup | None]] = {}
        self._health: dict[str, Future[Fact[tuple[aws.TargetHealth, ...]]]] = {}
        self._attributes: dict[str, Future[Fact[Mapping[str, str]]]] = {}

    def outline(self, snapshot: Snapshot) -> AwsFacts:
        """The load balancers in front of the snapshot's subjects and the target groups behind, and nothing about
        them."""
        by_host, paths = self._start_hosts(snapshot), traffic_paths(snapshot)
        self._read_groups(group_arns(paths))
        balancers = self._with_accounts(snapshot, self._balancers(by_host))
        tagged = AwsFacts().tagged_groups
        if any(not traffic.binding.is_known for traffic in paths):
            tagged = self._tagged_among_all(balancers)
            self._read_groups(list((tagged.peek() or {}).values()))
        self._read_groups_before(snapshot, balancers)
        return AwsFacts(load_balancers=balancers, target_groups=dict(self._groups), tagged_groups=tagged)

    def _read_groups_before(self, snapshot: Snapshot, balancers: Balancers) -> None:
        """The target groups of Network Load Balancers that stand before those of Ingresses: no binding names them."""
        known = replace(snapshot, aws=AwsFacts(load_balancers=balancers))
        paths = [path for path in traffic_paths(known) if is_before_ingress(path)]
        arns = {balancer.arn for path in paths if (balancer := path.load_balancer.peek()) is not None}
        for found in self._pool.map(self._elb.groups_of_balancer, sorted(arns)):
            for arn, group in (found.peek() or {}).items():
                self._groups[arn] = Fact.known(reads.TARGET_GROUPS, group, arn)

    def _tagged_among_all(self, balancers: Balancers) -> Fact[Mapping[str, str]]:
        """Where bindings could not be read: which target groups of these load balancers the controller made for what.
        All groups of the account come in pages and tell their load balancers, which saves asking for the listeners and
        rules of each of them."""
        present = {lb.arn for fact in balancers.values() if (lb := fact.peek()) is not None}
        behind = self._elb.all_target_groups().map(
            lambda groups: [arn for arn, group in groups.items() if not present.isdisjoint(group.load_balancer_arns)]
        )
        return behind.then(lambda arns: self._elb.resources(arns).map(_by_resource))

    def _start_hosts(self, snapshot: Snapshot) -> list[Future[Balancers]]:
        hosts = host_names(snapshot)
        return [self._pool.submit(self._elb.load_balancers_by_host, batch) for batch in batches(hosts)]

    def read(self, snapshot: Snapshot) -> AwsFacts:
        """All facts of the load balancers in front of the snapshot's subjects, and of the target groups behind."""
        paths = traffic_paths(snapshot)
        arns = group_arns(paths)
        by_host = self._start_hosts(snapshot)
        self._start_targets(arns)
        self._read_groups(arns)
        balancers = self._with_accounts(snapshot, self._balancers(by_host))
        present = sorted({lb.arn for fact in balancers.values() if (lb := fact.peek()) is not None})
        attributes = {arn: self._pool.submit(self._elb.balancer_attributes, arn) for arn in present}
        listeners = dict(zip(present, self._pool.map(self._elb.listeners, present), strict=True))
        facts = AwsFacts(
            load_balancers=balancers,
            listeners=listeners,
            rules=self._rules(listeners),
            target_groups=dict(self._groups),
        )
        if snapshot.aws.tagged_groups.state is not ReadState.NOT_ASKED:
            facts = replace(facts, tagged_groups=snapshot.aws.tagged_groups)
        elif any(not traffic.binding.is_known for traffic in paths):
            facts = self._with_tagged_groups(snapshot, facts)
        self._read_listener_groups(replace(snapshot, aws=facts))
        return replace(
            facts,
            target_groups=self._groups,
            target_health={arn: future.result() for arn, future in self._health.items()},
            group_attributes={arn: future.result() for arn, future in self._attributes.items()},
            balancer_attributes={arn: future.result() for arn, future in attributes.items()},
        )

    def _start_targets(self, arns: Iterable[str]) -> None:
        """Begin to read health and attributes of the groups that were not asked yet."""
        for arn in arns:
            if arn not in self._health:
                self._health[arn] = self._pool.submit(self._elb.target_health, arn)
                self._attributes[arn] = self._pool.submit(self._elb.group_attributes, arn)

    def _read_groups(self, arns: list[str]) -> None:
        for found in [self._pool.submit(self._elb.target_groups, batch) for batch in batches(arns)]:
            self._groups.update(found.result())

    def _balancers(self, by_host: Iterable[Future[Balancers]]) -> Balancers:
        """Load balancers by DNS name, and by ARN those that the target groups lead to beside them."""
        table: Balancers = {}
        for future in by_host:
            table.update(future.result())
        missing = [host for host, fact in table.items() if fact.is_known and fact.peek() is None]
        if missing:
            everything = self._elb.all_load_balancers()
            for host in missing:
                found = everything.chosen(None, lambda host=host: everything.need().get(host.lower()))  # type: ignore[misc]
                table[host] = replace(found, scope=host)
        groups = [group for fact in self._groups.values() if (group := fact.peek()) is not None]
        more = balancers_beside(table, groups)
        for found_by_arn in [self._pool.submit(self._elb.load_balancers, batch) for batch in batches(more)]:
            table.update(found_by_arn.result())
        return table

    def _with_accounts(self, snapshot: Snapshot, balancers: Balancers) -> Balancers:
        """A DNS name tells no account. Where the target groups that the controller made for an object are elsewhere,
        so is its load balancer, which is then not found and exists all the same."""
        if not self._elb.asks(reads.TARGET_GROUPS):
            return balancers
        for path in traffic_paths(snapshot):
            binding = path.binding.peek()
            group = self._groups.get(binding.target_group_arn) if binding is not None and binding.is_generated else None
            if group is None or group.state is not ReadState.NOT_ASKED:
                continue
            for host in frontend(snapshot, path.subject).addresses:
                if (found := balancers.get(host)) is not None and found.is_known and found.peek() is None:
                    balancers[host] = Fact.not_asked(reads.LOAD_BALANCERS, group.reason, host)
        return balancers

    def _rules(self, listeners: Listeners) -> Rules:
        """Only an Application Load Balancer's listeners have rules beside their default action."""
        known = [listener for fact in listeners.values() for listener in fact.peek() or ()]
        routed = [listener.arn for listener in known if listener.protocol in ("HTTP", "HTTPS")]
        rules = dict(zip(routed, self._pool.map(self._elb.rules, routed), strict=True))
        for listener in known:
            rules.setdefault(listener.arn, Fact.known(reads.LISTENERS, ()))
        return rules

    def _with_tagged_groups(self, snapshot: Snapshot, facts: AwsFacts) -> AwsFacts:
        """Where bindings could not be read: the target groups that carry the tag of the subjects' backends."""
        behind = list(_groups_behind(facts))
        if behind:
            tagged = self._elb.resources(list(dict.fromkeys(behind))).map(_by_resource)
        else:
            tagged = Fact.not_asked(reads.TAGS, "no load balancer leads to a target group")
        self._read_groups(list((tagged.peek() or {}).values()))
        facts = replace(facts, target_groups=dict(self._groups), tagged_groups=tagged)
        paths = traffic_paths(replace(snapshot, aws=facts))
        self._start_targets(sorted({group.arn for path in paths if (group := path.target_group.peek()) is not None}))
        return facts

    def _read_listener_groups(self, snapshot: Snapshot) -> None:
        """Target groups that a listener alone leads to: those of Services without any binding."""
        more = [arn for arn in listener_groups(traffic_paths(snapshot)) if arn not in self._groups]
        self._read_groups(more)
        self._start_targets(more)


def not_asked(snapshot: Snapshot, reason: str) -> AwsFacts:
    """The same keys as a full run, so that what is missing is named."""
    arns, hosts = group_arns(traffic_paths(snapshot)), host_names(snapshot)
    return AwsFacts(
        load_balancers={host: Fact.not_asked(reads.LOAD_BALANCERS, reason, host) for host in hosts},
        target_groups={arn: Fact.not_asked(reads.TARGET_GROUPS, reason, arn) for arn in arns},
        target_health={arn: Fact.not_asked(reads.TARGET_HEALTH, reason, arn) for arn in arns},
        reason=reason,
    )


def group_arns(paths: Iterable[TrafficPath]) -> list[str]:
    """The target groups that bindings and actions name by ARN, each once, with those of the other colours beside them:
    which of the colours is idle is told by the one that is not. Where a binding could not be read, that which the
    controller's tags name."""
    found: list[str] = []
    for path in paths:
        binding = path.binding.peek()
        if binding is not None:
            found.append(binding.target_group_arn)
            found += [other.target_group_arn for other in other_colours(path, binding)]
        elif not path.binding.is_known and (group := path.target_group.peek()) is not None:
            found.append(group.arn)
        found += [path.backend.target_group_arn] if path.backend is not None else []
    return [arn for arn in dict.fromkeys(found) if arn]


def balancers_beside(
    table: Mapping[str, Fact[aws.LoadBalancer | None]], groups: Iterable[aws.TargetGroup]
) -> list[str]:
    """The load balancers that target groups belong to, by ARN, besides those that the table holds by DNS name."""
    known = {lb.arn for fact in table.values() if (lb := fact.peek()) is not None}
    return [arn for group in groups for arn in group.load_balancer_arns if arn not in known]


def host_names(snapshot: Snapshot) -> list[str]:
    """DNS names under which the subjects are published, each once; an IP address leads nowhere in AWS."""
    published = [address for subject in snapshot.subjects for address in frontend(snapshot, subject).addresses]
    return [address for address in dict.fromkeys(published) if not re.fullmatch(r"[0-9.]+|.*:.*", address)]


def _by_resource(table: Mapping[str, str]) -> Mapping[str, str]:
    """Target groups by what the controller made them for; that of which two say the same is not told by its tag."""
    times = Counter(table.values())
    return {resource: arn for arn, resource in table.items() if times[resource] == 1}


def _groups_behind(facts: AwsFacts) -> Iterator[str]:
    """The target groups that the listeners and rules lead to."""
    actions = [a for fact in facts.listeners.values() for entry in fact.peek() or () for a in entry.actions]
    actions += [a for fact in facts.rules.values() for rule in fact.peek() or () for a in rule.actions]
    for action in actions:
        yield from action.target_groups
