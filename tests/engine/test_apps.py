"""Unmodified Flower apps run in virtual time and give what the same code gives in plain loops."""

import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from engine_helpers import APPS, make_plan
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from emulator.errors import RunFailed
from emulator.flower import adapter
from emulator.flower.worker import prepare_process
from emulator.rng import derive_seed


def test_numpy_app_equals_plain_loops(run_plan):
    plan = make_plan("numpy_app", 4, config={"min-nodes": 4, "num-server-rounds": 3, "parameters": 50})
    outcome = run_plan(plan)
    adapter.load_component(APPS / "numpy_app", "clientapp")
    from numpy_app.client import local_step

    weights = np.zeros(50)
    order = _sampled_order(plan, rounds=3, clients=4)
    for sampled in order:
        examples = np.array([10 + partition for partition in sampled], dtype=float)
        updates = [local_step(weights, partition)[0] for partition in sampled]
        shares = examples / examples.sum()
        weights = sum(update * share for update, share in zip(updates, shares, strict=True))
    assert np.array_equal(outcome.weights(3)["weights"], weights)
    norms = [row.value for row in outcome.rows("metric", note="norm")]
    assert norms[-1] == pytest.approx(float(np.linalg.norm(weights)), rel=1e-12)


def _sampled_order(plan, *, rounds: int, clients: int) -> list[list[int]]:
    """Repeat the draws of FedAvg's sampling: twice a round (train, evaluate) from the ServerApp's seeded generator."""
    random.seed(derive_seed(plan.seed, "serverapp"))
    orders = []
    for _ in range(rounds):
        orders.append(random.sample(range(clients), clients))
        random.sample(range(clients), clients)
    return orders


def test_torch_app_with_fedadam_equals_plain_loops(run_plan):
    plan = make_plan("torch_app", 3)
    outcome = run_plan(plan)
    adapter.load_component(APPS / "torch_app", "clientapp")
    from torch_app.client import make_model, train_model
    from torch_app.server import initial_arrays, make_strategy

    strategy, arrays = make_strategy(3), initial_arrays()
    strategy.current_arrays = {name: array.numpy() for name, array in arrays.items()}  # as configure_train does
    random.seed(derive_seed(plan.seed, "serverapp"))
    orders = [random.sample(range(3), 3) for _ in range(2)]
    for round_number, order in enumerate(orders, start=1):
        replies = []
        for partition in order:
            prepare_process(derive_seed(plan.seed, "clientapp", f"client-{partition:02d}#{round_number}"))
            model = make_model()
            model.load_state_dict(arrays.to_torch_state_dict())
            train_model(model, partition)
            replies.append(
                _reply(RecordDict({"a": ArrayRecord(model.state_dict()), "m": MetricRecord({"num-examples": 64})}))
            )
        arrays, _ = strategy.aggregate_train(round_number, replies)
        strategy.current_arrays = {name: array.numpy() for name, array in arrays.items()}
    for name, value in outcome.weights(2).items():
        assert np.array_equal(value, arrays[name].numpy()), name


def _reply(content: RecordDict) -> Message:
    adapter.set_identity(1)
    return Message(content, reply_to=Message(RecordDict(), 1, "train"))


@pytest.mark.parametrize(
    "strategy",
    ["FedAvg", "FedAvgM", "FedYogi", "FedAdagrad", "FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "Bulyan"],
)
def test_strategies_that_ship_with_flower(run_plan, strategy):
    plan = make_plan("numpy_app", 4, config={"strategy": strategy, "min-nodes": 4, "parameters": 10})
    outcome = run_plan(plan)
    assert outcome.status == "finished"
    assert [row.value for row in outcome.rows("round_closed")] == [4, 4, 4]
    assert len(outcome.weights(3)["weights"]) == 10


def test_mods_of_a_client_app_run(run_plan, tmp_path):
    """Flower's own clipping mod, around an unmodified ClientApp, sees the message and changes the reply."""
    app = tmp_path / "modded_app"
    shutil.copytree(APPS / "numpy_app", app)
    (app / "numpy_app").rename(app / "modded_app")
    for path in [app / "pyproject.toml", *app.rglob("*.py")]:
        path.write_text(path.read_text().replace("numpy_app", "modded_app"))
    client = app / "modded_app" / "client.py"
    text = client.read_text().replace("app = ClientApp()", "app = ClientApp(mods=[arrays_size_mod, halve])")
    text = text.replace("from flwr.clientapp import ClientApp", "from flwr.clientapp import ClientApp\n" + HALVING_MOD)
    client.write_text(text)
    plan = make_plan("numpy_app", 2, config={"min-nodes": 2, "num-server-rounds": 1, "parameters": 20})
    plain = run_plan(plan)
    modded = run_plan(replace(plan, app=replace(plan.app, path=str(app))))
    assert np.allclose(modded.weights(1)["weights"], plain.weights(1)["weights"] / 2)


HALVING_MOD = """from flwr.clientapp.mod import arrays_size_mod
def halve(message, context, call_next):
    reply = call_next(message, context)
    if "arrays" in reply.content:
        reply.content["arrays"]["weights"] = Array(reply.content["arrays"]["weights"].numpy() / 2)
    return reply
"""


def test_hand_written_push_and_pull_loop(run_plan):
    outcome = run_plan(make_plan("loop_app", 3))
    # every client adds its call count and its number: round 1 gives mean(1, 2, 3) = 2, round 2 adds mean(2, 3, 4) = 3
    assert outcome.weights(1)["w"] == pytest.approx(np.full(5, 2.0))
    calls = [row.value for row in outcome.rows("metric", note="calls")]
    assert sorted(calls) == [1, 1, 1, 2, 2, 2]
    # the app's own stopwatch is virtual: it sleeps 2 s between pulls, and a pull that finds an announced reply asks for its
    # objects after 1, 2, 4 ... s, so a round is a whole number of seconds, plus its requests
    text = (outcome.folder / "serverapp.log").read_text()
    took_s = [float(line.split()[2]) for line in text.splitlines() if line.startswith("round took")]
    assert len(took_s) == 2
    assert all(5 < seconds < 60 for seconds in took_s)
    assert all(abs(seconds - round(seconds)) < 0.1 for seconds in took_s)


def test_client_that_raises_is_an_event_and_a_failed_reply(run_plan):
    outcome = run_plan(make_plan("numpy_app", 3, config={"min-nodes": 3, "raise-on": 1, "parameters": 10}))
    assert outcome.status == "finished"
    errors = [row for row in outcome.rows("reply_received", node="client-01") if row.note != "ok"]
    assert len(errors) == 3
    assert "this client was told to fail" in errors[0].note
    assert all(row.note == "ok" for row in outcome.rows("reply_received", node="client-00"))


def test_server_app_that_raises_fails_the_run_and_keeps_the_log(run_plan, tmp_path):
    with pytest.raises(RunFailed, match="the ServerApp raised AttributeError"):
        run_plan(make_plan("numpy_app", 2, config={"strategy": "NoSuchStrategy"}))
    folder = tmp_path / "run-0"
    assert "NoSuchStrategy" in (folder / "serverapp.log").read_text()
    assert (folder / "events" / "part-00000.parquet").exists()


def test_app_that_cannot_be_imported(run_plan, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "pyproject.toml").write_text(
        '[tool.flwr.app.components]\nserverapp = "no_such_module:app"\nclientapp = "no_such_module:app"\n'
    )
    from emulator.backends.des.backend import RunOptions, VirtualTimeBackend
    from emulator.events import EventLog
    from emulator.plan import AppPlan

    plan = make_plan("numpy_app")
    plan = type(plan)(**{**plan.__dict__, "app": AppPlan(str(app), {})})
    with pytest.raises(RunFailed, match=r"serverapp 'no_such_module:app'.*cannot be imported: ModuleNotFoundError"):
        VirtualTimeBackend(RunOptions(tmp_path, 1)).run(plan, EventLog(tmp_path / "events"))


def test_work_report_never_travels(run_plan):
    outcome = run_plan(make_plan("work_app", 1, config={"train-macs": 1e9}))
    with_report = outcome.rows("reply_received")[0].size_bytes
    # 1000 float64 in .npy form, records, metadata: a work report would add a record of its own
    assert 8000 < with_report < 9000
    compute = outcome.rows("compute_finished", node="client-00")[0]
    # up to a tenth of a second of the process start may pass while the message still comes
    assert compute.value == pytest.approx(5.0 + 1e9 * 1e-8, abs=0.1)
    assert outcome.rows("notice")[0].note == "a notice from the app"
    served = [row.value for row in outcome.rows("compute_finished", node="server", note="serve")]
    assert served[0] == pytest.approx(1.0)  # 1e9 multiply-accumulates of evaluation
    aggregated = [row.value for row in outcome.rows("compute_finished", node="server", note="aggregate")]
    assert aggregated[0] == pytest.approx(1000 * 1e-6)
