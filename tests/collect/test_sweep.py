"""A scan reads each list once, keeps what serves a frontend, and asks AWS one by one only for what may be unhealthy."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event, Lock, Thread
from time import sleep
from typing import Any

import pytest

from bench.faults import plant
from bench.world import MemoryAws, MemoryKube, Shape, World
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.collect.sweep import Stage, SweepPlan, stages
from kubectl_lbdoctor.commands.examination import examine
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus, NoCredentials, ReadDenied, ReadFailed, Unreachable
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.model.scan import Reach, ScanReport
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.report import needed_reads
from kubectl_lbdoctor.scan_report import scan_report

SHAPE = Shape(nodes=4, namespaces=2, services=8, ingresses=4, balanced=2, pods=30, crowded=6, events=40)
READS = needed_reads(CATALOGUE)
PODS, SERVICES = "/api/v1/pods", "/api/v1/services"
INGRESSES = "/apis/networking.k8s.io/v1/ingresses"
BINDINGS = "/apis/elbv2.k8s.aws/v1beta1/targetgroupbindings"


def world() -> World:
    return World.of(SHAPE)


class Kube(MemoryKube):
    """A world's cluster. denied: paths that may not be listed. broken: paths that fail."""

    def __init__(
        self, made: World, denied: tuple[str, ...] = (), broken: Mapping[str, Exception] | None = None
    ) -> None:
        super().__init__(made)
        self.denied, self.broken = denied, broken or {}
        self.paths: Counter[str] = Counter()
        self._lock = Lock()

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        with self._lock:
            self.paths[path] += 1
        if path in self.broken:
            raise self.broken[path]
        if path in self.denied:
            raise ReadDenied(f"may not list {path}", Permission(("list",), url=path))
        # The API server gives copies: whoever changes one changes nothing here.
        return super().list(path, params)


class Aws(MemoryAws):
    """A world's AWS. denied: operations that may not be called. minutes: how old its counts are."""

    def __init__(self, made: World, denied: tuple[str, ...] = (), minutes: float = 1) -> None:
        super().__init__(made)
        self.denied, self.minutes = denied, minutes
        self.calls: Counter[str] = Counter()
        self.paced: list[str] = []
        self._lock = Lock()

    def keep_pace(self, service: str, pace: Pace) -> None:
        self.paced.append(service)

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        with self._lock:
            self.calls[operation] += 1
        if operation in self.denied:
            raise ReadDenied(f"may not {operation}", Permission(action=f"x:{operation}"))
        found = super().call(service, operation, result_key, **params)
        if operation == "GetMetricData":
            at = datetime.now(timezone.utc) - timedelta(minutes=self.minutes)
            return [{**result, "Timestamps": [at]} for result in found]
        return found


def plan(**values: Any) -> SweepPlan:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = {"namespace": "", "reads": READS, "context": Context(namespace="team-000"), "taken_at": now, **values}
    return SweepPlan(**given)


def scan(kube: Kube, aws: Aws | None = None, **values: Any) -> list[Stage]:
    def opened(node_region: Any) -> Any:
        if aws is None:
            raise NoCredentials("AWS was not asked: --no-aws")
        return aws

    return list(stages(kube, opened, plan(**values)))


def statuses(stage: Stage) -> dict[str, str]:
    return {s.ref.name: s.status.value for s in examine(stage.snapshot).subjects}


def test_a_healthy_cluster_needs_three_kinds_of_calls() -> None:
    made = world()
    aws = Aws(made)
    first, second, last = scan(Kube(made), aws)
    assert (first.done, second.done, last.done) == (False, False, True)
    assert aws.calls == {"DescribeTargetGroups": 1, "DescribeLoadBalancers": 1, "GetMetricData": 1}
    assert set(statuses(first).values()) == {"unknown"}
    assert set(statuses(second).values()) == {"healthy"} == set(statuses(last).values())
    assert last.progress == Reach(objects=6, groups=6, known=6, asked=0, rate=5.0)
    assert aws.paced == ["elbv2"]


def test_what_aws_tells_at_once_is_the_first_screen() -> None:
    made = world()
    first, last = scan(Kube(made), Aws(made), patience=10.0)
    assert set(statuses(first).values()) == {"healthy"} and not first.done and last.done


def test_a_first_screen_does_not_wait_for_a_slow_aws() -> None:
    made, slow = world(), Event()

    class Slow(Aws):
        def call(self, *args: Any, **params: Any) -> Any:
            assert slow.wait(10)
            return super().call(*args, **params)

    found = stages(Kube(made), lambda _: Slow(made), plan(patience=0.05))
    assert set(statuses(next(found)).values()) == {"unknown"}
    slow.set()
    assert set(statuses(next(found)).values()) == {"healthy"}
    found.close()


def test_every_list_is_made_once_in_all_namespaces() -> None:
    made = world()
    kube = Kube(made)
    scan(kube, Aws(made))
    lists = {path: number for path, number in kube.paths.items() if "kube-system" not in path}
    # The controllers are looked for by their label, besides.
    assert {path: number for path, number in lists.items() if number > 1} == {"/apis/apps/v1/deployments": 2}
    assert not any("/namespaces/" in path for path in lists)


def test_faults_are_named_and_only_they_are_asked_for() -> None:
    made = World.of(
        Shape(nodes=4, namespaces=4, services=40, ingresses=20, balanced=10, pods=130, crowded=10, events=9)
    )
    planted = plant(made, share=0.1)
    aws = Aws(made)
    *_, last = scan(Kube(made), aws)
    report = examine(last.snapshot)
    named = {(ref.kind, ref.namespace, ref.name, d.finding.code) for d in report.diagnoses for ref in d.affects}
    assert named == {(p.kind, p.namespace, p.name, p.code) for p in planted}
    assert len(planted) == 3
    assert aws.calls["DescribeTargetHealth"] == 3
    assert aws.calls["DescribeListeners"] == 3
    assert report.unknown == () and report.coverage.complete
    assert Counter(statuses(last).values()) == {"healthy": 27, "unhealthy": 3}


@pytest.mark.parametrize(
    ("aws", "settings"),
    [({"denied": ("GetMetricData",)}, {}), ({"minutes": 7}, {}), ({}, {"counts": False})],
    ids=["denied", "old", "not wanted"],
)
def test_without_counts_of_now_every_group_is_asked(aws: Any, settings: Any) -> None:
    made = world()
    reader = Aws(made, **aws)
    *_, last = scan(Kube(made), reader, **settings)
    assert reader.calls["DescribeTargetHealth"] == 6
    assert set(statuses(last).values()) == {"healthy"}
    assert (last.progress.known, last.progress.asked) == (6, 6)


def test_a_group_whose_endpoints_have_just_changed_is_asked() -> None:
    """CloudWatch has counted those that were there before."""
    made = world()
    wrote = {"manager": "kube-controller-manager", "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}
    made.kube["endpointslices"][0]["metadata"]["managedFields"] = [{**wrote, "time": "2026-01-01T00:00:00Z"}, wrote]
    aws = Aws(made)
    *_, last = scan(Kube(made), aws)
    assert aws.calls["DescribeTargetHealth"] == 1
    assert set(statuses(last).values()) == {"healthy"}


def test_without_a_controller_every_group_is_asked() -> None:
    """Whether its absence is an error or only a warning rests on which targets are registered."""
    made = world()
    made.kube["deployments"] = [d for d in made.kube["deployments"] if d["metadata"]["namespace"] != "kube-system"]
    aws = Aws(made)
    *_, last = scan(Kube(made), aws)
    assert aws.calls["DescribeTargetHealth"] == 6
    assert set(statuses(last).values()) == {"healthy"}
    assert {(d.finding.code, d.severity.value) for d in examine(last.snapshot).diagnoses} == {("LBD129", "warning")}


def test_health_that_may_not_be_read_is_asked_for_once_and_is_unknown() -> None:
    made = World.of(
        Shape(nodes=4, namespaces=4, services=60, ingresses=40, balanced=20, pods=130, crowded=10, events=9)
    )
    aws = Aws(made, denied=("DescribeTargetHealth", "GetMetricData"))
    *_, last = scan(Kube(made), aws)
    assert aws.calls["DescribeTargetHealth"] <= 20, "those that were on their way"
    assert set(statuses(last).values()) == {"unknown"}
    report = examine(last.snapshot)
    assert {str(d.permission) for d in report.coverage.denied} == {"x:DescribeTargetHealth"}


def test_without_aws_there_is_one_stage_that_says_why() -> None:
    (only,) = scan(Kube(world()))
    assert only.done and only.snapshot.aws.reason == "AWS was not asked: --no-aws"
    assert set(statuses(only).values()) == {"unknown"}


def test_what_a_namespace_denies_is_named_and_spoils_no_other() -> None:
    made = world()
    kube = Kube(made, denied=(PODS, "/api/v1/namespaces/team-001/pods"))
    *_, last = scan(kube, Aws(made))
    found = {s.ref: s.status.value for s in examine(last.snapshot).subjects}
    assert {status for ref, status in found.items() if ref.namespace == "team-000"} == {"healthy"}
    assert {status for ref, status in found.items() if ref.namespace == "team-001"} == {"unknown"}
    denied = examine(last.snapshot).coverage.denied
    assert [str(d.permission) for d in denied] == ["list /api/v1/namespaces/team-001/pods"]


def test_a_namespace_whose_services_may_not_be_listed_is_part_of_what_is_not_known() -> None:
    made = world()
    kube = Kube(made, denied=(SERVICES, "/api/v1/namespaces/team-001/services"))
    *_, last = scan(kube, Aws(made))
    assert not last.snapshot.namespaces["team-001"].services.is_known
    assert {s for r, s in statuses(last).items() if ObjectRef("Ingress", "team-000", r) in last.snapshot.subjects} == {
        "healthy"
    }
    assert not examine(last.snapshot).coverage.complete


def test_who_may_list_no_namespaces_scans_the_context_s_and_says_so() -> None:
    made = world()
    everywhere = tuple(
        f"{prefix}/{plural}"
        for prefix, plurals in {
            "/api/v1": ("pods", "services", "events", "namespaces"),
            "/apis/apps/v1": ("deployments", "statefulsets", "daemonsets", "replicasets"),
            "/apis/discovery.k8s.io/v1": ("endpointslices",),
            "/apis/networking.k8s.io/v1": ("ingresses", "networkpolicies"),
            "/apis/elbv2.k8s.aws/v1beta1": ("targetgroupbindings",),
        }.items()
        for plural in plurals
    )
    *_, last = scan(Kube(made, denied=everywhere), Aws(made))
    assert {ref.namespace for ref in last.snapshot.subjects} == {"team-000"}
    assert str(last.snapshot.others.permission) == "list /api/v1/namespaces"
    assert not examine(last.snapshot).coverage.complete


MANY = Shape(nodes=4, namespaces=12, services=24, ingresses=12, balanced=6, pods=60, crowded=6, events=40)
OF_ALL = tuple(
    f"{prefix}/{plural}"
    for prefix, plurals in {
        "/api/v1": ("pods", "services", "events"),
        "/apis/apps/v1": ("deployments", "statefulsets", "daemonsets", "replicasets"),
        "/apis/discovery.k8s.io/v1": ("endpointslices",),
        "/apis/networking.k8s.io/v1": ("ingresses", "networkpolicies"),
        "/apis/elbv2.k8s.aws/v1beta1": ("targetgroupbindings",),
    }.items()
    for plural in plurals
)


class ByNamespaceOnly(Kube):
    """Denies every list of all namespaces, that of Ingresses last, and what is left out of `allowed`."""

    def __init__(self, made: World, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(made, denied=OF_ALL)
        self.allowed = allowed

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        if path == INGRESSES:
            sleep(0.3)
        home = path.partition("/namespaces/")[2].partition("/")[0]
        if self.allowed and home and home not in self.allowed:
            with self._lock:
                self.paths[path] += 1
            raise ReadDenied(f"may not list {path}", Permission(("list",), url=path))
        return super().list(path, params)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return {} if path == "/apis/elbv2.k8s.aws" else super().get(path, params)


def ended(kube: Kube, made: World) -> Stage:
    """The last stage of a scan, which has to come."""
    found: list[Stage] = []
    scanning = Thread(target=lambda: found.extend(scan(kube, Aws(made))), daemon=True)
    scanning.start()
    scanning.join(30)
    assert found, "the scan does not end"
    return found[-1]


def test_many_namespaces_that_are_asked_one_by_one_do_not_wait_for_each_other() -> None:
    """Lists of pods wait until it is known which of them serve a frontend; those that tell it must get their turn."""
    made = World.of(MANY)
    last = ended(ByNamespaceOnly(made), made)
    assert len(last.snapshot.subjects) == 18
    assert {status for name, status in statuses(last).items()} == {"unknown"}
    assert {str(d.permission) for d in examine(last.snapshot).coverage.denied} == {"list /apis/apps/v1/deployments"}


def test_where_no_frontend_may_be_seen_nothing_that_would_serve_one_is_asked_for() -> None:
    made = World.of(MANY)
    kube = ByNamespaceOnly(made, allowed=("team-003", "team-004"))
    last = ended(kube, made)
    assert {ref.namespace for ref in last.snapshot.subjects} == {"team-003", "team-004"}
    asked = {path.rpartition("/")[2] for path in kube.paths if "/namespaces/team-005/" in path}
    assert asked == {"ingresses", "services", "targetgroupbindings"}
    denied = {str(d.permission) for d in examine(last.snapshot).coverage.denied if "/team-005/" in str(d.permission)}
    assert {permission.rpartition("/")[2] for permission in denied} == asked


def test_one_namespace_alone() -> None:
    made = world()
    kube = Kube(made)
    *_, last = scan(kube, Aws(made), namespace="team-001")
    assert {ref.namespace for ref in last.snapshot.subjects} == {"team-001"}
    assert set(last.snapshot.namespaces) == {"team-001"}
    assert PODS not in kube.paths and kube.paths["/api/v1/namespaces/team-001/pods"] == 1
    assert set(statuses(last).values()) == {"healthy"}


def test_labels_choose_subjects_and_not_what_serves_them() -> None:
    made = world()
    for raw in made.kube["ingresses"][:2]:
        raw["metadata"]["labels"] = {"tier": "edge"}
    *_, last = scan(Kube(made), Aws(made), labels="tier in (edge),!team")
    assert [ref.name for ref in last.snapshot.subjects] == ["app-0000", "app-0001"]
    assert set(statuses(last).values()) == {"healthy"}
    with pytest.raises(ValueError, match="no requirement"):
        scan(Kube(made), labels="tier=a=b")


def test_objects_of_other_controllers_are_left_out_and_named() -> None:
    made = world()
    made.kube["ingresses"][0]["spec"]["ingressClassName"] = "nginx"
    made.kube["ingressclasses"].append({"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}})
    *_, last = scan(Kube(made), Aws(made))
    assert last.foreign == (ObjectRef("Ingress", "team-000", "app-0000"),)
    assert len(last.snapshot.subjects) == 5


def test_of_pods_that_serve_nothing_only_the_outline_is_kept() -> None:
    made = world()
    (first, *_) = scan(Kube(made), Aws(made))
    pods = {p.meta.name: p for p in first.snapshot.namespaces["team-000"].pods.need()}
    assert len(pods) == sum(raw["metadata"]["namespace"] == "team-000" for raw in made.kube["pods"])
    assert {bool(p.containers) for name, p in pods.items() if name.startswith("idle-")} == {False}
    assert {bool(p.containers) for name, p in pods.items() if name.startswith("app-0000")} == {True}
    idle = next(p for name, p in pods.items() if name.startswith("idle-"))
    assert idle.ip and idle.node and idle.meta.labels and idle.is_ready


def test_a_selector_that_matches_nothing_still_finds_what_was_meant() -> None:
    made = world()
    service = made.kube["services"][0]
    service["spec"]["selector"] = {"app.kubernetes.io/name": "app-0000-renamed"}
    made.kube["endpointslices"][0]["endpoints"] = []
    made.health[made.elb["TargetGroups"][0]["TargetGroupArn"]] = []
    *_, last = scan(Kube(made), Aws(made))
    (found,) = [d for d in examine(last.snapshot).diagnoses if d.severity.value == "error"]
    assert found.finding.code == "LBD201"
    assert "app.kubernetes.io/name=app-0000" in found.finding.params["nearest_labels"]


def test_pods_that_hold_ports_of_their_nodes_are_kept_whole() -> None:
    made = world()
    idle = [raw for raw in made.kube["pods"] if raw["metadata"]["name"].startswith("idle-")]
    idle[0]["spec"]["hostNetwork"] = True
    idle[1]["spec"]["containers"][0]["ports"][0]["hostPort"] = 9100
    (first, *_) = scan(Kube(made), Aws(made))
    whole = {p.meta.name for p in first.snapshot.namespaces["team-000"].pods.need() if p.containers}
    assert {raw["metadata"]["name"] for raw in idle[:2]} <= whole


def test_events_of_pods_that_serve_nothing_are_not_kept() -> None:
    (first, *_) = scan(Kube(world()), Aws(world()))
    about = {event.name[:4] for facts in first.snapshot.namespaces.values() for event in facts.events.need()}
    assert about == {"app-"}


def test_an_api_server_that_does_not_answer_ends_the_scan() -> None:
    with pytest.raises(CouldNotRun):
        scan(Kube(world(), broken={SERVICES: Unreachable("refused")}))


def test_a_list_that_fails_leaves_everything_that_needs_it_unknown() -> None:
    made = world()
    *_, last = scan(Kube(made, broken={PODS: ReadFailed("could not list pods: timed out")}), Aws(made))
    assert set(statuses(last).values()) == {"unknown"}
    assert [f.read for f in examine(last.snapshot).coverage.failed] == ["core/pods"]


def whole_scan(stage: Stage) -> ScanReport:
    return scan_report(stage.snapshot, examine(stage.snapshot), stage.foreign, stage.progress)


@pytest.mark.parametrize("path", [INGRESSES, SERVICES, BINDINGS])
def test_where_a_list_of_frontends_fails_finding_none_is_not_health(path: str) -> None:
    made = World.with_nodes(2)
    *_, last = scan(Kube(made, broken={path: ReadFailed("could not list: timed out")}), Aws(made))
    found = whole_scan(last)
    assert (found.rows, found.status, found.exit_status) == ((), Status.UNKNOWN, ExitStatus.UNKNOWN)
    assert [f.read.rpartition("/")[2] for f in found.report.coverage.failed] == [path.rpartition("/")[2]]


@pytest.mark.parametrize("metadata", [{"name": "x", "namespace": "elsewhere"}, {"name": "x"}])
@pytest.mark.parametrize("beside", [False, True])
def test_an_ingress_that_cannot_be_understood_is_not_health(metadata: dict[str, str], beside: bool) -> None:
    """Neither in a namespace of which nothing else is known, nor where its namespace cannot be told."""
    made = world() if beside else World.with_nodes(2)
    made.kube["ingresses"].append({"metadata": metadata, "spec": {"rules": "none"}})
    *_, last = scan(Kube(made), Aws(made))
    found = whole_scan(last)
    assert (len(found.rows), found.status, found.exit_status) == (6 * beside, Status.UNKNOWN, ExitStatus.UNKNOWN)
    assert {f.read for f in found.report.coverage.partial} == {"networking.k8s.io/ingresses"}


def test_a_pod_that_cannot_be_understood_leaves_only_its_namespace_in_doubt() -> None:
    made = world()
    broken = next(raw for raw in made.kube["pods"] if raw["metadata"]["namespace"] == "team-001")
    broken["spec"] = copy.deepcopy(broken["spec"]) | {"containers": []}
    *_, last = scan(Kube(made), Aws(made))
    gaps = {name: facts.pods.left_out for name, facts in last.snapshot.namespaces.items()}
    assert gaps == {"team-000": (), "team-001": (broken["metadata"]["name"],)}


def test_whoever_stops_early_leaves_nothing_running() -> None:
    made = world()
    aws = Aws(made, denied=("GetMetricData",))
    iterator = stages(Kube(made), lambda _: aws, plan())
    first = next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert len(first.snapshot.subjects) == 6
    assert next(iterator, None) is None


def test_progress_is_told_while_groups_are_asked() -> None:
    made = world()
    told: list[Reach] = []
    list(stages(Kube(made), lambda _: Aws(made, denied=("GetMetricData",)), plan(), told.append))
    assert [p.left for p in told][-1] == 0 and max(p.left for p in told) == 6
    assert told[-1].known == told[-1].groups == 6


def test_nothing_there_is_a_scan_without_subjects() -> None:
    made = World.with_nodes(2)
    *_, last = scan(Kube(made), Aws(made))
    assert last.done and last.snapshot.subjects == ()


def moved_away(made: World) -> ObjectRef:
    """The first Ingress of team-000, whose Service is in team-001 instead."""
    ingress = next(raw for raw in made.kube["ingresses"] if raw["metadata"]["namespace"] == "team-000")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    name = path["backend"]["service"]["name"]
    service = next(raw for raw in made.kube["services"] if raw["metadata"]["name"] == name)
    service["metadata"]["namespace"] = "team-001"
    return ObjectRef("Ingress", "team-000", ingress["metadata"]["name"])


@pytest.mark.parametrize(("namespace", "more"), [("", 0), ("team-000", 1)])
def test_a_missing_backend_is_found_in_another_namespace(namespace: str, more: int) -> None:
    as_it_is, made = Kube(world()), world()
    scan(as_it_is, Aws(world()), namespace=namespace)
    subject, kube = moved_away(made), Kube(made)
    last = scan(kube, Aws(made), namespace=namespace)[-1]
    (found,) = [d.finding for d in examine(last.snapshot).diagnoses if d.finding.code == "LBD106"]
    assert found.object == subject and found.params["elsewhere"] == ("team-001",)
    assert sum(kube.paths.values()) == sum(as_it_is.paths.values()) + more


@pytest.mark.parametrize("behind", [0, 10])
def test_a_clock_that_is_behind_makes_no_old_count_one_of_now(behind: int) -> None:
    """By a clock that is ten minutes behind, a count of ten minutes ago is one of now."""
    made, now = world(), plan().taken_at
    ours = (datetime.now(timezone.utc) - timedelta(minutes=behind)).strftime("%Y-%m-%dT%H:%M:%SZ")
    aws = Aws(made, minutes=10)
    last = scan(Kube(made), aws, taken_at=ours, by_server=lambda _: now)[-1]
    assert aws.calls["DescribeTargetHealth"] == 6 and last.snapshot.taken_at == now


def test_a_clock_that_is_ahead_spoils_no_count() -> None:
    made, now = world(), plan().taken_at
    aws = Aws(made)
    scan(Kube(made), aws, taken_at="2100-01-01T00:00:00Z", by_server=lambda _: now)
    assert "DescribeTargetHealth" not in aws.calls


@pytest.mark.parametrize("odd", ["team-1::", "team/x", "Team", "-n", ""])
def test_an_object_in_a_namespace_that_none_can_be(odd: str, tmp_path: Path) -> None:
    """It may be of any namespace; no namespace of that name is read, and the bundle can be read again."""
    made = world()
    made.kube["services"].append({**copy.deepcopy(made.kube["services"][0])})
    made.kube["services"][-1]["metadata"]["namespace"] = odd
    *_, last = scan(Kube(made), Aws(made))
    assert set(last.snapshot.namespaces) == {"team-000", "team-001"}
    assert "healthy" not in statuses(last).values()
    bundle.save(last.snapshot, tmp_path / "bundle.json")
    assert bundle.load(tmp_path / "bundle.json").subjects == last.snapshot.subjects


def test_a_gateway_that_cannot_be_understood_is_a_gap_though_there_is_no_other() -> None:
    made = world()
    made.kube["gateways"] = [{"metadata": {"name": "edge", "namespace": "team-000"}, "spec": {"listeners": "none"}}]
    gateways = scan(Kube(made), Aws(made))[-1].snapshot.gateway_api.gateways
    assert gateways.left_out == ("edge",) and "could not be understood" in gateways.reason


class Tagged(Aws):
    """A world's AWS with the controller's tags on its target groups."""

    def __init__(self, made: World, denied: tuple[str, ...] = (), minutes: float = 1) -> None:
        super().__init__(made, denied, minutes)
        self.tags: dict[str, dict[str, str]] = {}
        for raw in made.kube["targetgroupbindings"]:
            namespace, name = raw["metadata"]["namespace"], raw["spec"]["serviceRef"]["name"]
            of_ingress = "ingress.k8s.aws/stack-name" in raw["metadata"]["labels"]
            kind, resource = ("ingress", f"{name}-{name}") if of_ingress else ("service", name)
            self.tags[raw["spec"]["targetGroupARN"]] = {f"{kind}.k8s.aws/resource": f"{namespace}/{resource}:80"}

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        found = super().call(service, operation, result_key, **params)
        if operation != "DescribeTags":
            return found
        tags = {arn: self.tags.get(arn, {}) for arn in params["ResourceArns"]}
        return [
            {"ResourceArn": arn, "Tags": [{"Key": key, "Value": value} for key, value in own.items()]}
            for arn, own in tags.items()
        ]


class NoBindings(Kube):
    """Denies TargetGroupBindings, as the role `view` does. spaces: in these namespaces only; none for all."""

    def __init__(self, made: World, spaces: tuple[str, ...] = ()) -> None:
        names = spaces or tuple(raw["metadata"]["name"] for raw in made.kube["namespaces"])
        prefix, _, plural = BINDINGS.rpartition("/")
        super().__init__(made, denied=(BINDINGS, *(f"{prefix}/namespaces/{name}/{plural}" for name in names)))

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return {} if path == "/apis/elbv2.k8s.aws" else super().get(path, params)


BROAD = Shape(nodes=4, namespaces=4, services=60, ingresses=40, balanced=20, pods=130, crowded=10, events=9)


def test_without_bindings_few_calls_tell_of_all_target_groups() -> None:
    """Sixty frontends, so that AWS is read whole: their target groups are told by tags, twenty a call."""
    made = World.of(BROAD)
    aws = Tagged(made)
    *_, last = scan(NoBindings(made), aws)
    assert aws.calls == {"DescribeLoadBalancers": 3, "DescribeTargetGroups": 1, "DescribeTags": 3, "GetMetricData": 1}
    report = examine(last.snapshot)
    assert set(statuses(last).values()) == {"unknown"}
    assert {str(d.permission).rpartition("/")[2] for d in report.coverage.denied} == {"targetgroupbindings"}
    assert (last.progress.groups, last.progress.known, last.progress.left) == (60, 0, 0)
    assert {group.known for subject in report.subjects for group in subject.target_groups} == {False}
    assert any("without TargetGroupBindings" in entry.reason for entry in report.unknown)


def test_without_bindings_only_what_looks_bad_is_asked_for() -> None:
    made = World.of(BROAD)
    planted = plant(made, share=0.1)
    aws = Tagged(made)
    *_, last = scan(NoBindings(made), aws)
    found = {(ref.kind, ref.name, d.finding.code) for d in examine(last.snapshot).diagnoses for ref in d.affects}
    assert found == {(p.kind, p.name, p.code) for p in planted} and len(planted) == 6
    assert {aws.calls[operation] for operation in ("DescribeTargetHealth", "DescribeListeners")} == {6}
    assert Counter(statuses(last).values()) == {"unknown": 54, "unhealthy": 6}


@pytest.mark.parametrize("operation", ["DescribeTags", "DescribeTargetGroups"])
def test_without_bindings_and_tags_nothing_is_asked_one_by_one(operation: str) -> None:
    made = World.of(BROAD)
    aws = Tagged(made, denied=(operation,))
    *_, last = scan(NoBindings(made), aws)
    assert sum(aws.calls.values()) < 10
    assert set(statuses(last).values()) == {"unknown"}
    assert f"x:{operation}" in {str(d.permission) for d in examine(last.snapshot).coverage.denied}


def test_without_bindings_and_counts_of_now_health_alone_is_asked_for() -> None:
    made = World.of(BROAD)
    aws = Tagged(made, minutes=7)
    *_, last = scan(NoBindings(made), aws)
    assert (aws.calls["DescribeTargetHealth"], aws.calls["DescribeListeners"]) == (60, 0)
    assert set(statuses(last).values()) == {"unknown"}


def test_bindings_that_are_denied_in_one_namespace_spoil_no_other() -> None:
    made = world()
    aws = Tagged(made)
    *_, last = scan(NoBindings(made, spaces=("team-001",)), aws)
    found = Counter((s.ref.namespace, s.status.value) for s in examine(last.snapshot).subjects)
    assert found == {("team-000", "healthy"): 3, ("team-001", "unknown"): 3}
    assert "DescribeListeners" not in aws.calls


def test_two_target_groups_with_the_same_tag_are_nobody_s() -> None:
    """Of the Service "a-b" and of the Ingress "a" with the Service "b" the controller's tags say the same."""
    made = world()
    aws = Tagged(made)
    first, second, *_ = aws.tags
    aws.tags[second] = {"service.k8s.aws/resource": next(iter(aws.tags[first].values()))}
    *_, last = scan(NoBindings(made), aws)
    told = {arn for arn, fact in last.snapshot.aws.target_groups.items() if fact.peek() is not None}
    assert told == {*aws.tags} - {first, second}


def test_a_bundle_keeps_what_was_left_out_without_bindings(tmp_path: Path) -> None:
    *_, last = scan(NoBindings(made := world()), Tagged(made))
    bundle.save(last.snapshot, tmp_path / "bundle.json")
    loaded = bundle.load(tmp_path / "bundle.json")
    assert len(loaded.outlined) == 6
    before, after = examine(last.snapshot), examine(loaded)
    assert [s.status for s in after.subjects] == [s.status for s in before.subjects]
    assert {(u.code, u.read) for u in after.unknown} == {(u.code, u.read) for u in before.unknown}
