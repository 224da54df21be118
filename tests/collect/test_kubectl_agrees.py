"""One kubeconfig, two programs: the plugin asks as the user that kubectl asks as, and refuses what kubectl refuses.

What must come out is written by hand and always tested; where a kubectl is on the PATH, it is asked too.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_lbdoctor.cli import cli
from kubectl_lbdoctor.collect.kubernetes_api.client import KubeReader
from kubectl_lbdoctor.collect.kubernetes_api.kubeconfig import load_kube_context
from kubectl_lbdoctor.errors import LbdoctorError
from kubectl_lbdoctor.flags import options_of
from kubectl_lbdoctor.options import KubeOptions
from tests.support import tls_api

KUBECTL = shutil.which("kubectl")
PROGRAM = sys.executable
ME = tls_api.identity("me")
CERTIFICATE, KEY = ME.data
CA = tls_api.authority().data[0]
TOKEN: dict[str, Any] = {"Authorization": "Bearer s3cret"}
FLAG_TOKEN = {"Authorization": "Bearer given"}
OTHER = tls_api.identity("other").data
IGNORED = (
    *("--cache-dir", "cache", "--match-server-version=false", "--disable-compression", "--warnings-as-errors"),
    *("--profile-output", "x", "--log-flush-frequency", "1s", "--vmodule", "x=1", "-v=0"),
)
"""What `kubectl options` lists besides, and what changes nothing here."""
KUBERC = "--kuberc, which kubectl has since 1.33"
BASIC = "Basic " + base64.b64encode(b"alice:pw").decode()


def plugin(answer: dict[str, Any], version: str = "v1", mode: str = "Never") -> dict[str, Any]:
    """An exec section whose plugin prints this status."""
    name = f"client.authentication.k8s.io/{version}"
    document = json.dumps({"apiVersion": name, "kind": "ExecCredential", "status": answer})
    section = {"apiVersion": name, "command": PROGRAM, "args": ["-c", f"print({document!r})"]}
    return {"exec": {**section, **({"interactiveMode": mode} if mode else {})}}


@dataclass(frozen=True)
class Row:
    """A kubeconfig's cluster and user, and who asks by it: headers (several values as a tuple) and the certificate's
    name; None for a refusal."""

    name: str
    asked: dict[str, str | tuple[str, ...]] | None
    user: dict[str, Any] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    secure: bool = True
    server: str = "{url}"
    flags: tuple[str, ...] = ()
    document: dict[str, Any] = field(default_factory=dict)
    after: str = ""
    authority: bool = True


ROWS = (
    Row("token", TOKEN, {"token": "s3cret"}),
    Row("token over http", {}, {"token": "s3cret"}, secure=False),
    Row("basic auth", {"Authorization": BASIC}, {"username": "alice", "password": "pw"}),
    Row("basic auth over http", {}, {"username": "alice", "password": "pw"}, secure=False),
    Row("plugin", TOKEN, plugin({"token": "s3cret"})),
    Row("plugin over http", {}, plugin({"token": "s3cret"}), secure=False),
    Row("plugin of v1beta1 without interactiveMode", TOKEN, plugin({"token": "s3cret"}, "v1beta1", "")),
    Row("plugin of v1 without interactiveMode", None, plugin({"token": "s3cret"}, "v1", "")),
    Row("plugin of v1 without interactiveMode over http", None, plugin({"token": "s3cret"}, mode=""), secure=False),
    Row("plugin with an unknown interactiveMode", None, plugin({"token": "s3cret"}, "v1", "Sometimes")),
    Row("plugin of v1alpha1", None, plugin({"token": "s3cret"}, "v1alpha1")),
    Row("plugin without a command", None, {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}),
    Row("plugin beside a token", TOKEN, {"token": "s3cret", **plugin({"token": "other"})}),
    Row(
        "plugin with a certificate",
        {"certificate": "me"},
        plugin({"clientCertificateData": ME.certificate.decode(), "clientKeyData": ME.key.decode()}),
    ),
    Row("certificate", {"certificate": "me"}, {"client-certificate-data": CERTIFICATE, "client-key-data": KEY}),
    Row(
        "plugin beside a certificate",
        {"certificate": "me"},
        {**plugin({"token": "other"}), "client-certificate-data": CERTIFICATE, "client-key-data": KEY},
    ),
    Row(
        "plugin beside basic auth",
        {"Authorization": BASIC},
        {**plugin({"token": "other"}), "username": "alice", "password": "pw"},
    ),
    Row(
        "a user name without a password",
        {"Authorization": "Basic " + base64.b64encode(b"alice:").decode()},
        {"username": "alice"},
    ),
    Row(
        "basic auth beyond ASCII",
        {"Authorization": "Basic " + base64.b64encode("älice:pß".encode()).decode()},
        {"username": "älice", "password": "pß"},
    ),
    Row("as-groups that are no list", None, {"token": "s3cret", "as": "bob", "as-groups": "view"}),
    Row("as-user-extra of texts", None, {"token": "s3cret", "as": "bob", "as-user-extra": {"scopes": "view"}}),
    Row("certificate of files", {"certificate": "me"}, {"client-certificate": "me.crt", "client-key": "me.key"}),
    Row(
        "certificate and token",
        {"certificate": "me", **TOKEN},
        {"client-certificate-data": CERTIFICATE, "client-key-data": KEY, "token": "s3cret"},
    ),
    Row(
        "certificate of a file, key of data",
        {"certificate": "me"},
        {"client-certificate": "me.crt", "client-key-data": KEY},
    ),
    Row("certificate without a key", None, {"client-certificate-data": CERTIFICATE}),
    Row("key that is none", None, {"client-certificate-data": CERTIFICATE, "client-key-data": CERTIFICATE}),
    Row(
        "certificate in two forms",
        None,
        {"client-certificate": "me.crt", "client-certificate-data": CERTIFICATE, "client-key-data": KEY},
    ),
    Row("certificate file that is missing", None, {"client-certificate": "gone", "client-key-data": KEY}),
    Row(
        "certificate file that is missing over http",
        None,
        {"client-certificate": "gone", "client-key-data": KEY},
        secure=False,
    ),
    Row("token and basic auth", None, {"token": "s3cret", "username": "alice", "password": "pw"}),
    Row("token and basic auth over http", None, {"token": "s3cret", "username": "alice"}, secure=False),
    Row("token file", {"Authorization": "Bearer from-file"}, {"tokenFile": "token"}),
    Row("token file over a token", {"Authorization": "Bearer from-file"}, {"tokenFile": "token", "token": "s3cret"}),
    Row("token file that is missing, and a token", TOKEN, {"tokenFile": "gone", "token": "s3cret"}),
    Row("token file that is empty, and a token", TOKEN, {"tokenFile": "empty", "token": "s3cret"}),
    Row("token file that is missing", None, {"tokenFile": "gone"}),
    Row("as", {**TOKEN, "Impersonate-User": "bob"}, {"token": "s3cret", "as": "bob"}),
    Row("as over http", {"Impersonate-User": "bob"}, {"token": "s3cret", "as": "bob"}, secure=False),
    Row("as-groups without as", None, {"token": "s3cret", "as-groups": ["view"]}),
    Row("as-groups without as over http", None, {"token": "s3cret", "as-groups": ["view"]}, secure=False),
    Row("as-uid without as", None, {"token": "s3cret", "as-uid": "7"}),
    Row("as-user-extra without as", None, {"token": "s3cret", "as-user-extra": {"scopes": ["view"]}}),
    Row(
        "as with all",
        {
            **TOKEN,
            "Impersonate-User": "bob",
            "Impersonate-Group": "view",
            "Impersonate-Uid": "7",
            "Impersonate-Extra-Scopes": "x",
        },
        {"token": "s3cret", "as": "bob", "as-groups": ["view"], "as-uid": "7", "as-user-extra": {"scopes": ["x"]}},
    ),
    Row(
        "--as with the user's groups",
        {**TOKEN, "Impersonate-User": "eve", "Impersonate-Group": "view", "Impersonate-Uid": "7"},
        {"token": "s3cret", "as": "bob", "as-groups": ["view"], "as-uid": "7"},
        flags=("--as", "eve"),
    ),
    Row(
        "--as and --as-group",
        {**TOKEN, "Impersonate-User": "eve", "Impersonate-Group": "edit"},
        {"token": "s3cret", "as": "bob", "as-groups": ["view"]},
        flags=("--as", "eve", "--as-group", "edit"),
    ),
    Row(
        "--as for as-groups without as",
        {**TOKEN, "Impersonate-User": "eve", "Impersonate-Group": "view"},
        {"token": "s3cret", "as-groups": ["view"]},
        flags=("--as", "eve"),
    ),
    Row("insecure", TOKEN, {"token": "s3cret"}, {"insecure-skip-tls-verify": True}, authority=False),
    Row("no authority", None, {"token": "s3cret"}, authority=False),
    Row("authority beside insecure", None, {"token": "s3cret"}, {"insecure-skip-tls-verify": True}),
    Row(
        "authority beside insecure over http", {}, {"token": "s3cret"}, {"insecure-skip-tls-verify": True}, secure=False
    ),
    Row("authority, and the insecure flag", TOKEN, {"token": "s3cret"}, flags=("--insecure-skip-tls-verify",)),
    Row("authority as a file", TOKEN, {"token": "s3cret"}, {"certificate-authority": "ca.crt"}, authority=False),
    Row("authority in two forms", None, {"token": "s3cret"}, {"certificate-authority": "ca.crt"}),
    Row(
        "authority file that is missing", None, {"token": "s3cret"}, {"certificate-authority": "gone"}, authority=False
    ),
    Row("authority that is none", None, {"token": "s3cret"}, {"certificate-authority-data": KEY}, authority=False),
    Row("another server name", None, {"token": "s3cret"}, {"tls-server-name": "other"}),
    Row(
        "the server name",
        TOKEN,
        {"token": "s3cret"},
        {"tls-server-name": "localhost"},
        server="https://127.0.0.1:{port}",
    ),
    Row("scheme in capitals", TOKEN, {"token": "s3cret"}, server="HTTPS://localhost:{port}"),
    Row("no scheme means http", {}, {"token": "s3cret"}, secure=False, server="localhost:{port}"),
    Row("slash and query behind the address", TOKEN, {"token": "s3cret"}, server="{url}/?a=b"),
    Row(
        "login in the address",
        {"Authorization": BASIC, "certificate": "me"},
        {"client-certificate-data": CERTIFICATE, "client-key-data": KEY},
        server="https://alice:pw@localhost:{port}",
    ),
    Row(
        "login in the address over http",
        {"Authorization": BASIC},
        {"token": "s3cret"},
        secure=False,
        server="http://alice:pw@localhost:{port}",
    ),
    Row(
        "login in the address beside a token",
        {"Authorization": BASIC},
        {"token": "s3cret"},
        server="https://alice:pw@localhost:{port}",
    ),
    Row("-s http", {}, {"token": "s3cret"}, secure=False, server="https://localhost:1", flags=("-s", "{url}")),
    # --- Flags of the user ---
    Row("--token", FLAG_TOKEN, flags=("--token", "given")),
    Row("--token over http", {}, flags=("--token", "given"), secure=False),
    Row("--token over a token", FLAG_TOKEN, {"token": "s3cret"}, flags=("--token", "given")),
    Row(
        "--token beside a token file",
        {"Authorization": "Bearer from-file"},
        {"tokenFile": "token"},
        flags=("--token", "given"),
    ),
    Row("--token over a plugin", FLAG_TOKEN, plugin({"token": "s3cret"}), flags=("--token", "given")),
    Row("--token beside basic auth", None, {"username": "alice", "password": "pw"}, flags=("--token", "given")),
    Row(
        "--token beside a certificate",
        {"certificate": "me", **FLAG_TOKEN},
        {"client-certificate-data": CERTIFICATE, "client-key-data": KEY},
        flags=("--token", "given"),
    ),
    Row("--username and --password", {"Authorization": BASIC}, flags=("--username", "alice", "--password", "pw")),
    Row("--username beside a token", None, {"token": "s3cret"}, flags=("--username", "alice", "--password", "pw")),
    Row(
        "--username beside a plugin",
        {"Authorization": BASIC},
        plugin({"token": "s3cret"}),
        flags=("--username", "alice", "--password", "pw"),
    ),
    Row(
        "--password over a password",
        {"Authorization": BASIC},
        {"username": "alice", "password": "old"},
        flags=("--password", "pw"),
    ),
    Row("--token and --username", None, flags=("--token", "given", "--username", "alice", "--password", "pw")),
    Row(
        "--client-certificate and --client-key",
        {"certificate": "me"},
        flags=("--client-certificate", "{home}/me.crt", "--client-key", "{home}/me.key"),
    ),
    Row(
        "--client-certificate from where the command runs",
        {"certificate": "me"},
        flags=("--client-certificate", "me.crt", "--client-key", "me.key"),
    ),
    Row(
        "--client-certificate beside data",
        None,
        {"client-certificate-data": OTHER[0], "client-key-data": OTHER[1]},
        flags=("--client-certificate", "{home}/me.crt", "--client-key", "{home}/me.key"),
    ),
    Row(
        "--client-certificate over files",
        {"certificate": "me"},
        {"client-certificate": "gone", "client-key": "gone"},
        flags=("--client-certificate", "{home}/me.crt", "--client-key", "{home}/me.key"),
    ),
    Row("--client-certificate without a key", None, flags=("--client-certificate", "{home}/me.crt")),
    Row(
        "--client-key beside data",
        None,
        {"client-certificate-data": CERTIFICATE, "client-key-data": OTHER[1]},
        flags=("--client-key", "{home}/me.key"),
    ),
    Row(
        "--client-certificate over a plugin",
        {"certificate": "me"},
        plugin({"token": "s3cret"}),
        flags=("--client-certificate", "{home}/me.crt", "--client-key", "{home}/me.key"),
    ),
    Row("--client-certificate that is missing", None, flags=("--client-certificate", "gone", "--client-key", "gone")),
    Row(
        "--as-uid",
        {**TOKEN, "Impersonate-User": "eve", "Impersonate-Uid": "8"},
        {"token": "s3cret"},
        flags=("--as", "eve", "--as-uid", "8"),
    ),
    Row(
        "--as-uid over the user's",
        {**TOKEN, "Impersonate-User": "bob", "Impersonate-Uid": "8"},
        {"token": "s3cret", "as": "bob", "as-uid": "7"},
        flags=("--as-uid", "8"),
    ),
    Row("--as-uid without a name", None, {"token": "s3cret"}, flags=("--as-uid", "8")),
    Row("--as-group without a name", None, {"token": "s3cret"}, flags=("--as-group", "edit")),
    Row(
        "--as-group for the user's name",
        {**TOKEN, "Impersonate-User": "bob", "Impersonate-Group": "edit"},
        {"token": "s3cret", "as": "bob"},
        flags=("--as-group", "edit"),
    ),
    # --- Flags of the cluster ---
    Row(
        "--certificate-authority over data",
        TOKEN,
        {"token": "s3cret"},
        {"certificate-authority-data": OTHER[0]},
        flags=("--certificate-authority", "{home}/ca.crt"),
        authority=False,
    ),
    Row(
        "--certificate-authority over a file",
        TOKEN,
        {"token": "s3cret"},
        {"certificate-authority": "gone"},
        flags=("--certificate-authority", "{home}/ca.crt"),
        authority=False,
    ),
    Row(
        "--certificate-authority over insecure",
        TOKEN,
        {"token": "s3cret"},
        {"insecure-skip-tls-verify": True},
        flags=("--certificate-authority", "{home}/ca.crt"),
        authority=False,
    ),
    Row(
        "--certificate-authority of another",
        None,
        {"token": "s3cret"},
        flags=("--certificate-authority", "{home}/me.crt"),
    ),
    Row(
        "--certificate-authority beside the insecure flag",
        None,
        {"token": "s3cret"},
        flags=("--certificate-authority", "{home}/ca.crt", "--insecure-skip-tls-verify"),
    ),
    Row(
        "--certificate-authority that is missing",
        None,
        {"token": "s3cret"},
        flags=("--certificate-authority", "gone"),
    ),
    Row(
        "--tls-server-name",
        TOKEN,
        {"token": "s3cret"},
        server="https://127.0.0.1:{port}",
        flags=("--tls-server-name", "localhost"),
    ),
    Row(
        "--tls-server-name over the cluster's",
        TOKEN,
        {"token": "s3cret"},
        {"tls-server-name": "other"},
        flags=("--tls-server-name", "localhost"),
    ),
    Row("--tls-server-name of another", None, {"token": "s3cret"}, flags=("--tls-server-name", "other")),
    Row(
        "-s takes the server name of the cluster away",
        TOKEN,
        {"token": "s3cret"},
        {"tls-server-name": "other"},
        flags=("-s", "{url}"),
    ),
    Row(
        "-s and --tls-server-name",
        TOKEN,
        {"token": "s3cret"},
        {"tls-server-name": "other"},
        flags=("-s", "https://127.0.0.1:{port}", "--tls-server-name", "localhost"),
    ),
    Row(
        "--insecure-skip-tls-verify=false",
        None,
        {"token": "s3cret"},
        flags=("--insecure-skip-tls-verify=false",),
        authority=False,
    ),
    Row("--insecure-skip-tls-verify=true", TOKEN, {"token": "s3cret"}, flags=("--insecure-skip-tls-verify=true",)),
    Row("an empty --token", TOKEN, {"token": "s3cret"}, flags=("--token=",)),
    Row("an empty --as", {**TOKEN, "Impersonate-User": "bob"}, {"token": "s3cret", "as": "bob"}, flags=("--as=",)),
    Row(
        "a flag twice", {**TOKEN, "Impersonate-User": "eve"}, {"token": "s3cret"}, flags=("--as", "bob", "--as", "eve")
    ),
    Row(
        "two groups",
        {**TOKEN, "Impersonate-User": "eve", "Impersonate-Group": ("a", "b,c")},
        {"token": "s3cret"},
        flags=("--as", "eve", "--as-group", "a", "--as-group=b,c"),
    ),
    Row("flags that change nothing", TOKEN, {"token": "s3cret"}, flags=IGNORED),
    Row(KUBERC, TOKEN, {"token": "s3cret"}, flags=("--kuberc", "{home}/kuberc")),
    Row("a second document", TOKEN, {"token": "s3cret"}, after="---\nusers: []\n"),
    Row("a second document that is no YAML", TOKEN, {"token": "s3cret"}, after="---\n{[\n"),
    Row("another kind", None, {"token": "s3cret"}, document={"kind": "Pod"}),
    Row("another version", None, {"token": "s3cret"}, document={"apiVersion": "v2"}),
    Row("no kind", TOKEN, {"token": "s3cret"}, document={"kind": None, "apiVersion": None}),
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, tls_api.Server]]:
    folder = tmp_path_factory.mktemp("servers")
    with tls_api.serving(folder, True) as secure, tls_api.serving(folder, False) as plain:
        yield {True: secure, False: plain}


@dataclass(frozen=True)
class Setting:
    """A row's kubeconfig on disk, with the server that it leads to."""

    kubeconfig: Path
    server: tls_api.Server
    flags: tuple[str, ...]
    home: Path

    @property
    def variables(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home)}


@pytest.fixture
def setting(request: pytest.FixtureRequest, servers: dict[bool, tls_api.Server], tmp_path: Path) -> Setting:
    row: Row = request.getfixturevalue("row")
    server = servers[row.secure]
    places = {"url": server.url, "port": server.url.rpartition(":")[2], "home": str(tmp_path)}
    (tmp_path / "me.crt").write_bytes(ME.certificate)
    (tmp_path / "me.key").write_bytes(ME.key)
    (tmp_path / "ca.crt").write_bytes(tls_api.authority().certificate)
    (tmp_path / "token").write_text("from-file\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "kuberc").write_text("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n")
    cluster = {"server": row.server.format(**places), **({"certificate-authority-data": CA} if row.authority else {})}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {**cluster, **row.cluster}}],
        "users": [{"name": "u", "user": row.user}],
        **row.document,
    }
    kept = {key: value for key, value in document.items() if value is not None}
    (tmp_path / "config").write_text(yaml.safe_dump(kept) + row.after)
    server.asked.clear()
    server.paths.clear()
    return Setting(tmp_path / "config", server, tuple(flag.format(**places) for flag in row.flags), tmp_path)


def expected(row: Row) -> list[tls_api.Asked]:
    if row.asked is None:
        return []
    values = {name: value if isinstance(value, tuple) else (value,) for name, value in row.asked.items()}
    return [tuple(sorted((name, value) for name, several in values.items() for value in several))]


def options(setting: Setting) -> KubeOptions:
    """The flags of a row, as the command line reads them."""
    words = ["--kubeconfig", str(setting.kubeconfig), "--request-timeout", "5s", *setting.flags]
    context = cli.make_context("kubectl lbdoctor", [*words, "version"], obj={"flags": {}})
    return options_of(context, context.params).kube


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_plugin_asks_as(row: Row, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(setting.home)
    said = ""
    try:
        KubeReader(load_kube_context(options(setting), setting.variables), attempts=1).get("/version")
    except LbdoctorError as error:
        said = f"{error.message} {error.hint}"
    assert setting.server.asked == expected(row)
    assert bool(said) == (row.asked is None)
    assert "s3cret" not in said and "alice" not in said and "pw@" not in said


@pytest.mark.skipif(KUBECTL is None, reason="no kubectl on the PATH")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_kubectl_asks_as(row: Row, setting: Setting) -> None:
    assert KUBECTL is not None
    command = [KUBECTL, "--kubeconfig", str(setting.kubeconfig), "get", "--raw", "/api", *setting.flags]
    ended = subprocess.run(
        command,
        env={**setting.variables, "NO_PROXY": "*"},
        cwd=setting.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
    )
    if row.name == KUBERC and b"unknown flag: --kuberc" in ended.stderr:
        pytest.skip("this kubectl is older than the flag")
    # Some builds of kubectl first ask for the server's version, with some of the flags only, and then choose the
    # kubectl that makes the request. Its credentials count, not how often it asks.
    sent = zip(setting.server.asked, setting.server.paths, strict=True)
    asked = list(dict.fromkeys(who for who, path in sent if path == "/api"))
    assert (asked, ended.returncode != 0) == (expected(row), row.asked is None), ended.stderr.decode()
