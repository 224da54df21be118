"""`controller`: the controllers' own page."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.errors import ExitStatus
from tests.cli.test_scan import no_controller_pod
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.json_schemas import violations
from tests.support.program import Result, run
from tests.support.shop import LONG_AGO, NS, meta


def page(cloud: Cloud, *args: str) -> Result:
    return run("controller", *args, env=cloud.env)


def own(cloud: Cloud) -> dict[str, object]:
    (found,) = [o for o in cloud.kube.objects["apps", "deployments"] if o["metadata"]["namespace"] == "kube-system"]
    return found


def test_what_runs_and_who_it_is(cloud: Cloud) -> None:
    result = page(cloud, "-o", "json")
    assert (result.status, result.json["status"]) == (ExitStatus.HEALTHY, "healthy")
    assert violations(result.json) == []
    (controller,) = result.json["controllers"]
    assert (controller["name"], controller["version"]) == ("aws-load-balancer-controller", "v2.17.1")
    assert (controller["ready"], controller["replicas"]) == (2, 2)
    assert controller["flags"] == {"cluster-name": "lab", "aws-region": "us-west-2", "ingress-class": "alb"}
    assert controller["identity"] == {"kind": "IRSA", "roleArn": "arn:aws:iam::123456789012:role/lbc"}
    assert [pod["ready"] for pod in controller["pods"]] == [True, True]
    (webhook,) = result.json["webhooks"]
    assert (webhook["readyEndpoints"], webhook["failurePolicies"]) == (2, ["Fail"])
    assert not [call for call in result.json["calls"] if ":" in call]


def test_the_screen(cloud: Cloud) -> None:
    screen = page(cloud).stdout
    assert screen.splitlines()[1].split()[:3] == ["kube-system/aws-load-balancer-controller", "2/2", "v2.17.1"]
    assert "identity  IRSA arn:aws:iam::123456789012:role/lbc (serviceaccount/" in screen
    assert screen.endswith("\nhealthy: 1 controller\n")


def leads(cloud: Cloud, renewed: str) -> None:
    """A Lease that was last renewed then."""
    name = "aws-load-balancer-controller"
    cloud.kube.objects["coordination.k8s.io", "leases"] = [
        {
            "metadata": meta(f"{name}-leader", "kube-system"),
            "spec": {"holderIdentity": f"{name}-abc-1_0f9c", "leaseDurationSeconds": 15, "renewTime": renewed},
        }
    ]


def test_which_pod_leads(cloud: Cloud) -> None:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.123456Z")
    leads(cloud, now)
    result = page(cloud, "-o", "json")
    assert (result.status, result.json["controllers"][0]["leader"]) == (
        ExitStatus.HEALTHY,
        {"known": True, "pod": "aws-load-balancer-controller-abc-1", "renewedAt": now, "lapsed": False},
    )
    assert violations(result.json) == []
    assert f"leader    aws-load-balancer-controller-abc-1, renewed at {now}" in page(cloud).stdout


def test_nobody_leads(cloud: Cloud) -> None:
    leads(cloud, LONG_AGO)
    result = page(cloud, "-o", "json")
    assert (result.status, result.codes) == (ExitStatus.FINDINGS, ["LBD136"])
    screen = " ".join(page(cloud).stdout.split())
    assert f"leader none: its Lease was last renewed at {LONG_AGO}, by aws-load-balancer-controller-abc-1;" in screen
    assert "nothing is reconciled: its Lease lapsed" in screen


def test_who_leads_may_not_be_read(cloud: Cloud) -> None:
    leads(cloud, LONG_AGO)
    cloud.kube.faults = [KubeFault("denied", group="coordination.k8s.io", resources=("leases",))]
    result = page(cloud)
    assert result.status == ExitStatus.HEALTHY, "it only sharpens"
    assert "leader    unknown: add permission get leases.coordination.k8s.io in namespace kube-system" in result.stdout


def test_no_ready_replica(cloud: Cloud) -> None:
    no_controller_pod(cloud)
    result = page(cloud, "-o", "json")
    assert (result.status, result.codes) == (ExitStatus.FINDINGS, ["LBD102"])
    assert page(cloud, "--ignore", "LBD102").status == ExitStatus.HEALTHY
    assert "LBD102 error  the controller has no ready replica: it is scaled to zero" in page(cloud).stdout


def test_what_it_is_denied_in_aws(cloud: Cloud) -> None:
    cloud.permission_denied()
    result = page(cloud, "-o", "json")
    assert (result.status, result.json["status"]) == (ExitStatus.FINDINGS, "unhealthy")
    (error,) = result.json["errors"]
    assert (error["code"], error["object"]["name"], error["over"]) == ("LBD120", "web", False)
    assert result.json["controllers"][0]["identity"]["kind"] in ("IRSA", "Pod Identity")


def test_an_object_that_it_refuses_is_not_its_own_fault(cloud: Cloud) -> None:
    cloud.group_missing()
    result = page(cloud, "-o", "json")
    assert result.status == ExitStatus.HEALTHY and len(result.json["errors"]) == 1


def test_several_controllers_of_one_class(cloud: Cloud) -> None:
    second = deepcopy(own(cloud))
    second["metadata"] |= {"namespace": "other", "uid": "second"}  # type: ignore[operator]
    cloud.kube.objects["apps", "deployments"].append(second)
    result = page(cloud, "-o", "json")
    assert (result.status, result.codes) == (ExitStatus.FINDINGS, ["LBD127"])
    assert [c["namespace"] for c in result.json["controllers"]] == ["kube-system", "other"]


def test_auto_mode_has_none_in_the_cluster(cloud: Cloud) -> None:
    cloud.kube.objects["apps", "deployments"].remove(own(cloud))
    cloud.kube.objects["admissionregistration.k8s.io", "mutatingwebhookconfigurations"].clear()
    missing = page(cloud)
    assert missing.status == ExitStatus.UNKNOWN
    assert "unknown: no AWS Load Balancer Controller runs in this cluster" in missing.stdout
    cloud.kube.objects["networking.k8s.io", "ingressclasses"][0]["spec"]["controller"] = "eks.amazonaws.com/alb"
    result = page(cloud)
    assert result.status == ExitStatus.HEALTHY and "EKS Auto Mode runs its own in AWS" in result.stdout


def test_what_may_not_be_read_is_unknown(cloud: Cloud) -> None:
    cloud.kube.faults = [KubeFault("denied", group="apps", resources=("deployments",))]
    result = page(cloud)
    assert result.status == ExitStatus.UNKNOWN and "whether a controller runs was not read" in result.stdout
    assert "LBD001 denied: list deployments.apps" in result.stdout


def test_an_event_that_cannot_be_understood_may_be_of_the_controller(cloud: Cloud) -> None:
    events = cloud.kube.objects.setdefault(("", "events"), [])
    events.append({"metadata": meta("odd"), "involvedObject": {"kind": "Ingress"}, "count": "many"})
    result = page(cloud)
    assert result.status == ExitStatus.UNKNOWN
    assert "could not be understood" in " ".join(result.stdout.split())


def test_from_a_bundle(cloud: Cloud, tmp_path: Path) -> None:
    file = str(tmp_path / "case.json.gz")
    live = page(cloud, "--save", file)
    again = run("controller", "--from", file)
    assert again.status == live.status == ExitStatus.HEALTHY
    assert again.stdout.splitlines()[:2] == live.stdout.splitlines()[:2]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"count": "x"}, 3),
        ({"involvedObject": {"kind": "Ingress", "namespace": "a::b", "name": "web"}}, 3),
        ({"involvedObject": {"kind": "Ingress", "namespace": "", "name": "web"}}, 0),
    ],
    ids=["a count that is none", "a namespace that none can be", "no namespace"],
)
def test_an_odd_event_is_counted_and_leaves_a_bundle_readable(
    cloud: Cloud, tmp_path: Path, change: dict[str, Any], status: int
) -> None:
    about = {"kind": "Ingress", "namespace": NS, "name": "web"}
    event = {"involvedObject": about, "type": "Normal", "reason": "x", "message": "x", "metadata": meta("web.1", NS)}
    cloud.kube.objects.setdefault(("", "events"), []).append({**event, **change})
    file = str(tmp_path / "bundle.json")
    page = run("controller", "--save", file, env=cloud.env)
    assert page.status == status and ("1 of 2 events could not be understood" in page.text) is (status == 3), page.text
    again = run("controller", "--from", file)
    assert again.status == page.status and ("could not be understood" in again.stdout) is (status == 3), again.text
