"""The cluster: etcd and the Kubernetes control plane in the router's namespace, kube-proxy, and access for people."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any

from tests.lab import build, daemons, images, nodes, topology
from tests.lab.nodes import kubelet_start, kubelet_stop
from tests.lab.progress import LabError, say, wait_until

__all__ = ["kubectl", "kubelet_start", "kubelet_stop", "start_node", "stop_node"]

MANIFESTS = Path(__file__).parent / "manifests"
ETCD_URL = "http://127.0.0.1:2379"  # inside the router's namespace
GROUP = "control-plane"
CONTEXT = topology.CLUSTER_NAME
EXEC_CONTEXT = f"{topology.CLUSTER_NAME}-exec"

# Name of the token -> user and groups, as EKS's own users are in RBAC's eyes.
_USERS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    **{node.name: (f"system:node:{node.name}", "system:nodes") for node in (*topology.NODES, topology.EXTRA_NODE)},
}


def _pki() -> Path:
    return topology.run_dir() / "pki"


def certificate_authority() -> Path:
    # The API server's self-signed certificate doubles as the cluster's CA.
    return _pki() / "apiserver.crt"


def _private(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode)
    path.write_text(text)
    path.chmod(mode)


# --- control plane ---------------------------------------------------------------------------------------------------


def start_etcd() -> None:
    data = topology.run_dir() / "etcd"
    data.mkdir(parents=True, exist_ok=True)
    # In memory: the lab's state is not worth a disk's fsync, and all tests wait for it.
    if not os.path.ismount(data):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g,mode=0700", "lbdlab-etcd", data], check=True)
    peer = "http://127.0.0.1:2380"
    arguments = [
        f"--data-dir={data}/data",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]
    # Debian's unit file configures etcd by ETCD_* variables; nothing of the caller's environment may leak in.
    daemons.start("etcd", ["env", "-i", "etcd", *arguments], group=GROUP, netns=topology.NETNS_VPC)


def start_api_server() -> None:
    pki = _pki()
    pki.mkdir(parents=True, exist_ok=True)
    pki.chmod(0o700)
    tokens = {name: secrets.token_hex(16) for name in _USERS}
    rows = [f'{tokens[name]},{user},{name},"{groups}"' for name, (user, groups) in _USERS.items()]
    _private(pki / "tokens.csv", "\n".join(rows) + "\n")
    _private(pki / "tokens.json", json.dumps(tokens))
    key = pki / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    arguments = [
        f"--etcd-servers={ETCD_URL}",
        f"--bind-address={topology.CONTROL_PLANE_IP}",
        f"--advertise-address={topology.CONTROL_PLANE_IP}",
        f"--secure-port={topology.API_SERVER_PORT}",
        f"--cert-dir={pki}",
        f"--service-cluster-ip-range={topology.SERVICE_CIDR}" + (f",{topology.SERVICE_CIDR6}" if topology.IPV6 else ""),
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--token-auth-file={pki}/tokens.csv",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        # There is no kube-proxy beside it: call webhooks at pod addresses instead of service addresses.
        "--enable-aggregator-routing=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
        "--profiling=false",
        "--v=1",
    ]
    program = build.kubernetes("kube-apiserver")
    daemons.start("kube-apiserver", [program, *arguments], group=GROUP, netns=topology.NETNS_VPC)


def wait_api_server() -> None:
    def ready() -> bool:
        try:
            return _request("/readyz") == b"ok"
        except (urllib.error.HTTPError, FileNotFoundError, ssl.SSLError):  # no certificate yet, or hooks still running
            return False

    log = daemons.log_file("kube-apiserver")
    failed = lambda: daemons.death("etcd", "kube-apiserver")  # noqa: E731
    wait_until("API server ready", ready, timeout=120, failed=failed, log=log)


def start_controllers() -> None:
    ca, key = certificate_authority(), _pki() / "service-accounts.key"
    for name, extra in {
        "kube-controller-manager": [
            f"--root-ca-file={ca}",
            f"--service-account-private-key-file={key}",
            "--use-service-account-credentials=true",
            "--allocate-node-cidrs=false",
            f"--cluster-name={topology.CLUSTER_NAME}",
            f"--flex-volume-plugin-dir={topology.run_dir()}/volume-plugins",  # it makes its default one in /usr
        ],
        "kube-scheduler": [],
    }.items():
        config = _pki() / f"{name}.kubeconfig"
        _write_kubeconfig(config, name)
        arguments = [
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--profiling=false",
        ]
        program = build.kubernetes(name)
        daemons.start(name, [program, *arguments, *extra], group=GROUP, netns=topology.NETNS_VPC)


CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


# --- access ----------------------------------------------------------------------------------------------------------


def token(name: str) -> str:
    """The bearer token of one of the users."""
    tokens: dict[str, str] = json.loads((_pki() / "tokens.json").read_text())
    return tokens[name]


def _config(users: dict[str, dict[str, Any]], contexts: dict[str, str], current: str) -> str:
    """A kubeconfig (JSON is YAML)."""
    ca = subprocess.run(["base64", "-w0", certificate_authority()], capture_output=True, text=True, check=True).stdout
    cluster = {"server": topology.API_SERVER_URL, "certificate-authority-data": ca}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": topology.CLUSTER_NAME, "cluster": cluster}],
            "users": [{"name": name, "user": user} for name, user in users.items()],
            "contexts": [
                {"name": name, "context": {"cluster": topology.CLUSTER_NAME, "user": user}}
                for name, user in contexts.items()
            ],
            "current-context": current,
        },
        indent=2,
    )


def _write_kubeconfig(path: Path, name: str) -> None:
    _private(path, _config({name: {"token": token(name)}}, {CONTEXT: name}, CONTEXT))


def write_access() -> None:
    """The kubeconfig for people: a token, and beside it the exec plugin that `aws eks update-kubeconfig` writes."""
    plugin = topology.run_dir() / "bin" / "aws"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "spec": {},
        "status": {"token": token("admin")},
    }
    script = (
        f"#!{sys.executable} -IS\n"
        '"""Stands for the AWS CLI: answers `aws eks get-token` as kubectl\'s exec plugin."""\n'
        "import sys\n"
        'if sys.argv[1:3] != ["eks", "get-token"]:\n'
        '    sys.exit("only `aws eks get-token` works here")\n'
        f"print({json.dumps(credential)!r})\n"
    )
    _private(plugin, script, 0o700)
    execution = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": str(plugin),
        "args": ["eks", "get-token", "--region", topology.REGION, "--cluster-name", topology.CLUSTER_NAME],
        "interactiveMode": "Never",
    }
    users: dict[str, dict[str, Any]] = {CONTEXT: {"token": token("admin")}, EXEC_CONTEXT: {"exec": execution}}
    contexts = {CONTEXT: CONTEXT, EXEC_CONTEXT: EXEC_CONTEXT}
    _private(topology.kubeconfig(), _config(users, contexts, CONTEXT))


def _request(path: str, timeout: float = 5) -> bytes:
    context = ssl.create_default_context(cafile=str(certificate_authority()))
    request = urllib.request.Request(
        topology.API_SERVER_URL + path, headers={"Authorization": f"Bearer {token('admin')}"}
    )
    # No proxy: the lab's addresses exist on this machine only.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with opener.open(request, timeout=timeout) as answer:
        body: bytes = answer.read()
    return body


def get(path: str) -> dict[str, Any]:
    """One read from the API server; {} when the object does not exist (yet)."""
    try:
        found: dict[str, Any] = json.loads(_request(path))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise
    return found


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl as the lab's administrator and return what it printed."""
    command = [str(build.kubernetes("kubectl")), f"--kubeconfig={topology.kubeconfig()}", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if check and done.returncode:
        raise LabError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def install_gateway_api() -> None:
    """The CustomResourceDefinitions of Gateway API; those of the controller come with its chart."""
    files = [word for path in build.gateway_api_definitions() for word in ("-f", str(path))]
    kubectl("apply", "--server-side", *files)


# --- nodes and what runs on each -------------------------------------------------------------------------------------


def aws_state() -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(topology.aws_state_file().read_text())
    except (OSError, ValueError) as error:
        raise LabError(f"the AWS half has not written its state: {error}", daemons.log_file("aws")) from error
    return state


def join_node(node: topology.Node) -> None:
    """Start kubelet on a node whose container runtime runs."""
    config = nodes.directory(node) / "kubeconfig"
    _write_kubeconfig(config, node.name)
    nodes.start_kubelet(node, config, aws_state())


def start_node(node: topology.Node) -> None:
    """Start a node (one that was stopped, or the extra one) and wait until it is Ready."""
    begun = int(time.time())
    nodes.start_runtime(node, images.ensure())
    join_node(node)
    wait_node(node, since=begun)


def stop_node(node: topology.Node, *, forget: bool = False) -> None:
    """Switch a node off, as when its instance is stopped; `forget` deletes its Node object too."""
    nodes.stop(node)
    if forget:
        kubectl("delete", "node", node.name, "--ignore-not-found")


def wait_node(node: topology.Node, *, since: int = 0) -> None:
    """Wait until the node has said after `since` that it is Ready: one that was switched off stays so for a while."""

    def ready() -> bool:
        conditions = get(f"/api/v1/nodes/{node.name}").get("status", {}).get("conditions", [])
        return any(
            condition["type"] == "Ready"
            and condition["status"] == "True"
            and datetime.fromisoformat(condition["lastHeartbeatTime"].replace("Z", "+00:00")).timestamp() > since
            for condition in conditions
        )

    names = nodes.daemon_names(node)
    log = daemons.log_file(names[1])
    wait_until(f"node {node.name} Ready", ready, timeout=120, failed=lambda: daemons.death(*names), log=log)


def install_kube_proxy() -> None:
    text = (MANIFESTS / "kube-proxy.yaml").read_text()
    manifest = Template(text).substitute(image=images.KUBE_PROXY, api_server=topology.API_SERVER_URL)
    kubectl("apply", "-f", "-", stdin=manifest)


def wait_kube_proxy() -> None:
    def ready() -> bool:
        status = get("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy").get("status", {})
        return bool(status.get("numberReady", 0) >= len(topology.NODES))

    log = daemons.log_file(nodes.daemon_names(topology.NODES[0])[1])
    failed = lambda: daemons.death(*CONTROL_PLANE)  # noqa: E731
    wait_until("kube-proxy ready on every node", ready, timeout=120, failed=failed, log=log)
    say("kube-proxy runs on every node")
