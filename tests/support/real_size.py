"""Kubernetes objects as large as those of a real cluster, as the API server would send them.

A pod that a Helm chart made for a service of ordinary size has a side-car, environment variables, probes, volumes and
annotations: with the managedFields that the server adds it is about 12 KB of JSON. Small test objects hide what such
lists cost and how they travel. Nothing here is a fault: all objects are healthy and legal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]

_REGISTRY = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
_SETTINGS = (
    "LOG_LEVEL", "HTTP_PORT", "SHUTDOWN_GRACE_SECONDS", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME",
    "REDIS_HOST", "KAFKA_BROKERS", "FEATURE_FLAGS_URL", "MAX_CONNECTIONS", "PAYMENT_API_URL",
)  # fmt: skip
_SECRETS = ("DATABASE_URL", "DATABASE_PASSWORD", "SENTRY_DSN")


def digest(*parts: object, length: int = 64) -> str:
    """Hexadecimal digits that are always the same for the same parts."""
    return hashlib.sha256("/".join(str(part) for part in parts).encode()).hexdigest()[:length]


def uid(*parts: object) -> str:
    """A UUID that is always the same for the same parts."""
    hexed = digest("uid", *parts)
    return f"{hexed[:8]}-{hexed[8:12]}-4{hexed[13:16]}-a{hexed[17:20]}-{hexed[20:32]}"


def pod(
    name: str,
    app: str,
    *,
    node: str,
    ip: str,
    node_ip: str,
    time: str,
    namespace: str = "",
    account: str = "default",
    port: int = 8080,
    tolerations: Sequence[Mapping[str, Any]] = (),
) -> Manifest:
    """A running, ready pod of the application `app` on a node; `time` (RFC 3339) is when it was made."""
    made: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/instance": f"{app}-production",
                "app.kubernetes.io/version": "4.17.2",
                "app.kubernetes.io/managed-by": "Helm",
                "team": "commerce",
            },
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "9090",
                "prometheus.io/path": "/metrics",
                "checksum/config": digest("config", app),
                "checksum/secret": digest("secret", app),
                "kubectl.kubernetes.io/restartedAt": time,
            },
        },
        "spec": _pod_spec(app, node, account, port, tolerations),
    }
    if namespace:
        made["metadata"]["namespace"] = namespace
    made["status"] = pod_status(made, ip=ip, node_ip=node_ip, time=time)
    return made


def _pod_spec(app: str, node: str, account: str, port: int, tolerations: Sequence[Mapping[str, Any]]) -> Manifest:
    volumes = [
        {"name": "config", "configMap": {"name": f"{app}-config", "defaultMode": 420, "optional": True}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}},
    ]
    return {
        "serviceAccountName": account,
        "nodeName": node,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "priority": 0,
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001},
        "tolerations": [dict(toleration) for toleration in tolerations],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": app}},
            }
        ],
        "containers": [
            _container("app", f"{_REGISTRY}/{app}:4.17.2", app, ports={"http": port, "metrics": 9090}),
            _container("log-shipper", f"{_REGISTRY}/fluent-bit:3.1.9", app, few=True),
        ],
        "volumes": volumes,
    }


def _container(
    name: str, image: str, app: str, *, ports: Mapping[str, int] | None = None, few: bool = False
) -> Manifest:
    made: Manifest = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": _environment(app)[: 2 if few else None],
        "resources": {
            "requests": {"cpu": "250m", "memory": "512Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/app", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    if ports:
        made["ports"] = [{"name": key, "containerPort": number, "protocol": "TCP"} for key, number in ports.items()]
        for probe, path, period in (("readinessProbe", "/ready", 5), ("livenessProbe", "/live", 10)):
            made[probe] = {
                "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
                "periodSeconds": period,
                "timeoutSeconds": 2,
                "failureThreshold": 3,
                "successThreshold": 1,
            }
    return made


def _environment(app: str) -> list[Manifest]:
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "NODE_NAME": "spec.nodeName"}
    return [
        *({"name": k, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": v}}} for k, v in fields.items()),
        *({"name": k, "value": f"{k.lower()}.{app}.svc.cluster.local"} for k in _SETTINGS),
        *(
            {"name": k, "valueFrom": {"secretKeyRef": {"name": f"{app}-secrets", "key": k.lower(), "optional": True}}}
            for k in _SECRETS
        ),
    ]


def pod_status(made: Mapping[str, Any], *, ip: str, node_ip: str, time: str) -> Manifest:
    """What a kubelet says of a pod all of whose containers run and are ready."""
    spec, name = made["spec"], made["metadata"]["name"]

    def container(raw: Mapping[str, Any], finished: bool) -> Manifest:
        number = f"containerd://{digest('container', name, raw['name'])}"
        running = {"running": {"startedAt": time}}
        done = {
            "terminated": {
                "containerID": number, "exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time,
            }
        }  # fmt: skip
        return {
            "name": raw["name"],
            "image": raw["image"],
            "imageID": f"{raw['image'].partition(':')[0]}@sha256:{digest('image', raw['image'])}",
            "containerID": number,
            "ready": True,
            "started": not finished,
            "restartCount": 0,
            "state": done if finished else running,
            "lastState": {},
        }

    # A gate belongs to its own controller, not to the kubelet.
    types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "qosClass": "Burstable",
        "hostIP": node_ip,
        "hostIPs": [{"ip": node_ip}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": time,
        "conditions": [
            {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": time} for kind in types
        ],
        "initContainerStatuses": [container(raw, True) for raw in spec.get("initContainers", ())],
        "containerStatuses": [container(raw, False) for raw in spec["containers"]],
    }


def node(
    name: str,
    *,
    ip: str,
    zone: str,
    provider_id: str,
    time: str,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Mapping[str, str]] = (),
) -> Manifest:
    """A ready node; `time` (RFC 3339) is when it was made."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/region": zone[:-1],
                "topology.kubernetes.io/zone": zone,
                "failure-domain.beta.kubernetes.io/region": zone[:-1],
                "failure-domain.beta.kubernetes.io/zone": zone,
                **(labels or {}),
            },
            "annotations": {"alpha.kubernetes.io/provided-node-ip": ip},
        },
        "spec": {"providerID": provider_id, "taints": [dict(taint) for taint in taints]},
        "status": node_status(name, ip, time),
    }


def node_status(name: str, ip: str, time: str) -> Manifest:
    """What a kubelet says of its node when all is well."""
    conditions = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
    }
    size = {"cpu": "16", "memory": "63435056Ki", "ephemeral-storage": "83873772Ki", "pods": "110", "hugepages-2Mi": "0"}
    images = [f"{_REGISTRY}/service-{number:02}" for number in range(24)]
    return {
        "capacity": size,
        "allocatable": {**size, "cpu": "15890m"},
        "addresses": [
            {"type": "InternalIP", "address": ip},
            {"type": "Hostname", "address": name},
            {"type": "InternalDNS", "address": name},
        ],
        "conditions": [
            {
                "type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": time, "lastTransitionTime": time,
            }
            for kind, (status, reason, message) in conditions.items()
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": digest("machine", name, length=32),
            "systemUUID": uid("system", name),
            "bootID": uid("boot", name),
            "kernelVersion": "6.1.141-155.222.amzn2023.x86_64",
            "osImage": "Amazon Linux 2023.7.20250623",
            "containerRuntimeVersion": "containerd://1.7.27",
            "kubeletVersion": "v1.34.4-eks-1234567",
            "kubeProxyVersion": "v1.34.4-eks-1234567",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
        "images": [
            {"names": [f"{image}@sha256:{digest('image', image)}", f"{image}:4.17.2"], "sizeBytes": 187654321}
            for image in images
        ],
    }  # fmt: skip


def service(
    name: str, app: str, *, namespace: str = "", port: int = 80, target_port: int | str = "http", **spec: Any
) -> Manifest:
    """A Service in front of the pods of `app`; `spec` is merged in."""
    labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": f"{app}-2.3.1"}
    made: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {
                "meta.helm.sh/release-name": f"{app}-production",
                "meta.helm.sh/release-namespace": namespace or "default",
            },
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {"app.kubernetes.io/name": app},
            "ports": [{"name": "http", "port": port, "targetPort": target_port, "protocol": "TCP"}],
            **spec,
        },
    }
    if namespace:
        made["metadata"]["namespace"] = namespace
    return made
