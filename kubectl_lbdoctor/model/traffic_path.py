"""One path from a load balancer to pods with its facts joined: the unit that checks look at and users ask about.

Ingress, Service and bare TargetGroupBinding all become such paths (see `analysis.frontends`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from kubectl_lbdoctor.model import index, target_reasons
from kubectl_lbdoctor.model.aws import Listener, ListenerRule, LoadBalancer, TargetGroup, TargetHealth
from kubectl_lbdoctor.model.derived import Memo, derived, memo_field
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.k8s import (
    EndpointSlice,
    Event,
    Ingress,
    Node,
    Pod,
    Service,
    ServicePort,
    TargetGroupBinding,
)
from kubectl_lbdoctor.model.probe import ProbeFacts
from kubectl_lbdoctor.model.snapshot import AwsFacts, ClusterFacts, Context, NamespaceFacts, NetworkFacts, Snapshot
from kubectl_lbdoctor.model.times import seconds_between
from kubectl_lbdoctor.record import record


@record
class Backend:
    """The Service port that a path leads to, as its frontend names it.

    paths: "host path" texts of the Ingress paths that lead here. action: name of the `actions.<name>` annotation
    that names this backend ("" when the Ingress names the Service itself). target_group_arn: an action may name a
    target group instead of a Service; group_name: so may a route, by its name. route: the route of a Gateway that leads
    here, and `at`: the Gateway whose load balancer takes it. behind: the Gateway or Ingress whose Application Load
    Balancer is the target of a Network Load Balancer.
    """

    service: str = ""
    port: str = ""
    paths: tuple[str, ...] = ()
    action: str = ""
    target_group_arn: str = ""
    group_name: str = ""
    route: ObjectRef | None = None
    behind: ObjectRef | None = None
    at: ObjectRef | None = None

    @property
    def name(self) -> str:
        """The object in the cluster that it leads to, as people write it: a Service's name, "gateway/web"; "" for a
        target group that is named itself."""
        return f"{self.behind.kind.lower()}/{self.behind.name}" if self.behind is not None else self.service


@record
class RoutedEndpoint:
    """One endpoint of the Service port: where a packet for this backend may end."""

    address: str
    port: int
    ready: bool
    terminating: bool
    node: str
    pod: str
    family: str

    @property
    def key(self) -> str:
        return f"{self.address}:{self.port}"


@record
class TrafficPath:
    """Joined facts of one backend. Properties open facts and so raise `Unknown` where a read did not succeed.

    `made_as_alb`: an Application Load Balancer is what the kind of the frontend asks for.
    `group`: the explicit IngressGroup of the Ingress, "" without one. `foreign`: keys of targets that another cluster
    has registered in a target group which several clusters share; their health is not this cluster's to mend.
    """

    subject: ObjectRef
    namespace: str
    backend: Backend | None
    ingress: Fact[Ingress | None]
    service: Fact[Service | None]
    binding: Fact[TargetGroupBinding | None]
    target_group: Fact[TargetGroup | None]
    target_health: Fact[tuple[TargetHealth, ...]]
    load_balancer: Fact[LoadBalancer | None]
    listeners: Fact[tuple[Listener, ...]]
    rules: Fact[tuple[ListenerRule, ...]]
    group_attributes: Fact[Mapping[str, str]]
    balancer_attributes: Fact[Mapping[str, str]]
    snapshot: Snapshot = field(repr=False)
    made_as_alb: bool = False
    group: str = ""
    foreign: frozenset[str] = frozenset()
    memo: Memo = memo_field()

    @property
    def namespace_facts(self) -> NamespaceFacts:
        """What was read in the namespace of the backend, which an HTTPRoute may name in another one than its own."""
        return self.snapshot.facts_of(self.namespace)

    @property
    def cluster(self) -> ClusterFacts:
        return self.snapshot.cluster

    @property
    def aws(self) -> AwsFacts:
        return self.snapshot.aws

    @property
    def network(self) -> NetworkFacts:
        return self.snapshot.network_of(self.subject)

    @property
    def context(self) -> Context:
        return self.snapshot.context

    @property
    def probes(self) -> ProbeFacts:
        return self.snapshot.probes

    @property
    def now(self) -> str:
        """When the facts were read (RFC 3339): ages are measured against it."""
        return self.snapshot.taken_at

    @property
    def key(self) -> str:
        """A stable name of the path within its snapshot."""
        front = f"{self.subject.kind}/{self.subject.namespace}/{self.subject.name}"
        if self.backend is None:
            return front
        to = self.backend.service or self.backend.target_group_arn or self.backend.group_name
        if self.backend.behind is not None:
            to = str(self.backend.behind)
        if self.backend.route is not None:
            route = self.backend.route
            way = f"{front}->{self.namespace}/{to}:{self.backend.port} by {route.kind}/{route.namespace}/{route.name}"
            at = self.backend.at
            # A route may be at several Gateways, and has target groups at each of them.
            return f"{way} at {at.namespace}/{at.name}" if at is not None and at != self.subject else way
        return f"{front}->{to}:{self.backend.port}"

    @property
    def service_ref(self) -> ObjectRef:
        """The backend's Service by name, whether or not it exists."""
        return ObjectRef("Service", self.namespace, self.backend.service if self.backend else "")

    @property
    def service_port(self) -> Fact[ServicePort | None]:
        """The Service's port that the backend names; None when Service or port do not exist."""
        wanted = self.backend.port if self.backend else ""
        return self.service.map(lambda service: service.find_port(wanted) if service else None)

    @property
    def slices(self) -> Fact[tuple[EndpointSlice, ...]]:
        """The EndpointSlices of the backend's Service."""
        name = self.backend.service if self.backend else ""
        return self.namespace_facts.slices.map(
            lambda _: index.slices_by_service(self.snapshot, self.namespace).get(name, ())
        )

    @derived
    def endpoints(self) -> tuple[RoutedEndpoint, ...]:
        """All endpoints of the Service port, ready or not, of both address families."""
        service_port, found = self.service_port.need(), []
        for piece in self.slices.need():
            for port in piece.ports:
                # A slice names its ports as the Service does; an unnamed single port is "".
                if service_port is not None and port.name != service_port.name:
                    continue
                for endpoint in piece.endpoints:
                    if not endpoint.addresses:
                        continue
                    # The controller takes the first address only (endpoint_resolver).
                    found.append(
                        RoutedEndpoint(
                            address=endpoint.addresses[0],
                            port=port.port,
                            ready=endpoint.is_ready,
                            terminating=bool(endpoint.terminating),
                            node=endpoint.node,
                            pod=endpoint.target_name if endpoint.target_kind == "Pod" else "",
                            family=piece.address_type,
                        )
                    )
        return tuple(found)

    def ready_endpoints(self) -> tuple[RoutedEndpoint, ...]:
        """The endpoints that take traffic; raises `Unknown` like `endpoints`."""
        return tuple(e for e in self.endpoints() if e.ready and not e.terminating)

    @derived
    def matching_pods(self) -> tuple[Pod, ...]:
        """All pods that the Service's selector matches and that have neither finished nor begun to terminate."""
        service = self.service.need()
        if service is None or not service.selector:
            return ()
        return tuple(
            pod
            for pod in index.pods_with_labels(self.snapshot, self.namespace, service.selector)
            if not pod.is_finished and not pod.meta.deleted
        )

    @property
    def is_alb(self) -> bool:
        """Whether an Application Load Balancer is in front (by the load balancer, else by the target group)."""
        balancer, group = self.load_balancer.peek(), self.target_group.peek()
        if balancer is not None:
            return balancer.type == "application"
        if group is not None:
            return group.protocol in ("HTTP", "HTTPS")
        return self.made_as_alb

    @property
    def target_type(self) -> str:
        """ "ip" or "instance": by the target group, else by its binding; "" when neither is known."""
        group, binding = self.target_group.peek(), self.binding.peek()
        if group is not None:
            return group.target_type
        return binding.target_type if binding is not None else ""

    def targets(self) -> tuple[TargetHealth, ...]:
        """The targets of the target group; raises `Unknown` where neither AWS nor readiness gates tell them."""
        return self.target_health.need()

    def unhealthy(self, *reasons: str) -> tuple[TargetHealth, ...]:
        """Targets that fail their check now, optionally with one of the given reasons."""
        return tuple(
            t
            for t in self.targets()
            if t.state.startswith("unhealthy") and (not reasons or t.reason in reasons) and t.key not in self.foreign
        )

    def failing(self) -> tuple[TargetHealth, ...]:
        """Targets that get no traffic and ought to: those that fail their check and those that AWS cannot use."""
        return tuple(
            t
            for t in self.targets()
            if t.key not in self.foreign
            and (t.state.startswith("unhealthy") or (t.state == "unused" and t.reason != target_reasons.NOT_REGISTERED))
        )

    @property
    def behind(self) -> ObjectRef | None:
        """The Gateway or Ingress whose load balancer is the target, in place of pods or nodes; None for other paths."""
        return self.backend.behind if self.backend is not None else None

    @property
    def is_served(self) -> bool:
        """Whether a target is known to pass its check: then requests go to such targets alone, and the others change
        nothing of what is answered
        (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html)."""
        return any(target.state == "healthy" for target in self.target_health.peek() or ())

    def node_of(self, target: TargetHealth) -> Node | None:
        """The node that an instance target is."""
        return index.nodes_by_instance(self.snapshot).get(target.id)

    def pod_of(self, target: TargetHealth) -> Pod | None:
        """The pod that an ip target is (host-network pods share their node's address and are told apart by port)."""
        there = index.pods_by_address(self.snapshot, self.namespace).get(target.id, ())
        candidates = [pod for pod in there if not pod.is_finished]
        if len(candidates) > 1:
            names = {e.pod for e in self.endpoints() if e.key == target.key}
            candidates = [p for p in candidates if p.meta.name in names] or candidates
        return candidates[0] if candidates else None

    def events_of(self, kind: str, name: str) -> tuple[Event, ...]:
        """Events of one object of the path's namespace, newest first."""
        return index.events_by_object(self.snapshot, self.namespace).get((kind, name), ())

    def age(self, since: str) -> float:
        """Seconds from `since` (RFC 3339) until the facts were read; infinite when the time is not known."""
        return seconds_between(since, self.now)
