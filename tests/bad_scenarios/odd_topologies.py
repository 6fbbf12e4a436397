"""Topologies that break a rule each, for the bad scenarios."""

from __future__ import annotations

import networkx as nx


def two_servers(*, sites: int) -> nx.Graph:
    """Return clients between two servers."""
    graph = _clients(sites, first="server-a")
    graph.add_node("server-b", kind="server", profile="cloud_x86_8vcpu")
    graph.add_edge("server-a", "server-b", profile="ftth")
    return graph


def island(*, sites: int) -> nx.Graph:
    """Return a network with one client that no link leads to."""
    graph = _clients(sites, first="server")
    graph.add_node("lost/gateway", kind="client", profile="rpi_4b_4gb", key="sites")
    return graph


def _clients(sites: int, *, first: str) -> nx.Graph:
    graph = nx.Graph()
    graph.add_node(first, kind="server", profile="cloud_x86_8vcpu")
    for number in range(sites):
        graph.add_node(f"site-{number}", kind="client", profile="rpi_4b_4gb")
        graph.add_edge(f"site-{number}", first, profile="ftth")
    return graph
