"""Packs a folder so that the same files always give the same bytes, and so that krew can unpack them."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import tarfile
import zipfile
from datetime import datetime, timezone
from pathlib import Path


def pack(folder: Path, archive: Path, epoch: int) -> str:
    """Write the archive (.zip, else .tar.gz) of all files below the folder and return its SHA-256 in hexadecimal.

    epoch: the time of every entry, in seconds since 1970. Symbolic links become the files that they lead to: krew's
    reader of tar archives takes plain files and folders only, and its reader of zip archives makes text of links
    (https://github.com/kubernetes-sigs/krew, internal/download/downloader.go). Raises ValueError for a broken link.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    files = _files(folder)
    (_zip if archive.suffix == ".zip" else _tar)(files, archive, epoch)
    _assert_plain(archive)
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _files(folder: Path) -> list[tuple[str, Path]]:
    """(name in the archive, file), sorted by name."""
    found = []
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            path = Path(place, name)
            if not path.exists():
                raise ValueError(f"{path} is a link that leads nowhere")
            found.append((path.relative_to(folder).as_posix(), path))
    return sorted(found)


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & stat.S_IXUSR or path.suffix == ".exe" else 0o644


def _tar(files: list[tuple[str, Path]], archive: Path, epoch: int) -> None:
    # The header of gzip holds a name and a time of its own: both are left empty.
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = path.stat().st_size, epoch, _mode(path)
            with path.open("rb") as content:
                tar.addfile(entry, content)


def _zip(files: list[tuple[str, Path]], archive: Path, epoch: int) -> None:
    # Times of zip entries start in 1980 and have no zone.
    moment = datetime.fromtimestamp(max(epoch, 315532800), timezone.utc).timetuple()[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for name, path in files:
            entry = zipfile.ZipInfo(name, moment)
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | _mode(path)) << 16
            target.writestr(entry, path.read_bytes())


def _assert_plain(archive: Path) -> None:
    """Raise ValueError where an entry is anything else than a file."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as source:
            odd = [entry.filename for entry in source.infolist() if not stat.S_ISREG(entry.external_attr >> 16)]
    else:
        with tarfile.open(archive) as source:
            odd = [entry.name for entry in source if not entry.isreg()]
    if odd:
        raise ValueError(f"{archive.name} holds what krew does not unpack: {', '.join(odd)}")
