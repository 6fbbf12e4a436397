"""Sees what a strategy that ships with Flower (or derives from one) reports while an unmodified ServerApp runs.

``Strategy.start`` only logs its metrics as text and keeps its arrays to itself until the end. For the time of a run it is
wrapped so that each round's aggregated arrays and metrics are passed on. ServerApps that drive the Grid by hand are not seen
here; for them the arrays in the messages they push are all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp.strategy import Strategy


class Observer(Protocol):
    """Told what a strategy computes, in the order in which it does."""

    def on_start(self) -> None:
        """A strategy starts."""

    def on_end(self) -> None:
        """The strategy has ended, however it did."""

    def on_round(self) -> None:
        """The strategy's next round begins; perhaps nobody is asked in it."""

    def on_arrays(self, round_number: int, arrays: ArrayRecord) -> None:
        """The global model after ``round_number`` (0: the initial model)."""

    def on_metrics(self, round_number: int, source: str, metrics: MetricRecord) -> None:
        """Metrics of a round; ``source`` is ``train``, ``evaluate`` (aggregated over clients) or ``server``."""


@contextmanager
def observed_strategies(observer: Observer) -> Iterator[None]:
    """Pass on what strategies report while the block runs."""
    original = Strategy.start

    def start(self: Strategy, grid: Any, initial_arrays: ArrayRecord, *args: Any, **kwargs: Any) -> Any:
        observer.on_start()
        observer.on_arrays(0, initial_arrays)
        names = ("num_rounds", "timeout", "train_config", "evaluate_config", "evaluate_fn")
        kwargs.update(zip(names, args, strict=False))
        if kwargs.get("evaluate_fn") is not None:
            kwargs["evaluate_fn"] = _observed_evaluate(kwargs["evaluate_fn"], observer)
        own = dict(vars(self))  # an app may have set such attributes itself
        self.configure_train = _observed_configure(self.configure_train, observer)  # type: ignore[method-assign]
        self.aggregate_train = _observed_train(self.aggregate_train, observer)  # type: ignore[method-assign]
        self.aggregate_evaluate = _observed_replies(self.aggregate_evaluate, observer)  # type: ignore[method-assign]
        try:
            return original(self, grid, initial_arrays, **kwargs)
        finally:
            for name in ("configure_train", "aggregate_train", "aggregate_evaluate"):
                vars(self).pop(name)
                if name in own:
                    setattr(self, name, own[name])
            observer.on_end()

    Strategy.start = start  # type: ignore[method-assign]
    try:
        yield
    finally:
        Strategy.start = original  # type: ignore[method-assign]


def _observed_evaluate(evaluate_fn: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    def evaluate(round_number: int, arrays: ArrayRecord) -> Any:
        metrics = evaluate_fn(round_number, arrays)
        if metrics is not None:
            observer.on_metrics(round_number, "server", metrics)
        return metrics

    return evaluate


def _observed_configure(configure: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    def configure_train(*arguments: Any, **named: Any) -> Any:
        observer.on_round()
        return configure(*arguments, **named)

    return configure_train


def _observed_train(aggregate: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    def aggregate_train(round_number: int, replies: Any) -> Any:
        arrays, metrics = aggregate(round_number, replies)
        if arrays is not None:
            observer.on_arrays(round_number, arrays)
        if metrics is not None:
            observer.on_metrics(round_number, "train", metrics)
        return arrays, metrics

    return aggregate_train


def _observed_replies(aggregate: Callable[..., Any], observer: Observer) -> Callable[..., Any]:
    def aggregate_evaluate(round_number: int, replies: Any) -> Any:
        metrics = aggregate(round_number, replies)
        if metrics is not None:
            observer.on_metrics(round_number, "evaluate", metrics)
        return metrics

    return aggregate_evaluate
