"""Figures with their sources: one row per profile and quantity, read from a CSV table beside the model that uses it.

Columns: ``profile, quantity, value, unit, kind, source, note``. ``kind`` says how far a figure may be trusted:
``measured`` by the cited source, ``vendor`` (data sheet or standard), ``derived`` (computed from cited figures) or
``estimate`` (scaled, or from general knowledge). Estimates a run used are named in its report.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from emulator.plan import Assumption

COLUMNS: Final = ("profile", "quantity", "value", "unit", "kind", "source", "note")
KINDS: Final = ("measured", "vendor", "derived", "estimate")

# First word of a unit to its size in base units (bit/s, s, bytes, W, FLOP/s, J per byte).
SCALE: Final[dict[str, float]] = {
    "Mbit/s": 1e6, "GFLOP/s": 1e9, "MiB": 1024.0**2, "MB": 1e6, "KB": 1e3, "B": 1.0, "h": 3600.0, "s": 1.0, "ms": 1e-3,
    "W": 1.0, "uJ/B": 1e-6, "USD/GB": 1.0, "B/day": 1.0, "fraction": 1.0, "x": 1.0, "count": 1.0, "vCPU": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """One row of a fact table; ``value`` is the text of the table."""

    profile: str
    quantity: str
    value: str
    unit: str
    kind: str
    source: str
    note: str = ""

    @property
    def is_assumed(self) -> bool:
        """True where nobody measured or specified the figure."""
        return self.kind == "estimate"

    @property
    def number(self) -> float:
        """The value in base units.

        Raises:
            ValueError: The row holds text or a truth value, or its unit is not in ``SCALE``.
        """
        word = self.unit.split()[0]
        if word not in SCALE:
            raise ValueError(
                f"{self.profile}.{self.quantity} is in {self.unit!r}, which is no number with a known unit"
            )
        return float(self.value) * SCALE[word]

    @property
    def is_true(self) -> bool:
        """The value of a row with unit ``bool``."""
        return self.value == "true"

    def assumption(self) -> Assumption:
        """Return the row as an assumption for the report."""
        value = self.value if self.unit in ("str", "bool") else f"{self.value} {self.unit}"
        return Assumption(self.profile, self.quantity, value, self.source)


Table = Mapping[str, Mapping[str, Fact]]


@cache
def read_facts(package: str, filename: str) -> Table:
    """Return the table ``filename`` of ``package`` as profile to quantity to row; read once and kept.

    Raises:
        ValueError: Wrong columns, a kind outside ``KINDS``, a row without source, or a quantity given twice.
    """
    return _parse(resources.files(package).joinpath(filename).read_text(encoding="utf-8"), filename)


def read_profile_file(path: Path, *, needs: tuple[str, ...]) -> tuple[str, Mapping[str, Fact]]:
    """Return the one profile of a file in the same format: its name and its rows.

    Raises:
        ValueError: As ``read_facts``; also a value that is no number in a known unit, no or several profiles, or a quantity of
            ``needs`` missing.
    """
    try:
        table = _parse(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"got {path.name!r}, which cannot be read: {error}") from error
    if len(table) != 1:
        raise ValueError(f"{path.name}: holds {len(table)} profiles; must be one, as emulate calibrate writes it")
    ((name, facts),) = table.items()
    for fact in facts.values():
        if fact.unit not in ("str", "bool"):
            number = fact.number
            if not 0 <= number < math.inf:
                raise ValueError(f"{path.name}: {fact.quantity} is {fact.value}; must be 0 or more")
    missing = [quantity for quantity in needs if quantity not in facts]
    if missing:
        raise ValueError(f"{path.name}: has no {', '.join(missing)}; write it anew with emulate calibrate")
    return name, facts


def write_profile_file(path: Path, facts: Iterable[Fact]) -> None:
    """Write rows in the format of the tables."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(fact, column) for column in COLUMNS] for fact in facts)


def _parse(text: str, filename: str) -> Table:
    table: dict[str, dict[str, Fact]] = {}
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{filename}: columns are {reader.fieldnames}, want {COLUMNS}")
    for line, row in enumerate(reader, start=2):
        if None in row or None in row.values():
            raise ValueError(f"{filename}:{line}: has not {len(COLUMNS)} cells")
        fact = Fact(**row)
        if fact.kind not in KINDS or not fact.source:
            raise ValueError(f"{filename}:{line}: needs a source and a kind among {', '.join(KINDS)}")
        quantities = table.setdefault(fact.profile, {})
        if fact.quantity in quantities:
            raise ValueError(f"{filename}:{line}: {fact.profile}.{fact.quantity} is given twice")
        quantities[fact.quantity] = fact
    return MappingProxyType({profile: MappingProxyType(rows) for profile, rows in table.items()})


def first_fact(rows: Mapping[str, Fact], *quantities: str) -> Fact | None:
    """Return the row of the first of ``quantities`` that the profile has, or None."""
    return next((rows[name] for name in quantities if name in rows), None)
