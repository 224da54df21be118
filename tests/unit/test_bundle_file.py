"""Where a bundle is written to, and what is read: nothing is replaced that is no regular file, and nothing is lost."""

from __future__ import annotations

import gzip
import os
import stat
import threading
import tracemalloc
from pathlib import Path

import pytest

from kubectl_lbdoctor.collect.bundles import file as bundle_file
from kubectl_lbdoctor.errors import CouldNotRun


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bundle_file.write(tmp_path / "b.json", b"{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "b.json").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["b.json"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    link, file = tmp_path / "latest.json", tmp_path / "kept" / "b.json"
    link.symlink_to(file)
    for content in (b"first, the link leads to nothing yet", b"second"):
        bundle_file.check_place(link)
        bundle_file.write(link, content)
        assert link.is_symlink() and file.read_bytes() == content


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    bundle_file.write(pipe, b"x" * 200_000)
    reader.join(10)
    assert got == [b"x" * 200_000] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_stays_a_device() -> None:
    before = os.lstat("/dev/null")
    bundle_file.check_place(Path("/dev/null"))
    bundle_file.write(Path("/dev/null"), b"{}")
    assert os.lstat("/dev/null").st_ino == before.st_ino and stat.S_ISCHR(before.st_mode)


def test_an_open_file_of_a_process_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        inode = os.fstat(file.fileno()).st_ino
        bundle_file.write(Path(f"/proc/self/fd/{file.fileno()}"), b"{}")
    assert (tmp_path / "out").read_bytes() == b"{}" and (tmp_path / "out").stat().st_ino == inode


@pytest.mark.parametrize("place", ["folder", "none/b.json", "file/b.json"])
def test_a_bad_place_is_known_before_the_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(CouldNotRun, match="cannot write the bundle"):
        bundle_file.check_place(tmp_path / place)
    with pytest.raises(CouldNotRun, match="cannot write the bundle"):
        bundle_file.write(tmp_path / place, b"{}")
    assert (tmp_path / "file").read_text() == "kept" and not any((tmp_path / "folder").iterdir())


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_file, "MAX_UNPACKED", 1 << 20)
    path = tmp_path / "b.json.gz"
    path.write_bytes(gzip.compress(bytes(1 << 20)))
    assert len(bundle_file.read(path)) == 1 << 20
    path.write_bytes(gzip.compress(bytes((1 << 20) + 1)))
    with pytest.raises(CouldNotRun, match="unpacks to more than 1 MiB"):
        bundle_file.read(path)


def test_a_device_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_file, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(CouldNotRun, match="unpacks to more than 1 MiB"):
        bundle_file.read(Path("/dev/zero"))


@pytest.mark.parametrize("data", [b"{}", gzip.compress(b"{}")], ids=["plain", "packed"])
def test_a_small_bundle_needs_little_memory(tmp_path: Path, data: bytes) -> None:
    """An address space may be limited: HolmesGPT runs its commands under ulimit -v 800 MB."""
    (tmp_path / "b.json").write_bytes(data)
    tracemalloc.start()
    try:
        assert bundle_file.read(tmp_path / "b.json") == b"{}"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
