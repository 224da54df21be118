"""What is asked of the API server, in RBAC's terms, and what ends a request other than with an object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request. `version` is that of the path, `name` "" for a whole collection, `query` without repeated keys."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    query: dict[str, str] = field(default_factory=dict)
    version: str = ""

    @property
    def base(self) -> tuple[str, str]:
        """Group and resource without what is below the object: ("", "pods") for "pods/log"."""
        return self.group, self.resource.partition("/")[0]

    @property
    def full_resource(self) -> str:
        """ "pods", "deployments.apps": as messages write it."""
        return f"{self.base[1]}.{self.group}" if self.group else self.base[1]


def parse(verb: str, path: str, query: dict[str, str]) -> Asked:
    """`verb` "get" becomes "list" (or "watch") for a collection, "discover" for an API group. Raises
    Answer (404) for a path that is neither."""
    parts = path.strip("/").split("/")
    core = parts[0] == "api"
    if len(parts) == 2 and parts[0] == "apis":
        return Asked("discover", parts[1], "", "", "", query)
    if len(parts) < (3 if core else 4) or parts[0] not in ("api", "apis"):
        raise no_such_path()
    group, version, rest = ("", parts[1], parts[2:]) if core else (parts[1], parts[2], parts[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    if verb == "get" and not name:
        verb = "watch" if query.get("watch") in ("1", "true") else "list"
    return Asked(verb, group, "/".join([rest[0], *rest[2:]]), namespace, name, query, version)


def rbac_resource(resource: str) -> str:
    """What is behind a proxied pod is no part of the resource."""
    return "pods/proxy" if resource.startswith("pods/proxy/") else resource


class Answer(Exception):
    """Raised to end a request: status, document or text, headers."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(status)
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def no_such_path() -> Answer:
    """Nothing serves the path: no such group, or no such resource of a custom one."""
    return Answer(404, "404 page not found\n", Content_Type="text/plain; charset=utf-8")


def refusal(code: int, reason: str, message: str, details: dict[str, Any] | None = None, **headers: str) -> Answer:
    """A Status as the API server refuses with."""
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    more = {} if details is None else {"details": details}
    return Answer(code, {**document, "reason": reason, **more, "code": code}, **headers)


def about(asked: Asked) -> dict[str, str]:
    """The `details` of a Status: what the request was about."""
    found = {"name": asked.name, "group": asked.group, "kind": asked.base[1]}
    return {key: value for key, value in found.items() if value}


def not_found(asked: Asked) -> Answer:
    return refusal(404, "NotFound", f'{asked.full_resource} "{asked.name}" not found', about(asked))
