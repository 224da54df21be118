"""Root causes first, each once, with what they explain folded under them; nothing that is left unexplained is lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Catalogue, CheckSpec, Scope
from kubectl_lbdoctor.correlate import UNEXPLAINED, correlate
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.finding import (
    CheckResult,
    CheckStatus,
    Confidence,
    Diagnosis,
    Evidence,
    Finding,
    ObjectRef,
    Severity,
)
from kubectl_lbdoctor.model.traffic_path import TrafficPath
from kubectl_lbdoctor.permission import Permission
from tests.support import cases
from tests.support.world import World, mismatch, refused, target, timed_out

WEB = ObjectRef("Ingress", "shop", "web")
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
HEALTHY_ROUTE = traffic_paths(World().build())[0]


def catalogue(*specs: CheckSpec) -> Catalogue:
    made = Catalogue()
    for spec in (*specs, declared(UNEXPLAINED, ERROR)):
        made.add(spec)
    return made


def declared(code: str, severity: Severity = ERROR, *explains: str, **values: Any) -> CheckSpec:
    return CheckSpec(code, f"title {code}", severity, f"message {code}", "doc", explains=explains, **values)


def found(code: str, *routes_: TrafficPath, **values: Any) -> list[CheckResult]:
    finding = Finding(code, **{"object": WEB, **values})
    return [CheckResult(code, (traffic.key,), CheckStatus.FAIL, (finding,)) for traffic in routes_ or (HEALTHY_ROUTE,)]


def codes(diagnoses: Iterable[Diagnosis]) -> list[str]:
    return [d.finding.code for d in diagnoses]


def diagnose(
    specs: Iterable[CheckSpec], *results: list[CheckResult], of: Iterable[TrafficPath] = ()
) -> tuple[Diagnosis, ...]:
    return correlate(catalogue(*specs), tuple(of) or (HEALTHY_ROUTE,), [r for part in results for r in part])


# --- Order ---


def test_order_is_severity_then_confidence_then_reach_then_code() -> None:
    specs = [declared("LBD901", INFO), declared("LBD902", WARNING), *(declared(f"LBD91{n}") for n in range(5))]
    results = [
        found("LBD901"),
        found("LBD902"),
        found("LBD910", confidence=Confidence.POSSIBLE),
        found("LBD911", confidence=Confidence.LIKELY),
        found("LBD912", targets=("a:1",)),
        found("LBD913", targets=("b:1", "c:1")),
        found("LBD914", targets=("d:1",)),
    ]
    expected = ["LBD913", "LBD912", "LBD914", "LBD911", "LBD910", "LBD902", "LBD901"]
    for order in (results, results[::-1], results[3:] + results[:3]):
        diagnoses = diagnose(specs, *order)
        assert codes(diagnoses) == expected
        assert [d.rank for d in diagnoses] == [1, 2, 3, 4, 5, 6, 7]


def test_a_milder_case_ranks_by_its_own_severity() -> None:
    specs = [declared("LBD901"), declared("LBD902")]
    diagnoses = diagnose(specs, found("LBD901", severity=WARNING), found("LBD902"))
    assert [(d.finding.code, d.severity) for d in diagnoses] == [("LBD902", ERROR), ("LBD901", WARNING)]


def test_nothing_found_is_nothing_diagnosed() -> None:
    assert diagnose([declared("LBD901")]) == ()


# --- Folding ---

CHAIN = [declared("LBD901", ERROR, "LBD902"), declared("LBD902", ERROR, "LBD903"), declared("LBD903", ERROR)]


@pytest.mark.parametrize("order", list(permutations(["LBD901", "LBD902", "LBD903"])))
def test_a_chain_folds_under_its_root_in_any_order(order: tuple[str, ...]) -> None:
    diagnoses = diagnose(CHAIN, *(found(code) for code in order))
    assert codes(diagnoses) == ["LBD901"]
    assert diagnoses[0].explains == ("LBD902", "LBD903")


@pytest.mark.parametrize("order", list(permutations(["LBD901", "LBD902", "LBD903", "LBD904"])))
def test_a_long_chain_folds_under_its_root_in_any_order(order: tuple[str, ...]) -> None:
    specs = [*CHAIN[:2], declared("LBD903", ERROR, "LBD904"), declared("LBD904")]
    diagnoses = diagnose(specs, *(found(code) for code in order))
    assert codes(diagnoses) == ["LBD901"]
    assert diagnoses[0].explains == ("LBD902", "LBD903", "LBD904")


def test_the_middle_of_a_chain_is_a_root_when_the_root_is_absent() -> None:
    diagnoses = diagnose(CHAIN, found("LBD903"), found("LBD902"))
    assert [(d.finding.code, d.explains) for d in diagnoses] == [("LBD902", ("LBD903",))]


def test_two_causes_of_one_symptom_both_name_it() -> None:
    specs = [declared("LBD901", ERROR, "LBD903"), declared("LBD902", ERROR, "LBD903"), declared("LBD903")]
    diagnoses = diagnose(specs, found("LBD903"), found("LBD902"), found("LBD901"))
    assert [(d.finding.code, d.explains) for d in diagnoses] == [("LBD901", ("LBD903",)), ("LBD902", ("LBD903",))]


def test_a_symptom_folds_under_any_error_but_not_under_a_warning() -> None:
    specs = [declared("LBD901"), declared("LBD902", WARNING), declared("LBD903", ERROR, symptom=True)]
    assert codes(diagnose(specs, found("LBD903"), found("LBD901"))) == ["LBD901"]
    assert codes(diagnose(specs, found("LBD903"), found("LBD902"))) == ["LBD903", "LBD902"]
    assert codes(diagnose(specs, found("LBD903"), found("LBD901", severity=WARNING))) == ["LBD903", "LBD901"]
    assert codes(diagnose(specs, found("LBD903"))) == ["LBD903"]


def test_two_symptoms_do_not_fold_each_other_away() -> None:
    specs = [declared("LBD901", ERROR, symptom=True), declared("LBD902", ERROR, symptom=True)]
    assert codes(diagnose(specs, found("LBD901"), found("LBD902"))) == ["LBD901", "LBD902"]


def test_a_circle_keeps_one_of_its_findings() -> None:
    specs = [declared("LBD901", ERROR, "LBD902"), declared("LBD902", ERROR, "LBD901")]
    (diagnosis,) = diagnose(specs, found("LBD901"), found("LBD902"))
    assert (diagnosis.finding.code, diagnosis.explains) == ("LBD901", ("LBD902",))


def test_a_symptom_that_explains_an_error_outranks_it() -> None:
    specs = [declared("LBD901"), declared("LBD902", ERROR, "LBD901", symptom=True)]
    (diagnosis,) = diagnose(specs, found("LBD901"), found("LBD902"))
    assert (diagnosis.finding.code, diagnosis.explains) == ("LBD902", ("LBD901",))


def test_a_cause_on_another_route_explains_nothing_here() -> None:
    other = replace(HEALTHY_ROUTE, subject=ObjectRef("Ingress", "shop", "api"))
    diagnoses = diagnose(CHAIN, found("LBD901", other), found("LBD902"), of=(HEALTHY_ROUTE, other))
    assert sorted(codes(diagnoses)) == ["LBD901", "LBD902"]


# --- Merging ---


def test_one_finding_on_several_routes_is_one_diagnosis() -> None:
    other = replace(HEALTHY_ROUTE, subject=ObjectRef("Service", "shop", "web"))
    left = found("LBD901", targets=("a:1", "b:1"), evidence=(Evidence("x", "1"), Evidence("x", "2")))
    right = found("LBD901", other, targets=("b:1", "c:1"), evidence=(Evidence("x", "2"), Evidence("x", "3")))
    (diagnosis,) = diagnose([declared("LBD901")], left, right, of=(HEALTHY_ROUTE, other))
    assert diagnosis.finding.targets == ("a:1", "b:1", "c:1")
    assert [e.text for e in diagnosis.finding.evidence] == ["1", "2", "3"]
    assert diagnosis.affects == (WEB, ObjectRef("Service", "shop", "web"))


@pytest.mark.parametrize("difference", [{"params": {"path": "/x"}}, {"object": ObjectRef("Service", "shop", "web")}])
def test_what_differs_stays_apart(difference: dict[str, Any]) -> None:
    spec = declared("LBD901", distinct_by=("path",))
    assert len(diagnose([spec], found("LBD901"), found("LBD901", **difference))) == 2


def test_what_is_not_declared_to_tell_causes_apart_does_not() -> None:
    """Another count or another word about the same object is the same cause: the larger amounts and both lists stay."""
    left = found("LBD901", params={"port": "80", "count": 3, "nodes": ("a", "b"), "why": "first"})
    right = found("LBD901", params={"port": "80", "count": 2, "nodes": ("b", "c"), "why": "second"})
    for order in ((left, right), (right, left)):
        (diagnosis,) = diagnose([declared("LBD901", distinct_by=("port",))], *order)
        params = diagnosis.finding.params
        assert (params["port"], params["count"], sorted(params["nodes"])) == ("80", 3, ["a", "b", "c"])


def test_the_surer_and_more_severe_of_two_speaks_for_both() -> None:
    sure = found("LBD901", params={"why": "proven"}, targets=("a:1",))
    guess = found("LBD901", params={"why": "guessed"}, targets=("b:1",), confidence=Confidence.LIKELY, severity=WARNING)
    for order in ((sure, guess), (guess, sure)):
        (diagnosis,) = diagnose([declared("LBD901")], *order)
        assert (diagnosis.finding.params["why"], diagnosis.severity) == ("proven", ERROR)
        assert set(diagnosis.finding.targets) == {"a:1", "b:1"}


# --- What nobody explains ---


def unexplained(*health: Any, results: list[CheckResult] | None = None) -> tuple[Diagnosis, ...]:
    traffic = traffic_paths(World(health=health).build())[0]
    return diagnose([declared("LBD901")], results or [], of=(traffic,))


def test_failing_targets_without_cause_are_said_to_be_unexplained() -> None:
    (diagnosis,) = unexplained(timed_out(1), target(2))
    finding = diagnosis.finding
    assert (finding.code, finding.confidence) == (UNEXPLAINED, Confidence.POSSIBLE)
    assert (finding.params["count"], finding.params["total"]) == (1, 2)
    assert finding.params["reasons"] == ("Timeout",) and finding.targets == ("10.0.1.34:8080",)
    assert finding.hypotheses


def test_a_cause_accounts_only_for_its_own_targets() -> None:
    traffic = traffic_paths(World(health=(timed_out(1), timed_out(2))).build())[0]
    cause = found("LBD901", traffic, targets=("10.0.1.34:8080",))
    diagnoses = diagnose([declared("LBD901")], cause, of=(traffic,))
    assert codes(diagnoses) == ["LBD901", UNEXPLAINED]
    assert diagnoses[1].finding.targets == ("10.0.2.34:8080",)


def test_hypotheses_follow_the_reason() -> None:
    late = unexplained(timed_out(1))[0].finding.hypotheses
    closed = unexplained(refused(1))[0].finding.hypotheses
    assert {h.code for h in late} & {h.code for h in closed} == set()
    assert "LBD520" in {h.code for h in late} and "LBD307" in {h.code for h in closed}


def test_waiting_and_draining_targets_need_no_cause() -> None:
    assert unexplained(target(1, "initial", "Elb.RegistrationInProgress"), target(2, "draining")) == ()


def test_unknown_target_health_is_not_unexplained_health() -> None:
    silent: Fact[Any] = Fact.denied(reads.TARGET_HEALTH, "forbidden", Permission(said="x"))
    traffic = traffic_paths(World(aws={"target_health": {World().group.arn: silent}}).build())[0]
    assert diagnose([declared("LBD901")], of=(traffic,)) == ()


def test_every_failing_target_is_accounted_for() -> None:
    """Whatever mix of reasons: a target that fails is named by some diagnosis."""
    makers = [lambda n: mismatch(n, "404"), refused, timed_out, target]
    for first in makers:
        for second in makers:
            world = World(health=(first(1), second(2)))
            failing = {t.key for t in world.health if t.state == "unhealthy"}
            named = {key for d in world.report().diagnoses for key in d.finding.targets}
            assert failing <= named, (first, second)


# --- What tells two causes of the real checks apart ---

NODES = {"state": "missing", "nodes": ("a", "b")}
ZONE = {"count": 2, "group": "g", "zone": "us-west-2a", "balancer": "lb", "zones": ("us-west-2c",)}
ANSWER = {"path": "/", "codes": ("404",), "matcher": "200", "better": ()}
PROBE = {"container": "app", "kind": "readiness", "probe": "httpGet /", "pods": 1, "total": 3, "answer": "no event"}
RULE = {
    "owner": "sg-1",
    "direction": "ingress",
    "ports": ("80",),
    "peers": ("sg-lb",),
    "peer": "10.0.0.5",
    "port": "80",
}


@pytest.mark.parametrize(
    ("code", "params", "changes", "messages"),
    [
        (
            "LBD516",
            NODES,
            {"nodes": ("b", "c")},
            ["kube-proxy does not run on node a, b, c, so its NodePort leads to no pod"],
        ),
        (
            "LBD516",
            NODES,
            {"state": "not ready", "nodes": ("c",)},
            [
                "kube-proxy does not run on node a, b, so its NodePort leads to no pod",
                "kube-proxy is not ready on node c, so its NodePort leads to no pod",
            ],
        ),
        (
            "LBD208",
            ZONE,
            {"count": 3},
            ["3 targets of g are in us-west-2a, which the load balancer does not have (us-west-2c)"],
        ),
        (
            "LBD208",
            ZONE,
            {"count": 1, "zone": "us-west-2b"},
            [
                "1 target of g is in us-west-2b, which the load balancer does not have (us-west-2c)",
                "2 targets of g are in us-west-2a, which the load balancer does not have (us-west-2c)",
            ],
        ),
        (
            "LBD301",
            ANSWER,
            {"codes": ("410",)},
            ['check path "/" is answered with 404, 410, expected 200'],
        ),
        (
            "LBD301",
            ANSWER,
            {"better": ("/healthz",), "witness": "readiness probe"},
            [
                'check path "/" is answered with 404, expected 200',
                'check path "/" is answered with 404, expected 200; "/healthz" succeeds',
            ],
        ),
        (
            "LBD404",
            PROBE,
            {"answer": "HTTP 500", "pods": 2},
            ["the readiness probe httpGet / fails in 2 of 3 pods: no event"],
        ),
        (
            "LBD501",
            RULE,
            {"owner": "sg-1,sg-2"},
            ["targets do not admit the load balancer: no TCP 80 from sg-lb"],
        ),
        (
            "LBD501",
            RULE,
            {"ports": ("90",)},
            [
                "targets do not admit the load balancer: no TCP 80 from sg-lb",
                "targets do not admit the load balancer: no TCP 90 from sg-lb",
            ],
        ),
        (
            "LBD602",
            {"count": 1, "service": "web"},
            {"count": 2},
            ["externalTrafficPolicy Local of Service web drops the checks on 2 nodes without a ready pod"],
        ),
    ],
)
def test_causes_of_one_object(code: str, params: dict[str, Any], changes: dict[str, Any], messages: list[str]) -> None:
    results = [*found(code, params=params), *found(code, params={**params, **changes})]
    diagnoses = correlate(CATALOGUE, (HEALTHY_ROUTE,), results)
    assert sorted(d.message for d in diagnoses) == messages


# --- What one finding claims ---


def test_what_is_harmless_alone_is_as_severe_as_what_it_claims() -> None:
    specs = [declared("LBD901", WARNING), declared("LBD902")]
    diagnosis = diagnose(
        specs,
        found("LBD901", explains=("LBD902",)),
        found("LBD902", targets=("10.0.1.1:80",), confidence=Confidence.LIKELY),
    )[0]
    assert (diagnosis.finding.code, diagnosis.severity, diagnosis.explains) == ("LBD901", ERROR, ("LBD902",))
    assert diagnosis.finding.targets == ("10.0.1.1:80",) and diagnosis.finding.confidence is Confidence.LIKELY
    assert any("LBD902" in entry.text for entry in diagnosis.finding.evidence)


def test_what_accounts_for_a_state_of_the_cluster_does_so_on_all_paths() -> None:
    """A node is lost that runs the controller, and a pod of one of two Ingresses: the other one is not left without a
    cause."""
    other = replace(HEALTHY_ROUTE, subject=ObjectRef("Ingress", "shop", "other"))
    specs = [declared("LBD901"), declared("LBD902", ERROR, "LBD903", scope=Scope.CLUSTER), declared("LBD903")]
    of_node = found("LBD901", explains=("LBD902",))
    of_all = [replace(found("LBD902")[0], paths=(HEALTHY_ROUTE.key, other.key))]
    diagnoses = diagnose(specs, of_node, of_all, found("LBD903", other), of=(HEALTHY_ROUTE, other))
    assert codes(diagnoses) == ["LBD901"]
    assert diagnoses[0].affects == (other.subject, WEB) and diagnoses[0].explains == ("LBD902", "LBD903")


def test_what_claims_nothing_that_is_found_stays_as_it_is() -> None:
    specs = [declared("LBD901", WARNING), declared("LBD902"), declared("LBD903")]
    diagnoses = diagnose(specs, found("LBD901", explains=("LBD903",)), found("LBD902"))
    assert [(d.finding.code, d.severity) for d in diagnoses] == [("LBD902", ERROR), ("LBD901", WARNING)]


def test_nothing_that_stops_the_controller_explains_what_people_make() -> None:
    specs = [declared("LBD102", ERROR, "LBD501"), declared("LBD501")]
    assert codes(diagnose(specs, found("LBD102"), found("LBD501"))) == ["LBD102"]
    assert sorted(codes(diagnose(specs, found("LBD102"), found("LBD501", stopped_by=())))) == ["LBD102", "LBD501"]


def test_a_state_of_the_cluster_that_concerns_some_objects_affects_no_other() -> None:
    """As a controller that is down and looks at one namespace alone."""
    other = replace(HEALTHY_ROUTE, subject=ObjectRef("Ingress", "other", "web"))
    specs = [declared("LBD902", scope=Scope.CLUSTER)]
    finding = Finding("LBD902", WEB, subjects=(WEB,))
    results = [CheckResult("LBD902", (HEALTHY_ROUTE.key, other.key), CheckStatus.FAIL, (finding,))]
    (diagnosis,) = diagnose(specs, results, of=(HEALTHY_ROUTE, other))
    assert diagnosis.affects == (WEB,)


def test_what_kube_proxy_answers_itself_is_not_blamed_on_the_pods() -> None:
    # The health port of externalTrafficPolicy Local is served by kube-proxy: no path, protocol or pod is asked there.
    case = replace(
        cases.load("healthy-local-policy-a-pod-on-each-node"),
        world="nlb-local",
        patches=[{"targets": "*", "state": "unhealthy", "reason": "Target.FailedHealthChecks", "description": ""}],
    )
    (finding,) = [d.finding for d in cases.run(case).report.diagnoses if d.finding.code == UNEXPLAINED]
    assert [h.code for h in finding.hypotheses] == ["LBD517", "LBD520"]
