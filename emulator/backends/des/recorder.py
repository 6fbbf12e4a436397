"""Keeps what the ServerApp reports: metrics as log rows, the global model of each round as a safetensors file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord

from emulator.backends.des.grid import VirtualGrid
from emulator.backends.des.rounds import Rounds
from emulator.backends.des.world import World


class Recorder:
    """An observer of strategies, and of pushed messages for ServerApps that use none.

    Args:
        world: Gives time and log.
        grid: Settles the server's work before a metric is logged, so that its time is right.
        rounds: Told when a strategy's rounds begin.
        weights: Folder for ``round-000.safetensors`` ...
    """

    def __init__(self, world: World, grid: VirtualGrid, rounds: Rounds, weights: Path) -> None:
        self._world = world
        self._grid = grid
        self._rounds = rounds
        self._rounds_before = 0
        self._weights = weights
        self._sees_strategy = False
        weights.mkdir(parents=True, exist_ok=True)
        grid.on_push = self.on_push

    def on_start(self) -> None:
        """A strategy starts; its round 1 is the log's next."""
        self._sees_strategy = True
        self._rounds_before = self._world.round
        self._rounds.trust_strategy(True)

    def on_end(self) -> None:
        """The strategy has ended."""
        self._rounds.trust_strategy(False)

    def on_round(self) -> None:
        """The strategy's next round begins."""
        self._grid.settle()
        self._rounds.begin()

    def on_arrays(self, round_number: int, arrays: ArrayRecord) -> None:
        """Save the global model after a round."""
        number = self._rounds_before + round_number
        if round_number > 0 or not self._path(number).exists():
            self._save(number, arrays)

    def on_metrics(self, round_number: int, source: str, metrics: MetricRecord) -> None:
        """Log scalar metrics; those aggregated from clients carry their source in the name."""
        self._grid.settle()
        prefix = "" if source == "server" else f"{source}."
        for name, value in sorted(metrics.items()):
            if isinstance(value, (int, float)):
                self._world.log.append(
                    self._world.now_s,
                    "metric",
                    round=self._rounds_before + round_number,
                    value=value,
                    note=f"{prefix}{name}",
                )

    def on_push(self, round_number: int, message: Message) -> None:
        """Save the model sent out in a round of a ServerApp without a strategy: the global model after the round before."""
        if self._sees_strategy or not message.metadata.message_type.startswith("train"):
            return
        path = self._path(round_number - 1)
        records = list(message.content.array_records.values())
        if records and not path.exists():
            self._save(round_number - 1, records[0])

    def _save(self, round_number: int, arrays: ArrayRecord) -> None:
        from safetensors.numpy import save

        data = {name: np.require(array.numpy(), requirements="C") for name, array in arrays.items()}
        self._path(round_number).write_bytes(save(data, metadata={"round": str(round_number)}))

    def _path(self, round_number: int) -> Path:
        return self._weights / f"round-{round_number:03d}.safetensors"
