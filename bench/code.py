"""Figures that are counted."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "kubectl_lbdoctor"
KINDS = ("Ingress", "TargetGroupBinding")
LONG = 50


def counted() -> None:
    """How many files spell out a kind, and how many functions are longer than a screen."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    print(f"\nCounted in {len(trees)} files of {PACKAGE.name}")
    for kind in KINDS:
        print(f"{sum(_spells(tree, kind) for tree in trees.values()):>7} files with the literal {kind!r}")
    either = sum(any(_spells(tree, kind) for kind in KINDS) for tree in trees.values())
    print(f"{either:>7} files with either")
    lengths = [
        node.end_lineno - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None
    ]
    longest = max(lengths)
    print(f"{sum(n > LONG for n in lengths):>7} of {len(lengths)} functions over {LONG} lines, the longest {longest}")


def _spells(tree: ast.AST, word: str) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == word for node in ast.walk(tree))
