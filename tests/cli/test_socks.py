"""The whole program behind a SOCKS proxy: reads, probes through the API server, and port-forwards."""

from __future__ import annotations

import json

from tests.support import socks_server
from tests.support.cloud import Cloud
from tests.support.program import run


def test_everything_for_the_cluster_goes_through_the_proxy(cloud: Cloud) -> None:
    with socks_server.serving() as proxy:
        document = json.loads(cloud.kubeconfig.read_text())
        document["clusters"][0]["cluster"]["proxy-url"] = f"socks5://127.0.0.1:{proxy.port}"
        cloud.kubeconfig.write_text(json.dumps(document))
        cloud.kube.pods.script_says = "EXIT 7"
        result = run("probe", "ing/web", "-o", "json", env=cloud.env)
        assert result.status == 1 and {p["answer"]["outcome"] for p in result.json["probes"]} == {"timeout"}
        assert "pods/portforward" in {asked.resource for asked in cloud.kube.asked}
        server = cloud.kube.url.rpartition(":")[2]
        assert {str(port) for _, port in proxy.asked} == {server}
    before = len(cloud.kube.asked)
    assert "through the SOCKS proxy" in run("ing/web", env=cloud.env).stderr
    assert len(cloud.kube.asked) == before  # nothing goes past a proxy that does not run
