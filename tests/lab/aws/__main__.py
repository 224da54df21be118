"""`python -m tests.lab.aws --listen 10.0.0.1:5000`, started in the router's network namespace."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from types import FrameType

from tests.lab import topology


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.aws", description=__doc__)
    parser.add_argument("--listen", default=f"{topology.CONTROL_PLANE_IP}:{topology.AWS_PORT}", metavar="ADDRESS:PORT")
    host, _, port = parser.parse_args().listen.rpartition(":")
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    prepare_environment(host)
    # Only now: moto reads the environment when it is imported.
    from tests.lab.aws import packetfilter, patches, seed, server
    from tests.lab.aws.denials import ControlFile
    from tests.lab.aws.health import Checker

    patches.apply()
    http, paths, changed = server.build(host, int(port), ControlFile(topology.aws_control_file()))
    threading.Thread(target=http.serve_forever, name="http", daemon=True).start()
    state = seed.run()

    def save() -> None:
        seed.write(state, topology.aws_state_file())

    def add_extra_node() -> object:
        instance = seed.add_extra_node(state)
        save()
        return instance

    def remove_extra_node() -> None:
        seed.remove_extra_node(state)
        save()

    paths.add("POST", "/lab/extra-node", add_extra_node)
    paths.add("DELETE", "/lab/extra-node", remove_extra_node)
    # A thread that moved into another namespace stays there: the checker's is its own.
    Checker().start()
    compiler = packetfilter.PacketFilter(state["vpc_id"], changed)
    compiler.apply()
    compiler.start()
    save()
    logging.getLogger("lab").info("seeded and listening on %s:%s", host, port)

    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    stopped.wait()
    http.shutdown()
    return 0


def prepare_environment(host: str) -> None:
    """boto3 must not find a proxy, a profile or credentials on its way to this very process."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MOTO_"))]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = host
    # Hundreds of machine images that nobody here starts would cost a second.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"


if __name__ == "__main__":
    sys.exit(main())
