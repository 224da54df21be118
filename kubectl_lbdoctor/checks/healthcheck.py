"""LBD3xx: the health-check request and its answer.

The reason code decides first: Target.ResponseCodeMismatch proves that an HTTP server answered on the checked port, so
security groups, network ACLs, routes and the port are fine; Target.FailedHealthChecks on an Application Load Balancer
proves that the packet arrived and was refused, reset or not answered as HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubectl_lbdoctor.checks.commands import annotate, describe_target_health, restart
from kubectl_lbdoctor.checks.registration import target_port_repair
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.runner import NotApplicable
from kubectl_lbdoctor.checks.workload import describe_probe
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Meta, Pod, Probe
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.route import Route

_RECHECK = "none for traffic: only the check changes"
MISMATCH = "Target.ResponseCodeMismatch"
REFUSED = "Target.FailedHealthChecks"
TIMEOUT = "Target.Timeout"

ALB_PREFIX = "alb.ingress.kubernetes.io/"
NLB_PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"

_ANSWER_READS = (
    reads.INGRESSES,
    reads.SERVICES,
    reads.PODS,
    reads.ENDPOINT_SLICES,
    reads.BINDINGS,
    reads.LOAD_BALANCERS,
    reads.TARGET_GROUPS,
    reads.TARGET_HEALTH,
    reads.CONTROLLER,
)
_RULES_OUT = "security groups, network ACLs, routes, the port: an HTTP server answered"


@dataclass(frozen=True, slots=True)
class SettingOwner:
    """The object whose annotation decides a health-check setting, the key to set there, and what it carries now."""

    ref: ObjectRef
    key: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> bool:
        return self.key in self.annotations

    @property
    def value(self) -> str:
        """What the annotation says now, "" without one."""
        return self.annotations.get(self.key, "")

    def change(self, value: str) -> Change:
        return annotate(self.ref, self.annotations, {self.key: value})

    def repair(self, value: str, why: str = "", risk: str = "") -> Repair:
        """Set the annotation to this value."""
        return Repair(value, (self.change(value),), free=True).because(why, risk)


def setting_owner(route: Route, setting: str) -> SettingOwner:
    """Where a check setting ("healthcheck-path", "success-codes", "healthcheck-port"…) is, or has to be, annotated.

    A Service annotation wins over the Ingress's (LBC annotation guide). An Ingress that leads to several Services
    applies its own annotation to all of them, so a repair for one backend belongs on that backend's Service.
    """
    service = route.service.peek()
    on_service = _annotations(service.meta if service is not None else None)
    service_ref = route.service_ref
    if route.subject.kind == "Ingress" or route.is_alb:
        key = ALB_PREFIX + setting
        ingress = route.ingress.peek()
        if key in on_service or ingress is None:
            return SettingOwner(service_ref, key, on_service)
        if len({p.backend.service for p in ingress.paths}) > 1:
            return SettingOwner(service_ref, key, on_service)
        ref = ObjectRef("Ingress", ingress.meta.namespace, ingress.meta.name)
        return SettingOwner(ref, key, ingress.meta.annotations)
    key = NLB_PREFIX + ("healthcheck-success-codes" if setting == "success-codes" else setting)
    return SettingOwner(service_ref, key, on_service)


def _annotations(meta: Meta | None) -> Mapping[str, str]:
    return meta.annotations if meta is not None else {}


def checked_pod_port(route: Route, target: TargetHealth) -> int | None:
    """The pod's port that the check of this target ends at; None when it ends elsewhere (kube-proxy's health port).

    `ip` targets are checked directly. An instance target is checked on a node port, which kube-proxy leads to the
    endpoint port of the Service port that owns it.
    """
    if not target.check_port.isdigit():
        return None
    number = int(target.check_port)
    if route.target_type == "ip":
        return number
    service = route.service.peek()
    port = route.service_port.peek()
    if service is None or port is None:
        return None
    if number == port.node_port:
        return next((e.port for e in route.endpoints()), None)
    return None


def readiness_of(pod: Pod, port: int) -> Probe | None:
    """The HTTP readiness probe of the container that serves this port, if its probe asks on the same port."""
    for container in pod.serving_containers():
        probe = container.readiness
        if probe is None or probe.kind != "httpGet":
            continue
        number = int(probe.port) if probe.port.isdigit() else pod.named_port(probe.port)
        if number == port:
            return probe
    return None


@dataclass(frozen=True, slots=True)
class _Answer:
    """Targets whose check is answered with codes of one class, and what the pods say about themselves."""

    group: TargetGroup
    targets: tuple[TargetHealth, ...]
    codes: tuple[str, ...]
    owner: SettingOwner
    readiness: Probe | None
    ready_pods: int
    evidence: tuple[Evidence, ...]

    @property
    def better_path(self) -> str:
        """The readiness path, where the kubelet gets a success on it now and the load balancer asks another one."""
        probe = self.readiness
        if probe is None or not self.ready_pods or probe.path == self.group.health_check.path:
            return ""
        return probe.path or "/"


def _answers(route: Route, wanted: str) -> _Answer | None:
    """Targets answered with a code of class `wanted` (auth, redirect, server or client); None when there is none."""
    group = route.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    failing = [t for t in route.unhealthy(MISMATCH) if t.codes and _class_of(t.codes[-1]) == wanted]
    if not failing:
        return None
    codes = tuple(sorted({code for t in failing for code in t.codes}))
    evidence = [
        Evidence(
            "target group",
            f"{len(failing)} of {len(route.targets())} targets: {failing[0].description}",
        )
    ]
    readiness, ready = None, 0
    port = checked_pod_port(route, failing[0])
    for pod in route.matching_pods() if port is not None and route.facts.pods.is_known else ():
        probe = readiness_of(pod, port) if port is not None else None
        if probe is not None:
            readiness = readiness or probe
            ready += int(pod.containers_ready)
    if readiness is not None and ready:
        evidence.append(
            Evidence(
                "pods",
                f"readinessProbe {describe_probe(readiness)} succeeds in {ready} of {len(route.matching_pods())}",
            )
        )
    return _Answer(
        group, tuple(failing), codes, setting_owner(route, "healthcheck-path"), readiness, ready, tuple(evidence)
    )


def _class_of(code: str) -> str:
    if code in ("401", "403", "407"):
        return "auth"
    if code in ("301", "302", "303", "307", "308"):
        return "redirect"
    return "server" if code.startswith("5") else "client"


def _answered(route: Route, code: str, answer: _Answer, **params: str) -> Finding:
    """The finding that all answers have in common; a path that answers makes the repair exact."""
    better = answer.better_path
    why = f'"{better}" succeeds: readiness probe of {answer.ready_pods} pods'
    repairs: tuple[Repair, ...] = (answer.owner.repair(better, why, _RECHECK),) if better else ()
    matcher = answer.group.health_check.matcher
    advice = (
        ""
        if better
        else f"annotate {answer.owner.ref} with {answer.owner.key}=<a path that answers {matcher}>, "
        f"or widen {answer.owner.key.replace('healthcheck-path', 'success-codes')}"
    )
    asked = bool(better) and answer.owner.value == better
    by_hand: tuple[str, ...] = ()
    if asked:
        # The annotation is right and the target group is not (LBD311): to set it once more would change nothing.
        advice = f"{answer.owner.key} asks for {better} already and was not applied: the controller has to reconcile it"
        repairs = ()
        by_hand = tuple(
            restart(ObjectRef("Deployment", w.meta.namespace, w.meta.name)).commands[0]
            for w in (route.cluster.controllers.peek() or ())[:1]
        )
    return Finding(
        code,
        answer.owner.ref,
        params={
            "path": answer.group.health_check.path,
            "codes": ", ".join(answer.codes),
            "matcher": matcher,
            "better": f'; "{better}" succeeds (readiness probe)' if better else "",
            **params,
        },
        evidence=answer.evidence,
        targets=tuple(t.key for t in answer.targets),
        confirm=(describe_target_health(answer.group.arn, route.context.region),),
        repairs=repairs,
        by_hand=by_hand,
        blank=answer.owner.repair(""),
        fix_automatic=bool(repairs),
        advice=advice,
        rules_out=_RULES_OUT,
    )


@check(
    "LBD301",
    title="the health-check path answers with a success code",
    severity=Severity.ERROR,
    message='health check path "{path}" is answered with {codes}, expected {matcher}{better}',
    reads=_ANSWER_READS,
    fix="healthcheck-path",
)
def path_answers_outside_success_codes(route: Route) -> Iterator[Finding]:
    """The application answers the health check, but with a code outside the target group's success codes (404 mostly:
    the default path "/" is not served).

    Target.ResponseCodeMismatch proves that the packet reached an HTTP server on the checked port: security groups,
    network ACLs, routes and ports are not the cause.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` from another pod. Repair: set the healthcheck-path annotation
    to a path that answers with a success code, or adapt success-codes when the answer is meant.
    """
    answer = _answers(route, "client")
    if answer is not None and not _host_dependent(answer):
        yield _answered(route, "LBD301", answer)


def _host_dependent(answer: _Answer) -> bool:
    """The kubelet gets a success on the same path and port, but sends a Host header of its own choosing."""
    probe = answer.readiness
    return bool(
        probe is not None
        and answer.ready_pods
        and probe.host_header
        and (probe.path or "/") == answer.group.health_check.path
    )


@check(
    "LBD302",
    title="the answer does not depend on the Host header",
    severity=Severity.ERROR,
    message='path "{path}" is answered with {codes} to the load balancer\'s Host header, but not to Host {host}',
    reads=_ANSWER_READS,
)
def answer_depends_on_host(route: Route) -> Iterator[Finding]:
    """The application serves the check path only for a certain host name.

    An Application Load Balancer sends `Host: TARGET_IP:PORT`, a Network Load Balancer its own address and listener
    port; neither can be changed. The readiness probe asks the same path on the same port with a Host header of its
    own and succeeds.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` against `curl -i -H 'Host: NAME' http://POD_IP:PORT/PATH`.
    Repair: answer the check path in the application's default virtual host, or check another port or by TCP.
    """
    answer = _answers(route, "client")
    if answer is not None and _host_dependent(answer) and answer.readiness is not None:
        yield _answered(route, "LBD302", answer, host=answer.readiness.host_header)


@check(
    "LBD303",
    title="the health check is not redirected",
    severity=Severity.ERROR,
    message='health check path "{path}" is answered with a redirect ({codes}), expected {matcher}{better}',
    reads=_ANSWER_READS,
    fix="success-codes",
)
def check_is_redirected(route: Route) -> Iterator[Finding]:
    """The application answers the check with a redirect, to HTTPS or to a login page mostly; load balancers do not
    follow it.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` shows the Location header. Repair: check a path that is served
    without a redirect, accept the redirect (`success-codes: 200-399`), or speak HTTPS to the application.
    """
    answer = _answers(route, "redirect")
    if answer is None:
        return
    finding = _answered(route, "LBD303", answer)
    if not finding.commands:
        owner = setting_owner(route, "success-codes")
        why = f"the path answers with a redirect ({', '.join(answer.codes)})"
        risk = "a redirect, also to a login page, counts as healthy"
        finding = replace(finding, repairs=(owner.repair("200-399", why, risk),), fix_automatic=True, advice="")
    yield finding


@check(
    "LBD304",
    title="the health-check path needs no authentication",
    severity=Severity.ERROR,
    message='health check path "{path}" demands authentication ({codes}){better}',
    reads=_ANSWER_READS,
    fix="healthcheck-path",
)
def check_demands_authentication(route: Route) -> Iterator[Finding]:
    """The application answers the check with 401 or 403: the path is protected, and checks carry no credentials.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH`. Repair: check a path that needs no authentication.
    """
    answer = _answers(route, "auth")
    if answer is not None:
        yield _answered(route, "LBD304", answer)


@check(
    "LBD317",
    title="the application does not answer the health check with a server error",
    severity=Severity.ERROR,
    message='the application answers the health check path "{path}" with {codes}{better}',
    reads=_ANSWER_READS,
)
def application_answers_5xx(route: Route) -> Iterator[Finding]:
    """The application itself fails on the check path (5xx): a dependency is down, or the handler is broken.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` and the application's own log. Repair: the application, or check
    a path that does not depend on what is down.
    """
    answer = _answers(route, "server")
    if answer is not None:
        yield _answered(route, "LBD317", answer)


@check(
    "LBD305",
    title="the check speaks the protocol of the port",
    severity=Severity.ERROR,
    message="the health check speaks {speaks} to port {port}, where the application speaks {serves}",
    reads=_ANSWER_READS,
    explains=("LBD301", "LBD302"),
    fix="healthcheck-protocol",
)
def check_speaks_wrong_protocol(route: Route) -> Iterator[Finding]:
    """The check sends plain HTTP to a TLS port, or TLS to a plaintext port.

    The readiness probe of the same port succeeds with the other scheme. A TLS server answers plain HTTP with a reset
    (Target.FailedHealthChecks) or, like Go's, with 400. The check protocol does not follow backend-protocol unless
    both are annotated.

    Confirm by hand: `curl -v http://POD_IP:PORT/` against `curl -vk https://POD_IP:PORT/`.
    """
    group = route.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    speaks = group.health_check.protocol
    failing = [t for t in route.unhealthy(MISMATCH, REFUSED) if t.reason == REFUSED or t.codes in (("400",), ("426",))]
    if not failing or speaks not in ("HTTP", "HTTPS"):
        return
    port = checked_pod_port(route, failing[0])
    pods = [p for p in route.matching_pods() if p.containers_ready] if port is not None else []
    probes = [probe for pod in pods if (probe := readiness_of(pod, port or 0)) is not None]
    if not probes or any(probe.scheme == speaks for probe in probes):
        return
    serves = probes[0].scheme
    owner = setting_owner(route, "healthcheck-protocol")
    values = {owner.key: serves}
    changes = [owner.change(serves)]
    risk = ""
    if route.is_alb and group.protocol != serves:
        backend = setting_owner(route, "backend-protocol")
        risk = "a target group of another protocol replaces this one"
        if backend.ref == owner.ref:  # Both in one write: the controller would replace the target group twice.
            changes = [annotate(owner.ref, owner.annotations, {**values, backend.key: serves})]
        else:
            changes.append(backend.change(serves))
    why = f"the readiness probe of the same port speaks {serves}"
    yield Finding(
        "LBD305",
        owner.ref,
        params={"speaks": speaks, "serves": serves, "port": str(port)},
        evidence=(
            Evidence("target group", f"{len(failing)} of {len(route.targets())} targets: {failing[0].reason}"),
            Evidence("pods", f"readinessProbe {describe_probe(probes[0])} succeeds"),
        ),
        targets=tuple(t.key for t in failing),
        repairs=(Repair(serves, tuple(changes)).because(why, risk),),
        fix_automatic=True,
        confirm=(describe_target_health(group.arn, route.context.region),),
    )


@check(
    "LBD307",
    title="the Service's targetPort is a port that the pods listen on",
    severity=Severity.ERROR,
    message="Service {service} sends port {port} to targetPort {target}, but the pods {listen}",
    reads=(*_ANSWER_READS, reads.NODES),
    fix="targetport",
)
def target_port_not_served(route: Route) -> Iterator[Finding]:
    """The Service's targetPort is not a port on which the pods listen; connections are refused.

    Undeclared container ports are legal, so a port that no container declares is only suspicious. It becomes the
    cause when the load balancer reports Target.FailedHealthChecks on it, which means that the connection was refused
    (a filter would give Target.Timeout), and the pods declare or successfully probe another port.

    Confirm by hand: `kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6` lists the listening ports.
    Repair: set targetPort to the port that the container serves.
    """
    group, service, port = route.target_group.need(), route.service.need(), route.service_port.need()
    if group is None or service is None or port is None:
        raise NotApplicable("no target group for a Service port")
    failing = route.unhealthy(REFUSED)
    if not failing:
        return
    pods = [pod for pod in route.matching_pods() if pod.ip]
    if not pods:
        return
    suspects: set[str] = set()
    served: set[int] = set()
    probed: set[int] = set()
    for pod in pods:
        number = int(port.target) if port.target.isdigit() else pod.named_port(port.target, port.protocol)
        if number is None or number in pod.declared_ports(port.protocol):
            continue
        others = set(pod.declared_ports(port.protocol))
        passing = _probed_ports(pod) if pod.containers_ready else set()
        if number in passing or not (others | passing):
            continue
        suspects.add(pod.meta.name)
        served |= others
        probed |= passing
    targets = [t for t in failing if _ends_at_service_port(route, t) and _may_end_at(route, t, suspects)]
    if not suspects or not targets:
        return
    proven = sorted(probed) or sorted(served)
    listen = " and ".join(
        part
        for part in (
            f"declare {', '.join(map(str, sorted(served)))}" if served else "",
            f"answer their readiness probe on {', '.join(map(str, sorted(probed)))}" if probed else "",
        )
        if part
    )
    ref = route.service_ref
    index = service.ports.index(port)
    # A Network Load Balancer reports FailedHealthChecks for filters too, so one alternative is left there.
    confidence = Confidence.CERTAIN if route.is_alb and probed else Confidence.LIKELY
    yield Finding(
        "LBD307",
        ref,
        params={"service": service.meta.name, "port": str(port.port), "target": port.target, "listen": listen},
        evidence=(
            Evidence("target group", f"{len(targets)} of {len(route.targets())} targets: {REFUSED}"),
            Evidence(f"service/{service.meta.name}", f"port {port.port} -> targetPort {port.target}"),
            Evidence("pods", f"{len(suspects)} of {len(pods)} pods {listen}, none declares {port.target}"),
        ),
        confidence=confidence,
        targets=tuple(t.key for t in targets),
        confirm=(describe_target_health(group.arn, route.context.region),),
        repairs=tuple(
            target_port_repair(ref, service, index, n).because(f"{len(suspects)} of {len(pods)} pods {listen}")
            for n in proven[:3]
        ),
        fix_automatic=len(proven) == 1,
        advice="" if len(proven) == 1 else "choose the port that the application serves",
        rules_out="filters on the way: the connection was refused, not dropped" if route.is_alb else "",
    )


def _probed_ports(pod: Pod) -> set[int]:
    """Ports on which the kubelet's readiness probe succeeds now."""
    found = set()
    for container in pod.serving_containers():
        probe = container.readiness
        if probe is None or probe.kind == "exec":
            continue
        number = int(probe.port) if probe.port.isdigit() else pod.named_port(probe.port)
        if number is not None:
            found.add(number)
    return found


def _ends_at_service_port(route: Route, target: TargetHealth) -> bool:
    """Whether the check goes to the traffic port of this Service port (not to a check port of its own)."""
    port = route.service_port.need()
    if route.target_type == "ip":
        return target.check_port in ("", str(target.port))
    return port is not None and target.check_port in ("", str(port.node_port))


def _may_end_at(route: Route, target: TargetHealth, suspects: set[str]) -> bool:
    """An ip target is one pod; behind an instance target kube-proxy may choose any pod."""
    if route.target_type != "ip":
        return True
    pod = route.pod_of(target)
    return pod is not None and pod.meta.name in suspects
