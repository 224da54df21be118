"""Sends requests over the ways that are allowed, many at once and within a time, and keeps the answers as facts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from kubectl_lbdoctor.collect.kube import KubeReader
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.probe import PROBES, Outcome, ProbeAnswer, ProbeFacts, ProbeRequest, Via
from kubectl_lbdoctor.probe import forward, proxy

AT_ONCE = 8
"""Requests under way at the same time."""

AUTO_BUDGET = 5.0
"""Seconds that a round of probes that nobody asked for may take: most answers come within milliseconds, and none is
waited for longer than 2 s unless its time is the question."""

ASKED_BUDGET = 60.0
"""Seconds for the probes of `kubectl lbdoctor probe` and `--probe proxy`."""

_LEAST = 0.2
"""Seconds below which it makes no sense to send another request."""


def run(
    kube: KubeReader,
    requests: Sequence[ProbeRequest],
    budget: float = AUTO_BUDGET,
    progress: Callable[[str], None] = lambda text: None,
) -> ProbeFacts:
    """Send the requests through the API server (pod proxy and port-forward): nothing is created."""
    if not requests:
        return ProbeFacts()
    progress(f"sending {len(requests)} health check{'s' if len(requests) > 1 else ''} through the API server")
    deadline = time.monotonic() + budget
    with ThreadPoolExecutor(AT_ONCE, "probe") as pool:
        found = pool.map(lambda request: _through_api_server(kube, request, deadline), requests)
        answers = tuple(answer for some in found for answer in some)
    return ProbeFacts(facts(answers))


def facts(answers: Sequence[ProbeAnswer]) -> Fact[tuple[ProbeAnswer, ...]]:
    """The answers; denied or failed where not one of them tells anything of its target."""
    told = [a for a in answers if a.outcome is not Outcome.UNTOLD]
    scope = ", ".join(sorted({a.request.namespace for a in answers if a.request.namespace}))
    if told or not answers:
        return Fact.known(PROBES, tuple(answers), scope)
    for answer in answers:
        permission = denied(answer)
        if permission:
            return Fact.denied(PROBES, answer.detail, permission, scope)
    return Fact.failed(PROBES, next(iter(dict.fromkeys(a.detail for a in answers))), scope)


def denied(answer: ProbeAnswer) -> str:
    """The permission that a way of probing lacked; "" when it failed for another reason, or not at all."""
    return proxy.denied(answer) or forward.denied(answer)


def _through_api_server(kube: KubeReader, request: ProbeRequest, deadline: float) -> list[ProbeAnswer]:
    """One request, and a second way where the first leaves open whether the pod's address or the pod is the problem."""

    def left() -> float:
        return min(request.timeout, deadline - time.monotonic())

    if not request.pod:
        return [ProbeAnswer(request, Via.PROXY, Outcome.UNTOLD, detail=proxy.unfit(request))]
    if left() < _LEAST:
        return [ProbeAnswer(request, Via.PROXY, Outcome.UNTOLD, detail="not sent: the time for probes was over")]
    if request.protocol == "TCP":
        # Connect and say nothing, as the check does. Only the proxy asks the pod's address, with an HTTP request.
        answers = [forward.send(kube, request, left())]
        if left() >= _LEAST:
            answers.append(proxy.send(kube, request, left()))
        return answers
    if proxy.unfit(request):
        return [forward.send(kube, request, left())]
    if left() > AUTO_BUDGET:
        # Where the answer may be late, one way after the other would take twice as long.
        with ThreadPoolExecutor(2, "probe-way") as pool:
            ways = [pool.submit(way.send, kube, request, left()) for way in (proxy, forward)]
            return [way.result() for way in ways]
    answers = [proxy.send(kube, request, left())]
    if answers[0].outcome in (Outcome.REFUSED, Outcome.TIMEOUT, Outcome.UNTOLD) and left() >= _LEAST:
        answers.append(forward.send(kube, request, left()))
    return answers
