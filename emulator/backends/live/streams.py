"""The sensors' streams: datagrams at the plan's rates from each sensor to its neighbour while both have power.

One process sends for all of them: a socket stays in the namespace in which it was made.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from emulator.backends.live.job import LiveJob
from emulator.backends.live.lane import merge_spans
from emulator.backends.live.linux import enter_network_of
from emulator.backends.live.network import LiveNetwork
from emulator.backends.live.processes import Hosts
from emulator.plan import Plan

PORT: Final = 9000
PACKET_BYTES: Final = 1000
HEADER_BYTES: Final = 28
"""IPv4 and UDP."""


@dataclass(frozen=True)
class StreamJob:
    """One stream: from a process's namespace to an address, with the times at which it is silent."""

    sensor_process: int
    peer_process: int
    peer_address: str
    rate_bps: float
    silent: tuple[tuple[float, float], ...]


class Streams:
    """The running process, or none where the plan has no streams."""

    def __init__(self, process: subprocess.Popen[bytes] | None) -> None:
        self._process = process

    def begin(self, zero_s: float) -> None:
        """The run's time 0 is ``zero_s`` of the monotonic clock."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(f"{zero_s!r}\n".encode())
            self._process.stdin.flush()


def start_streams(job: LiveJob, plan: Plan, network: LiveNetwork, hosts: Hosts) -> Streams:
    """Start the sending process; it sends once it is told the run's time 0."""
    jobs = []
    for node in plan.nodes:
        for stream in node.streams:
            off = [(o.start_s, o.end_s) for o in plan.outages if o.target in (node.name, stream.peer)]
            peer = network.host_of(stream.peer)
            jobs.append(
                StreamJob(
                    hosts.process_of(network.host_of(node.name).name), hosts.process_of(peer.name), peer.address,
                    stream.rate_bps, merge_spans(off),
                )
            )  # fmt: skip
    if not jobs:
        return Streams(None)
    path = job.path / "streams.json"
    path.write_text(json.dumps([asdict(each) for each in jobs]))
    with (job.path / "logs" / "streams.log").open("wb") as log:
        command = [sys.executable, "-m", "emulator.backends.live.streams", str(path)]
        return Streams(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log))


def main(path: str) -> None:
    """Send the streams of the job file until the standard input is closed."""
    jobs = [
        StreamJob(**{**each, "silent": tuple(map(tuple, each["silent"]))})
        for each in json.loads(Path(path).read_text())
    ]
    sinks, sources = [], []
    for job in jobs:
        enter_network_of(job.peer_process)
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sink.bind((job.peer_address, PORT))
            sinks.append(sink)  # unread: it only keeps the neighbour from answering that nobody listens
        except OSError:
            sink.close()
        enter_network_of(job.sensor_process)
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        source.setblocking(False)
        source.connect((job.peer_address, PORT))
        sources.append(source)
    zero_s = float(sys.stdin.readline() or "nan")
    agenda = [(zero_s, index) for index in range(len(jobs))]
    payload = bytes(PACKET_BYTES - HEADER_BYTES)
    while agenda:
        at_s, index = agenda[0]
        wait_s = at_s - time.monotonic()
        if wait_s > 0:
            if select.select([sys.stdin], [], [], wait_s)[0]:
                return
            continue
        job = jobs[index]
        if not any(start_s <= at_s - zero_s < end_s for start_s, end_s in job.silent):
            with contextlib.suppress(
                OSError
            ):  # the device's queue is full: the sensor's reading is lost, as it would be
                sources[index].send(payload)
        heapq.heapreplace(agenda, (at_s + 8 * PACKET_BYTES / job.rate_bps, index))


if __name__ == "__main__":
    main(sys.argv[1])
