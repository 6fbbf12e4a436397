"""Parts that topologies have in common: a server, a client, its sensors, a shared radio cell."""

from __future__ import annotations

import networkx as nx


def check_counts(**counts: int) -> None:
    """Refuse numbers of things that are below 1.

    Raises:
        ValueError: Names the first that is.
    """
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}: got {count}; want 1 or more")


def add_server(graph: nx.Graph, profile: str, *, site: str = "") -> None:
    """Add the node ``server``."""
    graph.add_node("server", kind="server", profile=profile, site=site, key="server")


def add_client(graph: nx.Graph, site: str, profile: str) -> str:
    """Add ``SITE/gateway`` and return its name."""
    name = f"{site}/gateway"
    graph.add_node(name, kind="client", profile=profile, site=site, key="gateway")
    return name


def add_sensors(
    graph: nx.Graph,
    site: str,
    count: int,
    *,
    what: str,
    profile: str,
    stream_rate: str,
    link: str,
    keys: tuple[str, str],
) -> None:
    """Add ``SITE/WHAT-1`` ... that stream to ``SITE/gateway``, each over a link of its own, ``SITE/WHAT-1-link`` ....

    ``keys`` are the parameters that the sensors' device and link profiles came from.

    Raises:
        ValueError: ``count`` is below 0.
    """
    if count < 0:
        raise ValueError(f"{what}s: got {count}; want 0 or more")
    for number in range(1, count + 1):
        node = f"{site}/{what}-{number}"
        graph.add_node(node, kind="sensor", profile=profile, site=site, stream_rate=stream_rate, key=keys[0])
        graph.add_edge(node, f"{site}/gateway", name=f"{node}-link", profile=link, leaf=node, key=keys[1])


def add_link(graph: nx.Graph, leaf: str, root: str, name: str, profile: str, *, key: str) -> None:
    """Add the link ``name`` from ``leaf`` towards the server's side, ``root``."""
    graph.add_edge(leaf, root, name=name, profile=profile, leaf=leaf, key=key)


def add_cell(graph: nx.Graph, cell: str, root: str, profile: str, *, site: str, key: str) -> None:
    """Add a radio cell: whoever joins ``CELL/air`` shares one half-duplex medium, ``CELL/radio``, to ``root``."""
    graph.add_node(f"{cell}/air", kind="router", site=site)
    graph.add_edge(
        f"{cell}/air", root, name=f"{cell}/radio", profile=profile, half_duplex=True, leaf=f"{cell}/air", key=key
    )


def join_cell(graph: nx.Graph, station: str, cell: str, name: str) -> None:
    """Let ``station`` join the cell. Its link costs no time: rate and delay are those of the cell's shared medium."""
    graph.add_edge(station, f"{cell}/air", name=name, rate="10 Gbit/s", delay="0 s", leaf=station)
