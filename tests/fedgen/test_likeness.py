# SPDX-License-Identifier: Apache-2.0
"""How alike beats are, against closed forms: discrepancies of normal laws, correlations of lines."""

import math

import numpy as np
import pytest

from fedgen.evaluation.likeness import discrepancy, generate, mean_correlation, mean_over_pairs, median_distance
from fedgen.models.conv_vae import ConvVae


@pytest.mark.parametrize(("shift", "width", "length"), [(0.0, 1.0, 1), (1.0, 1.0, 1), (0.7, 2.0, 3)])
def test_discrepancy_of_normal_laws_is_the_closed_form(shift: float, width: float, length: int) -> None:
    # E k(x, y) for x - y ~ N(m, 2 I): (w^2 / (w^2 + 2))^(d/2) exp(-||m||^2 / (2 (w^2 + 2)))
    random = np.random.default_rng(3)
    first, second = random.normal(size=(1500, length)), random.normal(size=(1500, length)) + shift
    scale = (width**2 / (width**2 + 2)) ** (length / 2)
    expected = 2 * scale * (1 - math.exp(-(length * shift**2) / (2 * (width**2 + 2))))
    assert discrepancy(first, second, width) == pytest.approx(expected, abs=0.035)  # three deviations


def test_discrepancy_is_unbiased_and_knows_no_order() -> None:
    random = np.random.default_rng(4)
    draws = [discrepancy(random.normal(size=(20, 2)), random.normal(size=(30, 2)), 1.0) for _ in range(400)]
    assert abs(float(np.mean(draws))) < 3 * float(np.std(draws)) / 20 + 1e-3
    assert min(draws) < 0 < max(draws)
    one, other = random.normal(size=(5, 2)), random.normal(size=(6, 2)) + 1
    assert discrepancy(one, other, 1.0) == pytest.approx(discrepancy(other[::-1], one, 1.0))
    assert mean_over_pairs([one, other, one], 1.0) == pytest.approx(
        (2 * discrepancy(one, other, 1.0) + discrepancy(one, one, 1.0)) / 3
    )


def test_correlation_of_rows() -> None:
    rising = np.arange(10.0)
    first = np.array([rising, rising, np.zeros(10)])
    second = np.array([3 * rising + 2, -rising, rising])
    assert mean_correlation(first, second) == pytest.approx(0.0)
    assert mean_correlation(first, first) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="do not correspond"):
        mean_correlation(first, second[:2])
    with pytest.raises(ValueError, match="flat beats"):
        mean_correlation(first[2:], second[2:])


def test_median_distance_of_a_line() -> None:
    assert median_distance(np.array([[0.0], [1.0], [3.0]])) == pytest.approx(2.0)


def test_generated_beats_follow_code_and_template() -> None:
    model = ConvVae()
    codes = np.random.default_rng(5).normal(size=(6, 8)).astype(np.float32)
    template = np.sin(np.linspace(0, 6, 128)).astype(np.float32)
    beats = generate(model, codes, template)
    assert beats.shape == (6, 128)
    np.testing.assert_array_equal(beats, generate(model, codes, template))
    assert not np.allclose(beats[0], beats[1])
    assert not np.allclose(beats, generate(model, codes, -template))
