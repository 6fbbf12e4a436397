"""The verdict on a live run: each criterion at its limit, and the worst one counts."""

import pytest

from emulator.backends.live.fidelity import judge
from emulator.backends.live.lateness import Lateness

GOOD = {
    "timer": {"what": "timer", "p99_s": 0.0004},
    "machine": {"what": "machine", "busy_s": 50.0, "own_cpu_s": 48.0, "steal_s": 0.1, "total_s": 100.0},
    "relay": {
        "what": "relay", "lateness": {"p99_s": 0.0003, "count": 5000},
        "directions": [{
            "link": "a", "direction": "up", "delivered": 5000, "late": 10, "refused": 0, "lost_packets": 48,
            "expected_losses": 50.0, "loss_variance": 49.5,
        }],
    },
    "held": {"what": "held", "late_s": 0.0},
    "ended": {"what": "ended", "interfaces": {"w0l": {"send_drops": 0}}},
}  # fmt: skip


def verdict(**changes) -> str:
    rows = {name: {**row, **changes.get(name, {})} for name, row in GOOD.items()}
    return judge(rows.values()).verdict


def direction(**changes) -> dict:
    return {"directions": [{**GOOD["relay"]["directions"][0], **changes}]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "VALID"),
        ({"timer": {"p99_s": 0.0011}}, "SUSPECT"),
        ({"timer": {"p99_s": 0.0051}}, "INVALID"),
        ({"relay": direction(late=51)}, "INVALID"),
        ({"relay": direction(refused=1)}, "INVALID"),
        ({"relay": direction(lost_packets=80)}, "INVALID"),
        ({"ended": {"interfaces": {"w0l": {"send_drops": 3}}}}, "INVALID"),
        ({"machine": {"steal_s": 1.1}}, "INVALID"),
        ({"machine": {"own_cpu_s": 30.0}}, "SUSPECT"),
        ({"machine": {"own_cpu_s": 5.0}}, "INVALID"),
        ({"held": {"late_s": 2.0}}, "SUSPECT"),
    ],
)
def test_each_criterion_has_its_limit(changes, expected):
    assert verdict(**changes) == expected


def test_a_run_without_a_timers_figures_is_invalid_and_says_why():
    fidelity = judge([GOOD["machine"]])
    assert fidelity.verdict == "INVALID"
    assert "timer" in fidelity.reasons[0]


def test_lateness_quantiles_are_right_within_a_tenth():
    lateness = Lateness()
    for k in range(1, 1001):
        lateness.add(k * 1e-5)
    assert lateness.quantile_s(0.5) == pytest.approx(5e-3, rel=0.1)
    assert lateness.quantile_s(0.99) == pytest.approx(9.9e-3, rel=0.1)
    assert lateness.worst_s == pytest.approx(0.01)
