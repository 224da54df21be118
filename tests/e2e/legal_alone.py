"""Steps of legal set-ups that others on the lab feel, too: nodes, kube-proxy, ACLs, the controller's flags."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.e2e.legal_steps import PUBLIC_CIDR, Step, delete_security_group, shared_by_clusters, states
from tests.e2e.scenarios import until
from tests.lab import faults
from tests.lab.api import Lab


@contextmanager
def drained_cluster(lab: Lab, ns: str) -> Iterator[None]:
    """Of two clusters behind one group, this one is drained for its upgrade; the other's target serves.

    Its pod runs on the same nodes here, so that a rule of its own admits the load balancer to it."""
    rule = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [{"CidrIp": PUBLIC_CIDR}]}
    with faults.rule_authorised(lab, lab.state["cluster_sg"], rule), shared_by_clusters(lab, ns):
        group = lab.target_group_arns(ns)[0]
        until(lambda: states(lab, group) == ["healthy"] * 5, "five healthy targets")
        lab.kubectl("scale", "deployment/web", "deployment/api", "-n", ns, "--replicas=0")
        until(lambda: states(lab, group) == ["healthy"], "the other cluster's target alone")
        yield


def node_labelled(node: str, label: str) -> Step:
    """`label` is KEY=VALUE."""

    @contextmanager
    def step(lab: Lab, ns: str) -> Iterator[None]:
        lab.kubectl("label", "node", node, label)
        try:
            yield
        finally:
            lab.kubectl("label", "node", node, label.partition("=")[0] + "-")

    return step


@contextmanager
def untagged_group_on_nodes(lab: Lab, ns: str) -> Iterator[None]:
    """The nodes carry a second security group (for an agent, a database), without the cluster's tag."""
    ec2 = lab.aws("ec2")
    interfaces = [lab.state["instances"][node]["eni"] for node in ("node1", "node2")]
    with ExitStack() as undo:
        group: str = ec2.create_security_group(
            GroupName=f"agents-{ns}", Description="Monitoring", VpcId=lab.state["vpc_id"]
        )["GroupId"]
        undo.callback(delete_security_group, lab, group)
        for interface in interfaces:
            own = [lab.state["cluster_sg"]]
            undo.callback(ec2.modify_network_interface_attribute, NetworkInterfaceId=interface, Groups=own)
            ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[*own, group])
        yield


@contextmanager
def acl_denies_other_ports(lab: Lab, ns: str) -> Iterator[None]:
    """A network ACL that denies administration from anywhere, and low ports towards the load balancers."""
    with faults.acl_denies(lab, "private-a", False, (22, 22), "0.0.0.0/0") as acl:
        entry = {"RuleNumber": 60, "Protocol": "6", "RuleAction": "deny", "Egress": True, "CidrBlock": PUBLIC_CIDR}
        ports = {"From": 1, "To": 1023}
        lab.aws("ec2").create_network_acl_entry(NetworkAclId=acl, PortRange=ports, **entry)
        time.sleep(1.2)
        yield


@contextmanager
def cordoned(lab: Lab, ns: str) -> Iterator[None]:
    """A node on which no new pods should start; its pods and its node ports serve on."""
    lab.kubectl("cordon", "node2")
    try:
        yield
    finally:
        lab.kubectl("uncordon", "node2")


@contextmanager
def node_ports_of_another(lab: Lab, ns: str) -> Iterator[None]:
    """kube-proxy's DaemonSet is gone and pods of another name serve node ports, as with Cilium's replacement."""
    kept = ("apiVersion", "kind", "spec")
    daemon_set = lab.get("daemonset", "kube-proxy", "kube-system")
    metadata = {key: daemon_set["metadata"][key] for key in ("name", "namespace", "labels")}
    again = {key: daemon_set[key] for key in kept} | {"metadata": metadata}
    lab.kubectl("delete", "daemonset/kube-proxy", "-n", "kube-system", "--cascade=orphan")
    try:
        lab.kubectl("label", "pod", "-l", "k8s-app=kube-proxy", "-n", "kube-system", "k8s-app=cilium", "--overwrite")
        yield
    finally:
        lab.kubectl("delete", "pod", "-l", "k8s-app=cilium", "-n", "kube-system")
        lab.apply(again, "kube-system")
        lab.kubectl("rollout", "status", "daemonset/kube-proxy", "-n", "kube-system", "--timeout=90s")


@contextmanager
def backend_group_off(lab: Lab, ns: str) -> Iterator[None]:
    """Every load balancer's own group is the source in the nodes' rules, instead of one that all share."""
    with faults.controller_args(lab, "--enable-backend-security-group=false"):
        try:
            yield
        finally:
            lab.clean(ns)
