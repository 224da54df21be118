"""One line of the controller's log, in any form that it takes.

Facts from the source of v2.17.1: zap JSON through controller-runtime (main.go getLoggerWithLogLevel): level, ts (RFC
3339; seconds since the epoch before 2.5), logger, msg, then the keys of the call; errors without stack trace
(pkg/runtime/concise_logger.go). klog is routed into the same logger since 2.x; v1 (ALB ingress controller) wrote klog
lines. The webhook server's TLS complaints come from Go's standard log. At log level debug every event is also a line:
msg is the event's message, with type, object, reason (logger "events").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson

from kubectl_lbdoctor.model.times import parse_time
from kubectl_lbdoctor.record import record

__all__ = ["CONTROLLER_KIND", "LogRecord", "as_text", "namespaced", "parse_log_line"]


@record
class LogRecord:
    """One log line. Empty strings stand for what the line does not say; `time` is None without a full date.

    level: error, warn, info, debug, fatal. kind: Ingress, IngressGroup, Service, TargetGroupBinding, Gateway or as the
    line says. namespace, name: the object that was worked on. error: the error text; reason: the event reason of a
    mirrored event.
    fields: every other key of the line.
    """

    level: str
    msg: str
    time: datetime | None = None
    logger: str = ""
    controller: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    error: str = ""
    reason: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


_KUBE_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) (?=\S)")
"""What the kubelet prepends when logs are asked for with timestamps."""
_KLOG = re.compile(r"^([IWEF])(\d\d)(\d\d) (\d\d:\d\d:\d\d)\.\d+ +\d+ ([^\s\]]+)\] (.*)$", re.DOTALL)
_STDLOG = re.compile(r"^(\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d) (.*)$", re.DOTALL)
_ZAP_CONSOLE = re.compile(r"^(\d{4}-\d\d-\d\dT\S+)\t([A-Z]+)\t(.*)$", re.DOTALL)
_KEY_VALUE = re.compile(r'"?([A-Za-z][\w ]*?)"?=("(?:[^"\\]|\\.)*"|\{[^{}]*\}|\S+)')
_KLOG_LEVEL = {"I": "info", "W": "warn", "E": "error", "F": "fatal"}
CONTROLLER_KIND = {
    "ingress": "Ingress",
    "service": "Service",
    "targetGroupBinding": "TargetGroupBinding",
    "gateway.k8s.aws/alb": "Gateway",
    "gateway.k8s.aws/nlb": "Gateway",
}
_KEY_KIND = {
    "tgb": "TargetGroupBinding",
    "TargetGroupBinding": "TargetGroupBinding",
    "targetGroupBinding": "TargetGroupBinding",
    "service": "Service",
    "ingress": "Ingress",
    "ingressGroup": "IngressGroup",
    "gateway": "Gateway",
}


def parse_log_line(line: bytes | str) -> LogRecord | None:
    """Read one line: zap JSON, zap console, klog, Go's standard log or a panic, with or without the kubelet's
    timestamp.

    None for empty lines and for what is no log line (stack traces, banners).
    """
    text = (line.decode("utf-8", "replace") if isinstance(line, bytes) else line).strip()
    stamp: datetime | None = None
    if found := _KUBE_STAMP.match(text):
        stamp, text = _time(found.group(1)), text[found.end() :]
    if not text:
        return None
    if text.startswith("{"):
        return _from_json(text, stamp)
    if match := _ZAP_CONSOLE.match(text):
        return _from_console(match, stamp)
    if match := _KLOG.match(text):
        return _from_klog(match, stamp)
    if match := _STDLOG.match(text):
        level = "error" if re.search(r"error|panic", match.group(7)) else "info"
        return LogRecord(level, match.group(7), stamp or _date(*match.groups()[:6]))
    if text.startswith(("panic: ", "fatal error: ")):
        return LogRecord("fatal", text, stamp)
    return None


def _from_json(text: str, stamp: datetime | None) -> LogRecord | None:
    try:
        data = orjson.loads(text.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(data, dict) or not ("msg" in data or "message" in data):
        return None
    return _from_fields({str(k): v for k, v in data.items()}, stamp)


def _from_fields(data: dict[str, Any], stamp: datetime | None) -> LogRecord:
    level = as_text(data.pop("level", "")).lower() or "info"
    time = _time(data.pop("ts", None)) or stamp
    msg = as_text(data.pop("msg", data.pop("message", "")))
    logger, controller = as_text(data.pop("logger", "")), as_text(data.get("controller", ""))
    error = as_text(data.pop("error", data.pop("err", "")))
    kind, namespace, name = _object(data, controller)
    involved = data.get("object")
    reason = as_text(data.get("reason", "")) if isinstance(involved, dict) and "kind" in involved else ""
    level = "debug" if level.startswith("level(") else {"warning": "warn"}.get(level, level)
    return LogRecord(level, msg, time, logger, controller, kind, namespace, name, error, reason, data)


def _object(data: Mapping[str, Any], controller: str) -> tuple[str, str, str]:
    """The object of a line: `Reconciler error` has namespace and name, the controller's own calls have tgb, service,
    ingressGroup."""
    if "name" in data and controller:
        kind = as_text(data.get("controllerKind", data.get("reconciler kind", data.get("reconcilerKind", ""))))
        kind = kind or CONTROLLER_KIND.get(controller, "")
        namespace = as_text(data.get("namespace", ""))
        if kind == "Ingress" and not namespace:
            kind = "IngressGroup"
        return kind, namespace, as_text(data["name"])
    for key, kind in _KEY_KIND.items():
        if (value := data.get(key)) is None:
            continue
        namespace, name = namespaced(value)
        if kind == "IngressGroup" and namespace:
            kind = "Ingress"
        if name:
            return kind, namespace, name
    if isinstance(involved := data.get("object"), dict):
        return (
            as_text(involved.get("kind", "")),
            as_text(involved.get("namespace", "")),
            as_text(involved.get("name", "")),
        )
    return "", "", ""


def namespaced(value: Any) -> tuple[str, str]:
    """(namespace, name) of an object that a log line names as {"namespace": …, "name": …} or "namespace/name"; ""
    for the part that is not there."""
    if isinstance(value, dict):
        lower = {str(k).lower(): v for k, v in value.items()}
        return as_text(lower.get("namespace", "")), as_text(lower.get("name", ""))
    namespace, _, name = as_text(value).rpartition("/")
    return namespace, name


def _from_console(match: re.Match[str], stamp: datetime | None) -> LogRecord:
    parts = match.group(3).split("\t")
    data: dict[str, Any] = {}
    if parts[-1].startswith("{"):
        try:
            loaded = orjson.loads(parts[-1].encode("utf-8", "replace"))
            data = {str(k): v for k, v in loaded.items()} if isinstance(loaded, dict) else {}
            parts = parts[:-1]
        except orjson.JSONDecodeError:
            pass
    data |= {"level": match.group(2), "ts": match.group(1), "msg": parts[-1] if parts else ""}
    if len(parts) > 1:
        data["logger"] = parts[0]
    return _from_fields(data, stamp)


def _from_klog(match: re.Match[str], stamp: datetime | None) -> LogRecord:
    """klog has no year: the time is known only with the kubelet's stamp. Structured calls carry key=value pairs."""
    rest = match.group(6)
    data: dict[str, Any] = {}
    for key, value in _KEY_VALUE.findall(rest[:4000]):
        data.setdefault(key.split()[-1], _unquoted(value))
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"(?!=)', rest)
    msg = _unquoted(quoted.group(0)) if quoted else as_text(data.get("msg", "")) or rest
    request = as_text(data.get("request", ""))
    if request.startswith("{"):
        data |= {k.lower(): v for k, v in re.findall(r'"?(Namespace|Name)"?:"([^"]*)"', request)}
    data |= {"level": _KLOG_LEVEL[match.group(1)], "msg": msg}
    return _from_fields(data, stamp)


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return value[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")


def as_text(value: Any) -> str:
    """A field of a log line as text: null is "", and what is no string is written as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value, default=str).decode()


def _time(value: Any) -> datetime | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=value)
        except (OverflowError, ValueError):
            return None
    return parse_time(str(value))


def _date(*parts: str) -> datetime | None:
    try:
        year, month, day, hour, minute, second = (int(p) for p in parts)
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return None
