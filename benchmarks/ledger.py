"""How many entries a second does the ledger take, and how long does a proof take?

`append` hashes an entry that was verified before into the Merkle tree; `verified` reads an entry, checks its signature and the
access rules and then appends, as coordinator, ledger nodes and auditor do; `audit` is a whole file with blocks, votes and seal.
Beside it the bare verification of a signature, which bounds it. Proofs are made and checked in a tree of all appended entries.
One process, and once beside it as many as there are cores. The last line is a JSON object with the figures.

usage: python benchmarks/ledger.py [--entries 200000] [--signed 20000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import statistics
import time

from fedgen.cores import usable_cores
from fedgen.ledger.audit import verify_bytes
from fedgen.ledger.coordinator import Coordinator
from fedgen.ledger.entries import Entry
from fedgen.ledger.merkle import Tree, is_included, is_prefix
from fedgen.ledger.node import Node
from fedgen.ledger.replica import Replica
from fedgen.privacy.identity import Identity, is_signed, new_identity

MEMBERS = 20


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def write(signed: int) -> tuple[Coordinator, list[Identity]]:
    """Return a ledger with about so many signed entries, in rounds of 20 institutions."""
    ledger, members = Coordinator(new_identity()), [new_identity() for _ in range(MEMBERS)]
    for number, member in enumerate(members):
        ledger.write("admit", 0, member=member.public.hex(), name=f"institution {number}")
    ledger.write("approve", 0, digest=digest("form"))
    ledger.close_block()
    nodes = [Node(member) for member in members]
    for server_round in range(1, 1 + signed // (2 * MEMBERS + 1)):
        for member in members:
            ledger.write(
                "model", server_round, member=member.public.hex(), digest=digest(server_round), about=digest("form")
            )
        for member in members:
            entry = Entry(
                kind="update", round=server_round, signer=member.public.hex(), digest=digest(member, server_round),
                about=digest(server_round), epsilon=0.1 * server_round,
            )  # fmt: skip
            ledger.take(entry.signed(member, ledger.replica.name).to_bytes())
        ledger.write("result", server_round, digest=digest(server_round + 1))
        ledger.close_block()
    for member, node in zip(members, nodes, strict=True):
        key = member.public.hex()
        ledger.take_votes(key, node.review(ledger.question_for(key)))
    return ledger, members


def signatures_per_s() -> int:
    """Return how many Ed25519 signatures the library verifies."""
    identity, text = new_identity(), bytes(500)
    signature = identity.sign(text)
    began = time.perf_counter()
    for _ in range(2000):
        assert is_signed(identity.public, signature, text)
    return round(2000 / (time.perf_counter() - began))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--signed", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, best of {options.repeats}\n")
    ledger, _ = write(options.signed)
    lines = [line[len(b'{"entry":') : -1] for line in ledger.lines if line.startswith(b'{"entry"')]

    append_s, verified_s, parallel_s, audit_s = [], [], [], []
    cores = usable_cores()
    data = ledger.to_bytes()
    for _ in range(options.repeats):
        tree = Tree()
        began = time.perf_counter()
        for number in range(options.entries):
            tree.append(lines[number % len(lines)])
        append_s.append(time.perf_counter() - began)
        replica = Replica()
        began = time.perf_counter()
        for line in lines:
            replica.take_entry(line)
        verified_s.append(time.perf_counter() - began)
        replica = Replica()
        began = time.perf_counter()
        replica.take_entries(lines, workers=cores)
        parallel_s.append(time.perf_counter() - began)
        began = time.perf_counter()
        assert verify_bytes(data, workers=cores).faults == ()
        audit_s.append(time.perf_counter() - began)

    chance, proofs, checks = random.Random(1), [], []
    root = tree.root()
    for _ in range(500):
        index, old = chance.randrange(len(tree)), chance.randrange(1, len(tree))
        began = time.perf_counter()
        path, prefix = tree.inclusion_proof(index), tree.consistency_proof(old)
        proofs.append(1e3 * (time.perf_counter() - began) / 2)
        old_root = tree.root(old)
        began = time.perf_counter()
        assert is_included(lines[index % len(lines)], index, len(tree), path, root)
        assert is_prefix(old, old_root, len(tree), root, prefix)
        checks.append(1e3 * (time.perf_counter() - began) / 2)
    figures = {
        "appends_per_s": round(options.entries / min(append_s)),
        "verified_appends_per_s": round(len(lines) / min(verified_s)),
        "verified_appends_all_cores_per_s": round(len(lines) / min(parallel_s)),
        "signatures_per_s": signatures_per_s(),
        "proof_ms": round(statistics.median(proofs), 4),
        "proof_worst_ms": round(max(proofs), 3),
        "check_ms": round(statistics.median(checks), 4),
        "audit_entries_per_s": round(len(lines) / min(audit_s)),
        "cores": cores,
        "entries": options.entries,
        "signed": len(lines),
    }
    print(f"append, verified before            {figures['appends_per_s']:>10,} entries/s   (asked: 100,000)")
    print(f"append with signature and rules    {figures['verified_appends_per_s']:>10,} entries/s   (asked: 10,000)")
    print(
        f"  the same on {cores} cores              {figures['verified_appends_all_cores_per_s']:>10,} entries/s   (asked: 10,000)"
    )
    print(f"  a signature alone                {figures['signatures_per_s']:>10,} /s")
    print(
        f"proof                              {figures['proof_ms']:>10} ms, worst {figures['proof_worst_ms']} (asked: 1)"
    )
    print(f"check of a proof                   {figures['check_ms']:>10} ms")
    print(f"audit of a file, with its votes    {figures['audit_entries_per_s']:>10,} entries/s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
