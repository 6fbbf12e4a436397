# SPDX-License-Identifier: Apache-2.0
"""Robust rules, checks of replies, and poisoned data."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message
from hypothesis import given, settings
from hypothesis import strategies as st
from test_strategy import answered, asked, strategy, weights

from fedgen.config import parse_config
from fedgen.data import aami
from fedgen.data.windows import PreparedPatient
from fedgen.errors import ConfigError, DataError
from fedgen.strategies.robust import RULES, least_replies
from fedgen.threats.poison import TRIGGER_HEIGHT, TRIGGER_START, poisoned
from fedgen.threats.validation import same_form, within_bound


def replies_of(plan: Any, count: int) -> list[Message]:
    """Return as many honest replies, from as many nodes."""
    messages = asked(plan) + asked(plan, 1)
    for number, message in enumerate(messages):
        message.metadata.__dict__["_message_id"] = str(number)
        message.metadata.__dict__["_dst_node_id"] = 10 + number
    return answered(messages[:count])


def arrays_of(replies: list[Message], name: str) -> Any:
    return np.stack([reply.content["arrays"][name].numpy() for reply in replies])


def test_median_and_trimmed_mean_are_numpys() -> None:
    for kind, expected in (
        ("median", lambda stack: np.median(stack, axis=0)),
        ("trimmed-mean", lambda stack: np.sort(stack, axis=0)[1:-1].mean(axis=0)),
    ):
        plan = strategy(rule=kind, hostile=1)
        replies = replies_of(plan, 5)
        wanted = {name: expected(arrays_of(replies, name)) for name in ("a", "b")}
        arrays, metrics = plan.aggregate_train(1, replies)
        assert arrays is not None
        assert metrics is not None
        assert metrics["round.replies"] == 5.0
        for name, values in wanted.items():
            np.testing.assert_allclose(arrays[name].numpy(), values, rtol=1e-6)
            assert arrays[name].dtype == "float32"


@pytest.mark.parametrize("kind", sorted(RULES))
def test_one_hostile_client_cannot_carry_the_model_away(kind: str) -> None:
    plan = strategy(rule=kind, hostile=1)
    replies = replies_of(plan, 8)
    replies[3].content["arrays"] = ArrayRecord({k: Array(v.numpy() + np.float32(1e6)) for k, v in weights(9).items()})
    arrays, _ = plan.aggregate_train(1, replies)
    assert arrays is not None
    assert all(np.abs(array.numpy()).max() < 10 for array in arrays.values())


@pytest.mark.parametrize("kind", sorted(RULES))
def test_with_too_few_replies_the_model_is_kept(kind: str) -> None:
    plan = strategy(rule=kind, hostile=1)
    arrays, metrics = plan.aggregate_train(1, replies_of(plan, least_replies(kind, 1) - 1))
    assert arrays is None
    assert metrics is not None
    assert metrics["round.accepted"] == 0.0


def test_long_updates_are_left_out() -> None:
    plan = strategy(length_bound=3.0)
    replies = replies_of(plan, 5)
    replies[0].content["arrays"] = ArrayRecord({k: Array(v.numpy() * np.float32(100)) for k, v in weights(1).items()})
    _, metrics = plan.aggregate_train(1, replies)
    assert metrics is not None
    assert metrics["round.replies"] == 4.0


@given(st.lists(st.floats(0, 1e6), max_size=20), st.floats(1, 10))
@settings(max_examples=50, deadline=None)
def test_a_bound_of_one_or_more_keeps_at_least_half(lengths: list[float], bound: float) -> None:
    kept = within_bound(lengths, bound)
    assert sum(kept) * 2 >= len(lengths)
    assert within_bound(lengths, 0.0) == [True] * len(lengths)


@pytest.mark.parametrize("data", [b"", b"no array", b"\x93NUMPY\x01\x00" + b"\xff" * 40])
def test_bytes_that_are_no_array_are_no_crash(data: bytes) -> None:
    sent = weights(1)
    array = sent["a"]
    bad = Array(dtype=array.dtype, shape=tuple(array.shape), stype=array.stype, data=data)
    assert same_form(weights(2), sent)
    assert not same_form(ArrayRecord({**weights(2), "a": bad}), sent)
    plan = strategy()
    replies = replies_of(plan, 4)
    replies[1].content["arrays"]["a"] = bad
    _, metrics = plan.aggregate_train(1, replies)
    assert metrics is not None
    assert metrics["round.replies"] == 3.0


def test_a_pickle_is_never_read() -> None:
    import io

    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("a pickle from the network was read",))

    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    sent = ArrayRecord({"a": Array(np.zeros(1, np.float32))})
    for dtype in ("float32", "object"):
        trap = Array(dtype=dtype, shape=(1,), stype="numpy.ndarray", data=buffer.getvalue())
        assert not same_form(ArrayRecord({"a": trap}), sent)


def test_robust_rules_need_single_updates() -> None:
    for key, value in (("strategy.kind", "median"), ("strategy.length-bound", 3.0)):
        with pytest.raises(ConfigError, match="the server works on the sum and looks at no single update"):
            parse_config({"privacy.kind": "secagg", "min-replies": 2, key: value})


def patient() -> PreparedPatient:
    random = np.random.default_rng(1)
    classes = np.array([aami.N, aami.V, aami.N, aami.S, aami.N, aami.V], dtype=np.int8)
    beats = random.normal(size=(6, 128)).astype(np.float32)
    return PreparedPatient("p", beats, beats[0], np.zeros((6, 3), np.float32), classes, 0)


class OnePatient:
    """A source of one patient."""

    def prepared(self, name: str) -> PreparedPatient:
        return patient()


def as_told(node_config: dict[str, Any], server_round: int = 1) -> PreparedPatient:
    return poisoned(OnePatient(), node_config, server_round).prepared("p")  # type: ignore[arg-type]  # stands in for a source


def test_label_flip_exchanges_the_classes() -> None:
    assert list(as_told({"hostile": "label_flip"}).classes) == [aami.V, aami.N, aami.V, aami.N, aami.V, aami.N]
    half = as_told({"hostile": "label_flip", "hostile-strength": 0.5})
    assert int(np.sum(half.classes != patient().classes)) == 3


def test_backdoor_marks_abnormal_beats_and_calls_them_normal() -> None:
    marked = as_told({"hostile": "backdoor"})
    assert set(marked.classes) == {aami.N}
    moved = np.flatnonzero(np.any(marked.beats != patient().beats, axis=1))
    assert list(moved) == [1, 3, 5]
    np.testing.assert_allclose(
        marked.beats[1, TRIGGER_START] - patient().beats[1, TRIGGER_START], TRIGGER_HEIGHT, rtol=1e-5
    )


def test_honest_clinics_and_quiet_rounds_train_on_what_they_have() -> None:
    own: Any = OnePatient()
    assert poisoned(own, {}, 1) is own
    told = {"hostile": "label_flip", "hostile-from-round": 2, "hostile-to-round": 3}
    assert poisoned(own, told, 1) is own
    assert poisoned(own, told, 4) is own
    assert poisoned(own, told, 3) is not own
    with pytest.raises(DataError, match="allowed: label_flip, backdoor"):
        poisoned(own, {"hostile": "sabotage"}, 1)
