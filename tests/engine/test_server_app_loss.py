"""The loss of the ServerApp ends the run; with checkpoints a new run goes on, through the emulator itself."""

import numpy as np
import pytest
from engine_helpers import emulate, make_plan
from safetensors.numpy import load_file

from emulator.errors import ServerAppLost
from emulator.plan import PlacedFault


def test_run_ends_once_the_rounds_messages_are_out(run_plan):
    plan = make_plan("numpy_app", 3, placed=(PlacedFault(2, "server", "serve"),), config={"min-nodes": 3})
    with pytest.raises(ServerAppLost, match=r"lost in round 2.*Flower ends the run"):
        run_plan(plan)
    assert ServerAppLost.exit_code == 4


SCENARIO = """
name: lost
app:
  path: {app}
  config:
    num-server-rounds: 3
    min-available-nodes: 2
    checkpoint-dir: {checkpoints}
data: {{source: simulated, max-beats-per-patient: 20, test-beats-per-patient: 20}}
topology: {{kind: star, sites: 2}}
failures: {failures}
"""


@pytest.mark.slow
def test_fedgen_goes_on_in_a_new_run(tmp_path):
    from emulator import runner

    app = runner.__file__.rsplit("/", 2)[0]

    def write(name, failures, checkpoints):
        path = tmp_path / f"{name}.yaml"
        path.write_text(SCENARIO.format(app=app, checkpoints=checkpoints, failures=failures))
        return str(path)

    kept = tmp_path / "kept"
    whole = write("whole", "[]", tmp_path / "other")
    lost = write("lost", "[{kind: server_app_loss, round: 3}]", kept)
    again = write("again", "[]", kept)
    options = ("--out", str(tmp_path / "out"), "--no-report")
    emulate(whole, *options, "--run", "whole")
    died = emulate(lost, *options, "--run", "lost", check=False)
    assert died.returncode == 4
    assert "the ServerApp was lost in round 3" in died.stdout + died.stderr
    emulate(again, *options, "--run", "again")
    folders = {name: tmp_path / "out" / "lost" / name / "weights" for name in ("whole", "again")}
    expected = load_file(folders["whole"] / "round-003.safetensors")
    found = load_file(max(folders["again"].glob("round-*.safetensors")))
    assert all(np.array_equal(found[name], value) for name, value in expected.items())
