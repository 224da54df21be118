"""Who makes each piece of the desired state, and what keeps him from it: the one declaration of it. Pure.

The controller makes, in this order, the model of an object, then what the model holds (security groups, target groups,
the load balancer, its listeners and rules, last the TargetGroupBindings), and then for each binding the rules of the
targets' security groups and the registration. What stops it at one step leaves undone what that step and the later
ones make. So a finding that says "X is not done" is an effect of any finding that says "the controller cannot do X".

Source: the order of the synthesizers in
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/deploy/stack_deployer.go
and of a binding's reconciliation in
https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/pkg/targetgroupbinding/resource_manager.go
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Duty(Enum):
    """A piece of desired state that the controller makes, and the codes that say that it is not made."""

    SAID = ("LBD103", "LBD104")
    """The controller's own words about a step, which report what has a code of its own."""
    GATEWAY_STATUS = ("LBD150",)
    """What the controller writes into the status of a Gateway that it works on."""
    LISTENERS = ("LBD209", "LBD228", "LBD229")
    GROUP_SETTINGS = ("LBD311",)
    BINDING = ("LBD109",)
    TARGET_RULES = ("LBD501", "LBD502", "LBD514")
    REGISTRATION = ("LBD205", "LBD206", "LBD217")
    GATES = ("LBD214",)
    CLEAN_UP = ("LBD116",)


class Step(Enum):
    """Where the controller is stopped, and what is left undone then.

    START: it does not run, or cannot work on anything. BUILD: it refuses what an object asks for; bindings that exist
    are still worked on, so the rules of their targets are kept. DEPLOY: AWS refuses part of the model. WEBHOOK: the API
    server refuses its objects. RULES, REGISTER: it cannot write the rules for a binding's targets, or the targets.
    """

    START = frozenset(Duty)
    BUILD = frozenset(Duty) - {Duty.TARGET_RULES, Duty.GATES}
    DEPLOY = frozenset(Duty) - {Duty.GATES}
    WEBHOOK = frozenset(Duty) - {Duty.LISTENERS}
    RULES = frozenset(Duty) - {Duty.LISTENERS, Duty.GROUP_SETTINGS}
    REGISTER = RULES - {Duty.TARGET_RULES}

    @property
    def undone(self) -> tuple[str, ...]:
        """The codes that say "not done" of what this step and the later ones make."""
        return tuple(sorted(code for duty in self.value for code in duty.value))

    @property
    def unmade(self) -> tuple[str, ...]:
        """The same without the controller's own words, which are about what they say; only where it does not start they
        may be over."""
        return self.undone if self is Step.START else tuple(c for c in self.undone if c not in Duty.SAID.value)


STOPPED_AT: Mapping[str, Step] = {
    "LBD101": Step.START,
    "LBD102": Step.START,
    "LBD121": Step.START,
    "LBD122": Step.START,
    "LBD123": Step.START,
    "LBD129": Step.START,
    "LBD130": Step.START,
    "LBD131": Step.START,
    "LBD132": Step.START,
    "LBD133": Step.START,
    "LBD134": Step.START,
    "LBD136": Step.START,
    "LBD140": Step.START,
    "LBD141": Step.START,
    "LBD146": Step.BUILD,
    "LBD103": Step.BUILD,
    "LBD111": Step.BUILD,
    "LBD204": Step.BUILD,
    "LBD226": Step.BUILD,
    "LBD310": Step.BUILD,
    "LBD511": Step.BUILD,
    "LBD104": Step.DEPLOY,
    "LBD105": Step.DEPLOY,
    "LBD216": Step.DEPLOY,
    "LBD510": Step.DEPLOY,
    "LBD512": Step.DEPLOY,
    "LBD124": Step.WEBHOOK,
    "LBD125": Step.WEBHOOK,
    "LBD126": Step.WEBHOOK,
    "LBD505": Step.RULES,
    "LBD506": Step.RULES,
    "LBD135": Step.RULES,
    "LBD119": Step.REGISTER,
    "LBD120": Step.REGISTER,
    "LBD219": Step.REGISTER,
}
"""What keeps the controller from its work, and at which step. LBD119 and LBD120 stop where the denied request is made,
which is told of each finding by `step_of_access` and `step_of_action`."""


def undone_by(code: str) -> tuple[str, ...]:
    """What a finding of this code explains: the codes that say "not done" of what it keeps the controller from."""
    words = Duty.SAID.value if code in Duty.SAID.value else ()
    return tuple(effect for effect in STOPPED_AT[code].undone if effect != code and effect not in words)


def step_of_action(action: str) -> Step:
    """Where the controller is stopped that may not call this AWS action ("" where it is not known).

    Reads stop any step. Web application firewalls and Shield come last of a model, after its bindings.
    """
    service, _, name = action.partition(":")
    if service in ("wafv2", "waf-regional", "shield"):
        return Step.REGISTER
    if "SecurityGroup" in name and service == "ec2" and not name.startswith("Describe"):
        return Step.RULES if "Ingress" in name else Step.DEPLOY
    if name in ("RegisterTargets", "DeregisterTargets"):
        return Step.REGISTER
    if name == "DescribeTargetHealth":
        return Step.RULES  # A binding's targets are listed before its rules are written.
    return Step.DEPLOY


READ_VERBS = ("get", "list", "watch")


def step_of_access(verb: str, kind: str, part: str = "") -> Step:
    """Where the controller is stopped whom Kubernetes denies a verb on a kind of objects, or on a part of them as
    "status".

    Without what it reads it cannot start; the status of pods (readiness gates) and of other objects comes last.
    """
    if part:
        return Step.REGISTER
    return Step.RULES if kind.startswith("targetgroupbindings") and verb not in READ_VERBS else Step.START


def _stopped_at(*steps: Step) -> tuple[str, ...]:
    return tuple(sorted(code for code, step in STOPPED_AT.items() if step in steps))


NOT_AT_WORK = _stopped_at(Step.START)
"""What keeps the controller from any work: whatever it has said before may be over."""

AT_A_BINDING = (*_stopped_at(Step.START, Step.RULES), "LBD119", "LBD120")
"""What may keep the controller from the rules that an existing binding asks for: it works on them whatever becomes of
the model that the binding was made from. Of LBD119 and LBD120, their findings say whether they do."""

AT_ITS_TARGETS = (*_stopped_at(Step.START, Step.RULES, Step.REGISTER), "LBD216")
"""What may keep the controller from the targets of an existing binding, likewise. AWS tells of its quota of targets
(LBD216) when they are registered, too."""

ASKED_IN_VAIN = _stopped_at(Step.BUILD, Step.DEPLOY)
"""What an object asks for, and the controller or AWS refuses."""


def is_kept_from_work(code: str) -> bool:
    """Whether a finding of this code says what keeps the controller from its work."""
    return code in STOPPED_AT
