"""What the emulator costs on top of the training it drives.

Runs a scenario with one worker and with two, each in a fresh process, and prints:

- overhead: CPU seconds of the whole command, children included, over the CPU seconds inside ClientApp calls and inside the
  ServerApp (aggregation and evaluation); the goal is at most 1.10;
- speed-up: wall seconds with two workers over wall seconds with one; the goal is at most 0.6 on two free cores.

Usage: python benchmarks/overhead.py [--scenario scenarios/rural_clinic.yaml] [--quick] [--repeats 1]
The last line is one JSON object. CPU seconds depend little on what else the machine does; wall seconds depend on it much.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(scenario: str, workers: int, extra: list[str]) -> dict[str, float]:
    """Run the scenario once and return its times in seconds."""
    with tempfile.TemporaryDirectory() as out:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "emulator.cli",
            scenario,
            "--out",
            out,
            "--run",
            "bench",
            "--workers",
            str(workers),
        ]
        environment = dict(os.environ)
        environment.pop(
            "PYTHONDONTWRITEBYTECODE", None
        )  # modules are compiled once, as for anyone who does not forbid it
        subprocess.run([*command, *extra], check=True, stdout=subprocess.DEVNULL, env=environment)
        wall_s = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = json.loads(next(Path(out).glob("*/bench/status.json")).read_text())
        cost = status["host_cost"]
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        inside_s = cost["client_cpu_s"] + cost["server_cpu_s"]
        return {
            "workers": workers,
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "inside_s": inside_s,
            "overhead": cpu_s / inside_s,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="scenarios/rural_clinic.yaml")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    extra = ["--quick"] if options.quick else []
    print(f"{options.scenario}{' --quick' if options.quick else ''}, {os.cpu_count()} cores, repeats {options.repeats}")
    print(f"load average before: {os.getloadavg()[0]:.2f}")
    print(f"{'workers':>7} {'wall s':>8} {'cpu s':>8} {'inside s':>9} {'overhead':>9}")
    runs = [measure(options.scenario, workers, extra) for _ in range(options.repeats) for workers in (1, 2)]
    for run in runs:
        print(
            f"{run['workers']:7.0f} {run['wall_s']:8.1f} {run['cpu_s']:8.1f} {run['inside_s']:9.1f} {run['overhead']:9.3f}"
        )
    best = {workers: min((r for r in runs if r["workers"] == workers), key=lambda r: r["wall_s"]) for workers in (1, 2)}
    figures = {
        "overhead_1_worker": round(best[1]["overhead"], 4),
        "overhead_2_workers": round(best[2]["overhead"], 4),
        "wall_ratio_2_to_1": round(best[2]["wall_s"] / best[1]["wall_s"], 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
