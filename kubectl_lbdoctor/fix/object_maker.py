"""Objects that a fix makes where a setting has none to stand in, and their deletion when the fix is undone.

Only what is still as it was made is deleted: the same object by its uid, with the labels of a fix, never changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubectl_lbdoctor.errors import ApiMissing, CouldNotRun, LbdoctorError, ReadFailed
from kubectl_lbdoctor.fix.clients import Kube
from kubectl_lbdoctor.fix.errors import AlreadyThere, MovedOn, OutOfSight
from kubectl_lbdoctor.fix.owners import FIELD_MANAGER
from kubectl_lbdoctor.fix.second_look import look_again
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import MADE_BY_FIX, Change, Spec, emptied, manifest
from kubectl_lbdoctor.record import record

MADE_KINDS = (kinds.TARGET_GROUP_CONFIGURATION, kinds.LOAD_BALANCER_CONFIGURATION)
"""The kinds of objects that a fix may make, and its undoing delete."""

_JSON_PATCH = "application/json-patch+json"
_MANAGER: Mapping[str, str | int | bool] = {"fieldManager": FIELD_MANAGER}


@record
class _Look:
    """An object as it is now; raw is None where it does not exist. path: of the object, in a version that is served."""

    path: str
    raw: Mapping[str, Any] | None


class ObjectMaker:
    """Makes and unmakes objects. paths_of: the URL paths of an object, one for each version of its API."""

    def __init__(self, kube: Kube, paths_of: Callable[[ObjectRef], tuple[str, ...]]) -> None:
        self._kube = kube
        self._paths_of = paths_of

    def check(self, change: Change) -> None:
        """Raises AlreadyThere where the object exists as wanted, MovedOn where another one has its name, CouldNotRun
        where the cluster does not serve its kind."""
        raw = self._look(change.object).raw
        if raw is None:
            return
        if _is_being_deleted(raw):
            raise OutOfSight(f"{change.object} is being deleted", "run the command again when it is gone")
        if _is_as_made(raw, change):
            raise AlreadyThere(f"{change.object} exists already, as wanted")
        raise MovedOn(f"{change.object} exists by now", "run the command again to see what is right now")

    def rehearse(self, change: Change) -> None:
        """Let the server try to make the object; raises as `check` does, and what it refuses."""
        self.check(change)
        self._post(change, dry_run=True)

    def make(self, change: Change) -> str:
        """Make the object, and give its uid. Raises as `rehearse` does; NotKnown leaves open whether it was made."""
        self.check(change)
        try:
            made: Mapping[str, Any] = self._post(change, dry_run=False)
        except LbdoctorError as error:
            look_again(error, lambda: self.check(change))
            made = self._look(change.object).raw or {}
        uid = _metadata(made).get("uid")
        if not isinstance(uid, str) or not uid:
            raise ReadFailed(f"{change.object} may be made, but the answer is not this object")
        return uid

    def check_made(self, change: Change, uid: str) -> Mapping[str, Any]:
        """The object that a fix has made. Raises AlreadyThere where it is gone, MovedOn where it is not as it was made,
        or another one of its name. uid: "" where the fix was cut off before it knew it."""
        raw = self._look(change.object).raw
        if raw is None:
            raise AlreadyThere(f"{change.object} does not exist any more")
        if not uid:
            raise MovedOn(
                f"{change.object} exists, and whether the fix made it is not known: it was cut off",
                f"delete it by hand if it is not needed: {change.undo_command}",
            )
        if _metadata(raw).get("uid") != uid:
            raise MovedOn(f"{change.object} was deleted and made anew since")
        if _is_being_deleted(raw):
            raise AlreadyThere(f"{change.object} is being deleted already")
        if not _is_as_made(raw, change) and not _is_emptied(raw, change):
            raise MovedOn(
                f"{change.object} is not as the fix has made it: it was changed since",
                f"delete it by hand if it is not needed: {change.undo_command}",
            )
        return raw

    def unmake(self, change: Change, uid: str, dry_run: bool = False) -> None:
        """Delete the object, emptied first (`model.plan.emptied`). Raises as `check_made` does, and what the server
        refuses."""
        for spec in emptied(change):
            raw = self.check_made(change, uid)
            if not _holds_only(raw.get("spec"), spec):
                self._empty(change, uid, raw, spec, dry_run)
        self._delete(change, uid, dry_run)

    def _look(self, ref: ObjectRef) -> _Look:
        """The object in the newest version of its API that the cluster serves."""
        for path in self._paths_of(ref):
            try:
                return _Look(path, self._kube.get(path))
            except ApiMissing:
                continue
        raise CouldNotRun(
            f"{ref} cannot be made: the cluster does not serve its kind",
            "install the CRDs of the AWS Load Balancer Controller for Gateways",
        )

    def _post(self, change: Change, dry_run: bool) -> dict[str, Any]:
        collection = self._look(change.object).path.rpartition("/")[0]
        version = collection.split("/")[3]
        answer = self._kube.send("POST", collection, _params(dry_run), manifest(change, version))
        if _metadata(answer).get("name") != change.object.name or answer.get("kind") != change.object.kind:
            raise ReadFailed(f"could not make {change.object}: the answer is not this object")
        return answer

    def _empty(self, change: Change, uid: str, raw: Mapping[str, Any], spec: Spec, dry_run: bool) -> None:
        tests = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": _metadata(raw).get("resourceVersion")},
        ]
        body = [*tests, {"op": "replace", "path": "/spec", "value": dict(spec)}]
        path = self._look(change.object).path
        try:
            self._kube.send("PATCH", path, _params(dry_run), body, _JSON_PATCH)
        except LbdoctorError as error:
            if dry_run:
                raise

            def look() -> None:
                if _holds_only(self.check_made(change, uid).get("spec"), spec):
                    raise AlreadyThere(f"{change.object} is emptied")

            look_again(error, look)

    def _delete(self, change: Change, uid: str, dry_run: bool) -> None:
        # The API server reads options from the body where there is one, and then none from the query: a dry run that
        # is asked for there would delete (apiserver's handlers/delete.go).
        dry = {"dryRun": ["All"]} if dry_run else {}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}, **dry}
        path = self._look(change.object).path
        try:
            self._kube.send("DELETE", path, {}, options)
        except LbdoctorError as error:
            if dry_run:
                raise
            look_again(error, lambda: self.check_made(change, uid))


def _params(dry_run: bool) -> dict[str, str | int | bool]:
    return {**_MANAGER, **({"dryRun": "All"} if dry_run else {})}


def _metadata(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    found = raw.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _is_being_deleted(raw: Mapping[str, Any]) -> bool:
    return bool(_metadata(raw).get("deletionTimestamp"))


def _is_ours(raw: Mapping[str, Any]) -> bool:
    """Whether it carries the labels of a fix, and no trace of somebody who has taken it over."""
    metadata = _metadata(raw)
    taken_over = metadata.get("annotations") or metadata.get("ownerReferences")
    return metadata.get("labels") == dict(MADE_BY_FIX) and not taken_over


def _is_as_made(raw: Mapping[str, Any], change: Change) -> bool:
    """Whether an object is as a fix makes it. The generation of a custom resource counts the changes of its spec
    (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#status-subresource);
    the server adds defaults to what was sent."""
    return _is_ours(raw) and _metadata(raw).get("generation") == 1 and _holds(raw.get("spec"), change.creates)


def _is_emptied(raw: Mapping[str, Any], change: Change) -> bool:
    """Whether the undoing of a fix has emptied an object of a fix, and was cut off before it was deleted."""
    return _is_ours(raw) and any(_holds_only(raw.get("spec"), spec) for spec in emptied(change))


def _holds_only(found: object, wanted: Spec) -> bool:
    """Whether a spec holds all that is wanted, and no other part."""
    return set(found if isinstance(found, Mapping) else ()) == set(wanted) and _holds(found or {}, wanted)


def _holds(found: object, wanted: object) -> bool:
    """Whether what is there holds all that is wanted, with the same values."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_holds(found.get(key), value) for key, value in wanted.items())
    return found == wanted and isinstance(found, bool) is isinstance(wanted, bool)
