"""What outages, power cuts, crashes and small memories do to a run, one at a time."""

from dataclasses import replace

import pytest
from engine_helpers import APPS, DEVICE, make_plan

from emulator.plan import FlowerSettings, Outage, PlacedFault

CONFIG = {"num-server-rounds": 2, "min-nodes": 1, "timeout-s": 600.0, "train-macs": 2e9}


def plan_with(*outages, placed=(), **changes):
    return make_plan(
        "work_app", 3, config={**CONFIG, **changes.pop("config", {})}, outages=outages, placed=placed, **changes
    )


def test_without_faults_everybody_answers(run_plan):
    outcome = run_plan(plan_with())
    assert [row.value for row in outcome.rows("round_closed")] == [3, 3]
    assert not outcome.rows("message_dropped")
    assert not outcome.rows("transfer_lost")


def test_link_outage_stalls_a_transfer_which_then_resumes(run_plan):
    quiet = run_plan(plan_with())
    began = quiet.rows("transfer_started", peer="client-00", round=1)[0].t_s
    outcome = run_plan(plan_with(Outage(began + 0.15, began + 20.15, "client-00/link", "cut")))
    stalled = outcome.rows("transfer_stalled", peer="client-00")[0]
    resumed = outcome.rows("transfer_resumed", peer="client-00")[0]
    finished = outcome.rows("transfer_finished", peer="client-00")[0]
    assert stalled.t_s == pytest.approx(began + 0.15)
    assert resumed.t_s >= began + 20.15
    assert finished.t_s > resumed.t_s
    assert outcome.rows("round_closed", round=1)[0].value == 3


def test_power_cut_in_training_loses_the_work_and_the_reply(run_plan):
    quiet = run_plan(plan_with())
    began = quiet.rows("compute_started", node="client-01", round=1)[0].t_s
    outcome = run_plan(plan_with(Outage(began + 2, began + 300, "client-01", "power cut")))
    lost = outcome.rows("compute_lost", node="client-01")
    assert [row.note for row in lost] == ["power cut"]
    assert lost[0].value == pytest.approx(2.0)
    assert outcome.rows("message_dropped", node="client-01")[0].note == "power cut"
    assert outcome.rows("round_closed", round=1)[0].value == 2
    # the work is lost with the process: the next call starts from the state before it
    seen = [row.value for row in outcome.rows("metric", node="client-01", note="seen")]
    assert seen in ([], [1.0])


def test_node_that_returns_boots_first_and_fetches_the_app_again(run_plan):
    outcome = run_plan(plan_with(Outage(5.0, 40.0, "client-02", "power cut"), config={"num-server-rounds": 30}))
    back = [row for row in outcome.rows("transfer_started", peer="client-02") if row.t_s > 40.0]
    assert back[0].t_s >= 40.0 + DEVICE.boot_s
    first = outcome.rows("transfer_started", peer="client-02")[0]
    assert back[0].size_bytes == first.size_bytes  # with the bundle
    assert back[1].size_bytes < back[0].size_bytes  # without


def test_power_cut_during_upload_loses_the_transfer(run_plan):
    quiet = run_plan(plan_with())
    began = quiet.rows("transfer_started", node="client-01", note="upload")[0].t_s
    outcome = run_plan(plan_with(Outage(began + 0.1, began + 50, "client-01", "power cut")))
    lost = outcome.rows("transfer_lost", node="client-01")
    assert [row.note for row in lost] == ["power cut"]
    assert outcome.rows("round_closed", round=1)[0].value == 2


def test_node_down_at_the_start_is_not_listed_until_it_is_up(run_plan):
    outcome = run_plan(plan_with(Outage(0.0, 15.0, "client-00", "off"), config={"num-server-rounds": 4}))
    opened = [row.value for row in outcome.rows("round_opened")]
    assert (opened[0], opened[-1]) == (2, 3)


def test_superlink_answers_for_a_node_it_no_longer_hears(run_plan):
    # down from 1 ms: it was heard from, so it is listed and addressed; 60 s later Flower answers in its name
    outcome = run_plan(plan_with(Outage(0.001, 400.0, "client-00", "off"), config={"num-server-rounds": 1}))
    assert outcome.rows("round_opened")[0].value == 3
    reply = outcome.rows("reply_received", node="client-00")[0]
    assert reply.note == "node unavailable"
    assert 60.0 < reply.t_s <= 60.0 + 3.1
    assert not outcome.rows("transfer_started", peer="client-00")  # the message is withdrawn: it never gets it
    assert outcome.rows("round_closed")[0].value == 2


def test_message_waits_at_the_superlink_for_a_node_that_is_back_in_time(run_plan):
    outcome = run_plan(plan_with(Outage(0.001, 45.0, "client-00/link", "cut"), config={"num-server-rounds": 1}))
    assert outcome.rows("transfer_started", peer="client-00")[0].t_s >= 45.0
    assert outcome.rows("round_closed")[0].value == 3


def test_long_outage_takes_a_node_off_the_list_and_its_heartbeat_brings_it_back(run_plan):
    config = {"num-server-rounds": 12, "timeout-s": 30.0}
    outcome = run_plan(plan_with(Outage(30.0, 200.0, "client-00/link", "cut"), config=config))
    addressed = {row.round for row in outcome.rows("message_pushed", node="client-00")}
    opened = {row.round: row.t_s for row in outcome.rows("round_opened")}
    for number, t_s in opened.items():
        if 30.0 + 60.0 < t_s < 200.0:
            assert number not in addressed
        if t_s > 200.0 + 20.0 or t_s < 30.0:
            assert number in addressed


def test_out_of_memory_is_an_event_and_a_failed_reply(run_plan):
    outcome = run_plan(plan_with(config={"peak-memory-mb": 1501.0, "num-server-rounds": 1}))
    assert {row.note for row in outcome.rows("compute_lost")} == {"out of memory"}
    assert len(outcome.rows("compute_lost")) == 3
    assert {row.note for row in outcome.rows("reply_received")} == {"out of memory"}
    assert outcome.rows("round_closed")[0].value == 0


def test_just_enough_memory(run_plan):
    outcome = run_plan(plan_with(config={"peak-memory-mb": 1499.0, "num-server-rounds": 1}))
    assert not outcome.rows("compute_lost")


def test_crash_in_training_is_noticed_and_answered_with_an_error(run_plan):
    outcome = run_plan(plan_with(placed=(PlacedFault(1, "client-01", "train", "crash"),)))
    assert outcome.rows("compute_lost", node="client-01")[0].note == "crash"
    replies = outcome.rows("reply_received", node="client-01")
    assert [row.note for row in replies] == ["crash", "ok"]
    assert outcome.rows("round_closed", round=1)[0].value == 2


def test_crash_in_upload_loses_the_reply_and_the_service_restarts(run_plan):
    placed = (PlacedFault(1, "client-01", "upload", "crash"),)
    outcome = run_plan(plan_with(placed=placed, config={"num-server-rounds": 6}))
    assert outcome.rows("transfer_lost", node="client-01")[0].note == "crash"
    assert [row.note for row in outcome.rows("reply_received", node="client-01", round=1)] == ["node unavailable"]
    assert outcome.rows("reply_received", node="client-01", round=6)[0].note == "ok"


def test_leaving_for_good(run_plan):
    outcome = run_plan(
        plan_with(placed=(PlacedFault(1, "client-01", "train", "leave"),), config={"num-server-rounds": 3})
    )
    assert outcome.rows("node_down", node="client-01")[0].note == "left for good"
    assert not outcome.rows("node_up", node="client-01")
    assert [row.value for row in outcome.rows("round_closed")] == [2, 2, 2]


def test_late_reply_is_told_and_the_message_still_worked_off(run_plan):
    slow = replace(DEVICE, seconds_per_unit={**DEVICE.seconds_per_unit, "train_macs": 1e-7})
    plan = plan_with(config={"timeout-s": 60.0, "num-server-rounds": 4})
    nodes = tuple(replace(n, device=slow) if n.name == "client-02" else n for n in plan.nodes)
    outcome = run_plan(replace(plan, nodes=nodes))
    assert outcome.rows("reply_late", node="client-02")
    assert [row.value for row in outcome.rows("round_closed")] == [2, 2, 2, 2]
    # one message at a time: it trains on the old message while newer ones wait at the SuperLink
    starts = outcome.rows("compute_started", node="client-02")
    assert [row.msg for row in starts] == [f"client-02#{n}" for n in range(1, len(starts) + 1)]


def test_overlapping_outages_end_with_the_last(run_plan):
    plan = plan_with(
        Outage(1.0, 50.0, "client-00", "a"), Outage(20.0, 90.0, "client-00", "b"), config={"num-server-rounds": 3}
    )
    outcome = run_plan(plan)
    assert [row.t_s for row in outcome.rows("node_up", node="client-00")] == [90.0]


def test_streams_occupy_their_link_while_both_ends_are_up(run_plan):
    from emulator.plan import Hop, Link, LinkState, Node, Stream

    plan = plan_with(Outage(10.0, 20.0, "client-00", "power cut"))
    state = (LinkState(0.0, 1e6, 0.01),)
    patch = Node("patch", "sensor", "site-00", None, None, (Stream("client-00", "ble", 8000.0),))
    plan = replace(
        plan,
        nodes=(*plan.nodes, patch),
        links=(*plan.links, Link("ble", "patch", "client-00", "test", state, state, is_shared_medium=True)),
        routes={**plan.routes, "patch": (Hop("ble", "up"),)},
    )
    outcome = run_plan(plan)
    end_s = outcome.events[-1].t_s
    carried = sum(row.size_bytes for row in outcome.rows("link_load", link="ble", peer="up"))
    assert carried == pytest.approx(1000 * (end_s - 10.0), abs=3)
    assert not outcome.rows("link_load", link="ble", peer="down")


def test_server_outage_stops_transfers_and_the_servers_own_work(run_plan):
    quiet = run_plan(plan_with())
    work = quiet.rows("compute_started", node="server", note="aggregate")[0].t_s
    links = [Outage(work + 0.0005, work + 120, f"client-{n:02d}/link", "server outage") for n in range(3)]
    outcome = run_plan(plan_with(Outage(work + 0.0005, work + 120, "server", "server outage"), *links))
    lost = outcome.rows("compute_lost", node="server")
    assert [row.note for row in lost] == ["server outage"]
    assert outcome.rows("compute_finished", node="server", note="aggregate")[0].t_s > work + 120
    assert outcome.rows("round_closed")[0].value == 3  # the replies were in before the outage


def test_dead_spans_join_both_directions():
    from emulator.backends.des.faults import dead_spans
    from emulator.plan import Link, LinkState

    up = (LinkState(0.0, 1.0, 0.0), LinkState(10.0, 0.0, 0.0), LinkState(20.0, 1.0, 0.0), LinkState(90.0, 0.0, 0.0))
    down = (LinkState(0.0, 1.0, 0.0), LinkState(15.0, 0.0, 0.0), LinkState(30.0, 1.0, 0.0))
    spans = dead_spans(Link("l", "a", "b", "x", up, down), 100.0)
    assert [(span.start_s, span.end_s) for span in spans] == [(10.0, 30.0), (90.0, 100.0)]


def test_power_cut_after_the_work_and_before_the_upload_loses_only_the_reply(run_plan):
    flower = FlowerSettings(reply_poll_s=50.0)
    quiet = run_plan(plan_with(flower=flower))
    done = quiet.rows("compute_finished", node="client-01")[0].t_s
    outcome = run_plan(plan_with(Outage(done + 1, done + 200, "client-01", "power cut"), flower=flower))
    assert not outcome.rows("compute_lost", node="client-01")
    assert outcome.rows("message_dropped", node="client-01")[0].note == "power cut"
    assert outcome.rows("round_closed", round=1)[0].value == 2


def test_client_sees_virtual_time_and_its_sleep_passes_on_the_device(run_plan, tmp_path):
    import shutil

    app = tmp_path / "sleepy_app"
    shutil.copytree(APPS / "work_app", app)
    (app / "work_app").rename(app / "sleepy_app")
    for path in [app / "pyproject.toml", *app.rglob("*.py")]:
        path.write_text(path.read_text().replace("work_app", "sleepy_app"))
    client = app / "sleepy_app" / "client.py"
    text = client.read_text().replace("import random\n", "import random\nimport time\n")
    nap = "    time.sleep(1000)\n    age = time.time() - message.metadata.created_at\n"
    text = text.replace("    weights = message", nap + "    weights = message", 1)
    client.write_text(text.replace('"num-examples": 1,', '"num-examples": 1, "age": age,'))
    plan = plan_with(config={"timeout-s": 5000.0, "num-server-rounds": 1})
    outcome = run_plan(replace(plan, app=replace(plan.app, path=str(app))))
    assert all(row.value > 1000 for row in outcome.rows("compute_finished", note="train"))
    assert all(1000 <= row.value < 1010 for row in outcome.rows("metric", note="age") if row.node)
