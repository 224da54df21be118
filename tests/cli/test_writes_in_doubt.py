"""Writes whose answer does not tell whether they were made: every answer, made or not, at the first write or a later
one, of a fix and of its undoing. What is said is never more than what is known, and the undo file never less."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.fix import private_file
from tests.cli.test_fix import ING, closed, elsewhere, fix, lbdoctor, two_faults, undo_file, writes
from tests.support.api_http import Stream
from tests.support.api_requests import Answer, Asked, about, not_found, refusal
from tests.support.aws_front import Spoiled
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Result, run
from tests.support.shop import Raw

__all__ = ["closed", "elsewhere"]


def _half() -> Iterator[bytes]:
    yield b'{"kind": "Service", "metadata": {"na'
    raise OSError("the connection breaks")


def _page(status: int) -> Answer:
    return Answer(status, "<html>no luck</html>", Content_Type="text/html")


def _cut() -> None:
    raise OSError("the connection breaks")


class Clock:
    """The time by which the reader of the API server gives a request up; it goes on when nothing is said."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        """The time of the machine, and what was skipped."""
        return time.monotonic() + self.ahead

    def sleep(self, seconds: float) -> None:
        """Nothing is waited for."""


CLOCK = Clock()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_lbdoctor.collect.kubernetes_api.client.time", CLOCK)


def _silence(cloud: Cloud) -> None:
    """Nothing is said, and a request has taken longer than it may."""
    CLOCK.ahead += 2 * PATIENCE
    cloud.kube.wait()


OPEN: dict[str, Callable[[Cloud, Asked], Any]] = {
    "500": lambda cloud, asked: refusal(500, "InternalError", "etcdserver: request timed out"),
    "502 page": lambda cloud, asked: _page(502),
    "503 page": lambda cloud, asked: _page(503),
    "504": lambda cloud, asked: refusal(504, "Timeout", "Timeout: request did not complete within 60s"),
    "200 page": lambda cloud, asked: _page(200),
    "200 cut short": lambda cloud, asked: Answer(200, '{"kind": "Serv', Content_Type="application/json"),
    "200 empty": lambda cloud, asked: Answer(200, "", Content_Type="application/json"),
    "200 Status": lambda cloud, asked: Answer(200, refusal(500, "InternalError", "no").body),
    "200 another object": lambda cloud, asked: Answer(200, {"kind": "Service", "metadata": {"name": "db", "uid": "d"}}),
    "cut": lambda cloud, asked: _cut(),
    "cut within": lambda cloud, asked: Stream(_half(), "application/json"),
    "silence": lambda cloud, asked: _silence(cloud),
    "302": lambda cloud, asked: Answer(302, "", Location="https://login.example"),
    "403 page": lambda cloud, asked: _page(403),
    "404 page": lambda cloud, asked: _page(404),
    "409 page": lambda cloud, asked: _page(409),
}
"""Answers that prove nothing."""

REFUSED: dict[str, Callable[[Cloud, Asked], Any]] = {
    "404": lambda cloud, asked: not_found(asked),
    "409": lambda cloud, asked: refusal(409, "Conflict", "the object has been modified", about(asked)),
    "422": lambda cloud, asked: refusal(422, "Invalid", "the server rejected our request", {}),
}
"""Refusals of the API server, that may be for the second of two equal requests."""

ANSWERS = {**OPEN, **REFUSED}


PATIENCE = 600
"""Seconds that a request may take: far from what the busiest machine needs."""


def spoil(cloud: Cloud, resource: str, answer: str, made: bool) -> None:
    """The first true write of this resource is answered so."""
    met: list[Asked] = []

    def between(asked: Asked, make: Callable[[], Raw]) -> Any:
        if asked.resource != resource or "dryRun" in asked.query or met:
            return make()
        met.append(asked)
        if made:
            make()
        said = ANSWERS[answer](cloud, asked)
        if isinstance(said, Answer):
            raise said
        if said is None:
            raise OSError("nothing was said")
        return said

    cloud.kube.between = between


def state(cloud: Cloud) -> tuple[Any, Any]:
    """What the two steps change."""
    (service,), (ingress,) = (cloud.kube.named("services"), cloud.kube.named("ingresses", group="networking.k8s.io"))
    return deepcopy(service["spec"]), deepcopy(ingress["metadata"]["annotations"])


def files() -> list[Path]:
    found = list(Path().iterdir())
    assert all(path.name.startswith("lbdoctor-undo-") for path in found), found
    return found


def states() -> list[str]:
    return [step.get("state", "planned") for step in json.loads(undo_file().read_text())["fix"]["steps"]]


def both(cloud: Cloud) -> Result:
    return fix(cloud, "targetport,annotation-key", *ING, "--yes", "--wait", "0", "--request-timeout", f"{PATIENCE}s")


def undone(cloud: Cloud) -> Result:
    return run("undo", str(undo_file()), "--yes", "--request-timeout", f"{PATIENCE}s", env=cloud.env)


@pytest.mark.parametrize("resource", ["services", "ingresses"])
@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_write_in_doubt(cloud: Cloud, answer: str, made: bool, resource: str) -> None:
    two_faults(cloud)
    before, number = state(cloud), ("services", "ingresses").index(resource)
    spoil(cloud, resource, answer, made)
    result = both(cloud)
    changed = [now != then for now, then in zip(state(cloud), before, strict=True)]
    assert "bug" not in result.stderr and "Traceback" not in result.text, result.text
    if made or answer in ("409", "422"):  # Of these two, another attempt made it.
        assert changed == [True, True] and result.status == 3 and states() == ["applied", "applied"], result.text
        assert "error: " not in result.stderr and result.stdout.count("applied   ") == 2, result.text
    else:
        assert changed == [number == 1, False] and result.status == 4, result.text
        assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1, result.text
        known = answer in REFUSED
        if known and number == 0:
            assert files() == [] and "; nothing was changed" in result.stderr, result.text
        else:
            assert states() == ["applied"] * number + ["planned" if known else "sent"] + ["planned"] * (1 - number)
            assert "nothing was changed" not in result.text, result.text
            assert f"take back what was made with: {lbdoctor(cloud)} undo lbdoctor-undo-" in result.stderr
            assert ("it may be made yet" in result.stderr) is not known, result.text
    cloud.kube.between = lambda asked, make: make()
    if files():
        assert undone(cloud).status == 0
    assert state(cloud) == before and files() in ([], [undo_file()] if files() else [])


@pytest.mark.parametrize("answer", [a for a in OPEN if not a.startswith("200")])
def test_a_write_that_is_made_late(cloud: Cloud, answer: str) -> None:
    """It was not there at the second look, and comes when the run has ended: the undo file has not denied it."""
    two_faults(cloud)
    before = state(cloud)
    late: list[Callable[[], Raw]] = []
    spoil(cloud, "services", answer, made=False)
    inner = cloud.kube.between

    def between(asked: Asked, make: Callable[[], Raw]) -> Any:
        if "dryRun" not in asked.query:
            late.append(make)
        return inner(asked, make)

    cloud.kube.between = between
    assert both(cloud).status == 4 and states() == ["sent", "planned"]
    late[0]()
    assert state(cloud)[0] != before[0]
    cloud.kube.between = lambda asked, make: make()
    assert undone(cloud).status == 0 and state(cloud) == before


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize(
    ("answer", "resource"), [*((a, "ingresses") for a in ANSWERS), ("504", "services"), ("404", "services")]
)
def test_an_undoing_in_doubt(cloud: Cloud, answer: str, made: bool, resource: str) -> None:
    """The Ingress is put back first. What was not put back, or may not have been, is still to be undone afterwards."""
    two_faults(cloud)
    before = state(cloud)
    assert both(cloud).status == 3
    spoil(cloud, resource, answer, made)
    result = undone(cloud)
    assert "bug" not in result.stderr and "Traceback" not in result.text, result.text
    if made or answer in ("409", "422"):
        assert result.status == 0 and state(cloud) == before and states() == ["undone", "undone"], result.text
    else:
        assert result.status == 4 and states() == ["applied", "applied" if resource == "ingresses" else "undone"]
        assert "still" in result.stderr and "in effect; try again with: " in result.stderr, result.text
        assert ("may still be" in result.stderr) is (answer not in REFUSED), result.text
    cloud.kube.between = lambda asked, make: make()
    assert undone(cloud).status == 0 and state(cloud) == before


def test_what_cannot_be_looked_at_again_is_not_known(cloud: Cloud) -> None:
    two_faults(cloud)
    spoil(cloud, "services", "504", made=True)
    cloud.kube.before_write = lambda asked: cloud.kube.faults.append(
        KubeFault("denied", "", ("services",), verbs=("get",))
    )
    result = both(cloud)
    assert result.status == 4 and states() == ["sent", "planned"], result.text
    assert "whether it was made is not known, because it cannot be looked at: may not get services" in result.stderr
    assert "nothing was changed" not in result.text


def test_an_object_that_is_gone_after_the_write(cloud: Cloud) -> None:
    """404 to a write, and to the look after it: whether it was made before it went is not known."""
    two_faults(cloud)
    spoil(cloud, "services", "404", made=True)
    cloud.kube.written = lambda asked, raw: cloud.kube.objects["", "services"].clear()
    result = both(cloud)
    assert result.status == 4 and states() == ["sent", "planned"], result.text
    assert "whether it was made is not known: service/web does not exist any more" in result.stderr, result.text


def test_somebody_elses_value_is_no_doubt(cloud: Cloud) -> None:
    """A conflict, because somebody has set a third value."""
    two_faults(cloud)

    def third(asked: Asked) -> None:
        raw = cloud.kube.named("services")[0]
        raw["spec"]["ports"][0]["targetPort"] = 7070
        raw["metadata"]["resourceVersion"] = "77"

    cloud.kube.before_write = third
    result = both(cloud)
    assert result.status == 1 and "7070 now, not 9090 as planned; nothing was changed" in result.stderr, result.text
    assert files() == []


# --- AWS --------------------------------------------------------------------------------------------------------------

AWS_OPEN = ("cut", "error", "bad gateway", "gateway timeout", "page", "empty", "cut short", "throttled", "duplicate")
AWS_REFUSED = ("denied", "invalid", "expired")


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize(
    ("answer", "times"), [*((a, 99) for a in (*AWS_OPEN, *AWS_REFUSED)), ("cut", 1), ("error", 1), ("bad gateway", 1)]
)
def test_a_rule_in_doubt(cloud: Cloud, closed: Callable[[], list[Any]], answer: str, made: bool, times: int) -> None:
    """times: of 1, another attempt of the SDK meets its own rule, or makes it."""
    before = repr(closed())
    cloud.aws.spoiled["AuthorizeSecurityGroupIngress"] = Spoiled(answer, made, times)
    result = fix(cloud, "security-group", *ING, "--yes", "--wait", "0")
    cloud.aws.spoiled.clear()
    assert "bug" not in result.stderr, result.text
    there = repr(closed()) != before
    if there:
        assert result.status == 3 and states() == ["applied"], result.text
    elif answer in AWS_REFUSED:
        assert result.status == 4 and files() == [] and "; nothing was changed" in result.stderr, result.text
    else:
        assert result.status == 4 and states() == ["sent"] and "it may be made yet" in result.stderr, result.text
        assert "nothing was changed" not in result.text
    if files():
        assert undone(cloud).status == 0
    assert repr(closed()) == before


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("answer", [*AWS_OPEN[:-1], *AWS_REFUSED])
def test_taking_a_rule_away_in_doubt(cloud: Cloud, closed: Callable[[], list[Any]], answer: str, made: bool) -> None:
    before = repr(closed())
    assert fix(cloud, "security-group", *ING, "--yes", "--wait", "0").status == 3
    cloud.aws.spoiled["RevokeSecurityGroupIngress"] = Spoiled(answer, made)
    result = undone(cloud)
    cloud.aws.spoiled.clear()
    assert "bug" not in result.stderr, result.text
    if made:
        assert result.status == 0 and states() == ["undone"] and repr(closed()) == before, result.text
    else:
        assert result.status == 4 and states() == ["applied"] and "in effect" in result.stderr, result.text
    assert undone(cloud).status == 0 and repr(closed()) == before


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("answer", [a for a in (*AWS_OPEN, *AWS_REFUSED) if a != "duplicate"])
def test_a_target_group_in_doubt(cloud: Cloud, answer: str, made: bool) -> None:
    cloud.wrong_path()
    cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]["metadata"]["labels"] = {}
    tgb = ("tgb/k8s-shop-web-fdbb6ec3c4", "-n", "shop")

    def path() -> str:
        found = cloud.aws.client("elbv2").describe_target_groups(TargetGroupArns=[cloud.aws.group_arn])
        return str(found["TargetGroups"][0]["HealthCheckPath"])

    try:
        cloud.aws.spoiled["ModifyTargetGroup"] = Spoiled(answer, made)
        result = fix(cloud, "healthcheck-path", *tgb, "--yes", "--wait", "0", "--probe", "off")
        cloud.aws.spoiled.clear()
        assert "bug" not in result.stderr, result.text
        if made:
            assert path() == "/healthz" and result.status == 3 and states() == ["applied"], result.text
        elif answer in AWS_REFUSED:
            assert path() == "/" and result.status == 4 and files() == [], result.text
            assert re.search("; nothing was changed$", result.stderr, re.MULTILINE), result.text
        else:
            assert path() == "/" and result.status == 4 and states() == ["sent"], result.text
            assert "it may be made yet" in result.stderr and "nothing was changed" not in result.text, result.text
        if files():
            cloud.aws.spoiled["ModifyTargetGroup"] = Spoiled("cut", made=True)
            # What has not come yet may still come: then there is something to take back.
            assert undone(cloud).status == 0 and states() == ["undone" if made else "sent"]
        assert path() == "/"
    finally:
        cloud.aws.spoiled.clear()
        cloud.aws.check_path("/again")


def test_a_dry_run_that_was_none_and_cannot_be_taken_back(cloud: Cloud, closed: Callable[[], list[Any]]) -> None:
    """An endpoint that does not know DryRun, and then denies: it is not said that nothing was changed."""
    before = repr(closed())
    cloud.aws.ignores_dry_run = True
    cloud.aws.faults["RevokeSecurityGroupIngress"] = "denied"
    result = fix(cloud, "security-group", *ING, "--yes")
    cloud.aws.ignores_dry_run = False
    cloud.aws.faults.clear()
    assert result.status == 4 and "nothing was changed" not in result.text and writes(cloud) == [], result.text
    assert "was made although only a dry run was asked for, and it cannot be taken back" in result.stderr, result.text
    assert "take it back with: aws ec2 revoke-security-group-ingress --group-id sg-" in result.stderr, result.text
    (rule,) = [r for r in closed() if r.get("FromPort") == 8080]
    (group,) = [
        g for g in cloud.aws.client("ec2").describe_security_groups()["SecurityGroups"] if rule in g["IpPermissions"]
    ]
    cloud.aws.client("ec2").revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    assert repr(closed()) == before


def test_an_undo_file_that_can_no_longer_be_written(cloud: Cloud) -> None:
    """The disk fills up after the write: how to take it back is said all the same, and works."""
    two_faults(cloud)
    before = state(cloud)
    write, times = private_file.write, []

    def full(path: Path, data: bytes, new: bool) -> None:
        times.append(path)
        if len(times) > 2:
            raise OSError(28, "No space left on device")
        write(path, data, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private_file, "write", full)
        result = both(cloud)
    assert result.status == 4 and "No space left" in result.stderr and states() == ["sent", "planned"], result.text
    assert f"take back what was made with: {lbdoctor(cloud)} undo " in result.stderr, result.text
    assert undone(cloud).status == 0 and state(cloud) == before


def test_a_mistake_of_ours_keeps_the_way_back(cloud: Cloud) -> None:
    two_faults(cloud)
    before = state(cloud)

    answers: list[object] = []

    def mistaken(*args: object) -> bool:
        answers.append(args)
        if len(answers) > 2:  # The rehearsals went well.
            raise ZeroDivisionError("ours")
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kubectl_lbdoctor.fix.writers._is_about", mistaken)
        result = both(cloud)
    assert result.status == 4 and "bug" in result.stderr and states() == ["sent", "planned"], result.text
    assert f"take back what was made with: {lbdoctor(cloud)} undo " in result.stderr, result.text
    assert undone(cloud).status == 0 and state(cloud) == before
