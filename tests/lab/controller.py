"""The AWS Load Balancer Controller, installed with its own Helm chart as a user would."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from tests.lab import build, cluster, daemons, images, topology
from tests.lab.progress import LabError, wait_until

NAME = "aws-load-balancer-controller"
NAMESPACE = "kube-system"
# The AWS SDK's service ids in its exact spelling: with any other name the controller silently looks for the real AWS.
_SERVICES = ("EC2", "Elastic Load Balancing v2", "ACM", "Resource Groups Tagging API", "STS")


def values(vpc_id: str) -> dict[str, Any]:
    repository, _, tag = images.CONTROLLER.rpartition(":")
    return {
        "clusterName": topology.CLUSTER_NAME,
        "region": topology.REGION,
        "vpcId": vpc_id,
        "replicaCount": 1,
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        # The lab's AWS does not have these.
        "enableShield": False,
        "enableWaf": False,
        "enableWafv2": False,
        "awsApiEndpoints": ",".join(f"{service}={topology.AWS_URL}" for service in _SERVICES),
        "env": {
            "AWS_ACCESS_KEY_ID": topology.CONTROLLER_ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": topology.SECRET_KEY,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        # The chart waits 10 s before it asks for the first time; every start and restart in a test would pay that.
        "readinessProbe": {"initialDelaySeconds": 1, "periodSeconds": 2},
    }


def install(vpc_id: str) -> None:
    home = topology.run_dir() / "helm"
    home.mkdir(exist_ok=True)
    file = home / "values.json"
    file.write_text(json.dumps(values(vpc_id), indent=2))
    command = [
        *(str(build.helm()), "upgrade", "--install", NAME, str(build.controller_chart())),
        *("--namespace", NAMESPACE, "--values", str(file), "--kubeconfig", str(topology.kubeconfig())),
    ]
    # Nothing of the lab goes to the caller's own helm folders, nor theirs into the lab.
    homes = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    log = daemons.log_file("helm")
    with log.open("ab") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **homes})
    if done.returncode:
        lines = [line for line in log.read_text().splitlines() if line.startswith("Error")]
        raise LabError(f"helm cannot install the controller: {lines[-1] if lines else done.returncode}", log)


def wait_ready() -> None:
    """Ready means: its pod is available and the API server reaches its webhooks."""

    def available() -> bool:
        status = cluster.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}").get("status", {})
        return bool(status.get("availableReplicas"))

    log = daemons.log_file("helm")
    failed = lambda: daemons.death(*cluster.CONTROL_PLANE, "aws")  # noqa: E731
    try:
        wait_until("controller available", available, timeout=120, failed=failed, log=log)
        wait_until("controller's webhooks answer", _webhook_answers, timeout=60, failed=failed, log=log)
    except LabError:
        # Its pod says why; keep that beside the daemons' logs.
        said = [
            cluster.kubectl("-n", NAMESPACE, "get", "pods,events", "-o", "wide", check=False),
            cluster.kubectl("-n", NAMESPACE, "logs", f"deployment/{NAME}", "--tail=50", check=False),
        ]
        with log.open("a") as output:
            output.write("\n".join(said))
        raise


def _webhook_answers() -> bool:
    """A Service of type LoadBalancer that is only tried gets its class from the mutating webhook."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "webhook-probe", "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    arguments = ["create", "--dry-run=server", "-f", "-", "-o", "jsonpath={.spec.loadBalancerClass}"]
    return bool(cluster.kubectl(*arguments, stdin=json.dumps(service), check=False).strip())
