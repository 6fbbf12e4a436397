# SPDX-License-Identifier: Apache-2.0
"""Flower's rules for making one model out of many when some of them are hostile."""

from collections.abc import Callable

from flwr.serverapp.strategy import Bulyan, FedAvg, FedMedian, FedTrimmedAvg, Krum, MultiKrum

RULES: dict[str, Callable[[int, int], FedAvg]] = {
    "median": lambda replies, hostile: FedMedian(),
    "trimmed-mean": lambda replies, hostile: FedTrimmedAvg(beta=(hostile + 0.25) / replies),
    "krum": lambda replies, hostile: Krum(num_malicious_nodes=hostile),
    "multi-krum": lambda replies, hostile: MultiKrum(
        num_malicious_nodes=hostile, num_nodes_to_select=max(1, replies - hostile)
    ),
    "bulyan": lambda replies, hostile: Bulyan(num_malicious_nodes=hostile),
}
"""By `strategy.kind`: (replies in the round, how many of them may be hostile) -> Flower's strategy. The mean is none of them."""


def least_replies(kind: str, hostile: int) -> int:
    """Return the replies a rule needs to withstand that many hostile ones (its authors' bounds)."""
    return {"median": 2 * hostile + 1, "trimmed-mean": 2 * hostile + 1, "krum": 2 * hostile + 3,
            "multi-krum": 2 * hostile + 3, "bulyan": 4 * hostile + 3}.get(kind, 1)  # fmt: skip
