# SPDX-License-Identifier: Apache-2.0
"""The anomaly models by name."""

from collections.abc import Callable

import torch

from fedgen.errors import ConfigError
from fedgen.models.base import AnomalyModel, BeatBatch, batch_of, concatenate
from fedgen.models.conv_vae import ConvVae

__all__ = ["MODELS", "AnomalyModel", "BeatBatch", "batch_of", "build_model", "concatenate"]

MODELS: dict[str, Callable[..., AnomalyModel]] = {"conv-vae": ConvVae}
"""Model by the name that `model.kind` takes; called with `latent` and `beta`."""


def build_model(kind: str, *, latent: int, beta: float, seed: int) -> AnomalyModel:
    """Make a model with initial weights drawn from a seed.

    Args:
        kind: A key of `MODELS`.
        latent: Dimensions of the latent code.
        beta: Weight of the KL term.
        seed: Seed of the weights. The process's own random state is left as it was.

    Returns:
        The model.

    Raises:
        ConfigError: There is no such model.
    """
    if kind not in MODELS:
        raise ConfigError(f"model.kind is {kind!r}; allowed: {', '.join(MODELS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[kind](latent=latent, beta=beta)
