"""`scan -w`: what is told of changes, when it scans again, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubectl_lbdoctor.errors import ExitStatus, ReadFailed
from kubectl_lbdoctor.model.reads import AWS
from tests.cli.test_scan import share
from tests.support.cloud import Cloud
from tests.support.program import Clock, Result, Terminal, run
from tests.support.shop import NS


@pytest.fixture(autouse=True)
def no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes by watches, so that scans follow the clock of the test alone."""
    monkeypatch.setattr("kubectl_lbdoctor.collect.watches.Watches.start", lambda self: None)


def watch(cloud: Cloud, at: dict[int, Callable[[], None]], end: int, *args: str, **more: Any) -> Result:
    """Watch with a clock by which these things happen at their seconds, and a person ends it."""
    left = dict(at)

    def ticks(now: float) -> None:
        for second in [second for second in left if now >= second]:
            left.pop(second)()
        if now >= end:
            raise KeyboardInterrupt

    return run("scan", "-w", *args, env=cloud.env, clock=Clock(ticks), **more)


def heal(cloud: Cloud) -> None:
    cloud.aws.check_path("/healthz")
    for target in cloud.aws.health:
        target.state, target.reason, target.description = "healthy", "", ""


def told(result: Result) -> list[str]:
    """The lines before the last state, without their times."""
    return [line.partition("  ")[2] for line in result.stdout.split("KIND ")[0].splitlines()]


def test_a_line_for_each_transition(cloud: Cloud) -> None:
    result = watch(cloud, {30: cloud.wrong_path, 90: lambda: heal(cloud)}, 200)
    assert result.status == ExitStatus.INTERRUPTED and result.stderr == "interrupted\n"
    fell, recovered = told(result)
    assert fell.startswith('Ingress shop/web  unhealthy, 0/2 targets healthy, LBD301 check path "/"')
    assert fell.endswith(", was healthy")
    assert recovered == "Ingress shop/web  recovered: healthy, 2/2 targets healthy, was unhealthy"
    assert "1 healthy of 1 frontend" in result.stdout


def test_the_first_scan_tells_what_is_not_healthy(cloud: Cloud) -> None:
    share(cloud, "team-1")
    cloud.wrong_path()
    lines = told(watch(cloud, {}, 10, "-n", NS))
    assert len(lines) == 1 and lines[0].startswith("Ingress shop/web  unhealthy, 0/2 targets healthy, LBD301")


def test_a_cause_that_changes(cloud: Cloud) -> None:
    cloud.wrong_path()

    def fail_otherwise() -> None:
        heal(cloud)
        for target in cloud.aws.health:
            target.state, target.reason = "unhealthy", "Target.Timeout"
            target.description = "Request timed out"

    lines = told(watch(cloud, {30: fail_otherwise}, 100))
    assert len(lines) == 2 and lines[1].startswith("Ingress shop/web  still unhealthy, the cause has changed: 0/2")


def test_what_comes_and_goes(cloud: Cloud) -> None:
    ingresses = cloud.kube.objects["networking.k8s.io", "ingresses"]
    gone = list(ingresses)
    lines = told(watch(cloud, {30: ingresses.clear, 90: lambda: ingresses.extend(gone)}, 200))
    assert lines == ["Ingress shop/web  is gone", "Ingress shop/web  healthy, 2/2 targets healthy"]


def test_a_scan_that_fails_leaves_the_last_state(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubectl_lbdoctor.commands import cluster_scan

    real, broken = cluster_scan.stages, [False]

    def stages(*args: Any) -> Any:
        if broken[0]:
            raise ReadFailed("the connection broke")
        return real(*args)

    monkeypatch.setattr("kubectl_lbdoctor.commands.cluster_scan.stages", stages)
    result = watch(cloud, {30: lambda: broken.__setitem__(0, True), 400: lambda: broken.__setitem__(0, False)}, 900)
    failures = [line for line in result.stderr.splitlines() if "not scanned: the connection broke" in line]
    # At 60 s as always, then after 20, 40, 80, 160 and 300 s.
    assert len(failures) == 5 and told(result) == []
    assert result.status == ExitStatus.INTERRUPTED and "1 healthy of 1 frontend" in result.stdout


def test_a_session_that_ends_is_opened_anew(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Static keys do not renew themselves: whoever gets new ones does it outside, and the next scan finds them."""
    from kubectl_lbdoctor.collect.aws_api import session as aws_session

    opened: list[str] = []
    real = aws_session.open_session

    def open_session(*args: Any) -> Any:
        opened.append("expired" if cloud.aws.faults else "good")
        return real(*args)

    monkeypatch.setattr(aws_session, "open_session", open_session)

    def expire() -> None:
        cloud.aws.faults = {read.partition(":")[2]: "expired" for read in AWS}

    lines = told(watch(cloud, {30: expire, 90: lambda: setattr(cloud.aws, "faults", {})}, 200))
    assert [line.partition(",")[0] for line in lines] == [
        "Ingress shop/web  unknown",
        "Ingress shop/web  recovered: healthy",
    ]
    assert opened[0] == "good" and opened[-1] == "good" and len(opened) > 1


def test_credentials_that_come_later(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubectl_lbdoctor.connections import Connections
    from kubectl_lbdoctor.errors import NoCredentials

    real, expired = Connections.open_aws, [True]

    def open_aws(self: Connections, region: Any) -> Any:
        if expired[0]:
            raise NoCredentials("the session has expired")
        return real(self, region)

    monkeypatch.setattr(Connections, "open_aws", open_aws)
    lines = told(watch(cloud, {30: lambda: expired.__setitem__(0, False)}, 100))
    assert lines == [
        "Ingress shop/web  unknown, ?/? targets healthy",
        "Ingress shop/web  recovered: healthy, 2/2 targets healthy, was unknown",
    ]


def test_a_terminal_shows_the_state_in_place(cloud: Cloud) -> None:
    result = watch(cloud, {30: cloud.wrong_path}, 100, stdout=Terminal(), width=100)
    screens = result.stdout.split("\x1b[J")
    states = [screen.split(" of 1 frontend")[0].splitlines()[-1][-20:] for screen in screens]
    assert "unknown" in states[0] and "unhealthy" in states[-1] and any("1 healthy" in state for state in states)
    assert "was healthy" not in result.stdout


def test_the_first_scan_says_what_cannot_be_scanned(cloud: Cloud) -> None:
    result = run("scan", "-w", "-n", "nowhere", env=cloud.env)
    assert result.status == ExitStatus.COULD_NOT_RUN and 'there is no namespace "nowhere"' in result.stderr


@pytest.mark.parametrize("args", [("-o", "json"), ("-o", "junit"), ("-o", "name"), ("--from", "case.json.gz")])
def test_what_does_not_go_with_it(cloud: Cloud, args: tuple[str, ...]) -> None:
    result = run("scan", "-w", *args, env=cloud.env)
    assert result.status == ExitStatus.USAGE and "error: -w " in result.stderr


def test_the_more_a_scan_reads_the_later_comes_the_next(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """At one byte a second no other one follows within minutes, though a change is to be told."""
    assert told(watch(cloud, {30: cloud.wrong_path}, 200)) != []
    heal(cloud)
    monkeypatch.setattr("kubectl_lbdoctor.commands.watch_scan.POLITE", 1)
    assert told(watch(cloud, {30: cloud.wrong_path}, 200)) == []
