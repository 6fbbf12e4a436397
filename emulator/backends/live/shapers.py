"""Starts the shaper a run uses and hands it the run's time 0: the relay, or the kernel's ``tc`` at the offsets of the plan."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from emulator.backends.live.job import LiveJob
from emulator.backends.live.journal import Journal, read_rows
from emulator.backends.live.network import LiveNetwork, Wire
from emulator.backends.live.processes import Hosts, wait_until
from emulator.backends.live.relay import LOAD_EVERY_S, WireEnds
from emulator.backends.live.shaping import (
    ETHERNET_BYTES,
    Change,
    down_spans,
    netem_changes,
    port_to_leaf,
    port_to_root,
)
from emulator.errors import BackendUnavailable
from emulator.plan import Plan

RELAY_START_LIMIT_S = 60.0


class RunningShaper(Protocol):
    """What a run asks of its shaper."""

    def begin(self, zero_s: float) -> None:
        """The run's time 0 is ``zero_s`` of the monotonic clock."""

    def replay(self, now_s: float) -> None:
        """It is ``now_s`` in the run: change what is due."""

    def end(self) -> None:
        """The run is over: write down the counters."""


def start_shaper(job: LiveJob, plan: Plan, network: LiveNetwork, hosts: Hosts) -> RunningShaper:
    """Start the shaper with the links' states at time 0 and no outages yet."""
    if job.shaper == "userspace":
        return RelayShaper(job, network, hosts)
    return NetemShaper(job, plan, network)


class RelayShaper:
    """The relay process."""

    def __init__(self, job: LiveJob, network: LiveNetwork, hosts: Hosts) -> None:
        wires = [
            WireEnds(
                wire.link.name, hosts.process_of(wire.leaf), wire.leaf_interface, hosts.process_of(wire.root),
                wire.root_interface,
            )
            for wire in network.wires
        ]  # fmt: skip
        task = {
            "plan": str(job.path / "plan.json"),
            "journals": str(job.journals),
            "captures": str(job.path.parent / "captures") if job.with_captures else None,
            "wires": [asdict(ends) for ends in wires],
        }
        path = job.path / "relay.json"
        path.write_text(json.dumps(task))
        log = (job.path / "logs" / "relay.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "emulator.backends.live.relay", str(path)], stdin=subprocess.PIPE, stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        journal = job.journals / "relay.jsonl"

        def is_ready() -> bool:
            return journal.exists() and any(row["what"] == "relay_ready" for row in read_rows(journal))

        wait_until(lambda: is_ready() or self._process.poll() is not None, RELAY_START_LIMIT_S)
        if not is_ready():
            words = (job.path / "logs" / "relay.log").read_text(errors="replace")[-1500:]
            raise BackendUnavailable(f"the userspace shaper did not start:\n{words}")

    def begin(self, zero_s: float) -> None:
        """Tell the relay."""
        assert self._process.stdin is not None  # a pipe, see above
        self._process.stdin.write(f"start {zero_s!r}\n".encode())
        self._process.stdin.flush()

    def replay(self, now_s: float) -> None:
        """The relay knows the plan and its own clock."""

    def end(self) -> None:
        """Close the relay's input and wait for its counters."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


class NetemShaper:
    """The kernel's netem on the bridges' ports, changed by ``tc`` at the plan's offsets; runs in the bridges' namespace."""

    def __init__(self, job: LiveJob, plan: Plan, network: LiveNetwork) -> None:
        spans = down_spans(plan)
        self._journal = Journal(job.journals, "netem")
        self._network = network
        self._changes: list[Change] = []
        for wire in network.wires:
            self._changes += netem_changes(wire, spans[wire.link.name])
            for change in netem_changes(wire, ()):
                if change.at_s == 0:
                    _tc(change)
        self._changes.sort(key=lambda change: change.at_s)
        self._zero_s: float | None = None
        self._reported: dict[tuple[str, str], tuple[float, int]] = {}

    def begin(self, zero_s: float) -> None:
        """Outages that begin at 0 come into force."""
        self._zero_s = zero_s
        self._load_s = zero_s
        for wire in self._network.wires:
            for direction in ("up", "down"):
                self._reported[wire.link.name, direction] = (zero_s, _sent_bytes(wire, direction))
        self.replay(0.0)

    def replay(self, now_s: float) -> None:
        """Change what is due."""
        while self._changes and self._changes[0].at_s <= now_s:
            change = self._changes.pop(0)
            _tc(Change(change.at_s, change.interface, tuple("change" if a == "add" else a for a in change.arguments)))
        if time.monotonic() >= self._load_s + LOAD_EVERY_S:
            self._report()

    def end(self) -> None:
        """Write down the last loads."""
        self._report()
        self._journal.write(
            "netem", qdiscs=subprocess.run(["tc", "-s", "qdisc"], capture_output=True, text=True, check=False).stdout
        )

    def _report(self) -> None:
        self._load_s = time.monotonic()
        for wire in self._network.wires:
            for direction in ("up", "down"):
                since_s, before = self._reported[wire.link.name, direction]
                asked_s = time.monotonic()
                count = _sent_bytes(wire, direction)
                if count > before:
                    self._journal.write(
                        "load", link=wire.link.name, peer=direction, size_bytes=count - before, since_s=since_s
                    )
                self._reported[wire.link.name, direction] = (asked_s, count)


def _tc(change: Change) -> None:
    done = subprocess.run(["tc", *change.arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackendUnavailable(f"'tc {' '.join(change.arguments)}' failed: {done.stderr.strip()}")


def _sent_bytes(wire: Wire, direction: str) -> int:
    """Return the bytes of IP packets that have left by the bridge's port in this direction."""
    interface = port_to_root(wire) if direction == "up" else port_to_leaf(wire)
    sent = _sent(interface)
    return sent[0] - ETHERNET_BYTES * sent[1]


def _sent(interface: str) -> tuple[int, int]:
    """Return bytes and packets an interface of this namespace has sent; /sys may still show another namespace's."""
    for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
        name, rest = line.split(":", 1)
        if name.strip() == interface:
            fields = rest.split()
            return int(fields[8]), int(fields[9])
    raise BackendUnavailable(f"the bridge port {interface} is gone; the run's network was changed from outside")
