"""A mesh: gateways of wards or huts that relay for each other, hop by hop, to one portal."""

from __future__ import annotations

import networkx as nx

from topologies.parts import add_client, add_link, add_sensors, add_server, check_counts


def mesh(
    *,
    sites: int,
    columns: int = 3,
    gateway: str = "rpi_4b_4gb",
    hop: str = "wifi_pi4",
    uplink: str = "adsl_rural",
    sensors: int = 2,
    sensor: str = "esp32_s3",
    stream_rate: str = "8640 bit/s",
    sensor_link: str = "ble_4_2_dle_1m",
    server: str = "cloud_x86_8vcpu",
) -> nx.Graph:
    """Return a grid of gateways, each linked to the one left of it and the one above it.

    Site ``k`` (from 0) stands in row ``k // columns`` and column ``k % columns``. The first, ``site-01/gateway``, is
    next to ``portal``, from which ``uplink`` leads to ``server``; hops are called ``site-04/hop-up`` and
    ``site-05/hop-left``. Routes take the fewest hops. Sensors stream to the gateway of their own site.

    Args:
        sites: Number of clients.
        columns: Width of the grid; 1 gives a chain.
        gateway: Device profile of every client; it relays for those farther out.
        hop: Link profile between neighbours.
        uplink: Link profile between portal and server, shared by all.
        sensors: Sensors of a site.
        sensor: Device profile of a sensor.
        stream_rate: What a sensor sends to its gateway without pause.
        sensor_link: Link profile between sensor and gateway.
        server: Device profile of the server.

    Raises:
        ValueError: A number below 1, or sensors below 0.

    Each hop is a half-duplex medium of its own, as if neighbours worked on different channels. On one channel a chain
    of hops shares air time: three hops in a row leave a third of the rate, to be given by a ``links:`` profile. Routes
    stay for the whole run: a relay that fails cuts off those behind it, even where another way is left.
    """
    check_counts(sites=sites, columns=columns)
    graph = nx.Graph()
    add_server(graph, server)
    graph.add_node("portal", kind="router")
    add_link(graph, "portal", "server", "uplink", uplink, key="uplink")
    names = [f"site-{index + 1:02d}" for index in range(sites)]
    for index, site in enumerate(names):
        client = add_client(graph, site, gateway)
        row, column = divmod(index, columns)
        if index == 0:
            add_link(graph, client, "portal", f"{site}/hop-portal", hop, key="hop")
        if column > 0:
            add_link(graph, client, f"{names[index - 1]}/gateway", f"{site}/hop-left", hop, key="hop")
        if row > 0:
            add_link(graph, client, f"{names[index - columns]}/gateway", f"{site}/hop-up", hop, key="hop")
        add_sensors(
            graph, site, sensors, what="sensor", profile=sensor, stream_rate=stream_rate, link=sensor_link,
            keys=("sensor", "sensor_link"),
        )  # fmt: skip
    return graph
