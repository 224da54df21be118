"""Files that are written whole or not at all, and are never something else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubectl_lbdoctor.fix import private_file

_WRITER = """
import sys
from pathlib import Path
from kubectl_lbdoctor.fix import private_file
path = Path(sys.argv[1])
private_file.write(path, b"first", new=True)
print("begun", flush=True)
while True:
    private_file.write(path, b"x" * 2_000_000, new=False)
"""


@pytest.fixture(params=[True, False], ids=["nameless", "named"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With files that have no name until they are complete, and where the system has none."""
    if not request.param:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


def test_new_and_again(either_way: None, tmp_path: Path) -> None:
    path = tmp_path / "undo.json"
    private_file.write(path, b"one", new=True)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        private_file.write(path, b"two", new=True)
    assert private_file.read(path, 100) == b"one"
    private_file.write(path, b"two", new=False)
    assert private_file.read(path, 100) == b"two" and path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    private_file.write(path, b"three", new=False)
    assert path.read_bytes() == b"three" and list(tmp_path.iterdir()) == [path]


def test_nothing_else_is_replaced(either_way: None, tmp_path: Path) -> None:
    target, link, pipe = (tmp_path / name for name in ("target", "link", "pipe"))
    target.write_text("mine")
    link.symlink_to(target)
    os.mkfifo(pipe)
    for path in (link, pipe):
        for new in (True, False):
            with pytest.raises(OSError):
                private_file.write(path, b"x", new)
    assert target.read_text() == "mine" and link.is_symlink() and pipe.is_fifo()
    with pytest.raises(OSError, match="no regular file"):
        private_file.read(pipe, 10)
    with pytest.raises(ValueError, match="more than"):
        private_file.read(target, 2)


def test_a_full_disk_leaves_the_former_file(either_way: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "undo.json"
    private_file.write(path, b"one", new=True)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        private_file.write(path, b"two", new=False)
    with pytest.raises(OSError, match="No space"):
        private_file.write(tmp_path / "other.json", b"two", new=True)
    assert path.read_bytes() == b"one" and list(tmp_path.iterdir()) == [path]


def test_what_is_killed_leaves_a_whole_file_and_nothing_for_long(tmp_path: Path) -> None:
    """SIGKILL at any moment: the file is the former or the new one; what is left beside it, a later run removes."""
    for number in range(6):
        path = tmp_path / f"undo{number}.json"
        process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        time.sleep(0.02 + 0.013 * number)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert path.read_bytes() in (b"first", b"x" * 2_000_000)
    for left in tmp_path.glob(f".*{private_file.PART}"):
        os.utime(left, (1, 1))
    private_file.write(tmp_path / "later.json", b"", new=True)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
