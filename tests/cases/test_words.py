"""The words of every recorded screen, as somebody reads them at night: no sentence too long or said twice, no code
without words, no plural that is none, nothing that only a machine needs, and no command that cannot be run as it is.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.support import cases

LONGEST = 100
NAME = 16
"""Characters of a name of usual length: longer ones are the reader's own, and count as this many."""

_COMMAND = re.compile(r"^  (?:.{10})?(?:kubectl|aws|curl|printf) ")
_CODE = re.compile(r"\bLBD\d{3}\b")
_PLACEHOLDER = re.compile(
    r"(?<![\w./={\"'-])(?:NAME|POD|TARGET|NODE|PORT|PATH|ARN|ID|NAMESPACE|NODE_IP|NODEPORT)\b(?!:)"
)
_NOUNS = "pods|targets|nodes|slices|restarts|minutes|replicas|endpoints|rules|checks|warnings|inbound rules"
_PLURAL = re.compile(rf"(?<![\d.:/-])(?<!of )\b1 (?:{_NOUNS})\b|\b1 of 1 (?:{_NOUNS})\b")


def screen(name: str, width: int = 0) -> str:
    return render(cases.result(name).report, "table", View(width))


def lines(name: str, width: int = 0) -> list[str]:
    return screen(name, width).splitlines()


def measured(sentence: str) -> int:
    """The length with names of usual length in place of long ones."""
    return len(" ".join(word[:NAME] for word in sentence.split()))


@pytest.mark.parametrize("name", cases.names())
def test_a_headline_is_one_short_sentence(name: str) -> None:
    for diagnosis in cases.result(name).report.diagnoses:
        message = diagnosis.message
        assert measured(message) <= LONGEST, message
        assert not re.search(r"[.:;,]$|\.\.|: :|\(\)|  | \)|\( |\{|\}", message), message
        assert not re.search(r"\. [A-Z]", message), f"two sentences: {message}"


@pytest.mark.parametrize("name", cases.names())
def test_nothing_is_said_twice(name: str) -> None:
    """Long texts within one screen; commands may be the same for two causes."""
    # The space between columns makes no text long.
    texts = [" ".join(line.split()).removeprefix("evidence ") for line in lines(name) if not _COMMAND.match(line)]
    said = Counter(re.sub(r"^(?:repair|rules out|explains|may be|or) +", "", text) for text in texts if len(text) > 60)
    repeated = [text for text, count in said.items() if count > 1]
    # What is ruled out, and what a finding is the cause of, belongs to each of two root causes.
    each = re.compile(r"security groups, network|the application: no packet|.* \(LBD\d{3}\)$")
    assert [text for text in repeated if not each.match(text)] == []


@pytest.mark.parametrize("name", cases.names())
def test_a_code_has_its_words(name: str) -> None:
    for line in lines(name):
        codes = _CODE.findall(line)
        if codes and not _COMMAND.match(line):
            rest = _CODE.sub("", line)
            assert len(re.findall(r"[A-Za-z]{2,}", rest)) >= 3, line


@pytest.mark.parametrize("name", cases.names())
def test_numbers_agree_with_their_nouns(name: str) -> None:
    assert _PLURAL.findall(screen(name)) == []


@pytest.mark.parametrize("name", cases.names())
def test_only_what_a_person_needs_is_quoted(name: str) -> None:
    text = screen(name)
    assert not re.search(r"RequestID|request id|StatusCode|Encoded authorization", text)
    assert not re.search(r"assumed-role/[^/\s]+/", text), "the session's name says nothing"
    assert "nobody reads" not in text and "one of the two" not in text and "one of these" not in text


@pytest.mark.parametrize("name", cases.names())
def test_commands_run_as_they_stand(name: str) -> None:
    """No name in capitals stands for what is known, and the namespace is kubectl's, not that of a program in a pod."""
    for line in filter(_COMMAND.match, lines(name)):
        assert _PLACEHOLDER.findall(line) == [], line
        inner = line.partition(" -- ")[2]
        assert not re.search(r" -n \S+$", inner), line


@pytest.mark.parametrize("name", cases.names())
@pytest.mark.parametrize("width", [40, 80])
def test_the_screen_keeps_to_the_width(name: str, width: int) -> None:
    """Lines are broken between words; commands stay whole, and so does a word that is wider than half of the screen."""
    for line in lines(name, width):
        widest = max(map(len, line.split()), default=0)
        assert len(line) <= width or _COMMAND.match(line) or widest >= width // 2, line


@pytest.mark.parametrize("name", cases.names())
def test_every_finding_says_what_to_do(name: str) -> None:
    for diagnosis in cases.result(name).report.diagnoses:
        finding = diagnosis.finding
        assert finding.commands or finding.advice or finding.repair_template or finding.hypotheses, finding.code


@pytest.mark.parametrize("name", cases.names())
def test_the_verdict_does_not_contradict_itself(name: str) -> None:
    """What does not work is not said to be healthy, and what is healthy is not said to be broken."""
    last = [line for line in lines(name) if re.match(r"(?:not working|degraded|unknown|healthy): ", line)]
    assert len(last) == len(cases.result(name).report.subjects)
    for verdict in last:
        assert not re.search(r"\b0 of 0\b|: \d+ of \d+ targets healthy", verdict)
        if verdict.startswith("not working"):
            assert _CODE.search(verdict), verdict


@pytest.mark.parametrize("name", cases.names())
def test_a_backend_without_a_port_is_named_without_one(name: str) -> None:
    named = [backend for subject in cases.result(name).report.subjects for backend in subject.backends_without_group]
    assert [backend for backend in named if backend.endswith(":")] == []
