"""EKS Auto Mode on the lab: its API group is served, and AWS's part is played (tests/lab/auto_mode.py)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import auto_mode, examples, faults
from tests.lab.api import AUTO_MODE, Lab
from tests.lab.auto_mode import Play
from tests.lab.examples import ALB, Manifest

PATIENCE = 75
UNTAKEN_SECONDS = 40
"""After that an object that nobody has taken is a fault (LBD132)."""
Change = Callable[[Lab, str, Play], AbstractContextManager[object]]


@pytest.fixture(scope="module", autouse=True)
def group_served(lab: Lab) -> Iterator[None]:
    with auto_mode.served(lab):
        yield


@pytest.fixture
def class_name(lab: Lab) -> Iterator[str]:
    with auto_mode.class_made(lab, f"auto-{secrets.token_hex(3)}") as name:
        yield name


@pytest.fixture
def play(lab: Lab, space: str, class_name: str) -> Iterator[Play]:
    with Play(lab, space, class_name) as playing:
        yield playing


def alb(class_name: str, target_type: str = "ip", **changes: Any) -> list[Manifest]:
    # The scheme stands in the class; AWS documents that it is read there.
    annotations = {f"{ALB}scheme": None, **changes.pop("annotations", {})}
    return examples.alb(target_type, ingress={"class_name": class_name}, annotations=annotations, **changes)


def nlb(class_name: str) -> list[Manifest]:
    return examples.nlb_ip(service={"load_balancer_class": auto_mode.SERVICE_CLASS})


def wait_for(lab: Lab, space: str, subject: str, codes: list[str]) -> Mapping[str, Any]:
    """The first diagnosis, or health where no code is expected. What has just begun is no fault in the first minute."""
    end = time.monotonic() + PATIENCE
    while True:
        result = lab.lbdoctor(subject, "-n", space, "-o", "json")
        found = [d["code"] for d in result.json["diagnoses"] if d["severity"] == "error"]
        if (found[: len(codes)] == codes and bool(codes) is bool(found)) and (codes or result.status == 0):
            report: Mapping[str, Any] = result.json
            return report
        if time.monotonic() > end:
            raise AssertionError(f"{found} instead of {codes}\n{lab.lbdoctor(subject, '-n', space)}")
        time.sleep(2)


HEALTHY: dict[str, tuple[Callable[[str], list[Manifest]], str]] = {
    "alb-ip": (alb, "ing/web"),
    "alb-instance": (lambda name: alb(name, "instance"), "ing/web"),
    "nlb-ip": (nlb, "svc/web"),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy(lab: Lab, space: str, class_name: str, play: Play, name: str) -> None:
    build, subject = HEALTHY[name]
    begun = time.monotonic()
    lab.apply(build(class_name), space)
    lab.wait_targets(space, "healthy", count=2)
    report = wait_for(lab, space, subject, [])
    # Nothing gates pods there: targets may be healthy while the rollout still counts the last seconds of its own.
    assert {d["code"] for d in report["diagnoses"]} <= {"LBD408"}, report["diagnoses"]
    # Whatever an alarm names leads to the object.
    arn = lab.target_group_arns(space)[0]
    kind, name = ("Service", "svc") if subject.startswith("svc") else ("Ingress", "ing")
    balancer = lab.load_balancer_arn({"svc": "service", "ing": "ingress"}[name], "web", space).split("/")[2]
    bound = lab.bindings(space)[0]["metadata"]["name"]
    for words in (("tg", arn), ("lb", balancer)):
        found = lab.lbdoctor(*words, "-n", space, "-o", "json")
        assert [s["kind"] for s in found.json["subjects"]] == [kind] and found.status == 0, str(found)
    # Nodes of managed node groups serve Auto Mode as well: that none is its own accuses no binding.
    time.sleep(max(0.0, UNTAKEN_SECONDS - (time.monotonic() - begun)))
    found = lab.lbdoctor(f"targetgroupbinding.{AUTO_MODE}/{bound}", "-n", space)
    assert found.status == 0, str(found)


@contextmanager
def patched(lab: Lab, space: str, kind: str, patch: Mapping[str, Any] | list[Mapping[str, Any]]) -> Iterator[None]:
    lab.patch(kind, "web", space, patch)
    yield


@contextmanager
def rules_revoked(lab: Lab, space: str, play: Play) -> Iterator[None]:
    with ExitStack() as undo:
        for rule in play.node_rules:
            undo.enter_context(faults.rule_revoked(lab, lab.state["cluster_sg"], rule))
        yield


FAULTS: dict[str, tuple[Change, str, str]] = {
    "target-port": (
        lambda lab, ns, _: patched(
            lab, ns, "service", [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 8081}]
        ),
        "LBD307",
        "Service/web",
    ),
    "selector": (
        lambda lab, ns, _: patched(lab, ns, "service", {"spec": {"selector": {"app": "wbe"}}}),
        "LBD201",
        "Service/web",
    ),
    "check-path": (
        lambda lab, ns, _: patched(
            lab, ns, "ingress", {"metadata": {"annotations": {f"{ALB}healthcheck-path": "/nowhere"}}}
        ),
        "LBD301",
        "Ingress/web",
    ),
    "security-group": (rules_revoked, "LBD501", "SecurityGroup/{cluster_sg}"),
}


# The lab's own controller keeps the rules of the nodes' group while it works on other tests' objects, and takes away
# what the repair adds.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.alone) if n == "security-group" else n for n in FAULTS]
)
def test_a_fault_and_its_repair(lab: Lab, space: str, class_name: str, play: Play, name: str, tmp_path: Path) -> None:
    change, code, blamed = FAULTS[name]
    lab.apply(alb(class_name), space)
    lab.wait_targets(space, "healthy", count=2)
    wait_for(lab, space, "ing/web", [])
    with change(lab, space, play):
        first = wait_for(lab, space, "ing/web", [code])["diagnoses"][0]
        assert f"{first['object']['kind']}/{first['object']['name']}" == blamed.format(**lab.state)
        given = ("--yes", "--wait", "90s", "--undo-file", str(tmp_path / "undo.json"))
        fixed = lab.lbdoctor("--fix", first["fix"]["name"], "ing/web", "-n", space, *given, timeout=150)
        assert fixed.status == 0, str(fixed)
        wait_for(lab, space, "ing/web", [])
        assert lab.lbdoctor("undo", str(tmp_path / "undo.json"), "--yes").status == 0
