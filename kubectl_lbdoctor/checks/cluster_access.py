"""LBD119: does Kubernetes let the controller do its work?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_lbdoctor.analysis.controller_complaints import Complaint, standing_complaints, unattached_errors
from kubectl_lbdoctor.analysis.controller_objects import controller_account
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.responsibility import READ_VERBS, step_of_access, undone_by
from kubectl_lbdoctor.checks.complaints import ACCOUNT, READS
from kubectl_lbdoctor.checks.registry import check
from kubectl_lbdoctor.model.finding import Finding, ObjectRef, Severity
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.record import record


@check(
    "LBD119",
    title="Kubernetes denies the controller an action",
    passes="Kubernetes permits the controller everything it needs",
    severity=Severity.ERROR,
    message="Kubernetes does not let the controller {what:,2}",
    reads=READS,
    explains=(*undone_by("LBD119"), "LBD102"),
)
def kubernetes_denies_action(traffic: TrafficPath) -> Iterator[Finding]:
    """The controller's ServiceAccount may not do what the controller needs: its ClusterRole is older than the
    controller (an upgrade of the image alone), was cut by hand, or its binding is gone. What it may not list it does
    not see: it goes on with what it knew until it is started anew, and then ends because its caches are never filled.

    A login (auth-idp-oidc) needs a Secret, which the controller may not read as it is installed: that is LBD103. The
    Lease by which one pod leads is LBD136.

    Sources: the roles in
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/helm/aws-load-balancer-controller/templates/rbac.yaml,
    https://kubernetes.io/docs/reference/access-authn-authz/rbac/

    Confirm by hand: `kubectl auth can-i VERB RESOURCE --as=system:serviceaccount:NAMESPACE:NAME`. Repair: upgrade the
    chart with the controller, which brings its roles, or give the ServiceAccount a role that has it.
    """
    heard: list[Complaint] = []
    try:
        heard += (entry for entry in standing_complaints(traffic) if entry.decoded.code == "LBD119")
        heard += (entry for entry in unattached_errors(traffic) if entry.decoded.code == "LBD119")
    finally:
        if heard:
            yield _denied(traffic, heard)


@record
class _Denial:
    """What Kubernetes denies. kind: a resource with its group, as kubectl takes it ("endpointslices.discovery.k8s.io");
    part: "status", or ""; namespace: "" for the whole cluster."""

    user: str
    verb: str
    kind: str
    part: str
    namespace: str

    @property
    def resource(self) -> str:
        return f"{self.kind}/{self.part}" if self.part else self.kind


def _denial(entry: Complaint) -> _Denial:
    group, said = entry.param("rbac_group"), entry.param("rbac_resource")
    kind, _, part = (entry.param("rbac_asked") or said).partition("/")
    return _Denial(
        entry.param("rbac_user"),
        entry.param("rbac_verb"),
        f"{kind}.{group}" if group else kind,
        part,
        entry.param("rbac_namespace"),
    )


def _denied(traffic: TrafficPath, heard: Sequence[Complaint]) -> Finding:
    denials = list(dict.fromkeys(_denial(entry) for entry in heard))
    account = ACCOUNT.fullmatch(denials[0].user)
    ref = ObjectRef("ServiceAccount", account[1], account[2]) if account else controller_account(traffic.cluster)
    undone = (step_of_access(denial.verb, denial.kind, denial.part).unmade for denial in denials)
    return Finding(
        "LBD119",
        ref or heard[0].ref,
        params={"what": tuple(f"{denial.verb} {denial.resource}" for denial in denials)},
        evidence=tuple(entry.evidence for entry in heard[:4]),
        confirm=tuple(
            kubectl("auth", "can-i", denial.verb, denial.resource, "--as", denial.user, namespace=denial.namespace)
            for denial in denials[:2]
        ),
        by_hand=(_granted(denials[0], ref),) if ref is not None and account and len(denials) == 1 else (),
        advice="upgrade the chart with the controller, which brings its roles and their bindings, or give the "
        "ServiceAccount what it lacks",
        explains=tuple(dict.fromkeys(code for codes in undone for code in codes)),
    )


def _granted(denial: _Denial, account: ObjectRef) -> str:
    """The command that gives the ServiceAccount what it lacks; what it may not list it has to watch, too."""
    verbs = ",".join(READ_VERBS) if denial.verb in READ_VERBS else denial.verb
    role = f"{account.name}-{denial.kind.partition('.')[0]}"
    bound = ("--clusterrole", role, "--serviceaccount", f"{account.namespace}:{account.name}")
    made = kubectl("create", "clusterrole", role, "--verb", verbs, "--resource", denial.resource)
    return f"{made} && {kubectl('create', 'clusterrolebinding', role, *bound)}"
