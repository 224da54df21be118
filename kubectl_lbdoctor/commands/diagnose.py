"""`kubectl lbdoctor KIND NAME`: collect, check, print the report."""

from __future__ import annotations

from kubectl_lbdoctor.commands.examination import (
    Examination,
    Requested,
    check_save,
    deadline_of,
    examine,
    from_bundle,
    save_bundle,
    show,
    where_of_bundle,
)
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.finding import Severity
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.options import Options


def diagnose(options: Options, env: Environment, requested: Requested) -> ExitStatus:
    """Diagnose the objects and print the report.

    Raises LbdoctorError when there is nothing to diagnose; what is merely unknown is part of the report.
    """
    check_save(options)
    if options.bundle.load:
        snapshot, where = from_bundle(options, requested), where_of_bundle(options)
    else:
        with Connections(options.kube, options.aws, env, deadline_of(options), options.output.level) as connections:
            examination = Examination(connections, options, env)
            snapshot, where = examination.snapshot(examination.subjects(requested)), connections.where
    report = examine(snapshot, where)
    show(report, options, env)
    save_bundle(snapshot, options, env)
    if options.output.verbose:
        _tell_unknown(report, env)
    return report.exit_status(Severity(options.verdict.fail_on))


def _tell_unknown(report: Report, env: Environment) -> None:
    """Why checks could not be answered, with the trace of those that crashed."""
    from kubectl_lbdoctor.render.text import clean

    for check in report.unknown:
        env.note(clean(f"{check.code} unknown: {check.reason}") + (f"\n{check.trace}" if check.trace else ""))
