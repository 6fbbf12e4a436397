"""How long a district, a country and a continent of devices take in virtual time, without learning.

A star of gateways (Raspberry Pi 4, LTE) around a server whose own link is wide enough not to matter; 250 kB each way in 20
objects, one billion multiply-accumulates a call, one power cut of an hour in ten days for every gateway. Timings include the
event log on disk and exclude tables and report; they are CPU seconds of one process, which does all the work.

Usage: python benchmarks/scale.py [DEVICESxROUNDS ...]    default: 1000x100 10000x10
The last line is one JSON object: CPU seconds, peak memory (MB) and microseconds per message of each case.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = ("1000x100", "10000x10")


def run_case(devices: int, rounds: int) -> dict[str, float]:
    """Run one case in this process and return its figures."""
    from emulator.backends.des.backend import RunOptions, VirtualTimeBackend
    from emulator.compute.costs import resolve_device
    from emulator.events import EventLog
    from emulator.plan import AppPlan, FlowerSettings, Hop, Link, LinkState, Node, Outage, Plan, TimingOnly
    from emulator.rng import Streams

    began = time.process_time()
    pi, _ = resolve_device("rpi_4b_4gb", {})
    server, _ = resolve_device("cloud_x86_8vcpu", {})
    horizon_s = 30 * 86400.0
    nodes, links, routes, outages = [Node("server", "server", device=server)], [], {}, []
    up, down = (LinkState(0.0, 9.4e6, 0.042),), (LinkState(0.0, 24.1e6, 0.042),)
    streams = Streams(1)
    for number in range(devices):
        name = f"site-{number:06d}"
        nodes.append(Node(name, "client", name, pi, number))
        links.append(Link(f"{name}/lte", name, "server", "lte", up, down))
        routes[name] = (Hop(f"{name}/lte", "up"),)
        start_s = float(streams("cut", name).uniform(0, 10 * 86400))
        outages.append(Outage(start_s, start_s + 3600, name, "power cut"))
    plan = Plan(
        "scale", 1, 0.0, horizon_s, tuple(nodes), tuple(links), routes, tuple(sorted(outages)), (), AppPlan("", {}, rounds),
        FlowerSettings(), (), TimingOnly(rounds, 900.0, 1, 250e3, 20, 250e3, 20, {"train_macs": 1e9}, 20e6),
    )  # fmt: skip
    planned = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder) / "events")
        VirtualTimeBackend(RunOptions(Path(folder), 1)).run(plan, log)
    ended = time.process_time()
    messages = devices * rounds
    return {
        "devices": devices, "rounds": rounds, "cpu_s": round(ended - began, 2), "planning_s": round(planned - began, 2),
        "us_per_message": round(1e6 * (ended - planned) / messages, 1), "events": log.count,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1),
    }  # fmt: skip


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--case":
        devices, rounds = (int(part) for part in sys.argv[2].split("x"))
        print(json.dumps(run_case(devices, rounds)))
        return
    print(f"timing only, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    figures = {}
    for case in sys.argv[1:] or CASES:
        done = subprocess.run([sys.executable, __file__, "--case", case], capture_output=True, text=True, check=True)
        figures[case] = json.loads(done.stdout.splitlines()[-1])
        print(f"{case:>12}: " + ", ".join(f"{name} {value:g}" for name, value in figures[case].items()))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
