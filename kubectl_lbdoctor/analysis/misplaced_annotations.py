"""Annotations that were meant for a load balancer and stand where, or as what, nobody looks for them. Pure.

On a Deployment or in its pod template; under the prefix of another ingress controller, or under none; on the Ingress,
where the Service says otherwise. All of that is harmless by itself (charts put common annotations on everything, a
former controller's are left behind), so that only those are given that account for targets which fail now, and with
which these are known to pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from kubectl_lbdoctor.analysis.annotation_readings import (
    Reading,
    explained_by_check,
    failing_targets,
    is_known_to_pass,
)
from kubectl_lbdoctor.analysis.desired_state import Declaration, declaration_of
from kubectl_lbdoctor.analysis.ingress_backends import backends_of
from kubectl_lbdoctor.analysis.pod_evidence import pods_behind
from kubectl_lbdoctor.analysis.remediation import annotate
from kubectl_lbdoctor.analysis.workloads import workload_of
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, SERVICE_PREFIX, is_ours, nearest_key, same_name, spec_for
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.k8s import Ingress, Service
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

READS = (reads.PODS, reads.WORKLOADS, reads.ENDPOINT_SLICES, reads.TARGET_HEALTH, reads.CONTROLLER)


@record
class Misplaced:
    """An annotation that accounts for failing targets because nobody reads it.

    object: what has to be edited; shown: the object that carries `key`, with `value`. explains: codes of its effects.
    leftover: the command that takes the key away where `repair` does not.
    """

    object: ObjectRef
    shown: ObjectRef
    key: str
    value: str
    reason: str
    explains: tuple[str, ...]
    repair: Repair
    leftover: str = ""


def misplaced(traffic: TrafficPath) -> tuple[Misplaced, ...]:
    """Those of the path; none where what is needed to tell is not known: they are the cause of other findings only."""
    found: list[Misplaced] = []
    with suppress(Unknown):
        front = declaration_of(traffic) if failing_targets(traffic) else None
        if front is not None:
            for find in (_foreign, _overridden, _on_workloads):
                found.extend(find(traffic, front))
    return tuple(found)


def _mended_by(traffic: TrafficPath, reading: Reading) -> tuple[str, ...]:
    """The codes of the findings that would not be made, where the targets are known to pass the check that is meant."""
    explains = explained_by_check(traffic, reading)
    return explains if explains and is_known_to_pass(traffic, reading) else ()


def _front_objects(front: Declaration) -> Iterator[tuple[ObjectRef, Ingress | Service, str]]:
    """The objects whose annotations are read, each with the prefix that is read there."""
    if front.kind == "alb" and front.ingress is not None:
        yield _ref(front.ingress), front.ingress, ALB_PREFIX
    if front.service is not None:
        yield _ref(front.service), front.service, ALB_PREFIX if front.kind == "alb" else SERVICE_PREFIX


def _ref(item: Ingress | Service) -> ObjectRef:
    return ObjectRef(type(item).__name__, item.meta.namespace, item.meta.name)


def _foreign(traffic: TrafficPath, front: Declaration) -> Iterator[Misplaced]:
    """Keys of another prefix, or of none, whose name is one of ours."""
    for ref, item, prefix in _front_objects(front):
        present = item.meta.annotations
        for key, value in present.items():
            near = None if is_ours(key) else same_name(prefix, key)
            if near is None or near.key in present:
                continue
            reading = Reading(ref, near.key, value)
            explains = _mended_by(traffic, reading)
            if explains:
                change = annotate(ref, present, {near.key: value, key: None})
                reason = f"read is {near.key} only"
                repair = Repair(near.key, (change,)).with_reason(f"nobody reads {key}", "the setting takes effect")
                yield Misplaced(ref, ref, key, value, reason, explains, repair)


def _overridden(traffic: TrafficPath, front: Declaration) -> Iterator[Misplaced]:
    """What the Ingress says of the check, passes, and is overridden by the Service, whose value fails. An Ingress of
    several backends says what holds for those that say nothing themselves: there the Service's value is simply wrong.
    """
    if front.kind != "alb" or front.ingress is None or front.service is None:
        return
    if len({backend.service for backend in backends_of(front.ingress)}) > 1:
        return
    shown, ref, there = _ref(front.ingress), _ref(front.service), front.service.meta.annotations
    for key, value in front.ingress.meta.annotations.items():
        if not key.startswith(ALB_PREFIX) or there.get(key, value) == value:
            continue
        reading = Reading(ref, key, value)
        explains = _mended_by(traffic, reading)
        if explains:
            reason = f"{ref} says {there[key]}, which wins"
            repair = Repair(key, (annotate(ref, there, {key: None}),)).with_reason(f"{shown} says {value}")
            yield Misplaced(ref, shown, key, value, reason, explains, repair)


def _on_workloads(traffic: TrafficPath, front: Declaration) -> Iterator[Misplaced]:
    """Keys on the workload of the targets' pods, or in its pod template."""
    for shown, carried, is_template in _workloads(traffic):
        for key, value in carried.items():
            spec, near = spec_for(key), nearest_key(key) if is_ours(key) else None
            meant = key if spec is not None else near.key if near is not None else ""
            for place, present, name in _places(front, meant):
                reading = Reading(place, name, value)
                explains = _mended_by(traffic, reading) if name not in present else ()
                if not explains:
                    continue
                repair = Repair(name, (annotate(place, present, {name: value}),))
                repair = repair.with_reason(f"nobody reads it on {shown}")
                # A fix writes no workloads; in a pod template the key is left alone, since a change replaces the pods.
                left = "" if is_template else annotate(shown, carried, {key: None}).command
                reason = f"nobody reads it{' in a pod template' if is_template else ' there'}; it belongs on {place}"
                yield Misplaced(shown, shown, key, value, reason, explains, repair, left)
                break


def _places(front: Declaration, meant: str) -> Iterator[tuple[ObjectRef, Mapping[str, str], str]]:
    """Where the annotation would be read, with what stands there and the key to use there."""
    for ref, item, prefix in _front_objects(front):
        near = same_name(prefix, meant) if meant and not meant.startswith(prefix) else None
        name = meant if meant.startswith(prefix) else near.key if near is not None else ""
        spec = spec_for(name) if name else None
        if spec is not None and ref.kind in spec.locations:
            yield ref, item.meta.annotations, name


def _workloads(traffic: TrafficPath) -> Iterator[tuple[ObjectRef, Mapping[str, str], bool]]:
    """The workloads of the targets' pods with their annotations, then with those that they give their pods."""
    pods = pods_behind(traffic, traffic.targets()) if traffic.slices.is_known else ()
    of = {workload_of(pod): pod for pod in pods}
    for workload in traffic.namespace_facts.workloads.peek() or ():
        ref = ObjectRef(workload.kind, workload.meta.namespace, workload.meta.name)
        if ref in of:
            yield ref, workload.meta.annotations, False
    for ref, pod in of.items():
        yield ref, pod.meta.annotations, True
