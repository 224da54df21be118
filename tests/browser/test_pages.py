"""Pages in a real Chromium, at several widths, in light and dark: nothing is cut, nothing is asked for, nothing runs.

`make browser-test` runs them; they are skipped where Playwright or a Chromium is missing. PAGES=DIR keeps screenshots.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.pictures import pictured
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.render.test_page import HOSTILE, planted
from tests.support import cases

playwright = pytest.importorskip("playwright.sync_api", reason="make browser-test installs Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium on PATH")

MODULES = Path(os.environ.get("BROWSER_MODULES", "node_modules"))
FAULTS = (
    "LBD301-path-404",
    "LBD501-security-group-rule-revoked",
    "LBD502-node-groups-pod-on-first",
    "LBD507-acl-request-denied-in-one-zone",
    "LBD513-policy-without-the-load-balancer",
    "LBD106-missing-service",
    "LBD120-register-denied",
    "LBD402-image-missing",
    "denied-ec2-beside-timeouts",
    "two-backends-with-two-causes",
)
SIZES = [(320, "light"), (360, "light"), (800, "light"), (1400, "light"), (1400, "dark")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Look:
    """A page that is open, with what its console said and what it asked for."""

    def __init__(self, browser: Any, file: Path, width: int, scheme: str = "light") -> None:
        self.page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())

    @property
    def beyond(self) -> list[str]:
        """What left the page."""
        return [url for url in self.asked[1:] if not url.startswith("data:")]


def written(name: str, folder: Path) -> Path:
    run = cases.result(name)
    file = folder / f"{name}.html"
    file.write_text(render(pictured(run.report, run.snapshot), "html", View()), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", FAULTS)
def test_a_page_in_a_browser(chromium: Any, name: str, tmp_path: Path) -> None:
    file = written(name, tmp_path)
    for width, scheme in SIZES:
        look = Look(chromium, file, width, scheme)
        if kept := os.environ.get("PAGES"):
            look.page.screenshot(path=f"{kept}/{name}-{width}-{scheme}.png", full_page=True)
        assert look.said == [] and look.beyond == []
        assert look.page.evaluate("document.documentElement.scrollWidth") <= width
        look.page.context.close()


@pytest.mark.parametrize("name", FAULTS)
def test_what_to_do_is_seen_without_scrolling(chromium: Any, name: str, tmp_path: Path) -> None:
    """On a laptop the broken hop begins on the first screen; on a telephone, where the picture is long, what stands at
    that hop does."""
    file = written(name, tmp_path)
    for width, height, first in ((1400, 850, ".diagram .call"), (360, 740, ".wrong .step")):
        page = chromium.new_context(viewport={"width": width, "height": height}).new_page()
        page.goto(file.as_uri())
        shown = page.locator(first).first.bounding_box()
        assert shown is not None and shown["y"] < height, (width, shown)
        page.context.close()


def test_a_laptop_shows_the_command_once_before_what_to_do(chromium: Any, tmp_path: Path) -> None:
    look = Look(chromium, written(FAULTS[0], tmp_path), 1400)
    assert look.page.locator(".wrong .step:visible").count() == 0
    assert look.page.locator(".diagram pre.command:visible").count() == 1
    look.page.emulate_media(media="print")
    assert look.page.locator(".wrong .step:visible").count() == 1
    look.page.context.close()


@pytest.mark.skipif(not (MODULES / "axe-core").is_dir(), reason="make browser-test installs axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", FAULTS)
def test_axe_finds_nothing(chromium: Any, name: str, scheme: str, tmp_path: Path) -> None:
    look = Look(chromium, written(name, tmp_path), 1400, scheme)
    look.page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    look.page.evaluate((MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found = look.page.evaluate("axe.run(document)")
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    look.page.context.close()


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_text_stays_text(chromium: Any, number: int, tmp_path: Path) -> None:
    file = tmp_path / "hostile.html"
    file.write_text(render(planted(HOSTILE[number]), "html", View()), encoding="utf-8")
    look = Look(chromium, file, 800)
    shown = look.page.evaluate("document.querySelectorAll('script, img, svg, iframe').length")
    assert shown == 1 and look.said == [] and look.beyond == []  # Its own script.
    look.page.context.close()


def test_a_command_is_copied_whole(chromium: Any, tmp_path: Path) -> None:
    look = Look(chromium, written(FAULTS[1], tmp_path), 1400)
    look.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    look.page.click(".call pre.command button")
    look.page.wait_for_selector("text=copied")
    assert look.page.evaluate("navigator.clipboard.readText()") == (
        "kubectl lbdoctor --fix security-group ingress/web -n shop"
    )
    look.page.context.close()


def test_without_scripts_everything_is_there_but_the_buttons(chromium: Any, tmp_path: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(written(FAULTS[1], tmp_path).as_uri())
    assert page.locator("pre.command").count() >= 4 and page.locator("button").count() == 0
    context.close()
