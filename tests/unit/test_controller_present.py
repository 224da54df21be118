"""Who is the controller now, and what of its words counts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.controller_present import present_controller
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.snapshot import ClusterFacts, Snapshot
from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.permission import Permission
from tests.support.world import (
    CONTROLLER_POD,
    JUST_NOW,
    LONG_AGO,
    NOT_READY,
    NS,
    World,
    controller,
    controller_pod,
    running,
)

SPACE, _, NAME = CONTROLLER_POD.partition("/")
RESTARTED = "2026-11-23T11:50:00Z"
BEFORE = "2026-11-23T11:40:00Z"
REFUSED_TOKEN = (
    "operation error Elastic Load Balancing v2: DescribeLoadBalancers, https response error StatusCode: 403, "
    "RequestID: 1, api error InvalidClientTokenId: The security token included in the request is invalid."
)


def pod(name: str, template: str, since: str = RESTARTED, **values: object) -> k8s.Pod:
    labels = {**controller_pod().meta.labels, "pod-template-hash": template}
    status = running(name="aws-load-balancer-controller", since=since)
    found = controller_pod(meta=k8s.Meta(name, SPACE, labels=labels, created=since), statuses=(status,))
    return replace(found, **values)  # type: ignore[arg-type]


def snapshot(*pods: k8s.Pod, logs: dict[str, str] | None = None) -> Snapshot:
    return Snapshot(
        cluster=ClusterFacts(
            controllers=Fact.known(reads.CONTROLLER, (controller(),)),
            controller_pods=Fact.known(reads.CONTROLLER_PODS, pods),
            controller_logs={key: Fact.known(reads.CONTROLLER_LOGS, text, key) for key, text in (logs or {}).items()},
        )
    )


OLD, NEW = pod("old", "1", LONG_AGO), pod("new", "2")


def test_pods_of_the_newest_template_are_the_controller() -> None:
    present = present_controller(snapshot(OLD, NEW))
    assert present.gone == {f"{SPACE}/old"}
    assert present.since == parse_time(RESTARTED)
    assert present.came_after(parse_time(BEFORE)) and not present.came_after(parse_time(JUST_NOW))


def test_clocks_may_differ_by_seconds() -> None:
    present = present_controller(snapshot(NEW))
    assert not present.came_after(parse_time("2026-11-23T11:49:56Z"))
    assert present.came_after(parse_time("2026-11-23T11:49:54Z"))
    assert not present.came_after(None)


def test_new_pods_that_do_not_come_up_leave_the_say_to_the_old_ones_and_speak_for_themselves() -> None:
    present = present_controller(snapshot(OLD, replace(NEW, conditions=NOT_READY)))
    assert (present.gone, present.since) == (frozenset(), parse_time(LONG_AGO))


def test_two_replicas_of_one_template_speak_since_the_first() -> None:
    second = pod("second", "1", RESTARTED)
    assert present_controller(snapshot(OLD, second)).since == parse_time(LONG_AGO)


def test_the_replica_that_leads_speaks_since_it_leads() -> None:
    line = json.dumps({"level": "info", "ts": RESTARTED, "msg": "Starting workers", "controller": "ingress"})
    second = pod("second", "1", LONG_AGO)
    assert present_controller(snapshot(OLD, second, logs={second.meta.key: line})).since == parse_time(RESTARTED)


def test_a_container_that_crashes_again_and_again_speaks_since_its_pod_started() -> None:
    waiting = k8s.ContainerStatus(
        "aws-load-balancer-controller", state="waiting", reason="CrashLoopBackOff", restarts=9
    )
    crashing = pod("new", "1", LONG_AGO, statuses=(waiting,), conditions=NOT_READY, started=LONG_AGO)
    assert present_controller(snapshot(crashing)).since == parse_time(LONG_AGO)


def test_a_controller_without_pods_says_nothing_now() -> None:
    gone = replace(OLD, meta=replace(OLD.meta, deleted=JUST_NOW))
    for present in (present_controller(snapshot()), present_controller(snapshot(gone))):
        assert present.absent and present.came_after(parse_time(JUST_NOW))


def test_what_is_not_known_makes_nothing_past() -> None:
    denied: Fact[tuple[k8s.Pod, ...]] = Fact.denied(
        reads.CONTROLLER_PODS, "forbidden", Permission(("list",), "pods"), SPACE
    )
    cluster = ClusterFacts(controllers=Fact.known(reads.CONTROLLER, (controller(),)), controller_pods=denied)
    for case in (Snapshot(), Snapshot(cluster=cluster), snapshot(pod("new", "1", ""))):
        assert not present_controller(case).came_after(parse_time(LONG_AGO))


def refused(time: str) -> k8s.Event:
    text = f"Failed build model due to {REFUSED_TOKEN}"
    return k8s.Event("Ingress", "web", NS, type="Warning", reason="FailedBuildModel", message=text, last=time)


@pytest.mark.parametrize(("told", "codes"), [(BEFORE, []), (JUST_NOW, ["LBD121"])])
def test_an_event_of_a_former_controller_proves_nothing(told: str, codes: list[str]) -> None:
    pods = {"controller_pods": Fact.known(reads.CONTROLLER_PODS, (pod(NAME, "2"),))}
    assert World(events=(refused(told),), cluster=pods).codes() == codes


def test_the_log_of_a_pod_of_a_former_template_proves_nothing() -> None:
    line = json.dumps(
        {
            "level": "error",
            "ts": JUST_NOW,
            "msg": "Reconciler error",
            "controller": "targetGroupBinding",
            "namespace": NS,
            "name": World().group.name,
            "error": REFUSED_TOKEN,
        }
    )
    logs = {OLD.meta.key: Fact.known(reads.CONTROLLER_LOGS, line, OLD.meta.key)}
    cluster = {"controller_pods": Fact.known(reads.CONTROLLER_PODS, (OLD, NEW)), "controller_logs": logs}
    assert World(cluster=cluster).codes() == []
    alone = {**cluster, "controller_pods": Fact.known(reads.CONTROLLER_PODS, (OLD,))}
    assert World(cluster=alone).codes() == ["LBD121"]


def test_a_hint_supports_what_is_found_otherwise() -> None:
    pods = {"controller_pods": Fact.known(reads.CONTROLLER_PODS, (pod(NAME, "2"),))}
    world = World(events=(refused(BEFORE),), cluster=pods, health=())
    facts = world.build()
    shop = replace(facts.namespaces[NS], bindings=Fact.known(reads.BINDINGS, ()))
    results = run(CATALOGUE, traffic_paths(replace(facts, namespaces={NS: shop})))
    found = next(f for result in results for f in result.findings if f.code == "LBD109")
    hints = [e.text for e in found.evidence if e.text.startswith("earlier, and not again since")]
    assert hints and "InvalidClientTokenId" in hints[0]


def test_the_controller_of_auto_mode_has_no_pods_to_go_by() -> None:
    pods = {"controller_pods": Fact.known(reads.CONTROLLER_PODS, (pod(NAME, "2"),))}
    world = World(events=(refused(BEFORE),), cluster=pods)
    finalizers = ("ingress.eks.amazonaws.com/resources",)
    auto = replace(world.ingress, meta=replace(world.ingress.meta, finalizers=finalizers))
    assert replace(world, ingress=auto).codes() == ["LBD121"]


def told(seconds: int, msg: str, **fields: object) -> str:
    time = f"2026-11-23T11:{50 + seconds // 60:02}:{seconds % 60:02}Z"
    return json.dumps({"level": "info", "ts": time, "msg": msg, **fields})


DEPLOYED = {"ingressGroup": f"{NS}/web"}
BUILT = {"logger": "controllers.ingress", "model": f'{{"id":"{NS}/web","resources":{{}}}}'}


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        (told(60, "successfully deployed model", **DEPLOYED), []),
        (told(60, "successfully built model", **BUILT), []),
        (told(-60, "successfully deployed model", **DEPLOYED), ["LBD121"]),
        (told(60, "successfully deployed model", ingressGroup="other"), []),
    ],
    ids=["deployed since", "built since", "deployed before", "another object by the same credentials"],
)
def test_a_line_of_the_log_ends_what_an_event_says(line: str, codes: list[str]) -> None:
    assert World(events=(refused("2026-11-23T11:50:30Z"),), log=line).codes() == codes


def test_a_line_of_a_later_step_ends_what_an_event_says_of_the_model() -> None:
    text = "Failed build model due to something nobody has seen before"
    build = replace(refused("2026-11-23T11:50:30Z"), message=text)
    failed = told(
        90, "Reconciler error", level="error", controller="ingress", namespace=NS, name="web", error="something else"
    )
    log = "\n".join([told(60, "successfully built model", **BUILT), failed])
    assert World(events=(build,), log=log).codes() == ["LBD104"]
    assert World(events=(build,)).codes() == ["LBD103"]


def test_an_event_that_the_log_has_not_repeated_for_long_still_stands() -> None:
    time = "2026-11-23T11:20:00Z"
    failed = {"level": "error", "ts": time, "msg": "Reconciler error", "controller": "ingress", "namespace": NS}
    log = json.dumps({**failed, "name": "web", "error": REFUSED_TOKEN})
    assert World(log=log).codes() == []
    assert World(events=(refused(time),), log=log).codes() == ["LBD121"]
