"""`kubectl lbdoctor mcp` on the lab: an agent's client takes a broken Ingress from its diagnosis to healthy targets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import types
from mcp.client.client import Client

from tests.e2e.scenarios import SCENARIOS
from tests.e2e.test_policy import Run, account  # noqa: F401 (a fixture)
from tests.lab.api import Lab
from tests.support.mcp_client import said, talk

BROKEN = next(scenario for scenario in SCENARIOS if scenario.name == "wrong-target-port")
PATIENCE = 60.0

Answer = dict[str, Any]


@pytest.fixture
def broken(lab: Lab, space: str) -> Iterator[dict[str, Any]]:
    """An Ingress whose Service sends to a port where nothing listens, as a call names it."""
    lab.apply(BROKEN.manifests(), space)
    BROKEN.seen(lab, space)
    yield {"objects": [BROKEN.subject], "namespace": space}


def variables(lab: Lab, **more: str) -> dict[str, str]:
    return {name: value for name, value in lab.environment().items() if name.startswith(("AWS_", "KUBE"))} | more


async def asked(client: Client, tool: str, arguments: dict[str, Any]) -> Answer:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, said(result)
    answer: Answer = result.structured_content
    return answer


async def diagnosed(client: Client, arguments: dict[str, Any]) -> Answer:
    """The diagnosis, once the controller has done its work."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = await asked(client, "diagnose", arguments)
        if [cause["code"] for cause in answer["diagnoses"]] == BROKEN.codes or time.monotonic() > deadline:
            return answer
        await asyncio.sleep(2)


async def replanned(client: Client, arguments: dict[str, Any]) -> Answer:
    """A plan, once the checks of the load balancer have judged the new targets."""
    deadline = time.monotonic() + PATIENCE
    while not (plan := await asked(client, "plan_fix", arguments))["steps"]:
        assert time.monotonic() < deadline, plan
        await asyncio.sleep(2)
    return plan


def target_port(lab: Lab, space: str) -> Any:
    return lab.get("service", "web", space)["spec"]["ports"][0]["targetPort"]


def test_from_the_diagnosis_to_healthy_targets(lab: Lab, space: str, broken: Answer, tmp_path: Path) -> None:
    wanted = {**broken, "fixes": ["targetport"]}

    async def conversation(client: Client) -> types.CallToolResult:
        found = await diagnosed(client, broken)
        assert [cause["code"] for cause in found["diagnoses"]] == BROKEN.codes, found
        scanned = await asked(client, "scan", {"namespace": space})
        (row,) = scanned["frontends"]
        assert (row["name"], row["rootCause"]["code"]) == ("web", BROKEN.codes[0])
        explained = await asked(client, "explain", {"topics": BROKEN.codes})
        assert [topic["name"] for topic in explained["topics"]] == BROKEN.codes
        probes = await asked(client, "probe", broken)
        assert probes["targets"]["failed"] > 0 and probes["targets"]["passed"] == 0

        planned = await asked(client, "plan_fix", wanted)
        (step,) = planned["steps"]
        assert (step["now"], step["then"]) == (str(target_port(lab, space)), "8080")
        # Somebody else changes it meanwhile: what was planned is made no more.
        lab.patch("service", "web", space, [{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9999}])
        again = await replanned(client, wanted)
        assert again["digest"] != planned["digest"]
        refused = await client.call_tool("apply_fix", {**wanted, "digest": planned["digest"]})
        assert refused.is_error and "plan again with plan_fix" in said(refused), said(refused)
        assert target_port(lab, space) == 9999
        return await client.call_tool("apply_fix", {**wanted, "digest": again["digest"], "waitSeconds": 120})

    made = talk(conversation, "--allow-fix", "--undo-file", str(tmp_path), env=variables(lab))
    assert not made.is_error, said(made)
    assert (made.structured_content["status"], made.structured_content["gone"]) == ("healthy", BROKEN.codes)
    assert target_port(lab, space) == 8080
    assert {target.state for target in lab.target_health(space)} <= {"healthy", "draining"}
    back = lab.lbdoctor("undo", made.structured_content["undoFile"], "--yes")
    assert back.status == 0 and target_port(lab, space) == 9999, str(back)


def test_with_the_printed_rights_alone(
    lab: Lab,
    space: str,
    broken: Answer,
    account: Run,  # noqa: F811
    tmp_path: Path,
) -> None:
    """It reads everything; a fix needs more rights (`policy rbac --fix`), and says which."""

    async def conversation(client: Client) -> tuple[Answer, Answer, list[types.CallToolResult]]:
        found = await diagnosed(client, broken)
        scanned = await asked(client, "scan", {"namespace": space})
        wanted = {**broken, "fixes": ["targetport"]}
        planned = await client.call_tool("plan_fix", wanted)
        made = await client.call_tool("apply_fix", {**wanted, "digest": f"sha256:{'0' * 64}"})
        return found, scanned, [planned, made]

    env = variables(lab, KUBECONFIG=str(tmp_path / "kubeconfig"))
    before = target_port(lab, space)
    found, scanned, refused = talk(conversation, "--allow-fix", "--undo-file", str(tmp_path), env=env)
    assert [cause["code"] for cause in found["diagnoses"]] == BROKEN.codes, found
    assert [row["name"] for row in scanned["frontends"]] == ["web"], scanned
    assert all(result.is_error for result in refused), [said(result) for result in refused]
    assert 'cannot get resource \\"services\\"' in said(refused[0]), said(refused[0])
    assert target_port(lab, space) == before
