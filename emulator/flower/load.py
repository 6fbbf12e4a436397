"""What its SuperNodes cost a SuperLink: requests a second, how busy that keeps it, and how long an answer then takes.

A SuperLink (flwr 1.41) is one Python process; every request costs it about the same, as it checks a signature (P-384)
and a few tables: ``benchmarks/superlink_capacity.py`` measures that. Idle SuperNodes are a closed system: each polls
again a pause after its last answer, so that an overloaded SuperLink slows its callers down instead of losing them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from emulator.plan import FlowerSettings, Plan

BUSY: Final = 0.7
"""From here on a user should know."""
REQUEST_LIMIT_S: Final = 30.0
"""A SuperNode gives a request up after so long."""


@dataclass(frozen=True)
class Load:
    """Polls and heartbeats of idle SuperNodes at one SuperLink.

    Attributes:
        nodes: SuperNodes.
        requests_per_s: What they would ask if answers came at once.
        capacity_per_s: What the SuperLink can answer; infinite where a request costs nothing.
        response_s: Mean time until a request is answered.
    """

    nodes: int
    requests_per_s: float
    capacity_per_s: float
    response_s: float

    @property
    def utilisation(self) -> float:
        """Share of the SuperLink's time that they would take; above 1 it cannot follow."""
        return self.requests_per_s / self.capacity_per_s


def request_s(plan: Plan) -> float:
    """Return the seconds a request takes the SuperLink on the plan's server (the reference core where its speed is unknown)."""
    device = plan.server.device
    factor = device.cpu_time_factor if device is not None and device.cpu_time_factor is not None else 1.0
    return plan.flower.request_cpu_s * factor


def idle_load(nodes: int, settings: FlowerSettings, request_s: float) -> Load:
    """Return the load of ``nodes`` idle SuperNodes."""
    polls, beats = nodes / settings.supernode_poll_s, nodes / settings.heartbeat_s
    if request_s <= 0:
        return Load(nodes, polls + beats, math.inf, 0.0)
    left = 1 - beats * request_s  # heartbeats do not wait for each other's answers: they come whatever happens
    wait_s = response_s(nodes, settings.supernode_poll_s, request_s / left) if left > 0 else math.inf
    return Load(nodes, polls + beats, 1 / request_s, wait_s)


def response_s(nodes: int, pause_s: float, request_s: float) -> float:
    """Return the mean time to an answer where ``nodes`` ask again ``pause_s`` after each: one server, first come first served.

    Schweitzer's approximation of mean value analysis: the queue met is that of the others, ``R = s (1 + (N - 1) R /
    (Z + R))``, solved for R. Exact for one node; near ``s`` while few ask, near ``N s - Z`` when the server never
    rests.
    """
    surplus_s = pause_s - nodes * request_s
    return (math.sqrt(surplus_s**2 + 4 * request_s * pause_s) - surplus_s) / 2


def notice(load: Load, settings: FlowerSettings) -> str:
    """Return what a user must know about the load, empty where there is nothing."""
    if load.utilisation < BUSY:
        return ""
    asks = (
        f"{load.nodes:,} SuperNodes that poll every {settings.supernode_poll_s:g} s and send heartbeats make "
        f"{load.requests_per_s:,.0f} requests a second; one SuperLink answers about {load.capacity_per_s:,.0f}"
    )
    if load.utilisation < 1:
        return f"The SuperLink is {load.utilisation:.0%} busy before any message is sent: {asks}."
    late = ", longer than Flower waits for one" if load.response_s > REQUEST_LIMIT_S else ""
    return (
        f"The SuperLink is overloaded {load.utilisation:.1f} times: {asks}, so that each request would take "
        f"{load.response_s:,.0f} s{late}. The times here are those of a SuperLink that is fast enough: let SuperNodes poll less "
        "often (flower.supernode_poll) or split them over several SuperLinks."
    )
