"""The frontends of a snapshot and the traffic paths that start there. A new kind is one module and one row here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.frontends.base import Frontend
from kubectl_lbdoctor.analysis.frontends.binding import BindingFrontend
from kubectl_lbdoctor.analysis.frontends.gateway import GatewayFrontend, RouteFrontend
from kubectl_lbdoctor.analysis.frontends.ingress import IngressFrontend
from kubectl_lbdoctor.analysis.frontends.service import ServiceFrontend
from kubectl_lbdoctor.analysis.ownership import Ownership
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import Unknown
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.index import grouped
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

FRONTENDS: dict[str, type[Frontend]] = {
    "Ingress": IngressFrontend,
    "Service": ServiceFrontend,
    "TargetGroupBinding": BindingFrontend,
    "Gateway": GatewayFrontend,
    **{kind.name: RouteFrontend for kind in kinds.ROUTES},
}
"""What each kind of subject is, by kind."""

__all__ = [
    "FRONTENDS",
    "Frontend",
    "foreign_subjects",
    "frontend",
    "frontend_of",
    "listener_groups",
    "paths_of",
    "setting_source",
    "traffic_paths",
    "without_foreign",
]


@derived
def frontend(snapshot: Snapshot, ref: ObjectRef) -> Frontend:
    """The frontend that an object is; raises KeyError for a kind that is none."""
    return FRONTENDS[ref.kind](snapshot, ref)


def frontend_of(traffic: TrafficPath) -> Frontend:
    """Where the path starts."""
    return frontend(traffic.snapshot, traffic.subject)


@derived
def traffic_paths(snapshot: Snapshot) -> tuple[TrafficPath, ...]:
    """All paths of the snapshot's subjects; a subject without any backend still gets one path without one."""
    return tuple(path for ref in snapshot.subjects for path in frontend(snapshot, ref).paths())


def paths_of(front: Frontend) -> tuple[TrafficPath, ...]:
    """Those of its snapshot's paths that start at a frontend, with what has been derived of them."""
    return _by_subject(front.snapshot).get(front.ref, ())


@derived
def _by_subject(snapshot: Snapshot) -> Mapping[ObjectRef, tuple[TrafficPath, ...]]:
    return grouped(traffic_paths(snapshot), lambda path: (path.subject,))


def ownership(traffic: TrafficPath) -> Ownership:
    """Who reconciles the frontend of the path; raises `Unknown` where that needs what could not be read."""
    return frontend_of(traffic).reconciler()


def foreign_subjects(snapshot: Snapshot) -> tuple[ObjectRef, ...]:
    """The subjects that are certainly another controller's, in their order."""
    return tuple(dict.fromkeys(path.subject for path in traffic_paths(snapshot) if _is_foreign(path)))


def without_foreign(snapshot: Snapshot) -> tuple[Snapshot, tuple[ObjectRef, ...]]:
    """The snapshot without the subjects of other controllers, and these: who scans a cluster does not mean them."""
    foreign = foreign_subjects(snapshot)
    if not foreign:
        return snapshot, ()
    return snapshot.about(tuple(ref for ref in snapshot.subjects if ref not in {*foreign})), tuple(sorted(foreign))


def _is_foreign(traffic: TrafficPath) -> bool:
    try:
        return ownership(traffic).owner == "other"
    except Unknown:
        return False


def setting_source(traffic: TrafficPath, setting: str) -> SettingSource:
    """Where a setting of the health check ("healthcheck-path", "success-codes", "healthcheck-port"…) is changed."""
    return frontend_of(traffic).setting(traffic, setting)


def listener_groups(paths: Iterable[TrafficPath]) -> tuple[str, ...]:
    """ARNs of target groups that are reached by a listener alone: those of Services without any binding."""
    return tuple(dict.fromkeys(arn for path in paths for arn in frontend_of(path).listener_groups(path)))
