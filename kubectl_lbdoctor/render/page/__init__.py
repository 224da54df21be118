"""`-o html`: one page that holds everything it needs, to be read in a browser, attached to a ticket, or printed.

It asks for nothing: style and script stand in it, and its policy (Content-Security-Policy) admits these two by their
hashes and nothing else. Without scripts it lacks the buttons that copy commands.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil

from kubectl_lbdoctor.model.picture import Pictured
from kubectl_lbdoctor.model.run import Run
from kubectl_lbdoctor.render.markup import Child, Markup, joined, tag

__all__ = ["page"]


def page(drawn: Pictured, run: Run) -> str:
    """The whole page of a diagnosis."""
    from kubectl_lbdoctor.render.page.body import body, title

    return document(title(drawn), body(drawn, run))


def document(title: str, content: Child) -> str:
    """A page with this content, style and script."""
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("link", rel="icon", href="data:,"),  # Else a browser asks the server of the page for one.
        tag("style", Markup(style)),
    )
    return joined([Markup("<!doctype html>\n"), tag("html", head, _body(content, script), lang="en"), "\n"])


def _body(content: Child, script: str) -> Markup:
    return tag("body", content, tag("script", Markup(script)))


def _part(name: str) -> str:
    """A file of this package's data. Raises FileNotFoundError where the installation lacks it."""
    found = pkgutil.get_data("kubectl_lbdoctor", f"data/{name}")
    if found is None:
        raise FileNotFoundError(name)
    return found.decode("utf-8")


def _hash(text: str) -> str:
    """How a policy names an element by its text (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
