"""The shell commands that findings offer, with everything that comes from the cluster quoted."""

from __future__ import annotations

import json
import shlex

from kubectl_lbdoctor.model.finding import ObjectRef


def shell(*words: str) -> str:
    """One command line; each word is quoted where the shell would take it apart."""
    return " ".join(shlex.quote(word) for word in words)


def _namespaced(namespace: str) -> list[str]:
    return ["-n", namespace] if namespace else []


def kubectl(*words: str, namespace: str = "") -> str:
    return shell("kubectl", *words, *_namespaced(namespace))


def annotate(target: ObjectRef, key: str, value: str) -> str:
    return kubectl("annotate", str(target), f"{key}={value}", "--overwrite", namespace=target.namespace)


def json_patch(target: ObjectRef, operations: list[dict[str, object]]) -> str:
    """A JSON patch; its `test` operation makes it refuse an object that has moved on."""
    return kubectl(
        "patch", str(target), "--type=json", "-p", json.dumps(operations, sort_keys=True), namespace=target.namespace
    )


def describe_target_health(arn: str, region: str) -> str:
    region_words = ["--region", region] if region else []
    return shell("aws", "elbv2", "describe-target-health", "--target-group-arn", arn, *region_words)
