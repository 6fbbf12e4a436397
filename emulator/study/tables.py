"""A study's results: one row per run and figure, estimates per variant, and the tables the file asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pandas as pd

from emulator.study.figures import write_figure
from emulator.study.spec import Column, FigureSpec, Study, TableSpec
from emulator.study.statistics import Estimate, estimate, flatten, paired_difference

LEAST_SPREAD = 1e-6
"""A smaller share of the mean is rounding, no spread."""

Figures = Mapping[tuple[str, int], Mapping[str, float]]
"""All figures of every finished run, by (variant, seed)."""
Series = Mapping[tuple[str, int], Mapping[str, Mapping[int, float]]]
"""Columns of the table ``rounds`` of every finished run: by (variant, seed), column and round."""


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


def _by_seed(figures: Figures, variant: str, name: str, minus: str = "") -> dict[int, float]:
    """Return a figure of one variant by seed, less another one where that is named."""
    return {
        seed: found[name] - (found[minus] if minus else 0.0)
        for (owner, seed), found in figures.items()
        if owner == variant and name in found and (not minus or minus in found)
    }


def table_text(table: TableSpec, figures: Figures) -> str:
    """Return a table as GitHub Markdown: ours as mean and 95 % interval, somebody else's value beside it in brackets."""
    lines = [f"### {table.title}", "", "| variant | " + " | ".join(column.title for column in table.columns) + " |"]
    lines.append("|---" * (len(table.columns) + 1) + "|")
    for name in table.variants:
        found = [_by_seed(figures, name, column.figure, column.minus) for column in table.columns]
        cells = [
            _cell(column, name, estimate(list(each.values())))
            for column, each in zip(table.columns, found, strict=True)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(column: Column, variant: str, found: Estimate) -> str:
    ours = "-" if found.mean is None else _number(found.mean * column.scale)
    if found.mean is not None and math.isfinite(found.mean) and found.low is not None and found.high is not None:
        half = (found.high - found.low) / 2
        ours += f" ± {_number(half * column.scale) if half > abs(found.mean) * LEAST_SPREAD else '0'}"
    reference = column.reference.get(variant)
    return f"{ours} ({reference:g})" if reference is not None else ours


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def curves_frame(study: Study, series: Series) -> pd.DataFrame:
    """Return per variant, column and round: mean, 95 % interval and runs, for all columns that figures show."""
    rows = []
    for variant in study.variants:
        for column in dict.fromkeys(spec.figure for spec in study.figures if spec.kind == "rounds"):
            for number, found in _over_rounds(series, variant.name, column).items():
                rows.append((variant.name, column, number, *astuple(found)))
    return pd.DataFrame(rows, columns=["variant", "figure", "round", "mean", "low", "high", "runs"])


def _over_rounds(series: Series, variant: str, column: str) -> dict[int, Estimate]:
    runs = [found.get(column, {}) for (owner, _), found in series.items() if owner == variant]
    numbers = sorted({number for run in runs for number in run})
    return {number: estimate([run[number] for run in runs if number in run]) for number in numbers}


def _values(spec: FigureSpec, figures: Figures, series: Series) -> dict[str, dict[int, Estimate]]:
    """Return what a figure shows, by variant and round; round 0 stands for the whole run."""
    if spec.kind == "rounds":
        return {name: _over_rounds(series, name, spec.figure) for name in spec.variants}
    found = {name: list(_by_seed(figures, name, spec.figure).values()) for name in spec.variants}
    return {name: {0: estimate(values)} for name, values in found.items() if values}


def write_results(
    folder: Path, study: Study, figures: Figures, series: Series | None = None, *, conditions: str = ""
) -> str:
    """Write runs.csv, estimates.csv, curves.csv, figures and study.md; returns the text of study.md.

    Args:
        folder: Made where it is missing.
        study: What was asked.
        figures: Of the finished runs.
        series: Rounds of the finished runs, as far as figures show them.
        conditions: What the runs ran on, in a sentence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series = series or {}
    runs_frame(figures).to_csv(folder / "runs.csv", index=False)
    estimates_frame(study, figures).to_csv(folder / "estimates.csv", index=False)
    curves = curves_frame(study, series)
    if len(curves):
        curves.to_csv(folder / "curves.csv", index=False)
    drawn = [(spec, write_figure(folder / "figures", spec, _values(spec, figures, series))) for spec in study.figures]
    images = [f"![{spec.title}](figures/{path.name})" for spec, path in drawn if path is not None]
    seeds = ", ".join(str(seed) for seed in study.seeds)
    has_reference = any(column.reference for table in study.tables for column in table.columns)
    note = f"Mean and 95 % interval over seeds {seeds}" + (
        "; in brackets the reference's value." if has_reference else "."
    )
    tables = [table_text(table, figures) for table in study.tables]
    parts = [f"# {study.name}", study.question, note, conditions, *tables, *images]
    text = "\n\n".join(part for part in parts if part) + "\n"
    (folder / "study.md").write_text(text)
    return text
