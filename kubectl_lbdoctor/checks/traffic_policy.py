"""LBD6xx: traffic policy and what the load balancer makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from kubectl_lbdoctor.analysis.check_settings import SettingSource
from kubectl_lbdoctor.analysis.desired_state import READS as INTENT_READS
from kubectl_lbdoctor.analysis.desired_state import declaration_of
from kubectl_lbdoctor.analysis.frontends import setting_source
from kubectl_lbdoctor.analysis.group_settings import Maker, annotated, attribute, maker_of
from kubectl_lbdoctor.analysis.local_traffic import (
    local_instance_service,
    passing_without_endpoint,
    told_by_check,
    without_local_endpoint,
)
from kubectl_lbdoctor.analysis.registration import zone_of
from kubectl_lbdoctor.analysis.remediation import annotate, describe_target_health, edit, patch
from kubectl_lbdoctor.analysis.service_ports import ports_of_services
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted, part_of
from kubectl_lbdoctor.knowledge.annotations import NLB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import HealthCheck, LoadBalancer, TargetHealth, describe_check
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.target_reasons import RESPONSE_CODE_MISMATCH
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_READS = (
    reads.SERVICES,
    reads.NODES,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
)


def _evidence(traffic: TrafficPath, failing: list[TargetHealth], with_pod: list[str]) -> tuple[Evidence, ...]:
    names = [node.meta.name for t in failing if (node := traffic.node_of(t)) is not None]
    return (
        Evidence(Source.TARGET_GROUP, f"{part_of(len(failing), len(traffic.targets()))}: {failing[0].reason}"),
        Evidence(
            Source.ENDPOINT_SLICES, f"ready pods on {', '.join(with_pod) or 'no node'}; none on {', '.join(names[:6])}"
        ),
    )


@check(
    "LBD601",
    title="externalTrafficPolicy Local leaves nodes without traffic by design",
    passes="no node is left out by externalTrafficPolicy Local",
    severity=Severity.INFO,
    by_design=True,
    message="externalTrafficPolicy Local keeps {count:node} without a ready pod of Service {service} unhealthy by "
    "design",
    reads=_READS,
    fix="traffic-policy",
)
def local_policy_by_design(traffic: TrafficPath) -> Iterator[Finding]:
    """Behind a Network Load Balancer with instance targets and externalTrafficPolicy Local, only nodes that run a
    ready pod pass the check (kube-proxy answers 503 on the healthCheckNodePort of the others). That is how the client
    address is kept; traffic goes to the healthy nodes.

    Nothing needs repair. Cluster policy or `ip` targets make every target healthy, at the price of another hop or of
    the node ports.

    Repair: none is needed; externalTrafficPolicy Cluster would let every node serve.
    """
    service = local_instance_service(traffic)
    if traffic.is_alb:
        raise NotApplicable("see LBD602")
    failing, with_pod = without_local_endpoint(traffic)
    if failing and with_pod:
        yield Finding(
            "LBD601",
            ObjectRef("Service", traffic.namespace, service.meta.name),
            params={"count": len(failing), "service": service.meta.name},
            evidence=_evidence(traffic, failing, with_pod),
            targets=tuple(t.key for t in failing),
        )


@check(
    "LBD609",
    title="the health check passes on nodes that externalTrafficPolicy Local leaves without traffic",
    passes="the health check fails on nodes that externalTrafficPolicy Local leaves without traffic",
    severity=Severity.ERROR,
    message="{count:node} without a ready pod of Service {service} {count:=passes|pass} the check, and drop{count:=s|} "
    "traffic",
    reads=(*_READS, reads.INGRESSES),
    by_absence=(reads.ENDPOINT_SLICES,),
)
def check_blind_to_local_policy(traffic: TrafficPath) -> Iterator[Finding]:
    """externalTrafficPolicy Local with instance targets: a node without a ready pod drops what it gets. kube-proxy
    tells the load balancer so on the healthCheckNodePort, where it answers 200 on nodes with a ready pod and 503 on the
    others. A check that asks something else (that port by TCP, which is open on every node; with 503 among the success
    codes; another port, which every node answers) passes everywhere, so a share of the requests is lost.

    Checks of the node port itself tell it, too: nodes without a pod drop them.

    Sources: https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/#preserving-the-client-source-ip,
    [Health checks that the controller asks for](facts.md#health-checks-that-the-controller-asks-for).

    Confirm by hand: compare the nodes in `kubectl get endpointslices -o wide` with the healthy instances. Repair: ask
    the healthCheckNodePort by HTTP, which is what the controller does by itself.
    """
    service, group = local_instance_service(traffic), traffic.target_group.need()
    if group is None or told_by_check(group, service):
        return
    dropping, with_pod = passing_without_endpoint(traffic)
    if not dropping or not with_pod:
        return
    names = [node.meta.name for t in dropping if (node := traffic.node_of(t)) is not None]
    asked = group.health_check
    setting, value = _blind_setting(traffic, asked, service)
    yield Finding(
        "LBD609",
        setting.ref,
        params={"count": len(dropping), "service": service.meta.name},
        evidence=(
            Evidence(Source.TARGET_GROUP, describe_check(asked, group.port)),
            Evidence(Source.TARGET_HEALTH, f"{part_of(len(dropping), len(traffic.targets()))} healthy without a pod"),
            Evidence(Source.ENDPOINT_SLICES, f"ready pods on {', '.join(with_pod)}; none on {', '.join(names[:6])}"),
            Evidence(
                f"service/{service.meta.name}",
                f"externalTrafficPolicy Local, healthCheckNodePort {service.health_check_node_port or 'none'}",
            ),
        ),
        targets=tuple(t.key for t in dropping),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        by_hand=(setting.change(value).command,) if setting.settable and value else (),
        advice=setting.instruction,
    )


def _blind_setting(traffic: TrafficPath, asked: HealthCheck, service: Service) -> tuple[SettingSource, str]:
    """The setting that makes the check blind, and the value by which it tells where pods are ("" without one)."""
    port = service.health_check_node_port
    if asked.port != str(port):
        by_port = asked.protocol == "TCP"
        return setting_source(traffic, "healthcheck-port"), "traffic-port" if by_port else str(port or "")
    if asked.protocol == "TCP":
        return setting_source(traffic, "healthcheck-protocol"), "HTTP"
    return setting_source(traffic, "success-codes"), "200"


@check(
    "LBD602",
    title="externalTrafficPolicy Local behind an Application Load Balancer with instance targets",
    passes="externalTrafficPolicy is not Local behind an Application Load Balancer with instance targets",
    severity=Severity.ERROR,
    message="externalTrafficPolicy Local of Service {service} drops the checks on {count:node} without a ready pod",
    reads=(*_READS, *INTENT_READS),
    fix="traffic-policy",
)
def local_policy_behind_alb(traffic: TrafficPath) -> Iterator[Finding]:
    """externalTrafficPolicy Local with instance targets behind an Application Load Balancer: nodes without a ready pod
    drop the node port's traffic, and the load balancer, which checks the node port and never the healthCheckNodePort,
    sees them time out.

    An Application Load Balancer carries the client address in X-Forwarded-For, so Local gains nothing there.

    Confirm by hand: compare `kubectl get endpointslices -o wide` with the unhealthy instances. Repair: use
    externalTrafficPolicy Cluster, or `target-type: ip`. A Service of type LoadBalancer has another load balancer, for
    which Local may be meant: then nothing is changed unasked.
    """
    service = local_instance_service(traffic)
    if not traffic.is_alb:
        raise NotApplicable("see LBD601")
    failing, with_pod = without_local_endpoint(traffic)
    if not failing or not with_pod:
        return
    ref = ObjectRef("Service", traffic.namespace, service.meta.name)
    pointer = "/spec/externalTrafficPolicy"
    cluster = patch(ref, "spec.externalTrafficPolicy", edit(pointer, "Local", "Cluster"))
    why = f"{counted(len(failing), 'node')} without a ready pod drop the node port's traffic"
    repairs = [
        Repair("cluster", (cluster,)).with_reason(why, "pods see the node's address; the ALB sends X-Forwarded-For")
    ]
    if not _class_decides(traffic):
        repairs += setting_source(traffic, "target-type").offer(
            "ip", why, "the target group is replaced by one of pods"
        )
    yield Finding(
        "LBD602",
        ref,
        params={"count": len(failing), "service": service.meta.name},
        evidence=(
            Evidence(f"service/{service.meta.name}", "externalTrafficPolicy Local, instance targets behind an ALB"),
            *_evidence(traffic, failing, with_pod),
        ),
        targets=tuple(t.key for t in failing),
        repairs=tuple(repairs),
        # Behind its own load balancer the same Service may need Local, for its clients' addresses.
        fix_automatic=service.type != "LoadBalancer",
        advice="use externalTrafficPolicy Cluster, or let the pods themselves be the targets (target type ip)",
    )


def _class_decides(traffic: TrafficPath) -> bool:
    """Whether IngressClassParams decide about the target type, whatever is annotated."""
    with suppress(Unknown, NotApplicable):
        front = declaration_of(traffic)
        return front is not None and bool(front.parameters.get("targetType"))
    return False


@check(
    "LBD607",
    title="no target is healthy, so the load balancer sends traffic to all of them (fail open)",
    passes="the load balancer does not fail open",
    severity=Severity.WARNING,
    message="no target of {group} is healthy ({count}), so the load balancer sends traffic to all of them (fail open)",
    reads=(reads.BINDINGS, reads.SERVICES, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    symptom=True,
    by_absence=(reads.TARGET_HEALTH,),
)
def fails_open(traffic: TrafficPath) -> Iterator[Finding]:
    """When no target of a group is healthy, the load balancer sends traffic to all of them: the site may seem to work
    although every check fails. It stops working when the first target turns healthy or the pods move on.

    Confirm by hand: `aws elbv2 describe-target-health`. Repair: mend the cause of the failing checks.
    """
    group = traffic.target_group.need()
    targets = [t for t in traffic.targets() if t.state != "draining"]
    if group is not None and targets and all(t.state.startswith("unhealthy") for t in targets):
        yield Finding(
            "LBD607",
            ObjectRef("TargetGroup", "", group.name),
            params={"count": len(targets), "group": group.name},
            evidence=(Evidence(Source.TARGET_HEALTH, "; ".join(sorted({t.reason for t in targets}))),),
        )


CROSS_ZONE = "load_balancing.cross_zone.enabled"
# kube-proxy's own health port, which users may name as check port.
KUBE_PROXY_PORT = 10256
SHIFTED = ("zonal_shift_active", "zonal_shift_delegated_to_dns")


def _crosses_zones(traffic: TrafficPath) -> bool:
    """Whether traffic may leave the zone it came in by; the target group's own setting wins."""
    own = traffic.group_attributes.need().get(CROSS_ZONE, "")
    if own in ("true", "false"):
        return own == "true"
    if traffic.is_alb:
        return True  # Of an Application Load Balancer it is always on, and only a target group turns it off.
    return traffic.balancer_attributes.need().get(CROSS_ZONE, "false") == "true"


@check(
    "LBD603",
    title="a zone of the load balancer has no healthy target, and cross-zone balancing is off",
    passes="every zone of the load balancer has a healthy target, or traffic may cross zones",
    severity=Severity.WARNING,
    message="no target of {group} in {zones} is healthy, and cross-zone balancing is off",
    reads=(
        *_READS,
        *(reads.PODS, reads.INGRESSES, reads.TARGET_GROUP_ATTRIBUTES, reads.LOAD_BALANCER_ATTRIBUTES),
    ),
    explains=("LBD703",),
    symptom=True,
    distinct_by=("group",),
    by_absence=(reads.TARGET_HEALTH, reads.NODES),
)
def zone_without_healthy_target(traffic: TrafficPath) -> Iterator[Finding]:
    """A load balancer without cross-zone balancing serves each zone by the targets of that zone. One of its zones has
    none that is healthy: AWS takes that zone's address out of DNS, and clients that still use it are not served.

    Of a Network Load Balancer the attribute of the target group wins over that of the load balancer, which is off by
    default. Of an Application Load Balancer it is always on, and a target group may turn it off.

    With fewer ready pods than zones this cannot be otherwise, and is information only.

    Sources: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/disable-cross-zone.html,
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-cross-zone.html.

    Confirm by hand: `aws elbv2 describe-load-balancer-attributes`, `aws elbv2 describe-target-group-attributes`
    (load_balancing.cross_zone.enabled) and the zones in `aws elbv2 describe-target-health`. Repair: turn cross-zone
    balancing on, or spread the pods over the zones.
    """
    group, balancer = traffic.target_group.need(), traffic.load_balancer.need()
    if group is None or balancer is None or balancer.type not in ("network", "application"):
        raise NotApplicable("no target group of a load balancer with zones of its own")
    if traffic.is_alb and traffic.group_attributes.is_known and _crosses_zones(traffic):
        return  # Nearly every one does, and then nobody has to know where its targets are.
    serving, empty = _zones(traffic, balancer)
    if not empty or _crosses_zones(traffic):
        return
    service = traffic.service.need()
    own = traffic.group_attributes.need().get(CROSS_ZONE, "")
    yield Finding(
        "LBD603",
        ObjectRef("LoadBalancer", "", balancer.name),
        params={"balancer": balancer.name, "group": group.name, "zones": empty},
        evidence=(
            Evidence(Source.TARGET_HEALTH, f"healthy targets in {', '.join(serving)} only"),
            Evidence(
                reads.TARGET_GROUP_ATTRIBUTES if own else reads.LOAD_BALANCER_ATTRIBUTES,
                f"{CROSS_ZONE} is {own or traffic.balancer_attributes.need().get(CROSS_ZONE, 'not set')}",
            ),
        ),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        by_hand=_cross_zones(traffic, service, "target-group-attributes" if own == "false" else "attributes"),
        severity=Severity.INFO if _fewer_pods_than_zones(traffic, service, balancer) else None,
    )


def _zones(traffic: TrafficPath, balancer: LoadBalancer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The zones with a healthy target, and those of the load balancer that have none and for no good reason; no empty
    ones where none at all has one (that is another cause's) or a target outside of the VPC serves every zone."""
    targets: dict[str, list[TargetHealth]] = defaultdict(list)
    for target in traffic.targets():
        targets[zone_of(traffic, target)].append(target)
    serving = {zone for zone, members in targets.items() if any(t.state == "healthy" for t in members)}
    if not serving or "" in serving:
        return tuple(sorted(serving)), ()
    expected = _by_design(traffic)
    empty = []
    for zone in sorted(balancer.zones.keys() - serving):
        members = [t for t in targets[zone] if t.state != "draining"]
        waits = any(t.state == "initial" for t in members)
        if not waits and not (members and all(t.key in expected for t in members)):
            empty.append(zone)
    return tuple(sorted(serving)), tuple(empty)


def _cross_zones(traffic: TrafficPath, service: Service | None, attributes: str) -> tuple[str, ...]:
    """The command that turns cross-zone balancing on where an annotation decides about it, or the attribute of a target
    group that a person made."""
    group = traffic.target_group.peek()
    if group is not None and attributes == "target-group-attributes" and maker_of(traffic) is Maker.OUTSIDE:
        return (attribute(traffic, group, CROSS_ZONE, "false", "true").command,)
    if not annotated(traffic):
        return ()
    if traffic.is_alb:
        place = setting_source(traffic, attributes)
        return (place.change(with_attribute(place.value, CROSS_ZONE, "true")).command,)
    if service is None or service.type != "LoadBalancer":
        return ()
    key = NLB_PREFIX + attributes
    value = with_attribute(service.meta.annotations.get(key, ""), CROSS_ZONE, "true")
    return (annotate(traffic.service_ref, service.meta.annotations, {key: value}).command,)


def _fewer_pods_than_zones(traffic: TrafficPath, service: Service | None, balancer: LoadBalancer) -> bool:
    """Whether some zone must stay without a target that passes, because targets are where pods are."""
    if service is None:
        return False
    follow_pods = traffic.target_type == "ip" or service.external_traffic_policy == "Local"
    return follow_pods and len(traffic.ready_endpoints()) < len(balancer.zones)


def _by_design(traffic: TrafficPath) -> frozenset[str]:
    """Targets that LBD601 or LBD602 account for."""
    service = traffic.service.need()
    if service is None or traffic.target_type != "instance" or service.external_traffic_policy != "Local":
        return frozenset()
    return frozenset(t.key for t in without_local_endpoint(traffic)[0])


def with_attribute(annotation: str, key: str, value: str) -> str:
    """An attributes annotation ("a=b,c=d") with one attribute set and the others kept."""
    kept = [part for part in annotation.split(",") if part.strip() and part.split("=", 1)[0].strip() != key]
    return ",".join([*kept, f"{key}={value}"])


@check(
    "LBD605",
    title="the health check asks a healthCheckNodePort that is gone",
    passes="the health check does not use a healthCheckNodePort that is gone",
    severity=Severity.ERROR,
    message="the health check asks port {port}, a former healthCheckNodePort of Service {service} (now {policy})",
    reads=(*_READS, reads.INGRESSES, reads.PODS),
    # The controller takes the rule for a port away with the port: to open it again would help nobody.
    explains=("LBD311", "LBD313", "LBD501", "LBD607"),
    fix="healthcheck-port",
    distinct_by=("port",),
)
def old_health_check_node_port(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group still checks /healthz on the healthCheckNodePort that the Service had while its
    externalTrafficPolicy was Local. With policy Cluster nobody listens there, so every target fails.

    The cloud provider's in-tree load balancers keep the old check; with the AWS Load Balancer Controller it means that
    the Service has not been reconciled since. Of a target group that a person made it is likely only: the port may be
    one of a Service in another namespace.

    Confirm by hand: `aws elbv2 describe-target-groups` (HealthCheckPort) against
    `kubectl get service NAME -o jsonpath='{.spec.healthCheckNodePort}'`. Repair: check the traffic port.
    """
    group, service = traffic.target_group.need(), traffic.service.need()
    if group is None or service is None:
        raise NotApplicable("no target group of a Service")
    if traffic.target_type != "instance":
        raise NotApplicable("only nodes have a healthCheckNodePort")
    check_settings = group.health_check
    if not check_settings.port.isdigit() or check_settings.path != "/healthz":
        return
    number = int(check_settings.port)
    if service.external_traffic_policy not in ("", "Cluster") or number in _known_ports(traffic, service, group.port):
        return
    owner = setting_source(traffic, "healthcheck-port")
    made_of_annotations = annotated(traffic)
    if made_of_annotations and owner.present:
        return  # Somebody asks for this port (LBD313), or for another one, which the group does not have (LBD311).
    failing = [t for t in traffic.unhealthy() if t.check_port == str(number) and t.reason != RESPONSE_CODE_MISMATCH]
    if not failing:
        return
    # Node ports are 30000 to 32767 unless the API server was told otherwise. A port that a person has chosen may be one
    # of another namespace's Service.
    certain = made_of_annotations and 30000 <= number <= 32767
    yield Finding(
        "LBD605",
        owner.ref,
        params={
            "port": str(number),
            "service": service.meta.name,
            "policy": service.external_traffic_policy or "Cluster",
        },
        evidence=(
            Evidence(Source.TARGET_GROUP, f"health check {check_settings.protocol} {number} {check_settings.path}"),
            Evidence(Source.TARGET_HEALTH, f"{part_of(len(failing), len(traffic.targets()))}: {failing[0].reason}"),
            Evidence(
                f"service/{service.meta.name}",
                f"externalTrafficPolicy {service.external_traffic_policy or 'Cluster'}, "
                f"healthCheckNodePort {service.health_check_node_port or 'none'}",
            ),
        ),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
        targets=tuple(t.key for t in failing),
        confirm=(describe_target_health(group.arn, traffic.context.region),),
        repairs=owner.offer("traffic-port", f"nothing answers for the Service on port {number}"),
        fix_automatic=certain,
        advice=owner.instruction,
    )


def _known_ports(traffic: TrafficPath, service: Service, group_port: int) -> set[int]:
    """Every port that a check may mean: of the Service and its pods, node ports of any Service of the namespace, which
    may lead to the same pods, and kube-proxy's own."""
    known = {group_port, KUBE_PROXY_PORT, *ports_of_services(traffic.snapshot, traffic.namespace)}
    for port in service.ports:
        known.add(port.port)
        known |= {int(port.target)} if port.target.isdigit() else set()
    for pod in traffic.matching_pods():
        known.update(pod.declared_ports())
    return known


@check(
    "LBD606",
    title="a zonal shift keeps traffic away from targets",
    passes="no zonal shift is active",
    severity=Severity.INFO,
    message="a zonal shift keeps traffic away from {zones}: {count:target} of {group} {count:=gets|get} none",
    reads=(*_READS, reads.PODS, reads.INGRESSES),
    distinct_by=("group",),
)
def zonal_shift_active(traffic: TrafficPath) -> Iterator[Finding]:
    """An operator, or AWS itself (zonal autoshift), has shifted traffic away from an Availability Zone. Targets there
    are checked as before and get no traffic, whatever their health is.

    Confirm by hand: `aws arc-zonal-shift list-zonal-shifts --status ACTIVE`. Repair: wait for its end, or cancel
    the shift.
    """
    group = traffic.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    shifted = [t for t in traffic.targets() if t.override_state in SHIFTED]
    if not shifted:
        return
    zones = sorted({zone_of(traffic, t) or "an unknown zone" for t in shifted})
    balancer = traffic.load_balancer.peek()
    yield Finding(
        "LBD606",
        ObjectRef("LoadBalancer", "", balancer.name)
        if balancer is not None
        else ObjectRef("TargetGroup", "", group.name),
        params={"zones": tuple(zones), "count": len(shifted), "group": group.name},
        evidence=(
            Evidence(Source.TARGET_HEALTH, f"{shifted[0].key}: administrative override {shifted[0].override_state}"),
        ),
        confirm=(aws("arc-zonal-shift", "list-zonal-shifts", "--status", "ACTIVE", region=traffic.context.region),),
    )
