"""Probes on the lab: each way of sending, what each proves, and that nothing is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab import build, examples, faults, images
from tests.lab.api import Lab, Result

IMAGE = ("--probe-image", images.TOOLS)
LABEL = "app.kubernetes.io/name=kubectl-lbdoctor-probe"


def probe(lab: Lab, subject: str, namespace: str, *args: str, timeout: float = 90) -> Result:
    result = lab.lbdoctor("probe", subject, "-n", namespace, "-o", "json", *args, timeout=timeout)
    print(f"\nPROBE {' '.join((subject, *args))}: exit {result.status} in {result.seconds:.1f} s")
    assert left(lab, namespace) == [], "a debug pod was left behind"
    return result


def left(lab: Lab, namespace: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in lab.objects("pods", namespace, LABEL)]


def answers(result: Result) -> list[Any]:
    return [p["answer"]["status"] or p["answer"]["outcome"] for p in result.json["probes"]]


def test_debug_pods_ask_pods(lab: Lab, space: str) -> None:
    """From the target's own node, with the Host header and agent of the load balancer."""
    lab.apply(examples.alb_ip(), space)
    targets = lab.wait_targets(space, "healthy", count=2)
    result = probe(lab, "ing/web", space, *IMAGE)
    assert result.status == 0 and answers(result) == [200, 200], str(result)
    assert {p["from"] for p in result.json["probes"]} == {p["node"] for p in result.json["probes"]}
    logs = lab.kubectl("logs", "-n", space, "-l", "app=web", "--tail=200")
    for target in targets:
        assert f"host={target.id}:8080 from=10.0." in logs and 'agent="ELB-HealthChecker/2.0"' in logs
    everywhere = probe(lab, "ing/web", space, *IMAGE, "--probe-node", "all")
    assert everywhere.status == 0 and len(everywhere.json["probes"]) == 4, str(everywhere)


def test_node_ports_and_the_health_check_node_port(lab: Lab, space: str) -> None:
    """One replica behind `externalTrafficPolicy: Local`: one node answers 200, the other 503, as AWS sees it."""
    local = {"external_traffic_policy": "Local"}
    lab.apply(examples.nlb_instance(service=local, app={"replicas": 1}), space)
    lab.wait_targets(space, "healthy", all_or_any="any")
    lab.wait_targets(space, "unhealthy", all_or_any="any")
    result = probe(lab, "svc/web", space, *IMAGE)
    assert result.status == 1 and sorted(answers(result)) == [200, 503], str(result)
    port = lab.get("service", "web", space)["spec"]["healthCheckNodePort"]
    for found in result.json["probes"]:
        assert found["request"]["port"] == port and found["verdict"]["state"] == found["targetGroupSays"]["state"]
    # Node addresses are out of the API server's reach: that is no answer, and is not called one.
    proxied = probe(lab, "svc/web", space, "--probe", "proxy")
    assert proxied.status == 4 and answers(proxied) == ["untold", "untold"], str(proxied)


@pytest.mark.alone
def test_a_filter_on_the_way_shows(lab: Lab, space: str) -> None:
    """The load balancer times out, the debug pod is answered: that difference is the evidence."""
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)
    with faults.controller_rules_revoked(lab):
        lab.wait_targets(space, "unhealthy", "Target.Timeout")
        result = probe(lab, "ing/web", space, *IMAGE)
        assert result.status == 0 and answers(result) == [200, 200], str(result)
        assert all("filtered on the way" in p["difference"] for p in result.json["probes"])


def app(*args: str, **values: Any) -> list[dict[str, Any]]:
    return examples.alb_ip(app={"args": args, "readiness": None}, **values)


LOOPBACK = ("--listen", "127.0.0.1:8080", "--path", "/healthz=200")


@pytest.mark.parametrize(
    ("name", "args", "annotations", "wanted"),
    [
        ("mismatch", ("--path", "/other=200"), {}, {"pod": 404, "proxy": 404}),
        ("redirect", ("--redirect", "/healthz=/login:302"), {}, {"pod": 302, "proxy": 302}),
        ("slow", ("--delay", "/healthz=5s"), {}, {"pod": "timeout", "proxy": "timeout"}),
        ("refused", ("--listen", ":9999"), {}, {"pod": "refused", "proxy": "refused"}),
        (
            "loopback",
            ("--listen", "127.0.0.1:8080", "--path", "/healthz=200"),
            {},
            {"pod": "refused", "proxy": "refused"},
        ),
        ("tls", ("--listen", "https://:8080"), {}, {"pod": 400, "proxy": 400}),
        ("not-tls", ("--path", "/healthz=200"), {"healthcheck-protocol": "HTTPS"}, {"pod": "tls", "proxy": "tls"}),
        ("grpc", ("--listen", "h2c://:8080", "--grpc", "*=12"), {"backend-protocol-version": "GRPC"}, {"pod": 12}),
        ("http1", ("--path", "/healthz=200"), {"backend-protocol-version": "HTTP2"}, {"proxy": "garbled"}),
    ],
)
def test_answers(lab: Lab, space: str, name: str, args: Any, annotations: Any, wanted: Any) -> None:
    """Each way tells the same, and the verdict is what the target group says."""
    keys = {f"{examples.ALB}{key}": value for key, value in annotations.items()}
    if name == "grpc":
        keys |= {f"{examples.ALB}healthcheck-path": "/AWS.ALB/healthcheck", f"{examples.ALB}success-codes": "12"}
    listen = () if "--listen" in args else ("--listen", ":8080")
    lab.apply(app(*listen, *args, annotations=keys), space)
    lab.wait_targets(space, "healthy" if name == "grpc" else "unhealthy", count=2)
    for way, answer in wanted.items():
        result = probe(lab, "ing/web", space, "--probe", way, *(IMAGE if way == "pod" else ()))
        found = [p for p in result.json["probes"] if p["via"] in ("debug pod", "pod proxy") or len(wanted) == 1]
        got = {p["answer"]["status"] or p["answer"]["outcome"] for p in found}
        assert got == {answer}, str(result)
        for p in found if way == "pod" else ():
            assert p["verdict"]["reason"] == p["targetGroupSays"]["reason"], str(result)
        if name == "loopback" and way == "proxy":
            ways = {p["via"]: p["answer"]["outcome"] for p in result.json["probes"]}
            assert ways == {"pod proxy": "refused", "port-forward": "answered"}


@pytest.mark.parametrize("way", [("--probe", "auto"), ("--probe", "pod", *IMAGE), ("--probe-target", "pod", *IMAGE)])
def test_every_way_leads_to_the_same_diagnosis(lab: Lab, space: str, way: tuple[str, ...]) -> None:
    """A debug pod that is refused says less than the API server does, unless the loopback is asked, too."""
    lab.apply(app(*LOOPBACK), space)
    lab.wait_targets(space, "unhealthy", count=2)
    result = lab.lbdoctor("ing/web", "-n", space, "-o", "json", *way)
    assert [d["code"] for d in result.json["diagnoses"] if d["severity"] == "error"] == ["LBD308"], str(result)
    assert left(lab, space) == []


def test_inside_the_pod(lab: Lab, space: str) -> None:
    """An ephemeral container sees the loopback and where the application listens."""
    lab.apply(app(*LOOPBACK), space)
    lab.wait_targets(space, "unhealthy", count=2)
    result = probe(lab, "ing/web", space, *IMAGE, "--probe-target", "pod")
    assert answers(result) == [200, 200] and result.status == 1, str(result)
    assert "stays listed in the pod" in result.stderr
    for listening in result.json["sockets"].values():
        assert {"address": "127.0.0.1", "port": 8080} in listening
    assert all("loopback" in p["difference"] for p in result.json["probes"])


# --- What may stand in the way ---


def test_an_image_that_cannot_be_pulled(lab: Lab, space: str) -> None:
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)
    result = probe(lab, "ing/web", space, "--probe-image", "registry.invalid/none:1")
    assert "the image registry.invalid/none:1 cannot be pulled" in result.stderr and "--probe-image" in result.stderr
    # The API server has asked instead.
    assert result.status == 0 and {p["via"] for p in result.json["probes"]} == {"pod proxy"}, str(result)


def test_a_quota_that_is_full(lab: Lab, space: str) -> None:
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "2"}}}
    lab.apply(quota, space)
    end = time.monotonic() + 20
    while not lab.get("resourcequota", "full", space).get("status", {}).get("used") and time.monotonic() < end:
        time.sleep(0.5)
    result = probe(lab, "ing/web", space, *IMAGE)
    assert result.status == 0 and "is not admitted" in result.stderr and "exceeded quota" in result.stderr


def test_a_restricted_namespace_admits_the_pod(lab: Lab, space: str) -> None:
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)
    lab.kubectl("label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted")
    result = probe(lab, "ing/web", space, *IMAGE)
    assert result.status == 0 and {p["via"] for p in result.json["probes"]} == {"debug pod"}, str(result)


@contextmanager
def tainted(lab: Lab, node: str) -> Iterator[None]:
    lab.kubectl("taint", "node", node, "lbdoctor-test=1:NoSchedule")
    try:
        yield
    finally:
        lab.kubectl("taint", "node", node, "lbdoctor-test-")


@pytest.mark.alone
def test_taints_and_cordons_do_not_matter(lab: Lab, space: str) -> None:
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)
    node = "node1"
    lab.kubectl("cordon", node)
    try:
        with tainted(lab, node):
            result = probe(lab, "ing/web", space, *IMAGE, "--probe-node", node)
    finally:
        lab.kubectl("uncordon", node)
    assert result.status == 0 and {p["from"] for p in result.json["probes"]} == {node}, str(result)


def test_the_printed_roles_are_enough(lab: Lab, space: str) -> None:
    """A person with the reading role may not probe; the role of `policy rbac --probe` is all that is missing."""
    lab.apply(examples.alb_ip(), space)
    lab.wait_targets(space, "healthy", count=2)
    user = f"dev-{space}"
    made = []
    try:
        for args, name in ((("policy", "rbac"), "read"), (("policy", "rbac", "--probe"), "probe")):
            role = lab.lbdoctor(*args).stdout.replace(f"name: lbdoctor-{name}", f"name: {space}-{name}")
            lab.kubectl("create", "-f", "-", stdin=role)
            made.append(f"clusterrole/{space}-{name}")
        everywhere = ("clusterrolebinding", f"{space}-read", f"--clusterrole={space}-read", f"--user={user}")
        lab.kubectl("create", *everywhere)
        made.append(f"clusterrolebinding/{space}-read")
        denied = probe(lab, "ing/web", space, *IMAGE, "--as", user)
        assert denied.status == 4 and "may not create pods" in denied.stderr, str(denied)
        assert answers(denied) == ["untold", "untold"]
        lab.kubectl("create", "rolebinding", "probe", "-n", space, f"--clusterrole={space}-probe", f"--user={user}")
        for way in (IMAGE, ("--probe", "proxy"), (*IMAGE, "--probe-target", "pod")):
            allowed = probe(lab, "ing/web", space, *way, "--as", user)
            assert allowed.status == 0 and "may not" not in allowed.stderr, str(allowed)
    finally:
        lab.kubectl("delete", *made, "--ignore-not-found")


def _heed_interrupts() -> None:
    """A shell starts what it puts into the background with SIGINT ignored, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(lab: Lab, space: str, number: signal.Signals) -> None:
    """In the middle of a check that takes long: the pods are gone at once, and for good."""
    slow = {f"{examples.ALB}healthcheck-timeout-seconds": "30", f"{examples.ALB}healthcheck-interval-seconds": "40"}
    lab.apply(app("--listen", ":8080", "--delay", "/healthz=60s", annotations=slow), space)
    lab.wait_targets(space, "initial", all_or_any="any", count=2)
    command = [str(build.kubernetes("kubectl")), "lbdoctor", "probe", "ing/web", "-n", space, *IMAGE]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=lab.environment(),
        preexec_fn=_heed_interrupts,
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        pods = lab.objects("pods", space, LABEL)
        if len(pods) == 2 and all(p["status"].get("phase") == "Running" for p in pods):
            break
        time.sleep(0.2)
    begun = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    print(f"\nINTERRUPTED after {time.monotonic() - begun:.1f} s: {json.dumps(err)}")
    assert left(lab, space) == []
    assert process.returncode == 130 and "removed: 2 debug pods" in err and "interrupted" in err, err
    assert out == ""
