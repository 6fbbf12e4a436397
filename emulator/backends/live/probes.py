"""Watches the machine during a run: a periodic timer's lateness, the CPU time of others, of the hypervisor, and throttling."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from emulator.backends.live.cgroups import own_folder, throttled
from emulator.backends.live.journal import Journal
from emulator.backends.live.lateness import Lateness
from emulator.backends.live.linux import make_timer, run_in_front, set_timer

PERIOD_S: Final = 0.005
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Probes:
    """Runs the timer process and counts the machine's CPU time from entry to exit."""

    def __init__(self, journal: Journal, journals: Path) -> None:
        self._journal = journal
        command = [sys.executable, "-m", "emulator.backends.live.probes", str(journals)]
        self._timer = subprocess.Popen(command, stdin=subprocess.PIPE)

    def __enter__(self) -> Probes:
        self._before, self._own_before_s, self._entered_s = machine_cpu(), own_cpu_s(), time.monotonic()
        self._throttled = self._count_throttled()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._timer.stdin is not None
        self._timer.stdin.close()
        self._timer.wait(10)
        after, own_s = machine_cpu(), own_cpu_s() - self._own_before_s
        self._journal.write(
            "machine", seconds=time.monotonic() - self._entered_s, cores=os.cpu_count(), own_cpu_s=own_s,
            throttled=self._count_throttled() - self._throttled,
            **{f"{name}_s": after[name] - self._before[name] for name in after},
        )  # fmt: skip

    @staticmethod
    def _count_throttled() -> int:
        """Return how often the group of the run's network processes (its ClientApps have their own) was out of quota."""
        folder = own_folder()
        return 0 if folder is None else throttled(folder)


def machine_cpu() -> dict[str, float]:
    """Return the machine's CPU seconds so far: ``busy`` (all work), ``steal`` (taken by the hypervisor), ``total``."""
    fields = [int(text) / TICKS_PER_S for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, steal = fields
    return {"busy": user + nice + system + irq + softirq, "steal": steal, "total": sum(fields)}


def own_cpu_s() -> float:
    """Return the CPU seconds of all processes of this sandbox, those that have ended included (process 1 has waited for them)."""
    total = 0.0
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            total += sum(int(text) for text in fields[11:15]) / TICKS_PER_S
    return total


def main(journals: str) -> None:
    """Measure how late a timer of ``PERIOD_S`` is until the standard input is closed."""
    import select

    in_front = run_in_front()
    lateness, timer, due_s = Lateness(), make_timer(), time.monotonic() + PERIOD_S
    poller = select.epoll()
    poller.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    poller.register(timer, select.EPOLLIN)
    while True:
        set_timer(timer, due_s)
        if any(descriptor != timer for descriptor, _ in poller.poll()):
            break
        os.read(timer, 8)
        now_s = time.monotonic()
        lateness.add(now_s - due_s)
        due_s = max(due_s + PERIOD_S, now_s)
    Journal(Path(journals), "timer").write("timer", in_front=in_front, **lateness.to_dict())


if __name__ == "__main__":
    main(sys.argv[1])
