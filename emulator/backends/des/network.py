"""The fluid network engine: the time course of many TCP transfers over paths of links that change and fail.

It knows nothing of SimPy: whoever owns the clock asks for ``next_event_s`` and calls ``advance``. Rates are piecewise
constant between events and weighted max-min fair (weights 1/RTT) under each flow's own bound (slow start, random loss).
Left out: ACK traffic, retransmitted bytes, queueing delay, unfairness beyond the RTT weights, regrowth after congestion
losses, loss of what is in flight when a link is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from emulator.backends.des.agenda import Agenda
from emulator.backends.des.allocation import Allocation
from emulator.backends.des.flow import Flow, Phase, Step, path_facts
from emulator.backends.des.links import Links
from emulator.backends.des.model import FlowEvent, TransferModel
from emulator.backends.des.timeline import DIRECTIONS, TICK_S, Medium
from emulator.backends.des.transfer import GOODPUT, INITIAL_WINDOW, probe_time, syn_time
from emulator.plan import Direction, Hop, Link

__all__ = ["FlowEvent", "Network"]


class Network(TransferModel):
    """All links and all transfers in progress, as rates (see ``TransferModel``).

    Bytes on links are payload * 1500/1448.
    """

    def __init__(self, links: Links | Iterable[Link], now_s: float = 0.0) -> None:
        super().__init__(links, now_s)
        self._flows: dict[str, Flow] = {}
        self._allocation = Allocation()
        self._started = 0
        self._agenda = Agenda()

    def start(
        self,
        flow_id: str,
        hops: Sequence[Hop],
        size_bytes: float,
        now_s: float,
        *,
        extra_rtts: float = 2.0,
        extra_latency_s: float = 0.0,
        initial_window: float = INITIAL_WINDOW,
    ) -> None:
        """Begin a transfer along ``hops``, from sender to receiver.

        It waits ``extra_rtts`` round trips (TCP and TLS handshakes; 0 on a connection that is open) and
        ``extra_latency_s``, then sends in slow start from ``initial_window`` segments, and is finished one one-way
        delay after its last byte left. Without hops (both ends on one node) it is finished after ``extra_latency_s``.

        Raises:
            ValueError: The id is in use, the size is negative, or a hop names an unknown link.
        """
        self._check_new(flow_id, flow_id in self._flows, size_bytes)
        self._catch_up(now_s)
        media = tuple((self.links[hop.link], hop.direction) for hop in hops)
        for medium, _ in media:
            self._bring(medium)
        flow = Flow(
            flow_id=flow_id, order=self._started, hops=tuple(hops), media=media, size_bytes=float(size_bytes),
            setup_rtts=extra_rtts, extra_latency_s=extra_latency_s, initial_window=initial_window,
            path=path_facts(media), remaining_bytes=float(size_bytes), settled_s=self._now_s,
        )  # fmt: skip
        self._started += 1
        self._flows[flow_id] = flow
        for medium, _ in media:
            medium.watchers[flow] = None
            self._agenda.watch(medium)
        if flow.path.down_link:
            flow.cut(self._now_s, flow.path)
            self._stall(flow)
        else:
            self._connect(flow)

    def abort(self, flow_id: str, now_s: float) -> float:
        """End a transfer and return the payload bytes that had left the sender.

        Raises:
            KeyError: No such transfer is in progress.
        """
        self._catch_up(now_s)
        flow = self._flows[flow_id]
        flow.settle(self._now_s)
        if flow.phase is Phase.SENDING:
            self._allocation.leave(flow)
        self._remove(flow)
        return flow.sent_bytes

    def set_link_up(self, link: str, is_up: bool, now_s: float) -> None:
        """Bring a link up or down in both directions; saying so twice changes nothing."""
        self._catch_up(now_s)
        medium = self.links[link]
        self._bring(medium)
        if medium.is_up != is_up:
            medium.set_up(is_up)
            self._changed(medium)

    def set_background(self, link: str, direction: Direction, rate_bps: float, now_s: float) -> None:
        """Set the constant load (IP bit/s) on one direction of a link; it goes before all flows."""
        self._catch_up(now_s)
        medium = self.links[link]
        self._bring(medium)
        medium.set_background(direction, rate_bps)
        self._changed(medium)

    def next_event_s(self, before_s: float = inf) -> float | None:
        """Return when ``advance`` is next needed; None if nothing will happen by ``before_s`` without a further call."""
        if self._outbox:
            return self._now_s
        self._solve()
        next_s = self._agenda.next_s()
        return None if next_s > before_s or next_s == inf else max(next_s, self._now_s)

    def is_idle(self) -> bool:
        """Return whether nothing will ever happen without a further call."""
        return self.next_event_s() is None

    def take_loads(self, now_s: float) -> list[tuple[str, Direction, float]]:
        """Return the IP bytes each link and direction carried since the last call, background included, where above 0.

        A byte counts on every link of its path at the moment it leaves the sender.
        """
        self._forward(now_s)
        for flow in self._flows.values():
            flow.settle(self._now_s)
            self._count(flow)
        loads: list[tuple[str, Direction, float]] = []
        for medium in self.links:
            self._bring(medium)
            for direction in DIRECTIONS:
                if medium.carried[direction] > 0:
                    loads.append((medium.name, direction, medium.carried[direction]))
                    medium.carried[direction] = 0.0
        return loads

    def active_flows(self) -> list[str]:
        """Return the ids of the transfers in progress, in order of their start."""
        return list(self._flows)

    # -- time ---------------------------------------------------------------------------------------------------------

    def _run(self, to_s: float) -> None:
        while True:
            self._solve()
            now_s = self._agenda.next_s()
            if now_s > to_s:
                break
            self._now_s = max(self._now_s, now_s)
            while self._agenda.next_s() <= now_s + TICK_S:  # equal times are one batch, solved once
                subject = self._agenda.pop()
                if isinstance(subject, Medium):
                    self._bring(subject)
                    self._agenda.watch(subject)
                else:
                    self._fire(subject)
        self._now_s = max(self._now_s, to_s)

    def _solve(self) -> None:
        if not self._allocation.is_dirty:
            return
        for flow, rate_bps in self._allocation.solve():
            if rate_bps != flow.rate_bps:
                flow.settle(self._now_s)
                flow.rate_bps = rate_bps
                self._agenda.schedule(flow, *flow.next_step())
            elif flow.deadline_s == inf:  # it fired at this time and goes on as before
                self._agenda.schedule(flow, *flow.next_step())

    # -- links --------------------------------------------------------------------------------------------------------

    def _bring(self, medium: Medium) -> None:
        """Bring a link to the present; tell its flows if its state changed on the way."""
        is_changing = medium.next_change_s <= self._now_s + TICK_S
        medium.roll(self._now_s)
        if is_changing:
            self._changed(medium)

    def _changed(self, medium: Medium) -> None:
        for direction in DIRECTIONS:
            self._allocation.touch(medium.resources[direction])
        for flow in list(medium.watchers):
            self._reroute(flow)

    def _reroute(self, flow: Flow) -> None:
        """Take over the present facts of the flow's path."""
        was, flow.path = flow.path, path_facts(flow.media)
        if was == flow.path:
            return
        if flow.phase is Phase.STALLED:
            self._retry(flow)
        elif flow.path.down_link:
            flow.cut(self._now_s, was)
            self._stall(flow)
        elif flow.phase is Phase.SENDING:
            flow.settle(self._now_s)
            self._allocation.leave(flow)
            if flow.path.loss != was.loss and not (flow.is_lossy and flow.path.loss > 0):
                flow.expect_loss()
            self._send(flow)

    # -- flows --------------------------------------------------------------------------------------------------------

    def _connect(self, flow: Flow) -> None:
        flow.phase = Phase.CONNECTING
        wait_s = flow.setup_rtts * flow.path.rtt_s + flow.extra_latency_s
        if flow.setup_rtts > 0:
            wait_s += flow.path.handshake_s
        self._agenda.schedule(flow, self._now_s + wait_s, Step.CONNECTED)

    def _send(self, flow: Flow) -> None:
        flow.phase = Phase.SENDING
        flow.settled_s = self._now_s
        flow.uses = tuple((medium.resources[d], medium.cost(d)) for medium, d in flow.media)
        self._allocation.enter(flow)

    def _fire(self, flow: Flow) -> None:
        """Carry out the step whose time has come."""
        step = flow.step
        flow.settle(self._now_s)
        if step is Step.CONNECTED:
            flow.is_connected = True
            if flow.remaining_bytes <= 0 or not flow.media:
                flow.remaining_bytes = 0.0
                self._drain(flow)
            else:
                flow.expect_loss()
                flow.start_round(self._now_s, flow.initial_window)
                self._send(flow)
        elif step is Step.ROUND:
            flow.end_round(self._now_s)
            self._allocation.rebound(flow)
            self._agenda.schedule(flow, *flow.next_step())
        elif step is Step.FIRST_LOSS:
            flow.remaining_bytes = flow.loss_from_bytes
            self._allocation.rebound(flow)
            self._agenda.schedule(flow, *flow.next_step())
        elif step is Step.SENT:
            flow.remaining_bytes = 0.0
            self._allocation.leave(flow)
            self._drain(flow)
        elif step is Step.RESUME:
            self._resume(flow)
        elif step is Step.DELIVERED:
            self._remove(flow)
            self._outbox.append(FlowEvent("finished", flow.flow_id, self._now_s, flow.size_bytes))

    def _drain(self, flow: Flow) -> None:
        flow.phase, flow.rate_bps = Phase.DRAINING, 0.0
        self._agenda.schedule(flow, self._now_s + flow.path.owd_s, Step.DELIVERED)
        self._unwatch(flow)  # what is under way arrives

    def _stall(self, flow: Flow) -> None:
        flow.settle(self._now_s)
        if flow.phase is Phase.SENDING:
            self._allocation.leave(flow)
        flow.phase, flow.rate_bps = Phase.STALLED, 0.0
        self._agenda.schedule(flow, inf, Step.RESUME)
        self._outbox.append(FlowEvent("stalled", flow.flow_id, self._now_s, flow.sent_bytes, flow.path.down_link))

    def _retry(self, flow: Flow) -> None:
        """Find the retransmission or SYN that gets through, now that the path of a stalled flow has changed."""
        if flow.path.down_link:
            self._agenda.schedule(flow, inf, Step.RESUME)
            return
        if flow.step is Step.RESUME and flow.deadline_s < inf:
            return  # a later change does not move a probe already on its way
        outage_s = self._now_s - flow.stalled_s
        if not flow.is_connected:
            after_s = syn_time(outage_s)
        elif outage_s < flow.cut_probe_s:
            after_s = outage_s
        else:
            after_s = probe_time(outage_s, flow.cut_probe_s, flow.cut_rto_s)
        self._agenda.schedule(flow, max(self._now_s, flow.stalled_s + after_s), Step.RESUME)

    def _resume(self, flow: Flow) -> None:
        self._outbox.append(FlowEvent("resumed", flow.flow_id, self._now_s, flow.sent_bytes))
        if not flow.is_connected:
            self._connect(flow)
            return
        if self._now_s - flow.stalled_s >= flow.cut_probe_s:
            flow.start_round(self._now_s, 1.0)
        elif flow.window != inf:
            flow.start_round(self._now_s, flow.window)
        self._send(flow)

    def _remove(self, flow: Flow) -> None:
        self._agenda.cancel(flow)
        self._count(flow)
        self._unwatch(flow)
        del self._flows[flow.flow_id]

    def _unwatch(self, flow: Flow) -> None:
        for medium, _ in flow.media:
            medium.watchers.pop(flow, None)

    def _count(self, flow: Flow) -> None:
        new_bytes = flow.sent_bytes - flow.counted_bytes
        flow.counted_bytes = flow.sent_bytes
        for medium, direction in flow.media:
            medium.carried[direction] += new_bytes / GOODPUT
