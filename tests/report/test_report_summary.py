"""The summary and its view in the terminal."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from report_builder import clinic_log, clinic_plan, small_log, small_plan
from rich.console import Console

from emulator.events import Event
from emulator.metrics import build_tables, summarise, summary_panel
from emulator.metrics.names import is_bookkeeping, is_lower_better, metric_rank
from emulator.metrics.panel import format_energy


def summary_of(events, plan):
    return summarise(build_tables(events, plan), plan, events)


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    return summary_of(small_log(tmp_path_factory.mktemp("small")), small_plan())


def shown(summary, width=80):
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(summary_panel(summary))
    return out.getvalue()


def test_figures(summary):
    assert summary["status"] == "finished"
    rounds = summary["rounds"]
    assert (rounds["planned"], rounds["opened"], rounds["closed"], rounds["accepted"]) == (3, 3, 3, 2)
    assert rounds["latency_median_s"] == 60  # of 58, 78 and 60
    assert rounds["breakdown_share"]["unanswered_s"] == pytest.approx(92 / (58 + 78 + 60))
    assert rounds["participation_mean"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert summary["bytes"]["down_per_round"] == 2000
    assert summary["bytes"]["up_per_round"] == pytest.approx((1800 + 900 + 300) / 3)
    assert summary["messages"] == {
        "pushed": 6,
        "replied": 3,
        "failed": 0,
        "late": 1,
        "lost": 2,
        "open": 0,
        "failed_by_cause": {},
    }


def test_energy_counts_the_unknown(summary):
    energy = summary["energy"]
    assert (energy["devices"], energy["unknown"]) == (4, 1)
    assert energy["sites_j"] == pytest.approx(894 + 0.3)
    assert energy["server_j"] == pytest.approx(15550)
    assert energy["by_class"]["gateway"] == {
        "devices": 2, "unknown": 1, "energy_j": pytest.approx(894), "stream_energy_j": None,
    }  # fmt: skip


def test_cost_counts_the_unknown(summary):
    assert summary["data_cost"]["total_usd"] == pytest.approx(4.0 * (1500 + 3300) / 1e9)
    assert summary["data_cost"]["links_without_tariff"] == 1


def test_quality_knows_which_way_is_better(summary):
    assert summary["quality"]["svf.auroc"] == {"end": 0.75, "best": 0.8, "best_round": 2, "better": "higher"}
    assert summary["quality"]["loss"] == {"end": 0.5, "best": 0.5, "best_round": 2, "better": "lower"}
    assert "patient.100.svf.auroc" not in summary["quality"]
    assert is_lower_better("train.train-loss")
    assert not is_lower_better("v.f1")
    assert not is_lower_better("mean-confidence")
    assert is_bookkeeping("train.round.accepted")
    assert not is_bookkeeping("svf.auroc")
    assert sorted(["loss", "threshold", "v.f1", "v.auroc"], key=metric_rank) == ["v.auroc", "v.f1", "threshold", "loss"]


def test_accepted_rounds_by_the_apps_own_word(tmp_path):
    events = small_log(tmp_path)
    told = (
        events[events["kind"] == "metric"].iloc[:3].assign(note="train.round.accepted", value=[1.0, 0.0, 0.0], node="")
    )
    told = told.assign(round=pd.array([1, 2, 3], dtype="Int32"), t_s=[58.0, 178.0, 260.0], seq=[900, 901, 902])
    assert summary_of(pd.concat([events, told]), small_plan())["rounds"]["accepted"] == 1


def test_faults_notices_privacy_ledger(summary):
    faults = summary["faults"]
    assert faults["jobs_lost_by_cause"] == {"out of memory": 1, "power cut": 1}
    assert (faults["transfers_lost"], faults["transfers_stalled"], faults["stalled_s"]) == (1, 1, 10)
    assert summary["notices"] == ["simulated data <b>was</b> used"]
    assert summary["privacy"] == {"epsilon": 1.5, "mechanism": "DP-SGD", "guarantees": {"DP-SGD": 1.5}}
    assert summary["ledger"] == {"entries": 1, "bytes": 128}
    assert summary["assumptions"][0]["subject"] == "unknown_board"


@pytest.mark.parametrize("rows", [0, 1, 5, 30, 60, 10_000])
def test_json_ready_however_short_the_log(tmp_path, rows):
    found = summary_of(small_log(tmp_path).iloc[:rows], small_plan())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert "made" in shown(found)


def test_panel_fits_80_columns_without_colour_and_notices_are_loud(summary):
    text = shown(summary)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "! simulated data <b>was</b> used" in text
    assert text.index("NOTICE") < text.index("Rounds accepted")
    assert "(+ 1 device unknown), server 4.32 Wh" in text


def test_panel_says_that_a_run_was_cut_short(tmp_path):
    text = shown(summary_of(small_log(tmp_path).iloc[:20], small_plan()))
    assert "all figures are of the part" in " ".join(text.replace("┃", " ").split())


def test_panel_takes_names_for_text_and_not_for_markup(tmp_path):
    plan = clinic_plan(2)
    summary = summary_of(clinic_log(tmp_path, plan, 1), plan)
    summary["scenario"] = "[red]hostile[/red]"
    summary["notices"] = ["[blink]look[/blink]"]
    assert "[red]hostile[/red]" in shown(summary)
    assert "[blink]look[/blink]" in shown(summary)


def test_empty_log():
    found = summary_of(pd.DataFrame(columns=list(Event._fields)), small_plan())
    assert found["rounds"]["latency_median_s"] is None
    assert found["energy"]["by_class"]["gateway"]["unknown"] in (0, 1, 2)


@pytest.mark.parametrize(
    ("joules", "text"), [(0.5, "0.5 J"), (359, "359 J"), (1800, "0.5 Wh"), (7200, "2 Wh"), (7.2e6, "2 kWh")]
)
def test_energy_for_people(joules, text):
    assert format_energy(joules) == text
