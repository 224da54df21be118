"""Which step of a reconciliation a complaint of the controller comes from, and which steps it had then passed.

Why this exists: the controller works off an object in a fixed order and stops at the first error. So a complaint of one
step proves that the steps before it succeeded, and a later complaint of an earlier step, that it does not come to the
later ones at all.

The order, from the source of v2.17.1:
- Ingress and Service (controllers/ingress/group_controller.go, controllers/service/service_controller.go): group or
  class, finalizer, model, deployment, status. The model is one step here: subnets, certificates, security groups and
  backends are looked up in another order for each kind.
- Deployment (pkg/deploy/stack_deployer.go): security groups, target groups, load balancer, listeners, rules,
  TargetGroupBindings, add-ons (WAF, Shield); then what is not wanted any more is deleted. The bindings are the first
  objects written to the API server since the finalizer: a webhook that refuses them proves that AWS has accepted
  everything before.
- TargetGroupBinding (pkg/targetgroupbinding/resource_manager.go): finalizer, endpoints, the registered targets,
  security group rules (an error there ends the pass for instance targets only), the checkpoint on the object,
  deregistration, registration, readiness gates, the checkpoint again, status.
"""

from __future__ import annotations

from enum import IntEnum

from kubectl_lbdoctor.knowledge.controller_errors import DecodedError, Stage
from kubectl_lbdoctor.record import record

__all__ = ["BindingStep", "FrontStep", "Reached", "reached"]


class FrontStep(IntEnum):
    """The steps for an Ingress, an IngressGroup, a Service or a Gateway."""

    START = 0
    CLASS = 1
    FINALIZER = 2
    MODEL = 3
    SECURITY_GROUP = 4
    TARGET_GROUP = 5
    LOAD_BALANCER = 6
    LISTENER = 7
    RULE = 8
    BINDING = 9
    ADD_ON = 10
    DELETION = 11
    STATUS = 12
    REMOVAL = 13
    DONE = 14


class BindingStep(IntEnum):
    """The steps for a TargetGroupBinding."""

    START = 0
    FINALIZER = 1
    ENDPOINTS = 2
    TARGETS = 3
    NETWORK = 4
    CHECKPOINT = 5
    DEREGISTER = 6
    REGISTER = 7
    GATES = 8
    RECORD = 9
    STATUS = 10
    REMOVAL = 11
    DONE = 12


@record
class Reached:
    """The first and the last step that a statement can be about. They differ where its text does not tell the step.

    A complaint proves everything before `first` done; a success, everything up to `first`. halts: the pass ended there.
    """

    first: int
    last: int
    halts: bool = True


def reached(kind: str, decoded: DecodedError, said: str = "") -> Reached:
    """The step that an error of the controller about an object of this kind comes from.

    `said` is the event's reason or the log line's message.
    """
    return _of_binding(decoded, said) if kind == "TargetGroupBinding" else _of_front(decoded)


_FRONT_STAGES = {
    Stage.START: FrontStep.START,
    Stage.GROUP: FrontStep.CLASS,
    Stage.ADD_FINALIZER: FrontStep.FINALIZER,
    Stage.BUILD: FrontStep.MODEL,
    Stage.STATUS: FrontStep.STATUS,
    Stage.CLEANUP: FrontStep.REMOVAL,
    Stage.REMOVE_FINALIZER: FrontStep.REMOVAL,
}
_BINDING_STAGES = {
    Stage.START: BindingStep.START,
    Stage.ADD_FINALIZER: BindingStep.FINALIZER,
    Stage.STATUS: BindingStep.STATUS,
    Stage.CLEANUP: BindingStep.REMOVAL,
    Stage.REMOVE_FINALIZER: BindingStep.REMOVAL,
}

# Only operations that one step of the deployment uses; tags are written by all of them.
_WRITES = {
    FrontStep.SECURITY_GROUP: (
        *("CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"),
        *("UpdateSecurityGroupRuleDescriptionsIngress",),
    ),
    FrontStep.TARGET_GROUP: ("CreateTargetGroup", "ModifyTargetGroup", "ModifyTargetGroupAttributes"),
    FrontStep.LOAD_BALANCER: (
        *("CreateLoadBalancer", "SetSubnets", "SetSecurityGroups", "SetIpAddressType", "DeleteLoadBalancer"),
        *("ModifyLoadBalancerAttributes", "ModifyCapacityReservation", "ModifyIpPools"),
    ),
    FrontStep.LISTENER: (
        *("CreateListener", "ModifyListener", "DeleteListener", "ModifyListenerAttributes"),
        *("AddListenerCertificates", "RemoveListenerCertificates", "DescribeListenerCertificates"),
    ),
    FrontStep.RULE: ("CreateRule", "ModifyRule", "SetRulePriorities", "DeleteRule", "DescribeRules"),
    FrontStep.ADD_ON: (
        *("AssociateWebACL", "DisassociateWebACL", "GetWebACLForResource"),
        *("CreateProtection", "DeleteProtection", "DescribeProtection", "GetSubscriptionState"),
    ),
    FrontStep.DELETION: ("DeleteTargetGroup", "DeleteSecurityGroup"),
}
_WRITE_STEP = {operation: step for step, operations in _WRITES.items() for operation in operations}

_REGISTRATION = {
    "DescribeTargetHealth": BindingStep.TARGETS,
    "DeregisterTargets": BindingStep.DEREGISTER,
    "RegisterTargets": BindingStep.REGISTER,
}
# Security groups that are missing, ambiguous (LBD505) or full (LBD506); their rules are written for the binding.
_NETWORK_CODES = frozenset({"LBD505", "LBD506"})
_REQUEUED = "Requesting network requeue"


def _operation(decoded: DecodedError) -> str:
    """The AWS operation that failed; a denial may name it as an IAM action alone."""
    return str(decoded.params.get("operation", "")) or decoded.aws_action.partition(":")[2]


def _of_front(decoded: DecodedError) -> Reached:
    step = _FRONT_STAGES.get(decoded.stage)
    # The log does not say which of model and deployment failed; an operation that writes does.
    written = _WRITE_STEP.get(_operation(decoded)) if decoded.stage in (Stage.BUILD, Stage.DEPLOY, Stage.NONE) else None
    if written is not None:
        return Reached(written, written)
    if step is not None:
        return Reached(step, step)
    if decoded.stage is Stage.DEPLOY:
        # What the deployment writes to the API server are the bindings.
        if "webhook" in decoded.params or (not _operation(decoded) and "targetgroupbinding" in decoded.raw.lower()):
            return Reached(FrontStep.BINDING, FrontStep.BINDING)
        return Reached(FrontStep.SECURITY_GROUP, FrontStep.DELETION)
    return Reached(FrontStep.CLASS, FrontStep.REMOVAL)


def _of_binding(decoded: DecodedError, said: str) -> Reached:
    step = _BINDING_STAGES.get(decoded.stage)
    if step is not None:
        return Reached(step, step)
    operation = _operation(decoded)
    if said == "FailedNetworkReconcile" or said.startswith(_REQUEUED):
        # The pass goes on: only one that comes through without such an error proves it over.
        return Reached(BindingStep.NETWORK, BindingStep.GATES, halts=False)
    if operation in _REGISTRATION:
        return Reached(_REGISTRATION[operation], _REGISTRATION[operation])
    if "webhook" in decoded.params:
        return Reached(BindingStep.CHECKPOINT, BindingStep.RECORD)
    if said == "BackendNotFound":
        return Reached(BindingStep.ENDPOINTS, BindingStep.ENDPOINTS)
    if decoded.code in _NETWORK_CODES or operation.endswith(("SecurityGroupIngress", "SecurityGroups", "Interfaces")):
        return Reached(BindingStep.NETWORK, BindingStep.NETWORK)
    return Reached(BindingStep.ENDPOINTS, BindingStep.RECORD)
