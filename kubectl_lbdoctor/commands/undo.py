"""`undo`: take back what a fix has changed, from the undo file that it wrote."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from kubectl_lbdoctor.commands.dialogue import Dialogue
from kubectl_lbdoctor.commands.ending import to_the_end
from kubectl_lbdoctor.commands.examination import note
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.clients import Aws
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.fix.undo_run import UndoRun
from kubectl_lbdoctor.fix.writers import Writer
from kubectl_lbdoctor.model.shell import shell
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.undo_screen import UndoScreen

if TYPE_CHECKING:
    from kubectl_lbdoctor.collect.aws_api.client import AwsReader


def undo(options: Options, env: Environment, name: str) -> ExitStatus:
    """Put back what a fix has changed, the last change first. name: the path of the undo file.

    Raises CouldNotRun for a file that cannot be used or that belongs to another cluster, account or region, UsageError
    when nobody can confirm.
    """
    path = Path(os.path.realpath(name)) if os.path.islink(name) else Path(name)
    content = undo_file.load(path)
    with Connections(options.kube, options.aws, env, level=options.output.level) as connections:
        _same_cluster(connections, content)
        if any(run.step.change.in_aws and run.may_be_in_effect for run in content.steps):
            _same_account(connections.open_aws(lambda: content.context.region or None), content)
        cluster = connections.context.name or connections.context.server
        where = connections.where
        screen = UndoScreen(env, options.output, content.subjects, path, where)
        elsewhere = undo_file.written_elsewhere(content, path)
        if elsewhere:
            note(env, f"this undo file was written elsewhere: {elsewhere}, {content.made_at}; be sure that it is yours")
        run = UndoRun(
            content=content,
            path=path,
            writer=Writer(connections.kube, cast("Aws | None", connections.aws), env.now()),
            dry_run=options.change.dry_run,
            now=env.now(),
            confirm=lambda number: Dialogue(env, options.change.yes).confirm_undo(number, cluster),
            observe=screen,
        )

        def show(status: ExitStatus) -> None:
            screen.show(replace(run.result, where=where), env.run(status, connections.calls))

        return to_the_end(run.go, lambda: run.result.exit_status, show)


def _same_cluster(connections: Connections, content: UndoFile) -> None:
    """Raise CouldNotRun when the current context is another cluster than the one that was changed."""
    if content.context.server != connections.context.server:
        context = content.context.kube_context
        raise CouldNotRun(
            f"the fix was made in another cluster: {content.context.server}, not {connections.context.server}",
            f"switch with {shell('--context', context)}" if context else "",
        )


def _same_account(aws: AwsReader, content: UndoFile) -> None:
    """Raise CouldNotRun when AWS is asked in another region, or as another account, than the fix was made in.

    Whoever has credentials may ask whose they are:
    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    made = content.context
    if aws.region != made.region:
        raise CouldNotRun(
            f"the fix was made in region {made.region}, not {aws.region}", shell("use", "--region", made.region)
        )
    account = str(aws.call("sts", "GetCallerIdentity").get("Account") or "")
    if account != made.account:
        raise CouldNotRun(
            f"the fix was made in AWS account {made.account}, and these credentials are of {account or 'none'}",
            "choose those of that account with --profile",
        )
