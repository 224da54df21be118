"""The whole program in a namespace of real size: lists come gzipped, in chunks and in pages, some of which expire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_lbdoctor.collect.kubernetes_api import client as kube
from kubectl_lbdoctor.errors import ExitStatus
from tests.support import crowd
from tests.support.cloud import Cloud
from tests.support.program import Result, run
from tests.support.shop import NS

PODS, EVENTS, NODES = f"/api/v1/namespaces/{NS}/pods", f"/api/v1/namespaces/{NS}/events", "/api/v1/nodes"


@pytest.fixture
def crowded(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    crowd.gather(cloud)
    monkeypatch.chdir(tmp_path)
    yield cloud
    assert {PODS, NODES} <= set(cloud.kube.packed)  # else nothing was shown


def diagnose(cloud: Cloud, *args: str) -> Result:
    return run(*args, "-o", "json", env=cloud.env)


def assert_all_known(result: Result) -> None:
    report = result.json
    assert report["coverage"]["failed"] == report["coverage"]["denied"] == []
    assert report["unknownChecks"] == [] and report["checks"]["unknown"] == report["checks"]["crashed"] == 0


@pytest.mark.parametrize("size", [kube.PAGE_SIZE, 50])
def test_healthy_stays_healthy(crowded: Cloud, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(kube, "PAGE_SIZE", size)
    result = diagnose(crowded, "ing/web", "--save", "bundle.json")
    assert result.status == ExitStatus.HEALTHY, result.text
    assert result.json["status"] == "healthy" and result.codes == []
    assert_all_known(result)
    lists = [a.resource for a in crowded.kube.asked if a.verb == "list"]
    # One page tells that there are many; then five kinds of events are asked for.
    assert lists.count("events") == 1 + 5
    snapshot = json.loads(Path("bundle.json").read_text())["snapshot"]
    listed = snapshot["namespaces"][NS]
    pods = [pod["meta"]["name"] for pod in listed["pods"]["value"]]
    assert len(pods) == len(set(pods)) == 2, "those that the Service selects"
    assert len(listed["events"]["value"]) == 1, "that of the Ingress"
    assert len(snapshot["cluster"]["nodes"]["value"]) == 60 + 2


@pytest.mark.parametrize("expire", [False, True])
def test_a_list_of_all_pods_comes_in_pages_that_may_expire(
    crowded: Cloud, monkeypatch: pytest.MonkeyPatch, expire: bool
) -> None:
    monkeypatch.setattr(kube, "PAGE_SIZE", 50)
    service = next(raw for raw in crowded.kube.objects["", "services"] if raw["metadata"]["name"] == "web")
    service["spec"]["selector"] = {"app": "nobody"}
    crowded.kube.pages.compacted = expire
    result = diagnose(crowded, "ing/web", "--save", "bundle.json")
    assert result.status == ExitStatus.FINDINGS and result.codes[0] == "LBD201", result.text
    assert_all_known(result)
    pods = json.loads(Path("bundle.json").read_text())["snapshot"]["namespaces"][NS]["pods"]["value"]
    assert len({pod["meta"]["name"] for pod in pods}) == len(pods) == 300 + 2


@pytest.mark.parametrize("size", [kube.PAGE_SIZE, 50])
def test_a_fault_is_found_and_mended(crowded: Cloud, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(kube, "PAGE_SIZE", size)
    crowded.wrong_port()
    result = diagnose(crowded, "svc/web")
    assert result.status == ExitStatus.FINDINGS and result.codes[0] == "LBD307", result.text
    assert_all_known(result)
    fixed = run("--fix", "targetport", "ing/web", "--yes", env=crowded.env)
    assert fixed.status == ExitStatus.HEALTHY, fixed.text
    assert "verified  LBD307 is gone, ingress/web is healthy" in fixed.stdout.splitlines()


def test_subjects_of_aws(crowded: Cloud) -> None:
    for subject in (("tg", crowded.aws.group_arn), ("lb", crowded.aws.host)):
        result = diagnose(crowded, *subject)
        assert result.status == ExitStatus.HEALTHY, result.text
        assert_all_known(result)


def test_probe(crowded: Cloud) -> None:
    result = run("probe", "ing/web", env=crowded.env)
    assert result.status == ExitStatus.HEALTHY, result.text
    assert "2 of 2 targets answer as the health check wants" in result.stdout
    assert len(crowded.kube.pods.created) == len(crowded.kube.pods.deleted) == 2


def test_a_bundle_is_diagnosed_again(crowded: Cloud) -> None:
    crowded.wrong_path()
    live = diagnose(crowded, "ing/web", "--save", "bundle.json.gz")
    assert live.status == ExitStatus.FINDINGS and live.codes[0] == "LBD301", live.text
    again = run("--from", "bundle.json.gz", "-o", "json")
    assert again.status == live.status and again.codes == live.codes
    assert_all_known(again)
