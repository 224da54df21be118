"""A target group whose target is another load balancer: what the screen and the document say of its backend."""

from __future__ import annotations

import json

from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.support import cases

CASE = "LBD301-gateway-behind-a-gateway"


def test_the_gateway_behind_is_named_as_the_backend() -> None:
    report = cases.result(CASE).report
    screen = render(report, "table", View(width=140))
    row = next(line for line in screen.splitlines() if line.startswith("k8s-shop-front-0000000402"))
    assert row.split()[1:4] == ["gateway/web:80", "alb", "0/1"]
    assert "not working: gateway/front: no target of gateway/web:80 is healthy (LBD301)" in screen


def test_the_document_names_it_apart_from_services() -> None:
    subjects = json.loads(render(cases.result(CASE).report, "json"))["subjects"]
    backends = {group["name"]: group["backend"] for subject in subjects for group in subject["targetGroups"]}
    apart = {"namespace": "shop", "service": "", "gateway": "", "ingress": "", "port": "80"}
    assert backends["k8s-shop-front-0000000402"] == {**apart, "gateway": "web"}
    assert backends["k8s-shop-web-0000000101"] == {**apart, "service": "web"}
