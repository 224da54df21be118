"""Objects that a fix makes, and that its undoing deletes: those, and only while they are as they were made."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.balancer_settings import BalancerSetting
from kubectl_lbdoctor.analysis.change_shapes import NoSuchShape, made_anew
from kubectl_lbdoctor.analysis.gateway_changes import new_configuration
from kubectl_lbdoctor.errors import ApiMissing, CouldNotRun, ReadDenied, ReadFailed, WriteRefused
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.errors import AlreadyThere, MovedOn
from kubectl_lbdoctor.fix.executor import Backward, Executor, Forward
from kubectl_lbdoctor.fix.step_run import StepRun, StepState
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model.gateway_api import Gateway
from kubectl_lbdoctor.model.k8s import Meta
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit, Step
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.permission import Permission
from tests.support.json_patch import operate

Raw = dict[str, Any]
REF = ObjectRef("TargetGroupConfiguration", "shop", "web")
COLLECTION = "/apis/gateway.k8s.aws/v1beta1/namespaces/shop/targetgroupconfigurations"
CHANGE = new_configuration(REF, "web", {"targetType": "ip"})
SPEC = {"targetReference": {"kind": "Service", "name": "web"}, "defaultConfiguration": {"targetType": "ip"}}


class Api:
    """The TargetGroupConfigurations of a cluster whose CRDs have no v1 yet. refuses: an error by verb, for what is
    dry or not; lost: the answer of the next write never comes."""

    def __init__(self) -> None:
        self.objects: dict[str, Raw] = {}
        self.writes: list[str] = []
        self.specs: list[Raw] = []
        self.refuses: dict[str, Exception] = {}
        self.lost = False
        self._uids = iter(range(1, 100))

    def get(self, path: str, params: Any = None) -> Raw | None:
        if "/v1/" in path:
            raise ApiMissing("no v1")
        return deepcopy(self.objects.get(path))

    def send(self, method: str, path: str, params: Any = None, body: Any = None, content_type: str = "") -> Raw:
        if method in self.refuses:
            raise self.refuses[method]
        answer = {"POST": self._post, "PATCH": self._patch, "DELETE": self._delete}[method](path, deepcopy(body))
        # As the API server: the options of a deletion count from its body, and then those of the query do not.
        dry = body.get("dryRun") if method == "DELETE" else (params or {}).get("dryRun")
        if not dry:
            self.writes.append(method)
            self._keep(path, answer)
        if self.lost:
            raise ReadFailed("the connection broke")
        return answer

    def _post(self, path: str, body: Raw) -> Raw:
        if f"{path}/{body['metadata']['name']}" in self.objects:
            raise WriteRefused("it exists", 409)
        if reference := body["spec"].get("targetReference"):
            reference.setdefault("group", "")  # As the CRD's default does.
        body["metadata"] |= {"uid": f"u{next(self._uids)}", "generation": 1, "resourceVersion": "1"}
        return body

    def _patch(self, path: str, operations: list[Raw]) -> Raw:
        changed = deepcopy(self.objects[path])
        for operation in operations:
            operate(changed, operation)
        changed["metadata"]["generation"] += 1
        if changed["kind"] == "TargetGroupConfiguration":
            if not (reference := changed["spec"].get("targetReference")):
                raise WriteRefused("spec.targetReference: Required value", 422)  # The CRD up to release 3.1.
            reference.setdefault("group", "")
        return changed

    def _delete(self, path: str, options: Raw) -> Raw:
        assert options["preconditions"]["uid"] == self.objects[path]["metadata"]["uid"]
        return {"kind": "Status", "status": "Success"}

    def _keep(self, path: str, answer: Raw) -> None:
        if answer["kind"] == "Status":
            del self.objects[path]
        else:
            name = answer["metadata"]["name"]
            self.objects[path if path.endswith(f"/{name}") else f"{path}/{name}"] = answer
            self.specs.append(answer["spec"])


@pytest.fixture
def api() -> Api:
    return Api()


def writer(api: Api) -> Writer:
    return Writer(api, None, "2030-01-01T00:00:00Z")


def present(api: Api) -> Raw:
    return api.objects[f"{COLLECTION}/web"]


def test_it_is_made_in_the_version_that_is_served_and_deleted_again(api: Api) -> None:
    writer(api).check(CHANGE)
    writer(api).rehearse(CHANGE)
    assert api.objects == {}
    uid = writer(api).apply(CHANGE)
    made = present(api)
    assert (made["apiVersion"], made["metadata"]["uid"]) == ("gateway.k8s.aws/v1beta1", uid)
    assert made["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "kubectl-lbdoctor"}
    assert made["spec"]["defaultConfiguration"] == {"targetType": "ip"}
    made["metadata"]["finalizers"] = ["gateway.k8s.aws/targetgroupconfigurations"]
    writer(api).check_undo(CHANGE, uid)
    writer(api).rehearse_undo(CHANGE, uid)
    assert api.writes == ["POST"]
    writer(api).undo(CHANGE, uid)
    # Emptied first: the controller's finalizer would keep it, with its effect, for as long as a route leads to it. And
    # in two steps: the controller looks again at the Service that it names at that moment.
    assert api.objects == {} and api.writes == ["POST", "PATCH", "PATCH", "DELETE"]
    assert api.specs[1:] == [
        {"targetReference": {"kind": "Service", "name": name, "group": ""}}
        for name in ("web", "lbdoctor-undo-names-nothing")
    ]
    with pytest.raises(AlreadyThere):
        writer(api).check_undo(CHANGE, uid)


def test_another_one_of_its_name_is_left_alone(api: Api) -> None:
    api.objects[f"{COLLECTION}/web"] = {"kind": REF.kind, "metadata": {"name": "web", "uid": "x"}, "spec": SPEC}
    with pytest.raises(MovedOn):
        writer(api).apply(CHANGE)
    assert api.writes == []


def test_the_same_one_is_nothing_to_do(api: Api) -> None:
    writer(api).apply(CHANGE)
    with pytest.raises(AlreadyThere):
        writer(api).check(CHANGE)


CHANGED: dict[str, Callable[[Raw], object]] = {
    "settings": lambda raw: raw["spec"]["defaultConfiguration"].update(targetType="instance"),
    "changed and put back": lambda raw: raw["metadata"].update(generation=3),
    "another uid": lambda raw: raw["metadata"].update(uid="another"),
    "without the label": lambda raw: raw["metadata"].update(labels={}),
    "with somebody's label": lambda raw: raw["metadata"]["labels"].update(team="shop"),
    "taken over by kubectl apply": lambda raw: raw["metadata"].update(annotations={"last-applied": "{}"}),
    "owned": lambda raw: raw["metadata"].update(ownerReferences=[{"kind": "App", "name": "shop", "uid": "o"}]),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_what_is_not_as_it_was_made_is_not_deleted(api: Api, change: Callable[[Raw], object]) -> None:
    uid = writer(api).apply(CHANGE)
    change(present(api))
    with pytest.raises(MovedOn):
        writer(api).undo(CHANGE, uid)
    assert api.writes == ["POST"]


def test_without_its_uid_it_is_not_deleted(api: Api) -> None:
    writer(api).apply(CHANGE)
    with pytest.raises(MovedOn, match="cut off"):
        writer(api).check_undo(CHANGE, "")


def test_an_undoing_that_was_cut_off_goes_on(api: Api) -> None:
    uid = writer(api).apply(CHANGE)
    api.refuses["DELETE"] = ReadDenied(
        "denied", Permission(("delete",), "targetgroupconfigurations", "gateway.k8s.aws")
    )
    with pytest.raises(ReadDenied):
        writer(api).undo(CHANGE, uid)
    api.refuses.clear()
    writer(api).undo(CHANGE, uid)
    assert api.objects == {}


def test_a_permission_that_is_missing_shows_before_anything_is_changed(api: Api) -> None:
    uid = writer(api).apply(CHANGE)
    api.refuses["DELETE"] = ReadDenied(
        "denied", Permission(("delete",), "targetgroupconfigurations", "gateway.k8s.aws")
    )
    with pytest.raises(ReadDenied):
        writer(api).rehearse_undo(CHANGE, uid)
    assert present(api)["spec"]["defaultConfiguration"] == {"targetType": "ip"}


def test_an_answer_that_is_lost(api: Api) -> None:
    api.lost = True
    uid = writer(api).apply(CHANGE)
    assert uid == present(api)["metadata"]["uid"]
    writer(api).undo(CHANGE, uid)
    assert api.objects == {}


def test_a_cluster_without_the_kind(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise ApiMissing("not served")

    monkeypatch.setattr(api, "get", missing)
    with pytest.raises(CouldNotRun, match="does not serve"):
        writer(api).check(CHANGE)


# --- The undo file ----------------------------------------------------------------------------------------------------

CONTEXT = Context(kube_context="prod", server="https://api.example")


def test_there_and_back_by_the_file(api: Api, tmp_path: Path) -> None:
    path, kept = tmp_path / "undo.json", []
    run = StepRun(Step("target-type", "LBD204", CHANGE, (ObjectRef("Gateway", "shop", "web"),)))

    def journal(runs: tuple[StepRun, ...]) -> None:
        undo_file.save(UndoFile("2030-01-01T00:00:00Z", CONTEXT, run.step.affects, runs), path)
        kept.append((runs[0].state, runs[0].uid))

    forward = Executor(Forward(writer(api)), [run], lambda _: None)
    assert forward.check() and forward.rehearse()
    undo_file.check(CONTEXT, tuple(forward.runs))
    assert forward.write(journal)
    assert kept == [(StepState.SENT, ""), (StepState.APPLIED, "u2")]  # u1 was the rehearsal's.
    (read,) = undo_file.load(path).steps
    assert (read.step.change, read.uid) == (CHANGE, "u2")
    backward = Executor(Backward(writer(api)), [read], lambda _: None)
    assert backward.check() and backward.rehearse() and backward.write(lambda _: None)
    assert api.objects == {}


GATEWAYS = "/apis/gateway.networking.k8s.io/v1beta1/namespaces/shop/gateways"
BALANCERS = "/apis/gateway.k8s.aws/v1beta1/namespaces/shop/loadbalancerconfigurations"


@pytest.mark.parametrize("infrastructure", [None, {"labels": {"team": "shop"}}])
def test_a_configuration_of_a_gateway_there_and_back(api: Api, tmp_path: Path, infrastructure: Raw | None) -> None:
    """It is made before the Gateway names it, and deleted after the Gateway does not name it any more."""
    path = tmp_path / "undo.json"
    spec = {"gatewayClassName": "alb", **({"infrastructure": infrastructure} if infrastructure else {})}
    gateway = {"kind": "Gateway", "spec": spec, "metadata": {"name": "web", "uid": "g", "generation": 1}}
    api.objects[f"{GATEWAYS}/web"] = deepcopy(gateway)
    setting = BalancerSetting(
        Gateway(Meta("web", "shop"), has_infrastructure=infrastructure is not None),
        *("ipAddressType", None, None, ObjectRef("LoadBalancerConfiguration", "shop", "web")),
    )
    changes = setting.repair("dualstack", "IPv6").changes
    runs = [StepRun(Step("ip-address-type", "LBD226", change)) for change in changes]

    def journal(runs: tuple[StepRun, ...]) -> None:
        undo_file.save(UndoFile("2030-01-01T00:00:00Z", CONTEXT, (ObjectRef("Gateway", "shop", "web"),), runs), path)

    forward = Executor(Forward(writer(api)), runs, lambda _: None)
    assert forward.check() and forward.rehearse() and forward.write(journal)
    assert api.objects[f"{BALANCERS}/web"]["spec"] == {"ipAddressType": "dualstack"}
    reference = {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": "web"}
    assert api.objects[f"{GATEWAYS}/web"]["spec"]["infrastructure"] == {
        **(infrastructure or {}),
        "parametersRef": reference,
    }
    read = undo_file.load(path).steps
    assert [run.step.change for run in read] == [replace(change, why="") for change in changes]
    backward = Executor(Backward(writer(api)), read, lambda _: None)
    assert backward.check() and backward.rehearse() and backward.write(lambda _: None)
    assert list(api.objects) == [f"{GATEWAYS}/web"]
    assert api.objects[f"{GATEWAYS}/web"]["spec"] == gateway["spec"]
    assert api.writes == ["POST", "PATCH", "PATCH", "DELETE"]


@pytest.mark.parametrize(
    "edit",
    [
        Edit("/spec/infrastructure", None, {"parametersRef": {"name": "web"}}),
        Edit("/spec/infrastructure", {}, None),
        Edit("/spec/infrastructure/parametersRef", None, {"group": "a", "kind": "ConfigMap", "name": "web"}),
        Edit("/spec/infrastructure/labels", None, {"a": "b"}),
    ],
)
def test_a_gateway_gets_no_other_infrastructure(edit: Edit) -> None:
    with pytest.raises(NoSuchShape):
        made_anew(Change(ObjectRef("Gateway", "shop", "web"), "", "", "", edits=(edit,)))


@pytest.mark.parametrize(
    ("pointer", "now", "then"),
    [
        ("/spec/ipAddressType", None, "ipv5"),
        ("/spec/scheme", None, "internal"),
        ("/spec/manageBackendSecurityGroupRules", None, 1),
        ("/spec/securityGroups", None, ["sg-1"]),
    ],
)
def test_no_other_setting_of_a_load_balancer_is_written(pointer: str, now: object, then: object) -> None:
    ref = ObjectRef("LoadBalancerConfiguration", "shop", "web")
    with pytest.raises(NoSuchShape):
        made_anew(Change(ref, "", "", "", edits=(Edit(pointer, now, then),)))
    with pytest.raises(NoSuchShape):
        made_anew(Change(ref, "", "", "", creates={pointer.removeprefix("/spec/"): then}))


@pytest.mark.parametrize(
    "change",
    [
        replace(CHANGE, object=ObjectRef("LoadBalancerConfiguration", "shop", "web")),
        replace(CHANGE, object=ObjectRef("Service", "shop", "web")),
        replace(CHANGE, object=ObjectRef("TargetGroupConfiguration", "shop", "../web")),
        replace(CHANGE, creates={}),
        replace(CHANGE, creates={**SPEC, "routeConfigurations": []}),
        replace(CHANGE, creates={**SPEC, "targetReference": {"kind": "Gateway", "name": "web"}}),
        replace(CHANGE, creates={**SPEC, "defaultConfiguration": {}}),
        replace(CHANGE, creates={**SPEC, "defaultConfiguration": {"targetType": "lambda"}}),
        replace(CHANGE, creates={**SPEC, "defaultConfiguration": {"tags": {"a": "b"}}}),
        replace(CHANGE, restart=True),
    ],
)
def test_what_no_fix_makes_is_refused(change: Change) -> None:
    assert made_anew(CHANGE) == CHANGE
    with pytest.raises(NoSuchShape):
        made_anew(change)


def test_a_file_that_forgot_the_uid_of_what_was_made_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "undo.json"
    run = StepRun(Step("target-type", "LBD204", CHANGE), StepState.APPLIED)
    undo_file.save(UndoFile("2030-01-01T00:00:00Z", CONTEXT, (), (run,)), path)
    with pytest.raises(CouldNotRun, match="uid is missing"):
        undo_file.load(path)
