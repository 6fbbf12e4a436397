"""What the two transfer models have in common: their calls, a time that never falls, and what is still to be told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from math import inf
from typing import Literal, NamedTuple

from emulator.backends.des.links import Links
from emulator.backends.des.timeline import TICK_S
from emulator.plan import Direction, Hop, Link

FlowEventKind = Literal["finished", "stalled", "resumed"]


class FlowEvent(NamedTuple):
    """Something the owner of a flow should know.

    ``delivered_bytes`` is the payload sent so far (all of it when finished); ``link`` the first link of the path that
    lets nothing pass, for ``stalled``.
    """

    kind: FlowEventKind
    flow_id: str
    t_s: float
    delivered_bytes: float
    link: str = ""


class TransferModel(ABC):
    """All links and all transfers in progress.

    Calls carry the present time, which never falls; a call at a later time than the last first lets everything up to
    then happen, and what happened is returned by the next ``advance``. Sizes are payload bytes, bytes on links IP bytes.

    Attributes:
        links: The links.
    """

    def __init__(self, links: Links | Iterable[Link], now_s: float = 0.0) -> None:
        self.links = links if isinstance(links, Links) else Links(links)
        self._now_s = now_s
        self._outbox: list[FlowEvent] = []

    @abstractmethod
    def start(
        self, flow_id: str, hops: Sequence[Hop], size_bytes: float, now_s: float, *, extra_rtts: float = 2.0
    ) -> None:
        """Begin a transfer along ``hops``, from sender to receiver.

        It first waits ``extra_rtts`` round trips: handshakes of TCP and TLS, requests; 0 on a connection that is open.

        Raises:
            ValueError: The id is in use, the size is negative, or a hop names an unknown link.
        """

    @abstractmethod
    def abort(self, flow_id: str, now_s: float) -> float:
        """End a transfer and return the payload bytes that had left the sender.

        Raises:
            KeyError: No such transfer is in progress.
        """

    @abstractmethod
    def set_link_up(self, link: str, is_up: bool, now_s: float) -> None:
        """Bring a link up or down in both directions; saying so twice changes nothing."""

    @abstractmethod
    def set_background(self, link: str, direction: Direction, rate_bps: float, now_s: float) -> None:
        """Set the constant load (IP bit/s) on one direction of a link; it goes before all flows."""

    @abstractmethod
    def next_event_s(self, before_s: float = inf) -> float | None:
        """Return when ``advance`` is next needed; None if nothing will happen by ``before_s`` without a further call.

        The model may work ahead up to ``before_s``: until then no call may change anything.
        """

    @abstractmethod
    def is_idle(self) -> bool:
        """Return whether nothing will ever happen without a further call."""

    @abstractmethod
    def take_loads(self, now_s: float) -> list[tuple[str, Direction, float]]:
        """Return the IP bytes each link and direction carried since the last call, background included, where above 0."""

    @abstractmethod
    def active_flows(self) -> list[str]:
        """Return the ids of the transfers in progress, in order of their start."""

    @abstractmethod
    def _run(self, to_s: float) -> None:
        """Let everything up to ``to_s`` happen."""

    def advance(self, to_s: float) -> list[FlowEvent]:
        """Let everything up to ``to_s`` happen and return it in order of time, then of flow id."""
        self._forward(to_s)
        events, self._outbox = self._outbox, []
        return sorted(events, key=lambda event: (event.t_s, event.flow_id))

    def _forward(self, to_s: float) -> None:
        if to_s < self._now_s - TICK_S:
            raise ValueError(f"time would fall from {self._now_s} s to {to_s} s")
        self._run(to_s)

    def _catch_up(self, now_s: float) -> None:
        """Come to ``now_s`` before a change; changes at one time are worked out together, by the next ``advance``."""
        if now_s > self._now_s or now_s < self._now_s - TICK_S:
            self._forward(now_s)

    @staticmethod
    def _check_new(flow_id: str, is_known: bool, size_bytes: float) -> None:
        if is_known:
            raise ValueError(f"flow {flow_id!r} is already in progress")
        if not 0 <= size_bytes < inf:
            raise ValueError(f"flow {flow_id!r}: size must be 0 bytes or more, got {size_bytes}")
