"""Outages of the server: the host of the SuperLink and the ServerApp is away, then back."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.models.failures.reader import Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def superlink(
    view: View,
    streams: Streams,
    *,
    at: str | list[str],
    for_: str,
    cause: str = "SuperLink down",
) -> Iterator[Outage]:
    """Yield one outage of the server node at each time. Draws nothing.

    What it means: nothing reaches the server for that long. The plan cuts every link of the server over which clients
    reach it, so that transfers stall and are tried again, polls wait, and a client unheard for ``flower.offline_after``
    is not listed until it is heard again. What was pushed before stays (the SuperLink's database), and a client that
    trains goes on. In virtual time the ServerApp keeps its own clock and state through the outage: this is a host cut
    off or a SuperLink restarted with its database while the ServerApp waits. A ServerApp that is killed ends its Flower
    run, from which nothing comes back; that is the end of a run, not an outage in it.

    Args:
        view: The network.
        streams: Not used.
        at: Virtual time of the start, one or several.
        for_: Length (``for`` in a scenario).
        cause: For people.

    Raises:
        ParameterError: A time out of range.
    """
    reader = Reader()
    starts, length_s = reader.times("at", at), reader.value("for", for_)
    reader.done()
    server = next(node.name for node in view.nodes if node.kind == "server")
    yield from (Outage(start_s, start_s + length_s, server, cause) for start_s in starts if start_s < view.horizon_s)
