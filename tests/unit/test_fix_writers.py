"""What is written, and when it is not: comparisons, JSON patches, owners and undo files."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.aws_changes import change_of
from kubectl_lbdoctor.analysis.remediation import annotate, edit, patch, restart
from kubectl_lbdoctor.errors import AwsApiError, CouldNotRun, ExitStatus, LbdoctorError, ReadFailed, WriteRefused
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.errors import AlreadyThere, Expectation, MovedOn, ValueChanged
from kubectl_lbdoctor.fix.follow import Follower, Reconciliations
from kubectl_lbdoctor.fix.health import Health
from kubectl_lbdoctor.fix.owners import gitops_owner
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.fix.writers import Writer, inverse, value_at
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Step, escape
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.network.acls import AclRemedy
from kubectl_lbdoctor.network.matching import PortRange
from kubectl_lbdoctor.network.security_groups import Direction, GroupRemedy
from tests.support.api_requests import Answer
from tests.support.json_patch import operate

SERVICE = ObjectRef("Service", "shop", "web")
INGRESS = ObjectRef("Ingress", "shop", "web")
Raw = dict[str, Any]


class Kube:
    """One object and the JSON patches that are sent for it."""

    def __init__(self, raw: Raw | None) -> None:
        self.raw = raw
        self.sent: list[tuple[Any, list[Raw]]] = []
        self.failures: list[Exception] = []
        self.meanwhile: list[Raw] = []

    def get(self, path: str, params: Any = None) -> Raw | None:
        return deepcopy(self.raw)

    def send(self, method: str, path: str, params: Any = None, body: Any = None, content_type: str = "") -> Raw:
        self.sent.append((dict(params), body))
        if self.meanwhile:
            self.raw = self.meanwhile.pop(0)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None and not isinstance(failure, ReadFailed):
            raise failure
        changed = deepcopy(self.raw)
        assert changed is not None
        try:
            for operation in body:
                operate(changed, operation)
        except Answer as answer:
            raise WriteRefused(answer.body["message"], answer.status) from answer
        if "dryRun" not in params:
            self.raw = changed
        if failure is not None:
            raise failure
        return changed


def raw(**spec: Any) -> Raw:
    return {"metadata": {"name": "web", "uid": "u1", "resourceVersion": "5"}, "spec": spec}


def to_port(now: object, then: object) -> Change:
    return patch(SERVICE, "targetPort", edit("/spec/ports/0/targetPort", now, then))


def writer(kube: Kube, aws: Any = None) -> Writer:
    return Writer(kube, aws, "2026-11-24T20:00:00Z")


# --- Kubernetes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "outcome"),
    [(9090, None), (8080, AlreadyThere), (8081, MovedOn), ("9090", MovedOn), (None, MovedOn), (True, MovedOn)],
)
def test_check(found: object, outcome: type[Exception] | None) -> None:
    kube = Kube(raw(ports=[{"port": 80, **({"targetPort": found} if found is not None else {})}]))
    if outcome is None:
        writer(kube).check(to_port(9090, 8080))
    else:
        with pytest.raises(outcome):
            writer(kube).check(to_port(9090, 8080))


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": []},
        {"metadata": "x"},
        {"metadata": {"uid": 5.5}},
        {"metadata": {"annotations": "x"}},
        {"metadata": {"managedFields": [None]}},
        {"spec": "x"},
    ],
)
def test_what_is_no_object_is_neither_compared_nor_written(odd: Raw) -> None:
    """A gateway's page in JSON: the run goes on with a sentence, and says nothing of a bug of ours."""
    kube = Kube({**raw(ports=[{"port": 80, "targetPort": 9090}]), **odd})
    make = writer(kube)
    for way in (make.check, make.rehearse, make.apply):
        with pytest.raises(ReadFailed, match="what the API server says of service/web cannot be understood"):
            way(to_port(9090, 8080))
    for back in (make.check_undo, make.rehearse_undo, make.undo):
        with pytest.raises(ReadFailed, match="cannot be understood"):
            back(to_port(9090, 8080), "u1")
    assert kube.sent == []


def test_an_object_without_metadata_has_moved_on_or_is_sent_no_test() -> None:
    kube = Kube({**raw(ports=[{"port": 80, "targetPort": 9090}]), "metadata": None})
    with pytest.raises(MovedOn):
        writer(kube).apply(to_port(9090, 8080), "u1")
    with pytest.raises(MovedOn):
        writer(kube).undo(to_port(8080, 9090), "u1")
    assert kube.sent == []


def test_a_changed_value_is_carried_with_where_it_was_expected_from() -> None:
    kube = Kube(raw(ports=[{"port": 80, "targetPort": 8081}]))
    with pytest.raises(ValueChanged) as planned:
        writer(kube).check(to_port(9090, None))
    error = planned.value
    assert (error.object, error.field, error.found, error.expected) == (SERVICE, "/spec/ports/0/targetPort", 8081, 9090)
    assert error.message == "service/web has changed: /spec/ports/0/targetPort is 8081 now, not 9090 as planned"
    with pytest.raises(ValueChanged) as undone:
        writer(kube).check_undo(to_port(9090, None), "u1")
    assert undone.value.expectation is Expectation.SET_BY_FIX
    assert undone.value.message.endswith("is 8081 now, not absent as the fix has set it")


def test_true_is_not_one() -> None:
    change = patch(SERVICE, "x", edit("/spec/x", True, False))
    with pytest.raises(MovedOn):
        writer(Kube(raw(x=1))).check(change)


def test_an_object_that_is_gone_or_going() -> None:
    with pytest.raises(MovedOn, match="does not exist"):
        writer(Kube(None)).check(to_port(1, 2))
    going = raw(ports=[{"targetPort": 1}])
    going["metadata"]["deletionTimestamp"] = "2026-11-24T20:00:00Z"
    with pytest.raises(MovedOn, match="being deleted"):
        writer(Kube(going)).check(to_port(1, 2))


def test_half_of_it_already_there_is_no_reason_to_leave_the_rest() -> None:
    """The new key is there with the right value, the old one too: that is neither planned nor done."""
    change = annotate(INGRESS, {"old": "v"}, {"new": "v", "old": None})
    kube = Kube({**raw(), "metadata": {"annotations": {"old": "v", "new": "v"}}})
    with pytest.raises(MovedOn):
        writer(kube).check(change)


def test_maps_that_are_missing_are_made() -> None:
    key = "alb.ingress.kubernetes.io/healthcheck-path"
    kube = Kube(raw())
    writer(kube).apply(annotate(INGRESS, {}, {key: "/x", "b": "y"}))
    assert kube.raw is not None and kube.raw["metadata"]["annotations"] == {key: "/x", "b": "y"}
    (sent,) = kube.sent
    assert [o["path"] for o in sent[1]] == [
        "/metadata/uid",
        "/metadata/resourceVersion",
        "/metadata/annotations",
        f"/metadata/annotations/{escape(key)}",
        "/metadata/annotations/b",
    ]


def test_a_rehearsal_changes_nothing() -> None:
    kube = Kube(raw(ports=[{"targetPort": 1}]))
    writer(kube).rehearse(to_port(1, 2))
    assert kube.sent[0][0]["dryRun"] == "All" and value_at(kube.raw, "/spec/ports/0/targetPort") == 1


@pytest.mark.parametrize("status", [409, 422])
def test_only_a_version_that_moved_is_tried_again(status: int) -> None:
    kube = Kube(raw(ports=[{"targetPort": 1}]))
    newer = deepcopy(kube.raw)
    assert newer is not None
    newer["metadata"]["resourceVersion"] = "6"
    kube.meanwhile, kube.failures = [newer], [WriteRefused("conflict", status)]
    writer(kube).apply(to_port(1, 2))
    assert len(kube.sent) == 2 and value_at(kube.raw, "/spec/ports/0/targetPort") == 2


def test_a_rule_of_the_api_is_not_tried_again() -> None:
    kube = Kube(raw(ports=[{"targetPort": 1}]))
    kube.failures = [WriteRefused("must be between 1 and 65535", 422)] * 2
    with pytest.raises(WriteRefused):
        writer(kube).apply(to_port(1, 70000))
    assert len(kube.sent) == 2, "once more for the version that was read again, which is the same"


def test_an_object_that_never_rests() -> None:
    kube = Kube(raw(ports=[{"targetPort": 1}]))
    kube.failures = [WriteRefused("conflict", 409)] * 20
    for version in range(6, 26):
        newer = deepcopy(kube.raw)
        assert newer is not None
        newer["metadata"]["resourceVersion"] = str(version)
        kube.meanwhile.append(newer)
    with pytest.raises(WriteRefused):
        writer(kube).apply(to_port(1, 2))
    assert len(kube.sent) < 10


def test_an_answer_that_is_lost() -> None:
    kube = Kube(raw(ports=[{"targetPort": 1}]))
    kube.failures = [ReadFailed("the connection broke")]
    writer(kube).apply(to_port(1, 2))
    assert value_at(kube.raw, "/spec/ports/0/targetPort") == 2


def test_restart_as_kubectl_does_it() -> None:
    ref = ObjectRef("DaemonSet", "kube-system", "kube-proxy")
    kube = Kube(raw(template={"metadata": {}}))
    writer(kube).apply(restart(ref).changes[0])
    at = value_at(kube.raw, "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt")
    assert at == "2026-11-24T20:00:00Z"
    with pytest.raises(MovedOn, match="paused"):
        writer(Kube(raw(paused=True, template={}))).check(restart(ref).changes[0])


json_values = st.one_of(st.booleans(), st.integers(-3, 3), st.text(max_size=3), st.just({}), st.just([1]))
documents = st.dictionaries(st.sampled_from(["a", "b/c", "d~e", "f"]), json_values, max_size=4)


@given(documents, documents)
def test_undo_puts_back_exactly(before: Raw, after: Raw) -> None:
    """Whatever a change sets, adds or removes under a map, its inverse brings the former object back."""
    keys = sorted({*before, *after})
    edits = [edit(f"/spec/{escape(k)}", before.get(k), after.get(k)) for k in keys]
    if not edits or all(e.is_guard for e in edits):
        return
    change = patch(SERVICE, "spec", *edits)
    kube = Kube(raw(**before))
    made = writer(kube)
    try:
        made.apply(change)
    except AlreadyThere:
        return
    assert kube.raw is not None and kube.raw["spec"] == after
    made.check_undo(change, "u1")
    made.undo(change, "u1")
    assert kube.raw["spec"] == before
    with pytest.raises(MovedOn):
        made.check_undo(change, "u2")
    assert inverse(inverse(change)).edits == change.edits


# --- EC2 --------------------------------------------------------------------------------------------------------------


class Ec2:
    """Entries of one ACL; knows DryRun or not."""

    def __init__(self, dry_run: bool = True) -> None:
        self.entries: list[Raw] = []
        self.dry_run = dry_run
        self.calls: list[str] = []

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        self.calls.append(operation)
        if operation == "DescribeNetworkAcls":
            return [{"Entries": self.entries}]
        if params.pop("DryRun", False) and self.dry_run:
            raise AwsApiError("it would have", "DryRunOperation")
        params.pop("NetworkAclId")
        if operation == "CreateNetworkAclEntry":
            self.entries.append(params)
        else:
            self.entries = [e for e in self.entries if e["RuleNumber"] != params["RuleNumber"]]
        return {}


def entry(number: int = 40) -> Change:
    remedy = AclRemedy("acl-1", True, number, 50, "tcp", "10.0.1.0/24", PortRange(1024, 65535))
    found = change_of(remedy, "us-west-2")
    assert found is not None
    return found


def test_an_entry_there_and_back() -> None:
    ec2 = Ec2()
    made = writer(Kube(None), ec2)
    made.rehearse(entry())
    assert ec2.entries == []
    made.apply(entry())
    assert [e["RuleNumber"] for e in ec2.entries] == [40]
    with pytest.raises(AlreadyThere):
        made.check(entry())
    made.check_undo(entry(), "u1")
    made.undo(entry(), "u1")
    assert ec2.entries == []
    with pytest.raises(AlreadyThere):
        made.check_undo(entry(), "u1")


def test_a_number_that_was_taken_meanwhile() -> None:
    ec2 = Ec2()
    ec2.entries = [{"RuleNumber": 40, "Egress": True, "RuleAction": "deny", "Protocol": "6"}]
    made = writer(Kube(None), ec2)
    for action in (made.check, made.apply):
        with pytest.raises(MovedOn, match="taken since"):
            action(entry())
    for action in (lambda change: made.check_undo(change, ""), lambda change: made.undo(change, "")):
        with pytest.raises(MovedOn, match="not the one that the fix made"):
            action(entry())
    assert set(ec2.calls) == {"DescribeNetworkAcls"}


OTHER_FIELDS: tuple[Raw, ...] = (
    {"RuleAction": "deny"},
    {"Protocol": "17"},
    {"Protocol": "-1"},
    {"CidrBlock": "10.0.1.0/25"},
    {"CidrBlock": None, "Ipv6CidrBlock": "fd00::/64"},
    {"Ipv6CidrBlock": "fd00::/64"},
    {"PortRange": {"From": 1024, "To": 65534}},
    {"PortRange": None},
    {"IcmpTypeCode": {"Code": -1, "Type": -1}},
    {"SomethingNew": "x"},
)
"""What may be otherwise in an entry of the same number and direction."""


@pytest.mark.parametrize("other", OTHER_FIELDS, ids=str)
def test_only_the_entry_that_was_made_is_deleted(other: Raw) -> None:
    """EC2 deletes an entry by its number, whatever it says: every field is compared before."""
    ec2 = Ec2()
    made = writer(Kube(None), ec2)
    made.apply(entry())
    ec2.entries[0].update(other)
    for action in (made.check_undo, made.undo):
        with pytest.raises(MovedOn, match="not the one that the fix made"):
            action(entry(), "")
    assert len(ec2.entries) == 1 and "DeleteNetworkAclEntry" not in ec2.calls


def test_an_entry_of_the_other_direction_is_not_looked_at() -> None:
    ec2 = Ec2()
    made = writer(Kube(None), ec2)
    made.apply(entry())
    ec2.entries[0]["Egress"] = False
    with pytest.raises(AlreadyThere, match="no longer"):
        made.undo(entry(), "")
    assert len(ec2.entries) == 1


def test_an_endpoint_that_knows_no_dry_run() -> None:
    ec2 = Ec2(dry_run=False)
    with pytest.raises(CouldNotRun, match="taken back"):
        writer(Kube(None), ec2).rehearse(entry())
    assert ec2.entries == []


class Rules:
    """The inbound rules of one security group, as EC2 keeps them: a rule is revoked whatever its description is."""

    def __init__(self, *described: str) -> None:
        sources = [{"CidrIp": "10.0.1.0/24", "Description": text} for text in described]
        self.rules = [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": sources}]
        self.answer: LbdoctorError | None = None
        self.calls: list[str] = []

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        if operation == "DescribeSecurityGroups":
            return [{"IpPermissions": self.rules}]
        self.calls.append(operation)
        if self.answer is not None:
            self.rules = Rules("office").rules  # somebody was faster
            raise self.answer
        self.rules = []
        return {}


def rule(peer: str = "10.0.1.0/24") -> Change:
    remedy = GroupRemedy("sg-1", Direction.INGRESS, "tcp", PortRange(8080, 8080), peer)
    found = change_of(remedy, "us-west-2")
    assert found is not None
    return found


def test_the_same_rule_of_somebody_else_is_not_revoked() -> None:
    """An undo file from other hands may name any rule: only one with the description that a fix gives is its own."""
    for described in ("office", ""):
        ec2 = Rules(described)
        made = writer(Kube(None), ec2)
        for action in (made.check_undo, made.undo):
            with pytest.raises(MovedOn, match="another description"):
                action(rule(), "")
        assert ec2.calls == []
    peered = Rules("added by kubectl lbdoctor")
    peered.rules[0]["IpRanges"] = []
    peered.rules[0]["UserIdGroupPairs"] = [
        {"GroupId": "sg-2", "Description": "added by kubectl lbdoctor", "VpcPeeringConnectionId": "pcx-1"}
    ]
    with pytest.raises(MovedOn, match="another description"):
        writer(Kube(None), peered).undo(rule("sg-2"), "")
    assert peered.calls == []
    own = Rules("office", "added by kubectl lbdoctor")
    writer(Kube(None), own).undo(rule(), "")
    assert own.calls == ["RevokeSecurityGroupIngress"]


@pytest.mark.parametrize("code", ["InvalidPermission.Duplicate", "Other"])
def test_a_rule_that_somebody_else_made_meanwhile_is_not_the_fixs_own(code: str) -> None:
    ec2 = Rules()
    ec2.rules = []
    ec2.answer = AwsApiError("refused", code)
    with pytest.raises(MovedOn, match="another description"):
        writer(Kube(None), ec2).apply(rule())


class Nowhere:
    """An account from which everything was deleted since."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        code = {
            "DescribeNetworkAcls": "InvalidNetworkAclID.NotFound",
            "DescribeSecurityGroups": "InvalidGroup.NotFound",
        }
        raise AwsApiError("it is gone", code[operation])


@pytest.mark.parametrize("change", [entry(), rule(), to_port("http", 8080)], ids=["entry", "rule", "object"])
def test_a_change_is_gone_with_its_object(change: Change) -> None:
    """So that what stands beside it in the undo file can still be taken back."""
    with pytest.raises(AlreadyThere, match=r"does not exist any more.*, and the change went with it"):
        writer(Kube(None), Nowhere()).check_undo(change, "u1")
    with pytest.raises(MovedOn):
        writer(Kube(None), Nowhere()).check(change)


def test_without_aws() -> None:
    with pytest.raises(CouldNotRun):
        writer(Kube(None)).check(entry())


def test_moved_on_is_a_refusal() -> None:
    assert MovedOn("x").status is ExitStatus.FINDINGS


# --- owners -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "annotations", "tool", "where"),
    [
        ({}, {"argocd.argoproj.io/tracking-id": "shop:/Service:shop/web"}, "Argo CD", "Application shop"),
        ({"argocd.argoproj.io/instance": "shop"}, {}, "Argo CD", "Application shop"),
        ({}, {"argocd.argoproj.io/instance": "shop"}, "Argo CD", "Application shop"),
        (
            {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
            {},
            "Flux",
            "Kustomization flux-system/apps",
        ),
        (
            {
                "helm.toolkit.fluxcd.io/name": "web",
                "helm.toolkit.fluxcd.io/namespace": "shop",
                "app.kubernetes.io/managed-by": "Helm",
            },
            {"meta.helm.sh/release-name": "web"},
            "Flux",
            "HelmRelease shop/web",
        ),
        ({"app.kubernetes.io/managed-by": "Helm"}, {"meta.helm.sh/release-name": "web"}, "Helm", "release web"),
    ],
)
def test_owner_by_metadata(labels: Raw, annotations: Raw, tool: str, where: str) -> None:
    owner = gitops_owner({"metadata": {"labels": labels, "annotations": annotations}}, to_port(1, 2))
    assert owner is not None and (owner.tool, owner.where) == (tool, where)


def test_nobody_owns_what_people_applied() -> None:
    assert gitops_owner({"metadata": {"labels": {"app.kubernetes.io/instance": "web"}}}, to_port(1, 2)) is None


FIELDS = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:targetPort": {}}}}}
OBJECT = raw(ports=[{"port": 443, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "targetPort": 1}])


def test_owner_by_the_very_field() -> None:
    entries = [{"manager": "Terraform", "operation": "Apply", "fieldsV1": FIELDS}]
    meant = {**OBJECT, "metadata": {"managedFields": entries}}
    mine = patch(SERVICE, "targetPort", edit("/spec/ports/1/targetPort", 1, 2))
    other = patch(SERVICE, "type", edit("/spec/type", "ClusterIP", "NodePort"))
    owner = gitops_owner(meant, mine)
    assert owner is not None and owner.tool == "Terraform" and gitops_owner(meant, other) is None


PORTS = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:targetPort": {}}}}}
WHOLE = {"f:spec": {"f:ports": {}}}
OTHER_FIELD = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}


@pytest.mark.parametrize(
    ("managed", "setter"),
    [
        ({}, ""),
        ({"kubectl-edit": PORTS}, "kubectl-edit"),
        ({"kubectl-edit": OTHER_FIELD, "kubectl-lbdoctor": PORTS}, ""),
        ({"argocd-controller": PORTS, "kubectl-lbdoctor": PORTS}, ""),  # it applies what the fix has set
        ({"kubectl-lbdoctor": OTHER_FIELD, "kubectl-edit": PORTS}, "kubectl-edit"),
        ({"kubectl-edit": WHOLE}, ""),  # somebody has changed another item of the list
        ({"ancient-changes": PORTS}, ""),
        ({"kubectl-edit": OTHER_FIELD}, ""),
        ({"kubectl-edit": []}, ""),
    ],
)
def test_only_a_value_that_a_fix_may_have_set_is_taken_back(managed: Raw, setter: str) -> None:
    """The uid, the value and the shape of the change fit an object that no fix has ever changed."""
    found = raw(ports=[{"port": 80, "protocol": "TCP", "targetPort": 8080}])
    found["metadata"]["managedFields"] = [{"manager": m, "fieldsV1": fields} for m, fields in managed.items()]
    kube = Kube(found)
    for attempt in ("check_undo", "rehearse_undo", "undo"):
        if setter:
            with pytest.raises(MovedOn, match=f"{setter} has set targetPort to what it is, and no fix"):
                getattr(writer(kube), attempt)(to_port(9090, 8080), "u1")
        else:
            getattr(writer(kube), attempt)(to_port(9090, 8080), "u1")
    assert (kube.raw or {})["spec"]["ports"][0]["targetPort"] == (8080 if setter else 9090)


def test_a_value_that_the_fix_took_away_has_no_manager() -> None:
    change = annotate(INGRESS, {"a": "1"}, {"a": None})
    found = raw()
    found["metadata"]["managedFields"] = [{"manager": "kubectl-edit", "fieldsV1": {"f:metadata": {}}}]
    writer(Kube(found)).check_undo(change, "u1")


def test_an_object_that_was_made_anew_while_the_plan_was_read() -> None:
    """Its undo file would be of the one before it."""
    kube = Kube(raw(ports=[{"targetPort": 9090}]))
    with pytest.raises(MovedOn, match="was deleted and made anew since"):
        writer(kube).apply(to_port(9090, 8080), "u0")
    assert kube.sent == []
    kube.meanwhile = [raw(ports=[{"targetPort": 9090}])]
    kube.meanwhile[0]["metadata"].update(uid="u2", resourceVersion="6")
    with pytest.raises(MovedOn, match="was deleted and made anew since"):
        writer(kube).apply(to_port(9090, 8080), "u1")
    assert (kube.raw or {})["spec"]["ports"][0]["targetPort"] == 9090


# --- undo files -------------------------------------------------------------------------------------------------------


def written(*changes: Change) -> UndoFile:
    steps = tuple(
        StepRun(Step("targetport", "LBD307", change, (INGRESS,)), StepState.APPLIED, "u1") for change in changes
    )
    context = Context(server="https://x", region="us-west-2", account="123456789012")
    return UndoFile("2026-11-24T20:00:00Z", context, (INGRESS,), steps)


def to_http(now: object, then: object) -> Change:
    """As a check changes a targetPort: with a guard for its place."""
    change = patch(SERVICE, "spec.ports[port=80].targetPort", edit("/spec/ports/0/targetPort", now, then))
    return replace(change, edits=(edit("/spec/ports/0/port", 80, 80), *change.edits))


def test_undo_file_round_trip(tmp_path: Path) -> None:
    """What is read is what was made, words included; why it was made is not kept."""
    ref = ObjectRef("DaemonSet", "kube-system", "kube-proxy")
    path = "alb.ingress.kubernetes.io/healthcheck-path"
    made = (to_http(9090, "http"), annotate(INGRESS, {}, {path: "/x"}), entry(), restart(ref).changes[0])
    undo_file.save(written(*made), tmp_path / "undo.json")
    found = undo_file.load(tmp_path / "undo.json")
    assert replace(found, steps=()) == replace(written(), steps=())
    for run, change in zip(found.steps, made, strict=True):
        now = run.step.change.now if change.aws is not None else change.now
        assert run.step.change == replace(change, now=now) and run.uid == "u1"
        assert (run.step.fix, run.step.code, run.state) == ("targetport", "LBD307", StepState.APPLIED)


def load_of(content: UndoFile) -> UndoFile:
    """What a file holds of it."""
    steps = tuple(replace(run, step=replace(run.step, affects=())) for run in content.steps)
    return replace(content, steps=steps)


@given(st.integers(0, 400), st.binary(max_size=3))
def test_a_damaged_undo_file_is_refused_or_means_the_same(cut: int, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "undo.json"
        content = written(to_http(9090, 8080))
        undo_file.save(content, path)
        data = path.read_bytes()
        path.write_bytes(data[:cut] + junk + data[cut + len(junk) :])
        with suppress(CouldNotRun):
            assert undo_file.load(path) == load_of(content)


def test_undo_files_do_not_replace_each_other(tmp_path: Path) -> None:
    now = "2026-11-24T20:00:00Z"
    first = undo_file.place(str(tmp_path), now)
    assert first.name == "lbdoctor-undo-20261124T200000Z.json"
    first.write_text("")
    assert undo_file.place(str(tmp_path), now).name == "lbdoctor-undo-20261124T200000Z-2.json"
    with pytest.raises(CouldNotRun):
        undo_file.place(str(first), now)


# --- following --------------------------------------------------------------------------------------------------------


class Elb:
    def __init__(self, states: dict[str, list[str]]) -> None:
        self.states = states

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        if params["TargetGroupArn"] not in self.states:
            raise AwsApiError("none", "TargetGroupNotFound")
        return [
            {"Target": {"Id": f"10.0.0.{n}", "Port": 80}, "TargetHealth": {"State": state}}
            for n, state in enumerate(self.states[params["TargetGroupArn"]])
        ]


class Bindings:
    def __init__(self, *arns: str) -> None:
        self.arns = arns
        self.asked = 0
        self.version = "1"

    def list(self, path: str, params: Any = None) -> Any:
        self.asked += 1
        if "events" in path:
            return [{"metadata": {"name": "web.1", "resourceVersion": self.version}}]
        reference = {"name": "web", "port": 80}
        return [{"metadata": {"name": "b"}, "spec": {"targetGroupARN": a, "serviceRef": reference}} for a in self.arns]


class Odd(Bindings):
    """What no API server and no AWS sends, after a change was made."""

    def list(self, path: str, params: Any = None) -> Any:
        return [None, 5, {"metadata": None}, {"metadata": {"name": "b"}, "spec": []}]

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        return [None]


def test_an_odd_answer_does_not_end_the_following() -> None:
    """The change is made: a crash now would leave its person without a word."""
    odd = Odd()
    with pytest.raises(ReadFailed, match="targets could not be understood"):
        Follower(odd, odd, frozenset({("shop", "web")}), frozenset({arn("old")})).look()
    watched = Reconciliations(odd, ["shop"])
    watched.mark()
    assert watched.known and not watched.seen()


def arn(name: str) -> str:
    return f"arn:aws:elasticloadbalancing:r:1:targetgroup/{name}/1"


def test_a_target_group_that_is_replaced_is_followed() -> None:
    """The old group's healthy targets are not what is waited for."""
    kube, elb = Bindings(arn("old")), Elb({arn("old"): ["healthy", "healthy"]})
    follower = Follower(kube, elb, frozenset({("shop", "web")}), frozenset({arn("old")}))
    assert follower.look().all_healthy()
    kube.arns = (arn("new"),)
    elb.states = {arn("new"): ["initial", "initial"]}
    states = [follower.look() for _ in range(4)]
    assert not states[0].all_healthy() and states[-1].lines() == ["new  0/2 healthy (2 initial)"]
    elb.states[arn("new")] = ["healthy", "healthy"]
    assert follower.look().all_healthy()


def test_a_look_is_one_call_per_group() -> None:
    kube = Bindings(arn("a"))
    follower = Follower(kube, Elb({arn("a"): ["healthy"]}), frozenset({("shop", "web")}), frozenset({arn("a")}))
    for _ in range(9):
        follower.look()
    assert kube.asked == 3


@pytest.mark.parametrize(
    ("states", "good"),
    [
        ({}, False),
        ({"a": {}}, False),
        ({"a": {"1": "healthy"}}, True),
        ({"a": {"1": "healthy", "2": "draining"}}, True),
        ({"a": {"1": "draining"}}, False),
        ({"a": {"1": "healthy"}, "b": {"1": "initial"}}, False),
        ({"a": {"1": "healthy", "design": "unhealthy"}}, True),
        ({"a": {"design": "unhealthy"}}, False),
    ],
)
def test_all_healthy(states: dict[str, dict[str, str]], good: bool) -> None:
    assert Health(states).all_healthy(frozenset({"design"})) is good


def test_the_controllers_word_is_a_new_event() -> None:
    kube = Bindings()
    watched = Reconciliations(kube, ["shop", "shop"])
    watched.mark()
    assert not watched.seen()
    kube.version = "2"
    assert watched.seen()


def test_json_of_an_undo_file_names_what_was(tmp_path: Path) -> None:
    undo_file.save(written(to_port(9090, 8080)), tmp_path / "u.json")
    document = json.loads((tmp_path / "u.json").read_text())
    assert document["kind"] == "lbdoctor-undo" and document["fix"]["steps"][0]["uid"] == "u1"
