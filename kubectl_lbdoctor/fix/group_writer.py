"""Changes settings of target groups in AWS, each checked against what AWS says of the group at that moment.

Elastic Load Balancing has neither a dry run nor a condition on what is there: between the look and the call, a moment,
somebody else may change the same setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_lbdoctor.errors import AwsApiError, CouldNotRun, LbdoctorError
from kubectl_lbdoctor.fix.clients import Aws
from kubectl_lbdoctor.fix.errors import Expectation, Gone
from kubectl_lbdoctor.fix.second_look import look_again
from kubectl_lbdoctor.fix.values import compare
from kubectl_lbdoctor.model.group_edits import ATTRIBUTES, GROUP_WRITES, calls, is_editable
from kubectl_lbdoctor.model.plan import Change


class GroupWriter:
    """Makes the changes whose `group` says which target group they are about."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def check(self, change: Change, expectation: Expectation = Expectation.PLANNED) -> None:
        """Read the group again. Raises MovedOn where it is not as the change wants it, AlreadyThere where it has what
        the change sets, AwsApiError or ReadDenied where it cannot be read."""
        compare(self._described(change), change, expectation)

    def write(self, change: Change, expectation: Expectation = Expectation.PLANNED) -> None:
        """Make the change; raises as `check` does, and then nothing was written.

        NotKnown alone leaves open whether it was made: the answer was none, and another look did not tell.
        """
        assert change.group is not None
        self.check(change, expectation)
        values = {edit.pointer: edit.then for edit in change.edits if not edit.is_guard}
        if not all(map(is_editable, values)):
            raise CouldNotRun(f"{change.field} of a target group is never changed by kubectl lbdoctor")
        for number, (operation, params) in enumerate(calls(change.group, values)):
            assert operation in GROUP_WRITES
            try:
                self._aws.call("elbv2", operation, None, **params)
            except LbdoctorError as error:
                look_again(error, lambda: self.check(change, expectation), half_made=number > 0)
                return

    def _described(self, change: Change) -> Mapping[str, Any]:
        """The group as DescribeTargetGroups gives it, with `Attributes` by key where the change is about some."""
        assert change.group is not None
        arn = change.group.arn
        try:
            groups = self._aws.call("elbv2", "DescribeTargetGroups", "TargetGroups", TargetGroupArns=[arn])
            raw: dict[str, Any] = dict(groups[0]) if groups else {}
            if raw and any(edit.pointer.startswith(ATTRIBUTES) for edit in change.edits):
                found = self._aws.call("elbv2", "DescribeTargetGroupAttributes", "Attributes", TargetGroupArn=arn)
                raw["Attributes"] = {entry["Key"]: entry["Value"] for entry in found}
        except AwsApiError as error:
            if error.code in ("TargetGroupNotFound", "TargetGroupNotFoundException"):
                raise Gone(f"{change.object} does not exist any more") from error
            raise
        if not raw:
            raise Gone(f"{change.object} does not exist any more")
        if raw.get("HealthCheckProtocol") not in ("HTTP", "HTTPS"):
            raw = {key: value for key, value in raw.items() if key not in ("HealthCheckPath", "Matcher")}
        return raw
