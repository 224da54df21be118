"""`-o dot` and `-o mermaid`: graphs that their programs can read, whatever a cluster has written."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given

from kubectl_lbdoctor.analysis.pictures import pictured
from kubectl_lbdoctor.model.picture import Pictured
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.render.test_page import CASE, planted, texts
from tests.support import cases

DOT_LINE = re.compile(
    r"""digraph\ "(?:[^"\\]|\\.)*"\ \{
    |\ \ label="(?:[^"\\]|\\.)*";[^"]*
    |\ \ node\ \[[^\]]*\];\ edge\ \[[^\]]*\];
    |\ \ n\d+\ \[label="(?:[^"\\]|\\.)*",\ [^"\[\]]*"\#[0-9a-f]{6}"[^"\[\]]*\];
    |\ \ n\d+\ ->\ n\d+\ \[(?:label="(?:[^"\\]|\\.)*",\ )?color="\#[0-9a-f]{6}"(?:[^"\[\]]|"\#[0-9a-f]{6}")*\];
    |\}|""",
    re.X,
)
MERMAID_TEXT = r'"(?:[A-Za-z0-9 .,:/()_✓✗–-]|#\d+;|<br>)*"'
KEY = r"(?:p\d+)?n\d+"
MERMAID_LINE = re.compile(
    rf"flowchart LR|  {KEY}\[{MERMAID_TEXT}\]:::[a-z]+|  {KEY} (?:-->|==x|-\.->|-\.-x)(?:\|{MERMAID_TEXT}\|)? {KEY}"
    rf"|  subgraph g\d+\[{MERMAID_TEXT}\]|  end|  classDef [a-z]+ [a-z0-9:#,\- ]+|"
)


def drawn(name: str) -> Pictured:
    run = cases.result(name)
    return pictured(run.report, run.snapshot)


def test_a_gate_that_blocks_stands_on_a_thick_line() -> None:
    made = drawn(CASE)
    dot = render(made, "dot", View())
    (first, second) = [line for line in dot.splitlines() if "security groups of the target" in line]
    assert "no rule for tcp 8080 from" in first and "penwidth=3, arrowhead=tee" in first
    assert "LBD501: targets do not admit" in second
    mermaid = render(made, "mermaid", View())
    assert mermaid.startswith("flowchart LR\n") and mermaid.count("==x|") == 2
    assert "✓ 7 filters let it pass<br>✗ blocks: security groups of the target" in mermaid


def test_the_first_broken_hop_carries_the_command_that_repairs_it() -> None:
    made, command = drawn(CASE), "kubectl lbdoctor --fix security-group ingress/web -n shop"
    for form in ("dot", "mermaid"):
        text = render(made, form, View()).replace("\\n", " ")
        assert text.count(f"repair: {command}") == 1 and text.count("LBD501: targets") == 2


def test_what_is_not_certain_says_so() -> None:
    made = drawn("LBD315-udp-check-port-closed")
    assert "LBD315: probably: the TCP check" in render(made, "mermaid", View())
    assert "LBD315: probably: the TCP check" in render(made, "dot", View())


def test_beyond_a_block_the_line_is_dotted() -> None:
    mermaid = render(drawn(CASE), "mermaid", View())
    (pod,) = re.findall(r"(n\d+)\[\"✓ passes<br>pod<br>web-6d4c0001wt-pod01", mermaid)
    assert re.search(rf"n\d+ -\.-x {pod}\n", mermaid)


def test_what_was_not_read_is_a_dashed_line() -> None:
    made = drawn("denied-ec2-beside-timeouts")
    assert re.search(r"\? unknown.*ec2:DescribeNetworkInterfaces.*style=dashed", render(made, "dot", View()))
    assert "-.->|" in render(made, "mermaid", View())


@pytest.mark.parametrize("name", cases.names()[::9])
def test_every_line_is_of_the_language(name: str) -> None:
    made = drawn(name)
    for line in render(made, "dot", View()).split("\n"):
        assert DOT_LINE.fullmatch(line), line
    for line in render(made, "mermaid", View()).split("\n"):
        assert MERMAID_LINE.fullmatch(line), line


@given(texts)
def test_a_hostile_text_adds_no_line(text: str) -> None:
    made = planted(text)
    for line in render(made, "dot", View()).split("\n"):
        assert DOT_LINE.fullmatch(line), line
    for line in render(made, "mermaid", View()).split("\n"):
        assert MERMAID_LINE.fullmatch(line), line


@pytest.mark.skipif(shutil.which("dot") is None, reason="no Graphviz here")
def test_graphviz_draws_it() -> None:
    text = render(drawn("two-backends-with-two-causes"), "dot", View())
    made = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=False)
    assert made.returncode == 0 and made.stderr == "" and made.stdout.count("LBD406") == 1
