"""From diagnoses to a plan: what is chosen, what is refused, and what `--fix` may be asked."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.gateway_changes import NewConfiguration
from kubectl_lbdoctor.analysis.remediation import annotate, edit, patch
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.fix.planner import FixRequest, fix_names, parse, plan
from kubectl_lbdoctor.model.finding import Confidence, Diagnosis, Finding, Severity
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.plan import Repair
from tests.support import cases

NAMES = sorted(fix_names(CATALOGUE))
INGRESS = ObjectRef("Ingress", "shop", "web")
SERVICE = ObjectRef("Service", "shop", "web")


def port(value: int, name: str = "web") -> Repair:
    ref = ObjectRef("Service", "shop", name)
    return Repair(
        str(value), (patch(ref, "targetPort", edit("/spec/ports/0/targetPort", 9090, value)),), accepts_any_value=True
    )


def diagnosis(
    *repairs: Repair,
    code: str = "LBD307",
    automatic: bool | None = None,
    affects: tuple[ObjectRef, ...] = (INGRESS,),
    **more: object,
) -> Diagnosis:
    spec = CATALOGUE[code]
    finding = Finding(
        code, SERVICE, repairs=repairs, fix_automatic=len(repairs) == 1 if automatic is None else automatic, **more
    )  # type: ignore[arg-type]
    return Diagnosis(1, finding, spec.severity, spec.title, f"{code} message", affects, (), spec.fix)


# --- parse ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["targetport"], [("targetport", "")]),
        (["TargetPort"], [("targetport", "")]),
        (["lbd307"], [("LBD307", "")]),
        (["targetport=8080"], [("targetport", "8080")]),
        (["targetport,selector"], [("targetport", ""), ("selector", "")]),
        (["targetport", "selector"], [("targetport", ""), ("selector", "")]),
        (["selector=app=web,tier=front"], [("selector", "app=web,tier=front")]),
        (["selector=app=web,tier=front,targetport=80"], [("selector", "app=web,tier=front"), ("targetport", "80")]),
        (["success-codes=200,302"], [("success-codes", "200,302")]),
        (["success-codes=200,302,kube-proxy"], [("success-codes", "200,302"), ("kube-proxy", "")]),
        (["success-codes=200-299, 302"], [("success-codes", "200-299, 302")]),
        (["all"], [("all", "")]),
        (["targetport,targetport"], [("targetport", "")]),
        (["healthcheck-path=/a,b/c?d=e"], [("healthcheck-path", "/a,b/c?d=e")]),
    ],
)
def test_parse(texts: list[str], wanted: list[tuple[str, str]]) -> None:
    assert [(w.name, w.value) for w in parse(texts, CATALOGUE)] == wanted


@pytest.mark.parametrize("text", ["", ",", "nope", "targetport,nope", "nope=1", "LBD402", "LBD999", "all=1", "="])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(UsageError):
        parse([text], CATALOGUE)


values = st.text(st.characters(codec="utf-8", exclude_characters=",\n\r"), min_size=1).filter(
    lambda text: text == text.strip()
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(st.just(""), values)), min_size=1, unique=True))
def test_parse_gives_back_what_was_joined(items: list[tuple[str, str]]) -> None:
    text = ",".join(f"{name}={value}" if value else name for name, value in items)
    assert [(w.name, w.value) for w in parse([text], CATALOGUE)] == items


@given(st.sampled_from(NAMES), st.lists(values.filter(lambda v: v.split("=")[0].lower() not in NAMES), min_size=1))
def test_a_value_may_hold_commas(name: str, parts: list[str]) -> None:
    value = ",".join(parts)
    known = {part.split("=")[0].upper() for part in parts} & {spec.code for spec in CATALOGUE}
    if known or any(part.split("=")[0].lower() == "all" for part in parts):
        return
    assert parse([f"{name}={value}"], CATALOGUE) == (FixRequest(name, value),)


@given(st.text())
def test_parse_answers_or_refuses(text: str) -> None:
    try:
        found = parse([text], CATALOGUE)
    except UsageError:
        return
    assert found and all(w.name in NAMES or w.name == "all" or CATALOGUE.get(w.name) for w in found)


# --- plan -------------------------------------------------------------------------------------------------------------


def test_what_the_evidence_determines_is_planned() -> None:
    made = plan([diagnosis(port(8080))], [FixRequest("targetport")])
    (step,) = made.steps
    assert (step.fix, step.code, step.affects, step.change.then) == ("targetport", "LBD307", (INGRESS,), "8080")
    assert step.change.why == "LBD307 message" and not made.refusals


def test_several_values_are_refused_with_the_choices() -> None:
    made = plan([diagnosis(port(8080), port(8443))], [FixRequest("targetport")])
    assert not made.steps and made.refusals[0].choices == ("8080", "8443")


def test_a_choice_is_taken() -> None:
    made = plan([diagnosis(port(8080), port(8443))], [FixRequest("targetport", "8443")])
    assert made.steps[0].change.then == "8443"


def test_a_value_of_the_users_own_keeps_the_kind_of_the_value() -> None:
    made = plan([diagnosis(port(8080))], [FixRequest("targetport", "7000")])
    assert made.steps[0].change.edits[0].then == 7000 and made.steps[0].change.why == "chosen by you"
    made = plan([diagnosis(port(8080))], [FixRequest("targetport", "http")])
    assert made.steps[0].change.edits[0].then == "http"


def test_guards_survive_a_value_of_the_users_own() -> None:
    guard = edit("/spec/ports/0/port", 80, 80)
    repair = Repair(
        "8080", (patch(SERVICE, "targetPort", guard, edit("/spec/ports/0/targetPort", 1, 2)),), accepts_any_value=True
    )
    made = plan([diagnosis(repair)], [FixRequest("targetport", "7000")])
    assert [(e.now, e.then) for e in made.steps[0].change.edits] == [(80, 80), (1, 7000)]


def test_a_single_value_that_nothing_proves_is_a_choice() -> None:
    made = plan([diagnosis(port(8080), automatic=False)], [FixRequest("targetport")])
    assert not made.steps and made.refusals[0].choices == ("8080",)


def test_a_value_that_only_the_user_knows() -> None:
    annotations = {"alb.ingress.kubernetes.io/healthcheck-path": "/"}
    template = Repair(
        "",
        (annotate(INGRESS, annotations, {"alb.ingress.kubernetes.io/healthcheck-path": ""}),),
        accepts_any_value=True,
    )
    asked = diagnosis(code="LBD301", repair_template=template)
    assert "--fix healthcheck-path=VALUE" in plan([asked], [FixRequest("healthcheck-path")]).refusals[0].reason
    made = plan([asked], [FixRequest("healthcheck-path", "/alive")])
    assert made.steps[0].change.edits[0].then == "/alive"


def test_all_takes_what_is_sure() -> None:
    unsure = diagnosis(port(1, "b"), confidence=Confidence.POSSIBLE)
    made = plan([diagnosis(port(8080)), unsure], [FixRequest("all")])
    assert [s.change.object.name for s in made.steps] == ["web"]


def test_nothing_found_names_what_there_is() -> None:
    made = plan([diagnosis(port(8080))], [FixRequest("selector")])
    assert not made.steps and "targetport (LBD307)" in made.refusals[0].reason


def test_one_change_for_two_faults_is_made_once_for_both() -> None:
    other = ObjectRef("Ingress", "shop", "api")
    made = plan([diagnosis(port(8080)), diagnosis(port(8080), affects=(other,))], [FixRequest("targetport")])
    (step,) = made.steps
    assert step.affects == (INGRESS, other) and made.affects == (INGRESS, other)
    assert step.codes == ("LBD307",)


def test_the_same_fault_on_several_objects_is_one_plan() -> None:
    made = plan([diagnosis(port(8080)), diagnosis(port(8080, "api"))], [FixRequest("targetport")])
    assert [s.change.object.name for s in made.steps] == ["web", "api"]


def test_two_contents_for_one_value_are_both_refused() -> None:
    made = plan([diagnosis(port(8080)), diagnosis(port(8443))], [FixRequest("targetport")])
    assert not made.steps and "different values" in made.refusals[0].reason


def created(field: str, value: str, inherited: Mapping[str, object] | None = None, service: str = "web") -> Repair:
    """A setting in a TargetGroupConfiguration that does not exist yet."""
    ref = ObjectRef("TargetGroupConfiguration", "shop", "web")
    return NewConfiguration(ref, field, {}, service, tuple(field.split(".")), inherited).repair(value)


CHECK = {"healthCheckPath": "/", "healthCheckPort": "8080"}
PATH, PORT = "healthCheckConfig.healthCheckPath", "healthCheckConfig.healthCheckPort"


def test_two_settings_of_one_object_that_is_made_are_one_creation() -> None:
    """Each of them takes over the rest of the block as it is, which gives way to what the other is about."""
    other = ObjectRef("Gateway", "shop", "other")
    found = [
        diagnosis(created("targetType", "ip"), code="LBD204"),
        diagnosis(created(PATH, "/healthz", CHECK), code="LBD301"),
        diagnosis(created(PORT, "9090", CHECK), code="LBD313", affects=(other,)),
    ]
    made = plan(found, [FixRequest("LBD204"), FixRequest("LBD301"), FixRequest("LBD313")])
    (step,) = made.steps
    assert made.refusals == () and step.change.creates == {
        "targetReference": {"kind": "Service", "name": "web"},
        "defaultConfiguration": {
            "targetType": "ip",
            "healthCheckConfig": {"healthCheckPath": "/healthz", "healthCheckPort": "9090"},
        },
    }
    assert step.codes == ("LBD204", "LBD301", "LBD313") and step.affects == (INGRESS, other)
    assert step.change.then == (
        "targetType=ip, healthCheckConfig.healthCheckPath=/healthz, healthCheckConfig.healthCheckPort=9090"
    )
    assert step.change.why == "LBD204 message; LBD301 message; LBD313 message"


@pytest.mark.parametrize(
    "other",
    [created(PATH, "/ready", CHECK), created(PATH, "/ready"), created(PORT, "9090", CHECK, service="api")],
)
def test_two_creations_that_contradict_each_other_are_both_refused(other: Repair) -> None:
    found = [diagnosis(created(PATH, "/healthz", CHECK), code="LBD301"), diagnosis(other, code="LBD313")]
    made = plan(found, [FixRequest("LBD301"), FixRequest("LBD313")])
    assert not made.steps and all("different values" in refusal.reason for refusal in made.refusals)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]), st.lists(st.integers(1, 4), max_size=3, unique=True), st.booleans()
        ),
        max_size=6,
    )
)
def test_a_plan_never_sets_one_value_twice(shapes: list[tuple[str, list[int], bool]]) -> None:
    found = [
        diagnosis(*(port(n, name) for n in numbers), automatic=automatic and bool(numbers))
        for name, numbers, automatic in shapes
    ]
    made = plan(found, [FixRequest("targetport"), FixRequest("LBD307"), FixRequest("all")])
    places = [(s.change.object, e.pointer) for s in made.steps for e in s.change.edits]
    assert len(places) == len(set(places))
    assert made.steps or made.refusals
    assert all(d.severity is Severity.ERROR for d in found)


def test_entries_of_one_network_acl_for_two_causes_have_numbers_of_their_own() -> None:
    """Requests and replies lack entries of the same direction; EC2 takes no number twice."""
    diagnoses = cases.result("LBD507-ipv6-entries-missing").report.diagnoses
    assert [d.finding.code for d in diagnoses] == ["LBD507", "LBD508"]
    calls = [step.change.aws for step in plan(diagnoses, [FixRequest("network-acl")]).steps]
    numbers = [call.params["RuleNumber"] for call in calls if call is not None]
    assert sorted(numbers) == [200, 300, 400, 500]
