"""Whether the check path answers somebody else as the check wants: another Host header, or another client. Pure.

A load balancer asks with a Host header that nobody chooses (`TARGET_IP:PORT` behind an Application Load Balancer) and
from addresses of its subnets. An application that serves one host name, or admits some addresses only, refuses such a
request with 400, 401, 403, 404 or 421, a redirect or an error of its own, and answers the same path well to others.
Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.model.k8s import Probe
from kubectl_lbdoctor.model.probe import Outcome, ProbeAnswer
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_REFUSES = frozenset({"400", "401", "403", "421"})
"""Codes that refuse who asks, whatever is asked for; a 404 may also have been mended a moment ago."""
_ASKS_FOR_CREDENTIALS = "401"


@record
class OtherAsker:
    """Who gets a success for the path that is refused to the load balancer: with this Host header, or else this client.

    certain: the two answers stand side by side. Where only one of them was seen now, the other may be older.
    """

    host: str = ""
    client: str = ""
    certain: bool = True


NOBODY = OtherAsker()


def other_asker(
    traffic: TrafficPath,
    codes: Iterable[str],
    readiness: Probe | None,
    asked: Iterable[ProbeAnswer],
    varied: Iterable[ProbeAnswer],
) -> OtherAsker:
    """Who is answered as the check wants on its own path, `NOBODY` where nothing shows anybody.

    codes: what the load balancer is answered. readiness: an HTTP readiness probe of the checked port that succeeds.
    asked, varied: all answers to the check's own request, and to its variations.
    """
    group = traffic.target_group.peek()
    if group is None:
        return NOBODY
    path, codes, asked = group.health_check.path, tuple(codes), tuple(asked)
    mine = readiness if readiness is not None and pod_evidence.path_of(readiness) == path else None
    if mine is not None and mine.host_header:
        return OtherAsker(mine.host_header)
    for answer in varied:
        if answer.request.path == path and pod_evidence.is_success(answer):
            return OtherAsker(answer.request.host)
    outside = [a for a in asked if a.via in pod_evidence.ADDRESS and a.outcome is Outcome.ANSWERED]
    inside = [a for a in asked if a.via in pod_evidence.LOOPBACK and pod_evidence.is_success(a)]
    if inside and outside and not any(pod_evidence.is_success(a) for a in outside):
        return OtherAsker(client="the pod itself")
    if not set(codes) <= _REFUSES:
        return NOBODY
    if outside and all(pod_evidence.is_success(a) for a in outside):
        return OtherAsker(client="a probe from inside the cluster", certain=False)
    if outside:
        return NOBODY
    if inside:
        return OtherAsker(client="the pod itself", certain=False)
    # A readiness probe is some seconds behind: against a code that says what it wants it proves nothing.
    if _ASKS_FOR_CREDENTIALS in codes:
        return NOBODY
    if mine is not None and not mine.headers and mine.scheme == group.health_check.protocol:
        return OtherAsker(client="the kubelet", certain=False)
    return NOBODY
