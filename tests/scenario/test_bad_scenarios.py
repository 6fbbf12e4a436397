"""Every bad scenario gives exactly the message written beside it.

After a change of wording, ``python tests/scenario/test_bad_scenarios.py`` writes the texts anew: read the diff.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from emulator.errors import ScenarioError
from emulator.scenario import examine

FOLDER = Path(__file__).parent.parent / "bad_scenarios"
CASES = sorted(path.name for path in FOLDER.glob("*.yaml"))


def message_of(name: str) -> str:
    """The message for a scenario of the current folder: what reading finds, and what planning finds of the rest."""
    scenario, faults = examine(Path(name))
    if scenario is not None:
        planner = importlib.import_module("emulator.planner")
        faults = sorted({*faults, *planner.check(scenario)})
    return f"{ScenarioError(faults)}\n"


def expected_file(name: str) -> Path:
    return FOLDER / name.replace(".yaml", ".expected.txt")


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 45


@pytest.mark.parametrize("name", CASES)
def test_bad_scenario_says_what_is_wrong(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)  # so that messages hold file names only
    monkeypatch.syspath_prepend(FOLDER)  # some cases name a topology in odd_topologies.py
    message = message_of(name)
    assert not message.startswith("0 faults"), "the scenario is not bad"
    assert message == expected_file(name).read_text(encoding="utf-8")


def write_expected() -> None:
    """Write the message of every case beside it."""
    os.chdir(FOLDER)
    sys.path.insert(0, str(FOLDER))
    for name in CASES:
        expected_file(name).write_text(message_of(name), encoding="utf-8")


if __name__ == "__main__":
    write_expected()


def test_a_mistyped_file_name_is_told_the_nearest(tmp_path):
    (tmp_path / "rural_clinic.yaml").write_text("name: x\n")
    _, faults = examine(tmp_path / "rural_clnic.yaml")
    assert str(faults[0]).endswith(f"there is no such file (did you mean '{tmp_path}/rural_clinic.yaml'?)")
