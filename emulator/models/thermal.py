"""Thermal throttling: a step function of (state, interval).

The state is *heat*: the device's temperature rise as a share of the rise that full load would end at, 0 when cold. Under load it
goes to 1, at rest to 0, both exponentially with the same time constant (one lumped heat capacity). At ``limit_heat`` the firmware
takes the clock down so that heat stays there: from then on work proceeds at ``throttled_speed``.

Leaves out that a load lighter than full warms less (idle gaps of the load count as load), the ambient temperature's daily course,
and steps between full and throttled speed.
"""

from __future__ import annotations

import math

from emulator.plan import Thermal


def rest(thermal: Thermal, heat: float, seconds: float) -> float:
    """Return the heat after ``seconds`` without load."""
    return heat * math.exp(-seconds / thermal.time_constant_s)


def work(thermal: Thermal, heat: float, work_s: float) -> tuple[float, float]:
    """Return the seconds that ``work_s`` (seconds at full speed) take from ``heat`` on, and the heat after them."""
    full_s = full_speed_s(thermal, heat)
    if work_s <= full_s:
        return work_s, 1 - (1 - heat) * math.exp(-work_s / thermal.time_constant_s)
    return full_s + (work_s - full_s) / thermal.throttled_speed, thermal.limit_heat


def full_speed_s(thermal: Thermal, heat: float) -> float:
    """Return how long the device keeps full speed under load from ``heat`` on; infinite where its limit is never reached."""
    if heat >= thermal.limit_heat:
        return 0.0
    if thermal.limit_heat >= 1:
        return math.inf
    return thermal.time_constant_s * math.log((1 - heat) / (1 - thermal.limit_heat))
