"""Scenarios built by hand, and a throw-away failure model and topology."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from emulator.models.failures import View
from emulator.models.links import LinkProfile
from emulator.plan import Direction, LinkState, Outage, Plan
from emulator.planner import make_plan
from emulator.rng import Streams
from emulator.scenario.model import AppSpec, ClockSpec, PluginSpec, Scenario

HOUR_S = 3600.0
REPOSITORY = Path(__file__).resolve().parents[2]


def scenario(kind: str = "star", *, sites: int = 3, **changes: Any) -> Scenario:
    """Return a scenario of one topology; ``params`` are its parameters, ``failures`` a list of (kind, params)."""
    params = {"sites": sites, **changes.pop("params", {})}
    failures = tuple(
        PluginSpec(name, values, f"failures[{index}]")
        for index, (name, values) in enumerate(changes.pop("failures", []))
    )
    base = Scenario(
        name="t",
        question="",
        source="t.yaml",
        seed=1,
        app=AppSpec(Path("/app"), {"num-server-rounds": 10}),
        topology=PluginSpec(kind, params, "topology"),
        failures=failures,
        clock=ClockSpec(starts_at_s=18 * HOUR_S, horizon_s=72 * HOUR_S),
    )
    return replace(base, **changes)


def view_of(plan: Plan, *, horizon_s: float = 72 * HOUR_S, on_battery: frozenset[str] = frozenset()) -> View:
    """Return what a failure model sees of ``plan``."""
    return View(plan.nodes, plan.links, horizon_s, plan.starts_at_s, on_battery=on_battery)


def star_view(sites: int = 3, *, horizon_s: float = 72 * HOUR_S, starts_at_s: float = 18 * HOUR_S) -> View:
    """Return the view of a star."""
    plan = make_plan(scenario(sites=sites))
    return replace(view_of(plan, horizon_s=horizon_s), starts_at_s=starts_at_s)


def every_hour(view: View, streams: Streams, *, target: str, for_: str = "1 min") -> Iterator[Outage]:
    """A failure model from outside: an outage at every full hour."""
    from emulator.topology.params import quantity

    length_s = quantity("for", for_, "time")
    hour = 0
    while hour * HOUR_S < view.horizon_s:
        yield Outage(hour * HOUR_S, hour * HOUR_S + length_s, target)
        hour += 1


def backwards(view: View, streams: Streams) -> Iterator[Outage]:
    """A failure model that breaks its contract."""
    yield Outage(200.0, 300.0, "server")
    yield Outage(100.0, 150.0, "server")


def line(*, sites: int, rate: str = "1 Mbit/s") -> nx.Graph:
    """A topology from outside: a chain of clients, links given by their figures, delays as numbers of seconds."""
    graph = nx.Graph()
    graph.add_node("hub", kind="server", profile="cloud_x86_8vcpu")
    last = "hub"
    for number in range(sites):
        name = f"node-{number}"
        graph.add_node(name, kind="client", profile="rpi_5_4gb")
        graph.add_edge(last, name, rate=rate, delay=0.01)
        last = name
    return graph


def two_servers(*, sites: int) -> nx.Graph:
    """A topology with two servers."""
    graph = line(sites=sites)
    graph.add_node("second", kind="server", profile="cloud_x86_8vcpu")
    graph.add_edge("hub", "second", rate="1 Mbit/s", delay=0.0)
    return graph


def cut_off(*, sites: int) -> nx.Graph:
    """A topology with a client behind a sensor and one with no link at all."""
    graph = line(sites=sites)
    graph.add_node("alone", kind="client", profile="rpi_5_4gb")
    return graph


def data_file(name: str) -> Path:
    """Return a file of the data folder, which ``FEDGEN_DATA`` names or which lies beside the checkout; else skip."""
    found = os.environ.get("FEDGEN_DATA")
    for folder in ([Path(found)] if found else []) + [REPOSITORY.parent / "shared" / "data"]:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is not on this machine: set FEDGEN_DATA to the folder that holds it")


def half_by_night(
    profile: LinkProfile, *, direction: Direction, horizon_s: float, rng: np.random.Generator, share: str
) -> list[LinkState]:
    """A link model from outside: every other 12 hours a share of the rate is left."""
    from emulator.topology.params import quantity

    rate_bps = profile.up_bps if direction == "up" else profile.down_bps
    left = quantity("share", share, "fraction")
    return [
        LinkState(turn * 12 * HOUR_S, rate_bps * (left if turn % 2 else 1.0), profile.delay_s)
        for turn in range(math.ceil(horizon_s / (12 * HOUR_S)))
    ]


def late_start(profile: LinkProfile, *, direction: Direction, horizon_s: float, rng: object) -> list[LinkState]:
    """A link model that breaks its contract."""
    return [LinkState(1.0, 1e6, 0.0)]


def negative(profile: LinkProfile, *, direction: Direction, horizon_s: float, rng: object) -> list[LinkState]:
    """A link model that breaks its contract."""
    return [LinkState(0.0, -1e6, 0.0)]


def odd_path(
    profile: LinkProfile, *, direction: Direction, horizon_s: float, rng: object, where: Path | None = None
) -> list[LinkState]:
    """A link model whose file parameter is called otherwise than it should."""
    return [LinkState(0.0, 1e6, 0.0)]


def fading_line(*, sites: int) -> nx.Graph:
    """A topology whose edges carry a link model."""
    graph = line(sites=sites)
    for _, _, data in graph.edges(data=True):
        data["model"] = {"kind": "degradation", "every": "1 h", "for": "10 min", "rate": "10 %"}
    return graph
