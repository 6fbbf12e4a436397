# SPDX-License-Identifier: Apache-2.0
"""The strategy: equal to Flower's FedAvg where it should be, tolerant where FedAvg is not."""

import time
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from fedgen.evaluation.thresholds import histogram, quantile_of
from fedgen.strategies import TolerantFedAvg

NODES = [30, 10, 20, 40]


class NodeList:
    """Stands in for a Grid: knows node ids only, more of them with every question."""

    def __init__(self, *answers: list[int]) -> None:
        self.answers = list(answers)

    def get_node_ids(self) -> list[int]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Clock:
    """Stands in for the time module's clock: sleeping is what moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(time, "time", lambda: self.now_s)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def strategy(**changes: Any) -> TolerantFedAvg:
    """Return a strategy with some settings changed."""
    settings: dict[str, Any] = {
        "min_replies": 1,
        "fraction_train": 1.0,
        "min_available_nodes": 2,
        "threshold_quantile": 0.9,
        "round_interval_s": 0.0,
        "wait_limit_s": 30.0,
        "seed": 1,
    }
    return TolerantFedAvg(**{**settings, **changes})


def weights(seed: int) -> ArrayRecord:
    """Return two random arrays."""
    random = np.random.default_rng(seed)
    shapes = {"a": (3, 4), "b": (5,)}
    return ArrayRecord({k: Array(random.standard_normal(s).astype(np.float32)) for k, s in shapes.items()})


def contents(seed: int, examples: int) -> RecordDict:
    """Return what a good reply holds."""
    scores = np.random.default_rng(seed).normal(0, 1, examples)
    return RecordDict(
        {
            "arrays": weights(seed),
            "metrics": MetricRecord({"num-examples": examples, "train-loss": float(seed)}),
            "scores": ConfigRecord({"counts": histogram(scores)}),
            "work-report": ConfigRecord({"train_macs": 1.0}),
        }
    )


def asked(plan: TolerantFedAvg, server_round: int = 1) -> list[Message]:
    """Let a strategy configure a round; return its messages."""
    messages = list(plan.configure_train(server_round, weights(0), ConfigRecord(), NodeList(NODES)))  # type: ignore[arg-type]
    for number, message in enumerate(messages):
        message.metadata.__dict__["_message_id"] = str(number)
    return messages


def answered(messages: list[Message]) -> list[Message]:
    """Return a good reply to each message."""
    return [Message(contents(i + 1, 50 + 30 * i), reply_to=message) for i, message in enumerate(messages)]


def test_average_is_that_of_fedavg() -> None:
    plan = strategy()
    replies = answered(asked(plan))
    arrays, metrics = plan.aggregate_train(1, replies)
    expected_arrays, expected_metrics = FedAvg().aggregate_train(1, replies)
    assert arrays is not None
    assert metrics is not None
    assert expected_arrays is not None
    assert expected_metrics is not None
    for key in expected_arrays:
        np.testing.assert_array_equal(arrays[key].numpy(), expected_arrays[key].numpy())
    assert metrics["train-loss"] == expected_metrics["train-loss"]
    assert (metrics["round.replies"], metrics["round.accepted"]) == (4.0, 1.0)


def test_order_of_arrival_does_not_matter() -> None:
    plan = strategy()
    replies = answered(asked(plan))
    first, _ = plan.aggregate_train(1, replies)
    second, _ = plan.aggregate_train(1, replies[::-1])
    assert first is not None
    assert second is not None
    assert all(first[key].data == second[key].data for key in first)


def test_threshold_is_the_quantile_of_all_clients_scores() -> None:
    plan = strategy(threshold_quantile=0.8)
    replies = answered(asked(plan))
    assert plan.threshold is None
    plan.aggregate_train(1, replies)
    scores = [np.random.default_rng(i + 1).normal(0, 1, 50 + 30 * i) for i in range(4)]
    assert plan.threshold == quantile_of(histogram(np.concatenate(scores)), 0.8)
    assert plan.threshold == pytest.approx(np.quantile(np.concatenate(scores), 0.8), abs=0.1)


def test_too_few_replies_keep_model_and_threshold() -> None:
    plan = strategy(min_replies=3)
    replies = answered(asked(plan))
    plan.aggregate_train(1, replies)
    before = plan.threshold
    arrays, metrics = plan.aggregate_train(2, replies[:2])
    assert arrays is None
    assert metrics is not None
    assert dict(metrics) == {"round.replies": 2.0, "round.accepted": 0.0}
    assert plan.threshold == before
    assert plan.latest_round["round.accepted"] == 0.0


def spoil(reply: Message, how: str) -> Message:
    """Break a reply in one way."""
    content = reply.content
    if how == "nan":
        bad = content["arrays"]["b"].numpy().copy()
        bad[2] = np.nan
        content["arrays"]["b"] = Array(bad)
    elif how == "shape":
        content["arrays"]["b"] = Array(np.zeros(6, dtype=np.float32))
    elif how == "dtype":
        content["arrays"]["b"] = Array(np.zeros(5, dtype=np.float64))
    elif how == "missing array":
        del content["arrays"]["a"]
    elif how == "no examples":
        content["metrics"]["num-examples"] = 0
    elif how == "list of examples":
        content["metrics"]["num-examples"] = [5, 5]
    elif how == "other metrics":
        content["metrics"]["surprise"] = 1.0
    elif how == "second metrics":
        content["more"] = MetricRecord({"num-examples": 5})
    elif how == "no scores":
        del content["scores"]
    elif how == "negative scores":
        content["scores"]["counts"] = [-1] * 160
    return reply


@pytest.mark.parametrize(
    "how",
    [
        "nan",
        "shape",
        "dtype",
        "missing array",
        "no examples",
        "list of examples",
        "other metrics",
        "second metrics",
        "no scores",
        "negative scores",
        "error",
    ],
)
def test_an_unusable_reply_is_left_out(how: str) -> None:
    plan = strategy()
    messages = asked(plan)
    replies = answered(messages)
    expected, _ = plan.aggregate_train(1, [*replies[:1], *replies[2:]])
    expected_threshold = plan.threshold
    if how == "error":
        replies[1] = Message(Error(code=0, reason="crashed"), reply_to=messages[1])
    else:
        spoil(replies[1], how)
    got, metrics = plan.aggregate_train(2, replies)
    assert got is not None
    assert expected is not None
    assert metrics is not None
    assert metrics["round.replies"] == 3.0
    assert plan.threshold == expected_threshold
    for key in expected:
        np.testing.assert_array_equal(got[key].numpy(), expected[key].numpy())


def test_no_reply_is_no_crash() -> None:
    plan = strategy()
    asked(plan)
    assert plan.aggregate_train(1, [])[0] is None


def test_sample_follows_from_seed_and_round_only() -> None:
    def sampled(plan: TolerantFedAvg, server_round: int) -> list[int]:
        return [message.metadata.dst_node_id for message in asked(plan, server_round)]

    import random

    random.seed(1)
    first = [sampled(strategy(fraction_train=0.5), r) for r in range(1, 9)]
    random.seed(2)
    assert first == [sampled(strategy(fraction_train=0.5), r) for r in range(1, 9)]
    assert all(len(nodes) == 2 for nodes in first)
    assert len({tuple(nodes) for nodes in first}) > 1
    assert sampled(strategy(), 1) == sorted(NODES)
    assert len(sampled(strategy(fraction_train=0.01), 1)) == 1, "at least one node trains"


def test_messages_carry_the_round() -> None:
    message = asked(strategy(), 5)[0]
    assert message.content["config"]["server-round"] == 5
    assert message.metadata.message_type == "train"


def test_waits_for_nodes_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    plan = strategy(min_available_nodes=3)
    growing = NodeList([1], [1], [1, 2], [1, 2, 3])
    messages = list(plan.configure_train(1, weights(0), ConfigRecord(), growing))  # type: ignore[arg-type]
    assert len(messages) == 3
    assert clock.now_s == 1003.0
    messages = list(plan.configure_train(2, weights(0), ConfigRecord(), NodeList([1])))  # type: ignore[arg-type]
    assert len(messages) == 1
    assert clock.now_s == 1033.0
    nobody = NodeList([])
    assert list(plan.configure_train(3, weights(0), ConfigRecord(), nobody)) == []  # type: ignore[arg-type]


def test_rounds_start_on_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    plan = strategy(round_interval_s=100.0)
    starts = []
    for server_round, busy_s in ((1, 30.0), (2, 250.0), (3, 10.0), (4, 10.0)):
        asked(plan, server_round)
        starts.append(clock.now_s - 1000.0)
        clock.now_s += busy_s
    assert starts == [0.0, 100.0, 350.0, 360.0], "late rounds start at once, none is early"
