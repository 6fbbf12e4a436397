# SPDX-License-Identifier: Apache-2.0
"""Checks a ledger that lies in a run folder, with nothing but the files: every line, every signature, every rule, every vote.

What it cannot see: a ledger that its coordinator wrote anew from the start together with enough institutions' keys. Whoever knows
the ledger's name from elsewhere (`Audit.name`) sees that too.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedgen.cores import usable_cores
from fedgen.ledger.batch import right_signatures
from fedgen.ledger.blocks import Block, block_from, quorum
from fedgen.ledger.book import ENTRY_START, entry_of, read_line, seal_digest
from fedgen.ledger.entries import LedgerError, named_digest
from fedgen.ledger.replica import Replica, name_of
from fedgen.privacy.identity import is_signed

FILE = "ledger.jsonl"
PLACES = (f"kept/{FILE}", FILE)


@dataclass(frozen=True)
class Audit:
    """What an audit has found.

    Attributes:
        faults: What is wrong, the first first; empty where everything is right.
        notices: What is right but worth knowing.
        summary: One line.
        name: The ledger's name: SHA-256 of its first entry, as hex; empty where there is none.
    """

    faults: tuple[str, ...]
    notices: tuple[str, ...]
    summary: str
    name: str = ""


def verify(run: Path) -> Audit:
    """Return what is wrong with the ledger of a run, and with the run's models against it.

    Args:
        run: Run folder with `kept/ledger.jsonl`, and optionally `weights/round-*.safetensors`.
    """
    path = next((run / place for place in PLACES if (run / place).is_file()), None)
    if path is None:
        return Audit((f"{run} holds no ledger: run with privacy.kind that includes ledger",), (), "no ledger")
    return verify_bytes(path.read_bytes(), dict(_models(run / "weights")), workers=usable_cores())


def verify_bytes(data: bytes, models: dict[int, str] | None = None, *, workers: int = 1) -> Audit:
    """Return what is wrong with a ledger.

    Args:
        data: The file.
        models: Digest of the global model after each round, by round; those are looked for in the ledger.
        workers: Processes that check signatures of entries.
    """
    checker = _Checker(models or {}, _signatures(data, workers))
    faults: list[str] = []
    try:
        for number, line in _lines(data):
            try:
                checker.take(line)
            except LedgerError as error:
                raise LedgerError(f"line {number}: {error}") from error
        checker.finish()
    except LedgerError as error:
        faults.append(str(error))
    return checker.result(faults)


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    if not data.endswith(b"\n"):
        raise LedgerError("the file is cut off: its last line has no end")
    yield from enumerate(data[:-1].split(b"\n"), start=1)


def block_roots(data: bytes) -> tuple[bytes, list[str]]:
    """Return the first entry of a ledger's file, which names it, and the Merkle roots of its blocks, unchecked."""
    lines = data.splitlines()
    first = next((entry_of(line) for line in lines if line.startswith(ENTRY_START)), b"")
    return first, [read_line(line)[1]["root"] for line in lines if line.startswith(b'{"block"')]


def _signatures(data: bytes, workers: int) -> Iterator[bool]:
    """Yield for each entry in a file whether its signature is right; False tells nothing: the entry is looked at again."""
    entries = [entry_of(line) for line in data.split(b"\n") if line.startswith(ENTRY_START)]
    yield from [False] * len(entries[:1])  # the first names the ledger and is bound to none
    yield from right_signatures(entries[1:], name_of(entries[0]) if entries else b"", workers=workers)


class _Checker:
    """Follows a ledger line by line."""

    def __init__(self, models: dict[int, str], signatures: Iterator[bool]) -> None:
        self.replica = Replica()
        self.models = models
        self.signatures = signatures
        self.blocks: list[Block] = []
        self.electorates: list[list[str]] = []
        self.votes: list[set[str]] = []
        self.results: dict[int, str] = {}
        self.lines: list[bytes] = []
        self.updates = 0
        self.is_sealed = False

    def take(self, line: bytes) -> None:
        if self.is_sealed:
            raise LedgerError("something stands after the seal")
        kind, content = read_line(line)
        if kind == "entry":
            entry = self.replica.take_entry(entry_of(line), is_verified=next(self.signatures, False))
            self.updates += entry.kind == "update"
            if entry.kind == "result":
                self.results[entry.round] = entry.digest
                if self.models.get(entry.round, entry.digest) != entry.digest:
                    raise LedgerError(f"the model kept after round {entry.round} is not the one stated")
        elif kind == "block":
            block = block_from(content)
            self.replica.take_block(block)
            self.blocks.append(block)
            self.electorates.append(self.replica.rules.electorate())
            self.votes.append(set())
        elif kind == "vote":
            self._take_vote(content["block"], content["member"], bytes.fromhex(content["signature"]))
        else:
            self._take_seal(content)
        self.lines.append(line)

    def _take_vote(self, number: int, member: str, vote: bytes) -> None:
        if not 0 <= number < len(self.blocks):
            raise LedgerError(f"a vote for block {number}, which does not exist")
        if member not in self.electorates[number] or member in self.votes[number]:
            raise LedgerError(f"a vote for block {number} by {member[:12]}, who has none (left)")
        if not self.blocks[number].is_voted_by(member, vote):
            raise LedgerError(f"the vote of {member[:12]} for block {number} is forged")
        self.votes[number].add(member)

    def _take_seal(self, seal: dict[str, object]) -> None:
        digest, signature = str(seal["digest"]), bytes.fromhex(str(seal["signature"]))
        if seal["lines"] != len(self.lines) or digest != seal_digest(self.lines):
            raise LedgerError("the seal is over other lines than stand before it")
        if not is_signed(
            bytes.fromhex(self.replica.rules.coordinator), signature, b"fedgen ledger seal" + bytes.fromhex(digest)
        ):
            raise LedgerError("the seal is not the coordinator's")
        self.is_sealed = True

    def finish(self) -> None:
        if not self.is_sealed:
            raise LedgerError(f"the ledger has no seal after line {len(self.lines)}: its end is missing")
        if self.replica.closed != self.replica.frontier.size:
            raise LedgerError("entries at the end belong to no block")
        for number in sorted(self.models):
            if number > 0 and number not in self.results:
                raise LedgerError(f"a model was kept after round {number}, of which the ledger says nothing")

    @property
    def confirmed(self) -> int:
        """Blocks confirmed by a quorum, their own or a later one's."""
        whole = [n for n, votes in enumerate(self.votes) if len(votes) >= quorum(len(self.electorates[n]))]
        return max(whole, default=-1) + 1

    def result(self, faults: list[str]) -> Audit:
        notices = []
        if not faults and self.confirmed < len(self.blocks):
            late = len(self.blocks) - self.confirmed
            notices.append(
                f"the last {late} blocks still lack votes: not enough institutions could be reached after them"
            )
        members = len(self.replica.rules.members)
        summary = (
            f"{self.replica.frontier.size} entries ({self.updates} updates) of {members} institutions in "
            f"{len(self.blocks)} blocks, {self.confirmed} confirmed"
        )
        return Audit(tuple(faults), tuple(notices), summary, self.replica.name.hex())


_TYPES = {"F32": "float32", "F64": "float64", "F16": "float16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
          "U8": "uint8", "BOOL": "bool"}  # fmt: skip


def _models(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield (round, digest) of the models in a folder of safetensors files, read without any library."""
    for path in sorted(folder.glob("round-*.safetensors")) if folder.is_dir() else []:
        yield int(path.stem.removeprefix("round-")), file_digest(path.read_bytes())


def file_digest(data: bytes) -> str:
    """Return the digest of the arrays in a safetensors file, as `fedgen.ledger.entries.arrays_digest` would.

    Raises:
        LedgerError: The file is damaged.
    """
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        body = data[8 + length :]
        arrays = {
            name: (_TYPES[about["dtype"]], tuple(about["shape"]), body[slice(*about["data_offsets"])])
            for name, about in header.items()
            if name != "__metadata__"
        }
    except (struct.error, KeyError, TypeError, ValueError, AttributeError) as error:
        raise LedgerError(f"a file of weights is damaged: {error}") from error
    return named_digest(arrays)
