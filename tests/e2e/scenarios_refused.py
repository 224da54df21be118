"""Faults of which the Kubernetes API refuses what the controller writes."""

from __future__ import annotations

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
