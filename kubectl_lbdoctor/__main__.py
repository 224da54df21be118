"""Entry point: kept small so that `--help` starts at once."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the program and leave at once with its exit status.

    Taking down the interpreter after the SDKs were imported costs a quarter of a second, so it is skipped once the
    streams are flushed; nothing else is left to clean up then.
    """
    try:
        from kubectl_lbdoctor.cli import main as run
        from kubectl_lbdoctor.env import Environment

        status = int(run(sys.argv[1:], Environment()))
    except KeyboardInterrupt:
        status = 130
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass
    os._exit(status)


if __name__ == "__main__":
    main()
