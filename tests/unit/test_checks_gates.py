"""LBD214, LBD215 and target health as readiness gates tell it where AWS does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.desired_targets import gate_health
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Confidence, ObjectRef
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.permission import Permission
from tests.support.world import (
    GROUP_ARN,
    HOST,
    JUST_NOW,
    LONG_AGO,
    REGION,
    World,
    conditions,
    meta,
    mismatch,
    pod,
    running,
    target,
)

GATE = f"target-health.elbv2.k8s.aws/{World().group.name}"
LEGACY = "target-health.alb.ingress.k8s.aws/web_web_80"
NEITHER = conditions(PodScheduled="True", ContainersReady="True", Ready="False")
READY = conditions(PodScheduled="True", ContainersReady="True", Ready="True")
CODES_404 = ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]")


def gated(
    number: int, gate: str = GATE, status: str = "", *, since: str = LONG_AGO, told: tuple[str, str] = ("", "")
) -> k8s.Pod:
    """A pod with a gate; status "" leaves its condition out."""
    base = READY if status == "True" else NEITHER
    mine = (k8s.Condition(gate, status, *told, since=since),) if status else ()
    return pod(number, conditions=(*base, *mine), readiness_gates=(gate,))


def namespace(**labels: str) -> dict[str, Fact[object]]:
    return {"namespace": Fact.known(reads.NAMESPACES, k8s.Namespace(k8s.Meta("shop", labels=labels)))}


LABELLED: dict[str, Fact[object]] = {
    "namespace": Fact.known(
        reads.NAMESPACES,
        k8s.Namespace(k8s.Meta("shop", labels={"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"})),
    )
}
OLDER_BINDING = replace(
    World().made_binding(), meta=replace(World().made_binding().meta, created="2026-11-23T07:00:00Z")
)

FAULTS = {
    "LBD214 stale": (
        "LBD214",
        World(pods=(pod(1), gated(2, "target-health.elbv2.k8s.aws/k8s-shop-web-0ld"))),
    ),
    "LBD214 stale on every pod": (
        "LBD214",
        World(pods=tuple(gated(n, "target-health.elbv2.k8s.aws/k8s-shop-web-0ld") for n in (1, 2))),
    ),
    "LBD214 legacy": ("LBD214", World(pods=(pod(1), gated(2, LEGACY)))),
    "LBD214 lag": (
        "LBD214",
        World(pods=(pod(1), gated(2, GATE, "False", told=("Elb.InitialHealthChecking", "in progress")))),
    ),
    "LBD214 lag without a condition": ("LBD214", World(pods=tuple(gated(n) for n in (1, 2)))),
    "LBD215": ("LBD215", World(binding=OLDER_BINDING, facts=LABELLED)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_the_only_diagnosis(name: str) -> None:
    code, world = FAULTS[name]
    assert [d.finding.code for d in world.report().diagnoses] == [code]


def starting_gate(number: int) -> k8s.Pod:
    late = tuple(replace(c, since=JUST_NOW) for c in NEITHER)
    return pod(number, conditions=late, readiness_gates=(GATE,))


HEALTHY = {
    "open gates": World(pods=tuple(gated(n, status="True") for n in (1, 2)), binding=OLDER_BINDING, facts=LABELLED),
    "open gate of a binding that was deleted": World(
        pods=(
            pod(1),
            gated(2, "target-health.elbv2.k8s.aws/0ld", "True", told=("TargetGroupBindingDeleted", "is deleted")),
        )
    ),
    "gate that is as young as the pod": World(pods=(pod(1), starting_gate(2)), health=(target(1), target(2))),
    "somebody else's gate": World(pods=(pod(1), pod(2, conditions=NEITHER, readiness_gates=("example.com/feature",)))),
    "no label, no gates": World(binding=OLDER_BINDING),
    "label that says no": World(
        binding=OLDER_BINDING, facts=namespace(**{"elbv2.k8s.aws/pod-readiness-gate-inject": "disabled"})
    ),
    "pods older than the binding": World(
        binding=replace(OLDER_BINDING, meta=replace(OLDER_BINDING.meta, created="2026-11-23T09:00:00Z")), facts=LABELLED
    ),
    "label with instance targets": replace(World().instance_mode(), facts=LABELLED),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_twin_is_silent(name: str) -> None:
    assert HEALTHY[name].codes() == []


def test_a_gate_that_its_target_keeps_closed_is_a_consequence() -> None:
    """Pods whose containers are ready and whose targets fail: the answer is the cause, not the gate, not readiness."""
    pods = tuple(gated(n, status="False", told=CODES_404) for n in (1, 2))
    world = World(pods=pods, health=(mismatch(1, "404"), mismatch(2, "404")))
    errors = [d.finding.code for d in world.report().diagnoses if d.severity.value == "error"]
    assert errors == ["LBD301"]


def test_a_container_that_is_not_ready_comes_before_its_gate() -> None:
    status = running(ready=False, state="waiting", reason="CrashLoopBackOff", restarts=5)
    broken = pod(
        2,
        conditions=conditions(ContainersReady="False", Ready="False"),
        statuses=(status,),
        readiness_gates=("target-health.elbv2.k8s.aws/0ld",),
    )
    assert World(pods=(pod(1), broken), health=(target(1),)).codes() == ["LBD403"]


def test_stale_gate_is_certain_and_lag_is_likely() -> None:
    stale, lag = (FAULTS[name][1].report().diagnoses[0].finding for name in ("LBD214 stale", "LBD214 lag"))
    assert stale.confidence is Confidence.CERTAIN and stale.params["binding"] == "k8s-shop-web-0ld"
    assert stale.commands == ("kubectl rollout restart deployment/web -n shop",)
    assert lag.confidence is Confidence.LIKELY and "back-off" in lag.advice


def test_injection_is_unknown_where_the_namespace_may_not_be_read() -> None:
    denied: Fact[object] = Fact.denied(reads.NAMESPACES, "forbidden", Permission(("get",), "namespaces"), "shop")
    world = World(binding=OLDER_BINDING, facts={"namespace": denied})
    assert {r.code: r.status.value for r in world.results()}["LBD215"] == "unknown"


# ---- without AWS


def no_aws(world: World) -> World:
    silent: Fact[object] = Fact.not_asked(reads.TARGET_HEALTH, "no credentials", GROUP_ARN)
    return replace(
        world,
        aws={
            "target_health": {GROUP_ARN: silent},
            "target_groups": {GROUP_ARN: Fact.not_asked(reads.TARGET_GROUPS, "no credentials", GROUP_ARN)},
            "load_balancers": {HOST: Fact.not_asked(reads.LOAD_BALANCERS, "no credentials", HOST)},
            "reason": "no credentials",
        },
    )


def test_gates_tell_state_reason_and_description() -> None:
    pods = (gated(1, status="True"), gated(2, status="False", told=CODES_404))
    (traffic,) = traffic_paths(no_aws(World(pods=pods)).build())
    first, second = traffic.targets()
    assert traffic.target_health.source == reads.PODS
    assert (first.key, first.state, first.zone) == ("10.0.1.34:8080", "healthy", f"{REGION}a")
    assert (second.state, second.reason, second.codes) == ("unhealthy", CODES_404[0], ("404",))


@pytest.mark.parametrize(
    "reason, state",
    [
        ("Elb.RegistrationInProgress", "initial"),
        ("Target.NotInUse", "unused"),
        ("Target.DeregistrationInProgress", "draining"),
        ("Target.Timeout", "unhealthy"),
    ],
)
def test_state_follows_the_reason(reason: str, state: str) -> None:
    (traffic,) = traffic_paths(no_aws(World(pods=(gated(1, status="False", told=(reason, "")),))).build())
    assert [t.state for t in traffic.targets()] == [state]


@pytest.mark.parametrize(
    "pods",
    [
        (gated(1, status="True"), pod(2)),
        (gated(1, status="True"), gated(2)),
        (gated(1, status="True"), gated(2, status="Unknown")),
        (gated(1, status="True"), gated(2, "target-health.elbv2.k8s.aws/other", "True")),
        (),
    ],
    ids=["a pod without gate", "no condition", "condition Unknown", "gate of another binding", "no pod"],
)
def test_gates_that_do_not_tell_everything_tell_nothing(pods: tuple[k8s.Pod, ...]) -> None:
    (traffic,) = traffic_paths(no_aws(World(pods=pods)).build())
    assert gate_health(traffic) is None and not traffic.target_health.is_known


def test_instance_targets_have_no_gates() -> None:
    pods = tuple(gated(n, status="True") for n in (1, 2))
    (traffic,) = traffic_paths(no_aws(replace(World().instance_mode(), pods=pods)).build())
    assert not traffic.target_health.is_known


def test_aws_is_believed_before_the_gates() -> None:
    pods = tuple(gated(n, status="False", told=CODES_404) for n in (1, 2))
    (traffic,) = traffic_paths(World(pods=pods).build())
    assert {t.state for t in traffic.targets()} == {"healthy"} and traffic.target_health.source == reads.TARGET_HEALTH


def test_without_aws_a_failing_check_is_named_with_its_answer() -> None:
    pods = tuple(gated(n, status="False", told=CODES_404) for n in (1, 2))
    report = no_aws(World(pods=pods)).report()
    assert report.diagnoses[0].finding.code == "LBD005"
    assert "[404]" in report.diagnoses[0].message
    assert [h.code for h in report.diagnoses[0].finding.hypotheses] == ["LBD301"]
    assert report.status is Status.UNHEALTHY and report.exit_status() == 1


def test_without_aws_open_gates_are_not_called_healthy() -> None:
    report = no_aws(World(pods=tuple(gated(n, status="True") for n in (1, 2)))).report()
    assert report.diagnoses == () and report.status is Status.UNKNOWN and report.exit_status() == 3


def test_gates_prove_no_registration() -> None:
    """A gate's "registration is in progress" is the controller's own word, before AWS has accepted the target."""
    results = no_aws(World(pods=tuple(gated(n, status="True") for n in (1, 2)))).results()
    status = {r.code: r.status.value for r in results}
    assert status["LBD205"] == status["LBD206"] == "unknown"


def test_gates_alone_suffice_where_only_target_health_is_denied() -> None:
    denied: Fact[object] = Fact.denied(
        reads.TARGET_HEALTH, "denied", Permission(action="elasticloadbalancing:DescribeTargetHealth"), GROUP_ARN
    )
    pods = tuple(gated(n, status="False", told=CODES_404) for n in (1, 2))
    report = World(pods=pods, aws={"target_health": {GROUP_ARN: denied}}).report()
    assert report.diagnoses[0].finding.code == "LBD301"
    assert report.coverage.denied[0].permission == Permission(action="elasticloadbalancing:DescribeTargetHealth")


def test_stale_gates_need_no_aws() -> None:
    world = no_aws(FAULTS["LBD214 stale on every pod"][1])
    diagnosis = world.report().diagnoses[0]
    assert diagnosis.finding.code == "LBD214" and diagnosis.finding.object == ObjectRef("Deployment", "shop", "web")


def test_pod_of_a_statefulset_is_recreated_by_its_workload() -> None:
    owner = (k8s.OwnerReference("StatefulSet", "web", True),)
    pods = tuple(
        replace(gated(n, "target-health.elbv2.k8s.aws/0ld"), meta=meta(f"web-{n}", labels={"app": "web"}, owners=owner))
        for n in (1, 2)
    )
    assert World(pods=pods).report().diagnoses[0].finding.commands == (
        "kubectl rollout restart statefulset/web -n shop",
    )
