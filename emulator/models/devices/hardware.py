"""Device profiles: cores, memory, power, cooling and boot time, from ``devices.csv``, from a file that ``emulate calibrate``
wrote, and from a scenario's ``devices:`` block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from emulator.datafiles import find_file
from emulator.models.facts import Fact, Table, first_fact, read_facts, read_profile_file
from emulator.models.profiles import Own, like_chain, read_fields
from emulator.plan import Assumption, Device, Thermal
from emulator.topology.params import ParameterError

FIELDS: Final[dict[str, str]] = {
    "cores": "int", "memory": "size", "idle": "power", "busy": "power", "tx": "power", "rx": "power",
    "boot": "time", "speed": "fraction", "background": "fraction", "cooling": "cooling",
}  # fmt: skip
COOLING: Final = ("fan", "none")

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
    base, facts, chain = _find_base(name, own)
    overrides: dict[str, Any] = {}
    for profile in chain:
        overrides.update(read_fields(own[profile], FIELDS, key=f"devices.{profile}"))
    speed = float(overrides.pop("speed", 1.0))
    if speed <= 0:
        raise ParameterError([(f"devices.{chain[-1]}.speed", "got 0; a speed must be above 0")])
    klass = facts["klass"].value
    figures, used = _table_figures(facts, 0.0 if klass in NO_CLIENT_CLASSES else reserve_bytes)
    if overrides.pop("cooling", "fan") == "none":
        figures["thermal"] = _thermal(base, facts, used, key=f"devices.{chain[-1]}.cooling")
    background = float(overrides.pop("background", 0.0))
    for field, value in overrides.items():
        figures[ATTRIBUTE[field]] = value
        used.pop(ATTRIBUTE[field], None)
    figures["background_cores"] = background * figures.get("cores", 1)
    device = Device(profile=name, klass=klass, **figures)
    return Hardware(device, base, speed, facts, tuple(fact.assumption() for fact in used.values() if fact.is_assumed))


def _find_base(name: str, own: Own) -> tuple[str, Mapping[str, Fact], list[str]]:
    """Return the profile everything starts from, its rows, and the own profiles on the way."""
    base, chain = like_chain(name, own, device_table(), block="devices")
    if base is not None:
        return base, device_table()[base], chain
    file = own[chain[0]].get("file")
    if file is None:
        message = (
            "needs 'like: PROFILE', the shipped device it resembles, or 'file: PROFILE.csv' from emulate calibrate"
        )
        raise ParameterError([(f"devices.{chain[0]}", message)])
    try:
        base, facts = read_profile_file(find_file(str(file)), needs=("klass", "cores"))
    except ValueError as error:
        raise ParameterError([(f"devices.{chain[0]}.file", str(error))]) from error
    return base, facts, chain


def _thermal(base: str, facts: Mapping[str, Fact], used: dict[str, Fact], *, key: str) -> Thermal:
    """Return how the board slows down without cooling; its rows join ``used``."""
    rows = {name: facts.get(name) for name in ("thermal_time_constant", "throttle_heat", "throttled_speed")}
    found = {name: fact for name, fact in rows.items() if fact is not None}
    if len(found) < len(rows):
        known = ", ".join(name for name, facts in device_table().items() if "throttled_speed" in facts)
        raise ParameterError([(key, f"nothing is known of {base!r} without cooling; known: {known}")])
    used |= found
    return Thermal(*(fact.number for fact in found.values()))


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
