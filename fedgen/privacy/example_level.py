# SPDX-License-Identifier: Apache-2.0
"""Differential privacy for one heart beat of a clinic: DP-SGD, and noised counts of scores.

What touches the data of a beat, and how it is paid for:

- the training: DP-SGD on beats after each patient's first 300 (the calibration beats);
- the threshold: counts of the scores of the same beats between a few public edges, with Gaussian noise (`score_tail`); one
  beat changes one count by one. Their share of the budget is a tenth;
- template, scale and usual error of a patient: computed from the calibration beats only, which are not trained on and not
  counted. The guarantee does not cover them;
- the number of beats of a clinic, and the settings: taken as public. Learning rate and the like were not chosen on the data;
- the rhythm features of a beat: part of the example. They are made from the intervals around it, so that a neighbouring beat
  knows a little of it; the unit is the prepared example.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from flwr.app import ArrayRecord
from numpy.typing import NDArray

from fedgen import task
from fedgen.config import AppConfig
from fedgen.data import aami
from fedgen.data.partition import patients_of_client
from fedgen.data.sources import DataSource
from fedgen.data.windows import CALIBRATION_BEATS, PreparedPatient
from fedgen.evaluation.scores import anomaly_scores, reconstruction_errors, usual_error
from fedgen.evaluation.thresholds import histogram
from fedgen.models import AnomalyModel
from fedgen.models.macs import macs_per_beat, training_memory_bytes
from fedgen.privacy.accounting import Rdp, Release, calibrate, rdp_of
from fedgen.privacy.budget import Account, checked_delta, spend
from fedgen.privacy.dp_sgd import DpSgdPlan, train_privately
from fedgen.privacy.entropy import fresh_generator, fresh_seed
from fedgen.privacy.frame import Call
from fedgen.privacy.score_tail import noise_of_counts, noised_shares
from fedgen.privacy.vectors import Vector
from fedgen.work import WorkReport


@dataclass(frozen=True)
class ProtectedPatient:
    """One patient's beats in two parts: `calibration` makes template and scale, `protected` is trained on."""

    calibration: PreparedPatient
    protected: PreparedPatient


@dataclass(frozen=True)
class ExampleResult:
    """What one clinic's private training gives.

    Attributes:
        weights: After training.
        shares: Noisy shares of scores above each bin.
        account: What the clinic has released so far.
        delta: Delta of its guarantee.
        examples: Number of its examples, which is public.
        work: What the call did.
    """

    weights: ArrayRecord
    shares: Vector
    account: Account
    delta: float
    examples: int
    work: WorkReport


def protected_patients(
    source: DataSource, config: AppConfig, partition: int, partitions: int
) -> list[ProtectedPatient]:
    """Return one client's patients; of the protected beats as many as the configuration asks for."""
    result = []
    for name in patients_of_client(source.train_patients(partitions), partition, partitions):
        whole = source.prepared(name)
        beats = np.arange(len(whole.classes), dtype=np.int64)
        later = whole.chosen(beats[CALIBRATION_BEATS:])
        chosen = task.choose_beats(later, config.data_max_beats_per_patient)
        result.append(ProtectedPatient(whole.chosen(beats[:CALIBRATION_BEATS]), chosen))
    return result


def releases_of_round(config: AppConfig, examples: int, delta: float, noise: float) -> tuple[Release, ...]:
    """Return what one round of a clinic releases."""
    batch = min(config.training_batch_size, examples)
    steps = config.training_epochs * -(-examples // batch)
    return Release(noise, batch / examples, steps), Release(noise_of_counts(config, delta), 1.0, 1)


def training_noise(config: AppConfig, examples: int, delta: float) -> float:
    """Return the noise of the training: as set, or the least that keeps the budget over all rounds."""
    if config.privacy_example_noise >= 0.0:
        return config.privacy_example_noise
    return calibrate(config.privacy_example_epsilon, delta, partial(_rdp_of_run, config, examples, delta))


def _rdp_of_run(config: AppConfig, examples: int, delta: float, noise: float) -> Rdp:
    return config.num_server_rounds * rdp_of(releases_of_round(config, examples, delta, noise))


def train_examples(call: Call, sent: ArrayRecord, patients: list[ProtectedPatient]) -> ExampleResult:
    """Run one clinic's part of a round under its budget.

    Raises:
        BudgetExhausted: The round does not fit the clinic's budget; nothing was trained.
        ConfigError: Delta is too large for the clinic's number of examples.
        ValueError: None of the protected beats is normal.
    """
    config = call.config
    beats = task.normal_beats([patient.protected for patient in patients])
    examples = len(beats)
    if examples == 0:
        raise ValueError("no normal beats to train on after the calibration beats")
    delta = checked_delta(config.privacy_example_delta, examples, "example")
    noise = _noise_once(call, examples, delta)
    releases = releases_of_round(config, examples, delta, noise)
    budget = config.privacy_example_epsilon
    account = spend(call.context.state, releases, epsilon=budget, delta=delta)
    model = task.new_model(config)
    model.load_state_dict(sent.to_torch_state_dict())
    plan = DpSgdPlan(
        noise, config.privacy_example_clip, releases[0].rate, releases[0].count, config.training_learning_rate
    )
    train_privately(model, beats, plan, seed=fresh_seed() >> 66)
    counts = np.sum([_score_counts(model, patient) for patient in patients], axis=0)
    shares = noised_shares(counts, releases[1].noise, fresh_generator())
    return ExampleResult(
        ArrayRecord(dict(model.state_dict())), shares, account, delta, examples, _work(model, patients, config, plan)
    )


def _noise_once(call: Call, examples: int, delta: float) -> float:
    """Return the training noise; calibrating takes a second, so the result is kept for the later rounds."""
    name = "privacy-noise"
    kept = call.context.state.metric_records.get(name)
    if kept is None:
        from flwr.app import MetricRecord

        kept = MetricRecord({"noise": training_noise(call.config, examples, delta)})
        call.context.state[name] = kept
    return float(kept["noise"])  # type: ignore[arg-type]


def _score_counts(model: AnomalyModel, patient: ProtectedPatient) -> NDArray[np.float64]:
    """Return the histogram of a patient's protected normal beats; only calibration beats decide the scale."""
    usual = usual_error(reconstruction_errors(model, patient.calibration))
    normal = patient.protected.chosen(np.flatnonzero(patient.protected.classes == aami.N).astype(np.int64))
    scores = anomaly_scores(reconstruction_errors(model, normal), normal.rhythm, usual)
    return np.array(histogram(scores), dtype=np.float64)


def _work(model: AnomalyModel, patients: list[ProtectedPatient], config: AppConfig, plan: DpSgdPlan) -> WorkReport:
    """Return the work of expected batches: the true sizes are secret, and so is the time they take."""
    kept = sum(len(patient.protected.classes) for patient in patients)
    normal = sum(int(np.sum(patient.protected.classes == aami.N)) for patient in patients)
    calibration = sum(len(patient.calibration.classes) for patient in patients)
    macs = macs_per_beat(model)
    batch = max(1, round(plan.rate * normal))
    plain = training_memory_bytes(model, kept + calibration, batch)
    gradients = 4 * batch * sum(weight.numel() for weight in model.parameters())
    return WorkReport(
        dp_train_macs=float(macs * normal * plan.rate * plan.steps),
        train_steps=float(plan.steps),
        infer_macs=float(macs * (normal + calibration)),
        infer_steps=float(2 * len(patients)),
        signal_samples=float(sum(patient.protected.raw_samples for patient in patients)),
        peak_memory_bytes=float(plain + gradients),
    )
