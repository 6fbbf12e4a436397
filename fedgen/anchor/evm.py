# SPDX-License-Identifier: Apache-2.0
"""One Merkle root per block of the ledger, written into a contract (`anchor.vy`) that takes each block's once.

What it adds: the coordinator cannot rewrite the ledger's past for those who trust the chain, not even together with all
institutions. What it does not: it says nothing about whether entries are true. The chain is outside the emulated network: what it
costs in time is not in any round.

    tester                 a chain in this process (eth-tester); gone with it
    http://HOST:PORT       a node's JSON-RPC, with an account that it signs for itself (geth --dev, anvil, hardhat)
"""

import importlib
import json
from functools import lru_cache
from importlib.resources import files
from logging import WARNING
from typing import Any

from flwr.common.logger import log

from fedgen.errors import ConfigError

TESTER = "tester"
EXTRA = "privacy.ledger.evm needs packages of the extra `evm`; install them (pip install -e '.[evm]') or leave it empty"
FILE = "anchors.json"


def connect(endpoint: str) -> Any:
    """Return a web3 connection to a chain.

    Raises:
        ConfigError: The extra is not installed, nobody answers, or the node has no account to sign with.
    """
    try:
        web3 = importlib.import_module("web3")
        provider = web3.EthereumTesterProvider() if endpoint == TESTER else web3.HTTPProvider(endpoint)
    except ImportError as error:
        raise ConfigError(f"{EXTRA} ({error})") from error
    chain = web3.Web3(provider)
    if not chain.is_connected():
        raise ConfigError(f"privacy.ledger.evm: no chain answers at {endpoint!r}; start one there or leave it empty")
    if not chain.eth.accounts:
        raise ConfigError(
            f"privacy.ledger.evm: the node at {endpoint!r} signs for no account; give it one (geth --dev)"
        )
    return chain


@lru_cache(maxsize=1)
def compiled() -> dict[str, Any]:
    """Return interface and code of the contract.

    Raises:
        ConfigError: The extra is not installed.
    """
    try:
        vyper = importlib.import_module("vyper")
    except ImportError as error:
        raise ConfigError(f"{EXTRA} ({error})") from error
    source = (files("fedgen.anchor") / "anchor.vy").read_text()
    return dict(vyper.compile_code(source, output_formats=["abi", "bytecode"]))


class Anchor:
    """The contract of one ledger.

    Attributes:
        address: Where it is on the chain.
        receipts: Transaction and gas of each block anchored, in order.
    """

    def __init__(self, chain: Any, name: bytes, address: str = "") -> None:
        """Create the contract, or find it at an address.

        Args:
            chain: From `connect`.
            name: The ledger's name, 32 bytes.
            address: Of a contract made before.

        Raises:
            ConfigError: The contract there belongs to another ledger.
        """
        self._chain = chain
        self._owner = chain.eth.accounts[0]
        self._pending: list[bytes] = []
        self.receipts: list[dict[str, Any]] = []
        code = compiled()
        if not address:
            made = chain.eth.contract(abi=code["abi"], bytecode=code["bytecode"]).constructor(name)
            address = str(self._sent(made)["contractAddress"])
        self.address = address
        self._contract = chain.eth.contract(address=address, abi=code["abi"])
        if bytes(self._contract.functions.ledger().call()) != name:
            raise ConfigError(f"the contract at {address} belongs to another ledger")

    def put(self, root: str) -> None:
        """Anchor the next block's root; where the chain does not answer, with the next ones."""
        self._pending.append(bytes.fromhex(root))
        while self._pending:
            try:
                call = self._contract.functions.anchor(len(self.receipts), self._pending[0])
                receipt = self._sent(call)
            except OSError as error:  # requests' errors are of this kind
                log(WARNING, "ledger: %d roots wait for the chain: %s", len(self._pending), error)
                return
            self._pending.pop(0)
            self.receipts.append(
                {"root": root_of(receipt, self._contract), "transaction": receipt["transactionHash"].hex(),
                 "gas": int(receipt["gasUsed"])}
            )  # fmt: skip

    def roots(self) -> list[str]:
        """Return the roots that the contract holds, as hex."""
        count = self._contract.functions.count().call()
        return [bytes(self._contract.functions.root_of(number).call()).hex() for number in range(count)]

    def to_bytes(self) -> bytes:
        """Return what a reader needs to find the roots again, as JSON."""
        told = {
            "chain": int(self._chain.eth.chain_id), "contract": self.address, "waiting": len(self._pending),
            "blocks": self.receipts,
        }  # fmt: skip
        return (json.dumps(told, indent=2) + "\n").encode()

    def _sent(self, call: Any) -> Any:
        return self._chain.eth.wait_for_transaction_receipt(call.transact({"from": self._owner}))


def root_of(receipt: Any, contract: Any) -> str:
    """Return the root that a transaction's own event tells, as hex."""
    (event,) = contract.events.Anchored().process_receipt(receipt)
    return bytes(event["args"]["root"]).hex()


def differences(anchored: list[str], blocks: list[str]) -> list[str]:
    """Return in words where a ledger's block roots differ from those on a chain; the first first."""
    found = [
        f"block {number}: the ledger says {own[:16]}, the chain {other[:16]}"
        for number, (own, other) in enumerate(zip(blocks, anchored, strict=False))
        if own != other
    ]
    if len(blocks) != len(anchored):
        found.append(f"the ledger has {len(blocks)} blocks, the chain {len(anchored)}")
    return found
