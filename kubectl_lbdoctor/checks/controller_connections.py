"""LBD122 to LBD124: do the controller and what it works with reach each other: instance metadata, the AWS APIs, and the
API server its webhook?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import webhook_path
from kubectl_lbdoctor.analysis.controller_complaints import known_complaints
from kubectl_lbdoctor.analysis.controller_objects import webhook_service
from kubectl_lbdoctor.analysis.node_targets import vpc_of_nodes
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.checks.complaints import READS, complaints_of, finding_of, of_the_controller
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.controller_identity import plain_flag
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.traffic_path import TrafficPath


@check(
    "LBD122",
    title="the controller does not know its VPC or region",
    passes="the controller knows its VPC and region",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.NODES, reads.NETWORK_INTERFACES),
    explains=(*undone_by("LBD122"), "LBD102", "LBD505", "LBD510", "LBD511", "LBD512"),
    distinct_by=("summary", "words"),
)
def no_vpc(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller asks the instance metadata service for VPC and region when it is not told; pods may not reach it
    (hop limit 1, the default of newer node images).

    A VPC that it was told and that is not the nodes' own shows as subnets that are not found there.

    Repair: set `--aws-vpc-id` and `--aws-region` (chart values vpcId and region), or give the nodes a metadata hop
    limit of 2.
    """
    yield from of_the_controller(traffic, "LBD122")
    yield from _in_another_vpc(traffic)


def _in_another_vpc(traffic: TrafficPath) -> Iterator[Finding]:
    """A controller that finds no subnets, because it looks in a VPC in which no node is."""
    heard = [entry for entry in known_complaints(traffic) if entry.decoded.code == "LBD511"]
    controllers = traffic.cluster.controllers.need()
    told = plain_flag(controllers[0], "aws-vpc-id") if len(controllers) == 1 else ""
    vpc = vpc_of_nodes(traffic)
    if not heard or not told or vpc in ("", told):
        return
    meta = controllers[0].meta
    yield Finding(
        "LBD122",
        ObjectRef("Deployment", meta.namespace, meta.name),
        params={"summary": f"the controller looks in {told} (--aws-vpc-id), the nodes are in {vpc}", "words": ""},
        evidence=(
            Evidence(f"deployment {meta.key}", f"--aws-vpc-id={told}"),
            Evidence(reads.NETWORK_INTERFACES, f"the nodes' interfaces are in {vpc}"),
            *(entry.evidence for entry in heard[:1]),
        ),
        confirm=(kubectl("get", "deployment", meta.name, "-o", "yaml", namespace=meta.namespace),),
        by_hand=(kubectl("edit", "deployment", meta.name, namespace=meta.namespace),),
        advice=f"start it with --aws-vpc-id={vpc} (chart value vpcId)",
    )


@check(
    "LBD123",
    title="the controller cannot reach an AWS API",
    passes="the controller reaches the AWS APIs",
    severity=Severity.ERROR,
    message="{summary}",
    reads=READS,
    explains=(*undone_by("LBD123"), "LBD102"),
    distinct_by=("summary", "words"),
)
def api_unreachable(traffic: TrafficPath) -> Iterator[Finding]:
    """A call of the controller to AWS times out, is refused or its host name is not found: a private cluster without
    an interface endpoint or without a way out, a wrong endpoint in its arguments, or an HTTP proxy that is not there
    or does not let it through. Or the cluster's DNS does not answer: CoreDNS is down, or its port 53 is closed.

    Repair: let the controller reach the API: an interface endpoint or a NAT gateway for its subnets and TCP 443 in
    their security groups, or a right HTTPS_PROXY and NO_PROXY of its pods; or switch the feature off that needs it
    (wafv2, shield).
    """
    yield from of_the_controller(traffic, "LBD123")


@check(
    "LBD124",
    title="the API server cannot reach the controller's webhook",
    passes="the API server reaches the controller's webhook",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.WEBHOOKS, *webhook_path.READS),
    explains=(*undone_by("LBD124"), "LBD401"),
    distinct_by=("summary", "words"),
)
def webhook_unreachable(traffic: TrafficPath) -> Iterator[Finding]:
    """Calls to the controller's webhook time out or are refused, so objects cannot be created or changed.

    The control plane's own interfaces in the VPC ("Amazon EKS CLUSTER") call the controller's pods: their security
    groups, network ACLs and routes are followed to the webhook's endpoints, and what is closed is named.

    Or something answers that does not serve the webhook: its configuration is of another release than the controller
    that runs, or its Service leads to other pods.

    Confirm by hand: `aws ec2 describe-network-interfaces --filters "Name=description,Values=Amazon EKS CLUSTER"`.
    Repair: admit TCP 9443 from the cluster's security group (the control plane) to the nodes.
    """
    for entry in complaints_of(traffic, "LBD124"):
        finding = finding_of("LBD124", entry)
        finding = replace(finding, object=webhook_service(traffic.cluster) or finding.object)
        if entry.param("failure") == "unserved":
            yield replace(
                finding,
                advice="upgrade the chart, so that controller and webhook configurations are of one release; or let "
                "the Service's selector name the controller's pods alone",
            )
        else:
            yield webhook_path.with_path(traffic, finding)
