"""The screen of the controllers' own page."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.model.controller_page import ControllerPage, ControllerView, Leader, LoggedError, WebhookView
from kubectl_lbdoctor.render import colours
from kubectl_lbdoctor.render.coverage_lines import coverage_lines
from kubectl_lbdoctor.render.report_screen import diagnosis_lines, ignored_lines
from kubectl_lbdoctor.render.text import Column, Paint, clean, quoted, table_or_records, wrapped
from kubectl_lbdoctor.render.view import View

MOST_ERRORS = 8
"""Errors of the logs that are shown; -o wide shows all."""


def render(page: ControllerPage, view: View) -> str:
    """The whole screen, ending with a line break."""
    paint = Paint(view.colour)
    blocks = [_controllers(page, view)] if page.controllers else []
    for controller in page.controllers:
        blocks.append("\n".join(_about(controller, view)))
        blocks.append(_pods(controller, view))
    blocks.append("\n".join(wrapped("webhook   ", _webhook(found), view.width) for found in page.webhooks))
    blocks.append("\n".join(_errors(page, view)))
    blocks += ["\n".join(diagnosis_lines(found, page.report, view, paint)) for found in page.report.diagnoses]
    blocks.append("\n".join(_closing(page, view, paint)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _controllers(page: ControllerPage, view: View) -> str:
    columns = [
        Column("CONTROLLER"),
        Column("READY"),
        Column("VERSION"),
        Column("CLASS", 60),
        Column("CLUSTER", 50),
        Column("REGION", 30),
        Column("VPC", 20),
        Column("NAMESPACES", 40),
    ]
    rows = [
        [
            f"{found.ref.namespace}/{found.ref.name}",
            f"{found.ready}/{found.replicas}",
            found.version or "<unknown>",
            found.flags.get("ingress-class", ""),
            found.flags.get("cluster-name", ""),
            found.flags.get("aws-region", ""),
            found.flags.get("aws-vpc-id", ""),
            found.flags.get("watch-namespace", "") or "<all>",
        ]
        for found in page.controllers
    ]
    return table_or_records(columns, rows, view.width, view.wide, view.headers)


def _about(controller: ControllerView, view: View) -> Iterator[str]:
    account = f"serviceaccount/{controller.service_account} -n {controller.ref.namespace}"
    role = f" {controller.role}" if controller.role else ""
    yield wrapped("identity  ", f"{controller.identity.value}{role} ({account})", view.width)
    if controller.leader is not None:
        yield wrapped("leader    ", _leader(controller.leader), view.width)
    flags = " ".join(f"--{name}={value}" if value else f"--{name}" for name, value in controller.flags.items())
    yield wrapped("flags     ", flags or "<none>", view.width)


def _leader(leader: Leader) -> str:
    if leader.permission:
        return f"unknown: add permission {leader.permission}"
    if not leader.known:
        return "unknown: its Lease was not read, or there is none"
    if leader.lapsed:
        last = f", by {leader.pod}" if leader.pod else ""
        return f"none: its Lease was last renewed at {leader.renewed}{last}; nothing is reconciled"
    return f"{leader.pod or '<none yet>'}, renewed at {leader.renewed}"


def _pods(controller: ControllerView, view: View) -> str:
    columns = [Column("POD"), Column("NODE", 40), Column("READY"), Column("RESTARTS"), Column("STATE")]
    rows = [[pod.name, pod.node, "yes" if pod.ready else "no", str(pod.restarts), pod.state] for pod in controller.pods]
    return table_or_records(columns, rows, view.width, view.wide, view.headers) if rows else ""


def _webhook(found: WebhookView) -> str:
    endpoints = "endpoints not read" if found.endpoints is None else counted(found.endpoints, "ready endpoint")
    policy = f", failure policy {' and '.join(found.policies)}" if found.policies else ""
    return f"{found.service} -n {found.service.namespace}, port {found.port}: {endpoints}{policy}"


def _errors(page: ControllerPage, view: View) -> Iterator[str]:
    if not page.errors:
        return
    yield "recent errors, by its log and events"
    shown = page.errors if view.wide else page.errors[:MOST_ERRORS]
    for error in shown:
        yield wrapped("  ", quoted(_error(error)), view.width, 4)
    if len(shown) < len(page.errors):
        yield f"  … {len(page.errors) - len(shown)} more, see -o wide"


def _error(error: LoggedError) -> str:
    code = f"{error.code} " if error.code else ""
    about = f"{error.about} -n {error.about.namespace}: " if error.about is not None else ""
    times = f"{error.count} times, " if error.count > 1 else ""
    when = f"last at {error.last}" if error.last else "without a time"
    return f"{code}{about}{error.text} ({times}{when}{', over' if error.over else ''})"


def _closing(page: ControllerPage, view: View, paint: Paint) -> Iterator[str]:
    word = paint(colours.STATUSES[page.status], page.status.value)
    if page.controllers:
        yield f"{word}: {counted(len(page.controllers), 'controller')}"
    elif not page.known:
        yield f"{word}: whether a controller runs was not read"
    elif page.auto_mode:
        yield f"{word}: no controller runs in this cluster; EKS Auto Mode runs its own in AWS, where nobody sees it"
    else:
        yield f"{word}: no AWS Load Balancer Controller runs in this cluster"
    yield from (wrapped("", line, view.width, 2) for line in ignored_lines(page.report))
    for line in coverage_lines(page.report, view.wide):
        yield clean(line) if line.startswith(" ") else wrapped("", line, view.width, 2)
