"""LBD319: the side-car of a service mesh before the checked port. Named as a hypothesis, see `analysis.hypotheses`."""

from __future__ import annotations

from kubectl_lbdoctor.checks.registry import reported
from kubectl_lbdoctor.model.finding import Severity

reported(
    "LBD319",
    title="a mesh side-car closes the load balancer's connections",
    passes="no mesh side-car closes the load balancer's connections",
    severity=Severity.WARNING,
    message="{proxy} of a service mesh may close the load balancer's plain connections to {pods}",
    doc="""
    The proxy of a service mesh (Istio, Linkerd, Kuma, Consul) takes every connection to the pod. With strict mutual TLS
    it accepts a plain one and closes it, so that a check by HTTP fails (Target.FailedHealthChecks) while the pod is
    ready: Istio rewrites the kubelet's probes to a port of its side-car (15020 or 15021), and others admit them.

    Which mode holds is decided by objects of the mesh, which are not read, so that this is never diagnosed: it is named
    first among the hypotheses (LBD005) where every failing pod has such a proxy before the checked port and nothing
    else explains the failure.

    Confirm by hand: `kubectl get peerauthentication -A` shows mode STRICT, and `curl -v http://POD_IP:PORT/PATH` from a
    pod outside the mesh is closed without an answer. Repair: mode PERMISSIVE for this port (portLevelMtls), leave the
    port out of the mesh (`traffic.sidecar.istio.io/excludeInboundPorts`,
    `config.linkerd.io/skip-inbound-ports`), or send the load balancer to the mesh's ingress gateway.
    Source: https://istio.io/latest/docs/ops/configuration/mesh/app-health-check/.
    """,
)
