"""What a run always reads and a bundle does not hold: it was cut out of the file, or an older version did not read it.

Such a part is not asked, and says so, so that nobody is healthy for want of it. What has to be there follows from what
is there: a subject from its kind, a load balancer from the names under which it is published, a log from its pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from kubectl_lbdoctor.analysis.frontends import frontend, traffic_paths
from kubectl_lbdoctor.collect.controller_reads import accounts_of, pods_with_logs
from kubectl_lbdoctor.collect.load_balancer_stages import balancers_beside, host_names
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.snapshot import AwsFacts, ClusterFacts, GatewayFacts, NamespaceFacts, NetworkFacts, Snapshot

F = TypeVar("F", NamespaceFacts, ClusterFacts, NetworkFacts, GatewayFacts)
T = TypeVar("T")

_WHY = "the bundle does not hold it"


def with_cuts(snapshot: Snapshot) -> Snapshot:
    """The snapshot with what is missing in it as not known."""
    spaces = {name: _cut(facts) for name, facts in snapshot.namespaces.items()}
    snapshot = replace(snapshot, namespaces=spaces, gateway_api=_gateway_api(snapshot))
    snapshot = replace(snapshot, cluster=_cluster(snapshot))
    if snapshot.aws.reason:
        return snapshot
    return replace(snapshot, network=_cut(snapshot.network), aws=_aws(snapshot))


def _gateway_api(snapshot: Snapshot) -> GatewayFacts:
    own = {reads.read_of_subjects(subject.kind).name for subject in snapshot.subjects}
    return _cut(snapshot.gateway_api) if own & reads.OF_GATEWAYS else snapshot.gateway_api


def _cluster(snapshot: Snapshot) -> ClusterFacts:
    """group_ingresses is read for members of an IngressGroup alone, webhook_certificates where a webhook has a Secret:
    the denial of that leaves a verdict as it is."""
    without = {"webhook_certificates"}
    if not any(frontend(snapshot, subject).group for subject in snapshot.subjects):
        without.add("group_ingresses")
    cluster = _cut(snapshot.cluster, frozenset(without))
    logs = [pod.meta.key for pod in pods_with_logs(cluster.controller_pods.peek() or ())]
    accounts = [f"{namespace}/{name}" for namespace, name in accounts_of(cluster.controllers.peek() or ())]
    return replace(
        cluster,
        controller_logs=_filled(cluster.controller_logs, reads.CONTROLLER_LOGS, logs),
        service_accounts=_filled(cluster.service_accounts, reads.SERVICE_ACCOUNTS, accounts),
    )


def _aws(snapshot: Snapshot) -> AwsFacts:
    """What of the load balancers is looked at only where a scan does not spare them is missing only there."""
    aws = snapshot.aws
    groups = [group for fact in aws.target_groups.values() if (group := fact.peek()) is not None]
    balancers = _filled(aws.load_balancers, reads.LOAD_BALANCERS, host_names(snapshot))
    balancers = _filled(balancers, reads.LOAD_BALANCERS, balancers_beside(balancers, groups))
    aws = replace(aws, load_balancers=balancers)
    left = snapshot.spared | snapshot.outlined
    examined = snapshot.about(tuple(ref for ref in snapshot.subjects if ref not in left))
    found = [path.load_balancer.peek() for path in traffic_paths(replace(examined, aws=aws))]
    found += [balancers[host].peek() for host in host_names(examined)]
    arns = sorted({balancer.arn for balancer in found if balancer is not None})
    listeners = _filled(aws.listeners, reads.LISTENERS, arns)
    present = [listener.arn for arn in arns for listener in listeners[arn].peek() or ()]
    return replace(
        aws,
        balancer_attributes=_filled(aws.balancer_attributes, reads.LOAD_BALANCER_ATTRIBUTES, arns),
        listeners=listeners,
        rules=_filled(aws.rules, reads.RULES, present),
    )


def _cut(facts: F, without: frozenset[str] = frozenset()) -> F:
    missing: dict[str, Any] = {}
    for part in fields(facts):
        fact = getattr(facts, part.name)
        if isinstance(fact, Fact) and fact.state is ReadState.NOT_ASKED and not fact.scope and part.name not in without:
            missing[part.name] = Fact.not_asked(fact.source, _WHY, "bundle")
    return replace(facts, **missing) if missing else facts


def _filled(table: Mapping[str, Fact[T]], source: str, keys: Iterable[str]) -> Mapping[str, Fact[T]]:
    missing = {key: Fact[T].not_asked(source, _WHY, key) for key in keys if key not in table}
    return {**table, **missing} if missing else table
