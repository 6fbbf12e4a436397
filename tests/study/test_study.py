"""Studies: what a file may say, what is run again and what is not, and how figures are compared."""

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from emulator.errors import ScenarioError, UsageError
from emulator.study import run_study
from emulator.study.cells import plan_cells
from emulator.study.figures import log_places, write_figure
from emulator.study.read import read_study
from emulator.study.spec import FigureSpec
from emulator.study.statistics import estimate, flatten, paired_difference

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(f"# Question: does it matter?\n{text}")
    return path


def test_interval_is_that_of_scipy():
    values = list(np.random.default_rng(1).normal(3.0, 2.0, size=7))
    found = estimate(values)
    low, high = stats.t.interval(0.95, 6, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == pytest.approx(np.mean(values))
    assert estimate([2.0]).low is None
    assert estimate([]).mean is None


def test_differences_are_taken_in_pairs_of_the_same_seed():
    found = paired_difference({1: 5.0, 2: 7.0, 4: 100.0}, {1: 4.0, 2: 6.0, 3: 0.0})
    assert (found.mean, found.count) == (1.0, 2)
    assert found.low == pytest.approx(1.0)
    assert found.high == pytest.approx(1.0)


def test_only_numbers_are_figures():
    summary = {"a": 1, "b": {"c": 2.5, "d": None, "e": "x"}, "f": [1, 2], "g": True}
    assert flatten(summary) == {"a": 1.0, "b.c": 2.5}


def test_every_fault_of_a_study_file_is_told_with_its_line(tmp_path):
    text = (
        "varaints: {}\nvariants:\n  a: {scenario: nope.yaml, sett: {}}\ntables:\n  - columns: [{title: x, figur: y}]\n"
    )
    with pytest.raises(ScenarioError) as told:
        read_study(write(tmp_path, text))
    message = str(told.value)
    assert "tiny.yaml:2: varaints: unknown key; allowed: name, scenario, quick," in message
    assert "(did you mean 'variants'?)" in message
    assert "tiny.yaml:4: variants.a.sett: unknown key; allowed: scenario, set (did you mean 'set'?)" in message
    assert "tiny.yaml:6: tables[0].columns[0].figure: is missing" in message


def test_names_and_files_that_are_not_there_are_told(tmp_path):
    text = "scenario: nope.yaml\nseeds: [1, 1]\nbaseline: b\nvariants: {aa: , ab: }\n"
    with pytest.raises(ScenarioError) as told:
        read_study(write(tmp_path, text))
    message = str(told.value)
    assert "there is no file" in message
    assert "baseline: got 'b'; must be a variant: aa, ab" in message
    assert "names a seed twice" in message


def test_finished_runs_are_kept_and_changed_ones_run_again(tmp_path):
    def text(rounds: int) -> str:
        return (
            f"scenario: {SCENARIOS / 'star_numpy.yaml'}\nseeds: [3]\n"
            f"variants:\n  one: {{set: {{app.config.num-server-rounds: 1}}}}\n"
            f"  more: {{set: {{app.config.num-server-rounds: {rounds}}}}}\n"
            "tables:\n  - title: T\n    columns:\n"
            "      - {title: rounds, figure: rounds.closed, reference: {more: 9}}\n"
            "      - {title: unheard, figure: rounds.opened, minus: rounds.closed}\n"
            "figures: [{title: Over rounds, kind: rounds, figure: latency_s}]\n"
        )

    def run(rounds: int) -> tuple[dict[str, str], str]:
        states: dict[str, str] = {}
        study = write(tmp_path, text(rounds))
        result = run_study(
            study, out=tmp_path / "out", on_cell=lambda cell, state: states.update({cell.variant.name: state})
        )
        assert not result.failures
        return states, result.text

    states, told = run(2)
    assert states == {"one": "finished", "more": "finished"}
    assert "| more | 2 (9) | 0 |" in told
    assert "Python 3" in told
    assert run(2)[0] == {"one": "kept", "more": "kept"}
    states, told = run(3)
    assert states == {"one": "kept", "more": "finished"}
    assert "| more | 3 (9) | 0 |" in told
    curves = (tmp_path / "out" / "tiny" / "curves.csv").read_text().splitlines()
    assert [line.split(",")[:3] for line in curves[1:]] == [
        ["one", "latency_s", "1"], *(["more", "latency_s", str(number)] for number in (1, 2, 3)),
    ]  # fmt: skip
    assert "latency" not in (tmp_path / "out" / "tiny" / "figures" / "over-rounds.svg").read_text()
    assert run_study(tmp_path / "tiny.yaml", out=tmp_path / "out", only=["one"]).text.count("| more | 3 (9)") == 1
    with pytest.raises(UsageError, match=r"no variant 'onne': one, more \(did you mean 'one'\?\)"):
        run_study(tmp_path / "tiny.yaml", out=tmp_path / "out", only=["onne"])
    rows = (tmp_path / "out" / "tiny" / "estimates.csv").read_text().splitlines()
    row = next(line for line in rows if line.startswith("more,rounds.closed,"))
    assert row.split(",")[2] == "3.0"
    assert row.split(",")[6] == "2.0"


def test_seed_reaches_the_keys_that_take_it(tmp_path):
    text = f"scenario: {SCENARIOS / 'star_encrypted.yaml'}\nseeds: [4, 9]\nseed_keys: [app.config.seed]\nvariants: {{a: }}\n"
    study = read_study(write(tmp_path, text))
    assert [study.variants[0].overrides_of(seed) for seed in study.seeds] == [
        ("app.config.seed=4",),
        ("app.config.seed=9",),
    ]
    assert len({cell.digest for cell in plan_cells(study, tmp_path)}) == 2


def test_failed_run_is_told_and_the_others_count(tmp_path):
    text = (
        f"scenario: {SCENARIOS / 'star_numpy.yaml'}\nseeds: [1]\nvariants:\n"
        "  good: {set: {app.config.num-server-rounds: 1}}\n"
        "  bad: {set: {clock.horizon: 1 s}}\n"
    )
    result = run_study(write(tmp_path, text), out=tmp_path / "out")
    assert list(result.failures) == ["bad seed-1"]
    assert "horizon" in result.failures["bad seed-1"]
    figures = (tmp_path / "out" / "tiny" / "runs.csv").read_text()
    assert "good,1,rounds.closed,1.0" in figures
    folder = next((tmp_path / "out" / "tiny" / "cells" / "good").glob("*/seed-1"))
    assert math.isfinite(json.loads((folder / "summary.json").read_text())["rounds"]["latency_median_s"])


@pytest.mark.parametrize(
    "path", sorted((SCENARIOS.parents[1] / "scenarios" / "paper").glob("p1*.yaml")), ids=lambda p: p.stem
)
def test_shipped_study_is_sound(path, tmp_path):
    study = read_study(path)
    assert study.question
    assert "# Run time" in path.read_text() or "one core per run" in path.read_text()
    cells = plan_cells(study, tmp_path)
    assert len(cells) == len(study.variants) * len(study.seeds)
    assert len({cell.digest for cell in cells}) == len(cells)


def test_faults_of_figures_are_told(tmp_path):
    text = (
        f"scenario: {SCENARIOS / 'star_numpy.yaml'}\nvariants: {{a: , b: }}\nfigures:\n"
        "  - {title: P, kind: points, figure: x, at: {a: 0, c: inf}}\n  - {title: Q, kind: bars, figure: x, at: {a: 1}}\n"
    )
    with pytest.raises(ScenarioError) as told:
        read_study(write(tmp_path, text))
    message = str(told.value)
    assert "figures[0].at.a: got 0.0; must be a number above 0, or inf" in message
    assert "figures[0].at.c: got 'c'; must be a variant: a, b" in message
    assert "figures[1].at: is for points" in message


def test_places_on_a_logarithmic_axis():
    assert log_places([1.0, 10.0, 100.0]) == pytest.approx([0.0, 0.5, 1.0])
    with_end = log_places([0.1, 1.0, math.inf])
    assert with_end[0] == 0.0
    assert with_end[1] < with_end[2] == 1.0
    assert log_places([5.0]) == [0.0]


@pytest.mark.parametrize("kind", ["bars", "points", "rounds"])
def test_heights_of_figures_follow_the_values(tmp_path, kind):
    at = {"low": 1.0, "high": math.inf} if kind == "points" else {}
    spec = FigureSpec(f"Of {kind}", kind, "x", ("low", "high", "absent"), scale=10.0, at=at, reference={"low": 3.0})
    values = {
        name: {number: estimate([mean, mean + 0.1]) for number in (0, 1)}
        for name, mean in (("low", 0.1), ("high", 0.4))
    }
    path = write_figure(tmp_path, spec, values)
    assert path == tmp_path / f"of-{kind}.svg"
    root = ElementTree.parse(path).getroot()
    tips = {
        tip.text: owner for owner in root.iter() for tip in owner if tip.tag.endswith("title") and owner.tag != root.tag
    }
    heights = {
        name: next(float(owner.get("y") or owner.get("cy")) for tip, owner in tips.items() if tip and value in tip)
        for name, value in (("low", ": 1.5"), ("high", ": 4.5"))
    }
    assert heights["high"] < heights["low"], "further up the page"
    assert write_figure(tmp_path, spec, {}) is None
