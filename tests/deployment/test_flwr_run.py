"""The product's Flower app in a real deployment on loopback, through nothing but Flower's own commands."""

from pathlib import Path

import pytest
from loopback import Deployment

ROOT = Path(__file__).parents[2]
CONFIG = {
    "num-server-rounds": 1,
    "data.source": "simulated",
    "data.max-beats-per-patient": 20,
    "data.test-beats-per-patient": 20,
    "min-available-nodes": 2,
    "min-replies": 2,
}


@pytest.mark.slow
@pytest.mark.usefixtures("flower_commands")
def test_fedgen_runs_under_plain_flwr_run(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    with deployment.start(2):
        status, output = deployment.run(ROOT, CONFIG, limit_s=300)
        sent = [deployment.log(f"supernode-{index}").count("Sent successfully") for index in range(2)]
    assert status == "finished:completed", output[-3000:]
    assert min(sent) >= 1
    assert "'round.replies': '2.0000e+00'" in output, output[-3000:]
