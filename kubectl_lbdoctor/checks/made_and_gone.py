"""LBD228 and LBD229: what the controller has made in AWS and somebody deleted there, which it does not notice."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.asked_listeners import asked_listeners
from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import standing_complaints
from kubectl_lbdoctor.analysis.frontend_nlb import is_before_ingress, is_enabled, nlb_address
from kubectl_lbdoctor.analysis.frontends import frontend_of, ownership
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.ownership import READS as OWNERSHIP_READS
from kubectl_lbdoctor.analysis.recent_edits import last_edit
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import describe_listeners
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_READS = (*OWNERSHIP_READS, *COMPLAINT_READS, *GATEWAY_READS, reads.LOAD_BALANCERS, reads.TARGET_GROUPS)
SETTLING_SECONDS = 30
"""What is asked for is in AWS within seconds; below this age of an object nothing is missing."""
_DNS = ".elb.amazonaws.com"


def _has_settled(traffic: TrafficPath) -> bool:
    """Whether a controller that makes such things has had the time to make all that is asked for now."""
    frontend = frontend_of(traffic)
    manifest = frontend.manifest.need()
    if manifest is None or ownership(traffic).owner not in ("controller", "auto-mode"):
        raise NotApplicable("no load balancer of the controller")
    return not manifest.meta.deleted and last_edit(traffic) >= SETTLING_SECONDS


def _complained(traffic: TrafficPath) -> bool:
    """Whether the controller itself says what keeps it from its work."""
    return next(iter(standing_complaints(traffic)), None) is not None


@check(
    "LBD228",
    title="a listener that is asked for is missing",
    passes="the load balancer has the listeners that are asked for",
    severity=Severity.ERROR,
    message="load balancer {balancer} does not listen on port {port}, which {object} asks for",
    reads=(*_READS, reads.LISTENERS, reads.ALL_INGRESSES, reads.INGRESS_CLASS_PARAMS),
    explains=("LBD209",),
    distinct_by=("port",),
    by_absence=(reads.LISTENERS, reads.EVENTS),
)
def listener_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """The Ingress, the Service or the Gateway asks for a port on which its load balancer does not listen, and the
    controller says of nothing that would keep it from making the listener: somebody deleted it in AWS. Clients of this
    port get no connection, while the targets are healthy by way of another listener, or unused.

    The controller does not notice what is changed in AWS before the object changes or its sync period (10 h) ends.

    Sources: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/3317,
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#listen-ports

    Confirm by hand: `aws elbv2 describe-listeners --load-balancer-arn ARN`. Repair: change an annotation of the object,
    which may mean nothing, so that the controller makes the listener again.
    """
    balancer = traffic.load_balancer.need()
    group, published = traffic.target_group.need(), is_before_ingress(traffic)
    if balancer is None or (group is None and not published) or not _has_settled(traffic):
        return  # Without a target group the controller has never come as far as to the listener.
    live = {listener.port for listener in traffic.listeners.need()}
    missing = {port: said for port, said in asked_listeners(traffic).items() if port not in live}
    if not missing or _complained(traffic):
        return
    ref = traffic.subject
    for port, said in sorted(missing.items()):
        yield Finding(
            "LBD228",
            ref,
            params={"balancer": balancer.name, "port": str(port), "object": f"{ref.kind} {ref.name}"},
            evidence=(
                Evidence(str(ref), said),
                Evidence(reads.LISTENERS, f"ports {', '.join(map(str, sorted(live))) or 'none'}"),
            ),
            confirm=(describe_listeners(balancer.arn, traffic.context.region),),
            by_hand=looked_at_again(traffic),
        )


@check(
    "LBD229",
    title="the load balancer that an object publishes does not exist any more",
    passes="the load balancer that the object publishes exists",
    severity=Severity.ERROR,
    message="the load balancer of {object} was deleted in AWS: its status still names {host}",
    reads=(*_READS, reads.TARGET_HEALTH, reads.INGRESS_CLASS_PARAMS),
    explains=("LBD209",),
    by_absence=(reads.LOAD_BALANCERS, reads.EVENTS),
)
def load_balancer_gone(traffic: TrafficPath) -> Iterator[Finding]:
    """The status of the object names a load balancer that AWS does not have, while its target group is still there:
    somebody deleted the load balancer in AWS. Its listeners went with it, so the targets are unused, and its name has
    no address any more.

    The controller does not notice what is changed in AWS before the object changes or its sync period (10 h) ends.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/161

    Confirm by hand: `aws elbv2 describe-load-balancers` does not list the name. Repair: change an annotation of the
    object, which may mean nothing, so that the controller makes the load balancer again. It gets another DNS name,
    which records made by hand have to follow.
    """
    group = traffic.target_group.need()
    if (group is None and not is_before_ingress(traffic)) or traffic.load_balancer.need() is not None:
        return
    if not _has_settled(traffic):
        return
    hosts = [host for host in _addresses(traffic) if _is_of_region(host, traffic.context.region)]
    if not hosts or _complained(traffic):
        return
    ref = traffic.subject
    query = f"LoadBalancers[?DNSName=='{hosts[0]}'].LoadBalancerArn"
    yield Finding(
        "LBD229",
        ref,
        params={"object": f"{ref.kind} {ref.name}", "host": hosts[0]},
        evidence=(
            Evidence(str(ref), f"status names {hosts[0]}"),
            Evidence(reads.LOAD_BALANCERS, "no load balancer has this name"),
            *((Evidence(reads.TARGET_GROUPS, f"{group.name} is there"),) if group is not None else ()),
        ),
        targets=tuple(target.key for target in traffic.targets() if target.state == "unused"),
        confirm=(aws("elbv2", "describe-load-balancers", "--query", query, region=traffic.context.region),),
        by_hand=looked_at_again(traffic),
        advice="the new load balancer has another DNS name: let records that people made follow it",
    )


def _addresses(traffic: TrafficPath) -> tuple[str, ...]:
    """The published names of the path's own load balancer: an Ingress may publish that of the one before it, too."""
    published, ingress = frontend_of(traffic).addresses, traffic.ingress.peek()
    before = nlb_address(traffic.snapshot, ingress) if ingress is not None else ""
    if is_before_ingress(traffic):
        return (before,) if ingress is not None and is_enabled(traffic.snapshot, ingress) else ()
    return tuple(address for address in published if address != before)


def _is_of_region(host: str, region: str) -> bool:
    """Whether this is a name that Elastic Load Balancing gives in the region that was asked: of Application Load
    Balancers NAME.REGION.elb.amazonaws.com, of Network Load Balancers NAME.elb.REGION.amazonaws.com."""
    return bool(region) and host.endswith((f".{region}{_DNS}", f".elb.{region}.amazonaws.com"))
