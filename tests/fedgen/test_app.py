# SPDX-License-Identifier: Apache-2.0
"""The app end to end: real ServerApp, ClientApp and Strategy over serialised messages."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch

from fedgen import client_app, server_app, task
from fedgen.config import parse_config
from fedgen.data.sources import SimulatedSource
from fedgen.errors import ConfigError, DataError
from fedgen.evaluation.thresholds import combine, quantile_of

CLIENTS = 3
RUN_CONFIG: dict[str, Any] = {
    "num-server-rounds": 2,
    "data.source": "simulated",
    "data.max-beats-per-patient": 40,
    "data.test-beats-per-patient": 60,
    "min-available-nodes": CLIENTS,
    "seed": 7,
}


@pytest.fixture
def run(make_contexts: Any, server_context: Any, grid_class: Any) -> Any:
    """Return a function that runs the app and gives the server's context and the grid."""

    def start(changes: dict[str, Any] | None = None, lose: Any = None) -> Any:
        run_config = {**RUN_CONFIG, **(changes or {})}
        context = server_context(run_config)
        grid = grid_class(client_app.app, make_contexts(run_config, CLIENTS), lose)
        server_app.app(grid, context)
        return context, grid

    return start


def plain_loops(rounds: int, skipped: Any = None) -> tuple[OrderedDict[str, np.ndarray], float]:
    """Train the same federation without Flower: nested loops and an explicit weighted mean."""
    config = parse_config(RUN_CONFIG)
    source = SimulatedSource(config.seed)
    patients = [task.client_patients(source, config, i, CLIENTS) for i in range(CLIENTS)]
    state = OrderedDict(task.new_model(config).state_dict())
    threshold = 0.0
    for number in range(1, rounds + 1):
        results = [
            task.train_client(state, patients[i], config, partition=i, server_round=number)
            for i in range(CLIENTS)
            if not (skipped and skipped(number, i))
        ]
        total = sum(result.examples for result in results)
        state = OrderedDict(
            (key, sum(result.state[key] * (result.examples / total) for result in results)) for key in state
        )
        counts = combine([result.score_counts for result in results])
        threshold = quantile_of(counts, config.threshold_quantile)
    return OrderedDict((key, value.numpy()) for key, value in state.items()), threshold


def test_federated_training_equals_plain_loops(run: Any) -> None:
    context, _ = run()
    expected, threshold = plain_loops(2)
    got = context.state["global-model"].to_torch_state_dict()
    assert list(got) == list(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(got[key].numpy(), value, rtol=1e-5, atol=1e-7)
    assert context.state["evaluation-round-2"]["threshold"] == pytest.approx(threshold, abs=1e-4)


def test_metrics_after_every_round(run: Any) -> None:
    context, _ = run()
    for number in range(3):
        metrics = context.state[f"evaluation-round-{number}"]
        assert 0.5 < metrics["svf.auroc"] <= 1.0
        assert ("threshold" in metrics) == (number > 0)
        assert all(np.isfinite(value) for value in metrics.values())
    assert metrics["loss"] < context.state["evaluation-round-0"]["loss"]
    assert {f"{t}.{m}" for t in ("svf", "v") for m in ("accuracy", "precision", "recall", "f1")} <= set(metrics)
    assert "patient.test-0000.svf.auroc" in metrics


def test_runs_are_bit_identical(run: Any) -> None:
    first, _ = run()
    torch.rand(3), np.random.rand(3)
    second, _ = run()
    for key in first.state["global-model"]:
        assert first.state["global-model"][key].data == second.state["global-model"][key].data


def test_lost_replies_are_left_out(run: Any) -> None:
    context, _ = run(lose=lambda number, node: number == 2 and node == 101)
    expected, _ = plain_loops(2, skipped=lambda number, client: number == 2 and client == 1)
    got = context.state["global-model"].to_torch_state_dict()
    for key, value in expected.items():
        np.testing.assert_allclose(got[key].numpy(), value, rtol=1e-5, atol=1e-7)


def test_too_few_replies_keep_the_model(run: Any) -> None:
    context, _ = run({"min-replies": 3}, lose=lambda number, node: number == 2 and node == 101)
    expected, _ = plain_loops(1)
    got = context.state["global-model"].to_torch_state_dict()
    for key, value in expected.items():
        np.testing.assert_allclose(got[key].numpy(), value, rtol=1e-5, atol=1e-7)


def test_no_reply_at_all_keeps_the_initial_model(run: Any) -> None:
    context, _ = run(lose=lambda number, node: True)
    got = context.state["global-model"].to_torch_state_dict()
    for key, value in task.new_model(parse_config(RUN_CONFIG)).state_dict().items():
        assert torch.equal(got[key], value)


def test_work_reports(run: Any) -> None:
    context, grid = run()
    reports = [reply.content["work-report"] for reply in grid.replies]
    first, second = reports[:CLIENTS], reports[CLIENTS:]
    assert all(report["signal_samples"] == 600 * 360 * len(range(i, 22, 3)) for i, report in enumerate(first))
    assert all(report["signal_samples"] == 0 for report in second)
    assert all(report["train_macs"] > 0 and report["peak_memory_bytes"] > 1e6 for report in reports)
    assert all(report["train_steps"] >= 1 and report["infer_steps"] >= 1 for report in reports)
    server = context.state["work-report"]
    assert server["signal_samples"] == 600 * 360 * 21
    assert server["infer_macs"] % 3 == 0, "three tests of the same size"


def test_server_report_starts_anew_when_it_was_taken_out(run: Any) -> None:
    context, _ = run()
    from fedgen.work import WorkReport, add_to_context

    del context.state["work-report"]
    add_to_context(context, WorkReport(infer_macs=5.0))
    add_to_context(context, WorkReport(infer_macs=2.0, signal_samples=1.0))
    assert dict(context.state["work-report"]) == {
        "train_macs": 0.0,
        "infer_macs": 7.0,
        "signal_samples": 1.0,
        "peak_memory_bytes": 0.0,
    }


def test_missing_data_stops_the_run(run: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedgen.data.physionet.DATABASE_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr("fedgen.data.mitdb.physionet.CONNECT_TIMEOUT_S", 2.0)
    with pytest.raises(DataError, match=r"was not found in"):
        run({"data.source": "mitdb", "data.dir": str(tmp_path)})


def test_simulated_patients_step_in_loudly(
    run: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fedgen.data.physionet.DATABASE_URL", "http://127.0.0.1:9/")
    monkeypatch.delenv("FEDGEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    context, _ = run({"data.source": "mitdb", "data.otherwise": "simulated"})
    notice = context.state["notices"]["0"]
    assert notice.startswith("Data: simulated patients instead of mitdb, whose records are not here")
    assert notice in caplog.text
    assert "patient.test-0000.svf.auroc" in context.state["evaluation-round-2"]
    assert b'"data": "simulated"' in context.state["kept-files"]["provenance.json"]


def test_named_folder_without_records_is_an_error_whatever_else_is_allowed(
    run: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedgen.data.physionet.DATABASE_URL", "http://127.0.0.1:9/")
    with pytest.raises(DataError, match=r"was not found in"):
        run({"data.source": "mitdb", "data.otherwise": "simulated", "data.dir": str(tmp_path)})


def test_client_evaluation(make_contexts: Any, grid_class: Any) -> None:
    from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

    contexts = make_contexts(RUN_CONFIG, CLIENTS)
    state = task.new_model(parse_config(RUN_CONFIG)).state_dict()
    content = RecordDict({"arrays": ArrayRecord(dict(state)), "config": ConfigRecord({"server-round": 1})})
    message = Message(content=content, message_type="evaluate", dst_node_id=100)
    (reply,) = grid_class(client_app.app, contexts).send_and_receive([message])
    assert reply.content["metrics"]["num-examples"] == 40 * len(range(0, 22, 3))
    assert reply.content["metrics"]["loss"] > 0
    assert reply.content["work-report"]["train_macs"] == 0


def test_bad_configuration_stops_the_run(run: Any) -> None:
    with pytest.raises(ConfigError, match=r"model.kind is 'transformer'; allowed: conv-vae"):
        run({"model.kind": "transformer"})
