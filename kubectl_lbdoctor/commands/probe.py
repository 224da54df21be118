"""`kubectl lbdoctor probe`: only the health checks, as the load balancer sends them, beside what its group says."""

from __future__ import annotations

from dataclasses import replace

from kubectl_lbdoctor.commands.examination import (
    Examination,
    check_save,
    deadline_of,
    from_bundle,
    save_bundle,
    show,
)
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.asked import Question
from kubectl_lbdoctor.model.fact import ReadState
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.probe.report import probe_report, requests_of

READS = frozenset(
    {
        reads.INGRESSES,
        reads.SERVICES,
        reads.ENDPOINT_SLICES,
        reads.PODS,
        reads.BINDINGS,
        reads.NODES,
        reads.LOAD_BALANCERS,
        reads.LISTENERS,
        reads.TARGET_GROUPS,
        reads.TARGET_HEALTH,
        reads.TARGET_GROUP_ATTRIBUTES,
        reads.TAGS,
        reads.NETWORK_INTERFACES,
    }
)
"""What the requests are made from."""


def probe(options: Options, env: Environment, question: Question) -> ExitStatus:
    """Send the health check to every target of the objects and print the answers.

    Raises CouldNotRun where nothing can be asked, UsageError for a node that does not exist.
    """
    check_save(options)
    missing = 0
    calls: dict[str, int] = {}
    if options.bundle.load:
        snapshot = recorded(options, env, question)
    else:
        with Connections(options.kube, options.aws, env, deadline_of(options), options.output.level) as connections:
            examination = Examination(connections, options, env)
            snapshot = sent(examination, question, default="pod")
            missing, calls = examination.missing, connections.calls
    report = probe_report(snapshot)
    status = report.exit_status
    if missing and status is not ExitStatus.FINDINGS:
        status = ExitStatus.COULD_NOT_RUN
    show(report, options, env, env.run(status, calls))
    save_bundle(snapshot, options, env)
    return status


def recorded(options: Options, env: Environment, question: Question) -> Snapshot:
    """The facts of --from with the answers that it holds. Raises CouldNotRun where it holds none."""
    snapshot, _ = from_bundle(options, env, question)
    if snapshot.probes.answers.state is ReadState.NOT_ASKED:
        raise CouldNotRun(f"the bundle {options.bundle.load} holds no probes", "save it with: probe … --save FILE")
    return snapshot


def sent(examination: Examination, question: Question, default: str) -> Snapshot:
    """The facts about what is asked, with the answer of each target. default: the mode where the flags say none.

    Raises CouldNotRun where there is nothing, UsageError for a node that does not exist.
    """
    snapshot, _ = examination.examined(question, READS)
    policy = examination.probes()
    how = policy.options(snapshot.cluster.nodes.peek() or (), default=default)
    return replace(snapshot, probes=policy.send(requests_of(snapshot)[0], how))
