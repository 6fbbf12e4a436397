"""Checks on the graph of a topology plug-in; every fault is found in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import networkx as nx

from emulator.registry import nearest

KINDS: Final = ("server", "client", "sensor", "router")
NODE_FIELDS: Final = ("kind", "profile", "site", "stream_rate", "key", "role")

GraphFault = tuple[str, str]  # key below the topology block, message


def graph_faults(graph: nx.Graph) -> list[GraphFault]:
    """Return what is wrong with ``graph`` as (key, message): kinds, profiles, server, connection, names, sensors."""
    faults = [*_node_faults(graph), *_server_faults(graph), *_link_name_faults(graph)]
    if not faults:
        faults = [*_connection_faults(graph), *_sensor_faults(graph)]
    return faults


def link_name(ends: tuple[Any, Any], data: dict[str, Any]) -> str:
    """Return the name of an edge: its own, else both ends in order."""
    return str(data["name"]) if "name" in data else "--".join(sorted(str(end) for end in ends))


def _key(data: dict[str, Any]) -> str:
    return str(data.get("key", ""))


def _node_faults(graph: nx.Graph) -> Iterator[GraphFault]:
    for node, data in graph.nodes(data=True):
        kind = data.get("kind")
        if kind not in KINDS:
            yield _key(data), f"node {node!r} has kind {kind!r}; allowed: {', '.join(KINDS)}{nearest(str(kind), KINDS)}"
        elif kind != "router" and not data.get("profile"):
            yield _key(data), f"node {node!r} is a {kind} and needs a device profile"
        if not isinstance(node, str):
            yield _key(data), f"node {node!r} is a {type(node).__name__}; node names are text"
        for field in data:
            if field not in NODE_FIELDS:
                yield _key(data), f"node {node!r} has an unknown field {field!r}; allowed: {', '.join(NODE_FIELDS)}"


def _server_faults(graph: nx.Graph) -> Iterator[GraphFault]:
    servers = sorted(str(node) for node, data in graph.nodes(data=True) if data.get("kind") == "server")
    if len(servers) != 1:
        found = ", ".join(servers) or "none"
        yield "", f"a topology has exactly one server; got {len(servers)} ({found})"
    if not any(data.get("kind") == "client" for _, data in graph.nodes(data=True)):
        yield "", "a topology has at least one client; got none"


def _link_name_faults(graph: nx.Graph) -> Iterator[GraphFault]:
    if graph.is_multigraph() or graph.is_directed():
        yield "", "a topology is an undirected networkx.Graph without parallel edges"
    taken = {str(node): "a node" for node in graph}
    for one, other, data in graph.edges(data=True):
        name = link_name((one, other), data)
        if name in taken:
            yield (
                _key(data),
                f"link {name!r} between {one!r} and {other!r} has the name of {taken[name]}; names are unique",
            )
        taken[name] = "another link"
        if data.get("leaf", one) not in (one, other):
            yield _key(data), f"link {name!r}: leaf {data['leaf']!r} is neither {one!r} nor {other!r}"
        if one == other:
            yield _key(data), f"link {name!r} leads from {one!r} to itself"


def _connection_faults(graph: nx.Graph) -> Iterator[GraphFault]:
    server = next(node for node, data in graph.nodes(data=True) if data["kind"] == "server")
    # Sensors forward nothing: a client behind one has no route.
    forwarding = graph.subgraph([node for node, data in graph.nodes(data=True) if data["kind"] != "sensor"])
    reached = nx.node_connected_component(forwarding, server)
    for node, data in graph.nodes(data=True):
        if data["kind"] != "sensor" and node not in reached:
            yield _key(data), f"{data['kind']} {node!r} has no route to the server {server!r}; add a link"


def _sensor_faults(graph: nx.Graph) -> Iterator[GraphFault]:
    for node, data in graph.nodes(data=True):
        is_sensor = data["kind"] == "sensor"
        peers = {str(peer): graph.nodes[peer]["kind"] for peer in graph[node]}
        if is_sensor and list(peers.values()) != ["client"]:
            found = ", ".join(f"{peer} ({kind})" for peer, kind in sorted(peers.items())) or "none"
            yield _key(data), f"sensor {node!r} needs exactly one link, and to a client; got {found}"
        if not is_sensor and "stream_rate" in data:
            yield _key(data), f"node {node!r} has a stream_rate and is a {data['kind']}; only sensors stream"
