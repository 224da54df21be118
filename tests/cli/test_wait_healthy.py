"""`--wait-healthy` and `--fail-on`: what a pipeline waits for, and which status it gets."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.program import Clock, Result, run


def wait(cloud: Cloud, time: str, clock: Clock, *args: str) -> Result:
    return run("ing/web", "--wait-healthy", time, *args, env=cloud.env, clock=clock)


def test_a_healthy_object_is_not_waited_for(cloud: Cloud) -> None:
    clock = Clock()
    result = wait(cloud, "5m", clock)
    assert (result.status, clock.waits, result.stderr) == (ExitStatus.HEALTHY, [], "")


def test_it_ends_when_the_object_is_healthy(cloud: Cloud) -> None:
    def heal(now: float) -> None:
        if now >= 20:
            cloud.aws.check_path("/healthz")
            for target in cloud.aws.health:
                target.state, target.reason, target.description = "healthy", "", ""

    cloud.wrong_path()
    clock = Clock(heal)
    result = wait(cloud, "5m", clock)
    assert (result.status, clock.waits) == (ExitStatus.HEALTHY, [10.0, 10.0])
    assert result.stdout.splitlines()[-1].startswith("healthy: ") and result.stdout.count("shop/web") == 1
    told = result.stderr.splitlines()
    assert len(told) == 1 and told[0].startswith("waiting   ingress/web is unhealthy: ")


def test_at_the_end_of_the_time_the_last_diagnosis_counts(cloud: Cloud) -> None:
    cloud.wrong_path()
    clock = Clock()
    result = wait(cloud, "25s", clock, "-o", "json")
    assert (result.status, result.codes, clock.waits) == (ExitStatus.FINDINGS, ["LBD301"], [10.0, 10.0, 5.0])
    assert result.json["calls"]["elbv2:DescribeTargetHealth"] == 4


def test_no_time_looks_once(cloud: Cloud) -> None:
    cloud.wrong_path()
    clock = Clock()
    assert wait(cloud, "0", clock).status == ExitStatus.FINDINGS and clock.waits == []


def test_a_look_between_may_fail(cloud: Cloud) -> None:
    def disturb(now: float) -> None:
        if now == 10:
            cloud.kube.objects["networking.k8s.io", "ingresses"], cloud.gone = (  # type: ignore[attr-defined]
                [],
                cloud.kube.objects["networking.k8s.io", "ingresses"],
            )
        elif now == 20:
            cloud.kube.objects["networking.k8s.io", "ingresses"] = cloud.gone  # type: ignore[attr-defined]

    cloud.wrong_path()
    result = wait(cloud, "20s", Clock(disturb))
    assert result.status == ExitStatus.FINDINGS and "LBD301" in result.stdout
    assert "not found" in result.stderr


def test_what_does_not_exist_is_not_waited_for(cloud: Cloud) -> None:
    clock = Clock()
    result = run("ing/wbe", "--wait-healthy", "5m", env=cloud.env, clock=clock)
    assert (result.status, clock.waits) == (ExitStatus.COULD_NOT_RUN, [])


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--wait-healthy", "soon"), "soon"),
        (("--wait-healthy", "5m", "--fix", "all"), "--wait"),
        (("--wait-healthy", "5m", "--from", "x.json"), "--from"),
    ],
)
def test_what_does_not_go_together(args: tuple[str, ...], word: str) -> None:
    result = run("ing/web", *args)
    assert result.status == ExitStatus.USAGE and word in result.stderr


# --- --fail-on ---


def test_degraded_fails_where_it_is_asked_for(cloud: Cloud) -> None:
    """A target that is deregistered by hand leaves the others healthy: a warning, and the object is degraded or not."""
    cloud.aws.health[1].state, cloud.aws.health[1].reason = "unhealthy", "Target.Timeout"
    cloud.aws.health[1].description = "Request timed out"
    document = run("ing/web", "-o", "json", env=cloud.env).json
    assert document["status"] == "degraded"
    worst = {d["severity"] for d in document["diagnoses"]}
    plain = run("ing/web", env=cloud.env).status
    assert plain == (ExitStatus.FINDINGS if "error" in worst else ExitStatus.HEALTHY)
    assert run("ing/web", "--fail-on", "degraded", env=cloud.env).status == ExitStatus.FINDINGS


def test_degraded_passes_what_is_healthy(cloud: Cloud) -> None:
    assert run("ing/web", "--fail-on", "degraded", env=cloud.env).status == ExitStatus.HEALTHY
