"""Outages under a transfer: the recorded cases of Linux's kernel, and what the transfer models do in the same.

``benchmarks/outages.py`` makes the record ``linux_probes.csv`` and prints both side by side.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from emulator.backends.des.model import TransferModel
from emulator.backends.des.network import Network
from emulator.backends.des.tcp.network import PacketNetwork
from emulator.backends.des.tcp.stack import LINUX_STACK
from emulator.plan import ControlName, Hop, Link, LinkState

RECORD = Path(__file__).parent / "linux_probes.csv"
CUT_S = 6.0
WINDOW_BYTES = 65_535
"""Window scaling is off, so that the receiver's window is known."""
SPACING_S = 0.05
NEAR = 0.10


@dataclass(frozen=True)
class Route:
    """A link, the same in both directions; ``is_steady`` where no queue overflows and the round trip stays the same."""

    name: str
    rate_bps: float
    delay_s: float
    queue_packets: int
    is_steady: bool = True


ROUTES = (
    Route("lte", 3e6, 0.060, 50),  # the window allows less than link and queue hold: a steady round trip
    Route("satellite", 2e6, 0.300, 50),  # the window allows less than the link alone holds
    Route("full-queue", 1e6, 0.050, 20, is_steady=False),  # more: the queue overflows again and again
)


@dataclass(frozen=True)
class Case:
    """One outage on one path, and what was seen: seconds since the cut of each probe, and of the first packet through."""

    path: Route
    outage_s: float
    probes_s: tuple[float, ...] = ()
    resumed_s: float = 0.0


def spaced(times_s: list[float]) -> tuple[float, ...]:
    """Return the first time of each burst; those in the first 50 ms were on their way when the link was cut."""
    found, last_s = [], 0.0
    for time_s in times_s:
        if time_s - last_s > SPACING_S:
            found.append(round(time_s, 4))
        last_s = time_s
    return tuple(found)


def model_of(case: Case, control: ControlName, kind: str) -> Case:
    """Return what a transfer model does in the same case."""
    path = case.path
    state = (LinkState(0.0, path.rate_bps, path.delay_s),)
    link = Link("link", "leaf", "root", "custom", state, state, queue_bytes=path.queue_packets * 1500)
    stack = replace(LINUX_STACK, receive_window_bytes=WINDOW_BYTES)
    network: TransferModel = (
        PacketNetwork([link], stack=stack, control=control) if kind == "packet" else Network([link])
    )
    network.start("x", [Hop("link", "up")], 1e9, 0.0, extra_rtts=1.0)
    network.advance(CUT_S)
    network.set_link_up("link", False, CUT_S)
    network.advance(CUT_S)
    probes = watch(network, case.outage_s) if isinstance(network, PacketNetwork) else []
    network.advance(CUT_S + case.outage_s)
    network.set_link_up("link", True, CUT_S + case.outage_s)
    resumed = [event.t_s for event in network.advance(CUT_S + 3 * case.outage_s + 10) if event.kind == "resumed"]
    late_s = 0.0 if kind == "packet" else path.delay_s  # the fluid model tells when the probe leaves
    return replace(case, probes_s=spaced(probes), resumed_s=resumed[0] - CUT_S + late_s if resumed else float("inf"))


def watch(network: PacketNetwork, outage_s: float) -> list[float]:
    """Return when the sender sent into the dead link, in seconds since the cut."""
    times: list[float] = []
    now_s = CUT_S
    pipe = network.pipe("link", "up")
    while now_s < CUT_S + outage_s:
        before = pipe.dropped
        now_s = min(now_s + 0.005, CUT_S + outage_s)
        network.advance(now_s)
        if pipe.dropped > before:
            times.append(now_s - CUT_S)
    return times


def is_near(a: float, b: float) -> bool:
    return abs(a - b) <= NEAR * b


def is_ambiguous(case: Case) -> bool:
    """Return whether the outage ends so near to a probe that one probe sooner or later is a matter of chance."""
    last_s = case.resumed_s - case.path.delay_s - 12_000 / case.path.rate_bps
    return any(is_near(time_s, case.outage_s) for time_s in (*case.probes_s, last_s))


def probe_errors(real: Case, model: Case) -> list[float]:
    """Return the relative error of each of Linux's probes; infinite for one that the model has no counterpart to."""
    pairs = list(zip(real.probes_s, model.probes_s, strict=False))
    missing = [
        time_s
        for time_s in real.probes_s[len(pairs) :] + model.probes_s[len(pairs) :]
        if not is_near(time_s, real.outage_s)
    ]
    return [abs(b - a) / a for a, b in pairs] + [float("inf")] * len(missing)


def write(cases: list[Case], path: Path, line: str) -> None:
    """Write what Linux did as CSV, below the command that made it."""
    with path.open("w", newline="") as file:
        file.write(f"# {line}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "outage_s", "resumed_s", "probes_s"])
        for case in cases:
            probes = " ".join(f"{time_s:.3f}" for time_s in case.probes_s)
            writer.writerow([case.path.name, case.outage_s, f"{case.resumed_s:.3f}", probes])


def read(path: Path) -> list[Case]:
    """Return recorded cases."""
    by_name = {one.name: one for one in ROUTES}
    with path.open() as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return [
            Case(
                by_name[row["path"]], float(row["outage_s"]), tuple(map(float, row["probes_s"].split())),
                float(row["resumed_s"]),
            )
            for row in rows
        ]  # fmt: skip
