"""From a plan to what is built on Linux: hosts, wires, addresses and routes. Describes, starts nothing.

Every node of the plan is a host with one address, every link a wire between two hosts. Hosts forward, and know the
way to the server and back along the plan's routes and no other, so that packets take the links that the plan says and
nothing reaches further. Names are short because the kernel allows an interface 15 characters.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from itertools import pairwise

from emulator.plan import Link, Plan

FIRST_ADDRESS = ipaddress.IPv4Address("10.64.0.1")
MAX_HOSTS = 2**16
MTU_BYTES = 1500


@dataclass(frozen=True)
class Host:
    """A network namespace.

    Attributes:
        name: Short name on Linux (``h3``).
        node: The plan's node.
        address: Its one IPv4 address, on every interface.
        routes: Destination address to the wire and the neighbour's address, for every destination it has packets for.
    """

    name: str
    node: str
    address: str
    routes: tuple[Route, ...]


@dataclass(frozen=True, order=True)
class Route:
    """Packets for ``destination`` leave by ``wire`` to the neighbour ``via``."""

    destination: str
    wire: str
    via: str


@dataclass(frozen=True)
class Wire:
    """One link of the plan.

    Attributes:
        name: Short name on Linux (``w3``).
        link: The plan's link.
        leaf: Host at the end farther from the server; its interface is ``<wire>l``.
        root: Host at the nearer end; its interface is ``<wire>r``.
    """

    name: str
    link: Link
    leaf: str
    root: str

    @property
    def leaf_interface(self) -> str:
        """Name of the interface in the leaf host."""
        return f"{self.name}l"

    @property
    def root_interface(self) -> str:
        """Name of the interface in the root host."""
        return f"{self.name}r"


@dataclass(frozen=True)
class LiveNetwork:
    """Hosts and wires, in the plan's order."""

    hosts: tuple[Host, ...]
    wires: tuple[Wire, ...]

    def host_of(self, node: str) -> Host:
        """Return the host of the plan's node."""
        return next(host for host in self.hosts if host.node == node)

    def interfaces_of(self, host: str) -> list[str]:
        """Return the names of a host's interfaces."""
        leaf = [wire.leaf_interface for wire in self.wires if wire.leaf == host]
        return leaf + [wire.root_interface for wire in self.wires if wire.root == host]


def describe_network(plan: Plan) -> LiveNetwork:
    """Return the hosts and wires that carry out ``plan``.

    Raises:
        ValueError: The plan has more nodes than there are addresses.
    """
    if len(plan.nodes) > MAX_HOSTS:
        raise ValueError(f"{len(plan.nodes)} nodes; a live network has {MAX_HOSTS} addresses")
    address = {node.name: str(FIRST_ADDRESS + index) for index, node in enumerate(plan.nodes)}
    host = {node.name: f"h{index}" for index, node in enumerate(plan.nodes)}
    wires = tuple(Wire(f"w{index}", link, host[link.leaf], host[link.root]) for index, link in enumerate(plan.links))
    routes = _routes(plan, address, {wire.link.name: wire.name for wire in wires})
    hosts = tuple(
        Host(host[node.name], node.name, address[node.name], tuple(sorted(routes[node.name]))) for node in plan.nodes
    )
    return LiveNetwork(hosts, wires)


def _routes(plan: Plan, address: dict[str, str], wire: dict[str, str]) -> dict[str, set[Route]]:
    """Return each node's routes: along every planned route there and back."""
    routes: dict[str, set[Route]] = {node.name: set() for node in plan.nodes}
    for start, hops in plan.routes.items():
        here, passed = start, [start]
        for hop in hops:
            link = plan.link_by_name[hop.link]
            there = link.root if here == link.leaf else link.leaf
            routes[there].add(Route(address[start], wire[link.name], address[here]))
            passed.append(there)
            here = there
        for (before, after), hop in zip(pairwise(passed), hops, strict=True):
            routes[before].add(Route(address[here], wire[hop.link], address[after]))
    return routes
