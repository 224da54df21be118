"""What the answers of probes count for: the pod's address, its loopback, and transports that failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.probe import PROBES, Outcome, ProbeAnswer, ProbeFacts, Transport, inconclusive
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.probe.report import ProbeReport, probe_report, requests_of
from tests.support.world import World, target

GOOD, BAD = (Outcome.ANSWERED, 200), (Outcome.REFUSED, None)


def reported(*answers: tuple[Transport, tuple[Outcome, int | None]]) -> ProbeReport:
    """The report on one target that these answers came from."""
    snapshot = World(health=(target(1),)).build()
    (request,) = requests_of(snapshot)[0]
    made = tuple(ProbeAnswer(request, via, outcome, status) for via, (outcome, status) in answers)
    return probe_report(replace(snapshot, probes=ProbeFacts(Fact.known(PROBES, made))))


@pytest.mark.parametrize(
    ("answers", "passed", "failed"),
    [
        ([(Transport.POD, GOOD)], 1, 0),
        ([(Transport.POD, BAD)], 0, 1),
        ([(Transport.FORWARD, GOOD)], 1, 0),  # nothing is known of the address
        ([(Transport.FORWARD, BAD)], 0, 1),  # what fails on the loopback fails on the address, too
        ([(Transport.POD, BAD), (Transport.FORWARD, GOOD)], 0, 1),  # the address counts
        ([(Transport.PROXY, GOOD), (Transport.FORWARD, BAD)], 0, 1),
        ([(Transport.PROXY, (Outcome.TIMEOUT, None)), (Transport.FORWARD, GOOD)], 1, 0),  # the API server's own way
    ],
)
def test_what_counts(answers: list[tuple[Transport, tuple[Outcome, int | None]]], passed: int, failed: int) -> None:
    report = reported(*answers)
    assert (report.passed, report.failed, report.unknown) == (passed, failed, 0)
    assert report.exit_status is (ExitStatus.FINDINGS if failed else ExitStatus.HEALTHY)


def test_a_transport_that_failed_says_nothing_beside_one_that_did_not() -> None:
    report = reported((Transport.POD, (Outcome.INCONCLUSIVE, None)), (Transport.PROXY, GOOD))
    assert [row.answer.via for row in report.rows] == [Transport.PROXY] and report.passed == 1


def test_nothing_could_be_sent() -> None:
    snapshot = World(health=(target(1),)).build()
    denied = Fact.denied(PROBES, "may not create pods", Permission(("create",), "pods", namespace="shop"))
    report = probe_report(replace(snapshot, probes=ProbeFacts(denied)))
    assert (report.passed, report.failed, report.unknown) == (0, 0, 1)
    assert report.exit_status is ExitStatus.COULD_NOT_RUN
    assert [row.verdict.description for row in report.rows] == ["may not create pods"]


def test_an_answer_that_leaves_it_open() -> None:
    snapshot = World(health=(target(1),)).build()
    (request,) = requests_of(snapshot)[0]
    answers = (inconclusive(request, Transport.POD, "no curl"), ProbeAnswer(request, Transport.PROXY, Outcome.TIMEOUT))
    report = probe_report(replace(snapshot, probes=ProbeFacts(Fact.known(PROBES, answers))))
    assert (report.passed, report.failed, report.unknown) == (0, 0, 1)
    assert report.exit_status is ExitStatus.UNKNOWN


def test_a_target_without_an_answer_is_unknown() -> None:
    """Of many targets only some are asked: what the others do is not known."""
    snapshot = World(health=(target(1), target(2))).build()
    first, second = requests_of(snapshot)[0]
    some = Fact.known(PROBES, (ProbeAnswer(first, Transport.POD, Outcome.ANSWERED, 200),))
    report = probe_report(replace(snapshot, probes=ProbeFacts(some)))
    assert (report.passed, report.failed, report.unknown) == (1, 0, 1)
    assert (report.status, report.exit_status) == (Status.UNKNOWN, ExitStatus.UNKNOWN)
    (left,) = (row for row in report.rows if row.answer.request == second)
    assert str(left.verdict.description) == "no answer to it is among the probes"
