"""Figures that are counted, and what the start costs."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import time
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


def start(runs: int = 9) -> None:
    """`--help` beside the interpreter alone; medians."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "kubectl lbdoctor --help": [sys.executable, "-m", PACKAGE.name, "--help"],
    }
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=PACKAGE.parent)
            samples[name].append(time.perf_counter() - begun)
    print("\nStart")
    base = statistics.median(samples["python -c pass"])
    for name, values in samples.items():
        middle = statistics.median(values)
        print(f"{middle * 1e3:>7.0f} ms {middle / base:>5.1f} x  {name}")
