"""Network partitions: every link between a set of nodes and the rest is cut at once."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams


def partition(
    view: View,
    streams: Streams,
    *,
    nodes: Names | None = None,
    sites: Names | None = None,
    at: str | list[str],
    for_: str,
    cause: str = "partition",
) -> Iterator[Outage]:
    """Yield an outage of each link on the boundary of the set, at each time. Draws nothing.

    The boundary holds the links with exactly one end in the set; links inside it and outside it stay up.

    Args:
        view: The network.
        streams: Not used.
        nodes: Names or patterns of nodes in the set.
        sites: Names or patterns of sites, all of whose nodes are in the set.
        at: Virtual time of the start, one or several.
        for_: Length (``for`` in a scenario).
        cause: For people.

    Raises:
        ParameterError: No such node or site, none at all, a time out of range, or a set without boundary.
    """
    reader = Reader()
    if not nodes and not sites:
        reader.refuse("", "names no nodes; give nodes: or sites:")
    inside = set(reader.names(view.match_nodes, "nodes", nodes))
    chosen = reader.names(view.match_sites, "sites", sites)
    inside |= {node.name for node in view.nodes if node.site in chosen}
    starts, length_s = reader.times("at", at), reader.value("for", for_)
    boundary = sorted(link.name for link in view.links if (link.leaf in inside) != (link.root in inside))
    if not boundary and not reader.faults:
        reader.refuse("nodes" if nodes else "sites", "no link leads out of this set of nodes, so there is none to cut")
    reader.done()
    yield from (
        Outage(start_s, start_s + length_s, link, cause)
        for start_s in starts
        if start_s < view.horizon_s
        for link in boundary
    )
