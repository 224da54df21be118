"""Which cluster to talk to, as whom: kubeconfig files, kubectl's flags and the in-cluster service account.

A plugin must reach the cluster that kubectl would reach with the same flags, so files are found, merged and overridden
by the rules of client-go's `clientcmd`. The kubernetes package loads what only it can: an auth-provider and a pod's
service account (its own merger lets the last `current-context` win, client-go the first, so it only ever sees one of
each).
"""

from __future__ import annotations

import base64
import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from kubectl_lbdoctor.collect.deadline import Deadline
from kubectl_lbdoctor.collect.kubernetes_api.aws_hints import AwsHints, aws_hints
from kubectl_lbdoctor.collect.kubernetes_api.configuration import Configuration, bearer, bearer_refused, of_package
from kubectl_lbdoctor.collect.kubernetes_api.credentials import (
    ExecPlugin,
    RenewingToken,
    file_token,
    pem_of,
    token_expiry,
)
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_files import (
    Entry,
    Kubeconfig,
    merge,
    text_of,
    texts_of,
    view_hint,
)
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_flags import cluster_with_flags, user_with_flags
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig_rules import check_cluster, check_user
from kubectl_lbdoctor.collect.kubernetes_api.socks_proxy import SCHEMES
from kubectl_lbdoctor.collect.kubernetes_api.tls import Pem, Tls
from kubectl_lbdoctor.errors import CouldNotRun, UsageError
from kubectl_lbdoctor.model.where import NOWHERE, Where, where_of
from kubectl_lbdoctor.options import KubeOptions
from kubectl_lbdoctor.record import record

DEFAULT_REQUEST_TIMEOUT = 15.0
"""Seconds for one request without --request-timeout. kubectl has no limit; a diagnosis must come to an end."""

NAMES_SHOWN = 10
"""Known names that an error about an unknown one lists."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where kubelet mounts a pod's service account (token, ca.crt, namespace)."""


@record
class KubeContext:
    """Everything that a reader needs to talk to one cluster.

    `name`, `cluster` and `user` are the kubeconfig's names ("" for the in-cluster service account). `server` is the
    address without a login that it may carry. `configuration` has the token and the proxy, `tls` what connections
    verify and show. `headers`
    are the impersonation headers (names may repeat), and the basic authentication of a login in the server's address.
    `where` leads the commands that are printed to the same cluster. `socks` is the URL of a SOCKS5 proxy, "" without
    one; the configuration then has no proxy. `request_timeout` is in seconds, None for no limit. `plugin` is the exec
    plugin's command line for messages, "" without one.
    """

    name: str
    cluster: str
    user: str
    namespace: str
    server: str
    configuration: Configuration = field(repr=False, compare=False)
    aws: AwsHints = AwsHints()
    headers: tuple[tuple[str, str], ...] = ()
    request_timeout: float | None = DEFAULT_REQUEST_TIMEOUT
    plugin: str = ""
    in_cluster: bool = False
    socks: str = field(default="", repr=False)
    where: Where = NOWHERE
    tls: Tls = field(default_factory=Tls, repr=False, compare=False)


def load_kube_context(
    options: KubeOptions,
    environ: Mapping[str, str],
    *,
    interactive: bool = False,
    notify: Callable[[str], None] | None = None,
    deadline: Deadline | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> KubeContext:
    """The cluster, user and namespace that kubectl would use for these flags and this environment.

    `interactive`: stdin is a terminal, so an exec plugin may ask for something. `notify` gets the lines that an exec
    plugin writes to stderr as they appear (a device-code login prints its address there). `deadline`: until when
    credentials are waited for. `meanwhile` is called while an exec plugin is at work.

    Raises CouldNotRun when there is no usable kubeconfig, context or credential, UsageError for an impossible flag.
    """
    timeout = parse_timeout(options.request_timeout)
    paths = kubeconfig_paths(options, environ)
    config = merge(paths, must_exist=bool(options.kubeconfig))
    chosen = select(config, options)
    if chosen is None:
        if _in_cluster_possible(environ):
            return _in_cluster_context(options, environ, timeout)
        raise _nothing_chosen(config, paths, options)
    return _build(chosen, options, environ, timeout, interactive, notify, deadline or Deadline(), meanwhile)


# --- Choosing --------------------------------------------------------------------------------------------------------


@record
class Selection:
    """The context, cluster and user that the flags choose. `user` is None for anonymous access, as in kubectl; the
    namespace is "" where nothing names one."""

    context: str
    cluster: Entry
    user_name: str
    user: Entry | None
    namespace: str


def kubeconfig_paths(options: KubeOptions, environ: Mapping[str, str]) -> list[Path]:
    """The files to read, in kubectl's order: --kubeconfig alone, else all of KUBECONFIG, else ~/.kube/config."""
    if options.kubeconfig:
        return [Path(options.kubeconfig)]
    listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if listed:
        return list(dict.fromkeys(listed))
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return [Path(home) / ".kube" / "config"] if home else []


def select(config: Kubeconfig, options: KubeOptions) -> Selection | None:
    """Apply --context, --cluster, --user, --server and -n; None when nothing says which cluster to talk to.

    A user that is named but not defined means anonymous access, as in client-go, unless --user named it.
    Raises CouldNotRun for an unknown context, cluster or --user and for a context without a cluster.
    """
    name = options.context or config.current_context
    if not config.files and not options.server:
        return None
    if name and name not in config.contexts:
        what = f"there is no context {name!r}" if options.context else f"the current context {name!r} does not exist"
        raise _unknown(what, name, config.contexts, "context", "choose one with --context")
    if not name and not options.cluster and not options.server:
        return None
    context = config.contexts[name].value if name else {}

    cluster_name = options.cluster or text_of(context.get("cluster"))
    if cluster_name and cluster_name not in config.clusters:
        origin = "" if options.cluster else f" (named by context {name!r})"
        raise _unknown(
            f"there is no cluster {cluster_name!r}{origin}",
            cluster_name,
            config.clusters,
            "cluster",
            "choose one with --cluster, or another --context",
        )
    if not cluster_name and not options.server:
        raise CouldNotRun(f"the context {name!r} names no cluster", "choose one with --cluster, or another --context")
    cluster = config.clusters[cluster_name] if cluster_name else Entry("", {}, Path())

    user_name = options.user or text_of(context.get("user"))
    user = config.users.get(user_name)
    if user is None and options.user:
        raise _unknown(f"there is no user {user_name!r}", user_name, config.users, "user", "choose one with --user")
    namespace = options.namespace or text_of(context.get("namespace"))
    return Selection(name, cluster, user_name, user, namespace)


def _unknown(what: str, name: str, known: Iterable[str], kind: str, hint: str) -> CouldNotRun:
    """An error about an unknown name that lists the known ones, the nearest first."""
    names = sorted(known, key=lambda other: (-difflib.SequenceMatcher(None, name, other).ratio(), other))
    if not names:
        return CouldNotRun(
            f"{what}: the kubeconfig has no {kind}s", "add one with: aws eks update-kubeconfig --name CLUSTER"
        )
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return CouldNotRun(f"{what}; known: {', '.join(names[:NAMES_SHOWN])}{more}", hint)


def _nothing_chosen(config: Kubeconfig, paths: list[Path], options: KubeOptions) -> CouldNotRun:
    if config.files:
        if config.contexts:
            return _unknown("no current context is set", "", config.contexts, "context", "choose one with --context")
        files = ", ".join(str(path) for path in config.files)
        return CouldNotRun(
            f"the kubeconfig {files} holds no contexts", "add one with: aws eks update-kubeconfig --name CLUSTER"
        )
    looked = ", ".join(str(path) for path in paths) or "~/.kube/config (HOME is not set)"
    return CouldNotRun(
        f"no kubeconfig found (looked at {looked}; not running in a pod with a service account)",
        "pass --kubeconfig, set KUBECONFIG, or create one with: aws eks update-kubeconfig --name CLUSTER",
    )


_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_timeout(text: str) -> float | None:
    """Seconds for kubectl's --request-timeout: "" is our default, "0" is no limit (None), "15" are seconds, "1m30s".

    Raises UsageError.
    """
    if not text.strip():
        return DEFAULT_REQUEST_TIMEOUT
    return parse_duration(text, "--request-timeout", "0 means no limit") or None


def parse_duration(text: str, flag: str, zero: str) -> float:
    """Seconds in Go's ParseDuration syntax plus bare seconds (client-go clientcmd.ParseTimeout).

    `zero` says what "0" means for this flag. Raises UsageError.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    if re.fullmatch(f"(?:{_DURATION.pattern})+", text, re.ASCII):
        return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    raise UsageError(f"{flag} {text!r} is not a duration", f"write it like 15, 15s, 2m or 1m30s; {zero}")


# --- Building --------------------------------------------------------------------------------------------------------


def _build(
    chosen: Selection,
    options: KubeOptions,
    environ: Mapping[str, str],
    timeout: float | None,
    interactive: bool,
    notify: Callable[[str], None] | None,
    deadline: Deadline,
    meanwhile: Callable[[], None],
) -> KubeContext:
    cluster_entry = cluster_with_flags(chosen.cluster, options)
    user_entry = user_with_flags(chosen.user or Entry(chosen.user_name, {}, cluster_entry.path), options)
    address = _server(cluster_entry)
    server, login = without_login(address)
    # kubectl reads no credentials for a server without TLS: nobody knows who listens on the way (client-go, clientcmd,
    # `ClientConfig`: "only try to read the auth information if we are secure"). Impersonation alone is asked for.
    secure = server.startswith("https:")
    impersonated = _impersonation(user_entry.value, options)
    check_cluster(cluster_entry, secure)
    check_user(user_entry)
    authority = pem_of(cluster_entry, "certificate-authority")
    insecure = cluster_entry.value.get("insecure-skip-tls-verify") is True
    cluster: dict[str, Any] = {"server": address}
    if insecure:
        cluster["insecure-skip-tls-verify"] = True
    elif authority.path:
        cluster["certificate-authority"] = authority.path
    user = _User({})
    if secure:
        user = _credentials(
            user_entry, {**cluster_entry.value, **cluster}, environ, interactive, notify, deadline, meanwhile
        )
    what = f"the credentials of kubeconfig user {chosen.user_name!r}"  # an auth-provider renews them over HTTP
    configuration = Configuration(deadline.bound(what, lambda: _authorization(chosen.user_name, user, server)))
    configuration.refused = bearer_refused(user.refused) if user.refused is not None else None
    if secure and not login:
        login = _basic(user_entry.value)
    if login:  # goes before a token of the user, as in kubectl: Go's client sets it first
        configuration.authorization = configuration.refused = None
        impersonated = (("Authorization", login), *impersonated)
    server_name = text_of(cluster_entry.value.get("tls-server-name"))
    socks = _set_proxy(configuration, text_of(cluster_entry.value.get("proxy-url")), server, environ)
    return KubeContext(
        name=chosen.context,
        cluster=cluster_entry.name,
        user=chosen.user_name,
        # kubectl in a pod takes the pod's own, also with a kubeconfig that names none.
        namespace=chosen.namespace or (_namespace_of_pod(environ) if _in_cluster_possible(environ) else "default"),
        server=server,
        configuration=configuration,
        aws=aws_hints(chosen.user_name, user_entry.value, server, (cluster_entry.name, chosen.context)),
        headers=impersonated,
        request_timeout=timeout,
        plugin=user.plugin,
        socks=socks,
        where=where_of(options, environ),
        tls=Tls(
            Pem() if insecure else authority, user.certificate, user.key, server_name, not insecure, chosen.user_name
        ),
    )


def _server(cluster: Entry) -> str:
    """The address of the API server with its scheme in small letters; one without a scheme means http, as in kubectl.

    Raises CouldNotRun for what is no address.
    """
    server = text_of(cluster.value.get("server")).strip().rstrip("/")
    if not server:
        raise CouldNotRun(f"the kubeconfig cluster {cluster.name!r} has no server", view_hint(cluster))
    scheme, separator, rest = server.partition("://")
    server = f"{scheme.lower()}://{rest}" if separator else f"http://{server}"
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise CouldNotRun(
            f"the server {_without_password(server)!r} of kubeconfig cluster {cluster.name!r} is not an http(s) address"
        )
    return urlunsplit(parts._replace(query="", fragment="")).rstrip("/")


def without_login(address: str) -> tuple[str, str]:
    """An address without the name and password in it, and the value of the Authorization header that they make ("").

    Go's HTTP client sends what a URL carries, in place of the token that client-go would add.
    """
    parts = urlsplit(address)
    login, separator, host = parts.netloc.rpartition("@")
    if not separator:
        return address, ""
    name, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=host)), _coded(unquote(name), unquote(password))


def _basic(user: Mapping[str, Any]) -> str:
    """The Authorization header of a user with a name, whose password may be empty; "" where a token goes before it."""
    name = text_of(user.get("username"))
    if not name or user.get("token") or user.get("tokenFile"):
        return ""
    return _coded(name, text_of(user.get("password")))


def _coded(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def _impersonation(user: Mapping[str, Any], options: KubeOptions) -> tuple[tuple[str, str], ...]:
    """The Impersonate-* headers of a user with its as, as-groups, as-uid and as-user-extra.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """
    name = text_of(user.get("as"))
    groups = texts_of(user.get("as-groups"))
    extra = user.get("as-user-extra")
    lists = [user.get("as-groups"), *(extra.values() if isinstance(extra, dict) else ())]
    if not isinstance(extra, (dict, type(None))) or not all(isinstance(given, (list, type(None))) for given in lists):
        # What cannot be read must not be left out: the user would ask with other rights than kubectl.
        raise CouldNotRun(
            "the kubeconfig user has as-groups or as-user-extra of another form than kubectl reads",
            "as-groups is a list, as-user-extra a map of lists",
        )
    if not name:
        for flag, given in _AS_WHAT.items():
            if getattr(options, given):
                raise UsageError(f"{flag} needs --as", "add --as USER")
        if groups or user.get("as-uid") or extra:
            raise CouldNotRun(
                "the kubeconfig user asks for as-groups, as-uid or as-user-extra, and says not as whom",
                "add `as` to that user of the kubeconfig, or --as USER",
            )
        return ()
    headers = [("Impersonate-User", name)]
    headers += [("Impersonate-Group", group) for group in groups]
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", text_of(user["as-uid"])))
    for key, values in extra.items() if isinstance(extra, dict) else ():
        headers += [(f"Impersonate-Extra-{quote(text_of(key).lower(), safe='')}", value) for value in texts_of(values)]
    return tuple(headers)


_AS_WHAT = {"--as-group": "as_groups", "--as-uid": "as_uid", "--as-user-extra": "as_user_extra"}
"""Flags that say more about the user of --as, with their fields."""


@record
class _User:
    """Who the user is: the section that the kubernetes package shall load, if any, the current token, the command line
    of the plugin ("" without one), the client certificate, and who is told of a token that the server refuses."""

    section: dict[str, Any]
    token: Callable[[], str] | None = None
    plugin: str = ""
    certificate: Pem = Pem()
    key: Pem = Pem()
    refused: Callable[[str], bool] | None = None


def _credentials(
    entry: Entry,
    cluster: Mapping[str, Any],
    environ: Mapping[str, str],
    interactive: bool,
    notify: Callable[[str], None] | None,
    deadline: Deadline,
    meanwhile: Callable[[], None],
) -> _User:
    """The credentials of a kubeconfig user, for a server with TLS.

    Order as in client-go: client certificates always, then tokenFile over token, then exec where there is neither a
    certificate nor a user name (`_basic`); the old auth-providers (oidc) are left to the package.
    """
    raw = entry.value
    certificate, key = pem_of(entry, "client-certificate"), pem_of(entry, "client-key")
    token = text_of(raw.get("token")).strip()
    if raw.get("tokenFile"):
        tokens = file_token(str(entry.path.parent / text_of(raw["tokenFile"])), entry.name, token)
        return _User({}, tokens.current, "", certificate, key, tokens.refused)
    if token:
        return _User({}, lambda: token, "", certificate, key)
    if "exec" in raw and not (certificate or raw.get("username")):
        plugin = ExecPlugin(entry, cluster, environ, interactive, notify, deadline)
        process = plugin.start()
        try:
            meanwhile()
            status = plugin.finish(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if status.get("clientCertificateData") and status.get("clientKeyData"):
            certificate, key = (
                Pem(data=text_of(status[name]).encode()) for name in ("clientCertificateData", "clientKeyData")
            )
        if not status.get("token"):
            return _User({}, None, plugin.shown, certificate, key)

        def renew() -> tuple[str, float | None]:
            again = plugin.finish(plugin.start())
            return text_of(again.get("token")), token_expiry(again)

        given = text_of(status["token"])
        tokens = RenewingToken(renew, (given, token_expiry(status)))
        return _User({}, tokens.current, plugin.shown, certificate, key, tokens.refused)
    section: dict[str, Any] = {
        name: raw[name] for name in ("auth-provider",) if name in raw and not raw.get("username")
    }
    return _User(section, None, "", certificate, key)


def _authorization(user_name: str, user: _User, server: str) -> Callable[[], str] | None:
    """The Authorization header of a user; None without a token. Certificates are no part of it."""
    if user.token is not None:
        return bearer(user.token)
    if not user.section:
        return None
    from kubernetes.client import Configuration as PackageConfiguration
    from kubernetes.config.kube_config import KubeConfigLoader

    configuration = PackageConfiguration()
    name = "chosen"
    document = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user.section}],
    }
    try:
        # No config_persister: the user's kubeconfig is never written to.
        KubeConfigLoader(document, config_base_path="").load_and_set(configuration)
    except Exception as error:  # the auth-provider code raises whatever its HTTP and JSON libraries raise
        raise CouldNotRun(
            f"the credentials of kubeconfig user {user_name!r} cannot be loaded: {type(error).__name__}: {error}",
            "check that kubectl works with the same --context",
        ) from error
    return of_package(configuration)


def _set_proxy(configuration: Configuration, proxy_url: str, server: str, environ: Mapping[str, str]) -> str:
    """The proxy that client-go would use: proxy-url of the cluster, else the environment's for the server's scheme.
    Gives the URL of one that speaks SOCKS; the configuration takes all others. Raises CouldNotRun for another kind.

    Go never uses the environment's proxy for loopback addresses (golang.org/x/net/http/httpproxy).
    """
    parts = urlsplit(server)
    schemes: tuple[str, ...] = ("http", "https", "socks5")  # client-go, tools/clientcmd: `parseProxyURL`
    if not proxy_url:
        name = f"{parts.scheme}_proxy"
        proxy_url = environ.get(name.upper()) or environ.get(name) or ""
        configuration.no_proxy = environ.get("NO_PROXY") or environ.get("no_proxy")
        if not proxy_url or _is_loopback(parts.hostname or ""):
            return ""
        proxy_url = proxy_url if "://" in proxy_url else f"http://{proxy_url}"
        schemes = (*schemes, "socks5h")  # Go's net/http knows it, too
    proxy = urlsplit(proxy_url)
    if proxy.scheme not in schemes or not proxy.hostname:
        raise CouldNotRun(
            f"the proxy {_without_password(proxy_url)} for {server} is none of {', '.join(schemes)}",
            "kubectl takes no other kind either: check proxy-url and HTTPS_PROXY",
        )
    if proxy.scheme in SCHEMES:
        from requests.utils import should_bypass_proxies

        direct = should_bypass_proxies(server, no_proxy=configuration.no_proxy or "")
        return "" if direct else proxy_url
    configuration.proxy = proxy_url
    if proxy.username:
        import urllib3.util

        configuration.proxy_headers = urllib3.util.make_headers(
            proxy_basic_auth=f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        )
    return ""


def _without_password(url: str) -> str:
    """An address for messages. Greedy, because what is no address may have a password with any character."""
    return re.sub(r"//.*@", "//", url)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- In a pod --------------------------------------------------------------------------------------------------------


def _in_cluster_possible(environ: Mapping[str, str]) -> bool:
    """client-go's test (rest.InClusterConfig): the service's address is set and a token is mounted."""
    address = environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT")
    return bool(address) and (SERVICE_ACCOUNT / "token").is_file()


def _in_cluster_context(options: KubeOptions, environ: Mapping[str, str], timeout: float | None) -> KubeContext:
    """The pod's own service account, for when there is no kubeconfig.

    --token and --certificate-authority take the place of what is mounted, as in client-go's `inClusterClientConfig`.
    Other than there --as is heeded, too: whoever gives it must not ask with all rights of the pod. Flags that a service
    account has no use for are refused.
    """
    if options.context or options.user or options.cluster:
        flag = "--context" if options.context else "--user" if options.user else "--cluster"
        raise CouldNotRun(f"there is no kubeconfig that {flag} could choose from", f"pass --kubeconfig, or drop {flag}")
    for flag, given in (
        ("--client-certificate", options.client_certificate or options.client_key),
        ("--username", options.username or options.password),
    ):
        if given:
            raise CouldNotRun(
                f"without a kubeconfig the pod's service account is used, and {flag} says otherwise",
                "pass -s with the address of the API server, or --kubeconfig",
            )
    from kubernetes.client import Configuration as PackageConfiguration
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    loaded = PackageConfiguration()
    try:
        InClusterConfigLoader(
            token_filename=str(SERVICE_ACCOUNT / "token"),
            cert_filename=str(SERVICE_ACCOUNT / "ca.crt"),
            environ=environ,
        ).load_and_set(loaded)
    except (ConfigException, OSError) as error:
        raise CouldNotRun(
            f"the service account in {SERVICE_ACCOUNT} cannot be used: {error}", "pass --kubeconfig"
        ) from error
    server: str = loaded.host
    token = options.token
    configuration = Configuration(bearer(lambda: token) if token else of_package(loaded))
    cluster = cluster_with_flags(
        Entry("of this pod", {"certificate-authority": loaded.ssl_ca_cert or ""}, SERVICE_ACCOUNT), options
    )
    check_cluster(cluster, secure=True)
    authority = pem_of(cluster, "certificate-authority")
    verify = not options.insecure_skip_tls_verify
    socks = _set_proxy(configuration, "", server, environ)
    return KubeContext(
        name="",
        cluster="",
        user="",
        namespace=options.namespace or _namespace_of_pod(environ),
        server=server,
        configuration=configuration,
        headers=_impersonation(user_with_flags(Entry("", {}, SERVICE_ACCOUNT), options).value, options),
        request_timeout=timeout,
        in_cluster=True,
        socks=socks,
        where=where_of(options, {}),
        tls=Tls(authority if verify else Pem(), server_name=options.tls_server_name, verify=verify),
    )


def _namespace_of_pod(environ: Mapping[str, str]) -> str:
    """client-go's `inClusterClientConfig.Namespace`: POD_NAMESPACE, then what is mounted, then "default"."""
    try:
        mounted = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        mounted = ""
    return environ.get("POD_NAMESPACE", "") or mounted or "default"
