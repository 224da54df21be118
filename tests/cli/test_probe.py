"""Probes in the whole program, against servers that speak as the API server does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.probe.pods import NAME
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import _BARE, run
from tests.support.shop import LONG_AGO, NS

PROXY = "pods/proxy"


def proxied(cloud: Cloud) -> list[str]:
    return [f"{a.name} {a.resource.removeprefix(PROXY)}" for a in cloud.kube.asked if a.resource.startswith(PROXY)]


def wrong_path(cloud: Cloud) -> None:
    """The wrong path is checked, and no readiness probe tells the right one."""
    cloud.wrong_path()
    for raw in cloud.kube.named("pods"):
        for container in raw["spec"]["containers"]:
            container.pop("readinessProbe", None)


def test_a_proven_repair_needs_no_probe(cloud: Cloud) -> None:
    cloud.wrong_path()
    assert run("ing/web", env=cloud.env).status == 1
    assert proxied(cloud) == []


def test_a_healthy_object_is_not_probed(cloud: Cloud) -> None:
    assert run("ing/web", env=cloud.env).status == 0
    assert proxied(cloud) == []


def test_failing_targets_are_asked_what_the_load_balancer_asks(cloud: Cloud) -> None:
    wrong_path(cloud)
    result = run("ing/web", "--save", str(cloud.kubeconfig.parent / "b.json"), "-o", "json", env=cloud.env)
    assert result.status == 1, result.text
    assert any(line.startswith("web-abc-1:8080 ") for line in proxied(cloud))
    sent = [h for h in cloud.kube.headers if h["User-Agent"] == "ELB-HealthChecker/2.0"]
    assert {h["Host"] for h in sent} == {"10.0.1.34:8080", "10.0.2.34:8080"}
    bundle = json.loads(Path(cloud.kubeconfig.parent / "b.json").read_text())
    answers = bundle["snapshot"]["probes"]["answers"]["value"]
    assert {a["status"] for a in answers if a["request"].get("path", "/") == "/"} == {404}
    assert "t0p-s3cr3t" not in json.dumps(bundle)


def test_recorded_answers_are_used_again(cloud: Cloud) -> None:
    wrong_path(cloud)
    saved = str(cloud.kubeconfig.parent / "b.json")
    before = run("ing/web", "--save", saved, "-o", "json", env=cloud.env).json
    cloud.kube.asked.clear()
    after = run("--from", saved, "-o", "json").json
    assert cloud.kube.asked == []
    assert [d["code"] for d in after["diagnoses"]] == [d["code"] for d in before["diagnoses"]]


def test_off_sends_nothing(cloud: Cloud) -> None:
    wrong_path(cloud)
    result = run("ing/web", "--probe", "off", env=cloud.env)
    assert result.status == 1 and proxied(cloud) == []


def test_a_denied_proxy_is_named_with_its_permission(cloud: Cloud) -> None:
    wrong_path(cloud)
    deny = KubeFault("denied", resources=("pods/proxy", "pods/portforward"))
    cloud.kube.faults.append(deny)
    result = run("ing/web", "-o", "json", env=cloud.env)
    assert result.status == 1, result.text  # the diagnosis stands without the probe
    denied = [d for d in result.json["coverage"]["denied"] if d["read"] == "probe"]
    assert denied and denied[0]["permission"] == "get pods/proxy in namespace shop"


def test_the_permissions_of_probes_are_apart() -> None:
    assert "pods/proxy" not in run("policy", "rbac").stdout
    probing = run("policy", "rbac", "--probe")
    assert probing.status == 0 and "pods/proxy" in probing.stdout and "pods/portforward" in probing.stdout
    assert run("policy", "iam", "--probe").status == 2


# --- The probe command ---


def leftovers(cloud: Cloud) -> list[str]:
    return [p["metadata"]["name"] for p in cloud.kube.named("pods") if "probe" in p["metadata"]["name"]]


def test_the_command_asks_from_debug_pods(cloud: Cloud) -> None:
    result = run("probe", "ing/web", env=cloud.env)
    assert result.status == 0, result.text
    assert "TARGET GROUP SAYS" in result.stdout and "2 of 2 targets answer as the health check wants" in result.stdout
    assert "creating 2 debug pods in namespace shop on node1, node2 (image curlimages/curl" in result.stderr
    assert "removed: 2 debug pods" in result.stderr
    assert leftovers(cloud) == [] and len(cloud.kube.pods.created) == 2
    assert run("probe", "ingress", "web", "--probe", "pod", env=cloud.env).status == 0


def test_a_debug_pod_is_as_restricted_as_it_can_be(cloud: Cloud) -> None:
    pods = cloud.kube.named("pods")
    pods[0]["spec"]["imagePullSecrets"] = [{"name": "registry"}]
    run("probe", "ing/web", "--probe-image", "mine:1", "--probe-node", "node2", env={**cloud.env, "USER": "ann"})
    (pod,) = cloud.kube.pods.created
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert container["image"] == "mine:1" and spec["imagePullSecrets"] == [{"name": "registry"}]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False and spec["restartPolicy"] == "Never"
    assert spec["tolerations"] == [{"operator": "Exists"}] and spec["activeDeadlineSeconds"] < 180
    assert container["resources"]["requests"] and container["resources"]["limits"]
    assert "node2" in json.dumps(spec["affinity"])
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "kubectl-lbdoctor-probe"
    assert pod["metadata"]["annotations"]["kubectl-lbdoctor/created-by"] == "ann"


def test_failing_targets_exit_with_findings(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = run("probe", "ing/web", "-o", "json", env=cloud.env)
    assert result.status == 1
    first = result.json["probes"][0]
    assert first["answer"]["status"] == 404 and first["via"] == "debug pod"
    assert first["verdict"] == {
        "state": "unhealthy",
        "reason": "Target.ResponseCodeMismatch",
        "description": "Health checks failed with these codes: [404]",
    }
    assert first["targetGroupSays"]["reason"] == "Target.ResponseCodeMismatch" and first["difference"] == ""
    assert result.json["targets"] == {"passed": 0, "failed": 2, "unknown": 0}


def test_without_debug_pods_the_api_server_asks(cloud: Cloud) -> None:
    cloud.kube.faults.append(KubeFault("denied", resources=("pods",), verbs=("create",)))
    result = run("probe", "ing/web", env=cloud.env)
    assert result.status == 0, result.text
    assert "may not create pods in namespace shop" in result.stderr
    assert "through the API server instead" in result.stderr and "pod proxy" in result.stdout
    assert cloud.kube.pods.deleted == []


@pytest.mark.parametrize(
    "said",
    [
        'pods "x" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0',
        'pods "x" is forbidden: violates PodSecurity "restricted:latest": seccompProfile',
        'admission webhook "policy.example" denied the request: cannot use resource pods here',
    ],
)
def test_what_admission_says_is_said(cloud: Cloud, said: str) -> None:
    cloud.kube.admission = said
    result = run("probe", "ing/web", env=cloud.env)
    assert result.status == 0 and said in result.stderr and "is not admitted" in result.stderr


def waiting(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "probe", "state": state}]}


def test_an_image_that_cannot_be_pulled(cloud: Cloud) -> None:
    cloud.kube.pods.debug_status = lambda raw: waiting("ErrImagePull", "no such host")
    result = run("probe", "ing/web", "--probe-image", "nowhere/x:1", env=cloud.env)
    assert result.status == 0  # the API server has answered instead
    assert "the image nowhere/x:1 cannot be pulled (ErrImagePull: no such host)" in result.stderr
    assert "--probe-image" in result.stderr and leftovers(cloud) == []


def test_nothing_allowed_at_all(cloud: Cloud) -> None:
    every = ("pods", "pods/proxy", "pods/portforward")
    cloud.kube.faults.append(KubeFault("denied", resources=("pods",), verbs=("create",)))
    cloud.kube.faults.append(KubeFault("denied", resources=every[1:]))
    result = run("probe", "ing/web", env=cloud.env)
    assert result.status == 4, result.text
    assert "not sent" in result.stdout and "may not create pods in namespace shop" in result.stdout


def test_a_pod_that_cannot_be_deleted_is_named(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.probe.pods.GONE_TIME", 0.3)
    cloud.kube.faults.append(KubeFault("denied", resources=("pods",), verbs=("delete",)))
    result = run("probe", "ing/web", "--probe-node", "node1", env=cloud.env)
    (left,) = leftovers(cloud)
    assert f"kubectl delete pod {left} -n shop" in result.stderr


def test_leftovers_of_a_killed_run_are_removed(cloud: Cloud) -> None:
    def crashed(name: str, created: str) -> dict[str, Any]:
        labels = {"app.kubernetes.io/name": "kubectl-lbdoctor-probe", "kubectl-lbdoctor/run": "old"}
        meta = {"name": name, "namespace": NS, "uid": name, "creationTimestamp": created, "labels": labels}
        meta["annotations"] = {"kubectl-lbdoctor/created-by": "bob"}
        return {"metadata": meta, "spec": {"activeDeadlineSeconds": 80, "containers": []}, "status": {}}

    cloud.kube.objects[("", "pods")] += [
        crashed(f"{NAME}-old", LONG_AGO),
        crashed(f"{NAME}-new", "2026-11-23T11:59:50Z"),
        crashed("mislabelled", LONG_AGO),  # no run gives such a name
    ]
    result = run("probe", "ing/web", env=cloud.env)
    assert f"removed the debug pod {NAME}-old that a killed run of bob had left" in result.stderr
    assert leftovers(cloud) == [f"{NAME}-new"]  # another run's, still at work
    assert any(p["metadata"]["name"] == "mislabelled" for p in cloud.kube.named("pods"))


def test_inside_the_target_pods(cloud: Cloud) -> None:
    """The loopback answers, but the sockets show that nothing listens where the load balancer knocks."""
    result = run("probe", "ing/web", "--probe-target", "pod", env=cloud.env)
    assert result.status == 1, result.text
    assert "stays listed in the pod" in result.stderr
    assert "ephemeral container" in result.stdout and "shop/web-abc-1 listens on 127.0.0.1:8080" in result.stdout
    assert "0 of 2 targets answer on their loopback" in result.stdout and "FailedHealthChecks" in result.stdout
    assert cloud.kube.pods.created == []
    cloud.kube.pods.listens = "00000000:1F90"
    result = run("probe", "ing/web", "--probe-target", "pod", env=cloud.env)
    assert result.status == 0 and "2 of 2 targets answer on their loopback" in result.stdout, result.text


def test_a_refusal_is_asked_again_on_the_loopback(cloud: Cloud) -> None:
    """Else an application on the loopback would look like none at all, more so than without a debug pod."""
    cloud.kube.pods.script_says = "EXIT 7"
    result = run("probe", "ing/web", "-o", "json", env=cloud.env)
    assert result.status == 1 and {p["answer"]["outcome"] for p in result.json["probes"]} == {"timeout"}
    opened = [a for a in cloud.kube.asked if a.resource == "pods/portforward"]
    assert {a.name for a in opened} == {"web-abc-1", "web-abc-2"}


@pytest.mark.parametrize(
    "args",
    [
        ["probe"],
        ["probe", "ing/web", "--probe", "off"],
        ["probe", "ing/web", "-o", "name"],
        ["probe", "ing/web", "--probe-node", "nope"],
        ["probe", "ing/web", "--probe", "proxy", "--probe-image", "x"],
        ["ing/web", "--probe", "off", "--probe-node", "node1"],
        ["ing/web", "--probe-target", "pod", "--probe-node", "node1"],
        ["--from", "x", "--probe", "pod"],
        ["probe", "ing/web", "--fix", "targetport"],
        ["probe", "ing/web", "--fail-on", "warning", "--yes"],
    ],
)
def test_usage(cloud: Cloud, args: list[str]) -> None:
    assert run(*args, env=cloud.env).status == 2
    assert cloud.kube.pods.created == []


def test_a_bundle_keeps_the_probes(cloud: Cloud, tmp_path: Path) -> None:
    saved = str(tmp_path / "b.json")
    run("probe", "ing/web", "--save", saved, env=cloud.env)
    cloud.kube.asked.clear()
    again = run("probe", "--from", saved)
    assert again.status == 0 and "debug pod" in again.stdout and cloud.kube.asked == []
    run("ing/web", "--save", saved, env=cloud.env)
    assert run("probe", "--from", saved).status == 4


def test_a_diagnosis_may_use_debug_pods(cloud: Cloud) -> None:
    wrong_path(cloud)
    result = run("ing/web", "--probe", "pod", env=cloud.env)
    assert result.status == 1 and "creating 2 debug pods" in result.stderr and leftovers(cloud) == []


def test_narrow_screens_and_pipes(cloud: Cloud) -> None:
    for width in (40, 60, 80, 120):
        shown = run("probe", "ing/web", env=cloud.env, width=width).stdout
        assert max(len(line) for line in shown.splitlines()) <= max(width, 60), shown
        assert "VERDICT" in shown


# --- Interrupted ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_an_interrupted_run_leaves_no_pod(cloud: Cloud, number: signal.Signals) -> None:
    """In a process of its own, as the signal reaches it: the pods run, and would for a minute."""
    cloud.kube.pods.debug_status = lambda raw: {"phase": "Running"}
    program = [sys.executable, "-m", "kubectl_lbdoctor", "probe", "ing/web"]
    env = {**os.environ, **_BARE, **cloud.env}
    process = subprocess.Popen(
        program,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what it puts into the background with signals ignored, and so does nohup; that is inherited.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    try:
        end = time.monotonic() + 30
        while len(cloud.kube.pods.created) < 2 and time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
        assert len(leftovers(cloud)) == 2
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert leftovers(cloud) == []
    assert process.returncode == 130 and "interrupted" in err and "removed: 2 debug pods" in err and out == ""
