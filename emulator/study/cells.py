"""The cells of a study: every variant with every seed, each run once in a process of its own."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.errors import EmulatorError
from emulator.runfolder import RunFolder
from emulator.scenario import dump_scenario, load_scenario
from emulator.study.spec import Study, Variant

DIGEST_FILE = "cell.json"


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        variant: What is run.
        seed: Its seed.
        folder: Its run folder.
        digest: SHA-256 over the resolved scenario: a finished cell counts only for exactly this one.
    """

    variant: Variant
    seed: int
    folder: Path
    digest: str

    def is_finished(self) -> bool:
        """Whether this very run was carried out to its end."""
        try:
            told = json.loads((self.folder / DIGEST_FILE).read_text())["digest"]
            return bool(told == self.digest and RunFolder(self.folder).read_status()["state"] == "finished")
        except (OSError, ValueError, KeyError, EmulatorError):
            return False

    def summary(self) -> dict[str, Any]:
        """Return the finished run's summary."""
        return dict(json.loads(RunFolder(self.folder).summary.read_text()))

    def environment(self) -> dict[str, Any]:
        """Return what the finished run ran on."""
        return dict(json.loads((self.folder / "environment.json").read_text()))

    def rounds(self, columns: Sequence[str]) -> dict[str, dict[int, float]]:
        """Return these columns of the finished run's table ``rounds``, by column and round; unknown values are left out."""
        import pandas as pd

        table = pd.read_parquet(self.folder / "tables" / "rounds.parquet")
        known = {name: table.dropna(subset=[name]) for name in columns if name in table.columns}
        return {
            name: {int(number): float(value) for number, value in zip(rows["round"], rows[name], strict=True)}
            for name, rows in known.items()
        }


def plan_cells(study: Study, out: Path) -> list[Cell]:
    """Return all cells; every scenario is checked before the first is run.

    Raises:
        ScenarioError: A variant's scenario has faults.
    """
    return list(_cells(study, out))


def _cells(study: Study, out: Path) -> Iterator[Cell]:
    for variant in study.variants:
        for seed in study.seeds:
            overrides = variant.overrides_of(seed)
            scenario = load_scenario(variant.scenario, overrides=overrides, quick=variant.quick, seed=seed)
            digest = hashlib.sha256(dump_scenario(scenario).encode()).hexdigest()
            parent = out / study.name / "cells" / variant.name
            yield Cell(variant, seed, parent / scenario.name / f"seed-{seed}", digest)


def run_cells(
    cells: Sequence[Cell], *, processes: int, on_cell: Callable[[Cell, str], None] = lambda _cell, _state: None
) -> dict[Cell, str]:
    """Run the cells that are not finished, ``processes`` at a time; returns why a cell failed, by cell.

    A failed cell stops no other. Interrupted, the finished ones are kept; a half-finished one starts anew.
    """
    waiting = [cell for cell in cells if not cell.is_finished()]
    for cell in cells:
        if cell not in waiting:
            on_cell(cell, "kept")
    failures: dict[Cell, str] = {}
    with ThreadPoolExecutor(processes) as pool:
        running = {pool.submit(_run, cell): cell for cell in waiting}
        try:
            for done in as_completed(running):
                cell = running[done]
                if why := done.result():
                    failures[cell] = why
                on_cell(cell, "failed" if why else "finished")
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return failures


def _run(cell: Cell) -> str:
    """Run one cell in a process with one worker; returns why it failed, or an empty text."""
    shutil.rmtree(cell.folder, ignore_errors=True)
    variant = cell.variant
    command = [sys.executable, "-m", "emulator.cli", str(variant.scenario), "--seed", str(cell.seed), "--workers", "1"]
    command += ["--out", str(cell.folder.parents[1]), "--run", cell.folder.name, "--no-report"]
    command += ["--quick"] if variant.quick else []
    for override in variant.overrides_of(cell.seed):
        command += ["--set", override]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        (cell.folder / DIGEST_FILE).write_text(json.dumps({"digest": cell.digest}) + "\n")
        return ""
    return (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}")[-2000:]
