# pragma version ^0.4.0
# SPDX-License-Identifier: Apache-2.0
# One Merkle root per block of an audit ledger, written once and never again.

event Anchored:
    number: indexed(uint256)
    root: bytes32

owner: public(immutable(address))
ledger: public(immutable(bytes32))
count: public(uint256)
roots: HashMap[uint256, bytes32]


@deploy
def __init__(name: bytes32):
    owner = msg.sender
    ledger = name


@external
def anchor(number: uint256, root: bytes32):
    assert msg.sender == owner, "not the coordinator"
    assert number == self.count, "not the next block"
    self.roots[number] = root
    self.count = number + 1
    log Anchored(number=number, root=root)


@external
@view
def root_of(number: uint256) -> bytes32:
    assert number < self.count, "no such block"
    return self.roots[number]
