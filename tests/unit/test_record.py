"""Records are dataclasses in everything but the check at run time that nobody assigns to them, which mypy makes."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from kubectl_lbdoctor.record import record

ROOT = Path(__file__).parents[2]


@record
class Mine:
    name: str
    ports: tuple[int, ...] = ()
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    note: str = field(default="", compare=False, repr=False)

    @property
    def first(self) -> int:
        return self.ports[0]


@dataclass(frozen=True, slots=True)
class Theirs:
    name: str
    ports: tuple[int, ...] = ()
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    note: str = field(default="", compare=False, repr=False)


@record
class More(Mine):
    """With a field of its own."""

    more: int = 0


@record
class Empty:
    """Nothing."""


@record
class Single:
    value: str


@record
class Special:
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Special) and other.name.lower() == self.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())

    def __repr__(self) -> str:
        return f"<{self.name}>"


def test_equality_and_hash_are_those_of_a_dataclass() -> None:
    variants = [("a", (1,)), ("a", (1,), {"x": "y"}), ("a", (1,), {}, "note"), ("b",), ("a",)]
    for one in variants:
        for other in variants:
            assert (Mine(*one) == Mine(*other)) == (Theirs(*one) == Theirs(*other)), (one, other)
            assert (hash(Mine(*one)) == hash(Mine(*other))) == (hash(Theirs(*one)) == hash(Theirs(*other)))
    assert Mine("a") != Theirs("a") and Mine("a") != More("a") and Mine("a") != "a"
    assert {Mine("a"), Mine("a"), Mine("b")} == {Mine("b"), Mine("a")}
    assert Empty() == Empty() and hash(Empty()) == hash(Empty()) and Empty() != Single("")
    assert Single("a") == Single("a") != Single("b") and len({Single("a"), Single("a")}) == 1


def test_a_field_that_cannot_be_hashed_is_said() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Single([]))  # type: ignore[arg-type]


def test_fields_of_a_parent_count() -> None:
    assert More("a", more=1) != More("a", more=2) and More("a", more=1) != More("b", more=1)
    assert repr(More("a", more=1)) == "More(name='a', ports=(), labels={}, more=1)"


def test_repr_is_that_of_a_dataclass() -> None:
    assert repr(Mine("a", (1, 2))) == repr(Theirs("a", (1, 2))).replace("Theirs", "Mine")
    assert repr(Empty()) == "Empty()"


def test_what_a_class_defines_itself_stays() -> None:
    assert Special("A") == Special("a") and hash(Special("A")) == hash(Special("a")) and repr(Special("A")) == "<A>"
    assert Mine("a", (3,)).first == 3


def test_replace_match_copies_and_fields() -> None:
    made = Mine("a", (1,), {"x": "y"}, "note")
    assert replace(made, name="b") == Mine("b", (1,), {"x": "y"})
    assert [f.name for f in dataclasses.fields(made)] == ["name", "ports", "labels", "note"]
    assert dataclasses.asdict(made) == {"name": "a", "ports": (1,), "labels": {"x": "y"}, "note": "note"}
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again == made and again.note == "note" and again is not made
    match made:
        case Mine(name, (port,)):
            assert (name, port) == ("a", 1)
        case _:
            pytest.fail("not matched")


def test_there_is_no_room_for_what_is_no_field() -> None:
    assert not hasattr(Mine("a"), "__dict__")
    with pytest.raises(AttributeError):
        Mine("a").other = 1  # type: ignore[attr-defined]


def test_mypy_lets_nobody_assign_to_a_field(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from kubectl_lbdoctor.model.k8s import Meta\n"
        "from kubectl_lbdoctor.record import record\n"
        "@record\n"
        "class Own:\n"
        "    name: str\n"
        "def change(own: Own, meta: Meta) -> None:\n"
        "    own.name = ''\n"
        "    meta.name = ''\n"
        "Own(1)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    errors = [line.split(": error: ")[1] for line in said.splitlines() if ": error: " in line]
    assert errors == [
        'Property "name" defined in "Own" is read-only  [misc]',
        'Property "name" defined in "Meta" is read-only  [misc]',
        'Argument 1 to "Own" has incompatible type "int"; expected "str"  [arg-type]',
    ], said
