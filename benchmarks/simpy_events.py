"""How many events per second does the transfer path handle under SimPy?

A SimPy process per client sends messages one after the other over its access link, its site's backhaul and a core link;
one alarm waits for the engine's next event, as in the virtual-time backend. Counted: events that SimPy processed, and
steps of the engine (calls of ``advance`` that were due). The last line is a JSON object with the figures.

usage: python benchmarks/simpy_events.py [--clients 300] [--messages 10] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Generator
from functools import partial
from typing import Any

import simpy

from emulator.backends.des.network import Network
from emulator.plan import Hop, Link, LinkState

SITE_CLIENTS = 10
MESSAGE_BYTES = 200_000
CASES = {
    "wide core, equal clients": (10e9, False),
    "wide core, unlike clients": (10e9, True),
    "full core": (50e6, True),
}


class Glue:
    """Lets SimPy processes wait for transfers: one alarm at the engine's next event."""

    def __init__(self, env: simpy.Environment, network: Network) -> None:
        self.env, self.network = env, network
        self.steps = 0
        self.events = 0
        self._waiting: dict[str, simpy.Event] = {}
        self._alarm_s = float("inf")

    def send(self, flow_id: str, hops: list[Hop], size_bytes: float) -> simpy.Event:
        """Start a transfer; the event returned triggers when it is finished."""
        done = self._waiting[flow_id] = self.env.event()
        self.network.start(flow_id, hops, size_bytes, self.env.now)
        self._arm()
        return done

    def _arm(self) -> None:
        next_s = self.network.next_event_s()
        if next_s is not None and next_s < self._alarm_s:
            self._alarm_s = next_s
            alarm = self.env.timeout(max(0.0, next_s - self.env.now))
            alarm.callbacks.append(partial(self._ring, next_s))

    def _ring(self, at_s: float, _event: simpy.Event) -> None:
        if at_s != self._alarm_s:
            return
        self._alarm_s = float("inf")
        self.steps += 1
        for event in self.network.advance(at_s):
            self._waiting.pop(event.flow_id).succeed()
        self._arm()


def make_link(name: str, rate_bps: float, delay_s: float) -> Link:
    states = (LinkState(0.0, rate_bps, delay_s),)
    return Link(name, "leaf", "root", "custom", states, states)


def client(glue: Glue, number: int, messages: int) -> Generator[simpy.Event, Any, None]:
    hops = [Hop(f"access-{number}", "up"), Hop(f"site-{number // SITE_CLIENTS}", "up"), Hop("core", "up")]
    for message in range(messages):
        yield glue.send(f"{number}/{message}", hops, MESSAGE_BYTES)
        yield glue.env.timeout(1.0)


def run_once(clients: int, messages: int, core_bps: float, is_mixed: bool) -> dict[str, float]:
    """Return the figures of one run."""
    rng = random.Random(1)
    links = [make_link("core", core_bps, 0.005)]
    links += [make_link(f"site-{i}", 50e6, 0.02) for i in range(clients // SITE_CLIENTS + 1)]
    for i in range(clients):
        rate_bps, delay_s = (rng.uniform(1e6, 20e6), rng.uniform(0.002, 0.05)) if is_mixed else (10e6, 0.01)
        links.append(make_link(f"access-{i}", rate_bps, delay_s))
    env = simpy.Environment()
    glue = Glue(env, Network(links))
    for i in range(clients):
        env.process(client(glue, i, messages))
    simpy_events = 0
    began_s = time.perf_counter()
    while env.peek() < float("inf"):
        env.step()
        simpy_events += 1
    took_s = time.perf_counter() - began_s
    return {
        "seconds": took_s,
        "simpy_events_per_s": simpy_events / took_s,
        "engine_steps_per_s": glue.steps / took_s,
        "transfers_per_s": clients * messages / took_s,
        "simpy_events": simpy_events,
        "engine_steps": glue.steps,
        "virtual_s": env.now,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--messages", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    workload = f"{SITE_CLIENTS} to a site; each sends {options.messages} x {MESSAGE_BYTES} bytes"
    versions = f"Python {platform.python_version()}, SimPy {simpy.__version__}, one core"
    print(f"{options.clients} clients, {workload};\nmedian of {options.repeats} runs; {versions}\n")
    print(f"{'case':28}{'SimPy events/s':>16}{'engine steps/s':>16}{'transfers/s':>14}{'seconds':>10}{'virtual s':>12}")
    figures: dict[str, dict[str, float]] = {}
    for name, (core_bps, is_mixed) in CASES.items():
        runs = [run_once(options.clients, options.messages, core_bps, is_mixed) for _ in range(options.repeats)]
        row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        figures[name] = {key: round(value, 3) for key, value in row.items()}
        print(
            f"{name:28}{row['simpy_events_per_s']:16,.0f}{row['engine_steps_per_s']:16,.0f}"
            f"{row['transfers_per_s']:14,.0f}{row['seconds']:10.2f}{row['virtual_s']:12.1f}"
        )
    conditions = {"clients": options.clients, "messages": options.messages, "repeats": options.repeats}
    print(json.dumps({"benchmark": "simpy_events", **conditions, "cases": figures}))


if __name__ == "__main__":
    main()
