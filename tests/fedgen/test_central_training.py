# SPDX-License-Identifier: Apache-2.0
"""Training in one place: signals arrive as they were recorded, and the server trains on what has arrived."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedgen import client_app, server_app
from fedgen.config import parse_config
from fedgen.data import mitdb, physionet
from fedgen.data.simulated import simulate
from fedgen.data.windows import prepare
from fedgen.errors import ConfigError
from fedgen.raw_signals import SAMPLING, Archive, pack_portion

CLIENTS = 3
RUN_CONFIG: dict[str, Any] = {
    "num-server-rounds": 2,
    "training.place": "server",
    "data.source": "simulated",
    "data.max-beats-per-patient": 40,
    "data.test-beats-per-patient": 60,
    "min-available-nodes": CLIENTS,
    "seed": 7,
}


def sent(recordings: list[Any], rounds: int, lost: tuple[int, ...] = ()) -> Archive:
    archive = Archive()
    for number in range(1, rounds + 1):
        if number not in lost:
            archive.add(pack_portion(recordings, number, rounds))
    return archive


def test_real_recording_arrives_bit_for_bit(mitdb_folder: Any) -> None:
    record = mitdb.read_record(mitdb_folder, "100", physionet.published_sums(mitdb_folder))
    (arrived,) = sent([record], 5).recordings()
    np.testing.assert_array_equal(arrived.beat_samples, record.beat_samples)
    np.testing.assert_array_equal(arrived.beat_classes, record.beat_classes)
    np.testing.assert_allclose(arrived.signal_mv, record.signal_mv, rtol=0, atol=1e-12)
    np.testing.assert_allclose(prepare(arrived).beats, prepare(record).beats, rtol=0, atol=1e-6)


def test_lost_portion_is_missing_and_the_rest_fits_together() -> None:
    recording = simulate(3, "train-0000", 60.0)
    (arrived,) = sent([recording], 4, lost=(2,)).recordings()
    quarter = len(recording.signal_mv) // 4
    assert len(arrived.signal_mv) == len(recording.signal_mv) - quarter
    kept = (recording.beat_samples < quarter) | (recording.beat_samples >= 2 * quarter)
    assert len(arrived.beat_samples) == int(kept.sum())
    np.testing.assert_allclose(arrived.signal_mv[:quarter], recording.signal_mv[:quarter], atol=0.5 / 200 + 1e-9)
    assert np.all(np.diff(arrived.beat_samples) > 0)


def test_portion_that_does_not_fit_together_is_refused() -> None:
    arrays = ArrayRecord(
        {
            "signal": Array(np.zeros(10, np.int16)),
            "beats": Array(np.array([12], np.int32)),
            "classes": Array(np.zeros(1, np.int8)),
        }
    )
    content = RecordDict({"raw.x": arrays, SAMPLING: ConfigRecord({"x": 360.0})})
    with pytest.raises(ValueError, match="does not fit together"):
        Archive().add(content)


def test_server_trains_on_all_signals_and_clients_on_none(
    make_contexts: Any, server_context: Any, grid_class: Any
) -> None:
    context = server_context(RUN_CONFIG)
    server_app.app(grid_class(client_app.app, make_contexts(RUN_CONFIG, CLIENTS), None), context)
    last = context.state["evaluation-round-2"]
    assert last["round.accepted"] == 1.0
    assert last["v.auroc"] > 0.9
    work = context.state["work-report"]
    assert work["train_macs"] > 0
    # every sample is cleaned once, however often it is trained on: 22 patients to train, 21 to test
    assert work["signal_samples"] == 600 * 360 * (22 + 21)


def test_too_few_replies_keep_the_model(make_contexts: Any, server_context: Any, grid_class: Any) -> None:
    config = {**RUN_CONFIG, "min-replies": 3, "num-server-rounds": 1}
    context = server_context(config)
    grid = grid_class(client_app.app, make_contexts(config, CLIENTS), lambda *_: True)
    server_app.app(grid, context)
    assert context.state["evaluation-round-1"]["round.accepted"] == 0.0


def test_privacy_and_raw_signals_make_no_sense_together() -> None:
    with pytest.raises(
        ConfigError, match=r"training.place: server with privacy.kind 'he': raw signals leave the clinics"
    ):
        parse_config({"training.place": "server", "privacy.kind": "he", "min-replies": 2})
