"""Lists as the API server gives them: selectors, and pages of one snapshot whose tokens expire.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
The words and the supported field labels are those of a 1.34 API server.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from tests.support.api_requests import Answer, Asked, refusal

Raw = dict[str, Any]

# --- Selectors ---

_EVERYWHERE = {"metadata.name", "metadata.namespace"}
_FIELDS = {
    ("", "pods"): _EVERYWHERE
    | {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    },
    ("", "nodes"): {"metadata.name", "spec.unschedulable"},
    ("", "namespaces"): {"metadata.name", "status.phase"},
    ("", "services"): _EVERYWHERE | {"spec.clusterIP", "spec.type"},
    ("", "secrets"): _EVERYWHERE | {"type"},
    ("", "events"): _EVERYWHERE
    | {"type", "reason", "source", "reportingComponent"}
    | {
        f"involvedObject.{name}"
        for name in ("kind", "name", "namespace", "uid", "apiVersion", "resourceVersion", "fieldPath")
    },
}

_KEY = r"(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<without>{_KEY})"
    rf"|(?P<key>{_KEY})\s*(?:(?P<operator>==|=|!=)\s*(?P<value>[A-Za-z0-9_.-]*)"
    rf"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*"
)


def by_labels(selector: str) -> Callable[[Raw], bool]:
    """Raises Answer (400) for a label selector that cannot be read."""
    terms = [_label_term(text) for text in re.split(r",(?![^()]*\))", selector) if selector]
    return lambda raw: all(term(raw["metadata"].get("labels") or {}) for term in terms)


def _label_term(text: str) -> Callable[[dict[str, str]], bool]:
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise refusal(400, "BadRequest", f"unable to parse requirement: found '{text}'")
    if found["absent"]:
        return lambda labels: found["without"] not in labels
    key = found["key"]
    if found["set"]:
        values = {value.strip() for value in found["values"].split(",")}
        return lambda labels: (key in labels and labels[key] in values) is (found["set"] == "in")
    if not found["operator"]:
        return lambda labels: key in labels
    return lambda labels: (labels.get(key) == found["value"]) is (found["operator"] != "!=")


def by_fields(asked: Asked, selector: str, custom: bool) -> Callable[[Raw], bool]:
    """Raises Answer (400) for a field selector that cannot be read, or for a field that the resource cannot be selected
    by. `custom`: a resource of a CustomResourceDefinition."""
    terms = []
    for text in selector.split(",") if selector else ():
        found = re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", text)
        if found is None:
            raise refusal(400, "BadRequest", f"invalid selector: '{selector}'; can't understand '{text}'")
        label, operator, value = found.groups()
        if label not in _FIELDS.get(asked.base, _EVERYWHERE):
            message = f"field label not supported: {label}"
            if asked.base not in _FIELDS and not custom:
                message = f'"{label}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            raise refusal(400, "BadRequest", message)
        terms.append((label, operator != "!=", value))
    return lambda raw: all((_field(raw, label) == value) is wanted for label, wanted, value in terms)


def _field(raw: Raw, label: str) -> str:
    value: Any = raw
    for key in {"source": "source.component"}.get(label, label).split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


# --- Pages ---

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
_NEWEST = -1
"""The revision in a token that lists on in the newest snapshot: what a 410 hands out."""


class Pages:
    """Cuts lists into pages and remembers the snapshots that unfinished ones belong to.

    `compacted`: etcd has forgotten everything but the newest revision, so that no token of a page is good any more.
    """

    def __init__(self) -> None:
        self.compacted = False
        self._snapshots: dict[tuple[int, str, str], list[Raw]] = {}

    def page(self, asked: Asked, newest: Callable[[], list[Raw]], revision: int) -> tuple[Raw, list[Raw]]:
        """`metadata` of the list, and its items; `newest` gives all that is selected as it is now, at `revision`.

        Raises Answer: 400 for a limit or token that cannot be read, 410 for a token that has expired.
        """
        limit, start = _limit(asked), ""
        token = asked.query.get("continue", "")
        version = asked.query.get("resourceVersion", "")
        if version not in ("", "0"):
            if token:
                raise refusal(400, "BadRequest", "specifying resource version is not allowed when using continue")
            raise Answer(501, "lists of an older revision are not played here\n")
        if version == "0" and not token:
            limit = 0  # served from the watch cache, which has no pages
        if token:
            asked_for, start = _read_token(token)
            if asked_for != _NEWEST:
                snapshot = self._snapshots.get((asked_for, *asked.base))
                if self.compacted or snapshot is None:
                    expired = refusal(410, "Expired", _TOO_OLD)
                    expired.body["metadata"]["continue"] = _write_token(_NEWEST, start)
                    raise expired
                return self._cut(asked, snapshot, start, limit, asked_for)
        return self._cut(asked, newest(), start, limit, revision)

    def _cut(self, asked: Asked, whole: list[Raw], start: str, limit: int, revision: int) -> tuple[Raw, list[Raw]]:
        left = [raw for raw in sorted(whole, key=_key) if _key(raw) >= start]
        items = left[:limit] if limit else left
        metadata: Raw = {"resourceVersion": str(revision)}
        if len(items) < len(left):
            self._snapshots.setdefault((revision, *asked.base), deepcopy(left))
            metadata["continue"] = _write_token(revision, _key(items[-1]) + "\0")
            if not asked.query.get("labelSelector") and not asked.query.get("fieldSelector"):
                metadata["remainingItemCount"] = len(left) - len(items)
        return metadata, items


def _limit(asked: Asked) -> int:
    text = asked.query.get("limit", "0")
    if not re.fullmatch(r"-?\d+", text):
        raise refusal(400, "BadRequest", f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _key(raw: Raw) -> str:
    """As etcd keeps it below the resource, and sorts by."""
    namespace = raw["metadata"].get("namespace")
    return f"{namespace}/{raw['metadata']['name']}" if namespace else str(raw["metadata"]["name"])


def _write_token(revision: int, start: str) -> str:
    document = {"v": "meta.k8s.io/v1", "rv": revision, "start": start}
    return base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        document = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(document["rv"]), str(document["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise refusal(400, "BadRequest", f"invalid continue token: continue key is not valid: {error}") from error


def watch_events(asked: Asked, items: Iterable[Raw], kind: str, version: str, revision: int) -> Iterable[Raw]:
    """A watch from "any" revision (0) of a world in which nothing happens: what there is, then a bookmark if wanted.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#watch-bookmarks
    """
    head = {"kind": kind, "apiVersion": version}
    for raw in items:
        yield {"type": "ADDED", "object": {**head, **raw}}
    if asked.query.get("allowWatchBookmarks") in ("1", "true"):
        metadata = {"resourceVersion": str(revision), "creationTimestamp": None}
        yield {"type": "BOOKMARK", "object": {**head, "metadata": metadata}}
