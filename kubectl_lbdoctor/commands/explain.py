"""`explain` and `checks`: what a code, a reason of AWS or a fix means, and which codes there are. Nothing is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.checks.registry import Catalogue, CheckSpec
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus, UsageError
from kubectl_lbdoctor.knowledge import health_reasons
from kubectl_lbdoctor.knowledge.fixes import FIXES
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.topics import Explanation, FixTopic, ReasonTopic, Topic
from kubectl_lbdoctor.render.view import View
from kubectl_lbdoctor.suggestions import likely, question

_CODE = re.compile(r"(?:LBD[- ]?)?([0-9]{3})", re.IGNORECASE)
_PREFIX = re.compile(r"(?:LBD[- ]?)?([0-9]{1,3})", re.IGNORECASE)


def explain(options: Options, env: Environment, words: Sequence[str]) -> ExitStatus:
    """Explain codes ("LBD301", "301"), reasons ("Target.Timeout", "timeout") and fixes ("targetport").

    Raises UsageError for a word that is none of these.
    """
    _print(explanation(words), options, env)
    return ExitStatus.HEALTHY


def explanation(words: Sequence[str]) -> Explanation:
    """What these words mean, each once. Raises UsageError for one that means nothing."""
    return Explanation(tuple(dict.fromkeys(topic for word in words for topic in _topics(word))))


def _topics(word: str) -> Iterator[Topic]:
    """What a word means. A fix may have the name of a reason; then it means both."""
    code = _CODE.fullmatch(word)
    spec = CATALOGUE.get(f"LBD{code[1]}") if code is not None else None
    reason = health_reasons.find(word)
    fix = word.lower()
    if spec is not None:
        yield spec
    if reason is not None:
        yield ReasonTopic(reason, tuple(CATALOGUE[code] for code in reason.causes))
    if fix in FIXES:
        yield FixTopic(fix, FIXES[fix], tuple(spec for spec in CATALOGUE if spec.fix == fix))
    if spec is None and reason is None and fix not in FIXES:
        names = (*(spec.code for spec in CATALOGUE), *health_reasons.HEALTH_REASONS, *_short_reasons(), *FIXES)
        raise UsageError(
            f'there is no check, no reason of AWS and no fix "{word}"',
            question(likely(word, names)) or "list the codes and their fixes with: kubectl lbdoctor checks",
        )


def _short_reasons() -> Iterable[str]:
    return (name.partition(".")[2] for name in health_reasons.HEALTH_REASONS)


def checks(options: Options, env: Environment, prefixes: Sequence[str], fixable: bool) -> ExitStatus:
    """List the checks whose codes begin so ("LBD3", "3"), all without any; of these only what --fix can repair.

    Raises UsageError where none is left.
    """
    _print(chosen(prefixes, fixable), options, env)
    return ExitStatus.HEALTHY


def chosen(prefixes: Sequence[str], fixable: bool) -> Catalogue:
    """The checks that `checks` lists. Raises UsageError where none is left."""
    found = Catalogue()
    for spec in _beginning(prefixes):
        if spec.fix or not fixable:
            found.specs[spec.code] = spec
    if not found.specs:
        raise UsageError(f"no fix is known for {', '.join(prefixes)}", "leave out --fixable")
    return found


def _print(result: object, options: Options, env: Environment) -> None:
    view = View(env.width, headers=not options.output.no_headers, run=env.run(ExitStatus.HEALTHY))
    env.out(render(result, options.output.format, view))


def _beginning(prefixes: Sequence[str]) -> Iterator[CheckSpec]:
    for prefix in prefixes or ("LBD",):
        digits = _PREFIX.fullmatch(prefix)
        wanted = f"LBD{digits[1]}" if digits is not None else prefix.upper()
        found = [spec for spec in CATALOGUE if spec.code.startswith(wanted)]
        if not found:
            raise UsageError(f'no code begins with "{prefix}"', "codes look like LBD301; LBD3 means all of LBD3xx")
        yield from found
