"""Set-ups that the documentation of the controller, of EKS or of Kubernetes describes: the doctor has no complaint.

Healthy targets alone do not make one of them pass: nothing may be reported at all, or only what `notes` allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.e2e import legal_alone as alone
from tests.e2e import legal_manifests as made
from tests.e2e import legal_steps as steps
from tests.e2e.scenarios import ALB, NLB, Manifests, Seen, healthy, until
from tests.lab import examples
from tests.lab.api import Lab

GUIDE = "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/"
INGRESS = GUIDE + "guide/ingress/annotations/"
SERVICE = GUIDE + "guide/service/annotations/"
BINDING = GUIDE + "guide/targetgroupbinding/targetgroupbinding/"
GROUPS = GUIDE + "deploy/security_groups/"
KUBERNETES = "https://kubernetes.io/docs/concepts/services-networking/"
ISSUES = "https://github.com/"


@dataclass(frozen=True)
class SetUp:
    """document: the address of the page that describes it. seen: waits until it works as AWS or Kubernetes shows it.

    notes: codes of severity "info" that may be shown. warns: codes of warnings that a careful engineer would want to
    see here. subject, setup, around, alone: as of a Scenario.
    """

    name: str
    document: str
    manifests: Callable[[], Manifests]
    seen: Seen = healthy()
    subject: str | Callable[[Lab, str], str] = "ing/web"
    setup: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    around: Callable[[Lab, str], AbstractContextManager[object]] | None = None
    notes: Sequence[str] = ()
    warns: Sequence[str] = ()
    alone: bool = False

    def __str__(self) -> str:
        return self.name


# --- what is seen ----------------------------------------------------------------------------------------------------


def balanced(lab: Lab, ns: str) -> None:
    """There is a load balancer, and rules; nothing else is wanted."""

    def reconciled() -> bool:
        reasons = {event.get("reason") for event in lab.objects("events", ns)}
        return "SuccessfullyReconciled" in reasons and bool(lab.get("ingress", "web", ns)["status"]["loadBalancer"])

    until(reconciled, "the load balancer of ingress/web")


def mixed(lab: Lab, ns: str) -> None:
    """One node healthy, and the one without a pod unhealthy, as the document says."""
    lab.wait_targets(ns, "unhealthy", all_or_any="any", count=1)
    lab.wait_targets(ns, "healthy", all_or_any="any", count=1)


def finished(lab: Lab, ns: str) -> None:
    until(lambda: bool(lab.get("job", "migrate", ns)["status"].get("succeeded")), "the Job's end")
    lab.wait_targets(ns, "healthy", count=2)


def left_over(lab: Lab, ns: str) -> None:
    until(lambda: bool(lab.get("pod", "left-over", ns)["status"]["phase"] == "Failed"), "the pod's failure")
    lab.wait_targets(ns, "healthy", count=2)


def healthy_any(count: int) -> Seen:
    return lambda lab, ns: lab.wait_targets(ns, "healthy", all_or_any="any", count=count)


def gated(lab: Lab, ns: str) -> None:
    def open_gates() -> bool:
        pods = lab.objects("pods", ns)
        conditions = [c for pod in pods for c in pod["status"].get("conditions", ()) if "elbv2.k8s.aws" in c["type"]]
        return len(conditions) == 2 and all(c["status"] == "True" for c in conditions)

    until(open_gates, "two pods with open readiness gates")


SET_UPS: list[SetUp] = [
    # --- Ingress: listeners, rules, actions ---
    SetUp(
        "ssl-redirect",
        GUIDE + "guide/tasks/ssl_redirect/",
        made.without_ingress(),
        setup=steps.with_certificate(made.tls({f"{ALB}ssl-redirect": "443"})),
    ),
    # A linter asked for the Service of an action's name.
    SetUp(
        "redirect-as-first-path",
        ISSUES + "stackrox/kube-linter/issues/410",
        made.without_ingress(),
        setup=steps.with_certificate(made.legacy_redirect),
    ),
    SetUp("actions-only", INGRESS + "#actions", made.actions_only, balanced),
    # The idle colour has no pods on purpose; that may be said.
    SetUp("blue-green-idle", GUIDE + "guide/use_cases/blue_green/", made.blue_green, notes=["LBD406"]),
    SetUp("canary-by-header", INGRESS + "#conditions", made.canary_by_header, healthy(4)),
    SetUp("default-backend-only", KUBERNETES + "ingress/#default-backend", made.default_backend_only),
    SetUp("group-of-two-namespaces", INGRESS + "#ingressgroup", made.without_ingress(), setup=steps.member_elsewhere),
    SetUp(
        "legacy-group-by-arn",
        GUIDE + "guide/use_cases/legacy_app_integration/",
        lambda: [*examples.alb_ip()[:2], examples.app("legacy", replicas=1)],
        setup=steps.legacy_group,
    ),
    SetUp(
        "class-with-parameters", GUIDE + "guide/ingress/ingress_class/", made.without_ingress(), setup=steps.own_class
    ),
    SetUp(
        "other-controllers-beside",
        ISSUES + "derailed/popeye/issues/214",
        made.other_controllers,
        around=steps.class_of_nginx,
    ),
    SetUp(
        "internal-with-named-subnets",
        INGRESS + "#subnets",
        lambda: examples.alb_ip(
            annotations={
                f"{ALB}scheme": "internal",
                f"{ALB}subnets": "lbdlab-private-a, lbdlab-private-c",
                f"{ALB}inbound-cidrs": "10.0.0.0/16",
            }
        ),
    ),
    # --- Ingress: checks ---
    SetUp("service-overrides-check", INGRESS + "#annotations", made.service_overrides, healthy(4)),
    SetUp("check-on-management-port", INGRESS + "#healthcheck-port", made.management_port),
    SetUp("login-answers-401", INGRESS + "#success-codes", made.answers("401", "200,401", option="--auth")),
    SetUp(
        "default-backend-answers-404", ISSUES + "kubernetes/ingress-nginx/issues/9414", made.answers("404", "200-404")
    ),
    SetUp(
        "backend-speaks-tls",
        ISSUES + "argoproj/argo-helm/issues/2979",
        lambda: examples.alb_ip(
            annotations={f"{ALB}backend-protocol": "HTTPS", f"{ALB}healthcheck-protocol": "HTTPS"},
            app={
                "args": ("--listen", "https://:8080", "--path", "/healthz=200"),
                "readiness": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTPS"}, "periodSeconds": 1},
            },
        ),
    ),
    SetUp(
        "grpc-headless",
        GUIDE + "examples/grpc_server/",
        made.without_ingress(
            app={"args": ("--listen", "h2c://:8080", "--grpc", "/*=12"), "readiness": made.TCP_READY},
            service={"port": 80, "spec": {"clusterIP": "None"}},
        ),
        setup=steps.with_certificate(made.grpc),
    ),
    # --- Ingress: workloads ---
    SetUp("headless-stateful-set", ISSUES + "kubernetes-sigs/aws-load-balancer-controller/issues/3636", made.stateful),
    SetUp(
        "slice-by-hand-refers-to-pods",
        ISSUES + "stackrox/kube-linter/issues/746",
        lambda: examples.alb_ip(service={"selector": {}}),
        setup=steps.slice_by_hand,
    ),
    SetUp("finished-job-matches", ISSUES + "k8sgpt-ai/k8sgpt/issues/1581", made.finished_job, finished),
    SetUp(
        "one-port-name-two-numbers", KUBERNETES + "service/#defining-a-service", made.one_name_two_numbers, healthy(4)
    ),
    # All targets are healthy, yet an engineer may want to know of pods that match and get no traffic.
    SetUp(
        "unready-neighbour-without-the-port",
        KUBERNETES + "service/#field-spec-ports",
        made.unready_neighbour,
        warns=["LBD203", "LBD404"],
    ),
    SetUp(
        "container-ports-not-declared",
        ISSUES + "kubernetes/website/pull/26790",
        lambda: examples.alb_ip(app={"container_port": None}),
    ),
    SetUp("port-that-nothing-leads-to", KUBERNETES + "service/#multi-port-services", made.unused_port),
    SetUp(
        "host-network",
        "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#host-namespaces",
        made.host_network,
    ),
    SetUp(
        "readiness-gates-open",
        GUIDE + "deploy/pod_readiness_gate/",
        lambda: examples.alb_ip()[1:],
        gated,
        around=steps.gates,
        setup=steps.pods_after_binding,
    ),
    SetUp("network-policies-admit", ISSUES + "zegl/kube-score/issues/293", made.network_policies),
    SetUp(
        "session-affinity-dual-stack-fields",
        KUBERNETES + "dual-stack/",
        lambda: examples.alb_instance(
            annotations={
                f"{ALB}target-group-attributes": "deregistration_delay.timeout_seconds=0,stickiness.enabled=true"
            },
            service={"spec": {"ipFamilyPolicy": "PreferDualStack", "sessionAffinity": "ClientIP"}},
        ),
    ),
    # --- security groups ---
    SetUp(
        "frontend-group-managed-backend",
        GROUPS,
        made.without_ingress(),
        setup=steps.with_security_group(
            lambda group: examples.alb_ip(
                annotations={f"{ALB}security-groups": group, f"{ALB}manage-backend-security-group-rules": "true"}
            )[2:],
            80,
        ),
    ),
    # --- Service: Network Load Balancers ---
    # Nodes without a pod are unhealthy by design (LBD601). All pods on one node is worth a warning (LBD703).
    SetUp(
        "local-policy-pods-on-one-node",
        ISSUES + "kubernetes/kubernetes/issues/74948",
        lambda: examples.nlb_instance(
            annotations={**made.TCP_CHECK, **made.CROSS_ZONE},
            app={"pod": made.ON_NODE1, "spread": False},
            service={"external_traffic_policy": "Local"},
        ),
        mixed,
        subject="svc/web",
        notes=["LBD601"],
        warns=["LBD703"],
    ),
    SetUp(
        "local-policy-pods-on-every-node",
        SERVICE + "#healthcheck-protocol",
        lambda: examples.nlb_instance(annotations=made.TCP_CHECK, service={"external_traffic_policy": "Local"}),
        subject="svc/web",
    ),
    SetUp(
        "target-node-labels",
        SERVICE + "#target-node-labels",
        lambda: examples.nlb_instance(
            annotations={f"{NLB}target-node-labels": "kubernetes.io/hostname=node1", **made.CROSS_ZONE}
        ),
        healthy(1),
        subject="svc/web",
        notes=["LBD207"],
    ),
    SetUp("udp-with-http-check", SERVICE + "#healthcheck-port", made.udp, subject="svc/web"),
    SetUp("tcp-and-udp-on-one-port", SERVICE + "#tcp-udp-listener", made.tcp_udp, subject="svc/web"),
    SetUp(
        "proxy-protocol-with-tcp-check",
        SERVICE + "#proxy-protocol-v2",
        lambda: examples.nlb_ip(
            annotations={**made.TCP_CHECK, f"{NLB}proxy-protocol": "*"},
            app={"args": ("--listen", "tcp://:8080"), "readiness": made.TCP_READY},
        ),
        subject="svc/web",
    ),
    SetUp(
        "tls-ends-at-balancer",
        GUIDE + "guide/use_cases/nlb_tls_termination/",
        lambda: [examples.app()],
        healthy(4),
        subject="svc/web",
        setup=steps.with_certificate(lambda arn: made.nlb_with_tls(arn)[1:]),
    ),
    SetUp(
        "redirect-is-healthy-for-nlb",
        SERVICE + "#healthcheck-success-codes",
        lambda: examples.nlb_ip(
            annotations={f"{NLB}healthcheck-path": "/"},
            app={
                "args": ("--listen", ":8080", "--redirect", "/=https://shop.example.com/:301"),
                "readiness": made.TCP_READY,
            },
        ),
        subject="svc/web",
    ),
    SetUp(
        "internal-without-node-ports",
        SERVICE + "#nlb-target-type",
        lambda: examples.nlb_ip(
            annotations={f"{NLB}scheme": "internal", f"{NLB}subnets": "lbdlab-private-a, lbdlab-private-c"},
            service={"spec": {"allocateLoadBalancerNodePorts": False, "loadBalancerSourceRanges": ["10.0.0.0/16"]}},
        ),
        subject="svc/web",
    ),
    SetUp(
        "balancer-without-security-groups",
        SERVICE + "#nlb-sg-disable",
        lambda: examples.nlb_instance(annotations={f"{NLB}disable-nlb-sg": "true"}),
        subject="svc/web",
    ),
    # --- TargetGroupBinding ---
    SetUp(
        "group-shared-by-clusters",
        GUIDE + "guide/use_cases/multi_cluster/",
        lambda: [
            *examples.alb_ip()[:2],
            examples.app("api"),
            examples.service("api"),
            examples.app("elsewhere", replicas=1),
        ],
        lambda lab, ns: lab.wait_targets(ns, "healthy"),
        subject="tgb/web",
        setup=steps.shared_by_clusters,
    ),
]

SET_UPS += [
    SetUp(
        "rollout-at-rest",
        "https://argoproj.github.io/argo-rollouts/features/traffic-management/alb",
        made.rollouts,
        healthy(4),
    ),
    SetUp(
        "gateway-with-status-port",
        "https://oneuptime.com/blog/post/2026-02-24-how-to-set-up-health-check-endpoints-at-istio-gateway/view",
        made.status_port,
        healthy(6),
        subject="svc/web",
    ),
    SetUp("public-and-internal-entry", INGRESS + "#scheme", made.two_entries, healthy(4)),
    SetUp("failed-pod-left-over", ISSUES + "kubernetes-sigs/kubernetes-mixin/pull/833", made.left_over_pod, left_over),
    SetUp("rare-annotations", INGRESS + "#load-balancer-attributes", made.rare_annotations),
    # A tool asked for the Secret.
    SetUp(
        "certificate-found-by-host",
        ISSUES + "k8sgpt-ai/k8sgpt/issues/1075",
        made.without_ingress(),
        setup=steps.with_found_certificate(made.tls_hosts),
    ),
    SetUp(
        "local-policies-with-ip-targets",
        "https://kubernetes.io/docs/concepts/services-networking/service-traffic-policy/",
        lambda: examples.nlb_ip(
            service={
                "external_traffic_policy": "Local",
                "spec": {"internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose"},
            }
        ),
        subject="svc/web",
    ),
]

# Nothing of the Ingress is ill here, though something near it is empty, new, on its way, or was wrong before.
SET_UPS += [
    # A Service without pods may be worth a word; no client is sent there.
    SetUp(
        "green-has-no-pods-yet",
        GUIDE + "guide/use_cases/blue_green/#migrating-between-services-without-downtime",
        made.green_to_come,
        notes=["LBD201"],
        warns=["LBD201"],
    ),
    SetUp("ailing-sibling", INGRESS + "#group.name", made.without_ingress(), setup=steps.ailing_sibling),
    SetUp("mended-a-moment-ago", INGRESS + "#annotations", made.mended, setup=steps.put_right),
    SetUp(
        "native-sidecar-port",
        "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/",
        made.native_sidecar,
    ),
    SetUp(
        "pod-ends-politely",
        "https://docs.aws.amazon.com/eks/latest/best-practices/load-balancing.html",
        made.stops_politely,
        healthy_any(2),
        setup=steps.scaled_down,
        notes=["LBD408"],
    ),
    SetUp(
        "rollout-under-way",
        "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#progressing-deployment",
        made.starts_slowly,
        healthy_any(2),
        setup=steps.rolling_out,
        notes=["LBD408", "LBD218"],
        warns=["LBD404"],
    ),
]

# What others would feel, too: a run of these needs the lab alone.
SET_UPS += [
    SetUp(
        "own-group-own-node-rules",
        GROUPS,
        made.without_ingress(),
        setup=steps.with_security_group(
            lambda group: examples.alb_ip(annotations={f"{ALB}security-groups": group})[2:], 80, node_port=8080
        ),
    ),
    SetUp(
        "binding-by-name-own-rules",
        GUIDE + "guide/use_cases/self_managed_lb/",
        made.without_ingress(),
        subject="tgb/own",
        setup=steps.bound_by_name,
    ),
    SetUp(
        "node-excluded-on-purpose",
        "https://kubernetes.io/docs/reference/labels-annotations-taints/#node-kubernetes-io-exclude-from-external-load-balancers",
        examples.alb_instance,
        healthy(1),
        around=alone.node_labelled("node2", "node.kubernetes.io/exclude-from-external-load-balancers=true"),
        alone=True,
        notes=["LBD207"],
    ),
    SetUp(
        "node-cordoned",
        "https://kubernetes.io/docs/concepts/architecture/nodes/#manual-node-administration",
        examples.alb_instance,
        setup=alone.cordoned,
        alone=True,
    ),
    SetUp(
        "node-ports-without-kube-proxy",
        "https://docs.cilium.io/en/stable/network/kubernetes/kubeproxy-free/",
        examples.alb_instance,
        around=alone.node_ports_of_another,
        alone=True,
    ),
    SetUp(
        "no-shared-backend-group",
        GROUPS + "#configuration_1",
        examples.alb_ip,
        around=alone.backend_group_off,
        alone=True,
    ),
    SetUp("second-group-without-tag", GROUPS, examples.alb_ip, around=alone.untagged_group_on_nodes, alone=True),
    SetUp(
        "acl-denies-other-ports",
        "https://docs.aws.amazon.com/vpc/latest/userguide/custom-network-acl.html",
        examples.alb_ip,
        around=alone.acl_denies_other_ports,
        alone=True,
    ),
    # That this cluster has no targets may be worth a word, and that the other one serves from a single zone, too; no
    # client notices.
    SetUp(
        "drained-cluster-of-two",
        GUIDE + "guide/use_cases/multi_cluster/",
        lambda: [
            *examples.alb_ip()[:2],
            examples.app("api"),
            examples.service("api"),
            examples.app("elsewhere", replicas=1),
        ],
        lambda lab, ns: None,
        subject="tgb/web",
        setup=alone.drained_cluster,
        alone=True,
        notes=["LBD406", "LBD603"],
        warns=["LBD406"],
    ),
]
