"""What the ServerApp computes between two Grid calls, as seconds on the server's profile.

An app that reports work leaves a ConfigRecord ``work-report`` in its ``Context.state``; aggregation is added here, one
``array_elements`` for each number in the replies it was handed. For an app that reports none, the CPU seconds of its process
are measured on the host (all its threads), scaled to the server's profile, and kept for reruns.
"""

from __future__ import annotations

import time

from flwr.app import Context, Message

from emulator.backends.des.world import World
from emulator.compute.costs import mechanism_seconds
from emulator.flower import adapter
from emulator.flower.adapter import ObjectSizes
from emulator.flower.worker import WORK_REPORT

NOTICES = "notices"
"""Reserved ConfigRecord in the ServerApp's context state: texts its user must see."""
SPENT = "privacy-spent"
APPENDED = "ledger-appended"
"""Reserved ConfigRecord in the ServerApp's context state: epsilon released so far, by what it protects."""


class ServerWork:
    """Accounts for one ServerApp.

    Args:
        world: The world whose clock the work moves.
        context: The ServerApp's context.
        reports_work: The app declares that it reports its work (``[tool.emulate] reports-work`` in its pyproject).
    """

    def __init__(self, world: World, context: Context, *, reports_work: bool) -> None:
        self._world = world
        self._context = context
        self._reports_work = reports_work
        self._elements = 0
        self._last_elements = 0
        self._has_replies = False
        self._calls = 0
        self._cpu_mark_s = time.process_time()
        self._last_packed: tuple[int, bytes, ObjectSizes] | None = None
        self.cpu_s = 0.0

    def received(self, reply: Message) -> None:
        """Note a reply handed to the ServerApp."""
        self._has_replies = True
        self._last_elements = adapter.count_elements(reply)
        self._elements += self._last_elements

    def received_as_before(self) -> None:
        """Note a reply of the size of the last one that nobody reads."""
        self._has_replies = True
        self._elements += self._last_elements

    def pack(self, message: Message) -> tuple[bytes, ObjectSizes]:
        """Serialise a message; content shared by many messages is measured once."""
        key = id(message.content)
        if self._last_packed is None or self._last_packed[0] != key:
            sizes = adapter.object_sizes(message)
            self._last_packed = (key, adapter.content_to_bytes(message.content), sizes)
        return adapter.join_message(message, self._last_packed[1]), self._last_packed[2]

    def restart(self) -> None:
        """The ServerApp goes on: measure from here."""
        self._last_packed = None
        self._cpu_mark_s = time.process_time()

    def settle(self) -> None:
        """Let the work since ``restart`` pass on the server, and pass on the app's notices."""
        cpu_s = time.process_time() - self._cpu_mark_s
        self.cpu_s += cpu_s
        self._calls += 1
        self._take_notices()
        self._take_spent()
        self._take_appended()
        work = self._reported() if self._reports_work else {}
        work_s = self._world.server_work_s(work) if self._reports_work else self._measured_s(cpu_s)
        note = "aggregate" if self._has_replies else "serve"
        self._has_replies = False
        self._world.server.compute(work_s, note)
        self._log_parts(work)

    def _log_parts(self, work: dict[str, float]) -> None:
        server = self._world.plan.server
        parts = mechanism_seconds(server.device, work) if server.device is not None else {}
        for unit, seconds in parts.items():
            self._world.log.append(
                self._world.now_s,
                "work_part",
                round=self._world.round,
                node=server.name,
                value=seconds,
                unit="s",
                note=unit,
            )

    def _reported(self) -> dict[str, float]:
        """Return the work reported since the last time, and the elements aggregated."""
        record = self._context.state.pop(WORK_REPORT, None)
        work = adapter.numbers(record) if record is not None else {}
        work.pop("peak_memory_bytes", None)
        if self._elements:
            work["array_elements"] = work.get("array_elements", 0.0) + self._elements
            self._elements = 0
        return work

    def _measured_s(self, cpu_s: float) -> float:
        device = self._world.plan.server.device
        if device is None or device.cpu_time_factor is None:
            return 0.0
        return self._world.measurements.value(f"server#{self._calls} cpu_s", cpu_s) * device.cpu_time_factor

    def _take_notices(self) -> None:
        record = self._context.state.pop(NOTICES, None)
        for text in record.values() if record is not None else ():
            self._world.log.append(self._world.now_s, "notice", note=str(text))

    def _take_spent(self) -> None:
        record = self._context.state.pop(SPENT, None)
        for words, epsilon in sorted(adapter.numbers(record).items()) if record is not None else ():
            self._world.log.append(
                self._world.now_s, "privacy_spent", round=self._world.round, node=self._world.plan.server.name,
                value=epsilon, note=words,
            )  # fmt: skip

    def _take_appended(self) -> None:
        record = self._context.state.pop(APPENDED, None)
        for name, size in sorted(adapter.numbers(record).items()) if record is not None else ():
            self._world.log.append(
                self._world.now_s, "ledger_appended", round=self._world.round, node=self._world.plan.server.name,
                size_bytes=int(size), note=name.split(" ", 1)[-1],
            )  # fmt: skip
