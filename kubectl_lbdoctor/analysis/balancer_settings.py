"""Where the settings of a Gateway's load balancer are read from, and how they are changed there. Pure.

They stand in LoadBalancerConfigurations: that of the Gateway's class, and the Gateway's own, which
`infrastructure.parametersRef` names. Each setting is taken from the first of the two that has it.

Source: performTakeOneMerges in
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/gateway/lb_config_merger.go and
controllers/gateway/config_resolver.go there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubectl_lbdoctor.analysis.gateway_settings import configurations_of_gateway, gateway_of_path
from kubectl_lbdoctor.analysis.gateways import ALB_CONTROLLER, NLB_CONTROLLER, attachments, class_of, route_of
from kubectl_lbdoctor.analysis.remediation import free_name, written
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.api_path import is_subdomain
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.gateway_api import SETTINGS_GROUP, Gateway, GatewaySettings
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit, Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

ADDRESS_TYPE = "ipAddressType"
SECURITY_GROUPS = "securityGroups"
BACKEND_RULES = "manageBackendSecurityGroupRules"

_KIND = kinds.LOAD_BALANCER_CONFIGURATION
_VALUES: Mapping[str, tuple[object, ...]] = {
    ADDRESS_TYPE: ("ipv4", "dualstack", "dualstack-without-public-ipv4"),
    BACKEND_RULES: (True, False),
}
"""The settings that fixes write, with what they may be.

Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/loadbalancerconfig/
"""


@record
class BalancerSetting:
    """A setting of a Gateway's load balancer. field: its name in the spec of a LoadBalancerConfiguration. settings: the
    one that says it, else the Gateway's own; None where there is neither. value: what it says, None where none does.
    others: who else has its settings from there."""

    gateway: Gateway
    field: str
    settings: GatewaySettings | None
    value: object
    new: ObjectRef
    others: tuple[ObjectRef, ...] = ()

    def repair(self, value: object, why: str) -> Repair:
        """Set it: where it is said, else in the Gateway's own configuration, which is made where there is none."""
        said = str(value).lower() if isinstance(value, bool) else str(value)
        if self.settings is None:
            return Repair(said, (_created(self.new, {self.field: value}), *_named(self.gateway, self.new))).with_reason(
                why
            )
        edit = Edit(f"/spec/{self.field}", self.value, value)
        risk = f"it holds for {', '.join(map(_words, self.others[:3]))}, too" if self.others else ""
        return Repair(said, (written(self.settings.ref, (edit,)),)).with_reason(why, risk)


@derived
def balancer_settings(traffic: TrafficPath, field: str) -> tuple[BalancerSetting, ...]:
    """The setting at the path's Gateway, where it is the controller's and takes the path's route; none for other paths,
    and where a configuration is named that does not exist. Raises `Unknown` where classes or configurations could not
    be read."""
    route = traffic.backend.route if traffic.backend is not None else None
    found = route_of(traffic.snapshot, route).need() if route is not None else None
    gateway = gateway_of_path(traffic)
    if found is None or gateway is None or not any(a.taken for a in attachments(traffic.snapshot, found, gateway)):
        return ()
    setting = _setting(traffic.snapshot, gateway, field)
    return (setting,) if setting is not None else ()


def _setting(snapshot: Snapshot, gateway: Gateway, field: str) -> BalancerSetting | None:
    owner = class_of(snapshot, gateway).need()
    if owner is None or owner.controller not in (ALB_CONTROLLER, NLB_CONTROLLER):
        return None
    wanted = [reference for reference in (owner.parameters, gateway.parameters) if reference is not None]
    listed = snapshot.gateway_api.balancer_configurations
    if wanted:
        listed.need()
    found = configurations_of_gateway(snapshot, gateway)
    if len(found) < len(wanted):
        return None
    own = _of(gateway)
    saying = next((s for s in found if s.spec.get(field) is not None), None)
    chosen = saying or next((s for s in found if s.ref == own), None)
    value = saying.spec[field] if saying is not None else None
    others = _others(snapshot, gateway, chosen.ref) if chosen is not None else ()
    return BalancerSetting(gateway, field, chosen, value, _free_name(snapshot, gateway), others)


def _of(gateway: Gateway) -> ObjectRef | None:
    """The configuration that a Gateway names itself."""
    if gateway.parameters is None:
        return None
    return ObjectRef(_KIND.name, gateway.meta.namespace, gateway.parameters.name)


def _others(snapshot: Snapshot, gateway: Gateway, configuration: ObjectRef) -> tuple[ObjectRef, ...]:
    """The classes that name a configuration, and the other Gateways that do."""
    api = snapshot.gateway_api
    classes = tuple(
        ObjectRef(kinds.GATEWAY_CLASS.name, "", c.meta.name)
        for c in api.classes.peek() or ()
        if c.parameters is not None
        and (c.parameters.namespace, c.parameters.name) == (configuration.namespace, configuration.name)
    )
    gateways = tuple(g.ref for g in api.gateways.peek() or () if _of(g) == configuration and g.ref != gateway.ref)
    return (*classes, *gateways)


def _words(ref: ObjectRef) -> str:
    """Whom a configuration holds for, as a person says it."""
    return f"all Gateways of class {ref.name}" if ref.kind == kinds.GATEWAY_CLASS.name else str(ref)


def _free_name(snapshot: Snapshot, gateway: Gateway) -> ObjectRef:
    """What a new configuration is called: as its Gateway, unless another one has that name."""
    taken = {settings.ref for settings in snapshot.gateway_api.balancer_configurations.peek() or ()}
    return free_name(ObjectRef(_KIND.name, gateway.meta.namespace, gateway.meta.name), taken)


# --- Changes ----------------------------------------------------------------------------------------------------------


def _created(ref: ObjectRef, spec: Mapping[str, object]) -> Change:
    said = ", ".join(f"{name}={value}" for name, value in spec.items())
    return Change(ref, field="creates it for a Gateway", now="<none>", then=said, creates=dict(spec))


def created_balancer_configuration(ref: ObjectRef, spec: Mapping[str, object]) -> Change | None:
    """The change that makes a LoadBalancerConfiguration of this spec; None where no fix makes such."""
    return _created(ref, spec) if spec and all(_fits(name, value) for name, value in spec.items()) else None


def changed_balancer_configuration(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The change of a LoadBalancerConfiguration that makes this edit; None where no fix makes such."""
    if ref.kind != _KIND.name or len(edits) != 1:
        return None
    (edit,) = edits
    name = edit.pointer.removeprefix("/spec/")
    good = edit.pointer == f"/spec/{name}" and not edit.is_guard
    return written(ref, edits) if good and all(v is None or _fits(name, v) for v in (edit.now, edit.then)) else None


def named_configuration(ref: ObjectRef, edits: Sequence[Edit]) -> Change | None:
    """The change that lets a Gateway name its configuration; None where no fix makes such."""
    if ref.kind != kinds.GATEWAY.name or len(edits) != 1:
        return None
    (edit,) = edits
    parameters = edit.then.get("parametersRef") if isinstance(edit.then, Mapping) else None
    then = parameters if edit.pointer == _INFRASTRUCTURE else edit.then
    name = then.get("name") if isinstance(then, Mapping) else None
    if not isinstance(name, str) or not is_subdomain(name):
        return None
    made = _naming(ref, ObjectRef(_KIND.name, ref.namespace, name), edit.pointer != _INFRASTRUCTURE)
    return made if made.edits == tuple(edits) else None


_INFRASTRUCTURE = "/spec/infrastructure"


def _named(gateway: Gateway, configuration: ObjectRef) -> tuple[Change, ...]:
    return (_naming(gateway.ref, configuration, gateway.has_infrastructure),)


def _naming(gateway: ObjectRef, configuration: ObjectRef, has_infrastructure: bool) -> Change:
    pointer = f"{_INFRASTRUCTURE}/parametersRef"
    reference = {"group": SETTINGS_GROUP, "kind": _KIND.name, "name": configuration.name}
    if has_infrastructure:
        edit = Edit(pointer, None, reference)
    else:
        edit = Edit(_INFRASTRUCTURE, None, {"parametersRef": reference})
    return Change(gateway, pointer[1:].replace("/", "."), "<none>", str(configuration), edits=(edit,))


def _fits(name: str, value: object) -> bool:
    return any(type(value) is type(allowed) and value == allowed for allowed in _VALUES.get(name, ()))
