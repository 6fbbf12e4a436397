"""SimPy glue for the transfer models: transfers as events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import NamedTuple

import simpy

from emulator.backends.des.links import Links
from emulator.backends.des.model import FlowEvent, TransferModel
from emulator.backends.des.network import Network
from emulator.backends.des.tcp.network import PacketNetwork
from emulator.backends.des.tcp.tier import Choice
from emulator.events import EventLog
from emulator.plan import Direction, Hop, Plan, way_back


class TimedOut(NamedTuple):
    """A request that was given up: the link died at ``cut_s``, when ``moved_bytes`` had been sent."""

    cut_s: float
    moved_bytes: float


@dataclass
class _Open:
    """A transfer under way, with what its log rows say; its pieces are flows of the transfer model, by name."""

    started_s: float
    size_bytes: int
    round: int
    source: str
    target: str
    msg: str
    note: str
    is_stalled: bool = False
    pieces: set[str] = field(default_factory=set)
    count: int = 0


@dataclass
class _Piece:
    """A flow of the transfer model: all of a transfer, or what a lane sends of it after a time-out."""

    transfer: str
    done: simpy.Event
    timeout_s: float
    is_whole: bool
    cut: TimedOut | None = None


class Transfers:
    """Starts and aborts transfers, and wakes SimPy when the transfer model has something to say.

    Until ``choose`` the fluid model holds the links' states; the model must be chosen before the first transfer.

    Attributes:
        links: The links' present states.
        is_chosen: Whether ``choose`` was called.
    """

    def __init__(self, env: simpy.Environment, plan: Plan, log: EventLog) -> None:
        self.env = env
        self.links = Links(plan.links)
        self.is_chosen = False
        self._model: TransferModel = Network(self.links)
        self._plan = plan
        self._log = log
        self._open: dict[str, _Open] = {}
        self._pieces: dict[str, _Piece] = {}
        self._armed_s = inf
        self._known_s = -inf  # until then the model has said what happens

    def choose(self, choice: Choice) -> None:
        """Take the model that the run's transfers go through from now on, and log it."""
        self.is_chosen = True
        self._log.append(
            self.env.now, "transfer_model", value=choice.events, unit="events", note=f"{choice.tier}: {choice.reason}"
        )
        if choice.tier == "packet":
            settings = self._plan.network
            self._touched.advance(self.env.now)
            self._model = PacketNetwork(
                self.links, self.env.now, seed=self._plan.seed, control=settings.congestion_control,
                queue_bytes=settings.queue_bytes, routes=_both_ways(self._plan),
            )  # fmt: skip

    def start(
        self,
        flow_id: str,
        hops: Sequence[Hop],
        size_bytes: int,
        *,
        round_trips: float,
        round_number: int,
        source: str,
        target: str,
        note: str,
        timeout_s: float = inf,
    ) -> simpy.Event:
        """Begin a transfer; the event returned triggers when its last byte is at the receiver.

        Its value is None then. Where it stands still for ``timeout_s``, its requests fail: the value is a ``TimedOut``, and the
        transfer stays open for ``go_on`` and ``finish``.
        """
        transfer = _Open(self.env.now, size_bytes, round_number, source, target, flow_id.split("/", 1)[1], note)
        self._open[flow_id] = transfer
        self._row("transfer_started", transfer, size_bytes=size_bytes)
        piece = self._pieces[flow_id] = _Piece(flow_id, self.env.event(), timeout_s, is_whole=True)
        transfer.pieces.add(flow_id)
        self._touched.start(flow_id, hops, size_bytes, self.env.now, extra_rtts=round_trips)
        return piece.done

    def go_on(
        self, flow_id: str, hops: Sequence[Hop], size_bytes: float, *, round_trips: float, timeout_s: float
    ) -> simpy.Event:
        """Send a piece of a transfer whose requests had failed; the event is as that of ``start``."""
        transfer = self._open[flow_id]
        transfer.count += 1
        name = f"{flow_id}~{transfer.count}"
        piece = self._pieces[name] = _Piece(flow_id, self.env.event(), timeout_s, is_whole=False)
        transfer.pieces.add(name)
        self._resumed(transfer)
        self._touched.start(name, hops, size_bytes, self.env.now, extra_rtts=round_trips)
        return piece.done

    def finish(self, flow_id: str) -> None:
        """End a transfer of which all pieces have arrived."""
        transfer = self._open.pop(flow_id)
        took_s = self.env.now - transfer.started_s
        self._row("transfer_finished", transfer, size_bytes=transfer.size_bytes, value=took_s)

    def abort(self, flow_id: str, why: str) -> None:
        """End a transfer whose sender or receiver is gone; its event never triggers."""
        self.settle()  # it may be over at this very moment
        transfer = self._open.pop(flow_id, None)
        if transfer is None:
            return
        delivered = sum(self._stop(name) for name in sorted(transfer.pieces))
        self._row("transfer_lost", transfer, size_bytes=min(int(delivered), transfer.size_bytes), note=why)

    def _stop(self, name: str) -> float:
        """Take a flow from the transfer model; return the bytes it had sent."""
        piece = self._pieces.pop(name)
        if piece.transfer in self._open:
            self._open[piece.transfer].pieces.discard(name)
        return self._touched.abort(name, self.env.now)

    def set_link_up(self, link: str, is_up: bool) -> None:
        """Take a link down or bring it back."""
        self._touched.set_link_up(link, is_up, self.env.now)

    def set_background(self, link: str, direction: Direction, rate_bps: float) -> None:
        """Set the constant-rate load that sensors put on a link."""
        self._touched.set_background(link, direction, rate_bps, self.env.now)

    def settle(self) -> None:
        """Bring the model to the present and deliver what has happened."""
        for event in self._touched.advance(self.env.now):
            self._deliver(event)

    def take_loads(self) -> list[tuple[str, Direction, float]]:
        """Return the IP bytes each link and direction carried since the last call."""
        self.settle()
        return self._touched.take_loads(self.env.now)

    def is_idle(self) -> bool:
        """Return whether no transfer will get anywhere unless something else happens first."""
        return self._model.is_idle()

    def look_ahead(self, until_s: float) -> None:
        """Let the model work ahead to ``until_s``, before which SimPy has nothing to do; wake it where something happens.

        An alarm that was overtaken by an earlier one rings in vain.
        """
        if until_s <= self._known_s:
            return
        next_s = self._model.next_event_s(until_s)
        self._known_s = until_s if next_s is None else next_s
        if next_s is None or next_s >= self._armed_s:
            return
        self._armed_s = next_s
        alarm = self.env.timeout(max(0.0, next_s - self.env.now))
        alarm.callbacks.append(partial(self._ring, next_s))

    @property
    def _touched(self) -> TransferModel:
        """The model, for a call after which it may see another future."""
        self._known_s = -inf
        return self._model

    def _ring(self, armed_s: float, _event: simpy.Event) -> None:
        if armed_s != self._armed_s:
            return
        self._armed_s = inf
        self.settle()

    def _deliver(self, event: FlowEvent) -> None:
        piece = self._pieces.get(event.flow_id)
        if piece is None:
            return
        transfer = self._open[piece.transfer]
        if event.kind == "finished":
            del self._pieces[event.flow_id]
            transfer.pieces.discard(event.flow_id)
            if piece.is_whole:
                self.finish(piece.transfer)
            piece.done.succeed()
        elif event.kind == "stalled":
            self._stalled(event, piece, transfer)
        else:
            piece.cut = None
            self._resumed(transfer)

    def _stalled(self, event: FlowEvent, piece: _Piece, transfer: _Open) -> None:
        piece.cut = cut = TimedOut(event.t_s, event.delivered_bytes)
        if not transfer.is_stalled:
            transfer.is_stalled = True
            self._row("transfer_stalled", transfer, note=f"{event.link} is down")
        if piece.timeout_s < inf:
            alarm = self.env.timeout(max(0.0, event.t_s + piece.timeout_s - self.env.now))
            alarm.callbacks.append(lambda _event: self._give_up(event.flow_id, piece, cut))

    def _resumed(self, transfer: _Open) -> None:
        if transfer.is_stalled:
            transfer.is_stalled = False
            self._row("transfer_resumed", transfer)

    def _give_up(self, name: str, piece: _Piece, cut: TimedOut) -> None:
        """The request that has stood still since ``cut`` fails, unless something came meanwhile."""
        self.settle()
        if piece.cut is not cut or self._pieces.get(name) is not piece:
            return
        self._stop(name)
        self._row("request_timed_out", self._open[piece.transfer], size_bytes=int(cut.moved_bytes))
        piece.done.succeed(cut)

    def _row(
        self,
        kind: str,
        transfer: _Open,
        *,
        size_bytes: int | None = None,
        value: float | None = None,
        note: str | None = None,
    ) -> None:
        self._log.append(
            self.env.now,
            kind,
            round=transfer.round,
            node=transfer.source,
            peer=transfer.target,
            msg=transfer.msg,
            size_bytes=size_bytes,
            value=value,
            unit="s" if value is not None else "",
            note=transfer.note if note is None else note,
        )


def _both_ways(plan: Plan) -> list[tuple[Hop, ...]]:
    """Return the routes of all clients, there and back."""
    ups = [plan.routes[client.name] for client in plan.clients]
    return ups + [way_back(hops) for hops in ups]
