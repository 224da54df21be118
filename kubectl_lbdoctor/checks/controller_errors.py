"""LBD103 to LBD105 and LBD128: what does the controller say that it cannot build or deploy, where no object shows it?

What an object shows as well (a missing Service port, an invalid annotation) is found there by its own check; the
controller's complaint about it is then the symptom LBD103, LBD104 or LBD109.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import not_applied
from kubectl_lbdoctor.analysis.controller_complaints import Complaint, standing_complaints
from kubectl_lbdoctor.analysis.controller_objects import controller_deployment
from kubectl_lbdoctor.analysis.ingress_backends import backends_of
from kubectl_lbdoctor.analysis.remediation import describe_target_group, kubectl
from kubectl_lbdoctor.analysis.responsibility import ASKED_IN_VAIN, NOT_AT_WORK, undone_by
from kubectl_lbdoctor.checks.complaint_places import READS as SETTING_READS
from kubectl_lbdoctor.checks.complaint_places import (
    at_its_class,
    at_what_refuses,
    keys_of,
    where_it_is_set,
    with_members,
)
from kubectl_lbdoctor.checks.complaints import OWN_CODES, READS, finding_of, member_at_fault, reported
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX
from kubectl_lbdoctor.knowledge.spoken_errors import shortened
from kubectl_lbdoctor.model import kinds, reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.k8s import Ingress, Service
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath

_SHOWN = 55
"""Characters of an error in the headline of another object; the evidence has it as it is."""


def _generic(traffic: TrafficPath, code: str) -> Iterator[tuple[Complaint, Finding]]:
    """Complaints of one step whose cause has no code of its own here, with their findings."""
    for entry in standing_complaints(traffic):
        known = entry.decoded.code in OWN_CODES
        if not known and entry.stage_code == code and not member_at_fault(traffic, entry):
            found = with_members(traffic, at_its_class(traffic, finding_of(code, entry), entry), entry)
            yield entry, replace(at_what_refuses(found, entry), effect_of=_may_be_explained_by(entry, code))


def _may_be_explained_by(entry: Complaint, code: str) -> tuple[str, ...] | None:
    """The codes that account for what the controller says: what keeps it from any work since, and the code that its
    words are about; of an answer of AWS about no thing of its own, all that an object may ask for in vain. None where
    the words are not understood."""
    decoded = entry.decoded
    if not decoded.known:
        return None
    if decoded.code != code:
        return (*NOT_AT_WORK, decoded.code)
    vague = decoded.words and decoded.params.get("error_code") not in _OF_A_THING
    return (*NOT_AT_WORK, *ASKED_IN_VAIN) if vague else NOT_AT_WORK


_OF_A_THING = frozenset(
    {
        "AllocationIdNotFound",
        "CertificateNotFound",
        "DependencyViolation",
        "DuplicateLoadBalancerName",
        "DuplicateTargetGroupName",
        "InvalidGroup.Duplicate",
        "InvalidGroup.NotFound",
        "PriorityInUse",
        "ResourceInUse",
        "TargetGroupNotFound",
        "WAFNonexistentItemException",
    }
)
"""Codes of AWS about one thing in the account, which is missing, there already or in use: it is not about what else an
object asks for."""


def _particular(entry: Complaint) -> str:
    """What mends a complaint that says more than a step, as far as it is known.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/gateway/loadbalancerconfig/
    (certificates of a listener), .../guide/gateway/targetgroupconfig/ (the default target type)
    """
    of_gateway = entry.ref.kind == kinds.GATEWAY.name
    if entry.decoded.code == "LBD103" and (host := entry.param("host")):
        named = "by the annotation certificate-arn"
        if of_gateway:
            named = "by defaultCertificate in the listenerConfigurations of its LoadBalancerConfiguration; "
            named += "certificateRefs of a listener are not read"
        issued = f"have ACM issue a certificate for {host} in this region (a pending one does not count)"
        return f"{issued}, or name one {named}"
    if of_gateway and entry.decoded.code == "LBD204":
        return (
            "give the Services of its routes a TargetGroupConfiguration (targetReference) with targetType ip, or the "
            "type NodePort; defaultTargetGroupConfiguration is read by release 3.2 and later"
        )
    return ""


@check(
    "LBD103",
    title="the controller cannot build its model of the object",
    passes="the controller can build its model of the object",
    severity=Severity.ERROR,
    message="the controller cannot build the load balancer: {summary}",
    reads=(*READS, *not_applied.READS, *SETTING_READS),
    explains=undone_by("LBD103"),
    distinct_by=("summary", "words"),
)
def model_not_built(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller refuses what the Ingress, Service or an annotation asks for, before it changes anything in AWS.

    Nothing of the object is reconciled until it is corrected; what existed before stays as it was. The message is the
    controller's own, decoded. Of a manifest that is not applied (`-f`), it is what members of its IngressGroup do not
    agree on.

    Confirm by hand: `kubectl describe ingress NAME` (event FailedBuildModel). Repair: correct what the message
    names in the Ingress, the Service or its annotations; the controller tries again at once.
    """
    yield from not_applied.group_conflicts(traffic)
    for entry, finding in _generic(traffic, "LBD103"):
        placed = where_it_is_set(traffic, finding)
        yield _of_gateway(replace(placed, advice=placed.advice or _particular(entry)))


@check(
    "LBD104",
    title="the controller cannot deploy its model to AWS",
    passes="the controller can deploy its model to AWS",
    severity=Severity.ERROR,
    message="the controller cannot deploy the load balancer: {summary}",
    reads=(*READS, *SETTING_READS),
    explains=undone_by("LBD104"),
    distinct_by=("summary", "words"),
)
def model_not_deployed(traffic: TrafficPath) -> Iterator[Finding]:
    """AWS refuses what the controller asks for: a certificate, subnet, security group, attribute or quota.

    Or Kubernetes refuses what it writes: a ResourceQuota is used up, a policy or another component's webhook does not
    admit it, the namespace is being deleted, the custom resource definitions are older than the controller.

    Confirm by hand: `kubectl describe ingress NAME` (event FailedDeployModel). Repair: correct what AWS refuses:
    the setting that names it, or the missing object in AWS; the controller tries again by itself. What is still in use
    is not deleted: take it off what uses it.
    """
    for _, finding in _generic(traffic, "LBD104"):
        placed = where_it_is_set(traffic, _at_its_service(traffic, finding))
        yield _still_used(traffic, finding) or _of_gateway(placed)


_USED = re.compile(r"\bDependencyViolation\b|\bResourceInUse\b(?!: The allocation ID)")
"""Of what is to be deleted. ResourceInUse is said of an elastic IP that cannot be taken, too."""
_USED_GROUP = re.compile(r"\bsg-[0-9a-f]{8,17}\b")
_USED_TARGET_GROUP = re.compile(r"arn:[\w:/-]+:targetgroup/[\w-]+/[0-9a-f]+")


def _still_used(traffic: TrafficPath, finding: Finding) -> Finding | None:
    """The finding with what tells who uses the thing that AWS does not let go; None where it is not that.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteTargetGroup.html (ResourceInUse),
    https://docs.aws.amazon.com/vpc/latest/userguide/deleting-security-groups.html
    """
    text, region = " ".join(entry.text for entry in finding.evidence), traffic.context.region
    if not _USED.search(text):
        return None
    ask: tuple[str, ...] = ()
    group, target_group = _USED_GROUP.search(text), _USED_TARGET_GROUP.search(text)
    if target_group is not None:
        ask = (describe_target_group(target_group[0], region),)
        advice = (
            f"take {target_group_name(target_group[0])} off the listener or rule that still forwards to it; "
            "LoadBalancerArns says of which load balancer"
        )
    elif group is not None:
        filters = (f"Name=group-id,Values={group[0]}", f"Name=ip-permission.group-id,Values={group[0]}")
        ask = (
            aws("ec2", "describe-network-interfaces", "--filters", filters[0], region=region),
            aws("ec2", "describe-security-groups", "--filters", filters[1], region=region),
        )
        advice = f"take {group[0]} off the interfaces that still carry it, and out of the rules that name it"
    else:
        advice = "find what still uses it in AWS, and take it off there; the controller tries again by itself"
    return replace(finding, confirm=(*finding.confirm, *ask), advice=advice)


_ATTRIBUTE = re.compile(r"[Tt]arget group attribute(?: key)? '([\w.-]+)'")


def _at_its_service(traffic: TrafficPath, finding: Finding) -> Finding:
    """The finding at the Service whose annotation says what AWS refuses, where the Ingress does not say it."""
    named = _ATTRIBUTE.search(" ".join(entry.text for entry in finding.evidence))
    ingress, services = traffic.ingress.peek(), traffic.namespace_facts.services.peek()
    if named is None or ingress is None or services is None:
        return finding
    key = ALB_PREFIX + "target-group-attributes"

    def says(item: Ingress | Service) -> bool:
        return named[1] in keys_of(item.meta.annotations.get(key, ""))

    backends = {backend.service for backend in backends_of(ingress)}
    holders = [] if says(ingress) else [s for s in services if s.meta.name in backends and says(s)]
    if len(holders) != 1:
        return finding
    meta = holders[0].meta
    ref = ObjectRef("Service", meta.namespace, meta.name)
    said = Evidence(str(ref), f"{key}: {meta.annotations[key][:300]}")
    advice = f"correct {named[1]} in annotation {key} of {ref}"
    return replace(finding, object=ref, evidence=(*finding.evidence, said), advice=advice)


def _of_gateway(finding: Finding) -> Finding:
    """A Gateway has no annotations that the controller reads: its settings stand in objects of their own."""
    if finding.object.kind != "Gateway" or finding.advice:
        return finding
    where = "the Gateway's LoadBalancerConfiguration or a TargetGroupConfiguration of its Services"
    return replace(finding, advice=f"correct what the message names in {where}, or make what is missing in AWS")


@check(
    "LBD105",
    title="another member blocks the IngressGroup",
    passes="no other member blocks the IngressGroup",
    severity=Severity.ERROR,
    message="member {member} blocks IngressGroup {group}: {summary}",
    reads=(*READS, reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS),
    explains=undone_by("LBD105"),
    distinct_by=("group", "summary"),
)
def group_blocked(traffic: TrafficPath) -> Iterator[Finding]:
    """All Ingresses of a group share one load balancer and one model. One invalid member stops all of them; the event
    stands on every member and names the one at fault, or quotes a value that only this one has in its annotations; of
    the answers of WAF and Shield, which quote nothing, the one that asks for them.

    Confirm by hand: `kubectl describe ingress -n NAMESPACE MEMBER`. Repair the named member, or take it out of the
    group.
    """
    for entry in standing_complaints(traffic):
        blamed = member_at_fault(traffic, entry)
        if blamed is not None:
            namespace, _, name = blamed.member.partition("/")
            summary = shortened(entry.decoded.clause, _SHOWN)
            yield Finding(
                "LBD105",
                ObjectRef("Ingress", namespace, name),
                params={"group": traffic.group, "member": blamed.member, "summary": summary},
                evidence=tuple(dict.fromkeys((entry.evidence, blamed.evidence))),
                confidence=blamed.confidence,
                confirm=(
                    kubectl("lbdoctor", "ingress", name, namespace=namespace),
                    kubectl("describe", "ingress", name, namespace=namespace),
                ),
                advice="diagnose and correct the member itself, or take it out of the group",
            )


@check(
    "LBD128",
    title="the controller has a known fault",
    passes="the controller's version has no known fault that matches",
    severity=Severity.WARNING,
    message="a known fault of the controller's version: {summary}",
    reads=READS,
    explains=("LBD103", "LBD104"),
    distinct_by=("summary", "words"),
)
def known_fault(traffic: TrafficPath) -> Iterator[Finding]:
    """What is seen matches a fault that a later version of the controller has repaired. Repair: upgrade the
    controller."""
    for finding in reported(traffic, "LBD128"):
        yield replace(finding, object=controller_deployment(traffic.cluster) or finding.object)
