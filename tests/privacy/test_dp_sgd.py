# SPDX-License-Identifier: Apache-2.0
"""DP-SGD step by step: equal to plain training without noise, bounded with a clip, honest about empty draws."""

import copy

import pytest
import torch
from torch import nn

from fedgen import task
from fedgen.config import AppConfig
from fedgen.errors import ConfigError
from fedgen.models import AnomalyModel, BeatBatch
from fedgen.privacy import dp_sgd
from fedgen.privacy.dp_sgd import DpSgdPlan, train_privately
from fedgen.privacy.model_form import is_dense, private_form


class DenseModel(AnomalyModel):
    """Two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(131, 24), nn.Linear(24, 128)

    def losses(self, batch: BeatBatch, generator: torch.Generator) -> torch.Tensor:
        hidden = torch.relu(self.first(torch.cat([batch.beats, batch.rhythm], dim=1)))
        return (self.second(hidden) - batch.beats).square().sum(dim=1)

    def errors(self, batch: BeatBatch) -> torch.Tensor:
        return self.losses(batch, torch.Generator())


class Normed(DenseModel):
    """Its normalisation mixes examples."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(24)


class Recurrent(DenseModel):
    """Its layer has no gradient per example."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.GRU(4, 4)


def beats(count: int, seed: int = 0) -> BeatBatch:
    generator = torch.Generator().manual_seed(seed)
    return BeatBatch(*(torch.randn(count, width, generator=generator) for width in (128, 128, 3)))


def dense() -> DenseModel:
    torch.manual_seed(3)
    return DenseModel()


def distance(one: nn.Module, other: nn.Module) -> float:
    return max((a - b).abs().max().item() for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("make", [lambda: task.new_model(AppConfig()), dense])
def test_no_noise_and_no_clip_is_plain_training(make) -> None:  # type: ignore[no-untyped-def]
    batch, private, plain = beats(40), make(), make()
    train_privately(private, batch, DpSgdPlan(0.0, 1e9, 1.0, 3, 0.002), seed=5)
    optimiser, latent = torch.optim.Adam(plain.parameters(), lr=0.002), torch.Generator().manual_seed(6)
    for _ in range(3):
        optimiser.zero_grad()
        plain.loss(batch, latent).backward()
        optimiser.step()
    assert distance(private, plain) < 2e-5


def test_ghost_clipping_is_clipping(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, ghost = DpSgdPlan(1.0, 0.5, 0.4, 6, 0.01), dense()
    hooks = copy.deepcopy(ghost)
    assert is_dense(ghost)
    assert not is_dense(task.new_model(AppConfig()))
    train_privately(ghost, beats(50), plan, seed=8)
    monkeypatch.setattr(dp_sgd, "is_dense", lambda model: False)
    train_privately(hooks, beats(50), plan, seed=8)
    assert distance(ghost, hooks) < 1e-5


def gradients(
    model: AnomalyModel, batch: BeatBatch, plan: DpSgdPlan, monkeypatch: pytest.MonkeyPatch
) -> list[torch.Tensor]:
    """Return the flat gradient of each step."""
    kept: list[torch.Tensor] = []
    plain_step = torch.optim.Adam.step

    def step(self, closure=None):  # type: ignore[no-untyped-def]
        kept.append(torch.cat([p.grad.flatten().clone() for group in self.param_groups for p in group["params"]]))
        return plain_step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    train_privately(model, batch, plan, seed=8)
    return kept


@pytest.mark.parametrize("make", [lambda: task.new_model(AppConfig()), dense])
def test_one_example_moves_a_step_by_no_more_than_the_clip(make, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    one = beats(1)
    extreme = BeatBatch(one.beats * 1e3, one.templates, one.rhythm)
    plan = DpSgdPlan(0.0, 0.7, 1.0, 1, 0.002)
    (gradient,) = gradients(make(), extreme, plan, monkeypatch)
    assert gradient.norm().item() <= 0.7 * (1 + 1e-5)
    assert gradient.norm().item() > 0.69


@pytest.mark.parametrize("make", [lambda: task.new_model(AppConfig()), dense])
def test_an_empty_draw_is_a_step_of_pure_noise(make, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    plan = DpSgdPlan(2.0, 0.5, 1e-9, 4, 0.002)
    steps = gradients(make(), beats(100), plan, monkeypatch)
    assert len(steps) == 4
    for gradient in steps:
        assert gradient.std().item() * 1e-9 * 100 == pytest.approx(2.0 * 0.5, rel=0.05)


def test_what_mixes_examples_is_replaced_or_refused() -> None:
    fixed = private_form(Normed())
    assert isinstance(fixed.norm, nn.GroupNorm)
    with pytest.raises(ConfigError, match=r"layer 'memory' is nn\.GRU; use opacus\.layers\.DPGRU"):
        private_form(Recurrent())
    plain = task.new_model(AppConfig())
    assert [tuple(p.shape) for p in private_form(plain).parameters()] == [tuple(p.shape) for p in plain.parameters()]
