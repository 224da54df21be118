"""Snapshots survive the way through JSON unchanged, and JSON that does not fit is refused with the place named."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_lbdoctor.model import aws, k8s
from kubectl_lbdoctor.model.codec import CodecError, from_json, to_json
from kubectl_lbdoctor.model.fact import Fact, ReadState
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.snapshot import AwsFacts, ClusterFacts, NamespaceFacts, Snapshot
from kubectl_lbdoctor.permission import Permission
from tests.unit.test_checks import FAULTS, HEALTHY

TEXT = st.text(max_size=4)
FREE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=3,
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type as the model writes it; deferred, so that a nested record costs what it draws."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or hint is Any:
        return FREE
    if origin in (typing.Union, UnionType):
        return st.one_of(*(st.none() if a is type(None) else values(a) for a in args))
    if origin is tuple:
        return st.lists(values(args[0]), max_size=2).map(tuple)
    if origin in (Mapping, dict) or origin is typing.get_origin(Mapping[str, str]):
        return st.dictionaries(TEXT, values(args[1]), max_size=2)
    if origin is Fact:
        return facts(args[0])
    if is_dataclass(hint):
        return st.deferred(lambda: records(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return {str: TEXT, int: st.integers(-9, 70_000), bool: st.booleans()}[hint]


def records(cls: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    required, optional = {}, {}
    for part in fields(cls):
        given_by_default = part.default is not MISSING or part.default_factory is not MISSING
        (optional if given_by_default else required)[part.name] = values(hints[part.name])
    return st.fixed_dictionaries(required, optional=optional).map(lambda found: cls(**found))


def facts(value: Any) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda v, scope: Fact("r", ReadState.KNOWN, v, scope=scope), values(value), TEXT),
        st.builds(
            lambda state, reason, permission, request: Fact("r", state, None, reason, permission, request=request),
            st.sampled_from([ReadState.DENIED, ReadState.FAILED, ReadState.NOT_ASKED]),
            TEXT,
            values(Permission | None),
            values(Permission | None),
        ),
    )


def back(kind: Any, value: Any) -> Any:
    """Through real JSON text, as a bundle goes."""
    return from_json(kind, json.loads(json.dumps(to_json(value))))


RECORDS = [
    cls
    for module in (k8s, aws)
    for cls in vars(module).values()
    if is_dataclass(cls) and isinstance(cls, type) and cls.__module__ == module.__name__
]


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=12)
@given(data=st.data())
def test_record_round_trip(cls: type, data: st.DataObject) -> None:
    value = data.draw(records(cls))
    assert back(cls, value) == value


@pytest.mark.parametrize("cls", [NamespaceFacts, ClusterFacts, AwsFacts], ids=lambda cls: cls.__name__)
@settings(max_examples=12)
@given(data=st.data())
def test_part_of_a_snapshot_round_trip(cls: type, data: st.DataObject) -> None:
    value = data.draw(records(cls))
    assert back(cls, value) == value


@pytest.mark.parametrize("world", [*FAULTS.values(), *HEALTHY.values()], ids=[*FAULTS, *HEALTHY])
def test_snapshot_round_trip(world: Any) -> None:
    snapshot = world.build()
    assert back(Snapshot, snapshot) == snapshot


def test_denied_does_not_become_empty_on_the_way() -> None:
    fact: Fact[Any] = Fact.denied("core/pods", "forbidden", Permission(("list",), "pods"), "shop")
    again = back(Snapshot, Snapshot(namespaces={"shop": NamespaceFacts(pods=fact)})).namespaces["shop"].pods
    assert again == fact and again.state is ReadState.DENIED


def test_a_permission_that_is_a_text_is_read_as_its_words() -> None:
    """Bundles held nothing else before permissions were records."""
    words = "list pods in namespace shop"
    fact = {"source": "core/pods", "state": "denied", "reason": "no", "permission": words}
    read = from_json(Snapshot, {"namespaces": {"shop": {"pods": fact}}}).namespaces["shop"].pods
    assert read.permission == Permission(said=words) and str(read.permission) == words
    assert back(Permission, read.permission) == read.permission


def test_absent_and_unset_are_told_apart() -> None:
    for networking in (None, ()):
        binding = k8s.TargetGroupBinding(k8s.Meta("x"), networking=networking)
        assert back(k8s.TargetGroupBinding, binding).networking == networking
    for ready in (None, False, True):
        assert back(k8s.Endpoint, k8s.Endpoint(("10.0.0.1",), ready)).ready is ready


def test_defaults_are_left_out() -> None:
    assert to_json(ObjectRef("Ingress", name="web")) == {"kind": "Ingress", "name": "web"}
    assert to_json(k8s.Service(k8s.Meta("web"), allocate_node_ports=False)) == {
        "meta": {"name": "web"},
        "allocate_node_ports": False,
    }


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (ObjectRef, {"kind": "Ingress", "nam": "web"}, "$: unknown field 'nam'"),
        (k8s.Service, {"meta": {"name": "x", "lables": {}}}, "$.meta: unknown field 'lables'"),
        (k8s.Service, {}, "$: "),
        (k8s.Service, {"meta": {"name": "x"}, "ports": {}}, "$.ports: an array was expected"),
        (k8s.Service, {"meta": {"name": "x"}, "ports": [{"port": "80"}]}, "$.ports[0].port: int was expected"),
        (k8s.Service, {"meta": {"name": "x"}, "selector": []}, "$.selector: an object was expected"),
        (k8s.Service, {"meta": {"name": "x"}, "selector": {"app": 1}}, "$.selector.app: str was expected"),
        (k8s.Service, [], "$: an object was expected"),
        (k8s.Service, None, "$: an object was expected"),
        (Fact[tuple[str, ...]], {"source": "x", "state": "fine"}, "$.state: 'fine' is not a valid ReadState"),
        (Fact[tuple[str, ...]], {"source": "x", "state": "known", "value": [1]}, "$.value[0]: str was expected"),
        (Snapshot, {"namespaces": {"shop": {"pods": {"source": "x"}}}}, "$.namespaces.shop.pods: "),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(kind: Any, data: Any, words: str) -> None:
    with pytest.raises(CodecError) as caught:
        from_json(kind, data)
    assert words in str(caught.value)
