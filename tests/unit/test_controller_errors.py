"""What the controller says, and what it means: every message that the table knows."""

from __future__ import annotations

import re
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_lbdoctor.knowledge.aws_errors import KNOWN_CODES, parse_aws_error
from kubectl_lbdoctor.knowledge.controller_errors import (
    REASON_STAGE,
    STAGE_CODE,
    DecodedError,
    Stage,
    decode,
    decode_event,
)
from kubectl_lbdoctor.knowledge.controller_logs import normalise, parse_log_line, relevant_errors
from kubectl_lbdoctor.knowledge.error_rules import API_CODES

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lbc-role"
PRINCIPAL = f"arn:aws:sts::{ACCOUNT}:assumed-role/lbc-role/1699999999999999999"
NODE_PRINCIPAL = f"arn:aws:sts::{ACCOUNT}:assumed-role/node-role/i-0abc1234def567890"
TG_ARN = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:targetgroup/k8s-shop-web-0123456789/0123456789abcdef"
REQUEST = "8f0c9a41-1d2e-4a5b-9c3d-112233445566"
BLOB = "2_QNDsmBj_2I8jBZx8jgOj-4634N-CvAa0hXgIqxieDHy70uYtLf"


def v2(service: str, operation: str, code: str, message: str, status: int = 400) -> str:
    """An answered SDK v2 error with an unmodelled code (GenericAPIError says `api error`)."""
    return (
        f"operation error {service}: {operation}, https response error StatusCode: {status}, "
        f"RequestID: {REQUEST}, api error {code}: {message}"
    )


def elb(operation: str, code: str, message: str, status: int = 400) -> str:
    """An answered SDK v2 error with a code of the elbv2 model: those do not say `api error`."""
    return v2("Elastic Load Balancing v2", operation, code, message, status).replace("api error ", "")


def denied(action: str, principal: str = PRINCIPAL, resource: str = "") -> str:
    on = f" on resource: {resource}" if resource else ""
    return (
        f"User: {principal} is not authorized to perform: {action}{on} "
        f"because no identity-based policy allows the {action} action"
    )


def post(host: str, failure: str, service: str = "Elastic Load Balancing v2", operation: str = "DescribeTags") -> str:
    return (
        f"operation error {service}: {operation}, exceeded maximum number of attempts, 10, https response error "
        f'StatusCode: 0, RequestID: , request send failed, Post "https://{host}/": {failure}'
    )


def webhook(failure: str, name: str = "mservice.elbv2.k8s.aws", path: str = "mutate-v1-service") -> str:
    return (
        f'Internal error occurred: failed calling webhook "{name}": failed to call webhook: Post '
        f'"https://aws-load-balancer-webhook-service.kube-system.svc:443/{path}?timeout=10s": {failure}'
    )


DEPLOY = "Failed deploy model due to operation error Elastic Load Balancing v2: "

CASES: list[tuple[str, str, dict[str, Any]]] = [
    # --- Errors of building a target group
    ("TargetGroup port is empty. Are you using the correct service type?", "LBD204", {}),
    (
        "TargetGroup port is empty. When using Instance targets, your service be must of type 'NodePort' or "
        "'LoadBalancer'",
        "LBD204",
        {},
    ),
    ("unable to support instance target type with an unallocated NodePort", "LBD204", {}),
    (
        'unsupported service type "ClusterIP" for load balancer target type "instance"',
        "LBD204",
        {"service_type": "ClusterIP", "target_type": "instance"},
    ),
    ("service type must be either 'NodePort' or 'LoadBalancer': shop/web", "LBD204", {"service": "shop/web"}),
    ("unsupported IPv6 configuration, lb not dual-stack", "LBD226", {}),
    ("unsupported targetType: ip when EnableIPTargetType is false", "LBD103", {"value": "ip"}),
    ("unable to find port 8080 on service shop/api", "LBD107", {"port": "8080", "service": "shop/api"}),
    ("unsupported health check protocol XTP", "LBD111", {"value": "XTP"}),
    ("Unsupported health check protocol ‘HTTP’", "LBD111", {"value": "‘HTTP’"}),
    ("QUIC protocol is not supported for Instance target types.", "LBD109", {}),
    ("target control port is not supported for instance target target group", "LBD103", {}),
    (
        "cannot use named healthCheckPort for IP TargetType when service's targetPort is a named port",
        "LBD103",
        {},
    ),
    # --- 3.3 nodes
    ("providerID is not specified for node: ip-10-0-1-10", "LBD109", {"node": "ip-10-0-1-10"}),
    (
        "providerID azure:///x is invalid for EC2 instances, node: n1",
        "LBD109",
        {"provider_id": "azure:///x", "node": "n1"},
    ),
    (
        "providerID eks-hybrid:///r/c/mi-1 is invalid for EKS hybrid instances, node: h1",
        "LBD109",
        {"node": "h1"},
    ),
    # --- what the Kubernetes API refuses, or does not answer
    ("etcdserver: request timed out", "LBD103", {}),
    ("etcdserver: mvcc: database space exceeded", "LBD103", {}),
    ("client rate limiter Wait returned an error: context deadline exceeded", "LBD103", {}),
    (
        'admission webhook "validation.gatekeeper.sh" denied the request: [owner] you must provide labels',
        "LBD103",
        {"refusing_webhook": "validation.gatekeeper.sh"},
    ),
    (
        'pods "a" is forbidden: exceeded quota: small, requested: cpu=1,memory=1Gi, used: cpu=4,memory=1Gi, '
        "limited: cpu=4,memory=8Gi",
        "LBD103",
        {"quota": "small", "quota_limited": "cpu", "quota_limit": "4"},
    ),
    # --- 3.8 admission of TargetGroupBindings
    (
        f'admission webhook "vtargetgroupbinding.elbv2.k8s.aws" denied the request: TargetGroup {TG_ARN} is already '
        f"bound to following TargetGroupBindings [shop/one shop/two]. Please enable MultiCluster mode on all "
        f"TargetGroupBindings referencing {TG_ARN} or choose a different Target Group ARN.",
        "LBD114",
        {"target_group": TG_ARN, "bindings": ("shop/one", "shop/two"), "webhook": "vtargetgroupbinding.elbv2.k8s.aws"},
    ),
    (
        f"TargetGroup {TG_ARN} protocol differs (got HTTP, expected TCP)",
        "LBD109",
        {"value": "HTTP", "allowed": "TCP"},
    ),
    (f"invalid VpcID vpc-1 doesnt match VpcID from TargetGroup {TG_ARN}", "LBD109", {"vpc": "vpc-1"}),
    (f"invalid IP address type ipv6 for TargetGroup {TG_ARN}", "LBD213", {"value": "ipv6", "target_group": TG_ARN}),
    (
        "TargetGroupBinding update may not change these immutable fields: spec.targetType",
        "LBD109",
        {"fields": "spec.targetType"},
    ),
    (
        "TargetGroupBinding must specify these fields: either TargetGroupARN or TargetGroupName",
        "LBD109",
        {"fields": "either TargetGroupARN or TargetGroupName"},
    ),
    (
        "must provide either TargetGroupARN or TargetGroupName",
        "LBD109",
        {"fields": "TargetGroupARN or TargetGroupName"},
    ),
    ("TargetGroupBinding cannot set NodeSelector when TargetType is ip", "LBD109", {}),
    ("Unable to use instance target type while using assume role", "LBD109", {}),
    (
        "expecting a single targetGroup with query [gone] but got 0",
        "LBD113",
        {"target_group": "gone", "found_count": 0},
    ),
    # --- 3.9 security groups: all wordings
    (
        "expected exactly one securityGroup tagged with kubernetes.io/cluster/prod for eni eni-0a1b2c3d, got: [] "
        "(clusterName: prod)",
        "LBD505",
        {"eni": "eni-0a1b2c3d", "security_groups": (), "tag": "kubernetes.io/cluster/prod", "cluster": "prod"},
    ),
    (
        "expect exactly one securityGroup tagged with kubernetes.io/cluster/prod for eni eni-0a1b2c3d, "
        "got: [sg-0aaaaaaaa sg-0bbbbbbbb]",
        "LBD505",
        {"security_groups": ("sg-0aaaaaaaa", "sg-0bbbbbbbb")},
    ),
    (
        "expected exactly one securityGroup tagged with kubernetes.io/cluster/prod and map[team:a] for eni "
        "eni-0a1b2c3d, got: [sg-0aaaaaaaa sg-0bbbbbbbb] (clusterName: prod)",
        "LBD505",
        {"extra_tags": "team:a", "security_groups": ("sg-0aaaaaaaa", "sg-0bbbbbbbb")},
    ),
    ("cannot resolve pod ENI for pods: [shop/web-1 shop/web-2]", "LBD109", {"pods": ("shop/web-1", "shop/web-2")}),
    ("cannot resolve node ENI for nodes: [n1]", "LBD109", {"nodes": ("n1",)}),
    (
        "couldn't find all security groups: requested ids [sg-0aaaaaaaa] but found []",
        "LBD103",
        {"detail": "requested ids [sg-0aaaaaaaa] but found []"},
    ),
    (
        "backendSG feature is required to manage worker node SG rules when frontendSG manually specified",
        "LBD103",
        {},
    ),
    ("conflicting security groups configuration", "LBD103", {}),
    ("unable to find port http on pod shop/web-1", "LBD203", {"port": "http", "pod": "shop/web-1"}),
    # --- 3.10 subnets
    (
        "couldn't auto-discover subnets: unable to resolve at least one subnet. Evaluated 4 subnets: 3 are tagged for "
        "other clusters, and 1 have insufficient available IP addresses",
        "LBD511",
        {"evaluated": 4, "other_clusters": 3, "low_addresses": 1},
    ),
    (
        "couldn't auto-discover subnets: unable to resolve at least one subnet. Evaluated 2 subnets: 0 are tagged for "
        "other clusters, and 2 have insufficient available IP addresses",
        "LBD512",
        {"evaluated": 2, "other_clusters": 0, "low_addresses": 2},
    ),
    (
        "unable to resolve at least one subnet. Evaluated 2 subnets: 0 are tagged for other clusters, 0 x",
        "LBD511",
        {},
    ),
    (
        "unable to resolve at least one subnet. Evaluated 3 subnets: 0 are tagged for other clusters, and 1 have "
        "insufficient available IP addresses, and 2 don't have an associated IPv6 CIDR block, which is required for "
        "dualstack load balancers",
        "LBD511",
        {"evaluated": 3, "low_addresses": 1, "without_ipv6": 2},
    ),
    (
        "unable to resolve at least one subnet. Evaluated 0 subnets: 0 are tagged for other clusters, and 0 have "
        "insufficient available IP addresses",
        "LBD511",
        {"evaluated": 0},
    ),
    ("unable to resolve at least one subnet (2 match VPC and tags)", "LBD511", {"detail": "2 match VPC and tags"}),
    ("couldn't auto-discover subnets: unable to discover at least one subnet", "LBD511", {}),
    (
        "couldn't auto-discover subnets: subnets count less than minimal required count: 1 < 2",
        "LBD511",
        {"found_count": 1, "minimum": 2},
    ),
    (
        "multiple subnets in same Availability Zone eu-west-1a: [subnet-1 subnet-2]",
        "LBD511",
        {"zone": "eu-west-1a", "subnets": ("subnet-1", "subnet-2")},
    ),
    ("subnets in multiple locales: [availabilityZone outpost]", "LBD511", {}),
    (
        "failed to list subnets by IDs: couldn't find all subnets, want: [subnet-1 subnet-2], found: [subnet-1]",
        "LBD511",
        {"requested": ("subnet-1", "subnet-2"), "found": ("subnet-1",)},
    ),
    ("conflicting subnet specifications: IngressClassParams versus annotation", "LBD511", {}),
    ("conflicting subnets: [subnet-1] | [subnet-2]", "LBD511", {}),
    ("[this shall never happen] could not identify main route table for vpc: vpc-1", "LBD511", {"vpc": "vpc-1"}),
    (
        elb(
            "CreateLoadBalancer",
            "InvalidSubnet",
            "Not enough IP space available in subnet-0a1b. ELB requires at least 8.",
        ),
        "LBD512",
        {"subnet": "subnet-0a1b", "error_code": "InvalidSubnet", "operation": "CreateLoadBalancer"},
    ),
    (elb("CreateLoadBalancer", "InvalidSubnet", "VPC vpc-0a1b has no internet gateway"), "LBD510", {"vpc": "vpc-0a1b"}),
    (elb("CreateLoadBalancer", "SubnetNotFound", "The subnet ID 'subnet-9' does not exist"), "LBD511", {}),
    (
        v2(
            "Elastic Load Balancing v2",
            "CreateLoadBalancer",
            "ValidationError",
            "At least two subnets in two different Availability Zones must be specified",
        ),
        "LBD511",
        {},
    ),
    # --- 4.3 AWS denials, both SDK generations
    (
        "Failed deploy model due to "
        + v2(
            "Elastic Load Balancing v2",
            "AddTags",
            "AccessDenied",
            denied("elasticloadbalancing:AddTags", resource=TG_ARN),
            403,
        ),
        "LBD120",
        {
            "role": ROLE,
            "principal": PRINCIPAL,
            "resource": TG_ARN,
            "operation": "AddTags",
            "error_code": "AccessDenied",
            "request_id": REQUEST,
            "status_code": 403,
            "denial": "identity-policy",
        },
    ),
    (
        f"AccessDenied: {denied('elasticloadbalancing:RegisterTargets')}\n\tstatus code: 403, request id: {REQUEST}",
        "LBD120",
        {"role": ROLE, "request_id": REQUEST, "error_code": "AccessDenied"},
    ),
    (
        v2(
            "EC2",
            "DescribeSubnets",
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. Encoded authorization failure message: {BLOB}",
            403,
        ),
        "LBD120",
        {"operation": "DescribeSubnets", "error_code": "UnauthorizedOperation"},
    ),
    (
        "UnauthorizedOperation: You are not authorized to perform this operation. Encoded authorization failure "
        f"message: {BLOB}\n\tstatus code: 403, request id: {REQUEST}",
        "LBD120",
        {"request_id": REQUEST},
    ),
    (
        "Failed deploy model due to "
        + v2(
            "EC2",
            "CreateTags",
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. {denied('ec2:CreateTags')}. Encoded authorization "
            f"failure message: {BLOB}",
            403,
        ),
        "LBD120",
        {"role": ROLE},
    ),
    (
        v2(
            "STS",
            "AssumeRole",
            "AccessDenied",
            denied("sts:AssumeRole", resource="arn:aws:iam::210987654321:role/other"),
            403,
        ),
        "LBD120",
        {"resource": "arn:aws:iam::210987654321:role/other"},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "CreateRule",
            "AccessDenied",
            f"User: {PRINCIPAL} is not authorized to perform: elasticloadbalancing:CreateRule on resource: {TG_ARN} "
            "with an explicit deny in a service control policy",
            403,
        ),
        "LBD120",
        {"denial": "service-control-policy", "explicit_deny": "true"},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "DescribeLoadBalancers",
            "AccessDenied",
            denied("elasticloadbalancing:DescribeLoadBalancers", NODE_PRINCIPAL),
            403,
        ),
        "LBD121",
        {"identity": "node", "role": f"arn:aws:iam::{ACCOUNT}:role/node-role"},
    ),
    # --- identity
    (
        "operation error Elastic Load Balancing v2: DescribeLoadBalancers, get identity: get credentials: failed to "
        "refresh cached credentials, failed to retrieve credentials, "
        + v2(
            "STS",
            "AssumeRoleWithWebIdentity",
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            403,
        ),
        "LBD121",
        {"mechanism": "irsa", "operation": "AssumeRoleWithWebIdentity", "api_service": "STS"},
    ),
    (
        "WebIdentityErr: failed to retrieve credentials\ncaused by: AccessDenied: Not authorized to perform "
        f"sts:AssumeRoleWithWebIdentity\n\tstatus code: 403, request id: {REQUEST}",
        "LBD121",
        {"mechanism": "irsa", "error_code": "AccessDenied"},
    ),
    (
        "operation error EC2: DescribeSubnets, get identity: get credentials: failed to refresh cached credentials, "
        "failed to retrieve credentials, operation error STS: AssumeRoleWithWebIdentity, https response error "
        f"StatusCode: 400, RequestID: {REQUEST}, InvalidIdentityToken: No OpenIDConnect provider found in your account "
        "for https://oidc.eks.eu-west-1.amazonaws.com/id/ABC",
        "LBD121",
        {"error_code": "InvalidIdentityToken"},
    ),
    (
        "NoCredentialProviders: no valid providers in chain. Deprecated.\n\tFor verbose messaging see "
        "aws.Config.CredentialsChainVerboseErrors",
        "LBD121",
        {},
    ),
    (
        "operation error Elastic Load Balancing v2: DescribeTargetHealth, get identity: get credentials: failed to "
        "refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, canceled, context "
        "deadline exceeded",
        "LBD121",
        {"mechanism": "instance-metadata"},
    ),
    (
        "operation error Elastic Load Balancing v2: DescribeLoadBalancers, get identity: get credentials: failed to "
        "refresh cached credentials, failed to load credentials, exceeded maximum number of attempts, 10, request "
        'send failed, Get "http://169.254.170.23/v1/credentials": dial tcp 169.254.170.23:80: i/o timeout',
        "LBD121",
        {"mechanism": "pod-identity"},
    ),
    (
        v2("EC2", "DescribeVpcs", "AuthFailure", "AWS was not able to validate the provided access credentials", 401),
        "LBD121",
        {"error_code": "AuthFailure"},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "DescribeTags",
            "ExpiredToken",
            "The security token included in the request is expired",
            403,
        ),
        "LBD121",
        {},
    ),
    # --- VPC and region
    (
        "failed to introspect region from EC2Metadata, specify --aws-region instead if EC2Metadata is unavailable: "
        "operation error ec2imds: GetRegion, canceled, context deadline exceeded",
        "LBD122",
        {"missing": "region", "flag": "--aws-region"},
    ),
    (
        "failed to introspect vpcID from EC2Metadata, specify --aws-vpc-id instead if EC2Metadata is unavailable",
        "LBD122",
        {"missing": "VPC", "flag": "--aws-vpc-id"},
    ),
    (
        "failed to get VPC ID: failed to fetch VPC ID from instance metadata: error in fetching vpc id through ec2 "
        "metadata: get mac metadata: operation error ec2imds: GetMetadata, canceled, context deadline exceeded",
        "LBD122",
        {"missing": "VPC"},
    ),
    ("failed to get VPC ID: no VPC exists with tag: %!w(<nil>)", "LBD122", {"flag": "--aws-vpc-tags"}),
    ("failed to get VPC ID: multiple VPCs exists with tag: %!w(<nil>)", "LBD122", {}),
    (
        "operation error EC2: DescribeVpcs, failed to resolve service endpoint, endpoint rule error, Invalid "
        "Configuration: Missing Region",
        "LBD122",
        {"missing": "region"},
    ),
    (
        "failed to get VPC ID: failed to fetch VPC ID with tag: "
        + v2("EC2", "DescribeVpcs", "UnauthorizedOperation", "You are not authorized to perform this operation.", 403),
        "LBD120",
        {"operation": "DescribeVpcs"},
    ),
    # --- endpoints
    (
        "Failed deploy model due to "
        + post("wafv2.eu-west-1.amazonaws.com", "dial tcp 1.2.3.4:443: i/o timeout", "WAFV2"),
        "LBD123",
        {"host": "wafv2.eu-west-1.amazonaws.com", "failure": "timeout", "api_service": "WAFV2"},
    ),
    (
        post(
            "elasticloadbalancing.eu-west-1.amazonaws.com",
            "dial tcp: lookup elasticloadbalancing.eu-west-1.amazonaws.com on 172.20.0.10:53: no such host",
        ),
        "LBD123",
        {"host": "elasticloadbalancing.eu-west-1.amazonaws.com", "failure": "dns"},
    ),
    (
        post(
            "elasticloadbalancing.eu-west-1.amazonaws.com",
            "dial tcp: lookup elasticloadbalancing.eu-west-1.amazonaws.com on 172.20.0.10:53: read udp "
            "10.0.1.4:41234->172.20.0.10:53: i/o timeout",
        ),
        "LBD123",
        {"host": "elasticloadbalancing.eu-west-1.amazonaws.com", "failure": "resolver"},
    ),
    (
        post(
            "ec2.eu-west-1.amazonaws.com",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ),
        "LBD123",
        {"failure": "tls"},
    ),
    (
        'RequestError: send request failed\ncaused by: Post "https://shield.us-east-1.amazonaws.com/": dial tcp '
        "1.2.3.4:443: i/o timeout",
        "LBD123",
        {"host": "shield.us-east-1.amazonaws.com"},
    ),
    (
        "operation error EC2: DescribeSubnets, get identity: get credentials: failed to refresh cached credentials, "
        "failed to retrieve credentials, "
        + post("sts.eu-west-1.amazonaws.com", "dial tcp 1.1.1.1:443: i/o timeout", "STS", "AssumeRoleWithWebIdentity"),
        "LBD123",
        {"host": "sts.eu-west-1.amazonaws.com"},
    ),
    (
        "operation error EC2: DescribeSubnets, https response error StatusCode: 0, RequestID: , request send failed, "
        'Post "http://10.0.0.1:5000/": dial tcp 10.0.0.1:5000: connect: connection refused',
        "LBD123",
        {"host": "10.0.0.1:5000", "failure": "refused"},
    ),
    # --- 4.4 build and deploy errors
    (
        "Failed build model due to ingress: shop/web: no certificate found for host: a.example.com",
        "LBD103",
        {"ingress": "shop/web", "host": "a.example.com"},
    ),
    (
        "Failed deploy model due to "
        + elb(
            "CreateListener",
            "CertificateNotFound",
            f"Certificate 'arn:aws:acm:eu-west-1:{ACCOUNT}:certificate/x' not found",
        ),
        "LBD104",
        {"error_code": "CertificateNotFound"},
    ),
    (
        "failed to merge listenPort config for port: 443: conflicting protocol, shop/web: HTTPS | pay/api: HTTP",
        "LBD103",
        {"setting": "protocol", "member": "shop/web", "other_member": "pay/api"},
    ),
    (
        "conflicting sslPolicy, shop/web: A | pay/api: B",
        "LBD103",
        {"setting": "sslPolicy", "value": "A", "other_value": "B"},
    ),
    (
        "conflicting inbound-cidrs, shop/web: [10.0.0.0/8], [] | pay/api: [0.0.0.0/0], []",
        "LBD103",
        {"setting": "inbound-cidrs", "member": "shop/web", "other_member": "pay/api"},
    ),
    ("conflicting scheme: map[internal:{} internet-facing:{}]", "LBD103", {"setting": "scheme"}),
    ("conflicting load balancer name: map[a:{} b:{}]", "LBD103", {"setting": "load balancer name"}),
    ("conflicting tag team: a | b", "LBD103", {"key": "team"}),
    ("conflicting IPAddressType: [dualstack ipv4]", "LBD103", {"setting": "IPAddressType"}),
    ("conflicting sslRedirect port: [443 8443]", "LBD103", {}),
    ("conflicting securityGroups: [a] | [b]", "LBD103", {"setting": "securityGroups"}),
    ("conflicting load balancer attributes k: a | b", "LBD103", {"key": "k"}),
    ("conflicting manage backend security group rules settings", "LBD103", {}),
    (
        "multiple ingress defined default backend: [shop/a shop/b]",
        "LBD103",
        {"members": ("shop/a", "shop/b")},
    ),
    ("listener does not exist for SSLRedirect port: 443", "LBD103", {"port": "443"}),
    ("listener protocol non-SSL for SSLRedirect port: 80", "LBD103", {"port": "80"}),
    (
        "ingress: shop/web: missing actions.redirect configuration",
        "LBD108",
        {"action": "redirect", "ingress": "shop/web"},
    ),
    ("exact path shouldn't contain wildcards: /a*", "LBD103", {"path": "/a*", "path_type": "exact"}),
    ("prefix path shouldn't contain wildcards: /a*", "LBD103", {"path_type": "prefix"}),
    (
        'failed load groupID due to invalid ingress class: ingressclasses.networking.k8s.io "x" not found',
        "LBD101",
        {"ingress_class": "x"},
    ),
    ('invalid ingress class: IngressClass.networking.k8s.io "x" not found', "LBD101", {"ingress_class": "x"}),
    (
        'failed load groupID due to invalid ingress class: IngressClassParams.elbv2.k8s.aws "x" not found',
        "LBD101",
        {"missing_parameters": "x"},
    ),
    (
        "Failed build model due to No hostnames found for TLS cert discovery for listener on gateway shop/web with "
        "protocol:port HTTPS:8443",
        "LBD103",
        {"listener": "HTTPS:8443"},
    ),
    (
        "invalid ingress class: IngressClass x references unknown parameters",
        "LBD101",
        {"class_of_unknown_parameters": "x"},
    ),
    ("namespaceSelector of IngressClassParams x mismatch", "LBD101", {"refusing_parameters": "x"}),
    (
        "failed load groupID due to invalid ingress group: groupName must be no more than 63 characters",
        "LBD111",
        {"constraint": "be no more than 63 characters"},
    ),
    (
        "groupName must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
        "alphanumeric character",
        "LBD111",
        {},
    ),
    (
        "explicit Ingress group order must be within [-1000:1000], Ingress: shop/web, order: 2000",
        "LBD111",
        {"ingress": "shop/web", "value": "2000", "allowed": "-1000:1000"},
    ),
    (
        "new usage of `alb.ingress.kubernetes.io/group.name` annotation is forbidden",
        "LBD103",
        {"annotation": "alb.ingress.kubernetes.io/group.name"},
    ),
    ("load balancer name cannot be longer than 32 characters", "LBD111", {}),
    ("external managed tag key k cannot be specified on Service", "LBD103", {"key": "k"}),
    ("deletion_protection is enabled, cannot delete the ingress: web", "LBD116", {"kind": "ingress", "object": "web"}),
    ("deletion_protection is enabled, cannot delete the service: web", "LBD116", {"kind": "service"}),
    ("Unable to synthesize listener rules, there's too many attached.", "LBD216", {}),
    ("EIP allocations can only be set for internet facing load balancers", "LBD111", {"annotation": "EIP allocations"}),
    ("count of EIP allocations (1) and subnets (2) must match", "LBD111", {"addresses": 1, "found_count": 2}),
    ("count of private IPv4 addresses (1) and subnets (2) must match", "LBD111", {}),
    ("Unused port in ssl-ports annotation [8443]", "LBD111", {"ports": ("8443",)}),
    (
        "invalid value yes for Load Balancer proxy protocol v2 annotation, only value currently supported is *",
        "LBD111",
        {"value": "yes"},
    ),
    ("couldn't find WAFv2 WebACL with name: acl", "LBD103", {"web_acl": "acl"}),
    ("Unable to find web acl named acl", "LBD103", {"web_acl": "acl"}),
    (
        "ingress: shop/web: failed to parse int32 annotation, alb.ingress.kubernetes.io/ssl-redirect: yes: "
        'strconv.ParseInt: parsing "yes": invalid syntax',
        "LBD111",
        {"annotation": "alb.ingress.kubernetes.io/ssl-redirect", "value": "yes", "type": "int32"},
    ),
    (
        'failed to parse json annotation, alb.ingress.kubernetes.io/actions.a: {"x": 1: unexpected end of JSON input',
        "LBD111",
        {"annotation": "alb.ingress.kubernetes.io/actions.a", "value": '{"x": 1'},
    ),
    (
        "failed to parse stringMap annotation, alb.ingress.kubernetes.io/tags: a=b,c",
        "LBD111",
        {"annotation": "alb.ingress.kubernetes.io/tags", "value": "a=b,c"},
    ),
    ("unknown scheme: public", "LBD111", {"value": "public"}),
    ("unknown targetType: pod", "LBD111", {"value": "pod"}),
    ("backend protocol must be within [HTTP, HTTPS]: TCP", "LBD111", {"value": "TCP", "allowed": "HTTP, HTTPS"}),
    ("healthCheckProtocol must be within [HTTP, HTTPS]", "LBD111", {"allowed": "HTTP, HTTPS"}),
    ("listen port must be within [1, 65535]: 70000", "LBD111", {"value": "70000"}),
    (
        'failed to parse listen-ports configuration: `[{"HTTP": x}]`: invalid character',
        "LBD111",
        {"annotation": "listen-ports"},
    ),
    (
        "ingress: shop/web: invalid inbound-cidrs settings on Ingress: shop/web: invalid CIDR address: 10.0.0.0",
        "LBD111",
        {"ingress": "shop/web", "annotation": "inbound-cidrs"},
    ),
    ("missing servicePort", "LBD111", {}),
    ("ingress: shop/web: invalid FixedResponseConfig: statusCode is required", "LBD111", {"ingress": "shop/web"}),
    (
        "invalid dns_record.client_routing_policy set in annotation "
        "service.beta.kubernetes.io/aws-load-balancer-attributes: "
        "got 'x' expected one of ['any_availability_zone', 'b', 'c']",
        "LBD111",
        {"annotation": "service.beta.kubernetes.io/aws-load-balancer-attributes", "value": "x"},
    ),
    ("unsupported v6 cidr ::/0 when lb is not dualstack", "LBD111", {"value": "::/0"}),
    ('ingress: shop/web: missing required "service" field', "LBD103", {"ingress": "shop/web"}),
    ("tag key a cannot be specified in default-tags flag", "LBD102", {}),
    # --- backends
    (
        'Failed build model due to ingress: shop/web: services "api" not found',
        "LBD106",
        {"service": "api", "ingress": "shop/web"},
    ),
    ('ingress: shop/web: Service "api" not found', "LBD106", {"service": "api"}),
    ('backend not found: Service "web" not found', "LBD115", {"service": "web"}),
    ('backend not found: services "web" not found', "LBD115", {"service": "web"}),
    (
        "backend not found: unable to find port 80 on service shop/web",
        "LBD115",
        {"port": "80", "service": "shop/web"},
    ),
    ('ingress: shop/web: Secret "oidc" not found', "LBD103", {"secret": "oidc"}),
    # --- target registration
    (
        elb("RegisterTargets", "TargetGroupNotFound", f"Target groups '{TG_ARN}' not found"),
        "LBD113",
        {"resource": TG_ARN},
    ),
    ("TargetGroupNotFound: One or more target groups not found", "LBD113", {}),
    (elb("CreateRule", "TargetGroupNotFound", f"Target groups '{TG_ARN}' not found"), "LBD103", {"resource": TG_ARN}),
    (
        f"InvalidTarget: Targets {{i-0abc1234}} are not supported\n\tstatus code: 400, request id: {REQUEST}",
        "LBD219",
        {"instances": ("i-0abc1234",)},
    ),
    (
        v2(
            "EC2",
            "DescribeInstances",
            "InvalidInstanceID.NotFound",
            "The instance IDs 'i-0abc1234, i-0def5678' do not exist",
        ),
        "LBD219",
        {"instances": ("i-0abc1234", "i-0def5678")},
    ),
    (
        "ValidationError: You must specify a valid Availability Zone or select 'all' for all enabled Availability "
        "zones, "
        f"since the IP address '10.130.6.97' is outside the VPC\n\tstatus code: 400, request id: {REQUEST}",
        "LBD219",
        {"address": "10.130.6.97"},
    ),
    (
        "ValidationError: The Availability Zone is required for IP address '172.28.163.212' because it is not in the "
        "VPC"
        f"\n\tstatus code: 400, request id: {REQUEST}",
        "LBD219",
        {"address": "172.28.163.212"},
    ),
    (
        "ValidationError: The IP address '10.1.1.1' is within the VPC, and cannot have its Availability Zone "
        "overridden "
        "to 'all' from 'us-east-1b'",
        "LBD219",
        {"address": "10.1.1.1"},
    ),
    (
        elb(
            "RegisterTargets",
            "TooManyTargets",
            "The maximum number of targets per load balancer '1000' has been reached",
        ),
        "LBD216",
        {},
    ),
    (elb("RegisterTargets", "TooManyRegistrationsForTargetId", "You have too many registrations"), "LBD216", {}),
    (
        elb("CreateLoadBalancer", "TooManyLoadBalancers", "The maximum number of load balancers has been reached"),
        "LBD216",
        {},
    ),
    (
        elb(
            "CreateRule",
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            "You have reached the maximum number of unique target groups",
        ),
        "LBD216",
        {},
    ),
    (
        v2(
            "EC2",
            "AuthorizeSecurityGroupIngress",
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ),
        "LBD506",
        {"operation": "AuthorizeSecurityGroupIngress"},
    ),
    # --- health check values
    (
        "ValidationError: Health check interval must be greater than the timeout.\n\tstatus code: 400, request id: x",
        "LBD310",
        {},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "CreateTargetGroup",
            "ValidationError",
            "Health check timeout '10' must be smaller than or equal to the interval '5'",
        ),
        "LBD310",
        {},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "ModifyTargetGroup",
            "ValidationError",
            "Health check matcher GRPC code '405' must be within '0-99'",
        ),
        "LBD111",
        {"value": "405", "allowed": "0-99", "protocol": "GRPC"},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "CreateTargetGroup",
            "ValidationError",
            "1 validation error detected: Value '600' at 'healthCheckTimeoutSeconds' failed to satisfy constraint: "
            "Member "
            "must have value less than or equal to 120",
        ),
        "LBD111",
        {"field": "healthCheckTimeoutSeconds", "value": "600"},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "CreateTargetGroup",
            "ValidationError",
            "Health check port '0' must be within '1-65535' or 'traffic-port'",
        ),
        "LBD128",
        {},
    ),
    (
        v2(
            "Elastic Load Balancing v2",
            "ModifyTargetGroupAttributes",
            "ValidationError",
            "Target group attribute key 'stickness.enabled' is not recognized",
        ),
        "LBD111",
        {"annotation": "stickness.enabled"},
    ),
    # a denial of the log bucket is no denial of the controller
    (
        "Failed deploy model due to "
        + elb(
            "ModifyLoadBalancerAttributes",
            "InvalidConfigurationRequest",
            "Access Denied for bucket: my-logs. Please check S3bucket permission",
        ),
        "LBD104",
        {"error_code": "InvalidConfigurationRequest"},
    ),
    (
        "Failed deploy model due to "
        + elb(
            "DeleteLoadBalancer",
            "OperationNotPermitted",
            "Load balancer 'x' cannot be deleted because deletion protection is enabled",
        ),
        "LBD116",
        {},
    ),
    # --- 4.5 webhooks
    (
        webhook('no endpoints available for service "aws-load-balancer-webhook-service"'),
        "LBD126",
        {"webhook": "mservice.elbv2.k8s.aws", "service": "aws-load-balancer-webhook-service"},
    ),
    (
        webhook('service "aws-load-balancer-webhook-service" not found'),
        "LBD126",
        {"service": "aws-load-balancer-webhook-service"},
    ),
    (webhook("context deadline exceeded"), "LBD124", {"failure": "timeout"}),
    (webhook("dial tcp 10.0.1.33:9443: connect: connection refused"), "LBD124", {"failure": "refused"}),
    (webhook("Address is not allowed"), "LBD124", {"failure": "route"}),
    # What the error wraps, alone: the webhook is told by its path.
    (
        webhook("context deadline exceeded").partition('": ')[2],
        "LBD124",
        {"failure": "timeout", "webhook": "mservice.elbv2.k8s.aws"},
    ),
    (
        'failed to call webhook: Post "https://aws-load-balancer-webhook-service.kube-system.svc:443/'
        'validate-networking-v1-ingress?timeout=10s": tls: failed to verify certificate: x509: certificate signed by '
        "unknown authority",
        "LBD125",
        {"webhook": "vingress.elbv2.k8s.aws"},
    ),
    (
        'failed to call webhook: Post "https://policy.example.svc:443/validate?timeout=10s": context deadline exceeded',
        "LBD103",
        {"webhook": "policy.example.svc"},
    ),
    (
        "Failed deploy model due to "
        + webhook(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of "
            '"crypto/rsa: verification error" while trying to verify candidate authority certificate '
            '"aws-load-balancer-controller-ca")',
            "mtargetgroupbinding.elbv2.k8s.aws",
            "mutate-elbv2-k8s-aws-v1beta1-targetgroupbinding",
        ),
        "LBD125",
        {"webhook": "mtargetgroupbinding.elbv2.k8s.aws"},
    ),
    (webhook("x509: certificate is valid for a.kube-system.svc, not b.aws-lbc.svc"), "LBD125", {}),
    (webhook("x509: certificate has expired or is not yet valid"), "LBD125", {}),
    ("http: TLS handshake error from 10.0.0.1:52344: remote error: tls: bad certificate", "LBD125", {}),
    # --- the in-tree provider
    (
        "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for "
        "creating the ELB",
        "LBD511",
        {},
    ),
    (
        "Error syncing load balancer: failed to ensure load balancer: Multiple tagged security groups found for "
        "instance "
        "i-035b6e84cf3f12234; ensure only the k8s security group is tagged; the tagged groups were "
        "sg-0761bffe57ddf3038(eks-cluster-sg) sg-06554582ebb6d300a(node)",
        "LBD505",
        {"instance": "i-035b6e84cf3f12234"},
    ),
    (
        'Error syncing load balancer: failed to ensure load balancer: error creating load balancer: "InvalidSubnet: '
        "Not "
        'enough IP space available in subnet-1. ELB requires at least 8 free IP addresses in each subnet."',
        "LBD512",
        {"subnet": "subnet-1"},
    ),
    # --- Kubernetes itself
    (
        'Failed deploy model due to targetgroupbindings.elbv2.k8s.aws is forbidden: User "system:serviceaccount:'
        'kube-system:aws-load-balancer-controller" cannot create resource "targetgroupbindings" in API group '
        '"elbv2.k8s.aws" in the namespace "shop"',
        "LBD119",
        {
            "rbac_verb": "create",
            "rbac_resource": "targetgroupbindings.elbv2.k8s.aws",
            "rbac_namespace": "shop",
        },
    ),
    (
        'Failed build model due to ingress: shop/web: secrets "oidc-secret" is forbidden: User "system:serviceaccount:'
        'kube-system:aws-load-balancer-controller" cannot get resource "secrets" in API group "" in the namespace '
        '"shop"',
        "LBD103",
        {"rbac_verb": "get", "rbac_resource": "secrets", "object": "oidc-secret", "rbac_namespace": "shop"},
    ),
    # --- AWS, from issues 1956, 1569, 3668
    (
        f"{DEPLOY}ModifyLoadBalancerAttributes, https response error StatusCode: 400, RequestID: r, "
        "InvalidConfigurationRequest: Access Denied for bucket: shop-logs. Please check S3bucket permission",
        "LBD104",
        {"bucket": "shop-logs"},
    ),
    (
        f"{DEPLOY}CreateLoadBalancer, https response error StatusCode: 400, RequestID: r, InvalidConfigurationRequest: "
        "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
        "LBD511",
        {},
    ),
    (
        f"{DEPLOY}RegisterTargets, https response error StatusCode: 400, RequestID: r, api error ValidationError: The "
        "Availability Zone for IP address '192.168.11.189' must be 'all' for Application Load Balancer target groups, "
        "when not within the VPC",
        "LBD219",
        {"address": "192.168.11.189"},
    ),
    (
        f"{DEPLOY}RegisterTargets, https response error StatusCode: 400, RequestID: r, api error ValidationError: The "
        "IP address 'i-0123456789abcdef0' is not a valid IPv4 address",
        "LBD219",
        {"instances": ("i-0123456789abcdef0",)},
    ),
    (
        "Failed deploy model due to operation error WAFV2: AssociateWebACL, https response error StatusCode: 400, "
        "RequestID: r, WAFNonexistentItemException: AWS WAF couldn't perform the operation",
        "LBD104",
        {"operation": "AssociateWebACL"},
    ),
    (
        'no matches for kind "TargetGroupBinding" in version "elbv2.k8s.aws/v1beta1"',
        "LBD103",
        {"resource_kind": "TargetGroupBinding"},
    ),
    ("unable to load controller config: kubernetes cluster name must be specified", "LBD102", {}),
]


def _short(case: tuple[str, str, dict[str, Any]]) -> str:
    return f"{case[1]}-{case[0][:60]}"


@pytest.mark.parametrize("case", CASES, ids=_short)
def test_message_has_its_code_and_its_values(case: tuple[str, str, dict[str, Any]]) -> None:
    text, code, params = case
    found = decode(text)
    assert (found.code, found.known) == (code, True), found
    assert {name: found.params.get(name) for name in params} == params


@pytest.mark.parametrize("case", CASES, ids=_short)
def test_summary_is_one_clean_sentence(case: tuple[str, str, dict[str, Any]]) -> None:
    found = decode(case[0])
    assert found.summary.endswith((".", "?"))
    assert "\n" not in found.summary
    assert not re.search(r"\{[a-z_]+\}|not named", found.summary), found.summary
    assert BLOB not in found.summary + found.raw


@pytest.mark.parametrize(
    ("text", "action"),
    [
        (
            v2(
                "Elastic Load Balancing v2",
                "RegisterTargets",
                "AccessDenied",
                denied("elasticloadbalancing:RegisterTargets"),
            ),
            "elasticloadbalancing:RegisterTargets",
        ),
        (
            v2("EC2", "DescribeSubnets", "UnauthorizedOperation", "You are not authorized to perform this operation."),
            "ec2:DescribeSubnets",
        ),
        (
            v2("WAF Regional", "GetWebACLForResource", "AccessDeniedException", "no"),
            "waf-regional:GetWebACLForResource",
        ),
        (v2("Shield", "GetSubscriptionState", "AccessDeniedException", "no"), "shield:GetSubscriptionState"),
        (v2("Resource Groups Tagging API", "GetResources", "AccessDeniedException", "no"), "tag:GetResources"),
        (v2("STS", "AssumeRole", "AccessDenied", denied("sts:AssumeRole")), "sts:AssumeRole"),
        # SDK v1 says neither operation nor action for EC2: nothing is guessed
        (
            "UnauthorizedOperation: You are not authorized to perform this operation.\n\tstatus code: 403, request id: "
            "a",
            "",
        ),
        (v2("EC2", "DescribeSubnets", "Throttling", "Rate exceeded"), ""),
    ],
)
def test_denied_action(text: str, action: str) -> None:
    assert decode(text).aws_action == action


def test_several_denials_in_one_text_are_all_named() -> None:
    first = v2("EC2", "DescribeSubnets", "UnauthorizedOperation", denied("ec2:DescribeSubnets"), 403)
    second = v2("EC2", "DescribeVpcs", "UnauthorizedOperation", denied("ec2:DescribeVpcs"), 403)
    found = decode(f"[{first}, {second}]")
    assert found.code == "LBD120"
    assert found.params["aws_actions"] == ("ec2:DescribeSubnets", "ec2:DescribeVpcs")


@pytest.mark.parametrize(
    "text",
    [
        v2("Elastic Load Balancing v2", "DescribeTags", "Throttling", "Rate exceeded"),
        v2("EC2", "DescribeVpcs", "RequestLimitExceeded", "Request limit exceeded.", 503),
        v2("EC2", "DescribeVpcs", "SomethingNew", "oops", 500),
        post("ec2.eu-west-1.amazonaws.com", "dial tcp 1.2.3.4:443: i/o timeout"),
        'Operation cannot be fulfilled on ingresses.networking.k8s.io "web": the object has been modified; please '
        "apply",
        "requeue needed after 2m0s: monitor provisioning state for load balancer: k8s-shop-web",
    ],
)
def test_what_waiting_may_cure(text: str) -> None:
    assert decode(text).retryable


def test_another_components_webhook_is_not_the_controllers() -> None:
    text = webhook("context deadline exceeded", "validate.kyverno.svc-fail").replace(
        "aws-load-balancer-webhook", "kyverno"
    )
    found = decode(f"Failed deploy model due to {text}")
    assert (found.code, found.params["webhook"]) == ("LBD104", "validate.kyverno.svc-fail")


def test_the_kubernetes_api_is_not_an_aws_endpoint() -> None:
    found = decode('Get "https://172.20.0.1:443/api/v1/services": dial tcp 172.20.0.1:443: i/o timeout')
    assert found.code != "LBD123"
    assert found.params["host"] == "172.20.0.1"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Failed build model due to something new", "LBD103"),
        ("Failed deploy model due to something new", "LBD104"),
        ("Failed reconcile due to something new", "LBD109"),
        ("Failed cleanup due to something new", "LBD116"),
        ("Failed remove finalizer due to something new", "LBD116"),
        ("Failed add gateway finalizer due to something new", "LBD104"),
        ("Failed update status due to something new", "LBD104"),
        ("unable to initialize AWS cloud", "LBD102"),
        ("something new", "LBD103"),
        ("", "LBD103"),
    ],
)
def test_unknown_text_keeps_its_stage_and_its_words(text: str, code: str) -> None:
    found = decode(text)
    assert (found.code, found.known, found.raw) == (code, False, text)
    assert found.aws_action == ""


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        ("FailedBuildModel", "Failed build model due to odd", "LBD103"),
        ("FailedDeployModel", "Failed deploy model due to odd", "LBD104"),
        ("BackendNotFound", 'backend not found: Service "web" not found', "LBD115"),
        ("FailedNetworkReconcile", "cannot resolve pod ENI for pods: [shop/web-1]", "LBD109"),
        ("FailedNetworkReconcile", "odd", "LBD109"),
        ("FailedReconcile", "Failed reconcile due to odd", "LBD109"),
        ("ConflictingIngressClass", "both are set", "LBD101"),
        ("FailedLoadGroupID", "failed load groupID due to odd", "LBD103"),
        ("FailedAddFinalizer", "Failed add finalizer due to odd", "LBD104"),
        ("FailedRemoveFinalizer", "Failed remove finalizer due to odd", "LBD116"),
        ("FailedCleanup", "Failed cleanup due to odd", "LBD116"),
        ("SyncLoadBalancerFailed", "Error syncing load balancer: failed to ensure load balancer: odd", "LBD104"),
        ("FailedCreate", "Error creating: " + webhook("context deadline exceeded", "mpod.elbv2.k8s.aws"), "LBD124"),
        ("SuccessfullyReconciled", "Successfully reconciled", ""),
        ("EnsuringLoadBalancer", "Ensuring load balancer", ""),
    ],
)
def test_event_reasons(reason: str, message: str, code: str) -> None:
    assert decode_event(reason, message).code == code


def test_every_stage_and_reason_has_a_code() -> None:
    assert set(STAGE_CODE) == set(Stage)
    assert {STAGE_CODE[stage] for stage in REASON_STAGE.values()} <= {"LBD103", "LBD104", "LBD109", "LBD116"}
    assert set(API_CODES) <= KNOWN_CODES


def test_a_member_of_the_group_is_named() -> None:
    found = decode_event("FailedBuildModel", 'Failed build model due to ingress: other/bad: Service "x" not found')
    assert found.params["ingress"] == "other/bad"


def test_sdk_forms_agree() -> None:
    message = "One or more target groups not found"
    modelled = parse_aws_error(elb("DescribeTargetHealth", "TargetGroupNotFound", message))
    old = parse_aws_error(f"TargetGroupNotFound: {message}\n\tstatus code: 400, request id: {REQUEST}")
    assert modelled is not None
    assert old is not None
    assert (modelled.code, modelled.message, modelled.request_id) == (old.code, old.message, old.request_id)
    assert (modelled.operation, old.operation) == ("DescribeTargetHealth", "")
    assert parse_aws_error("ingress: shop/web: Service web: nothing") is None


PIECES = st.sampled_from(
    [
        "operation error EC2: X, ",
        "https response error StatusCode: 403, RequestID: a, ",
        "api error ",
        "AccessDenied: ",
        "ingress: a/b: ",
        'failed calling webhook "',
        "get credentials: ",
        "conflicting ",
        "got: [",
        'Post "https://',
        ": ",
        "[",
    ]
)


@given(st.one_of(st.text(max_size=400), st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=12).map("".join)))
def test_no_text_raises_and_every_text_gets_a_sentence(text: str) -> None:
    found = decode(text)
    assert isinstance(found, DecodedError)
    assert found.code.startswith("LBD")
    assert found.summary.endswith((".", "?"))
    assert decode_event("FailedDeployModel", text).code.startswith("LBD")


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300)))
def test_no_line_raises(line: str | bytes) -> None:
    parse_log_line(line)
    relevant_errors([line, line])


@settings(max_examples=30, deadline=None)
@given(st.sampled_from("aA: \n\"'[{\\|.x-0/"), st.sampled_from(["", "Aa", "a.", "Ab ", "conflicting a ", "x: "]))
def test_long_hostile_text_is_decoded_in_time(char: str, piece: str) -> None:
    begin = time.monotonic()
    decode((char + piece) * 16_000)
    assert time.monotonic() - begin < 1.0


# --- log lines --------------------------------------------------------------------------------------------------------


def zap(level: str, second: int, msg: str, **fields: Any) -> bytes:
    return orjson.dumps({"level": level, "ts": f"2025-11-23T21:00:{second:02d}Z", "msg": msg, **fields})


def reconciler_error(second: int, controller: str, namespace: str, name: str, error: str) -> bytes:
    """As controller-runtime writes it: the binding's controller is built with a kind, the others with `object`."""
    if controller == "targetGroupBinding":
        ref: dict[str, Any] = {
            "controllerGroup": "elbv2.k8s.aws",
            "controllerKind": "TargetGroupBinding",
            "TargetGroupBinding": {"name": name, "namespace": namespace},
        }
    else:
        ref = {"object": {"name": name, "namespace": namespace}}
    return zap(
        "error",
        second,
        "Reconciler error",
        controller=controller,
        **ref,
        namespace=namespace,
        name=name,
        reconcileID=f"8f0c9a41-1d2e-4a5b-9c3d-1122334455{second:02d}",
        error=error,
    )


TGB = {"name": "k8s-shop-web-0123456789", "namespace": "shop"}
TGB_ARGS = ("targetGroupBinding", "shop", "k8s-shop-web-0123456789")
REGISTER_DENIED = v2(
    "Elastic Load Balancing v2",
    "RegisterTargets",
    "AccessDenied",
    denied("elasticloadbalancing:RegisterTargets", resource=TG_ARN),
    403,
)
TAGGED = (
    "expected exactly one securityGroup tagged with kubernetes.io/cluster/prod for eni eni-0a1b2c3d, got: "
    "[sg-0aaaaaaaa "
    "sg-0bbbbbbbb] (clusterName: prod)"
)


def test_reconciler_error_line() -> None:
    record = parse_log_line(reconciler_error(1, *TGB_ARGS, REGISTER_DENIED))
    assert record is not None
    assert (record.kind, record.namespace, record.name) == ("TargetGroupBinding", "shop", "k8s-shop-web-0123456789")
    assert (record.level, record.controller, record.error) == ("error", "targetGroupBinding", REGISTER_DENIED)
    assert record.time is not None
    assert record.time.isoformat() == "2025-11-23T21:00:01+00:00"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (reconciler_error(1, "ingress", "shop", "web", "x"), ("Ingress", "shop", "web")),
        (reconciler_error(1, "ingress", "", "group-a", "x"), ("IngressGroup", "", "group-a")),
        (reconciler_error(1, "service", "shop", "api", "x"), ("Service", "shop", "api")),
        (
            zap("info", 1, "successfully deployed model", logger="controllers.ingress", ingressGroup="shop/web"),
            ("Ingress", "shop", "web"),
        ),
        (
            zap("info", 1, "successfully deployed model", logger="controllers.ingress", ingressGroup="group-a"),
            ("IngressGroup", "", "group-a"),
        ),
        (
            zap("info", 1, "successfully deployed model", service={"name": "api", "namespace": "shop"}),
            ("Service", "shop", "api"),
        ),
        (zap("info", 1, "Successful reconcile", tgb=TGB, checkpoint="c"), ("TargetGroupBinding", "shop", TGB["name"])),
        (
            zap(
                "error", 1, "Failed to register targets even with availability zone specified.", tgb="shop/a", error="x"
            ),
            ("TargetGroupBinding", "shop", "a"),
        ),
        (
            orjson.dumps(
                {
                    "level": "error",
                    "ts": 1637791538.1922026,
                    "logger": "controller",
                    "msg": "Reconciler error",
                    "reconcilerGroup": "elbv2.k8s.aws",
                    "reconcilerKind": "TargetGroupBinding",
                    "controller": "targetGroupBinding",
                    "name": "a",
                    "namespace": "shop",
                    "error": "x",
                }
            ),
            ("TargetGroupBinding", "shop", "a"),
        ),
    ],
)
def test_object_of_a_line(line: bytes, expected: tuple[str, str, str]) -> None:
    record = parse_log_line(line)
    assert record is not None
    assert (record.kind, record.namespace, record.name) == expected
    assert record.time is not None


def test_other_line_forms() -> None:
    stamped = parse_log_line(b"2025-11-23T21:00:01.123456789Z " + zap("info", 9, "hello"))
    klog = parse_log_line('E1106 16:15:48.244685       1 reflector.go:166] "Unhandled Error" err="cannot list \\"x\\""')
    kubelet_klog = parse_log_line(
        "2025-11-06T16:15:48Z E1106 16:15:48.244685       1 leaderelection.go:340] lost lease"
    )
    v1 = parse_log_line(
        'E0708 21:25:44.916109       1 controller.go:217] kubebuilder/controller "msg"="Reconciler error" '
        '"error"="AuthFailure: no"  "controller"="alb-ingress-controller" "request"={"Namespace":"shop","Name":"web"}'
    )
    std = parse_log_line("2025/01/21 20:49:32 http: TLS handshake error from 10.0.21.244:35898: EOF")
    console = parse_log_line('2025-01-21T20:49:32.000Z\tERROR\tcontrollers.ingress\tReconciler error\t{"error": "x"}')
    assert stamped is not None
    assert stamped.msg == "hello"
    assert klog is not None
    assert (klog.level, klog.msg, klog.error, klog.time) == ("error", "Unhandled Error", 'cannot list "x"', None)
    assert kubelet_klog is not None
    assert kubelet_klog.time is not None
    assert kubelet_klog.msg == "lost lease"
    assert v1 is not None
    assert (v1.msg, v1.error, v1.namespace, v1.name) == ("Reconciler error", "AuthFailure: no", "shop", "web")
    assert std is not None
    assert std.level == "error"
    assert console is not None
    assert (console.level, console.logger, console.error) == ("error", "controllers.ingress", "x")
    assert parse_log_line("") is None
    assert parse_log_line("goroutine 1 [running]:") is None
    assert parse_log_line("{broken") is None
    assert parse_log_line("panic: runtime error: nil") is not None


def test_repetitions_are_one_error_newest_first() -> None:
    other = reconciler_error(9, "service", "shop", "api", "unable to resolve at least one subnet")
    again = REGISTER_DENIED.replace(REQUEST, "00000000-1d2e-4a5b-9c3d-112233445566")
    found = relevant_errors(
        [reconciler_error(1, *TGB_ARGS, REGISTER_DENIED), reconciler_error(5, *TGB_ARGS, again), other]
    )
    assert [(e.name, e.count) for e in found] == [("api", 1), (TGB["name"], 2)]
    denied_error = found[1]
    assert denied_error.decoded.code == "LBD120"
    assert denied_error.decoded.aws_action == "elasticloadbalancing:RegisterTargets"
    assert denied_error.first_seen is not None
    assert denied_error.last_seen is not None
    assert (denied_error.first_seen.second, denied_error.last_seen.second) == (1, 5)
    assert not denied_error.superseded


@pytest.mark.parametrize(
    "success",
    [
        zap("info", 8, "Successful reconcile", tgb=TGB, checkpoint="c"),
        zap("info", 8, "registered targets", arn=TG_ARN, targets=[{"Id": "10.0.1.33", "Port": 80}]),
        zap("info", 8, "Requeue for target monitor target health", tgb=TGB),
        zap("info", 8, "Requeue for networking requeue", tgb=TGB),
    ],
)
def test_a_later_success_of_the_same_object_ends_an_error(success: bytes) -> None:
    (found,) = relevant_errors([reconciler_error(1, *TGB_ARGS, REGISTER_DENIED), success])
    assert found.superseded
    assert found.superseded_at is not None
    assert found.superseded_at.second == 8


@pytest.mark.parametrize(
    "other",
    [
        zap("info", 8, "Successful reconcile", tgb={"name": "another", "namespace": "shop"}),
        zap("info", 8, "registered targets", arn=TG_ARN.replace("web", "api"), targets=[]),
        zap("info", 8, "Skipping targetgroupbinding reconcile", tgb=TGB),
        zap("info", 0, "Successful reconcile", tgb=TGB),
        zap("info", 8, "registering targets", arn=TG_ARN, targets=[]),
        zap("info", 8, "successfully deployed model", logger="controllers.ingress", ingressGroup="shop/web"),
    ],
)
def test_other_lines_do_not_end_it(other: bytes) -> None:
    (found,) = relevant_errors([reconciler_error(1, *TGB_ARGS, REGISTER_DENIED), other])
    assert not found.superseded


def test_an_error_that_comes_back_stands_again() -> None:
    lines = [
        reconciler_error(1, *TGB_ARGS, REGISTER_DENIED),
        zap("info", 3, "Successful reconcile", tgb=TGB),
        reconciler_error(6, *TGB_ARGS, REGISTER_DENIED),
    ]
    (found,) = relevant_errors(lines)
    assert (found.superseded, found.count) == (False, 2)


def network_error(second: int, kind: str = "Pod", text: str = TAGGED) -> bytes:
    msg = f"Requesting network requeue due to error from ReconcileFor{kind}Endpoints"
    return zap("error", second, msg, tgb=TGB, error=text)


def test_a_network_error_outlives_the_pass_that_it_is_part_of() -> None:
    """ip targets: the pass goes on, registers, and ends with a requeue line although the security group was not
    opened."""
    one_pass = [
        network_error(1),
        zap("info", 2, "registered targets", arn=TG_ARN, targets=[]),
        zap("info", 3, "Requeue for target monitor target health", tgb=TGB),
    ]
    (standing,) = relevant_errors(one_pass)
    (over,) = relevant_errors([*one_pass, zap("info", 9, "Requeue for target monitor target health", tgb=TGB)])
    assert (standing.decoded.code, standing.superseded) == ("LBD505", False)
    assert over.superseded
    (requeued,) = relevant_errors([network_error(1), zap("info", 2, "Requeue for networking requeue", tgb=TGB)])
    assert not requeued.superseded


def test_a_network_error_with_other_words_replaces_the_former() -> None:
    """Seen in the lab: the pods that have no interface change from pass to pass while a Deployment goes away."""
    requeue = "Requeue for networking requeue"
    lines = [
        network_error(1, text="cannot resolve pod ENI for pods: [shop/web-1 shop/web-2]"),
        zap("info", 2, requeue, tgb=TGB),
        network_error(3, text="cannot resolve pod ENI for pods: [shop/web-2]"),
        zap("info", 4, requeue, tgb=TGB),
    ]
    latest, former = relevant_errors(lines)
    assert (latest.superseded, former.superseded) == (False, True)
    gone = zap("info", 5, "deleted targetGroupBinding", targetGroupBinding=TGB)
    assert all(error.superseded for error in relevant_errors([*lines, gone]))


def test_one_failure_said_twice_counts_once() -> None:
    """Instance targets: the same error is logged by the binding's manager and again by controller-runtime."""
    lines = [network_error(1, "NodePort"), reconciler_error(1, *TGB_ARGS, TAGGED)]
    (found,) = relevant_errors(lines)
    assert (found.count, found.msg) == (1, "Reconciler error")


def built(second: int, stack: str) -> bytes:
    return zap(
        "info",
        second,
        "successfully built model",
        logger="controllers.ingress",
        model=f'{{"id":"{stack}","resources":{{}}}}',
    )


def test_build_and_deploy_are_told_apart_by_the_model_line() -> None:
    (deploy,) = relevant_errors([built(1, "shop/web"), reconciler_error(2, "ingress", "shop", "web", "odd")])
    (build,) = relevant_errors([reconciler_error(2, "ingress", "shop", "web", "odd")])
    assert (deploy.decoded.code, build.decoded.code) == ("LBD104", "LBD103")


def test_a_built_model_ends_build_errors_only() -> None:
    lines = [
        reconciler_error(1, "ingress", "", "group-a", 'ingress: shop/web: Service "x" not found'),
        built(2, "group-a"),
        reconciler_error(3, "ingress", "", "group-a", "odd"),
    ]
    deploy, build = relevant_errors(lines)
    assert (build.superseded, build.superseded_by) == (True, "successfully built model")
    assert (deploy.superseded, deploy.decoded.code) == (False, "LBD104")
    assert all(
        e.superseded
        for e in relevant_errors([*lines, zap("info", 9, "successfully deployed model", ingressGroup="group-a")])
    )


@pytest.mark.parametrize("controller", ["service", "gateway.k8s.aws/alb", "gateway.k8s.aws/nlb"])
def test_a_built_model_is_told_by_the_controllers_own_logger(controller: str) -> None:
    """Loggers are named after the controller, whose name has dots for Gateways."""
    model = zap(
        "info",
        2,
        "successfully built model",
        logger=f"controllers.{controller}",
        model='{"id":"shop/web","resources":{}}',
    )
    lines = [
        reconciler_error(1, controller, "shop", "web", "unable to resolve at least one subnet"),
        model,
        reconciler_error(3, controller, "shop", "web", "odd"),
    ]
    deploy, build = relevant_errors(lines)
    assert (build.superseded, deploy.superseded, deploy.decoded.code) == (True, False, "LBD104")


def test_start_errors_and_noise() -> None:
    start = zap(
        "error",
        1,
        "unable to initialize AWS cloud",
        logger="setup",
        error="failed to get VPC ID: failed to fetch VPC ID from instance metadata: canceled",
    )
    noise: list[bytes | str] = [
        "2025/11/23 21:00:01 http: TLS handshake error from 10.0.21.244:35898: EOF",
        reconciler_error(
            2,
            "ingress",
            "shop",
            "web",
            'Operation cannot be fulfilled on ingresses.networking.k8s.io "web": the object has been modified',
        ),
    ]
    (found,) = relevant_errors([start, *noise])
    assert (found.decoded.code, found.superseded) == ("LBD122", False)
    (over,) = relevant_errors([start, zap("info", 4, "starting podInfo repo", logger="setup")])
    assert over.superseded


def test_a_mirrored_event_is_the_same_error() -> None:
    error = 'ingress: shop/web: Service "x" not found'
    event = zap(
        "debug",
        1,
        f"Failed build model due to {error}",
        logger="events",
        type="Warning",
        reason="FailedBuildModel",
        object={"kind": "Ingress", "namespace": "shop", "name": "web", "apiVersion": "networking.k8s.io/v1"},
    )
    (found,) = relevant_errors([event, reconciler_error(1, "ingress", "shop", "web", error)])
    assert (found.count, found.decoded.code, found.kind) == (1, "LBD106", "Ingress")


def test_lines_of_two_pods_are_ordered_by_time() -> None:
    lines = [zap("info", 8, "Successful reconcile", tgb=TGB), reconciler_error(1, *TGB_ARGS, REGISTER_DENIED)]
    (found,) = relevant_errors(lines)
    assert found.superseded


def test_normalise_drops_what_differs_at_each_attempt() -> None:
    one = (
        post("ec2.amazonaws.com", "read tcp 10.0.0.1:40000->1.2.3.4:443: connection reset by peer") + " RequestID: a-1"
    )
    two = one.replace("40000", "50001").replace("a-1", "b-2")
    assert normalise(one) == normalise(two)


def test_significant_lines_decode_like_the_whole_log() -> None:
    from kubectl_lbdoctor.knowledge.controller_logs import relevant_errors, significant

    model = r"{\"id\":\"shop/web\",\"resources\":{}}" + "x" * 5000
    log = "\n".join(
        (
            '{"level":"info","ts":"2026-11-23T10:00:00Z","msg":"creating targetGroup"}',
            '{"level":"error","ts":"2026-11-23T10:00:01Z","msg":"Reconciler error","controller":"ingress",'
            '"namespace":"shop","name":"web","error":"ingress: shop/web: multiple ingress defined default backend"}',
            '{"level":"info","ts":"2026-11-23T10:00:02Z","logger":"controllers.ingress",'
            f'"msg":"successfully built model","model":"{model}"}}',
        )
    )
    short = significant(log)
    assert len(short) < 1000 and "creating targetGroup" not in short
    assert relevant_errors(short.splitlines()) == relevant_errors(log.splitlines())
    assert relevant_errors(short.splitlines())[0].superseded


def test_lines_about_other_objects_are_dropped() -> None:
    from kubectl_lbdoctor.knowledge.controller_logs import concerning

    lines = [
        '{"level":"error","msg":"Reconciler error","namespace":"shop","name":"web","error":"x"}',
        '{"level":"error","msg":"Reconciler error","namespace":"other","name":"api","error":"x"}',
        '{"level":"error","logger":"setup","msg":"unable to initialize AWS cloud","error":"no region"}',
        '{"level":"error","msg":"Reconciler error","namespace":"","name":"team","error":"x"}',
    ]
    assert concerning("\n".join(lines), ["shop", "team", ""]).splitlines() == [lines[0], lines[2], lines[3]]
