"""LBD608: Services whose load balancer is a Classic one, of the cloud provider."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_lbdoctor.analysis.ownership import READS, is_classic, owner_of_service
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotations import NLB_PREFIX, spec_for
from kubectl_lbdoctor.model.fact import NotApplicable
from kubectl_lbdoctor.model.finding import Evidence, Finding, Severity
from kubectl_lbdoctor.model.k8s import Service
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@check(
    "LBD608",
    title="the Service has a Classic Load Balancer, whose instances are not looked at",
    passes="the Service has no Classic Load Balancer",
    severity=Severity.INFO,
    message="Service {service} has a Classic Load Balancer of the cloud provider[, and is meant for {other}]",
    reads=READS,
)
def classic_load_balancer(traffic: TrafficPath) -> Iterator[Finding]:
    """The Service is of type LoadBalancer and names neither a class nor the type nlb, so that the cloud provider makes
    a Classic Load Balancer for it: a kind of its own with an API of its own (elb, not elbv2), without target groups.
    What is checked here are target groups, so the diagnosis stays unknown; selector, pods and ports of the Service are
    looked at.

    Where annotations ask for what the AWS Load Balancer Controller alone reads, it was meant: the Service was made
    before its webhook, or while that did not answer. That the cloud provider does not read or refuses them is then an
    effect.

    Confirm by hand: `aws elb describe-instance-health --load-balancer-name NAME`. Repair: for a Network Load Balancer
    create the Service anew with `loadBalancerClass: service.k8s.aws/nlb` (or `eks.amazonaws.com/nlb` in EKS Auto Mode);
    the class of a Service that exists cannot be changed.
    """
    service = traffic.service.need()
    if traffic.subject.kind != "Service" or service is None or service.type != "LoadBalancer":
        raise NotApplicable("no Service of type LoadBalancer")
    owner = owner_of_service(traffic)
    if owner.owner != "cloud-provider" or not is_classic(service):
        return
    meant = _meant_for_controller(service)
    name = next((name_of(address) for address in service.addresses), "")
    yield Finding(
        "LBD608",
        traffic.service_ref,
        severity=Severity.WARNING if meant else None,
        params={"service": service.meta.name, "other": "the controller" if meant else ""},
        explains=("LBD110", "LBD111", "LBD112") if meant else (),
        evidence=(
            *owner.evidence,
            *(Evidence(str(traffic.service_ref), f"{key}: the controller alone reads it") for key in meant[:3]),
            *(Evidence(str(traffic.service_ref), f"address {address}") for address in service.addresses[:2]),
        ),
        confirm=(
            aws("elb", "describe-instance-health", "--load-balancer-name", name, region=traffic.context.region)
            if name
            else kubectl("describe", str(traffic.service_ref), namespace=traffic.namespace),
        ),
        advice="ask for the state of its instances; for target groups create the Service anew with a loadBalancerClass",
    )


def _meant_for_controller(service: Service) -> tuple[str, ...]:
    """The annotations that only the AWS Load Balancer Controller reads."""
    specs = ((key, spec_for(key)) for key in service.meta.annotations if key.startswith(NLB_PREFIX))
    return tuple(key for key, spec in specs if spec is not None and spec.readers == {"controller"})


def name_of(address: str) -> str:
    """The name of a Classic Load Balancer, as its DNS name has it: "a0b1" of
    "internal-a0b1-123456789.us-west-2.elb.amazonaws.com"; "" for any other address.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-internal-load-balancers.html
    """
    host, dot, rest = address.partition(".")
    name, dash, number = host.removeprefix("internal-").rpartition("-")
    return name if dot and dash and number.isdigit() and ".elb." in f".{rest}" else ""
