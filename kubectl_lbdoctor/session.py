"""One run's connections: the cluster of the kubeconfig, and AWS once it is needed. SDKs are imported here, when a
cluster is really asked."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, cast

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.resolve import Lists
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import NoCredentials
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.probe import ProbeFacts, ProbeRequest
from kubectl_lbdoctor.model.snapshot import Context, Snapshot
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.report import needed_reads

if TYPE_CHECKING:
    from kubectl_lbdoctor.collect.aws import AwsReader
    from kubectl_lbdoctor.collect.collector import Aws
    from kubectl_lbdoctor.probe.runner import ProbeOptions

# A diagnosis is about a second of work; an AWS endpoint that does not answer must not hold it up for minutes.
AWS_READ_TIMEOUT = 5.0
AWS_ATTEMPTS = 3


class Session:
    """Opens the kubeconfig's context; `collect` may be called again and again, over the same connections.

    Raises LbdoctorError when the kubeconfig leads to no cluster. Use it as a context manager: temporary files of
    credentials are removed at its end.
    """

    def __init__(self, options: Options, env: Environment) -> None:
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
        self.options = options
        self.env = env
        self.context = load_kube_context(
            kube_options, env.variables, interactive=env.stdin is not None and env.stdin.isatty(), notify=env.note
        )
        self._aws: AwsReader | None = None
        try:
            self.kube = KubeReader(self.context)
        except BaseException:
            self.context.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.context.close()

    @property
    def namespace(self) -> str:
        return self.context.namespace

    @property
    def aws(self) -> AwsReader | None:
        """The AWS client, once a `collect` could open it; None where AWS is not asked or has no credentials."""
        return self._aws

    @property
    def calls(self) -> int:
        """How many requests were sent to the cluster and to AWS."""
        return sum(self.kube.calls.values()) + (sum(self._aws.calls.values()) if self._aws is not None else 0)

    def subjects(self, wanted: tuple[tuple[str, str], ...]) -> tuple[ObjectRef, ...]:
        """The objects behind (kind, name) pairs; target groups and load balancers are traced to theirs first."""
        from kubectl_lbdoctor.collect import resolve

        kube = cast(Lists, self.kube)
        found: list[ObjectRef] = []
        for kind, name in wanted:
            if kind == "TargetGroup":
                found += resolve.target_group(kube, name, self.namespace)
            elif kind == "LoadBalancer":
                found += resolve.load_balancer(kube, name, self.namespace)
            else:
                found.append(ObjectRef(kind, self.namespace, name))
        return tuple(dict.fromkeys(found))

    def all_subjects(self) -> tuple[ObjectRef, ...]:
        """Everything in the namespace that leads to targets: Ingresses, Services of type LoadBalancer, and the
        TargetGroupBindings that people made themselves."""
        from kubectl_lbdoctor.collect import resolve

        return resolve.namespace_subjects(cast(Lists, self.kube), self.namespace)

    def open_aws(self, region: str) -> None:
        """Open AWS without a diagnosis, in this region. Raises NoCredentials or what else keeps it from opening."""
        self._open_aws(lambda: region or None)

    def collect(
        self, subjects: tuple[ObjectRef, ...], reads: frozenset[str] | None = None, quiet: bool = False
    ) -> Snapshot:
        """Everything that a diagnosis of these objects needs, or only the given reads.

        quiet: says nothing of its progress. Raises CouldNotRun when there is nothing to diagnose: no cluster or no
        such object.
        """
        from kubectl_lbdoctor.collect.collector import Collector, Plan

        plan = Plan(
            subjects=subjects,
            reads=needed_reads(CATALOGUE) if reads is None else reads,
            context=Context(
                kube_context=self.context.name,
                server=self.context.server,
                namespace=self.context.namespace,
                cluster=self.context.aws.cluster_name or self.context.cluster,
            ),
            taken_at=self.env.now(),
        )
        progress = (lambda _: None) if quiet else self.env.progress
        snapshot = Collector(self.kube, self._open_aws, progress).collect(plan)
        if self.options.verbose and not quiet:
            calls = {**self.kube.calls, **(self._aws.calls if self._aws is not None else {})}
            said = ", ".join(f"{n} {name}" for name, n in sorted(calls.items()))
            self.env.note(f"{sum(calls.values())} calls: {said}")
        return snapshot

    def probed(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the answers to the health checks that separate what its facts leave open."""
        from kubectl_lbdoctor.probe import rounds, runner

        if self.options.probe == "off":
            return snapshot
        ways = self.ways(snapshot)
        first = True

        def send(requests: tuple[ProbeRequest, ...]) -> ProbeFacts:
            nonlocal first
            by_pods, first = first and ways.mode == "pod", False
            if by_pods:
                return self.send(requests, ways)
            # What the first answers leave open is asked of pods, and needs no second debug pod.
            budget = rounds.budget(requests) if ways.mode == "auto" else runner.ASKED_BUDGET
            return runner.send_through_api_server(self.kube, requests, budget, self.env.progress)

        return rounds.ask(snapshot, send)

    def send(self, requests: tuple[ProbeRequest, ...], ways: ProbeOptions) -> ProbeFacts:
        """Send health checks; through the API server where debug pods may not be and the targets are pods."""
        from kubectl_lbdoctor.probe import runner

        facts = runner.send(self.kube, requests, ways, self.note, self.env.progress)
        if ways.mode != "pod" or ways.inside or facts.answers.is_known or not any(r.pod for r in requests):
            return facts
        self.note(f"no debug pod: {facts.answers.reason}")
        self.note("asking through the API server instead: pod proxy and port-forward")
        other = runner.send_through_api_server(self.kube, requests, runner.ASKED_BUDGET, self.env.progress)
        return other if other.answers.is_known else facts

    def ways(self, snapshot: Snapshot, default: str = "auto") -> ProbeOptions:
        """How the options say to send health checks; `default` where they say nothing."""
        from kubectl_lbdoctor.probe import pods, runner

        options = self.options
        mode = options.probe if options.probe != "auto" else default
        if options.probe_target or options.probe_nodes or options.probe_image:
            mode = "pod"
        return runner.ProbeOptions(
            mode=mode,
            image=options.probe_image or pods.IMAGE,
            from_nodes=options.probe_nodes,
            inside=options.probe_target == "pod",
            nodes=snapshot.cluster.nodes.peek() or (),
            user=self.env.variables.get("USER") or self.env.variables.get("USERNAME") or "unknown",
            now=self.env.now(),
        )

    def note(self, text: str) -> None:
        """A line on stderr with what the cluster says in it: cleaned, and not behind a passing note."""
        from kubectl_lbdoctor.render.text import clean

        self.env.progress("")
        self.env.note(clean(text))

    def _open_aws(self, node_region: Callable[[], str | None]) -> Aws:
        """The AWS client, opened at the first call. Raises NoCredentials where AWS is not to be asked."""
        from kubectl_lbdoctor.collect.aws import AwsReader
        from kubectl_lbdoctor.collect.aws_session import AwsOptions, open_session

        options = self.options
        if options.no_aws:
            raise NoCredentials("AWS was not asked: --no-aws")
        if self._aws is None:
            chosen = AwsOptions(options.profile, options.region, options.no_aws)
            session = open_session(chosen, self.context.aws, node_region, self.env.variables)
            timeout = min(AWS_READ_TIMEOUT, self.context.request_timeout or AWS_READ_TIMEOUT)
            reader = AwsReader(session, read_timeout=timeout, max_attempts=AWS_ATTEMPTS)
            reader.prepare("elbv2")
            self._aws = reader
        return cast("Aws", self._aws)
