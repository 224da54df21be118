"""What annotations of ingress-nginx ask for, and what asks the AWS Load Balancer Controller for the same. Pure.

Only those are known here without which clients get other answers: rewrites, redirects, who is let in, and how long is
waited. Sources: https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/ and
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
"""

from __future__ import annotations

from collections.abc import Mapping

NGINX_PREFIX = "nginx.ingress.kubernetes.io/"

_INSTEAD: Mapping[str, str] = {
    "rewrite-target": "transforms.",
    "upstream-vhost": "transforms.",
    "use-regex": "use-regex-path-match",
    "app-root": "actions.",
    "permanent-redirect": "actions.",
    "temporal-redirect": "actions.",
    "from-to-www-redirect": "actions.",
    "canary": "actions.",
    "ssl-redirect": "ssl-redirect",
    "force-ssl-redirect": "ssl-redirect",
    "whitelist-source-range": "inbound-cidrs",
    "allowlist-source-range": "inbound-cidrs",
    "auth-type": "auth-type",
    "auth-url": "auth-type",
    "auth-tls-secret": "mutual-authentication",
    "affinity": "target-group-attributes",
    "proxy-read-timeout": "load-balancer-attributes",
}
"""Name of an annotation of ingress-nginx → that of ours; behind a dot at the end stands the name of a backend."""


def without_counterpart(annotations: Mapping[str, str], prefix: str) -> Mapping[str, str]:
    """The keys of ingress-nginx that nothing under our `prefix` answers for, each with what would. A switch that is off
    asks for nothing."""
    ours = [key.removeprefix(prefix) for key in annotations if key.startswith(prefix)]
    found = {}
    for key, value in annotations.items():
        instead = _INSTEAD.get(key.removeprefix(NGINX_PREFIX)) if key.startswith(NGINX_PREFIX) else None
        if instead is None or value in ("", "false"):
            continue
        if not any(name.startswith(instead) if instead.endswith(".") else name == instead for name in ours):
            found[key] = f"{prefix}{instead}"
    return found
