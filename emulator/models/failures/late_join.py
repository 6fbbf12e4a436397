"""Nodes that join after the run has begun."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def late_join(
    view: View,
    streams: Streams,
    *,
    nodes: Names,
    at: str,
    within: str = "0 s",
    cause: str = "has not joined yet",
) -> Iterator[Outage]:
    """Yield one outage per node, from 0 s to the moment it joins: even over ``within`` after ``at``.

    Args:
        view: The network.
        streams: Random streams of this block; each node draws from one of its own name.
        nodes: Names or patterns of nodes.
        at: When the first may join, in virtual time.
        within: Spread after ``at``; 0 s for all at once.
        cause: For people.

    Raises:
        ParameterError: No such node, ``at`` not above 0, or ``within`` below 0.
    """
    reader = Reader()
    names = reader.names(view.match_nodes, "nodes", nodes)
    at_s, within_s = reader.value("at", at), reader.value("within", within, least=0.0)
    reader.done()
    ends = {name: at_s + within_s * float(streams(name).random()) for name in names}
    yield from sorted(Outage(0.0, end_s, name, cause) for name, end_s in ends.items())
