"""Comparing two runs: errors against hand-made tables, Kendall's tau against SciPy."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from emulator.metrics.compare import PHASES, Tolerance, beyond, compare_tables, errors_of, kendall_tau


def tables(*, latency_s: list[float], flow_bytes: int, loss: float = 0.5) -> dict[str, pd.DataFrame]:
    rounds = pd.DataFrame({"round": range(1, len(latency_s) + 1), "latency_s": latency_s, "participation": 1.0})
    for name in PHASES[1:]:
        rounds[name] = 0.1
    rounds["metric.loss"] = loss
    return {"rounds": rounds, "links": pd.DataFrame({"flow_bytes": [flow_bytes // 2, flow_bytes - flow_bytes // 2]})}


def test_equal_runs_do_not_differ():
    same = tables(latency_s=[10.0, 20.0], flow_bytes=1000)
    differences = compare_tables(same, same)
    assert errors_of(differences, "latency") == [0.0, 0.0]
    assert beyond(differences, Tolerance()) == []


def test_errors_count_against_the_second_run_and_name_what_is_too_far():
    differences = compare_tables(
        tables(latency_s=[11.5, 13.0], flow_bytes=1050, loss=0.6), tables(latency_s=[10.0, 10.0], flow_bytes=1000)
    )
    assert errors_of(differences, "latency") == pytest.approx([0.15, 0.30])
    assert errors_of(differences, "quality") == pytest.approx([0.2, 0.2])
    assert errors_of(differences, "phase") == [], "phases of a tenth of a second say nothing"
    assert beyond(differences, Tolerance()) == [
        "round latency: median error 22.5%, allowed 10%",
        "round latency: worst error 30.0%, allowed 25%",
        "bytes over all links: error 5.0%, allowed 2%",
    ]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=12))
def test_kendalls_tau_is_scipys(pairs):
    first, second = zip(*pairs, strict=True)
    if len(set(first)) == 1 or len(set(second)) == 1:
        with pytest.raises(ValueError, match="ties everything"):
            kendall_tau(first, second)
    else:
        assert kendall_tau(first, second) == pytest.approx(kendalltau(first, second).statistic)


def test_figures_closer_than_their_spread_are_ties():
    assert kendall_tau([10.0, 10.4, 30.0], [2.0, 1.0, 3.0]) < 1
    assert kendall_tau([10.0, 10.4, 30.0], [2.0, 2.0, 3.0], tie=[0.5, 0.5, 0.5]) == pytest.approx(1)
