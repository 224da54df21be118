"""AwsReader and its session over real HTTP: moto's server for good answers, a scripted server for refusals."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import botocore.session
import pytest
from botocore.credentials import AssumeRoleCredentialFetcher
from moto.server import ThreadedMotoServer

from kubectl_lbdoctor.collect.aws_api.client import AwsReader
from kubectl_lbdoctor.collect.aws_api.pace import Pace
from kubectl_lbdoctor.collect.aws_api.session import AwsSession, open_session
from kubectl_lbdoctor.collect.kubernetes_api.aws_hints import AwsHints, aws_hints
from kubectl_lbdoctor.errors import (
    AwsApiError,
    LbdoctorError,
    NoCredentials,
    ReadDenied,
    ReadFailed,
    Unreachable,
)
from kubectl_lbdoctor.knowledge.secret_text import without_credentials
from kubectl_lbdoctor.options import AwsOptions
from kubectl_lbdoctor.permission import Permission

REGION = "us-west-2"
ARN = "arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/web/1"
INLINE = {"AWS_ACCESS_KEY_ID": "inline", "AWS_SECRET_ACCESS_KEY": "s"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
Environ = dict[str, str]


def isolate(patch: pytest.MonkeyPatch, directory: Path, **variables: str) -> None:
    """Make boto3 find nothing by accident."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", str(directory / "aws-config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(directory / "aws-credentials"))
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in variables.items():
        patch.setenv(name, value)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


def nowhere() -> str | None:
    return None


def open_it(
    options: AwsOptions | None = None,
    hints: AwsHints | None = None,
    node_region: Callable[[], str | None] = nowhere,
    environ: Environ | None = None,
) -> AwsSession:
    return open_session(options or AwsOptions(), hints or AwsHints(), node_region, environ or {})


def profiles(tmp_path: Path, *names: str, extra: str = "") -> None:
    """Write ~/.aws/config with profiles that hold keys and a region named after themselves."""
    sections = [
        f"[{'default' if name == 'default' else 'profile ' + name}]\n"
        f"region = {name}-region\naws_access_key_id = key-{name}\naws_secret_access_key = s\n{extra}"
        for name in names
    ]
    (tmp_path / "aws-config").write_text("\n".join(sections))


# --- Session ---


def test_flags_win(tmp_path: Path) -> None:
    profiles(tmp_path, "flag", "hint", "default")
    hints = AwsHints(region="hint-1", region_source="kubeconfig", profile="hint", profile_source="kubeconfig user u")
    opened = open_it(AwsOptions(profile="flag", region="flag-1"), hints, lambda: pytest.fail("not needed"))
    assert (opened.region, opened.region_source) == ("flag-1", "--region")
    assert (opened.profile, opened.profile_source) == ("flag", "--profile")
    assert opened.session.get_credentials().access_key == "key-flag"


def test_kubeconfig_wins_over_the_environment(tmp_path: Path, keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles(tmp_path, "hint", "shell")
    monkeypatch.setenv("AWS_PROFILE", "shell")
    hints = AwsHints(region="hint-1", region_source="kubeconfig", profile="hint", profile_source="kubeconfig user u")
    opened = open_it(hints=hints, environ={"AWS_PROFILE": "shell", "AWS_REGION": "env-1"})
    assert (opened.region, opened.profile, opened.profile_source) == ("hint-1", "hint", "kubeconfig user u")
    assert opened.session.get_credentials().access_key == "key-hint"


def test_variables_of_the_exec_plugin_count(tmp_path: Path, keys: None) -> None:
    (tmp_path / "other").write_text("[profile corp]\naws_access_key_id = other\naws_secret_access_key = s\n")
    env = {"AWS_CONFIG_FILE": str(tmp_path / "other")}
    opened = open_it(hints=AwsHints(region="r-1", profile="corp", profile_source="kubeconfig", env=env))
    assert opened.session.get_credentials().access_key == "other"
    env = {"AWS_ACCESS_KEY_ID": "inline", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    opened = open_it(hints=AwsHints(region="r-1", env=env))
    assert opened.session.get_credentials().access_key == "inline"
    assert "kubeconfig" in opened.profile_source
    assert opened.profile == ""


def hints_of(line: str, **env: str) -> AwsHints:
    """What a kubeconfig with this plugin says."""
    command, *args = line.split()
    user = {"exec": {"command": command, "args": args, "env": [{"name": k, "value": v} for k, v in env.items()]}}
    return aws_hints("u", user, "https://x.gr7.us-west-2.eks.amazonaws.com", ())


@pytest.mark.parametrize(
    ("line", "env", "shell", "key", "profile"),
    [
        # What `aws eks update-kubeconfig --profile` writes, in a shell of aws-vault.
        ("aws eks get-token", {"AWS_PROFILE": "prod"}, True, "AKIDEXAMPLE", ""),
        ("aws eks get-token", {"AWS_PROFILE": "prod"}, False, "key-prod", "prod"),
        ("aws eks get-token --profile prod", {}, True, "key-prod", "prod"),
        ("aws eks get-token", {}, True, "AKIDEXAMPLE", ""),
        ("aws eks get-token", {"AWS_PROFILE": "prod", **INLINE}, True, "inline", ""),
    ],
)
def test_the_credentials_are_those_of_the_plugin(
    tmp_path: Path,
    line: str,
    env: dict[str, str],
    shell: bool,
    key: str,
    profile: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It runs with the variables of the shell and the kubeconfig, and takes keys in them before AWS_PROFILE."""
    profiles(tmp_path, "prod")
    variables = {**os.environ, **(KEYS if shell else {})}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    opened = open_it(hints=hints_of(line, **env), environ=variables)
    assert (opened.session.get_credentials().access_key, opened.profile) == (key, profile)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    theirs = botocore.session.Session(profile="prod" if "--profile" in line else None)
    assert theirs.get_credentials().access_key == key


def test_keys_that_go_before_a_profile_are_named(tmp_path: Path) -> None:
    (tmp_path / "aws-config").write_text("[profile prod]\nregion = us-west-2\n")
    hints = hints_of("aws eks get-token", AWS_PROFILE="prod")
    opened = open_it(hints=hints, environ=KEYS)
    assert opened.profile_source.startswith("AWS_ACCESS_KEY_ID of the environment, which goes before the AWS_PROFILE")
    with pytest.raises(NoCredentials) as caught:
        open_it(hints=hints)
    assert "the AWS profile 'prod' (from kubeconfig user u: AWS_PROFILE of aws) holds no credentials" in str(
        caught.value
    )
    with pytest.raises(NoCredentials, match="AWS_SECRET_ACCESS_KEY is not"):
        open_it(hints=hints, environ={"AWS_ACCESS_KEY_ID": "x"})


# --- MFA ---

ROLE = "arn:aws:iam::123456789012:role/admin"
DEVICE = "arn:aws:iam::123456789012:mfa/me"


@pytest.fixture
def with_mfa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A profile whose role needs a code; the folder of the AWS CLI's sessions."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("a thread asks a person something"))
    (tmp_path / "aws-config").write_text(
        "[profile base]\naws_access_key_id = x\naws_secret_access_key = y\n"
        f"[profile mfa]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = {DEVICE}\n"
    )
    folder = tmp_path / ".aws" / "cli" / "cache"
    folder.mkdir(parents=True)
    return folder


def test_a_code_is_not_asked_for(with_mfa: Path) -> None:
    reader = AwsReader(open_it(AwsOptions(profile="mfa", region=REGION)))
    with pytest.raises(NoCredentials) as caught:
        reader.call("elbv2", "DescribeLoadBalancers")
    assert "'mfa' needs the code of an MFA device" in caught.value.message
    assert "aws sts get-caller-identity --profile mfa" in caught.value.hint
    assert reader.refused, "a watch looks for the session that the AWS CLI then has"


def kept_session(expiry: str) -> str:
    """As the AWS CLI writes it."""
    keys = {"AccessKeyId": "kept", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expiry}
    return json.dumps({"Credentials": keys, "ResponseMetadata": {}})


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (kept_session("2999-01-01T00:00:00+00:00"), True),
        (kept_session("2999-01-01T00:00:00UTC"), True),
        (kept_session("2020-01-01T00:00:00+00:00"), False),
        ("{", False),
        ('{"Credentials": {"AccessKeyId": "kept"}}', False),
        ("[]", False),
    ],
)
def test_the_session_that_the_cli_has_is_used(with_mfa: Path, content: str, found: bool) -> None:
    """By botocore's own name for it, which the AWS CLI has, too."""
    asked = {"RoleArn": ROLE, "SerialNumber": DEVICE}
    key = AssumeRoleCredentialFetcher(lambda *_: None, None, ROLE, {"SerialNumber": DEVICE})._cache_key
    assert key == hashlib.sha1(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    (with_mfa / f"{key}.json").write_text(content)
    credentials = open_it(AwsOptions(profile="mfa", region=REGION)).session.get_credentials()
    if found:
        assert credentials.get_frozen_credentials().access_key == "kept"
    else:
        with pytest.raises(NoCredentials, match="MFA"):
            credentials.get_frozen_credentials()
    assert [file.name for file in with_mfa.iterdir()] == [f"{key}.json"]


def test_region_of_the_nodes_then_of_the_environment_then_of_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles(tmp_path, "default")
    opened = open_it(node_region=lambda: "node-1", environ={"AWS_REGION": "env-1"})
    assert (opened.region, opened.region_source) == ("node-1", "node label topology.kubernetes.io/region")
    assert opened.session.get_config_variable("region") == "node-1"
    assert open_it(environ={"AWS_REGION": "env-1"}).region == "env-1"
    opened = open_it()
    assert (opened.region, opened.region_source) == ("default-region", "AWS configuration")


def test_chain_is_named_when_it_gives_the_credentials(keys: None) -> None:
    opened = open_it(AwsOptions(region=REGION))
    assert (opened.profile, opened.profile_source) == ("", "env")


@pytest.mark.parametrize(
    ("options", "hints", "shell", "source"),
    [
        (AwsOptions(profile="gone", region="r"), AwsHints(), {}, "--profile"),
        (
            AwsOptions(region="r"),
            AwsHints(profile="gone", profile_source="kubeconfig user u: aws --profile"),
            {},
            "kubeconfig user u: aws --profile",
        ),
        (AwsOptions(region="r"), AwsHints(), {"AWS_PROFILE": "gone"}, "AWS_PROFILE"),
    ],
)
def test_unknown_profile(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: AwsOptions,
    hints: AwsHints,
    shell: Environ,
    source: str,
) -> None:
    profiles(tmp_path, "default", "dev")
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NoCredentials) as caught:
        open_it(options, hints, environ=shell)
    assert caught.value.message == (
        f"the AWS profile 'gone' (from {source}) does not exist on this machine; known: default, dev"
    )
    assert "--profile" in caught.value.hint


def test_aws_switched_off() -> None:
    with pytest.raises(NoCredentials, match="--no-aws"):
        open_it(AwsOptions(no_aws=True))


def test_no_credentials_at_all() -> None:
    with pytest.raises(NoCredentials, match="there are no AWS credentials"):
        open_it(AwsOptions(region=REGION))


def test_no_region(keys: None) -> None:
    with pytest.raises(NoCredentials) as caught:
        open_it()
    assert "region is not known" in caught.value.message
    assert "--region" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "said", "hint"),
    [
        (
            "[default]\naws_access_key_id = x\n",
            "credentials cannot be used: Partial credentials",
            "get-caller-identity",
        ),
        ("[default]\ncredential_process = /no/such/program\n", "cannot be used", "get-caller-identity"),
        ("[default\n", "cannot be used: Unable to parse config file", "get-caller-identity"),
    ],
)
def test_broken_configuration(tmp_path: Path, config: str, said: str, hint: str) -> None:
    (tmp_path / "aws-config").write_text(config)
    with pytest.raises(NoCredentials) as caught:
        open_it(AwsOptions(region=REGION))
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_expired_single_sign_on_names_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "aws-config").write_text(
        "[profile sso]\nsso_start_url = https://x.example\nsso_region = us-east-1\n"
        "sso_account_id = 123456789012\nsso_role_name = r\n"
    )
    opened = open_it(AwsOptions(profile="sso", region=REGION))
    with pytest.raises(NoCredentials) as caught:
        AwsReader(opened).call("elbv2", "DescribeLoadBalancers")
    assert "single sign-on" in caught.value.message
    assert caught.value.hint == "sign in with: aws sso login --profile sso"


# --- Reads from moto ---


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def reader_for(url: str, directory: Path, *services: str, **options: Any) -> AwsReader:
    """A reader whose clients for `services` keep talking to `url`, whatever the environment is later."""
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, directory, AWS_ENDPOINT_URL=url, **KEYS)
        made = AwsReader(open_it(AwsOptions(region=REGION)), **options)
        made.prepare(*services)
        return made


@pytest.fixture(scope="module")
def shared_reader(moto: str, tmp_path_factory: pytest.TempPathFactory) -> AwsReader:
    services = ("ec2", "elbv2", "sts", "resourcegroupstaggingapi", "cloudwatch")
    return reader_for(moto, tmp_path_factory.mktemp("aws"), *services)


@pytest.fixture
def reader(shared_reader: AwsReader) -> AwsReader:
    shared_reader.calls.clear()
    return shared_reader


def test_lists_and_documents(reader: AwsReader) -> None:
    tables = reader.call("ec2", "DescribeRouteTables", "RouteTables")
    assert [table["Routes"][0]["DestinationCidrBlock"] for table in tables] == ["172.31.0.0/16"]
    filters = [{"Name": "vpc-id", "Values": ["vpc-0"]}]
    assert reader.call("ec2", "DescribeRouteTables", "RouteTables", Filters=filters) == []
    assert reader.call("sts", "GetCallerIdentity")["Account"] == "123456789012"
    assert "ResponseMetadata" not in reader.call("sts", "GetCallerIdentity")
    assert reader.call("elbv2", "DescribeLoadBalancers")["LoadBalancers"] == []
    assert reader.calls == {
        "ec2:DescribeRouteTables": 2, "sts:GetCallerIdentity": 2, "elbv2:DescribeLoadBalancers": 1
    }  # fmt: skip


def test_all_pages_are_read(reader: AwsReader, moto: str) -> None:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("elbv2", region_name=REGION, endpoint_url=moto, **keys)
    subnet = reader.call("ec2", "DescribeSubnets", "Subnets")[0]["SubnetId"]
    for number in range(51):
        client.create_load_balancer(Name=f"lb-{number:02}", Type="network", Subnets=[subnet])
    expected = [f"lb-{number:02}" for number in range(51)]
    balancers = reader.call("elbv2", "DescribeLoadBalancers", "LoadBalancers")
    assert [balancer["LoadBalancerName"] for balancer in balancers] == expected
    assert reader.calls["elbv2:DescribeLoadBalancers"] == 2  # moto gives 50 in a page
    assert len(reader.call("elbv2", "DescribeLoadBalancers")["LoadBalancers"]) == 51
    for balancer in balancers:
        client.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])


def test_absence_is_an_error_code(reader: AwsReader) -> None:
    with pytest.raises(AwsApiError) as caught:
        reader.call("elbv2", "DescribeTargetHealth", "TargetHealthDescriptions", TargetGroupArn=ARN)
    assert caught.value.code == "TargetGroupNotFound"
    with pytest.raises(AwsApiError) as caught:
        reader.call("ec2", "DescribeSecurityGroups", "SecurityGroups", GroupIds=["sg-0123456789abcdef0"])
    assert caught.value.code == "InvalidGroup.NotFound"


def test_clients_are_created_once_by_many_threads(
    moto: str, tmp_path: Path, keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    reader = AwsReader(open_it(AwsOptions(region=REGION)))
    created: list[str] = []
    original = type(reader.session.session).create_client

    def counting(self: Any, service: str, **kwargs: Any) -> Any:
        created.append(service)
        return original(self, service, **kwargs)

    monkeypatch.setattr(type(reader.session.session), "create_client", counting)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: reader.call("sts", "GetCallerIdentity"), range(32)))
    assert {answer["Account"] for answer in answers} == {"123456789012"}
    assert created == ["sts"]
    assert reader.calls["sts:GetCallerIdentity"] == 32


def test_own_mistakes_are_loud(reader: AwsReader) -> None:
    with pytest.raises(ValueError, match="elbv2 has no operation DescribeNothing"):
        reader.call("elbv2", "DescribeNothing")
    with pytest.raises(TypeError, match="Account is no list"):
        reader.call("sts", "GetCallerIdentity", "Account")
    with pytest.raises(ReadFailed, match="ParamValidationError"):
        reader.call("elbv2", "DescribeTargetHealth", Wrong=1)


def test_permission_is_the_iam_action(reader: AwsReader) -> None:
    assert reader.iam_action("elbv2", "DescribeTargetHealth") == "elasticloadbalancing:DescribeTargetHealth"
    assert reader.iam_action("resourcegroupstaggingapi", "GetResources") == "tag:GetResources"
    assert reader.iam_action("cloudwatch", "GetMetricData") == "cloudwatch:GetMetricData"


# --- Refusals ---


class Refusing:
    """An AWS endpoint that answers every query-protocol request with one error, in elbv2's or ec2's XML."""

    def __init__(self) -> None:
        self.code, self.message, self.status = "", "", 400
        self.wait: threading.Event | None = None
        self.page: tuple[str, bytes] | None = None
        self.operations: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                if server.page is not None:
                    kind, body = server.page
                    self.send_response(server.status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                server.operations.append(form["Action"][0])
                if server.wait is not None:
                    server.wait.wait(5)
                error = f"<Error><Code>{server.code}</Code><Message>{server.message}</Message></Error>"
                ec2 = form["Version"][0] == "2016-11-15"
                text = (
                    f"<Response><Errors>{error}</Errors></Response>"
                    if ec2
                    else f"<ErrorResponse>{error}</ErrorResponse>"
                )
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.handle_error = lambda *args: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def refusing_server() -> Iterator[Refusing]:
    server = Refusing()
    yield server
    server.close()


@pytest.fixture
def refusing(refusing_server: Refusing) -> Refusing:
    refusing_server.wait = refusing_server.page = None
    refusing_server.operations.clear()
    return refusing_server


@pytest.fixture(scope="module")
def refused_reader(refusing_server: Refusing, tmp_path_factory: pytest.TempPathFactory) -> AwsReader:
    directory = tmp_path_factory.mktemp("aws")
    return reader_for(refusing_server.url, directory, "elbv2", "ec2", max_attempts=1, read_timeout=0.3)


Refuse = Callable[..., LbdoctorError]


@pytest.fixture
def refused(refusing: Refusing, refused_reader: AwsReader) -> Refuse:
    """The error of a read that AWS answers with an error code."""

    def ask(code: str, message: str = "", status: int = 400, service: str = "elbv2") -> LbdoctorError:
        refusing.code, refusing.message, refusing.status = code, message, status
        operation = {"elbv2": "DescribeLoadBalancers", "ec2": "DescribeSecurityGroups"}[service]
        with pytest.raises(LbdoctorError) as caught:
            refused_reader.call(service, operation)
        return caught.value

    return ask


def test_denied_names_action_and_principal(refused: Refuse) -> None:
    error = refused(
        "AccessDenied",
        "User: arn:aws:sts::123456789012:assumed-role/dev/me is not authorized to perform: "
        "elasticloadbalancing:DescribeLoadBalancers because no identity-based policy allows the "
        "elasticloadbalancing:DescribeLoadBalancers action",
        403,
    )
    assert isinstance(error, ReadDenied)
    assert error.permission == Permission(action="elasticloadbalancing:DescribeLoadBalancers")
    assert error.message.startswith("arn:aws:sts::123456789012:assumed-role/dev/me may not call elasticload")
    assert error.hint.startswith("allow elasticloadbalancing:DescribeLoadBalancers")


def test_denied_by_ec2_without_the_encoded_message(refused: Refuse) -> None:
    error = refused(
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. Encoded authorization failure message: AbC-123_x",
        403,
        "ec2",
    )
    assert isinstance(error, ReadDenied)
    assert error.permission == Permission(action="ec2:DescribeSecurityGroups")
    assert "AbC-123_x" not in error.message
    assert "the AWS identity (env) may not call" in error.message


def test_denied_explicitly_says_that_allowing_is_not_enough(refused: Refuse) -> None:
    error = refused(
        "AccessDeniedException",
        "User: arn:aws:iam::123456789012:user/me is not authorized to perform: tag:GetResources "
        "with an explicit deny in a service control policy",
    )
    assert isinstance(error, ReadDenied)
    assert (str(error.permission), error.hint) == (
        "tag:GetResources",
        "service control policy denies it; allowing it elsewhere does not help",
    )


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure",
        "SignatureDoesNotMatch", "RequestExpired",
    ],
)  # fmt: skip
def test_credentials_that_aws_does_not_accept(refused: Refuse, code: str) -> None:
    error = refused(code, "The security token is expired", 403)
    assert isinstance(error, NoCredentials)
    assert error.message == (
        f"AWS does not accept the credentials (env), as elbv2:DescribeLoadBalancers says: {code}: "
        "The security token is expired"
    )
    assert without_credentials(error.message) == error.message
    assert "aws sts get-caller-identity" in error.hint


def test_refused_credentials_are_remembered(refused: Refuse, refused_reader: AwsReader) -> None:
    refused_reader.refused = False
    refused("AccessDenied", "no", 403)
    refused("Throttling", "no")
    assert not refused_reader.refused
    refused("ExpiredToken", "The security token is expired", 403)
    assert refused_reader.refused


PAGES = {
    "page of a proxy": ("text/html", b"<html><body>Please sign in</body></html>"),
    "page that is no XML": ("text/html", b"<!doctype html><p>Please sign in<br>"),
    "empty": ("text/xml", b""),
    "cut": ("text/xml", b"<DescribeSecurityGroupsResponse><securityGroupInfo><item>"),
    "JSON": ("application/json", b'{"items": []}'),
    "bytes": ("application/octet-stream", bytes(range(256))),
    "answer of another operation": ("text/xml", b"<DescribeVpcsResponse><vpcSet/></DescribeVpcsResponse>"),
    "without the result": ("text/xml", b"<DescribeLoadBalancersResponse></DescribeLoadBalancersResponse>"),
    "character that XML forbids": ("text/xml", b"<DescribeLoadBalancersResponse>\x00</DescribeLoadBalancersResponse>"),
}


@pytest.mark.parametrize("status", [200, 302, 404, 429])
@pytest.mark.parametrize(
    ("service", "operation", "key"),
    [("elbv2", "DescribeLoadBalancers", "LoadBalancers"), ("ec2", "DescribeSecurityGroups", "SecurityGroups")],
)
@pytest.mark.parametrize("page", PAGES)
def test_what_is_no_answer_of_aws_is_a_failed_read(
    refusing: Refusing, refused_reader: AwsReader, page: str, service: str, operation: str, key: str, status: int
) -> None:
    refusing.page, refusing.status = PAGES[page], status
    with pytest.raises((ReadFailed, AwsApiError)) as caught:
        refused_reader.call(service, operation, key)
    assert f"{service}:{operation}" in caught.value.message and "bug" not in caught.value.message
    assert "<" not in caught.value.message.partition("(")[0]


def test_throttled(refusing: Refusing, tmp_path: Path) -> None:
    refusing.code, refusing.message, refusing.status = "Throttling", "Rate exceeded", 400
    reader = reader_for(refusing.url, tmp_path, "elbv2", max_attempts=1)  # its own: adaptive mode slows a client down
    with pytest.raises(ReadFailed) as caught:
        reader.call("elbv2", "DescribeLoadBalancers")
    assert type(caught.value) is ReadFailed
    assert caught.value.message == "elbv2:DescribeLoadBalancers was throttled (Throttling after 1 attempts)"


def test_retries_count_as_calls(refusing: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *args: 0.0)
    refusing.code, refusing.status = "InternalFailure", 500
    reader = reader_for(refusing.url, tmp_path, "elbv2", max_attempts=3)
    with pytest.raises(ReadFailed, match="failed inside AWS"):
        reader.call("elbv2", "DescribeLoadBalancers")
    assert reader.calls["elbv2:DescribeLoadBalancers"] == len(refusing.operations) == 3


class CountingPace(Pace):
    """Lets everything through and counts it."""

    def __init__(self) -> None:
        super().__init__(1000.0)
        self.taken = 0

    def take(self) -> None:
        self.taken += 1


def test_every_attempt_waits_for_its_turn(refusing: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *args: 0.0)
    refusing.code, refusing.status = "InternalFailure", 500
    reader, pace = reader_for(refusing.url, tmp_path, "elbv2", max_attempts=3), CountingPace()
    reader.keep_pace("elbv2", pace)
    with pytest.raises(ReadFailed):
        reader.call("elbv2", "DescribeLoadBalancers")
    assert pace.taken == 3 and not pace.slowed


def test_a_refusal_for_too_many_requests_slows_the_pace(refusing: Refusing, tmp_path: Path) -> None:
    refusing.code, refusing.message, refusing.status = "Throttling", "Rate exceeded", 400
    reader, pace = reader_for(refusing.url, tmp_path, "elbv2", max_attempts=1), CountingPace()
    reader.keep_pace("elbv2", pace)
    with pytest.raises(ReadFailed):
        reader.call("elbv2", "DescribeLoadBalancers")
    assert pace.slowed and pace.rate == 500.0


def test_an_ended_run_sends_nothing_more(refusing: Refusing, tmp_path: Path) -> None:
    reader, pace = reader_for(refusing.url, tmp_path, "elbv2", max_attempts=1), Pace(5.0)
    reader.keep_pace("elbv2", pace)
    pace.end()
    with pytest.raises(ReadFailed, match="the run was ended"):
        reader.call("elbv2", "DescribeLoadBalancers")
    assert refusing.operations == []


def test_other_codes_are_kept(refused: Refuse) -> None:
    error = refused("ValidationError", "bad ARN")
    assert isinstance(error, AwsApiError)
    assert (error.code, error.message) == (
        "ValidationError",
        "elbv2:DescribeLoadBalancers failed: ValidationError: bad ARN",
    )


def test_no_answer_in_time(refusing: Refusing, refused_reader: AwsReader) -> None:
    refusing.wait = threading.Event()
    with pytest.raises(ReadFailed) as caught:
        refused_reader.call("elbv2", "DescribeLoadBalancers")
    refusing.wait.set()
    assert caught.value.message == "elbv2:DescribeLoadBalancers timed out after 0.3s"


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(Unreachable) as caught:
        reader_for(url, tmp_path, "elbv2", max_attempts=1).call("elbv2", "DescribeLoadBalancers")
    assert url in caught.value.message
    assert caught.value.hint.endswith("the region us-west-2 comes from --region")


def test_impossible_region_and_endpoint(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unreachable, match="region"):
        AwsReader(open_it(AwsOptions(region="not a region"))).call("elbv2", "DescribeLoadBalancers")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(ReadFailed, match="endpoint"):
        AwsReader(open_it(AwsOptions(region=REGION))).call("elbv2", "DescribeLoadBalancers")


def test_credentials_that_break_later(reader: AwsReader, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import CredentialRetrievalError

    def broken(self: Any) -> Any:
        raise CredentialRetrievalError(provider="custom-process", error_msg="exit status 1")

    monkeypatch.setattr("botocore.credentials.Credentials.get_frozen_credentials", broken)
    with pytest.raises(NoCredentials, match="exit status 1"):
        reader.call("sts", "GetCallerIdentity")


def test_the_sdk_is_imported_when_it_is_asked_for_and_not_before() -> None:
    """Start-up does not pay for botocore; the composition root does, beside other work."""
    code = (
        "import sys; from kubectl_lbdoctor.collect.aws_api import client; before = 'botocore.session' in sys.modules; "
        "client.import_sdk(); print(before, 'botocore.session' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]
