"""What does secure aggregation cost a client and the server, in time and in bytes?

One thread. `mask` is what a client does with its numbers once keys are agreed: its own mask and one for each neighbour. `client`
is all its cryptography of one round (keys, shares, seals, mask, signatures, packing), `server` the server's, with 30 % of the
clients dropped after sharing. Beside it the masks of Flower's own SecAgg+ (legacy API), made by its own function, and its 8 bytes
a number.
The last line is a JSON object with the figures.

usage: python benchmarks/privacy_secagg.py [--values 212128] [--clients 10 22 50 100 200] [--repeats 15]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen

from fedgen.privacy.identity import new_identity
from fedgen.privacy.secagg.client import SecAggClient
from fedgen.privacy.secagg.graph import rules
from fedgen.privacy.secagg.masks import add_masks
from fedgen.privacy.secagg.packing import levels_of, pack, sum_bits, unpack
from fedgen.privacy.secagg.server import SecAggServer

LARGEST = {8: 127, 16: 32767}


def median_ms(action: Callable[[], Any], repeats: int) -> float:
    """Return the median time of an action in milliseconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def mask_ms(values: int, neighbours: int, repeats: int) -> float:
    """Return the time of masking with so many neighbours."""
    keys = {place: os.urandom(32) for place in range(neighbours + 1)}
    levels = np.zeros(values, dtype=np.uint32)
    own = keys.pop(neighbours // 2)
    return median_ms(lambda: add_masks(levels, own=neighbours // 2, self_key=own, pair_keys=keys), repeats)


def flower_ms(values: int, neighbours: int, repeats: int) -> float:
    """Return the time of Flower's legacy masks: as many streams of 32-bit seeds."""
    keys = [os.urandom(32) for _ in range(neighbours + 1)]

    def masks() -> None:
        total = np.zeros(values, dtype=np.int64)
        for key in keys:
            total = total + pseudo_rand_gen(key, 1 << 32, [(values,)])[0]

    return median_ms(masks, repeats)


def play(clients: int, values: int) -> tuple[float, float]:
    """Return the seconds of one client and of the server in a round, checking the sum."""
    spent = {"client": 0.0, "server": 0.0}

    def timed(who: str, action: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = action()
        spent[who] += time.perf_counter() - began
        return result

    numbers = np.random.default_rng(1).integers(-LARGEST[16], LARGEST[16], values).astype(np.float64)
    parties = {node: SecAggClient(new_identity(), node, 1, secrets=None, known={}) for node in range(clients)}
    bits = sum_bits(LARGEST[16], clients)
    adverts = {node: timed("client", party.advertise) for node, party in parties.items()}
    server = timed("server", lambda: SecAggServer(1, adverts))
    asked = timed("server", server.ask_shares)
    shares = {node: timed("client", lambda n=node: parties[n].share(asked[n].first, asked[n].second)) for node in asked}
    timed("server", lambda: server.take_shares(shares))
    masked = timed("server", server.ask_masked)
    staying = list(masked)[math.floor(0.3 * clients) :]
    uploads = {
        node: timed("client", lambda n=node: pack(
            parties[n].mask(levels_of(numbers, LARGEST[16]), masked[n].first, masked[n].second), bits))
        for node in staying
    }  # fmt: skip
    timed("server", lambda: server.take_masked({n: unpack(data, values, bits) for n, data in uploads.items()}))
    agree = timed("server", server.ask_agreement)
    signed = {node: timed("client", lambda n=node: parties[n].agree(agree[n].first)) for node in agree}
    timed("server", lambda: server.take_agreement(signed))
    reveal = timed("server", server.ask_reveal)
    shown = {
        node: timed("client", lambda n=node: parties[n].reveal(reveal[n].first, reveal[n].second)) for node in reveal
    }
    timed("server", lambda: server.take_revealed(shown))
    total = timed("server", server.total)
    expected = levels_of(numbers, LARGEST[16]) * np.uint32(len(staying))
    assert np.array_equal(total & np.uint32(2**bits - 1), expected & np.uint32(2**bits - 1))
    return spent["client"] / clients, spent["server"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=212_128)
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 22, 50, 100, 200])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    values, repeats = options.values, options.repeats
    print(
        f"{values:,} numbers; Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}, one thread\n"
    )
    ours, theirs = mask_ms(values, 10, repeats), flower_ms(values, 10, max(3, repeats // 3))
    print(f"masking with 10 neighbours: {ours:.2f} ms (asked: 10 ms); Flower's legacy masks: {theirs:.1f} ms\n")
    print("clients  neighbours  threshold  quorum  mask ms  client s  server s  8 bits x fp32  16 bits x fp32")
    rows = []
    for clients in options.clients:
        rule = rules(clients)
        upload = {bits: sum_bits(largest, clients) / 32 for bits, largest in LARGEST.items()}
        mask = mask_ms(values, rule.neighbours, repeats)
        client_s, server_s = play(clients, values)
        rows.append(
            {"clients": clients, "neighbours": rule.neighbours, "threshold": rule.threshold, "quorum": rule.quorum,
             "mask_ms": round(mask, 2), "client_s": round(client_s, 4), "server_s": round(server_s, 3),
             "upload_8_bits": round(upload[8], 4), "upload_16_bits": round(upload[16], 4)}
        )  # fmt: skip
        print(
            f"{clients:7d}  {rule.neighbours:10d}  {rule.threshold:9d}  {rule.quorum:6d}  {mask:7.2f}  {client_s:8.3f}  "
            f"{server_s:8.2f}  {upload[8]:13.3f}  {upload[16]:14.3f}"
        )
    print("\nFlower's legacy SecAgg+ sends 8 bytes a number: 2.0 x fp32")
    print(
        json.dumps(
            {"values": values, "mask_10_ms": round(ours, 2), "flower_mask_10_ms": round(theirs, 2), "rounds": rows}
        )
    )


if __name__ == "__main__":
    main()
