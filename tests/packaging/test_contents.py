"""What goes into the archive: what the plugin calls, by its own word, and nothing that it cannot reach."""

from __future__ import annotations

import contents
import pytest

from kubectl_lbdoctor.collect.aws_session import CREDENTIAL_SERVICES


def test_the_services_that_are_called() -> None:
    assert contents.aws_services() == {"elbv2", "ec2", "iam", "eks", "sts", "sso", "sso-oidc", "signin"}
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
        ("botocore/data/s3/2006-03-01/service-2.json.gz", False),
        ("botocore/cacert.pem", True),
        ("boto3/data/ec2/2016-11-15/resources-1.json", False),
        ("kubectl_lbdoctor/data/annotations.yaml", True),
        ("certifi/cacert.pem", True),
    ],
)
def test_data_files(name: str, needed: bool) -> None:
    assert contents.is_needed_data(name) is needed


def test_what_a_run_imports_stays() -> None:
    left_out = contents.excluded()
    assert "tkinter" in left_out and "botocore" not in left_out
    # This code's own imports decide; what it imports today of the candidates must stay in.
    import importlib
    import sys

    importlib.import_module("kubectl_lbdoctor.collect.kubeconfig").import_sdk()
    loaded = {name for name in contents.WHERE_NOT_IMPORTED if name in sys.modules}
    assert not loaded & set(left_out)


def test_each_package_comes_with_its_licence() -> None:
    texts = contents.licences(["click", "botocore.session", "yaml"])
    for name in ("click", "botocore", "PyYAML"):
        assert f"==== {name} ====" in texts
    assert "Apache License" in texts and "==== pytest ====" not in texts
