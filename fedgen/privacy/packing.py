# SPDX-License-Identifier: Apache-2.0
"""Small whole numbers into machine words, several per word, so that adding words adds all of them; and words into bytes."""

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def field_bits(largest: int, addends: int) -> int:
    """Return the bits that a sum of so many numbers of -largest..largest takes once shifted to 0..2 largest each."""
    return (2 * largest * addends).bit_length()


def pack_fields(numbers: NDArray[np.int64], *, largest: int, bits: int, per_word: int) -> Words:
    """Shift numbers to 0..2 largest and put `per_word` of them into each word, `bits` apart, the first lowest.

    Args:
        numbers: Shape [n], each of -largest..largest.
        largest: Their bound.
        bits: Width of a field; `field_bits` of the sum leaves no carry.
        per_word: Fields in a word; bits x per_word is at most 64.

    Returns:
        Shape [ceil(n / per_word)]; the last word is filled up with zeros.

    Raises:
        ValueError: A number is larger than the bound.
    """
    if len(numbers) and int(np.max(np.abs(numbers))) > largest:
        raise ValueError(f"a number exceeds {largest} in size")
    padded = np.zeros(-(-len(numbers) // per_word) * per_word, dtype=np.uint64)
    padded[: len(numbers)] = (numbers + largest).astype(np.uint64)
    shifts = np.arange(per_word, dtype=np.uint64) * np.uint64(bits)
    words: Words = np.bitwise_or.reduce(padded.reshape(-1, per_word) << shifts, axis=1)
    return words


def unpack_fields(
    words: Words, *, largest: int, bits: int, per_word: int, count: int, addends: int
) -> NDArray[np.int64]:
    """Return the sums of `addends` numbers each out of added words, shape [count]."""
    shifts = np.arange(per_word, dtype=np.uint64) * np.uint64(bits)
    fields = (words[:, None] >> shifts) & np.uint64((1 << bits) - 1)
    sums: NDArray[np.int64] = fields.reshape(-1)[:count].astype(np.int64) - addends * largest
    return sums


def words_to_bytes(words: Words, bits: int) -> bytes:
    """Return words of `bits` bits as a dense string of bits, little end first, filled up to whole bytes."""
    each = np.unpackbits(words.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    return np.packbits(each[:, :bits].reshape(-1), bitorder="little").tobytes()


def bytes_to_words(data: bytes, bits: int, count: int) -> Words:
    """Return the words that `words_to_bytes` made, shape [count].

    Raises:
        ValueError: The data has another length.
    """
    if len(data) != -(-bits * count // 8):
        raise ValueError(f"{count} words of {bits} bits take {-(-bits * count // 8)} bytes, got {len(data)}")
    flat = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: bits * count].reshape(count, bits)
    each = np.zeros((count, 64), dtype=np.uint8)
    each[:, :bits] = flat
    return np.packbits(each, axis=1, bitorder="little").view("<u8").reshape(count).astype(np.uint64)
