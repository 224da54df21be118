"""`--fix` and `undo` as a shell sees them, against servers that follow what is patched."""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_lbdoctor.fix.writers import paths_of
from tests.support import cases, undo_files
from tests.support.api_requests import Asked
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Clock, Result, Terminal, run
from tests.support.shop import NS, Raw

ING = ("ing", "web", "-n", NS)
PATH = "alb.ingress.kubernetes.io/healthcheck-path"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Undo files go into the current directory."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def broken(cloud: Cloud) -> Cloud:
    cloud.wrong_port()
    return cloud


def service(cloud: Cloud) -> Raw:
    return cloud.kube.named("services")[0]


def target_port(cloud: Cloud) -> Any:
    return service(cloud)["spec"]["ports"][0]["targetPort"]


def writes(cloud: Cloud) -> list[Asked]:
    return [a for a in cloud.kube.asked if a.verb == "patch" and "dryRun" not in a.query]


def fix(cloud: Cloud, *args: str, **more: Any) -> Result:
    return run("--fix", *args, env=cloud.env, **more)


def lbdoctor(cloud: Cloud) -> str:
    """How a printed command calls the plugin, led to the same cluster."""
    return f"kubectl lbdoctor --kubeconfig {cloud.kubeconfig}"


def undo_file() -> Path:
    (found,) = Path().glob("lbdoctor-undo-*.json")
    return found


def unchanged(cloud: Cloud) -> None:
    assert writes(cloud) == [] and list(Path().iterdir()) == []


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_fix_waits_verifies_and_leaves_an_undo_file(broken: Cloud) -> None:
    before = json.dumps(service(broken)["spec"], sort_keys=True)
    result = fix(broken, "targetport", *ING, "--yes")
    assert result.status == 0, result.text
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["#", "OBJECT", "FIELD", "NOW", "THEN", "WHY", "RISK"]
    assert "spec.ports[port=80].targetPort" in lines[1] and "9090  8080" in lines[1]
    assert lines[2].startswith(f"   kubectl --kubeconfig {broken.kubeconfig} patch service/web --type=json -p '[")
    assert "verified  LBD307 is gone, ingress/web is healthy" in lines
    assert target_port(broken) == 8080 and len(writes(broken)) == 1
    assert writes(broken)[0].query == {"fieldManager": "kubectl-lbdoctor"}
    file = undo_file()
    assert file.stat().st_mode & 0o777 == 0o600
    back = run("undo", str(file), "--yes", env=broken.env)
    assert back.status == 0 and "undone" in back.stdout, back.text
    assert json.dumps(service(broken)["spec"], sort_keys=True) == before
    again = run("undo", str(file), "--yes", env=broken.env)
    assert again.status == 0 and "nothing is left to take back: it was undone" in again.stderr, again.text
    assert len(writes(broken)) == 2


def test_every_write_is_rehearsed_first(broken: Cloud) -> None:
    assert fix(broken, "targetport", *ING, "--yes").status == 0
    patches = [a for a in broken.kube.asked if a.verb == "patch"]
    assert [a.query.get("dryRun", "") for a in patches] == ["All", ""]


def test_the_whole_namespace(broken: Cloud) -> None:
    result = fix(broken, "targetport", "-n", NS, "--yes")
    assert result.status == 0 and "looked at 1 object of namespace shop" in result.stderr, result.text
    assert target_port(broken) == 8080


def test_the_namespace_leaves_objects_of_other_controllers_alone(broken: Cloud) -> None:
    classes = broken.kube.objects["networking.k8s.io", "ingressclasses"]
    classes.append({"metadata": {"name": "nginx", "uid": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}})
    other = json.loads(json.dumps(broken.kube.named("ingresses", group="networking.k8s.io")[0]))
    other["metadata"].update(name="other", uid="other")
    other["spec"]["ingressClassName"] = "nginx"
    broken.kube.objects["networking.k8s.io", "ingresses"].append(other)
    result = fix(broken, "ingress-class,targetport", "-n", NS, "--yes")
    assert "looked at 1 object of namespace shop" in result.stderr, result.text
    assert [a.resource for a in writes(broken)] == ["services"]


def test_fix_of_a_healthy_object_is_nothing_to_do(cloud: Cloud) -> None:
    result = fix(cloud, "targetport", *ING, "--yes")
    assert result.status == 0 and "nothing was changed; ingress/web is healthy" in result.stderr, result.text
    unchanged(cloud)


def test_flags_before_and_after_the_command(broken: Cloud) -> None:
    result = run("ing", "web", "--fix", "targetport", "-n", NS, "--dry-run=client", env=broken.env)
    assert result.status == 0 and "targetPort" in result.stdout, result.text
    unchanged(broken)


def test_the_document(broken: Cloud) -> None:
    result = fix(broken, "targetport", *ING, "--yes", "-o", "json")
    document = result.json
    assert (document["kind"], document["status"], document["apiVersion"]) == ("FixResult", "healthy", "lbdoctor/v1")
    (step,) = document["steps"]
    assert (step["state"], step["now"], step["then"]) == ("applied", "9090", "8080")
    assert document["gone"] == ["LBD307"] and document["undoFile"] == str(undo_file())
    assert "applied   service/web" in result.stderr
    undone = run("undo", document["undoFile"], "--yes", "-o", "yaml", env=broken.env)
    assert yaml.safe_load(undone.stdout)["kind"] == "UndoResult"
    assert yaml.safe_load(undone.stdout)["status"] == "undone"


def test_names_of_what_is_changed(broken: Cloud) -> None:
    assert fix(broken, "targetport", *ING, "--dry-run=client", "-o", "name").stdout == "service/web\n"


def test_an_annotation_is_added_where_there_are_none(cloud: Cloud) -> None:
    cloud.wrong_path()
    ingress = cloud.kube.named("ingresses", group="networking.k8s.io")[0]
    # The target type has to come from somewhere else, or the fixture is another fault.
    cloud.kube.objects["elbv2.k8s.aws", "ingressclassparams"].append(
        {"metadata": {"name": "alb", "uid": "p"}, "spec": {"targetType": "ip"}}
    )
    parameters = {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "alb"}
    cloud.kube.objects["networking.k8s.io", "ingressclasses"][0]["spec"]["parameters"] = parameters
    del ingress["metadata"]["annotations"]

    def follow(asked: Asked, raw: Raw) -> None:
        cloud.aws.check_path(raw["metadata"]["annotations"].get(PATH, "/"))
        for target in cloud.aws.health:
            target.state, target.reason, target.description = "healthy", "", ""

    cloud.kube.written = follow
    result = fix(cloud, "healthcheck-path", *ING, "--yes")
    assert result.status == 0, result.text
    assert ingress["metadata"]["annotations"] == {PATH: "/healthz"}
    assert run("undo", str(undo_file()), "--yes", env=cloud.env).status == 0
    assert ingress["metadata"]["annotations"] == {}


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_wait_follows_the_targets(broken: Cloud) -> None:
    broken.kube.written = lambda asked, raw: None

    def ticks(now: float) -> None:
        if now >= 8:
            broken._serve(8080)

    result = fix(broken, "targetport", *ING, "--yes", clock=Clock(ticks))
    assert result.status == 0 and "2/2 healthy after 8s" in result.stdout, result.text
    assert "0/2 healthy (2 unhealthy)  0s" in result.stderr


def test_not_healthy_at_the_deadline(broken: Cloud) -> None:
    broken.kube.written = lambda asked, raw: None
    clock = Clock()
    result = fix(broken, "targetport", *ING, "--yes", "--wait", "30s", clock=clock)
    assert result.status == 1, result.text
    assert "not fixed" in result.stdout and f"take the change back with: {lbdoctor(broken)} undo" in result.stderr
    assert 30 <= clock.now < 36
    health = sum(1 for action in broken.aws.asked if action.endswith("DescribeTargetHealth"))
    assert health <= 25, "a round is one call per target group"


def test_the_default_wait_is_bounded(broken: Cloud) -> None:
    broken.kube.written = lambda asked, raw: None
    clock = Clock()
    assert fix(broken, "targetport", *ING, "--yes", clock=clock).status == 1
    assert 60 <= clock.now <= 180


def test_wait_zero_does_not_wait(broken: Cloud) -> None:
    clock = Clock()
    result = fix(broken, "targetport", *ING, "--yes", "--wait", "0", clock=clock)
    assert result.status == 3 and clock.now == 0 and target_port(broken) == 8080, result.text


@pytest.mark.parametrize("wait", ["soon", "-1", "5x", "²"])
def test_a_wait_that_is_no_time(broken: Cloud, wait: str) -> None:
    assert fix(broken, "targetport", *ING, "--yes", f"--wait={wait}").status == 2
    unchanged(broken)


def test_interrupted_while_waiting(broken: Cloud) -> None:
    broken.kube.written = lambda asked, raw: None

    def ticks(now: float) -> None:
        raise KeyboardInterrupt

    result = fix(broken, "targetport", *ING, "--yes", clock=Clock(ticks))
    assert result.status == 130, result.text
    told = f"interrupted; 1 change is made. Take back with: {lbdoctor(broken)} undo lbdoctor-undo-"
    assert told in result.stderr, result.text
    assert run("undo", str(undo_file()), "--yes", env=broken.env).status == 0
    assert target_port(broken) == 9090


def test_without_aws_health_is_not_claimed(cloud: Cloud) -> None:
    service(cloud)["spec"]["ports"][0]["targetPort"] = "web"
    piece = cloud.kube.named("endpointslices", group="discovery.k8s.io")[0]
    whole = json.loads(json.dumps(piece))
    piece.update(endpoints=[], ports=[])
    cloud.kube.written = lambda asked, raw: piece.update(whole)
    result = fix(cloud, "targetport", *ING, "--yes", "--no-aws")
    assert result.status == 3, result.text
    assert "LBD203 is gone" in result.stdout and "not known" in result.stdout


# --- refusals: nothing is changed -------------------------------------------------------------------------------------


def test_without_a_terminal(broken: Cloud) -> None:
    result = fix(broken, "targetport", *ING)
    assert result.status == 2 and "--yes" in result.stderr and "targetPort" in result.stdout, result.text
    unchanged(broken)


@pytest.mark.parametrize("typed", ["n\n", "\n", "", "yep\n"])
def test_no_is_no(broken: Cloud, typed: str) -> None:
    result = fix(broken, "targetport", *ING, stdin=Terminal(typed))
    assert result.status == 1 and "Apply 1 change in context lab? [y/N]: " in result.stderr, result.text
    unchanged(broken)


def test_yes_is_yes(broken: Cloud) -> None:
    assert fix(broken, "targetport", *ING, stdin=Terminal("y\n")).status == 0


def test_interrupted_at_the_question(broken: Cloud) -> None:
    class Gone(Terminal):
        def readline(self, *args: Any) -> str:
            raise KeyboardInterrupt

    result = fix(broken, "targetport", *ING, stdin=Gone())
    assert result.status == 130 and "nothing was changed" in result.stderr, result.text
    unchanged(broken)


@pytest.mark.parametrize("name", ["target-port", "LBD999", "LBD402", "", "all=8080", "targetport,nope"])
def test_wrong_names(broken: Cloud, name: str) -> None:
    result = fix(broken, name, *ING, "--yes")
    assert result.status == 2, result.text
    unchanged(broken)


def test_a_fix_for_another_fault(broken: Cloud) -> None:
    result = fix(broken, "selector", *ING, "--yes")
    assert result.status == 1 and "targetport (LBD307)" in result.stdout, result.text
    unchanged(broken)


def two_ports(cloud: Cloud) -> None:
    for raw in cloud.kube.named("pods"):
        container = raw["spec"]["containers"][0]
        container["ports"].append({"containerPort": 8443, "name": "tls", "protocol": "TCP"})
        container.pop("readinessProbe")


def test_several_values_are_a_choice(broken: Cloud) -> None:
    two_ports(broken)
    result = fix(broken, "targetport", *ING, "--yes", "--probe", "off")
    assert result.status == 1, result.text
    assert "--fix targetport=8080" in result.stdout and "--fix targetport=8443" in result.stdout
    unchanged(broken)
    assert fix(broken, "targetport=8080", *ING, "--yes", "--probe", "off").status == 0
    assert target_port(broken) == 8080


@pytest.mark.parametrize("mode", ["client", "server"])
def test_dry_run(broken: Cloud, mode: str) -> None:
    result = fix(broken, "targetport", *ING, f"--dry-run={mode}", "-o", "json")
    assert result.status == 0 and result.json["kind"] == "FixPlan", result.text
    rehearsed = [a for a in broken.kube.asked if a.verb == "patch"]
    assert len(rehearsed) == (mode == "server") and target_port(broken) == 9090
    unchanged(broken)


def test_denied_writes(broken: Cloud) -> None:
    broken.kube.faults = [KubeFault("denied", "", ("services",), verbs=("patch",))]
    result = fix(broken, "targetport", *ING, "--yes")
    assert result.status == 4 and "patch services in namespace shop" in result.stderr, result.text
    assert "nothing was changed" in result.stderr
    unchanged(broken)


def test_an_admission_webhook_says_no(broken: Cloud) -> None:
    broken.kube.webhook = lambda raw: "ports are frozen"
    result = fix(broken, "targetport", *ING, "--yes")
    assert result.status == 4 and "ports are frozen" in result.stderr, result.text
    unchanged(broken)


def test_an_object_that_moves_on_before_the_write(broken: Cloud) -> None:
    """Somebody else sets another port between the rehearsal and the write."""
    broken.kube.before_write = lambda asked: service(broken)["spec"]["ports"][0].update(targetPort=8081)
    result = fix(broken, "targetport", *ING, "--yes")
    assert result.status == 1 and target_port(broken) == 8081, result.text
    assert "nothing was changed" in result.stderr and list(Path().iterdir()) == []


def test_an_object_whose_status_is_written_meanwhile(broken: Cloud) -> None:
    """Only the version has moved on: the write is made for the new one."""
    tries: list[int] = []

    def touch(asked: Asked) -> None:
        tries.append(1)
        if len(tries) == 1:
            service(broken)["metadata"]["resourceVersion"] = "77"

    broken.kube.before_write = touch
    result = fix(broken, "targetport", *ING, "--yes")
    assert result.status == 0 and len(tries) == 2 and target_port(broken) == 8080, result.text


def test_a_port_list_in_another_order(broken: Cloud) -> None:
    """The index in the pointer means another port by now."""
    stale: list[int] = []

    def look(asked: Asked) -> None:
        stale.append(1)
        ports = service(broken)["spec"]["ports"]
        ports.insert(0, {"port": 443, "protocol": "TCP", "targetPort": 9090, "name": "tls"})
        service(broken)["metadata"]["resourceVersion"] = "9"

    broken.kube.before_write = look
    result = fix(broken, "targetport", *ING, "--yes")
    assert result.status == 1, result.text
    assert [p["targetPort"] for p in service(broken)["spec"]["ports"]] == [9090, 9090]


def test_it_is_so_already(broken: Cloud) -> None:
    """Somebody else makes the same change after the diagnosis."""
    original = broken.kube.answer

    def answer(asked: Asked) -> Any:
        if asked.verb == "get" and asked.resource == "services":
            service(broken)["spec"]["ports"][0]["targetPort"] = 8080
            broken._serve(8080)
        return original(asked)

    broken.kube.answer = answer  # type: ignore[method-assign]
    try:
        result = fix(broken, "targetport", *ING, "--yes")
    finally:
        del broken.kube.answer
    assert writes(broken) == [] and "8080 already" in result.stdout + result.stderr, result.text


def test_an_undo_file_that_cannot_be_written(broken: Cloud) -> None:
    result = fix(broken, "targetport", *ING, "--yes", "--undo-file", "no/such/place.json")
    assert result.status == 4 and target_port(broken) == 9090, result.text
    unchanged(broken)
    Path("mine.json").write_text("precious")
    assert fix(broken, "targetport", *ING, "--yes", "--undo-file", "mine.json").status == 4
    assert Path("mine.json").read_text() == "precious" and writes(broken) == []


@pytest.mark.parametrize(
    "room", [0, 1, 512, 1024, -1], ids=lambda room: f"{room} bytes" if room >= 0 else "all but one"
)
def test_a_disk_that_fills_under_the_undo_file(broken: Cloud, room: int, tmp_path: Path) -> None:
    """The system writes what there is room for and no more: nothing is changed, no half of a file is left."""
    if room < 0:
        other = tmp_path / "undo.json"
        assert fix(broken, "targetport", *ING, "--yes", "--undo-file", str(other)).status == 0
        room += other.stat().st_size
        assert run("undo", str(other), "--yes", env=broken.env).status == 0
        broken.kube.asked.clear()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        result = fix(broken, "targetport", *ING, "--yes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.status == 4 and "undo file" in result.stderr and "bug" not in result.stderr, result.text
    unchanged(broken)
    assert fix(broken, "targetport", *ING, "--yes").status == 0


def test_the_undo_file_may_go_into_a_directory(broken: Cloud) -> None:
    Path("kept").mkdir()
    assert fix(broken, "targetport", *ING, "--yes", "--undo-file", "kept").status == 0
    assert len(list(Path("kept").iterdir())) == 1


@pytest.mark.parametrize("flag", [["--yes"], ["--wait", "3"], ["--dry-run=client"], ["--undo-file", "x"]])
def test_flags_of_a_fix_without_one(cloud: Cloud, flag: list[str]) -> None:
    result = run(*ING, *flag, env=cloud.env)
    assert result.status == 2 and "--fix" in result.stderr, result.text


def test_a_choice_beside_a_change(broken: Cloud) -> None:
    """What waits for a choice keeps the run from being a success."""
    annotations = broken.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"]
    annotations["alb.ingress.kubernetes.io/healthcheck-intervall-seconds"] = "15"
    result = fix(broken, "targetport,annotation-key", *ING, "--yes")
    assert result.status == 1 and target_port(broken) == 8080, result.text
    assert "--fix annotation-key=alb.ingress.kubernetes.io/healthcheck-interval-seconds" in result.stdout


# --- several steps ----------------------------------------------------------------------------------------------------


def two_faults(cloud: Cloud) -> None:
    """A wrong port, and a mistyped annotation on the Ingress."""
    cloud.wrong_port()
    annotations = cloud.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"]
    annotations["alb.ingress.kubernetes.io/health-check-interval-seconds"] = "15"


def test_the_second_step_fails(cloud: Cloud) -> None:
    two_faults(cloud)

    def second(asked: Asked) -> None:
        if asked.resource == "ingresses":
            cloud.kube.faults = [KubeFault("denied", asked.group, ("ingresses",), verbs=("patch",))]

    cloud.kube.before_write = second
    result = fix(cloud, "targetport,annotation-key", *ING, "--yes", "-o", "json")
    assert result.status == 4 and result.json["status"] == "failed", result.text
    assert [s["state"] for s in result.json["steps"]] == ["applied", "planned"]
    assert "1 of 2 changes are made" in result.stderr and "take back what was made" in result.stderr
    assert target_port(cloud) == 8080
    back = run("undo", result.json["undoFile"], "--yes", env=cloud.env)
    assert back.status == 0 and target_port(cloud) == 9090, back.text
    assert [a.resource for a in writes(cloud)] == ["services", "ingresses", "services"]


def test_the_last_step_is_refused_in_the_rehearsal(cloud: Cloud) -> None:
    two_faults(cloud)
    cloud.kube.faults = [KubeFault("denied", "networking.k8s.io", ("ingresses",), verbs=("patch",))]
    result = fix(cloud, "targetport,annotation-key", *ING, "--yes")
    assert result.status == 4 and target_port(cloud) == 9090, result.text
    unchanged(cloud)


# --- Git --------------------------------------------------------------------------------------------------------------


def argo(cloud: Cloud) -> None:
    service(cloud)["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "shop:/Service:shop/web"}


def test_what_git_keeps_is_asked_about_once_more(broken: Cloud) -> None:
    argo(broken)
    result = fix(broken, "targetport", *ING, stdin=Terminal("y\nn\n"))
    assert result.status == 1, result.text
    assert "belongs to Argo CD (Application shop)" in result.stdout and "all the same?" in result.stderr
    unchanged(broken)
    assert fix(broken, "targetport", *ING, stdin=Terminal("y\ny\n")).status == 0


def test_what_git_keeps_with_yes(broken: Cloud) -> None:
    argo(broken)
    result = fix(broken, "targetport", *ING, "--yes", "-o", "json")
    assert result.status == 0 and "warning: service/web belongs to Argo CD" in result.stderr, result.text
    assert result.json["steps"][0]["ownedBy"] == {"tool": "Argo CD", "where": "Application shop"}


# --- EC2 --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed(cloud: Cloud) -> Iterator[Callable[[], list[Any]]]:
    """The nodes' group has lost the rule for the load balancer. Gives the group's rules."""
    ec2 = cloud.aws.client("ec2")
    groups = {g["GroupName"]: g for g in ec2.describe_security_groups()["SecurityGroups"]}
    group = groups["nodes"]["GroupId"]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 8080,
        "ToPort": 8080,
        "UserIdGroupPairs": [{"GroupId": groups["front"]["GroupId"]}],
    }
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])
    for target in cloud.aws.health:
        target.state, target.reason, target.description = "unhealthy", "Target.Timeout", "Request timed out"

    def rules() -> list[Any]:
        found: list[Any] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
        return found

    asked: list[str] = []

    def acted(action: str) -> None:
        """The rehearsal comes first, the second call makes the rule."""
        asked.append(action)
        if asked.count("AuthorizeSecurityGroupIngress") > 1:
            for target in cloud.aws.health:
                target.state, target.reason, target.description = "healthy", "", ""

    cloud.aws.acted = acted
    yield rules
    cloud.aws.acted, cloud.aws.faults = lambda action: None, {}
    if not any(r.get("FromPort") == 8080 for r in rules()):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])


def test_a_rule_is_added_and_taken_away(cloud: Cloud, closed: Callable[[], list[Any]]) -> None:
    before = json.dumps(closed(), sort_keys=True)
    result = fix(cloud, "security-group", *ING, "--yes")
    assert result.status == 0 and "verified  LBD501 is gone" in result.stdout, result.text
    (added,) = [r for r in closed() if r.get("FromPort") == 8080]
    assert added["ToPort"] == 8080 and not added["IpRanges"] and len(added["UserIdGroupPairs"]) == 1
    back = run("undo", str(undo_file()), "--yes", env=cloud.env)
    assert back.status == 0, back.text
    assert json.dumps(closed(), sort_keys=True) == before


def test_a_denied_rule(cloud: Cloud, closed: Callable[[], list[Any]]) -> None:
    before = json.dumps(closed(), sort_keys=True)
    cloud.aws.faults["AuthorizeSecurityGroupIngress"] = "denied"
    result = fix(cloud, "security-group", *ING, "--yes")
    assert result.status == 4 and "ec2:AuthorizeSecurityGroupIngress" in result.stderr, result.text
    assert json.dumps(closed(), sort_keys=True) == before and list(Path().iterdir()) == []


def test_undo_of_a_rule_that_is_gone(cloud: Cloud, closed: Callable[[], list[Any]]) -> None:
    assert fix(cloud, "security-group", *ING, "--yes").status == 0
    file = undo_file()
    assert run("undo", str(file), "--yes", env=cloud.env).status == 0
    undo_files.edit(file, lambda fix: fix["steps"][0].update(state="applied"))
    result = run("undo", str(file), "--yes", env=cloud.env)
    assert result.status == 0 and "nothing is left" in result.stderr, result.text


# --- undo -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fixed(broken: Cloud) -> Path:
    assert fix(broken, "targetport", *ING, "--yes").status == 0
    return undo_file()


def test_undo_refuses_what_has_moved_on(cloud: Cloud, fixed: Path) -> None:
    service(cloud)["spec"]["ports"][0]["targetPort"] = 8081
    result = run("undo", str(fixed), "--yes", env=cloud.env)
    assert result.status == 1 and "8081" in result.stderr and "nothing was taken back" in result.stderr, result.text
    assert target_port(cloud) == 8081 and len(writes(cloud)) == 1


def test_undo_refuses_another_object_of_the_same_name(cloud: Cloud, fixed: Path) -> None:
    service(cloud)["metadata"]["uid"] = "another"
    result = run("undo", str(fixed), "--yes", env=cloud.env)
    assert result.status == 1 and "made anew" in result.stderr, result.text
    assert len(writes(cloud)) == 1


def test_undo_of_what_is_gone(cloud: Cloud, fixed: Path) -> None:
    cloud.kube.objects["", "services"].remove(service(cloud))
    result = run("undo", str(fixed), "--yes", env=cloud.env)
    said = "service/web does not exist any more in namespace shop, and the change went with it"
    assert result.status == 0 and said in result.text, result.text
    assert len(writes(cloud)) == 1


def test_undo_asks(cloud: Cloud, fixed: Path) -> None:
    assert run("undo", str(fixed), env=cloud.env).status == 2
    assert run("undo", str(fixed), env=cloud.env, stdin=Terminal("n\n")).status == 1
    assert target_port(cloud) == 8080
    assert run("undo", str(fixed), env=cloud.env, stdin=Terminal("y\n")).status == 0
    assert target_port(cloud) == 9090


@pytest.mark.parametrize("mode", ["client", "server"])
def test_undo_dry_run(cloud: Cloud, fixed: Path, mode: str) -> None:
    result = run("undo", str(fixed), f"--dry-run={mode}", env=cloud.env)
    assert result.status == 0 and "nothing was changed" in result.stderr and target_port(cloud) == 8080, result.text


def test_undo_denied(cloud: Cloud, fixed: Path) -> None:
    cloud.kube.faults = [KubeFault("denied", "", ("services",), verbs=("patch",))]
    result = run("undo", str(fixed), "--yes", env=cloud.env)
    assert result.status == 4 and "patch services" in result.stderr and target_port(cloud) == 8080, result.text


def test_undo_in_another_cluster(cloud: Cloud, fixed: Path) -> None:
    cloud.write_kubeconfig(server=cloud.kube.url.replace("127.0.0.1", "localhost"))
    result = run("undo", str(fixed), "--yes", env=cloud.env)
    assert result.status == 4 and "another cluster" in result.stderr and "--context lab" in result.stderr, result.text
    assert len(writes(cloud)) == 1


def test_undo_knows_that_a_write_may_not_have_been_made(cloud: Cloud, fixed: Path) -> None:
    """Killed between the mark and the write: the object says that there is nothing to take back."""
    undo_files.edit(fixed, lambda fix: fix["steps"][0].update(state="sent"))
    service(cloud)["spec"]["ports"][0]["targetPort"] = 9090
    result = run("undo", str(fixed), "--yes", env=cloud.env)
    assert result.status == 0 and "nothing is left" in result.stderr and len(writes(cloud)) == 1, result.text


def _bent(document: Any, **changes: Any) -> str:
    return json.dumps({**document, **changes})


def test_undo_files_that_are_none(cloud: Cloud, fixed: Path) -> None:
    good = json.loads(fixed.read_text())
    texts = {
        "empty": "",
        "no json": "hello",
        "cut": fixed.read_text()[:200],
        "another kind": _bent(good, kind="lbdoctor-bundle"),
        "newer": _bent(good, schema=99),
        "older than any": _bent(good, schema=0),
        "no fix": _bent(good, fix=None),
        "a list": "[]",
        "a part more": _bent(good, more=1),
    }
    for name, text in texts.items():
        path = Path("bad.json")
        path.write_text(text)
        result = run("undo", str(path), "--yes", env=cloud.env)
        assert result.status == 4 and "error: " in result.stderr and "bug" not in result.stderr, (
            f"{name}: {result.text}"
        )
    assert run("undo", "nowhere.json", env=cloud.env).status == 4
    Path("binary").write_bytes(b"\xff\xfe\x00")
    assert run("undo", "binary", env=cloud.env).status == 4
    assert len(writes(cloud)) == 1


def test_undo_takes_no_flags_of_a_fix(cloud: Cloud, fixed: Path) -> None:
    assert run("undo", str(fixed), "--wait", "5", env=cloud.env).status == 2


# --- bundles ----------------------------------------------------------------------------------------------------------


def test_a_bundle_is_only_planned(broken: Cloud) -> None:
    run(*ING, "--save", "case.json", env=broken.env)
    for args in (("--fix", "targetport", "--from", "case.json"), ("--fix", "all", *ING, "--from", "case.json")):
        result = run(*args, "--yes", "-o", "json")
        assert result.status == 0 and result.json["kind"] == "FixPlan" and len(result.json["steps"]) == 1, result.text
    assert writes(broken) == []


# --- what comes from the cluster --------------------------------------------------------------------------------------


def test_control_characters_do_not_reach_the_terminal(broken: Cloud) -> None:
    service(broken)["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "sh\x1b[2Jop\u202e:x"}
    out = io.StringIO()
    result = fix(broken, "targetport", *ING, stdin=Terminal("y\nn\n"), stdout=out)
    assert "\x1b" not in result.text and "\u202e" not in result.text


# --- permissions ------------------------------------------------------------------------------------------------------


def test_policies_of_a_fix_are_apart_from_the_reads() -> None:
    role = yaml.safe_load(run("policy", "rbac", "--fix").stdout)
    made = [rule for rule in role["rules"] if {"create", "delete"} & {*rule["verbs"]}]
    assert [rule["resources"] for rule in made] == [["targetgroupconfigurations"], ["loadbalancerconfigurations"]]
    assert {verb for rule in role["rules"] if rule not in made for verb in rule["verbs"]} == {"get", "patch"}
    statements = run("policy", "iam", "--fix").json["Statement"]
    resources = {action: statement["Resource"] for statement in statements for action in statement["Action"]}
    assert resources["ec2:AuthorizeSecurityGroupIngress"] == [
        "arn:*:ec2:*:*:security-group/*",
        "arn:*:ec2:*:*:security-group-rule/*",
    ]
    assert resources["ec2:DeleteNetworkAclEntry"] == ["arn:*:ec2:*:*:network-acl/*"]
    assert "Authorize" not in run("policy", "iam").stdout and "patch" not in run("policy", "rbac").stdout
    assert run("policy", "rbac", "--fix", "--probe").status == 2


def test_the_policy_allows_every_repair_of_the_recorded_faults() -> None:
    allowed = {r for rule in yaml.safe_load(run("policy", "rbac", "--fix").stdout)["rules"] for r in rule["resources"]}
    found = set()
    for name in cases.names():
        for result in cases.result(name).results:
            for finding in result.findings:
                repairs = (*finding.repairs, *((finding.repair_template,) if finding.repair_template else ()))
                found |= {c.object for repair in repairs for c in repair.changes if not c.in_aws}
    assert {paths_of(ref)[0].split("/")[-2] for ref in found} <= allowed
    assert {"Ingress", "Service"} <= {ref.kind for ref in found}
