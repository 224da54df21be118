"""The digest of a plan: by it somebody who has seen a plan says which one is to be made, and no other."""

from __future__ import annotations

from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.result import FixResult
from kubectl_lbdoctor.model.snapshot import Context


def plan_digest(result: FixResult, context: Context) -> str:
    """ "sha256:…" over all that the steps of a plan write and build on, in order, and where; "" without any step.

    context: of the run, whose server, region and account are meant. Two plans with one digest write the same values in
    the same places of the same objects, in place of the same values; the words of the plan have no part in it.
    """
    if not result.runs:
        return ""
    return undo_file.digest(
        {
            "server": context.server,
            "region": context.region,
            "account": context.account,
            "steps": [
                {**undo_file.kept(run), "owner": [run.owner.tool, run.owner.where] if run.owner is not None else []}
                for run in result.runs
            ],
        }
    )
