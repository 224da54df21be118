"""What is said of an object that does not exist: the names that it may have been meant to have, and where it is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.kinds import KINDS
from kubectl_lbdoctor.model.objects import ObjectRef

_SHOWN = 5
"""Names that a hint lists; a namespace may hold hundreds."""


def not_found(
    wanted: ObjectRef, names: Iterable[str], elsewhere: Iterable[str] = (), others: Iterable[str] = ()
) -> CouldNotRun:
    """names: those of its kind that are there. elsewhere: namespaces that hold one of its name. others: objects of
    other kinds with its name, as KIND/NAME."""
    known = sorted(names)
    near = difflib.get_close_matches(wanted.name, known, n=3, cutoff=0.6)
    spaces, same = sorted(elsewhere), sorted(others)
    kind = wanted.kind.lower()
    if near:
        hint = f"did you mean {' or '.join(f'{kind}/{name}' for name in near)}?"
    elif same:
        hint = f"did you mean {' or '.join(same)}?"
    elif spaces:
        hint = f"it is in namespace {_listed(spaces)}: choose it with -n"
    elif known:
        hint = f"there is: {_listed([f'{kind}/{name}' for name in known])}"
    else:
        hint = f"look in all namespaces: kubectl get {KINDS[wanted.kind].singular} -A"
    where = f' in namespace "{wanted.namespace}"' if wanted.namespace else ""
    return CouldNotRun(f'{wanted.kind} "{wanted.name}" not found{where}', hint)


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
