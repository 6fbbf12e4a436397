"""Hostile clients in whole runs: what is malformed harms only its sender, and a robust rule keeps the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from emulator import runner
from emulator.events import read_events

SCENARIO = Path(__file__).parents[1] / "scenarios" / "star_private.yaml"


def run(out: Path, failures: str, *more: str) -> Path:
    overrides = ["privacy.kind=none", "app.config.num-server-rounds=3", f"failures={failures}", *more]
    return runner.run(SCENARIO, out=out, overrides=overrides, workers=2, with_report=False).folder


def replies(folder: Path) -> list[float]:
    return [event.value or 0.0 for event in read_events(folder / "events") if event.note == "round.replies"]


def distance(one: Path, other: Path) -> float:
    first, second = (load_file(folder / "weights" / "round-003.safetensors") for folder in (one, other))
    return float(np.sqrt(sum(np.sum((first[name] - second[name]) ** 2) for name in first)))


@pytest.mark.slow
def test_what_is_malformed_harms_only_its_sender(tmp_path: Path) -> None:
    attacks = ["malformed", "oversized", "nan"]
    blocks = ", ".join(
        f'{{kind: hostile, nodes: "site-0{number}/gateway", attack: {attack}}}'
        for number, attack in enumerate(attacks, 1)
    )
    folder = run(tmp_path, f"[{blocks}]")
    assert replies(folder)[:1] == [3.0]
    assert set(replies(folder)) == {3.0}


@pytest.mark.slow
def test_the_median_withstands_what_the_mean_does_not(tmp_path: Path) -> None:
    hostile = '[{kind: hostile, nodes: "site-01/gateway", attack: scaling, strength: 500}]'
    honest = run(tmp_path / "a", "[]")
    mean = run(tmp_path / "b", hostile)
    median = run(tmp_path / "c", hostile, "app.config.strategy.kind=median")
    assert distance(honest, mean) > 20 * distance(honest, median)
