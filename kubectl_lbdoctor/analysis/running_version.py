"""Which release of the controller runs, and which one works on an object. Pure.

A controller says its release itself when it starts: the log line "version" with GitVersion (LBC main.go). The line
stands at the top of the log, so a long log no longer has it; then the tag of the pods' image tells, and last what the
Deployment asks for. https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/main.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from kubectl_lbdoctor.analysis.controller_present import pods_of, present_controller
from kubectl_lbdoctor.analysis.ownership import READS as OWNERSHIP_READS
from kubectl_lbdoctor.analysis.takers import takers
from kubectl_lbdoctor.knowledge.controller_identity import gate_is_on, watching
from kubectl_lbdoctor.knowledge.log_lines import as_text, parse_log_line
from kubectl_lbdoctor.knowledge.releases import GATES, Version, parse_version
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Evidence, Source
from kubectl_lbdoctor.model.k8s import Container, Workload
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

READS = (*OWNERSHIP_READS, reads.CONTROLLER_PODS, reads.CONTROLLER_LOGS)
_VERSION_LINE = '"msg":"version"'
_VERSION_LABEL = "app.kubernetes.io/version"


@record
class Running:
    """A controller and its release. text: as it is written there ("v2.17.1"); evidence: who says so."""

    workload: Workload
    text: str
    version: Version
    evidence: Evidence

    @property
    def ref(self) -> ObjectRef:
        """The Deployment, whose image is what an upgrade changes."""
        return ObjectRef("Deployment", self.workload.meta.namespace, self.workload.meta.name)


@derived
def running(snapshot: Snapshot) -> tuple[Running, ...]:
    """The controllers of the cluster whose release is known, in the order of their Deployments."""
    found = (_release(snapshot, workload) for workload in snapshot.cluster.controllers.peek() or ())
    return tuple(entry for entry in found if entry is not None)


@derived
def running_for(traffic: TrafficPath) -> tuple[Running, ...]:
    """Those that may work on the path's objects; where classes and flags do not tell, all."""
    known = running(traffic.snapshot)
    with suppress(Unknown, NotApplicable):
        mine = {workload.meta.key for workload in watching(takers(traffic), traffic.subject.namespace)}
        return tuple(entry for entry in known if entry.workload.meta.key in mine) or known
    return known


def newest_for(traffic: TrafficPath) -> Running | None:
    """The newest of those that may work on the path's objects: what it does not know, none of them does. None where a
    release is not known."""
    return max(running_for(traffic), key=lambda entry: entry.version, default=None)


def controller_version(traffic: TrafficPath) -> str | None:
    """The release of the controller that works on the path's objects, as it is written; None where it is not known."""
    found = newest_for(traffic)
    return found.text if found is not None else None


def closed_gates(traffic: TrafficPath) -> frozenset[str]:
    """The feature gates that are off in every controller that may work on the path's objects."""
    entries = running_for(traffic)
    return frozenset(
        gate for gate in GATES if entries and not any(gate_is_on(e.workload, gate, e.version) for e in entries)
    )


def _release(snapshot: Snapshot, workload: Workload) -> Running | None:
    for text, evidence in _sayings(snapshot, workload):
        version = parse_version(text)
        if version is not None and version[0] > 0:  # A build of one's own is 0.0.0 without the linker's flags.
            return Running(workload, text, version, evidence)
    return None


def _sayings(snapshot: Snapshot, workload: Workload) -> Iterator[tuple[str, Evidence]]:
    """Who says which release runs, the most certain first."""
    gone = present_controller(snapshot).gone
    pods = [p for p in pods_of(workload, snapshot.cluster.controller_pods.peek() or ()) if p.meta.key not in gone]
    for pod in sorted(pods, key=lambda pod: pod.meta.created, reverse=True):
        log = snapshot.cluster.controller_logs.get(pod.meta.key)
        for text in _logged(log.peek() or "" if log is not None else ""):
            yield text, Evidence(Source.CONTROLLER_LOG, f"GitVersion {text}")
        for tag in _tags(pod.containers):
            yield tag, Evidence(f"pod {pod.meta.key}", f"image tag {tag}")
    for tag in _tags(workload.containers):
        yield tag, Evidence(f"deployment {workload.meta.key}", f"image tag {tag}")
    label = workload.meta.labels.get(_VERSION_LABEL, "")
    yield label, Evidence(f"deployment {workload.meta.key}", f"label {_VERSION_LABEL} {label}")


def _logged(log: str) -> Iterator[str]:
    """What the last "version" line of a log says."""
    for line in reversed(log.splitlines()):
        if _VERSION_LINE in line and (entry := parse_log_line(line)) is not None and entry.msg == "version":
            yield as_text(entry.fields.get("GitVersion", ""))
            return


def _tags(containers: Iterable[Container]) -> Iterator[str]:
    for container in containers:
        yield container.image.partition("@")[0].rpartition("/")[2].partition(":")[2]
