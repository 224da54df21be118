"""What differs from one recording to the next is replaced: ids by numbers, times by their distance from one clock, and
secrets by a word. The same thing has the same replacement everywhere in a world."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any

CLOCK = datetime(2030, 1, 7, 12, 0, 0, tzinfo=timezone.utc)
"""The time at which every world was "recorded". Later than any real recording, so that certificates are valid."""

_HEX = "0123456789abcdef"
_EC2_ID = re.compile(
    r"\b(i|eni|eni-attach|sg|sgr|subnet|vpc|vpc-cidr-assoc|acl|aclassoc|rtb|rtbassoc|igw|dopt)-([0-9a-f]{17}|[0-9a-f]{8})\b"
)
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_ARN_PART = re.compile(r"(?<=/)[0-9a-f]{16}\b")
_EVENT_NAME = re.compile(r"(?<=\.)[0-9a-f]{16}\b")
_NAME_HASH = re.compile(r"(?<=-)[0-9a-f]{10}\b")
_OWN_NAME = re.compile(r"(?<=\bown-)[0-9a-f]{8}\b")
_DNS_NUMBER = re.compile(r"-([0-9]{4,10}|[0-9a-f]{16})(?=\.(?:elb\.)?[a-z0-9-]+\.(?:elb\.)?amazonaws\.com)")
_ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")
_TOKEN_VOLUME = re.compile(r"\bkube-api-access-[a-z0-9]{5}\b")
_NODE_PORT = re.compile(r"\b3[0-2]\d{3}\b")
_TIME = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def _same(key: str) -> str:
    """The value of fields that change with every write of anything in the cluster."""
    return "1" if key == "resourceVersion" else ""


class Normaliser:
    """Replaces, in the order in which things are met. exact: words (names of pods) and what they become; addresses and
    ports: the same for IP addresses and node ports."""

    def __init__(
        self, now: datetime, exact: dict[str, str], addresses: dict[str, str], ports: dict[int, int], first: int = 1
    ) -> None:
        self._shift = CLOCK - now.replace(microsecond=0)
        self._addresses = addresses
        self._ports = ports
        self._exact = dict(sorted(exact.items(), key=lambda pair: -len(pair[0])))
        self._numbers: dict[str, dict[str, str]] = {}
        self._first = first

    def seed(self, ids: Iterable[str]) -> None:
        """Give these their numbers before all others, from 1 on."""
        kept, self._first = self._first, 1
        for identity in ids:
            self.text(identity)
        self._first = kept

    def value(self, item: Any) -> Any:
        """The same structure with everything replaced."""
        if isinstance(item, dict):
            return {self.text(str(key)): _same(key) or self.value(part) for key, part in item.items()}
        if isinstance(item, (list, tuple)):
            return [self.value(part) for part in item]
        if isinstance(item, datetime):
            return (item.astimezone(timezone.utc).replace(microsecond=0) + self._shift).isoformat()
        if isinstance(item, int) and not isinstance(item, bool):
            return self._ports.get(item, item)
        return self.text(item) if isinstance(item, str) else item

    def text(self, text: str) -> str:
        for old, new in self._exact.items():
            text = text.replace(old, new)
        text = _ADDRESS.sub(lambda m: self._addresses.get(m[0], m[0]), text)
        text = _NODE_PORT.sub(lambda m: str(self._ports.get(int(m[0]), int(m[0]))), text)
        text = _TOKEN_VOLUME.sub("kube-api-access-token", text)
        text = _EC2_ID.sub(lambda m: f"{m[1]}-{self._number(m[1], m[2], 17)}", text)
        text = _UUID.sub(lambda m: "00000000-0000-4000-8000-" + self._number("uuid", m[0], 12), text)
        text = _DIGEST.sub(lambda m: self._number("digest", m[0], 64), text)
        text = _DNS_NUMBER.sub(lambda m: "-" + self._number("dns", m[1], 10), text)
        text = _EVENT_NAME.sub(lambda m: self._number("event", m[0], 16), text)
        text = _ARN_PART.sub(lambda m: self._number("arn", m[0], 16), text)
        text = _OWN_NAME.sub(lambda m: self._number("own", m[0], 8), text)
        text = _NAME_HASH.sub(lambda m: self._number("hash", m[0], 10), text)
        return _TIME.sub(self._moved, text)

    def _number(self, kind: str, found: str, width: int) -> str:
        table = self._numbers.setdefault(kind, {})
        if found not in table and found not in table.values():
            number = self._first + sum(1 for value in table.values() if int(value, 16) >= self._first)
            table[found] = f"{number:0{width}x}"
        return table.get(found, found)

    def _moved(self, match: re.Match[str]) -> str:
        time = datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc) + self._shift
        return time.strftime("%Y-%m-%dT%H:%M:%S") + (match[2] or "") + "Z"


def _without_secrets(item: Any) -> Any:
    """Keys of TLS Secrets and secret environment variables, replaced."""
    if isinstance(item, dict):
        if item.get("kind") == "Secret":
            data = {
                key: value if key in ("ca.crt", "tls.crt") else "cmVkYWN0ZWQ=" for key, value in item["data"].items()
            }
            return {**item, "data": data}
        if "SECRET" in str(item.get("name", "")).upper() and isinstance(item.get("value"), str):
            return {**item, "value": "redacted"}
        return {key: _without_secrets(part) for key, part in item.items()}
    return [_without_secrets(part) for part in item] if isinstance(item, list) else item


def slimmed(item: dict[str, Any], whole: bool) -> dict[str, Any]:
    """Without secrets and what only fills pages; a `whole` object keeps managedFields and what kubectl adds."""
    item = _without_secrets(item)
    metadata = dict(item["metadata"], resourceVersion="1")
    if not whole:
        metadata.pop("managedFields", None)
        kept = {
            key: value
            for key, value in (metadata.get("annotations") or {}).items()
            if key != "kubectl.kubernetes.io/last-applied-configuration"
        }
        metadata.pop("annotations", None)
        if kept:
            metadata["annotations"] = kept
    ordered = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata}
    rest = {key: value for key, value in item.items() if key not in ordered}
    if item["kind"] == "Node":
        rest["status"] = {key: value for key, value in rest["status"].items() if key != "images"}
    return {**ordered, **rest}


def pod_names(objects: Iterable[dict[str, Any]], order: Callable[[dict[str, Any]], Any]) -> dict[str, str]:
    """Generated names and hashes of pods, ReplicaSets and EndpointSlices, and what they become."""
    exact: dict[str, str] = {}
    found = sorted(objects, key=order)
    for system in (True, False):
        # Each part counts for itself: what else runs in the cluster changes no name of a stack.
        owners: dict[str, str] = {}
        for item in found:
            template = (item["metadata"].get("labels") or {}).get("pod-template-hash")
            if template and (item["metadata"]["namespace"] == "kube-system") is system:
                owners[template] = item["metadata"]["name"].partition(f"-{template}")[0]
        for number, template in enumerate(sorted(owners, key=lambda t: owners[t]), 1):
            # No hexadecimal number, so that it is not taken for another id.
            exact[template] = f"6d4c{number:04d}wt"
    counts: dict[str, int] = {}
    for item in found:
        name = item["metadata"]["name"]
        if item["kind"] == "Pod" and item["metadata"].get("generateName"):
            stem = item["metadata"]["generateName"]
            counts[stem] = counts.get(stem, 0) + 1
            for old, new in exact.items():
                stem = stem.replace(old, new)
            exact[name] = f"{stem}pod{counts[item['metadata']['generateName']]:02d}"
        elif item["kind"] == "EndpointSlice" and item["metadata"].get("generateName"):
            exact[name] = f"{item['metadata']['generateName']}slice"
    return exact


def pod_addresses(objects: Iterable[dict[str, Any]], order: Callable[[dict[str, Any]], Any]) -> dict[str, str]:
    """Addresses of pods and of Services, and what they become: pods stay in the range of their node's addresses, and
    change places with whoever had the address that they get."""
    found: dict[str, str] = {}
    pods = [i for i in objects if i["kind"] == "Pod" and not i["spec"].get("hostNetwork")]
    # The stack's pods from .41 on, the system's from .51: where those run changes no address of a stack.
    counts: dict[tuple[str, int], int] = {}
    for item in sorted(pods, key=order):
        old = item["status"].get("podIP", "")
        place = (old.rpartition(".")[0], 50 if item["metadata"]["namespace"] == "kube-system" else 40)
        counts[place] = counts.get(place, 0) + 1
        found[old] = f"{place[0]}.{place[1] + counts[place]}"
    taken = set(found.values()) - set(found)
    free = [old for old in found if old not in found.values()]
    found |= dict(zip(sorted(taken), sorted(free), strict=True))
    services = [i for i in objects if i["kind"] == "Service" and i["spec"].get("clusterIP", "None") != "None"]
    for number, item in enumerate(sorted(services, key=order), 1):
        found[item["spec"]["clusterIP"]] = f"172.20.0.{100 + number}"
    return found


def node_ports(objects: Iterable[dict[str, Any]], order: Callable[[dict[str, Any]], Any]) -> dict[int, int]:
    """Node ports of Services, and what they become."""
    found: dict[int, int] = {}
    for item in sorted((i for i in objects if i["kind"] == "Service"), key=order):
        for port in item["spec"].get("ports", ()):
            if port.get("nodePort"):
                found[port["nodePort"]] = 30081 + len(found)
        if item["spec"].get("healthCheckNodePort"):
            found[item["spec"]["healthCheckNodePort"]] = 32081
    return found


def ordered(item: dict[str, Any]) -> dict[str, Any]:
    """The same object with its sets in an order that does not depend on chance."""
    if "PrivateIpAddresses" in item:
        addresses = sorted(item["PrivateIpAddresses"], key=lambda a: (not a["Primary"], a["PrivateIpAddress"]))
        return {**item, "PrivateIpAddresses": addresses}
    if "AvailabilityZones" in item:
        return {**item, "AvailabilityZones": sorted(item["AvailabilityZones"], key=lambda zone: zone["ZoneName"])}
    if item.get("kind") == "EndpointSlice":
        return {**item, "endpoints": sorted(item["endpoints"], key=lambda endpoint: endpoint["addresses"])}
    return item
