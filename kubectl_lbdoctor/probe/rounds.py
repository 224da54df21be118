"""Probes of a diagnosis, in rounds: each sends what its diagnoses leave open, and never the same request twice.

Pure but for the `send` that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.correlate import correlate
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.probe import PROBES, ProbeFacts, ProbeRequest
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.probe.next_probes import PATIENCE, ROUNDS, is_failing, next_probes

Send = Callable[[tuple[ProbeRequest, ...]], ProbeFacts]

MAX_REQUESTS = 40
"""Requests of one round."""


def budget(requests: tuple[ProbeRequest, ...]) -> float:
    """Seconds for a round that nobody asked for: only where an answer may be late is it waited for."""
    from kubectl_lbdoctor.probe.runner import AUTO_BUDGET  # what sends is imported when there is something to send

    patient = max((r.timeout for r in requests if r.timeout >= PATIENCE), default=0.0)
    return max(AUTO_BUDGET, patient + 1)


def ask(snapshot: Snapshot, send: Send) -> Snapshot:
    """The snapshot with the answers to the health checks that separate what its facts leave open.

    send: sends requests and gives their answers. It is called at most once per round.
    """
    for _ in range(ROUNDS):
        paths = traffic_paths(snapshot)
        diagnoses = correlate(CATALOGUE, paths, run(CATALOGUE, paths))
        wanted = [(traffic, requests) for traffic in paths if (requests := next_probes(traffic, diagnoses))]
        asked = tuple(dict.fromkeys(request for _, requests in wanted for request in requests))
        if not asked:
            break
        probes = _with(snapshot.probes, send(asked[:MAX_REQUESTS]))
        if probes.answers.is_known or any(is_failing(traffic) for traffic, _ in wanted):
            snapshot = replace(snapshot, probes=probes)
        # Denied or failed: another request would fare no better. What AWS calls healthy does not become unknown by it.
        if not probes.answers.is_known:
            break
    return snapshot


def _with(before: ProbeFacts, more: ProbeFacts) -> ProbeFacts:
    """All answers; what is known stays known where a later round told nothing."""
    old, new = before.answers.peek() or (), more.answers.peek() or ()
    answers = Fact.known(PROBES, (*old, *new), more.answers.scope) if old else more.answers
    return ProbeFacts(answers, {**before.sockets, **more.sockets})
