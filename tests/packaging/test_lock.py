"""The lock file holds what `make dist` installs, each version with its hashes, and says nothing of where from."""

from __future__ import annotations

import configparser
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "packaging" / "requirements.lock").read_text()
PINS = {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([\w.+]+)", LOCK, re.MULTILINE)}


def requirements() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    own = setup["options"]["install_requires"].split("\n")
    build = (ROOT / "packaging" / "requirements.in").read_text().split("\n")
    return [line.strip() for line in [*own, *build] if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("line", requirements())
def test_each_requirement_is_pinned_to_a_version_that_it_allows(line: str) -> None:
    wanted = Requirement(line)
    assert wanted.specifier.contains(PINS[canonicalize_name(wanted.name)]), "make lock"


def test_what_extras_bring_is_pinned() -> None:
    """`urllib3[socks]` brings PySocks, without which the archive cannot be built."""
    for line in requirements():
        wanted = Requirement(line)
        if not wanted.extras:
            continue
        for needed in map(Requirement, metadata.requires(wanted.name) or ()):
            brought = any(needed.marker and needed.marker.evaluate({"extra": extra}) for extra in wanted.extras)
            assert not brought or canonicalize_name(needed.name) in PINS, f"{needed.name}: make lock"


def test_each_pin_has_hashes() -> None:
    entries = re.findall(r"^[\w.-]+==.*(?:\n +--hash=.*)*", LOCK, re.MULTILINE)
    assert len(entries) >= len(PINS) > 20
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_no_address_is_named() -> None:
    assert "://" not in LOCK and "index-url" not in LOCK
