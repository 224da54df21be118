"""API servers behind a SOCKS5 proxy, asked through a real one; where a kubectl is on the PATH, it is asked too."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kubectl_lbdoctor.collect.aws_api.client import AwsReader
from kubectl_lbdoctor.collect.aws_api.session import open_session
from kubectl_lbdoctor.collect.kubernetes_api.aws_hints import AwsHints
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import load_kube_context
from kubectl_lbdoctor.errors import CouldNotRun, LbdoctorError, Unreachable
from kubectl_lbdoctor.options import AwsOptions, KubeOptions
from tests.support import socks_server, tls_api

KUBECTL = shutil.which("kubectl")
ASKED = (("Authorization", "Bearer s3cret"),)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tls_api.Server]:
    with tls_api.serving(tmp_path, True) as secure:
        yield secure


@pytest.fixture
def proxy() -> Iterator[socks_server.Proxy]:
    with socks_server.serving() as running:
        yield running


def port_of(server: tls_api.Server) -> int:
    return int(server.url.rpartition(":")[2])


def kubeconfig(folder: Path, server: tls_api.Server, proxy_url: str = "") -> Path:
    """A private endpoint: its name is known to the proxy alone."""
    cluster = {
        "server": f"https://api.private.example:{port_of(server)}",
        "tls-server-name": "localhost",
        "certificate-authority-data": tls_api.authority().data[0],
        **({"proxy-url": proxy_url} if proxy_url else {}),
    }
    document = {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "s3cret"}}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def ask(path: Path, **variables: str) -> None:
    """One request of the plugin. Raises LbdoctorError."""
    context = load_kube_context(KubeOptions(kubeconfig=str(path), request_timeout="5s"), variables)
    reader = KubeReader(context, attempts=1)
    try:
        reader.get("/version")
    finally:
        reader.close()


def test_proxy_url_of_the_kubeconfig(tmp_path: Path, server: tls_api.Server, proxy: socks_server.Proxy) -> None:
    ask(kubeconfig(tmp_path, server, f"socks5://127.0.0.1:{proxy.port}"))
    assert server.asked == [ASKED]
    assert proxy.asked == [("api.private.example", port_of(server))]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_proxy_of_the_environment(
    scheme: str, tmp_path: Path, server: tls_api.Server, proxy: socks_server.Proxy
) -> None:
    ask(kubeconfig(tmp_path, server), HTTPS_PROXY=f"{scheme}://127.0.0.1:{proxy.port}")
    assert server.asked == [ASKED]
    assert proxy.asked == [("api.private.example", port_of(server))]


def test_no_proxy_goes_past_it(tmp_path: Path, server: tls_api.Server, proxy: socks_server.Proxy) -> None:
    with pytest.raises(Unreachable, match="cannot be resolved"):
        ask(
            kubeconfig(tmp_path, server),
            HTTPS_PROXY=f"socks5://127.0.0.1:{proxy.port}",
            NO_PROXY=".private.example",
        )
    assert proxy.asked == []


def test_a_login_of_the_proxy(tmp_path: Path, server: tls_api.Server) -> None:
    with socks_server.serving(("me", "p@ss")) as proxy:
        ask(kubeconfig(tmp_path, server, f"socks5://me:p%40ss@127.0.0.1:{proxy.port}"))
        assert server.asked == [ASKED] and len(proxy.asked) == 1
        with pytest.raises(Unreachable) as caught:
            ask(kubeconfig(tmp_path, server, f"socks5://me:wr0ng@127.0.0.1:{proxy.port}"))
    assert "through the SOCKS proxy" in caught.value.message and "wr0ng" not in caught.value.message


def test_a_proxy_that_does_not_run(tmp_path: Path, server: tls_api.Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable) as caught:
            ask(kubeconfig(tmp_path, server, f"socks5://127.0.0.1:{closed.getsockname()[1]}"))
    assert "through the SOCKS proxy" in caught.value.message and "refused" in caught.value.message


@pytest.mark.parametrize("proxy_url", ["socks4://p:1", "socks5h://p:1", "ftp://p:1", "socks5://"])
def test_a_proxy_url_that_kubectl_refuses(proxy_url: str, tmp_path: Path, server: tls_api.Server) -> None:
    with pytest.raises(CouldNotRun, match="is none of http, https, socks5"):
        ask(kubeconfig(tmp_path, server, proxy_url))


@pytest.mark.skipif(KUBECTL is None, reason="no kubectl on the PATH")
@pytest.mark.parametrize("in_kubeconfig", [True, False])
def test_kubectl_goes_the_same_way(
    in_kubeconfig: bool, tmp_path: Path, server: tls_api.Server, proxy: socks_server.Proxy
) -> None:
    assert KUBECTL is not None
    address = f"socks5://127.0.0.1:{proxy.port}"
    path = kubeconfig(tmp_path, server, address if in_kubeconfig else "")
    variables = {"PATH": "", "HOME": str(tmp_path), **({} if in_kubeconfig else {"HTTPS_PROXY": address})}
    command = [KUBECTL, "--kubeconfig", str(path), "get", "--raw", "/version"]
    subprocess.run(command, env=variables, check=True, capture_output=True, timeout=30)
    assert set(server.asked) == {ASKED}
    assert set(proxy.asked) == {("api.private.example", port_of(server))}


def test_aws_says_that_it_takes_no_socks_proxy(monkeypatch: pytest.MonkeyPatch, proxy: socks_server.Proxy) -> None:
    variables = {
        "HTTPS_PROXY": f"socks5://127.0.0.1:{proxy.port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)  # that of a lab, where the person has one
    session = open_session(AwsOptions(region="us-west-2"), AwsHints(), lambda: None, variables)
    with pytest.raises(LbdoctorError) as caught:
        AwsReader(session, max_attempts=1).call("sts", "GetCallerIdentity")
    assert "botocore knows no SOCKS proxies" in caught.value.message
    assert "NO_PROXY" in caught.value.hint
