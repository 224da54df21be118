"""Container images built without a container builder: docker-archive tars of host files, one layer each.

They carry the names that they would have on EKS, so that objects look right; nothing is ever pulled
(`imagePullPolicy: Never`).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import build, topology
from tests.lab.progress import LabError, say

_EKS_REGISTRY = f"602401143452.dkr.ecr.{topology.REGION}.amazonaws.com/eks"
PAUSE = f"{_EKS_REGISTRY}/pause:3.10"
KUBE_PROXY = f"{_EKS_REGISTRY}/kube-proxy:{build.KUBERNETES_TAG}-eksbuild.1"
CONTROLLER = f"public.ecr.aws/eks/{build.CONTROLLER_PROGRAM}:{build.CONTROLLER_TAG}"
# As pods name them; containerd keeps them under docker.io/.
TOOLS = "lbdlab/tools:1"
APP = "lbdlab/app:1"

APP_SOURCE = Path(__file__).parent / "app"
BUSYBOX = Path("/usr/bin/busybox")
# A program that asks for a user or a group by number still looks its name up.
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
_GROUP = "root:x:0:\nnonroot:x:65532:\n"
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


@dataclass(frozen=True)
class Image:
    name: str
    entrypoint: list[str]
    # path in the image -> host file, text, or "-> target" for a symbolic link
    files: Mapping[str, Path | str] = field(default_factory=dict)
    user: str = ""

    @property
    def archive(self) -> Path:
        """Its place in the cache: the key says what went into it."""
        digest = hashlib.sha256(repr((self.name, self.entrypoint, self.user)).encode())
        for path, source in sorted(self.files.items()):
            stamp = source
            if isinstance(source, Path):
                stat = source.stat()
                stamp = f"{stat.st_size} {stat.st_mtime_ns}"
            digest.update(f"{path}\0{stamp}\0".encode())
        short = self.name.rpartition("/")[2].replace(":", "-")
        return topology.cache_dir() / "images" / f"{short}-{digest.hexdigest()[:16]}.tar"


def _with_libraries(*programs: Path) -> dict[str, Path | str]:
    """Programs and the shared libraries that the host's loader finds for them, at the same paths."""
    files: dict[str, Path | str] = {str(program): program for program in programs}
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        # A line that ends with a colon only names the program whose libraries follow.
        library = next((word for word in line.split() if word.startswith("/")), ":")
        if not library.endswith(":"):
            files[library] = Path(library)
    return files


def _busybox() -> dict[str, Path | str]:
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files: dict[str, Path | str] = {f"/bin/{applet}": "-> busybox" for applet in applets if applet != "busybox"}
    files["/bin/busybox"] = BUSYBOX
    return files | {"/etc/passwd": _PASSWD, "/etc/group": _GROUP, "/etc/nsswitch.conf": _NSSWITCH}


def _find(program: str) -> Path:
    found = shutil.which(program)
    if found is None:
        raise LabError(f"{program} is not installed")
    return Path(found).resolve()


def _kube_proxy() -> Image:
    xtables = _find("iptables-nft")
    # iptables loads its matches and targets (comment, statistic, …) from here, which need libraries of their own.
    modules = [module for directory in Path("/usr/lib").glob("*/xtables") for module in directory.glob("*.so")]
    files = _with_libraries(xtables, _find("conntrack"), *modules) | _busybox()
    for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
        files[f"/usr/sbin/{name}"] = f"-> {xtables.name}"
    files["/usr/local/bin/kube-proxy"] = build.kubernetes("kube-proxy")
    return Image(KUBE_PROXY, ["kube-proxy"], files)


def _controller() -> Image:
    files: dict[str, Path | str] = {"/controller": build.controller(), "/etc/passwd": _PASSWD, "/etc/group": _GROUP}
    # Numeric and not root, else the chart's runAsNonRoot refuses it.
    return Image(CONTROLLER, ["/controller"], files, user="65532:65532")


def _app() -> Image | None:
    """The application under test, built from its source in the repository; None while there is none."""
    sources = sorted(path for path in APP_SOURCE.glob("*") if path.suffix in (".go", ".mod", ".sum"))
    if not any(path.suffix == ".go" for path in sources):
        return None
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    binary = build.binary_dir(f"app-{digest.hexdigest()[:16]}") / "app"
    if not binary.exists():
        say("building the application under test")
        target = binary.with_name("app.partial")
        has_module = any(path.name == "go.mod" for path in sources)
        packages = ["."] if has_module else [path.name for path in sources if not path.name.endswith("_test.go")]
        done = subprocess.run(
            ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", target, *packages],
            cwd=APP_SOURCE,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise LabError(f"the application under test does not build: {done.stderr.strip()[-500:]}")
        target.rename(binary)
    return Image(APP, ["/app"], {"/app": binary, "/etc/passwd": _PASSWD, "/etc/group": _GROUP})


def ensure() -> list[Path]:
    """Archives of all images, in the order in which a node needs them."""
    pause = Image(PAUSE, ["/bin/busybox", "sleep", "2147483647"], {"/bin/busybox": BUSYBOX})
    tools = Image(TOOLS, ["/bin/sh"], _busybox() | _with_libraries(_find("curl")))
    images = [pause, _kube_proxy(), _controller(), tools, _app()]
    archives = []
    for image in images:
        if image is None:
            say("no application under test yet (tests/lab/app is empty)")
            continue
        if not image.archive.exists():
            say(f"building image {image.name}")
            _write(image)
        archives.append(image.archive)
    return archives


def _write(image: Image) -> None:
    archive = image.archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    layer_file = archive.with_suffix(".layer")
    with tarfile.open(layer_file, "w") as layer:
        _add_directories(layer, image)
        for path, source in sorted(image.files.items()):
            info = tarfile.TarInfo(path.lstrip("/"))
            if isinstance(source, Path):
                info.size, info.mode = source.stat().st_size, 0o755 if os.access(source, os.X_OK) else 0o644
                with source.open("rb") as content:
                    layer.addfile(info, content)
            elif source.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, source.removeprefix("-> ")
                layer.addfile(info)
            else:
                info.size, info.mode = len(source.encode()), 0o644
                layer.addfile(info, io.BytesIO(source.encode()))
    with layer_file.open("rb") as content:
        digest = _hash(content)
    config = {
        "architecture": "arm64" if os.uname().machine == "aarch64" else "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": image.entrypoint,
            "User": image.user,
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "tests.lab.images"}],
    }
    content_of_config = json.dumps(config).encode()
    config_name = hashlib.sha256(content_of_config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [image.name], "Layers": ["layer.tar"]}]).encode()
    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        for name, blob in ((config_name, content_of_config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(blob)
            tar.addfile(info, io.BytesIO(blob))
        tar.add(layer_file, "layer.tar")
    layer_file.unlink()
    partial.rename(archive)


def _hash(content: io.BufferedReader) -> str:
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _add_directories(layer: tarfile.TarFile, image: Image) -> None:
    parents = {parent for path in image.files for parent in Path(path.lstrip("/")).parents} - {Path(".")}
    for directory in sorted(parents | {Path("tmp"), Path("run"), Path("root")}):
        info = tarfile.TarInfo(str(directory))
        info.type, info.mode = tarfile.DIRTYPE, 0o1777 if directory == Path("tmp") else 0o755
        layer.addfile(info)
