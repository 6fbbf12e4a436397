"""Times inside the packet-level model: whole nanoseconds, so that what happens at one time is at exactly one time."""

from __future__ import annotations

from typing import Final

NEVER_NS: Final = 1 << 62
"""Later than anything that happens."""
SECOND_NS: Final = 1_000_000_000
MILLISECOND_NS: Final = 1_000_000


def to_ns(time_s: float) -> int:
    """Return the nearest whole nanosecond."""
    return round(time_s * 1e9)


def to_s(time_ns: int) -> float:
    """Return seconds."""
    return time_ns / SECOND_NS
