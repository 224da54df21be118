"""The tests' fake cluster and AWS, held open in a process of their own until its stdin is closed.

Prints the environment in which the plugin finds them, as one line of JSON. The measuring process must stay
small: Linux counts the memory of the process that starts another as the other's own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.support.cloud import cloud
from tests.support.shop import REGION


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, cloud() as servers:
        servers.reset(Path(folder))
        home = {"HOME": folder, "AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": REGION}
        print(json.dumps({**servers.env, **home}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
