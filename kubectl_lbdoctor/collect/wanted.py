"""What serves the frontends of a run: the names of their Services, and what these select. Everything else in a
namespace is somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.model.k8s import SERVICE_LABEL
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.record import record

VALUES = 50
"""Values that a label selector in a URL names."""


@record
class Wanted:
    """By namespace: the names of the Services behind the frontends, and their selectors."""

    services: Mapping[str, frozenset[str]]
    selectors: Mapping[str, tuple[Mapping[str, str], ...]]

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether one of the Services selects what has these labels."""
        carried = labels.items()
        return any(selector.items() <= carried for selector in self.selectors.get(namespace, ()))


def wanted(snapshot: Snapshot) -> Wanted:
    """What the snapshot's frontends lead to, as far as their manifests, Services and bindings were read."""
    services: dict[str, set[str]] = {}
    chosen: dict[str, dict[tuple[tuple[str, str], ...], Mapping[str, str]]] = {}
    for traffic in traffic_paths(snapshot):
        if traffic.backend is None or not traffic.backend.service:
            continue
        services.setdefault(traffic.namespace, set()).add(traffic.backend.service)
        service = traffic.service.peek()
        if service is not None and service.selector:
            chosen.setdefault(traffic.namespace, {})[tuple(sorted(service.selector.items()))] = service.selector
    return Wanted(
        {name: frozenset(found) for name, found in services.items()},
        {name: tuple(found.values()) for name, found in chosen.items()},
    )


def label_selectors(selectors: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """As few label selectors for the API server as take everything that these select, and maybe more: those with the
    same keys are one."""
    by_keys: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for selector in selectors:
        by_keys.setdefault(tuple(sorted(selector)), []).append(selector)
    for keys, alike in by_keys.items():
        for start in range(0, len(alike), VALUES):
            part = alike[start : start + VALUES]
            yield ",".join(_any_of(key, (selector[key] for selector in part)) for key in keys)


def of_services(names: Iterable[str]) -> Iterator[str]:
    """The label selectors of the EndpointSlices of these Services."""
    return label_selectors({SERVICE_LABEL: name} for name in sorted(names))


def _any_of(key: str, values: Iterable[str]) -> str:
    unique = tuple(dict.fromkeys(values))
    return f"{key}={unique[0]}" if len(unique) == 1 else f"{key} in ({','.join(unique)})"
