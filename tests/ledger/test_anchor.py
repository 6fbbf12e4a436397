# SPDX-License-Identifier: Apache-2.0
"""Roots on a chain: what the contract takes and refuses, and a whole run against it. Needs the extra `evm`, except where said."""

import json
from typing import Any

import pytest
from ledger_builder import Federation

from fedgen.anchor import __main__ as command
from fedgen.anchor import evm
from fedgen.config import ConfigError, parse_config
from fedgen.ledger.audit import block_roots
from fedgen.ledger.guard import LedgerGuard
from fedgen.ledger.replica import name_of

NAME = bytes(range(32))
ROOTS = ["11" * 32, "22" * 32, "33" * 32]


@pytest.fixture(scope="module")
def chain() -> Any:
    """A chain in this process."""
    pytest.importorskip("web3", reason="the extra evm is not installed")
    pytest.importorskip("vyper", reason="the extra evm is not installed")
    return evm.connect(evm.TESTER)


def anchored(chain: Any) -> evm.Anchor:
    anchor = evm.Anchor(chain, NAME)
    for root in ROOTS:
        anchor.put(root)
    return anchor


def test_roots_come_back_and_each_says_what_it_cost(chain: Any) -> None:
    anchor = anchored(chain)
    assert anchor.roots() == ROOTS
    told = json.loads(anchor.to_bytes())
    assert (told["contract"], told["waiting"]) == (anchor.address, 0)
    assert [block["root"] for block in told["blocks"]] == ROOTS
    assert all(21_000 < block["gas"] < 100_000 for block in told["blocks"])
    assert evm.Anchor(chain, NAME, anchor.address).roots() == ROOTS
    with pytest.raises(ConfigError, match="another ledger"):
        evm.Anchor(chain, bytes(32), anchor.address)


@pytest.mark.parametrize(("number", "sender"), [(1, 0), (4, 0), (3, 1)])
def test_a_root_is_written_once_in_order_and_by_the_coordinator(chain: Any, number: int, sender: int) -> None:
    anchor = anchored(chain)
    call = anchor._contract.functions.anchor(number, bytes(32))
    with pytest.raises(Exception, match="not the next block" if sender == 0 else "not the coordinator"):
        call.transact({"from": chain.eth.accounts[sender]})
    assert anchor.roots() == ROOTS


def test_a_chain_that_is_silent_gets_the_roots_later(chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    anchor = evm.Anchor(chain, NAME)

    def silent(call: Any) -> Any:
        raise ConnectionError("nobody there")

    with monkeypatch.context() as patch:
        patch.setattr(anchor, "_sent", silent)
        anchor.put(ROOTS[0])
        assert json.loads(anchor.to_bytes())["waiting"] == 1
    anchor.put(ROOTS[1])
    assert anchor.roots() == ROOTS[:2]


def test_a_run_leaves_its_roots_on_the_chain_and_a_changed_ledger_differs(
    chain: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    federation = Federation(3)
    federation.round(1)
    data = federation.ledger.to_bytes()
    first, roots = block_roots(data)
    anchor = evm.Anchor(chain, name_of(first))
    for root in roots:
        anchor.put(root)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "ledger.jsonl").write_bytes(data)
    (tmp_path / "kept" / evm.FILE).write_bytes(anchor.to_bytes())
    monkeypatch.setattr(command, "connect", lambda endpoint: chain)
    assert command.main([str(tmp_path), "http://127.0.0.1:8545"]) == 0
    assert "2 blocks, all as on the chain" in capsys.readouterr().out
    federation.round(2)
    changed = federation.ledger.to_bytes().replace(roots[1].encode(), b"0" * 64)
    (tmp_path / "kept" / "ledger.jsonl").write_bytes(changed)
    assert command.main([str(tmp_path), "http://127.0.0.1:8545"]) == 5
    printed = capsys.readouterr().out
    assert "block 1: the ledger says 0000000000000000" in printed
    assert "the ledger has 3 blocks, the chain 2" in printed


def test_the_guard_of_a_run_anchors_every_block(chain: Any) -> None:
    from flwr.app import ArrayRecord, Context, RecordDict

    from fedgen.ledger.access import parse_access
    from fedgen.privacy.frame import Talk

    class Nobody:
        def get_node_ids(self) -> list[int]:
            return []

        def send_and_receive(self, messages: list[Any], *, timeout: float | None = None) -> list[Any]:
            return []

    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    guard = LedgerGuard(parse_access("", ""), context, evm.TESTER)
    talk = Talk(Nobody(), 1, 1.0)  # type: ignore[arg-type]  # a Grid of which one method is called
    guard.prepare(talk, [], ArrayRecord())
    guard.conclude(talk, None)
    kept = context.state["kept-files"]
    _, roots = block_roots(kept["ledger.jsonl"])
    assert [block["root"] for block in json.loads(kept[evm.FILE])["blocks"]] == roots
    assert len(roots) == 2


def test_without_the_extra_one_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs with and without the extra."""

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(evm.importlib, "import_module", missing)
    with pytest.raises(
        ConfigError, match=r"needs packages of the extra `evm`; install them \(pip install -e '\.\[evm\]'\)"
    ):
        evm.connect(evm.TESTER)


def test_a_chain_without_a_ledger_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"privacy\.ledger\.evm: without ledger"):
        parse_config({"privacy.kind": "he", "privacy.ledger.evm": "tester", "min-replies": 2})
    assert parse_config({"privacy.kind": "ledger", "privacy.ledger.evm": "tester"}).privacy_ledger_evm == "tester"
