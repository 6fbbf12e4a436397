"""Nodes that leave for good."""

from __future__ import annotations

import math
from collections.abc import Iterator

from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def leave(
    view: View,
    streams: Streams,
    *,
    nodes: Names,
    at: str,
    within: str = "0 s",
    cause: str = "left for good",
) -> Iterator[Outage]:
    """Yield one outage per node that never ends, from a moment even over ``within`` after ``at``.

    An endless outage is ``math.inf`` long here and reaches to the horizon in the plan. To leave at a place in the
    protocol instead of a time, take ``crash`` with ``action: leave``.

    Args:
        view: The network.
        streams: Random streams of this block; each node draws from one of its own name.
        nodes: Names or patterns of nodes.
        at: When the first may leave, in virtual time.
        within: Spread after ``at``; 0 s for all at once.
        cause: For people.

    Raises:
        ParameterError: No such node, or a time below 0.
    """
    reader = Reader()
    names = reader.names(view.match_nodes, "nodes", nodes)
    at_s, within_s = reader.value("at", at, least=0.0), reader.value("within", within, least=0.0)
    reader.done()
    starts = {name: at_s + within_s * float(streams(name).random()) for name in names}
    yield from sorted(
        Outage(start_s, math.inf, name, cause) for name, start_s in starts.items() if start_s < view.horizon_s
    )
