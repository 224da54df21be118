"""The page of `-o html`: whole without anything else, in its order, accessible, and with texts that stay texts."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.analysis.pictures import pictured
from kubectl_lbdoctor.model.finding import ObjectRef
from kubectl_lbdoctor.model.picture import Hop, Picture, Pictured, Place, Verdict
from kubectl_lbdoctor.model.report import Ignored, Status
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.markup import Markup, joined, tag
from kubectl_lbdoctor.render.text import clean
from kubectl_lbdoctor.render.view import View
from tests.render.test_golden import WRONG_PATH, report, subject
from tests.support import cases

CASE = "LBD501-security-group-rule-revoked"
EMPTY = {"meta", "link", "br"}


class Parsed(HTMLParser):
    """A page as a browser reads it: its elements with attributes, its texts, and the pairs that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.inside: dict[str, list[str]] = {"style": [], "script": []}
        self.wrong: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.wrong += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.inside:
            self.inside[self._open[-1]].append(data)
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(name: str) -> str:
    run = cases.result(name)
    return render(pictured(run.report, run.snapshot), "html", View())


@pytest.mark.parametrize("name", cases.names()[::5])
def test_a_page_is_whole_and_asks_for_nothing(name: str) -> None:
    page = page_of(name)
    parsed = Parsed(page)
    assert parsed.wrong == [] and len(page.encode()) < 300_000
    assert {tag for tag, _ in parsed.elements} & {"img", "iframe", "object", "embed", "form", "base", "svg"} == set()
    for tag_, attributes in parsed.elements:
        assert not {"src", "style", "srcset", "onclick", "onload"} & attributes.keys(), (tag_, attributes)
        assert tag_ == "a" or attributes.get("href", "data:,") == "data:,"
        if tag_ == "a":
            assert re.match("#|https://", attributes["href"])
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    local = {attributes["href"][1:] for attributes in parsed.of("a") if attributes["href"].startswith("#")}
    assert local <= set(ids)


def test_the_policy_admits_its_own_style_and_script_alone() -> None:
    parsed = Parsed(page_of(CASE))
    (policy,) = [m["content"] for m in parsed.of("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for name in ("style", "script"):
        digest = hashlib.sha256("".join(parsed.inside[name]).encode()).digest()
        assert rules[f"{name}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"


def test_first_what_is_wrong_then_where_then_what_to_do() -> None:
    text = Parsed(page_of(CASE)).text
    parts = ("not working", "What is wrong", "Where on the way", "What to do", "Hop by hop", "When and where")
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.startswith("\nIngress shop/web: unhealthy") and "2030-01-07T12:00:00Z" in text


def test_the_broken_hop_carries_code_sentence_and_command() -> None:
    page = page_of(CASE)
    (box,) = re.findall(r'<div class="call error" id="at-1">.*?</div>', page, re.S)
    text = Parsed(box).text
    assert "LBD501 error" in text and "kubectl lbdoctor --fix security-group ingress/web -n shop" in text
    assert "targets do not admit the load balancer: no TCP 8080 from sg-00000000000000101" in text


def at_the_hop(name: str, rank: int = 1) -> str:
    """What stands at the broken hop of a case: code, sentence, what to do."""
    (box,) = re.findall(rf'<div class="call [a-z]+" id="at-{rank}">.*?</div>', page_of(name), re.S)
    return Parsed(box).text


def test_a_broken_hop_says_where_its_cause_is_not_certain() -> None:
    assert "probably: the TCP check of UDP target group" in at_the_hop("LBD315-udp-check-port-closed")


def test_a_broken_hop_without_a_command_has_the_advice() -> None:
    text = at_the_hop("LBD402-image-missing")
    assert "correct the image name or tag, or give the pods an imagePullSecret that may pull it" in text
    text = at_the_hop("LBD143-gateway-missing")
    assert "make the Gateway web, or name another in parentRefs" in text and "kubectl edit httproute/web" in text


def test_where_no_cause_is_proven_the_hop_has_what_settles_it() -> None:
    assert "to settlekubectl lbdoctor probe ingress/web -n shop" in at_the_hop("denied-ec2-beside-timeouts")
    assert "about: targetgroup/k8s-shop-web-0000000101" in Parsed(page_of("denied-ec2-beside-timeouts")).text


@pytest.mark.parametrize("name", cases.names()[::4])
def test_what_stands_at_a_hop_runs_as_it_stands(name: str) -> None:
    for box in re.findall(r'<div class="(?:call|step)[^>]*>.*?</div>', page_of(name), re.S):
        assert "=VALUE" not in Parsed(box).text


def test_what_is_wrong_names_the_hop_and_leads_to_it() -> None:
    page = page_of(CASE)
    (wrong,) = re.findall(r'<ol class="wrong">.*?</ol>', page, re.S)
    text = Parsed(wrong).text
    assert "at the hop: security groups of the target, in sg-00000000000000001; to change: securitygroup/sg-" in text
    assert '<a href="#at-1">' in wrong and "kubectl lbdoctor --fix security-group ingress/web -n shop" in text


def test_many_findings_do_not_keep_the_picture_from_being_seen() -> None:
    many = tuple(replace(WRONG_PATH, rank=rank) for rank in range(1, 25))
    page = render(Pictured(report(Status.UNHEALTHY, subject(Status.UNHEALTHY), diagnoses=many), ()), "html", View())
    (wrong,) = re.findall(r'<ol class="wrong">.*?</ol>', page, re.S)
    assert wrong.count("<li") == 5 and "and 19 more findings: below" in page
    assert page.count("<article") == 24  # Each of them has its card below.


def test_a_backend_of_which_nothing_came_to_be_is_not_drawn() -> None:
    page = page_of("LBD143-gateway-missing")
    assert 'class="branch' not in page and "diagram from-beyond alone" in page


def test_below_stands_what_it_rests_on() -> None:
    text = Parsed(page_of(CASE)).text
    assert "aws ec2 describe-security-groups --group-ids sg-00000000000000001 --region us-west-2" in text
    assert "the application: no packet reaches it, or no reply returns" in text
    assert "The rules of all security groups of the target's interface together do not admit" in text
    assert "entry 100 allows 0.0.0.0/0" in text


def test_what_was_not_read_names_the_permission() -> None:
    text = Parsed(page_of("denied-ec2-beside-timeouts")).text
    assert "What could not be read" in text and "LBD001 denied: ec2:DescribeNetworkInterfaces" in text
    assert "not read: ec2:DescribeNetworkInterfaces, ec2:DescribeSubnets" in text


@pytest.mark.parametrize("name", [CASE, "LBD301-path-404", "denied-ec2-beside-timeouts", "LBD208-zone-disabled"])
def test_every_hop_has_a_name_with_its_verdict(name: str) -> None:
    """For screen readers, and for those who see no colours: a word, and not the sign or the colour alone."""
    page = page_of(name)
    parsed = Parsed(page)
    boxes = [attributes for tag_, attributes in parsed.elements if attributes.get("class") == "box"]
    assert len(boxes) == page.count('class="box"') > 10
    for box in boxes:
        assert box["role"] == "group"
        assert re.search(r": (passes|blocks|unknown|not reached)( \(\d+ of \d+ targets\))?(,|$)", box["aria-label"])


def test_several_objects_have_a_picture_each() -> None:
    two = replace(subject(Status.HEALTHY), ref=ObjectRef("Service", "shop", "api"))
    made = report(Status.UNHEALTHY, subject(Status.UNHEALTHY), two, diagnoses=(WRONG_PATH,))
    pictures = tuple(Picture(s.ref, s.status, (), ()) for s in made.subjects)
    parsed = Parsed(render(Pictured(made, pictures), "html", View()))
    assert parsed.wrong == []
    opened = ["open" in attributes for attributes in parsed.of("details") if attributes.get("class") == "subject"]
    assert opened == [True, False]  # What is healthy is closed.
    assert "Ingress shop/web" in parsed.text and "Service shop/api" in parsed.text and "2 objects" in parsed.text


def test_of_hundreds_of_objects_the_worst_have_a_line() -> None:
    views = [replace(subject(Status.HEALTHY), ref=ObjectRef("Service", "shop", f"s{n}")) for n in range(399)]
    made = report(Status.UNHEALTHY, *views, subject(Status.UNHEALTHY), diagnoses=(WRONG_PATH,))
    page = render(Pictured(made, ()), "html", View())
    parsed = Parsed(page)
    assert len(page.encode()) < 300_000 and parsed.wrong == []
    assert parsed.text.index("Ingress shop/web") < parsed.text.index("Service shop/s0")
    assert "1 not working, 399 healthy" in parsed.text and "and 250 more objects" in parsed.text


def test_what_is_ignored_is_told() -> None:
    made = report(Status.UNHEALTHY, subject(Status.UNHEALTHY))
    made = replace(made, ignored=(Ignored(WRONG_PATH, (), "--ignore"),))
    text = Parsed(render(Pictured(made, ()), "html", View())).text
    assert "What is ignored" in text and "LBD301" in text


def test_a_report_without_objects_is_a_page_too() -> None:
    parsed = Parsed(render(Pictured(report(Status.UNKNOWN), ()), "html", View()))
    assert parsed.wrong == [] and "there is nothing to look at" in parsed.text


# --- Texts from a cluster stay texts ----------------------------------------------------------------------------------

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "<!--",
    "]]>",
    "&lt;b&gt;",
    "javascript:alert(1)",
    "\u202egnp.exe\u200b",
    "\x1b[31mred\x07",
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))


def planted(text: str) -> Pictured:
    """A report and its picture with this text wherever a cluster may have written."""
    ref = ObjectRef("Ingress", text, text)
    evidence = tuple(replace(entry, source=text, text=text) for entry in WRONG_PATH.finding.evidence)
    finding = replace(WRONG_PATH.finding, object=ref, evidence=evidence, advice=text, rules_out=text, confirm=(text,))
    diagnosis = replace(WRONG_PATH, finding=finding, message=text, title=text, affects=(ref,))
    made = report(Status.UNHEALTHY, replace(subject(Status.UNHEALTHY), ref=ref), diagnoses=(diagnosis,))
    made = replace(made, context=replace(made.context, cluster=text, kube_context=text))
    hop = Hop(Place.OBJECT, text, Verdict.BLOCKS, text, (text,), causes=(1,))
    return Pictured(made, (Picture(ref, Status.UNHEALTHY, (hop,), (hop, hop)),))


def shape(page: str) -> list[str]:
    """The elements of a page but for those that a text is torn into (`unbroken`)."""
    parsed = Parsed(page)
    assert parsed.wrong == []
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes)
    return [tag_ for tag_, _ in parsed.elements if tag_ not in ("span", "code", "p", "ul", "li", "section", "h2", "dd")]


@given(texts)
def test_a_hostile_text_adds_no_element(text: str) -> None:
    page = render(planted(text), "html", View())
    assert shape(page).count("script") == 1 and shape(page).count("style") == 1
    plain = shape(render(planted("x"), "html", View()))
    assert {*shape(page)} <= {*plain}


@given(texts)
def test_a_text_reads_as_it_was_written(text: str) -> None:
    assert Parsed(tag("p", text)).text == clean(text)
    assert Parsed(tag("p", "", title=text)).of("p") == [{"title": clean(text)} if text else {}]


def test_only_markup_is_put_in_as_it_is() -> None:
    assert joined(["<b>", Markup("<i></i>"), None, ("&",)]) == "&lt;b&gt;<i></i>&amp;"
    assert tag("details", "x", open=True, class_="", hidden=False) == "<details open>x</details>"
