"""Names of the project that docstrings quote are names that it has: a renamed function leaves no dead pointer behind.

Only what can be nothing else is looked at: names with an underscore, dotted names of a room, and what stands behind
"see". Fields of Kubernetes and AWS are written otherwise.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import kubectl_lbdoctor

ROOT = Path(kubectl_lbdoctor.__file__).parent
_QUOTED = re.compile(r"(\bsee\s+)?`([A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z_]\w*)*)`")
_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")


@functools.cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}


@functools.cache
def known() -> frozenset[str]:
    """Every name that the program uses: of modules, functions, classes, variables, parameters and fields."""
    found: set[str] = set()
    for path, tree in trees().items():
        found |= {path.stem, path.parent.name}
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.arg(arg=name) | ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                    found.add(name)
                case ast.alias(name=name):
                    found.update(name.split("."))
    return frozenset(found)


@functools.cache
def defined() -> frozenset[str]:
    """What a reader can look up: modules, functions, classes, their fields and parameters, constants. Not names that
    live within a function."""
    found: set[str] = set()
    for path, tree in trees().items():
        found |= {path.stem, path.parent.name}
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.arg(arg=name):
                    found.add(name)
                case ast.Module(body=body) | ast.ClassDef(body=body):
                    found |= {node.name} if isinstance(node, ast.ClassDef) else set()
                    found |= {n.id for line in body for n in ast.walk(line) if _is_assigned(line) and _stores(n)}
    return frozenset(found)


def _is_assigned(line: ast.stmt) -> bool:
    return isinstance(line, (ast.Assign, ast.AnnAssign))


def _stores(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def docstrings(tree: ast.Module) -> Iterator[str]:
    """All texts that stand for themselves: docstrings, and those behind constants."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text


def quoted() -> Iterator[tuple[str, str, bool]]:
    """(place, name, whether the reader is sent there) of each name that must be one of the project."""
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for path, tree in trees().items():
        for text in docstrings(tree):
            for see, name in _QUOTED.findall(text):
                first, dot, _ = name.partition(".")
                if see or _SNAKE.fullmatch(name) or (dot and first in rooms):
                    yield str(path.relative_to(ROOT)), name, bool(see)


def test_names_in_docstrings_exist() -> None:
    dead = {p: name for p, name, see in quoted() if not set(name.split(".")) <= (defined() if see else known())}
    assert not dead
    assert sum(1 for _ in quoted()) > 100  # The pattern finds them.


def test_packages_that_list_their_modules_list_those_that_are_there() -> None:
    for name in ("network", "completion"):
        text = ast.get_docstring(trees()[ROOT / name / "__init__.py"]) or ""
        named = re.findall(r"`([a-z][a-z0-9_]*)`", text)
        assert named and all((ROOT / name / f"{module}.py").is_file() for module in named), named
