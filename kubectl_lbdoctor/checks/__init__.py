"""All checks: importing this package declares them in `registry.CATALOGUE`."""

from kubectl_lbdoctor.checks import address_families as address_families
from kubectl_lbdoctor.checks import annotations as annotations
from kubectl_lbdoctor.checks import aws_resources as aws_resources
from kubectl_lbdoctor.checks import backend_references as backend_references
from kubectl_lbdoctor.checks import balancer_states as balancer_states
from kubectl_lbdoctor.checks import bindings as bindings
from kubectl_lbdoctor.checks import client_access as client_access
from kubectl_lbdoctor.checks import cloud_provider as cloud_provider
from kubectl_lbdoctor.checks import cluster_access as cluster_access
from kubectl_lbdoctor.checks import controller_connections as controller_connections
from kubectl_lbdoctor.checks import controller_errors as controller_errors
from kubectl_lbdoctor.checks import controller_running as controller_running
from kubectl_lbdoctor.checks import culprits as culprits
from kubectl_lbdoctor.checks import deletion as deletion
from kubectl_lbdoctor.checks import excluded_nodes as excluded_nodes
from kubectl_lbdoctor.checks import frontend_nlb as frontend_nlb
from kubectl_lbdoctor.checks import gates as gates
from kubectl_lbdoctor.checks import gateway_configurations as gateway_configurations
from kubectl_lbdoctor.checks import gateway_gaps as gateway_gaps
from kubectl_lbdoctor.checks import gateways as gateways
from kubectl_lbdoctor.checks import health_check as health_check
from kubectl_lbdoctor.checks import identity as identity
from kubectl_lbdoctor.checks import kube_proxy as kube_proxy
from kubectl_lbdoctor.checks import made_and_gone as made_and_gone
from kubectl_lbdoctor.checks import mesh as mesh
from kubectl_lbdoctor.checks import mixed_selection as mixed_selection
from kubectl_lbdoctor.checks import overlay as overlay
from kubectl_lbdoctor.checks import partly_made as partly_made
from kubectl_lbdoctor.checks import proxy_protocol_drift as proxy_protocol_drift
from kubectl_lbdoctor.checks import public_subnets as public_subnets
from kubectl_lbdoctor.checks import reachability as reachability
from kubectl_lbdoctor.checks import reconciliation as reconciliation
from kubectl_lbdoctor.checks import registered_targets as registered_targets
from kubectl_lbdoctor.checks import releases as releases
from kubectl_lbdoctor.checks import resilience as resilience
from kubectl_lbdoctor.checks import route_rules as route_rules
from kubectl_lbdoctor.checks import rule_order as rule_order
from kubectl_lbdoctor.checks import selection as selection
from kubectl_lbdoctor.checks import self_diagnostics as self_diagnostics
from kubectl_lbdoctor.checks import service_endpoints as service_endpoints
from kubectl_lbdoctor.checks import strict_policies as strict_policies
from kubectl_lbdoctor.checks import target_group_drift as target_group_drift
from kubectl_lbdoctor.checks import traffic_policy as traffic_policy
from kubectl_lbdoctor.checks import traffic_protocol as traffic_protocol
from kubectl_lbdoctor.checks import unanswered_requests as unanswered_requests
from kubectl_lbdoctor.checks import unclaimed as unclaimed
from kubectl_lbdoctor.checks import unsupported_targets as unsupported_targets
from kubectl_lbdoctor.checks import unused_targets as unused_targets
from kubectl_lbdoctor.checks import webhooks as webhooks
from kubectl_lbdoctor.checks import workload as workload
from kubectl_lbdoctor.checks.registry import CATALOGUE, Catalogue

__all__ = ["CATALOGUE", "Catalogue"]
