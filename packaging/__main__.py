"""`python packaging dist [DIR]`: the archive of this machine's platform. `python packaging manifest DIR`: all hashes.

dist builds with PyInstaller, packs, prints size and SHA-256, and writes the hash into krew-manifest.yaml. manifest
takes the archives that a folder holds, of all platforms, and writes all of their hashes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import archive
import krew_manifest

ROOT = Path(__file__).resolve().parent.parent
MANIFEST, TEMPLATE = ROOT / "krew-manifest.yaml", ROOT / ".krew.yaml"
SHIPPED = ("LICENSE", "NOTICE")
COMPLETER = ROOT / "kubectl_lbdoctor" / "data" / "kubectl_complete-lbdoctor"
"""The program that kubectl asks for completions, to be put on PATH by hand or by `completion install`."""

LIMIT = 20_000_000
"""Bytes that an archive may have."""

SOURCES = ("kubectl_lbdoctor", "packaging", *SHIPPED)
"""What an archive is made of."""


def main(arguments: list[str]) -> int:
    """Run one of the two commands; the exit status."""
    match arguments:
        case ["dist", *rest] if len(rest) < 2:
            return dist(Path(*rest) if rest else ROOT / "dist")
        case ["manifest", folder]:
            return all_hashes(Path(folder))
    print(__doc__, file=sys.stderr)
    return 2


def dist(target: Path) -> int:
    """Build the archive of this platform below the folder `target`."""
    missing = [name for name in SHIPPED if not (ROOT / name).is_file()]
    if missing:
        print(f"error: {' and '.join(missing)} must be in the archive and is not in {ROOT}", file=sys.stderr)
        return 1
    here = this_platform()
    if here not in krew_manifest.PLATFORMS:
        print(f"error: {here} is none of {', '.join(krew_manifest.PLATFORMS)}", file=sys.stderr)
        return 1
    folder = freeze(target)
    for name in SHIPPED:
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(target / "work" / "lbdoctor" / "THIRD-PARTY-LICENSES", folder)
    completer = folder / COMPLETER.name
    shutil.copy(COMPLETER, completer)
    completer.chmod(0o755)
    packed = target / krew_manifest.archive_name(here)
    digest = archive.pack(folder, packed, source_time())
    size = packed.stat().st_size
    write_manifest({here: digest})
    print(f"{packed}  {size / 1e6:.1f} MB\nsha256 {digest}\nPut into {MANIFEST.name} for {here}.")
    if size > LIMIT:
        print(f"error: it is larger than {LIMIT / 1e6:.0f} MB", file=sys.stderr)
        return 1
    return 0


def freeze(target: Path) -> Path:
    """Run PyInstaller with fixed seeds and times; the folder that it made. Its words are shown where it fails."""
    fixed = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(source_time())}
    work, frozen = target / "work", target / "frozen"
    command = ["-m", "PyInstaller", "--noconfirm", "--clean", "--distpath", str(frozen), "--workpath", str(work)]
    done = subprocess.run(
        [sys.executable, *command, str(ROOT / "packaging" / "lbdoctor.spec")],
        env={**os.environ, **fixed},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(f"error: PyInstaller failed with status {done.returncode}; its words are above")
    return frozen / "lbdoctor"


def source_time() -> int:
    """SOURCE_DATE_EPOCH, else the time of the last commit of what the archive is made of, in seconds since 1970.

    Commits of anything else, such as the manifest with the archive's hash, leave the archive as it is.
    """
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    log = ["git", "log", "-1", "--format=%ct", "--", *SOURCES]
    found = subprocess.run(log, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return int(found or 315532800)  # Without git: the first moment that zip knows, 1980-01-01.


def this_platform() -> str:
    """OS-ARCHITECTURE of this machine in Go's names."""
    processor = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{processor.get(machine, machine)}"


def all_hashes(folder: Path) -> int:
    """Write the manifest with the hashes of the archives in a folder; fails where one of the five is missing."""
    found = {}
    for name in krew_manifest.PLATFORMS:
        packed = folder / krew_manifest.archive_name(name)
        if packed.is_file():
            found[name] = hashlib.sha256(packed.read_bytes()).hexdigest()
    write_manifest(found)
    missing = [name for name in krew_manifest.PLATFORMS if name not in found]
    if missing:
        print(f"error: no archive in {folder} for {', '.join(missing)}", file=sys.stderr)
        return 1
    return 0


def write_manifest(built: dict[str, str]) -> None:
    """Put these hashes into the manifest of this version, beside those that it has; write the bot's template anew."""
    sys.path.insert(0, str(ROOT))
    from kubectl_lbdoctor import __version__

    known = krew_manifest.hashes(MANIFEST.read_text("utf-8"), __version__) if MANIFEST.exists() else {}
    MANIFEST.write_text(krew_manifest.manifest(__version__, {**known, **built}), "utf-8")
    TEMPLATE.write_text(krew_manifest.template(), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
