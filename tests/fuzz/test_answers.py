"""Answers of Kubernetes and AWS that are bent somewhere: a run always ends in a report that `--save` and `--from` keep,
nothing is healthy where something could not be understood, and no check crashes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.fuzz.mutation import bent, runs
from tests.support import cases, cassette, product
from tests.support.cassette_aws import ReplayAws

NAMES = [name for name in cases.names() if not cases.load(name).known_wrong]


class OddKube(cassette.ReplayKube):
    """A world whose lists and objects are bent now and then. `odd`: whether one was."""

    def __init__(self, world: cassette.World, chance: Any, often: float) -> None:
        super().__init__(world)
        self._chance, self._often, self.odd = chance, often, False

    def _bent(self, item: Any) -> Any:
        if item is None or self._chance.random() > self._often:
            return item
        self.odd = True
        return self._chance.choice((None, 5, [], "x", {})) if self._chance.random() < 0.1 else bent(item, self._chance)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self._bent(super().get(path, params))

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        yield from map(self._bent, super().list(path, params))


class OddAws(ReplayAws):
    """AWS with bent answers; with `shapes`, now and then one that is made at random from botocore's own shape."""

    def __init__(self, world: cassette.World, chance: Any, often: float, shapes: bool) -> None:
        super().__init__(world)
        self._chance, self._often, self._shapes = chance, often, shapes

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        answer = super().call(service, operation, result_key, **params)
        if self._chance.random() > self._often:
            return answer
        if self._shapes:
            made = of_shape(model(service).operation_model(operation).output_shape, self._chance)
            return made if result_key is None else made.get(result_key, [])
        changed = bent(answer, self._chance)
        return changed if result_key is None or isinstance(changed, list) else answer


@functools.cache
def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def of_shape(shape: Any, chance: Any, depth: int = 0) -> Any:
    """A value of a botocore shape: any member may be absent, and no text means anything."""
    if shape.type_name == "structure":
        members = shape.members.items()
        return {n: of_shape(s, chance, depth + 1) for n, s in members if depth < 7 and chance.random() < 0.8}
    if shape.type_name == "list":
        return [of_shape(shape.member, chance, depth + 1) for _ in range(chance.randrange(3))]
    if shape.type_name == "map":
        return {"key": of_shape(shape.value, chance, depth + 1)}
    if shape.type_name in ("integer", "long"):
        return chance.choice((-1, 0, 1, 80, 65536))
    if shape.type_name == "boolean":
        return chance.random() < 0.5
    if shape.type_name in ("double", "float"):
        return 0.5
    options = [*(getattr(shape, "enum", None) or ()), "", "odd", "10.0.1.34", "10.0.0.0/8", "vpc-1", "web"]
    return chance.choice(options)


def checked(snapshot: Snapshot, place: Path, what: str) -> Report:
    """The report, after everything that a person may do with the snapshot."""
    report = product.judge(snapshot).report
    for format in ("table", "wide", "json", "yaml", "name"):
        render(report, format, View(100, False, False))
    crashed = [check.trace for check in report.unknown if check.crashed]
    assert not crashed, f"{what}: {crashed[0]}"
    bundle.save(snapshot, place)
    bundle.load(place)
    assert from_json(Snapshot, to_json(snapshot)) == snapshot, what
    if any(fact.left_out for fact in snapshot.facts() if fact.source not in reads.OPTIONAL):
        assert report.status.value != "healthy", what
    return report


def collected(name: str, chance: Any, kube: float, aws: float, shapes: bool = False) -> Snapshot | None:
    """The snapshot of a case over bent answers; None where its subject does not exist."""
    world = cases.load(name).changed_world()
    reader = OddKube(world, chance, kube)
    odd_aws = OddAws(world, chance, aws, shapes)
    try:
        plain = cassette.ReplayKube(world)
        subjects = product.resolved(plain, world.subjects)
        return product.collect(reader, lambda _: odd_aws, subjects, world.namespace, world.clock)
    except CouldNotRun as error:
        assert "not found" not in error.message or not reader.odd, error.message
        return None


@pytest.mark.parametrize(
    ("kube", "aws", "shapes"),
    [(0.02, 0.0, False), (0.0, 0.15, False), (0.0, 0.3, True)],
    ids=["kubernetes", "aws", "shapes"],
)
def test_bent_answers(kube: float, aws: float, shapes: bool, tmp_path: Path) -> None:
    for name, chance in runs(few=12):
        case = chance.choice(NAMES)
        snapshot = collected(case, chance, kube, aws, shapes)
        if snapshot is not None:
            checked(snapshot, tmp_path / "bundle.json", f"FUZZ run {name} of {case}")


def test_one_odd_object_leaves_the_cause_of_the_others() -> None:
    """A pod of another application is odd: the wrong path of this one is told as before, and the pod is counted."""
    world = cases.load("LBD301-path-404").changed_world()
    stranger = copy.deepcopy(
        next(o for o in world.objects if o["kind"] == "Pod" and o["metadata"]["namespace"] == "shop")
    )
    stranger["metadata"].update(name="stranger", ownerReferences=[None])
    world.objects.append(stranger)
    kube, aws = cassette.ReplayKube(world), ReplayAws(world)
    snapshot = product.collect(kube, lambda _: aws, world.subjects, world.namespace, world.clock)
    report = product.judge(snapshot).report
    assert [diagnosis.finding.code for diagnosis in report.diagnoses][:1] == ["LBD301"]
    (part,) = report.coverage.partial
    assert part.read == "core/pods"
    assert part.error.endswith(
        "pods could not be understood (stranger: ownerReferences: a list of objects was expected, not null)"
    )


def test_the_subject_itself_is_never_missing_for_being_odd() -> None:
    world = cassette.load("alb-ip")
    ingress = next(o for o in world.objects if o["kind"] == "Ingress" and o["metadata"]["name"] == "web")
    ingress["spec"]["rules"] = 5
    kube, aws = cassette.ReplayKube(world), ReplayAws(world)
    report = product.judge(product.collect(kube, lambda _: aws, world.subjects, world.namespace, world.clock)).report
    assert report.status.value == "unknown"
    assert [part.read for part in report.coverage.partial] == ["networking.k8s.io/ingresses"]


@pytest.mark.parametrize("kind", ["Pod", "Node", "Service", "EndpointSlice", "IngressClass", "TargetGroupBinding"])
@pytest.mark.parametrize("odd", [None, 1, [], {}, {"metadata": None}, {"metadata": {"name": "x", "labels": "x"}}])
def test_one_odd_item_in_a_list_of_a_healthy_world(kind: str, odd: Any) -> None:
    """Nothing is accused for it, nothing is healthy, and it is counted."""
    world = cassette.load("alb-ip")

    class Kube(cassette.ReplayKube):
        def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
            yield from super().list(path, params)
            if path.endswith(f"/{cassette.plural(kind)}"):
                yield copy.deepcopy(odd)

    aws = ReplayAws(world)
    report = product.judge(
        product.collect(Kube(world), lambda _: aws, world.subjects, world.namespace, world.clock)
    ).report
    assert report.status.value == "unknown"
    assert [d.finding.code for d in report.diagnoses if d.finding.severity.value == "error"] == []
    assert any("could not be understood" in part.error for part in report.coverage.partial)
