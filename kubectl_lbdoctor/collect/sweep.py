"""What a scan reads, in stages, so that people see a first answer while target groups are still being asked.

The first stage holds what Kubernetes tells; the second adds what few calls tell of all load balancers: which there are,
and how many targets CloudWatch counts as healthy. Then target groups are asked one by one, but only those that look bad
or of which nothing is known; and of the frontends that are not certainly healthy everything that a diagnosis of one
object reads; a stage tells meanwhile how all targets are. The last one holds everything that is going to be known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from time import monotonic

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.analysis.spared import groups_of, outlined, spared, unasked_groups
from kubectl_lbdoctor.collect import load_balancer_stages, network_reads
from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.collector import (
    OpenAws,
    ReadPlan,
    completed,
    load_balancers_and_network,
    region_of,
    with_own_logs,
)
from kubectl_lbdoctor.collect.elb_reads import Aws
from kubectl_lbdoctor.collect.identity_reads import IdentityReader
from kubectl_lbdoctor.collect.known_balancers import KnownBalancers
from kubectl_lbdoctor.collect.kube_lists import Kube
from kubectl_lbdoctor.collect.load_balancer_stages import LoadBalancerStages, group_arns, host_names
from kubectl_lbdoctor.collect.swept_lists import SweptLists
from kubectl_lbdoctor.collect.target_counts import read_counts
from kubectl_lbdoctor.errors import NoCredentials, ReadFailed
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.scan import Reach
from kubectl_lbdoctor.model.snapshot import SPARED_NETWORK, AwsFacts, Context, Snapshot
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.record import record

WORKERS = 16
"""Calls of AWS at a time; how many begin in a second is the pace's matter."""

STAGE_SECONDS = 10.0
"""After so long a new stage shows which target groups have been asked since."""

_NOT_YET = "AWS has not been asked for it yet"

Health = Fact[tuple[TargetHealth, ...]]


@record
class SweepPlan:
    """What a scan is about. namespace: "" for all of them. labels: a selector for the subjects, "" for none. reads:
    what the checks declare. aws_rate: calls of ELBv2 a second. counts: whether CloudWatch may be asked, which costs.
    by_server: gives a time of this machine's clock by that of the API server, once that has answered. patience: seconds
    that the first stage is kept back for what few calls of AWS tell of all: where that is there by then, the stage is
    left out, because looking at it would only hold up the next."""

    namespace: str
    reads: frozenset[str]
    context: Context
    taken_at: str
    labels: str = ""
    aws_rate: float = 5.0
    counts: bool = True
    by_server: Callable[[str], str] = str
    patience: float = 0.0


@record
class Stage:
    """What is known so far. done: nothing more comes. foreign: objects of other controllers, which are left out.

    A snapshot's subjects are the frontends; `Snapshot.spared` are those that were found healthy by counts.
    """

    snapshot: Snapshot
    progress: Reach
    done: bool
    foreign: tuple[ObjectRef, ...] = ()


def stages(
    kube: Kube, open_aws: OpenAws, plan: SweepPlan, tell: Callable[[Reach], None] = lambda _: None
) -> Iterator[Stage]:
    """The facts of a scan as they become known. tell: is called as groups are asked.

    A consumer that stops, or is interrupted, closes the iterator (`close`): what still runs is let go, and the last
    stage stays good. Raises CouldNotRun when the API server does not answer or refuses the credentials, and ValueError
    for labels that are no selector; that nothing is there is a snapshot without subjects.
    """
    lists = SweptLists(kube, plan.reads, plan.namespace, plan.labels, plan.context)
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="aws")
    pace = Pace(plan.aws_rate)
    try:
        swept = lists.read(plan.taken_at)
        # Ages are those of the servers' clocks: by another one, what is long past would pass for now.
        plan = replace(plan, taken_at=plan.by_server(plan.taken_at))
        snapshot = replace(swept.snapshot, taken_at=plan.taken_at, cluster=with_own_logs(swept.snapshot))
        for stage in _stages(snapshot, _Aws(open_aws, pool, pace, plan, tell)):
            yield replace(stage, foreign=swept.foreign)
    finally:
        pace.end()
        lists.close()
        pool.shutdown(wait=False, cancel_futures=True)


@record
class _Aws:
    """What the reads of AWS need."""

    open: OpenAws
    pool: Executor
    pace: Pace
    plan: SweepPlan
    tell: Callable[[Reach], None]


def _stages(snapshot: Snapshot, aws: _Aws) -> Iterator[Stage]:
    reader, reason = _opened(snapshot, aws)
    before = _not_asked(snapshot, reason or _NOT_YET)
    if reader is None:
        yield _stage(before, aws, done=True)
        return
    elb = KnownBalancers(reader, aws.plan.reads)
    # What comes next is begun before each stage, so that it is read while the stage is being looked at.
    outlined = aws.pool.submit(_outlined, snapshot, elb, reader, aws)
    if not aws.plan.patience or not wait((outlined,), aws.plan.patience).done:
        yield _stage(before, aws)
    snapshot = outlined.result()
    groups = unasked_groups(snapshot)
    begun = {aws.pool.submit(elb.target_health, arn): arn for arn in groups}
    yield _stage(_with_spared(snapshot), aws, left=len(groups))
    asked: dict[str, Health] = {}
    for asked in _asked(begun, snapshot, aws):
        snapshot = replace(snapshot, aws=replace(snapshot.aws, target_health=dict(asked)))
        if len(asked) < len(groups):
            yield _stage(_with_spared(snapshot), aws, len(asked), len(groups) - len(asked))
    snapshot = _with_spared(snapshot)
    detailed = aws.pool.submit(_detailed, snapshot, elb, reader, aws)
    if groups:
        yield _stage(snapshot, aws, len(asked))
    yield _stage(detailed.result(), aws, len(asked), done=True)


def _opened(snapshot: Snapshot, aws: _Aws) -> tuple[Aws | None, str]:
    """The reader, or None and the reason why AWS is not asked."""
    if not aws.plan.reads & reads.AWS:
        return None, "no check needs AWS"
    bindings = (b for facts in snapshot.namespaces.values() for b in facts.bindings.peek() or ())
    try:
        reader = aws.open(lambda: region_of(snapshot.cluster.nodes.peek() or (), bindings))
        reader.keep_pace("elbv2", aws.pace)
    except (NoCredentials, ReadFailed) as error:
        return None, error.message
    return reader, ""


def _not_asked(snapshot: Snapshot, reason: str) -> Snapshot:
    return replace(
        snapshot,
        aws=load_balancer_stages.not_asked(snapshot, reason),
        network=network_reads.not_asked(reason),
    )


def _stage(snapshot: Snapshot, aws: _Aws, asked: int = 0, left: int = 0, *, done: bool = False) -> Stage:
    progress = _progress(snapshot, aws, asked, left)
    aws.tell(progress)
    return Stage(replace(snapshot, context=completed(snapshot)), progress, done)


def _progress(snapshot: Snapshot, aws: _Aws, asked: int, left: int) -> Reach:
    known = groups_of(snapshot)
    return Reach(
        objects=len(snapshot.subjects),
        groups=len(known),
        known=sum(known.values()),
        asked=asked,
        slowed=aws.pace.slowed,
        left=left,
        rate=aws.pace.rate,
    )


def _outlined(snapshot: Snapshot, elb: KnownBalancers, reader: Aws, aws: _Aws) -> Snapshot:
    """With the load balancers, the target groups and the counts of healthy targets: what few calls tell of all."""
    elb.read_whole(aws.pool, len(group_arns(traffic_paths(snapshot))), len(host_names(snapshot)))
    facts = LoadBalancerStages(elb, aws.pool).outline(snapshot)
    now = parse_time(aws.plan.taken_at)
    if now is not None and aws.plan.counts and reads.TARGET_COUNTS in aws.plan.reads:
        groups = [group for fact in facts.target_groups.values() if (group := fact.peek()) is not None]
        facts = replace(facts, target_counts=read_counts(reader, aws.pool, groups, now))
    # What is not spared is unknown for want of its listeners; the network leaves nobody else in doubt meanwhile.
    return replace(snapshot, aws=facts, network=SPARED_NETWORK)


def _with_spared(snapshot: Snapshot) -> Snapshot:
    """With those of which nothing more is asked."""
    bare = replace(snapshot, spared=frozenset(), outlined=frozenset())
    return replace(bare, spared=spared(bare), outlined=outlined(bare))


def _asked(begun: Mapping[Future[Health], str], snapshot: Snapshot, aws: _Aws) -> Iterator[dict[str, Health]]:
    """The health of these target groups, as a growing table: now and then, and when it is whole."""
    waiting, total = dict(begun), len(begun)
    before = _progress(snapshot, aws, 0, total)
    found: dict[str, Health] = {}
    shown = monotonic()
    while waiting:
        done, _ = wait(waiting, timeout=1.0, return_when="FIRST_COMPLETED")
        for future in done:
            found[waiting.pop(future)] = future.result()
        known = before.known + sum(fact.is_known for fact in found.values())
        pace, asked = aws.pace, len(found)
        aws.tell(replace(before, known=known, asked=asked, left=total - asked, slowed=pace.slowed, rate=pace.rate))
        if waiting and monotonic() - shown > STAGE_SECONDS:
            shown = monotonic()
            yield found
    yield found


def _detailed(snapshot: Snapshot, elb: KnownBalancers, reader: Aws, aws: _Aws) -> Snapshot:
    """With everything that a diagnosis reads of the frontends of which more is to be known."""
    rest = tuple(ref for ref in snapshot.subjects if ref not in snapshot.spared | snapshot.outlined)
    if not rest:
        return replace(snapshot, network=SPARED_NETWORK)
    plan = ReadPlan(rest, aws.plan.reads, aws.plan.context, aws.plan.taken_at)
    some = replace(snapshot, subjects=rest)
    facts, network = load_balancers_and_network(elb, reader, aws.pool, plan, some, lambda: snapshot.cluster)
    identity = facts.identity
    if aws.plan.reads.issuperset(reads.IDENTITY):
        identity = IdentityReader(reader, aws.pool).read(snapshot)
    return replace(snapshot, aws=_joined(snapshot.aws, replace(facts, identity=identity)), network=network)


def _joined(outline: AwsFacts, details: AwsFacts) -> AwsFacts:
    """What was read of all frontends with what was read of some of them."""
    return replace(
        details,
        load_balancers={**outline.load_balancers, **details.load_balancers},
        target_groups={**outline.target_groups, **details.target_groups},
        target_health={**outline.target_health, **details.target_health},
        target_counts=outline.target_counts,
    )
