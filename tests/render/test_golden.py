"""What the program prints, compared with files that people have read. `UPDATE_GOLDEN=1 pytest tests/render` rewrites
them; the diff is then what a reviewer looks at.

The reports are composed here, not diagnosed: a new check must not change them, a changed renderer must.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kubectl_lbdoctor import __version__
from kubectl_lbdoctor.analysis.remediation import annotate
from kubectl_lbdoctor.model.aws import HealthCheck, LoadBalancer
from kubectl_lbdoctor.model.finding import (
    Confidence,
    Coverage,
    Denied,
    Diagnosis,
    Effect,
    Evidence,
    FailedRead,
    Finding,
    Hypothesis,
    ObjectRef,
    Severity,
)
from kubectl_lbdoctor.model.plan import Repair
from kubectl_lbdoctor.model.report import (
    CheckCounts,
    Report,
    Status,
    SubjectView,
    TargetGroupView,
    TargetView,
    UnknownCheck,
)
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.permission import Permission
from kubectl_lbdoctor.render.documents import document
from kubectl_lbdoctor.render.formats import render
from kubectl_lbdoctor.render.view import View
from tests.support.world import ALB_ARN, ALB_CHECK, GROUP_ARN, HOST, NLB_ARN, NOW, REGION

GOLDEN = Path(__file__).parent / "golden"
WEB = ObjectRef("Ingress", "shop", "web")

BALANCER = LoadBalancer(
    arn=ALB_ARN,
    name="k8s-shop-web-4ba434b31c",
    dns_name=HOST,
    type="application",
    scheme="internet-facing",
    state="active",
    zones={f"{REGION}a": "subnet-a", f"{REGION}c": "subnet-c"},
)


def target(number: int, state: str = "healthy", reason: str = "", description: str = "") -> TargetView:
    zone = f"{REGION}{'a' if number == 1 else 'c'}"
    return TargetView(
        f"10.0.{number}.34", 8080, zone, state, reason, description, f"web-abc-{number}", f"node{number}", "1/1"
    )


def group(
    *targets: TargetView, check: HealthCheck = ALB_CHECK, name: str = "k8s-shop-web-fdbb6ec3c4"
) -> TargetGroupView:
    return TargetGroupView(
        arn=GROUP_ARN,
        name=name,
        target_type="ip",
        protocol="HTTP",
        port=8080,
        health_check=check,
        namespace="shop",
        service="web",
        service_port="80",
        service_target="8080",
        targets=targets,
    )


def subject(status: Status, *groups: TargetGroupView, ref: ObjectRef = WEB) -> SubjectView:
    return SubjectView(ref, status, "alb", BALANCER, True, groups)


def report(
    status: Status, *subjects: SubjectView, diagnoses: tuple[Diagnosis, ...] = (), coverage: Coverage | None = None
) -> Report:
    failed = len(diagnoses)
    return Report(
        status=status,
        generated_at=NOW,
        context=Context("lab", "https://lab", "shop", REGION, "000000000001", "lab"),
        subjects=subjects,
        diagnoses=diagnoses,
        checks=CheckCounts(23 - failed, failed),
        coverage=coverage or Coverage(known=20),
    )


MISMATCH = ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]")
WRONG_PATH = Diagnosis(
    rank=1,
    finding=Finding(
        "LBD301",
        WEB,
        params={
            "path": "/",
            "codes": ("404",),
            "matcher": "200",
            "better": ("/healthz",),
            "witness": "readiness probe",
        },
        evidence=(
            Evidence("target group", "2 of 2 targets: Health checks failed with these codes: [404]"),
            Evidence("pods", "readinessProbe httpGet /healthz port 8080 succeeds in 2 of 2"),
        ),
        targets=("10.0.1.34:8080", "10.0.2.34:8080"),
        confirm=(f"aws elbv2 describe-target-health --target-group-arn {GROUP_ARN} --region {REGION}",),
        repairs=(Repair("/healthz", (annotate(WEB, {}, {"alb.ingress.kubernetes.io/healthcheck-path": "/healthz"}),)),),
        fix_automatic=True,
        rules_out="security groups, network ACLs, routes, the port: an HTTP server answered",
    ),
    severity=Severity.ERROR,
    title="the health-check path is answered with an unexpected code",
    message='health check path "/" is answered with 404, expected 200; "/healthz" succeeds (readiness probe)',
    affects=(WEB,),
    effects=(Effect("LBD607", "no target is healthy, so the load balancer sends traffic to all of them (fail open)"),),
    fix="healthcheck-path",
)
UNEXPLAINED = Diagnosis(
    rank=1,
    finding=Finding(
        "LBD005",
        ObjectRef("TargetGroup", "", "k8s-shop-web-fdbb6ec3c4"),
        params={"count": 1, "total": 2, "state": "unhealthy", "reasons": ("Timeout",)},
        evidence=(Evidence("target health", "unhealthy: Target.Timeout Request timed out (10.0.2.34:8080)"),),
        confidence=Confidence.POSSIBLE,
        targets=("10.0.2.34:8080",),
        hypotheses=(
            Hypothesis(
                "LBD501",
                "no security group of the target admits the load balancer on the checked port",
                ("aws ec2 describe-security-groups --group-ids sg-0123456789abcdef0 --region us-west-2",),
            ),
            Hypothesis(
                "LBD309",
                "the application answers later than the health check's timeout",
                ("kubectl run check --rm -i --restart=Never --image=curl -n shop -- curl -si http://10.0.2.34:8080/",),
            ),
        ),
        confirm=("kubectl lbdoctor probe ingress/web -n shop",),
    ),
    severity=Severity.ERROR,
    title="targets fail and no cause is proven",
    message="no cause proven: 1 of 2 targets fails its health check (Timeout)",
    affects=(WEB,),
)
BY_DESIGN = Diagnosis(
    rank=1,
    finding=Finding(
        "LBD601",
        ObjectRef("Service", "shop", "web"),
        params={"count": "1"},
        evidence=(Evidence("service/web", "externalTrafficPolicy: Local"),),
        targets=("10.0.2.34:8080",),
        advice="nothing to repair; externalTrafficPolicy Cluster makes all nodes healthy",
    ),
    severity=Severity.INFO,
    title="externalTrafficPolicy Local leaves nodes without traffic by design",
    message="1 node without a pod of the Service is unhealthy by design (externalTrafficPolicy Local)",
    affects=(WEB,),
)
API = ObjectRef("Ingress", "shop", "api")
PROBE = replace(ALB_CHECK, path="/")
TCP = HealthCheck(protocol="TCP", interval=10, timeout=10, healthy_threshold=3, unhealthy_threshold=2)

REPORTS = {
    "healthy": report(Status.HEALTHY, subject(Status.HEALTHY, group(target(1), target(2)))),
    "error": report(
        Status.UNHEALTHY,
        subject(Status.UNHEALTHY, group(target(1, *MISMATCH), target(2, *MISMATCH), check=PROBE)),
        diagnoses=(WRONG_PATH,),
    ),
    "unexplained": report(
        Status.DEGRADED,
        subject(Status.DEGRADED, group(target(1), target(2, "unhealthy", "Target.Timeout", "Request timed out"))),
        diagnoses=(UNEXPLAINED,),
    ),
    "unknown": replace(
        report(
            Status.UNKNOWN,
            SubjectView(
                WEB,
                Status.UNKNOWN,
                "alb",
                None,
                False,
                (replace(group(check=HealthCheck()), target_type="", known=False, targets=(), protocol="", port=0),),
                ("old:80",),
            ),
            coverage=Coverage(
                known=12,
                denied=(
                    Denied(
                        "elbv2:DescribeTargetHealth",
                        Permission(action="elasticloadbalancing:DescribeTargetHealth"),
                        "user dev may not",
                    ),
                    Denied("core/events", Permission(("list",), "events", namespace="shop"), "forbidden"),
                ),
                failed=(FailedRead("elbv2:DescribeListeners", "elbv2:DescribeListeners was throttled"),),
                not_asked=("core/nodes: not needed", "elbv2:DescribeRules: no credentials"),
            ),
        ),
        checks=CheckCounts(passed=10, unknown=6, skipped=4, crashed=1),
        unknown=(
            UnknownCheck(
                "LBD217",
                "the target group is empty",
                "ready endpoints are registered as targets",
                "elbv2:DescribeTargetHealth: user dev may not",
                read="elbv2:DescribeTargetHealth",
            ),
            UnknownCheck(
                "LBD106",
                "the Ingress routes to a Service that does not exist",
                "every backend Service exists",
                "KeyError: 'x'",
                True,
                "Traceback ...",
            ),
        ),
    ),
    "two-subjects": report(
        Status.UNHEALTHY,
        subject(Status.UNHEALTHY, group(target(1, *MISMATCH), target(2, *MISMATCH), check=PROBE)),
        replace(
            subject(
                Status.HEALTHY,
                group(target(1), name="k8s-shop-api-0123456789", check=TCP),
                group(
                    target(2), TargetView("i-0123456789abcdef0", 30080, "", "initial"), name="k8s-shop-api-9876543210"
                ),
                ref=API,
            ),
            load_balancer=replace(BALANCER, arn=NLB_ARN, type="network", state="provisioning"),
        ),
        diagnoses=(
            replace(WRONG_PATH, affects=(WEB, API)),
            replace(BY_DESIGN, rank=2, severity=Severity.WARNING),
        ),
    ),
    "by-design": report(
        Status.HEALTHY,
        subject(
            Status.HEALTHY,
            replace(
                group(target(1), target(2, "unhealthy", "Target.FailedHealthChecks")),
                expected_unhealthy=frozenset({"10.0.2.34:8080"}),
            ),
        ),
        diagnoses=(BY_DESIGN,),
    ),
    "many-targets": report(
        Status.DEGRADED,
        subject(
            Status.DEGRADED,
            group(*(target(n) for n in range(1, 25)), target(25, *MISMATCH), target(26, "draining")),
        ),
    ),
    "nothing-found": report(
        Status.UNKNOWN, SubjectView(WEB, Status.UNKNOWN, "", None, True, (), ("web:80",)), coverage=Coverage(known=9)
    ),
}


def shown(report: Report, view: View) -> str:
    """The screen of a report, as -o table or -o wide."""
    return render(report, "wide" if view.wide else "table", view)


VIEWS = {
    "0.txt": View(0),
    "40.txt": View(40),
    "80.txt": View(80),
    "120.txt": View(120),
    "wide.txt": View(0, wide=True),
    "colour.txt": View(120, colour=True),
}


def compare(name: str, text: str) -> None:
    text = re.sub(f'(?<=toolVersion)("?: "?){re.escape(__version__)}', r"\1VERSION", text)
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), "write it with: UPDATE_GOLDEN=1 pytest tests/render"
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", REPORTS)
def test_table(name: str, view: str) -> None:
    compare(f"{name}-{view}", shown(REPORTS[name], VIEWS[view]))


@pytest.mark.parametrize("name", REPORTS)
def test_json(name: str) -> None:
    text = render(REPORTS[name], "json")
    compare(f"{name}.json", text)
    assert json.loads(text) == document(REPORTS[name])


def test_params_stay_texts_in_the_document() -> None:
    """The contract lbdoctor/v1: amounts and lists are values in the program and texts for its readers."""
    made = document(REPORTS["error"])
    assert isinstance(made, dict)
    params = made["diagnoses"][0]["params"]
    assert params == {
        "path": "/",
        "codes": "404",
        "matcher": "200",
        "better": "/healthz",
        "witness": "readiness probe",
    }


@pytest.mark.parametrize("name", REPORTS)
def test_yaml(name: str) -> None:
    text = render(REPORTS[name], "yaml")
    compare(f"{name}.yaml", text)
    assert yaml.safe_load(text) == document(REPORTS[name])


@pytest.mark.parametrize("name", REPORTS)
def test_colour_changes_nothing_but_colour(name: str) -> None:
    plain = shown(REPORTS[name], VIEWS["120.txt"])
    assert re.sub("\x1b\\[[0-9]+m", "", shown(REPORTS[name], VIEWS["colour.txt"])) == plain


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_everything_keeps_to_the_width(name: str, width: int) -> None:
    """Every line but commands, which are copied whole, and single words that are wider than the screen."""
    for line in shown(REPORTS[name], View(width)).splitlines():
        command = re.search(r"^ .{11}(kubectl|aws) |^  kubectl ", line)
        word = line.split()[-1] if line.split() else ""
        assert len(line) <= width or command or len(word) > width // 2, line


@pytest.mark.parametrize("name", REPORTS)
def test_narrow_screens_lose_no_word(name: str) -> None:
    """Lines are broken between words only: without the breaks, the sentences of the widest screen are there."""
    sentences = [" ".join(line.split()) for line in shown(REPORTS[name], View(0)).split("\n\n")[-1].splitlines()]
    narrow = " ".join(shown(REPORTS[name], View(40)).split())
    assert [sentence for sentence in sentences if sentence not in narrow] == []


def test_no_golden_file_is_left_over() -> None:
    known = {f"{name}-{view}" for name in REPORTS for view in VIEWS}
    known |= {f"{name}.{form}" for name in REPORTS for form in ("json", "yaml")}
    # Plans and undo lists are test_plan's.
    assert {path.name for path in GOLDEN.iterdir() if not path.name.startswith(("plan-", "undo-"))} == known
