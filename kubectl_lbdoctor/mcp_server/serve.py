"""From the command line to the server: what goes together, and whether the package of the protocol is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.errors import CouldNotRun, ExitStatus, UsageError
from kubectl_lbdoctor.options import Options

INSTALL = "pip install 'kubectl-lbdoctor[mcp]'"
"""How to get the package. The archive for krew brings none: it has a Python of its own, which takes no packages."""


def serve(options: Options, env: Environment, allow_fix: bool) -> ExitStatus:
    """Serve on standard input and output until the client ends it. allow_fix: offer to change things.

    Raises UsageError for flags that do not go together, CouldNotRun where the package `mcp` is not installed, or the
    file of --from cannot be read.
    """
    _check(options, allow_fix)
    if importlib.util.find_spec("mcp") is None:
        raise CouldNotRun("the Python package mcp is not installed", f"{INSTALL}, or pipx or uv with the same name")
    from kubectl_lbdoctor.mcp_server import protocol
    from kubectl_lbdoctor.mcp_server.desk import Desk
    from kubectl_lbdoctor.mcp_server.tools import offered

    if options.bundle.load:
        from kubectl_lbdoctor.collect.bundles import bundle

        bundle.load(Path(options.bundle.load))
    if env.stdin.isatty():
        env.note("a client of the Model Context Protocol is expected on standard input; Ctrl-C ends it")
    protocol.serve(Desk(options, env), offered(options, allow_fix))
    return ExitStatus.HEALTHY


def _check(options: Options, allow_fix: bool) -> None:
    if allow_fix and options.bundle.load:
        raise UsageError("--allow-fix goes with no --from: nothing can be changed in a bundle")
    if options.fix.undo_file and not allow_fix:
        raise UsageError("--undo-file goes with --allow-fix")
    if options.fix.undo_file and not Path(options.fix.undo_file).is_dir():
        raise CouldNotRun(
            f"--undo-file {options.fix.undo_file} is no directory", "make one: each fix writes a file of its own there"
        )
