"""The only mutations: a change of a Kubernetes object, a new one (`fix.object_maker`), a rolling restart, a rule or an
entry in EC2, a setting of a target group (`fix.group_writer`).

Each is checked against what is there at that moment, and Kubernetes refuses it by itself when the object has moved on
between that look and the write (`test` operations on the values and on the resourceVersion).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.errors import ApiMissing, AwsApiError, CouldNotRun, LbdoctorError, ReadFailed, WriteRefused
from kubectl_lbdoctor.fix.clients import Aws, Kube
from kubectl_lbdoctor.fix.errors import AlreadyThere, CannotRehearse, Expectation, Gone, MovedOn
from kubectl_lbdoctor.fix.group_writer import GroupWriter
from kubectl_lbdoctor.fix.object_maker import MADE_KINDS, ObjectMaker
from kubectl_lbdoctor.fix.owners import FIELD_MANAGER, setter_of_another
from kubectl_lbdoctor.fix.second_look import NotKnown, look_again
from kubectl_lbdoctor.fix.values import check_shape, compare, value_at
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.api_path import is_label, is_subdomain
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import ANNOTATIONS, AWS_WRITES, AwsWrite, Change, Edit, inverse

_CHANGED_KINDS = {
    kind.name: kind
    for kind in (
        *(kinds.INGRESS, kinds.SERVICE, kinds.TARGET_GROUP_BINDING, kinds.NETWORK_POLICY),
        *(kinds.DEPLOYMENT, kinds.DAEMON_SET, kinds.STATEFUL_SET),
        *(kinds.GATEWAY, *kinds.ROUTES, *MADE_KINDS),
    )
}
_RESTARTED = f"/spec/template{ANNOTATIONS}/kubectl.kubernetes.io~1restartedAt"

_JSON_PATCH = "application/json-patch+json"

_NO_DRY_RUN = "does not support dry run"
"""How the API server refuses a dry run where a webhook has side effects, or may have some
(https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/, "Side effects")."""

_NO_DRY_RUN_AT_ALL = "the endpoint of AWS_ENDPOINT_URL does not know DryRun"

ATTEMPTS = 4
"""Times that a patch is sent where only the object's version has moved on: controllers write status at any time."""


class Writer:
    """Makes changes. `now` (RFC 3339) stamps restarts, as `kubectl rollout restart` does."""

    def __init__(self, kube: Kube, aws: Aws | None, now: str) -> None:
        self._kube = kube
        self._aws = aws
        self._now = now

    def check(self, change: Change) -> dict[str, Any] | None:
        """Read again what the change builds on; gives the Kubernetes object (None for one in AWS, or one to be made).

        Raises MovedOn when it is not as planned any more, AlreadyThere when the change is in effect already.
        """
        if change.aws is not None:
            self._check_aws(change)
            return None
        if change.group is not None:
            self._groups.check(change)
            return None
        if change.creates is not None:
            self._maker.check(change)
            return None
        _, raw = self._object(change.object)
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
        if change.creates is not None:
            self._maker.rehearse(change)
            return
        if change.aws is None:
            self._patch(change, dry_run=True)
            return
        self._check_aws(change)
        self._try_call(change.aws)

    def apply(self, change: Change, uid: str = "") -> str:
        """Make the change; gives the uid of an object that was made, else "". uid: of the object that the plan was made
        for, "" for any (in AWS). Raises as `rehearse` does, and then nothing was written by this change.

        NotKnown alone leaves open whether it was made: the answer was none, and another look did not tell.
        """
        if change.creates is not None:
            return self._maker.make(change)
        if change.group is not None:
            self._groups.write(change)
        elif change.aws is None:
            self._patch(change, dry_run=False, uid=uid)
        else:
            self._apply_aws(change, change.aws)
        return ""

    def _apply_aws(self, change: Change, write: AwsWrite) -> None:
        self._check_aws(change)
        try:
            self._call(write.operation, write.params)
        except LbdoctorError as error:
            look_again(error, lambda: self._check_aws(change, own=True))

    def check_undo(self, change: Change, uid: str) -> None:
        """Raises MovedOn when what the change has set was changed again since, AlreadyThere when it is back already, or
        gone with its object.

        uid: of the Kubernetes object that was changed; one that was made anew under the same name is another.
        """
        try:
            self._check_undo(change, uid)
        except Gone as gone:
            raise AlreadyThere(f"{gone.message}, and the change went with it") from gone

    def _check_undo(self, change: Change, uid: str) -> None:
        if change.group is not None:
            self._groups.check(inverse(change), Expectation.SET_BY_FIX)
            return
        if change.creates is not None:
            self._maker.check_made(change, uid)
            return
        if change.aws is None:
            self._same(inverse(change), uid)
            return
        try:
            self._check_aws(change, own=True)
        except AlreadyThere:
            return
        raise AlreadyThere(f"{change.then} is no longer in {change.object}")

    def rehearse_undo(self, change: Change, uid: str) -> None:
        """Let the server try to take the change back; raises as `rehearse` does."""
        if change.group is not None:
            raise CannotRehearse(change.not_rehearsed)
        if change.creates is not None:
            self._maker.unmake(change, uid, dry_run=True)
        elif change.aws is None:
            self._patch(inverse(change), dry_run=True, uid=uid, back=True)
        else:
            self._try_undo(change.aws)

    def undo(self, change: Change, uid: str) -> None:
        """Take the change back; raises as `check_undo` and `apply` do."""
        if change.group is not None:
            self._groups.write(inverse(change), Expectation.SET_BY_FIX)
        elif change.creates is not None:
            self._maker.unmake(change, uid)
        elif change.aws is None:
            self._patch(inverse(change), dry_run=False, uid=uid, back=True)
        else:
            self.check_undo(change, uid)
            try:
                self._call(change.aws.undo_operation, change.aws.undo_params)
            except LbdoctorError as error:
                look_again(error, lambda: self.check_undo(change, uid))

    # --- Kubernetes ---

    def _object(self, ref: ObjectRef) -> tuple[str, dict[str, Any]]:
        """The path and the object, in the newest version of its API that the cluster serves."""
        for path in paths_of(ref):
            try:
                raw = self._kube.get(path)
            except ApiMissing:
                continue
            if raw is not None:
                check_shape(ref, raw)
                return path, raw
            break
        raise Gone(f"{ref} does not exist any more in namespace {ref.namespace}")

    def _served(self, ref: ObjectRef) -> str:
        """The path of an object that exists: kinds with one version need no look."""
        paths = paths_of(ref)
        return paths[0] if len(paths) == 1 else self._object(ref)[0]

    def _same(self, change: Change, uid: str) -> dict[str, Any]:
        """The object with this uid, compared with what takes a change back. Raises MovedOn and AlreadyThere."""
        _, raw = self._object(change.object)
        _check_uid(raw, change, uid)
        compare(raw, change, Expectation.SET_BY_FIX)
        other = setter_of_another(raw, change)
        if other:
            raise MovedOn(
                f"{change.object} says that {other} has set {change.field} to what it is, and no fix",
                "the undo file is of another change; take this one back by hand where that is right",
            )
        return raw

    def _patch(self, change: Change, dry_run: bool, uid: str = "", back: bool = False) -> None:
        """Send the change for exactly the version of the object that was compared. uid: of the object that it is meant
        for, "" for any. back: it takes another change back."""
        params: dict[str, str | int | bool] = {"fieldManager": FIELD_MANAGER}
        if dry_run:
            params["dryRun"] = "All"

        def look() -> dict[str, Any]:
            raw = self._same(change, uid) if back else self.check(change)
            assert raw is not None
            if uid:
                _check_uid(raw, change, uid)
            if change.restart and value_at(raw, _RESTARTED) == self._now:
                raise AlreadyThere(f"{change.object} is restarted already")
            return raw

        version: object = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                raw = look()
            except AlreadyThere:
                if attempt > 1 and not dry_run:
                    return  # It was not a moment ago, and it was asked for in between.
                raise
            former, version = version, (raw.get("metadata") or {}).get("resourceVersion")
            body = self._operations(raw, change)
            try:
                answer = self._kube.send("PATCH", self._served(change.object), params, body, _JSON_PATCH)
                if not _is_about(answer, raw):
                    raise ReadFailed(f"could not patch {change.object}: the answer is not this object")
                return
            except LbdoctorError as error:
                if dry_run:
                    _check_dry_run(error)
                # 409, or 422 of a test operation: worth another try only while somebody else writes the object.
                moved = isinstance(error, WriteRefused) and error.by_server and error.http_status in (409, 422)
                again = moved and attempt < ATTEMPTS and version != former
                if dry_run:
                    if not again:
                        raise
                    continue
                try:
                    look_again(error, look)
                except WriteRefused:
                    if not again:
                        raise
                else:
                    return  # The answer was lost on the way, the write was not.

    def _operations(self, raw: Mapping[str, Any], change: Change) -> list[dict[str, object]]:
        operations: list[dict[str, object]] = []
        for name in ("uid", "resourceVersion"):
            value = (raw.get("metadata") or {}).get(name)
            if value:
                operations.append({"op": "test", "path": f"/metadata/{name}", "value": value})
        for edit in change.edits if not change.restart else (self._restart_edit(raw),):
            operations += _missing_maps(raw, edit, operations)
            operations += edit.operations
        return operations

    def _restart_edit(self, raw: Mapping[str, Any]) -> Edit:
        """What `kubectl rollout restart` writes: a new pod template makes the workload's controller replace pods."""
        return Edit(_RESTARTED, value_at(raw, _RESTARTED), self._now)

    @property
    def _maker(self) -> ObjectMaker:
        return ObjectMaker(self._kube, paths_of)

    # --- AWS ---

    @property
    def _groups(self) -> GroupWriter:
        return GroupWriter(self._ec2)

    @property
    def _ec2(self) -> Aws:
        if self._aws is None:
            raise CouldNotRun("AWS cannot be changed without AWS credentials", "check: aws sts get-caller-identity")
        return self._aws

    def _call(self, operation: str, params: Mapping[str, Any]) -> None:
        if operation not in {*AWS_WRITES, *AWS_WRITES.values()}:
            raise CouldNotRun(f"ec2:{operation} is never called by kubectl lbdoctor")
        self._ec2.call("ec2", operation, None, **params)

    def _is_refused_dry_run(self, operation: str, params: Mapping[str, Any]) -> bool:
        """Try a call. False where the endpoint has made it all the same; raises what it would be refused with."""
        try:
            self._call(operation, {**params, "DryRun": True})
        except AwsApiError as error:
            # EC2 answers a dry run that would have worked with this error (EC2 API reference, DryRun).
            if error.code == "DryRunOperation":
                return True
            raise
        return False

    def _try_call(self, write: AwsWrite) -> None:
        if self._is_refused_dry_run(write.operation, write.params):
            return
        made = f"ec2:{write.operation} was made although only a dry run was asked for"
        try:
            self._call(write.undo_operation, write.undo_params)
        except LbdoctorError as error:
            raise NotKnown(
                f"{made}, and it cannot be taken back: {error.message}", f"take it back with: {write.undo_command}"
            ) from error
        raise CouldNotRun(f"{made}; it was taken back", _NO_DRY_RUN_AT_ALL)

    def _try_undo(self, write: AwsWrite) -> None:
        if not self._is_refused_dry_run(write.undo_operation, write.undo_params):
            raise NotKnown(
                f"ec2:{write.undo_operation} was made although only a dry run was asked for", _NO_DRY_RUN_AT_ALL
            )

    def _check_aws(self, change: Change, own: bool = False) -> None:
        """Raises AlreadyThere and MovedOn. own: what is there counts only where a fix can have made it."""
        assert change.aws is not None
        params = change.aws.params
        if change.aws.operation == "CreateNetworkAclEntry":
            self._check_entry(change, params, own)
        else:
            self._check_rule(change, params, own)

    def _check_rule(self, change: Change, params: Mapping[str, Any], own: bool) -> None:
        try:
            groups = self._ec2.call("ec2", "DescribeSecurityGroups", "SecurityGroups", GroupIds=[params["GroupId"]])
        except AwsApiError as error:
            if error.code in ("InvalidGroup.NotFound", "InvalidGroupId.NotFound"):
                raise Gone(f"{change.object} does not exist any more") from error
            raise
        outbound = change.aws is not None and "Egress" in change.aws.operation
        present = [r for g in groups for r in g.get("IpPermissionsEgress" if outbound else "IpPermissions", ())]
        if not all(any(_rule_holds(rule, wanted) for rule in present) for wanted in params["IpPermissions"]):
            return
        # EC2 revokes a rule whatever its description is, and people describe theirs in other words than a fix does.
        if own and not all(any(_rule_holds(rule, w, own) for rule in present) for w in params["IpPermissions"]):
            raise MovedOn(
                f"the rule {change.then} of {change.object} has another description than a fix gives: it is somebody's "
                "own",
                "take it away by hand if it is not needed",
            )
        raise AlreadyThere(f"{change.object} has the rule already: {change.then}")

    def _acls(self, name: str) -> list[Mapping[str, Any]]:
        """The network ACL of this id; none where it does not exist."""
        try:
            found: list[Mapping[str, Any]] = self._ec2.call(
                "ec2", "DescribeNetworkAcls", "NetworkAcls", NetworkAclIds=[name]
            )
        except AwsApiError as error:
            if error.code == "InvalidNetworkAclID.NotFound":
                return []
            raise
        return found

    def _check_entry(self, change: Change, params: Mapping[str, Any], own: bool) -> None:
        acls = self._acls(params["NetworkAclId"])
        if not acls:
            raise Gone(f"{change.object} does not exist any more")
        number = params["RuleNumber"]
        for entry in acls[0].get("Entries", ()):
            if entry.get("RuleNumber") != number or bool(entry.get("Egress")) != params["Egress"]:
                continue
            if _is_entry(entry, params):
                raise AlreadyThere(f"{change.object} has the entry already: {change.then}")
            # EC2 deletes an entry by its number alone, whatever it says.
            if own:
                raise MovedOn(
                    f"entry {number} of {change.object} is not the one that the fix made ({change.then}): it was "
                    "changed, or is somebody's own",
                    "take it away by hand if it is not needed",
                )
            raise MovedOn(
                f"entry number {number} of {change.object} was taken since the plan was made",
                "run the command again to see what is right now",
            )


def _check_uid(raw: Mapping[str, Any], change: Change, uid: str) -> None:
    """Raise MovedOn for an object that has only the name of the one that is meant."""
    if (raw.get("metadata") or {}).get("uid") != uid:
        raise MovedOn(f"{change.object} was deleted and made anew since", "run the command again to see what is right")


def paths_of(ref: ObjectRef) -> tuple[str, ...]:
    """The URL paths of an object that a change may be about, one for each version of its API, the newest first."""
    if ref.kind not in _CHANGED_KINDS:
        raise CouldNotRun(f"a {ref.kind} is never changed by kubectl lbdoctor")
    if not is_label(ref.namespace) or not is_subdomain(ref.name):
        raise CouldNotRun(f"{ref} in namespace {ref.namespace} is no name of an object")
    kind = _CHANGED_KINDS[ref.kind]
    return tuple(kind.path(ref.namespace, ref.name, version) for version in kind.versions)


def _check_dry_run(error: LbdoctorError) -> None:
    """Raise CannotRehearse where a dry run was refused because it is one."""
    if isinstance(error, WriteRefused) and error.http_status == 400 and _NO_DRY_RUN in error.message:
        raise CannotRehearse("an admission webhook does not support dry runs") from error


def _is_about(answer: Mapping[str, Any], raw: Mapping[str, Any]) -> bool:
    """Whether an answer is the object that was written, and not a Status or another document."""
    wanted, found = raw.get("metadata") or {}, answer.get("metadata")
    if answer.get("kind") == "Status" or not isinstance(found, Mapping):
        return False
    return all(found.get(key) == wanted.get(key) for key in ("name", "uid"))


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


def _is_entry(entry: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Whether an entry of a network ACL is the one that this call makes: all of its fields, and no others."""
    wanted = {key: value for key, value in params.items() if key != "NetworkAclId"}
    return {key: value for key, value in entry.items() if value is not None} == wanted


_ANOTHER_VPC = ("VpcPeeringConnectionId", "PeeringStatus")
"""Fields of the groups of other VPCs (EC2's UserIdGroupPair); a fix admits groups of the same VPC alone."""


def _rule_holds(rule: Mapping[str, Any], wanted: Mapping[str, Any], described: bool = False) -> bool:
    """Whether an EC2 permission contains exactly this rule (protocol, ports and the one source). described: with the
    same description, too, and nothing beside it."""
    if any(rule.get(key) != wanted.get(key) for key in ("IpProtocol", "FromPort", "ToPort")):
        return False
    for kind, key in (("UserIdGroupPairs", "GroupId"), ("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        keys = (key, "Description", *_ANOTHER_VPC) if described else (key,)
        there = {tuple(entry.get(k) for k in keys) for entry in rule.get(kind, ())}
        if any(tuple(entry.get(k) for k in keys) not in there for entry in wanted.get(kind, ())):
            return False
    return True
