"""`kubectl lbdoctor controller`: the controllers themselves, without any load balancer."""

from __future__ import annotations

from dataclasses import replace

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.commands.examination import (
    check_save,
    context_of,
    deadline_of,
    from_bundle,
    ignored_codes,
    save_bundle,
    show,
    where_of_bundle,
)
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.controller_report import READS, controller_page
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.knowledge.controller_identity import RECONCILED
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.index import grouped
from kubectl_lbdoctor.model.k8s import Event
from kubectl_lbdoctor.model.report import FailOn
from kubectl_lbdoctor.model.snapshot import ClusterFacts, NamespaceFacts, Snapshot
from kubectl_lbdoctor.options import Options


def controller(options: Options, env: Environment) -> ExitStatus:
    """Read what runs as the controller and print its page. AWS is not asked.

    Raises CouldNotRun where the cluster does not answer, or there is no readable bundle.
    """
    check_save(options)
    ignore = ignored_codes(options)
    calls: dict[str, int] = {}
    if options.bundle.load:
        snapshot, _ = from_bundle(options, env, ())
        where = where_of_bundle(options)
    else:
        with Connections(options.kube, options.aws, env, deadline_of(options), options.output.level) as connections:
            env.progress("reading the controllers")
            snapshot = _read(connections, env)
            calls, where = connections.calls, connections.where
    page = controller_page(snapshot, CATALOGUE, ignore, FailOn(options.verdict.fail_on))
    page = replace(page, report=replace(page.report, where=where))
    show(page, options, env, env.run(page.exit_status, calls))
    save_bundle(snapshot, options, env)
    return page.exit_status


def _read(connections: Connections, env: Environment) -> Snapshot:
    from kubectl_lbdoctor.collect.controller_reads import ControllerReader
    from kubectl_lbdoctor.collect.kube_lists import KubeLists

    lists = KubeLists(connections.kube)
    classes, events = reads.KUBE[reads.INGRESS_CLASSES], reads.KUBE[reads.EVENTS]
    cluster = ClusterFacts(
        ingress_classes=lists.list(classes, classes.kind), **ControllerReader(connections.kube, lists).read(READS)
    )
    selectors = ({"fieldSelector": f"involvedObject.kind={kind}"} for kind in RECONCILED)
    told = joined(events.name, (lists.list(events, events.kind, "", selector) for selector in selectors))
    return Snapshot(
        taken_at=connections.kube.clock.corrected(env.now()),
        context=context_of(connections),
        namespaces=_by_namespace(told, connections.namespace),
        cluster=cluster,
    )


def _by_namespace(told: Fact[tuple[Event, ...]], own: str) -> dict[str, NamespaceFacts]:
    """The events of all namespaces where they belong; what was not read stands in the namespace of the run. What could
    not be understood may be of any."""
    events = told.peek()
    if events is None:
        return {own: NamespaceFacts(events=told)}
    found = {own: (), **grouped(events, lambda event: (event.namespace,))}
    return {name: NamespaceFacts(events=replace(told, value=mine, scope=name)) for name, mine in found.items()}
