# SPDX-License-Identifier: Apache-2.0
"""Signatures of many entries checked at once by several processes: a check takes nine tenths of what an entry costs.

Processes, because the library holds Python's interpreter lock while it checks. Order, form and rules remain the follower's: an
entry whose signature was not found right here is checked again there, and refused there with its reason.
"""

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from fedgen.ledger.entries import LedgerError, entry_from

BATCH = 200
LEAST_ENTRIES = 1_000
"""With fewer, processes take longer to start than they save."""


def right_signatures(entries: Sequence[bytes], ledger: bytes, *, workers: int) -> Iterator[bool]:
    """Yield for each entry whether it reads well and its signer has signed it for this ledger.

    Args:
        entries: Entries in canonical form.
        ledger: The ledger's name.
        workers: Processes; with 1, or few entries, this one does it all.
    """
    if workers < 2 or len(entries) < LEAST_ENTRIES:
        yield from _are_right(entries, ledger)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        batches = [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]
        for answers in pool.map(partial(_are_right, ledger=ledger), batches):
            yield from answers


def _are_right(entries: Iterable[bytes], ledger: bytes) -> list[bool]:
    return [_is_right(data, ledger) for data in entries]


def _is_right(data: bytes, ledger: bytes) -> bool:
    try:
        return entry_from(data).is_signed(data, ledger)
    except LedgerError:
        return False
