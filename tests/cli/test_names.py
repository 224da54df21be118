"""What people type to name an object, in the whole program: which objects are diagnosed, and what is said of others."""

from __future__ import annotations

import io
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.faults import KubeFault
from tests.support.program import Result, Terminal, run
from tests.support.shop import NS, Raw, meta

WEB, BINDING = ("Ingress", NS, "web"), ("TargetGroupBinding", NS, "k8s-shop-web-fdbb6ec3c4")


def ask(cloud: Cloud, *args: str, **more: Any) -> Result:
    return run(*args, "-o", "json", env=cloud.env, **more)


def is_error_document(result: Result) -> bool:
    return (result.json["kind"], result.json["exitCode"]) == ("Error", result.status)


def subjects(result: Result) -> list[tuple[str, str, str]]:
    assert result.stdout, result.text
    return [(s["kind"], s["namespace"], s["name"]) for s in result.json["subjects"]]


def add_service(cloud: Cloud, name: str, selector: dict[str, str], namespace: str = NS, **spec: Any) -> Raw:
    port = {"port": 80, "protocol": "TCP", "targetPort": 8080}
    raw = {
        "metadata": meta(name, namespace),
        "spec": {"type": "ClusterIP", "selector": selector, "ports": [port], **spec},
        "status": {"loadBalancer": {}},
    }
    cloud.kube.objects["", "services"].append(raw)
    return raw


def add_ingress(cloud: Cloud, name: str, *rules: tuple[str, str, str], namespace: str = NS, **more: Any) -> Raw:
    """rules: (host, path, Service)."""
    entries = []
    for host, path, service in rules:
        backend = {"service": {"name": service, "port": {"number": 80}}}
        entry: Raw = {"http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
        entries.append({**entry, **({"host": host} if host else {})})
    raw = {
        "metadata": meta(name, namespace, **more),
        "spec": {"ingressClassName": "alb", "rules": entries},
        "status": {},
    }
    cloud.kube.objects["networking.k8s.io", "ingresses"].append(raw)
    return raw


# --- Kinds and names as kubectl takes them ---


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ingress.networking.k8s.io/web"], [WEB]),
        (["ingress.v1.networking.k8s.io/web"], [WEB]),
        (["ing.networking.k8s.io", "web"], [WEB]),
        (["Ingresses.v1.networking.k8s.io", "web"], [WEB]),
        (["targetgroupbinding.elbv2.k8s.aws/k8s-shop-web-fdbb6ec3c4"], [BINDING]),
        (["ing,svc", "web"], [WEB, ("Service", NS, "web")]),
        (["ing,svc/web"], [WEB, ("Service", NS, "web")]),
        (["ing/web", "svc/web", "ing/web"], [WEB, ("Service", NS, "web")]),
        (["services.v1.", "web"], [("Service", NS, "web")]),
        (["shop/web"], [WEB]),
        (["ing", "shop/web"], [WEB]),
        (["svc", "shop/web"], [("Service", NS, "web")]),
        (["ns/shop"], [WEB]),
    ],
)
def test_spellings(cloud: Cloud, words: list[str], expected: list[tuple[str, str, str]]) -> None:
    assert subjects(ask(cloud, *words)) == expected


def test_what_is_named_by_its_namespace_needs_no_flag(cloud: Cloud) -> None:
    result = ask(cloud, "shop/web", "-n", "default")
    assert subjects(result) == [WEB] and result.status == ExitStatus.HEALTHY


def test_a_service_that_no_load_balancer_is_made_from_is_found_as_the_table_shows_it(cloud: Cloud) -> None:
    add_service(cloud, "api", {"app": "web"})
    assert subjects(ask(cloud, "shop/api")) == [("Service", NS, "api")]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("ingres/web", "did you mean ingress/web?"),
        ("shop/wbe", 'nothing named "wbe" leads to targets in namespace "shop"'),
        ("nowhere/web", "neither a kind nor a namespace"),
        ("gateway/web", 'Gateway "web" not found in namespace "shop"'),
        ("httproute.gateway.networking.k8s.io/web", 'HTTPRoute "web" not found in namespace "shop"'),
        ("secret/web", "are in ACM or IAM"),
        ("configmap/web", "no load balancer is made from it"),
        ("web", 'there is no command "web"'),
        ("web.yaml", "-f web.yaml"),
        ("arn:aws:iam::123456789012:role/x", "neither a target group nor a load balancer"),
    ],
)
def test_a_word_that_names_nothing(cloud: Cloud, word: str, words: str) -> None:
    result = ask(cloud, word)
    assert result.status in (ExitStatus.USAGE, ExitStatus.COULD_NOT_RUN) and is_error_document(result)
    assert words in result.stderr, result.stderr


@pytest.mark.parametrize("flag", ["-k", "--sort-by", "--show-labels", "-L", "--raw", "-q"])
def test_flags_of_kubectl_get_that_are_not_taken(flag: str) -> None:
    for args in (("ing", "web", flag), (flag, "ing"), (f"{flag}=x", "ing/web"), ("checks", flag)):
        result = run(*args, "-o", "json")
        assert result.status == ExitStatus.USAGE and f"error: {flag} is not taken" in result.stderr
        assert "hint: " in result.stderr and "Did you mean" not in result.stderr
        assert is_error_document(result)


GET = """
    --allow-missing-template-keys --chunk-size --field-selector --filename --ignore-not-found
    --kustomize --label-columns --no-headers --output --output-watch-events --raw --recursive --selector --server-print
    --show-kind --show-labels --show-managed-fields --sort-by --subresource --template --watch-only
"""
"""What `kubectl get --help` of 1.34 lists, but for --all-namespaces and --watch, which a scan takes."""


@pytest.mark.parametrize("flag", GET.split())
def test_every_flag_of_kubectl_get_is_taken_or_refused_with_a_reason(flag: str) -> None:
    assert "No such option" not in run("ing", "web", flag).stderr


@pytest.mark.parametrize(
    ("flag", "long", "instead"),
    [
        ("-A", "--all-namespaces", "kubectl lbdoctor scan -A"),
        ("--all-namespaces", "--all-namespaces", "kubectl lbdoctor scan -A"),
        ("-w", "--watch", "kubectl lbdoctor scan -w"),
    ],
)
def test_flags_that_only_a_scan_takes(cloud: Cloud, flag: str, long: str, instead: str) -> None:
    for args, name in ((("ing", flag), flag), ((flag, "ing"), long)):
        result = ask(cloud, *args)
        assert result.status == ExitStatus.USAGE and f"error: ing takes no {name}\n" in result.stderr
        assert f"{instead}\n" in result.stderr


# --- All of a namespace ---


def test_a_kind_without_a_name_is_all_of_the_namespace(cloud: Cloud) -> None:
    add_ingress(cloud, "api", ("api.example.com", "/", "web"))
    add_ingress(cloud, "elsewhere", ("", "/", "web"), namespace="default")
    assert subjects(ask(cloud, "ing")) == [("Ingress", NS, "api"), WEB]
    # A binding that was made for an Ingress is diagnosed with it.
    assert subjects(ask(cloud, "ing,tgb")) == [("Ingress", NS, "api"), WEB]
    assert subjects(ask(cloud, "tgb")) == [BINDING]


def test_only_services_that_are_load_balancers_are_swept(cloud: Cloud) -> None:
    result = ask(cloud, "svc")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "namespace shop has no Service of type LoadBalancer" in result.stderr
    add_service(cloud, "api", {"app": "web"}, type="LoadBalancer", loadBalancerClass="service.k8s.aws/nlb")
    assert subjects(ask(cloud, "svc")) == [("Service", NS, "api")]


def test_what_another_controller_makes_is_no_part_of_a_namespace(cloud: Cloud) -> None:
    foreign = add_ingress(cloud, "internal", ("", "/", "web"))
    foreign["spec"]["ingressClassName"] = "nginx"
    nginx = {"metadata": {"name": "nginx", "uid": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}
    cloud.kube.objects["networking.k8s.io", "ingressclasses"].append(nginx)
    result = ask(cloud, "ing")
    assert subjects(result) == [WEB] and result.status == ExitStatus.HEALTHY
    assert "left out, because of another controller: ingress/internal" in result.stderr
    # By its name it is diagnosed.
    assert subjects(ask(cloud, "ing", "internal")) == [("Ingress", NS, "internal")]
    cloud.kube.objects["networking.k8s.io", "ingresses"] = [foreign]
    alone = ask(cloud, "ing")
    assert alone.status == ExitStatus.COULD_NOT_RUN and "ingress/internal" in alone.stderr


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (("ing", "-l", "tier=front"), ["api"]),
        (("ing", "-l", "tier!=front"), ["web"]),
        (("-l", "tier=front"), ["api"]),
        (("ing", "--selector=tier in (front,back)"), ["api"]),
        (("ing", "--field-selector", "metadata.name=web"), ["web"]),
        (("deploy", "-l", "app=web"), ["web"]),
    ],
)
def test_selectors_are_evaluated_by_the_server(cloud: Cloud, args: tuple[str, ...], names: list[str]) -> None:
    add_ingress(cloud, "api", ("api.example.com", "/", "other"), labels={"tier": "front"})
    assert [name for _, _, name in subjects(ask(cloud, *args))] == names
    wanted = " ".join(args).replace("--selector=", "-l ").split(" ", 2)
    assert any("elector" in str(asked) for asked in cloud.kube.asked), wanted


def test_a_selector_beside_a_name_is_refused(cloud: Cloud) -> None:
    result = ask(cloud, "ing", "web", "-l", "app=web")
    assert result.status == ExitStatus.USAGE and "a name cannot be given together with a selector" in result.stderr


def test_nothing_has_the_labels(cloud: Cloud) -> None:
    result = ask(cloud, "ing", "-l", "app=nothing")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "namespace shop has no Ingress with these labels" in result.stderr


# --- Standard input ---


def test_names_from_standard_input(cloud: Cloud) -> None:
    names = io.StringIO("ingress.networking.k8s.io/web\ntargetgroupbinding.elbv2.k8s.aws/k8s-shop-web-fdbb6ec3c4\n")
    assert subjects(ask(cloud, "-", stdin=names)) == [WEB, BINDING]
    assert subjects(ask(cloud, "ing", "-", stdin=io.StringIO("web"))) == [WEB]


@pytest.mark.parametrize(
    ("stdin", "words"), [(Terminal("x"), "is a terminal"), (io.StringIO(" \n"), "names no object")]
)
def test_standard_input_without_names(cloud: Cloud, stdin: io.StringIO, words: str) -> None:
    result = ask(cloud, "-", stdin=stdin)
    assert result.status == ExitStatus.USAGE and is_error_document(result) and words in result.stderr


# --- Several names, some missing ---


def test_the_others_are_diagnosed(cloud: Cloud) -> None:
    result = ask(cloud, "ing/web", "svc/wep", "deploy/gone")
    assert subjects(result) == [WEB] and result.json["status"] == "healthy"
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert 'error: Service "wep" not found in namespace "shop"\nhint: did you mean service/web?' in result.stderr
    assert 'error: Deployment "gone" not found in namespace "shop"' in result.stderr


def test_findings_of_the_others_decide_the_status(cloud: Cloud) -> None:
    cloud.wrong_path()
    assert ask(cloud, "ing/web", "ing/gone").status == ExitStatus.FINDINGS


def test_a_fix_changes_nothing_where_one_is_missing(cloud: Cloud) -> None:
    cloud.wrong_path()
    result = run("--fix", "healthcheck-path", "ing/web", "ing/gone", "--yes", env=cloud.env)
    assert result.status == ExitStatus.COULD_NOT_RUN and '"gone" not found' in result.stderr
    assert not [asked for asked in cloud.kube.asked if asked.verb == "patch"]


def test_a_wrong_name_in_another_namespace(cloud: Cloud) -> None:
    result = ask(cloud, "ing", "web", "-n", "default")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "hint: it is in namespace shop: choose it with -n" in result.stderr
    lists = [a for a in cloud.kube.asked if a.resource == "ingresses" and a.verb == "list" and not a.namespace]
    assert len(lists) == 1, "one list, which the server filters"


def test_other_namespaces_may_not_be_listed(cloud: Cloud) -> None:
    cloud.kube.faults.append(KubeFault("denied", "networking.k8s.io", ("ingresses",), where=lambda space: not space))
    result = ask(cloud, "ing", "web", "-n", "default")
    assert result.status == ExitStatus.COULD_NOT_RUN and "kubectl get ingress -A" in result.stderr


def test_a_name_of_another_kind(cloud: Cloud) -> None:
    add_service(cloud, "backend", {"app": "web"})
    assert "hint: did you mean service/backend?" in ask(cloud, "ing/backend").stderr


# --- From workloads to what leads to them ---


@pytest.mark.parametrize(
    "words",
    [
        ["deploy/web"],
        ["deployment.apps/web"],
        ["deployments", "web"],
        ["rs/web-abc"],
        ["pod/web-abc-1"],
        ["po", "web-abc-1", "web-abc-2"],
        ["endpointslice/web-x1"],
        ["ep/web"],
        ["node/node1"],
        ["no", "node2", "-n", "shop"],
    ],
)
def test_workloads_lead_to_their_frontends(cloud: Cloud, words: list[str]) -> None:
    result = ask(cloud, *words)
    assert subjects(result) == [WEB] and result.status == ExitStatus.HEALTHY
    assert "ingress/web" in result.stderr


def test_every_frontend_of_a_workload(cloud: Cloud) -> None:
    add_service(cloud, "api", {"app": "web"}, type="LoadBalancer")
    add_ingress(cloud, "second", ("", "/", "api"))
    assert subjects(ask(cloud, "deploy/web")) == [
        ("Ingress", NS, "second"),
        WEB,
        ("Service", NS, "api"),
    ]


def test_no_service_selects_the_pods(cloud: Cloud) -> None:
    cloud.kube.named("services")[0]["spec"]["selector"] = {"app": "wbe"}
    result = ask(cloud, "deploy/web")
    assert result.status == ExitStatus.COULD_NOT_RUN and is_error_document(result)
    assert "no Service of namespace shop selects its pods (app=web)" in result.stderr
    assert "hint: service/web selects app=wbe" in result.stderr


def test_no_frontend_names_the_service(cloud: Cloud) -> None:
    cloud.kube.objects["networking.k8s.io", "ingresses"].clear()
    result = ask(cloud, "pod/web-abc-1")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "no load balancer leads to pod/web-abc-1: service/web is not of type LoadBalancer" in result.stderr
    assert "no load balancer of any namespace leads to node/node1" in ask(cloud, "node/node1").stderr


def test_a_workload_that_does_not_exist(cloud: Cloud) -> None:
    assert "did you mean deployment/web?" in ask(cloud, "deploy/wbe").stderr
    assert "it is in namespace shop" in ask(cloud, "deploy/web", "-n", "default").stderr


# --- Sites ---


def sites(cloud: Cloud) -> None:
    """Hosts beside the Ingress web, which answers for any host."""
    for name in ("api", "images"):
        add_service(cloud, name, {"app": name})
    add_ingress(cloud, "hosts", ("shop.example.com", "/api", "api"), ("shop.example.com", "/", "images"))
    add_ingress(cloud, "wild", ("*.apps.example.com", "/", "api"))
    annotated = {"external-dns.alpha.kubernetes.io/hostname": "www.example.com, old.example.com"}
    add_ingress(cloud, "annotated", ("", "/", "api"), annotations=annotated)
    add_service(cloud, "tcp", {"app": "web"}, type="LoadBalancer")["metadata"]["annotations"] = {
        "external-dns.alpha.kubernetes.io/hostname": "tcp.example.com."
    }


@pytest.mark.parametrize(
    ("word", "expected", "note"),
    [
        ("https://shop.example.com/api/v1?x=1", ("Ingress", "hosts"), "rule shop.example.com/api leads to service api"),
        ("shop.example.com/logo.png", ("Ingress", "hosts"), "rule shop.example.com/ leads to service images"),
        ("SHOP.example.com", ("Ingress", "hosts"), "is answered by ingress/hosts -n shop"),
        ("https://a.b.apps.example.com:8443/", ("Ingress", "wild"), "rule *.apps.example.com/ leads to service api"),
        ("http://old.example.com/", ("Ingress", "annotated"), "rule */ leads to service api"),
        ("tcp.example.com", ("Service", "tcp"), "is answered by service/tcp -n shop"),
    ],
)
def test_a_site_leads_to_who_answers_for_it(cloud: Cloud, word: str, expected: tuple[str, str], note: str) -> None:
    sites(cloud)
    result = ask(cloud, word, "-n", "default")
    assert [(kind, name) for kind, _, name in subjects(result)] == [expected]
    assert note in result.stderr


def test_the_rule_that_stands_first_answers(cloud: Cloud) -> None:
    """The controller sorts the paths of one rule, and leaves rules in their order."""
    for name in ("api", "all"):
        add_service(cloud, name, {"app": name})
    add_ingress(cloud, "hosts", ("shop.example.com", "/", "all"), ("shop.example.com", "/api", "api"))
    assert "rule shop.example.com/ leads to service all" in ask(cloud, "shop.example.com/api").stderr


def test_a_member_of_the_group_that_comes_before_answers(cloud: Cloud) -> None:
    group = {"alb.ingress.kubernetes.io/group.name": "front"}
    add_ingress(cloud, "late", ("shop.example.com", "/", "web"), annotations=group)
    early = {**group, "alb.ingress.kubernetes.io/group.order": "-1"}
    add_ingress(cloud, "zz-early", ("", "/api", "web"), annotations=early)
    assert subjects(ask(cloud, "shop.example.com/api")) == [("Ingress", NS, "zz-early")]
    assert subjects(ask(cloud, "shop.example.com/")) == [("Ingress", NS, "late")]


def test_a_default_backend_comes_after_the_rules_of_all_members(cloud: Cloud) -> None:
    """It is the listener's default action, whichever place its Ingress has in the group."""
    group = {"alb.ingress.kubernetes.io/group.name": "front"}
    first = add_ingress(cloud, "aa-first", ("first.example.com", "/", "web"), annotations=group)
    first["spec"]["defaultBackend"] = {"service": {"name": "fallback", "port": {"number": 80}}}
    add_ingress(cloud, "late", ("shop.example.com", "/cart", "web"), annotations=group)
    assert subjects(ask(cloud, "shop.example.com/cart")) == [("Ingress", NS, "late")]
    other = ask(cloud, "shop.example.com/else")
    assert subjects(other) == [("Ingress", NS, "aa-first")] and "rule default backend" in other.stderr


def test_ingresses_that_their_class_puts_into_one_group_share_a_load_balancer(cloud: Cloud) -> None:
    """By IngressClassParams, which win over annotations."""
    add_ingress(cloud, "hosts", ("shop.example.com", "/", "web"))
    before = {"alb.ingress.kubernetes.io/group.order": "-1"}
    add_ingress(cloud, "any", ("", "/api", "web"), annotations=before)
    assert subjects(ask(cloud, "shop.example.com/api")) == [("Ingress", NS, "hosts")]
    parameters = {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "shared"}
    cloud.kube.objects["networking.k8s.io", "ingressclasses"][0]["spec"]["parameters"] = parameters
    made = {"metadata": {"name": "shared", "uid": "shared"}, "spec": {"group": {"name": "front"}}}
    cloud.kube.objects["elbv2.k8s.aws", "ingressclassparams"].append(made)
    assert subjects(ask(cloud, "shop.example.com/api")) == [("Ingress", NS, "any")]


def test_the_name_of_the_load_balancer_itself(cloud: Cloud) -> None:
    sites(cloud)
    for word in (cloud.aws.host, f"http://{cloud.aws.host}/x", f"dualstack.{cloud.aws.host}"):
        assert subjects(ask(cloud, word)) == [WEB], word


def test_the_path_of_the_url_comes_first(cloud: Cloud) -> None:
    backends = cloud.kube.named("ingresses", group="networking.k8s.io")[0]["spec"]["rules"][0]["http"]["paths"]
    add_service(cloud, "first", {"app": "web"})
    first = deepcopy(backends[0])
    first["path"], first["backend"]["service"]["name"] = "/first", "first"
    backends.insert(0, first)
    binding = deepcopy(cloud.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0])
    binding["metadata"]["name"], binding["spec"]["serviceRef"]["name"] = "k8s-shop-first-0000000000", "first"
    other = cloud.aws.group_arn.replace("targetgroup/", "targetgroup/first-", 1)
    binding["spec"]["targetGroupARN"] = other
    cloud.kube.objects["elbv2.k8s.aws", "targetgroupbindings"].append(binding)

    def order(word: str) -> list[str]:
        groups = ask(cloud, word).json["subjects"][0]["targetGroups"]
        return [group["backend"]["service"] for group in groups]

    assert order(f"http://{cloud.aws.host}/x") == ["web", "first"]
    assert order(f"http://{cloud.aws.host}/first") == ["first", "web"]
    assert order("ing/web") == ["first", "web"]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("https://shop.example.org/", "did you mean shop.example.com?"),
        ("nothing.test", "answers for any host"),
        ("http://", "is no URL with a host"),
        ("http://[::1/", "is no URL"),
    ],
)
def test_nobody_answers_for_a_site(cloud: Cloud, word: str, words: str) -> None:
    sites(cloud)
    result = ask(cloud, word)
    assert result.status in (ExitStatus.USAGE, ExitStatus.COULD_NOT_RUN) and is_error_document(result)
    assert words in result.stderr, result.stderr


def test_no_rule_for_the_path(cloud: Cloud) -> None:
    add_ingress(cloud, "only", ("only.example.com", "/api", "web"))
    result = ask(cloud, "https://only.example.com/apix")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "no rule of ingress/only -n shop matches only.example.com/apix" in result.stderr
    assert "answers it with 404" in result.stderr and "its rules: only.example.com/api" in result.stderr


# --- Sites of Gateways ---

API = "gateway.networking.k8s.io"


def add_gateway(cloud: Cloud, name: str = "front", **more: Any) -> None:
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}, {"name": "https", "port": 443, "protocol": "HTTPS"}]
    raw = {
        "metadata": meta(name, NS, **more),
        "spec": {"gatewayClassName": "aws-alb", "listeners": listeners},
        "status": {"addresses": [{"type": "Hostname", "value": "k8s-shop-front-0.us-west-2.elb.amazonaws.com"}]},
    }
    cloud.kube.objects.setdefault((API, "gateways"), []).append(raw)


def add_route(cloud: Cloud, name: str, path: str, *hosts: str, section: str = "", **rule: Any) -> None:
    backends = [{"name": "web", "port": 80, "kind": "Service", "group": ""}]
    match = {"matches": [{"path": {"type": "PathPrefix", "value": path}}]}
    raw = {
        "metadata": meta(name, NS),
        "spec": {
            "parentRefs": [{"name": "front", **({"sectionName": section} if section else {})}],
            "hostnames": list(hosts),
            "rules": [{**match, "backendRefs": backends, **rule}],
        },
        "status": {},
    }
    cloud.kube.objects.setdefault((API, "httproutes"), []).append(raw)


@pytest.fixture
def gateways(cloud: Cloud) -> Cloud:
    add_gateway(cloud, annotations={"external-dns.alpha.kubernetes.io/hostname": "www.example.com"})
    add_route(cloud, "api", "/api", "shop.example.com", section="https")
    add_route(cloud, "site", "/", "shop.example.com", "*.apps.example.com", section="https")
    redirect = [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]
    add_route(cloud, "redirect", "/", section="http", filters=redirect, backendRefs=[])
    return cloud


@pytest.mark.parametrize(
    ("word", "expected", "note"),
    [
        ("https://shop.example.com/api/v1", {"api"}, "rule shop.example.com/api leads to service web"),
        (
            "https://shop.example.com/logo.png",
            {"site"},
            "*.apps.example.com/ leads to service web",
        ),
        ("shop.example.com", {"api", "site"}, "shop.example.com is answered by httproute/api -n shop"),
        ("https://a.b.apps.example.com/", {"site"}, "leads to service web"),
        ("http://www.example.com/x", {"redirect"}, "is answered by httproute/redirect -n shop"),
    ],
)
def test_a_site_leads_to_routes_of_gateways(gateways: Cloud, word: str, expected: set[str], note: str) -> None:
    result = ask(gateways, word, "-n", "default")
    assert {name for kind, _, name in subjects(result) if kind == "HTTPRoute"} == expected
    assert note in result.stderr


def test_the_name_of_a_gateways_load_balancer_leads_to_the_gateway(gateways: Cloud) -> None:
    for word in ("k8s-shop-front-0.us-west-2.elb.amazonaws.com", "www.example.com"):
        assert subjects(ask(gateways, word)) == [("Gateway", NS, "front")], word


def test_no_rule_of_a_gateway_for_the_path(cloud: Cloud) -> None:
    add_gateway(cloud)
    add_route(cloud, "api", "/api", "only.example.com")
    result = ask(cloud, "https://only.example.com/other")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert "no rule of gateway/front -n shop matches only.example.com/other" in result.stderr
    assert "its rules: only.example.com/api" in result.stderr


def test_who_may_not_list_gateways_still_finds_an_ingress(gateways: Cloud) -> None:
    sites(gateways)
    gateways.kube.faults.append(KubeFault("denied", API, ("gateways",)))
    assert subjects(ask(gateways, "https://www.example.com/")) == [("Ingress", NS, "annotated")]
    result = ask(gateways, "https://a.b.nothing.test/")
    assert result.status == ExitStatus.COULD_NOT_RUN and "list gateways" in result.stderr


# --- What alarms name ---


def test_what_an_alarm_names_needs_no_kind(cloud: Cloud) -> None:
    names = (cloud.aws.group_arn, cloud.aws.group_arn.split("/")[1], cloud.aws.host)
    for word in names:
        assert subjects(ask(cloud, word, "-n", "default")) == [WEB], word
    result = ask(cloud, "k8s-shop-nothing-0000000000")
    assert result.status == ExitStatus.COULD_NOT_RUN
    assert (
        'no target group and no load balancer of this cluster is named "k8s-shop-nothing-0000000000"' in result.stderr
    )


# --- Bundles ---


@pytest.mark.parametrize(
    "words",
    [
        ["ing"],
        ["ing,svc,tgb"],
        ["shop/web"],
        ["deploy/web"],
        ["pod/web-abc-1"],
        ["node/node1"],
        ["tg", "k8s-shop-web-fdbb6ec3c4"],
        ["ing", "--field-selector=metadata.name=web"],
    ],
)
def test_a_bundle_is_asked_in_the_same_words(cloud: Cloud, tmp_path: Path, words: list[str]) -> None:
    bundle = str(tmp_path / "bundle.json")
    ask(cloud, "ing/web", "--save", bundle)
    assert subjects(run("--from", bundle, *words, "-o", "json")) == [WEB]


def test_a_bundle_is_not_about_everything_that_it_holds(cloud: Cloud, tmp_path: Path) -> None:
    add_service(cloud, "api", {"app": "web"}, type="LoadBalancer")
    bundle = str(tmp_path / "bundle.json")
    ask(cloud, "ing/web", "--save", bundle)
    refused = run("--from", bundle, "svc")
    assert (
        refused.status == ExitStatus.COULD_NOT_RUN and "the bundle is not about service/api -n shop" in refused.stderr
    )
    assert "a bundle cannot be searched by labels" in run("--from", bundle, "ing", "-l", "a=b").stderr


def test_probes_are_sent_for_what_a_workload_leads_to(cloud: Cloud) -> None:
    result = run("probe", "deploy/web", env=cloud.env)
    assert result.status == ExitStatus.HEALTHY and "2 of 2 targets answer" in result.stdout, result.text
