"""Nodes that live on a battery and a solar panel: off from the moment the battery is empty until it has recovered."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from emulator.models.failures.reader import Names, Reader
from emulator.models.failures.sky import DAY_S, Battery, Sky, charge
from emulator.models.failures.view import View
from emulator.plan import Outage
from emulator.rng import Streams

GIVE_UP_DAYS = 366
"""A battery that does not recover for a year is off for good."""


def battery_solar(
    view: View,
    streams: Streams,
    *,
    nodes: Names,
    capacity: str,
    load: str,
    panel: str,
    sunrise: str = "6 h",
    sunset: str = "18 h",
    cloudiness: str | float = "50 %",
    charge_at_start: str | float = "100 %",
    restart_at: str | float = "20 %",
    step: str = "10 min",
    cause: str = "battery empty",
) -> Iterator[Outage]:
    """Yield an outage of each node for each time its battery is empty.

    The charge is a step function: every ``step`` it grows by what the panel gives and falls by ``load`` while the node
    is on, within 0 and ``capacity``. The panel gives ``panel`` times a half sine from sunrise to sunset, times
    ``1 - cloudiness * u`` with ``u`` even on 0 to 1 for each site and day. An empty node stays off until the battery is
    back at ``restart_at``. Nodes of one site are under one sky; each site's days have streams of their own.

    The model knows nothing of the run: ``load`` is an average that the scenario's author gives. As a first guess take
    the device's idle power, more where it trains often.

    Args:
        view: The network.
        streams: Random streams of this block.
        nodes: Names or patterns of nodes.
        capacity: Usable energy of the battery (``120 Wh``).
        load: Average power of the node and its modem while on.
        panel: Power of the panel at full sun, behind charger and wiring.
        sunrise: Time of day, as hours after midnight.
        sunset: Time of day, after ``sunrise``.
        cloudiness: Greatest share of the light that clouds take on a day; half of it in the mean.
        charge_at_start: Charge at 0 s, as a share of the capacity.
        restart_at: Charge at which an empty node comes on again.
        step: Resolution of the charge and of the outages.
        cause: For people.

    Raises:
        ParameterError: No such node, or values out of range.

    Leaves out ageing and cold, season and latitude (choose sunrise and sunset for them), and clouds within a day.
    """
    reader = Reader()
    names = reader.names(view.match_nodes, "nodes", nodes)
    battery = Battery(
        capacity_j=reader.value("capacity", capacity, "energy"),
        load_w=reader.value("load", load, "power"),
        panel_w=reader.value("panel", panel, "power"),
        start=reader.value("charge_at_start", charge_at_start, "fraction", least=0.0, most=1.0),
        restart=reader.value("restart_at", restart_at, "fraction", most=1.0),
        step_s=reader.value("step", step, most=3600.0),
    )
    rise_s, set_s = reader.value("sunrise", sunrise, least=0.0), reader.value("sunset", sunset, most=DAY_S)
    if set_s <= rise_s and not reader.faults:
        reader.refuse("sunset", f"got {sunset!r}; want a time of day after sunrise ({sunrise})")
    clouds = reader.value("cloudiness", cloudiness, "fraction", least=0.0, most=1.0)
    reader.done()
    site_of = {node.name: node.site or node.name for node in view.nodes}
    yield from heapq.merge(
        *(
            _outages(name, battery, Sky(rise_s, set_s, clouds, streams, site_of[name]), view, cause=cause)
            for name in names
        )
    )


def _outages(name: str, battery: Battery, sky: Sky, view: View, *, cause: str) -> Iterator[Outage]:
    off_from_s: float | None = None
    for at_s, is_on in charge(battery, sky, view.starts_at_s):
        if off_from_s is None and at_s >= view.horizon_s:
            return
        if not is_on and off_from_s is None:
            off_from_s = at_s
        elif off_from_s is not None and (is_on or at_s > off_from_s + GIVE_UP_DAYS * DAY_S):
            yield Outage(off_from_s, at_s if is_on else math.inf, name, cause)
            if not is_on:
                return
            off_from_s = None
