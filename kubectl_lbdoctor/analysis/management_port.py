"""A port of the same pods, other than the traffic port, on which the health check's path is served. Pure.

Many applications serve their health on a port of its own (management port, actuator, admin server), and name it in a
probe of the container. The load balancer asks the traffic port unless `healthcheck-port` says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_lbdoctor.analysis import pod_evidence
from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.meshes import is_answered_by_mesh
from kubectl_lbdoctor.model.aws import HealthCheck, TargetHealth
from kubectl_lbdoctor.model.k8s import Container, Pod, Probe, Service
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class HealthPort:
    """Where the pods serve their health. value: what `healthcheck-port` has to be, "" where no port leads there (an
    instance target without a node port for it). witness: what shows it; certain: it answers now."""

    port: int
    path: str
    scheme: str
    value: str
    witness: str
    certain: bool


def health_port(
    traffic: TrafficPath, targets: Iterable[TargetHealth], checked: int | None, path: str
) -> HealthPort | None:
    """The port that a probe of the pods names and that answers `path`, or whose own path may take its place.

    None where all probes ask the checked port, or nothing shows that the other one answers. The very path of the check
    is preferred to another.
    """
    pods = pod_evidence.pods_behind(traffic, targets) if checked is not None else ()
    found = [entry for pod in pods[:1] for entry in _named(traffic, pod, checked or 0, path)]
    found = [
        f for f in found if all(any(_same(f, g) for g in _named(traffic, p, checked or 0, path)) for p in pods[1:])
    ]
    return min(found, key=lambda entry: (entry.path != path, not entry.certain), default=None)


def beside(
    traffic: TrafficPath, targets: Iterable[TargetHealth], checked: int | None, path: str
) -> tuple[str, int] | None:
    """Another container of the same pods whose readiness probe asks the very path of the check and passes, and its
    port; None where there is none, or pods differ. Whether requests are meant for it, or for the container that is
    checked (a proxy in front of it), nobody can tell from here."""
    pods = pod_evidence.pods_behind(traffic, targets) if checked is not None else ()
    found = {_beside(pod, checked or 0, path) for pod in pods}
    return next(iter(found)) if len(found) == 1 else None


def _beside(pod: Pod, checked: int, path: str) -> tuple[str, int] | None:
    own = _of_the_application(pod, checked)
    for container in pod.serving_containers() if pod.containers_ready else ():
        probe = container.readiness
        number = pod_evidence.port_of(pod, probe) if probe is not None and probe.kind == "httpGet" else None
        if probe is None or number is None or container in own or number == checked:
            continue
        if pod_evidence.path_of(probe) == path and not probe.host_header and not is_answered_by_mesh(pod, number):
            return container.name, number
    return None


def _same(one: HealthPort, other: HealthPort) -> bool:
    return (one.port, one.path) == (other.port, other.path)


def _named(traffic: TrafficPath, pod: Pod, checked: int, path: str) -> Iterator[HealthPort]:
    for container in _of_the_application(pod, checked):
        steady = _is_steady(pod, container)
        for name, probe, passes, now in (
            ("readiness probe", container.readiness, pod.containers_ready, True),
            ("liveness probe", container.liveness, steady, False),
            ("startup probe", container.startup, steady, False),
        ):
            number = pod_evidence.port_of(pod, probe) if probe is not None and probe.kind == "httpGet" else None
            if probe is None or number is None or number == checked:
                continue
            if not probe.host_header and not is_answered_by_mesh(pod, number):
                yield from _answering(traffic, pod, number, probe, path, name if passes else "", now)


def _answering(
    traffic: TrafficPath, pod: Pod, number: int, probe: Probe, path: str, witness: str, now: bool
) -> Iterator[HealthPort]:
    """What this port serves: the check's path where a probe of ours was answered there, and the probe's own. now: that
    the kubelet's probe passes says that it answers now."""
    told = pod_evidence.conclusive_answers(pod_evidence.answers(traffic, (pod,), port=number, protocol=probe.scheme))
    value = check_port_value(traffic, number)
    own = pod_evidence.path_of(probe)
    for wanted in dict.fromkeys((path, own)):
        mine = [a for a in told if a.request.path == wanted]
        if mine and all(pod_evidence.is_success(a) for a in mine):
            yield HealthPort(number, wanted, probe.scheme, value, witness or "probe", certain=True)
        elif not mine and wanted == own and witness:
            yield HealthPort(number, own, probe.scheme, value, witness, certain=now)


def _of_the_application(pod: Pod, checked: int) -> tuple[Container, ...]:
    """The containers that serve the checked port, as far as any declares it: not the side-cars beside them."""
    serving = pod.serving_containers()
    declaring = tuple(c for c in serving if any(p.port == checked for p in c.ports))
    return declaring or tuple(c for c in serving if not c.sidecar)


def _is_steady(pod: Pod, container: Container) -> bool:
    """Whether the container runs and was never restarted, so that its liveness probe passes."""
    return any(s.name == container.name and s.state == "running" and not s.restarts for s in pod.statuses)


def check_there(traffic: TrafficPath, check: HealthCheck, port: HealthPort) -> tuple[Repair, ...]:
    """Check the port that serves the health, with the path and protocol that it has there, all in one write for each
    object; none where no fix can change one of these settings."""
    wanted = {"healthcheck-port": port.value}
    if port.path != check.path:
        wanted["healthcheck-path"] = port.path
    if port.scheme != check.protocol:
        wanted["healthcheck-protocol"] = port.scheme if traffic.is_alb else port.scheme.lower()
    values: dict[ObjectRef, list[tuple[SettingSource, str]]] = {}
    for name, value in wanted.items():
        owner = setting_source(traffic, name)
        if not owner.settable:
            return ()
        values.setdefault(owner.ref, []).append((owner, value))
    changes = tuple(settings[0][0].change(settings[0][1], *settings[1:]) for settings in values.values())
    return (Repair(port.value, changes).with_reason(f'port {port.port} serves "{port.path}": {port.witness}'),)


def check_port_value(traffic: TrafficPath, number: int) -> str:
    """What `healthcheck-port` has to be, for this port of the pods to be asked; "" where nothing leads there."""
    if traffic.target_type == "ip":
        return str(number)
    service = traffic.service.peek()
    return node_port_for(traffic, service, number) if service is not None else ""


def node_port_for(traffic: TrafficPath, service: Service, container: int) -> str:
    """What asks for this container port by way of a node port ("" when no node port leads there).

    Raises `Unknown` where the Service's port or the pods are not known.
    """
    for port in service.ports:
        numbers = {pod.named_port(port.target, port.protocol) for pod in traffic.matching_pods()}
        if port.node_port and port.protocol == "TCP" and (port.target == str(container) or numbers == {container}):
            return "traffic-port" if port == traffic.service_port.need() else str(port.node_port)
    return ""
