"""What can be changed of a target group that is in use, as edits of what AWS says about it.

An edit's pointer is a field of DescribeTargetGroups (`/HealthCheckPath`, `/Matcher/HttpCode`) or `/Attributes/KEY`.
Target type, protocol, protocol version, port and VPC of a group are none of them: they are chosen when it is made.
Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_ModifyTargetGroup.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from kubectl_lbdoctor.model.aws import PROXY_PROTOCOL
from kubectl_lbdoctor.model.shell import shell
from kubectl_lbdoctor.record import record

ATTRIBUTES = "/Attributes/"
PROTOCOL = "/HealthCheckProtocol"
PATH = "/HealthCheckPath"
HTTP_CODES = "/Matcher/HttpCode"
GRPC_CODES = "/Matcher/GrpcCode"

FLAGS = {
    PROTOCOL: "--health-check-protocol",
    "/HealthCheckPort": "--health-check-port",
    PATH: "--health-check-path",
    "/HealthCheckIntervalSeconds": "--health-check-interval-seconds",
    "/HealthCheckTimeoutSeconds": "--health-check-timeout-seconds",
    "/HealthyThresholdCount": "--healthy-threshold-count",
    "/UnhealthyThresholdCount": "--unhealthy-threshold-count",
    HTTP_CODES: "--matcher",
    GRPC_CODES: "--matcher",
}
"""The pointers of ModifyTargetGroup, with their flags of the AWS CLI."""

MODIFY = "ModifyTargetGroup"
MODIFY_ATTRIBUTES = "ModifyTargetGroupAttributes"
GROUP_WRITES = (MODIFY, MODIFY_ATTRIBUTES)
"""The only calls that change a target group."""


@record
class GroupAddress:
    """A target group in AWS, and its region ("" for the one that is configured)."""

    arn: str
    region: str = ""


WRITTEN_ATTRIBUTES = (PROXY_PROTOCOL,)
"""The attributes that a fix changes; commands that people are told may name others."""


def is_editable(pointer: str) -> bool:
    """Whether a pointer names something that a fix changes of a group in use."""
    return pointer in FLAGS or pointer in {ATTRIBUTES + key for key in WRITTEN_ATTRIBUTES}


def calls(group: GroupAddress, values: Mapping[str, object]) -> list[tuple[str, dict[str, object]]]:
    """The API calls, with their parameters, that give a group these values (by pointer).

    None takes a value away, which needs no words: a check by TCP has neither a path nor success codes.
    """
    settings: dict[str, object] = {}
    attributes: list[dict[str, object]] = []
    for pointer, value in values.items():
        if value is None:
            continue
        if pointer.startswith(ATTRIBUTES):
            attributes.append({"Key": pointer.removeprefix(ATTRIBUTES), "Value": value})
        elif pointer in (HTTP_CODES, GRPC_CODES):
            settings["Matcher"] = {pointer.rpartition("/")[2]: value}
        else:
            settings[pointer[1:]] = value
    arn: dict[str, object] = {"TargetGroupArn": group.arn}
    found = [(MODIFY, {**arn, **settings})] if settings else []
    return found + ([(MODIFY_ATTRIBUTES, {**arn, "Attributes": attributes})] if attributes else [])


def modify_commands(group: GroupAddress, values: Mapping[str, object]) -> str:
    """The same calls for a person, one command line."""
    region = ["--region", group.region] if group.region else []
    lines = []
    for operation, params in calls(group, values):
        words = ["aws", "elbv2", "modify-target-group", "--target-group-arn", group.arn]
        if operation == MODIFY_ATTRIBUTES:
            words[2] = "modify-target-group-attributes"
            words += ["--attributes", json.dumps(params["Attributes"])]
        else:
            for pointer, value in values.items():
                if pointer in FLAGS and value is not None:
                    words += _flag(FLAGS[pointer], _word(pointer, value))
        lines.append(shell(*words, *region))
    return " && ".join(lines)


def _flag(flag: str, value: str) -> list[str]:
    """A flag with its value, which stays one where it begins as a flag does."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def _word(pointer: str, value: object) -> str:
    if pointer not in (HTTP_CODES, GRPC_CODES):
        return str(value)
    key = pointer.rpartition("/")[2]
    # The CLI's shorthand takes a comma for the end of a value.
    return json.dumps({key: value}) if "," in str(value) else f"{key}={value}"
