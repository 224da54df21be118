"""Which reads are made, in what order, and what becomes of their failures.

Reads that do not depend on each other run at the same time on a bounded pool; every outcome, good or bad, becomes a
Fact. The number of calls is O(pages): lists per namespace, one DescribeTargetHealth per target group in question,
never one call per pod or target.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from kubectl_lbdoctor.analysis.frontends import listener_groups, traffic_paths
from kubectl_lbdoctor.analysis.ingress_backends import ingress_group
from kubectl_lbdoctor.analysis.ownership import controller_flags
from kubectl_lbdoctor.collect import convert_aws, convert_kube, convert_network
from kubectl_lbdoctor.collect.identity_reads import IdentityReader
from kubectl_lbdoctor.collect.network_reads import NetworkReader
from kubectl_lbdoctor.collect.subjects import balancer_name
from kubectl_lbdoctor.errors import (
    ApiMissing,
    AwsApiError,
    CouldNotRun,
    LbdoctorError,
    NoCredentials,
    ReadDenied,
    ReadFailed,
    Unreachable,
)
from kubectl_lbdoctor.knowledge.controller_logs import concerning, significant
from kubectl_lbdoctor.model import aws, k8s, reads
from kubectl_lbdoctor.model.arn import parse as parse_arn
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.network import control_plane_description
from kubectl_lbdoctor.model.snapshot import AwsFacts, ClusterFacts, Context, NamespaceFacts, NetworkFacts, Snapshot
from kubectl_lbdoctor.model.traffic_path import TrafficPath

T = TypeVar("T")
R = TypeVar("R")

# Enough for every first-stage read of one namespace to run at once; connections are reused after that.
WORKERS = 16
# DescribeTargetGroups and DescribeLoadBalancers take at most 20 names or ARNs a call (ELBv2 API reference).
ELB_BATCH = 20

# The chart's label; a controller that was installed otherwise is found by its image or its arguments.
CONTROLLER_SELECTOR = "app.kubernetes.io/name=aws-load-balancer-controller"
CONTROLLER_IMAGE = "aws-load-balancer-controller"
# Bounds of one controller pod's log: an hour of normal work fits, and a verbose one cannot hold up the diagnosis.
LOG_LINES = 2000
LOG_BYTES = 1 << 20


class Kube(Protocol):
    """What the collector needs of `collect.kube.KubeReader`."""

    def get(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> dict[str, Any] | None: ...

    def list(self, path: str, params: Mapping[str, str | int | bool] | None = None) -> Iterator[dict[str, Any]]: ...

    def text(self, path: str, params: Mapping[str, str | int | bool] | None = None, max_bytes: int = ...) -> str: ...


class Aws(Protocol):
    """What the collector needs of `collect.aws.AwsReader`."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any: ...


OpenAws = Callable[[Callable[[], "str | None"]], Aws]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about: the objects, and the reads that the selected checks declare."""

    subjects: tuple[ObjectRef, ...]
    reads: frozenset[str]
    context: Context
    taken_at: str


_WORKLOADS = (
    ("deployments", "Deployment"),
    ("statefulsets", "StatefulSet"),
    ("daemonsets", "DaemonSet"),
    ("replicasets", "ReplicaSet"),
)
SUBJECT_PATHS = {
    "Ingress": ("networking.k8s.io/v1", "ingresses"),
    "Service": ("v1", "services"),
    "TargetGroupBinding": ("elbv2.k8s.aws/v1beta1", "targetgroupbindings"),
}


def api_path(group_version: str, resource: str, namespace: str = "", name: str = "") -> str:
    """The URL path of a collection or an object."""
    root = "/api/v1" if group_version == "v1" else f"/apis/{group_version}"
    middle = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{middle}/{resource}" + (f"/{name}" if name else "")


def attempt(source: str, scope: str, read: Callable[[], T]) -> Fact[T]:
    """Run one read and turn every documented way of failing into a fact; only what ends the run is raised."""
    try:
        return Fact.known(source, read(), scope)
    except ReadDenied as error:
        return Fact.denied(source, error.message, error.permission, scope)
    except NoCredentials as error:
        return Fact.not_asked(source, error.message, scope)
    except CouldNotRun:
        raise
    except LbdoctorError as error:
        return Fact.failed(source, error.message, scope)


class Collector:
    """One run's reads. `kube` and `open_aws` are the only ways out; `progress` gets a line per stage."""

    def __init__(self, kube: Kube, open_aws: OpenAws, progress: Callable[[str], None] = lambda _: None) -> None:
        self._kube = kube
        self._open_aws = open_aws
        self._progress = progress

    def collect(self, plan: Plan) -> Snapshot:
        """Read everything that the plan needs.

        Raises CouldNotRun when there is nothing to diagnose: the API server does not answer or refuses the
        credentials, or a subject does not exist (then with similar names).
        """
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="read")
        try:
            return self._collect(pool, plan)
        finally:
            # Without waiting: after Ctrl-C, or when one read has ended the run, the others are of no use.
            pool.shutdown(wait=False, cancel_futures=True)

    def _collect(self, pool: ThreadPoolExecutor, plan: Plan) -> Snapshot:
        self._progress("reading the cluster")
        spaces = {
            namespace: self._namespace(pool, plan, namespace)
            for namespace in dict.fromkeys(subject.namespace for subject in plan.subjects)
        }
        cluster = self._cluster(pool, plan)
        controller = pool.submit(self._controller, plan)
        bindings = [futures["bindings"] for futures in spaces.values() if "bindings" in futures]
        aws_reader, aws_reason = self._aws(plan, cluster.get("nodes"), bindings)
        snapshot = Snapshot(
            taken_at=plan.taken_at,
            context=plan.context,
            subjects=plan.subjects,
            namespaces={name: NamespaceFacts(**_results(futures)) for name, futures in spaces.items()},
        )
        self._require_subjects(snapshot)
        self._progress("reading AWS")
        # Classes decide which IngressGroup a subject is in, and with it whether other namespaces matter.
        cluster_facts = ClusterFacts(**_results(cluster))
        snapshot = replace(snapshot, cluster=cluster_facts)
        grouped = self._group_ingresses(pool, plan, snapshot)
        facts, network = self._aws_facts(pool, plan, snapshot, aws_reader, aws_reason, controller)
        cluster_facts = replace(cluster_facts, **controller.result(), **_results(grouped))
        if aws_reader is not None and plan.reads.issuperset(reads.IDENTITY):
            heard = replace(snapshot, cluster=cluster_facts, aws=facts)
            facts = replace(facts, identity=IdentityReader(aws_reader, attempt, pool).read(heard))
        words = {word for traffic in traffic_paths(snapshot) for word in _names(traffic)}
        logs = {
            pod: log.map(lambda text: concerning(text, words)) for pod, log in cluster_facts.controller_logs.items()
        }
        cluster_facts = replace(cluster_facts, controller_logs=logs)
        snapshot = replace(snapshot, cluster=cluster_facts, aws=facts, network=network)
        return replace(snapshot, context=_completed(snapshot))

    # ---- Kubernetes

    def _list(
        self, source: str, path: str, convert: Callable[[dict[str, Any]], R], **params: str
    ) -> Fact[tuple[R, ...]]:
        def read() -> tuple[R, ...]:
            try:
                return tuple(convert(item) for item in self._kube.list(path, params or None))
            except ApiMissing:
                return ()  # The cluster does not have this API: none of its objects can exist.
            except Unreachable as error:
                raise CouldNotRun(error.message, error.hint) from error  # Every other read would fail alike.

        return attempt(source, path, read)

    def _namespace(self, pool: ThreadPoolExecutor, plan: Plan, namespace: str) -> dict[str, Future[Any]]:
        lists: list[tuple[str, str, str, str, Callable[[dict[str, Any]], Any]]] = [
            ("services", reads.SERVICES, "v1", "services", convert_kube.service),
            ("slices", reads.ENDPOINT_SLICES, "discovery.k8s.io/v1", "endpointslices", convert_kube.endpoint_slice),
            ("pods", reads.PODS, "v1", "pods", convert_kube.pod),
            (
                "bindings",
                reads.BINDINGS,
                "elbv2.k8s.aws/v1beta1",
                "targetgroupbindings",
                convert_kube.target_group_binding,
            ),
            ("ingresses", reads.INGRESSES, "networking.k8s.io/v1", "ingresses", convert_kube.ingress),
            ("events", reads.EVENTS, "v1", "events", convert_kube.event),
            (
                "policies",
                reads.NETWORK_POLICIES,
                "networking.k8s.io/v1",
                "networkpolicies",
                convert_network.network_policy,
            ),
        ]
        futures: dict[str, Future[Any]] = {}
        for attribute, source, version, resource, convert in lists:
            if source in plan.reads:
                path = api_path(version, resource, namespace)
                futures[attribute] = pool.submit(self._list, source, path, convert)
        mine = [subject for subject in plan.subjects if subject.namespace == namespace]
        if len({subject.kind for subject in mine}) == 1:
            # Subjects of another kind need the whole list: what was not read must not look absent to them.
            _, resource = SUBJECT_PATHS[mine[0].kind]
            attribute = {"ingresses": "ingresses", "services": "services"}.get(resource, "bindings")
            if attribute in futures:
                futures[attribute] = pool.submit(self._with_singles, futures[attribute], mine)
        if reads.NAMESPACES in plan.reads:
            futures["namespace"] = pool.submit(self._namespace_object, namespace)
        if reads.WORKLOADS in plan.reads:
            parts = [
                pool.submit(
                    self._list,
                    reads.WORKLOADS,
                    api_path("apps/v1", resource, namespace),
                    lambda raw, kind=kind: convert_kube.workload(raw, kind),
                )
                for resource, kind in _WORKLOADS
            ]
            futures["workloads"] = pool.submit(_joined, parts)
        return futures

    def _namespace_object(self, name: str) -> Fact[k8s.Namespace | None]:
        path = api_path("v1", "namespaces", name=name)
        fact = attempt(reads.NAMESPACES, path, lambda: self._kube.get(path))
        return fact.map(lambda raw: convert_kube.namespace(raw) if raw is not None else None)

    def _controller(self, plan: Plan) -> dict[str, Any]:
        """The controllers with their pods, logs, identity and webhooks: each step needs the one before."""
        found: dict[str, Any] = {}
        if reads.CONTROLLER not in plan.reads:
            return found
        controllers = self._controllers()
        found["controllers"] = controllers
        homes = {(c.meta.namespace, c.meta.name): c for c in controllers.peek() or ()}
        pods: list[k8s.Pod] = []
        listed: Fact[tuple[k8s.Pod, ...]] = Fact.known(reads.CONTROLLER_PODS, ())
        for (namespace, _), deployment in homes.items():
            selector = ",".join(f"{k}={v}" for k, v in sorted(deployment.selector.items()))
            fact = self._list(
                reads.CONTROLLER_PODS,
                api_path("v1", "pods", namespace),
                lambda raw: convert_kube.pod(raw, with_args=True),
                labelSelector=selector,
            )
            listed = fact if not fact.is_known else listed
            pods += fact.peek() or ()
        found["controller_pods"] = Fact.known(reads.CONTROLLER_PODS, tuple(pods)) if listed.is_known else listed
        if reads.CONTROLLER_LOGS in plan.reads:
            found["controller_logs"] = {
                p.meta.key: self._log(p) for p in pods if any(s.started or s.restarts for s in p.statuses)
            }
        if reads.SERVICE_ACCOUNTS in plan.reads:
            accounts = {(c.meta.namespace, c.service_account or "default") for c in homes.values()}
            found["service_accounts"] = {
                f"{ns}/{name}": self._service_account(ns, name) for ns, name in sorted(accounts)
            }
        if reads.WEBHOOKS in plan.reads:
            webhooks = self._webhooks()
            found["webhooks"] = webhooks
            targets = sorted({(w.service_namespace, w.service_name) for w in webhooks.peek() or ()})
            slices: list[k8s.EndpointSlice] = []
            answer: Fact[tuple[k8s.EndpointSlice, ...]] = Fact.known(reads.WEBHOOK_SLICES, ())
            for namespace, name in targets:
                fact_slices = self._list(
                    reads.WEBHOOK_SLICES,
                    api_path("discovery.k8s.io/v1", "endpointslices", namespace),
                    convert_kube.endpoint_slice,
                    labelSelector=f"kubernetes.io/service-name={name}",
                )
                answer = fact_slices if not fact_slices.is_known else answer
                slices += fact_slices.peek() or ()
            found["webhook_slices"] = Fact.known(reads.WEBHOOK_SLICES, tuple(slices)) if answer.is_known else answer
            if reads.WEBHOOK_SECRET in plan.reads and webhooks.peek():
                found["webhook_certificates"] = self._webhook_certificates(homes.values())
        return found

    def _webhook_certificates(self, controllers: Iterable[k8s.Workload]) -> Fact[tuple[k8s.TlsCertificate, ...]]:
        """The certificates that the controllers serve their webhooks with; of each Secret, only that is kept."""
        wanted = sorted({(c.meta.namespace, c.certificate_secret) for c in controllers if c.certificate_secret})

        def read() -> tuple[k8s.TlsCertificate, ...]:
            raw = [self._kube.get(api_path("v1", "secrets", namespace, name)) for namespace, name in wanted]
            return tuple(convert_kube.tls_certificate(entry) for entry in raw if entry is not None)

        return attempt(reads.WEBHOOK_SECRET, ", ".join(f"{ns}/{name}" for ns, name in wanted), read)

    def _controllers(self) -> Fact[tuple[k8s.Workload, ...]]:
        """Controller Deployments of all namespaces: by the chart's label, else by image among all Deployments."""
        path = api_path("apps/v1", "deployments")

        def convert(raw: dict[str, Any]) -> k8s.Workload:
            return convert_kube.workload(raw, "Deployment", with_args=True)

        labelled = self._list(reads.CONTROLLER, path, convert, labelSelector=CONTROLLER_SELECTOR)
        if not labelled.is_known or labelled.peek():
            return labelled

        def read() -> tuple[k8s.Workload, ...]:
            # Only the image is looked at before anything is kept: a large cluster has thousands of Deployments.
            return tuple(convert(raw) for raw in self._kube.list(path) if _runs_controller(raw))

        return attempt(reads.CONTROLLER, path, read)

    def _log(self, pod: k8s.Pod) -> Fact[str]:
        path = api_path("v1", "pods", pod.meta.namespace, pod.meta.name) + "/log"
        serving = pod.serving_containers()
        own = next((c for c in serving if CONTROLLER_IMAGE in c.image), serving[0] if serving else None)
        params: dict[str, str | int | bool] = {"tailLines": LOG_LINES}
        if own is not None:
            params["container"] = own.name
            status = next((s for s in pod.statuses if s.name == own.name), None)
            if status is not None and status.state != "running" and status.restarts:
                params["previous"] = True  # A crash loop says why in the log of the run that ended.
        return attempt(
            reads.CONTROLLER_LOGS, pod.meta.key, lambda: significant(self._kube.text(path, params, LOG_BYTES))
        )

    def _service_account(self, namespace: str, name: str) -> Fact[k8s.ServiceAccount | None]:
        path = api_path("v1", "serviceaccounts", namespace, name)
        fact = attempt(reads.SERVICE_ACCOUNTS, path, lambda: self._kube.get(path))
        return fact.map(lambda raw: convert_kube.service_account(raw) if raw is not None else None)

    def _webhooks(self) -> Fact[tuple[k8s.WebhookConfiguration, ...]]:
        """Webhooks of the controller: their names end in its API group, whatever the release is called."""

        def read() -> tuple[k8s.WebhookConfiguration, ...]:
            found: list[k8s.WebhookConfiguration] = []
            for resource in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
                for raw in self._kube.list(api_path("admissionregistration.k8s.io/v1", resource)):
                    found += (w for w in convert_kube.webhooks(raw) if w.name.endswith(".elbv2.k8s.aws"))
            return tuple(found)

        return attempt(reads.WEBHOOKS, "cluster", read)

    def _group_ingresses(self, pool: ThreadPoolExecutor, plan: Plan, snapshot: Snapshot) -> dict[str, Future[Any]]:
        """Ingresses of all namespaces, only where a subject shares its load balancer with others."""
        grouped = any(
            ingress_group(ingress, snapshot)
            for traffic in traffic_paths(snapshot)
            if (ingress := traffic.ingress.peek()) is not None
        )
        if not grouped or reads.ALL_INGRESSES not in plan.reads:
            return {}
        path = api_path("networking.k8s.io/v1", "ingresses")
        return {"group_ingresses": pool.submit(self._list, reads.ALL_INGRESSES, path, convert_kube.ingress)}

    def _with_singles(self, listing: Future[Fact[tuple[Any, ...]]], subjects: list[ObjectRef]) -> Fact[tuple[Any, ...]]:
        """The list; where only listing is denied, the subjects by their names (a common half of permissions)."""
        fact = listing.result()
        if fact.is_known or not fact.permission:
            return fact
        found: list[Any] = []
        for subject in subjects:
            version, resource = SUBJECT_PATHS[subject.kind]
            convert = getattr(
                convert_kube, {"TargetGroupBinding": "target_group_binding"}.get(subject.kind, subject.kind.lower())
            )
            path = api_path(version, resource, subject.namespace, subject.name)
            single = attempt(fact.source, path, lambda path=path: self._kube.get(path))  # type: ignore[misc]
            if not single.is_known:
                return fact
            found += [convert(raw) for raw in (single.need(),) if raw is not None]
        return Fact.known(fact.source, tuple(found), fact.scope)

    def _cluster(self, pool: ThreadPoolExecutor, plan: Plan) -> dict[str, Future[Any]]:
        futures: dict[str, Future[Any]] = {}
        if reads.NODES in plan.reads:
            # resourceVersion=0: served from the API server's cache; a second of staleness does no harm for nodes.
            path = api_path("v1", "nodes")
            futures["nodes"] = pool.submit(self._list, reads.NODES, path, convert_kube.node, resourceVersion="0")
        if reads.INGRESS_CLASSES in plan.reads:
            path = api_path("networking.k8s.io/v1", "ingressclasses")
            futures["ingress_classes"] = pool.submit(
                self._list, reads.INGRESS_CLASSES, path, convert_kube.ingress_class
            )
        if reads.INGRESS_CLASS_PARAMS in plan.reads:
            path = api_path("elbv2.k8s.aws/v1beta1", "ingressclassparams")
            futures["class_params"] = pool.submit(
                self._list, reads.INGRESS_CLASS_PARAMS, path, convert_kube.ingress_class_params
            )
        if reads.KUBE_PROXY in plan.reads:
            # EKS installs kube-proxy under this name and label; Auto Mode and Fargate nodes have none.
            futures["kube_proxy"] = pool.submit(
                self._list,
                reads.KUBE_PROXY,
                api_path("apps/v1", "daemonsets", "kube-system"),
                lambda raw: convert_kube.workload(raw, "DaemonSet", with_args=True),
            )
            futures["kube_proxy_pods"] = pool.submit(
                self._list,
                reads.KUBE_PROXY_PODS,
                api_path("v1", "pods", "kube-system"),
                lambda raw: convert_kube.pod(raw, with_args=True),
                labelSelector="k8s-app=kube-proxy",
            )
        return futures

    def _require_subjects(self, snapshot: Snapshot) -> None:
        """Raise when a subject certainly does not exist; name similar ones."""
        for subject in snapshot.subjects:
            facts = snapshot.namespaces[subject.namespace]
            listings: dict[str, Fact[Any]] = {
                "Ingress": facts.ingresses,
                "Service": facts.services,
                "TargetGroupBinding": facts.bindings,
            }
            items = listings[subject.kind].peek()
            if items is None or any(item.meta.name == subject.name for item in items):
                continue
            names = [item.meta.name for item in items]
            if not names and self._lacks_namespace(facts, subject.namespace):
                raise CouldNotRun(
                    f'namespace "{subject.namespace}" does not exist', "list them with: kubectl get namespaces"
                )
            close = difflib.get_close_matches(subject.name, names, n=3, cutoff=0.4) or names[:5]
            if not names:
                kind = subject.kind.lower()
                hint = f"look in all namespaces: kubectl get {kind} -A"
            else:
                hint = f"there is: {', '.join(close)}"
            raise CouldNotRun(f'{subject.kind} "{subject.name}" not found in namespace "{subject.namespace}"', hint)

    def _lacks_namespace(self, facts: NamespaceFacts, name: str) -> bool:
        """Whether the namespace certainly does not exist: lists are merely empty then."""
        found = facts.namespace if facts.namespace.is_known else self._namespace_object(name)
        return found.is_known and found.need() is None

    # ---- AWS

    def _aws(
        self,
        plan: Plan,
        nodes: Future[Fact[tuple[k8s.Node, ...]]] | None,
        bindings: list[Future[Fact[tuple[k8s.TargetGroupBinding, ...]]]],
    ) -> tuple[Aws | None, str]:
        """The reader, or the reason why AWS is not asked."""
        if not any(reads.is_aws(read) for read in plan.reads):
            return None, "no check needs AWS"

        def node_region() -> str | None:
            listed = nodes.result().peek() if nodes is not None else None
            regions = {n.meta.labels.get("topology.kubernetes.io/region", "") for n in listed or ()} - {""}
            if not regions:
                # Nodes may be denied; a target group's ARN names its region as well.
                found = [parse_arn(b.target_group_arn) for f in bindings for b in f.result().peek() or ()]
                regions = {arn.region for arn in found if arn is not None} - {""}
            return sorted(regions)[0] if regions else None

        try:
            return self._open_aws(node_region), ""
        except (NoCredentials, ReadFailed) as error:
            return None, error.message

    def _aws_facts(
        self,
        pool: ThreadPoolExecutor,
        plan: Plan,
        snapshot: Snapshot,
        reader: Aws | None,
        reason: str,
        controller: Future[dict[str, Any]],
    ) -> tuple[AwsFacts, NetworkFacts]:
        joined = traffic_paths(snapshot)
        arns = list(dict.fromkeys(arn for traffic in joined for arn in _group_arns(traffic)))
        hosts = list(dict.fromkeys(host for traffic in joined for host in _hosts(traffic)))
        if reader is None:
            return _nothing_asked(arns, hosts, reason), _no_network(reason)
        elb = _Elb(reader, plan.reads)
        network = NetworkReader(reader, attempt, pool) if reads.NETWORK_INTERFACES in plan.reads else None
        interfaces = network.start_interfaces(*_places(joined)) if network is not None else []
        if network is not None and _webhook_fails(snapshot):
            nodes = snapshot.cluster.nodes.peek() or ()
            interfaces += network.start_interfaces(*_webhook_places(ClusterFacts(**controller.result()), nodes))
        health = {arn: pool.submit(elb.target_health, arn) for arn in arns}
        group_attributes = {arn: pool.submit(elb.group_attributes, arn) for arn in arns}
        balancers = {host: pool.submit(elb.load_balancer_by_host, host) for host in hosts}
        groups: dict[str, Fact[aws.TargetGroup | None]] = {}
        for found in [pool.submit(elb.target_groups, batch) for batch in _batches(arns)]:
            groups.update(found.result())
        table: dict[str, Fact[aws.LoadBalancer | None]] = {}
        for host, future in balancers.items():
            table[host] = future.result()
        known = {lb.arn for fact in table.values() if (lb := fact.peek()) is not None}
        more = [
            arn
            for fact in groups.values()
            if (group := fact.peek()) is not None
            for arn in group.load_balancer_arns
            if arn not in known
        ]
        for batch in _batches(list(dict.fromkeys(more))):
            table.update(elb.load_balancers_by_arn(batch))
        balancer_arns = sorted({lb.arn for fact in table.values() if (lb := fact.peek()) is not None})
        balancer_attributes = {arn: pool.submit(elb.balancer_attributes, arn) for arn in balancer_arns}
        listeners = dict(zip(balancer_arns, pool.map(elb.listeners, balancer_arns), strict=True))
        # Only an Application Load Balancer's listeners have rules beside their default action.
        routed = [
            listener.arn
            for fact in listeners.values()
            for listener in fact.peek() or ()
            if listener.protocol in ("HTTP", "HTTPS")
        ]
        rules = dict(zip(routed, pool.map(elb.rules, routed), strict=True))
        for listener in (entry for fact in listeners.values() for entry in fact.peek() or ()):
            rules.setdefault(listener.arn, Fact.known(reads.LISTENERS, ()))
        facts = AwsFacts(load_balancers=table, listeners=listeners, rules=rules, target_groups=groups)
        if any(not traffic.binding.is_known for traffic in joined):
            tagged = self._by_tags(elb, facts)
            for found in [pool.submit(elb.target_groups, batch) for batch in _batches(list(tagged.peek() or {}))]:
                groups.update(found.result())
            facts = replace(facts, tagged_groups=tagged.map(_inverted))
            again = traffic_paths(replace(snapshot, aws=facts))
            ours = {g.arn for traffic in again if (g := traffic.target_group.peek()) is not None} - set(health)
            health.update({arn: pool.submit(elb.target_health, arn) for arn in sorted(ours)})
            group_attributes.update({arn: pool.submit(elb.group_attributes, arn) for arn in sorted(ours)})
        more_arns = [a for a in listener_groups(traffic_paths(replace(snapshot, aws=facts))) if a not in groups]
        for found in [pool.submit(elb.target_groups, batch) for batch in _batches(more_arns)]:
            groups.update(found.result())
        health.update({arn: pool.submit(elb.target_health, arn) for arn in more_arns})
        group_attributes.update({arn: pool.submit(elb.group_attributes, arn) for arn in more_arns})
        in_front = {lb.arn: lb for fact in table.values() if (lb := fact.peek()) is not None}
        network_facts = NetworkFacts()
        if network is not None:
            network_facts = network.finish(interfaces, list(in_front.values()), _no_subnets(snapshot))
        facts = replace(
            facts,
            target_groups=groups,
            target_health={arn: future.result() for arn, future in health.items()},
            group_attributes={arn: future.result() for arn, future in group_attributes.items()},
            balancer_attributes={arn: future.result() for arn, future in balancer_attributes.items()},
        )
        return facts, network_facts

    def _by_tags(self, elb: _Elb, facts: AwsFacts) -> Fact[Mapping[str, str]]:
        """The resource tags of the target groups that the load balancers' listeners and rules lead to."""
        actions = [a for fact in facts.listeners.values() for entry in fact.peek() or () for a in entry.actions]
        actions += [a for fact in facts.rules.values() for rule in fact.peek() or () for a in rule.actions]
        arns = [arn for action in actions for arn in action.target_groups]
        if not arns:
            return Fact.not_asked(reads.TAGS, "no load balancer leads to a target group")
        return elb.resources(list(dict.fromkeys(arns)))


class _Elb:
    """The ELBv2 reads, each giving a fact."""

    def __init__(self, reader: Aws, wanted: frozenset[str]) -> None:
        self._reader = reader
        self._wanted = wanted

    def _read(self, source: str, scope: str, read: Callable[[], T]) -> Fact[T]:
        if source not in self._wanted:
            return Fact.not_asked(source, "not needed for this run")
        return attempt(source, scope, read)

    def target_groups(self, arns: list[str]) -> dict[str, Fact[aws.TargetGroup | None]]:
        """Target groups by ARN. One unknown ARN fails the whole call, so the batch is then asked one by one."""

        def read(batch: list[str]) -> dict[str, aws.TargetGroup]:
            raw = self._reader.call("elbv2", "DescribeTargetGroups", "TargetGroups", TargetGroupArns=batch)
            return {entry["TargetGroupArn"]: convert_aws.target_group(entry) for entry in raw}

        def one(arn: str) -> aws.TargetGroup | None:
            return _or_absent(lambda: read([arn]).get(arn), "TargetGroupNotFound")

        if not arns:
            return {}
        try:
            found = attempt(reads.TARGET_GROUPS, "", lambda: _or_absent(lambda: read(arns), "TargetGroupNotFound"))
        except NoCredentials as error:
            found = Fact.not_asked(reads.TARGET_GROUPS, error.message)
        if found.is_known and found.peek() is None and len(arns) > 1:
            return {arn: self._read(reads.TARGET_GROUPS, arn, lambda arn=arn: one(arn)) for arn in arns}  # type: ignore[misc]
        return {arn: found.map(lambda table, arn=arn: (table or {}).get(arn)) for arn in arns}  # type: ignore[misc]

    def resources(self, arns: list[str]) -> Fact[Mapping[str, str]]:
        """The controller's resource tag of each target group that carries one, by ARN."""

        def read() -> Mapping[str, str]:
            found: dict[str, str] = {}
            for batch in _batches(arns):
                for entry in self._reader.call("elbv2", "DescribeTags", "TagDescriptions", ResourceArns=batch):
                    tags = {tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags", ())}
                    for key in ("ingress.k8s.aws/resource", "service.k8s.aws/resource"):
                        if key in tags:
                            found[entry["ResourceArn"]] = tags[key]
            return found

        return self._read(reads.TAGS, arns[0] if arns else "", read)

    def target_health(self, arn: str) -> Fact[tuple[aws.TargetHealth, ...]]:
        def read() -> tuple[aws.TargetHealth, ...]:
            raw = self._reader.call("elbv2", "DescribeTargetHealth", "TargetHealthDescriptions", TargetGroupArn=arn)
            found = [convert_aws.target_health(entry) for entry in raw]
            return tuple(sorted(found, key=lambda t: (t.zone, t.id, t.port)))

        return self._read(reads.TARGET_HEALTH, arn, lambda: _or_absent(read, "TargetGroupNotFound") or ())

    def load_balancer_by_host(self, host: str) -> Fact[aws.LoadBalancer | None]:
        """The load balancer with this DNS name.

        Its name is the head of the DNS name ("internal-" and the hash after the last "-" aside), which saves reading
        every load balancer of the account; where that guess finds nothing, all pages are read.
        """

        def read() -> aws.LoadBalancer | None:
            name = balancer_name(host)
            for wanted in ({"Names": [name]}, {}):
                raw = _or_absent(
                    lambda wanted=wanted: self._reader.call(  # type: ignore[misc]
                        "elbv2", "DescribeLoadBalancers", "LoadBalancers", **wanted
                    ),
                    "LoadBalancerNotFound",
                    "ValidationError",
                )
                for entry in raw or ():
                    if entry.get("DNSName", "").lower() == host.lower():
                        return convert_aws.load_balancer(entry)
            return None

        return self._read(reads.LOAD_BALANCERS, host, read)

    def load_balancers_by_arn(self, arns: list[str]) -> dict[str, Fact[aws.LoadBalancer | None]]:
        def read() -> dict[str, aws.LoadBalancer]:
            raw = self._reader.call("elbv2", "DescribeLoadBalancers", "LoadBalancers", LoadBalancerArns=arns)
            return {entry["LoadBalancerArn"]: convert_aws.load_balancer(entry) for entry in raw}

        found = self._read(reads.LOAD_BALANCERS, arns[0], lambda: _or_absent(read, "LoadBalancerNotFound") or {})
        return {arn: found.map(lambda table, arn=arn: table.get(arn)) for arn in arns}  # type: ignore[misc]

    def group_attributes(self, arn: str) -> Fact[Mapping[str, str]]:
        def read() -> Mapping[str, str]:
            raw = self._reader.call("elbv2", "DescribeTargetGroupAttributes", "Attributes", TargetGroupArn=arn)
            return convert_aws.attributes(raw)

        return self._read(reads.TARGET_GROUP_ATTRIBUTES, arn, lambda: _or_absent(read, "TargetGroupNotFound") or {})

    def balancer_attributes(self, arn: str) -> Fact[Mapping[str, str]]:
        def read() -> Mapping[str, str]:
            raw = self._reader.call("elbv2", "DescribeLoadBalancerAttributes", "Attributes", LoadBalancerArn=arn)
            return convert_aws.attributes(raw)

        return self._read(reads.LOAD_BALANCER_ATTRIBUTES, arn, lambda: _or_absent(read, "LoadBalancerNotFound") or {})

    def listeners(self, arn: str) -> Fact[tuple[aws.Listener, ...]]:
        def read() -> tuple[aws.Listener, ...]:
            raw = self._reader.call("elbv2", "DescribeListeners", "Listeners", LoadBalancerArn=arn)
            return tuple(convert_aws.listener(entry) for entry in raw)

        return self._read(reads.LISTENERS, arn, read)

    def rules(self, arn: str) -> Fact[tuple[aws.ListenerRule, ...]]:
        def read() -> tuple[aws.ListenerRule, ...]:
            raw = self._reader.call("elbv2", "DescribeRules", "Rules", ListenerArn=arn)
            return tuple(convert_aws.rule(entry, arn) for entry in raw)

        return self._read(reads.RULES, arn, read)


def _runs_controller(raw: Mapping[str, Any]) -> bool:
    """Whether a raw Deployment runs the controller: its image, or the two flags that only it has together."""
    containers = raw.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
    for container in containers:
        arguments = [str(a) for a in (*(container.get("command") or ()), *(container.get("args") or ()))]
        flags = {a.split("=", 1)[0] for a in arguments}
        if CONTROLLER_IMAGE in container.get("image", "") or {"--cluster-name", "--ingress-class"} <= flags:
            return True
    return False


def _or_absent(read: Callable[[], T], *codes: str) -> T | None:
    """The value, or None where AWS answers with one of the codes that mean "does not exist"."""
    try:
        return read()
    except AwsApiError as error:
        if error.code in codes:
            return None
        raise


def _results(futures: Mapping[str, Future[Any]]) -> dict[str, Any]:
    return {name: future.result() for name, future in futures.items()}


def _joined(parts: Iterable[Future[Fact[tuple[Any, ...]]]]) -> Fact[tuple[Any, ...]]:
    """Several lists as one; one that is not known makes the whole unknown."""
    found: list[Any] = []
    source = ""
    for part in parts:
        fact = part.result()
        if not fact.is_known:
            return fact
        source = fact.source
        found += fact.need()
    return Fact.known(source, tuple(found))


def _batches(items: list[str]) -> list[list[str]]:
    return [items[start : start + ELB_BATCH] for start in range(0, len(items), ELB_BATCH)]


def _group_arns(traffic: TrafficPath) -> Iterator[str]:
    binding = traffic.binding.peek()
    if binding is not None and binding.target_group_arn:
        yield binding.target_group_arn
    if traffic.backend is not None and traffic.backend.target_group_arn:
        yield traffic.backend.target_group_arn


def _hosts(traffic: TrafficPath) -> Iterator[str]:
    """DNS names under which the front door is published; addresses that are not ELB names lead nowhere in AWS."""
    front = traffic.ingress.peek() if traffic.subject.kind == "Ingress" else None
    service = traffic.service.peek() if traffic.subject.kind == "Service" else None
    for address in (front or service).addresses if (front or service) is not None else ():  # type: ignore[union-attr]
        if not re.fullmatch(r"[0-9.]+|.*:.*", address):
            yield address


def _places(joined: tuple[TrafficPath, ...]) -> tuple[list[str], list[str]]:
    """Instance ids and pod addresses whose interfaces matter: endpoints, the nodes that run them, instance targets."""
    addresses: list[str] = []
    nodes: set[str] = set()
    instance_targets = False
    for traffic in joined:
        instance_targets = instance_targets or traffic.target_type == "instance"
        for piece in traffic.slices.peek() or ():
            for endpoint in piece.endpoints:
                addresses += endpoint.addresses[:1]
                nodes.add(endpoint.node)
    everyone = joined[0].cluster.nodes.peek() or () if joined else ()
    # Behind instance targets any node may be the first hop.
    ids = [n.instance_id for n in everyone if n.instance_id and (instance_targets or n.meta.name in nodes)]
    return ids, addresses


def _warned(snapshot: Snapshot) -> Iterator[str]:
    """The messages of all warnings that were read."""
    for facts in snapshot.namespaces.values():
        yield from (event.message for event in facts.events.peek() or () if event.type == "Warning")


def _no_subnets(snapshot: Snapshot) -> bool:
    """Whether the controller says that it found no subnets that suit: then every subnet of the VPC matters."""
    return any("subnet" in message and "build model" in message for message in _warned(snapshot))


def _webhook_fails(snapshot: Snapshot) -> bool:
    """Whether an event says that a call to a webhook of the controller failed: then the way to it matters, too."""
    return any("failed calling webhook" in message and ".k8s.aws" in message for message in _warned(snapshot))


def _webhook_places(cluster: ClusterFacts, nodes: tuple[k8s.Node, ...]) -> tuple[list[str], list[str], list[str]]:
    """Instance ids, addresses and descriptions of the interfaces between the control plane and the controller."""
    endpoints = [e for piece in cluster.webhook_slices.peek() or () for e in piece.endpoints]
    homes = {e.node for e in endpoints}
    clusters = {controller_flags(w).get("cluster-name", "") for w in cluster.controllers.peek() or ()} - {""}
    return (
        [n.instance_id for n in nodes if n.instance_id and n.meta.name in homes],
        [address for e in endpoints for address in e.addresses[:1]],
        [control_plane_description(name) for name in sorted(clusters)],
    )


def _names(traffic: TrafficPath) -> tuple[str, ...]:
    """What the controller's log calls this route: its namespace, IngressGroup and binding."""
    binding = traffic.binding.peek()
    return (traffic.namespace, traffic.group, binding.meta.name if binding is not None else "")


def _inverted(table: Mapping[str, str]) -> Mapping[str, str]:
    return {value: key for key, value in table.items()}


def _nothing_asked(arns: list[str], hosts: list[str], reason: str) -> AwsFacts:
    """The same keys as a full run, so that what is missing is named."""
    return AwsFacts(
        load_balancers={host: Fact.not_asked(reads.LOAD_BALANCERS, reason, host) for host in hosts},
        target_groups={arn: Fact.not_asked(reads.TARGET_GROUPS, reason, arn) for arn in arns},
        target_health={arn: Fact.not_asked(reads.TARGET_HEALTH, reason, arn) for arn in arns},
        reason=reason,
    )


def _no_network(reason: str) -> NetworkFacts:
    """EC2 was not asked: for the same reason as the rest of AWS."""
    return NetworkFacts(
        interfaces=Fact.not_asked(reads.NETWORK_INTERFACES, reason, "ec2"),
        security_groups=Fact.not_asked(reads.SECURITY_GROUPS, reason, "ec2"),
        subnets=Fact.not_asked(reads.SUBNETS, reason, "ec2"),
        acls=Fact.not_asked(reads.NETWORK_ACLS, reason, "ec2"),
        route_tables=Fact.not_asked(reads.ROUTE_TABLES, reason, "ec2"),
        prefix_lists=Fact.not_asked(reads.PREFIX_LISTS, reason, "ec2"),
    )


def _completed(snapshot: Snapshot) -> Context:
    """The context with what the ARNs say of account and region."""
    arns = [*snapshot.aws.target_groups, *snapshot.aws.listeners]
    arn = next((found for found in map(parse_arn, arns) if found is not None), None)
    if arn is None:
        return snapshot.context
    return replace(
        snapshot.context,
        region=snapshot.context.region or arn.region,
        account=snapshot.context.account or arn.account,
    )
