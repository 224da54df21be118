"""How does what the controller complains of become a finding?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from kubectl_lbdoctor.analysis.blamed_members import Blamed, blamed_member
from kubectl_lbdoctor.analysis.controller_complaints import READS as COMPLAINT_READS
from kubectl_lbdoctor.analysis.controller_complaints import Complaint, standing_complaints, unattached_errors
from kubectl_lbdoctor.analysis.controller_objects import controller_deployment
from kubectl_lbdoctor.analysis.remediation import kubectl
from kubectl_lbdoctor.analysis.responsibility import READ_VERBS
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.finding import Confidence, Finding
from kubectl_lbdoctor.model.kinds import kubectl_name
from kubectl_lbdoctor.model.traffic_path import TrafficPath

READS = (*COMPLAINT_READS, reads.ALL_INGRESSES)
"""With the other members of an IngressGroup, which an error may be about."""

# Codes that are reported as decoded; any other decoded cause has a check that sees it on the object itself.
OWN_CODES = frozenset(
    [
        "LBD105",
        "LBD113",
        "LBD114",
        "LBD116",
        "LBD119",
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
_OF_OBJECTS = frozenset({"LBD510", "LBD511", "LBD512"})
"""Of the own codes, those that say what an object asks for, and not what the controller or its account may do."""


def member_at_fault(traffic: TrafficPath, entry: Complaint) -> Blamed | None:
    """The other IngressGroup member that the message blames, by its name, else by a value that it quotes; None when it
    blames the subject."""
    if not traffic.group or traffic.subject.kind != "Ingress":
        return None
    member = entry.param("ingress")
    blamed = Blamed(member, entry.evidence, Confidence.CERTAIN) if member else None
    if not member and entry.decoded.code not in OWN_CODES - _OF_OBJECTS:
        blamed = blamed_member(traffic, entry.decoded.raw, entry.decoded.code)
    own = f"{traffic.subject.namespace}/{traffic.subject.name}"
    return blamed if blamed is not None and blamed.member != own else None


def reported(traffic: TrafficPath, code: str, **extra: str) -> Iterator[Finding]:
    """The standing complaints of one code, as findings; raises `Unknown` like `standing_complaints`."""
    for entry in complaints_of(traffic, code):
        yield finding_of(code, entry, **extra)


def complaints_of(traffic: TrafficPath, code: str) -> Iterator[Complaint]:
    """The standing complaints of one code that blame no other member of an IngressGroup; raises `Unknown` like
    `standing_complaints`."""
    for entry in standing_complaints(traffic):
        if entry.decoded.code == code and not member_at_fault(traffic, entry):
            yield entry


def finding_of(code: str, entry: Complaint, **extra: str) -> Finding:
    """A complaint as a finding of this code, with what repairs a denial by Kubernetes. extra: more params."""
    found = Finding(
        code,
        entry.ref,
        params={"summary": entry.decoded.clause, "words": entry.decoded.words, **extra},
        evidence=(entry.evidence,),
        confirm=(kubectl("describe", kubectl_name(entry.ref), namespace=entry.ref.namespace),),
    )
    return _with_permission(found, entry)


ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)")
"""The user that a ServiceAccount is to Kubernetes: its namespace and name."""


def _with_permission(found: Finding, entry: Complaint) -> Finding:
    """What repairs a denial by Kubernetes: a Role for what the controller wants to read in a namespace.

    It may read no Secret by default, and a login (auth-idp-oidc) needs one:
    https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/examples/secrets_access/
    """
    account = ACCOUNT.fullmatch(entry.param("rbac_user"))
    resource, name, namespace = (entry.param(p) for p in ("rbac_resource", "object", "rbac_namespace"))
    if account is None or entry.param("rbac_verb") not in READ_VERBS or not (resource and name and namespace):
        return found
    role, may_read = f"{account[2]}-{resource}", ",".join(READ_VERBS)
    made = ("role", role, "--verb", may_read, "--resource", resource, "--resource-name", name)
    bound = ("rolebinding", role, "--role", role, "--serviceaccount", f"{account[1]}:{account[2]}")
    return replace(
        found,
        by_hand=tuple(kubectl("create", *words, namespace=namespace) for words in (made, bound)),
        advice=f"let the controller read {resource} {name}"
        + (", or all of them: chart value clusterSecretsPermissions.allowAllSecrets" if resource == "secrets" else ""),
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
            told = finding_of(code, entries[0])
            own = controller_deployment(traffic.cluster) or told.object
            yield replace(told, object=own, evidence=tuple(entry.evidence for entry in entries))
