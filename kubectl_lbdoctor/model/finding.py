"""What checks produce and what a report holds. Findings carry a code and parameters; their text is rendered late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Repair

__all__ = [
    "CheckResult",
    "CheckStatus",
    "Confidence",
    "Coverage",
    "Denied",
    "Diagnosis",
    "Evidence",
    "FailedRead",
    "Finding",
    "Hypothesis",
    "ObjectRef",
    "Severity",
]


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


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observed fact; `source` names the read it comes from, or the object where that says more."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A cause that still fits what was seen, and what would settle whether it is the one."""

    code: str
    text: str
    settle: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer "no" about one object.

    params fill the message of the check. targets: keys ("id:port") of the targets whose state this accounts for.
    confirm: complete shell commands that show it by hand.
    repairs: ways to repair it that `--fix` can make, the best first; the others are alternatives.
    repair_template: a repair whose value only the user knows (`--fix healthcheck-path=/alive`).
    fix_automatic: the evidence determines the first of them, so that no choice by the user is needed.
    fix: the name that `--fix` knows it by, where that is not the one of its code.
    by_hand: shell commands that repair what `--fix` does not make.
    advice: the repair in words, where no single command does it. rules_out: what the evidence excludes.
    severity: only where this case is milder than its code, such as a controller that is down while all targets are
    healthy; None means the severity of the code.
    """

    code: str
    object: ObjectRef
    params: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    confidence: Confidence = Confidence.CERTAIN
    targets: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()
    repair_template: Repair | None = None
    fix_automatic: bool = False
    fix: str = ""
    advice: str = ""
    rules_out: str = ""
    hypotheses: tuple[Hypothesis, ...] = ()
    severity: Severity | None = None

    @property
    def commands(self) -> tuple[str, ...]:
        """How to repair it by hand, as shell commands."""
        return (*(command for repair in self.repairs for command in repair.commands), *self.by_hand)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check on one subject of its scope; `paths` are the keys of the paths that it is about."""

    code: str
    paths: tuple[str, ...]
    status: CheckStatus
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A root cause: its finding, what it affects and the codes of the findings that it explains."""

    rank: int
    finding: Finding
    severity: Severity
    title: str
    message: str
    affects: tuple[ObjectRef, ...] = ()
    explains: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    read: str
    permission: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FailedRead:
    read: str
    error: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was read and what was not; what is not known here is never shown as absent or healthy."""

    known: int = 0
    denied: tuple[Denied, ...] = ()
    failed: tuple[FailedRead, ...] = ()
    not_asked: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not (self.denied or self.failed or self.not_asked)
