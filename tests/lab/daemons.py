"""Long-running processes of the lab: started in a session, a network namespace and a cgroup of their own.

The cgroup is what makes `down` complete: everything a daemon ever forked (containerd's shims, containers that were
orphaned by a crash) is still in it, whatever happened to pid files and parents.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.lab import topology
from tests.lab.progress import LabError

CGROUP = topology.CLUSTER_NAME
REPOSITORY = Path(__file__).resolve().parents[2]

# Joins cgroups and becomes the program. A process of its own instead of preexec_fn, which is not safe beside threads.
_LAUNCH = """
import os, sys
split = sys.argv.index("--")
for procs in sys.argv[1:split]:
    with open(procs, "w") as file:
        file.write("0")
os.execvp(sys.argv[split + 1], sys.argv[split + 1:])
"""


@dataclass(frozen=True)
class Daemon:
    name: str
    pid: int
    # Start time in clock ticks since boot: a pid alone may belong to another process by now.
    born: int

    @property
    def alive(self) -> bool:
        stat = _stat(self.pid)
        return stat is not None and stat[0] != "Z" and stat[1] == self.born


def log_file(name: str) -> Path:
    return topology.run_dir() / "logs" / f"{name}.log"


def _pid_file(name: str) -> Path:
    return topology.run_dir() / "pids" / f"{name}.json"


def _stat(pid: int) -> tuple[str, int] | None:
    """State letter and start time of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[19])


# --- cgroups ---------------------------------------------------------------------------------------------------------


@cache
def cgroup_trees() -> tuple[Path, ...]:
    """Where cgroups are mounted: one tree for each v1 controller, or a single v2 tree, or (hybrid) both."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    trees = [Path(path) for kind in ("cgroup", "cgroup2") for _, path, found, *_ in mounts if found == kind]
    if not trees:
        raise LabError("no cgroup hierarchy is mounted on this machine")
    return tuple(trees)


@cache
def hierarchies() -> tuple[Path, ...]:
    """The trees that hold processes to account; on a hybrid machine the v2 tree has no controllers."""
    return tuple(tree for tree in cgroup_trees() if not (tree / "cgroup.controllers").exists()) or cgroup_trees()


def make_cgroup(name: str) -> str:
    """Create a cgroup below the lab's own in every hierarchy; returns its path as kubelet wants it."""
    for root in hierarchies():
        path = root
        for part in (CGROUP, *name.split("/")):
            parent, path = path, path / part
            path.mkdir(exist_ok=True)
            # v1: a cpuset is born empty and refuses processes until it is given processors and memory nodes.
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (path / file).exists() and not (path / file).read_text().strip():
                    inherited = (parent / file) if (parent / file).exists() else None
                    if inherited and (value := inherited.read_text().strip()):
                        (path / file).write_text(value)
            # v2: children get only the controllers that the parent hands down.
            controllers = parent / "cgroup.controllers"
            if controllers.exists():
                wanted = " ".join("+" + controller for controller in controllers.read_text().split())
                (parent / "cgroup.subtree_control").write_text(wanted)
    return f"/{CGROUP}/{name}"


def cgroup_members(name: str = "") -> set[int]:
    pids: set[int] = set()
    for root in cgroup_trees():
        for procs in (root / CGROUP / name).rglob("cgroup.procs"):
            try:
                pids.update(int(pid) for pid in procs.read_text().split())
            except OSError:  # the group vanished while it was read
                continue
    return {pid for pid in pids if (stat := _stat(pid)) is not None and stat[0] != "Z"}


def kill_cgroup(name: str = "") -> None:
    """Kill all in one cgroup, or in all of the lab's, until nothing is left: the killed may have forked just before."""
    killed: set[int] = set()
    for _ in range(100):
        pids = cgroup_members(name)
        if not pids:
            if not name:
                _wait_reaped(killed)
            return
        killed |= pids
        for pid in pids:
            _kill(pid)
        time.sleep(0.05)
    raise LabError(f"processes {sorted(cgroup_members(name))} of the lab cannot be killed")


def _wait_reaped(pids: set[int], patience: float = 3) -> None:
    """Let the parents (init, or this process) collect the dead, so that not even a zombie is seen afterwards."""
    deadline = time.monotonic() + patience
    while pids and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        pids = {pid for pid in pids if _stat(pid) is not None}
        time.sleep(0.05)


def remove_cgroup(name: str = "") -> None:
    for root in cgroup_trees():  # runc makes its groups in the v2 tree of a hybrid machine, too
        top = root / CGROUP / name
        if not top.is_dir():
            continue
        for directory, _, _ in os.walk(top, topdown=False):
            for attempt in range(40):
                try:
                    os.rmdir(directory)
                    break
                except FileNotFoundError:
                    break
                except OSError:  # EBUSY: the kernel is still reaping the last process
                    if attempt == 39:
                        raise
                    time.sleep(0.05)


# --- processes -------------------------------------------------------------------------------------------------------


def start(
    name: str, argv: Sequence[str | Path], *, group: str, netns: str | None = None, env: Mapping[str, str] | None = None
) -> Daemon:
    """Start a daemon in cgroup `daemons/GROUP`; its output goes to its log file. A running one is left alone."""
    running = find(name)
    if running is not None and running.alive:
        return running
    make_cgroup(f"daemons/{group}")
    joins = [str(root / CGROUP / "daemons" / group / "cgroup.procs") for root in hierarchies()]
    command = [sys.executable, "-I", "-S", "-c", _LAUNCH, *joins, "--"]
    if netns is not None:
        # Only the network: kubelet and containerd must share the machine's mount namespace (`ip netns exec` would not).
        command += ["nsenter", f"--net=/run/netns/{netns}", "--"]
    command += [str(argument) for argument in argv]
    log = log_file(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=REPOSITORY,
            env={**os.environ, **(env or {})},
        )
    stat = _stat(process.pid)
    daemon = Daemon(name, process.pid, stat[1] if stat else 0)
    process.returncode = 0  # never waited for: the daemon outlives this process, and Popen warns otherwise
    file = _pid_file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"pid": daemon.pid, "born": daemon.born}))
    return daemon


def find(name: str) -> Daemon | None:
    try:
        saved = json.loads(_pid_file(name).read_text())
    except (OSError, ValueError):
        return None
    return Daemon(name, saved["pid"], saved["born"])


def all_daemons() -> list[Daemon]:
    files = sorted((topology.run_dir() / "pids").glob("*.json"))
    return [daemon for daemon in (find(file.stem) for file in files) if daemon is not None]


def death(*names: str) -> LabError | None:
    """The failure to report when one of the daemons is not running any more."""
    for name in names:
        daemon = find(name)
        if daemon is None or not daemon.alive:
            lines = log_file(name).read_text(errors="replace").splitlines() if log_file(name).exists() else []
            last = next((line for line in reversed(lines) if line.strip()), "no output")
            return LabError(f"{name} has stopped: {last.strip()[:300]}", log_file(name))
    return None


def stop(name: str, *, grace: float = 5.0, forget: bool = True) -> None:
    """Ask a daemon to stop, then kill it. Its children (shims) live on: that is how containers survive kubelet."""
    daemon = find(name)
    if daemon is not None and daemon.alive:
        _kill(daemon.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while daemon.alive and time.monotonic() < deadline:
            time.sleep(0.05)
        if daemon.alive:
            _kill(daemon.pid)
    if forget:
        _pid_file(name).unlink(missing_ok=True)


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
