"""Which errors of the controller's log still stand at its end.

Why this exists: most failures of a TargetGroupBinding (a denied RegisterTargets, a target group that is gone, two
tagged security groups behind instance targets) make no event; in v2.17.1 the log is their only witness. But a log also
keeps what is over. So an error counts as superseded once a later line proves that the same step succeeded for the same
object.

Facts from the source of v2.17.1:
- `Reconciler error` (controller-runtime) carries controller, namespace, name and error. An explicit IngressGroup is
  logged with the group's name and an empty namespace (pkg/ingress/group.go). The error lacks the event's "Failed build
  model due to" prefix.
- Success: `successfully deployed model` {ingressGroup} | {service}, `Successful reconcile` {tgb}, `registered targets`
  {arn}, and `successfully built model` {model} whose text starts with {"id":"ns/name" or "group"}. There is no
  "successfully reconciled" line; that is an event only.
- `Requesting network requeue due to error from ReconcileFor{Pod,NodePort}Endpoints` {tgb}: with ip targets the pass
  goes on and registers; with instance targets it ends there, and nothing is registered.
- `Requeue for target monitor target health`, `Requeue for potentially ready endpoints`, `Requeue for networking
  requeue` {tgb} end a pass that did register its targets.
- The logger samples: after 100 equal messages in a second it drops most of them, so counts are lower bounds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from kubectl_lbdoctor.knowledge.controller_errors import DecodedError, Stage, decode, decode_event
from kubectl_lbdoctor.knowledge.log_lines import CONTROLLER_KIND, LogRecord, as_text, namespaced, parse_log_line
from kubectl_lbdoctor.knowledge.reconcile_steps import BindingStep, FrontStep
from kubectl_lbdoctor.record import record

__all__ = [
    "ControllerError",
    "LogReading",
    "LogRecord",
    "Passed",
    "normalise",
    "parse_log_line",
    "read_log",
    "relevant_errors",
]

_ERROR_LEVELS = frozenset({"error", "fatal", "panic", "dpanic"})


@record
class ControllerError:
    """One error of the log, all its repetitions together.

    kind, namespace, name: the object ("" when the line names none). msg: the line's message. decoded: the latest text,
    decoded.
    count: how often it was seen, at least. first_seen, last_seen: None when the lines carry no date.
    superseded: a later line proves that this is over; superseded_by says which, superseded_at when.
    """

    kind: str
    namespace: str
    name: str
    controller: str
    msg: str
    decoded: DecodedError
    count: int
    first_seen: datetime | None
    last_seen: datetime | None
    superseded: bool = False
    superseded_by: str = ""
    superseded_at: datetime | None = None


@record
class Passed:
    """A line that proves steps done for an object: the last time that it was seen."""

    kind: str
    namespace: str
    name: str
    step: int
    time: datetime | None


@record
class LogReading:
    """What a log says: its errors, the newest first, and which steps it proves done, the newest of each object and
    step."""

    errors: tuple[ControllerError, ...] = ()
    passed: tuple[Passed, ...] = ()


_VOLATILE = (
    (re.compile(r"(?i)(request ?id:? )[\w-]+"), r"\1*"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "*"),
    (re.compile(r"(\d+\.\d+\.\d+\.\d+:)\d{4,5}(->)"), r"\1*\2"),
    (re.compile(r"(error from \S+:)\d+"), r"\1*"),
    (re.compile(r"(Encoded authorization failure message: )\S+"), r"\1*"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*"), "*"),
)


def normalise(error: str) -> str:
    """The error without what differs at each attempt: request ids, source ports, dates, encoded messages, white
    space."""
    text = error[:16_000]
    for pattern, replacement in _VOLATILE:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


_NETWORK = "Requesting network requeue"
_PASS_ENDS = (
    "Requeue for target monitor target health",
    "Requeue for potentially ready endpoints",
    "Requeue for networking requeue",
)
_STARTED = ("starting podInfo repo", "adding health check for controller", "Starting workers")
_MODEL_ID = re.compile(r'^\{"id":"([^"]*)"')
_NOISE = re.compile(
    r"TLS handshake error from \S+: (?:EOF|read tcp|i/o timeout)|context canceled$|requeue needed"
    r"|the object has been modified"
)
"""Said as errors, meaning nothing: callers that hang up before TLS, a shutdown, work that is scheduled again, a lost
write race."""

Key = tuple[str, str, str]


@dataclass(slots=True)
class _Open:
    """An error while the log is being read; `network` errors are disproved only by a pass without them."""

    key: Key
    controller: str
    msg: str
    text: str
    stage: Stage
    reason: str
    first: datetime | None
    last: datetime | None
    order: int
    counts: dict[str, int]
    network: bool
    fresh: bool = True
    by: str = ""
    at: datetime | None = None


def relevant_errors(lines: Iterable[bytes | str]) -> tuple[ControllerError, ...]:
    """The errors of a log, newest first, each once per object, decoded, with whether something later proves them over.

    Errors that a retry will cure by itself (a lost write race, "requeue needed") are left out.
    """
    return read_log(lines).errors


def read_log(lines: Iterable[bytes | str]) -> LogReading:
    """The errors of a log and the steps that it proves done.

    Lines of several pods may be given one after the other: they are ordered by time where every record has one.
    """
    records = [r for r in map(parse_log_line, lines) if r is not None]
    if all(r.time is not None for r in records):
        records.sort(key=lambda r: r.time or datetime.min.replace(tzinfo=timezone.utc))
    reader = _Reader()
    for line in records:
        reader.take(line)
    return reader.reading()


_KEPT = re.compile(
    r'"level":"(?:error|fatal|panic|dpanic|warn)"|^\S*\s*[EFW]\d{4} |panic|deployed model|Successful reconcile'
    r"|Requeue for|[Rr]egistered targets|deleted targetGroupBinding|SuccessfullyReconciled|Starting workers"
    r"|adding health check for controller|starting podInfo repo|\"msg\":\"version\"|Disabling \w*Gateway"
)
_BUILT = re.compile(r'^(.*"msg":"successfully built model","model":")((?:[^"\\]|\\.){0,200}).*$')


def significant(log: str) -> str:
    """A log without the lines that `relevant_errors` would skip, and without the text of whole models.

    A bundle keeps what a diagnosis needs: errors, and the lines that prove an error over. A line in a form that is not
    known (no JSON) is kept.
    """
    kept = []
    for line in log.splitlines():
        built = _BUILT.match(line)
        if built is not None:
            kept.append(built.group(1) + built.group(2) + '"}')
        elif not line.lstrip().startswith("{") or _KEPT.search(line):
            kept.append(line)
    return "\n".join(kept)


_NAMED = re.compile(r'"(?:name|tgb|TargetGroupBinding|ingressGroup|service|ingress|model|object|arn)":')


def concerning(log: str, words: Iterable[str]) -> str:
    """The lines that mention one of the words (namespaces, group names), and those that name no object at all.

    What the controller says about other objects is of no use to a diagnosis and nobody's business in a bundle.
    """
    wanted = [word for word in words if word]
    return "\n".join(
        line for line in log.splitlines() if not _NAMED.search(line) or any(word in line for word in wanted)
    )


class _Reader:
    """Walks the log once and keeps, per object and error, the last state."""

    def __init__(self) -> None:
        self._open: dict[tuple[Key, str], _Open] = {}
        self._built: set[Key] = set()
        self._order = 0
        self._passed: dict[tuple[Key, int], datetime | None] = {}

    def take(self, record: LogRecord) -> None:
        """The next line of the log, in the order of time."""
        self._order += 1
        if record.reason and "Warning" in (record.fields.get("type"), record.msg):
            self._failed(record, record.msg if record.msg != "Warning" else as_text(record.fields.get("message", "")))
        elif record.level in _ERROR_LEVELS:
            self._failed(record, record.error or record.msg)
        else:
            self._succeeded(record)

    def _failed(self, record: LogRecord, text: str) -> None:
        if _NOISE.search(text):
            return
        key = (record.kind, record.namespace, record.name)
        stage = self._stage(record, key)
        slot = (key, normalise(_without_prefix(text)))
        found = self._open.get(slot)
        if found is None or found.by:
            first = found.first if found else record.time
            counts = found.counts if found else {}
            found = _Open(key, "", "", text, stage, "", first, None, 0, counts, False)
            self._open[slot] = found
        found.controller = record.controller or found.controller
        found.msg = record.msg
        found.text = text
        found.stage = stage if stage is not Stage.NONE else found.stage
        found.reason = record.reason or found.reason
        found.last, found.order, found.fresh = record.time, self._order, True
        found.network = found.network or record.msg.startswith(_NETWORK)
        # one pass says one failure twice (network requeue, Reconciler error, mirrored event): the most frequent voice
        # counts
        voice = record.reason or record.msg
        found.counts[voice] = found.counts.get(voice, 0) + 1

    def _stage(self, record: LogRecord, key: Key) -> Stage:
        """`Reconciler error` does not say whether building or deploying failed; a model built just before does."""
        if record.logger == "setup" or record.msg.startswith(
            ("unable to initialize", "unable to load controller config")
        ):
            return Stage.START
        if record.kind == "TargetGroupBinding":
            return Stage.RECONCILE
        if record.kind in ("Ingress", "IngressGroup", "Service", "Gateway") and record.msg == "Reconciler error":
            stage = Stage.DEPLOY if key in self._built else Stage.BUILD
            self._built.discard(key)
            return stage
        return Stage.NONE

    def _succeeded(self, record: LogRecord) -> None:
        key = (record.kind, record.namespace, record.name)
        msg = record.msg
        if msg == "successfully built model":
            self._model_built(record)
        elif msg == "successfully deployed model" or (msg == "Successful reconcile" and record.name):
            self._built.discard(key)
            self._pass(key, BindingStep.GATES if msg == "Successful reconcile" else FrontStep.DELETION, record)
            self._close(record, lambda e: e.key == key)
        elif msg.startswith(_PASS_ENDS) and record.name:
            self._pass(key, BindingStep.REGISTER, record)
            self._close(record, lambda e: e.key == key and not (e.network and e.fresh))
            self._age(key)
        elif msg == "deleted targetGroupBinding":
            self._close(record, lambda e: e.key == key)
        elif msg in ("registered targets", "deRegistered targets", "deregistered targets"):
            self._targets_written(record)
        elif msg in _STARTED:
            self._close(record, lambda e: e.stage is Stage.START)
        elif record.reason == "SuccessfullyReconciled":
            self._pass(key, BindingStep.DONE if record.kind == "TargetGroupBinding" else FrontStep.DONE, record)
            self._close(record, lambda e: e.key == key)

    def _model_built(self, record: LogRecord) -> None:
        found = _MODEL_ID.match(as_text(record.fields.get("model", ""))[:300])
        kind = CONTROLLER_KIND.get(record.logger.rpartition("controllers.")[2], "")
        if found is None or not kind:
            return
        namespace, name = namespaced(found.group(1))
        key = (kind if namespace else "IngressGroup", namespace, name)
        self._built.add(key)
        self._pass(key, FrontStep.MODEL, record)
        self._close(record, lambda e: e.key == key and e.stage is Stage.BUILD)

    def _targets_written(self, record: LogRecord) -> None:
        arn = as_text(record.fields.get("arn", ""))
        operation = "RegisterTargets" if record.msg.startswith("registered") else "DeregisterTargets"
        if arn:
            self._close(record, lambda e: e.stage is Stage.RECONCILE and arn in e.text and operation in e.text)

    def _pass(self, key: Key, step: int, record: LogRecord) -> None:
        self._passed[(key, int(step))] = record.time

    def _close(self, record: LogRecord, applies: Callable[[_Open], bool]) -> None:
        for error in self._open.values():
            if not error.by and applies(error):
                error.by, error.at = record.reason or record.msg, record.time

    def _age(self, key: Key) -> None:
        for error in self._open.values():
            if error.key == key:
                error.fresh = False

    def reading(self) -> LogReading:
        """Everything that was seen."""
        passed = tuple(Passed(*key, step, time) for (key, step), time in self._passed.items())
        return LogReading(self._errors(), passed)

    def _errors(self) -> tuple[ControllerError, ...]:
        found = []
        for error in sorted(self._open.values(), key=lambda e: e.order, reverse=True):
            decoded = decode_event(error.reason, error.text) if error.reason else decode(error.text, stage=error.stage)
            kind, namespace, name = error.key
            found.append(
                ControllerError(
                    kind=kind,
                    namespace=namespace,
                    name=name,
                    controller=error.controller,
                    msg=error.msg,
                    decoded=decoded,
                    count=max(error.counts.values()),
                    first_seen=error.first,
                    last_seen=error.last,
                    superseded=bool(error.by),
                    superseded_by=error.by,
                    superseded_at=error.at,
                )
            )
        return tuple(found)


def _without_prefix(text: str) -> str:
    """An event's `Failed … due to ` in front of the error that the log says bare, so that both count as one."""
    return re.sub(r"^[Ff]ailed [\w ]{3,40} due to ", "", text.strip())
