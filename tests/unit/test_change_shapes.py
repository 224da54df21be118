"""What fixes write, and nothing else: the repairs of all recorded cases, and changes that no fix makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubectl_lbdoctor.analysis.change_shapes import NoSuchShape, made_anew
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import AwsWrite, Change, Edit
from tests.support import cases


def repairs() -> Iterator[tuple[str, str, Change]]:
    """Every change that a recorded case offers to make, with the case and the code."""
    for name in cases.names():
        for result in cases.result(name).results:
            for finding in result.findings:
                ways = (finding.repairs, *(alternative.repairs for alternative in finding.alternatives))
                for change in (change for way in ways for repair in way for change in repair.changes):
                    yield name, finding.code, change


def test_every_repair_of_a_recorded_case_has_a_declared_shape() -> None:
    """Its words, too, follow from what it writes: what `undo` shows is made of that alone."""
    seen = set()
    for name, code, change in repairs():
        try:
            made = made_anew(change)
        except NoSuchShape as error:
            raise AssertionError(f"{name} {code} {change}") from error
        words = (made.field, made.then, *(() if change.aws is not None else (made.now,)))
        assert words == (change.field, change.then, *(() if change.aws is not None else (change.now,))), (name, code)
        assert (made.edits, made.restart, made.group) == (change.edits, change.restart, change.group), (name, code)
        if change.aws is not None and made.aws is not None:
            assert made.aws.params == change.aws.params and made.aws.undo_params == change.aws.undo_params
        elif not change.restart:
            assert made.command == change.command
        seen.add(change.field.partition(" ")[0].partition("[")[0])
    assert len(seen) > 5, seen


def test_the_words_of_a_class_name_all_that_is_put_back() -> None:
    """An undo file may say that the field named a third class beside the annotation."""
    ref = ObjectRef("Ingress", "shop", "web")
    legacy = Edit("/metadata/annotations/kubernetes.io~1ingress.class", "nginx", None)
    made = made_anew(Change(ref, "", "", "", edits=(legacy, Edit("/spec/ingressClassName", "other", "alb"))))
    assert made.now == "nginx (annotation), other"


@pytest.mark.parametrize("egress", ["false", 0, None])
def test_an_entry_whose_direction_is_no_boolean(egress: object) -> None:
    entry = {"NetworkAclId": "acl-1", "Egress": egress, "RuleNumber": 100, "CidrBlock": "10.0.0.0/8", "Protocol": "6"}
    entry |= {"RuleAction": "allow", "PortRange": {"From": 1024, "To": 65535}}
    call = AwsWrite("CreateNetworkAclEntry", entry, "", "")
    with pytest.raises(NoSuchShape):
        made_anew(Change(ObjectRef("NetworkAcl", "", "acl-1"), "", "", "", aws=call))


IDENTIFIER = {"kind": "HTTPRoute", "namespace": "shop", "name": "web"}


@pytest.mark.parametrize(
    ("pointer", "now"),
    [
        ("/spec/routeConfigurations/0", IDENTIFIER),
        ("/spec/routeConfigurations/-/routeIdentifier", IDENTIFIER),
        ("/spec/routeConfigurations/0/routeIdentifier", {**IDENTIFIER, "sectionName": "http"}),
        ("/spec/routeConfigurations/0/routeIdentifier", {"kind": "HTTPRoute"}),
        ("/spec/routeConfigurations/0/routeIdentifier", {**IDENTIFIER, "name": ["web"]}),
        ("/spec/routeConfigurations/0/routeIdentifier", None),
    ],
)
def test_a_route_identifier_that_names_no_route(pointer: str, now: object) -> None:
    ref = ObjectRef("TargetGroupConfiguration", "shop", "web")
    then = {**IDENTIFIER, "name": "other"}
    with pytest.raises(NoSuchShape):
        made_anew(Change(ref, "", "", "", edits=(Edit(pointer, now, then),)))
