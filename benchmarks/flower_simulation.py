"""The same NumPy app in Flower's own simulation engine (Ray) and here, side by side.

Both run tests/apps/numpy_app unmodified: FedAvg, all clients trained in every round, none evaluated. Here the emulated network,
the event log and the tables are included. Memory is the proportional set size (PSS) of the whole process tree, sampled every
50 ms, so that pages shared between processes count once.

Usage: python benchmarks/flower_simulation.py [--clients 100] [--rounds 5] [--parameters 1000] [--repeats 3] [--no-ray]
Needs the extra ``ray`` (pip install -e ".[ray]") unless --no-ray is given. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
APP = ROOT / "tests" / "apps" / "numpy_app"

RAY_PROGRAM = """
import os, sys
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
sys.path.insert(0, {app!r})
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.simulation import run_simulation
from numpy_app import client, server
config = {config!r}
def with_config(function):
    def call(*arguments):
        arguments[-1].run_config.update(config)
        return function(*arguments)
    return call
server_app, client_app = ServerApp(), ClientApp()
server_app.main()(with_config(lambda grid, context: server.main(grid, context)))
client_app.train()(with_config(client.train))
run_simulation(server_app, client_app, num_supernodes={clients}, backend_config={{"client_resources": {{"num_cpus": 1}}}})
"""

SCENARIO = """\
# Question: how long do {clients} clients take here? Expectation: seconds. Run time: seconds.
name: bench
app:
  path: {app}
  config: {config}
topology: {{kind: star, sites: {clients}, gateway: rpi_4b_4gb, backhaul: lte_errant}}
clock: {{horizon: 30 d}}
"""


def tree_pss_bytes(root: int) -> int:
    """Return the PSS of process ``root`` and all its descendants, in bytes."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    total, queue = 0, [root]
    while queue:
        pid = queue.pop()
        queue += children.get(pid, [])
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return wall seconds and peak PSS in MB of its process tree."""
    began = time.perf_counter()
    environment = {**os.environ, "FLWR_TELEMETRY_ENABLED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as for anyone who does not forbid it
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, tree_pss_bytes(process.pid))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, errors = process.communicate()
    wall_s = time.perf_counter() - began
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{errors[-3000:]}")
    return wall_s, peak / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parameters", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--no-ray", action="store_true")
    options = parser.parse_args()
    config = {
        "num-server-rounds": options.rounds, "parameters": options.parameters, "fraction-train": 1.0, "evaluate": False,
        "min-nodes": options.clients, "strategy": "FedAvg", "timeout-s": 3600.0, "raise-on": -1,
    }  # fmt: skip
    print(f"{options.clients} clients x {options.rounds} rounds, {options.parameters} parameters, {os.cpu_count()} cores, "
          f"load average {os.getloadavg()[0]:.2f}")  # fmt: skip
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "bench.yaml"
        scenario.write_text(SCENARIO.format(clients=options.clients, app=APP, config=json.dumps(config)))
        here = [sys.executable, "-m", "emulator.cli", str(scenario), "--out", folder, "--no-report"]
        engines = {"here": [*here, "--workers", str(options.workers)]}
        if not options.no_ray:
            program = RAY_PROGRAM.format(app=str(APP), config=config, clients=options.clients)
            engines["flower_ray"] = [sys.executable, "-c", program]
        for name, command in engines.items():
            runs = [measure(command) for _ in range(options.repeats)]
            for wall_s, peak_mb in runs:
                print(f"{name:>10}  {wall_s:7.2f} s  {peak_mb:7.0f} MB peak PSS")
            figures[f"{name}_wall_s"] = round(statistics.median(wall for wall, _ in runs), 3)
            figures[f"{name}_peak_mb"] = round(statistics.median(peak for _, peak in runs), 1)
    if "flower_ray_wall_s" in figures:
        figures["times_faster"] = round(figures["flower_ray_wall_s"] / figures["here_wall_s"], 2)
        figures["memory_share"] = round(figures["here_peak_mb"] / figures["flower_ray_peak_mb"], 3)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
