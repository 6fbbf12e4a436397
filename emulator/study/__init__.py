"""Studies: scenario variants times seeds, each run once, compared in pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import UsageError
from emulator.registry import nearest
from emulator.study.cells import Cell, plan_cells, run_cells
from emulator.study.read import read_study
from emulator.study.tables import figures_of, write_results

__all__ = ["Cell", "StudyResult", "run_study"]


@dataclass(frozen=True)
class StudyResult:
    """What a study left behind.

    Attributes:
        folder: Its folder, with runs.csv, estimates.csv, curves.csv, figures, study.md, and the run folders under cells/.
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
    only: Sequence[str] = (),
    on_plan: Callable[[list[Cell]], None] = lambda _cells: None,
    on_cell: Callable[[Cell, str], None] = lambda _cell, _state: None,
) -> StudyResult:
    """Run what is missing of a study and write its tables.

    Args:
        path: The study file.
        out: Parent of the study's folder.
        processes: Runs at a time; the number of cores by default.
        only: Variants to run; what others have finished before counts all the same. Empty: all.
        on_plan: Told all cells before the first is run.
        on_cell: Told each cell when it is ``kept`` (it was finished before), ``finished`` or ``failed``.

    Raises:
        ScenarioError: The study or one of its scenarios has faults; nothing has been run.
        UsageError: No run at all finished, or there is no variant of a name in ``only``.
    """
    study = read_study(path)
    cells = plan_cells(study, out)
    names = [variant.name for variant in study.variants]
    for name in only:
        if name not in names:
            raise UsageError(f"the study has no variant {name!r}: {', '.join(names)}{nearest(name, names)}")
    cells = [cell for cell in cells if not only or cell.variant.name in only or cell.is_finished()]
    on_plan(cells)
    failures = run_cells(cells, processes=processes or os.cpu_count() or 1, on_cell=on_cell)
    told = {f"{cell.variant.name} seed-{cell.seed}": why for cell, why in failures.items()}
    finished = [cell for cell in cells if cell not in failures]
    if not finished:
        raise UsageError("no run of the study finished:\n" + "\n".join(f"{name}: {why}" for name, why in told.items()))
    folder = out / study.name
    columns = sorted({spec.figure for spec in study.figures if spec.kind == "rounds"})
    text = write_results(
        folder,
        study,
        figures_of({(cell.variant.name, cell.seed): cell.summary() for cell in finished}),
        {(cell.variant.name, cell.seed): cell.rounds(columns) for cell in finished} if columns else {},
        conditions=_conditions(finished),
    )
    return StudyResult(folder, text, told)


def _conditions(cells: Sequence[Cell]) -> str:
    """Return what the runs ran on; where it was more than one environment, each."""
    told = []
    for cell in cells:
        found = cell.environment()
        packages = ", ".join(f"{name} {version}" for name, version in sorted(found["packages"].items()))
        told.append(
            f"{found['system']}, {found['machine']}, {found['cores']} cores, Python {found['python']}, {packages}"
        )
    return "Run on " + "; and on ".join(dict.fromkeys(told)) + "."
