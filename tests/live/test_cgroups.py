"""Control groups that a run makes for its ClientApps: they limit for real, and go with the run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.backends.live import cgroups
from emulator.backends.live.backend import LiveOptions
from emulator.backends.live.cgroups import Limits, kills, make_groups, places, quota, remove_groups, throttled
from emulator.backends.live.journal import read_journals
from emulator.errors import BackendUnavailable
from emulator.events import read_events
from emulator.runner import run

PAIR = Path(__file__).parents[1] / "scenarios" / "live_pair.yaml"
MIB = 1 << 20


@pytest.fixture
def group():
    """Make a group with limits; it is gone after the test."""
    where = places()
    if set(where) != {"cpu", "memory"}:
        pytest.skip("this process may not make control groups")
    name, made = f"emulate-test-{os.getpid()}", []

    def make(limits: Limits) -> tuple[str, ...]:
        made.extend(make_groups(name, {"h1": limits}, where)["h1"])
        return tuple(made)

    yield make
    remove_groups(name, made)
    assert not any(
        Path(folder).exists() or Path(folder).parent.name == name for folder in made if Path(folder).exists()
    )


def run_in(folders: tuple[str, ...], program: str) -> subprocess.CompletedProcess:
    prologue = f"from emulator.backends.live.cgroups import join; join({list(folders)!r})\n"
    return subprocess.run([sys.executable, "-c", prologue + program], capture_output=True, text=True, check=False)


def test_quotas_are_as_short_as_the_kernel_allows():
    assert quota(0.5) == (0.005, 0.01)
    small, period = quota(0.02)
    assert (small, period) == pytest.approx((0.001, 0.05))


def test_a_process_that_needs_more_memory_is_ended_and_counted(group):
    folders = group(Limits(memory_bytes=64 * MIB))
    assert run_in(folders, "bytearray(16 << 20)").returncode == 0
    assert kills(folders) == 0
    assert run_in(folders, "bytearray(200 << 20)").returncode == -9
    assert kills(folders) == 1


def test_a_share_of_a_core_throttles(group):
    folders = group(Limits(cores=0.2))
    done = run_in(
        folders,
        "import time\nbegan = time.monotonic()\nwhile time.process_time() < 0.3: pass\nprint(time.monotonic() - began)",
    )
    assert float(done.stdout) > 1.0, "0.3 CPU seconds at a fifth of a core take 1.5 s, less what the start had used"
    assert max(throttled(Path(folder)) for folder in folders) > 10


def test_a_quota_without_control_groups_is_refused(monkeypatch, tmp_path, live_machine):
    monkeypatch.setattr(cgroups, "places", dict)
    with pytest.raises(BackendUnavailable, match="--cpu hold"):
        run(PAIR, backend="mininet", live=LiveOptions(cpu="quota"), out=tmp_path, with_report=False)


@pytest.mark.slow
def test_a_client_app_that_outgrows_its_device_is_killed_and_told(tmp_path, live_machine):
    """The process takes 60 MiB and more before the app is loaded; the model thinks it fits."""
    if "memory" not in places():
        pytest.skip("this process may not make control groups")
    overrides = [
        "failures=[]", "topology.sites=1", "app.config.min-nodes=1", "devices.quick_hub.memory=60 MB", "app.config.timeout-s=100",
    ]  # fmt: skip
    options = LiveOptions(allow_invalid=True, for_s=25.0)
    result = run(PAIR, backend="mininet", overrides=overrides, live=options, out=tmp_path, with_report=False)
    events = list(read_events(result.folder / "events"))
    groups = json.loads((result.folder / "live" / "groups.json").read_text())
    assert not [folder for folder in groups["folders"] if Path(folder).exists()]
    assert ("compute_lost", "out of memory") in {(event.kind, event.note) for event in events}
    rows = read_journals(result.folder / "live" / "journals")
    assert not [row for row in rows if row["what"] == "compute_finished"]
