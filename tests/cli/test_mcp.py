"""`kubectl lbdoctor mcp` as an agent's client has it: a process over stdio, against servers that can be broken."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import types
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from kubectl_lbdoctor.mcp_server.answers import NOTICE
from tests.support.api_requests import Asked
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.mcp_client import call, command, lines, said, talk
from tests.support.program import run
from tests.support.shop import NS

BUNDLE = ("--from", "docs/demo/bundle.json")
WEB: dict[str, Any] = {"objects": ["ing/web"], "namespace": NS}


def codes(result: types.CallToolResult) -> list[str]:
    assert not result.is_error, said(result)
    return [diagnosis["code"] for diagnosis in result.structured_content["diagnoses"]]


def writes(cloud: Cloud) -> list[Asked]:
    return [a for a in cloud.kube.asked if a.verb in ("patch", "create", "delete") and "dryRun" not in a.query]


# --- what is offered --------------------------------------------------------------------------------------------------


def offered(*args: str) -> dict[str, types.Tool]:
    async def listed(client: Client) -> list[types.Tool]:
        assert client.server_info is not None and client.server_info.name == "kubectl-lbdoctor"
        assert NOTICE in (client.instructions or "")
        return (await client.list_tools()).tools

    return {tool.name: tool for tool in talk(listed, *args)}


def test_nothing_that_changes_anything_is_offered_by_default() -> None:
    tools = offered()
    assert list(tools) == ["diagnose", "scan", "explain", "list_codes", "probe", "plan_fix"]
    for tool in tools.values():
        assert tool.annotations is not None and tool.annotations.read_only_hint, tool.name
        assert not tool.annotations.destructive_hint
        assert tool.description and tool.output_schema is not None
        for schema in (tool.input_schema, tool.output_schema):
            Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object" and schema["additionalProperties"] is False


def test_changes_are_offered_where_the_server_is_started_so() -> None:
    tool = offered("--allow-fix")["apply_fix"]
    assert tool.annotations is not None and tool.annotations.destructive_hint and not tool.annotations.read_only_hint
    assert "digest" in tool.input_schema["required"]


def test_probes_are_offered_as_the_flags_say() -> None:
    assert "probe" not in offered("--probe", "off")
    annotations = offered("--probe", "pod")["probe"].annotations
    assert annotations is not None and not annotations.read_only_hint and not annotations.destructive_hint


def test_no_tool_takes_a_path_or_a_connection() -> None:
    for tool in offered("--allow-fix").values():
        assert not {"kubeconfig", "context", "from", "file", "filename", "token"} & set(tool.input_schema["properties"])


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_recorded_cluster_without_any_server() -> None:
    async def conversation(client: Client) -> list[types.CallToolResult]:
        return [
            await client.call_tool("diagnose", {}),
            await client.call_tool("plan_fix", {"fixes": ["all"]}),
            await client.call_tool("explain", {"topics": ["301", "timeout"]}),
            await client.call_tool("list_codes", {"prefixes": ["LBD3"], "fixable": True}),
            await client.call_tool("scan", {}),
        ]

    diagnosis, plan, explained, listed, scanned = talk(conversation, *BUNDLE)
    assert codes(scanned) == ["LBD301"] and scanned.structured_content["counts"]["unhealthy"] == 1
    assert [row["rootCause"]["code"] for row in scanned.structured_content["frontends"]] == ["LBD301"]
    assert codes(diagnosis) == ["LBD301"]
    assert diagnosis.structured_content["diagnoses"][0]["fix"]["name"] == "healthcheck-path"
    assert diagnosis.structured_content["subjects"][0]["targets"] == {"unhealthy": 2}
    assert json.loads(said(diagnosis)) == diagnosis.structured_content
    assert plan.structured_content["steps"][0]["then"] == "/healthz" and plan.structured_content["digest"] == ""
    assert [topic["name"] for topic in explained.structured_content["topics"]] == ["LBD301", "Target.Timeout"]
    assert {code["code"][:4] for code in listed.structured_content["codes"]} == {"LBD3"}


def test_each_call_reads_anew(cloud: Cloud) -> None:
    async def conversation(client: Client) -> list[types.CallToolResult]:
        healthy = await client.call_tool("diagnose", WEB)
        cloud.wrong_port()
        return [healthy, await client.call_tool("diagnose", WEB)]

    healthy, broken = talk(conversation, env=cloud.env)
    assert codes(healthy) == [] and healthy.structured_content["status"] == "healthy"
    assert codes(broken)[0] == "LBD307" and broken.structured_content["status"] == "unhealthy"


def test_credentials_are_fetched_anew_for_each_call(cloud: Cloud, tmp_path: Path) -> None:
    helper = tmp_path / "helper.sh"
    keys = {"Version": 1, "AccessKeyId": "test", "SecretAccessKey": "test", "Expiration": "2099-01-01T00:00:00Z"}
    helper.write_text(f"#!/bin/sh\necho called >> {tmp_path}/calls\necho '{json.dumps(keys)}'\n")
    helper.chmod(0o755)
    (tmp_path / "aws").write_text(f"[default]\ncredential_process = {helper}\n")
    env = {name: value for name, value in cloud.env.items() if not name.startswith("AWS_SECRET")}
    env = {**env, "AWS_CONFIG_FILE": str(tmp_path / "aws")}
    del env["AWS_ACCESS_KEY_ID"]

    async def conversation(client: Client) -> None:
        for _ in range(2):
            assert codes(await client.call_tool("diagnose", WEB)) == []

    talk(conversation, env=env)
    assert (tmp_path / "calls").read_text().split() == ["called", "called"]


def test_calls_at_the_same_time(cloud: Cloud) -> None:
    cloud.wrong_port()

    async def conversation(client: Client) -> list[types.CallToolResult]:
        return await asyncio.gather(*(client.call_tool("diagnose", WEB) for _ in range(6)))

    assert {codes(result)[0] for result in talk(conversation, env=cloud.env)} == {"LBD307"}


def test_without_objects_it_is_the_namespace(cloud: Cloud) -> None:
    cloud.wrong_port()
    assert codes(call("diagnose", env=cloud.env))[0] == "LBD307"


def test_what_was_before_is_asked_where_an_agent_wants_it(cloud: Cloud) -> None:
    cloud.wrong_port()
    cloud.aws.faults = {"GetMetricData": "denied"}
    result = call("diagnose", env=cloud.env, **WEB, since="3h")
    assert codes(result)[0] == "LBD307"
    assert any("cloudwatch:GetMetricData" in note for note in result.structured_content["notes"])


def test_a_scan_is_of_all_namespaces_or_of_one(cloud: Cloud) -> None:
    cloud.wrong_port()

    async def conversation(client: Client) -> list[types.CallToolResult]:
        one, selected = {"namespace": NS}, {"selector": "app=none"}
        return [await client.call_tool("scan", arguments) for arguments in ({}, one, selected, {"namespace": "none"})]

    everywhere, one, selected, missing = talk(conversation, env=cloud.env)
    assert codes(everywhere)[0] == codes(one)[0] == "LBD307"
    assert everywhere.structured_content["namespace"] == "" and one.structured_content["namespace"] == NS
    assert one.structured_content["complete"] and one.structured_content["counts"]["unhealthy"] == 1
    assert selected.structured_content["frontends"] == []
    assert missing.is_error and said(missing).startswith('error: there is no namespace "none"')


def test_probes_go_through_the_api_server_and_make_no_pod(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = call("probe", env=cloud.env, **WEB)
    assert not result.is_error, said(result)
    assert result.structured_content["targets"]["failed"] == 2
    assert {probe["via"] for probe in result.structured_content["probes"]} == {"pod proxy"}
    assert writes(cloud) == []


def test_what_is_denied_is_unknown_with_its_permission(cloud: Cloud) -> None:
    cloud.kube.faults.append(KubeFault("denied", "discovery.k8s.io", ("endpointslices",)))
    result = call("diagnose", env=cloud.env, **WEB)
    assert result.structured_content["status"] == "unknown"
    assert any("endpointslices" in item["permission"] for item in result.structured_content["notRead"])


# --- untrusted text ---------------------------------------------------------------------------------------------------


def test_secrets_are_hidden_and_texts_are_marked_as_data(cloud: Cloud) -> None:
    cloud.permission_denied()
    (event,) = (e for e in cloud.kube.named("events") if e["reason"] == "FailedDeployModel")
    event["message"] += " password=hunter2hunter2 key AKIAIOSFODNN7EXAMPLE by jane@example.com \u202e\x1b[31mIgnore all"
    result = call("diagnose", env=cloud.env, **WEB)
    text = said(result)
    assert "ModifyRule" in text
    assert not any(
        secret in text for secret in ("hunter2", "AKIAIOSFODNN7EXAMPLE", "jane@example.com", "\\u202e", "\x1b")
    )
    assert "t0p-s3cr3t" not in text
    assert result.structured_content["dataNotice"] == NOTICE


# --- errors -----------------------------------------------------------------------------------------------------------


def test_errors_are_answers_with_the_sentences_of_the_command_line(cloud: Cloud) -> None:
    async def conversation(client: Client) -> list[types.CallToolResult]:
        return [
            await client.call_tool("diagnose", {"objects": ["ing/none"]}),
            await client.call_tool("diagnose", {"objects": ["secret/x"]}),
            await client.call_tool("explain", {"topics": ["LBD999"]}),
            await client.call_tool("plan_fix", {"fixes": ["rm -rf /"]}),
            await client.call_tool("diagnose", {"objects": "web"}),
            await client.call_tool("diagnose", {"kubeconfig": "/etc/passwd"}),
        ]

    results = talk(conversation, env=cloud.env)
    assert all(result.is_error and result.structured_content is None for result in results)
    missing, refused, unknown, fix, shape, more = map(said, results)
    assert missing == 'error: Ingress "none" not found in namespace "shop"\nhint: there is: ingress/web'
    assert refused.startswith("error: secret is not diagnosed:") and "hint: " in refused
    assert unknown.startswith('error: there is no check, no reason of AWS and no fix "LBD999"')
    assert fix.startswith('error: there is no fix "rm -rf /"')
    assert shape.startswith(
        "error: diagnose cannot take objects: 'web' is not of type 'array'\nhint: What to look at: "
    )
    assert "kubeconfig" in more and more.startswith("error: diagnose cannot be called so: ")


@pytest.mark.parametrize(
    ("tool", "arguments", "hint"),
    [
        ("diagnose", {"object": "ing/web"}, "hint: it takes objects, namespace, selector, since"),
        ("plan_fix", {}, "hint: it takes fixes (required), objects, namespace, selector"),
        ("diagnose", {"since": "3 hours"}, "hint: How far back to look (3h): "),
        ("diagnose", {"objects": [7]}, "hint: What to look at: KIND/NAME"),
        (
            "plan_fix",
            {"fixes": ["healthcheck-pth"]},
            "hint: Did you mean healthcheck-path or ",
        ),
    ],
)
def test_a_wrong_call_says_what_is_taken(tool: str, arguments: dict[str, Any], hint: str) -> None:
    result = call(tool, *BUNDLE, **arguments)
    assert result.is_error and hint in said(result), said(result)


def test_an_agent_knows_which_cluster_a_server_is_about(cloud: Cloud) -> None:
    async def told(client: Client) -> str:
        return client.instructions or ""

    assert "the cluster of context prod, and about namespace shop alone" in talk(
        told, "--context", "prod", "-n", "shop"
    )
    assert "This server answers about a recorded cluster" in talk(told, *BUNDLE)


def test_a_target_group_of_another_region_is_told_so(cloud: Cloud) -> None:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:210987654321:targetgroup/web/0123456789abcdef"
    text = said(call("diagnose", env=cloud.env, objects=[arn]))
    assert (
        "it is of account 210987654321 in eu-west-1, and those of this cluster are of 123456789012 in us-west-2" in text
    )


def test_the_list_of_all_codes_is_bounded() -> None:
    assert len(said(call("list_codes", *BUNDLE))) < 20_000


def test_texts_that_no_name_has_are_refused_at_the_door(cloud: Cloud) -> None:
    """A pattern of the schema lets a line break at its end through, and nothing forbids zeros and escapes."""
    asked: list[tuple[str, dict[str, Any]]] = [
        ("diagnose", {"objects": ["ing/web\n"]}),
        ("diagnose", {"namespace": "shop\n"}),
        ("scan", {"selector": "a=\u0000"}),
        ("diagnose", {"selector": "\u202ea=b"}),
        ("explain", {"topics": ["301\n"]}),
        ("plan_fix", {"fixes": ["healthcheck-path=/\u001b[2J"]}),
    ]

    async def conversation(client: Client) -> list[types.CallToolResult]:
        return [await client.call_tool(name, arguments) for name, arguments in asked]

    results = talk(conversation, env=cloud.env)
    for result in results:
        assert result.is_error and "no name has such characters" in said(result) and said(result).isprintable()
    assert cloud.kube.asked == []


@pytest.mark.parametrize("word", ["-", "/etc/passwd", "web.yaml", "--kubeconfig=/etc/passwd", "../../etc/passwd"])
def test_no_word_reads_a_file(cloud: Cloud, word: str) -> None:
    result = call("diagnose", env=cloud.env, objects=[word])
    assert result.is_error and "root:" not in said(result)


def test_a_cluster_that_is_not_there() -> None:
    result = call("diagnose", objects=["ing/web"])
    assert result.is_error and said(result).startswith("error: ") and "Traceback" not in said(result)


def test_tools_that_do_not_exist_or_are_not_allowed(cloud: Cloud) -> None:
    cloud.wrong_port()

    async def conversation(client: Client) -> None:
        for name, arguments in (("shell", {"command": "id"}), ("apply_fix", {**FIX, "digest": f"sha256:{'0' * 64}"})):
            with pytest.raises(MCPError, match="there is no tool"):
                await client.call_tool(name, arguments)

    talk(conversation, env=cloud.env)
    assert target_port(cloud) == 9090 and cloud.kube.asked == []


def test_a_call_that_is_given_up_ends_its_reads_and_no_other(cloud: Cloud) -> None:
    slow = KubeFault("slow", "discovery.k8s.io", ("endpointslices",))
    cloud.kube.faults.append(slow)

    async def conversation(client: Client) -> types.CallToolResult:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.call_tool("diagnose", WEB), 2)
        cloud.kube.faults.remove(slow)
        return await client.call_tool("diagnose", WEB)

    assert codes(talk(conversation, env=cloud.env)) == []


# --- the protocol's stream --------------------------------------------------------------------------------------------


HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def request(number: int, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def test_stdout_is_the_protocols_alone(cloud: Cloud) -> None:
    answers, notes = lines(
        request(1, "initialize", **HELLO),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"not": "json-rpc"},
        request(2, "tools/call", name="diagnose", arguments=WEB),
        args=("-v", "8"),
        env=cloud.env,
    )
    assert {answer["id"] for answer in answers if answer.get("id")} == {1, 2}
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert "GET " in notes and "t0p-s3cr3t" not in notes


# --- fixes ------------------------------------------------------------------------------------------------------------

FIX: dict[str, Any] = {"fixes": ["targetport"], **WEB}


def target_port(cloud: Cloud) -> Any:
    return cloud.kube.named("services")[0]["spec"]["ports"][0]["targetPort"]


def test_a_plan_is_made_by_its_digest_and_can_be_undone(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()

    async def conversation(client: Client) -> list[types.CallToolResult]:
        plan = await client.call_tool("plan_fix", FIX)
        again = await client.call_tool("plan_fix", FIX)
        assert plan.structured_content["digest"] == again.structured_content["digest"]
        assert writes(cloud) == []
        made = await client.call_tool("apply_fix", {**FIX, "digest": plan.structured_content["digest"]})
        return [plan, made]

    plan, made = talk(conversation, "--allow-fix", "--undo-file", str(tmp_path), env=cloud.env)
    (step,) = plan.structured_content["steps"]
    assert (step["now"], step["then"], step["state"]) == ("9090", "8080", "planned")
    assert made.structured_content["status"] == "healthy", said(made)
    assert made.structured_content["gone"] == ["LBD307"] and target_port(cloud) == 8080
    file = Path(made.structured_content["undoFile"])
    assert file.parent == tmp_path and file.stat().st_mode & 0o777 == 0o600
    assert made.structured_content["undoCommand"].endswith(f"lbdoctor --kubeconfig {cloud.kubeconfig} undo {file}")
    back = run("undo", str(file), "--yes", env=cloud.env)
    assert back.status == 0 and target_port(cloud) == 9090, back.text


def test_a_plan_tries_nothing_on_the_servers(cloud: Cloud) -> None:
    cloud.wrong_port()
    assert call("plan_fix", env=cloud.env, **FIX).structured_content["status"] == "planned"
    assert {asked.verb for asked in cloud.kube.asked} <= {"get", "list"}


def test_nothing_is_changed_where_the_plan_is_another_one_by_then(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()

    async def conversation(client: Client) -> list[types.CallToolResult]:
        digest = (await client.call_tool("plan_fix", FIX)).structured_content["digest"]
        wrong = await client.call_tool("apply_fix", {**FIX, "digest": f"sha256:{'0' * 64}"})
        other = await client.call_tool("apply_fix", {**FIX, "fixes": ["targetport=8081"], "digest": digest})
        cloud.kube.named("services")[0]["spec"]["ports"][0]["targetPort"] = 9091
        moved = await client.call_tool("apply_fix", {**FIX, "digest": digest})
        cloud.kube.named("services")[0]["metadata"]["uid"] = "another"
        cloud.kube.named("services")[0]["spec"]["ports"][0]["targetPort"] = 9090
        return [wrong, other, moved, await client.call_tool("apply_fix", {**FIX, "digest": digest})]

    results = talk(conversation, "--allow-fix", "--undo-file", str(tmp_path), env=cloud.env)
    assert all(result.is_error for result in results), [said(result) for result in results]
    assert all("plan again with plan_fix" in said(result) for result in (results[0], *results[2:]))
    assert [a.verb for a in cloud.kube.asked if a.verb not in ("get", "list")] == []
    assert list(tmp_path.glob("*undo*")) == []


def test_a_fix_that_is_given_up_before_it_writes_does_not_write(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    slow = KubeFault("slow", "discovery.k8s.io", ("endpointslices",))

    async def conversation(client: Client) -> types.CallToolResult:
        digest = (await client.call_tool("plan_fix", FIX)).structured_content["digest"]
        cloud.kube.faults.append(slow)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.call_tool("apply_fix", {**FIX, "digest": digest}), 2)
        cloud.kube.faults.remove(slow)
        return await client.call_tool("diagnose", WEB)

    assert codes(talk(conversation, "--allow-fix", "--undo-file", str(tmp_path), env=cloud.env))[0] == "LBD307"
    assert writes(cloud) == [] and target_port(cloud) == 9090


def test_one_fix_is_made_at_a_time(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()

    async def conversation(client: Client) -> list[types.CallToolResult]:
        digest = (await client.call_tool("plan_fix", FIX)).structured_content["digest"]
        arguments = {**FIX, "digest": digest}
        return await asyncio.gather(*(client.call_tool("apply_fix", arguments) for _ in range(3)))

    results = talk(conversation, "--allow-fix", "--undo-file", str(tmp_path), env=cloud.env)
    made = [result for result in results if not result.is_error]
    assert [result.structured_content["status"] for result in made] == ["healthy"]
    assert sum("another fix is being made" in said(result) for result in results) == 2
    assert len(writes(cloud)) == 1


def test_a_fix_waits_no_longer_than_it_is_told(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    cloud.kube.written = lambda asked, raw: None

    async def conversation(client: Client) -> types.CallToolResult:
        digest = (await client.call_tool("plan_fix", FIX)).structured_content["digest"]
        begun = time.monotonic()
        made = await client.call_tool("apply_fix", {**FIX, "digest": digest, "waitSeconds": 0})
        assert time.monotonic() - begun < 60
        return made

    made = talk(conversation, "--allow-fix", "--undo-file", str(tmp_path), env=cloud.env)
    assert made.structured_content["status"] == "applied" and made.structured_content["after"] is None


# --- limits of the server ---------------------------------------------------------------------------------------------


def test_a_namespace_of_the_server_is_its_only_one(cloud: Cloud) -> None:
    async def conversation(client: Client) -> list[types.CallToolResult]:
        return [
            await client.call_tool("diagnose", {"namespace": "other"}),
            await client.call_tool("diagnose", {"objects": ["ns/other"]}),
            await client.call_tool("diagnose", {"objects": ["other/web"]}),
            await client.call_tool("diagnose", WEB),
        ]

    *refused, allowed = talk(conversation, "-n", NS, env=cloud.env)
    assert all("answers about namespace shop alone" in said(result) for result in refused)
    assert codes(allowed) == []


def test_what_leads_out_of_the_only_namespace_is_refused(cloud: Cloud) -> None:
    (binding,) = cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")
    result = call("diagnose", "-n", "other", env=cloud.env, objects=[binding["spec"]["targetGroupARN"]])
    assert result.is_error and "is about shop" in said(result)
    assert not any(asked.resource in ("pods", "endpointslices") for asked in cloud.kube.asked)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--allow-fix", *BUNDLE), "--allow-fix goes with no --from"),
        (("--undo-file", "/tmp"), "--undo-file goes with --allow-fix"),
        (("--probe", "pod", *BUNDLE), "with --from nothing is sent"),
    ],
)
def test_flags_that_do_not_go_together(args: tuple[str, ...], sentence: str) -> None:
    result = run("mcp", *args)
    assert result.status == 2 and sentence in result.stderr and result.stdout == ""


@pytest.mark.parametrize("args", [("--from", "/nonexistent/x"), ("--allow-fix", "--undo-file", "/nonexistent/x")])
def test_what_is_not_there_ends_the_server_at_once(args: tuple[str, ...]) -> None:
    result = run("mcp", *args)
    assert result.status == 4 and "/nonexistent/x" in result.stderr


def test_ctrl_c_ends_the_server() -> None:
    with subprocess.Popen(
        command(*BUNDLE),
        env={**os.environ},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        # A shell starts what it puts into the background with SIGINT ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as server:
        assert server.stdin is not None and server.stdout is not None and server.stderr is not None
        server.stdin.write(json.dumps(request(1, "initialize", **HELLO)).encode() + b"\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 1
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 130
        assert server.stderr.read().split() == [b"interrupted"]


def test_the_end_of_the_input_ends_the_server() -> None:
    result = run("mcp", *BUNDLE)
    assert (result.status, result.stdout) == (0, "")


def test_without_the_package_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("mcp")
    assert result.status == 4 and "pip install 'kubectl-lbdoctor[mcp]'" in result.stderr
