"""Templates as kubectl applies them, because kubectl applies them: jsonpath, go-template and their relatives.

kubectl's JSONPath is a dialect of its own (text around braces, range and end, filters, keys in quotes:
https://kubernetes.io/docs/reference/kubectl/jsonpath/), and its go-templates are Go's text/template with functions of
kubectl. `kubectl patch --local` with an empty patch prints what it reads from standard input in any of these formats.
It knows no kinds, asks no server (https://kubernetes.io/docs/reference/kubectl/generated/kubectl_patch/), and is there
wherever the plugin is run by kubectl. So its rules and its sentences about a bad template are kubectl's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.errors import CouldNotRun, UsageError
from kubectl_lbdoctor.render.text import clean

_NOTHING = {"apiVersion": "lbdoctor/v1", "kind": "Report"}
_LONGEST = 30.0
"""Seconds. Applying a template takes some hundredths of one."""


def check(output: str) -> None:
    """Let kubectl read the template of `-o OUTPUT` before anything else is done.

    Raises UsageError with kubectl's own words where it cannot, CouldNotRun where there is no kubectl.
    """
    try:
        printed(_NOTHING, output)
    except UsageError as error:
        # What a go-template makes of a document without its fields says nothing of the one that it will get.
        if not error.message.startswith("error executing template"):
            raise


def printed(document: Mapping[str, Any], output: str) -> str:
    """The document as `kubectl -o OUTPUT` prints it; raises as `check` does."""
    program = shutil.which("kubectl")
    if program is None:
        raise CouldNotRun(
            f"-o {output.partition('=')[0]} is applied by kubectl, and no kubectl is on PATH", "use -o json or -o yaml"
        )
    # Without a kubeconfig: what is wrong in that of the user has no part in this.
    words = [program, "patch", f"--kubeconfig={os.devnull}", "--local", "-f", "-", "--type=merge", "--patch={}"]
    try:
        done = subprocess.run(
            [*words, f"--output={output}"],
            input=json.dumps(_cleaned(document)).encode("ascii"),
            capture_output=True,
            timeout=_LONGEST,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CouldNotRun(f"kubectl could not apply the template of -o: {error}", "use -o json or -o yaml") from error
    if done.returncode != 0:
        raise UsageError(_sentence(done.stderr.decode("utf-8", "replace")), "use -o json to see the fields")
    return done.stdout.decode("utf-8", "replace")


def _sentence(said: str) -> str:
    """What kubectl says of a template, without the document that it shows after it."""
    lines = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
    sentence = lines[-1] if lines else said.strip() or "kubectl could not apply the template of -o"
    return sentence.replace("Error executing template: ", "").partition(". Printing more information")[0]


def _cleaned(value: Any) -> Any:
    """The same without what would steer a terminal: a template prints texts as they are."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, (list, tuple)) else value
