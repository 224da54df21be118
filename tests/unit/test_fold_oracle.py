"""The fold of findings compares only what shares a path; it must say what comparing all pairs said."""

from __future__ import annotations

import copy
import random

import pytest

from kubectl_lbdoctor import correlate
from kubectl_lbdoctor.checks.registry import CheckSpec
from kubectl_lbdoctor.correlate import _Merged
from kubectl_lbdoctor.model.finding import Confidence, Finding, ObjectRef, Severity

CODES = tuple(f"LBD9{number:02d}" for number in range(7))
PATHS = tuple("abcde")
TARGETS = ("t:1", "t:2", "t:3")


def fold_of_all_pairs(merged: list[_Merged]) -> None:
    """The plain fold: every finding is compared with every other one."""

    def explains(cause: _Merged, effect: _Merged) -> bool:
        return bool(cause.paths & effect.paths) and correlate._explains(cause, effect)

    effects = {id(cause): [e for e in merged if explains(cause, e)] for cause in merged}
    explained = {id(effect) for found in effects.values() for effect in found}
    heads = [m for m in merged if id(m) not in explained]
    reached: set[int] = set()
    for head in (*heads, *sorted(merged, key=correlate._order)):
        if id(head) in reached:
            continue
        reached.add(id(head))
        chain = list(effects[id(head)])
        while chain:
            effect = chain.pop(0)
            if effect is head or (id(effect) in reached and not effect.folded):
                continue
            if effect.spec.code not in head.explains and effect.spec.code != head.spec.code:
                head.explains.append(effect.spec.code)
            if id(effect) not in reached:
                reached.add(id(effect))
                chain += effects[id(effect)]
            effect.folded = True


def random_findings(chance: random.Random) -> list[_Merged]:
    """Findings whose codes explain each other at random, in circles too, on paths of their own or in common."""
    specs = {
        code: CheckSpec(
            code,
            "title",
            chance.choice(list(Severity)),
            "message",
            "doc",
            explains=tuple(chance.sample(CODES, chance.randint(0, 3))),
            symptom=chance.random() < 0.3,
        )
        for code in (*CODES, correlate.UNEXPLAINED)
    }
    return [
        _Merged(
            specs[code],
            Finding(
                code,
                ObjectRef("Ingress", "shop", f"web{number}"),
                confidence=chance.choice(list(Confidence)),
                targets=tuple(chance.sample(TARGETS, chance.randint(0, 3))),
                severity=chance.choice([None, None, *Severity]),
            ),
            set(chance.sample(PATHS, chance.randint(0, 3))),
        )
        for number, code in enumerate(chance.choices(list(specs), k=chance.randint(0, 14)))
    ]


@pytest.mark.parametrize("seed", range(300))
def test_the_fold_says_what_comparing_all_pairs_says(seed: int) -> None:
    fast = random_findings(random.Random(seed))
    plain = copy.deepcopy(fast)
    correlate._fold(fast)
    fold_of_all_pairs(plain)
    assert [(m.folded, m.explains) for m in fast] == [(m.folded, m.explains) for m in plain]
