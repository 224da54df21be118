"""What the network evaluator says is missing, as changes that `--fix` can make in EC2. Pure.

A rule admits the one source and the one port range that are missing, and nothing else.
"""

from __future__ import annotations

from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import AwsWrite, Change
from kubectl_lbdoctor.network import acls, path, security_groups
from kubectl_lbdoctor.network.acls import AclRemedy
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
            "ec2",
            f"AuthorizeSecurityGroup{kind}",
            params,
            f"RevokeSecurityGroup{kind}",
            params,
            security_groups.command(remedy, region),
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
            "ec2",
            "CreateNetworkAclEntry",
            {
                **key,
                **cidr,
                "Protocol": entry.protocol,
                "RuleAction": "allow",
                "PortRange": {"From": remedy.ports.first, "To": remedy.ports.last},
            },
            "DeleteNetworkAclEntry",
            key,
            acls.command(remedy, region),
        ),
    )
