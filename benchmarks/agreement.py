"""How far is virtual time from real Flower processes on the Linux kernel? Configurations, each live and in virtual time.

``python benchmarks/agreement.py [--repeats 3] [--only NAME ...] [--work FOLDER]`` (with what ``emulate doctor`` asks for). A live
run takes one to two minutes. Live runs are kept in the work folder and not repeated when they are there, so that the command
can be given again, one configuration at a time, on a machine that is quiet only now and then.

For each configuration: medians over rounds and repeats of the round time (live) and over rounds and seeds (virtual; what
differs is the phase of polls and which packets are lost), bytes over all links, and the largest difference of a final
weight between a live run and the virtual one of its seed. A live run that is INVALID counts for nothing and is told.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from emulator import runner
from emulator.backends.live.backend import LiveOptions
from emulator.errors import EmulatorError
from emulator.metrics.compare import kendall_tau

SCENARIOS: Final = Path(__file__).parents[1] / "tests" / "scenarios"
NUMPY: Final = ("live_pair.yaml", "failures=[]", "links.line.rate=1 Mbit/s", "links.line.delay=30 ms",
                "app.config.parameters=100000", "app.config.timeout-s=600")  # fmt: skip
FEDGEN: Final = ("star_encrypted.yaml", "topology.gateway=clinic_minipc_n100", "app.config.num-server-rounds=1")
CONFIGURATIONS: Final = {
    "base": NUMPY,
    "half the rate": (*NUMPY, "links.line.rate=500 kbit/s"),
    "four times the rate": (*NUMPY, "links.line.rate=4 Mbit/s", "app.config.num-server-rounds=2"),
    "delay 2 ms": (*NUMPY, "links.line.delay=2 ms"),
    "delay 300 ms": (*NUMPY, "links.line.delay=300 ms"),
    "loss 1 %": (*NUMPY, "links.line.loss=1 %"),
    "loss 3 %": (*NUMPY, "links.line.loss=3 %"),
    "a hundredth of the payload": (*NUMPY, "app.config.parameters=1000", "app.config.num-server-rounds=2"),
    "three times the payload": (*NUMPY, "app.config.parameters=300000"),
    "four clients": (*NUMPY, "topology.sites=4", "app.config.min-nodes=4"),
    "privacy none": (*FEDGEN, "privacy.kind=none"),
    "privacy secagg": (*FEDGEN, "privacy.kind=secagg"),
}
"""Scenario and overrides. Base: two clients, 800 kB each way, 1 Mbit/s, 30 ms, one round."""
SEEDS: Final = 5


@dataclass
class Figures:
    """What one run came to."""

    latencies_s: list[float]
    link_bytes: int
    weights: str
    verdict: str = ""
    reasons: list[str] = field(default_factory=list)


def figures_of(result: runner.Result, verdict: str = "", reasons: list[str] | None = None) -> Figures:
    import pandas as pd

    tables = result.folder / "tables"
    rounds, links = pd.read_parquet(tables / "rounds.parquet"), pd.read_parquet(tables / "links.parquet")
    weights = max((result.folder / "weights").glob("*.safetensors"), default=None)
    return Figures(
        [float(each) for each in rounds["latency_s"]], int(links["flow_bytes"].sum()), str(weights or ""), verdict,
        reasons or [],
    )  # fmt: skip


def run_live(name: str, repeat: int, work: Path, *, only_kept: bool) -> Figures | None:
    """Return a live run's figures, kept ones where there are any; None where it failed, which is told, or may not begin."""
    kept = work / f"{name.replace(' ', '_')}-{repeat}.json"
    if kept.exists():
        return Figures(**json.loads(kept.read_text()))
    if only_kept:
        return None
    scenario, *overrides = CONFIGURATIONS[name]
    try:
        result = runner.run(
            SCENARIOS / scenario, overrides=overrides, backend="mininet", live=LiveOptions(allow_invalid=True),
            out=work / "live", with_report=False,
        )  # fmt: skip
    except EmulatorError as error:
        print(f"{name}, repeat {repeat}: {error}", flush=True)
        return None
    verdict = json.loads((result.folder / "live" / "fidelity.json").read_text())
    reasons = [finding["text"] for finding in verdict["findings"] if finding["verdict"] != "VALID"]
    figures = figures_of(result, verdict["verdict"], reasons)
    kept.write_text(json.dumps(asdict(figures)))
    print(f"{name}, repeat {repeat}: {figures.latencies_s} s, {figures.verdict} {reasons}", flush=True)
    return figures


def run_virtual(name: str, work: Path) -> list[Figures]:
    """Return the figures of virtual runs, kept ones where there are any."""
    kept = work / f"{name.replace(' ', '_')}-virtual.json"
    if kept.exists():
        return [Figures(**each) for each in json.loads(kept.read_text())]
    scenario, *overrides = CONFIGURATIONS[name]
    seeds = [
        [],
        *([f"seed={1000 + k}"] for k in range(1, SEEDS)),
    ]  # the first is the scenario's own, as in the live runs
    found = [
        figures_of(
            runner.run(SCENARIOS / scenario, overrides=[*overrides, *seed], out=work / "virtual", with_report=False)
        )
        for seed in seeds
    ]
    kept.write_text(json.dumps([asdict(each) for each in found]))
    return found


def weights_apart(first: str, second: str) -> float:
    """Return the largest difference of a weight; not a number where a run has none."""
    import numpy as np
    from safetensors.numpy import load_file

    if not first or not second:
        return float("nan")
    a, b = load_file(first), load_file(second)
    return max(float(np.max(np.abs(a[key] - b[key]))) for key in a)


def row_of(name: str, live: list[Figures], virtual: list[Figures]) -> dict[str, Any]:
    repeats = [statistics.median(each.latencies_s) for each in live]
    live_s = statistics.median(repeats)
    virtual_s = statistics.median(s for each in virtual for s in each.latencies_s)
    live_bytes, virtual_bytes = (statistics.median(each.link_bytes for each in runs) for runs in (live, virtual))
    return {
        "name": name, "repeats": len(live), "live_s": live_s, "spread_s": max(repeats) - min(repeats),
        "virtual_s": virtual_s, "error": live_s / virtual_s - 1, "live_bytes": live_bytes,
        "virtual_bytes": virtual_bytes, "bytes_error": live_bytes / virtual_bytes - 1,
        "weights": max(weights_apart(each.weights, virtual[0].weights) for each in live),
        "verdicts": " ".join(sorted(each.verdict for each in live)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=list(CONFIGURATIONS), default=list(CONFIGURATIONS))
    parser.add_argument("--work", type=Path, default=Path("results/agreement"))
    parser.add_argument(
        "--stop-after", type=float, default=float("inf"), metavar="SECONDS", help="begin no live run later"
    )
    parser.add_argument("--table-only", action="store_true", help="compare the live runs that are kept, carry out none")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    began_s, live = time.monotonic(), {name: list[Figures]() for name in options.only}
    left_out = []
    for repeat, name in ((repeat, name) for repeat in range(options.repeats) for name in options.only):
        is_over = options.table_only or time.monotonic() > began_s + options.stop_after
        figures = run_live(name, repeat, options.work, only_kept=is_over)
        if figures is not None and figures.verdict == "INVALID":
            left_out.append(f"{name} ({statistics.median(figures.latencies_s):.1f} s)")
        elif figures is not None:
            live[name].append(figures)
    rows = [row_of(name, runs, run_virtual(name, options.work)) for name, runs in live.items() if runs]
    if rows:
        tell(rows, left_out)


def tell(rows: list[dict[str, Any]], left_out: list[str]) -> None:
    print(f"{'configuration':<28} {'runs':>4} {'live s':>8} {'spread':>7} {'virtual s':>9} {'error':>7} "
          f"{'bytes live':>11} {'virtual':>11} {'error':>7} {'weights':>8}  verdicts")  # fmt: skip
    for row in sorted(rows, key=lambda row: -abs(row["error"])):
        print(
            f"{row['name']:<28} {row['repeats']:4d} {row['live_s']:8.2f} {row['spread_s']:7.2f} {row['virtual_s']:9.2f} "
            f"{row['error']:+7.1%} {row['live_bytes']:11,.0f} {row['virtual_bytes']:11,.0f} {row['bytes_error']:+7.2%} "
            f"{row['weights']:8.0e}  {row['verdicts']}"
        )
    errors, byte_errors = ([abs(row[key]) for row in rows] for key in ("error", "bytes_error"))
    figures = {
        "time_median": statistics.median(errors), "time_worst": max(errors), "bytes_median": statistics.median(byte_errors),
        "bytes_worst": max(byte_errors), "left_out": left_out,
    }  # fmt: skip
    if len(rows) > 2:
        figures["tau"] = kendall_tau(
            [r["live_s"] for r in rows], [r["virtual_s"] for r in rows], tie=[r["spread_s"] for r in rows]
        )
    conditions = {"cores": os.cpu_count(), "system": platform.release(), "python": platform.python_version()}
    print(
        f"worst first; medians of live repeats and of {SEEDS} virtual seeds; left out as INVALID: "
        f"{', '.join(left_out) or 'none'}; {conditions}"
    )
    print(json.dumps({"benchmark": "agreement", **figures, "rows": rows, **conditions}))


if __name__ == "__main__":
    main()
