"""Which resources the credentials and the region of a run lead to: what is of another account, or in another region, is
not found there, and exists all the same.

A TargetGroupBinding may name a target group of another account, for which the controller assumes a role:
https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/targetgroupbinding/targetgroupbinding/#cross-account-targetgroupbinding-support
"""

from __future__ import annotations

import re
from typing import Protocol

from kubectl_lbdoctor.model.arn import parse

_REGION_OF_HOST = re.compile(
    r"\.([a-z]{2}(?:-[a-z]+)+-\d+)\.(?:elb\.)?(?:amazonaws|api\.amazonwebservices)\.", re.ASCII
)


class Credentials(Protocol):
    """What is needed of `collect.aws_api.client.AwsReader`."""

    @property
    def region(self) -> str: ...

    def account(self) -> str: ...


def other_region(aws: Credentials, arn: str, what: str) -> str:
    """Why a resource of this ARN is not asked for: it is in another region; "" where it is not."""
    found = parse(arn)
    return _elsewhere(aws, found.region if found else "", what)


def other_region_of_host(aws: Credentials, host: str) -> str:
    """The same for a load balancer's DNS name (NAME-HASH.REGION.elb.amazonaws.com, or "elb" before the region)."""
    found = _REGION_OF_HOST.search(host.lower())
    return _elsewhere(aws, found[1] if found else "", f"load balancer {host}")


def _elsewhere(aws: Credentials, region: str, what: str) -> str:
    if not region or not aws.region or region == aws.region:
        return ""
    return f"{what} is in region {region}, and asked is {aws.region}; use --region {region}"


def other_account(aws: Credentials, arn: str, what: str) -> str:
    """Why a resource of this ARN is not found: it is of another account; "" where it is of that of the credentials, and
    where the ARN names none. Raises LbdoctorError where it cannot be told whose credentials these are."""
    found = parse(arn)
    # AWS's own managed policies have "aws" there.
    if found is None or not re.fullmatch(r"\d{12}", found.account):
        return ""
    own = aws.account()
    if own == found.account:
        return ""
    return f"{what} is of account {found.account}, these credentials are of {own}; use --profile for that account"
