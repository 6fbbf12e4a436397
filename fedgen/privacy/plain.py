# SPDX-License-Identifier: Apache-2.0
"""The carrier that hides nothing: contributions travel as 32-bit floats and the server adds them up."""

from collections.abc import Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord
from numpy.typing import NDArray

from fedgen.privacy.frame import Call, Sealed, Sum, Talk
from fedgen.privacy.vectors import read_floats
from fedgen.work import WorkReport

VECTOR = "vector"


class PlainCarrier:
    """The server's half: adds floats, in order of node."""

    is_exact = False

    def prepare(self, talk: Talk, nodes: list[int]) -> list[int]:
        """Return all nodes: there is nothing to agree on."""
        return nodes

    def brief(self, node: int) -> ConfigRecord:
        """Return nothing."""
        return ConfigRecord()

    def total(self, talk: Talk, sealed: Mapping[int, ArrayRecord], length: int) -> Sum | None:
        """Return the sum of the contributions that have the right form."""
        read = {node: read_floats(record, VECTOR, length) for node, record in sealed.items()}
        good = {node: vector for node, vector in read.items() if vector is not None}
        return Sum(np.sum(list(good.values()), axis=0), tuple(good)) if good else None

    def work(self) -> WorkReport:
        """Return no work beyond reading the replies."""
        return WorkReport()


def seal(call: Call, values: NDArray[np.float64], brief: ConfigRecord) -> Sealed:
    """Return a contribution as it is, in 32-bit floats."""
    return Sealed(ArrayRecord({VECTOR: Array(values.astype(np.float32))}))
