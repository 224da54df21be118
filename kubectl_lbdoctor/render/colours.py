"""Which colour says what on a screen; a word always says it, too."""

from __future__ import annotations

from kubectl_lbdoctor.model.finding import Severity
from kubectl_lbdoctor.model.report import Status

SEVERITIES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}

STATUSES = {Status.UNHEALTHY: "red", Status.DEGRADED: "red", Status.UNKNOWN: "yellow", Status.HEALTHY: "green"}
