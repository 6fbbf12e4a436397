"""Secure aggregation and the ledger over the emulated network: one log with any number of workers, and the audit after."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from emulator import runner
from emulator.cli import main
from emulator.errors import RunFailed, UsageError
from emulator.events import read_events
from emulator.flower.audit import audit_run, keep_files

SCENARIO = Path(__file__).parents[1] / "scenarios" / "star_private.yaml"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runner.run(SCENARIO, out=tmp_path_factory.mktemp("one"), workers=1, with_report=False).folder


@pytest.mark.slow
def test_two_workers_give_the_same_log(run_folder: Path, tmp_path: Path) -> None:
    again = runner.run(SCENARIO, out=tmp_path, workers=2, with_report=False)
    one, other = list(read_events(run_folder / "events")), list(read_events(again.folder / "events"))
    assert one == other, "keys are fresh in each run, and no row depends on them"
    assert (again.folder / "kept" / "ledger.jsonl").read_bytes() != (run_folder / "kept" / "ledger.jsonl").read_bytes()


def test_every_step_is_a_message_and_every_entry_a_row(run_folder: Path) -> None:
    events = list(read_events(run_folder / "events"))
    pushed = Counter(event.note for event in events if event.kind == "message_pushed")
    steps = ["query.ledger_vote", "train"] + [
        f"query.secagg_{step}" for step in ("advertise", "share", "agree", "reveal")
    ]
    assert {step: pushed[step] for step in steps} == {"query.ledger_vote": 18, **dict.fromkeys(steps[1:], 12)}
    appended = Counter(event.note for event in events if event.kind == "ledger_appended")
    assert appended == {"open": 1, "admit": 6, "approve": 1, "model": 12, "update": 12, "result": 2}


def test_audit_by_command(run_folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["audit", str(run_folder)])
    assert "34 entries (12 updates) of 6 institutions in 3 blocks, 3 confirmed" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"^5$"):
        main(["audit", str(run_folder), "--name", "0" * 64])
    assert "it was written anew" in capsys.readouterr().out
    ledger = run_folder / "kept" / "ledger.jsonl"
    whole = ledger.read_bytes()
    ledger.write_bytes(whole.replace(b'"epsilon":0.0', b'"epsilon":0.5', 1))
    with pytest.raises(SystemExit, match=r"^5$"):
        main(["audit", str(run_folder)])
    assert "BAD  line 1: the signature of" in capsys.readouterr().out
    ledger.write_bytes(whole)


def test_an_app_without_auditor(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.emulate]\n")
    with pytest.raises(UsageError, match="names no auditor"):
        audit_run(tmp_path, tmp_path)


@pytest.mark.parametrize(("name", "data"), [("../x", b"x"), ("a/b", b"x"), ("x", "text")])
def test_only_plain_files_are_kept(tmp_path: Path, name: str, data: object) -> None:
    with pytest.raises(RunFailed, match="wants"):
        keep_files(tmp_path, {"kept-files": {name: data}})
