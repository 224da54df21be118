"""What stands in the place of a file that a kubeconfig names: a sentence, and never a wait without an end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_lbdoctor.collect import given_file
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import load_kube_context
from kubectl_lbdoctor.errors import CouldNotRun
from kubectl_lbdoctor.options import KubeOptions

ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "a device without an end": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00\x01" * 100),
    "larger than any": lambda path: path.write_bytes(b" " * (given_file.MAX_BYTES + 1)),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_file, "PIPE_PATIENCE", 0.1)


@pytest.mark.parametrize("what", [what for what in ODD if what != "no text"])
def test_odd_files_are_errors(what: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    ODD[what](path)
    with pytest.raises(OSError):
        given_file.read(path)
    with pytest.raises(OSError):
        given_file.check_regular(path)


def test_a_pipe_that_somebody_writes_to_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_file, "PIPE_PATIENCE", 60)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"x" * 200_000))
    writer.start()
    assert given_file.read(path) == b"x" * 200_000
    writer.join()
    assert given_file.read(Path("/dev/null")) == b""


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize(
    "key", ["kubeconfig", "tokenFile", "certificate-authority", "client-certificate", "client-key"]
)
def test_an_odd_file_of_a_kubeconfig_is_told_in_a_sentence(what: str, key: str, tmp_path: Path) -> None:
    odd, good = tmp_path / "odd", tmp_path / "config"
    ODD[what](odd)
    user: dict[str, Any] = {"token": "t"} if key == "certificate-authority" else {}
    cluster: dict[str, Any] = {"server": "https://127.0.0.1:9"}
    if key.startswith("client-"):
        other = tmp_path / "other"
        other.write_text("no certificate")
        user = {"client-certificate": str(other), "client-key": str(other), key: str(odd)}
    elif key != "kubeconfig":
        (cluster if key == "certificate-authority" else user)[key] = str(odd)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "x", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    good.write_text(yaml.safe_dump(document))
    path = odd if key == "kubeconfig" else good
    with pytest.raises(CouldNotRun) as caught:
        context = load_kube_context(KubeOptions(kubeconfig=str(path)), {})
        context.tls.context()  # what is a file with something else in it shows when it is used
    assert str(odd) in caught.value.message or "certificate" in caught.value.message, caught.value.message
