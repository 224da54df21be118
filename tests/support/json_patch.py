"""JSON patches as the API server makes them: all of a patch or nothing."""

from __future__ import annotations

from typing import Any

from tests.support.api_requests import refusal


def operate(document: dict[str, Any], operation: dict[str, Any]) -> None:
    """One operation (RFC 6902), of those that are sent. Raises Answer (422) where it cannot be made, or where what a
    `test` says does not hold: the API server does not say which."""
    *parents, last = [s.replace("~1", "/").replace("~0", "~") for s in operation["path"].split("/")[1:]]
    place: Any = document
    try:
        for segment in parents:
            place = place[int(segment)] if isinstance(place, list) else place[segment]
        key: Any = int(last) if isinstance(place, list) else last
        if operation["op"] == "test":
            if place[key] != operation["value"] or type(place[key]) is not type(operation["value"]):
                raise KeyError(last)
        elif operation["op"] == "remove":
            del place[key]
        elif operation["op"] == "replace":
            place[key]  # it has to be there
            place[key] = operation["value"]
        else:
            place[key] = operation["value"]
    except (KeyError, IndexError, TypeError) as error:
        said = "the server rejected our request due to an error in our request"
        raise refusal(422, "Invalid", said, {}) from error
