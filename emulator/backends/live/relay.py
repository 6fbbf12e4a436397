"""The userspace shaper: carries every packet of a run from one end of its link to the other, as late as the link is long.

One process holds both ends of every link (TUN devices in two namespaces) and moves packets by the rules of ``lane``.
It is told by its standard input when the run's time 0 is (``start SECONDS``), and ends when that is closed. One step
of the loop: what is due is done in order of the time it was due at, then what has arrived is taken in.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import select
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from emulator.backends.live.capture import Capture
from emulator.backends.live.journal import Journal
from emulator.backends.live.lane import DEFAULT_QUEUE_BYTES, Lane, Medium
from emulator.backends.live.lateness import Lateness
from emulator.backends.live.linux import attach_tun, enter_network_of, make_timer, run_in_front, set_timer
from emulator.backends.live.network import MTU_BYTES
from emulator.backends.live.shaping import down_spans
from emulator.plan import Link, Plan, plan_from_json
from emulator.rng import derive_seed

TICK_S: Final = 0.01
LOAD_EVERY_S: Final = 1.0
READ_BYTES: Final = 65536
BURST: Final = 64
"""Packets taken from one device before others have their turn."""
LATE_S: Final = 1e-3


@dataclass(frozen=True)
class WireEnds:
    """Where a link's two devices are: process ids whose network namespaces hold them, and their names."""

    link: str
    leaf_process: int
    leaf_interface: str
    root_process: int
    root_interface: str


@dataclass
class _Direction:
    """One direction of a link on its way through the relay."""

    link: Link
    name: str
    lane: Lane
    source: int
    target: int
    capture: Capture | None
    late_limit_s: float
    late: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    refused: int = 0
    reported_bytes: int = 0


class Relay:
    """See the module docstring.

    Args:
        plan: The run's plan (its time 0 is the run's).
        ends: The devices of every link.
        journal: Gets the links' loads every second, and at the end the counters.
        captures: Folder for a capture file per link, or None.
    """

    def __init__(self, plan: Plan, ends: list[WireEnds], journal: Journal, captures: Path | None) -> None:
        self._plan, self._journal = plan, journal
        self._spans = down_spans(plan)
        self._agenda: list[tuple[float, int, _Direction | None, bytes | None]] = []
        self._order = 0
        self.lateness, self.ticks = Lateness(), Lateness()
        self._zero_s: float | None = None
        self._load_s = 0.0
        self._directions = [d for each in ends for d in self._open(each, captures)]
        self._by_source = {direction.source: direction for direction in self._directions}
        self._by_lane = {id(direction.lane): direction for direction in self._directions}

    def _open(self, ends: WireEnds, captures: Path | None) -> list[_Direction]:
        link = self._plan.link_by_name[ends.link]
        enter_network_of(ends.leaf_process)
        leaf = attach_tun(ends.leaf_interface)
        enter_network_of(ends.root_process)
        root = attach_tun(ends.root_interface)
        capture = None if captures is None else Capture(captures / f"{link.name.replace('/', '_')}.pcap")
        made, medium = [], Medium()
        for name, states, source, target in (("up", link.up, leaf, root), ("down", link.down, root, leaf)):
            draws = Random(derive_seed(self._plan.seed, "live", link.name, name))
            queue_bytes = link.queue_bytes or DEFAULT_QUEUE_BYTES
            lane = Lane(states[:1], queue_bytes, (), draws, medium if link.is_shared_medium else Medium())
            slowest_bps = min((s.rate_bps for s in states if s.rate_bps > 0), default=1.0)
            limit_s = max(LATE_S, 0.1 * 8 * MTU_BYTES / slowest_bps)
            made.append(_Direction(link, name, lane, source, target, capture, limit_s))
        return made

    def run(self, control: int) -> None:
        """Carry packets until ``control`` is closed."""
        timer, poller = make_timer(), select.epoll()
        for descriptor in (control, timer, *self._by_source):
            poller.register(descriptor, select.EPOLLIN)
        self._later(time.monotonic() + TICK_S, None, None)
        while True:
            self._do_what_is_due()
            set_timer(timer, self._agenda[0][0])
            for descriptor, _ in poller.poll():
                if descriptor == timer:
                    os.read(timer, 8)
                elif descriptor == control:
                    if not self._obey(os.read(control, 4096)):
                        return
                else:
                    self._take_in(self._by_source[descriptor])

    def _obey(self, text: bytes) -> bool:
        """Carry out a command; returns False when there will be no more."""
        if not text:
            return False
        self._zero_s = zero_s = float(text.split()[1])
        self._load_s = zero_s
        for direction in self._directions:
            direction.reported_bytes = direction.lane.counters.sent_bytes
            states = direction.link.up if direction.name == "up" else direction.link.down
            direction.lane.states = tuple(replace(state, from_s=state.from_s + zero_s) for state in states)
            spans = self._spans[direction.link.name]
            direction.lane.down = tuple((start_s + zero_s, end_s + zero_s) for start_s, end_s in spans)
        return True

    def _later(self, at_s: float, direction: _Direction | None, packet: bytes | None) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (at_s, self._order, direction, packet))

    def _do_what_is_due(self) -> None:
        agenda = self._agenda
        now_s = time.monotonic()
        while agenda and agenda[0][0] <= now_s:
            due_s, _, direction, packet = heapq.heappop(agenda)
            if direction is None:
                self.ticks.add(now_s - due_s)
                if self._zero_s is not None and due_s >= self._load_s + LOAD_EVERY_S:
                    self._report_loads(due_s)
                self._later(max(due_s + TICK_S, now_s), None, None)
            elif packet is None:
                self._has_sent(direction)
            else:
                self._deliver(direction, packet, due_s)
            now_s = time.monotonic()

    def _take_in(self, direction: _Direction) -> None:
        for _ in range(BURST):
            try:
                packet = os.read(direction.source, READ_BYTES)
            except BlockingIOError:
                return
            done_s = direction.lane.offer(packet, time.monotonic())
            if done_s is not None:
                self._later(done_s, direction, None)

    def _has_sent(self, direction: _Direction) -> None:
        lane, medium = direction.lane, direction.lane.medium
        assert medium.sending is not None  # the agenda holds an entry for each packet being sent
        # half duplex: the entry may have been made when the other direction's packet ended
        direction = self._by_lane[id(medium.sending[0])]
        sent, next_s = lane.sent()
        if next_s is not None:
            self._later(next_s, direction, None)
        if direction.capture is not None:
            direction.capture.write(sent.packet, sent.at_s)
        if sent.due_s is not None:
            self._later(sent.due_s, direction, sent.packet)

    def _deliver(self, direction: _Direction, packet: bytes, due_s: float) -> None:
        try:
            os.write(direction.target, packet)
        except OSError:  # the device at the other end is gone, or its queue is full
            direction.refused += 1
            return
        late_s = time.monotonic() - due_s
        self.lateness.add(late_s)
        direction.delivered += 1
        direction.delivered_bytes += len(packet)
        direction.late += late_s > direction.late_limit_s

    def _report_loads(self, at_s: float) -> None:
        """Write down what each link carried since the last time; entries are worked off in order, so the count is exact."""
        for direction in self._directions:
            carried = direction.lane.counters.sent_bytes - direction.reported_bytes
            if carried:
                direction.reported_bytes += carried
                self._journal.write(
                    "load", at_s, link=direction.link.name, peer=direction.name, size_bytes=carried,
                    since_s=self._load_s,
                )  # fmt: skip
        self._load_s = at_s

    def report(self) -> dict[str, Any]:
        """Return counters per link and direction, and lateness."""
        return {
            "lateness": self.lateness.to_dict(),
            "ticks": self.ticks.to_dict(),
            "directions": [
                {
                    "link": d.link.name, "direction": d.name, "delivered": d.delivered, "refused": d.refused,
                    "delivered_bytes": d.delivered_bytes,
                    "late": d.late, **vars(d.lane.counters),
                }
                for d in self._directions
            ],
        }  # fmt: skip

    def close(self) -> None:
        """Write down the last loads and the counters; close the captures."""
        if self._zero_s is not None:
            self._report_loads(time.monotonic())
        self._journal.write("relay", **self.report())
        for direction in self._directions:
            if direction.capture is not None:
                direction.capture.close()


def main(job_path: str) -> None:
    """Run the relay that the job file describes."""
    job = json.loads(Path(job_path).read_text())
    plan = plan_from_json(Path(job["plan"]).read_bytes())
    journal = Journal(Path(job["journals"]), "relay")
    captures = Path(job["captures"]) if job["captures"] else None
    relay = Relay(plan, [WireEnds(**ends) for ends in job["wires"]], journal, captures)
    in_front = run_in_front()
    gc.freeze()
    gc.disable()
    journal.write("relay_ready", in_front=in_front)
    try:
        relay.run(sys.stdin.fileno())
    finally:
        relay.close()


if __name__ == "__main__":
    main(sys.argv[1])
