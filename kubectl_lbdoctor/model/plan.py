"""Repairs as data: what would be changed, where, from what to what, and how it is taken back.

Checks attach repairs to their findings; the command for a person to copy, the plan that is shown, the write that is
made, its precondition and its undo are all derived from the same change, so that they cannot disagree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, replace

from kubectl_lbdoctor.model.group_edits import GroupAddress, modify_commands
from kubectl_lbdoctor.model.kinds import KINDS, kubectl_name, resource_name
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.shell import kubectl, shell
from kubectl_lbdoctor.record import record

ANNOTATIONS = "/metadata/annotations"


@record
class Edit:
    """One value of a Kubernetes object: its JSON pointer, what is there now and what is to be; None means absent.

    Equal values are a guard: they change nothing, but the write is refused where they do not hold. A pointer into a
    list needs one, for the item that it means may have another index by then.
    """

    pointer: str
    now: object = None
    then: object = None

    @property
    def annotation(self) -> str:
        """The key of the annotation that is edited; "" for any other value."""
        return unescape(self.pointer[len(ANNOTATIONS) + 1 :]) if self.pointer.startswith(f"{ANNOTATIONS}/") else ""

    @property
    def is_guard(self) -> bool:
        """Whether the edit only states what must hold for the write to be made."""
        return self.now == self.then and isinstance(self.now, bool) is isinstance(self.then, bool)

    @property
    def reverse(self) -> Edit:
        """The edit that takes this one back."""
        return Edit(self.pointer, self.then, self.now)

    @property
    def operations(self) -> list[dict[str, object]]:
        """JSON patch operations (RFC 6902) that refuse an object whose value has moved on."""
        if self.now is None:
            return [] if self.then is None else [{"op": "add", "path": self.pointer, "value": self.then}]
        test = {"op": "test", "path": self.pointer, "value": self.now}
        if self.is_guard:
            return [test]
        if self.then is None:
            return [test, {"op": "remove", "path": self.pointer}]
        return [test, {"op": "replace", "path": self.pointer, "value": self.then}]


def escape(key: str) -> str:
    """A key as a segment of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def unescape(segment: str) -> str:
    return segment.replace("~1", "/").replace("~0", "~")


_ENTRY = "CreateNetworkAclEntry"
_ENTRY_KEY = ("NetworkAclId", "Egress", "RuleNumber")

AWS_WRITES = {
    "AuthorizeSecurityGroupIngress": "RevokeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress": "RevokeSecurityGroupEgress",
    _ENTRY: "DeleteNetworkAclEntry",
}
"""What a fix calls in EC2, and what takes it back. Nothing else is ever called."""


@record
class AwsWrite:
    """A call that adds something in EC2; the call that takes it away again follows from it.

    operation: one of AWS_WRITES. params: the API's own. command: the same for a person; undo_command: the inverse.
    """

    operation: str
    params: Mapping[str, object]
    command: str
    undo_command: str

    @property
    def undo_operation(self) -> str:
        """The operation that takes it back."""
        return AWS_WRITES[self.operation]

    @property
    def undo_params(self) -> Mapping[str, object]:
        """The parameters of that: an ACL entry is known by its number, a rule by all that it says."""
        if self.operation != _ENTRY:
            return self.params
        return {key: value for key, value in self.params.items() if key in _ENTRY_KEY}


MADE_BY_FIX: Mapping[str, str] = {"app.kubernetes.io/managed-by": "kubectl-lbdoctor"}
"""The labels of every object that a fix makes; what does not carry them is never deleted.

https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

Spec = Mapping[str, object]
"""The `spec` of a Kubernetes object."""


@record
class Change:
    """One write to one object: exactly one of `edits`, `restart`, `aws` and `creates` says how.

    field, now, then, why and risk are the words of the plan that a person confirms. restart: a rolling restart of a
    workload, as `kubectl rollout restart` makes it; it cannot be taken back. group: the target group that the edits
    change in AWS, None where they change a Kubernetes object; their pointers are those of `model.group_edits`.
    creates: the `spec` of an object that does not exist yet, and is made; undoing deletes it. inherits: what of that
    spec holds already, from where the new object takes it over; all else is what the change is about.
    """

    object: ObjectRef
    field: str
    now: str
    then: str
    why: str = ""
    risk: str = ""
    edits: tuple[Edit, ...] = ()
    restart: bool = False
    aws: AwsWrite | None = None
    group: GroupAddress | None = None
    creates: Spec | None = None
    inherits: Spec | None = None

    @property
    def in_aws(self) -> bool:
        """Whether it is made in AWS, not in Kubernetes."""
        return self.aws is not None or self.group is not None

    @property
    def not_rehearsed(self) -> str:
        """Why no server can try it without making it, in half a sentence; "" where one can."""
        return "Elastic Load Balancing has no dry run" if self.group is not None else ""

    @property
    def reversible(self) -> bool:
        """Whether `undo` can take it back: a restart cannot be."""
        return not self.restart

    @property
    def undo_command(self) -> str:
        """What takes the change back, as one command line; "" for a restart."""
        if self.restart:
            return ""
        if self.creates is not None:
            return _unmaking(self)
        return self.aws.undo_command if self.aws is not None else inverse(self).command

    @property
    def command(self) -> str:
        """The same change as one command line."""
        if self.aws is not None:
            return self.aws.command
        if self.group is not None:
            return modify_commands(self.group, {e.pointer: e.then for e in self.edits if not e.is_guard})
        target = kubectl_name(self.object)
        if self.creates is not None:
            return (
                f"{shell('printf', '%s', json.dumps(manifest(self), sort_keys=True))} | {kubectl('create', '-f', '-')}"
            )
        if self.restart:
            workload = f"{self.object.kind.lower()}.apps/{self.object.name}"
            return kubectl("rollout", "restart", workload, namespace=self.object.namespace)
        keys = [edit.annotation for edit in self.edits]
        if all(keys):
            words = [f"{k}-" if e.then is None else f"{k}={e.then}" for k, e in zip(keys, self.edits, strict=True)]
            overwrite = ["--overwrite"] if any(e.then is not None for e in self.edits) else []
            return kubectl("annotate", target, *words, *overwrite, namespace=self.object.namespace)
        patch = json.dumps([operation for edit in self.edits for operation in edit.operations], sort_keys=True)
        return kubectl("patch", target, "--type=json", "-p", patch, namespace=self.object.namespace)


def manifest(change: Change, version: str = "") -> dict[str, object]:
    """The object that a change makes, in this version of its API; without one in the oldest that we can read, which
    newer releases serve as well. Raises ValueError for a change that makes none."""
    if change.creates is None:
        raise ValueError(f"no object is made: {change.object}")
    kind, ref = KINDS[change.object.kind], change.object
    return {
        "apiVersion": f"{kind.group}/{version or kind.versions[-1]}",
        "kind": kind.name,
        "metadata": {"name": ref.name, "namespace": ref.namespace, "labels": dict(MADE_BY_FIX)},
        "spec": dict(change.creates),
    }


_NOBODY = "lbdoctor-undo-names-nothing"
"""A name that no Service has."""


def emptied(change: Change) -> tuple[Spec, ...]:
    """What the `spec` of an object that a change has made becomes, one after the other, before it is deleted.

    A configuration of a Gateway is without effect once the Gateway does not name it any more, which is taken back
    before. That of target groups names their Service itself: the controller's finalizer keeps it, with its effect, for
    as long as something uses what it names; one whose Service does not exist it lets go at once. It looks again at what
    a configuration names at the moment of a change, so that the settings go first, and the name after them. Up to
    release 3.1 the name may not be left out.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/main/controllers/gateway/targetgroup_configuration_controller.go
    and controllers/gateway/eventhandlers/target_group_configuration_events.go there.
    """
    reference = (change.creates or {}).get("targetReference")
    if not isinstance(reference, Mapping):
        return ()
    return {"targetReference": reference}, {"targetReference": {**reference, "name": _NOBODY}}


def _unmaking(change: Change) -> str:
    """The command line that deletes an object which a change has made."""
    ref, target = change.object, resource_name(change.object)
    patches = [json.dumps([{"op": "replace", "path": "/spec", "value": dict(spec)}]) for spec in emptied(change)]
    steps = [kubectl("patch", target, "--type=json", "-p", patch, namespace=ref.namespace) for patch in patches]
    return " && ".join((*steps, kubectl("delete", target, namespace=ref.namespace)))


def inverse(change: Change) -> Change:
    """The change that puts back the values which this one has edited."""
    edits = tuple(edit.reverse for edit in reversed(change.edits))
    return replace(change, edits=edits, now=change.then, then=change.now)


@record
class Repair:
    """One way to repair a finding: changes that belong together.

    value: what chooses it among several ways (`--fix targetport=8080`). free: any other value may stand in its place,
    such as a path that only the user knows.
    """

    value: str
    changes: tuple[Change, ...]
    accepts_any_value: bool = False

    def with_value(self, value: str) -> Repair | None:
        """The same repair with a value of the user's own; None where the value is no free text or number."""
        if not self.accepts_any_value or not value or len(self.changes) != 1:
            return None
        change = self.changes[0]
        written = [edit for edit in change.edits if not edit.is_guard]
        if len(written) != 1:
            return None
        number = value.isascii() and value.isdigit() and isinstance(written[0].then, int)
        then: object = int(value) if number else value
        edits = tuple(replace(edit, then=then) if edit is written[0] else edit for edit in change.edits)
        edited = replace(change, then=value, edits=edits, why="chosen by you")
        return Repair(value, (edited,), accepts_any_value=True)

    @property
    def commands(self) -> tuple[str, ...]:
        return tuple(change.command for change in self.changes)

    def with_reason(self, why: str, risk: str = "") -> Repair:
        """The same repair with these words for changes that have none of their own."""
        said = tuple(replace(c, why=c.why or why, risk=c.risk or risk) for c in self.changes)
        return replace(self, changes=said)


@record
class Alternative:
    """Another way to repair a finding, which `--fix` makes where it is asked for by its own name; `all` never does.

    fix: that name. repairs, template: as `repairs` and `repair_template` of a finding. automatic: the evidence
    determines the first of the repairs, so that the name alone says what is to be done.
    """

    fix: str
    repairs: tuple[Repair, ...] = ()
    template: Repair | None = None
    automatic: bool = False


@record
class Step:
    """One change of a plan, with the fix and the diagnosis that it comes from, and the objects that it is to heal.

    instead: what `--fix` takes as another way to repair the same ("success-codes=200-399"). also: codes of other
    diagnoses that the same change repairs.
    """

    fix: str
    code: str
    change: Change
    affects: tuple[ObjectRef, ...] = ()
    instead: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all diagnoses that it repairs."""
        return (self.code, *self.also)


@record
class Refusal:
    """A fix that is not made, in one sentence; `choices` are the values that `--fix NAME=VALUE` accepts."""

    fix: str
    reason: str
    choices: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = field(default_factory=tuple)


@record
class FixPlan:
    """What `--fix` would do, in order, and what it was asked for and will not do."""

    steps: tuple[Step, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def affects(self) -> tuple[ObjectRef, ...]:
        """The objects that the plan is to heal."""
        return tuple(dict.fromkeys(ref for step in self.steps for ref in step.affects))
