"""From a checked graph to sorted nodes and links, still without figures: profiles are names here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx

from emulator.topology.graph import graph_faults, link_name
from emulator.topology.params import ParameterError
from emulator.units import parse_quantity

Kind = Literal["server", "client", "sensor", "router"]


@dataclass(frozen=True)
class TopologyNode:
    """A node; ``key`` is the parameter of the topology it came from, ``stream_bps`` what a sensor sends, ``role`` a client's."""

    name: str
    kind: Kind
    profile: str = ""
    site: str = ""
    stream_bps: float | None = None
    partition_id: int | None = None
    key: str = ""
    role: str = ""


@dataclass(frozen=True)
class TopologyLink:
    """A link; ``fields`` are figures the graph gives itself, on top of ``profile`` or alone."""

    name: str
    leaf: str
    root: str
    profile: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True)
class Topology:
    """Nodes and links, sorted by name."""

    nodes: tuple[TopologyNode, ...]
    links: tuple[TopologyLink, ...]


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key by which ``site-9`` comes before ``site-10``, so that new sites go to the end."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)


def build(graph: nx.Graph) -> Topology:
    """Return the topology of ``graph``.

    ``partition_id`` counts the clients in natural order of name, those with a ``role`` (and no data) last. The root end of a
    link is the one fewer hops from the server (by name among equals), unless the edge names its ``leaf``.

    Raises:
        ParameterError: Everything ``graph_faults`` finds, and stream rates that cannot be read.
    """
    faults = graph_faults(graph)
    if faults:
        raise ParameterError(faults)
    roles = {node: str(data.get("role", "")) for node, data in graph.nodes(data=True) if data["kind"] == "client"}
    clients = sorted(roles, key=lambda node: (bool(roles[node]), natural_key(node)))
    partition = {node: index for index, node in enumerate(clients)}
    nodes = []
    for name, data in sorted(graph.nodes(data=True)):
        try:
            nodes.append(_node(name, data, partition.get(name)))
        except ValueError as error:
            faults.append((str(data.get("key", "")), f"node {name!r}: stream_rate: {error}"))
    if faults:
        raise ParameterError(faults)
    server = next(node.name for node in nodes if node.kind == "server")
    hops = nx.single_source_shortest_path_length(graph, server)
    links = [_link((one, other), data, hops) for one, other, data in graph.edges(data=True)]
    return Topology(tuple(nodes), tuple(sorted(links, key=lambda link: link.name)))


def _node(name: str, data: dict[str, Any], partition_id: int | None) -> TopologyNode:
    raw = data.get("stream_rate")
    stream = None if raw is None else parse_quantity(raw, "rate") if isinstance(raw, str) else float(raw)
    return TopologyNode(
        name=name,
        kind=data["kind"],
        profile=data.get("profile", ""),
        site=data.get("site", ""),
        stream_bps=stream,
        partition_id=partition_id,
        key=data.get("key", ""),
        role=data.get("role", ""),
    )


def _link(ends: tuple[str, str], data: dict[str, Any], hops: Mapping[str, int]) -> TopologyLink:
    root, leaf = sorted(ends, key=lambda end: (hops[end], end))
    if "leaf" in data:
        leaf = data["leaf"]
        root = ends[0] if leaf == ends[1] else ends[1]
    fields = {name: value for name, value in data.items() if name not in ("name", "leaf", "profile", "key")}
    # Numbers from a graph are in base units already; text carries its unit, as in a scenario.
    fields = {
        name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in fields.items()
    }
    return TopologyLink(link_name(ends, data), leaf, root, data.get("profile"), fields, data.get("key", ""))
