# SPDX-License-Identifier: Apache-2.0
"""A strategy that goes on after rounds of an earlier run."""

from collections.abc import Callable, Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

Evaluate = Callable[[int, ArrayRecord], MetricRecord | None]


class Continued(Strategy):
    """Passes everything on to another strategy, with rounds counted from where the earlier run ended."""

    def __init__(self, inner: Strategy, rounds_before: int) -> None:
        """Wrap ``inner``; its first round is ``rounds_before + 1``."""
        self.inner = inner
        self.rounds_before = rounds_before

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """See `Strategy`."""
        return self.inner.configure_train(self.rounds_before + server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """See `Strategy`."""
        return self.inner.aggregate_train(self.rounds_before + server_round, replies)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """See `Strategy`."""
        return self.inner.configure_evaluate(self.rounds_before + server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """See `Strategy`."""
        return self.inner.aggregate_evaluate(self.rounds_before + server_round, replies)

    def summary(self) -> None:
        """See `Strategy`."""
        self.inner.summary()

    def counted(self, evaluate: Evaluate) -> Evaluate:
        """Return ``evaluate`` with the rounds of the whole experiment; the model it starts from was tested before."""

        def test(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
            return evaluate(self.rounds_before + server_round, arrays) if server_round else None

        return test
