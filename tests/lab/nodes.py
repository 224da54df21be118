"""Worker nodes: each a containerd and a kubelet in a network namespace, with roots and cgroups of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.lab import build, daemons, images, network, topology
from tests.lab.progress import LabError, say, wait_until

CLUSTER_DNS = "172.20.0.10"
# Where kubelet, containerd and the CNI library leave files on the machine whatever their configuration says.
_HOST_DIRS = (
    Path("/var/lib/kubelet/device-plugins"),
    Path("/var/lib/kubelet/pod-resources"),
    Path("/var/lib/kubelet"),
    Path("/var/lib/cni/results"),
    Path("/var/lib/cni"),
    Path("/var/log/containers"),
    Path("/run/containerd/s"),
    Path("/run/containerd"),
    Path("/opt/containerd"),
)
# kubelet sets these to its own taste on the machine.
_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def directory(node: topology.Node) -> Path:
    return topology.run_dir() / node.name


def socket(node: topology.Node) -> Path:
    return directory(node) / "containerd.sock"


def by_name(name: str) -> topology.Node:
    for node in (*topology.NODES, topology.EXTRA_NODE):
        if node.name == name:
            return node
    raise LabError(f"the lab has no node {name}")


def _containerd(node: topology.Node) -> str:
    return f"{node.name}-containerd"


def _kubelet(node: topology.Node) -> str:
    return f"{node.name}-kubelet"


# --- container runtime -----------------------------------------------------------------------------------------------


def start_runtime(node: topology.Node, archives: list[Path]) -> None:
    """The node's namespace, its containerd and its images; needs no API server."""
    if not network.exists(node.netns):
        network.add_node(node)
    root = directory(node)
    network.write_cni(node, root / "cni", root / "cni-data")
    config = root / "containerd.toml"
    config.write_text(_containerd_config(node))
    daemons.start(_containerd(node), ["containerd", "--config", config], group=node.name, netns=node.netns)
    log = daemons.log_file(_containerd(node))
    wait_until(
        f"containerd of {node.name}",
        lambda: _ctr(node, "version").returncode == 0,
        timeout=60,
        failed=lambda: daemons.death(_containerd(node)),
        log=log,
    )
    load_images(node, archives)


def load_images(node: topology.Node, archives: list[Path]) -> None:
    for archive in archives:
        done = _ctr(node, "-n", "k8s.io", "images", "import", str(archive))
        if done.returncode:
            raise LabError(f"{node.name} cannot import {archive.name}: {done.stderr.strip()[-300:]}")


def _ctr(node: topology.Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["ctr", "--address", str(socket(node)), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def _containerd_config(node: topology.Node) -> str:
    root = directory(node)
    return f"""version = 2
root = "{root}/containerd"
state = "{root}/containerd-state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{socket(node)}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  # Without CAP_SYS_RESOURCE a negative oom_score_adj is refused, and runc dies of it.
  restrict_oom_score_adj = true
  # Pods' network namespaces lie below the node's own folder and vanish with it.
  netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{network.CNI_PLUGINS}"
  conf_dir = "{root}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{root}/runc"
"""


# --- kubelet ---------------------------------------------------------------------------------------------------------


def start_kubelet(node: topology.Node, kubeconfig: Path, aws_state: dict[str, Any]) -> None:
    instance = aws_state["instances"].get(node.name)
    if instance is None:
        raise LabError(f"AWS has no instance for {node.name}", topology.aws_state_file())
    save_host_sysctls()
    root = directory(node)
    config = root / "kubelet.json"
    config.write_text(json.dumps(_kubelet_config(node, instance), indent=2))
    labels = {
        "topology.kubernetes.io/region": topology.REGION,
        "topology.kubernetes.io/zone": instance["zone"],
        "eks.amazonaws.com/nodegroup": node.group,
        "node.kubernetes.io/instance-type": "m5.large",
    }
    arguments = [
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.ip}" + (f",{node.ip6}" if topology.IPV6 else ""),
        f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
        f"--root-dir={root}/kubelet",
        f"--cert-dir={root}/pki",
        "--v=2",
    ]
    (root / "kubelet-arguments.json").write_text(json.dumps(arguments))
    kubelet_start(node.name)


def _kubelet_config(node: topology.Node, instance: dict[str, Any]) -> dict[str, Any]:
    root = directory(node)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.ip,
        # Only the router reaches the node's port, and nobody but the lab lives there.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        # It cannot be changed after the first registration.
        "providerID": f"aws:///{instance['zone']}/{instance['id']}",
        # Two kubelets on one machine: each takes what lies outside its cgroup root for nobody's, and what lies inside
        # and is unknown to it for orphans that it kills.
        "cgroupRoot": daemons.make_cgroup(f"nodes/{node.name}"),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "1Mi"},
        "imageGCHighThresholdPercent": 100,
        "failSwapOn": False,
        "clusterDNS": [CLUSTER_DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "containerRuntimeEndpoint": f"unix://{socket(node)}",
        "podLogsDir": str(root / "pod-logs"),
        "volumePluginDir": str(root / "volume-plugins"),
        "maxPods": 29,  # addresses in the node's /27
    }


def kubelet_start(name: str) -> None:
    node = by_name(name)
    arguments = json.loads((directory(node) / "kubelet-arguments.json").read_text())
    program = build.kubernetes("kubelet")
    daemons.start(_kubelet(node), [program, *arguments], group=node.name, netns=node.netns)


def kubelet_stop(name: str) -> None:
    """Stop kubelet alone: its containers run on, and the node becomes NotReady after the grace period."""
    daemons.stop(_kubelet(by_name(name)))


def daemon_names(node: topology.Node) -> tuple[str, str]:
    return _containerd(node), _kubelet(node)


# --- the end of a node -----------------------------------------------------------------------------------------------


def stop(node: topology.Node) -> None:
    """The node is off: no process, no address, no disk. Its Node object stays until somebody deletes it."""
    for name in (_kubelet(node), _containerd(node)):
        daemons.stop(name, grace=0)
    for group in (f"daemons/{node.name}", f"nodes/{node.name}"):
        daemons.kill_cgroup(group)
    unmount_below(directory(node))
    network.remove(node.netns)
    for group in (f"daemons/{node.name}", f"nodes/{node.name}"):
        daemons.remove_cgroup(group)
    remove_tree(directory(node))


def unmount_below(top: Path) -> None:
    """Unmount what kubelet, containerd and runc mounted, the deepest first."""
    for _ in range(5):  # the same point may be mounted over more than once
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
        mine = [point for point in points if Path(point) == top or top in Path(point).parents]
        if not mine:
            return
        for point in sorted(mine, key=len, reverse=True):
            if subprocess.run(["umount", point], capture_output=True).returncode:
                subprocess.run(["umount", "--lazy", point], capture_output=True)
    raise LabError(f"{top} still has mounts")


def remove_tree(top: Path) -> None:
    """A container that was killed may still be writing its last words for a moment."""
    for attempt in range(10):
        try:
            shutil.rmtree(top)
            return
        except FileNotFoundError:
            return
        except OSError:
            if attempt == 9:
                raise
            time.sleep(0.1)


def save_host_sysctls() -> None:
    file = topology.run_dir() / "sysctls.json"
    if not file.exists():
        values = {name: Path("/proc/sys", name).read_text().strip() for name in _SYSCTLS}
        file.write_text(json.dumps(values))


def restore_host_sysctls() -> None:
    try:
        values = json.loads((topology.run_dir() / "sysctls.json").read_text())
    except (OSError, ValueError):
        return
    for name, value in values.items():
        try:
            Path("/proc/sys", name).write_text(value)
        except OSError as error:
            say(f"cannot restore {name}: {error}")


def clean_host_files() -> None:
    """Remove the lab's leftovers outside its folder, and folders that are empty then."""
    run = str(topology.run_dir())
    for path in Path("/var/lib/cni/results").glob(f"{network.CNI_NETWORK}-*"):
        path.unlink(missing_ok=True)
    for path in Path("/var/log/containers").glob("*.log"):
        if path.is_symlink() and os.readlink(path).startswith(run):
            path.unlink(missing_ok=True)
    # A containerd or a kubelet of the machine's own keeps its sockets.
    if not Path("/run/containerd/containerd.sock").exists():
        for path in (*Path("/run/containerd/s").glob("*"), *Path("/var/lib/cni/results").glob("cni-loopback-*")):
            path.unlink(missing_ok=True)
    if not Path("/var/lib/kubelet/config.yaml").exists():
        for name in ("kubelet.sock", "DEPRECATION", "kubelet_internal_checkpoint"):
            Path("/var/lib/kubelet/device-plugins", name).unlink(missing_ok=True)
    for path in _HOST_DIRS:
        try:
            path.rmdir()
        except OSError:
            continue
