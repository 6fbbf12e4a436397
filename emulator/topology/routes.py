"""Routes: each client's shortest path to the server by delay, and each sensor's hop to its client."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import networkx as nx

from emulator.plan import DOWN, UP, Hop, Link, Node

# Keeps paths of equal delay short; far below any delay a profile can hold.
_HOP_WEIGHT_S = 1e-9


def find_routes(nodes: Iterable[Node], links: Iterable[Link]) -> dict[str, tuple[Hop, ...]]:
    """Return for each client its hops to the server, and for each sensor its hop to its client, by node name.

    The path has the least sum of one-way delays towards the server (states at 0 s); among equals the fewest hops, then
    the order of names. Sensors forward nothing. Routes stay for the whole run: an outage on the way interrupts them.

    Raises:
        KeyError: A client without a path; ``graph_faults`` finds that first.
    """
    ordered = sorted(nodes, key=lambda node: node.name)
    by_ends: dict[frozenset[str], Link] = {}
    graph = nx.Graph()
    graph.add_nodes_from(node.name for node in ordered if node.kind != "sensor")
    for link in sorted(links, key=lambda link: link.name):
        by_ends[frozenset((link.leaf, link.root))] = link
        if link.leaf in graph and link.root in graph:
            graph.add_edge(link.leaf, link.root, weight=link.up[0].delay_s + _HOP_WEIGHT_S)
    server = next(node.name for node in ordered if node.kind == "server")
    paths = nx.single_source_dijkstra_path(graph, server)
    routes: dict[str, tuple[Hop, ...]] = {}
    for node in ordered:
        if node.kind == "client":
            path = reversed(paths[node.name])
            routes[node.name] = tuple(_hop(by_ends[frozenset(ends)], ends[0]) for ends in pairwise(path))
        elif node.kind == "sensor":
            routes[node.name] = tuple(
                _hop(by_ends[frozenset((node.name, stream.peer))], node.name) for stream in node.streams
            )
    return routes


def _hop(link: Link, start: str) -> Hop:
    return Hop(link.name, UP if start == link.leaf else DOWN)
