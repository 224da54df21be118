"""`-o jsonpath=…` and its relatives: kubectl applies them, and what is wrong with them is known before any work."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.program import Result, run

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")


def diagnose(cloud: Cloud, *args: str, **env: str) -> Result:
    return run("ingress", "web", *args, env={**cloud.env, **env})


# --- With kubectl itself ---


@needs_kubectl
@pytest.mark.parametrize(
    ("output", "printed"),
    [
        ("jsonpath={.diagnoses[*].code}", "LBD301"),
        ("jsonpath={.status}: {.diagnoses[?(@.severity=='error')].fix.name}\n", "unhealthy: healthcheck-path\n"),
        ("jsonpath={range .subjects[0].targetGroups[0].targets[*]}{.id}{'\\n'}{end}", "10.0.1.34\n10.0.2.34\n"),
        ("jsonpath={.nothing.here}", ""),
        ("jsonpath-as-json={.exitCode}", "[\n    1\n]\n"),
        ("go-template={{range .diagnoses}}{{.code}} {{.rank}}{{end}}", "LBD301 1"),
        ("template={{.kind}}", "Report"),
    ],
)
def test_templates_print_what_kubectl_prints(cloud: Cloud, output: str, printed: str) -> None:
    cloud.wrong_path()
    result = diagnose(cloud, "-o", output)
    assert (result.status, result.stdout, result.stderr) == (ExitStatus.FINDINGS, printed, "")


@needs_kubectl
def test_templates_from_files(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_path()
    (tmp_path / "path").write_text("{.kind}/{.diagnoses[0].object.name}")
    (tmp_path / "go").write_text("{{.kind}}")
    (tmp_path / "columns").write_text("STATUS  CODES\n.status {.diagnoses[*].code}\n")
    assert diagnose(cloud, "-o", f"jsonpath-file={tmp_path}/path").stdout == "Report/web"
    assert diagnose(cloud, "-o", f"go-template-file={tmp_path}/go").stdout == "Report"
    assert diagnose(cloud, "-o", f"templatefile={tmp_path}/go").stdout == "Report"
    shown = diagnose(cloud, "-o", f"custom-columns-file={tmp_path}/columns").stdout
    assert shown == "STATUS      CODES\nunhealthy   LBD301\n"


@needs_kubectl
def test_custom_columns_are_kubectl_s(cloud: Cloud) -> None:
    cloud.wrong_path()
    spec = (
        "WHAT:.subjects[*].name,RANK:.diagnoses[0].rank,NONE:.nope,TARGETS:{.subjects[0].targetGroups[0].targets[*].id}"
    )
    assert diagnose(cloud, "-o", f"custom-columns={spec}").stdout == (
        "WHAT   RANK   NONE     TARGETS\n"
        "web    1      <none>   10.0.1.34,10.0.2.34\n"
    )  # fmt: skip
    objects = diagnose(cloud, "-o", "custom-columns=WHICH:.diagnoses[0].object,FIX:.subjects[0].loadBalancer.nope")
    assert objects.stdout.splitlines()[1].split("   ")[0] == "map[kind:Ingress name:web namespace:shop]"
    assert diagnose(cloud, "-o", "custom-columns=A:.kind", "--no-headers").stdout == "Report\n"


@needs_kubectl
def test_a_list_has_a_row_for_each_item() -> None:
    result = run("checks", "LBD30", "--fixable", "-o", "custom-columns=C:.code,F:.fix")
    assert result.stdout.splitlines()[:3] == [
        "C        F",
        "LBD301   healthcheck-path",
        "LBD303   success-codes",
    ]


@needs_kubectl
@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("jsonpath={.a", "error parsing jsonpath {.a, unclosed action"),
        ("jsonpath={length(.a)}", 'error executing jsonpath "{length(.a)}": unrecognized identifier length('),
        ("go-template={{.a", "error parsing template {{.a, template: output:1: unclosed action"),
        ("go-template={{nope .a}}", 'function "nope" not defined'),
        ("jsonpath-file=/nowhere/x", "/nowhere/x: no such file or directory"),
        ("custom-columns=A", "unexpected custom-columns spec: A, expected <header>:<json-path-expr>"),
        ("custom-columns=A:{.x", 'unexpected path "{.x"'),
        ("custom-columns=A:.x[", "error parsing jsonpath {.x[}"),
    ],
)
def test_a_template_that_cannot_be_read_ends_before_the_work(cloud: Cloud, output: str, sentence: str) -> None:
    cloud.kube.asked.clear()
    cloud.aws.asked.clear()
    result = diagnose(cloud, "-o", output)
    assert (result.status, result.stdout) == (ExitStatus.USAGE, "")
    assert sentence in result.stderr and result.stderr.startswith("error: ")
    assert cloud.kube.asked == [] and cloud.aws.asked == []


@needs_kubectl
def test_a_template_that_does_not_fit_is_a_usage_error(cloud: Cloud) -> None:
    result = diagnose(cloud, "-o", "jsonpath={.subjects[9].name}")
    assert (result.status, result.stdout) == (ExitStatus.USAGE, "")
    assert "array index out of bounds: index 9, length 1" in result.stderr
    assert "object given" not in result.stderr and len(result.stderr.splitlines()) == 2


@needs_kubectl
def test_what_a_fix_has_done_counts_whatever_the_template_does(cloud: Cloud, tmp_path: Path) -> None:
    cloud.wrong_port()
    undo = ("--undo-file", str(tmp_path / "undo.json"))
    result = diagnose(cloud, "--fix", "targetport", "--yes", *undo, "-o", "jsonpath={.steps[7].fix}")
    assert result.status == ExitStatus.HEALTHY and "array index out of bounds" in result.stderr
    assert cloud.kube.named("services")[0]["spec"]["ports"][0]["targetPort"] == 8080


@needs_kubectl
def test_a_broken_kubeconfig_has_no_part_in_it(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{")
    result = run("version", "-o", "jsonpath={.kind}", env={"KUBECONFIG": str(tmp_path / "broken")})
    assert (result.status, result.stdout) == (0, "Version")


# --- Without a real kubectl ---


@pytest.mark.parametrize("output", ["jsonpath={.kind}", "go-template={{.kind}}", "custom-columns=A:.kind"])
def test_without_kubectl_one_sentence_says_so(cloud: Cloud, output: str) -> None:
    result = diagnose(cloud, "-o", output, PATH="/nonexistent")
    assert (result.status, result.stdout) == (ExitStatus.COULD_NOT_RUN, "")
    assert "no kubectl is on PATH" in result.stderr and "-o json" in result.stderr


def test_what_kubectl_is_given(tmp_path: Path) -> None:
    """No kubeconfig, no server, the template as typed; texts come clean of what steers a terminal."""
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\ncat > {tmp_path}/document\nprintf "%s\\n" "$@" > {tmp_path}/words\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert run("version", "-o", "jsonpath={.kind}", env={"PATH": f"{tmp_path}:/usr/bin:/bin"}).status == 0
    words = (tmp_path / "words").read_text().splitlines()
    assert {"patch", "--local", f"--kubeconfig={os.devnull}", "--patch={}", "--output=jsonpath={.kind}"} <= set(words)
    assert json.loads((tmp_path / "document").read_text())["kind"] == "Version"


def test_texts_of_the_cluster_cannot_steer_the_terminal(tmp_path: Path) -> None:
    from kubectl_lbdoctor.render.kubectl_printer import _cleaned

    assert _cleaned({"a": ["x\x1b[2Jy", 1, None], "b": {"c": "one\ntwo"}}) == {
        "a": ["x[2Jy", 1, None],
        "b": {"c": "one two"},
    }


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("jsonpath", "template format specified but no template given"),
        ("jsonpath=", "template format specified but no template given"),
        ("custom-columns", "custom-columns format specified but no custom columns given"),
        (
            "json=x",
            'unable to match a printer suitable for the output format "json=x", allowed formats are: table,wide,',
        ),
        ("JSON", 'unable to match a printer suitable for the output format "JSON"'),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_the_sentences_about_formats_are_kubectl_s(output: str, sentence: str, before: bool) -> None:
    args = ("-o", output, "ing", "web") if before else ("ing", "web", "-o", output)
    result = run(*args)
    assert (result.status, result.stdout) == (ExitStatus.USAGE, "")
    assert sentence in result.stderr.splitlines()[0]


@pytest.mark.parametrize(("typed", "meant"), [("jsn", "json"), ("yml", "yaml"), ("JSON", "json"), ("htm", "html")])
def test_a_mistyped_format_is_guessed(typed: str, meant: str) -> None:
    result = run("ing", "web", "-o", typed)
    assert result.status == ExitStatus.USAGE and f"hint: Did you mean -o {meant}" in result.stderr
