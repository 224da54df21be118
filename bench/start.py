"""What a start costs: whole processes in turn, so that a busy machine slows all of them alike.

    python -m bench start [RUNS] [--beside CHECKOUT]

`--help`, a diagnosis of the recorded bundle, and one of the tests' fake cluster and AWS over loopback, beside
`import click`, which is the least that a command line of this kind costs. With `--beside`, the same of another
checkout, in pairs. CPU is user and system time of the process alone; on a busy machine it is the figure to compare.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1]
_MEBIBYTE = 2**20
_TRIES = 5
"""A run that ends otherwise than it should, because a busy machine answered it too late, is made again."""
# What the console script does; `python -m` would add the import of runpy.
PROGRAM = "from kubectl_lbdoctor.__main__ import main; main()"
_CLICK = "import click"


@dataclass(frozen=True)
class Cost:
    """One process: seconds of CPU, seconds that passed, and the most memory that it had, in bytes."""

    cpu: float
    wall: float
    memory: float


@dataclass(frozen=True)
class Start:
    """A program to start: `python -c CODE ARGS` on a checkout, and the exit status that it must have."""

    name: str
    checkout: Path
    code: str
    args: tuple[str, ...] = ()
    status: int = 0

    def cost(self, env: Mapping[str, str]) -> Cost:
        """Start it once. Raises RuntimeError when it ends in another way than it should, however often it is tried."""
        for _ in range(_TRIES):
            status, cost = self._run(env)
            if status == self.status:
                return cost
        raise RuntimeError(f"{self.name} of {self.checkout} ended with {status}, not {self.status}")

    def _run(self, env: Mapping[str, str]) -> tuple[int, Cost]:
        own = {**env, "PYTHONPATH": str(self.checkout)}
        return run([sys.executable, "-c", self.code, *self.args], own, cwd=self.checkout)


def run(
    command: Sequence[str], env: Mapping[str, str], output: Path | None = None, cwd: Path | None = None
) -> tuple[int, Cost]:
    """Run a command to its end: its exit status and what it cost. output: the file for what it prints; None for
    nowhere.

    A process between measures it: Linux counts the memory of the process that starts another as the other's own.
    """
    with contextlib.ExitStack() as files:
        stdout = files.enter_context(output.open("wb")) if output is not None else subprocess.DEVNULL
        reading, writing = os.pipe()
        files.callback(os.close, reading)
        between = [sys.executable, "-S", "-c", _MEASURE, str(writing), *command]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(between, stdout=stdout, stderr=quiet, env=env, cwd=cwd, pass_fds=(writing,))
        os.close(writing)
        process.wait()
        status, cpu, wall, memory = json.loads(os.read(reading, 1000))
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, else KiB
    return status, Cost(cpu, wall, memory * unit)


_MEASURE = """
import json, os, sys, time
begun = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begun
found = [os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss]
os.write(int(sys.argv[1]), json.dumps(found).encode())
"""


def starts(checkout: Path) -> list[Start]:
    """What is measured of one checkout."""
    bundle = str(HERE / "docs/demo/bundle.json")
    return [
        Start("lbdoctor --help", checkout, PROGRAM, ("--help",)),
        Start("lbdoctor --from BUNDLE", checkout, PROGRAM, ("--from", bundle), 1),
        Start("lbdoctor ingress NAME", checkout, PROGRAM, ("ingress", "web")),
    ]


@contextlib.contextmanager
def fake_cluster() -> Iterator[dict[str, str]]:
    """The environment that leads the plugin to the tests' fake cluster and AWS, while the block runs."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.fake"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=HERE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise RuntimeError("the fake cluster did not start: try python -m bench.fake")
        yield {"PATH": os.environ.get("PATH", ""), **json.loads(line)}
        assert server.stdin is not None
        server.stdin.close()


def compare(runs: int, beside: Path | None = None) -> None:
    """Print the table: medians of `runs` starts of each."""
    rows = [Start("python -c 'import click'", HERE, _CLICK)]
    for mine, theirs in zip(starts(HERE), starts(beside or HERE), strict=True):
        rows += [theirs, mine] if beside else [mine]
    costs: dict[Start, list[Cost]] = {row: [] for row in rows}
    with fake_cluster() as env:
        for row in rows:
            row.cost(env)  # compiles what is not compiled yet
        for _ in range(runs):
            for row in rows:
                costs[row].append(row.cost(env))
    _show(rows, costs)


def _show(rows: list[Start], costs: Mapping[Start, list[Cost]]) -> None:
    """The table, with each row of this checkout beside the one of the other before it."""

    def middle(row: Start, field: str) -> float:
        return statistics.median(getattr(cost, field) for cost in costs[row])

    least = middle(rows[0], "cpu")
    print(f"\nStart: medians of {len(costs[rows[0]])}, Python {sys.version.split()[0]}")
    print(f"{'cpu':>8} {'wall':>9} {'memory':>8} {'x click':>8}")
    other: Start | None = None
    for row in rows:
        cpu, wall, memory = middle(row, "cpu"), middle(row, "wall"), middle(row, "memory")
        figures = f"{cpu * 1e3:>5.0f} ms {wall * 1e3:>6.0f} ms {memory / _MEBIBYTE:>4.0f} MiB {cpu / least:>7.2f}x"
        note = "" if row.checkout == HERE else f"  ({row.checkout})"
        if other is not None and other.name == row.name:
            note = f"  {cpu / middle(other, 'cpu'):.2f} x the CPU, {wall / middle(other, 'wall'):.2f} x the time"
        print(f"{figures}  {row.name}{note}")
        other = row
