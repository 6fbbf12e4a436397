"""The app with the ledger: everything is written down and confirmed, and what is not signed does not count."""

import json
from typing import Any

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fedgen.errors import ConfigError
from fedgen.ledger.audit import verify_bytes
from fedgen.ledger.entries import arrays_digest
from fedgen.ledger.guard import JOIN, VOTE
from fedgen.privacy import registry
from fedgen.privacy.frame import SEALED, SPENT

LEDGER = {"privacy.kind": "ledger"}


def kept(context: Any) -> bytes:
    data = context.state["kept-files"]["ledger.jsonl"]
    assert isinstance(data, bytes)
    return data


def entries(context: Any, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in kept(context).splitlines()]
    return [line["entry"] for line in lines if "entry" in line and line["entry"]["kind"] == kind]


def replies(context: Any, server_round: int) -> float:
    return float(context.state[f"evaluation-round-{server_round}"]["round.replies"])


def test_every_exchange_is_on_the_ledger(run: Any) -> None:
    context, grid = run(LEDGER)
    audit = verify_bytes(kept(context), {2: arrays_digest(context.state["global-model"])})
    assert (audit.faults, audit.notices) == ((), ())
    assert audit.summary == "24 entries (8 updates) of 4 institutions in 3 blocks, 3 confirmed"
    assert [entry["name"] for entry in entries(context, "admit")] == [f"institution {i}" for i in range(4)]
    stated = [entry["digest"] for entry in entries(context, "update")]
    came = [arrays_digest(reply.content[SEALED]) for reply in grid.replies if SEALED in reply.content]
    assert stated == came
    sent = [arrays_digest(m.content["arrays"]) for m in grid.asked if m.metadata.message_type == "train"]
    assert [entry["digest"] for entry in entries(context, "model")] == sent
    assert [entry["about"] for entry in entries(context, "update")] == sent
    assert context.state["evaluation-round-2"]["ledger.confirmed"] == 3.0
    appended = context.state["ledger-appended"]
    assert [name.split()[1] for name in appended].count("update") == 8


def test_an_institution_that_missed_a_vote_confirms_later(run: Any) -> None:
    def lose_votes(grid: Any) -> None:
        grid.lose_query = lambda action, server_round, node: action == VOTE and server_round == 1 and node >= 102

    context, _ = run(LEDGER, prepare=lose_votes)
    assert verify_bytes(kept(context)).faults == ()
    assert context.state["evaluation-round-1"]["ledger.confirmed"] == 1.0, "half the votes are no quorum"
    assert context.state["evaluation-round-2"]["ledger.confirmed"] == 3.0


def test_who_joins_late_takes_part_in_the_next_round(run: Any) -> None:
    def lose_join(grid: Any) -> None:
        seen: list[int] = []

        def is_lost(action: str, server_round: int, node: int) -> bool:
            seen.append(node)
            return action == JOIN and node == 103 and seen.count(103) == 1

        grid.lose_query = is_lost

    context, _ = run({**LEDGER, "num-server-rounds": 3}, prepare=lose_join)
    assert [replies(context, number) for number in (1, 2, 3)] == [3.0, 3.0, 4.0]
    assert verify_bytes(kept(context)).faults == ()


def test_revocation_takes_effect_in_the_next_round(run: Any) -> None:
    context, _ = run({**LEDGER, "privacy.ledger.revoke": "2@1"})
    assert [replies(context, number) for number in (1, 2)] == [4.0, 3.0]
    assert verify_bytes(kept(context)).faults == ()


def test_only_institutions_on_the_list_may_join(run: Any) -> None:
    context, _ = run({**LEDGER, "privacy.ledger.admit": "0, 2, 3"})
    assert [replies(context, number) for number in (1, 2)] == [3.0, 3.0]


@pytest.mark.parametrize("how", ["changed", "unsigned", "stolen"])
def test_an_update_that_is_not_signed_as_it_came_does_not_count(
    run: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    stamp = registry.GUARDS["ledger"].stamp
    stolen: dict[int, ConfigRecord] = {}

    def tampering(call: Any, asked: RecordDict, content: RecordDict, brief: ConfigRecord) -> Any:
        work = stamp(call, asked, content, brief)
        stolen.setdefault(call.server_round, content["ledger"])
        if call.context.node_id == 102:
            if how == "changed":
                content[SEALED] = ArrayRecord({k: Array(-v.numpy()) for k, v in content[SEALED].items()})
            elif how == "unsigned":
                del content["ledger"]
            else:
                content["ledger"] = stolen[call.server_round]
        return work

    halves = registry.GuardHalves(registry.GUARDS["ledger"].server, tampering)
    monkeypatch.setitem(registry.GUARDS, "ledger", halves)
    context, _ = run(LEDGER)
    assert [replies(context, number) for number in (1, 2)] == [3.0, 3.0]
    assert verify_bytes(kept(context)).faults == ()


def test_privacy_spent_is_on_the_ledger(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = registry.GUARDS["ledger"].stamp

    def spending(call: Any, asked: RecordDict, content: RecordDict, brief: ConfigRecord) -> Any:
        content[SPENT] = ConfigRecord({"one example, delta 1e-05": 0.5 * call.server_round})
        return stamp(call, asked, content, brief)

    halves = registry.GuardHalves(registry.GUARDS["ledger"].server, spending)
    monkeypatch.setitem(registry.GUARDS, "ledger", halves)
    context, _ = run(LEDGER)
    assert [entry["epsilon"] for entry in entries(context, "update")] == [0.5] * 4 + [1.0] * 4


def test_ledger_and_secure_aggregation_together(run: Any) -> None:
    context, _ = run({"privacy.kind": "secagg+ledger"})
    assert [replies(context, number) for number in (1, 2)] == [4.0, 4.0]
    assert verify_bytes(kept(context)).faults == ()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("privacy.ledger.revoke", "3", "'3' is no revocation; allowed: INSTITUTION@ROUND"),
        ("privacy.ledger.revoke", "3@0", "'3@0' is no revocation"),
        ("privacy.ledger.admit", "0, x", "'x' is no number of an institution"),
    ],
)
def test_orders_of_another_form_are_refused(run: Any, key: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run({**LEDGER, key: value})
