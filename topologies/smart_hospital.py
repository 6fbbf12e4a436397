"""One hospital: bedside sensors, a gateway on every ward, shared Wi-Fi on every floor, the server in the basement."""

from __future__ import annotations

import networkx as nx

from topologies.parts import add_cell, add_client, add_sensors, add_server, check_counts, join_cell


def smart_hospital(
    *,
    sites: int,
    wards_per_floor: int = 4,
    beds: int = 6,
    gateway: str = "clinic_minipc_n100",
    bedside: str = "esp32_s3",
    stream_rate: str = "8640 bit/s",
    bedside_link: str = "ble_4_2_dle_1m",
    cell: str = "wifi_pi4",
    lan_rate: str = "1 Gbit/s",
    lan_delay: str = "100 us",
    server: str = "clinic_minipc_n100",
) -> nx.Graph:
    """Return ``sites`` wards; the gateways of a floor share one Wi-Fi cell, and no traffic leaves the house.

    Each ward has ``ward-01/gateway`` (the Flower client) and ``ward-01/bed-1`` ..., which stream to it. The gateways of
    a floor join ``floor-01/air``; the half-duplex medium ``floor-01/radio`` leads from there to ``floor-01/switch``,
    ``floor-01/riser`` to the ``switch`` of the house, ``datacentre`` to ``server``. Switches and server stand at the
    site ``house``, wards at their own.

    Args:
        sites: Number of wards.
        wards_per_floor: Wards that share a cell.
        beds: Beds of a ward, one sensor each.
        gateway: Device profile of a ward's gateway.
        bedside: Device profile of a bedside sensor.
        stream_rate: What a sensor sends to its gateway without pause; 360 Hz x 2 leads x 12 bit by default.
        bedside_link: Link profile between sensor and gateway.
        cell: Link profile of a floor's Wi-Fi.
        lan_rate: Rate of the wired links.
        lan_delay: One-way delay of each wired link.
        server: Device profile of the server: small, in the house.

    Raises:
        ValueError: A number below 1, or beds below 0.

    Leaves out the rest of the hospital's traffic in the cells and on the wires, and roaming between cells.
    """
    check_counts(sites=sites, wards_per_floor=wards_per_floor)
    wire = {"rate": lan_rate, "delay": lan_delay, "key": "lan_rate"}
    graph = nx.Graph()
    add_server(graph, server, site="house")
    graph.add_node("switch", kind="router", site="house")
    graph.add_edge("switch", "server", name="datacentre", leaf="switch", **wire)
    for index in range(sites):
        floor, ward = f"floor-{index // wards_per_floor + 1:02d}", f"ward-{index + 1:02d}"
        if f"{floor}/switch" not in graph:
            graph.add_node(f"{floor}/switch", kind="router", site="house")
            graph.add_edge(f"{floor}/switch", "switch", name=f"{floor}/riser", leaf=f"{floor}/switch", **wire)
            add_cell(graph, floor, f"{floor}/switch", cell, site="house", key="cell")
        join_cell(graph, add_client(graph, ward, gateway), floor, f"{ward}/wifi")
        add_sensors(
            graph, ward, beds, what="bed", profile=bedside, stream_rate=stream_rate, link=bedside_link,
            keys=("bedside", "bedside_link"),
        )  # fmt: skip
    return graph
