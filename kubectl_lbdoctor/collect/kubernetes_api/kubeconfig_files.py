"""Kubeconfig files as data: read, checked and merged by client-go's rules. Knows nothing of clusters or credentials."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubectl_lbdoctor.collect import given_file
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.record import record


@record
class Entry:
    """One named cluster, context or user, and the file that it came from (relative paths start there)."""

    name: str
    value: dict[str, Any]
    path: Path


@dataclass
class Kubeconfig:
    """All files as one, by client-go's rule: the first file that names an entry or a current context wins."""

    contexts: dict[str, Entry] = field(default_factory=dict)
    clusters: dict[str, Entry] = field(default_factory=dict)
    users: dict[str, Entry] = field(default_factory=dict)
    current_context: str = ""
    files: list[Path] = field(default_factory=list)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one is 10 times faster
    """Safe YAML without timestamps: kubectl reads `token: 2024-01-01` as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def merge(paths: Iterable[Path], must_exist: bool = False) -> Kubeconfig:
    """Read and merge kubeconfig files. Missing ones are skipped, as kubectl does, unless `must_exist`.

    Raises CouldNotRun for a file that cannot be read or is not a kubeconfig, naming it.
    """
    config = Kubeconfig()
    for path in paths:
        document = _read(path, must_exist)
        if document is None:
            continue
        config.files.append(path)
        current = document.get("current-context")
        config.current_context = config.current_context or text_of(current)
        for section, key, into in (
            ("contexts", "context", config.contexts),
            ("clusters", "cluster", config.clusters),
            ("users", "user", config.users),
        ):
            for name, entry in _entries(document, section, key, path).items():
                into.setdefault(name, entry)
    return config


def _read(path: Path, must_exist: bool) -> dict[str, Any] | None:
    try:
        content = given_file.read(path).decode("utf-8")
    except FileNotFoundError:
        if must_exist:
            raise CouldNotRun(f"the kubeconfig {path} does not exist", "check --kubeconfig") from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
        raise CouldNotRun(
            f"the kubeconfig {path} cannot be read: {reason}", f"check it with: ls -l {shlex.quote(str(path))}"
        ) from error
    hint = f"check it with: kubectl config view --kubeconfig {shlex.quote(str(path))}"
    try:
        document = _first_document(content)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise CouldNotRun(f"the kubeconfig {path} is not valid YAML: {problem}{where}", hint) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise CouldNotRun(f"{path} is not a kubeconfig: it holds no key like clusters or contexts", hint)
    kind, version = text_of(document.get("kind")) or "Config", text_of(document.get("apiVersion")) or "v1"
    if (kind, version) != ("Config", "v1"):
        raise CouldNotRun(f"{path} is not a kubeconfig: it is a {kind} of {version}, not a Config of v1", hint)
    return document


def _first_document(content: str) -> object:
    """The first YAML document of a file; what follows it is not looked at, as in kubectl."""
    loader = _Loader(content)
    try:
        return loader.get_data()
    finally:
        loader.dispose()


def _entries(document: dict[str, Any], section: str, key: str, path: Path) -> dict[str, Entry]:
    """One section of one file by name."""
    found: dict[str, Entry] = {}
    items = document.get(section) or []
    problem = "" if isinstance(items, list) else f"{section} is not a list"
    for item in items if not problem else ():
        value = item.get(key) if isinstance(item, dict) else None
        name = text_of(item.get("name")) if isinstance(item, dict) else ""
        if not name:
            problem = f"an entry of {section} has no name"
        elif not isinstance(value if value is not None else {}, dict):
            problem = f"{section} entry {name!r} is not a mapping"
        elif name in found:
            problem = f"{section} holds the name {name!r} twice"
        else:
            found[name] = Entry(name, {k: v for k, v in (value or {}).items() if v not in (None, "")}, path.absolute())
    if problem:
        raise CouldNotRun(
            f"{path} is not a usable kubeconfig: {problem}",
            f"check it with: kubectl config view --kubeconfig {shlex.quote(str(path))}",
        )
    return found


def text_of(value: object) -> str:
    """A YAML scalar as kubectl takes it where it expects text: an unquoted number or boolean is still a name."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def texts_of(value: object) -> list[str]:
    return [text_of(item) for item in value] if isinstance(value, list) else []


def exec_env(section: Mapping[str, Any]) -> dict[str, str]:
    """The variables of an exec section: a list of {name, value}, which may be null."""
    items = section.get("env")
    pairs = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {text_of(item.get("name")): text_of(item.get("value")) for item in pairs if item.get("name")}


def view_hint(entry: Entry) -> str:
    return f"check it with: kubectl config view --kubeconfig {shlex.quote(str(entry.path))}"
