"""What a user sees while a run goes on."""

import io

from rich.console import Console

from emulator.events import Event
from emulator.plan import AppPlan, FlowerSettings, Node, Plan
from emulator.progress import LiveProgress, PlainProgress, RunView

PLAN = Plan(
    "demo", 1, 64800.0, 1e6, (Node("server", "server"), Node("a", "client", partition_id=0), Node("b", "client", partition_id=1)),
    (), {}, (), (), AppPlan("app", {}, 3), FlowerSettings(),
)  # fmt: skip


def event(kind: str, t_s: float = 0.0, **fields) -> Event:
    blank = {
        "round": None,
        "node": "",
        "peer": "",
        "link": "",
        "msg": "",
        "size_bytes": None,
        "value": None,
        "unit": "",
        "note": "",
    }
    return Event(0, t_s, kind, **{**blank, **fields})


STORY = [
    event("round_opened", 1.0, round=1, value=2.0),
    event("transfer_started", 2.0, node="server", peer="a", note="download"),
    event("transfer_finished", 3.0, node="server", peer="a", note="download", size_bytes=1000),
    event("compute_started", 4.0, node="a", note="train"),
    event("transfer_started", 4.0, node="server", peer="b", note="download"),
    event("node_down", 5.0, node="b", note="power cut"),
    event("notice", 6.0, note="simulated data"),
    event("link_changed", 7.0, link="b/backhaul", peer="up", value=0.0),
    event("metric", 8.0, note="svf.auroc", value=0.9),
    event("round_closed", 3661.0, round=1, value=1.0),
]


def test_view_follows_the_events():
    view = RunView(PLAN)
    for row in STORY[:5]:
        view.see(row)
    assert view.doing == {"a": "training", "b": "downloading"}
    assert view.up == 2  # downloading is not down
    for row in STORY[5:]:
        view.see(row)
    assert view.doing["b"] == "down: power cut"
    assert view.up == 1
    assert view.clock == "day 1 19:01:01"
    assert view.links_down == {"b/backhaul"}
    assert view.quality() == "svf.auroc 0.900"
    assert view.bytes_moved == 1000


def test_plain_lines():
    out = io.StringIO()
    with PlainProgress(RunView(PLAN), Console(file=out, width=120)) as progress:
        for row in STORY:
            progress.see(row)
    lines = out.getvalue().splitlines()
    assert lines[0] == "! simulated data"
    assert lines[1].startswith("round 1 of 3  day 1 19:01:01  1 replies  svf.auroc 0.900  about ")


def test_live_view_shows_every_node():
    out = io.StringIO()
    console = Console(file=out, width=100, height=30, force_terminal=True)
    with LiveProgress(RunView(PLAN), console) as progress:
        for row in STORY:
            progress.see(row)
    text = out.getvalue()
    assert "simulated data" in text
    assert "round 1 of 3" in text
