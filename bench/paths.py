"""What one path costs all checks: beside many pods, and among many paths. Ratios of one run; nothing is a limit."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.world import MemoryAws, MemoryKube, World
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect.collector import Collector, ReadPlan
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.report import build, needed_reads

PATHS_PER_NAMESPACE = 20
PODS_PER_PATH = 3
NODES = 100
ROUNDS = 5
"""Each measurement is the best of so many."""


# --- the product's steps: the only lines that know how it is built ----------------------------------------------------


def collect(world: World) -> Snapshot:
    subjects = tuple(ObjectRef(*subject) for subject in world.subjects)
    plan = ReadPlan(subjects, needed_reads(CATALOGUE), Context(), "2026-11-23T12:00:00Z")
    return Collector(MemoryKube(world), lambda _: MemoryAws(world)).collect(plan)


def join(snapshot: Snapshot) -> Any:
    return traffic_paths(snapshot)


def check(joined: Any) -> Any:
    return run(CATALOGUE, joined)


def fold(snapshot: Snapshot, joined: Any, results: Any) -> Any:
    return build(snapshot, joined, results, CATALOGUE)


# --- the measurements -------------------------------------------------------------------------------------------------


def timed(step: Callable[[], Any], least: float = 0.5) -> tuple[Any, float]:
    """What it gave, and the processor seconds of one call: the best of as many as fit into `least` seconds."""
    best, spent, value = float("inf"), 0.0, None
    while value is None or spent < least:
        begun = time.process_time()
        value = step()
        seconds = time.process_time() - begun
        best, spent = min(best, seconds), spent + seconds
    return value, best


def measure(world: World) -> dict[str, float]:
    """Seconds of each step for a snapshot of all subjects of the world."""
    snapshot, reading = timed(lambda: collect(world), 0)
    best = {"join": float("inf"), "check": float("inf"), "fold": float("inf")}
    spent = 0.0
    while spent < 0.5:
        # A copy remembers nothing: what was derived for one round must not be there for the next.
        fresh = replace(snapshot)
        joined, joining = timed(lambda: join(fresh), 0)  # noqa: B023
        results, checking = timed(lambda: check(joined), 0)  # noqa: B023
        report, folding = timed(lambda: fold(fresh, joined, results), 0)  # noqa: B023
        round_ = {"join": joining, "check": checking, "fold": folding}
        best = {name: min(seconds, round_[name]) for name, seconds in best.items()}
        spent += sum(round_.values())
    _must_be_healthy(report, results)
    return {"paths": len(joined), "read": reading, **best}


def _must_be_healthy(report: Any, results: Any) -> None:
    """A world with a fault, or a check that cannot run, would measure something else."""
    if report.status.value != "healthy":
        said = Counter(
            f"{r.code} {r.status.value} {r.reason}" for r in results if r.status.value not in ("pass", "skip")
        )
        found = Counter(d.finding.code for d in report.diagnoses)
        raise SystemExit(f"the world is {report.status.value}: {found.most_common(5)} {said.most_common(8)}")


FURTHER = 40
"""Paths beside the first in the worlds that tell what the pods around a path cost."""


def beside_many_pods() -> None:
    """Ingresses in a namespace of 10 pods and in one of 10,000.

    The first path of a snapshot also pays for its index (pods by label, by address, by name), each further one only
    for itself.
    """
    print("All checks, by the idle pods in the namespace; ratio of what one more path costs")
    print(f"{'pods':>7} {'read ms':>9} {'first ms':>9} {'further ms':>11} {'ratio':>6}")
    base = 0.0
    for pods in (10, 1_000, 10_000):
        world = World.with_nodes(NODES)
        for number in range(1 + FURTHER):
            world.application("shop", f"web-{number}", PODS_PER_PATH)
        world.idle_pods("shop", pods)
        snapshot, reading = timed(lambda: collect(world), 0)  # noqa: B023
        first = further = float("inf")
        for _ in range(ROUNDS):
            fresh = replace(snapshot)
            paths = join(fresh)
            _, one = timed(lambda: check(paths[:1]), 0)  # noqa: B023
            _, rest = timed(lambda: check(paths[1:]), 0)  # noqa: B023
            first, further = min(first, one), min(further, rest / FURTHER)
        base = base or further
        print(f"{pods:>7} {reading * 1e3:>9.1f} {first * 1e3:>9.2f} {further * 1e3:>11.2f} {further / base:>6.2f}")


def among_many_paths(per_namespace: int = PATHS_PER_NAMESPACE) -> None:
    """Many Ingresses in one snapshot, each with Service, binding, target group and load balancer of its own."""
    print(f"\nMany paths in one snapshot, {per_namespace} in a namespace, {PODS_PER_PATH} pods each; ms for each path")
    print(
        " ".join(f"{title:>7}" for title in ("paths", "read", "join", "check", "fold", "all but", "ratio", "seconds"))
    )
    print(f"{'read':>47}")
    first = 0.0
    for count in (200, 1_000, 2_000):
        world = World.with_nodes(NODES)
        for number in range(count):
            world.application(f"team-{number // per_namespace:03}", f"app-{number:04}", PODS_PER_PATH)
        taken = measure(world)
        each = {name: taken[name] / count * 1e3 for name in ("read", "join", "check", "fold")}
        own = each["join"] + each["check"] + each["fold"]
        first = first or own
        steps = " ".join(f"{value:>7.2f}" for value in each.values())
        print(f"{count:>7} {steps} {own:>7.2f} {own / first:>7.2f} {own * count / 1e3:>7.1f}")
