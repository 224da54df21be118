"""LBD212, LBD213, LBD220 and LBD233: has the Service the endpoints of its pods, and can they be targets?"""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.desired_targets import address_family
from kubectl_lbdoctor.analysis.registration import is_registered
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.registered_targets import shown
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL, EndpointSlice, Pod, Service, condition
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.traffic_path import TrafficPath


def _ip_service(traffic: TrafficPath) -> str:
    """The Service behind `ip` targets, by name."""
    service, binding = traffic.service.need(), traffic.binding.need()
    if service is None or binding is None or traffic.target_type != "ip":
        raise NotApplicable("no ip targets of a Service")
    return service.meta.name


@check(
    "LBD212",
    title="an endpoint of ip targets is no pod",
    passes="every endpoint of ip targets is a pod",
    severity=Severity.ERROR,
    message="{count:endpoint} of Service {service} {count:=refers|refer} to no Pod, so the controller does not "
    "register {count:=it|them}",
    reads=(reads.SERVICES, reads.ENDPOINT_SLICES, reads.BINDINGS, reads.TARGET_GROUPS),
    explains=("LBD217", "LBD202", "LBD205"),
)
def endpoints_without_pod(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service's endpoints were written by hand (or by another controller) and name no Pod as their target. With
    `ip` targets the AWS Load Balancer Controller registers endpoints of pods only and skips these silently.

    Confirm by hand: `kubectl get endpointslices -l kubernetes.io/service-name=NAME -o yaml` shows no targetRef.
    Repair: give the Service a selector, or register the addresses in a target group of your own.
    """
    name = _ip_service(traffic)
    ready = traffic.ready_endpoints()
    without = [e for e in ready if not e.pod]
    if not without:
        return
    yield Finding(
        "LBD212",
        ObjectRef("Service", traffic.namespace, name),
        params={"count": len(without), "service": name},
        evidence=(
            Evidence(Source.ENDPOINT_SLICES, f"no targetRef of kind Pod: {shown(e.key for e in without)}"),
            Evidence(Source.ENDPOINT_SLICES, f"{len(ready) - len(without)} of {len(ready)} ready endpoints are pods"),
        ),
        confirm=(
            kubectl(
                *("get", "endpointslices", "-l", f"{SERVICE_LABEL}={name}", "-o", "yaml"),
                namespace=traffic.namespace,
            ),
        ),
        advice="give the Service a selector, or keep a target group of your own for these addresses",
        severity=Severity.WARNING if len(without) < len(ready) else None,
    )


@check(
    "LBD213",
    title="binding and endpoints have different address families",
    passes="binding and endpoints have the same address family",
    severity=Severity.ERROR,
    message="the binding takes {family} targets, but the endpoints of Service {service} are {found:&}",
    reads=(
        *(reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES),
        *(reads.BINDINGS, reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    explains=("LBD217", "LBD205", "LBD206"),
)
def address_family_differs(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group takes addresses of one family, and the Service has ready endpoints of the other only; so
    nothing is registered: newer controllers leave such EndpointSlices out, older ones are refused by AWS.

    Confirm by hand: `kubectl get targetgroupbinding NAME -o jsonpath='{.spec.ipAddressType}'` against `kubectl get
    endpointslices -l kubernetes.io/service-name=NAME`. Repair: make the Service's `ipFamilies`, the
    `ip-address-type` annotation (IPv6 targets need a dualstack load balancer) and the binding agree.
    """
    name = _ip_service(traffic)
    binding = traffic.binding.need()
    traffic.target_group.need()  # A binding that says nothing takes the family of its target group.
    family = address_family(traffic)
    families = sorted({e.family for e in traffic.ready_endpoints() if e.pod})
    if binding is None or not families or family in families:
        return
    registered = {t.key for t in traffic.targets() if is_registered(t)}
    if any(e.key in registered for e in traffic.ready_endpoints()):
        return  # AWS took one of them, whatever the binding says.
    yield Finding(
        "LBD213",
        binding.ref,
        params={"family": family, "service": name, "found": tuple(families)},
        evidence=(
            Evidence(
                f"targetgroupbinding/{binding.meta.name}", f"ipAddressType {binding.ip_address_type or 'not set'}"
            ),
            Evidence(Source.ENDPOINT_SLICES, f"ready endpoints: {shown(e.key for e in traffic.ready_endpoints())}"),
        ),
        confirm=(
            kubectl("get", kubectl_name(binding.ref), "-o", "yaml", namespace=traffic.namespace),
            kubectl("get", "endpointslices", "-l", f"{SERVICE_LABEL}={name}", namespace=traffic.namespace),
        ),
        advice="make the Service's ipFamilies and the ip-address-type of load balancer and binding agree",
    )


@check(
    "LBD220",
    title="the backend Service can have no pods",
    passes="the backend Service can have pods",
    severity=Severity.ERROR,
    message="Service {service} leads to no pod: {why}",
    reads=(
        *(reads.SERVICES, reads.ENDPOINT_SLICES, reads.BINDINGS),
        *(reads.TARGET_GROUPS, reads.TARGET_HEALTH),
    ),
    explains=("LBD202", "LBD205", "LBD217", "LBD212", "LBD602", "LBD601"),
    by_absence=(reads.ENDPOINT_SLICES,),
)
def service_without_pods(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service is of type ExternalName, or has no selector and no endpoints of its own. The controller makes a
    target group for it all the same and reports success. Pods are never registered; nodes are, and have nowhere to send
    requests to. Endpoints by hand belong to a Service by the label kubernetes.io/service-name of their EndpointSlice,
    or by the name of their Endpoints, and to its port by the port's name.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors

    Confirm by hand: `kubectl get service NAME -o yaml`, `kubectl get endpointslices -o yaml`. Repair: give the Service
    a selector that matches the pods, or endpoints of its name with its port's name. For a name outside the cluster use
    a redirect action, or a target group of your own with the addresses as `ip` targets.
    """
    service = traffic.service.need()
    if service is None:
        raise NotApplicable("no Service behind this path")
    if service.type == "ExternalName":
        name = f" {service.external_name}" if service.external_name else ""
        why = "it is of type ExternalName, an alias for a DNS name"
        shown = f"type ExternalName{name}"
    elif not service.selector and not traffic.endpoints():
        why, shown = _unserved(traffic)
    else:
        return
    ref = ObjectRef("Service", traffic.namespace, service.meta.name)
    external = service.type == "ExternalName"
    by_hand = [] if external else _by_hand(traffic)
    advice = "select pods, or send these paths elsewhere with an action or a target group of your own"
    if by_hand and by_hand[0].service == service.meta.name:
        advice = "give the port of the endpoints the name of the Service's port, which is how the two belong together"
    elif not external:
        advice = (
            f"select pods, or make an EndpointSlice with the label {SERVICE_LABEL}: {service.meta.name} (Endpoints: of "
            "the Service's own name) and the port's name"
        )
    asleep = traffic.failing() if traffic.target_type == "instance" and not external else ()
    yield Finding(
        "LBD220",
        ref,
        params={"service": service.meta.name, "why": why},
        evidence=(
            Evidence(str(ref), shown),
            *(Evidence(f"endpointslice/{piece.meta.name}", _described(piece)) for piece in by_hand[:3]),
        ),
        targets=tuple(target.key for target in asleep if target.state.startswith("unhealthy")),
        confirm=(
            kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),
            *(() if external else (kubectl("get", "endpointslices", "-o", "yaml", namespace=ref.namespace),)),
        ),
        advice=advice,
    )


def _unserved(traffic: TrafficPath) -> tuple[str, str]:
    """Why a Service without a selector has no endpoint for this port, and what the Service shows of it."""
    port = traffic.service_port.need()
    if port is not None and any(piece.endpoints for piece in traffic.slices.need()):
        named = f'port "{port.name}"' if port.name else "a port without a name"
        return "its endpoints are for another port name", f"no selector; {named}"
    return "it has no selector and no endpoints", "no selector, no endpoint"


def _by_hand(traffic: TrafficPath) -> list[EndpointSlice]:
    """EndpointSlices that may be meant for the Service: its own, else those of the namespace that belong to no Service
    and carry its name at the beginning of their own."""
    own = [piece for piece in traffic.slices.need() if piece.endpoints]
    name = traffic.service_ref.name
    known = {service.meta.name for service in traffic.namespace_facts.services.peek() or ()}
    return own or [
        piece
        for piece in traffic.namespace_facts.slices.need()
        if piece.endpoints and piece.service not in known and piece.meta.name.startswith(name)
    ]


def _described(piece: EndpointSlice) -> str:
    ports = ", ".join(f'"{port.name}" {port.port}' if port.name else f"unnamed {port.port}" for port in piece.ports)
    whose = f"of Service {piece.service}" if piece.service else f"without the label {SERVICE_LABEL}"
    return f"{whose}, {counted(len(piece.endpoints), 'endpoint')}, ports: {ports or 'none'}"


_SLICED_SECONDS = 60
"""The endpoint slice controller writes a pod that has become ready within seconds, also in a large cluster."""


@check(
    "LBD233",
    title="ready pods are no endpoints of their Service",
    passes="every ready pod that the selector matches is an endpoint",
    severity=Severity.ERROR,
    message="{missing} of {total:pod} of Service {service} {missing:=is|are} ready, and no endpoint of it",
    reads=(reads.SERVICES, reads.PODS, reads.ENDPOINT_SLICES),
    explains=("LBD202", "LBD205", "LBD206", "LBD217"),
    by_absence=(reads.ENDPOINT_SLICES,),
)
def ready_pods_without_endpoint(traffic: TrafficPath) -> Iterator[Finding]:
    """Pods carry the labels of the Service's selector and have been ready for a minute, and no EndpointSlice of the
    Service has their addresses. Load balancers are told of endpoints, so these pods get no traffic, by whatever way.

    EndpointSlices of a Service with a selector are written by the endpoint slice controller, a part of
    kube-controller-manager: it does not run, does not get its writes through, or is far behind. On EKS the control
    plane is run by AWS.

    Source: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#management

    Confirm by hand: `kubectl get endpointslices -l kubernetes.io/service-name=NAME` against `kubectl get pods -l
    SELECTOR -o wide`, and `kubectl get lease kube-controller-manager -n kube-system -o yaml` (renewTime). Repair:
    bring kube-controller-manager back; a change of any label of the Service makes it write the slices again.
    """
    service, port = traffic.service.need(), traffic.service_port.need()
    if service is None or not service.selector or port is None:
        raise NotApplicable("no Service with a selector behind this path")
    slices, pods = traffic.slices.need(), traffic.matching_pods()
    addresses = {address for piece in slices for end in piece.endpoints for address in end.addresses}
    ready = [pod for pod in pods if pod.is_ready and _is_due(traffic, service, pod)]
    if not port.target.isdigit():
        ready = [pod for pod in ready if pod.named_port(port.target, port.protocol) is not None]
    missing = [pod for pod in ready if not addresses.intersection(_addresses(service, pod))]
    if not missing:
        return
    name = service.meta.name
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    yield Finding(
        "LBD233",
        ObjectRef("Service", traffic.namespace, name),
        params={"missing": len(missing), "total": len(pods), "service": name},
        evidence=(
            *(Evidence(f"pod {pod.meta.name}", f"Ready, {', '.join(_addresses(service, pod))}") for pod in missing[:3]),
            Evidence(Source.ENDPOINT_SLICES, f"{counted(len(slices), 'slice')} of Service {name}, none with them"),
        ),
        confirm=(
            kubectl("get", "endpointslices", "-l", f"{SERVICE_LABEL}={name}", namespace=traffic.namespace),
            kubectl("get", "pods", "-l", selector, "-o", "wide", namespace=traffic.namespace),
            kubectl("get", "lease", "kube-controller-manager", "-o", "yaml", namespace="kube-system"),
        ),
        advice="see that kube-controller-manager works: its endpoint slice controller writes them",
        severity=Severity.WARNING if traffic.ready_endpoints() else None,
    )


def _is_due(traffic: TrafficPath, service: Service, pod: Pod) -> bool:
    """Whether the pod has been ready for so long, with an address of a family of the Service, that it ought to be an
    endpoint."""
    ready = condition(pod.conditions, "Ready")
    return ready is not None and traffic.age(ready.since) >= _SLICED_SECONDS and bool(_addresses(service, pod))


def _addresses(service: Service, pod: Pod) -> tuple[str, ...]:
    """The pod's addresses of the Service's families."""
    families = service.ip_families or ("IPv4", "IPv6")
    return tuple(a for a in pod.ips or (pod.ip,) if a and ("IPv6" if ":" in a else "IPv4") in families)
