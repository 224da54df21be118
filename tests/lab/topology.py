"""The lab's fixed facts: names, addresses and versions that its cluster half and its AWS half agree on.

Nothing here does anything; both halves import it, so that an address stands in one place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

KUBERNETES_VERSION = "1.34.4"
# The controller's module path has no /v2, so releases from 2 on cannot be resolved by tag: these are their commits.
_CONTROLLER = "sigs.k8s.io/aws-load-balancer-controller@v0.0.0-"
CONTROLLERS = {
    "2.17.1": f"{_CONTROLLER}20260109171550-3b9bdb1e3fb2",
    "3.3.0": f"{_CONTROLLER}20260505182222-46816a2070db",
}
"""The releases of the controller that the lab can run, each with its module."""
CONTROLLER_VERSION = os.environ.get("LBC", "3.3.0")
GATEWAY_API_MODULE = "sigs.k8s.io/gateway-api@v1.5.0"
GATEWAY_API_KINDS = (
    *("gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "tcproutes", "udproutes"),
    *("listenersets", "referencegrants"),
)
"""What is installed of Gateway API, from its experimental channel: releases of the controller need different parts."""
HELM_MODULE = "helm.sh/helm/v3/cmd/helm@v3.19.0"

CLUSTER_NAME = "lbdlab"
REGION = "us-west-2"
ACCOUNT = "123456789012"
SERVICE_CIDR = "172.20.0.0/16"
VPC_CIDR = "10.0.0.0/16"

IPV6 = os.environ.get("IPV6") == "1"
"""Whether the lab has IPv6 beside IPv4 (`IPV6=1 make lab`): VPC, nodes, pods and Services have both families."""
SERVICE_CIDR6 = "fd00:20::/112"
VPC_CIDR6 = "fd00:10::/48"

NETNS_PREFIX = "lbdlab-"
NETNS_VPC = NETNS_PREFIX + "vpc"
NETNS_ELB = NETNS_PREFIX + "elb"

CONTROL_PLANE_IP = "10.0.0.1"
CONTROL_PLANE_IP6 = "fd00:10::1"
API_SERVER_PORT = 6443
API_SERVER_URL = f"https://{CONTROL_PLANE_IP}:{API_SERVER_PORT}"
AWS_PORT = 5000
AWS_URL = f"http://{CONTROL_PLANE_IP}:{AWS_PORT}"


def six(address: str) -> str:
    """The IPv6 address that stands beside an IPv4 address of the VPC, with its digits: fd00:10:0:1::41, 10.0.1.41."""
    *_, subnet, host = address.split(".")
    return f"fd00:10:0:{subnet}::{host}"


@dataclass(frozen=True)
class Subnet:
    name: str
    cidr: str
    zone: str
    public: bool

    @property
    def cidr6(self) -> str:
        return f"fd00:10:0:{self.cidr.split('.')[2]}::/64"


SUBNETS = (
    Subnet("private-a", "10.0.1.0/24", "us-west-2a", False),
    Subnet("private-c", "10.0.2.0/24", "us-west-2c", False),
    Subnet("public-a", "10.0.101.0/24", "us-west-2a", True),
    Subnet("public-c", "10.0.102.0/24", "us-west-2c", True),
)


@dataclass(frozen=True)
class Node:
    """One node. `group` names its security-group set: "default" carries the cluster security group,
    any other value carries a security group of its own (a second node group)."""

    name: str
    ip: str
    pod_cidr: str
    subnet: str
    group: str = "default"

    @property
    def netns(self) -> str:
        return NETNS_PREFIX + self.name

    @property
    def ip6(self) -> str:
        return six(self.ip)

    @property
    def pod_cidr6(self) -> str:
        return f"{self.ip6}:0/112"

    @property
    def pod_addresses6(self) -> tuple[str, ...]:
        """All that its pods may get: as many as in IPv4."""
        return tuple(f"{self.ip6}:{number:x}" for number in range(2, 33))


NODES = (
    Node("node1", "10.0.1.10", "10.0.1.32/27", "private-a"),
    Node("node2", "10.0.2.10", "10.0.2.32/27", "private-c"),
)
# Started only on request (`lab.add_node`): a node of a second node group with a security group of its own.
EXTRA_NODE = Node("node3", "10.0.1.20", "10.0.1.64/27", "private-a", group="second")

# Each caller has keys of its own, so that its AWS actions can be denied alone.
CONTROLLER_ACCESS_KEY = "AKIALABCONTROLLER000"
DOCTOR_ACCESS_KEY = "AKIALABDOCTOR0000000"
ADMIN_ACCESS_KEY = "AKIALABADMIN00000000"
SECRET_KEY = "lab-secret"


def cache_dir() -> Path:
    """Binaries and images, kept between runs and keyed by version."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lbdoctor-lab"


def run_dir() -> Path:
    """Everything of one running lab: pid files, state, sockets, logs, kubeconfig. Removed by `make lab-down`."""
    return Path(os.environ.get("LBDOCTOR_LAB_RUN", "/run/lbdoctor-lab"))


def aws_state_file() -> Path:
    """Written by the AWS half once it is seeded: ids of VPC, subnets, instances and security groups (aws/seed.py)."""
    return run_dir() / "aws-state.json"


def aws_control_file() -> Path:
    """Read by the AWS half on every request: which access key is denied, throttled or delayed for which action."""
    return run_dir() / "aws-control.json"


def kubeconfig() -> Path:
    return run_dir() / "kubeconfig"
