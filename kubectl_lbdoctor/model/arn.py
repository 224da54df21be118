"""Amazon Resource Names, taken apart in one place.

Their form is `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, where the resource may hold colons of its own:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html. Which resources there are stands in the service's
page of https://docs.aws.amazon.com/service-authorization/latest/reference/.
"""

from __future__ import annotations

from kubectl_lbdoctor.record import record

_TARGET_GROUP = "targetgroup/"
_LOAD_BALANCER = "loadbalancer/"


@record
class Arn:
    """The parts of an ARN. region and account are "" where the service has none there (IAM has no region)."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return ":".join(("arn", self.partition, self.service, self.region, self.account, self.resource))

    @property
    def target_group(self) -> str:
        """The name in "targetgroup/NAME/ID"; "" where this is no target group."""
        return self.resource.split("/")[1] if self.resource.startswith(_TARGET_GROUP) else ""

    @property
    def load_balancer(self) -> str:
        """The name in "loadbalancer/app/NAME/ID", or "loadbalancer/NAME" of a Classic Load Balancer; "" where this is
        no load balancer."""
        if not self.resource.startswith(_LOAD_BALANCER):
            return ""
        parts = self.resource.split("/")
        return parts[2] if len(parts) > 2 else parts[1]

    @property
    def role(self) -> str:
        """The name in IAM's "role/PATH/NAME" or STS's "assumed-role/NAME/SESSION"; "" where this is no role."""
        parts = self.resource.split("/")
        if len(parts) < 2 or parts[0] not in ("role", "assumed-role"):
            return ""
        return parts[1] if parts[0] == "assumed-role" else parts[-1]


def parse(text: str) -> Arn | None:
    """The parts of the ARN; None where the text is not of that form."""
    prefix, *parts = text.split(":", 5)
    if prefix != "arn" or len(parts) < 5:
        return None
    return Arn(*parts)


def target_group_name(arn: str) -> str:
    """The name of the target group with this ARN; the text itself where it is no such ARN (so a name stays a name)."""
    found = parse(arn)
    return (found.target_group if found else "") or arn


def interface_description(load_balancer_arn: str) -> str:
    """What AWS writes into the description of a load balancer's network interfaces: "ELB app/NAME/ID".

    "" where the text is no ARN of a load balancer. https://repost.aws/knowledge-center/elb-find-load-balancer-ip
    """
    found = parse(load_balancer_arn)
    if found is None or not found.load_balancer:
        return ""
    return f"ELB {found.resource.removeprefix(_LOAD_BALANCER)}"
