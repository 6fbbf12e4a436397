"""Quantities with units, as scenarios write them: ``10 Mbit/s``, ``300 ms``, ``2 GB``, ``0.5 %``, ``5 W``.

Inside the program every quantity is a float in the base unit named by its suffix
(``_bps`` bits per second, ``_s`` seconds, ``_bytes``, ``_j`` joules, ``_w`` watts, ``_usd_per_gb``).
Prefixes are decimal (k, M, G) except for the IEC ones (KiB, MiB, GiB).
"""

from __future__ import annotations

import math
import re
from typing import Final

UNITS: Final[dict[str, dict[str, float]]] = {
    "rate": {
        "bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9,
        "B/s": 8.0, "kB/s": 8e3, "MB/s": 8e6, "GB/s": 8e9,
    },
    "time": {
        "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
    },
    "size": {
        "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3,
    },
    "fraction": {"": 1.0, "%": 0.01},
    "power": {"uW": 1e-6, "mW": 1e-3, "W": 1.0},
    "energy": {"uJ": 1e-6, "mJ": 1e-3, "J": 1.0, "kJ": 1e3, "mWh": 3.6, "Wh": 3600.0},
    "tariff": {"USD/GB": 1.0},
    "frequency": {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
}  # fmt: skip

EXAMPLE: Final[dict[str, str]] = {
    "rate": "10 Mbit/s", "time": "300 ms", "size": "2 GB", "fraction": "0.5 %", "power": "5 W",
    "energy": "3 J", "tariff": "4 USD/GB", "frequency": "360 Hz",
}  # fmt: skip

_QUANTITY = re.compile(r"^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%/]*)\s*$")


def parse_quantity(text: object, dimension: str) -> float:
    """Return the value of ``text`` in the base unit of ``dimension``.

    Args:
        text: For example ``"10 Mbit/s"``. A bare number is accepted for ``fraction`` only.
        dimension: A key of ``UNITS``.

    Raises:
        ValueError: The unit is missing or unknown, or the number is not finite; says what is allowed.
    """
    units = UNITS[dimension]
    allowed = ", ".join(unit for unit in units if unit)
    hint = f"write a number and a unit, for example {EXAMPLE[dimension]!r}; units: {allowed}"
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError(f"got {text!r}; {hint}")
    match = _QUANTITY.match(str(text))
    if match is None:
        raise ValueError(f"got {text!r}; {hint}")
    number, unit = float(match.group(1)), match.group(2)
    if unit not in units:
        got = f"unknown unit {unit!r} in {text!r}" if unit else f"{text!r} has no unit"
        raise ValueError(f"{got}; {hint}")
    if not math.isfinite(number):
        raise ValueError(f"got {text!r}; the number must be finite")
    return number * units[unit]


def format_duration(seconds: float) -> str:
    """Return ``seconds`` for people: ``850 ms``, ``12.3 s``, ``4 min 05 s``, ``7 h 02 min``, ``2 d 03 h``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 1440:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def format_bytes(count: float) -> str:
    """Return ``count`` bytes with a decimal prefix: ``830 B``, ``12.4 kB``, ``3.10 MB``."""
    for prefix, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= scale:
            return f"{count / scale:.3g} {prefix}" if count / scale < 100 else f"{count / scale:,.0f} {prefix}"
    return f"{count:.0f} B"


def format_rate(bps: float) -> str:
    """Return ``bps`` bits per second with a decimal prefix: ``64 kbit/s``, ``10 Mbit/s``."""
    for prefix, scale in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if abs(bps) >= scale:
            return f"{bps / scale:.3g} {prefix}"
    return f"{bps:.3g} bit/s"
