"""What a diagnosis reads does not grow with what else is in the namespace, and nothing of what it says is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from threading import Barrier, Event, Lock
from typing import Any

import pytest

from bench.world import MemoryAws, MemoryKube, Raw, World
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.collector import Collector, ReadPlan
from kubectl_lbdoctor.collect.wanted import label_selectors, of_services
from kubectl_lbdoctor.commands.examination import examine
from kubectl_lbdoctor.model import index
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import Severity
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.report import needed_reads
from tests.support.shop import workload

WEB = ObjectRef("Ingress", "shop", "web")
NOW = "2026-11-23T12:00:00Z"


class Kube(MemoryKube):
    """Counts what is given of each list, and what was asked for."""

    def __init__(self, made: World) -> None:
        super().__init__(made)
        self.given: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self._lock = Lock()

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Raw]:
        resource = path.rpartition("/")[2]
        selector = (params or {}).get("labelSelector") or (params or {}).get("fieldSelector") or ""
        with self._lock:
            self.asked.append((resource, selector))
        for raw in super().list(path, params):
            with self._lock:
                self.given[resource] = self.given.get(resource, 0) + 1
            yield raw


def shop(idle: int, services: int = 0) -> World:
    """Ingress web with three pods beside so many idle ones and other Services, with an event for each pod."""
    world = World.with_nodes(4)
    world.application("shop", "web", 3)
    for number in range(services):
        world.application("shop", f"other-{number}", 1, "")
    world.idle_pods("shop", idle)
    for number, pod in enumerate(world.kube["pods"]):
        if pod["metadata"]["namespace"] == "shop":
            world._event(pod, "Scheduled", number)
    return world


def diagnosed(world: World, kube: Kube | None = None, *subjects: ObjectRef) -> Snapshot:
    plan = ReadPlan(subjects or (WEB,), needed_reads(CATALOGUE), Context(), NOW)
    return Collector(kube or Kube(world), lambda _: MemoryAws(world)).collect(plan)


def errors(snapshot: Snapshot) -> dict[str, Any]:
    return {d.finding.code: d.finding for d in examine(snapshot).diagnoses if d.severity is Severity.ERROR}


def test_what_is_read_does_not_grow_with_the_namespace() -> None:
    some, many = Kube(world := shop(150, 120)), Kube(crowd := shop(600, 480))
    assert errors(diagnosed(world, some)) == {} == errors(diagnosed(crowd, many))
    assert len(some.asked) == len(many.asked)
    assert {name: some.given[name] for name in ("pods", "events", "endpointslices")} == {
        name: many.given[name] for name in ("pods", "events", "endpointslices")
    }
    # A hundred and one tell that there are too many, then three pods and one slice are asked for.
    assert (many.given["pods"], many.given["events"], many.given["endpointslices"]) == (101 + 3 + 1, 101, 101 + 1)


class Together(Kube):
    """Answers what is asked of a crowd when all of it has been asked for: pods, slices, and five kinds of events."""

    def __init__(self, made: World) -> None:
        super().__init__(made)
        self.all_asked = Barrier(1 + 1 + 5)
        self.makers_asked = Event()

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Raw]:
        asked = params or {}
        of_crowd = "shop" in path and path.endswith(("/pods", "/endpointslices", "/events"))
        if of_crowd and ("labelSelector" in asked or "fieldSelector" in asked):
            self.all_asked.wait(5)
        return super().list(path, params)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Raw | None:
        if "/replicasets/" in path:
            self.makers_asked.set()
        return super().get(path, params)


class AfterTheMakers(MemoryAws):
    """Answers when the makers of the pods have been asked for."""

    def __init__(self, made: World, kube: Together) -> None:
        super().__init__(made)
        self._kube = kube

    def call(self, *args: Any, **params: Any) -> Any:
        assert self._kube.makers_asked.wait(5)
        return super().call(*args, **params)


def test_what_a_crowd_is_asked_for_is_asked_at_once_and_the_makers_of_pods_while_aws_is() -> None:
    world = shop(300, 120)
    for pod in world.kube["pods"]:
        pod["metadata"]["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-abc", "uid": "1", "controller": True}
        ]
    names = (f"idle-{number}" for number in range(120))
    world.kube["replicasets"] = [workload(name, "shop", 1, {"app": name}) for name in ("web-abc", *names)]
    kube = Together(world)
    plan = ReadPlan((WEB,), needed_reads(CATALOGUE), Context(), NOW)
    snapshot = Collector(kube, lambda _: AfterTheMakers(world, kube)).collect(plan)
    assert errors(snapshot) == {}
    assert [made.meta.name for made in snapshot.namespaces["shop"].workloads.need()] == ["web-abc"]


def test_a_crowded_namespace_gives_the_same_diagnosis() -> None:
    def broken(idle: int) -> World:
        world = shop(idle)
        for targets in world.health.values():
            targets[0]["TargetHealth"] = {
                "State": "unhealthy", "Reason": "Target.ResponseCodeMismatch",
                "Description": "Health checks failed with these codes: [404]",
            }  # fmt: skip
        return world

    alone, crowded = examine(diagnosed(broken(0))), examine(diagnosed(broken(300)))
    assert alone.diagnoses == crowded.diagnoses and alone.subjects == crowded.subjects
    assert alone.unknown == crowded.unknown == ()


def test_small_namespaces_are_read_whole_with_one_list_each() -> None:
    kube = Kube(world := shop(90))
    snapshot = diagnosed(world, kube)
    assert len(snapshot.namespaces["shop"].pods.need()) == 93
    assert [entry for entry in kube.asked if entry[0] == "pods"].count(("pods", "")) == 1
    assert not snapshot.namespaces["shop"].selected_pods


def test_of_many_pods_those_that_the_services_select_are_read() -> None:
    kube = Kube(world := shop(300))
    facts = diagnosed(world, kube).namespaces["shop"]
    assert {pod.meta.labels["app.kubernetes.io/name"] for pod in facts.pods.need()} == {"web"}
    assert facts.selected_pods and len(facts.pods.need()) == 3
    assert ("pods", "app.kubernetes.io/name=web") in kube.asked


def test_nobody_takes_a_part_of_the_pods_for_all_of_them() -> None:
    with pytest.raises(Unknown, match="only those that the Services select"):
        index.all_pods(diagnosed(shop(300)), "shop")


def unmatched(world: World) -> World:
    service = next(raw for raw in world.kube["services"] if raw["metadata"]["name"] == "web")
    service["spec"]["selector"] = {"app.kubernetes.io/name": "webb"}
    world.kube["endpointslices"][0]["endpoints"] = []
    for arn in world.health:
        world.health[arn] = []
    return world


def test_a_selector_that_matches_nothing_is_compared_with_all_pods() -> None:
    finding = errors(diagnosed(unmatched(shop(300))))["LBD201"]
    assert finding.params["nearest_labels"] == ("app.kubernetes.io/name=web",)
    assert finding == errors(diagnosed(unmatched(shop(0))))["LBD201"]


def test_a_target_of_unknown_address_is_looked_for_among_all_pods() -> None:
    world = shop(300)
    stranger = world.kube["pods"][-1]["status"]["podIP"]
    (targets,) = world.health.values()
    targets.append({**targets[0], "Target": {**targets[0]["Target"], "Id": stranger}})
    snapshot = diagnosed(world)
    assert not snapshot.namespaces["shop"].selected_pods
    assert len(snapshot.namespaces["shop"].pods.need()) == 303


def test_events_of_pods_in_trouble_are_read_by_their_names() -> None:
    world = shop(300)
    pod = world.kube["pods"][1]
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "web"
    pod["status"]["containerStatuses"][0]["restartCount"] = 3
    kube = Kube(world)
    facts = diagnosed(world, kube).namespaces["shop"]
    name = pod["metadata"]["name"]
    assert ("events", f"involvedObject.kind=Pod,involvedObject.name={name},reason!=Unhealthy") in kube.asked
    assert [event.name for event in facts.events.need()] == [name]


def test_a_ready_pod_whose_readiness_probe_runs_out_of_time_is_heard() -> None:
    """Its check by the load balancer times out for the same reason (LBD309)."""
    words = 'Readiness probe failed: Get "http://10.0.0.1:8080/": context deadline exceeded'
    for idle in (3, 300):
        world = shop(idle)
        for pod in [p for p in world.kube["pods"] if p["metadata"]["labels"].get("app.kubernetes.io/name") == "web"]:
            world._event(pod, "Unhealthy", len(world.kube["events"]))
            world.kube["events"][-1] |= {"type": "Warning", "message": words}
        for target in (target for targets in world.health.values() for target in targets):
            target["TargetHealth"] = {"State": "unhealthy", "Reason": "Target.Timeout"}
        snapshot = diagnosed(world)
        assert [e.message for e in snapshot.namespaces["shop"].events.need() if e.reason == "Unhealthy"] == [words] * 3
        assert list(errors(snapshot)) == ["LBD309"]


def test_successes_and_complaints_about_what_is_reconciled_are_read() -> None:
    world = shop(300)
    for kind, kind_of, reason in (
        ("Ingress", "Normal", "SuccessfullyReconciled"),
        ("TargetGroupBinding", "Normal", "SuccessfullyReconciled"),
        ("ReplicaSet", "Warning", "FailedCreate"),
        ("Job", "Normal", "Completed"),
    ):
        world._event(world.kube["pods"][1], reason, len(world.kube["events"]))
        world.kube["events"][-1] |= {"type": kind_of}
        world.kube["events"][-1]["involvedObject"] = {"kind": kind, "name": "web", "namespace": "shop"}
    facts = diagnosed(world).namespaces["shop"]
    assert sorted((event.kind, event.type) for event in facts.events.need()) == [
        ("Ingress", "Normal"), ("ReplicaSet", "Warning"), ("TargetGroupBinding", "Normal")
    ]  # fmt: skip


def test_several_subjects_are_asked_for_with_one_selector() -> None:
    world = shop(300)
    world.application("shop", "api", 2)
    kube = Kube(world)
    snapshot = diagnosed(world, kube, WEB, replace(WEB, name="api"))
    assert len(snapshot.namespaces["shop"].pods.need()) == 5
    assert ("pods", "app.kubernetes.io/name in (web,api)") in kube.asked
    assert ("endpointslices", "kubernetes.io/service-name in (api,web)") not in kube.asked, "these are few"
    assert errors(snapshot) == {}


def test_selectors_with_the_same_keys_become_one() -> None:
    given = [{"app": "a"}, {"app": "b", "tier": "x"}, {"app": "c"}, {"tier": "y", "app": "d"}, {"app": "a"}]
    assert list(label_selectors(given)) == ["app in (a,c)", "app in (b,d),tier in (x,y)"]
    assert list(label_selectors([{"app": "a"}])) == ["app=a"]
    assert list(label_selectors([])) == []


def test_a_selector_never_grows_too_long_for_a_url() -> None:
    parts = list(of_services(f"service-{number:03}" for number in range(120)))
    assert [part.count("service-0") + part.count("service-1") for part in parts] == [50, 50, 20]
    assert max(map(len, parts)) < 1000
