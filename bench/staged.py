"""One scan in a process of its own: when each of its stages came, and when what is known by then could be shown.

Prints a line of JSON for each stage. The command shows the same, on a terminal.
"""

from __future__ import annotations

import json
import sys
import time

from kubectl_lbdoctor.__main__ import search_rarely_for_cycles
from kubectl_lbdoctor.checks import CATALOGUE
from kubectl_lbdoctor.collect.sweep import SweepPlan, stages
from kubectl_lbdoctor.commands.cluster_scan import FIRST_SCREEN
from kubectl_lbdoctor.commands.examination import examine
from kubectl_lbdoctor.connections import Connections
from kubectl_lbdoctor.env import Environment
from kubectl_lbdoctor.model.snapshot import Context
from kubectl_lbdoctor.options import AwsOptions, KubeOptions
from kubectl_lbdoctor.report import needed_reads


def main() -> None:
    search_rarely_for_cycles()
    begun, env = time.monotonic(), Environment()
    with Connections(KubeOptions(), AwsOptions(), env) as connections:
        plan = SweepPlan("", needed_reads(CATALOGUE), Context(), env.now(), patience=FIRST_SCREEN)
        for stage in stages(connections.kube, connections.open_aws, plan):
            came, read = time.monotonic() - begun, time.process_time()
            report = examine(stage.snapshot)
            line = {
                "came": came,
                "read": read,
                "shown": time.monotonic() - begun,
                "cpu": time.process_time(),
                "groups": stage.progress.groups,
                "known": stage.progress.known,
                "asked": stage.progress.asked,
                "faults": len(report.diagnoses),
            }
            print(json.dumps(line), flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
