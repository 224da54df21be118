"""Annotations that name a listener which an Application Load Balancer does not have, or need one that it lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubectl_lbdoctor.knowledge.annotation_catalogue import ALB_PREFIX, spec_for
from kubectl_lbdoctor.knowledge.annotation_rules.linted import AnnotationProblem, Facts


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
