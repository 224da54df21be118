"""What a start may cost: modules that take long to import, and that the run has no use for, are not imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cloud import Cloud

ROOT = Path(__file__).parents[2]

NEVER = (
    "kubernetes",
    "boto3",
    "s3transfer",
    "requests",
    "oauthlib",
    "websocket",
    "socks",
    "h2",
    "pytest",
    "setuptools",
)
"""Nothing that only diagnoses needs them."""

UNASKED = (
    "kubectl_lbdoctor.fix",
    "kubectl_lbdoctor.collect.bundles.content",
    "kubectl_lbdoctor.render.permissions",
    "kubectl_lbdoctor.probe.runner",
    "kubectl_lbdoctor.probe.pods",
    "kubectl_lbdoctor.analysis.pictures",
    "kubectl_lbdoctor.model.picture",
    "kubectl_lbdoctor.render.page",
    "kubectl_lbdoctor.commands.browser",
    "webbrowser",
)
"""Nor these parts of the plugin, where nothing is repaired, saved, drawn or left for a probe to settle."""

CLIENTS = ("botocore", "urllib3", "http.client", "ssl", "yaml", "kubectl_lbdoctor.collect.kubernetes_api.client")
"""What talks to a cluster and reads a kubeconfig."""

EXAMINATION = (
    "kubectl_lbdoctor.checks",
    "kubectl_lbdoctor.model.k8s",
    "kubectl_lbdoctor.collect",
    "tabulate",
    "orjson",
)
"""What reads and judges facts."""


def imported(args: list[str], *statuses: int, env: dict[str, str] | None = None) -> set[str]:
    """The modules that a run imports, its own and others."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from kubectl_lbdoctor.cli import main\n"
        "from kubectl_lbdoctor.env import Environment\n"
        f"status = int(main({args!r}, Environment()))\n"
        "print('MODULES', status, *sorted(set(sys.modules) - before))\n"
    )
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "AWS_EC2_METADATA_DISABLED": "true",
        **(env or {}),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=variables)
    word, ended, *modules = done.stdout.splitlines()[-1].split()
    assert word == "MODULES" and int(ended) in statuses, done.stdout + done.stderr
    return set(modules)


def of(modules: set[str], *packages: str) -> list[str]:
    """Those of the modules that belong to the packages."""
    return sorted(
        name for name in modules if name.startswith(tuple(f"{package}." for package in packages)) or name in packages
    )


def test_help_imports_the_command_line_alone() -> None:
    modules = imported(["--help"], 0)
    assert "click" in modules and of(modules, *NEVER, *UNASKED, *CLIENTS, *EXAMINATION) == []


def test_a_bundle_needs_no_client() -> None:
    modules = imported(["--from", "docs/demo/bundle.json"], 1)
    assert "kubectl_lbdoctor.checks" in modules and of(modules, *NEVER, *UNASKED, *CLIENTS) == []


def test_a_diagnosis_imports_what_it_asks_with(cloud: Cloud, tmp_path: Path) -> None:
    env = {**cloud.env, "HOME": str(tmp_path), "AWS_REGION": "us-west-2"}
    modules = imported(["ingress", "web"], 0, 3, env=env)  # 3: on a busy machine the fake AWS answers too late
    assert {"botocore", "urllib3", "yaml"} <= modules and of(modules, *NEVER, *UNASKED) == []


@pytest.mark.parametrize("args", [["explain", "LBD301"], ["checks"], ["policy", "iam"], ["version"]])
def test_what_asks_nobody_imports_no_client(args: list[str]) -> None:
    modules = imported(args, 0)
    assert of(modules, *NEVER, *(name for name in CLIENTS if name != "yaml")) == []
