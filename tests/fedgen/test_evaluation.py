# SPDX-License-Identifier: Apache-2.0
"""Metrics against scikit-learn; thresholds and scores against closed forms."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgen.data import aami
from fedgen.evaluation import metrics, scores, thresholds

sklearn_metrics = pytest.importorskip("sklearn.metrics")


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 300), steps=st.sampled_from([2, 5, 1000]))
@settings(max_examples=60, deadline=None)
def test_metrics_equal_scikit_learn(seed: int, count: int, steps: int) -> None:
    random = np.random.default_rng(seed)
    values = np.round(random.standard_normal(count) * steps) / steps
    positive = random.random(count) < 0.3
    positive[:2] = [True, False]
    assert metrics.auroc(values, positive) == pytest.approx(sklearn_metrics.roc_auc_score(positive, values))
    assert metrics.auprc(values, positive) == pytest.approx(sklearn_metrics.average_precision_score(positive, values))
    threshold = float(np.median(values))
    got = metrics.at_threshold(values, positive, threshold)
    called = values > threshold
    assert got["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(positive, called))
    assert got["recall"] == pytest.approx(sklearn_metrics.recall_score(positive, called))
    assert got["f1"] == pytest.approx(sklearn_metrics.f1_score(positive, called))
    if called.any():
        assert got["precision"] == pytest.approx(sklearn_metrics.precision_score(positive, called))
    else:
        assert "precision" not in got


def test_undefined_measures_are_left_out() -> None:
    values = np.array([0.0, 1.0])
    only_normal = metrics.task_metrics(values, np.array([aami.N, aami.N], dtype=np.int8), 5.0)
    assert only_normal == {"svf.accuracy": 1.0, "v.accuracy": 1.0}
    only_s = metrics.task_metrics(values, np.array([aami.N, aami.S], dtype=np.int8), None)
    assert only_s == {"svf.auroc": 1.0, "svf.auprc": 1.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.task_metrics(np.zeros(0), np.zeros(0, dtype=np.int8), 1.0) == {}


def test_tasks_leave_out_other_classes() -> None:
    classes = np.array([aami.N, aami.N, aami.V, aami.S, aami.F], dtype=np.int8)
    got = metrics.task_metrics(np.array([0.0, 1.0, 2.0, -1.0, -1.0]), classes, 1.5)
    assert got["v.auroc"] == 1.0
    assert got["v.f1"] == 1.0
    assert got["svf.auroc"] == pytest.approx(2 / 6)
    assert got["svf.recall"] == pytest.approx(1 / 3)


def test_ranking_measures_need_both_kinds() -> None:
    with pytest.raises(ValueError, match=r"positives"):
        metrics.auroc(np.zeros(3), np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match=r"positives"):
        metrics.auprc(np.zeros(3), np.zeros(3, dtype=bool))


@given(values=st.lists(st.floats(-3.9, 11.9), min_size=30, max_size=400), share=st.floats(0.05, 0.95))
def test_threshold_is_within_a_bin_of_the_true_quantile(values: list[float], share: float) -> None:
    array = np.asarray(values)
    got = thresholds.quantile_of(thresholds.histogram(array), share)
    below = np.sort(array)[max(0, int(np.ceil(share * len(array))) - 1)]
    assert abs(got - below) <= 0.1 + 1e-9


def test_histograms_combine_as_if_scores_were_pooled() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(0, 2, 100 + 50 * i) for i in range(4)]
    combined = thresholds.combine([thresholds.histogram(part) for part in parts])
    assert combined == thresholds.histogram(np.concatenate(parts))
    assert sum(combined) == sum(len(part) for part in parts)


def test_scores_beyond_the_bins_are_counted() -> None:
    counts = thresholds.histogram(np.array([-100.0, 100.0]))
    assert counts[0] == 1
    assert counts[-1] == 1


def test_bad_histograms_are_refused() -> None:
    good = thresholds.histogram(np.zeros(3))
    for bad in ([], [good, good[:-1]], [[-1, *good[1:]]]):
        with pytest.raises(ValueError, match=r"counts"):
            thresholds.combine(bad)
    with pytest.raises(ValueError, match=r"at least one"):
        thresholds.quantile_of([0] * 160, 0.5)


def test_score_is_zero_for_the_usual_beat_and_grows_with_error_and_prematurity() -> None:
    errors = np.array([2.0, 2.0, 2.0, 2.0 * np.e, 2.0])
    rhythm = np.zeros((5, 3), dtype=np.float32)
    rhythm[4, 0] = np.log(0.7)
    rhythm[0, :2] = np.log([1.5, 0.8])
    rhythm[1, 1] = np.log(1.4)
    got = scores.anomaly_scores(errors, rhythm)
    np.testing.assert_allclose(got, [0, 2 * np.log(1.4), 0, 1, -5 * np.log(0.7)], atol=1e-6)


def test_scores_do_not_depend_on_the_patients_scale() -> None:
    errors = np.random.default_rng(3).uniform(0.5, 2.0, 50)
    rhythm = np.zeros((50, 3), dtype=np.float32)
    np.testing.assert_allclose(
        scores.anomaly_scores(errors, rhythm), scores.anomaly_scores(9 * errors, rhythm), atol=1e-12
    )


def test_scores_calibrate_on_the_first_300_beats_only() -> None:
    errors = np.ones(600)
    later = errors.copy()
    later[300:] = 50.0
    rhythm = np.zeros((600, 3), dtype=np.float32)
    assert (scores.anomaly_scores(later, rhythm)[:300] == 0.0).all()
