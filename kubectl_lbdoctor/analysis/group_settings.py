"""Health-check settings of target groups that no annotation decides about. Pure.

A setting is changed where its maker reads it from. Nobody takes back what is changed in AWS of a group that a person or
another tool made. The controller's groups for a Gateway take theirs from a TargetGroupConfiguration, and a change in
AWS would be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.gateway_settings import FIELDS
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import TargetGroup
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.group_edits import ATTRIBUTES, GRPC_CODES, HTTP_CODES, PATH, PROTOCOL, GroupAddress
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

_POINTERS = {
    "healthcheck-path": PATH,
    "healthcheck-port": "/HealthCheckPort",
    "healthcheck-protocol": PROTOCOL,
    "healthcheck-interval": "/HealthCheckIntervalSeconds",
    "healthcheck-timeout": "/HealthCheckTimeoutSeconds",
    "healthy-threshold-count": "/HealthyThresholdCount",
    "unhealthy-threshold-count": "/UnhealthyThresholdCount",
}
"""The settings, besides the success codes, that can be changed of a group in use, by the name of their annotation."""

RISK = "whoever made the group (Terraform, CloudFormation, a person) may set it back"


class Maker(Enum):
    """Who decides about a target group's settings. ANNOTATIONS: the controller or the cloud provider, by those of
    Ingress and Service. GATEWAY: the controller, for a Gateway. OUTSIDE: whoever made it in AWS."""

    ANNOTATIONS = "annotations"
    GATEWAY = "gateway"
    OUTSIDE = "outside"


@derived
def maker_of(traffic: TrafficPath) -> Maker:
    """Who decides about the path's target group; ANNOTATIONS, too, where bindings could not be read.

    A person's binding belongs to no stack, and an action annotation may name a group that has no binding.
    """
    group = traffic.target_group.peek()
    found = [b for b in traffic.namespace_facts.bindings.peek() or () if group and b.target_group_arn == group.arn]
    own = traffic.binding.peek()
    found += [own] if own is not None else []
    stacks = {binding.stack for binding in found}
    if stacks & {"ingress", "service"}:
        return Maker.ANNOTATIONS
    if "gateway" in stacks:
        return Maker.GATEWAY
    named = group is not None and traffic.backend is not None and traffic.backend.target_group_arn == group.arn
    bound = own is not None and not own.is_generated
    return Maker.OUTSIDE if group is not None and (named or bound) else Maker.ANNOTATIONS


def annotated(traffic: TrafficPath) -> bool:
    """Whether annotations decide about the path's target group and its load balancer."""
    return maker_of(traffic) is Maker.ANNOTATIONS


def group_setting(traffic: TrafficPath, name: str) -> SettingSource | None:
    """Where a setting is changed that no annotation decides about; None where an annotation does."""
    maker, group = maker_of(traffic), traffic.target_group.peek()
    if maker is Maker.ANNOTATIONS or group is None:
        return None
    ref = ObjectRef("TargetGroup", "", target_group_name(group.arn))
    name = name.removesuffix("-seconds")
    if maker is Maker.GATEWAY:
        field = ".".join(FIELDS.get("grpc-codes" if name == "success-codes" and group.is_grpc else name, (name,)))
        return FixedSetting(
            ref,
            field,
            said=f"the controller made {ref} for a Gateway: set {field} in the TargetGroupConfiguration of "
            f"{traffic.service_ref} (namespace {traffic.namespace}); a change in AWS would be taken back",
        )
    pointer = codes_pointer(group) if name == "success-codes" else _POINTERS.get(name)
    if pointer is None:
        return FixedSetting(
            ref,
            name,
            said=f"type, protocol and protocol version of {ref} were chosen when it was made and cannot be changed: "
            "make another target group with the right one, and let the binding and the listener name it",
        )
    return GroupSetting(ref, pointer, {}, group, GroupAddress(group.arn, traffic.context.region))


@record
class FixedSetting(SettingSource):
    """A setting that no fix changes. said: what a person does instead, and why."""

    said: str = ""

    @property
    def settable(self) -> bool:
        return False

    @property
    def instruction(self) -> str:
        return self.said


@record
class GroupSetting(SettingSource):
    """A setting of a target group that is changed in AWS. key: its pointer (`model.group_edits`)."""

    group: TargetGroup = TargetGroup("")
    address: GroupAddress = GroupAddress("")

    @property
    def present(self) -> bool:
        return bool(self.value)

    @property
    def value(self) -> str:
        now = value_of(self.group, self.key)
        return "" if now is None else str(now)

    @property
    def label(self) -> str:
        return self.key.rpartition("/")[2]

    def how(self, value: str) -> str:
        return f"set {self.label} of {self.ref} in AWS to {value}"

    def _change(self, values: Iterable[tuple[SettingSource, str]]) -> Change:
        return modify(self.ref, self.address, self.group, {source.key: value for source, value in values})


def modify(ref: ObjectRef, address: GroupAddress, group: TargetGroup, values: dict[str, str]) -> Change:
    """Give a target group these values (by pointer), in one call.

    A check by TCP has neither path nor success codes; where they go with the protocol, they come back with it.
    """
    wanted: dict[str, object] = {pointer: _typed(group, pointer, value) for pointer, value in values.items()}
    protocol = str(wanted.get(PROTOCOL, ""))
    if protocol:
        wanted[PROTOCOL] = protocol = protocol.upper()
    if protocol == "TCP":
        wanted |= dict.fromkeys((PATH, codes_pointer(group)))
    edits = tuple(Edit(pointer, value_of(group, pointer), value) for pointer, value in wanted.items())
    edits = tuple(edit for edit in edits if edit.now != edit.then)
    return setting(ref, edits, address)


def setting(ref: ObjectRef, edits: tuple[Edit, ...], address: GroupAddress) -> Change:
    """The change of a target group that makes these edits."""
    return Change(
        ref,
        field=", ".join(edit.pointer.rpartition("/")[2] for edit in edits),
        now=", ".join("<none>" if edit.now is None else str(edit.now) for edit in edits),
        then=", ".join("<none>" if edit.then is None else str(edit.then) for edit in edits),
        risk=RISK,
        edits=edits,
        group=address,
    )


def attribute(traffic: TrafficPath, group: TargetGroup, key: str, now: str, then: str) -> Change:
    """Set an attribute of a target group that a person made."""
    ref = ObjectRef("TargetGroup", "", target_group_name(group.arn))
    return setting(ref, (Edit(ATTRIBUTES + key, now, then),), GroupAddress(group.arn, traffic.context.region))


def value_of(group: TargetGroup, pointer: str) -> object:
    """What a target group has at a pointer, as AWS gives it; None where it has nothing."""
    check = group.health_check
    http = check.protocol in ("HTTP", "HTTPS")
    values: dict[str, object] = {
        PROTOCOL: check.protocol,
        "/HealthCheckPort": check.port,
        PATH: check.path if http else None,
        "/HealthCheckIntervalSeconds": check.interval,
        "/HealthCheckTimeoutSeconds": check.timeout,
        "/HealthyThresholdCount": check.healthy_threshold,
        "/UnhealthyThresholdCount": check.unhealthy_threshold,
        codes_pointer(group): check.matcher if http else None,
    }
    return values.get(pointer) or None


def codes_pointer(group: TargetGroup) -> str:
    """Where a group's success codes are: gRPC has codes of its own."""
    return GRPC_CODES if group.is_grpc else HTTP_CODES


def _typed(group: TargetGroup, pointer: str, value: str) -> object:
    """A value as AWS has it: numbers are numbers where the present one is."""
    return int(value) if isinstance(value_of(group, pointer), int) and value.isdigit() else value
