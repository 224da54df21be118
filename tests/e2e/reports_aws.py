"""Faults from public reports: what people changed in AWS or by hand beside the controller, and what answers nobody.

The comment above each says what the reporter met. Expectations were written from the report, before the doctor saw it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.e2e.network import made_group, tcp
from tests.e2e.reports_more import GITHUB, LBC, gateway_classes
from tests.e2e.scenarios import ALB, REFUSED, TIMEOUT, Manifests, Scenario, empty, event, healthy, settled, unhealthy
from tests.e2e.scenarios_objects import both, outside_group
from tests.lab import examples
from tests.lab import gateway_examples as gateways
from tests.lab.api import Lab

_UNUSED = "Target.NotInUse"


def _balancer(lab: Lab, ns: str) -> str:
    return lab.load_balancer_arn("ingress", "web", ns)


def _listeners(lab: Lab, ns: str) -> dict[int, str]:
    found = lab.aws("elbv2").describe_listeners(LoadBalancerArn=_balancer(lab, ns))["Listeners"]
    return {listener["Port"]: listener["ListenerArn"] for listener in found}


def _rules(lab: Lab, ns: str) -> list[dict[str, Any]]:
    answers = (lab.aws("elbv2").describe_rules(ListenerArn=arn) for arn in _listeners(lab, ns).values())
    return [rule for answer in answers for rule in answer["Rules"] if not rule["IsDefault"]]


def _unused(lab: Lab, ns: str) -> object:
    return lab.wait_targets(ns, "unused", _UNUSED)


# --- AWS, by hand ----------------------------------------------------------------------------------------------------


@contextmanager
def _balancer_deleted(lab: Lab, ns: str) -> Iterator[None]:
    lab.aws("elbv2").delete_load_balancer(LoadBalancerArn=_balancer(lab, ns))
    yield


@contextmanager
def _group_deleted(lab: Lab, ns: str) -> Iterator[None]:
    """With the rules that lead to it, as AWS wants it."""
    for rule in _rules(lab, ns):
        lab.aws("elbv2").delete_rule(RuleArn=rule["RuleArn"])
    for arn in lab.target_group_arns(ns):
        lab.aws("elbv2").delete_target_group(TargetGroupArn=arn)
    yield


@contextmanager
def _listener_deleted(lab: Lab, ns: str) -> Iterator[None]:
    lab.aws("elbv2").delete_listener(ListenerArn=_listeners(lab, ns)[8081])
    yield


@contextmanager
def _maintenance(lab: Lab, ns: str) -> Iterator[None]:
    """A rule before all others answers every request with 503."""
    elb, listener = lab.aws("elbv2"), _listeners(lab, ns)[80]
    moved = [{"RuleArn": rule["RuleArn"], "Priority": 100 + n} for n, rule in enumerate(_rules(lab, ns))]
    elb.set_rule_priorities(RulePriorities=moved)
    answer = {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "back soon"}
    elb.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": answer}],
    )
    yield


@contextmanager
def _led_elsewhere(lab: Lab, ns: str) -> Iterator[None]:
    """Somebody leads the rule to a target group of before."""
    elb, name = lab.aws("elbv2"), f"old-{secrets.token_hex(4)}"
    place = {"Protocol": "HTTP", "Port": 80, "VpcId": lab.state["vpc_id"], "TargetType": "ip"}
    old = elb.create_target_group(Name=name, **place)["TargetGroups"][0]["TargetGroupArn"]
    for rule in _rules(lab, ns):
        elb.modify_rule(RuleArn=rule["RuleArn"], Actions=[{"Type": "forward", "TargetGroupArn": old}])
    try:
        yield
    finally:
        lab.clean(ns)
        elb.delete_target_group(TargetGroupArn=old)


@contextmanager
def _groups_replaced(lab: Lab, ns: str) -> Iterator[None]:
    """The load balancer gets a group of somebody's own in place of the controller's."""
    with made_group(lab, f"by-hand-{ns}", ingress=[tcp(80, cidrs=["0.0.0.0/0"])]) as group:
        lab.aws("elbv2").set_security_groups(LoadBalancerArn=_balancer(lab, ns), SecurityGroups=[group])
        try:
            yield
        finally:
            lab.clean(ns)


@contextmanager
def _own_binding(lab: Lab, ns: str) -> Iterator[None]:
    """It opens the Service's port to the load balancer, and the pods listen on another one."""
    source = {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"protocol": "TCP", "port": 80}]}
    with ExitStack() as undo:
        spec = {
            "serviceRef": {"name": "web", "port": 80},
            "targetGroupARN": undo.enter_context(outside_group(lab)),
            "targetType": "ip",
            "networking": {"ingress": [source]},
        }
        undo.callback(lab.kubectl, "delete", "targetgroupbinding", "own", "-n", ns, "--wait=true", check=False)
        metadata = {"name": "own"}
        lab.apply(
            {"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding", "metadata": metadata, "spec": spec},
            ns,
        )
        yield


# --- objects ---------------------------------------------------------------------------------------------------------


def _tls_on_one_side() -> Manifests:
    """The check speaks TLS to the pods, as they want it, and the requests do not."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTPS"}, "periodSeconds": 1}
    return examples.alb_ip(
        annotations={f"{ALB}healthcheck-protocol": "HTTPS"},
        app={"args": ("--listen", "https://:8080", "--path", "/healthz=200"), "readiness": probe},
    )


def _without_selector() -> Manifests:
    manifests = examples.alb_instance()
    del examples.find(manifests, "Service")["spec"]["selector"]
    return manifests


@contextmanager
def _endpoints_without_port_name(lab: Lab, ns: str) -> Iterator[None]:
    addresses = [{"ip": pod["status"]["podIP"]} for pod in lab.wait_ready_pods(ns, "app=web", 2)]
    subsets = [{"addresses": addresses, "ports": [{"port": 8080}]}]
    lab.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}, "subsets": subsets}, ns)
    yield


@contextmanager
def _slice_without_label(lab: Lab, ns: str) -> Iterator[None]:
    pods = lab.wait_ready_pods(ns, "app=web", 2)
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1"},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}} for pod in pods],
    }
    lab.apply(piece, ns)
    yield


def _left_to_another_proxy() -> Manifests:
    manifests = examples.alb_instance()
    examples.find(manifests, "Service")["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "cilium"}
    return manifests


@contextmanager
def _paused_and_mended(lab: Lab, ns: str) -> Iterator[None]:
    """The port gets its right name in the template of a Deployment that somebody has paused."""
    lab.wait_ready_pods(ns, "app=web", 2)
    lab.kubectl("rollout", "pause", "deployment/web", "-n", ns)
    path = "/spec/template/spec/containers/0/ports/0/name"
    lab.patch("deployment", "web", ns, [{"op": "replace", "path": path, "value": "http"}])
    yield


def _named(name: str, protocol: str = "TCP") -> Manifests:
    ports = [{"name": name, "containerPort": 8080, "protocol": protocol}]
    return examples.alb_ip(app={"ports": ports}, service={"target_port": "http"})


def _bare_path() -> Manifests:
    """What the chart that `helm create` makes has by default."""
    manifests = examples.alb_ip()
    examples.find(manifests, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = "ImplementationSpecific"
    return manifests


def _tls_alone() -> Manifests:
    manifests = examples.alb_ip(ingress={"host": "shop.example.com"})
    examples.find(manifests, "Ingress")["spec"]["tls"] = [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}]
    return manifests


def _two_defaults() -> Manifests:
    group = f"g-{secrets.token_hex(3)}"
    stacks = [examples.alb_ip(name=name, ingress={"group": group}) for name in ("web", "api")]
    for stack, name in zip(stacks, ("web", "api"), strict=True):
        backend = {"service": {"name": name, "port": {"number": 80}}}
        examples.find(stack, "Ingress")["spec"] = {"ingressClassName": "alb", "defaultBackend": backend}
    return [manifest for stack in stacks for manifest in stack]


def _set_of_a_closed_gateway() -> Manifests:
    return [
        *gateways.alb_ip(),
        gateways.listener_set("more"),
        gateways.route(name="more", parent={"kind": "ListenerSet", "name": "more", "group": gateways.API}),
    ]


def _rule_without_backend() -> Manifests:
    nowhere = gateways.route(name="old", hostnames=["old.example.com"])
    nowhere["spec"]["rules"] = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]
    return [*gateways.alb_ip(), nowhere]


SCENARIOS: list[Scenario] = [
    # A load balancer was deleted in the console; the controller reports success all the while.
    Scenario(
        "load-balancer-deleted-in-aws",
        examples.alb_ip,
        ["LBD229"],
        _unused,
        fault=_balancer_deleted,
        object="Ingress/web",
        also=["LBD209"],
        says=["annotate ingress/web"],
        report=LBC + "issues/161",
    ),
    # A target group was deleted; its binding names it still, and keeps the name from the next one.
    Scenario(
        "target-group-deleted-in-aws",
        examples.alb_ip,
        ["LBD113"],
        settled(3),
        fault=_group_deleted,
        says=["delete targetgroupbinding", "annotate ingress/web"],
        report=LBC + "issues/3493",
    ),
    # One of two listeners was deleted: the targets are healthy by way of the other.
    Scenario(
        "listener-deleted-in-aws",
        lambda: examples.alb_ip(annotations={f"{ALB}listen-ports": '[{"HTTP": 80}, {"HTTP": 8081}]'}),
        ["LBD228"],
        settled(35),
        fault=_listener_deleted,
        object="Ingress/web",
        says=["8081", "annotate ingress/web"],
        report=LBC + "issues/3317",
    ),
    # Every request gets 503 from a rule that no Ingress asks for.
    Scenario(
        "maintenance-rule-in-aws",
        examples.alb_ip,
        ["LBD227"],
        settled(2),
        fault=_maintenance,
        object="Ingress/web",
        says=["delete-rule"],
    ),
    # A rule was led to an older target group in the console.
    Scenario(
        "rule-led-elsewhere-in-aws",
        examples.alb_ip,
        ["LBD209"],
        _unused,
        fault=_led_elsewhere,
        says=["annotate ingress/web"],
        report=LBC + "issues/3317",
    ),
    # The load balancer's security groups were replaced by hand, and the nodes admit only the controller's.
    Scenario(
        "security-groups-replaced-in-aws",
        examples.alb_ip,
        ["LBD501"],
        unhealthy(TIMEOUT, count=2),
        fault=_groups_replaced,
        says=["took", "annotate ingress/web"],
        report=LBC + "issues/2484",
    ),
    # The binding of one's own opens the Service's port instead of the pods'.
    Scenario(
        "binding-opens-the-service-port",
        lambda: [examples.app(), examples.service()],
        ["LBD501"],
        unhealthy(REFUSED, count=2),
        subject="tgb/own",
        setup=_own_binding,
        object="TargetGroupBinding/own",
        says=["spec.networking admits 10.0.0.0/16 on 80"],
        report=LBC + "issues/2582",
    ),
    # "backend-protocol: HTTPS" was mistyped: the check speaks TLS and is content, every request gets 400.
    Scenario(
        "requests-without-tls",
        _tls_on_one_side,
        ["LBD320"],
        healthy(),
        object="Ingress/web",
        says=["backend-protocol=HTTPS"],
        report=LBC + "issues/2726",
    ),
    # No readiness probe, and the application needs minutes: its pods are targets before they listen.
    Scenario(
        "listens-minutes-later",
        lambda: examples.alb_ip(app={"args": (*examples.APP_ARGS, "--listen-after", "300s"), "readiness": None}),
        ["LBD321"],
        unhealthy(REFUSED, count=2),
        object="Deployment/web",
        says=["readiness probe"],
    ),
    # Endpoints by hand: the Service's port has a name, theirs has none.
    Scenario(
        "endpoints-without-port-name",
        _without_selector,
        ["LBD220"],
        unhealthy(TIMEOUT, count=2),
        setup=_endpoints_without_port_name,
        object="Service/web",
        says=["another port name", "unnamed 8080"],
        report=LBC + "issues/3913",
    ),
    # An EndpointSlice by hand without the label that says whose it is.
    Scenario(
        "slice-without-the-label",
        _without_selector,
        ["LBD220"],
        unhealthy(TIMEOUT, count=2),
        setup=_slice_without_label,
        object="Service/web",
        says=["kubernetes.io/service-name", "web-1"],
        report=LBC + "issues/4017",
    ),
    # A label of another proxy makes kube-proxy pass the Service over.
    Scenario(
        "left-to-another-proxy",
        _left_to_another_proxy,
        ["LBD521"],
        unhealthy(REFUSED, count=2),
        object="Service/web",
        says=["service-proxy-name-"],
    ),
    # The template is right by now, and the Deployment is paused.
    Scenario(
        "paused-with-a-mended-template",
        lambda: _named("web"),
        ["LBD411"],
        both(settled(3), empty),
        setup=_paused_and_mended,
        object="Deployment/web",
        also=["LBD203"],
        says=["rollout resume"],
    ),
    # The port's name is there, for UDP.
    Scenario(
        "port-of-another-protocol",
        lambda: _named("http", "UDP"),
        ["LBD203"],
        both(settled(3), empty),
        object="Deployment/web",
        says=["http 8080/UDP", "protocol TCP"],
        report=GITHUB + "kubernetes/kubernetes/issues/84160",
    ),
    # The pods wait for a gate that nobody opens.
    Scenario(
        "gate-of-another-kind",
        lambda: examples.alb_ip(app={"pod": {"readinessGates": [{"conditionType": "feature.example.com/warm"}]}}),
        ["LBD202"],
        settled(15),
        object="Service/web",
        says=["feature.example.com/warm"],
    ),
    # "/" of type ImplementationSpecific is the start page alone.
    Scenario(
        "start-page-only",
        _bare_path,
        ["LBD230"],
        healthy(),
        object="Ingress/web",
        exit=0,
        says=["404", "Prefix"],
        report=LBC + "issues/699",
    ),
    # spec.tls names a Secret; the load balancer has one listener, for HTTP.
    Scenario(
        "tls-without-a-listener",
        _tls_alone,
        ["LBD231"],
        healthy(),
        object="Ingress/web",
        exit=0,
        says=["listen-ports"],
        report=LBC + "issues/1395",
    ),
    # Two members of a group have a default backend.
    Scenario(
        "two-default-backends",
        _two_defaults,
        ["LBD103"],
        event("FailedBuildModel", "multiple ingress defined default backend"),
        says=["default backend"],
        report=LBC + "pull/1417",
    ),
    # A ListenerSet on a Gateway that admits none.
    Scenario(
        "gateway-admits-no-listener-set",
        _set_of_a_closed_gateway,
        ["LBD151"],
        healthy(),
        subject="gateway/web",
        around=gateway_classes,
        object="Gateway/web",
        says=["allowedListeners"],
        report=GITHUB + "kubernetes-sigs/gateway-api/issues/1713",
    ),
    # A rule without backendRefs is answered with 500.
    Scenario(
        "gateway-rule-without-backend",
        _rule_without_backend,
        ["LBD152"],
        healthy(),
        subject="gateway/web",
        around=gateway_classes,
        object="HTTPRoute/old",
        says=["500"],
    ),
]
