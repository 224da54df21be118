"""Annotations of a Service that makes a load balancer, which contradict each other or count for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.knowledge.annotation_catalogue import NLB_STEM, SERVICE_PREFIX, spec_for
from kubectl_lbdoctor.knowledge.annotation_rules.linted import AnnotationProblem, Facts, truth
from kubectl_lbdoctor.knowledge.annotation_values import parse_list


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
