"""An application as probes see it, for tests: what it listens on and how it answers, asked as the API server asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.probe import PROBES, Outcome, ProbeAnswer, ProbeFacts, ProbeRequest, Transport
from kubectl_lbdoctor.probe.rounds import ask
from tests.support.world import World

ANSWERED, REFUSED, TIMEOUT = Outcome.ANSWERED, Outcome.REFUSED, Outcome.TIMEOUT


@dataclass(frozen=True)
class Application:
    """ports: what is spoken on each: HTTP, HTTPS, HTTPS13 (TLS 1.3 only), HTTP2 (without TLS), GRPC or TCP. paths:
    statuses, others get `default`. host: the only host name that is served, others get `default`. locations: of
    redirects by path. loopback: listens on the loopback only. unreached: the API server's packets are dropped.
    proxy_header: of proxy protocol: "unknown" (a broken request), "wanted" (a request without it is one) or "optional".
    """

    ports: Mapping[int, str] = field(default_factory=lambda: {8080: "HTTP"})
    paths: Mapping[str, int] = field(default_factory=lambda: {"/healthz": 200})
    locations: Mapping[str, str] = field(default_factory=dict)
    default: int = 404
    host: str = ""
    delay: float = 0.0
    loopback: bool = False
    unreached: bool = False
    proxy_header: str = "unknown"

    def send(self, requests: Iterable[ProbeRequest]) -> ProbeFacts:
        return ProbeFacts(Fact.known(PROBES, tuple(a for r in requests for a in self.ways(r))))

    def ways(self, request: ProbeRequest) -> list[ProbeAnswer]:
        """The pod proxy, and the port-forward where the proxy cannot or does not tell."""
        if request.protocol != "TCP" and (request.version != "HTTP1" or request.tls or request.proxy_protocol):
            return [self.answer(request, Transport.FORWARD)]
        if request.protocol == "TCP":
            return [self.answer(request, Transport.FORWARD), self.answer(request, Transport.PROXY)]
        first = self.answer(request, Transport.PROXY)
        again = first.outcome in (REFUSED, TIMEOUT)
        return [first, self.answer(request, Transport.FORWARD)] if again else [first]

    def answer(self, request: ProbeRequest, via: Transport) -> ProbeAnswer:
        none = ProbeAnswer(request, via, REFUSED, seconds=0.01)
        if via is Transport.PROXY and self.unreached:
            return replace(none, outcome=TIMEOUT, seconds=request.timeout)
        speaks = self.ports.get(request.port)
        if speaks is None or (self.loopback and via is Transport.PROXY):
            return none
        if request.protocol == "TCP":
            return replace(none, outcome=ANSWERED)
        asked = request.protocol if request.version == "HTTP1" else request.version
        if speaks == "HTTPS13" and asked == "HTTPS":
            asked = "HTTPS13" if not request.tls else asked
            if asked != speaks:
                return replace(none, outcome=Outcome.TLS)
        if asked != speaks:
            if speaks in ("HTTPS", "HTTPS13") and asked == "HTTP":
                return replace(none, outcome=ANSWERED, status=400)  # Go's and nginx's TLS servers
            return replace(none, outcome=Outcome.TLS if asked == "HTTPS" else Outcome.GARBLED)
        if (request.proxy_protocol, self.proxy_header) in ((True, "unknown"), (False, "wanted")):
            return replace(none, outcome=ANSWERED, status=400)
        if self.delay > request.timeout:
            return replace(none, outcome=TIMEOUT, seconds=request.timeout)
        status = 12 if speaks == "GRPC" else self.paths.get(request.path, self.default)
        if self.host and request.host.partition(":")[0] != self.host:
            status = self.default
        where = self.locations.get(request.path, "") if 300 <= status < 400 else ""
        return replace(none, outcome=ANSWERED, status=status, location=where, seconds=self.delay + 0.01)


def probed(world: World, application: Application) -> World:
    """The world after a diagnosis has sent its probes."""
    facts = ask(world.build(), application.send).probes
    return replace(world, answers=facts.answers.peek() or ())
