"""Undo files from other hands: whoever writes one may know the code, and renews the digest. Nothing but what a fix
itself does is ever taken back, on the object that it was done to, and the screen says what will be done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_fix import ING, closed, elsewhere, fix, service, undo_file, writes
from tests.support import undo_files
from tests.support.cloud import Cloud
from tests.support.program import Clock, Result, Terminal, run
from tests.support.shop import NS, Raw

__all__ = ["closed", "elsewhere"]

PORT = "/spec/ports/0/targetPort"
ROLE = "web/../../../../../../apis/rbac.authorization.k8s.io/v1/clusterrolebindings/admins"
Edits = list[Raw]


@pytest.fixture
def fixed(cloud: Cloud) -> Path:
    cloud.wrong_port()
    assert fix(cloud, "targetport", *ING, "--yes", "--wait", "0").status == 3
    return undo_file()


def undo(cloud: Cloud, path: object, *args: str, **more: Any) -> Result:
    return run("undo", str(path), *args, env=cloud.env, **more)


def step(fix: Raw) -> Any:
    return fix["steps"][0]


def edits(*values: tuple[str, object, object]) -> Callable[[Raw], object]:
    """Other edits: pointer, what is there now (as the fix is said to have set it), what to put there."""
    return lambda fix: step(fix).update(edits=[{"pointer": p, "now": then, "then": now} for p, now, then in values])


def named(**ref: str) -> Callable[[Raw], object]:
    return lambda fix: step(fix)["object"].update(ref)


def annotated(key: str, now: object, then: object, kind: str = "Ingress") -> Callable[[Raw], object]:
    def change(fix: Raw) -> None:
        named(kind=kind)(fix)
        edits((f"/metadata/annotations/{key}", now, then))(fix)

    return change


def call(operation: str, **params: object) -> Callable[[Raw], object]:
    def change(fix: Raw) -> None:
        fix["steps"] = [
            {
                "fix": "security-group",
                "code": "LBD501",
                "state": "applied",
                "object": {"kind": "SecurityGroup", "name": str(params.get("GroupId", "sg-1"))},
                "call": {"operation": operation, "params": params},
            }
        ]

    return change


RULE = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080}
OWN = "added by kubectl lbdoctor"

FORGED: dict[str, Callable[[Raw], object]] = {
    "a path in a name": lambda f: (named(name=ROLE)(f), edits(("/subjects/0/name", "mallory", "alice"))(f)),
    "a path in a name alone": named(name=ROLE),
    "a path in a namespace": named(namespace="../../../../api/v1/namespaces/kube-system"),
    "dots": named(name=".."),
    "a query in a name": named(name="web?dryRun=All&x="),
    "a fragment in a name": named(name="web#"),
    "quoted slashes": named(name="web%2f..%2fdb"),
    "no namespace": named(namespace=""),
    "no name": named(name=""),
    "capitals": named(name="Web"),
    "a line break behind a name": named(name="web\n"),
    "another kind": named(kind="Secret"),
    "a kind that fixes only restart": named(kind="Deployment"),
    "an image": lambda f: (
        named(kind="Deployment")(f),
        edits(("/spec/template/spec/containers/0/image", "app:1", "evil.example/x:1"))(f),
    ),
    "another field": edits(("/spec/externalIPs", [], ["203.0.113.7"])),
    "another field beside the true one": lambda f: step(f)["edits"].append(
        {"pointer": "/spec/externalIPs", "then": ["203.0.113.7"]}
    ),
    "the object itself": edits(("", {}, {"spec": {}})),
    "a label": edits(("/metadata/labels/app", "web", "evil")),
    "a finalizer": edits(("/metadata/finalizers", [], ["evil"])),
    "a targetPort without a guard": edits((PORT, 8080, 22)),
    "a targetPort guarded elsewhere": edits(("/spec/ports/1/port", 80, 80), (PORT, 8080, 22)),
    "a place in digits of another script": edits(
        ("/spec/ports/٠/port", 80, 80), ("/spec/ports/٠/targetPort", 8080, 22)
    ),
    "a targetPort that is none": edits(("/spec/ports/0/port", 80, 80), (PORT, 8080, 99999)),
    "a targetPort that is true": edits(("/spec/ports/0/port", 80, 80), (PORT, 8080, True)),
    "a guard that writes": edits(("/spec/ports/0/port", 80, 81), (PORT, 8080, 9090)),
    "a type that no fix comes from": edits(("/spec/type", "NodePort", "ExternalName")),
    "a traffic policy that no fix comes from": edits(("/spec/externalTrafficPolicy", "Cluster", "cluster")),
    "an empty selector": edits(("/spec/selector", {"app": "web"}, {})),
    "a selector that is no map": edits(("/spec/selector", {"app": "web"}, "app=evil")),
    "an annotation of somebody else": annotated("nginx.ingress.kubernetes.io~1server-snippet", None, "evil"),
    "an annotation of Kubernetes": annotated("kubernetes.io~1ingress.class", None, "evil"),
    "an annotation of another kind": annotated("alb.ingress.kubernetes.io~1scheme", None, "x", "Deployment"),
    "an annotation that is no text": annotated("alb.ingress.kubernetes.io~1scheme", "internal", {"a": 1}),
    "an annotation with half a character": annotated("alb.ingress.kubernetes.io~1scheme", "internal", "\ud800"),
    "a class that is no name": lambda f: (named(kind="Ingress")(f), edits(("/spec/ingressClassName", "alb", "a b"))(f)),
    "no edits": lambda f: step(f).update(edits=[]),
    "two ways at once": lambda f: step(f).update(restart=True),
    "words of its own": lambda f: step(f).update(now="8080", then="9090", field="spec.x"),
    "no uid": lambda f: step(f).pop("uid"),
    "an empty uid": lambda f: step(f).update(uid=""),
    "a uid that is none": lambda f: step(f).update(uid=["u"]),
    "no cluster": lambda f: f["context"].pop("server"),
    "an empty cluster": lambda f: f["context"].update(server=""),
    "no place where it was written": lambda f: f.pop("origin"),
    "an empty place": lambda f: f["origin"].update(path=""),
    "no steps": lambda f: f.update(steps=[]),
    "a time that is none": lambda f: f.update(made_at="yesterday"),
    "a fix that is none": lambda f: step(f).update(fix="target port; rm -rf"),
    "a code that is none": lambda f: step(f).update(code="LBD307\u001b[2J"),
    "a state that is none": lambda f: step(f).update(state="ready"),
    "a subject that is none": lambda f: f["subjects"].append({"kind": "Service", "namespace": NS, "name": "a;b"}),
    "half a character": lambda f: f["context"].update(kube_context="\udfff"),
    "a call of its own": call("DeleteVpc", VpcId="vpc-1"),
    "the inverse of a fix as the fix": call("RevokeSecurityGroupIngress", GroupId="sg-1", IpPermissions=[RULE]),
    "a rule of somebody else": call(
        "AuthorizeSecurityGroupIngress",
        GroupId="sg-1",
        IpPermissions=[{**RULE, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "office"}]}],
    ),
    "several rules": call(
        "AuthorizeSecurityGroupIngress",
        GroupId="sg-1",
        IpPermissions=[{**RULE, "IpRanges": [{"CidrIp": c, "Description": OWN}]} for c in ("10.0.0.0/8", "0.0.0.0/0")],
    ),
    "a rule with more in it": call(
        "AuthorizeSecurityGroupIngress",
        GroupId="sg-1",
        DryRun=False,
        IpPermissions=[{**RULE, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": OWN}]}],
    ),
    "a rule without an account": lambda f: (
        call(
            "AuthorizeSecurityGroupIngress",
            GroupId="sg-1",
            IpPermissions=[{**RULE, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": OWN}]}],
        )(f),
        f["context"].pop("account"),
    ),
    "a rule of a prefix list": call(
        "AuthorizeSecurityGroupIngress",
        GroupId="sg-1",
        IpPermissions=[{**RULE, "PrefixListIds": [{"PrefixListId": "pl-1"}]}],
    ),
    "rules that are text": call("AuthorizeSecurityGroupIngress", GroupId="sg-1", IpPermissions="x"),
    "an entry that is no entry": call("CreateNetworkAclEntry", NetworkAclId="acl-1", RuleNumber=True),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_no_fix_writes_is_refused_whole(cloud: Cloud, fixed: Path, name: str) -> None:
    """One sentence, and not even the object is read."""
    undo_files.edit(fixed, FORGED[name])
    before, asked = repr(cloud.kube.objects), len(cloud.kube.asked)
    result = undo(cloud, fixed, "--yes")
    assert result.status == 4 and "is refused, and nothing was taken back: " in result.stderr, result.text
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1, result.text
    assert "\x1b" not in result.text and "bug" not in result.text and result.stdout == "", result.text
    assert len(cloud.kube.asked) == asked and repr(cloud.kube.objects) == before


def test_one_forged_step_keeps_all_from_being_taken_back(cloud: Cloud, fixed: Path) -> None:
    def more(fix: Raw) -> None:
        forged = json.loads(json.dumps(step(fix)))
        forged["object"]["kind"] = "Secret"
        fix["steps"].insert(0, forged)

    undo_files.edit(fixed, more)
    result = undo(cloud, fixed, "--yes")
    assert result.status == 4 and "step 1 is no change that a fix makes" in result.stderr, result.text
    assert len(writes(cloud)) == 1


@pytest.mark.parametrize("part", ["fix", "digest", "tool", "more", "schema"])
def test_a_file_that_was_edited_by_hand(cloud: Cloud, fixed: Path, part: str) -> None:
    """Without its digest, too: nothing that is left out switches a test off."""
    document = json.loads(fixed.read_text())
    if part == "fix":
        document["fix"]["steps"][0]["edits"][1]["now"] = 22
    elif part == "more":
        document["more"] = 1
    else:
        del document[part]
    fixed.write_text(json.dumps(document))
    result = undo(cloud, fixed, "--yes")
    assert result.status == 4 and "error: " in result.stderr and "bug" not in result.stderr, result.text
    assert len(writes(cloud)) == 1


def test_the_uid_of_another_object(cloud: Cloud, fixed: Path) -> None:
    undo_files.edit(fixed, lambda fix: step(fix).update(uid="another"))
    result = undo(cloud, fixed, "--yes")
    assert result.status == 1 and "deleted and made anew" in result.stderr and len(writes(cloud)) == 1, result.text


def test_a_value_that_somebody_else_has_set(cloud: Cloud, fixed: Path) -> None:
    """A file of the right shape for an object that no fix has changed: its uid, cluster and value fit."""
    fields = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {"f:targetPort": {}}}}}
    service(cloud)["metadata"]["managedFields"] = [{"manager": "helm", "operation": "Update", "fieldsV1": fields}]
    result = undo(cloud, fixed, "--yes")
    assert result.status == 1 and "says that helm has set spec.ports[port=80].targetPort" in result.stderr, result.text
    assert len(writes(cloud)) == 1


def test_an_object_that_is_made_anew_at_the_last_moment(cloud: Cloud, fixed: Path) -> None:
    """The write itself names the uid that was changed."""
    cloud.kube.before_write = lambda asked: service(cloud)["metadata"].update(uid="another")
    result = undo(cloud, fixed, "--yes")
    assert result.status == 4 and service(cloud)["spec"]["ports"][0]["targetPort"] == 8080, result.text


@pytest.mark.parametrize("nested", ["[" * 200_000, '{"fix":' + "[" * 5_000 + "]" * 5_000 + "}", '{"a":' * 100_000])
def test_brackets_without_end(cloud: Cloud, nested: str) -> None:
    Path("deep.json").write_text(nested)
    result = undo(cloud, "deep.json", "--yes")
    assert result.status == 4 and "error: the file deep.json is no" in result.stderr, result.text
    assert "bug" not in result.stderr and "Recursion" not in result.text, result.text


def test_values_that_are_nested_deeply(cloud: Cloud, fixed: Path) -> None:
    text = fixed.read_text().replace('"u', '"u', 1)
    deep = "[" * 900 + "]" * 900
    fixed.write_text(text.replace('"now": 9090', f'"now": {deep}'))
    result = undo(cloud, fixed, "--yes")
    assert result.status == 4 and "bug" not in result.stderr and "Recursion" not in result.text, result.text


def test_what_is_no_regular_file(cloud: Cloud, fixed: Path) -> None:
    os.mkfifo("pipe")
    Path("folder").mkdir()
    for odd in ("pipe", "/dev/null", "/dev/zero", "folder"):
        result = undo(cloud, odd, "--yes")
        assert result.status == 4 and "cannot read the undo file" in result.stderr, f"{odd}: {result.text}"
    Path("big.json").write_bytes(b" " * (5 << 20))
    assert "it has more than 4 MiB" in undo(cloud, "big.json", "--yes").stderr


def test_a_link_to_an_undo_file_stays_one(cloud: Cloud, fixed: Path) -> None:
    os.symlink(fixed, "link.json")
    assert undo(cloud, "link.json", "--yes").status == 0
    assert Path("link.json").is_symlink() and json.loads(fixed.read_text())["fix"]["steps"][0]["state"] == "undone"


@pytest.mark.parametrize("odd", ["link", "dangling", "folder-link", "pipe", "/dev/null", "there", "a" * 300])
def test_an_undo_file_goes_nowhere_else(cloud: Cloud, odd: str) -> None:
    """Nothing is followed, replaced or filled, and nothing is changed."""
    cloud.wrong_port()
    Path("there").write_text("mine")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    for name, target in (("link", "there"), ("dangling", "nowhere"), ("folder-link", "folder")):
        os.symlink(target, name)
    result = fix(cloud, "targetport", *ING, "--yes", "--undo-file", odd)
    assert result.status == 4 and "--undo-file" in result.stderr and writes(cloud) == [], result.text
    assert Path("there").read_text() == "mine" and list(Path("folder").iterdir()) == []
    assert not Path("nowhere").exists() and Path("pipe").is_fifo() and Path("link").is_symlink()


# --- what is said -----------------------------------------------------------------------------------------------------


def test_each_row_is_followed_by_the_command_that_does_the_same(cloud: Cloud, fixed: Path) -> None:
    result = undo(cloud, fixed, stdin=Terminal("n\n"))
    assert result.status == 1, result.text
    header, row, command = result.stdout.splitlines()[:3]
    assert header.split() == ["#", "OBJECT", "FIELD", "NOW", "THEN"]
    assert row.split() == ["1", "service/web", "-n", NS, "spec.ports[port=80].targetPort", "8080", "9090"]
    patch = f"kubectl --kubeconfig {cloud.kubeconfig} patch service/web --type=json -p '["
    assert command.startswith(f"   {patch}") and command.endswith(f"-n {NS}")
    assert '{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9090}' in command
    assert "in context lab?" in result.text


def test_the_screen_says_what_the_edits_say(cloud: Cloud, fixed: Path) -> None:
    """Edits of a shape that fixes have may still be a stranger's: then the screen shows just them."""
    undo_files.edit(fixed, edits(("/spec/ports/0/port", 80, 80), (PORT, 8080, 22)))
    result = undo(cloud, fixed, "--dry-run=client")
    assert result.status == 0 and "8080  22" in result.stdout and '"value": 22}' in result.stdout, result.text


def test_hostile_text_of_a_file(cloud: Cloud, fixed: Path) -> None:
    def bend(fix: Raw) -> None:
        fix["context"].update(kube_context="x; touch M \x1b[2J")
        fix["origin"].update(host="evil\x1b]0;x\x07", user="$(id)", path="/tmp/y\n# z")

    undo_files.edit(fixed, bend)
    result = undo(cloud, fixed, "--dry-run=client")
    assert result.status == 0 and "\x1b" not in result.text and "x; touch" not in result.text, result.text
    assert "this undo file was written elsewhere: " in result.stderr and "be sure that it is yours" in result.stderr
    cloud.write_kubeconfig(server=cloud.kube.url.replace("127.0.0.1", "localhost"))
    result = undo(cloud, fixed, "--yes")
    assert result.status == 4 and "switch with --context 'x; touch M" in result.stderr, result.text
    assert "\x1b" not in result.text and len(writes(cloud)) == 1


def test_a_file_of_this_place_needs_no_word_of_it(cloud: Cloud, fixed: Path) -> None:
    assert "written elsewhere" not in undo(cloud, fixed, "--dry-run=client").text
    fixed.rename("moved.json")
    assert f"written elsewhere: {fixed.absolute()} on " in undo(cloud, "moved.json", "--dry-run=client").stderr


# --- AWS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(cloud: Cloud, closed: Callable[[], list[Any]]) -> Iterator[Path]:
    assert fix(cloud, "security-group", *ING, "--yes").status == 0
    true = undo_file().read_text()
    cloud.aws.asked.clear()
    yield undo_file()
    Path("true.json").write_text(true)
    assert undo(cloud, "true.json", "--yes").status == 0


def called(cloud: Cloud, *operations: str) -> list[str]:
    return [action for action in cloud.aws.asked if action.partition(":")[2] in operations]


def test_the_rule_is_shown_with_its_command(cloud: Cloud, opened: Path) -> None:
    result = undo(cloud, opened, "--dry-run=client")
    assert result.status == 0 and "   aws ec2 revoke-security-group-ingress --group-id sg-" in result.stdout, (
        result.text
    )


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("account", "210987654321", "the fix was made in AWS account 210987654321"),
        ("account", "", "does not say in which account"),
        ("region", "eu-west-1", ""),
        ("region", "", "does not say in which account and region"),
    ],
)
def test_another_account_or_region(cloud: Cloud, opened: Path, field: str, value: str, said: str) -> None:
    undo_files.edit(opened, lambda fix: fix["context"].update({field: value}))
    result = undo(cloud, opened, "--yes", "--region", "us-west-2")
    assert result.status == 4 and said in result.stderr, result.text
    assert called(cloud, "RevokeSecurityGroupIngress") == []


def test_the_region_of_the_flags_is_not_the_fixs(cloud: Cloud, opened: Path) -> None:
    result = undo(cloud, opened, "--yes", "--region", "eu-west-1")
    assert result.status == 4 and "the fix was made in region us-west-2, not eu-west-1" in result.stderr, result.text
    assert called(cloud, "RevokeSecurityGroupIngress") == []


def test_a_rule_that_was_there_before(cloud: Cloud, opened: Path) -> None:
    """The rule of another source: its description says that no fix made it."""

    def bend(fix: Raw) -> None:
        rule = step(fix)["call"]["params"]["IpPermissions"][0]
        rule["UserIdGroupPairs"][0]["Description"] = ""

    undo_files.edit(opened, bend)
    result = undo(cloud, opened, "--yes")
    assert result.status == 4 and "the call in EC2" in result.stderr, result.text


# --- incomplete files -------------------------------------------------------------------------------------------------


def test_what_a_killed_run_has_left_is_removed_later(cloud: Cloud) -> None:
    """An incomplete undo file, an hour old; a fresh one may be another run's."""
    cloud.wrong_port()
    old, fresh, other = (
        Path(f".{n}.lbdoctor-part") for n in ("lbdoctor-undo-1.json.0a", "lbdoctor-undo-2.json.0b", "x")
    )
    for path in (old, fresh):
        path.write_text("{")
    other.mkdir()
    os.utime(old, (1, 1))
    assert fix(cloud, "targetport", *ING, "--yes", clock=Clock()).status == 0
    assert not old.exists() and fresh.exists() and other.exists()
