"""Plans made by hand and runs of the small apps under tests/apps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulator.backends.des.backend import RunOptions, VirtualTimeBackend
from emulator.events import Event, EventLog, read_events
from emulator.invariants import check_events
from emulator.plan import AppPlan, Device, FlowerSettings, Hop, Link, LinkState, Node, Plan

APPS = Path(__file__).parents[1] / "apps"
DEVICE = Device(
    profile="test", klass="gateway", cores=4, memory_bytes=2e9, idle_w=2.0, busy_w=5.0, tx_w=1.0, rx_w=1.0, boot_s=30.0,
    cpu_time_factor=2.0, base_memory_bytes=5e8,
    seconds_per_unit={
        "process_starts": 5.0, "train_macs": 1e-8, "infer_macs": 1e-9, "array_elements": 1e-6, "samples": 1e-6,
        "signal_samples": 1e-6,
    },
)  # fmt: skip


def make_plan(app: str, clients: int = 3, **changes: Any) -> Plan:
    """Return a star of ``clients`` 10/2 Mbit/s, 50 ms links; ``config`` and any field of Plan may be given."""
    config = {**default_config(app), **changes.pop("config", {})}
    nodes = [Node("server", "server", device=DEVICE)]
    links, routes = [], {}
    for index in range(clients):
        name = f"client-{index:02d}"
        nodes.append(Node(name, "client", f"site-{index:02d}", DEVICE, index))
        up, down = (LinkState(0.0, 2e6, 0.05),), (LinkState(0.0, 10e6, 0.05),)
        links.append(Link(f"{name}/link", name, "server", "test", up, down))
        routes[name] = (Hop(f"{name}/link", "up"),)
    plan = Plan(
        scenario="test", seed=7, starts_at_s=0.0, horizon_s=86400.0, nodes=tuple(sorted(nodes, key=lambda n: n.name)),
        links=tuple(links), routes=routes, outages=(), placed=(), app=AppPlan(str(APPS / app), config, None),
        flower=FlowerSettings(),
    )  # fmt: skip
    return replace(plan, **changes)


def default_config(app: str) -> dict[str, Any]:
    """Return the run config in the app's pyproject."""
    import tomllib

    return dict(tomllib.loads((APPS / app / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"])


class Outcome:
    """A finished run: its rows, and ways to ask for some of them."""

    def __init__(self, folder: Path, plan: Plan, status: str, digest: str) -> None:
        self.folder, self.plan, self.status, self.digest = folder, plan, status, digest
        self.events = list(read_events(folder / "events"))

    def rows(self, kind: str, **fields: Any) -> list[Event]:
        """Return the rows of a kind whose fields have these values."""
        return [e for e in self.events if e.kind == kind and all(getattr(e, k) == v for k, v in fields.items())]

    def weights(self, round_number: int) -> dict[str, Any]:
        """Return the global model after a round."""
        from safetensors.numpy import load_file

        return load_file(self.folder / "weights" / f"round-{round_number:03d}.safetensors")


@pytest.fixture
def run_plan(tmp_path: Path) -> Callable[..., Outcome]:
    """Run a plan in virtual time in this process; every run's log must satisfy the invariants."""
    counter = iter(range(1000))

    def run(plan: Plan, *, workers: int = 1) -> Outcome:
        folder = tmp_path / f"run-{next(counter)}"
        folder.mkdir()
        log = EventLog(folder / "events")
        try:
            status = VirtualTimeBackend(RunOptions(folder, workers)).run(plan, log)
        finally:
            violations = check_events(read_events(folder / "events"), plan)
            assert not violations, violations
        return Outcome(folder, plan, status, log.digest)

    return run


def emulate(*arguments: str, hash_seed: int = 0, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command in a fresh process."""
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "emulator.cli", *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def digest_of(folder: Path) -> str:
    """Return the event log's digest that a run left in its status."""
    return str(json.loads((folder / "status.json").read_text())["digest"])
