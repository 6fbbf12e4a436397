"""SimPy glue for the transfer models: transfers as events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

import simpy

from emulator.backends.des.links import Links
from emulator.backends.des.model import FlowEvent, TransferModel
from emulator.backends.des.network import Network
from emulator.backends.des.tcp.network import PacketNetwork
from emulator.backends.des.tcp.tier import Choice
from emulator.events import EventLog
from emulator.plan import Direction, Hop, Plan, way_back


@dataclass
class _Open:
    """A transfer under way, with what its log rows say."""

    done: simpy.Event
    started_s: float
    size_bytes: int
    round: int
    source: str
    target: str
    msg: str
    note: str


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
        self._armed_s = inf

    def choose(self, choice: Choice) -> None:
        """Take the model that the run's transfers go through from now on, and log it."""
        self.is_chosen = True
        self._log.append(
            self.env.now, "transfer_model", value=choice.events, unit="events", note=f"{choice.tier}: {choice.reason}"
        )
        if choice.tier == "packet":
            settings = self._plan.network
            self._model.advance(self.env.now)
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
    ) -> simpy.Event:
        """Begin a transfer; the event returned triggers when its last byte is at the receiver."""
        transfer = _Open(
            self.env.event(), self.env.now, size_bytes, round_number, source, target, flow_id.split("/", 1)[1], note
        )
        self._open[flow_id] = transfer
        self._row("transfer_started", transfer, size_bytes=size_bytes)
        self._model.start(flow_id, hops, size_bytes, self.env.now, extra_rtts=round_trips)
        return transfer.done

    def abort(self, flow_id: str, why: str) -> None:
        """End a transfer whose sender or receiver is gone; its event never triggers."""
        self.settle()  # it may be over at this very moment
        transfer = self._open.pop(flow_id, None)
        if transfer is None:
            return
        delivered = self._model.abort(flow_id, self.env.now)
        self._row("transfer_lost", transfer, size_bytes=int(delivered), note=why)

    def set_link_up(self, link: str, is_up: bool) -> None:
        """Take a link down or bring it back."""
        self._model.set_link_up(link, is_up, self.env.now)

    def set_background(self, link: str, direction: Direction, rate_bps: float) -> None:
        """Set the constant-rate load that sensors put on a link."""
        self._model.set_background(link, direction, rate_bps, self.env.now)

    def settle(self) -> None:
        """Bring the model to the present and deliver what has happened."""
        for event in self._model.advance(self.env.now):
            self._deliver(event)

    def take_loads(self) -> list[tuple[str, Direction, float]]:
        """Return the IP bytes each link and direction carried since the last call."""
        self.settle()
        return self._model.take_loads(self.env.now)

    def is_idle(self) -> bool:
        """Return whether no transfer will get anywhere unless something else happens first."""
        return self._model.is_idle()

    def look_ahead(self, until_s: float) -> None:
        """Let the model work ahead to ``until_s``, before which SimPy has nothing to do; wake it where something happens.

        An alarm that was overtaken by an earlier one rings in vain.
        """
        next_s = self._model.next_event_s(until_s)
        if next_s is None or next_s >= self._armed_s:
            return
        self._armed_s = next_s
        alarm = self.env.timeout(max(0.0, next_s - self.env.now))
        alarm.callbacks.append(partial(self._ring, next_s))

    def _ring(self, armed_s: float, _event: simpy.Event) -> None:
        if armed_s != self._armed_s:
            return
        self._armed_s = inf
        self.settle()

    def _deliver(self, event: FlowEvent) -> None:
        transfer = self._open.get(event.flow_id)
        if transfer is None:
            return
        if event.kind == "finished":
            del self._open[event.flow_id]
            took_s = self.env.now - transfer.started_s
            self._row("transfer_finished", transfer, size_bytes=transfer.size_bytes, value=took_s)
            transfer.done.succeed()
        elif event.kind == "stalled":
            self._row("transfer_stalled", transfer, note=f"{event.link} is down")
        else:
            self._row("transfer_resumed", transfer)

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
