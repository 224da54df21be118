"""LBD522: pods that admit nobody, because the network policy engine wants a policy for each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from kubectl_lbdoctor.analysis.blocked_paths import READS as PATH_READS
from kubectl_lbdoctor.analysis.blocked_paths import suspects
from kubectl_lbdoctor.analysis.policy_engine import policy_engine
from kubectl_lbdoctor.analysis.policy_paths import policy_paths
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity, Source
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.network_policies import selects


@check(
    "LBD522",
    title="the network policy engine admits nobody to pods that no NetworkPolicy selects",
    passes="the network policy engine admits everybody to pods that no NetworkPolicy selects",
    severity=Severity.ERROR,
    message="no NetworkPolicy selects the pods of Service {service}, and the VPC CNI's strict mode then admits nobody",
    reads=(*PATH_READS, reads.LISTENERS, reads.NETWORK_POLICIES, reads.KUBE_PROXY),
    explains=("LBD607",),
)
def strict_mode(traffic: TrafficPath) -> Iterator[Finding]:
    """With `NETWORK_POLICY_ENFORCING_MODE` strict the VPC CNI gives every pod a policy that denies everything, until a
    NetworkPolicy selects it: only the pod's own node comes in, so that its probes succeed and every health check of a
    load balancer, or of a node that hands a request on, runs into its timeout. A policy for what goes out alone selects
    a pod, too: everything comes in to it then.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html,
    https://github.com/aws/amazon-vpc-cni-k8s/blob/master/README.md (NETWORK_POLICY_ENFORCING_MODE),
    https://github.com/aws/amazon-network-policy-controller-k8s (a PolicyEndpoint admits all where no Ingress isolates)

    Confirm by hand: `kubectl get daemonset aws-node -n kube-system -o yaml`, `kubectl get networkpolicy -n NAMESPACE`.
    Repair: a NetworkPolicy that selects the pods and admits the load balancer's subnets, or mode standard.
    """
    if not suspects(traffic):
        raise NotApplicable("no target fails for a reason that a filter would explain")
    engine = policy_engine(traffic.snapshot)
    policies, balancer = traffic.namespace_facts.policies.need(), traffic.load_balancer.need()
    traffic.cluster.kube_proxy.need()
    if not engine.strict or balancer is None:
        return
    cut: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for target in suspects(traffic):
        for pod, address, port, cidr in policy_paths(traffic, balancer, target):
            alone = not pod.host_network and address != pod.host_ip
            if alone and not any(selects(policy, pod) for policy in policies):
                cut[target.key].add((cidr or address, port))
    if not cut:
        return
    wanted = sorted({entry for entries in cut.values() for entry in entries})
    who = ", ".join(sorted({source for source, _ in wanted}))
    ports = ", ".join(map(str, sorted({port for _, port in wanted})))
    service = traffic.service_ref
    yield Finding(
        "LBD522",
        service,
        params={"service": service.name},
        evidence=(
            Evidence(Source.TARGET_GROUP, f"{len(cut)} of {len(traffic.targets())}: {suspects(traffic)[0].reason}"),
            Evidence(Source.POLICY_ENGINE, f"{engine.why}, in strict mode"),
            Evidence(f"networkpolicies in {traffic.namespace}", "none selects the pods"),
        ),
        targets=tuple(cut),
        confirm=(
            kubectl("get", "daemonset", "aws-node", "-o", "yaml", namespace="kube-system"),
            kubectl("get", "networkpolicy", "-o", "yaml", namespace=traffic.namespace),
        ),
        advice=f"make a NetworkPolicy that selects the pods of the Service and admits {who} on port {ports}",
    )
