# SPDX-License-Identifier: Apache-2.0
"""Merkle roots of the ledger in a contract of an Ethereum-like chain; needs the extra `evm`, and nothing else needs this."""
