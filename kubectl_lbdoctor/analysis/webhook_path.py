"""The path of a webhook call: from the control plane's interfaces in the VPC to the controller's pods.

EKS keeps interfaces of the control plane in the cluster's subnets, described as "Amazon EKS CLUSTER". They are read
only where a call is said to have failed: a healthy object costs no read more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.blocked_paths import world
from kubectl_lbdoctor.analysis.ownership import controller_flags
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Evidence, Finding
from kubectl_lbdoctor.model.network import control_plane_description
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network import path
from kubectl_lbdoctor.network.acls import AclVerdict
from kubectl_lbdoctor.network.matching import Answer
from kubectl_lbdoctor.network.security_groups import GroupRemedy

READS = (
    reads.WEBHOOK_SLICES,
    reads.NETWORK_INTERFACES,
    reads.SECURITY_GROUPS,
    reads.SUBNETS,
    reads.NETWORK_ACLS,
    reads.ROUTE_TABLES,
    reads.PREFIX_LISTS,
)
_CODES = path.Codes(*["LBD124"] * 5)


def with_path(traffic: TrafficPath, finding: Finding) -> Finding:
    """The finding with what stands in the way of the call, or with what was found open, as far as EC2 tells."""
    verdicts = list(_verdicts(traffic))
    if not verdicts:
        return finding
    closed = [(way, verdict) for way, verdict in verdicts if verdict.blocking]
    if closed:
        lines = dict.fromkeys(f"{way}: {_said(hop)}" for way, verdict in closed for hop in verdict.blocking)
        evidence = tuple(Evidence(reads.SECURITY_GROUPS, line) for line in list(lines)[:4])
        remedies = path.repairs([verdict for _, verdict in closed], world(traffic))
        commands = tuple(filter(None, (path.command(remedy, traffic.context.region) for remedy in remedies)))
        return replace(finding, evidence=(*finding.evidence, *evidence), by_hand=(*finding.by_hand, *commands))
    if all(verdict.answer is Answer.ALLOWED for _, verdict in verdicts):
        text = "security groups, network ACLs and routes let the control plane reach every webhook endpoint"
        return replace(finding, evidence=(*finding.evidence, Evidence(reads.SECURITY_GROUPS, text)))
    return finding


def _verdicts(traffic: TrafficPath) -> Iterator[tuple[str, path.PathVerdict]]:
    """("from -> to", verdict) for each control-plane interface and each endpoint of the webhook's Services."""
    interfaces = traffic.network.interfaces.peek() or ()
    names = {controller_flags(w).get("cluster-name", "") for w in traffic.cluster.controllers.peek() or ()} - {""}
    descriptions = {control_plane_description(name) for name in names}
    sources = [i for i in interfaces if i.description in descriptions and i.private_ips]
    everything = world(traffic)
    for piece in traffic.cluster.webhook_slices.peek() or ():
        for endpoint in piece.endpoints:
            for address in endpoint.addresses[:1]:
                end = path.endpoint_at(address, interfaces)
                for source in sources:
                    own = next((a for a in source.private_ips if (":" in a) == (":" in address)), "")
                    for port in piece.ports if own else ():
                        start = path.Endpoint.of(source, own)
                        verdict = path.evaluate(start, end, "tcp", port.port, everything, _CODES)
                        yield f"control plane {own} -> {address}:{port.port}", verdict


def _said(hop: path.Hop) -> str:
    if isinstance(hop.remedy, GroupRemedy):
        side = "from" if hop.filter is path.Filter.TARGET_GROUPS else "to"
        return f"{hop.remedy.group_id} lacks TCP {hop.remedy.ports} {side} {hop.remedy.peer}"
    if isinstance(hop.detail, AclVerdict):
        denied = ", ".join(map(str, hop.detail.denied))
        return f"network ACL {hop.owner} denies {'outbound' if hop.detail.egress else 'inbound'} TCP {denied}"
    return f"route table {hop.owner} leads nowhere"
