"""What only IAM and certificates show: a role with a policy that is too old, a webhook certificate that nobody has been
refused with yet. They change what all objects share; the last ones belong to one object, an NLB's for contrast.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.e2e.scenarios import NLB, REFUSED, Scenario, settled, unhealthy
from tests.lab import controller, examples, faults
from tests.lab.api import Lab
from tests.lab.aws.identity import CONTROLLER_ROLE

SECRET = "aws-load-balancer-tls"


@contextmanager
def _role_lacks(lab: Lab, ns: str, action: str) -> Iterator[None]:
    """The role's policy is an old one without the action, which AWS therefore denies."""
    iam = lab.aws("iam")
    arn = iam.list_attached_role_policies(RoleName=CONTROLLER_ROLE)["AttachedPolicies"][0]["PolicyArn"]
    former = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    statement = {"Effect": "Allow", "NotAction": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    try:
        with faults.aws_denied(lab, action):
            lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=3")
            yield
            lab.kubectl("scale", "deployment/web", "-n", ns, "--replicas=2")
    finally:
        iam.set_default_policy_version(PolicyArn=arn, VersionId=former)
        iam.delete_policy_version(PolicyArn=arn, VersionId=made["PolicyVersion"]["VersionId"])


@contextmanager
def _certificate_replaced(lab: Lab) -> Iterator[None]:
    """The Secret holds a certificate of another authority, as after a chart rendered anew; nobody was refused yet, for
    the controller has not taken it up."""
    former = lab.get("secret", SECRET, controller.NAMESPACE)["data"]["tls.crt"]
    # Any valid certificate will do: the API server's own one is of the cluster's authority.
    other = lab.kubectl("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}")
    path = "/data/tls.crt"
    lab.patch("secret", SECRET, controller.NAMESPACE, [{"op": "replace", "path": path, "value": other}])
    try:
        yield
    finally:
        lab.patch("secret", SECRET, controller.NAMESPACE, [{"op": "replace", "path": path, "value": former}])


SCENARIOS: Sequence[Scenario] = [
    Scenario(
        "role-lacks-an-action",
        examples.alb_ip,
        ["LBD120"],
        settled(8),
        fault=lambda lab, ns: _role_lacks(lab, ns, "elasticloadbalancing:RegisterTargets"),
        object=f"IAMRole/{CONTROLLER_ROLE}",
    ),
    Scenario(
        "webhook-authority-replaced-unnoticed",
        examples.alb_ip,
        ["LBD125"],
        settled(1),
        fault=lambda lab, ns: faults.webhook_broken(lab),
        object="Service/aws-load-balancer-webhook-service",
    ),
    Scenario(
        "webhook-certificate-replaced-unnoticed",
        examples.alb_ip,
        ["LBD125"],
        settled(1),
        fault=lambda lab, ns: _certificate_replaced(lab),
        object="Service/aws-load-balancer-webhook-service",
    ),
    Scenario(
        "path-404-nlb",
        lambda: examples.nlb_ip(annotations={f"{NLB}healthcheck-path": "/nowhere"}),
        ["LBD301"],
        unhealthy(REFUSED),
        subject="svc/web",
    ),
    Scenario(
        "path-redirect-nlb",
        lambda: examples.nlb_ip(
            # Without success codes an NLB takes 200 to 399, a redirect included.
            annotations={f"{NLB}healthcheck-path": "/old", f"{NLB}healthcheck-success-codes": "200"},
            app={"args": (*examples.APP_ARGS, "--redirect", "/old=https://shop.example/:301")},
        ),
        ["LBD303"],
        unhealthy(REFUSED),
        subject="svc/web",
    ),
    Scenario(
        "udp-without-a-tcp-port",
        lambda: examples.nlb_ip(
            annotations={f"{NLB}healthcheck-protocol": "tcp", f"{NLB}healthcheck-path": None},
            service={"ports": [{"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"}]},
        ),
        ["LBD315"],
        unhealthy(REFUSED),
        subject="svc/web",
    ),
    Scenario(
        "endpoints-that-are-no-pods",
        lambda: [
            *examples.alb_ip(service={"selector": {}}),
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": "web-by-hand", "labels": {"kubernetes.io/service-name": "web"}},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
                "endpoints": [{"addresses": ["10.0.1.77"], "conditions": {"ready": True}}],
            },
        ],
        ["LBD212"],
        settled(8),
        object="Service/web",
    ),
]
