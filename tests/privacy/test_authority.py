# SPDX-License-Identifier: Apache-2.0
"""A key authority of its own in the topology: keys and sums cross its link, data never does; a new key when a clinic leaves."""

from pathlib import Path

import pytest

import emulator
from emulator.events import Event, read_events
from emulator.topology.build import build
from topologies.rural_district import rural_district

ROOT = Path(__file__).parents[2]
SCENARIO = f"""
# Question: who deals the keys where no clinic is to?
# Expectation: the authority deals keys and opens sums; a clinic that leaves in round 1 is followed by a new key.
# Run time: some seconds.
name: authority
app:
  path: {ROOT}
  config: {{num-server-rounds: 3, min-available-nodes: 4, min-replies: 2, round-deadline-s: 300, round-interval-s: 600}}
data: {{source: simulated, max-beats-per-patient: 20, test-beats-per-patient: 20}}
privacy: {{kind: he, he: {{leave-after: 1}}}}
topology: {{kind: rural_district, sites: 4, wearables: 0, key_authority: clinic_minipc_n100, authority_backhaul: ftth}}
failures: [{{kind: crash, round: 1, node: clinic-04/gateway, phase: train, action: leave}}]
clock: {{horizon: 1 d}}
"""


def test_who_has_a_role_comes_last_and_has_no_part_of_the_data() -> None:
    nodes = {node.name: node for node in build(rural_district(sites=3, wearables=0, key_authority="rpi_4b_4gb")).nodes}
    assert nodes["authority/gateway"].role == "key-authority"
    assert nodes["authority/gateway"].partition_id == 3
    assert [nodes[f"clinic-0{number}/gateway"].partition_id for number in (1, 2, 3)] == [0, 1, 2]


@pytest.mark.slow
def test_the_authority_deals_opens_and_never_trains(tmp_path: Path) -> None:
    (tmp_path / "authority.yaml").write_text(SCENARIO)
    result = emulator.run(tmp_path / "authority.yaml", out=tmp_path, workers=1, with_report=False)
    assert result.status == "finished"
    pushed: list[Event] = [event for event in read_events(result.folder / "events") if event.kind == "message_pushed"]

    def to(action: str) -> list[str]:
        return [event.node for event in pushed if event.note == action]

    assert set(to("query.he_deal")) == set(to("query.he_open")) == {"authority/gateway"}
    assert len(to("query.he_deal")) == 2, "one key at the start, one after clinic-04 has left"
    assert "authority/gateway" not in to("train")
    assert to("query.he_key").count("clinic-01/gateway") == 2
    assert "clinic-04/gateway" not in to("train")[4:]
    accepted = [event.value for event in read_events(result.folder / "events") if event.note == "round.replies"]
    assert accepted == [3.0, 3.0, 3.0]
