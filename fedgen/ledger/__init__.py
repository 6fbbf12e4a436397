# SPDX-License-Identifier: Apache-2.0
"""An append-only, signed log of every model exchange, kept by the coordinator and confirmed by the institutions.

| module | idea |
|---|---|
| `merkle` | the tree of RFC 6962: roots, inclusion and consistency proofs |
| `entries` | one signed statement: who, which round, the digest of what was sent, privacy spent |
| `rules` | who may write what: membership, approved models, revocation |
| `blocks` | a round's entries closed under one root, and the votes that confirm it |
| `book` | the whole ledger as a text file, one line per entry and block |
| `coordinator` | writes the ledger |
| `node` | an institution's ledger node: checks every block and votes |
| `guard`, `stamps` | both as Flower messages |
| `audit` | checks a ledger that lies in a run folder |
"""
