"""A whole run inside User Mode Linux: a kernel of its own as an ordinary process, links shaped by its netem."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from emulator.backends.live import doctor
from emulator.backends.live.backend import LiveOptions
from emulator.backends.live.journal import read_journals
from emulator.backends.live.uml import MODULE_FOLDER
from emulator.runner import run

PAIR = Path(__file__).parents[1] / "scenarios" / "live_pair.yaml"


@pytest.mark.slow
def test_a_whole_run_in_a_guest_gives_the_weights_of_virtual_time(tmp_path):
    """One client; a guest has one core and starts Python three to ten times slower, so that the verdict may be INVALID."""
    if shutil.which("linux.uml") is None or not Path(MODULE_FOLDER).is_dir():
        pytest.skip("User Mode Linux is not there: apt install user-mode-linux")
    if reason := doctor.missing(tmp_path, "uml"):
        pytest.skip(reason)
    overrides = ["failures=[]", "topology.sites=1", "app.config.min-nodes=1", "app.config.timeout-s=600"]
    options = LiveOptions(sandbox="uml", allow_invalid=True)
    live = run(PAIR, backend="mininet", overrides=overrides, live=options, out=tmp_path, with_report=False)
    virtual = run(PAIR, overrides=overrides, out=tmp_path, with_report=False)
    assert live.status == virtual.status == "finished"
    [ready] = [row for row in read_journals(live.folder / "live" / "journals") if row["what"] == "ready"]
    assert ready["shaper"] == "netem"
    weights = [load_file(each.folder / "weights" / "round-001.safetensors") for each in (live, virtual)]
    assert all(np.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[1])
    assert json.loads((live.folder / "live" / "groups.json").read_text())["folders"] == []
