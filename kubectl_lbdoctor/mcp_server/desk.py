"""What one call of a tool does: opens fresh connections, examines what is asked about, and answers.

Nothing is kept from one call to the next, so that each answer rests on fresh reads and renewed credentials, and calls
may be made at the same time. Where the cluster is, as whom it is asked, and what may be changed is said by the flags
with which the server was started; a call can name objects, and nothing that would be read from this machine.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.deadline import Deadline
from kubectl_lbdoctor.collect.subjects import Found
from kubectl_lbdoctor.commands import cluster_scan, explain, fix, look_back, probe, scan
from kubectl_lbdoctor.commands.examination import (
    Examination,
    deadline_of,
    examine,
    from_bundle,
    where_of_bundle,
)
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, LbdoctorError, UsageError
from kubectl_lbdoctor.fix import planner
from kubectl_lbdoctor.fix.plan_digest import plan_digest
from kubectl_lbdoctor.fix.result import FixResult
from kubectl_lbdoctor.mcp_server import answers
from kubectl_lbdoctor.model.asked import AllOf, LeadingTo, Named, Question
from kubectl_lbdoctor.model.report import FailOn
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.probe.report import probe_report
from kubectl_lbdoctor.render.documents import Document
from kubectl_lbdoctor.report_order import asked_first
from kubectl_lbdoctor.words import parse, selected

Arguments = Mapping[str, Any]
"""What a call says, as the schema of its tool has it."""


@dataclass(frozen=True)
class Call:
    """One call that is under way. deadline: when its reads end. stopped: whoever made it does not want it any more."""

    arguments: Arguments
    deadline: Deadline
    stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End its reads, and keep it from changing anything that it has not begun to change."""
        self.stopped.set()
        self.deadline.end()


@dataclass(frozen=True)
class Desk:
    """Makes the calls. options: of the server's command line. env: of the process; `Environment.note` of it goes to
    stderr, and its stdout is the protocol's."""

    options: Options
    env: Environment
    _fixing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def recorded(self) -> bool:
        """Whether a bundle is asked in place of a cluster."""
        return bool(self.options.bundle.load)

    @property
    def reach(self) -> str:
        """Which cluster and namespaces it is about, as far as the flags say: an agent may have a server for each
        cluster. What is sent to a client, and so no file and no address."""
        kube = self.options.kube
        if self.recorded:
            return "This server answers about a recorded cluster: nothing in it changes from call to call."
        named = f"context {kube.context}" if kube.context else "one context of a kubeconfig"
        only = f", and about namespace {kube.namespace} alone" if kube.namespace else ""
        return f"This server answers about the cluster of {named}{only}; context in each answer says which it was."

    def begin(self, arguments: Arguments, seconds: float) -> Call:
        """A call, from now on. seconds: for its reads, where --timeout says nothing."""
        return Call(arguments, deadline_of(self.options, seconds))

    def let_fix_end(self) -> None:
        """Wait for the fix that is being made, where one is."""
        with self._fixing:
            pass

    # --- Tools. Each raises LbdoctorError, whose sentences are the answer then.

    def diagnose(self, call: Call) -> Document:
        """Diagnose objects, with the probes that settle what facts leave open."""
        options, question, surroundings = self._prepared(call)
        if self.recorded:
            snapshot, found = from_bundle(options, surroundings.env, question)
            self._check_namespace(ref.namespace for ref in snapshot.subjects)
            report = examine(snapshot, where_of_bundle(options))
        else:
            with self._connections(options, call) as connections:
                examination = Examination(connections, options, surroundings.env, accept=self._check_found)
                snapshot, found = examination.examined(question or (AllOf(),))
                snapshot = examination.probes().settle(snapshot)
                if since := str(call.arguments.get("since", "")):
                    snapshot = look_back.with_history(examination, snapshot, look_back.span_of(since))
                report = examine(snapshot, connections.where)
        return answers.of_report(asked_first(report, found.routes), surroundings.notes)

    def scan(self, call: Call) -> Document:
        """Look at all frontends of a namespace, or of all that may be looked at."""
        options, _, surroundings = self._prepared(call)
        everywhere = not options.kube.namespace
        labels = replace(options.objects, labels=str(call.arguments.get("selector", "")))
        options = replace(options, objects=labels, scan=replace(options.scan, all_namespaces=everywhere))
        settings = cluster_scan.ScanSettings((), cluster_scan.aws_rate(options), FailOn.ERROR)
        if self.recorded:
            _, report = scan.recorded(options, surroundings.env, settings)
        else:
            with self._connections(options, call) as connections:
                scanned = cluster_scan.ClusterScan(connections, options, surroundings.env, settings)
                report = scanned.last_report(call.stopped.is_set)
        return answers.of_scan(report, surroundings.notes)

    def probe(self, call: Call) -> Document:
        """Send the health checks of objects; through the API server, unless the server's flags say otherwise."""
        options, question, surroundings = self._prepared(call)
        if self.recorded:
            snapshot = probe.recorded(options, surroundings.env, question)
            self._check_namespace(ref.namespace for ref in snapshot.subjects)
        else:
            with self._connections(options, call) as connections:
                examination = Examination(connections, options, surroundings.env, accept=self._check_found)
                snapshot = probe.sent(examination, question or (AllOf(),), default="proxy")
        return answers.of_probes(probe_report(snapshot), surroundings.notes)

    def plan_fix(self, call: Call) -> Document:
        """Plan fixes, checked against what is there, and tried nowhere."""
        options, question, surroundings = self._prepared(call)
        requests = planner.parse(call.arguments["fixes"], CATALOGUE)
        if self.recorded:
            result = fix.planned_of_bundle(options, surroundings.env, question, requests)
            self._check_namespace(subject.ref.namespace for subject in result.before.subjects)
            return answers.of_plan(result, "", surroundings.notes)
        options = replace(options, change=replace(options.change, dry_run="client"))
        with self._connections(options, call) as connections:
            examination = Examination(connections, options, surroundings.env, strict=True, accept=self._check_found)
            run = fix.prepared(examination, question, requests, 0, _nobody, _unheard)
            run.go()
        digest = plan_digest(run.result, run.context) if not run.result.failures else ""
        return answers.of_plan(run.result, digest, surroundings.notes)

    def apply_fix(self, call: Call) -> Document:
        """Make the plan that a digest names, and no other. One fix at a time."""
        options, question, surroundings = self._prepared(call)
        requests = planner.parse(call.arguments["fixes"], CATALOGUE)
        options = replace(options, fix=replace(options.fix, undo_file=os.path.abspath(options.fix.undo_file or ".")))
        wait, digest = float(call.arguments.get("waitSeconds", 120)), call.arguments["digest"]
        with self._alone(), self._connections(options, call) as connections:
            examination = Examination(connections, options, surroundings.env, strict=True, accept=self._check_found)
            run = fix.prepared(
                examination,
                question,
                requests,
                wait,
                confirm=lambda result: not call.stopped.is_set(),
                observe=_unheard,
                accept=lambda result: _check_same(digest, plan_digest(result, run.context)),
            )
            try:
                run.go()
            except LbdoctorError:
                if not run.result.undo_file:
                    raise  # Else something may be changed: the answer names the undo file, and the error.
        return answers.of_fix(run.result, surroundings.notes)

    def explain(self, call: Call) -> Document:
        """Explain codes, reasons of AWS and fixes."""
        return answers.of_explanation(explain.explanation(call.arguments["topics"]))

    def list_codes(self, call: Call) -> Document:
        """List the codes."""
        return answers.of_codes(
            explain.chosen(call.arguments.get("prefixes", ()), bool(call.arguments.get("fixable", False)))
        )

    # ---

    def _prepared(self, call: Call) -> tuple[Options, Question, _Surroundings]:
        """The options of a call, what it asks about, and where its notes go."""
        namespace = str(call.arguments.get("namespace", ""))
        self._check_namespace([namespace] if namespace else [])
        kube = replace(self.options.kube, namespace=namespace or self.options.kube.namespace)
        options = replace(self.options, kube=kube)
        question = selected(parse(call.arguments.get("objects", ())), str(call.arguments.get("selector", "")), "")
        self._check_namespace(
            asked.namespace for asked in question if isinstance(asked, (Named, AllOf, LeadingTo)) and asked.namespace
        )
        return options, question, _Surroundings(self.env)

    def _check_found(self, found: Found) -> None:
        self._check_namespace(ref.namespace for ref in found.subjects)

    def _check_namespace(self, namespaces: Iterable[str]) -> None:
        """Raise UsageError for one that is not the one that the server was started with, where it was started so."""
        only = self.options.kube.namespace
        for namespace in namespaces:
            if only and namespace != only:
                raise UsageError(
                    f"this server answers about namespace {only} alone, and this is about {namespace}",
                    "it was started with -n; a person can start it without",
                )

    def _connections(self, options: Options, call: Call) -> Connections:
        """Fresh connections, with helpers for credentials that can ask nobody."""
        env = replace(self.env, stdin=io.StringIO())
        return Connections(options.kube, options.aws, env, call.deadline, options.output.level)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raise CouldNotRun while another fix is made."""
        if not self._fixing.acquire(blocking=False):
            raise CouldNotRun(
                "nothing was changed: another fix is being made", "call apply_fix again when it has ended"
            )
        try:
            yield
        finally:
            self._fixing.release()


class _Surroundings:
    """The environment of one call: nobody to ask, and its notes are kept for the answer."""

    def __init__(self, env: Environment) -> None:
        self._stderr = io.StringIO()
        self.env = replace(env, stdin=io.StringIO(), stdout=io.StringIO(), stderr=self._stderr)

    @property
    def notes(self) -> list[str]:
        return self._stderr.getvalue().splitlines()


def _check_same(agreed: str, found: str) -> None:
    """Raise CouldNotRun where the plan is another one than was agreed to."""
    if found != agreed:
        raise CouldNotRun(
            "nothing was changed: the plan is not the one of this digest any more, or the digest is of other arguments",
            "plan again with plan_fix, and look at what has changed",
        )


def _nobody(result: FixResult) -> bool:
    return False


def _unheard(event: object) -> None:
    """The result holds all that is told."""
