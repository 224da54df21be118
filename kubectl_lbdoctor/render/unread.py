"""What was not read, in the last lines of a screen: one line for each set of permissions that go together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.model.finding import Coverage, Denied
from kubectl_lbdoctor.render.text import clean

# "list pods in namespace shop", "get pods/proxy in namespace shop", "list nodes (cluster)"
_RBAC = re.compile(r"(?P<verb>\S+) (?P<resource>\S+) (?P<scope>in namespace \S+|\(cluster\))")
_IAM = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")


def lines(coverage: Coverage, wide: bool) -> Iterator[str]:
    """All that is not known of the reads, with what to add. wide: everything that was not asked."""
    yield from _denied(coverage.denied)
    for failed in coverage.failed:
        yield clean(f"LBD002 not read: {failed.read}: {failed.error}")
    for part in coverage.partial:
        yield clean(f"LBD002 read in part: {part.read}: {part.error}")
    for missing in coverage.not_asked if wide else coverage.not_asked[:1]:
        yield clean(f"LBD004 not asked: {missing}")


def policies(coverage: Coverage) -> str:
    """The command that prints all permissions of the side that has denied something; "" where none has."""
    sides = ["iam"] * any(map(_in_aws, coverage.denied)) + ["rbac"] * (not all(map(_in_aws, coverage.denied)))
    return f"all permissions that are read with: kubectl lbdoctor policy {'|'.join(sides)}" if sides else ""


def _denied(denied: Sequence[Denied]) -> Iterator[str]:
    """Denied reads, those of one verb and one place together, and those of AWS together."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for entry in denied:
        found = _RBAC.fullmatch(entry.permission)
        if found is not None:
            key, what = (found["verb"], found["scope"]), found["resource"]
        elif _in_aws(entry):
            key, what = ("", "in AWS"), entry.permission
        else:
            key, what = ("", entry.permission), entry.permission
        groups.setdefault(key, []).append((entry.read, what))
    for (verb, scope), entries in groups.items():
        reads = ", ".join(dict.fromkeys(read for read, _ in entries))
        wanted = tuple(dict.fromkeys(what for _, what in entries))
        permission = ", ".join(wanted) if not verb else f"{verb} {', '.join(wanted)} {scope}"
        word = "permission" if len(wanted) == 1 else "permissions"
        yield clean(f"LBD001 not read: {reads} denied; add {word}: {permission}")


def _in_aws(denied: Denied) -> bool:
    return _IAM.fullmatch(denied.permission) is not None
