"""The words that name objects on the command line, in all of kubectl's forms and in those that people have in hand.

`ing web api`, `ing,svc web`, `ing/web svc/api`, `ingress.networking.k8s.io/web` (what `-o name` prints), `ing` alone
for all of a namespace, `shop/web` as the tables print it, a DNS name or URL of the site, an ARN, the name of a load
balancer or target group, and `-` for such words on standard input. Nothing is looked up here.

https://kubernetes.io/docs/reference/kubectl/#syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from kubectl_lbdoctor import PROGRAM
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.model.asked import AllOf, Asked, AwsName, Named, Site
from kubectl_lbdoctor.model.kinds import (
    BY_ALIAS,
    COMMAND_LINE,
    ENDPOINTS,
    LEADS_TO_SUBJECTS,
    LOAD_BALANCER,
    NAMESPACE,
    TARGET_GROUP,
    Kind,
)

_KIND_OF: dict[str, Kind] = {**BY_ALIAS, **{alias: kind for kind in LEADS_TO_SUBJECTS for alias in kind.aliases}}

_ONLY_BY_NAME = (NAMESPACE, ENDPOINTS)

_NO_WAY = "no load balancer is made from it, and none leads to it"
_REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("gatewayclass", "gatewayclasses", "gc"),
        ("it is diagnosed with the Gateways of its class", f"{PROGRAM} gateway NAME"),
    ),
    **dict.fromkeys(
        ("secret", "secrets"),
        ("the certificates of these load balancers are in ACM or IAM, not in Secrets", f"{PROGRAM} ing NAME"),
    ),
    **dict.fromkeys(
        (
            *(
                "configmap",
                "configmaps",
                "cm",
                "job",
                "jobs",
                "job.batch",
                "cronjob",
                "cronjobs",
                "cj",
                "cronjob.batch",
            ),
            *("ingressclass", "ingressclasses", "serviceaccount", "serviceaccounts", "sa", "event", "events", "ev"),
            *("persistentvolumeclaim", "persistentvolumeclaims", "pvc", "networkpolicy", "networkpolicies", "netpol"),
        ),
        (_NO_WAY, f"name what the load balancer is made for: {PROGRAM} ing NAME"),
    ),
}
"""Kinds that kubectl knows and that are not taken, each with the reason and what to do instead."""

_CONTROLLER_NAME = re.compile(r"k8s-[a-zA-Z0-9-]+")
"""How the controller names load balancers and target groups: k8s-NAMESPACE-NAME-HASH
(pkg/deploy/elbv2 and docs/guide/ingress/annotations of the AWS Load Balancer Controller)."""


def kinds_of(word: str) -> tuple[Kind, ...]:
    """The kinds of "ing" or "ing,svc"; none where the word is no list of kinds.

    Raises UsageError for a kind that kubectl knows and that leads to no load balancer.
    """
    parts = word.lower().split(",")
    if not all(part in _KIND_OF or part in _REFUSED for part in parts):
        return ()
    for part in parts:
        if part in _REFUSED:
            reason, hint = _REFUSED[part]
            raise UsageError(f"{part} is not diagnosed: {reason}", hint)
    return tuple(dict.fromkeys(_KIND_OF[part] for part in parts))


def names_objects(word: str) -> bool:
    """Whether the first word after `kubectl lbdoctor` names objects, and is no command."""
    if word in ("-",) or any(mark in word for mark in ("/", ".", "arn:")):
        return True
    known = all(part in _KIND_OF or part in _REFUSED for part in word.lower().split(","))
    return known or _CONTROLLER_NAME.fullmatch(word) is not None


def parse(words: Sequence[str], stdin: TextIO | None = None) -> tuple[Asked, ...]:
    """What these words ask about, each once. Kinds may come first, as in `kubectl get`. stdin: what `-` stands for.

    Raises UsageError for a word that names nothing, or a kind that is not known.
    """
    kinds = kinds_of(words[0]) if words and "/" not in words[0] else ()
    rest = [*words[1:]] if kinds else [*words]
    if kinds and not rest:
        for kind in kinds:
            if kind.in_aws or kind in _ONLY_BY_NAME:
                raise UsageError(f"which {kind.name}? A name is missing", f"{PROGRAM} {kind.aliases[0]} NAME")
        return (AllOf(kinds),)
    found: dict[Asked, None] = {}
    for word in rest:
        for single in _piped(stdin) if word == "-" else (word,):
            found.update(dict.fromkeys(_asked(single, kinds)))
    return tuple(found)


def _piped(stdin: TextIO | None) -> Sequence[str]:
    if stdin is None or stdin.isatty():
        raise UsageError(
            "- reads names from standard input, which is a terminal", f"kubectl get ing -o name | {PROGRAM} -"
        )
    words = stdin.read().split()
    if not words:
        raise UsageError("standard input names no object", f"kubectl get ing -o name | {PROGRAM} -")
    return words


def _asked(word: str, kinds: tuple[Kind, ...]) -> Iterator[Asked]:
    if word.startswith("arn:"):
        yield Named(_kind_of_arn(word), word)
        return
    prefix, slash, name = word.partition("/")
    if slash and "://" not in word and (written := kinds_of(prefix)):
        yield from _of_kind(word, written, name, kinds)
    elif any(kind.in_aws for kind in kinds):
        yield from (Named(kind, word) for kind in kinds)
    elif word.lower().endswith((".yaml", ".yml", ".json")) and not kinds:
        raise UsageError(f'"{word}" looks like a file', f"{PROGRAM} -f {word}")
    elif "://" in word or ("." in (prefix if slash else word) and not kinds):
        yield _site(word)
    elif slash:
        yield from _in_namespace(word, kinds)
    elif kinds:
        yield from (Named(kind, word) for kind in kinds)
    elif _CONTROLLER_NAME.fullmatch(word):
        yield AwsName(word)
    else:
        raise UsageError(f'"{word}" names no kind', "write KIND/NAME, for example ing/web")


def _of_kind(word: str, written: tuple[Kind, ...], name: str, kinds: tuple[Kind, ...]) -> Iterator[Asked]:
    """KIND/NAME; kinds: of the command, "" for none."""
    aws = any(kind.in_aws for kind in written)
    if not name or ("/" in name and not aws):
        raise UsageError(f'"{word}" is not KIND/NAME', f"for example {written[0].aliases[0]}/web")
    if kinds and not {*written} <= {*kinds}:
        about = " and ".join(kind.name for kind in kinds)
        raise UsageError(f'"{word}" is a {written[0].name}, but the command is about {about}', f"{PROGRAM} {word}")
    for kind in written:
        yield AllOf((), name) if kind is NAMESPACE else Named(kind, name)


def _in_namespace(word: str, kinds: tuple[Kind, ...]) -> Iterator[Asked]:
    """NAMESPACE/NAME, as the tables print objects."""
    import difflib

    namespace, _, name = word.partition("/")
    near = difflib.get_close_matches(namespace.lower(), [a for a in _KIND_OF if "." not in a], n=1, cutoff=0.8)
    known = ", ".join(kind.aliases[0] for kind in (*COMMAND_LINE, *LEADS_TO_SUBJECTS))
    if not namespace or not name or "/" in name:
        raise UsageError(f'"{word}" is not KIND/NAME with a known kind', f"known kinds: {known}")
    if near and not kinds:
        raise UsageError(f'"{word}" is not KIND/NAME with a known kind', f"did you mean {near[0]}/{name}?")
    yield from (Named(kind, name, namespace) for kind in kinds or (None,))


def _kind_of_arn(word: str) -> Kind:
    from kubectl_lbdoctor.model.arn import parse as parse_arn

    arn = parse_arn(word)
    if arn is not None and arn.target_group:
        return TARGET_GROUP
    if arn is not None and arn.load_balancer:
        return LOAD_BALANCER
    raise UsageError(f'"{word}" is neither a target group nor a load balancer')


def _site(word: str) -> Site:
    """A URL, or a DNS name with or without a path: "https://shop.example.com/api", "shop.example.com"."""
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(word if "://" in word else f"//{word}")
        host = (parts.hostname or "").rstrip(".")
    except ValueError as error:
        raise UsageError(f'"{word}" is no URL: {error}', f"for example {PROGRAM} https://shop.example.com/") from error
    if not host:
        raise UsageError(f'"{word}" is no URL with a host', f"for example {PROGRAM} https://shop.example.com/")
    return Site(host, unquote(parts.path), word)


def without_files(question: tuple[Asked, ...], files: Sequence[str], labels: str, fields: str) -> None:
    """Raise UsageError where objects are named beside -f, as kubectl does."""
    if files and (question or labels or fields):
        raise UsageError("-f names the objects: no other word and no selector goes with it", f"{PROGRAM} -f FILE")


def selected(question: tuple[Asked, ...], labels: str, fields: str) -> tuple[Asked, ...]:
    """The question with the selectors of -l and --field-selector; without any word they are about all of a namespace.

    Raises UsageError where something is named as well, as kubectl does.
    """
    if not labels and not fields:
        return question
    swept = [asked for asked in question if isinstance(asked, AllOf)]
    if len(swept) < len(question):
        raise UsageError("a name cannot be given together with a selector", f"{PROGRAM} ing -l app=web")
    return tuple(replace(asked, labels=labels, fields=fields) for asked in swept or (AllOf(),))
