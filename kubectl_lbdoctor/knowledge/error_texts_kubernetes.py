"""Error texts of the Kubernetes API, about what the controller reads and writes there: its rights, quotas, admission by
others, namespaces that go, custom resource definitions, an API that does not answer.

https://github.com/kubernetes/kubernetes/tree/v1.34.0/staging/src/k8s.io has the texts: apimachinery/pkg/api/errors,
apiserver/pkg/admission (webhooks, ValidatingAdmissionPolicies, quotas, the life cycle of namespaces). See
`error_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubectl_lbdoctor.knowledge.error_rules import ErrorPattern, ParamValue, rule

__all__ = ["KUBERNETES_RULES"]


def _forbidden(params: Mapping[str, ParamValue]) -> str:
    which = f"{params['rbac_resource']} {params.get('object', '')}".strip()
    return f"RBAC does not let it {params['rbac_verb']} {which}."


_FORBIDDEN = (
    r"(?: \"(?P<object>[^\"]*)\")? is forbidden: User \"(?P<rbac_user>[^\"]+)\" cannot (?P<rbac_verb>\w+) resource"
    r"(?: \"(?P<rbac_asked>[^\"]*)\" in API group \"(?P<rbac_group>[^\"]*)\")?"
    r"(?:.* in the namespace \"(?P<rbac_namespace>[^\"]+)\")?"
)
"""https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go"""

_WRITTEN = r"\b(?P<resource>[a-z][\w.]{0,100}) \"[^\"\n]{0,253}\" is forbidden: "
"""What the controller wants to write, as the API server begins a refusal of admission."""


KUBERNETES_RULES: tuple[ErrorPattern, ...] = (
    # What another component refuses comes first: its reason may have any words. What the controller's own webhooks
    # refuse is told by their words (pkg/webhooks of the controller).
    rule(
        "",
        r"admission webhook \"(?![\w.-]{0,200}\.(?:elbv2|aga)\.k8s\.aws\")(?P<refusing_webhook>[^\"\n]{1,253})\" "
        r"denied the request(?::\s{1,9}(?P<refusal>\S[^\n]{0,900}))?",
        "Webhook {refusing_webhook} refuses it.",
    ),
    rule(
        "",
        _WRITTEN + r"ValidatingAdmissionPolicy '(?P<admission_policy>[^'\n]{1,253})' with binding "
        r"'(?P<policy_binding>[^'\n]{1,253})' denied request(?:: (?P<refusal>[^\n]{1,900}))?",
        "Admission policy {admission_policy} refuses it.",
    ),
    rule(
        "",
        _WRITTEN + r"exceeded quota: (?P<quota>[a-z0-9.-]{1,253}), requested: \S{1,300} used: \S{1,300} "
        r"limited: (?P<quota_limited>[^\s,=]{1,253})=(?P<quota_limit>[\w.]{1,30})",
        "ResourceQuota {quota} is used up.",
    ),
    rule(
        "",
        r"unable to create new content in namespace (?P<ending_namespace>[a-z0-9-]{1,63}) because it is being "
        r"terminated",
        "Namespace {ending_namespace} is being deleted.",
    ),
    rule(
        "",
        r"\b(?P<refused_kind>[A-Z]\w{0,62})\.(?P<refused_group>[a-z][a-z0-9.-]{0,252}) \"[^\"\n]{0,253}\" is invalid: "
        r"\[?(?P<refused_field>spec[\w.]{0,200})[^\s:]{0,99}: (?P<refusal>[^\n]{1,900})",
        "Kubernetes refuses its {refused_field}.",
    ),
    # Secrets are not the controller's to read as it is installed, Leases are LBD136's, and without events nothing but
    # words is lost.
    rule("", r"\b(?P<rbac_resource>secrets|events|leases[\w.]{0,100})" + _FORBIDDEN, _forbidden),
    rule("LBD119", r"\b(?P<rbac_resource>[a-z][\w.]{0,100})" + _FORBIDDEN, _forbidden),
    rule(
        "",
        r"no matches for kind \"(?P<resource_kind>[^\"]+)\"(?: in (?:version|group) \"(?P<resource_group>[\w.-]*))?",
        "The custom resource definition of {resource_kind} is not installed.",
    ),
    rule(
        "",
        r"Operation cannot be fulfilled on (?P<resource_kind>\S+) \"(?P<object>[^\"]+)\": the object has been modified",
        "{resource_kind} {object} changed while the controller wrote it; it tries again by itself.",
        retryable=True,
    ),
    rule("", r"etcdserver: mvcc: database space exceeded", "The cluster's etcd is full, so nothing can be written."),
    rule(
        "",
        r"etcdserver: (?:request timed out|leader changed|too many requests|no leader)"
        r"|the server (?:is currently unable to handle the request|was unable to return a response in the time allotted"
        r"|has received too many requests|has asked for the client to back off)"
        r"|Timeout: request did not complete within (?:the )?requested timeout"
        r"|client rate limiter Wait returned an error",
        "The Kubernetes API does not answer the controller in time.",
        retryable=True,
    ),
)
