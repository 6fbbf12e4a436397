"""Radios that are on for a part of every period only, to save power or to keep to a regulation."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from emulator.models.failures.cycle import RANDOM, cycle, phase_of, read_phase
from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def duty_cycle(
    view: View,
    streams: Streams,
    *,
    links: Names,
    on: str,
    every: str,
    phase: str = RANDOM,
    cause: str = "radio off",
) -> Iterator[Outage]:
    """Yield an outage of each link for the part of every period in which its radio is off.

    The radio is on from ``phase + n * every`` for ``on``, and off from then to the end of the period.

    Args:
        view: The network.
        streams: Random streams of this block; each link draws its phase from one of its own name.
        links: Names or patterns of links.
        on: Time on in every period.
        every: The period.
        phase: When the radio first comes on, below ``every``; or ``random``, even over ``every``.
        cause: For people.

    Raises:
        ParameterError: No such link, a time out of range, or ``on`` not below ``every``.

    Leaves out a radio that stays awake while it is sending: what is under way when it goes off, waits.
    """
    reader = Reader()
    names = reader.names(view.match_links, "links", links)
    on_s, every_s = reader.value("on", on), reader.value("every", every)
    phase_s = read_phase(reader, phase, every_s)
    if on_s >= every_s and not reader.faults:
        reader.refuse("on", f"got {on!r}; want less than 'every' ({every})")
    reader.done()
    # The first time off may have begun before the run: it ends where the radio first comes on.
    firsts = {name: phase_of(streams, name, phase_s, every_s) + on_s - every_s for name in names}
    yield from heapq.merge(
        *(
            cycle(name, first_s, every_s, every_s - on_s, horizon_s=view.horizon_s, cause=cause)
            for name, first_s in firsts.items()
        )
    )
