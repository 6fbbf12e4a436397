"""`emulate calibrate`: the profile is whole, well formed and usable; nothing here is timed."""

import subprocess
import sys
from pathlib import Path

import pytest

from emulator.cli import main
from emulator.compute import WORK_UNITS, resolve_device, seconds
from emulator.compute.training_probe import TRAIN_FLOP_PER_MAC, fit_step
from emulator.models.facts import read_profile_file
from emulator.runner import plan_scenario


def test_the_fit_gives_back_the_line_its_points_lie_on() -> None:
    macs = [1e6, 4e6, 16e6, 64e6]
    step_s, flops = fit_step(macs, [0.004 + TRAIN_FLOP_PER_MAC * m / 3e9 for m in macs], TRAIN_FLOP_PER_MAC)
    assert (step_s, flops) == (pytest.approx(0.004), pytest.approx(3e9))
    # Points that no step cost explains: an empty step is never negative.
    assert fit_step([1e6, 2e6], [1e-3, 4e-3], TRAIN_FLOP_PER_MAC)[0] == 0.0


@pytest.mark.slow
def test_a_profile_of_this_machine_serves_in_a_scenario(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulator.cli", "calibrate", "--out", str(tmp_path / "mine.csv"), "--threads", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "written to" in done.stdout
    name, facts = read_profile_file(tmp_path / "mine.csv", needs=("klass", "cores", "train_step"))
    assert name == "mine"
    assert all(fact.kind == "measured" and fact.source.startswith("emulate calibrate on") for fact in facts.values())
    scenario = tmp_path / "s.yaml"
    app = Path(__file__).parents[1] / "apps" / "numpy_app"
    scenario.write_text(
        f"app: {{path: {app}}}\ntopology: {{kind: star, sites: 2, gateway: board}}\n"
        "devices: {board: {file: mine.csv, idle: 2 W, busy: 6 W}}\n"
    )
    _, plan = plan_scenario(scenario)
    device = plan.clients[0].device
    assert device is not None
    assert set(device.seconds_per_unit) == set(WORK_UNITS)
    assert device.idle_w == 2.0
    assert device.base_memory_bytes == facts["base_memory"].number
    assert device.seconds_per_unit["process_starts"] == facts["process_starts"].number
    work = {"train_macs": 1e9, "train_steps": 100.0}
    assert seconds(device, work) > 100 * facts["train_step"].number
    own = {"board": {"file": str(tmp_path / "mine.csv"), "speed": 2.0}}
    assert seconds(resolve_device("board", own)[0], work) == pytest.approx(seconds(device, work) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "no/such/folder/x.csv"], "there is no folder 'no/such/folder'"),
        (["--app", "no/such/app"], "there is no pyproject.toml in it"),
    ],
)
def test_what_cannot_be_is_told_before_measuring(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["calibrate", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
