"""The only mutations: a change of a Kubernetes object, a rolling restart, a rule or an entry in EC2, a setting of a
target group (`fix.group_writer`).

Each is checked against what is there at that moment, and Kubernetes refuses it by itself when the object has moved on
between that look and the write (`test` operations on the values and on the resourceVersion).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from kubectl_lbdoctor.analysis.aws_changes import OWN_RULE
from kubectl_lbdoctor.errors import ApiMissing, AwsApiError, CouldNotRun, ReadFailed, WriteRefused
from kubectl_lbdoctor.fix.errors import AlreadyThere, CannotRehearse, Expectation, MovedOn
from kubectl_lbdoctor.fix.group_writer import GroupWriter
from kubectl_lbdoctor.fix.values import compare, value_at
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import ANNOTATIONS, AwsWrite, Change, Edit

_CHANGED_KINDS = {
    kind.name: kind
    for kind in (
        *(kinds.INGRESS, kinds.SERVICE, kinds.TARGET_GROUP_BINDING, kinds.NETWORK_POLICY),
        *(kinds.DEPLOYMENT, kinds.DAEMON_SET, kinds.STATEFUL_SET),
    )
}
_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"

_NO_DRY_RUN = "does not support dry run"
"""How the API server refuses a dry run where a webhook has side effects, or may have some
(https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/, "Side effects")."""

ATTEMPTS = 4
"""Times that a patch is sent where only the object's version has moved on: controllers write status at any time."""

AWS_WRITES = {
    "AuthorizeSecurityGroupIngress": "RevokeSecurityGroupIngress",
    "AuthorizeSecurityGroupEgress": "RevokeSecurityGroupEgress",
    "CreateNetworkAclEntry": "DeleteNetworkAclEntry",
}
"""What a fix calls in EC2, and what takes it back. Nothing else is ever called, whatever an undo file says."""


class Kube(Protocol):
    """What the writer needs of `collect.kube.KubeReader`."""

    def get(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> dict[str, Any] | None: ...

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int | bool] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]: ...


class Aws(Protocol):
    """What the writer needs of `collect.aws.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...


class Writer:
    """Makes changes. `now` (RFC 3339) stamps restarts, as `kubectl rollout restart` does."""

    def __init__(self, kube: Kube, aws: Aws | None, now: str) -> None:
        self._kube = kube
        self._aws = aws
        self._now = now

    def check(self, change: Change) -> dict[str, Any] | None:
        """Read again what the change builds on; gives the Kubernetes object (None for one in AWS).

        Raises MovedOn when it is not as planned any more, AlreadyThere when the change is in effect already.
        """
        if change.aws is not None:
            self._check_aws(change)
            return None
        if change.group is not None:
            self._groups.check(change)
            return None
        raw = self._object(change.object)
        if change.restart and (raw.get("spec") or {}).get("paused"):
            raise MovedOn(f"{change.object} is paused, so it cannot be restarted", "kubectl rollout resume")
        compare(raw, change)
        return raw

    def rehearse(self, change: Change) -> None:
        """Let the server try the change without making it: permissions, admission webhooks and its own rules.

        Raises ReadDenied, WriteRefused, AwsApiError, MovedOn or AlreadyThere, and CannotRehearse where no server can.
        """
        if change.group is not None:
            self._groups.check(change)
            raise CannotRehearse(change.not_rehearsed)
        if change.aws is None:
            self._patch(change, dry_run=True)
            return
        self._check_aws(change)
        self._try_call(change.aws)

    def apply(self, change: Change) -> None:
        """Make the change; raises as `rehearse` does, and then nothing was written by this change.

        ReadFailed alone leaves open whether it was made: the answer did not come.
        """
        if change.group is not None:
            self._groups.write(change)
            return
        if change.aws is None:
            self._patch(change, dry_run=False)
            return
        self._check_aws(change)
        try:
            self._call(change.aws.service, change.aws.operation, change.aws.params)
        except AwsApiError as error:
            if error.code not in ("InvalidPermission.Duplicate", "NetworkAclEntryAlreadyExists"):
                raise
            # It was absent a moment ago: the SDK's retry of a call whose answer was lost meets its own rule.
            try:
                self._check_aws(change)
            except AlreadyThere:
                if OWN_RULE not in str(change.aws.params) and change.aws.operation != "CreateNetworkAclEntry":
                    raise

    def check_undo(self, change: Change, uid: str = "") -> None:
        """Raises MovedOn when what the change has set was changed again since, AlreadyThere when it is back already.

        uid: of the object that was changed; one that was made anew under the same name is another.
        """
        if change.group is not None:
            self._groups.check(inverse(change), Expectation.SET_BY_FIX)
            return
        if change.aws is None:
            raw = self._object(change.object)
            if uid and (raw.get("metadata") or {}).get("uid") != uid:
                raise MovedOn(f"{change.object} was deleted and made anew since")
            compare(raw, inverse(change), Expectation.SET_BY_FIX)
            return
        try:
            self._check_aws(change)
        except AlreadyThere:
            return
        raise AlreadyThere(f"{change.then} is no longer in {change.object}")

    def rehearse_undo(self, change: Change) -> None:
        """Let the server try to take the change back; raises as `rehearse` does."""
        if change.group is not None:
            raise CannotRehearse(change.not_rehearsed)
        if change.aws is None:
            self._patch(inverse(change), dry_run=True)
        else:
            self._try_call(_undoing(change.aws))

    def undo(self, change: Change) -> None:
        """Take the change back; raises as `check_undo` does."""
        self.check_undo(change)
        if change.aws is not None:
            self._call(change.aws.service, change.aws.undo_operation, change.aws.undo_params)
        elif change.group is not None:
            self._groups.write(inverse(change))
        else:
            self._patch(inverse(change), dry_run=False)

    # --- Kubernetes ---

    def _object(self, ref: ObjectRef) -> dict[str, Any]:
        try:
            raw = self._kube.get(path_of(ref))
        except ApiMissing:
            raw = None
        if raw is None:
            raise MovedOn(f"{ref} does not exist any more in namespace {ref.namespace}")
        return raw

    def _patch(self, change: Change, dry_run: bool) -> None:
        """Send the change for exactly the version of the object that was compared."""
        params: dict[str, str | int | bool] = {"fieldManager": "kubectl-lbdoctor"}
        if dry_run:
            params["dryRun"] = "All"
        version: object = None
        for attempt in range(1, ATTEMPTS + 1):
            raw = self.check(change)
            assert raw is not None
            former, version = version, raw.get("metadata", {}).get("resourceVersion")
            body = self._operations(raw, change)
            try:
                self._kube.send("PATCH", path_of(change.object), params, body, "application/json-patch+json")
                return
            except WriteRefused as error:
                if dry_run and error.http_status == 400 and _NO_DRY_RUN in error.message:
                    raise CannotRehearse("an admission webhook does not support dry runs") from error
                # 409, or 422 of a test operation: worth another try only while somebody else writes the object.
                if error.http_status not in (409, 422) or attempt == ATTEMPTS or version == former:
                    raise
            except ReadFailed:
                if dry_run or change.restart or not self._was_made(change):
                    raise
                return  # The answer was lost on the way, the write was not.

    def _was_made(self, change: Change) -> bool:
        try:
            self.check(change)
        except AlreadyThere:
            return True
        return False

    def _operations(self, raw: Mapping[str, Any], change: Change) -> list[dict[str, object]]:
        operations: list[dict[str, object]] = []
        for name in ("uid", "resourceVersion"):
            value = raw.get("metadata", {}).get(name)
            if value:
                operations.append({"op": "test", "path": f"/metadata/{name}", "value": value})
        for edit in change.edits if not change.restart else (self._restart_edit(raw),):
            operations += _missing_maps(raw, edit, operations)
            operations += edit.operations
        return operations

    def _restart_edit(self, raw: Mapping[str, Any]) -> Edit:
        """What `kubectl rollout restart` writes: a new pod template makes the workload's controller replace pods."""
        pointer = f"/spec/template{ANNOTATIONS}/{_RESTARTED_AT.replace('/', '~1')}"
        return Edit(pointer, value_at(raw, pointer), self._now)

    # --- AWS ---

    @property
    def _groups(self) -> GroupWriter:
        return GroupWriter(self._ec2)

    @property
    def _ec2(self) -> Aws:
        if self._aws is None:
            raise CouldNotRun("AWS cannot be changed without AWS credentials", "check: aws sts get-caller-identity")
        return self._aws

    def _call(self, service: str, operation: str, params: Mapping[str, Any]) -> None:
        if service != "ec2" or operation not in {*AWS_WRITES, *AWS_WRITES.values()}:
            raise CouldNotRun(f"{service}:{operation} is never called by kubectl lbdoctor")
        self._ec2.call(service, operation, None, **params)

    def _try_call(self, write: AwsWrite) -> None:
        try:
            self._call(write.service, write.operation, {**write.params, "DryRun": True})
        except AwsApiError as error:
            # EC2 answers a dry run that would have worked with this error (EC2 API reference, DryRun).
            if error.code == "DryRunOperation":
                return
            raise
        self._call(write.service, write.undo_operation, write.undo_params)
        raise CouldNotRun(
            f"{write.service}:{write.operation} was made although only a dry run was asked for; it was taken back",
            "the endpoint of AWS_ENDPOINT_URL does not know DryRun",
        )

    def _check_aws(self, change: Change) -> None:
        assert change.aws is not None
        params = change.aws.params
        if change.aws.operation == "CreateNetworkAclEntry":
            self._check_entry(change, params)
        else:
            self._check_rule(change, params)

    def _check_rule(self, change: Change, params: Mapping[str, Any]) -> None:
        try:
            groups = self._ec2.call("ec2", "DescribeSecurityGroups", "SecurityGroups", GroupIds=[params["GroupId"]])
        except AwsApiError as error:
            if error.code in ("InvalidGroup.NotFound", "InvalidGroupId.NotFound"):
                raise MovedOn(f"{change.object} does not exist any more") from error
            raise
        outbound = change.aws is not None and "Egress" in change.aws.operation
        present = [r for g in groups for r in g.get("IpPermissionsEgress" if outbound else "IpPermissions", ())]
        if all(any(_rule_holds(rule, wanted) for rule in present) for wanted in params["IpPermissions"]):
            raise AlreadyThere(f"{change.object} has the rule already: {change.then}")

    def _check_entry(self, change: Change, params: Mapping[str, Any]) -> None:
        acls = self._ec2.call("ec2", "DescribeNetworkAcls", "NetworkAcls", NetworkAclIds=[params["NetworkAclId"]])
        if not acls:
            raise MovedOn(f"{change.object} does not exist any more")
        for entry in acls[0].get("Entries", ()):
            if entry.get("RuleNumber") == params["RuleNumber"] and bool(entry.get("Egress")) == params["Egress"]:
                keys = ("Protocol", "RuleAction", "CidrBlock", "Ipv6CidrBlock", "PortRange")
                if all(entry.get(key) == params.get(key) for key in keys):
                    raise AlreadyThere(f"{change.object} has the entry already: {change.then}")
                raise MovedOn(
                    f"entry number {params['RuleNumber']} of {change.object} was taken since the plan was made",
                    "run the command again to see what is right now",
                )


def path_of(ref: ObjectRef) -> str:
    """The URL path of an object that a change may be about."""
    if ref.kind not in _CHANGED_KINDS:
        raise CouldNotRun(f"a {ref.kind} is never changed by kubectl lbdoctor")
    return _CHANGED_KINDS[ref.kind].path(ref.namespace, ref.name)


def inverse(change: Change) -> Change:
    """The change that puts back what this one replaced."""
    edits = tuple(edit.reverse for edit in reversed(change.edits))
    return replace(change, edits=edits, now=change.then, then=change.now)


def _undoing(write: AwsWrite) -> AwsWrite:
    return replace(
        write,
        operation=write.undo_operation,
        params=write.undo_params,
        undo_operation=write.operation,
        undo_params=write.params,
    )


def _missing_maps(raw: object, edit: Edit, before: list[dict[str, object]]) -> list[dict[str, object]]:
    """Operations that create the maps which an added value needs (an object without annotations has no such map)."""
    if edit.now is not None or edit.then is None:
        return []
    made = {operation["path"] for operation in before if operation["op"] == "add"}
    segments = edit.pointer.split("/")[1:-1]
    found: list[dict[str, object]] = []
    for length in range(1, len(segments) + 1):
        parent = "/" + "/".join(segments[:length])
        if value_at(raw, parent) is None and parent not in made:
            found.append({"op": "add", "path": parent, "value": {}})
    return found


def _rule_holds(rule: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an EC2 permission contains exactly this rule (protocol, ports and the one source)."""
    if any(rule.get(key) != wanted.get(key) for key in ("IpProtocol", "FromPort", "ToPort")):
        return False
    for kind, key in (("UserIdGroupPairs", "GroupId"), ("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        there = {entry.get(key) for entry in rule.get(kind, ())}
        if any(entry.get(key) not in there for entry in wanted.get(kind, ())):
            return False
    return True
