"""Faults of which the Kubernetes API refuses what the controller writes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.e2e.scenarios import Scenario, event
from tests.lab import examples
from tests.lab.api import Lab

_BINDINGS = "targetgroupbindings.elbv2.k8s.aws"


@contextmanager
def _no_more_bindings(lab: Lab, ns: str) -> Iterator[None]:
    """The namespace may hold no TargetGroupBinding, by a quota that counts objects."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "objects"}}
    lab.apply({**quota, "spec": {"hard": {f"count/{_BINDINGS}": "0"}}}, ns)
    lab.kubectl("wait", "resourcequota/objects", "-n", ns, f"--for=jsonpath={{.status.hard.count/{_escaped()}}}=0")
    yield


def _escaped() -> str:
    return _BINDINGS.replace(".", "\\.")


@contextmanager
def _labels_of_owners(lab: Lab, ns: str) -> Iterator[None]:
    """A ValidatingAdmissionPolicy wants a label of every TargetGroupBinding of the namespace."""
    name = f"owners-of-{ns}"
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rule = {
        "apiGroups": ["elbv2.k8s.aws"],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["targetgroupbindings"],
    }
    label = "has(object.metadata.labels) && 'owner' in object.metadata.labels"
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": label, "message": "every object needs the label owner"}],
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": here}
    lab.apply({**api, "kind": "ValidatingAdmissionPolicy", "spec": policy}, ns)
    lab.apply({**api, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding}, ns)
    time.sleep(10)  # The API server compiles policies in the background.
    try:
        yield
    finally:
        lab.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


@contextmanager
def _patched(lab: Lab, kind: str, name: str, path: str, value: object, usual: object) -> Iterator[None]:
    """A field of an object without a namespace is another one for a while."""

    def write(said: object) -> None:
        patch = json.dumps([{"op": "replace", "path": path, "value": said}])
        lab.kubectl("patch", kind, name, "--type=json", "-p", patch)

    write(value)
    time.sleep(3)  # The API server reads its configurations again in the background.
    try:
        yield
    finally:
        write(usual)


@contextmanager
def _webhook_of_another_release(lab: Lab, ns: str) -> Iterator[None]:
    """The webhook for TargetGroupBindings has a path that the running controller does not know."""
    name = "aws-load-balancer-webhook"
    hooks = [hook["name"] for hook in lab.get("mutatingwebhookconfiguration", name)["webhooks"]]
    number = hooks.index("mtargetgroupbinding.elbv2.k8s.aws")
    where, path = f"/webhooks/{number}/clientConfig/service/path", "/mutate-elbv2-k8s-aws-{}-targetgroupbinding"
    with _patched(lab, "mutatingwebhookconfiguration", name, where, path.format("v2"), path.format("v1beta1")):
        yield


@contextmanager
def _older_definition(lab: Lab, ns: str) -> Iterator[None]:
    """The definition of TargetGroupBindings does not know the protocol that the controller writes."""
    versions = lab.get("customresourcedefinition", _BINDINGS)["spec"]["versions"]
    number = next(i for i, version in enumerate(versions) if version["name"] == "v1beta1")
    spec = versions[number]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    usual = spec["targetGroupProtocol"]["enum"]
    known = [protocol for protocol in usual if protocol != "HTTP"]
    where = f"/spec/versions/{number}/schema/openAPIV3Schema/properties/spec/properties/targetGroupProtocol/enum"
    with _patched(lab, "customresourcedefinition", _BINDINGS, where, known, usual):
        yield


OF_ALL: Sequence[Scenario] = [
    Scenario(
        "webhook-of-another-release",
        examples.alb_ip,
        ["LBD124"],
        event("FailedDeployModel", "could not find the requested resource"),
        around=_webhook_of_another_release,
        object="Service/aws-load-balancer-webhook-service",
        says=["what answers the API server does not serve webhook mtargetgroupbinding.elbv2.k8s.aws"],
    ),
    Scenario(
        "definitions-of-an-older-release",
        examples.alb_ip,
        ["LBD104"],
        event("FailedDeployModel", "is invalid"),
        around=_older_definition,
        object=f"CustomResourceDefinition/{_BINDINGS}",
        says=["Kubernetes refuses its spec.targetGroupProtocol"],
    ),
]
"""What the whole cluster shares is at fault."""

SCENARIOS: Sequence[Scenario] = [
    Scenario(
        "quota-of-bindings-used-up",
        examples.alb_ip,
        ["LBD104"],
        event("FailedDeployModel", "exceeded quota"),
        around=_no_more_bindings,
        object="ResourceQuota/objects",
        says=["ResourceQuota objects is used up"],
    ),
    Scenario(
        "admission-policy-refuses-bindings",
        examples.nlb_ip,
        ["LBD104"],
        event("FailedDeployModel", "denied request"),
        subject="svc/web",
        around=_labels_of_owners,
        says=["admission policy owners-of-", "every object needs the label owner"],
    ),
]
