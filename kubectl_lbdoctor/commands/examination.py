"""What the commands share: from connections to a snapshot, and from a snapshot to the report about it.

How facts are come by is imported where it happens: a run reads a cluster or a bundle, and few write one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect.deadline import DEFAULT, Deadline
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.formats import View, render
from kubectl_lbdoctor.report import build, needed_reads

if TYPE_CHECKING:
    from kubectl_lbdoctor.collect.collector import OpenAws
    from kubectl_lbdoctor.collect.subjects import Lists
    from kubectl_lbdoctor.probe.policy import ProbePolicy

Requested = tuple[tuple[str, str], ...]
"""The objects of the command line, as (kind, name)."""


@dataclass(frozen=True)
class Examination:
    """Reads one cluster, again and again over the same connections."""

    connections: Connections
    options: Options
    env: Environment

    def subjects(self, requested: Requested) -> tuple[ObjectRef, ...]:
        """The objects that are asked for. Raises CouldNotRun for one that leads to nothing in the cluster."""
        from kubectl_lbdoctor.collect.subjects import subjects_of

        return subjects_of(cast("Lists", self.connections.kube), requested, self.connections.namespace)

    def all_subjects(self) -> tuple[ObjectRef, ...]:
        """Everything in the namespace that leads to targets. Raises CouldNotRun where there is nothing."""
        from kubectl_lbdoctor.collect.subjects import namespace_subjects

        namespace = self.connections.namespace
        found = namespace_subjects(cast("Lists", self.connections.kube), namespace)
        if not found:
            raise CouldNotRun(
                f"namespace {namespace} has no Ingress, no Service of type LoadBalancer and no binding",
                "choose another with -n",
            )
        return found

    def collect(
        self, subjects: tuple[ObjectRef, ...], reads: frozenset[str] | None = None, quiet: bool = False
    ) -> Snapshot:
        """Everything that a diagnosis of these objects needs, or only the given reads.

        quiet: says nothing of its progress. Raises CouldNotRun when there is no cluster or no such object.
        """
        from kubectl_lbdoctor.collect.collector import Collector, ReadPlan

        context = self.connections.context
        plan = ReadPlan(
            subjects=subjects,
            reads=needed_reads(CATALOGUE) if reads is None else reads,
            context=Context(
                kube_context=context.name,
                server=context.server,
                namespace=context.namespace,
                cluster=context.aws.cluster_name or context.cluster,
            ),
            taken_at=self.env.now(),
        )
        self.connections.deadline.for_objects(len(subjects))
        progress = (lambda _: None) if quiet else self.env.progress
        open_aws = cast("OpenAws", self.connections.open_aws)
        snapshot = Collector(self.connections.kube, open_aws, progress).collect(plan)
        if self.options.output.verbose and not quiet:
            calls = self.connections.calls
            listed = ", ".join(f"{n} {name}" for name, n in sorted(calls.items()))
            self.env.note(f"{sum(calls.values())} calls: {listed}")
        return snapshot

    def probes(self) -> ProbePolicy:
        """How health checks are sent in this run."""
        from kubectl_lbdoctor.probe.policy import ProbePolicy

        variables = self.env.variables
        return ProbePolicy(
            kube=self.connections.kube,
            flags=self.options.probe,
            user=variables.get("USER") or variables.get("USERNAME") or "unknown",
            now=self.env.now(),
            deadline=self.connections.deadline,
            note=lambda text: note(self.env, text),
            progress=self.env.progress,
        )

    def snapshot(self, subjects: tuple[ObjectRef, ...], quiet: bool = False) -> Snapshot:
        """The facts about these objects, with what probes add to them."""
        return self.probes().settle(self.collect(subjects, quiet=quiet))


def deadline_of(options: Options) -> Deadline:
    """When the reads of a diagnosis end, from now on. Raises UsageError for a --timeout that is no time."""
    given = options.time.limit
    if not given:
        return Deadline(DEFAULT)
    from kubectl_lbdoctor.collect.kubeconfig import parse_duration

    return Deadline(parse_duration(given, "--timeout", "0 means no end") or None, chosen=True)


def examine(snapshot: Snapshot) -> Report:
    """All checks on one snapshot. Pure."""
    paths = traffic_paths(snapshot)
    return build(snapshot, paths, run(CATALOGUE, paths), CATALOGUE)


def from_bundle(options: Options, requested: Requested) -> Snapshot:
    """The snapshot of --from about the objects that are asked for; all of it when none are.

    Raises CouldNotRun for a file that is no bundle, or that does not hold one of the objects.
    """
    from kubectl_lbdoctor.collect import bundle

    return bundle.chosen(bundle.load(Path(options.bundle.load)), requested, options.kube.namespace)


def check_save(options: Options) -> None:
    """Find out before the work whether the bundle of --save can be written. Raises CouldNotRun."""
    if options.bundle.save:
        from kubectl_lbdoctor.collect import bundle_file

        bundle_file.check_place(Path(options.bundle.save))


def save_bundle(snapshot: Snapshot, options: Options, env: Environment) -> None:
    """Write the bundle of --save, where it is asked for. Raises CouldNotRun when it cannot be written."""
    if options.bundle.save:
        from kubectl_lbdoctor.collect import bundle

        bundle.save(snapshot, Path(options.bundle.save))
        env.note(f"bundle saved: {options.bundle.save}")


def show(result: object, options: Options, env: Environment) -> None:
    """Print a result in the format of -o."""
    env.progress("")
    env.out(render(result, options.output.format, View(env.width, False, env.colour)))


def note(env: Environment, text: str) -> None:
    """A line on stderr with what the cluster says in it: cleaned, and not behind a passing note."""
    from kubectl_lbdoctor.render.text import quoted

    env.progress("")
    env.note(quoted(text))
