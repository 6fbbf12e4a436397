"""Joules of a device over a run.

Formula: ``idle_w * on_s + (busy_w - idle_w) * busy_s + tx_w * tx_s + rx_w * rx_s``. A power figure that is not known makes the
result unknown (None) wherever it would be multiplied by more than zero seconds; it never counts as 0 W.
Left out: start-up surges, losses of the power supply, clock scaling between idle and busy.
"""

from __future__ import annotations

from emulator.plan import Device


def energy_j(device: Device, *, busy_s: float, idle_s: float, tx_s: float, rx_s: float) -> float | None:
    """Return the joules of ``device``, or None where a power figure that is needed is unknown.

    Args:
        device: Hardware with its power figures in watts.
        busy_s: Seconds computing.
        idle_s: Seconds on and not computing.
        tx_s: Seconds sending (extra power, on top of busy or idle).
        rx_s: Seconds receiving (extra power, on top of busy or idle).
    """
    parts = ((device.busy_w, busy_s), (device.idle_w, idle_s), (device.tx_w, tx_s), (device.rx_w, rx_s))
    total = 0.0
    for power_w, seconds in parts:
        if seconds > 0:
            if power_w is None:
                return None
            total += power_w * seconds
    return total
