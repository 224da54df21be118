"""The same files give the same archive, and krew can unpack it."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import archive
import pytest

EPOCH = 1_700_000_000


def folder(place: Path) -> Path:
    """A program, a file below it, and a link to that file."""
    (place / "inside").mkdir(parents=True)
    (place / "inside" / "data.json").write_text("{}")
    (place / "program").write_text("#!/bin/sh\n")
    (place / "program").chmod(0o700)
    (place / "inside" / "linked.json").symlink_to("data.json")
    return place


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_one_content_gives_one_hash(tmp_path: Path, name: str) -> None:
    first, second = folder(tmp_path / "first"), folder(tmp_path / "elsewhere" / "second")
    os.utime(second / "program", (1, 1))
    (second / "inside" / "data.json").chmod(0o600)
    digest = archive.pack(first, tmp_path / "one" / name, EPOCH)
    assert digest == archive.pack(second, tmp_path / "two" / name, EPOCH)
    (second / "inside" / "data.json").write_text("[]")
    assert digest != archive.pack(second, tmp_path / "three" / name, EPOCH)


def test_a_tar_archive_holds_plain_files_alone(tmp_path: Path) -> None:
    archive.pack(folder(tmp_path / "in"), tmp_path / "a.tar.gz", EPOCH)
    with tarfile.open(tmp_path / "a.tar.gz") as made:
        entries = made.getmembers()
        assert [entry.name for entry in entries] == ["inside/data.json", "inside/linked.json", "program"]
        assert all(entry.isreg() for entry in entries)
        assert {entry.mtime for entry in entries} == {EPOCH}
        assert [entry.mode for entry in entries] == [0o644, 0o644, 0o755]
        assert {(entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, "")}
        linked = made.extractfile("inside/linked.json")
        assert linked is not None and linked.read() == b"{}"


def test_a_zip_archive_holds_plain_files_alone(tmp_path: Path) -> None:
    archive.pack(folder(tmp_path / "in"), tmp_path / "a.zip", EPOCH)
    with zipfile.ZipFile(tmp_path / "a.zip") as made:
        assert made.namelist() == ["inside/data.json", "inside/linked.json", "program"]
        assert [entry.external_attr >> 16 for entry in made.infolist()] == [0o100644, 0o100644, 0o100755]
        assert made.read("inside/linked.json") == b"{}"


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    place = folder(tmp_path / "in")
    (place / "broken").symlink_to("nothing")
    with pytest.raises(ValueError, match="leads nowhere"):
        archive.pack(place, tmp_path / "a.tar.gz", EPOCH)


def test_a_link_in_the_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as made:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "program"
        made.addfile(entry)
    with pytest.raises(ValueError, match="does not unpack: link"):
        archive._assert_plain(tmp_path / "a.tar.gz")
