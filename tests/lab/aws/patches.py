"""What moto 5.2 does unlike AWS, put right where the load balancer controller or a diagnosis depends on it.

Methods and properties are replaced in place: a subclass of moto's BaseModel defined outside of moto crashes in its
metaclass. Each patch says what AWS does; `apply()` lists them all.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address
from typing import Any

import moto.ec2.utils
from moto.core.responses import ActionResult
from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.network_acls import NetworkAclBackend
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.network_acls import NetworkACLs
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    ELBClientError,
    InvalidTargetError,
    LoadBalancerNotFoundError,
    TargetGroupNotFoundError,
    TargetNotRunning,
)
from moto.elbv2.models import ELBv2Backend, FakeLoadBalancer, FakeTargetGroup, elbv2_backends
from moto.elbv2.responses import ELBV2Response
from moto.sts.models import STSBackend

from tests.lab.aws import balancers, identity, targets

Method = Callable[..., Any]


def replace(owner: Any, name: str) -> Callable[[Method], Method]:
    """Replace a method by a function that gets the original as its first argument."""
    original = getattr(owner, name)

    def decorate(function: Method) -> Method:
        @wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            return function(original, *args, **kwargs)

        setattr(owner, name, method)
        return method

    return decorate


def assign(owner: type, name: str, value: object) -> None:
    """Set what is no method, or has no original to build on."""
    setattr(owner, name, value)


def apply() -> None:
    patch_load_balancers()
    patch_listeners()
    patch_target_groups()
    patch_matchers()
    patch_targets()
    patch_security_groups()
    patch_subnets()
    patch_network_interfaces()
    patch_network_acls()
    patch_filters()
    patch_identity()


# --- load balancers --------------------------------------------------------------------------------------------------


def patch_load_balancers() -> None:
    @replace(ELBv2Backend, "create_load_balancer")
    def create(original: Method, self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if any(balancer.name == name for balancer in self.load_balancers.values()):
            # moto compares ARNs, which carry a random id and never repeat.
            raise DuplicateLoadBalancerName()
        tags = kwargs.pop("tags", None)
        balancer = original(self, name, *args, **kwargs)
        del self.load_balancers[balancer.arn]
        lb_id = balancer.arn.rpartition("/")[2]
        balancer.scheme = balancer.scheme or "internet-facing"
        prefix = "internal-" if balancer.scheme == "internal" else ""
        if balancer.type == "network":
            # moto writes /app/ into every ARN; the kind of load balancer is read from there.
            balancer.arn = balancer.arn.replace(":loadbalancer/app/", ":loadbalancer/net/")
            balancer.dns_name = f"{prefix}{name}-{lb_id}.elb.{self.region_name}.amazonaws.com"
        else:
            if not balancer.security_groups:
                balancer.security_groups = [self.ec2_backend.get_default_security_group(balancer.vpc_id).id]
            balancer.dns_name = f"{prefix}{name}-{int(lb_id, 16) % 10**10}.{self.region_name}.elb.amazonaws.com"
        self.load_balancers[balancer.arn] = balancer
        self.tagging_service.tag_resource(balancer.arn, tags)
        balancers.sync(self.ec2_backend, balancer)
        return balancer

    @replace(ELBv2Backend, "delete_load_balancer")
    def delete(original: Method, self: Any, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer is None:
            return
        if balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        original(self, arn)
        # In the same step, or the controller could not delete the load balancer's security group next.
        balancers.clear(self.ec2_backend, balancer)

    @replace(ELBv2Backend, "set_security_groups")
    def set_security_groups(original: Method, self: Any, arn: str, groups: list[str]) -> None:
        original(self, arn, groups)
        balancers.sync(self.ec2_backend, self.load_balancers[arn])

    @replace(ELBv2Backend, "set_subnets")
    def set_subnets(original: Method, self: Any, arn: str, subnets: list[str], mappings: list[dict[str, Any]]) -> Any:
        balancer = self.load_balancers.get(arn)
        if balancer is None:
            raise LoadBalancerNotFoundError()
        chosen = [*subnets, *(mapping["SubnetId"] for mapping in mappings)]
        if balancer.type == "network" and len(chosen) == 1:
            # moto asks for two zones; a network load balancer may have one.
            balancer.subnets = [self.ec2_backend.get_subnet(chosen[0])]
            answer = balancer.availability_zones
        else:
            answer = original(self, arn, subnets, mappings)
        balancers.sync(self.ec2_backend, balancer)
        return answer

    @replace(ELBv2Backend, "set_ip_address_type")
    def set_ip_address_type(original: Method, self: Any, arn: str, ip_type: str) -> None:
        original(self, arn, ip_type)
        balancers.sync(self.ec2_backend, self.load_balancers[arn])

    FakeLoadBalancer.VALID_ATTRS |= {"health_check_logs.s3.bucket", "health_check_logs.s3.prefix"}


def patch_listeners() -> None:
    @replace(ELBv2Backend, "create_listener")
    def create(
        original: Method, self: Any, load_balancer_arn: str, protocol: str, port: Any, *args: Any, **kwargs: Any
    ) -> Any:
        balancer = self.load_balancers.get(load_balancer_arn)
        if balancer is not None and any(str(one.port) == str(port) for one in balancer.listeners.values()):
            # moto looks for the port among the listeners' ARNs.
            raise DuplicateListenerError()
        listener = original(self, load_balancer_arn, protocol, port, *args, **kwargs)
        if listener.protocol not in ("HTTPS", "TLS"):
            listener.ssl_policy = None  # moto gives a policy to plain listeners, too
        return listener

    @replace(ELBv2Backend, "modify_listener")
    def modify(
        original: Method,
        self: Any,
        arn: str,
        port: Any = None,
        protocol: str | None = None,
        ssl_policy: str | None = None,
        certificates: list[dict[str, Any]] | None = None,
        actions: list[dict[str, Any]] | None = None,
    ) -> Any:
        # moto refuses the protocols of network load balancers here, which it accepts at creation.
        later = protocol if protocol in ("TLS", "UDP", "TCP_UDP") else None
        listener = original(self, arn, port, None if later else protocol, ssl_policy, certificates, actions)
        if later:
            listener.protocol = later
        if listener.protocol == "TLS" and certificates:
            listener.certificate = certificates[0]["CertificateArn"]
            listener.certificates = [certificate["CertificateArn"] for certificate in certificates]
        return listener


# --- target groups ---------------------------------------------------------------------------------------------------


def _balancer_arns(group: Any) -> list[str]:
    return list(targets.users(group))


def _ignore(group: Any, value: Any) -> None:
    """moto's constructor sets an empty list."""


def patch_target_groups() -> None:
    # moto appends one entry per listener or rule and never removes any; AWS lists each load balancer once, while used.
    assign(FakeTargetGroup, "load_balancer_arns", property(_balancer_arns, _ignore))
    backend = property(lambda self: elbv2_backends[self.account_id][self.region_name])
    assign(FakeTargetGroup, "elbv2_backend", backend)

    @replace(ELBv2Backend, "describe_target_groups")
    def describe(original: Method, self: Any, load_balancer_arn: str | None, arns: Any, names: Any) -> Any:
        if load_balancer_arn in self.load_balancers and not arns and not names:
            # moto raises TargetGroupNotFound for a load balancer that has none.
            found = [group for group in self.target_groups.values() if load_balancer_arn in group.load_balancer_arns]
            return sorted(found, key=lambda group: str(group.name))
        return original(self, load_balancer_arn, arns, names)

    @replace(ELBv2Backend, "create_target_group")
    def create(original: Method, self: Any, name: str, **kwargs: Any) -> Any:
        group = original(self, name, **kwargs)
        if group.protocol in ("HTTP", "HTTPS"):
            group.attributes.update(_ALB_GROUP_ATTRIBUTES)
        else:
            for key in ("load_balancing.algorithm.type", "slow_start.duration_seconds", "waf.fail_open.enabled"):
                group.attributes.pop(key, None)
            group.attributes.update(_NLB_GROUP_ATTRIBUTES)
            kept = group.target_type == "instance" or group.protocol in ("UDP", "TCP_UDP")
            group.attributes["preserve_client_ip.enabled"] = str(kept).lower()
        return group

    @replace(ELBv2Backend, "modify_target_group")
    def modify(
        original: Method,
        self: Any,
        arn: str,
        health_check_proto: str | None = None,
        health_check_port: str | None = None,
        health_check_path: str | None = None,
        health_check_interval: int | None = None,
        health_check_timeout: int | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        group = self.target_groups.get(arn)
        if group is None:
            raise TargetGroupNotFoundError()
        # moto compares the two at creation only.
        interval = int(health_check_interval or group.health_check_interval_seconds)
        timeout = int(health_check_timeout or group.health_check_timeout_seconds)
        application = group.protocol in ("HTTP", "HTTPS")
        if interval < timeout or (application and interval == timeout):
            comparison = "smaller than" if application else "smaller than or equal to"
            raise ELBClientError(
                "ValidationError", f"Health check timeout '{timeout}' must be {comparison} the interval '{interval}'"
            )
        return original(
            self,
            arn,
            health_check_proto,
            health_check_port,
            health_check_path,
            health_check_interval,
            health_check_timeout,
            *args,
            **kwargs,
        )


_GROUP_ATTRIBUTES = {
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
_ALB_GROUP_ATTRIBUTES = {**_GROUP_ATTRIBUTES, "load_balancing.algorithm.anomaly_mitigation": "off"}
_NLB_GROUP_ATTRIBUTES = {
    **_GROUP_ATTRIBUTES,
    "proxy_protocol_v2.enabled": "false",
    "deregistration_delay.connection_termination.enabled": "false",
    "target_health_state.unhealthy.connection_termination.enabled": "true",
    "target_health_state.unhealthy.draining_interval_seconds": "0",
}


def default_matcher(group: Any) -> dict[str, str]:
    if group.protocol_version == "GRPC":
        return {"GrpcCode": "12"}
    return {"HttpCode": "200" if group.protocol in ("HTTP", "HTTPS") else "200-399"}


def patch_matchers() -> None:
    """moto knows matchers of ALB target groups only, and forgets the others' when they are modified."""

    @replace(ELBv2Backend, "create_target_group")
    def create(original: Method, self: Any, name: str, **kwargs: Any) -> Any:
        matcher = kwargs.get("matcher")
        path = kwargs.get("healthcheck_path")
        group = original(self, name, **kwargs)
        if group.health_check_protocol in ("HTTP", "HTTPS"):
            group.matcher = matcher or default_matcher(group)
            grpc = group.protocol_version == "GRPC"
            group.health_check_path = path or ("/AWS.ALB/healthcheck" if grpc else "/")
        return group

    @replace(ELBV2Response, "modify_target_group")
    def modify(original: Method, self: Any) -> ActionResult:
        answer: ActionResult = original(self)
        group = self.elbv2_backend.target_groups[self._get_param("TargetGroupArn")]
        if group.health_check_protocol in ("HTTP", "HTTPS"):
            asked = self._get_param("Matcher") or {}
            group.matcher = asked or getattr(group, "matcher", None) or default_matcher(group)
            group.health_check_path = group.health_check_path or "/"
        else:
            group.__dict__.pop("matcher", None)
            group.health_check_path = None
        return answer


# --- targets ---------------------------------------------------------------------------------------------------------


def patch_targets() -> None:
    """Targets are (id, port), drain when deregistered, and have the health that the checker found (targets.py)."""

    @replace(ELBv2Backend, "register_targets")
    def register(original: Method, self: Any, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        for target in instances:
            if group.target_type == "instance":
                instance = self.ec2_backend.get_instance_by_id(target["Id"])
                if instance is None:
                    raise InvalidTargetError()
                if instance.state != "running":
                    raise TargetNotRunning(instance_id=target["Id"])
            elif group.target_type == "ip":
                wanted = "IPv6" if group.ip_address_type == "ipv6" else "IPv4"
                try:
                    fits = ip_address(target["Id"]).version == int(wanted[-1])
                except ValueError:
                    fits = False
                if not fits:
                    raise ELBClientError(
                        "ValidationError", f"The IP address '{target['Id']}' is not a valid {wanted} address"
                    )
        targets.add(group, instances)

    @replace(ELBv2Backend, "deregister_targets")
    def deregister(original: Method, self: Any, target_group_arn: str, instances: list[dict[str, Any]]) -> None:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        targets.remove(group, instances)

    @replace(ELBv2Backend, "describe_target_health")
    def describe(original: Method, self: Any, target_group_arn: str, asked: list[dict[str, Any]]) -> Any:
        group = self.target_groups.get(target_group_arn)
        if group is None:
            raise TargetGroupNotFoundError()
        return targets.describe(group, asked)

    # A terminated instance stays a target in state unused (Target.InvalidState) until somebody deregisters it.
    assign(FakeTargetGroup, "deregister_terminated_instances", lambda self, instance_ids: None)


# --- EC2 -------------------------------------------------------------------------------------------------------------


def patch_security_groups() -> None:
    # DescribeSecurityGroupRules: moto looks for the description beside an address range only.
    description = property(lambda self: self.ip_range.get("Description") or self.source_group.get("Description"))
    assign(SecurityGroupRule, "description", description)

    def source(rule: Any) -> tuple[Any, ...]:
        ports = () if rule.ip_protocol == "-1" else (rule.from_port, rule.to_port)
        cidrs = (rule.ip_range.get("CidrIp"), rule.ip_range.get("CidrIpv6"))
        return rule.ip_protocol, *ports, *cidrs, rule.source_group.get("GroupId"), rule.prefix_list_id

    # A rule's description is not part of its identity: revoking a rule works without naming it.
    assign(SecurityGroupRule, "__eq__", lambda self, other: source(self) == source(other))

    @replace(SecurityGroupBackend, "delete_security_group")
    def delete(original: Method, self: Any, name: str | None = None, group_id: str | None = None) -> None:
        """AWS keeps a group that an interface carries or another group's rule names; the controller retries."""
        group = self.get_security_group_from_id(group_id) if group_id else self.get_security_group_from_name(name)
        if group is not None:
            carried = any(group in interface.group_set for interface in list(self.enis.values()))
            rules = [
                rule
                for groups in list(self.groups.values())
                for other in list(groups.values())
                if other is not group
                for rule in (*other.ingress_rules, *other.egress_rules)
            ]
            if carried or any(rule.source_group.get("GroupId") == group.id for rule in rules):
                raise DependencyViolationError(f"resource {group.id} has a dependent object")
        original(self, name, group_id)


def _ranges6(subnet: Any) -> list[dict[str, Any]]:
    """moto writes the state of a range as the text of its own record."""
    entries = [
        e for e in subnet.ipv6_cidr_block_associations.values() if e["ipv6CidrBlockState"]["State"] == "associated"
    ]
    return [
        {
            "ipv6CidrBlock": entry["ipv6CidrBlock"],
            "associationId": entry["associationId"],
            "ipv6CidrBlockState": {"state": "associated"},
        }
        for entry in entries
    ]


def patch_subnets() -> None:
    assign(Subnet, "ipv6_cidr_block_association_set", property(_ranges6))


def _groups(interface: Any) -> list[Any]:
    """moto unites an attached interface's groups with the instance's; an instance's groups are its primary one's."""
    instance = interface.instance
    if instance is not None and instance.nics.get(0) is interface:
        return list(instance.security_groups)
    return list(interface._group_set)


def patch_network_interfaces() -> None:
    assign(NetworkInterface, "group_set", property(_groups))

    @replace(NetworkInterfaceBackend, "modify_network_interface_attribute")
    def modify(original: Method, self: Any, eni_id: str, group_ids: list[str], *args: Any, **kwargs: Any) -> None:
        original(self, eni_id, group_ids, *args, **kwargs)
        interface = self.get_network_interface(eni_id)
        instance = interface.instance
        if group_ids and instance is not None and instance.nics.get(0) is interface:
            instance.security_groups = list(interface._group_set)

    @replace(NetworkInterface, "get_filter_value")
    def filter_value(original: Method, self: Any, name: str, method_name: str | None = None) -> Any:
        """Secondary addresses and the instance's groups count, too."""
        if name == "addresses.private-ip-address":
            return [address["PrivateIpAddress"] for address in self.private_ip_addresses]
        if name == "ipv6-addresses.ipv6-address":
            return list(self.ipv6_addresses)
        if name == "group-id":
            return [group.id for group in self.group_set]
        if name == "requester-managed":
            return str(bool(self.requester_managed)).lower()
        if name in ("status", "interface-type"):
            return self.status if name == "status" else self.interface_type
        if name == "attachment.device-index":
            return str(self.device_index)
        return original(self, name, method_name)


def patch_network_acls() -> None:
    @replace(NetworkAclBackend, "create_network_acl")
    def create(original: Method, self: Any, vpc_id: str, tags: Any = None, default: bool = False) -> Any:
        """Every ACL ends with an entry that denies the rest; moto shows it on default ACLs only."""
        acl = original(self, vpc_id, tags, default)
        if not default:
            for egress in (True, False):
                self.create_network_acl_entry(
                    acl.id, 32767, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
                )
        return acl

    for name in ("create_network_acl_entry", "delete_network_acl_entry"):

        @replace(NetworkACLs, name)
        def entry(original: Method, self: Any) -> Any:
            """Every EC2 call can be rehearsed; moto makes these two all the same."""
            self.error_on_dryrun()
            return original(self)


def patch_filters() -> None:
    @replace(moto.ec2.utils, "is_filter_matching")
    def matches(original: Method, item: Any, name: str, wanted: Any) -> bool:
        """AWS: any of the filter's values equals any of the object's; moto wants one list to contain the other."""
        value = item.get_filter_value(name)
        if isinstance(value, (list, set, tuple)) and isinstance(wanted, list):
            return any(fnmatch.fnmatchcase(str(one), str(pattern)) for one in value for pattern in wanted)
        return bool(original(item, name, wanted))


# --- identity --------------------------------------------------------------------------------------------------------


def patch_identity() -> None:
    @replace(STSBackend, "get_caller_identity")
    def caller(original: Method, self: Any, access_key_id: str, region: str) -> tuple[str, str, str]:
        """moto answers `user/moto` for every key it has not made itself."""
        principal = identity.PRINCIPALS.get(access_key_id)
        if principal is None:
            answer: tuple[str, str, str] = original(self, access_key_id, region)
            return answer
        return principal.user_id, principal.arn, self.account_id
