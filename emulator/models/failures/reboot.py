"""Nodes that restart at regular intervals: a nightly update, a watchdog."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from emulator.models.failures.cycle import RANDOM, cycle, phase_of, read_phase
from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def reboot(
    view: View,
    streams: Streams,
    *,
    nodes: Names,
    every: str,
    for_: str = "1 s",
    phase: str = RANDOM,
    cause: str = "reboot",
) -> Iterator[Outage]:
    """Yield one outage per node and interval, the first at ``phase``.

    The time to boot is the device profile's and comes on top: a backend adds it when the node is up again.

    Args:
        view: The network.
        streams: Random streams of this block; each node draws its phase from one of its own name.
        nodes: Names or patterns of nodes.
        every: From one restart to the next.
        for_: From going down until power is back (``for`` in a scenario), without the boot.
        phase: First restart in virtual time, below ``every``; or ``random``, even over ``every``.
        cause: For people.

    Raises:
        ParameterError: No such node, a time out of range, or ``for`` not below ``every``.
    """
    reader = Reader()
    names = reader.names(view.match_nodes, "nodes", nodes)
    every_s, length_s = reader.value("every", every), reader.value("for", for_)
    phase_s = read_phase(reader, phase, every_s)
    if length_s >= every_s and not reader.faults:
        reader.refuse("for", f"got {for_!r}; want less than 'every' ({every})")
    reader.done()
    firsts = {name: phase_of(streams, name, phase_s, every_s) for name in names}
    yield from heapq.merge(
        *(
            cycle(name, first_s, every_s, length_s, horizon_s=view.horizon_s, cause=cause)
            for name, first_s in firsts.items()
        )
    )
