# SPDX-License-Identifier: Apache-2.0
"""Mechanisms through the emulated network: bytes, time and epsilon in the log, and the same log twice."""

from pathlib import Path

import pytest

import emulator
from emulator.events import read_events

SCENARIO = Path(__file__).parents[1] / "scenarios" / "star_encrypted.yaml"


@pytest.mark.slow
def test_keys_and_contributions_cross_the_network_and_the_log_repeats(tmp_path: Path) -> None:
    first = emulator.run(SCENARIO, out=tmp_path / "a", workers=1, with_report=False)
    second = emulator.run(SCENARIO, out=tmp_path / "b", workers=2, with_report=False)
    assert first.status == "finished"
    assert first.digest == second.digest, "keys and ciphertexts are random, sizes, sums and noise are not"
    events = list(read_events(first.folder / "events"))
    pushed = [event.note for event in events if event.kind == "message_pushed"]
    assert (
        pushed
        == ["query.he_join"] * 3 + ["query.he_deal"] + ["query.he_key"] * 2 + (["train"] * 3 + ["query.he_open"]) * 2
    )
    computed = {
        event.msg: event.value for event in events if event.kind == "compute_finished" and event.note == "train"
    }
    parts = [event for event in events if event.kind == "work_part"]
    protected = {
        part.msg: part.value for part in parts if part.note == "encrypted_ciphertexts" and part.msg in computed
    }
    assert len(computed) == len(protected) == 6
    assert all(0 < seconds < computed[msg] for msg, seconds in protected.items())
    spent = [event for event in events if event.kind == "privacy_spent"]
    assert [event.note for event in spent] == ["one example, delta 1/(10 n)"] * 2
    assert [event.round for event in spent] == [1, 2]
    assert 0 < spent[0].value < spent[1].value
    uploads = [event.size_bytes for event in events if event.kind == "transfer_finished" and event.note == "upload"]
    assert max(uploads) < 0.6 * 4 * 61_920
    assert first.summary["privacy"]["guarantees"] == {"one example, delta 1/(10 n)": spent[1].value}
    finished = {event.msg: event.value for event in events if event.kind == "compute_finished" and event.msg}
    assert {"dp_train_macs", "encrypted_ciphertexts", "key_agreements", "added_ciphertexts"} <= {
        part.note for part in parts
    }
    for msg, took_s in finished.items():
        assert sum(part.value for part in parts if part.msg == msg) < took_s
    notices = [event.note for event in events if event.kind == "notice"]
    assert any("one secret key" in text for text in notices)
