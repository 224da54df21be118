"""Error texts about the network and the targets: security groups, subnets, registration, backends, bindings.

Each block names the file of aws-load-balancer-controller v2.17.1 (or the other source) that the texts come from; see
`error_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.knowledge.error_rules import ErrorPattern, ParamValue, rule

__all__ = ["TARGET_RULES"]


def _text(params: Mapping[str, ParamValue], name: str, default: str = "") -> str:
    value = params.get(name, default)
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _tagged_groups(params: Mapping[str, ParamValue]) -> str:
    groups, where = _text(params, "security_groups"), _text(params, "eni") or _text(params, "instance")
    tag = _text(params, "tag") or "kubernetes.io/cluster/<cluster name>"
    if params.get("extra_tags"):
        tag += f" and {_text(params, 'extra_tags')}"
    if not groups and params.get("eni"):
        return f"No security group of {where} has the tag {tag}; exactly one must."
    return f"Several security groups of {where} have the tag {tag}; exactly one may."


def _outside_address(params: Mapping[str, ParamValue]) -> str:
    which = f"Pod address {params['address']}" if params.get("address") else "A pod address"
    return f"{which} is in no subnet of the target group's VPC, so it cannot be registered without a zone."


def _discovery(params: Mapping[str, ParamValue]) -> str:
    causes = [
        (params.get("other_clusters", 0), "are tagged for another cluster", "is tagged for another cluster"),
        (params.get("low_addresses", 0), "have fewer than 8 free addresses", "has fewer than 8 free addresses"),
        (params.get("without_ipv6", 0), "have no IPv6 block", "has no IPv6 block"),
    ]
    if not params.get("evaluated"):
        return "None of the VPC has the scheme's role tag or its routes."
    named = [f"{count} {one if count == 1 else several}" for count, several, one in causes if count]
    return f"Of {params['evaluated']} candidate subnets {' and '.join(named) or 'none can be used'}."


TARGET_RULES: tuple[ErrorPattern, ...] = (
    # pkg/error/errors.go: no fault, the next attempt is already scheduled
    rule(
        "",
        r"requeue needed(?: after (?P<after>[\w.]+))?: (?P<waiting_for>.+)",
        "The controller is waiting and will try again: {waiting_for}.",
        retryable=True,
    ),
    # aws-sdk-go-v2, aws/ratelimit: attempts that failed have used up what may be tried again, as where AWS throttles
    # (https://github.com/treeverse/lakeFS/issues/6621)
    rule(
        "",
        r"failed to get rate limit token, retry quota exceeded",
        "AWS throttles the controller, or does not answer.",
        retryable=True,
    ),
    rule("", r"^(?:.*: )?context canceled$", "The controller was stopped in the middle of this work.", retryable=True),
    # pkg/networking/networking_manager.go resolveEndpointSGForENI; "expect" before 2.7; cloud-provider-aws
    # findSecurityGroupForInstance
    rule(
        "LBD505",
        r"expect(?:ed)? exactly one securityGroup tagged with (?P<tag>\S+)(?: and map\[(?P<extra_tags>[^\]]*)\])? for "
        r"eni (?P<eni>eni-\w+), "
        r"got: \[(?P<security_groups>[^\]]*)\](?: \(clusterName: (?P<cluster>[^)]*)\))?",
        _tagged_groups,
    ),
    rule(
        "LBD505",
        r"Multiple tagged security groups found for instance (?P<instance>i-\w+); ensure only the k8s security group "
        r"is tagged"
        r"(?:; the tagged groups were (?P<security_groups>[^;]*))?",
        _tagged_groups,
    ),
    # pkg/networking/subnet_resolver.go chooseAndValidateSubnetsPerAZ (≥ 2.13); the third count from 3.x
    rule(
        "LBD512",
        r"Evaluated (?P<evaluated>\d+) subnets: (?P<other_clusters>0) are tagged for other clusters, and "
        r"(?P<low_addresses>[1-9]\d*) have insufficient available IP addresses"
        r"(?:, and (?P<without_ipv6>0) don't have an associated IPv6 CIDR block)?(?!, and [1-9])",
        _discovery,
    ),
    rule(
        "LBD511",
        r"Evaluated (?P<evaluated>\d+) subnets: (?P<other_clusters>\d+) are tagged for other clusters, and "
        r"(?P<low_addresses>\d+) have insufficient available IP addresses"
        r"(?:, and (?P<without_ipv6>\d+) don't have an associated IPv6 CIDR block)?",
        _discovery,
    ),
    rule(
        "LBD511",
        r"unable to (?:resolve|discover) at least one subnet(?: \((?P<detail>[^)]*)\))?",
        "No usable subnet was found for the load balancer.",
    ),
    rule(
        "LBD511",
        r"could not find any suitable subnets for creating the ELB",
        "The in-tree provider found no subnet with the cluster and role tags for this scheme.",
    ),
    rule(
        "LBD511",
        r"subnets count less than minimal required count: (?P<found_count>\d+) < (?P<minimum>\d+)",
        "Only {found_count} of the {minimum} Availability Zones that this load balancer needs has a usable subnet.",
    ),
    rule(
        "LBD511",
        r"multiple subnets in same Availability Zone (?P<zone>\S+): \[(?P<subnets>[^\]]*)\]",
        "Several subnets of zone {zone} are named, one per zone is allowed: {subnets}.",
    ),
    rule(
        "LBD511", r"subnets in multiple locales: \[?(?P<locales>[^\]]*)", "The subnets mix kinds of zones: {locales}."
    ),
    rule(
        "LBD511",
        r"couldn't find all subnets, want: \[(?P<requested>[^\]]*)\], found: \[(?P<found>[^\]]*)\]",
        "Of the subnets {requested} only these exist: {found}.",
    ),
    rule(
        "LBD511",
        r"couldn't find all subnets, missing names: \[?(?P<missing_subnets>[^\]]*)",
        "No subnet has the name {missing_subnets}.",
    ),
    rule("LBD511", r"subnet with Name tag not found: (?P<subnet_name>\S+)", "No subnet has the name {subnet_name}."),
    rule(
        "LBD511",
        r"InvalidSubnetID\.NotFound: [^']*'(?P<subnet>subnet-\w+)' does not",
        "Subnet {subnet} does not exist.",
    ),
    rule("LBD511", r"subnet ID not found: (?P<subnet>\S+)", "Subnet {subnet} does not exist."),
    rule(
        "LBD511",
        r"subnets? \[?(?P<subnets>subnet-[^\]]*)\]? do(?:es)? not have an associated IPv6 CIDR block",
        "No IPv6 range on {subnets}.",
    ),
    rule(
        "LBD511",
        r"conflicting subnet specifications|conflicting IngressClassParams subnet specifications",
        "The subnets are given both by IngressClassParams and by annotation.",
    ),
    rule(
        "LBD511",
        r"conflicting subnets: (?P<detail>.+)",
        "Members of the IngressGroup name different subnets: {detail}.",
    ),
    rule(
        "LBD511",
        r"could not identify main route table for vpc: (?P<vpc>\S+)",
        "The main route table of {vpc} cannot be found, so public subnets cannot be told apart.",
    ),
    rule("LBD511", r"failed to list subnets? by (?P<how>[\w ]+?):", "The subnets could not be listed by {how}."),
    # ELB's own subnet checks (issues #1233, #1333; kasmtech/terraform#5)
    rule(
        "LBD512",
        r"Not enough IP space available in (?P<subnet>subnet-\w+)",
        "Subnet {subnet} has fewer than the 8 free addresses that ELB needs.",
    ),
    rule(
        "LBD510",
        r"(?P<vpc>vpc-\w+) has no internet gateway",
        "{vpc} has no internet gateway, which an internet-facing load balancer needs.",
    ),
    rule(
        "LBD511",
        r"cannot be attached to multiple subnets in the same Availability Zone",
        "Several subnets of one zone are named, one per zone is allowed.",
    ),
    rule(
        "LBD511",
        r"At least two subnets in two different Availability Zones must be specified",
        "An ALB needs subnets in two Availability Zones.",
    ),
    # health check limits of ELB (#2951, #1754, #4052, #4561)
    rule(
        "LBD310",
        r"[Hh]ealth check interval must be greater than the timeout|[Hh]ealth check timeout[^.]*(?:smaller|less|"
        r"lower) than[^.]*interval|interval[^.]{0,40}(?:greater|larger|longer) than[^.]{0,20}timeout",
        "The health check interval must be longer than its timeout.",
    ),
    rule(
        "LBD128",
        r"Health check port (?:'?(?P<value>0)'?) must be within",
        "It asks for health check port 0 (as v3.0.0 does).",
    ),
    rule(
        "LBD111",
        r"Health check matcher (?P<protocol>GRPC|HTTP) codes? '(?P<value>[^']*)' must be within '(?P<allowed>[^']*)'",
        "Success code {value} is not a {protocol} code of {allowed}.",
    ),
    rule(
        "LBD111",
        r"Value '(?P<value>[^']*)' at '(?P<field>[^']*)' failed to satisfy constraint: (?P<constraint>.+)",
        "AWS rejects the value {value} of {field}: {constraint}.",
    ),
    # RegisterTargets and ip targets (#783, #561, #3084, #3714); resource_manager.go isAZValidationError
    rule(
        "LBD219",
        r"IP address '(?P<address>[^']+)' is outside the VPC|Availability Zone is required for IP address "
        r"'(?P<address2>[^']+)' because it is not in the VPC|you must specify an Availability Zone|"
        r"Availability Zone for IP address '(?P<address3>[^']+)' must be 'all'",
        _outside_address,
    ),
    rule(
        "LBD219",
        r"IP address '(?P<address>[^']+)' is within the VPC, and cannot have its Availability Zone overridden to 'all'",
        "{address} belongs to the target group's VPC, but the controller took it for an outside address (a CIDR of "
        "the VPC it does not know).",
    ),
    rule(
        "LBD219",
        r"(?:Targets \{(?P<instances>[^}]*)\}|target) (?:are|is) not supported",
        "These instances cannot be targets of this target group: {instances}.",
    ),
    # #3692: instance targets of IPv6 need a primary IPv6 address on the instance's interface
    rule(
        "LBD219",
        r"cannot be used with this IPv6 target group because of missing (?P<lacking>primary IPv6 addresses): "
        r"(?P<instances>.+)",
        "Instances have no primary IPv6 address: {instances}.",
    ),
    rule(
        "LBD219",
        r"The instance IDs? '(?P<instances>[^']*)' do(?:es)? not exist|The following targets are not in a running "
        r"state[^:]*: (?P<stopped>.+)",
        "These instances do not exist in the controller's region and account: {instances}.",
    ),
    rule(
        "LBD219",
        r"Instance ID '(?P<instances>[^']*)' is not valid",
        "{instances} was registered in a target group of type instance, but is no instance id.",
    ),
    rule(
        "LBD219",
        r"IP address '(?P<instances>i-[0-9a-f]+)' is not a valid IPv[46] address",
        "{instances} was registered in a target group of type ip, but is no address.",
    ),
    # pkg/backend/endpoint_resolver.go, pkg/k8s/service_utils.go, enhanced_backend_builder.go; the API server says
    # services "x", the cache Service "x"
    rule(
        "LBD115",
        r"backend not found: unable to find port (?P<port>\S+) on service (?P<service>\S+)",
        "The binding refers to port {port}, which Service {service} does not have; all targets are deregistered.",
    ),
    rule(
        "LBD115",
        r"backend not found: (?:[Ss]ervices?|Endpoints|endpoints) \"(?P<service>[^\"]+)\" not found",
        "The binding refers to Service {service}, which does not exist; all targets are deregistered.",
    ),
    rule(
        "LBD107",
        r"unable to find port (?P<port>\S+) on service (?P<service>\S+)",
        "Service {service} has no port {port}.",
    ),
    rule(
        "LBD203",
        r"unable to find port (?P<port>\S+) on pod (?P<pod>\S+)",
        "Pod {pod} declares no container port {port}.",
    ),
    rule("LBD106", r"\b[Ss]ervices? \"(?P<service>[^\"]+)\" not found", "Service {service} does not exist."),
    rule(
        "LBD108",
        r"missing actions\.(?P<action>\S+) configuration",
        "The annotation actions.{action} that the backend refers to does not exist.",
    ),
    rule(
        "LBD103",
        r"\b[Ss]ecrets? \"(?P<secret>[^\"]+)\" not found|missing client(?:ID|Secret), secret: (?P<secret2>\S+)",
        "Secret {secret} of the OIDC login is missing or incomplete.",
    ),
    # model_build_target_group.go (ingress, service), endpoint_resolver.go
    rule(
        "LBD204",
        r"TargetGroup port is empty",
        "The Service has no port that this kind of target group can use; instance targets need type NodePort or "
        "LoadBalancer.",
    ),
    rule(
        "LBD204",
        r"unable to support instance target type with an unallocated NodePort",
        "allocateLoadBalancerNodePorts is false, and instance targets need a NodePort.",
    ),
    rule(
        "LBD204",
        r"unsupported service type \"(?P<service_type>\w+)\" for load balancer target type \"(?P<target_type>\w+)\"",
        "A Service of type {service_type} cannot have {target_type} targets.",
    ),
    rule(
        "LBD204",
        r"service type must be either 'NodePort' or 'LoadBalancer': (?P<service>\S+)",
        "Service {service} has no NodePort, which instance targets need.",
    ),
    rule(
        "LBD226",
        r"unsupported IPv6 configuration, lb not dual-stack",
        "The Service is IPv6 and the load balancer is not dualstack.",
    ),
    rule(
        "LBD103",
        r"cannot use named healthCheckPort for IP TargetType",
        "The health check port and the Service's targetPort are both names; with ip targets the health check port "
        "must be a number.",
    ),
    rule(
        "LBD103",
        r"unsupported targetType: (?P<value>\S+) when EnableIPTargetType is",
        "Target type {value} is switched off by the feature gate EnableIPTargetType.",
    ),
    # webhooks/elbv2/targetgroupbinding_{validator,mutator}.go, shared_utils/target_group_arn_mapper.go
    rule(
        "LBD114",
        r"TargetGroup (?P<target_group>\S+) is already bound to following TargetGroupBindings \[?(?P<bindings>[^\].]*)",
        "Target group {target_group} is already bound by {bindings}.",
    ),
    rule(
        "LBD113",
        r"expecting a single targetGroup with query \[(?P<target_group>[^\]]*)\] but got (?P<found_count>\d+)",
        "{found_count} target groups are named {target_group}, exactly one is needed.",
    ),
    rule(
        "LBD113",
        r"no target group found for the arn: (?P<target_group>\S+)|'(?P<target_group2>[^']*)' is not a valid target "
        r"group ARN",
        "The target group does not exist.",
    ),
    rule(
        "LBD109",
        r"TargetGroup (?P<target_group>\S+) protocol differs \(got (?P<value>\w+), expected (?P<allowed>\w+)\)",
        "The binding says protocol {value}, the target group has {allowed}.",
    ),
    rule(
        "LBD109",
        r"invalid VpcID (?P<vpc>\S+) doesnt match VpcID from TargetGroup|vpcID (?P<vpc2>\S+) failed to satisfy "
        r"constraint",
        "The binding's vpcID {vpc} is not that of the target group.",
    ),
    rule(
        "LBD213",
        r"invalid IP address type (?P<value>\S+) for TargetGroup (?P<target_group>\S+)",
        "The binding's address family does not fit target group {target_group} ({value}).",
    ),
    rule(
        "LBD109",
        r"(?:TargetGroupBinding must specify these fields: |must provide either )(?P<fields>.+)",
        "The TargetGroupBinding lacks {fields}.",
    ),
    rule(
        "LBD109",
        r"TargetGroupBinding update may not change these immutable fields: (?P<fields>.+)",
        "The TargetGroupBinding's {fields} cannot be changed; delete it and create it again.",
    ),
    rule(
        "LBD109",
        r"cannot set NodeSelector when TargetType is ip|couldn't determine TargetType|unable to get target group "
        r"(?:VpcID|IP address type)|targetType is not specified|unsupported (?:TargetType|IPAddressType): |QUIC "
        r"protocol is not supported for Instance|use "
        r"instance target type while using assume role",
        "The TargetGroupBinding's settings are not accepted: {said}.",
    ),
    # pkg/k8s/node_utils.go, pkg/networking/*_eni_info_resolver.go, security_group_manager.go
    rule(
        "LBD109",
        r"providerID is not specified for node: (?P<node>\S+)|providerID (?P<provider_id>\S+) is invalid for (?:EC2|"
        r"EKS hybrid) instances, node: (?P<node2>\S+)",
        "Node {node} has no EC2 providerID, so no instance target of the binding can be registered.",
    ),
    rule(
        "LBD109",
        r"cannot resolve pod ENI for pods: \[(?P<pods>[^\]]*)\]",
        "No network interface was found for these pods, so their security groups cannot be opened: {pods}.",
        retryable=True,
    ),
    rule(
        "LBD109",
        r"cannot resolve node ENI for nodes: \[(?P<nodes>[^\]]*)\]|\[this should never happen\] no primary ENI found",
        "No primary network interface was found for these nodes: {nodes}.",
    ),
    rule("LBD109", r"pod (?P<pod>\S+) has no node assigned", "Pod {pod} has no node yet.", retryable=True),
)
