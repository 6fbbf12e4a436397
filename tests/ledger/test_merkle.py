"""The Merkle tree against RFC 6962's own recursive definition, known answers, and proofs that must not hold."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgen.ledger.merkle import EMPTY_ROOT, Frontier, Tree, is_included, is_prefix, leaf_hash

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Leaves and roots of the test in the Certificate Transparency project, written by the authors of RFC 6962."""


def by_definition(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return hashlib.sha256(b"\1" + by_definition(entries[:k]) + by_definition(entries[k:])).digest()


def grown(entries: list[bytes]) -> Tree:
    tree = Tree()
    for index, entry in enumerate(entries):
        assert tree.append(entry) == index
    return tree


def test_known_roots() -> None:
    tree = grown(LEAVES)
    assert [tree.root(size).hex() for size in range(1, 9)] == ROOTS
    assert tree.root(0) == EMPTY_ROOT == by_definition([])


@given(st.lists(st.binary(max_size=4), max_size=70))
@settings(max_examples=40, deadline=None)
def test_roots_are_those_of_the_definition(entries: list[bytes]) -> None:
    tree, frontier = grown(entries), Frontier()
    for size in range(len(entries) + 1):
        assert tree.root(size) == frontier.root() == by_definition(entries[:size])
        if size < len(entries):
            frontier.append(leaf_hash(entries[size]))
            frontier = Frontier(frontier.size, frontier.hashes)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 21])
def test_every_inclusion_proof_holds_and_no_other(size: int) -> None:
    entries = [bytes([number]) for number in range(size)]
    tree = grown([*entries, b"later"])
    root = tree.root(size)
    for index, entry in enumerate(entries):
        proof = tree.inclusion_proof(index, size)
        assert is_included(entry, index, size, proof, root)
        assert not is_included(b"other", index, size, proof, root)
        assert not is_included(entry, index, size, [*proof, root], root)
        assert not is_included(entry, index + size, size, proof, root)
        for other in range(size):
            assert is_included(entry, other, size, proof, root) == (other == index)
        for cut in range(len(proof)):
            assert not is_included(entry, index, size, proof[:cut], root)


@given(st.integers(1, 60), st.data())
@settings(max_examples=60, deadline=None)
def test_consistency_proofs_hold_for_prefixes_only(size: int, data: st.DataObject) -> None:
    entries = [bytes([number]) for number in range(size)]
    old = data.draw(st.integers(0, size))
    tree = grown(entries)
    proof = tree.consistency_proof(old, size)
    assert is_prefix(old, tree.root(old), size, tree.root(), proof)
    if old:
        forked = grown([*entries[: old - 1], b"forged", *entries[old:]])
        assert not is_prefix(old, forked.root(old), size, tree.root(), proof)
        assert not is_prefix(old, tree.root(old), size, forked.root(), proof)
    for index in range(len(proof)):
        assert not is_prefix(old, tree.root(old), size, tree.root(), proof[:index] + proof[index + 1 :])
        wrong = bytes([proof[index][0] ^ 1]) + proof[index][1:]
        assert not is_prefix(old, tree.root(old), size, tree.root(), [*proof[:index], wrong, *proof[index + 1 :]])


def test_proofs_of_what_is_not_there_are_refused() -> None:
    tree = grown(LEAVES)
    for ask in (lambda: tree.root(9), lambda: tree.inclusion_proof(8), lambda: tree.consistency_proof(4, 3)):
        with pytest.raises(ValueError, match="the tree has 8 leaves"):
            ask()
