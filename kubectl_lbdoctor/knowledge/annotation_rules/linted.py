"""What a rule looks at and what it says: one object with its annotations and surroundings, and one thing wrong with it.

One rule is one generator over `Facts`. A rule that lacks a fact says nothing; it never guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import Literal

from kubectl_lbdoctor.knowledge.annotation_catalogue import ALB_PREFIX, NLB_STEM, SERVICE_PREFIX
from kubectl_lbdoctor.knowledge.annotation_health import (
    NO_ANNOTATIONS,
    Owner,
    TargetType,
)
from kubectl_lbdoctor.knowledge.annotation_values import (
    Severity,
    ValueProblem,
    parse_bool,
    parse_list,
    parse_listen_ports,
)
from kubectl_lbdoctor.record import record

Kind = Literal["Ingress", "Service"]
ProblemKind = Literal["unknown-key", "invalid-value", "no-effect", "not-yet-read", "conflict"]


@record
class AnnotationContext:
    """What is known about the object and its surroundings. None always means: not known; then no rule builds on it."""

    is_alb: bool | None = None
    """The object makes, or is a backend of, an application load balancer."""
    is_nlb: bool | None = None
    """The object makes a network load balancer; False with the cloud provider means a Classic one."""
    counterpart: Mapping[str, str] | None = None
    """Annotations of the other object on the route: the backend Service's for an Ingress, the Ingress's for a Service.
    An Ingress with several backends is linted once per backend. An Ingress without it is taken to have nothing
    overridden; of a Service without it no rule assumes what its Ingress says."""
    target_type: str | None = None
    """`instance` or `ip` in force; else it is derived from the annotations where they say it."""
    external_traffic_policy: str | None = None
    service_type: str | None = None
    load_balancer_class: str | None = None
    """spec.loadBalancerClass; "" when the field is not set."""
    service_ports: tuple[tuple[str, int], ...] | None = None
    """(name, port) of every port of the Service; the name is "" when it has none."""
    class_parameters: Mapping[str, str] = field(default_factory=dict)
    """Fields that IngressClassParams sets, by their names there → value; lists joined by commas, "" for structures."""
    in_group: bool | None = None
    """The Ingress shares its load balancer; else it is derived from `group.name` and the class parameters."""
    group_listeners: Mapping[int, str] | None = None
    """Port → HTTP or HTTPS over all members of the IngressGroup, this one included."""
    frontend_nlb_ports: frozenset[int] | None = None
    """The ports that the Network Load Balancer before the Ingress's own listens on, as all members ask for them."""
    redirects: bool | None = None
    """By a rule of this Ingress, or by `ssl-redirect` or a rule of a member of its IngressGroup, HTTP listeners
    redirect all that comes: none of them forwards anything then. Of an Ingress without a group None is no."""
    has_target_groups: bool | None = None
    """The Ingress leads to a Service; False where redirects and fixed responses are all that it has."""
    backends: frozenset[str] | None = None
    """Names of all backend Services in the Ingress's rules and default backend, as written there."""
    action_backends: frozenset[str] | None = None
    """Those of `backends` whose port is `use-annotation`."""
    scheme: str | None = None
    """Scheme of the existing load balancer."""
    load_balancer_has_security_groups: bool | None = None
    closed_gates: frozenset[str] = frozenset()
    """Feature gates of the controller that are certainly off."""


@record
class AnnotationProblem:
    """One thing wrong with one annotation."""

    kind: ProblemKind
    rule: str
    """Stable name of the rule, such as `interval-timeout`."""
    key: str
    """Full key as written on the object."""
    value: str
    reason: str
    """What is wrong, in our words: reads after "KEY: "."""
    severity: Severity
    """error: the controller or AWS refuses it, or the result is not what it says; warning: ignored; info: harmless."""
    controller_error: str = ""
    """The message that the controller gives, exactly, where it is known; "" when it says nothing."""
    suggested_key: str = ""
    """Full key to use, "" for the same key. May hold `${...}` parts that somebody has to fill in."""
    suggested_value: str = ""
    """Value to set on the suggested key, else on the same key; "" when none is known or the value may stay."""
    related: tuple[str, ...] = ()
    """Full keys of the annotations that it clashes with or depends on."""
    advice: str = ""
    """What a person does where neither another key nor another value mends it; "" where the kind says it."""
    needs: str = ""
    """Of "not-yet-read": the release ("v2.11.0") or the feature gate that the controller lacks to read it."""

    @property
    def suggestion(self) -> str:
        """The key to use instead, else the value to use instead, else ""."""
        return self.suggested_key or self.suggested_value

    @property
    def renames(self) -> bool:
        """The repair is to move the value to `suggested_key` (which may be taken already)."""
        return bool(self.suggested_key) and not self.suggested_value and "${" not in self.suggested_key

    @property
    def sets(self) -> tuple[str, str] | None:
        """The repair is to set this key to this value, beside or in place of what is there."""
        return (self.suggested_key or self.key, self.suggested_value) if self.suggested_value else None


@record
class Facts:
    """One object to lint, with its annotations and what is known around it."""

    kind: Kind
    annotations: Mapping[str, str]
    owner: Owner
    controller_version: str | None
    context: AnnotationContext

    def key(self, suffix: str) -> str:
        """Full key of an ALB suffix or of an `aws-load-balancer-` suffix."""
        return (SERVICE_PREFIX if suffix.startswith((NLB_STEM, "load-balancer-source-")) else ALB_PREFIX) + suffix

    def own(self, suffix: str) -> str | None:
        """The value on this object."""
        return self.annotations.get(self.key(suffix))

    def merged(self, suffix: str) -> str | None:
        """The value in force: the Service's before the Ingress's. None also when it stands on neither."""
        other = self.context.counterpart or NO_ANNOTATIONS
        service, ingress = (self.annotations, other) if self.kind == "Service" else (other, self.annotations)
        key = self.key(suffix)
        return service.get(key, ingress.get(key))

    @property
    def complete(self) -> bool:
        """Whether absence from `merged` means absence."""
        return self.kind == "Ingress" or self.context.counterpart is not None

    @property
    def in_group(self) -> bool:
        """Whether the Ingress shares its load balancer, as far as its annotations and its class tell."""
        if self.context.in_group is not None:
            return self.context.in_group
        return "group" in self.context.class_parameters or self.own("group.name") is not None

    @property
    def alb_target_type(self) -> str | None:
        """The target type of an ALB's target group where it is known or written; None for the controller's default,
        which is a flag of its (`--default-target-type`). EKS Auto Mode's default is ip."""
        known = (
            self.context.target_type or self.context.class_parameters.get("targetType") or self.merged("target-type")
        )
        return known or ("ip" if self.owner == "auto-mode" and self.complete else None)

    @property
    def nlb_target_type(self) -> TargetType | None:
        """The target type of an NLB's target groups where it is certain, else None. The cloud provider registers
        instances, whatever `nlb-target-type` says."""
        asked = self.own(NLB_STEM + "nlb-target-type")
        if self.context.target_type == "ip" or (self.owner != "cloud-provider" and asked == "ip"):
            return "ip"
        if self.own(NLB_STEM + "type") == "nlb-ip":
            return "ip"
        if self.owner == "cloud-provider" or self.context.target_type == "instance" or asked == "instance":
            return "instance"
        return None

    @property
    def is_classic(self) -> bool:
        """The cloud provider makes a Classic load balancer."""
        by_type = self.own(NLB_STEM + "type") != "nlb"
        return self.owner == "cloud-provider" and (by_type if self.context.is_nlb is None else not self.context.is_nlb)

    @property
    def of_ingress(self) -> Mapping[str, str] | None:
        """The annotations of the Ingress: this object, or the one before it; None where that is not known."""
        return self.annotations if self.kind == "Ingress" else self.context.counterpart

    def listeners(self) -> Mapping[int, str] | None:
        """Port → protocol of the Ingress's load balancer; None when other members of its group may add some."""
        if self.context.group_listeners is not None:
            return self.context.group_listeners
        return None if self.in_group else self.own_listeners()

    def own_listeners(self) -> Mapping[int, str] | None:
        """Port → protocol of the listeners that the Ingress's own rules are put on, in a group, too; of a Service those
        of its Ingress. None when that is not certain."""
        return None if self.of_ingress is None else listeners_of(self.of_ingress, self.context.class_parameters)

    def plain_ports(self) -> tuple[int, ...]:
        """The HTTP listeners that certainly forward requests of the Ingress. With `ssl-redirect` on any member of a
        group, all that are HTTP redirect instead (the controller's pkg/ingress/model_build_listener.go)."""
        own, all_of_it, ingress = self.own_listeners(), self.listeners(), self.of_ingress
        if own is None or ingress is None or self.context.has_target_groups is False:
            return ()
        asked = self.key("ssl-redirect") in ingress or "sslRedirectPort" in self.context.class_parameters
        redirects = asked or self.context.redirects or (self.in_group and self.context.redirects is None)
        if redirects and (all_of_it is None or "HTTPS" in all_of_it.values()):
            return ()
        return tuple(sorted(port for port, protocol in own.items() if protocol == "HTTP"))

    def problem(
        self,
        kind: ProblemKind,
        rule: str,
        suffix: str,
        reason: str,
        *,
        severity: Severity | None = None,
        controller_error: str = "",
        suggested_key: str = "",
        suggested_value: str = "",
        related: tuple[str, ...] = (),
        advice: str = "",
    ) -> AnnotationProblem:
        """A problem with the annotation `suffix` of this object; `suffix` may be a full key, `related` too. What the
        reason quotes of a value may have several lines, and is said on one."""
        key = suffix if "/" in suffix else self.key(suffix)
        return AnnotationProblem(
            kind=kind,
            rule=rule,
            key=key,
            value=self.annotations[key],
            reason=" ".join(reason.split()),
            severity=severity or ("error" if kind in ("conflict", "invalid-value") else "warning"),
            controller_error=controller_error,
            suggested_key=self.key(suggested_key) if suggested_key and "/" not in suggested_key else suggested_key,
            suggested_value=suggested_value,
            related=tuple(name if "/" in name else self.key(name) for name in related),
            advice=advice,
        )

    def lacking(self, key: str, needs: str, what: Literal["release", "gate"]) -> AnnotationProblem:
        """A problem with a known annotation that the running controller, for want of `needs`, does not read."""
        running = self.controller_version
        reason = f"read since {needs}; the running controller is {running}"
        if what == "gate":
            reason = f"read with the feature gate {needs} only, which is off"
        return replace(self.problem("not-yet-read", f"needs-{what}", key, reason), needs=needs)


LintRule = Callable[[Facts], Iterator[AnnotationProblem]]
"""What a rule is: it looks at one object's annotations, and yields a problem for each that is wrong."""


def listeners_of(ingress: Mapping[str, str], class_parameters: Mapping[str, object]) -> Mapping[int, str] | None:
    """Port → protocol of the listeners that an Ingress asks for by its annotations; None when that is not certain."""
    text = ingress.get(f"{ALB_PREFIX}listen-ports")
    if text is not None:
        try:
            return parse_listen_ports(text)
        except ValueProblem:
            return None
    if parse_list(ingress.get(f"{ALB_PREFIX}certificate-arn", "")) or class_parameters.get("certificateArn"):
        return {443: "HTTPS"}
    return None if truth(ingress.get(f"{ALB_PREFIX}create-acm-cert")) else {80: "HTTP"}


def truth(text: str | None) -> bool | None:
    """A boolean annotation, None when it is absent or not readable."""
    if text is None:
        return None
    try:
        return parse_bool(text)
    except ValueProblem:
        return None
