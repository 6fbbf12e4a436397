"""An interrupted run says so, can be read, and goes on to the very log it would have had."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from engine_helpers import digest_of, emulate

SCENARIO = Path(__file__).parents[1] / "scenarios" / "district_work.yaml"


def start(out: Path, run: str) -> subprocess.Popen[str]:
    arguments = [str(SCENARIO), "--out", str(out), "--run", run, "--workers", "1", "--no-report"]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "emulator.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "EMULATE_TEST": "1"},
    )  # fmt: skip


def interrupt_after(process: subprocess.Popen[str], text: str, number: int) -> str:
    """Send a signal when a line with ``text`` has appeared; return everything printed."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if text in line:
            process.send_signal(number)
    process.wait()
    return "".join(lines)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("whole")
    emulate(str(SCENARIO), "--out", str(out), "--run", "whole", "--no-report")
    return digest_of(out / "district_work" / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_run_is_readable_and_resumes(tmp_path, whole, number):
    process = start(tmp_path, "cut")
    text = interrupt_after(process, "round 2 of", number)
    folder = tmp_path / "district_work" / "cut"
    assert json.loads((folder / "status.json").read_text())["state"] == "interrupted", text
    rows = emulate("events", str(folder), "--jsonl").stdout.splitlines()
    assert json.loads(rows[0])["kind"] == "run_started"
    closed = [json.loads(row) for row in rows if json.loads(row)["kind"] == "round_closed"]
    assert [row["round"] for row in closed][:1] == [1]  # the parts of closed rounds are on disk, whatever the signal
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert "emulate resume" in text
        assert (folder / "tables" / "rounds.csv").exists()
        assert json.loads(rows[-1]) | {"seq": 0, "t_s": 0} == {
            "seq": 0,
            "t_s": 0,
            "kind": "run_finished",
            "note": "interrupted",
        }
    else:  # nobody could write a last row or a table; they can be made from what is there
        assert "Rounds accepted" in emulate("report", str(folder)).stdout
    done = emulate("resume", str(folder), "--no-report")
    assert digest_of(folder) == whole, done.stdout
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "finished"
    total = len(json.loads((folder / "plan.json").read_text())["nodes"])
    assert 0 < status["host_cost"]["client_calls"] < 6 * total  # calls of the closed rounds came from the journal
    assert not (folder / "events-before").exists()
    assert not (folder / "journal.bin").exists()


def test_resume_refuses_what_is_finished_or_no_run(tmp_path):
    emulate(str(SCENARIO), "--out", str(tmp_path), "--run", "done", "--no-report")
    refused = emulate("resume", str(tmp_path / "district_work" / "done"), check=False)
    assert refused.returncode == 2
    assert "is finished; nothing is left to resume" in refused.stderr
    refused = emulate("resume", str(tmp_path), check=False)
    assert refused.returncode == 2
    assert "is not a run folder" in refused.stderr


def test_resume_of_a_measured_app_keeps_its_times(tmp_path):
    scenario = SCENARIO.with_name("star_numpy.yaml")
    arguments = ["--out", str(tmp_path), "--run", "cut", "--no-report", "--set", "app.config.num-server-rounds=30"]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "emulator.cli", str(scenario), *arguments], stdout=subprocess.PIPE, text=True
    )
    interrupt_after(process, "round 3 of", signal.SIGKILL)
    folder = tmp_path / "star_numpy" / "cut"
    before = emulate("events", str(folder), "--jsonl").stdout.splitlines()
    closed = max(i for i, row in enumerate(before) if '"round_closed"' in row)
    emulate("resume", str(folder), "--no-report")
    after = emulate("events", str(folder), "--jsonl").stdout.splitlines()
    assert after[: closed + 1] == before[: closed + 1]


def test_report_can_be_written_anew(tmp_path):
    emulate(str(SCENARIO), "--out", str(tmp_path), "--run", "r", "--no-report")
    folder = tmp_path / "district_work" / "r"
    before = (folder / "summary.json").read_text()
    (folder / "summary.json").unlink()
    done = emulate("report", str(folder))
    assert (folder / "summary.json").read_text() == before
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>") or "<html" in (
        folder / "report.html"
    ).read_text()
    assert "Rounds accepted" in done.stdout
