"""Every code of the first slice: a fault that it names first, and a healthy twin on which it is silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Confidence
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.permission import Permission
from tests.support.world import (
    JUST_NOW,
    LONG_AGO,
    NOT_READY,
    World,
    conditions,
    container,
    instance_target,
    meta,
    mismatch,
    node,
    pod,
    refused,
    running,
    target,
    timed_out,
)


def crashed(number: int) -> k8s.Pod:
    status = running(
        ready=False, state="waiting", reason="CrashLoopBackOff", restarts=5, last_reason="Error", last_exit_code=2
    )
    return pod(number, conditions=NOT_READY, statuses=(status,))


def not_started(number: int, reason: str, message: str) -> k8s.Pod:
    status = k8s.ContainerStatus("app", state="waiting", reason=reason, message=message)
    return pod(number, conditions=NOT_READY, statuses=(status,), phase="Pending")


def unready(number: int, **values: object) -> k8s.Pod:
    return pod(number, **{"conditions": NOT_READY, "statuses": (running(ready=False),), **values})


def unschedulable(number: int) -> k8s.Pod:
    text = "0/2 nodes are available: 2 Insufficient cpu."
    condition = k8s.Condition("PodScheduled", "False", "Unschedulable", text)
    return pod(number, conditions=(condition,), statuses=(), phase="Pending", node="", ip="", ips=())


def complaint(number: int, text: str) -> k8s.Event:
    return k8s.Event(
        "Pod", f"web-abc-{number}", "shop", type="Warning", reason="Unhealthy", message=text, last=LONG_AGO
    )


EMPTY = ()
PORT_90 = (k8s.ServicePort(80, target_port="90", node_port=30080),)
NAMED = (k8s.ServicePort(80, target_port="web", node_port=30080),)

FAULTS = {
    "LBD106": World(
        ingress=replace(World().ingress, paths=(k8s.IngressPath("", "/", "Prefix", k8s.IngressBackend("wbe", "80")),)),
        health=EMPTY,
    ),
    "LBD107": World(
        ingress=replace(
            World().ingress, paths=(k8s.IngressPath("", "/", "Prefix", k8s.IngressBackend("web", "8080")),)
        ),
    ),
    "LBD201": World(health=EMPTY).with_service(selector={"app": "wbe"}),
    "LBD203": World(health=EMPTY).with_service(ports=NAMED),
    "LBD217": World(health=EMPTY),
    "LBD301": World(health=(mismatch(1, "404"), mismatch(2, "404"))).with_group(
        health_check=replace(World().group.health_check, path="/")
    ),
    "LBD302": World(
        health=(mismatch(1, "404"), mismatch(2, "404")),
        pods=tuple(
            pod(
                n,
                containers=(container(readiness=k8s.Probe("httpGet", "8080", "/healthz", host_header="shop.example")),),
            )
            for n in (1, 2)
        ),
    ),
    "LBD303": World(health=(mismatch(1, "301"), mismatch(2, "301"))),
    "LBD304": World(health=(mismatch(1, "401"), mismatch(2, "401"))),
    "LBD305": World(
        health=(mismatch(1, "400"), mismatch(2, "400")),
        pods=tuple(
            pod(n, containers=(container(readiness=k8s.Probe("httpGet", "8080", "/healthz", scheme="HTTPS")),))
            for n in (1, 2)
        ),
    ),
    "LBD307": World(health=(refused(1, port=90), refused(2, port=90))).with_service(ports=PORT_90),
    "LBD317": World(health=(mismatch(1, "503"), mismatch(2, "503"))),
    "LBD401": World(pods=(unschedulable(1), unschedulable(2)), health=EMPTY),
    "LBD402": World(pods=(not_started(1, "ErrImagePull", "manifest unknown"),), health=EMPTY),
    "LBD403": World(pods=(crashed(1), crashed(2)), health=EMPTY),
    "LBD404": World(
        pods=(unready(1), unready(2)),
        health=EMPTY,
        events=(complaint(1, "Readiness probe failed: HTTP probe failed with statuscode: 404"),),
    ),
    "LBD406": World(pods=(), health=EMPTY, workloads=(replace(World().workloads[0], replicas=0, ready=0),)),
    "LBD409": World(pods=(unready(1),), nodes=(node(1, conditions=conditions(Ready="Unknown")), node(2)), health=EMPTY),
    "LBD410": World(pods=(not_started(1, "CreateContainerConfigError", 'secret "x" not found'),), health=EMPTY),
    "LBD602": replace(
        World().instance_mode().with_service(external_traffic_policy="Local"),
        pods=(pod(1),),
        health=(instance_target(1), instance_target(2, "unhealthy", "Target.Timeout")),
    ),
    "LBD005": World(health=(timed_out(1), timed_out(2))),
}


@pytest.mark.parametrize("code", FAULTS)
def test_fault_is_the_first_diagnosis(code: str) -> None:
    report = FAULTS[code].report()
    assert [d.finding.code for d in report.diagnoses][:1] == [code]
    assert report.status in (Status.UNHEALTHY, Status.DEGRADED)
    assert report.exit_status() == 1


@pytest.mark.parametrize("code", FAULTS)
def test_only_one_root_cause_per_fault(code: str) -> None:
    errors = [d.finding.code for d in FAULTS[code].report().diagnoses if d.severity.value == "error"]
    assert errors == [code]


HEALTHY = {
    "alb ip": World(),
    "alb instance": World().instance_mode(),
    "nlb ip": World().as_nlb(),
    "nlb instance": World().as_nlb().instance_mode(),
    "undeclared port that answers": World(pods=tuple(pod(n, containers=(container(ports=()),)) for n in (1, 2))),
    "target port that nobody declares but targets answer": World(
        health=(target(1, port=90), target(2, port=90))
    ).with_service(ports=PORT_90),
    "named port of a native side-car": World(
        pods=tuple(
            pod(
                n,
                containers=(
                    container(ports=()),
                    container(
                        name="proxy", init=True, sidecar=True, ports=(k8s.ContainerPort(8080, "web"),), readiness=None
                    ),
                ),
            )
            for n in (1, 2)
        )
    ).with_service(ports=NAMED),
    "draining target of a rollout": World(
        health=(target(1), target(2), target(3, "draining", "Target.DeregistrationInProgress"))
    ),
    "finished job with the same labels": World(pods=(pod(1), pod(2), pod(3, phase="Succeeded", conditions=NOT_READY))),
    "readiness path differs from a check path that answers": World().with_group(
        health_check=replace(World().group.health_check, path="/")
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_twin_is_silent(name: str) -> None:
    report = HEALTHY[name].report()
    assert [d.finding.code for d in report.diagnoses] == []
    assert report.status is Status.HEALTHY
    assert report.exit_status() == 0


def test_check_path_repair_uses_the_readiness_path() -> None:
    finding = FAULTS["LBD301"].report().diagnoses[0].finding
    assert finding.commands == (
        "kubectl annotate ingress/web alb.ingress.kubernetes.io/healthcheck-path=/healthz --overwrite -n shop",
    )
    assert finding.fix_automatic


def test_service_annotation_is_repaired_where_it_wins() -> None:
    key = "alb.ingress.kubernetes.io/healthcheck-path"
    world = FAULTS["LBD301"]
    world = world.with_service(meta=replace(world.service.meta, annotations={key: "/"}))
    finding = world.report().diagnoses[0].finding
    assert finding.object.kind == "Service" and "service/web" in finding.commands[0]


def test_ingress_with_several_services_is_repaired_on_the_service() -> None:
    world = FAULTS["LBD301"]
    other = k8s.IngressPath("", "/api", "Prefix", k8s.IngressBackend("api", "80"))
    api = k8s.Service(meta("api"), selector={"app": "web"}, ports=world.service.ports)
    world = replace(world, ingress=replace(world.ingress, paths=(*world.ingress.paths, other)), extra_services=(api,))
    found = {d.finding.code: d.finding for d in world.report().diagnoses}
    assert found["LBD301"].object.kind == "Service"


def test_selector_names_the_nearest_pods_and_the_label() -> None:
    finding = FAULTS["LBD201"].report().diagnoses[0].finding
    assert finding.params["nearest"] == ("deployment/web",) and finding.params["nearest_labels"] == ("app=web",)
    assert '"op": "test"' in finding.commands[0] and finding.fix_automatic


def test_two_candidates_leave_the_choice_to_the_user() -> None:
    others = tuple(
        pod(n, meta=meta(f"{name}-1", labels={"app": name}, owners=(k8s.OwnerReference("StatefulSet", name, True),)))
        for n, name in ((1, "wea"), (2, "weu"))
    )
    world = replace(FAULTS["LBD201"], pods=others).with_service(meta=meta("front"), selector={"app": "wex"})
    ingress = replace(world.ingress, paths=(k8s.IngressPath("", "/", "Prefix", k8s.IngressBackend("front", "80")),))
    finding = replace(world, ingress=ingress).report().diagnoses[0].finding
    assert finding.code == "LBD201" and not finding.fix_automatic


def bare(number: int, **labels: str) -> k8s.Pod:
    """A pod that no workload has made, as `kubectl run` makes it."""
    name = f"web-{number}"
    return pod(number, meta=meta(name, labels={"run": name, **labels}))


@pytest.mark.parametrize(
    ("count", "said", "why"),
    [
        (1, "matches no pod; pod/web-1 has app=web", "pod/web-1 carries these labels"),
        (2, "matches no pod; pod/web-1, pod/web-2 have app=web", "pod/web-1, pod/web-2 carry these labels"),
        (4, "; pod/web-1, pod/web-2 and 2 more have app=web", "pod/web-1, pod/web-2 and 2 more carry these labels"),
    ],
)
def test_pods_without_a_workload_are_named_once(count: int, said: str, why: str) -> None:
    world = replace(FAULTS["LBD201"], pods=tuple(bare(number, app="web") for number in range(1, count + 1)))
    (diagnosis,) = world.report().diagnoses
    finding = diagnosis.finding
    assert finding.code == "LBD201" and diagnosis.message.endswith(said)
    (repair,) = finding.repairs
    assert repair.value == "app=web" and [change.why for change in repair.changes] == [why]
    lines = [e.text for e in finding.evidence if e.source.startswith("pod/")]
    assert len(lines) == 1 and lines[0].startswith("labels app=web")


def test_two_workloads_with_the_same_labels_are_one_choice() -> None:
    pods = tuple(
        pod(n, meta=meta(f"{name}-1", labels={"app": "web"}, owners=(k8s.OwnerReference("StatefulSet", name, True),)))
        for n, name in ((1, "stable"), (2, "canary"))
    )
    finding = replace(FAULTS["LBD201"], pods=pods).report().diagnoses[0].finding
    (repair,) = finding.repairs
    why = "1 pod of statefulset/canary and 1 pod of statefulset/stable carry these labels"
    assert [change.why for change in repair.changes] == [why] and len(finding.commands) == 1


def test_pods_with_different_problems_are_two_root_causes() -> None:
    world = World(pods=(crashed(1), not_started(2, "ErrImagePull", "manifest unknown")), health=())
    assert world.codes() == ["LBD402", "LBD403"]


def test_crash_of_one_pod_beside_a_healthy_one_is_degraded() -> None:
    lost = k8s.Condition("Ready", "False", since=JUST_NOW)
    served = replace(crashed(1), conditions=(*conditions(PodScheduled="True", ContainersReady="False"), lost))
    report = World(pods=(served, pod(2)), health=(target(2),)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD403"]
    assert report.status is Status.DEGRADED


def test_crash_of_a_pod_that_never_served_is_a_warning_while_all_targets_are_healthy() -> None:
    report = World(pods=(crashed(1), pod(2)), health=(target(2),)).report()
    assert [(d.finding.code, d.severity.value) for d in report.diagnoses] == [("LBD403", "warning")]
    failing = World(pods=(crashed(1), pod(2)), health=(timed_out(2),)).report()
    assert [d.severity.value for d in failing.diagnoses if d.finding.code == "LBD403"] == ["error"]


def test_symptoms_are_folded_under_the_cause() -> None:
    diagnosis = FAULTS["LBD403"].report().diagnoses[0]
    assert "LBD202" in diagnosis.explains
    assert "LBD607" in FAULTS["LBD301"].report().diagnoses[0].explains


def test_two_independent_faults_on_one_object() -> None:
    world = World(health=(mismatch(1, "404"), timed_out(2)))
    assert world.codes() == ["LBD301", "LBD005"]


def test_starting_pods_are_not_a_fault() -> None:
    young = unready(1, statuses=(running(ready=False, since=JUST_NOW),), started=JUST_NOW)
    report = World(pods=(young,), health=()).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD408"]
    assert report.status is Status.UNKNOWN and report.exit_status() == 3


def test_endpoint_that_became_ready_a_moment_ago_is_not_late() -> None:
    ready = tuple(
        pod(n, conditions=(k8s.Condition("Ready", "True", since=JUST_NOW), k8s.Condition("ContainersReady", "True")))
        for n in (1, 2)
    )
    report = World(pods=ready, health=()).report()
    assert report.diagnoses == () and report.status is Status.UNKNOWN


def test_local_policy_behind_a_network_load_balancer_is_by_design() -> None:
    world = replace(
        World().as_nlb().instance_mode().with_service(external_traffic_policy="Local"),
        pods=(pod(1),),
        health=(instance_target(1), instance_target(2, "unhealthy", "Target.FailedHealthChecks")),
    )
    report = world.report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD601"]
    assert report.status is Status.HEALTHY and report.exit_status() == 0


def test_refused_port_of_a_network_load_balancer_is_only_likely() -> None:
    world = World(health=(refused(1, port=90), refused(2, port=90))).with_service(ports=PORT_90).as_nlb()
    diagnosis = world.report().diagnoses[0]
    assert diagnosis.finding.code == "LBD307" and diagnosis.finding.confidence is Confidence.LIKELY


def test_timeout_on_an_undeclared_port_is_not_blamed_on_the_port() -> None:
    world = World(health=(timed_out(1, port=90), timed_out(2, port=90))).with_service(ports=PORT_90)
    assert world.codes() == ["LBD005"]


def test_unexplained_targets_come_with_ordered_hypotheses() -> None:
    """Groups, ACLs and routes were read and admit the check, and the kubelet gets its answer: the node is left."""
    finding = FAULTS["LBD005"].report().diagnoses[0].finding
    assert [h.code for h in finding.hypotheses][:2] == ["LBD520", "LBD513"]
    assert finding.confidence is Confidence.POSSIBLE


def test_filters_of_the_vpc_come_first_where_they_could_not_be_read() -> None:
    world = replace(FAULTS["LBD005"], vpc={"acls": Fact.denied(reads.NETWORK_ACLS, "forbidden", Permission(said="x"))})
    finding = next(d.finding for d in world.report().diagnoses if d.finding.code == "LBD005")
    assert [h.code for h in finding.hypotheses][:2] == ["LBD501", "LBD507"]


@pytest.mark.parametrize(
    "part, source",
    [
        ("services", reads.SERVICES),
        ("pods", reads.PODS),
        ("slices", reads.ENDPOINT_SLICES),
        ("bindings", reads.BINDINGS),
        ("events", reads.EVENTS),
        ("workloads", reads.WORKLOADS),
        ("ingresses", reads.INGRESSES),
    ],
)
def test_denied_list_is_never_healthy(part: str, source: str) -> None:
    denied: Fact[object] = Fact.denied(source, "forbidden", Permission(said=f"list {part}"), "shop")
    report = World(facts={part: denied}).report()
    assert report.status is not Status.HEALTHY
    assert report.exit_status() in (1, 3)
    assert report.coverage.denied[0].permission == Permission(said=f"list {part}")


@pytest.mark.parametrize("part", ["services", "pods", "slices", "bindings", "events", "workloads", "ingresses"])
def test_denied_list_gives_no_false_diagnosis(part: str) -> None:
    denied: Fact[object] = Fact.denied("x", "forbidden", Permission(said="y"), "shop")
    report = World(facts={part: denied}).report()
    assert [d.finding.code for d in report.diagnoses] == []


def test_without_aws_the_pods_are_still_diagnosed() -> None:
    silent: Fact[object] = Fact.not_asked(reads.TARGET_HEALTH, "no credentials", "x")
    world = World(
        pods=(crashed(1), crashed(2)), aws={"target_health": {World().group.arn: silent}, "target_groups": {}}
    )
    assert world.codes() == ["LBD403"]


def test_first_failures_of_a_probe_are_a_start_not_a_fault() -> None:
    young = unready(1, statuses=(running(ready=False, since=JUST_NOW),), started=JUST_NOW)
    event = replace(complaint(1, "Readiness probe failed: connection refused"), count=1, last=JUST_NOW)
    report = World(pods=(young,), health=(), events=(event,)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD408"]
    again = World(pods=(young,), health=(), events=(replace(event, count=3),)).report()
    assert [d.finding.code for d in again.diagnoses] == ["LBD404"]


def test_lost_node_is_named_though_its_containers_still_look_ready() -> None:
    lost = conditions(PodScheduled="True", ContainersReady="True", Ready="False")
    world = World(
        pods=(pod(1, conditions=lost), pod(2)), nodes=(node(1, conditions=conditions(Ready="Unknown")), node(2))
    )
    assert world.codes() == ["LBD409"]


def test_first_failed_mount_of_a_new_pod_is_a_start() -> None:
    waiting = k8s.ContainerStatus("app", state="waiting", reason="ContainerCreating")
    event = k8s.Event("Pod", "web-abc-1", "shop", type="Warning", reason="FailedMount", message="cache", last=JUST_NOW)
    young = pod(1, conditions=NOT_READY, statuses=(waiting,), started=JUST_NOW, phase="Pending")
    assert World(pods=(young,), health=(), events=(event,)).codes() == []
    old = pod(1, conditions=NOT_READY, statuses=(waiting,), phase="Pending")
    assert World(pods=(old,), health=(), events=(event,)).codes() == ["LBD401"]


def killed_by_liveness(number: int) -> k8s.Pod:
    probe = k8s.Probe("httpGet", port="8080", path="/live")
    status = running(
        ready=False, state="waiting", reason="CrashLoopBackOff", restarts=4, last_reason="Completed", last_exit_code=0
    )
    return pod(number, conditions=NOT_READY, statuses=(status,), containers=(container(liveness=probe),))


def test_a_probe_that_ends_the_container_is_named() -> None:
    killing = k8s.Event(
        "Pod", "web-abc-1", "shop", reason="Killing", message="Container app failed liveness probe, will be restarted"
    )
    failed = complaint(1, "Liveness probe failed: HTTP probe failed with statuscode: 404")
    report = World(pods=(killed_by_liveness(1),), health=(), events=(killing, failed)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD403"]
    said = report.diagnoses[0]
    assert "its liveness probe fails" in said.message
    assert "liveness probe httpGet /live port 8080 fails: answered 404" in said.finding.evidence[0].text
    quiet = World(pods=(killed_by_liveness(1),), health=(), events=(failed,)).report()
    assert "liveness" not in quiet.diagnoses[0].message  # It failed once; nothing says that this ended the container.


def test_a_hook_that_ends_the_container_is_named() -> None:
    """The container ends as it was told to, with status 0: its log complains of nothing."""
    hook = k8s.Event("Pod", "web-abc-1", "shop", reason="FailedPostStartHook", message="PostStartHook failed")
    said = World(pods=(killed_by_liveness(1),), health=(), events=(hook,)).report().diagnoses[0]
    assert said.finding.code == "LBD403"
    assert "its postStart hook fails" in said.message
    assert "postStart hook" in said.finding.advice
    by_itself = World(pods=(crashed(1),), health=(), events=(hook,)).report().diagnoses[0]
    assert "hook" not in by_itself.message  # It failed with a status of its own.


def test_a_command_that_the_image_lacks_is_named_once_for_all_pods() -> None:
    """Each attempt has an id of its own, and the recorder combines events that differ by it."""
    lacks = (
        "{0}Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in "
        'container: failed to start exec "{1}": OCI runtime exec failed: exec failed: unable to start container '
        'process: exec: "/bin/grpc_health_probe": stat /bin/grpc_health_probe: no such file or directory: unknown'
    )
    probe = k8s.Probe("exec", command=("/bin/grpc_health_probe",))
    pods = tuple(replace(unready(n), containers=(container(readiness=probe),)) for n in (1, 2))
    events = (
        complaint(1, lacks.format("", "d51eb49efb36")),
        complaint(2, lacks.format("(combined from similar events): ", "8f9a8bfc60e7")),
    )
    said = World(pods=pods, health=(), events=events).report().diagnoses[0]
    assert said.message.endswith(": /bin/grpc_health_probe: no such file or directory")
    assert len({entry.text for entry in said.finding.evidence}) == 1


def with_init(since: str) -> k8s.Pod:
    wait = container(name="wait-db", init=True, readiness=None, ports=())
    statuses = (
        k8s.ContainerStatus("wait-db", state="running", since=since, init=True, started=True),
        k8s.ContainerStatus("app", state="waiting", reason="PodInitializing"),
    )
    return pod(1, conditions=NOT_READY, statuses=statuses, containers=(wait, container()), phase="Pending")


def test_an_init_container_that_does_not_end_is_the_cause_after_a_while() -> None:
    stuck = World(pods=(with_init(LONG_AGO),), health=()).report()
    assert [d.finding.code for d in stuck.diagnoses] == ["LBD410"]
    assert "init container wait-db does not end" in stuck.diagnoses[0].message
    young = World(pods=(with_init(JUST_NOW),), health=()).report()
    assert [d.finding.code for d in young.diagnoses] == ["LBD408"]
    assert "init container wait-db" in young.diagnoses[0].finding.evidence[0].text


@pytest.mark.parametrize(("reason", "code"), [("ProgressDeadlineExceeded", "LBD410"), ("ReplicaSetUpdated", "LBD408")])
def test_the_deployment_says_itself_when_its_deadline_has_passed(reason: str, code: str) -> None:
    status = "False" if code == "LBD410" else "True"
    conditions = (k8s.Condition("Progressing", status, reason),)
    waiting = with_init(JUST_NOW)
    owner = workload_of(waiting)
    workload = k8s.Workload(owner.kind, meta(owner.name), 2, template_labels={"app": "web"}, conditions=conditions)
    report = World(pods=(waiting,), health=(), workloads=(workload,)).report()
    assert [d.finding.code for d in report.diagnoses] == [code]


def refused_by_quota(kind: str, name: str, owners: tuple[k8s.OwnerReference, ...] = ()) -> k8s.Workload:
    failure = k8s.Condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota: q")
    labels = {"app": "web"}
    return k8s.Workload(kind, meta(name, owners=owners), 2, template_labels=labels, conditions=(failure,))


def test_refused_pods_are_told_once_of_the_workload_that_a_person_edits() -> None:
    both = (
        refused_by_quota("Deployment", "web"),
        refused_by_quota("ReplicaSet", "web-abc", (k8s.OwnerReference("Deployment", "web", True),)),
    )
    report = World(pods=(), workloads=both, health=()).report()
    assert [(d.finding.code, str(d.finding.object)) for d in report.diagnoses] == [("LBD401", "deployment/web")]
    alone = World(pods=(), workloads=both[1:], health=()).report()
    assert [str(d.finding.object) for d in alone.diagnoses] == ["replicaset/web-abc"]


def test_a_stuck_rollout_beside_all_wanted_pods_is_a_warning() -> None:
    third = replace(not_started(3, "ErrImagePull", "manifest unknown"), node="node1")
    report = World(pods=(pod(1), pod(2), third)).report()
    found = report.diagnoses[0]
    assert found.finding.code == "LBD402" and found.severity.value == "warning"
    fewer = World(pods=(pod(1), third), health=(target(1),)).report()
    assert fewer.diagnoses[0].severity.value == "warning"  # What is registered serves.
    failing = World(pods=(pod(1), third), health=(timed_out(1),)).report()
    assert [d.severity.value for d in failing.diagnoses if d.finding.code == "LBD402"] == ["error"]


def test_redirect_with_a_better_path_is_repaired_by_the_name_of_that_repair() -> None:
    """`--fix success-codes=200-399` would otherwise write the codes into the path."""
    accepting = FAULTS["LBD303"]
    redirected = accepting.with_group(health_check=replace(accepting.group.health_check, path="/old"))
    first = redirected.report().diagnoses[0]
    assert first.finding.repairs[0].value == "/healthz" and first.fix == "healthcheck-path"
    other = accepting.report().diagnoses[0]
    assert other.finding.repairs[0].value == "200-399" and other.fix == "success-codes"
    template = other.finding.repair_template
    assert template is not None and "success-codes" in template.with_value("200,302").changes[0].field


def test_value_of_an_unexpected_success_is_a_code_and_no_path() -> None:
    first = World(health=(mismatch(1, "204"), mismatch(2, "204"))).report().diagnoses[0]
    template = first.finding.repair_template
    assert (first.finding.code, first.fix) == ("LBD301", "success-codes")
    assert template is not None and "success-codes" in template.with_value("200-299").changes[0].field
