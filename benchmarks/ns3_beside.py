"""ns-3's time beside ours for the same transfers: a star of 8 to 256 devices, each with a download and an upload of a model.

Every device hangs on an LTE-like link of its own (24.1 and 9.4 Mbit/s, 42 ms) behind a hub and a core of 20 Gbit/s. The
downloads begin 5 ms after one another, as a SuperLink serves them, the uploads a minute later. Once without loss and once with
0.5 % on the devices' links. Times are CPU seconds of one process from its start to its end for
ns-3 (compiled with -O2), and of the model's calls here; the imports of Python, about a second, are left out. The medians of the
transfers' durations show that the same is computed.

Usage: python benchmarks/ns3_beside.py --ns3 FOLDER [--devices 8 16 32 64 128 256] [--bytes 250000]
FOLDER holds tree.cc of the packet-level reference; needs g++ and ns-3 (Debian: libns3-dev). The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from fresh_transfers import compile_tree

from emulator.backends.des.model import TransferModel
from emulator.backends.des.network import Network
from emulator.backends.des.tcp.network import PacketNetwork
from emulator.backends.des.tcp.stack import NS3_STACK
from emulator.plan import Hop, Link, LinkState, way_back

DOWN_MBPS, UP_MBPS, DELAY_MS = 24.1, 9.4, 42.0
WIDE_MBPS, HUB_DELAY_MS, CORE_DELAY_MS = 20_000.0, 0.5, 2.0
BUFFER_PACKETS = 100
APART_S, UPLOADS_S = 0.005, 60.0
FRAMING = 1500 / 1502
"""ns-3's rates count PPP frames."""


class Transfer(NamedTuple):
    """One transfer: whose, which way, and when it begins."""

    device: int
    direction: str
    start_s: float


def transfers(devices: int) -> list[Transfer]:
    """Return all transfers, in order of their start."""
    downs = [Transfer(k, "down", APART_S * k) for k in range(devices)]
    return downs + [Transfer(k, "up", UPLOADS_S + APART_S * k) for k in range(devices)]


def in_ns3(binary: Path, devices: int, size_bytes: int, loss: float) -> tuple[float, list[float]]:
    """Return ns-3's CPU seconds and the durations of all transfers."""
    all_of_them = transfers(devices)
    lines = [f"{WIDE_MBPS} {WIDE_MBPS} {CORE_DELAY_MS} 0 {BUFFER_PACKETS} TcpCubic 0 1 {len(all_of_them)}"]
    lines.append(f"{WIDE_MBPS} {WIDE_MBPS} {HUB_DELAY_MS} 0")
    lines += [
        f"{one.direction} 0 {UP_MBPS} {DOWN_MBPS} {DELAY_MS} {loss} {size_bytes} {one.start_s}" for one in all_of_them
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as case:
        case.write("\n".join(lines) + "\n")
        case.flush()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [str(binary), f"--in={case.name}", "--seed=1"], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s, [float(line.split()[1]) for line in done.stdout.splitlines()]


def in_ours(tier: str, devices: int, size_bytes: int, loss: float) -> tuple[float, list[float]]:
    """Return our CPU seconds and the durations of all transfers."""

    def link(name: str, up_mbps: float, down_mbps: float, delay_ms: float, loss: float) -> Link:
        up, down = ((LinkState(0.0, mbps * 1e6 * FRAMING, delay_ms / 1e3, 0.0, loss),) for mbps in (up_mbps, down_mbps))
        return Link(name, "leaf", "root", "custom", up, down, queue_bytes=BUFFER_PACKETS * 1500.0)

    links = [link(f"lte{k}", UP_MBPS, DOWN_MBPS, DELAY_MS, loss) for k in range(devices)]
    links += [
        link("hub", WIDE_MBPS, WIDE_MBPS, HUB_DELAY_MS, 0.0),
        link("core", WIDE_MBPS, WIDE_MBPS, CORE_DELAY_MS, 0.0),
    ]
    ups = [(Hop(f"lte{k}", "up"), Hop("hub", "up"), Hop("core", "up")) for k in range(devices)]
    began = time.process_time()
    network: TransferModel = Network(links) if tier == "fluid" else PacketNetwork(links, stack=NS3_STACK, routes=ups)
    ends: dict[str, float] = {}

    def note(until_s: float) -> None:
        while (next_s := network.next_event_s(until_s)) is not None and next_s <= until_s:
            ends.update((event.flow_id, event.t_s) for event in network.advance(next_s) if event.kind == "finished")

    all_of_them = transfers(devices)
    for one in all_of_them:
        note(one.start_s)
        hops = ups[one.device] if one.direction == "up" else way_back(ups[one.device])
        network.start(f"{one.direction}{one.device}", hops, size_bytes, one.start_s, extra_rtts=1.0)
    note(1e6)
    cpu_s = time.process_time() - began
    return cpu_s, [ends[f"{one.direction}{one.device}"] - one.start_s for one in all_of_them]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ns3", required=True, type=Path, help="folder with tree.cc")
    parser.add_argument("--devices", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256])
    parser.add_argument("--bytes", type=int, default=250_000, help="size of the model")
    options = parser.parse_args()
    print(f"{options.bytes} bytes each way, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    print("CPU seconds (and median duration of a transfer, s)")
    print(f"{'loss %':>7}{'devices':>9}{'ns-3':>18}{'packet tier':>18}{'fluid tier':>18}")
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        binary = compile_tree(options.ns3 / "tree.cc", Path(folder))
        for loss in (0.0, 0.005):
            for devices in options.devices:
                row = {"loss": loss, "devices": devices}
                cells = ""
                for name, (cpu_s, times) in (
                    ("ns3", in_ns3(binary, devices, options.bytes, loss)),
                    ("packet", in_ours("packet", devices, options.bytes, loss)),
                    ("fluid", in_ours("fluid", devices, options.bytes, loss)),
                ):
                    row[f"{name}_cpu_s"] = round(cpu_s, 4)
                    row[f"{name}_median_s"] = round(statistics.median(times), 4)
                    cells += f"{cpu_s:9.3f} ({statistics.median(times):6.3f})"
                print(f"{100 * loss:7.1f}{devices:9}{cells}")
                figures.append(row)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
