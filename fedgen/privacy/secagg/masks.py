# SPDX-License-Identifier: Apache-2.0
"""Masks that cancel: AES-256 in counter mode as a stream of 32-bit numbers, added and subtracted modulo 2^32.

Whatever is summed modulo 2^b with b up to 32 may be masked modulo 2^32 and cut to b bits afterwards, because 2^b divides 2^32.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

Levels = NDArray[np.uint32]
_START = bytes(16)
"""The counter starts at 0: every key makes one stream only."""


class Masker:
    """Adds and subtracts key streams of one length; the buffers are made once, which is most of the cost."""

    def __init__(self, length: int) -> None:
        """Make room for streams of `length` numbers."""
        self._zeros = bytes(4 * length)
        self._stream = np.empty(length, dtype="<u4")
        self._bytes: Any = self._stream.view(np.uint8)

    def stream(self, key: bytes) -> Levels:
        """Return numbers that nobody without the key can tell from random ones; valid until the next call."""
        Cipher(AES256(key), CTR(_START)).encryptor().update_into(self._zeros, self._bytes)
        return self._stream

    def add_pairs(self, levels: Levels, own: int, pair_keys: Mapping[int, bytes]) -> None:
        """Add in place the masks a client shares with others, by their numbers: the lower adds, the higher subtracts."""
        for other, key in pair_keys.items():
            if own < other:
                levels += self.stream(key)
            else:
                levels -= self.stream(key)


def add_masks(levels: Levels, *, own: int, self_key: bytes, pair_keys: Mapping[int, bytes]) -> Levels:
    """Return `levels` under the client's own mask and those it shares with its neighbours.

    Args:
        levels: What is to be hidden.
        own: Number of this client.
        self_key: Key of its own mask.
        pair_keys: Keys shared with neighbours, by their numbers.
    """
    masker = Masker(len(levels))
    masked = levels + masker.stream(self_key)
    masker.add_pairs(masked, own, pair_keys)
    return masked
