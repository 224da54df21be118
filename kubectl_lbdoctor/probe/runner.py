"""Sends requests over the ways that are allowed, many at once and within a time, and keeps the answers as facts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from kubectl_lbdoctor.collect.kube import KubeReader
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.k8s import Node
from kubectl_lbdoctor.model.probe import PROBES, Outcome, ProbeAnswer, ProbeFacts, ProbeRequest, Socket, Via
from kubectl_lbdoctor.probe import container, forward, pods, proxy
from kubectl_lbdoctor.probe.pods import Say
from kubectl_lbdoctor.probe.requests import illegal

T = TypeVar("T")

AT_ONCE = 8
"""Requests under way at the same time."""

AUTO_BUDGET = 5.0
"""Seconds that a round of probes that nobody asked for may take: most answers come within milliseconds, and none is
waited for longer than 2 s unless its time is the question."""

ASKED_BUDGET = 60.0
"""Seconds for the probes of `kubectl lbdoctor probe` and `--probe proxy`."""

_LEAST = 0.2
"""Seconds below which it makes no sense to send another request."""


_MAY_NOT = re.compile(r"may not ([a-z,]+ [a-z/]+ in namespace [a-z0-9-]+): ")
"""How each way begins the detail of an answer that a missing permission prevented."""

_WITHOUT = re.compile(r"([?#]).*", re.DOTALL)

MAX_PODS = 10
"""Debug pods of one run: nodes beyond that are not asked from."""

MAX_ASKED = 100
"""Requests of one run: a target group holds up to a thousand targets."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How to send. mode: auto, proxy or pod. image: of debug pods and ephemeral containers. from_nodes: where debug
    pods run ("all": on every node of a target; empty: chosen per target). inside: in the target pods, too. nodes: of
    the cluster. user, now: who makes pods, and when.
    """

    mode: str = "auto"
    image: str = pods.IMAGE
    from_nodes: tuple[str, ...] = ()
    inside: bool = False
    nodes: tuple[Node, ...] = ()
    user: str = ""
    now: str = ""


def send(kube: KubeReader, requests: Sequence[ProbeRequest], ways: Ways, say: Say, progress: Say) -> ProbeFacts:
    """Send the requests as `ways` says. Raises UsageError for a node that does not exist."""
    if not requests:
        return ProbeFacts()
    if ways.mode == "auto":
        return run(kube, requests, AUTO_BUDGET, progress)
    if len(requests) > MAX_ASKED:
        say(f"{len(requests)} targets: the first {MAX_ASKED} are asked")
        requests = requests[:MAX_ASKED]
    if ways.mode == "proxy":
        return run(kube, requests, ASKED_BUDGET, progress)
    listening: dict[str, Fact[tuple[Socket, ...]]] = {}
    answers: list[ProbeAnswer] = []
    if ways.inside:
        # Alone: a debug pod beside it would be a second thing that nobody asked for.
        for pod, namespace in dict.fromkeys((r.pod, r.namespace) for r in requests if r.pod):
            own = tuple(r for r in requests if (r.pod, r.namespace) == (pod, namespace) and not illegal(r))
            found, listening[f"{namespace}/{pod}"] = container.look(kube, pod, namespace, own, ways.image, say)
            answers += found
        answers += [
            ProbeAnswer(r, Via.CONTAINER, Outcome.UNTOLD, detail="the target is no pod") for r in requests if not r.pod
        ]
        return ProbeFacts(facts(answers), listening)
    batches, left_out = placed(requests, ways)
    answers += [ProbeAnswer(r, Via.POD, Outcome.UNTOLD, detail=reason) for r, reason in left_out]
    if batches:
        progress("")
        maker = pods.DebugPods(kube, ways.image, say, progress, ways.user, ways.now)
        answers += maker.send(batches)
    answers += _on_loopback(kube, answers)
    return ProbeFacts(facts(answers))


def _on_loopback(kube: KubeReader, answers: Sequence[ProbeAnswer]) -> list[ProbeAnswer]:
    """Where a pod's address refuses or is silent, its loopback tells whether the application is there at all."""
    silent = (Outcome.REFUSED, Outcome.TIMEOUT)
    asked = list(dict.fromkeys(a.request for a in answers if a.request.pod and a.outcome in silent))
    return _each(lambda request: forward.send(kube, request, request.timeout), asked)


def placed(requests: Sequence[ProbeRequest], ways: Ways) -> tuple[list[pods.Batch], list[tuple[ProbeRequest, str]]]:
    """Which node sends which request, and the requests that no node can send, with the reason.

    A pod is asked from its own node: what it answers there has met no security group, so it is the application's word.
    A node port is asked from another node, as the load balancer comes from outside: a node's own pods may be let past
    `externalTrafficPolicy: Local`.
    """
    usable = [n.meta.name for n in ways.nodes if n.ready == "True" and not _without_pods(n)]
    wanted = ways.from_nodes
    known = {n.meta.name for n in ways.nodes}
    for name in wanted:
        if name != "all" and known and name not in known:
            raise UsageError(f'there is no node "{name}"', "list them with: kubectl get nodes")
    if "all" in wanted:
        wanted = tuple(dict.fromkeys(r.node for r in requests if r.node in usable or not known))
    held: dict[tuple[str, str], list[ProbeRequest]] = {}
    left_out: list[tuple[ProbeRequest, str]] = []
    for request in requests:
        if illegal(request):
            left_out.append((request, illegal(request)))
            continue
        others = [name for name in usable if name != request.node]
        if wanted:
            chosen = list(wanted)
        elif not request.pod and others:
            # The same one for all, where it can be: fewer pods.
            chosen = [next((n for _, n in held if n in others), others[0])]
        elif request.node and (request.node in usable or not known):
            chosen = [request.node]
        else:
            chosen = [next((n for _, n in held if n in others), others[0])] if others else []
        if not chosen:
            left_out.append((request, "no node that is ready can run a debug pod"))
        for name in chosen:
            key = (request.namespace, name)
            if key not in held and len(held) >= MAX_PODS:
                left_out.append((request, f"not sent: at most {MAX_PODS} debug pods at once (--probe-node NAME)"))
                continue
            held.setdefault(key, []).append(request)
    return [pods.Batch(namespace, name, tuple(own)) for (namespace, name), own in held.items()], left_out


def _without_pods(node: Node) -> bool:
    """Nodes that take no pod of ours: Fargate's hold one pod each, Windows cannot run the image."""
    labels = node.meta.labels
    return labels.get("eks.amazonaws.com/compute-type") == "fargate" or labels.get("kubernetes.io/os") == "windows"


def run(
    kube: KubeReader,
    requests: Sequence[ProbeRequest],
    budget: float = AUTO_BUDGET,
    progress: Say = lambda text: None,
) -> ProbeFacts:
    """Send the requests through the API server (pod proxy and port-forward): nothing is created."""
    if not requests:
        return ProbeFacts()
    progress(f"sending {len(requests)} health check{'s' if len(requests) > 1 else ''} through the API server")
    deadline = time.monotonic() + budget
    found = _each(lambda request: _through_api_server(kube, request, deadline), requests)
    return ProbeFacts(facts([answer for some in found for answer in some]))


def _each(ask: Callable[[ProbeRequest], T], requests: Sequence[ProbeRequest]) -> list[T]:
    """`ask` of each request, many at once. Ctrl-C does not wait for those that are under way."""
    pool = ThreadPoolExecutor(AT_ONCE, "probe")
    try:
        return list(pool.map(ask, requests))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def facts(answers: Sequence[ProbeAnswer]) -> Fact[tuple[ProbeAnswer, ...]]:
    """The answers; denied or failed where not one of them tells anything of its target."""
    # The query of a redirect to a login page holds secrets, and proves nothing.
    answers = [replace(a, location=_WITHOUT.sub(r"\1…", a.location)) for a in answers]
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
    match = _MAY_NOT.match(answer.detail) if answer.outcome is Outcome.UNTOLD else None
    return match[1] if match else ""


def _through_api_server(kube: KubeReader, request: ProbeRequest, deadline: float) -> list[ProbeAnswer]:
    """One request, and a second way where the first leaves open whether the pod's address or the pod is the problem."""

    def left() -> float:
        return min(request.timeout, deadline - time.monotonic())

    if not request.pod:
        return [ProbeAnswer(request, Via.PROXY, Outcome.UNTOLD, detail=proxy.unfit(request))]
    if illegal(request):
        return [ProbeAnswer(request, Via.PROXY, Outcome.UNTOLD, detail=illegal(request))]
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
