"""Error texts about the model of a load balancer: certificates, class and group, annotations, quotas, deletion,
start-up.

Each block names the file of aws-load-balancer-controller v2.17.1 (or the other source) that the texts come from; see
`error_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubectl_lbdoctor.knowledge.error_rules import ErrorPattern, ParamValue, rule

__all__ = ["MODEL_RULES"]

_NSNAME = r"[a-z0-9](?:[\w.-]*\w)?/[a-z0-9](?:[\w.-]*\w)?"
_LB_ANNOTATION = "The value of an annotation is invalid: "

_ADDRESS_ANNOTATIONS = {
    "EIP allocations": "eip-allocations",
    "private IPv4 addresses": "private-ipv4-addresses",
    "IPv6 addresses": "ipv6-addresses",
}


def _addresses_for_subnets(params: Mapping[str, ParamValue]) -> str:
    key = _ADDRESS_ANNOTATIONS.get(str(params.get("annotation")), "")
    return f"{_LB_ANNOTATION}{key} has {params.get('addresses')}, and there are {params.get('found_count')} subnets."


def _members_disagree(params: Mapping[str, ParamValue]) -> str:
    """Go prints a set as `map[a:{} b:{}]`, and a list as `[a b]`; of two of them each is printed so."""
    values = re.sub(r"(?:map)?\[([^\[\]]*)\]", lambda m: m[1] or "nothing", str(params.get("values", "")))
    values = values.replace(":{}", "")
    said = values if "|" in values else ", ".join(values.split())
    return f"Members disagree on {params.get('setting')}: {said}."


MODEL_RULES: tuple[ErrorPattern, ...] = (
    # pkg/certs/cert_discovery.go, ELB
    rule(
        "LBD103",
        r"no certificate found for host: (?P<host>\S+)",
        "ACM has no issued certificate for {host}.",
    ),
    # pkg/gateway/model/model_build_listener.go
    rule(
        "LBD103",
        r"No hostnames found for TLS cert discovery for listener on gateway \S+ with protocol:port (?P<listener>\S+)",
        "Listener {listener} has no certificate: neither a hostname to look for in ACM, nor an entry for {listener} "
        "with a defaultCertificate in the listenerConfigurations of a LoadBalancerConfiguration.",
    ),
    # ingress class and group: class_loader.go, group_loader.go
    rule(
        "LBD101",
        r"invalid ingress class: IngressClassParams\.\S+ \"(?P<missing_parameters>[^\"]+)\" not found",
        "IngressClassParams {missing_parameters} does not exist.",
    ),
    rule(
        "LBD101",
        r"invalid ingress class: .*\"(?P<ingress_class>[^\"]+)\" not found",
        "IngressClass {ingress_class} does not exist.",
    ),
    rule(
        "LBD101",
        r"IngressClass (?P<class_of_unknown_parameters>\S+) references unknown parameters",
        "IngressClass {class_of_unknown_parameters} refers to parameters that are no IngressClassParams.",
    ),
    rule(
        "LBD101",
        r"namespaceSelector of IngressClassParams (?P<refusing_parameters>\S+) mismatch",
        "IngressClassParams {refusing_parameters} refuses the namespace.",
    ),
    rule("LBD101", r"multiple default IngressClasses found", "Several IngressClasses are marked as default."),
    rule(
        "LBD101",
        r"conflicting ingress class|invalid IngressClass configuration|invalid ingress class",
        "The Ingress's class settings contradict each other or name no class of the controller: {said}.",
    ),
    rule("LBD111", r"groupName must (?P<constraint>.+)", _LB_ANNOTATION + "group.name must {constraint}."),
    rule(
        "LBD111",
        r"explicit Ingress group order must be within \[(?P<allowed>[^\]]*)\], Ingress: (?P<ingress>[^,\s]+), order: "
        r"(?P<value>-?\d+)",
        _LB_ANNOTATION + "group.order {value} of {ingress} is outside {allowed}.",
    ),
    rule(
        "LBD111",
        r"failed to load Ingress group order for ingress: (?P<ingress>[^:\s]+)",
        _LB_ANNOTATION + "group.order of {ingress} is no number.",
    ),
    # pkg/ingress/model_builder.go mergeListenPortConfigs, model_build_load_balancer.go, model_build_tags.go …: the
    # group's members disagree
    rule(
        "LBD103",
        rf"conflicting (?P<setting>[\w-]+(?: Attributes)?), (?P<member>{_NSNAME}): (?P<value>.*?) \| "
        rf"(?P<other_member>{_NSNAME}): (?P<other_value>.+)",
        "{member} and {other_member} share a load balancer and disagree on {setting}: {value} against {other_value}.",
    ),
    rule(
        "LBD103",
        r"multiple ingress defined default backend: \[?(?P<members>[^\]]*)",
        "Several Ingresses of the group define a default backend: {members}.",
    ),
    rule(
        "LBD103",
        r"conflicting security groups configuration",
        "The NLB exists with (or without) security groups, and that cannot be changed; it must be created again.",
    ),
    rule(
        "LBD103",
        r"conflicting (?P<setting>tag|load balancer attributes|listener attributes|capacity reservation|"
        r"ipv4 ipam pools) (?P<key>\S+): (?P<values>.+)",
        "Members disagree on {setting} {key}: {values}.",
    ),
    rule(
        "LBD103",
        r"conflicting (?P<setting>[A-Za-z][\w -]{0,60}?): (?P<values>.+)",
        _members_disagree,
    ),
    rule(
        "LBD103",
        r"conflicting (?P<setting>[A-Za-z][\w -]{1,60})|all EIP allocations for the ingress group must be the same",
        "Members of the IngressGroup disagree: {said}.",
    ),
    rule(
        "LBD103",
        r"listener does not exist for SSLRedirect port: (?P<port>\d+)",
        "ssl-redirect names port {port}, on which there is no listener.",
    ),
    rule(
        "LBD103",
        r"listener protocol non-SSL for SSLRedirect port: (?P<port>\d+)",
        "ssl-redirect names port {port}, whose listener is not HTTPS.",
    ),
    # pkg/annotations/parser.go and the value checks of pkg/ingress, pkg/service
    rule(
        "LBD111",
        r"failed to parse (?P<type>bool|int64|int32|json|stringMap) annotation, (?P<annotation>[\w./-]+): "
        r"(?P<value>.*?)(?:: (?P<detail>(?:strconv|invalid character|json|unexpected|cannot|unknown|EOF).*))?$",
        _LB_ANNOTATION + "{annotation} = {value} is no {type}.",
    ),
    rule(
        "LBD111",
        r"cannot use empty value for (?P<annotation>\S+) annotation",
        _LB_ANNOTATION + "{annotation} is empty.",
    ),
    rule(
        "LBD111",
        r"(?:failed to parse|empty) (?P<annotation>listen-ports|mutualAuthentication) configuration(?: from ingress "
        r"annotation)?: `(?P<value>[^`]*)`",
        _LB_ANNOTATION + "{annotation} = {value}.",
    ),
    rule(
        "LBD111",
        r"listen (?P<annotation>port|protocol) must be within \[(?P<allowed>[^\]]*)\]: (?P<value>\S+)",
        _LB_ANNOTATION + "listen-ports has {annotation} {value}, allowed is {allowed}.",
    ),
    rule(
        "LBD111",
        r"(?P<annotation>backend protocol(?: version)?) must be within \[(?P<allowed>[^\]]*)\]: (?P<value>.+)",
        _LB_ANNOTATION + "{annotation} {value} is none of {allowed}.",
    ),
    rule(
        "LBD111",
        r"(?P<annotation>healthCheckProtocol) must be within \[(?P<allowed>[^\]]*)\]",
        _LB_ANNOTATION + "healthcheck-protocol must be one of {allowed}.",
    ),
    rule(
        "LBD111",
        r"[Uu]nsupported health check protocol:? (?P<value>.+)",
        _LB_ANNOTATION + "healthcheck-protocol {value} is not supported.",
    ),
    rule(
        "LBD111",
        r"invalid (?P<annotation>inbound-cidrs|source-ranges|load-balancer-source-ranges) settings on Ingress: "
        r"(?P<ingress>[^:\s]+): (?P<detail>.+)",
        _LB_ANNOTATION + "{annotation} of {ingress}: {detail}.",
    ),
    rule(
        "LBD111",
        r"invalid CIDR (?:address: |in IngressClassParams InboundCIDR )(?P<value>\S+)",
        _LB_ANNOTATION + "{value} is no CIDR block.",
    ),
    rule(
        "LBD111",
        r"failed to parse attribute (?P<annotation>[^=\s]+)=(?P<value>[^:\s]*)",
        _LB_ANNOTATION + "attribute {annotation} cannot be {value}.",
    ),
    rule(
        "LBD111",
        r"(?i)attribute key '(?P<annotation>[^']+)' is not (?:recognized|supported|valid)",
        "AWS knows no attribute {annotation} here.",
    ),
    rule(
        "LBD111",
        r"(?i)attribute value '?(?P<value>[^']*?)'? is not valid",
        _LB_ANNOTATION + "AWS rejects the attribute value {value}.",
    ),
    rule(
        "LBD111",
        r"invalid value (?P<value>.+?) for Load Balancer proxy protocol v2 annotation",
        _LB_ANNOTATION + "proxy-protocol {value}, only * is supported.",
    ),
    rule(
        "LBD111",
        r"Unused port in ssl-ports annotation \[?(?P<ports>[^\]]*)",
        _LB_ANNOTATION + "ssl-ports names ports that the Service does not have: {ports}.",
    ),
    rule(
        "LBD111",
        r"unknown (?P<annotation>scheme|IPAddressType|targetType|authType|action type|transform type|lbScheme): "
        r"(?P<value>.*)",
        _LB_ANNOTATION + "unknown {annotation} {value}.",
    ),
    rule(
        "LBD111",
        r"invalid (?P<annotation>ALPN policy|port number in proxy-protocol-per-target-group:|key to set the capacity:|"
        r"load balancer scheme)(?: (?P<value>[^\s,]+))?",
        _LB_ANNOTATION + "{said}.",
    ),
    rule(
        "LBD111",
        r"load balancer name cannot be longer than 32 characters",
        _LB_ANNOTATION + "the load balancer's name is longer than 32 characters.",
    ),
    rule(
        "LBD111",
        r"invalid (?P<part>TargetGroupTuple|FixedResponseConfig|RedirectConfig|ForwardConfig|\w+Config)\b|missing "
        r"(?P<part2>\w+Config|\w+ConfigCognito|\w+ConfigOIDC|servicePort|serviceName or targetGroupARN\S*)|"
        r"weight must be set when rout\w+ to multiple target groups|values (?:or regexValues )?(?:must be specified|"
        r"cannot be empty|must not be empty)|is a required field for|statusCode is required|[Vv]alues? cannot be empty|"
        r"rewrites cannot be empty|precisely one of \w+ and \w+ can be|either \S+ or \S+ can be specified|"
        r"condition must specify exactly one of|target group weight must be between|invalid \S+/conditions\.\S+ "
        r"annotation",
        _LB_ANNOTATION + "an actions, conditions, transforms or jwt-validation annotation is incomplete ({said}).",
    ),
    rule(
        "LBD111",
        r"(?P<annotation>EIP allocations|private IPv4 addresses|IPv6 addresses) (?P<constraint>(?:can only|must) .+)",
        _LB_ANNOTATION + "{annotation} {constraint}.",
    ),
    rule(
        "LBD111",
        r"count of (?P<annotation>EIP allocations|private IPv4 addresses|IPv6 addresses) \((?P<addresses>\d+)\) and "
        r"subnets \((?P<found_count>\d+)\) must match",
        _addresses_for_subnets,
    ),
    # ResourceInUse of CreateLoadBalancer and SetSubnets, in the words of AWS.
    rule(
        "",
        r"allocation IDs? (?:is|are) not available for use",
        "An elastic IP that is asked for is in use.",
    ),
    rule(
        "LBD111",
        r"[Mm]utual ?Authentication (?P<constraint>.+)|trustStore is required when|enable-prefix-for-ipv6-source-nat|"
        r"source-nat-ipv6-prefixes|advertiseTrustStoreCaNames",
        _LB_ANNOTATION + "{said}.",
    ),
    rule(
        "LBD103",
        r"(?P<path_type>exact|prefix) path shouldn't contain wildcards: (?P<path>\S+)",
        "Path {path} has a wildcard, which pathType {path_type} does not allow.",
    ),
    rule("LBD103", r"failed to resolve healthCheckPort", "The health check port cannot be resolved: {said}."),
    rule(
        "LBD111",
        r"set in annotation (?P<annotation>\S+): got '(?P<value>[^']*)' expected one of \[(?P<allowed>[^\]]*)\]",
        _LB_ANNOTATION + "{annotation} {value} is none of {allowed}.",
    ),
    rule(
        "LBD111",
        r"Invalid value for (?P<annotation>\w+) status: (?P<value>[^,\s]*)|unsupported v6 cidr (?P<value2>\S+) when|"
        r"invalid (?:NLB|ALB) listener port: (?P<value3>\S+)|expect one (?:private IPv4|IPv6) address configured for|"
        r"To enable prefix for source NAT|Subnet has invalid IPv6 CIDRs|no NLB listener port configurations provided",
        _LB_ANNOTATION + "{said}.",
    ),
    rule(
        "LBD103",
        r"un(?:supported|known) pathType|missing required \"service\" field|(?:can only merge two ports|for merging)",
        "The object asks for something that the controller does not support: {said}.",
    ),
    # other build errors
    rule(
        "LBD103",
        r"InvalidGroup\.NotFound: [^']*'(?:\{')?(?P<security_group>sg-\w+)",
        "Security group {security_group} does not exist.",
    ),
    rule(
        "LBD103",
        r"couldn't find all security groups: (?P<detail>.+)|requested (?:ids|names) \[(?P<requested>[^\]]*)\] but "
        r"found \[(?P<found>[^\]]*)\]",
        "A security group that is named by annotation does not exist: {said}.",
    ),
    rule(
        "LBD103",
        r"couldn't fetch SecurityGroupInfos: \[(?P<security_groups>[^\]]*)\]",
        "These security groups do not exist: {security_groups}.",
    ),
    rule(
        "LBD103",
        r"backendSG feature is required to manage worker node SG rules",
        "manage-backend-security-group-rules needs --enable-backend-security-group on the controller.",
    ),
    rule(
        "LBD103",
        r"external managed tag key (?P<key>\S+) cannot be specified",
        "Tag {key} is reserved by --external-managed-tags and may not be set.",
    ),
    rule(
        "LBD103",
        r"new usage of `(?P<annotation>[^`]+)` annotation is forbidden",
        "The controller's webhook forbids new uses of {annotation}.",
    ),
    rule(
        "LBD103",
        r"couldn't find WAFv2 WebACL with name: (?P<web_acl>\S+)|Unable to find web acl named (?P<web_acl2>\S+)",
        "WAFv2 web ACL {web_acl} does not exist in this region.",
    ),
    rule(
        "",
        r"Access Denied for bucket: (?P<bucket>[^\s.]\S*?)\.?(?: |$)",
        "S3 bucket {bucket} does not admit its access logs.",
    ),
    rule(
        "LBD103",
        r"couldn't find TrustStores? with names? (?P<trust_store>.+)",
        "Trust store {trust_store} does not exist.",
    ),
    rule(
        "LBD103",
        r"target control port is not supported|Unsupported QUIC upgrade|weighted target groups feature is disabled|"
        r"authentication and jwt validation can't both",
        "Two settings of the object exclude each other: {said}.",
    ),
    # deletion
    rule(
        "LBD116",
        r"(?P<protection>deletion_protection) is enabled, cannot delete the (?P<kind>ingress|service): (?P<object>\S+)",
        "Deletion protection keeps its load balancer.",
    ),
    rule(
        "LBD116",
        r"(?:cannot be deleted|Unable to delete gateway \S+) because (?P<protection>deletion protection) is enabled",
        "Deletion protection keeps its load balancer.",
    ),
    rule(
        "LBD116",
        r"failed to wait targetGroupBinding deletion",
        "A TargetGroupBinding that should be deleted does not go away.",
        retryable=True,
    ),
    # quotas that the controller words itself: listener_rule_synthesizer.go
    rule(
        "LBD216",
        r"Unable to synthesize listener rules, there's too many attached",
        "The listener has reached its quota of rules.",
    ),
    rule(
        "LBD216",
        r"(?i)(?:maximum number of|cannot have more than) [\w ]{0,40}"
        r"(?:targets|target groups|listeners|load balancers)",
        "An ELB quota is reached: {said}.",
    ),
    # start-up: main.go, pkg/config
    rule(
        "LBD102",
        r"must be formatted as \S+|cannot be specified in (?:both )?\S+ |failed to parse feature-gates|backend "
        r"security group "
        r"must be enabled|kubernetes cluster name must be specified|unknown feature: \S+|invalid mapStringBool|for "
        r"default (?:target "
        r"type|scheme)|for backend security group id|leader election lost|unable to (?:load controller config|build "
        r"REST config|start manager|create controller)",
        "The controller stops: {said}.",
    ),
    rule(
        "LBD104",
        r"(?:SecurityGroup|TargetGroup|Listener|LoadBalancer) is not fulfilled yet: (?P<object>\S+)",
        "An earlier part of the load balancer ({object}) was not created.",
        retryable=True,
    ),
)
