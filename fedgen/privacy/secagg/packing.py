# SPDX-License-Identifier: Apache-2.0
"""Whole numbers modulo a power of two, packed without gaps.

A sum of n clients' numbers of at most `largest` in size needs log2(n) bits more than one of them, the guard bits. All arithmetic
is modulo 2^bits; the sum's sign comes back because it is known to lie in [-n largest, n largest].
"""

import numpy as np
from numpy.typing import NDArray

from fedgen.errors import ProtocolError
from fedgen.privacy.secagg.masks import Levels

MOST_BITS = 32


def sum_bits(largest: int, clients: int) -> int:
    """Return the bits that hold any sum of `clients` whole numbers of at most `largest` in size.

    Raises:
        ProtocolError: They are more than 32.
    """
    bits = (2 * largest * clients).bit_length()
    if bits > MOST_BITS:
        raise ProtocolError(
            f"sums of {clients} numbers up to {largest} take {bits} bits, {MOST_BITS} at most; use fewer bits"
        )
    return bits


def levels_of(whole: NDArray[np.float64], largest: int) -> Levels:
    """Return whole numbers modulo 2^32.

    Raises:
        ProtocolError: A number is larger than `largest`, or not whole: it would spoil the sum of all.
    """
    if np.any(np.abs(whole) > largest) or np.any(whole != np.rint(whole)):
        raise ProtocolError(f"a contribution must consist of whole numbers of at most {largest} in size")
    return whole.astype(np.int64).astype(np.uint32)


def numbers_of(levels: Levels, bits: int) -> NDArray[np.float64]:
    """Return the whole numbers in [-2^(bits-1), 2^(bits-1)) whose low `bits` bits are given."""
    half = np.int64(1) << (bits - 1)
    low = levels.astype(np.int64) & (2 * half - 1)
    return np.asarray(((low + half) & (2 * half - 1)) - half, dtype=np.float64)


def packed_bytes(count: int, bits: int) -> int:
    """Return how many bytes `count` levels of `bits` bits take."""
    return (count * bits + 7) // 8


def pack(levels: Levels, bits: int) -> bytes:
    """Return the low `bits` bits of every level, one after the other."""
    each = np.unpackbits(levels.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)[:, MOST_BITS - bits :]
    return np.packbits(each).tobytes()


def unpack(data: bytes, count: int, bits: int) -> Levels:
    """Return the levels that were packed.

    Raises:
        ProtocolError: The data has another length than that many levels take.
    """
    if len(data) != packed_bytes(count, bits):
        raise ProtocolError(
            f"got {len(data)} bytes; {count} levels of {bits} bits are {packed_bytes(count, bits)} bytes"
        )
    each = np.zeros((count, MOST_BITS), dtype=np.uint8)
    each[:, MOST_BITS - bits :] = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count * bits).reshape(
        -1, bits
    )
    return np.packbits(each, axis=1).view(">u4").astype(np.uint32).ravel()
