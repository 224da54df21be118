"""No printed command runs what somebody wrote into the cluster or AWS: values are quoted, wherever they come from.

Every value of a recorded case that reaches a command is replaced by the same value with a shell payload, one after the
other. All commands then run in a real shell, in which programs that are called do nothing; the payload must not run.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.collect import convert_aws, convert_network
from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.collect.converters import converter
from kubectl_lbdoctor.collect.sieve import Sieve, target_id, under
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus
from kubectl_lbdoctor.model import kinds
from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.snapshot import SCHEMA, Snapshot
from kubectl_lbdoctor.render.documents import document
from tests.support import cases, printed, product
from tests.support.printed import strings
from tests.support.program import run as run_program

PAYLOADS = ("$(touch ran)", "';touch ran;'", "`touch ran`\n#")


def commands(run: product.Run) -> set[str]:
    """Every command that a screen or a document of this run may show, and those of effects, which it does not."""
    of_findings = {
        command
        for result in run.results
        for finding in result.findings
        for command in (*finding.confirm, *finding.commands)
    }
    return of_findings | {*printed.commands(document(run.report))}


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
    read = to_json(run.snapshot)
    shown = sorted({text for text in strings(read) if len(text) > 2 and any(text in line for line in plain)})
    hostile: set[str] = set()
    for number, text in enumerate(shown):
        changed = replaced(read, text, text + PAYLOADS[number % len(PAYLOADS)])
        hostile |= commands(product.judge(from_json(Snapshot, changed))) - plain
    run_in_shell(folder, hostile)
    assert not (folder / "ran").exists(), "\n".join(sorted(line for line in hostile if "touch ran" in line))


OPTION = "--kubeconfig=other"


@pytest.mark.parametrize("name", cases.names()[::6])
def test_no_value_of_a_bundle_becomes_an_option(name: str, tmp_path: Path) -> None:
    """Quotes do not help against a name that begins as an option does: the bundle is refused, or the value stands
    behind an equals sign."""
    run = cases.result(name)
    plain = commands(run)
    read = to_json(run.snapshot)
    shown = sorted({text for text in strings(read) if len(text) > 2 and any(text in line for line in plain)})
    for text in shown:
        place = tmp_path / "bundle.json"
        snapshot = replaced(read, text, OPTION)
        place.write_text(
            json.dumps({"kind": bundle.KIND, "schema": SCHEMA, "tool": "test", "snapshot": snapshot}), "utf-8"
        )
        try:
            loaded = bundle.load(place)
        except CouldNotRun:
            continue
        for command in commands(product.judge(loaded)):
            words = shlex.split(command)
            assert not any(word.startswith("--kubeconfig") for word in words), f"{text}: {command}"


@pytest.fixture(scope="module")
def printed_by_all_cases() -> list[str]:
    return sorted({line for name in cases.names() for line in printed.commands(document(cases.result(name).report))})


KUBECTL = shutil.which("kubectl")


@pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl here")
def test_kubectl_understands_every_command(printed_by_all_cases: list[str], tmp_path: Path) -> None:
    """It asks its server, where nobody answers; a flag or a word too many or too few ends it before that."""

    def said(line: str) -> tuple[str, str]:
        words = itertools.takewhile(lambda word: word != "|", shlex.split(line)[1:])
        asked = [str(KUBECTL), "--server=http://127.0.0.1:1", *words]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=120, env={"HOME": str(tmp_path)})
        return line, done.stderr

    lines = [part for line in printed_by_all_cases for part in line.split(" && ") if part.startswith("kubectl ")]
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(said, (line for line in lines if not line.startswith("kubectl lbdoctor ")))]
    assert len(answers) > 100
    # "create" sends its object at once, and says in Go's words that nobody answers.
    refused = re.compile(r"127\.0\.0\.1:1(?: was refused|: connect: connection refused)")
    assert [(line, text) for line, text in answers if not refused.search(text)] == []


def test_the_program_understands_its_own_commands(printed_by_all_cases: list[str]) -> None:
    lines = [line for line in printed_by_all_cases if line.startswith("kubectl lbdoctor ")]
    assert len(lines) > 30
    for line in lines:
        assert run_program(*shlex.split(line)[2:]).status == ExitStatus.COULD_NOT_RUN, line


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (("metadata", "name"), OPTION),
        (("metadata", "name"), "../../nodes/x"),
        (("metadata", "name"), "Web"),
        (("metadata", "namespace"), "-A"),
        (("spec", "nodeName"), "-o"),
        (("spec", "serviceAccountName"), OPTION),
        (("metadata", "ownerReferences"), [{"kind": "ReplicaSet", "name": OPTION, "controller": True}]),
        (("metadata", "labels"), {"-l": "x"}),
    ],
)
def test_an_object_with_such_a_name_is_left_out(where: tuple[str, str], name: Any) -> None:
    pod: dict[str, Any] = {
        "metadata": {"name": "web-1", "namespace": "shop"},
        "spec": {"containers": [{"name": "app", "image": "-x"}]},
        "status": {"phase": "Running", "message": "--odd"},
    }
    sieve = Sieve("pods")
    assert len(list(sieve.through([pod], converter(kinds.POD)))) == 1
    pod[where[0]][where[1]] = name
    assert list(sieve.through([pod], converter(kinds.POD))) == []
    assert "is no name" in sieve.marked(Fact.known("core/pods", ())).reason


def test_ids_of_aws_are_no_options() -> None:
    sieve = Sieve("targets", target_id)
    targets = [{"Target": {"Id": text}, "TargetHealth": {"State": "healthy"}} for text in ("10.0.1.2", "--profile=x")]
    assert [target.id for target in sieve.through(targets, convert_aws.target_health)] == ["10.0.1.2"]
    rule = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "-all"}]}
    group = {"GroupId": "sg-1", "GroupName": "-any name", "IpPermissions": [rule]}
    assert len(list(Sieve("groups", under("GroupId")).through([group], convert_network.security_group))) == 1
    assert not list(Sieve("groups", under("GroupId")).through([{"GroupId": "--x"}], convert_network.security_group))
