"""What of the records goes into a bundle: of fields in which people keep anything, only what a diagnosis needs.

Each field of a record that is free in its content has a rule here; `tests/unit/test_bundle_secrets.py` fails for a
mapping without one, and plants a secret in every field that an API can answer. Values that are left out become
"(set)", so that a check still sees that there is one. What is left goes through the patterns of
`collect.bundles.redact`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from kubectl_lbdoctor.analysis.desired_targets import INJECT_LABELS
from kubectl_lbdoctor.collect.bundles.redact import Redactor
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, CLASS_ANNOTATION, SERVICE_PREFIX, is_ours, same_name
from kubectl_lbdoctor.knowledge.controller_identity import PLAIN_VARIABLES
from kubectl_lbdoctor.model import aws, gateway_api, identity, k8s, network, probe
from kubectl_lbdoctor.model.codec import is_default, to_json
from kubectl_lbdoctor.model.snapshot import Snapshot

SET = "(set)"
NO_JSON = "{(set, and no JSON)"

OWNER_TOOLS = ("argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "meta.helm.sh/")
"""Prefixes of annotations by which tools mark what they own (`fix.owners`); Terraform marks its own by field managers
and labels, which are no annotations."""

OTHER_ANNOTATIONS = (
    CLASS_ANNOTATION,
    "ingressclass.kubernetes.io/is-default-class",
    "eks.amazonaws.com/role-arn",
    *INJECT_LABELS.values(),
)
_PREFIXES = (ALB_PREFIX, SERVICE_PREFIX)

FLAGS = (
    "aws-region",
    "aws-vpc-id",
    "backend-security-group",
    "cluster-name",
    "default-load-balancer-scheme",
    "default-ssl-policy",
    "default-target-type",
    "feature-gates",
    "hostname-override",
    "ingress-class",
    "leader-election-id",
    "leader-election-namespace",
    "load-balancer-class",
    "watch-namespace",
)
"""Flags of the controller and of kube-proxy that checks look at."""

_TAG_KEYS = (
    *("kubernetes.io/", "elbv2.k8s.aws/", "ingress.k8s.aws/", "service.k8s.aws/", "aws:"),
    *("eks:", "ingress.eks.amazonaws.com/", "service.eks.amazonaws.com/"),
)
_DESCRIPTIONS = re.compile(r"ELB (?:app|net|gwy)/.*|Amazon EKS .*|aws-K8S-.*|elbv2\.k8s\.aws/\S+|\[k8s\] .*")
BRANCH_INTERFACE = "branch-eni"
"""How the VPC resource controller marks the interfaces of pods with security groups of their own."""
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")

Rule = Callable[[Any, Redactor], Any]
"""From a field's value, as `model.codec` writes it, to what the bundle holds in its place."""


def content(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as the JSON of a bundle, with everything taken out that must not leave the machine."""
    subnets = snapshot.network.subnets.value if snapshot.network.subnets.is_known else ()
    redact = Redactor(cidr for subnet in subnets or () for cidr in subnet.cidrs)
    document: dict[str, Any] = kept(snapshot, redact)
    return document


def kept(value: Any, redact: Redactor) -> Any:
    """A record as JSON by the rules of its fields; the shape is that of `to_json`."""
    if is_dataclass(value) and not isinstance(value, type):
        out = {}
        for name in _written(value):
            item, rule = getattr(value, name), RULES.get((type(value).__name__, name))
            out[name] = rule(to_json(item), redact) if rule else kept(item, redact)
        return out
    if isinstance(value, Mapping):
        return {redact(str(key)): kept(item, redact) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [kept(item, redact) for item in value]
    return redact(to_json(value))


def _written(value: Any) -> list[str]:
    """The fields that `to_json` writes of a record: those that are not at their defaults."""
    return [field.name for field in fields(value) if field.init and not is_default(field, getattr(value, field.name))]


def keeps_annotation(key: str) -> bool:
    """Whether an annotation's value is kept: it speaks to a load balancer (rightly or with a slip), or says which tool
    keeps the object."""
    if key in OTHER_ANNOTATIONS or key.startswith(OWNER_TOOLS) or is_ours(key):
        return True
    return any(same_name(prefix, key) is not None for prefix in _PREFIXES)


def _annotations(value: dict[str, str], redact: Redactor) -> dict[str, str]:
    return {
        redact(key): _annotation(key, text, redact) if keeps_annotation(key) else SET for key, text in value.items()
    }


def _annotation(key: str, text: str, redact: Redactor) -> str:
    name = key.partition("/")[2]
    if "healthcheck-path" in name:
        return str(redact(redact.query(text)))
    if name.startswith(("conditions.", "actions.", "transforms.")):
        text = _without_texts(text, redact)
    return str(redact(text))


def _without_texts(text: str, redact: Redactor) -> str:
    """The JSON of a rule's actions or conditions without what clients send or get as text: values of headers and of
    query strings (a CDN's shared secret stands there), bodies and queries of answers."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # What is no JSON cannot be taken apart, and a check only has to see that it is none.
        return text if "{" not in text and "[" not in text else NO_JSON
    hidden = _hidden(document, redact)
    return text if hidden == document else json.dumps(hidden)


def _hidden(value: Any, redact: Redactor, place: str = "") -> Any:
    if isinstance(value, list):
        return [_hidden(item, redact, place) for item in value]
    if isinstance(value, dict):
        return {key: _hidden(item, redact, f"{place}.{key}".lower()) for key, item in value.items()}
    secret = isinstance(value, str) and (
        (("httpheaderconfig" in place or "querystringconfig" in place) and place.endswith(("values", ".value")))
        or place.endswith((".messagebody", ".query"))
    )
    return redact.secret(value) if secret else value


def _environment(value: dict[str, str], redact: Redactor) -> dict[str, str]:
    return {redact(key): redact(text) if key in PLAIN_VARIABLES else SET for key, text in value.items()}


def _command_line(value: list[str], redact: Redactor) -> list[str]:
    """The words of a command line: flags by name, values of those in FLAGS alone."""
    out: list[str] = []
    pending = ""
    for word in value:
        if word.startswith("-") and word.lstrip("-"):
            name, equals, text = word.partition("=")
            known = name.lstrip("-") in FLAGS
            if not (known or equals or word.startswith("--")) and len(name) > 2:
                name, equals, text = name[:2], "=", SET  # -pPASSWORD
            out.append(redact(word) if known or not equals else f"{redact(name)}={text if text in _SWITCH else SET}")
            pending = "" if equals else name.lstrip("-")
        else:
            out.append(redact(word) if pending in FLAGS else SET)
            pending = ""
    return out


# What Go's flags take for a boolean: https://pkg.go.dev/strconv#ParseBool
_SWITCH = ("", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")


def _set(value: Any, redact: Redactor) -> Any:
    """Only that there is something."""
    if isinstance(value, list):
        return [SET] if value else []
    return SET if value else value


def _query(value: str, redact: Redactor) -> str:
    return str(redact(redact.query(value)))


def _description(value: str, redact: Redactor) -> str:
    if _DESCRIPTIONS.fullmatch(value):
        return str(redact(value))
    return BRANCH_INTERFACE if BRANCH_INTERFACE in value else SET


def _body(value: str, redact: Redactor) -> str:
    """The text of a fixed response: the controller's own for a backend that is missing, else only that there is one."""
    return value if re.fullmatch(r"(?:Backend \w+ does not exist)?", value) else SET


def _tags(value: dict[str, str], redact: Redactor) -> dict[str, str]:
    return {redact(key): redact(text) if key.startswith(_TAG_KEYS) else SET for key, text in value.items()}


def _certificates(value: str | None, redact: Redactor) -> str | None:
    """Only certificates, which are public; what is none is named, so that a check still sees that it cannot be read."""
    if not value:
        return value
    found = _CERTIFICATE.findall(value)
    return "\n".join((*found, "")) if found else SET


def _labels(value: dict[str, str], redact: Redactor) -> dict[str, str]:
    out: dict[str, str] = redact(value)
    return out


def _parameters(value: dict[str, Any], redact: Redactor) -> dict[str, Any]:
    """The spec of an IngressClassParams; of its tags only the keys."""
    tags = [
        {key: redact(text) if key == "key" else SET for key, text in entry.items()} if isinstance(entry, dict) else SET
        for entry in (value.get("tags") if isinstance(value.get("tags"), list) else None) or ()
    ]
    out: dict[str, Any] = {**redact(value), **({"tags": tags} if "tags" in value else {})}
    return out


def _policy(value: Any, redact: Redactor, key: str = "") -> Any:
    """An IAM document: its Sids and descriptions are free text, and an external id is a secret between accounts."""
    if isinstance(value, dict):
        return {redact(name): _policy(item, redact, name.lower()) for name, item in value.items()}
    if isinstance(value, list):
        return [_policy(item, redact, key) for item in value]
    if key in ("sid", "id", "description"):
        return SET
    return redact.secret(value) if key == "sts:externalid" and isinstance(value, str) else redact(value)


def _settings(value: Any, redact: Redactor, key: str = "") -> Any:
    """The spec of a Gateway's configuration; of its tags only the keys."""
    if key.lower() == "tags" and isinstance(value, dict):
        return {redact(tag): SET for tag in value}
    if isinstance(value, dict):
        return {redact(inner): _settings(item, redact, inner) for inner, item in value.items()}
    if isinstance(value, list):
        return [_settings(item, redact, key) for item in value]
    return redact(value)


def _plain(value: Any, redact: Redactor) -> Any:
    return redact(value)


def _of(record: type, **rules: Rule) -> dict[tuple[str, str], Rule]:
    known = {field.name for field in fields(record)}
    if unknown := set(rules) - known:
        raise AssertionError(f"{record.__name__} has no {unknown}")
    return {(record.__name__, name): rule for name, rule in rules.items()}


RULES: dict[tuple[str, str], Rule] = {
    **_of(k8s.Meta, labels=_labels, annotations=_annotations),
    **_of(k8s.Container, env=_environment, command=_command_line, args=_command_line),
    **_of(k8s.Probe, command=_set, path=_query),
    **_of(k8s.IngressClassParams, spec=_parameters),
    **_of(k8s.WebhookConfiguration, ca_bundle=_certificates),
    **_of(k8s.TlsCertificate, certificate=_certificates),
    **_of(k8s.Workload, selector=_labels, template_labels=_labels),
    **_of(k8s.Service, selector=_labels),
    **_of(k8s.TargetGroupBinding, node_selector=_plain, networking=_plain),
    **_of(gateway_api.AllowedRoutes, selector=_plain),
    **_of(gateway_api.GatewaySettings, spec=_settings),
    **_of(aws.Action, message_body=_body),
    **_of(aws.HealthCheck, path=_query),
    **_of(network.IpPermission, description=_description),
    **_of(network.NetworkInterface, description=_description),
    **_of(network.SecurityGroup, tags=_tags),
    **_of(network.Subnet, tags=_tags),
    **_of(identity.Role, trust=_policy),
    **_of(identity.RolePolicy, document=_policy),
    **_of(probe.ProbeRequest, path=_query),
    **_of(probe.ProbeAnswer, location=_query),
}
"""The rule of each field that is free in its content; the others are names, numbers, states and messages."""
