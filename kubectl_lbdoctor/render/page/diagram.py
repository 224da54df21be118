"""The picture itself: lists of hops that the style draws as a way, from clients on the left to pods on the right, or
from top to bottom where there is little room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.picture import AT_TARGET, Branch, Hop, Picture, Stop, Verdict, ZonePart, worst
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.render.markup import Child, Markup, tag
from kubectl_lbdoctor.render.page.parts import anchor, cut, hop_anchor, next_step, unbroken
from kubectl_lbdoctor.render.picture_words import (
    CLASSES,
    MARKS,
    PLACES,
    crowd_of,
    health_of,
    missing_of,
    spoken,
    verdict_of,
)
from kubectl_lbdoctor.render.report_screen import sentence_of


class Diagram:
    """Draws the pictures of one page. What a diagnosis says stands at the first hop where it lies; others name it."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._by_rank = {diagnosis.rank: diagnosis for diagnosis in report.diagnoses}
        self._told: dict[int, Hop] = {}

    def picture(self, picture: Picture) -> Markup:
        """One frontend."""
        entrance = tag(
            "div",
            tag("p", "What makes it", class_="title"),
            self._chain(picture.made),
            tag("p", "Where traffic comes in", class_="title"),
            self._chain(picture.front),
            class_="column entrance",
        )
        # Of a backend of which nothing came to be, and nothing is known, there is nothing to draw.
        branches = [self._branch(branch) for branch in picture.branches if branch.hops or branch.zones or branch.ends]
        beside = [*branches, *self._folded(picture)]
        alone = "" if beside else " alone"
        return tag(
            "div",
            entrance,
            tag("ol", beside, class_="branches") if beside else "",
            class_=f"diagram from-{CLASSES[picture.front[-1].verdict] if picture.front else 'beyond'}{alone}",
        )

    def hop_of(self, diagnosis: Diagnosis) -> Hop | None:
        """The hop at which a diagnosis stands in full in what was drawn so far."""
        return self._told.get(diagnosis.rank)

    def _branch(self, branch: Branch) -> Markup:
        head = tag(
            "div",
            tag("p", branch.backend or "target group", tag("span", health_of(branch), class_="count"), class_="title"),
            self._chain(branch.hops),
            class_="column",
        )
        zones = [self._zone(zone, branch.verdict is Verdict.PASSES) for zone in branch.zones]
        if branch.ends:
            zones.append(self._ends(branch))
        if branch.more_zones:
            zones.append(tag("li", f"and {branch.more_zones} more subnets with targets", class_="more"))
        leads = CLASSES[worst(hop.verdict for hop in branch.hops)]
        shape = f"branch into-{leads}" if zones else f"branch into-{leads} no-zones"
        return tag("li", head, tag("ol", zones, class_="zones") if zones else "", class_=shape)

    def _folded(self, picture: Picture) -> Iterator[Markup]:
        """Branches of one line each, the sound ones behind a count."""
        sound = [branch for branch in picture.folded if branch.verdict is Verdict.PASSES]
        for branch in picture.folded:
            if branch not in sound:
                yield tag("li", _line(branch), class_="branch line")
        more = dict(picture.left_out)
        count = len(sound) + more.get(Verdict.PASSES, 0)
        if sound:
            title = f"{count} more backend{'' if count == 1 else 's'} with nothing wrong"
            named = [tag("li", _line(branch)) for branch in sound]
            if more.get(Verdict.PASSES):
                named.append(tag("li", f"and {more[Verdict.PASSES]} more"))
            fold = tag("details", tag("summary", _mark(Verdict.PASSES), title), tag("ul", named, class_="lines"))
            yield tag("li", fold, class_="branch line")
        for verdict, left in picture.left_out:
            if verdict is not Verdict.PASSES:
                word = "backend" if left == 1 else "backends"
                yield tag("li", _mark(verdict), f"{left} more {word}: {verdict.value}", class_="branch line")

    def _zone(self, zone: ZonePart, sound: bool) -> Markup:
        """A subnet. sound: nothing is wrong in its branch, so that what is healthy needs not stand back."""
        name = " ".join(filter(None, (zone.zone or "zone not known", zone.subnet, zone.cidr)))
        own = [self._hop(zone.hop)] if zone.hop.causes else []
        body = tag(
            "div",
            tag("ol", own, self._gates(zone.gates), class_="gates") if own or zone.gates else "",
            tag("ol", [self._stop(stop, sound) for stop in zone.stops], _crowds(zone), class_="stops"),
            class_="zone-body slim" if not own and all(map(_is_folded, zone.gates)) else "zone-body",
        )
        reached = CLASSES[worst([zone.hop.verdict, *(gate.verdict for gate in zone.gates)])]
        return tag("li", tag("p", name, class_="title"), body, class_=f"zone gates-{reached}")

    def _ends(self, branch: Branch) -> Markup:
        """What lies beyond the target group and is of no target."""
        name = "targets" if branch.total < 0 else "not registered"
        return tag("li", tag("p", name, class_="title"), self._chain(branch.ends), class_="zone ends")

    def _gates(self, gates: Sequence[Hop]) -> Iterator[Markup]:
        """The filters before a zone; those that pass in a row are one line."""
        passing: list[Hop] = []
        for gate in gates:
            if _is_folded(gate):
                passing.append(gate)
                continue
            yield from self._passing(passing)
            passing = []
            yield self._hop(gate)
        yield from self._passing(passing)

    def _passing(self, gates: Sequence[Hop]) -> Iterator[Markup]:
        if len(gates) < 2:
            yield from map(self._hop, gates)
            return
        title = f"{len(gates)} filters let it pass"
        inside = tag("ol", [self._hop(gate) for gate in gates], class_="chain")
        yield tag("li", tag("details", tag("summary", _mark(Verdict.PASSES), title), inside), class_="fold passes")

    def _stop(self, stop: Stop, sound: bool) -> Markup:
        alike = tag("p", f"and {stop.alike} more that fare alike", class_="more") if stop.alike else ""
        own = tag("ol", [self._hop(hop) for hop in stop.hops if hop.place in AT_TARGET], class_="chain")
        state = tag("span", f"{stop.state} {stop.reason}".strip(), class_="state")
        shape = f"stop {CLASSES[stop.verdict]}"
        if stop.verdict is Verdict.PASSES and not sound:
            summary = tag("summary", _mark(Verdict.PASSES), stop.target, state, class_="title")
            return tag("li", tag("details", summary, own), alike, class_=shape)
        return tag("li", tag("p", stop.target, state, class_="title"), own, alike, class_=shape)

    def _chain(self, hops: Iterable[Hop]) -> Markup:
        return tag("ol", [self._hop(hop) for hop in hops], class_="chain")

    def _hop(self, hop: Hop) -> Markup:
        lines: list[Child] = [
            tag("p", PLACES[hop.place], tag("b", verdict_of(hop), class_="verdict"), class_="kind"),
            tag("p", unbroken(cut(hop.name)), class_="name") if hop.name else "",
            tag("p", unbroken(cut(hop.decided)), class_="decided") if hop.decided else "",
            tag("p", unbroken(cut(missing_of(hop))), class_="missing") if hop.missing else "",
        ]
        calls = [self._call(self._by_rank[rank], hop, rank in hop.causes) for rank in (*hop.causes, *hop.effect_of)]
        inside = tag("div", _mark(hop.verdict), tag("div", lines, calls, class_="text"), **_named(hop))
        return tag("li", inside, class_=f"hop {CLASSES[hop.verdict]}")

    def _call(self, diagnosis: Diagnosis, hop: Hop, home: bool) -> Markup:
        """What lies at a hop: in full at the first one, a reference elsewhere. home: it lies at this one."""
        code = f"{diagnosis.finding.code} {diagnosis.severity.value}"
        if not home or diagnosis.rank in self._told:
            link = tag("a", diagnosis.finding.code, href=f"#{anchor(diagnosis)}")
            return tag("p", "because of " if not home else "see ", link, class_="see")
        self._told[diagnosis.rank] = hop
        return tag(
            "div",
            tag("p", tag("a", code, href=f"#{anchor(diagnosis)}"), class_="code"),
            tag("p", unbroken(cut(sentence_of(diagnosis))), class_="said"),
            list(next_step(diagnosis, self._report.where)),
            class_=f"call {diagnosis.severity.value}",
            id=hop_anchor(diagnosis),
        )


def _is_folded(gate: Hop) -> bool:
    """Whether a filter needs no look."""
    return gate.verdict is Verdict.PASSES and not gate.causes


def _named(hop: Hop) -> dict[str, str]:
    return {"class_": "box", "role": "group", "aria_label": spoken(hop)}


def _line(branch: Branch) -> tuple[Child, ...]:
    rule = branch.hops[0].name if branch.hops else ""
    text = f"{rule} to {branch.backend or 'its target group'}: {health_of(branch)}"
    return _mark(branch.verdict), text


def _crowds(zone: ZonePart) -> Iterator[Markup]:
    for crowd in zone.crowds:
        yield tag("li", _mark(crowd.verdict), crowd_of(crowd), class_=f"crowd {CLASSES[crowd.verdict]}")


def _mark(verdict: Verdict) -> Markup:
    return tag("span", MARKS[verdict], class_=f"mark {CLASSES[verdict]}", aria_hidden="true")
