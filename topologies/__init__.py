"""Topologies: pure functions that describe a network as a ``networkx.Graph`` and start nothing.

A topology is ``(*, sites: int, **params) -> nx.Graph``. It knows nothing of the emulator.

Nodes carry ``kind`` (``server``, exactly one; ``client``, runs a Flower SuperNode; ``sensor``; ``router``), ``profile``
(device profile; none for routers), ``site`` (power cuts hit a site) and, for sensors, ``stream_rate``: what they send
without pause to the client next to them, as text with a unit or as a number of bits per second.

Edges carry ``profile`` (link profile) or, on their own or on top of one, the fields of a scenario's ``links:`` block
(``rate up down delay rtt jitter loss queue half_duplex tariff congestion_control``), as text with a unit or as
numbers in bit/s, s, bytes; ``name`` (default ``a--b``), ``leaf`` (the end farther from the server, where hop counts do
not tell) and ``model``, a link model as a mapping (``{"kind": "trace", "file": ...}``).

Stations that share a radio cell join a router over links that cost nothing; one half-duplex link leads on from there
(``parts.add_cell``). A parameter annotated ``pathlib.Path``, called ``file`` or ``..._file``, is a data file: a
scenario gives it relative to itself, to ``FEDGEN_DATA``, or to this package, and the function gets one that is there.

``key`` on a node or an edge names the parameter it came from, so that a fault points to the line in the scenario.
"""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx

from topologies.ambulance_fleet import ambulance_fleet
from topologies.graphml import graphml
from topologies.home_monitoring import home_monitoring
from topologies.mesh import mesh
from topologies.rural_district import rural_district
from topologies.smart_hospital import smart_hospital
from topologies.star import star
from topologies.tree import tree

TOPOLOGIES: dict[str, Callable[..., nx.Graph]] = {
    "ambulance_fleet": ambulance_fleet,
    "graphml": graphml,
    "home_monitoring": home_monitoring,
    "mesh": mesh,
    "rural_district": rural_district,
    "smart_hospital": smart_hospital,
    "star": star,
    "tree": tree,
}

__all__ = [
    "TOPOLOGIES",
    "ambulance_fleet",
    "graphml",
    "home_monitoring",
    "mesh",
    "rural_district",
    "smart_hospital",
    "star",
    "tree",
]
