"""The composition root: from options to an exit status."""

from __future__ import annotations

from pathlib import Path

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect import bundle
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.finding import Severity
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.report import build
from kubectl_lbdoctor.session import Session


def diagnose(options: Options, env: Environment, wanted: tuple[tuple[str, str], ...]) -> ExitStatus:
    """Diagnose the objects given as (kind, name) pairs and print the report.

    Raises LbdoctorError when there is nothing to diagnose; what is merely unknown is part of the report.
    """
    if options.from_file:
        snapshot = bundle.chosen(bundle.load(Path(options.from_file)), wanted, options.namespace)
    else:
        with Session(options, env) as session:
            snapshot = session.probed(session.collect(session.subjects(wanted)))
    joined = traffic_paths(snapshot)
    report = build(snapshot, joined, run(CATALOGUE, joined), CATALOGUE)
    env.progress("")
    env.out(render(report, options, env))
    if options.save:
        bundle.save(snapshot, Path(options.save))
        env.note(f"bundle saved: {options.save}")
    if options.verbose:
        from kubectl_lbdoctor.render.text import clean

        for check in report.unknown:
            env.note(clean(f"{check.code} unknown: {check.reason}") + (f"\n{check.trace}" if check.trace else ""))
    return report.exit_status(Severity(options.fail_on))


def render(report: Report, options: Options, env: Environment) -> str:
    """The report in the chosen format."""
    from kubectl_lbdoctor.render import machine, table

    if options.output == "json":
        return machine.render_json(report)
    if options.output == "yaml":
        return machine.render_yaml(report)
    if options.output == "name":
        return machine.render_name(report)
    wide = options.output == "wide"
    return table.render(report, table.View(0 if wide else env.width, wide, env.colour))
