"""Energy of a device over an interval: idle power throughout, and extra power while computing, sending, receiving."""

from __future__ import annotations

from emulator.plan import Device


def energy_j(device: Device, *, busy_s: float, idle_s: float, tx_s: float = 0.0, rx_s: float = 0.0) -> float | None:
    """Return the joules ``device`` takes, or None where a figure that is needed is unknown.

    ``E = idle_w * (busy_s + idle_s) + (busy_w - idle_w) * busy_s + tx_w * tx_s + rx_w * rx_s``

    ``busy_s + idle_s`` is the time the device is on; sending and receiving happen within it and may overlap computing,
    so they add extra power only. A figure is needed where its time is above 0. Form: SimGrid's linear host model and
    ns3-fl's ``fl-energy`` (computing and sending apart).

    Raises:
        ValueError: A negative time.

    Leaves out partial load (one busy core counts as the profile's busy power), thermal throttling, modem idle power and
    the conversion losses of a battery.
    """
    times = {"busy_s": busy_s, "idle_s": idle_s, "tx_s": tx_s, "rx_s": rx_s}
    for name, value in times.items():
        if value < 0:
            raise ValueError(f"{name}: got {value}; a time cannot be negative")
    total = 0.0
    for power_w, seconds in (
        (device.idle_w, idle_s),
        (device.busy_w, busy_s),  # idle * busy + (busy - idle) * busy
        (device.tx_w, tx_s),
        (device.rx_w, rx_s),
    ):
        if seconds > 0:
            if power_w is None:
                return None
            total += power_w * seconds
    return total
