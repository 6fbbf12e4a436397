# SPDX-License-Identifier: Apache-2.0
"""Beat classes of ANSI/AAMI EC57 and the usual split of MIT-BIH by patient.

Sources: ANSI/AAMI EC57:2012 (class table); de Chazal, O'Dwyer, Reilly, "Automatic classification of
heartbeats using ECG morphology and heartbeat interval features", IEEE TBME 51(7), 2004 (the split).
"""

import numpy as np
from numpy.typing import NDArray

N, S, V, F, Q = range(5)
CLASS_NAMES = ("N", "S", "V", "F", "Q")
"""Class codes 0..4: normal, supraventricular, ventricular, fusion, paced or unknown."""

SYMBOL_TO_CLASS: dict[str, int] = {
    **dict.fromkeys(("N", "L", "R", "e", "j"), N),
    **dict.fromkeys(("A", "a", "J", "S"), S),
    **dict.fromkeys(("V", "E"), V),
    "F": F,
    **dict.fromkeys(("/", "f", "Q"), Q),
}
"""WFDB beat symbol to class code. Any other symbol marks something that is not a beat."""

# fmt: off
TRAIN_PATIENTS: tuple[str, ...] = (
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
)
# fmt: on
"""DS1: 22 records, shared over the clients."""

# fmt: off
TEST_PATIENTS: tuple[str, ...] = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "210", "212",
    "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
)
# fmt: on
"""DS2 without 202, which is the same person as 201 in DS1: 21 records, held by the server."""

FOLDS: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {
    1: (TRAIN_PATIENTS, TEST_PATIENTS),
    2: (tuple(sorted((*TEST_PATIENTS, "202"))), tuple(record for record in TRAIN_PATIENTS if record != "201")),
}
"""Records to train and to test on, by fold. Together two-fold cross-validation by patient over all 44 records that are not paced:
each trains once; 201 and 202, one person, are never on both sides, so that 42 are tested."""

PACED_RECORDS: tuple[str, ...] = ("102", "104", "107", "217")
"""Left out, as EC57 asks: their beats are paced."""


def classes_of_symbols(symbols: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Find the beats among annotation symbols.

    Args:
        symbols: WFDB annotation symbols in order of time.

    Returns:
        Positions of the beats in `symbols`, and the class code of each, both of shape [beats].
        Symbols that mark no beat (rhythm changes, noise, artefacts) are skipped.
    """
    positions = [i for i, symbol in enumerate(symbols) if symbol in SYMBOL_TO_CLASS]
    classes = [SYMBOL_TO_CLASS[symbols[i]] for i in positions]
    return np.asarray(positions, dtype=np.int64), np.asarray(classes, dtype=np.int8)
