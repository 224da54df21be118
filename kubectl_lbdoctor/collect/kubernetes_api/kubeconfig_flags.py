"""What kubectl's connection flags put in the place of a kubeconfig's cluster and user.

The rules are client-go's (tools/clientcmd/client_config.go: `getCluster`, `getAuthInfo`): a flag replaces the value of
the same name, whatever else the entry holds stays, and what then contradicts itself is refused. So `--token` does not
replace a tokenFile, and `--client-certificate` beside client-certificate-data is an error, in kubectl 1.34 as here;
`tests/collect/test_kubectl_agrees.py` compares.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_files import Entry
from kubectl_lbdoctor.errors import UsageError
from kubectl_lbdoctor.options import KubeOptions


def cluster_with_flags(cluster: Entry, options: KubeOptions) -> Entry:
    """The cluster with what the flags say of it.

    A certificate authority and --insecure-skip-tls-verify each take the place of both in the entry. The server name is
    one of the server: -s takes it away. A path starts at the working directory.
    """
    value = dict(cluster.value)
    if options.server:
        value["server"] = options.server
    if options.insecure_skip_tls_verify or options.certificate_authority:
        for key in ("certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"):
            value.pop(key, None)
        value["insecure-skip-tls-verify"] = options.insecure_skip_tls_verify
        value["certificate-authority"] = _absolute(options.certificate_authority)
    if options.server or options.tls_server_name:
        value["tls-server-name"] = options.tls_server_name
    return replace(cluster, value=_without_empty(value))


def user_with_flags(user: Entry, options: KubeOptions) -> Entry:
    """The user with what the flags say of it. Raises UsageError for an --as-user-extra that is not KEY=VALUE."""
    given: dict[str, Any] = {
        "token": options.token,
        "username": options.username,
        "password": options.password,
        "client-certificate": _absolute(options.client_certificate),
        "client-key": _absolute(options.client_key),
        "as": options.as_user,
        "as-groups": list(options.as_groups),
        "as-uid": options.as_uid,
        "as-user-extra": extra_fields(options),
    }
    return replace(user, value={**user.value, **_without_empty(given)})


def extra_fields(options: KubeOptions) -> dict[str, list[str]]:
    """The fields of --as-user-extra, each with its values; a key may come several times."""
    fields: dict[str, list[str]] = {}
    for text in options.as_user_extra:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--as-user-extra {text!r} is not KEY=VALUE", "write it like --as-user-extra scopes=view")
        fields.setdefault(key, []).append(value)
    return fields


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""


def _without_empty(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item not in ("", None, [], {})}
