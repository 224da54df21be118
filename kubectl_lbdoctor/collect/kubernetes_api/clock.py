"""What time it is by the server that is asked: what it wrote down is older or newer by its own clock, not by ours."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from kubectl_lbdoctor.model.times import CLOCK_TOLERANCE, parse_time


class ServerClock:
    """How far the clock of a server is from this machine's, by the Date of its answers. Safe to use from many threads.

    https://www.rfc-editor.org/rfc/rfc9110#field.date
    """

    def __init__(self) -> None:
        self._ahead: timedelta | None = None
        self._lock = threading.Lock()

    def heard(self, date: str | None) -> None:
        """An answer with this header has just come. Of several the one that was under way for the shortest counts: a
        date is never told before it is that late."""
        try:
            told = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if told.tzinfo is None:
            return
        ahead = told - datetime.fromtimestamp(time.time(), told.tzinfo)
        with self._lock:
            self._ahead = ahead if self._ahead is None else max(ahead, self._ahead)

    def corrected(self, local: str) -> str:
        """A time of this machine's clock (RFC 3339) by the server's; as it is where the two agree, or none was told."""
        ahead, own = self._ahead, parse_time(local)
        if ahead is None or own is None or abs(ahead) <= CLOCK_TOLERANCE:
            return local
        return (own + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
