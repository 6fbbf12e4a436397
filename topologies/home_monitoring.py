"""Patients at home: wearables, a phone or a small hub, the home's Wi-Fi, and whatever line the house has."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from topologies.parts import add_cell, add_client, add_link, add_sensors, add_server, check_counts, join_cell

LINES = ("vdsl2", "ftth", "adsl_rural", "lte_errant")


def home_monitoring(
    *,
    sites: int,
    gateway: str = "rpi_3bplus",
    wearables: int = 2,
    wearable: str = "nrf5340",
    stream_rate: str = "8640 bit/s",
    body_link: str = "ble_5_2m",
    wifi: str = "wifi_pi4",
    lines: Sequence[str] = LINES,
    core: str = "cloud_port",
    server: str = "cloud_x86_8vcpu",
) -> nx.Graph:
    """Return ``sites`` homes; the lines are dealt out in turn.

    Each home has ``home-01/gateway`` (the Flower client), ``home-01/wearable-1`` ... (sensors), the half-duplex Wi-Fi
    ``home-01/radio`` to ``home-01/router``, and ``home-01/line`` to ``internet``; ``core`` leads to ``server``.

    Args:
        sites: Number of homes.
        gateway: Device profile of a home's client.
        wearables: Wearables of a patient.
        wearable: Device profile of a wearable.
        stream_rate: What a wearable sends without pause.
        body_link: Link profile between wearable and gateway.
        wifi: Link profile of the home's Wi-Fi.
        lines: Link profiles of the homes' lines: the first home has the first, and so on round.
        core: Link profile between internet and server.
        server: Device profile of the server.

    Raises:
        ValueError: ``sites`` below 1, wearables below 0, or no lines.

    Leaves out the rest of the household on its line: lower the rate by a ``links:`` profile, or give it bad spells.
    """
    check_counts(sites=sites, lines=len(lines))
    graph = nx.Graph()
    add_server(graph, server)
    graph.add_node("internet", kind="router")
    add_link(graph, "internet", "server", "core", core, key="core")
    for index in range(sites):
        home = f"home-{index + 1:02d}"
        client = add_client(graph, home, gateway)
        graph.add_node(f"{home}/router", kind="router", site=home)
        add_cell(graph, home, f"{home}/router", wifi, site=home, key="wifi")
        join_cell(graph, client, home, f"{home}/wifi")
        add_link(graph, f"{home}/router", "internet", f"{home}/line", lines[index % len(lines)], key="lines")
        add_sensors(
            graph, home, wearables, what="wearable", profile=wearable, stream_rate=stream_rate, link=body_link,
            keys=("wearable", "body_link"),
        )  # fmt: skip
    return graph
