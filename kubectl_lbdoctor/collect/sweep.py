"""What a scan reads, in stages, so that people see a first answer while target groups are still being asked.

The first stage holds what Kubernetes tells; the last one everything that is going to be known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubectl_lbdoctor.collect.collector import Collector, OpenAws, ReadPlan
from kubectl_lbdoctor.collect.inventory import ClusterInventory
from kubectl_lbdoctor.collect.kube_lists import Kube
from kubectl_lbdoctor.collect.subjects import Finder
from kubectl_lbdoctor.model.asked import AllOf
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.record import record


@record
class SweepPlan:
    """What a scan is about. namespace: "" for all of them. labels: a selector for the subjects, "" for none. reads:
    what the checks declare. aws_rate: calls of ELBv2 a second. counts: whether CloudWatch may be asked, which costs."""

    namespace: str
    reads: frozenset[str]
    context: Context
    taken_at: str
    labels: str = ""
    aws_rate: float = 5.0
    counts: bool = True


@record
class SweepProgress:
    """How far a scan is. groups: target groups in all; known: those whose state is known; asked: those that were asked
    one by one. slowed: AWS has asked for fewer calls."""

    objects: int = 0
    groups: int = 0
    known: int = 0
    asked: int = 0
    slowed: bool = False


@record
class Stage:
    """What is known so far. done: nothing more comes."""

    snapshot: Snapshot
    progress: SweepProgress
    done: bool


def stages(
    kube: Kube, open_aws: OpenAws, plan: SweepPlan, tell: Callable[[SweepProgress], None] = lambda _: None
) -> Iterator[Stage]:
    """The facts of a scan as they become known. tell: is called as groups are asked.

    Raises CouldNotRun when the API server does not answer or refuses the credentials; that nothing is there is a
    snapshot without subjects.
    """
    found = Finder(ClusterInventory(kube), plan.namespace).find((AllOf(labels=plan.labels),))
    snapshot = Collector(kube, open_aws).collect(
        ReadPlan(tuple(found.subjects), plan.reads, plan.context, plan.taken_at)
    )
    tell(SweepProgress(objects=len(found.subjects)))
    yield Stage(snapshot, SweepProgress(objects=len(found.subjects)), done=True)
