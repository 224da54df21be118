"""Causes that the controller names itself, in events or in its log, where no object shows them otherwise.

What an object shows as well (a missing Service port, an invalid annotation) is found there by its own check; the
controller's complaint about it is then the symptom LBD103, LBD104 or LBD109.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis import not_applied, subnet_choice, webhook_path
from kubectl_lbdoctor.analysis.blamed_members import Blamed, blamed_member
from kubectl_lbdoctor.analysis.blocked_paths import target_end
from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import (
    Complaint,
    known_complaints,
    standing_complaints,
    unattached_errors,
)
from kubectl_lbdoctor.analysis.controller_objects import controller_deployment, webhook_service
from kubectl_lbdoctor.analysis.frontends import frontend_of
from kubectl_lbdoctor.analysis.frontends.gateway import GatewayApiFrontend
from kubectl_lbdoctor.analysis.gateway_settings import READS as GATEWAY_READS
from kubectl_lbdoctor.analysis.ingress_backends import backends_of, ingress_group, is_class_of
from kubectl_lbdoctor.analysis.quoted_settings import quoted_setting
from kubectl_lbdoctor.analysis.reconciling_again import looked_at_again
from kubectl_lbdoctor.analysis.remediation import describe_load_balancer, describe_target_group, kubectl
from kubectl_lbdoctor.analysis.responsibility import undone_by
from kubectl_lbdoctor.analysis.told_healthy import wanted_targets
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.checks.wording import counted, listed
from kubectl_lbdoctor.knowledge.annotations import ALB_PREFIX, NLB_PREFIX
from kubectl_lbdoctor.knowledge.controller_errors import decode_event
from kubectl_lbdoctor.knowledge.controller_identity import plain_flag
from kubectl_lbdoctor.knowledge.spoken_errors import quotation, shortened
from kubectl_lbdoctor.model import index, kinds, reads
from kubectl_lbdoctor.model.arn import target_group_name
from kubectl_lbdoctor.model.aws import LoadBalancer
from kubectl_lbdoctor.model.fact import ReadState
from kubectl_lbdoctor.model.finding import Confidence, Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Condition, Ingress, Service, TargetGroupBinding, condition
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.shell import aws
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.network.security_groups import Direction, rules_counted

READS = (*COMPLAINT_READS, reads.ALL_INGRESSES)
_MEMBER_READS = (reads.INGRESS_CLASSES, reads.INGRESS_CLASS_PARAMS)
_SETTING_READS = (*_MEMBER_READS, *GATEWAY_READS, reads.INGRESSES, reads.SERVICES)
_TARGET_READS = (reads.ENDPOINT_SLICES, reads.PODS, reads.NODES, reads.TARGET_GROUPS, reads.TARGET_HEALTH)
"""With the other members of an IngressGroup, which an error may be about."""

# Codes that this module reports as decoded; any other decoded cause has a check that sees it on the object itself.
OWN_CODES = frozenset(
    [
        "LBD105",
        "LBD113",
        "LBD114",
        "LBD116",
        "LBD120",
        "LBD121",
        "LBD122",
        "LBD123",
        "LBD124",
        "LBD125",
        "LBD126",
        "LBD128",
        "LBD216",
        "LBD219",
        "LBD505",
        "LBD506",
        "LBD510",
        "LBD511",
        "LBD512",
    ]
)
_INSTANCE = re.compile(r"\bi-[0-9a-f]{8,17}\b")


_OF_OBJECTS = frozenset({"LBD510", "LBD511", "LBD512"})
"""Of the own codes, those that say what an object asks for, and not what the controller or its account may do."""


_SHOWN = 55
"""Characters of an error in the headline of another object; the evidence has it as it is."""


def member_at_fault(traffic: TrafficPath, entry: Complaint) -> Blamed | None:
    """The other IngressGroup member that the message blames, by its name, else by a value that it quotes; None when it
    blames the subject."""
    if not traffic.group or traffic.subject.kind != "Ingress":
        return None
    member = entry.param("ingress")
    blamed = Blamed(member, entry.evidence, Confidence.CERTAIN) if member else None
    if not member and entry.decoded.code not in OWN_CODES - _OF_OBJECTS:
        blamed = blamed_member(traffic, entry.decoded.raw)
    own = f"{traffic.subject.namespace}/{traffic.subject.name}"
    return blamed if blamed is not None and blamed.member != own else None


def reported(traffic: TrafficPath, code: str, **extra: str) -> Iterator[Finding]:
    """The standing complaints of one code, as findings; raises `Unknown` like `standing_complaints`."""
    for entry in standing_complaints(traffic):
        if entry.decoded.code == code and not member_at_fault(traffic, entry):
            yield _finding(code, entry, **extra)


def _finding(code: str, entry: Complaint, **extra: str) -> Finding:
    found = Finding(
        code,
        entry.ref,
        params={"summary": entry.decoded.clause, "words": entry.decoded.words, **extra},
        evidence=(entry.evidence,),
        confirm=(kubectl("describe", kubectl_name(entry.ref), namespace=entry.ref.namespace),),
    )
    return _with_permission(found, entry)


_READ_VERBS = ("get", "list", "watch")
_ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)")


def _with_permission(found: Finding, entry: Complaint) -> Finding:
    """What repairs a denial by Kubernetes: a Role for what the controller wants to read in a namespace.

    It may read no Secret by default, and a login (auth-idp-oidc) needs one:
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/examples/secrets_access/
    """
    account = _ACCOUNT.fullmatch(entry.param("rbac_user"))
    resource, name, namespace = (entry.param(p) for p in ("rbac_resource", "object", "rbac_namespace"))
    if account is None or entry.param("rbac_verb") not in _READ_VERBS or not (resource and name and namespace):
        return found
    role, may_read = f"{account[2]}-{resource}", ",".join(_READ_VERBS)
    made = ("role", role, "--verb", may_read, "--resource", resource, "--resource-name", name)
    bound = ("rolebinding", role, "--role", role, "--serviceaccount", f"{account[1]}:{account[2]}")
    return replace(
        found,
        by_hand=tuple(kubectl("create", *words, namespace=namespace) for words in (made, bound)),
        advice=f"let the controller read {resource} {name}"
        + (", or all of them: chart value clusterSecretsPermissions.allowAllSecrets" if resource == "secrets" else ""),
    )


def _generic(traffic: TrafficPath, code: str) -> Iterator[Finding]:
    """Complaints of one step whose cause has no code of its own here."""
    for entry in standing_complaints(traffic):
        known = entry.decoded.code in OWN_CODES
        if not known and entry.stage_code == code and not member_at_fault(traffic, entry):
            yield _with_members(traffic, _at_its_class(traffic, _finding(code, entry), entry), entry.param("key"))


def _with_members(traffic: TrafficPath, finding: Finding, key: str) -> Finding:
    """The finding with what each member of the IngressGroup says of a tag or an attribute that they do not agree on:
    the controller names the values, and not who has which."""
    members = traffic.cluster.group_ingresses.peek() if key and traffic.group else ()
    said = [
        Evidence(f"ingress/{member.meta.name} -n {member.meta.namespace}", f"{name}: {value[:300]}")
        for member in members or ()
        if not member.meta.deleted and ingress_group(member, traffic.snapshot) == traffic.group
        for name, value in sorted(member.meta.annotations.items())
        if name.startswith(ALB_PREFIX) and any(part.partition("=")[0].strip() == key for part in value.split(","))
    ]
    if len({entry.source for entry in said}) < 2:
        return finding
    return replace(finding, evidence=(*finding.evidence, *said), advice=f"let the members say one value for {key}")


def _where_it_is_set(traffic: TrafficPath, finding: Finding) -> Finding:
    """The finding at the object that sets the value which the message quotes, where one is known that does."""
    said = quoted_setting(traffic, finding.object, " ".join(entry.text for entry in finding.evidence))
    if said is None or finding.advice:
        return finding
    shown = Evidence(str(said.ref), f"{said.place}: {', '.join(said.values)}")
    advice = f"correct {said.place} of {said.ref}, or what it asks for in AWS"
    return replace(finding, object=said.ref, evidence=(*finding.evidence, shown), advice=advice)


def _at_its_class(traffic: TrafficPath, finding: Finding, entry: Complaint) -> Finding:
    """The finding at the IngressClass or the IngressClassParams that the controller stumbles over: no Ingress can mend
    those.

    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/ingress_class/
    """
    ingress, classes = traffic.ingress.peek(), traffic.cluster.ingress_classes.peek()
    missing, unknown = entry.param("missing_parameters"), entry.param("class_of_unknown_parameters")
    named = next((c.meta.name for c in classes or () if ingress is not None and is_class_of(c, ingress)), "")
    if (missing or unknown) and named:
        ref = ObjectRef(kinds.INGRESS_CLASS.name, "", named)
        made = f"make IngressClassParams {missing}, or correct" if missing else "correct"
        return replace(finding, object=ref, by_hand=(kubectl("edit", str(ref)),), advice=f"{made} its spec.parameters")
    if refusing := entry.param("refusing_parameters"):
        ref = ObjectRef(kinds.INGRESS_CLASS_PARAMS.name, "", refusing)
        space = finding.object.namespace
        advice = f"give namespace {space} the labels that spec.namespaceSelector asks for, or let that admit it"
        return replace(
            finding,
            object=ref,
            confirm=(kubectl("get", str(ref), "-o", "yaml"), kubectl("get", "namespace", space, "--show-labels")),
            by_hand=(kubectl("edit", str(ref)),),
            advice=advice,
        )
    return finding


@check(
    "LBD103",
    title="the controller cannot build its model of the object",
    passes="the controller can build its model of the object",
    severity=Severity.ERROR,
    message="the controller cannot build the load balancer: {summary}",
    reads=(*READS, *not_applied.READS, *_SETTING_READS),
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
    for finding in _generic(traffic, "LBD103"):
        yield _of_gateway(_where_it_is_set(traffic, finding))


@check(
    "LBD104",
    title="the controller cannot deploy its model to AWS",
    passes="the controller can deploy its model to AWS",
    severity=Severity.ERROR,
    message="the controller cannot deploy the load balancer: {summary}",
    reads=(*READS, *_MEMBER_READS, *_SETTING_READS),
    explains=undone_by("LBD104"),
    distinct_by=("summary", "words"),
)
def model_not_deployed(traffic: TrafficPath) -> Iterator[Finding]:
    """AWS refuses what the controller asks for: a certificate, subnet, security group, attribute or quota.

    Confirm by hand: `kubectl describe ingress NAME` (event FailedDeployModel). Repair: correct what AWS refuses:
    the setting that names it, or the missing object in AWS; the controller tries again by itself. What is still in use
    is not deleted: take it off what uses it.
    """
    for finding in _generic(traffic, "LBD104"):
        placed = _where_it_is_set(traffic, _at_its_service(traffic, finding))
        yield _still_used(traffic, finding) or _of_gateway(placed)


_USED = re.compile(r"\b(?:ResourceInUse|DependencyViolation)\b")
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
        pairs = item.meta.annotations.get(key, "").split(",")
        return any(pair.partition("=")[0].strip() == named[1] for pair in pairs)

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
    reads=(*READS, *_MEMBER_READS),
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


def of_the_controller(traffic: TrafficPath, code: str) -> Iterator[Finding]:
    """A trouble of the controller itself, once: it says so of every object that it works on, and what has to be changed
    is its Deployment.

    Raises `Unknown` after what was heard where events or logs could not be read: that stays proven.
    """
    heard: dict[str, list[Complaint]] = defaultdict(list)
    try:
        for entry in standing_complaints(traffic):
            if entry.decoded.code == code and not member_at_fault(traffic, entry):
                heard[entry.decoded.clause].append(entry)
        for entry in unattached_errors(traffic):
            if entry.decoded.code == code:
                heard[entry.decoded.clause].append(entry)
    finally:
        for entries in heard.values():
            told = _finding(code, entries[0])
            own = controller_deployment(traffic.cluster) or told.object
            yield replace(told, object=own, evidence=tuple(entry.evidence for entry in entries))


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
    if not heard or not told or not traffic.cluster.nodes.is_known:
        return
    instances = index.nodes_by_instance(traffic.snapshot)
    own = {i.vpc_id for i in traffic.network.interfaces.peek() or () if i.instance_id in instances} - {""}
    if len(own) != 1 or told in own:
        return
    meta, vpc = controllers[0].meta, next(iter(own))
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
    an interface endpoint or without a way out, or a wrong endpoint in its arguments.

    Repair: let the controller reach the API: an interface endpoint or a NAT gateway for its subnets and TCP 443 in
    their security groups; or switch the feature off that needs it (wafv2, shield).
    """
    yield from of_the_controller(traffic, "LBD123")


@check(
    "LBD113",
    title="the bound target group does not exist",
    passes="the bound target group exists",
    severity=Severity.ERROR,
    message="TargetGroupBinding {binding} points to target group {group}, which does not exist",
    reads=(*READS, *GATEWAY_READS, "elbv2:DescribeTargetGroups"),
    explains=("LBD109", "LBD205", "LBD217"),
)
def target_group_missing(traffic: TrafficPath) -> Iterator[Finding]:
    """The target group that a TargetGroupBinding names was deleted. What another account or region holds is unknown.

    Such a binding also stops the controller from removing security group rules in the whole cluster. One that the
    controller made names the deleted group for ever, and keeps its name from a binding of the new one.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/3493

    Confirm by hand: `aws elbv2 describe-target-groups --target-group-arns ARN`. Repair: delete a binding of the
    controller itself, and change an annotation of the Ingress, the Service or the Gateway, so that target group and
    binding are made again. In place of one that a person made comes one that names an existing target group: its
    targetGroupARN cannot be changed.
    """
    binding = traffic.binding.need()
    if binding is None or not binding.target_group_arn or traffic.target_group.need() is not None:
        return
    ref = binding.ref
    yield Finding(
        "LBD113",
        ref,
        params={"binding": binding.meta.name, "group": target_group_name(binding.target_group_arn)},
        evidence=(
            Evidence(str(ref), f"targetGroupARN {binding.target_group_arn}"),
            *(e.evidence for e in known_complaints(traffic) if e.decoded.code == "LBD113"),
        ),
        confirm=(describe_target_group(binding.target_group_arn, traffic.context.region),),
        by_hand=(
            " && ".join((kubectl("delete", kubectl_name(ref), namespace=traffic.namespace), *looked_at_again(traffic))),
        )
        if binding.is_generated
        else (),
        advice=""
        if binding.is_generated
        else "make a binding in its place that names an existing target group: targetGroupARN cannot be changed",
    )


@check(
    "LBD114",
    title="several TargetGroupBindings share one target group",
    passes="one TargetGroupBinding per target group",
    severity=Severity.ERROR,
    message="several TargetGroupBindings fill {group}: {bindings:,2}",
    reads=(*READS, reads.ALL_BINDINGS, *_TARGET_READS),
    explains=("LBD109", "LBD205", "LBD206", "LBD217"),
    distinct_by=("group",),
)
def bound_twice(traffic: TrafficPath) -> Iterator[Finding]:
    """Two bindings on one target group register and deregister each other's targets, unless both are multi-cluster;
    also where they stand in different namespaces.

    Confirm by hand: `kubectl get targetgroupbindings -A -o wide`. Repair: keep the binding that is meant and delete
    the others.
    """
    binding = traffic.binding.need()
    if binding is None:
        return
    read = (traffic.cluster.all_bindings, *(space.bindings for space in traffic.snapshot.namespaces.values()))
    everywhere = (*traffic.namespace_facts.bindings.need(), *(b for part in read for b in part.peek() or ()))
    each = {(b.meta.key, b.group): b for b in everywhere}
    same = [b for b in each.values() if b.target_group_arn == binding.target_group_arn]
    if len(same) > 1 and not all(b.multi_cluster for b in same):
        names = tuple(sorted(f"{b.meta.key} ({b.group})" if b.group else b.meta.key for b in same))
        yield Finding(
            "LBD114",
            min(b.ref for b in same),
            params={"group": target_group_name(binding.target_group_arn), "bindings": names},
            confirm=(_listing(same, traffic.namespace),),
            advice="keep the binding that is meant and delete the others: each deregisters the others' targets",
        )
        return
    for entry in standing_complaints(traffic):
        if entry.decoded.code == "LBD114":
            bindings = entry.param("bindings") or "another one"
            group = entry.param("target_group") or binding.target_group_arn
            yield Finding("LBD114", entry.ref, {"group": group, "bindings": bindings}, (entry.evidence,))
            return
    elsewhere = traffic.cluster.all_bindings
    if elsewhere.state in (ReadState.DENIED, ReadState.FAILED) and _is_filled_otherwise(traffic, binding):
        elsewhere.need()


def _is_filled_otherwise(traffic: TrafficPath, binding: TargetGroupBinding) -> bool:
    """Whether other targets are registered than the binding asks for, as where a second one fills the group."""
    wanted = {target.key for target in wanted_targets(traffic, binding)}
    registered = {t.key for t in traffic.targets() if t.state != "draining" and t.key not in traffic.foreign}
    return bool(wanted) and registered != wanted


def _listing(bindings: list[TargetGroupBinding], namespace: str) -> str:
    if {b.meta.namespace for b in bindings} == {namespace}:
        return kubectl("get", *sorted(kubectl_name(b.ref) for b in bindings), namespace=namespace)
    kinds = sorted({kubectl_name(b.ref).partition("/")[0] for b in bindings})
    return kubectl("get", ",".join(kinds), "-A", "-o", "wide")


@check(
    "LBD116",
    title="the object is stuck deleting",
    passes="the object is not stuck deleting",
    severity=Severity.WARNING,
    message="{object} has been deleting for {minutes:minute}[: {why}]",
    reads=(*READS, *GATEWAY_READS),
)
def stuck_deleting(traffic: TrafficPath) -> Iterator[Finding]:
    """The object was deleted, but the controller has not removed its finalizer: it does not run, AWS refuses the
    clean-up, the load balancer is protected, or another member of the group blocks it.

    Repair what the event FailedRemoveFinalizer or FailedCleanup names, or the binding's condition Ready; removing the
    finalizer by hand leaves the AWS objects behind.
    """
    for entry in (traffic.ingress.peek(), traffic.binding.peek(), traffic.service.peek(), *_gateways(traffic)):
        if entry is None or not entry.meta.deleted or traffic.age(entry.meta.deleted) < 60:
            continue
        own = [f for f in entry.meta.finalizers if ".k8s.aws/" in f or ".eks.amazonaws.com/" in f]
        if own:
            kind = type(entry).__name__
            complaints = [e for e in known_complaints(traffic) if e.ref.name == entry.meta.name]
            told, ref = _failed_cleanup(entry), ObjectRef(kind, entry.meta.namespace, entry.meta.name)
            if isinstance(entry, TargetGroupBinding):
                ref = entry.ref
            yield Finding(
                "LBD116",
                ref,
                params={
                    "object": f"{kind} {entry.meta.name}",
                    "minutes": int(traffic.age(entry.meta.deleted) // 60),
                    "finalizer": own[0],
                    "why": _why(complaints, told),
                },
                evidence=(
                    Evidence(f"{kind.lower()}/{entry.meta.name}", f"waits for finalizer {own[0]}"),
                    *(c.evidence for c in complaints[:3]),
                    *((Evidence(str(ref), f"{told.reason}: {quotation(told.message)}"),) if told is not None else ()),
                ),
                confirm=(kubectl("get", kubectl_name(ref), "-o", "yaml", namespace=ref.namespace),),
                advice=_unprotect(kind)
                if any(c.param("protection") for c in complaints)
                else "let the controller run and AWS accept its clean-up: the controller then removes the finalizer",
            )


def _gateways(traffic: TrafficPath) -> tuple[Gateway, ...]:
    front = frontend_of(traffic)
    return front.gateways if isinstance(front, GatewayApiFrontend) else ()


def _why(complaints: list[Complaint], told: Condition | None) -> str:
    if complaints:
        return complaints[0].decoded.clause
    return decode_event(told.reason, told.message).clause if told is not None else ""


def _failed_cleanup(item: Ingress | TargetGroupBinding | Service | Gateway) -> Condition | None:
    """What a binding's status says about its clean-up. Controllers write it since 3.0, and unlike the event it stays.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/controllers/elbv2/targetgroupbinding_controller.go
    """
    ready = condition(item.conditions, "Ready") if isinstance(item, TargetGroupBinding) else None
    return ready if ready is not None and ready.status == "False" else None


def _unprotect(kind: str) -> str:
    if kind == "Gateway":
        where = "loadBalancerAttributes of the Gateway's LoadBalancerConfiguration"
        return f"set deletion_protection.enabled=false in {where} if the load balancer may go"
    key = ALB_PREFIX + "load-balancer-attributes" if kind == "Ingress" else NLB_PREFIX + "attributes"
    return f"set deletion_protection.enabled=false in annotation {key} if the load balancer may go"


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

    Confirm by hand: `aws ec2 describe-network-interfaces --filters "Name=description,Values=Amazon EKS CLUSTER"`.
    Repair: admit TCP 9443 from the cluster's security group (the control plane) to the nodes.
    """
    for finding in reported(traffic, "LBD124"):
        own = webhook_service(traffic.cluster) or finding.object
        yield webhook_path.with_path(traffic, replace(finding, object=own))


@check(
    "LBD216",
    title="an AWS quota stops the controller",
    passes="no quota stops registration",
    severity=Severity.ERROR,
    message="an AWS quota stops the controller: {summary}",
    reads=READS,
    explains=undone_by("LBD216"),
    distinct_by=("summary", "words"),
)
def quota_reached(traffic: TrafficPath) -> Iterator[Finding]:
    """AWS refuses more targets, target groups, rules or load balancers than the account's quota.

    Repair: raise the quota, use fewer target groups per load balancer, or `ip` in place of `instance` targets.
    """
    yield from reported(traffic, "LBD216")


@check(
    "LBD219",
    title="AWS does not accept a target",
    passes="every instance can be a target of the group",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.NODES, reads.TARGET_GROUPS),
    explains=undone_by("LBD219"),
    distinct_by=("summary", "words"),
)
def target_not_supported(traffic: TrafficPath) -> Iterator[Finding]:
    """One target that AWS does not accept (an unsupported instance type behind an NLB, an instance of another region or
    account, an address outside the VPC) makes the whole registration fail, so the others are missing, too. A binding
    of your own whose targetType is not its target group's registers nothing at all: addresses are no instances.

    Source of the last: nothing compares the two when both are given,
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.3.0/webhooks/elbv2/targetgroupbinding_validator.go

    Repair: exclude the node (label node.kubernetes.io/exclude-from-external-load-balancers) or use `ip` targets; make
    the binding anew with the group's target type, which can be changed in neither.
    """
    mismatch = _of_another_type(traffic)
    if mismatch is not None:
        yield mismatch
        return
    for finding in reported(traffic, "LBD219"):
        culprits = _nodes_named(traffic, finding)
        yield from (replace(finding, object=ref, by_hand=(_kept_out(ref),)) for ref in culprits)
        if not culprits:
            yield finding


def _of_another_type(traffic: TrafficPath) -> Finding | None:
    """A binding that registers addresses in a group of instances, or the other way round."""
    binding, group = traffic.binding.peek(), traffic.target_group.peek()
    if binding is None or group is None or binding.target_type in ("", group.target_type) or not group.target_type:
        return None
    said = f"targetType {binding.target_type}"
    return Finding(
        "LBD219",
        binding.ref,
        params={
            "summary": f"TargetGroupBinding {binding.meta.name} says {said}, and target group {group.name} is of "
            f"type {group.target_type}",
            "words": "",
        },
        evidence=(
            Evidence(str(binding.ref), said),
            Evidence(reads.TARGET_GROUPS, f"{group.name}: TargetType {group.target_type}"),
            *(e.evidence for e in known_complaints(traffic) if e.ref == binding.ref),
        ),
        confirm=(describe_target_group(group.arn, traffic.context.region),),
        advice=f"delete the binding and make it again with targetType {group.target_type} (or without: the controller "
        f"then asks AWS), or bind a target group of type {binding.target_type}; neither can be changed",
    )


def _nodes_named(traffic: TrafficPath, finding: Finding) -> list[ObjectRef]:
    """The nodes whose instances the message names: they, not the binding, are what is to be changed."""
    if not traffic.cluster.nodes.is_known:
        return []
    nodes = index.nodes_by_instance(traffic.snapshot)
    named = dict.fromkeys(i for entry in finding.evidence for i in _INSTANCE.findall(entry.text))
    return [ObjectRef("Node", "", nodes[i].meta.name) for i in named if i in nodes]


def _kept_out(node: ObjectRef) -> str:
    return kubectl("label", "node", node.name, "node.kubernetes.io/exclude-from-external-load-balancers=true")


@check(
    "LBD505",
    title="a target interface has no or several tagged security groups",
    passes="each target interface has one tagged security group",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.TARGET_HEALTH, reads.NETWORK_INTERFACES, reads.SECURITY_GROUPS, reads.NODES),
    explains=undone_by("LBD505"),
    distinct_by=("summary", "words"),
)
def tagged_groups(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller writes its rules to the one security group of the target's interface that carries the tag
    `kubernetes.io/cluster/NAME`; with none or several it writes no rule, and targets time out. With `ip` targets they
    are registered all the same, with `instance` targets they are not.

    Confirm by hand: `aws ec2 describe-network-interfaces` and the tags of its groups. Repair: leave the tag on
    exactly one of the interface's security groups (`aws ec2 delete-tags`, `aws ec2 create-tags`).
    """
    for finding in reported(traffic, "LBD505"):
        yield replace(finding, evidence=(*finding.evidence, *_wrongly_tagged(traffic)))


_SHOWN_INTERFACES = 5


def _wrongly_tagged(traffic: TrafficPath) -> tuple[Evidence, ...]:
    """All interfaces of the targets with no or several groups that have the tag: the controller stops at the first."""
    decoded = (entry.decoded for entry in standing_complaints(traffic))
    tags = {str(d.params["tag"]) for d in decoded if d.code == "LBD505" and d.params.get("tag")}
    interfaces, groups = traffic.network.interfaces.peek(), traffic.network.security_groups.peek()
    if len(tags) != 1 or interfaces is None or groups is None:
        return ()
    (tag,) = tags
    tagged = {group.id for group in groups if tag in group.tags}
    ends = [target_end(traffic, target) for target in traffic.target_health.peek() or ()]
    mine = {(end.subnet_id, end.address) for end in ends}
    found = {
        interface.id: tuple(i for i in interface.security_groups if i in tagged)
        for interface in interfaces
        if any((interface.subnet_id, address) in mine for address in interface.private_ips)
    }
    wrong = [f"{name} ({', '.join(several) or 'none'})" for name, several in sorted(found.items()) if len(several) != 1]
    return (Evidence(f"groups with {tag}", listed(wrong, _SHOWN_INTERFACES)),) if wrong else ()


@check(
    "LBD506",
    title="a security group has no room for another rule",
    passes="security groups have room for rules",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.SECURITY_GROUPS, reads.PREFIX_LISTS),
    explains=undone_by("LBD506"),
    distinct_by=("summary", "words"),
)
def rules_quota(traffic: TrafficPath) -> Iterator[Finding]:
    """The security group has reached its quota of rules (60 by default), so the controller cannot add the one that
    admits the load balancer. Every source is a rule of its own; one that names a group counts for IPv4 and for IPv6.

    Confirm by hand: `aws ec2 describe-security-group-rules --filters Name=group-id,Values=ID`. Repair: remove
    rules, raise the quota, or let load balancers share a backend security group.
    """
    for finding in reported(traffic, "LBD506"):
        yield replace(finding, evidence=(*finding.evidence, *_fullest(traffic)))


def _fullest(traffic: TrafficPath) -> tuple[Evidence, ...]:
    """The groups of targets and load balancer with most inbound rules, as the quota counts them."""
    lists = {p.id: p for p in traffic.network.prefix_lists.peek() or ()}
    groups = traffic.network.security_groups.peek() or ()
    by_rules = [(max(rules_counted(g, Direction.INGRESS, lists)), g) for g in groups]
    by_rules.sort(key=lambda item: (-item[0], item[1].id))
    return tuple(
        Evidence(
            reads.SECURITY_GROUPS,
            f"{group.id} ({group.name}): {counted(count, 'inbound rule')}; the default quota is 60",
        )
        for count, group in by_rules[:2]
    )


@check(
    "LBD511",
    title="no suitable subnets for the load balancer are found",
    passes="subnets for the load balancer can be found",
    severity=Severity.ERROR,
    message="no subnet suits the load balancer: {summary}",
    reads=(*READS, *subnet_choice.READS, *_SETTING_READS),
    explains=undone_by("LBD511"),
    distinct_by=("summary", "words"),
)
def subnets_not_found(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller finds too few subnets: the role tag (kubernetes.io/role/elb or internal-elb) is missing, they are
    tagged for another cluster, have too few free addresses, or lie in one zone. Each subnet of the VPC is listed with
    what speaks against it. Of a manifest that is not applied (`-f`), the same is asked of the nodes' VPC.

    Confirm by hand: `aws ec2 describe-subnets --filters Name=vpc-id,Values=VPC` (Tags, AvailableIpAddressCount).
    Repair: tag one subnet per zone with the role and for this cluster, or name subnets in the `subnets` annotation.
    """
    for finding in (*not_applied.subnets_lacking(traffic), *reported(traffic, "LBD511")):
        placed = _where_it_is_set(traffic, finding)
        # Which subnets would suit is no question where some are named.
        yield placed if placed is not finding else subnet_choice.with_subnets(traffic, finding)


@check(
    "LBD512",
    title="a subnet has too few free addresses",
    passes="subnets have free addresses",
    severity=Severity.ERROR,
    message="[{summary}][load balancer {balancer} is impaired: it lacks what it needs to scale]",
    reads=(*READS, *subnet_choice.READS, reads.TARGET_GROUPS, reads.LOAD_BALANCERS),
    explains=undone_by("LBD512"),
    distinct_by=("summary", "words"),
)
def no_free_addresses(traffic: TrafficPath) -> Iterator[Finding]:
    """A load balancer needs at least 8 free addresses in each of its subnets, to be made and to grow. One that exists
    and does not get what it needs to grow is active_impaired: it serves, and fails under more load.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerState.html

    Confirm by hand: `aws elbv2 describe-load-balancers` (State), `aws ec2 describe-subnets` (AvailableIpAddressCount).
    Repair: free addresses in these subnets, or choose larger ones with the `subnets` annotation.
    """
    for finding in reported(traffic, "LBD512"):
        yield subnet_choice.with_subnets(traffic, finding)
    balancer = traffic.load_balancer.need()
    if balancer is not None and balancer.state == "active_impaired":
        yield _impaired(traffic, balancer)


def _impaired(traffic: TrafficPath, balancer: LoadBalancer) -> Finding:
    mine = [s for s in traffic.network.subnets.peek() or () if s.id in balancer.zones.values()]
    short = [s for s in mine if s.free_addresses is not None and s.free_addresses < subnet_choice.FREE_ADDRESSES]
    region = traffic.context.region
    return Finding(
        "LBD512",
        ObjectRef("LoadBalancer", "", balancer.name),
        severity=Severity.WARNING,
        params={"balancer": balancer.name},
        evidence=(
            Evidence(reads.LOAD_BALANCERS, f"{balancer.name}: state active_impaired"),
            *(
                Evidence(reads.SUBNETS, f"{s.id} ({s.zone}): {counted(s.free_addresses or 0, 'free address')}")
                for s in short
            ),
        ),
        # AWS tells the state and not what is lacking, which is mostly addresses.
        confidence=Confidence.CERTAIN if short else Confidence.LIKELY,
        confirm=(
            describe_load_balancer(balancer.arn, region),
            aws("ec2", "describe-subnets", "--subnet-ids", *sorted(balancer.zones.values()), region=region),
        ),
        advice="free addresses in the subnets of the load balancer, or give it larger ones",
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
