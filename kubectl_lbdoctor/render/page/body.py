"""The page from top to bottom: what is wrong, where on the way, what to do; then everything that this rests on."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef, Severity
from kubectl_lbdoctor.model.picture import Pictured, Stop, Verdict
from kubectl_lbdoctor.model.report import Report, Status
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.render.coverage_lines import coverage_lines
from kubectl_lbdoctor.render.markup import Child, Markup, tag
from kubectl_lbdoctor.render.page.advice import advice
from kubectl_lbdoctor.render.page.diagram import Diagram
from kubectl_lbdoctor.render.page.parts import anchor, command, cut, hop_anchor, next_step, unbroken
from kubectl_lbdoctor.render.picture_words import CLASSES, MARKS, PLACES, missing_of, verdict_of
from kubectl_lbdoctor.render.report_screen import ignored_lines, sentence_of
from kubectl_lbdoctor.render.verdict import verdicts

_STATUS = {Status.HEALTHY: Verdict.PASSES, Status.UNKNOWN: Verdict.UNKNOWN}
MOST_CAUSES, MOST_TOLD = 24, 5
"""Diagnoses on one page, and those of them that come before the picture, so that it is seen at once; there may be a
hundred, the first are the worst.
"""

MOST_OPEN, MOST_LINES, MOST_MEMBERS = 2, 150, 5
ROOM_FOR_PICTURES, ROOM_FOR_TRACES = 100_000, 40_000
"""Bytes, of the 300,000 that a page may have: what does not fit of many objects is a line, and a page of its own."""

_LEGEND = (
    (Verdict.PASSES, "passes"),
    (Verdict.BLOCKS, "blocks"),
    (Verdict.UNKNOWN, "unknown: not read"),
    (Verdict.NOT_REACHED, "not reached"),
)


def title(drawn: Pictured) -> str:
    """The title of the page: which objects, and how they are."""
    report = drawn.report
    if drawn.scan is not None:
        return f"{_scope(drawn.scan)}: {_counts(drawn) or 'nothing found'}"
    worst_first = sorted(report.subjects, key=lambda subject: subject.status.order)
    names = ", ".join(_name(subject.ref) for subject in worst_first[:3])
    more = f" and {len(report.subjects) - 3} more" if len(report.subjects) > 3 else ""
    return f"{names or 'nothing'}{more}: {report.status.value}"


def body(drawn: Pictured, run: Run) -> Markup:
    """All that is on the page."""
    report, diagram = drawn.report, Diagram(drawn.report)
    where = _where(drawn, diagram)  # Drawn first: what is wrong names the hops.
    return tag(
        "main",
        _header(drawn),
        _wrong(report, diagram),
        where,
        advice(report, MOST_CAUSES),
        _unread(report),
        _ignored(report),
        _traces(drawn),
        _origin(report, run),
    )


def _header(drawn: Pictured) -> Markup:
    report = drawn.report
    several = _is_index(drawn)
    names = [_name(subject.ref) for subject in report.subjects]
    name = (
        _scope(drawn.scan) if drawn.scan is not None else counted(len(names), "object") if several else "".join(names)
    )
    worst = next(verdicts(report))
    said = _counts(drawn) if several and names else worst.text
    place = ", ".join(filter(None, (report.context.cluster, report.context.region)))
    read = f"{place}, read {report.generated_at}" if place else f"read {report.generated_at}"
    ended = drawn.scan is not None and not drawn.scan.complete
    return tag(
        "header",
        tag("p", read, class_="eyebrow"),
        tag("h1", _badge(worst.status, worst.word), " ", name),
        tag("p", said, class_="lead"),
        tag("p", "The scan was ended before it was done: what is here is a part.", class_="lead") if ended else "",
        class_=f"top {_class(worst.status)}",
    )


def _scope(scan: ScanReport) -> str:
    """What was scanned."""
    labels = f" with {scan.labels}" if scan.labels else ""
    return (f"namespace {scan.namespace}" if scan.namespace else "all namespaces") + labels


def _name(ref: ObjectRef) -> str:
    return f"{ref.kind} {'/'.join(filter(None, (ref.namespace, ref.name)))}"


def _counts(drawn: Pictured) -> str:
    """How many frontends of a scan, or objects of a diagnosis, are how."""
    words = {verdict.status: verdict.word for verdict in verdicts(drawn.report)}
    told = drawn.scan.rows if drawn.scan is not None else drawn.report.subjects
    statuses = [entry.status for entry in told]
    return ", ".join(f"{statuses.count(s)} {words[s]}" for s in Status if s in statuses)


def _badge(status: Status, word: str) -> Markup:
    mark = MARKS[_STATUS.get(status, Verdict.BLOCKS)]
    return tag("span", tag("span", mark, aria_hidden="true"), " ", word, class_=f"badge {_class(status)}")


def _class(status: Status) -> str:
    return CLASSES[_STATUS.get(status, Verdict.BLOCKS)]


def _is_index(drawn: Pictured) -> bool:
    """Whether the page is about several objects, with a line for each."""
    return drawn.scan is not None or len(drawn.report.subjects) > 1


def _wrong(report: Report, diagram: Diagram) -> Child:
    """What is wrong, one sentence for each root cause."""
    shown = report.diagnoses[:MOST_TOLD]
    if not shown:
        return None
    items = []
    for diagnosis in shown:
        code = tag("a", f"{diagnosis.finding.code} {diagnosis.severity.value}", href=f"#{anchor(diagnosis)}")
        sentence = tag("p", unbroken(cut(sentence_of(diagnosis))), class_="said")
        parts = (tag("p", code, class_="code"), sentence, tag("p", _about(diagnosis, report, diagram), class_="about"))
        # What stands at a hop, too, is shown where that may be far below: on narrow screens and on paper.
        shape = "step" if diagram.hop_of(diagnosis) is None else "step again"
        step = tag("div", list(next_step(diagnosis, report.where)), class_=shape)
        items.append(tag("li", *parts, step, class_=diagnosis.severity.value))
    more = len(report.diagnoses) - len(shown)
    rest = "below" if len(report.diagnoses) <= MOST_CAUSES else "below, and all of them in -o json"
    left = tag("p", f"and {counted(more, 'more finding')}: {rest}", class_="more") if more else ""
    errors = any(d.severity is Severity.ERROR for d in shown)
    heading = tag("h2", "What is wrong" if errors else "What to know", id="wrong")
    return tag("section", heading, tag("ol", items, class_="wrong"), left, aria_labelledby="wrong")


def _about(diagnosis: Diagnosis, report: Report, diagram: Diagram) -> Iterator[Child]:
    """At which hop it lies, with a link to it in the picture, and what is to be changed."""
    hop, ref = diagram.hop_of(diagnosis), diagnosis.finding.object
    named = ref.among(report.namespaces)
    if hop is not None:
        is_itself = hop.name in (str(ref), named)
        text = PLACES[hop.place] if is_itself else f"{PLACES[hop.place]} {hop.name}".strip()
        yield "at the hop: "
        yield tag("a", list(unbroken(cut(text))), href=f"#{hop_anchor(diagnosis)}")
        yield "; "
    yield f"{'about' if diagnosis.finding.hypotheses else 'to change'}: {named}"


def _where(drawn: Pictured, diagram: Diagram) -> Markup:
    """The pictures; of several objects, an index with a line and a picture for each, as far as there is room."""
    signs = [
        tag("li", tag("span", MARKS[verdict], class_=f"mark {CLASSES[verdict]}", aria_hidden="true"), text)
        for verdict, text in _LEGEND
    ]
    one_by_one = [] if _is_index(drawn) else [diagram.picture(picture) for picture in drawn.pictures]
    pictures = one_by_one or list(_index(drawn, diagram))
    return tag(
        "section",
        tag("div", tag("h2", "Where on the way", id="way"), tag("ul", signs, class_="legend"), class_="over"),
        pictures,
        aria_labelledby="way",
    )


def _index(drawn: Pictured, diagram: Diagram) -> Iterator[Markup]:
    """A line for each frontend, the worst first, with its picture inside where the page has room for it."""
    subjects = sorted(drawn.report.subjects, key=lambda subject: subject.status.order)
    told = {subject.ref: said for subject, said in zip(subjects, verdicts(drawn.report), strict=False)}
    names: list[tuple[ObjectRef, tuple[ObjectRef, ...]]] = [(ref, (ref,)) for ref in told]
    if drawn.scan is not None:
        names = [(row.ref, tuple(ref for ref in told if ref in row.objects)) for row in drawn.scan.rows]
    pictures = {picture.subject: picture for picture in drawn.pictures}
    room = ROOM_FOR_PICTURES
    for number, (name, refs) in enumerate(names[:MOST_LINES]):
        worst, *others = (told[ref] for ref in refs)
        texts = [said.text for said in others[: MOST_MEMBERS - 1]]
        texts += [f"and {counted(len(others) - len(texts), 'more object')}"] if len(others) > len(texts) else []
        line = [
            tag("h3", _badge(worst.status, worst.word), " ", _name(name)),
            *(tag("p", text) for text in (worst.text, *texts)),
        ]
        picture = pictures.get(name)
        drawing = diagram.picture(picture) if picture is not None and room > 0 else Markup("")
        room -= len(drawing)
        if drawing:
            is_open = number < MOST_OPEN and worst.status is not Status.HEALTHY
            yield tag("details", tag("summary", line), drawing, class_="subject", open=is_open)
        else:
            yield tag("div", line, class_="subject")
    if len(names) > MOST_LINES:
        yield tag("p", f"and {counted(len(names) - MOST_LINES, 'more object')}, see -o wide", class_="more")


def _unread(report: Report) -> Child:
    """What could not be read, with the permission to add, and what could not be judged without it."""
    lines = list(coverage_lines(report, wide=False))
    if not lines:
        return None
    # What is indented is a command.
    items = [tag("li", command(line.strip()) if line.startswith(" ") else line) for line in lines]
    return tag("section", tag("h2", "What could not be read", id="unread"), tag("ul", items), aria_labelledby="unread")


def _ignored(report: Report) -> Child:
    """What was found and is ignored, and who says so."""
    items = [tag("li", cut(line)) for line in ignored_lines(report)]
    if not items:
        return None
    return tag("section", tag("h2", "What is ignored", id="ignored"), tag("ul", items), aria_labelledby="ignored")


def _traces(drawn: Pictured) -> Child:
    """The way to each target that is shown, hop by hop, with the entry that decided."""
    several, namespaces = len(drawn.pictures) > 1, drawn.report.namespaces
    stops = [
        (picture, stop)
        for picture in drawn.pictures
        for branch in picture.branches
        for zone in branch.zones
        for stop in zone.stops
    ]
    if not stops:
        return None
    shown: list[Markup] = []
    for picture, stop in stops:
        if sum(map(len, shown)) < ROOM_FOR_TRACES:
            shown.append(_trace(f"{picture.subject.among(namespaces)}: " if several else "", stop))
    more = len(stops) - len(shown)
    left = tag("p", f"and {more} more: diagnose the objects one by one") if more else ""
    return tag("section", tag("h2", "Hop by hop", id="traces"), shown, left, aria_labelledby="traces")


def _trace(of: str, stop: Stop) -> Markup:
    """The way to one target. of: what comes before its name."""
    rows = [
        tag(
            "tr",
            tag("td", tag("span", MARKS[hop.verdict], aria_hidden="true"), " ", verdict_of(hop)),
            tag("th", PLACES[hop.place], scope="row"),
            tag("td", hop.name),
            tag("td", "; ".join(filter(None, (hop.decided, missing_of(hop))))),
        )
        for hop in stop.hops
    ]
    columns = tag("tr", [tag("th", text, scope="col") for text in ("verdict", "hop", "name", "decided by")])
    table = tag("table", tag("thead", columns), tag("tbody", rows))
    alike = f", and {stop.alike} more that fare alike" if stop.alike else ""
    name = f"{of}{stop.target} {stop.state} {stop.reason}".rstrip() + (f", pod {stop.pod}" if stop.pod else "") + alike
    # No landmark ("region"): several objects may have the same targets, and names of landmarks are to be unique.
    scroll = tag("div", table, class_="scroll", tabindex="0", role="group", aria_label=f"trace of {of}{stop.target}")
    return tag("details", tag("summary", name), scroll)


def _origin(report: Report, run: Run) -> Markup:
    """When and where it was read, and by what."""
    checks = report.checks
    rows = list(_facts(report, run))
    told = f"{checks.passed} passed, {checks.failed} failed, {checks.unknown} unknown, {checks.skipped} did not apply"
    rows.append(("checks", told + (f", {checks.crashed} crashed" if checks.crashed else "")))
    rows.append(("version", f"kubectl lbdoctor {__version__}"))
    listed = [tag("div", tag("dt", name), tag("dd", text)) for name, text in rows]
    notes = [tag("p", note) for note in report.where.notes] if report.diagnoses else []
    return tag("footer", tag("h2", "When and where it was read"), tag("dl", listed), notes)


def _facts(report: Report, run: Run) -> Iterator[tuple[str, str]]:
    context = report.context
    yield "read at", report.generated_at
    for name, text in (
        ("context", context.kube_context),
        ("cluster", context.cluster),
        ("API server", context.server),
        ("namespace", context.namespace),
        ("region", context.region),
        ("account", context.account),
    ):
        if text:
            yield name, text
    if run.milliseconds is not None:
        yield "took", f"{run.milliseconds / 1000:.1f} s"
    if run.calls:
        yield "requests", f"{sum(run.calls.values())}"
