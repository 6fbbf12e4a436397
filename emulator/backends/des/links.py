"""The links of a run at a moment: what both transfer models, and whoever asks for a round trip, look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from emulator.backends.des.timeline import DIRECTIONS, Medium
from emulator.plan import Direction, Hop, Link


class Links:
    """All links by name; a transfer model that takes over from another one finds them as they are."""

    def __init__(self, links: Iterable[Link]) -> None:
        self._media = {link.name: Medium(link, index) for index, link in enumerate(links)}

    def __getitem__(self, name: str) -> Medium:
        """Return a link.

        Raises:
            ValueError: No link has this name.
        """
        try:
            return self._media[name]
        except KeyError:
            raise ValueError(f"unknown link {name!r}; known: {', '.join(self._media) or 'none'}") from None

    def __iter__(self) -> Iterator[Medium]:
        """Yield the links in the plan's order."""
        return iter(self._media.values())

    def delay_s(self, hop: Hop, now_s: float) -> float:
        """Return the one-way propagation delay of a hop in the link's state at ``now_s``."""
        return self[hop.link].state_at(hop.direction, now_s).delay_s

    def rate_bps(self, link: str, direction: Direction, now_s: float) -> float:
        """Return the rate of one direction of a link at ``now_s``, at the IP layer; 0 while the link is down."""
        medium = self[link]
        return medium.state_at(direction, now_s).rate_bps if medium.is_up else 0.0

    def rtt_s(self, hops: Sequence[Hop], now_s: float) -> float:
        """Return the propagation round trip over ``hops`` in the links' states at ``now_s``."""
        total_s = 0.0
        for hop in hops:
            medium = self[hop.link]
            for direction in DIRECTIONS:
                total_s += medium.state_at(direction, now_s).delay_s
        return total_s

    def is_path_up(self, hops: Sequence[Hop], now_s: float) -> bool:
        """Return whether every link of ``hops`` is up and has a rate in both directions at ``now_s``."""
        return all(self.rate_bps(hop.link, direction, now_s) > 0 for hop in hops for direction in DIRECTIONS)
