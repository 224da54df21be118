"""The raw objects of a healthy example: one Ingress `shop/web` behind an ALB with ip targets, its controller, two nodes
and their kube-proxy.

The world is one in which every read of `model.reads` is really made: what no healthy diagnosis needs cannot fail.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from tests.support import certificates

NS = "shop"
LONG_AGO = "2026-11-23T08:00:00Z"
REGION = "us-west-2"

Raw = dict[str, Any]


def meta(name: str, namespace: str = NS, **values: Any) -> Raw:
    uid = f"{namespace}-{name}"
    return {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": LONG_AGO, "generation": 1, **values}


def _conditions(*kinds: str) -> list[Raw]:
    return [{"type": kind, "status": "True", "lastTransitionTime": LONG_AGO} for kind in kinds]


def pod(name: str, node: int, address: str, owner: str, namespace: str = NS, **values: Any) -> Raw:
    """A running, ready pod."""
    container = {
        "name": "app",
        "image": "registry.example/app:1",
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
        **values.pop("container", {}),
    }
    status = {
        "name": "app",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": LONG_AGO}},
    }
    references = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "controller": True}]
    return {
        "metadata": meta(name, namespace, labels=values.pop("labels"), ownerReferences=references),
        "spec": {"nodeName": f"node{node}", "containers": [container], **values.pop("spec", {})},
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": f"10.0.{node}.10",
            "startTime": LONG_AGO,
            "conditions": _conditions("PodScheduled", "ContainersReady", "Ready"),
            "containerStatuses": [status],
        },
    }


def workload(name: str, namespace: str, replicas: int, labels: dict[str, str], spec: Raw | None = None) -> Raw:
    """A Deployment or ReplicaSet with all its pods ready."""
    return {
        "metadata": meta(name, namespace, labels=labels),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec or {"containers": [{"name": "app"}]}},
        },
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "readyReplicas": replicas,
            "updatedReplicas": replicas,
            "availableReplicas": replicas,
            "conditions": _conditions("Available"),
        },
    }


def _node(number: int, instance: str) -> Raw:
    zone = f"{REGION}{'ac'[number - 1]}"
    labels = {"topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": REGION}
    return {
        "metadata": {"name": f"node{number}", "uid": f"node{number}", "creationTimestamp": LONG_AGO, "labels": labels},
        "spec": {"providerID": f"aws:///{zone}/{instance}"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": f"10.0.{number}.10"}],
            "conditions": _conditions("Ready"),
            "nodeInfo": {"kubeletVersion": "v1.34.4"},
        },
    }


def _slice(name: str, service: str, namespace: str, port: int, pods: Iterable[tuple[str, str, int]]) -> Raw:
    return {
        "metadata": meta(name, namespace, labels={"kubernetes.io/service-name": service}),
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": f"node{node}",
                "targetRef": {"kind": "Pod", "name": pod_name, "namespace": namespace},
            }
            for pod_name, address, node in pods
        ],
    }


CONTROLLER_LABELS = {
    "app.kubernetes.io/name": "aws-load-balancer-controller",
    "app.kubernetes.io/instance": "aws-load-balancer-controller",
}
CONTROLLER_LOG = (
    '{"level":"info","ts":"2026-11-23T08:00:10Z","logger":"controllers.ingress",'
    '"msg":"successfully deployed model","ingressGroup":"shop/web"}\n'
)


PRIVATE_KEY = "the private key, which nobody may ever see"
_FAR = datetime(2126, 1, 1, tzinfo=timezone.utc)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _controller() -> dict[tuple[str, str], list[Raw]]:
    """A controller as its chart 1.17 installs it, at work for four hours."""
    name = "aws-load-balancer-controller"
    container = {
        "name": name,
        "image": f"public.ecr.aws/eks/{name}:v2.17.1",
        "args": ["--cluster-name=lab", "--ingress-class=alb", f"--aws-region={REGION}"],
        "ports": [{"containerPort": 9443, "name": "webhook-server", "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 61779, "scheme": "HTTP"}},
        "env": [
            {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::123456789012:role/lbc"},
            {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"},
        ],
    }
    volume = {"name": "cert", "secret": {"secretName": "aws-load-balancer-tls", "defaultMode": 420}}
    spec = {"serviceAccountName": name, "containers": [container], "volumes": [volume]}
    tls = {"tls.crt": _base64(certificates.leaf(1, "ec", ends=_FAR)), "tls.key": _base64(PRIVATE_KEY)}
    pods = [(f"{name}-abc-{n}", f"10.0.{n}.9", n) for n in (1, 2)]
    raw_pods = [
        pod(
            pod_name,
            node,
            address,
            f"{name}-abc",
            "kube-system",
            labels={**CONTROLLER_LABELS, "pod-template-hash": "abc"},
            container=container,
            spec={"serviceAccountName": name},
        )
        for pod_name, address, node in pods
    ]
    for raw in raw_pods:
        raw["status"]["containerStatuses"][0]["name"] = name
    account = meta(
        name, "kube-system", annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/lbc"}
    )
    hook = {
        "name": "mtargetgroupbinding.elbv2.k8s.aws",
        "failurePolicy": "Fail",
        "clientConfig": {
            "caBundle": _base64(certificates.authority(1, "ec", ends=_FAR)),
            "service": {"namespace": "kube-system", "name": "aws-load-balancer-webhook-service", "port": 443},
        },
    }
    webhook = {"metadata": {"name": "aws-load-balancer-webhook", "uid": "webhook"}, "webhooks": [hook]}
    return {
        ("apps", "deployments"): [workload(name, "kube-system", 2, CONTROLLER_LABELS, spec)],
        ("", "pods"): raw_pods,
        ("", "serviceaccounts"): [{"metadata": account}],
        ("", "secrets"): [
            {"metadata": meta("aws-load-balancer-tls", "kube-system"), "type": "kubernetes.io/tls", "data": tls}
        ],
        ("", "services"): [
            {
                "metadata": meta("aws-load-balancer-webhook-service", "kube-system"),
                "spec": {
                    "type": "ClusterIP",
                    "selector": CONTROLLER_LABELS,
                    "ports": [{"port": 443, "protocol": "TCP", "targetPort": 9443}],
                },
                "status": {"loadBalancer": {}},
            }
        ],
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): [webhook],
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): [],
        ("discovery.k8s.io", "endpointslices"): [
            _slice("webhook-x1", "aws-load-balancer-webhook-service", "kube-system", 9443, pods)
        ],
    }


def _kube_proxy() -> dict[tuple[str, str], list[Raw]]:
    """kube-proxy as EKS installs it, on both nodes."""
    labels = {"k8s-app": "kube-proxy"}
    daemons = workload("kube-proxy", "kube-system", 2, labels)
    daemons["status"] = {"observedGeneration": 1, "desiredNumberScheduled": 2, "numberReady": 2, "numberAvailable": 2}
    pods = [
        pod(
            f"kube-proxy-x{n}",
            n,
            f"10.0.{n}.10",
            "kube-proxy",
            "kube-system",
            labels=labels,
            spec={"hostNetwork": True},
        )
        for n in (1, 2)
    ]
    return {("apps", "daemonsets"): [daemons], ("", "pods"): pods}


def healthy_objects(group_arn: str, host: str, instances: tuple[str, str]) -> dict[tuple[str, str], list[Raw]]:
    """Everything of a healthy `shop/web` whose target group, load balancer and nodes' instances are given, by
    (API group, resource)."""
    labels = {"app": "web"}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    pods = [("web-abc-1", "10.0.1.34", 1), ("web-abc-2", "10.0.2.34", 2)]
    stack = {"ingress.k8s.aws/stack-namespace": NS, "ingress.k8s.aws/stack-name": "web"}
    event = {
        "metadata": meta("web.1"),
        "involvedObject": {"kind": "Ingress", "name": "web", "namespace": NS},
        "type": "Normal",
        "reason": "SuccessfullyReconciled",
        "message": "Successfully reconciled",
        "count": 1,
        "firstTimestamp": LONG_AGO,
        "lastTimestamp": LONG_AGO,
        "source": {"component": "ingress"},
    }
    objects: dict[tuple[str, str], list[Raw]] = {
        ("", "namespaces"): [{"metadata": {"name": n, "uid": n}} for n in (NS, "default", "kube-system")],
        ("", "services"): [
            {
                "metadata": meta("web"),
                "spec": {
                    "type": "ClusterIP",
                    "selector": labels,
                    "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
                },
                "status": {"loadBalancer": {}},
            }
        ],
        ("", "pods"): [
            pod(name, node, address, "web-abc", labels={**labels, "pod-template-hash": "abc"})
            for name, address, node in pods
        ],
        ("", "nodes"): [_node(n, instance) for n, instance in enumerate(instances, 1)],
        ("", "events"): [event],
        ("apps", "deployments"): [workload("web", NS, 2, labels)],
        ("apps", "replicasets"): [workload("web-abc", NS, 2, {**labels, "pod-template-hash": "abc"})],
        ("apps", "statefulsets"): [],
        ("apps", "daemonsets"): [],
        ("discovery.k8s.io", "endpointslices"): [_slice("web-x1", "web", NS, 8080, pods)],
        ("networking.k8s.io", "ingresses"): [
            {
                "metadata": meta(
                    "web",
                    annotations={
                        "alb.ingress.kubernetes.io/target-type": "ip",
                        "alb.ingress.kubernetes.io/healthcheck-path": "/healthz",
                    },
                    finalizers=["ingress.k8s.aws/resources"],
                ),
                "spec": {
                    "ingressClassName": "alb",
                    "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
                },
                "status": {"loadBalancer": {"ingress": [{"hostname": host}]}},
            }
        ],
        ("networking.k8s.io", "ingressclasses"): [
            {"metadata": {"name": "alb", "uid": "alb"}, "spec": {"controller": "ingress.k8s.aws/alb"}}
        ],
        ("networking.k8s.io", "networkpolicies"): [],
        ("elbv2.k8s.aws", "ingressclassparams"): [],
        ("elbv2.k8s.aws", "targetgroupbindings"): [
            {
                "metadata": meta("k8s-shop-web-fdbb6ec3c4", labels=stack),
                "spec": {
                    "targetGroupARN": group_arn,
                    "targetType": "ip",
                    "serviceRef": {"name": "web", "port": 80},
                    "networking": {"ingress": []},
                },
                "status": {"observedGeneration": 1},
            }
        ],
    }
    for key, items in (*_controller().items(), *_kube_proxy().items()):
        objects[key] = [*objects.get(key, []), *items]
    return objects
