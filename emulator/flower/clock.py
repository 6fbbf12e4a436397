"""Virtual time for the ServerApp's thread: ``time.sleep``, ``time.time``, ``monotonic`` and ``perf_counter``.

``install`` replaces the four functions once, before Flower or the app is imported, because both import them by name.
The replacements ask a thread-local clock; threads without one, and the emulator's own code, see real time.
``datetime.now`` reads the operating system's clock below Python and stays real.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

EPOCH_S: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z: what ``time.time()`` shows at virtual time 0 (Flower refuses messages from before 2025-03)."""

real_time: Final = time.time
real_monotonic: Final = time.monotonic
real_perf_counter: Final = time.perf_counter
real_sleep: Final = time.sleep

_local = threading.local()


class Clock(Protocol):
    """What drives a thread's virtual time."""

    def now_s(self) -> float:
        """Virtual seconds since the run began."""

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` of virtual time pass."""


def _current() -> Clock | None:
    return getattr(_local, "clock", None)


def _sleep(seconds: float) -> None:
    clock = _current()
    if clock is None:
        real_sleep(seconds)
    elif seconds < 0:
        raise ValueError("sleep length must be non-negative")
    else:
        clock.sleep(float(seconds))


def _reader(real: Callable[[], float], offset_s: float) -> Callable[[], float]:
    def read() -> float:
        clock = _current()
        return real() if clock is None else offset_s + clock.now_s()

    return read


_PATCHES: Final = {
    "sleep": _sleep,
    "time": _reader(real_time, EPOCH_S),
    "monotonic": _reader(real_monotonic, 0.0),
    "perf_counter": _reader(real_perf_counter, 0.0),
}


def install() -> None:
    """Replace the functions of the ``time`` module; calling it again changes nothing."""
    for name, function in _PATCHES.items():
        setattr(time, name, function)


@contextmanager
def virtual_time(clock: Clock) -> Iterator[None]:
    """Give the calling thread ``clock`` for the duration of the block."""
    before = _current()
    _local.clock = clock
    try:
        yield
    finally:
        _local.clock = before


@contextmanager
def real_time_inside() -> Iterator[None]:
    """Let the calling thread see real time inside the block (the emulator's own code in a Grid call)."""
    before = _current()
    _local.clock = None
    try:
        yield
    finally:
        _local.clock = before
