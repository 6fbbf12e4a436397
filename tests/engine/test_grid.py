"""The Grid's edges: a clock that can no longer move, the horizon, and messages that nobody answers."""

from dataclasses import replace

import pytest
from engine_helpers import make_plan

from emulator.errors import RunFailed, Stalled
from emulator.plan import FlowerSettings, Outage


def test_waiting_for_more_nodes_than_there_are_is_told_at_once(run_plan):
    plan = make_plan("numpy_app", 2, config={"min-nodes": 3})
    with pytest.raises(Stalled, match=r"nothing more can happen.*get_node_ids.*2 of 2 nodes listed"):
        run_plan(plan)


def test_waiting_for_a_node_that_comes_later_goes_on(run_plan):
    plan = make_plan(
        "numpy_app",
        3,
        config={"min-nodes": 3, "num-server-rounds": 1},
        outages=(Outage(0.0, 5000.0, "client-00", "off"),),
    )
    outcome = run_plan(plan)
    assert outcome.rows("round_opened")[0].t_s >= 5030.0
    assert outcome.rows("round_closed")[0].value == 3


def test_horizon_ends_the_run_with_advice(run_plan):
    plan = make_plan("numpy_app", 2, config={"min-nodes": 2, "num-server-rounds": 50}, horizon_s=100.0)
    with pytest.raises(RunFailed, match=r"passed the scenario's horizon of 1 min 40 s.*Raise clock.horizon"):
        run_plan(plan)


def test_timeout_is_virtual_and_ends_on_flowers_poll_grid(run_plan):
    config = {"min-nodes": 2, "num-server-rounds": 1, "timeout-s": 100.0, "evaluate": False}
    flower = FlowerSettings(offline_after_s=1e6)  # else the SuperLink would answer for the node after a minute
    outage = Outage(1.0, 80000.0, "client-00", "off")
    outcome = run_plan(make_plan("numpy_app", 2, config=config, outages=(outage,), flower=flower))
    opened, closed = outcome.rows("round_opened")[0].t_s, outcome.rows("round_closed")[0].t_s
    # HttpGrid pulls, sleeps 3 s, and looks at its clock: 34 pauses of 3 s are the first that reach 100 s
    assert closed - opened == pytest.approx(102.0, abs=0.1)


def test_message_without_timeout_is_answered_by_the_superlink(run_plan):
    """A loop that waits for every reply: for a lost one Flower answers when the node, or the message, is given up."""
    plan = make_plan("loop_app", 3, outages=(Outage(6.0, 80000.0, "client-00", "off"),))
    assert run_plan(plan).rows("reply_received", node="client-00")[0].note == "node unavailable"
    patient = run_plan(replace(plan, flower=FlowerSettings(offline_after_s=1e6), horizon_s=3e5))
    expired = patient.rows("reply_received", node="client-00")[0]
    assert expired.note == "time to live over"
    assert expired.t_s == pytest.approx(12 * 3600, abs=20)


def test_polling_loop_without_sleep_still_moves_the_clock(run_plan, tmp_path):
    app = tmp_path / "eager_app"
    (app / "eager_app").mkdir(parents=True)
    (app / "pyproject.toml").write_text(
        '[tool.flwr.app.components]\nserverapp = "eager_app.both:server"\nclientapp = "eager_app.both:client"\n'
    )
    (app / "eager_app" / "__init__.py").write_text("")
    (app / "eager_app" / "both.py").write_text(
        "from flwr.app import Message, RecordDict\n"
        "from flwr.clientapp import ClientApp\n"
        "from flwr.serverapp import ServerApp\n"
        "client, server = ClientApp(), ServerApp()\n"
        "@client.query()\n"
        "def query(message, context):\n"
        "    return Message(RecordDict(), reply_to=message)\n"
        "@server.main()\n"
        "def main(grid, context):\n"
        "    waiting = set(grid.push_messages([Message(RecordDict(), n, 'query') for n in grid.get_node_ids()]))\n"
        "    while waiting:\n"
        "        waiting -= {m.metadata.reply_to_message_id for m in grid.pull_messages(waiting)}\n"
    )
    plan = make_plan("numpy_app", 2)
    outcome = run_plan(replace(plan, app=replace(plan.app, path=str(app), run_config={})))
    assert len(outcome.rows("reply_received")) == 2


def test_busy_wait_on_the_clock_lets_time_pass(run_plan, tmp_path):
    app = tmp_path / "spinning_app"
    (app / "spinning_app").mkdir(parents=True)
    (app / "pyproject.toml").write_text(
        '[tool.flwr.app.components]\nserverapp = "spinning_app.both:server"\nclientapp = "spinning_app.both:client"\n'
    )
    (app / "spinning_app" / "__init__.py").write_text("")
    (app / "spinning_app" / "both.py").write_text(
        "import time\n"
        "from flwr.clientapp import ClientApp\n"
        "from flwr.serverapp import ServerApp\n"
        "client, server = ClientApp(), ServerApp()\n"
        "@server.main()\n"
        "def main(grid, context):\n"
        "    until = time.time() + 60\n"
        "    while time.time() < until:\n"
        "        pass\n"
        "    grid.get_node_ids()\n"
    )
    plan = make_plan("numpy_app", 2)
    outcome = run_plan(replace(plan, app=replace(plan.app, path=str(app), run_config={})))
    assert outcome.rows("run_finished")[0].t_s == pytest.approx(60.0, abs=1.0)
