"""How fast and how punctual is the userspace shaper? One TCP stream over one link, for several rates.

``python benchmarks/live_relay.py`` (Linux, with what ``emulate doctor`` asks for). For each rate: a sandbox with two hosts
and one link of 10 ms, five seconds of one TCP connection; goodput seen by the receiver, and how late packets left the
relay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from emulator.backends.live import doctor
from emulator.backends.live.commands import environment
from emulator.backends.live.job import LiveJob
from emulator.backends.live.journal import read_journals
from emulator.backends.live.linux import network_of
from emulator.backends.live.network import describe_network
from emulator.backends.live.processes import Hosts
from emulator.plan import AppPlan, Device, FlowerSettings, Hop, Link, LinkState, Node, Plan

SECONDS = 5.0
DELAY_S = 0.01
RATES_BPS = (1e6, 1e7, 5e7, 1e8, 2e8)


def one_link(rate_bps: float) -> Plan:
    state = LinkState(0, rate_bps, DELAY_S)
    queue_bytes = max(30_000.0, 2 * DELAY_S * rate_bps / 8)  # a bandwidth-delay product: Cubic can fill the link
    link = Link("line", "client", "server", "custom", (state,), (state,), queue_bytes=queue_bytes)
    nodes = (Node("client", "client", device=Device("d", "gateway"), partition_id=0), Node("server", "server"))
    hops = {"client": (Hop("line", "up"),)}
    return Plan("one", 1, 0.0, 1e4, nodes, (link,), hops, (), (), AppPlan("app", {}), FlowerSettings())


def inside(folder: Path, rate_bps: float) -> None:
    """Runs in the sandbox: measures and prints one line."""
    from emulator.backends.live.mininet_network import build_network
    from emulator.backends.live.shapers import start_shaper

    plan = one_link(rate_bps)
    network = describe_network(plan)
    job = LiveJob(str(folder), "userspace")
    job.write(plan)
    hosts = Hosts(build_network(network, "userspace", "cubic"), folder, environment(folder, folder, FlowerSettings()))
    shaper = start_shaper(job, plan, network, hosts)
    server, client = network.host_of("server"), network.host_of("client")
    with network_of(hosts.process_of(server.name)):
        listener = socket.create_server((server.address, 5000))
    with network_of(hosts.process_of(client.name)):
        sender = socket.create_connection((server.address, 5000))
    receiver, _ = listener.accept()
    shaper.begin(time.monotonic())
    until_s = time.monotonic() + SECONDS

    def send() -> None:
        while time.monotonic() < until_s:
            sender.send(bytes(1 << 16))
        sender.shutdown(socket.SHUT_WR)

    threading.Thread(target=send).start()
    count, began_s, end_s = 0, time.monotonic(), 0.0
    while data := receiver.recv(1 << 18):
        count, end_s = count + len(data), time.monotonic()
    shaper.end()
    relay = next(row for row in read_journals(job.journals) if row["what"] == "relay")
    figures = {name: relay["lateness"][name] for name in ("count", "p50_s", "p99_s")}
    print(json.dumps({"rate_bps": rate_bps, "goodput_bps": 8 * count / (end_s - began_s), **figures}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inside", nargs=2, metavar=("FOLDER", "RATE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(Path(options.inside[0]), float(options.inside[1]))
        return
    if reason := doctor.missing(Path.cwd()):
        sys.exit(reason)
    rows = []
    print(f"{'rate Mbit/s':>12} {'goodput':>10} {'packets':>10} {'late p50 ms':>12} {'late p99 ms':>12}")
    for rate_bps in RATES_BPS:
        with tempfile.TemporaryDirectory() as folder:
            command = [*doctor.sandbox_prefix(), sys.executable, __file__, "--inside", folder, str(rate_bps)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"{rate_bps / 1e6:12.0f} {row['goodput_bps'] / 1e6:10.1f} {row['count']:10d} {1e3 * row['p50_s']:12.2f} "
            f"{1e3 * row['p99_s']:12.2f}"
        )
    conditions = {"cores": os.cpu_count(), "system": platform.release(), "python": platform.python_version()}
    print(f"one TCP connection (Cubic), {SECONDS:.0f} s each, {DELAY_S * 1e3:.0f} ms one way; {conditions}")
    print(json.dumps({"benchmark": "live_relay", "rows": rows, **conditions}))


if __name__ == "__main__":
    main()
