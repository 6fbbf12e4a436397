"""Throttling and shared processors: closed forms, properties, and a device described in a scenario."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_builder import scenario

from emulator.compute import resolve_device, seconds
from emulator.compute.sharing import slowdown
from emulator.models import thermal
from emulator.models.facts import Fact, write_profile_file
from emulator.plan import Thermal
from emulator.planner import make_plan
from emulator.topology import ParameterError

BARE = Thermal(time_constant_s=240.0, limit_heat=0.68, throttled_speed=0.5)


def test_full_speed_lasts_as_long_as_the_exponential_says() -> None:
    full_s = thermal.full_speed_s(BARE, 0.0)
    assert full_s == pytest.approx(-240 * math.log(1 - 0.68))
    took_s, heat = thermal.work(BARE, 0.0, full_s + 60)
    assert (took_s, heat) == (pytest.approx(full_s + 120), 0.68)
    assert thermal.rest(BARE, 0.68, 240.0) == pytest.approx(0.68 / math.e)
    assert thermal.full_speed_s(Thermal(240.0, 1.0, 0.5), 0.3) == math.inf


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(0, 5000), st.floats(0, 1), st.floats(1, 1000), st.floats(0.05, 1), st.floats(0.1, 1))
def test_work_in_pieces_is_work_in_one(share, work_s, cut, constant_s, limit, speed) -> None:
    """The step function of (state, interval) does not depend on where intervals are cut."""
    device = Thermal(constant_s, limit, speed)
    heat = share * limit
    whole_s, end = thermal.work(device, heat, work_s)
    first_s, middle = thermal.work(device, heat, cut * work_s)
    second_s, last = thermal.work(device, middle, work_s - cut * work_s)
    assert first_s + second_s == pytest.approx(whole_s, rel=1e-9, abs=1e-6)
    assert last == pytest.approx(end, abs=1e-9)
    assert work_s <= whole_s * (1 + 1e-12)
    assert whole_s <= work_s / speed * (1 + 1e-12)
    assert heat - 1e-12 <= end <= limit + 1e-12


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 64), st.integers(1, 64), st.floats(0, 200))
def test_cores_are_shared_fairly_and_not_twice(cores, threads, other) -> None:
    factor = slowdown(cores=cores, threads=threads, other_cores=other)
    ours = threads / factor
    assert factor >= 1
    assert ours <= min(cores, threads) * (1 + 1e-9)
    assert ours + min(other, cores * math.ceil(other) / (threads + math.ceil(other))) <= max(cores, ours) * (1 + 1e-9)
    assert factor <= max(1.0, (threads + math.ceil(other)) / cores) * (1 + 1e-9)  # never less than a fair share
    assert factor <= slowdown(cores=cores, threads=threads, other_cores=other + 1) * (1 + 1e-9)


def test_what_sharing_means_for_four_cores() -> None:
    assert slowdown(cores=4, threads=4, other_cores=0) == 1
    assert slowdown(cores=4, threads=4, other_cores=1) == pytest.approx(5 / 4)  # five equal threads on four cores
    assert slowdown(cores=4, threads=4, other_cores=0.5) == pytest.approx(4 / 3.5)  # the other wants less than that
    assert slowdown(cores=4, threads=1, other_cores=3) == 1
    assert slowdown(cores=4, threads=1, other_cores=4) == pytest.approx(5 / 4)


def test_background_load_stretches_every_cost_and_cooling_adds_a_limit() -> None:
    own = {
        "busy_pi": {"like": "rpi_4b_4gb", "background": "50 %"},
        "bare_pi": {"like": "rpi_4b_4gb", "cooling": "none"},
    }
    plain, busy, bare = (resolve_device(name, own)[0] for name in ("rpi_4b_4gb", "busy_pi", "bare_pi"))
    work = {"train_macs": 1e9, "train_steps": 10.0}
    assert seconds(busy, work) == pytest.approx(1.5 * seconds(plain, work))  # six equal threads on four cores
    assert seconds(busy, {"samples": 1e6}) == seconds(plain, {"samples": 1e6})  # one thread finds a free core
    assert busy.background_cores == 2
    assert bare.thermal == Thermal(240.0, 0.68, 0.73)
    assert plain.thermal is None
    with pytest.raises(ParameterError, match="nothing is known of 'phone_mid' without cooling; known: rpi_4b_2gb"):
        resolve_device("x", {"x": {"like": "phone_mid", "cooling": "none"}})


def test_sensor_streams_are_a_job_of_the_gateway() -> None:
    clinics = [
        {"name": name, "gateway": "rpi_4b_4gb", "wearables": count} for name, count in (("few", 1), ("many", 20))
    ]
    plan = make_plan(scenario("rural_district", sites=2, params={"clinics": clinics, "stream_rate": "200 kbit/s"}))
    few, many = (plan.node_by_name[f"{name}/gateway"].device for name in ("few", "many"))
    per_bit_s = 1.7e-8 * 5 / 1.3
    assert many.background_cores == pytest.approx(20 * 200e3 * per_bit_s)
    assert many.background_cores == pytest.approx(20 * few.background_cores)
    assert many.seconds_per_unit["train_macs"] > few.seconds_per_unit["train_macs"]


def profile_file(path: Path, **rows: tuple[str, str]) -> Path:
    plain = {
        "klass": ("gateway", "str"),
        "cores": ("2", "count"),
        "he_time_factor_vs_m1pro": ("2", "x"),
        "hpl_fp64": ("9", "GFLOP/s"),
    }
    facts = [Fact("board", name, value, unit, "measured", "a test") for name, (value, unit) in (plain | rows).items()]
    write_profile_file(path, facts)
    return path


def test_a_profile_from_a_file_and_what_it_leaves_open(tmp_path) -> None:
    path = profile_file(tmp_path / "board.csv", samples=("0.25", "s"), train_step=("0.004", "s"))
    own = {"mine": {"file": str(path), "idle": "3 W"}}
    device, assumptions = resolve_device("mine", own)
    assert (device.cores, device.idle_w, device.busy_w, device.klass) == (2, 3.0, None, "gateway")
    assert device.seconds_per_unit["samples"] == 0.25
    assert device.seconds_per_unit["train_steps"] == 0.004
    assert device.seconds_per_unit["process_starts"] == pytest.approx(2.1 * 2 / 1.3)
    assert "samples" not in {item.quantity for item in assumptions}
    half = resolve_device("half", own | {"half": {"like": "mine", "speed": 0.5}})[0]
    assert half.seconds_per_unit["samples"] == 0.5


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"samples": ("x", "s")}, "could not convert"),
        ({"samples": ("1", "furlong")}, "no number with a known unit"),
        ({"samples": ("-1", "s")}, "must be 0 or more"),
    ],
)
def test_a_profile_file_with_a_fault_is_refused(tmp_path, rows, message) -> None:
    path = profile_file(tmp_path / "board.csv", **rows)
    with pytest.raises(ParameterError, match=message):
        resolve_device("mine", {"mine": {"file": str(path)}})
    path.write_text("profile,quantity\n")
    with pytest.raises(ParameterError, match="columns are"):
        resolve_device("mine", {"mine": {"file": str(path)}})
    with pytest.raises(ParameterError, match="there is no such file"):
        resolve_device("mine", {"mine": {"file": str(tmp_path / "none.csv")}})
