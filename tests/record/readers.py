"""Readers that pass every question on and keep the raw answers as the objects and records of a world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.cassette import Object

_KINDS = {
    "configmaps": "ConfigMap",
    "daemonsets": "DaemonSet",
    "deployments": "Deployment",
    "endpointslices": "EndpointSlice",
    "events": "Event",
    "gatewayclasses": "GatewayClass",
    "gateways": "Gateway",
    "grpcroutes": "GRPCRoute",
    "httproutes": "HTTPRoute",
    "ingressclasses": "IngressClass",
    "ingressclassparams": "IngressClassParams",
    "ingresses": "Ingress",
    "leases": "Lease",
    "listenerruleconfigurations": "ListenerRuleConfiguration",
    "listenersets": "ListenerSet",
    "loadbalancerconfigurations": "LoadBalancerConfiguration",
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "namespaces": "Namespace",
    "networkpolicies": "NetworkPolicy",
    "nodes": "Node",
    "pods": "Pod",
    "referencegrants": "ReferenceGrant",
    "replicasets": "ReplicaSet",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "services": "Service",
    "statefulsets": "StatefulSet",
    "targetgroupbindings": "TargetGroupBinding",
    "targetgroupconfigurations": "TargetGroupConfiguration",
    "tcproutes": "TCPRoute",
    "tlsroutes": "TLSRoute",
    "udproutes": "UDPRoute",
    "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
}


class RecordingKube:
    """Stands before a KubeReader. `objects` are all that were given, with kind and apiVersion put back into the items
    of lists; `collections` the resources that were asked for."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.collections: set[str] = set()
        self.log = ""

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Object | None:
        answer: Object | None = self._reader.get(path, params)
        self.collections.add(self._collection(path))
        if answer is not None:
            self._keep(answer)
        return answer

    def list(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Object]:
        collection = self._collection(path)
        version, _, resource = collection.rpartition("/")
        for item in self._reader.list(path, params):
            self._keep({"apiVersion": version, "kind": _KINDS[resource], **item})
            yield item
        self.collections.add(collection)  # Not where the cluster serves it in another version.

    def text(self, path: str, params: Mapping[str, Any] | None = None, max_bytes: int = 1 << 20) -> str:
        answer: str = self._reader.text(path, params, max_bytes)
        self.log += answer
        return answer

    @staticmethod
    def _collection(path: str) -> str:
        parts = path.strip("/").split("/")
        version, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        if rest[0] == "namespaces" and len(rest) > 2:
            rest = rest[2:]
        return f"{version}/{rest[0]}"

    def _keep(self, item: Object) -> None:
        metadata = item["metadata"]
        self.objects[(item["kind"], metadata.get("namespace", ""), metadata["name"])] = item


# Operation to the kind of record, and the field that tells one record from another.
_RECORDS = {
    "DescribeLoadBalancers": ("LoadBalancers", "LoadBalancerArn"),
    "DescribeTargetGroups": ("TargetGroups", "TargetGroupArn"),
    "DescribeListeners": ("Listeners", "ListenerArn"),
    "DescribeNetworkInterfaces": ("NetworkInterfaces", "NetworkInterfaceId"),
    "DescribeSecurityGroups": ("SecurityGroups", "GroupId"),
    "DescribeSubnets": ("Subnets", "SubnetId"),
    "DescribeNetworkAcls": ("NetworkAcls", "NetworkAclId"),
    "DescribeRouteTables": ("RouteTables", "RouteTableId"),
}


class RecordingAws:
    """Stands before an AwsReader; `records` by kind and identity, in the form that the replay answers from."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.records: dict[str, dict[str, Object]] = {}

    @property
    def region(self) -> str:
        """Where is asked."""
        return str(self._reader.region)

    def account(self) -> str:
        """Whose credentials these are."""
        return str(self._reader.account())

    def call(self, service: str, operation: str, result_key: str | None = None, **params: Any) -> Any:
        answer = self._reader.call(service, operation, result_key, **params)
        if operation in _RECORDS:
            kind, identity = _RECORDS[operation]
            for record in answer:
                self._keep(kind, record[identity], record)
        elif operation == "DescribeRules":
            for record in answer:
                self._keep("Rules", record["RuleArn"], {"ListenerArn": params["ListenerArn"], **record})
        elif operation == "DescribeTargetHealth":
            for record in answer:
                key = f"{params['TargetGroupArn']} {record['Target']['Id']}:{record['Target']['Port']}"
                self._keep("TargetHealth", key, {"TargetGroupArn": params["TargetGroupArn"], **record})
        elif operation in ("DescribeTargetGroupAttributes", "DescribeLoadBalancerAttributes"):
            name, arn = next(iter(params.items()))
            table = {pair["Key"]: pair["Value"] for pair in answer}
            self._keep(operation.removeprefix("Describe"), arn, {name: arn, "Attributes": table})
        elif operation == "DescribeTags":
            for record in answer:
                tags = {pair["Key"]: pair["Value"] for pair in record["Tags"]}
                self._keep("Tags", record["ResourceArn"], {"ResourceArn": record["ResourceArn"], "Tags": tags})
        elif service == "iam" or service == "eks":
            self._identity(f"{service}:{operation}", answer, params)
        else:
            raise LookupError(f"no record is made of {service}:{operation}")
        return answer

    def _identity(self, what: str, answer: Any, params: Mapping[str, Any]) -> None:
        if what == "iam:GetRole":
            self._role(params["RoleName"]).update(answer["Role"])
        elif what == "iam:ListAttachedRolePolicies":
            self._role(params["RoleName"])["AttachedPolicies"] = list(answer)
        elif what == "iam:ListRolePolicies":
            self._role(params["RoleName"])["InlinePolicies"] = [{"PolicyName": name} for name in answer]
        elif what == "iam:GetPolicy":
            self._keep("Policies", params["PolicyArn"], answer["Policy"])
        elif what == "iam:GetPolicyVersion":
            record = {"PolicyArn": params["PolicyArn"], **answer["PolicyVersion"]}
            self._keep("PolicyVersions", params["PolicyArn"], record)
        elif what == "eks:DescribeCluster":
            self._keep("Clusters", params["name"], answer["cluster"])
        elif what == "eks:ListPodIdentityAssociations":
            self.records.setdefault("PodIdentityAssociations", {})
        elif what == "eks:DescribePodIdentityAssociation":
            record = {"clusterName": params["clusterName"], **answer["association"]}
            self._keep("PodIdentityAssociations", params["associationId"], record)
        else:
            raise LookupError(f"no record is made of {what}")

    def _role(self, name: str) -> Object:
        return self.records.setdefault("Roles", {}).setdefault(name, {"RoleName": name})

    def _keep(self, kind: str, identity: str, record: Object) -> None:
        self.records.setdefault(kind, {})[identity] = record
