"""Runs in a sandbox: builds two hosts and a shaped link, sends datagrams through it, prints what arrived as one JSON line.

Usage: shaping_program.py FOLDER SHAPER CASE. Sockets of both ends belong to this process: each stays in its namespace.
"""

import json
import select
import socket
import sys
import time
from pathlib import Path

from live_builder import two_nodes

from emulator.backends.live.commands import environment
from emulator.backends.live.job import LiveJob
from emulator.backends.live.linux import network_of
from emulator.backends.live.mininet_network import build_network
from emulator.backends.live.network import describe_network
from emulator.backends.live.processes import Hosts
from emulator.backends.live.shapers import start_shaper
from emulator.plan import LinkState, Outage

PACKET_BYTES = 1500
FAST = LinkState(0, 1e8, 0.001)
CASES = {
    "delay": {"up": LinkState(0, 1e8, 0.05), "down": FAST},
    "rate": {"up": LinkState(0, 1e6, 0.01), "down": FAST, "queue_bytes": 100_000.0},
    "queue": {"up": LinkState(0, 1e5, 0.0), "down": FAST, "queue_bytes": 15_000.0},
    "loss": {"up": LinkState(0, 1e7, 0.001, loss=0.3), "down": FAST},
    "down": {"up": FAST, "down": FAST, "outages": (Outage(0.0, 1.0, "line"),)},
}
COUNT = {"delay": 20, "rate": 40, "queue": 60, "loss": 500, "down": 100}
GAP_S = {"delay": 0.005, "loss": 0.001, "down": 0.02}


def main(folder: Path, shaper: str, case: str) -> None:
    plan = two_nodes(**CASES[case])
    network = describe_network(plan)
    job = LiveJob(str(folder / "live"), shaper, with_captures=shaper == "userspace")
    job.write(plan)
    built = build_network(network, shaper, "cubic")
    hosts = Hosts(built, job.path, environment(job.path / "flwr", job.path / "bin", plan.flower))
    running = start_shaper(job, plan, network, hosts)
    client, server = network.host_of("client"), network.host_of("server")
    ends = []
    for host in (client, server):
        with network_of(hosts.process_of(host.name)):
            end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        end.setblocking(False)
        end.bind((host.address, 7000))
        ends.append(end)
    zero_s = time.monotonic()
    running.begin(zero_s)
    time.sleep(0.1)  # the shaper takes up the run's time 0; what is sent before would only be shaped as at 0
    sent, arrived = exchange(
        ends[0], ends[1], (server.address, 7000), COUNT[case], GAP_S.get(case, 0.0),
        meanwhile=lambda: running.replay(time.monotonic() - zero_s),
    )  # fmt: skip
    running.end()
    counts = {}
    for line in Path(f"/proc/{hosts.process_of(server.name)}/net/dev").read_text().splitlines()[2:]:
        counts[line.split(":")[0].strip()] = int(line.split(":")[1].split()[0])
    print(json.dumps({"zero_s": zero_s, "sent": sent, "arrived": arrived, "received_bytes": counts["w0r"]}))


def exchange(source, sink, target, count: int, gap_s: float, *, meanwhile) -> tuple[list[float], dict[int, float]]:
    """Send numbered datagrams and take in what comes until nothing has come for a second."""
    sent, arrived, due_s = [], {}, time.monotonic()
    quiet_from_s = due_s
    while len(sent) < count or time.monotonic() < quiet_from_s + 1.0:
        meanwhile()
        while len(sent) < count and time.monotonic() >= due_s:
            sent.append(time.monotonic())
            source.sendto(len(sent).to_bytes(4, "big").ljust(PACKET_BYTES - 28, b"."), target)
            due_s += gap_s
            quiet_from_s = time.monotonic()
        if select.select([sink], [], [], 0.001)[0]:
            number = int.from_bytes(sink.recv(2000)[:4], "big")
            arrived[number] = quiet_from_s = time.monotonic()
    return sent, arrived


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
