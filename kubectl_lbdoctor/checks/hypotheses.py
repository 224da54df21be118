"""What could still be the cause when no check has proven one, most likely first, each with what would settle it.

Follows the reason codes (shared knowledge of AWS's API reference and troubleshooting guides): an Application Load
Balancer reports Target.Timeout when nothing answers (a filter on the way, or an application that is too slow) and
Target.FailedHealthChecks when the connection is refused, reset or not HTTP; a Network Load Balancer reports
Target.FailedHealthChecks for all of these.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_lbdoctor.model.aws import TargetHealth
from kubectl_lbdoctor.model.finding import Hypothesis
from kubectl_lbdoctor.model.route import Route

_SLOW = Hypothesis(
    "LBD309",
    "the application answers later than the health check's timeout",
    "time the request from another pod: curl -w '%{time_total}' http://TARGET/PATH",
)
_LISTEN = Hypothesis(
    "LBD307",
    "nothing listens on the checked port",
    "list listening sockets in the pod: kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6",
)
_LOOPBACK = Hypothesis(
    "LBD308",
    "the process listens on 127.0.0.1 only",
    "local address 0100007F in: kubectl exec POD -- cat /proc/net/tcp",
)
_PROTOCOL = Hypothesis(
    "LBD305",
    "the check speaks HTTP to a TLS port, or TLS to a plaintext port",
    "compare: curl -v http://TARGET/ and curl -vk https://TARGET/",
)
_GROUPS = Hypothesis(
    "LBD501",
    "no security group of the target admits the load balancer on the checked port",
    "compare the target interface's inbound rules with the load balancer's groups and subnets",
)
_ACL = Hypothesis(
    "LBD507",
    "a network ACL between load balancer and target subnets denies the request or its reply (ports 1024-65535)",
    "read the ACL entries of both subnets in order of their numbers, both directions",
)
_EGRESS = Hypothesis(
    "LBD503",
    "the load balancer's own security group has no egress to the target",
    "read the outbound rules of the load balancer's groups",
)
_POLICY = Hypothesis(
    "LBD513",
    "a NetworkPolicy that selects the pods does not admit the load balancer",
    "kubectl get networkpolicy in the pods' namespace",
)
_PATH = Hypothesis(
    "LBD301",
    "the check path is answered with a code outside the success codes (or a redirect, or a demand to log in)",
    "curl -i http://TARGET/PATH with the target group's health check path, from another pod",
)
_ZONE = Hypothesis(
    "LBD208",
    "the target is in an Availability Zone that is not enabled for the load balancer",
    "compare the target's zone with: aws elbv2 describe-load-balancers",
)
_UNUSED = Hypothesis(
    "LBD209",
    "no listener or rule forwards to the target group",
    "aws elbv2 describe-target-groups shows its LoadBalancerArns, describe-rules what is forwarded",
)
_SECOND_HOP = Hypothesis(
    "LBD502",
    "nodes do not admit each other, so that a NodePort reaches no pod on another node",
    "compare the inbound rules of the nodes' security groups for each other",
)
_KUBE_PROXY = Hypothesis(
    "LBD517",
    "kube-proxy is missing or stale on some nodes",
    "kubectl get pods -n kube-system -l k8s-app=kube-proxy -o wide",
)


def hypotheses(route: Route, failing: Iterable[TargetHealth]) -> tuple[Hypothesis, ...]:
    """Hypotheses for targets that fail for reasons which no check has explained."""
    reasons = {target.reason for target in failing}
    instance = route.target_type == "instance"
    filters = [_GROUPS, *([_SECOND_HOP, _KUBE_PROXY] if instance else []), _ACL, _EGRESS, _POLICY]
    refused = [_LISTEN, _LOOPBACK, _PROTOCOL, *([_KUBE_PROXY] if instance else [])]
    found: list[Hypothesis] = []
    if "Target.Timeout" in reasons:
        found += [*filters, _SLOW]
    if "Target.FailedHealthChecks" in reasons:
        found += refused if route.is_alb else [*refused, *filters, _SLOW]
    if "Target.ResponseCodeMismatch" in reasons:
        found.append(_PATH)  # Only where the target group could not be read: else LBD301 to LBD304 name the answer.
    if "Target.NotInUse" in reasons:
        found += [_ZONE, _UNUSED]
    return tuple(dict.fromkeys(found))
