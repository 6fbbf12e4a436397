"""Named random streams: one independent generator per name, derived from the seed by hashing.

A stream depends on ``(seed, name)`` alone, so that adding a clinic or drawing more numbers elsewhere moves
nobody else's draws. Nothing here touches the global generators of ``random`` or ``numpy``.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 64-bit seed for the stream called ``names`` under ``seed``.

    The names are length-prefixed before hashing (SHA-256), so ``("a", "bc")`` and ``("ab", "c")`` differ.
    """
    digest = hashlib.sha256(str(seed).encode())
    for name in names:
        text = str(name).encode()
        digest.update(len(text).to_bytes(4, "big"))
        digest.update(text)
    return int.from_bytes(digest.digest()[:8], "big")


class Streams:
    """Hands out generators by name: ``streams("outage", "clinic-3")``.

    Each call gives a fresh generator at the start of its stream (PCG64), so the order of calls does not matter.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, *names: str | int) -> np.random.Generator:
        """Return the generator called ``names``, at its start."""
        return np.random.Generator(np.random.PCG64(derive_seed(self.seed, *names)))
