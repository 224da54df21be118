"""What to do about each diagnosis, and why: repair, confirmation, evidence, what is ruled out, the explanation."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.knowledge.further_reading import sources
from kubectl_lbdoctor.model.finding import Confidence, Diagnosis, Source
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.where import Where
from kubectl_lbdoctor.render.markup import Child, Markup, tag
from kubectl_lbdoctor.render.page.parts import anchor, command, cut, paragraphs
from kubectl_lbdoctor.render.report_screen import by_hand, fix_commands, grouped_evidence

_MOST_AFFECTED = 20


def advice(report: Report, most: int) -> Child:
    """A card for each diagnosis, the first `most` of them."""
    if not report.diagnoses:
        return None
    cards, explained = [], set[str]()
    for diagnosis in report.diagnoses[:most]:
        code = diagnosis.finding.code
        cards.append(_card(diagnosis, report, explain=code not in explained))
        explained.add(code)
    return tag("section", tag("h2", "What to do", id="do"), cards, aria_labelledby="do")


def _card(diagnosis: Diagnosis, report: Report, explain: bool) -> Markup:
    finding = diagnosis.finding
    title = tag("h3", tag("span", f"{finding.code} {diagnosis.severity.value}", class_="code"), " ", diagnosis.title)
    rows = [tag("div", tag("dt", name), tag("dd", content)) for name, content in _rows(diagnosis, report)]
    return tag(
        "article",
        title,
        tag("dl", rows, class_="rows"),
        _explained(finding.code) if explain else "",
        id=anchor(diagnosis),
        class_=f"card {diagnosis.severity.value}",
    )


def _rows(diagnosis: Diagnosis, report: Report) -> Iterator[tuple[str, Child]]:
    finding, where = diagnosis.finding, report.where
    repair = list(_repair(diagnosis, where))
    if repair:
        yield "repair", repair
    yield from _to_settle(diagnosis, where)
    if finding.confirm:
        label = "confirm" if finding.confidence is Confidence.CERTAIN else "to settle"
        yield label, [command(where.command(line)) for line in finding.confirm]
    if finding.evidence:
        items = [
            tag("li", tag("b", cut(source)), " ", cut(text)) for source, text in grouped_evidence(finding.evidence)
        ]
        yield "evidence", tag("ul", items)
    if finding.rules_out:
        yield "ruled out", tag("p", finding.rules_out)
    told = {entry.text[:6] for entry in finding.evidence if entry.source == Source.EFFECT}
    effects = [tag("li", f"{e.title} ({e.code})") for e in diagnosis.effects if e.code not in told]
    if effects:
        yield "explains", tag("ul", effects)
    namespace = f" in namespace {finding.object.namespace}" if finding.object.namespace else ""
    yield "object", tag("p", f"{finding.object}{namespace}")
    if len(report.subjects) > 1:
        names = [ref.among(report.namespaces) for ref in diagnosis.affects[:_MOST_AFFECTED]]
        more = len(diagnosis.affects) - len(names)
        yield "affects", tag("p", ", ".join(names) + (f" and {more} more" if more else ""))


def _repair(diagnosis: Diagnosis, where: Where) -> Iterator[Markup]:
    finding = diagnosis.finding
    if finding.advice:
        yield tag("p", cut(where.sentence(finding.advice)))
    for number, line in enumerate(fix_commands(diagnosis)):
        if number:
            yield tag("p", "or", class_="between")
        yield command(where.command(line))
    hand = list(by_hand(finding))
    if hand:
        parts = []
        for number, (label, line) in enumerate(hand):
            if number:
                parts.append(tag("p", label, class_="between"))
            parts.append(command(where.command(line)))
        yield tag("p", "by hand", class_="between")
        yield tag("div", parts)


def _to_settle(diagnosis: Diagnosis, where: Where) -> Iterator[tuple[str, Child]]:
    """What may be the cause, where none is proven, each with what tells."""
    items = [
        tag("li", tag("p", f"{h.text} ({h.code})"), [command(where.command(line)) for line in h.settle])
        for h in diagnosis.finding.hypotheses
    ]
    if items:
        yield "may be", tag("ol", items)


def _explained(code: str) -> Markup:
    spec = CATALOGUE[code]
    links = [tag("li", tag("a", url, href=url, rel="noreferrer")) for url in sources(code, spec.doc)]
    return tag("details", tag("summary", f"What {code} means"), paragraphs(spec.doc), tag("ul", links) if links else "")
