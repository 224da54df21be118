"""What checks produce and what a report holds. Findings carry a code and values; their text is rendered late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Alternative, Repair
from kubectl_lbdoctor.permission import Permission, could_not
from kubectl_lbdoctor.record import record

__all__ = [
    "CheckResult",
    "CheckStatus",
    "Confidence",
    "Coverage",
    "Denied",
    "Diagnosis",
    "Effect",
    "Evidence",
    "FailedRead",
    "Finding",
    "Hypothesis",
    "ObjectRef",
    "Param",
    "Severity",
    "Source",
    "plain",
]

Param = str | int | tuple[str, ...]
"""A value of a finding: a name, an identifier such as a port, or a text that others have written; an amount; a list."""


def plain(value: Param) -> str:
    """A value as text without grammar, as the JSON document holds it: "3", "a, b"."""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


class Severity(str, Enum):
    """ERROR: traffic fails or targets are out now. WARNING: will fail or degrade. INFO: expected or informative."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def order(self) -> int:
        return ("error", "warning", "info").index(self.value)


class Confidence(str, Enum):
    """CERTAIN: proven by what was read. LIKELY: fits everything, one alternative is left. POSSIBLE: a hypothesis."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"

    @property
    def order(self) -> int:
        return ("certain", "likely", "possible").index(self.value)


class CheckStatus(str, Enum):
    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    CRASHED = "crashed"


class Source:
    """Where evidence comes from, as the screen names it: one name per source.

    Reads, in the words of kubectl and of the ELBv2 API. EXPECTED: what should be there by the controller's rules.
    PATH: the way of a packet through the VPC. PROBE: a health check of our own. CONTROLLER_ANSWER: the error with which
    the controller refuses an annotation. EFFECT: what follows from a finding that would be harmless without it.
    """

    TARGET_GROUP = "target group"
    TARGET_GROUPS_OF_INGRESS = "target groups of the Ingress"
    TARGET_GROUP_ATTRIBUTES = "target group attributes"
    TARGET_HEALTH = "target health"
    LISTENER_RULE = "listener rule"
    TARGET_TYPE = "target type"
    PODS = "pods"
    KUBE_PROXY_PODS = "pods k8s-app=kube-proxy"
    POLICY_ENGINE = "network policy engine"
    NODES = "nodes"
    ENDPOINT_SLICES = "endpointslices"
    BINDING = "targetgroupbinding"
    BINDINGS = "targetgroupbindings"
    INGRESS_CLASSES = "ingressclasses"
    CLASS_PARAMS = "ingressclassparams"
    ANNOTATIONS = "annotations"
    CONTROLLER = "controller"
    CONTROLLER_LOG = "controller log"
    CONTROLLER_ANSWER = "controller's answer to it"
    EXPECTED = "expected"
    PATH = "path"
    PROBE = "probe"
    EFFECT = "follows from it"


@record
class Evidence:
    """One observed fact. source: a `Source`, a read (`model.reads`), or the object where that says more, as a person
    writes it ("pod web-1", "service/web")."""

    source: str
    text: str


@record
class Hypothesis:
    """A cause that still fits what was seen. settle: complete shell commands that tell whether it is the one."""

    code: str
    text: str
    settle: tuple[str, ...] = ()


@record
class Finding:
    """One check's answer "no" about one object.

    params fill the message of the check: values, whose grammar stands in the template (see checks/wording.py). Amounts
    are int, lists are tuples; ports are names, so they are str.
    targets: keys ("id:port") of the targets whose state this accounts for.
    confirm: complete shell commands that show it by hand.
    repairs: ways to repair it that `--fix` can make, the best first; the others are alternatives.
    repair_template: a repair whose value only the user knows (`--fix healthcheck-path=/alive`).
    fix_automatic: the evidence determines the first of them, so that no choice by the user is needed.
    fix: the name that `--fix` knows it by, where that is not the one of its code.
    alternatives: other ways to repair it, each with a name of its own for `--fix`.
    by_hand: shell commands that repair what `--fix` does not make.
    advice: the repair in words, where no single command does it. rules_out: what the evidence excludes.
    explains: codes of findings on the same path that this very one accounts for, where its code alone does not say so.
    It is then as severe as the worst of them.
    effect_of: the codes that may explain this one at all, besides a finding that claims it (`explains`): none, where it
    says a fact of its own. None: whichever declares that it does.
    stopped_by: of the codes that keep the controller from its work, those that may explain this one: none, where people
    make what is missing. None: any of them.
    severity: only where this case is milder than its code, such as a controller that is down while all targets are
    healthy; None means the severity of the code.
    is_cause: this case accounts for failing targets by itself, though its code is a symptom otherwise.
    subjects: of a state of the cluster, the objects that it concerns, where these are not all that were looked at.
    """

    code: str
    object: ObjectRef
    params: Mapping[str, Param] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    confidence: Confidence = Confidence.CERTAIN
    targets: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    repair_template: Repair | None = None
    fix_automatic: bool = False
    fix: str = ""
    alternatives: tuple[Alternative, ...] = ()
    advice: str = ""
    rules_out: str = ""
    hypotheses: tuple[Hypothesis, ...] = ()
    severity: Severity | None = None
    explains: tuple[str, ...] = ()
    effect_of: tuple[str, ...] | None = None
    stopped_by: tuple[str, ...] | None = None
    is_cause: bool = False
    subjects: tuple[ObjectRef, ...] = ()

    @property
    def commands(self) -> tuple[str, ...]:
        """How to repair it by hand, as shell commands."""
        return (*(command for repair in self.repairs for command in repair.commands), *self.by_hand)


@record
class CheckResult:
    """The outcome of one check on one subject of its scope; `paths` are the keys of the paths that it is about, `read`
    is the read that it needed and that is not known (`model.reads`)."""

    code: str
    paths: tuple[str, ...]
    status: CheckStatus
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    trace: str = ""
    read: str = ""


@record
class Effect:
    """What a root cause explains: the code of a finding and its problem in words."""

    code: str
    title: str


@record
class Diagnosis:
    """A root cause: its finding, what it affects and the findings that it explains. milder: of what it affects, the
    objects for which it is less severe, with how severe it is there: whose targets serve all the same. paths: keys of
    the traffic paths that it is about."""

    rank: int
    finding: Finding
    severity: Severity
    title: str
    message: str
    affects: tuple[ObjectRef, ...] = ()
    effects: tuple[Effect, ...] = ()
    fix: str = ""
    milder: tuple[tuple[ObjectRef, Severity], ...] = ()
    paths: tuple[str, ...] = ()

    def severity_for(self, ref: ObjectRef) -> Severity:
        """How severe it is for an object that it affects."""
        return next((severity for affected, severity in self.milder if affected == ref), self.severity)

    @property
    def explains(self) -> tuple[str, ...]:
        """The codes of what it explains."""
        return tuple(effect.code for effect in self.effects)


@record
class Denied:
    read: str
    permission: Permission
    reason: str = ""


@record
class FailedRead:
    """A read that came to nothing, or not to all of it. request: what was asked for, where the problem does not name
    it."""

    read: str
    problem: str
    request: Permission | None = None

    @property
    def error(self) -> str:
        """What went wrong, in one sentence."""
        return could_not(self.request, self.problem)


@record
class Coverage:
    """What was read and what was not; what is not known here is never shown as absent or healthy.

    partial: lists that were read, but for items that could not be understood. optional: what is denied and may be
    (`reads.OPTIONAL`): it would sharpen a diagnosis, and takes nothing from one.
    """

    known: int = 0
    denied: tuple[Denied, ...] = ()
    failed: tuple[FailedRead, ...] = ()
    partial: tuple[FailedRead, ...] = ()
    not_asked: tuple[str, ...] = ()
    optional: tuple[Denied, ...] = ()

    @property
    def complete(self) -> bool:
        return not (self.denied or self.failed or self.partial or self.not_asked)
