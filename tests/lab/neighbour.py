"""A site of somebody else that stays while tests come and go, as in any cluster that is in use.

The controller makes one backend security group for all of a cluster's load balancers and deletes it with the last of
them. Without a neighbour each test would make and delete it, and the controller's cached id of a deleted group would
fail the next test's first reconciliations. Its only answer is the load balancer's own, so that it has no targets and
opens no port of a node.
"""

from __future__ import annotations

import json
from typing import Any

from tests.lab import cluster, examples
from tests.lab.progress import wait_until

NAMESPACE = "neighbour"
_INGRESS = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses/notice"


def _manifests() -> list[dict[str, Any]]:
    answer = {
        "type": "fixed-response",
        "fixedResponseConfig": {"contentType": "text/plain", "statusCode": "200", "messageBody": "back soon"},
    }
    ingress = examples.ingress(
        "notice",
        backends=(("/", "answer", "use-annotation"),),
        annotations={f"{examples.ALB}actions.answer": json.dumps(answer)},
    )
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, ingress]


def install() -> None:
    """Returns once the load balancer is made, and the shared group with it."""
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": _manifests()})
    cluster.kubectl("apply", "--namespace", NAMESPACE, "-f", "-", stdin=items)
    wait_until("neighbour's load balancer", _published, timeout=60)


def _published() -> bool:
    return bool(cluster.get(_INGRESS).get("status", {}).get("loadBalancer", {}).get("ingress"))
