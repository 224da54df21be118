"""The error texts of the AWS Load Balancer Controller, of the APIs behind it and of the in-tree provider, each with
its cause.

Why this exists: the controller reports by prose. This table is the only place that knows the prose;
`controller_errors.decode` applies it. A rule is a regular expression over one error text, the LBD code of the cause,
and a sentence in our words; its named groups become parameters. Rules are tried in order, the first match wins, so a
narrow text stands before a wide one.

Sources: the file named in the comment above each block, at v2.17.1 of the controller
(https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/v2.17.1); texts of other releases from their tags,
texts of AWS from its API references and from issues of that repository. A code of "" means: recognised, but the stage
decides (FailedBuildModel → LBD103, FailedDeployModel → LBD104, binding → LBD109).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from kubectl_lbdoctor.record import record

__all__ = ["API_CODES", "ErrorPattern", "ParamValue", "extract", "rule"]

ParamValue = str | int | tuple[str, ...]
Summary = str | Callable[[Mapping[str, ParamValue]], str]

LIST_PARAMS = frozenset(
    {
        "found",
        "instances",
        "members",
        "missing_subnets",
        "nodes",
        "pods",
        "requested",
        "security_groups",
        "subnets",
        "bindings",
        "ports",
    }
)
"""Named groups that hold Go's `[a b c]` or a comma list: they become tuples."""

INT_PARAMS = frozenset(
    {"addresses", "evaluated", "found_count", "limit", "low_addresses", "minimum", "other_clusters", "without_ipv6"}
)


@record
class ErrorPattern:
    """One recognised text: the LBD code ("" = the stage decides), the pattern, our sentence, and whether waiting alone
    may cure it. The sentence may use the parameters and `{said}`, the clause of the error that matched."""

    code: str
    pattern: str
    summary: Summary
    retryable: bool = False

    def search(self, text: str) -> re.Match[str] | None:
        """Where the text matches. `re` compiles the pattern when it is first needed, and keeps it: most runs meet no
        error text."""
        return re.search(self.pattern, text)


def extract(match: re.Match[str]) -> dict[str, ParamValue]:
    """The named groups that took part, converted by name: lists to tuples, counts to int."""
    params: dict[str, ParamValue] = {}
    for group, value in match.groupdict().items():
        if value is None:
            continue
        name = group.rstrip("23")  # each alternative of a pattern needs its own group name
        if name in LIST_PARAMS:
            params[name] = tuple(re.findall(r"[^\s,|{}\[\]']+", value))
        elif name in INT_PARAMS:
            params[name] = int(value[:18])
        elif value:
            params[name] = value.strip()
    return params


def rule(code: str, pattern: str, summary: Summary, *, retryable: bool = False) -> ErrorPattern:
    """A row of the table."""
    return ErrorPattern(code, pattern, summary, retryable)


API_CODES: Mapping[str, tuple[str, str]] = {
    "TargetGroupNotFound": ("LBD113", "The target group does not exist (any more)."),
    "InvalidTarget": ("LBD219", "AWS does not accept a target for this target group."),
    "InvalidInstanceID.NotFound": ("LBD219", "An instance does not exist in the controller's region and account."),
    "InvalidInstanceID.Malformed": ("LBD219", "A node's providerID holds no instance id."),
    "TooManyTargets": ("LBD216", "The quota of targets is reached."),
    "TooManyRegistrationsForTargetId": (
        "LBD216",
        "One target is registered too often (quota of registrations per target).",
    ),
    "TargetGroupAssociationLimit": ("LBD216", "The target group cannot be associated with another load balancer."),
    "TooManyUniqueTargetGroupsPerLoadBalancer": ("LBD216", "The load balancer has reached its quota of target groups."),
    "TooManyTargetGroups": ("LBD216", "The region's quota of target groups is reached."),
    "TooManyLoadBalancers": ("LBD216", "The region's quota of load balancers is reached."),
    "TooManyListeners": ("LBD216", "The load balancer has reached its quota of listeners."),
    "TooManyRules": ("LBD216", "The load balancer has reached its quota of rules."),
    "TooManyActions": ("LBD216", "A rule has more actions than the quota allows."),
    "TooManyCertificates": ("LBD216", "The load balancer has reached its quota of certificates."),
    "TooManyTags": ("LBD216", "A resource has more tags than AWS allows."),
    "SecurityGroupLimitExceeded": ("LBD216", "The VPC's quota of security groups is reached."),
    "SecurityGroupsPerInterfaceLimitExceeded": (
        "LBD216",
        "The quota of security groups per network interface is reached.",
    ),
    "RulesPerSecurityGroupLimitExceeded": ("LBD506", "The security group has reached its quota of rules."),
    "InvalidSubnet": ("LBD511", "AWS does not accept a subnet for the load balancer."),
    "SubnetNotFound": ("LBD511", "A subnet does not exist."),
    "InvalidSubnetID.NotFound": ("LBD511", "A subnet does not exist."),
    "AvailabilityZoneNotSupported": ("LBD511", "The load balancer cannot be placed in a subnet's Availability Zone."),
    "InvalidVpcID.NotFound": (
        "LBD122",
        "The controller's VPC does not exist in its region and account.",
    ),
    "CertificateNotFound": ("", "The certificate is not in this region."),
    "UnsupportedCertificate": ("", "ELB does not accept a certificate (key type or size)."),
    "InvalidGroup.NotFound": ("", "A security group does not exist."),
    "InvalidSecurityGroup": ("", "A security group is missing, or of another VPC."),
    "AllocationIdNotFound": ("", "An elastic IP allocation does not exist."),
    "OperationNotPermitted": ("", "AWS does not permit this operation."),
    "DuplicateLoadBalancerName": ("", "Another load balancer has this name."),
    "DuplicateTargetGroupName": ("", "Another target group has this name."),
    "ResourceInUse": ("", "What should be deleted is still in use."),
    "DependencyViolation": ("", "What should be deleted is still in use."),
    "InvalidConfigurationRequest": ("", "AWS rejects the configuration."),
    "WAFNonexistentItemException": ("", "The WAF web ACL does not exist in this region."),
    "WAFUnavailableEntityException": ("", "WAF does not know the new load balancer yet."),
    "InvalidGroup.Duplicate": ("", "A security group has the name that it would give."),
    "IncompatibleProtocols": ("", "The protocols of listener and target group do not fit."),
    "UnsupportedProtocol": ("", "The protocol is not supported."),
    "HealthUnavailable": ("", "AWS could not tell the targets' health just now."),
    "SSLPolicyNotFound": ("", "The SSL policy does not exist."),
    "ALPNPolicyNotFound": ("", "The ALPN policy does not exist."),
    "TrustStoreNotFound": ("", "The trust store does not exist."),
    "TrustStoreNotReady": ("", "The trust store is not active yet."),
    "InvalidScheme": ("", "The scheme is not valid for this load balancer."),
    "InvalidLoadBalancerAction": ("", "An action of a listener or rule is not valid."),
    "LoadBalancerNotFound": ("", "The load balancer does not exist (any more)."),
    "ListenerNotFound": ("", "The listener does not exist (any more)."),
    "RuleNotFound": ("", "The listener rule does not exist (any more)."),
    "DuplicateListener": ("", "The load balancer has a listener on this port that is not the controller's."),
    "CapacityUnitsLimitExceeded": ("", "More capacity units are asked for than the quota allows."),
    "CapacityReservationPending": ("", "A capacity reservation of the load balancer is pending."),
    "InsufficientCapacity": ("", "AWS has no capacity to reserve."),
    "WAFAssociatedItemException": ("", "The load balancer or web ACL is associated otherwise."),
    "WAFLimitsExceededException": ("", "A quota of WAF is reached."),
    "WAFInvalidParameterException": ("", "WAF does not take the web ACL's ARN or a parameter."),
    "PriorityInUse": ("", "A listener rule of this priority already exists."),
}
"""AWS error code → (LBD code or "" for the stage's, what it means); botocore elbv2 model, EC2 error codes. Messages
are tried by RULES first."""
