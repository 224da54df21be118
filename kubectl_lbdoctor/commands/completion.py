"""Completion on the shell: answers what can be typed, prints a shell's script, and installs the file for kubectl."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import FishComplete, ShellComplete, get_completion_class, shell_complete

from kubectl_lbdoctor.completion import install as installation
from kubectl_lbdoctor.completion.kubectl_protocol import answer
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import ExitStatus
from kubectl_lbdoctor.options import COMPLETE

PROGRAM = "kubectl-lbdoctor"
"""The name by which a shell's script calls the program: `kubectl lbdoctor` is completed by kubectl's own script."""


class _Fish(FishComplete):
    """click's script takes an answer apart at each comma, and so it shortens lists of fixes and descriptions."""

    source_template = FishComplete.source_template.replace("(string split ", "(string split --max 1 ")


def complete(env: Environment, cli: click.Command, words: Sequence[str], state: dict[str, Any]) -> ExitStatus:
    """Answer kubectl (words after `__complete`), or a shell's script, which asks by a variable. Never says an error."""
    instruction = env.variables.get(COMPLETE, "")
    if not instruction:
        env.out(answer(cli, words, state))
        return ExitStatus.HEALTHY
    with suppress(Exception, SystemExit):
        shell_complete(cli, {"obj": state}, PROGRAM, COMPLETE, instruction)
    return ExitStatus.HEALTHY


def shell_script(env: Environment, cli: click.Command, shell: str) -> ExitStatus:
    """Print the script that makes a shell complete `kubectl-lbdoctor`."""
    kind = _Fish if shell == "fish" else get_completion_class(shell)
    assert kind is not None, shell
    # click's `BashComplete.source` would run bash to look at its version; the script is for another machine's, too.
    env.out(ShellComplete.source(kind(cli, {}, PROGRAM, COMPLETE)))
    return ExitStatus.HEALTHY


def install(env: Environment, directory: str, yes: bool) -> ExitStatus:
    """Show the file that makes kubectl complete `kubectl lbdoctor`, ask, and write it.

    Raises UsageError and CouldNotRun as `completion.install.plan` does, and UsageError where nobody can be asked.
    """
    planned = installation.plan(directory, env.variables)
    if planned.found:
        env.out(f"{planned.path} is there already; nothing is to be done\n")
    else:
        indented = "".join(f"  {line}\n" for line in planned.content.splitlines())
        env.out(f"{planned.path} (executable):\n{indented}")
        if not yes and not env.confirm("Write it? [y/N]: "):
            env.note("nothing is written")
            return ExitStatus.FINDINGS
        planned.write()
        env.out(f"written; to take it back: rm {shlex.quote(str(planned.path))}\n")
    if not planned.on_path:
        env.note(f"warning: {planned.path.parent} is not on your PATH, so kubectl does not find it there")
    env.out("Completion of kubectl itself must be on in your shell: kubectl completion --help\n")
    return ExitStatus.HEALTHY
