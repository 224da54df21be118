"""LBD230 to LBD232: requests of an Ingress that its load balancer does not take, while all targets are healthy."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.desired_state import class_parameters
from kubectl_lbdoctor.analysis.frontends import ownership
from kubectl_lbdoctor.analysis.ingress_backends import (
    backends_of,
    group_members,
    shares_of,
    spoken,
    weightless_actions,
)
from kubectl_lbdoctor.analysis.ownership import READS as OWNERSHIP_READS
from kubectl_lbdoctor.analysis.remediation import describe_listeners, edit, kubectl, patch
from kubectl_lbdoctor.analysis.site_rules import matches_host, matches_path
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.k8s import Ingress, IngressPath
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_READS = (*OWNERSHIP_READS, reads.INGRESS_CLASS_PARAMS, reads.ALL_INGRESSES, reads.BINDINGS)
_ANY_PATH = "/lbdoctor"


def _own_ingress(traffic: TrafficPath) -> Ingress:
    ingress = traffic.ingress.need()
    if ingress is None or ownership(traffic).owner not in ("controller", "auto-mode"):
        raise NotApplicable("no Ingress of the controller")
    return ingress


@check(
    "LBD230",
    title="a path without a wildcard takes one request only",
    passes="paths take what is below them, too",
    severity=Severity.WARNING,
    message="requests below {path} get 404: of type ImplementationSpecific, "
    "{taken:literally=its dot stands for itself|*=without a wildcard, it is exact}",
    reads=_READS,
    distinct_by=("path", "service"),
)
def path_without_wildcard(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller hands a path of type ImplementationSpecific to the load balancer as it is, where it is a pattern:
    `/` matches the start page and nothing else. Other Ingress controllers, and the charts made for them, take it for a
    prefix. It is told of `/` as a warning, of longer paths as information, and not where another rule or a default
    backend takes what is below. The same holds for a regular expression as `/api/.*`, whose dot stands for itself in
    such a pattern: `/api/.x` matches it, and `/api/x` does not. With use-regex-path-match such paths are regular
    expressions, and nothing is said of them.

    Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/699,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/992,
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#use-regex-path-match,
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html#path-conditions

    Confirm by hand: `curl -i http://LOAD_BALANCER/PATH/more`. Repair: pathType Prefix, or a path that ends in `/*`.
    """
    ingress = _own_ingress(traffic)
    backend = traffic.backend
    if backend is None or not backend.service:
        return
    members = (ingress, *_other_members(traffic, ingress))
    if any(member.default_backend is not None or _reads_expressions(member) for member in members):
        return
    for rule in ingress.paths:
        mine = (
            not rule.backend.is_action and rule.backend.service == backend.service and rule.backend.port == backend.port
        )
        if (
            mine
            and (_is_bare(rule) or _is_expression(rule))
            and not any(_takes_below(other, rule) for m in members for other in m.paths)
        ):
            yield _only_itself(traffic, ingress, rule)


def _other_members(traffic: TrafficPath, ingress: Ingress) -> tuple[Ingress, ...]:
    return tuple(m for m in group_members(traffic.snapshot, traffic.group) if m.meta.key != ingress.meta.key)


def _is_bare(rule: IngressPath) -> bool:
    return rule.path_type == "ImplementationSpecific" and bool(rule.path) and not {"*", "?"} & set(rule.path)


_ALL_BELOW = "/.*"
"""The end of a regular expression that is meant for everything below a path."""


def _is_expression(rule: IngressPath) -> bool:
    return rule.path_type == "ImplementationSpecific" and rule.path.endswith(_ALL_BELOW)


def _reads_expressions(ingress: Ingress) -> bool:
    return ingress.meta.annotations.get(ALB_PREFIX + "use-regex-path-match") == "true"


def _takes_below(other: IngressPath, rule: IngressPath) -> bool:
    """Whether a rule takes a request below the path of another one, for its hosts."""
    below = rule.path.removesuffix(_ALL_BELOW).rstrip("/") + _ANY_PATH
    same = not other.host or other.host == rule.host or (bool(rule.host) and matches_host(other.host, rule.host))
    return same and matches_path(other, below)


def _only_itself(traffic: TrafficPath, ingress: Ingress, rule: IngressPath) -> Finding:
    ref, where = traffic.subject, f"/spec/rules/{rule.rule}/http/paths/{rule.index}"
    above = rule.path.removesuffix(_ALL_BELOW) or "/" if _is_expression(rule) else rule.path
    change = patch(
        ref, "pathType", edit(f"{where}/path", rule.path, above), edit(f"{where}/pathType", rule.path_type, "Prefix")
    )
    return Finding(
        "LBD230",
        ref,
        params={
            "path": f"{rule.host}{above}",
            "service": rule.backend.service,
            "taken": "literally" if _is_expression(rule) else "",
        },
        evidence=(Evidence(str(ref), f"path {rule.host or '*'}{rule.path}, pathType {rule.path_type}"),),
        confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ingress.meta.namespace),),
        by_hand=(change.command,),
        severity=None if rule.path == "/" or _is_expression(rule) else Severity.INFO,
    )


def _asks_for_https(traffic: TrafficPath, ingress: Ingress) -> bool:
    """Whether it asks for such a listener, by a port or by a certificate: that it is not made has another reason."""
    annotations = ingress.meta.annotations
    if annotations.get(ALB_PREFIX + "certificate-arn") or "HTTPS" in annotations.get(ALB_PREFIX + "listen-ports", ""):
        return True
    return bool(class_parameters(traffic, ownership(traffic).class_name).get("certificateArn"))


@check(
    "LBD231",
    title="an Ingress asks for TLS and its load balancer has no HTTPS listener",
    passes="the load balancer of an Ingress with TLS has an HTTPS listener",
    severity=Severity.WARNING,
    message="https://{host} is not served: spec.tls names it, and the load balancer has no HTTPS listener",
    reads=(*_READS, reads.LOAD_BALANCERS, reads.LISTENERS, reads.TARGET_GROUPS),
    distinct_by=("host",),
    by_absence=(reads.LISTENERS,),
)
def tls_without_listener(traffic: TrafficPath) -> Iterator[Finding]:
    """`spec.tls` alone makes no HTTPS listener, and the Secret that it names is not looked at: an Application Load
    Balancer has its certificates from ACM. Its listeners are those of the annotation listen-ports, which is HTTP on
    port 80 unless it or a certificate says otherwise.

    Sources: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/cert_discovery/,
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#listen-ports

    Confirm by hand: `aws elbv2 describe-listeners --load-balancer-arn ARN`. Repair: ask for an HTTPS listener by
    listen-ports, with a certificate in ACM for the host; or remove spec.tls where TLS ends elsewhere.
    """
    ingress, balancer = _own_ingress(traffic), traffic.load_balancer.need()
    if not ingress.tls_hosts or balancer is None or balancer.type != "application":
        return
    listeners = traffic.listeners.need()
    if (
        not listeners
        or any(listener.protocol == "HTTPS" for listener in listeners)
        or _asks_for_https(traffic, ingress)
    ):
        return
    ref = traffic.subject
    yield Finding(
        "LBD231",
        ref,
        params={"host": ingress.tls_hosts[0]},
        evidence=(
            Evidence(str(ref), f"spec.tls: {', '.join(ingress.tls_hosts[:3])}"),
            Evidence(reads.LISTENERS, ", ".join(f"{one.protocol} {one.port}" for one in listeners)),
        ),
        confirm=(describe_listeners(balancer.arn, traffic.context.region),),
        advice=f'annotate {ALB_PREFIX}listen-ports with [{{"HTTP": 80}}, {{"HTTPS": 443}}] once ACM has a certificate '
        "for the host; or remove spec.tls where TLS ends in front of the load balancer",
    )


@check(
    "LBD232",
    title="all weights of an action are 0, so that nobody gets its requests",
    passes="a target of every action has a weight above 0",
    severity=Severity.ERROR,
    message='{paths:,3} {paths:=reaches|reach} nobody: in action "{action}" all weights are 0',
    reads=(*OWNERSHIP_READS, reads.BINDINGS),
    distinct_by=("action",),
)
def action_without_weight(traffic: TrafficPath) -> Iterator[Finding]:
    """A target group of weight 0 gets no request, and every target group that the action forwards to has that weight,
    as after a shift of traffic that was done by half; their targets may be healthy all the same. Where the Ingress has
    other backends it is a warning.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html

    Confirm by hand: `kubectl get ingress NAME -o yaml`. Repair: give a target of the action a weight; or answer these
    requests on purpose, by an action of type fixed-response.
    """
    ingress, ref = _own_ingress(traffic), traffic.subject
    weightless = weightless_actions(ingress)
    serving = any(own for backend in backends_of(ingress) for own, _ in shares_of(ingress, backend))
    for action, paths in weightless.items():
        key = f"{ALB_PREFIX}actions.{action}"
        yield Finding(
            "LBD232",
            ref,
            params={"action": action, "paths": tuple(map(spoken, paths))},
            severity=Severity.WARNING if serving else None,
            evidence=(Evidence(str(ref), f"{key}: {ingress.meta.annotations[key][:300]}"),),
            confirm=(kubectl("get", str(ref), "-o", "yaml", namespace=ref.namespace),),
            by_hand=(kubectl("edit", str(ref), namespace=ref.namespace),),
            advice="give a target of the action a weight above 0",
        )
