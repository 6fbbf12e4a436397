# SPDX-License-Identifier: Apache-2.0
"""A run that ends half-way and goes on in a new one gives the model of a run in one go, bit for bit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord

from fedgen import client_app, server_app
from fedgen.checkpoint import FILE, Checkpoint, load_checkpoint
from fedgen.errors import ConfigError

CLIENTS = 3
RUN_CONFIG: dict[str, Any] = {
    "num-server-rounds": 4,
    "data.source": "simulated",
    "data.max-beats-per-patient": 40,
    "data.test-beats-per-patient": 60,
    "min-available-nodes": CLIENTS,
    "fraction-train": 0.7,
    "seed": 7,
}


class Lost(Exception):
    """The ServerApp's process dies."""


@pytest.fixture
def run(make_contexts: Any, server_context: Any, grid_class: Any) -> Any:
    """Return a function that runs the app, up to a round in which it dies, and gives the server's context."""

    def start(changes: dict[str, Any], *, dies_in: int | None = None) -> Any:
        run_config = {**RUN_CONFIG, **changes}
        context = server_context(run_config)
        grid = grid_class(client_app.app, make_contexts(run_config, CLIENTS), None)
        if dies_in is not None:
            exchange, asked = grid.send_and_receive, []

            def send_and_receive(messages: Any, **options: Any) -> Any:
                batch = list(messages)
                asked.extend(batch[:1])
                if len(asked) == dies_in:
                    raise Lost
                return exchange(batch, **options)

            grid.send_and_receive = send_and_receive
        server_app.app(grid, context)
        return context

    return start


def model(context: Any) -> dict[str, Any]:
    return {name: array.numpy() for name, array in context.state[server_app.GLOBAL_MODEL].items()}


@pytest.mark.parametrize("dies_in", [2, 4])
def test_interrupted_and_continued_equals_uninterrupted(run: Any, tmp_path: Path, dies_in: int) -> None:
    whole = run({})
    kept = {"checkpoint-dir": str(tmp_path / "kept")}
    with pytest.raises(Lost):
        run(kept, dies_in=dies_in)
    continued = run(kept)
    for name, value in model(whole).items():
        assert np.array_equal(model(continued)[name], value), name
    for number in range(dies_in, 5):
        key = server_app.EVALUATION.format(number)
        assert dict(continued.state[key]) == dict(whole.state[key])
    assert server_app.EVALUATION.format(dies_in - 1) not in continued.state
    assert any(f"round {dies_in - 1}" in str(text) for text in continued.state["notices"].values())


def test_finished_run_has_nothing_left_to_do(run: Any, tmp_path: Path) -> None:
    kept = {"checkpoint-dir": str(tmp_path), "num-server-rounds": 1}
    first = run(kept)
    again = run(kept)
    assert all(np.array_equal(model(again)[name], value) for name, value in model(first).items())
    assert server_app.EVALUATION.format(1) not in again.state


def test_checkpoint_of_another_experiment_is_refused(run: Any, tmp_path: Path) -> None:
    run({"checkpoint-dir": str(tmp_path), "num-server-rounds": 1})
    with pytest.raises(ConfigError, match=r"another seed \(7, now 8\); name another folder"):
        run({"checkpoint-dir": str(tmp_path), "seed": 8})


def test_protected_runs_keep_none(run: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="accounts and keys that a new run does not have"):
        run({"checkpoint-dir": str(tmp_path), "privacy.kind": "secagg", "min-replies": 2})


def make_checkpoint(number: int) -> Checkpoint:
    arrays = ArrayRecord({"a.b": Array(np.arange(6, dtype=np.float32).reshape(2, 3) + number)})
    return Checkpoint(number, arrays, {"threshold": 0.5}, {"seed": 1})


def test_what_is_saved_is_what_is_loaded_and_the_last_one_counts(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, {"seed": 1}) is None
    for number in (1, 2):
        make_checkpoint(number).save(tmp_path)
    found = load_checkpoint(tmp_path, {"seed": 1})
    assert found is not None
    assert (found.round, found.kept, found.settings) == (2, {"threshold": 0.5}, {"seed": 1})
    assert np.array_equal(found.arrays["a.b"].numpy(), make_checkpoint(2).arrays["a.b"].numpy())
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_broken_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="is no checkpoint of this app"):
        load_checkpoint(tmp_path, {})
