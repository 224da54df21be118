"""Who holds which field of an object, and who set what a repair changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.last_change import last_changes
from kubectl_lbdoctor.collect.convert_kube import pod, service
from kubectl_lbdoctor.fix.values import value_at
from kubectl_lbdoctor.knowledge.managed_fields import covers, held_fields
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import Evidence, Finding
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Change, Edit, Repair
from kubectl_lbdoctor.model.snapshot import NamespaceFacts, Snapshot
from kubectl_lbdoctor.model.times import in_words
from tests.support import cases

NOW = "2030-01-07T12:00:00Z"
PATH = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-path"

FIELDS: dict[str, Any] = {
    "f:metadata": {"f:annotations": {".": {}, "f:a/b": {}, f"f:{PATH}": {}}, "f:finalizers": {".": {}, 'v:"x/y"': {}}},
    "f:spec": {
        "f:selector": {},
        "f:gone": {},
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:targetPort": {}}},
    },
}
SERVICE: dict[str, Any] = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "annotations": {"a/b": "c", PATH: "/"},
        "finalizers": ["w", "x/y"],
    },
    "spec": {
        "selector": {"app": "web"},
        "type": "ClusterIP",
        "ports": [{"port": 443, "protocol": "TCP"}, {"port": 80, "protocol": "TCP", "targetPort": 9090}],
    },
}


def entry(manager: str, time: str, **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": FIELDS, **more}


def written(*entries: Any) -> dict[str, Any]:
    return {**SERVICE, "metadata": {**SERVICE["metadata"], "managedFields": [*entries]}}


# --- trees ------------------------------------------------------------------------------------------------------------


def test_a_tree_as_pointers() -> None:
    assert set(held_fields(FIELDS, SERVICE)) == {
        "/metadata/annotations/a~1b",
        "/metadata/annotations/service.beta.kubernetes.io~1aws-load-balancer-healthcheck-path",
        "/metadata/finalizers/1",
        "/spec/selector",
        "/spec/ports/1/port",
        "/spec/ports/1/targetPort",
    }


@pytest.mark.parametrize(
    ("pointer", "held"),
    [
        ("/spec/ports/1/targetPort", True),
        ("/spec/ports/0/targetPort", False),
        ("/spec/ports/1/nodePort", False),
        ("/spec/ports/7/targetPort", False),
        ("/spec/selector", True),
        ("/spec/selector/app", True),
        ("/spec/type", False),
        ("/metadata/annotations/a~1b", True),
        ("/metadata/annotations/other", False),
    ],
)
def test_fields_of_a_manager(pointer: str, held: bool) -> None:
    assert any(covers(field, pointer) for field in held_fields(FIELDS, SERVICE)) is held


_trees = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(
        st.sampled_from(
            ["f:spec", "f:ports", "f:metadata", ".", "k:{", 'k:{"port":80}', "k:[]", "v:1", "i:0", "x", "f:"]
        ),
        inner | st.none() | st.integers(),
        max_size=4,
    ),
    max_leaves=20,
)


@given(_trees)
def test_any_tree_gives_places_that_are_there(tree: dict[str, Any]) -> None:
    for pointer in held_fields(tree, SERVICE):
        assert value_at(SERVICE, pointer) is not None


# --- records ----------------------------------------------------------------------------------------------------------


def test_of_managers_only_what_a_repair_can_change_is_kept() -> None:
    (manager,) = service(written(entry("kubectl-edit", NOW))).meta.managers
    assert set(manager.fields) == {
        "/metadata/annotations/service.beta.kubernetes.io~1aws-load-balancer-healthcheck-path",
        "/spec/selector",
        "/spec/ports/1/port",
        "/spec/ports/1/targetPort",
    }


def test_status_and_odd_entries_are_passed_over() -> None:
    odd: list[Any] = [entry("x", NOW, subresource="status"), entry("x", NOW, fieldsV1="text"), "text", None]
    assert service(written(*odd, {**entry("x", NOW), "manager": 3}, {})).meta.managers == ()


def test_pods_have_none() -> None:
    assert pod({**written(entry("kubelet", NOW)), "status": {}}).meta.managers == ()


def test_the_same_places_are_kept_once() -> None:
    one, other = (service(written(entry(name, NOW))).meta.managers[0].fields for name in ("a", "b"))
    assert all(mine is others for mine, others in zip(one, other, strict=True))


# --- evidence ---------------------------------------------------------------------------------------------------------

REF = ObjectRef("Service", "shop", "web")


def snapshot(*entries: Any) -> Snapshot:
    services = Fact.known("services", (service(written(*entries)),))
    return Snapshot(taken_at=NOW, namespaces={"shop": NamespaceFacts(services=services)})


def to_port(now: object, ref: ObjectRef = REF) -> Finding:
    change = Change(
        ref, "spec.ports[port=80].targetPort", str(now), "8080", edits=(Edit("/spec/ports/1/targetPort", now, 8080),)
    )
    return Finding("LBD307", ref, repairs=(Repair("8080", (change,)),))


def test_the_last_of_those_who_hold_the_field() -> None:
    made = (entry("helm", "2030-01-04T12:00:00Z"), entry("kubectl-edit", "2030-01-07T11:48:00Z"))
    other = entry("later", NOW, fieldsV1={"f:spec": {"f:type": {}}})
    assert last_changes(snapshot(*made, other), to_port(9090)) == (
        Evidence(
            "service/web",
            "spec.ports[port=80].targetPort: set by kubectl-edit, which last wrote 12 min ago",
        ),
    )


def test_nobody_set_what_is_not_there_or_not_known() -> None:
    found = snapshot(entry("kubectl-edit", NOW))
    assert last_changes(found, to_port(None)) == ()
    assert last_changes(found, to_port(9090, ObjectRef("Service", "shop", "other"))) == ()
    assert last_changes(Snapshot(taken_at=NOW), to_port(9090)) == ()
    assert last_changes(found, Finding("LBD307", REF)) == ()


def test_a_diagnosis_says_who_set_what_its_repair_changes() -> None:
    (diagnosis, *_) = cases.result("LBD307-wrong-target-port").report.diagnoses
    said = diagnosis.finding.evidence[-1]
    assert said.source == "service/web"
    assert said.text.startswith("spec.ports[port=80].targetPort: set by kubectl-client-side-apply, which last wrote ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (259_200, "3 days"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
