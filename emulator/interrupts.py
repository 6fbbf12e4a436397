"""Ctrl-C at safe points: a first signal is remembered and raised where the log is whole, a second one at once.

A KeyboardInterrupt between the two halves of a log row would leave a log that no resumed run could match.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_pending = False


def _remember(_number: int, _frame: object) -> None:
    global _pending  # the handler of a process-wide signal has no other place
    if _pending:
        raise KeyboardInterrupt
    _pending = True


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Remember SIGINT and SIGTERM inside the block; only in the main thread, which alone may handle signals."""
    global _pending
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _pending = False
    before = [signal.signal(number, _remember) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
        _pending = False


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt where a signal is waiting. Called at safe points."""
    if _pending:
        raise KeyboardInterrupt
