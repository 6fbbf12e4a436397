# SPDX-License-Identifier: Apache-2.0
"""Whole runs with encrypted contributions: keys, sums, who can read what, who may be missing."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord
from flwr.common.serde import message_to_proto

from fedgen.config import parse_config
from fedgen.privacy import he, registry
from fedgen.privacy.frame import Sealed, Sum
from fedgen.privacy.he_keys import KEYS, epoch_key
from fedgen.privacy.plain import PlainCarrier
from fedgen.privacy.vectors import read_array

HE = {"privacy.kind": "he"}


def weights(context: Any) -> dict[str, np.ndarray]:
    return {name: array.numpy() for name, array in context.state["global-model"].items()}


def actions(grid: Any) -> list[str]:
    return [message.metadata.message_type for message in grid.asked]


class OpenIntegers(PlainCarrier):
    """Adds the same whole numbers in the open."""

    is_exact = True

    def total(self, talk: Any, sealed: Any, length: int) -> Sum:
        read = {node: read_array(record, "numbers", np.dtype(np.int64)) for node, record in sealed.items()}
        return Sum(np.sum(list(read.values()), axis=0).astype(np.float64), tuple(read))


def seal_open(call: Any, values: Any, brief: Any) -> Sealed:
    return Sealed(ArrayRecord({"numbers": Array(values.astype(np.int64))}))


def test_encryption_changes_nothing_but_who_can_read(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encrypted, grid = run(HE)
    assert actions(grid)[:9] == ["query.he_join"] * 4 + ["query.he_deal"] + ["query.he_key"] * 3 + ["train"]
    assert actions(grid).count("query.he_open") == 2
    again, _ = run(HE)
    in_the_open = registry.CarrierHalves(lambda config, largest: OpenIntegers(), seal_open, is_exact=True)
    monkeypatch.setitem(registry.CARRIERS, "he", in_the_open)
    plain, _ = run(HE)
    for name, values in weights(plain).items():
        np.testing.assert_array_equal(weights(encrypted)[name], values)
        np.testing.assert_array_equal(weights(again)[name], values)
    assert encrypted.state["evaluation-round-2"]["threshold"] == plain.state["evaluation-round-2"]["threshold"]


def test_replies_hold_ciphertexts_and_nothing_else(run: Any) -> None:
    _, grid = run(HE)
    trained = [r for r, m in zip(grid.replies, grid.asked, strict=True) if m.metadata.message_type == "train"]
    for reply in trained:
        assert set(reply.content) == {"sealed", "work-report"}
        assert set(reply.content["sealed"]) == {he.CIPHERTEXTS}
        assert reply.content["work-report"]["encrypted_ciphertexts"] == pytest.approx(8 * 2048 * 11 / (8192 * 13 * 4))
    assert len({len(reply.content["sealed"][he.CIPHERTEXTS].data) for reply in trained}) == 1


SERVER_PROCESS = """
import sys
import numpy as np
from fedgen.privacy.bfv import BfvParameters, BfvScheme
from fedgen.privacy.packing import bytes_to_words

seen, contribution, expected, parameters = (open(path, "rb").read() for path in sys.argv[1:5])
scheme = BfvScheme(BfvParameters(*np.frombuffer(parameters, np.int64).tolist()))
expected = np.frombuffer(expected, np.uint64)
total = scheme.add([contribution])
candidates = [seen[i : i + 64] for i in range(0, len(seen) - 63)]
close = max(np.mean(scheme.decrypt(total, key)[: len(expected)] == expected) for key in candidates)
print(len(candidates), close)
"""


def test_a_server_process_cannot_decrypt(run: Any, tmp_path: Any) -> None:
    """A process with everything the server saw of keys, at every offset, never gets a contribution."""
    from fedgen.privacy.bfv import BfvScheme, choose_parameters

    context, grid = run(HE)
    client = grid.contexts[100]
    key = epoch_key(client, 1)
    private = client.state.config_records[KEYS]["private"]
    wire = b"".join(message_to_proto(m).SerializeToString() for m in (*grid.asked, *grid.replies))
    wire += str(context.state).encode()
    assert key not in wire
    assert private not in wire
    parameters = choose_parameters(200, largest=127, addends=4)
    words = np.arange(50, dtype=np.uint64)
    contribution = BfvScheme(parameters).encrypt(words, key)
    np.testing.assert_array_equal(
        BfvScheme(parameters).decrypt(BfvScheme(parameters).add([contribution]), key)[:50], words
    )
    deals = [r for r, m in zip(grid.replies, grid.asked, strict=True) if m.metadata.message_type == "query.he_deal"]
    blobs = [blob for reply in deals for blob in reply.content[KEYS]["wrapped"]]
    form = np.array([parameters.degree, parameters.prime_bits, parameters.field_bits, parameters.per_word], np.int64)
    paths = [tmp_path / name for name in ("seen", "contribution", "expected", "parameters")]
    for path, data in zip(paths, (b"".join(blobs), contribution, words.tobytes(), form.tobytes()), strict=True):
        path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", SERVER_PROCESS, *map(str, paths)], capture_output=True, text=True, check=True
    )
    tried, close = done.stdout.split()
    assert int(tried) > 200
    assert float(close) < 0.2


def test_a_key_holder_that_does_not_answer_is_replaced(run: Any) -> None:
    calm, _ = run(HE)
    context, grid = run(
        HE, prepare=lambda grid: setattr(grid, "lose_query", lambda a, r, n: a in ("he_deal", "he_open") and n == 100)
    )
    assert context.state["evaluation-round-2"]["round.accepted"] == 1.0
    opened = [m.metadata.dst_node_id for m in grid.asked if m.metadata.message_type == "query.he_open"]
    assert opened[:2] == [100, 101] or opened[0] == 101
    for name, values in weights(calm).items():
        np.testing.assert_array_equal(weights(context)[name], values)


def test_nobody_decrypts_keeps_the_model(run: Any) -> None:
    context, _ = run(HE, prepare=lambda grid: setattr(grid, "lose_query", lambda a, r, n: a == "he_open"))
    assert context.state["evaluation-round-2"]["round.accepted"] == 0.0


def test_the_chosen_authority_deals(run: Any) -> None:
    _, grid = run({**HE, "privacy.he.authority": 2})
    by_action = {m.metadata.message_type: m.metadata.dst_node_id for m in grid.asked}
    assert by_action["query.he_deal"] == by_action["query.he_open"] == 102


def test_an_authority_of_its_own_holds_no_data_and_trains_never(run: Any) -> None:
    def add_authority(grid: Any) -> None:
        grid.contexts[103].node_config = {"role": "key-authority"}

    _, grid = run({**HE, "data.max-beats-per-patient": 20}, prepare=add_authority)
    by_action: dict[str, set[int]] = {}
    for message in grid.asked:
        by_action.setdefault(message.metadata.message_type, set()).add(message.metadata.dst_node_id)
    assert by_action["query.he_deal"] == by_action["query.he_open"] == {103}
    assert by_action["train"] == {100, 101, 102}


def test_who_left_cannot_read_what_comes_after(run: Any) -> None:
    """Node 103 is away from round 2 on; two rounds later a new key is dealt, and it has the old one only."""

    def leave(grid: Any) -> None:
        everybody = list(grid.contexts)
        grid.get_node_ids = lambda: [n for n in everybody if n != 103 or rounds_begun(grid) < 1]

    def rounds_begun(grid: Any) -> int:
        return max(
            (int(m.content["config"]["server-round"]) for m in grid.asked if "train" in m.metadata.message_type),
            default=0,
        )

    changes = {**HE, "num-server-rounds": 4, "privacy.he.leave-after": 2, "min-available-nodes": 3}
    context, grid = run(changes, prepare=leave)
    assert context.state["evaluation-round-4"]["round.accepted"] == 1.0
    deals = [int(m.content["config"]["server-round"]) for m in grid.asked if m.metadata.message_type == "query.he_deal"]
    assert deals == [1, 3]
    assert set(grid.contexts[103].state.config_records[KEYS]) == {"private", "epoch-1"}
    remaining = [grid.contexts[node].state.config_records[KEYS] for node in (101, 102)]
    assert all(set(keys) == {"private", "epoch-2"} for keys in remaining)
    assert epoch_key(grid.contexts[103], 1) != epoch_key(grid.contexts[101], 2)
    with pytest.raises(ValueError, match="holds no key of epoch 2"):
        epoch_key(grid.contexts[103], 2)


def test_a_malformed_contribution_harms_its_sender_only(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = registry.CARRIERS["he"]

    def seal(call: Any, values: Any, brief: Any) -> Sealed:
        sealed = honest.seal(call, values, brief)
        if call.context.node_id == 101:
            return Sealed(ArrayRecord({he.CIPHERTEXTS: Array(np.zeros(17, np.uint8))}))
        if call.context.node_id == 102:
            return Sealed(ArrayRecord({"other": Array(np.zeros(17, np.float32))}))
        return sealed

    monkeypatch.setitem(registry.CARRIERS, "he", registry.CarrierHalves(honest.server, seal, is_exact=True))
    context, _ = run(HE)
    assert context.state["evaluation-round-2"]["round.replies"] == 2.0


def test_secrets_stay_in_the_clients_state(run: Any, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    caplog.set_level("DEBUG")
    context, grid = run(HE)
    seeds = [epoch_key(client, 1) for client in grid.contexts.values()]
    assert len(set(seeds)) == 1
    told = caplog.text + "".join(capfd.readouterr()) + str(context.state)
    assert repr(seeds[0])[2:-1] not in told
    assert seeds[0].hex() not in told
    assert parse_config(HE | {"min-replies": 2}).privacy_kind == "he"


def test_ckks_is_nearly_the_mean_of_floats(run: Any) -> None:
    nearly, grid = run({**HE, "privacy.he.scheme": "ckks", "num-server-rounds": 1})
    plain, _ = run(
        {"privacy.kind": "dp-client", "privacy.client.noise": 0.0, "privacy.client.clip": 1e6, "num-server-rounds": 1}
    )
    for name, values in weights(plain).items():
        np.testing.assert_allclose(weights(nearly)[name], values, atol=3e-4)
    sealed = [reply.content["sealed"][he.CIPHERTEXTS] for reply in grid.replies if "sealed" in reply.content]
    assert {array.shape for array in sealed} == {(31 * 36_864,)}
    assert actions(grid).count("query.he_open") == 1


def test_ckks_of_a_broken_sender_harms_nobody_else(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = registry.CARRIERS["he-ckks"]

    def seal(call: Any, values: Any, brief: Any) -> Sealed:
        if call.context.node_id == 101:
            return Sealed(ArrayRecord({he.CIPHERTEXTS: Array(np.full(31 * 36_864, 7, np.uint8))}))
        return honest.seal(call, values, brief)

    monkeypatch.setitem(registry.CARRIERS, "he-ckks", registry.CarrierHalves(honest.server, seal, is_exact=False))
    context, _ = run({**HE, "privacy.he.scheme": "ckks", "num-server-rounds": 1})
    assert context.state["evaluation-round-1"]["round.replies"] == 3.0
