"""In what order a run's reads are made: Kubernetes, then load balancers, networks and IAM, each a reader of its own.

Reads that do not depend on each other run at the same time on a bounded pool; every outcome, good or bad, becomes a
Fact (`outcomes.attempt`). What is read is declared in `model.reads`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.analysis.chained_gateways import gateways_behind
from kubectl_lbdoctor.analysis.frontends import frontend, traffic_paths
from kubectl_lbdoctor.collect import load_balancer_stages, network_reads
from kubectl_lbdoctor.collect.controller_reads import ControllerReader
from kubectl_lbdoctor.collect.crowded import CrowdedReader
from kubectl_lbdoctor.collect.elb_reads import Aws, ElbReader
from kubectl_lbdoctor.collect.elsewhere import bindings_matter, bound_groups, namesakes, of_the_same_groups
from kubectl_lbdoctor.collect.event_hints import (
    decoded_warnings,
    no_subnet_suits,
    webhook_is_unreachable,
)
from kubectl_lbdoctor.collect.gateway_reads import backend_namespaces, read_gateway_api
from kubectl_lbdoctor.collect.identity_reads import IdentityReader
from kubectl_lbdoctor.collect.kube_lists import (
    MANY_NAMESPACES,
    TOO_MANY,
    Futures,
    Kube,
    KubeLists,
    start_cluster,
    start_namespaces,
)
from kubectl_lbdoctor.collect.load_balancer_stages import LoadBalancerStages
from kubectl_lbdoctor.collect.network_reads import NetworkReader, places, webhook_places
from kubectl_lbdoctor.collect.outcomes import results
from kubectl_lbdoctor.collect.required_subjects import missing_subjects
from kubectl_lbdoctor.errors import CouldNotRun, NoCredentials, ReadFailed
from kubectl_lbdoctor.knowledge.controller_logs import concerning
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Node, TargetGroupBinding
from kubectl_lbdoctor.model.snapshot import AwsFacts, ClusterFacts, Context, NamespaceFacts, NetworkFacts, Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

WORKERS = 16
"""Enough for every first read of one namespace to run at once; connections are reused after that."""

_OF_CLASSES = frozenset(reads.KUBE[name].kept_in for name in (reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS))

OpenAws = Callable[[Callable[[], "str | None"]], Aws]
"""Opens AWS, given where the region may be learned from the cluster. Raises NoCredentials or ReadFailed."""


@record
class ReadPlan:
    """What a run is about: the objects, and the reads that the selected checks declare. unmade: nothing is made of them
    yet, so that all of the nodes' VPC may be chosen for it. by_server: gives a time of this machine's clock by that of
    the API server, once that has answered."""

    subjects: tuple[ObjectRef, ...]
    reads: frozenset[str]
    context: Context
    taken_at: str
    unmade: bool = False
    by_server: Callable[[str], str] = str


class Collector:
    """One run's reads. `kube` and `open_aws` are the only ways out; `progress` gets a line per stage. on_missing: is
    told of each subject that does not exist, and the others are read; without it the run ends at the first."""

    def __init__(
        self,
        kube: Kube,
        open_aws: OpenAws,
        progress: Callable[[str], None] = lambda _: None,
        on_missing: Callable[[CouldNotRun], None] | None = None,
    ) -> None:
        self._on_missing = on_missing
        self._kube = kube
        self._lists = KubeLists(kube)
        self._open_aws = open_aws
        self._progress = progress

    def collect(self, plan: ReadPlan) -> Snapshot:
        """Read everything that the plan needs.

        Raises CouldNotRun when there is nothing to diagnose: the API server does not answer or refuses the
        credentials, or no subject exists (then with similar names).
        """
        own = {reads.read_of_subjects(subject.kind).name for subject in plan.subjects}
        if own & reads.OF_GATEWAYS:
            own |= reads.OF_GATEWAYS
        plan = replace(plan, reads=plan.reads | own)
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="read")
        try:
            return self._collect(pool, plan)
        finally:
            # Without waiting: after Ctrl-C, or when one read has ended the run, the others are of no use.
            pool.shutdown(wait=False, cancel_futures=True)

    def _collect(self, pool: Executor, plan: ReadPlan) -> Snapshot:
        self._progress("reading the cluster")
        cluster = start_cluster(self._lists, pool, plan.reads)
        controller = pool.submit(ControllerReader(self._kube, self._lists).read, plan.reads)
        snapshot = Snapshot(
            taken_at=plan.taken_at,
            context=plan.context,
            subjects=plan.subjects,
            gateway_api=read_gateway_api(self._lists, pool, plan.reads, plan.subjects),
        )
        # Whether a load balancer serves that has another Gateway's as its target is decided behind that one.
        plan = replace(plan, subjects=(*plan.subjects, *gateways_behind(snapshot, plan.subjects)))
        snapshot = replace(snapshot, subjects=plan.subjects)
        also = backend_namespaces(snapshot)
        spaces = start_namespaces(self._lists, pool, plan.reads, plan.subjects, also)
        aws, reason = self._aws(plan, cluster, spaces)
        found, crowded = _few_and_many(spaces)
        snapshot = replace(snapshot, taken_at=plan.by_server(plan.taken_at), namespaces=found)
        snapshot = self._of_those_that_exist(snapshot)
        self._progress("reading AWS")
        # Classes decide which IngressGroup a subject is in, and with it whether other namespaces matter. Nodes do not:
        # a large cluster has megabytes of them, and what a crowded namespace is asked for does not wait for that.
        settled = {part: future.result() for part, future in cluster.items() if part in _OF_CLASSES}
        snapshot = replace(snapshot, cluster=ClusterFacts(**settled))
        crowd = CrowdedReader(self._lists, pool)
        crowd.begin(snapshot, crowded)
        others = self._start_elsewhere(pool, plan, snapshot)
        cluster_facts = ClusterFacts(**results(cluster))
        snapshot = crowd.complete(replace(snapshot, cluster=cluster_facts))
        if aws is None:
            facts, network = load_balancer_stages.not_asked(snapshot, reason), network_reads.not_asked(reason)
        else:
            facts, network = load_balancers_and_network(
                ElbReader(aws, plan.reads), aws, pool, plan, snapshot, lambda: ClusterFacts(**controller.result())
            )
        cluster_facts = replace(cluster_facts, **controller.result(), **results(others))
        snapshot = replace(snapshot, cluster=cluster_facts, aws=facts, network=network)
        snapshot = crowd.finish(snapshot)
        if aws is not None and plan.reads.issuperset(reads.IDENTITY):
            snapshot = replace(snapshot, aws=replace(facts, identity=IdentityReader(aws, pool).read(snapshot)))
        snapshot = replace(snapshot, cluster=replace(snapshot.cluster, **self._elsewhere(plan, snapshot)))
        snapshot = replace(snapshot, cluster=with_own_logs(snapshot))
        return replace(snapshot, context=completed(snapshot))

    def _of_those_that_exist(self, snapshot: Snapshot) -> Snapshot:
        missing = missing_subjects(self._lists, snapshot)
        if not missing:
            return snapshot
        *others, last = missing.values()
        if self._on_missing is None:
            raise (*others, last)[0]
        for error in others:
            self._on_missing(error)
        if len(missing) == len(snapshot.subjects):
            raise last
        self._on_missing(last)
        return replace(snapshot, subjects=tuple(ref for ref in snapshot.subjects if ref not in missing))

    def _start_elsewhere(self, pool: Executor, plan: ReadPlan, snapshot: Snapshot) -> Futures:
        """Objects of all namespaces that matter whatever is found, by field of ClusterFacts: Ingresses where a subject
        shares its load balancer with others, and bindings, one of which may fill a subject's target group. Who asks
        about many namespaces has those of them all, which is enough."""
        shared = any(frontend(snapshot, subject).group for subject in snapshot.subjects)
        bound = len(snapshot.namespaces) < MANY_NAMESPACES and bool(bound_groups(snapshot))
        wanted = [(reads.ALL_INGRESSES, shared), (reads.ALL_BINDINGS, bound)]
        chosen = [reads.KUBE[name] for name, matters in wanted if matters and name in plan.reads]
        return {read.kept_in: pool.submit(self._lists.list, read, read.kind) for read in chosen}

    def _elsewhere(self, plan: ReadPlan, snapshot: Snapshot) -> dict[str, Any]:
        """Objects of other namespaces, each only where what was found points there: bindings that may have caused what
        the controller complains of, and Services of the name of a backend that does not exist."""
        found: dict[str, Any] = {}
        read = reads.KUBE[reads.ALL_BINDINGS]
        if read.name in plan.reads:
            listed: Fact[Any] = snapshot.cluster.all_bindings
            if listed.state is ReadState.NOT_ASKED and bindings_matter(snapshot):
                listed = self._lists.list(read, read.kind)
            found[read.kept_in] = of_the_same_groups(snapshot, listed)
        if reads.ALL_SERVICES in plan.reads:
            found |= namesakes(snapshot, self._lists)
        return found

    def _aws(self, plan: ReadPlan, cluster: Futures, spaces: dict[str, Futures]) -> tuple[Aws | None, str]:
        """The reader, or None and the reason why AWS is not asked."""
        if not plan.reads & reads.AWS:
            return None, "no check needs AWS"

        def node_region() -> str | None:
            nodes = cluster[reads.KUBE[reads.NODES].kept_in].result().peek() if reads.NODES in plan.reads else None
            bindings = reads.KUBE[reads.BINDINGS].kept_in if reads.BINDINGS in plan.reads else ""
            listed = (futures[bindings].result().peek() for futures in spaces.values() if bindings)
            return region_of(nodes or (), (binding for found in listed for binding in found or ()))

        try:
            return self._open_aws(node_region), ""
        except (NoCredentials, ReadFailed) as error:
            return None, error.message


def _few_and_many(spaces: Mapping[str, Futures]) -> tuple[dict[str, NamespaceFacts], dict[str, frozenset[str]]]:
    """What was read of each namespace, and by namespace the reads of which there is too much."""
    found: dict[str, NamespaceFacts] = {}
    crowded: dict[str, frozenset[str]] = {}
    names = {read.kept_in: read.name for read in reads.KUBE.values() if read.scope is reads.Scope.NAMESPACE}
    for namespace, futures in spaces.items():
        facts = results(futures)
        found[namespace] = NamespaceFacts(**{part: fact for part, fact in facts.items() if fact is not TOO_MANY})
        if many := frozenset(names[part] for part, fact in facts.items() if fact is TOO_MANY):
            crowded[namespace] = many
    return found, crowded


def region_of(nodes: Iterable[Node], bindings: Iterable[TargetGroupBinding]) -> str | None:
    """The AWS region that the cluster's nodes are in; they may be denied, and a target group's ARN names it as well."""
    regions = {node.meta.labels.get("topology.kubernetes.io/region", "") for node in nodes} - {""}
    if not regions:
        arns = [parse_arn(binding.target_group_arn) for binding in bindings]
        regions = {arn.region for arn in arns if arn is not None} - {""}
    return min(regions, default=None)


def load_balancers_and_network(
    elb: ElbReader,
    aws: Aws,
    pool: Executor,
    plan: ReadPlan,
    snapshot: Snapshot,
    controllers: Callable[[], ClusterFacts],
) -> tuple[AwsFacts, NetworkFacts]:
    """What ELB and EC2 hold. The interfaces of pods and nodes are asked for while the load balancers are read.

    controllers: waits for what is read of the controllers; it is called where that matters.
    """
    stages = LoadBalancerStages(elb, pool)
    if reads.NETWORK_INTERFACES not in plan.reads:
        return stages.read(snapshot), NetworkFacts()
    network = NetworkReader(aws, pool)
    warnings = decoded_warnings(snapshot)
    ids, addresses = places(traffic_paths(snapshot))
    if plan.unmade:
        # Nothing leads to the VPC but its nodes; one tells it, and three survive one that is just being replaced.
        ids += [node.instance_id for node in snapshot.cluster.nodes.peek() or () if node.instance_id not in ids][:3]
    interfaces = network.start_interfaces(ids, addresses)
    if webhook_is_unreachable(warnings):
        nodes = snapshot.cluster.nodes.peek() or ()
        interfaces += network.start_interfaces(*webhook_places(controllers(), nodes))
    facts = stages.read(snapshot)
    balancers = {lb.arn: lb for fact in facts.load_balancers.values() if (lb := fact.peek()) is not None}
    whole_vpc = plan.unmade or no_subnet_suits(warnings)
    return facts, network.finish(interfaces, list(balancers.values()), whole_vpc)


def with_own_logs(snapshot: Snapshot) -> ClusterFacts:
    """The facts of the cluster with those lines of the controllers' logs that concern the subjects."""
    words = {word for path in traffic_paths(snapshot) for word in _names(path)}
    logs = {pod: log.map(lambda text: concerning(text, words)) for pod, log in snapshot.cluster.controller_logs.items()}
    return replace(snapshot.cluster, controller_logs=logs)


def _names(path: TrafficPath) -> tuple[str, ...]:
    """What the controller's log calls this path: its namespace, IngressGroup and binding."""
    binding = path.binding.peek()
    return (path.namespace, path.group, binding.meta.name if binding is not None else "")


def completed(snapshot: Snapshot) -> Context:
    """The context with what the ARNs say of account and region, those first that were found: a binding may name a
    target group of another account."""
    groups = snapshot.aws.target_groups
    found = [arn for arn, fact in groups.items() if fact.peek() is not None]
    arns = [*found, *snapshot.aws.listeners, *groups]
    arn = next((found for found in map(parse_arn, arns) if found is not None), None)
    if arn is None:
        return snapshot.context
    return replace(
        snapshot.context,
        region=snapshot.context.region or arn.region,
        account=snapshot.context.account or arn.account,
    )
