"""Who made a TargetGroupBinding, by its labels."""

from __future__ import annotations

import pytest

from kubectl_lbdoctor.model.k8s import Meta, TargetGroupBinding


@pytest.mark.parametrize(
    ("label", "stack", "generated"),
    [
        ("ingress.k8s.aws/stack-name", "ingress", True),
        ("ingress.k8s.aws/stack", "ingress", True),
        ("service.k8s.aws/stack-namespace", "service", True),
        ("gateway.k8s.aws.alb/stack-name", "gateway", True),
        ("gateway.k8s.aws.nlb/stack-name", "gateway", True),
        ("ingress.eks.amazonaws.com/stack", "ingress", True),
        ("service.eks.amazonaws.com/stack-name", "service", True),
        ("gateway.eks.amazonaws.com.alb/stack-name", "gateway", True),
        ("app.example.com/stack", "", False),
        ("app", "", False),
    ],
)
def test_stack_labels(label: str, stack: str, generated: bool) -> None:
    binding = TargetGroupBinding(Meta("b", labels={label: "x"}))
    assert (binding.stack, binding.is_generated) == (stack, generated)
