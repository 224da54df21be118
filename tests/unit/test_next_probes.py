"""Which probes a diagnosis sends: as few as separate what is left, and none where all is well or proven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.model import k8s
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.probe import PROBES, ProbeAnswer, ProbeFacts, ProbeRequest
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe.next_probes import MAX_PODS, next_probes
from kubectl_lbdoctor.probe.rounds import ask
from tests.support import cases, product
from tests.support.application import Application, probed
from tests.support.world import ALB_CHECK, World, container, instance_target, mismatch, pod, refused, target, timed_out

PLAIN = tuple(pod(n, containers=(container(readiness=None, ports=()),)) for n in (1, 2))
REFUSED = World(pods=PLAIN, health=(refused(1), refused(2)))
NOT_FOUND = World(pods=PLAIN, health=(mismatch(1, "404"), mismatch(2, "404"))).with_group(
    health_check=replace(ALB_CHECK, path="/nowhere")
)


def asked(world: World, application: Application) -> list[ProbeRequest]:
    return list(dict.fromkeys(a.request for a in probed(world, application).answers))


def paths(requests: list[ProbeRequest], number: int) -> list[str]:
    return [r.path for r in requests if r.pod == f"web-abc-{number}"]


def ports(requests: list[ProbeRequest], number: int) -> list[int]:
    return [r.port for r in requests if r.pod == f"web-abc-{number}"]


@pytest.mark.parametrize("world", [World(), World().as_nlb(), World().instance_mode()])
def test_nothing_is_asked_where_all_is_well(world: World) -> None:
    assert asked(world, Application()) == []


def test_nothing_is_asked_where_cause_and_repair_are_proven() -> None:
    """The readiness path answers the check that another path fails."""
    declared = tuple(
        pod(n, containers=(container(readiness=k8s.Probe("httpGet", "8080", "/healthz")),)) for n in (1, 2)
    )
    world = replace(NOT_FOUND, pods=declared)
    assert world.codes() == ["LBD301"]
    assert asked(world, Application()) == []


def test_the_traffic_port_of_a_healthy_target_is_asked_where_its_check_asks_another_port() -> None:
    """One connection to each of a few pods, and no more where it is accepted."""
    world = replace(World(), health=tuple(replace(target(n), check_port="9090") for n in (1, 2)))
    requests = asked(world, Application())
    assert [(r.pod, r.port, r.protocol, r.path) for r in requests] == [
        (f"web-abc-{number}", 8080, "TCP", "") for number in (1, 2)
    ]


def test_a_wrong_code_asks_for_paths_of_one_pod_and_confirms_the_good_one() -> None:
    requests = asked(NOT_FOUND, Application(paths={"/health": 200}))
    assert paths(requests, 1) == ["/nowhere", "/healthz", "/health", "/ready", "/livez", "/ping", "/"]
    assert paths(requests, 2) == ["/nowhere", "/health"]


def test_what_the_pods_declare_comes_first() -> None:
    alive = container(readiness=None, liveness=k8s.Probe("httpGet", "8080", "/alive"))
    world = replace(NOT_FOUND, pods=tuple(pod(n, containers=(alive,)) for n in (1, 2)))
    assert paths(asked(world, Application()), 1)[:3] == ["/nowhere", "/alive", "/healthz"]


def test_host_names_of_the_ingress_are_tried_on_the_same_path() -> None:
    rule = k8s.IngressPath("shop.example", "/", "Prefix", k8s.IngressBackend("web", "80"))
    world = replace(NOT_FOUND, ingress=replace(NOT_FOUND.ingress, paths=(rule,)))
    requests = asked(world, Application(paths={"/nowhere": 200}, host="shop.example"))
    assert [r.path for r in requests if r.host == "shop.example" and r.pod == "web-abc-1"] == ["/nowhere"]


def test_a_refusal_asks_for_ports() -> None:
    requests = asked(REFUSED, Application(ports={9090: "HTTP"}))
    assert ports(requests, 1) == [8080, 80, 443, 3000, 5000, 8000, 8443, 9090]
    assert ports(requests, 2) == [8080, 9090]
    assert {r.host for r in requests if r.port == 9090} == {f"{p.ip}:9090" for p in PLAIN}


def test_a_loopback_listener_needs_no_other_port() -> None:
    assert {r.port for r in asked(REFUSED, Application(loopback=True))} == {8080}


def test_another_protocol_is_tried_where_the_answer_is_none() -> None:
    requests = asked(REFUSED, Application(ports={8080: "GRPC"}))
    mine = [(r.protocol, r.version) for r in requests if r.pod == "web-abc-1"]
    assert mine == [("HTTP", "HTTP1"), ("HTTPS", "HTTP1"), ("HTTP", "HTTP2"), ("HTTP", "GRPC")]


def test_a_late_answer_is_waited_for() -> None:
    world = replace(REFUSED, health=(timed_out(1), timed_out(2)))
    assert {r.timeout for r in asked(world, Application(delay=7))} == {10.0}
    assert {r.timeout for r in asked(REFUSED, Application())} == {2.0}


def test_behind_a_network_load_balancer_patience_begins_when_the_answer_is_late() -> None:
    check = replace(ALB_CHECK, matcher="200-399")
    world = replace(World().as_nlb(), pods=PLAIN, health=(refused(1), refused(2))).with_group(health_check=check)
    assert [r.timeout for r in asked(world, Application(delay=7))] == [2.0, 2.0, 10.0, 10.0]
    assert [r.timeout for r in asked(world, Application())] == [2.0, 2.0]


def test_few_pods_of_many_are_asked() -> None:
    many = tuple(pod(n, ip=f"10.0.1.{n}", ips=(), containers=(container(readiness=None),)) for n in range(1, 13))
    world = replace(NOT_FOUND, pods=many, health=tuple(mismatch(n, "404", id=f"10.0.1.{n}") for n in range(1, 13)))
    assert len({r.pod for r in asked(world, Application())}) == MAX_PODS


def test_instance_targets_are_asked_at_their_pods() -> None:
    world = replace(NOT_FOUND.instance_mode(), pods=PLAIN)
    world = replace(
        world,
        health=tuple(
            instance_target(n, "unhealthy", "Target.ResponseCodeMismatch", description="codes: [404]") for n in (1, 2)
        ),
    )
    requests = asked(world, Application())
    assert {(r.pod, r.port, r.target) for r in requests} == {("web-abc-1", 8080, ""), ("web-abc-2", 8080, "")}


def test_pods_that_start_or_crash_are_not_asked() -> None:
    waiting = k8s.ContainerStatus("app", state="waiting", reason="CrashLoopBackOff")
    world = replace(REFUSED, pods=tuple(replace(p, statuses=(waiting,)) for p in PLAIN))
    assert asked(world, Application()) == []


def test_a_healthy_pod_beside_a_failing_one_is_left_alone() -> None:
    world = replace(NOT_FOUND, health=(mismatch(1, "404"), target(2)))
    assert {r.pod for r in asked(world, Application())} == {"web-abc-1"}


@pytest.mark.parametrize(
    "answer",
    [
        Fact.denied(PROBES, "forbidden", Permission(("get",), "pods/proxy", namespace="shop")),
        Fact.failed(PROBES, "the proxy is broken"),
    ],
    ids=["denied", "failed"],
)
def test_who_may_not_probe_finds_healthy_targets_healthy(answer: Fact[tuple[ProbeAnswer, ...]]) -> None:
    """Their check asks another port than the traffic takes, which is looked behind where that is possible."""
    snapshot = replace(cases.result("healthy-check-of-another-port-and-an-open-one").snapshot, probes=ProbeFacts())
    sent: list[ProbeRequest] = []

    def send(requests: tuple[ProbeRequest, ...]) -> ProbeFacts:
        sent.extend(requests)
        return ProbeFacts(answer)

    report = product.judge(ask(snapshot, send)).report
    assert sent and (report.status.value, report.exit_status()) == ("healthy", 0)


def test_denied_probes_end_the_asking() -> None:
    sent = []

    def denied(requests: tuple[ProbeRequest, ...]) -> ProbeFacts:
        sent.append(requests)
        return ProbeFacts(Fact.denied(PROBES, "forbidden", Permission(("get",), "pods/proxy", namespace="shop")))

    snapshot = ask(REFUSED.build(), denied)
    assert len(sent) == 1 and not snapshot.probes.answers.is_known
    (traffic,) = traffic_paths(snapshot)
    assert all(r.timeout == 2.0 for r in next_probes(traffic))


def test_the_check_path_is_asked_on_the_port_that_a_probe_names() -> None:
    managed = container(readiness=None, liveness=k8s.Probe("httpGet", "9090", "/alive"))
    world = replace(NOT_FOUND, pods=tuple(pod(n, containers=(managed,)) for n in (1, 2)))
    requests = asked(world, Application(paths={"/health": 200}))
    assert {(r.port, r.path) for r in requests} >= {(9090, "/nowhere"), (9090, "/alive")}


def test_the_path_of_a_key_that_nobody_reads_is_asked() -> None:
    annotations = {"alb.ingress.kubernetes.io/health-check-path": "/meant"}
    ingress = replace(NOT_FOUND.ingress, meta=replace(NOT_FOUND.ingress.meta, annotations=annotations))
    assert "/meant" in paths(asked(replace(NOT_FOUND, ingress=ingress), Application()), 1)
