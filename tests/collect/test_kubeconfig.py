"""Kubeconfig: cluster, user and namespace are those that kubectl would use; every failure is one clear sentence."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from kubectl_lbdoctor.collect.kubernetes_api import credentials as kube_credentials
from kubectl_lbdoctor.collect.kubernetes_api import kubeconfig, tls
from kubectl_lbdoctor.collect.kubernetes_api.aws_hints import aws_hints
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import KubeContext, load_kube_context, parse_timeout
from kubectl_lbdoctor.errors import CouldNotRun, LbdoctorError, UsageError
from kubectl_lbdoctor.options import KubeOptions
from tests.support import tls_api

EKS_SERVER = "https://0123456789ABCDEF.gr7.us-west-2.eks.amazonaws.com"
EKS_ARN = "arn:aws:eks:eu-central-1:123456789012:cluster/shop"

Write = Callable[..., Path]


def document(
    contexts: dict[str, Any] | None = None,
    clusters: dict[str, Any] | None = None,
    users: dict[str, Any] | None = None,
    current: str | None = None,
) -> dict[str, Any]:
    """A kubeconfig from dicts by name."""
    sections = {"contexts": contexts, "clusters": clusters, "users": users}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        **({"current-context": current} if current is not None else {}),
        **{
            section: [{"name": name, section[:-1]: value} for name, value in (entries or {}).items()]
            for section, entries in sections.items()
        },
    }


def simple(user: Any = None, **cluster: Any) -> dict[str, Any]:
    """One context "dev" with one cluster and one user."""
    return document(
        {"dev": {"cluster": "c", "user": "u", "namespace": "shop"}},
        {"c": {"server": "https://10.0.0.1:6443", **cluster}},
        {"u": user or {}},
        current="dev",
    )


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(content: dict[str, Any] | str, name: str = "config") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return writer


def load(path: Path | str, options: KubeOptions | None = None, **environ: str) -> KubeContext:
    return load_kube_context(options or KubeOptions(), {"KUBECONFIG": str(path), "PATH": os.environ["PATH"], **environ})


def fails(path: Path | str, options: KubeOptions | None = None, **environ: str) -> CouldNotRun:
    with pytest.raises(CouldNotRun) as caught:
        load(path, options, **environ)
    return caught.value


def token(context: KubeContext) -> str:
    """The Authorization header that a request would carry."""
    authorization = context.configuration.authorization
    return authorization() if authorization is not None else ""


# --- Files and merging ---


def test_current_context_gives_cluster_user_and_namespace(write: Write) -> None:
    context = load(write(simple({"token": "secret"})))
    assert (context.name, context.cluster, context.user, context.namespace) == ("dev", "c", "u", "shop")
    assert context.server == "https://10.0.0.1:6443"
    assert token(context) == "Bearer secret"
    assert "secret" not in repr(context)


def test_first_file_wins_for_entries_and_current_context(write: Write) -> None:
    first = write(document({"a": {"cluster": "c"}}, {"c": {"server": "https://first"}}, current="a"), "1")
    second = write(
        document({"a": {"cluster": "x"}, "b": {"cluster": "c"}}, {"c": {"server": "https://second"}}, current="b"), "2"
    )
    paths = os.pathsep.join([str(first.parent / "missing"), str(first), str(second), str(first)])
    assert load(paths).server == "https://first"
    assert load(paths, KubeOptions(context="b")).server == "https://first"


def test_explicit_file_replaces_the_list_and_must_exist(write: Write, tmp_path: Path) -> None:
    listed, explicit = write(simple(), "listed"), write(simple(), "explicit")
    explicit.write_text(explicit.read_text().replace("10.0.0.1", "10.0.0.2"))
    assert load(listed, KubeOptions(kubeconfig=str(explicit))).server == "https://10.0.0.2:6443"
    error = fails(listed, KubeOptions(kubeconfig=str(tmp_path / "gone")))
    assert str(tmp_path / "gone") in error.message


def test_home_is_the_default_place(write: Write, tmp_path: Path) -> None:
    write(simple(), ".kube/config")
    assert load("", HOME=str(tmp_path)).name == "dev"


def test_relative_paths_start_at_their_own_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "token").write_text("from-file\n")
    (tmp_path / "sub" / "ca.pem").write_text("pem")
    path = write(simple({"tokenFile": "token"}, **{"certificate-authority": "ca.pem"}), "sub/config")
    context = load(path)
    assert token(context) == "Bearer from-file"
    assert context.tls.authority.path == str(tmp_path / "sub" / "ca.pem")


def test_flags_override_cluster_user_namespace_and_server(write: Write) -> None:
    path = write(
        document(
            {"dev": {"cluster": "c", "user": "u"}},
            {"c": {"server": "https://c"}, "other": {"server": "https://other"}},
            {"u": {"token": "1"}, "admin": {"token": "2"}},
            current="dev",
        )
    )
    context = load(path, KubeOptions(cluster="other", user="admin", namespace="web"))
    assert (context.server, token(context), context.namespace) == ("https://other", "Bearer 2", "web")
    assert load(path, KubeOptions(server="http://127.0.0.1:8001/")).server == "http://127.0.0.1:8001"
    assert load(path).namespace == "default"


def test_names_that_yaml_takes_for_numbers_and_dates_are_names(write: Write) -> None:
    path = write(
        "current-context: 2024-01-01\n"
        "contexts: [{name: 2024-01-01, context: {cluster: 12, user: 12, namespace: 7}}]\n"
        "clusters: [{name: 12, cluster: {server: https://localhost:1}}]\n"
        "users: [{name: 12, user: {token: 12345}}]\n"
    )
    context = load(path)
    assert (context.name, context.cluster, context.namespace) == ("2024-01-01", "12", "7")
    assert token(context) == "Bearer 12345"


def test_user_that_is_not_defined_is_anonymous(write: Write) -> None:
    path = write(
        document({"dev": {"cluster": "c", "user": "ghost"}}, {"c": {"server": "http://localhost:1"}}, {}, "dev")
    )
    assert token(load(path)) == ""


@given(st.binary(max_size=200))
def test_no_file_content_ends_in_a_traceback(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config"
        path.write_bytes(content)
        with pytest.raises(CouldNotRun):
            load(path)


_scalar = st.sampled_from([None, True, 7, "", "a", "true"])
_value: st.SearchStrategy[Any] = _scalar | st.sampled_from(
    [[], {}, [None], [{}], {"cluster": "a"}, {"server": 1}, {"a": {"a": []}}]
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "contexts": _value | st.lists(st.fixed_dictionaries({"name": _scalar, "context": _value}), max_size=2),
            "clusters": _value | st.lists(st.fixed_dictionaries({"name": _scalar, "cluster": _value}), max_size=2),
            "users": _value,
            "current-context": _value,
        },
    )
)
def test_no_document_shape_ends_in_a_traceback(shape: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config"
        path.write_text(yaml.safe_dump(shape))
        with pytest.raises(CouldNotRun):
            load(path)


# --- What cannot be used ---


def test_no_kubeconfig_names_the_places(tmp_path: Path) -> None:
    error = fails("", HOME=str(tmp_path))
    assert str(tmp_path / ".kube" / "config") in error.message
    assert "update-kubeconfig" in error.hint
    error = fails(os.pathsep.join(["/nowhere/a", "/nowhere/b"]))
    assert "/nowhere/a, /nowhere/b" in error.message


def test_invalid_yaml_names_file_and_line(write: Write) -> None:
    error = fails(write("contexts:\n  - name: [\n"))
    assert "config is not valid YAML" in error.message
    assert "line 3" in error.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("just words", "is not a kubeconfig"),
        ("contexts: yes", "contexts is not a list"),
        ("contexts: [{context: {}}]", "has no name"),
        ("contexts: [{name: a, context: [1]}]", "is not a mapping"),
        ("contexts: [{name: a, context: {}}, {name: a, context: {}}]", "'a' twice"),
        ("", "holds no contexts"),
    ],
)
def test_what_is_no_kubeconfig_says_why(write: Write, content: str, said: str) -> None:
    assert said in fails(write(content)).message


def test_unreadable_file_says_why(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in fails(tmp_path).message


def test_unknown_context_lists_the_nearest_first(write: Write) -> None:
    path = write(
        document({n: {"cluster": "c"} for n in ("alpha", "prod-eu", "staging")}, {"c": {"server": "https://c"}})
    )
    error = fails(path, KubeOptions(context="prod"))
    assert error.message == "there is no context 'prod'; known: prod-eu, alpha, staging"
    assert "no current context is set; known: alpha, prod-eu, staging" in fails(path).message


def test_current_context_that_does_not_exist(write: Write) -> None:
    assert (
        "the current context 'b' does not exist; known: a"
        in fails(write(document({"a": {"cluster": "c"}}, current="b"))).message
    )


@pytest.mark.parametrize(
    ("contexts", "clusters", "said"),
    [
        ({"dev": {}}, {}, "the context 'dev' names no cluster"),
        ({"dev": {"cluster": "x"}}, {"c": {}}, "there is no cluster 'x' (named by context 'dev'); known: c"),
        ({"dev": {"cluster": "c"}}, {"c": {}}, "the kubeconfig cluster 'c' has no server"),
        ({"dev": {"cluster": "c"}}, {"c": {"server": "ftp://x"}}, "is not an http(s) address"),
        ({"dev": {"cluster": "c"}}, {"c": {"server": "https://x:port"}}, "is not an http(s) address"),
    ],
)
def test_unusable_cluster(write: Write, contexts: dict[str, Any], clusters: dict[str, Any], said: str) -> None:
    assert said in fails(write(document(contexts, clusters, current="dev"))).message


def test_unknown_user_flag(write: Write) -> None:
    assert "there is no user 'x'; known: u" in fails(write(simple()), KubeOptions(user="x")).message


def test_missing_certificate_file_is_named(write: Write, tmp_path: Path) -> None:
    error = fails(write(simple(**{"certificate-authority": "ca.pem"})))
    assert f"certificate-authority file {tmp_path / 'ca.pem'}" in error.message


def test_data_that_is_not_base64(write: Write) -> None:
    assert "is not base64" in fails(write(simple(**{"certificate-authority-data": "x"}))).message


# --- Credentials and TLS ---


ME = tls_api.identity("me")
INLINE = dict(zip(("client-certificate-data", "client-key-data"), ME.data, strict=True))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_inline_certificates_and_keys_are_never_files(
    write: Write, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr("tempfile.mkstemp", lambda **kwargs: made.append(kwargs))
    ca = tls_api.authority().data[0]
    context = load(write(simple(INLINE, **{"certificate-authority-data": ca})))
    assert context.tls.context().get_ca_certs()[0]["subject"] == ((("commonName", "lbdoctor-test-ca"),),)
    assert ME.key.decode() not in repr(context.tls)
    assert made == [] and list(temporary.iterdir()) == []


def test_a_key_longer_than_a_pipe_is_read_whole(write: Write) -> None:
    key = base64.b64encode(b"# comment\n" * 20_000 + ME.key).decode()
    load(write(simple({**INLINE, "client-key-data": key}))).tls.context()
    bad = load(write(simple({**INLINE, "client-certificate-data": base64.b64encode(b"x" * 200_000).decode()})))
    with pytest.raises(CouldNotRun, match="client certificate of kubeconfig user 'u'"):
        bad.tls.context()


def test_a_key_with_a_password_is_refused_and_not_asked_for(write: Write) -> None:
    locked = serialization.load_pem_private_key(ME.key, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
    )
    context = load(write(simple({**INLINE, "client-key-data": base64.b64encode(locked).decode()})))
    with pytest.raises(CouldNotRun, match="the key is encrypted"):
        context.tls.context()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_where_it_must_be_a_file_a_signal_waits_until_it_is_removed(
    number: signal.Signals, write: Write, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_OPEN_FILES", temporary / "no-such-folder")
    seen: list[list[Path]] = []
    before = signal.signal(number, lambda *_: seen.append(list(temporary.iterdir())))
    modes: list[int] = []

    def loaded(self: Any, certificate: str, key: str, password: Any) -> None:
        modes.extend(stat.S_IMODE(os.stat(path).st_mode) for path in (certificate, key))
        os.kill(os.getpid(), number)

    monkeypatch.setattr("ssl.SSLContext.load_cert_chain", loaded)
    try:
        load(write(simple(INLINE))).tls.context()
    finally:
        signal.signal(number, before)
    assert modes == [0o600, 0o600]
    assert seen == [[]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL])
def test_a_killed_run_leaves_no_key(number: signal.Signals, write: Write, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    hold = threading.Event()
    with tls_api.serving(tmp_path, True, hold) as server:
        path = write(
            simple(INLINE, **{"certificate-authority-data": tls_api.authority().data[0], "server": server.url})
        )
        command = [sys.executable, "-m", "kubectl_lbdoctor", "ing", "web", "--kubeconfig", str(path), "--no-aws"]
        variables = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "NO_PROXY": "*"}

        def as_in_a_shell() -> None:
            """What runs in the background ignores Ctrl-C and the end of the terminal."""
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)

        with subprocess.Popen(
            command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=as_in_a_shell
        ) as run:
            for _ in range(1500):
                if server.asked or run.poll() is not None:
                    break
                time.sleep(0.02)
            during = list((tmp_path / "tmp").rglob("*"))
            run.send_signal(number)
            hold.set()
            run.communicate(timeout=30)
    assert server.asked[0] == (("certificate", "me"),)
    assert run.returncode == (130 if number == signal.SIGINT else -number)
    assert during == [] and list((tmp_path / "tmp").rglob("*")) == []


def test_insecure_server_name_and_basic_auth(write: Write) -> None:
    context = load(
        write(
            simple({"username": "me", "password": "pw"}, **{"insecure-skip-tls-verify": True, "tls-server-name": "api"})
        )
    )
    assert context.tls.server_name == "api" and not context.tls.verify
    assert dict(context.headers)["Authorization"] == "Basic " + base64.b64encode(b"me:pw").decode()
    assert not load(write(simple()), KubeOptions(insecure_skip_tls_verify=True)).tls.verify


@pytest.mark.parametrize(
    "server",
    ["https://al:hunter2@127.0.0.1:1", "ftp://al:hunter2@host", "https://al:hunter2/x@host", "http://al:hunter2@"],
)
def test_a_password_in_the_address_is_printed_nowhere(
    write: Write, server: str, capfd: pytest.CaptureFixture[str]
) -> None:
    said = ""
    try:
        context = load(write(simple(server=server)))
        said += f"{context!r} {context.server} {context.configuration!r}"
        KubeReader(context, attempts=1).get("/version")
    except LbdoctorError as error:
        said += f"{error.message} {error.hint} {error!r}"
    assert said and "hunter2" not in said and "hunter2" not in "".join(capfd.readouterr())


def test_token_file_is_read_again_when_it_is_due(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_credentials, "TOKEN_FILE_PERIOD", -1.0)
    (tmp_path / "token").write_text("one")
    context = load(write(simple({"tokenFile": "token", "token": "instead"})))
    (tmp_path / "token").write_text("two")
    assert token(context) == "Bearer two"
    (tmp_path / "token").write_text("")
    assert token(context) == "Bearer instead"
    write(simple({"tokenFile": "token"}))
    assert "is empty" in fails(tmp_path / "config").message
    (tmp_path / "token").unlink()
    assert "cannot be read" in fails(tmp_path / "config").message


def test_proxy_of_the_cluster_then_of_the_environment(write: Write) -> None:
    path = write(simple())
    assert (
        load(path, HTTPS_PROXY="http://env:3128", HTTP_PROXY="http://wrong:1").configuration.proxy == "http://env:3128"
    )
    assert load(path, HTTP_PROXY="http://wrong:1").configuration.proxy is None
    path = write(simple(**{"proxy-url": "http://me:pw@cluster:3128"}))
    context = load(path, HTTPS_PROXY="http://env:3128")
    assert context.configuration.proxy == "http://me:pw@cluster:3128"
    assert "proxy-authorization" in (context.configuration.proxy_headers or {})
    assert load(path, KubeOptions(server="http://localhost:1")).configuration.proxy  # proxy-url counts even there
    path = write(simple(server="http://127.0.0.1:1"))
    assert load(path, http_proxy="env:3128").configuration.proxy is None
    error = fails(write(simple(**{"proxy-url": "socks4://me:pw@cluster"})))
    assert "socks4://cluster" in error.message
    context = load(write(simple(**{"proxy-url": "socks5://me:pw@cluster"})))
    assert (context.configuration.proxy, context.socks) == (None, "socks5://me:pw@cluster")
    assert "pw" not in repr(context)


def test_impersonation_flags_win_over_the_kubeconfig(write: Write) -> None:
    path = write(simple({"as": "bot", "as-groups": ["a", "b"], "as-uid": "7", "as-user-extra": {"Scopes": ["view"]}}))
    assert load(path).headers == (
        ("Impersonate-User", "bot"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-scopes", "view"),
    )
    assert load(path, KubeOptions(as_user="me", as_groups=("x",))).headers == (
        ("Impersonate-User", "me"),
        ("Impersonate-Group", "x"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-scopes", "view"),
    )
    with pytest.raises(UsageError, match="--as-group needs --as"):
        load(write(simple()), KubeOptions(as_groups=("x",)))


def test_the_token_of_an_auth_provider(write: Write) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 4102444800}).encode()).decode().rstrip("=")  # 2100
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": f"e30.{claims}.x"}}}
    assert token(load(write(simple(user)))) == f"Bearer e30.{claims}.x"


def test_broken_auth_provider_is_a_sentence(write: Write) -> None:
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": "x.ab.y"}}}
    assert "credentials of kubeconfig user 'u' cannot be loaded" in fails(write(simple(user))).message


# --- Exec plugins ---

ANSWER = {"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {"token": "t1"}}


def plugin(command: str, *args: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": command, "args": list(args), **more}


def python(code: str, **more: Any) -> dict[str, Any]:
    """A user whose exec plugin is a line of Python."""
    return {"exec": plugin(sys.executable, "-c", code, **more)}


def test_something_else_is_done_while_the_plugin_works(write: Write, tmp_path: Path) -> None:
    code = (
        "import json,pathlib,sys,time\n"
        f"while not pathlib.Path({str(tmp_path / 'done')!r}).exists(): time.sleep(0.01)\n"
        f"print(json.dumps({ANSWER!r}))"
    )
    environ = {"KUBECONFIG": str(write(simple(python(code)))), "PATH": os.environ["PATH"]}
    context = load_kube_context(KubeOptions(), environ, meanwhile=(tmp_path / "done").touch)
    assert token(context) == "Bearer t1"


def test_exec_plugin_gives_the_token_with_its_environment(write: Write) -> None:
    code = (
        "import os,json;a=json.loads(os.environ['ANSWER']);i=json.loads(os.environ['KUBERNETES_EXEC_INFO']);"
        "a['status']['token']=i['spec']['cluster']['server']+os.getcwd();print(json.dumps(a))"
    )
    user = python(code, env=[{"name": "ANSWER", "value": json.dumps(ANSWER)}], provideClusterInfo=True)
    context = load(write(simple(user)))
    assert token(context) == f"Bearer https://10.0.0.1:6443{os.getcwd()}"
    assert context.plugin.startswith(sys.executable)


def test_exec_plugin_runs_again_when_its_token_expires(write: Write, tmp_path: Path) -> None:
    code = (
        "import json,pathlib,sys;p=pathlib.Path(sys.argv[1]);n=p.stat().st_size if p.exists() else 0;"
        "p.write_text('x'*(n+1));a=json.loads(sys.argv[2]);"
        "a['status']={'token':f't{n}','expirationTimestamp':'2000-01-01T00:00:00Z' if n<1 else '2999-01-01T00:00:00Z'};"
        "print(json.dumps(a))"
    )
    user = {"exec": plugin(sys.executable, "-c", code, str(tmp_path / "count"), json.dumps(ANSWER))}
    context = load(write(simple(user)))
    assert [token(context), token(context)] == ["Bearer t1", "Bearer t1"]
    assert (tmp_path / "count").read_text() == "xx"


def test_exec_plugin_runs_again_when_its_token_is_refused(write: Write, tmp_path: Path) -> None:
    code = (
        "import json,pathlib,sys;p=pathlib.Path(sys.argv[1]);n=p.stat().st_size if p.exists() else 0;"
        "p.write_text('x'*(n+1));a=json.loads(sys.argv[2]);a['status']={'token':f't{n}'};print(json.dumps(a))"
    )
    user = {"exec": plugin(sys.executable, "-c", code, str(tmp_path / "count"), json.dumps(ANSWER))}
    context = load(write(simple(user)))
    refused = context.configuration.refused
    assert refused is not None and token(context) == "Bearer t0"
    assert refused("Bearer t0") and token(context) == "Bearer t1"
    assert refused("Bearer t0"), "another thread has asked with the old one"
    assert token(context) == "Bearer t1"
    assert not refused("Bearer t1"), "a new one that is refused, too, is refused rightly"


def test_what_may_be_another_token_after_a_refusal(write: Write, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    context = load(write(simple({"tokenFile": "token"})))
    (tmp_path / "token").write_text("two")
    assert context.configuration.refused is not None and token(context) == "Bearer one"
    assert context.configuration.refused("Bearer one") and token(context) == "Bearer two"
    assert load(write(simple({"token": "always"}))).configuration.refused is None
    assert load(write(simple({"username": "me", "password": "pw"}))).configuration.refused is None


def test_exec_plugin_with_a_client_certificate(write: Write) -> None:
    answer = {**ANSWER, "status": {"clientCertificateData": "CERT", "clientKeyData": "KEY"}}
    context = load(write(simple(python(f"print({json.dumps(answer)!r})"))))
    assert (context.tls.certificate.data, context.tls.key.data) == (b"CERT", b"KEY")


def test_relative_plugin_starts_at_the_kubeconfig(write: Write, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "login"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho '{json.dumps(ANSWER)}'\n")
    script.chmod(0o755)
    assert token(load(write(simple({"exec": plugin("./bin/login")})))) == "Bearer t1"


def test_plugin_stderr_is_passed_on(write: Write) -> None:
    path = write(
        simple(python(f"import sys;print('open https://login',file=sys.stderr);print({json.dumps(ANSWER)!r})"))
    )
    said: list[str] = []
    load_kube_context(KubeOptions(), {"KUBECONFIG": str(path)}, interactive=True, notify=said.append)
    assert said == ["open https://login"]


def test_plugin_that_is_not_installed(write: Write) -> None:
    error = fails(write(simple({"exec": plugin("no-such-program", installHint="brew install\n  it")})))
    assert error.message.startswith("the command 'no-such-program' is not on PATH; kubeconfig user 'u'")
    assert error.hint == "brew install it"
    assert "does not exist or cannot be run" in fails(write(simple({"exec": plugin("./gone")}))).message


def test_plugin_that_fails_tells_its_first_line_even_on_a_terminal(
    write: Write, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    error = fails(
        write(simple(python("import sys;print('\\nThe SSO session has expired\\nmore',file=sys.stderr);sys.exit(255)")))
    )
    assert (
        "failed with exit status 255: The SSO session has expired (credentials of kubeconfig user 'u')" in error.message
    )
    assert error.hint == "sign in with: aws sso login"
    assert capfd.readouterr() == ("", "")


def test_traceback_of_a_plugin_is_told_by_its_last_line(write: Write) -> None:
    assert "exit status 1: ValueError: boom" in fails(write(simple(python("raise ValueError('boom')")))).message


def test_credentials_hint_names_the_profile(write: Write) -> None:
    user = {
        "exec": plugin(sys.executable, "-c", "import sys;sys.exit('Unable to locate credentials')", "--profile", "p1")
    }
    assert fails(write(simple(user))).hint.endswith("aws sts get-caller-identity --profile p1")
    user["exec"]["args"][-1] = "p;touch"
    assert fails(write(simple(user))).hint.endswith("aws sts get-caller-identity --profile 'p;touch'")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("nonsense", "printed no ExecCredential"),
        ("[]", "printed no ExecCredential"),
        ("[" * 100_000, "printed no ExecCredential"),
        (json.dumps({**ANSWER, "apiVersion": "client.authentication.k8s.io/v1"}), "the kubeconfig expects"),
        (json.dumps({**ANSWER, "status": {"clientCertificateData": "x"}}), "neither a token nor a client certificate"),
    ],
)
def test_plugin_with_a_useless_answer(write: Write, answer: str, said: str) -> None:
    assert said in fails(write(simple(python(f"print({answer!r})")))).message


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1"}, "names no command"),
        ({"command": "x", "apiVersion": "v1"}, "has apiVersion 'v1'"),
        (plugin(sys.executable, interactiveMode="Always"), "must ask you something"),
    ],
)
def test_unusable_exec_section(write: Write, section: dict[str, Any], said: str) -> None:
    assert said in fails(write(simple({"exec": section}))).message


def test_plugin_that_hangs_is_stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_credentials, "PLUGIN_TIMEOUT", 0.3)
    assert "gave no answer" in fails(write(simple(python("import time;time.sleep(60)")))).message


def test_secrets_in_plugin_arguments_are_not_shown(write: Write) -> None:
    user = {"exec": plugin("gone", "--client-secret", "s3cret", "--password=s3cret")}
    error = fails(write(simple(user)))
    assert "s3cret" not in error.message + error.hint
    assert kube_credentials._masked(["x", "--client-secret", "s3cret", "--password=s3cret"]) == (
        "x --client-secret *** --password=***"
    )


# --- In a pod ---


@pytest.fixture
def service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    for name, content in (("token", "sa-token"), ("ca.crt", "pem"), ("namespace", "tools\n")):
        (directory / name).write_text(content)
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", directory)
    return directory


IN_POD: dict[str, Any] = {"KUBERNETES_SERVICE_HOST": "10.100.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_service_account_is_used_without_a_kubeconfig(service_account: Path) -> None:
    context = load("", **IN_POD)
    assert (context.server, context.namespace, context.in_cluster) == ("https://10.100.0.1:443", "tools", True)
    assert token(context) == "bearer sa-token"
    assert load("", KubeOptions(namespace="x"), **IN_POD).namespace == "x"


def test_kubeconfig_wins_over_the_service_account(service_account: Path, write: Write) -> None:
    assert load(write(simple()), **IN_POD).name == "dev"


def test_flags_in_a_pod(service_account: Path) -> None:
    context = load("", KubeOptions(token="given", as_user="eve", as_uid="8", as_user_extra=("k=a", "k=b")), **IN_POD)
    assert token(context).lower() == "bearer given"
    assert context.headers == (
        ("Impersonate-User", "eve"),
        ("Impersonate-Uid", "8"),
        ("Impersonate-Extra-k", "a"),
        ("Impersonate-Extra-k", "b"),
    )
    (service_account / "other.crt").write_text("pem")
    other = str(service_account / "other.crt")
    assert load("", KubeOptions(certificate_authority=other), **IN_POD).tls.authority.path == other
    insecure = load("", KubeOptions(insecure_skip_tls_verify=True), **IN_POD).tls
    assert not insecure.verify and not insecure.authority
    assert "--client-certificate" in fails("", KubeOptions(client_certificate="x"), **IN_POD).message
    assert "--username" in fails("", KubeOptions(username="x"), **IN_POD).message


def test_namespace_in_a_pod(service_account: Path, write: Write) -> None:
    assert load("", POD_NAMESPACE="mine", **IN_POD).namespace == "mine"
    silent = document({"dev": {"cluster": "c", "user": "u"}}, {"c": {"server": "https://s"}}, {"u": {}}, current="dev")
    path = write(silent)
    assert load(path).namespace == "default"
    # kubectl in a pod takes the pod's own where the context names none, also for another cluster.
    assert load(path, **IN_POD).namespace == "tools"
    assert load(path, POD_NAMESPACE="mine", **IN_POD).namespace == "mine"
    assert load(path, KubeOptions(namespace="x"), **IN_POD).namespace == "x"
    assert load(write(simple()), **IN_POD).namespace == "shop"
    (service_account / "namespace").unlink()
    assert load("", **IN_POD).namespace == "default"


def test_extra_fields_of_the_impersonated_user(write: Write) -> None:
    path = write(simple({"as": "bot"}))
    extra = load(path, KubeOptions(as_user_extra=("Scopes=view", "a/b=c=d"))).headers
    assert extra == (
        ("Impersonate-User", "bot"),
        ("Impersonate-Extra-scopes", "view"),
        ("Impersonate-Extra-a%2Fb", "c=d"),
    )
    with pytest.raises(UsageError, match="is not KEY=VALUE"):
        load(path, KubeOptions(as_user_extra=("scopes",)))
    for field, flag in (("as_uid", "--as-uid"), ("as_user_extra", "--as-user-extra")):
        given = KubeOptions(**{field: "7" if field == "as_uid" else ("a=b",)})
        with pytest.raises(UsageError, match=f"{flag} needs --as"):
            load(write(simple()), given)


def test_broken_service_account(service_account: Path) -> None:
    (service_account / "ca.crt").unlink()
    assert "cannot be used" in fails("", **IN_POD).message
    assert "--context" in fails("", KubeOptions(context="x"), **IN_POD).message


# --- Timeouts ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 15.0), ("0", None), ("0s", None), ("7", 7.0), ("1m30s", 90.0), ("1.5h", 5400.0), ("250ms", 0.25)],
)
def test_timeout_syntax(text: str, seconds: float | None) -> None:
    assert parse_timeout(text) == pytest.approx(seconds)


@given(st.text(max_size=8))
def test_timeout_is_seconds_or_a_usage_error(text: str) -> None:
    try:
        seconds = parse_timeout(text)
    except UsageError:
        return
    assert seconds is None or seconds > 0


# --- AWS hints ---


def exec_user(line: str, **env: str) -> dict[str, Any]:
    """A user whose exec plugin is this command line."""
    command, *args = shlex.split(line)
    return {"exec": {"command": command, "args": args, "env": [{"name": k, "value": v} for k, v in env.items()]}}


@pytest.mark.parametrize(
    "user",
    [
        exec_user("aws --region eu-west-1 eks get-token --cluster-name shop --profile p --role r"),
        exec_user("/bin/aws eks get-token --region=eu-west-1 --cluster-name=shop --profile=p --role-arn=r"),
        exec_user("aws-iam-authenticator token -i shop -r r", AWS_PROFILE="p", AWS_REGION="eu-west-1"),
        exec_user("sh -c 'aws eks get-token --region eu-west-1 --cluster-name shop --profile p --role-arn r'"),
    ],
)
def test_hints_from_the_plugin(user: dict[str, Any]) -> None:
    hints = aws_hints("u", user, EKS_SERVER, (EKS_ARN,))
    assert (hints.region, hints.profile, hints.cluster_name, hints.role_arn) == ("eu-west-1", "p", "shop", "r")
    assert "kubeconfig user u" in hints.region_source
    assert "kubeconfig user u" in hints.profile_source


@pytest.mark.parametrize(
    ("server", "names", "region", "cluster"),
    [
        (EKS_SERVER, ("c",), "us-west-2", ""),
        ("https://X.sk1.cn-north-1.eks.amazonaws.com.cn", (), "cn-north-1", ""),
        ("https://X.eks-cluster.us-gov-west-1.api.aws:443/", (), "us-gov-west-1", ""),
        ("https://10.0.0.1", (EKS_ARN, "short"), "eu-central-1", "shop"),
        ("https://10.0.0.1", ("c", "me@corp.com@shop.ap-south-1.eksctl.io"), "ap-south-1", "shop"),
        (EKS_SERVER, ("shop.us-west-2.eksctl.io",), "us-west-2", "shop"),
        ("https://eks.amazonaws.com.evil.example", ("arn:aws:iam::1:user/x",), "", ""),
    ],
)
def test_hints_from_addresses_and_names(server: str, names: tuple[str, ...], region: str, cluster: str) -> None:
    hints = aws_hints("u", {}, server, names)
    assert (hints.region, hints.cluster_name, hints.profile) == (region, cluster, "")


def test_hints_keep_the_plugins_aws_variables(write: Write) -> None:
    user = exec_user("aws eks get-token", AWS_CONFIG_FILE="/c", OTHER="x", AWS_PROFILE="p")
    assert aws_hints("u", user, "", ()).env == {"AWS_CONFIG_FILE": "/c", "AWS_PROFILE": "p"}


@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=6))
def test_hints_never_raise(command: str, args: list[str]) -> None:
    aws_hints("u", {"exec": {"command": command, "args": args, "env": None}}, EKS_SERVER, ("c", "x"))
