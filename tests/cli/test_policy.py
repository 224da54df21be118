"""The program runs with exactly what `policy` prints, needs all of it, and says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from kubectl_lbdoctor.collect.watches import WATCHED
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.model import kinds, reads
from tests.cli.test_fix import closed  # noqa: F401 (a fixture)
from tests.cli.test_many_namespaces import TEAMS, share
from tests.support import health_logs
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Result, run
from tests.support.roles import Call, Permission, Policy, Role
from tests.support.shop import NS, meta

READ_ROLE = run("policy", "rbac").stdout
FIX_ROLE = run("policy", "rbac", "--fix").stdout
PROBE_ROLE = run("policy", "rbac", "--probe").stdout
READ_POLICY = run("policy", "iam").stdout
FIX_POLICY = run("policy", "iam", "--fix").stdout

TGB = "k8s-shop-web-fdbb6ec3c4"


def sick(cloud: Cloud) -> None:
    """A world that needs nearly everything: an IngressGroup, and a controller that AWS refuses two calls."""
    cloud.in_group()
    cloud.permission_denied()
    cloud.group_missing()


GATEWAY_KINDS = (kinds.GATEWAY, *kinds.ROUTES)


def gateways(cloud: Cloud) -> None:
    """A Gateway of the controller, and a route of every kind that is attached to it; each is called web."""
    now = "2026-11-23T08:00:00Z"
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    gateway = {"gatewayClassName": "alb", "listeners": [listener]}
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": now}
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "web"}
    backend = {"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}
    made = {kind.plural: {"parentRefs": [parent], "rules": [{"backendRefs": [backend]}]} for kind in kinds.ROUTES}
    objects = {
        "gatewayclasses": ("alb", "", {"controllerName": "gateway.k8s.aws/alb"}),
        **{plural: ("web", NS, spec) for plural, spec in {"gateways": gateway, **made}.items()},
    }
    for plural, (name, namespace, spec) in objects.items():
        whole = {"metadata": meta(name, namespace), "spec": spec, "status": {"conditions": [condition], "parents": []}}
        cloud.kube.objects[("gateway.networking.k8s.io", plural)] = [whole]


def is_of_gateways(permission: Permission) -> bool:
    return permission.group in {reads.KUBE[read].kind.group for read in reads.OF_GATEWAYS}


@pytest.fixture
def limited(cloud: Cloud) -> Iterator[Callable[..., None]]:
    """Gives what limits the caller to some roles and policies."""

    def limit(*roles: str, policies: tuple[str, ...] = (READ_POLICY,)) -> None:
        cloud.kube.faults = [Role.of(*roles)]
        cloud.aws.allows = Policy.of(*policies).allows

    yield limit
    cloud.kube.faults, cloud.aws.allows = [], lambda call: True


def denied(result: Result) -> dict[str, str]:
    """The permission that is missing, by the read that needs it; what may be missing included."""
    coverage = result.json["coverage"]
    return {entry["read"]: entry["permission"] for entry in coverage["denied"] + coverage["optional"]}


def said_to_people(cloud: Cloud, *args: str) -> str:
    """What a person reads; of reads that may be left out, the name is a matter of --verbose."""
    return run(*(args or ("ing/web",)), "--verbose", env=cloud.env).text


def looking_back(cloud: Cloud) -> tuple[str, ...]:
    """What asks for the past, of a target group that was made outside the cluster and whose setting is the cause."""
    cloud.wrong_path()
    cloud.aws.asked.remove("elasticloadbalancing:ModifyTargetGroup")  # That was the test itself.
    (binding,) = cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")
    binding["metadata"]["labels"] = {}
    return (f"tgb/{TGB}", "--since", "3h")


def used(cloud: Cloud, *roles: str) -> set[Permission]:
    """The permissions of these roles that were made use of, of all objects alike."""
    role = Role.of(*roles)
    found = {role.used_by(asked) for asked in cloud.kube.asked}
    assert None not in found, "something was asked that the roles do not allow"
    return {permission._replace(name="") for permission in found if permission is not None}


@pytest.fixture
def logging(logged: Cloud) -> None:
    """The load balancer logs its health checks, and has logged one."""
    at = datetime(2026, 11, 23, 11, 50, tzinfo=timezone.utc)
    health_logs.write(logged.aws, at, [health_logs.line(at, "TargetError 502")])
    logged.aws.asked.clear()  # That was the test itself.


# --- Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", ["ing/web", "svc/web", f"tgb/{TGB}"])
def test_the_printed_permissions_are_enough(cloud: Cloud, limited: Callable[..., None], subject: str) -> None:
    limited(READ_ROLE)
    result = run(subject, "-o", "json", env=cloud.env)
    assert (result.status, denied(result), result.json["coverage"]["failed"]) == (ExitStatus.HEALTHY, {}, [])


def test_they_are_enough_for_gateways(cloud: Cloud, limited: Callable[..., None]) -> None:
    gateways(cloud)
    limited(READ_ROLE)
    for kind in GATEWAY_KINDS:
        result = run(f"{kind.name.lower()}/web", "-o", "json", env=cloud.env)
        assert (denied(result), result.json["coverage"]["failed"]) == ({}, []), kind.name


def test_they_are_enough_where_everything_is_asked(cloud: Cloud, limited: Callable[..., None]) -> None:
    sick(cloud)
    limited(READ_ROLE)
    for command in (("ing/web",), ("tg", cloud.aws.group_arn), ("lb", cloud.aws.host)):
        result = run(*command, "-o", "json", env=cloud.env)
        assert (result.status, denied(result), result.json["coverage"]["failed"]) == (ExitStatus.FINDINGS, {}, [])


@pytest.mark.usefixtures("logging")
def test_nothing_is_printed_that_is_never_used(cloud: Cloud) -> None:
    """Over the world that needs most, a scan of it, one of many namespaces, one whose bindings may not be read, and
    Gateways with their routes, listed and, where that is denied, by their names."""
    sick(cloud)
    run("ing/web", env=cloud.env)
    run("scan", env=cloud.env)
    cloud.kube.faults = [KubeFault.of(reads.BINDINGS, "denied")]
    run("ing/web", env=cloud.env)
    cloud.kube.faults = []
    gateways(cloud)
    run("gateway/web", env=cloud.env)
    for kind in GATEWAY_KINDS:
        cloud.kube.faults = [KubeFault("denied", kind.group, (kind.plural,), verbs=("list",))]
        run(f"{kind.name.lower()}/web", env=cloud.env)
    cloud.kube.faults = []
    share(cloud, *TEAMS)
    run("lb", cloud.aws.host, env=cloud.env)
    run(*looking_back(cloud), env=cloud.env)
    printed = {p._replace(name="") for p in Role.of(READ_ROLE).permissions if p.verb != "watch"}
    assert used(cloud, READ_ROLE) == printed
    # Everybody may ask who he is: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    assert set(cloud.aws.asked) - {"sts:GetCallerIdentity"} == Policy.of(READ_POLICY).actions


# Permissions whose lack costs nothing here: many namespaces are then read one by one, and the webhook's certificate is
# in a Secret of the other name.
_NOT_MISSED = {
    Permission("", "namespaces", "list"),
    Permission("", "secrets", "get", "aws-load-balancer-webhook-tls"),
}


@pytest.mark.parametrize(
    "missing",
    sorted(p for p in Role.of(READ_ROLE).permissions if not is_of_gateways(p) and p.verb != "watch"),
    ids=lambda p: "-".join(filter(None, (p.verb, p.resource, p.name))),
)
def test_one_missing_permission_in_kubernetes_is_named(cloud: Cloud, missing: Permission) -> None:
    sick(cloud)
    cloud.kube.faults = [Role.of(READ_ROLE).without(missing)]
    result = run("ing/web", "-o", "json", env=cloud.env)
    said = {tuple(permission.split()[:2]) for permission in denied(result).values()}
    full = f"{missing.resource}.{missing.group}" if missing.group else missing.resource
    if missing in _NOT_MISSED:
        assert said == set()
        return
    assert said == {(missing.verb, full)}
    assert f"{missing.verb} {full}" in said_to_people(cloud)


@pytest.mark.parametrize(
    "missing",
    sorted(p for p in Role.of(READ_ROLE).permissions if is_of_gateways(p) and p.verb == "list"),
    ids=lambda p: p.resource,
)
def test_one_missing_permission_of_gateway_api_is_named(cloud: Cloud, missing: Permission) -> None:
    """Where a list is denied, the subject itself is asked for by its name: that is enough only where `get` is left."""
    gateways(cloud)
    by_name = missing._replace(verb="get")
    cloud.kube.faults = [Role.of(READ_ROLE).without(missing).without(by_name)]
    result = run("gateway/web", "-o", "json", env=cloud.env)
    said = {tuple(permission.split()[:2]) for permission in denied(result).values()}
    assert said == {("list", f"{missing.resource}.{missing.group}")}
    assert f"list {missing.resource}.{missing.group}" in run("gateway/web", "--verbose", env=cloud.env).text


@pytest.mark.parametrize("kind", GATEWAY_KINDS, ids=lambda kind: kind.name)
def test_a_subject_of_gateway_api_needs_get_where_its_list_is_denied(cloud: Cloud, kind: kinds.Kind) -> None:
    gateways(cloud)
    without_list = Role.of(READ_ROLE).without(Permission(kind.group, kind.plural, "list"))
    by_name = Permission(kind.group, kind.plural, "get")
    full = f"{kind.plural}.{kind.group}"
    cloud.kube.faults = [without_list]
    allowed = run(f"{kind.name.lower()}/web", "-o", "json", env=cloud.env)
    assert not any(full in permission for permission in denied(allowed).values()), allowed.text
    cloud.kube.faults = [without_list.without(by_name)]
    refused = run(f"{kind.name.lower()}/web", "-o", "json", env=cloud.env)
    assert any(full in permission for permission in denied(refused).values()), refused.text


@pytest.mark.usefixtures("logging")
@pytest.mark.parametrize("missing", sorted(Policy.of(READ_POLICY).actions))
def test_one_missing_permission_in_aws_is_named(cloud: Cloud, missing: str) -> None:
    sick(cloud)
    of_the_past = missing in ("cloudwatch:GetMetricData", "cloudtrail:LookupEvents", "s3:ListBucket", "s3:GetObject")
    args = looking_back(cloud) if of_the_past else ("ing/web",)
    cloud.aws.allows = Policy.of(READ_POLICY).without(missing).allows
    if missing == "elasticloadbalancing:DescribeTags":  # Asked in place of the bindings alone.
        cloud.kube.faults = [KubeFault.of(reads.BINDINGS, "denied")]
    result = run(*args, "-o", "json", env=cloud.env)
    assert missing in denied(result).values()
    assert {permission for permission in denied(result).values() if ":" in permission} == {missing}
    assert missing in said_to_people(cloud, *args)


# --- Repairing --------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo files go into the current directory."""
    monkeypatch.chdir(tmp_path)


def fix(cloud: Cloud, name: str, *more: str) -> Result:
    return run("--fix", name, "ing/web", "--yes", *more, env=cloud.env)


def undo(cloud: Cloud) -> Result:
    (file,) = Path().glob("lbdoctor-undo-*.json")
    return run("undo", str(file), "--yes", env=cloud.env)


@pytest.mark.usefixtures("elsewhere")
def test_a_fix_in_the_cluster(cloud: Cloud, limited: Callable[..., None]) -> None:
    cloud.wrong_port()
    limited(READ_ROLE, FIX_ROLE)
    result = fix(cloud, "targetport")
    assert result.status == ExitStatus.HEALTHY, result.text
    assert undo(cloud).status == ExitStatus.HEALTHY
    assert used(cloud, READ_ROLE, FIX_ROLE) >= {Permission("", "services", verb) for verb in ("get", "patch")}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("verb", ["get", "patch"])
def test_a_fix_that_lacks_a_permission_changes_nothing_and_says_which(cloud: Cloud, verb: str) -> None:
    cloud.wrong_port()
    cloud.kube.faults = [Role.of(READ_ROLE, FIX_ROLE).without(Permission("", "services", verb))]
    result = fix(cloud, "targetport")
    assert result.status == ExitStatus.COULD_NOT_RUN and f"{verb} services" in result.text, result.text
    assert cloud.kube.named("services")[0]["spec"]["ports"][0]["targetPort"] == 9090


@pytest.mark.usefixtures("elsewhere", "closed")
def test_a_fix_in_ec2(cloud: Cloud, limited: Callable[..., None]) -> None:
    limited(READ_ROLE, FIX_ROLE, policies=(READ_POLICY, FIX_POLICY))
    result = fix(cloud, "security-group")
    assert result.status == ExitStatus.HEALTHY, result.text
    back = undo(cloud)
    cloud.aws.allows = lambda call: True
    assert back.status == ExitStatus.HEALTHY, back.text


def test_fix_permissions_in_aws_are_for_the_resources_that_fixes_change() -> None:
    """Each action of the printed policy on a resource of its kind, and on none of another."""
    policy = Policy.of(FIX_POLICY)
    named = {
        "ec2:CreateNetworkAclEntry": {"NetworkAclId": ["acl-1"]},
        "ec2:DeleteNetworkAclEntry": {"NetworkAclId": ["acl-1"]},
        "ec2:AuthorizeSecurityGroupIngress": {"GroupId": ["sg-1"]},
        "ec2:AuthorizeSecurityGroupEgress": {"GroupId": ["sg-1"]},
        "ec2:RevokeSecurityGroupIngress": {"GroupId": ["sg-1"]},
        "ec2:RevokeSecurityGroupEgress": {"GroupId": ["sg-1"]},
        "elasticloadbalancing:ModifyTargetGroup": {},
        "elasticloadbalancing:ModifyTargetGroupAttributes": {},
    }
    group = {
        "TargetGroupArn": ["arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:targetgroup/web/0123456789abcdef"]
    }
    assert policy.actions == set(named)
    for action, form in named.items():
        assert policy.allows(Call(action, form or group)), action
    assert not policy.allows(Call("ec2:CreateNetworkAclEntry", {"GroupId": ["sg-1"]}))
    assert not policy.allows(Call("ec2:AuthorizeSecurityGroupIngress", {}))
    balancer = {"TargetGroupArn": ["arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/app/web/0123"]}
    assert not policy.allows(Call("elasticloadbalancing:ModifyTargetGroup", balancer))


# --- Probing ----------------------------------------------------------------------------------------------------------


def test_probes_through_the_api_server(cloud: Cloud, limited: Callable[..., None]) -> None:
    limited(READ_ROLE, PROBE_ROLE)
    result = run("probe", "ing/web", "--probe", "proxy", "-o", "json", env=cloud.env)
    assert result.json["targets"] == {"passed": 2, "failed": 0, "unknown": 0}, result.text
    assert Permission("", "pods/proxy", "get") in used(cloud, READ_ROLE, PROBE_ROLE)


def test_probes_from_debug_pods(cloud: Cloud, limited: Callable[..., None]) -> None:
    limited(READ_ROLE, PROBE_ROLE)
    result = run("probe", "ing/web", "-o", "json", env=cloud.env)
    assert result.json["targets"]["unknown"] == 0, result.text
    made = {Permission("", "pods", verb) for verb in ("create", "delete")} | {Permission("", "pods/log", "get")}
    assert used(cloud, READ_ROLE, PROBE_ROLE) >= made
    assert len(cloud.kube.named("pods", NS)) == 2, "the debug pod is gone"


def test_what_a_watched_scan_watches_may_be_watched() -> None:
    allowed = {(p.group, p.resource) for p in Role.of(READ_ROLE).permissions if p.verb == "watch"}
    assert allowed == {(kind.group, kind.plural) for kind in WATCHED}
    assert ("eks.amazonaws.com", "targetgroupbindings") in allowed and ("", "secrets") not in allowed
