"""The annotation knowledge: catalogue, value parsers, lint and the wanted health check."""

from __future__ import annotations

import ast
import json
import string
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubectl_lbdoctor.knowledge import annotation_values as values
from kubectl_lbdoctor.knowledge.annotations import (
    ALB_PREFIX,
    SERVICE_PREFIX,
    AnnotationContext,
    AnnotationProblem,
    ValueProblem,
    catalogue,
    check_value,
    effective_health_check,
    is_ours,
    lint,
    missing_actions,
    nearest_key,
    resolve,
    spec_for,
)

ALB = ALB_PREFIX
NLB = SERVICE_PREFIX + "aws-load-balancer-"
ARN = "arn:aws:acm:us-west-2:123456789012:certificate/7610ed7d-5a81-4ea2-a18a-7ba1606cca3e"


def alb(**annotations: str) -> dict[str, str]:
    return {ALB + name.replace("_", "-"): value for name, value in annotations.items()}


def nlb(**annotations: str) -> dict[str, str]:
    return {NLB + name.replace("_", "-"): value for name, value in annotations.items()}


def lint_ingress(annotations: Mapping[str, str], **context: Any) -> tuple[AnnotationProblem, ...]:
    return lint("Ingress", annotations, owner="controller", context=AnnotationContext(is_alb=True, **context))


def lint_nlb(annotations: Mapping[str, str], **context: Any) -> tuple[AnnotationProblem, ...]:
    known: dict[str, Any] = {"is_alb": False, "is_nlb": True, "service_type": "LoadBalancer"}
    known |= {"external_traffic_policy": "Cluster", "load_balancer_class": "service.k8s.aws/nlb"}
    return lint("Service", annotations, owner="controller", context=AnnotationContext(**(known | context)))


def lint_in_tree(annotations: Mapping[str, str], **context: Any) -> tuple[AnnotationProblem, ...]:
    known: dict[str, Any] = {"is_alb": False, "service_type": "LoadBalancer", "load_balancer_class": ""}
    known |= {"external_traffic_policy": "Cluster"}
    return lint("Service", annotations, owner="cloud-provider", context=AnnotationContext(**(known | context)))


def one(problems: tuple[AnnotationProblem, ...]) -> AnnotationProblem:
    assert len(problems) == 1, problems
    return problems[0]


# --- catalogue --------------------------------------------------------------------------------------------------------


def test_a_login_needs_an_https_listener() -> None:
    """Without one the controller makes no rule that asks for it; a listener of another member may be one."""
    login = alb(auth_type="oidc", auth_idp_oidc="{}")

    def rules(more: Mapping[str, str], **context: Any) -> list[str]:
        return [found.rule for found in lint_ingress({**login, **more}, **context) if found.rule.startswith("login")]

    assert rules({}) == ["login-without-https"]
    assert rules(alb(auth_type="none")) == []
    assert rules(alb(certificate_arn=ARN)) == []
    assert rules(alb(listen_ports='[{"HTTP": 80}, {"HTTPS": 443}]', certificate_arn=ARN)) == []
    assert rules({ALB + "group.name": "shared"}) == []
    assert rules({ALB + "group.name": "shared"}, group_listeners={80: "HTTP"}) == ["login-without-https"]


def test_catalogue_is_complete_and_consistent() -> None:
    specs = catalogue()
    assert len(specs) == 132
    for key, spec in specs.items():
        assert spec.key == key == spec.prefix + spec.suffix
        assert spec.locations and spec.readers
        assert not (spec.type == "enum" and not spec.allowed)
        if spec.twin:
            assert SERVICE_PREFIX + spec.twin in specs
        if spec.default and spec.pattern is None and spec.type != "json":
            check_value(spec, key, spec.default)
        if spec.pattern is not None:
            filled = key.replace("${Protocol}", "HTTP").replace("${protocol}", "TCP").replace("${Port}", "80")
            filled = filled.replace("${port}", "80").replace("${serviceName}", "web").replace("${servicePort}", "80")
            filled = filled.replace("${action-name}", "a").replace("${transforms-name}", "a")
            filled = filled.replace("${conditions-name}", "a")
            assert "$" not in filled
            assert spec_for(filled) is spec
            assert spec_for(key) is None or spec_for(key) is spec


def test_catalogue_is_loaded_once() -> None:
    assert catalogue() is catalogue()


@pytest.mark.parametrize(
    ("key", "type_", "since", "exclusive", "auto_mode"),
    [
        (ALB + "healthcheck-path", "path", "2.0.0", False, True),
        (ALB + "scheme", "enum", "2.0.0", True, True),
        (ALB + "group.name", "string", "2.0.0", False, False),
        (ALB + "frontend-nlb-attributes", "map", "3.2.0", False, True),
        (NLB + "healthcheck-success-codes", "codes", "2.4.6", False, True),
        (NLB + "cross-zone-load-balancing-enabled", "bool", "2.0.0", False, False),
        (NLB + "connection-idle-timeout", "int", "", False, False),
    ],
)
def test_single_specs(key: str, type_: str, since: str, exclusive: bool, auto_mode: bool) -> None:
    spec = catalogue()[key]
    assert (spec.type, spec.since, spec.exclusive_in_group, spec.auto_mode_supported) == (
        type_,
        since,
        exclusive,
        auto_mode,
    )


def test_knowledge_imports_only_the_standard_library_and_yaml() -> None:
    allowed = {*sys.stdlib_module_names, "yaml", "kubectl_lbdoctor"}
    package = Path(values.__file__).parent
    for path in package.glob("annotation*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= allowed, path


# --- parsers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_true(text: str) -> None:
    assert values.parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_false(text: str) -> None:
    assert values.parse_bool(text) is False


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("yes", "true"),
        ("on", "true"),
        ("tRUE", "true"),
        (" true", "true"),
        ("“true”", "true"),
        ("no", "false"),
        ("", ""),
    ],
)
def test_not_a_bool(text: str, suggestion: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.parse_bool(text)
    assert caught.value.suggestion == suggestion


@given(st.text(max_size=8))
def test_bool_accepts_twelve_words_only(text: str) -> None:
    words = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}
    try:
        values.parse_bool(text)
    except ValueProblem:
        assert text not in words
    else:
        assert text in words


@given(st.integers(-(2**31), 2**31 - 1))
def test_int_round_trip(number: int) -> None:
    assert values.parse_int(str(number)) == number


@given(st.integers())
def test_int_range(number: int) -> None:
    if -(2**31) <= number < 2**31:
        assert values.parse_int(f"{number:+d}") == number
    else:
        with pytest.raises(ValueProblem, match="32 bits"):
            values.parse_int(str(number))


@given(st.text(max_size=12))
def test_int_grammar(text: str) -> None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    plain = bool(digits) and set(digits) <= set(string.digits)
    try:
        values.parse_int(text, bits=64)
    except ValueProblem:
        assert not plain
    else:
        assert plain


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("15s", "15"),
        ("1m", "60"),
        ("15.0", "15"),
        (" 15", "15"),
        ('"15"', "15"),
        ("”15“", "15"),
        ("1_5", ""),
        ("٣", ""),
        ("", ""),
    ],
)
def test_not_an_int(text: str, suggestion: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.parse_int(text)
    assert caught.value.suggestion == suggestion


def test_a_huge_number_is_no_burden() -> None:
    with pytest.raises(ValueProblem):
        values.parse_int("9" * 100_000)
    assert values.parse_int("0" * 1000 + "7") == 7


WORD = st.text(string.ascii_letters + string.digits + "._/:@-", min_size=1, max_size=12)


@given(st.lists(WORD))
def test_list_round_trip(items: list[str]) -> None:
    assert values.parse_list(" , ".join(items)) == tuple(items)


@given(st.text())
def test_list_is_total(text: str) -> None:
    items = values.parse_list(text)
    assert all(items) and values.parse_list(",".join(items)) == items


@given(st.dictionaries(WORD, st.text(string.ascii_letters + ",= \\", max_size=12).map(str.strip)))
def test_map_round_trip(pairs: dict[str, str]) -> None:
    written = ", ".join(f"{key}={value}".replace("\\", "\\\\").replace(",", "\\,") for key, value in pairs.items())
    assert values.parse_map(written) == pairs


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        (" a = 1 , b=", {"a": "1", "b": ""}),
        ("a=b=c", {"a": "b=c"}),
        (r"h=x\,y", {"h": "x,y"}),
        ("a=1,", {"a": "1,"}),
    ],
)
def test_map(text: str, pairs: dict[str, str]) -> None:
    assert values.parse_map(text) == pairs


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("a", ""), ("a=1,b", ""), ("=1", ""), (" ", ""), ("a: 1, b: 2", "a=1,b=2"), ('{"a": true}', "a=true")],
)
def test_bad_map(text: str, suggestion: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.parse_map(text)
    assert caught.value.suggestion == suggestion


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_round_trip(document: object) -> None:
    assert values.parse_json(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("NaN", ""),
        ("", ""),
        ("[" * 100_000, ""),
        ("[{“HTTP”: 80}]", '[{"HTTP": 80}]'),
        ("[{'HTTP': 80}]", '[{"HTTP": 80}]'),
        ('[{"HTTP": 80},]', '[{"HTTP": 80}]'),
    ],
)
def test_bad_json(text: str, suggestion: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.parse_json(text)
    assert caught.value.suggestion == suggestion


CODES = st.tuples(st.integers(200, 499), st.integers(200, 499)).map(sorted).map(tuple)


@given(st.lists(CODES, min_size=1))
def test_success_codes_round_trip(ranges: list[tuple[int, int]]) -> None:
    written = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
    assert values.parse_success_codes(written, values.HTTP_CODES_ALB) == tuple(ranges)


@pytest.mark.parametrize(
    ("text", "limits", "suggestion"),
    [
        ("200-599", values.HTTP_CODES_ALB, "200-499"),
        ("200–399", values.HTTP_CODES_ALB, "200-399"),
        ("200 302", values.HTTP_CODES_ALB, "200,302"),
        ("200-399 429", values.HTTP_CODES_NLB, "200-399,429"),
        ("2xx", values.HTTP_CODES_ALB, "200-299"),
        ("399-200", values.HTTP_CODES_ALB, "200-399"),
        ("100", values.HTTP_CODES_ALB, ""),
        ("OK", values.HTTP_CODES_ALB, ""),
        ("", values.HTTP_CODES_ALB, ""),
        ("200", values.GRPC_CODES, ""),
        ("0-100", values.GRPC_CODES, "0-99"),
        ("200,", values.HTTP_CODES_ALB, ""),
    ],
)
def test_bad_success_codes(text: str, limits: tuple[int, int], suggestion: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.parse_success_codes(text, limits)
    assert caught.value.suggestion == suggestion


@given(st.ip_addresses(), st.integers(0, 32))
def test_cidrs(address: object, length: int) -> None:
    assert values.parse_cidrs(f" {address}/{length} ,") == (f"{address}/{length}",)


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [("10.0.0.0", "10.0.0.0/32"), ("10.0.0.0/33", ""), ("10.0.0.0/8,x", ""), ("10.0.0.0/255.0.0.0", "10.0.0.0/8")],
)
def test_bad_cidrs(text: str, suggestion: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.parse_cidrs(text)
    assert caught.value.suggestion == suggestion


@given(st.lists(st.tuples(st.sampled_from(["HTTP", "HTTPS"]), st.integers(1, 65535)), min_size=1))
def test_listen_ports_round_trip(listeners: list[tuple[str, int]]) -> None:
    text = json.dumps([{protocol: port} for protocol, port in listeners])
    assert values.parse_listen_ports(text) == {port: protocol for protocol, port in listeners}


@pytest.mark.parametrize(
    ("text", "detail", "suggestion"),
    [
        ('[{"HTTP": "80"}]', 'failed to parse listen-ports configuration: `[{"HTTP": "80"}]`', '[{"HTTP": 80}]'),
        ('[{"http": 80}]', "listen protocol must be within [HTTP, HTTPS]: http", '[{"HTTP": 80}]'),
        ('[{"TCP": 80}]', "listen protocol must be within [HTTP, HTTPS]: TCP", ""),
        ('[{"HTTP": 0}]', "listen port must be within [1, 65535]: 0", ""),
        ("[]", "empty listen-ports configuration: `[]`", ""),
        ('{"HTTP": 80}', 'failed to parse listen-ports configuration: `{"HTTP": 80}`', '[{"HTTP": 80}]'),
        (
            "HTTP:80, HTTPS:443",
            "failed to parse listen-ports configuration: `HTTP:80, HTTPS:443`",
            '[{"HTTP": 80}, {"HTTPS": 443}]',
        ),
        ("80", "failed to parse listen-ports configuration: `80`", ""),
    ],
)
def test_bad_listen_ports(text: str, detail: str, suggestion: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        values.parse_listen_ports(text)
    assert (caught.value.detail, caught.value.suggestion) == (detail, suggestion)


PLAIN_KEYS = [key for key, spec in catalogue().items() if spec.pattern is None]


@given(st.sampled_from(PLAIN_KEYS), st.text(max_size=30))
def test_any_value_is_judged_and_suggestions_are_sound(key: str, text: str) -> None:
    spec = catalogue()[key]
    try:
        check_value(spec, key, text)
    except ValueProblem as problem:
        assert problem.reason
        if problem.suggestion:
            assert problem.suggestion != text
            check_value(spec, key, problem.suggestion)


@given(
    st.sampled_from(["Ingress", "Service"]),
    st.dictionaries(
        st.sampled_from([*PLAIN_KEYS, ALB + "actions.x", NLB + "health-check"]), st.text(max_size=12), max_size=6
    ),
    st.sampled_from(["controller", "cloud-provider", "auto-mode", "unknown"]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, {}, {ALB + "healthcheck-timeout-seconds": "30"}]),
)
@example("Service", {NLB + "ssl-ports": "0\n0"}, "controller", None, None, None)
def test_lint_never_fails(
    kind: Any, annotations: dict[str, str], owner: Any, is_alb: bool | None, is_nlb: bool | None, counterpart: Any
) -> None:
    context = AnnotationContext(is_alb=is_alb, is_nlb=is_nlb, counterpart=counterpart, service_ports=(("http", 80),))
    for problem in lint(kind, annotations, owner=owner, controller_version="v2.17.1", context=context):
        assert annotations[problem.key] == problem.value
        assert problem.reason and "\n" not in problem.reason


# --- values in context ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "value", "error", "suggestion"),
    [
        ("healthcheck-interval-seconds", "15s", 'strconv.ParseInt: parsing "15s": invalid syntax', "15"),
        ("healthcheck-interval-seconds", "3", "", "5"),
        ("healthcheck-timeout-seconds", "121", "", "120"),
        ("healthy-threshold-count", "1", "", "2"),
        ("backend-protocol", "http", "backend protocol must be within [HTTP, HTTPS]: http", "HTTP"),
        ("backend-protocol", "HTTP ", "backend protocol must be within [HTTP, HTTPS]: HTTP ", "HTTP"),
        ("healthcheck-protocol", "TCP", "healthCheckProtocol must be within [HTTP, HTTPS]", ""),
        ("healthcheck-protocol", "‘HTTP’", "healthCheckProtocol must be within [HTTP, HTTPS]", "HTTP"),
        ("target-type", "pod", "unknown targetType: pod", "ip"),
        ("scheme", "public", "unknown scheme: public", "internet-facing"),
        ("scheme", "Internet Facing", "unknown scheme: Internet Facing", "internet-facing"),
        ("ip-address-type", "", "unknown IPAddressType: ", ""),
        ("healthcheck-path", "healthz", "", "/healthz"),
        ("healthcheck-path", "“/healthz”", "", "/healthz"),
        ("healthcheck-path", "/healthz\u200b", "", "/healthz"),
        ("healthcheck-path", "http://localhost:8080/healthz", "", "/healthz"),
        ("healthcheck-path", "", "", "/"),
        ("healthcheck-port", "traffic_port", "", "traffic-port"),
        ("healthcheck-port", "70000", "", ""),
        ("success-codes", "200-599", "", "200-499"),
        ("success-codes", "“200”", "", "200"),
        ("load-balancer-name", "n" * 33, "load balancer name cannot be longer than 32 characters", ""),
        ("group.name", "My_Group", values._GROUP_NAME_ERROR, "my-group"),
        ("inbound-cidrs", "10.0.0.0", "invalid inbound-cidrs settings: invalid CIDR address: 10.0.0.0", "10.0.0.0/32"),
        ("shield-advanced-protection", "yes", 'strconv.ParseBool: parsing "yes": invalid syntax', "true"),
        ("tags", "Team", f"failed to parse stringMap annotation, {ALB}tags: Team", ""),
        ("target-group-attributes", "slow_start.duration_seconds=20", "", ""),
        (
            "minimum-load-balancer-capacity",
            "Units=5",
            "invalid key to set the capacity: Units, Expected key: CapacityUnits",
            "CapacityUnits=5",
        ),
        ("auth-idp-oidc", "{", f"failed to parse json annotation, {ALB}auth-idp-oidc: {{", ""),
        ("listen-ports", '[{"http": 80}]', "listen protocol must be within [HTTP, HTTPS]: http", '[{"HTTP": 80}]'),
        (
            "actions.a",
            '{"type": "fixed-response", "fixedResponseConfig": {"statusCode": 503}}',
            "failed to parse json annotation",
            "",
        ),
        ("actions.a", '{"type": "fixed-response"}', "missing FixedResponseConfig", ""),
        ("actions.a", '{"Type": "Forward"}', "unknown action type: Forward", ""),
        ("mutual-authentication", '[{"port": 443, "mode": "verify"}]', "trustStore is required", ""),
    ],
)
def test_invalid_values_on_an_ingress(suffix: str, value: str, error: str, suggestion: str) -> None:
    problem = one(lint_ingress({ALB + suffix: value}))
    assert (problem.kind, problem.key) == ("invalid-value", ALB + suffix)
    assert error in problem.controller_error
    assert bool(error) == bool(problem.controller_error)
    assert problem.suggestion == suggestion


@pytest.mark.parametrize(
    ("suffix", "value", "error", "suggestion"),
    [
        ("healthcheck-protocol", "grpc", "unsupported health check protocol grpc", ""),
        ("healthcheck-protocol", "‘HTTP’", "unsupported health check protocol ‘HTTP’", "http"),
        ("nlb-target-type", "IP", "", "ip"),
        (
            "proxy-protocol",
            "true",
            "invalid value true for Load Balancer proxy protocol v2 annotation, only value currently supported is *",
            "",
        ),
        ("attributes", "dns_record.client_routing_policy=zonal", "invalid dns_record.client_routing_policy set", ""),
        ("enable-icmp-for-path-mtu-discovery", "true", "", "on"),
        ("backend-protocol", "SSL", "", "ssl"),
        ("private-ipv4-addresses", "10.0.0", "private IPv4 addresses must be valid IP address: 10.0.0", ""),
        ("healthcheck-interval", "abc", 'strconv.ParseInt: parsing "abc": invalid syntax', ""),
    ],
)
def test_invalid_values_on_a_service(suffix: str, value: str, error: str, suggestion: str) -> None:
    problem = one(lint_nlb({NLB + suffix: value, NLB + "ssl-cert": ARN}))
    assert (problem.kind, problem.key) == ("invalid-value", NLB + suffix)
    assert error in problem.controller_error
    assert bool(error) == bool(problem.controller_error)
    assert problem.suggestion == suggestion


# --- unknown keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        (ALB + "health-check-path", ALB + "healthcheck-path"),
        (ALB + "successCodes", ALB + "success-codes"),
        (ALB + "healthcheck-success-codes", ALB + "success-codes"),
        (ALB + "healthcheck-interval", ALB + "healthcheck-interval-seconds"),
        (ALB + "healthcheck-healthy-threshold-count", ALB + "healthy-threshold-count"),
        (ALB + "target_type", ALB + "target-type"),
        (ALB + "certificate-arns", ALB + "certificate-arn"),
        (ALB + "security-group-inbound-cidrs", ALB + "inbound-cidrs"),
        (ALB + "action.web", ALB + "actions.web"),
        (ALB + "listener_attributes.HTTP-80", ALB + "listener-attributes.HTTP-80"),
        (ALB + "aws-load-balancer-healthcheck-path", ALB + "healthcheck-path"),
        ("alb.ingress.k8s.io/healthcheck-path", ALB + "healthcheck-path"),
        ("alb.ingres.kubernetes.io/scheme", ALB + "scheme"),
    ],
)
def test_unknown_ingress_keys(key: str, meant: str) -> None:
    problem = one(lint_ingress({key: "x"}))
    assert (problem.kind, problem.suggestion, problem.severity) == ("unknown-key", meant, "warning")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        (NLB + "health-check-path", NLB + "healthcheck-path"),
        (NLB + "healthcheck-interval-seconds", NLB + "healthcheck-interval"),
        (NLB + "target-type", NLB + "nlb-target-type"),
        (NLB + "target_group_attributes.80", NLB + "target-group-attributes.80"),
        (NLB + "tags", NLB + "additional-resource-tags"),
        ("service.kubernetes.io/aws-load-balancer-healthcheck-path", NLB + "healthcheck-path"),
        ("service.beta.kubernetes.io/healthcheck-path", NLB + "healthcheck-path"),
        ("service.beta.kubernetes.io/aws-loadbalancer-scheme", NLB + "scheme"),
        (NLB + "actions.TCP-80", SERVICE_PREFIX + "actions.TCP-80"),
        (ALB + "health-check-path", NLB + "healthcheck-path"),
    ],
)
def test_unknown_service_keys(key: str, meant: str) -> None:
    problem = one(lint_nlb({key: "x"}))
    assert (problem.kind, problem.suggestion, problem.severity) == ("unknown-key", meant, "warning")


@pytest.mark.parametrize(
    "key",
    [
        "nginx.ingress.kubernetes.io/backend-protocol",
        "ingress.kubernetes.io/scheme",
        "alb.networking.azure.io/alb-name",
        "service.beta.kubernetes.io/azure-load-balancer-internal",
        "service.beta.kubernetes.io/do-loadbalancer-name",
        "service.beta.kubernetes.io/external-traffic",
        "service.beta.kubernetes.io/name",
        "external-dns.alpha.kubernetes.io/hostname",
        "meta.helm.sh/release-name",
        "kubectl.kubernetes.io/last-applied-configuration",
        "scheme",
        "",
    ],
)
def test_foreign_keys_are_left_alone(key: str) -> None:
    assert not is_ours(key)
    assert nearest_key(key) is None
    assert lint_ingress({key: "x"}) == () == lint_nlb({key: "x"})


@pytest.mark.parametrize(
    "spec", [spec for spec in catalogue().values() if spec.pattern is None], ids=lambda spec: spec.key
)
def test_one_slip_in_a_known_key_is_recognised(spec: Any) -> None:
    if spec.prefix not in (ALB_PREFIX, SERVICE_PREFIX) or spec.written_by_controller:
        return
    slip = spec.prefix + spec.suffix.replace("-", "_", 3)
    if slip != spec.key:
        near = nearest_key(slip)
        assert near is not None and near.key == spec.key


def test_keys_written_by_the_controller_are_not_user_errors() -> None:
    assert lint_ingress({ALB + "dry-run-plan": "not json"}) == ()


def test_unknown_keys_of_a_newer_controller() -> None:
    context = AnnotationContext(is_alb=True)
    unheard = {ALB + "quantum-routing": "x"}
    new = one(lint("Ingress", unheard, owner="controller", controller_version="v3.6.0", context=context))
    assert (new.severity, new.rule, new.suggestion) == ("warning", "unknown-to-us", "")
    assert new.reason == "controller v3.6.0 may read it"
    assert (
        one(lint("Ingress", unheard, owner="controller", controller_version="v3.5.0", context=context)).suggestion == ""
    )
    alike = {ALB + "healthcheck-paths": "x"}
    problem = one(lint("Ingress", alike, owner="controller", controller_version="v3.6.0", context=context))
    assert (problem.severity, problem.suggestion) == ("warning", ALB + "healthcheck-path")


# --- without effect ---------------------------------------------------------------------------------------------------


def test_alb_annotation_on_the_service_of_an_nlb() -> None:
    problem = one(lint_nlb({ALB + "healthcheck-path": "/up"}))
    assert (problem.kind, problem.suggestion) == ("no-effect", NLB + "healthcheck-path")


def test_nlb_annotation_on_the_backend_of_an_alb() -> None:
    context = AnnotationContext(is_alb=True, is_nlb=False, service_type="NodePort")
    problem = one(lint("Service", nlb(healthcheck_path="/up"), owner="controller", context=context))
    assert (problem.kind, problem.severity, problem.suggestion) == ("no-effect", "warning", ALB + "healthcheck-path")


def test_service_annotation_on_an_ingress_and_the_reverse() -> None:
    problem = one(lint_ingress(nlb(healthcheck_interval="20")))
    assert (problem.kind, problem.suggestion) == ("no-effect", ALB + "healthcheck-interval-seconds")
    context = AnnotationContext(is_alb=True, is_nlb=False, service_type="ClusterIP")
    problem = one(lint("Service", alb(scheme="internal"), owner="controller", context=context))
    assert (problem.kind, problem.reason) == ("no-effect", "read on Ingresses only")


def test_what_a_service_behind_an_alb_cannot_hold_is_no_repair() -> None:
    """The Ingress says the scheme; a Service says what is of its own target group."""
    context = AnnotationContext(is_alb=True, is_nlb=False, service_type="ClusterIP")
    keys = {
        name: one(lint("Service", nlb(**{name: "x"}), owner="controller", context=context)).suggested_key
        for name in ("scheme", "healthcheck_path")
    }
    assert keys == {"scheme": "", "healthcheck_path": ALB + "healthcheck-path"}


def test_an_ingress_of_another_controller_has_no_problems() -> None:
    context = AnnotationContext(is_alb=False)
    assert lint("Ingress", alb(scheme="nonsense"), owner="unknown", context=context) == ()


@pytest.mark.parametrize("name", ["healthcheck-path", "healthcheck-success-codes"])
def test_path_and_codes_need_an_http_check(name: str) -> None:
    value = "/up" if name.endswith("path") else "200"
    problem = one(lint_nlb({NLB + name: value}))
    assert (problem.kind, problem.rule, problem.suggested_key) == (
        "no-effect",
        "tcp-check",
        NLB + "healthcheck-protocol",
    )
    assert one(lint_nlb({NLB + name: value, NLB + "healthcheck-protocol": "tcp"})).rule == "tcp-check"
    assert lint_nlb({NLB + name: value, NLB + "healthcheck-protocol": "Http"}) == ()
    assert lint_nlb({NLB + name: value}, external_traffic_policy="Local", target_type="instance") == ()
    # The default target type is a flag of the controller: with Local nothing is certain unless the type is known.
    assert lint_nlb({NLB + name: value}, external_traffic_policy="Local") == ()
    assert one(lint_nlb({NLB + name: value}, external_traffic_policy="Local", target_type="ip")).rule == "tcp-check"


def test_annotations_that_the_cloud_provider_does_not_read() -> None:
    annotations = nlb(type="nlb", scheme="internal", nlb_target_type="ip", healthcheck_success_codes="200")
    problems = {problem.key: problem for problem in lint_in_tree(annotations)}
    assert {problem.rule for problem in problems.values()} == {"wrong-owner"}
    assert set(problems) == {NLB + "scheme", NLB + "nlb-target-type", NLB + "healthcheck-success-codes"}
    assert (problems[NLB + "scheme"].suggested_key, problems[NLB + "scheme"].suggested_value) == (
        NLB + "internal",
        "true",
    )
    assert one(lint_in_tree(nlb(type="nlb", scheme="internet-facing"))).severity == "info"


def test_annotations_that_the_controller_does_not_read() -> None:
    problem = one(lint_nlb(nlb(connection_idle_timeout="60")))
    assert (problem.kind, problem.severity, problem.rule) == ("no-effect", "info", "wrong-owner")


def test_auto_mode() -> None:
    context = AnnotationContext(is_alb=True)
    problem = one(lint("Ingress", {ALB + "group.name": "shop"}, owner="auto-mode", context=context))
    assert problem.rule == "auto-mode" and "IngressClassParams.group" in problem.reason
    problem = one(lint("Service", nlb(internal="true"), owner="auto-mode", context=AnnotationContext(is_nlb=True)))
    assert (problem.rule, problem.sets) == ("auto-mode", (NLB + "scheme", "internal"))


def test_how_a_problem_is_repaired() -> None:
    renamed = one(lint_ingress(alb(health_check_path="/up")))
    assert (renamed.renames, renamed.sets) == (True, None)
    corrected = one(lint_ingress(alb(healthcheck_path="up")))
    assert (corrected.renames, corrected.sets) == (False, (ALB + "healthcheck-path", "/up"))
    added = one(lint_nlb(nlb(healthcheck_path="/up")))
    assert (added.renames, added.sets) == (False, (NLB + "healthcheck-protocol", "http"))
    template = one(lint_ingress({ALB + "listener-attributes": "a=b"}))
    assert (template.renames, template.sets) == (False, None) and "${" in template.suggestion


def test_class_parameters_override() -> None:
    annotations = alb(scheme="internet-facing", target_type="ip", inbound_cidrs="10.0.0.0/8")
    problems = lint_ingress(
        annotations, class_parameters={"scheme": "internal", "targetType": "ip", "inboundCIDRs": ""}
    )
    assert {problem.key for problem in problems} == {ALB + "scheme", ALB + "inbound-cidrs"}
    assert {problem.rule for problem in problems} == {"class-parameters"}


def test_older_controller() -> None:
    context = AnnotationContext(is_alb=True)

    def lint_at(version: str | None, annotations: dict[str, str]) -> tuple[AnnotationProblem, ...]:
        return lint("Ingress", annotations, owner="controller", controller_version=version, context=context)

    capacity = alb(minimum_load_balancer_capacity="CapacityUnits=100")
    problem = one(lint_at("v2.10.1", capacity))
    assert (problem.kind, problem.rule, problem.needs) == ("not-yet-read", "needs-release", "v2.11.0")
    assert lint_at("v2.11.0", capacity) == () == lint_at(None, capacity)
    family = alb(ip_address_type="dualstack-without-public-ipv4")
    assert one(lint_at("v2.7.2", family)).needs == "v2.8.0"
    assert lint_at("v2.8.0", family) == ()


def test_annotation_behind_a_feature_gate() -> None:
    def lint_with(*closed: str) -> tuple[AnnotationProblem, ...]:
        context = AnnotationContext(is_alb=True, closed_gates=frozenset(closed))
        asked = alb(create_acm_cert="true")
        return lint("Ingress", asked, owner="controller", controller_version="v3.3.0", context=context)

    problem = one(lint_with("EnableCertificateManagement"))
    assert (problem.kind, problem.rule, problem.needs) == ("not-yet-read", "needs-gate", "EnableCertificateManagement")
    assert lint_with("EnableTCPUDPListener") == () == lint_with()


@pytest.mark.parametrize(
    ("annotations", "rule", "key"),
    [
        (alb(security_groups="sg-1", inbound_cidrs="10.0.0.0/8"), "own-security-groups", "inbound-cidrs"),
        (
            alb(security_groups="sg-1", security_group_prefix_lists="pl-1"),
            "own-security-groups",
            "security-group-prefix-lists",
        ),
        (
            alb(manage_backend_security_group_rules="true"),
            "managed-security-group",
            "manage-backend-security-group-rules",
        ),
        (alb(target_type="ip", target_node_labels="a=b"), "ip-targets", "target-node-labels"),
        (alb(ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06"), "no-https-listener", "ssl-policy"),
        (alb(frontend_nlb_scheme="internal"), "no-frontend-nlb", "frontend-nlb-scheme"),
        ({ALB + "listener-attributes.HTTPS-443": "a=b"}, "no-such-listener", "listener-attributes.HTTPS-443"),
    ],
)
def test_no_effect_on_an_ingress(annotations: dict[str, str], rule: str, key: str) -> None:
    problem = one(lint_ingress(annotations))
    assert (problem.kind, problem.rule, problem.key) == ("no-effect", rule, ALB + key)


@pytest.mark.parametrize(
    ("annotations", "rule", "key"),
    [
        (
            nlb(security_groups="sg-1", security_group_prefix_lists="pl-1"),
            "own-security-groups",
            NLB + "security-group-prefix-lists",
        ),
        (
            nlb(security_groups="sg-1") | {SERVICE_PREFIX + "load-balancer-source-ranges": "10.0.0.0/8"},
            "own-security-groups",
            SERVICE_PREFIX + "load-balancer-source-ranges",
        ),
        (nlb(nlb_target_type="ip", target_node_labels="a=b"), "ip-targets", NLB + "target-node-labels"),
        (nlb(ssl_ports="443"), "no-certificate", NLB + "ssl-ports"),
        (
            nlb(proxy_protocol="*", proxy_protocol_per_target_group="80"),
            "proxy-protocol",
            NLB + "proxy-protocol-per-target-group",
        ),
        (nlb(scheme="internal", internal="false"), "scheme-wins", NLB + "internal"),
        (nlb(type="nlb"), "class-wins", NLB + "type"),
        (nlb(type="nlb-ip", nlb_target_type="instance"), "type-wins", NLB + "nlb-target-type"),
        (nlb(backend_protocol="http"), "classic-only", NLB + "backend-protocol"),
        (nlb(quic_enabled_containers="web"), "wrong-object", NLB + "quic-enabled-containers"),
    ],
)
def test_no_effect_on_a_service(annotations: dict[str, str], rule: str, key: str) -> None:
    problem = one(lint_nlb(annotations))
    assert (problem.kind, problem.rule, problem.key) == ("no-effect", rule, key)


def test_actions_without_a_backend() -> None:
    annotations = {
        ALB + "actions.used": '{"type":"forward","targetGroupName":"blue"}',
        ALB + "actions.left-over": '{"type":"forward","targetGroupName":"blue"}',
    }
    problem = one(lint_ingress(annotations, action_backends=frozenset({"used"})))
    assert (problem.rule, problem.key, problem.severity) == ("unused-backend", ALB + "actions.left-over", "info")
    assert missing_actions(annotations, ["used", "leftover", "x"]) == (("leftover", "left-over"), ("x", ""))


# --- conflicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ingress", "service", "reported_on", "key", "suggestion"),
    [
        (alb(healthcheck_interval_seconds="5"), {}, "Ingress", "healthcheck-interval-seconds", "6"),
        (
            alb(healthcheck_interval_seconds="10", healthcheck_timeout_seconds="10"),
            {},
            "Ingress",
            "healthcheck-interval-seconds",
            "11",
        ),
        (alb(healthcheck_timeout_seconds="15"), {}, "Ingress", "healthcheck-timeout-seconds", "14"),
        (
            alb(healthcheck_interval_seconds="20"),
            alb(healthcheck_timeout_seconds="20"),
            "Service",
            "healthcheck-timeout-seconds",
            "19",
        ),
        (
            alb(healthcheck_timeout_seconds="5"),
            alb(healthcheck_interval_seconds="5"),
            "Service",
            "healthcheck-interval-seconds",
            "6",
        ),
        ({}, alb(healthcheck_timeout_seconds="30"), "Service", "healthcheck-timeout-seconds", "14"),
        (alb(healthcheck_interval_seconds="6"), {}, "", "", ""),
        (alb(healthcheck_interval_seconds="5"), alb(healthcheck_timeout_seconds="2"), "", "", ""),
        (alb(healthcheck_interval_seconds="5"), alb(healthcheck_interval_seconds="30"), "", "", ""),
    ],
)
def test_alb_interval_must_exceed_the_timeout(
    ingress: dict[str, str], service: dict[str, str], reported_on: str, key: str, suggestion: str
) -> None:
    found = {
        "Ingress": lint_ingress(ingress, counterpart=service),
        "Service": lint(
            "Service",
            service,
            owner="controller",
            context=AnnotationContext(is_alb=True, is_nlb=False, service_type="NodePort", counterpart=ingress),
        ),
    }
    for kind, problems in found.items():
        if kind != reported_on:
            assert problems == ()
            continue
        problem = one(problems)
        assert (problem.kind, problem.rule, problem.severity) == ("conflict", "interval-timeout", "error")
        assert (problem.key, problem.suggestion) == (ALB + key, suggestion)
        assert problem.controller_error == "Health check interval must be greater than the timeout."


def test_alb_timing_of_a_service_without_its_ingress_is_not_judged() -> None:
    context = AnnotationContext(is_alb=True, is_nlb=False, service_type="NodePort")
    assert lint("Service", alb(healthcheck_interval_seconds="5"), owner="controller", context=context) == ()
    both = alb(healthcheck_interval_seconds="5", healthcheck_timeout_seconds="5")
    assert one(lint("Service", both, owner="controller", context=context)).rule == "interval-timeout"


def test_nlb_interval_may_equal_the_timeout() -> None:
    assert lint_nlb(nlb(healthcheck_interval="10", healthcheck_timeout="10")) == ()
    assert lint_nlb(nlb(healthcheck_interval="10")) == ()
    problem = one(lint_nlb(nlb(healthcheck_interval="5")))
    assert (problem.rule, problem.suggestion) == ("interval-timeout", "10")
    assert one(lint_nlb(nlb(healthcheck_timeout="20"))).suggestion == "10"
    assert lint_nlb(nlb(healthcheck_interval="6"), external_traffic_policy="Local", target_type="instance") == ()
    assert lint_nlb(nlb(healthcheck_interval="6"), external_traffic_policy="Local") == ()
    assert lint_in_tree(nlb(type="nlb", healthcheck_interval="10")) == ()
    assert one(lint_in_tree(nlb(type="nlb", healthcheck_interval="8"))).rule == "interval-timeout"
    # A Classic load balancer has other defaults.
    assert lint_in_tree(nlb(healthcheck_interval="8")) == ()


@pytest.mark.parametrize(
    ("annotations", "error", "suggestion"),
    [
        (alb(ssl_redirect="443"), "listener does not exist for SSLRedirect port: 443", ""),
        (
            alb(ssl_redirect="443", listen_ports='[{"HTTP": 80}, {"HTTPS": 8443}]'),
            "listener does not exist for SSLRedirect port: 443",
            "8443",
        ),
        (
            alb(ssl_redirect="80", listen_ports='[{"HTTP": 80}]'),
            "listener protocol non-SSL for SSLRedirect port: 80",
            "",
        ),
    ],
)
def test_ssl_redirect_needs_its_listener(annotations: dict[str, str], error: str, suggestion: str) -> None:
    problem = one(lint_ingress(annotations))
    assert (problem.kind, problem.controller_error, problem.suggestion) == ("conflict", error, suggestion)


def test_listeners_of_other_group_members_count() -> None:
    annotations = {ALB + "group.name": "shop"} | alb(ssl_redirect="443", backend_protocol_version="GRPC")
    assert lint_ingress(annotations) == ()
    assert lint_ingress(annotations, group_listeners={80: "HTTP", 443: "HTTPS"}) == ()
    assert len(lint_ingress(annotations, group_listeners={80: "HTTP"})) == 2
    assert lint_ingress(alb(ssl_redirect="443"), in_group=True) == ()


def test_unreadable_listen_ports_are_reported_once() -> None:
    assert one(lint_ingress(alb(listen_ports="HTTPS:443", ssl_redirect="443"))).key == ALB + "listen-ports"


def test_grpc() -> None:
    problem = one(lint_ingress(alb(backend_protocol_version="GRPC")))
    assert (problem.kind, problem.rule) == ("conflict", "version-listener")
    secure = alb(backend_protocol_version="GRPC", certificate_arn=ARN)
    assert lint_ingress(secure) == ()
    assert lint_ingress(secure | alb(success_codes="0-99")) == ()
    problem = one(lint_ingress(secure | alb(success_codes="200")))
    assert problem.controller_error == "Health check matcher GRPC code '200' must be within '0-99' inclusive"
    assert one(lint_ingress(alb(success_codes="12"), counterpart={})).kind == "invalid-value"
    # The protocol version may stand on the other object.
    assert lint_ingress(alb(success_codes="12"), counterpart=alb(backend_protocol_version="GRPC")) == ()
    assert lint_ingress(alb(success_codes="12")) == ()
    assert (
        one(lint_ingress(alb(success_codes="200"), counterpart=alb(backend_protocol_version="GRPC"))).key
        == ALB + "success-codes"
    )


def test_target_groups_of_http2_need_https_listeners() -> None:
    """AWS refuses the rule of an HTTP listener, also beside an HTTPS one; one that redirects has no such rule."""
    both = alb(listen_ports='[{"HTTP": 80}, {"HTTPS": 443}]', certificate_arn=ARN, backend_protocol_version="HTTP2")

    def ports(annotations: Mapping[str, str], **context: Any) -> list[str]:
        found = lint_ingress(annotations, **context)
        return [problem.reason.partition("port ")[2] for problem in found if problem.rule == "version-listener"]

    assert ports(alb(backend_protocol_version="HTTP2")) == ["80"]
    assert ports(alb(backend_protocol_version="HTTP1")) == ports(alb(backend_protocol_version="HTTP2 ")) == []
    assert ports(both) == ["80"]
    assert ports(both | alb(ssl_redirect="443")) == ports(both, class_parameters={"sslRedirectPort": "443"}) == []
    # Redirects and fixed answers alone have no target group.
    assert ports(both, has_target_groups=False) == []
    # The Service's own version wins, and is told of the Service.
    assert ports(both, counterpart=alb(backend_protocol_version="HTTP1")) == []
    # A certificate of the controller's own making may change the default listener.
    assert ports(alb(backend_protocol_version="HTTP2", create_acm_cert="true")) == []


def test_rules_of_a_group_member_stand_on_its_own_listeners() -> None:
    member = {ALB + "group.name": "shop"} | alb(backend_protocol_version="HTTP2")
    both: dict[str, Any] = {"group_listeners": {80: "HTTP", 443: "HTTPS"}}
    assert lint_ingress(member, **both) == ()
    assert lint_ingress(member, **both, redirects=True) == ()
    assert one(lint_ingress(member, **both, redirects=False)).rule == "version-listener"
    assert one(lint_ingress(member, group_listeners={80: "HTTP"})).rule == "version-listener"
    secure = member | alb(listen_ports='[{"HTTPS": 443}]')
    assert lint_ingress(secure, **both, redirects=False) == ()


def test_the_version_of_a_service_meets_the_listeners_of_its_ingress() -> None:
    def problems(ingress: Mapping[str, str] | None) -> tuple[AnnotationProblem, ...]:
        context = AnnotationContext(is_alb=True, is_nlb=False, service_type="ClusterIP", counterpart=ingress)
        return lint("Service", alb(backend_protocol_version="HTTP2"), owner="controller", context=context)

    assert one(problems({})).rule == "version-listener"
    assert problems(alb(certificate_arn=ARN)) == problems(None) == ()


def test_nobody_is_responsible() -> None:
    def problems(annotations: dict[str, str], load_balancer_class: str | None = "") -> tuple[AnnotationProblem, ...]:
        context = AnnotationContext(service_type="LoadBalancer", load_balancer_class=load_balancer_class)
        return lint("Service", annotations, owner="unknown", context=context)

    problem = one(problems(nlb(type="external")))
    assert (problem.rule, problem.suggested_key, problem.suggested_value) == (
        "nobody-responsible",
        NLB + "nlb-target-type",
        "ip",
    )
    assert problems(nlb(type="external", nlb_target_type="ip")) == ()
    assert problems(nlb(type="external"), load_balancer_class="service.k8s.aws/nlb") == ()
    assert problems(nlb(type="external"), load_balancer_class=None) == ()
    assert one(problems(nlb(type="NLB"))).suggestion == "nlb"


@pytest.mark.parametrize(
    ("annotations", "error"),
    [
        (
            nlb(scheme="internal", eip_allocations="eipalloc-1"),
            "EIP allocations can only be set for internet facing load balancers",
        ),
        (
            nlb(internal="false", private_ipv4_addresses="10.0.0.1"),
            "private IPv4 addresses can only be set for internal load balancers",
        ),
        (nlb(ipv6_addresses="2600::1"), "IPv6 addresses can only be set for dualstack load balancers"),
        (
            nlb(quic_enabled_ports="443", nlb_target_type="instance"),
            "QUIC protocol is not supported for Instance target types.",
        ),
    ],
)
def test_nlb_conflicts(annotations: dict[str, str], error: str) -> None:
    problem = one(lint_nlb(annotations))
    assert (problem.kind, problem.controller_error) == ("conflict", error)


def test_ports_of_the_service() -> None:
    ports = (("http", 80), ("https", 443))
    certificate = nlb(ssl_cert=ARN)
    assert lint_nlb(certificate | nlb(ssl_ports="443, https"), service_ports=ports) == ()
    problem = one(lint_nlb(certificate | nlb(ssl_ports="https,8443"), service_ports=ports))
    assert problem.controller_error == "Unused port in ssl-ports annotation [8443]"
    assert one(lint_nlb(certificate | nlb(ssl_ports="*"), service_ports=ports)).kind == "invalid-value"
    assert lint_in_tree(certificate | nlb(type="nlb", ssl_ports="*"), service_ports=ports) == ()
    assert lint_nlb(nlb(healthcheck_port="http"), service_ports=ports) == ()
    assert lint_nlb(nlb(healthcheck_port="8080"), service_ports=ports) == ()
    problem = one(lint_nlb(nlb(healthcheck_port="HTTP"), service_ports=ports))
    assert (problem.rule, problem.suggestion) == ("port-name", "http")
    assert one(lint_ingress(alb(healthcheck_port="metrics"), service_ports=ports)).suggestion == "traffic-port"
    assert lint_nlb({NLB + "listener-attributes.TCP-80": "tcp.idle_timeout.seconds=400"}, service_ports=ports) == ()
    assert one(lint_nlb({NLB + "listener-attributes.TCP-81": "a=b"}, service_ports=ports)).rule == "service-port"
    problem = one(lint_nlb({NLB + "listener-attributes.tcp-80": "a=b"}, service_ports=ports))
    assert (problem.kind, problem.suggestion) == ("unknown-key", NLB + "listener-attributes.TCP-80")


def test_listener_attributes_need_capitals() -> None:
    problem = one(lint_ingress({ALB + "listener-attributes.http-80": "a=b"}))
    assert (problem.kind, problem.suggestion) == ("unknown-key", ALB + "listener-attributes.HTTP-80")


def test_cloud_provider_differs() -> None:
    assert lint_in_tree(nlb(internal="0.0.0.0/0")) == ()
    assert lint_in_tree(nlb(healthcheck_protocol="ssl")) == ()
    problem = one(lint_in_tree(nlb(type="nlb", healthcheck_protocol="ssl")))
    assert problem.controller_error == "Unsupported health check protocol SSL"
    problem = one(lint_in_tree(nlb(type="nlb", healthcheck_port="http")))
    assert problem.controller_error == "Invalid health check port 'http'"
    problem = one(lint_in_tree(nlb(type="nlb", healthcheck_interval="10s")))
    assert problem.controller_error == f"failed to parse annotation {NLB}healthcheck-interval=10s"
    assert one(lint_in_tree(nlb(target_group_attributes="preserve_client_ip.enabled=true"))).rule == "classic"
    assert one(lint_in_tree(nlb(type="nlb", connection_idle_timeout="60"))).rule == "classic-only"


# --- no false positives -----------------------------------------------------------------------------------------------

HEALTHY_INGRESSES: dict[str, dict[str, str]] = {
    "minimal": alb(scheme="internet-facing", target_type="ip"),
    "legacy class": {"kubernetes.io/ingress.class": "alb", ALB + "scheme": "internal"},
    "redirect": alb(
        scheme="internet-facing",
        target_type="ip",
        listen_ports='[{"HTTP": 80}, {"HTTPS":443}]',
        ssl_redirect="443",
        certificate_arn=f"{ARN},{ARN}",
        ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
    ),
    "discovered certificate": alb(listen_ports='[{"HTTPS":443}]', ssl_policy="ELBSecurityPolicy-TLS-1-2-2017-01"),
    "certificate without listen-ports": alb(certificate_arn=ARN, ssl_redirect="443"),
    "full health check": alb(
        target_type="instance",
        healthcheck_protocol="HTTPS",
        healthcheck_port="traffic-port",
        healthcheck_path="/healthz/ready?full=1",
        healthcheck_interval_seconds="15",
        healthcheck_timeout_seconds="5",
        healthy_threshold_count="2",
        unhealthy_threshold_count="2",
        success_codes="200,301-302",
    ),
    "codes with a space": alb(success_codes="200, 404"),
    "named port": alb(healthcheck_port="status"),
    "numeric port": alb(healthcheck_port="8081"),
    "grpc": alb(
        backend_protocol_version="GRPC",
        listen_ports='[{"HTTPS":443}]',
        healthcheck_path="/grpc.health.v1.Health/Check",
        success_codes="0",
        certificate_arn=ARN,
    ),
    "group": {ALB + "group.name": "my-team.awesome-group", ALB + "group.order": "-10"}
    | alb(ssl_redirect="443", manage_backend_security_group_rules="true", ssl_policy="ELBSecurityPolicy-2016-08"),
    "own security groups": alb(security_groups="sg-1, nameOfSg1", manage_backend_security_group_rules="true"),
    "attributes": alb(
        load_balancer_attributes="access_logs.s3.enabled=true,access_logs.s3.bucket=bucket,access_logs.s3.prefix=app",
        target_group_attributes="stickiness.enabled=true,stickiness.lb_cookie.duration_seconds=60,"
        "deregistration_delay.timeout_seconds=30,slow_start.duration_seconds=30",
        tags="Environment=dev, Team=test,Empty=",
        minimum_load_balancer_capacity="CapacityUnits=1000",
        target_node_labels="label1=value1, label2=value2",
    ),
    "listener attributes": {
        ALB + "listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
        ALB + "listener-attributes.HTTP-80": "routing.http.response.server.enabled=true",
        ALB + "listener-attributes.HTTPS-443": r"routing.http.response.x.header_value=one\,two",
    },
    "actions as the 2.x docs write them": {
        ALB + "actions.ssl-redirect": json.dumps(
            {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
        ),
        ALB + "actions.response-503": json.dumps(
            {
                "type": "fixed-response",
                "fixedResponseConfig": {
                    "contentType": "text/plain",
                    "statusCode": "503",
                    "messageBody": "we’re “down”",
                },
            }
        ),
        ALB + "actions.legacy-app": '{"Type": "forward", "TargetGroupArn": "legacy-tg-arn"}',
        ALB + "actions.weighted": json.dumps(
            {
                "type": "forward",
                "forwardConfig": {
                    "targetGroups": [
                        {"serviceName": "blue", "servicePort": 80, "weight": 50},
                        {"serviceName": "green", "servicePort": "http", "weight": 50},
                    ],
                    "targetGroupStickinessConfig": {"enabled": True, "durationSeconds": 200},
                },
            }
        )
        + "\n",
        ALB + "conditions.blue": json.dumps(
            [
                {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "X", "values": ["a"]}},
                {"field": "query-string", "queryStringConfig": {"values": [{"key": "a", "value": "b"}]}},
            ]
        ),
        ALB + "transforms.blue": json.dumps(
            [{"type": "url-rewrite", "urlRewriteConfig": {"rewrites": [{"regex": "^/a(.*)", "replace": "/$1"}]}}]
        ),
    },
    "authentication": alb(
        certificate_arn=ARN,
        auth_type="oidc",
        auth_idp_oidc=json.dumps(
            {
                "issuer": "https://example.com",
                "authorizationEndpoint": "https://a.example.com",
                "tokenEndpoint": "https://t.example.com",
                "userInfoEndpoint": "https://u.example.com",
                "secretName": "s",
            }
        ),
        auth_scope="email openid",
        auth_on_unauthenticated_request="authenticate",
        auth_session_cookie="custom",
        auth_session_timeout="86400",
    ),
    "cognito": alb(
        certificate_arn=ARN,
        auth_type="cognito",
        auth_idp_cognito='{"userPoolARN":"arn","userPoolClientID":"id","userPoolDomain":"domain"}',
    ),
    "mutual TLS": alb(
        listen_ports='[{"HTTPS": 443}, {"HTTPS": 8443}]',
        mutual_authentication='[{"port": 443, "mode": "verify", "trustStore": "ts"}, {"port": 8443, "mode": "off"}]',
    ),
    "frontend NLB": alb(
        enable_frontend_nlb="true",
        frontend_nlb_scheme="internal",
        frontend_nlb_subnets="subnet-1,subnet-2",
        frontend_nlb_listener_port_mapping="8443=80",
        frontend_nlb_healthcheck_port="traffic-port",
        frontend_nlb_healthcheck_path="/health",
        frontend_nlb_healthcheck_success_codes="200-599",
        frontend_nlb_healthcheck_interval_seconds="15",
        frontend_nlb_healthcheck_timeout_seconds="5",
    ),
    "other controllers' annotations": {
        ALB + "inbound-cidrs": "10.0.0.1/8, 2001:db8::/32",
        "nginx.ingress.kubernetes.io/backend-protocol": "GRPC",
        "cert-manager.io/cluster-issuer": "letsencrypt",
        "external-dns.alpha.kubernetes.io/hostname": "x.example.com",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    },
    "waf, subnets, family": alb(
        wafv2_acl_arn="none",
        subnets="subnet-1,mySubnet",
        ip_address_type="dualstack",
        shield_advanced_protection="true",
    ),
}

HEALTHY_SERVICES: dict[str, dict[str, str]] = {
    "external ip": nlb(type="external", nlb_target_type="ip", scheme="internet-facing"),
    "class only": nlb(scheme="internal"),
    "nlb-ip": nlb(type="nlb-ip"),
    "http check": nlb(
        healthcheck_protocol="HTTP",
        healthcheck_port="traffic-port",
        healthcheck_path="/healthz",
        healthcheck_healthy_threshold="3",
        healthcheck_unhealthy_threshold="3",
        healthcheck_timeout="10",
        healthcheck_interval="10",
        healthcheck_success_codes="200-399",
    ),
    "tls": nlb(
        ssl_cert=f"{ARN}, {ARN}",
        ssl_ports="443, custom-port",
        ssl_negotiation_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
        backend_protocol="ssl",
        alpn_policy="HTTP2Preferred",
    ),
    "attributes": nlb(
        attributes="load_balancing.cross_zone.enabled=true,dns_record.client_routing_policy=availability_zone_affinity",
        target_group_attributes="preserve_client_ip.enabled=true,proxy_protocol_v2.enabled=true",
        additional_resource_tags="Environment=dev,Team=test",
    )
    | {
        NLB + "target-group-attributes.3306": "deregistration_delay.timeout_seconds=0",
        NLB + "target-group-attributes.80": "",
    },
    "addresses": nlb(
        scheme="internal", private_ipv4_addresses="192.168.10.15, 192.168.32.16", subnets="subnet-1,mySubnet"
    ),
    "elastic addresses": nlb(scheme="internet-facing", eip_allocations="eipalloc-xyz, eipalloc-zzz"),
    "dualstack": nlb(
        ip_address_type="dualstack",
        ipv6_addresses="2600:1f13:837:8501::1, 2600:1f13:837:8504::1",
        enable_prefix_for_ipv6_source_nat="on",
        source_nat_ipv6_prefixes="1025:0223:0009:6487:0001::/80, auto_assigned",
    ),
    "security groups": nlb(
        security_groups="sg-xxxx, nameOfSg1",
        manage_backend_security_group_rules="true",
        inbound_sg_rules_on_private_link_traffic="off",
    ),
    "source ranges": {SERVICE_PREFIX + "load-balancer-source-ranges": "10.0.0.0/24"},
    "migrated": nlb(scheme="internal", internal="true", proxy_protocol="*", cross_zone_load_balancing_enabled="true"),
    "action": {
        SERVICE_PREFIX
        + "actions.TCP-80": '{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"b","servicePort":80}]}}'
    },
    "quic": nlb(
        disable_nlb_sg="true",
        enable_tcp_udp_listener="true",
        nlb_target_type="ip",
        quic_enabled_ports="443",
        name="quic-example",
    ),
}

IN_TREE_SERVICES: dict[str, dict[str, str]] = {
    "nlb of ingress-nginx": nlb(type="nlb", backend_protocol="tcp", cross_zone_load_balancing_enabled="true"),
    "classic of ingress-nginx": nlb(
        backend_protocol="http", ssl_cert=ARN, ssl_ports="https", connection_idle_timeout="60", proxy_protocol="*"
    ),
    "classic": nlb(
        internal="true",
        access_log_enabled="true",
        access_log_emit_interval="60",
        access_log_s3_bucket_name="bucket",
        connection_draining_enabled="true",
        connection_draining_timeout="60",
        extra_security_groups="sg-1,sg-2",
        additional_resource_tags="a=b,c",
        ssl_ports="*",
        ssl_cert=ARN,
    ),
    "health check": nlb(type="nlb", healthcheck_protocol="http", healthcheck_path="/up", healthcheck_port="30080"),
}


@pytest.mark.parametrize("owner", ["controller", "unknown"])
@pytest.mark.parametrize("name", HEALTHY_INGRESSES)
def test_healthy_ingresses(name: str, owner: Any) -> None:
    for context in (AnnotationContext(), AnnotationContext(is_alb=True, counterpart={}, in_group=None)):
        assert (
            lint("Ingress", HEALTHY_INGRESSES[name], owner=owner, controller_version="v2.17.1", context=context) == ()
        )


@pytest.mark.parametrize("owner", ["controller", "unknown"])
@pytest.mark.parametrize("name", HEALTHY_SERVICES)
def test_healthy_services(name: str, owner: Any) -> None:
    for policy in (None, "Cluster", "Local"):
        for is_nlb in (None, True):
            context = AnnotationContext(is_nlb=is_nlb, service_type="LoadBalancer", external_traffic_policy=policy)
            assert (
                lint("Service", HEALTHY_SERVICES[name], owner=owner, controller_version="v2.17.1", context=context)
                == ()
            )


@pytest.mark.parametrize("name", IN_TREE_SERVICES)
def test_healthy_in_tree_services(name: str) -> None:
    assert lint_in_tree(IN_TREE_SERVICES[name]) == ()


def test_healthy_backend_of_an_alb() -> None:
    annotations = alb(
        target_type="ip", healthcheck_path="/up", healthcheck_interval_seconds="20", success_codes="200-204"
    )
    context = AnnotationContext(is_alb=True, is_nlb=False, service_type="ClusterIP", counterpart=alb(scheme="internal"))
    assert lint("Service", annotations, owner="controller", context=context) == ()


# --- precedence -------------------------------------------------------------------------------------------------------


def test_the_service_wins_where_it_is_read() -> None:
    ingress, service = alb(target_type="instance", scheme="internal"), alb(target_type="ip", scheme="internet-facing")
    found = resolve("target-type", ingress, service)
    assert (found.value, found.source, found.key) == ("ip", "Service annotation", ALB + "target-type")
    assert resolve("target-type", ingress).source == "Ingress annotation"
    assert (resolve("target-type").value, resolve("target-type").source) == ("instance", "default")
    assert resolve("scheme", ingress, service).value == "internal"
    assert resolve("aws-load-balancer-scheme", {}, nlb(scheme="internal")).value == "internal"
    assert resolve(NLB + "scheme", nlb(scheme="internal"), {}).source == "default"
    assert resolve("target-control-port.web.80", {}, {ALB + "target-control-port.web.80": "3000"}).value == "3000"
    with pytest.raises(KeyError):
        resolve("health-check-path")


def test_alb_health_check_defaults() -> None:
    intent = effective_health_check("alb")
    assert {name: setting.value for name, setting in intent.settings().items()} == {
        "protocol": "HTTP",
        "port": "traffic-port",
        "path": "/",
        "matcher": "200",
        "interval_seconds": 15,
        "timeout_seconds": 5,
        "healthy_threshold": 2,
        "unhealthy_threshold": 2,
    }
    assert {setting.source for setting in intent.settings().values()} == {"default"}
    assert not intent.grpc and intent.errors == ()


def test_alb_health_check_follows_the_backend_protocol() -> None:
    intent = effective_health_check("alb", ingress_annotations=alb(backend_protocol="HTTPS"))
    assert (intent.protocol.value, intent.protocol.key) == ("HTTPS", ALB + "backend-protocol")
    annotations = alb(backend_protocol="HTTPS", healthcheck_protocol="HTTP")
    assert effective_health_check("alb", ingress_annotations=annotations).protocol.value == "HTTP"


def test_alb_grpc_health_check() -> None:
    intent = effective_health_check("alb", service_annotations=alb(backend_protocol_version="GRPC"))
    assert (intent.grpc, intent.path.value, intent.matcher.value) == (True, "/AWS.ALB/healthcheck", "12")


def test_alb_health_check_annotations_by_field() -> None:
    intent = effective_health_check(
        "alb",
        ingress_annotations=alb(healthcheck_path="/a", healthcheck_interval_seconds="20", healthcheck_port="status"),
        service_annotations=alb(healthcheck_path="/b", success_codes="200-299"),
        port_names={"status": 31000},
    )
    assert (intent.path.value, intent.path.source) == ("/b", "Service annotation")
    assert (intent.interval_seconds.value, intent.interval_seconds.source) == (20, "Ingress annotation")
    assert (intent.port.value, intent.port.raw) == ("31000", "status")
    assert intent.matcher.value == "200-299"


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ({}, "failed to resolve healthCheckPort: unable to find port status on service"),
        (
            {"status": None},
            "cannot use named healthCheckPort for IP TargetType when service's targetPort is a named port",
        ),
    ],
)
def test_unresolved_port_names(names: dict[str, int | None], error: str) -> None:
    load_balancers: dict[Any, dict[str, str]] = {
        "alb": alb(healthcheck_port="status"),
        "nlb": nlb(healthcheck_port="status"),
    }
    for load_balancer, written in load_balancers.items():
        intent = effective_health_check(load_balancer, service_annotations=written, port_names=names)
        assert (intent.port.value, intent.errors) == (None, (error,))


@pytest.mark.parametrize(
    ("owner", "target_type", "policy", "service_type", "expected"),
    [
        ("controller", "ip", "Cluster", "LoadBalancer", ("TCP", "traffic-port", None, None, 10, 10, 3)),
        ("controller", "instance", "Cluster", "LoadBalancer", ("TCP", "traffic-port", None, None, 10, 10, 3)),
        ("controller", "ip", "Local", "LoadBalancer", ("TCP", "traffic-port", None, None, 10, 10, 3)),
        ("controller", "instance", "Local", "NodePort", ("TCP", "traffic-port", None, None, 10, 10, 3)),
        ("controller", "instance", "Local", "LoadBalancer", ("HTTP", "32000", "/healthz", "200-399", 10, 6, 2)),
        ("cloud-provider", "instance", "Cluster", "LoadBalancer", ("TCP", "traffic-port", None, None, 30, 10, 3)),
        ("cloud-provider", "instance", "Local", "LoadBalancer", ("HTTP", "32000", "/healthz", None, 10, 10, 2)),
    ],
)
def test_nlb_health_check_defaults(
    owner: Any, target_type: Any, policy: str, service_type: str, expected: tuple[Any, ...]
) -> None:
    intent = effective_health_check(
        "nlb",
        target_type=target_type,
        external_traffic_policy=policy,
        service_type=service_type,
        health_check_node_port=32000,
        owner=owner,
    )
    found = (intent.protocol, intent.port, intent.path, intent.matcher, intent.interval_seconds, intent.timeout_seconds)
    assert (*(setting.value for setting in found), intent.healthy_threshold.value) == expected
    assert intent.unhealthy_threshold.value == intent.healthy_threshold.value


def test_nlb_annotations_override_single_fields_even_with_local() -> None:
    intent = effective_health_check(
        "nlb",
        service_annotations=nlb(healthcheck_protocol="tcp", healthcheck_path="/x"),
        external_traffic_policy="Local",
        health_check_node_port=32000,
    )
    assert (intent.protocol.value, intent.port.value, intent.path.value, intent.timeout_seconds.value) == (
        "TCP",
        "32000",
        None,
        6,
    )
    intent = effective_health_check(
        "nlb", service_annotations=nlb(healthcheck_protocol="Https", healthcheck_timeout="8")
    )
    assert (intent.protocol.value, intent.path.value, intent.matcher.value, intent.timeout_seconds.value) == (
        "HTTPS",
        "/",
        "200-399",
        8,
    )


def test_old_controllers_ignore_the_timeout_of_an_nlb() -> None:
    annotations = nlb(healthcheck_protocol="http", healthcheck_timeout="5", healthcheck_success_codes="200")
    old = effective_health_check("nlb", service_annotations=annotations, controller_version="v2.4.5")
    assert (old.timeout_seconds.source, old.matcher.source) == ("default", "default")
    new = effective_health_check("nlb", service_annotations=annotations, controller_version="v2.4.6")
    assert (new.timeout_seconds.value, new.matcher.value) == (5, "200")


def test_frontend_nlb_health_check() -> None:
    intent = effective_health_check(
        "frontend-nlb",
        ingress_annotations=alb(frontend_nlb_healthcheck_path="/up", frontend_nlb_healthcheck_port="http"),
    )
    assert (intent.protocol.value, intent.path.value, intent.interval_seconds.value) == ("HTTP", "/up", 15)
    assert intent.errors == ("failed to resolve healthCheckPort",)


def test_unreadable_health_check_annotations() -> None:
    annotations = alb(healthcheck_interval_seconds="15s", healthcheck_protocol="http")
    intent = effective_health_check("alb", ingress_annotations=annotations)
    assert (intent.interval_seconds.value, intent.interval_seconds.raw) == (None, "15s")
    key = ALB + "healthcheck-interval-seconds"
    assert intent.errors == (
        "healthCheckProtocol must be within [HTTP, HTTPS]",
        f'failed to parse int32 annotation, {key}: 15s: strconv.ParseInt: parsing "15s": invalid syntax',
    )


@given(
    st.dictionaries(
        st.sampled_from([key for key in PLAIN_KEYS if "health" in key or "codes" in key]), st.text(max_size=8)
    ),
    st.sampled_from(["alb", "nlb", "frontend-nlb"]),
    st.sampled_from(["controller", "cloud-provider", "auto-mode", "unknown"]),
)
def test_health_check_intent_never_fails(annotations: dict[str, str], load_balancer: Any, owner: Any) -> None:
    intent = effective_health_check(
        load_balancer, ingress_annotations=annotations, service_annotations=annotations, owner=owner
    )
    for setting in intent.settings().values():
        assert (setting.key == "") == (setting.source == "default")
        assert not (setting.error and setting.value is not None)
