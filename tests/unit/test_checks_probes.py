"""What probes prove: each code with the probes that show it, with those that do not, and without any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.model import aws, k8s, reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Confidence, Diagnosis, Finding
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer, ProbeRequest, Transport
from tests.support.application import Application, probed
from tests.support.world import (
    ALB_CHECK,
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
    target,
    timed_out,
)

FAILED = "Target.FailedHealthChecks"


def silent_pods(**values: Any) -> tuple[k8s.Pod, ...]:
    """Pods that say nothing of themselves: no probe, no port."""
    return tuple(pod(n, containers=(container(readiness=None, ports=(), **values),)) for n in (1, 2))


def world(health: tuple[aws.TargetHealth, ...] = (refused(1), refused(2)), **check: Any) -> World:
    return World(pods=silent_pods(), health=health).with_group(health_check=replace(ALB_CHECK, **check))


def network(**check: Any) -> World:
    """Behind a Network Load Balancer every failure has one reason."""
    made = replace(World().as_nlb(), pods=silent_pods(), health=(refused(1), refused(2)))
    values = {"protocol": "HTTP", "path": "/healthz", "matcher": "200-399", **check}
    return made.with_group(health_check=replace(made.group.health_check, **values))


def first(world: World) -> Diagnosis:
    return world.report().diagnoses[0]


def found(world: World) -> Finding:
    return first(world).finding


def probe_lines(finding: Finding) -> list[str]:
    return [e.text for e in finding.evidence if e.source == "probe"]


NOT_FOUND = world((mismatch(1, "404"), mismatch(2, "404")), path="/nowhere")


# --- Wrong answers ----------------------------------------------------------------------------------------------------


def test_the_path_that_answers_is_the_repair() -> None:
    assert not found(NOT_FOUND).fix_automatic
    finding = found(probed(NOT_FOUND, Application(paths={"/health": 200})))
    assert (finding.code, finding.confidence, finding.fix_automatic) == ("LBD301", Confidence.CERTAIN, True)
    assert [r.value for r in finding.repairs] == ["/health"]
    assert probe_lines(finding) == ["GET /nowhere 404, GET /health 200 from 2 of 2 pods"]
    assert '; "/health" succeeds' in first(probed(NOT_FOUND, Application(paths={"/health": 200}))).message


def test_several_paths_are_a_choice() -> None:
    finding = found(probed(NOT_FOUND, Application(paths={"/": 200, "/ping": 200})))
    assert [r.value for r in finding.repairs] == ["/ping", "/"] and not finding.fix_automatic


def test_a_declared_path_is_preferred() -> None:
    alive = container(readiness=None, liveness=k8s.Probe("httpGet", "8080", "/alive"))
    declared = replace(NOT_FOUND, pods=tuple(pod(n, containers=(alive,)) for n in (1, 2)))
    finding = found(probed(declared, Application(paths={"/": 200, "/alive": 200})))
    assert [r.value for r in finding.repairs] == ["/alive", "/"] and finding.fix_automatic


def test_a_readiness_path_with_a_host_header_of_its_own_is_tried_first() -> None:
    """What the kubelet gets with its Host header is not what the load balancer gets."""
    ready = container(readiness=k8s.Probe("httpGet", "8080", "/ready", host_header="shop.example"))
    there = replace(NOT_FOUND, pods=tuple(pod(n, containers=(ready,)) for n in (1, 2)))
    assert not found(there).fix_automatic
    finding = found(probed(there, Application(paths={"/ready": 200})))
    assert [r.value for r in finding.repairs] == ["/ready"] and finding.fix_automatic
    assert not found(probed(there, Application(paths={"/ready": 200}, host="shop.example"))).fix_automatic


def asking(number: int, path: str, **values: Any) -> k8s.Pod:
    return pod(number, containers=(container(readiness=k8s.Probe("httpGet", "8080", path)),), **values)


def test_the_path_of_a_readiness_probe_that_fails_is_no_repair() -> None:
    there = replace(NOT_FOUND, pods=(asking(1, "/broken", conditions=NOT_READY), asking(2, "/ready")))
    finding = next(d.finding for d in there.report().diagnoses if d.finding.code == "LBD301")
    assert [r.value for r in finding.repairs] == ["/ready"]
    assert finding.repairs[0].changes[0].why == '"/ready" succeeds: readiness probe of 1 pod'


def test_readiness_probes_of_several_paths_are_a_choice() -> None:
    there = replace(NOT_FOUND, pods=(asking(1, "/old"), asking(2, "/new")))
    finding = found(there)
    assert '; "/old" and "/new" succeed' in first(there).message
    assert [r.value for r in finding.repairs] == ["/old", "/new"] and not finding.fix_automatic


def test_no_path_that_answers_leaves_the_choice_open() -> None:
    finding = found(probed(NOT_FOUND, Application(paths={})))
    assert finding.code == "LBD301" and not finding.repairs and not finding.fix_automatic
    assert "success-codes" in finding.advice


def test_a_server_error_is_the_applications_and_never_a_success() -> None:
    """Success codes of an Application Load Balancer end at 499; what fails says why in its log."""
    finding = found(world((mismatch(1, "500"), mismatch(2, "500"))))
    assert finding.code == "LBD317" and finding.advice.startswith("see in the application's log why it fails")
    assert "success-codes" not in finding.advice and "healthcheck-path=<a path that answers 200>" in finding.advice
    assert finding.confirm[-1] == "kubectl logs web-abc-1 --tail=50 -n shop"


def test_an_answer_that_is_good_by_now_is_no_repair() -> None:
    """The load balancer said 404, and the pods answer 200: never healthy, and nothing to set."""
    finding = found(probed(NOT_FOUND, Application(paths={"/nowhere": 200})))
    assert (finding.code, finding.confidence, finding.repairs) == ("LBD301", Confidence.LIKELY, ())
    assert "turn healthy within 30 s" in finding.advice.replace("  ", " ")


@pytest.mark.parametrize(
    ("status", "code"), [("401", "LBD304"), ("403", "LBD304"), ("503", "LBD317"), ("302", "LBD303"), ("410", "LBD301")]
)
def test_a_network_load_balancer_does_not_tell_the_code_but_a_probe_does(status: str, code: str) -> None:
    there = network(matcher="200")
    assert found(there).code == "LBD005"
    finding = found(probed(there, Application(paths={"/healthz": int(status), "/": 200})))
    assert (finding.code, finding.params["codes"]) == (code, (status,))
    assert [r.value for r in finding.repairs] == ["/"] and finding.fix_automatic


def test_the_codes_of_a_network_load_balancer_have_a_key_of_their_own() -> None:
    """It is not the name of an Application Load Balancer's with another prefix."""
    finding = found(probed(network(matcher="200"), Application(paths={"/healthz": 410})))
    assert finding.advice.endswith("or widen service.beta.kubernetes.io/aws-load-balancer-healthcheck-success-codes")


HOSTS = replace(
    NOT_FOUND,
    ingress=replace(
        NOT_FOUND.ingress,
        paths=(k8s.IngressPath("shop.example", "/", "Prefix", k8s.IngressBackend("web", "80")),),
    ),
)


def test_an_answer_that_depends_on_the_host_name() -> None:
    finding = found(probed(HOSTS, Application(paths={"/nowhere": 200}, host="shop.example")))
    assert (finding.code, finding.params["host"]) == ("LBD302", "shop.example")
    assert not finding.repairs and not finding.fix_automatic
    assert found(probed(HOSTS, Application(paths={"/health": 200}))).code == "LBD301"


def test_a_redirect_to_the_canonical_host_depends_on_the_host_name() -> None:
    moved = replace(HOSTS, health=(mismatch(1, "301"), mismatch(2, "301")))
    application = Application(paths={"/nowhere": 200}, host="shop.example", default=301)
    assert found(probed(moved, application)).code == "LBD302"


REDIRECTED = replace(NOT_FOUND, health=(mismatch(1, "302"), mismatch(2, "302")))


def test_a_redirect_names_its_destination() -> None:
    login = Application(paths={"/nowhere": 302}, locations={"/nowhere": "https://shop.example/login"})
    finding = found(probed(REDIRECTED, login))
    assert finding.code == "LBD303" and finding.params["to"] == "https://shop.example/login"
    assert [r.value for r in finding.repairs] == ["200-399"] and not finding.fix_automatic
    secure = Application(paths={"/nowhere": 302}, locations={"/nowhere": "https://shop.example/nowhere"})
    assert found(probed(REDIRECTED, secure)).fix_automatic
    assert found(REDIRECTED).params["to"] == ""


def test_a_path_without_a_redirect_is_better_than_to_accept_it() -> None:
    finding = found(probed(REDIRECTED, Application(paths={"/nowhere": 302, "/healthz": 200})))
    assert [r.value for r in finding.repairs] == ["/healthz"] and finding.fix_automatic


# --- Two workloads behind one Service, and codes that are not expected ------------------------------------------------


def two_workloads(health: tuple[aws.TargetHealth, ...]) -> World:
    """Pod 2 is of another Deployment, which the selector matches, too."""
    mine, other = silent_pods()
    owners = (k8s.OwnerReference("ReplicaSet", "other-abc", True),)
    pods = (mine, replace(other, meta=replace(other.meta, name="other-abc-2", owners=owners)))
    return World(pods=pods, health=health)


@pytest.mark.parametrize(
    ("health", "code", "application"),
    [
        (mismatch(2, "404"), "LBD301", Application(paths={"/health": 200})),
        (refused(2), "LBD307", Application(ports={9090: "HTTP"})),
        (refused(2), "LBD305", Application(ports={8080: "HTTPS"})),
        (refused(2), "LBD308", Application(loopback=True)),
    ],
)
def test_the_workload_that_does_not_serve_what_another_does(
    health: aws.TargetHealth, code: str, application: Application
) -> None:
    finding = found(probed(two_workloads((target(1), health)), application))
    assert (finding.code, str(finding.object)) == (code, "deployment/other")
    assert not finding.repairs and not finding.fix_automatic
    if code != "LBD308":
        assert "those of deployment/other fail, and those of deployment/web pass" in finding.evidence[-1].text
        assert "app=web" in finding.advice


def test_one_workload_whose_pods_differ_is_no_stranger() -> None:
    there = replace(NOT_FOUND, health=(target(1), mismatch(2, "404")))
    assert str(found(there).object) == "ingress/web"


def test_a_success_that_is_not_expected_needs_its_code() -> None:
    there = world((mismatch(1, "200"), mismatch(2, "200")), matcher="201")
    diagnosis = first(there)
    assert (diagnosis.finding.code, diagnosis.fix) == ("LBD301", "success-codes")
    assert [r.value for r in diagnosis.finding.repairs] == ["200"] and diagnosis.finding.fix_automatic
    assert probed(there, Application()).answers == ()
    mixed = replace(there, health=(target(1), mismatch(2, "200")))
    assert [r.value for r in found(mixed).repairs] == ["200,201"]


def test_what_healthy_targets_answer_stays_a_success() -> None:
    there = world((target(1), mismatch(2, "204")), matcher="200-201")
    assert [r.value for r in found(there).repairs] == ["200-204"]


def test_an_error_beside_another_answer_is_no_success() -> None:
    """14 (UNAVAILABLE) is the application's own error, whatever else it answers; as text it stands before 5."""
    there = world((mismatch(1, "14"), mismatch(2, "14, 5")), path="/grpc.health.v1.Health/Check", matcher="12")
    finding = next(d.finding for d in there.with_group(protocol_version="GRPC").report().diagnoses)
    assert [way.fix for way in finding.alternatives] == ["healthcheck-path"]


@pytest.mark.parametrize("there", [world(), network()])
def test_a_port_that_speaks_no_http(there: World) -> None:
    diagnosis = first(probed(there, Application(ports={8080: "TCP"})))
    assert diagnosis.finding.code == "LBD306" and "none of HTTP" in diagnosis.message
    assert [r.value for r in diagnosis.finding.repairs] == (["tcp"] if there.subject.kind == "Service" else [])


# --- Ports ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [world(), network(), network(protocol="TCP", path="", matcher="")])
def test_the_port_that_answers_is_the_target_port(there: World) -> None:
    assert found(there).code == "LBD005"
    finding = found(probed(there, Application(ports={9090: "HTTP"})))
    assert (finding.code, finding.confidence, finding.fix_automatic) == ("LBD307", Confidence.CERTAIN, True)
    assert [r.value for r in finding.repairs] == ["9090"]
    assert (finding.params["seen"], finding.params["open"]) == ("open", ("9090",))


def test_of_several_ports_the_one_that_answers_the_check_is_it() -> None:
    """Metrics listen, too, and know no /healthz."""
    there = probed(world(), Application(ports={9090: "HTTP", 8443: "TCP"}))
    assert [r.value for r in found(there).repairs] == ["9090"]


def test_several_ports_are_a_choice() -> None:
    finding = found(probed(world(), Application(ports={9090: "HTTP", 3000: "HTTP"})))
    assert [r.value for r in finding.repairs] == ["3000", "9090"] and not finding.fix_automatic


def test_a_port_that_nothing_listens_on_is_the_cause_even_where_no_other_is_found() -> None:
    finding = found(probed(world(), Application(ports={})))
    assert (finding.code, finding.confidence, finding.repairs) == ("LBD307", Confidence.CERTAIN, ())
    assert finding.advice and any("/proc/net/tcp" in command for command in finding.confirm)


def test_instance_targets_are_refused_where_the_pods_refuse() -> None:
    there = replace(world().instance_mode(), pods=silent_pods())
    there = replace(there, health=tuple(instance_target(n, "unhealthy", FAILED) for n in (1, 2)))
    finding = found(probed(there, Application(ports={9090: "HTTP"})))
    assert finding.code == "LBD307" and [r.value for r in finding.repairs] == ["9090"]


@pytest.mark.parametrize("there", [world(), network(), network(protocol="TCP", path="", matcher="")])
def test_a_listener_on_the_loopback(there: World) -> None:
    finding = found(probed(there, Application(loopback=True)))
    assert (finding.code, finding.confidence) == ("LBD308", Confidence.CERTAIN)
    assert str(finding.object) == "deployment/web" and "0.0.0.0:8080" in finding.advice


def test_listeners_on_the_loopback_of_two_workloads() -> None:
    there = probed(two_workloads((refused(1), refused(2))), Application(loopback=True))
    findings = [d.finding for d in there.report().diagnoses]
    told = [(f.code, str(f.object), f.targets) for f in findings]
    assert told == [
        ("LBD308", "deployment/other", ("10.0.2.34:8080",)),
        ("LBD308", "deployment/web", ("10.0.1.34:8080",)),
    ]
    assert [line for f in findings for line in probe_lines(f)] == 2 * [
        "GET /healthz refused, GET /healthz on the loopback 200 from 1 pod"
    ]


def test_a_grpc_server_on_the_loopback() -> None:
    """Its check is asked on the loopback alone; the pod's address is asked for a connection."""
    there = replace(world(path="/AWS.ALB/healthcheck", matcher="12").with_group(protocol_version="GRPC"), asks=False)
    assert found(probed(there, Application(ports={8080: "GRPC"}, loopback=True))).code == "LBD308"
    assert found(probed(there, Application(ports={8080: "GRPC"}))).code == "LBD005"


def test_a_grpc_server_on_another_port() -> None:
    there = replace(world(path="/AWS.ALB/healthcheck", matcher="12").with_group(protocol_version="GRPC"), asks=False)
    finding = found(probed(there, Application(ports={9090: "GRPC"})))
    assert (finding.code, [r.value for r in finding.repairs]) == ("LBD307", ["9090"])


def test_a_port_found_on_the_loopback_is_likely() -> None:
    """EKS lets its control plane reach few ports of the nodes; kubelet's port-forward is always there."""
    finding = found(probed(world(), Application(ports={9090: "HTTP"}, unreached=True)))
    assert (finding.code, finding.confidence) == ("LBD307", Confidence.LIKELY)
    assert [r.value for r in finding.repairs] == ["9090"] and finding.fix_automatic


def test_a_path_found_on_the_loopback_is_as_good() -> None:
    finding = found(probed(NOT_FOUND, Application(unreached=True)))
    assert (finding.code, [r.value for r in finding.repairs]) == ("LBD301", ["/healthz"])


def test_dropped_probes_are_no_refusal() -> None:
    """The API server's packets are dropped: the port-forward alone proves neither port nor address."""
    assert found(probed(world(), Application(unreached=True))).code == "LBD005"


def asking_for_port(there: World, port: str) -> World:
    if there.subject.kind == "Service":
        key, meta = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-port", there.service.meta
        made = there.with_service(meta=replace(meta, annotations={**meta.annotations, key: port}))
        return replace(made, asks=False)
    key, meta = "alb.ingress.kubernetes.io/healthcheck-port", there.ingress.meta
    annotated = replace(meta, annotations={**meta.annotations, key: port})
    return replace(there, ingress=replace(there.ingress, meta=annotated), asks=False)


@pytest.mark.parametrize("there", [world(), network()])
def test_a_check_port_on_which_nothing_listens(there: World) -> None:
    health = (refused(1, check_port="9999"), refused(2, check_port="9999"))
    check = replace(there.group.health_check, port="9999", path="/live")
    there = asking_for_port(replace(there.with_group(health_check=check), health=health).asking(), "9999")
    finding = found(probed(there, Application(paths={"/live": 200})))
    assert (finding.code, finding.confidence, finding.fix_automatic) == ("LBD313", Confidence.CERTAIN, True)
    assert [r.value for r in finding.repairs] == ["traffic-port"]
    assert finding.params["why"] == "where nothing listens"


def test_a_check_port_of_another_answer_is_not_dead() -> None:
    there = world(path="/nowhere", port="9999")
    there = replace(there, health=(refused(1, check_port="9999"),))
    assert found(probed(there, Application(ports={9999: "HTTP"}))).code != "LBD313"


# --- Protocols and time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [world(), network(), world((mismatch(1, "400"), mismatch(2, "400")))])
def test_tls_behind_a_plaintext_check(there: World) -> None:
    finding = found(probed(there, Application(ports={8080: "HTTPS"})))
    assert (finding.code, finding.params["serves"], finding.fix_automatic) == ("LBD305", "HTTPS", True)
    assert any("GET https /healthz 200" in line for line in probe_lines(finding))


@pytest.mark.parametrize("there", [world(protocol="HTTPS"), network(protocol="HTTPS")])
def test_plaintext_behind_a_tls_check(there: World) -> None:
    finding = found(probed(there, Application()))
    assert (finding.code, finding.params["serves"]) == ("LBD305", "HTTP")


def test_a_400_of_the_application_itself_is_no_tls() -> None:
    there = world((mismatch(1, "400"), mismatch(2, "400")), path="/strict")
    finding = found(probed(there, Application(paths={"/strict": 400, "/healthz": 200})))
    assert finding.code == "LBD301" and [r.value for r in finding.repairs] == ["/healthz"]


@pytest.mark.parametrize(("speaks", "serves"), [("GRPC", "gRPC"), ("HTTP2", "HTTP/2")])
@pytest.mark.parametrize("there", [world(), network()])
def test_another_version(there: World, speaks: str, serves: str) -> None:
    finding = found(probed(there, Application(ports={8080: speaks})))
    assert (finding.code, finding.params["serves"], finding.confidence) == ("LBD306", serves, Confidence.CERTAIN)


def test_http_behind_a_grpc_check() -> None:
    there = replace(world(path="/AWS.ALB/healthcheck", matcher="12").with_group(protocol_version="GRPC"), asks=False)
    finding = found(probed(there, Application()))
    assert (finding.code, finding.params["serves"]) == ("LBD306", "HTTP/1.1")
    assert [r.value for r in finding.repairs] == ["HTTP1"]


def test_tls_13_alone_behind_a_network_load_balancer() -> None:
    there = network(protocol="HTTPS")
    finding = found(probed(there, Application(ports={8080: "HTTPS13"})))
    assert (finding.code, [r.value for r in finding.repairs]) == ("LBD316", ["tcp"])
    assert any("TLS 1.2 on the loopback TLS handshake failed" in line for line in probe_lines(finding))
    assert found(probed(there, Application(ports={8080: "HTTPS"}))).code == "LBD005"


@pytest.mark.parametrize("there", [world((timed_out(1), timed_out(2))), network()])
def test_a_measured_time_gives_the_timeout(there: World) -> None:
    finding = found(probed(there, Application(delay=7)))
    assert (finding.code, finding.confidence, finding.fix_automatic) == ("LBD309", Confidence.CERTAIN, True)
    assert [r.value for r in finding.repairs] == ["11"] and finding.params["why"] == "it took 7.0 s inside the cluster"


def test_an_application_that_hangs() -> None:
    diagnosis = first(probed(world((timed_out(1), timed_out(2))), Application(delay=60)))
    assert (diagnosis.finding.code, diagnosis.finding.repairs) == ("LBD309", ())
    assert diagnosis.message == (
        'path "/healthz" is not answered within 5 s: nothing came on the pod\'s own loopback either'
    )


# --- What is left -----------------------------------------------------------------------------------------------------


def left(world: World) -> list[str]:
    finding = found(world)
    assert finding.code == "LBD005"
    return [h.code for h in finding.hypotheses]


def test_a_good_answer_leaves_the_way_alone() -> None:
    there = world((timed_out(1), timed_out(2)))
    after = left(probed(there, Application()))
    assert "LBD309" in left(there) and "LBD309" not in after and "LBD520" in after
    lines = probe_lines(found(probed(there, Application())))
    assert lines[0] == "GET /healthz 200 from 2 of 2 pods" and "get lost" in lines[1]
    after = left(probed(network(), Application()))
    assert not {"LBD301", "LBD305", "LBD307", "LBD308", "LBD309"} & set(after)


def test_a_good_answer_never_makes_a_target_healthy() -> None:
    report = probed(world(), Application()).report()
    assert report.status.value == "unhealthy" and report.diagnoses[0].finding.code == "LBD005"
    assert any("repaired just now" in line for line in probe_lines(report.diagnoses[0].finding))


def test_what_a_debug_pod_would_tell_is_said() -> None:
    assert found(world()).confirm == ("kubectl lbdoctor probe ingress/web -n shop",)
    assert found(probed(world(), Application())).confirm == ()


def test_an_untold_probe_changes_nothing() -> None:
    there = NOT_FOUND
    request = ProbeRequest("10.0.1.34:8080", "10.0.1.34", 8080, "shop", "web-abc-1", path="/nowhere", matcher="200")
    answer = ProbeAnswer(request, Transport.PROXY, Outcome.INCONCLUSIVE, detail="may not get pods/proxy")
    assert replace(there, answers=(answer,)).report().diagnoses == there.report().diagnoses


# --- LBD517 -----------------------------------------------------------------------------------------------------------


def node_answers(outcome: Outcome) -> tuple[ProbeAnswer, ...]:
    request = ProbeRequest(
        "i-00000000000000001:30080", "10.0.1.10", 30080, node="node1", path="/healthz", matcher="200"
    )
    status = 200 if outcome is Outcome.ANSWERED else None
    return (ProbeAnswer(request, Transport.POD, outcome, status),)


def stale(answers: tuple[ProbeAnswer, ...] = ()) -> World:
    proxies = tuple(
        k8s.Pod(meta(f"kube-proxy-{n}"), node=f"node{n}", phase="Running", conditions=conditions(Ready="True"))
        for n in (1, 2)
    )
    daemons = (k8s.Workload("DaemonSet", meta("kube-proxy"), 2, 2),)
    made = World(nodes=(node(1), node(2))).instance_mode()
    return replace(
        made,
        health=(instance_target(1, "unhealthy", FAILED), instance_target(2)),
        answers=answers,
        cluster={
            "kube_proxy": Fact.known(reads.KUBE_PROXY, daemons),
            "kube_proxy_pods": Fact.known(reads.KUBE_PROXY_PODS, proxies),
        },
    )


def test_a_node_port_that_a_debug_pod_finds_refused_is_proven() -> None:
    assert [(f.code, f.confidence) for f in [found(stale())]] == [("LBD517", Confidence.LIKELY)]
    finding = found(stale(node_answers(Outcome.REFUSED)))
    assert (finding.code, finding.confidence) == ("LBD517", Confidence.CERTAIN)
    assert probe_lines(finding) == ["GET /healthz refused from 1 node"]


def test_a_node_port_that_answers_is_not_stale() -> None:
    assert found(stale(node_answers(Outcome.ANSWERED))).code == "LBD005"


def test_healthy_worlds_stay_so() -> None:
    assert probed(World(health=(target(1), target(2))), Application()).codes() == []


# --- For all applications ---------------------------------------------------------------------------------------------

APPLICATIONS = st.builds(
    Application,
    ports=st.dictionaries(
        st.sampled_from([80, 3000, 8080, 8443, 9090, 9999]),
        st.sampled_from(["HTTP", "HTTPS", "HTTPS13", "HTTP2", "GRPC", "TCP"]),
        max_size=3,
    ),
    paths=st.dictionaries(
        st.sampled_from(["/", "/healthz", "/health", "/nowhere"]),
        st.sampled_from([200, 204, 301, 400, 401, 404, 426, 503]),
        max_size=3,
    ),
    host=st.sampled_from(["", "shop.example"]),
    delay=st.sampled_from([0.0, 1.0, 7.0, 60.0]),
    loopback=st.booleans(),
    unreached=st.booleans(),
)
WORLDS = [
    NOT_FOUND,
    HOSTS,
    REDIRECTED,
    world(),
    world((timed_out(1), timed_out(2))),
    world(protocol="HTTPS"),
    world((refused(1, check_port="9999"), refused(2, check_port="9999")), port="9999", path="/health"),
    network(),
    network(protocol="HTTPS"),
    network(protocol="TCP", path="", matcher=""),
]
ANSWERED_WELL = {"LBD301", "LBD302", "LBD303", "LBD304", "LBD305", "LBD306", "LBD307", "LBD308", "LBD309", "LBD316"}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(WORLDS), APPLICATIONS)
def test_probes_end_and_never_heal_or_crash(there: World, application: Application) -> None:
    after = probed(there, application)
    report = after.report()
    assert len({a.request for a in after.answers}) <= 60
    assert report.checks.crashed == 0 and report.checks.unknown == there.report().checks.unknown
    assert report.status.value == "unhealthy" and report.diagnoses
    assert probed(after, application).answers == after.answers  # nothing is left to ask


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([w for w in WORLDS if w.health[0].reason == FAILED]), APPLICATIONS)
def test_what_answers_the_check_is_not_accused(there: World, application: Application) -> None:
    """An application that answers the very check well, in time and to the address, has none of these faults."""
    finding = found(probed(there, application))
    answers = [a for a in probed(there, application).answers if a.via is Transport.PROXY]
    traffic = traffic_paths(probed(there, application).build())[0]
    check = [a for a in answers if pod_evidence.is_check(traffic, a.request) and str(a.request.port) in _checked(there)]
    if check and all(pod_evidence.is_success(a, there.group.health_check.timeout) for a in check):
        assert finding.code not in ANSWERED_WELL


def _checked(there: World) -> set[str]:
    return {t.check_port for t in there.health}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(WORLDS), APPLICATIONS)
def test_an_automatic_repair_is_what_the_application_answers(there: World, application: Application) -> None:
    finding = found(probed(there, application))
    if not finding.fix_automatic:
        return
    value = finding.repairs[0].value
    if finding.code in ("LBD301", "LBD304", "LBD317"):
        assert application.paths.get(value, application.default) in (200, 204, 301)
    if finding.code == "LBD307":
        assert int(value) in application.ports
    if finding.code == "LBD305":
        assert application.ports[int(finding.params["port"])].startswith(value)
    if finding.code == "LBD309":
        assert int(value) > application.delay > there.group.health_check.timeout
