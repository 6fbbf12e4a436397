"""The contract of a link model, over every registered one; trace files as their publishers wrote them; scenarios."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import planning_builder
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_builder import HOUR_S, data_file, scenario

from emulator.models.links import LINKS, LinkModel, LinkProfile
from emulator.models.links.timeline import check_states, draw_states
from emulator.models.links.traces import read_sessions
from emulator.plan import LinkState
from emulator.planner import check, make_plan
from emulator.rng import Streams
from emulator.scenario import dump_scenario, load_scenario

PROFILE = LinkProfile("radio", up_bps=2e6, down_bps=8e6, delay_s=0.04, jitter_s=0.005, loss=0.001)
DRIVE = "traces/lte_drive.csv"
# fmt: off
ALL: dict[str, tuple[str, dict[str, Any]]] = {
    "constant": ("constant", {}),
    "trace": ("trace", {"file": DRIVE, "offset": "random", "bin": "30 s"}),
    "trace_down": ("trace", {"down_file": DRIVE, "offset": "70 s", "bin": "17 s"}),
    "degradation": ("degradation", {"every": "3 h", "for": "20 min", "rate": "10 %", "loss": 0.05, "delay": "50 ms"}),
    "gilbert_elliott": ("gilbert_elliott", {"good": "5 min", "bad": "20 s", "bad_loss": "40 %"}),
    "outside": ("planning_builder:half_by_night", {"share": "50 %"}),
}
# fmt: on


def draw(name: str, *, horizon_s: float, seed: int = 1, link: str = "x") -> tuple[tuple[LinkState, ...], ...]:
    kind, params = ALL[name]
    return drawn(kind, params, horizon_s=horizon_s, seed=seed, link=link)


def drawn(kind: str, params: dict[str, Any], *, horizon_s: float, seed: int = 1, link: str = "x") -> Any:
    profile = LinkProfile(**{**vars(PROFILE), "model": LinkModel(kind, params, "links.radio.model")})
    return draw_states(link, profile, LINKS, horizon_s=horizon_s, streams=Streams(seed))


def test_every_registered_model_is_tested_here() -> None:
    assert set(LINKS) <= {kind for kind, _ in ALL.values()}


@pytest.mark.parametrize("name", sorted(ALL))
@given(seed=st.integers(0, 2**32), horizon_h=st.floats(0.1, 36), more_h=st.floats(0, 36))
def test_contract(name: str, seed: int, horizon_h: float, more_h: float) -> None:
    shorter = draw(name, horizon_s=horizon_h * HOUR_S, seed=seed)
    assert shorter == draw(name, horizon_s=horizon_h * HOUR_S, seed=seed)
    longer = draw(name, horizon_s=(horizon_h + more_h) * HOUR_S, seed=seed)
    for one, other in zip(shorter, longer, strict=True):
        check_states(name, one)
        assert one[-1].from_s < horizon_h * HOUR_S
        assert other[: len(one)] == one


@pytest.mark.parametrize("name", sorted(ALL))
def test_another_clinic_moves_nobody_elses_links(name: str) -> None:
    kind, params = ALL[name]
    links = {"mine": {"like": "lte_errant", "model": {"kind": kind, **params}}}
    smaller, larger = (
        make_plan(scenario(sites=sites, links=links, params={"backhaul": "mine"})).links for sites in (2, 3)
    )
    assert set(smaller) < set(larger)


def test_a_trace_keeps_its_bits_and_repeats() -> None:
    series = read_sessions(planning_builder.REPOSITORY / "topologies" / DRIVE, "down")[""]
    assert series.length_s == 900
    fine, coarse = (series.rates_bps(np.arange(0, 901 + 899, step)) for step in (1, 50))
    assert fine[:900].mean() == pytest.approx(series.bits[-1] / 900)
    assert fine[900:] == pytest.approx(fine[:899])
    assert coarse[0] == pytest.approx(fine[:50].mean())
    up, down = drawn("trace", {"file": DRIVE, "bin": "1 s"}, horizon_s=900)
    assert [state.rate_bps for state in down if 311 <= state.from_s < 330] == []
    assert next(state for state in down if state.from_s == 310).rate_bps == 0
    assert next(state for state in up if state.from_s == 310).rate_bps == 0
    assert {(state.delay_s, state.jitter_s, state.loss) for state in up + down} == {(0.04, 0.005, 0.001)}


def test_a_random_offset_is_the_links_own_and_common_to_both_directions() -> None:
    params = {"file": DRIVE, "bin": "1 s", "offset": "random"}
    starts = set()
    for link in ("a", "b", "c"):
        up, down = drawn("trace", params, horizon_s=900, link=link)
        tunnels = [
            {state.from_s for state in states if state.rate_bps == 0 and state.from_s > 1} for states in (up, down)
        ]
        assert tunnels[0] == tunnels[1]
        starts.add(down[0].rate_bps)
    assert len(starts) == 3


def test_mahimahi_lines_are_packets(tmp_path: Path) -> None:
    path = tmp_path / "cell.down.gz"
    path.write_bytes(gzip.compress(b"0\n0\n500\n1000\n1000\n2000\n"))
    series = read_sessions(path, "down")[""]
    assert series.length_s == 2.0
    assert series.bits[-1] == 6 * 1500 * 8
    assert series.rates_bps(np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx([3 * 12000, 3 * 12000, 3 * 12000])


def test_a_direction_without_a_file_keeps_its_profile() -> None:
    up, down = drawn("trace", {"down_file": DRIVE}, horizon_s=3600)
    assert [state.rate_bps for state in up] == [2e6]
    assert len(down) > 100


@pytest.mark.parametrize(
    ("file", "direction", "sessions", "mean_mbps"),
    [
        ("mahimahi/Verizon-LTE-short.down.gz", "down", 1, 5.0),
        ("mahimahi/ATT-LTE-driving.up.gz", "up", 1, 0.8),
        ("bandwidth/hsdpa_norway_full.csv.gz", "down", 68, 1.3),
        ("bandwidth/fcc_broadband.csv.gz", "up", 147, 1.3),
        ("bandwidth/oboe.csv.gz", "down", 428, 2.8),
        ("5g_ireland/5g_sessions.csv.gz", "down", 21, 45.5),
    ],
)
def test_published_traces_are_read(file: str, direction: Any, sessions: int, mean_mbps: float) -> None:
    found = read_sessions(data_file(f"traces/{file}"), direction)
    assert len(found) == sessions
    bits, seconds = (sum(values) for values in zip(*((s.bits[-1], s.length_s) for s in found.values()), strict=True))
    assert bits / seconds / 1e6 == pytest.approx(mean_mbps, rel=0.05)


def test_a_trace_is_drawn_for_each_link() -> None:
    file = str(data_file("traces/bandwidth/oboe.csv.gz"))
    firsts = {
        drawn("trace", {"file": file, "trace": "random"}, horizon_s=600, link=name)[0][0].rate_bps for name in "abcdef"
    }
    assert len(firsts) > 3


def test_spells_have_the_stated_share_and_figures() -> None:
    up, down = draw("degradation", horizon_s=10_000 * HOUR_S)
    assert [state.from_s for state in up] == [state.from_s for state in down]
    bad = down[1]
    assert (bad.rate_bps, bad.delay_s) == (pytest.approx(8e5), pytest.approx(0.09))
    assert bad.loss == pytest.approx(1 - 0.999 * 0.95)
    # About 3000 spells: the share is known within 2 or 3 %.
    assert bad_share(down, 10_000 * HOUR_S) == pytest.approx((1 / 3) / (3 + 1 / 3), rel=0.1)


def test_bursts_have_the_stated_mean_loss_and_each_direction_its_own() -> None:
    up, down = draw("gilbert_elliott", horizon_s=500 * HOUR_S)
    assert [state.from_s for state in up] != [state.from_s for state in down]
    for states in (up, down):
        assert {state.loss for state in states} == {0.001, 0.4}
        assert bad_share(states, 500 * HOUR_S) == pytest.approx(20 / 320, rel=0.1)


def bad_share(states: tuple[LinkState, ...], horizon_s: float) -> float:
    ends = [state.from_s for state in states[1:]] + [horizon_s]
    return sum(end - s.from_s for s, end in zip(states, ends, strict=True) if s.loss > states[0].loss) / horizon_s


def planned(block: dict[str, Any], **changes: Any) -> Any:
    return scenario(links={"mine": {"like": "lte_errant", "model": block}}, params={"backhaul": "mine"}, **changes)


@pytest.mark.parametrize(
    ("block", "key", "text"),
    [
        ({"kind": "tracee"}, "kind", "did you mean 'trace'?"),
        ({"kind": "constant", "rate": 3}, "rate", "unknown parameter"),
        ({"kind": "trace"}, "", "names no trace"),
        ({"kind": "trace", "direction": "up", "file": DRIVE}, "direction", "unknown parameter; allowed: file, up_file"),
        ({"kind": "trace", "file": "traces/lte_drvie.csv"}, "file", "traces/lte_drive.csv"),
        ({"kind": "trace", "file": "traces/clinic_hours.csv"}, "file", "in no format known"),
        ({"kind": "trace", "file": DRIVE, "trace": "a"}, "trace", "has no trace 'a'"),
        ({"kind": "trace", "file": DRIVE, "bin": "1 s"}, "bin", "raise bin to 13 s or more"),
        ({"kind": "trace", "file": DRIVE, "bin": "0 s"}, "bin", "above 0"),
        ({"kind": "trace", "file": DRIVE, "offset": "-1 s"}, "offset", "or 'random'"),
        ({"kind": "degradation", "every": "1 h", "for": "1 h"}, "", "changes nothing"),
        ({"kind": "degradation", "every": "1 h", "for": "1 h", "rate": 0}, "rate", "use an outage"),
        ({"kind": "degradation", "every": "1 h", "for": "1 h", "loss": "100 %"}, "loss", "0 to below 1"),
        ({"kind": "gilbert_elliott", "bad_loss": "0.1 %"}, "bad_loss", "want more than the good state's loss"),
        ({"kind": "gilbert_elliott", "good": "1 s", "bad": "1 s"}, "max_states", "make the episodes longer"),
        ({"kind": "planning_builder:late_start"}, "", "must give states from 0 s on"),
        ({"kind": "planning_builder:negative"}, "", "gave a state out of range"),
    ],
)
def test_faults(block: dict[str, Any], key: str, text: str) -> None:
    (fault,) = check(planned(block))
    assert fault.key == (f"links.mine.model.{key}" if key else "links.mine.model")
    assert text in fault.message


def test_a_rate_that_the_trace_would_replace_is_refused() -> None:
    block = {"kind": "trace", "down_file": DRIVE, "bin": "1 min"}
    assert check(planned(block, overrides={"site-01/*": {"up": "1 Mbit/s", "loss": "1 %"}})) == []
    (fault,) = check(planned(block, overrides={"site-01/*": {"rate": "1 Mbit/s"}}))
    assert "the trace gives the rate down" in fault.message


def test_estimates_that_a_trace_stands_in_for_are_not_named() -> None:
    links = {"mine": {"like": "edge_2g", "model": {"kind": "trace", "down_file": DRIVE, "bin": "1 min"}}}
    plans = [make_plan(scenario(params={"backhaul": name}, links=links)) for name in ("edge_2g", "mine")]
    without, with_trace = ({row.quantity for row in p.assumptions if row.subject == "edge_2g"} for p in plans)
    assert without - with_trace == {"down"}


def test_the_model_of_an_unused_profile_is_checked_too() -> None:
    (fault,) = check(scenario(links={"spare": {"like": "lte_errant", "model": {"kind": "trace"}}}))
    assert fault.key == "links.spare.model"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("5\n3\n", "must grow"),
        ("5\nx\n", "something else than a number"),
        ("time_s,mbps\n0,1\n", "two rows or more"),
        ("time_s,mbps\n0,1\n0,2\n", "growing times"),
        ("time_s,mbps\n0,1\n1,\n2,3\n", "a rate is missing or below 0"),
        ("time_s,down_mbps\n0,1\n1,2\n", "has no column 'up_mbps'"),
        ("trace,time_s,mbps\na,0,1\na,1,1\nb,0,1\nb,1,1\n", "name one (a, b ...), or 'random'"),
    ],
)
def test_a_broken_trace_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding="utf-8")
    faults = check(planned({"kind": "trace", "file": str(path)}))
    assert any(message in fault.message for fault in faults)


def test_an_override_sets_a_model_for_the_links_it_names() -> None:
    overrides = {"site-02/*": {"model": {"kind": "degradation", "every": "1 h", "for": "1 h", "rate": "10 %"}}}
    plan = make_plan(scenario(sites=3, overrides=overrides))
    assert {link.name: len(link.up) > 1 for link in plan.links} == {
        "site-01/backhaul": False,
        "site-02/backhaul": True,
        "site-03/backhaul": False,
    }
    undone = {**overrides, "site-0*": {"model": {"kind": "constant"}}}
    assert all(len(link.up) == 1 for link in make_plan(scenario(sites=3, overrides=undone)).links)


def test_a_topology_puts_a_model_on_an_edge() -> None:
    plan = make_plan(scenario("planning_builder:fading_line", sites=2))
    assert all(len(link.up) > 1 for link in plan.links)


SCENARIO = """\
app: {{path: {app}}}
topology: {{kind: star, sites: 2, backhaul: drive}}
links:
  drive: {{like: lte_errant, model: {{kind: trace, file: my_trace.csv}}}}
failures:
  - {{kind: trace, file: hours.csv, nodes: "site-*"}}
clock: {{horizon: 1 h}}
"""


def test_files_lie_beside_the_scenario_and_the_resolved_one_repeats_the_plan(tmp_path: Path) -> None:
    app = planning_builder.REPOSITORY / "tests" / "bad_scenarios" / "app"
    (tmp_path / "case.yaml").write_text(SCENARIO.format(app=app), encoding="utf-8")
    (tmp_path / "my_trace.csv").write_text("time_s,mbps\n0,1\n300,2\n600,3\n", encoding="utf-8")
    (tmp_path / "hours.csv").write_text("time,a\n0,1\n600,0\n900,1\n", encoding="utf-8")
    loaded = load_scenario(tmp_path / "case.yaml")
    plan = make_plan(loaded)
    assert [state.rate_bps for state in plan.links[0].up][:3] == [1e6, 2e6, 1e6]
    elsewhere = tmp_path / "runs" / "1" / "scenario.yaml"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(dump_scenario(loaded), encoding="utf-8")
    again = make_plan(load_scenario(elsewhere))
    assert (again.links, again.outages) == (plan.links, plan.outages)


def test_the_data_folder_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "t.csv").write_text("time_s,mbps\n0,1\n300,2\n600,3\n", encoding="utf-8")
    block = {"kind": "trace", "file": "own/t.csv", "bin": "1 min"}
    monkeypatch.delenv("FEDGEN_DATA", raising=False)
    assert "set FEDGEN_DATA" in check(planned(block))[0].message
    monkeypatch.setenv("FEDGEN_DATA", str(tmp_path))
    assert check(planned(block)) == []


def test_a_plug_in_with_a_path_of_another_name_is_refused() -> None:
    faults = check(planned({"kind": "planning_builder:odd_path"}))
    assert "must call it 'file' or '..._file'" in faults[0].message
