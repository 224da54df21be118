"""Whether the checked port minds the header of proxy protocol, as probes with and without it show. Pure.

Where a target group speaks proxy protocol v2, its Network Load Balancer begins connections with the header, and its
health checks, too:
https://docs.aws.amazon.com/elasticloadbalancing/latest/network/edit-target-group-attributes.html#proxy-protocol
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.probe import ProbeAnswer
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class HeaderAnswers:
    """What the pods of some targets answered to the check as it is sent, and to the same without the header; both are
    empty where not both were answered."""

    with_header: tuple[ProbeAnswer, ...] = ()
    without: tuple[ProbeAnswer, ...] = ()

    @property
    def known(self) -> bool:
        return bool(self.with_header and self.without)

    @property
    def minds(self) -> bool:
        """Whether the header alone makes the check fail."""
        fails = not any(pod_evidence.is_success(answer) for answer in self.with_header)
        return self.known and fails and all(pod_evidence.is_success(answer) for answer in self.without)


def header_answers(traffic: TrafficPath, targets: Iterable[TargetHealth], port: int | None) -> HeaderAnswers:
    """The answers of the pods that the targets lead to. port: the checked port of these pods."""
    asked = pod_evidence.checked(traffic, targets, port)
    plain = {replace(answer.request, proxy_protocol=False) for answer in asked if answer.request.proxy_protocol}
    without = pod_evidence.conclusive_answers(a for a in traffic.probes.told if a.request in plain)
    if not without:
        return HeaderAnswers()
    compared = {answer.request for answer in without}
    both = (a for a in asked if replace(a.request, proxy_protocol=False) in compared)
    with_header = pod_evidence.conclusive_answers(both)
    return HeaderAnswers(with_header, without) if with_header else HeaderAnswers()
