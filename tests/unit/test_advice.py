"""What a diagnosis tells people to do fits what it knows: words that a case of tests/cases does not compare."""

from __future__ import annotations

from kubectl_lbdoctor.report import Report
from tests.support import cases


def _report(name: str) -> Report:
    return cases.result(name).report


def test_a_gateway_of_which_the_controller_says_nothing_bad_is_not_sent_to_what_it_says() -> None:
    """The condition is still True: there is nothing in it to correct, and no message to quote."""
    found = _report("LBD150-change-not-taken-over").diagnoses[0].finding
    assert [evidence.text for evidence in found.evidence] == [
        "Accepted True, Accepted",
        "generation 2; the condition is of 1",
    ]
    assert "the log of the controller" in found.advice


def test_the_advice_for_a_classic_load_balancer_does_not_point_at_a_place_on_the_screen() -> None:
    """The command to confirm it stands below the advice on a screen, and in a list of its own in documents."""
    found = _report("LBD608-classic-load-balancer").diagnoses[0].finding
    assert found.advice.startswith("ask for the state of its instances;")
