"""A network read from a map: GraphML or GML, as the Internet Topology Zoo publishes provider networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import networkx as nx

from topologies.parts import add_client, add_link, add_server, check_counts

MAP = Path(__file__).parent / "maps" / "lake_valley.graphml"
EARTH_KM = 6371.0
FIBRE_KM_PER_S = 2.0e5  # two thirds of the speed of light in vacuum


def graphml(
    *,
    sites: int,
    file: Path = MAP,
    server_at: str = "",
    gateway: str = "rpi_4b_4gb",
    access: str = "vdsl2",
    rate: str = "1 Gbit/s",
    delay: str = "2 ms",
    detour: float = 1.4,
    server: str = "cloud_x86_8vcpu",
) -> nx.Graph:
    """Return the map's nodes as routers, its edges as links, and clients dealt out to its nodes in turn.

    Nodes are called by their ``label`` (``pop/Harbour``), edges ``trunk/Harbour--Hill``; a label that comes twice gets
    its id besides. Client ``site-01/gateway`` hangs on the first node over ``site-01/access``, and so on round, without
    the server's node unless the map has no other. An edge's rate is its ``LinkSpeedRaw`` (bit/s), else ``rate``. Its
    delay is ``distance * detour / 200 000 km/s`` by the nodes' ``Latitude`` and ``Longitude`` (great circle), else
    ``delay``. Of parallel edges the fastest is kept; directions are ignored. (Knight et al., IEEE JSAC 29(9), 2011.)

    Args:
        sites: Number of clients.
        file: Map, ``.graphml`` or ``.gml``; a small one made up for this project by default.
        server_at: Label or id of the node next to the server; the one with the most edges by default.
        gateway: Device profile of every client.
        access: Link profile between client and node.
        rate: Rate of edges for which the map gives none, in both directions.
        delay: One-way delay of edges whose ends have no position.
        detour: Length of a cable over the great circle between its ends.
        server: Device profile of the server.

    Raises:
        ValueError: ``sites`` below 1, a detour below 1, a map that cannot be read or has no such node.

    Leaves out other traffic on the map's links; routes take the least delay, not the operator's policy.
    """
    check_counts(sites=sites)
    if detour < 1:
        raise ValueError(f"detour: got {detour}; want 1 or more")
    plan = read_map(file)
    graph = nx.Graph()
    add_server(graph, server)
    for name in plan:
        graph.add_node(name, kind="router", site=name, key="file")
    for one, other, data in plan.edges(data=True):
        ends = sorted((one, other))
        graph.add_edge(
            one, other, name=f"trunk/{ends[0][4:]}--{ends[1][4:]}", key="file", rate=_rate(data, rate),
            delay=_delay(plan.nodes[one], plan.nodes[other], delay, detour),
        )  # fmt: skip
    head = _server_node(plan, server_at, file)
    graph.add_edge(head, "server", name="core", rate="10 Gbit/s", delay="0 s", leaf=head)
    places = [name for name in plan if name != head] or [head]
    for index in range(sites):
        site = f"site-{index + 1:02d}"
        client = add_client(graph, site, gateway)
        add_link(graph, client, places[index % len(places)], f"{site}/access", access, key="access")
    return graph


def read_map(file: Path) -> nx.Graph:
    """Return the map as a simple graph with names ``pop/LABEL``; nodes in the order of the file.

    Raises:
        ValueError: No GraphML or GML, or a map without nodes or in several parts.
    """
    try:
        raw = nx.read_gml(file, label="id") if file.suffix == ".gml" else nx.read_graphml(file)
    except (OSError, UnicodeDecodeError, ParseError, nx.NetworkXError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"file: {file.name!r} cannot be read as GraphML or GML: {error}") from error
    names = dict(_names(raw))
    plan = nx.Graph()
    plan.add_nodes_from((names[node], data) for node, data in raw.nodes(data=True))
    for one, other, data in raw.edges(data=True):
        ends = names[one], names[other]
        is_slower = plan.has_edge(*ends) and _speed(plan.edges[ends]) >= _speed(data)
        if ends[0] != ends[1] and not is_slower:
            plan.add_edge(*ends, **data)
    if len(plan) == 0:
        raise ValueError(f"file: {file.name!r} has no nodes")
    parts = sorted(nx.connected_components(plan), key=len, reverse=True)
    if len(parts) > 1:
        apart = ", ".join(sorted(name for part in parts[1:] for name in part)[:5])
        raise ValueError(f"file: {file.name!r} is in {len(parts)} parts; link or remove what stands apart: {apart}")
    return plan


def _names(raw: nx.Graph) -> Iterator[tuple[Any, str]]:
    labels = [str(data.get("label", node)) for node, data in raw.nodes(data=True)]
    for node, label in zip(raw, labels, strict=True):
        yield node, f"pop/{label}" if labels.count(label) == 1 else f"pop/{label} ({node})"


def _server_node(plan: nx.Graph, server_at: str, file: Path) -> str:
    if not server_at:
        return str(max(sorted(plan), key=lambda name: plan.degree[name]))
    for name in (f"pop/{server_at}", server_at):
        if name in plan:
            return name
    some = ", ".join(sorted(name[4:] for name in plan)[:8])
    raise ValueError(f"server_at: {file.name!r} has no node {server_at!r}; for example {some}")


def _speed(data: Mapping[str, Any]) -> float:
    """Return the rate that the map gives, in bit/s; 0 where it gives none."""
    try:
        return float(data.get("LinkSpeedRaw", 0.0))
    except ValueError:
        return 0.0


def _rate(data: Mapping[str, Any], otherwise: str) -> float | str:
    return _speed(data) or otherwise


def _delay(one: Mapping[str, Any], other: Mapping[str, Any], otherwise: str, detour: float) -> float | str:
    fields = ("Latitude", "Longitude")
    try:
        lat, lon, other_lat, other_lon = (math.radians(float(end[name])) for end in (one, other) for name in fields)
    except (KeyError, ValueError):
        return otherwise
    half = math.sin((other_lat - lat) / 2) ** 2
    half += math.cos(lat) * math.cos(other_lat) * math.sin((other_lon - lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half))) * detour / FIBRE_KM_PER_S
