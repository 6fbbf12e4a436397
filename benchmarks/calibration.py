"""Does a device profile made by `emulate calibrate` predict what training takes on the machine it was made on?

Measures a profile (or takes one), then lets real clients of fedgen train, each in a fresh process as a SuperNode starts them:
start, imports, app, prepared data from disk, training on real beats, scoring. Compares the seconds of each process from start to
end with what the cost table makes of the work the reply reports. The profile knows nothing of fedgen but what it imports. Both
sides train with one thread and count CPU seconds, which on a machine of one's own are the wall seconds.

Usage: python benchmarks/calibration.py [--profile FILE.csv] [--clients 0 3 6 9] [--repeats 1]
The last line is one JSON object: relative error of all processes together, and of the worst kind of run by itself (the median
over its clients). Needs the data (FEDGEN_DATA), and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

KINDS = {
    "1 epoch, batch 128": {"training.epochs": 1},
    "4 epochs, batch 128": {"training.epochs": 4},
    "1 epoch, batch 16": {"training.batch-size": 16},
    "4 epochs, batch 32": {"training.epochs": 4, "training.batch-size": 32},
}
PARTITIONS = 10


def train(partition: int, changes: dict[str, int]) -> None:
    """Be one ClientApp process: train once and print the work report."""
    import tomllib

    from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict

    from emulator.flower import adapter
    from fedgen import task
    from fedgen.client_app import PREPARED, SOURCE_USED, app
    from fedgen.config import parse_config

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    run_config = {**flat(project["tool"]["flwr"]["app"]["config"]), **changes}
    state = RecordDict({PREPARED: ConfigRecord({"done": True})})  # cleaned in an earlier call
    node_config = {"partition-id": partition, "num-partitions": PARTITIONS}
    context = Context(run_id=1, node_id=1, node_config=node_config, state=state, run_config=run_config)
    arrays = ArrayRecord(dict(task.new_model(parse_config(run_config)).state_dict()))
    config = ConfigRecord({"server-round": 1, SOURCE_USED: "mitdb"})
    adapter.set_identity(1)
    message = Message(RecordDict({"arrays": arrays, "config": config}), 1, "train")
    reply = app(message, context)
    print(json.dumps(adapter.numbers(reply.content["work-report"])))


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested run config with dotted keys."""
    parts = [flat(v, f"{prefix}{k}.") if isinstance(v, dict) else {f"{prefix}{k}": v} for k, v in config.items()]
    return {key: value for part in parts for key, value in part.items()}


def observe(partition: int, changes: dict[str, int]) -> tuple[float, dict[str, float]]:
    """Return CPU seconds of a ClientApp process, and the work it reports."""
    command = [sys.executable, __file__, "--train", str(partition), json.dumps(changes)]
    before_s = children_s()
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return children_s() - before_s, json.loads(done.stdout.splitlines()[-1])


def children_s() -> float:
    """Return the CPU seconds of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def calibrated(folder: Path) -> tuple[Path, float]:
    """Return a profile measured now, and how long that took."""
    path = folder / "this_machine.csv"
    began = time.perf_counter()
    command = [sys.executable, "-m", "emulator.cli", "calibrate", "--out", str(path), "--threads", "1"]
    command += ["--app", str(Path(__file__).parents[1])]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path, time.perf_counter() - began


def main() -> None:
    if sys.argv[1:2] == ["--train"]:
        train(int(sys.argv[2]), json.loads(sys.argv[3]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[0, 3, 6, 9])
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    from emulator.compute import resolve_device, seconds

    with tempfile.TemporaryDirectory() as folder:
        path, took_s = (options.profile, 0.0) if options.profile else calibrated(Path(folder))
        device, _ = resolve_device("mine", {"mine": {"file": str(path.resolve())}})
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}; calibrated in {took_s:.0f} s")
    for client in options.clients:
        observe(client, {})  # fills the cache of prepared beats
    print(f"{'':24}{'measured s':>12}{'predicted s':>12}{'error':>8}")
    sums, errors = [0.0, 0.0], {}
    for name, changes in KINDS.items():
        single, both = [], [0.0, 0.0]
        for client in options.clients * options.repeats:
            spent_s, work = observe(client, changes)
            predicted_s = seconds(
                device, {"process_starts": 1.0} | {k: v for k, v in work.items() if "memory" not in k}
            )
            single.append(predicted_s / spent_s - 1)
            both = [both[0] + spent_s, both[1] + predicted_s]
        sums = [sums[0] + both[0], sums[1] + both[1]]
        errors[name] = statistics.median(single)
        print(f"{name:24}{both[0]:12.1f}{both[1]:12.1f}{errors[name]:+8.1%}")
    total = sums[1] / sums[0] - 1
    print(f"{'all':24}{sums[0]:12.1f}{sums[1]:12.1f}{total:+8.1%}")
    worst = max(errors.values(), key=abs)
    print(json.dumps({"error": round(total, 4), "worst_kind": round(worst, 4), "calibration_s": round(took_s, 1)}))


if __name__ == "__main__":
    main()
