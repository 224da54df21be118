"""`-f`: what manifests name is diagnosed where it is live, and analysed before it is applied where it is not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Result, run
from tests.support.shop import NS, Raw

ALB = "alb.ingress.kubernetes.io/"


def ask(cloud: Cloud, *args: str, **more: Any) -> Result:
    return run(*args, "-o", "json", env=cloud.env, **more)


def subjects(result: Result) -> list[str]:
    assert result.stdout, result.text
    return [f"{s['kind']}/{s['name']}" for s in result.json["subjects"]]


def ingress(name: str = "api", service: str = "api", port: int = 80, **annotations: str) -> Raw:
    backend = {"service": {"name": service, "port": {"number": port}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": {f"{ALB}{k.replace('_', '-')}": v for k, v in annotations.items()}},
        "spec": {
            "ingressClassName": "alb",
            "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
        },
    }


def service(name: str = "api", target: Any = 8080, **selector: str) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector or {"app": name}, "ports": [{"port": 80, "targetPort": target}]},
    }


def deployment(name: str = "api") -> Raw:
    labels = {"app": name}
    container = {"name": "app", "image": "app:1", "ports": [{"name": "http", "containerPort": 8080}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def application(**annotations: str) -> list[Raw]:
    return [deployment(), service(), ingress(**{"target_type": "ip", **annotations})]


def written(path: Path, *objects: Raw) -> str:
    path.write_text(yaml.safe_dump_all(objects))
    return str(path)


def live(cloud: Cloud, resource: str, group: str, kind: str) -> Raw:
    """An object of the cluster as `kubectl get -o yaml` gives it."""
    raw = deepcopy(cloud.kube.named(resource, group=group)[0])
    return {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, **raw}


# --- What is live ---


def test_a_live_application_is_diagnosed_as_it_is(cloud: Cloud, tmp_path: Path) -> None:
    objects = [
        live(cloud, "deployments", "apps", "Deployment"),
        live(cloud, "services", "", "Service"),
        live(cloud, "ingresses", "networking.k8s.io", "Ingress"),
    ]
    path = written(tmp_path / "web.yaml", *objects)
    result = ask(cloud, "-f", path)
    assert subjects(result) == ["Ingress/web"] and result.json["applied"] is True
    assert (result.status, result.stderr) == (ExitStatus.HEALTHY, "")
    cloud.wrong_path()
    broken = ask(cloud, "-f", path)
    assert broken.status == ExitStatus.FINDINGS and broken.codes[0] == "LBD301"


@pytest.mark.parametrize("number", [0, 1])
def test_a_workload_or_service_alone_leads_to_its_frontend(cloud: Cloud, tmp_path: Path, number: int) -> None:
    alone = [live(cloud, "deployments", "apps", "Deployment"), live(cloud, "services", "", "Service")][number]
    result = ask(cloud, "-f", written(tmp_path / "one.yaml", alone))
    assert subjects(result) == ["Ingress/web"] and result.json["applied"] is True


def test_what_differs_is_said_and_what_is_live_is_diagnosed(cloud: Cloud, tmp_path: Path) -> None:
    raw = live(cloud, "ingresses", "networking.k8s.io", "Ingress")
    raw["metadata"]["annotations"][f"{ALB}healthcheck-path"] = "/alive"
    path = written(tmp_path / "web.yaml", raw)
    result = ask(cloud, "-f", path)
    assert result.status == ExitStatus.HEALTHY and result.json["applied"] is True
    assert f"ingress/web of {path} differs from what is live (metadata.annotations)" in result.stderr
    assert "--before-apply tells of the manifest" in result.stderr


def test_what_the_api_server_filled_in_is_no_difference(cloud: Cloud, tmp_path: Path) -> None:
    raw = live(cloud, "services", "", "Service")
    raw["spec"] = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    cloud.kube.named("services")[0]["spec"].update({"clusterIP": "10.1.2.3", "ipFamilies": ["IPv4"]})
    cloud.kube.named("services")[0]["spec"]["ports"][0]["nodePort"] = 31234
    result = ask(cloud, "-f", written(tmp_path / "svc.yaml", raw))
    assert (result.status, result.stderr) == (ExitStatus.HEALTHY, "")


def test_a_field_that_was_applied_before_and_is_gone_is_a_difference(cloud: Cloud, tmp_path: Path) -> None:
    raw = live(cloud, "ingresses", "networking.k8s.io", "Ingress")
    applied = cloud.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"]
    applied["kubectl.kubernetes.io/last-applied-configuration"] = json.dumps(raw)
    del raw["metadata"]["annotations"][f"{ALB}healthcheck-path"]
    result = ask(cloud, "-f", written(tmp_path / "web.yaml", raw))
    assert "differs from what is live (metadata.annotations)" in result.stderr


def test_one_of_two_frontends_is_not_live(cloud: Cloud, tmp_path: Path) -> None:
    path = written(tmp_path / "all.yaml", live(cloud, "ingresses", "networking.k8s.io", "Ingress"), *application())
    result = ask(cloud, "-f", path)
    assert subjects(result) == ["Ingress/web"] and result.status == ExitStatus.COULD_NOT_RUN
    assert f"error: ingress/api of {path} does not exist in namespace shop" in result.stderr
    assert "hint: --before-apply" in result.stderr
    before = ask(cloud, "-f", path, "--before-apply")
    assert subjects(before) == ["Ingress/web", "Ingress/api"] and before.json["applied"] is False


# --- Before it is applied ---


def test_nothing_is_wrong_with_a_new_application(cloud: Cloud, tmp_path: Path) -> None:
    path = written(tmp_path / "api.yaml", *application())
    result = ask(cloud, "-f", path)
    assert result.status == ExitStatus.HEALTHY, result.text
    assert subjects(result) == ["Ingress/api"] and result.json["diagnoses"] == []
    assert (result.json["status"], result.json["applied"]) == ("healthy", False)
    assert f"not applied: this is what would be wrong with {path}" in result.stderr
    shown = run("-f", path, env=cloud.env)
    assert "not applied: nothing is wrong with it, as far as" in shown.stdout.splitlines()[-1]
    assert not [a for a in cloud.kube.asked if a.verb not in ("get", "list")], "nothing is written"


@pytest.mark.parametrize(
    ("objects", "code", "words"),
    [
        ([deployment(), ingress(target_type="ip")], "LBD106", "api"),
        ([deployment(), service(), ingress(port=81, target_type="ip")], "LBD107", "81"),
        (application(health_check_path="/x"), "LBD110", "health-check-path"),
        (application(scheme="internet_facing"), "LBD111", "internet_facing"),
        ([deployment(), service(app="apj"), ingress(target_type="ip")], "LBD201", "apj"),
        ([deployment(), service(target="htpp"), ingress(target_type="ip")], "LBD203", "htpp"),
        ([deployment(), service(), ingress(target_type="instance")], "LBD204", "no node port"),
        (application(healthcheck_interval_seconds="5", healthcheck_timeout_seconds="10"), "LBD310", "10"),
    ],
)
def test_what_would_be_wrong(cloud: Cloud, tmp_path: Path, objects: list[Raw], code: str, words: str) -> None:
    path = written(tmp_path / "api.yaml", *objects)
    result = ask(cloud, "-f", path)
    assert code in result.codes, result.text
    expected = ExitStatus.HEALTHY if code == "LBD110" else ExitStatus.FINDINGS  # a warning
    assert (result.status, result.json["applied"]) == (expected, False)
    found = next(d for d in result.json["diagnoses"] if d["code"] == code)
    assert words in found["message"]
    shown = run("-f", path, env=cloud.env).stdout
    assert " annotate " not in shown and " patch " not in shown and "--fix" not in shown, shown


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"scheme": "internet-facing", "load_balancer_attributes": "idle_timeout.timeout_seconds=30"}, ""),
        ({"scheme": "internal"}, "scheme is internal here and internet-facing at ingress/web of namespace shop"),
        ({"load_balancer_attributes": "deletion_protection.enabled=false"}, "load-balancer-attributes is"),
    ],
)
def test_members_of_a_group_must_agree(cloud: Cloud, tmp_path: Path, annotations: dict[str, str], words: str) -> None:
    own = {"group.name": "front", "scheme": "internet-facing"}
    own["load-balancer-attributes"] = "deletion_protection.enabled=true"
    web = cloud.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"]
    web.update({f"{ALB}{key}": value for key, value in own.items()})
    objects = application(**annotations)
    objects[2]["metadata"]["annotations"][f"{ALB}group.name"] = "front"
    result = ask(cloud, "-f", written(tmp_path / "api.yaml", *objects))
    assert result.codes == (["LBD103"] if words else []), result.text
    if words:
        message = result.json["diagnoses"][0]["message"]
        assert words in message and "IngressGroup front" in message


@contextmanager
def without_internet(cloud: Cloud) -> Iterator[None]:
    """The routes to internet gateways are gone meanwhile."""
    ec2 = cloud.aws.client("ec2")
    every = [
        {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": route["DestinationCidrBlock"]}
        | {"GatewayId": route["GatewayId"]}
        for table in ec2.describe_route_tables()["RouteTables"]
        for route in table["Routes"]
        if route.get("GatewayId", "").startswith("igw-")
    ]
    for route in every:
        ec2.delete_route(**{name: route[name] for name in ("RouteTableId", "DestinationCidrBlock")})
    try:
        yield
    finally:
        for route in every:
            ec2.create_route(**route)


def test_subnets_for_a_new_load_balancer(cloud: Cloud, tmp_path: Path) -> None:
    """The subnets have no tags, and no route table leads to an internet gateway any more."""
    with without_internet(cloud):
        internal, public = (
            ask(cloud, "-f", written(tmp_path / "api.yaml", *application(scheme=scheme)))
            for scheme in ("internal", "internet-facing")
        )
    assert (internal.codes, public.codes) == ([], ["LBD511"]), public.text
    message = public.json["diagnoses"][0]["message"]
    assert "0 of 4 subnets suit scheme internet-facing, in 0 zones; 2 zones are needed" in message
    named = written(tmp_path / "named.yaml", *application(subnets="subnet-0123456789abcdef0"))
    assert "no subnet subnet-0123456789abcdef0" in ask(cloud, "-f", named).json["diagnoses"][0]["message"]


def test_a_repair_is_one_of_the_file(cloud: Cloud, tmp_path: Path) -> None:
    path = written(tmp_path / "api.yaml", *application(scheme="internet_facing"))
    shown = run("-f", path, env=cloud.env).stdout
    field = "annotation alb.ingress.kubernetes.io/scheme"
    assert f"in {path}, ingress/api: change {field} from internet_facing to internet-facing" in shown


def test_a_class_that_does_not_exist(cloud: Cloud, tmp_path: Path) -> None:
    objects = application()
    objects[2]["spec"]["ingressClassName"] = "abl"
    assert ask(cloud, "-f", written(tmp_path / "api.yaml", *objects)).codes[0] == "LBD101"
    new = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "abl"},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    }
    assert ask(cloud, "-f", written(tmp_path / "api.yaml", *objects, new)).codes == []


def test_a_controller_that_does_not_run_is_repaired_by_commands(cloud: Cloud, tmp_path: Path) -> None:
    controller = cloud.kube.named("deployments", "kube-system", "apps")[0]
    controller["spec"]["replicas"] = 0
    controller["status"] = {"observedGeneration": 1}
    cloud.kube.objects["", "pods"] = cloud.kube.named("pods")
    result = run("-f", written(tmp_path / "api.yaml", *application()), env=cloud.env)
    assert result.status == ExitStatus.FINDINGS and "LBD102" in result.stdout and " scale deploy" in result.stdout


def test_a_change_of_a_live_object(cloud: Cloud, tmp_path: Path) -> None:
    raw = live(cloud, "services", "", "Service")
    raw["spec"]["selector"] = {"app": "wbe"}
    path = written(tmp_path / "svc.yaml", raw)
    assert ask(cloud, "-f", path).status == ExitStatus.HEALTHY
    before = ask(cloud, "-f", path, "--before-apply")
    assert before.status == ExitStatus.FINDINGS and before.codes[0] == "LBD201", before.text
    changed = live(cloud, "deployments", "apps", "Deployment")
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "wbe"}
    changed["spec"]["selector"]["matchLabels"] = {"app": "wbe"}
    both = ask(cloud, "-f", written(tmp_path / "both.yaml", raw, changed), "--before-apply")
    assert both.codes == [], both.text


def test_what_may_not_be_read_is_unknown(cloud: Cloud, tmp_path: Path) -> None:
    cloud.kube.faults.append(KubeFault("denied", "", ("services",)))
    result = ask(cloud, "-f", written(tmp_path / "api.yaml", *application()))
    assert result.status == ExitStatus.UNKNOWN and result.json["status"] == "unknown", result.text


def test_a_bundle_of_manifests_says_the_same(cloud: Cloud, tmp_path: Path) -> None:
    path, bundle = written(tmp_path / "api.yaml", deployment(), ingress(target_type="ip")), str(tmp_path / "b.json")
    first = ask(cloud, "-f", path, "--save", bundle)
    again = run("--from", bundle, "-o", "json")
    assert again.codes == first.codes == ["LBD106"] and again.json["applied"] is False


def test_nothing_is_repaired_or_probed_before_apply(cloud: Cloud, tmp_path: Path) -> None:
    path = written(tmp_path / "api.yaml", *application())
    for args in (("--fix", "all", "-f", path, "--yes"), ("probe", "-f", path)):
        result = run(*args, env=cloud.env)
        assert result.status == ExitStatus.COULD_NOT_RUN and "nothing of the manifests is live" in result.stderr


# --- Where manifests come from ---


def test_standard_input_lists_and_json(cloud: Cloud) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": application()}
    assert subjects(ask(cloud, "-f", "-", stdin=io.StringIO(json.dumps(listed)))) == ["Ingress/api"]
    typed = ingress()
    del typed["kind"], typed["apiVersion"]
    ingresses = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressList", "items": [typed]}
    assert subjects(ask(cloud, "-f", "-", stdin=io.StringIO(yaml.safe_dump(ingresses)))) == ["Ingress/api"]


def test_directories_and_patterns(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "notes.txt").write_text("kind: nothing")
    written(tmp_path / "a.yaml", service(), deployment())
    written(tmp_path / "b.yml", ingress(target_type="ip"))
    written(tmp_path / "deeper" / "c.json", ingress("deep", target_type="ip"))
    assert subjects(ask(cloud, "-f", str(tmp_path))) == ["Ingress/api"]
    assert subjects(ask(cloud, "-f", str(tmp_path), "-R")) == ["Ingress/api", "Ingress/deep"]
    assert subjects(ask(cloud, "-f", str(tmp_path / "*.y*ml"))) == ["Ingress/api"]
    both = ask(cloud, "-f", str(tmp_path / "a.yaml"), "--filename", str(tmp_path / "b.yml"))
    assert both.codes == [] and subjects(both) == ["Ingress/api"]


def test_namespaces_of_manifests(cloud: Cloud, tmp_path: Path) -> None:
    objects = application()
    for raw in objects:
        raw["metadata"]["namespace"] = "default"
    path = written(tmp_path / "api.yaml", *objects)
    result = ask(cloud, "-f", path)
    assert [s["namespace"] for s in result.json["subjects"]] == ["default"] and result.status == ExitStatus.HEALTHY
    refused = ask(cloud, "-f", path, "-n", NS)
    assert refused.status == ExitStatus.USAGE and 'is of namespace "default", and -n says "shop"' in refused.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "cannot be read in line"),
        ("just words", "a document in it has no kind"),
        ("{kind: ConfigMap, apiVersion: v1}", "it holds ConfigMap"),
        ("", "it holds no object"),
        ("{kind: Service, apiVersion: v1, spec: {}}", "a Service has no metadata.name"),
    ],
)
def test_what_is_no_manifest(cloud: Cloud, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    result = ask(cloud, "-f", str(path))
    assert result.status == ExitStatus.USAGE and words in result.stderr, result.text
    assert (result.json["kind"], result.json["exitCode"]) == ("Error", ExitStatus.USAGE)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("-f", "/nonexistent.yaml"), "cannot read the manifest /nonexistent.yaml: No such file"),
        (("-f", "https://example.com/x.yaml"), "curl -sSL https://example.com/x.yaml | kubectl lbdoctor -f -"),
        (("ing/web", "-f", "x.yaml"), "-f names the objects"),
        (("-f", "x.yaml", "-l", "a=b"), "-f names the objects"),
        (("ing/web", "-R"), "-R goes with -f"),
        (("ing/web", "--before-apply"), "--before-apply goes with -f"),
        (("-f", "x.yaml", "--from", "b.json"), "-f is compared with a cluster"),
    ],
)
def test_flags_that_do_not_go_together(cloud: Cloud, args: tuple[str, ...], words: str) -> None:
    result = ask(cloud, *args)
    assert result.status == ExitStatus.USAGE and words in result.stderr, result.text
    assert (result.json["kind"], result.json["exitCode"]) == ("Error", ExitStatus.USAGE)


@pytest.mark.parametrize(
    "text",
    [
        "kind: List\nitems: &i\n- kind: List\n  items: *i\n",
        "&a\nkind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata: {name: web, labels: *a}\n",
        "&a [*a]\n",
    ],
)
def test_a_manifest_that_holds_itself(cloud: Cloud, tmp_path: Path, text: str) -> None:
    place = tmp_path / "m.yaml"
    place.write_text(text)
    for flags in ([], ["--before-apply"]):
        result = run("-f", str(place), *flags, env=cloud.env)
        assert result.status == ExitStatus.USAGE and "this is a bug" not in result.stderr, result.text
        assert "is no manifest: " in result.stderr, result.text


@pytest.mark.parametrize("place", ["a" * 300, "a" * 300 + "/*.yaml"])
def test_a_name_that_no_file_can_have(cloud: Cloud, place: str) -> None:
    result = run("-f", place, env=cloud.env)
    assert result.status == ExitStatus.USAGE and "cannot read the manifest" in result.stderr, result.text
