"""Manifests of legal set-ups, each one thing away from the lab's healthy stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e import legal_steps as steps
from tests.e2e.scenarios import ALB, NLB, Manifests
from tests.lab import examples

TCP_READY = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
TCP_CHECK: examples.Annotations = {f"{NLB}healthcheck-protocol": None, f"{NLB}healthcheck-path": None}
CROSS_ZONE = {f"{NLB}attributes": "load_balancing.cross_zone.enabled=true"}
ON_NODE1 = {"nodeSelector": {"kubernetes.io/hostname": "node1"}}


def without_ingress(**changes: Any) -> Callable[[], Manifests]:
    """Deployment and Service; a step applies what leads to them."""
    return lambda: examples.alb_ip(**changes)[:2]


def tls(annotations: examples.Annotations | None = None, **changes: Any) -> Callable[[str], Manifests]:
    """The Ingress of the healthy stack with two listeners, for a certificate."""

    def build(arn: str) -> Manifests:
        own = {f"{ALB}certificate-arn": arn, f"{ALB}listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]'}
        return examples.alb_ip(annotations={**own, **(annotations or {})}, **changes)[2:]

    return build


def actions_only() -> Manifests:
    """A page of maintenance and a redirect; no Service at all."""
    return [
        examples.ingress(
            annotations={
                f"{ALB}scheme": "internet-facing",
                f"{ALB}actions.maintenance": steps.fixed(503),
                f"{ALB}actions.moved": steps.redirect(host="shop.example.com", protocol="HTTPS", port="443"),
            },
            backends=[("/old", "moved", "use-annotation"), ("/", "maintenance", "use-annotation")],
        )
    ]


def blue_green() -> Manifests:
    """The documented example: the old class annotation, ports as text, weights 100 and 0. The idle colour sleeps."""
    weighted = (
        '{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":"80","weight":100},'
        '{"serviceName":"green","servicePort":"80","weight":0}]}}'
    )
    stack = examples.alb_ip(
        annotations={f"{ALB}actions.blue-green": weighted, "kubernetes.io/ingress.class": "alb"},
        ingress={"class_name": None, "backends": [("/", "blue-green", "use-annotation")]},
    )
    return [*stack, examples.app("green", replicas=0), examples.service("green")]


def canary_by_header() -> Manifests:
    header = '[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-canary","values":["always"]}}]'
    stack = examples.alb_ip(
        annotations={f"{ALB}conditions.canary": header},
        ingress={"backends": [("/", "canary", 80), ("/", "web", 80)]},
    )
    return [*stack, examples.app("canary"), examples.service("canary")]


def service_overrides() -> Manifests:
    """The Service's own annotations win over the Ingress's: each backend has its own check."""
    stack = examples.alb_ip(ingress={"backends": [("/api", "api", 80), ("/", "web", 80)]})
    own = {f"{ALB}healthcheck-path": "/api/status", f"{ALB}success-codes": "200-299"}
    readiness = {"httpGet": {"path": "/api/status", "port": 8080}, "periodSeconds": 1}
    api = examples.app("api", args=("--listen", ":8080", "--path", "/api/status=204"), readiness=readiness)
    return [*stack, api, examples.service("api", annotations=own)]


def management_port() -> Manifests:
    """TLS for clients; the checks go to a port of the Service that has a name and speaks plain HTTP."""
    return examples.alb_ip(
        annotations={
            f"{ALB}backend-protocol": "HTTPS",
            f"{ALB}healthcheck-protocol": "HTTP",
            f"{ALB}healthcheck-port": "management",
        },
        app={
            "args": ("--listen", "https://:8443", "--listen", ":8081", "--path", "/healthz=200"),
            "readiness": {"httpGet": {"path": "/healthz", "port": 8081}, "periodSeconds": 1},
            "ports": [{"name": "https", "containerPort": 8443}, {"name": "management", "containerPort": 8081}],
        },
        service={
            "ports": [
                {"name": "https", "port": 80, "targetPort": 8443},
                {"name": "management", "port": 9000, "targetPort": 8081},
            ]
        },
    )


def answers(status: str, codes: str, *, option: str = "--path") -> Callable[[], Manifests]:
    """An application that answers `/` with a status that the annotations accept."""
    return lambda: examples.alb_ip(
        annotations={f"{ALB}healthcheck-path": None, f"{ALB}success-codes": codes},
        app={"args": ("--listen", ":8080", option, f"/={status}"), "readiness": TCP_READY},
    )


def default_backend_only() -> Manifests:
    stack = examples.alb_ip()
    spec = examples.find(stack, "Ingress")["spec"]
    spec["defaultBackend"] = spec.pop("rules")[0]["http"]["paths"][0]["backend"]
    return stack


def legacy_redirect(arn: str) -> Manifests:
    """How version 1 redirected: an action as the first path, named like a Service that does not exist."""
    stack = tls(
        {f"{ALB}actions.ssl-redirect": steps.redirect(protocol="HTTPS", port="443")},
        ingress={"backends": [("/*", "ssl-redirect", "use-annotation"), ("/*", "web", 80)]},
    )(arn)
    for path in stack[0]["spec"]["rules"][0]["http"]["paths"]:
        path["pathType"] = "ImplementationSpecific"
    return stack


def grpc(arn: str) -> Manifests:
    return examples.alb_ip(
        annotations={
            f"{ALB}certificate-arn": arn,
            f"{ALB}listen-ports": '[{"HTTPS": 443}]',
            f"{ALB}backend-protocol-version": "GRPC",
            f"{ALB}healthcheck-path": None,
        },
        ingress={"host": "grpc.example.com"},
    )[2:]


def stateful() -> Manifests:
    """Pods of a StatefulSet behind its headless Service."""
    stack = examples.alb_ip(
        service={"port": 8080, "spec": {"clusterIP": "None"}}, ingress={"backends": [("/", "web", 8080)]}
    )
    workload = examples.find(stack, "Deployment")
    workload["kind"] = "StatefulSet"
    workload["spec"] |= {"serviceName": "web", "podManagementPolicy": "Parallel"}
    return stack


def finished_job() -> Manifests:
    """A migration whose pods carry the application's labels, as charts give them to all that belongs to a release."""
    pod = examples.app(args=("--exit-after", "1s", "--exit-code", "0"), readiness=None, container_port=None)
    template = pod["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": template}}
    return [*examples.alb_ip(app={"labels": {"app": "web", "part": "web"}}), job]


def one_name_two_numbers() -> Manifests:
    """A port's name that means 8080 in old pods and 8081 in new ones: two EndpointSlices."""
    stack = examples.alb_ip(app={"labels": {"app": "web", "part": "old"}}, service={"target_port": "http"})
    readiness = {"httpGet": {"path": "/healthz", "port": 8081}, "periodSeconds": 1}
    newer = ("--listen", ":8081", "--path", "/healthz=200")
    return [*stack, steps.labelled("new", args=newer, readiness=readiness, container_port=8081)]


def unready_neighbour() -> Manifests:
    """A worker that shares the label, has no port of that name and is not ready while it works."""
    stack = examples.alb_ip(app={"labels": {"app": "web", "part": "web"}}, service={"target_port": "http"})
    readiness = {"exec": {"command": ["/no/such/file"]}, "periodSeconds": 1}
    return [*stack, steps.labelled("worker", replicas=1, args=(), readiness=readiness, container_port=None)]


def host_network() -> Manifests:
    args = ("--listen", ":18080", "--path", "/healthz=200")
    return examples.alb_ip(
        app={
            "args": args,
            "container_port": 18080,
            "readiness": {"httpGet": {"path": "/healthz", "port": 18080}, "periodSeconds": 1},
            "pod": {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
        },
        service={"target_port": 18080},
    )


def other_controllers() -> Manifests:
    """The same pods by nginx inside the company and by another provider's load balancer, and a name outside."""
    return [
        *examples.alb_ip(),
        examples.ingress("inner", class_name=steps.INNER_CLASS),
        examples.service("tailnet", type="LoadBalancer", selector={"app": "web"}, load_balancer_class="tailscale"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "database"},
            "spec": {"type": "ExternalName", "externalName": "db.example.com"},
        },
    ]


def network_policies() -> Manifests:
    """Everything is denied, and one rule admits the load balancer's subnets to the port by its name."""

    def policy(name: str, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name}
        return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}

    in_list = [{"key": "app", "operator": "In", "values": ["web", "api"]}]
    return [
        policy("default-deny", podSelector={}, policyTypes=["Ingress"]),
        policy(
            "from-balancers",
            podSelector={"matchExpressions": in_list},
            policyTypes=["Ingress"],
            ingress=[
                {"from": [{"ipBlock": {"cidr": steps.PUBLIC_CIDR}}], "ports": [{"protocol": "TCP", "port": "http"}]}
            ],
        ),
        policy(
            "from-monitoring",
            podSelector={"matchLabels": {"app": "web"}},
            policyTypes=["Ingress"],
            ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}, "podSelector": {}}]}],
        ),
        *examples.alb_ip(),
    ]


def unused_port() -> Manifests:
    """A port for debuggers that is open only while somebody debugs; the Ingress does not lead there."""
    return examples.alb_ip(
        service={
            "ports": [
                {"name": "http", "port": 80, "targetPort": 8080},
                {"name": "debug", "port": 5005, "targetPort": 5005},
            ]
        }
    )


def tcp_udp() -> Manifests:
    """DNS: one port number, both protocols, one listener."""
    ports = [
        {"name": f"dns-{protocol.lower()}", "port": 53, "targetPort": 5353, "protocol": protocol}
        for protocol in ("TCP", "UDP")
    ]
    return examples.nlb_ip(
        annotations={**TCP_CHECK, f"{NLB}enable-tcp-udp-listener": "true"},
        app={
            "args": ("--listen", "udp://:5353", "--listen", "tcp://:5353"),
            "container_port": 5353,
            "readiness": {"tcpSocket": {"port": 5353}, "periodSeconds": 1},
        },
        service={"ports": ports},
    )


def udp() -> Manifests:
    """UDP cannot be checked: the check asks an HTTP port of the same pods."""
    return examples.nlb_ip(
        annotations={f"{NLB}healthcheck-port": "8080"},
        app={"args": ("--listen", "udp://:5353", "--listen", ":8080", "--path", "/healthz=200")},
        service={"ports": [{"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"}]},
    )


def nlb_with_tls(arn: str) -> Manifests:
    """TLS ends at the load balancer; the plain port stays open beside it. No class, but the annotation of before."""
    ports = [
        {"name": "https", "port": 443, "targetPort": 8080},
        {"name": "http", "port": 80, "targetPort": 8080},
    ]
    own = {f"{NLB}type": "external", f"{NLB}ssl-cert": arn, f"{NLB}ssl-ports": "443"}
    return examples.nlb_ip(annotations=own, service={"ports": ports, "load_balancer_class": None})


def rollouts() -> Manifests:
    """A rollout at rest: the stable and the canary Service select the same pods, and the canary has weight 0."""
    action = (
        '{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"canary","ServicePort":"80","Weight":0},'
        '{"ServiceName":"web","ServicePort":"80","Weight":100}]}}'
    )
    stack = examples.alb_ip(
        annotations={f"{ALB}actions.root": action}, ingress={"backends": [("/", "root", "use-annotation")]}
    )
    same = {"selector": {"app": "web"}}
    return [*stack, examples.service("canary", **same), examples.service("root", **same)]


def status_port() -> Manifests:
    """A gateway: raw ports for clients, and a port for checks that is a port of the Service, too."""
    ready = {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1}
    listens = [word for where in ("tcp://:8080", "https://:8443", ":15021") for word in ("--listen", where)]
    return examples.nlb_ip(
        annotations={f"{NLB}healthcheck-path": "/healthz/ready", f"{NLB}healthcheck-port": "15021"},
        app={"args": (*listens, "--path", "/healthz/ready=200"), "readiness": ready, "container_port": 15021},
        service={
            "ports": [
                {"name": "status-port", "port": 15021, "targetPort": 15021},
                {"name": "http2", "port": 80, "targetPort": 8080},
                {"name": "https", "port": 443, "targetPort": 8443},
            ]
        },
    )


def two_entries() -> Manifests:
    """One Service behind a public and an internal load balancer."""
    inner = examples.alb_ip(annotations={f"{ALB}scheme": "internal"})[2]
    inner["metadata"]["name"] = "inner"
    return [*examples.alb_ip(), inner]


def left_over_pod() -> Manifests:
    """A pod that failed and that nobody has cleared away carries the labels still."""
    args = ("--exit-after", "1s", "--exit-code", "1")
    template = examples.app(args=args, readiness=None, container_port=None)["spec"]["template"]
    metadata = {"name": "left-over", "labels": {"app": "web", "part": "left-over"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template["spec"] | {"restartPolicy": "Never"},
    }
    return [*examples.alb_ip(app={"labels": {"app": "web", "part": "web"}}), pod]


def rare_annotations() -> Manifests:
    attributes = "idle_timeout.timeout_seconds=120,routing.http.drop_invalid_header_fields.enabled=true"
    algorithm = "deregistration_delay.timeout_seconds=0,load_balancing.algorithm.type=least_outstanding_requests"
    return examples.alb_ip(
        annotations={
            f"{ALB}load-balancer-name": "lbdlab-rare",
            f"{ALB}tags": "team=shop,cost-centre=42",
            f"{ALB}load-balancer-attributes": attributes,
            f"{ALB}target-group-attributes": algorithm,
            f"{ALB}ip-address-type": "ipv4",
            f"{ALB}inbound-cidrs": "203.0.113.0/24, 198.51.100.7/32",
            "external-dns.alpha.kubernetes.io/hostname": "shop.example.com",
        }
    )


def tls_hosts() -> Manifests:
    """No certificate is named: the controller looks for one that fits the hosts. Secrets mean nothing to it."""
    ingress = examples.alb_ip(
        annotations={f"{ALB}listen-ports": '[{"HTTPS": 443}]'}, ingress={"host": "shop.example.com"}
    )[2]
    ingress["spec"]["tls"] = [{"hosts": ["shop.example.com"], "secretName": "shop-tls"}]
    return [ingress]


def green_to_come() -> Manifests:
    """The first step of a migration between Services: the new one has weight 0 and no pods yet."""
    action = (
        '{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":80,"weight":100},'
        '{"serviceName":"green","servicePort":80,"weight":0}]}}'
    )
    stack = examples.alb_ip(
        annotations={f"{ALB}actions.split": action}, ingress={"backends": [("/", "split", "use-annotation")]}
    )
    return [*stack, examples.service("green")]


def native_sidecar() -> Manifests:
    """A proxy in front of the application, as an init container that stays; the named port is the proxy's."""
    stack = examples.alb_ip(service={"target_port": "proxy"})
    spec = examples.find(stack, "Deployment")["spec"]["template"]["spec"]
    main = spec["containers"][0]
    proxy = {**main, "name": "proxy", "restartPolicy": "Always", "ports": [{"name": "proxy", "containerPort": 8080}]}
    spec["initContainers"] = [proxy]
    main |= {"args": ["--listen", "127.0.0.1:9000", "--path", "/healthz=200"], "ports": []}
    del main["readinessProbe"]
    return stack


def stops_politely() -> Manifests:
    """Pods that wait before they end, for longer than deregistration takes."""
    pod = {"terminationGracePeriodSeconds": 60}
    stack = examples.alb_ip(app={"replicas": 3, "pod": pod})
    container = examples.find(stack, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    container["lifecycle"] = {"preStop": {"sleep": {"seconds": 45}}}
    return stack


def starts_slowly() -> Manifests:
    stack = examples.alb_ip(app={"args": (*examples.APP_ARGS, "--ready-after", "1s")})
    deployment = examples.find(stack, "Deployment")["spec"]
    deployment["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return stack


def mended() -> Manifests:
    """A port that the Service does not have; a step puts it right."""
    return examples.alb_ip(ingress={"backends": [("/", "web", 8081)]})
