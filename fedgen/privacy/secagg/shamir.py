# SPDX-License-Identifier: Apache-2.0
"""Shamir's secret sharing over the integers modulo 2^256 + 297, the least prime above every 32-byte secret.

A secret is the value at 0 of a random polynomial of degree threshold - 1; a share is its value at another point. Fewer
shares than the threshold fit every secret equally well (Shamir 1979).
"""

import secrets
from collections.abc import Mapping, Sequence

from fedgen.errors import ProtocolError

PRIME = 2**256 + 297
SECRET_BYTES = 32
SHARE_BYTES = 33


def share(secret: bytes, threshold: int, points: Sequence[int]) -> list[bytes]:
    """Return one share of a secret for each point.

    Args:
        secret: 32 bytes.
        threshold: Shares needed to get it back.
        points: Different numbers from 1 up; a share belongs to its point.

    Raises:
        ProtocolError: Fewer points than the threshold, or a secret of another length.
    """
    if len(secret) != SECRET_BYTES:
        raise ProtocolError(f"got a secret of {len(secret)} bytes; only {SECRET_BYTES} bytes can be shared")
    if not 1 <= threshold <= len(set(points)) or min(points) < 1:
        raise ProtocolError(f"a threshold of {threshold} needs as many different points from 1 up; got {len(points)}")
    coefficients = [secrets.randbelow(PRIME) for _ in range(threshold - 1)] + [int.from_bytes(secret, "big")]
    return [_value_at(point, coefficients).to_bytes(SHARE_BYTES, "big") for point in points]


def _value_at(point: int, coefficients: Sequence[int]) -> int:
    """Return a polynomial's value, highest coefficient first (Horner)."""
    value = 0
    for coefficient in coefficients:
        value = (value * point + coefficient) % PRIME
    return value


def weights_at_zero(points: Sequence[int]) -> list[int]:
    """Return Lagrange's weights: the sum of weight times share over the points is the secret."""
    weights = []
    for point in points:
        above, below = 1, 1
        for other in points:
            if other != point:
                above = above * other % PRIME
                below = below * (other - point) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return weights


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes:
    """Return the secret from shares by point; the `threshold` least points are used.

    Raises:
        ProtocolError: Too few shares, or shares that do not belong together.
    """
    if len(shares) < threshold:
        raise ProtocolError(f"{len(shares)} shares of a secret are there, {threshold} are needed")
    points = sorted(shares)[:threshold]
    weights = weights_at_zero(points)
    secret = (
        sum(weight * int.from_bytes(shares[point], "big") for point, weight in zip(points, weights, strict=True))
        % PRIME
    )
    if secret >= 2 ** (8 * SECRET_BYTES):
        raise ProtocolError("the shares of a secret do not belong together")
    return secret.to_bytes(SECRET_BYTES, "big")
