"""The rows of a scan and its screen: what is severe for whom, and what is shown where there is much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.finding import Diagnosis, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.report import FailOn, Status, SubjectView, TargetGroupView, TargetView
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.scan_changes import changes
from kubectl_lbdoctor.scan_report import scan_report
from tests.support import cases

REPORT = cases.result("LBD301-path-404").report


def service(number: int) -> ObjectRef:
    return ObjectRef("Service", f"team-{number % 3}", f"app-{number:03}")


def diagnosis(rank: int, *affects: ObjectRef, severity: Severity = Severity.ERROR, code: str = "LBD301") -> Diagnosis:
    return Diagnosis(rank, Finding(code, affects[0]), severity, "a title", f"cause {rank}", affects)


def scan(states: dict[ObjectRef, Status], *diagnoses: Diagnosis, fail_on: FailOn = FailOn.ERROR) -> ScanReport:
    group = TargetGroupView("arn:1", "one", targets=(TargetView("10.0.0.1", 80, state="healthy"),))
    subjects = tuple(SubjectView(ref, state, target_groups=(group,)) for ref, state in states.items())
    report = replace(REPORT, subjects=subjects, diagnoses=diagnoses, status=Status.UNHEALTHY)
    return scan_report(Snapshot(subjects=tuple(states)), report, fail_on=fail_on)


def table(made: ScanReport, width: int) -> list[str]:
    return render(made, "table", View(width=width)).split("\n\n")[0].splitlines()


def test_a_cause_is_as_severe_for_each_object_as_it_is_there() -> None:
    one, two = service(1), service(2)
    shared = replace(diagnosis(1, one, two), milder=((two, Severity.WARNING),))
    made = scan({one: Status.UNHEALTHY, two: Status.HEALTHY}, shared)
    first, second = made.rows
    assert (first.severity_of(shared), second.severity_of(shared)) == (Severity.ERROR, Severity.WARNING)
    assert (made.fails(first), made.fails(second)) == (True, False)
    assert table(made, 120)[2].endswith("healthy    warning: LBD301")


def test_a_cause_of_its_own_is_named_before_one_that_many_share() -> None:
    refs = [service(number) for number in range(3)]
    made = scan(dict.fromkeys(refs, Status.DEGRADED), diagnosis(1, *refs), diagnosis(2, refs[2], code="LBD403"))
    assert made.rows[0].objects == (refs[2],)
    rows = table(made, 0)
    assert rows[1].endswith("LBD403 cause 2 (and LBD301)")
    assert [row.endswith("LBD301 see below (3 share it)") for row in rows[2:]] == [True, True]


def test_many_rows_on_a_terminal() -> None:
    refs = [service(number) for number in range(500)]
    states = {ref: Status.HEALTHY if number > 5 else Status.UNHEALTHY for number, ref in enumerate(refs)}
    made = scan(states, *(diagnosis(rank, refs[rank - 1]) for rank in range(1, 7)))
    shown = table(made, 100)
    assert len(shown) == 42 and shown[-1] == "… 460 more (460 healthy), see -o wide"
    assert len(table(made, 0)) == 501 and max(map(len, table(made, 80))) <= 80


def test_rows_that_only_suffer_from_a_shared_cause_are_counted() -> None:
    refs = [service(number) for number in range(100)]
    own = diagnosis(2, refs[99], code="LBD403")
    made = scan(dict.fromkeys(refs, Status.DEGRADED), diagnosis(1, *refs), own)
    shown = table(made, 100)
    assert "LBD403 cause 2" in shown[1]
    assert shown[-1] == "… 60 more (60 degraded, by a shared cause alone), see -o wide"


@pytest.mark.parametrize("width", [50, 80, 100, 140])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    one = service(1)
    long = replace(diagnosis(1, one), message="a long sentence about what is wrong " * 5)
    assert max(map(len, table(scan({one: Status.UNHEALTHY}, long), width))) <= width


def test_hostile_names_stay_text() -> None:
    one = ObjectRef("Service", "a\x1b[31m", "b\u202e")
    assert "\x1b" not in render(scan({one: Status.UNKNOWN}), "table") and "\u202e" not in render(
        scan({one: Status.UNKNOWN}), "wide"
    )


def test_a_part_is_unknown_at_best() -> None:
    made = scan({service(1): Status.HEALTHY})
    made = replace(made, report=replace(made.report, status=Status.HEALTHY, unknown=()))
    assert made.exit_status is ExitStatus.HEALTHY
    part = replace(made, complete=False)
    assert (part.status, part.exit_status) == (Status.UNKNOWN, ExitStatus.UNKNOWN)


def test_what_changed() -> None:
    one, two, three = service(1), service(2), service(3)
    before = scan({one: Status.HEALTHY, two: Status.UNHEALTHY}, diagnosis(1, two))
    after = scan({one: Status.UNHEALTHY, three: Status.HEALTHY}, diagnosis(1, one))
    told = [(change.row.name, change.before, change.after) for change in changes(before, after)]
    assert told == [
        ("app-001", Status.HEALTHY, Status.UNHEALTHY),
        ("app-003", None, Status.HEALTHY),
        ("app-002", Status.UNHEALTHY, None),
    ]
    assert [change.row.name for change in changes(None, before)] == ["app-002"]
    other = scan({one: Status.HEALTHY, two: Status.UNHEALTHY}, diagnosis(1, two, code="LBD403"))
    assert [change.same_state for change in changes(before, other)] == [True]
    assert list(changes(before, before)) == []


def test_sets_of_objects_are_kept_in_bundles() -> None:
    spared = Snapshot(spared=frozenset({service(2), service(1)}))
    written = to_json(spared)
    assert [entry["name"] for entry in written["spared"]] == ["app-001", "app-002"]
    assert from_json(Snapshot, written) == spared


def test_before_the_end_what_is_not_asked_yet_is_no_gap() -> None:
    made = scan({service(1): Status.UNKNOWN})
    later = replace(made.report.coverage, not_asked=("elbv2:DescribeTargetHealth: AWS has not been asked for it yet",))
    made = replace(made, report=replace(made.report, coverage=later))
    assert "LBD004 not asked" in render(made, "table", View(width=100))
    assert "LBD004" not in render(replace(made, complete=False), "table", View(width=100))
