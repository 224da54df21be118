"""A scan as JUnit XML, for the test reports of CI systems: a test case for each frontend.

A frontend that fails the scan (`--fail-on`) is a failure, one of which too much is unknown an error, because nobody has
seen it work. JUnit has no standard; this is what Jenkins' schema allows:
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kubectl_lbdoctor.model.finding import Diagnosis
from kubectl_lbdoctor.model.report import Status
from kubectl_lbdoctor.model.scan import ScanReport, ScanRow
from kubectl_lbdoctor.render.coverage_lines import coverage_lines
from kubectl_lbdoctor.render.report_screen import fix_commands
from kubectl_lbdoctor.render.scan_screen import count_healthy
from kubectl_lbdoctor.render.text import quoted
from kubectl_lbdoctor.render.view import View

_NAME = "kubectl lbdoctor scan"
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")


def render(scan: ScanReport, view: View) -> str:
    """The whole document, in ASCII."""
    suite = Element("testsuite", name=_text(scan.report.context.cluster or _NAME))
    for row in scan.rows:
        _case(suite, scan, row)
    _coverage(suite, scan)
    totals = {
        "tests": str(len(suite)),
        "failures": str(len(suite.findall("testcase/failure"))),
        "errors": str(len(suite.findall("testcase/error"))),
    }
    suite.attrib.update(totals, skipped="0", timestamp=scan.report.generated_at)
    root = Element("testsuites", {"name": _NAME, **totals})
    if view.run.milliseconds is not None:
        root.set("time", f"{view.run.milliseconds / 1000:.3f}")
    root.append(suite)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="us-ascii").decode("ascii")}\n'


def _text(text: str) -> str:
    """Somebody else's words, without what no XML may hold: https://www.w3.org/TR/xml/#charsets."""
    return _NO_CHARACTER.sub("\ufffd", quoted(text))


def _case(suite: Element, scan: ScanReport, row: ScanRow) -> None:
    group = ".".join((*row.namespaces, row.kind))
    case = SubElement(suite, "testcase", classname=_text(group), name=_text(row.name))
    cause = row.cause
    message = _text(f"{count_healthy(row)} targets healthy" if cause is None else cause.message)
    kind = row.status.value if cause is None else cause.finding.code
    if scan.fails(row):
        SubElement(case, "failure", type=kind, message=message).text = "\n".join(_details(row, scan))
    elif row.status is Status.UNKNOWN:
        SubElement(case, "error", type=kind, message=message).text = "\n".join(_details(row, scan))
    elif told := list(_details(row, scan)):
        SubElement(case, "system-out").text = "\n".join(told)


def _details(row: ScanRow, scan: ScanReport) -> Iterator[str]:
    """What affects a frontend, with the evidence, and what was ignored."""
    for cause in row.told:
        yield _text(f"{cause.finding.code} {row.severity_of(cause).value}: {cause.message}")
        yield from (f"  {line}" for line in _evidence(cause, scan))
    for entry in row.ignored:
        yield _text(f"ignored by {entry.by}: {entry.diagnosis.finding.code} {entry.diagnosis.message}")


def _evidence(cause: Diagnosis, scan: ScanReport) -> Iterator[str]:
    finding = cause.finding
    yield _text(f"object: {finding.object}" + (f" -n {finding.object.namespace}" if finding.object.namespace else ""))
    yield from (_text(f"{entry.source}: {entry.text}") for entry in finding.evidence)
    yield from (_text(f"fix: {scan.report.where.command(line)}") for line in fix_commands(cause))
    yield from (_text(f"by hand: {scan.report.where.command(line)}") for line in finding.commands)


def _coverage(suite: Element, scan: ScanReport) -> None:
    """A case of its own for what was not read, so that no report is green where the scan is not."""
    case = SubElement(suite, "testcase", classname="lbdoctor", name="everything was read")
    lines = [_text(line) for line in coverage_lines(scan.report, wide=True)]
    if not scan.complete:
        lines.insert(0, "the scan was ended before everything was read")
    if lines:
        SubElement(case, "error", type="unknown", message=lines[0]).text = "\n".join(lines)
