"""The AWS account as it is before anybody deploys anything: network, cluster, instances."""

from __future__ import annotations

import json
import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import boto3
from moto.ec2.models import ec2_backends
from moto.eks.models import eks_backends

from tests.lab import topology
from tests.lab.aws import identity

_CLUSTER_TAG = f"kubernetes.io/cluster/{topology.CLUSTER_NAME}"
_IMAGE = "ami-0abcdef1234567890"
_SECOND_GROUP = f"{topology.CLUSTER_NAME}-node-second"
_ANY: dict[str, Any] = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def client(service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=topology.AWS_URL,
        region_name=topology.REGION,
        aws_access_key_id=topology.ADMIN_ACCESS_KEY,
        aws_secret_access_key=topology.SECRET_KEY,
    )


def tags(kind: str, values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in values.items()]}]


def run() -> dict[str, Any]:
    ec2 = client("ec2")
    vpc_id = ec2.create_vpc(
        CidrBlock=topology.VPC_CIDR,
        **({"AmazonProvidedIpv6CidrBlock": True} if topology.IPV6 else {}),
        TagSpecifications=tags("vpc", {"Name": topology.CLUSTER_NAME, _CLUSTER_TAG: "shared"}),
    )["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    if topology.IPV6:
        _chosen_range(vpc_id)
    subnets = {subnet.name: _subnet(ec2, vpc_id, subnet) for subnet in topology.SUBNETS}
    acls = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["NetworkAcls"]
    state: dict[str, Any] = {
        "vpc_id": vpc_id,
        "subnets": subnets,
        "route_tables": _routes(ec2, vpc_id, subnets),
        # All subnets share the VPC's default network ACL until somebody associates another one.
        "acls": {"default": next(acl["NetworkAclId"] for acl in acls if acl["IsDefault"])},
        "cluster_sg": _cluster_group(ec2, vpc_id),
        "instances": {},
    }
    for node in topology.NODES:
        state["instances"][node.name] = _instance(ec2, node, subnets[node.subnet], state["cluster_sg"])
    _roles()
    _cluster(state)
    return state


def add_extra_node(state: dict[str, Any]) -> dict[str, Any]:
    """The instance of a second node group, whose security group is its own (and tagged, as eksctl does it).

    The two groups admit each other, as the guides for self-managed node groups ask for."""
    ec2 = client("ec2")
    node = topology.EXTRA_NODE
    if node.name in state["instances"]:
        found: dict[str, Any] = state["instances"][node.name]
        return found
    group = ec2.create_security_group(
        GroupName=_SECOND_GROUP,
        Description="Nodes of the second node group",
        VpcId=state["vpc_id"],
        TagSpecifications=tags("security-group", {"Name": _SECOND_GROUP, _CLUSTER_TAG: "owned"}),
    )["GroupId"]
    for owner, source in ((group, group), (group, state["cluster_sg"]), (state["cluster_sg"], group)):
        _admit(ec2, owner, source)
    instance = _instance(ec2, node, state["subnets"][node.subnet], group)
    state["instances"][node.name] = instance
    state["second_sg"] = group
    return instance


def remove_extra_node(state: dict[str, Any]) -> None:
    instance = state["instances"].pop(topology.EXTRA_NODE.name, None)
    if instance is None:
        return
    ec2 = client("ec2")
    group = state.pop("second_sg")
    ec2.terminate_instances(InstanceIds=[instance["id"]])
    # moto keeps a terminated instance's interface, and with it its addresses and its group.
    ec2_backends[topology.ACCOUNT][topology.REGION].get_network_interface(instance["eni"]).delete()
    ec2.revoke_security_group_ingress(
        GroupId=state["cluster_sg"], IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    )
    ec2.delete_security_group(GroupId=group)


def write(state: dict[str, Any], file: Path) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(state, indent=2))
    os.replace(partial, file)


def _chosen_range(vpc_id: str) -> None:
    """moto draws a VPC's IPv6 range, and gives neither its route nor its default ACL the entries of that family."""
    backend = ec2_backends[topology.ACCOUNT][topology.REGION]
    (association,) = backend.get_vpc(vpc_id).get_cidr_block_association_set(ipv6=True)
    association["cidr_block"] = topology.VPC_CIDR6
    for acl in backend.network_acls.values():
        if acl.vpc_id == vpc_id:
            for egress in (True, False):
                for number, action in ((101, "allow"), (32768, "deny")):
                    backend.create_network_acl_entry(
                        acl.id, number, "-1", action, egress, None, None, None, None, None, "::/0"
                    )


def _subnet(ec2: Any, vpc_id: str, subnet: topology.Subnet) -> str:
    role = "kubernetes.io/role/elb" if subnet.public else "kubernetes.io/role/internal-elb"
    name = f"{topology.CLUSTER_NAME}-{subnet.name}"
    created = ec2.create_subnet(
        VpcId=vpc_id,
        CidrBlock=subnet.cidr,
        AvailabilityZone=subnet.zone,
        **({"Ipv6CidrBlock": subnet.cidr6} if topology.IPV6 else {}),
        TagSpecifications=tags("subnet", {"Name": name, _CLUSTER_TAG: "shared", role: "1"}),
    )
    return str(created["Subnet"]["SubnetId"])


def _routes(ec2: Any, vpc_id: str, subnets: dict[str, str]) -> dict[str, str]:
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc_id)
    tables = {}
    for name in ("public", "private"):
        table = ec2.create_route_table(
            VpcId=vpc_id, TagSpecifications=tags("route-table", {"Name": f"{topology.CLUSTER_NAME}-{name}"})
        )["RouteTable"]["RouteTableId"]
        tables[name] = table
    ec2.create_route(RouteTableId=tables["public"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    if topology.IPV6:
        backend = ec2_backends[topology.ACCOUNT][topology.REGION]
        for table in tables.values():
            backend.create_route(table, None, destination_ipv6_cidr_block=topology.VPC_CIDR6, local=True)
        ec2.create_route(RouteTableId=tables["public"], DestinationIpv6CidrBlock="::/0", GatewayId=gateway)
    for subnet in topology.SUBNETS:
        table = tables["public" if subnet.public else "private"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnets[subnet.name])
    return tables


def _cluster_group(ec2: Any, vpc_id: str) -> str:
    """As EKS makes it: whoever carries it may talk to each other in every way."""
    name = f"eks-cluster-sg-{topology.CLUSTER_NAME}-1234567890"
    group = ec2.create_security_group(
        GroupName=name,
        Description="EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
        "as well as any managed workloads.",
        VpcId=vpc_id,
        TagSpecifications=tags(
            "security-group", {"Name": name, _CLUSTER_TAG: "owned", "aws:eks:cluster-name": topology.CLUSTER_NAME}
        ),
    )["GroupId"]
    _admit(ec2, group, group)
    return str(group)


def _admit(ec2: Any, owner: str, source: str) -> None:
    ec2.authorize_security_group_ingress(
        GroupId=owner, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": source}]}]
    )


def _instance(ec2: Any, node: topology.Node, subnet_id: str, group: str) -> dict[str, Any]:
    names = {
        "Name": f"{topology.CLUSTER_NAME}-{node.name}",
        _CLUSTER_TAG: "owned",
        "eks:cluster-name": topology.CLUSTER_NAME,
        "eks:nodegroup-name": node.group,
    }
    instance = ec2.run_instances(
        ImageId=_IMAGE,
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet_id,
        PrivateIpAddress=node.ip,
        SecurityGroupIds=[group],
        TagSpecifications=tags("instance", names),
    )["Instances"][0]
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    # As the VPC CNI does: all addresses that pods of this node may get belong to the node's interface.
    pods = [str(address) for address in ip_network(node.pod_cidr)]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=pods)
    if topology.IPV6:
        ec2.assign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Addresses=[node.ip6, *node.pod_addresses6])
    return {
        "id": instance["InstanceId"],
        "zone": instance["Placement"]["AvailabilityZone"],
        "eni": interface,
        "security_group": group,
    }


def _roles() -> None:
    iam = client("iam")
    iam.create_user(UserName=identity.ADMIN_USER)
    for role, service in (
        (identity.CONTROLLER_ROLE, "pods.eks.amazonaws.com"),
        (identity.DOCTOR_ROLE, "ec2.amazonaws.com"),
        (f"{topology.CLUSTER_NAME}-cluster", "eks.amazonaws.com"),
    ):
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    # The control file decides what is denied; the policy only has to exist.
    allow = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["ec2:*", "elasticloadbalancing:*"], "Resource": "*"}],
    }
    policy = iam.create_policy(PolicyName="AWSLoadBalancerControllerIAMPolicy", PolicyDocument=json.dumps(allow))
    iam.attach_role_policy(RoleName=identity.CONTROLLER_ROLE, PolicyArn=policy["Policy"]["Arn"])


def _cluster(state: dict[str, Any]) -> None:
    client("eks").create_cluster(
        name=topology.CLUSTER_NAME,
        version=topology.KUBERNETES_VERSION.rpartition(".")[0],
        roleArn=f"arn:aws:iam::{topology.ACCOUNT}:role/{topology.CLUSTER_NAME}-cluster",
        resourcesVpcConfig={
            "subnetIds": list(state["subnets"].values()),
            "endpointPublicAccess": False,
            "endpointPrivateAccess": True,
        },
        kubernetesNetworkConfig={"serviceIpv4Cidr": topology.SERVICE_CIDR, "ipFamily": "ipv4"},
    )
    # What EKS adds by itself and moto does not.
    cluster = eks_backends[topology.ACCOUNT][topology.REGION].clusters[topology.CLUSTER_NAME]
    cluster.endpoint = topology.API_SERVER_URL
    cluster.resources_vpc_config |= {"clusterSecurityGroupId": state["cluster_sg"], "vpcId": state["vpc_id"]}
