"""Every read that a check declares is really made: a fact that is never asked for would keep its check unknown."""

from __future__ import annotations

from datetime import datetime, timezone

from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.report import needed_reads
from tests.support import health_logs
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import run

LOGGED = datetime(2026, 11, 23, 11, 50, tzinfo=timezone.utc)


def test_every_declared_read_is_made(logged: Cloud) -> None:
    """In a world that needs them all: an IngressGroup, a controller without permission and without a security group, a
    missing Service, a run without bindings (whose tags are then asked for)."""
    cloud = logged
    health_logs.write(cloud.aws, LOGGED, [health_logs.line(LOGGED, "TargetError 502")])
    cloud.in_group()
    cloud.permission_denied()
    cloud.group_missing()
    run("ing", "web", env=cloud.env)
    asked = list(cloud.kube.asked)
    services = cloud.kube.objects["", "services"]
    cloud.kube.objects["", "services"] = []
    run("ing", "web", env=cloud.env)  # A backend that is missing is looked for in all namespaces.
    asked += cloud.kube.asked
    cloud.kube.objects["", "services"] = services
    cloud.kube.faults = [KubeFault.of(reads.BINDINGS, "denied")]
    run("ing", "web", env=cloud.env)
    cloud.kube.faults = []
    cloud.wrong_path()
    cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]["metadata"]["labels"] = {}
    run("tgb", "--since", "3h", env=cloud.env)
    declared = needed_reads(CATALOGUE)
    # What is read for a Gateway alone has tests of its own (tests/cli/test_gateways.py).
    declared -= {name for name, read in reads.KUBE.items() if read.scope is reads.Scope.GATEWAY}
    of_kube = {read for read in declared if read in reads.KUBE}
    made = {read for read in of_kube if any(KubeFault.of(read, "denied").hits(one) for one in asked)}
    assert of_kube - made == set()
    assert {read for read in declared - of_kube if reads.iam_action(read) not in cloud.aws.asked} == set()
