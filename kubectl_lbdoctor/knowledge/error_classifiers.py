"""The classifiers that find the cause of an error text, in the order of causes.

Why in this order: a request that never reached the controller's webhook, one that Kubernetes refuses (for a reason that
another component words), a controller that does not know its VPC, one that has no identity, one that is denied — each
of these wraps or triggers the later ones, so it must be recognised first; then what the object has wrong (the texts),
what AWS rejects (its error codes), and last a call that got no answer at all. Each classifier is a pure function from a
text to a `Cause` or None; `controller_errors.decode` takes the first answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kubectl_lbdoctor.knowledge.aws_errors import (
    IDENTITY_CODES,
    RETRYABLE_CODES,
    AwsError,
    ConnectionFailure,
    denied_actions,
    iam_action,
    parse_aws_error,
    parse_connection_failure,
    parse_denial,
)
from kubectl_lbdoctor.knowledge.error_rules import API_CODES, ErrorPattern, ParamValue, extract
from kubectl_lbdoctor.knowledge.error_texts_kubernetes import KUBERNETES_RULES
from kubectl_lbdoctor.knowledge.error_texts_model import MODEL_RULES
from kubectl_lbdoctor.knowledge.error_texts_targets import TARGET_RULES
from kubectl_lbdoctor.knowledge.spoken_errors import shortened
from kubectl_lbdoctor.record import record

__all__ = ["ERROR_CLASSIFIERS", "Cause"]

_MAX_VALUE = 300


@record
class Cause:
    """What one classifier found: the code ("" = the stage's), our sentence, the parameters. words: what AWS said beyond
    it, in its own words."""

    code: str
    summary: str
    params: Mapping[str, ParamValue]
    action: str = ""
    retryable: bool = False
    words: str = ""


def _clip(params: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
    return {k: " ".join(v.split())[:_MAX_VALUE] if isinstance(v, str) else v for k, v in params.items()}


_WEBHOOK_CALL = re.compile(r"failed calling webhook \\?\"([\w.-]+)\\?\"")
# The same without the name: only what the error wraps (apiserver, `ErrCallingWebhook.Reason`) was handed on.
_WEBHOOK_POST = re.compile(r"failed to call webhook: Post \\?\"https://([\w.-]+)(?::\d+)?(/[^\s?\"\\]*)?")
_NO_ENDPOINTS = re.compile(r"no endpoints available for service \\?\"([^\"\\]+)|service \\?\"([^\"\\]+)\\?\" not found")
# An answer 404, or one that is no review: https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/request/admissionreview.go
_UNSERVED = re.compile(r"the server could not find the requested resource|expected webhook response of")
_TLS_FAULT = re.compile(
    r"x509: |remote error: tls: (?:bad|unknown|expired)|tls: failed to verify|certificate (?:is|has|signed)"
)


def _webhook(text: str) -> Cause | None:
    """The API server could not use a webhook (apiserver admission `failed calling webhook`), or the webhook's own TLS
    log line."""
    call = _WEBHOOK_CALL.search(text)
    name = call.group(1) if call is not None else _by_address(text)
    if not name:
        if re.search(r"TLS handshake error from \S+: remote error: tls: (?:bad|unknown|expired)", text):
            return Cause("LBD125", "A caller of the controller's webhook does not trust its certificate.", {})
        return None
    params: dict[str, ParamValue] = {"webhook": name}
    failure = parse_connection_failure(text)
    if failure is not None and failure.host:
        params["host"] = failure.host
    ours = name.endswith((".elbv2.k8s.aws", ".aga.k8s.aws")) or "aws-load-balancer-webhook" in text
    if not ours:
        return Cause(
            "", f"Another component's webhook {name} cannot be called, so the API server refuses the change.", params
        )
    if endpoints := _NO_ENDPOINTS.search(text):
        params["service"] = endpoints.group(1) or endpoints.group(2)
        state = "has no ready endpoint" if endpoints.group(1) else "does not exist"
        return Cause("LBD126", f"Webhook {name} cannot be called: Service {params['service']} {state}.", params)
    if tls := _TLS_FAULT.search(text):
        params["detail"] = " ".join(text[tls.start() :].split())[:_MAX_VALUE]
        return Cause(
            "LBD125",
            f"The certificate of webhook {name} is not accepted.",
            params,
            words=str(params["detail"]),
        )
    if _UNSERVED.search(text):
        params["failure"] = "unserved"
        return Cause("LBD124", f"What answers the API server does not serve webhook {name}.", params)
    why = {
        "timeout": "no answer in time",
        "refused": "connection refused",
        "route": "its address is not reachable",
        "dns": "its name is not resolved",
        "resolver": "the cluster's DNS does not answer",
    }
    kind = failure.kind if failure is not None else "unknown"
    params["failure"] = kind
    return Cause("LBD124", f"The API server cannot reach webhook {name}: {why.get(kind, 'the call fails')}.", params)


def _by_address(text: str) -> str:
    """What a webhook is called where only its address stands in the text: the controller's by its path, others by their
    Service; "" without an address. A path is /mutate or /validate, group, version and kind (controller-runtime).

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/config/webhook/manifests.yaml
    """
    found = _WEBHOOK_POST.search(text)
    if found is None:
        return ""
    if not found[1].startswith("aws-load-balancer-webhook"):
        return found[1]
    verb, _, rest = (found[2] or "").lstrip("/").partition("-")
    kind = rest.rpartition("-")[2]
    return f"{verb[:1]}{kind}.elbv2.k8s.aws" if verb in ("mutate", "validate") and kind else found[1]


_VPC_METADATA = re.compile(
    r"failed to introspect (region|vpcID)|VPC ID from instance metadata|vpc ?id through ec2 metadata", re.IGNORECASE
)
_VPC_TAGS = re.compile(r"(no|multiple) VPCs? exists? with tags?")
_REGION = re.compile(r"Missing Region|AWS region is required|MissingRegion")


def _location(text: str) -> Cause | None:
    """The controller does not know its VPC or region (pkg/aws/cloud.go)."""
    if found := _VPC_METADATA.search(text):
        what = "region" if (found.group(1) or "") == "region" else "VPC"
        flag = "--aws-region" if what == "region" else "--aws-vpc-id"
        return Cause(
            "LBD122",
            f"The controller cannot read its {what} from the node's instance metadata, and {flag} is not set.",
            {"missing": what, "flag": flag},
        )
    if found := _VPC_TAGS.search(text):
        return Cause(
            "LBD122",
            f"The controller's VPC tags fit {'no VPC' if found.group(1) == 'no' else 'several VPCs'}.",
            {"missing": "VPC", "flag": "--aws-vpc-tags"},
        )
    if _REGION.search(text):
        return Cause(
            "LBD122", "The controller does not know its region.", {"missing": "region", "flag": "--aws-region"}
        )
    if (
        re.search(r"failed to (?:get|fetch) VPC ID", text)
        and parse_aws_error(text) is None
        and not _NO_IDENTITY.search(text)
    ):
        return Cause("LBD122", "The controller cannot find out its VPC.", {"missing": "VPC", "flag": "--aws-vpc-id"})
    return None


_NO_IDENTITY = re.compile(
    r"get credentials:|failed to refresh cached credentials|NoCredentialProviders|WebIdentityErr|static credentials "
    r"are empty|EC2RoleRequestError"
    r"|no EC2 IMDS role found|failed to retrieve jwt|AssumeRoleWithWebIdentity|AssumeRoleForPodIdentity|failed to "
    r"retrieve credentials"
)
# The last is what the agent hands on of EKS Auth: https://github.com/aws/eks-pod-identity-agent/issues/139
_POD_IDENTITY = re.compile(
    r"169\.254\.170\.23|fd00:ec2::23|AssumeRoleForPodIdentity|eks-pod-identity|EKS does not have permissions to assume"
)


def _identity(text: str) -> Cause | None:
    """The controller has no credentials, or AWS does not accept them (SDK credential chain; STS)."""
    error = parse_aws_error(text)
    params = _api_params(error)
    if role := re.search(r"arn:aws[\w-]*:iam::\d+:role/[\w+=,.@/-]+", text):
        params["role"] = role.group(0)
    if not _NO_IDENTITY.search(text):
        if error is None or error.code not in IDENTITY_CODES:
            return None
        return Cause(
            "LBD121",
            f"AWS does not accept the controller's credentials ({error.code}).",
            params,
            words=error.message,
        )
    failure = parse_connection_failure(text)
    if _POD_IDENTITY.search(text):
        params["mechanism"] = "pod-identity"
        why = (
            "the Pod Identity agent on its node does not answer"
            if failure
            else "EKS Pod Identity does not let it take its role"
        )
        return Cause("LBD121", f"The controller gets no AWS credentials: {why}.", params)
    if "AssumeRoleWithWebIdentity" in text or "WebIdentityErr" in text or "retrieve jwt" in text:
        params["mechanism"] = "irsa"
        if failure is not None and (error is None or error.code not in IDENTITY_CODES | {"AccessDenied"}):
            return _unreachable(failure, params | {"operation": "AssumeRoleWithWebIdentity", "api_service": "STS"})
        if error is not None and error.code in IDENTITY_CODES:
            return Cause(
                "LBD121",
                f"STS does not accept the ServiceAccount's token ({error.code}).",
                params,
                words=error.message,
            )
        return Cause(
            "LBD121",
            "The controller may not assume its role: the trust policy does not admit its ServiceAccount.",
            params,
        )
    params["mechanism"] = "instance-metadata"
    return Cause(
        "LBD121",
        "The controller has no AWS credentials: no role is injected, and the node's cannot be read.",
        params,
    )


def _denied(text: str) -> Cause | None:
    """AWS says that the controller's principal may not do this."""
    error = parse_aws_error(text)
    denial = parse_denial(text, error)
    if denial is None:
        return None
    params = _api_params(error)
    for name in ("principal", "role", "resource"):
        if value := getattr(denial, name):
            params[name] = value
    if denial.reason:
        params["denial"] = denial.reason
    if denial.explicit:
        params["explicit_deny"] = "true"
    if len(actions := denied_actions(text)) > 1:
        params["aws_actions"] = actions
    what = denial.action or "an action that the message does not name"
    who = f"role {denial.role.rsplit('/', 1)[-1]}" if "/" in denial.role else "the controller"
    where = f" on {denial.resource}" if denial.resource else ""
    if denial.node_role:
        params["identity"] = "node"
        return Cause(
            "LBD121",
            f"The controller uses its node's role ({who}) instead of one of its own, and AWS denies it {what}{where}.",
            params,
            denial.action,
        )
    by = {
        "service-control-policy": " by a service control policy",
        "permissions-boundary": " by a permissions boundary",
    }.get(denial.reason, "")
    deny = f" (explicit deny{by})" if denial.explicit else by
    return Cause("LBD120", f"AWS denies {who} {what}{where}{deny}.", params, denial.action)


def _kubernetes(text: str) -> Cause | None:
    """What the Kubernetes API refuses. Its text is none of AWS's, which may quote any."""
    return _of_table(KUBERNETES_RULES, text) if parse_aws_error(text) is None else None


def _rule(text: str) -> Cause | None:
    """A text of the rule table, in what AWS says or in what the controller says."""
    error = parse_aws_error(text)
    if error is not None and API_CODES.get(error.code, ("", ""))[0] in _QUOTA_CODES:
        return None  # the code says which quota, the message only that it is one
    return _of_table((*TARGET_RULES, *MODEL_RULES), error.message if error is not None else text, error)


def _of_table(rules: Iterable[ErrorPattern], body: str, error: AwsError | None = None) -> Cause | None:
    """The cause of the first rule that the text fits. error: the answer of AWS that the text is from."""
    for rule in rules:
        if (found := rule.search(body)) is None:
            continue
        own = _clip(extract(found))
        shown = _Shown(own | {"said": _clause(body, found.start())})
        summary = rule.summary(own) if callable(rule.summary) else rule.summary.format_map(shown)
        words = str(own.get("refusal", ""))
        return Cause(rule.code, summary, _api_params(error) | own, retryable=rule.retryable, words=words)
    return None


_QUOTA_CODES = frozenset({"LBD216", "LBD506"})


def _clause(text: str, position: int) -> str:
    """The part of a wrapped error that starts at the last ": " before the position, without the line's end."""
    begin = text.rfind(": ", 0, position)
    clause = text[begin + 2 if begin >= 0 else 0 :].strip().split("\n")[0]
    return clause[:_MAX_VALUE].rstrip(" .")


def _api(text: str) -> Cause | None:
    """An AWS error code, by table, else as AWS words it."""
    error = parse_aws_error(text)
    if error is None:
        return None
    params = _api_params(error)
    code, meaning = API_CODES.get(error.code, ("", ""))
    if error.code == "TargetGroupNotFound" and error.operation in _RULE_OPERATIONS:
        code, meaning = "", "The target group of a rule does not exist."
    if arn := re.search(r"arn:aws[\w-]*:elasticloadbalancing:[^\s'\",]+", error.message):
        params["resource"] = arn.group(0).rstrip(".")
    if instances := tuple(dict.fromkeys(re.findall(r"\bi-[0-9a-f]{8,17}\b", error.message))):
        params["instances"] = instances
    if groups := tuple(dict.fromkeys(re.findall(r"\bsg-[0-9a-f]{8,17}\b", error.message))):
        params["security_groups"] = groups
    if error.code == "ValidationError" and re.search(
        r"must be|is not valid|invalid|must begin|not recognized", error.message, re.IGNORECASE
    ):
        code, meaning = "LBD111", "AWS rejects a value that an annotation sets."
    if "Throttl" in error.code or error.code in ("RequestLimitExceeded", "TooManyRequestsException"):
        meaning = "AWS throttles the controller's calls."
    said = error.message.rstrip(".") or error.code
    if error.code in _SAY_NOTHING and error.message:
        meaning = shortened(re.split(r"\.\s", " ".join(said.split()))[0], _MAX_QUOTED)
    if certificate := _CERTIFICATE.search(error.message):
        code = ""
        meaning = f"A certificate of {certificate['region']} is not valid here."
    operation = iam_action(error.service, error.operation) or error.operation
    lead = meaning.rstrip(".") if meaning else f"AWS refuses {operation or 'a call'}"
    retryable = error.code in RETRYABLE_CODES or (error.status or 0) >= 500
    return Cause(
        code,
        lead if meaning else f"{lead} ({error.code})",
        params,
        retryable=retryable,
        words=said[:_MAX_VALUE] if said != error.code else "",
    )


_CERTIFICATE = re.compile(r"Certificate ARN 'arn:aws[\w-]*:acm:(?P<region>[a-z0-9-]+):[^']*' is not valid")
"""Said of a certificate of another region, and of an expired one:
https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2552,
https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2754"""
_SAY_NOTHING = frozenset({"InvalidConfigurationRequest", "OperationNotPermitted", "ValidationError"})
"""Codes of which only the message tells what is wrong."""
_MAX_QUOTED = 56

_RULE_OPERATIONS = frozenset({"CreateListener", "ModifyListener", "CreateRule", "ModifyRule"})


def _connection(text: str) -> Cause | None:
    """A call to AWS got no answer at all. A call to another host (the Kubernetes API) is told apart by its missing
    operation."""
    failure = parse_connection_failure(text)
    if failure is None:
        return None
    operation = re.search(r"operation error ([\w ]+): (\w+)", text)
    params: dict[str, ParamValue] = {}
    if operation is not None:
        params = {"api_service": operation.group(1), "operation": operation.group(2)}
    to_aws = (
        operation is not None
        or "RequestError: send request failed" in text
        or re.search(r"amazonaws\.com|\.api\.aws\b|\.aws\.dev\b", failure.host)
    )
    if to_aws:
        return _unreachable(failure, params)
    if failure.host and failure.kind != "tls":
        params |= {"host": failure.host, "failure": failure.kind}
        return Cause(
            "",
            f"The controller gets no answer from {failure.host} ({_FAILURE_TEXT[failure.kind]}).",
            params,
            retryable=True,
        )
    return None


_FAILURE_TEXT = {
    "dns": "its name is not resolved",
    "resolver": "the cluster's DNS does not answer",
    "timeout": "no answer in time",
    "refused": "connection refused",
    "reset": "connection reset",
    "route": "no route",
    "tls": "its certificate is not accepted",
    "proxy": "its HTTP proxy does not take the call",
    "closed": "connection closed",
    "unknown": "the request fails",
}


def _unreachable(failure: ConnectionFailure, params: Mapping[str, ParamValue]) -> Cause:
    service = params.get("api_service", "")
    host = f"the AWS API at {failure.host}" if failure.host else f"the AWS API {service}" if service else "an AWS API"
    found = dict(params) | {"failure": failure.kind} | ({"host": failure.host} if failure.host else {})
    retryable = failure.kind in ("timeout", "reset", "closed")
    return Cause(
        "LBD123",
        f"The controller cannot reach {host}: {_FAILURE_TEXT[failure.kind]}.",
        found,
        retryable=retryable,
    )


def _api_params(error: AwsError | None) -> dict[str, ParamValue]:
    if error is None:
        return {}
    named: dict[str, ParamValue] = {
        "api_service": error.service,
        "operation": error.operation,
        "error_code": error.code,
        "request_id": error.request_id,
        "message": error.message[:_MAX_VALUE],
    }
    found = {name: value for name, value in named.items() if value}
    if error.status is not None:
        found["status_code"] = error.status
    return found


class _Shown(dict[str, ParamValue]):
    """Parameters as a sentence shows them: tuples joined, absent ones named as such."""

    def __init__(self, params: Mapping[str, ParamValue]) -> None:
        super().__init__({k: ", ".join(v) if isinstance(v, tuple) else v for k, v in params.items()})

    def __missing__(self, key: str) -> str:
        return "(not named)"


ERROR_CLASSIFIERS: tuple[Callable[[str], Cause | None], ...] = (
    _webhook,
    _kubernetes,
    _location,
    _identity,
    _denied,
    _rule,
    _api,
    _connection,
)
