"""What goes into the archive: what the plugin calls, by its own word, and nothing that it cannot reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import contents
import pytest

from kubectl_lbdoctor.collect.aws_api.session import CREDENTIAL_SERVICES


def test_the_services_that_are_called() -> None:
    reads = {"elbv2", "ec2", "iam", "eks", "cloudwatch", "cloudtrail", "s3"}
    assert contents.aws_services() == reads | {"sts", "sso", "sso-oidc", "signin"}
    assert {"sts", "sso", "sso-oidc", "signin"} == CREDENTIAL_SERVICES


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("botocore/data/endpoints.json", True),
        ("botocore/data/partitions.json", True),
        ("botocore/data/elbv2/2015-12-01/service-2.json.gz", True),
        ("botocore/data/elbv2/2015-12-01/endpoint-rule-set-1.json.gz", True),
        ("botocore/data/elbv2/2015-12-01/examples-1.json", False),
        ("botocore/data/elbv2/2015-12-01/waiters-2.json", False),
        ("botocore/data/ec2/2014-09-01/service-2.json.gz", False),
        ("botocore/data/ec2/2016-11-15/service-2.json.gz", True),
        ("botocore/data/sqs/2012-11-05/service-2.json.gz", False),
        ("botocore/cacert.pem", True),
        ("boto3/data/ec2/2016-11-15/resources-1.json", False),
        ("kubectl_lbdoctor/data/annotations.yaml", True),
        ("certifi/cacert.pem", True),
    ],
)
def test_data_files(name: str, needed: bool) -> None:
    assert contents.is_needed_data(name) is needed


def test_what_a_run_can_import_stays() -> None:
    left_out = set(contents.excluded())
    assert {"tkinter", "kubernetes.aio"} <= left_out
    assert not left_out & {name.partition(".")[0] for name in contents.late_imports()}
    # Another process than that of the tests, which import more than the plugin does.
    code = (
        "import sys, websocket, h2.connection, botocore.session\n"
        "from kubectl_lbdoctor.collect.aws_api import session\n"
        "from kubectl_lbdoctor.collect.kubernetes_api import configuration\n"
        "session.import_sdk(), print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not left_out & set(loaded)


def test_imports_inside_functions_are_seen() -> None:
    assert {"orjson", "urllib3", "yaml", "websocket"} <= set(contents.late_imports())


@pytest.mark.parametrize(("extras", "status"), [("nowhere", 0), ("elsewhere", 1)])
def test_only_what_an_extra_brings_may_be_missing(extras: str, status: int) -> None:
    words = [contents._REACHED, "nowhere.server", "", extras]
    done = subprocess.run([sys.executable, "-c", *words], capture_output=True, text=True, cwd=contents.ROOT)
    assert done.returncode == status and ("No module named 'nowhere'" in done.stderr) is bool(status)


def test_what_the_tests_need_is_no_extra_of_a_run() -> None:
    assert not contents.extras() & {"pytest", "boto3", "moto", "hypothesis"}


def test_all_files_of_the_plugin_are_packed_where_it_looks_for_them() -> None:
    packed = {f"{folder}/{Path(path).name}" for path, folder in contents.own_data()}
    tracked = subprocess.run(["git", "ls-files", "kubectl_lbdoctor"], capture_output=True, text=True, cwd=contents.ROOT)
    assert {"kubectl_lbdoctor/py.typed", "kubectl_lbdoctor/data/lbc_iam_policy.json"} <= packed
    assert {name for name in tracked.stdout.split() if not name.endswith(".py")} <= packed
    assert not any(name.startswith("kubectl_lbdoctor/data/botocore") for name in packed), "cut anew for each archive"


def test_each_package_comes_with_its_licence() -> None:
    texts = contents.licences(["click", "botocore.session", "yaml"])
    for name in ("click", "botocore", "PyYAML"):
        assert f"==== {name} ====" in texts
    assert "Apache License" in texts and "==== pytest ====" not in texts
