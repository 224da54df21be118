"""Health checks that were sent from inside the cluster: what was asked, and what came back. Part of the snapshot.

A probe tells what the application does; whether the load balancer's own packets arrive is another matter. The two side
by side are the evidence: what answers inside the cluster and times out for the load balancer is filtered on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.record import record

DEFAULT_IMAGE = "curlimages/curl:8.11.1"
"""A small public image with sh, curl and nc that runs as any user."""


class Transport(str, Enum):
    """How a request reached the target.

    PROXY: the API server's pod proxy, to the pod's own address. FORWARD: the API server's port-forward, to the pod's
    loopback. POD: curl or nc in a debug pod, to any address. CONTAINER: inside the target's own network namespace.
    """

    PROXY = "pod proxy"
    FORWARD = "port-forward"
    POD = "debug pod"
    CONTAINER = "ephemeral container"


class Outcome(str, Enum):
    """What became of a request.

    ANSWERED: a complete answer (of HTTP: `status`; of TCP: the connection). REFUSED: nothing listens (RST). TIMEOUT: no
    answer in time. CLOSED: connected, then closed or reset without an answer of the protocol. TLS: the handshake
    failed. GARBLED: answered with something else than the protocol. INCONCLUSIVE: the transport itself failed (a denied
    or broken proxy, an image that cannot be pulled), so nothing is known of the target; its value is a word of
    lbdoctor/v1 and of bundles, and stays.
    """

    ANSWERED = "answered"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    TLS = "tls"
    GARBLED = "garbled"
    INCONCLUSIVE = "untold"


@record
class ProbeRequest:
    """One request as the load balancer sends it (or a variation of it).

    target: key of the target ("id:port") that it is about. address and port: where it goes. pod, node: what is there
    ("" where not known). protocol: HTTP, HTTPS or TCP. version: HTTP1, HTTP2 or GRPC. host: the Host header. timeout in
    seconds. matcher: the success codes ("200-399", "" for TCP). tls: the newest TLS version that is offered ("1.2",
    "1.3"; "" for the client's own choice). proxy_protocol: the header of proxy protocol v2 comes before all else.
    """

    target: str
    address: str
    port: int
    namespace: str = ""
    pod: str = ""
    node: str = ""
    protocol: str = "HTTP"
    version: str = "HTTP1"
    path: str = "/"
    host: str = ""
    timeout: float = 5.0
    matcher: str = ""
    tls: str = ""
    proxy_protocol: bool = False


@record
class ProbeAnswer:
    """What came back. status: HTTP (or gRPC) status of an answer. location: of a redirect. seconds: until the answer.

    detail: the error in the transport's words, or what a garbled answer began with. source: the node that a debug pod
    sent it from; an answer from the target's own node met no security group on its way. permission: whose lack made
    the transport fail, None where it failed for another reason or not at all.
    """

    request: ProbeRequest
    via: Transport
    outcome: Outcome
    status: int | None = None
    location: str = ""
    seconds: float = 0.0
    detail: str = ""
    source: str = ""
    permission: Permission | None = None


def inconclusive(
    request: ProbeRequest,
    via: Transport,
    reason: str,
    *,
    permission: Permission | None = None,
    seconds: float = 0.0,
    source: str = "",
) -> ProbeAnswer:
    """The answer that says nothing of its target, because its transport failed. reason: in one sentence."""
    return ProbeAnswer(
        request, via, Outcome.INCONCLUSIVE, seconds=seconds, detail=reason, source=source, permission=permission
    )


@record
class Socket:
    """A listening TCP socket of a pod (/proc/net/tcp, /proc/net/tcp6). address: "0.0.0.0", "127.0.0.1", "::"…"""

    address: str
    port: int

    @property
    def loopback(self) -> bool:
        return self.address.startswith("127.") or self.address == "::1" or self.address.startswith("::ffff:127.")


def _none() -> Fact[tuple[ProbeAnswer, ...]]:
    return Fact.not_asked(PROBES, "not needed for this run")


PROBES = "probe"
"""The source of answers (a fact is asked for only where the evidence leaves a choice that a probe can settle)."""
SOCKETS = "probe:sockets"


@record
class ProbeFacts:
    """What probes found. sockets: by "namespace/pod", where a container could look."""

    answers: Fact[tuple[ProbeAnswer, ...]] = field(default_factory=_none)
    sockets: Mapping[str, Fact[tuple[Socket, ...]]] = field(default_factory=dict)

    @property
    def told(self) -> tuple[ProbeAnswer, ...]:
        """Answers that tell something. A probe is no read that a check could declare or miss: without one, nothing is
        told, and nothing becomes unknown."""
        answers = self.answers.value if self.answers.is_known else ()
        return tuple(a for a in answers or () if a.outcome is not Outcome.INCONCLUSIVE)

    def sockets_of(self, namespace: str, pod: str) -> tuple[Socket, ...]:
        """The listening sockets of a pod, () where nobody looked."""
        fact = self.sockets.get(f"{namespace}/{pod}")
        return (fact.value or ()) if fact is not None and fact.is_known else ()

    def to(self, target: str, **wanted: object) -> tuple[ProbeAnswer, ...]:
        """Answers about one target that tell something; `wanted` are values of the request (port=8080, path="/")."""
        return tuple(
            a
            for a in self.told
            if a.request.target == target and all(getattr(a.request, name) == value for name, value in wanted.items())
        )
