"""When does a real SuperNode go on after its link was dead for 10 to 200 s, and what becomes of its reply?

Runs tests/apps/arrays_app on a SuperLink and a SuperNode in two network namespaces with a router between them that
stops forwarding in the middle of a download, of an upload, or of an idle stretch: packets vanish in both directions,
as on a dead radio link. The SuperNode's interface counters and both logs say when it asked again, when bytes flowed,
and what the ServerApp was told. Beside it stands what the emulator's model says, given the same cut and the waits
that this SuperNode drew (it logs them).

Usage: python benchmarks/supernode_outage.py [--cases download:40 upload:90 idle:90] [--repeat 2] [--fixture FILE.csv]
       python benchmarks/supernode_outage.py --recorded FILE.csv     (the comparison alone)
Needs Linux network namespaces (root, or unprivileged user namespaces) and tc's tbf; takes about as long as all
outages together, divided by --parallel. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "deployment")]

from cuttable import NEAR_ADDRESS, CuttableLink, open_link  # noqa: E402
from loopback import Deployment  # noqa: E402
from outages import modelled_s, read_recorded  # noqa: E402

APP = ROOT / "tests" / "apps" / "arrays_app"
RATE = "8mbit"
FORMS = "2x1000000"
"""Two arrays of 4 MB, one on each lane: eight seconds each way."""
CUT_AFTER_BYTES = 2_000_000
RESUMED_BYTES = 20_000
COMPUTE_S = 6.0
CASES = [
    f"{phase}:{outage_s}"
    for phase, outages in (
        ("download", (10, 20, 40, 90, 150)),
        ("upload", (10, 20, 40, 90, 150, 200)),
        ("idle", (10, 40, 90, 150)),
    )
    for outage_s in outages
]
COLUMNS = (
    "phase", "outage_s", "beat_before_cut_s", "asked_s", "retries", "resumed_s", "beat_s", "ended_s", "ended", "reply", "reply_s",
)  # fmt: skip


class Watch:
    """Stamps every new line of the logs, and every change of the far end's counters, to about 10 ms."""

    def __init__(self, deployment: Deployment, link: CuttableLink) -> None:
        self._deployment, self._link = deployment, link
        self.lines: list[tuple[float, str, str]] = []
        self.samples: list[tuple[float, int, int, int]] = []
        self._read = {"superlink": 0, "supernode-0": 0}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._is_over.wait(0.01):
            now_s = time.monotonic()
            for name in self._read:
                text = self._deployment.log(name)
                fresh = text[self._read[name] :]
                whole = fresh[: fresh.rfind("\n") + 1]
                self._read[name] += len(whole)
                self.lines += [(now_s, name, line) for line in whole.splitlines()]
            counters = self._link.counters()
            if not self.samples or self.samples[-1][1:] != counters:
                self.samples.append((now_s, *counters))

    @contextmanager
    def running(self) -> Any:
        """Watch for as long as the block lasts."""
        self._thread.start()
        try:
            yield self
        finally:
            self._is_over.set()
            self._thread.join()

    def when(self, text: str, since_s: float = 0.0, name: str = "supernode-0") -> float | None:
        """Return when a line with ``text`` first came after ``since_s``."""
        return next((at for at, who, line in list(self.lines) if at >= since_s and who == name and text in line), None)

    def wait_for(self, text: str, limit_s: float, name: str = "supernode-0") -> float:
        """Return when a line with ``text`` came; waits for it."""
        deadline_s = time.monotonic() + limit_s
        while (at := self.when(text, name=name)) is None:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no {text!r} in the log of {name} after {limit_s} s")
            time.sleep(0.02)
        return at

    def grown(self, column: int, since_s: float, by_bytes: int) -> float | None:
        """Return when a counter had grown by so much since its value at ``since_s``."""
        samples = list(self.samples)
        base = max((row for row in samples if row[0] <= since_s), default=samples[0])[column]
        return next((row[0] for row in samples if row[0] >= since_s and row[column] - base >= by_bytes), None)


def record(phase: str, outage_s: float) -> dict[str, Any]:
    """Cut the link once and return what was seen; times in seconds after the cut."""
    column = 2 if phase == "upload" else 1
    with tempfile.TemporaryDirectory() as folder, open_link(RATE) as link:
        deployment = Deployment(Path(folder), host=NEAR_ADDRESS, node_prefix=link.far_prefix)
        with deployment.start(1), Watch(deployment, link).running() as watch, ThreadPoolExecutor(1) as pool:
            watch.wait_for("SuperNode ID", 120)
            config = {"forms": FORMS, "compute-s": COMPUTE_S, "strict": False, "linger-s": outage_s + 40.0}
            run = pool.submit(deployment.run, APP, config, limit_s=outage_s + 400) if phase != "idle" else None
            if run is None:
                time.sleep(25)  # a heartbeat and some polls
            else:
                marker = "Receiving: train" if phase == "download" else "Received successfully"
                began_s = watch.wait_for(marker, 120)
                while watch.grown(column, began_s, CUT_AFTER_BYTES) is None:
                    time.sleep(0.01)
            link.cut()
            cut_s = time.monotonic()
            time.sleep(outage_s)
            link.mend()
            mended_s = time.monotonic()
            output = run.result()[1] if run is not None else ""
            if run is None:
                time.sleep(60)
        return summarise(watch, phase, cut_s, mended_s, output=output)


def summarise(watch: Watch, phase: str, cut_s: float, mended_s: float, *, output: str) -> dict[str, Any]:
    """Return one row of the fixture."""
    beats = [
        at for at, name, line in watch.lines if name == "superlink" and "POST /v1/fleet/send-node-heartbeat" in line
    ]
    failed = [
        (at, float(found.group(1)))
        for at, name, line in watch.lines
        if name == "supernode-0" and at > cut_s and (found := re.search(r"retrying in ([0-9.]+) seconds", line))
    ]
    if phase == "idle":
        resumed_s = watch.when("POST /v1/fleet/pull-messages", mended_s, "superlink")
    else:
        resumed_s = watch.grown(2 if phase == "upload" else 1, mended_s, RESUMED_BYTES)
    endings = (
        ("Received successfully", "Failed to receive")
        if phase == "download"
        else ("Sent successfully", "Failed to send")
    )
    ended = [(at, text) for text in endings if (at := watch.when(text, cut_s)) is not None] if phase != "idle" else []
    ended_s, ending = min(ended, default=(None, ""))
    sent = [row for row in watch.samples if row[0] > cut_s]
    reply = re.search(r"form 1: (.+) after ([0-9.]+) s", output)

    def after(at: float | None) -> float | str:
        return "" if at is None else round(at - cut_s, 3)

    return {
        "phase": phase,
        "outage_s": round(mended_s - cut_s, 3),
        "beat_before_cut_s": after(max((at for at in beats if at <= cut_s), default=None)),
        "asked_s": after(sent[0][0] if sent else None),
        "retries": " ".join(f"{at - cut_s:.2f}+{wait:.2f}" for at, wait in failed),
        "resumed_s": after(resumed_s),
        "beat_s": after(next((at for at in beats if at >= mended_s), None)),
        "ended_s": after(ended_s),
        "ended": ending,
        "reply": reply.group(1) if reply else "",
        "reply_s": float(reply.group(2)) if reply else "",
    }


def record_apart(case: str) -> dict[str, Any]:
    """Record one case in a process with network namespaces of its own."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *user, "--net", sys.executable, __file__, "--one", case]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{case}:\n{done.stderr[-4000:]}")
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def compare(path: Path) -> dict[str, Any]:
    """Print recorded instants beside the model's; return the figures, with outages that TCP alone decides apart."""
    print("phase      outage_s  goes on after  model says   error  reply     told after")
    errors = []
    for row in read_recorded(path):
        model_s = modelled_s(row)
        error = model_s / row.resumed_s - 1
        is_counted = row.outage_s > 30 and math.isfinite(error)
        errors += [abs(error)] if is_counted else []
        shown = f"{error:+7.1%}" if is_counted else "  (TCP)"
        told = "" if math.isnan(row.reply_s) else f"{row.reply_s:10.1f} s"
        print(f"{row.phase:9}{row.outage_s:10.1f}{row.resumed_s:13.2f} s{model_s:10.2f} s {shown}  {row.reply:9}{told}")
    print(
        "\nTimes after the cut. (TCP): below the 30 s of a request, or no request failed; see the outages of tcp instead."
    )
    print(
        "Reply: what the ServerApp was told, and when after sending; error 5: node unavailable, 3: message unavailable."
    )
    median = statistics.median(errors)
    return {"outages_above_30_s": len(errors), "median_error": median, "worst_error": max(errors)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--fixture", type=Path, help="also write the rows here")
    parser.add_argument("--recorded", type=Path, help="record nothing: compare these rows")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        os.environ["FLWR_LOG_LEVEL"] = "DEBUG"  # else polls and heartbeats leave no line
        phase, outage_s = options.one.split(":")
        print(json.dumps(record(phase, float(outage_s))))
        return
    if options.recorded:
        print(json.dumps(compare(options.recorded)))
        return
    with ThreadPoolExecutor(options.parallel) as pool:
        rows = list(pool.map(record_apart, options.cases * options.repeat))
    with tempfile.TemporaryDirectory() as folder:
        path = options.fixture or Path(folder) / "rows.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(json.dumps(compare(path)))


if __name__ == "__main__":
    main()
