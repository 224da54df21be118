"""Pods of an overlay network behind load balancers, on the lab (tests/lab/overlay.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.scenarios import until
from tests.lab import examples, overlay
from tests.lab.api import Lab
from tests.lab.examples import Manifest

PATIENCE = 75


@pytest.fixture
def overlay_node(lab: Lab) -> Iterator[str]:
    with overlay.node(lab) as name:
        yield name


@pytest.mark.parametrize(
    ("stack", "subject"), [(examples.alb_ip, "ing/web"), (examples.nlb_ip, "svc/web")], ids=["alb", "nlb"]
)
def test_pods_of_an_overlay(
    lab: Lab, space: str, overlay_node: str, stack: Callable[[], list[Manifest]], subject: str, tmp_path: Path
) -> None:
    with overlay.pods(space, overlay_node):
        lab.apply([m for m in stack() if m["kind"] != "Deployment"], space)
        # The controller registers them; zone "all" says that it knows them to be outside of the VPC.
        seen = lab.wait_targets(space, "unhealthy", count=2)
        assert {target.id for target in seen} == set(overlay.ADDRESSES)
        end = time.monotonic() + PATIENCE
        while True:
            result = lab.lbdoctor(subject, "-n", space, "-o", "json")
            errors = [d["code"] for d in result.json["diagnoses"] if d["severity"] == "error"]
            if errors == ["LBD225"] or time.monotonic() > end:
                break
            time.sleep(2)
        shown = str(lab.lbdoctor(subject, "-n", space))
        assert errors == ["LBD225"], shown
        assert "cannot resolve pod ENI for pods" in shown, shown
        # Nodes are targets after the repair, and pods again when it is undone. What pods of an overlay answer on a node
        # port is not played.
        undo = tmp_path / "undo.json"
        given = ("--yes", "--wait", "0", "--undo-file", str(undo))
        fixed = lab.lbdoctor("--fix", "target-type", subject, "-n", space, *given)
        assert fixed.status == 3, str(fixed)  # Nothing is verified.
        until(lambda: _are_nodes(lab, space), "nodes as targets")
        assert lab.lbdoctor("undo", str(undo), "--yes").status == 0
        until(lambda: {t.id for t in lab.target_health(space)} == set(overlay.ADDRESSES), "pods as targets")


def _are_nodes(lab: Lab, space: str) -> bool:
    targets = lab.target_health(space)
    return bool(targets) and all(target.id.startswith("i-") for target in targets)
