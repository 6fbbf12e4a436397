# SPDX-License-Identifier: Apache-2.0
"""Secure aggregation in the manner of Bonawitz et al. 2017 and Bell et al. 2020: the server learns a sum and nothing else.

| module | idea |
|---|---|
| `keys` | X25519 agreement, HKDF, sealing with AES-GCM |
| `shamir` | sharing a secret so that a threshold of the shares gives it back |
| `masks` | AES-256-CTR key streams that cancel in the sum |
| `graph` | who masks with whom, and how many must answer |
| `packing` | whole numbers modulo a power of two, packed |
| `words` | what the parties say to each other, as bytes |
| `client`, `server` | one side of one round each, without Flower |
"""
