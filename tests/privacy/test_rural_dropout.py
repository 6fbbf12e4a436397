# SPDX-License-Identifier: Apache-2.0
"""Three of ten clinics lost in every round of the rural scenario, under every preset; and no secret left behind anywhere.

The scenario's own failures make way for placed ones, so that exactly 30 % are lost: while they train (after keys and shares were
exchanged) in rounds 1 and 2, with their first answer in round 3.
"""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import emulator
from emulator.events import read_events
from fedgen.ledger.audit import file_digest, verify
from fedgen.privacy import key_wrap

ROOT = Path(__file__).parents[2]
ROUNDS, CLINICS, LOST = 3, 10, 3
LEAST_SECRET_BYTES = 32
"""Everything from which a key is made is that long; nonces and the ledger's name are shorter and public."""
FAULTS = """[
 {kind: crash, round: 1, node: ["clinic-01/gateway", "clinic-02/gateway", "hospital/gateway"], phase: train},
 {kind: crash, round: 2, node: ["clinic-03/gateway", "clinic-04/gateway", "clinic-05/gateway"], phase: train},
 {kind: crash, round: 3, node: ["clinic-06/gateway", "clinic-08/gateway", "clinic-09/gateway"], phase: upload}]"""
SMALL = (
    "data.source=simulated",
    "data.max-beats-per-patient=40",
    "data.test-beats-per-patient=20",
    "training.epochs=1",
    "model.latent=2",
    f"failures={FAULTS}",
)


def rural(folder: Path, kind: str, *, with_report: bool = False) -> emulator.Result:
    """Return the small rural run under a mechanism."""
    return emulator.run(
        ROOT / "scenarios" / "rural_clinic.yaml", quick=True, out=folder, run_name=kind, workers=1,
        with_report=with_report, overrides=[*SMALL, f"privacy.kind={kind}"],
    )  # fmt: skip


def assert_survived(result: emulator.Result) -> None:
    """Every round was accepted with the seven clinics that were left."""
    assert result.status == "finished"
    metrics = pd.read_parquet(result.folder / "tables" / "metrics.parquet")
    for name, expected in (("round.replies", float(CLINICS - LOST)), ("round.accepted", 1.0)):
        values = metrics[(metrics["name"] == name) & (metrics["round"] > 0)]["value"]
        assert list(values) == [expected] * ROUNDS, f"{name}: {list(values)}"


@pytest.mark.slow
def test_encryption_and_masks_give_the_same_sums_with_30_percent_lost(tmp_path: Path) -> None:
    """Both carry the same whole numbers exactly, one by lattices and one by masks: each is the other's witness."""
    digests = []
    for kind in ("he", "secagg"):
        result = rural(tmp_path, kind)
        assert_survived(result)
        digests.append([file_digest(path.read_bytes()) for path in sorted((result.folder / "weights").glob("round-*"))])
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 1 + ROUNDS


@pytest.mark.slow
def test_noise_alone_survives_30_percent_lost(tmp_path: Path) -> None:
    result = rural(tmp_path, "dp")
    assert_survived(result)
    ((words, epsilon),) = result.summary["privacy"]["guarantees"].items()
    assert words == "one example, delta 1/(10 n)"
    assert 4.0 < epsilon <= 8.0


@pytest.fixture
def secrets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have every secret that this process and those forked from it draw written into a file outside the run folder."""
    path = tmp_path / "drawn.txt"
    draw, make_key = os.urandom, key_wrap.new_private_key

    def note(secret: bytes) -> bytes:
        if len(secret) >= LEAST_SECRET_BYTES:
            with path.open("a") as file:
                file.write(secret.hex() + "\n")
        return secret

    monkeypatch.setattr(os, "urandom", lambda size: note(draw(size)))
    monkeypatch.setattr(key_wrap, "new_private_key", lambda: note(make_key()))
    return path


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield all that lies in a run folder by name: files as they are, and compressed tables and events as text."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()
        if path.suffix == ".parquet":
            yield f"{path.name} as text", pd.read_parquet(path).to_csv().encode()
    yield "events", "\n".join(map(repr, read_events(folder / "events"))).encode()


def places_of(secret: bytes, named: list[tuple[str, bytes]]) -> list[str]:
    """Return where a secret stands: as bytes, as hexadecimal, as base64, or as Python prints bytes."""
    forms = (
        secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"="), base64.urlsafe_b64encode(secret).rstrip(b"="),
        repr(secret)[2:-1].encode(), str(list(secret))[1:-1].encode(),
    )  # fmt: skip
    return [name for name, data in named if any(form in data for form in forms)]


PICKLE_STARTS = tuple(b"\x80" + bytes([version]) for version in range(2, 6))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["secure", "secure-secagg"])
def test_the_whole_proposal_survives_and_leaves_no_secret(
    kind: str, tmp_path: Path, secrets_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = rural(tmp_path / "runs", kind, with_report=True)
    assert_survived(result)
    printed = capfd.readouterr()
    audit = verify(result.folder)
    assert audit.faults == ()
    assert f"in {1 + ROUNDS} blocks, {1 + ROUNDS} confirmed" in audit.summary
    secrets = [bytes.fromhex(line) for line in secrets_file.read_text().split()]
    # an identity each; then a key pair each and the epoch's key, or two pairs and a seed each in every round
    assert len(secrets) >= CLINICS + (CLINICS + 1 if kind == "secure" else 3 * (CLINICS - LOST) * ROUNDS)
    named = [*contents(result.folder), ("output", printed.out.encode()), ("errors", printed.err.encode())]
    assert {"report.html", "serverapp.log", "clientapp.log", "summary.json", "ledger.jsonl", "events"} <= {
        name for name, _ in named
    }
    report = (result.folder / "report.html").read_text()
    assert all(words in report for words in ("What privacy costs", "renyi accounting", "signatures made and checked"))
    for secret in secrets:
        assert places_of(secret, named) == []
    assert [name for name, data in named if data.startswith(PICKLE_STARTS) or name.endswith((".pkl", ".pickle"))] == []


@pytest.mark.parametrize("form", [bytes, bytes.hex, base64.b64encode, repr, lambda secret: str(list(secret))])
def test_the_search_finds_a_secret_in_any_form(form: Callable[[bytes], Any]) -> None:
    secret = np.random.default_rng(1).bytes(32)
    written = form(secret)
    data = b"before " + (written if isinstance(written, bytes) else written.encode()) + b" after"
    assert places_of(secret, [("here", data), ("elsewhere", b"nothing")]) == ["here"]
