# SPDX-License-Identifier: Apache-2.0
"""Checks of a reply before it may touch the model: form, types, numbers, length. A bad reply harms only its sender.

All of it needs numbers in the open. Of an encrypted or masked contribution only form and size can be checked; that its numbers
lie in the range agreed upon would need a proof in zero knowledge, which is not part of this.
"""

from typing import Any

import numpy as np
from flwr.app import ArrayRecord
from numpy.typing import NDArray


def same_form(got: ArrayRecord, sent: ArrayRecord) -> bool:
    """Return whether arrays have the names, shapes and types of those sent, and finite numbers only."""
    if set(got) != set(sent):
        return False
    for name, model in sent.items():
        array = got[name]
        if tuple(array.shape) != tuple(model.shape) or array.dtype != model.dtype:
            return False  # before anything is unpacked: what it says of itself is already wrong
        values = read(got, name)
        if values is None or values.shape != tuple(model.shape) or str(values.dtype) != model.dtype:
            return False
        if not np.all(np.isfinite(values)):
            return False
    return True


def read(record: ArrayRecord, name: str) -> NDArray[Any] | None:
    """Return an array, or None where its bytes are no array (pickled objects are never read)."""
    try:
        return record[name].numpy()
    except Exception:  # the bytes are the sender's; whatever NumPy makes of them is the sender's fault alone
        return None


def update_length(got: ArrayRecord, sent: ArrayRecord) -> float:
    """Return the Euclidean length of the change from one model to another."""
    squares = [np.sum((got[name].numpy().astype(np.float64) - sent[name].numpy()) ** 2) for name in sent]
    return float(np.sqrt(np.sum(squares)))


def within_bound(lengths: list[float], bound: float) -> list[bool]:
    """Return which updates are at most `bound` times as long as the round's median; all where `bound` is 0."""
    if not lengths or bound <= 0:
        return [True] * len(lengths)
    most = bound * float(np.median(lengths))
    return [length <= most for length in lengths]
