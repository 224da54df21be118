"""Protocol version, time and port of the check: each code failing, passing, and beside its healthy twins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.model import aws, k8s, reads
from kubectl_lbdoctor.model.fact import Fact, recording
from kubectl_lbdoctor.model.finding import CheckStatus, Confidence, Finding
from kubectl_lbdoctor.permission import Permission
from tests.support import cases
from tests.support.application import Application, probed
from tests.support.world import (
    ALB_ARN,
    LONG_AGO,
    World,
    container,
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
GRPC = k8s.Probe("grpc", "8080")
HTTP = k8s.Probe("httpGet", "8080", "/healthz")
REFUSED = "Target.FailedHealthChecks"


def pods(readiness: k8s.Probe | None = HTTP, **values: Any) -> tuple[k8s.Pod, ...]:
    return tuple(pod(n, containers=(container(readiness=readiness, **values),)) for n in (1, 2))


def checked(world: World, **values: Any) -> World:
    return world.with_group(health_check=replace(world.group.health_check, **values))


def version(name: str, health: tuple[aws.TargetHealth, ...], readiness: k8s.Probe | None = HTTP) -> World:
    world = World(health=health, pods=pods(readiness)).with_group(protocol_version=name)
    if name == "GRPC":
        return replace(checked(world, path="/AWS.ALB/healthcheck", matcher="12"), asks=False)
    return world


def http_nlb(**values: Any) -> World:
    return replace(checked(World().as_nlb(), protocol="HTTP", path="/healthz", matcher="200-399"), **values)


def asks_for_proxy_protocol(world: World) -> World:
    return world.with_service(meta=meta("web", annotations={NLB + "proxy-protocol": "*"}))


def finding(world: World, code: str) -> Finding:
    return next(d.finding for d in world.report().diagnoses if d.finding.code == code)


def errors(world: World) -> list[str]:
    return [d.finding.code for d in world.report().diagnoses if d.severity.value == "error"]


BOTH_REFUSED = (refused(1), refused(2))
INSTANCES_REFUSED = (instance_target(1, "unhealthy", REFUSED), instance_target(2, "unhealthy", REFUSED))

# --- LBD306 -----------------------------------------------------------------------------------------------------------

VERSIONS = {
    "HTTP2 to HTTP/1.1": (version("HTTP2", BOTH_REFUSED), "HTTP/1.1", Confidence.LIKELY),
    "GRPC to HTTP/1.1": (version("GRPC", BOTH_REFUSED), "HTTP/1.1", Confidence.LIKELY),
    "GRPC answered without gRPC": (
        version("GRPC", (mismatch(1, "2"), mismatch(2, "2"))),
        "HTTP/1.1",
        Confidence.LIKELY,
    ),
    "HTTP2 to gRPC": (version("HTTP2", (mismatch(1, "415"), mismatch(2, "415")), GRPC), "gRPC", Confidence.CERTAIN),
    "HTTP1 to gRPC": (version("HTTP1", BOTH_REFUSED, GRPC), "gRPC", Confidence.LIKELY),
    "appProtocol grpc": (
        version("HTTP1", BOTH_REFUSED, k8s.Probe("tcpSocket", "8080")).with_service(
            ports=(k8s.ServicePort(80, target_port="8080", node_port=30080, app_protocol="grpc"),)
        ),
        "gRPC",
        Confidence.LIKELY,
    ),
    "appProtocol h2c": (
        version("HTTP1", BOTH_REFUSED, None).with_service(
            ports=(k8s.ServicePort(80, target_port="8080", node_port=30080, app_protocol="kubernetes.io/h2c"),)
        ),
        "HTTP/2",
        Confidence.LIKELY,
    ),
    "instance targets": (
        replace(version("HTTP2", BOTH_REFUSED).instance_mode(), health=INSTANCES_REFUSED),
        "HTTP/1.1",
        Confidence.LIKELY,
    ),
    "Network Load Balancer": (http_nlb(health=BOTH_REFUSED, pods=pods(GRPC)), "gRPC", Confidence.LIKELY),
}


@pytest.mark.parametrize("name", VERSIONS)
def test_protocol_version(name: str) -> None:
    world, serves, confidence = VERSIONS[name]
    assert errors(world) == ["LBD306"]
    found = finding(world, "LBD306")
    assert (found.params["serves"], found.confidence) == (serves, confidence)


@pytest.mark.parametrize(
    "world",
    [
        version("HTTP2", (target(1), target(2))),
        version("HTTP2", (mismatch(1, "404"), mismatch(2, "404"))),
        version("HTTP1", BOTH_REFUSED),
        version("HTTP2", (timed_out(1), timed_out(2))),
        version("HTTP2", BOTH_REFUSED, None),
        version("GRPC", (mismatch(1, "5"), mismatch(2, "5")), GRPC),
        replace(World().as_nlb(), health=BOTH_REFUSED, pods=pods(GRPC)),
    ],
)
def test_other_causes_than_the_protocol_version(world: World) -> None:
    assert "LBD306" not in world.codes()


def test_version_repairs() -> None:
    found = finding(VERSIONS["HTTP2 to HTTP/1.1"][0], "LBD306")
    assert found.commands == (f"kubectl annotate ingress/web {ALB}backend-protocol-version=HTTP1 --overwrite -n shop",)
    assert not found.fix_automatic  # The probe that passes by HTTP/1.1 says nothing about HTTP/2.
    # GRPC needs an HTTPS listener, and which one this load balancer has is not known.
    assert not finding(VERSIONS["HTTP2 to gRPC"][0], "LBD306").fix_automatic
    commands = finding(VERSIONS["Network Load Balancer"][0], "LBD306").commands
    assert commands == (f"kubectl annotate service/web {NLB}healthcheck-protocol=tcp --overwrite -n shop",)


@pytest.mark.parametrize(
    ("protocols", "is_sure"), [(("HTTPS",), True), (("HTTP",), False), (("HTTPS", "HTTP"), False), ((), False)]
)
def test_another_version_is_for_listeners_of_https_alone(protocols: tuple[str, ...], is_sure: bool) -> None:
    """A listener that does not lead to the target group, because it redirects, may be of HTTP."""
    world = VERSIONS["HTTP2 to gRPC"][0]
    forward = aws.Action("forward", {world.group.arn: 1})
    leading = tuple(
        aws.Listener(f"{ALB_ARN}/{protocol}", ALB_ARN, protocol, port, (forward,))
        for protocol, port in zip(protocols, (443, 8080), strict=False)
    )
    listeners = (*leading, aws.Listener(f"{ALB_ARN}/80", ALB_ARN, "HTTP", 80, (aws.Action("redirect"),)))
    facts = {
        "listeners": {ALB_ARN: Fact.known(reads.LISTENERS, listeners)},
        "rules": {listener.arn: Fact.known(reads.RULES, ()) for listener in listeners},
    }
    assert finding(replace(world, aws=facts), "LBD306").fix_automatic is is_sure


# --- LBD309 -----------------------------------------------------------------------------------------------------------

PATIENT = k8s.Probe("httpGet", "8080", "/healthz", timeout=20)
TIMED_OUT = (timed_out(1), timed_out(2))
LATE = k8s.Event(
    "Pod",
    "web-abc-1",
    "shop",
    type="Warning",
    reason="Unhealthy",
    message='Readiness probe failed: Get "http://10.0.1.34:8080/healthz": context deadline exceeded '
    "(Client.Timeout exceeded while awaiting headers)",
    last=LONG_AGO,
)


def test_patient_probe_makes_slowness_likely() -> None:
    world = World(health=TIMED_OUT, pods=pods(PATIENT))
    assert errors(world) == ["LBD309"]
    found = finding(world, "LBD309")
    assert found.confidence is Confidence.LIKELY and found.fix_automatic
    assert found.commands == (
        f"kubectl annotate ingress/web {ALB}healthcheck-timeout-seconds=20 "
        f"{ALB}healthcheck-interval-seconds=25 --overwrite -n shop",
    )


def test_interval_that_is_long_enough_stays() -> None:
    world = checked(World(health=TIMED_OUT, pods=pods(PATIENT)), interval=30)
    assert finding(world, "LBD309").commands == (
        f"kubectl annotate ingress/web {ALB}healthcheck-timeout-seconds=20 --overwrite -n shop",
    )


def test_kubelet_that_waits_in_vain_is_evidence_for_its_pod() -> None:
    world = World(health=TIMED_OUT, events=(LATE,))
    found = finding(world, "LBD309")
    assert found.targets == ("10.0.1.34:8080",) and not found.fix_automatic
    assert errors(world) == ["LBD309", "LBD005"]


@pytest.mark.parametrize(
    "world",
    [
        World(pods=pods(PATIENT)),
        World(health=TIMED_OUT),
        World(health=BOTH_REFUSED, pods=pods(PATIENT)),
        World(health=TIMED_OUT, pods=pods(k8s.Probe("httpGet", "8080", "/other", timeout=20))),
        World(health=TIMED_OUT, pods=pods(k8s.Probe("httpGet", "9090", "/healthz", timeout=20))),
        World(health=TIMED_OUT, pods=pods(k8s.Probe("tcpSocket", "8080", timeout=20))),
    ],
)
def test_no_evidence_of_slowness(world: World) -> None:
    assert "LBD309" not in world.codes()


# --- LBD313 -----------------------------------------------------------------------------------------------------------


def asked(world: World, port: str, **values: Any) -> World:
    """The world with an annotation that asks for this check port, and the target group that follows it."""
    world = replace(checked(world, port=port), **values)
    if world.subject.kind == "Service":
        return world.with_service(meta=meta("web", annotations={NLB + "healthcheck-port": port}))
    return replace(
        world, ingress=replace(world.ingress, meta=meta("web", annotations={ALB + "healthcheck-port": port}))
    )


def on_port(port: str, world: World | None = None, **values: Any) -> World:
    """ip targets that are checked on a port of their own."""
    health = (refused(1, check_port=port), refused(2, check_port=port))
    return asked(world or World(), port, **{"health": health, **values})


def on_node_port(port: str, reason: str = REFUSED, world: World | None = None, **values: Any) -> World:
    health = tuple(instance_target(n, "unhealthy", reason, check_port=port) for n in (1, 2))
    return asked((world or World()).instance_mode(), port, **{"health": health, **values})


METRICS = (
    k8s.ServicePort(80, "http", target_port="8080", node_port=30080),
    k8s.ServicePort(9090, "metrics", target_port="9090", node_port=30990),
)
HOST_PORT = (k8s.ContainerPort(8080, "http"), k8s.ContainerPort(9100, "health", host_port=9100))

DEAD = {
    "ip": (on_port("9999"), Confidence.CERTAIN),
    "ip, nothing probes": (on_port("9999", pods=pods(None)), Confidence.LIKELY),
    "ip behind a Network Load Balancer": (on_port("9999", World().as_nlb()), Confidence.LIKELY),
    "instance, container port": (on_node_port("8080"), Confidence.CERTAIN),
    "instance, container port, filtered": (on_node_port("8080", "Target.Timeout"), Confidence.CERTAIN),
    "instance, container port, Network Load Balancer": (
        on_node_port("8080", world=World().as_nlb()),
        Confidence.CERTAIN,
    ),
    "instance, port of nobody": (on_node_port("9999"), Confidence.LIKELY),
}


@pytest.mark.parametrize("name", DEAD)
def test_dead_check_port(name: str) -> None:
    world, confidence = DEAD[name]
    assert errors(world) == ["LBD313"]
    found = finding(world, "LBD313")
    assert found.confidence is confidence and found.fix_automatic == (name != "ip, nothing probes")
    prefix = NLB if "Network" in name else ALB
    assert f"{prefix}healthcheck-port=traffic-port" in found.commands[0]


def test_node_port_that_leads_to_the_wanted_container_port() -> None:
    world = on_node_port("9090").with_service(ports=METRICS)
    world = replace(world, pods=pods(ports=(k8s.ContainerPort(8080), k8s.ContainerPort(9090))))
    found = finding(world, "LBD313")
    assert found.repairs[0].changes[0].why == "node port 30990 leads to 9090 of the pods"
    assert f"{ALB}healthcheck-port=30990" in found.commands[0] and found.fix_automatic


def test_node_port_of_a_container_port_that_is_not_declared() -> None:
    found = finding(on_node_port("9090").with_service(ports=METRICS), "LBD313")
    assert f"{ALB}healthcheck-port=30990" in found.commands[0] and found.confidence is Confidence.CERTAIN


def test_traffic_port_is_no_sure_repair_for_another_path() -> None:
    assert not finding(checked(on_port("9999"), path="/live"), "LBD313").fix_automatic


@pytest.mark.parametrize("world", [on_port("9999"), on_node_port("9999")])
def test_a_path_that_another_port_serves_makes_traffic_port_no_sure_repair(world: World) -> None:
    assert finding(world, "LBD313").fix_automatic
    of_management = pods(k8s.Probe("httpGet", "9090", "/healthz"), ports=(k8s.ContainerPort(8080),))
    assert not finding(replace(world, pods=of_management), "LBD313").fix_automatic


@pytest.mark.parametrize(
    "world",
    [
        replace(on_port("9999"), health=(target(1, check_port="9999"), target(2, check_port="9999"))),
        on_port("9090", pods=pods(ports=(k8s.ContainerPort(8080), k8s.ContainerPort(9090)))),
        on_port("9090", pods=pods(k8s.Probe("httpGet", "9090", "/healthz"))),
        replace(on_port("9999"), health=(timed_out(1, check_port="9999"), timed_out(2, check_port="9999"))),
        World(health=BOTH_REFUSED),
        on_node_port("30080"),
        on_node_port("30990").with_service(ports=METRICS),
        on_node_port("10256"),
        on_node_port("9100", pods=pods(ports=HOST_PORT)),
        on_node_port("31999"),
        on_node_port("9999", "Target.Timeout"),
    ],
)
def test_check_port_that_may_answer(world: World) -> None:
    assert "LBD313" not in world.codes()


def test_wrong_target_port_and_dead_check_port_are_never_both_blamed_for_a_target() -> None:
    ports = (k8s.ServicePort(80, target_port="90", node_port=30080),)
    wrong_traffic = World(health=(refused(1, port=90), refused(2, port=90))).with_service(ports=ports)
    assert errors(wrong_traffic) == ["LBD307"]
    assert errors(on_port("9999")) == ["LBD313"]


# --- LBD314 -----------------------------------------------------------------------------------------------------------

ON = {"proxy_protocol_v2.enabled": "true"}
OWN_PORT = asks_for_proxy_protocol(
    http_nlb(
        health=(refused(1, check_port="9090"), refused(2, check_port="9090")),
        group_attributes=ON,
        pods=pods(k8s.Probe("httpGet", "9090", "/healthz"), ports=(k8s.ContainerPort(8080), k8s.ContainerPort(9090))),
    )
)


def local(*ready: int, **values: Any) -> World:
    """instance targets behind a Network Load Balancer with policy Local, checked on kube-proxy's health port."""
    world = checked(World().as_nlb().instance_mode(), protocol="HTTP", path="/healthz", matcher="200-399", port="31000")
    world = asks_for_proxy_protocol(world.with_service(external_traffic_policy="Local", health_check_node_port=31000))
    health = tuple(instance_target(n, "unhealthy", REFUSED, check_port="31000") for n in (1, 2))
    return replace(world, **{"pods": tuple(pod(n) for n in ready), "health": health, "group_attributes": ON, **values})


def test_check_port_of_its_own_knows_no_proxy_protocol() -> None:
    assert errors(OWN_PORT) == ["LBD314"]
    found = finding(OWN_PORT, "LBD314")
    assert found.confidence is Confidence.LIKELY
    assert found.commands[0] == f"kubectl annotate service/web {NLB}healthcheck-protocol=tcp --overwrite -n shop"


def test_traffic_port_that_answers_without_the_header() -> None:
    assert errors(asks_for_proxy_protocol(http_nlb(health=BOTH_REFUSED, group_attributes=ON))) == ["LBD314"]


def test_health_server_of_kube_proxy_knows_no_proxy_protocol() -> None:
    world = local(1, 2)
    assert errors(world) == ["LBD314"]
    found = finding(world, "LBD314")
    assert found.confidence is Confidence.CERTAIN and len(found.targets) == 2
    assert "healthcheck-protocol" not in "".join(found.commands)


def test_nodes_without_a_pod_are_unhealthy_by_design_all_the_same() -> None:
    world = local(1)
    assert finding(world, "LBD314").targets == (instance_target(1).key,)


@pytest.mark.parametrize(
    "annotations, command",
    [
        ({NLB + "proxy-protocol": "*"}, f"{NLB}proxy-protocol-"),
        (
            {NLB + "target-group-attributes": "proxy_protocol_v2.enabled=true,preserve_client_ip.enabled=true"},
            "proxy_protocol_v2.enabled=false,preserve_client_ip.enabled=true",
        ),
        ({NLB + "proxy-protocol-per-target-group": "80, 443"}, f"{NLB}proxy-protocol-per-target-group=443 "),
        ({NLB + "proxy-protocol-per-target-group": "80"}, f"{NLB}proxy-protocol-per-target-group- "),
        (
            {NLB + "proxy-protocol": "*", NLB + "target-group-attributes": "proxy_protocol_v2.enabled=true"},
            f"{NLB}proxy-protocol- {NLB}target-group-attributes=proxy_protocol_v2.enabled=false ",
        ),
    ],
)
def test_proxy_protocol_is_switched_off_where_it_is_switched_on(annotations: dict[str, str], command: str) -> None:
    world = local(1, 2).with_service(meta=meta("web", annotations=annotations))
    assert command in finding(world, "LBD314").commands[-1]


@pytest.mark.parametrize(
    "world",
    [
        http_nlb(group_attributes=ON),
        http_nlb(health=BOTH_REFUSED),
        replace(World().as_nlb(), health=BOTH_REFUSED, group_attributes=ON),
        World(health=BOTH_REFUSED, group_attributes=ON),
        http_nlb(health=BOTH_REFUSED, group_attributes=ON, pods=pods(None)),
        local(1, group_attributes={}),
    ],
)
def test_proxy_protocol_is_not_the_cause(world: World) -> None:
    assert "LBD314" not in world.codes()


@pytest.mark.parametrize("declared", [HTTP, None], ids=["readiness probe", "nothing declared"])
def test_the_same_request_with_and_without_the_header_proves_it(declared: k8s.Probe | None) -> None:
    world = http_nlb(health=BOTH_REFUSED, group_attributes=ON, pods=pods(declared))
    proven = probed(asks_for_proxy_protocol(world), Application())
    assert errors(proven) == ["LBD314"]
    found = finding(proven, "LBD314")
    assert found.confidence is Confidence.CERTAIN and len(found.targets) == 2
    assert found.evidence[3].text == "GET /healthz with proxy protocol on the loopback 400, GET /healthz 200 from 1 pod"


@pytest.mark.parametrize("header", ["optional", "wanted"])
def test_a_wrong_path_is_one_with_the_header_too(header: str) -> None:
    """The readiness probe asks another path, and without the header."""
    world = http_nlb(health=BOTH_REFUSED, group_attributes=ON)
    world = world.with_group(health_check=replace(world.group.health_check, path="/nowhere"))
    assert errors(probed(world, Application(proxy_header=header))) == ["LBD301"]


# --- LBD315 -----------------------------------------------------------------------------------------------------------

UDP_PORT = (k8s.ContainerPort(53, "dns", "UDP"),)
TCP_SIDE_CAR = (*UDP_PORT, k8s.ContainerPort(8081, "health"))
DNS = (k8s.ServicePort(53, "dns", "UDP", "53", 30053),)


def udp(*, protocol: str = "UDP", **values: Any) -> World:
    world = World().as_nlb().with_service(ports=DNS).with_group(protocol=protocol, port=53)
    health = (refused(1, port=53), refused(2, port=53))
    return replace(world, **{"health": health, "pods": pods(None, ports=UDP_PORT), **values})


def udp_instances(**values: Any) -> World:
    health = tuple(instance_target(n, "unhealthy", REFUSED, port=30053, check_port="30053") for n in (1, 2))
    return replace(udp().instance_mode(), **{"health": health, **values})


@pytest.mark.parametrize("protocol", ["UDP", "QUIC", "TCP_UDP"])
def test_udp_group_checked_on_its_own_port(protocol: str) -> None:
    world = udp(protocol=protocol)
    assert errors(world) == ["LBD315"]
    found = finding(world, "LBD315")
    assert found.confidence is Confidence.LIKELY and not found.commands and found.advice


def test_tcp_port_of_the_pods_is_offered() -> None:
    probe = k8s.Probe("tcpSocket", "8081")
    found = finding(udp(pods=pods(probe, ports=TCP_SIDE_CAR)), "LBD315")
    assert found.commands == (f"kubectl annotate service/web {NLB}healthcheck-port=8081 --overwrite -n shop",)
    assert found.fix_automatic


def test_what_proves_that_nothing_listens_by_tcp_is_shown() -> None:
    (diagnosis,) = cases.result("LBD315-probe-finds-a-tcp-port").report.diagnoses
    assert [e.text for e in diagnosis.finding.evidence if e.source == "probe"] == [
        "tcp :5353 refused, tcp :8080 accepted from 2 of 2 pods"
    ]


def test_udp_node_port_is_not_open_for_tcp() -> None:
    assert errors(udp_instances()) == ["LBD315"]
    assert finding(udp_instances(), "LBD315").confidence is Confidence.CERTAIN


@pytest.mark.parametrize(
    "world",
    [
        udp(health=(target(1, port=53), target(2, port=53))),
        udp(
            health=(target(1, port=53, check_port="8081"), target(2, port=53, check_port="8081")),
            pods=pods(None, ports=TCP_SIDE_CAR),
        ),
        udp(
            health=(refused(1, port=53, check_port="8081"), refused(2, port=53, check_port="8081")),
            pods=pods(None, ports=TCP_SIDE_CAR),
        ),
        replace(World().as_nlb(), health=BOTH_REFUSED),
        udp_instances().with_service(ports=(*DNS, k8s.ServicePort(53, "dns-tcp", "TCP", "53", 30053))),
    ],
)
def test_udp_group_with_a_tcp_port(world: World) -> None:
    assert "LBD315" not in world.codes() and "LBD313" not in world.codes()


# --- all of them ------------------------------------------------------------------------------------------------------

FACTS = ("ingresses", "services", "slices", "pods", "bindings", "events", "workloads")
CLUSTER = ("nodes", "ingress_classes", "class_params", "controllers")
OWN = ("LBD108", "LBD110", "LBD111", "LBD112", "LBD204", "LBD306", "LBD309", "LBD310", "LBD311", "LBD312")
OWN = (*OWN, "LBD313", "LBD314", "LBD315", "LBD318")
WORLDS = {
    **{name: world for name, (world, *_) in (VERSIONS | DEAD).items()},
    "slow": World(health=TIMED_OUT, pods=pods(PATIENT), events=(LATE,)),
    "proxy protocol": OWN_PORT,
    "proxy protocol, Local": local(1, 2),
    "udp": udp(),
    "udp instances": udp_instances(),
    "healthy": World(),
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
    known = {code for code in world.codes() if code in OWN}
    denied: Fact[Any] = Fact.denied("x", "forbidden", Permission(said="list"))
    for part in (*FACTS, *CLUSTER):
        where = "facts" if part in FACTS else "cluster"
        less = replace(world, **{where: {**getattr(world, where), part: denied}})
        assert [r for r in less.results() if r.status is CheckStatus.CRASHED] == [], part
        assert {code for code in less.codes() if code in OWN} <= known, part
