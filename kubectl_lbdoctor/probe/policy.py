"""When health checks are sent, and over which transport: what the flags say, and what is done where that is denied.

What sends them is imported when there is something to send: most diagnoses have nothing to ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubectl_lbdoctor.collect.deadline import Deadline
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.model.k8s import Node
from kubectl_lbdoctor.model.probe import ProbeFacts, ProbeRequest
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import ProbeFlags
from kubectl_lbdoctor.probe import rounds
from kubectl_lbdoctor.record import record

if TYPE_CHECKING:
    from kubectl_lbdoctor.probe.pods import Note
    from kubectl_lbdoctor.probe.runner import ProbeOptions


@record
class ProbePolicy:
    """Sends health checks as the flags ask for it.

    user, now (RFC 3339): who makes debug pods, and when. note and progress take lines for the person who waits, the
    second one passing ones. deadline: when what nobody asked for ends; debug pods have their own time, because they
    have to be removed.
    """

    kube: KubeReader
    flags: ProbeFlags
    user: str
    now: str
    deadline: Deadline
    note: Note
    progress: Note

    def options(self, nodes: Sequence[Node], default: str = "auto") -> ProbeOptions:
        """How the flags say to send; `default` is the mode where they leave it open. nodes: of the cluster."""
        from kubectl_lbdoctor.probe import pods
        from kubectl_lbdoctor.probe.runner import ProbeOptions

        flags = self.flags
        mode = flags.mode if flags.mode != "auto" else default
        if flags.target or flags.nodes or flags.image:
            mode = "pod"
        return ProbeOptions(
            mode=mode,
            image=flags.image or pods.IMAGE,
            from_nodes=flags.nodes,
            inside=flags.target == "pod",
            nodes=tuple(nodes),
            user=self.user,
            now=self.now,
        )

    def send(self, requests: Sequence[ProbeRequest], options: ProbeOptions) -> ProbeFacts:
        """Send the requests. Where debug pods may not be and targets are pods, the API server asks them instead."""
        from kubectl_lbdoctor.probe import runner

        with self.deadline.suspended():
            facts = runner.send(self.kube, requests, options, self.note, self.progress)
        if options.mode != "pod" or options.inside or facts.answers.is_known or not any(r.pod for r in requests):
            return facts
        self.note(f"no debug pod: {facts.answers.why}")
        self.note("asking through the API server instead: pod proxy and port-forward")
        other = runner.send_through_api_server(self.kube, requests, self._at_most(runner.ASKED_BUDGET), self.progress)
        return other if other.answers.is_known else facts

    def _at_most(self, budget: float) -> float:
        return min(budget, self.deadline.left())

    def settle(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the answers to the health checks that separate what its facts leave open."""
        if self.flags.mode == "off":
            return snapshot
        first = True

        def send(requests: tuple[ProbeRequest, ...]) -> ProbeFacts:
            from kubectl_lbdoctor.probe import runner

            nonlocal first
            options = self.options(snapshot.cluster.nodes.peek() or ())
            by_pods, first = first and options.mode == "pod", False
            if by_pods:
                return self.send(requests, options)
            # What the first answers leave open is asked of pods, and needs no second debug pod.
            budget = rounds.budget(requests) if options.mode == "auto" else runner.ASKED_BUDGET
            return runner.send_through_api_server(self.kube, requests, self._at_most(budget), self.progress)

        return rounds.ask(snapshot, send)
