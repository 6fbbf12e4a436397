# SPDX-License-Identifier: Apache-2.0
"""The ledger as a text file: a line of canonical JSON for each entry, block and vote, and a seal over all of them at the end."""

import hashlib
from dataclasses import asdict
from typing import Any

from fedgen.ledger.blocks import Block
from fedgen.ledger.entries import LedgerError, canonical, is_hex, read_canonical
from fedgen.privacy.identity import Identity

LINES = ("entry", "block", "vote", "seal")
ENTRY_START = b'{"entry":'


def entry_line(entry: bytes) -> bytes:
    """Return the line of an entry in canonical form."""
    return ENTRY_START + entry + b"}"


def block_line(block: Block) -> bytes:
    """Return the line of a block."""
    return canonical({"block": asdict(block)})


def vote_line(number: int, member: str, vote: bytes) -> bytes:
    """Return the line of a vote for block `number`."""
    return canonical({"vote": {"block": number, "member": member, "signature": vote.hex()}})


def seal_line(lines: list[bytes], coordinator: Identity) -> bytes:
    """Return the line that ends a ledger: the coordinator's signature over everything before."""
    digest = seal_digest(lines)
    signature = coordinator.sign(b"fedgen ledger seal" + bytes.fromhex(digest))
    return canonical({"seal": {"lines": len(lines), "digest": digest, "signature": signature.hex()}})


def seal_digest(lines: list[bytes]) -> str:
    """Return the SHA-256 over lines with their ends, as hex."""
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def read_line(line: bytes) -> tuple[str, Any]:
    """Return what a line is, and its plain data.

    Raises:
        LedgerError: It is nothing a ledger holds.
    """
    value = read_canonical(line)
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in LINES:
        raise LedgerError("a line that is neither entry nor block, vote or seal")
    ((kind, content),) = value.items()
    fields = {
        "vote": ({"block": int}, {"member": 64, "signature": 128}),
        "seal": ({"lines": int}, {"digest": 64, "signature": 128}),
    }
    if kind in fields:
        numbers, texts = fields[kind]
        if (
            not isinstance(content, dict)
            or set(content) != {*numbers, *texts}
            or any(type(content[name]) is not kind_of for name, kind_of in numbers.items())
            or any(
                type(content[name]) is not str or not is_hex(content[name], (length,)) for name, length in texts.items()
            )
        ):
            raise LedgerError(f"a {kind} with other fields than a {kind} has")
    return kind, content


def entry_of(line: bytes) -> bytes:
    """Return the entry in the line of one."""
    return line[len(ENTRY_START) : -1]
