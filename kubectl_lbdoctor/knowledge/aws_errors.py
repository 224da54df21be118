"""AWS errors as the Go SDKs write them into events and logs: parsed into operation, code, message and the parts of a
denial.

Why this exists: the controller passes SDK errors on as text, and the decisive values (which action, which role, which
host) sit deep inside it. Two SDK generations are in the field: aws-sdk-go v1 (controller ≤ 2.8) and v2 (≥ 2.9).

Forms, each taken from the SDK's own Error() methods as vendored by controller 2.17.1:
- v2 `operation error <ServiceID>: <Operation>, <cause>` (smithy-go errors.go OperationError)
- v2 `https response error StatusCode: 403, RequestID: <id>, <cause>` (aws/transport/http ResponseError); status 0 =
  nothing came back
- v2 `api error <Code>: <message>` for codes that the API model does not name (smithy GenericAPIError; all of EC2, and
  AccessDenied), but only `<Code>: <message>` for modelled ones (elasticloadbalancingv2/types: TargetGroupNotFound,
  InvalidTarget, TooManyTargets …)
- v2 `request send failed, Post "https://…": dial tcp …` (smithy-go RequestSendError), `exceeded maximum number of
  attempts, 10, …`
- v1 `<Code>: <message>\\n\\tstatus code: 403, request id: <id>`, nested with `caused by: `; it never names the
  operation
"""

from __future__ import annotations

import re

from kubectl_lbdoctor.record import record

__all__ = [
    "DENIED_CODES",
    "IDENTITY_CODES",
    "KNOWN_CODES",
    "RETRYABLE_CODES",
    "AwsError",
    "ConnectionFailure",
    "Denial",
    "denied_actions",
    "iam_action",
    "parse_aws_error",
    "parse_connection_failure",
    "parse_denial",
    "without_encoded_message",
]

SERVICE_PREFIX = {
    "Elastic Load Balancing v2": "elasticloadbalancing",
    "Elastic Load Balancing": "elasticloadbalancing",
    "EC2": "ec2",
    "ACM": "acm",
    "ACM PCA": "acm-pca",
    "IAM": "iam",
    "WAFV2": "wafv2",
    "WAF Regional": "waf-regional",
    "Shield": "shield",
    "STS": "sts",
    "Cognito Identity Provider": "cognito-idp",
    "Resource Groups Tagging API": "tag",
    "Route 53": "route53",
    "Global Accelerator": "globalaccelerator",
}
"""SDK v2 service id (each service package's ServiceID constant) → prefix of its IAM actions; operation names are
action names."""

DENIED_CODES = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation", "NotAuthorized"}
)
"""Codes for "this principal may not do that". `Access Denied for bucket` comes as InvalidConfigurationRequest and is
not one of them."""

IDENTITY_CODES = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IDPCommunicationError",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidToken",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes for "I do not know who you are": the credentials are wrong, expired or unsigned, whatever the policy says."""

RETRYABLE_CODES = frozenset(
    {
        "DependencyViolation",
        "HealthUnavailable",
        "InternalError",
        "InternalFailure",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ResourceInUse",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "Unavailable",
        "WAFUnavailableEntityException",
    }
)
"""Codes that trying again can cure without any change (ResourceInUse, DependencyViolation: something else is still
being deleted)."""

_NAMED_CODES = """
ALPNPolicyNotFound AddressLimitExceeded AllocationIdNotFound AssociationNotFound AvailabilityZoneNotSupported
CapacityDecreaseRequestLimitExceeded CapacityReservationPending CapacityUnitsLimitExceeded CertificateNotFound
DuplicateListener DuplicateLoadBalancerName DuplicateTagKeys DuplicateTargetGroupName IncompatibleProtocols
InsufficientCapacity InvalidConfigurationRequest InvalidGroup.Duplicate InvalidGroup.NotFound InvalidGroupId.Malformed
InvalidInstanceID.Malformed InvalidInstanceID.NotFound InvalidLoadBalancerAction InvalidParameterValue
InvalidPermission.Duplicate InvalidPermission.NotFound InvalidScheme InvalidSecurityGroup InvalidSubnet
InvalidSubnetID.NotFound InvalidTarget InvalidVpcID.NotFound ListenerNotFound LoadBalancerNotFound
OperationNotPermitted PriorityInUse ResourceNotFound ResourceNotFoundException RuleNotFound
RulesPerSecurityGroupLimitExceeded SSLPolicyNotFound SecurityGroupLimitExceeded
SecurityGroupsPerInterfaceLimitExceeded SubnetNotFound TargetGroupAssociationLimit TargetGroupNotFound
TooManyActions TooManyCertificates TooManyListeners TooManyLoadBalancers TooManyRegistrationsForTargetId
TooManyRules TooManyTags TooManyTargetGroups TooManyTargets TooManyUniqueTargetGroupsPerLoadBalancer
TrustStoreNotFound TrustStoreNotReady UnsupportedCertificate UnsupportedProtocol ValidationError
WAFAssociatedItemException WAFInvalidParameterException WAFLimitsExceededException WAFNonexistentItemException
WAFUnavailableEntityException
"""

KNOWN_CODES = DENIED_CODES | IDENTITY_CODES | RETRYABLE_CODES | frozenset(_NAMED_CODES.split())
"""Codes that are believed even when nothing else marks the text as an AWS answer
(elasticloadbalancingv2/types/errors.go, EC2's list)."""

_MAX_MESSAGE = 1000
_CAMEL = r"[A-Z][a-z0-9]{1,40}[A-Z][A-Za-z0-9]{0,60}(?:\.[A-Z][A-Za-z]{1,40})?"
_CODE = rf"(?:{_CAMEL}|Throttling|ValidationError|Unavailable)"
_OPERATION = re.compile(r"operation error ([A-Za-z][A-Za-z0-9 ]{0,50}): ([A-Za-z]{1,80})")
_RESPONSE = re.compile(
    r"https response error StatusCode: (\d{1,3}), RequestID: ([^,\s]*), (?:api error )?(?:([A-Za-z][\w.]{1,80}): )?"
)
_API_ERROR = re.compile(r"api error ([A-Za-z][\w.]{1,80}): ")
_V1_TAIL = re.compile(r"status code: (\d{1,3})(?:, request id: ([\w-]*))?")
_V1_CODE = re.compile(rf"(?:^|: |caused by: |[\"'\[(]|\n\s*)({_CODE}): ")
_CLIENT_CODES = frozenset(
    {"RequestError", "WebIdentityErr", "NoCredentialProviders", "EC2RoleRequestError", "CredentialRequiresARNError"}
)
"""Codes that SDK v1 itself makes; no AWS service said them, so they are not API errors."""
_ENCODED = re.compile(r"\s{0,4}Encoded authorization failure message: ?[\w+/=-]*(?:…|\.\.\.)?")


@record
class AwsError:
    """One AWS API error: SDK service id and operation ("" for SDK v1), HTTP status (None when unknown), request id,
    code, message."""

    service: str
    operation: str
    status: int | None
    request_id: str
    code: str
    message: str


@record
class Denial:
    """What an authorization failure says; every part can be "" because EC2 leaves most of them out.

    action: IAM action. principal: the ARN that asked. role: the IAM role ARN behind an assumed-role principal (path
    lost).
    node_role: the session is named after an instance, so the credentials are the node's (an instance profile names its
    session so).
    resource: ARN. reason: identity-policy, resource-policy, permissions-boundary, session-policy,
    service-control-policy or "".
    explicit: a Deny statement refused, so adding an Allow does not help.
    """

    action: str
    principal: str
    role: str
    node_role: bool
    resource: str
    reason: str
    explicit: bool


@record
class ConnectionFailure:
    """A request that got no answer: kind (dns, resolver, timeout, refused, reset, route, tls, proxy, closed, unknown),
    host and URL ("" if unknown). dns: there is no such name; resolver: who should tell does not answer."""

    kind: str
    host: str
    url: str


def without_encoded_message(text: str) -> str:
    """Drop EC2's `Encoded authorization failure message: …`: a long blob that only sts:DecodeAuthorizationMessage can
    read."""
    return _ENCODED.sub("", text)


def iam_action(service: str, operation: str) -> str:
    """`EC2`, `DescribeSubnets` → `ec2:DescribeSubnets`; "" when the service is unknown."""
    prefix = SERVICE_PREFIX.get(service, "")
    return f"{prefix}:{operation}" if prefix and operation else ""


def parse_aws_error(text: str) -> AwsError | None:
    """The decisive AWS API error in the text, or None: the first code that a service answered, with its operation."""
    if (parsed := _parse_v2(text)) is not None:
        return parsed
    return _parse_v1(text)


def _operation_before(text: str, position: int) -> tuple[str, str]:
    found = ("", "")
    for match in _OPERATION.finditer(text):
        if match.start() > position:
            break
        found = (match.group(1), match.group(2))
    return found


def _parse_v2(text: str) -> AwsError | None:
    answers = [m for m in _RESPONSE.finditer(text) if m.group(3) and m.group(1) != "0"]
    if answers:
        first = answers[0]
        service, operation = _operation_before(text, first.start())
        status, request_id, code = int(first.group(1)), first.group(2), first.group(3)
        return AwsError(service, operation, status, request_id, code, _message(text, first.end()))
    bare = _API_ERROR.search(text)
    if bare is None:
        return None
    service, operation = _operation_before(text, bare.start())
    return AwsError(service, operation, None, "", bare.group(1), _message(text, bare.end()))


def _parse_v1(text: str) -> AwsError | None:
    tail = _V1_TAIL.search(text)
    head = text[: tail.start()] if tail else text
    codes = [m for m in _V1_CODE.finditer(head) if m.group(1) not in _CLIENT_CODES]
    if tail is None:
        codes = [m for m in codes if m.group(1) in KNOWN_CODES]
    if not codes:
        return None
    last = codes[-1]
    service, operation = _operation_before(text, last.start())
    status = int(tail.group(1)) if tail else None
    return AwsError(
        service, operation, status, (tail.group(2) or "") if tail else "", last.group(1), _message(head, last.end())
    )


def _message(text: str, start: int) -> str:
    message = text[start : start + 4 * _MAX_MESSAGE]
    message = message.split("\n\tstatus code:")[0].split("\\n\\tstatus code:")[0]
    message = re.sub(r"\s{0,4}status code: \d+, request id: .*", "", message, flags=re.DOTALL)
    return " ".join(without_encoded_message(message).split()).rstrip('"]').strip()[:_MAX_MESSAGE]


_ACTION = re.compile(r"not authorized to perform:? ([A-Za-z0-9-]+:[A-Za-z*]+)")
_PRINCIPAL = re.compile(r"User: (arn:[^\s\"']+) is not authorized")
_ASSUMED_ROLE = re.compile(r"arn:(aws[\w-]*):sts::(\d*|\*+):assumed-role/([^/\s]+)/(\S+)")
_RESOURCE = re.compile(r"on resource: ([^\s\"']+)")
_REASONS = (
    ("service control policy", "service-control-policy"),
    ("permissions boundary", "permissions-boundary"),
    ("session policy", "session-policy"),
    ("resource-based policy", "resource-policy"),
    ("resource control policy", "resource-control-policy"),
    ("VPC endpoint policy", "endpoint-policy"),
    ("identity-based policy", "identity-policy"),
)


def parse_denial(text: str, error: AwsError | None) -> Denial | None:
    """The authorization failure in the text, or None. The action comes from AWS's words, else from the operation
    (EC2)."""
    named = _ACTION.search(text)
    if named is None and (error is None or error.code not in DENIED_CODES):
        return None
    action = named.group(1) if named else iam_action(error.service, error.operation) if error else ""
    principal_match = _PRINCIPAL.search(text)
    principal = principal_match.group(1) if principal_match else ""
    assumed = _ASSUMED_ROLE.match(principal)
    role = f"arn:{assumed.group(1)}:iam::{assumed.group(2)}:role/{assumed.group(3)}" if assumed else principal
    node_role = bool(assumed and re.fullmatch(r"i-[0-9a-f]{8,17}", assumed.group(4)))
    resource_match = _RESOURCE.search(text)
    resource = resource_match.group(1).rstrip(".,;)") if resource_match else ""
    reason = next((name for phrase, name in _REASONS if phrase in text), "")
    return Denial(action, principal, role, node_role, resource, reason, "explicit deny" in text)


def denied_actions(text: str) -> tuple[str, ...]:
    """Every action that the text says is not authorized, in order, once each: an aggregate error can name several."""
    return tuple(dict.fromkeys(m.group(1) for m in _ACTION.finditer(text)))


_URL = re.compile(r"\b(?:Get|Post|Put|Patch|Delete|Head) \\?\"?\[?(https?://[^\s\"\\\])]+)")
_LOOKUP = re.compile(r"lookup ([A-Za-z0-9][\w.-]*)")
_DIAL = re.compile(r"dial tcp (\[[0-9A-Fa-f:.]+\]|[\d.]+):(\d+)")
_KINDS = (
    # The proxy's own trouble, whatever it is, comes first: it is the proxy's name or address that fails.
    (re.compile(r"proxyconnect|Proxy Authentication Required"), "proxy"),
    (
        re.compile(r"lookup \S+.*(?:i/o timeout|refused)|server misbehaving|Temporary failure in name resolution"),
        "resolver",
    ),
    (re.compile(r"no such host"), "dns"),
    (re.compile(r"x509:|tls: (?!handshake timeout)"), "tls"),
    (
        re.compile(
            r"i/o timeout|TLS handshake timeout|deadline exceeded|Client\.Timeout exceeded|connection timed out"
        ),
        "timeout",
    ),
    (re.compile(r"connection refused"), "refused"),
    (re.compile(r"connection reset by peer|broken pipe"), "reset"),
    (re.compile(r"no route to host|network is unreachable|Address is not allowed"), "route"),
    (re.compile(r"\bEOF\b"), "closed"),
    (re.compile(r"request send failed|send request failed"), "unknown"),
)


def parse_connection_failure(text: str) -> ConnectionFailure | None:
    """The transport failure in the text, or None. The host is the one asked for; the dialled address only where no
    name is given."""
    kind = next((name for pattern, name in _KINDS if pattern.search(text)), "")
    if not kind:
        return None
    url_match = _URL.search(text)
    url = url_match.group(1) if url_match else ""
    host = re.sub(r"^https?://", "", url).split("/")[0].split("?")[0]
    if not host and (lookup := _LOOKUP.search(text)):
        host = lookup.group(1)
    if not host and (dialled := _DIAL.search(text)):
        host = f"{dialled.group(1)}:{dialled.group(2)}"
    return ConnectionFailure(kind, re.sub(r":443$", "", host), url)
