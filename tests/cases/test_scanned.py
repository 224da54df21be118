"""A scan reads in another way than a diagnosis of one object, less and in another order, and says the same of it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.chained_gateways import gateways_behind
from kubectl_lbdoctor.collect.sweep import SweepPlan, stages
from kubectl_lbdoctor.errors import ReadDenied
from kubectl_lbdoctor.model.objects import ObjectRef
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.report import needed_reads
from tests.support import cases, cassette, product
from tests.support.cassette_aws import ReplayAws

SPARED = {
    "LBD227-rule-made-by-hand": "healthy targets: listeners and rules are not read",
    "LBD227-wide-path-of-another-member": "healthy targets: listeners and rules are not read",
    "LBD228-listener-deleted": "healthy targets: listeners and rules are not read",
    "LBD231-tls-without-a-listener": "healthy targets: listeners and rules are not read",
    "LBD322-switched-off-in-aws": "healthy targets: attributes are not looked at",
    "LBD504-clients-not-admitted": "healthy targets: security groups of their load balancer are not looked at",
    "LBD603-alb-group-keeps-to-its-zones": "healthy targets: attributes are not looked at",
    "LBD510-default-route-to-a-nat-gateway": "healthy targets: route tables are not looked at",
    "LBD510-egress-only-for-ipv6": "healthy targets: route tables are not looked at",
    "LBD510-internet-gateway-is-gone": "healthy targets: route tables are not looked at",
    "LBD510-one-subnet-by-the-main-table": "healthy targets: route tables are not looked at",
    "LBD513-preserved-clients": "healthy targets: attributes are not looked at",
    "LBD603-one-zone-without-target": "healthy targets: attributes are not looked at",
    "denied-auto-mode-bindings": "what few calls tell looks well: more would not make it known",
    "denied-route-tables": "healthy targets: route tables are not needed",
    "denied-security-groups": "healthy targets: security groups are not needed",
}
"""Cases of which a scan says less, each with the reason (docs/how-it-decides.md, "What a scan does not look at")."""


class Aws(ReplayAws):
    """A world's AWS as a scan asks it. CloudWatch may not be asked, so that every target group is."""

    def keep_pace(self, service: str, pace: Any) -> None:
        """Nothing to spare."""

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        if service == "cloudwatch":
            raise ReadDenied("no counts were recorded", Permission(action="cloudwatch:GetMetricData"))
        params.pop("PageSize", None)
        return super().call(service, operation, result_key, **params)


class Labelled(cassette.ReplayKube):
    """Gateways that are told apart by a label."""

    def list(self, path: str, params: Any = None) -> Iterator[dict[str, Any]]:
        for raw in super().list(path, params):
            named = {"labels": {"named": raw["metadata"]["name"]}} if path.endswith("/gateways") else {}
            yield {**raw, "metadata": {**raw["metadata"], **named}}


def scanned(case: cases.Case, labels: str = "") -> product.Run | None:
    """What a scan of the case's namespace says of its subjects; None where a scan is not about one of them. labels:
    choose frontends, each of which is labelled with its name."""
    world = case.changed_world()
    kube, aws = (Labelled if labels else cassette.ReplayKube)(world), Aws(world)
    subjects = tuple(ObjectRef(*subject) for subject in product.resolved(kube, world.subjects))
    context = Context(kube_context="lab", server="https://10.0.0.1:6443", namespace=world.namespace, cluster="lab")
    asked = needed_reads(product.CATALOGUE)
    plan = SweepPlan(world.namespace, asked, context, world.clock, labels, aws_rate=10_000)
    *_, last = stages(kube, lambda _: aws, plan)
    if not {*subjects} <= {*last.snapshot.subjects}:
        return None
    # What a diagnosis adds of itself, a scan has among its frontends.
    snapshot = last.snapshot.about((*subjects, *gateways_behind(last.snapshot, subjects)))
    if case.answers:
        snapshot = product.probed(snapshot, functools.partial(cases.answer, case))
    return product.judge(snapshot)


@pytest.mark.parametrize("name", [name for name in cases.names() if not cases.load(name).known_wrong])
def test_a_scan_says_what_a_diagnosis_says(name: str) -> None:
    case = cases.load(name)
    run = scanned(case)
    if run is None:
        pytest.skip("a route, a binding of the controller's or an object of another controller: a scan is not about it")
    assert run.report.checks.crashed == 0
    assert (product.said(run) == case.expected()) is (name not in SPARED)


@pytest.mark.parametrize("name", ["LBD204-gateway-behind-a-gateway", "LBD301-gateway-behind-a-gateway"])
def test_a_gateway_behind_is_followed_though_labels_choose_the_one_before_it(name: str) -> None:
    case = cases.load(name)
    run = scanned(case, "named=front")
    assert run is not None and product.said(run) == case.expected()


@pytest.mark.parametrize("name", ["healthy-tls-ends-at-the-listener", "healthy-tls-ends-before-ingress-nginx"])
def test_a_listener_that_ends_tls_for_a_plain_port_costs_no_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    call = Aws.call

    def noted(self: Aws, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        asked.append(operation)
        return call(self, service, operation, result_key, **params)

    monkeypatch.setattr(Aws, "call", noted)
    assert scanned(cases.load(name)) is not None
    assert "DescribeTargetHealth" in asked and "DescribeListeners" not in asked
