# SPDX-License-Identifier: Apache-2.0
"""What every anomaly model offers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fedgen.data.windows import PreparedPatient


@dataclass(frozen=True)
class BeatBatch:
    """Beats with their context, one row per beat.

    Attributes:
        beats: Windows, shape [n, 128].
        templates: The usual beat of each beat's patient, shape [n, 128].
        rhythm: Rhythm features, shape [n, 3].
    """

    beats: Tensor
    templates: Tensor
    rhythm: Tensor

    def __len__(self) -> int:
        """Return the number of beats."""
        return len(self.beats)

    def rows(self, indices: Tensor | slice) -> "BeatBatch":
        """Return some of the rows."""
        return BeatBatch(self.beats[indices], self.templates[indices], self.rhythm[indices])


def batch_of(patient: PreparedPatient) -> BeatBatch:
    """View one patient's beats as a batch; nothing is copied."""
    beats = torch.from_numpy(patient.beats)
    template = torch.from_numpy(patient.template)
    return BeatBatch(beats, template.expand(len(beats), -1), torch.from_numpy(patient.rhythm))


def concatenate(batches: list[BeatBatch]) -> BeatBatch:
    """Put batches one after the other."""
    return BeatBatch(
        torch.cat([batch.beats for batch in batches]),
        torch.cat([batch.templates for batch in batches]),
        torch.cat([batch.rhythm for batch in batches]),
    )


class AnomalyModel(nn.Module, ABC):
    """A model of normal beats that is trained on a loss and explains beats with an error."""

    @abstractmethod
    def losses(self, batch: BeatBatch, generator: torch.Generator) -> Tensor:
        """Return the training loss of each beat, shape [n]; draws only from `generator`."""

    def loss(self, batch: BeatBatch, generator: torch.Generator) -> Tensor:
        """Return the mean training loss of a batch, a scalar."""
        return self.losses(batch, generator).mean()

    @abstractmethod
    def errors(self, batch: BeatBatch) -> Tensor:
        """Return how badly each beat is explained, shape [n], above 0; draws nothing."""
