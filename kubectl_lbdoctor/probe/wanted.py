"""Which probes a diagnosis sends: those that separate the hypotheses which the facts leave. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.probe import ProbeRequest
from kubectl_lbdoctor.model.route import Route
from kubectl_lbdoctor.probe.requests import requests

MAX_TARGETS = 3
"""Failing targets of one target group that are asked: replicas of one application seldom differ."""


def wanted(route: Route) -> tuple[ProbeRequest, ...]:
    """The health check of failing targets, as the load balancer sends it."""
    try:
        failing = {target.key for target in route.unhealthy()}
        asked, _ = requests(route)
    except Unknown:
        return ()
    return tuple(request for request in asked if request.target in failing)[:MAX_TARGETS]
