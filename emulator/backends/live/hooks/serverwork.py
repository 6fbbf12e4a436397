"""What the real ServerApp computes between two Grid calls, held as long as the server's device would take, and noted.

The rules are those of virtual time (``emulator.backends.des.serverwork``): reported work costs what the server's profile
says, unreported work the CPU time of the process times the profile's factor. A server without a known device is not held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from emulator.backends.live.journal import Journal
from emulator.compute.costs import seconds
from emulator.plan import Device

MESSAGES: Final = {"notices": "notice", "privacy-spent": "privacy_spent", "ledger-appended": "ledger_appended"}
"""Reserved ConfigRecords of the ServerApp's state, and what they become in the log."""
SHORT_S: Final = 1e-3
"""Work shorter than that is not worth a row: a real process always takes some."""


class ServerWork:
    """Accounts for one ServerApp.

    Args:
        device: The server's, None where it is not known.
        reports_work: The app declares that it reports its work.
        journal: Of the ServerApp.
        round_number: Tells the present round.
    """

    def __init__(
        self, device: Device | None, *, reports_work: bool, journal: Journal, round_number: Callable[[], int]
    ) -> None:
        self._device, self._reports_work = device, reports_work
        self._journal, self._round = journal, round_number
        self._state: Any = {}
        self._elements = 0
        self._has_replies = False
        self._depth = 0
        self._free_from_s = 0.0
        self.begin({})

    def begin(self, state: Any) -> None:
        """The ServerApp is called with a context of this state."""
        self._state = state
        self.restart()

    def restart(self) -> None:
        """The ServerApp goes on after a Grid call."""
        self._cpu_s = time.process_time()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The ServerApp is in a Grid call for the length of the block; calls within are part of the first."""
        if self._depth == 0:
            self.settle()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self.restart()

    def received(self, reply: Any) -> None:
        """Note a reply handed to the ServerApp."""
        from emulator.flower import adapter

        self._has_replies = True
        self._elements += adapter.count_elements(reply)

    def settle(self) -> None:
        """The ServerApp calls the Grid or ends: wait until its server would be so far, and note what it did."""
        cpu_s, ended_s = time.process_time() - self._cpu_s, time.monotonic()
        self._take_messages()
        took_s = max(cpu_s, self._work_s(cpu_s))
        note, self._has_replies = "aggregate" if self._has_replies else "serve", False
        time.sleep(took_s - cpu_s)
        if took_s >= SHORT_S:
            began_s = max(self._free_from_s, ended_s - cpu_s)  # several threads take more CPU time than time
            self._free_from_s = time.monotonic()
            self._journal.write("server_began", began_s, round=self._round(), note=note)
            self._journal.write("server_ended", self._free_from_s, round=self._round(), note=note, took_s=took_s)
        self.restart()

    def _work_s(self, cpu_s: float) -> float:
        work = self._take_work() if self._reports_work else {}
        if self._device is None:
            return 0.0
        if self._reports_work:
            return seconds(self._device, work)
        return cpu_s * (self._device.cpu_time_factor or 0.0)

    def _take_work(self) -> Mapping[str, float]:
        from emulator.flower import adapter
        from emulator.flower.worker import WORK_REPORT

        record = self._state.pop(WORK_REPORT, None)
        work = dict(adapter.numbers(record)) if record is not None else {}
        work.pop("peak_memory_bytes", None)
        if self._elements:
            work["array_elements"] = work.get("array_elements", 0.0) + self._elements
            self._elements = 0
        return work

    def _take_messages(self) -> None:
        """Pass on what the app left for its user: notices, privacy spent, blocks appended."""
        for name, kind in MESSAGES.items():
            record = self._state.pop(name, None)
            for key, value in sorted(record.items()) if record is not None else ():
                self._journal.write("app_says", kind=kind, key=key, value=value, round=self._round())
