"""What is wrong with annotations taken together: ignored next to another, contradicting another, without effect here.

One rule is one generator over `Facts`. A rule that lacks a fact says nothing; it never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import Literal

from kubectl_lbdoctor.knowledge.annotation_catalogue import ALB_PREFIX, NLB_STEM, SERVICE_PREFIX, spec_for
from kubectl_lbdoctor.knowledge.annotation_health import (
    NO_ANNOTATIONS,
    HealthCheckIntent,
    Owner,
    Setting,
    TargetType,
    effective_health_check,
)
from kubectl_lbdoctor.knowledge.annotation_values import (
    GRPC_CODES,
    HTTP_CODES_ALB,
    TRAFFIC_PORT,
    Severity,
    ValueProblem,
    parse_bool,
    parse_list,
    parse_listen_ports,
    parse_port,
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
        ingress = self.of_ingress
        if ingress is None or truth(ingress.get(self.key("create-acm-cert"))):
            return None
        text = ingress.get(self.key("listen-ports"))
        if text is not None:
            try:
                return parse_listen_ports(text)
            except ValueProblem:
                return None
        certificates = parse_list(ingress.get(self.key("certificate-arn")) or "")
        has_certificate = certificates or "certificateArn" in self.context.class_parameters
        return {443: "HTTPS"} if has_certificate else {80: "HTTP"}

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
        """A problem with the annotation `suffix` of this object; `suffix` may be a full key, `related` too."""
        key = suffix if "/" in suffix else self.key(suffix)
        return AnnotationProblem(
            kind=kind,
            rule=rule,
            key=key,
            value=self.annotations[key],
            reason=reason,
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


def truth(text: str | None) -> bool | None:
    """A boolean annotation, None when it is absent or not readable."""
    if text is None:
        return None
    try:
        return parse_bool(text)
    except ValueProblem:
        return None


# --- health check timing ----------------------------------------------------------------------------------------------

_ALB_TIMING_ERROR = "Health check interval must be greater than the timeout."


def alb_interval_over_timeout(facts: Facts) -> Iterator[AnnotationProblem]:
    """An ALB's interval must be longer than its timeout: ELB refuses the target group otherwise
    (https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/2951). Which of the two counts where both
    objects have one is the Service's.
    """
    interval, timeout = "healthcheck-interval-seconds", "healthcheck-timeout-seconds"
    if not facts.complete and None in (facts.own(interval), facts.own(timeout)):
        return
    other = facts.context.counterpart or NO_ANNOTATIONS
    ingress, service = (facts.annotations, other) if facts.kind == "Ingress" else (other, facts.annotations)
    intent = effective_health_check("alb", ingress_annotations=ingress, service_annotations=service)
    wanted, limit = intent.interval_seconds, intent.timeout_seconds
    if wanted.value is None or limit.value is None or wanted.value > limit.value:
        return
    here = f"{facts.kind} annotation"
    # Reported once per route: on the object whose interval is in force, else on the one whose timeout is. What a
    # Service says beside an interval for all backends of its Ingress is about itself, and so is the repair.
    apart = (wanted.source, limit.source) == ("Ingress annotation", "Service annotation")
    if here != (limit.source if apart or wanted.source == "default" else wanted.source):
        return
    suffix = timeout if apart or wanted.source == "default" else interval
    below = f"it must be below the interval ({wanted.value} s)"
    yield facts.problem(
        "conflict",
        "interval-timeout",
        suffix,
        below if apart else f"it must exceed the timeout ({_said(limit)})",
        controller_error=_ALB_TIMING_ERROR,
        suggested_value=_timing_fix(suffix == interval, wanted.value, limit.value, 1),
        related=tuple(setting.key for setting in (wanted, limit) if setting.key),
    )


def nlb_interval_not_under_timeout(facts: Facts) -> Iterator[AnnotationProblem]:
    """An NLB's interval must not be shorter than its timeout, whichever of the two has its default.
    The defaults are in docs/facts.md, "Health checks that the controller asks for"."""
    asked = [facts.own(NLB_STEM + name) is not None for name in ("healthcheck-interval", "healthcheck-timeout")]
    # The defaults are certain for a network load balancer of a known owner; else both numbers must be written.
    if not any(asked) or (not all(asked) and (facts.owner == "unknown" or facts.is_classic)):
        return
    # Where it is not known whether kube-proxy's port is checked, only what is wrong either way counts.
    found = [_nlb_timing(facts, intent) for intent in _possible_intents(facts)]
    if found and all(found):
        yield from (problem for problem in found[:1] if problem is not None)


def _nlb_timing(facts: Facts, intent: HealthCheckIntent) -> AnnotationProblem | None:
    wanted, limit = intent.interval_seconds, intent.timeout_seconds
    if wanted.value is None or limit.value is None or wanted.value >= limit.value or not (wanted.key or limit.key):
        return None
    key = wanted.key or limit.key
    return facts.problem(
        "conflict",
        "interval-timeout",
        key,
        f"the interval ({_said(wanted)}) must not be shorter than the timeout ({_said(limit)})",
        suggested_value=_timing_fix(key == wanted.key, wanted.value, limit.value, 0),
        related=tuple(setting.key for setting in (wanted, limit) if setting.key),
    )


def _said(setting: Setting[int]) -> str:
    return f"{setting.value} s{', the default' if setting.source == 'default' else ''}"


def _timing_fix(interval: bool, wanted: int, limit: int, distance: int) -> str:
    """A value within AWS's ranges that repairs the pair by changing only the interval, or only the timeout."""
    if interval:
        return str(max(5, limit + distance)) if limit + distance <= 300 else ""
    return str(wanted - distance) if 2 <= wanted - distance <= 120 else ""


def _possible_intents(facts: Facts) -> list[HealthCheckIntent]:
    """What the annotations may ask an NLB for, given that some facts may be missing."""
    policy, service_type, target_type = (
        facts.context.external_traffic_policy,
        facts.context.service_type,
        facts.nlb_target_type,
    )
    return [
        effective_health_check(
            "nlb",
            service_annotations=facts.annotations,
            target_type=possible_type,
            external_traffic_policy=possible_policy,
            service_type=service_type or "LoadBalancer",
            owner=facts.owner,
            controller_version=facts.controller_version,
        )
        for possible_type in ([target_type] if target_type else _TARGET_TYPES)
        for possible_policy in ([policy] if policy is not None else ["Cluster", "Local"])
    ]


_TARGET_TYPES: list[TargetType] = ["instance", "ip"]


def frontend_interval_not_under_timeout(facts: Facts) -> Iterator[AnnotationProblem]:
    """The same for the NLB that `enable-frontend-nlb` puts in front of an ALB. Nothing is said of a member of a group,
    whose other members may set the other number."""
    intent = effective_health_check("frontend-nlb", ingress_annotations=facts.annotations)
    problem = _nlb_timing(facts, intent)
    if problem is not None and not facts.in_group:
        yield problem


# --- health check protocol --------------------------------------------------------------------------------------------


def unused_with_tcp_check(facts: Facts) -> Iterator[AnnotationProblem]:
    """An NLB's path and success codes are not used while its check is TCP, which is the default."""
    names = [
        NLB_STEM + name for name in ("healthcheck-path", "healthcheck-success-codes") if facts.own(NLB_STEM + name)
    ]
    if not names or not all(intent.protocol.value == "TCP" for intent in _possible_intents(facts)):
        return
    protocol = NLB_STEM + "healthcheck-protocol"
    default = "" if facts.own(protocol) is not None else ", the default"
    for name in names:
        yield facts.problem(
            "no-effect",
            "tcp-check",
            name,
            f"the check is TCP{default}",
            suggested_key=protocol,
            suggested_value="http",
            related=(protocol,),
        )


def success_code_limits(facts: Facts) -> tuple[tuple[int, int], ...]:
    """The ranges that an ALB's success codes may come from: one, or both when the protocol version is not known."""
    version = facts.merged("backend-protocol-version")
    overridden = facts.kind == "Ingress" and facts.merged("success-codes") != facts.own("success-codes")
    if overridden or (version is None and facts.context.counterpart is None):
        return (HTTP_CODES_ALB, GRPC_CODES)
    return (GRPC_CODES,) if version == "GRPC" else (HTTP_CODES_ALB,)


def newer_versions_need_https(facts: Facts) -> Iterator[AnnotationProblem]:
    """Only HTTPS listeners forward to a target group of version HTTP2 or GRPC, and the controller puts the rules of an
    Ingress on all of its listeners: AWS refuses those of an HTTP one.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html#target-group-protocol-version
    """
    version = facts.own("backend-protocol-version")
    if version not in ("HTTP2", "GRPC") or facts.merged("backend-protocol-version") != version:
        return
    ports = facts.plain_ports()
    if ports:
        yield facts.problem(
            "conflict",
            "version-listener",
            "backend-protocol-version",
            f"AWS refuses it for HTTP port{'s' if ports[1:] else ''} {', '.join(map(str, ports))}",
            controller_error="InvalidLoadBalancerAction: Listener protocol 'HTTP' is not supported with a target group "
            f"with the protocol-version '{version}'",
            related=("listen-ports",),
            advice="listen by HTTPS (listen-ports, certificate-arn), and let HTTP redirect there (ssl-redirect)",
        )


def alb_port_name(facts: Facts) -> Iterator[AnnotationProblem]:
    """The health check port of an ALB's target group names a port that the Service does not have."""
    if facts.merged("healthcheck-port") == facts.own("healthcheck-port"):
        yield from _port_name(facts, "healthcheck-port")


def nlb_port_name(facts: Facts) -> Iterator[AnnotationProblem]:
    """The health check port of an NLB's target group names a port that the Service does not have. The cloud provider
    takes numbers only, and is left out."""
    if facts.owner != "cloud-provider":
        yield from _port_name(facts, NLB_STEM + "healthcheck-port")


def _port_name(facts: Facts, suffix: str) -> Iterator[AnnotationProblem]:
    text, ports = facts.own(suffix), facts.context.service_ports
    if not text or ports is None:
        return
    try:
        port = parse_port(text)
    except ValueProblem:
        return
    names = [name for name, _ in ports if name]
    if isinstance(port, int) or port == TRAFFIC_PORT or port in names:
        return
    yield facts.problem(
        "invalid-value",
        "port-name",
        suffix,
        f"the Service has no port named {port!r} (it has {', '.join(names) or 'no named port'})",
        controller_error=f"failed to resolve healthCheckPort: unable to find port {port} on service",
        suggested_value=next((name for name in names if name.lower() == port.lower()), TRAFFIC_PORT),
    )


# --- listeners of an ALB ----------------------------------------------------------------------------------------------


def ssl_redirect_listener(facts: Facts) -> Iterator[AnnotationProblem]:
    """`ssl-redirect` needs an HTTPS listener on the port that it names (the controller's
    pkg/ingress/model_builder.go). Nothing is said while other members of the group may add listeners.
    """
    text, listeners = facts.own("ssl-redirect"), facts.listeners()
    if text is None or listeners is None or "sslRedirectPort" in facts.context.class_parameters:
        return
    if not re.fullmatch(r"[0-9]{1,9}", text):
        return
    protocol = listeners.get(int(text))
    if protocol == "HTTPS":
        return
    secure = [str(port) for port, name in sorted(listeners.items()) if name == "HTTPS"]
    yield facts.problem(
        "conflict",
        "ssl-redirect",
        "ssl-redirect",
        f"port {text} {'is an HTTP listener' if protocol else 'is no listener'} of this load balancer",
        controller_error=(
            f"listener protocol non-SSL for SSLRedirect port: {int(text)}"
            if protocol
            else f"listener does not exist for SSLRedirect port: {int(text)}"
        ),
        suggested_value=secure[0] if secure else "",
        related=("listen-ports",),
    )


def tls_without_https_listener(facts: Facts) -> Iterator[AnnotationProblem]:
    """Certificates, TLS policy and mutual TLS are not used by a load balancer that has no HTTPS listener."""
    listeners = facts.listeners()
    if listeners is None or "HTTPS" in listeners.values():
        return
    for name in ("ssl-policy", "certificate-arn", "mutual-authentication"):
        if facts.own(name):
            reason = "the load balancer has no HTTPS listener"
            yield facts.problem("no-effect", "no-https-listener", name, reason, related=("listen-ports",))


def listener_attributes_of_a_listener(facts: Facts) -> Iterator[AnnotationProblem]:
    """`listener-attributes.HTTPS-443` must be spelled so, and name a listener that the load balancer has."""
    listeners = facts.listeners()
    for key in facts.annotations:
        spec = spec_for(key)
        match = spec.pattern.fullmatch(key) if spec is not None and spec.pattern is not None else None
        if spec is None or match is None or spec.key != ALB_PREFIX + "listener-attributes.${Protocol}-${Port}":
            continue
        protocol, port = match["protocol"], match["port"]
        stem = ALB_PREFIX + "listener-attributes."
        if protocol not in ("HTTP", "HTTPS") or not port.isdecimal():
            meant = protocol.upper() if protocol.upper() in ("HTTP", "HTTPS") and port.isdecimal() else ""
            yield facts.problem(
                "unknown-key",
                "template",
                key,
                "ends with HTTP-<port> or HTTPS-<port>, in capitals",
                suggested_key=f"{stem}{meant}-{port}" if meant else spec.key,
            )
        elif listeners is not None and listeners.get(int(port)) != protocol:
            actual = listeners.get(int(port))
            yield facts.problem(
                "no-effect",
                "no-such-listener",
                key,
                f"the load balancer has no {protocol} listener on port {port}",
                suggested_key=f"{stem}{actual}-{port}" if actual else "",
                related=("listen-ports",),
            )


# --- other ALB rules --------------------------------------------------------------------------------------------------


def alb_target_type_dependent(facts: Facts) -> Iterator[AnnotationProblem]:
    """Annotations of an ALB that belong to the other target type: node labels choose instance targets, and a target
    control port needs IP targets."""
    if facts.alb_target_type == "ip" and facts.own("target-node-labels"):
        yield facts.problem("no-effect", "ip-targets", "target-node-labels", "with ip targets nodes are no targets")
    if facts.alb_target_type == "instance":
        for key in facts.annotations:
            if key.startswith(ALB_PREFIX + "target-control-port."):
                yield facts.problem(
                    "conflict",
                    "control-port",
                    key,
                    "needs ip targets",
                    controller_error="target control port is not supported for instance target target group",
                    related=("target-type",),
                )


def alb_security_groups(facts: Facts) -> Iterator[AnnotationProblem]:
    """With `security-groups` the controller makes no group of its own, so what would fill one is not used; without it,
    `manage-backend-security-group-rules` is not read."""
    if parse_list(facts.own("security-groups") or ""):
        for name in ("inbound-cidrs", "security-group-prefix-lists"):
            if facts.own(name):
                yield facts.problem(
                    "no-effect",
                    "own-security-groups",
                    name,
                    "with security-groups the controller manages no frontend security group",
                    related=("security-groups",),
                )
    elif facts.own("manage-backend-security-group-rules") is not None and not facts.in_group:
        yield facts.problem(
            "no-effect",
            "managed-security-group",
            "manage-backend-security-group-rules",
            "it is read together with security-groups only",
            severity="info",
            related=("security-groups",),
        )


def frontend_nlb_disabled(facts: Facts) -> Iterator[AnnotationProblem]:
    """`frontend-nlb-…` annotations are not used without `enable-frontend-nlb`. Members of a group are left out."""
    if facts.in_group or truth(facts.own("enable-frontend-nlb")):
        return
    for key in facts.annotations:
        if key.startswith(ALB_PREFIX + "frontend-nlb-"):
            yield facts.problem(
                "no-effect",
                "no-frontend-nlb",
                key,
                "there is no frontend NLB without enable-frontend-nlb",
                suggested_key="enable-frontend-nlb",
                suggested_value="true",
                related=("enable-frontend-nlb",),
            )


def authentication(facts: Facts) -> Iterator[AnnotationProblem]:
    """`auth-type` needs the settings of its identity provider, on the Ingress or the Service, and excludes
    `jwt-validation`. The controller asks for a login in rules of HTTPS listeners only (model_build_actions.go), so that
    without one everybody comes in."""
    kind = facts.own("auth-type")
    providers = {
        "oidc": ("auth-idp-oidc", "missing IDPConfigOIDC"),
        "cognito": ("auth-idp-cognito", "missing IDPConfigCognito"),
    }
    if kind in providers and facts.context.counterpart is not None and facts.merged(providers[kind][0]) is None:
        name, error = providers[kind]
        reason = f"{kind} needs {facts.key(name)}"
        yield facts.problem("conflict", "no-idp", "auth-type", reason, controller_error=error, related=(name,))
    listeners = facts.listeners() if facts.kind == "Ingress" and kind in providers else None
    if listeners and "HTTPS" not in listeners.values():
        yield facts.problem(
            "no-effect",
            "login-without-https",
            "auth-type",
            "without HTTPS nobody is asked to log in",
            related=("listen-ports",),
            advice="add an HTTPS listener (listen-ports, with certificate-arn or a certificate of the host in ACM)",
        )
    if facts.own("jwt-validation") and facts.own("auth-type") in providers:
        yield facts.problem(
            "conflict",
            "jwt-and-auth",
            "jwt-validation",
            "cannot be combined with auth-type",
            controller_error="authentication and jwt validation can't both be configured",
            related=("auth-type",),
        )


def unused_backend_annotations(facts: Facts) -> Iterator[AnnotationProblem]:
    """`actions.X`, `conditions.X` and `transforms.X` for an X that no rule names."""
    users = {
        "actions.": (facts.context.action_backends, "no backend {name} of port use-annotation"),
        "conditions.": (facts.context.backends, "no backend is named {name}"),
        "transforms.": (facts.context.backends, "no backend is named {name}"),
    }
    for key in facts.annotations:
        for stem, (names, reason) in users.items():
            name = key.removeprefix(ALB_PREFIX + stem)
            if name != key and names is not None and name not in names:
                reason = reason.format(name=name)
                yield facts.problem("no-effect", "unused-backend", key, reason, severity="info")


# --- NLB rules --------------------------------------------------------------------------------------------------------


def load_balancer_type(facts: Facts) -> Iterator[AnnotationProblem]:
    """`aws-load-balancer-type` that leaves a Service without a maker, or that something else overrides (docs/facts.md,
    "Who makes a load balancer")."""
    name, target = NLB_STEM + "type", NLB_STEM + "nlb-target-type"
    kind, load_balancer_class = facts.own(name), facts.context.load_balancer_class
    if kind == "external" and load_balancer_class == "" and facts.owner not in ("controller", "auto-mode"):
        if facts.own(target) not in ("instance", "ip"):
            yield facts.problem(
                "conflict",
                "nobody-responsible",
                name,
                f"nobody makes a load balancer: it needs {facts.key(target)} instance or ip, or a loadBalancerClass",
                suggested_key=target,
                suggested_value=facts.context.target_type or "ip",
                related=(target,),
            )
    elif kind == "nlb" and load_balancer_class:
        yield facts.problem(
            "no-effect",
            "class-wins",
            name,
            f"spec.loadBalancerClass {load_balancer_class} decides who makes the load balancer",
            severity="info",
        )
    if kind == "nlb-ip" and facts.own(target) == "instance":
        yield facts.problem("no-effect", "type-wins", target, "type nlb-ip means ip targets", related=(name,))


def nlb_ip_targets(facts: Facts) -> Iterator[AnnotationProblem]:
    """Annotations of an NLB that belong to the other target type: node labels choose instance targets, and QUIC needs
    IP targets."""
    labels = NLB_STEM + "target-node-labels"
    if facts.nlb_target_type == "ip" and facts.own(labels):
        yield facts.problem("no-effect", "ip-targets", labels, "with ip targets nodes are no targets")
    if facts.nlb_target_type == "instance" and facts.own(NLB_STEM + "quic-enabled-ports"):
        yield facts.problem(
            "conflict",
            "quic-instance",
            NLB_STEM + "quic-enabled-ports",
            "QUIC needs ip targets",
            controller_error="QUIC protocol is not supported for Instance target types.",
            related=(NLB_STEM + "nlb-target-type",),
        )


def nlb_security_groups(facts: Facts) -> Iterator[AnnotationProblem]:
    """An NLB's own `security-groups` switch off what would fill the controller's group, and `disable-nlb-sg` switches
    off both. Nothing is said of the cloud provider."""
    if facts.owner == "cloud-provider":
        return
    groups, managed = NLB_STEM + "security-groups", NLB_STEM + "manage-backend-security-group-rules"
    own = parse_list(facts.own(groups) or "")
    if own and truth(facts.own(NLB_STEM + "disable-nlb-sg")):
        reason = "disable-nlb-sg makes a load balancer without security groups"
        yield facts.problem(
            "no-effect", "security-groups-disabled", groups, reason, related=(NLB_STEM + "disable-nlb-sg",)
        )
    elif own:
        for name in ("load-balancer-source-ranges", NLB_STEM + "security-group-prefix-lists"):
            if facts.own(name):
                yield facts.problem(
                    "no-effect",
                    "own-security-groups",
                    name,
                    "with security-groups the controller manages no frontend security group",
                    related=(groups,),
                )
    elif facts.own(managed) is not None and facts.context.load_balancer_has_security_groups:
        yield facts.problem(
            "no-effect",
            "managed-security-group",
            managed,
            "on a load balancer with managed security groups it is read together with security-groups only",
            severity="info",
            related=(groups,),
        )


def nlb_overridden(facts: Facts) -> Iterator[AnnotationProblem]:
    """Annotations that another one on the same Service replaces or switches off."""
    per_group, proxy = NLB_STEM + "proxy-protocol-per-target-group", NLB_STEM + "proxy-protocol"
    if facts.own(per_group) is not None and facts.own(proxy) is not None:
        reason = f"{proxy} switches proxy protocol on for all ports"
        yield facts.problem("no-effect", "proxy-protocol", per_group, reason, related=(proxy,))
    scheme, internal = facts.own(NLB_STEM + "scheme"), truth(facts.own(NLB_STEM + "internal"))
    if (
        scheme is not None
        and internal is not None
        and (scheme == "internal") != internal
        and facts.owner == "controller"
    ):
        reason = f"{NLB_STEM}scheme decides, and says {scheme}"
        yield facts.problem("no-effect", "scheme-wins", NLB_STEM + "internal", reason, related=(NLB_STEM + "scheme",))
    enabled = NLB_STEM + "access-log-enabled"
    if facts.owner != "cloud-provider" and not truth(facts.own(enabled)):
        for name in (NLB_STEM + "access-log-s3-bucket-name", NLB_STEM + "access-log-s3-bucket-prefix"):
            if facts.own(name):
                reason = f"not read without {enabled}"
                yield facts.problem("no-effect", "no-access-log", name, reason, severity="info", related=(enabled,))


def nlb_addresses(facts: Facts) -> Iterator[AnnotationProblem]:
    """Fixed addresses of an NLB that do not fit its scheme (Elastic IPs for internet-facing, private ones for internal)
    or its IP address type."""
    if facts.owner == "cloud-provider":
        return
    scheme = facts.own(NLB_STEM + "scheme") or facts.context.scheme
    if scheme is None and truth(facts.own(NLB_STEM + "internal")) is not None:
        scheme = "internal" if truth(facts.own(NLB_STEM + "internal")) else "internet-facing"
    for name, wanted, error in (
        ("eip-allocations", "internet-facing", "EIP allocations can only be set for internet facing load balancers"),
        ("private-ipv4-addresses", "internal", "private IPv4 addresses can only be set for internal load balancers"),
    ):
        if facts.own(NLB_STEM + name) is not None and scheme in ("internal", "internet-facing") and scheme != wanted:
            reason = f"needs the scheme {wanted}, and it is {scheme}"
            related = (NLB_STEM + "scheme",)
            yield facts.problem("conflict", "scheme", NLB_STEM + name, reason, controller_error=error, related=related)
    family = facts.own(NLB_STEM + "ip-address-type") or "ipv4"
    related = (NLB_STEM + "ip-address-type",)
    dualstack_only = {
        "ipv6-addresses": "IPv6 addresses can only be set for dualstack load balancers",
        "source-nat-ipv6-prefixes": (
            "source-nat-ipv6-prefixes annotation can only be set for "
            "Network Load Balancers using Dualstack IP address type."
        ),
    }
    if facts.own(NLB_STEM + "enable-prefix-for-ipv6-source-nat") == "on":
        dualstack_only["enable-prefix-for-ipv6-source-nat"] = (
            "enable-prefix-for-ipv6-source-nat annotation is only applicable to "
            "Network Load Balancers using Dualstack IP address type."
        )
    for name, error in dualstack_only.items():
        if facts.own(NLB_STEM + name) is not None and family == "ipv4":
            reason = "needs a dualstack load balancer"
            yield facts.problem(
                "conflict", "ip-family", NLB_STEM + name, reason, controller_error=error, related=related
            )


def nlb_tls(facts: Facts) -> Iterator[AnnotationProblem]:
    """Settings of TLS listeners are not used without a certificate."""
    certificate, protocol = NLB_STEM + "ssl-cert", NLB_STEM + "backend-protocol"
    if parse_list(facts.own(certificate) or ""):
        return
    for name in (NLB_STEM + "ssl-ports", NLB_STEM + "ssl-negotiation-policy", NLB_STEM + "alpn-policy", protocol):
        text = facts.own(name)
        if text and (name != protocol or (text == "ssl" and facts.context.is_nlb is not False)):
            reason = f"without {certificate} there is no TLS listener"
            yield facts.problem("no-effect", "no-certificate", name, reason, related=(certificate,))


def nlb_backend_protocol(facts: Facts) -> Iterator[AnnotationProblem]:
    """`backend-protocol` http and https mean something to a Classic load balancer only."""
    text = facts.own(NLB_STEM + "backend-protocol")
    if facts.context.is_nlb is False or facts.is_classic or facts.owner == "unknown":
        return
    if text is not None and text.lower() in ("http", "https"):
        reason = "a network load balancer forwards TCP whatever this says"
        yield facts.problem("no-effect", "classic-only", NLB_STEM + "backend-protocol", reason, severity="info")


def nlb_ports(facts: Facts) -> Iterator[AnnotationProblem]:
    """Annotations that name ports which the Service does not have."""
    if facts.context.service_ports is None:
        return
    numbers = {str(port) for _, port in facts.context.service_ports}
    known = numbers | {name for name, _ in facts.context.service_ports if name}
    ssl_ports = NLB_STEM + "ssl-ports"
    for name in (ssl_ports, NLB_STEM + "quic-enabled-ports", NLB_STEM + "proxy-protocol-per-target-group"):
        unused = [item for item in parse_list(facts.own(name) or "") if item not in known]
        if not unused or (facts.owner == "cloud-provider" and unused == ["*"]):
            continue
        reason = f"names {', '.join(unused)}, which is no port of the Service"
        if name == ssl_ports and facts.owner in ("controller", "auto-mode"):
            error = f"Unused port in ssl-ports annotation [{' '.join(unused)}]"
            yield facts.problem("invalid-value", "service-port", name, reason, controller_error=error)
        elif facts.owner != "unknown" or name != ssl_ports:
            yield facts.problem("no-effect", "service-port", name, reason)
    for key in facts.annotations:
        yield from _templated_port(facts, key, numbers)


_LISTENER_PROTOCOLS = ("TCP", "UDP", "TLS", "TCP_UDP", "QUIC", "TCP_QUIC")


def _templated_port(facts: Facts, key: str, numbers: set[str]) -> Iterator[AnnotationProblem]:
    spec = spec_for(key)
    match = spec.pattern.fullmatch(key) if spec is not None and spec.pattern is not None else None
    if spec is None or match is None or spec.prefix != SERVICE_PREFIX or "port" not in match.groupdict():
        return
    port, protocol = match["port"], match.groupdict().get("protocol", "TCP")
    if protocol not in _LISTENER_PROTOCOLS:
        meant = protocol.upper()
        yield facts.problem(
            "unknown-key",
            "template",
            key,
            f"the listener protocol is one of {', '.join(_LISTENER_PROTOCOLS)}, in capitals",
            suggested_key=f"{spec.prefix}{spec.stem}.{meant}-{port}" if meant in _LISTENER_PROTOCOLS else spec.key,
        )
    elif port not in numbers:
        reason = f"{port} is no port number of the Service"
        yield facts.problem("no-effect", "service-port", key, reason)


def classic_target_group_attributes(facts: Facts) -> Iterator[AnnotationProblem]:
    """A Classic load balancer has no target groups, and the cloud provider refuses attributes of them."""
    name = NLB_STEM + "target-group-attributes"
    if facts.is_classic and facts.own(name) is not None:
        error = "target group annotations attribute is only supported for NLB"
        reason = "a Classic load balancer has no target groups"
        yield facts.problem("conflict", "classic", name, reason, controller_error=error)


ALB_RULES: tuple[LintRule, ...] = (
    alb_interval_over_timeout,
    alb_port_name,
    alb_target_type_dependent,
    authentication,
    newer_versions_need_https,
)
"""For an Ingress, and for a Service that is a backend of one."""

INGRESS_RULES: tuple[LintRule, ...] = (
    frontend_interval_not_under_timeout,
    ssl_redirect_listener,
    tls_without_https_listener,
    listener_attributes_of_a_listener,
    alb_security_groups,
    frontend_nlb_disabled,
    unused_backend_annotations,
)

NLB_RULES: tuple[LintRule, ...] = (
    nlb_interval_not_under_timeout,
    unused_with_tcp_check,
    nlb_port_name,
    load_balancer_type,
    nlb_ip_targets,
    nlb_security_groups,
    nlb_overridden,
    nlb_addresses,
    nlb_tls,
    nlb_backend_protocol,
    nlb_ports,
    classic_target_group_attributes,
)
"""For a Service that makes a load balancer."""
