# SPDX-License-Identifier: Apache-2.0
"""One client's training and one server's test, free of Flower: a round and a plain loop run the same code."""

import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fedgen.config import AppConfig
from fedgen.cores import usable_cores
from fedgen.data import aami
from fedgen.data.partition import patients_of_client
from fedgen.data.sources import DataSource
from fedgen.data.windows import PreparedPatient, spread_out
from fedgen.evaluation.metrics import task_metrics
from fedgen.evaluation.scores import SCORING_BATCH, anomaly_scores, reconstruction_errors, scoring_batches
from fedgen.evaluation.thresholds import histogram
from fedgen.models import AnomalyModel, BeatBatch, batch_of, build_model, concatenate
from fedgen.models.macs import macs_per_beat, scoring_memory_bytes, training_memory_bytes
from fedgen.privacy.kinds import parse_kind
from fedgen.privacy.model_form import private_form
from fedgen.work import WorkReport

StateDict = OrderedDict[str, Tensor]


@dataclass(frozen=True)
class TrainResult:
    """What one client's training gives.

    Attributes:
        state: Weights after training.
        examples: Normal beats trained on: the client's weight in the average.
        train_loss: Mean loss over the last pass.
        score_counts: Histogram of the scores of the normal beats (`fedgen.evaluation.thresholds`).
        work: What the call did.
    """

    state: StateDict
    examples: int
    train_loss: float
    score_counts: list[int]
    work: WorkReport


def derived_seed(*parts: object) -> int:
    """Return a 63-bit seed that depends on all parts and on nothing else."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def new_model(config: AppConfig) -> AnomalyModel:
    """Return the model of a run with its initial weights, which follow from the run's seed.

    Raises:
        ConfigError: The model cannot be trained under the run's privacy mechanisms.
    """
    model = build_model(
        config.model_kind,
        latent=config.model_latent,
        beta=config.model_beta,
        seed=derived_seed("initial weights", config.seed),
    )
    return private_form(model) if "dp-example" in parse_kind(config.privacy_kind) else model


def choose_beats(patient: PreparedPatient, limit: int) -> PreparedPatient:
    """Return evenly spread beats of a patient, without those of unknown class (AAMI Q)."""
    known = np.flatnonzero(patient.classes != aami.Q).astype(np.int64)
    return patient.chosen(known[spread_out(len(known), limit)])


def client_patients(source: DataSource, config: AppConfig, partition: int, partitions: int) -> list[PreparedPatient]:
    """Return the patients of one client, with as many beats each as the configuration asks for."""
    names = patients_of_client(source.train_patients(partitions), partition, partitions)
    return [choose_beats(source.prepared(name), config.data_max_beats_per_patient) for name in names]


def test_patients(source: DataSource, config: AppConfig) -> list[PreparedPatient]:
    """Return the test patients, with as many beats each as the configuration asks for."""
    limit = config.data_test_beats_per_patient
    return [choose_beats(source.prepared(name), limit) for name in source.test_patients()]


def normal_beats(patients: list[PreparedPatient]) -> BeatBatch:
    """Return the beats annotated as normal, of all patients."""
    return concatenate(
        [batch_of(patient.chosen(np.flatnonzero(patient.classes == aami.N).astype(np.int64))) for patient in patients]
    )


def fit(model: AnomalyModel, beats: BeatBatch, config: AppConfig, generator: torch.Generator) -> float:
    """Train a model in place with Adam; the optimiser starts afresh on every call.

    Args:
        model: The model.
        beats: Beats to train on.
        config: Epochs, batch size and learning rate.
        generator: The only source of randomness: order of beats and latent noise.

    Returns:
        Mean loss per beat over the last epoch.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=config.training_learning_rate)
    model.train()
    mean_loss = 0.0
    for _ in range(config.training_epochs):
        total = 0.0
        order = torch.randperm(len(beats), generator=generator)
        for rows in torch.split(order, config.training_batch_size):
            loss = model.loss(beats.rows(rows), generator)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            total += loss.item() * len(rows)
        mean_loss = total / len(beats)
    model.eval()
    return mean_loss


def patient_scores(model: AnomalyModel, patient: PreparedPatient) -> NDArray[np.float64]:
    """Return the anomaly scores of one patient's beats, shape [beats]."""
    return anomaly_scores(reconstruction_errors(model, patient), patient.rhythm)


def train_client(
    state: StateDict, patients: list[PreparedPatient], config: AppConfig, *, partition: int, server_round: int
) -> TrainResult:
    """Run one client's part of one round.

    The result depends on the arguments only: randomness is derived from (seed, partition, round), and
    neither the process's random state nor earlier calls matter.

    Args:
        state: Global weights.
        patients: The client's patients.
        config: Settings of the run.
        partition: Number of the client.
        server_round: Number of the round.

    Returns:
        New weights, weight in the average, score histogram and work done.

    Raises:
        ValueError: None of the chosen beats is normal.
    """
    model = new_model(config)
    model.load_state_dict(state)
    beats = normal_beats(patients)
    if len(beats) == 0:
        raise ValueError(f"client {partition} has no normal beats to train on")
    generator = torch.Generator().manual_seed(derived_seed(config.seed, partition, server_round))
    train_loss = fit(model, beats, config, generator)
    scores = [patient_scores(model, patient)[patient.classes == aami.N] for patient in patients]
    macs, scored = macs_per_beat(model), sum(len(patient.classes) for patient in patients)
    return TrainResult(
        state=OrderedDict(model.state_dict()),
        examples=len(beats),
        train_loss=train_loss,
        score_counts=histogram(np.concatenate(scores)),
        work=WorkReport(
            train_macs=float(macs * len(beats) * config.training_epochs),
            train_steps=float(-(-len(beats) // config.training_batch_size) * config.training_epochs),
            infer_macs=float(macs * scored),
            infer_steps=float(scoring_batches(patients)),
            signal_samples=float(sum(patient.raw_samples for patient in patients)),
            peak_memory_bytes=float(training_memory_bytes(model, scored, config.training_batch_size)),
        ),
    )


def _errors_of(model: AnomalyModel, patients: list[PreparedPatient]) -> list[NDArray[np.float64]]:
    """Return every patient's reconstruction errors, computed by a thread a core.

    A patient is one piece of work and each thread computes alone, so the errors do not depend on how many there are.
    """
    with ThreadPoolExecutor(usable_cores(), initializer=torch.set_num_threads, initargs=(1,)) as threads:
        return list(threads.map(reconstruction_errors, repeat(model), patients))


def evaluate(
    model: AnomalyModel, patients: list[PreparedPatient], threshold: float | None
) -> tuple[dict[str, float], WorkReport]:
    """Score patients and measure detection over all of them and for each.

    Args:
        model: The model.
        patients: Patients with labelled beats.
        threshold: Scores above it count as abnormal; None leaves out what needs one.

    Returns:
        Metrics, and the work of scoring. Keys: `loss` (mean error of normal beats), `threshold`,
        `svf.auroc` and so on over all patients, `patient.100.svf.auroc` and so on for each.
    """
    errors = _errors_of(model, patients)
    scores = [anomaly_scores(error, patient.rhythm) for error, patient in zip(errors, patients, strict=True)]
    classes = np.concatenate([patient.classes for patient in patients])
    result = {"loss": float(np.mean(np.concatenate(errors)[classes == aami.N]))}
    if threshold is not None:
        result["threshold"] = threshold
    result.update(task_metrics(np.concatenate(scores), classes, threshold))
    for patient, own in zip(patients, scores, strict=True):
        measured = task_metrics(own, patient.classes, threshold)
        result.update({f"patient.{patient.patient}.{key}": value for key, value in measured.items()})
    work = WorkReport(
        infer_macs=float(macs_per_beat(model) * len(classes)),
        infer_steps=float(scoring_batches(patients)),
        peak_memory_bytes=float(scoring_memory_bytes(model, len(classes), SCORING_BATCH)),
    )
    return result, work
