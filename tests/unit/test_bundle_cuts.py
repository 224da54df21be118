"""What was cut out of a bundle is unknown, and nobody is healthy for want of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_lbdoctor.analysis.frontends import traffic_paths
from kubectl_lbdoctor.collect.bundles import bundle
from kubectl_lbdoctor.collect.bundles.cuts import with_cuts
from kubectl_lbdoctor.model import reads
from kubectl_lbdoctor.model.fact import Fact
from kubectl_lbdoctor.model.probe import PROBES
from kubectl_lbdoctor.model.snapshot import Snapshot
from kubectl_lbdoctor.report import coverage_of
from tests.support import cases, product

HEALTHY = [name for name in cases.names() if cases.load(name).status == "healthy"]


OF_OTHERS = {
    "healthy-idle-colour-asked-for-alone": ".aws.(?!target_groups).*own-00000101",
    "healthy-network-address-of-a-former-controller": ".aws.(?!target_groups).*web-0000000103",
}
"""What was read of load balancers that the subject is not behind: of the colour that gets the traffic, the health and
the listeners are not this colour's. That its target group is on a load balancer is what makes this colour idle."""


def cuts(value: Any, where: str = "") -> Iterator[tuple[str, str, Any]]:
    """A record without one of the facts in it, for each of them: where it stood, and the read that it is of."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Fact):
                yield f"{where}[{key}]", inner.source, {k: kept for k, kept in value.items() if k != key}
            else:
                yield from ((at, read, {**value, key: cut}) for at, read, cut in cuts(inner, f"{where}[{key}]"))
    elif is_dataclass(value) and not isinstance(value, (type, Fact)):
        for part in fields(value):
            inner, at = getattr(value, part.name), f"{where}.{part.name}"
            if isinstance(inner, Fact):
                if part.default_factory is not MISSING and inner != (absent := part.default_factory()):
                    yield at, inner.source, replace(value, **{part.name: absent})
            elif part.init:
                yield from ((at, read, replace(value, **{part.name: cut})) for at, read, cut in cuts(inner, at))


def is_healthy(snapshot: Snapshot) -> bool:
    """Whether a diagnosis of the bundle says so; where its subjects are not covered, it cannot."""
    loaded = with_cuts(snapshot)
    if not coverage_of(loaded, traffic_paths(loaded)).complete:
        return False
    return product.judge(loaded).report.status.value == "healthy"


@pytest.mark.parametrize("name", HEALTHY)
def test_nobody_is_healthy_for_want_of_a_fact(name: str) -> None:
    snapshot = cases.result(name).snapshot
    assert is_healthy(snapshot)
    # What only sharpens a diagnosis may lack, and so may probes, which are sent where something is in doubt.
    tried = [cut for cut in cuts(snapshot) if cut[1] not in {*reads.OPTIONAL, PROBES}]
    assert len(tried) > 20
    others = re.compile(OF_OTHERS.get(name, "(?!)"))
    assert [where for where, _, cut in tried if is_healthy(cut) and not others.match(where)] == []


def test_a_file_with_a_part_cut_out(tmp_path: Path) -> None:
    """By hand, as an editor leaves it."""
    file = tmp_path / "bundle.json"
    bundle.save(cases.result("healthy-shared-group-served-by-other-pods").snapshot, file)
    document = json.loads(file.read_text())
    assert product.judge(bundle.load(file)).report.status.value == "healthy"
    document["snapshot"]["aws"]["load_balancers"].popitem()
    file.write_text(json.dumps(document))
    report = product.judge(bundle.load(file)).report
    assert (report.status.value, report.exit_status()) == ("unknown", 3)
    assert any("the bundle does not hold it" in reason for reason in report.coverage.not_asked)
