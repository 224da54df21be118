"""`kubectl lbdoctor KIND NAME`: collect, check, print the report."""

from __future__ import annotations

from datetime import timedelta

from kubectl_lbdoctor.commands.examination import (
    Examination,
    check_save,
    deadline_of,
    examine,
    from_bundle,
    ignored_codes,
    save_bundle,
    show,
    where_of_bundle,
)
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model.asked import Question
from kubectl_lbdoctor.model.report import FailOn, Report
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.formats import format_of
from kubectl_lbdoctor.report_order import asked_first


def diagnose(options: Options, env: Environment, question: Question) -> ExitStatus:
    """Diagnose what is asked about and print the report.

    Raises LbdoctorError when there is nothing to diagnose; what is merely unknown is part of the report. Where some of
    several objects do not exist the others are diagnosed, and the status is that of findings, else COULD_NOT_RUN.
    """
    check_save(options)
    ignore = ignored_codes(options)
    missing = 0
    limit: float | None = None
    if options.verdict.wait_healthy:
        from kubectl_lbdoctor.commands import wait_healthy

        limit = wait_healthy.seconds(options.verdict.wait_healthy)
    span: timedelta | None = None
    if options.history.since:
        from kubectl_lbdoctor.commands import look_back

        span = look_back.span_of(options.history.since)
    calls: dict[str, int] = {}
    if options.bundle.load:
        snapshot, found = from_bundle(options, env, question)
        where = where_of_bundle(options)
    else:
        with Connections(options.kube, options.aws, env, deadline_of(options), options.output.level) as connections:
            examination = Examination(connections, options, env)
            begun = env.clock()
            snapshot, found = examination.examined(question)
            if limit is not None and not snapshot.laid:
                waiting = wait_healthy.Waiting(examination, begun, limit, FailOn(options.verdict.fail_on), ignore)
                snapshot = waiting.snapshot(snapshot)
            elif not snapshot.laid:
                snapshot = examination.probes().settle(snapshot)
            if span is not None and not snapshot.laid:
                snapshot = look_back.with_history(examination, snapshot, span, ignore)
            missing, calls, where = examination.missing, connections.calls, connections.where
    report = asked_first(examine(snapshot, where, ignore), found.routes)
    status = report.exit_status(FailOn(options.verdict.fail_on))
    if missing and status is not ExitStatus.FINDINGS:
        status = ExitStatus.COULD_NOT_RUN
    show(_drawn(report, snapshot, options), options, env, env.run(status, calls))
    save_bundle(snapshot, options, env)
    if options.output.verbose:
        _tell_unknown(report, env)
    return status


def _drawn(report: Report, snapshot: Snapshot, options: Options) -> object:
    """What the format of -o shows: the report, with pictures where it draws."""
    if not format_of(options.output.format).draws:
        return report
    from kubectl_lbdoctor.analysis.pictures import pictured

    return pictured(report, snapshot)


def _tell_unknown(report: Report, env: Environment) -> None:
    """Why checks could not be answered, with the trace of those that crashed, and what else was denied."""
    from kubectl_lbdoctor.render.text import clean

    for check in report.unknown:
        env.note(clean(f"{check.code} unknown: {check.reason}") + (f"\n{check.trace}" if check.trace else ""))
    for denied in report.coverage.optional:
        env.note(clean(f"not read, and not needed: {denied.read}: add permission: {denied.permission}"))
