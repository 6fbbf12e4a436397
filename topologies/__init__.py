"""Topologies: pure functions that describe a network as a ``networkx.Graph`` and start nothing.

A topology is ``(*, sites: int, **params) -> nx.Graph``. It knows nothing of the emulator.

Nodes carry ``kind`` (``server``, exactly one; ``client``, runs a Flower SuperNode; ``sensor``; ``router``), ``profile``
(device profile; none for routers), ``site`` (power cuts hit a site) and, for sensors, ``stream_rate``: what they send
without pause to the client next to them, as text with a unit or as a number of bits per second.

Edges carry ``profile`` (link profile) or, on their own or on top of one, the fields of a scenario's ``links:`` block
(``rate up down delay rtt jitter loss queue half_duplex tariff``), as text with a unit or as numbers in bit/s, s, bytes;
``name`` (default ``a--b``) and ``leaf`` (the end farther from the server, where hop counts do not tell).

``key`` on a node or an edge names the parameter it came from, so that a fault points to the line in the scenario.
"""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx

from topologies.rural_district import rural_district
from topologies.star import star

TOPOLOGIES: dict[str, Callable[..., nx.Graph]] = {
    "rural_district": rural_district,
    "star": star,
}

__all__ = ["TOPOLOGIES", "rural_district", "star"]
