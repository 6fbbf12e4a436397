"""Work to seconds, memory, and energy: closed forms and anchors."""

import pytest

from emulator.compute import WORK_UNITS, fits_memory, resolve_device, seconds
from emulator.models.energy import energy_j
from emulator.plan import Device


def device(name: str) -> Device:
    return resolve_device(name, {})[0]


def test_the_anchor_gives_back_its_own_measurement() -> None:
    # TinyCNN on a Pi 4: 1.12 MMAC forward; ms a sample measured at batch 16, and ms a step at batch 8 and 16 (two units each).
    pi = device("rpi_4b_4gb")
    assert seconds(pi, {"train_macs": 1.12e6}) == pytest.approx(3.40e-3, rel=0.01)
    for batch, low_s, high_s in ((8, 34.7e-3, 39.6e-3), (16, 54.4e-3, 60.6e-3)):
        assert low_s <= seconds(pi, {"train_macs": batch * 1.12e6, "train_steps": 1}) <= high_s
    # ResNet18 at batch 32: 525 ms a sample.
    assert seconds(pi, {"train_macs": 32 * 0.557e9, "train_steps": 1}) == pytest.approx(32 * 0.525, rel=0.01)


def test_utilisation_spans_what_was_measured_on_a_pi() -> None:
    """3 % of the 35.9 GFLOP/s peak for a tiny network, 18 % for a ResNet18; in between it only rises."""
    pi = device("rpi_4b_4gb")
    macs = [10.0**exponent for exponent in (5.5, 6, 6.5, 7, 8, 9, 10, 10.5, 11, 12)]
    used = [6 * m / seconds(pi, {"train_macs": m, "train_steps": 1}) / 35.9e9 for m in macs]
    assert used == sorted(used)
    assert used[0] < 0.03 < used[3] < 0.06  # 10 MMAC a step: TinyCNN at batch 8 measured 4 %
    assert used[-1] == pytest.approx(0.178, abs=0.001)


def test_a_step_without_arithmetic_costs_its_overhead() -> None:
    for name in ("rpi_4b_4gb", "phone_mid", "cloud_x86_8vcpu"):
        costs = device(name).seconds_per_unit
        assert seconds(device(name), {"train_macs": 0.0, "train_steps": 3.0}) == pytest.approx(3 * costs["train_steps"])
        assert costs["infer_steps"] == pytest.approx(costs["train_steps"] / 3)
    # 4 ms were measured on a core of the reference kind; the row comes from the Pi.
    assert device("cloud_x86_8vcpu").seconds_per_unit["train_steps"] == pytest.approx(4e-3, rel=0.2)


def test_training_costs_three_forward_passes() -> None:
    costs = device("rpi_5_8gb").seconds_per_unit
    assert costs["train_macs"] == pytest.approx(6 / 3.74e9)
    assert costs["infer_macs"] == pytest.approx(costs["train_macs"] / 3)
    assert costs["dp_train_macs"] == pytest.approx(4 * costs["train_macs"])


def test_devices_without_a_training_rate_scale_with_their_fp64_rate() -> None:
    assert device("rpi_3bplus").seconds_per_unit["train_macs"] == pytest.approx(6 / (1.98e9 * 4.5 / 11.889))
    assert device("phone_mid").seconds_per_unit["train_macs"] == pytest.approx(6 / (1.98e9 * 0.5 * 48.408 / 11.889))
    curve, anchor = device("rpi_3bplus").rate_curve, device("rpi_4b_4gb").rate_curve
    assert curve is not None
    assert anchor is not None
    assert curve.large_flops / anchor.large_flops == pytest.approx(4.5 / 11.889)


def test_homomorphic_encryption_scales_from_the_machine_it_was_measured_on() -> None:
    assert seconds(device("rpi_4b_4gb"), {"encrypted_ciphertexts": 2}) == pytest.approx(2 * 5 * 2.896e-3)
    assert seconds(device("cloud_x86_8vcpu"), {"added_ciphertexts": 1}) == pytest.approx(1.3 * 54.1e-6)


def test_single_thread_work_scales_with_the_time_factor() -> None:
    server, pi = device("cloud_x86_8vcpu"), device("rpi_4b_4gb")
    assert server.cpu_time_factor == 1.0
    assert pi.cpu_time_factor == pytest.approx(5 / 1.3)
    assert seconds(server, {"process_starts": 1}) == pytest.approx(2.1)
    assert seconds(pi, {"process_starts": 1}) == pytest.approx(2.1 * 5 / 1.3)


def test_work_adds_up_and_every_unit_is_known() -> None:
    pi = device("rpi_4b_4gb")
    assert set(pi.seconds_per_unit) == set(WORK_UNITS)
    assert all(cost > 0 for cost in pi.seconds_per_unit.values())
    both = seconds(pi, {"process_starts": 2, "samples": 1000})
    assert both == pytest.approx(seconds(pi, {"process_starts": 2}) + seconds(pi, {"samples": 1000}))
    assert seconds(pi, {}) == 0.0


@pytest.mark.parametrize(
    ("name", "work", "text"),
    [
        ("rpi_4b_4gb", {"train_mac": 1.0}, "did you mean 'train_macs'"),
        ("rpi_4b_4gb", {"train_mac": 1.0}, "add a row"),
        ("rpi_4b_4gb", {"samples": -1.0}, "not negative"),
        ("nrf5340", {"samples": 1.0}, "runs no Python"),
    ],
)
def test_work_that_has_no_cost_is_refused(name: str, work: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        seconds(device(name), work)


def test_a_3bplus_just_fits_a_small_network_and_a_zero_does_not() -> None:
    small_network_bytes = 30e6
    assert fits_memory(device("rpi_3bplus"), small_network_bytes) is True
    assert fits_memory(device("rpi_3bplus"), 200e6) is False
    assert fits_memory(device("rpi_zero_2w"), 0.0) is False
    assert fits_memory(device("nrf5340"), 0.0) is None


def test_energy_is_linear_in_its_times() -> None:
    plain = Device("x", "gateway", idle_w=2.0, busy_w=6.0, tx_w=1.0, rx_w=0.5)
    # 2 W x 10 s, 4 W more while busy, 1 W more while sending, 0.5 W more while receiving.
    assert energy_j(plain, busy_s=4.0, idle_s=6.0, tx_s=3.0, rx_s=2.0) == pytest.approx(20.0 + 16.0 + 3.0 + 1.0)
    assert energy_j(plain, busy_s=0.0, idle_s=0.0) == 0.0


def test_energy_is_unknown_only_where_a_needed_figure_is() -> None:
    partial = Device("x", "cloud", idle_w=2.0, busy_w=6.0)
    assert energy_j(partial, busy_s=1.0, idle_s=1.0) == pytest.approx(8.0)
    assert energy_j(partial, busy_s=1.0, idle_s=1.0, tx_s=0.1) is None
    assert energy_j(Device("x", "cloud", busy_w=6.0), busy_s=1.0, idle_s=0.0) == 6.0
    with pytest.raises(ValueError, match="negative"):
        energy_j(partial, busy_s=-1.0, idle_s=0.0)
