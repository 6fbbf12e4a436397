# SPDX-License-Identifier: Apache-2.0
"""Where the noise of differential privacy comes from.

From Python's process-wide generator, which the operating system seeds with 2,496 bytes when a ClientApp process starts. Who
seeds that generator, as an emulator does before each call, gets the same noise twice, and no privacy against whoever
knows the seed. Keys never come from here: they are drawn from the operating system directly.
"""

import random

import numpy as np


def fresh_seed() -> int:
    """Return 128 bits that nobody can foretell unless the process's generator was seeded."""
    return random.getrandbits(128)


def fresh_generator() -> np.random.Generator:
    """Return a generator with a fresh seed."""
    return np.random.Generator(np.random.PCG64(fresh_seed()))
