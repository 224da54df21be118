"""`--fix` where the target group itself is changed, where a code has two repairs, and what is said of rehearsals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Result, Terminal, run
from tests.support.shop import NS, Raw

GROUP = "k8s-shop-web-fdbb6ec3c4"
TGB = (f"tgb/{GROUP}", "-n", NS)
ING = ("ing/web", "-n", NS)
MODIFIED = "elasticloadbalancing:ModifyTargetGroup"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def broken(cloud: Cloud) -> Iterator[Cloud]:
    """The check asks "/", which is answered with 404; targets are healthy again once it is modified."""
    cloud.wrong_path()
    yield cloud
    cloud.aws.check_path("/again")  # Whatever a fix has made of it.


@pytest.fixture
def own(broken: Cloud) -> Cloud:
    """The same, of a target group that the controller did not make."""
    binding = broken.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]
    binding["metadata"]["labels"] = {}

    def acted(action: str) -> None:
        if action == "ModifyTargetGroup":
            good = path(broken) == "/"  # It is told before the call is made.
            for target in broken.aws.health:
                target.state, target.reason = ("healthy", "") if good else ("unhealthy", "Target.ResponseCodeMismatch")
                target.description = "" if good else "Health checks failed with these codes: [404]"

    broken.aws.acted = acted
    return broken


def path(cloud: Cloud) -> str:
    groups = cloud.aws._elb.describe_target_groups(TargetGroupArns=[cloud.aws.group_arn])["TargetGroups"]
    return str(groups[0]["HealthCheckPath"])


def modified(cloud: Cloud) -> int:
    return sum(asked.endswith(":ModifyTargetGroup") for asked in cloud.aws.asked)


def patched(cloud: Cloud) -> list[Any]:
    return [a for a in cloud.kube.asked if a.verb == "patch" and "dryRun" not in a.query]


def fix(cloud: Cloud, *args: str, **more: Any) -> Result:
    return run("--fix", *args, env=cloud.env, **more)


# --- a target group that was made outside -----------------------------------------------------------------------------


def test_the_group_is_modified_and_undo_brings_the_path_back(own: Cloud) -> None:
    before = modified(own)
    result = fix(own, "healthcheck-path", *TGB, "--yes", "--undo-file", "undo.json", "--probe", "off")
    assert result.status == 0, result.text
    assert f"targetgroup/{GROUP}" in result.stdout and "aws elbv2 modify-target-group" in result.stdout
    assert result.text.count("no dry run") == 1, result.text
    assert path(own) == "/healthz" and modified(own) == before + 1 and patched(own) == []
    back = run("undo", "undo.json", "--yes", env=own.env)
    assert back.status == 0 and path(own) == "/", back.text
    assert back.text.count("no dry run") == 1, back.text


def test_a_dry_run_claims_nothing(own: Cloud) -> None:
    before = modified(own)
    result = fix(own, "healthcheck-path", *TGB, "--dry-run=server", "--probe", "off")
    assert result.status == 0 and "no server could rehearse it; nothing was changed" in result.stderr, result.text
    assert "servers accept" not in result.text and modified(own) == before
    document = fix(own, "healthcheck-path", *TGB, "--dry-run=server", "--probe", "off", "-o", "json").json
    assert (document["kind"], document["status"]) == ("FixPlan", "planned")
    assert document["steps"][0]["rehearsable"] is False


def test_it_is_said_before_the_question(own: Cloud) -> None:
    result = fix(own, "healthcheck-path", *TGB, "--probe", "off", stdin=Terminal("n\n"))
    assert result.status == 1 and "cannot be tried beforehand" in result.stdout, result.text
    assert path(own) == "/"


def test_the_policy_names_the_call() -> None:
    statements = run("policy", "iam", "--fix").json["Statement"]
    (resource,) = [statement["Resource"] for statement in statements if MODIFIED in statement["Action"]]
    assert resource == ["arn:*:elasticloadbalancing:*:*:targetgroup/*"]
    assert MODIFIED not in run("policy", "iam").stdout


# --- two ways ---------------------------------------------------------------------------------------------------------


def annotations(cloud: Cloud) -> Raw:
    return dict(cloud.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"])


@pytest.mark.parametrize(
    ("asked", "key", "value", "instead"),
    [
        ("success-codes", "success-codes", "200,404", "healthcheck-path"),
        ("success-codes=200-499", "success-codes", "200-499", "healthcheck-path"),
        ("healthcheck-path=/x", "healthcheck-path", "/x", "success-codes"),
    ],
)
def test_either_way_is_made_where_it_is_named(broken: Cloud, asked: str, key: str, value: str, instead: str) -> None:
    result = fix(broken, asked, *ING, "--yes", "--wait", "0", "--probe", "off")
    assert result.status == 3 and f"or instead: --fix {instead}" in result.stdout, result.text
    assert annotations(broken)[f"alb.ingress.kubernetes.io/{key}"] == value


def test_all_takes_the_preferred_way_only(broken: Cloud) -> None:
    result = fix(broken, "all", *ING, "--yes", "--wait", "0", "--probe", "off", "-o", "json")
    (step,) = result.json["steps"]
    assert (step["fix"], step["then"], step["instead"]) == ("healthcheck-path", "/healthz", ["success-codes"])


# --- what is said -----------------------------------------------------------------------------------------------------


def test_one_reason_of_several_steps_is_said_once(broken: Cloud) -> None:
    broken.kube.faults = [KubeFault("denied", "networking.k8s.io", ("ingresses",), verbs=("patch",))]
    asked = "healthcheck-path=/x,success-codes=200-499"
    result = fix(broken, asked, *ING, "--dry-run=server", "--probe", "off")
    assert result.status == 4 and result.stderr.count("error: ") == result.stderr.count("hint: ") == 1, result.text


def test_a_webhook_without_dry_runs_is_told_before_the_question(broken: Cloud) -> None:
    broken.kube.no_dry_run = True
    asked = ("healthcheck-path", *ING, "--probe", "off")
    result = fix(broken, *asked, stdin=Terminal("n\n"))
    assert result.status == 1 and "not rehearsed: ingress/web" in result.stderr, result.text
    assert result.stderr.index("not rehearsed") < result.stderr.index("Apply 1 change") and patched(broken) == []
    done = fix(broken, *asked, "--yes", "--wait", "0")
    assert done.status == 3 and len(patched(broken)) == 1, done.text


def test_targets_that_are_still_initial_are_too_new_to_judge(broken: Cloud) -> None:
    for target in broken.aws.health:
        target.state, target.reason, target.description = "initial", "Elb.InitialHealthChecking", "checking"
    result = fix(broken, "healthcheck-path", *ING, "--yes", "--probe", "off")
    assert "2 of 2 targets are still initial" in result.stdout, result.text
    assert "nothing was found that it repairs yet" in result.stdout and patched(broken) == []
