"""The app under secure aggregation: the model of the plain sum, whoever drops out; and what each side gets to see."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedgen.errors import ProtocolError
from fedgen.privacy import plain, registry
from fedgen.privacy.frame import SEALED, Call, Sealed
from fedgen.privacy.secagg.carrier import ADVERTISE, AGREE, MASKED, REVEAL, SHARE

CLIENTS = 10
SECAGG = {"privacy.kind": "secagg", "privacy.bits": 16, "min-available-nodes": CLIENTS}


class WholeNumbers(plain.PlainCarrier):
    """The peer: the same whole numbers, added up in the open."""

    is_exact = True


def seal_openly(call: Call, values: Any, brief: ConfigRecord) -> Sealed:
    return Sealed(ArrayRecord({plain.VECTOR: Array(values.astype(np.float32))}))


@pytest.fixture
def in_the_open(monkeypatch: pytest.MonkeyPatch) -> None:
    halves = registry.CarrierHalves(lambda config, largest: WholeNumbers(), seal_openly, is_exact=True)
    monkeypatch.setitem(registry.CARRIERS, "secagg", halves)


def rounds(context: Any) -> list[tuple[float, float]]:
    records = [context.state[f"evaluation-round-{number}"] for number in (1, 2)]
    return [(record["round.replies"], record["round.accepted"]) for record in records]


def assert_same_model(one: Any, other: Any) -> None:
    first, second = one.state["global-model"], other.state["global-model"]
    for name in first:
        np.testing.assert_array_equal(first[name].numpy(), second[name].numpy())


def drop(grid: Any, when: dict[tuple[str, int], tuple[int, ...]]) -> None:
    """Let clients fall silent: which, by (action or `train`, round); silent until the round is over."""

    def is_lost(action: str, server_round: int, node: int) -> bool:
        return node - 100 in when.get((action, server_round), ())

    grid.lose_query = is_lost
    grid.lose = lambda server_round, node: is_lost("train", server_round, node)


def test_model_is_that_of_the_open_sum_bit_for_bit(run: Any, request: pytest.FixtureRequest) -> None:
    masked, grid = run(SECAGG, clients=CLIENTS)
    request.getfixturevalue("in_the_open")
    plainly, _ = run(SECAGG, clients=CLIENTS)
    assert rounds(masked) == rounds(plainly) == [(10.0, 1.0), (10.0, 1.0)]
    assert_same_model(masked, plainly)
    kinds = [message.metadata.message_type for message in grid.asked]
    steps = [f"query.{ADVERTISE}", f"query.{SHARE}", "train", f"query.{AGREE}", f"query.{REVEAL}"]
    assert kinds == [kind for kind in [*steps, *steps] for _ in range(CLIENTS)]


def test_three_of_ten_may_drop_out_at_any_step(run: Any, request: pytest.FixtureRequest) -> None:
    silent = {
        ("train", 1): (2, 5), (AGREE, 1): (2, 5, 7), (REVEAL, 1): (2, 5, 7),
        (SHARE, 2): (1,), ("train", 2): (1, 4), (AGREE, 2): (1, 4), (REVEAL, 2): (1, 4, 9),
    }  # fmt: skip
    masked, _ = run(SECAGG, clients=CLIENTS, prepare=lambda grid: drop(grid, silent))
    assert rounds(masked) == [(8.0, 1.0), (8.0, 1.0)]
    request.getfixturevalue("in_the_open")
    gone = {("train", 1): (2, 5), ("train", 2): (1, 4)}
    plainly, _ = run(SECAGG, clients=CLIENTS, prepare=lambda grid: drop(grid, gone))
    assert_same_model(masked, plainly)


def test_too_many_dropped_keep_the_model_and_the_next_round_goes_on(run: Any) -> None:
    silent = {("train", 1): (0, 1, 2, 3, 4)}
    context, grid = run(SECAGG, clients=CLIENTS, prepare=lambda grid: drop(grid, silent))
    assert rounds(context) == [(0.0, 0.0), (10.0, 1.0)]
    asked = [(m.metadata.message_type, m.content["config"]["server-round"]) for m in grid.asked]
    assert (f"query.{REVEAL}", 1) not in asked, "nothing is revealed when too few are left"


def test_a_round_without_enough_keys_asks_nobody_to_train(run: Any) -> None:
    silent = {(ADVERTISE, 1): tuple(range(8))}
    context, grid = run(SECAGG, clients=CLIENTS, prepare=lambda grid: drop(grid, silent))
    assert rounds(context) == [(0.0, 0.0), (10.0, 1.0)]
    assert ("train", 1) not in [(m.metadata.message_type, m.content["config"]["server-round"]) for m in grid.asked]


def test_uploads_are_small_and_of_one_size(run: Any) -> None:
    _, grid = run(SECAGG, clients=CLIENTS)
    uploads = [reply.content[SEALED][MASKED] for reply in grid.replies if SEALED in reply.content]
    sizes = {upload.numpy().nbytes for upload in uploads}
    floats = sum(array.numpy().size for array in grid.asked[2 * CLIENTS].content["arrays"].values()) * 4
    assert len(sizes) == 1
    assert max(sizes) <= 0.8 * floats


def test_secrets_stay_in_the_clients_state(run: Any) -> None:
    _, grid = run(SECAGG, clients=CLIENTS)
    sent = b"".join(bytes_of(message.content) for message in [*grid.asked, *grid.replies])
    for context in grid.contexts.values():
        for record, names in (
            ("secagg-secrets", ("mask_private", "seal_private", "self_key")),
            ("identity", ("private",)),
        ):
            for name in names:
                assert context.state[record][name] not in sent


def bytes_of(content: RecordDict) -> bytes:
    values = [v for record in content.config_records.values() for v in record.values() if isinstance(v, bytes)]
    return b"|".join([*values, *(a.data for record in content.array_records.values() for a in record.values())])


def test_a_garbled_upload_harms_only_its_sender(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fedgen.privacy.secagg import answers

    def garbling(call: Call, values: Any, brief: ConfigRecord) -> Sealed:
        sealed = answers.seal(call, values, brief)
        if call.context.node_id == 103:
            return Sealed(ArrayRecord({MASKED: Array(np.zeros(5, np.uint8))}))
        return sealed

    halves = registry.CARRIERS["secagg"]
    monkeypatch.setitem(registry.CARRIERS, "secagg", registry.CarrierHalves(halves.server, garbling, is_exact=True))
    context, _ = run(SECAGG, clients=CLIENTS)
    assert rounds(context) == [(9.0, 1.0), (9.0, 1.0)]


def test_a_client_answers_no_step_of_a_round_that_is_over(run: Any) -> None:
    _, grid = run(SECAGG, clients=CLIENTS)
    context = grid.contexts[100]
    old = RecordDict({"config": ConfigRecord({"server-round": 1})})
    with pytest.raises(ProtocolError, match="round 1 is over, 2 has begun"):
        registry.QUERIES[ADVERTISE](context, old, None)  # type: ignore[arg-type]
