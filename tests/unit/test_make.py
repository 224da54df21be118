"""`make demo` and its environment: the whole way on the recorded bundle, and plain words where that cannot be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def made(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What of a clone the environment is made of."""
    declarations = [f"kubectl_lbdoctor/model/{name}.py" for name in ("reads", "plan", "group_edits")]
    for name in ("Makefile", "lab.mk", "setup.cfg", "pyproject.toml", *declarations):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def python(folder: Path, script: str) -> str:
    """A program that takes the place of Python."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"PYTHON={program}"


def test_the_demo_goes_the_whole_way(tmp_path: Path) -> None:
    program = tmp_path / "kubectl-lbdoctor"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m kubectl_lbdoctor "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(["sh", "docs/demo/demo.sh", str(program)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    typed = [line for line in done.stdout.splitlines() if line.startswith("$ ")]
    assert typed == [
        "$ kubectl lbdoctor --from docs/demo/bundle.json",
        "$ kubectl lbdoctor explain LBD301",
        "$ kubectl lbdoctor --from docs/demo/bundle.json --fix healthcheck-path --dry-run=client",
    ]
    assert "LBD301 error" in done.stdout and "Repair:" in done.stdout
    assert "kubectl annotate ingress/web alb.ingress.kubernetes.io/healthcheck-path=/healthz" in done.stdout
    following = done.stdout.partition("On yours:")[2]
    assert following.count("\n  kubectl lbdoctor ") == 3


def test_the_demo_fails_where_the_program_does(tmp_path: Path) -> None:
    program = tmp_path / "kubectl-lbdoctor"
    program.write_text("#!/bin/sh\nexit 4\n")
    program.chmod(0o755)
    done = subprocess.run(["sh", "docs/demo/demo.sh", str(program)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "the exit status is 4, and 1 was to be expected" in done.stderr


def test_an_old_python_is_said(clone: Path) -> None:
    done = made(clone, "demo", python(clone, "exit 1"))
    assert done.returncode == 2 and "is not Python 3.10 or newer; name one: make PYTHON=" in done.stderr


def test_no_python_is_said(clone: Path) -> None:
    done = made(clone, "demo", "PYTHON=no-such-python")
    assert done.returncode == 2 and "no-such-python is not Python 3.10 or newer" in done.stderr


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_a_python_without_pip_is_said_each_time(clone: Path, attempt: str) -> None:
    """Debian's python3 without python3-venv leaves half an environment behind, and says so on stdout."""
    half = "mkdir -p .venv/bin; ln -sf /bin/false .venv/bin/python; echo 'ensurepip is not available'; exit 1"
    fake = python(clone, f'test "$1" = -c && exit 0\n{half}')
    if attempt == "second":
        made(clone, "demo", fake)
    done = made(clone, "demo", fake)
    assert done.returncode == 2 and "apt install python3-venv" in done.stderr and "ensurepip" not in done.stdout


def test_the_demo_installs_the_product_only_and_the_tests_their_extra(clone: Path) -> None:
    fake = """
    if test "$1" = -c; then exit 0; fi
    mkdir -p .venv/bin docs/demo
    printf '#!/bin/sh\\necho "$@" >> installed\\n' > .venv/bin/python
    chmod +x .venv/bin/python
    cp .venv/bin/python .venv/bin/pip
    echo 'true' > docs/demo/demo.sh
    """
    assert made(clone, "demo", python(clone, fake)).returncode == 0
    assert "[test]" not in (clone / "installed").read_text()
    assert made(clone, ".venv/.ready", python(clone, fake)).returncode == 0
    assert (clone / "installed").read_text().count(".[test]") == 1
