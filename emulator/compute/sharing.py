"""Several jobs on one processor: how much slower ours runs beside others that never end."""

from __future__ import annotations

import math


def slowdown(*, cores: int, threads: int, other_cores: float) -> float:
    """Return by what factor a job of ``threads`` threads is stretched, at least 1.

    The scheduler is fair between threads (max-min, as Linux's is on average): the other jobs need ``other_cores`` cores' worth
    of time, spread over as few threads as can use it, and get it unless a fair share is less. A single thread cannot run on two
    cores at once.

    Raises:
        ValueError: ``cores`` or ``threads`` below 1, or a negative load.

    Leaves out caches and memory bandwidth that jobs take from each other, priorities, and loads that come and go.
    """
    if cores < 1 or threads < 1 or other_cores < 0:
        raise ValueError(
            f"got {cores} cores, {threads} threads and a load of {other_cores}; must be 1, 1 and 0 at least"
        )
    others = math.ceil(other_cores)
    left = (cores - other_cores) / threads
    fair = cores / (threads + others)
    is_modest = others == 0 or other_cores / others <= left  # the others want less than a fair share
    return max(1.0, 1 / (left if is_modest else fair))
