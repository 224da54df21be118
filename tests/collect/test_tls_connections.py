"""Each connection to the API server has an SSLContext of its own: OpenSSL allows no other use by several threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3.connection
import yaml

from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import load_kube_context
from kubectl_lbdoctor.options import KubeOptions
from tests.support import tls_api

CONNECTIONS = 4


def test_connections_share_no_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tls_api.identity("me").data
    with tls_api.serving(tmp_path, True) as server:
        cluster = {"server": server.url, "certificate-authority-data": tls_api.authority().data[0]}
        user = {"client-certificate-data": certificate, "client-key-data": key}
        document = {
            "current-context": "dev",
            "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(document))
        reader = KubeReader(load_kube_context(KubeOptions(kubeconfig=str(tmp_path / "config")), {}))
        together = threading.Barrier(CONNECTIONS, timeout=20)
        seen: list[object] = []
        connect = urllib3.connection.HTTPSConnection.connect

        def noted(connection: urllib3.connection.HTTPSConnection) -> None:
            seen.append(connection.ssl_context)
            together.wait()
            connect(connection)

        monkeypatch.setattr(urllib3.connection.HTTPSConnection, "connect", noted)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = list(pool.map(lambda _: reader.get("/version"), range(CONNECTIONS)))
        reader.close()
    assert all(answer and answer["minor"] == "34" for answer in answers)
    assert None not in seen and len({id(context) for context in seen}) == CONNECTIONS == len(seen)
    assert [dict(asked) for asked in server.asked] == [dict(server.asked[0])] * CONNECTIONS
