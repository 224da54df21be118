"""Everything that can be missing, refused, slow, broken or mistyped: a clear sentence, the documented exit status, what
could still be read is still diagnosed, and what is unknown is never called healthy."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.aws_api.client import AwsReader
from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.connections import AWS_ATTEMPTS, AWS_READ_TIMEOUT
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model import k8s, reads
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.reads import KUBE, iam_action, is_aws
from kubectl_lbdoctor.model.snapshot import SCHEMA
from kubectl_lbdoctor.report import needed_reads
from tests.support.cloud import Cloud
from tests.support.faults import SLOW, KubeFault
from tests.support.program import Result, run
from tests.support.shop import PRIVATE_KEY, REGION
from tests.support.world import World, meta, mismatch, pod

NEEDED = sorted(needed_reads(CATALOGUE) - reads.OPTIONAL)
# What is read for a Gateway alone has tests of its own (tests/cli/test_gateways.py).
KUBE_READS = [read for read in NEEDED if not is_aws(read) and KUBE[read].scope is not reads.Scope.GATEWAY]
AWS_READS = [read for read in NEEDED if is_aws(read)]


def no_traceback(result: Result) -> None:
    assert "Traceback" not in result.text and "this is a bug" not in result.text, result.text


def refused(result: Result, status: ExitStatus, *words: str) -> None:
    """The program could not do it: status, nothing on stdout, one error line that says what, at most one hint."""
    no_traceback(result)
    assert result.status == status, result.text
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ") and len(lines) <= 2, result.stderr
    assert all(line.startswith("hint: ") for line in lines[1:])
    for word in words:
        assert word in result.stderr, result.stderr


# --- One read fails ---------------------------------------------------------------------------------------------------


def diagnose(cloud: Cloud, tmp_path: Path, *args: str) -> tuple[Result, Result]:
    """The same run as JSON and as a table (printed from its bundle, which must tell the same)."""
    path = str(tmp_path / "bundle.json")
    as_json = run("ing", "web", "-o", "json", "--save", path, *args, env=cloud.env)
    no_traceback(as_json)
    table = run("--from", path)
    no_traceback(table)
    assert table.status == as_json.status
    return as_json, table


def never_healthy(result: Result, table: Result) -> None:
    assert result.json["status"] != "healthy"
    assert [s["status"] for s in result.json["subjects"]] != ["healthy"]
    assert not re.search(r"^healthy", table.stdout, re.MULTILINE)
    assert result.status in (ExitStatus.FINDINGS, ExitStatus.UNKNOWN)


def nothing_accused(result: Result) -> None:
    """A failed read on a healthy cluster is no evidence of anything."""
    assert result.json["status"] == "unknown", result.stdout
    assert [d["code"] for d in result.json["diagnoses"] if d["severity"] == "error"] == []
    assert result.status == ExitStatus.UNKNOWN


def still_diagnosed(result: Result, read: str) -> None:
    """What does not need the failed read is diagnosed all the same."""
    if not {read, *AFTER.get(read, ())} & CATALOGUE["LBD301"].reads:
        assert (result.status, result.codes[:1]) == (ExitStatus.FINDINGS, ["LBD301"])
    assert set(result.codes) <= {"LBD301", "LBD005", "LBD607"}


# Reads that are only made where another one is denied.
AFTER = {reads.TAGS: (reads.BINDINGS,)}


def break_aws(cloud: Cloud, read: str, kind: str) -> None:
    cloud.aws.faults[read.partition(":")[2]] = kind
    cloud.kube.faults = [KubeFault.of(before, "denied") for before in AFTER.get(read, ())]


def break_kube(cloud: Cloud, read: str, kind: str) -> None:
    if read == reads.ALL_INGRESSES:
        cloud.in_group()
    cloud.kube.faults = [KubeFault.of(read, kind)]


def was_asked(cloud: Cloud, read: str, kind: str) -> None:
    assert cloud.kube.hit[kind], f"{read} was not asked: teach tests/support/shop.py a world that needs it"


@pytest.mark.parametrize("read", KUBE_READS)
def test_kubernetes_denies_a_read(cloud: Cloud, tmp_path: Path, read: str) -> None:
    break_kube(cloud, read, "denied")
    result, table = diagnose(cloud, tmp_path)
    was_asked(cloud, read, "denied")
    never_healthy(result, table)
    nothing_accused(result)
    denied = {d["read"]: d["permission"] for d in result.json["coverage"]["denied"]}
    assert set(denied) == {read}
    verb, resource, *_ = denied[read].split()
    assert verb in KUBE[read].verbs
    assert resource.removesuffix(f".{KUBE[read].kind.group}") in KUBE[read].resources
    assert denied[read] in table.stdout


@pytest.mark.parametrize("read", KUBE_READS)
def test_kubernetes_fails_a_read(cloud: Cloud, tmp_path: Path, read: str) -> None:
    cloud.wrong_path()
    break_kube(cloud, read, "error")
    result, table = diagnose(cloud, tmp_path)
    was_asked(cloud, read, "error")
    never_healthy(result, table)
    still_diagnosed(result, read)
    failed = {f["read"]: f["error"] for f in result.json["coverage"]["failed"]}
    assert set(failed) == {read} and "500" in failed[read] and "etcdserver" in table.stdout


def too_late(cloud: Cloud, tmp_path: Path, read: str) -> tuple[Result, Result]:
    """A run with a late answer to `read`. On a busy machine other answers may be late as well, so that `read` is not
    even asked for: then once more, with more time for all."""
    for limit in ("0.4", "3"):
        result, table = diagnose(cloud, tmp_path, "--request-timeout", f"{limit}s")
        failed = {f["read"]: f["error"] for f in result.json["coverage"]["failed"]}
        if set(failed) == {read}:
            break
    assert read in failed
    assert f"timed out after {limit}s" in failed[read]
    return result, table


@pytest.mark.parametrize("read", KUBE_READS)
def test_kubernetes_answers_a_read_too_late(cloud: Cloud, tmp_path: Path, read: str) -> None:
    break_kube(cloud, read, "slow")
    result, table = too_late(cloud, tmp_path, read)
    was_asked(cloud, read, "slow")
    never_healthy(result, table)
    nothing_accused(result)


@pytest.mark.parametrize("read", AWS_READS)
def test_aws_denies_an_action(cloud: Cloud, tmp_path: Path, read: str) -> None:
    break_aws(cloud, read, "denied")
    result, table = diagnose(cloud, tmp_path)
    never_healthy(result, table)
    nothing_accused(result)
    denied = {d["read"]: d["permission"] for d in result.json["coverage"]["denied"]}
    assert denied.pop(read) == iam_action(read) and set(denied) == {*AFTER.get(read, ())}
    assert f"LBD001 denied: {iam_action(read)}. " in table.stdout
    assert "\n  kubectl lbdoctor policy iam\n" in table.stdout


@pytest.mark.parametrize("kind", ["throttled", "error"])
@pytest.mark.parametrize("read", AWS_READS)
def test_aws_fails_an_action(cloud: Cloud, tmp_path: Path, read: str, kind: str) -> None:
    cloud.wrong_path()
    break_aws(cloud, read, kind)
    result, table = diagnose(cloud, tmp_path)
    never_healthy(result, table)
    still_diagnosed(result, read)
    assert cloud.aws.asked.count(iam_action(read)) > 1, "a passing failure is worth a second attempt"
    failed = {f["read"]: f["error"] for f in result.json["coverage"]["failed"]}
    assert set(failed) == {read}
    assert ("throttled" if kind == "throttled" else "failed inside AWS") in failed[read]
    assert f"LBD002 not read: {read}" in table.stdout


@pytest.mark.parametrize("read", AWS_READS)
def test_aws_answers_an_action_too_late(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.connections.AWS_ATTEMPTS", 1)
    break_aws(cloud, read, "slow")
    result, table = too_late(cloud, tmp_path, read)
    never_healthy(result, table)
    nothing_accused(result)


# A hanging endpoint is given up by the program itself; small bounds for the tests, and what a busy machine may add.
GIVE_UP, TRIES, SLACK = 0.3, 2, 6.0
# By instance, by address, by description; by DNS name, then by the ARN that the target group names.
QUESTIONS = {reads.NETWORK_INTERFACES: 3, reads.LOAD_BALANCERS: 2}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.connections.AWS_READ_TIMEOUT", GIVE_UP)
    monkeypatch.setattr("kubectl_lbdoctor.connections.AWS_ATTEMPTS", TRIES)


def test_waiting_for_aws_is_bounded_to_seconds() -> None:
    assert AWS_READ_TIMEOUT * AWS_ATTEMPTS <= 15


@pytest.mark.parametrize("read", AWS_READS)
def test_a_hanging_aws_action_is_given_up(cloud: Cloud, tmp_path: Path, impatient: None, read: str) -> None:
    break_aws(cloud, read, "slow")
    started = time.monotonic()
    result, table = diagnose(cloud, tmp_path)
    assert time.monotonic() - started < GIVE_UP * TRIES * QUESTIONS.get(read, 1) + SLACK < SLOW
    never_healthy(result, table)
    nothing_accused(result)
    failed = {f["read"]: f["error"] for f in result.json["coverage"]["failed"]}
    assert f"timed out after {GIVE_UP}s" in failed[read]
    assert cloud.aws.asked.count(iam_action(read)) == TRIES * QUESTIONS.get(read, 1)


def test_a_hanging_aws_endpoint_is_given_up(cloud: Cloud, tmp_path: Path, impatient: None) -> None:
    """It takes connections and says nothing at all, to no request."""
    cloud.crash_loop()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        cloud.env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        result, table = diagnose(cloud, tmp_path)
        assert time.monotonic() - started < GIVE_UP * TRIES + SLACK < SLOW
    never_healthy(result, table)
    assert (result.status, result.codes[0]) == (ExitStatus.FINDINGS, "LBD403")
    failed = {f["read"]: f["error"] for f in result.json["coverage"]["failed"]}
    assert set(failed) <= set(AWS_READS) and reads.TARGET_HEALTH in failed
    assert all(f"timed out after {GIVE_UP}s" in error for error in failed.values())


def test_request_timeout_bounds_aws_as_well(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller bound holds: a patient --request-timeout does not make the program wait for AWS."""
    monkeypatch.setattr("kubectl_lbdoctor.connections.AWS_READ_TIMEOUT", GIVE_UP)
    monkeypatch.setattr("kubectl_lbdoctor.connections.AWS_ATTEMPTS", 1)
    cloud.aws.faults["DescribeTargetHealth"] = "slow"
    result, _ = diagnose(cloud, tmp_path, "--request-timeout", "60s")
    failed = {f["read"]: f["error"] for f in result.json["coverage"]["failed"]}
    assert f"timed out after {GIVE_UP}s" in failed[reads.TARGET_HEALTH]
    assert cloud.aws.asked.count(iam_action(reads.TARGET_HEALTH)) == 1


@pytest.mark.parametrize("read", AWS_READS)
def test_pods_are_diagnosed_without_an_aws_action(cloud: Cloud, tmp_path: Path, read: str) -> None:
    cloud.crash_loop()
    break_aws(cloud, read, "denied")
    result, table = diagnose(cloud, tmp_path)
    never_healthy(result, table)
    assert (result.status, result.codes[0]) == (ExitStatus.FINDINGS, "LBD403")


@pytest.mark.parametrize("kind", ["denied", "error"])
def test_secret_of_the_webhook_is_not_needed(cloud: Cloud, tmp_path: Path, kind: str) -> None:
    """Few may read it; a certificate that is refused shows in events, too."""
    break_kube(cloud, reads.WEBHOOK_SECRET, kind)
    result, _ = diagnose(cloud, tmp_path)
    was_asked(cloud, reads.WEBHOOK_SECRET, kind)
    assert (result.status, result.json["status"], result.codes) == (ExitStatus.HEALTHY, "healthy", [])


def test_private_key_is_never_kept(cloud: Cloud, tmp_path: Path) -> None:
    result, table = diagnose(cloud, tmp_path)
    bundle = (tmp_path / "bundle.json").read_text()
    assert "BEGIN CERTIFICATE" in bundle
    for text in (bundle, result.text, table.text):
        assert PRIVATE_KEY not in text and base64.b64encode(PRIVATE_KEY.encode()).decode() not in text


def test_role_is_compared_with_what_the_controller_needs(cloud: Cloud, tmp_path: Path) -> None:
    cloud.permission_denied()
    result, table = diagnose(cloud, tmp_path)
    assert (result.status, result.codes[:1]) == (ExitStatus.FINDINGS, ["LBD120"])
    assert {iam_action(read) for read in reads.IDENTITY} <= set(cloud.aws.asked)
    first = result.json["diagnoses"][0]
    said = " ".join(entry["text"] for entry in first["evidence"])
    assert "lbc-policy, more: no statement allows elasticloadbalancing:ModifyRule" in said
    assert "also missing of what v2.17.1 needs: elasticloadbalancing:AddListenerCertificates, " in said
    assert "elasticloadbalancing:ModifyRule" in table.stdout


@pytest.mark.parametrize("kind", ["denied", "error"])
@pytest.mark.parametrize("read", reads.IDENTITY)
def test_denial_stands_without_a_read_of_iam(cloud: Cloud, tmp_path: Path, read: str, kind: str) -> None:
    cloud.permission_denied()
    break_aws(cloud, read, kind)
    result, table = diagnose(cloud, tmp_path)
    assert iam_action(read) in cloud.aws.asked
    assert (result.status, result.codes[:1]) == (ExitStatus.FINDINGS, ["LBD120"])
    assert result.json["coverage"]["denied"] == [] and result.json["coverage"]["failed"] == []
    said = " ".join(entry["text"] for entry in result.json["diagnoses"][0]["evidence"])
    about_policies = read not in (reads.ROLE, reads.CLUSTER, reads.POD_IDENTITIES, reads.POD_IDENTITY)
    assert ("not compared: " in said) is about_policies
    assert (iam_action(read) in said) is about_policies
    never_healthy(result, table)


def test_every_read_is_denied(cloud: Cloud, tmp_path: Path) -> None:
    cloud.kube.faults = [KubeFault("denied")]
    result, table = diagnose(cloud, tmp_path)
    never_healthy(result, table)
    nothing_accused(result)
    assert "list ingresses.networking.k8s.io in namespace shop" in table.stdout


def test_every_read_is_late(cloud: Cloud, tmp_path: Path) -> None:
    cloud.kube.faults = [KubeFault("slow")]
    result, table = diagnose(cloud, tmp_path, "--request-timeout", "300ms")
    never_healthy(result, table)
    nothing_accused(result)


# --- The world of these tests ---


def test_a_healthy_diagnosis_makes_every_read(cloud: Cloud) -> None:
    """Else the tests above would fail what nobody asks for; and a fault must fail one read alone."""
    cloud.in_group()
    result = run("ing", "web", "-o", "json", env=cloud.env)
    no_traceback(result)
    assert result.status == ExitStatus.HEALTHY
    assert {iam_action(read) for read in AWS_READS if read not in AFTER} == set(cloud.aws.asked)
    hit = [[read for read in KUBE if KubeFault.of(read, "denied").hits(asked)] for asked in cloud.kube.asked]
    assert all(len(found) == 1 for found in hit), hit
    by_name_only = {reads.NAMESPACES, reads.SERVICE_ACCOUNTS, reads.CONTROLLER_LOGS}
    assert {found[0] for found in hit} | by_name_only >= set(KUBE_READS)


def test_tags_lead_to_the_target_group_without_bindings(cloud: Cloud) -> None:
    cloud.wrong_path()
    cloud.kube.faults = [KubeFault.of(reads.BINDINGS, "denied")]
    result = run("ing", "web", "-o", "json", env=cloud.env)
    assert (result.status, result.codes[:1]) == (ExitStatus.FINDINGS, ["LBD301"])
    assert iam_action(reads.TAGS) in cloud.aws.asked


# --- Nothing but an ARN names the region ---


@pytest.mark.parametrize("kind", ["denied", "error", "slow"])
def test_region_of_the_target_groups_when_nodes_are_unknown(cloud: Cloud, tmp_path: Path, kind: str) -> None:
    cloud.wrong_path()
    break_kube(cloud, reads.NODES, kind)
    late = kind == "slow"
    result, table = too_late(cloud, tmp_path, reads.NODES) if late else diagnose(cloud, tmp_path)
    was_asked(cloud, reads.NODES, kind)
    never_healthy(result, table)
    assert cloud.aws.regions == {REGION} and result.json["context"]["region"] == REGION
    assert result.codes[0] == "LBD301", "AWS was asked, and its answer diagnosed"
    unread = result.json["coverage"]["denied" if kind == "denied" else "failed"]
    assert {entry["read"] for entry in unread} == {reads.NODES}


def unlabelled(cloud: Cloud) -> None:
    for node in cloud.kube.objects["", "nodes"]:
        del node["metadata"]["labels"]["topology.kubernetes.io/region"]


def test_region_of_the_target_groups_when_nodes_have_no_label(cloud: Cloud) -> None:
    unlabelled(cloud)
    result = run("ing", "web", "-o", "json", env=cloud.env)
    assert (result.status, result.json["context"]["region"]) == (ExitStatus.HEALTHY, REGION)
    assert cloud.aws.regions == {REGION}


def test_region_of_the_target_groups_wins_over_the_shell(cloud: Cloud) -> None:
    unlabelled(cloud)
    cloud.env["AWS_REGION"] = cloud.env["AWS_DEFAULT_REGION"] = "eu-central-1"
    assert run("ing", "web", env=cloud.env).status == ExitStatus.HEALTHY
    assert cloud.aws.regions == {REGION}


@pytest.mark.parametrize("kind", ["denied", "error"])
def test_no_region_at_all(cloud: Cloud, tmp_path: Path, kind: str) -> None:
    unlabelled(cloud)
    cloud.kube.faults = [KubeFault.of(reads.BINDINGS, kind)]
    result, table = diagnose(cloud, tmp_path)
    never_healthy(result, table)
    nothing_accused(result)
    assert "the AWS region is not known" in table.stdout and cloud.aws.asked == []


# --- Listing is denied, the one object may be read ---


def deny_lists(cloud: Cloud, read: str) -> None:
    cloud.kube.faults = [replace(KubeFault.of(read, "denied"), verbs=("list",))]


@pytest.mark.parametrize(
    ("read", "subject"),
    [(reads.INGRESSES, "ing/web"), (reads.SERVICES, "svc/web"), (reads.BINDINGS, "tgb/k8s-shop-web-fdbb6ec3c4")],
)
def test_one_object_is_read_by_its_name(cloud: Cloud, read: str, subject: str) -> None:
    cloud.wrong_path()
    deny_lists(cloud, read)
    result = run(subject, "-o", "json", env=cloud.env)
    no_traceback(result)
    assert (result.status, result.codes[:1]) == (ExitStatus.FINDINGS, ["LBD301"])


def add(cloud: Cloud, resource: str, group: str, name: str) -> None:
    first = cloud.kube.named(resource, group=group)[0]
    metadata = {**first["metadata"], "name": name, "uid": name}
    cloud.kube.objects[group, resource].append({**first, "metadata": metadata})


def test_two_objects_are_both_read_by_their_names(cloud: Cloud) -> None:
    add(cloud, "ingresses", "networking.k8s.io", "api")
    deny_lists(cloud, reads.INGRESSES)
    result = run("ing", "web", "api", "-o", "json", env=cloud.env)
    assert [s["name"] for s in result.json["subjects"]] == ["web", "api"]


def test_an_object_read_by_its_name_says_nothing_about_others(cloud: Cloud) -> None:
    add(cloud, "services", "", "api")
    deny_lists(cloud, reads.SERVICES)
    result = run("svc/api", "ing/web", "-o", "json", env=cloud.env)
    assert "LBD106" not in result.codes, "Service web exists; it could only not be listed"
    assert [d["read"] for d in result.json["coverage"]["denied"]] == [reads.SERVICES]


def test_absence_is_certain_when_the_object_may_be_read(cloud: Cloud) -> None:
    deny_lists(cloud, reads.INGRESSES)
    refused(run("ing/gone", env=cloud.env), ExitStatus.COULD_NOT_RUN, '"gone" not found')


# --- Nothing to diagnose ----------------------------------------------------------------------------------------------


def test_unknown_object_names_similar_ones(cloud: Cloud) -> None:
    result = run("ing", "wep", env=cloud.env)
    refused(
        result,
        ExitStatus.COULD_NOT_RUN,
        'Ingress "wep" not found in namespace "shop"',
        "hint: did you mean ingress/web?",
    )


def test_unknown_objects_are_all_told(cloud: Cloud) -> None:
    result = run("ing/wbe", "svc/wep", env=cloud.env)
    assert (result.status, result.stdout) == (ExitStatus.COULD_NOT_RUN, "")
    assert result.stderr.splitlines() == [
        'error: Ingress "wbe" not found in namespace "shop"',
        "hint: did you mean ingress/web?",
        'error: Service "wep" not found in namespace "shop"',
        "hint: did you mean service/web?",
    ]


def test_unknown_object_in_a_namespace_without_any(cloud: Cloud) -> None:
    result = run("ing", "web", "-n", "default", env=cloud.env)
    refused(result, ExitStatus.COULD_NOT_RUN, 'not found in namespace "default"', "hint: it is in namespace shop")
    nowhere = run("ing", "api", "-n", "default", env=cloud.env)
    refused(nowhere, ExitStatus.COULD_NOT_RUN, 'not found in namespace "default"', "kubectl get ingress -A")


def test_unknown_namespace(cloud: Cloud) -> None:
    result = run("ing", "web", "-n", "shopp", env=cloud.env)
    refused(result, ExitStatus.COULD_NOT_RUN, 'namespace "shopp" does not exist', "kubectl get namespaces")


def test_unknown_namespace_where_namespaces_may_not_be_read(cloud: Cloud) -> None:
    cloud.kube.faults = [KubeFault.of(reads.NAMESPACES, "denied")]
    result = run("ing", "web", "-n", "shopp", env=cloud.env)
    refused(result, ExitStatus.COULD_NOT_RUN, 'not found in namespace "shopp"')


def test_unknown_context(cloud: Cloud) -> None:
    refused(run("ing", "web", "--context", "lap", env=cloud.env), ExitStatus.COULD_NOT_RUN, "'lap'", "lab")


def test_no_kubeconfig() -> None:
    result = run("ing", "web")
    refused(result, ExitStatus.COULD_NOT_RUN, "kubeconfig")


def test_kubeconfig_flag_leads_nowhere(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    refused(run("ing", "web", "--kubeconfig", path), ExitStatus.COULD_NOT_RUN, path)


def test_kubeconfig_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("a: [")
    refused(run("ing", "web", "--kubeconfig", str(path)), ExitStatus.COULD_NOT_RUN, str(path))


def test_api_server_is_down(cloud: Cloud) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        cloud.write_kubeconfig(url)
        refused(run("ing", "web", env=cloud.env), ExitStatus.COULD_NOT_RUN, url, "refuses connections")


def test_api_server_has_no_address(cloud: Cloud) -> None:
    cloud.write_kubeconfig("https://no-such-host.invalid")
    refused(run("ing", "web", env=cloud.env), ExitStatus.COULD_NOT_RUN, "no-such-host.invalid", "cannot be resolved")


def test_credentials_of_the_cluster_are_refused(cloud: Cloud) -> None:
    cloud.kube.faults = [KubeFault("unauthorized")]
    refused(run("ing", "web", env=cloud.env), ExitStatus.COULD_NOT_RUN, "401", "kubectl auth whoami")


# --- AWS cannot be asked ----------------------------------------------------------------------------------------------


def without_aws(cloud: Cloud, tmp_path: Path, *args: str) -> tuple[Result, Result]:
    """Kubernetes alone: the healthy world is unknown, a crash loop is still found."""
    result, table = diagnose(cloud, tmp_path, *args)
    never_healthy(result, table)
    nothing_accused(result)
    cloud.crash_loop()
    crashed, _ = diagnose(cloud, tmp_path, *args)
    assert (crashed.status, crashed.codes[0]) == (ExitStatus.FINDINGS, "LBD403")
    return result, table


def test_no_aws_credentials(cloud: Cloud, tmp_path: Path) -> None:
    cloud.env = {name: value for name, value in cloud.env.items() if "KEY" not in name}
    _, table = without_aws(cloud, tmp_path)
    assert "there are no AWS credentials" in table.stdout


def test_unknown_aws_profile(cloud: Cloud, tmp_path: Path) -> None:
    _, table = without_aws(cloud, tmp_path, "--profile", "nobody")
    assert "'nobody'" in table.stdout


def test_expired_aws_credentials(cloud: Cloud, tmp_path: Path) -> None:
    cloud.aws.faults = {read.partition(":")[2]: "expired" for read in AWS_READS}
    _, table = without_aws(cloud, tmp_path)
    assert "ExpiredToken" in table.stdout


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense"])
def test_aws_endpoint_does_not_work(cloud: Cloud, tmp_path: Path, url: str) -> None:
    cloud.env = {**cloud.env, "AWS_ENDPOINT_URL": url}
    _, table = without_aws(cloud, tmp_path)
    assert url in table.stdout


def test_load_balancer_is_gone(cloud: Cloud, tmp_path: Path) -> None:
    """An address that no load balancer of the account has is absent, not unknown."""
    ingress = cloud.kube.named("ingresses", group="networking.k8s.io")[0]
    ingress["status"]["loadBalancer"]["ingress"] = [{"hostname": "gone-1.us-west-2.elb.amazonaws.com"}]
    result, _ = diagnose(cloud, tmp_path)
    assert result.json["coverage"]["failed"] == [] and result.json["coverage"]["denied"] == []


def test_target_group_is_gone(cloud: Cloud, tmp_path: Path) -> None:
    binding = cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]
    binding["spec"]["targetGroupARN"] = cloud.aws.group_arn.rsplit("/", 1)[0] + "/0000000000000000"
    result, table = diagnose(cloud, tmp_path)
    never_healthy(result, table)
    assert result.json["coverage"]["failed"] == []


# --- Bundles ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.json"
    bundle.save(World(health=(mismatch(1, "404"), mismatch(2, "404"))).build(), path)
    return path


def edited(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), **changes}).encode()


def inside(**changes: Any) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        document = json.loads(data)
        document["snapshot"].update(changes)
        return json.dumps(document).encode()

    return edit


BAD_BUNDLES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "is empty"),
    "blank": (lambda data: b" \n", "is empty"),
    "truncated": (lambda data: data[: len(data) // 2], "is cut off or damaged"),
    "truncated gzip": (lambda data: gzip.compress(data)[:-40], "is cut off or damaged"),
    "gzip of nothing": (lambda data: gzip.compress(b""), "is empty"),
    "gzip with a damaged middle": (
        lambda data: (z := gzip.compress(data))[:100] + bytes(200) + z[300:],
        "is cut off or damaged",
    ),
    "gzip with a wrong checksum": (lambda data: gzip.compress(data)[:-8] + bytes(8), "is cut off or damaged"),
    "other json": (lambda data: b'{"apiVersion": "v1", "kind": "List"}', "is not a bundle"),
    "json list": (lambda data: b"[1, 2]", "is not a bundle"),
    "report": (lambda data: b'{"apiVersion": "lbdoctor/v1", "kind": "Report"}', "is not a bundle"),
    "yaml": (lambda data: b"kind: lbdoctor-bundle\n", "is not a bundle"),
    "binary": (lambda data: bytes(range(256)), "is not a bundle"),
    "utf-16": (lambda data: data.decode().encode("utf-16"), "is not a bundle"),
    "deep": (lambda data: b"[" * 100_000, "is not a bundle"),
    "newer schema": (edited(schema=SCHEMA + 1, tool="9.9"), "9.9"),
    "no schema": (edited(schema=None), "schema"),
    "no snapshot": (edited(snapshot=None), "an object was expected"),
    "unknown field": (inside(wether="fine"), "unknown field 'wether'"),
    "wrong type": (inside(taken_at=5), "str was expected"),
    "list for an object": (inside(namespaces=[]), "an object was expected"),
}


@pytest.mark.parametrize("name", BAD_BUNDLES)
def test_bad_bundle(good: Path, tmp_path: Path, name: str) -> None:
    damage, words = BAD_BUNDLES[name]
    path = tmp_path / "bad.json"
    path.write_bytes(damage(good.read_bytes()))
    refused(run("--from", str(path)), ExitStatus.COULD_NOT_RUN, str(path), words)


def test_good_bundle_is_the_control(good: Path) -> None:
    assert run("--from", str(good)).status == ExitStatus.FINDINGS


def test_bundle_about_a_kind_of_a_later_version(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "later.json"
    path.write_bytes(inside(subjects=[{"kind": "VirtualServer", "namespace": "shop", "name": "x"}])(good.read_bytes()))
    refused(run("--from", str(path)), ExitStatus.COULD_NOT_RUN, str(path), "VirtualServer")


def test_missing_bundle(tmp_path: Path) -> None:
    path = str(tmp_path / "none.json")
    refused(run("--from", path), ExitStatus.COULD_NOT_RUN, path, "No such file")


def test_bundle_is_a_directory(tmp_path: Path) -> None:
    refused(run("--from", str(tmp_path)), ExitStatus.COULD_NOT_RUN, "directory")


def test_object_is_not_in_the_bundle(good: Path) -> None:
    result = run("ing", "api", "--from", str(good))
    refused(result, ExitStatus.COULD_NOT_RUN, 'Ingress "api" is not in the bundle', "ingress/web -n shop")
    refused(run("ing", "web", "-n", "other", "--from", str(good)), ExitStatus.COULD_NOT_RUN, "not in the bundle")


def test_a_kind_that_is_not_in_the_bundle(good: Path) -> None:
    result = run("svc", "--from", str(good))
    refused(result, ExitStatus.COULD_NOT_RUN, "error: in the bundle there is no Service of type LoadBalancer\n")
    assert "hint: it is about: ingress/web -n shop" in result.stderr
    result = run("gateway", "-n", "other", "--from", str(good))
    refused(
        result, ExitStatus.COULD_NOT_RUN, "in the bundle namespace other has no Gateway", "it is about: ingress/web"
    )


def test_bundle_cannot_be_written(good: Path, tmp_path: Path) -> None:
    target = tmp_path / "none" / "bundle.json"
    result = run("--from", str(good), "--save", str(target))
    no_traceback(result)
    assert result.status == ExitStatus.COULD_NOT_RUN and f"cannot write the bundle {target}" in result.stderr
    assert not result.stdout, "said before the work, not after it"


def test_a_bundle_without_a_name(good: Path) -> None:
    for flag in ("--save", "--from"):
        refused(run("ing", "web", flag, ""), ExitStatus.USAGE, flag, "names no file")


# --- Command line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("ing", "web", "--nonsense"), "--nonsense"),
        (("--nonsense",), "--nonsense"),
        (("configmap", "web"), "configmap is not diagnosed"),
        (("configmap/web",), "configmap is not diagnosed"),
        (("ing/",), "ing/"),
        (("/web",), "/web"),
        (("ing", "svc/web"), "svc/web"),
        (("tg",), "which TargetGroup"),
        (("ing/web", "web"), "web"),
        (("ing", "web", "-o", "xml"), "xml"),
        (("ing", "web", "--fail-on", "never"), "never"),
        (("ing", "web", "--request-timeout", "soon"), "soon"),
        (("ing", "web", "-n"), "-n"),
        (("explain", "LBD999"), "LBD999"),
        (("explain",), "CODE"),
        (("policy", "all"), "all"),
    ],
)
def test_usage(cloud: Cloud, args: tuple[str, ...], words: str) -> None:
    refused(run(*args, env=cloud.env), ExitStatus.USAGE, words)


# --- Interrupted, and nobody reads ------------------------------------------------------------------------------------


def interrupt(*args: object, **more: object) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("place", [(KubeReader, "list"), (KubeReader, "get"), (AwsReader, "call")])
def test_interrupted_while_reading(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, place: tuple[type, str]) -> None:
    if place == (KubeReader, "get"):
        deny_lists(cloud, reads.INGRESSES)
    monkeypatch.setattr(*place, interrupt)
    result = run("ing", "web", env=cloud.env)
    assert (result.status, result.stdout, result.stderr) == (ExitStatus.INTERRUPTED, "", "interrupted\n")


def test_interrupted_while_diagnosing(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.commands.examination.build", interrupt)
    assert run("--from", str(good)).status == ExitStatus.INTERRUPTED


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_closed_stdout_does_not_turn_findings_into_health(good: Path) -> None:
    result = run("--from", str(good), stdout=Closed())
    assert (result.status, result.stderr) == (ExitStatus.FINDINGS, "")


def test_closed_pipe_of_a_real_process(good: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "kubectl_lbdoctor", "--from", str(good)]
    process = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=20)
    os.close(writer)
    assert (process.returncode, process.stderr) == (ExitStatus.FINDINGS, "")


def test_crash_is_told_as_a_bug(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.commands.examination.build", lambda *args: 1 // 0)
    result = run("--from", str(good))
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "this is a bug of kubectl lbdoctor: ZeroDivisionError" in result.stderr and "Traceback" not in result.stderr
    assert "Traceback" in run("--from", str(good), "-v").stderr


LONG = "a" * 300


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (["--from", LONG], 4),
        (["ing/web", "--save", LONG], 4),
        (["ing/web", "--save", f"{LONG}/x"], 4),
        (["ing/web", "--kubeconfig", LONG], 4),
        (["undo", LONG, "--yes"], 4),
        (["ing/web", "-n", "\udcff\udcfe"], 2),
        (["svc", "-l", "a=\udcff"], 2),
        (["--from", "\udcff"], 2),
    ],
)
def test_a_name_that_no_file_and_no_object_can_have(args: list[str], status: int) -> None:
    result = run(*args)
    assert result.status == status and "this is a bug" not in result.stderr, result.text
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1, result.text


def test_the_name_of_a_bundle_is_shown_clean(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "bundle saved: [2J" in run("--from", str(good), "--save", "\x1b[2J").stderr


def test_a_bug_puts_nothing_into_the_terminal(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*args: object) -> None:
        raise RuntimeError("\x1b[2Jodd\x9b31m\u202etext")

    monkeypatch.setattr("kubectl_lbdoctor.commands.examination.build", crash)
    for flags in ([], ["-v"], ["--verbose"]):
        said = run("--from", str(good), *flags).stderr
        assert "odd" in said and not {"\x1b", "\x9b", "\u202e"} & set(said), said
    assert "\x1b" not in run("ing/web", "--no-such\x1b[2J").stderr


def test_crashed_check_does_not_end_the_run(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = CATALOGUE["LBD106"]
    monkeypatch.setitem(CATALOGUE.specs, "LBD106", replace(spec, function=lambda route: 1 // 0))  # type: ignore[arg-type, return-value]
    result = run("--from", str(good), "-o", "json")
    assert (result.status, result.codes[0], result.json["checks"]["crashed"]) == (ExitStatus.FINDINGS, "LBD301", 1)
    table = run("--from", str(good), "-v")
    assert "LBD003 check LBD106 crashed: ZeroDivisionError" in table.stdout
    assert "Traceback" in table.stderr and "Traceback" not in table.stdout


# --- What a cluster might put into a terminal -------------------------------------------------------------------------

NASTY = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r\nfake line\u2028fake line"


def test_control_characters_never_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "nasty.json"
    name = f"web{NASTY}"
    backend = k8s.IngressBackend(name, "80")
    world = World(health=(mismatch(1, f"404{NASTY}"), mismatch(2, "404")))
    world = replace(
        world,
        ingress=replace(
            world.ingress,
            meta=meta(name, finalizers=("ingress.k8s.aws/resources",)),
            class_name=f"alb{NASTY}",
            paths=(k8s.IngressPath(NASTY, NASTY, "Prefix", backend),),
        ),
        pods=(pod(1, node=f"node{NASTY}"), pod(2)),
        balancer=replace(world.balancer, name=name),
        subject=ObjectRef("Ingress", "shop", name),
        events=(k8s.Event("Ingress", name, "shop", type="Warning", reason="FailedDeployModel", message=NASTY),),
    )
    bundle.save(world.with_service(meta=meta(name)).with_group(name=name).build(), path)
    for output in ("table", "wide", "name"):
        result = run("--from", str(path), "-o", output, "-v")
        no_traceback(result)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]", result.text), output
        assert not re.search("^fake", result.text, re.MULTILINE)
    assert run("--from", str(path), "-o", "json").stdout.isascii()
    assert run("--from", str(path), "-o", "yaml").stdout.isascii()
    missing = run("ing", f"nope{NASTY}", "--from", str(path))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]", missing.text)
