"""Studies: scenario variants times seeds, each run once, compared in pairs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import UsageError
from emulator.study.cells import Cell, plan_cells, run_cells
from emulator.study.read import read_study
from emulator.study.tables import figures_of, write_results

__all__ = ["Cell", "StudyResult", "run_study"]


@dataclass(frozen=True)
class StudyResult:
    """What a study left behind.

    Attributes:
        folder: Its folder, with runs.csv, estimates.csv, study.md and the run folders under cells/.
        text: The text of study.md.
        failures: Why runs failed, by ``variant seed-n``.
    """

    folder: Path
    text: str
    failures: dict[str, str]


def run_study(
    path: Path,
    *,
    out: Path,
    processes: int | None = None,
    on_plan: Callable[[list[Cell]], None] = lambda _cells: None,
    on_cell: Callable[[Cell, str], None] = lambda _cell, _state: None,
) -> StudyResult:
    """Run what is missing of a study and write its tables.

    Args:
        path: The study file.
        out: Parent of the study's folder.
        processes: Runs at a time; the number of cores by default.
        on_plan: Told all cells before the first is run.
        on_cell: Told each cell when it is ``kept`` (it was finished before), ``finished`` or ``failed``.

    Raises:
        ScenarioError: The study or one of its scenarios has faults; nothing has been run.
        UsageError: No run at all finished.
    """
    study = read_study(path)
    cells = plan_cells(study, out)
    on_plan(cells)
    failures = run_cells(cells, processes=processes or os.cpu_count() or 1, on_cell=on_cell)
    told = {f"{cell.variant.name} seed-{cell.seed}": why for cell, why in failures.items()}
    summaries = {(cell.variant.name, cell.seed): cell.summary() for cell in cells if cell not in failures}
    if not summaries:
        raise UsageError("no run of the study finished:\n" + "\n".join(f"{name}: {why}" for name, why in told.items()))
    folder = out / study.name
    return StudyResult(folder, write_results(folder, study, figures_of(summaries)), told)
