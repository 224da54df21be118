"""`-o custom-columns=…` and `-o custom-columns-file=…`, by kubectl's rules.

A specification is HEADER:PATH with commas between; a file has a line of headers over a line of paths. A path is a
JSONPath whose braces and first dot may be left out. Several values of a path stand in one cell with commas between,
none is `<none>`. Source: https://kubernetes.io/docs/reference/kubectl/#custom-columns. What a path finds is
kubectl's own answer (`render.kubectl_printer`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.render import kubectl_printer
from kubectl_lbdoctor.render.text import clean

_PATH = re.compile(r"\{\.?([^{}]+)\}|\.?([^{}]+)")
_LEAST, _BETWEEN = 6, 3
"""Of kubectl's tables: columns that a cell takes at least, and spaces behind the longest one."""


class _Column(NamedTuple):
    header: str
    path: str


def check(output: str) -> None:
    """Raise UsageError for a specification that is none, CouldNotRun where there is no kubectl."""
    _values({"apiVersion": "lbdoctor/v1", "kind": "Report"}, _columns(output))


def rendered(rows: Iterable[Mapping[str, Any]], output: str, headers: bool) -> str:
    """A table with a row for each document. Raises UsageError as `check` does."""
    columns = _columns(output)
    lines = [[column.header for column in columns]] if headers else []
    lines += [[_cell(found) for found in _values(row, columns)] for row in rows]
    return _aligned(lines)


def _columns(output: str) -> list[_Column]:
    name, _, specification = output.partition("=")
    if name == "custom-columns-file":
        return _from_file(Path(specification))
    columns = []
    for part in specification.split(","):
        header, colon, path = part.partition(":")
        if not colon:
            raise UsageError(f"unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>")
        columns.append(_Column(header, _relaxed(path)))
    return columns


def _from_file(path: Path) -> list[_Column]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"error reading template {path}, {error}") from error
    if len(lines) < 2:
        raise UsageError(f"{path}: a line of headers over a line of paths is expected, with spaces between")
    headers, paths = lines[0].split(), lines[1].split()
    if len(headers) != len(paths):
        raise UsageError(f"{path}: number of headers ({len(headers)}) and paths ({len(paths)}) don't match")
    return [_Column(header, _relaxed(text)) for header, text in zip(headers, paths, strict=True)]


def _relaxed(text: str) -> str:
    match = _PATH.fullmatch(text)
    if match is None:
        raise UsageError(f'unexpected path "{text}": write name.name, .name.name or {{.name.name}}')
    return f"{{.{match[1] or match[2]}}}"


def _values(row: Mapping[str, Any], columns: Sequence[_Column]) -> list[list[Any]]:
    """What each path finds: kubectl prints one list of values for each part of a template in braces."""
    text = kubectl_printer.printed(row, "jsonpath-as-json=" + "".join(column.path for column in columns))
    decoder, found, position = json.JSONDecoder(), [], 0
    for _ in columns:
        value, end = decoder.raw_decode(text, position)
        position = re.compile(r"\s*").match(text, end).end()  # type: ignore[union-attr]
        found.append(value)
    return found


def _cell(values: list[Any]) -> str:
    return ",".join(clean(_in_go(value)) for value in values) if values else "<none>"


def _in_go(value: Any) -> str:
    """A value as Go prints it, which is what kubectl fills a cell with: map[a:1], [x y], <nil>.

    Source: "%v" of https://pkg.go.dev/fmt.
    """
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{_in_go(value[name])}' for name in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_in_go, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    widths = [max(max(map(len, column)) + _BETWEEN, _LEAST) for column in zip(*lines, strict=True)]
    return "".join(
        "".join([*(cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)), line[-1]]) + "\n"
        for line in lines
    )
