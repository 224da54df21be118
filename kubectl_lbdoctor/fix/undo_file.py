"""The undo file of a fix: written before anything is changed, kept true after every step.

It says what was written and where, and nothing in words: those are made anew from the edits when it is read, the
inverse of a call from the call (`analysis.change_shapes`). A digest over its content tells one that was damaged or
edited; whoever edits it on purpose can renew that, so that what the file says is held against what fixes write all the
same, and a file that does not fit is refused whole.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
import re
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.analysis.change_shapes import NoSuchShape, made_anew
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.fix import private_file
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.api_path import is_label, is_subdomain
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.codec import CodecError, from_json, to_json
from kubectl_lbdoctor.model.group_edits import GroupAddress
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import AWS_WRITES, AwsWrite, Change, Edit, Step
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.record import record

KIND = "lbdoctor-undo"
SCHEMA = 2

MAX_BYTES = 4 << 20
"""A fix of a thousand steps has a tenth of it."""
MAX_STEPS = 10_000

_TIME = re.compile(r"[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z")
_UID = re.compile(r"[!-~]{1,128}")
_FIX = re.compile(r"[a-z][a-z0-9-]{0,63}")
_CODE = re.compile(r"LBD[0-9]{3}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z0-9]+)+")


@record
class Origin:
    """Where an undo file was written: the machine, the user there and the path."""

    host: str = ""
    user: str = ""
    path: str = ""


@record
class UndoFile:
    """One fix: where it was made, for which objects, and how far it came. made_at, undone_at: RFC 3339, undone_at ""
    where it was not undone. origin: where the file was written, as it says."""

    made_at: str
    context: Context
    subjects: tuple[ObjectRef, ...]
    steps: tuple[StepRun, ...]
    undone_at: str = ""
    origin: Origin = field(default_factory=Origin, compare=False)


@record
class _Call:
    """A call in EC2."""

    operation: str
    params: dict[str, object]


_Spec = dict[str, object]


@record
class _Kept:
    """What the file holds of a step: all that its undoing needs, and no words."""

    fix: str
    code: str
    object: ObjectRef
    state: StepState
    uid: str = ""
    edits: tuple[Edit, ...] = ()
    restart: bool = False
    call: _Call | None = None
    group: GroupAddress | None = None
    creates: _Spec | None = None


@record
class _Document:
    """The content of the file that the digest is about."""

    made_at: str
    context: Context
    subjects: tuple[ObjectRef, ...]
    steps: tuple[_Kept, ...]
    origin: Origin
    undone_at: str = ""


class _DoesNotFit(ValueError):
    """What is wrong with a file, in half a sentence."""


def check(context: Context, runs: tuple[StepRun, ...]) -> None:
    """Raise CouldNotRun for steps that could not be taken back from a file: what cannot be told apart later, in which
    account, on which object, must not be changed now."""
    for run in runs:
        change = run.step.change
        try:
            made_anew(change, context.region)
        except NoSuchShape as error:
            raise CouldNotRun(
                f"nothing was changed: {change.object}: {change.field} cannot become {change.then}, "
                f"because an undo file has no place for {error}",
                "choose a value that the field can have",
            ) from error
        if change.in_aws and not _is_aws_place(context):
            raise CouldNotRun(
                f"{change.object} is not changed, because nothing says in which account and region of AWS it is",
                "name the region with --region",
            )
        if not change.in_aws and change.creates is None and not _UID.fullmatch(run.uid):
            raise CouldNotRun(f"{change.object} is not changed, because it has no uid to know it by later")


def place(chosen: str, now: str) -> Path:
    """Where the file of a fix goes: `chosen` names a file that is not there yet, or a directory; "" is the current one.

    Raises CouldNotRun where something else is there, a link included.
    """
    try:
        return _place(Path(chosen), chosen, now)
    except OSError as error:  # A name that is too long, or a folder that may not be looked into.
        raise CouldNotRun(
            f"cannot write the undo file {chosen}: {error.strerror or error}; nothing is changed without it", _ELSEWHERE
        ) from error


def _place(path: Path, chosen: str, now: str) -> Path:
    if chosen and (path.is_symlink() or not path.is_dir()):
        if path.is_symlink():
            raise CouldNotRun(f"{path} is a symbolic link; an undo file follows none", _ELSEWHERE)
        if path.exists():
            what = "the undo file {} exists already" if path.is_file() else "{} is no regular file"
            raise CouldNotRun(what.format(path), _ELSEWHERE)
        return path
    stem, number = f"lbdoctor-undo-{now.replace('-', '').replace(':', '')}", 1
    while (found := path / f"{stem}{f'-{number}' if number > 1 else ''}.json").exists() or found.is_symlink():
        number += 1
    return found


_ELSEWHERE = "choose another place with --undo-file FILE"


def begin(content: UndoFile, chosen: str, now: str) -> Path:
    """Write a new file at the place for it, as `place` and `save` do, and give its path. Another fix may take the same
    name in the same second: then the next one is taken."""
    while True:
        path = place(chosen, now)
        with suppress(_NameTaken):
            save(content, path, new=True)
            return path


class _NameTaken(CouldNotRun):
    """A file has come to be there since its place was looked at."""


def save(content: UndoFile, path: Path, new: bool = False) -> None:
    """Write it whole or not at all, readable by its owner only. new: refuse where something is there already.

    Raises CouldNotRun when it cannot be written. Who owns an object, and why a step was made, is not kept.
    """
    origin = content.origin if content.origin.path else _here(path)
    kept = _Document(
        content.made_at,
        content.context,
        content.subjects,
        tuple(map(_kept, content.steps)),
        origin,
        content.undone_at,
    )
    fix = to_json(kept)
    document = {"kind": KIND, "schema": SCHEMA, "tool": __version__, "fix": fix, "digest": digest(fix)}
    try:
        private_file.write(path, json.dumps(document, indent=2).encode() + b"\n", new)
    except OSError as error:
        refusal = _NameTaken if isinstance(error, FileExistsError) else CouldNotRun
        raise refusal(
            f"cannot write the undo file {path}: {error.strerror or error}; nothing more is changed without it",
            "choose a place for it with --undo-file FILE",
        ) from error


def load(path: Path) -> UndoFile:
    """Read an undo file. Raises CouldNotRun, saying what is wrong with it."""
    try:
        document: Any = json.loads(private_file.read(path, MAX_BYTES))
    except OSError as error:
        raise CouldNotRun(f"cannot read the undo file {path}: {error.strerror or error}") from error
    except RecursionError as error:
        raise CouldNotRun(f"the file {path} is no undo file: its brackets are nested too deeply") from error
    except ValueError as error:
        raise CouldNotRun(f"the file {path} is no undo file, or is cut off: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise CouldNotRun(f"the file {path} is not an undo file of kubectl lbdoctor")
    schema = document.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        shown = schema if isinstance(schema, int) else "none that is a number"
        raise CouldNotRun(
            f"the undo file {path} has schema {shown}, this version {__version__} reads schema {SCHEMA}",
            "use the version of kubectl lbdoctor that wrote it",
        )
    try:
        if set(document) != {"kind", "schema", "tool", "fix", "digest"}:
            raise _DoesNotFit("its parts are not those of an undo file")
        if document["digest"] != digest(document["fix"]):
            raise _DoesNotFit("its digest does not fit its content: it was damaged, or edited by hand")
        return _content(from_json(_Document, document["fix"]))
    except (_DoesNotFit, CodecError, RecursionError) as error:
        what = "its brackets are nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CouldNotRun(
            f"the undo file {path} is refused, and nothing was taken back: {what}",
            "take the change back by hand, or fetch the file that the fix wrote",
        ) from error


def digest(fix: object) -> str:
    """The digest of a file's content: SHA-256 over its JSON with sorted keys and no spaces."""
    text = json.dumps(fix, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def written_elsewhere(content: UndoFile, path: Path) -> str:
    """Where the file says that it was written, in words; "" where that is here."""
    origin, here = content.origin, _here(path)
    if (origin.host, origin.path) == (here.host, here.path):
        return ""
    return f"{origin.path} on {origin.host} by {origin.user or 'an unknown user'}"


def _here(path: Path) -> Origin:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # A user id without a name, as containers have it.
        user = ""
    return Origin(platform.node() or "localhost", user, str(path.absolute()))


def kept(run: StepRun) -> dict[str, Any]:
    """What a file holds of a step, as JSON: all that is written and what it replaces, and no words."""
    found: dict[str, Any] = to_json(_kept(run))
    return found


def _kept(run: StepRun) -> _Kept:
    change = run.step.change
    call = _Call(change.aws.operation, dict(change.aws.params)) if change.aws is not None else None
    return _Kept(
        run.step.fix,
        run.step.code,
        change.object,
        run.state,
        run.uid,
        change.edits,
        change.restart,
        call,
        change.group,
        dict(change.creates) if change.creates is not None else None,
    )


# --- What a file may say ----------------------------------------------------------------------------------------------


def _content(document: _Document) -> UndoFile:
    """The fix of a file. Raises _DoesNotFit for what no fix writes into one."""
    if not _TIME.fullmatch(document.made_at) or not _TIME.fullmatch(document.undone_at or document.made_at):
        raise _DoesNotFit("it does not say when the fix was made")
    if not document.context.server:
        raise _DoesNotFit("it does not say in which cluster the fix was made")
    if not document.origin.path or not document.origin.host:
        raise _DoesNotFit("it does not say where it was written")
    if not 1 <= len(document.steps) <= MAX_STEPS:
        raise _DoesNotFit("it has no steps" if not document.steps else "it has too many steps")
    texts = [
        *(document.context.server, document.context.kube_context),
        *(document.origin.host, document.origin.user, document.origin.path),
    ]
    if not all(map(_is_utf8, texts)):
        raise _DoesNotFit("it holds text that is no Unicode")
    subjects = {kind.name for kind in kinds.SUBJECTS}
    for ref in document.subjects:
        if ref.kind not in subjects or not is_label(ref.namespace) or not is_subdomain(ref.name):
            raise _DoesNotFit("it names an object that no fix is for")
    runs = tuple(_run(kept, number, document.context) for number, kept in enumerate(document.steps, 1))
    return UndoFile(document.made_at, document.context, document.subjects, runs, document.undone_at, document.origin)


def _run(kept: _Kept, number: int, context: Context) -> StepRun:
    aws = None
    if kept.call is not None:
        if kept.call.operation not in AWS_WRITES:
            raise _DoesNotFit(f"step {number} is no change that a fix makes: the call in EC2")
        aws = AwsWrite(kept.call.operation, kept.call.params, "", "")
    said = Change(
        *(kept.object, "", "", ""),
        edits=kept.edits,
        restart=kept.restart,
        aws=aws,
        group=kept.group,
        creates=kept.creates,
    )
    try:
        change = made_anew(said, context.region)
    except NoSuchShape as error:
        raise _DoesNotFit(f"step {number} is no change that a fix makes: {error}") from error
    if not _FIX.fullmatch(kept.fix) or not _CODE.fullmatch(kept.code):
        raise _DoesNotFit(f"step {number} does not say which fix made it")
    if change.in_aws:
        _check_aws(change, number, context)
    elif not _UID.fullmatch(kept.uid) and not _is_not_made_yet(kept):
        raise _DoesNotFit(f"step {number} does not say which object was changed: its uid is missing")
    return StepRun(Step(kept.fix, kept.code, change), kept.state, kept.uid)


def _is_not_made_yet(kept: _Kept) -> bool:
    """Whether a step has no uid yet, because its object is not made, or not known to be when the fix was cut off."""
    return kept.creates is not None and not kept.uid and kept.state is not StepState.APPLIED


def _check_aws(change: Change, number: int, context: Context) -> None:
    if not _is_aws_place(context):
        raise _DoesNotFit(f"step {number} does not say in which account and region of AWS it was made")
    arn = parse_arn(change.group.arn) if change.group is not None else None
    if arn is not None and (arn.region, arn.account) != (context.region, context.account):
        raise _DoesNotFit(f"step {number} names a target group of another account or region than the fix")


def _is_aws_place(context: Context) -> bool:
    return bool(_ACCOUNT.fullmatch(context.account) and _REGION.fullmatch(context.region))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
