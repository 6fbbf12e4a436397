"""How fast this machine trains: small networks at several batch sizes, and one with much arithmetic in a step.

A step of ``m`` multiply-accumulates takes ``step + 6 m / R``: for each network both are the least squares fit, by relative
error, over its batch sizes. The networks are plain examples of their kinds (1-D and 2-D convolutions with normalisation), not
those of any app. PyTorch uses as many threads as it is told; several are timed by the wall clock, one by its CPU seconds.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from emulator.compute.probes import Clock, median_s
from emulator.compute.rates import INFER_FLOP_PER_MAC, TRAIN_FLOP_PER_MAC

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCHES: Final = (8, 16, 32, 64, 128)
LARGE_BATCH: Final = 16
AVERAGE_BATCH: Final = 16


@dataclass(frozen=True)
class TrainingSpeed:
    """What the probe found; multiply-accumulates are those of the forward pass, rates in FLOP/s.

    Attributes:
        step_s: An optimiser step without its arithmetic.
        infer_step_s: A batch inferred without its arithmetic.
        small_macs: Arithmetic of a step at which ``small_flops`` was found (geometric mean over networks and batches).
        small_flops: Rate of the arithmetic of small networks.
        average_flops: Rate of small networks at batch 16, steps included.
        large_macs: Arithmetic of a step of the large network.
        large_flops: Its rate, the step included.
    """

    step_s: float
    infer_step_s: float
    small_macs: float
    small_flops: float
    average_flops: float
    large_macs: float
    large_flops: float


def measure_training(threads: int) -> TrainingSpeed:
    """Return how fast this machine trains with ``threads`` threads; takes about half a minute."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _measure(time.process_time if threads == 1 else time.perf_counter)
    finally:
        torch.set_num_threads(before)


def fit_step(macs: list[float], seconds: list[float], flop_per_mac: float) -> tuple[float, float]:
    """Return (seconds of an empty step, FLOP/s) of the line through the points that is nearest by relative error."""
    weights = 1 / np.array(seconds)
    columns = np.stack([weights, flop_per_mac * np.array(macs) * weights], axis=1)
    (step_s, flop_s), *_ = np.linalg.lstsq(columns, np.ones(len(seconds)), rcond=None)
    return max(0.0, float(step_s)), 1 / max(float(flop_s), 1e-15)


def _measure(clock: Clock) -> TrainingSpeed:
    training, inference, all_macs, average = [], [], [], []
    for make in (_signal_network, _image_network):
        network, shape = make()
        per_sample = _macs(network, shape)
        macs = [batch * per_sample for batch in BATCHES]
        train_s = [
            median_s(_train_step(network, batch, shape), least=7, budget_s=0.5, clock=clock) for batch in BATCHES
        ]
        infer_s = [
            median_s(_infer_step(network, batch, shape), least=7, budget_s=0.25, clock=clock) for batch in BATCHES
        ]
        training.append(fit_step(macs, train_s, TRAIN_FLOP_PER_MAC))
        inference.append(fit_step(macs, infer_s, INFER_FLOP_PER_MAC))
        average.append(TRAIN_FLOP_PER_MAC * AVERAGE_BATCH * per_sample / train_s[BATCHES.index(AVERAGE_BATCH)])
        all_macs += macs
    network, shape = _large_network()
    large_macs = LARGE_BATCH * _macs(network, shape)
    large_s = median_s(_train_step(network, LARGE_BATCH, shape), least=3, budget_s=3.0, clock=clock)
    mean = statistics.geometric_mean
    return TrainingSpeed(
        step_s=statistics.fmean(step for step, _ in training),
        infer_step_s=statistics.fmean(step for step, _ in inference),
        small_macs=mean(all_macs),
        small_flops=mean([rate for _, rate in training]),
        average_flops=mean(average),
        large_macs=large_macs,
        large_flops=TRAIN_FLOP_PER_MAC * large_macs / large_s,
    )


def _signal_network() -> tuple[nn.Module, tuple[int, ...]]:
    """Return an auto-encoder of 1-D convolutions over 256 samples: four halvings, four doublings, normalised."""
    from torch import nn

    widths = (1, 16, 16, 32, 32)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Conv1d(inputs, outputs, 5, 2, 2), nn.BatchNorm1d(outputs), nn.ReLU()]
    for inputs, outputs in itertools.pairwise(reversed(widths)):
        layers += [nn.Upsample(scale_factor=2), nn.Conv1d(inputs, outputs, 5, 1, 2), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-2]), (1, 256)


def _image_network() -> tuple[nn.Module, tuple[int, ...]]:
    """Return a classifier of 28 x 28 images: three blocks of two normalised convolutions, and a dense layer."""
    from torch import nn

    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise((1, 8, 16, 32)):
        for first in (inputs, outputs):
            layers += [nn.Conv2d(first, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 9, 10)), (1, 28, 28)


def _large_network() -> tuple[nn.Module, tuple[int, ...]]:
    """Return two residual-size convolutions of 64 channels over 32 x 32 pixels, with normalisation."""
    from torch import nn

    layers = [nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()]
    layers += [nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()] * 2
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), (3, 32, 32)


def _macs(network: nn.Module, shape: tuple[int, ...]) -> float:
    """Return the multiply-accumulates of one forward pass over one sample: dense layers and convolutions."""
    import torch
    from torch import nn

    total = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += output.numel() * layer.in_features
        elif isinstance(layer, (nn.Conv1d, nn.Conv2d)):
            total += output.numel() * layer.in_channels * math.prod(layer.kernel_size)

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    with torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return float(total)


def _train_step(network: nn.Module, batch: int, shape: tuple[int, ...]) -> Callable[[], None]:
    """Return one step of Adam on random data, as an action."""
    import torch

    network.train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    data = torch.randn(batch, *shape)

    def step() -> None:
        loss = network(data).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()

    return step


def _infer_step(network: nn.Module, batch: int, shape: tuple[int, ...]) -> Callable[[], None]:
    """Return one batch inferred, as an action."""
    import torch

    network.eval()
    data = torch.randn(batch, *shape)

    def infer() -> None:
        with torch.no_grad():
            network(data)

    return infer
