"""SimPy glue for the network engine: transfers as events, link loads as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import simpy

from emulator.backends.des.network import FlowEvent, Network
from emulator.events import EventLog
from emulator.plan import Direction, Hop, Plan


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
    """Starts and aborts transfers, and wakes SimPy when the engine has something to say.

    Only one alarm is armed at a time; one that rings early (because a later change moved the next event) re-arms itself.
    """

    def __init__(self, env: simpy.Environment, plan: Plan, log: EventLog) -> None:
        self.env = env
        self.network = Network(plan.links)
        self._log = log
        self._open: dict[str, _Open] = {}
        self._armed_s = float("inf")

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
        self.network.start(flow_id, hops, size_bytes, self.env.now, extra_rtts=round_trips)
        self.arm()
        return transfer.done

    def abort(self, flow_id: str, why: str) -> None:
        """End a transfer whose sender or receiver is gone; its event never triggers."""
        transfer = self._open.pop(flow_id, None)
        if transfer is None:
            return
        delivered = self.network.abort(flow_id, self.env.now)
        self._row("transfer_lost", transfer, size_bytes=int(delivered), note=why)
        self.arm()

    def set_link_up(self, link: str, is_up: bool) -> None:
        """Take a link down or bring it back."""
        self.network.set_link_up(link, is_up, self.env.now)
        self.arm()

    def set_background(self, link: str, direction: Direction, rate_bps: float) -> None:
        """Set the constant-rate load that sensors put on a link."""
        self.network.set_background(link, direction, rate_bps, self.env.now)
        self.arm()

    def settle(self) -> None:
        """Bring the engine to the present and deliver what has happened."""
        for event in self.network.advance(self.env.now):
            self._deliver(event)

    def arm(self) -> None:
        """Make sure SimPy wakes at the engine's next event."""
        self.settle()
        next_s = self.network.next_event_s()
        if next_s is None or next_s >= self._armed_s:
            return
        self._armed_s = next_s
        alarm = self.env.timeout(max(0.0, next_s - self.env.now))
        alarm.callbacks.append(partial(self._ring, next_s))

    def _ring(self, armed_s: float, _event: simpy.Event) -> None:
        if armed_s != self._armed_s:
            return  # an earlier alarm was armed since; it re-arms as needed
        self._armed_s = float("inf")
        self.arm()

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
