"""Decode what the AWS Load Balancer Controller says (events, log errors, webhook refusals) into a cause with its
decisive values.

Why this exists: the controller knows why a load balancer has no healthy targets, but says it as one line of nested
prose; a check needs the LBD code, the action, the role, the Service, the host. Everything here is pure: text in,
`DecodedError` out, and no text raises.

This module is the entrance: it peels off what the controller wraps around an error and asks `error_classifiers` for the
cause. Texts are in `error_texts_*`, SDK forms in `aws_errors`, log lines in `controller_logs`.

Checked against the source of v2.17.1: event reasons in pkg/k8s/events.go, message formats in
controllers/**/*_controller.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from kubectl_lbdoctor.knowledge.aws_errors import without_encoded_message
from kubectl_lbdoctor.knowledge.error_classifiers import ERROR_CLASSIFIERS
from kubectl_lbdoctor.knowledge.error_rules import ParamValue
from kubectl_lbdoctor.knowledge.iam_policy import permission_statement
from kubectl_lbdoctor.knowledge.spoken_errors import clause, quotation, shortened
from kubectl_lbdoctor.record import record

__all__ = ["DecodedError", "Stage", "decode", "decode_event", "permission_statement"]

_MAX_TEXT = 16_000
"""Longer texts are cut before matching: the controller logs whole models, and no known cause stands that far back."""
_MAX_RAW = 2_000
_MAX_VALUE = 300
_MAX_CLAUSE = 56
"""Of what is not recognised in a headline; the whole of it is evidence."""


class Stage(str, Enum):
    """Which step of the controller's work failed; it decides the code when the cause is not recognised."""

    BUILD = "build"
    DEPLOY = "deploy"
    RECONCILE = "reconcile"
    CLEANUP = "cleanup"
    ADD_FINALIZER = "add-finalizer"
    REMOVE_FINALIZER = "remove-finalizer"
    STATUS = "status"
    GROUP = "group"
    SYNC = "sync"
    START = "start"
    NONE = ""


STAGE_CODE: Mapping[Stage, str] = {
    Stage.BUILD: "LBD103",
    Stage.DEPLOY: "LBD104",
    Stage.RECONCILE: "LBD109",
    Stage.CLEANUP: "LBD116",
    Stage.ADD_FINALIZER: "LBD104",
    Stage.REMOVE_FINALIZER: "LBD116",
    Stage.STATUS: "LBD104",
    Stage.GROUP: "LBD103",
    Stage.SYNC: "LBD104",
    Stage.START: "LBD102",
    Stage.NONE: "LBD103",
}
"""The code of each stage for an error that is not recognised."""

_STAGE_TEXT: Mapping[Stage, str] = {
    Stage.BUILD: "The controller cannot work out the load balancer for this object",
    Stage.DEPLOY: "The controller cannot create or change the load balancer",
    Stage.RECONCILE: "The controller cannot reconcile the TargetGroupBinding",
    Stage.CLEANUP: "The controller cannot clean up what belongs to the object",
    Stage.ADD_FINALIZER: "The controller cannot add its finalizer",
    Stage.REMOVE_FINALIZER: "The controller cannot remove its finalizer",
    Stage.STATUS: "The controller cannot update the object's status",
    Stage.GROUP: "The controller cannot tell the Ingress's group",
    Stage.SYNC: "The in-tree provider cannot set up the load balancer",
    Stage.START: "The controller stops at start",
    Stage.NONE: "The controller reports an error",
}

REASON_STAGE: Mapping[str, Stage] = {
    "FailedBuildModel": Stage.BUILD,
    "FailedDeployModel": Stage.DEPLOY,
    "BackendNotFound": Stage.RECONCILE,
    "FailedNetworkReconcile": Stage.RECONCILE,
    "FailedReconcile": Stage.RECONCILE,
    "FailedCleanup": Stage.CLEANUP,
    "FailedCleanupStatus": Stage.CLEANUP,
    "FailedDeleteRoutesAttached": Stage.CLEANUP,
    "FailedAddFinalizer": Stage.ADD_FINALIZER,
    "FailedRemoveFinalizer": Stage.REMOVE_FINALIZER,
    "FailedUpdateStatus": Stage.STATUS,
    "FailedLoadGroupID": Stage.GROUP,
    "ConflictingIngressClass": Stage.GROUP,
    "SyncLoadBalancerFailed": Stage.SYNC,
    "CreatingLoadBalancerFailed": Stage.SYNC,
}
"""Event reason → stage. 2.17.1 declares ConflictingIngressClass and never emits it, and has no FailedReconcile (that
came with 3.1.0)."""

_PREFIXES: tuple[tuple[str, Stage], ...] = (
    (r"Failed (?:to )?build model(?: due to|:) ", Stage.BUILD),
    (r"Failed (?:to )?deploy (?:model|stack) due to ", Stage.DEPLOY),
    (r"Failed reconcile due to ", Stage.RECONCILE),
    (r"(?=backend not found: )", Stage.RECONCILE),
    (r"Failed cleanup due to ", Stage.CLEANUP),
    (r"Failed add (?:gateway )?finalizer due to ", Stage.ADD_FINALIZER),
    (r"Failed remove (?:gateway )?finalizer due to ", Stage.REMOVE_FINALIZER),
    (r"Failed update status due to ", Stage.STATUS),
    (r"[Ff]ailed load groupID due to ", Stage.GROUP),
    (
        r"Error (?:syncing|creating) load balancer(?: \(will retry\))?: (?:failed to ensure load balancer(?: for "
        r"service \S+)?: )?",
        Stage.SYNC,
    ),
    (
        r"(?=unable to (?:initialize AWS cloud|load controller config|build REST config|start manager|create "
        r"controller))",
        Stage.START,
    ),
)


@record
class DecodedError:
    """One error of the controller, understood as far as possible.

    code: the LBD code of the cause; the stage's generic code when the cause is not recognised; "" for a message that
    is no error.
    summary: one sentence in our words, with the decisive values. words: what AWS said beyond it, in its own words.
    params: what was extracted. Strings: ingress (the group member that the text names, ns/name), service, port,
    action, host, eni, node, pod, secret, annotation, value, allowed, target_group, webhook, principal, role, denial,
    api_service, operation, error_code, request_id, message …; ints: status_code, evaluated, other_clusters,
    low_addresses, found_count, minimum …; tuples of strings: security_groups, subnets, instances, pods, nodes,
    members, bindings, aws_actions …
    aws_action: the denied IAM action ("elasticloadbalancing:RegisterTargets"), "" unless AWS denied one that can be
    told.
    retryable: waiting alone may cure it (throttling, a timeout, a lost race); everything else needs a change.
    raw: the text itself, trimmed, without EC2's encoded authorization message.
    known: a cause was recognised; False means that only the stage is known.
    stage: the step that failed, as far as the text or the event's reason says.
    """

    code: str
    summary: str
    params: Mapping[str, ParamValue] = field(default_factory=dict, hash=False)
    aws_action: str = ""
    retryable: bool = False
    raw: str = ""
    known: bool = False
    stage: Stage = Stage.NONE
    words: str = ""

    @property
    def clause(self) -> str:
        """The summary as the end of another sentence; of a cause that is not recognised, the begin of what was said."""
        return clause(self.summary) if self.known else shortened(quotation(self.words or self.summary), _MAX_CLAUSE)


def decode(text: str, *, stage: Stage = Stage.NONE) -> DecodedError:
    """Decode any event message, log error or webhook refusal. `stage` says what the caller knows when the text does
    not say it."""
    raw = without_encoded_message(text[:_MAX_TEXT]).strip()
    told, body = _peel(raw)
    stage = told or stage
    params: dict[str, ParamValue] = {}
    if named := _INGRESS.search(body):
        params["ingress"] = named.group(1)
    if refusing := _ADMISSION.search(body):
        params["webhook"] = refusing.group(1)
    cause = next((c for classify in ERROR_CLASSIFIERS if (c := classify(body)) is not None), None)
    if cause is None:
        said = " ".join(body.split())[:_MAX_VALUE]
        summary = f"{_STAGE_TEXT[stage]}: {said}" if said else f"{_STAGE_TEXT[stage]} and gives no reason"
        return DecodedError(STAGE_CODE[stage], _sentence(summary), params, raw=raw[:_MAX_RAW], stage=stage, words=said)
    params.update(cause.params)
    code = cause.code or STAGE_CODE[stage]
    return DecodedError(
        code, _sentence(cause.summary), params, cause.action, cause.retryable, raw[:_MAX_RAW], True, stage, cause.words
    )


def decode_event(reason: str, message: str) -> DecodedError:
    """Decode a Kubernetes event by its reason and message. A reason that reports no failure gives code ""."""
    stage = REASON_STAGE.get(reason)
    message = message.removeprefix(COMBINED)
    if stage is None and not reason.startswith("Failed") and not _looks_failed(message):
        return DecodedError(
            "", _sentence(" ".join(message.split())[:_MAX_VALUE] or reason), raw=message.strip()[:_MAX_RAW], known=True
        )
    if reason == "BackendNotFound" and not message.startswith("backend not found: "):
        message = f"backend not found: {message}"
    if reason == "ConflictingIngressClass":
        message = f"conflicting ingress class: {message}"
    return decode(message, stage=stage or Stage.NONE)


COMBINED = "(combined from similar events): "
"""What client-go's recorder puts before the newest text once ten events of an object and a reason differ in their text
(tools/record/events_cache.go): request ids make them differ."""


def _looks_failed(message: str) -> bool:
    return bool(re.search(r"[Ff]ailed|[Ee]rror|denied|forbidden|not found", message))


_INGRESS = re.compile(r"\b[Ii]ngress:? ([a-z0-9][\w.-]*/[a-z0-9][\w.-]*?)(?:[:,\s]|$)")
"""pkg/errors wrapping `ingress: ns/name: <error>` (model builder), `Ingress: ns/name: …` (group loader), `for Ingress
ns/name: …`."""
_ADMISSION = re.compile(r"admission webhook \"([^\"]+)\" denied the request")


def _peel(text: str) -> tuple[Stage, str]:
    """The stage that the controller's own prefix names, and the rest."""
    for pattern, stage in _PREFIXES:
        if found := re.search(pattern, text[:400]):
            return stage, text[found.end() :]
    return Stage.NONE, text


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "…")) else f"{text}."
