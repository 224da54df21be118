"""The archive as its users get it: through the real krew and kubectl, on a PATH without Python.

`make dist-check` builds what this needs (the archive by PyInstaller, krew by Go) and runs it; where something is
missing, the tests are skipped and say what.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import krew_manifest
import pytest

from kubectl_lbdoctor import __version__
from tests.support.cloud import cloud
from tests.support.shop import NS

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = "linux-amd64"
ARCHIVE = ROOT / "dist" / krew_manifest.archive_name(PLATFORM)
KREW, VALIDATE = (ROOT / "build" / "krew" / name for name in ("krew", "validate-krew-manifest"))
TOOLS = {name: shutil.which(name) for name in ("kubectl", "git")}
BUNDLE = ROOT / "docs" / "demo" / "bundle.json"

_MISSING = [str(path.relative_to(ROOT)) for path in (ARCHIVE, KREW, VALIDATE) if not path.exists()]
_MISSING += [name for name, path in TOOLS.items() if path is None]
pytestmark = [
    pytest.mark.skipif(bool(_MISSING), reason=f"make dist-check builds it; missing: {', '.join(_MISSING)}"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the archive that is tried is that of Linux"),
]


class Machine:
    """A user's machine: kubectl, git and krew on PATH, an empty home, and no Python."""

    def __init__(self, place: Path) -> None:
        self.home, self.programs = place / "home", place / "programs"
        self.home.mkdir(parents=True)
        self.programs.mkdir()
        links = {"kubectl": TOOLS["kubectl"], "git": TOOLS["git"], "kubectl-krew": KREW}
        links |= {name: shutil.which(name) for name in ("sh", "dirname", "env")}
        for name, target in links.items():
            (self.programs / name).symlink_to(str(target))
        self.index = place / "index"
        self.env = {
            "HOME": str(self.home),
            "PATH": f"{self.programs}:{self.home}/.krew/bin",
            "KREW_DEFAULT_INDEX_URI": f"file://{self.index}",
            "KREW_NO_UPGRADE_CHECK": "1",
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@example.com",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.com",
        }

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        program = self.programs / words[0]
        done = subprocess.run([str(program), *words[1:]], capture_output=True, text=True, env=self.env, cwd=self.home)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done

    def publish(self, manifest: str) -> None:
        """Commit this manifest to the index."""
        plugins = self.index / "plugins"
        if not plugins.exists():
            plugins.mkdir(parents=True)
            self.run("git", "init", "--quiet", str(self.index))
        (plugins / "lbdoctor.yaml").write_text(manifest)
        for words in (("add", "."), ("commit", "--quiet", "-m", "plugin")):
            self.run("git", "-C", str(self.index), *words)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def manifest(version: str = __version__, address: str = "") -> str:
    """The manifest of the archive that was built; with an address, krew gets it from there."""
    digest = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    text = krew_manifest.manifest(version, {PLATFORM: digest})
    place = f"{krew_manifest.HOMEPAGE}/releases/download/v{version}"
    return text.replace(place, address) if address else text


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder over HTTP on the loopback; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def installed_offline(machine: Machine) -> None:
    written = machine.home / "lbdoctor.yaml"
    written.write_text(manifest())
    machine.run("kubectl-krew", "install", f"--manifest={written}", f"--archive={ARCHIVE}")


def test_there_is_no_python_on_this_machine(machine: Machine) -> None:
    assert not any(shutil.which(name, path=machine.env["PATH"]) for name in ("python", "python3", "python3.11"))


def test_the_validator_accepts_the_manifest(machine: Machine) -> None:
    written = machine.home / "lbdoctor.yaml"
    written.write_text(manifest())
    done = subprocess.run(
        [str(VALIDATE), "-manifest", str(written), "-skip-install"], capture_output=True, text=True, env=machine.env
    )
    assert done.returncode == 0 and "structural validation OK" in done.stderr


def test_installed_offline_it_works_as_from_the_source(machine: Machine) -> None:
    installed_offline(machine)
    assert machine.run("kubectl", "lbdoctor", "version").stdout == f"kubectl lbdoctor {__version__}\n"
    diagnosed = machine.run("kubectl", "lbdoctor", "--from", str(BUNDLE), status=1)
    from_source = subprocess.run(
        [sys.executable, "-m", "kubectl_lbdoctor", "--from", str(BUNDLE)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=machine.env,
    )
    assert (diagnosed.stdout, diagnosed.stderr) == (from_source.stdout, from_source.stderr)
    assert "Repair:" in machine.run("kubectl", "lbdoctor", "explain", "LBD301").stdout, "docstrings are in it"
    for words in (
        ("policy", "iam"),
        ("checks", "-o", "json"),
        ("--from", str(BUNDLE), "-o", "yaml", "--fail-on=error"),
    ):
        assert machine.run("kubectl", "lbdoctor", *words, status=1 if words[0] == "--from" else 0).stdout


def test_kubectl_lists_it_without_a_warning(machine: Machine) -> None:
    installed_offline(machine)
    listed = machine.run("kubectl", "plugin", "list")
    assert str(machine.home / ".krew" / "bin" / "kubectl-lbdoctor") in listed.stdout and listed.stderr == ""


def test_the_licences_come_with_it(machine: Machine) -> None:
    installed_offline(machine)
    store = machine.home / ".krew" / "store" / "lbdoctor" / f"v{__version__}"
    assert (store / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (store / "NOTICE").read_bytes() == (ROOT / "NOTICE").read_bytes()
    others = (store / "THIRD-PARTY-LICENSES").read_text()
    assert all(f"==== {name} ====" in others for name in ("botocore", "click", "Python", "urllib3"))


def test_the_models_of_aws_are_cut_from_the_botocore_in_it(machine: Machine) -> None:
    """Otherwise a diagnosis would parse botocore's own, with 760 operations of EC2."""
    installed_offline(machine)
    inside = machine.home / ".krew" / "store" / "lbdoctor" / f"v{__version__}" / "_internal"
    release = (inside / "kubectl_lbdoctor" / "data" / "botocore" / "RELEASE").read_text().strip()
    assert f"\nbotocore=={release} " in (ROOT / "packaging" / "requirements.lock").read_text()


def test_completion_through_the_link_of_krew(machine: Machine) -> None:
    installed_offline(machine)
    asked = ("kubectl", "__complete", "lbdoctor", "explain", "LBD301")
    assert "LBD301" not in machine.run(*asked).stdout
    written = machine.run("kubectl", "lbdoctor", "completion", "install", "--yes")
    assert str(machine.home / ".krew" / "bin" / "kubectl_complete-lbdoctor") in written.stdout
    lines = machine.run(*asked).stdout.splitlines()
    assert lines[0].startswith("LBD301\t") and lines[-1] == ":4"
    assert machine.run("kubectl", "plugin", "list").stderr == ""


def test_what_it_says_without_a_cluster(machine: Machine) -> None:
    """The client libraries are in the archive, and no traceback is shown for what is the user's to mend."""
    installed_offline(machine)
    said = machine.run("kubectl", "lbdoctor", "ing/web", status=4).stderr
    assert said.startswith("error: ") and "Traceback" not in said and "bug" not in said


def test_a_cluster_and_aws_are_asked_through_the_link_of_krew(machine: Machine, tmp_path: Path) -> None:
    """The client libraries and botocore's models are in the archive: the project's own servers are diagnosed."""
    installed_offline(machine)
    with cloud() as servers:
        servers.reset(tmp_path)
        machine.env |= {**servers.env, "AWS_EC2_METADATA_DISABLED": "true"}
        asked = ("kubectl", "lbdoctor", "ing/web", "-n", NS, "-o", "json", "--timeout=5m")
        report = json.loads(machine.run(*asked).stdout)
        assert (report["status"], report["unknownChecks"]) == ("healthy", [])
        assert report["subjects"][0]["loadBalancer"]["arn"].startswith("arn:aws:elasticloadbalancing:us-west-2:")


def test_install_upgrade_and_uninstall_from_an_index(machine: Machine, tmp_path: Path) -> None:
    with served(ARCHIVE.parent) as address:
        machine.publish(manifest(address=address))
        machine.run("kubectl", "krew", "update")
        machine.run("kubectl", "krew", "install", "lbdoctor")
        assert machine.run("kubectl", "lbdoctor", "version").stdout == f"kubectl lbdoctor {__version__}\n"
        machine.publish(manifest("99.0.0", address))
        machine.run("kubectl", "krew", "update")
        machine.run("kubectl", "krew", "upgrade", "lbdoctor")
        assert "v99.0.0" in os.readlink(machine.home / ".krew" / "bin" / "kubectl-lbdoctor")
        assert machine.run("kubectl", "krew", "list").stdout == "lbdoctor\n"
        machine.run("kubectl", "lbdoctor", "version")
    machine.run("kubectl", "krew", "uninstall", "lbdoctor")
    assert not (machine.home / ".krew" / "bin" / "kubectl-lbdoctor").exists()
    assert not (machine.home / ".krew" / "store" / "lbdoctor").exists()
