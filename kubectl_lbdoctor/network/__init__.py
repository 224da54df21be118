"""What a VPC and a cluster do with a packet between load balancer and pod, evaluated without sending one.

One module per filter: `security_groups`, `acls`, `routes`, `network_policies`; `path` puts the VPC's filters in the
order that a packet meets them. `matching` holds what they share: answers, ports, CIDRs, protocols.

Everything is pure and three-valued. What was not read makes an answer UNKNOWN; only what was read denies. The facts
that the code encodes are quoted beside it, from the Amazon VPC User Guide
(https://docs.aws.amazon.com/vpc/latest/userguide/) unless another source is named.
"""
