# SPDX-License-Identifier: Apache-2.0
"""How many cores this process may keep busy."""

import os


def usable_cores() -> int:
    """Return `PYTHON_CPU_COUNT` where it is set, else the number of CPUs this process may run on.

    The variable is Python's own (3.13 reads it in `os.process_cpu_count`); whoever starts several processes on
    one machine sets it to share the cores out.
    """
    told = os.environ.get("PYTHON_CPU_COUNT", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
