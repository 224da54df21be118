"""Declarations: complete, unique, and in step with each other and with what the checks really produce."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kubectl_lbdoctor
from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Catalogue, CheckSpec, DuplicateCode, check
from kubectl_lbdoctor.checks.runner import run_one
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact, NotApplicable
from kubectl_lbdoctor.model.finding import CheckStatus, Finding, ObjectRef, Severity, Source
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.report import needed_reads
from tests.support.world import World
from tests.unit.test_checks import FAULTS, HEALTHY

KNOWN_READS = set(reads.KUBE) | {
    value for name, value in vars(reads).items() if name.isupper() and isinstance(value, str) and reads.is_aws(value)
}
WORLDS = {**FAULTS, **HEALTHY}
CODES = [spec.code for spec in CATALOGUE]


def declare(catalogue: Catalogue, code: str = "LBD901", **changes: Any) -> Any:
    arguments: dict[str, Any] = {"title": "t", "passes": "p", "severity": Severity.ERROR, "message": "m", "reads": ()}
    return check(code, catalogue=catalogue, **{**arguments, **changes})


def documented(traffic: Any) -> Iterator[Finding]:
    """What it means."""
    yield Finding("LBD901", ObjectRef("Ingress"))


def undocumented(traffic: Any) -> Iterator[Finding]:
    yield Finding("LBD901", ObjectRef("Ingress"))


# --- Registration ---


def test_a_declaration_is_all_that_is_needed() -> None:
    catalogue = Catalogue()
    assert declare(catalogue, reads=[reads.PODS])(documented) is documented
    assert [spec.code for spec in catalogue.checks()] == ["LBD901"]
    assert catalogue["LBD901"].doc == "What it means." and catalogue.reads() == {reads.PODS}
    assert "LBD901" not in CODES


def test_what_must_be_absent_is_read() -> None:
    with pytest.raises(ValueError, match="core/pods"):
        declare(Catalogue(), reads=[reads.NODES], by_absence=(reads.NODES, reads.PODS))(documented)


def test_what_was_found_before_there_was_nothing_more_to_look_at_stays_found() -> None:
    def two_parts(traffic: Any) -> Iterator[Finding]:
        """What it means."""
        yield from documented(traffic)
        raise NotApplicable("the second part has nothing to look at")

    catalogue = Catalogue()
    declare(catalogue)(two_parts)
    result = run_one(catalogue["LBD901"], World().build(), ("a",))
    assert result.status is CheckStatus.FAIL and [f.code for f in result.findings] == ["LBD901"]


def test_a_code_is_declared_once() -> None:
    catalogue = Catalogue()
    declare(catalogue)(documented)
    with pytest.raises(DuplicateCode, match="LBD901"):
        declare(catalogue)(documented)


def test_a_docstring_is_required() -> None:
    with pytest.raises(ValueError, match="LBD901 has no docstring"):
        declare(Catalogue())(undocumented)


@pytest.mark.parametrize("code", ["LBD1", "lbd101", "LBD1011", "XYZ101", ""])
def test_a_code_has_one_form(code: str) -> None:
    with pytest.raises(ValueError, match="is not a code"):
        declare(Catalogue(), code)(documented)


def test_catalogue_is_in_the_order_of_codes() -> None:
    catalogue = Catalogue()
    declare(catalogue, "LBD902")(documented)
    declare(catalogue, "LBD901")(documented)
    assert [spec.code for spec in catalogue] == ["LBD901", "LBD902"]
    assert sorted(CODES) == CODES


# --- Every declaration ---


@pytest.mark.parametrize("spec", list(CATALOGUE), ids=CODES)
def test_declaration_is_complete(spec: CheckSpec) -> None:
    assert spec.doc.strip() and spec.title.strip() and spec.message.strip()
    assert spec.passes.strip() and spec.passes != spec.title, "one says the problem, the other that there is none"
    assert not (spec.title.endswith(".") or spec.passes.endswith(".")), "both are clauses of a sentence"
    assert len(spec.title) <= 100
    assert set(spec.reads) <= KNOWN_READS
    # What is explained may be a code of a later slice, so only its form is known here.
    assert all(re.fullmatch("LBD[0-9]{3}", code) for code in spec.explains) and spec.code not in spec.explains
    assert spec.function is None or spec.reads, "a check that reads nothing knows nothing"
    assert all(name.isidentifier() for name in spec.fields()), "only plain fields: params are texts"


def test_explanations_have_no_circles() -> None:
    edges = {spec.code: set(spec.explains) for spec in CATALOGUE}

    def reachable(code: str, seen: frozenset[str] = frozenset()) -> set[str]:
        return {c for n in edges.get(code, set()) - seen for c in {n} | reachable(n, seen | {n})}

    assert [code for code in edges if code in reachable(code)] == []


@pytest.mark.parametrize("read", sorted(needed_reads(CATALOGUE)))
def test_every_needed_read_has_a_permission(read: str) -> None:
    assert read in KNOWN_READS
    assert reads.iam_action(read).startswith("elasticloadbalancing:") if read.startswith("elbv2:") else True
    assert reads.is_aws(read) or reads.KUBE[read].verbs


# --- What checks produce ---

FINDINGS = [
    pytest.param(finding, id=f"{name}-{finding.code}")
    for name, world in WORLDS.items()
    for result in world.results()
    for finding in result.findings
]


@pytest.mark.parametrize("finding", FINDINGS)
def test_message_renders(finding: Finding) -> None:
    spec = CATALOGUE[finding.code]
    message = spec.render(finding)
    assert "{" not in message.replace('{"', "") and message.strip()
    assert set(spec.fields()) <= set(finding.params)
    assert "[" not in spec.message or message != spec.message


@pytest.mark.parametrize("finding", FINDINGS)
def test_params_are_values_without_grammar(finding: Finding) -> None:
    for value in finding.params.values():
        assert isinstance(value, (str, tuple)) or (isinstance(value, int) and not isinstance(value, bool))
        for item in value if isinstance(value, tuple) else (value,):
            assert not isinstance(item, str) or item == item.strip(" ;:,"), "punctuation belongs to the template"


@pytest.mark.parametrize("name", WORLDS)
def test_two_causes_on_one_object_are_told_apart_by_what_is_declared(name: str) -> None:
    """One run of a check gives no finding twice: whatever it yields about one object differs in `distinct_by`."""
    for result in WORLDS[name].results():
        causes = [CATALOGUE[result.code].cause(finding) for finding in result.findings]
        assert len(causes) == len(set(causes))


@pytest.mark.parametrize("finding", FINDINGS)
def test_finding_is_of_use(finding: Finding) -> None:
    assert finding.object.kind and finding.object.name
    assert finding.evidence, "a finding without evidence convinces nobody"
    assert all(e.source.strip() and e.text.strip() for e in finding.evidence)
    assert all(command.startswith(("kubectl ", "aws ", "curl ")) for command in (*finding.confirm, *finding.commands))
    assert not any("\n" in command for command in (*finding.confirm, *finding.commands))
    if CATALOGUE[finding.code].severity is Severity.ERROR:
        assert finding.commands or finding.advice or finding.confirm, "an error says what to do next"
    if finding.fix_automatic:
        assert finding.commands, "an automatic repair has a command"


@pytest.mark.parametrize("name", WORLDS)
def test_every_check_gives_exactly_one_result_per_route(name: str) -> None:
    world = WORLDS[name]
    joined = traffic_paths(world.build())
    results = world.results()
    pairs = [(path, r.code) for r in results for path in r.paths]
    assert len(pairs) == len(set(pairs)) == len(joined) * len(CATALOGUE.checks())
    assert [r.code for r in results if r.status is CheckStatus.CRASHED] == []


# --- The runner ---


def spec_of(function: Any) -> CheckSpec:
    return CheckSpec("LBD901", "t", Severity.ERROR, "m", "d", function=function)


ROUTE = traffic_paths(World().build())[0]
DENIED: Fact[int] = Fact.denied("core/pods", "forbidden", Permission(("list",), "pods"))
FOUND = Finding("LBD901", ObjectRef("Ingress", "shop", "web"))


def test_pass_and_fail() -> None:
    assert run_one(spec_of(lambda traffic: ()), ROUTE, (ROUTE.key,)).status is CheckStatus.PASS
    failed = run_one(spec_of(lambda traffic: [FOUND]), ROUTE, (ROUTE.key,))
    assert (failed.status, failed.findings, failed.paths) == (CheckStatus.FAIL, (FOUND,), (ROUTE.key,))


def test_unknown_names_the_read_and_why() -> None:
    result = run_one(spec_of(lambda traffic: [DENIED.need()]), ROUTE, (ROUTE.key,))
    assert (result.status, result.reason) == (CheckStatus.UNKNOWN, "core/pods: forbidden")


def test_what_was_proven_before_an_unknown_stays_proven() -> None:
    def function(traffic: Any) -> Iterator[Finding]:
        yield FOUND
        DENIED.need()

    result = run_one(spec_of(function), ROUTE, (ROUTE.key,))
    assert (result.status, result.findings) == (CheckStatus.FAIL, (FOUND,))


def test_a_crash_is_a_result() -> None:
    result = run_one(spec_of(lambda traffic: 1 // 0), ROUTE, (ROUTE.key,))
    assert (result.status, result.reason) == (
        CheckStatus.CRASHED,
        "ZeroDivisionError: integer division or modulo by zero",
    )
    assert "Traceback" in result.trace


def test_not_applicable_is_skipped() -> None:
    def function(traffic: Any) -> Iterator[Finding]:
        raise NotApplicable("no Service")
        yield

    result = run_one(spec_of(function), ROUTE, (ROUTE.key,))
    assert (result.status, result.reason) == (CheckStatus.SKIPPED, "no Service")


def test_a_source_of_evidence_has_one_spelling() -> None:
    """Words that name where evidence comes from stand in `Source`; nobody writes them a second time."""
    package = Path(kubectl_lbdoctor.__file__).parent
    literal = re.compile(r"\bEvidence\(\s*\"[^\"]*\"")
    found = [(path.name, hit) for path in package.rglob("*.py") for hit in literal.findall(path.read_text())]
    assert found == []
    names = [value for name, value in vars(Source).items() if name.isupper()]
    assert len(names) == len(set(names))
