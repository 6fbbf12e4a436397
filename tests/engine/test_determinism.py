"""Same seed, same rows: in fresh processes, under another hash seed, with one worker or four, and in a replay."""

from pathlib import Path

import pytest
from engine_helpers import digest_of, emulate, make_plan

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def test_event_log_is_identical_in_fresh_processes_with_any_workers_and_hash_seed(tmp_path):
    digests = set()
    for number, (workers, hash_seed) in enumerate([(1, 0), (4, 1), (2, 12345)]):
        arguments = ["--out", str(tmp_path), "--run", str(number), "--workers", str(workers), "--no-report"]
        emulate(str(SCENARIOS / "district_work.yaml"), *arguments, hash_seed=hash_seed)
        digests.add(digest_of(tmp_path / "district_work" / str(number)))
    assert len(digests) == 1


def test_another_seed_gives_another_log(tmp_path):
    for seed in ("1", "2"):
        emulate(
            str(SCENARIOS / "district_work.yaml"), "--out", str(tmp_path), "--run", seed, "--seed", seed, "--no-report"
        )
    assert digest_of(tmp_path / "district_work" / "1") != digest_of(tmp_path / "district_work" / "2")


def test_run_folder_replays_measured_work_exactly(tmp_path):
    emulate(str(SCENARIOS / "star_numpy.yaml"), "--out", str(tmp_path), "--run", "first", "--no-report")
    first = tmp_path / "star_numpy" / "first"
    emulate(
        str(first / "scenario.yaml"),
        "--out",
        str(tmp_path),
        "--run",
        "again",
        "--workers",
        "4",
        "--no-report",
        hash_seed=9,
    )
    assert digest_of(first) == digest_of(tmp_path / "star_numpy" / "again")


@pytest.mark.parametrize("workers", [1, 3])
def test_weights_do_not_depend_on_workers(run_plan, workers):
    plan = make_plan("work_app", 5, config={"num-server-rounds": 3})
    reference = run_plan(plan, workers=2)
    other = run_plan(plan, workers=workers)
    assert (reference.weights(3)["w"] == other.weights(3)["w"]).all()
    assert reference.digest == other.digest


@pytest.mark.slow
def test_rural_clinic_is_identical_with_one_worker_and_four(tmp_path):
    digests = set()
    for workers, hash_seed in ((1, 1), (4, 2)):
        arguments = ["--quick", "--set", "data.source=simulated", "--out", str(tmp_path), "--run", str(workers)]
        scenario = SCENARIOS.parents[1] / "scenarios" / "rural_clinic.yaml"
        emulate(str(scenario), *arguments, "--workers", str(workers), "--no-report", hash_seed=hash_seed)
        digests.add(digest_of(tmp_path / "rural_clinic" / str(workers)))
    assert len(digests) == 1
