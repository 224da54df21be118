"""A scan over bent answers of Kubernetes and AWS, CloudWatch among them: it ends in a report, and a frontend whose
targets fail is never healthy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench.faults import plant
from bench.world import MemoryAws, MemoryKube, Shape, World
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.sweep import SweepPlan, stages
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.report import needed_reads
from tests.fuzz.mutation import bent, runs
from tests.fuzz.test_answers import checked

SHAPE = Shape(nodes=3, namespaces=2, services=6, ingresses=4, balanced=2, pods=16, crowded=4, events=6)
READS = needed_reads(CATALOGUE)


class Kube(MemoryKube):
    """A world's cluster, whose objects are bent now and then."""

    def __init__(self, made: World, chance: Any, often: float) -> None:
        super().__init__(made)
        self._chance, self._often = chance, often

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        for raw in super().list(path, params):
            if self._chance.random() > self._often:
                yield raw
            else:
                yield self._chance.choice((None, 5, "x", {}, bent(raw, self._chance), bent(raw, self._chance)))


class Aws(MemoryAws):
    """A world's AWS, whose answers are bent now and then; where targets fail, that stays so."""

    def __init__(self, made: World, chance: Any, often: float) -> None:
        super().__init__(made)
        self._chance, self._often = chance, often

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        answer = super().call(service, operation, result_key, **params)
        if operation == "GetMetricData":
            at = datetime(2026, 11, 23, 11, 58, tzinfo=timezone.utc)
            answer = [{**result, "Timestamps": [at]} for result in answer]
        if self._chance.random() > self._often:
            return answer
        return bent(answer, self._chance, lambda place: place[-1] in ("State", "TargetHealth", "Values"))


def test_bent_answers_of_a_scan(tmp_path: Path) -> None:
    for name, chance in runs(few=8):
        made = World.of(SHAPE)
        failing = {(p.kind, p.namespace, p.name) for p in plant(made, share=0.3)}
        often = chance.choice((0.01, 0.05))
        kube, aws = Kube(made, chance, often), Aws(made, chance, chance.choice((0.0, 0.05, 0.3)))
        plan = SweepPlan("", READS, Context(namespace="team-000"), "2026-11-23T12:00:00Z", aws_rate=1e6)
        try:
            *_, last = stages(kube, lambda _, aws=aws: aws, plan)  # type: ignore[misc]
        except CouldNotRun:
            continue
        report = checked(last.snapshot, tmp_path / "bundle.json", f"FUZZ run {name}")
        healthy = {(s.ref.kind, s.ref.namespace, s.ref.name) for s in report.subjects if s.status.value == "healthy"}
        assert not healthy & failing, f"FUZZ run {name}"
