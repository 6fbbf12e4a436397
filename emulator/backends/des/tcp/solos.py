"""The transfers now alone on their paths: worked out when they start, put into the engine when they no longer are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from emulator.backends.des.tcp.clock import NEVER_NS
from emulator.backends.des.tcp.connection import Connection
from emulator.backends.des.tcp.control import make
from emulator.backends.des.tcp.engine import Engine
from emulator.backends.des.tcp.lanes import Way
from emulator.backends.des.tcp.solo import Outcome, Solo
from emulator.backends.des.tcp.stack import Stack
from emulator.backends.des.tcp.state import SocketState
from emulator.network_settings import ControlName
from emulator.plan import Hop
from emulator.rng import derive_seed

REMEMBERED: Final = 10_000
"""Outcomes kept for transfers that are like an earlier one in everything but the time."""


@dataclass(frozen=True)
class Opening:
    """All with which a transfer begins.

    Attributes:
        name: Of the flow.
        path: Links from sender to receiver.
        size_bytes: Payload.
        open_ns: When the first packet is sent.
        round_trips: Exchanges before the data.
        rtt_s: Round trip of propagation.
        window_bytes: First window.
        control: Congestion control.
    """

    name: str
    path: tuple[Hop, ...]
    size_bytes: int
    open_ns: int
    round_trips: int
    rtt_s: float
    window_bytes: int
    control: ControlName


class Solos:
    """Transfers that have every pipe of their path to themselves.

    Where nothing is left to chance, a transfer takes as long as any other of its size over such a path, to within the
    millisecond in which TCP's clock ticks; such outcomes are remembered, so that the messages of a round cost one solo.

    Args:
        engine: Tells when a solo ends.
        seed: Of the losses and the jitter; each transfer has its own stream.
        stack: The end hosts.
        connect: Makes the connection of a transfer.
        finished: Told of a transfer whose last byte has arrived, its size, and when.
        handed: Told of a connection that goes on in the engine.
    """

    def __init__(
        self,
        engine: Engine,
        seed: int,
        stack: Stack,
        *,
        connect: Callable[[Opening], Connection],
        finished: Callable[[str, int, int], None],
        handed: Callable[[Connection], None],
    ) -> None:
        self._engine = engine
        self._seed = seed
        self._stack = stack
        self._connect = connect
        self._finished = finished
        self._handed = handed
        self._booked: dict[str, _Booked] = {}
        self._outcomes: dict[object, Outcome] = {}

    def __contains__(self, name: object) -> bool:
        """Return whether a transfer is worked out as a solo."""
        return name in self._booked

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._booked)

    def names(self) -> list[str]:
        """Return the transfers, in order of their start."""
        return list(self._booked)

    def book(self, opening: Opening, way: Way, before_ns: int) -> None:
        """Work out a transfer, up to ``before_ns``, until when nothing about its path is planned to change."""
        booked = self._booked[opening.name] = _Booked(opening, way)
        key = booked.key()
        outcome = self._outcomes.get(key) if key else None
        if outcome is None or opening.open_ns + outcome.took_ns > before_ns:
            booked.solo = solo = self._work_out(booked, before_ns)
            outcome = solo.outcome(opening.open_ns)
            if key and outcome.is_finished and len(self._outcomes) < REMEMBERED:
                self._outcomes[key] = outcome
        booked.outcome = outcome
        self._engine.at(opening.open_ns + outcome.took_ns, self._due, booked)

    def hand_over(self, name: str, now_ns: int) -> None:
        """Put a transfer into the engine as it is at ``now_ns``."""
        booked = self._booked.pop(name)
        opening = booked.opening
        if now_ns < opening.open_ns:
            connection = self._connect(opening)
            self._handed(connection)
            self._engine.at(opening.open_ns, connection.open)
            return
        solo = self._work_out(booked, now_ns)
        if solo.is_finished:
            solo.settle()
            self._finished(name, opening.size_bytes, now_ns)
        else:
            connection = self._connect(opening)
            self._handed(connection)
            solo.hand_over(connection)

    def _due(self, now_ns: int, booked: _Booked) -> None:
        opening = booked.opening
        name = opening.name
        if self._booked.get(name) is not booked:
            return
        if not booked.outcome.is_finished:
            self.hand_over(name, now_ns)
            return
        del self._booked[name]
        if booked.solo:
            booked.solo.settle()
        else:
            for pipe, (busy_ns, free_ns, carried_bytes, size_bytes) in zip(
                booked.way.pipes, booked.outcome.pipes, strict=True
            ):
                pipe.carried_bytes += carried_bytes
                pipe.take_over(now_ns, opening.open_ns + busy_ns, opening.open_ns + free_ns, size_bytes)
        self._finished(name, opening.size_bytes, now_ns)

    def _work_out(self, booked: _Booked, until_ns: int) -> Solo:
        opening = booked.opening
        draw = random.Random(derive_seed(self._seed, "solo", opening.name)).random if booked.has_chance else _no_chance
        state = SocketState(self._stack)
        state.cwnd = opening.window_bytes
        solo = Solo(
            booked.way.route, opening.size_bytes, state, make(opening.control, _no_chance), draw,
            round_trips=opening.round_trips, known_rtt_s=opening.rtt_s,
        )  # fmt: skip
        solo.run(opening.open_ns, until_ns)
        return solo


class _Booked:
    """A transfer that is worked out, and the pipes it has to itself."""

    __slots__ = ("has_chance", "opening", "outcome", "solo", "way")

    def __init__(self, opening: Opening, way: Way) -> None:
        self.opening = opening
        self.way = way
        self.has_chance = any(pipe.loss or pipe.jitter_ns for pipe in way.pipes)
        self.solo: Solo | None = None
        self.outcome = Outcome(NEVER_NS, is_finished=False, pipes=())

    def key(self) -> object:
        """Return all that decides how long the transfer takes; None where chance or an earlier transfer does."""
        opening = self.opening
        if self.has_chance or any(pipe.transmitter.free_ns > opening.open_ns for pipe in self.way.pipes):
            return None
        pipes = tuple(pipe.constants for pipe in self.way.pipes)
        return opening.size_bytes, opening.round_trips, opening.window_bytes, opening.control, opening.rtt_s, pipes


def _no_chance() -> float:
    raise AssertionError("a path without loss and jitter draws nothing")
