"""The privacy mechanisms between real SuperNodes: what the same run gives in virtual time, they give too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Deployment, missing_commands

import emulator
from fedgen.ledger.audit import file_digest

ROOT = Path(__file__).parents[2]
NODES = 3
CONFIG: dict[str, Any] = {
    "num-server-rounds": 1,
    "data.source": "simulated",
    "data.max-beats-per-patient": 20,
    "data.test-beats-per-patient": 20,
    "min-available-nodes": NODES,
    "min-replies": NODES,
}
SCENARIO = f"""
# Question: what do three clients give under a privacy mechanism?
# Expectation: one round of three replies.
# Run time: some seconds.
name: three
app:
  path: {ROOT}
  config: {{num-server-rounds: 1, min-available-nodes: {NODES}, min-replies: {NODES}}}
data: {{source: simulated, max-beats-per-patient: 20, test-beats-per-patient: 20}}
topology: {{kind: star, sites: {NODES}, gateway: rpi_4b_4gb, backhaul: ftth}}
"""


def emulated(folder: Path, kind: str) -> emulator.Result:
    """Return a finished run of the same app with the same settings in virtual time."""
    scenario = folder / "three.yaml"
    scenario.write_text(SCENARIO)
    result = emulator.run(scenario, out=folder / kind, overrides=[f"privacy.kind={kind}"], workers=1, with_report=False)
    assert result.status == "finished"
    return result


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One SuperLink with its SuperNodes for all runs."""
    if missing := missing_commands():
        pytest.skip(f"not installed: {', '.join(missing)}")
    started = Deployment(tmp_path_factory.mktemp("deployment"))
    with started.start(NODES):
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["he", "secagg", "dp", "secure"])
def test_a_mechanism_under_flwr_run_gives_what_the_emulated_run_gives(
    deployment: Deployment, tmp_path: Path, kind: str
) -> None:
    """Sums are exact, so without noise the model is the same to the last bit; noise is drawn anew, epsilon is not."""
    expected = emulated(tmp_path, kind)
    status, output = deployment.run(ROOT, {**CONFIG, "privacy.kind": kind}, limit_s=400)
    assert status == "finished:completed", output[-3000:]
    assert f"'round.replies': '{NODES:.4e}'" in output, output[-3000:]
    guarantees = (expected.summary["privacy"] or {"guarantees": {}})["guarantees"]
    for words, epsilon in guarantees.items():
        assert f"privacy spent so far on {words}: epsilon {epsilon:.6g}" in output, output[-3000:]
    if not guarantees:
        digest = file_digest((expected.folder / "weights" / "round-001.safetensors").read_bytes())
        assert f"model at the end: SHA-256 {digest}" in output, output[-3000:]
    if kind == "secure":
        assert "2 of 2 blocks confirmed" in output, output[-3000:]
