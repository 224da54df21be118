"""A world on a real API server (etcd and kube-apiserver from the lab's cache, no controllers, no kubelets)."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from bench import aws_server
from bench.allowance import Account
from bench.world import REGION, VPC_CIDR, Raw, Shape, World
from tests.lab import build
from tests.lab.crowd import Api
from tests.lab.progress import LabError, say, wait_until

_GROUPS = {
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "serviceaccounts": "/api/v1",
    "services": "/api/v1",
    "pods": "/api/v1",
    "events": "/api/v1",
    "deployments": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "ingressclasses": "/apis/networking.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "targetgroupbindings": "/apis/elbv2.k8s.aws/v1beta1",
}
"""Resources in the order in which they are written. An API server takes no status with a new object, but for nodes."""

_KINDS = {"targetgroupbindings": {"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding"}}
"""The API server does not know by itself what kind a custom resource's body is."""

_WRITERS = 16
_SET_BY_SERVER = ("uid", "creationTimestamp", "generation")


def serve(scale: float) -> None:
    """Start, fill and keep the world until Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    world = World.of(Shape().scaled(scale))
    try:
        with running(world) as variables:
            say("ready; use it with:")
            for name, value in variables.items():
                print(f"export {name}={value}", flush=True)
            _, namespace, name = world.subjects[0]
            print(f"# for example: kubectl lbdoctor ingress {name} -n {namespace}", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        say("stopping")


def missing() -> str:
    """Why no world can be served here, in a sentence that names what is absent; "" where one can. Nothing is installed
    or built for it: `python -m tests.lab up` does that, and takes a while."""
    build.prepare_environment()
    absent = [program for program in ("etcd", "openssl") if shutil.which(program) is None]
    absent += [program for program in ("kube-apiserver", "kubectl") if not build.kubernetes(program).exists()]
    return f"no {', '.join(absent)} here, which the lab installs and builds (make lab)" if absent else ""


@contextmanager
def running(world: World, account: Account | None = None) -> Iterator[dict[str, str]]:
    """A world on servers while the block runs: the environment that leads programs to them. account: limits what AWS
    takes. Raises LabError where the API server does not start."""
    build.prepare_environment()
    build.ensure()
    directory = Path(tempfile.mkdtemp(prefix="bench-world-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        aws_url = aws_server.start(world, account)
        _cut_off("add")
        api = _start(directory, processes)
        _serve_logs(directory, world.kube["nodes"][0])
        _write(api, world)
        yield {
            "KUBECONFIG": str(directory / "kubeconfig"),
            "AWS_ENDPOINT_URL": aws_url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": REGION,
        }
    finally:
        _cut_off("del")
        for process in reversed(processes):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _start(directory: Path, processes: list[subprocess.Popen[bytes]]) -> Api:
    """etcd, the API server, a kubeconfig, and the controller's custom resources."""
    client, peer, port = (_free_port() for _ in range(3))
    token = secrets.token_hex(16)
    (directory / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    key = directory / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    etcd = [
        "etcd",
        f"--data-dir={directory}/etcd",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--log-level=error",
        "--quota-backend-bytes=4294967296",
    ]
    server = [
        str(build.kubernetes("kube-apiserver")),
        f"--etcd-servers=http://127.0.0.1:{client}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={directory}",
        "--service-cluster-ip-range=172.20.0.0/16",
        "--authorization-mode=AlwaysAllow",
        f"--token-auth-file={directory}/tokens.csv",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--endpoint-reconciler-type=none",
        "--kubelet-preferred-address-types=ExternalIP",
        # Nobody would make the default service accounts, nor take the taint of new nodes away.
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
        "--profiling=false",
    ]
    for name, command in (("etcd", etcd), ("kube-apiserver", server)):
        with (directory / f"{name}.log").open("wb") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
    certificate = directory / "apiserver.crt"
    log = directory / "kube-apiserver.log"
    wait_until(
        "API server's certificate", lambda: certificate.exists() and certificate.stat().st_size, timeout=60, log=log
    )
    api = Api("127.0.0.1", port, token, str(certificate))
    wait_until("API server", lambda: _answers(api), timeout=120, log=log)
    authority = base64.b64encode(certificate.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "big",
                "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "big", "context": {"cluster": "big", "user": "admin"}}],
        "current-context": "big",
    }
    (directory / "kubeconfig").write_text(json.dumps(config))
    for file in sorted((build.controller_chart() / "crds").glob("*.yaml")):
        for raw in yaml.safe_load_all(file.read_text()):
            if raw and raw["kind"] == "CustomResourceDefinition":
                api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", raw)
    bindings = f"{_GROUPS['targetgroupbindings']}/targetgroupbindings"
    wait_until("custom resources", lambda: api.call("GET", bindings) is not None, timeout=60, log=log)
    say("the API server is ready")
    return api


def _cut_off(action: str) -> None:
    """Probes by way of the API server find no pod, and must not go looking for it in somebody's network."""
    if os.geteuid() == 0:
        subprocess.run(["ip", "route", action, "unreachable", VPC_CIDR], check=False, stderr=subprocess.DEVNULL)


class _EmptyLog(BaseHTTPRequestHandler):
    """What a kubelet answers for a container that has said nothing."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Reads are no news."""


def _serve_logs(directory: Path, node: Raw) -> None:
    """Play the kubelet of the controller's node as far as its log is asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _EmptyLog)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "apiserver.crt", directory / "apiserver.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = server.server_port
    node["status"]["addresses"].append({"type": "ExternalIP", "address": "127.0.0.1"})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(api: Api) -> bool:
    try:
        return api.call("GET", "/api/v1/namespaces/default") is not None
    except LabError:  # its start-up hooks are still running
        return False


def _write(api: Api, world: World) -> None:
    with ThreadPoolExecutor(_WRITERS) as pool:
        for resource, prefix in _GROUPS.items():
            begun = time.monotonic()
            items = world.kube[resource]
            list(pool.map(lambda raw: _create(api, resource, prefix, raw), items))  # noqa: B023
            say(f"{len(items):>6} {resource} in {time.monotonic() - begun:.1f} s")


def _create(api: Api, resource: str, prefix: str, raw: Raw) -> None:
    meta: dict[str, Any] = {key: value for key, value in raw["metadata"].items() if key not in _SET_BY_SERVER}
    namespace = meta.get("namespace")
    path = f"{prefix}/namespaces/{namespace}/{resource}" if namespace else f"{prefix}/{resource}"
    api.call("POST", path, {**_KINDS.get(resource, {}), **raw, "metadata": meta})
    if "status" in raw and resource != "nodes":
        api.call("PATCH", f"{path}/{meta['name']}/status", {"status": raw["status"]})
