"""A star: every client has its own link to the server."""

from __future__ import annotations

import networkx as nx


def star(
    *,
    sites: int,
    gateway: str = "rpi_4b_4gb",
    backhaul: str = "lte_errant",
    server: str = "cloud_x86_8vcpu",
) -> nx.Graph:
    """Return ``sites`` clients around one server.

    Nodes are ``server`` and ``site-01/gateway`` ...; links are ``site-01/backhaul`` ....

    Args:
        sites: Number of clients, at least 1.
        gateway: Device profile of every client.
        backhaul: Link profile of every link.
        server: Device profile of the server.

    Raises:
        ValueError: ``sites`` is below 1.
    """
    if sites < 1:
        raise ValueError(f"sites: got {sites}; want 1 or more")
    graph = nx.Graph()
    graph.add_node("server", kind="server", profile=server, key="server")
    for number in range(1, sites + 1):
        site = f"site-{number:02d}"
        graph.add_node(f"{site}/gateway", kind="client", profile=gateway, site=site, key="gateway")
        graph.add_edge(
            f"{site}/gateway",
            "server",
            name=f"{site}/backhaul",
            profile=backhaul,
            leaf=f"{site}/gateway",
            key="backhaul",
        )
    return graph
