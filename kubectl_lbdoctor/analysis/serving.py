"""What healthy targets prove of a path: that the load balancer's requests end where they should. Pure."""

from __future__ import annotations

from kubectl_lbdoctor.analysis.controller_complaints import standing_complaints
from kubectl_lbdoctor.analysis.local_traffic import without_local_endpoint
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Evidence, Source
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@derived
def all_targets_healthy(traffic: TrafficPath) -> Evidence | None:
    """Evidence that every target of this cluster takes traffic; None where one does not, or where it is not known.

    Draining targets do not count, nor do nodes that externalTrafficPolicy Local leaves out.
    """
    try:
        failing = {target.key for target in traffic.failing()}
        targets = traffic.targets()
        service = traffic.service.need()
        if failing and service is not None and service.external_traffic_policy == "Local":
            failing -= {target.key for target in without_local_endpoint(traffic)[0]}
    except (Unknown, NotApplicable):
        return None
    counted = [t for t in targets if t.state != "draining" and t.key not in traffic.foreign]
    healthy = sum(1 for target in counted if target.state == "healthy")
    if failing or not healthy or any(target.state == "initial" for target in counted):
        return None
    noun = "target" if len(counted) == 1 else "targets"
    return Evidence(Source.TARGET_HEALTH, f"{healthy} of {len(counted)} {noun} healthy")


@derived
def served_from_elsewhere(traffic: TrafficPath) -> Evidence | None:
    """Evidence that the targets of somebody else, mostly another cluster, serve the shared group: this one may be
    drained; None where none does, or where it is not known."""
    targets = traffic.target_health.peek() or ()
    healthy = [t for t in targets if t.state == "healthy" and t.key in traffic.foreign]
    if not healthy:
        return None
    return Evidence(Source.TARGET_HEALTH, f"healthy targets in the shared group that others registered: {len(healthy)}")


@derived
def accepted_and_healthy(traffic: TrafficPath) -> Evidence | None:
    """Evidence that every target takes traffic, where the controller complains of nothing either: what it would have
    refused it has taken. None where it complains, or where its events or its log could not be read."""
    found = all_targets_healthy(traffic)
    if found is None:
        return None
    try:
        complaints = list(standing_complaints(traffic))
    except Unknown:
        return None
    return None if complaints else Evidence(found.source, f"{found.text}, and the controller complains of nothing")
