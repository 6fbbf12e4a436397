"""Device and link profiles: figures, ``like``, overrides, and the faults they give."""

import math

import pytest

from emulator.compute import resolve_device
from emulator.models.devices import device_table, resolve_hardware
from emulator.models.links import constant, link_table, resolve_link
from emulator.models.links.profile import apply_fields
from emulator.rng import Streams
from emulator.topology import ParameterError


@pytest.mark.parametrize("name", sorted(device_table()))
def test_every_shipped_device_resolves(name: str) -> None:
    device, assumptions = resolve_device(name, {})
    assert device.profile == name
    assert device.klass
    assert all(value is None or value > 0 for value in (device.idle_w, device.busy_w, device.tx_w, device.rx_w))
    assert assumptions == sorted(set(assumptions))
    assert all(assumption.source.startswith("estimate:") for assumption in assumptions)


@pytest.mark.parametrize("name", sorted(link_table()))
def test_every_shipped_link_resolves(name: str) -> None:
    profile, _ = resolve_link(name, {})
    for direction in ("up", "down"):
        (state,) = constant(profile, direction=direction, horizon_s=1.0, rng=Streams(1)("x"))
        assert state.from_s == 0.0
        assert state.rate_bps > 0
        assert state.delay_s > 0
        assert 0 <= state.loss < 1


def test_a_satellite_link_has_half_the_round_trip_each_way() -> None:
    profile, assumptions = resolve_link("geo_vsat", {})
    assert (profile.up_bps, profile.down_bps, profile.delay_s) == (2e6, 10e6, 0.3)
    assert profile.jitter_s == pytest.approx(0.030 / math.sqrt(2))
    assert {assumption.quantity for assumption in assumptions} == {"up", "down", "jitter", "loss", "cost_per_gb"}
    reliable = {item.quantity for item in profile.assumptions(is_reliability_used=True)}
    assert reliable >= {"mtbf_h", "mttr_h"}


def test_a_missing_power_figure_is_none() -> None:
    assert resolve_device("cloud_x86_8vcpu", {})[0].tx_w is None


def test_like_chains_apply_from_the_base_up() -> None:
    own: dict[str, dict[str, object]] = {
        "slow": {"like": "rpi_4b_4gb", "speed": 0.5, "memory": "1 GB", "cores": 2},
        "slower": {"like": "slow", "speed": "25 %", "idle": "3 W"},
    }
    device, assumptions = resolve_device("slower", own)
    base, _ = resolve_device("rpi_4b_4gb", {})
    assert (device.profile, device.klass, device.cores, device.memory_bytes, device.idle_w) == (
        "slower", "gateway", 2, 1e9, 3.0,
    )  # fmt: skip
    assert device.seconds_per_unit["train_macs"] == pytest.approx(4 * base.seconds_per_unit["train_macs"])
    assert device.cpu_time_factor == pytest.approx(4 * (base.cpu_time_factor or 0))
    assert assumptions


def test_an_overridden_estimate_is_no_longer_assumed() -> None:
    own = {"mine": {"like": "rpi_4b_4gb", "boot": "20 s", "tx": "1 W", "rx": "1 W"}}
    quantities = {item.quantity for item in resolve_hardware("mine", own).assumptions}
    assert quantities.isdisjoint({"boot_time", "tx_power", "rx_power"})


@pytest.mark.parametrize(
    ("own", "name", "key", "text"),
    [
        ({}, "rpi_4b_4g", "", "did you mean 'rpi_4b_4gb'?"),
        ({"a": {"like": "b"}, "b": {"like": "a"}}, "a", "devices.a.like", "loop"),
        ({"a": {"like": "phone_mit"}}, "a", "devices.a.like", "did you mean 'phone_mid'?"),
        ({"a": {"cores": 2}}, "a", "devices.a", "needs 'like"),
        ({"a": {"like": "phone_mid", "coers": 2}}, "a", "devices.a.coers", "did you mean 'cores'?"),
        ({"a": {"like": "phone_mid", "cores": 0}}, "a", "devices.a.cores", "whole number from 1"),
        ({"a": {"like": "phone_mid", "idle": "3"}}, "a", "devices.a.idle", "has no unit"),
        ({"a": {"like": "phone_mid", "speed": "0 %"}}, "a", "devices.a.speed", "above 0"),
        ({"phone_mid": {"like": "phone_low"}}, "phone_mid", "devices.phone_mid", "another name"),
    ],
)
def test_device_faults(own: dict[str, dict[str, object]], name: str, key: str, text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve_device(name, own)
    ((found_key, message),) = caught.value.faults
    assert found_key == key
    assert text in message


def test_link_fields_narrow_wins_over_wide_and_rtt_is_twice_the_delay() -> None:
    own = {"mine": {"rate": "4 Mbit/s", "up": "1 Mbit/s", "rtt": "90 ms", "loss": "1 %", "half_duplex": True}}
    profile, assumptions = resolve_link("mine", own)
    assert (profile.up_bps, profile.down_bps, profile.delay_s, profile.loss) == (1e6, 4e6, 0.045, 0.01)
    assert profile.is_shared_medium
    assert profile.jitter_s == 0.0
    assert profile.tariff_usd_per_gb is None
    assert assumptions == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"rate": "1 Mbit/s"}, "needs 'like"),
        ({"rate": "1 Mbit/s", "delay": "1 ms", "rtt": "2 ms"}, "not both"),
        ({"rate": "0 bit/s", "delay": "1 ms"}, "above 0"),
        ({"rate": "1 Mbit/s", "delay": "1 ms", "loss": "100 %"}, "below 1"),
        ({"rate": "1 Mbit/s", "delay": "1 ms", "half_duplex": "yes"}, "true or false"),
        ({"rate": "1 Mbit/s", "delay": "-1 ms"}, "negative"),
    ],
)
def test_link_faults(fields: dict[str, object], text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        apply_fields(None, fields, name="x", key="links.x")
