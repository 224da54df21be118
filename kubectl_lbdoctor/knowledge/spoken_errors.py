"""Error texts of the controller as a person would pass them on: a clause for a headline, and the quotation without what
only a machine needs (request ids, status codes, session names, the controller's own repetitions)."""

from __future__ import annotations

import re

from kubectl_lbdoctor.knowledge.aws_errors import without_encoded_message
from kubectl_lbdoctor.model import kinds

_NAMES = frozenset({*(kind.name for kind in kinds.KINDS.values()), "Kubernetes", "Secret", "Pod", "Node"})
"""Words that begin a sentence with a capital of their own: what follows them is a name."""

_SDK = re.compile(
    r"(?:operation error [\w ]+?: )?(?P<operation>\w+)?,? ?(?:exceeded maximum number of attempts, \d+, )?"
    r"https response error StatusCode: \d+, RequestID: [\w-]*, (?:api error )?"
)
_SDK_V1 = re.compile(r"\s*status code: \d+, request id: [\w-]*")
_SESSION = re.compile(r"(:assumed-role/[^/\s]+)/\S+")
_DUE_TO = re.compile(r"^(\w+): Failed [\w ]*?(?:due to|model:) ?")
_WEBHOOK_URL = re.compile(r'(failed calling webhook "[^"]+"): failed to call webhook: Post "[^"]*": ?')
_LONGEST = 240


def clause(sentence: str) -> str:
    """A sentence of ours as the end of another: without its full stop, and small where its first word is no name."""
    text = sentence.rstrip().rstrip(".")
    first = text.partition(" ")[0]
    is_word = len(first) == 1 or first[1:].islower()
    return text[:1].lower() + text[1:] if is_word and first not in _NAMES else text


def quotation(text: str, most: int = _LONGEST) -> str:
    """What the controller said, in its words, without what no person needs; cut between words."""
    said = _SDK.sub(
        lambda found: f"{found['operation']}: " if found["operation"] else "", without_encoded_message(text)
    )
    said = _SESSION.sub(r"\1", _SDK_V1.sub("", said))
    said = _WEBHOOK_URL.sub(r"\1: ", _DUE_TO.sub(r"\1: ", said))
    return shortened(" ".join(said.split()), most)


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, cut between words and marked where something is left out."""
    if len(text) <= most:
        return text
    return text[: most - 1].rpartition(" ")[0].rstrip(" ,;:") + " …"
