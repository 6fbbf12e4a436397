"""When TCP notices that an outage is over: Linux's kernel, the packet level and the fluid model side by side.

Every case is a connection of the kernel's own TCP between two network namespaces, over a link that this program makes from two
TUN devices: rate, delay, drop-tail queue, and a cut in which every packet is lost. One long transfer begins, the link is cut in
the middle of it and comes back after the outage. The program sees each packet, and so the instants at which the sender
probes the dead link, and when the first packet gets through to the other end. All cases run at once and in real time, some
five minutes; a probe is a packet of the sender more than 50 ms after the one before it.

The packet level and the fluid model get the same link, transfer and cut. A probe counts as met where the model has one
within 10 % of its time since the cut; so do resume times. An outage that ends within 10 % of one of Linux's probes may
resume one probe sooner or later; such cases are listed apart.

Usage: python benchmarks/outages.py [--record FILE.csv] [--replay FILE.csv] [--longest 120] [--control cubic]
Needs root, /dev/net/tun and network namespaces, unless --replay compares with a record. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import heapq
import json
import os
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "network"))
from outage_cases import (
    CUT_S,
    NEAR,
    ROUTES,
    Case,
    Route,
    is_ambiguous,
    model_of,
    probe_errors,
    read,
    spaced,
    write,
)

from emulator.plan import ControlName

OUTAGES_S = (
    1.0,
    1.5,
    2.0,
    3.0,
    4.0,
    6.0,
    8.0,
    12.0,
    16.0,
    20.0,
    25.0,
    30.0,
    40.0,
    50.0,
    60.0,
    75.0,
    90.0,
    105.0,
    120.0,
)
APART_S = 0.25
"""Cases start one after the other: the user-space link could not carry all at their full rates."""
CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454CA, 0x0001, 0x1000
PORT = 5001


# -- Linux ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Open sockets and devices in a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def command(text: str) -> None:
    subprocess.run(text.split(), check=True, capture_output=True)


def open_tun(namespace: str, address: str, peer: str) -> int:
    """Return a TUN device that is the namespace's only way out."""
    with inside(namespace):
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14x", b"tun0", IFF_TUN | IFF_NO_PI))
    for words in (
        f"addr add {address} peer {peer} dev tun0", "link set tun0 up mtu 1500", "link set lo up",
    ):  # fmt: skip
        command(f"ip -n {namespace} {words}")
    return tun


@dataclass
class Wire:
    """One direction of the link: a queue of packets, each with the time at which it leaves the far end."""

    path: Route
    out: int
    free_s: float = 0.0
    starts_s: deque[float] = field(default_factory=deque)
    epoch: int = 0

    def carry(self, now_s: float, size: int) -> float | None:
        """Return when a packet arrives; None where the queue is full."""
        while self.starts_s and self.starts_s[0] <= now_s:
            self.starts_s.popleft()
        if len(self.starts_s) >= self.path.queue_packets:
            return None
        start_s = max(now_s, self.free_s)
        if start_s > now_s:
            self.starts_s.append(start_s)
        self.free_s = start_s + size * 8 / self.path.rate_bps
        return self.free_s + self.path.delay_s

    def cut(self, now_s: float) -> None:
        """Lose what is under way."""
        self.epoch += 1
        self.starts_s.clear()
        self.free_s = now_s


class LinuxRun:
    """One case on the kernel's TCP."""

    def __init__(self, number: int, case: Case, control: str) -> None:
        self.case = case
        self.control = control
        self.names = (f"outage-{os.getpid()}-{number}s", f"outage-{os.getpid()}-{number}r")
        self.sent_s: list[float] = []
        self.resumed_s = 0.0
        self.cut_at_s = 0.0
        self.is_down = False
        self.is_over = False

    def open(self) -> None:
        """Make namespaces, devices and sockets."""
        for name in self.names:
            command(f"ip netns add {name}")
            command(f"ip netns exec {name} sysctl -qw net.ipv4.tcp_no_metrics_save=1 net.ipv4.tcp_window_scaling=0")
        sender, receiver = self.names
        self.tuns = (open_tun(sender, "10.9.0.1", "10.9.0.2"), open_tun(receiver, "10.9.0.2", "10.9.0.1"))
        self.wires = (Wire(self.case.path, self.tuns[1]), Wire(self.case.path, self.tuns[0]))
        with inside(receiver):
            self.listener = socket.create_server(("10.9.0.2", PORT))
        with inside(sender):
            self.sender = socket.socket()
            self.sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self.control.encode())
            self.sender.setblocking(False)

    def close(self) -> None:
        """Remove all that ``open`` made."""
        for name in ("sender", "listener", "accepted"):
            if hasattr(self, name):
                getattr(self, name).close()
        for tun in getattr(self, "tuns", ()):
            os.close(tun)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def note(self, now_s: float, packet: bytes) -> None:
        """Take down when the sender sent data into the cut link."""
        header = (packet[0] & 15) * 4
        payload = len(packet) - header - (packet[header + 12] >> 4) * 4
        if self.is_down and payload > 0:
            self.sent_s.append(now_s - self.cut_at_s)

    def result(self) -> Case:
        """Return the case with what was seen; packets still in flight at the cut are no probes."""
        return replace(self.case, probes_s=spaced(self.sent_s), resumed_s=self.resumed_s)


class Loop:
    """Moves packets and bytes of all cases until the last has resumed."""

    def __init__(self, runs: list[LinuxRun]) -> None:
        self._runs = runs
        self._selector = selectors.DefaultSelector()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._began_s = time.monotonic()
        for number, run in enumerate(runs):
            for k in (0, 1):
                self._watch(run.tuns[k], selectors.EVENT_READ, lambda run=run, k=k: self._pass(run, k))
            self._watch(run.listener, selectors.EVENT_READ, lambda run=run: self._accept(run))
            start_s = self._began_s + APART_S * number
            self._at(start_s, lambda _, run=run: self._start(run))
            self._at(start_s + CUT_S, lambda now_s, run=run: self._cut(run, now_s))

    def run(self, until_s: float) -> None:
        """Run until every case has resumed, at most ``until_s`` seconds."""
        while not all(run.is_over for run in self._runs) and time.monotonic() - self._began_s < until_s:
            wait_s = self._due[0][0] - time.monotonic() if self._due else 0.1
            for key, _ in self._selector.select(max(0.0, min(0.1, wait_s))):
                key.data()
            now_s = time.monotonic()
            while self._due and self._due[0][0] <= now_s:
                heapq.heappop(self._due)[2](now_s)

    def _watch(self, what: int | socket.socket, events: int, act: Callable[[], None]) -> None:
        self._selector.register(what, events, act)

    def _at(self, when_s: float, act: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (when_s, self._count, act))

    def _pass(self, run: LinuxRun, k: int) -> None:
        try:
            packet = os.read(run.tuns[k], 2048)
        except BlockingIOError:
            return
        if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
            return
        now_s = time.monotonic()
        if k == 0:
            run.note(now_s, packet)
        wire = run.wires[k]
        if run.is_down or run.is_over:
            return
        arrival_s = wire.carry(now_s, len(packet))
        if arrival_s is None:
            return
        if run.cut_at_s and k == 0:
            run.resumed_s = arrival_s - run.cut_at_s
            self._end(run)
        else:
            self._at(arrival_s, lambda _, epoch=wire.epoch: epoch == wire.epoch and os.write(wire.out, packet))

    def _end(self, run: LinuxRun) -> None:
        run.is_over = True
        for what in (*run.tuns, run.listener, run.sender, getattr(run, "accepted", None)):
            if what is not None and what in self._selector.get_map():
                self._selector.unregister(what)

    def _start(self, run: LinuxRun) -> None:
        run.sender.connect_ex(("10.9.0.2", PORT))
        self._watch(run.sender, selectors.EVENT_WRITE, lambda: self._push(run))

    def _accept(self, run: LinuxRun) -> None:
        run.accepted, _ = run.listener.accept()
        run.accepted.setblocking(False)
        self._watch(run.accepted, selectors.EVENT_READ, lambda: self._drain(run))

    def _drain(self, run: LinuxRun) -> None:
        try:
            run.accepted.recv(1 << 20)
        except BlockingIOError:
            return

    def _push(self, run: LinuxRun) -> None:
        try:
            run.sender.send(bytes(1 << 16))
        except (BlockingIOError, OSError):
            return

    def _cut(self, run: LinuxRun, now_s: float) -> None:
        run.is_down, run.cut_at_s = True, now_s
        for wire in run.wires:
            wire.cut(now_s)
        self._at(now_s + run.case.outage_s, lambda _: setattr(run, "is_down", False))


def measure(cases: list[Case], control: str) -> list[Case]:
    """Return the cases with what Linux did."""
    runs = [LinuxRun(number, case, control) for number, case in enumerate(cases)]
    try:
        for run in runs:
            run.open()
        loop = Loop(runs)
        loop.run(APART_S * len(cases) + CUT_S + 2.5 * max(case.outage_s for case in cases) + 5)
        return [run.result() for run in runs]
    finally:
        for run in runs:
            run.close()


# -- the table -----------------------------------------------------------------------------------------------------------------


@dataclass
class Score:
    """Relative errors of one group of cases."""

    probes: list[float] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)
    fluid_resumes: list[float] = field(default_factory=list)
    near_a_probe: int = 0

    def add(self, case: Case, packet: Case, fluid: Case) -> None:
        """Take in a case and what the two models do in it."""
        self.probes += probe_errors(case, packet)
        if is_ambiguous(case):
            self.near_a_probe += 1
            return
        self.resumes.append(abs(packet.resumed_s - case.resumed_s) / case.resumed_s)
        self.fluid_resumes.append(abs(fluid.resumed_s - case.resumed_s) / case.resumed_s)

    def figures(self) -> dict[str, float]:
        """Return shares within 10 % and the medians behind them."""
        return {
            "probes": len(self.probes), "probes_within_10_percent": share(self.probes),
            "probe_error_median": round(statistics.median(self.probes), 4), "resumes": len(self.resumes),
            "resumes_within_10_percent": share(self.resumes), "near_a_probe": self.near_a_probe,
            "fluid_resumes_within_10_percent": share(self.fluid_resumes),
        }  # fmt: skip


def compare(cases: list[Case], control: ControlName) -> dict[str, dict[str, float]]:
    """Print the table and return the figures of each path, and of those with a steady round trip together."""
    print("probes of Linux, then of the packet level, in s after the cut")
    print(f"{'path':11}{'outage s':>9}{'resume s':>9}{'packet':>9}{'fluid':>9}")
    scores = {name: Score() for name in [*dict.fromkeys(case.path.name for case in cases), "steady"]}
    for case in sorted(cases, key=lambda case: (case.path.name, case.outage_s)):
        packet, fluid = model_of(case, control, "packet"), model_of(case, control, "fluid")
        for name in [case.path.name] + ["steady"] * case.path.is_steady:
            scores[name].add(case, packet, fluid)
        times = " | ".join(" ".join(f"{time_s:.2f}" for time_s in one.probes_s) for one in (case, packet))
        figures = "".join(f"{one.resumed_s:9.2f}" for one in (case, packet, fluid))
        print(
            f"{case.path.name:11}{case.outage_s:9.1f}{figures}  {times}{' near a probe' if is_ambiguous(case) else ''}"
        )
    return {name: score.figures() for name, score in scores.items()}


def share(errors: list[float]) -> float:
    return round(sum(error <= NEAR for error in errors) / max(1, len(errors)), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="write what Linux did as CSV")
    parser.add_argument("--replay", type=Path, help="compare with a record instead of measuring")
    parser.add_argument("--longest", type=float, default=max(OUTAGES_S), help="leave out longer outages (s)")
    parser.add_argument("--control", default="cubic", choices=["cubic", "reno"], help="congestion control")
    options = parser.parse_args()
    if options.replay is None and (os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK)):
        sys.exit(
            "measuring needs root, /dev/net/tun and network namespaces; use --replay FILE.csv to compare with a record"
        )
    if options.replay:
        cases = read(options.replay)
        print(f"Linux as recorded in {options.replay.name}")
    else:
        wanted = [Case(path, outage_s) for path in ROUTES for outage_s in OUTAGES_S if outage_s <= options.longest]
        cases = measure(wanted, options.control)
        system = f"Linux {os.uname().release}"
        print(f"{system}, {options.control}, {len(cases)} cases at once, load average {os.getloadavg()[0]:.2f}")
        if options.record:
            write(cases, options.record, f"{system}: python benchmarks/outages.py --record {options.record}")
    print(json.dumps(compare(cases, options.control)))


if __name__ == "__main__":
    main()
