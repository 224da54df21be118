"""`undo`: take back what a fix has changed, from the undo file that it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from kubectl_lbdoctor.commands.dialogue import Dialogue
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus
from kubectl_lbdoctor.fix import undo_file
from kubectl_lbdoctor.fix.undo_file import UndoFile
from kubectl_lbdoctor.fix.undo_run import UndoRun
from kubectl_lbdoctor.fix.writers import Aws, Writer
from kubectl_lbdoctor.options import Options
from kubectl_lbdoctor.render.undo_screen import UndoScreen


def undo(options: Options, env: Environment, name: str) -> ExitStatus:
    """Put back what a fix has changed, the last change first. name: the path of the undo file.

    Raises CouldNotRun for a file that cannot be used or that belongs to another cluster, UsageError when nobody can
    confirm.
    """
    path = Path(name)
    content = undo_file.load(path)
    context = content.context.kube_context or content.context.server
    screen = UndoScreen(env, options.output.format, content.subjects, path)
    with Connections(options.kube, options.aws, env) as connections:
        _same_place(connections, content)
        if any(run.step.change.in_aws and run.may_be_in_effect for run in content.steps):
            connections.open_aws(lambda: content.context.region or None)
        run = UndoRun(
            content=content,
            path=path,
            writer=Writer(connections.kube, cast("Aws | None", connections.aws), env.now()),
            dry_run=options.change.dry_run,
            now=env.now(),
            confirm=lambda number: Dialogue(env, options.change.yes).confirm_undo(number, context),
            observe=screen,
        )
        try:
            run.go()
        finally:
            screen.show(run.result)
        return run.result.exit_status


def _same_place(connections: Connections, content: UndoFile) -> None:
    """Raise CouldNotRun when the current context is another cluster than the one that was changed."""
    if content.context.server != connections.context.server:
        raise CouldNotRun(
            f"the fix was made in another cluster: {content.context.server}, not {connections.context.server}",
            f"switch with --context {content.context.kube_context}" if content.context.kube_context else "",
        )
