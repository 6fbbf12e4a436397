# SPDX-License-Identifier: Apache-2.0
"""Training with one clipped gradient per example and noise: DP-SGD with Adam as the optimiser.

Each step draws every beat with the same chance (Poisson), clips each beat's gradient to a norm, adds noise to the sum and
divides by the expected number. A step whose draw is empty is taken too: its noise is part of what the accountant
counted. Convolutional models keep gradients per example (Opacus hooks); dense models take two backward passes instead
(ghost clipping).

Source: Abadi et al., "Deep learning with differential privacy", 2016; Li et al., "Large language models can be strong
differentially private learners", 2021 (ghost clipping).
"""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fedgen.models import AnomalyModel, BeatBatch
from fedgen.privacy.model_form import is_dense


@dataclass(frozen=True)
class DpSgdPlan:
    """How one call trains.

    Attributes:
        noise: Standard deviation of the noise over the clip; 0 for none.
        clip: Largest norm of one example's gradient.
        rate: Chance of an example to be in a step.
        steps: Steps.
        learning_rate: Of Adam.
    """

    noise: float
    clip: float
    rate: float
    steps: int
    learning_rate: float


def train_privately(model: AnomalyModel, beats: BeatBatch, plan: DpSgdPlan, *, seed: int) -> None:
    """Train a model in place.

    Args:
        model: The model, in private form (`fedgen.privacy.model_form`).
        beats: All examples of the clinic.
        plan: What to do.
        seed: Of draws, latent noise and the mechanism's noise: nobody else may know it.
    """
    sampling, latent, noise = (torch.Generator().manual_seed(seed + offset) for offset in range(3))
    stepper = (GhostStepper if is_dense(model) else HookStepper)(model, plan, len(beats), noise)
    model.train()
    try:
        for _ in range(plan.steps):
            drawn = torch.nonzero(torch.rand(len(beats), generator=sampling) < plan.rate).flatten()
            stepper.step(beats.rows(drawn), latent)
    finally:
        stepper.close()
    model.eval()


class HookStepper:
    """Steps with a gradient per example from Opacus' hooks."""

    def __init__(self, model: AnomalyModel, plan: DpSgdPlan, examples: int, noise: torch.Generator) -> None:
        """Put hooks on the model's layers and wrap Adam."""
        from opacus.grad_sample import GradSampleModule
        from opacus.optimizers import DPOptimizer

        self.model = model
        self.wrapped = GradSampleModule(model, loss_reduction="mean")
        self.optimiser = DPOptimizer(**_optimiser_settings(model, plan, examples, noise))

    def step(self, batch: BeatBatch, latent: torch.Generator) -> None:
        """Take one step."""
        self.optimiser.zero_grad()
        if len(batch):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of hooks on layers whose inputs need no gradient
                torch.autograd.backward(self.model.loss(batch, latent))
        for weight in self.model.parameters():
            if weight.grad_sample is None:  # type: ignore[attr-defined]
                weight.grad_sample = torch.zeros((len(batch), *weight.shape))  # type: ignore[attr-defined]
        self.optimiser.step()

    def close(self) -> None:
        """Take the hooks off."""
        self.wrapped.to_standard_module()


class GhostStepper:
    """Steps with ghost clipping: norms first, then one backward pass over the losses weighted by their clip factors."""

    def __init__(self, model: AnomalyModel, plan: DpSgdPlan, examples: int, noise: torch.Generator) -> None:
        """Put hooks on the model's layers and wrap Adam."""
        from opacus.grad_sample import GradSampleModuleFastGradientClipping
        from opacus.optimizers.optimizer_fast_gradient_clipping import DPOptimizerFastGradientClipping

        self.model = model
        self.wrapped = GradSampleModuleFastGradientClipping(
            model, loss_reduction="mean", max_grad_norm=plan.clip, use_ghost_clipping=True
        )
        self.optimiser = DPOptimizerFastGradientClipping(**_optimiser_settings(model, plan, examples, noise))

    def step(self, batch: BeatBatch, latent: torch.Generator) -> None:
        """Take one step."""
        from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

        self.optimiser.zero_grad()
        if len(batch):
            losses: Tensor = self.model.losses(batch, latent)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as above
                DPTensorFastGradientClipping(self.wrapped, self.optimiser, losses, "mean").backward()
        for weight in self.model.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        self.optimiser.step()

    def close(self) -> None:
        """Take the hooks off."""
        self.wrapped.to_standard_module()


def _optimiser_settings(model: AnomalyModel, plan: DpSgdPlan, examples: int, noise: torch.Generator) -> dict[str, Any]:
    return {
        "optimizer": torch.optim.Adam(model.parameters(), lr=plan.learning_rate),
        "noise_multiplier": plan.noise,
        "max_grad_norm": plan.clip,
        "expected_batch_size": plan.rate * examples,
        "loss_reduction": "mean",
        "generator": noise,
    }
