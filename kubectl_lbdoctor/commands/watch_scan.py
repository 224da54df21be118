"""`kubectl lbdoctor scan -w`: scan again when something changes, and show it as it is, or what has changed.

Kubernetes tells by itself when targets come and go; AWS has to be asked, which costs calls that the controller needs
too. So a scan follows a change soon, else the next one comes after a while, and both wait the longer the more a scan
costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kubectl_lbdoctor.collect.sweep import Stage
from kubectl_lbdoctor.collect.watches import Watches, news
from kubectl_lbdoctor.commands.cluster_scan import ClusterScan, screen_of
from kubectl_lbdoctor.commands.examination import note, save_bundle, show
from kubectl_lbdoctor.errors import ExitStatus, LbdoctorError
from kubectl_lbdoctor.model.scan import ScanReport
from kubectl_lbdoctor.render.change_lines import change_lines
from kubectl_lbdoctor.render.refresh import Refresh
from kubectl_lbdoctor.scan_changes import changes

LEAST, LEAST_TIMES = 10.0, 3.0
"""Seconds from one scan to the next at least, and as a multiple of what the last one took."""

MOST, MOST_TIMES = 60.0, 6.0
"""The same at most, where Kubernetes tells of no change: what happens in AWS alone is seen after so long."""

POLITE = 2 << 20
"""Bytes of Kubernetes' answers in a second that a watch may come to over time. Every scan reads everything anew: at
10,000 pods that is some 200 MB, whose encoding is the API server's work, however fast it was."""

LONGEST = 300.0
"""Seconds between two attempts while scans fail."""


def watch(scanned: ClusterScan) -> ExitStatus:
    """Scan until a person ends it, and print the last state then.

    Raises LbdoctorError where the first scan is not possible; later ones may fail, and are tried again.
    """
    watching = _Watching(scanned)
    follow = Watches(scanned.connections.kube, scanned.namespace)
    try:
        watching.first()
        follow.start()
        while True:
            pause = watching.pauses()
            news(follow, *pause, scanned.env.sleep)
            follow.forget()
            watching.again()
    except KeyboardInterrupt:
        if watching.report is None:
            raise
        watching.end()
        return ExitStatus.INTERRUPTED
    finally:
        follow.close()


class _Watching:
    """One watch. report: the last scan that came to its end, or the stage that the first one reached."""

    def __init__(self, scanned: ClusterScan) -> None:
        self._scanned = scanned
        self._env = scanned.env
        self._screen = Refresh(scanned.env) if scanned.env.is_terminal else None
        self._stage: Stage | None = None
        self._took = 0.0
        self._read = 0
        self._failures = 0
        self.report: ScanReport | None = None

    def pauses(self) -> tuple[float, float]:
        """Seconds to the next scan, at least and at most."""
        if self._failures:
            pause = min(LEAST * 2**self._failures, LONGEST)
            return pause, pause
        least = max(LEAST, LEAST_TIMES * self._took, self._read / POLITE)
        return least, max(MOST, MOST_TIMES * self._took, least)

    def first(self) -> None:
        """The first scan. Raises what a scan raises."""
        with self._timed():
            for stage in self._scanned.stages():
                self._take(stage)
                if self._screen is not None and not stage.done:
                    self._show()
        if self._stage is not None and not self._stage.snapshot.subjects:
            self._scanned.check_namespace()
        self._tell(None)

    def again(self) -> None:
        """Another scan; one that fails leaves the last state as it is."""
        before = self.report
        try:
            with self._timed():
                for stage in self._scanned.stages():
                    if stage.done:
                        self._take(stage)
        except LbdoctorError as error:
            self._failures += 1
            note(self._env, f"{self._env.now()}  not scanned: {error.message}")
            return
        self._failures = 0
        self._tell(before)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        connections = self._scanned.connections
        begun, read = self._env.clock(), connections.kube.bytes_read
        with connections.deadline.again():
            yield
        self._took, self._read = self._env.clock() - begun, connections.kube.bytes_read - read

    def _take(self, stage: Stage) -> None:
        self._stage = stage
        self.report = self._scanned.report(stage, complete=stage.done)
        connections = self._scanned.connections
        if stage.snapshot.aws.reason or connections.aws_refused:
            # Whoever renews credentials does it outside of this program: the next scan looks for them again.
            connections.forget_aws()

    def _show(self) -> None:
        assert self._screen is not None and self.report is not None
        self._screen.show(screen_of(self.report, self._scanned.options, self._env))

    def _tell(self, before: ScanReport | None) -> None:
        """What is now on a terminal, what has changed where nobody looks at one."""
        assert self.report is not None
        if self._screen is not None:
            self._show()
            return
        self._env.progress("")
        for line in change_lines(changes(before, self.report), self._env.now()):
            self._env.out(f"{line}\n")
        self._env.flush()

    def end(self) -> None:
        """Print the last state, whole."""
        assert self.report is not None and self._stage is not None
        if self._screen is not None:
            self._screen.clear()
        options = self._scanned.options
        run = self._env.run(ExitStatus.INTERRUPTED, self._scanned.connections.calls)
        show(self.report, options, self._env, run)
        save_bundle(self._stage.snapshot, options, self._env)
        self._env.note("interrupted")
