"""LBD1xx and the causes that the controller names itself, from events and from its log, with healthy twins."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.identity import identity_evidence
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef, Severity
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.report import build
from tests.support.world import (
    CONTROLLER_POD,
    JUST_NOW,
    LONG_AGO,
    NOT_READY,
    NS,
    World,
    conditions,
    controller,
    controller_pod,
    meta,
    node,
    pod,
    target,
    timed_out,
)

DENIED = (
    "Failed deploy model due to operation error Elastic Load Balancing v2: ModifyRule, https response error "
    "StatusCode: 403, RequestID: 1, api error AccessDenied: User: arn:aws:sts::000000000001:assumed-role/lbc/1 is not "
    "authorized to perform: elasticloadbalancing:ModifyRule on resource: x because no identity-based policy allows the "
    "elasticloadbalancing:ModifyRule action"
)


def event(reason: str, message: str, kind: str = "Ingress", name: str = "web", **values: object) -> k8s.Event:
    return k8s.Event(
        **{
            "kind": kind,
            "name": name,
            "namespace": NS,
            "type": "Warning",
            "reason": reason,
            "message": message,
            "component": kind.lower(),
            "last": JUST_NOW,
            **values,
        }
    )


SUCCESS = event("SuccessfullyReconciled", "Successfully reconciled", type="Normal")

EVENTS = {
    "LBD103": event("FailedBuildModel", "Failed build model due to something nobody has seen before"),
    "LBD104": event("FailedDeployModel", "Failed deploy model due to something nobody has seen before"),
    "LBD120": event("FailedDeployModel", DENIED),
    "LBD121": event(
        "FailedBuildModel",
        "Failed build model due to operation error EC2: DescribeSubnets, get identity: get credentials: failed to "
        "refresh cached credentials, no EC2 IMDS role found",
    ),
    "LBD123": event(
        "FailedDeployModel",
        "Failed deploy model due to operation error WAFV2: GetWebACLForResource, https response error StatusCode: 0, "
        'RequestID: , request send failed, Post "https://wafv2.us-west-2.amazonaws.com/": '
        "dial tcp 10.0.0.9:443: i/o timeout",
    ),
    "LBD124": event(
        "FailedDeployModel",
        "Failed deploy model due to Internal error occurred: failed calling webhook "
        '"mtargetgroupbinding.elbv2.k8s.aws": '
        'failed to call webhook: Post "https://aws-load-balancer-webhook-service.kube-system.svc:443/x?timeout=10s": '
        "context deadline exceeded",
    ),
    "LBD125": event(
        "FailedDeployModel",
        "Failed deploy model due to Internal error occurred: failed calling webhook "
        '"mtargetgroupbinding.elbv2.k8s.aws": '
        'failed to call webhook: Post "https://aws-load-balancer-webhook-service.kube-system.svc:443/x?timeout=10s": '
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    "LBD216": event(
        "FailedDeployModel",
        "Failed deploy model due to operation error Elastic Load Balancing v2: CreateTargetGroup, https response error "
        "StatusCode: 400, RequestID: 1, TooManyTargetGroups: limit reached",
    ),
    "LBD505": event(
        "FailedNetworkReconcile",
        "expected exactly one securityGroup tagged with kubernetes.io/cluster/lab for eni eni-1, got: [sg-1 sg-2] "
        "(clusterName: lab)",
        kind="TargetGroupBinding",
        name=World().group.name,
    ),
    "LBD511": event(
        "FailedBuildModel",
        "Failed build model due to couldn't auto-discover subnets: unable to resolve at least one subnet. Evaluated 4 "
        "subnets: 4 are tagged for other clusters, and 0 have insufficient available IP addresses",
    ),
    "LBD512": event(
        "FailedBuildModel",
        "Failed build model due to couldn't auto-discover subnets: unable to resolve at least one subnet. Evaluated 2 "
        "subnets: 0 are tagged for other clusters, and 2 have insufficient available IP addresses",
    ),
}


@pytest.mark.parametrize("code", EVENTS)
def test_event_is_decoded_into_the_first_diagnosis(code: str) -> None:
    report = World(events=(EVENTS[code],)).report()
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == [code]


@pytest.mark.parametrize("code", EVENTS)
def test_event_that_a_success_followed_is_over(code: str) -> None:
    failed = replace(EVENTS[code], last=LONG_AGO)
    done = replace(SUCCESS, kind=failed.kind, name=failed.name)
    assert World(events=(failed, done)).codes() == []


def test_event_of_an_object_that_was_made_anew_does_not_count() -> None:
    world = World(events=(replace(EVENTS["LBD104"], uid="old"),))
    world = replace(world, ingress=replace(world.ingress, meta=replace(world.ingress.meta, uid="new")))
    assert world.codes() == []


def test_denied_action_names_action_role_and_statement() -> None:
    finding = World(events=(EVENTS["LBD120"],)).report().diagnoses[0].finding
    assert finding.object.name == "lbc"
    assert finding.params["action"] == "elasticloadbalancing:ModifyRule"
    assert '"elasticloadbalancing:ModifyRule"' in finding.advice and '"Allow"' in finding.advice


def line(**fields: object) -> str:
    return json.dumps({"level": "error", "ts": JUST_NOW, "msg": "Reconciler error", **fields})


REGISTER = line(
    controller="targetGroupBinding",
    namespace=NS,
    name=World().group.name,
    error="operation error Elastic Load Balancing v2: RegisterTargets, https response error StatusCode: 403, "
    "RequestID: 1, "
    "api error AccessDenied: User: arn:aws:sts::000000000001:assumed-role/lbc/1 is not authorized to perform: "
    "elasticloadbalancing:RegisterTargets",
)


def test_failure_that_stands_in_the_log_alone_is_found() -> None:
    report = World(health=(), log=REGISTER).report()
    first = report.diagnoses[0]
    assert first.finding.code == "LBD120" and "LBD217" in first.explains
    assert report.status is Status.UNHEALTHY


def test_log_about_another_binding_is_not_ours() -> None:
    assert World(log=REGISTER.replace(World().group.name, "k8s-other")).codes() == []


def test_denied_logs_make_the_controllers_checks_unknown() -> None:
    denied: Fact[str] = Fact.denied(
        reads.CONTROLLER_LOGS, "forbidden", Permission(("get",), "pods/log"), CONTROLLER_POD
    )
    report = World(cluster={"controller_logs": {CONTROLLER_POD: denied}}).report()
    assert report.status is Status.UNKNOWN and "LBD120" in {u.code for u in report.unknown}


def grouped(world: World) -> World:
    annotations = {"alb.ingress.kubernetes.io/group.name": "team"}
    ingress = replace(world.ingress, meta=replace(world.ingress.meta, annotations=annotations))
    binding = replace(world.made_binding(), meta=meta(world.group.name, labels={"ingress.k8s.aws/stack": "team"}))
    return replace(world, ingress=ingress, binding=binding)


def test_blocked_group_points_to_the_member_at_fault() -> None:
    text = "Failed build model due to ingress: pay/bad: unable to find port 9999 on service pay/api"
    report = grouped(World(events=(event("FailedBuildModel", text),))).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD105"]
    assert (report.diagnoses[0].finding.object.namespace, report.diagnoses[0].finding.object.name) == ("pay", "bad")


def test_member_at_fault_itself_is_not_blocked_by_another() -> None:
    text = f"Failed build model due to ingress: {NS}/web: something nobody has seen before"
    assert grouped(World(events=(event("FailedBuildModel", text),))).codes() == ["LBD103"]


def test_controller_scaled_to_zero() -> None:
    nobody = {"controllers": Fact.known(reads.CONTROLLER, (controller(replicas=0, ready=0),))}
    report = World(health=(), cluster=nobody).report()
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == ["LBD102"]
    assert "kubectl scale" in report.diagnoses[0].finding.commands[0]


def controller_on(*nodes: str) -> dict[str, Fact[Any]]:
    """A Deployment without a ready pod, and its pods, one on each of these nodes, as a lost kubelet leaves them."""
    pods = (controller_pod(conditions=NOT_READY, node=name) for name in nodes)
    named = (replace(p, meta=replace(p.meta, name=f"lbc-{number}")) for number, p in enumerate(pods))
    return {
        "controllers": Fact.known(reads.CONTROLLER, (controller(ready=0),)),
        "controller_pods": Fact.known(reads.CONTROLLER_PODS, tuple(named)),
    }


LOST = conditions(Ready="Unknown")
LOST_POD = conditions(PodScheduled="True", ContainersReady="True", Ready="False")


def test_the_node_that_is_lost_with_the_controller_is_the_one_cause() -> None:
    """Its pod stays a target, because nobody takes it out."""
    world = World(
        pods=(pod(1, conditions=LOST_POD), pod(2)),
        nodes=(node(1, conditions=LOST), node(2)),
        health=(timed_out(1), target(2)),
        cluster=controller_on("node1"),
    )
    found = world.report().diagnoses
    assert [(d.finding.code, d.finding.object.kind, d.finding.object.name) for d in found] == [
        ("LBD409", "Node", "node1")
    ]
    assert "LBD102" in found[0].explains


@pytest.mark.parametrize("under", [("node2",), ("node1", "node2"), ("",)])
def test_a_controller_that_fails_elsewhere_is_a_cause_of_its_own(under: tuple[str, ...]) -> None:
    world = World(
        pods=(pod(1, conditions=LOST_POD), pod(2)),
        nodes=(node(1, conditions=LOST), node(2)),
        health=(timed_out(1), target(2)),
        cluster=controller_on(*under),
    )
    found = {d.finding.code: d for d in world.report().diagnoses}
    assert {*found} == {"LBD102", "LBD409"}
    assert "node" not in found["LBD102"].message and "last log" in found["LBD102"].finding.advice


def test_the_nodes_under_the_controller_are_named_where_nothing_else_runs_there() -> None:
    world = World(nodes=(node(1), node(2), node(3, conditions=LOST)), cluster=controller_on("node3"))
    (found,) = world.report().diagnoses
    assert found.message == "the controller has no ready replica: its node node3 is not ready"
    assert "kubectl describe node node3" in found.finding.confirm and "bring the node back" in found.finding.advice


def test_crashing_controller_says_why_in_its_log() -> None:
    status = k8s.ContainerStatus(
        "aws-load-balancer-controller",
        state="waiting",
        reason="CrashLoopBackOff",
        restarts=4,
        last_reason="Error",
        last_exit_code=1,
    )
    log = json.dumps(
        {
            "level": "error",
            "ts": JUST_NOW,
            "logger": "setup",
            "msg": "unable to initialize AWS cloud",
            "error": "failed to get VPC ID: failed to fetch VPC ID from instance metadata: error in fetching vpc id",
        }
    )
    cluster = {
        "controllers": Fact.known(reads.CONTROLLER, (controller(ready=0),)),
        "controller_pods": Fact.known(
            reads.CONTROLLER_PODS, (controller_pod(conditions=NOT_READY, statuses=(status,)),)
        ),
    }
    report = World(log=log, cluster=cluster).report()
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == ["LBD122"]
    assert "LBD102" in report.diagnoses[0].explains


def with_arguments(*arguments: str) -> k8s.Workload:
    """A second controller in a namespace of its own."""
    other = controller(meta=k8s.Meta("lbc", "ingress"))
    return replace(other, containers=(replace(other.containers[0], args=arguments),))


def severities(other: k8s.Workload) -> list[tuple[str, str]]:
    both = {"controllers": Fact.known(reads.CONTROLLER, (controller(), other))}
    return [(d.finding.code, d.severity.value) for d in World(cluster=both).report().diagnoses]


def test_two_controllers_of_one_class_compete() -> None:
    assert severities(controller(meta=k8s.Meta("lbc", "ingress"))) == [("LBD127", "error")]


@pytest.mark.parametrize("words", [("--ingress-class=internal",), ("--ingress-class", "internal")])
def test_a_class_of_its_own_keeps_no_controller_apart(words: tuple[str, ...]) -> None:
    """Every controller takes every class of ingress.k8s.aws/alb that an Ingress names by ingressClassName."""
    assert severities(with_arguments("--cluster-name=lab", *words)) == [("LBD127", "warning")]


@pytest.mark.parametrize("namespace", ["$(NAMESPACE)", "$(POD_NAMESPACE)"])
def test_a_namespace_that_cannot_be_told_accuses_nobody(namespace: str) -> None:
    assert severities(with_arguments("--cluster-name=lab", f"--watch-namespace={namespace}")) == []


def test_webhook_without_endpoint_and_with_one() -> None:
    hook = k8s.WebhookConfiguration("aws-load-balancer-webhook", "vingress.elbv2.k8s.aws", "kube-system", "hook")
    webhooks = Fact.known(reads.WEBHOOKS, (hook,))
    assert World(cluster={"webhooks": webhooks}).codes() == ["LBD126"]
    ready = k8s.EndpointSlice(
        k8s.Meta("hook-1", "kube-system"), "hook", endpoints=(k8s.Endpoint(("10.0.1.40",), True),)
    )
    slices = Fact.known(reads.WEBHOOK_SLICES, (ready,))
    assert World(cluster={"webhooks": webhooks, "webhook_slices": slices}).codes() == []


def test_class_of_another_controller() -> None:
    classes = Fact.known(reads.INGRESS_CLASSES, (k8s.IngressClass(k8s.Meta("alb"), "k8s.io/ingress-nginx"),))
    assert World(health=(), cluster={"ingress_classes": classes}).codes()[:1] == ["LBD101"]


def test_backend_without_binding() -> None:
    none = {"bindings": Fact.known(reads.BINDINGS, ())}
    assert World(facts=none).codes() == ["LBD109"]
    asked = "kubectl annotate ingress/web lbdoctor.io/reconcile=20261123T120000Z --overwrite -n shop"
    assert World(facts=none).report().diagnoses[0].finding.by_hand == (asked,)
    young = replace(World().ingress, meta=meta("web", created=JUST_NOW))
    assert World(facts=none, ingress=young).codes() == []


def test_binding_whose_target_group_is_gone() -> None:
    gone = {World().group.arn: Fact.known(reads.TARGET_GROUPS, None, "x")}
    assert World(aws={"target_groups": gone}).codes() == ["LBD113"]


def test_two_bindings_on_one_target_group_unless_multi_cluster() -> None:
    own = World().made_binding()
    second = replace(own, meta=meta("by-hand"))
    pair = {"bindings": Fact.known(reads.BINDINGS, (own, second))}
    assert World(facts=pair).codes() == ["LBD114"]
    multi = tuple(replace(b, multi_cluster=True) for b in (own, second))
    assert World(facts={"bindings": Fact.known(reads.BINDINGS, multi)}).codes() == []


def test_two_bindings_on_what_is_no_arn() -> None:
    """The field is free text: what is no ARN stands in the finding as it is."""
    own = replace(World().made_binding(), target_group_arn="wrong")
    pair = (own, replace(own, meta=meta("by-hand")))
    world = World(facts={"bindings": Fact.known(reads.BINDINGS, pair)})
    found = [d.finding for d in world.report().diagnoses if d.finding.code == "LBD114"]
    assert [f.params["group"] for f in found] == ["wrong"]


@pytest.mark.parametrize("broken", [{"service": "wep"}, {"port": "8080"}])
def test_binding_to_what_is_not_there(broken: dict[str, str]) -> None:
    """An error once the targets are gone; while they still serve it is a warning."""
    own = replace(World().made_binding(), **broken)
    subject = ObjectRef("TargetGroupBinding", NS, own.meta.name)
    for health, severity in (((), Severity.ERROR), (World().health, Severity.WARNING)):
        first = World(binding=own, subject=subject, health=health).report().diagnoses[0]
        assert (first.finding.code, first.severity) == ("LBD115", severity)
    sound = World(binding=World().made_binding(), subject=subject)
    assert "LBD115" not in sound.codes()


def test_object_that_waits_for_its_finalizer() -> None:
    ingress = World().ingress
    stuck = replace(ingress, meta=replace(ingress.meta, deleted=LONG_AGO))
    assert World(ingress=stuck).codes() == ["LBD116"]
    assert "clean-up" in World(ingress=stuck).report().diagnoses[0].finding.advice
    kept = event("FailedBuildModel", "deletion_protection is enabled, cannot delete the ingress: web")
    world = World(ingress=stuck, events=(kept,))
    assert "deletion_protection.enabled=false" in world.report().diagnoses[0].finding.advice
    fresh = replace(ingress, meta=replace(ingress.meta, deleted=JUST_NOW))
    assert World(ingress=fresh).codes() == []


def test_an_unreachable_api_is_one_cause_whatever_object_it_is_told_of() -> None:
    binding = World().made_binding().meta.name
    same = replace(EVENTS["LBD123"], kind="TargetGroupBinding", name=binding, reason="FailedReconcile")
    report = World(events=(EVENTS["LBD123"], same)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD123"]
    assert len(report.diagnoses[0].finding.evidence) == 2


def identity_texts(world: World) -> list[str]:
    """Where the controller's identity comes from, as a finding about it says."""
    return [found.text for found in identity_evidence(traffic_paths(world.build())[0])]


def test_the_identity_of_the_controller_is_told_with_where_it_comes_from() -> None:
    account = k8s.ServiceAccount(k8s.Meta("lbc", "kube-system", annotations={"eks.amazonaws.com/role-arn": "arn:r"}))
    accounts = {"kube-system/lbc": Fact.known(reads.SERVICE_ACCOUNTS, account)}
    texts = identity_texts(World(cluster={"service_accounts": accounts}))
    assert "role-arn arn:r" in texts
    assert "no identity of its own: the SDK falls back to the node's role" in texts
    own = replace(controller().containers[0], env={"AWS_ROLE_ARN": "arn:r"})
    pods = {"controller_pods": Fact.known(reads.CONTROLLER_PODS, (controller_pod(containers=(own,)),))}
    assert "IRSA: AWS_ROLE_ARN arn:r" in identity_texts(World(cluster=pods))


def test_a_denial_that_names_the_role_does_without() -> None:
    texts = [e.text for e in World(events=(EVENTS["LBD120"],)).report().diagnoses[0].finding.evidence]
    assert any("assumed-role/lbc" in text for text in texts)
    assert not any("no identity of its own" in text for text in texts)


def test_a_complaint_about_the_subject_counts_where_the_subject_itself_may_not_be_read() -> None:
    """Whatever the kind: the events name the frontend, and the Service and binding behind it may be healthy."""
    snapshot = World(events=(EVENTS["LBD120"],)).build()
    shop = replace(
        snapshot.namespaces["shop"],
        ingresses=Fact.denied(reads.INGRESSES, "forbidden", Permission(("list",), "ingresses"), "shop"),
    )
    paths = traffic_paths(replace(snapshot, namespaces={"shop": shop}))
    report = build(replace(snapshot, namespaces={"shop": shop}), paths, run(CATALOGUE, paths), CATALOGUE)
    assert [d.finding.code for d in report.diagnoses if d.severity.value == "error"] == ["LBD120"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_failure_is_over_when_the_retry_of_the_same_second_succeeds(turned: bool) -> None:
    """Seen on a busy lab: CreateTargetGroup was sent twice, the second was refused, and the retry found the group."""
    both = (EVENTS["LBD104"], replace(SUCCESS, last=EVENTS["LBD104"].last))
    assert World(events=both[::-1] if turned else both).codes() == []
