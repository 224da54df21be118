"""Annotations of the AWS Load Balancer Controller and the AWS cloud provider: known ones, their meaning, mistakes.

A mistyped annotation is ignored without a word, so only a tool that knows every key can see it. Pure: no I/O beyond
reading the packaged catalogue once. Facts: `annotation_data`; semantics: controller v2.17.1 sources.

Entry points: `catalogue`, `spec_for`, `lint`, `missing_actions`, `resolve`, `effective_health_check`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from kubectl_lbdoctor.knowledge.annotation_catalogue import (
    ALB_PREFIX,
    CLASS_ANNOTATION,
    NLB_PREFIX,
    NLB_STEM,
    SERVICE_PREFIX,
    AnnotationSpec,
    NearKey,
    catalogue,
    is_ours,
    nearest_key,
    same_name,
    spec_for,
    twin_key,
)
from kubectl_lbdoctor.knowledge.annotation_health import (
    HealthCheckIntent,
    Owner,
    Resolved,
    Setting,
    effective_health_check,
    is_node_local,
    resolve,
)
from kubectl_lbdoctor.knowledge.annotation_rules import ALB_RULES, INGRESS_RULES, NLB_RULES
from kubectl_lbdoctor.knowledge.annotation_rules.health_checks import success_code_limits
from kubectl_lbdoctor.knowledge.annotation_rules.linted import (
    AnnotationContext,
    AnnotationProblem,
    Facts,
    Kind,
    LintRule,
    ProblemKind,
)
from kubectl_lbdoctor.knowledge.annotation_values import (
    CodeRanges,
    Severity,
    ValueProblem,
    check_value,
    parse_list,
    parse_success_codes,
)
from kubectl_lbdoctor.knowledge.releases import is_unknown, parse_version

__all__ = [
    "ALB_PREFIX",
    "CLASS_ANNOTATION",
    "NLB_PREFIX",
    "NLB_STEM",
    "SERVICE_PREFIX",
    "AnnotationContext",
    "AnnotationProblem",
    "AnnotationSpec",
    "CodeRanges",
    "HealthCheckIntent",
    "Kind",
    "NearKey",
    "Owner",
    "ProblemKind",
    "Resolved",
    "Setting",
    "Severity",
    "ValueProblem",
    "catalogue",
    "check_value",
    "effective_health_check",
    "is_node_local",
    "is_ours",
    "lint",
    "missing_actions",
    "nearest_key",
    "parse_success_codes",
    "resolve",
    "same_name",
    "spec_for",
]

_RANK = {"error": 0, "warning": 1, "info": 2}
_NO_CONTEXT = AnnotationContext()


def lint(
    kind: Kind,
    annotations: Mapping[str, str],
    *,
    owner: Owner,
    controller_version: str | None = None,
    context: AnnotationContext = _NO_CONTEXT,
) -> tuple[AnnotationProblem, ...]:
    """Everything wrong with the annotations of one Ingress or Service, worst first, then by key.

    owner: who reconciles the object. For a Service: who makes its load balancer (docs/facts.md, "Who makes a load
        balancer"); with `unknown` nothing is said about who reads what. For an Ingress: `controller`, `auto-mode` or
        `unknown`.
    controller_version: the running controller's, used when it is the owner.
    Annotations that are not ours, and those that the controller writes, are passed over. An Ingress whose class is
    another controller's (`context.is_alb` False) has no problems here.
    """
    if kind == "Ingress" and context.is_alb is False:
        return ()
    facts = Facts(kind, annotations, owner, controller_version, context)
    problems: list[AnnotationProblem] = []
    for key, value in annotations.items():
        problems.extend(_lint_one(facts, key, value))
    # What is unreadable or unread already is neither blamed again nor held against another annotation.
    settled = {problem.key for problem in problems if problem.kind != "not-yet-read"}
    for rule in _rules(facts):
        problems.extend(problem for problem in rule(facts) if settled.isdisjoint({problem.key, *problem.related}))
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda problem: (_RANK[problem.severity], problem.key, problem.rule)))


def _rules(facts: Facts) -> Iterator[LintRule]:
    if facts.kind == "Ingress":
        yield from ALB_RULES
        yield from INGRESS_RULES
        return
    if facts.context.is_alb is not False:
        yield from ALB_RULES
    if _makes_load_balancer(facts) is not False:
        yield from NLB_RULES


def _makes_load_balancer(facts: Facts) -> bool | None:
    """Whether a Service makes a load balancer of its own; None when that is not known."""
    if facts.context.is_nlb:
        return True
    if facts.context.is_nlb is False and facts.owner != "cloud-provider":
        return False
    if facts.context.service_type == "LoadBalancer":
        return True
    # Unless ServiceTypeLoadBalancerOnly is on, the controller makes one for other types, too, when they are annotated.
    return None if facts.context.service_type is None or facts.owner == "controller" else False


# --- one annotation ---------------------------------------------------------------------------------------------------


def _lint_one(facts: Facts, key: str, value: str) -> Iterator[AnnotationProblem]:
    spec = spec_for(key)
    if spec is None:
        yield from _unknown(facts, key)
        return
    if spec.written_by_controller:
        return
    unread = next(_unread(facts, spec, key), None)
    if unread is not None:
        yield unread
        return
    yield from _not_yet_read(facts, spec, key, value)
    yield from _bad_value(facts, spec, key, value)


def _unknown(facts: Facts, key: str) -> Iterator[AnnotationProblem]:
    if not is_ours(key):
        return
    near = nearest_key(key)
    if near is None and facts.owner == "controller" and is_unknown(facts.controller_version):
        reason = f"controller {facts.controller_version} may read it"
        yield facts.problem("unknown-key", "unknown-to-us", key, reason)
        return
    reason = "nothing reads it"
    if near is not None and key.partition("/")[0] != near.key.partition("/")[0]:
        reason += f", its prefix must be {near.key.partition('/')[0]}/"
    meant = near.key if near is not None else ""
    if meant and facts.kind == "Service" and meant.startswith(ALB_PREFIX) and _nlb_only(facts):
        spec = spec_for(meant)
        meant = (twin_key(spec) if spec is not None else "") or meant
    if meant and facts.kind == "Ingress" and meant.startswith(SERVICE_PREFIX):
        spec = spec_for(meant)
        meant = (twin_key(spec) if spec is not None else "") or meant
    yield facts.problem("unknown-key", "unknown-key", key, reason, suggested_key=meant)


def _nlb_only(facts: Facts) -> bool:
    return facts.context.is_nlb is True and facts.context.is_alb is False


def _unread(facts: Facts, spec: AnnotationSpec, key: str) -> Iterator[AnnotationProblem]:
    """Why nobody reads a known annotation on this object, if so. The first reason counts."""
    if facts.kind not in spec.locations:
        if spec.locations <= {"Ingress", "Service", "Pod"}:
            where = " and ".join(f"{place}{'es' if place.endswith('s') else 's'}" for place in sorted(spec.locations))
            twin = twin_key(spec) if facts.kind == "Ingress" or _nlb_only(facts) else ""
            yield facts.problem("no-effect", "wrong-object", key, f"read on {where} only", suggested_key=twin)
        return
    if facts.kind == "Service":
        yield from _unread_on_service(facts, spec, key)
    if facts.owner == "auto-mode" and not spec.auto_mode_supported:
        yield _unsupported_in_auto_mode(facts, spec, key)
    yield from _class_wins(facts, spec, key)


# What says the same in EKS Auto Mode: annotation → (annotation to use, value there for each value here).
_AUTO_MODE_INSTEAD: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "internal": ("scheme", {"true": "internal", "false": "internet-facing"}),
    "cross-zone-load-balancing-enabled": ("attributes", {"true": "load_balancing.cross_zone.enabled=true"}),
    "proxy-protocol": ("target-group-attributes", {"*": "proxy_protocol_v2.enabled=true"}),
    "access-log-enabled": ("attributes", {}),
    "access-log-s3-bucket-name": ("attributes", {}),
    "access-log-s3-bucket-prefix": ("attributes", {}),
}


def _unsupported_in_auto_mode(facts: Facts, spec: AnnotationSpec, key: str) -> AnnotationProblem:
    reason = "EKS Auto Mode does not read it"
    if "Auto Mode" in spec.note:
        reason = spec.note.rstrip(".")
    instead, by_value = _AUTO_MODE_INSTEAD.get(spec.suffix.removeprefix(NLB_STEM), ("", {}))
    if not instead or spec.prefix != SERVICE_PREFIX:
        return facts.problem("no-effect", "auto-mode", key, reason)
    reason += f"; {NLB_STEM}{instead} says the same"
    value = by_value.get(facts.annotations[key], "")
    if not value or facts.own(NLB_STEM + instead) is not None:
        return facts.problem("no-effect", "auto-mode", key, reason)
    suggested_key = NLB_STEM + instead
    return facts.problem("no-effect", "auto-mode", key, reason, suggested_key=suggested_key, suggested_value=value)


def _unread_on_service(facts: Facts, spec: AnnotationSpec, key: str) -> Iterator[AnnotationProblem]:
    if spec.prefix == ALB_PREFIX:
        if _nlb_only(facts):
            reason = "it is for an ALB, and this is an NLB"
            yield facts.problem("no-effect", "wrong-load-balancer", key, reason, suggested_key=twin_key(spec))
        return
    if _makes_load_balancer(facts) is False:
        if facts.context.is_alb:
            severity: Severity = "warning" if "healthcheck" in key else "info"
            reason = "it is for an NLB, and this is an ALB"
            twin = spec_for(twin_key(spec))
            # Of the ALB annotations a Service holds those of its own target group; the others stand on the Ingress.
            suggested = twin.key if twin is not None and "Service" in twin.locations else ""
            yield facts.problem(
                "no-effect", "wrong-load-balancer", key, reason, severity=severity, suggested_key=suggested
            )
        return
    if facts.owner in ("controller", "auto-mode") and "controller" not in spec.readers:
        reason = "the cloud provider reads it, and does not make this one"
        yield facts.problem("no-effect", "wrong-owner", key, reason, severity="info")
    if facts.owner == "cloud-provider" and "cloud-provider" not in spec.readers:
        yield _unread_by_cloud_provider(facts, spec, key)
    is_nlb = facts.context.is_nlb or facts.own(NLB_STEM + "type") == "nlb"
    if facts.owner == "cloud-provider" and spec.classic_only and is_nlb:
        reason = "it is for Classic Load Balancers"
        yield facts.problem("no-effect", "classic-only", key, reason, severity="info")


def _unread_by_cloud_provider(facts: Facts, spec: AnnotationSpec, key: str) -> AnnotationProblem:
    reason = "made by the cloud provider, which ignores it"
    if spec.suffix == NLB_STEM + "scheme":
        # The cloud provider makes internet-facing load balancers unless told otherwise.
        if facts.annotations[key] == "internal" and facts.own(NLB_STEM + "internal") in (None, "", "false"):
            instead = NLB_STEM + "internal"
            return facts.problem("no-effect", "wrong-owner", key, reason, suggested_key=instead, suggested_value="true")
        return facts.problem("no-effect", "wrong-owner", key, reason, severity="info")
    return facts.problem("no-effect", "wrong-owner", key, reason)


def _class_wins(facts: Facts, spec: AnnotationSpec, key: str) -> Iterator[AnnotationProblem]:
    if not spec.class_field or spec.class_field not in facts.context.class_parameters:
        return
    chosen = facts.context.class_parameters[spec.class_field]
    if chosen and parse_list(chosen) == parse_list(facts.annotations[key]):
        return
    said = f" ({chosen})" if chosen else ""
    yield facts.problem(
        "no-effect", "class-parameters", key, f"overridden by IngressClassParams.{spec.class_field}{said}"
    )


def _not_yet_read(facts: Facts, spec: AnnotationSpec, key: str, value: str) -> Iterator[AnnotationProblem]:
    """What the running controller lacks to read a known annotation: a release, or a feature gate."""
    running = parse_version(facts.controller_version)
    if facts.owner != "controller" or running is None:
        return
    for since in (spec.since, dict(spec.value_since).get(value, "")):
        first = parse_version(since)
        if first is not None and running < first:
            yield facts.lacking(key, f"v{since}", "release")
            return
    if spec.gate in facts.context.closed_gates:
        yield facts.lacking(key, spec.gate, "gate")


# Bad values of these are passed over by the controller instead of failing.
_IGNORED_WHEN_BAD = frozenset(
    SERVICE_PREFIX + NLB_STEM + name for name in ("enable-icmp-for-path-mtu-discovery", "backend-protocol", "type")
)
_EMPTY_IS_ABSENT = frozenset(SERVICE_PREFIX + NLB_STEM + name for name in ("backend-protocol", "type"))


def _bad_value(facts: Facts, spec: AnnotationSpec, key: str, value: str) -> Iterator[AnnotationProblem]:
    in_tree = facts.owner == "cloud-provider" and spec.prefix == SERVICE_PREFIX
    if key in _EMPTY_IS_ABSENT and not value:
        return
    if in_tree and _cloud_provider_accepts(facts, spec, value):
        return
    limits = success_code_limits(facts) if spec.key == ALB_PREFIX + "success-codes" else (None,)
    found: list[ValueProblem] = []
    for limit in limits:
        try:
            check_value(spec, key, value, code_limits=limit)
        except ValueProblem as problem:
            found.append(problem)
        else:
            break
    else:
        yield _value_problem(facts, spec, key, found[0], in_tree)
        return
    if in_tree and spec.type == "port" and not value.isdecimal() and value != spec.default:
        yield facts.problem(
            "invalid-value",
            "value",
            key,
            "the cloud provider does not resolve port names",
            controller_error=f"Invalid health check port '{value}'",
            suggested_value=spec.default,
        )
    if spec.key == SERVICE_PREFIX + NLB_STEM + "backend-protocol" and not in_tree:
        yield from _unlike_ssl(facts, key, value)


def _value_problem(
    facts: Facts, spec: AnnotationSpec, key: str, problem: ValueProblem, in_tree: bool
) -> AnnotationProblem:
    value = facts.annotations[key]
    error = problem.detail
    if in_tree:
        error = f"failed to parse annotation {key}={value}" if spec.type == "int" and error else ""
        if spec.suffix == NLB_STEM + "healthcheck-protocol":
            error = f"Unsupported health check protocol {value.upper()}"
    return facts.problem(
        "invalid-value",
        "value",
        key,
        problem.reason,
        severity="warning" if key in _IGNORED_WHEN_BAD and problem.severity == "error" else problem.severity,
        controller_error="" if key in _IGNORED_WHEN_BAD else error,
        suggested_value=problem.suggestion,
    )


def _cloud_provider_accepts(facts: Facts, spec: AnnotationSpec, value: str) -> bool:
    """What the cloud provider takes although the controller would not (pkg/providers/v1/aws.go)."""
    name = spec.suffix.removeprefix(NLB_STEM)
    if name in ("internal", "additional-resource-tags"):
        # Anything but "false" means internal, even the old "0.0.0.0/0"; a tag may have no value.
        return True
    if name == "healthcheck-protocol" and value.lower() == "ssl":
        return not (facts.context.is_nlb or facts.own(NLB_STEM + "type") == "nlb")
    return not value and (spec.classic_only or spec.type not in ("int", "path", "port"))


def _unlike_ssl(facts: Facts, key: str, value: str) -> Iterator[AnnotationProblem]:
    """The domain is compared in any case for Classic load balancers; an NLB understands `ssl` only so."""
    if value.lower() == "ssl" and value != "ssl":
        reason = "must be ssl in lower case; anything else means tcp"
        yield facts.problem("invalid-value", "value", key, reason, severity="warning", suggested_value="ssl")


# --- actions ----------------------------------------------------------------------------------------------------------


def missing_actions(
    annotations: Mapping[str, str], use_annotation_backends: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """Backends with the port `use-annotation` that have no `actions.NAME`: (name, nearest action's name or "")."""
    stem = ALB_PREFIX + "actions."
    defined = [key.removeprefix(stem) for key in annotations if key.startswith(stem)]
    missing = sorted(set(use_annotation_backends) - set(defined))
    return tuple((name, next(iter(difflib.get_close_matches(name, defined, n=1)), "")) for name in missing)
