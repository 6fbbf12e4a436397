# SPDX-License-Identifier: Apache-2.0
"""The model, its cost figures, and training that repeats bit by bit."""

import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fedgen import task
from fedgen.config import AppConfig
from fedgen.data.simulated import simulate
from fedgen.data.windows import prepare
from fedgen.errors import ConfigError
from fedgen.evaluation.metrics import auroc
from fedgen.models import MODELS, AnomalyModel, BeatBatch, batch_of, build_model, concatenate
from fedgen.models.conv_vae import ConvVae
from fedgen.models.macs import (
    activations_per_beat,
    blank_batch,
    layer_macs,
    macs_per_beat,
    scoring_memory_bytes,
    training_memory_bytes,
)

CONFIG = AppConfig(data_max_beats_per_patient=100, training_epochs=2)


@pytest.fixture(scope="module")
def batch() -> BeatBatch:
    """Return the beats of one simulated patient."""
    return batch_of(prepare(simulate(5, "model", duration_s=60.0)))


@pytest.fixture
def model() -> AnomalyModel:
    """Return a new model."""
    return build_model("conv-vae", latent=8, beta=1.0, seed=3)


def test_shapes_and_size(model: AnomalyModel, batch: BeatBatch) -> None:
    assert isinstance(model, ConvVae)
    seen = model(batch)
    assert seen.beats.shape == batch.beats.shape
    assert seen.rhythm.shape == batch.rhythm.shape
    assert seen.latent_mean.shape == seen.latent_log_variance.shape == (len(batch), 8)
    assert model.errors(batch).shape == (len(batch),)
    assert 50_000 <= sum(parameter.numel() for parameter in model.parameters()) <= 250_000


def test_initial_weights_follow_from_the_seed_and_leave_the_process_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    first, second, other = (build_model("conv-vae", latent=8, beta=1.0, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.state_dict()["joint.weight"], other.state_dict()["joint.weight"])


def test_unknown_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.kind is 'gan'; allowed: conv-vae"):
        build_model("gan", latent=8, beta=1.0, seed=0)


def test_loss_is_the_formula(batch: BeatBatch) -> None:
    for beta in (0.0, 2.5):
        model = build_model("conv-vae", latent=4, beta=beta, seed=0)
        got = model.loss(batch, torch.Generator().manual_seed(9))
        seen = model(batch, torch.Generator().manual_seed(9))
        posterior = torch.distributions.Normal(seen.latent_mean, torch.exp(0.5 * seen.latent_log_variance))
        divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
        beat = (batch.beats - seen.beats).square().sum(1) / 2.0
        rhythm = (batch.rhythm - seen.rhythm).square().sum(1) / (2.0 * 0.3**2)
        expected = (beat + rhythm + beta * divergence.sum(1)).mean()
        assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_errors_draw_nothing_and_do_not_mix_beats(model: AnomalyModel, batch: BeatBatch) -> None:
    with torch.no_grad():
        whole = model.errors(batch)
        parts = torch.cat([model.errors(batch.rows(slice(i, i + 7))) for i in range(0, len(batch), 7)])
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(MODELS))
@pytest.mark.parametrize("latent", [2, 8, 33])
def test_macs_equal_torchs_flop_counter(kind: str, latent: int) -> None:
    model = build_model(kind, latent=latent, beta=1.0, seed=0)
    for beats in (1, 5):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.errors(blank_batch(beats))
        assert 2 * beats * macs_per_beat(model) == counter.get_total_flops()


def test_macs_of_single_layers_are_the_closed_forms() -> None:
    linear, grouped = nn.Linear(10, 4), nn.Conv1d(6, 9, 5, stride=2, groups=3)
    assert layer_macs(linear, linear(torch.zeros(1, 10))) == 40
    output = grouped(torch.zeros(1, 6, 21))
    assert output.shape[-1] == 9
    assert layer_macs(grouped, output) == 9 * 9 * 2 * 5
    assert layer_macs(nn.ReLU(), torch.zeros(1, 3)) == 0


def test_memory_estimate_grows_with_what_it_counts(model: AnomalyModel) -> None:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    base = training_memory_bytes(model, 1000, 64)
    assert training_memory_bytes(model, 2000, 64) - base == 4 * 1000 * (2 * 128 + 3)
    assert training_memory_bytes(model, 1000, 65) - base == 4 * 2 * activations_per_beat(model)
    assert base > 16 * parameters
    assert training_memory_bytes(model, 10, 64) < base, "a batch is never larger than the data"
    scoring = scoring_memory_bytes(model, 1000, 64)
    assert base - scoring == 3 * 4 * parameters + 4 * 64 * activations_per_beat(model)


def test_training_lowers_the_loss_and_finds_premature_beats() -> None:
    patients = [task.choose_beats(prepare(simulate(1, f"p{i}", 300.0)), 0) for i in range(3)]
    model = task.new_model(CONFIG)
    state = OrderedDict(model.state_dict())
    losses = []
    for number in range(1, 4):
        result = task.train_client(state, patients, CONFIG, partition=0, server_round=number)
        state = result.state
        losses.append(result.train_loss)
    assert losses[2] < losses[1] < losses[0]
    assert result.examples == sum(int((patient.classes == 0).sum()) for patient in patients)
    assert sum(result.score_counts) == result.examples
    model.load_state_dict(state)
    unseen = task.choose_beats(prepare(simulate(1, "unseen", 300.0)), 0)
    assert auroc(task.patient_scores(model, unseen), unseen.classes != 0) > 0.95


def test_a_client_without_normal_beats_says_so() -> None:
    patient = prepare(simulate(1, "x", 60.0))
    abnormal = patient.chosen(np.flatnonzero(patient.classes != 0))
    with pytest.raises(ValueError, match=r"client 4 has no normal beats"):
        task.train_client(
            OrderedDict(task.new_model(CONFIG).state_dict()), [abnormal], CONFIG, partition=4, server_round=1
        )


def test_concatenated_batches_keep_their_rows(batch: BeatBatch) -> None:
    both = concatenate([batch.rows(slice(0, 3)), batch.rows(slice(3, 10))])
    assert torch.equal(both.beats, batch.beats[:10])
    assert torch.equal(both.templates, batch.templates[:10])


FRESH_PROCESS = """
import hashlib, sys
from collections import OrderedDict
import torch
torch.set_num_threads(1)
from fedgen import task
from fedgen.config import AppConfig
from fedgen.data.sources import SimulatedSource
config = AppConfig(data_max_beats_per_patient=60, seed=4)
if sys.argv[1] == "busy":
    torch.manual_seed(99); torch.rand(1000)
    other = task.client_patients(SimulatedSource(4), config, 1, 6)
    task.train_client(OrderedDict(task.new_model(config).state_dict()), other, config, partition=1, server_round=7)
patients = task.client_patients(SimulatedSource(4), config, 2, 6)
state = OrderedDict(task.new_model(config).state_dict())
result = task.train_client(state, patients, config, partition=2, server_round=3)
digest = hashlib.sha256(b"".join(value.numpy().tobytes() for value in result.state.values()))
print(digest.hexdigest(), result.train_loss, sum(result.score_counts))
"""


def test_training_repeats_bit_by_bit_in_fresh_processes() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    outputs = {
        subprocess.run(
            [sys.executable, "-c", FRESH_PROCESS, kind],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
        for kind in ("quiet", "busy")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().split()[0]) == 64


def test_training_depends_on_seed_client_and_round() -> None:
    patients = [task.choose_beats(prepare(simulate(1, "p", 60.0)), 40)]
    state = OrderedDict(task.new_model(CONFIG).state_dict())

    def trained(config: AppConfig, partition: int, server_round: int) -> bytes:
        result = task.train_client(state, patients, config, partition=partition, server_round=server_round)
        return result.state["joint.weight"].numpy().tobytes()

    base = trained(CONFIG, 0, 1)
    assert base == trained(CONFIG, 0, 1)
    assert base != trained(CONFIG, 1, 1)
    assert base != trained(CONFIG, 0, 2)
    assert base != trained(AppConfig(training_epochs=2, seed=2), 0, 1)
