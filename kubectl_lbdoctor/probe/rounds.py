"""Probes of a diagnosis: ask, judge, ask what is still open, and never the same twice. Pure but for `send`."""

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
from kubectl_lbdoctor.probe.runner import AUTO_BUDGET
from kubectl_lbdoctor.probe.wanted import PATIENCE, ROUNDS, wanted

Send = Callable[[tuple[ProbeRequest, ...]], ProbeFacts]


MOST = 40
"""Requests of one round."""


def budget(requests: tuple[ProbeRequest, ...]) -> float:
    """Seconds for a round that nobody asked for: only where an answer may be late is it waited for."""
    patient = max((r.timeout for r in requests if r.timeout >= PATIENCE), default=0.0)
    return max(AUTO_BUDGET, patient + 1)


def ask(snapshot: Snapshot, send: Send) -> Snapshot:
    """The snapshot with the answers that separate what its facts leave open."""
    for _ in range(ROUNDS):
        joined = traffic_paths(snapshot)
        diagnoses = correlate(CATALOGUE, joined, run(CATALOGUE, joined))
        asked = tuple(dict.fromkeys(request for traffic in joined for request in wanted(traffic, diagnoses)))
        if not asked:
            break
        snapshot = replace(snapshot, probes=_with(snapshot.probes, send(asked[:MOST])))
        if not snapshot.probes.answers.is_known:
            break  # Denied or failed: another request would fare no better.
    return snapshot


def _with(before: ProbeFacts, more: ProbeFacts) -> ProbeFacts:
    """All answers; what is known stays known where a later round told nothing."""
    old, new = before.answers.peek() or (), more.answers.peek() or ()
    answers = Fact.known(PROBES, (*old, *new), more.answers.scope) if old else more.answers
    return ProbeFacts(answers, {**before.sockets, **more.sockets})
