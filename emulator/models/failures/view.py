"""What a failure model sees of the network, and how it names targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from emulator.plan import Link, Node
from emulator.registry import nearest
from emulator.topology.params import ParameterError


@dataclass(frozen=True)
class Reliability:
    """Mean time a link is up between outages and mean length of an outage; None where the profile has no figure."""

    mtbf_s: float | None = None
    mttr_s: float | None = None


@dataclass(frozen=True)
class View:
    """The network as a failure model sees it.

    Attributes:
        nodes: Sorted by name.
        links: Sorted by name.
        horizon_s: No outage that starts at or after this time is wanted.
        starts_at_s: Time of day at virtual time 0, in seconds after midnight.
        reliability: By link name.
        on_battery: Nodes that a power cut of their site leaves running.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    horizon_s: float
    starts_at_s: float = 0.0
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    on_battery: frozenset[str] = frozenset()

    def match_nodes(self, patterns: Iterable[str], key: str) -> list[str]:
        """Return the names of nodes that match any pattern (``*``, ``?``, ``[1-3]``), sorted."""
        return match(patterns, [node.name for node in self.nodes], what="node", key=key)

    def match_links(self, patterns: Iterable[str], key: str) -> list[str]:
        """Return the names of links that match any pattern, sorted."""
        return match(patterns, [link.name for link in self.links], what="link", key=key)

    def match_sites(self, patterns: Iterable[str], key: str) -> list[str]:
        """Return the sites that match any pattern, sorted."""
        return match(patterns, sorted({node.site for node in self.nodes if node.site}), what="site", key=key)

    def mains_nodes(self, site: str) -> list[str]:
        """Return the names of the nodes of ``site`` that a power cut stops, sorted."""
        return [node.name for node in self.nodes if node.site == site and node.name not in self.on_battery]

    def match_targets(self, patterns: Iterable[str], key: str) -> list[str]:
        """Return the names of nodes and links that match any pattern, sorted."""
        names = [node.name for node in self.nodes] + [link.name for link in self.links]
        return match(patterns, names, what="node or link", key=key)


def match(patterns: Iterable[str], names: list[str], *, what: str, key: str) -> list[str]:
    """Return the ``names`` that match any of ``patterns`` (fnmatch, case counts), sorted.

    Raises:
        ParameterError: A pattern that matches nothing; names the nearest.
    """
    found: set[str] = set()
    faults = []
    for pattern in patterns:
        hits = [name for name in names if fnmatchcase(name, pattern)]
        if not hits:
            hint = nearest(pattern, names) or f"; for example {sorted(names)[0]!r}" if names else ""
            faults.append((key, f"no {what} matches {pattern!r}{hint}"))
        found.update(hits)
    if faults:
        raise ParameterError(faults)
    return sorted(found)
