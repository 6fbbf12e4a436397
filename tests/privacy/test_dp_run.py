# SPDX-License-Identifier: Apache-2.0
"""Whole runs with differential privacy: what is released, what is told, when it ends, and that a seed repeats it."""

import random
from typing import Any

import numpy as np
import pytest

from fedgen.privacy.accounting import Release, pld_epsilon
from fedgen.privacy.budget import ACCOUNT, account_from

DP = {"privacy.kind": "dp", "data.max-beats-per-patient": 60}


def trained(grid: Any) -> list[Any]:
    return [r for r, m in zip(grid.replies, grid.asked, strict=True) if m.metadata.message_type == "train"]


def test_example_level_from_budget_to_report(run: Any) -> None:
    context, grid = run(DP)
    (words, epsilon), *more = dict(context.state["privacy-spent"]).items()
    assert not more
    assert words == "one example, delta 1/(10 n)"
    assert 5.0 < epsilon < 8.0
    worst = 0.0
    for client in grid.contexts.values():
        account = account_from(client.state.config_records[ACCOUNT])
        training, scores = sorted(account.releases, key=lambda release: release.rate)
        last = [r for r in trained(grid) if r.metadata.src_node_id == client.node_id][-1].content["privacy-spent"]
        assert account_from(last) == account
        assert (training.count % 2, scores.count, scores.rate) == (0, 2, 1.0)
        assert account.epsilon(last["delta"]) <= 8.0
        assert last["delta"] == pytest.approx(1 / (10 * last["examples"]))
        worst = max(worst, pld_epsilon(account.releases, last["delta"]))
    assert epsilon == pytest.approx(worst, rel=0.02)
    told = " ".join(str(text) for text in context.state["notices"].values())
    assert "one heart beat of a clinic, not for a patient" in told
    assert "charged are the training" in told


def test_replies_tell_no_loss_and_no_counts(run: Any) -> None:
    _, grid = run(DP)
    for reply in trained(grid):
        assert set(reply.content) == {"sealed", "privacy-spent", "work-report"}


def test_budget_of_a_given_noise_stops_clients_one_by_one(run: Any) -> None:
    context, grid = run({**DP, "num-server-rounds": 4, "privacy.example.noise": 1.5, "privacy.example.epsilon": 4.0})
    refused = [reply for reply in trained(grid) if "refused" in reply.content]
    assert refused
    assert "above the budget of 4" in str(refused[0].content["refused"]["reason"])
    assert len({reply.metadata.src_node_id for reply in refused}) == len(refused), "who refuses is not asked again"
    assert next(iter(context.state["privacy-spent"].values())) <= 4.0


def test_too_large_a_delta_is_the_clients_to_refuse(run: Any) -> None:
    with pytest.raises(Exception, match=r"privacy\.example\.delta is 0\.5; allowed: at most 1 / \(10 n\)"):
        run({**DP, "privacy.example.delta": 0.5})


def test_who_seeds_the_process_gets_the_same_noise(run: Any) -> None:
    models = []
    for seed in (1, 1, 2):
        random.seed(seed)
        context, _ = run({**DP, "num-server-rounds": 1, "privacy.example.noise": 2.0})
        models.append({name: array.numpy() for name, array in context.state["global-model"].items()})
    for name, values in models[0].items():
        np.testing.assert_array_equal(values, models[1][name])
    assert any(np.any(values != models[2][name]) for name, values in models[0].items())


def test_client_level_in_the_open(run: Any) -> None:
    changes = {"privacy.kind": "dp-client", "privacy.client.noise": 5.0, "privacy.client.epsilon": 3.0}
    context, _ = run({**changes, "num-server-rounds": 4})
    (words, epsilon), *_ = context.state["privacy-spent"].items()
    assert words == "one client, delta 0.025"
    rounds = [int(context.state[f"evaluation-round-{r}"]["round.accepted"]) for r in range(1, 5)]
    assert rounds == sorted(rounds, reverse=True)
    assert 0 < sum(rounds) < 4 or epsilon <= 3.0
    assert epsilon == pytest.approx(pld_epsilon([Release(5.0, 1.0, sum(rounds))], 0.025))
    assert context.state["evaluation-round-1"]["threshold"] == 2.0


@pytest.mark.parametrize("carrier", ["he", "secagg"])
def test_client_level_noise_under_a_carrier_of_sums(run: Any, carrier: str) -> None:
    quiet = {"privacy.kind": f"dp-client+{carrier}", "privacy.bits": 16, "privacy.client.noise": 0.0}
    context, grid = run({**quiet, "privacy.client.clip": 1e3, "num-server-rounds": 1})
    plain, _ = run(
        {"privacy.kind": "dp-client", "privacy.client.noise": 0.0, "privacy.client.clip": 1e3, "num-server-rounds": 1}
    )
    step = 1e3 / (2**15 - 1) * 1.01
    for name, array in plain.state["global-model"].items():
        np.testing.assert_allclose(context.state["global-model"][name].numpy(), array.numpy(), atol=step)
    assert all("privacy-spent" not in reply.content for reply in trained(grid))


def test_both_levels_are_told_side_by_side(run: Any) -> None:
    context, _ = run({**DP, "privacy.kind": "dp-example+dp-client", "num-server-rounds": 1})
    assert {words.split(",")[0] for words in context.state["privacy-spent"]} == {"one example", "one client"}
    assert any("they are not added" in str(text) for text in context.state["notices"].values())
