# SPDX-License-Identifier: Apache-2.0
"""Selective encryption: named arrays of an update go through the carrier, the rest is sent as it is.

It saves bytes and time where some arrays tell less about a patient than others; which those are, nobody has proved. What the
clinics' scores say always goes through the carrier. Each client works out from its own settings what it sends in the open: a
server that asks for more gets no more.

Source of the idea: Jin et al., "FedML-HE: an efficient homomorphic-encryption-based privacy-preserving federated learning
system", 2023, where single weights are chosen by their sensitivity; here whole arrays are, by name.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord
from numpy.typing import NDArray

from fedgen.config import AppConfig
from fedgen.errors import ConfigError
from fedgen.privacy.frame import Call, Carrier, Seal, Sealed, Sum, Talk
from fedgen.privacy.vectors import Layout, read_array
from fedgen.work import WorkReport

OPEN_PART = "open"
"""Array of a sealed contribution: the numbers that everybody on the way to the server's memory can read."""


def hidden_places(layout: Layout, patterns: str) -> NDArray[np.bool_]:
    """Return for each number of a contribution whether it goes through the carrier.

    Args:
        layout: Of the contribution.
        patterns: Names of arrays, `*` and `?` allowed, with commas; empty for all.

    Raises:
        ConfigError: A pattern names no array.
    """
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    names = [name for name, _ in layout.shapes]
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"privacy.he.layers names {pattern!r}; the model has {', '.join(names)}")
    is_hidden = [not wanted or any(fnmatchcase(name, pattern) for pattern in wanted) for name in names]
    return np.repeat([*is_hidden, True], layout.sizes)


def words(layout: Layout, patterns: str) -> str:
    """Return what stays visible of every single update."""
    hidden = hidden_places(layout, patterns)
    parts = np.split(hidden, np.cumsum(layout.sizes)[:-1])
    seen = [name for (name, _), part in zip(layout.shapes, parts, strict=False) if not part.all()]
    return (
        f"Privacy: {np.sum(hidden):,} of the {len(hidden):,} numbers of an update are encrypted. The server reads the rest of "
        f"every single update: {', '.join(seen) or 'nothing'}. What it learns of patients from that is not bounded by anything."
    )


class SelectiveCarrier:
    """The server's half: adds the open parts itself, and has the carrier bring the sum of the hidden ones."""

    def __init__(self, carrier: Carrier, hidden: NDArray[np.bool_], largest: int) -> None:
        """Wrap a carrier.

        Args:
            carrier: Brings the hidden part.
            hidden: See `hidden_places`.
            largest: Bound of the numbers in a contribution; 0 where they are floats.
        """
        self.carrier = carrier
        self.is_exact = carrier.is_exact
        self.hidden = hidden
        self.largest = largest

    def prepare(self, talk: Talk, nodes: list[int]) -> list[int]:
        """Get the carrier ready."""
        return self.carrier.prepare(talk, nodes)

    def brief(self, node: int) -> ConfigRecord:
        """Return what the carrier tells."""
        return self.carrier.brief(node)

    def work(self) -> WorkReport:
        """Return the carrier's work."""
        return self.carrier.work()

    def total(self, talk: Talk, sealed: Mapping[int, ArrayRecord], length: int) -> Sum | None:
        """Return the sum of the contributions whose open part has the right form and size."""
        read = {node: self._open_part(record) for node, record in sealed.items()}
        good = {node: values for node, values in read.items() if values is not None}
        found = self.carrier.total(talk, {node: sealed[node] for node in good}, int(self.hidden.sum()))
        if found is None:
            return None
        values = np.empty(length)
        values[self.hidden] = found.values
        values[~self.hidden] = np.sum([good[node] for node in found.nodes], axis=0, dtype=np.float64)
        return Sum(values, found.nodes)

    def _open_part(self, record: ArrayRecord) -> NDArray[Any] | None:
        values = read_array(record, OPEN_PART, _kind(self.largest))
        if values is None or values.shape != (int((~self.hidden).sum()),) or not np.all(np.isfinite(values)):
            return None
        is_within = not self.largest or np.all(np.abs(values.astype(np.int64)) <= self.largest)
        return values if is_within else None


def selective_seal(seal: Seal, config: AppConfig, layout: Layout, largest: int) -> Seal:
    """Return a client's half that seals the hidden part and adds the open one."""
    hidden = hidden_places(layout, config.privacy_he_layers)

    def sealed(call: Call, values: NDArray[np.float64], brief: ConfigRecord) -> Sealed:
        result = seal(call, values[hidden], brief)
        result.arrays[OPEN_PART] = Array(values[~hidden].astype(_kind(largest)))
        return result

    return sealed


def _kind(largest: int) -> np.dtype[Any]:
    """Return the smallest type that holds the numbers."""
    if not largest:
        return np.dtype(np.float32)
    return np.dtype(np.int8) if largest < 128 else np.dtype(np.int16)
