"""The controllers with their pods, logs, identity and webhooks: what to ask for is known from one read to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import Any

from kubectl_lbdoctor.collect.converters import converter
from kubectl_lbdoctor.collect.fields import mapping, objects, text, texts
from kubectl_lbdoctor.collect.kube_lists import Kube, KubeLists
from kubectl_lbdoctor.collect.outcomes import attempt
from kubectl_lbdoctor.collect.served import require_whole
from kubectl_lbdoctor.collect.sieve import Sieve
from kubectl_lbdoctor.errors import ReadFailed
from kubectl_lbdoctor.knowledge.controller_identity import command_line_flags, lease_of
from kubectl_lbdoctor.knowledge.controller_logs import significant
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, joined
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL, EndpointSlice, Pod, TlsCertificate, WebhookConfiguration, Workload

WORKERS = 8
"""Reads of the controllers at a time, beside all others of a run."""

# The chart's label finds it first; a controller that was installed otherwise is found by its image or its arguments.
CONTROLLER_IMAGE = "aws-load-balancer-controller"
# Bounds of one controller pod's log: an hour of normal work fits, and a verbose one cannot hold up the diagnosis.
# Two hours hold every complaint that still stands: the controller repeats one after at most 17 minutes (docs/facts.md,
# "How long a complaint of the controller holds").
LOG_LINES = 2000
LOG_SECONDS = 2 * 60 * 60
LOG_BYTES = 1 << 20
# A line holds a whole Gateway or model at times. Fewer lines than these are not worth the look.
_LONGEST_LINE = 64 << 10
_FEWEST_LINES = 100


class ControllerReader:
    """The reads of `Scope.CONTROLLER`."""

    def __init__(self, kube: Kube, lists: KubeLists) -> None:
        self._kube = kube
        self._lists = lists

    def read(self, asked: frozenset[str]) -> dict[str, Any]:
        """What was read, by field of ClusterFacts; nothing where the controllers are not asked for."""
        if reads.CONTROLLER not in asked:
            return {}
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="controller")
        try:
            return self._read(asked, pool)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, asked: frozenset[str], pool: Executor) -> dict[str, Any]:
        """Each read begins as soon as it is known what to ask for: one after the other they would be the longest way
        of a run, and take ten answers of a slow API server."""
        webhooks = reads.KUBE[reads.WEBHOOKS]
        kinds = webhooks.kinds if reads.WEBHOOKS in asked else ()
        configurations = [pool.submit(self._lists.list, webhooks, kind) for kind in kinds]
        controllers = self._controllers()
        deployments = controllers.peek() or ()
        pods = [pool.submit(self._pods, deployment) for deployment in deployments]
        singles: dict[str, dict[str, Future[Any]]] = {}
        if reads.SERVICE_ACCOUNTS in asked:
            named = accounts_of(deployments)
            singles["service_accounts"] = self._start(pool, reads.SERVICE_ACCOUNTS, named)
        if reads.CONTROLLER_LEASES in asked:
            named = sorted({lease for d in deployments if (lease := lease_of(d)) is not None})
            singles["leases"] = self._start(pool, reads.CONTROLLER_LEASES, named)
        listed = [part.result() for part in pods]
        if reads.CONTROLLER_LOGS in asked:
            everyone = [pod for part in listed for pod in part.peek() or ()]
            singles["controller_logs"] = {p.meta.key: pool.submit(self._log, p) for p in pods_with_logs(everyone)}
        found: dict[str, Any] = {"controllers": controllers, "controller_pods": joined(reads.CONTROLLER_PODS, listed)}
        if configurations:
            found |= self._webhooks(asked, deployments, configurations, pool)
        return found | {name: {key: part.result() for key, part in parts.items()} for name, parts in singles.items()}

    def _start(self, pool: Executor, name: str, objects: Iterable[tuple[str, str]]) -> dict[str, Future[Any]]:
        """Begin to read these objects (namespace and name) by themselves; by "namespace/name"."""
        read = reads.KUBE[name]
        return {
            f"{home}/{title}": pool.submit(self._lists.one, read, read.kind, home, title) for home, title in objects
        }

    def _controllers(self) -> Fact[tuple[Workload, ...]]:
        """Controller Deployments of all namespaces: by the chart's label, else by image among all Deployments."""
        read = reads.KUBE[reads.CONTROLLER]
        labelled: Fact[tuple[Workload, ...]] = self._lists.list(read, read.kind)
        if not labelled.is_known or labelled.peek() or labelled.left_out:
            return labelled
        path, convert = read.kind.path(), converter(read.kind, read.keeps_arguments)
        # Only the image is looked at before anything is kept: a large cluster has thousands of Deployments.
        sieve = Sieve(read.kind.plural)

        def own(raw: dict[str, Any]) -> Workload | None:
            require_whole(read.kind, raw)  # Half a Deployment does not show that it is none of the controller.
            found: Workload | None = convert(raw) if runs_controller(raw) else None
            return found

        def listed() -> tuple[Workload, ...]:
            return tuple(found for found in sieve.through(self._lists.raw(path), own) if found is not None)

        return sieve.marked(attempt(read.name, path, listed))

    def _pods(self, deployment: Workload) -> Fact[tuple[Pod, ...]]:
        read = reads.KUBE[reads.CONTROLLER_PODS]
        selector = ",".join(f"{key}={value}" for key, value in sorted(deployment.selector.items()))
        return self._lists.list(read, read.kind, deployment.meta.namespace, {"labelSelector": selector})

    def _log(self, pod: Pod) -> Fact[str]:
        path = reads.KUBE[reads.CONTROLLER_LOGS].kind.path(pod.meta.namespace, pod.meta.name) + "/log"
        serving = pod.serving_containers()
        own = next((c for c in serving if CONTROLLER_IMAGE in c.image), serving[0] if serving else None)
        named = {"container": own.name} if own is not None else {}
        status = next((s for s in pod.statuses if own is not None and s.name == own.name), None)

        crashed = status is not None and status.restarts > 0 and not status.ready
        running = status is None or status.state == "running"

        def read() -> str:
            runs = []
            # A crash loop says why in the log of the run that ended, however long ago; the next one has said nothing
            # yet in its first seconds. Where the node keeps the ended one no more, what runs is all there is.
            if crashed:
                with suppress(ReadFailed) if running else nullcontext():
                    runs.append(self._end_of(path, {**named, "previous": True}))
            if running or not crashed:
                runs.append(self._end_of(path, {**named, "sinceSeconds": LOG_SECONDS}))
            return significant("\n".join(run.rstrip("\n") for run in runs))

        return attempt(reads.CONTROLLER_LOGS, pod.meta.key, read)

    def _end_of(self, path: str, params: Mapping[str, str | int | bool]) -> str:
        """The end of a log. Of a tail that is larger than the bound the newest lines are cut off, which are those that
        matter, so that fewer lines are asked for until they fit."""
        lines = LOG_LINES
        while True:
            found = self._kube.text(path, {**params, "tailLines": lines}, LOG_BYTES)
            is_cut = found.count("\n") < lines and len(found) > LOG_BYTES - _LONGEST_LINE
            if not is_cut or lines <= _FEWEST_LINES:
                return found
            lines //= 2

    def _webhooks(
        self,
        asked: frozenset[str],
        deployments: Sequence[Workload],
        configurations: Sequence[Future[Fact[Any]]],
        pool: Executor,
    ) -> dict[str, Any]:
        """The controllers' webhooks, the endpoints of their Services, and the certificates that they serve."""
        read = reads.KUBE[reads.WEBHOOKS]
        configured = joined(read.name, (part.result() for part in configurations), "cluster")
        webhooks = configured.map(_of_controller)
        services = sorted({(w.service_namespace, w.service_name) for w in webhooks.peek() or ()})
        slices = [pool.submit(self._slices, *service) for service in services]
        found: dict[str, Any] = {"webhooks": webhooks}
        if reads.WEBHOOK_SECRET in asked and webhooks.peek():
            found["webhook_certificates"] = self._certificates(deployments)
        found["webhook_slices"] = joined(reads.WEBHOOK_SLICES, (part.result() for part in slices))
        return found

    def _slices(self, namespace: str, service: str) -> Fact[tuple[EndpointSlice, ...]]:
        read = reads.KUBE[reads.WEBHOOK_SLICES]
        return self._lists.list(read, read.kind, namespace, {"labelSelector": f"{SERVICE_LABEL}={service}"})

    def _certificates(self, deployments: Iterable[Workload]) -> Fact[tuple[TlsCertificate, ...]]:
        """The certificates that the controllers serve their webhooks with; of each Secret, only that is kept."""
        read = reads.KUBE[reads.WEBHOOK_SECRET]
        secrets = sorted({(d.meta.namespace, d.certificate_secret) for d in deployments if d.certificate_secret})
        single = [self._lists.one(read, read.kind, namespace, name) for namespace, name in secrets]
        scope = ", ".join(f"{namespace}/{name}" for namespace, name in secrets)
        return joined(read.name, (fact.map(_listed) for fact in single), scope)


def pods_with_logs(pods: Iterable[Pod]) -> list[Pod]:
    """The pods whose logs are read: those with a container that has ever run."""
    return [pod for pod in pods if any(status.started or status.restarts for status in pod.statuses)]


def accounts_of(controllers: Iterable[Workload]) -> list[tuple[str, str]]:
    """Namespace and name of the controllers' service accounts, each once."""
    return sorted({(entry.meta.namespace, entry.service_account or "default") for entry in controllers})


def _of_controller(configurations: tuple[tuple[WebhookConfiguration, ...], ...]) -> tuple[WebhookConfiguration, ...]:
    """Webhooks of the controller: their names end in its API group, whatever the release is called."""
    return tuple(w for webhooks in configurations for w in webhooks if w.name.endswith(".elbv2.k8s.aws"))


def _listed(value: TlsCertificate | None) -> tuple[TlsCertificate, ...]:
    return () if value is None else (value,)


def runs_controller(raw: Mapping[str, Any]) -> bool:
    """Whether a raw Deployment runs the controller: its image, or the two flags that only it has together."""
    template = mapping(mapping(raw, "spec"), "template")
    for container in objects(mapping(template, "spec"), "containers"):
        words = [*texts(container, "command"), *texts(container, "args")]
        flags = set(command_line_flags(words))
        if CONTROLLER_IMAGE in text(container, "image") or {"cluster-name", "ingress-class"} <= flags:
            return True
    return False
