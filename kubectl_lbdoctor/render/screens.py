"""The screen of each result that is shown at once. A fix and its undoing are shown as they happen (`render.live`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubectl_lbdoctor.checks.registry import Catalogue
from kubectl_lbdoctor.model.controller_page import ControllerPage
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.probe.report import ProbeReport
from kubectl_lbdoctor.render import controller_screen, explain, probe_screen, report_screen, scan_screen, topics
from kubectl_lbdoctor.render.topics import Explanation
from kubectl_lbdoctor.render.view import View

_SCREENS: dict[type, Callable[[Any, View], str]] = {
    Report: report_screen.render,
    ScanReport: scan_screen.render,
    ControllerPage: controller_screen.render,
    ProbeReport: probe_screen.render,
    Catalogue: explain.catalogue,
    Explanation: topics.render,
}


def render(result: Any, view: View) -> str:
    """The screen of a result, ending with a line break."""
    return _SCREENS[type(result)](result, view)
