"""No printed command runs what somebody wrote into the cluster or AWS: values are quoted, wherever they come from.

Every value of a recorded case that reaches a command is replaced by the same value with a shell payload, one after the
other. All commands then run in a real shell, in which programs that are called do nothing; the payload must not run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.snapshot import Snapshot
from tests.support import cases, product

PAYLOADS = ("$(touch ran)", "';touch ran;'", "`touch ran`\n#")


def commands(run: product.Run) -> set[str]:
    """Every command that a screen or a document of this run may show."""
    return {
        command
        for result in run.results
        for finding in result.findings
        for command in (*finding.confirm, *finding.commands)
    }


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return new if value == old else value
    if isinstance(value, dict):
        return {key: replaced(inner, old, new) for key, inner in value.items()}
    return [replaced(inner, old, new) for inner in value] if isinstance(value, list) else value


def run_in_shell(folder: Path, lines: set[str]) -> None:
    """`aws`, `kubectl` and all else that the commands name are functions that do nothing; `touch` is real."""
    script = folder / "all.sh"
    quiet = "\n".join(f"{name}() {{ :; }}" for name in ("aws", "kubectl", "openssl", "curl", "base64", "helm", "jq"))
    script.write_text("\n".join([quiet, *sorted(lines)]))
    path = str(folder / "bin")
    subprocess.run(
        [shutil.which("bash") or "/bin/bash", str(script)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "touch").symlink_to(shutil.which("touch") or "/usr/bin/touch")
    return tmp_path


def test_the_shell_of_this_test_would_run_a_payload(folder: Path) -> None:
    run_in_shell(folder, {"aws ec2 describe-vpcs --vpc-ids vpc-1$(touch ran)"})
    assert (folder / "ran").exists()


@pytest.mark.parametrize("name", cases.names())
def test_no_command_runs_a_value(name: str, folder: Path) -> None:
    run = cases.result(name)
    plain = commands(run)
    document = to_json(run.snapshot)
    shown = sorted({text for text in strings(document) if len(text) > 2 and any(text in line for line in plain)})
    hostile: set[str] = set()
    for number, text in enumerate(shown):
        changed = replaced(document, text, text + PAYLOADS[number % len(PAYLOADS)])
        hostile |= commands(product.judge(from_json(Snapshot, changed))) - plain
    run_in_shell(folder, hostile)
    assert not (folder / "ran").exists(), "\n".join(sorted(line for line in hostile if "touch ran" in line))
