"""Are event log and tables usable at ten million events? How much memory and time do they take?

Makes a log of the wanted length from a short run without learning (a star of gateways over LTE): the rows of its later rounds
are repeated, with their times, rounds and message numbers moved on, so that the whole is a log the invariants accept. Then,
in a fresh process, checks it, reads it, and writes tables, summary and report, as `emulate report` does. Peak memory is that
process's.

Usage: python benchmarks/event_log.py [EVENTS ...]    default: 1000000 10000000
The last line is one JSON object: events, seconds and peak memory (MB) of each log.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from emulator.events import Event

DEVICES, ROUNDS = 1000, 3
SIZES = (1_000_000, 10_000_000)


def short_run(folder: Path) -> None:
    """Run a thousand devices for three rounds and leave a run folder."""
    from emulator.backends.des.backend import RunOptions, VirtualTimeBackend
    from emulator.compute import resolve_device
    from emulator.events import EventLog
    from emulator.plan import AppPlan, FlowerSettings, Hop, Link, LinkState, Node, Plan, TimingOnly
    from emulator.runfolder import RunFolder

    pi, server = (resolve_device(name, {})[0] for name in ("rpi_4b_4gb", "cloud_x86_8vcpu"))
    nodes, links, routes = [Node("server", "server", device=server)], [], {}
    up, down = (LinkState(0.0, 9.4e6, 0.042),), (LinkState(0.0, 24.1e6, 0.042),)
    for number in range(DEVICES):
        name = f"site-{number:06d}"
        nodes.append(Node(name, "client", name, pi, number))
        links.append(Link(f"{name}/lte", name, "server", "lte", up, down))
        routes[name] = (Hop(f"{name}/lte", "up"),)
    timing = TimingOnly(ROUNDS, 900.0, work={"train_macs": 1e9}, memory_bytes=20e6)
    plan = Plan(
        "event_log",
        1,
        0.0,
        1e9,
        tuple(nodes),
        tuple(links),
        routes,
        (),
        (),
        AppPlan("", {}, None),
        FlowerSettings(),
        (),
        timing,
    )
    log = EventLog(folder / "events")
    VirtualTimeBackend(RunOptions(folder, 1)).run(plan, log)
    RunFolder(folder).plan.write_text(json.dumps(plan.to_dict()))
    RunFolder(folder).write_status("finished", ended=True, digest=log.digest)


def longer(events: list[Event], count: int) -> Iterator[Event]:
    """Yield ``count`` events or a few more: the run with its last round but one repeated."""
    opens = [index for index, event in enumerate(events) if event.kind == "round_opened"]
    head, block, tail = events[: opens[1]], events[opens[1] : opens[2]], events[opens[2] :]
    times = max(1, -(-(count - len(head) - len(tail)) // len(block)))
    step_s = events[opens[2]].t_s - events[opens[1]].t_s
    parts = [(head, 0), *((block, number) for number in range(times)), (tail, times - 1)]
    seq = 0
    for part, shift in parts:
        for event in part:
            msg = event.msg
            if msg and shift:
                node, _, number = msg.rpartition("#")
                msg = f"{node}#{int(number) + shift}"
            moved = None if event.round is None else event.round + shift
            yield event._replace(seq=seq, t_s=event.t_s + shift * step_s, round=moved, msg=msg)
            seq += 1


def write_log(source: Path, target: Path, count: int) -> int:
    """Write the longer log as Parquet parts; returns its length."""
    from emulator.events import EventLog, read_events

    log = EventLog(target)
    for event in longer(list(read_events(source)), count):
        _, t_s, kind, *rest = event
        log.append(t_s, kind, **dict(zip(Event._fields[3:], rest, strict=True)))
    log.flush()
    return log.count


def publish(folder: Path) -> None:
    """Be the process that is measured."""
    from emulator.runner import report

    began, marks = time.perf_counter(), {}
    report(folder, on_stage=lambda text: marks.setdefault(text, time.perf_counter() - began))
    marks["end"] = time.perf_counter() - began
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    starts = sorted(marks.items(), key=lambda item: item[1])
    stages = {name: round(after - at, 1) for (name, at), (_, after) in pairwise(starts)}
    print(json.dumps({"stages_s": stages, "seconds": round(marks["end"], 1), "peak_mb": round(peak_mb)}))


def main() -> None:
    if sys.argv[1:2] == ["--publish"]:
        publish(Path(sys.argv[2]))
        return
    print(f"{DEVICES} devices, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
    figures = {}
    with tempfile.TemporaryDirectory() as place:
        short_run(Path(place) / "short")
        for size in [int(text) for text in sys.argv[1:]] or SIZES:
            folder = Path(place) / str(size)
            folder.mkdir()
            for name in ("plan.json", "status.json"):
                (folder / name).write_bytes((Path(place) / "short" / name).read_bytes())
            count = write_log(Path(place) / "short" / "events", folder / "events", size)
            disk_mb = sum(path.stat().st_size for path in (folder / "events").iterdir()) / 1e6
            command = [sys.executable, __file__, "--publish", str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures[str(size)] = {
                "events": count,
                "log_mb": round(disk_mb, 1),
                **json.loads(done.stdout.splitlines()[-1]),
            }
            print(f"{size:>10}: {figures[str(size)]}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
