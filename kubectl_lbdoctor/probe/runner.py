"""Sends requests over the transports that are allowed, many at once and within a time; the answers become facts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Node
from kubectl_lbdoctor.model.probe import (
    PROBES,
    Outcome,
    ProbeAnswer,
    ProbeFacts,
    ProbeRequest,
    Socket,
    Transport,
    inconclusive,
)
from kubectl_lbdoctor.probe import container, forward, pods, proxy, script
from kubectl_lbdoctor.probe.placement import assign_to_nodes
from kubectl_lbdoctor.probe.pods import Note
from kubectl_lbdoctor.probe.requests import invalid_request
from kubectl_lbdoctor.record import record

T = TypeVar("T")

AT_ONCE = 8
"""Requests under way at the same time."""

AUTO_BUDGET = 5.0
"""Seconds that a round of probes that nobody asked for may take: most answers come within milliseconds, and none is
waited for longer than 2 s unless its time is the question."""

ASKED_BUDGET = 60.0
"""Seconds for the probes of `kubectl lbdoctor probe` and `--probe proxy`."""

MAX_ASKED = 100
"""Requests of one run: a target group holds up to a thousand targets. The others are unknown."""

_LEAST = 0.2
"""Seconds below which it makes no sense to send another request."""

_QUERY = re.compile(r"([?#]).*", re.DOTALL)


@record
class ProbeOptions:
    """How to send. mode: auto, proxy or pod. image: of debug pods and ephemeral containers. from_nodes: where debug
    pods run ("all": on every node of a target; empty: chosen per target). inside: in the target pods, too. nodes: of
    the cluster. user, now (RFC 3339): who makes pods, and when.
    """

    mode: str = "auto"
    image: str = pods.IMAGE
    from_nodes: tuple[str, ...] = ()
    inside: bool = False
    nodes: tuple[Node, ...] = ()
    user: str = ""
    now: str = ""


def send(
    kube: KubeReader, requests: Sequence[ProbeRequest], options: ProbeOptions, note: Note, progress: Note
) -> ProbeFacts:
    """Send the requests as the options say, over nothing else. Raises UsageError for a node that does not exist."""
    if not requests:
        return ProbeFacts()
    if options.mode == "auto":
        return send_through_api_server(kube, requests, AUTO_BUDGET, progress)
    first, others = requests[:MAX_ASKED], requests[MAX_ASKED:]
    if others:
        note(f"{len(requests)} targets: the first {MAX_ASKED} are asked")
    if options.mode == "proxy":
        return unsent(send_through_api_server(kube, first, ASKED_BUDGET, progress), others, Transport.PROXY)
    if options.inside:
        # Alone: a debug pod beside it would be a second thing that nobody asked for.
        return unsent(_send_inside_pods(kube, first, options, note), others, Transport.CONTAINER)
    return unsent(_send_from_debug_pods(kube, first, options, note, progress), others, Transport.POD)


def unsent(facts: ProbeFacts, others: Sequence[ProbeRequest], via: Transport) -> ProbeFacts:
    """What was found, with these requests that were too many. What is not known at all says so of each target."""
    reason = f"not sent: at most {MAX_ASKED} targets are asked in one run"
    more = tuple(inconclusive(request, via, reason) for request in others)
    return replace(facts, answers=facts.answers.map(lambda answers: (*answers, *more)))


def _send_inside_pods(
    kube: KubeReader, requests: Sequence[ProbeRequest], options: ProbeOptions, note: Note
) -> ProbeFacts:
    """Each pod asks itself, in an ephemeral container that also lists where it listens."""
    sockets: dict[str, Fact[tuple[Socket, ...]]] = {}
    answers: list[ProbeAnswer] = []
    for pod, namespace in dict.fromkeys((r.pod, r.namespace) for r in requests if r.pod):
        own = tuple(r for r in requests if (r.pod, r.namespace) == (pod, namespace) and not _why_not_by_curl(r))
        found, sockets[f"{namespace}/{pod}"] = container.look(kube, pod, namespace, own, options.image, note)
        answers += found
    for request in requests:
        if reason := _why_not_by_curl(request) if request.pod else "the target is no pod":
            answers.append(inconclusive(request, Transport.CONTAINER, reason))
    return ProbeFacts(as_fact(answers), sockets)


def _why_not_by_curl(request: ProbeRequest) -> str:
    """Why a script of a container cannot send it; "" where it can."""
    return invalid_request(request) or script.unsupported_reason(request)


def _send_from_debug_pods(
    kube: KubeReader, requests: Sequence[ProbeRequest], options: ProbeOptions, note: Note, progress: Note
) -> ProbeFacts:
    placement = assign_to_nodes(
        [r for r in requests if not script.unsupported_reason(r)], options.nodes, options.from_nodes
    )
    answers = [inconclusive(request, Transport.POD, reason) for request, reason in placement.left_out]
    answers += [inconclusive(r, Transport.POD, why) for r in requests if (why := script.unsupported_reason(r))]
    if placement.batches:
        progress("")
        maker = pods.DebugPods(kube, options.image, note, progress, options.user, options.now)
        answers += maker.send(placement.batches)
    answers += _on_loopback(kube, answers)
    return ProbeFacts(as_fact(answers))


def _on_loopback(kube: KubeReader, answers: Sequence[ProbeAnswer]) -> list[ProbeAnswer]:
    """Where a pod's address refuses or is silent, its loopback tells whether the application is there at all; and what
    curl cannot send is sent there."""
    silent = (Outcome.REFUSED, Outcome.TIMEOUT)
    left = [a.request for a in answers if a.outcome in silent or script.unsupported_reason(a.request)]
    requests = list(dict.fromkeys(r for r in left if r.pod and not invalid_request(r)))
    return _each(lambda request: forward.send(kube, request, request.timeout), requests)


def send_through_api_server(
    kube: KubeReader,
    requests: Sequence[ProbeRequest],
    budget: float = AUTO_BUDGET,
    progress: Note = lambda text: None,
) -> ProbeFacts:
    """Send the requests through the API server (pod proxy and port-forward): nothing is created. budget: seconds."""
    if not requests:
        return ProbeFacts()
    progress(f"sending {len(requests)} health check{'s' if len(requests) > 1 else ''} through the API server")
    deadline = time.monotonic() + budget
    answers = _each(lambda request: _through_api_server(kube, request, deadline), requests)
    return ProbeFacts(as_fact([answer for some in answers for answer in some]))


def _each(ask: Callable[[ProbeRequest], T], requests: Sequence[ProbeRequest]) -> list[T]:
    """`ask` of each request, many at once. Ctrl-C does not wait for those that are under way."""
    pool = ThreadPoolExecutor(AT_ONCE, "probe")
    try:
        return list(pool.map(ask, requests))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def as_fact(answers: Sequence[ProbeAnswer]) -> Fact[tuple[ProbeAnswer, ...]]:
    """The answers as one fact: denied or failed where each of them is inconclusive, known otherwise.

    The query of a redirect is cut off: that of one to a login page holds secrets, and proves nothing.
    """
    answers = [replace(answer, location=_QUERY.sub(r"\1…", answer.location)) for answer in answers]
    scope = ", ".join(sorted({a.request.namespace for a in answers if a.request.namespace}))
    if not answers or any(a.outcome is not Outcome.INCONCLUSIVE for a in answers):
        return Fact.known(PROBES, tuple(answers), scope)
    for answer in answers:
        if answer.permission is not None:
            return Fact.denied(PROBES, answer.detail, answer.permission, scope)
    return Fact.failed(PROBES, answers[0].detail, scope)


def _through_api_server(kube: KubeReader, request: ProbeRequest, deadline: float) -> list[ProbeAnswer]:
    """One request, and a second transport where the first leaves open whether the pod's address or the pod is the
    problem."""

    def left() -> float:
        return min(request.timeout, deadline - time.monotonic())

    if not request.pod:
        return [inconclusive(request, Transport.PROXY, proxy.unsupported_reason(request))]
    if invalid := invalid_request(request):
        return [inconclusive(request, Transport.PROXY, invalid)]
    if left() < _LEAST:
        return [inconclusive(request, Transport.PROXY, "not sent: the time for probes was over")]
    if request.protocol == "TCP":
        # Connect and say nothing, as the check does. Only the proxy asks the pod's address, with an HTTP request.
        answers = [forward.send(kube, request, left())]
        if left() >= _LEAST:
            answers.append(proxy.send(kube, request, left()))
        return answers
    if proxy.unsupported_reason(request):
        return [forward.send(kube, request, left())]
    if left() > AUTO_BUDGET:
        # Where the answer may be late, one transport after the other would take twice as long.
        with ThreadPoolExecutor(2, "probe-transport") as pool:
            sent = [pool.submit(transport.send, kube, request, left()) for transport in (proxy, forward)]
            return [future.result() for future in sent]
    answers = [proxy.send(kube, request, left())]
    if answers[0].outcome in (Outcome.REFUSED, Outcome.TIMEOUT, Outcome.INCONCLUSIVE) and left() >= _LEAST:
        answers.append(forward.send(kube, request, left()))
    return answers
