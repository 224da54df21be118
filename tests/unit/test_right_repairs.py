"""The value that a repair writes, for faults where another one would heal the check and break something else."""

from __future__ import annotations

import pytest

from tests.support import cases


@pytest.mark.parametrize(
    ("case", "values"),
    [
        ("LBD303-slash-at-the-end", ["/api/ping/", "/"]),
        ("LBD303-login-page", ["200-399"]),
        ("LBD301-grpc-answers-ok", ["0"]),
    ],
)
def test_values_of_the_first_diagnosis(case: str, values: list[str]) -> None:
    finding = cases.result(case).report.diagnoses[0].finding
    assert [repair.value for repair in finding.repairs] == values


@pytest.mark.parametrize(
    ("case", "automatic"),
    [("LBD303-slash-at-the-end", True), ("LBD303-login-page", False), ("LBD301-grpc-answers-ok", True)],
)
def test_whether_the_evidence_determines_it(case: str, automatic: bool) -> None:
    assert cases.result(case).report.diagnoses[0].finding.fix_automatic is automatic


def test_an_annotation_wins_over_a_field_only_where_there_is_one() -> None:
    diagnosis = cases.result("LBD101-class-annotation-alone").report.diagnoses[0]
    assert "ingress-alb" in diagnosis.message and "wins over" not in diagnosis.message
