"""How close the transfer models come to packet-level reference times.

Runs every case of a reference file (ns-3; trees of links, see the file's own notes) through the packet-level model and
through the fluid engine, and prints each transfer's relative error against the reference's median completion time:

- raw: |model - median| / median;
- net: what is left of it after twice the median's own standard error, 1.25 (p75 - p25) / 1.349 / sqrt(runs).

The packet-level figure is the median over ``--seeds`` seeded runs where the case has chance in it (loss, start jitter,
BBR); the random numbers are not the reference's. Cases run with the reference's own stack (ns-3.37: its framing,
time-outs and delayed ACKs). No constant of the model is fitted to any of these cases.

Usage: python benchmarks/transfers.py --reference FILE.json [--seeds 25] [--limit N] [--jobs 2]
The last line is one JSON object with the figures as fractions.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emulator.backends.des.network import Network
from emulator.backends.des.tcp.simulate import FlowSpec, LinkSpec, simulate
from emulator.backends.des.tcp.stack import NS3_STACK
from emulator.plan import ControlName, Hop, Link, LinkState
from emulator.rng import derive_seed

CONTROLS: dict[str, ControlName] = {"TcpCubic": "cubic", "TcpLinuxReno": "reno", "TcpBbr": "bbr"}
FRAMING = 1500 / 1502
"""IP bytes per byte counted by the reference's rates: the fluid engine's rates are IP rates."""


@dataclass(frozen=True)
class Row:
    """One transfer: what it is, and its relative errors."""

    case: str
    kind: str
    control: str
    buffer: int
    lossy: bool
    size_bytes: int
    reference_s: float
    model_s: float
    fluid_s: float
    noise_s: float

    def raw(self, model_s: float) -> float:
        """Return the relative error of a time."""
        return abs(model_s - self.reference_s) / self.reference_s

    def net(self, model_s: float) -> float:
        """Return the relative error beyond the reference's sampling noise."""
        return max(0.0, abs(model_s - self.reference_s) - 2 * self.noise_s) / self.reference_s


def links_and_flows(case: dict[str, Any], seed: int) -> tuple[list[LinkSpec], list[FlowSpec]]:
    """Return a case in the model's terms; ``seed`` draws the start jitter."""
    buffer = case["buffer_packets"]

    def link(name: str, of: dict[str, Any]) -> LinkSpec:
        return LinkSpec(name, of["up_mbps"] * 1e6, of["down_mbps"] * 1e6, of["delay_ms"] / 1e3, of["loss"], buffer)

    links = [link("core", case["core"])]
    links += [link(f"site{k}", site) for k, site in enumerate(case["sites"])]
    flows = []
    for k, flow in enumerate(case["flows"]):
        links.append(link(f"access{k:02d}", flow))
        flows.append(
            FlowSpec(
                f"{k:02d}", hops(k, flow), flow["bytes"], control=CONTROLS[case["tcp"]],
                start_s=flow["start_s"]
                + random.Random(derive_seed(seed, "jitter", k)).uniform(0, case["start_jitter_s"]),
            )
        )  # fmt: skip
    return links, flows


def hops(index: int, flow: dict[str, Any]) -> tuple[Hop, ...]:
    up = [f"access{index:02d}", f"site{flow['site']}", "core"]
    names = up if flow["direction"] == "up" else up[::-1]
    return tuple(Hop(name, flow["direction"]) for name in names)


def fluid_times(case: dict[str, Any]) -> list[float]:
    """Return the completion times of the fluid engine; the jitter of a few ms is left out."""
    links, flows = links_and_flows({**case, "start_jitter_s": 0.0}, 0)
    network = Network(
        Link(
            one.name, "leaf", "root", "custom", (LinkState(0.0, one.up_bps * FRAMING, one.delay_s, 0.0, one.loss),),
            (LinkState(0.0, one.down_bps * FRAMING, one.delay_s, 0.0, one.loss),),
            queue_bytes=one.queue_packets * 1500,
        )
        for one in links
    )  # fmt: skip
    ends: dict[str, float] = {}

    def note(until_s: float) -> None:
        while (next_s := network.next_event_s()) is not None and next_s <= until_s:
            ends.update((e.flow_id, e.t_s) for e in network.advance(next_s) if e.kind == "finished")

    for flow in sorted(flows, key=lambda flow: flow.start_s):
        note(flow.start_s)
        network.start(flow.name, flow.hops, flow.size_bytes, flow.start_s, extra_rtts=1.0)
    note(float("inf"))
    return [ends[flow.name] - flow.start_s for flow in flows]


def run_case(case: dict[str, Any], seeds: int) -> tuple[list[Row], float, int]:
    """Return a case's rows, the CPU seconds of one packet-level run, and its events."""
    has_chance = case["lossy"] or case["start_jitter_s"] or case["tcp"] == "TcpBbr"  # BBR draws the phase of its cycle
    seeds = seeds if has_chance else 1
    began = time.process_time()
    outcomes = [simulate(*links_and_flows(case, seed), seed=seed, stack=NS3_STACK) for seed in range(1, seeds + 1)]
    cpu_s = (time.process_time() - began) / seeds
    rows = []
    for k, (flow, fluid_s) in enumerate(zip(case["flows"], fluid_times(case), strict=True)):
        times = [o.completion_s[f"{k:02d}"] for o in outcomes]
        times = [t for t in times if t < float("inf")] or [float("inf")]
        spread_s = 1.25 * (flow["p75_s"] - flow["p25_s"]) / 1.349 / flow["runs"] ** 0.5
        rows.append(
            Row(
                case["id"], case["kind"], case["tcp"], case["buffer_packets"], case["lossy"], flow["bytes"],
                flow["completion_s"], statistics.median(times), fluid_s, spread_s,
            )
        )  # fmt: skip
    return rows, cpu_s, sum(o.events for o in outcomes) // seeds


def summary(rows: list[Row], which: str) -> dict[str, float]:
    """Return median, 90th and 95th percentile of raw and net errors of ``model_s`` or ``fluid_s``."""
    raw = [row.raw(getattr(row, which)) for row in rows]
    net = [row.net(getattr(row, which)) for row in rows]
    figures = {}
    for name, errors in (("raw", raw), ("net", net)):
        for label, percent in (("median", 50), ("p90", 90), ("p95", 95)):
            figures[f"{name}_{label}"] = float(np.percentile(errors, percent)) if errors else 0.0
    return figures


def print_group(label: str, rows: list[Row]) -> None:
    model, fluid = summary(rows, "model_s"), summary(rows, "fluid_s")
    cells = [f"{100 * model[key]:7.1f}" for key in model] + [f"{100 * fluid[key]:7.1f}" for key in fluid]
    print(f"{label:24}{len(rows):5} " + "".join(cells[:6]) + "  |" + "".join(cells[6:]))


def print_tables(rows: list[Row]) -> None:
    head = "".join(f"{name:>7}" for name in ("raw50", "raw90", "raw95", "net50", "net90", "net95"))
    print(f"{'percent':24}{'n':>5} {head}  |{head}")
    print(f"{'':30}{'packet level':>42}  |{'fluid':>42}")
    print_group("all", rows)
    for field in ("kind", "control", "buffer"):
        for value in sorted({getattr(row, field) for row in rows}):
            print_group(f"{field} {value}", [row for row in rows if getattr(row, field) == value])
    print_group("single loss-free", loss_free(rows))
    print("worst ten, by net error: reference s, packet level s, fluid s")
    for row in sorted(rows, key=lambda row: -row.net(row.model_s))[:10]:
        print(
            f"  {row.case:18}{row.control:14}buffer {row.buffer:3} {row.size_bytes:9} B "
            f"{row.reference_s:10.3f} {row.model_s:10.3f} {row.fluid_s:10.3f}  net {100 * row.net(row.model_s):.0f} %"
        )


def loss_free(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.kind == "single" and not row.lossy]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", required=True, help="reference times, as JSON")
    parser.add_argument("--seeds", type=int, default=25, help="packet-level runs per case with chance in it")
    parser.add_argument("--limit", type=int, default=None, help="only the first so many cases")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    cases = json.loads(Path(options.reference).read_text())[: options.limit]
    print(
        f"{options.reference}: {len(cases)} cases, {options.seeds} seeds, {os.cpu_count()} cores, {options.jobs} jobs"
    )
    with ProcessPoolExecutor(options.jobs) as pool:
        results = list(pool.map(run_case, cases, [options.seeds] * len(cases)))
    rows = [row for result in results for row in result[0]]
    cpu_s, events = sum(result[1] for result in results), sum(result[2] for result in results)
    print_tables(rows)
    print(f"packet level: {cpu_s / len(rows):.3f} CPU s and {events / len(rows):.0f} events per transfer and run")
    figures = {key: round(value, 5) for key, value in summary(rows, "model_s").items()}
    single = summary(loss_free(rows), "model_s")
    figures["single_loss_free_raw_median"] = round(single["raw_median"], 5)
    figures["single_loss_free_raw_p95"] = round(single["raw_p95"], 5)
    figures |= {f"fluid_{key}": round(value, 5) for key, value in summary(rows, "fluid_s").items()}
    print(json.dumps({"transfers": len(rows), "cpu_s_per_transfer": round(cpu_s / len(rows), 4), **figures}))


if __name__ == "__main__":
    main()
