"""How requests reach the API server: the token that they carry, and the connections that they travel on.

The kubernetes package makes two things of its own Configuration: one header, and urllib3's pool or proxy pool. Its
import makes 768 classes first, which is a third of the time and half of the memory of a diagnosis, which reads plain
JSON. It is asked where it does more: it signs in by an auth-provider, and reads a pod's service account (`of_package`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kubectl_lbdoctor.collect.kubernetes_api.tls import Tls

if TYPE_CHECKING:
    import urllib3

_HOSTS = 4
"""Pools that are kept: the API server's, and the proxy's where it is asked through one."""


@dataclass
class Configuration:
    """What a kubeconfig says of the way to one server.

    authorization: gives the Authorization header of a request, renewed where it has to be; None where there are no
    credentials in a header. refused: told of a header that the server does not accept, whether the next one may be
    another; None where it is always the same. proxy: its address, which `proxy_headers` are sent to; no_proxy: hosts
    that are asked without it, as NO_PROXY lists them.
    """

    authorization: Callable[[], str] | None = None
    proxy: str | None = field(default=None, repr=False)
    no_proxy: str | None = None
    proxy_headers: Mapping[str, str] | None = field(default=None, repr=False)
    refused: Callable[[str], bool] | None = None


def bearer(token: Callable[[], str]) -> Callable[[], str]:
    """The Authorization header of a bearer token."""
    return lambda: f"Bearer {token()}"


def bearer_refused(refused: Callable[[str], bool]) -> Callable[[str], bool]:
    """The same for the header of a bearer token."""
    return lambda header: refused(header.removeprefix("Bearer "))


def of_package(configuration: Any) -> Callable[[], str] | None:
    """The Authorization header of a `kubernetes.client.Configuration`, which renews it itself; None without a token."""
    if not configuration.api_key:
        return None

    def authorization() -> str:
        settings = configuration.auth_settings().values()
        return next((str(setting["value"]) for setting in settings if setting["value"]), "")

    return authorization


def open_pool(
    configuration: Configuration, server: str, tls: Tls, connections: int, socks: str = ""
) -> urllib3.PoolManager:
    """urllib3's pool for a server, with at most so many connections, each verified by `tls`. socks: the URL of a SOCKS
    proxy, "" without one.

    Raises CouldNotRun for what is no certificate or no key.
    """
    import urllib3

    if not tls.verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user asked for it; stderr is ours
    settings: dict[str, Any] = {"num_pools": _HOSTS, "maxsize": connections}
    settings["cert_reqs"] = "CERT_REQUIRED" if tls.verify else "CERT_NONE"
    if tls.server_name:
        settings["server_hostname"] = tls.server_name
    if configuration.proxy and not _bypassed(server, configuration.no_proxy):
        headers = configuration.proxy_headers
        pool: urllib3.PoolManager = urllib3.ProxyManager(configuration.proxy, proxy_headers=headers, **settings)
    else:
        pool = urllib3.PoolManager(**settings)
    if socks:
        from kubectl_lbdoctor.collect.kubernetes_api.socks_proxy import pool_through

        pool = pool_through(socks, pool)
    if server.startswith("https:"):
        tls.context()  # What is no certificate is said now, not by each connection.
        classes = pool.pool_classes_by_scheme
        pool.pool_classes_by_scheme = {**classes, "https": _with_own_context(classes["https"], tls)}
    return pool


def _bypassed(server: str, no_proxy: str | None) -> bool:
    from requests.utils import should_bypass_proxies

    return bool(should_bypass_proxies(server, no_proxy=no_proxy or ""))


def _with_own_context(pool: Any, tls: Tls) -> Any:
    """A class of connection pools whose connections have an SSLContext each.

    urllib3 sets the protocols (ALPN) of a context that it is given for each new connection, and OpenSSL does not let
    that happen while another thread begins a connection with the same context: the server then sees a broken greeting
    ("decode error"). https://docs.openssl.org/3.0/man7/openssl-threads/
    """

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        def connect(self) -> None:
            self.ssl_context = tls.context()
            super().connect()

    return type("Pool", (pool,), {"ConnectionCls": Connection})
