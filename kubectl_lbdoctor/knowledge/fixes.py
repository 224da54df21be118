"""What each fix changes, by the name that `--fix` takes. The value of each one comes from the finding.

A name has one meaning for all codes that offer it. Where the controller owns a setting, the change goes to the object
that it is read from: annotations of the Ingress, its Service or its IngressClass
(https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/).
"""

from __future__ import annotations

_ANNOTATION = (
    "It is set where the controller reads it, on the Service or the Ingress; of a target group that was made outside "
    "the cluster it is changed in AWS (elbv2 ModifyTargetGroup)."
)

FIXES: dict[str, str] = {
    "allowed-routes": "Lets a listener of the Gateway take routes of all namespaces, not of its own alone "
    "(allowedRoutes.namespaces.from).",
    "annotation-key": "Renames an annotation that nobody reads to the key that is meant: old and new in one change.",
    "annotation-value": "Gives an annotation a value that the controller and AWS accept.",
    "backend-port": "Names a port of the Service as the backend's port in the Ingress.",
    "drift": "Gives the target group in AWS what the annotations say (elbv2 ModifyTargetGroup), which is what the "
    "controller would do when it next looks.",
    "frontend-nlb": "Lets the health check of the Network Load Balancer before an Ingress's own ask what that one "
    "answers (annotations frontend-nlb-healthcheck-…), or lets it come in (inbound-cidrs).",
    "healthcheck-path": f"Sets the path of the health check. {_ANNOTATION}",
    "healthcheck-port": f"Sets the port of the health check. {_ANNOTATION}",
    "healthcheck-protocol": f"Sets the protocol of the health check: HTTP, HTTPS or TCP. {_ANNOTATION}",
    "healthcheck-timeout": f"Sets the timeout of the health check, and its interval where that has to be longer. "
    f"{_ANNOTATION}",
    "ingress-class": "Sets the class of the Ingress to one of the AWS Load Balancer Controller.",
    "ip-address-type": "Makes the load balancer dual-stack, by the annotation of that name, or by the "
    "LoadBalancerConfiguration of the Gateway, which is made where it has none. Each of its subnets needs an IPv6 "
    "range.",
    "kube-proxy": "Restarts the DaemonSet kube-proxy in kube-system, node by node. It cannot be taken back, and need "
    "not be.",
    "lb-egress": "Adds one outbound rule to a security group of the load balancer: to the target's group, for the "
    "checked port (EC2 AuthorizeSecurityGroupEgress).",
    "network-acl": "Adds one entry to a network ACL, with a number before the one that denies the traffic (EC2 "
    "CreateNetworkAclEntry).",
    "node-security-group": "Adds one inbound rule to the security group of nodes: from the group of the other nodes, "
    "for the port of the pods (EC2 AuthorizeSecurityGroupIngress).",
    "security-group": "Adds one inbound rule to a security group of the targets: from the load balancer's group, for "
    "the checked port (EC2 AuthorizeSecurityGroupIngress).",
    "selector": "Changes the Service's selector so that it takes in the pods that are meant.",
    "success-codes": f"Sets the status codes that the health check accepts. {_ANNOTATION}",
    "target-reference": "Lets a TargetGroupConfiguration name the Service that it is meant for (targetReference.name), "
    "or one of its routeConfigurations the route (routeIdentifier).",
    "target-type": "Sets the target type to ip, so that no node port is needed, or to instance, where pods cannot be "
    "reached. The controller makes a new target group.",
    "targetport": "Sets targetPort of the Service to the port that the pods listen on. Endpoints, and with them "
    "targets, are registered anew.",
    "traffic-policy": "Sets externalTrafficPolicy of the Service to Cluster. The application then sees addresses of "
    "nodes where it saw those of clients.",
}
