"""A tree: sites behind the backhauls of their districts."""

from __future__ import annotations

import networkx as nx

from topologies.parts import add_client, add_link, add_server, check_counts


def tree(
    *,
    sites: int,
    sites_per_district: int = 4,
    gateway: str = "rpi_4b_4gb",
    access: str = "vdsl2",
    backhaul: str = "adsl_rural",
    core: str = "cloud_port",
    server: str = "cloud_x86_8vcpu",
) -> nx.Graph:
    """Return districts of sites; all traffic of a district shares its backhaul.

    Each site has ``site-01/gateway`` (the Flower client) and ``site-01/access`` to the router ``district-01/exchange``,
    from which ``district-01/backhaul`` leads to ``internet`` and ``core`` to ``server``. Sites fill districts in order.
    An exchange stands at the site ``district-01``, so that a power cut there takes the whole district off the net.

    Args:
        sites: Number of clients.
        sites_per_district: Sites that share a backhaul.
        gateway: Device profile of every client.
        access: Link profile between site and exchange.
        backhaul: Link profile between exchange and internet, shared by the district.
        core: Link profile between internet and server.
        server: Device profile of the server.

    Raises:
        ValueError: A number below 1.

    Leaves out that access profiles were measured up to a service, so that their delay holds some of the backhaul's.
    """
    check_counts(sites=sites, sites_per_district=sites_per_district)
    graph = nx.Graph()
    add_server(graph, server)
    graph.add_node("internet", kind="router")
    add_link(graph, "internet", "server", "core", core, key="core")
    for index in range(sites):
        district = f"district-{index // sites_per_district + 1:02d}"
        if f"{district}/exchange" not in graph:
            graph.add_node(f"{district}/exchange", kind="router", site=district)
            add_link(graph, f"{district}/exchange", "internet", f"{district}/backhaul", backhaul, key="backhaul")
        site = f"site-{index + 1:02d}"
        client = add_client(graph, site, gateway)
        add_link(graph, client, f"{district}/exchange", f"{site}/access", access, key="access")
    return graph
