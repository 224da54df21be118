"""Where a health check ends, and where each of its settings is changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from kubectl_lbdoctor.analysis.remediation import annotate
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import Meta, Pod, Probe
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@record
class SettingSource:
    """The object whose annotation decides a health-check setting, the key to set there, and what it carries now.

    Settings that no annotation decides about are of classes of their own (`analysis.group_settings`).
    """

    ref: ObjectRef
    key: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> bool:
        return self.key in self.annotations

    @property
    def value(self) -> str:
        """What the annotation says now, "" without one."""
        return self.annotations.get(self.key, "")

    @property
    def settable(self) -> bool:
        """Whether a fix can change it."""
        return True

    @property
    def instruction(self) -> str:
        """What a person does where no fix can change it, and why none can; "" where one can."""
        return ""

    @property
    def place(self) -> tuple[ObjectRef, str]:
        """What of the object says it: whoever has a setting from the same place has the same value."""
        return self.ref, self.key

    @property
    def label(self) -> str:
        """Its name, as a person finds it on the object."""
        return self.key

    def how(self, value: str) -> str:
        """What a person does to give it a value, in half a sentence."""
        return self.instruction or f"annotate {self.ref} with {self.label}={value}"

    def change(self, value: str, *others: tuple[SettingSource, str]) -> Change:
        """Set it to this value, and others of the same object to theirs in the same write."""
        return self._change(((self, value), *others))

    def _change(self, values: Iterable[tuple[SettingSource, str]]) -> Change:
        return annotate(self.ref, self.annotations, {source.key: value for source, value in values})

    def repair(self, value: str, why: str = "", risk: str = "") -> Repair:
        """Set it to this value."""
        return Repair(value, (self.change(value),), accepts_any_value=True).with_reason(why, risk)

    def offer(self, value: str, why: str = "", risk: str = "") -> tuple[Repair, ...]:
        """The repair that sets it to this value; none where no fix can change it."""
        return (self.repair(value, why, risk),) if self.settable else ()

    @property
    def template(self) -> Repair | None:
        """The repair whose value only the user knows; None where no fix can change it."""
        return self.repair("") if self.settable else None


def alb_setting(traffic: TrafficPath, setting: str) -> SettingSource:
    """Where a check setting of an Application Load Balancer's target group is, or has to be, annotated.

    A Service annotation wins over the Ingress's. An Ingress that leads to several Services applies its own annotation
    to all of them, so a repair for one backend belongs on that backend's Service.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
    """
    service = traffic.service.peek()
    on_service = _annotations(service.meta if service is not None else None)
    key = ALB_PREFIX + setting
    ingress = traffic.ingress.peek()
    if key in on_service or ingress is None or len({p.backend.service for p in ingress.paths}) > 1:
        return SettingSource(traffic.service_ref, key, on_service)
    ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
    return SettingSource(ref, key, ingress.meta.annotations)


def nlb_setting(traffic: TrafficPath, setting: str) -> SettingSource:
    """Where a check setting of a Network Load Balancer's target group is, or has to be, annotated: on the Service."""
    service = traffic.service.peek()
    key = NLB_PREFIX + ("healthcheck-success-codes" if setting == "success-codes" else setting)
    return SettingSource(traffic.service_ref, key, _annotations(service.meta if service is not None else None))


def _annotations(meta: Meta | None) -> Mapping[str, str]:
    return meta.annotations if meta is not None else {}


def checked_pod_port(traffic: TrafficPath, target: TargetHealth) -> int | None:
    """The pod's port that the check of this target ends at; None when it ends elsewhere (kube-proxy's health port).

    `ip` targets are checked directly. An instance target is checked on a node port, which kube-proxy leads to the
    endpoint port of the Service port that owns it.
    """
    if not target.check_port.isdigit():
        return None
    number = int(target.check_port)
    if traffic.target_type == "ip":
        return number
    port = traffic.service_port.peek()
    return traffic_pod_port(traffic, target) if port is not None and number == port.node_port else None


def traffic_pod_port(traffic: TrafficPath, target: TargetHealth) -> int | None:
    """The pod's port that the requests to this target end at; None where the Service has no endpoint."""
    if traffic.target_type == "ip":
        return target.port
    return next((e.port for e in traffic.endpoints()), None) if traffic.service.peek() is not None else None


def ends_at_service_port(traffic: TrafficPath, target: TargetHealth) -> bool:
    """Whether the check goes to the traffic port of this Service port (not to a check port of its own)."""
    port = traffic.service_port.need()
    if traffic.target_type == "ip":
        return target.check_port in ("", str(target.port))
    return port is not None and target.check_port in ("", str(port.node_port))


@derived
def unproven(traffic: TrafficPath) -> tuple[TargetHealth, ...]:
    """Healthy targets of a TCP port whose check asks another port than the traffic takes, as a status port or
    kube-proxy's healthCheckNodePort: their health tells nothing of the traffic's."""
    port = traffic.service_port.need()
    if port is None or port.protocol != "TCP" or traffic.target_type not in ("ip", "instance"):
        return ()
    return tuple(t for t in traffic.targets() if t.state == "healthy" and not ends_at_service_port(traffic, t))


def has_port_of_its_own(checked: Sequence[TargetHealth]) -> bool:
    """Whether the check of these targets, at least one, asks another port than the traffic takes."""
    return checked[0].check_port not in ("", str(checked[0].port))


def readiness_of(pod: Pod, port: int) -> Probe | None:
    """The HTTP readiness probe of the container that serves this port, if its probe asks on the same port."""
    for container in pod.serving_containers():
        probe = container.readiness
        if probe is None or probe.kind != "httpGet":
            continue
        number = int(probe.port) if probe.port.isdigit() else pod.named_port(probe.port)
        if number == port:
            return probe
    return None
