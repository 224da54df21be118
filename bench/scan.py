"""A scan of a whole cluster, and one diagnosis in it, beside kubectl, on a real API server: ratios of one run.

    python -m bench scan [--scales 0.01,0.1,1] [--runs 3]

Every process is measured as a whole: seconds that passed, processor time, and the most memory that it had. AWS is the
front of `bench.aws_server`, which takes 80 ms for an answer and refuses more requests than AWS takes; 3 % of the
frontends are broken (`bench.faults`), and all of them have to be named.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import server
from bench.allowance import Account
from bench.faults import Planted, plant
from bench.start import HERE, PROGRAM, Cost, run
from bench.world import Shape, World
from tests.lab import build

KINDS = "ingresses,services,endpointslices,pods,nodes,targetgroupbindings"
"""What kubectl gets beside a scan that does not ask AWS."""

KUBECTL, WITHOUT_AWS, WHOLE = "kubectl get, all kinds", "scan -A --no-aws", "scan -A"
FEW, MANY = "ingress NAME, few pods beside it", "ingress NAME, many pods beside it"

SETTLED = 130.0
"""Seconds after which CloudWatch has counted a whole minute since the cluster was filled."""

_MEBIBYTE = 2**20


@dataclass
class Measured:
    """What was measured in one cluster: the costs of several runs by name, and sentences about the whole scan."""

    scale: float
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def middle(self, name: str, figure: str) -> float:
        """The median of a figure of `Cost`, in seconds."""
        return statistics.median(getattr(cost, figure) for cost in self.costs[name])


def compare(scales: Sequence[float], runs: int) -> None:
    """Measure in a cluster of each scale, and print the tables."""
    measured = [_measured(scale, runs) for scale in scales]
    load = os.getloadavg()[0]
    print(f"\nMedians of {runs} runs; {os.cpu_count()} processors, load {load:.1f}, Python {sys.version.split()[0]}")
    print(f"{'scale':>6} {'wall':>9} {'cpu':>9} {'memory':>9}")
    for found in measured:
        for name, costs in found.costs.items():
            memory = max(cost.memory for cost in costs) / _MEBIBYTE
            wall, cpu = found.middle(name, "wall"), found.middle(name, "cpu")
            print(f"{found.scale:>6g} {wall:>7.2f} s {cpu:>7.2f} s {memory:>5.0f} MiB  {name}")
    print("\nRatios")
    for line in _ratios(measured):
        print(line)
    for found in measured:
        print(f"\nscan -A at scale {found.scale:g}")
        for line in found.said:
            print(f"  {line}")


def _measured(scale: float, runs: int) -> Measured:
    world = World.of(Shape().scaled(scale))
    planted = plant(world)
    account, found = Account(), Measured(scale)
    with server.running(world, account) as variables, tempfile.TemporaryDirectory() as folder:
        written = time.monotonic()
        env = {**os.environ, **variables, "PYTHONPATH": str(HERE)}
        commands = {
            KUBECTL: [str(build.kubernetes("kubectl")), "get", KINDS, "-A", "-o", "json"],
            WITHOUT_AWS: _lbdoctor("scan", "-A", "--no-aws", "-o", "json"),
            FEW: _lbdoctor(*_one_of(world, planted, "team-001")),
            MANY: _lbdoctor(*_one_of(world, planted, "team-000")),
        }
        for _ in range(runs):
            for name, command in commands.items():
                found.costs.setdefault(name, []).append(run(command, env)[1])
        output = Path(folder) / "output"
        # Counts from before the bindings were made are none of theirs.
        time.sleep(max(5.0, SETTLED - (time.monotonic() - written)))
        account.seen.clear()
        _, cost = run(_lbdoctor("scan", "-A", "-o", "json"), env, output)
        found.costs[WHOLE] = [cost]
        found.said += _judged(json.loads(output.read_text()), planted)
        found.said.append(_pace(account))
        time.sleep(5)
        run([sys.executable, "-m", "bench.staged"], env, output, cwd=HERE)
        found.said += _staged(output.read_text())
    return found


def _lbdoctor(*words: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *words]


def _one_of(world: World, planted: Sequence[Planted], namespace: str) -> tuple[str, ...]:
    """The words that ask about a healthy Ingress of a namespace."""
    broken = {(fault.namespace, fault.name) for fault in planted}
    names = [name for kind, home, name in world.subjects if (kind, home) == ("Ingress", namespace)]
    name = next(name for name in names if (namespace, name) not in broken)
    return ("ingress", name, "-n", namespace)


def _ratios(measured: Sequence[Measured]) -> Iterator[str]:
    """Of the time that passed, and of processor time: on a busy machine the figure that tells more."""
    first = measured[0]
    for found in measured:
        yield _ratio(found, WITHOUT_AWS, found, KUBECTL)
        yield _ratio(found, MANY, found, FEW)
        yield _ratio(found, MANY, first, MANY)
    for small, large in pairwise(measured):
        yield _ratio(large, WITHOUT_AWS, small, WITHOUT_AWS)


def _ratio(one: Measured, name: str, other: Measured, beside: str) -> str:
    wall, cpu = (one.middle(name, figure) / other.middle(beside, figure) for figure in ("wall", "cpu"))
    return f"{wall:>7.2f} x, cpu {cpu:>6.2f} x: {name}, scale {one.scale:g}; beside {beside}, scale {other.scale:g}"


def _judged(document: Mapping[str, Any], planted: Sequence[Planted]) -> Iterator[str]:
    """Whether the scan has named every fault, and nothing else."""
    named = {
        (ref["kind"], ref["namespace"], ref["name"], found["code"])
        for found in document["diagnoses"]
        if found["severity"] == "error"
        for ref in found["affects"]
    }
    wanted = {(fault.kind, fault.namespace, fault.name, fault.code) for fault in planted}
    yield f"{len(wanted & named)} of {len(wanted)} planted faults named, {len(named - wanted)} errors beside them"
    yield from (f"missed: {fault}" for fault in sorted(wanted - named))
    yield from (f"not planted: {fault}" for fault in sorted(named - wanted))
    yield f"frontends: {document['counts']}; complete: {document['complete']}"


def _pace(account: Account) -> str:
    """How fast Elastic Load Balancing was asked."""
    seen = [(at, taken) for at, service, _, taken in account.seen if service == "elbv2"]
    span = seen[-1][0] - seen[0][0] if len(seen) > 1 else 1.0
    refused = sum(not taken for _, taken in seen)
    pace, others = len(seen) / span, len(account.seen) - len(seen)
    return f"{len(seen)} calls of ELBv2 in {span:.0f} s ({pace:.1f} a second), {refused} refused; {others} others"


def _staged(output: str) -> Iterator[str]:
    """When which stage came."""
    stages = [json.loads(line) for line in output.splitlines()]
    for number, stage in enumerate(stages):
        after, cpu = stage["shown"] - stages[0]["came"], stage["cpu"] - stages[0]["read"]
        known = f"{stage['known']} of {stage['groups']} groups known, {stage['asked']} asked"
        yield f"stage {number + 1} came after {stage['came']:.1f} s: {known}, {stage['faults']} root causes"
        yield f"    shown {after:.1f} s after the reads of Kubernetes, with {cpu:.1f} s of processor time"
