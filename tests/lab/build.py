"""What the lab is made of: Debian packages, and binaries built once from Go modules and cached by version.

No registry serves images or release binaries here on purpose: a machine that has Debian's packages and the Go module
proxy can run the lab.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.lab import topology
from tests.lab.progress import LabError, Missing, say

KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
CONTROLLER_PROGRAM = "aws-load-balancer-controller"
CONTROLLER_TAG = f"v{topology.CONTROLLER_VERSION}"
KUBERNETES_TAG = f"v{topology.KUBERNETES_VERSION}"
HELM_TAG = topology.HELM_MODULE.rpartition("@")[2]
GO_MINIMUM = (1, 24)

# program that shows that it is installed -> Debian package
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "etcd": "etcd-server",
    "etcdctl": "etcd-client",
    "/usr/bin/busybox": "busybox-static",
    "iptables-nft": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "curl": "curl",
    "ip": "iproute2",
    "modprobe": "kmod",
    "openssl": "openssl",
    "sysctl": "procps",
}


def prepare_environment() -> None:
    """`sudo` and cron strip PATH of the places where Go and the administrator's programs usually are; and a machine's
    proxy for downloads must not be asked for the lab's own addresses."""
    for variable in ("NO_PROXY", "no_proxy"):
        os.environ[variable] = ",".join(filter(None, (os.environ.get(variable), topology.CONTROL_PLANE_IP)))
    paths = os.environ.get("PATH", "").split(":")
    usual = ("/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
    os.environ["PATH"] = ":".join([*paths, *(path for path in usual if path not in paths)])


def check_go() -> None:
    wanted = ".".join(map(str, GO_MINIMUM))
    if shutil.which("go") is None:
        raise Missing(f"missing: Go {wanted} or newer (no `go` in PATH)")
    found = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout.strip()
    version = re.match(r"go(\d+)\.(\d+)", found)
    if version is not None and (int(version[1]), int(version[2])) < GO_MINIMUM:
        raise Missing(f"missing: Go {wanted} or newer (this is {found})")


def binary_dir(name: str) -> Path:
    return topology.cache_dir() / "bin" / name


def kubernetes(program: str) -> Path:
    return binary_dir(f"kubernetes-{KUBERNETES_TAG}") / program


def controller() -> Path:
    return binary_dir(f"{CONTROLLER_PROGRAM}-{CONTROLLER_TAG}") / CONTROLLER_PROGRAM


def controller_chart() -> Path:
    """The controller's own Helm chart, taken from its module."""
    return topology.cache_dir() / "charts" / f"{CONTROLLER_PROGRAM}-{CONTROLLER_TAG}"


def helm() -> Path:
    return binary_dir(f"helm-{HELM_TAG}") / "helm"


def ensure() -> None:
    """Install and build what is missing; takes no time when everything is there."""
    install_packages()
    if not all(kubernetes(program).exists() for program in KUBERNETES_PROGRAMS):
        build_kubernetes()
    if not controller().exists():
        build_controller()
    if not helm().exists():
        with _fresh(binary_dir(f"helm-{HELM_TAG}")) as directory:
            _go("helm", ["install", "-trimpath", "-ldflags=-s -w", topology.HELM_MODULE], env={"GOBIN": str(directory)})
    if not controller_chart().exists():
        copy_chart()


def install_packages() -> None:
    missing = sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})
    # Any busybox answers to the name; only the static one can be copied into an image alone.
    if "busybox-static" not in missing and "dynamically" in _describe("/usr/bin/busybox"):
        missing.append("busybox-static")
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise Missing(f"missing: apt-get, to install {', '.join(missing)}")
    say(f"installing {', '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    _logged("apt", ["apt-get", "update"], env=quiet)
    _logged("apt", install, env=quiet)


def _describe(path: str) -> str:
    done = subprocess.run(["ldd", path], capture_output=True, text=True)
    return "dynamically" if done.returncode == 0 and "=>" in done.stdout else "static"


def build_kubernetes() -> None:
    """All Kubernetes programs from one module.

    Kubernetes' own go.mod points its staging modules at directories, which `go install` refuses to follow from outside;
    a module of our own that replaces each by its published version builds the same code.
    """
    module = f"k8s.io/kubernetes@{KUBERNETES_TAG}"
    source = topology.cache_dir() / "src" / f"kubernetes-{KUBERNETES_TAG}"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    upstream = json.loads(_output(["go", "mod", "edit", "-json", _download(module)["GoMod"]]))
    staged = [entry["Old"]["Path"] for entry in upstream["Replace"] if entry["New"]["Path"].startswith("./staging/")]
    version = "v0." + topology.KUBERNETES_VERSION.partition(".")[2]
    lines = [
        "module lbdoctor.invalid/lab/kubernetes",
        f"go {upstream['Go']}",
        *(f"godebug {entry['Key']}={entry['Value']}" for entry in upstream.get("Godebug") or ()),
        f"require k8s.io/kubernetes {KUBERNETES_TAG}",
        "tool (",
        *(f"\tk8s.io/kubernetes/cmd/{program}" for program in KUBERNETES_PROGRAMS),
        ")",
        "replace (",
        *(f"\t{path} => {path} {version}" for path in staged),
        ")",
    ]
    (source / "go.mod").write_text("\n".join(lines) + "\n")
    # Without the version stamp the API server reports v0.0.0, and clients refuse or misjudge it.
    stamp = f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES_TAG}"
    _go("kubernetes", ["mod", "tidy"], cwd=source)
    with _fresh(binary_dir(f"kubernetes-{KUBERNETES_TAG}")) as directory:
        _go("kubernetes", ["build", "-v", "-trimpath", f"-ldflags={stamp}", "-o", f"{directory}/", "tool"], cwd=source)


def controller_module() -> str:
    """The module of the release that the lab runs. Raises Missing for one that it cannot run."""
    found = topology.CONTROLLERS.get(topology.CONTROLLER_VERSION)
    if found is None:
        raise Missing(f"LBC={topology.CONTROLLER_VERSION}: the lab runs {' or '.join(topology.CONTROLLERS)}")
    return found


def gateway_api_definitions() -> list[Path]:
    """The CustomResourceDefinitions of Gateway API, as files."""
    folder = Path(_download(topology.GATEWAY_API_MODULE)["Dir"]) / "config" / "crd" / "experimental"
    return [folder / f"gateway.networking.k8s.io_{kind}.yaml" for kind in topology.GATEWAY_API_KINDS]


def build_controller() -> None:
    stamp = f"-s -w -X sigs.k8s.io/aws-load-balancer-controller/pkg/version.GitVersion={CONTROLLER_TAG}"
    with _fresh(binary_dir(f"{CONTROLLER_PROGRAM}-{CONTROLLER_TAG}")) as directory:
        arguments = ["install", "-v", "-trimpath", f"-ldflags={stamp}", controller_module()]
        _go("controller", arguments, env={"GOBIN": str(directory)})


def copy_chart() -> None:
    chart = Path(_download(controller_module())["Dir"]) / "helm" / CONTROLLER_PROGRAM
    with _fresh(controller_chart()) as directory:
        shutil.copytree(chart, directory, dirs_exist_ok=True)
        # The module cache is read-only, and copies of its directories inherit that.
        for path in directory.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)


def _download(module: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(_output(["go", "mod", "download", "-json", module]))
    return found


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """A directory that gets its name only when it is complete, so that an interrupted build is not taken for done."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _go(what: str, arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    _logged(what, ["go", *arguments], env={"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", **(env or {})}, cwd=cwd)


def _logged(
    what: str, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a long command with its output in a log file and a progress line now and then."""
    log = topology.cache_dir() / "logs" / f"build-{what}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    say(f"{' '.join(command[:2])} for {what} (log: {log})")
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd or "/",
            env={**os.environ, **(env or {})},
        )
    finished = threading.Event()
    started = time.monotonic()

    def report() -> None:
        while not finished.wait(30):
            lines = log.read_text(errors="replace").splitlines() or [""]
            say(f"  still at it after {time.monotonic() - started:.0f} s: {lines[-1][:100]}")

    threading.Thread(target=report, daemon=True).start()
    try:
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        finished.set()
    if status:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise LabError(f"{' '.join(command[:2])} for {what} failed: {lines[-1][:300] if lines else status}", log)
