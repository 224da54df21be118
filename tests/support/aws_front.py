"""An AWS endpoint: moto behind a WSGI front that fails one action at a time, that answers DescribeTargetHealth itself
(moto knows neither reason codes nor zones of ip targets), and that asks moto only once for what does not change."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import boto3
import werkzeug.serving
from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import create_backend_app

from tests.support.faults import SLOW
from tests.support.roles import Call
from tests.support.shop import NS, REGION, Raw

_ERRORS = {
    "denied": (403, "AccessDenied"),
    "throttled": (400, "Throttling"),
    "error": (500, "InternalFailure"),
    "expired": (403, "ExpiredToken"),
    "dry-run": (412, "DryRunOperation"),
    "duplicate": (400, "InvalidPermission.Duplicate"),
    "invalid": (400, "InvalidParameterValue"),
}


_IAM_PREFIX = {"monitoring": "cloudwatch"}
"""Of services whose requests are signed for another name."""


_PAGES = {
    "bad gateway": (502, b"<html>bad gateway</html>"),
    "gateway timeout": (504, b"upstream timed out"),
    "page": (200, b"<html>please sign in</html>"),
    "empty": (200, b""),
    "cut short": (200, b"<AuthorizeSecurityGroupIngressResponse><ret"),
    "not found": (404, b"404 page not found"),
}


@dataclass
class Spoiled:
    """How calls are answered: one of _ERRORS or _PAGES, or "cut". made: moto makes them all the same."""

    answer: str
    made: bool
    times: int = 99


@dataclass
class Health:
    """One target as DescribeTargetHealth gives it."""

    id: str
    zone: str
    state: str = "healthy"
    reason: str = ""
    description: str = ""
    port: int = 8080

    def xml(self) -> str:
        reason = f"<Reason>{self.reason}</Reason>" if self.reason else ""
        description = f"<Description>{escape(self.description)}</Description>" if self.description else ""
        return (
            f"<member><HealthCheckPort>{self.port}</HealthCheckPort>"
            f"<Target><Id>{self.id}</Id><Port>{self.port}</Port><AvailabilityZone>{self.zone}</AvailabilityZone></Target>"
            f"<TargetHealth><State>{self.state}</State>{reason}{description}</TargetHealth></member>"
        )


class FakeAws:
    """moto with a load balancer, a listener with one rule, a target group, and the VPC around them; `faults` maps an
    action to its failure ("denied", "throttled", "error", "expired" or "slow")."""

    def __init__(self) -> None:
        self.faults: dict[str, str] = {}
        # IAM actions ("ec2:DescribeSubnets"), and the regions that requests were signed for.
        self.asked: list[str] = []
        self.regions: set[str] = set()
        self.health: list[Health] = []
        # Called at each request that is answered.
        self.acted: Callable[[str], None] = lambda action: None
        # By action: what is answered to a call that is no dry run, whether it is made, and how often.
        self.spoiled: dict[str, Spoiled] = {}
        # It makes what was only to be tried.
        self.ignores_dry_run = False
        # Whether the caller's policies allow a call.
        self.allows: Callable[[Call], bool] = lambda call: True
        self._recover = threading.Event()
        # moto keeps one state for all servers of a process: nothing of other tests may be in it, nor be left behind.
        moto_api_backend.reset()
        # moto's own dispatcher lists its modules on disk at every request.
        self._moto = {service: create_backend_app(service) for service in ("ec2", "iam", "eks", "sts", "s3")}
        self._moto["elasticloadbalancing"] = create_backend_app("elbv2")
        self._moto["monitoring"] = create_backend_app("cloudwatch")
        # What CloudTrail knows, as LookupEvents gives it, each with the names of its resources.
        self.trail: list[Raw] = []
        # moto's answers to reads, by checked path: all that is ever written after the seed.
        self._path = "/healthz"
        self._answers: dict[tuple[str, str, bytes], tuple[str, list[Any], bytes]] = {}
        self._server = werkzeug.serving.make_server(
            "127.0.0.1", 0, self, threaded=True, request_handler=_QuietRequestHandler
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._seed()

    def client(self, service: str) -> Any:
        """As administrator, to look and to bend."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def _seed(self) -> None:
        ec2, self._elb = self.client("ec2"), self.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in ((1, "a"), (2, "c"))
        ]
        public = self._public_subnets(ec2, vpc)
        front, nodes = self._security_groups(ec2, vpc)
        balancer = self._elb.create_load_balancer(
            Name="k8s-shop-web-4ba434b31c",
            Subnets=public,
            SecurityGroups=[front],
            Scheme="internet-facing",
            Type="application",
        )["LoadBalancers"][0]
        group = self._elb.create_target_group(
            Name="k8s-shop-web-fdbb6ec3c4",
            Protocol="HTTP",
            ProtocolVersion="HTTP1",
            Port=8080,
            VpcId=vpc,
            TargetType="ip",
            HealthCheckProtocol="HTTP",
            HealthCheckPath=self._path,
            HealthCheckIntervalSeconds=15,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
            Matcher={"HttpCode": "200"},
            Tags=[{"Key": "ingress.k8s.aws/resource", "Value": f"{NS}/web-web:80"}],
        )["TargetGroups"][0]
        self.balancer_arn, self.host = balancer["LoadBalancerArn"], balancer["DNSName"]
        self.group_arn = group["TargetGroupArn"]
        listener = self._elb.create_listener(
            LoadBalancerArn=self.balancer_arn,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
        )["Listeners"][0]
        self._elb.create_rule(
            ListenerArn=listener["ListenerArn"],
            Priority=1,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
            Actions=[{"Type": "forward", "TargetGroupArn": self.group_arn}],
        )
        for number, subnet in enumerate(subnets, 1):
            ec2.create_network_interface(
                SubnetId=subnet,
                Groups=[front],
                PrivateIpAddress=f"10.0.{number}.200",
                Description="ELB " + self.balancer_arn.split(":loadbalancer/")[1],
            )
        # The control plane's own interface; its group is admitted nowhere.
        control = ec2.create_security_group(GroupName="control", Description="control", VpcId=vpc)["GroupId"]
        ec2.create_network_interface(
            SubnetId=subnets[1], Groups=[control], PrivateIpAddress="10.0.2.201", Description="Amazon EKS lab"
        )
        first, second = (self._instance(ec2, number, subnet, nodes) for number, subnet in enumerate(subnets, 1))
        self.instances = (first, second)
        self._seed_identity(subnets)

    def _seed_identity(self, subnets: list[str]) -> None:
        """The controller's role: it trusts EKS Pod Identity, and its policies are two years old."""
        iam, eks = self.client("iam"), self.client("eks")
        trust = {"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:*"]}
        iam.create_role(RoleName="lbc", AssumeRolePolicyDocument=_policy(trust))
        old = {"Effect": "Allow", "Action": ["ec2:Describe*", "elasticloadbalancing:Describe*"], "Resource": "*"}
        policy = iam.create_policy(PolicyName="lbc-policy", PolicyDocument=_policy(old))["Policy"]
        iam.attach_role_policy(RoleName="lbc", PolicyArn=policy["Arn"])
        iam.put_role_policy(RoleName="lbc", PolicyName="more", PolicyDocument=_policy(old))
        eks.create_cluster(
            name="lab", roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": subnets}
        )

    def _public_subnets(self, ec2: Any, vpc: str) -> list[str]:
        """Where the load balancer stands: subnets with a route to an internet gateway."""
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        made = []
        for number, zone in ((101, "a"), (102, "c")):
            place = {"CidrBlock": f"10.0.{number}.0/24", "AvailabilityZone": f"{REGION}{zone}"}
            made.append(ec2.create_subnet(VpcId=vpc, **place)["Subnet"]["SubnetId"])
            ec2.associate_route_table(RouteTableId=table, SubnetId=made[-1])
        return made

    def _security_groups(self, ec2: Any, vpc: str) -> tuple[str, str]:
        """The load balancer's, open to a managed prefix list, and the nodes', open to the load balancer."""
        offices = ec2.create_managed_prefix_list(
            PrefixListName="offices",
            MaxEntries=5,
            AddressFamily="IPv4",
            Entries=[{"Cidr": "203.0.113.0/24"}, {"Cidr": "198.51.100.0/24"}],
        )["PrefixList"]["PrefixListId"]
        front, nodes = (
            ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
            for name in ("front", "nodes")
        )
        web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "PrefixListIds": [{"PrefixListId": offices}]}
        pods = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "UserIdGroupPairs": [{"GroupId": front}]}
        each_other = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": nodes}]}
        ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[web])
        ec2.authorize_security_group_ingress(GroupId=nodes, IpPermissions=[pods, each_other])
        return front, nodes

    def _instance(self, ec2: Any, number: int, subnet: str, group: str) -> str:
        """A node; its interface holds its pods' addresses, as the VPC CNI assigns them."""
        addresses = [{"Primary": host == 10, "PrivateIpAddress": f"10.0.{number}.{host}"} for host in (10, 34, 9)]
        interface = ec2.create_network_interface(
            SubnetId=subnet, Groups=[group], PrivateIpAddresses=addresses, Description="aws-K8S"
        )["NetworkInterface"]["NetworkInterfaceId"]
        attached = [{"DeviceIndex": 0, "NetworkInterfaceId": interface}]
        answer = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, NetworkInterfaces=attached)
        return str(answer["Instances"][0]["InstanceId"])

    def reset(self) -> None:
        self._recover.set()
        self._recover = threading.Event()
        self.faults, self.acted, self.spoiled = {}, lambda action: None, {}
        self.allows = lambda call: True
        self.trail = []
        self.health = [Health("10.0.1.34", f"{REGION}a"), Health("10.0.2.34", f"{REGION}c")]
        self.check_path("/healthz")
        self.asked, self.regions = [], set()

    def check_path(self, path: str) -> None:
        """The path that the target group checks."""
        if path != self._path:
            self._elb.modify_target_group(TargetGroupArn=self.group_arn, HealthCheckPath=path)
            self._path = path

    def close(self) -> None:
        self._recover.set()
        self._server.shutdown()
        moto_api_backend.reset()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        form = parse_qs(body.decode("utf-8", "replace"))
        action = form.get("Action", [""])[0] or _action_of_headers(environ)
        scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        region, service = scope.groups() if scope else ("", "")
        if service == "eks":
            action = _eks_action(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        elif service == "s3":
            listed = "list-type=2" in environ["QUERY_STRING"]
            action = "ListBucket" if listed else f"{environ['REQUEST_METHOD'].capitalize()}Object"
        permission = f"{_IAM_PREFIX.get(service, service)}:{action}"
        self.asked.append(permission)
        self.regions.add(region)
        if not self.allows(Call(permission, form, environ["PATH_INFO"])):
            return self._refuse(action, "denied", service, start_response)
        fault = self.faults.get(action)
        spoiled = self.spoiled.get(action)
        if spoiled is not None and spoiled.times and b"DryRun=true" not in body:
            spoiled.times -= 1
            if spoiled.made:
                self.acted(action)
                self._from_moto(environ, region, service, action, body)
            return self._spoil(action, spoiled, service, environ, start_response)
        if fault == "slow":
            self._recover.wait(SLOW)
        elif fault is not None:
            return self._refuse(action, fault, service, start_response)
        self.acted(action)
        if self.ignores_dry_run:
            body = body.replace(b"DryRun=true", b"DryRun=false")
            environ["CONTENT_LENGTH"] = str(len(body))
        if b"DryRun=true" in body and action.endswith("NetworkAclEntry"):
            return self._refuse(action, "dry-run", service, start_response)  # moto makes the entry all the same
        if action in _POD_IDENTITY:  # moto does not know them.
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(_POD_IDENTITY[action]).encode()]
        if action == "LookupEvents":  # moto does not know it.
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [json.dumps(self._trail_of(json.loads(body))).encode()]
        if action == "DescribeTargetHealth":
            members = "".join(target.xml() for target in self.health)
            return _xml(
                start_response, 200, _result(action, f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>")
            )
        status, headers, data = self._from_moto(environ, region, service, action, body)
        start_response(status, headers)
        return [data]

    def _trail_of(self, request: Raw) -> Raw:
        """A page of fifty, as CloudTrail gives them."""
        (attribute,) = request["LookupAttributes"]
        wanted, since, until = attribute["AttributeValue"], request["StartTime"], request["EndTime"]
        found = [
            event
            for event in self.trail
            if any(resource["ResourceName"] == wanted for resource in event["Resources"])
            and since <= event["EventTime"] <= until
        ]
        begin = int(request.get("NextToken", 0))
        more = {"NextToken": str(begin + 50)} if len(found) > begin + 50 else {}
        return {"Events": found[begin : begin + 50], **more}

    def _spoil(
        self, action: str, spoiled: Spoiled, service: str, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """An answer that does not tell what became of the call."""
        if spoiled.answer == "cut":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            start_response("200 X", [("Content-Length", "0")])
            return []
        if spoiled.answer in _ERRORS:
            return self._refuse(action, spoiled.answer, service, start_response)
        status, text = _PAGES[spoiled.answer]
        start_response(f"{status} X", [("Content-Type", "text/html"), ("Content-Length", str(len(text)))])
        return [text]

    def _from_moto(
        self, environ: dict[str, Any], region: str, service: str, action: str, body: bytes
    ) -> tuple[str, list[Any], bytes]:
        """moto's answer: to a read the same until the world changes."""
        key = (self._path, region, environ["PATH_INFO"].encode() + environ["QUERY_STRING"].encode() + body)
        if key in self._answers:
            return self._answers[key]
        environ["wsgi.input"] = io.BytesIO(body)
        answered: list[Any] = []
        data = b"".join(self._moto[service](environ, lambda *answer: answered.extend(answer)))
        answer = (answered[0], answered[1], data)
        if action.startswith(("Describe", "Get", "List")):
            self._answers[key] = answer
        else:
            self._answers.clear()
        return answer

    def _refuse(self, action: str, fault: str, service: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, code = _ERRORS[fault]
        permission = f"{_IAM_PREFIX.get(service, service)}:{action}"
        message = {
            "denied": f"User: arn:aws:iam::123456789012:user/dev is not authorized to perform: {permission} "
            f"because no identity-based policy allows the {permission} action",
            "throttled": "Rate exceeded",
        }.get(fault, "no luck")
        if service in ("eks", "cloudtrail", "monitoring"):
            start_response(f"{status} x", [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)])
            return [json.dumps({"__type": code, "message": message}).encode()]
        if service == "s3":
            text = f"<Error><Code>{code}</Code><Message>Access Denied</Message></Error>"
        elif service == "ec2":
            code = {"AccessDenied": "UnauthorizedOperation", "Throttling": "RequestLimitExceeded"}.get(code, code)
            text = (
                f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
                "<RequestID>1</RequestID></Response>"
            )
        else:
            text = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                "<RequestId>1</RequestId></ErrorResponse>"
            )
        return _xml(start_response, status, text)


def _action_of_headers(environ: dict[str, Any]) -> str:
    """The operation of a request of AWS's JSON protocols, which is no form."""
    return str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]


def _policy(statement: Raw) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_POD_IDENTITY: dict[str, Raw] = {
    "ListPodIdentityAssociations": {"associations": [{"associationId": "a-1"}]},
    "DescribePodIdentityAssociation": {"association": {"roleArn": "arn:aws:iam::123456789012:role/lbc"}},
}


def _eks_action(method: str, path: str) -> str:
    """EKS names its actions by method and path."""
    *_, parent, last = f"//{path}".split("/")
    if last == "pod-identity-associations":
        return "ListPodIdentityAssociations"
    if parent == "pod-identity-associations":
        return "DescribePodIdentityAssociation"
    return "DescribeCluster" if method == "GET" else "CreateCluster"


class _QuietRequestHandler(werkzeug.serving.WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, *args: Any) -> None:
        pass


def _result(action: str, inner: str) -> str:
    return (
        f'<{action}Response xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">'
        f"<{action}Result>{inner}</{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    )


def _xml(start_response: Callable[..., Any], status: int, text: str) -> Iterable[bytes]:
    data = text.encode()
    start_response(f"{status} X", [("Content-Type", "text/xml"), ("Content-Length", str(len(data)))])
    return [data]
