"""In a namespace that holds much more than serves the subjects, less is read, and the same is said."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.collect import kube_lists
from tests.support import cases, product


@pytest.mark.parametrize("name", [name for name in cases.names() if not cases.load(name).known_wrong])
def test_what_is_read_of_a_crowded_namespace_says_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # No list is short enough to be taken whole.
    monkeypatch.setattr(kube_lists, "FEW", -1)
    case = cases.load(name)
    run = cases.run(case)
    assert run.report.checks.crashed == 0
    assert product.said(run) == case.expected()
