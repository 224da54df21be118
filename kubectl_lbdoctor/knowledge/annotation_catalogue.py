"""The annotations that are read, loaded once from `annotation_data`.

The data is the single place where a key, its type, range and first release stand; nothing here repeats them.
Keys with a variable part (`actions.${action-name}`) are kept as templates and found by pattern.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, get_args

from kubectl_lbdoctor.knowledge import annotation_data
from kubectl_lbdoctor.knowledge.releases import GATES
from kubectl_lbdoctor.record import record

ALB_PREFIX = "alb.ingress.kubernetes.io/"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""The annotation that says an Ingress's class; it wins over spec.ingressClassName."""
SERVICE_PREFIX = "service.beta.kubernetes.io/"
NLB_STEM = "aws-load-balancer-"
NLB_PREFIX = SERVICE_PREFIX + NLB_STEM

AnnotationType = Literal["bool", "int", "string", "enum", "list", "map", "json", "cidrs", "codes", "port", "path"]
Reader = Literal["controller", "cloud-provider"]


@record
class AnnotationSpec:
    """One annotation that a controller reads. Source of every field: `annotation_data`."""

    key: str
    """Full key, with prefix; a template keeps its `${name}` parts."""
    prefix: str
    """Up to and including the slash."""
    suffix: str
    """What follows the slash."""
    type: AnnotationType
    allowed: tuple[str, ...] = ()
    """Closed domain of an enum; for other types, words allowed besides the type itself (`traffic-port`)."""
    any_case: bool = False
    """The reader compares `allowed` without regard to case."""
    minimum: int | None = None
    maximum: int | None = None
    """Range of a number or of status codes; of `string` and `path` the length. Health check ranges are those of ELB."""
    bits: int = 32
    """Size of the Go integer that an `int` is parsed into."""
    default: str = ""
    """What holds without the annotation, as it would be written; "" when there is none or it varies."""
    locations: frozenset[str] = frozenset()
    """Kinds of object on which it is read: Ingress, Service, Pod, IngressClass, TargetGroupBinding."""
    readers: frozenset[Reader] = frozenset()
    since: str = ""
    """First AWS Load Balancer Controller release that reads it; "" when only the cloud provider reads it."""
    value_since: tuple[tuple[str, str], ...] = ()
    """(value, first release) for values younger than the annotation."""
    gate: str = ""
    """The feature gate without which the controller does not read it, or ""."""
    exclusive_in_group: bool = False
    """Members of one IngressGroup must agree on it."""
    auto_mode_supported: bool = True
    class_field: str = ""
    """The IngressClassParams field that overrides it, or ""."""
    twin: str = ""
    """For an ALB annotation: suffix of the Service annotation that asks a network load balancer for the same thing."""
    error: str = ""
    """What the controller reports for a bad value, `{value}` standing for it; "" when it has no text of its own."""
    classic_only: bool = False
    """Means something for a Classic load balancer only."""
    deprecated: bool = False
    written_by_controller: bool = False
    note: str = ""
    pattern: re.Pattern[str] | None = None
    """Set for templates: matches the whole key; the groups are the variables, lower-case letters only."""

    @property
    def stem(self) -> str:
        """The suffix up to its first variable part, without the dot before it."""
        return self.suffix.partition("${")[0].rstrip(".")


@record
class NearKey:
    """The key that somebody probably meant. `certain` is False when only the spelling is alike."""

    key: str
    certain: bool


def catalogue() -> Mapping[str, AnnotationSpec]:
    """Every known annotation by full key, in the order of the data file; templates under their `${...}` key."""
    return _load().specs


def spec_for(key: str) -> AnnotationSpec | None:
    """The annotation that `key` is, templates included; None when nobody reads it."""
    loaded = _load()
    found = loaded.specs.get(key)
    if found is not None:
        return found if found.pattern is None else None
    return next((spec for spec in loaded.templates if spec.pattern is not None and spec.pattern.fullmatch(key)), None)


def nearest_key(key: str) -> NearKey | None:
    """The known key closest to an unknown one that looks meant for us; None when it is not ours or nothing is close.

    Ours are: everything under `alb.ingress.kubernetes.io/`, names that begin like `aws-load-balancer-` under any
    prefix, and a known name under a prefix with a slip in it. `key` must not be a known key.
    """
    family, name, complete = _family(key)
    if family is None:
        return None
    return _closest(family, name, exact_only=not complete)


def same_name(prefix: str, key: str) -> NearKey | None:
    """The annotation of this prefix whose name `key` has, whatever prefix, case or separators it is written with, or an
    alias of it; None where there is none."""
    host, slash, name = key.partition("/")
    return _closest(prefix, name if slash else host, exact_only=True)


def is_ours(key: str) -> bool:
    """Whether the key is, or looks meant to be, an annotation for an AWS load balancer."""
    if spec_for(key) is not None:
        return True
    family, name, complete = _family(key)
    return family is not None and (complete or _closest(family, name, exact_only=True) is not None)


def twin_key(spec: AnnotationSpec) -> str:
    """Full key of the annotation that says the same to the other kind of load balancer, or ""."""
    if spec.prefix == ALB_PREFIX:
        return SERVICE_PREFIX + spec.twin if spec.twin else ""
    return _load().alb_twins.get(spec.suffix, "")


# --- loading ----------------------------------------------------------------------------------------------------------


@record
class _Loaded:
    """The catalogue as read from its file: plain keys, and keys with a part to fill in."""

    specs: Mapping[str, AnnotationSpec]
    templates: tuple[AnnotationSpec, ...]
    names: Mapping[str, Mapping[str, str]]
    """prefix → squeezed name (what `_squeeze` leaves, without `aws-load-balancer-`) → suffix."""
    stems: Mapping[str, Mapping[str, str]]
    """The same for templates only: prefix → squeezed stem → suffix."""
    alb_twins: Mapping[str, str]
    """Suffix of a Service annotation → full key of its ALB twin."""


@lru_cache(maxsize=1)
def _load() -> _Loaded:
    specs = {spec.key: spec for spec in _specs()}
    names: dict[str, dict[str, str]] = {ALB_PREFIX: {}, SERVICE_PREFIX: {}}
    stems: dict[str, dict[str, str]] = {ALB_PREFIX: {}, SERVICE_PREFIX: {}}
    alb_twins: dict[str, str] = {}
    for spec in specs.values():
        if spec.prefix in names and not spec.written_by_controller:
            (names if spec.pattern is None else stems)[spec.prefix][_squeeze(spec.stem)] = spec.suffix
        if spec.twin:
            names[ALB_PREFIX].setdefault(_squeeze(spec.twin), spec.suffix)
            alb_twins[spec.twin] = spec.key
    for spec in specs.values():
        if spec.twin:
            names[SERVICE_PREFIX].setdefault(_squeeze(spec.suffix), spec.twin)
    for prefix, aliases in annotation_data.ALIASES.items():
        for written, read in aliases.items():
            names[prefix].setdefault(_squeeze(written), read)
        for stem, suffix in stems[prefix].items():
            names[prefix].setdefault(stem, suffix)
    return _Loaded(
        specs=MappingProxyType(specs),
        templates=tuple(spec for spec in specs.values() if spec.pattern is not None),
        names=names,
        stems=stems,
        alb_twins=alb_twins,
    )


def _specs() -> Iterator[AnnotationSpec]:
    for section in annotation_data.SECTIONS:
        for suffix, entry in section["annotations"].items():
            yield _spec(section, suffix, entry)


def _spec(section: Mapping[str, Any], suffix: str, entry: Mapping[str, Any]) -> AnnotationSpec:
    key = section["prefix"] + suffix
    if entry["type"] not in get_args(AnnotationType):
        raise ValueError(f"annotation_data: {key} has the unknown type {entry['type']!r}")
    gate = entry.get("gate", "")
    if gate and gate not in GATES:
        raise ValueError(f"annotation_data: {key} has the unknown feature gate {gate!r}")
    return AnnotationSpec(
        key=key,
        prefix=section["prefix"],
        suffix=suffix,
        type=entry["type"],
        allowed=tuple(str(value) for value in entry.get("values", ())),
        any_case=entry.get("any-case", False),
        minimum=entry.get("min"),
        maximum=entry.get("max"),
        bits=entry.get("bits", 32),
        default=entry.get("default", ""),
        locations=frozenset(section["objects"]),
        readers=frozenset(section["readers"]),
        since=entry.get("since", ""),
        value_since=tuple(entry.get("value-since", {}).items()),
        gate=gate,
        exclusive_in_group=entry.get("group") == "exclusive",
        auto_mode_supported=entry.get("auto-mode", True),
        class_field=entry.get("class", ""),
        twin=entry.get("twin", ""),
        error=entry.get("error", ""),
        classic_only=entry.get("classic", False),
        deprecated=entry.get("deprecated", False),
        written_by_controller=entry.get("written", False),
        note=entry.get("note", ""),
        pattern=_template_pattern(key) if "${" in key else None,
    )


def _template_pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\$\{([^}]*)\}", template)
    fixed = [re.escape(part) for part in parts[::2]]
    groups = [f"(?P<{re.sub('[^a-z]', '', name.lower())}>[^/]+)" for name in parts[1::2]]
    return re.compile("".join(piece for pair in zip(fixed, [*groups, ""], strict=True) for piece in pair))


# --- near keys --------------------------------------------------------------------------------------------------------

# Hosts written for the real one that are too unlike it for the similarity below.
_ALB_MISTAKES = frozenset({"alb.ingress.k8s.io", "alb.kubernetes.io", "alb.ingress.kubernetes"})
# The prefix of older ingress controllers; alike, but not ours.
_NOT_ALB = frozenset({"ingress.kubernetes.io"})
_HOST_LIKENESS = 0.9
_NAME_LIKENESS = 0.82
_SQUEEZED_STEM = "awsloadbalancer"
# What is written for the stem `aws-load-balancer-`.
_OTHER_STEMS = ("load-balancer-", "nlb-", "elb-")


def _squeeze(name: str) -> str:
    """A name without case, separators and the `aws-load-balancer-` stem, so that spelling variants coincide."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix(_SQUEEZED_STEM)


def _family(key: str) -> tuple[str | None, str, bool]:
    """(prefix that was probably meant, name to look up, whether the key is ours whatever its name is)."""
    host, slash, name = key.partition("/")
    host = host.lower()  # The API server accepts keys in any case; they are read as they are documented.
    if not slash or not name:
        return None, "", False
    if host + "/" == ALB_PREFIX:
        return ALB_PREFIX, name, True
    if re.sub(r"[^a-z0-9]", "", name.lower()).startswith(_SQUEEZED_STEM):
        return SERVICE_PREFIX, name, True
    if host + "/" == SERVICE_PREFIX:
        # Other clouds share this prefix: without the stem only a name of several words that is one of ours counts.
        return (SERVICE_PREFIX, name, False) if re.search("[-_.]", name) else (None, "", False)
    if host in _ALB_MISTAKES or (host not in _NOT_ALB and _likeness(host, ALB_PREFIX[:-1]) >= _HOST_LIKENESS):
        return ALB_PREFIX, name, False
    return None, "", False


def _closest(prefix: str, name: str, *, exact_only: bool) -> NearKey | None:
    names, stems = _load().names[prefix], _load().stems[prefix]
    if prefix == SERVICE_PREFIX and name.lower().startswith(_OTHER_STEMS) and _squeeze(name) not in names:
        name = name.lower().removeprefix("load-balancer-").removeprefix("nlb-").removeprefix("elb-")
    stem, dot, rest = name.partition(".")
    lookups = [(name, "", names), (stem, dot + rest, stems)] if dot else [(name, "", names)]
    for written, tail, known in lookups:
        suffix = known.get(_squeeze(written))
        if suffix is not None:
            return NearKey(prefix + _fill(suffix, tail), certain=True)
    for written, tail, known in [] if exact_only else lookups:
        close = difflib.get_close_matches(_squeeze(written), list(known), n=1, cutoff=_NAME_LIKENESS)
        if close:
            return NearKey(prefix + _fill(known[close[0]], tail), certain=False)
    return None


def _fill(suffix: str, tail: str) -> str:
    """Puts the variable part that was written into the template that was found."""
    fixed, marker, _ = suffix.partition(".${")
    return fixed + tail if marker and tail else suffix


def _likeness(left: str, right: str) -> float:
    return difflib.SequenceMatcher(None, left, right).ratio()
