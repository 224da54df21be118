"""Whether what decides about a target group was written a moment ago, so that nothing is late yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.analysis.gateway_settings import manifests_of
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.traffic_path import TrafficPath

RECONCILE_SECONDS = 60
"""The controller applies a new or changed object within seconds; below this age nothing is late."""


def last_edit(traffic: TrafficPath) -> float:
    """Seconds since the newest write to what the target group is made from: Service, Ingress, and all that a Gateway's
    path has. What is taken out of a manifest leaves no time behind.

    Raises `Unknown` where the objects of a Gateway could not be read.
    """
    times = (meta.written for meta in _manifests(traffic))
    return min((traffic.age(time) for time in times if time), default=float("inf"))


def _manifests(traffic: TrafficPath) -> Iterator[Meta]:
    subject = frontend_of(traffic).manifest.peek()
    for found in (subject, traffic.service.peek(), traffic.ingress.peek()):
        if found is not None:
            yield found.meta
    yield from manifests_of(traffic)
