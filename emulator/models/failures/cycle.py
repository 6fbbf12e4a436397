"""Outages at regular intervals, with a phase that is given or drawn."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.models.failures.reader import Reader
from emulator.plan import Outage
from emulator.rng import Streams

RANDOM = "random"


def read_phase(reader: Reader, phase: str, period_s: float) -> float | None:
    """Return the phase in seconds, below the period; None where each target draws its own."""
    if phase == RANDOM:
        return None
    value = reader.value("phase", phase, least=0.0)
    if value >= period_s:
        reader.refuse("phase", f"got {phase!r}; want below the period of {period_s:g} s, or 'random'")
    return value


def cycle(
    target: str, first_s: float, period_s: float, length_s: float, *, horizon_s: float, cause: str
) -> Iterator[Outage]:
    """Yield outages of ``length_s`` every ``period_s``; one that began before 0 s is cut off there."""
    number = 0
    while (start_s := first_s + number * period_s) < horizon_s:
        if start_s + length_s > 0:
            yield Outage(max(start_s, 0.0), start_s + length_s, target, cause)
        number += 1


def phase_of(streams: Streams, target: str, phase_s: float | None, period_s: float) -> float:
    """Return the phase of ``target``: the one given, or even over the period from a stream of its name."""
    return period_s * float(streams(target).random()) if phase_s is None else phase_s
