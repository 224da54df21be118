"""`kubectl lbdoctor KIND NAME`: collect, check, print the report."""

from __future__ import annotations

from kubectl_lbdoctor.commands import wait_healthy
from kubectl_lbdoctor.commands.examination import (
    Examination,
    Requested,
    check_save,
    deadline_of,
    examine,
    from_bundle,
    save_bundle,
    show,
)
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.report import FailOn, Report
from kubectl_lbdoctor.options import Options


def diagnose(options: Options, env: Environment, requested: Requested) -> ExitStatus:
    """Diagnose the objects and print the report.

    Raises LbdoctorError when there is nothing to diagnose; what is merely unknown is part of the report.
    """
    check_save(options)
    limit = wait_healthy.seconds(options.verdict.wait_healthy) if options.verdict.wait_healthy else None
    calls: dict[str, int] = {}
    if options.bundle.load:
        snapshot = from_bundle(options, requested)
    else:
        with Connections(options.kube, options.aws, env, deadline_of(options)) as connections:
            examination = Examination(connections, options, env)
            subjects = examination.subjects(requested)
            if limit is not None:
                snapshot = wait_healthy.Waiting(examination, limit, FailOn(options.verdict.fail_on)).snapshot(subjects)
            else:
                snapshot = examination.snapshot(subjects)
            calls = connections.calls
    report = examine(snapshot)
    status = report.exit_status(FailOn(options.verdict.fail_on))
    show(report, options, env, env.run(status, calls))
    save_bundle(snapshot, options, env)
    if options.output.verbose:
        _tell_unknown(report, env)
    return status


def _tell_unknown(report: Report, env: Environment) -> None:
    """Why checks could not be answered, with the trace of those that crashed."""
    from kubectl_lbdoctor.render.text import clean

    for check in report.unknown:
        env.note(clean(f"{check.code} unknown: {check.reason}") + (f"\n{check.trace}" if check.trace else ""))
