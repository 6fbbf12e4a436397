"""Links as the transfer models see them: the states of both directions over time, background load, and bytes carried."""

from __future__ import annotations

from bisect import bisect_right
from math import inf
from typing import TYPE_CHECKING, Final

from emulator.backends.des.transfer import GOODPUT

if TYPE_CHECKING:
    from emulator.backends.des.flow import Flow
    from emulator.plan import Direction, Link, LinkState

TICK_S: Final = 1e-9
"""Times closer than this are one time: the event log's resolution."""
DIRECTIONS: Final[tuple[Direction, Direction]] = ("up", "down")


class Resource:
    """Something flows share: one direction of a link, or a whole half-duplex medium.

    Attributes:
        capacity: Left for flows; payload bit/s, or a fraction of air time for a half-duplex medium.
        demand: What the flows would take at their own bounds, in the same unit.
        flows: Flows now sending through it (a dict used as an ordered set).
        was_tight: At the last solve, ``demand`` exceeded ``capacity``: the flows here depend on one another.
    """

    __slots__ = ("capacity", "demand", "flows", "was_tight")

    def __init__(self) -> None:
        self.capacity = 0.0
        self.demand = 0.0
        self.flows: dict[Flow, None] = {}
        self.was_tight = False

    @property
    def is_tight(self) -> bool:
        """True if not every flow can run at its bound; an excess of 1e-9 is rounding, not contention."""
        return self.demand > self.capacity * (1 + 1e-9)


class Medium:
    """One link at a moment that ``roll`` moves forward.

    Both directions of a half-duplex medium draw on the same air time: a flow at ``x`` bit/s where the direction's
    rate is ``R`` takes ``x / R`` of it. Background streams go first and never take more than there is; while the link
    is down they are lost.
    """

    def __init__(self, link: Link, index: int) -> None:
        self.name = link.name
        self.index = index
        self.is_shared = link.is_shared_medium
        self.queue_bytes = link.queue_bytes or 0.0
        self.congestion_control = link.congestion_control
        self.is_up = True
        self.now_s = 0.0
        self.watchers: dict[Flow, None] = {}  # unfinished flows whose path crosses the link, sending or not
        self.scheduled_s = inf  # time of the state change the engine has queued
        self.carried: dict[Direction, float] = {"up": 0.0, "down": 0.0}  # IP bytes since last taken
        self._background: dict[Direction, float] = {"up": 0.0, "down": 0.0}
        self._states: dict[Direction, tuple[LinkState, ...]] = {"up": link.up, "down": link.down}
        self._at: dict[Direction, int] = {"up": 0, "down": 0}
        shared = Resource()
        self.resources: dict[Direction, Resource] = {
            "up": shared,
            "down": shared if self.is_shared else Resource(),
        }
        self._refresh()

    def state(self, direction: Direction) -> LinkState:
        """Return the state of ``direction`` now."""
        return self._states[direction][self._at[direction]]

    def state_at(self, direction: Direction, time_s: float) -> LinkState:
        """Return the state of ``direction`` at any time."""
        states = self._states[direction]
        if len(states) == 1:
            return states[0]
        return states[max(0, bisect_right(states, time_s, key=lambda state: state.from_s) - 1)]

    def has_chance(self, direction: Direction) -> bool:
        """Return whether ``direction`` ever loses packets or varies in its delay."""
        return any(state.loss or state.jitter_s for state in self._states[direction])

    def most_bps(self, direction: Direction) -> float:
        """Return the highest rate that ``direction`` ever has."""
        return max(state.rate_bps for state in self._states[direction])

    def least_bps(self, direction: Direction) -> float:
        """Return the lowest rate that ``direction`` ever has."""
        return min(state.rate_bps for state in self._states[direction])

    @property
    def is_passing(self) -> bool:
        """True if packets and their ACKs get through: up, and both directions have a rate."""
        return self.is_up and self.state("up").rate_bps > 0 and self.state("down").rate_bps > 0

    @property
    def next_change_s(self) -> float:
        """Time of the next state in either direction; infinite after the last."""
        following = inf
        for direction in DIRECTIONS:
            states, after = self._states[direction], self._at[direction] + 1
            if after < len(states):
                following = min(following, states[after].from_s)
        return following

    def cost(self, direction: Direction) -> float:
        """Return the capacity that one payload bit/s in ``direction`` takes."""
        if not self.is_shared:
            return 1.0
        return 1.0 / (max(self.state(direction).rate_bps, 1e-9) * GOODPUT)

    def set_background(self, direction: Direction, rate_bps: float) -> None:
        """Set the constant load of ``direction`` from now on, in bit/s at the IP layer."""
        self._background[direction] = max(0.0, rate_bps)
        self._refresh()

    def set_up(self, is_up: bool) -> None:
        """Bring the link up or down from now on."""
        self.is_up = is_up
        self._refresh()

    def roll(self, to_s: float) -> None:
        """Move to ``to_s``: take over the states on the way and count the background bytes carried."""
        while (change_s := self.next_change_s) <= to_s + TICK_S:
            self._carry_background(change_s)
            for direction in DIRECTIONS:
                states = self._states[direction]
                while self._at[direction] + 1 < len(states) and states[self._at[direction] + 1].from_s <= change_s:
                    self._at[direction] += 1
        self._carry_background(to_s)
        self._refresh()

    def _carry_background(self, to_s: float) -> None:
        for direction, rate_bps in self._passing_background().items():
            self.carried[direction] += rate_bps * max(0.0, to_s - self.now_s) / 8
        self.now_s = max(self.now_s, to_s)

    def _passing_background(self) -> dict[Direction, float]:
        """Return the background rate that gets through in each direction."""
        if not self.is_up or not (self._background["up"] or self._background["down"]):
            return {}
        passing = {d: min(self._background[d], self.state(d).rate_bps) for d in DIRECTIONS}
        if self.is_shared:
            air_time = sum(passing[d] / self.state(d).rate_bps for d in DIRECTIONS if passing[d] > 0)
            if air_time > 1:
                passing = {d: rate / air_time for d, rate in passing.items()}
        return passing

    def _refresh(self) -> None:
        """Work out the capacity left for flows."""
        passing = self._passing_background()
        if self.is_shared:
            taken = sum(passing[d] / self.state(d).rate_bps for d in passing if passing[d] > 0)
            self.resources["up"].capacity = max(0.0, 1.0 - taken) if self.is_up else 0.0
            return
        for direction in DIRECTIONS:
            left_bps = self.state(direction).rate_bps - passing.get(direction, 0.0)
            self.resources[direction].capacity = max(0.0, left_bps) * GOODPUT if self.is_up else 0.0
