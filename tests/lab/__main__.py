"""The lab's command: `python -m tests.lab up|down|status|env|images`."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from tests.lab import build, cluster, controller, crowd, daemons, images, neighbour, network, nodes, progress, topology
from tests.lab.progress import LabError, Missing, say, wait_until


def ready_file() -> Path:
    """Written when everything runs; says which variant of the lab it is."""
    return topology.run_dir() / "ready"


def variant() -> str:
    """What this process was asked for, as one types it."""
    return f"LBC={topology.CONTROLLER_VERSION}{' IPV6=1' if topology.IPV6 else ''}"


def check_variant() -> None:
    """The tests expect what they were asked for, and would fail one by one on another lab."""
    runs = ready_file().read_text().strip()
    if runs != variant():
        raise Missing(
            f"the lab that runs is {runs}, and {variant()} is asked for: make lab-down first, or ask for {runs}"
        )


def exports() -> dict[str, str]:
    return {
        "KUBECONFIG": str(topology.kubeconfig()),
        "AWS_ENDPOINT_URL": topology.AWS_URL,
        "AWS_ACCESS_KEY_ID": topology.DOCTOR_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": topology.SECRET_KEY,
        "AWS_REGION": topology.REGION,
    }


def expected() -> list[str]:
    """Daemons without which the lab does not work."""
    return [
        *cluster.CONTROL_PLANE,
        "aws",
        crowd.DAEMON,
        *(name for node in topology.NODES for name in nodes.daemon_names(node)),
    ]


def running() -> bool:
    return ready_file().exists() and daemons.death(*expected()) is None


def leftovers() -> bool:
    return (
        any(topology.run_dir().glob("*"))
        or bool(network.namespaces())
        or Path("/sys/class/net", network.HOST_LINK).exists()
        or any((root / daemons.CGROUP).is_dir() for root in daemons.cgroup_trees())
    )


@contextmanager
def lock() -> Iterator[None]:
    """One `up` or `down` at a time; the second waits."""
    path = topology.run_dir().with_name(topology.run_dir().name + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file: IO[str] = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another lab command is at work; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        # The one that held it may have removed the file: then this lock is on nothing.
        if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            break
        file.close()
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def check_machine() -> None:
    build.prepare_environment()
    check_root()
    build.check_go()
    done = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"missing: network and mount namespaces ({done.stderr.strip()})")


def check_root() -> None:
    if os.geteuid() != 0:
        raise Missing("missing: root (the lab makes network namespaces, mounts and cgroups)")


def up() -> None:
    check_machine()
    with lock():
        if running():
            check_variant()
            say("the lab is running already")
        else:
            if leftovers():
                say("removing what an earlier lab left behind")
                tear_down()
            begun = time.monotonic()
            build.ensure()
            archives = images.ensure()
            network.check_host()
            try:
                start(archives)
            except BaseException as error:
                give_up(error)
                raise
            seconds = time.monotonic() - begun
            ready_file().write_text(f"{variant()}\n")
            say(f"the lab is ready after {seconds:.0f} s")
    usage()


def start(archives: list[Path]) -> None:
    say("starting network, etcd and the API server")
    topology.run_dir().mkdir(parents=True, exist_ok=True)
    topology.run_dir().chmod(0o711)
    network.create()
    for node in topology.NODES:
        nodes.directory(node).mkdir(exist_ok=True)
        network.add_node(node)
    cluster.start_etcd()
    cluster.start_api_server()
    start_aws()
    with ThreadPoolExecutor() as pool:
        try:
            runtimes = [pool.submit(nodes.start_runtime, node, archives) for node in topology.NODES]
            cluster.wait_api_server()
            cluster.write_access()
            say("the API server is ready")
            cluster.start_controllers()
            crowd.start(sys.executable)
            wait_aws()
            say("AWS answers")
            for runtime, node in zip(runtimes, topology.NODES, strict=True):
                runtime.result()
                cluster.join_node(node)
            say("both nodes are starting")
            cluster.install_kube_proxy()
        except BaseException:
            progress.cancelled.set()
            raise
    for node in topology.NODES:
        cluster.wait_node(node)
    say("both nodes are Ready")
    cluster.wait_kube_proxy()
    # Before the controller, which looks for them when it starts.
    cluster.install_gateway_api()
    # Not earlier: a controller that cannot reach the API server's service address yet exits once, and that shows.
    controller.install(cluster.aws_state()["vpc_id"])
    say("the controller is installed")
    controller.wait_ready()
    neighbour.install()
    crowd.wait()


def start_aws() -> None:
    """The AWS half lives in the router's namespace, too; it filters packets there and sees the load balancers' one."""
    arguments = ["-m", "tests.lab.aws", "--listen", f"{topology.CONTROL_PLANE_IP}:{topology.AWS_PORT}"]
    daemons.start("aws", [sys.executable, *arguments], group="aws", netns=topology.NETNS_VPC)


def wait_aws() -> None:
    state, log = topology.aws_state_file(), daemons.log_file("aws")
    wait_until("AWS seeded", state.exists, timeout=90, failed=lambda: daemons.death("aws"), log=log)


def give_up(error: BaseException) -> None:
    """Keep the logs, then leave nothing behind."""
    # A second Ctrl-C would leave half of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    progress.cancelled.set()
    say("interrupted; removing what was started" if isinstance(error, KeyboardInterrupt) else "failed; cleaning up")
    kept = topology.cache_dir() / "logs" / "last-failure"
    shutil.rmtree(kept, ignore_errors=True)
    with suppress(OSError):
        shutil.copytree(topology.run_dir() / "logs", kept)
    if isinstance(error, LabError) and error.log is not None and (kept / error.log.name).exists():
        error.log = kept / error.log.name
    tear_down()


def tear_down() -> None:
    """Works from any state: nothing here relies on what an earlier start has written down."""
    daemons.kill_cgroup()
    nodes.unmount_below(topology.run_dir())
    network.wipe()
    daemons.remove_cgroup()
    nodes.restore_host_sysctls()
    nodes.clean_host_files()
    nodes.remove_tree(topology.run_dir())


def down() -> None:
    build.prepare_environment()
    check_root()
    with lock():
        if leftovers():
            tear_down()
            say("the lab is gone")
        else:
            say("the lab is not running")


def status() -> int:
    build.prepare_environment()
    if not topology.run_dir().exists():
        print("the lab is not running")
        return 1
    for name in expected():
        daemon = daemons.find(name)
        state = f"running (pid {daemon.pid})" if daemon is not None and daemon.alive else "NOT RUNNING"
        print(f"{name:26} {state:24} {daemons.log_file(name)}")
    patience = "--request-timeout=5s"
    real = f"metadata.namespace!={crowd.NAMESPACE}"
    print(
        cluster.kubectl(
            "get", "nodes", "-o", "wide", "--selector=!eks.amazonaws.com/compute-type", patience, check=False
        )
    )
    print(
        cluster.kubectl(
            "get", "pods", "--all-namespaces", "-o", "wide", f"--field-selector={real}", patience, check=False
        )
    )
    if not running():
        print("the lab is not complete: `make lab` repairs it")
        return 1
    return 0


def load_images() -> None:
    """Rebuild images whose source changed and load them into the running nodes."""
    build.prepare_environment()
    check_root()
    archives = images.ensure()
    for node in (*topology.NODES, topology.EXTRA_NODE):
        if nodes.socket(node).exists():
            nodes.load_images(node, archives)
            say(f"images loaded on {node.name}")


def usage() -> None:
    print("\nuse it with:\n  export " + " ".join(f"{name}={value}" for name, value in exports().items()))
    print(f"or: eval $(python -m tests.lab env)    kubectl: {build.kubernetes('kubectl')}    stop: make lab-down")


def print_environment() -> None:
    for name, value in exports().items():
        print(f"export {name}={value}")
    if shutil.which("kubectl") is None:
        print(f"export PATH={build.kubernetes('kubectl').parent}:$PATH")


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    commands = {
        "up": "start the lab (says so when it runs already)",
        "down": "stop it and leave nothing",
        "status": "what runs",
        "env": "shell exports for eval",
        "images": "rebuild changed images and load them into the running nodes",
    }
    actions = parser.add_subparsers(dest="command", required=True)
    for name, text in commands.items():
        actions.add_parser(name, help=text)
    command = parser.parse_args().command
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if command == "up":
            up()
        elif command == "down":
            down()
        elif command == "status":
            return status()
        elif command == "images":
            load_images()
        else:
            print_environment()
        return 0
    except Missing as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except LabError as error:
        print(f"lab: {error}" + (f"\nlab: see {error.log}" if error.log else ""), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
