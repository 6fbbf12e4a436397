"""The audit: a ledger as written is right, and every change to it is found."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_builder import FORM, Federation, digest
from safetensors.numpy import save_file

from fedgen.ledger import batch
from fedgen.ledger.audit import file_digest, verify, verify_bytes
from fedgen.ledger.book import block_line, entry_line, entry_of, seal_line
from fedgen.ledger.entries import LedgerError, arrays_digest
from fedgen.ledger.replica import Replica


def written(rounds: int = 2, institutions: int = 3) -> Federation:
    federation = Federation(institutions)
    for number in range(1, rounds + 1):
        federation.round(number)
    return federation


LEDGER = written(rounds=1).ledger.to_bytes()
LINES = LEDGER.splitlines(keepends=True)


def test_a_ledger_as_written_is_right() -> None:
    audit = verify_bytes(LEDGER)
    assert audit.faults == audit.notices == ()
    assert audit.summary == "12 entries (3 updates) of 3 institutions in 2 blocks, 2 confirmed"


def test_a_bit_anywhere() -> None:
    chance = random.Random(1)
    for place in range(0, len(LEDGER), 3):
        spoilt = bytearray(LEDGER)
        spoilt[place] ^= 1 << chance.randrange(8)
        assert verify_bytes(bytes(spoilt)).faults, f"byte {place}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["entry", "block", "vote", "seal"])
def test_every_bit_of_a_line_of_each_kind(kind: str) -> None:
    number = next(i for i, line in enumerate(LINES) if line.startswith(b'{"%s"' % kind.encode()) and i > 0)
    start = sum(map(len, LINES[:number]))
    for bit in range(8 * len(LINES[number])):
        spoilt = bytearray(LEDGER)
        spoilt[start + bit // 8] ^= 1 << bit % 8
        faults = verify_bytes(bytes(spoilt)).faults
        assert faults, f"bit {bit}"
        named = int(faults[0].split(":")[0].removeprefix("line ")) if faults[0].startswith("line ") else len(LINES)
        assert number < named, "nothing before the change is called bad"


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_dropped_swapped_doubled_and_cut_lines(data: st.DataObject) -> None:
    lines = list(LINES)
    one, other = sorted(data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True)))
    how = data.draw(st.sampled_from(["drop", "swap", "double", "cut", "cut inside"]))
    if how == "drop":
        del lines[one]
    elif how == "swap":
        lines[one], lines[other] = lines[other], lines[one]
    elif how == "double":
        lines.insert(other, lines[one])
    elif how == "cut":
        lines = lines[: one + 1] if one + 1 < len(lines) else lines[:-1]
    else:
        lines = [*lines[:one], lines[one][: len(lines[one]) // 2]]
    assert verify_bytes(b"".join(lines)).faults


def resealed(lines: list[bytes], federation: Federation) -> bytes:
    """Return lines under a fresh seal: what a dishonest coordinator can do, who has the key."""
    return b"".join(line + b"\n" for line in [*lines, seal_line(lines, federation.chief)])


def test_the_coordinator_cannot_change_what_institutions_have_signed() -> None:
    federation = written()
    lines = federation.ledger.lines
    place = next(i for i, line in enumerate(lines) if b'"kind":"update"' in line)
    forged = json.loads(lines[place])["entry"] | {"epsilon": 0.0}
    lines[place] = b'{"entry":' + json.dumps(forged, sort_keys=True, separators=(",", ":")).encode() + b"}"
    (fault,) = verify_bytes(resealed(lines, federation)).faults
    assert fault.startswith(f"line {place + 1}: the signature of ")


@pytest.mark.parametrize("kind", ["update", "result", "model"])
def test_the_coordinator_cannot_leave_out_what_was_voted_on(kind: str) -> None:
    federation = written()
    lines = federation.ledger.lines
    place = max(i for i, line in enumerate(lines) if f'"kind":"{kind}"'.encode() in line)
    del lines[place]
    (fault,) = verify_bytes(resealed(lines, federation)).faults
    assert "closes other entries than those that stand before it" in fault or "to whom no model was sent" in fault


def test_a_fork_is_found() -> None:
    federation, other = written(1), written(1)
    other.ledger.replica = federation.ledger.replica  # the same history
    lines = list(federation.ledger.lines)
    block = federation.ledger._blocks[-1]
    second = replace(block, root=digest("other entries"))
    second = replace(second, signature=federation.chief.sign(second.text()).hex())
    (fault,) = verify_bytes(resealed([*lines, block_line(second)], federation)).faults
    assert "block 1 does not follow block 1" in fault


def test_a_forged_vote_is_found() -> None:
    federation = written(1)
    lines = federation.ledger.lines
    place = max(i for i, line in enumerate(lines) if line.startswith(b'{"vote"'))
    vote = json.loads(lines[place])["vote"]
    vote["signature"] = federation.chief.sign(b"anything").hex()
    lines[place] = json.dumps({"vote": vote}, sort_keys=True, separators=(",", ":")).encode()
    (fault,) = verify_bytes(resealed(lines, federation)).faults
    assert f"line {place + 1}: the vote of " in fault


def test_an_entry_of_another_ledger_is_found() -> None:
    federation, other = Federation(), Federation()
    key = federation.members[0].public.hex()
    for one in (federation, other):
        one.ledger.write("model", 1, member=key, digest=digest("model", 0), about=FORM)
    foreign = other.update(0, 1).to_bytes()
    lines = [*federation.ledger.lines, entry_line(foreign)]
    (fault,) = verify_bytes(resealed(lines, federation)).faults
    assert "the signature of" in fault


def test_blocks_without_enough_votes_are_told_and_a_later_quorum_confirms_them() -> None:
    federation = Federation(4)
    federation.round(1, silent=(0, 1))
    assert federation.ledger.confirmed == 1
    audit = verify_bytes(federation.ledger.to_bytes())
    assert audit.faults == ()
    assert "the last 1 blocks still lack votes" in audit.notices[0]
    federation.round(2)
    assert federation.ledger.confirmed == 3
    audit = verify_bytes(federation.ledger.to_bytes())
    assert (audit.faults, audit.notices) == ((), ())


def test_something_after_the_seal_is_found() -> None:
    assert "after the seal" in verify_bytes(LEDGER + LINES[0]).faults[0]


def test_a_run_folder_and_its_models(tmp_path: Path) -> None:
    federation = Federation()
    weights = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(1, dtype=np.int64)}
    record = ArrayRecord({name: Array(value) for name, value in weights.items()})
    federation.ledger.write("result", 1, digest=arrays_digest(record))
    federation.close()
    (tmp_path / "kept").mkdir()
    (tmp_path / "weights").mkdir()
    (tmp_path / "kept" / "ledger.jsonl").write_bytes(federation.ledger.to_bytes())
    path = tmp_path / "weights" / "round-001.safetensors"
    save_file(weights, path, metadata={"round": "1"})
    assert file_digest(path.read_bytes()) == arrays_digest(record)
    assert verify(tmp_path).faults == ()
    weights["w"][0, 0] = 1e-9
    save_file(weights, path)
    assert verify(tmp_path).faults[0].endswith("the model kept after round 1 is not the one stated")
    path.rename(tmp_path / "weights" / "round-002.safetensors")
    assert verify(tmp_path).faults == ("a model was kept after round 2, of which the ledger says nothing",)


def test_a_run_without_ledger(tmp_path: Path) -> None:
    assert "holds no ledger" in verify(tmp_path).faults[0]


def test_several_processes_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LEAST_ENTRIES", 1)
    monkeypatch.setattr(batch, "BATCH", 4)
    assert verify_bytes(LEDGER, workers=2) == verify_bytes(LEDGER)
    chance = random.Random(2)
    for _ in range(3):
        place = chance.randrange(len(LEDGER))
        spoilt = LEDGER[:place] + bytes([LEDGER[place] ^ 1]) + LEDGER[place + 1 :]
        assert verify_bytes(spoilt, workers=2) == verify_bytes(spoilt)


def test_entries_taken_in_by_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LEAST_ENTRIES", 1)
    entries = [entry_of(line.rstrip(b"\n")) for line in LINES if line.startswith(b'{"entry"')]
    one, two = Replica(), Replica()
    for data in entries:
        one.take_entry(data)
    two.take_entries(entries, workers=2)
    assert one.to_plain() == two.to_plain()
    forged = entries[-2].replace(b'"round":1', b'"round":2')
    with pytest.raises(LedgerError, match="signature"):
        Replica().take_entries([*entries[:-2], forged], workers=2)
