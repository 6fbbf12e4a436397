# SPDX-License-Identifier: Apache-2.0
"""Selective encryption: the same sums, fewer bytes, and in the open exactly what is said to be."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord

from fedgen.errors import ConfigError
from fedgen.privacy.frame import Sum
from fedgen.privacy.he import CIPHERTEXTS
from fedgen.privacy.plain import VECTOR, PlainCarrier
from fedgen.privacy.selective import OPEN_PART, SelectiveCarrier, hidden_places
from fedgen.privacy.vectors import TAIL, Layout

LAYOUT = Layout((("encoder.weight", (2, 3)), ("encoder.bias", (2,)), ("decoder.weight", (4,))))


def weights(context: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {name: array.numpy() for name, array in context.state["global-model"].items()}


def sealed(grid: Any) -> list[Any]:
    pairs = zip(grid.replies, grid.asked, strict=True)
    return [reply.content["sealed"] for reply, asked in pairs if asked.metadata.message_type == "train"]


def test_which_numbers_are_hidden() -> None:
    hidden = hidden_places(LAYOUT, "encoder.*")
    np.testing.assert_array_equal(np.flatnonzero(~hidden), np.arange(8, 12))
    assert hidden[-TAIL:].all(), "what the scores say is hidden whatever is named"
    assert hidden_places(LAYOUT, "").all()
    np.testing.assert_array_equal(np.flatnonzero(hidden_places(LAYOUT, "*.bias")[:-TAIL]), [6, 7])
    with pytest.raises(ConfigError, match=r"names 'encodr\.\*'; the model has encoder\.weight"):
        hidden_places(LAYOUT, "encodr.*, decoder.*")


@pytest.mark.parametrize("scheme", ["bfv", "ckks"])
def test_the_model_is_the_same_and_the_bytes_are_fewer(run: Any, scheme: str) -> None:
    he = {"privacy.kind": "he", "privacy.he.scheme": scheme, "num-server-rounds": 2 if scheme == "bfv" else 1}
    whole, everything = run(he)
    part, some = run({**he, "privacy.he.layers": "encoder.*, joint.*"})
    for name, values in weights(whole).items():
        np.testing.assert_allclose(weights(part)[name], values, atol=0 if scheme == "bfv" else 1e-3)
    sizes = [sum(len(array.data) for array in sealed(grid)[0].values()) for grid in (everything, some)]
    assert sizes[1] < 0.8 * sizes[0]
    assert set(sealed(some)[0]) == {CIPHERTEXTS, OPEN_PART}
    told = " ".join(str(text) for text in part.state["notices"].values())
    assert "The server reads the rest of every single update: latent_mean.weight, " in told
    assert " encoder." not in told


class Whole(PlainCarrier):
    """Stands in for a carrier of exact sums."""

    is_exact = True


def reply(hidden: int, values: Any) -> ArrayRecord:
    return ArrayRecord({VECTOR: Array(np.ones(hidden, np.float32)), OPEN_PART: Array(values)})


def test_an_open_part_of_another_form_harms_only_its_sender() -> None:
    hidden = hidden_places(LAYOUT, "encoder.*")
    count = int(hidden.sum())
    good = np.array([1, -2, 127, 0], np.int8)
    bad = [good.astype(np.int16), good[:3], np.array([-128, 0, 0, 0], np.int8), good.astype(np.float32)]
    replies = {
        0: reply(count, good),
        **{1 + i: reply(count, values) for i, values in enumerate(bad)},
        9: reply(count, good),
    }
    replies[8] = ArrayRecord({VECTOR: Array(np.ones(count, np.float32))})
    found = SelectiveCarrier(Whole(), hidden, 127).total(None, replies, LAYOUT.length)  # type: ignore[arg-type]
    assert isinstance(found, Sum)
    assert found.nodes == (0, 9)
    np.testing.assert_array_equal(found.values[~hidden], 2 * good.astype(float))
    np.testing.assert_array_equal(found.values[hidden], 2.0)
