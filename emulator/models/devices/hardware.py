"""Device profiles: cores, memory, power and boot time, from ``devices.csv`` and a scenario's ``devices:`` block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from emulator.models.facts import Fact, Table, first_fact, read_facts
from emulator.models.profiles import Own, like_chain, read_fields
from emulator.plan import Assumption, Device
from emulator.topology.params import ParameterError

FIELDS: Final[dict[str, str]] = {
    "cores": "int", "memory": "size", "idle": "power", "busy": "power", "tx": "power", "rx": "power",
    "boot": "time", "speed": "fraction",
}  # fmt: skip

# Device attribute to the table quantities that give it, the first found counts.
QUANTITIES: Final[dict[str, tuple[str, ...]]] = {
    "cores": ("cores",),
    "memory_bytes": ("ram_mb", "ram_kb"),
    "idle_w": ("power_idle", "power_light_sleep_dtim3"),
    "busy_w": ("power_active", "power_active_norf", "power_cpu"),
    "tx_w": ("tx_power", "wifi_tx", "ble_tx_0dbm"),
    "rx_w": ("rx_power", "wifi_rx", "ble_rx"),
    "boot_s": ("boot_time",),
}
ATTRIBUTE: Final[dict[str, str]] = {
    "cores": "cores", "memory": "memory_bytes", "idle": "idle_w", "busy": "busy_w", "tx": "tx_w", "rx": "rx_w",
    "boot": "boot_s",
}  # fmt: skip

# Classes with a battery of their own: a power cut of the site does not stop them.
BATTERY_CLASSES: Final = frozenset({"phone", "wearable", "sensor"})
# Classes that cannot host a Flower client whatever their memory.
NO_CLIENT_CLASSES: Final = frozenset({"wearable", "sensor"})


@dataclass(frozen=True)
class Hardware:
    """A device before its cost table.

    Attributes:
        device: Hardware figures; its cost fields are empty.
        base: Profile of the table it builds on.
        speed: Speed relative to ``base``, from the scenario; 1 where it says nothing.
        facts: All rows of ``base``.
        assumptions: Estimates among the figures used.
    """

    device: Device
    base: str
    speed: float
    facts: Mapping[str, Fact]
    assumptions: tuple[Assumption, ...]

    @property
    def has_battery(self) -> bool:
        """True where a power cut of the site leaves the device running."""
        return self.device.klass in BATTERY_CLASSES

    @property
    def can_be_client(self) -> bool:
        """False for microcontrollers and watches, which run no PyTorch; too little memory is found at run time."""
        runs = self.facts.get("runs_pytorch_training")
        return runs is None or runs.is_true or self.device.klass not in NO_CLIENT_CLASSES


def device_table() -> Table:
    """Return the shipped device profiles."""
    return read_facts("emulator.models.devices", "devices.csv")


def resolve_hardware(name: str, own: Own, *, reserve_bytes: float = 0.0) -> Hardware:
    """Return the hardware called ``name``.

    Args:
        name: A shipped profile or one of ``own``.
        own: The scenario's ``devices:`` block: name to ``like`` and overrides.
        reserve_bytes: Memory the operating system keeps, taken off the table's figure (which is the whole board's). A
            ``memory:`` in the scenario is taken as it stands. Not taken off sensors.

    Raises:
        ParameterError: See ``like_chain`` and ``read_fields``; also an own profile without ``like``.
    """
    base, chain = like_chain(name, own, device_table(), block="devices")
    if base is None:
        raise ParameterError([(f"devices.{chain[0]}", "needs 'like: PROFILE', the shipped device it resembles")])
    facts = device_table()[base]
    overrides: dict[str, Any] = {}
    for profile in chain:
        overrides.update(read_fields(own[profile], FIELDS, key=f"devices.{profile}"))
    speed = float(overrides.pop("speed", 1.0))
    if speed <= 0:
        raise ParameterError([(f"devices.{chain[-1]}.speed", "got 0; a speed must be above 0")])
    klass = facts["klass"].value
    figures, used = _table_figures(facts, 0.0 if klass in NO_CLIENT_CLASSES else reserve_bytes)
    for field, value in overrides.items():
        figures[ATTRIBUTE[field]] = value
        used.pop(ATTRIBUTE[field], None)
    device = Device(profile=name, klass=klass, **figures)
    return Hardware(device, base, speed, facts, tuple(fact.assumption() for fact in used.values() if fact.is_assumed))


def _table_figures(facts: Mapping[str, Fact], reserve_bytes: float) -> tuple[dict[str, Any], dict[str, Fact]]:
    figures: dict[str, Any] = {}
    used: dict[str, Fact] = {}
    for attribute, quantities in QUANTITIES.items():
        fact = first_fact(facts, *quantities)
        if fact is not None:
            figures[attribute] = int(fact.number) if attribute == "cores" else fact.number
            used[attribute] = fact
    if "memory_bytes" in figures:
        figures["memory_bytes"] = max(0.0, figures["memory_bytes"] - reserve_bytes)
    return figures, used
