"""A scenario after reading, checking and resolving: frozen plain data in base units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.errors import Fault
from emulator.plan import FlowerSettings, NetworkSettings, TimingOnly

Scalar = str | int | float | bool


@dataclass(frozen=True)
class AppSpec:
    """The Flower app: ``path`` is its project folder (absolute), ``config`` its flat run config (dotted keys).

    ``fresh_process`` asks for a process of its own for every ClientApp call.
    """

    path: Path
    config: Mapping[str, Scalar] = field(default_factory=dict)
    fresh_process: bool = False


@dataclass(frozen=True)
class PluginSpec:
    """A plug-in by name with its parameters as written, for example a topology or a failure model.

    Quantities inside ``params`` are still text (``4 h``): only the plug-in knows their dimension.
    ``key`` is the dotted path of the block in the file, for messages.
    """

    kind: str
    params: Mapping[str, Any]
    key: str


@dataclass(frozen=True)
class ClockSpec:
    """``starts_at_s``: time of day at virtual time 0, seconds from midnight; ``horizon_s``: the run may not pass it."""

    starts_at_s: float = 0.0
    horizon_s: float = 7 * 86400.0


@dataclass(frozen=True)
class Scenario:
    """What a scenario file says, checked.

    Attributes:
        name: From the file, else its stem.
        question: The opening comment of the file, joined.
        source: Path of the file as given.
        seed: Root of every random stream.
        app: The Flower app and its run config.
        topology: Topology plug-in; ``sites`` is among its params.
        devices: Own device profiles: name to fields (``like: rpi_4b_4gb`` and overrides as text).
        links: Own link profiles: name to fields (``like: geo_vsat`` and overrides as text).
        overrides: Changes to single links by name pattern (fnmatch) to fields.
        failures: Failure plug-ins in order.
        clock: Start of day and horizon.
        timing: Set for ``learning: none``: sizes and work of calls that are not made.
        recorded: For ``learning: none``: file of recorded calls, and whose to take (None: the planner's choice).
        sample: How many of how many clients train for real; None where all do.
        flower: Protocol settings.
        network: How transfers are modelled.
        resolved: The whole scenario as plain data after ``--set``, ``--quick`` and defaults; writing it as YAML and
            running that repeats the run.
        places: Dotted key path to (file, line).
    """

    name: str
    question: str
    source: str
    seed: int
    app: AppSpec
    topology: PluginSpec
    devices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: tuple[PluginSpec, ...] = ()
    clock: ClockSpec = ClockSpec()
    timing: TimingOnly | None = None
    recorded: tuple[str, str | None] | None = None
    sample: tuple[int, int] | None = None
    flower: FlowerSettings = field(default_factory=FlowerSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    def fault(self, key: str, message: str) -> Fault:
        """Return a fault at ``key``, placed at the nearest key above it that stands in a file."""
        probe = key
        while probe and probe not in self.places:
            probe = _parent(probe)
        file, line = self.places.get(probe, (self.source, 0))
        return Fault(file, line, key, message)


def _parent(key: str) -> str:
    """``a.b[2].c`` -> ``a.b[2]`` -> ``a.b`` -> ``a`` -> empty."""
    if key.endswith("]"):
        return key[: key.rindex("[")]
    return key.rpartition(".")[0]
