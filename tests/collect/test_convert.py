"""Converters: a full object, and each of its fields missing, null or empty in turn.

Kubernetes leaves out what is empty, and a null means the same as an absent field. Of AWS's answers hardly a field is
documented as always present. Half an object is still evidence: no converter may end in an error over it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from kubectl_lbdoctor.collect import convert_aws, convert_kube, convert_network
from kubectl_lbdoctor.collect.fields import NotUnderstood
from kubectl_lbdoctor.model import aws, k8s, network

META = {
    "name": "web",
    "namespace": "shop",
    "uid": "1",
    "resourceVersion": "7",
    "generation": 2,
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "labels": {"app": "web"},
    "annotations": {"a": "b"},
    "finalizers": ["f"],
    "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "controller": True}],
}
CONDITION = {"type": "Ready", "status": "True", "reason": "r", "message": "m", "lastTransitionTime": "t"}
ADDRESS = {"loadBalancer": {"ingress": [{"hostname": "x.elb.amazonaws.com"}, {"ip": "10.0.0.1"}]}}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
CONTAINER = {
    "name": "web",
    "image": "web:1",
    "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP", "hostPort": 1}],
    "readinessProbe": {
        "httpGet": {
            "port": 8080,
            "path": "/",
            "httpHeaders": [{"name": "Host", "value": "h"}, {"name": "X-A", "value": "1"}],
        }
    },
    "livenessProbe": {"exec": {"command": ["true"]}},
    "startupProbe": {"grpc": {"port": 1}},
    "lifecycle": {"preStop": {"exec": {}}},
    "env": [{"name": "AWS_REGION", "value": "eu"}, {"name": "AWS_ROLE_ARN", "valueFrom": {"fieldRef": {}}}],
    "command": ["web"],
    "args": ["--port=8080"],
    "restartPolicy": "Always",
}
VOLUMES = [
    {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"audience": "sts.amazonaws.com"}}]}},
    {"name": "cert", "secret": {"secretName": "tls"}},
]
TERMINATED = {"exitCode": 1, "reason": "Error", "message": "m", "startedAt": "t", "finishedAt": "t"}
STATUS = {
    "name": "web",
    "ready": True,
    "started": True,
    "restartCount": 1,
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}},
    "lastState": {"terminated": TERMINATED},
    "image": "web:1",
}
WORKLOAD = {
    "metadata": META,
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER], "volumes": VOLUMES}},
    },
    "status": {"readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": 2, "conditions": [CONDITION]},
}
TAGS = [{"Key": "Name", "Value": "web"}]
ACTION = {
    "Type": "forward",
    "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "g", "Weight": 0}]},
    "FixedResponseConfig": {"StatusCode": "404", "MessageBody": "no"},
}
PERMISSION = {
    "IpProtocol": "tcp",
    "FromPort": 80,
    "ToPort": 80,
    "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "d"}],
    "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
    "PrefixListIds": [{"PrefixListId": "pl-1"}],
    "UserIdGroupPairs": [{"GroupId": "sg-2", "PeeringStatus": "active"}],
}
SELECTOR = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}
PEERS = [
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
    {"podSelector": SELECTOR, "namespaceSelector": {}},
]

FULL: dict[str, tuple[Callable[[Any], object], dict[str, Any]]] = {
    "ingress": (
        convert_kube.ingress,
        {
            "metadata": META,
            "spec": {
                "ingressClassName": "alb",
                "defaultBackend": BACKEND,
                "rules": [{"host": "h", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}],
                "tls": [{"hosts": ["h"]}],
            },
            "status": ADDRESS,
        },
    ),
    "ingress_class": (
        convert_kube.ingress_class,
        {"metadata": META, "spec": {"controller": "c", "parameters": {"kind": "k", "name": "n"}}},
    ),
    "ingress_class_params": (convert_kube.ingress_class_params, {"metadata": META, "spec": {"scheme": "internal"}}),
    "service": (
        convert_kube.service,
        {
            "metadata": META,
            "spec": {
                "type": "LoadBalancer",
                "selector": {"app": "web"},
                "ports": [{"port": 80, "name": "http", "targetPort": "http", "nodePort": 30000, "appProtocol": "http"}],
                "clusterIP": "172.20.0.1",
                "ipFamilies": ["IPv4"],
                "loadBalancerSourceRanges": ["10.0.0.0/8"],
                "allocateLoadBalancerNodePorts": True,
                "publishNotReadyAddresses": True,
            },
            "status": {**ADDRESS, "conditions": [CONDITION]},
        },
    ),
    "endpoint_slice": (
        convert_kube.endpoint_slice,
        {
            "metadata": META,
            "addressType": "IPv4",
            "ports": [{"port": 8080, "name": "http", "protocol": "TCP"}],
            "endpoints": [
                {
                    "addresses": ["10.0.0.1"],
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                    "targetRef": {"kind": "Pod", "name": "web-1"},
                    "nodeName": "n",
                    "zone": "z",
                }
            ],
        },
    ),
    "pod": (
        partial(convert_kube.pod, with_args=True),
        {
            "metadata": META,
            "spec": {
                "nodeName": "n",
                "containers": [CONTAINER],
                "initContainers": [CONTAINER],
                "volumes": VOLUMES,
                "readinessGates": [{"conditionType": "target-health.elbv2.k8s.aws/x"}],
            },
            "status": {
                "podIP": "10.0.0.1",
                "podIPs": [{"ip": "10.0.0.1"}],
                "containerStatuses": [STATUS],
                "initContainerStatuses": [STATUS],
                "conditions": [CONDITION],
            },
        },
    ),
    "node": (
        convert_kube.node,
        {
            "metadata": META,
            "spec": {"providerID": "aws:///z/i-1", "taints": [{"key": "k", "effect": "NoSchedule", "value": "v"}]},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n"}],
                "conditions": [CONDITION],
                "nodeInfo": {"kubeletVersion": "v1.33.0"},
            },
        },
    ),
    "target_group_binding": (
        convert_kube.target_group_binding,
        {
            "metadata": META,
            "spec": {
                "targetGroupARN": "arn",
                "targetType": "ip",
                "serviceRef": {"name": "web", "port": 80},
                "nodeSelector": {"matchLabels": {"a": "b"}},
                "networking": {"ingress": [{"from": [], "ports": []}]},
            },
            "status": {"observedGeneration": 2, "conditions": [CONDITION]},
        },
    ),
    "event": (
        convert_kube.event,
        {
            "metadata": META,
            "involvedObject": {"kind": "Pod", "name": "web", "namespace": "shop", "uid": "1"},
            "series": {"count": 2, "lastObservedTime": "t"},
            "source": {"component": "c"},
            "type": "Warning",
            "reason": "r",
            "message": "m",
        },
    ),
    "deployment": (partial(convert_kube.workload, kind="Deployment", with_args=True), WORKLOAD),
    "daemon_set": (partial(convert_kube.workload, kind="DaemonSet", with_args=True), WORKLOAD),
    "tls_certificate": (convert_kube.tls_certificate, {"metadata": META, "data": {"tls.crt": "YQ=="}}),
    "namespace": (convert_kube.namespace, {"metadata": META}),
    "service_account": (convert_kube.service_account, {"metadata": META}),
    "webhooks": (
        convert_kube.webhooks,
        {
            "metadata": META,
            "webhooks": [
                {
                    "name": "m",
                    "failurePolicy": "Fail",
                    "clientConfig": {"caBundle": "YQ==", "service": {"namespace": "n", "name": "s", "port": 443}},
                }
            ],
        },
    ),
    "load_balancer": (
        convert_aws.load_balancer,
        {
            "LoadBalancerArn": "arn",
            "LoadBalancerName": "lb",
            "State": {"Code": "active", "Reason": ""},
            "AvailabilityZones": [{"ZoneName": "a", "SubnetId": "subnet-1"}],
            "SecurityGroups": ["sg-1"],
        },
    ),
    "listener": (
        convert_aws.listener,
        {"ListenerArn": "arn", "Port": 80, "Protocol": "HTTP", "DefaultActions": [ACTION]},
    ),
    "rule": (
        partial(convert_aws.rule, listener_arn="l"),
        {
            "RuleArn": "arn",
            "Priority": "1",
            "Actions": [ACTION],
            "Conditions": [
                {"Field": "host-header", "HostHeaderConfig": {"Values": ["h"]}, "Values": ["h"]},
                {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/"]}, "Values": ["/"]},
            ],
        },
    ),
    "target_group": (
        convert_aws.target_group,
        {
            "TargetGroupArn": "arn",
            "TargetGroupName": "g",
            "Port": 80,
            "LoadBalancerArns": ["lb"],
            "HealthCheckPort": "traffic-port",
            "HealthCheckEnabled": True,
            "HealthCheckIntervalSeconds": 15,
            "Matcher": {"HttpCode": "200"},
        },
    ),
    "target_health": (
        convert_aws.target_health,
        {
            "Target": {"Id": "10.0.0.1", "Port": 80, "AvailabilityZone": "a"},
            "TargetHealth": {"State": "unhealthy", "Reason": "Target.Timeout", "Description": "d"},
            "HealthCheckPort": "80",
            "AdministrativeOverride": {"State": "no_override"},
            "AnomalyDetection": {"Result": "normal"},
        },
    ),
    "attributes": (
        lambda raw: convert_aws.attributes(raw["Attributes"] or []),
        {"Attributes": [{"Key": "k", "Value": "v"}]},
    ),
    "security_group": (
        convert_network.security_group,
        {"GroupId": "sg-1", "Tags": TAGS, "IpPermissions": [PERMISSION], "IpPermissionsEgress": [PERMISSION]},
    ),
    "network_acl": (
        convert_network.network_acl,
        {
            "NetworkAclId": "acl-1",
            "Associations": [{"SubnetId": "subnet-1"}],
            "Entries": [{"RuleNumber": 100, "PortRange": {"From": 1, "To": 2}, "RuleAction": "allow", "Protocol": "6"}],
        },
    ),
    "route_table": (
        convert_network.route_table,
        {
            "RouteTableId": "rtb-1",
            "Associations": [{"SubnetId": "subnet-1", "Main": False}],
            "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}],
        },
    ),
    "subnet": (
        convert_network.subnet,
        {
            "SubnetId": "subnet-1",
            "CidrBlock": "10.0.0.0/24",
            "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "fd00::/64"}],
            "Tags": TAGS,
        },
    ),
    "interface": (
        convert_network.interface,
        {
            "NetworkInterfaceId": "eni-1",
            "PrivateIpAddress": "10.0.0.1",
            "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.2"}],
            "Ipv6Addresses": [{"Ipv6Address": "fd00::1"}],
            "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.1.0/28"}],
            "Ipv6Prefixes": [{"Ipv6Prefix": "fd00::/80"}],
            "Groups": [{"GroupId": "sg-1"}],
            "Attachment": {"InstanceId": "i-1", "DeviceIndex": 0},
        },
    ),
    "prefix_list": (
        lambda raw: convert_network.prefix_list("pl-1", raw["Entries"] or []),
        {"Entries": [{"Cidr": "10.0.0.0/8"}]},
    ),
    "network_policy": (
        convert_network.network_policy,
        {
            "metadata": META,
            "spec": {
                "podSelector": SELECTOR,
                "policyTypes": ["Ingress"],
                "ingress": [{"from": PEERS, "ports": [{"port": 80, "endPort": 90, "protocol": "TCP"}]}],
                "egress": [{"to": PEERS}],
            },
        },
    ),
}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*at, key)
        yield from places(inner, (*at, key))


def damaged(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for place in places(document):
        for how in ("absent", "null", "empty"):
            copied = copy.deepcopy(document)
            holder: Any = copied
            for key in place[:-1]:
                holder = holder[key]
            if how == "absent" and isinstance(holder, dict):
                if len(place) == 1 and place[0] in ("Attributes", "Entries"):
                    continue  # our own wrapping of a list
                del holder[place[-1]]
            elif how == "null" and isinstance(holder, dict):
                holder[place[-1]] = None
            elif how == "null":
                continue  # no API sends a null inside a list
            elif isinstance(holder[place[-1]], (dict, list)):
                holder[place[-1]] = type(holder[place[-1]])()
            else:
                continue
            yield f"{how} {'.'.join(map(str, place))}", copied


@pytest.mark.parametrize("name", FULL)
def test_what_is_missing_is_no_error(name: str) -> None:
    convert, document = FULL[name]
    failed = []
    for what, broken in damaged(document):
        try:
            convert(broken)
        except Exception as error:
            failed.append(f"{what}: {type(error).__name__}: {error}")
    assert failed == []


@pytest.mark.parametrize("name", FULL)
def test_what_is_of_another_type_is_refused_or_not_read(name: str) -> None:
    """No value of another type becomes an empty one, which would say that something is absent: it is refused, or is in
    a field that nobody reads."""
    convert, document = FULL[name]
    untouched = convert(copy.deepcopy(document))
    for place in places(document):
        for odd in (None, 1.5, True, [], {}, [None], "odd", 5):
            copied = copy.deepcopy(document)
            holder: Any = copied
            for key in place[:-1]:
                holder = holder[key]
            before = holder[place[-1]]
            if type(before) is type(odd) or (odd is None and isinstance(holder, dict)):
                continue
            if {type(before), type(odd)} == {int, str} or name == "ingress_class_params" or "networking" in place:
                continue  # an IntOrString; what is kept as it is
            if place in (("Attributes",), ("Entries",)):
                continue  # our own wrapping of a list
            holder[place[-1]] = odd
            try:
                found = convert(copied)
            except (NotUnderstood, AttributeError, TypeError):
                continue
            assert found == untouched, f"{place}: {odd!r} was read as something else"


def test_a_probe_keeps_its_host_and_the_names_of_its_other_headers() -> None:
    found = convert_kube.container(CONTAINER).readiness
    assert found is not None and (found.host_header, found.headers) == ("h", ("x-a",))


def test_a_null_is_an_absent_field() -> None:
    probe = {"httpGet": None, "tcpSocket": {"port": 9}, "exec": None}
    found = convert_kube.container({"name": "a", "readinessProbe": probe}).readiness
    assert found is not None and (found.kind, found.port) == ("tcpSocket", "9")
    assert convert_kube.container({"name": "a", "readinessProbe": {"httpGet": None}}).readiness is None
    env = [{"name": "AWS_REGION", "value": "eu-west-1", "valueFrom": None}]
    assert convert_kube.container({"name": "a", "env": env}).env == {"AWS_REGION": "eu-west-1"}
    binding = convert_kube.target_group_binding({"metadata": META, "spec": {"nodeSelector": None, "networking": None}})
    assert binding.node_selector is None and binding.networking is None
    state = {"waiting": None, "running": {"startedAt": "t"}}
    (status,) = convert_kube.pod(
        {"metadata": META, "status": {"containerStatuses": [{"name": "a", "state": state}]}}
    ).statuses
    assert (status.state, status.since) == ("running", "t")


def test_a_null_selector_is_no_selector() -> None:
    """`podSelector: {}` selects every pod; null leaves it out, and the peer is its ipBlock alone."""
    rule = {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": None, "namespaceSelector": None}]}
    (peer,) = convert_network.network_policy({"metadata": META, "spec": {"ingress": [rule]}}).ingress[0].peers
    assert peer == network.PolicyPeer(cidr="10.0.0.0/8")


def test_names_that_are_missing_are_empty() -> None:
    assert convert_kube.ingress({}) == k8s.Ingress(k8s.Meta(""))
    assert convert_aws.load_balancer({}) == aws.LoadBalancer("")
    assert convert_aws.target_group({}).arn == "" and convert_aws.listener({}).arn == ""
    assert convert_network.subnet({}).id == "" and convert_network.interface({}).id == ""


def test_what_counts_is_kept() -> None:
    action = convert_aws.listener({"DefaultActions": [ACTION]}).actions[0]
    assert action.target_groups == {"g": 0}, "a weight of 0 takes a group out of the traffic"
    assert convert_kube.service({"spec": {}}).type == "ClusterIP"
    assert convert_kube.workload({"spec": {"replicas": 0}}, "Deployment").replicas == 0
    assert convert_kube.workload({"spec": {}}, "Deployment").replicas == 1
    assert convert_network.subnet({"AvailableIpAddressCount": 0}).free_addresses == 0


@pytest.mark.parametrize(
    ("times", "first", "last", "count"),
    [
        ({"firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:09:00Z", "count": 4}, "0", "9", 4),
        ({"eventTime": "2026-01-01T00:03:00.000001Z"}, "3", "3", 1),
        (
            {
                "eventTime": "2026-01-01T00:00:00.5Z",
                "series": {"count": 7, "lastObservedTime": "2026-01-01T00:08:00.1Z"},
                "lastTimestamp": "2026-01-01T00:05:00Z",
                "count": 2,
            },
            *("0", "8", 7),
        ),
        (
            {
                "series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00Z"},
                "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:06:00Z",
            },
            *("0", "6", 2),
        ),
        ({}, "", "2", 1),
        ({"lastTimestamp": None, "eventTime": None, "firstTimestamp": "2026-01-01T00:04:00Z"}, "4", "4", 1),
    ],
)
def test_both_times_and_the_count_of_an_event_whoever_wrote_it(
    times: dict[str, Any], first: str, last: str, count: int
) -> None:
    found = convert_kube.event({"metadata": {"creationTimestamp": "2026-01-01T00:02:00Z"}, **times})
    assert (found.first[15:16], found.last[15:16], found.count) == (first, last, count)
