"""Which object sets what the controller complains of: a class, its parameters, a group member, a configuration?"""

from __future__ import annotations

from dataclasses import replace

from kubectl_lbdoctor.analysis.controller_complaints import Complaint
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.ingress_backends import is_class_of, known_members
from kubectl_lbdoctor.analysis.quoted_settings import quoted_setting
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef
from kubectl_lbdoctor.model.traffic_path import TrafficPath

READS = (reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS, *GATEWAY_READS, reads.INGRESSES, reads.SERVICES)


SHARED_SETTINGS = {
    "scheme": "scheme",
    "load balancer name": "load-balancer-name",
    "IPAddressType": "ip-address-type",
    "subnets": "subnets",
    "securityGroups": "security-groups",
    "CustomerOwnedIPv4Pool": "customer-owned-ipv4-pool",
    "WAFv2 WebACL ARNs": "wafv2-acl-arn",
    "WAFv2 WebACL names": "wafv2-acl-name",
    "WAFClassic WebACL IDs": "waf-acl-id",
    "enable shield advanced protection": "shield-advanced-protection",
    "sslRedirect port": "ssl-redirect",
}
"""What members of an IngressGroup may not say differently, by the name that the controller gives it, with its
annotation. https://github.com/kubernetes-sigs/aws-load-balancer-controller/tree/main/pkg/ingress (model_builder.go, and
model_build_load_balancer.go with its neighbours)"""


def with_members(traffic: TrafficPath, finding: Finding, entry: Complaint) -> Finding:
    """The finding with what each member of the IngressGroup says of a setting, a tag or an attribute that they do not
    agree on: the controller names the values, and not who has which."""
    key, shared = entry.param("key"), SHARED_SETTINGS.get(entry.param("setting"), "")
    wanted = key or shared
    members = known_members(traffic.snapshot, traffic.group) if wanted else ()
    said = [
        Evidence(f"ingress/{member.meta.name} -n {member.meta.namespace}", f"{name}: {value[:300]}")
        for member in members
        for name, value in sorted(member.meta.annotations.items())
        if name == ALB_PREFIX + shared or (key and name.startswith(ALB_PREFIX) and key in keys_of(value))
    ]
    if len({entry.source for entry in said}) < 2:
        return finding
    return replace(finding, evidence=(*finding.evidence, *said), advice=f"let the members say one value for {wanted}")


def keys_of(pairs: str) -> set[str]:
    """The keys of a value of the form "key=value,key=value", also where AWS or the controller refuses it."""
    return {part.partition("=")[0].strip() for part in pairs.split(",")}


def where_it_is_set(traffic: TrafficPath, finding: Finding) -> Finding:
    """The finding at the object that sets the value which the message quotes, where one is known that does."""
    said = quoted_setting(traffic, finding.object, " ".join(entry.text for entry in finding.evidence))
    if said is None or finding.advice:
        return finding
    shown = Evidence(str(said.ref), f"{said.place}: {', '.join(said.values)}")
    advice = f"correct {said.place} of {said.ref}, or what it asks for in AWS"
    return replace(finding, object=said.ref, evidence=(*finding.evidence, shown), advice=advice)


def at_what_refuses(finding: Finding, entry: Complaint) -> Finding:
    """The finding at the object that keeps Kubernetes from taking what the controller writes: a quota, an admission
    policy, a namespace that goes, a custom resource definition.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/,
    https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
    """
    namespace = finding.object.namespace
    if quota := entry.param("quota"):
        ref = ObjectRef("ResourceQuota", namespace, quota)
        limited = entry.param("quota_limited").partition("=")[0]
        advice = f"raise {limited} of ResourceQuota {quota}, or remove what it counts"
        return _moved(finding, ref, ("describe", "resourcequota", quota), advice)
    if policy := entry.param("admission_policy"):
        ref = ObjectRef("ValidatingAdmissionPolicy", "", policy)
        advice = f"let {policy} (binding {entry.param('policy_binding')}) admit what the controller writes"
        return _moved(finding, ref, ("get", "validatingadmissionpolicy", policy, "-o", "yaml"), advice)
    if webhook := entry.param("refusing_webhook"):
        listed = "custom-columns=NAME:.metadata.name,WEBHOOKS:.webhooks[*].name"
        kinds_of_webhooks = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
        shown = kubectl("get", kinds_of_webhooks, "-o", listed)
        advice = (
            f"let the component of webhook {webhook} admit what the controller writes, or give that what it asks for"
        )
        return replace(finding, confirm=(*finding.confirm, shown), advice=advice)
    if ending := entry.param("ending_namespace"):
        ref = ObjectRef("Namespace", "", ending)
        advice = "make the objects in a namespace that stays; its conditions say what its deletion waits for"
        return _moved(finding, ref, ("get", "namespace", ending, "-o", "yaml"), advice)
    if kind := entry.param("refused_kind"):
        ref = ObjectRef("CustomResourceDefinition", "", f"{kind.lower()}s.{entry.param('refused_group')}")
        advice = "install the custom resource definitions of the controller's own release, which helm upgrade does not"
        return _moved(finding, ref, ("explain", f"{kind.lower()}.{entry.param('refused_field')}"), advice)
    return finding


def _moved(finding: Finding, ref: ObjectRef, confirm: tuple[str, ...], advice: str) -> Finding:
    shown = kubectl(*confirm, namespace=ref.namespace)
    return replace(finding, object=ref, confirm=(*finding.confirm, shown), advice=advice)


def at_its_class(traffic: TrafficPath, finding: Finding, entry: Complaint) -> Finding:
    """The finding at the IngressClass or the IngressClassParams that the controller stumbles over: no Ingress can mend
    those.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/ingress_class/
    """
    ingress, classes = traffic.ingress.peek(), traffic.cluster.ingress_classes.peek()
    missing, unknown = entry.param("missing_parameters"), entry.param("class_of_unknown_parameters")
    named = next((c.meta.name for c in classes or () if ingress is not None and is_class_of(c, ingress)), "")
    if (missing or unknown) and named:
        ref = ObjectRef(kinds.INGRESS_CLASS.name, "", named)
        made = f"make IngressClassParams {missing}, or correct" if missing else "correct"
        return replace(finding, object=ref, by_hand=(kubectl("edit", str(ref)),), advice=f"{made} its spec.parameters")
    if refusing := entry.param("refusing_parameters"):
        ref = ObjectRef(kinds.INGRESS_CLASS_PARAMS.name, "", refusing)
        space = finding.object.namespace
        advice = f"give namespace {space} the labels that spec.namespaceSelector asks for, or let that admit it"
        return replace(
            finding,
            object=ref,
            confirm=(kubectl("get", str(ref), "-o", "yaml"), kubectl("get", "namespace", space, "--show-labels")),
            by_hand=(kubectl("edit", str(ref)),),
            advice=advice,
        )
    return finding
