"""The way to an API server through a SOCKS5 proxy, which private EKS endpoints are often reached by (`ssh -D`).

Go asks the proxy for the server's name and resolves nothing itself, for socks5 as for socks5h (golang.org/x/net,
internal/socks); so does this, because the name of a private endpoint may be known behind the proxy only.
"""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import unquote, urlsplit

SCHEMES = ("socks5", "socks5h")
DEFAULT_PORT = 1080
"""https://www.rfc-editor.org/rfc/rfc1928"""


def pool_through(url: str, pool: Any) -> Any:
    """A urllib3 pool manager with the settings of another one, whose connections go through the proxy at this URL."""
    from urllib3.contrib.socks import SOCKSProxyManager

    host, port, name, password = _parts(url)
    address = f"socks5h://[{host}]:{port}" if ":" in host else f"socks5h://{host}:{port}"
    return SOCKSProxyManager(address, username=name, password=password, **pool.connection_pool_kw)


def connect(url: str, host: str, port: int, timeout: float) -> socket.socket:
    """A connection to host and port through the proxy. timeout: seconds. Raises OSError (PySocks' errors are such)."""
    import socks

    proxy, proxy_port, name, password = _parts(url)
    connection: socket.socket = socks.create_connection(
        (host, port),
        timeout=timeout,
        proxy_type=socks.SOCKS5,
        proxy_addr=proxy,
        proxy_port=proxy_port,
        proxy_rdns=True,
        proxy_username=name,
        proxy_password=password,
    )
    return connection


def _parts(url: str) -> tuple[str, int, str | None, str | None]:
    parts = urlsplit(url)
    name = unquote(parts.username) if parts.username is not None else None
    return parts.hostname or "", parts.port or DEFAULT_PORT, name, unquote(parts.password or "") if name else None
