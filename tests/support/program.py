"""Runs the whole program in process and gives back what a shell would see: status, stdout, stderr, parsed JSON."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from kubectl_lbdoctor.cli import main
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.render.documents import API_VERSION
from tests.support.json_schemas import violations
from tests.support.world import NOW

# What would make boto3 or the program find something of the machine that the tests run on is taken away.
_BARE = {
    "PATH": os.environ.get("PATH", ""),
    "HOME": "/nonexistent",
    "KUBECONFIG": "/nonexistent/kubeconfig",
    "AWS_CONFIG_FILE": "/nonexistent/aws-config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/aws-credentials",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1,localhost",
}


@dataclass(frozen=True)
class Result:
    """What one run left behind."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What was printed; a document of ours fits the schema of its kind."""
        printed = json.loads(self.stdout)
        if isinstance(printed, dict) and printed.get("apiVersion") == API_VERSION:
            assert violations(printed) == []
        return printed

    @property
    def text(self) -> str:
        """Everything that a person at a terminal sees."""
        return self.stdout + self.stderr

    @property
    def codes(self) -> list[str]:
        """Codes of the diagnoses in their order (the run needs `-o json`)."""
        return [d["code"] for d in self.json["diagnoses"]]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Clock:
    """Time that passes only by waiting; `ticks` is called at each wait with the seconds that have passed, so that a
    test can let its world change meanwhile."""

    ticks: Callable[[float], None] = lambda now: None
    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)
        self.ticks(self.now)

    def __call__(self) -> float:
        return self.now


def run(
    *args: str,
    env: Mapping[str, str] | None = None,
    width: int = 0,
    now: str = NOW,
    stdout: io.StringIO | None = None,
    stdin: io.StringIO | None = None,
    clock: Clock | None = None,
) -> Result:
    """Run `kubectl lbdoctor ARGS` with only the given variables set (boto3 reads the real environment, so both are)."""
    variables = {**_BARE, **(env or {})}
    out, err, clock = stdout or io.StringIO(), io.StringIO(), clock or Clock()
    stdin = stdin or io.StringIO()
    with mock.patch.dict(os.environ, variables, clear=True), redirect_stdout(out):  # click prints --help itself
        surroundings = Environment(stdin, out, err, variables, width, now, clock.sleep, clock)
        status = main(list(args), surroundings)
    return Result(int(status), out.getvalue(), err.getvalue())
