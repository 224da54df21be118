"""Faults from public reports: controller, nodes, networks, meshes and other controllers.

The comment above a scenario is what its reporter met. What is done to the lab is in `platform_faults.py`.
"""

from __future__ import annotations

from typing import Any

from tests.e2e import platform_faults as made
from tests.e2e.scenarios import (
    ALB,
    NLB,
    REFUSED,
    TIMEOUT,
    Manifests,
    Scenario,
    Seen,
    empty,
    event,
    healthy,
    settled,
    unhealthy,
    until,
)
from tests.lab import controller, examples, images
from tests.lab.api import Lab

LBC = "https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues"
DEPLOYMENT = f"Deployment/{controller.NAME}"


def _application() -> Manifests:
    """All but the Ingress, which comes once the first fault is there."""
    return examples.alb_ip()[:2]


def _class_by_annotation() -> Manifests:
    manifests = examples.alb_ip(ingress={"class_name": None})
    examples.find(manifests, "Ingress")["metadata"]["annotations"]["kubernetes.io/ingress.class"] = "ingress-alb"
    return manifests


def _on(node: str) -> dict[str, Any]:
    return {"replicas": 1, "pod": {"nodeSelector": {"kubernetes.io/hostname": node}}}


def _two_schemes() -> Manifests:
    group, internal = "reports-scheme", {f"{ALB}scheme": "internal", f"{ALB}target-type": "ip"}
    return [
        *examples.alb_ip(ingress={"group": group}),
        examples.ingress("second", annotations=internal, group=group),
    ]


def _both_protocols() -> Manifests:
    ports = [
        {"name": "dns-udp", "port": 53, "targetPort": 5353, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "targetPort": 5353, "protocol": "TCP"},
    ]
    return examples.nlb_ip(
        app={
            "args": ("--listen", "udp://:5353", "--listen", ":5353", "--path", "/healthz=200"),
            "ports": [
                {"name": "dns-udp", "containerPort": 5353, "protocol": "UDP"},
                {"name": "dns-tcp", "containerPort": 5353, "protocol": "TCP"},
            ],
            "readiness": {"httpGet": {"path": "/healthz", "port": 5353}, "periodSeconds": 1},
        },
        service={"ports": ports},
    )


def _one_listener(lab: Lab, ns: str) -> object:
    healthy()(lab, ns)
    arn = lab.load_balancer_arn("service", "web", ns)
    listeners = lab.aws("elbv2").describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert len(listeners) == 1, listeners
    return listeners


def _in_a_strict_mesh() -> Manifests:
    """A pod as Istio's injection leaves it: what comes in is led to the side-car, which takes and closes connections
    that bring no certificate of the mesh; the readiness probe asks the side-car's agent."""
    manifests = examples.alb_ip(
        app={"readiness": {"httpGet": {"path": "/app-health/app/readyz", "port": 15020}, "periodSeconds": 1}}
    )
    template = examples.find(manifests, "Deployment")["spec"]["template"]
    template["metadata"]["labels"]["security.istio.io/tlsMode"] = "istio"
    template["metadata"]["annotations"] = {"sidecar.istio.io/status": '{"containers":["istio-proxy"]}'}
    agent = (
        "mkdir -p /w/app-health/app /w/healthz && echo ok > /w/app-health/app/readyz && echo ok > /w/healthz/ready && "
        "httpd -p 15020 -h /w && httpd -p 15021 -h /w && exec nc -ll -p 15006 -e true"
    )
    volume = [{"name": "w", "mountPath": "/w"}]
    template["spec"]["containers"].append(
        {
            "name": "istio-proxy",
            "image": images.TOOLS,
            "imagePullPolicy": "Never",
            "command": ["sh", "-c", agent],
            "ports": [{"name": "http-envoy-prom", "containerPort": 15090}],
            "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1},
            "volumeMounts": volume,
        }
    )
    redirect = "iptables -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 15006"
    template["spec"]["initContainers"] = [
        {
            "name": "istio-init",
            "image": images.KUBE_PROXY,
            "imagePullPolicy": "Never",
            "command": ["sh", "-c", redirect],
            "securityContext": {"privileged": True},
        }
    ]
    template["spec"]["volumes"] = [{"name": "w", "emptyDir": {}}]
    return manifests


def _then(first: Seen, second: Seen) -> Seen:
    def look(lab: Lab, ns: str) -> object:
        first(lab, ns)
        return second(lab, ns)

    return look


def _crashes(lab: Lab, ns: str) -> None:
    def found() -> bool:
        pods = lab.objects("pods", controller.NAMESPACE, f"app.kubernetes.io/name={controller.NAME}")
        statuses = [s for pod in pods for s in pod["status"].get("containerStatuses", ())]
        return any(s["restartCount"] or "terminated" in s["state"] for s in statuses)

    until(found, "the controller crashes")


_CONTROLLER = [
    # Removed and not installed again: no load balancer is made, and nobody says anything.
    Scenario(
        "controller-not-installed",
        examples.alb_ip,
        ["LBD129"],
        settled(5),
        around=made.not_installed,
        says=["install"],
        report=f"{LBC}/996",
    ),
    # Only one namespace can be watched; Ingresses of others are not looked at.
    Scenario(
        "watches-another-namespace",
        examples.alb_ip,
        ["LBD131"],
        settled(8),
        around=made.flags("--watch-namespace=default"),
        object=DEPLOYMENT,
        says=["watch-namespace"],
        report=f"{LBC}/2923",
    ),
    # EnableServiceController=false: the Service stays pending without any warning.
    Scenario(
        "service-controller-off",
        lambda: examples.nlb_ip(service={"load_balancer_class": None}),
        ["LBD130"],
        settled(8),
        subject="svc/web",
        around=made.flags("--feature-gates=EnableServiceController=false"),
        object=DEPLOYMENT,
        says=["EnableServiceController"],
        report=f"{LBC}/3627",
    ),
    # The class annotation of a new Ingress is not the value of --ingress-class; it is not picked up.
    Scenario(
        "class-annotation-of-nobody",
        _class_by_annotation,
        ["LBD101"],
        settled(5),
        object="Ingress/web",
        says=["ingress-alb"],
        report=f"{LBC}/2113",
    ),
    # All subnets are "tagged for other clusters"; the maintainer asks whether --cluster-name is right.
    Scenario(
        "cluster-name-wrong",
        examples.alb_ip,
        ["LBD134"],
        event("FailedBuildModel", "subnet"),
        around=made.flags("--cluster-name=prod-eu", clean=True),
        object=DEPLOYMENT,
        says=["cluster-name"],
        report=f"{LBC}/1693",
    ),
    # --cluster-name differs from the cluster's: "expect exactly one securityGroup tagged …, got: []", no target.
    Scenario(
        "cluster-name-wrong-no-tagged-group",
        lambda: examples.alb_ip(annotations={f"{ALB}subnets": "lbdlab-public-a, lbdlab-public-c"}),
        ["LBD134"],
        unhealthy(TIMEOUT),
        around=made.wrong_name_and_two_groups,
        object=DEPLOYMENT,
        says=["cluster-name"],
        report=f"{LBC}/3319",
    ),
    # The wrong VPC id was given; all that was said is "unable to resolve at least one subnet".
    Scenario(
        "vpc-id-wrong",
        examples.alb_ip,
        ["LBD122"],
        event("FailedBuildModel", "subnet"),
        around=made.flags("--aws-vpc-id=vpc-0123456789abcdef0"),
        object=DEPLOYMENT,
        says=["aws-vpc-id"],
        report=f"{LBC}/3199",
    ),
    # A binding cannot be written: the control plane does not reach port 9443 of the controller's node.
    Scenario(
        "webhook-port-unreachable",
        _application,
        ["LBD124"],
        event("FailedDeployModel", "deadline exceeded"),
        setup=made.webhook_port_dropped,
        report=f"{LBC}/2488",
    ),
]

_CHAINS = [
    # Targets are not created: the webhook has no endpoints; the denial of before is cured.
    Scenario(
        "chain-denied-webhook",
        _application,
        ["LBD126"],
        event("FailedDeployModel", "no endpoints available"),
        setup=made.denied_then_no_webhook,
        object=f"Service/{made.WEBHOOK_SERVICE}",
        report=f"{LBC}/2289",
    ),
    # With a role at last the error is another one: the role lacks a permission.
    Scenario(
        "chain-credentials-denied",
        _application,
        ["LBD120"],
        event("FailedDeployModel", "elasticloadbalancing:CreateLoadBalancer"),
        setup=made.no_credentials_then_denied,
        says=["elasticloadbalancing:CreateLoadBalancer"],
        report=f"{LBC}/2893",
    ),
    # Region, VPC and credentials are mended one after the other; each time the error changes.
    Scenario(
        "chain-credentials-endpoint-vpc",
        examples.alb_ip,
        ["LBD122"],
        _then(_crashes, settled(5)),
        fault=made.credentials_endpoint_vpc,
        object=DEPLOYMENT,
        report=f"{LBC}/2584",
    ),
    # Last of several hurdles: the frontend group has no room for all client ranges, and the Ingress does not say so.
    Scenario(
        "chain-certificate-subnet-quota",
        _application,
        ["LBD506"],
        event("FailedDeployModel", "RulesPerSecurityGroupLimitExceeded"),
        setup=made.certificate_subnet_quota,
        report=f"{LBC}/4416",
    ),
]

_NODES = [
    # With externalTrafficPolicy Local the pods of a node that is about to go are cut off.
    Scenario(
        "last-local-pod-on-a-disrupted-node",
        lambda: examples.nlb_instance(app=_on("node2"), service={"external_traffic_policy": "Local"}),
        ["LBD207"],
        unhealthy(REFUSED, count=1),
        subject="svc/web",
        setup=made.tainted("node2", "karpenter.sh/disrupted:NoSchedule"),
        object="Node/node2",
        report="https://github.com/kubernetes/kubernetes/issues/44997",
    ),
    # The target group exists and no instance is registered, without any error.
    Scenario(
        "all-nodes-excluded",
        examples.alb_instance,
        ["LBD207"],
        empty,
        fault=made.excluded,
        object="Node/node1",
        says=["exclude-from-external-load-balancers"],
        report=f"{LBC}/2653",
    ),
    # "providerID is not specified for node": one node, and nothing is registered at all.
    Scenario(
        "node-without-provider-id",
        examples.alb_instance,
        ["LBD135"],
        _then(empty, settled(6)),
        around=made.node_without_provider,
        object=f"Node/{made.NEW_NODE}",
        says=["providerID"],
        report=f"{LBC}/3685",
    ),
    # A default deny of the node's own iptables, for hardening: health checks fail, security groups are all right.
    Scenario(
        "node-drops-packets",
        lambda: examples.alb_ip(app=_on("node2")),
        ["LBD005"],
        unhealthy(TIMEOUT),
        fault=made.balancers_dropped("node2"),
        says=["LBD520", "packet filter"],
        report="https://github.com/aws-samples/containers-blog-maelstrom/issues/115",
    ),
]

_NETWORK = [
    # Cluster and node group carry the cluster's tag both: targets time out, and no rule was ever written.
    Scenario(
        "two-tagged-groups",
        examples.alb_ip,
        ["LBD505"],
        unhealthy(TIMEOUT),
        around=made.two_tagged_groups,
        report="https://github.com/terraform-aws-modules/terraform-aws-eks/pull/3710",
    ),
    # The same with instances as targets: none is registered, requests are answered with 503.
    Scenario(
        "two-tagged-groups-instance",
        examples.alb_instance,
        ["LBD505"],
        _then(empty, settled(6)),
        around=made.two_tagged_groups_seen_anew,
        report=f"{LBC}/2948",
    ),
    # The nodes' group has as many rules as it may have.
    Scenario(
        "node-group-full",
        examples.alb_ip,
        ["LBD506"],
        unhealthy(TIMEOUT),
        around=made.group_full,
        report="https://github.com/kubernetes/kubernetes/issues/99813",
    ),
    # Groups belong to somebody else: the controller may not authorise rules.
    Scenario(
        "rules-denied",
        lambda: examples.alb_ip(
            annotations={
                f"{ALB}security-groups": "lbdlab-managed-front",
                f"{ALB}manage-backend-security-group-rules": "true",
            }
        ),
        ["LBD120"],
        unhealthy(TIMEOUT),
        around=made.rules_denied,
        says=["ec2:AuthorizeSecurityGroupIngress"],
        report=f"{LBC}/2126",
    ),
    # Rules vanished: an annotation told the controller not to manage them.
    Scenario(
        "rules-not-managed",
        lambda: examples.nlb_ip(annotations={f"{NLB}disable-nlb-sg": "true"}),
        ["LBD501"],
        unhealthy(REFUSED),
        subject="svc/web",
        fault=made.changed("service", manage_backend_security_group_rules="false"),
        says=["manage-backend-security-group-rules"],
        report=f"{LBC}/3435",
    ),
    # One binding names a group that does not exist; no other one gets its rules any more, silently.
    Scenario(
        "stray-binding-stops-rules",
        examples.alb_ip,
        ["LBD135"],
        unhealthy(TIMEOUT),
        around=made.stray_binding,
        object="TargetGroupBinding/stray",
        report=f"{LBC}/3809",
    ),
    # Without `networking` in the binding targets are registered, and are not healthy.
    Scenario(
        "binding-by-hand-without-networking",
        _application,
        ["LBD501"],
        unhealthy(TIMEOUT),
        subject="tgb/outside",
        setup=made.outside("/healthz", networking=False),
        report=f"{LBC}/2802",
    ),
    # Security groups and the nodes' ACL are right; the answers are lost at an ACL that forgot ephemeral ports.
    Scenario(
        "acl-of-balancers-refuses-answers",
        examples.alb_ip,
        ["LBD508"],
        unhealthy(TIMEOUT),
        fault=made.answers_denied_to_balancers,
        report="https://cloudwithgagan.com/blog/fix-security-group-vs-nacl-blocked-traffic",
    ),
]

_SETTINGS = [
    # The check path of a target group that was made by hand is set on the target group, nowhere else.
    Scenario(
        "outside-group-path",
        _application,
        ["LBD301"],
        unhealthy("Target.ResponseCodeMismatch"),
        subject="tgb/outside",
        setup=made.outside("/", networking=True),
        object=f"TargetGroup/{made.OUTSIDE}",
        says=["modify-target-group"],
        report=f"{LBC}/2933",
    ),
    # A load balancer that was made without security groups cannot get any later.
    Scenario(
        "groups-for-a-balancer-without",
        lambda: examples.nlb_ip(annotations={f"{NLB}disable-nlb-sg": "true"}),
        ["LBD222"],
        settled(8),
        subject="svc/web",
        around=made.named_group,
        fault=made.changed("service", disable_nlb_sg=None, security_groups="lbdlab-asked-for"),
        object="Service/web",
        exit=0,
        says=["security-groups"],
        report=f"{LBC}/4012",
    ),
    # "conflicting scheme: map[internal:{} internet-facing:{}]" after one member's scheme was changed.
    Scenario(
        "group-of-two-schemes",
        _two_schemes,
        ["LBD103", "LBD105"],
        event("FailedBuildModel", "conflicting scheme"),
        says=["scheme"],
        report=f"{LBC}/3729",
    ),
    # Port 53 by UDP and TCP: one of the two listeners is never made.
    Scenario(
        "one-port-two-protocols",
        _both_protocols,
        ["LBD224"],
        _one_listener,
        subject="svc/web",
        object="Service/web",
        says=["enable-tcp-udp-listener"],
        report=f"{LBC}/4405",
    ),
    # Strict mTLS: the load balancer does not speak it, and its plain connections are closed.
    Scenario(
        "strict-mesh",
        _in_a_strict_mesh,
        ["LBD005"],
        unhealthy(REFUSED),
        says=["istio", "LBD319"],
        report="https://github.com/istio/istio/issues/43056",
    ),
]

SCENARIOS: list[Scenario] = [*_CONTROLLER, *_CHAINS, *_NODES, *_NETWORK, *_SETTINGS]
