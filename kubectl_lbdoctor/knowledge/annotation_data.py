"""Annotations that the AWS Load Balancer Controller and the AWS cloud provider read, with what each accepts.

Read by `annotation_catalogue`, which documents the fields; as Python it is parsed once, when it is installed.
Snapshot: AWS Load Balancer Controller 3.5.0 (main @ 225f4456; `releases.NEWEST_KNOWN`), cloud-provider-aws 1.36.1
(@ 63ec440c). What names a later release is from its release notes.

A section has `objects`, the kinds of object on which its annotations are read, and `readers`, who reads them. An entry:

- type, values
- min, max: a number's range, or the length of a string; for health checks the limits of the ELBv2 API, which the
  controller does not test
- default
- since: first controller release that reads it; value-since: the same for single values
- group: "exclusive" when members of an IngressGroup must agree, "merge" when they are combined
- gate: the feature gate without which the controller does not read it
- auto-mode: False when EKS Auto Mode does not support it
- class: IngressClassParams field that overrides it
- twin: the Service annotation that asks a network load balancer for the same thing
- error: what the controller reports for a bad value
- any-case: upper and lower case are the same; bits: size of the integer (32 unless given)
- classic: read for Classic load balancers only; written: set by the controller, never by a person
"""

from __future__ import annotations

from typing import Any

ALIASES: dict[str, dict[str, str]] = {
    "alb.ingress.kubernetes.io/": {
        "security-group-inbound-cidrs": "inbound-cidrs",
        "healthcheck-healthy-threshold": "healthy-threshold-count",
        "healthcheck-healthy-threshold-count": "healthy-threshold-count",
        "healthcheck-unhealthy-threshold": "unhealthy-threshold-count",
        "healthcheck-unhealthy-threshold-count": "unhealthy-threshold-count",
        "healthcheck-success-codes": "success-codes",
        "healthcheck-matcher": "success-codes",
        "matcher": "success-codes",
        "ssl-cert": "certificate-arn",
        "attributes": "load-balancer-attributes",
        "nlb-target-type": "target-type",
    },
    "service.beta.kubernetes.io/": {
        "aws-load-balancer-success-codes": "aws-load-balancer-healthcheck-success-codes",
        "aws-load-balancer-healthcheck-interval-seconds": "aws-load-balancer-healthcheck-interval",
        "aws-load-balancer-healthcheck-timeout-seconds": "aws-load-balancer-healthcheck-timeout",
        "aws-load-balancer-healthy-threshold-count": "aws-load-balancer-healthcheck-healthy-threshold",
        "aws-load-balancer-unhealthy-threshold-count": "aws-load-balancer-healthcheck-unhealthy-threshold",
        "aws-load-balancer-target-type": "aws-load-balancer-nlb-target-type",
        "aws-load-balancer-tags": "aws-load-balancer-additional-resource-tags",
        "aws-load-balancer-certificate-arn": "aws-load-balancer-ssl-cert",
        "aws-load-balancer-ssl-policy": "aws-load-balancer-ssl-negotiation-policy",
        "aws-load-balancer-source-ranges": "load-balancer-source-ranges",
        "load-balancer-source-range": "load-balancer-source-ranges",
        "aws-load-balancer-inbound-cidrs": "load-balancer-source-ranges",
        "aws-load-balancer-load-balancer-attributes": "aws-load-balancer-attributes",
    },
}
"""Names that people write, and the name that is read, by prefix. Spelling variants (case, dashes) need no entry."""

SECTIONS: list[dict[str, Any]] = [
    # Ingress, or a backend Service of an Ingress: the Service wins.
    {
        "prefix": "alb.ingress.kubernetes.io/",
        "objects": ["Ingress", "Service"],
        "readers": ["controller"],
        "annotations": {
            "tags": {
                "type": "map",
                "since": "2.0.0",
                "group": "merge",
                "twin": "aws-load-balancer-additional-resource-tags",
            },
            "target-type": {
                "type": "enum",
                "values": ["instance", "ip"],
                "default": "instance",
                "since": "2.0.0",
                "class": "targetType",
                "twin": "aws-load-balancer-nlb-target-type",
                "error": "unknown targetType: {value}",
                "note": "Auto Mode defaults to ip; the flag --default-target-type changes the default.",
            },
            "backend-protocol": {
                "type": "enum",
                "values": ["HTTP", "HTTPS"],
                "default": "HTTP",
                "since": "2.0.0",
                "error": "backend protocol must be within [HTTP, HTTPS]: {value}",
            },
            "backend-protocol-version": {
                "type": "enum",
                "values": ["HTTP1", "HTTP2", "GRPC"],
                "default": "HTTP1",
                "since": "2.1.0",
                "error": "backend protocol version must be within [HTTP1, HTTP2, GRPC]: {value}",
                "note": "GRPC needs an HTTPS listener and changes the range of success-codes.",
            },
            "target-group-attributes": {
                "type": "map",
                "since": "2.0.0",
                "twin": "aws-load-balancer-target-group-attributes",
            },
            "healthcheck-port": {
                "type": "port",
                "values": ["traffic-port"],
                "min": 1,
                "max": 65535,
                "default": "traffic-port",
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-port",
                "note": "A Service port name means its nodePort (instance) or its numeric targetPort (ip).",
            },
            "healthcheck-protocol": {
                "type": "enum",
                "values": ["HTTP", "HTTPS"],
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-protocol",
                "error": "healthCheckProtocol must be within [HTTP, HTTPS]",
                "note": "Defaults to backend-protocol.",
            },
            "healthcheck-path": {
                "type": "path",
                "max": 1024,
                "default": "/",
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-path",
            },
            "healthcheck-interval-seconds": {
                "type": "int",
                "min": 5,
                "max": 300,
                "default": "15",
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-interval",
                "note": "Must be greater than the timeout; the range is enforced by AWS, not by the controller.",
            },
            "healthcheck-timeout-seconds": {
                "type": "int",
                "min": 2,
                "max": 120,
                "default": "5",
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-timeout",
                "note": "Must be less than the interval.",
            },
            "healthy-threshold-count": {
                "type": "int",
                "min": 2,
                "max": 10,
                "default": "2",
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-healthy-threshold",
            },
            "unhealthy-threshold-count": {
                "type": "int",
                "min": 2,
                "max": 10,
                "default": "2",
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-unhealthy-threshold",
            },
            "success-codes": {
                "type": "codes",
                "min": 200,
                "max": 499,
                "default": "200",
                "since": "2.0.0",
                "twin": "aws-load-balancer-healthcheck-success-codes",
            },
            "auth-type": {
                "type": "enum",
                "values": ["none", "oidc", "cognito"],
                "default": "none",
                "since": "2.0.0",
                "error": "unknown authType: {value}",
            },
            "auth-idp-cognito": {"type": "json", "since": "2.0.0"},
            "auth-idp-oidc": {"type": "json", "since": "2.0.0"},
            "auth-on-unauthenticated-request": {
                "type": "enum",
                "values": ["authenticate", "allow", "deny"],
                "default": "authenticate",
                "since": "2.0.0",
            },
            "auth-scope": {"type": "string", "default": "openid", "since": "2.0.0"},
            "auth-session-cookie": {"type": "string", "default": "AWSELBAuthSessionCookie", "since": "2.0.0"},
            "auth-session-timeout": {"type": "int", "bits": 64, "default": "604800", "since": "2.0.0"},
            "target-node-labels": {
                "type": "map",
                "since": "2.2.0",
                "twin": "aws-load-balancer-target-node-labels",
                "note": "instance targets only.",
            },
            "multi-cluster-target-group": {
                "type": "bool",
                "default": "false",
                "since": "2.10.0",
                "twin": "aws-load-balancer-multi-cluster-target-group",
            },
            "target-control-port.${serviceName}.${servicePort}": {
                "type": "int",
                "min": 1,
                "max": 65535,
                "since": "2.16.0",
                "note": "Read from the Service as well: the controller looks it up in the merged annotations.",
            },
        },
    },
    # Ingress only.
    {
        "prefix": "alb.ingress.kubernetes.io/",
        "objects": ["Ingress"],
        "readers": ["controller"],
        "annotations": {
            "load-balancer-name": {
                "type": "string",
                "max": 32,
                "since": "2.2.0",
                "group": "exclusive",
                "class": "loadBalancerName",
                "twin": "aws-load-balancer-name",
                "error": "load balancer name cannot be longer than 32 characters",
                "note": "Read only when the load balancer is created.",
            },
            "group.name": {
                "type": "string",
                "max": 63,
                "since": "2.0.0",
                "auto-mode": False,
                "class": "group",
                "note": "EKS Auto Mode reads IngressClassParams.group.",
            },
            "group.order": {"type": "int", "min": -1000, "max": 1000, "default": "0", "since": "2.0.0"},
            "ip-address-type": {
                "type": "enum",
                "values": ["ipv4", "dualstack", "dualstack-without-public-ipv4"],
                "default": "ipv4",
                "since": "2.0.0",
                "value-since": {"dualstack-without-public-ipv4": "2.8.0"},
                "group": "exclusive",
                "class": "ipAddressType",
                "twin": "aws-load-balancer-ip-address-type",
                "error": "unknown IPAddressType: {value}",
            },
            "scheme": {
                "type": "enum",
                "values": ["internal", "internet-facing"],
                "default": "internal",
                "since": "2.0.0",
                "group": "exclusive",
                "class": "scheme",
                "twin": "aws-load-balancer-scheme",
                "error": "unknown scheme: {value}",
            },
            "subnets": {
                "type": "list",
                "since": "2.0.0",
                "group": "exclusive",
                "class": "subnets",
                "twin": "aws-load-balancer-subnets",
            },
            "security-groups": {
                "type": "list",
                "since": "2.0.0",
                "group": "exclusive",
                "twin": "aws-load-balancer-security-groups",
                "note": (
                    "Replaces the managed frontend group; backend rules are then managed only with "
                    "manage-backend-security-group-rules."
                ),
            },
            "manage-backend-security-group-rules": {
                "type": "bool",
                "default": "false",
                "since": "2.3.0",
                "group": "exclusive",
                "twin": "aws-load-balancer-manage-backend-security-group-rules",
                "note": "Read only together with security-groups.",
            },
            "customer-owned-ipv4-pool": {"type": "string", "since": "2.1.0", "group": "exclusive"},
            "load-balancer-attributes": {
                "type": "map",
                "since": "2.0.0",
                "group": "exclusive",
                "twin": "aws-load-balancer-attributes",
            },
            "wafv2-acl-arn": {"type": "string", "since": "2.0.0", "group": "exclusive", "class": "wafv2AclArn"},
            "wafv2-acl-name": {
                "type": "string",
                "since": "2.14.0",
                "group": "exclusive",
                "class": "wafv2AclName",
                "note": "Needs wafv2:ListWebACLs, which the controller's published policy lacks.",
            },
            "waf-acl-id": {"type": "string", "since": "2.0.0", "group": "exclusive", "auto-mode": False},
            "web-acl-id": {
                "type": "string",
                "since": "2.0.0",
                "group": "exclusive",
                "auto-mode": False,
                "deprecated": True,
            },
            "shield-advanced-protection": {
                "type": "bool",
                "since": "2.0.0",
                "group": "exclusive",
                "note": (
                    "EKS Auto Mode: on the unsupported list of 2024, but its policy has granted Shield since; not"
                    " judged."
                ),
            },
            "listen-ports": {"type": "json", "min": 1, "max": 65535, "since": "2.0.0", "group": "merge"},
            "ssl-redirect": {
                "type": "int",
                "min": 1,
                "max": 65535,
                "since": "2.2.0",
                "group": "exclusive",
                "class": "sslRedirectPort",
            },
            "inbound-cidrs": {
                "type": "cidrs",
                "default": "0.0.0.0/0",
                "since": "2.0.0",
                "group": "exclusive",
                "class": "inboundCIDRs",
                "twin": "load-balancer-source-ranges",
                "note": "Not read when security-groups is set.",
            },
            "security-group-prefix-lists": {
                "type": "list",
                "since": "2.8.0",
                "group": "exclusive",
                "class": "prefixListsIDs",
                "twin": "aws-load-balancer-security-group-prefix-lists",
                "note": "Not read when security-groups is set.",
            },
            "certificate-arn": {
                "type": "list",
                "since": "2.0.0",
                "group": "merge",
                "class": "certificateArn",
                "twin": "aws-load-balancer-ssl-cert",
            },
            "ssl-policy": {
                "type": "string",
                "default": "ELBSecurityPolicy-2016-08",
                "since": "2.0.0",
                "group": "exclusive",
                "class": "sslPolicy",
                "twin": "aws-load-balancer-ssl-negotiation-policy",
            },
            "jwt-validation": {"type": "json", "since": "2.15.0"},
            "actions.${action-name}": {"type": "json", "since": "2.0.0"},
            "transforms.${transforms-name}": {"type": "json", "since": "2.14.1"},
            "conditions.${conditions-name}": {"type": "json", "since": "2.0.0"},
            "use-regex-path-match": {"type": "bool", "default": "false", "since": "2.14.1"},
            "mutual-authentication": {"type": "json", "since": "2.7.0", "group": "exclusive"},
            "listener-attributes.${Protocol}-${Port}": {"type": "map", "since": "2.9.0", "group": "merge"},
            "minimum-load-balancer-capacity": {
                "type": "map",
                "since": "2.11.0",
                "group": "exclusive",
                "class": "minimumLoadBalancerCapacity",
                "twin": "aws-load-balancer-minimum-load-balancer-capacity",
            },
            "ipam-ipv4-pool-id": {
                "type": "string",
                "since": "2.12.0",
                "group": "exclusive",
                "class": "ipamConfiguration",
            },
            "enable-frontend-nlb": {"type": "bool", "default": "false", "since": "2.13.0", "group": "exclusive"},
            "frontend-nlb-scheme": {
                "type": "enum",
                "values": ["internal", "internet-facing"],
                "default": "internal",
                "since": "2.13.0",
                "group": "exclusive",
                "error": "unknown scheme: {value}",
            },
            "frontend-nlb-subnets": {"type": "list", "since": "2.13.0", "group": "exclusive"},
            "frontend-nlb-security-groups": {"type": "list", "since": "2.13.0", "group": "exclusive"},
            "frontend-nlb-listener-port-mapping": {"type": "map", "since": "2.13.0", "group": "merge"},
            "frontend-nlb-healthcheck-port": {
                "type": "port",
                "values": ["traffic-port"],
                "min": 1,
                "max": 65535,
                "default": "traffic-port",
                "since": "2.13.0",
                "error": "failed to resolve healthCheckPort",
            },
            "frontend-nlb-healthcheck-protocol": {
                "type": "enum",
                "values": ["HTTP", "HTTPS"],
                "default": "HTTP",
                "since": "2.13.0",
                "error": "healthCheckProtocol must be within [HTTP, HTTPS]",
            },
            "frontend-nlb-healthcheck-path": {"type": "path", "max": 1024, "default": "/", "since": "2.13.0"},
            "frontend-nlb-healthcheck-interval-seconds": {
                "type": "int",
                "min": 5,
                "max": 300,
                "default": "15",
                "since": "2.13.0",
            },
            "frontend-nlb-healthcheck-timeout-seconds": {
                "type": "int",
                "min": 2,
                "max": 120,
                "default": "5",
                "since": "2.13.0",
            },
            "frontend-nlb-healthcheck-healthy-threshold-count": {
                "type": "int",
                "min": 2,
                "max": 10,
                "default": "2",
                "since": "2.13.0",
            },
            "frontend-nlb-healthcheck-unhealthy-threshold-count": {
                "type": "int",
                "min": 2,
                "max": 10,
                "default": "2",
                "since": "2.13.0",
            },
            "frontend-nlb-healthcheck-success-codes": {
                "type": "codes",
                "min": 200,
                "max": 599,
                "default": "200",
                "since": "2.13.0",
            },
            "frontend-nlb-tags": {"type": "map", "since": "2.14.0", "group": "exclusive"},
            "frontend-nlb-eip-allocations": {"type": "list", "since": "2.14.0"},
            "frontend-nlb-attributes": {"type": "map", "since": "3.2.0"},
            "frontend-nlb-status-only": {"type": "string", "since": "3.6.0"},
            "create-acm-cert": {"type": "bool", "since": "3.3.0", "gate": "EnableCertificateManagement"},
            "acm-pca-arn": {"type": "string", "since": "3.3.0", "gate": "EnableCertificateManagement"},
            "dry-run-plan": {
                "type": "json",
                "since": "3.4.0",
                "written": True,
                "note": "Written by the controller (feature gate IngressPlanAnnotation).",
            },
        },
    },
    # Service: the AWS Load Balancer Controller and the cloud provider.
    {
        "prefix": "service.beta.kubernetes.io/",
        "objects": ["Service"],
        "readers": ["controller", "cloud-provider"],
        "annotations": {
            "load-balancer-source-ranges": {
                "type": "cidrs",
                "default": "0.0.0.0/0",
                "since": "2.0.0",
                "auto-mode": False,
                "note": "spec.loadBalancerSourceRanges wins; not read when aws-load-balancer-security-groups is set.",
            },
            "aws-load-balancer-type": {
                "type": "enum",
                "values": ["external", "nlb-ip", "nlb"],
                "since": "2.0.0",
                "auto-mode": False,
                "note": (
                    "external and nlb-ip: the controller; nlb or absent: the cloud provider, unless a "
                    "loadBalancerClass is set."
                ),
            },
            "aws-load-balancer-internal": {
                "type": "bool",
                "default": "false",
                "since": "2.0.0",
                "auto-mode": False,
                "deprecated": True,
                "note": "The cloud provider takes every value but false as true.",
            },
            "aws-load-balancer-proxy-protocol": {
                "type": "enum",
                "values": ["*"],
                "since": "2.0.0",
                "auto-mode": False,
                "error": (
                    "invalid value {value} for Load Balancer proxy protocol v2 annotation, only value currently "
                    "supported is *"
                ),
                "note": "Health-check connections carry the header too.",
            },
            "aws-load-balancer-access-log-enabled": {
                "type": "bool",
                "default": "false",
                "since": "2.0.0",
                "auto-mode": False,
                "deprecated": True,
            },
            "aws-load-balancer-access-log-s3-bucket-name": {
                "type": "string",
                "since": "2.0.0",
                "auto-mode": False,
                "deprecated": True,
            },
            "aws-load-balancer-access-log-s3-bucket-prefix": {
                "type": "string",
                "since": "2.0.0",
                "auto-mode": False,
                "deprecated": True,
            },
            "aws-load-balancer-cross-zone-load-balancing-enabled": {
                "type": "bool",
                "default": "false",
                "since": "2.0.0",
                "auto-mode": False,
                "deprecated": True,
            },
            "aws-load-balancer-ssl-cert": {"type": "list", "since": "2.0.0"},
            "aws-load-balancer-ssl-ports": {
                "type": "list",
                "since": "2.0.0",
                "note": (
                    "The controller refuses an entry that is no port of the Service; the cloud provider also accepts *."
                ),
            },
            "aws-load-balancer-ssl-negotiation-policy": {
                "type": "string",
                "default": "ELBSecurityPolicy-2016-08",
                "since": "2.0.0",
            },
            "aws-load-balancer-backend-protocol": {
                "type": "enum",
                "values": ["ssl", "tcp", "http", "https"],
                "any-case": True,
                "default": "tcp",
                "since": "2.0.0",
                "note": "For a network load balancer only ssl changes anything, and only with ssl-cert.",
            },
            "aws-load-balancer-additional-resource-tags": {"type": "map", "since": "2.0.0"},
            "aws-load-balancer-healthcheck-healthy-threshold": {
                "type": "int",
                "min": 2,
                "max": 10,
                "default": "3",
                "since": "2.0.0",
            },
            "aws-load-balancer-healthcheck-unhealthy-threshold": {
                "type": "int",
                "min": 2,
                "max": 10,
                "default": "3",
                "since": "2.0.0",
            },
            "aws-load-balancer-healthcheck-timeout": {
                "type": "int",
                "min": 2,
                "max": 120,
                "default": "10",
                "since": "2.4.6",
            },
            "aws-load-balancer-healthcheck-interval": {
                "type": "int",
                "min": 5,
                "max": 300,
                "default": "10",
                "since": "2.0.0",
                "note": "Must not be less than the timeout.",
            },
            "aws-load-balancer-healthcheck-protocol": {
                "type": "enum",
                "values": ["tcp", "http", "https"],
                "any-case": True,
                "default": "tcp",
                "since": "2.0.0",
                "error": "unsupported health check protocol {value}",
                "note": "Any case; the cloud provider also accepts ssl for a Classic load balancer.",
            },
            "aws-load-balancer-healthcheck-port": {
                "type": "port",
                "values": ["traffic-port"],
                "min": 1,
                "max": 65535,
                "default": "traffic-port",
                "since": "2.0.0",
                "note": "Service port names are resolved by the controller only.",
            },
            "aws-load-balancer-healthcheck-path": {
                "type": "path",
                "max": 1024,
                "default": "/",
                "since": "2.0.0",
                "note": "Used with http and https checks only.",
            },
            "aws-load-balancer-target-group-attributes": {
                "type": "map",
                "since": "2.1.0",
                "note": "The cloud provider knows preserve_client_ip.enabled and proxy_protocol_v2.enabled only.",
            },
            "aws-load-balancer-subnets": {"type": "list", "since": "2.1.0"},
            "aws-load-balancer-eip-allocations": {"type": "list", "since": "2.0.0"},
            "aws-load-balancer-private-ipv4-addresses": {"type": "list", "since": "2.2.0"},
            "aws-load-balancer-target-node-labels": {"type": "map", "since": "2.2.0"},
            "aws-load-balancer-security-groups": {"type": "list", "since": "2.6.0"},
        },
    },
    # Service: the AWS Load Balancer Controller only.
    {
        "prefix": "service.beta.kubernetes.io/",
        "objects": ["Service"],
        "readers": ["controller"],
        "annotations": {
            "aws-load-balancer-nlb-target-type": {
                "type": "enum",
                "values": ["instance", "ip"],
                "default": "instance",
                "since": "2.2.0",
                "note": "Required with type external when no loadBalancerClass is set.",
            },
            "aws-load-balancer-name": {
                "type": "string",
                "max": 32,
                "since": "2.2.0",
                "error": "load balancer name cannot be longer than 32 characters",
            },
            "aws-load-balancer-scheme": {
                "type": "enum",
                "values": ["internal", "internet-facing"],
                "default": "internal",
                "since": "2.2.0",
                "error": "unknown scheme: {value}",
            },
            "aws-load-balancer-proxy-protocol-per-target-group": {"type": "list", "since": "2.13.0"},
            "aws-load-balancer-ip-address-type": {
                "type": "enum",
                "values": ["ipv4", "dualstack"],
                "default": "ipv4",
                "since": "2.1.0",
                "error": "unknown IPAddressType: {value}",
            },
            "aws-load-balancer-healthcheck-success-codes": {
                "type": "codes",
                "min": 200,
                "max": 599,
                "default": "200-399",
                "since": "2.4.6",
                "note": "Used with http and https checks only.",
            },
            "aws-load-balancer-target-group-attributes.${port}": {"type": "map", "since": "2.14.0"},
            "aws-load-balancer-ipv6-addresses": {"type": "list", "since": "2.4.4"},
            "aws-load-balancer-alpn-policy": {
                "type": "enum",
                "values": ["None", "HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred"],
                "default": "None",
                "since": "2.1.0",
                "error": (
                    "invalid ALPN policy {value}, policy must be one of [None, HTTP1Only, HTTP2Only, "
                    "HTTP2Optional, HTTP2Preferred]"
                ),
            },
            "aws-load-balancer-attributes": {"type": "map", "since": "2.3.0"},
            "aws-load-balancer-manage-backend-security-group-rules": {
                "type": "bool",
                "since": "2.4.0",
                "note": (
                    "With security groups on the load balancer it is read only together with "
                    "aws-load-balancer-security-groups."
                ),
            },
            "aws-load-balancer-inbound-sg-rules-on-private-link-traffic": {
                "type": "enum",
                "values": ["on", "off"],
                "since": "2.8.0",
                "error": (
                    "Invalid value for securityGroupsInboundRulesOnPrivateLink status: {value}, value must be one"
                    " of [on, off]"
                ),
            },
            "aws-load-balancer-security-group-prefix-lists": {"type": "list", "since": "2.8.0"},
            "aws-load-balancer-listener-attributes.${Protocol}-${Port}": {"type": "map", "since": "2.9.0"},
            "aws-load-balancer-multi-cluster-target-group": {"type": "bool", "default": "false", "since": "2.10.0"},
            "aws-load-balancer-enable-prefix-for-ipv6-source-nat": {
                "type": "enum",
                "values": ["on", "off"],
                "default": "off",
                "since": "2.10.0",
                "error": "Invalid enable-prefix-for-ipv6-source-nat value: {value}. Valid values are ['on', 'off'].",
            },
            "aws-load-balancer-source-nat-ipv6-prefixes": {"type": "list", "since": "2.10.0"},
            "aws-load-balancer-minimum-load-balancer-capacity": {"type": "map", "since": "2.11.0"},
            "aws-load-balancer-enable-icmp-for-path-mtu-discovery": {
                "type": "enum",
                "values": ["on", "off"],
                "since": "2.12.0",
                "note": "Any value but on is ignored.",
            },
            "aws-load-balancer-enable-tcp-udp-listener": {
                "type": "bool",
                "default": "false",
                "since": "2.13.0",
                "note": "For a Service without it the feature gate EnableTCPUDPListener decides.",
            },
            "aws-load-balancer-disable-nlb-sg": {"type": "bool", "default": "false", "since": "2.14.0"},
            "aws-load-balancer-quic-enabled-ports": {"type": "list", "since": "2.15.0"},
            "actions.${protocol}-${port}": {"type": "json", "since": "2.16.0"},
        },
    },
    # Service: the cloud provider only.
    {
        "prefix": "service.beta.kubernetes.io/",
        "objects": ["Service"],
        "readers": ["cloud-provider"],
        "annotations": {
            "aws-load-balancer-access-log-emit-interval": {
                "type": "int",
                "values": [5, 60],
                "auto-mode": False,
                "classic": True,
            },
            "aws-load-balancer-connection-draining-enabled": {
                "type": "bool",
                "default": "false",
                "auto-mode": False,
                "classic": True,
            },
            "aws-load-balancer-connection-draining-timeout": {
                "type": "int",
                "min": 1,
                "max": 3600,
                "default": "300",
                "auto-mode": False,
                "classic": True,
            },
            "aws-load-balancer-connection-idle-timeout": {
                "type": "int",
                "min": 1,
                "max": 4000,
                "default": "60",
                "auto-mode": False,
                "classic": True,
            },
            "aws-load-balancer-extra-security-groups": {"type": "list", "auto-mode": False, "classic": True},
        },
    },
    # Pods.
    {
        "prefix": "service.beta.kubernetes.io/",
        "objects": ["Pod"],
        "readers": ["controller"],
        "annotations": {
            "aws-load-balancer-quic-enabled-containers": {"type": "list", "since": "2.15.0", "note": "Set on Pods."},
        },
    },
    # Other objects.
    {
        "prefix": "kubernetes.io/",
        "objects": ["Ingress"],
        "readers": ["controller"],
        "annotations": {
            "ingress.class": {"type": "string", "auto-mode": False, "note": "Wins over spec.ingressClassName."},
        },
    },
    {
        "prefix": "ingressclass.kubernetes.io/",
        "objects": ["IngressClass"],
        "readers": ["controller"],
        "annotations": {
            "is-default-class": {"type": "bool", "since": "2.0.0"},
        },
    },
    {
        "prefix": "elbv2.k8s.aws/",
        "objects": ["TargetGroupBinding"],
        "readers": ["controller"],
        "annotations": {
            "checkpoint": {"type": "string", "since": "2.9.1", "written": True},
            "checkpoint-timestamp": {"type": "int", "since": "2.9.1", "written": True},
        },
    },
]
