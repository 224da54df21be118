"""The composition root: from options to an exit status. SDKs are imported here, when a cluster is really asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect import bundle
from kubectl_lbdoctor.collect.resolve import Lists
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus, NoCredentials
from kubectl_lbdoctor.model.finding import ObjectRef, Severity
from kubectl_lbdoctor.model.join import routes
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.report import build, needed_reads

# A diagnosis is about a second of work; an AWS endpoint that does not answer must not hold it up for minutes.
AWS_READ_TIMEOUT = 5.0
AWS_ATTEMPTS = 3


def diagnose(options: Options, env: Environment, wanted: tuple[tuple[str, str], ...]) -> ExitStatus:
    """Diagnose the objects given as (kind, name) pairs and print the report.

    Raises LbdoctorError when there is nothing to diagnose; what is merely unknown is part of the report.
    """
    if options.from_file:
        snapshot = _chosen(bundle.load(Path(options.from_file)), wanted, options.namespace)
    else:
        snapshot = _collect(options, env, wanted)
    joined = routes(snapshot)
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


def _chosen(snapshot: Snapshot, wanted: tuple[tuple[str, str], ...], namespace: str) -> Snapshot:
    """The bundle about the objects that were asked for; all of its subjects when none were."""
    from dataclasses import replace

    from kubectl_lbdoctor.errors import CouldNotRun

    if not wanted:
        return snapshot
    subjects = []
    for kind, name in wanted:
        found = [s for s in snapshot.subjects if s.kind == kind and s.name == name and namespace in ("", s.namespace)]
        if not found:
            held = ", ".join(f"{s} -n {s.namespace}" for s in snapshot.subjects) or "nothing"
            raise CouldNotRun(f'{kind} "{name}" is not in the bundle', f"it holds: {held}")
        subjects += found
    return replace(snapshot, subjects=tuple(dict.fromkeys(subjects)))


def _collect(options: Options, env: Environment, wanted: tuple[tuple[str, str], ...]) -> Snapshot:
    from kubectl_lbdoctor.collect.aws import AwsReader
    from kubectl_lbdoctor.collect.aws_session import AwsOptions, open_session
    from kubectl_lbdoctor.collect.collector import Aws, Collector, Plan
    from kubectl_lbdoctor.collect.kube import KubeReader
    from kubectl_lbdoctor.collect.kubeconfig import KubeOptions, load_kube_context

    kube_options = KubeOptions(
        kubeconfig=options.kubeconfig,
        context=options.context,
        cluster=options.cluster,
        user=options.user,
        namespace=options.namespace,
        server=options.server,
        as_user=options.as_user,
        as_groups=options.as_groups,
        request_timeout=options.request_timeout,
        insecure_skip_tls_verify=options.insecure_skip_tls_verify,
    )
    context = load_kube_context(
        kube_options, env.variables, interactive=env.stdin is not None and env.stdin.isatty(), notify=env.note
    )
    opened: list[AwsReader] = []

    def open_aws(node_region: Callable[[], str | None]) -> Aws:
        if options.no_aws:
            raise NoCredentials("AWS was not asked: --no-aws")
        chosen = AwsOptions(options.profile, options.region, options.no_aws)
        session = open_session(chosen, context.aws, node_region, env.variables)
        timeout = min(AWS_READ_TIMEOUT, context.request_timeout or AWS_READ_TIMEOUT)
        reader = AwsReader(session, read_timeout=timeout, max_attempts=AWS_ATTEMPTS)
        reader.prepare("elbv2")
        opened.append(reader)
        return cast(Aws, reader)

    try:
        kube = KubeReader(context)
        plan = Plan(
            subjects=_subjects(kube, wanted, context.namespace),
            reads=needed_reads(CATALOGUE),
            context=Context(
                kube_context=context.name,
                server=context.server,
                namespace=context.namespace,
                cluster=context.aws.cluster_name or context.cluster,
            ),
            taken_at=env.now(),
        )
        snapshot = Collector(kube, open_aws, env.progress).collect(plan)
        if options.verbose:
            calls = {**kube.calls, **(opened[0].calls if opened else {})}
            env.note(f"{sum(calls.values())} calls: " + ", ".join(f"{n} {name}" for name, n in sorted(calls.items())))
        return snapshot
    finally:
        context.close()


def _subjects(kube: Lists, wanted: tuple[tuple[str, str], ...], namespace: str) -> tuple[ObjectRef, ...]:
    """The objects to diagnose; target groups and load balancers are traced to theirs first."""
    from kubectl_lbdoctor.collect import resolve

    found: list[ObjectRef] = []
    for kind, name in wanted:
        if kind == "TargetGroup":
            found += resolve.target_group(kube, name, namespace)
        elif kind == "LoadBalancer":
            found += resolve.load_balancer(kube, name, namespace)
        else:
            found.append(ObjectRef(kind, namespace, name))
    return tuple(dict.fromkeys(found))


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
