# SPDX-License-Identifier: Apache-2.0
"""The carriers that hide nothing: contributions travel in the open, and the server adds them up.

As 32-bit floats, or as whole numbers of a few bits without gaps: the yardstick that tells what fewer bits save and cost from
what encryption and masks add to it.
"""

from collections.abc import Mapping
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord
from numpy.typing import NDArray

from fedgen.privacy.frame import Call, Sealed, Sum, Talk
from fedgen.privacy.secagg.packing import levels_of, numbers_of, pack, packed_bytes, sum_bits, unpack
from fedgen.privacy.vectors import read_array, read_floats
from fedgen.work import WorkReport

VECTOR = "vector"
LARGEST = "largest"


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


class QuantisedCarrier(PlainCarrier):
    """The server's half for whole numbers: unpacks and adds them; a contribution of another length is left out."""

    is_exact = True

    def __init__(self, largest: int) -> None:
        """Keep the bound of the numbers in a contribution."""
        self.largest = largest

    def brief(self, node: int) -> ConfigRecord:
        """Return the bound, from which the width of a number follows."""
        return ConfigRecord({LARGEST: self.largest})

    def total(self, talk: Talk, sealed: Mapping[int, ArrayRecord], length: int) -> Sum | None:
        """Return the sum of the contributions that have the right form."""
        bits = sum_bits(self.largest, 1)
        read = {node: read_array(record, VECTOR, np.dtype(np.uint8)) for node, record in sealed.items()}
        good = {
            node: numbers_of(unpack(data.tobytes(), length, bits), bits)
            for node, data in read.items()
            if data is not None and data.size == packed_bytes(length, bits)
        }
        return Sum(np.sum(list(good.values()), axis=0), tuple(good)) if good else None


def seal_whole(call: Call, values: NDArray[np.float64], brief: ConfigRecord) -> Sealed:
    """Return a contribution of whole numbers, packed without gaps."""
    largest = cast(int, brief[LARGEST])
    packed = pack(levels_of(values, largest), sum_bits(largest, 1))
    return Sealed(ArrayRecord({VECTOR: Array(np.frombuffer(packed, dtype=np.uint8))}))
