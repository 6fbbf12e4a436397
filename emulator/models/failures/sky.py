"""Light on a panel over the day, and the charge of a battery behind it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from emulator.rng import Streams

DAY_S = 86400.0


@dataclass(frozen=True)
class Sky:
    """The sun over one site: up from ``rise_s`` to ``set_s`` after midnight, dimmed by a cloudiness drawn each day."""

    rise_s: float
    set_s: float
    cloudiness: float
    streams: Streams
    site: str

    def light(self, from_s: float, to_s: float) -> float:
        """Return the mean share of the panel's peak power between two times after the first midnight.

        ``(1 - cloudiness * u_d) * sin(pi * (t - rise) / (set - rise))`` while the sun is up, with ``u_d`` even on 0 to
        1 for each day; the interval lies within one day.
        """
        day = math.floor(from_s / DAY_S)
        start_s, end_s = (min(max(t - day * DAY_S, self.rise_s), self.set_s) for t in (from_s, to_s))
        if end_s <= start_s:
            return 0.0
        span_s = self.set_s - self.rise_s
        angles = [math.pi * (t - self.rise_s) / span_s for t in (start_s, end_s)]
        integral_s = (math.cos(angles[0]) - math.cos(angles[1])) * span_s / math.pi
        return self._clearness(day) * integral_s / (to_s - from_s)

    def _clearness(self, day: int) -> float:
        if day not in self._days:
            self._days[day] = 1.0 - self.cloudiness * float(self.streams("sky", self.site, day).random())
        return self._days[day]

    @cached_property
    def _days(self) -> dict[int, float]:
        return {}


@dataclass(frozen=True)
class Battery:
    """A battery behind a panel: joules, watts, and the shares of its capacity at which the load goes off and on."""

    capacity_j: float
    load_w: float
    panel_w: float
    start: float
    restart: float
    step_s: float


def charge(battery: Battery, sky: Sky, starts_at_s: float) -> Iterator[tuple[float, bool]]:
    """Yield (virtual time, is on) at each step, without end, in steps that never cross midnight.

    ``E' = min(capacity, max(0, E + (panel * light - load * on) * dt))``; on until ``E`` is 0, then off until it is back
    at ``restart * capacity``.
    """
    energy_j = battery.start * battery.capacity_j
    is_on = energy_j > 0
    steps = max(1, math.ceil(DAY_S / battery.step_s))
    index = math.floor(starts_at_s / DAY_S * steps)
    now_s = starts_at_s
    while True:
        yield now_s - starts_at_s, is_on
        index += 1
        next_s = index * DAY_S / steps
        power_w = battery.panel_w * sky.light(now_s, next_s) - (battery.load_w if is_on else 0.0)
        energy_j = min(battery.capacity_j, max(0.0, energy_j + power_w * (next_s - now_s)))
        is_on = energy_j > 0 if is_on else energy_j >= battery.restart * battery.capacity_j
        now_s = next_s
