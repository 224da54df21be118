"""What follows from an annotation that nobody reads, and how it is put right: for LBD110 and LBD112."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from kubectl_lbdoctor.analysis.annotation_readings import Reading, confidence, explained_by
from kubectl_lbdoctor.analysis.misplaced_annotations import Misplaced
from kubectl_lbdoctor.analysis.remediation import annotate, kubectl
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, AnnotationProblem, spec_for
from kubectl_lbdoctor.knowledge.nginx_annotations import without_counterpart
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, Severity
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class Problem:
    """A problem of one annotation of one object."""

    ref: ObjectRef
    annotations: Mapping[str, str]
    found: AnnotationProblem


def effects(traffic: TrafficPath, problem: Problem) -> tuple[tuple[str, ...], Confidence]:
    """The codes of what follows from nobody's reading the annotation, and how sure that is."""
    meant = _meant(traffic, problem)
    explains = explained_by(traffic, meant) if meant is not None else ()
    return explains, confidence(traffic, meant) if meant is not None and explains else Confidence.CERTAIN


def _meant(traffic: TrafficPath, problem: Problem) -> Reading | None:
    """What an annotation that is not read was meant to be; None where another annotation, or the class, has its say."""
    found, ref = problem.found, problem.ref
    if found.suggested_key in problem.annotations or (found.suggested_key and not found.renames):
        return None
    if found.suggested_key:
        return Reading(ref, found.suggested_key, found.value)
    ingress = traffic.ingress.peek()
    if found.rule == "wrong-object" and ref.kind == "Service" and ingress is not None:
        place = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
        return Reading(place, found.key, found.value) if found.key not in ingress.meta.annotations else None
    return None


def move(traffic: TrafficPath, problem: Problem) -> tuple[Repair, ...]:
    """One repair that puts an annotation on the Ingress, on which it is read, and takes it away where it stands."""
    meant, ingress = _meant(traffic, problem), traffic.ingress.peek()
    if meant is None or ingress is None or meant.place == problem.ref:
        return ()
    there = annotate(meant.place, ingress.meta.annotations, {meant.meant: meant.value})
    here = annotate(problem.ref, problem.annotations, {problem.found.key: None})
    return (Repair(meant.meant, (there, here)).with_reason(problem.found.reason, "the setting takes effect"),)


def misplaced_finding(entry: Misplaced) -> Finding:
    """LBD112 about an annotation that stands where, or as what, nobody looks for it."""
    return Finding(
        "LBD112",
        entry.object,
        params={"what": "annotation", "key": entry.key, "object": str(entry.shown), "reason": entry.reason},
        evidence=(Evidence(str(entry.shown), f"{entry.key}: {entry.value[:300]}"),),
        confirm=(kubectl("get", str(entry.shown), "-o", "yaml", namespace=entry.shown.namespace),),
        repairs=(entry.repair,),
        by_hand=(entry.leftover,) if entry.leftover else (),
        fix_automatic=True,
        fix="annotation-key",
        explains=entry.explains,
    )


def left_by_nginx(
    ref: ObjectRef, annotations: Mapping[str, str], parameters: Collection[str], elsewhere: Collection[str]
) -> Iterator[Finding]:
    """LBD112 about all annotations of ingress-nginx on an Ingress of the controller, of which nothing else takes care:
    its paths are not rewritten, and everybody is let in. It is said once, and as information: they may be left over.

    parameters: the fields of its IngressClassParams; elsewhere: annotations of its Services and its group.
    """
    asked = without_counterpart(annotations, ALB_PREFIX)
    specs = {instead: spec_for(instead) for instead in asked.values()}
    by_class = {instead for instead, spec in specs.items() if spec is not None and spec.class_field in parameters}
    found = {key: instead for key, instead in asked.items() if instead not in {*by_class, *elsewhere}}
    if not found:
        return
    first, *others = found
    wanted = dict.fromkeys(f"{key}NAME" if key.endswith(".") else key for key in found.values())
    more = f", and {len(others)} more" if others else ""
    yield Finding(
        "LBD112",
        ref,
        params={
            "what": "annotation",
            "key": first,
            "object": str(ref),
            "reason": f"ingress-nginx alone reads it{more}",
        },
        severity=Severity.INFO,
        evidence=tuple(Evidence(str(ref), f"{key}: {annotations[key][:300]}") for key in found),
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
        advice=f"say it by {', '.join(wanted)}",
    )
