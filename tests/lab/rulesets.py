"""Random security groups and network ACLs in the lab's VPC, each set between two interfaces of its own.

A set has a load balancer's interface, with an address in the load balancers' network namespace, and a target's, with
addresses in a node's: so nothing that others use is touched, and many sets stand side by side.
"""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.lab import topology
from tests.lab.api import Lab
from tests.lab.aws import netns

# Part of the VPC that the lab leaves free.
SPACE = "10.0.160.0/19"
PORTS = (80, 443, 8080, 9090)
_NAME = "lbdlab-ruleset"
_TAG = "lbdlab/ruleset"
_EPHEMERAL = (1024, 65535)
_HOST_NODE = topology.NODES[0]

Permission = dict[str, Any]


@dataclass(frozen=True)
class Probe:
    """One connection that is tried, from the load balancer's address and this port of it."""

    source: str
    source_port: int
    target: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.protocol} {self.source}:{self.source_port} -> {self.target}:{self.port}"


@dataclass
class RuleSet:
    """`said` is what was asked of EC2, for a report of a mismatch."""

    number: int
    source: str = ""
    targets: list[str] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class Builder:
    """Makes rule sets by the ordinary EC2 calls, and takes them away again."""

    def __init__(self, lab: Lab, dice: random.Random) -> None:
        self._ec2 = lab.aws("ec2")
        self._vpc: str = lab.state["vpc_id"]
        self._dice = dice
        # Where a former run's connections are still tracked, a new one must not use the same addresses.
        self._blocks = list(ipaddress.ip_network(SPACE).subnets(new_prefix=28))
        start = int(time.time()) % len(self._blocks)
        self._blocks = self._blocks[start:] + self._blocks[:start]

    # --- one set -----------------------------------------------------------------------------------------------------

    def build(self, number: int) -> RuleSet:
        dice, made = self._dice, RuleSet(number)
        near_cidr = str(self._blocks.pop())
        far_cidr = near_cidr if dice.random() < 0.25 else str(self._blocks.pop())
        near = self._subnet(near_cidr)
        far = near if far_cidr == near_cidr else self._subnet(far_cidr)
        hosts = [str(host) for host in ipaddress.ip_network(far_cidr).hosts()]
        made.source = str(ipaddress.ip_network(near_cidr)[5])
        made.targets = hosts[8:10]
        groups = {role: self._group(number, role) for role in ("lb", "lb2", "node", "node2", "other")}
        carried = {
            "lb": [groups["lb"], *([groups["lb2"]] if dice.random() < 0.3 else [])],
            "node": [groups["node"], *([groups["node2"]] if dice.random() < 0.4 else [])],
        }
        self._interface(near, made.source, [], carried["lb"])
        self._interface(far, made.targets[0], made.targets[1:], carried["node"])
        cidrs = {"lb": self._cidrs(made.source, near_cidr), "node": self._cidrs(made.targets[0], far_cidr)}
        # Half of the sets are about the ACLs: their groups let the load balancer in.
        about_acls = dice.random() < 0.5
        if about_acls:
            self._authorise(
                made, groups["node"], False, {"IpProtocol": "-1", **self._source(cidrs["lb"], groups["lb"])}
            )
        for name in () if about_acls else ("lb", "lb2"):  # EC2 makes a group that lets everything out
            self._rules(made, groups[name], True, cidrs["node"], (groups["node"], groups["node2"], groups["other"]))
        for name in ("node", "node2"):
            self._rules(made, groups[name], False, cidrs["lb"], (groups["lb"], groups["lb2"], groups["other"]))
            # A reply needs no rule: what a target lets out is of no matter.
            if dice.random() < 0.6:
                self._revoke_egress(made, groups[name])
        for subnet, own, other in ((near, "lb", "node"), (far, "node", "lb")):
            if dice.random() < (0.8 if about_acls else 0.3):
                self._acl(made, subnet, own, cidrs[other])
            if near == far:
                break
        made.probes = list(self._probes(made))
        return made

    def _probes(self, made: RuleSet) -> Iterator[Probe]:
        dice = self._dice
        for protocol, count in (("tcp", 3), ("udp", 1)):
            for port in dice.sample(PORTS, count):
                target = dice.choice(made.targets)
                bounds = (1024, 20000, 32767, 32768, 40000, 49151, 49152, 61000, 65535)
                for low in dice.sample(bounds, 2):
                    yield Probe(made.source, low, target, port, protocol)

    def _cidrs(self, address: str, subnet: str) -> tuple[str, ...]:
        """CIDRs that hold the address, and some that narrowly do not."""
        halves = [str(half) for half in ipaddress.ip_network(subnet).subnets(prefixlen_diff=1)]
        neighbour = str(ipaddress.ip_address(address) + 1)
        return ("0.0.0.0/0", topology.VPC_CIDR, subnet, *halves, f"{address}/32", f"{neighbour}/32", "192.168.0.0/16")

    def _source(self, cidrs: Sequence[str], group: str) -> Permission:
        """A source that holds the load balancer's address, by group or by CIDR."""
        if self._dice.random() < 0.5:
            return {"UserIdGroupPairs": [{"GroupId": group}]}
        return {"IpRanges": [{"CidrIp": self._dice.choice(cidrs[:3])}]}

    def _ports(self) -> tuple[int, int]:
        port = self._dice.choice(PORTS)
        return self._dice.choice(
            ((port, port), (port, port), (0, 65535), (port, 65535), (1, port), (port - 1, port + 1))
        )

    # --- groups ------------------------------------------------------------------------------------------------------

    def _rules(self, made: RuleSet, group: str, egress: bool, cidrs: Sequence[str], groups: Sequence[str]) -> None:
        dice = self._dice
        if egress:
            if dice.random() < 0.5:
                return
            self._revoke_egress(made, group)
        for _ in range(dice.randint(0 if dice.random() < 0.15 else 1, 4)):
            protocol = dice.choice(("tcp", "tcp", "tcp", "udp", "-1", "icmp", "50"))
            rule: Permission = {"IpProtocol": protocol}
            if protocol in ("tcp", "udp"):
                rule["FromPort"], rule["ToPort"] = self._ports()
            elif protocol in ("icmp", "50"):  # moto wants ports with every protocol
                rule["FromPort"] = rule["ToPort"] = -1
            kind = dice.random()
            if kind < 0.45:
                rule["UserIdGroupPairs"] = [{"GroupId": dice.choice((groups[0], *groups))}]
            elif kind < 0.9:
                chosen = dice.sample(cidrs, dice.randint(1, 2))
                rule["IpRanges"] = [{"CidrIp": cidr} for cidr in chosen]
            else:
                rule["PrefixListIds"] = [{"PrefixListId": self._prefix_list(dice.sample(cidrs[2:], 2))}]
            self._authorise(made, group, egress, rule)

    def _authorise(self, made: RuleSet, group: str, egress: bool, rule: Permission) -> None:
        call = self._ec2.authorize_security_group_egress if egress else self._ec2.authorize_security_group_ingress
        try:
            call(GroupId=group, IpPermissions=[rule])
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidPermission.Duplicate":
                raise
        else:
            made.said.append(f"{group} {'egress' if egress else 'ingress'} {rule}")

    def _revoke_egress(self, made: RuleSet, group: str) -> None:
        everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self._ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
        made.said.append(f"{group} egress: nothing")

    def _group(self, number: int, role: str) -> str:
        group: str = self._ec2.create_security_group(
            GroupName=f"{_NAME}-{number}-{role}", Description=_NAME, VpcId=self._vpc
        )["GroupId"]
        return group

    def _prefix_list(self, cidrs: Sequence[str]) -> str:
        found: str = self._ec2.create_managed_prefix_list(
            PrefixListName=_NAME,
            AddressFamily="IPv4",
            MaxEntries=10,
            Entries=[{"Cidr": cidr, "Description": ""} for cidr in dict.fromkeys(cidrs)],
        )["PrefixList"]["PrefixListId"]
        return found

    # --- subnets, their ACLs and interfaces --------------------------------------------------------------------------

    def _subnet(self, cidr: str) -> str:
        subnet: str = self._ec2.create_subnet(
            VpcId=self._vpc,
            CidrBlock=cidr,
            AvailabilityZone=topology.SUBNETS[0].zone,
            TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": _TAG, "Value": "1"}]}],
        )["Subnet"]["SubnetId"]
        return subnet

    def _acl(self, made: RuleSet, subnet: str, own: str, cidrs: Sequence[str]) -> None:
        """Entries that mostly let pass what the path needs, with gaps and contradictions."""
        dice = self._dice
        acl: str = self._ec2.create_network_acl(
            VpcId=self._vpc,
            TagSpecifications=[{"ResourceType": "network-acl", "Tags": [{"Key": _TAG, "Value": "1"}]}],
        )["NetworkAcl"]["NetworkAclId"]
        for egress in (False, True):
            # Requests leave the load balancer's subnet and enter the target's; replies go the other way.
            request = egress == (own == "lb")
            numbers = dice.sample(range(1, 300), dice.randint(1, 4))
            if dice.random() < 0.5:
                numbers.append(dice.choice((400, 32766)))
            for position, number in enumerate(sorted(numbers)):
                last = position == len(numbers) - 1
                protocol = dice.choice(("6", "6", "6", "17", "-1", "1"))
                allow = dice.random() < (0.95 if last else 0.65)
                if last and allow:
                    protocol = dice.choice(("6", "6", "-1"))
                entry: dict[str, Any] = {
                    "RuleNumber": number,
                    "Protocol": protocol,
                    "RuleAction": "allow" if allow else "deny",
                    "Egress": egress,
                    "CidrBlock": dice.choice(cidrs[:3] if last and allow else cidrs),
                }
                if protocol in ("6", "17"):
                    low, high = self._replies() if not request else (0, 65535) if last else self._ports()
                    entry["PortRange"] = {"From": low, "To": high}
                elif protocol == "1":
                    entry["IcmpTypeCode"] = {"Type": -1, "Code": -1}
                self._ec2.create_network_acl_entry(NetworkAclId=acl, **entry)
                made.said.append(f"{acl} of {own} {entry}")
        found = self._ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
        current = next(a for one in found["NetworkAcls"] for a in one["Associations"] if a["SubnetId"] == subnet)
        self._ec2.replace_network_acl_association(AssociationId=current["NetworkAclAssociationId"], NetworkAclId=acl)

    def _replies(self) -> tuple[int, int]:
        return self._dice.choice(
            (
                _EPHEMERAL,
                _EPHEMERAL,
                _EPHEMERAL,
                (0, 65535),
                (32768, 65535),
                (32768, 60999),
                (49152, 65535),
                (1024, 32767),
            )
        )

    def _interface(self, subnet: str, address: str, more: Sequence[str], groups: Sequence[str]) -> None:
        self._ec2.create_network_interface(
            SubnetId=subnet, PrivateIpAddress=address, Groups=list(groups), Description=_NAME
        )
        if more:
            found = self._ec2.describe_network_interfaces(
                Filters=[{"Name": "addresses.private-ip-address", "Values": [address]}]
            )["NetworkInterfaces"]
            interface = next(i["NetworkInterfaceId"] for i in found if i["PrivateIpAddress"] == address)
            self._ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=list(more))

    def marker(self) -> str:
        """A group made after everything else: a packet filter that knows it knows all that came before."""
        return self._group(int(time.time()), "marker")

    # --- the end -----------------------------------------------------------------------------------------------------

    def remove(self) -> None:
        """Everything of this and of an earlier run that was killed."""
        ec2 = self._ec2
        for interface in ec2.describe_network_interfaces()["NetworkInterfaces"]:
            if interface["Description"] == _NAME:
                ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
        tagged = [{"Name": f"tag:{_TAG}", "Values": ["1"]}]
        acls = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [self._vpc]}])["NetworkAcls"]
        default = next(acl["NetworkAclId"] for acl in acls if acl["IsDefault"])
        for acl in acls:
            if not any(tag["Key"] == _TAG for tag in acl["Tags"]):
                continue
            for association in acl["Associations"]:
                ec2.replace_network_acl_association(
                    AssociationId=association["NetworkAclAssociationId"], NetworkAclId=default
                )
            ec2.delete_network_acl(NetworkAclId=acl["NetworkAclId"])
        for subnet in ec2.describe_subnets(Filters=tagged)["Subnets"]:
            ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        mine = [g for g in ec2.describe_security_groups()["SecurityGroups"] if g["Description"] == _NAME]
        for group in mine:  # Groups name each other.
            for side, revoke in (
                ("IpPermissions", ec2.revoke_security_group_ingress),
                ("IpPermissionsEgress", ec2.revoke_security_group_egress),
            ):
                if group[side]:
                    with suppress(ClientError):
                        revoke(GroupId=group["GroupId"], IpPermissions=group[side])
        for group in mine:
            ec2.delete_security_group(GroupId=group["GroupId"])
        for prefix_list in ec2.describe_managed_prefix_lists()["PrefixLists"]:
            if prefix_list["PrefixListName"] == _NAME:
                ec2.delete_managed_prefix_list(PrefixListId=prefix_list["PrefixListId"])


@contextmanager
def addresses(sets: Sequence[RuleSet]) -> Iterator[None]:
    """The sets' addresses as real ones: sources where load balancers have theirs, targets on a node."""
    vpc = topology.NETNS_VPC
    ends = [(one.source, topology.NETNS_ELB, "elb") for one in sets]
    ends += [(target, _HOST_NODE.netns, _HOST_NODE.name) for one in sets for target in one.targets]
    try:
        for address, space, link in ends:
            netns.ip("addr", "add", f"{address}/32", "dev", "eth0", netns=space)
            netns.ip("route", "replace", f"{address}/32", "dev", link, netns=vpc)
        yield
    finally:
        for address, space, _ in ends:
            netns.ip("route", "del", f"{address}/32", netns=vpc)
            netns.ip("addr", "del", f"{address}/32", "dev", "eth0", netns=space)
