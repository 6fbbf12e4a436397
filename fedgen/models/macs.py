# SPDX-License-Identifier: Apache-2.0
"""How much arithmetic and memory a model takes, computed from its layers and not measured."""

import torch
from torch import Tensor, nn

from fedgen.data.windows import RHYTHM_FEATURES, WINDOW_SAMPLES
from fedgen.models.base import AnomalyModel, BeatBatch

FLOAT_BYTES = 4
ADAM_COPIES = 4
"""Weights, gradients, and the two moments of Adam."""


def blank_batch(beats: int) -> BeatBatch:
    """Return a batch of zeros, for walking through a model."""
    window = torch.zeros(beats, WINDOW_SAMPLES)
    return BeatBatch(window, window, torch.zeros(beats, RHYTHM_FEATURES))


def layer_macs(layer: nn.Module, output: Tensor) -> int:
    """Return the multiply-accumulates that a layer took to make an output.

    Linear: outputs x inputs. Convolution: output values x (input channels / groups) x kernel size.
    Biases, activations and upsampling count as nothing, as is usual.

    Args:
        layer: The layer.
        output: What it returned.
    """
    if isinstance(layer, nn.Linear):
        return output.numel() * layer.in_features
    if isinstance(layer, nn.Conv1d):
        return output.numel() * (layer.in_channels // layer.groups) * layer.kernel_size[0]
    return 0


def _walk(model: AnomalyModel) -> tuple[int, int]:
    """Score one blank beat; return multiply-accumulates and the number of values the layers gave."""
    totals = [0, 0]

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        totals[0] += layer_macs(layer, output)
        totals[1] += output.numel()

    layers = [module for module in model.modules() if not any(module.children())]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            model.errors(blank_batch(1))
    finally:
        for hook in hooks:
            hook.remove()
    return totals[0], totals[1]


def macs_per_beat(model: AnomalyModel) -> int:
    """Return the multiply-accumulates of one forward pass over one beat."""
    return _walk(model)[0]


def activations_per_beat(model: AnomalyModel) -> int:
    """Return how many values all layers give for one beat: what training keeps for the backward pass."""
    return _walk(model)[1]


def data_bytes(beats: int) -> int:
    """Return the size of prepared beats in memory: window, template and rhythm features of each."""
    return FLOAT_BYTES * beats * (2 * WINDOW_SAMPLES + RHYTHM_FEATURES)


def parameter_bytes(model: AnomalyModel) -> int:
    """Return the size of a model's weights."""
    return FLOAT_BYTES * sum(parameter.numel() for parameter in model.parameters())


def training_memory_bytes(model: AnomalyModel, beats: int, batch_size: int) -> int:
    """Estimate the most memory that training takes, without the process itself.

    Data arrays + parameters x (weights, gradients, two Adam moments) + one batch's activations twice
    (values and their gradients), all in 32-bit floats.

    Args:
        model: The model.
        beats: Beats held in memory.
        batch_size: Beats per step.

    Returns:
        Bytes. Left out: Python, torch, scratch space of the convolution kernels.
    """
    activations = 2 * min(batch_size, beats) * activations_per_beat(model)
    return data_bytes(beats) + ADAM_COPIES * parameter_bytes(model) + FLOAT_BYTES * activations


def scoring_memory_bytes(model: AnomalyModel, beats: int, batch_size: int) -> int:
    """Estimate the most memory that scoring takes: data arrays, weights, one batch's activations.

    Args:
        model: The model.
        beats: Beats held in memory.
        batch_size: Beats scored at a time.

    Returns:
        Bytes. An upper bound: a layer's values may be dropped once the next layer has read them.
    """
    activations = min(batch_size, beats) * activations_per_beat(model)
    return data_bytes(beats) + parameter_bytes(model) + FLOAT_BYTES * activations
