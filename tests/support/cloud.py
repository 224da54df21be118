"""Cluster and AWS together, holding one Ingress `shop/web` behind an ALB with ip targets, and the ways it can break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.api_requests import Asked
from tests.support.api_server import FakeKube
from tests.support.aws_front import FakeAws
from tests.support.shop import LONG_AGO, NS, Raw, healthy_objects, meta


class Cloud:
    """Cluster and AWS together, with a kubeconfig that leads there (contexts `lab` in namespace shop, and `bare`)."""

    def __init__(self) -> None:
        self.kube, self.aws = FakeKube(), FakeAws()
        self.env: dict[str, str] = {}

    def reset(self, directory: Path) -> None:
        """Back to health; the kubeconfig is written into `directory`."""
        self.aws.reset()
        self.kube.reset(healthy_objects(self.aws.group_arn, self.aws.host, self.aws.instances))
        self.kubeconfig = directory / "kubeconfig"
        self.write_kubeconfig()
        self.env = {
            "KUBECONFIG": str(self.kubeconfig),
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def write_kubeconfig(self, server: str = "") -> None:
        contexts = {"lab": {"namespace": NS}, "bare": {}}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {"server": server or self.kube.url}}],
            "users": [{"name": "dev", "user": {"token": "t0p-s3cr3t"}}],
            "contexts": [
                {"name": name, "context": {"cluster": "lab", "user": "dev", **more}} for name, more in contexts.items()
            ],
        }
        self.kubeconfig.write_text(json.dumps(document))

    def close(self) -> None:
        self.kube.close()
        self.aws.close()

    # ---- Faults

    def wrong_path(self) -> None:
        """The load balancer checks "/", which the application answers with 404."""
        self.aws.check_path("/")
        annotations = self.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"]
        annotations.pop("alb.ingress.kubernetes.io/healthcheck-path", None)
        for target in self.aws.health:
            target.state, target.reason = "unhealthy", "Target.ResponseCodeMismatch"
            target.description = "Health checks failed with these codes: [404]"

    def wrong_port(self) -> None:
        """The Service sends to 9090, where no pod listens; the controller follows what is patched."""
        self.kube.named("services")[0]["spec"]["ports"][0]["targetPort"] = 9090
        self._serve(9090)

        def follow(asked: Asked, raw: Raw) -> None:
            if asked.resource == "services":
                self._serve(raw["spec"]["ports"][0]["targetPort"])

        self.kube.written = follow

    def _serve(self, port: int) -> None:
        """What endpoints and target group make of a targetPort: healthy on 8080 alone."""
        self.kube.named("endpointslices", group="discovery.k8s.io")[0]["ports"][0]["port"] = port
        good = port == 8080
        for target in self.aws.health:
            target.port = port
            target.state = "healthy" if good else "unhealthy"
            target.reason = "" if good else "Target.FailedHealthChecks"
            target.description = "" if good else "Health checks failed"

    def crash_loop(self) -> None:
        """Both pods crash: no endpoint is ready and no target is left."""
        for raw in self.kube.named("pods"):
            status = raw["status"]["containerStatuses"][0]
            status.update(ready=False, restartCount=5)
            status["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
            status["lastState"] = {"terminated": {"reason": "Error", "exitCode": 2, "finishedAt": LONG_AGO}}
            for condition in raw["status"]["conditions"]:
                condition["status"] = "True" if condition["type"] == "PodScheduled" else "False"
        for piece in self.kube.named("endpointslices", group="discovery.k8s.io"):
            for endpoint in piece["endpoints"]:
                endpoint["conditions"] = {"ready": False, "serving": False, "terminating": False}
        for raw in self.kube.named("deployments", group="apps") + self.kube.named("replicasets", group="apps"):
            raw["status"].update(readyReplicas=0, availableReplicas=0)
        self.aws.health = []

    def permission_denied(self) -> None:
        """AWS denies the controller, which has its role by EKS Pod Identity, a call."""
        message = (
            "Failed deploy model due to operation error Elastic Load Balancing v2: ModifyRule, https response error "
            "StatusCode: 403, RequestID: 1, api error AccessDenied: User: arn:aws:sts::123456789012:assumed-role/lbc/1 "
            "is not authorized to perform: elasticloadbalancing:ModifyRule on resource: x because no identity-based "
            "policy allows the elasticloadbalancing:ModifyRule action"
        )
        about = {"kind": "Ingress", "namespace": NS, "name": "web"}
        event = {"involvedObject": about, "type": "Warning", "reason": "FailedDeployModel", "message": message}
        event |= {"metadata": meta("web.1", NS), "lastTimestamp": "2099-01-01T00:00:00Z", "count": 3}
        self.kube.objects.setdefault(("", "events"), []).append(event)
        for account in self.kube.named("serviceaccounts", "kube-system"):
            account["metadata"]["annotations"] = {}
        for raw in self.kube.named("pods", "kube-system"):
            for container in raw["spec"]["containers"]:
                if any(variable["name"] == "AWS_ROLE_ARN" for variable in container.get("env", ())):
                    agent = "http://169.254.170.23/v1/credentials"
                    container["env"] = [{"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": agent}]

    def group_missing(self) -> None:
        """The controller may not find a security group that some binding names."""
        message = (
            "Failed deploy model due to operation error EC2: AuthorizeSecurityGroupIngress, https response error "
            "StatusCode: 400, RequestID: 2, api error InvalidGroup.NotFound: The security group 'sg-0ff' does not exist"
        )
        about = {"kind": "Ingress", "namespace": NS, "name": "web"}
        event = {"involvedObject": about, "type": "Warning", "reason": "FailedDeployModel", "message": message}
        event |= {"metadata": meta("web.2", NS), "lastTimestamp": "2099-01-01T00:00:00Z", "count": 1}
        self.kube.objects.setdefault(("", "events"), []).append(event)

    def in_group(self) -> None:
        """The Ingress shares its load balancer with others by an IngressGroup."""
        self.kube.named("ingresses", group="networking.k8s.io")[0]["metadata"]["annotations"][
            "alb.ingress.kubernetes.io/group.name"
        ] = "front"
        binding = self.kube.named("targetgroupbindings", group="elbv2.k8s.aws")[0]
        binding["metadata"]["labels"] = {"ingress.k8s.aws/stack": "front"}


@contextmanager
def cloud() -> Iterator[Cloud]:
    """One pair of servers for a package of tests."""
    made = Cloud()
    try:
        yield made
    finally:
        made.close()
