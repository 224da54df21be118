"""Annotation values, parsed exactly as their reader parses them.

The controller is written in Go: no trimming before numbers and booleans, no units, case matters. Values that it
forwards unread (health check paths, status codes, seconds) are held to the limits of the ELBv2 API, which refuses them.
Every parser returns the value or raises `ValueProblem`, which says why and, where it is plain, what was meant.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NoReturn

from kubectl_lbdoctor.knowledge.annotation_catalogue import ALB_PREFIX, NLB_STEM, SERVICE_PREFIX, AnnotationSpec

Severity = Literal["error", "warning", "info"]
CodeRanges = tuple[tuple[int, int], ...]
"""Inclusive (first, last) pairs, in the order written."""

TRAFFIC_PORT = "traffic-port"
_UNPARSED = ":"
"""Detail of a value that the reader cannot parse, when the text of its error is not known further."""
HTTP_CODES_ALB = (200, 499)
HTTP_CODES_NLB = (200, 599)
GRPC_CODES = (0, 99)

# What Go's strings.TrimSpace removes. Python's strip() also removes the separators U+001C to U+001F.
_GO_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_TYPOGRAPHIC = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "\u201b": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u201f": '"',
    }
    | {
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2212": "-",
        "\uff0c": ",",
        "\uff1a": ":",
    }
)
_TYPOGRAPHIC_QUOTES = frozenset("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


class ValueProblem(ValueError):
    """Why a value is refused."""

    def __init__(self, reason: str, *, detail: str = "", suggestion: str = "", severity: Severity = "error") -> None:
        super().__init__(reason)
        self.reason = reason
        """In our words."""
        self.detail = detail
        """The reader's own text. From a parser it may start with a colon: then it follows `failed to parse …`."""
        self.suggestion = suggestion
        """The value that was probably meant, or ""."""
        self.severity = severity


def parse_bool(text: str) -> bool:
    """Go's strconv.ParseBool: 1 t T TRUE true True and 0 f F FALSE false False, nothing else and no spaces."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    word = repair(text).lower()
    suggestion = next((answer for answer, words in _BOOLEAN_WORDS.items() if word in words), "")
    raise ValueProblem(
        "must be true or false",
        detail=f": strconv.ParseBool: parsing {go_quote(text)}: invalid syntax",
        suggestion=suggestion,
    )


_BOOLEAN_WORDS = {
    "true": frozenset({"true", "yes", "y", "on", "enabled", "enable", "1"}),
    "false": frozenset({"false", "no", "n", "off", "disabled", "disable", "0"}),
}


def parse_int(text: str, *, bits: int = 32) -> int:
    """Go's strconv.ParseInt(text, 10, bits): a sign and decimal digits; no unit, no space, no underscore."""
    if re.fullmatch(r"[+-]?[0-9]+", text) is None:
        raise ValueProblem(
            "must be a whole number without a unit",
            detail=f": strconv.ParseInt: parsing {go_quote(text)}: invalid syntax",
            suggestion=_plain_number(text),
        )
    # Longer than any int64: do not let Python convert what could be megabytes of digits.
    digits = text.lstrip("+-").lstrip("0")
    value = int(text) if len(digits) < 20 else 2**bits
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueProblem(
            f"does not fit into {bits} bits", detail=f": strconv.ParseInt: parsing {go_quote(text)}: value out of range"
        )
    return value


def _plain_number(text: str) -> str:
    match = re.fullmatch(r"([0-9]{1,6})(?:\.0+)?\s*(s|secs?|seconds?|m|min|minutes?)?", repair(text).lower())
    if match is None:
        return ""
    return str(int(match[1]) * (60 if (match[2] or "").startswith("m") else 1))


def parse_list(text: str) -> tuple[str, ...]:
    """Items between commas, each trimmed, empty ones dropped. Never fails."""
    return tuple(item for part in text.split(",") if (item := part.strip(_GO_SPACE)))


def parse_map(text: str) -> Mapping[str, str]:
    r"""`k=v` pairs between commas; `\` takes the next character literally, so `\,` is a comma inside a value."""
    pairs: dict[str, str] = {}
    for item in _split_pairs(text):
        key, equals, value = item.partition("=")
        key = key.strip(_GO_SPACE)
        if not equals or not key:
            raise ValueProblem(f"{item!r} is not of the form key=value", detail=_UNPARSED, suggestion=_plain_map(text))
        pairs[key] = value.strip(_GO_SPACE)
    return pairs


def _split_pairs(text: str) -> list[str]:
    items: list[str] = []
    current: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        rest = text[position + 1 :].strip(_GO_SPACE) if character == "," else ""
        if character == "\\" and position + 1 < len(text):
            position += 1
            current.append(text[position])
        elif character == "," and "=" in rest:
            items.append("".join(current).strip(_GO_SPACE))
            current = []
        elif character == "," and rest:
            # The controller stops here: what follows has no "=" and is refused as it stands.
            return [*items, "".join(current).strip(_GO_SPACE), rest]
        else:
            # This includes a comma at the very end, which becomes part of the last value.
            current.append(character)
        position += 1
    return [*items, "".join(current).strip(_GO_SPACE)] if current else items


def _plain_map(text: str) -> str:
    """`a: b` pairs or a JSON object, written as the pairs that are wanted."""
    try:
        document = parse_json(text)
    except ValueProblem:
        pairs = [re.split(r"\s*[:=]\s*", item, maxsplit=1) for item in parse_list(text.translate(_TYPOGRAPHIC))]
        if all(len(pair) == 2 and all(pair) for pair in pairs):
            return ",".join("=".join(pair) for pair in pairs)
        return ""
    if isinstance(document, dict) and document:
        return ",".join(
            f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in document.items()
        )
    return ""


def parse_json(text: str) -> Any:
    """What Go's encoding/json accepts: JSON proper, without Python's NaN and Infinity."""
    try:
        return _load_json(text)
    except (ValueError, RecursionError):
        for meant in _json_repairs(text):
            try:
                _load_json(meant)
            except (ValueError, RecursionError):
                continue
            raise ValueProblem("is not valid JSON", detail=_UNPARSED, suggestion=meant) from None
        raise ValueProblem("is not valid JSON", detail=_UNPARSED) from None


def _load_json(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def _json_repairs(text: str) -> list[str]:
    straight = _INVISIBLE.sub("", text).translate(_TYPOGRAPHIC).strip(_GO_SPACE)
    double = straight.replace("'", '"') if '"' not in straight else straight
    return [straight, double, *(re.sub(r",\s*([\]}])", r"\1", version) for version in (straight, double))]


def parse_success_codes(text: str, limits: tuple[int, int]) -> CodeRanges:
    """`200`, `200,301` or `200-399`, all within `limits` (first and last code that AWS admits)."""
    low, high = limits
    ranges: list[tuple[int, int]] = []
    for item in text.split(","):
        match = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", item.strip(" "))
        if match is None:
            raise ValueProblem(
                "must be codes and ranges between commas, such as 200,301-302", suggestion=_plain_codes(text, limits)
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise ValueProblem(f"the range {first}-{last} ends before it begins", suggestion=_plain_codes(text, limits))
        if first < low or last > high:
            detail = (
                f"Health check matcher GRPC code '{text}' must be within '0-99' inclusive"
                if limits == GRPC_CODES and first == last
                else ""
            )
            raise ValueProblem(
                f"codes must be within {low}-{high}", detail=detail, suggestion=_plain_codes(text, limits)
            )
        ranges.append((first, last))
    return tuple(ranges)


def _plain_codes(text: str, limits: tuple[int, int]) -> str:
    """The codes that were probably meant, or "" when that is a guess."""
    low, high = limits
    written = re.sub(r"\b([2-4])xx\b", r"\g<1>00-\g<1>99", repair(text).lower())
    items: list[str] = []
    for item in re.split(r"[,;\s]+", re.sub(r"\s*[-~:]\s*", "-", written)):
        match = re.fullmatch(r"([0-9]{1,3})(?:-([0-9]{1,3}))?", item)
        if match is None:
            return ""
        first, last = sorted((int(match[1]), int(match[2] or match[1])))
        first, last = max(first, low), min(last, high)
        if first > last:
            return ""
        items.append(str(first) if first == last else f"{first}-{last}")
    return ",".join(items)


def parse_cidrs(text: str) -> tuple[str, ...]:
    """A list whose items Go's net.ParseCIDR accepts; host bits may be set."""
    items = parse_list(text)
    for item in items:
        if not _is_cidr(item):
            raise ValueProblem(
                f"{item!r} is not a CIDR block",
                detail=f": invalid CIDR address: {item}",
                suggestion=_plain_cidrs(items),
            )
    return items


def _is_cidr(item: str) -> bool:
    address, slash, length = item.partition("/")
    if not slash or "%" in address or re.fullmatch(r"[0-9]{1,3}", length) is None:
        return False
    try:
        ipaddress.ip_interface(f"{address}/{int(length)}")
    except ValueError:
        return False
    return True


def _plain_cidrs(items: Sequence[str]) -> str:
    whole: list[str] = []
    for item in items:
        try:
            whole.append(item if _is_cidr(item) else str(ipaddress.ip_interface(repair(item))))
        except ValueError:
            return ""
    return ",".join(whole)


def parse_port(text: str) -> int | str:
    """A health check port: a number, `traffic-port`, or else the name of a Service port."""
    if re.fullmatch(r"[+-]?[0-9]{1,9}", text) is None:
        return text
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueProblem("a port must be within 1-65535")
    return number


def parse_listen_ports(text: str) -> Mapping[int, str]:
    """`[{"HTTP": 80}, {"HTTPS": 443}]` as port → protocol."""
    failed = f"failed to parse listen-ports configuration: `{text}`"
    try:
        entries = parse_json(text)
    except ValueProblem as problem:
        raise ValueProblem(
            problem.reason, detail=failed, suggestion=problem.suggestion or _plain_listen_ports(text)
        ) from None
    if entries is None or entries == []:
        raise ValueProblem("names no port", detail=f"empty listen-ports configuration: `{text}`")
    suggestion = _plain_listen_ports(text)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueProblem(
            'must be a list such as [{"HTTP": 80}, {"HTTPS": 443}]', detail=failed, suggestion=suggestion
        )
    ports: dict[int, str] = {}
    for protocol, port in (pair for entry in entries for pair in entry.items()):
        if not isinstance(port, int) or isinstance(port, bool):
            raise ValueProblem(
                f"the port {json.dumps(port)} must be a number without quotes", detail=failed, suggestion=suggestion
            )
        if not 1 <= port <= 65535:
            raise ValueProblem("a port must be within 1-65535", detail=f"listen port must be within [1, 65535]: {port}")
        if protocol not in ("HTTP", "HTTPS"):
            detail = f"listen protocol must be within [HTTP, HTTPS]: {protocol}"
            raise ValueProblem(
                f"the protocol {protocol!r} is neither HTTP nor HTTPS", detail=detail, suggestion=suggestion
            )
        ports[port] = protocol
    return ports


def _plain_listen_ports(text: str) -> str:
    """Every protocol and port that the text names, or "" when that would leave something out."""
    found = re.findall(r"\b(https?)\b\W{1,6}(\d{1,5})\b", text.lower())
    if (
        not found
        or len(found) != len(re.findall(r"\d+", text))
        or not all(1 <= int(port) <= 65535 for _, port in found)
    ):
        return ""
    return json.dumps([{protocol.upper(): int(port)} for protocol, port in found])


def repair(text: str) -> str:
    """The text without what pasting adds: typographic signs, invisible characters, outer spaces and quotes."""
    plain = _INVISIBLE.sub("", text).translate(_TYPOGRAPHIC).strip(_GO_SPACE)
    while len(plain) >= 2 and plain[0] == plain[-1] and plain[0] in "'\"`":
        plain = plain[1:-1].strip(_GO_SPACE)
    return plain.strip("'\"`")


def go_quote(text: str) -> str:
    """A string as Go's %q prints it in error texts."""
    return (
        '"'
        + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
        + '"'
    )


# --- one annotation ---------------------------------------------------------------------------------------------------

_GROUP_NAME = re.compile(r"([a-z0-9][-a-z0-9.]*)?[a-z0-9]")
_GROUP_NAME_ERROR = (
    "groupName must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_EMPTY_IS_REFUSED = frozenset(
    {"load-balancer-name", "group.name", "customer-owned-ipv4-pool", "aws-load-balancer-name"}
)
# Words that people write for an enum's value and that are too unlike it to be found by spelling.
_SYNONYMS = {
    "public": "internet-facing",
    "external": "internet-facing",
    "internetfacing": "internet-facing",
    "private": "internal",
    "http/1.1": "HTTP1",
    "http/2": "HTTP2",
    "h2": "HTTP2",
    "pod": "ip",
    "node": "instance",
    "tls": "ssl",
    "true": "on",
    "false": "off",
}


def check_value(spec: AnnotationSpec, key: str, text: str, *, code_limits: tuple[int, int] | None = None) -> None:
    """Raises `ValueProblem` when the readers of `spec` refuse `text`, or AWS does after them.

    `code_limits` replaces the range of a `codes` annotation (GRPC target groups). Facts about other annotations and
    objects are not considered here. The detail of what is raised is the whole message of the controller.
    """
    try:
        _check(spec, text, code_limits)
    except ValueProblem as problem:
        problem.detail = _whole_message(spec, key, text, problem.detail)
        problem.suggestion = _sound(spec, problem.suggestion, code_limits)
        raise


def _check(spec: AnnotationSpec, text: str, limits: tuple[int, int] | None) -> None:
    structure = _CHECKS_BY_STEM.get(spec.prefix + spec.stem)
    if structure is None or spec.type != "json":
        _CHECKS[spec.type](spec, text, limits)
    if structure is not None:
        structure(text)


def _sound(spec: AnnotationSpec, suggestion: str, limits: tuple[int, int] | None) -> str:
    """The suggestion if it would be accepted, else what is suggested for the suggestion, else ""."""
    for _ in range(3):
        if not suggestion:
            break
        try:
            _check(spec, suggestion, limits)
        except ValueProblem as problem:
            suggestion = problem.suggestion
        else:
            return suggestion
    return ""


def _whole_message(spec: AnnotationSpec, key: str, text: str, detail: str) -> str:
    if not detail.startswith(":"):
        return detail
    if spec.type == "cidrs":
        # The controller tests the CIDR blocks of Ingresses only; EC2 refuses the others.
        return f"invalid {spec.suffix} settings{detail}" if spec.suffix == "inbound-cidrs" else ""
    name = {"int": f"int{spec.bits}", "map": "stringMap"}.get(spec.type, spec.type)
    return f"failed to parse {name} annotation, {key}: {text}{'' if detail == _UNPARSED else detail}"


def _check_bool(_spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    parse_bool(text)


def _check_int(spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    value = parse_int(text, bits=spec.bits)
    if spec.allowed and str(value) not in spec.allowed:
        raise ValueProblem(f"must be {_either(spec.allowed)}")
    nearest = _within(spec, value)
    if nearest != value:
        raise ValueProblem(f"must be within {spec.minimum}-{spec.maximum}", suggestion=str(nearest))


def _within(spec: AnnotationSpec, value: int) -> int:
    if spec.minimum is not None and value < spec.minimum:
        return spec.minimum
    if spec.maximum is not None and value > spec.maximum:
        return spec.maximum
    return value


def _check_enum(spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    if text in spec.allowed or (spec.any_case and text.upper() in (value.upper() for value in spec.allowed)):
        return
    word = repair(text).lower()
    by_word = {value.lower(): value for value in spec.allowed}
    meant = (
        by_word.get(word)
        or by_word.get(_SYNONYMS.get(word, "").lower())
        or by_word.get(re.sub("[ _]", "-", word))
        or ""
    )
    raise ValueProblem(
        f"must be {_either(spec.allowed)}{'' if spec.any_case else _spelling(spec.allowed)}",
        detail=spec.error.replace("{value}", text),
        suggestion=meant,
    )


def _spelling(allowed: Sequence[str]) -> str:
    """How a word has to be written where the controller compares it letter by letter."""
    return " in capitals" if all(word.isupper() for word in allowed) else " in exactly this spelling"


def _either(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _check_string(spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    if not text:
        if spec.suffix in _EMPTY_IS_REFUSED:
            raise ValueProblem("must not be empty")
        return
    _refuse_pasted(text)
    if spec.maximum is not None and len(text.encode()) > spec.maximum:
        raise ValueProblem(f"must be no longer than {spec.maximum} characters", detail=spec.error)


def _refuse_pasted(text: str) -> None:
    """Characters that editors and web pages add and that no name, path or port contains."""
    if text != text.strip(_GO_SPACE):
        raise ValueProblem("begins or ends with white space", suggestion=repair(text))
    if _TYPOGRAPHIC_QUOTES.intersection(text):
        raise ValueProblem("contains typographic quotes", suggestion=repair(text))
    if _INVISIBLE.search(text):
        raise ValueProblem("contains invisible characters", suggestion=repair(text))
    if len(text) >= 2 and text[0] in "'\"" and text[0] == text[-1]:
        raise ValueProblem("contains the quotes around it", suggestion=repair(text))


def _check_list(_spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    if _INVISIBLE.search(text) or _TYPOGRAPHIC_QUOTES.intersection(text):
        raise ValueProblem("contains typographic quotes or invisible characters", suggestion=repair(text))


def _check_cidrs(_spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    parse_cidrs(text)


def _check_codes(spec: AnnotationSpec, text: str, limits: tuple[int, int] | None) -> None:
    own = (spec.minimum or 0, spec.maximum or 999)
    _refuse_pasted(text)
    parse_success_codes(text, limits or own)


def _check_port(spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    if not text:
        raise ValueProblem("must not be empty", suggestion=TRAFFIC_PORT)
    _refuse_pasted(text)
    port = parse_port(text)
    if isinstance(port, str) and port != TRAFFIC_PORT:
        if repair(port).lower().replace("_", "-").replace(" ", "-") == TRAFFIC_PORT:
            raise ValueProblem(f"must be {TRAFFIC_PORT} in exactly this spelling", suggestion=TRAFFIC_PORT)
        if spec.suffix.startswith("frontend-nlb-"):
            raise ValueProblem(f"must be a number or {TRAFFIC_PORT}; names are not resolved here", detail=spec.error)


def parse_check_path(text: str) -> str:
    """The path of a health check, of which ELB takes printable ASCII characters without spaces:
    https://github.com/aws/elastic-load-balancing-tools (copy_classic_load_balancer.py).

    Raises `ValueProblem` where ELB refuses it."""
    if not text:
        raise ValueProblem("must not be empty", suggestion="/")
    _refuse_pasted(text)
    if not text.startswith("/"):
        meant = re.sub(r"^https?://[^/]*", "", text)
        raise ValueProblem("must start with /", suggestion=meant if meant.startswith("/") else "/" + meant)
    if not text.isascii():
        raise ValueProblem("must consist of ASCII characters")
    if re.search(r"[^!-~]", text):
        printable = all(" " <= sign <= "~" for sign in text)
        raise ValueProblem("must have no space", suggestion=text.replace(" ", "%20") if printable else "")
    return text


def _check_path(spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    parse_check_path(text)
    if spec.maximum is not None and len(text) > spec.maximum:
        raise ValueProblem(f"must be no longer than {spec.maximum} characters")


def _check_map(_spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    if _INVISIBLE.search(text) or _TYPOGRAPHIC_QUOTES.intersection(text):
        raise ValueProblem(
            "contains typographic quotes or invisible characters", suggestion=repair(text), severity="warning"
        )
    pairs = parse_map(text)
    if text.rstrip(_GO_SPACE).endswith(",") and not text.rstrip(_GO_SPACE).endswith("\\,"):
        raise ValueProblem(
            "the comma at the end becomes part of the last value",
            suggestion=text.rstrip(_GO_SPACE + ","),
            severity="warning",
        )
    for name, value in pairs.items():
        check_attribute(name, value)


def check_attribute(name: str, value: str) -> None:
    """Values of the load balancer, listener and target group attributes that bear on target health."""
    if name in ("preserve_client_ip.enabled", "deletion_protection.enabled") and value:
        try:
            parse_bool(value)
        except ValueProblem as problem:
            raise ValueProblem(
                f"{name} must be true or false", detail=f"failed to parse attribute {name}={value}{problem.detail}"
            ) from None
    limits = _ATTRIBUTE_RANGES.get(name)
    if limits is not None and value:
        zero_too, low, high = limits
        number = int(value) if re.fullmatch(r"[0-9]{1,9}", value) else -1
        if not (low <= number <= high or (zero_too and number == 0)):
            either = "0 or " if zero_too else ""
            raise ValueProblem(f"{name} must be {either}within {low}-{high}", severity="warning")
    if name == "dns_record.client_routing_policy" and value not in _ROUTING_POLICIES:
        quoted = ", ".join(f"'{policy}'" for policy in _ROUTING_POLICIES)
        raise ValueProblem(
            f"{name} must be {_either(_ROUTING_POLICIES)}",
            detail=f"invalid {name} set in annotation {NLB_STEM}attributes: got '{value}' expected one of [{quoted}]",
        )


# (0 is allowed besides, least, most); seconds.
_ATTRIBUTE_RANGES = {
    "deregistration_delay.timeout_seconds": (False, 0, 3600),
    "slow_start.duration_seconds": (True, 30, 900),
    "tcp.idle_timeout.seconds": (False, 60, 6000),
}
_ROUTING_POLICIES = ("any_availability_zone", "partial_availability_zone_affinity", "availability_zone_affinity")


def _check_json(_spec: AnnotationSpec, text: str, _limits: tuple[int, int] | None) -> None:
    parse_json(text)


_CHECKS: Mapping[str, Callable[[AnnotationSpec, str, tuple[int, int] | None], None]] = {
    "bool": _check_bool,
    "int": _check_int,
    "string": _check_string,
    "enum": _check_enum,
    "list": _check_list,
    "map": _check_map,
    "json": _check_json,
    "cidrs": _check_cidrs,
    "codes": _check_codes,
    "port": _check_port,
    "path": _check_path,
}


# --- structure of single annotations ----------------------------------------------------------------------------------


def _check_group_name(text: str) -> None:
    if _GROUP_NAME.fullmatch(text) is None:
        meant = re.sub(r"[^-a-z0-9.]+", "-", repair(text).lower()).strip("-.")
        raise ValueProblem(
            "must consist of lower case letters, digits, '-' and '.', and begin and end with a letter or digit",
            detail=_GROUP_NAME_ERROR,
            suggestion=meant,
        )
    if len(text) > 63:
        raise ValueProblem(
            "must be no longer than 63 characters", detail="groupName must be no more than 63 characters"
        )


def _check_capacity(text: str) -> None:
    for name, value in parse_map(text).items():
        if name != "CapacityUnits":
            raise ValueProblem(
                f"knows CapacityUnits only, not {name!r}",
                detail=f"invalid key to set the capacity: {name}, Expected key: CapacityUnits",
                suggestion=f"CapacityUnits={value}" if value.isdecimal() else "",
            )
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise ValueProblem("CapacityUnits must be a whole number; anything else is read as 0", severity="warning")


def _check_port_mapping(text: str) -> None:
    for nlb_port, alb_port in parse_map(text).items():
        for side, port in (("NLB", nlb_port), ("ALB", alb_port)):
            try:
                parse_int(port)
            except ValueProblem:
                raise ValueProblem(f"{port!r} is not a port", detail=f"invalid {side} listener port: {port}") from None


def _check_port_numbers(text: str) -> None:
    for item in parse_list(text):
        if re.fullmatch(r"[+-]?[0-9]+", item) is None:
            detail = f"invalid port number in proxy-protocol-per-target-group: {item}"
            raise ValueProblem(f"{item!r} is not a port number", detail=detail)


def _check_addresses(version: Literal[4, 6]) -> Callable[[str], None]:
    def check(text: str) -> None:
        name = "private IPv4" if version == 4 else "IPv6"
        for item in parse_list(text):
            try:
                address = ipaddress.ip_address(item)
            except ValueError:
                detail = f"{name} addresses must be valid IP address: {item}"
                raise ValueProblem(f"{item!r} is not an IP address", detail=detail) from None
            if address.version != version:
                detail = f"{name} addresses must be valid IPv{version} address: {item}"
                raise ValueProblem(f"{item!r} is not an IPv{version} address", detail=detail)

    return check


class _Shape:
    """A JSON object as Go reads it: names match in any case, a value of another type is an error, null is absent."""

    def __init__(self, document: Any, what: str) -> None:
        if document is None:
            document = {}
        if not isinstance(document, dict):
            raise ValueProblem(f"{what} must be a JSON object", detail=_UNPARSED)
        self._what = what
        self._fields = {name.lower(): value for name, value in document.items()}

    def text(self, name: str) -> str | None:
        """The string of this name, None without it. Raises ValueProblem for a value of another type."""
        value = self._fields.get(name.lower())
        if value is not None and not isinstance(value, str):
            raise ValueProblem(
                f"{self._what}: {name} must be a string in quotes, not {json.dumps(value)}", detail=_UNPARSED
            )
        return value

    def number(self, name: str) -> int | None:
        """The number of this name, None without it. Raises ValueProblem for a value of another type."""
        value = self._fields.get(name.lower())
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueProblem(
                f"{self._what}: {name} must be a number without quotes, not {json.dumps(value)}", detail=_UNPARSED
            )
        return value

    def list(self, name: str) -> list[Any] | None:
        """The list of this name, None without it. Raises ValueProblem for a value of another type."""
        value = self._fields.get(name.lower())
        if value is not None and not isinstance(value, list):
            raise ValueProblem(f"{self._what}: {name} must be a list", detail=_UNPARSED)
        return value

    def has(self, name: str) -> bool:
        """Whether there is a value of this name that is not null."""
        return self._fields.get(name.lower()) is not None

    def child(self, name: str) -> _Shape:
        """The object of this name, an empty one without it. Raises ValueProblem for a value of another type."""
        return _Shape(self._fields.get(name.lower()), name)


def _check_action(text: str) -> None:
    action = _Shape(parse_json(text), "the action")
    kind = action.text("type") or ""
    if kind == "fixed-response":
        _require_status(action, "fixedResponseConfig", ("contentType", "messageBody"))
    elif kind == "redirect":
        _require_status(action, "redirectConfig", ("host", "path", "port", "protocol", "query"))
    elif kind == "forward":
        direct = action.text("targetGroupARN") is not None or action.text("targetGroupName") is not None
        if not direct and not action.has("forwardConfig"):
            raise ValueProblem("forwards to nothing", detail="missing ForwardConfig or TargetGroupARN/TargetGroupName")
        if direct and action.has("forwardConfig"):
            raise ValueProblem(
                "names a target group twice",
                detail="either ForwardConfig or TargetGroupARN/TargetGroupName can be specified",
            )
        if action.has("forwardConfig"):
            _check_forward(action.child("forwardConfig"), "route")
    else:
        raise ValueProblem("type must be forward, redirect or fixed-response", detail=f"unknown action type: {kind}")


def _require_status(action: _Shape, name: str, texts: Sequence[str]) -> None:
    title = name[0].upper() + name[1:]
    if not action.has(name):
        raise ValueProblem(f"has no {name}", detail=f"missing {title}")
    config = action.child(name)
    for field in texts:
        config.text(field)
    if not config.text("statusCode"):
        raise ValueProblem(f"{name} has no statusCode", detail=f"invalid {title}: statusCode is required")


def _check_forward(config: _Shape, verb: str) -> None:
    groups = [_Shape(group, "a target group") for group in config.list("targetGroups") or []]
    for group in groups:
        named = any(group.text(field) is not None for field in ("targetGroupARN", "targetGroupName"))
        service = group.text("serviceName")
        group.number("weight")
        problem = ""
        if not named and service is None:
            problem = "missing serviceName or targetGroupARN/targetGroupName"
        elif named and service is not None:
            problem = "either serviceName or targetGroupARN/targetGroupName can be specified"
        elif service is not None and not group.has("servicePort"):
            problem = "missing servicePort"
        if problem and verb == "route":
            raise ValueProblem(problem, detail=f"invalid ForwardConfig: invalid TargetGroupTuple: {problem}")
        if problem:
            raise ValueProblem(problem)
    if len(groups) > 1 and any(group.number("weight") is None for group in groups):
        raise ValueProblem(
            "every one of several target groups needs a weight",
            detail=f"invalid ForwardConfig: weight must be set when {verb} to multiple target groups",
        )


def _check_service_action(text: str) -> None:
    action = _Shape(parse_json(text), "the action")
    kind = action.text("type") or ""
    if kind != "forward":
        raise ValueProblem("type must be forward", detail=f"unknown action type: {kind}")
    if action.has("forwardConfig"):
        _check_forward(action.child("forwardConfig"), "routing")


_CONDITIONS = {
    "host-header": "hostHeaderConfig",
    "path-pattern": "pathPatternConfig",
    "http-header": "httpHeaderConfig",
    "http-request-method": "httpRequestMethodConfig",
    "query-string": "queryStringConfig",
    "source-ip": "sourceIPConfig",
}


def _check_conditions(text: str) -> None:
    for condition in _objects(text, "a condition"):
        field = condition.text("field") or ""
        name = _CONDITIONS.get(field)
        if name is None:
            # The controller passes unknown fields on; AWS refuses them.
            raise ValueProblem(f"field {field!r} is none of {', '.join(_CONDITIONS)}")
        if not condition.has(name):
            raise ValueProblem(f"{field} needs {name}", detail=f"missing {name}")
        config = condition.child(name)
        if not config.list("values") and not config.list("regexValues"):
            raise ValueProblem(f"{name} has no values")


def _check_transforms(text: str) -> None:
    for transform in _objects(text, "a transform"):
        kind = transform.text("type") or ""
        name = {"url-rewrite": "urlRewriteConfig", "host-header-rewrite": "hostHeaderRewriteConfig"}.get(kind)
        if name is None:
            raise ValueProblem(
                "type must be url-rewrite or host-header-rewrite", detail=f"unknown transform type: {kind}"
            )
        if not transform.has(name):
            raise ValueProblem(f"{kind} needs {name}", detail=f"missing {name}")
        if not transform.child(name).list("rewrites"):
            raise ValueProblem(f"{name} has no rewrites", detail=f"{name}.rewrites cannot be empty")


def _objects(text: str, what: str) -> list[_Shape]:
    document = parse_json(text)
    if document is None:
        return []
    if not isinstance(document, list):
        raise ValueProblem("must be a JSON list", detail=_UNPARSED)
    return [_Shape(item, what) for item in document]


def _check_identity_provider(*names: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        config = _Shape(parse_json(text), "the value")
        for name in names:
            if not config.text(name):
                raise ValueProblem(f"has no {name}", severity="warning")

    return check


def _check_jwt(text: str) -> None:
    config = _Shape(parse_json(text), "the value")
    for name in ("jwksEndpoint", "issuer"):
        if not config.text(name):
            raise ValueProblem(f"has no {name}", detail=f"{name} is a required field for jwt validation")


def _check_mutual_authentication(text: str) -> None:
    try:
        entries = _objects(text, "an entry")
    except ValueProblem as problem:
        problem.detail = f"failed to parse mutualAuthentication configuration from ingress annotation: `{text}`"
        raise
    if not entries:
        raise ValueProblem(
            "names no port", detail=f"empty mutualAuthentication configuration from ingress annotation: `{text}`"
        )
    for entry in entries:
        port, mode, store = entry.number("port") or 0, entry.text("mode") or "", entry.text("trustStore") or ""
        if not 1 <= port <= 65535:
            raise ValueProblem("a port must be within 1-65535", detail=f"listen port must be within [1, 65535]: {port}")
        if mode not in ("off", "passthrough", "verify"):
            modes = "[off, passthrough, verify]"
            detail = f"mutualAuthentication mode value must be among {modes} for port {port} : {mode}"
            if not mode:
                detail = f"mutualAuthentication mode cannot be empty for port {port}"
            raise ValueProblem("mode must be off, passthrough or verify", detail=detail)
        if mode == "verify" and not store:
            detail = f"trustStore is required when mutualAuthentication mode is verify for port {port}"
            raise ValueProblem("mode verify needs a trustStore", detail=detail)
        if mode != "verify" and store:
            detail = f"Mutual Authentication mode {mode} does not support trustStore for port {port}"
            raise ValueProblem(f"mode {mode} takes no trustStore", detail=detail)


def _check_listen_ports(text: str) -> None:
    parse_listen_ports(text)


_CHECKS_BY_STEM: Mapping[str, Callable[[str], None]] = {
    ALB_PREFIX + "group.name": _check_group_name,
    ALB_PREFIX + "listen-ports": _check_listen_ports,
    ALB_PREFIX + "minimum-load-balancer-capacity": _check_capacity,
    ALB_PREFIX + "frontend-nlb-listener-port-mapping": _check_port_mapping,
    ALB_PREFIX + "actions": _check_action,
    ALB_PREFIX + "conditions": _check_conditions,
    ALB_PREFIX + "transforms": _check_transforms,
    ALB_PREFIX + "auth-idp-cognito": _check_identity_provider("userPoolARN", "userPoolClientID", "userPoolDomain"),
    ALB_PREFIX + "auth-idp-oidc": _check_identity_provider(
        "issuer", "authorizationEndpoint", "tokenEndpoint", "userInfoEndpoint", "secretName"
    ),
    ALB_PREFIX + "jwt-validation": _check_jwt,
    ALB_PREFIX + "mutual-authentication": _check_mutual_authentication,
    SERVICE_PREFIX + "actions": _check_service_action,
    SERVICE_PREFIX + "aws-load-balancer-minimum-load-balancer-capacity": _check_capacity,
    SERVICE_PREFIX + "aws-load-balancer-proxy-protocol-per-target-group": _check_port_numbers,
    SERVICE_PREFIX + "aws-load-balancer-private-ipv4-addresses": _check_addresses(4),
    SERVICE_PREFIX + "aws-load-balancer-ipv6-addresses": _check_addresses(6),
}
