"""What the commands share: from connections to a snapshot, and from a snapshot to the report about it.

How facts are come by is imported where it happens: a run reads a cluster or a bundle, and few write one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kubectl_lbdoctor.analysis.frontends import foreign_subjects, traffic_paths
from kubectl_lbdoctor.analysis.ignores import beginning
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.runner import run
from kubectl_lbdoctor.collect.deadline import DEFAULT, Deadline
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, LbdoctorError, UsageError
from kubectl_lbdoctor.model.asked import Question
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.report import Report
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.model.where import NOWHERE, Where, where_of
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.record import record
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.report import build, needed_reads

if TYPE_CHECKING:
    from kubectl_lbdoctor.collect.collector import OpenAws
    from kubectl_lbdoctor.collect.kube_lists import Kube
    from kubectl_lbdoctor.collect.overlay import AppliedKube
    from kubectl_lbdoctor.collect.subjects import Found
    from kubectl_lbdoctor.probe.policy import ProbePolicy


@record
class Examination:
    """Reads one cluster, again and again over the same connections.

    strict: the run ends where one of several objects is missing; else it is told on stderr, the others are examined,
    and `missing` counts it. accept: looks at what a question leads to before anything is read of it, and raises
    LbdoctorError for what is not to be looked at.
    """

    connections: Connections
    options: Options
    env: Environment
    strict: bool = False
    accept: Callable[[Found], None] = lambda found: None
    _missing: list[LbdoctorError] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """How many of the objects that were named do not exist or lead to nothing."""
        return len(self._missing)

    def find(self, question: Question, kube: Kube | None = None) -> Found:
        """The subjects that are asked about. Raises what was said last of them where there is none, or (strict) one is
        missing."""
        from kubectl_lbdoctor.collect.inventory import ClusterInventory
        from kubectl_lbdoctor.collect.subjects import Finder

        namespace = self.connections.namespace
        inventory = ClusterInventory(kube or self.connections.kube)
        found = Finder(inventory, namespace, bool(self.options.kube.namespace)).find(question)
        if found.missing and (self.strict or not found.subjects):
            *others, last = found.missing
            for error in others:
                self._tell_missing(error)
            raise last
        for error in found.missing:
            self._tell_missing(error)
        self.accept(found)
        tell_notes(found, self.env)
        return found

    def _tell_missing(self, error: LbdoctorError) -> None:
        self._missing.append(error)
        note(self.env, f"error: {error.message}")
        if error.hint:
            note(self.env, f"hint: {error.hint}")

    def examined(self, question: Question, reads: frozenset[str] | None = None) -> tuple[Snapshot, Found]:
        """The facts about what was asked, without objects of other controllers that nobody named; about what manifests
        name, as it is or would be. Raises CouldNotRun where there is nothing."""
        if self.options.objects.files:
            return self._of_files(reads)
        found = self.find(question)
        return self._own(self.collect(tuple(found.subjects), reads), found), found

    def _of_files(self, reads: frozenset[str] | None) -> tuple[Snapshot, Found]:
        from kubectl_lbdoctor.collect.overlay import AppliedKube
        from kubectl_lbdoctor.commands import files

        kube, namespace = self.connections.kube, self.connections.namespace
        named = files.read(self.options.objects, self.env, kube, namespace, bool(self.options.kube.namespace))
        if named.planned and (self.strict or reads is not None):
            raise CouldNotRun("nothing of the manifests is live, so there is nothing to repair or to probe")
        for text in named.notes:
            note(self.env, text)
        for error in named.missing:
            if self.strict:
                raise error
            self._tell_missing(error)
        if not named.planned:
            found = self.find(named.question)
            return self.collect(tuple(found.subjects), reads), found
        laid = AppliedKube(kube, named.manifests, named.live, self.env.now())
        found = self.find(named.question, laid)
        return replace(self.collect(tuple(found.subjects), kube=laid), laid=named.laid), found

    def _own(self, snapshot: Snapshot, found: Found) -> Snapshot:
        """Without swept objects of other controllers: who asks about a namespace does not mean those."""
        foreign = {*foreign_subjects(snapshot)} & found.swept
        if not foreign:
            return snapshot
        if foreign >= {*snapshot.subjects}:
            names = ", ".join(sorted(map(str, foreign)))
            raise CouldNotRun(
                f"no object here is the AWS Load Balancer Controller's: {names} {'is' if len(foreign) == 1 else 'are'} "
                "of other controllers",
                "name an object to see why",
            )
        note(self.env, f"left out, because of another controller: {', '.join(sorted(map(str, foreign)))}")
        return snapshot.about(tuple(ref for ref in snapshot.subjects if ref not in foreign))

    def collect(
        self,
        subjects: tuple[ObjectRef, ...],
        reads: frozenset[str] | None = None,
        quiet: bool = False,
        kube: AppliedKube | None = None,
    ) -> Snapshot:
        """Everything that a diagnosis of these objects needs, or only the given reads.

        quiet: says nothing of its progress. kube: in place of the cluster, with manifests laid over it. Raises
        CouldNotRun when there is no cluster or no such object.
        """
        from kubectl_lbdoctor.collect.collector import Collector, ReadPlan

        plan = ReadPlan(
            subjects=subjects,
            reads=needed_reads(CATALOGUE) if reads is None else reads,
            context=context_of(self.connections),
            taken_at=self.env.now(),
            unmade=kube is not None,
            by_server=self.connections.kube.clock.corrected,
        )
        self.connections.deadline.for_objects(len(subjects))
        progress = (lambda _: None) if quiet else self.env.progress
        open_aws = cast("OpenAws", self.connections.open_aws)
        on_missing = None if self.strict or quiet else self._tell_missing
        snapshot = Collector(kube or self.connections.kube, open_aws, progress, on_missing).collect(plan)
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


def context_of(connections: Connections) -> Context:
    """Where the facts of a run are from, as far as the kubeconfig tells it."""
    context = connections.context
    return Context(
        kube_context=context.name,
        server=context.server,
        namespace=context.namespace,
        cluster=context.aws.cluster_name or context.cluster,
    )


def ignored_codes(options: Options) -> tuple[str, ...]:
    """The beginnings of codes that --ignore names. Raises UsageError for a word that no code begins with."""
    found = []
    for word in (word for given in options.verdict.ignore for word in given.split(",")):
        prefix = beginning(word)
        if not prefix or not any(spec.code.startswith(prefix) for spec in CATALOGUE):
            raise UsageError(
                f'no code begins with "{word}"', "codes look like LBD301; --ignore LBD7 means all of LBD7xx"
            )
        found.append(prefix)
    return tuple(found)


def deadline_of(options: Options, default: float | None = DEFAULT) -> Deadline:
    """When the reads of a run end, from now on. default: seconds where nobody has chosen, None for no end. Raises
    UsageError for a --timeout that is no time."""
    given = options.time.limit
    if not given:
        return Deadline(default)
    from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import parse_duration

    return Deadline(parse_duration(given, "--timeout", "0 means no end") or None, chosen=True)


def examine(snapshot: Snapshot, where: Where = NOWHERE, ignore: Sequence[str] = ()) -> Report:
    """All checks on one snapshot. where: what leads the commands in the report to the same place. ignore: beginnings of
    codes that nobody wants to hear of. Pure."""
    paths = traffic_paths(snapshot)
    if snapshot.laid:
        from kubectl_lbdoctor.before_apply import decided_by_objects, of_manifests

        catalogue = decided_by_objects(CATALOGUE)
        report = of_manifests(build(snapshot, paths, run(catalogue, paths), catalogue, ignore), snapshot)
    else:
        report = build(snapshot, paths, run(CATALOGUE, paths), CATALOGUE, ignore)
    return replace(report, where=where)


def where_of_bundle(options: Options) -> Where:
    """What the flags say beside --from: nothing else tells how its cluster is reached from here."""
    return where_of(options.kube, {}).in_aws(options.aws)


def from_bundle(options: Options, env: Environment, question: Question) -> tuple[Snapshot, Found]:
    """The snapshot of --from about what is asked, and how that was found; all of it when nothing is.

    Raises CouldNotRun for a file that is no bundle, or that does not hold one of the objects.
    """
    from kubectl_lbdoctor.collect.bundles import bundle
    from kubectl_lbdoctor.collect.bundles import subjects as bundle_subjects

    snapshot, found = bundle_subjects.chosen(bundle.load(Path(options.bundle.load)), question, options.kube.namespace)
    tell_notes(found, env)
    return snapshot, found


def tell_notes(found: Found, env: Environment) -> None:
    """What led where, on stderr."""
    for text in found.notes:
        note(env, text)


def check_save(options: Options) -> None:
    """Find out before the work whether the bundle of --save can be written. Raises CouldNotRun."""
    if options.bundle.save:
        from kubectl_lbdoctor.collect.bundles import file as bundle_file

        bundle_file.check_place(Path(options.bundle.save))


def save_bundle(snapshot: Snapshot, options: Options, env: Environment) -> None:
    """Write the bundle of --save, where it is asked for. Raises CouldNotRun when it cannot be written."""
    if options.bundle.save:
        from kubectl_lbdoctor.collect.bundles import bundle

        bundle.save(snapshot, Path(options.bundle.save))
        note(env, f"bundle saved: {options.bundle.save}")


def show(result: object, options: Options, env: Environment, run: Run) -> None:
    """Print a result in the format of -o, or open it in the browser. run: how it was come by."""
    env.progress("")
    view = View(env.width, False, env.colour, not options.output.no_headers, run=run)
    text = render(result, options.output.format, view)
    if options.page.open:
        from kubectl_lbdoctor.commands import browser

        text = browser.shown(text, env)
    env.out(text)


def note(env: Environment, text: str) -> None:
    """A line on stderr with what the cluster says in it: cleaned, and not behind a passing note."""
    from kubectl_lbdoctor.render.text import quoted

    env.progress("")
    env.note(quoted(text))
