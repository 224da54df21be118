"""The controller's identity in AWS and what its role permits: LBD120, LBD121.

What AWS told the controller proves the fault. IAM is read on top of that, where it may be: it tells a missing statement
from a condition, a boundary or an organisation's deny, and lists what the controller will be denied next. IAM facts
are only peeked at: most people may not read IAM, and the denial stands without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from kubectl_lbdoctor.analysis.controller_complaints import READS, Complaint, standing_complaints
from kubectl_lbdoctor.analysis.controller_objects import controller_account
from kubectl_lbdoctor.analysis.frontends import ownership
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.responsibility import Duty, Step, step_of_action, undone_by
from kubectl_lbdoctor.analysis.running_version import READS as VERSION_READS
from kubectl_lbdoctor.analysis.running_version import controller_version
from kubectl_lbdoctor.checks.complaints import of_the_controller
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.knowledge.controller_identity import (
    ROLE_ANNOTATION,
    accused_role,
    irsa_roles,
    role_name,
    uses_pod_identity,
    variables,
)
from kubectl_lbdoctor.knowledge.iam_policy import permission_statement, review_policies, verdict
from kubectl_lbdoctor.knowledge.trust_policy import (
    AUDIENCE,
    pod_identity_refusal,
    pod_identity_statement,
    web_identity_refusal,
    web_identity_statement,
)
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, ReadState, Unknown
from kubectl_lbdoctor.model.finding import Evidence, Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.identity import RolePolicy
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record

NAMED = 6
"""Missing actions that evidence lists; the rest is counted."""


@check(
    "LBD120",
    title="AWS denies the controller an action",
    passes="AWS permits the controller everything it needs",
    severity=Severity.ERROR,
    message="AWS denies the controller {action:?a call}[ (role {role})][, by {by}]",
    reads=(*READS, *VERSION_READS, reads.SERVICE_ACCOUNTS, *reads.IDENTITY),
    explains=undone_by("LBD120"),
    distinct_by=("action",),
)
def aws_denies_action(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller's IAM role lacks an action that the running version needs: the policy is older than the
    controller, a resource lacks the tag that the policy's condition asks for, or a boundary or organisation policy
    denies it, which AWS names: then no statement of the role's own policies helps. Where IAM may be read, the role's
    policies are compared with the policy of the running version.

    Confirm by hand: the event or log line names the action and the role. Repair: add the statement to the role's
    policy; the complete one is docs/install/iam_policy.json of the controller's release. No restart is needed.
    EKS Auto Mode works with the role of the cluster, to which AmazonEKSLoadBalancingPolicy belongs.
    """
    for entry in standing_complaints(traffic):
        if entry.decoded.code != "LBD120":
            continue
        action = entry.decoded.aws_action
        # The name is what a person looks for; a principal that is no role is a user.
        accused = accused_role(entry.decoded)
        role = role_name(accused) or (entry.param("role") or entry.param("principal")).rsplit("/", 1)[-1]
        wanted = entry.param("resource") if action == _ASSUME else None
        compared, advice = (
            ((), _BY_AUTO_MODE) if _is_of_auto_mode(traffic) else _compared(traffic, accused, action, wanted)
        )
        advice = _of_another_policy(entry) or advice
        if wanted and role_name(wanted) and _is_of_trust(traffic, entry, accused):
            role, advice = role_name(wanted), _BY_TRUST.format(assumed=wanted, accused=accused or "the controller")
        yield Finding(
            "LBD120",
            ObjectRef("IAMRole", "", role) if role else controller_account(traffic.cluster) or entry.ref,
            params={"action": action, "role": role, "by": _OTHER_POLICIES.get(entry.param("denial"), "")},
            evidence=(entry.evidence, *compared, *identity_evidence(traffic, whole=False)),
            confirm=(kubectl("describe", kubectl_name(entry.ref), namespace=entry.ref.namespace),),
            advice=advice,
            explains=_left_undone(traffic, action),
        )


def _left_undone(traffic: TrafficPath, action: str) -> tuple[str, ...]:
    """What the controller cannot do without the action. The rules that an existing binding asks for are kept whatever
    becomes of its model; only what it looks up of EC2 it needs for both.

    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/pkg/networking/networking_manager.go
    """
    step, binding = step_of_action(action), traffic.binding.peek()
    asks = binding is not None and binding.networking is not None
    kept = Duty.TARGET_RULES.value if asks and step is Step.DEPLOY and not action.startswith("ec2:Describe") else ()
    return tuple(code for code in step.unmade if code not in kept)


# For a target group of another account a TargetGroupBinding names a role there (iamRoleArnToAssume). Both sides decide:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html (trust policy),
# https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/targetgroupbinding/targetgroupbinding/.
_ASSUME = "sts:AssumeRole"
_BY_TRUST = (
    "let the trust policy of {assumed} admit {accused}, and where it asks for an external id, let the "
    "TargetGroupBinding say it (assumeRoleExternalId)"
)


def _is_of_trust(traffic: TrafficPath, entry: Complaint, arn: str) -> bool:
    """Whether the role that is to be assumed refuses: AWS says so, or the controller's own policies are known to allow
    it and no other policy is blamed."""
    if entry.param("denial"):
        return entry.param("denial") == "resource-policy"
    policies = _policies(traffic, arn) if traffic.aws.identity.role(arn) is not None else ""
    documents = [] if isinstance(policies, str) else [policy.document for policy in policies]
    return not entry.decoded.params.get("explicit_deny") and verdict(documents, _ASSUME) == "allowed"


# The managed policy allows changes of what carries the tag eks:eks-cluster-name, and no tags of one's own.
# https://docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html
_BY_AUTO_MODE = (
    "attach the managed policy AmazonEKSLoadBalancingPolicy to the role of the cluster; tags of one's own, and changes "
    "of what lacks the tag eks:eks-cluster-name, need a further policy on that role"
)


def _is_of_auto_mode(traffic: TrafficPath) -> bool:
    """Whether EKS Auto Mode works on the object; what AWS denied is told where that is not known, too."""
    with suppress(Unknown):
        return ownership(traffic).owner == "auto-mode"
    return False


# Policies that are not the role's own, by what AWS calls them:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_OTHER_POLICIES = {
    "service-control-policy": "a service control policy",
    "resource-control-policy": "a resource control policy",
    "permissions-boundary": "its permissions boundary",
    "session-policy": "a session policy",
    "resource-policy": "the resource's own policy",
    "endpoint-policy": "the policy of a VPC endpoint",
}


def _of_another_policy(entry: Complaint) -> str:
    """What has to be changed where the role's own policies are not what decides."""
    if other := _OTHER_POLICIES.get(entry.param("denial")):
        wanted = "takes the Deny back" if entry.decoded.params.get("explicit_deny") else "allows it"
        return f"see that {other} {wanted}; a statement of the role's own policies does not help"
    if not entry.decoded.params.get("explicit_deny"):
        return ""
    return "an explicit deny (organisation, boundary or policy) stands against it; an allow alone does not help"


def _statement(action: str, resource: str | None) -> str:
    return f"add to the role's policy: {' '.join(permission_statement(action, resource).split())}"


def _compared(traffic: TrafficPath, arn: str, action: str, resource: str | None) -> tuple[tuple[Evidence, ...], str]:
    """What the role's policies say about the denied action, and the advice that follows from it."""
    version = controller_version(traffic) or ""
    shipped = f"iam_policy.json of {version or 'the controller'}"
    plain = _statement(action, resource) if action else f"compare the role's policy with {shipped}"
    known, role = traffic.aws.identity.role(arn), role_name(arn)
    if known is None:
        return (), plain
    owner = known.peek()
    policies = _policies(traffic, arn)
    if isinstance(policies, str):
        return (Evidence(f"policies of role {role}", f"not compared: {policies}"),), plain
    documents = [policy.document for policy in policies]
    names = ", ".join(role_policy.name.rsplit("/", 1)[-1] for role_policy in policies) or "no policy"
    missing = review_policies(documents, version).missing
    # Targets and rules first: without the actions of other services only single features fail.
    others = tuple(sorted((n for n in missing if n != action), key=lambda n: (not n.startswith("elasticload"), n)))
    found = verdict(documents, action) if action else "missing"
    texts = {
        "missing": f"{names}: no statement allows {action}",
        "denied": f"{names}: a statement denies {action} on every resource",
        "restricted": f"{names}: {action} is allowed only with a condition or on named resources",
        "allowed": f"{names}: {action} is allowed; what denies it stands elsewhere",
    }
    evidence = [Evidence(f"policies of role {role}", texts[found])] if action else []
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        needed = f"also missing of what {version or 'the controller'} needs: {', '.join(others[:NAMED])}{more}"
        evidence.append(Evidence(f"policies of role {role}", needed))
    if owner is not None and owner.boundary:
        text = f"{owner.boundary.rsplit('/', 1)[-1]} limits the role further; it was not compared"
        evidence.append(Evidence(f"permissions boundary of role {role}", text))
    advice = {
        "missing": plain + (f"; for the other missing actions use {shipped}" if others else ""),
        "denied": "take that Deny out of the role's policies; an allow alone does not help",
        "restricted": "the resource does not fit the policy's condition or resources, often because it lacks the tag "
        f"elbv2.k8s.aws/cluster; as shipped: {' '.join(permission_statement(action).split())}",
        "allowed": "if it was allowed only now, wait: the controller tries again within 17 minutes, and at once when "
        "it is restarted; else look at the role's permissions boundary, the organisation's service control policies "
        "and, for a shared resource, its own policy",
    }
    return tuple(evidence), advice[found]


def _policies(traffic: TrafficPath, arn: str) -> tuple[RolePolicy, ...] | str:
    """All policies of the role, or why they are not all known."""
    found: list[RolePolicy] = []
    for fact in traffic.aws.identity.policies(arn):
        policies = fact.peek() if fact is not None else None
        if policies is None:
            return _why(fact)
        found += policies
    return tuple(found)


def _why(fact: Fact[tuple[RolePolicy, ...]] | None) -> str:
    if fact is None:
        return "IAM was not asked"
    return f"needs {fact.permission}" if fact.state is ReadState.DENIED else fact.why


def identity_evidence(traffic: TrafficPath, whole: bool = True) -> tuple[Evidence, ...]:
    """How the controller's pods get their AWS identity: IRSA, EKS Pod Identity, static keys or the node's role.

    IRSA and Pod Identity are injected when a pod is created: an annotation that is younger than the pod has no effect
    before a restart. https://docs.aws.amazon.com/eks/latest/userguide/service-accounts.html

    whole: also the ways that are not taken, which say something only where the identity itself is in question.
    """
    found = []
    for key, fact in sorted(traffic.cluster.service_accounts.items()):
        account = fact.peek()
        if account is not None:
            role = account.meta.annotations.get(ROLE_ANNOTATION, "")
            text = f"role-arn {role}" if role else f"no annotation {ROLE_ANNOTATION}"
            if role or whole:
                found.append(Evidence(f"serviceaccount {key}", text))
    for pod in (traffic.cluster.controller_pods.peek() or ())[:1]:
        env = variables(pod)
        if "AWS_ROLE_ARN" in env:
            text = f"IRSA: AWS_ROLE_ARN {env['AWS_ROLE_ARN']}"
        elif "AWS_CONTAINER_CREDENTIALS_FULL_URI" in env:
            text = "EKS Pod Identity: AWS_CONTAINER_CREDENTIALS_FULL_URI is set"
        elif "AWS_ACCESS_KEY_ID" in env:
            text = "static keys in AWS_ACCESS_KEY_ID" if whole else ""
        else:
            text = "no identity of its own: the SDK falls back to the node's role" if whole else ""
        if text:
            found.append(Evidence(f"pod {pod.meta.name}", text))
    associations = traffic.aws.identity.associations
    if associations.is_known:
        for key in sorted(traffic.cluster.service_accounts):
            roles = [
                f"{a.role_arn}, which assumes {a.target_role_arn}" if a.target_role_arn else a.role_arn
                for a in associations.need()
                if f"{a.namespace}/{a.service_account}" == key
            ]
            text = f"role {', '.join(roles)}" if roles else "none"
            if roles or whole:
                found.append(Evidence(f"pod identity association of {key}", text))
    return tuple(found)


@check(
    "LBD121",
    title="the controller has no usable AWS credentials",
    passes="the controller has an AWS identity of its own",
    severity=Severity.ERROR,
    message="{summary}",
    reads=(*READS, reads.SERVICE_ACCOUNTS, *reads.IDENTITY),
    explains=(*undone_by("LBD121"), "LBD120", "LBD102"),
    distinct_by=("summary",),
)
def wrong_identity(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller calls AWS without credentials, with the node's role, or with a role that does not trust it.

    With IRSA the service account carries `eks.amazonaws.com/role-arn` and the pod was created after that; with EKS Pod
    Identity an association exists and the agent runs. Without either the SDK falls back to the node's role. Where IAM
    may be read, the role's trust policy is compared with the cluster's OIDC issuer, the service account and the
    audience of its token.

    Confirm by hand: `kubectl get sa -n kube-system aws-load-balancer-controller -o yaml` and the pod's AWS_*
    variables. Repair: give the controller a role: annotate its service account (IRSA) or associate the role (EKS
    Pod Identity), correct the role's trust policy, then restart the controller.
    """
    refusals = _refusals(traffic)
    for finding in of_the_controller(traffic, "LBD121"):
        account = controller_account(traffic.cluster) or finding.object
        found = replace(finding, object=account, evidence=(*finding.evidence, *identity_evidence(traffic)))
        if refusals:
            summaries = "; ".join(refusal.text for refusal in refusals)
            first = refusals[0]
            ref = ObjectRef("IAMRole", "", first.role) if first.role else account
            found = replace(found, object=ref, params={**found.params, "summary": summaries}, advice=first.advice)
        yield found


@record
class _Refusal:
    """Why a role does not admit the controller. role: the one whose trust policy has to be changed, "" where it does
    not exist, so that what names it is wrong."""

    text: str
    advice: str
    role: str = ""


def _refusals(traffic: TrafficPath) -> list[_Refusal]:
    """Why the controller's role does not admit it, each with the advice; only what is certain."""
    identity = traffic.aws.identity
    url = identity.issuer.peek()
    issuer = (url or "").removeprefix("https://")
    audience = next((a for p in traffic.cluster.controller_pods.peek() or () for a in p.token_audiences), AUDIENCE)
    found: list[_Refusal] = []
    for key, arn in sorted(irsa_roles(traffic.cluster).items()):
        subject = f"system:serviceaccount:{key.replace('/', ':')}"
        text = _missing(traffic, arn)
        advice = "make the role, or correct the annotation and restart the controller"
        role = _role(traffic, arn)
        if role is not None:
            text = web_identity_refusal(role, issuer, subject, audience)
            shown = web_identity_statement(arn, issuer or "OIDC_ISSUER", subject)
            advice = f"the role's trust policy needs this statement: {shown}"
        if text:
            named = role_name(arn) if role is not None else ""
            found.append(_Refusal(f"role {role_name(arn)} does not admit {key}: {text}", advice, named))
    if uses_pod_identity(traffic.cluster):
        for association in identity.associations.peek() or ():
            name = role_name(association.role_arn)
            text, role = _missing(traffic, association.role_arn), _role(traffic, association.role_arn)
            text = pod_identity_refusal(role) if role is not None else text
            if text:
                advice = f"the role's trust policy needs this statement: {pod_identity_statement()}"
                named = name if role is not None else ""
                found.append(_Refusal(f"role {name} does not admit EKS Pod Identity: {text}", advice, named))
    return found


def _missing(traffic: TrafficPath, arn: str) -> str:
    fact = traffic.aws.identity.role(arn)
    return "the role does not exist" if fact is not None and fact.is_known and fact.need() is None else ""


def _role(traffic: TrafficPath, arn: str) -> dict[str, object] | None:
    """The role's trust policy where it could be read."""
    fact = traffic.aws.identity.role(arn)
    role = fact.peek() if fact is not None else None
    return dict(role.trust) if role is not None else None
