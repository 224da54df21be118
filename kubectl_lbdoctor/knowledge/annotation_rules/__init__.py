"""What is wrong with annotations taken together: ignored next to another, contradicting another, without effect here.

The rules, by the objects that they are for. `linted` has what they look at and what they say.
"""

from __future__ import annotations

from kubectl_lbdoctor.knowledge.annotation_rules.alb import (
    alb_security_groups,
    alb_target_type_dependent,
    authentication,
    frontend_nlb_disabled,
    frontend_nlb_port_without_listener,
    unused_backend_annotations,
)
from kubectl_lbdoctor.knowledge.annotation_rules.health_checks import (
    alb_interval_over_timeout,
    alb_port_name,
    frontend_interval_not_under_timeout,
    newer_versions_need_https,
    nlb_interval_not_under_timeout,
    nlb_port_name,
    unused_with_tcp_check,
)
from kubectl_lbdoctor.knowledge.annotation_rules.linted import LintRule
from kubectl_lbdoctor.knowledge.annotation_rules.listeners import (
    listener_attributes_of_a_listener,
    ssl_redirect_listener,
    tls_without_https_listener,
)
from kubectl_lbdoctor.knowledge.annotation_rules.nlb import (
    classic_target_group_attributes,
    load_balancer_type,
    nlb_addresses,
    nlb_backend_protocol,
    nlb_ip_targets,
    nlb_overridden,
    nlb_ports,
    nlb_security_groups,
    nlb_tls,
)

ALB_RULES: tuple[LintRule, ...] = (
    alb_interval_over_timeout,
    alb_port_name,
    alb_target_type_dependent,
    authentication,
    newer_versions_need_https,
)
"""For an Ingress, and for a Service that is a backend of one."""

INGRESS_RULES: tuple[LintRule, ...] = (
    frontend_interval_not_under_timeout,
    ssl_redirect_listener,
    tls_without_https_listener,
    listener_attributes_of_a_listener,
    alb_security_groups,
    frontend_nlb_disabled,
    frontend_nlb_port_without_listener,
    unused_backend_annotations,
)

NLB_RULES: tuple[LintRule, ...] = (
    nlb_interval_not_under_timeout,
    unused_with_tcp_check,
    nlb_port_name,
    load_balancer_type,
    nlb_ip_targets,
    nlb_security_groups,
    nlb_overridden,
    nlb_addresses,
    nlb_tls,
    nlb_backend_protocol,
    nlb_ports,
    classic_target_group_attributes,
)
"""For a Service that makes a load balancer."""
