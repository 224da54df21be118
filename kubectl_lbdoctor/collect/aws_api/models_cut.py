"""Cuts botocore's descriptions of AWS services down to the operations that the plugin declares.

    python -m kubectl_lbdoctor.collect.aws_api.models_cut [FOLDER]

Run when the plugin is packaged, beside the botocore that goes with it (setup.py, Makefile); never by the plugin itself.
STS, which botocore asks for credentials by more operations than ours, is left whole.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

from kubectl_lbdoctor.collect.aws_api.models import CUT, RELEASE
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.group_edits import GROUP_WRITES
from kubectl_lbdoctor.model.plan import AWS_WRITES

Json = dict[str, Any]

_MODEL = "service-2"


def declared() -> dict[str, frozenset[str]]:
    """The operations of each service that is cut: every read, and the writes of the fixes with their inverses."""
    calls = [tuple(read.split(":")) for read in sorted(reads.AWS)]
    calls += [("ec2", operation) for pair in AWS_WRITES.items() for operation in pair]
    calls += [("elbv2", operation) for operation in GROUP_WRITES]
    return {name: frozenset(op for service, op in calls if service == name) for name, _ in calls}


def cut(model: Mapping[str, Any], operations: Iterable[str]) -> Json:
    """A service's model with these operations, the shapes that they lead to, and no documentation.

    Raises KeyError for an operation that the service does not have.
    """
    kept = {name: _undocumented(model["operations"][name]) for name in sorted(operations)}
    shapes: Json = {}
    waiting = sorted(_named(kept))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = _undocumented(model["shapes"][name])
            waiting += sorted(_named(shapes[name]))
    rest = {key: value for key, value in model.items() if key not in ("operations", "shapes", "documentation")}
    return {**rest, "operations": kept, "shapes": shapes}


def write(folder: Path) -> None:
    """Replace the folder by cut models of the botocore that is installed."""
    shutil.rmtree(folder, ignore_errors=True)
    loader = Loader()
    for service, operations in declared().items():
        version = loader.determine_latest_version(service, _MODEL)
        place = folder / service / version / f"{_MODEL}.json"
        place.parent.mkdir(parents=True)
        model = cut(loader.load_service_model(service, _MODEL, version), operations)
        place.write_text(json.dumps(model, separators=(",", ":")), encoding="utf-8")
    # Last: a folder without it is not used.
    (folder / RELEASE).write_text(f"{botocore.__version__}\n", encoding="utf-8")


def _undocumented(value: Any) -> Any:
    """The value without the keys that hold documentation; members of a structure may have that name, too."""
    if isinstance(value, list):
        return [_undocumented(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _undocumented(item) for key, item in value.items() if key != "documentation" or not isinstance(item, str)
    }


def _named(value: Any) -> set[str]:
    """The names of the shapes that a piece of a model refers to."""
    if isinstance(value, list):
        return set().union(*map(_named, value))
    if not isinstance(value, dict):
        return set()
    own = {value["shape"]} if isinstance(value.get("shape"), str) else set()
    return own.union(*map(_named, value.values()))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else CUT)
