"""A study's results: one row per run and figure, estimates per variant, and the tables the file asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pandas as pd

from emulator.study.spec import Column, Study, TableSpec
from emulator.study.statistics import Estimate, estimate, flatten, paired_difference

Figures = Mapping[tuple[str, int], Mapping[str, float]]
"""All figures of every finished run, by (variant, seed)."""


def figures_of(summaries: Mapping[tuple[str, int], Mapping[str, Any]]) -> dict[tuple[str, int], dict[str, float]]:
    """Return the numbers of each run's summary by dotted path."""
    return {key: flatten(summary) for key, summary in summaries.items()}


def runs_frame(figures: Figures) -> pd.DataFrame:
    """Return one row per run and figure: variant, seed, figure, value."""
    rows = [
        (variant, seed, name, value)
        for (variant, seed), found in figures.items()
        for name, value in sorted(found.items())
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "figure", "value"])


def estimates_frame(study: Study, figures: Figures) -> pd.DataFrame:
    """Return per variant and figure: mean, 95 % interval, runs, and the paired difference to the baseline."""
    names = sorted({name for found in figures.values() for name in found})
    rows = []
    for variant in study.variants:
        for name in names:
            ours, base = _by_seed(figures, variant.name, name), _by_seed(figures, study.baseline, name)
            if not ours:
                continue
            found, difference = estimate(list(ours.values())), paired_difference(ours, base)
            rows.append((variant.name, name, *astuple(found), *astuple(difference)[:3]))
    columns = ["variant", "figure", "mean", "low", "high", "runs", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=columns)


def _by_seed(figures: Figures, variant: str, name: str) -> dict[int, float]:
    return {seed: found[name] for (owner, seed), found in figures.items() if owner == variant and name in found}


def table_text(table: TableSpec, study: Study, figures: Figures) -> str:
    """Return a table as GitHub Markdown: ours as mean and 95 % interval, somebody else's value beside it in brackets."""
    lines = [f"### {table.title}", "", "| variant | " + " | ".join(column.title for column in table.columns) + " |"]
    lines.append("|---" * (len(table.columns) + 1) + "|")
    for name in table.variants:
        cells = [
            _cell(column, name, estimate(list(_by_seed(figures, name, column.figure).values())))
            for column in table.columns
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(column: Column, variant: str, found: Estimate) -> str:
    ours = "-" if found.mean is None else _number(found.mean * column.scale)
    if found.mean is not None and found.low is not None and found.high is not None:
        ours += f" ± {_number((found.high - found.low) / 2 * column.scale)}"
    reference = column.reference.get(variant)
    return f"{ours} ({reference:g})" if reference is not None else ours


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def write_results(folder: Path, study: Study, figures: Figures) -> str:
    """Write runs.csv, estimates.csv and study.md; returns the text of study.md."""
    folder.mkdir(parents=True, exist_ok=True)
    runs_frame(figures).to_csv(folder / "runs.csv", index=False)
    estimates_frame(study, figures).to_csv(folder / "estimates.csv", index=False)
    seeds = ", ".join(str(seed) for seed in study.seeds)
    has_reference = any(column.reference for table in study.tables for column in table.columns)
    note = f"Mean and 95 % interval over seeds {seeds}" + (
        "; in brackets the reference's value." if has_reference else "."
    )
    parts = [f"# {study.name}", study.question, note, *(table_text(table, study, figures) for table in study.tables)]
    text = "\n\n".join(part for part in parts if part) + "\n"
    (folder / "study.md").write_text(text)
    return text
