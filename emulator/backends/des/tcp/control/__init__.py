"""Congestion controls, one class per file; ``make`` finds them by name."""

from __future__ import annotations

from collections.abc import Callable

from emulator.backends.des.tcp.control.base import Control
from emulator.backends.des.tcp.control.bbr import Bbr
from emulator.backends.des.tcp.control.cubic import Cubic
from emulator.backends.des.tcp.control.reno import Reno
from emulator.plan import ControlName

__all__ = ["CONTROLS", "Control", "make"]

CONTROLS: dict[ControlName, Callable[[Callable[[], float]], Control]] = {
    "cubic": lambda draw: Cubic(),
    "reno": lambda draw: Reno(),
    "bbr": Bbr,
}


def make(name: ControlName, draw: Callable[[], float]) -> Control:
    """Return a fresh congestion control; ``draw`` gives uniform numbers in [0, 1).

    Raises:
        ValueError: No control has this name.
    """
    try:
        return CONTROLS[name](draw)
    except KeyError:
        raise ValueError(f"unknown congestion control {name!r}; known: {', '.join(CONTROLS)}") from None
