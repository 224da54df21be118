"""Benchmarks: tables of ratios from one run. Times of one machine compare with nothing, so no result is kept.

python -m bench          everything but the lab's: cost of a path, of the start, what is counted, and the scan where
                         its servers are in the lab's cache
python -m bench start    processor time, time and memory of whole runs, also beside another checkout
python -m bench lab      one diagnosis beside kubectl and the aws command, on the running lab
python -m bench scan     a scan of a big cluster, and one diagnosis in it, beside kubectl, on a real API server
python -m bench world    a big cluster on a real API server and moto, to try commands on
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kubectl_lbdoctor.__main__ import search_rarely_for_cycles

SCALES = "0.01,0.1,1"
"""Sizes of clusters that a scan is measured in: 1 is 400 nodes, 10,000 pods and 700 target groups."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="command")
    many = actions.add_parser("paths", help="cost of a path (part of what runs by default)")
    many.add_argument("--per-namespace", type=int, default=20, help="how many paths share a namespace (20)")
    whole = actions.add_parser("start", help="whole runs (part of what runs by default)")
    whole.add_argument("runs", nargs="?", type=int, default=9)
    whole.add_argument("--beside", type=Path, help="another checkout, to compare with in pairs")
    lab = actions.add_parser("lab", help="needs the running lab")
    lab.add_argument("runs", nargs="?", type=int, default=5)
    scan = actions.add_parser("scan", help="needs the lab's programs in the cache; ten minutes for all scales")
    scan.add_argument("--scales", default=SCALES, help="1: 400 nodes, 10,000 pods, 700 target groups")
    scan.add_argument("--runs", type=int, default=3, help="how often each command is measured")
    world = actions.add_parser("world", help="runs until Ctrl-C; needs the lab's programs in the cache")
    world.add_argument("--scale", type=float, default=0.01, help="1: 400 nodes, 10,000 pods, 700 target groups")
    chosen = parser.parse_args()
    search_rarely_for_cycles()
    # Imported when chosen: each needs other parts of the test dependencies.
    if chosen.command == "lab":
        from bench.lab import compare

        compare(chosen.runs)
    elif chosen.command == "world":
        from bench.server import serve

        serve(chosen.scale)
    elif chosen.command == "scan":
        from bench.scan import compare as compare_scans

        compare_scans([float(scale) for scale in chosen.scales.split(",")], chosen.runs)
    elif chosen.command == "start":
        from bench import start

        start.compare(chosen.runs, chosen.beside)
    elif chosen.command == "paths":
        from bench import paths

        paths.beside_many_pods()
        paths.among_many_paths(chosen.per_namespace)
    else:
        from bench import code, paths, start

        paths.beside_many_pods()
        paths.among_many_paths()
        code.counted()
        start.compare(9)
        _scan_where_it_can_be()


def _scan_where_it_can_be() -> None:
    try:
        from bench import server
    except ImportError as error:
        print(f"\nbench scan is left out: {error}")
        return
    if why := server.missing():
        print(f"\nbench scan is left out: {why}")
        return
    from bench.scan import compare as compare_scans

    compare_scans([float(scale) for scale in SCALES.split(",")], 3)


if __name__ == "__main__":
    main()
