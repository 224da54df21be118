"""Manifests of the command line (`-f`): files, directories and standard input, as the objects that they hold.

As kubectl reads them: YAML with several documents, JSON, and lists of objects; of a directory the files that end in
.yaml, .yml or .json, with -R those below as well.
https://kubernetes.io/docs/reference/kubectl/generated/kubectl_apply/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.model.asked import Manifest
from kubectl_lbdoctor.model.kinds import KINDS, Kind

_ENDINGS = (".yaml", ".yml", ".json")
_MOST = 64 * 1024 * 1024
"""Bytes of one file: many times what an API server takes in all objects of an application."""


def read(places: Iterable[str], recursive: bool, stdin: TextIO | None) -> tuple[Manifest, ...]:
    """The objects of kinds that are known here, in their order; others (ConfigMaps…) have no part in a diagnosis.

    Raises UsageError for a place that cannot be read, for what is no manifest, and where there is nothing known.
    """
    found: list[Manifest] = []
    other: dict[str, None] = {}
    for place, text in _texts(places, recursive, stdin):
        for raw in _objects(text, place):
            kind = _kind(raw)
            if kind is None:
                other[str(raw.get("kind"))] = None
            elif not isinstance(raw.get("metadata"), dict) or not raw["metadata"].get("name"):
                raise UsageError(f"{place}: a {kind.name} has no metadata.name")
            else:
                found.append(Manifest(kind, raw, place))
    if not found:
        where, held = ", ".join(places), ", ".join(other) or "no object"
        raise UsageError(f"{where}: nothing that a load balancer is made for or leads to; it holds {held}")
    return tuple(found)


def _texts(places: Iterable[str], recursive: bool, stdin: TextIO | None) -> Iterator[tuple[str, str]]:
    for place in places:
        if place == "-":
            if stdin is None or stdin.isatty():
                raise UsageError("-f - reads standard input, which is a terminal", "kubectl lbdoctor -f FILE")
            yield "standard input", stdin.read(_MOST)
        elif place.startswith(("http://", "https://")):
            raise UsageError("-f reads files, not URLs", f"curl -sSL {place} | kubectl lbdoctor -f -")
        else:
            yield from ((str(path), _text(path)) for path in _files(place, recursive))


def _files(place: str, recursive: bool) -> list[Path]:
    path = Path(place)
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # A name that is too long.
        raise UsageError(f"cannot read the manifest {path}: {error.strerror or error}") from error
    if is_folder:
        inside = path.rglob("*") if recursive else path.glob("*")
        found = sorted(entry for entry in inside if entry.suffix in _ENDINGS and entry.is_file())
        if not found:
            deeper = "" if recursive else "; directories below are read with -R"
            raise UsageError(f"{place} holds no file that ends in {', '.join(_ENDINGS)}{deeper}")
        return found
    if not is_there and any(mark in place for mark in "*?["):
        # kubectl takes patterns, for which a shell would need no help if they were not quoted.
        found = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor) if path.anchor else path)))
        if found:
            return found
    return [path]


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(_MOST)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"cannot read the manifest {path}: {reason}") from error


def _objects(text: str, place: str) -> Iterator[dict[str, Any]]:
    import yaml

    try:
        documents = list(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, RecursionError) as error:
        at = getattr(error, "problem_mark", None)
        line = f" in line {at.line + 1}" if at is not None else ""
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise UsageError(f"{place} cannot be read{line}: {problem}") from error
    for document in documents:
        if document is not None:
            try:
                _check_finite(document, set(), set())
            except (RecursionError, ValueError) as error:
                raise UsageError(
                    f"{place} is no manifest: a value in it holds itself, or is nested too deeply"
                ) from error
            yield from _flat(document, place)


def _check_finite(value: Any, above: set[int], done: set[int]) -> None:
    """Raise ValueError for a value that holds itself, as an alias of YAML can make it."""
    if not isinstance(value, (dict, list)) or id(value) in done:
        return
    if id(value) in above:
        raise ValueError("it holds itself")
    above.add(id(value))
    for inner in value.values() if isinstance(value, dict) else value:
        _check_finite(inner, above, done)
    above.remove(id(value))
    done.add(id(value))


def _flat(document: Any, place: str) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise UsageError(f"{place} is no manifest: a document in it has no kind")
    if document["kind"].endswith("List") and isinstance(document.get("items"), list):
        item_kind = document["kind"].removesuffix("List")
        for item in document["items"]:
            # Items of typed lists carry no kind.
            named = (
                {"kind": item_kind, "apiVersion": document.get("apiVersion"), **item}
                if isinstance(item, dict)
                else item
            )
            yield from _flat(named, place)
        return
    yield document


_TAKEN = tuple(kind for kind in KINDS.values() if not kind.in_aws and kind.name not in ("Secret", "Event", "Node"))


def _kind(raw: dict[str, Any]) -> Kind | None:
    group = str(raw.get("apiVersion") or "").rpartition("/")[0]
    return next((kind for kind in _TAKEN if kind.name == raw["kind"] and kind.group == group), None)
