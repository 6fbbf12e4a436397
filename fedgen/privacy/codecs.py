# SPDX-License-Identifier: Apache-2.0
"""From a contribution to the numbers that a carrier adds up, and back from their sum to the mean.

Every client has the same weight: a weighted sum under encryption would need the weights, and they tell how much data a
clinic has.
"""

from typing import Protocol, cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord
from numpy.typing import NDArray

from fedgen.privacy.frame import Call, Guarantee, Sum
from fedgen.privacy.vectors import TAIL, Layout, Vector

RANGES = "ranges"
RESIDUAL = "quantisation-residual"
RANGE_MARGIN = 4.0
"""A part's range is this many times its largest mean move of the latest round: single clients move farther than their mean."""
SMALLEST_RANGE = 1e-6


class Codec(Protocol):
    """Both ends of a run agree on one codec through the settings; the server's holds the state."""

    largest: int
    """No number of a contribution is larger in size; 0 where contributions are floats."""
    always_steps: bool
    """A round is decoded also when nobody contributed: its noise is part of what is accounted for."""

    def begin(self, connected: int) -> bool:
        """A round with so many clients connected begins; return whether it may be released."""
        ...

    def brief(self) -> ConfigRecord:
        """Return what the clients must know for this round."""
        ...

    def encode(self, call: Call, vector: Vector, brief: ConfigRecord) -> NDArray[np.float64]:
        """Return a client's contribution as numbers to add; called on the client."""
        ...

    def decode(self, total: Sum) -> Vector:
        """Return the mean contribution; called on the server, once per accepted round."""
        ...

    def guarantee(self) -> Guarantee | None:
        """Return what has been released about clients so far; None where nothing protects them."""
        ...


class Unaccounted:
    """Part of a codec that adds no noise: every round may be released, and nothing is guaranteed."""

    always_steps = False

    def begin(self, connected: int) -> bool:
        """Return yes."""
        return True

    def guarantee(self) -> Guarantee | None:
        """Return nothing."""
        return None


class FloatCodec(Unaccounted):
    """Contributions as they are."""

    largest = 0

    def brief(self) -> ConfigRecord:
        """Return nothing."""
        return ConfigRecord()

    def encode(self, call: Call, vector: Vector, brief: ConfigRecord) -> NDArray[np.float64]:
        """Return the vector."""
        return vector

    def decode(self, total: Sum) -> Vector:
        """Return the sum over the number of clients."""
        mean: Vector = total.values / len(total.nodes)
        return mean


class QuantisedCodec(Unaccounted):
    """Whole numbers of a few bits, rounded at random so that they are right on average, with error feedback.

    A value v of a part with range r becomes q = clip(v / r, -1, 1) (2^(bits-1) - 1), rounded up with the chance of its
    fraction. What rounding and clipping took away is kept on the client and added to its next contribution. The ranges
    follow from the latest mean, which everybody knows: no client's own size is told. The error of the mean is at most one
    step, r / (2^(bits-1) - 1), in each place.

    Source: Alistarh et al., "QSGD", 2017; Karimireddy et al., "Error feedback fixes SignSGD", 2019.
    """

    def __init__(self, layout: Layout, *, bits: int, first_range: float) -> None:
        """Start with one range for all weights; shares of scores have range 1 for good."""
        self.layout = layout
        self.largest = 2 ** (bits - 1) - 1
        self.ranges = np.full(len(layout.sizes), first_range)
        self.ranges[-1] = 1.0

    def brief(self) -> ConfigRecord:
        """Return the range of each part."""
        return ConfigRecord({RANGES: [float(value) for value in self.ranges]})

    def encode(self, call: Call, vector: Vector, brief: ConfigRecord) -> NDArray[np.float64]:
        """Return whole numbers of at most `largest` in size; keeps the rest in the client's state."""
        ranges = self.layout.spread(np.array(cast(list[float], brief[RANGES])))
        kept = call.context.state.array_records.get(RESIDUAL)
        wanted = vector.copy()
        if kept is not None:
            wanted[:-TAIL] += kept["values"].numpy()  # shares of scores are no sum over rounds: nothing is owed there
        exact = np.clip(wanted / ranges, -1.0, 1.0) * self.largest
        draws = np.random.Generator(np.random.PCG64(call.seed)).random(len(vector))
        whole: Vector = np.floor(exact + draws)
        owed = (wanted - whole * ranges / self.largest)[:-TAIL]
        call.context.state[RESIDUAL] = ArrayRecord({"values": Array(owed.astype(np.float32))})
        return whole

    def decode(self, total: Sum) -> Vector:
        """Return the mean, and let the ranges follow it."""
        mean: Vector = total.values * self.layout.spread(self.ranges) / (self.largest * len(total.nodes))
        for index, part in enumerate(self.layout.parts(mean)[:-1]):
            self.ranges[index] = max(SMALLEST_RANGE, RANGE_MARGIN * float(np.max(np.abs(part), initial=0.0)))
        return mean
