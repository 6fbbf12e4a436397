"""What a study file says: scenario variants, seeds, and the tables and figures wanted of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """One way to run.

    Attributes:
        name: Its name in folders and tables.
        scenario: The scenario file.
        overrides: ``key=value`` changes, those of the whole study first.
        quick: Apply the scenario's ``quick`` block.
        seed_keys: Keys that take the run's seed beside the scenario's own: an app's seed is a setting of the app.
    """

    name: str
    scenario: Path
    overrides: tuple[str, ...] = ()
    quick: bool = False
    seed_keys: tuple[str, ...] = ()

    def overrides_of(self, seed: int) -> tuple[str, ...]:
        """Return the changes for a run with this seed."""
        return (*self.overrides, *(f"{key}={seed}" for key in self.seed_keys))


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: Its head.
        figure: Dotted path into a run's ``summary.json``, for example ``rounds.latency_median_s``.
        minus: Another such path, whose value is taken off in each run; empty: nothing is.
        scale: Factor on the figure, for example 100 for a percentage.
        reference: Somebody else's value by variant, shown beside ours.
    """

    title: str
    figure: str
    minus: str = ""
    scale: float = 1.0
    reference: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TableSpec:
    """A table: variants down, figures across.

    Attributes:
        title: Its title.
        variants: The rows; all variants where the file names none.
        columns: The columns.
    """

    title: str
    variants: tuple[str, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class FigureSpec:
    """A figure, by its kind.

    ``bars``: one bar per variant. ``rounds``: one curve per variant over rounds. ``points``: one point per variant that
    ``at`` gives a place on the horizontal axis.

    Attributes:
        title: Its title; its file is named after it.
        kind: ``bars``, ``rounds`` or ``points``.
        figure: Dotted path into ``summary.json``; of ``rounds`` a column of the table ``rounds``.
        variants: Those shown; all where the file names none.
        scale: Factor on the figure.
        unit: What stands at the vertical axis.
        axis: What stands at the horizontal axis.
        at: Place by variant, above 0, on a logarithmic axis; infinity stands at its end.
        reference: Somebody else's value by variant.
    """

    title: str
    kind: str
    figure: str
    variants: tuple[str, ...]
    scale: float = 1.0
    unit: str = ""
    axis: str = ""
    at: Mapping[str, float] = field(default_factory=dict)
    reference: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        name: Name of its folder.
        question: The file's opening comment.
        seeds: Seeds of the runs; run number i of every variant has the same seed, so that variants can be compared in pairs.
        variants: In the order of the file.
        baseline: The variant others are compared with.
        tables: The tables to print and save.
        figures: The figures to save.
    """

    name: str
    question: str
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    baseline: str
    tables: tuple[TableSpec, ...]
    figures: tuple[FigureSpec, ...] = ()
