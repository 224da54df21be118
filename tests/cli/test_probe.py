"""Probes in the whole program, against servers that speak as the API server does."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.fake_cluster import Cloud, KubeFault
from tests.support.program import run

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
