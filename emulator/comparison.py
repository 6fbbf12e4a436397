"""Compares two runs by their folders, or runs a scenario live and in virtual time and compares those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from emulator import runner
from emulator.errors import UsageError
from emulator.metrics.compare import Difference, compare_tables
from emulator.runfolder import RunFolder

TABLES = ("rounds", "links")


def compare_runs(first: Path, second: Path) -> list[Difference]:
    """Return how far the run in ``first`` is from the one in ``second``.

    Raises:
        UsageError: One of them is not a run folder, or has no tables.
    """
    import pandas as pd

    tables = []
    for path in (first, second):
        RunFolder(path).read_status()
        files = {name: path / "tables" / f"{name}.parquet" for name in TABLES}
        lacking = [str(file) for file in files.values() if not file.exists()]
        if lacking:
            raise UsageError(f"{path} has no {', '.join(lacking)}; write its tables with: emulate report {path}")
        tables.append({name: pd.read_parquet(file) for name, file in files.items()})
    return compare_tables(tables[0], tables[1])


def run_both(scenario: Path, overrides: Sequence[str], out: Path, on_stage: Callable[[str], None]) -> tuple[Path, Path]:
    """Run a scenario live, then in virtual time; return both run folders.

    Raises:
        EmulatorError: One of the runs failed; an INVALID live run is no measure of anything.
    """
    live = runner.run(scenario, overrides=overrides, backend="mininet", out=out, with_report=False, on_stage=on_stage)
    virtual = runner.run(scenario, overrides=overrides, out=out, with_report=False, on_stage=on_stage)
    return live.folder, virtual.folder
