"""`scan`: a line for each frontend, the worst first; what many share once; and how it ends."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_lbdoctor.collect import sweep
from kubectl_lbdoctor.collect.sweep import Stage, SweepPlan
from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.json_schemas import violations
from tests.support.program import Result, Terminal, run
from tests.support.shop import NS

INGRESSES = ("networking.k8s.io", "ingresses")


def scan(cloud: Cloud, *args: str, **more: Any) -> Result:
    return run("scan", *args, env=cloud.env, **more)


def rows(result: Result) -> list[tuple[str, str, str, str]]:
    """Namespace, kind, name and status of each frontend (the run needs `-o json`)."""
    return [(f["namespace"], f["kind"], f["name"], f["status"]) for f in result.json["frontends"]]


def share(cloud: Cloud, *teams: str) -> None:
    """Copies of Ingress, Service and pods of `shop` in other namespaces, behind the same load balancer. Their bindings
    fill one target group, as they may where they say so."""
    for objects in cloud.kube.objects.values():
        for raw in objects:
            if raw.get("spec", {}).get("targetGroupARN"):
                raw["spec"]["multiClusterTargetGroup"] = True
        for raw in [o for o in objects if o["metadata"].get("namespace") == NS]:
            for team in teams:
                copy = deepcopy(raw)
                copy["metadata"] |= {"namespace": team, "uid": f"{team}-{raw['metadata']['uid']}"}
                if "ingress.k8s.aws/stack-namespace" in copy["metadata"].get("labels", {}):
                    copy["metadata"]["labels"]["ingress.k8s.aws/stack-namespace"] = team
                objects.append(copy)
    cloud.kube.objects["", "namespaces"] += [{"metadata": {"name": team, "uid": team}} for team in teams]


def crash(cloud: Cloud, namespace: str) -> None:
    for raw in cloud.kube.named("pods", namespace):
        raw["status"]["containerStatuses"][0] |= {
            "ready": False,
            "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        }
        for condition in raw["status"]["conditions"]:
            condition["status"] = "True" if condition["type"] == "PodScheduled" else "False"


def no_controller_pod(cloud: Cloud) -> None:
    for raw in cloud.kube.objects["apps", "deployments"]:
        if raw["metadata"]["namespace"] == "kube-system":
            raw["spec"]["replicas"] = 0
            raw["status"] = {"replicas": 0, "observedGeneration": raw["metadata"]["generation"]}


# --- What is listed ---


def test_a_line_for_each_frontend(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = scan(cloud)
    assert result.status == ExitStatus.FINDINGS
    table = [line.split(None, 5) for line in result.stdout.splitlines()[:2]]
    assert table[0] == ["KIND", "NAME", "LOAD", "BALANCER", "HEALTHY", "STATUS   ROOT CAUSE".replace("   ", "     ")]
    assert table[1][:5] == ["Ingress", "web", "k8s-shop-web-4ba434b31c", "0/2", "unhealthy"]
    assert table[1][5].startswith('LBD301 check path "/" is answered with 404')
    assert "1 unhealthy of 1 frontend\n" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("ingress/web -n shop")


def test_the_bare_command_scans_the_current_namespace(cloud: Cloud) -> None:
    share(cloud, "team-1")
    bare, named = run(env=cloud.env), scan(cloud)
    assert (bare.status, bare.stdout) == (named.status, named.stdout) == (ExitStatus.HEALTHY, named.stdout)
    assert rows(run("-o", "json", env=cloud.env)) == [(NS, "Ingress", "web", "healthy")]
    assert rows(run("-A", "-o", "json", env=cloud.env)) == [
        (NS, "Ingress", "web", "healthy"),
        ("team-1", "Ingress", "web", "healthy"),
    ]


def test_the_worst_comes_first_and_says_why(cloud: Cloud) -> None:
    share(cloud, "team-1", "team-2")
    crash(cloud, "team-2")
    result = scan(cloud, "-A", "-o", "json")
    assert [row[0] for row in rows(result)] == ["team-2", NS, "team-1"]
    first = result.json["frontends"][0]
    assert first["rootCause"]["code"] == "LBD403" and first["status"] in ("degraded", "unhealthy")
    ranks = {d["rank"]: d["code"] for d in result.json["diagnoses"]}
    assert "LBD403" in [ranks[rank] for rank in first["causes"]]
    assert all(frontend["rootCause"] is None for frontend in result.json["frontends"][1:])


def test_the_ingresses_of_a_group_are_one_line(cloud: Cloud) -> None:
    cloud.in_group()
    share(cloud, "team-1")
    alone = scan(cloud, "-o", "json")
    assert rows(alone) == [(NS, "Ingress", "web", "healthy")]
    result = scan(cloud, "-A", "-o", "json")
    assert rows(result) == [("", "IngressGroup", "front", "healthy")]
    assert [ref["namespace"] for ref in result.json["frontends"][0]["objects"]] == [NS, "team-1"]
    assert result.json["frontends"][0]["targets"] == {"healthy": 2, "total": 2}
    assert "<2 namespaces>  IngressGroup  front" in scan(cloud, "-A").stdout


def test_a_group_is_one_picture(cloud: Cloud) -> None:
    """With all of its members, as a scan has one line for it; a diagnosis of one member is about that one."""
    cloud.in_group()
    share(cloud, "team-1")
    cloud.wrong_path()
    page = scan(cloud, "-A", "-o", "html").stdout
    assert page.count('class="diagram') == 1 and "IngressGroup front" in page
    assert "<title>all namespaces: 1 not working</title>" in page
    graph = scan(cloud, "-A", "-o", "mermaid").stdout
    assert "subgraph" not in graph and graph.count("<br>object<br>ingress/web") == 2
    assert graph.count("<br>made by<br>") == 1 and graph.count("<br>load balancer<br>") == 1
    alone = run("ing/web", "-o", "mermaid", env=cloud.env).stdout
    assert alone.count("<br>object<br>ingress/web") == 1


def test_members_of_several_namespaces_are_told_apart(cloud: Cloud) -> None:
    cloud.in_group()
    share(cloud, "team-1")
    cloud.wrong_path()
    page = scan(cloud, "-A", "-o", "html").stdout
    assert "ingress/web in namespace team-1: no target of web:80 is healthy" in page
    assert f"ingress/web in namespace {NS}: no target of web:80 is healthy" in page
    assert 'role="region"' not in page  # The same targets twice: landmarks of one name (axe-core: landmark-unique).
    assert ">team-1/web:80<" in page and f">{NS}/web:80<" in page
    graph = scan(cloud, "-A", "-o", "mermaid").stdout
    assert f"<br>object<br>ingress/web in namespace {NS}" in graph
    assert "<br>object<br>ingress/web in namespace team-1" in graph
    assert "in namespace" not in run("ing/web", "-o", "mermaid", env=cloud.env).stdout


def test_many_members_of_a_group_are_counted(cloud: Cloud) -> None:
    cloud.in_group()
    share(cloud, *(f"team-{number}" for number in range(9)))
    graph = scan(cloud, "-A", "-o", "mermaid").stdout
    assert graph.count("<br>object<br>ingress/web") == 8 and "<br>object<br>2 more objects" in graph


def test_bindings_that_people_made_are_frontends(cloud: Cloud) -> None:
    binding = cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]
    own = deepcopy(binding)
    own["metadata"] |= {"name": "by-hand", "uid": "by-hand", "labels": {}}
    cloud.kube.objects["elbv2.k8s.aws", "targetgroupbindings"].append(own)
    assert sorted(row[:3] for row in rows(scan(cloud, "-o", "json"))) == [
        (NS, "Ingress", "web"),
        (NS, "TargetGroupBinding", "by-hand"),
    ]


def test_objects_of_other_controllers_are_left_out_and_counted(cloud: Cloud) -> None:
    other = deepcopy(cloud.kube.named("ingresses", group="networking.k8s.io")[0])
    other["metadata"] |= {"name": "inside", "uid": "inside"}
    other["spec"]["ingressClassName"] = "nginx"
    cloud.kube.objects[INGRESSES].append(other)
    nginx = deepcopy(cloud.kube.objects["networking.k8s.io", "ingressclasses"][0])
    nginx["metadata"] |= {"name": "nginx", "uid": "nginx"}
    nginx["spec"] = {"controller": "k8s.io/ingress-nginx"}
    cloud.kube.objects["networking.k8s.io", "ingressclasses"].append(nginx)
    result = scan(cloud, "-o", "json")
    assert rows(result) == [(NS, "Ingress", "web", "healthy")]
    assert result.json["leftOut"] == [{"kind": "Ingress", "namespace": NS, "name": "inside"}]
    assert "left out: 1 object of other controllers (shop/inside)\n" in scan(cloud).stdout


def test_what_many_share_is_said_once(cloud: Cloud) -> None:
    share(cloud, "team-1", "team-2")
    no_controller_pod(cloud)
    screen = scan(cloud, "-A").stdout
    assert screen.count("the controller has no ready replica") == 1
    assert screen.count("LBD102 see below (3 share it)") == 3
    assert "  affects   3 of 3: shop/web, team-1/web, team-2/web\n" in screen
    assert [line for line in screen.splitlines() if line.startswith("  more ") and line.endswith(" controller")]
    diagnoses = scan(cloud, "-A", "-o", "json").json["diagnoses"]
    assert [(d["code"], len(d["affects"])) for d in diagnoses if d["code"] == "LBD102"] == [("LBD102", 3)]


def test_labels_select(cloud: Cloud) -> None:
    assert rows(scan(cloud, "-l", "app=web", "-o", "json")) in ([], [(NS, "Ingress", "web", "healthy")])
    cloud.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["labels"] = {"team": "shop"}
    assert rows(scan(cloud, "-l", "team=shop", "-o", "json")) == [(NS, "Ingress", "web", "healthy")]
    assert rows(scan(cloud, "-l", "team=other", "-o", "json")) == []
    wrong = scan(cloud, "-l", "a=(")
    assert wrong.status == ExitStatus.USAGE and "error: -l a=(" in wrong.stderr


# --- Nothing there ---


def test_an_empty_namespace_says_so_and_what_to_type(cloud: Cloud) -> None:
    cloud.kube.objects["", "namespaces"].append({"metadata": {"name": "empty", "uid": "empty"}})
    result = scan(cloud, "-n", "empty")
    assert result.status == ExitStatus.HEALTHY
    assert result.stdout.startswith("nothing to diagnose in namespace empty: no Ingress, no Service of type")
    assert [line for line in result.stdout.splitlines() if line.endswith(" scan -A")]


def test_a_namespace_that_may_not_be_read_is_no_empty_one(cloud: Cloud) -> None:
    cloud.kube.faults = [KubeFault("denied")]
    result = scan(cloud)
    assert result.status == ExitStatus.UNKNOWN
    assert result.stdout.startswith("nothing is known in namespace shop: not everything could be read")
    assert "no Ingress" not in result.stdout
    cloud.kube.faults = []
    assert "no Ingress" in scan(cloud, "-n", "kube-system", "--no-aws").stdout


def test_the_command_for_all_namespaces_keeps_the_labels(cloud: Cloud) -> None:
    lines = scan(cloud, "-l", "team in (shop,pay)").stdout.splitlines()
    (command,) = [line for line in lines if line.startswith("all namespaces: ")]
    assert command.endswith(" scan -A -l 'team in (shop,pay)'")


@pytest.mark.parametrize(
    ("words", "instead"),
    [(("web",), "ing/web"), (("ing/web",), "ing/web"), (("svc", "web"), "svc web"), (("-A", "web"), "ing/web")],
)
def test_a_scan_takes_no_name(words: tuple[str, ...], instead: str) -> None:
    result = run("scan", *words)
    assert result.status == ExitStatus.USAGE
    assert result.stderr.startswith("error: a scan looks at all frontends and takes no name: ")
    assert f"one object is diagnosed with kubectl lbdoctor {instead}, " in result.stderr


def test_a_namespace_that_does_not_exist_is_no_empty_one(cloud: Cloud) -> None:
    result = scan(cloud, "-n", "nowhere")
    assert (result.status, result.stdout) == (ExitStatus.COULD_NOT_RUN, "")
    assert 'there is no namespace "nowhere"' in result.stderr
    cloud.kube.faults = [KubeFault("denied", resources=("namespaces",))]
    assert scan(cloud, "-n", "nowhere").status in (ExitStatus.HEALTHY, ExitStatus.UNKNOWN)


# --- How it ends ---


def test_what_was_not_asked_is_unknown(cloud: Cloud) -> None:
    result = scan(cloud, "--no-aws", "-o", "json")
    assert (result.status, rows(result)) == (ExitStatus.UNKNOWN, [(NS, "Ingress", "web", "unknown")])
    assert result.json["coverage"]["notAsked"] and violations(result.json) == []


def test_a_denied_namespace_does_not_spoil_the_others(cloud: Cloud) -> None:
    share(cloud, "team-1")
    cloud.kube.faults = [KubeFault("denied", resources=("pods",), where=lambda namespace: namespace in ("", "team-1"))]
    result = scan(cloud, "-A", "-o", "json")
    assert result.status == ExitStatus.UNKNOWN
    assert rows(result) == [("team-1", "Ingress", "web", "unknown"), (NS, "Ingress", "web", "healthy")]


def test_fail_on(cloud: Cloud) -> None:
    cloud.aws.health[0].state = "unhealthy"
    assert scan(cloud, "--fail-on", "degraded").status == ExitStatus.FINDINGS


def two_stages(monkeypatch: pytest.MonkeyPatch, plans: list[SweepPlan], end: BaseException | None = None) -> None:
    """The real stages, of which the first is given as one that is not the last; then the others, or this end."""
    real = sweep.stages

    def stages(kube: Any, open_aws: Any, plan: SweepPlan, tell: Any = lambda _: None) -> Iterator[Stage]:
        plans.append(plan)
        *_, last = real(kube, open_aws, plan, tell)
        yield Stage(last.snapshot, last.progress, done=False)
        if end is not None:
            raise end
        yield last

    monkeypatch.setattr("kubectl_lbdoctor.commands.cluster_scan.stages", stages)


def test_interrupted_with_what_is_known_so_far(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    two_stages(monkeypatch, [], KeyboardInterrupt())
    result = scan(cloud)
    assert result.status == ExitStatus.INTERRUPTED and result.stderr == "interrupted\n"
    assert "Ingress  web" in result.stdout and "not complete" in result.stdout
    document = scan(cloud, "-o", "json").json
    assert (document["complete"], document["status"], document["exitCode"]) == (False, "unknown", 130)
    assert "so far" in document["summary"]


class Reader(io.StringIO):
    """What reads stdout as it comes: at each flush, what has come so far."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.has_seen = threading.Event()

    def flush(self) -> None:
        if not self.closed:
            self.seen.append(self.getvalue())
            self.has_seen.set()


def begun(text: str) -> list[tuple[str, str, str]]:
    """The complete frontends under `soFar` of a document that is not at its end."""
    decoder, found = json.JSONDecoder(), []
    place = text.index('"soFar": [') + len('"soFar": [')
    while (start := text.find("{", place)) >= 0:
        item, place = decoder.raw_decode(text, start)
        found.append((item["namespace"], item["name"], item["status"]))
    return found


@pytest.fixture
def second_group(cloud: Cloud) -> Iterator[str]:
    """ARN of a target group that a binding of people names."""
    elb = cloud.aws.client("elbv2")
    vpc = elb.describe_target_groups()["TargetGroups"][0]["VpcId"]
    more = {"Protocol": "HTTP", "Port": 8080, "VpcId": vpc, "TargetType": "ip"}
    arn = elb.create_target_group(Name="by-hand", **more)["TargetGroups"][0]["TargetGroupArn"]
    binding = deepcopy(cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0])
    binding["metadata"] |= {"name": "by-hand", "uid": "by-hand", "labels": {}}
    binding["spec"]["targetGroupARN"] = arn
    cloud.kube.objects["elbv2.k8s.aws", "targetgroupbindings"].append(binding)
    yield arn
    elb.delete_target_group(TargetGroupArn=arn)


def test_json_is_written_while_target_groups_are_being_asked(
    cloud: Cloud, second_group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS tells nothing of a second target group before somebody has read what it told of the first one."""
    monkeypatch.setattr(sweep, "STAGE_SECONDS", 0.0)
    cloud.wrong_path()
    reader = Reader()
    late = iter((False, True))

    def hold(action: str) -> None:
        if action == "DescribeTargetHealth" and next(late):
            assert reader.has_seen.wait(20), "nothing was written before the last group was asked"

    cloud.aws.acted = hold
    result = scan(cloud, "-o", "json", stdout=reader)
    ((_, first, status),) = begun(reader.seen[0])
    assert first in ("web", "by-hand") and status == "unhealthy" and not reader.seen[0].endswith("}\n")
    document = result.json
    told = [row["name"] for row in document["soFar"]]
    assert told[0] == first and sorted(told) == ["by-hand", "web"]
    assert {row["name"] for row in document["frontends"]} == {"web", "by-hand"} and document["complete"]


def test_a_document_that_streams_says_the_same(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    two_stages(monkeypatch, [])
    share(cloud, "team-1")
    cloud.wrong_path()
    streamed = scan(cloud, "-A", "-o", "json").json
    whole = yaml.safe_load(scan(cloud, "-A", "-o", "yaml").stdout)
    assert [row["name"] for row in streamed["soFar"]] == ["web", "web"] and whole["soFar"] == []
    of_the_run = {"soFar": None, "calls": None, "durationMs": None}
    assert {**streamed, **of_the_run} == {**whole, **of_the_run}


def test_interrupted_after_a_part_was_written(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    two_stages(monkeypatch, [], KeyboardInterrupt())
    cloud.wrong_path()
    result = scan(cloud, "-o", "json")
    assert (result.json["complete"], result.json["exitCode"], result.status) == (False, 130, 130)
    assert [row["status"] for row in result.json["soFar"]] == ["unhealthy"]


def test_interrupted_before_anything_is_known(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def stages(*args: Any) -> Iterator[Stage]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("kubectl_lbdoctor.commands.cluster_scan.stages", stages)
    result = scan(cloud)
    assert (result.status, result.stdout, result.stderr) == (ExitStatus.INTERRUPTED, "", "interrupted\n")


def test_the_first_screen_is_replaced_on_a_terminal(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    two_stages(monkeypatch, [])
    screens = scan(cloud, stdout=Terminal(), width=100).stdout.split("\x1b[J")
    assert len(screens) == 2 and "not complete" in screens[0] and "not complete" not in screens[1]
    assert scan(cloud).stdout.count("Ingress  web") == 1


def test_how_far_it_is_counts_one_object_in_the_singular(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("kubectl_lbdoctor.env.Environment.progress", lambda env, text: told.append(text))
    scan(cloud)
    assert any(text.startswith("1 object, target groups: ") for text in told), told


def test_the_pace_reaches_the_reads(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[SweepPlan] = []
    two_stages(monkeypatch, plans)
    scan(cloud, "-A", "--aws-rate", "2.5", "--no-cloudwatch", "-l", "app=web")
    scan(cloud)
    assert [(p.namespace, p.aws_rate, p.counts, p.labels) for p in plans] == [
        ("", 2.5, False, "app=web"),
        (NS, 5.0, True, ""),
    ]


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "nan", "inf"])
def test_a_pace_that_is_none(cloud: Cloud, rate: str) -> None:
    result = scan(cloud, "--aws-rate", rate)
    assert result.status == ExitStatus.USAGE and "--aws-rate wants calls in a second" in result.stderr


# --- Formats ---


def test_names_of_what_needs_attention(cloud: Cloud) -> None:
    assert scan(cloud, "-o", "name").stdout == ""
    cloud.wrong_path()
    assert scan(cloud, "-o", "name").stdout == "ingress.networking.k8s.io/web\n"


def test_the_document_fits_its_schema(cloud: Cloud) -> None:
    share(cloud, "team-1")
    cloud.wrong_path()
    for args in (("-A",), ("-A", "--ignore", "LBD3"), ("--no-aws",), ("-n", "kube-system")):
        assert violations(scan(cloud, *args, "-o", "json").json) == []


def test_a_bundle_is_scanned_without_a_cluster(cloud: Cloud, tmp_path: Path) -> None:
    share(cloud, "team-1")
    crash(cloud, "team-1")
    file = tmp_path / "all.json.gz"
    live = scan(cloud, "-A", "-o", "json", "--save", str(file))
    again = run("scan", "--from", str(file), "-o", "json")
    assert (again.status, rows(again)) == (live.status, rows(live))
    assert [row[0] for row in rows(run("scan", "--from", str(file), "-n", NS, "-o", "json"))] == [NS]
    assert run("scan", "--from", str(file), "-l", "app=web").status == ExitStatus.COULD_NOT_RUN


# --- What is ignored ---


def annotate(raw: dict[str, Any], codes: str) -> None:
    raw["metadata"].setdefault("annotations", {})["lbdoctor.io/ignore"] = codes


def test_an_ignored_error_makes_no_failing_target_healthy(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = scan(cloud, "--ignore", "LBD301", "-o", "json")
    assert (result.status, rows(result)) == (ExitStatus.FINDINGS, [(NS, "Ingress", "web", "unhealthy")])
    assert result.json["diagnoses"] == []
    assert [(i["code"], i["by"]) for i in result.json["ignored"]] == [("LBD301", "--ignore")]
    screen = scan(cloud, "--ignore", "LBD301").stdout
    assert "unhealthy  ignored: LBD301" in screen and "ignored: 1 finding (LBD301), by --ignore\n" in screen


def test_an_annotation_ignores_for_its_object_alone(cloud: Cloud) -> None:
    share(cloud, "team-1", "team-2")
    no_controller_pod(cloud)
    web = next(raw for raw in cloud.kube.objects[INGRESSES] if raw["metadata"]["namespace"] == "team-1")
    annotate(web, "LBD6, lbd102")
    result = scan(cloud, "-A", "-o", "json")
    assert {row[0]: row[3] for row in rows(result)} == {NS: "degraded", "team-1": "healthy", "team-2": "degraded"}
    assert [d["code"] for d in result.json["diagnoses"]] == ["LBD102"]
    assert [ref["namespace"] for ref in result.json["diagnoses"][0]["affects"]] == [NS, "team-2"]
    (ignored,) = result.json["ignored"]
    assert ignored["by"] == "lbdoctor.io/ignore on ingress/web -n team-1"
    for raw in cloud.kube.objects[INGRESSES]:
        annotate(raw, "LBD102")
    assert scan(cloud, "-A").status == ExitStatus.HEALTHY


def test_an_annotation_on_the_object_of_a_finding(cloud: Cloud) -> None:
    cloud.wrong_port()
    before = run("ing/web", "-o", "json", env=cloud.env)
    code, about = before.json["diagnoses"][0]["code"], before.json["diagnoses"][0]["object"]
    assert about["kind"] == "Service"
    annotate(cloud.kube.named("services")[0], code)
    for result in (run("ing/web", "-o", "json", env=cloud.env), scan(cloud, "-o", "json")):
        assert code not in result.codes and [i["code"] for i in result.json["ignored"]] == [code]
        assert violations(result.json) == []
    assert f"ignored: 1 finding ({code}), by lbdoctor.io/ignore on service/web" in run("ing/web", env=cloud.env).stdout


@pytest.mark.parametrize("codes", ["LBD999", "LBD", "web", "", "LBD3,,LBD4", "*"])
def test_codes_that_are_none(cloud: Cloud, codes: str) -> None:
    result = scan(cloud, "--ignore", codes)
    assert result.status == ExitStatus.USAGE and "no code begins with" in result.stderr


def test_an_annotation_that_names_no_code_ignores_nothing(cloud: Cloud) -> None:
    cloud.wrong_path()
    annotate(cloud.kube.named("ingresses", group="networking.k8s.io")[0], "LBD, *, all,,")
    result = scan(cloud, "-o", "json")
    assert (result.codes, result.json["ignored"]) == (["LBD301"], [])
