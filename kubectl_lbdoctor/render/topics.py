"""Pages of `explain`: a code, a reason that AWS gives for a target, or a fix."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.checks.registry import CheckSpec
from kubectl_lbdoctor.knowledge.fixes import FIXES
from kubectl_lbdoctor.knowledge.further_reading import sources
from kubectl_lbdoctor.knowledge.health_reasons import SOURCES, HealthReason
from kubectl_lbdoctor.record import record
from kubectl_lbdoctor.render.view import View

_WIDEST = 100
"""Columns that are read with ease; a narrower terminal is filled."""


@record
class ReasonTopic:
    """A reason with the checks that find what is behind it."""

    reason: HealthReason
    causes: tuple[CheckSpec, ...]


@record
class FixTopic:
    """A fix with the checks whose findings it repairs."""

    name: str
    changes: str
    repairs: tuple[CheckSpec, ...]


Topic = CheckSpec | ReasonTopic | FixTopic


@record
class Explanation:
    """What `explain` was asked for, in that order."""

    topics: tuple[Topic, ...]


def render(explanation: Explanation, view: View) -> str:
    """All pages, with an empty line between them."""
    width = min(view.width or _WIDEST, _WIDEST)
    return "\n".join("\n".join(_page(topic, width)) + "\n" for topic in explanation.topics)


def name_of(topic: Topic) -> str:
    """The word that `explain` takes for a topic."""
    if isinstance(topic, CheckSpec):
        return topic.code
    return topic.reason.name if isinstance(topic, ReasonTopic) else topic.name


def _page(topic: Topic, width: int) -> Iterator[str]:
    if isinstance(topic, CheckSpec):
        yield from _check(topic, width)
    elif isinstance(topic, ReasonTopic):
        yield from _reason(topic, width)
    else:
        yield from _fix(topic, width)


def _check(spec: CheckSpec, width: int) -> Iterator[str]:
    yield from _wrapped(f"{spec.code} ({spec.severity.value}): {spec.title}", width)
    yield ""
    yield from _paragraphs(spec.doc, width)
    yield ""
    if spec.fix:
        yield from _entry("Fix", f"--fix {spec.fix}. {FIXES[spec.fix]}", width)
    if spec.explains:
        yield from _entry("Explains", ", ".join(spec.explains), width)
    if spec.reads:
        yield from _entry("Reads", ", ".join(sorted(spec.reads)), width)
    yield from _links(url for url in sources(spec.code, spec.doc) if url not in spec.doc)


def _reason(topic: ReasonTopic, width: int) -> Iterator[str]:
    reason = topic.reason
    yield f"{reason.name} (targets that are {reason.state})"
    yield ""
    yield from _paragraphs(reason.meaning, width)
    yield ""
    if reason.rules_out:
        yield from _entry("Rules out", reason.rules_out, width)
    if reason.next_step:
        yield from _entry("Next", reason.next_step, width)
    yield from _codes("Causes", topic.causes, width)
    yield from _links(SOURCES)


def _fix(topic: FixTopic, width: int) -> Iterator[str]:
    yield f"--fix {topic.name}"
    yield ""
    yield from _paragraphs(topic.changes, width)
    yield ""
    yield from _codes("Repairs", topic.repairs, width)
    yield from _entry("Try", f"kubectl lbdoctor ing/NAME --fix {topic.name} --dry-run=server", width)


_LABEL = 11
"""Columns of the labels at the left of an entry."""


def _codes(label: str, specs: Iterable[CheckSpec], width: int) -> Iterator[str]:
    for spec in specs:
        first = f"{label}:" if label else ""
        yield from _wrapped(f"{spec.code}  {spec.title}", width, f"{first:<{_LABEL}}", " " * (_LABEL + len("LBD000  ")))
        label = ""


def _links(urls: Iterable[str]) -> Iterator[str]:
    label = "Sources:"
    for url in urls:
        yield f"{label:<{_LABEL}}{url}"
        label = ""


def _entry(label: str, text: str, width: int) -> Iterator[str]:
    yield from _wrapped(text, width, f"{label + ':':<{_LABEL}}", " " * _LABEL)


def _paragraphs(text: str, width: int) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield from _wrapped(" ".join(paragraph.split()), width)


def _wrapped(text: str, width: int, first: str = "", others: str = "") -> list[str]:
    """Lines that break between words: a name, a command or an address is never torn."""
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
