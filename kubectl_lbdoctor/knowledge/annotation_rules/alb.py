"""Other annotations of an Application Load Balancer that contradict each other or count for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.knowledge.annotation_catalogue import ALB_PREFIX
from kubectl_lbdoctor.knowledge.annotation_rules.linted import AnnotationProblem, Facts, truth
from kubectl_lbdoctor.knowledge.annotation_values import parse_list, parse_map


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


def frontend_nlb_port_without_listener(facts: Facts) -> Iterator[AnnotationProblem]:
    """The port mapping leads to a port that no listener of the Ingress itself has: the controller says that in its log
    only, and makes no listener on the Network Load Balancer (buildFrontendNlbListenerConfigByPortForIngress in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/ingress/model_build_frontend_nlb.go).
    Members of a group may all have one mapping, of which each makes what its own listeners allow: nothing is missing
    where another member makes the port."""
    name = "frontend-nlb-listener-port-mapping"
    said, listeners = facts.own(name), facts.own_listeners() if facts.kind == "Ingress" else None
    made = facts.context.frontend_nlb_ports
    if not said or not listeners or not truth(facts.own("enable-frontend-nlb")) or (facts.in_group and made is None):
        return
    try:
        mapped = {int(nlb): int(alb) for nlb, alb in parse_map(said).items()}
    except ValueError:
        return  # The value is refused.
    lost = {nlb: alb for nlb, alb in mapped.items() if alb not in listeners and nlb not in (made or ())}
    if lost:
        there = ", ".join(map(str, listeners))
        yield facts.problem(
            "conflict",
            "no-alb-listener",
            name,
            f"no listener of {', '.join(map(str, lost.values()))}",
            suggested_value=f"{next(iter(lost))}={next(iter(listeners))}" if len(mapped) == len(listeners) == 1 else "",
            related=("listen-ports",),
            advice=f"name a port of the Ingress's own listeners ({there}), or add one to listen-ports",
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
