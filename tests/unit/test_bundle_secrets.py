"""What reaches a bundle: nothing that a person would not post, from whatever field it comes.

Two walks. A word is planted in every text field that the schemas of Kubernetes and AWS know: it may come out only of
the fields that stand here by name, none of which takes free text without the patterns. And every text field of every
record of a snapshot gets secrets of each known form: none may come out of any.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.collect import convert_aws, convert_kube, convert_network
from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.collect.bundles.content import RULES, content, kept
from kubectl_lbdoctor.collect.bundles.redact import Redactor
from kubectl_lbdoctor.model.codec import from_json, to_json
from kubectl_lbdoctor.model.identity import Role
from kubectl_lbdoctor.model.k8s import Container, Ingress, Meta, Service, TlsCertificate
from kubectl_lbdoctor.model.snapshot import Snapshot
from tests.support import cases, schemas, tls_api

with_args: dict[str, Any] = {"with_args": True}
KUBERNETES: dict[str, Callable[..., Any]] = {
    "V1Ingress": convert_kube.ingress,
    "V1IngressClass": convert_kube.ingress_class,
    "V1Service": convert_kube.service,
    "V1EndpointSlice": convert_kube.endpoint_slice,
    "V1Pod": partial(convert_kube.pod, **with_args),
    "V1Node": convert_kube.node,
    "V1Namespace": convert_kube.namespace,
    "V1ServiceAccount": convert_kube.service_account,
    "CoreV1Event": convert_kube.event,
    "V1Secret": convert_kube.tls_certificate,
    "V1Deployment": partial(convert_kube.workload, kind="Deployment", **with_args),
    "V1StatefulSet": partial(convert_kube.workload, kind="StatefulSet", **with_args),
    "V1DaemonSet": partial(convert_kube.workload, kind="DaemonSet", **with_args),
    "V1ReplicaSet": partial(convert_kube.workload, kind="ReplicaSet", **with_args),
    "V1MutatingWebhookConfiguration": convert_kube.webhooks,
    "V1ValidatingWebhookConfiguration": convert_kube.webhooks,
    "V1NetworkPolicy": convert_network.network_policy,
}
AWS: dict[tuple[str, str], Callable[..., Any]] = {
    ("elbv2", "LoadBalancer"): convert_aws.load_balancer,
    ("elbv2", "Listener"): convert_aws.listener,
    ("elbv2", "Rule"): partial(convert_aws.rule, listener_arn="x"),
    ("elbv2", "TargetGroup"): convert_aws.target_group,
    ("elbv2", "TargetHealthDescription"): convert_aws.target_health,
    ("ec2", "SecurityGroup"): convert_network.security_group,
    ("ec2", "Subnet"): convert_network.subnet,
    ("ec2", "NetworkAcl"): convert_network.network_acl,
    ("ec2", "RouteTable"): convert_network.route_table,
    ("ec2", "NetworkInterface"): convert_network.interface,
}

META = """metadata.( name namespace uid resourceVersion labels{} finalizers[] ownerReferences[].kind
 ownerReferences[].name annotations[alb.ingress.kubernetes.io/healthcheck-path]
 annotations[argocd.argoproj.io/tracking-id] )"""
BACKEND = "service.name service.port.name resource.apiGroup resource.kind resource.name"
SELECTOR = "matchLabels{} matchExpressions[].key matchExpressions[].operator matchExpressions[].values[]"
ASKED = "httpGet.path httpGet.port httpGet.scheme httpGet.httpHeaders[].name"
CONTAINER = f"""name image ports[].name ports[].protocol env[AWS_ROLE_ARN]
 readinessProbe.( {ASKED} ) livenessProbe.( {ASKED} ) startupProbe.( {ASKED} )"""
POD = f"""serviceAccountName containers[].( {CONTAINER} ) initContainers[].( {CONTAINER} )"""
CONDITION = "conditions[].( type status reason message )"
STATUS = """name image state.waiting.reason state.waiting.message lastState.terminated.reason
 lastState.terminated.message"""
TEMPLATE = (
    f"{META} spec.( selector.matchLabels{{}} template.( metadata.labels{{}} spec.( {POD} ) ) ) status.{CONDITION}"
)
WEBHOOK = """metadata.name webhooks[].( name failurePolicy clientConfig.service.name clientConfig.service.namespace )"""
PEER = f"ipBlock.cidr ipBlock.except[] podSelector.( {SELECTOR} ) namespaceSelector.( {SELECTOR} )"
PORTS = "ports[].port ports[].protocol"
ACTION = "( Type FixedResponseConfig.StatusCode ForwardConfig.TargetGroups[].TargetGroupArn )"
PERMISSION = """( IpProtocol IpRanges[].CidrIp Ipv6Ranges[].CidrIpv6 PrefixListIds[].PrefixListId
 UserIdGroupPairs[].GroupId )"""

MAY_COME_OUT = {
    "Ingress": f"""{META} spec.( ingressClassName defaultBackend.( {BACKEND} ) tls[].hosts[] rules[].( host
        http.paths[].( path pathType backend.( {BACKEND} ) ) ) ) status.loadBalancer.ingress[].hostname""",
    "IngressClass": f"{META} spec.( controller parameters.( apiGroup kind name ) )",
    "Service": f"""{META} spec.( type selector{{}} clusterIP externalName externalTrafficPolicy ipFamilies[]
        loadBalancerClass loadBalancerSourceRanges[] ports[].( name protocol targetPort appProtocol ) )
        status.{CONDITION} status.loadBalancer.ingress[].hostname""",
    "EndpointSlice": f"""{META} addressType endpoints[].( addresses[] nodeName zone targetRef.kind targetRef.name )
        ports[].( name protocol )""",
    "Pod": f"""{META} spec.( {POD} nodeName readinessGates[].conditionType
        volumes[].( projected.sources[].serviceAccountToken.audience persistentVolumeClaim.claimName ) )
        status.( {CONDITION} phase reason message hostIP podIP podIPs[].ip containerStatuses[].( {STATUS} )
        initContainerStatuses[].( {STATUS} ) )""",
    "Node": f"""{META} spec.( providerID taints[].( key value effect ) ) status.( addresses[].address {CONDITION}
        nodeInfo.kubeletVersion )""",
    "Namespace": META,
    "ServiceAccount": META,
    "Event": """involvedObject.( kind name namespace uid ) type reason message source.component""",
    "Secret": "metadata.( name namespace )",
    "Deployment": f"{TEMPLATE} spec.strategy.( type rollingUpdate.maxUnavailable )",
    "StatefulSet": f"{TEMPLATE} spec.updateStrategy.rollingUpdate.maxUnavailable",
    "DaemonSet": f"{TEMPLATE} spec.updateStrategy.rollingUpdate.maxUnavailable",
    "ReplicaSet": TEMPLATE,
    "MutatingWebhookConfiguration": WEBHOOK,
    "ValidatingWebhookConfiguration": WEBHOOK,
    "NetworkPolicy": f"""{META} spec.( podSelector.( {SELECTOR} ) policyTypes[] ingress[].( from[].( {PEER} ) {PORTS} )
        egress[].( to[].( {PEER} ) {PORTS} ) )""",
    "LoadBalancer": """LoadBalancerArn LoadBalancerName DNSName Type Scheme State.Code State.Reason VpcId IpAddressType
        CreatedTime         SecurityGroups[] AvailabilityZones[].( ZoneName SubnetId )""",
    "Listener": f"ListenerArn LoadBalancerArn Protocol DefaultActions[].{ACTION}",
    "Rule": f"RuleArn Priority Actions[].{ACTION}",
    "TargetGroup": """TargetGroupArn TargetGroupName TargetType Protocol ProtocolVersion VpcId IpAddressType
        LoadBalancerArns[] HealthCheckPath HealthCheckPort HealthCheckProtocol Matcher.HttpCode""",
    "TargetHealthDescription": """Target.Id Target.AvailabilityZone TargetHealth.( State Reason Description )
        HealthCheckPort AdministrativeOverride.State AnomalyDetection.Result""",
    "SecurityGroup": f"""GroupId GroupName VpcId Tags[].Key IpPermissions[].{PERMISSION}
        IpPermissionsEgress[].{PERMISSION}""",
    "Subnet": """SubnetId VpcId CidrBlock Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock AvailabilityZone Tags[].Key""",
    "NetworkAcl": "NetworkAclId VpcId Associations[].SubnetId Entries[].CidrBlock Entries[].Protocol",
    "RouteTable": """RouteTableId VpcId Associations[].SubnetId Routes[].( DestinationCidrBlock DestinationPrefixListId
        GatewayId State )""",
    "NetworkInterface": """NetworkInterfaceId SubnetId VpcId Status PrivateIpAddress Groups[].GroupId
        PrivateIpAddresses[].PrivateIpAddress Ipv6Addresses[].Ipv6Address Ipv4Prefixes[].Ipv4Prefix
        Ipv6Prefixes[].Ipv6Prefix Attachment.InstanceId""",
}
"""Fields by their places; "a.( b c )" is a.b and a.c."""


def _places(words: Iterator[str], before: str) -> Iterator[str]:
    for word in words:
        if word == ")":
            return
        if word.endswith("("):
            yield from _places(words, before + word[:-1])
        else:
            yield f"{before}{word}"


@pytest.mark.parametrize("source", [*KUBERNETES, *AWS], ids=str)
def test_a_planted_word_comes_out_of_named_fields_only(source: Any) -> None:
    where: dict[str, str] = {}

    def plant(place: str) -> str:
        word = f"planted{len(where):05d}x"
        where[word] = place
        return word

    if isinstance(source, str):
        record = KUBERNETES[source](schemas.kubernetes_object(source, plant))
    else:
        record = AWS[source](schemas.aws_record(*source, plant))
    text = json.dumps(kept(record, Redactor()))
    out = {place for word, place in where.items() if word in text}
    name = next(iter(where.values())).partition(".")[0]
    named = {f"{name}.{place}" for place in _places(iter(MAY_COME_OUT[name].split()), "")}
    assert len(where) > 10
    assert sorted(out - named) == [], "these fields leak"
    assert sorted(named - out) == [], "these fields are lost"


def test_what_one_schema_cannot_show_at_once() -> None:
    """A probe by a command, flags, IngressClassParams and the trust policy of a role."""
    secret = "s3cr3t-word"
    pod = {
        "metadata": {"name": "web"},
        "spec": {
            "containers": [
                {
                    "name": "app",
                    "readinessProbe": {"exec": {"command": ["redis-cli", "-a", secret, "ping"]}},
                    "command": [f"/bin/{secret}", f"--password={secret}", "--token", secret, secret],
                    "args": ["--cluster-name=lab", "--ingress-class", "alb", f"--x={secret}", "--enable-y=true"],
                }
            ]
        },
    }
    written = kept(convert_kube.pod(pod, with_args=True), Redactor())
    assert secret not in json.dumps(written)
    app = written["containers"][0]
    assert app["readiness"]["command"] == ["(set)"]
    assert app["args"] == ["--cluster-name=lab", "--ingress-class", "alb", "--x=(set)", "--enable-y=true"]
    parameters = {"metadata": {"name": "p"}, "spec": {"scheme": "internal", "tags": [{"key": "team", "value": secret}]}}
    written = kept(convert_kube.ingress_class_params(parameters), Redactor())
    assert written["spec"] == {"scheme": "internal", "tags": [{"key": "team", "value": "(set)"}]}
    role = {
        "name": "r",
        "trust": {"Statement": [{"Sid": secret, "Condition": {"StringEquals": {"sts:ExternalId": secret}}}]},
    }

    assert secret not in json.dumps(kept(from_json(Role, role), Redactor()))


def test_a_certificate_is_kept_and_a_key_beside_it_is_not() -> None:
    me = tls_api.identity("me")
    both = TlsCertificate("kube-system", "tls", (me.key + me.certificate).decode())
    assert kept(both, Redactor())["certificate"] == me.certificate.decode()
    none = TlsCertificate("kube-system", "tls", "no certificate")
    assert kept(none, Redactor())["certificate"] == "(set)"


# --- Secrets by their form, in every field of every record ---

SECRETS = {
    "password=h4nter-two": "h4nter-two",
    'DB_PASSWORD="h5nter two"': "h5nter two",
    '{"clientSecret": "h6nterTwo"}': "h6nterTwo",
    "password: h7nter": "h7nter",
    "postgres://app:h8nter/x@db.shop:5432/web": "h8nter/x",
    "root:h9nter@tcp(db:3306)/web": "h9nter",
    "https://0123456789abcdef0123@host/x": "0123456789abcdef0123@",
    "Authorization: Bearer h10nter.x": "h10nter",
    "Basic YWxpY2U6aHVudGVy": "YWxpY2U6aHVudGVy",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl": "eyJzdWIiOiIxIn0",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "wJalrXUtnFEMI",
    "AKIAIOSFODNN7EXAMPLE": "AKIAIOSFODNN7EXAMPLE",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----": "MIIEow",
    "GET /x?sid=h11nter&y=1": "h11nter",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345": "ghp_0123456789",
    "mail ann.smith@example.com now": "ann.smith",
    "account 123456789012.": "123456789012",
    "acct123456789013prod": "123456789013",
    "1234-5678-9014": "1234-5678-9014",
    "1234 5678 9015": "1234 5678 9015",
    "from 54.12.34.56.": "54.12.34.56",
    "54.12.34.57.nip.io": "54.12.34.57",
    "ec2-54-12-34-58.compute": "54-12-34-58",
    "[2600:1f14:abc:de00::17]:443": "2600:1f14:abc:de00",
    "2600:1f14:abd:de00::/56": "2600:1f14:abd",
}


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_of_a_known_form_comes_out_of_any_record(text: str) -> None:
    count = 0

    def planted() -> str:
        nonlocal count
        count += 1
        return f"{text} at{count:04d}end"

    snapshot: Snapshot = _filled(Snapshot, planted)
    written = content(snapshot)
    leaks = [place for place, value in _texts(written, "snapshot") if SECRETS[text] in value]
    assert count > 300
    assert leaks == []
    from_json(Snapshot, written)


def _filled(kind: Any, planted: Callable[[], str], parameters: Mapping[Any, Any] | None = None) -> Any:
    """A value of a type with something in all of its texts."""
    kind = (parameters or {}).get(kind, kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    cls = origin or kind
    if cls in (typing.Union, types.UnionType):
        return _filled(next(a for a in args if a is not type(None)), planted, parameters)
    if isinstance(cls, type) and issubclass(cls, Enum):
        return next(iter(cls))
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        inner = dict(zip(getattr(cls, "__parameters__", ()), args, strict=False))
        return cls(**{f.name: _filled(hints[f.name], planted, inner) for f in dataclasses.fields(cls) if f.init})  # type: ignore[operator]
    if cls in (tuple, frozenset):
        return cls((_filled(args[0], planted, parameters),))
    if isinstance(cls, type) and issubclass(cls, Mapping):
        return {planted(): _filled(args[1], planted, parameters)}
    simple = {bool: True, int: 7, float: 1.5, object: None}
    return simple[cls] if cls in simple and cls is not object else planted()


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"{place} key", key
            name = key if re.fullmatch(r"\w+", key) else "{}"
            yield from _texts(item, f"{place}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, f"{place}[]")


def test_every_field_of_free_content_has_a_rule() -> None:
    """A mapping of a record (annotations, tags, variables, documents) is free in its content: somebody has decided what
    of it is kept. Mappings of facts and of ids to ids are not."""
    free = set()
    seen: set[Any] = set()

    def walk(kind: Any) -> None:
        if kind in seen:
            return
        seen.add(kind)
        for arg in typing.get_args(kind):
            walk(arg)
        if dataclasses.is_dataclass(kind):
            for name, hint in typing.get_type_hints(kind).items():
                if typing.get_origin(hint) is not None and any(
                    isinstance(part, type) and issubclass(part, Mapping)
                    for part in (typing.get_origin(hint), *(typing.get_origin(a) for a in typing.get_args(hint)))
                ):
                    free.add((kind.__name__, name))
                walk(hint)
        walk(typing.get_origin(kind)) if typing.get_origin(kind) is not None else None

    walk(Snapshot)
    ids = {
        ("Action", "target_groups"),
        ("LoadBalancer", "zones"),
        ("LabelSelector", "labels"),
        ("LabelSelector", "match_labels"),
    }
    tables = {
        entry for entry in free if entry[0] in ("Snapshot", "ClusterFacts", "AwsFacts", "IdentityFacts", "ProbeFacts")
    }
    assert free - set(RULES) - ids - tables == set()


# --- What a diagnosis needs ---


def test_equal_queries_stay_equal_and_others_differ(tmp_path: Path) -> None:
    redact = Redactor()
    first, second = redact.query("/healthz?key=one"), redact.query("/healthz?key=two")
    assert first != second and first == redact("/healthz?key=one") and first.startswith("/healthz?")
    assert redact.query("/healthz") == "/healthz"


def test_ipv6_blocks_hold_what_they_held() -> None:
    redact = Redactor()
    block, inside, outside = redact(["2600:1f14:abc:de00::/56", "2600:1f14:abc:de34::a7", "2600:1f14:abc:df34::a7"])
    assert ipaddress.ip_address(inside) in ipaddress.ip_network(block)
    assert ipaddress.ip_address(outside) not in ipaddress.ip_network(block)
    assert redact("fd00::1 fe80::1 ::1 2001:db8::7 ::/0") == "fd00::1 fe80::1 ::1 2001:db8::7 ::/0"
    assert redact("12:30:45 aa:bb:cc:dd:ee:ff") == "12:30:45 aa:bb:cc:dd:ee:ff"


def test_a_vpc_of_a_public_range_keeps_its_addresses() -> None:
    assert Redactor(["11.20.0.0/16"])("11.20.1.5 11.21.1.5") == "11.20.1.5 198.18.0.1"


def test_a_block_of_addresses_stays_a_block() -> None:
    for text in ("52.94.76.0/24", "52.94.0.0/16", "52.94.76.0/22", "54.0.0.0/8", "52.94.76.8/29"):
        token = Redactor()(text)
        assert token != text and ipaddress.ip_network(token).prefixlen == ipaddress.ip_network(text).prefixlen


@pytest.mark.parametrize("name", cases.names()[::40])
def test_without_secrets_nothing_changes_but_ids(name: str, tmp_path: Path) -> None:
    """A second saving changes nothing: what is redacted once is free of everything that is looked for."""
    snapshot = cases.result(name).snapshot
    bundle.save(snapshot, tmp_path / "one.json")
    again = bundle.load(tmp_path / "one.json")
    bundle.save(again, tmp_path / "two.json")
    assert to_json(bundle.load(tmp_path / "two.json")) == to_json(again)


CONDITION = '{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X-Origin-Verify",'


@pytest.mark.parametrize("kind", [Ingress, Service])
@pytest.mark.parametrize(
    "text",
    [
        f'[{CONDITION}"values":["planted"]}}}},]',
        f'[{CONDITION}"values":["planted"',
        f'[{CONDITION}"regexValues":["planted"]}}}}]',
        "[" * 100_000 + "planted",
    ],
    ids=["comma", "cut off", "expressions", "brackets"],
)
def test_conditions_keep_no_value_of_a_header(kind: Any, text: str) -> None:
    """Neither where the JSON is damaged nor under a name that came later; that it is damaged is kept."""
    meta = Meta("web", "shop", annotations={"alb.ingress.kubernetes.io/conditions.web": text})
    (shown,) = kept(kind(meta), Redactor())["meta"]["annotations"].values()
    assert "planted" not in shown
    if "regex" in text:
        assert json.loads(shown)
    else:
        with pytest.raises(ValueError):
            json.loads(shown)


def test_a_short_flag_keeps_no_value_that_is_joined_to_it() -> None:
    container = Container("c", command=("run", "-pplanted", "-v=2"), args=("-a", "planted", "-cluster-name=x"))
    written = kept(container, Redactor())
    assert written["command"][1:] == ["-p=(set)", "-v=(set)"] and written["args"] == ["-a", "(set)", "-cluster-name=x"]
