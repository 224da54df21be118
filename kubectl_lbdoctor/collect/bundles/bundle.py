"""`--save` and `--from`: a snapshot as a file, redacted, to diagnose again without cluster and AWS."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.collect.bundles import file as bundle_file
from kubectl_lbdoctor.collect.bundles.cuts import with_cuts
from kubectl_lbdoctor.collect.fields import NotUnderstood
from kubectl_lbdoctor.collect.names import check_names
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.api_path import is_label, is_subdomain
from kubectl_lbdoctor.model.codec import CodecError, from_json
from kubectl_lbdoctor.model.kinds import SUBJECTS
from kubectl_lbdoctor.model.snapshot import SCHEMA, Snapshot

KIND = "lbdoctor-bundle"


def save(snapshot: Snapshot, path: Path) -> None:
    """Write the redacted snapshot (gzip when the name ends in .gz) as `bundle_file.write` does.

    Raises CouldNotRun when it cannot be written.
    """
    import orjson

    from kubectl_lbdoctor.collect.bundles.content import content

    document = {"kind": KIND, "schema": SCHEMA, "tool": __version__, "snapshot": content(snapshot)}
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    bundle_file.write(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def load(path: Path) -> Snapshot:
    """Read a bundle. Raises CouldNotRun, saying what is wrong: no such file, not a bundle, cut off, a newer schema."""
    import orjson

    data = bundle_file.read(path)
    if not data.strip():
        raise CouldNotRun(f"the bundle {path} is empty", "save it again with --save")
    try:
        document: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        started = data.lstrip()[:1] == b"{" and KIND.encode() in data[:400]
        what = "is cut off or damaged" if started else "is not a bundle: no JSON"
        raise CouldNotRun(f"the file {path} {what} ({error})", "save it again with --save") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise CouldNotRun(f"the file {path} is not a bundle of kubectl lbdoctor", "make one with --save FILE")
    schema = document.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise CouldNotRun(
            f"the bundle {path} has schema {schema}, this version {__version__} reads up to {SCHEMA}",
            f"it was made by version {document.get('tool', '?')}: upgrade kubectl lbdoctor",
        )
    try:
        snapshot: Snapshot = from_json(Snapshot, document.get("snapshot"))
    except CodecError as error:
        raise CouldNotRun(f"the bundle {path} cannot be read: {error}", "save it again with this version") from error
    for subject in snapshot.subjects:
        if subject.kind not in {kind.name for kind in SUBJECTS}:
            raise CouldNotRun(
                f"the bundle {path} is about a {subject.kind}, which this version {__version__} does not know",
                f"it was made by version {document.get('tool', '?')}: upgrade kubectl lbdoctor",
            )
    try:
        _check_names(snapshot)
    except NotUnderstood as error:
        raise CouldNotRun(
            f"the bundle {path} is refused: {error}", "no cluster and no AWS account has such a name: it was edited"
        ) from error
    return with_cuts(snapshot)


def _check_names(snapshot: Snapshot) -> None:
    """Raise NotUnderstood for a name that no API has, and that no command for people may be made of."""
    for subject in snapshot.subjects:
        if not is_label(subject.namespace) or not is_subdomain(subject.name):
            raise NotUnderstood(f"subjects: {str(subject)[:64]!r} is no name")
    for namespace in snapshot.namespaces:
        if not is_label(namespace):
            raise NotUnderstood(f"namespaces: {namespace[:64]!r} is no name")
    check_names(snapshot)
