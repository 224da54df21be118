"""What kubectl refuses in a kubeconfig's cluster or user: where settings contradict each other, going on with one of
them would mean other rights, or less verification, than the person has written down.

Facts: `ConfirmUsable` of client-go's tools/clientcmd (validation.go) and `TLSConfigFor` of its transport package, seen
with kubectl 1.34; `tests/collect/test_kubectl_agrees.py` compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.collect.kubernetes_api.credentials import pem_of
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_files import Entry, text_of, view_hint
from kubectl_lbdoctor.errors import CouldNotRun


def check_cluster(cluster: Entry, secure: bool) -> None:
    """Raises CouldNotRun for two certificate authorities, and for one beside insecure-skip-tls-verify.

    secure: the server is spoken to by TLS.
    """
    value = cluster.value
    if value.get("certificate-authority") and value.get("certificate-authority-data"):
        raise _refused(cluster, "cluster", "has both certificate-authority and certificate-authority-data")
    has_authority = value.get("certificate-authority") or value.get("certificate-authority-data")
    if secure and has_authority and value.get("insecure-skip-tls-verify") is True:
        raise _refused(cluster, "cluster", "has a certificate authority beside insecure-skip-tls-verify")


def check_user(user: Entry) -> None:
    """Raises CouldNotRun for a client certificate without its key, for two forms of one thing, for two ways to
    authenticate, and for an exec section that says too little."""
    value = user.value
    for name in ("client-certificate", "client-key"):
        if value.get(name) and value.get(f"{name}-data"):
            raise _refused(user, "user", f"has both {name} and {name}-data")
    ways = [name for name, keys in _WAYS.items() if any(value.get(key) for key in keys)]
    if (value.get("client-certificate") or value.get("client-certificate-data")) and not (
        value.get("client-key") or value.get("client-key-data")
    ):
        raise _refused(user, "user", "has a client certificate without its key")
    for name in ("client-certificate", "client-key"):
        pem_of(user, name)
    if len(ways) > 1:
        raise _refused(user, "user", f"has more than one way to authenticate: {' and '.join(ways)}")
    if isinstance(value.get("exec"), dict):
        _check_plugin(user, value["exec"])
        if value.get("auth-provider"):
            raise _refused(user, "user", "has both exec and auth-provider")


_WAYS = {
    "a token": ("token",),
    "a user name with password": ("username", "password"),
}


def _check_plugin(user: Entry, section: Mapping[str, Any]) -> None:
    if not section.get("command"):
        raise _refused(user, "user", "has an exec section that names no command")
    version, mode = text_of(section.get("apiVersion")), text_of(section.get("interactiveMode"))
    if not mode and version == "client.authentication.k8s.io/v1":
        raise _refused(user, "user", "has an exec section without interactiveMode (Never, IfAvailable or Always)")
    if mode not in ("", "Never", "IfAvailable", "Always"):
        raise _refused(user, "user", f"has an exec section with interactiveMode {mode!r}")


def _refused(entry: Entry, kind: str, what: str) -> CouldNotRun:
    return CouldNotRun(f"the kubeconfig {kind} {entry.name!r} {what}", f"kubectl refuses it too; {view_hint(entry)}")
