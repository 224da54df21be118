"""The whole program against a Kubernetes API and AWS over HTTP: what it prints, in which format, with which status."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_lbdoctor.collect.kubernetes_api import client as kube
from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.program import Result, Terminal, run
from tests.support.shop import NS
from tests.support.world import NOW

TEXT, NUMBER, FLAG = str, int, bool
REF = {"kind": TEXT, "namespace": TEXT, "name": TEXT}
# Additions to the report are free, so a value may have more keys than its schema. A tuple of one schema is a
# list of such values, a set holds the allowed texts, `None` in front of a schema allows null.
CONTRACT = {
    "apiVersion": {"lbdoctor/v1"},
    "kind": {"Report"},
    "status": {"unhealthy", "degraded", "healthy", "unknown"},
    "generatedAt": TEXT,
    "context": {"kubeContext": TEXT, "namespace": TEXT, "region": TEXT, "account": TEXT, "cluster": TEXT},
    "subjects": (
        {
            **REF,
            "status": {"unhealthy", "degraded", "healthy", "unknown"},
            "loadBalancer": [
                None,
                {
                    "arn": TEXT,
                    "name": TEXT,
                    "dnsName": TEXT,
                    "type": {"application", "network", "gateway"},
                    "scheme": TEXT,
                },
            ],
            "targetGroups": (
                {
                    "arn": TEXT,
                    "name": TEXT,
                    "targetType": {"ip", "instance", "alb", ""},
                    "protocol": TEXT,
                    "port": NUMBER,
                    "healthCheck": {
                        "protocol": TEXT,
                        "port": TEXT,
                        "path": TEXT,
                        "matcher": TEXT,
                        "intervalSeconds": NUMBER,
                        "timeoutSeconds": NUMBER,
                        "healthyThreshold": NUMBER,
                        "unhealthyThreshold": NUMBER,
                    },
                    "backend": {"namespace": TEXT, "service": TEXT, "port": TEXT},
                    "targets": (
                        {
                            "id": TEXT,
                            "port": NUMBER,
                            "zone": TEXT,
                            "state": TEXT,
                            "reason": TEXT,
                            "description": TEXT,
                            "pod": TEXT,
                            "node": TEXT,
                        },
                    ),
                },
            ),
        },
    ),
    "diagnoses": (
        {
            "rank": NUMBER,
            "code": TEXT,
            "severity": {"error", "warning", "info"},
            "title": TEXT,
            "message": TEXT,
            "confidence": {"certain", "likely", "possible"},
            "object": REF,
            "affects": (REF,),
            "evidence": ({"source": TEXT, "text": TEXT},),
            "explains": (TEXT,),
            "confirm": (TEXT,),
            "fix": [None, {"name": TEXT, "commands": (TEXT,), "automatic": FLAG}],
        },
    ),
    "checks": {"passed": NUMBER, "failed": NUMBER, "unknown": NUMBER, "skipped": NUMBER, "crashed": NUMBER},
    "coverage": {
        "known": NUMBER,
        "denied": ({"read": TEXT, "permission": TEXT},),
        "failed": ({"read": TEXT, "error": TEXT},),
        "partial": ({"read": TEXT, "error": TEXT},),
        "notAsked": (TEXT,),
        "optional": ({"read": TEXT, "permission": TEXT, "reason": TEXT},),
    },
}


def violations(schema: Any, value: Any, where: str = "$") -> list[str]:
    """Everything in which a document departs from the contract."""
    if isinstance(schema, list):
        return [] if value is None else violations(schema[1], value, where)
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{where}: no object"]
        missing = [f"{where}.{key} is missing" for key in schema if key not in value]
        present = [v for key in schema if key in value for v in violations(schema[key], value[key], f"{where}.{key}")]
        return missing + present
    if isinstance(schema, tuple):
        if not isinstance(value, list):
            return [f"{where}: no list"]
        return [v for i, item in enumerate(value) for v in violations(schema[0], item, f"{where}[{i}]")]
    if isinstance(schema, set):
        return [] if value in schema else [f"{where}: {value!r}"]
    return [] if type(value) is schema else [f"{where}: {value!r} is no {schema.__name__}"]


def test_the_contract_notices_what_it_should() -> None:
    assert violations({"a": TEXT, "b": (NUMBER,)}, {"a": 1, "b": [1, "x"]}) == [
        "$.a: 1 is no str",
        "$.b[1]: 'x' is no int",
    ]
    assert violations({"a": [None, {"c": FLAG}]}, {"a": {}}) == ["$.a.c is missing"]


def diagnose(cloud: Cloud, *args: str, **more: Any) -> Result:
    return run(*args, env=cloud.env, **more)


# --- Results ---


def test_healthy(cloud: Cloud) -> None:
    result = diagnose(cloud, "ingress", "web")
    assert result.status == ExitStatus.HEALTHY
    assert result.stdout.splitlines()[-1].startswith("healthy: 2 of 2 targets")
    assert result.stderr == ""


def test_wrong_path(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = diagnose(cloud, "ingress", "web")
    assert result.status == ExitStatus.FINDINGS
    assert "\nLBD301 error  " in result.stdout and result.stderr == ""
    assert "ResponseCodeMismatch [404]" in result.stdout
    kubectl = f"kubectl --kubeconfig {cloud.kubeconfig}"
    assert f"{kubectl} annotate ingress/web alb.ingress.kubernetes.io/healthcheck-path=/healthz" in result.stdout
    assert result.stdout.splitlines()[-1] == "not working: no target of web:80 is healthy (LBD301)"


def test_crash_loop(cloud: Cloud) -> None:
    cloud.crash_loop()
    result = diagnose(cloud, "ingress", "web", "-o", "json")
    assert (result.status, result.codes[0]) == (ExitStatus.FINDINGS, "LBD403")


def test_one_of_two_targets_is_degraded(cloud: Cloud) -> None:
    cloud.wrong_path()
    cloud.aws.health[1].state = "healthy"
    result = diagnose(cloud, "ingress", "web", "-o", "json")
    assert (result.status, result.json["status"], result.codes) == (ExitStatus.FINDINGS, "degraded", ["LBD301"])


# --- Formats ---


@pytest.mark.parametrize("fault", ["", "wrong_path", "crash_loop"])
def test_json_keeps_the_contract(cloud: Cloud, fault: str) -> None:
    if fault:
        getattr(cloud, fault)()
    document = diagnose(cloud, "ingress", "web", "-o", "json").json
    assert violations(CONTRACT, document) == []
    assert document["generatedAt"] == NOW
    assert document["context"] == {
        "kubeContext": "lab",
        "namespace": NS,
        "region": "us-west-2",
        "account": "123456789012",
        "cluster": "lab",
    }
    assert document["subjects"][0]["loadBalancer"]["dnsName"] == cloud.aws.host
    assert bool(document["diagnoses"]) is bool(fault)
    assert [d["rank"] for d in document["diagnoses"]] == list(range(1, len(document["diagnoses"]) + 1))


def test_json_without_aws_keeps_the_contract(cloud: Cloud) -> None:
    document = diagnose(cloud, "ingress", "web", "-o", "json", "--no-aws").json
    assert violations(CONTRACT, document) == []
    assert document["coverage"]["notAsked"]


def test_json_names_pod_and_node_of_each_target(cloud: Cloud) -> None:
    targets = diagnose(cloud, "ing", "web", "-o", "json").json["subjects"][0]["targetGroups"][0]["targets"]
    assert [(t["id"], t["pod"], t["node"], t["zone"]) for t in targets] == [
        ("10.0.1.34", "web-abc-1", "node1", "us-west-2a"),
        ("10.0.2.34", "web-abc-2", "node2", "us-west-2c"),
    ]


def test_yaml_is_the_same_document(cloud: Cloud) -> None:
    cloud.wrong_path()
    as_json, as_yaml = (diagnose(cloud, "ingress", "web", "-o", form) for form in ("json", "yaml"))
    assert yaml.safe_load(as_yaml.stdout) == as_json.json
    assert as_json.status == as_yaml.status == ExitStatus.FINDINGS


def test_wide_shows_everything(cloud: Cloud) -> None:
    cloud.wrong_path()
    narrow = diagnose(cloud, "ingress", "web", width=60)
    wide = diagnose(cloud, "ingress", "web", "-o", "wide", width=60)
    for text in (cloud.aws.host, cloud.aws.group_arn, "us-west-2a", "DESCRIPTION"):
        assert text in wide.stdout
    assert "DNS NAME" not in narrow.stdout and "DESCRIPTION" not in narrow.stdout


def test_name_prints_objects_to_look_at(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = diagnose(cloud, "ingress", "web", "-o", "name")
    assert (result.status, result.stdout) == (ExitStatus.FINDINGS, "ingress.networking.k8s.io/web\n")


def test_name_prints_nothing_when_healthy(cloud: Cloud) -> None:
    result = diagnose(cloud, "ingress", "web", "-o", "name")
    assert (result.status, result.stdout) == (ExitStatus.HEALTHY, "")


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml", "name"])
def test_exit_status_is_the_same_for_every_format(cloud: Cloud, output: str) -> None:
    assert diagnose(cloud, "ing/web", "--no-aws", "-o", output).status == ExitStatus.UNKNOWN
    cloud.wrong_path()
    assert diagnose(cloud, "ing/web", "-o", output).status == ExitStatus.FINDINGS


def test_colour_only_on_a_terminal_and_never_with_no_color(cloud: Cloud) -> None:
    plain = diagnose(cloud, "ing", "web")
    coloured = diagnose(cloud, "ing", "web", stdout=Terminal())
    asked = run("ing", "web", env={**cloud.env, "NO_COLOR": "1"}, stdout=Terminal())
    assert "\x1b[32mhealthy\x1b[0m" in coloured.stdout
    assert "\x1b" not in plain.stdout and plain.stdout == asked.stdout


# --- Flags and names ---


@pytest.mark.parametrize(
    "args",
    [
        ("ingress", "web", "-n", "shop"),
        ("-n", "shop", "ingress", "web"),
        ("ingress", "-n", "shop", "web"),
        ("-n", "other", "ing", "web", "-n", "shop"),
        ("--namespace=shop", "ing/web"),
        ("ing/web", "--namespace", "shop"),
        ("--context", "bare", "-n", "shop", "ingresses", "web"),
        ("ingresses.networking.k8s.io", "web", "--context", "lab"),
        ("INGRESS", "web"),
        ("ing", "ing/web"),
        ("ingress/web",),
    ],
)
def test_spellings_of_one_question(cloud: Cloud, args: tuple[str, ...]) -> None:
    env = {**cloud.env, "KUBECONFIG": str(cloud.kubeconfig)}
    result = run(*args, "-o", "json", env=env)
    assert result.status == ExitStatus.HEALTHY, result.text
    assert [(s["kind"], s["namespace"], s["name"]) for s in result.json["subjects"]] == [("Ingress", "shop", "web")]


@pytest.mark.parametrize(
    "args", [("-o", "json", "ing", "web"), ("ing", "web", "-o", "json"), ("-o", "table", "ing", "web", "-ojson")]
)
def test_output_flag_stands_anywhere_and_the_later_wins(cloud: Cloud, args: tuple[str, ...]) -> None:
    assert diagnose(cloud, *args).json["status"] == "healthy"


@pytest.mark.parametrize("kind", ["svc", "service", "services"])
def test_service(cloud: Cloud, kind: str) -> None:
    document = diagnose(cloud, kind, "web", "-o", "json").json
    subject = document["subjects"][0]
    assert subject["kind"] == "Service"
    assert [g["arn"] for g in subject["targetGroups"]] == [cloud.aws.group_arn]


@pytest.mark.parametrize("kind", ["tgb", "targetgroupbinding", "targetgroupbindings.elbv2.k8s.aws"])
def test_target_group_binding(cloud: Cloud, kind: str) -> None:
    cloud.wrong_path()
    result = diagnose(cloud, kind, "k8s-shop-web-fdbb6ec3c4", "-o", "json")
    assert result.json["subjects"][0]["kind"] == "TargetGroupBinding"
    assert (result.status, result.codes[0]) == (ExitStatus.FINDINGS, "LBD301")


def test_several_objects_of_several_kinds(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = diagnose(cloud, "ing/web", "svc/web", "ing/web", "-o", "json")
    assert [s["kind"] for s in result.json["subjects"]] == ["Ingress", "Service"]
    found = [d for d in result.json["diagnoses"] if d["code"] == "LBD301"]
    assert found and {a["kind"] for d in found for a in d["affects"]} == {"Ingress", "Service"}
    shown = diagnose(cloud, "ing/web", "svc/web")
    assert "INGRESS " in shown.stdout and "SERVICE " in shown.stdout and "  affects   " in shown.stdout


def test_several_names_of_one_kind(cloud: Cloud) -> None:
    second = {**cloud.kube.named("ingresses", group="networking.k8s.io")[0]}
    second = {**second, "metadata": {**second["metadata"], "name": "api", "uid": "api"}, "status": {}}
    cloud.kube.objects["networking.k8s.io", "ingresses"].append(second)
    result = diagnose(cloud, "ing", "web", "api", "-o", "json")
    assert [s["name"] for s in result.json["subjects"]] == ["web", "api"]
    assert result.json["subjects"][0]["status"] == "healthy"
    assert result.json["subjects"][1]["status"] != "healthy"


def test_namespace_of_the_current_context(cloud: Cloud) -> None:
    assert diagnose(cloud, "ing", "web", "-o", "json").json["context"]["namespace"] == "shop"
    other = diagnose(cloud, "ing", "web", "--context", "bare")
    assert other.status == ExitStatus.COULD_NOT_RUN and 'namespace "default"' in other.stderr


def test_kubeconfig_flag_wins_over_the_variable(cloud: Cloud) -> None:
    env = {**cloud.env, "KUBECONFIG": "/nonexistent"}
    assert run("ing", "web", "--kubeconfig", str(cloud.kubeconfig), env=env).status == ExitStatus.HEALTHY


def test_impersonation_reaches_the_server(cloud: Cloud) -> None:
    assert diagnose(cloud, "ing", "web", "--as", "jane", "--as-group", "a", "--as-group", "b").status == 0
    headers = cloud.kube.headers[-1]
    assert headers["Impersonate-User"] == "jane"
    assert headers.get_all("Impersonate-Group") == ["a", "b"]


def test_aws_endpoint_url_is_respected(cloud: Cloud) -> None:
    before = len(cloud.aws.asked)
    diagnose(cloud, "ing", "web")
    assert len(cloud.aws.asked) > before
    env = {**cloud.env, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    result = run("ing", "web", "-o", "json", "--request-timeout", "1s", env=env)
    assert (result.status, result.json["status"]) == (ExitStatus.UNKNOWN, "unknown")
    assert "127.0.0.1:9" in result.stdout


def test_no_aws_sends_nothing_to_aws(cloud: Cloud) -> None:
    before = len(cloud.aws.asked)
    result = diagnose(cloud, "ing", "web", "--no-aws")
    assert (result.status, len(cloud.aws.asked)) == (ExitStatus.UNKNOWN, before)
    assert "LBD004 not asked: elbv2:DescribeLoadBalancers: --no-aws was given\n" in result.stdout


def test_fail_on_decides_which_findings_count(cloud: Cloud) -> None:
    cloud.wrong_path()
    assert diagnose(cloud, "ing", "web", "--fail-on", "error").status == ExitStatus.FINDINGS
    assert diagnose(cloud, "ing", "web", "--fail-on", "info").status == ExitStatus.FINDINGS


def test_verbose_counts_calls_on_stderr(cloud: Cloud) -> None:
    result = diagnose(cloud, "ing", "web", "-v")
    assert "list pods" in result.stderr and "elbv2:DescribeTargetHealth" in result.stderr
    assert "list pods" not in result.stdout


# --- Reads ---


def test_pages_are_put_together(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = diagnose(cloud, "ing", "web", "-o", "json").json
    monkeypatch.setattr(kube, "PAGE_SIZE", 1)
    paged = diagnose(cloud, "ing", "web", "-o", "json").json
    assert sum(paged.pop("calls").values()) > sum(whole.pop("calls").values())
    assert paged == whole
    assert any("continue" in asked.query for asked in cloud.kube.asked)


def test_number_of_calls_does_not_follow_the_number_of_pods(cloud: Cloud) -> None:
    diagnose(cloud, "ing", "web")
    few = len(cloud.kube.asked), len(cloud.aws.asked)
    pods = cloud.kube.named("pods")
    for number in range(40):
        metadata = {**pods[0]["metadata"], "name": f"more-{number}", "uid": f"more-{number}", "labels": {"app": "x"}}
        cloud.kube.objects["", "pods"].append({**pods[0], "metadata": metadata})
    cloud.kube.asked.clear()
    cloud.aws.asked.clear()
    diagnose(cloud, "ing", "web")
    assert len(cloud.kube.asked) == few[0] and len(cloud.aws.asked) <= few[1]


def test_missing_crds_are_absent_not_unknown(cloud: Cloud) -> None:
    cloud.kube.missing_groups.add("elbv2.k8s.aws")
    result = diagnose(cloud, "ing", "web", "-o", "json")
    assert result.json["coverage"]["failed"] == [] and result.json["coverage"]["denied"] == []
    assert result.json["status"] != "healthy" and result.status != ExitStatus.HEALTHY


# --- Bundles ---


@pytest.mark.parametrize("name", ["bundle.json", "bundle.json.gz"])
def test_bundle_gives_the_same_report(cloud: Cloud, tmp_path: Path, name: str) -> None:
    cloud.wrong_path()
    path = tmp_path / name
    live = diagnose(cloud, "ing", "web", "--save", str(path), "-o", "json")
    assert live.stderr == f"bundle saved: {path}\n"
    again = run("ing", "web", "--from", str(path), "-o", "json")
    assert again.status == live.status == ExitStatus.FINDINGS
    assert again.codes == live.codes
    # Commands of a bundle lead nowhere in particular: the connection is none of what was recorded.
    text = live.stdout.replace(f" --kubeconfig {cloud.kubeconfig}", "")
    redacted = json.loads(text.replace("123456789012", "000000000001"))
    of_the_run = {"calls": None, "durationMs": None}
    assert redacted.pop("calls") and again.json["calls"] == {}
    assert {**again.json, **of_the_run} == {**redacted, **of_the_run}
    assert path.stat().st_mode & 0o077 == 0


def test_bundle_holds_no_account(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    diagnose(cloud, "ing", "web", "--save", str(path))
    text = path.read_text()
    assert "123456789012" not in text and "t0p-s3cr3t" not in text and "10.0.1.34" in text


def test_bundle_needs_no_name_and_no_command(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_path()
    path = str(tmp_path / "bundle.json")
    diagnose(cloud, "ing", "web", "--save", path)
    for args in (("--from", path), ("ing", "--from", path), ("--from", path, "ing/web", "-n", "shop")):
        result = run(*args, "-o", "json") if args[0] == "ing" else run("-o", "json", *args)
        assert (result.status, result.codes) == (ExitStatus.FINDINGS, ["LBD301"]), args


# --- Other commands ---


def test_version_explain_and_checks_need_no_cluster() -> None:
    assert run("version").stdout.startswith("kubectl lbdoctor ")
    page = run("explain", "lbd301")
    assert page.status == 0 and page.stdout.startswith("LBD301 (error): ") and "curl" in page.stdout
    codes = run("checks", "-o", "name").stdout.split()
    assert "LBD301" in codes and codes == sorted(codes)
    assert [entry["code"] for entry in run("checks", "-o", "json").json["checks"]] == codes
    assert [entry["code"] for entry in yaml.safe_load(run("checks", "-o", "yaml").stdout)["checks"]] == codes
    assert all(code in run("checks").stdout for code in codes)


def test_policies_are_usable() -> None:
    actions = [action for statement in run("policy", "iam").json["Statement"] for action in statement["Action"]]
    assert "elasticloadbalancing:DescribeTargetHealth" in actions
    assert not [a for a in actions if not a.split(":")[1].startswith(("Describe", "List", "Get", "Lookup"))]
    role = yaml.safe_load(run("policy", "rbac").stdout)
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    assert role["kind"] == "ClusterRole" and verbs <= {"get", "list", "watch"}


def test_iam_is_asked_while_eks_says_nothing(cloud: Cloud) -> None:
    """The role is known from what the controller complains of, so that two silent services cost the time of one."""
    cloud.permission_denied()
    asked, in_time = threading.Event(), []

    def acted(action: str) -> None:
        if action == "GetRole":
            asked.set()
        elif action == "ListPodIdentityAssociations":
            in_time.append(asked.wait(20))

    cloud.aws.acted = acted
    result = run("ing/web", "-o", "json", env=cloud.env)
    assert result.codes == ["LBD120"] and in_time == [True], result.text
