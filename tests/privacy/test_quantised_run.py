# SPDX-License-Identifier: Apache-2.0
"""Fewer bits in the open: the same model as under encryption, from a quarter of the bytes, and nobody is told it is private."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord

from fedgen.privacy.plain import VECTOR, QuantisedCarrier


def test_encryption_gives_the_model_of_the_same_bits_in_the_open(run: Any) -> None:
    encrypted, _ = run({"privacy.kind": "he"})
    in_the_open, grid = run({"privacy.kind": "quantised"})
    for name, array in in_the_open.state["global-model"].items():
        np.testing.assert_array_equal(array.numpy(), encrypted.state["global-model"][name].numpy())
    asked = {message.metadata.message_type for message in grid.asked}
    assert asked == {"train"}
    notices = " ".join(str(text) for text in in_the_open.state["notices"].values())
    assert "the server reads every single update" in notices
    assert "hidden from the server" not in notices


@pytest.mark.parametrize("bits", [4, 8, 11])
def test_packed_numbers_come_back_and_wrong_lengths_are_left_out(bits: int) -> None:
    from fedgen.privacy.plain import seal_whole

    largest, length = 2 ** (bits - 1) - 1, 1001
    carrier = QuantisedCarrier(largest)
    random = np.random.default_rng(bits)
    numbers = random.integers(-largest, largest + 1, size=(3, length)).astype(np.float64)
    numbers[0, :2] = -largest, largest
    call: Any = None
    sealed = {node: seal_whole(call, numbers[node], carrier.brief(node)).arrays for node in range(3)}
    assert sealed[0][VECTOR].numpy().size == (length * bits + 7) // 8
    sealed[3] = ArrayRecord({VECTOR: Array(np.zeros(7, dtype=np.uint8))})
    talk: Any = None
    total = carrier.total(talk, sealed, length)
    assert total is not None
    assert total.nodes == (0, 1, 2)
    np.testing.assert_array_equal(total.values, numbers.sum(axis=0))
    assert carrier.brief(0) == ConfigRecord({"largest": largest})
