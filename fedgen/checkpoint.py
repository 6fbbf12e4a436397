# SPDX-License-Identifier: Apache-2.0
"""What a run needs to go on where another ended: the global model, the round, and what the strategy keeps in mind.

Flower ends a run whose ServerApp dies, and nothing comes back. A checkpoint after every round lets a new run go on.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord

from fedgen.errors import ConfigError

FILE = "checkpoint.npz"
ABOUT = "about"
FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """The state after a round.

    Attributes:
        round: The last round that is in it.
        arrays: Global model.
        kept: What the strategy keeps from round to round, as JSON: the threshold, what mechanisms have spent.
        settings: The settings that the next rounds depend on, to refuse a checkpoint of another experiment.
    """

    round: int
    arrays: ArrayRecord
    kept: Mapping[str, Any]
    settings: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write it into ``folder`` in place of the one before; a crash leaves one of the two whole."""
        folder.mkdir(parents=True, exist_ok=True)
        about = {"format": FORMAT, "round": self.round, "kept": dict(self.kept), "settings": dict(self.settings)}
        partial = folder / f"{FILE}.partial"
        stored: dict[str, Any] = {f"array {name}": array.numpy() for name, array in self.arrays.items()}
        stored[ABOUT] = np.array(json.dumps(about))
        with partial.open("wb") as file:
            np.savez(file, **stored)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / FILE)


def load_checkpoint(folder: Path, settings: Mapping[str, Any]) -> Checkpoint | None:
    """Return the checkpoint in ``folder``, None where there is none yet.

    Raises:
        ConfigError: It cannot be read, or comes from a run with other settings.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored[ABOUT]))
            names = [name for name in stored.files if name != ABOUT]
            arrays = ArrayRecord({name.removeprefix("array "): Array(stored[name]) for name in names})
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"checkpoint-dir: {path} is no checkpoint of this app ({error}); move it away") from error
    other = sorted(key for key in settings if about["settings"].get(key) != settings[key])
    if other:
        was, now = about["settings"].get(other[0]), settings[other[0]]
        raise ConfigError(
            f"checkpoint-dir: {path} comes from a run with another {other[0]} ({was!r}, now {now!r}); "
            "name another folder, or take the settings of that run"
        )
    return Checkpoint(int(about["round"]), arrays, about["kept"], about["settings"])
