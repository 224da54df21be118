"""The diagnoses about one path, by the place where they lie, and hops that know of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.analysis.pictures.places import PLACES, place_of, stops_traffic
from kubectl_lbdoctor.knowledge.secret_text import without_credentials
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Diagnosis, ObjectRef
from kubectl_lbdoctor.model.picture import Hop, Place, Verdict
from kubectl_lbdoctor.model.report import TargetView
from kubectl_lbdoctor.record import record

_EACH_TARGETS_OWN = (
    *(Place.ZONE, Place.NODE, Place.NODE_TO_POD, Place.NETWORK_POLICY, Place.POD, Place.ANSWER),
    *(Place.REQUEST_ACL_IN, Place.TARGET_GROUPS, Place.RETURN_ACL_OUT),
)
_NAMED_BY = {"Pod": "pod", "Node": "node"}
"""Kinds of objects that a target is or stands on, and where a target names them."""


@record
class Causes:
    """The diagnoses about one path, or about all paths of a frontend."""

    diagnoses: tuple[Diagnosis, ...]

    @classmethod
    def of(cls, diagnoses: Iterable[Diagnosis], subject: ObjectRef, paths: Iterable[str]) -> Causes:
        """Those of the report's that are about one of these paths of an object, by their keys, as severe as they are
        for it."""
        wanted = frozenset(paths)
        mine = (d for d in diagnoses if not wanted.isdisjoint(d.paths))
        return cls(tuple(replace(d, severity=d.severity_for(subject)) for d in mine))

    @classmethod
    def joined(cls, parts: Iterable[Causes]) -> Causes:
        """Those of several objects, each once and as severe as it is for the one that suffers the most."""
        found: dict[int, Diagnosis] = {}
        for diagnosis in (diagnosis for part in parts for diagnosis in part.diagnoses):
            known = found.get(diagnosis.rank)
            if known is None or diagnosis.severity.order < known.severity.order:
                found[diagnosis.rank] = diagnosis
        return cls(tuple(found[rank] for rank in sorted(found)))

    def at(self, place: Place) -> tuple[Diagnosis, ...]:
        """What lies at a place of the way."""
        return tuple(d for d in self.diagnoses if place_of(d.finding) is place)

    def explaining(self, place: Place) -> tuple[Diagnosis, ...]:
        """What explains a finding at a place of the way."""
        return tuple(d for d in self.diagnoses if any(PLACES.get(code) is place for code in d.explains))

    def of_target(self, place: Place, target: TargetView) -> tuple[Diagnosis, ...]:
        """What lies at a place and is about this target."""
        return tuple(d for d in self.at(place) if is_about(d, target))

    def left(self, targets: Iterable[TargetView]) -> dict[Place, tuple[Diagnosis, ...]]:
        """By place, what lies where only targets have a hop, and is about none of them: of pods that are not
        registered."""
        several = tuple(targets)
        found: dict[Place, tuple[Diagnosis, ...]] = {}
        for place in _EACH_TARGETS_OWN:
            mine = tuple(d for d in self.at(place) if not any(is_about(d, target) for target in several))
            if mine:
                found[place] = mine
        return found

    def blocked_by(self, hop: Hop, code: str, target: TargetView) -> Hop:
        """A hop that blocks a target by a finding of this code, with the diagnosis of that, or what explains it."""
        own = tuple(d.rank for d in self.diagnoses if d.finding.code == code and target.key in d.finding.targets)
        behind = () if own else tuple(d.rank for d in self.diagnoses if code in d.explains)
        return replace(hop, causes=own, effect_of=behind)

    @property
    def stopped(self) -> bool:
        """Whether any of them stops traffic."""
        return any(map(stops_traffic, self.diagnoses))


def is_about(diagnosis: Diagnosis, target: TargetView) -> bool:
    """Whether a diagnosis speaks of this target: by its key, or by the pod or node that it is or stands on."""
    finding = diagnosis.finding
    if finding.targets:
        return target.key in finding.targets
    field = _NAMED_BY.get(finding.object.kind)
    return field is not None and getattr(target, field) == finding.object.name


def judged(
    place: Place,
    name: str,
    own: Verdict,
    causes: Iterable[Diagnosis] = (),
    decided: str = "",
    missing: tuple[str, ...] = (),
) -> Hop:
    """A hop that blocks where one of its causes stops traffic, and else does what it does by itself. missing counts
    only where it is unknown then."""
    mine = tuple(causes)
    verdict = Verdict.BLOCKS if any(map(stops_traffic, mine)) else own
    ranks = tuple(diagnosis.rank for diagnosis in mine)
    return Hop(place, name, verdict, decided, missing if verdict is Verdict.UNKNOWN else (), ranks)


def missing_of(*facts: Fact[Any]) -> tuple[str, ...]:
    """What to add for these facts to be known: a permission for each denied one, else what became of the read."""
    unread = (fact for fact in facts if not fact.is_known)
    texts = (str(fact.permission or f"{fact.source}: {without_credentials(fact.why)}") for fact in unread)
    return tuple(dict.fromkeys(texts))
