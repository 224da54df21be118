"""What is asked of a target group against what it is: each code failing, passing, and beside its healthy twins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model import aws, k8s, reads
from kubectl_lbdoctor.model.fact import Fact, recording
from kubectl_lbdoctor.model.finding import CheckStatus, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.permission import Permission
from tests.support.world import (
    JUST_NOW,
    LONG_AGO,
    NS,
    World,
    container,
    controller,
    instance_target,
    meta,
    mismatch,
    pod,
    refused,
    target,
    timed_out,
)

ALB = "alb.ingress.kubernetes.io/"
NLB = "service.beta.kubernetes.io/aws-load-balancer-"


def annotated(world: World, annotations: Mapping[str, str], **values: Any) -> World:
    return replace(world, ingress=replace(world.ingress, meta=meta("web", annotations=annotations, **values)))


def checked(world: World, **values: Any) -> World:
    return world.with_group(health_check=replace(world.group.health_check, **values))


def finding(world: World, code: str) -> Finding:
    return next(d.finding for d in world.report().diagnoses if d.finding.code == code)


def flags(*arguments: str) -> dict[str, Fact[Any]]:
    own = replace(controller().containers[0], args=arguments)
    return {"controllers": Fact.known(reads.CONTROLLER, (replace(controller(), containers=(own,)),))}


# --- LBD204 -----------------------------------------------------------------------------------------------------------

NO_NODE_PORT = (k8s.ServicePort(80, target_port="8080"),)
# The controller has built nothing: no binding, no target group.
UNBUILT: dict[str, Any] = {"facts": {"bindings": Fact.known(reads.BINDINGS, ())}, "health": ()}


def cluster_ip(**values: Any) -> World:
    world = World(**{**UNBUILT, **values}).with_service(type="ClusterIP", ports=NO_NODE_PORT)
    return replace(world, ingress=replace(world.ingress, addresses=()))


def unallocated(annotations: Mapping[str, str]) -> World:
    world = (
        World()
        .as_nlb()
        .with_service(
            ports=NO_NODE_PORT, allocate_node_ports=False, meta=meta("web", annotations=annotations), addresses=()
        )
    )
    return replace(world, **UNBUILT)


BUILD_FAILED = k8s.Event(
    "Ingress",
    "web",
    NS,
    type="Warning",
    reason="FailedBuildModel",
    message="Failed build model due to ingress: shop/web: TargetGroup port is empty. When using Instance targets, "
    "your service be must of type 'NodePort' or 'LoadBalancer'",
    last=LONG_AGO,
)


@pytest.mark.parametrize(
    "world",
    [
        cluster_ip(),
        cluster_ip(events=(BUILD_FAILED,)),
        annotated(cluster_ip(), {ALB + "target-type": "instance"}),
        cluster_ip(cluster=flags("--default-target-type=instance")),
        unallocated({}),
        unallocated({NLB + "nlb-target-type": "instance"}),
    ],
)
def test_instance_targets_without_node_port(world: World) -> None:
    assert world.codes() == ["LBD204"]
    assert finding(world, "LBD204").fix_automatic


@pytest.mark.parametrize(
    "world",
    [
        annotated(cluster_ip(), {ALB + "target-type": "ip"}),
        cluster_ip(cluster=flags("--default-target-type", "ip")),
        World().with_service(type="ClusterIP", ports=NO_NODE_PORT),  # The binding shows ip targets.
        unallocated({NLB + "nlb-target-type": "ip"}),
        unallocated({NLB + "type": "nlb-ip"}),
        World().instance_mode(),
    ],
)
def test_target_types_that_need_no_node_port(world: World) -> None:
    assert "LBD204" not in world.codes()


def test_target_type_is_repaired_where_it_stands() -> None:
    commands = finding(annotated(cluster_ip(), {ALB + "target-type": "instance"}), "LBD204").commands
    assert commands == (
        f"kubectl annotate ingress/web {ALB}target-type=ip --overwrite -n shop",
        'kubectl patch service/web --type=json -p \'[{"op": "test", "path": "/spec/type", "value": "ClusterIP"}, '
        '{"op": "replace", "path": "/spec/type", "value": "NodePort"}]\' -n shop',
    )
    (annotate, patch) = finding(unallocated({}), "LBD204").commands
    assert f"service/web {NLB}nlb-target-type=ip" in annotate and "allocateLoadBalancerNodePorts" in patch


def test_target_type_of_the_class_is_not_overridden_by_an_annotation() -> None:
    classes = (k8s.IngressClass(k8s.Meta("alb"), "ingress.k8s.aws/alb", "IngressClassParams", "alb"),)
    params = (k8s.IngressClassParams(k8s.Meta("alb"), {"targetType": "instance"}),)
    world = cluster_ip(
        cluster={
            "ingress_classes": Fact.known(reads.INGRESS_CLASSES, classes),
            "class_params": Fact.known(reads.INGRESS_CLASS_PARAMS, params),
        }
    )
    found = finding(world, "LBD204")
    assert "IngressClassParams" in found.params["said"]
    assert len(found.commands) == 1 and "NodePort" in found.commands[0] and not found.fix_automatic


def test_unknown_default_is_no_instance() -> None:
    denied: Fact[Any] = Fact.denied(reads.CONTROLLER, "forbidden", Permission(("list",), "deployments"))
    report = cluster_ip(cluster={"controllers": denied}).report()
    assert "LBD204" not in [d.finding.code for d in report.diagnoses] and report.status is not Status.HEALTHY


# --- LBD311 -----------------------------------------------------------------------------------------------------------

DRIFTED = replace(checked(World(), path="/old"), asks=False)


def test_settings_that_differ_are_named_with_their_source() -> None:
    world = annotated(DRIFTED, {ALB + "healthcheck-path": "/healthz", ALB + "healthcheck-interval-seconds": "20"})
    assert world.codes() == ["LBD311"]
    found = finding(world, "LBD311")
    assert found.params["differences"] == "path is /old, annotated is /healthz; 1 more"
    assert found.evidence[0].text == "path /old, interval 15"
    assert "interval 20" in found.evidence[1].text


def test_default_is_asked_for_without_an_annotation() -> None:
    assert "annotated is /" in finding(DRIFTED, "LBD311").params["differences"]


def test_service_of_a_network_load_balancer_has_other_defaults() -> None:
    world = replace(checked(World().as_nlb(), interval=10, timeout=10, healthy_threshold=3), asks=False)
    assert world.codes() == ["LBD311"]
    assert "unhealthy threshold is 2, annotated is 3" in finding(world, "LBD311").params["differences"]
    assert checked(world, unhealthy_threshold=3).codes() == []


def test_new_object_is_not_late() -> None:
    assert annotated(DRIFTED, {}, created=JUST_NOW).codes() == []


def test_refused_annotation_is_the_cause() -> None:
    assert annotated(DRIFTED, {ALB + "healthcheck-protocol": "http"}).codes() == ["LBD111"]


def test_controllers_complaint_is_the_cause() -> None:
    event = replace(
        BUILD_FAILED, message="Failed build model due to ingress: shop/web: no certificate found for host: x"
    )
    report = replace(DRIFTED, events=(event,)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD103"] and "LBD311" in report.diagnoses[0].explains


def test_group_of_a_user_made_binding_is_the_users() -> None:
    binding = replace(DRIFTED.made_binding(), meta=meta("mine"))
    assert replace(DRIFTED, binding=binding, subject=ObjectRef("TargetGroupBinding", NS, "mine")).codes() == []


def test_binding_of_an_ingress_is_judged_by_its_ingress() -> None:
    subject = ObjectRef("TargetGroupBinding", NS, DRIFTED.group.name)
    world = annotated(DRIFTED, {ALB + "healthcheck-path": "/healthz"})
    assert replace(world, binding=world.made_binding(), subject=subject).codes() == ["LBD311"]


def test_values_that_only_look_different() -> None:
    world = annotated(
        replace(checked(World(), matcher="200,201"), asks=False),
        {
            ALB + "healthcheck-path": "/healthz",
            ALB + "success-codes": "201, 200",
            ALB + "healthcheck-interval-seconds": "15",
        },
    )
    assert world.codes() == []


def test_path_of_a_tcp_check_does_not_matter() -> None:
    world = World().as_nlb()
    assert checked(world, path="/x", matcher="200-399").codes() == []


def failing(world: World) -> World:
    return replace(world, health=(mismatch(1, "404"), mismatch(2, "404")))


def test_targets_that_fail_by_the_change_in_aws() -> None:
    """The annotation is right: what AWS has is given back what is asked for, as the controller would."""
    world = failing(annotated(DRIFTED, {ALB + "healthcheck-path": "/healthz"}))
    diagnosis = world.report().diagnoses[0]
    found = diagnosis.finding
    assert (found.code, diagnosis.severity, diagnosis.fix) == ("LBD311", Severity.ERROR, "drift")
    assert "LBD301" in diagnosis.explains and len(found.targets) == 2
    (change,) = found.repairs[0].changes
    assert (change.object, change.field, change.now, change.then) == (
        found.object,
        "HealthCheckPath",
        "/old",
        "/healthz",
    )
    assert change.command.startswith(f"aws elbv2 modify-target-group --target-group-arn {world.group.arn} ")
    assert "--health-check-path /healthz" in change.command and found.fix_automatic
    assert [way.fix for way in found.alternatives] == ["healthcheck-path", "success-codes"]


def test_another_reason_is_not_the_changes_fault() -> None:
    """A path is not why connections are refused, and a threshold not why the answer is wrong."""
    refusing = replace(annotated(DRIFTED, {ALB + "healthcheck-path": "/healthz"}), health=(refused(1), refused(2)))
    assert [d.severity for d in refusing.report().diagnoses if d.finding.code == "LBD311"] in ([], [Severity.WARNING])
    counted = failing(checked(World(), healthy_threshold=9))
    counted = replace(counted, ingress=replace(counted.ingress, meta=meta("web")), asks=False)
    counted = checked(counted, path="/")
    assert "LBD311" not in [d.finding.code for d in counted.report().diagnoses if d.severity is Severity.ERROR]


def test_a_protocol_comes_back_with_its_path_and_codes() -> None:
    world = replace(checked(World().as_nlb(), protocol="TCP", path="", matcher=""), asks=False)
    wanted = {NLB + "healthcheck-protocol": "http", NLB + "healthcheck-path": "/healthz"}
    world = world.with_service(
        meta=replace(world.service.meta, annotations={**world.service.meta.annotations, **wanted})
    )
    world = replace(world, asks=False, health=(refused(1), refused(2)))
    found = finding(world, "LBD311")
    edits = {e.pointer: (e.now, e.then) for e in found.repairs[0].changes[0].edits}
    assert edits["/HealthCheckProtocol"] == ("TCP", "HTTP") and edits["/HealthCheckPath"] == (None, "/healthz")


# --- LBD312 -----------------------------------------------------------------------------------------------------------


def two_backends(
    own: tuple[aws.TargetHealth, ...], other: tuple[aws.TargetHealth, ...], path: str = "/healthz"
) -> World:
    world = replace(World(), health=own)
    api = k8s.Service(meta("api"), type="NodePort", selector={"app": "api"}, ports=world.service.ports)
    paths = (*world.ingress.paths, k8s.IngressPath("", "/api", "Prefix", k8s.IngressBackend("api", "80")))
    arn = world.group.arn.replace("0123456789abcdef", "fedcba9876543210")
    group = replace(
        world.group, arn=arn, name="k8s-shop-api", health_check=replace(world.group.health_check, path=path)
    )
    mine = world.made_binding()
    theirs = replace(mine, meta=replace(mine.meta, name="k8s-shop-api"), target_group_arn=arn, service="api")
    pods = tuple(pod(n, meta=meta(f"api-{n}", labels={"app": "api"}), ip=f"10.0.{n}.44") for n in (1, 2))
    return replace(
        world,
        ingress=replace(world.ingress, paths=paths),
        extra_services=(api,),
        pods=(*world.pods, *pods),
        facts={"bindings": Fact.known(reads.BINDINGS, (mine, theirs))},
        aws={
            "target_groups": {
                world.group.arn: Fact.known(reads.TARGET_GROUPS, world.group),
                arn: Fact.known(reads.TARGET_GROUPS, group),
            },
            "target_health": {
                world.group.arn: Fact.known(reads.TARGET_HEALTH, own),
                arn: Fact.known(reads.TARGET_HEALTH, other),
            },
            "group_attributes": {a: Fact.known(reads.TARGET_GROUP_ATTRIBUTES, {}) for a in (world.group.arn, arn)},
        },
    )


GOOD = (target(1), target(2))
BAD = (mismatch(1, "404"), mismatch(2, "404"))
API_GOOD = tuple(replace(t, id=t.id.replace(".34", ".44")) for t in GOOD)
API_BAD = tuple(replace(t, id=t.id.replace(".34", ".44")) for t in BAD)


def test_one_path_that_some_backends_answer() -> None:
    world = two_backends(GOOD, API_BAD)
    # The world has no EndpointSlice of the second Service, whose ready pods LBD233 tells of.
    assert world.codes() == ["LBD301", "LBD233"], "one cause, one diagnosis"
    assert "LBD312" in world.report().diagnoses[0].explains
    results = run(CATALOGUE, traffic_paths(world.build()))
    found = next(f for result in results for f in result.findings if f.code == "LBD312")
    assert (found.params["good"], found.params["bad"]) == (("web",), ("api",))
    assert found.object.kind == "Ingress"


@pytest.mark.parametrize(
    "world",
    [
        two_backends(GOOD, API_GOOD),
        two_backends(BAD, API_BAD),
        two_backends(GOOD, API_BAD, path="/other"),
        two_backends(GOOD, tuple(replace(t, description="failed with these codes: [503]") for t in API_BAD)),
    ],
)
def test_other_reasons_than_one_path(world: World) -> None:
    results = run(CATALOGUE, traffic_paths(world.build()))
    assert "LBD312" not in [f.code for result in results for f in result.findings]


# --- LBD318 -----------------------------------------------------------------------------------------------------------

OTHER_PATH = checked(World(health=(timed_out(1), timed_out(2))), path="/")


def informed(world: World) -> list[str]:
    return [d.finding.code for d in world.report().diagnoses]


def test_readiness_path_is_named_beside_an_unexplained_failure() -> None:
    assert informed(OTHER_PATH) == ["LBD005", "LBD318"]
    assert finding(OTHER_PATH, "LBD318").commands == (
        f"kubectl annotate ingress/web {ALB}healthcheck-path=/healthz --overwrite -n shop",
    )


def test_network_load_balancer_with_another_path() -> None:
    world = checked(World().as_nlb(), protocol="HTTP", path="/", matcher="200-399")
    world = replace(world, health=(refused(1), refused(2)))
    assert informed(world) == ["LBD005", "LBD318"]
    assert next(h.code for h in finding(world, "LBD005").hypotheses) == "LBD301"


@pytest.mark.parametrize(
    "world",
    [
        checked(World(), path="/"),
        checked(World(health=BAD), path="/"),
        World(health=(timed_out(1), timed_out(2))),
        replace(OTHER_PATH, pods=tuple(pod(n, containers=(container(readiness=None),)) for n in (1, 2))),
    ],
)
def test_no_word_about_the_path(world: World) -> None:
    assert "LBD318" not in informed(world)


def test_explained_failure_leaves_the_path_alone() -> None:
    world = checked(World().instance_mode().with_service(external_traffic_policy="Local"), path="/")
    world = replace(
        world, pods=(pod(1),), health=(instance_target(1), instance_target(2, "unhealthy", "Target.Timeout"))
    )
    assert informed(world) == ["LBD602"]


# --- all of them ------------------------------------------------------------------------------------------------------

FACTS = ("ingresses", "services", "slices", "pods", "bindings", "events", "workloads")
CLUSTER = ("nodes", "ingress_classes", "class_params", "controllers", "group_ingresses")
OWN = frozenset({"LBD108", "LBD110", "LBD111", "LBD112", "LBD204", "LBD310", "LBD311", "LBD312", "LBD318"})
WORLDS = {
    "cluster ip": cluster_ip(),
    "unallocated": unallocated({}),
    "drifted": DRIFTED,
    "one path": two_backends(GOOD, API_BAD),
    "other path": OTHER_PATH,
    "bad timing": annotated(World(), {ALB + "healthcheck-interval-seconds": "5", ALB + "healthcheck-path": "/healthz"}),
    "mistyped": annotated(World(), {ALB + "health-check-path": "/", ALB + "healthcheck-protocol": "http"}),
    "network load balancer": World().as_nlb().with_service(meta=meta("web", annotations={NLB + "scheme": "inside"})),
}


@pytest.mark.parametrize("name", WORLDS)
def test_declared_reads_hold_in_these_worlds(name: str) -> None:
    for traffic in traffic_paths(WORLDS[name].build()):
        for spec in CATALOGUE.checks():
            with recording() as opened:
                run(Catalogue({spec.code: spec}), (traffic,))
            assert spec.code not in OWN or opened <= spec.reads, f"{spec.code} opens {opened - spec.reads}"


@pytest.mark.parametrize("name", WORLDS)
def test_each_denied_list_neither_crashes_nor_invents(name: str) -> None:
    world = WORLDS[name]
    known = {d.finding.code for d in world.report().diagnoses} & OWN
    denied: Fact[Any] = Fact.denied("x", "forbidden", Permission(said="list"))
    for part in (*FACTS, *CLUSTER):
        where = "facts" if part in FACTS else "cluster"
        less = replace(world, **{where: {**getattr(world, where), part: denied}})
        assert [r for r in less.results() if r.status is CheckStatus.CRASHED] == [], part
        assert {d.finding.code for d in less.report().diagnoses} & OWN <= known, part
