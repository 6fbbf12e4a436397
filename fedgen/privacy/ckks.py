# SPDX-License-Identifier: Apache-2.0
"""Encrypted sums of floats: TenSEAL's CKKS vectors, the plain choice beside `bfv`.

No quantisation, no packing: one value per slot, in the smallest setting that TenSEAL takes (degree 4096, two primes of 30 bits).
About 4.6 times the bytes of floats, and sums carry an error of about 1e-4 that differs from run to run. TenSEAL compresses
ciphertexts to lengths that differ by a few hundred bytes; here they are filled up to one length.

Source: Cheon, Kim, Kim, Song, "Homomorphic encryption for arithmetic of approximate numbers", 2017. Whoever sees decrypted sums
learns a little about the key's noise (Li, Micciancio, 2021), which is one reason more for `bfv`.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import tenseal as ts
from numpy.typing import NDArray

DEGREE = 4096
PRIME_BITS = (30, 30)
SCALE = 2.0**23
SLOTS = DEGREE // 2
CIPHERTEXT_BYTES = 36_864
"""Serialised ciphertexts take about 35,100 bytes; each is filled up to this."""
LARGEST_SUM = 60.0
"""Sums beyond 2^(30 - 23 - 1) = 64 in size would wrap around."""
WORK = DEGREE * 12 / (8192 * 13 * 4)
"""N log N of one ciphertext as a share of one with degree 8192 and five primes, of which one is for keys only."""


def new_key() -> bytes:
    """Return a new secret key, as TenSEAL's serialised context."""
    return _serialised(_fresh_context(), with_key=True)


@lru_cache(maxsize=1)
def _public() -> Any:
    """Return a context without any secret key: parameters alone add ciphertexts."""
    return ts.context_from(_serialised(_fresh_context(), with_key=False))


def _fresh_context() -> Any:
    kind = ts.ENCRYPTION_TYPE.SYMMETRIC
    return ts.context(ts.SCHEME_TYPE.CKKS, DEGREE, coeff_mod_bit_sizes=list(PRIME_BITS), encryption_type=kind)


def _serialised(context: Any, *, with_key: bool) -> bytes:
    parts = {"save_public_key": False, "save_galois_keys": False, "save_relin_keys": False}
    return bytes(context.serialize(save_secret_key=with_key, **parts))


def count_for(length: int) -> int:
    """Return the ciphertexts that so many values take."""
    return -(-length // SLOTS)


def is_row(data: bytes, count: int) -> bool:
    """Return whether data reads as so many ciphertexts of these parameters."""
    if len(data) != count * CIPHERTEXT_BYTES:
        return False
    try:
        for start in range(0, len(data), CIPHERTEXT_BYTES):
            _vector(data[start : start + CIPHERTEXT_BYTES], _public())
    except ValueError:
        return False
    return True


def encrypt(values: NDArray[np.float64], key: bytes) -> bytes:
    """Return the ciphertexts of values, each `CIPHERTEXT_BYTES` long.

    Raises:
        ValueError: A serialised ciphertext is longer than that.
    """
    context = ts.context_from(key)
    context.global_scale = SCALE
    return b"".join(
        _filled(ts.ckks_vector(context, values[start : start + SLOTS].tolist()).serialize())
        for start in range(0, len(values), SLOTS)
    )


def add(contributions: list[bytes]) -> bytes:
    """Return the sum of contributions of the same length, in the same form. Needs no key.

    Raises:
        ValueError: A contribution is no row of ciphertexts.
    """
    result = []
    for start in range(0, len(contributions[0]), CIPHERTEXT_BYTES):
        parts = [_vector(data[start : start + CIPHERTEXT_BYTES], _public()) for data in contributions]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        result.append(_filled(total.serialize()))
    return b"".join(result)


def decrypt(data: bytes, key: bytes) -> NDArray[np.float64]:
    """Return the values of a sum.

    Raises:
        ValueError: The data is no row of ciphertexts.
    """
    context = ts.context_from(key)
    context.global_scale = SCALE
    vectors = [
        _vector(data[start : start + CIPHERTEXT_BYTES], context) for start in range(0, len(data), CIPHERTEXT_BYTES)
    ]
    return np.concatenate([np.array(vector.decrypt()) for vector in vectors])


def _filled(serialised: bytes) -> bytes:
    if len(serialised) > CIPHERTEXT_BYTES - 4:
        raise ValueError(
            f"a CKKS ciphertext takes {len(serialised)} bytes, more than the {CIPHERTEXT_BYTES - 4} provided"
        )
    return len(serialised).to_bytes(4, "big") + serialised.ljust(CIPHERTEXT_BYTES - 4, b"\0")


def _vector(filled: bytes, context: Any) -> Any:
    try:
        return ts.ckks_vector_from(context, filled[4 : 4 + int.from_bytes(filled[:4], "big")])
    except Exception as error:  # TenSEAL raises whatever its parser meets
        raise ValueError(f"no CKKS ciphertext: {error}") from None
