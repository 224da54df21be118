"""Changes of a world, written by hand in a case: a fault is a few of them over a healthy world.

Each is a mapping with one of these:
- `object: Kind/name` (or Kind/namespace/name; names may be patterns) with `merge` (RFC 7386), `json` (RFC 6902) or
  `delete: true`; or with what is easier to read: `conditions: {type: {…}}` of its status, `container: {…}` and
  `container_status: {…}` of the first container (of a pod or a template), `endpoints: {pattern of pods: {…}}` of an
  EndpointSlice, each merged in (null: that endpoint goes);
- `add: {…}` a whole object; `copy: Kind/name` with `as: name`, and `merge`, for one that is like another;
- `event: Kind/name` with `reason`, `message` and maybe `type`, `ago`, `component`: an event about an object;
- `aws: Kind` (a list of aws.yaml) with maybe `where: {field: pattern}`, and `merge`, `json`, `delete: true`; or with
  `add: {…}`, or `like: {field: pattern}` and `merge` for a record that is like another;
- `targets: pattern of ids` (and maybe `group: pattern of names`) with `state`, `reason`, `description`: what AWS says
  of targets;
- `log: text` lines that the controller wrote.
In all texts `{now-90s}` is a time before the clock of the case, `{now+1h}` one after it.
"""

from __future__ import annotations

import copy
import fnmatch
import re
from datetime import datetime, timedelta
from typing import Any

from tests.support.cassette import World, parse_object

_TIME = re.compile(r"\{now([+-]\d+[smhd])?\}")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class BadPatch(AssertionError):
    """A case changes something that its world does not have."""


def apply(world: World, patches: list[dict[str, Any]]) -> None:
    """Change the world, one patch after the other. Raises BadPatch for one that matches nothing."""
    for number, patch in enumerate(patches, 1):
        try:
            _apply(world, _timed(patch, world.clock))
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise BadPatch(f"patch {number} of world {world.name}: {error!r}: {patch}") from error


def moved(clock: str, by: str) -> str:
    """A time before or after another: "+30m", "-90s"."""
    amount, unit = int(by[:-1]), _UNITS[by[-1]]
    time = datetime.fromisoformat(clock.replace("Z", "+00:00")) + timedelta(**{unit: amount})
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _timed(item: Any, clock: str) -> Any:
    if isinstance(item, dict):
        return {key: _timed(part, clock) for key, part in item.items()}
    if isinstance(item, list):
        return [_timed(part, clock) for part in item]
    if isinstance(item, str):
        return _TIME.sub(lambda m: moved(clock, m[1] or "+0s"), item)
    return item


def _apply(world: World, patch: dict[str, Any]) -> None:
    if "object" in patch:
        _change_list(world.objects, [i for i in world.objects if _is(i, patch["object"], world.namespace)], patch)
    elif "copy" in patch:
        found = [i for i in world.objects if _is(i, patch["copy"], world.namespace)]
        if len(found) != 1:
            raise BadPatch(f"{len(found)} objects are {patch['copy']}")
        item = copy.deepcopy(found[0])
        item["metadata"]["name"] = patch["as"]
        item["metadata"].pop("uid", None)
        world.objects.append(merged(item, patch.get("merge", {})))
    elif "event" in patch:
        world.objects.append(_event(world, patch))
    elif "aws" in patch:
        _change_aws(world, patch)
    elif "targets" in patch:
        _set_targets(world, patch)
    elif "log" in patch:
        world.log += patch["log"].rstrip("\n") + "\n"
    elif "add" in patch:
        world.objects.append(copy.deepcopy(patch["add"]))
    else:
        raise BadPatch(f"a patch does nothing that is known: {patch}")


def _is(item: dict[str, Any], wanted: str, namespace: str) -> bool:
    kind, space, name = parse_object(wanted, namespace)
    metadata = item["metadata"]
    there = metadata.get("namespace", "")
    return item["kind"] == kind and there in ("", space) and fnmatch.fnmatchcase(metadata["name"], name)


def _change_list(everything: list[Any], found: list[Any], patch: dict[str, Any]) -> None:
    if not found:
        raise BadPatch(f"nothing is {patch.get('object') or patch.get('aws')} {patch.get('where', '')}")
    if patch.get("delete"):
        gone = {id(item) for item in found}
        everything[:] = [item for item in everything if id(item) not in gone]
        return
    if not set(patch) & {"merge", "json", "conditions", "container", "container_status", "endpoints"}:
        raise BadPatch(f"a patch changes nothing: {patch}")
    for item in found:
        _change_parts(item, patch)
        if "merge" in patch:
            changed = merged(item, patch["merge"])
            item.clear()
            item.update(changed)
        for operation in patch.get("json", ()):
            _operate(item, operation)


def _change_parts(item: dict[str, Any], patch: dict[str, Any]) -> None:
    """The parts of lists that a patch may name by what they are."""
    for kind, change in patch.get("conditions", {}).items():
        conditions = item["status"].setdefault("conditions", [])
        index = next((i for i, c in enumerate(conditions) if c["type"] == kind), len(conditions))
        conditions[index : index + 1] = [merged({"type": kind, **dict(*conditions[index : index + 1])}, change)]
    if "container" in patch:
        spec = item["spec"] if item["kind"] == "Pod" else item["spec"]["template"]["spec"]
        spec["containers"][0] = merged(spec["containers"][0], patch["container"])
    if "container_status" in patch:
        statuses = item["status"]["containerStatuses"]
        statuses[0] = merged(statuses[0], patch["container_status"])
    for pattern, change in patch.get("endpoints", {}).items():
        chosen = [i for i, e in enumerate(item["endpoints"]) if fnmatch.fnmatchcase(e["targetRef"]["name"], pattern)]
        if not chosen:
            raise BadPatch(f"no endpoint is {pattern}")
        for index in reversed(chosen):
            item["endpoints"][index : index + 1] = [merged(item["endpoints"][index], change)] if change else []


def _change_aws(world: World, patch: dict[str, Any]) -> None:
    records = world.aws.setdefault(patch["aws"], []) if "add" in patch else world.aws[patch["aws"]]
    if "add" in patch:
        records.append(copy.deepcopy(patch["add"]))
    elif "like" in patch:
        found = [r for r in records if _matches(r, patch["like"])]
        if not found:
            raise BadPatch(f"no {patch['aws']} is like {patch['like']}")
        records.append(merged(copy.deepcopy(found[0]), patch.get("merge", {})))
    else:
        _change_list(records, [r for r in records if _matches(r, patch.get("where", {}))], patch)


def _set_targets(world: World, patch: dict[str, Any]) -> None:
    where = {"Target.Id": patch["targets"], "TargetGroupArn": f"*:targetgroup/{patch.get('group', '*')}/*"}
    found = [r for r in world.aws["TargetHealth"] if _matches(r, where)]
    if not found:
        raise BadPatch(f"no target is {where}")
    for record in found:
        record["TargetHealth"] = {"State": patch["state"]}
        for key in ("reason", "description"):
            if key in patch:
                record["TargetHealth"][key.capitalize()] = patch[key]


def _matches(record: dict[str, Any], where: dict[str, Any]) -> bool:
    for path, pattern in where.items():
        value: Any = record
        for part in path.split("."):
            value = value.get(part, {}) if isinstance(value, dict) else {}
        if not fnmatch.fnmatchcase(str(value), str(pattern)):
            return False
    return True


def merged(item: Any, patch: Any) -> Any:
    """RFC 7386: mappings are merged, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(item) if isinstance(item, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _operate(item: Any, operation: dict[str, Any]) -> None:
    """RFC 6902: add, replace and remove."""
    *parts, last = [p.replace("~1", "/").replace("~0", "~") for p in operation["path"].strip("/").split("/")]
    for part in parts:
        item = item[int(part)] if isinstance(item, list) else item[part]
    value = copy.deepcopy(operation.get("value"))
    if operation["op"] == "remove":
        del item[int(last) if isinstance(item, list) else last]
    elif operation["op"] == "replace":
        key = int(last) if isinstance(item, list) else last
        item[key]  # It must be there.
        item[key] = value
    elif operation["op"] == "add":
        if isinstance(item, list):
            item.insert(len(item) if last == "-" else int(last), value)
        else:
            item[last] = value
    else:
        raise BadPatch(f"operation {operation['op']} is not known")


def _event(world: World, patch: dict[str, Any]) -> dict[str, Any]:
    kind, namespace, name = parse_object(patch["event"], world.namespace)
    found = [i for i in world.objects if _is(i, patch["event"], world.namespace)]
    when = moved(world.clock, f"-{patch.get('ago', '30s')}")
    number = sum(1 for i in world.objects if i["kind"] == "Event") + 1
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{number:016x}", "namespace": namespace, "creationTimestamp": when},
        "involvedObject": {
            "kind": kind,
            "namespace": namespace,
            "name": found[0]["metadata"]["name"] if found else name,
            "uid": found[0]["metadata"].get("uid", "") if found else "",
        },
        "type": patch.get("type", "Warning"),
        "reason": patch["reason"],
        "message": patch["message"],
        "firstTimestamp": when,
        "lastTimestamp": when,
        "count": patch.get("count", 1),
        "source": {"component": patch.get("component", "ingress")},
    }
