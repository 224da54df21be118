"""The one way to declare a check, and the catalogue of all of them.

A check is a generator function over its scope under `@check(...)`; the decorator's arguments and the docstring are its
only declaration. Explanations, `docs/checks.md`, the policies and the collector's list of reads come from it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from kubectl_lbdoctor.checks import wording
from kubectl_lbdoctor.model.finding import Finding, ObjectRef, Param, Severity
from kubectl_lbdoctor.record import record

CheckFunction = Callable[..., Iterable[Finding]]
"""Takes what its scope says: a `Snapshot`, a `Frontend` or a `TrafficPath`."""

Cause = tuple[str, ObjectRef, tuple[Param, ...]]
"""A code, an object and the values that tell its causes apart."""

_CODE = re.compile(r"LBD[0-9]{3}")
_REPAIR = re.compile(r"\bRepair: (.+?)(?:\n\n|\Z)", re.S)


class Scope(str, Enum):
    """What a check is about, and so how often it runs: once per snapshot, per frontend or per traffic path."""

    CLUSTER = "cluster"
    FRONTEND = "frontend"
    PATH = "path"


@record
class CheckSpec:
    """One declared code.

    title: the problem in one clause without values. passes: the statement that holds when the check passes.
    message: template of a failure, filled from the finding's params (see checks/wording.py).
    distinct_by: names of the params that tell two causes on one object apart; findings on one object that agree in
    them are one cause, whatever else they say. reads: names from
    `model.reads` that the function may open. explains: codes of findings that this root cause makes mere symptoms.
    symptom: folded under any error on the same path, a root cause only when alone.
    scope: what the function takes, and how often it runs. by_design: the targets of its findings are expected to fail:
    they count neither as healthy nor as faulty. refined_by_probe: a probe may name the repair more exactly, so that
    one is worth its time even where the cause is certain. by_absence: the reads from whose lists something must be
    missing for a finding to hold; where a part of such a list could not be understood, nothing is proven.
    fix: the name that `--fix` accepts ("" when there is none).
    function is None for codes that the program itself reports (LBD0xx).
    """

    code: str
    title: str
    severity: Severity
    message: str
    doc: str
    passes: str = ""
    reads: frozenset[str] = frozenset()
    explains: tuple[str, ...] = ()
    symptom: bool = False
    scope: Scope = Scope.PATH
    by_design: bool = False
    refined_by_probe: bool = False
    fix: str = ""
    function: CheckFunction | None = None
    distinct_by: tuple[str, ...] = ()
    by_absence: tuple[str, ...] = ()

    @property
    def repair(self) -> str:
        """What to do, in a sentence of the docstring ("Repair: …"); "" where it says none."""
        found = _REPAIR.search(self.doc)
        return " ".join(found[1].replace("`", "").split()).rstrip(".") if found else ""

    def render(self, finding: Finding) -> str:
        """The message of a finding; raises KeyError when a parameter of the template is missing."""
        return wording.render(self.message, finding.params)

    def fields(self) -> tuple[str, ...]:
        """The names of the params that every finding of this code has."""
        return tuple(dict.fromkeys((*wording.fields(self.message), *self.distinct_by)))

    def cause(self, finding: Finding) -> Cause:
        """What is equal for two findings of this code that are one cause."""
        return finding.code, finding.object, tuple(finding.params.get(name, "") for name in self.distinct_by)


class DuplicateCode(ValueError):
    """Two declarations share one code."""


@dataclass
class Catalogue:
    """Specs in the order of their codes."""

    specs: dict[str, CheckSpec] = field(default_factory=dict)

    def add(self, spec: CheckSpec) -> None:
        if not _CODE.fullmatch(spec.code):
            raise ValueError(f"{spec.code!r} is not a code like LBD301")
        if spec.code in self.specs:
            raise DuplicateCode(f"{spec.code} is declared twice")
        if not spec.doc.strip():
            raise ValueError(f"{spec.code} has no docstring to explain it")
        if undeclared := {*spec.by_absence} - spec.reads:
            raise ValueError(
                f"{spec.code} rests on the absence of what it does not read: {', '.join(sorted(undeclared))}"
            )
        self.specs[spec.code] = spec

    def __iter__(self) -> Iterator[CheckSpec]:
        return iter(sorted(self.specs.values(), key=lambda s: s.code))

    def __getitem__(self, code: str) -> CheckSpec:
        return self.specs[code]

    def get(self, code: str) -> CheckSpec | None:
        return self.specs.get(code)

    def checks(self) -> tuple[CheckSpec, ...]:
        """The specs that are run."""
        return tuple(spec for spec in self if spec.function is not None)

    def reads(self) -> frozenset[str]:
        """Everything that any check may read: what the collector fetches and the policies allow."""
        return frozenset().union(*(spec.reads for spec in self))


CATALOGUE = Catalogue()


def check(
    code: str,
    *,
    title: str,
    passes: str,
    severity: Severity,
    message: str,
    reads: Iterable[str],
    explains: tuple[str, ...] = (),
    symptom: bool = False,
    scope: Scope = Scope.PATH,
    by_design: bool = False,
    refined_by_probe: bool = False,
    fix: str = "",
    distinct_by: tuple[str, ...] = (),
    by_absence: tuple[str, ...] = (),
    catalogue: Catalogue = CATALOGUE,
) -> Callable[[CheckFunction], CheckFunction]:
    """Declare the decorated generator function as the check of `code` (see CheckSpec for the arguments)."""

    def declare(function: CheckFunction) -> CheckFunction:
        catalogue.add(
            CheckSpec(
                code=code,
                title=title,
                passes=passes,
                severity=severity,
                message=message,
                doc=inspect.getdoc(function) or "",
                reads=frozenset(reads),
                explains=explains,
                symptom=symptom,
                scope=scope,
                by_design=by_design,
                refined_by_probe=refined_by_probe,
                fix=fix,
                function=function,
                distinct_by=distinct_by,
                by_absence=by_absence,
            )
        )
        return function

    return declare


def reported(code: str, *, title: str, passes: str, severity: Severity, message: str, doc: str) -> None:
    """Declare a code that the program itself reports and no check can find."""
    CATALOGUE.add(CheckSpec(code, title, severity, message, inspect.cleandoc(doc), passes))
