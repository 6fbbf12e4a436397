"""How well does each way of being slow hold a device's pace: a CPU quota, or full speed and a reply held back?

``python benchmarks/live_devices.py`` (Linux with control groups that may be made; see ``emulate doctor``). A job of known CPU
time runs at several shares of a core, alone and with others beside it; what it took is compared with CPU time over share.
Then the start of a ClientApp's Python at each share, which a quota slows down and hold-until does not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

from emulator.backends.live.cgroups import Limits, Place, join, make_groups, places, remove_groups

SHARES = (0.5, 0.2, 0.1, 0.05)
WORK_S = 0.2
REPEATS = 3
BESIDE = (1, 4)
"""Devices that compute at once."""
START = "import flwr.clientapp, numpy"


def work(how: str, share: float) -> None:
    """Be a device: compute for ``WORK_S`` and print the seconds it took."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    while time.process_time() < cpu_s + WORK_S:
        pass
    if how == "hold":
        time.sleep(max(0.0, began_s + WORK_S / share - time.monotonic()))
    print(time.monotonic() - began_s)


def measure(how: str, share: float, count: int, where: dict[str, Place]) -> list[float]:
    """Return the relative errors of ``count`` devices at once, over all repeats."""
    errors = []
    for _ in range(REPEATS):
        name = f"emulate-bench-{os.getpid()}-{time.time_ns()}"
        limits = {f"d{k}": Limits(cores=share) for k in range(count)} if how == "quota" else {}
        groups = make_groups(name, limits, where)
        children = [
            subprocess.Popen(
                [sys.executable, __file__, "--as-device", how, str(share), json.dumps(groups.get(f"d{k}", ()))],
                stdout=subprocess.PIPE, text=True,
            )
            for k in range(count)
        ]  # fmt: skip
        errors += [float(child.communicate()[0]) / (WORK_S / share) - 1 for child in children]
        remove_groups(name, [folder for each in groups.values() for folder in each])
    return errors


def start_s(share: float | None, where: dict[str, Place]) -> float:
    """Return how long a ClientApp's imports take, at a share or freely."""
    name = f"emulate-bench-{os.getpid()}-{time.time_ns()}"
    groups = make_groups(name, {"d": Limits(cores=share)} if share else {}, where)
    began_s = time.monotonic()
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"from emulator.backends.live.cgroups import join; join({groups.get('d', ())!r}); {START}",
        ],
        check=True,
    )
    took_s = time.monotonic() - began_s
    remove_groups(name, [folder for each in groups.values() for folder in each])
    return took_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-device", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_device:
        how, share, folders = options.as_device
        join(json.loads(folders))
        work(how, float(share))
        return
    where = {name: place for name, place in places().items() if name == "cpu"}
    if not where:
        sys.exit("this process may not make control groups; see emulate doctor")
    rows = []
    print(f"{'share':>6} {'at once':>8} {'quota: error':>13} {'worst':>8} {'hold: error':>12} {'worst':>8}")
    for share in SHARES:
        for count in BESIDE:
            row: dict[str, float] = {"share": share, "count": count}
            for how in ("quota", "hold"):
                errors = measure(how, share, count, where)
                row[f"{how}_median"], row[f"{how}_worst"] = statistics.median(errors), max(errors, key=abs)
            rows.append(row)
            print(
                f"{share:6.2f} {count:8d} {row['quota_median']:+13.1%} {row['quota_worst']:+8.1%} "
                f"{row['hold_median']:+12.1%} {row['hold_worst']:+8.1%}", flush=True,
            )  # fmt: skip
    starts = {str(share): start_s(share, where) for share in (None, *SHARES[:2])}
    print("start of a ClientApp's Python: " + ", ".join(f"share {key}: {value:.1f} s" for key, value in starts.items()))
    conditions = {"cores": os.cpu_count(), "system": platform.release(), "python": platform.python_version()}
    print(f"{WORK_S} CPU seconds, {REPEATS} repeats, errors against CPU time over share; {conditions}")
    print(json.dumps({"benchmark": "live_devices", "rows": rows, "starts_s": starts, **conditions}))


if __name__ == "__main__":
    main()
