"""The way from the control plane to the webhook is read only where a call of it failed; then it is on the screen."""

from __future__ import annotations

from kubectl_lbdoctor.errors import ExitStatus
from tests.support.cloud import Cloud
from tests.support.program import run
from tests.support.shop import NS
from tests.support.world import NOW

INTERFACES = "ec2:DescribeNetworkInterfaces"


def webhook_times_out(cloud: Cloud) -> None:
    """The controller could not write its binding: the API server got no answer from its webhook."""
    message = (
        "Failed deploy model due to Internal error occurred: failed calling webhook "
        '"mtargetgroupbinding.elbv2.k8s.aws": failed to call webhook: Post '
        '"https://aws-load-balancer-webhook-service.kube-system.svc:443/x?timeout=10s": context deadline exceeded'
    )
    event = {
        "metadata": {"name": "web.2", "namespace": NS, "uid": "web.2", "creationTimestamp": NOW},
        "involvedObject": {"kind": "Ingress", "name": "web", "namespace": NS},
        "type": "Warning",
        "reason": "FailedDeployModel",
        "message": message,
        "count": 3,
        "firstTimestamp": NOW,
        "lastTimestamp": NOW,
    }
    cloud.kube.objects["", "events"].append(event)


def test_healthy_objects_cost_no_read_of_the_control_plane(cloud: Cloud) -> None:
    result = run("ing", "web", env=cloud.env)
    assert result.status == ExitStatus.HEALTHY, result
    # By instance, by address, by the load balancer's description.
    assert cloud.aws.asked.count(INTERFACES) <= 3


def test_the_missing_rule_is_on_the_screen(cloud: Cloud) -> None:
    webhook_times_out(cloud)
    result = run("ing", "web", env=cloud.env)
    assert result.status == ExitStatus.FINDINGS, result
    assert "LBD124" in result.stdout
    assert "lacks TCP 9443 from sg-" in result.stdout, result.stdout
    assert "authorize-security-group-ingress" in result.stdout, result.stdout
    assert cloud.aws.asked.count(INTERFACES) <= 6
