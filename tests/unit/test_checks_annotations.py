"""Annotations on the objects of a route, and who owns an object: each code failing, passing, and beside its twins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.frontends import ownership, traffic_paths
from kubectl_lbdoctor.analysis.ownership import Ownership, controller_flags
from kubectl_lbdoctor.analysis.running_version import controller_version
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.fact import Fact, Unknown
from kubectl_lbdoctor.model.finding import Finding, Severity
from kubectl_lbdoctor.model.report import Status
from tests.support.world import LONG_AGO, World, controller, meta, mismatch

ALB = "alb.ingress.kubernetes.io/"
NLB = "service.beta.kubernetes.io/aws-load-balancer-"
ACTION = '{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":"80"}]}}'


def on_ingress(world: World | None = None, **annotations: str) -> World:
    """The world with annotations `alb.ingress.kubernetes.io/<name>`; "_" in a name stands for "-"."""
    world = world or World()
    now = {**world.ingress.meta.annotations, **{ALB + k.replace("_", "-"): v for k, v in annotations.items()}}
    return replace(world, ingress=replace(world.ingress, meta=replace(world.ingress.meta, annotations=now)))


def on_service(world: World, **annotations: str) -> World:
    now = {**world.service.meta.annotations, **{NLB + k.replace("_", "-"): v for k, v in annotations.items()}}
    return world.with_service(meta=replace(world.service.meta, annotations=now))


def warned(text: str, reason: str = "FailedBuildModel") -> k8s.Event:
    return k8s.Event("Ingress", "web", "shop", type="Warning", reason=reason, message=text, last=LONG_AGO)


def backend(world: World, name: str, port: str) -> World:
    path = k8s.IngressPath("", "/go", "Prefix", k8s.IngressBackend(name, port))
    return replace(world, ingress=replace(world.ingress, paths=(*world.ingress.paths, path)))


def finding(world: World, code: str) -> Finding:
    return next(d.finding for d in world.report().diagnoses if d.finding.code == code)


NO_PATH = replace(
    World().with_group(health_check=replace(World().group.health_check, path="/")),
    asks=False,
)
UNKNOWN_KEY = on_ingress(NO_PATH, health_check_path="/healthz")
BAD_VALUE = on_ingress(healthcheck_protocol="http")
TIMING = on_ingress(healthcheck_interval_seconds="5")
USELESS = on_ingress(World(), certificate_arn="arn:aws:acm:x:1:certificate/y", listen_ports='[{"HTTP": 80}]')
ACTION_MISSING = backend(on_ingress(**{"actions.go": ACTION}), "goo", "use-annotation")

FAULTS = {
    "LBD108": ACTION_MISSING,
    "LBD110": UNKNOWN_KEY,
    "LBD111": BAD_VALUE,
    "LBD112": USELESS,
    "LBD310": TIMING,
}


@pytest.mark.parametrize("code", FAULTS)
def test_fault_is_the_only_diagnosis(code: str) -> None:
    assert FAULTS[code].codes() == [code]


HEALTHY = {
    "known keys and good values": on_ingress(
        healthcheck_path="/healthz",
        success_codes="200",
        target_type="ip",
        scheme="internet-facing",
        listen_ports='[{"HTTP": 80}, {"HTTPS": 443}]',
    ),
    "interval and timeout together": on_ingress(healthcheck_interval_seconds="15", healthcheck_timeout_seconds="5"),
    "keys of others": World(
        ingress=replace(
            World().ingress,
            meta=meta("web", annotations={"nginx.ingress.kubernetes.io/backend-protocol": "HTTP", "a": "b"}),
        )
    ),
    "use-annotation with its action": backend(on_ingress(**{"actions.go": ACTION}), "go", "use-annotation"),
    "annotations of a Network Load Balancer": on_service(
        World().as_nlb(), scheme="internet-facing", nlb_target_type="ip", healthcheck_protocol="tcp"
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_twin_is_silent(name: str) -> None:
    assert [d.finding.code for d in HEALTHY[name].report().diagnoses if d.finding.code != "LBD311"] == []


def test_mistyped_key_is_renamed_in_one_command() -> None:
    found = finding(UNKNOWN_KEY, "LBD110")
    assert found.commands == (
        f"kubectl annotate ingress/web {ALB}healthcheck-path=/healthz {ALB}health-check-path- --overwrite -n shop",
    )
    assert found.fix_automatic


def test_key_that_is_already_there_is_only_removed() -> None:
    found = finding(on_ingress(UNKNOWN_KEY, healthcheck_path="/healthz"), "LBD110")
    assert found.commands == (f"kubectl annotate ingress/web {ALB}health-check-path- -n shop",)
    assert not found.fix_automatic


def test_key_like_no_other_has_no_repair() -> None:
    found = finding(on_ingress(zzzz="1"), "LBD110")
    assert not found.commands and not found.fix_automatic


def test_value_that_is_plain_is_corrected() -> None:
    found = finding(on_ingress(healthcheck_timeout_seconds="4s"), "LBD111")
    assert found.commands == (f"kubectl annotate ingress/web {ALB}healthcheck-timeout-seconds=4 --overwrite -n shop",)
    assert found.fix_automatic


def test_typographic_quotes_are_removed() -> None:
    found = finding(on_ingress(healthcheck_protocol="‘HTTP’"), "LBD111")
    assert found.fix_automatic and "healthcheck-protocol=HTTP " in found.commands[0]


def test_value_explains_the_controllers_complaint() -> None:
    text = "Failed build model due to ingress: shop/web: healthCheckProtocol must be within [HTTP, HTTPS]: http"
    report = replace(BAD_VALUE, events=(warned(text),)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD111"]
    assert "LBD103" in report.diagnoses[0].explains


def test_timing_explains_the_refusal_of_aws() -> None:
    text = (
        "Failed deploy model due to operation error Elastic Load Balancing v2: CreateTargetGroup, https response error "
        "StatusCode: 400, RequestID: x, api error ValidationError: Health check interval must be greater than the "
        "timeout."
    )
    report = replace(TIMING, events=(warned(text, "FailedDeployModel"),)).report()
    assert [d.finding.code for d in report.diagnoses] == ["LBD310"]


def test_ignored_value_is_a_warning_and_explains_no_error() -> None:
    world = on_ingress(target_group_attributes="deregistration_delay.timeout_seconds=9999")
    found = finding(world, "LBD111")
    assert found.severity is Severity.WARNING
    text = "Failed build model due to ingress: shop/web: no certificate found for host: shop.example"
    codes = replace(world, events=(warned(text),)).codes()
    assert codes == ["LBD103", "LBD111"]


def test_unused_action_is_information() -> None:
    report = on_ingress(**{"actions.go": ACTION}).report()
    assert [(d.finding.code, d.severity) for d in report.diagnoses if d.finding.code != "LBD311"] == [
        ("LBD112", Severity.INFO)
    ]
    assert report.status is Status.HEALTHY


def test_one_finding_per_annotation_of_an_ingress_with_several_services() -> None:
    other = k8s.Service(meta("api"), type="NodePort", selector={"app": "web"}, ports=World().service.ports)
    world = replace(backend(on_ingress(healthcheck_port="metrics"), "api", "80"), extra_services=(other,))
    codes = [d.finding.code for d in world.report().diagnoses if d.finding.code == "LBD111"]
    assert codes == ["LBD111"]


def test_annotation_that_one_of_several_services_uses_has_an_effect() -> None:
    http = replace(World().service, meta=meta("api"))
    grpc = replace(World().service, meta=meta("web", annotations={ALB + "success-codes": "12"}))
    world = backend(replace(World(service=grpc), extra_services=(http,)), "api", "80")
    assert "LBD112" not in on_ingress(world, success_codes="200").codes()


def test_path_with_a_tcp_check_has_no_effect() -> None:
    found = finding(on_service(World().as_nlb(), healthcheck_path="/healthz"), "LBD112")
    assert found.commands == (f"kubectl annotate service/web {NLB}healthcheck-protocol=http --overwrite -n shop",)
    assert not found.fix_automatic


def test_service_annotation_is_linted_behind_an_ingress() -> None:
    key = ALB + "healthchek-path"
    world = World().with_service(meta=meta("web", annotations={key: "/healthz"}))
    found = finding(world, "LBD110")
    assert found.object.kind == "Service" and f"{ALB}healthcheck-path=/healthz" in found.commands[0]
    assert not found.fix_automatic  # Only the spelling is alike.


def test_annotations_for_another_controller_are_left_alone() -> None:
    world = on_ingress(healthcheck_protocol="http", nonsense="1")
    world = replace(world, ingress=replace(world.ingress, class_name="nginx"))
    classes = Fact.known(reads.INGRESS_CLASSES, (k8s.IngressClass(k8s.Meta("nginx"), "k8s.io/ingress-nginx"),))
    assert replace(world, cluster={"ingress_classes": classes}).codes() == ["LBD101"]


def test_key_is_still_judged_when_services_are_denied() -> None:
    denied: Fact[object] = Fact.denied(reads.SERVICES, "forbidden", "list services", "shop")
    world = replace(
        on_ingress(health_check_path="/healthz", healthcheck_interval_seconds="5"), facts={"services": denied}
    )
    assert [c for c in world.codes() if c in FAULTS] == ["LBD110"]


def test_class_parameters_win_over_an_annotation() -> None:
    classes = (k8s.IngressClass(k8s.Meta("alb"), "ingress.k8s.aws/alb", "IngressClassParams", "alb"),)
    params = (k8s.IngressClassParams(k8s.Meta("alb"), {"scheme": "internal"}),)
    world = replace(
        on_ingress(scheme="internet-facing"),
        cluster={
            "ingress_classes": Fact.known(reads.INGRESS_CLASSES, classes),
            "class_params": Fact.known(reads.INGRESS_CLASS_PARAMS, params),
        },
    )
    assert "internal" in finding(world, "LBD112").params["reason"]


def test_missing_action_is_renamed_only_when_nobody_uses_the_similar_one() -> None:
    found = finding(ACTION_MISSING, "LBD108")
    assert [d.finding.code for d in ACTION_MISSING.report().diagnoses] == ["LBD108"]
    assert (
        found.fix_automatic and f"{ALB}actions.go-" in found.commands[0] and f"{ALB}actions.goo=" in found.commands[0]
    )
    both = finding(backend(ACTION_MISSING, "go", "use-annotation"), "LBD108")
    assert not both.commands and not both.fix_automatic


def test_mistyped_port_name_of_an_action() -> None:
    world = backend(on_ingress(**{"actions.go": ACTION}), "go", "use-annotations")
    diagnoses = [d for d in world.report().diagnoses if d.severity is Severity.ERROR]
    assert [d.finding.code for d in diagnoses] == ["LBD108"] and "LBD106" in diagnoses[0].explains


def test_service_with_a_port_that_is_missing_is_not_taken_for_an_action() -> None:
    assert backend(World(), "web", "use-annotations").codes() == ["LBD107"]


# --- ownership --------------------------------------------------------------------------------------------------------


def owner(world: World) -> Ownership:
    return ownership(traffic_paths(world.build())[0])


def classed(name: str = "", annotation: str = "", *classes: tuple[str, str, bool], **cluster: Fact[object]) -> World:
    """An Ingress with a class and a cluster with (name, controller, is the default) classes."""
    annotations = {"kubernetes.io/ingress.class": annotation} if annotation else {}
    made = tuple(
        k8s.IngressClass(
            k8s.Meta(n, annotations={"ingressclass.kubernetes.io/is-default-class": "true"} if default else {}), c
        )
        for n, c, default in classes
    )
    ingress = replace(World().ingress, class_name=name, meta=meta("web", annotations=annotations))
    return World(ingress=ingress, cluster={"ingress_classes": Fact.known(reads.INGRESS_CLASSES, made), **cluster})


OURS = ("alb", "ingress.k8s.aws/alb", False)
NGINX = ("nginx", "k8s.io/ingress-nginx", False)
AUTO = ("auto", "eks.amazonaws.com/alb", False)
DENIED: Fact[object] = Fact.denied(reads.CONTROLLER, "forbidden", "list deployments")
NONE: Fact[object] = Fact.known(reads.CONTROLLER, ())

INGRESS_OWNERS = {
    "our class": (classed("alb", "", OURS), "controller"),
    "auto mode": (classed("auto", "", AUTO), "auto-mode"),
    "another controller": (classed("nginx", "", OURS, NGINX), "other"),
    "missing class": (classed("alp", "", OURS), "nobody"),
    "annotation wins": (classed("nginx", "alb", OURS, NGINX), "controller"),
    "annotation of another wins": (classed("alb", "nginx", OURS, NGINX), "other"),
    "annotation of another, controllers denied": (classed("", "nginx", NGINX, controllers=DENIED), "other"),
    "annotation alb, controllers denied": (classed("", "alb", controllers=DENIED), "controller"),
    "annotation alb, auto mode only": (classed("", "alb", AUTO, controllers=NONE), "nobody"),
    "no class": (classed("", "", OURS), "nobody"),
    "default class": (classed("", "", (*OURS[:2], True)), "controller"),
    "default class of another": (classed("", "", OURS, (*NGINX[:2], True)), "other"),
    "two defaults": (classed("", "", (*OURS[:2], True), (*NGINX[:2], True)), "nobody"),
}


@pytest.mark.parametrize("name", INGRESS_OWNERS)
def test_owner_of_an_ingress(name: str) -> None:
    world, expected = INGRESS_OWNERS[name]
    assert owner(world).owner == expected


def with_flags(*flags: str) -> Fact[object]:
    workload = controller()
    own = replace(workload.containers[0], args=flags)
    return Fact.known(reads.CONTROLLER, (replace(workload, containers=(own,)),))


def test_annotation_is_compared_with_the_controllers_flag() -> None:
    world = classed("", "alb-internal", OURS, controllers=with_flags("--ingress-class", "alb-internal"))
    assert owner(world).owner == "controller"
    assert owner(classed("", "alb-internal", OURS)).owner == "other"
    with pytest.raises(Unknown):
        owner(classed("", "alb-internal", OURS, controllers=DENIED))


def test_controller_without_a_class_takes_ingresses_without_one() -> None:
    assert owner(classed("", "", OURS, controllers=with_flags("--ingress-class="))).owner == "controller"


def test_denied_classes_are_not_an_owner_and_not_nobody() -> None:
    denied: Fact[object] = Fact.denied(reads.INGRESS_CLASSES, "forbidden", "list ingressclasses")
    with pytest.raises(Unknown):
        owner(World(cluster={"ingress_classes": denied}))


def service(load_balancer_class: str = "", **annotations: str) -> World:
    return on_service(World().as_nlb().with_service(load_balancer_class=load_balancer_class), **annotations)


SERVICE_OWNERS = {
    "our class": (service("service.k8s.aws/nlb"), "controller"),
    "auto mode": (service("eks.amazonaws.com/nlb"), "auto-mode"),
    "another class": (service("metallb"), "other"),
    "nlb-ip": (service(type="nlb-ip"), "controller"),
    "external ip": (service(type="external", nlb_target_type="ip"), "controller"),
    "external instance": (service(type="external", nlb_target_type="instance"), "controller"),
    "external alone": (service(type="external"), "nobody"),
    "external with a slip": (service(type="external", nlb_target_type="IP"), "nobody"),
    "nlb": (service(type="nlb"), "cloud-provider"),
    "nothing": (service(), "cloud-provider"),
    "not a load balancer": (service().with_service(type="NodePort"), "nobody"),
}


@pytest.mark.parametrize("name", SERVICE_OWNERS)
def test_owner_of_a_service(name: str) -> None:
    world, expected = SERVICE_OWNERS[name]
    assert owner(world).owner == expected


def test_class_of_the_controllers_own_choosing() -> None:
    flags = with_flags("--load-balancer-class=team/nlb")
    assert owner(replace(service("team/nlb"), cluster={"controllers": flags})).owner == "controller"
    assert owner(replace(service("service.k8s.aws/nlb"), cluster={"controllers": flags})).owner == "other"


def test_flags_and_version_of_the_controller() -> None:
    own = replace(controller().containers[0], args=("--cluster-name", "lab", "--enable-waf=false", "-v", "2"))
    assert controller_flags(replace(controller(), containers=(own,))) == {
        "cluster-name": "lab",
        "enable-waf": "false",
        "v": "2",
    }
    assert controller_version(traffic_paths(World().build())[0]) == "v2.17.1"


def test_nobody_owning_a_service_is_told_once() -> None:
    assert [c for c in service(type="external").codes() if c in ("LBD101", "LBD111")] == ["LBD101"]


def test_wrong_path_beside_a_mistyped_key() -> None:
    world = replace(UNKNOWN_KEY, health=(mismatch(1, "404"), mismatch(2, "404")))
    assert world.codes() == ["LBD110"] and "LBD301" in world.report().diagnoses[0].explains
