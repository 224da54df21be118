"""LBD3xx: the health-check request and its answer.

The reason code decides first: Target.ResponseCodeMismatch proves that an HTTP server answered on the checked port, so
security groups, network ACLs, routes and the port are fine; Target.FailedHealthChecks on an Application Load Balancer
proves that the packet arrived and was refused, reset or not answered as HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubectl_lbdoctor.checks import witnesses
from kubectl_lbdoctor.checks.commands import annotate, describe_target_health, kubectl, restart
from kubectl_lbdoctor.checks.registration import target_port_repair
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.runner import NotApplicable
from kubectl_lbdoctor.checks.workload import describe_probe
from kubectl_lbdoctor.knowledge.success_codes import accepts
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.aws import TargetGroup, TargetHealth
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Meta, Pod, Probe
from kubectl_lbdoctor.model.plan import Change, Repair
from kubectl_lbdoctor.model.probe import ProbeAnswer
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

    A Service annotation wins over the Ingress's (docs/facts.md, "Health checks that the controller asks for"). An
    Ingress that leads to several Services applies its own annotation to all of them, so a repair for one backend
    belongs on that backend's Service.
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
    """Targets whose check is answered with codes of one class, and what the pods say about themselves.

    paths: what answers as the check wants, each with what shows it, best first; `exact` when the first of them is the
    one to take. host: a name to which the check path answers well. to: where a redirect leads. fine: the pods answer
    this very check with a success now.
    """

    group: TargetGroup
    targets: tuple[TargetHealth, ...]
    codes: tuple[str, ...]
    owner: SettingOwner
    paths: tuple[tuple[str, str], ...] = ()
    exact: bool = False
    host: str = ""
    to: str = ""
    fine: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def better(self) -> str:
        """The path to take, "" where none or one of several is known."""
        return self.paths[0][0] if self.exact else ""


def _answers(route: Route, wanted: str) -> _Answer | None:
    """Targets answered with a code of class `wanted` (auth, redirect, server or client); None when there is none."""
    group = route.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    answered = [(t, codes) for t, codes in _answered_targets(route, group) if _class_of(codes[-1]) == wanted]
    if not answered:
        return None
    failing = tuple(t for t, _ in answered)
    codes = tuple(sorted({code for _, found in answered for code in found}))
    port = checked_pod_port(route, failing[0])
    said = failing[0].description if failing[0].reason == MISMATCH else failing[0].reason
    evidence = [Evidence("target group", f"{len(failing)} of {len(route.targets())} targets: {said}")]
    pods = route.matching_pods() if port is not None and route.facts.pods.is_known else ()
    readiness = [(pod, probe) for pod in pods if (probe := readiness_of(pod, port or 0)) is not None]
    ready = sum(pod.containers_ready for pod, _ in readiness)
    probe = readiness[0][1] if readiness and ready else None
    asked = witnesses.heard(witnesses.checked(route, failing, port))
    tried = witnesses.heard(witnesses.variations(route, failing, port, asked))
    fine = bool(asked) and all(witnesses.is_success(a, group.health_check.timeout) for a in asked)
    good = [a for a in tried if witnesses.is_success(a)]
    evidence += witnesses.evidence((*asked, *good))
    vain = dict.fromkeys(a.request.path for a in tried if a.request.path != group.health_check.path)
    if vain and not good:
        evidence.append(Evidence("probe", f"no success on {', '.join(vain)} either"))
    if probe is not None:
        evidence.append(Evidence("pods", f"readinessProbe {describe_probe(probe)} succeeds in {ready} of {len(pods)}"))
    paths, exact = _good_paths(route, group, pods, port, tried)
    # A readiness probe with a Host header of its own says nothing about what the load balancer's header gets.
    own = witnesses.path_of(probe) if probe is not None else ""
    if probe is not None and own != group.health_check.path and not probe.host_header:
        others = [entry for entry in paths if entry[0] != own]
        paths, exact = [(own, f'"{own}" succeeds: readiness probe of {ready} pods'), *others], True
    host = probe.host_header if probe is not None and own == group.health_check.path else ""
    hosts = [a.request.host for a in good if a.request.path == group.health_check.path]
    return _Answer(
        group,
        failing,
        codes,
        setting_owner(route, "healthcheck-path"),
        paths=tuple(paths),
        exact=exact,
        host=host or (hosts[0] if hosts and not paths else ""),
        to=next((a.location for a in asked if a.location), ""),
        fine=fine,
        evidence=tuple(evidence),
    )


def _answered_targets(route: Route, group: TargetGroup) -> list[tuple[TargetHealth, tuple[str, ...]]]:
    """Failing targets and the codes that their check is answered with.

    A Network Load Balancer does not tell a wrong code from no answer: there the probes do.
    """
    found = [(t, t.codes) for t in route.unhealthy(MISMATCH) if t.codes]
    if route.is_alb or group.health_check.protocol not in ("HTTP", "HTTPS"):
        return found
    for target in route.unhealthy(REFUSED):
        told = witnesses.heard(witnesses.checked(route, (target,), checked_pod_port(route, target)))
        wrong = [a for a in told if a.status is not None and not accepts(a.request.matcher, a.status)]
        if wrong and len(wrong) == len(told):
            found.append((target, tuple(sorted({str(a.status) for a in wrong}))))
    return found


def _good_paths(
    route: Route, group: TargetGroup, pods: tuple[Pod, ...], port: int | None, tried: tuple[ProbeAnswer, ...]
) -> tuple[list[tuple[str, str]], bool]:
    """Paths that answer probes as the check wants, those that the pods declare first; and whether the first is the one
    to take: the only one, or the only one that is declared."""
    found: dict[str, set[str]] = {}
    for answer in tried:
        if answer.request.path != group.health_check.path and witnesses.is_success(answer):
            found.setdefault(answer.request.path, set()).add(answer.request.pod)
    failed = {a.request.path for a in tried if not witnesses.is_success(a)}
    good = [path for path in found if path not in failed]
    declared = {
        witnesses.path_of(probe)
        for pod in pods
        for container in pod.serving_containers()
        for probe in (container.readiness, container.liveness, container.startup)
        if probe is not None and probe.kind == "httpGet" and witnesses.port_of(pod, probe) == port
    }
    good.sort(key=lambda path: path not in declared)
    exact = len(good) == 1 or len([path for path in good if path in declared]) == 1
    said = [(path, f'"{path}" answers a probe as the check wants in {_pods(len(found[path]))}') for path in good]
    return said, exact


def _pods(number: int) -> str:
    return "1 pod" if number == 1 else f"{number} pods"


def _class_of(code: str) -> str:
    if code in ("401", "403", "407"):
        return "auth"
    if code in ("301", "302", "303", "307", "308"):
        return "redirect"
    return "server" if code.startswith("5") else "client"


def _answered(route: Route, code: str, answer: _Answer, **params: str) -> Finding:
    """The finding that all answers have in common; a path that answers makes the repair exact."""
    check = answer.group.health_check
    repairs = tuple(answer.owner.repair(path, why, _RECHECK) for path, why in answer.paths[:3])
    advice = ""
    if not repairs:
        advice = (
            f"annotate {answer.owner.ref} with {answer.owner.key}=<a path that answers {check.matcher}>, "
            f"or widen {answer.owner.key.replace('healthcheck-path', 'success-codes')}"
        )
    elif not answer.exact:
        advice = "choose the path that tells whether the application can serve"
    by_hand: tuple[str, ...] = ()
    fix, blank = "", answer.owner.repair("")
    if all(number.startswith("2") for number in answer.codes):
        # The application serves the path: not the path is wrong, but what is expected of it.
        owner, fix = setting_owner(route, "success-codes"), "success-codes"
        blank = owner.repair("")
        others = any(t.state == "healthy" for t in route.targets()) and "-" not in check.matcher
        value = ",".join(sorted({*answer.codes, *(check.matcher.split(",") if others else ())}))
        repairs, advice = (owner.repair(value, f"the path answers with {', '.join(answer.codes)}", _RECHECK),), ""
    elif answer.better and answer.owner.value == answer.better:
        # The annotation is right and the target group is not (LBD311): to set it once more would change nothing.
        said = f"{answer.owner.key} asks for {answer.better} already"
        advice = f"{said} and was not applied: the controller has to reconcile it"
        repairs = ()
        by_hand = tuple(
            restart(ObjectRef("Deployment", w.meta.namespace, w.meta.name)).commands[0]
            for w in (route.cluster.controllers.peek() or ())[:1]
        )
    elif answer.fine:
        seconds = check.healthy_threshold * check.interval
        advice = (
            f"inside the cluster the check is answered as it should be: where that was repaired just now, targets turn "
            f"healthy within {seconds} s; else the answer depends on who asks (source address, headers)"
        )
        repairs = ()
    finding = Finding(
        code,
        answer.owner.ref,
        params={
            "path": check.path,
            "codes": ", ".join(answer.codes),
            "matcher": check.matcher,
            "better": _what_answers(route, answer),
            **params,
        },
        evidence=answer.evidence,
        confidence=Confidence.LIKELY if answer.fine else Confidence.CERTAIN,
        targets=tuple(t.key for t in answer.targets),
        confirm=(describe_target_health(answer.group.arn, route.context.region),),
        repairs=repairs,
        by_hand=by_hand,
        blank=blank,
        fix_automatic=bool(repairs) and (answer.exact or bool(fix)),
        fix=fix,
        advice=advice,
        rules_out=_RULES_OUT if answer.targets[0].reason == MISMATCH else "",
    )
    return of_one_workload(route, finding, answer.targets)


def of_one_workload(route: Route, finding: Finding, failing: Iterable[TargetHealth]) -> Finding:
    """The same finding, about the workload whose pods alone fail what those of another pass behind the same Service: to
    change the check or the Service would break what works."""
    odd = witnesses.odd_workload(route, failing)
    service = route.service.peek()
    if odd is None or service is None:
        return finding
    bad, good = odd
    selector = ",".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
    said = Evidence("pods", f"those of {bad} fail, and those of {good} pass the same check")
    listed = kubectl("get", "pods", "-l", selector, "--show-labels", namespace=route.namespace)
    return replace(
        finding,
        object=bad,
        evidence=(*finding.evidence, said),
        repairs=(),
        by_hand=(),
        blank=None,
        fix_automatic=False,
        confirm=(*finding.confirm, listed),
        advice=f"let the pods of {bad} serve as those of {good} do; or, if {route.service_ref} is not to lead to them, "
        f"narrow its selector, which matches both ({selector})",
    )


def _what_answers(route: Route, answer: _Answer) -> str:
    odd = witnesses.odd_workload(route, answer.targets)
    if odd is not None:
        return f"; the pods of {odd[1]} pass it, those of {odd[0]} do not"
    if not answer.paths or answer.fine:
        return ""
    if "readiness probe" in answer.paths[0][1]:
        return f'; "{answer.paths[0][0]}" succeeds (readiness probe)'
    several = " and ".join(f'"{path}"' for path, _ in answer.paths[:3])
    return f"; {several} {'succeeds' if len(answer.paths) == 1 else 'succeed'}"


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
    if answer is not None and not answer.host:
        yield _answered(route, "LBD301", answer)


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
    own and succeeds, or a probe with a host name of the Ingress rules does.

    Confirm by hand: `curl -i http://POD_IP:PORT/PATH` against `curl -i -H 'Host: NAME' http://POD_IP:PORT/PATH`.
    Repair: answer the check path in the application's default virtual host, or check another port or by TCP.
    """
    for kind in ("client", "redirect"):
        answer = _answers(route, kind)
        if answer is not None and answer.host:
            advice = "answer the check path in the application's default virtual host, or check another port"
            advice += "" if route.is_alb else ", or by TCP"
            finding = _answered(route, "LBD302", answer, host=answer.host)
            yield replace(finding, repairs=(), blank=None, fix_automatic=False, advice=advice)


@check(
    "LBD303",
    title="the health check is not redirected",
    severity=Severity.ERROR,
    message='health check path "{path}" is answered with a redirect{to} ({codes}), expected {matcher}{better}',
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
    if answer is None or answer.host:
        return
    finding = _answered(route, "LBD303", answer, to=f" to {answer.to[:100]}" if answer.to else "")
    if not finding.commands and not answer.fine:
        owner = setting_owner(route, "success-codes")
        why = f"the path answers with a redirect ({', '.join(answer.codes)})"
        risk = "a redirect, also to a login page, counts as healthy"
        login = bool(_LOGIN.search(answer.to))
        advice = "a login page says nothing about the application: better check a path without one" if login else ""
        accept = owner.repair("200-399", why, risk)
        blank = owner.repair("")
        yield replace(finding, repairs=(accept,), blank=blank, fix_automatic=not login, advice=advice)
        return
    # What `_answered` repairs is the path, not the codes.
    yield replace(finding, fix="healthcheck-path")


_LOGIN = re.compile(r"log-?in|sign-?in|auth|sso|saml|openid", re.IGNORECASE)


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

    The readiness probe of the same port succeeds with the other scheme, or a probe does. A TLS server answers plain
    HTTP with a reset (Target.FailedHealthChecks) or, like Go's, with 400. The check protocol does not follow
    backend-protocol unless both are annotated.

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
    told = witnesses.answers(route, witnesses.pods_behind(route, failing), port=port)
    spoken = witnesses.spoken(told)
    pods = [p for p in route.matching_pods() if p.containers_ready] if port is not None else []
    probes = [probe for pod in pods if (probe := readiness_of(pod, port or 0)) is not None]
    if spoken:
        serves, said = spoken, f"a probe of the same port was answered by {spoken}"
    elif probes and all(probe.scheme != speaks for probe in probes):
        serves, said = probes[0].scheme, f"the readiness probe of the same port speaks {probes[0].scheme}"
    else:
        return
    if serves == speaks or serves not in ("HTTP", "HTTPS"):
        return  # Another version is LBD306.
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
    shown = witnesses.evidence(a for a in told if a.request.version == "HTTP1" and a.request.path == _path(group))
    finding = Finding(
        "LBD305",
        owner.ref,
        params={"speaks": speaks, "serves": serves, "port": str(port)},
        evidence=(
            Evidence("target group", f"{len(failing)} of {len(route.targets())} targets: {failing[0].reason}"),
            *shown,
            *(Evidence("pods", f"readinessProbe {describe_probe(p)} succeeds") for p in probes[:1]),
        ),
        targets=tuple(t.key for t in failing),
        repairs=(Repair(serves, tuple(changes)).because(said, risk),),
        fix_automatic=True,
        confirm=(describe_target_health(group.arn, route.context.region),),
    )
    yield of_one_workload(route, finding, failing)


def _path(group: TargetGroup) -> str:
    return group.health_check.path or "/"


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

    A probe that is refused on the pod's address and its loopback proves it, and finds the port that answers.

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
    suspects: dict[str, int] = {}
    silent: list[Pod] = []
    served: set[int] = set()
    probed: set[int] = set()
    for pod in pods:
        number = int(port.target) if port.target.isdigit() else pod.named_port(port.target, port.protocol)
        passing = _probed_ports(pod) if pod.containers_ready else set()
        if number is None or number in passing:
            continue
        told = witnesses.answers(route, (pod,), port=number)
        others = set(pod.declared_ports(port.protocol)) - {number}
        if witnesses.silent(route, pod, number):
            silent.append(pod)
        elif witnesses.listens(told) or number in pod.declared_ports(port.protocol) or not (others | passing):
            continue
        suspects[pod.meta.name] = number
        served |= others
        probed |= passing
    targets = [t for t in failing if _ends_at_service_port(route, t) and _may_end_at(route, t, set(suspects))]
    if not suspects or not targets:
        return
    found = witnesses.open_ports(route, silent, besides=next(iter(suspects.values())))
    # Of several ports that answer, the one that gives the check what it wants is the one.
    right = [n for n in found if any(witnesses.is_success(a) for a in witnesses.answers(route, silent, port=n))]
    asks_http = group.health_check.protocol in ("HTTP", "HTTPS")
    proven = sorted(probed) or (right if asks_http and len(right) == 1 else found)
    choices = list(proven) or ([] if silent else sorted(served))
    listen = " and ".join(
        part
        for part in (
            f"declare {_listed(served)}" if served and not silent else "",
            f"answer their readiness probe on {_listed(probed)}" if probed else "",
            f"listen on {_listed(found)}" if found and not probed else "",
        )
        if part
    )
    listen = listen or "do not listen there, nor on any other port that was tried"
    ref = route.service_ref
    index = service.ports.index(port)
    # A Network Load Balancer reports FailedHealthChecks for filters too, so one alternative is left there.
    # Where only the loopback was heard, a process that is bound to the pod's address alone is the other alternative.
    heard = [pod for pod in silent if witnesses.refused(witnesses.answers(route, (pod,), port=suspects[pod.meta.name]))]
    certain = bool(heard) or (route.is_alb and bool(probed))
    said = f"{len(suspects)} of {len(pods)} pods {listen}"
    asked = [a for a in witnesses.answers(route, silent) if a.request.port in {*suspects.values(), *found}]
    advice = "" if len(choices) == 1 else "choose the port that the application serves"
    if not choices:
        advice = "see where it listens, and whether it does: kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6"
    finding = Finding(
        "LBD307",
        ref,
        params={"service": service.meta.name, "port": str(port.port), "target": port.target, "listen": listen},
        evidence=(
            Evidence("target group", f"{len(targets)} of {len(route.targets())} targets: {REFUSED}"),
            Evidence(f"service/{service.meta.name}", f"port {port.port} -> targetPort {port.target}"),
            *witnesses.evidence(asked),
            *(() if silent else (Evidence("pods", f"{said}, none declares {port.target}"),)),
        ),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
        targets=tuple(t.key for t in targets),
        confirm=(describe_target_health(group.arn, route.context.region),),
        repairs=tuple(target_port_repair(ref, service, index, n).because(said) for n in choices[:3]),
        fix_automatic=len(choices) == 1,
        advice=advice,
        rules_out="filters on the way: the connection was refused, not dropped" if route.is_alb or silent else "",
    )
    yield of_one_workload(route, finding, targets)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


@check(
    "LBD308",
    title="the process listens on the pod's address",
    severity=Severity.ERROR,
    message="port {port} of the pods answers on the loopback {only}: the process does not listen on the pod's address",
    reads=_ANSWER_READS,
    explains=("LBD307", "LBD313"),
)
def listens_on_loopback_only(route: Route) -> Iterator[Finding]:
    """The application is bound to 127.0.0.1 (or localhost): it works through `kubectl port-forward` and `kubectl exec`,
    which come from inside the pod, and refuses everything from outside.

    Confirm by hand: `kubectl exec POD -- cat /proc/net/tcp` shows the local address 0100007F (127.0.0.1) and not
    00000000. Repair: let the application listen on all addresses (0.0.0.0 or ::); it is a flag, a variable such as HOST
    or BIND, or a line of its configuration.
    """
    group = route.target_group.need()
    if group is None:
        raise NotApplicable("no target group")
    found: dict[int, list[TargetHealth]] = {}
    pods: dict[str, Pod] = {}
    for target in route.unhealthy(REFUSED):
        port = checked_pod_port(route, target)
        for pod in witnesses.pods_behind(route, (target,)) if port is not None else ():
            if witnesses.loopback_only(route, pod, port or 0):
                pods[pod.meta.name] = pod
                if target not in found.setdefault(port or 0, []):
                    found[port or 0].append(target)
    for port, targets in found.items():
        told = witnesses.answers(route, pods.values(), port=port)
        # An IPv6 address is refused, too, by what listens on IPv4 alone.
        six = any(":" in pod.ip for pod in pods.values())
        yield Finding(
            "LBD308",
            witnesses.workload_of(next(iter(pods.values()))),
            params={"port": str(port), "only": "or by IPv4 only" if six else "only"},
            evidence=(
                Evidence("target group", f"{len(targets)} of {len(route.targets())} targets: {REFUSED}"),
                *witnesses.evidence(told),
                *witnesses.socket_evidence(route, pods.values(), port),
            ),
            targets=tuple(t.key for t in targets),
            confirm=(kubectl("exec", next(iter(pods)), "--", "cat", "/proc/net/tcp", namespace=route.namespace),),
            advice=f"let the application listen on 0.0.0.0:{port} (or [::]:{port}), not on 127.0.0.1 or localhost",
            rules_out="filters on the way: the connection was refused, not dropped",
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
