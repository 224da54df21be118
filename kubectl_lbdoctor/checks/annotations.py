"""Annotations of Ingress and Service: unknown keys, bad values, and what has no effect where it stands.

The catalogue and the rules are in `knowledge.annotations`; here they meet what is known about the path. An Ingress is
looked at once per backend Service, because the Service's annotations override its own.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from kubectl_lbdoctor.analysis import misplaced_annotations
from kubectl_lbdoctor.analysis.annotation_readings import OF_THE_CHECK, explained_if_read
from kubectl_lbdoctor.analysis.desired_state import class_parameters, lint_owner
from kubectl_lbdoctor.analysis.frontend_nlb import frontend_nlb_ports
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.ingress_backends import backends_of, ingress_group, sends_all_to_https, spoken
from kubectl_lbdoctor.analysis.ownership import (
    Ownership,
    owner_of_ingress,
    owner_of_service,
)
from kubectl_lbdoctor.analysis.remediation import annotate, kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.analysis.running_version import READS as VERSION_READS
from kubectl_lbdoctor.analysis.running_version import closed_gates, controller_version, newest_for
from kubectl_lbdoctor.checks import configured_values
from kubectl_lbdoctor.checks.annotation_causes import Problem, effects, left_by_nginx, misplaced_finding, move
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotation_rules.linted import listeners_of
from kubectl_lbdoctor.knowledge.annotations import (
    ALB_PREFIX,
    NLB_PREFIX,
    AnnotationContext,
    AnnotationProblem,
    ValueProblem,
    check_value,
    lint,
    missing_actions,
    nearest_key,
    spec_for,
)
from kubectl_lbdoctor.knowledge.nginx_annotations import NGINX_PREFIX
from kubectl_lbdoctor.model import index, reads
from kubectl_lbdoctor.model.derived import derived
from kubectl_lbdoctor.model.fact import NotApplicable, Unknown
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Param, Severity, Source
from kubectl_lbdoctor.model.k8s import Ingress, IngressBackend, Service
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.model.traffic_path import Backend, TrafficPath

_READS = (
    *VERSION_READS,
    reads.INGRESS_CLASS_PARAMS,
    reads.ALL_INGRESSES,
    reads.BINDINGS,
    reads.LOAD_BALANCERS,
    reads.LISTENERS,
    reads.TARGET_GROUPS,
    *misplaced_annotations.READS,
)
# What one annotation shows by itself, whatever else stands on the object or on the other one.
_ALONE = frozenset(
    {"unknown-key", "unknown-to-us", "template", "value", "wrong-object", "auto-mode", "needs-release", "needs-gate"}
)
# LBD101 names this as the reason why nobody makes the load balancer.
_TOLD_ELSEWHERE = frozenset({"nobody-responsible"})
_SEVERITY = {"error": 0, "warning": 1, "info": 2}

USE_ANNOTATION = "use-annotation"


@check(
    "LBD108",
    title="a use-annotation backend has no action",
    passes="every use-annotation backend has its action",
    severity=Severity.ERROR,
    message='Ingress {ingress} routes {paths} to action "{action}"[ by port name "{port}" instead of '
    '"use-annotation"][, but there is no annotation {annotation}][; did you mean '
    '"{nearest}"?]',
    reads=(reads.INGRESSES, reads.SERVICES, reads.BINDINGS),
    explains=("LBD103", "LBD106", "LBD107", "LBD109", "LBD209", "LBD217"),
    distinct_by=("action",),
)
def action_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """A backend with the port name `use-annotation` means the annotation `actions.NAME` of the Ingress, NAME being the
    backend's service name; that annotation is not there. Or the port name itself is mistyped, so that the action is
    taken for a Service.

    The controller then answers these paths with a fixed 503 ("Backend action does not exist", or "Backend service does
    not exist"), and still reports success.

    Confirm by hand: `kubectl get ingress NAME -o yaml`. Repair: give annotation and backend the same name.
    """
    ingress, backend = traffic.ingress.need(), traffic.backend
    if ingress is None or backend is None or not backend.service or _is_resolved(backend):
        raise NotApplicable("no Ingress backend that may be an action")
    ref = _ref(ingress)
    stem = f"{ALB_PREFIX}actions."
    defined = sorted(key.removeprefix(stem) for key in ingress.meta.annotations if key.startswith(stem))
    listed = Evidence(str(ref), f"actions: {', '.join(defined) or 'none'}")
    params: dict[str, Param] = {
        "ingress": ingress.meta.name,
        "paths": tuple(map(spoken, backend.paths)),
        "action": backend.service,
    }
    if backend.port != USE_ANNOTATION:
        if backend.service not in defined or not _is_use_annotation(backend.port):
            return
        if traffic.service.need() is not None:
            return
        yield Finding(
            "LBD108",
            ref,
            params={
                **params,
                "port": backend.port,
            },
            evidence=(Evidence(str(ref), f"backend {backend.service}, port name {backend.port}"), listed),
            confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
            advice=f'set the backend\'s port name to "{USE_ANNOTATION}"',
        )
        return
    missing = missing_actions(ingress.meta.annotations, [backend.service])
    if not missing:
        return
    used = _action_names(ingress)
    near = missing[0][1]
    free = near and near not in used
    yield Finding(
        "LBD108",
        ref,
        params={**params, "annotation": f"actions.{backend.service}", "nearest": near},
        evidence=(Evidence(str(ref), f"backend {backend.service}, port name {USE_ANNOTATION}"), listed),
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
        repairs=(_rename(ref, f"{stem}{near}", f"{stem}{backend.service}", ingress.meta.annotations),) if free else (),
        fix_automatic=bool(free),
        advice="" if free else f"add the annotation {stem}{backend.service}, or name a Service and its port",
    )


def _is_resolved(backend: Backend) -> bool:
    """Whether the backend is what an action forwards to, and so has its annotation."""
    return bool(backend.action) and backend.port != USE_ANNOTATION


def _action_names(ingress: Ingress) -> frozenset[str]:
    return frozenset(b.service for b in _all_backends(ingress) if b.is_action)


def _all_backends(ingress: Ingress) -> list[IngressBackend]:
    found = [path.backend for path in ingress.paths]
    return [*found, ingress.default_backend] if ingress.default_backend is not None else found


@check(
    "LBD110",
    title="an annotation is misspelt, so the controller ignores it",
    passes="every annotation under the controller's prefixes is known",
    severity=Severity.WARNING,
    message="{object}: annotation {name} {fate:unknown=is not known here|*=is ignored}[: {reason}]"
    "[ (misspelt {meant})][; did you mean {nearest}?]",
    reads=_READS,
    fix="annotation-key",
    distinct_by=("key",),
)
def annotation_unknown(traffic: TrafficPath) -> Iterator[Finding]:
    """An annotation under the controller's prefix is read by nobody: mistyped, or of another program. The controller
    ignores it without a word, and the setting keeps its default. Where another finding would not be made if the key
    were read as the nearest known one, this is its cause, and as severe. Of a controller that is newer than the
    releases that are known here (LBD118), a key that is like no known one is named only: it may be read.

    Confirm by hand: compare with the controller's annotation guide. Repair: rename the annotation to the named key;
    old and new are changed in one command.
    """
    for problem in _problems(traffic, "LBD110"):
        near = problem.found.suggested_key
        repairs, certain = _repair(problem)
        explains, sure = effects(traffic, problem)
        certain = certain or bool(explains)
        words: dict[str, Param] = {
            "name": _short(problem.found.key, near),
            "meant" if certain else "nearest": _short(near, problem.found.key),
            "reason": "" if near else problem.found.reason,
            "fate": "unknown" if problem.found.rule == "unknown-to-us" else "ignored",
        }
        found = _finding("LBD110", problem, words, repairs, certain)
        if problem.found.rule == "unknown-to-us":
            found = replace(found, confidence=Confidence.POSSIBLE, advice="see the annotation guide of that release")
            yield found
            continue
        yield replace(found, explains=explains, confidence=sure)


@check(
    "LBD111",
    title="an annotation has a value that the controller refuses",
    passes="every annotation has a valid value",
    severity=Severity.ERROR,
    message='{object}: [{what} ]{name} is "{value}": {reason}',
    reads=(*_READS, *GATEWAY_READS),
    explains=undone_by("LBD111"),
    fix="annotation-value",
    distinct_by=("key",),
    by_absence=(reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS),
)
def annotation_value_invalid(traffic: TrafficPath) -> Iterator[Finding]:
    """An annotation's value is not of its type, out of range, not one of the allowed words, contains typographic
    quotes, or contradicts another annotation; or a field of a TargetGroupConfiguration has a value that AWS refuses.
    Of target groups for HTTP2 and GRPC, only HTTPS listeners forward to them.

    Mostly the controller refuses the whole Ingress or Service then (FailedBuildModel), or AWS does (FailedDeployModel),
    and nothing of it is reconciled any more. Where the value is only ignored, this is a warning.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html

    Confirm by hand: `kubectl describe ingress NAME`. Repair: give the annotation a value that is allowed.
    """
    yield from configured_values.of_gateway(traffic, "LBD111")
    for problem in _problems(traffic, "LBD111"):
        found, spec = _value_finding("LBD111", problem), spec_for(problem.found.key)
        is_path = spec is not None and spec.type == "path"
        # ELB refuses it: the target group has kept another path, or has one that nothing answers.
        yield replace(found, explains=OF_THE_CHECK["path"]) if is_path else found


@check(
    "LBD310",
    title="interval, timeout and thresholds do not fit together",
    passes="interval, timeout and thresholds are accepted together",
    severity=Severity.ERROR,
    message='{object}: [{what} ]{name} is "{value}": {reason}',
    reads=(*_READS, *GATEWAY_READS),
    explains=undone_by("LBD310"),
    fix="annotation-value",
    distinct_by=("key",),
)
def check_timing_refused(traffic: TrafficPath) -> Iterator[Finding]:
    """The health check's interval and timeout are not accepted together: behind an Application Load Balancer the
    interval must be longer than the timeout (defaults 15 and 5 s), behind a Network Load Balancer not shorter.

    AWS refuses the target group ("Health check interval must be greater than the timeout", FailedDeployModel), so that
    it keeps its old settings or is not made at all. A single lowered interval beside the default timeout is enough.

    Confirm by hand: `kubectl describe ingress NAME`. Repair: set a longer interval, or a shorter timeout.
    """
    yield from configured_values.of_gateway(traffic, "LBD310")
    for problem in _problems(traffic, "LBD310"):
        found = _value_finding("LBD310", problem)
        yield replace(found, evidence=(*found.evidence, *_of_the_ingress(traffic, problem)))


def _of_the_ingress(traffic: TrafficPath, problem: Problem) -> Iterator[Evidence]:
    """What the Ingress says beside the Service's own annotation."""
    ingress = traffic.ingress.peek()
    if ingress is None or problem.ref.kind == "Ingress":
        return
    for key in problem.found.related:
        if key in ingress.meta.annotations and key not in problem.annotations:
            yield Evidence(str(_ref(ingress)), f"{key}: {ingress.meta.annotations[key][:300]}")


@check(
    "LBD112",
    title="an annotation has no effect where it stands",
    passes="every annotation has an effect where it stands",
    severity=Severity.WARNING,
    message="{object}: [{what} ]{key} has no effect: {reason}",
    reads=(*_READS, *GATEWAY_READS),
    distinct_by=("key",),
)
def annotation_without_effect(traffic: TrafficPath) -> Iterator[Finding]:
    """A known annotation is not read here: on the wrong kind of object, for the other kind of load balancer, by another
    controller or version, overridden by IngressClassParams or by another annotation, or meant for a kind of check that
    is not made (a path with a TCP check). Of Gateways no annotation is read at all, neither theirs nor those of their
    Services: settings stand in a LoadBalancerConfiguration or a TargetGroupConfiguration. Of the latter the controller
    leaves the protocol version (HTTP2, GRPC) out where all listeners of the route are of HTTP.

    Where another finding would not be made if it were read, this is its cause, and as severe; on a workload, or under
    the prefix of another controller, an annotation is only named then. Of ingress-nginx those are named as information
    without which clients get other answers (rewrites, redirects, who is let in).

    Confirm by hand: the controller's annotation guide. Repair: set what the reason names, or remove the annotation.
    """
    ingress = traffic.ingress.peek()
    missing = ingress is not None and bool(missing_actions(ingress.meta.annotations, _action_names(ingress)))
    ports = {b.service: b.port for b in _all_backends(ingress)} if ingress is not None else {}
    for problem in _problems(traffic, "LBD112"):
        action = problem.found.key.removeprefix(f"{ALB_PREFIX}actions.")
        unused = problem.found.rule == "unused-backend" and action != problem.found.key
        if unused and (missing or _is_use_annotation(ports.get(action, ""))):
            continue  # It was meant for a backend that is mistyped: LBD108.
        repairs, certain = _repair(problem)
        explains, sure = effects(traffic, problem)
        if not explains:
            found = _finding("LBD112", problem, {"what": "annotation"}, repairs, certain)
            yield _for_a_plain_backend(found, action, ports[action]) if unused and action in ports else found
            continue
        repairs = repairs or move(traffic, problem)
        found = _finding("LBD112", problem, {"what": "annotation"}, repairs, certain=True)
        yield replace(found, explains=explains, confidence=sure, fix="annotation-key" if repairs else "")
    for entry in misplaced_annotations.misplaced(traffic):
        yield misplaced_finding(entry)
    of_nginx = ingress is not None and any(key.startswith(NGINX_PREFIX) for key in ingress.meta.annotations)
    if ingress is not None and of_nginx and (owner := owner_of_ingress(traffic)).is_ours:
        parameters = class_parameters(traffic, owner.class_name)
        yield from left_by_nginx(_ref(ingress), ingress.meta.annotations, parameters, _said_elsewhere(traffic, ingress))
    yield from configured_values.unread_of_gateway(traffic)


def _said_elsewhere(traffic: TrafficPath, ingress: Ingress) -> set[str]:
    """The annotations of an Ingress's Services, and what other members say for its whole IngressGroup."""
    known = traffic.namespace_facts.services.is_known
    named = index.services_by_name(traffic.snapshot, traffic.namespace) if known else {}
    services = [named[backend.service] for backend in backends_of(ingress) if backend.service in named]
    found = {key for service in services for key in service.meta.annotations}
    return found | ({ALB_PREFIX + "ssl-redirect"} if _redirects(traffic) else set())


def _is_use_annotation(port: str) -> bool:
    """Whether a backend's port is that of an action, or a name that is meant to be it."""
    return bool(difflib.get_close_matches(port, [USE_ANNOTATION], 1, 0.8))


def _for_a_plain_backend(found: Finding, action: str, port: str) -> Finding:
    """An action by the name of a backend that names a port of its Service: all requests go to the Service. So it is
    where Argo Rollouts splits the traffic and the Ingress does not let it.
    https://argo-rollouts.readthedocs.io/en/stable/features/traffic-management/alb/#usage"""
    return replace(
        found,
        severity=Severity.WARNING,
        evidence=(*found.evidence, Evidence(str(found.object), f"backend {action}, port {port}")),
        advice=f'set the port name of backend {action} to "{USE_ANNOTATION}", or remove the annotation',
    )


@check(
    "LBD117",
    title="an annotation needs a newer controller, or a feature gate",
    passes="the running controller reads every annotation that is set",
    severity=Severity.WARNING,
    message="{object}: annotation {name} needs {needs}[; {running} runs]",
    reads=_READS,
    distinct_by=("key",),
)
def annotation_not_yet_read(traffic: TrafficPath) -> Iterator[Finding]:
    """The annotation is a known one, and the controller that works on this object does not read it: its release is
    older than the one that brought it, or the feature gate is off that it stands behind. The controller ignores it
    without a word. Where another finding would not be made if it were read, this is its cause, and as severe.

    Which release runs is told by the controller's log (the line "version"), else by the tag of its pods' image. Of
    several controllers the newest that may work on the object counts.

    Confirm by hand: `kubectl get pods -A -l app.kubernetes.io/name=aws-load-balancer-controller -o wide`, and the
    annotation guide of that release. Repair: upgrade the controller, or open the gate with --feature-gates; or do
    without the annotation.
    """
    entry = newest_for(traffic)
    for problem in _problems(traffic, "LBD117"):
        found, gate = problem.found, problem.found.rule == "needs-gate"
        needs = f"the feature gate {found.needs}" if gate else f"controller {found.needs}"
        running = "" if gate or entry is None else entry.text
        result = _finding("LBD117", problem, {"needs": needs, "running": running}, (), certain=True)
        yield replace(
            result,
            evidence=(*result.evidence, *((entry.evidence,) if entry is not None else ())),
            explains=explained_if_read(traffic, found.key, found.value),
            advice=f"start the controller with --feature-gates={found.needs}=true"
            if gate
            else f"upgrade the controller to {found.needs} or later, with its CRDs and its IAM policy",
        )


def _short(key: str, beside: str) -> str:
    """An annotation without its prefix, where the other one has the same."""
    prefix, _, name = key.partition("/")
    return name if name and prefix == beside.partition("/")[0] else key


def _value_finding(code: str, problem: Problem) -> Finding:
    repairs, certain = _repair(problem)
    meant = problem.found.suggested_value
    return _finding(
        code,
        problem,
        {"what": "annotation", "value": problem.found.value[:120], "suggestion": meant if meant and certain else ""},
        repairs,
        certain,
    )


def _finding(
    code: str, problem: Problem, params: Mapping[str, Param], repairs: tuple[Repair, ...], certain: bool
) -> Finding:
    found, ref = problem.found, problem.ref
    evidence = [Evidence(str(ref), f"{found.key}: {found.value[:300]}")]
    evidence += [
        Evidence(str(ref), f"{key}: {problem.annotations[key][:300]}")
        for key in found.related
        if key in problem.annotations and key != found.key
    ]
    if found.controller_error:
        evidence.append(Evidence(Source.CONTROLLER_ANSWER, found.controller_error[:300]))
    severity = None
    if code in ("LBD111", "LBD310"):
        severity = None if found.severity == "error" else Severity(found.severity)
    elif found.severity == "info":
        severity = Severity.INFO
    return Finding(
        code,
        ref,
        params={
            "key": found.key,
            "name": found.key.rpartition("/")[2],
            "object": str(ref),
            "reason": found.reason,
            **params,
        },
        evidence=tuple(evidence),
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
        repairs=repairs,
        fix_automatic=certain and bool(repairs),
        advice="" if repairs else _advice(found),
        severity=severity,
    )


def _advice(found: AnnotationProblem) -> str:
    if found.advice:
        return found.advice
    if found.suggested_key:
        return f"use {found.suggested_key}"
    return "correct the value" if found.kind in ("invalid-value", "conflict") else "remove the annotation"


def _repair(problem: Problem) -> tuple[tuple[Repair, ...], bool]:
    """What repairs the annotation, and whether the evidence determines it."""
    found, ref, present = problem.found, problem.ref, problem.annotations
    if found.renames:
        if found.suggested_key in present:
            removed = annotate(ref, present, {found.key: None})
            return (Repair("remove", (removed,)).with_reason(f"{found.suggested_key} is set already"),), False
        if not _accepts(found.suggested_key, found.value):
            return (), False
        near = nearest_key(found.key) if found.kind == "unknown-key" else None
        certain = found.kind == "unknown-key" and near is not None and near.certain
        return (_rename(ref, found.key, found.suggested_key, present),), certain
    if found.sets is None:
        return (), False
    key, value = found.sets
    repair = Repair(value, (annotate(ref, present, {key: value}),)).with_reason(found.reason)
    return (repair,), found.kind == "invalid-value" and key == found.key


def _accepts(key: str, value: str) -> bool:
    spec = spec_for(key)
    if spec is None:
        return False
    try:
        check_value(spec, key, value)
    except ValueProblem:
        return False
    return True


def _rename(ref: ObjectRef, old: str, new: str, annotations: Mapping[str, str]) -> Repair:
    """One write that moves a value to another key."""
    change = annotate(ref, annotations, {new: annotations[old], old: None})
    return Repair(new, (change,)).with_reason(f"nobody reads {old}", "the setting takes effect")


# --- the objects of a path --------------------------------------------------------------------------------------------


def _code(found: AnnotationProblem) -> str:
    if found.kind == "unknown-key":
        return "LBD110"
    if found.kind == "not-yet-read":
        return "LBD117"
    if found.kind == "no-effect":
        return "LBD112"
    return "LBD310" if found.rule == "interval-timeout" else "LBD111"


def _problems(traffic: TrafficPath, code: str) -> Iterator[Problem]:
    """The problems of one code, one per annotation, the worst; raises `Unknown` after those that are certain."""
    seen: set[tuple[ObjectRef, str]] = set()
    for problem in _all_problems(traffic):
        if _code(problem.found) != code or problem.found.rule in _TOLD_ELSEWHERE:
            continue
        name = (problem.ref, problem.found.key)
        if name not in seen:
            seen.add(name)
            yield problem


@derived
def _all_problems(traffic: TrafficPath) -> Iterator[Problem]:
    if traffic.subject.kind == "Ingress":
        ingress = traffic.ingress.need()
        if ingress is not None:
            yield from _of_ingress(traffic, ingress)
    service = traffic.service.need()
    if service is not None:
        yield from _of_service(traffic, service)


def _ref(item: Ingress | Service) -> ObjectRef:
    return ObjectRef(type(item).__name__, item.meta.namespace, item.meta.name)


def _of_ingress(traffic: TrafficPath, ingress: Ingress) -> Iterator[Problem]:
    if not any(key for key in ingress.meta.annotations if "/" in key):
        return
    owner = owner_of_ingress(traffic)
    if not owner.is_ours:
        return
    ref, annotations = _ref(ingress), ingress.meta.annotations
    version = controller_version(traffic)
    try:
        contexts = _ingress_contexts(traffic, ingress, owner)
    except Unknown as unknown:
        # What stands by itself is certain all the same.
        context = AnnotationContext(is_alb=True)
        found = lint("Ingress", annotations, owner=lint_owner(owner), controller_version=version, context=context)
        yield from (Problem(ref, annotations, p) for p in found if p.rule in _ALONE)
        raise unknown from None
    runs = [
        lint("Ingress", annotations, owner=lint_owner(owner), controller_version=version, context=context)
        for context in contexts
    ]
    yield from (Problem(ref, annotations, p) for p in _of_all(runs))


def _of_all(runs: list[tuple[AnnotationProblem, ...]]) -> list[AnnotationProblem]:
    """What is wrong for any backend; without effect is only what has none for every backend."""
    keys = [{p.key for p in run if p.kind == "no-effect"} for run in runs]
    useless = set.intersection(*keys) if keys else set()
    merged = dict.fromkeys(p for run in runs for p in run if p.kind != "no-effect" or p.key in useless)
    return sorted(merged, key=lambda p: (_SEVERITY[p.severity], p.key, p.rule))


def _ingress_contexts(traffic: TrafficPath, ingress: Ingress, owner: Ownership) -> list[AnnotationContext]:
    """One context per backend Service; the same for every path of the Ingress."""
    services = {s.meta.name: s for s in traffic.namespace_facts.services.need()}
    parameters = class_parameters(traffic, owner.class_name)
    listed = _all_backends(ingress)
    balancer = traffic.load_balancer.peek()
    names = dict.fromkeys(b.service for b in backends_of(ingress) if b.service in services)
    found = []
    for name in names or [""]:
        service = services.get(name)
        found.append(
            AnnotationContext(
                is_alb=True,
                counterpart=service.meta.annotations if service is not None else {},
                service_ports=_ports(service) if service is not None else None,
                service_type=service.type if service is not None else None,
                external_traffic_policy=service.external_traffic_policy if service is not None else None,
                class_parameters={key: _text(value) for key, value in parameters.items()},
                in_group=bool(traffic.group),
                group_listeners=_group_listeners(traffic, parameters),
                frontend_nlb_ports=frontend_nlb_ports(traffic.snapshot, ingress),
                redirects=_redirects(traffic),
                has_target_groups=bool(names),
                backends=frozenset(b.service for b in listed if b.service),
                action_backends=frozenset(b.service for b in listed if b.is_action),
                scheme=balancer.scheme if balancer is not None else None,
                closed_gates=closed_gates(traffic),
            )
        )
    return found


def _ports(service: Service) -> tuple[tuple[str, int], ...]:
    return tuple((port.name, port.port) for port in service.ports)


def _text(value: object) -> str:
    """A field of IngressClassParams as an annotation would say it; "" for what has no such form."""
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return ""


def _group_listeners(traffic: TrafficPath, parameters: Mapping[str, object]) -> Mapping[int, str] | None:
    """The listeners of an IngressGroup's load balancer; None when that is not certain."""
    members = traffic.cluster.group_ingresses.peek()
    if not traffic.group or members is None or parameters:
        return None
    listeners: dict[int, str] = {}
    for member in members:
        if ingress_group(member, traffic.snapshot) != traffic.group:
            continue
        own = listeners_of(member.meta.annotations, {})
        if own is None:
            return None
        listeners.update(own)
    return listeners


def _redirects(traffic: TrafficPath) -> bool | None:
    """Whether the Ingress, or a member of its IngressGroup, has HTTP listeners redirect all that comes; None where the
    members are not known."""
    own = traffic.ingress.peek()
    if not traffic.group:
        return own is not None and sends_all_to_https(own)
    if not traffic.cluster.group_ingresses.is_known:
        return None
    return traffic.group in _redirecting_groups(traffic.snapshot)


@derived
def _redirecting_groups(snapshot: Snapshot) -> frozenset[str]:
    """The IngressGroups of which a member has HTTP listeners redirect all that comes."""
    return frozenset(
        ingress_group(member, snapshot)
        for member in snapshot.cluster.group_ingresses.need()
        if ALB_PREFIX + "ssl-redirect" in member.meta.annotations or sends_all_to_https(member)
    )


def _of_service(traffic: TrafficPath, service: Service) -> Iterator[Problem]:
    if not any(key for key in service.meta.annotations if "/" in key):
        return
    own = owner_of_service(traffic)
    front = (
        owner_of_ingress(traffic) if traffic.subject.kind == "Ingress" and traffic.ingress.need() is not None else None
    )
    if front is not None and not front.is_ours:
        return  # A backend of another controller's Ingress.
    makes = own.is_ours or service.type == "LoadBalancer"
    is_alb = True if front is not None else _behind_alb(traffic, service)
    if not makes and is_alb is False:
        return
    if own.owner == "other" and is_alb is not True:
        return  # Another controller reads its annotations in its own way.
    owner = own if makes or front is None else front
    ingress = traffic.ingress.need() if front is not None else None
    balancer = traffic.load_balancer.peek() if traffic.subject.kind == "Service" else None
    parameters = class_parameters(traffic, front.class_name) if front else {}
    context = AnnotationContext(
        is_alb=is_alb,
        is_nlb=_is_nlb(service, own, makes),
        counterpart=ingress.meta.annotations if ingress is not None else None,
        target_type=_service_target_type(traffic, front is not None),
        external_traffic_policy=service.external_traffic_policy or "Cluster",
        service_type=service.type,
        load_balancer_class=service.load_balancer_class,
        service_ports=_ports(service),
        class_parameters={key: _text(value) for key, value in parameters.items()},
        in_group=bool(traffic.group),
        group_listeners=_group_listeners(traffic, parameters),
        redirects=_redirects(traffic),
        scheme=balancer.scheme if balancer is not None else None,
        load_balancer_has_security_groups=bool(balancer.security_groups) if balancer is not None else None,
        closed_gates=closed_gates(traffic),
    )
    ref, annotations = _ref(service), service.meta.annotations
    found = lint(
        "Service",
        annotations,
        owner=lint_owner(owner),
        controller_version=controller_version(traffic),
        context=context,
    )
    yield from (Problem(ref, annotations, p) for p in found)


def _service_target_type(traffic: TrafficPath, behind_alb: bool) -> str | None:
    """The target type of the load balancer that the Service itself makes, where it exists."""
    if behind_alb or traffic.subject.kind != "Service":
        return None
    return traffic.target_type or None


def _is_nlb(service: Service, own: Ownership, makes: bool) -> bool | None:
    if own.owner in ("controller", "auto-mode"):
        return True
    if own.owner == "cloud-provider":
        return service.meta.annotations.get(NLB_PREFIX + "type") == "nlb"
    return None if makes else False


def _behind_alb(traffic: TrafficPath, service: Service) -> bool | None:
    """Whether an Ingress of ours leads to the Service; None when one leads there whose class is not looked at."""
    known = traffic.namespace_facts.bindings.is_known
    bindings = (
        index.bindings_by_service(traffic.snapshot, traffic.namespace).get(service.meta.name, ()) if known else ()
    )
    if any(binding.stack == "ingress" for binding in bindings):
        return True
    ingresses = traffic.namespace_facts.ingresses.peek()
    if ingresses is None:
        return None
    named = any(b.service == service.meta.name for i in ingresses for b in backends_of(i))
    return None if named else False
