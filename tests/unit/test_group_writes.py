"""Changes of target groups in AWS: what is compared, called, taken back, and said of what cannot be tried."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.group_settings import attribute, modify
from kubectl_lbdoctor.errors import AwsApiError, CouldNotRun, ReadDenied, ReadFailed
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.errors import AlreadyThere, CannotRehearse, Expectation, MovedOn, ValueChanged
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model import aws
from kubectl_lbdoctor.model.group_edits import GroupAddress, modify_commands
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit, Repair, Step
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.permission import Permission
from tests.support import undo_files

ARN = "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/own/0123456789abcdef"
REF = ObjectRef("TargetGroup", "", "own")
AT = GroupAddress(ARN, "us-west-2")
GROUP = aws.TargetGroup(
    ARN,
    name="own",
    protocol="TCP",
    health_check=aws.HealthCheck(
        protocol="HTTP", path="/wrong", matcher="200-399", interval=10, timeout=5, healthy_threshold=3
    ),
)
Raw = dict[str, Any]


class Elb:
    """One target group as AWS keeps it."""

    def __init__(self) -> None:
        self.raw: Raw | None = {
            "TargetGroupArn": ARN,
            "HealthCheckProtocol": "HTTP",
            "HealthCheckPath": "/wrong",
            "Matcher": {"HttpCode": "200-399"},
            "HealthCheckIntervalSeconds": 10,
            "HealthCheckTimeoutSeconds": 5,
        }
        self.attributes = {"proxy_protocol_v2.enabled": "true"}
        self.written: list[tuple[str, Raw]] = []
        self.failure: Exception | None = None

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        assert service == "elbv2"
        if operation == "DescribeTargetGroups":
            if self.raw is None:
                raise AwsApiError("no", "TargetGroupNotFound")
            return [deepcopy(self.raw)]
        if operation == "DescribeTargetGroupAttributes":
            return [{"Key": key, "Value": value} for key, value in self.attributes.items()]
        self.written.append((operation, params))
        if self.failure is not None and not isinstance(self.failure, ReadFailed):
            raise self.failure
        assert self.raw is not None
        if operation == "ModifyTargetGroup":
            self.raw.update({key: value for key, value in params.items() if key != "TargetGroupArn"})
        else:
            self.attributes.update({entry["Key"]: entry["Value"] for entry in params["Attributes"]})
        if self.failure is not None:
            raise self.failure
        return {}


def writer(elb: Elb) -> Writer:
    return Writer(None, elb, "2026-11-24T20:00:00Z")  # type: ignore[arg-type]


def path(then: str = "/healthz") -> Change:
    return modify(REF, AT, GROUP, {"/HealthCheckPath": then})


def test_there_and_back() -> None:
    elb = Elb()
    before = deepcopy(elb.raw)
    made = writer(elb)
    assert made.check(path()) is None
    made.apply(path())
    assert elb.written == [("ModifyTargetGroup", {"TargetGroupArn": ARN, "HealthCheckPath": "/healthz"})]
    made.check_undo(path(), "u1")
    made.undo(path(), "u1")
    assert elb.raw == before


def test_nothing_is_claimed_of_a_rehearsal() -> None:
    elb = Elb()
    with pytest.raises(CannotRehearse, match="no dry run"):
        writer(elb).rehearse(path())
    with pytest.raises(CannotRehearse):
        writer(elb).rehearse_undo(path(), "u1")
    assert elb.written == []


def test_what_has_moved_on_is_left_alone() -> None:
    elb = Elb()
    assert elb.raw is not None
    elb.raw["HealthCheckPath"] = "/third"
    for attempt in (writer(elb).check, writer(elb).apply):
        with pytest.raises(MovedOn, match="/HealthCheckPath is"):
            attempt(path())
    with pytest.raises(ValueChanged) as undone:
        writer(elb).check_undo(path(), "u1")
    assert undone.value.expectation is Expectation.SET_BY_FIX
    elb.raw["HealthCheckPath"] = "/healthz"
    with pytest.raises(AlreadyThere):
        writer(elb).check(path())
    elb.raw = None
    with pytest.raises(MovedOn, match="does not exist"):
        writer(elb).check(path())
    assert elb.written == []


def test_a_denied_write_and_one_whose_answer_is_lost() -> None:
    elb = Elb()
    elb.failure = ReadDenied("no", Permission(action="elasticloadbalancing:ModifyTargetGroup"))
    with pytest.raises(ReadDenied):
        writer(elb).apply(path())
    elb.failure = ReadFailed("the connection broke")
    writer(elb).apply(path())  # It was made: the group says so.
    assert elb.raw is not None and elb.raw["HealthCheckPath"] == "/healthz"


def test_a_tcp_check_has_neither_path_nor_codes_and_gets_them_back() -> None:
    elb = Elb()
    change = modify(REF, AT, GROUP, {"/HealthCheckProtocol": "tcp"})
    writer(elb).apply(change)
    assert elb.written[0][1] == {"TargetGroupArn": ARN, "HealthCheckProtocol": "TCP"}
    with pytest.raises(AlreadyThere):
        writer(elb).check(change)
    writer(elb).undo(change, "u1")
    assert elb.written[1][1] == {
        "TargetGroupArn": ARN,
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPath": "/wrong",
        "Matcher": {"HttpCode": "200-399"},
    }


def test_an_attribute_is_written_by_its_own_call() -> None:
    elb = Elb()
    key = "proxy_protocol_v2.enabled"
    change = Change(REF, key, "true", "false", edits=(Edit(f"/Attributes/{key}", "true", "false"),), group=AT)
    assert "modify-target-group-attributes" in change.command and attribute is not None
    writer(elb).apply(change)
    assert elb.written == [
        ("ModifyTargetGroupAttributes", {"TargetGroupArn": ARN, "Attributes": [{"Key": key, "Value": "false"}]})
    ]


def test_numbers_are_numbers_in_one_call_and_commands_are_quoted() -> None:
    change = modify(REF, AT, GROUP, {"/HealthCheckTimeoutSeconds": "12", "/HealthCheckIntervalSeconds": "17"})
    assert [(edit.now, edit.then) for edit in change.edits] == [(5, 12), (10, 17)]
    assert "--health-check-timeout-seconds 12 --health-check-interval-seconds 17 --region us-west-2" in change.command
    assert modify_commands(AT, {"/HealthCheckPath": "/a b;c"}).count("'/a b;c'") == 1
    codes = modify_commands(GroupAddress(ARN), {"/Matcher/HttpCode": "200,404"})
    assert codes.endswith("""--matcher '{"HttpCode": "200,404"}'""")


def test_a_value_of_the_users_own() -> None:
    repair = Repair("/healthz", (path(),), accepts_any_value=True).with_value("/alive")
    assert repair is not None and repair.changes[0].edits[0].then == "/alive"
    assert "--health-check-path /alive" in repair.commands[0]


def test_other_settings_are_never_written() -> None:
    forged = Change(REF, "Port", "80", "81", edits=(Edit("/HealthCheckIntervalSeconds", 10, 20),), group=AT)
    elb = Elb()
    writer(elb).apply(forged)
    odd = Change(REF, "x", "", "", edits=(Edit("/TargetType", None, "ip"),), group=AT)
    with pytest.raises(CouldNotRun, match="never changed"):
        writer(elb).apply(odd)
    assert len(elb.written) == 1


def test_an_undo_file_holds_it_and_only_what_a_fix_makes(tmp_path: Path) -> None:
    place = tmp_path / "undo.json"
    run = StepRun(Step("healthcheck-path", "LBD301", path()), StepState.APPLIED)
    context = Context("lab", "https://x", region="us-west-2", account="123456789012")
    content = UndoFile("2026-11-24T20:00:00Z", context, (ObjectRef("Ingress", "shop", "web"),), (run,))
    undo_file.save(content, place)
    assert undo_file.load(place) == content
    text = place.read_text()
    for old, new, said in (
        ("/HealthCheckPath", "/TargetType", "no change that a fix makes"),
        ("/HealthCheckPath", "/Attributes/deletion_protection.enabled", "no change that a fix makes"),
        ('"name": "own"', '"name": "other"', "no change that a fix makes"),
        ('"account": "123456789012"', '"account": "210987654321"', "another account"),
        ('"account": "123456789012"', '"account": ""', "does not say in which account"),
        ('"region": "us-west-2"', '"region": "eu-west-1"', "no change that a fix makes: the target group"),
    ):
        bent = text.replace(old, new)
        assert bent != text and json.loads(bent)
        place.write_text(bent)
        with pytest.raises(CouldNotRun, match="its digest does not fit"):
            undo_file.load(place)
        undo_files.edit(place, lambda fix: None)
        with pytest.raises(CouldNotRun, match=said):
            undo_file.load(place)


def test_two_fixes_of_one_second_have_a_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another fix may write a file of the name that was free a moment ago: the next name is taken."""
    run = StepRun(Step("healthcheck-path", "LBD301", path()), StepState.APPLIED)
    context = Context("lab", "https://x", region="us-west-2", account="123456789012")
    content = UndoFile("2026-11-24T20:00:00Z", context, (ObjectRef("Ingress", "shop", "web"),), (run,))
    free, taken = undo_file.place, []

    def beaten(chosen: str, now: str) -> Path:
        found = free(chosen, now)
        if not taken:
            found.write_text("of another fix")
            taken.append(found)
        return found

    monkeypatch.setattr(undo_file, "place", beaten)
    begun = undo_file.begin(content, str(tmp_path), "2026-11-24T20:00:00Z")
    assert (begun.name, undo_file.load(begun)) == ("lbdoctor-undo-20261124T200000Z-2.json", content)
    assert taken[0].read_text() == "of another fix"


def test_a_chosen_undo_file_that_came_to_be_there_is_not_overwritten(tmp_path: Path) -> None:
    chosen = tmp_path / "mine.json"
    chosen.write_text("of another fix")
    content = UndoFile("2026-11-24T20:00:00Z", Context("lab", "https://x"), (), ())
    with pytest.raises(CouldNotRun, match="exists already"):
        undo_file.begin(content, str(chosen), "2026-11-24T20:00:00Z")
    assert chosen.read_text() == "of another fix"
