"""What the network evaluator says is missing, as changes that `--fix` can make in EC2. Pure.

A rule admits the one source and the one port range that are missing, and nothing else.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import AwsWrite, Change
from kubectl_lbdoctor.network import acls, path, security_groups
from kubectl_lbdoctor.network.acls import AclRemedy
from kubectl_lbdoctor.network.matching import PortRange
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy

CONTROLLER_RULE = "elbv2.k8s.aws/targetGroupBinding=shared"
"""How the controller marks the rules that it keeps (pkg/targetgroupbinding/networking_manager.go in
https://github.com/kubernetes-sigs/aws-load-balancer-controller): one that carries it is its own again."""
OWN_RULE = "added by kubectl lbdoctor"


def change_of(remedy: path.Remedy | None, region: str, managed: bool = False) -> Change | None:
    """The change that adds what is missing; None where it takes a decision first (a route, an ACL without room).

    managed: the controller keeps this rule, and would write it itself at its next reconciliation.
    """
    if isinstance(remedy, GroupRemedy):
        return _rule(remedy, region, managed)
    if isinstance(remedy, AclRemedy) and remedy.number is not None:
        return _entry(remedy, remedy.number, region)
    return None


def _rule(remedy: GroupRemedy, region: str, managed: bool) -> Change:
    said = CONTROLLER_RULE if managed else OWN_RULE
    if remedy.peer.startswith("sg-"):
        source: dict[str, object] = {"UserIdGroupPairs": [{"GroupId": remedy.peer, "Description": said}]}
    elif ":" in remedy.peer:
        source = {"Ipv6Ranges": [{"CidrIpv6": remedy.peer, "Description": said}]}
    else:
        source = {"IpRanges": [{"CidrIp": remedy.peer, "Description": said}]}
    ports: dict[str, object] = {"FromPort": remedy.ports.first, "ToPort": remedy.ports.last}
    params = {
        "GroupId": remedy.group_id,
        "IpPermissions": [{"IpProtocol": remedy.protocol, **ports, **source}],
    }
    inbound = remedy.direction is Direction.INGRESS
    kind = "Ingress" if inbound else "Egress"
    return Change(
        ObjectRef("SecurityGroup", "", remedy.group_id),
        field="inbound rules" if inbound else "outbound rules",
        now="no such rule",
        then=f"{remedy.protocol} {remedy.ports} {'from' if inbound else 'to'} {remedy.peer}",
        risk=f"{'admits' if inbound else 'lets out to'} {remedy.peer} on {remedy.ports} only",
        aws=AwsWrite(
            f"AuthorizeSecurityGroup{kind}",
            params,
            security_groups.command(remedy, region),
            security_groups.command(remedy, region, "revoke"),
        ),
    )


def _entry(remedy: AclRemedy, number: int, region: str) -> Change:
    entry = remedy.entry(number)
    key = {"NetworkAclId": remedy.acl_id, "Egress": remedy.egress, "RuleNumber": number}
    cidr = {"Ipv6CidrBlock" if ":" in remedy.cidr else "CidrBlock": remedy.cidr}
    return Change(
        ObjectRef("NetworkAcl", "", remedy.acl_id),
        field="outbound entries" if remedy.egress else "inbound entries",
        now=f"entry {remedy.before} denies" if remedy.before < 32767 else "no entry allows",
        then=f"{number}: allow tcp {remedy.ports} {'to' if remedy.egress else 'from'} {remedy.cidr}",
        risk=f"opens {remedy.ports} for {remedy.cidr} on every subnet of this ACL",
        aws=AwsWrite(
            "CreateNetworkAclEntry",
            {
                **key,
                **cidr,
                "Protocol": entry.protocol,
                "RuleAction": "allow",
                "PortRange": {"From": remedy.ports.first, "To": remedy.ports.last},
            },
            acls.command(remedy, region),
            acls.undo_command(remedy, number, region),
        ),
    )


# --- Changes that come from elsewhere ---------------------------------------------------------------------------------

_PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "-1")
_GROUP_ID = re.compile(r"sg-[0-9A-Za-z-]{1,64}")
_ACL_ID = re.compile(r"acl-[0-9A-Za-z-]{1,64}")


def change_by(operation: str, params: Mapping[str, Any], region: str) -> Change | None:
    """The change that makes this call, as `change_of` would give it; None where that makes no such call.

    The call is taken apart and made anew: what is not exactly what a fix asks of EC2 does not come through.
    """
    made: Change | None = None
    with suppress(KeyError, IndexError, TypeError, ValueError):
        if operation == "CreateNetworkAclEntry":
            made = _entry_by(params, region)
        elif operation in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"):
            made = _rule_by(operation, params, region)
    if made is None or made.aws is None:
        return None
    return made if made.aws.operation == operation and _exactly(made.aws.params, params) else None


def _rule_by(operation: str, params: Mapping[str, Any], region: str) -> Change | None:
    (rule,) = params["IpPermissions"]
    keys = (("UserIdGroupPairs", "GroupId"), ("Ipv6Ranges", "CidrIpv6"), ("IpRanges", "CidrIp"))
    ((key, of),) = [(key, of) for key, of in keys if key in rule]
    (source,) = rule[key]
    peer = source[of]
    if key == "UserIdGroupPairs":
        good = _GROUP_ID.fullmatch(peer) is not None
    else:
        good = str(ipaddress.ip_network(peer, strict=False).with_prefixlen) == peer
    ports = _ports(rule["FromPort"], rule["ToPort"])
    good = good and _GROUP_ID.fullmatch(params["GroupId"]) is not None and rule["IpProtocol"] in _PROTOCOLS
    if not good or ports is None or source["Description"] not in (CONTROLLER_RULE, OWN_RULE):
        return None
    direction = Direction.INGRESS if operation.endswith("Ingress") else Direction.EGRESS
    remedy = GroupRemedy(params["GroupId"], direction, rule["IpProtocol"], ports, peer)
    return change_of(remedy, region, managed=source["Description"] == CONTROLLER_RULE)


def _entry_by(params: Mapping[str, Any], region: str) -> Change | None:
    cidr = params["Ipv6CidrBlock" if "Ipv6CidrBlock" in params else "CidrBlock"]
    number, ports = params["RuleNumber"], _ports(params["PortRange"]["From"], params["PortRange"]["To"])
    good = str(ipaddress.ip_network(cidr, strict=False).with_prefixlen) == cidr
    good = good and _ACL_ID.fullmatch(params["NetworkAclId"]) is not None and params["Protocol"] in ("6", "17")
    good = good and type(params["Egress"]) is bool
    # Entry numbers of people's own are 1 to 32766:
    # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAclEntry.html
    if not good or ports is None or type(number) is not int or not 1 <= number <= 32766:
        return None
    remedy = AclRemedy(params["NetworkAclId"], params["Egress"], number, number, params["Protocol"], cidr, ports)
    change = change_of(remedy, region)
    return replace(change, now="no such entry") if change is not None else None


def _ports(first: object, last: object) -> PortRange | None:
    if type(first) is not int or type(last) is not int or not -1 <= first <= last <= 65535:
        return None
    return PortRange(first, last)


def _exactly(made: object, given: object) -> bool:
    """Whether two values are the same, types included."""
    if isinstance(made, Mapping) and isinstance(given, Mapping):
        return made.keys() == given.keys() and all(_exactly(made[key], given[key]) for key in made)
    if isinstance(made, list) and isinstance(given, list):
        return len(made) == len(given) and all(map(_exactly, made, given))
    return type(made) is type(given) and made == given
