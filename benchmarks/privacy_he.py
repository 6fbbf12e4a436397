# SPDX-License-Identifier: Apache-2.0
"""What does encryption cost in bytes and in time, against floats and against TenSEAL's usual tutorial setting?

One contribution of the app's own model, packed and encrypted in each setting, a sum of as many as there are clients, and its
decryption. Every sum is compared with the sum in the open. Best of several repetitions; one core.

    python benchmarks/privacy_he.py --clients 10 100
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tenseal as ts

from fedgen import task
from fedgen.config import AppConfig
from fedgen.privacy.bfv import BfvScheme, choose_parameters, new_key
from fedgen.privacy.packing import pack_fields, unpack_fields
from fedgen.privacy.vectors import TAIL

CKKS_SETTINGS = {
    "tutorial": (8192, [60, 40, 40, 60], 2**40),
    "smallest": (4096, [30, 30], 2**23),
}


def best_s(action: Callable[[], object], repetitions: int) -> float:
    """Return the least seconds of several calls."""
    times = []
    for _ in range(repetitions):
        begin_s = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin_s)
    return min(times)


def bfv(length: int, bits: int, clients: int, repetitions: int) -> dict[str, Any]:
    """Measure packed, seeded BFV."""
    largest = 2 ** (bits - 1) - 1
    parameters = choose_parameters(length, largest=largest, addends=clients)
    scheme, key, random = BfvScheme(parameters), new_key(), np.random.default_rng(0)
    form = {"largest": largest, "bits": parameters.field_bits, "per_word": parameters.per_word}
    vectors = [random.integers(-largest, largest + 1, length) for _ in range(clients)]
    sealed = [scheme.encrypt(pack_fields(vector, **form), key) for vector in vectors]
    added = scheme.add(sealed)
    total = unpack_fields(scheme.decrypt(added, key), count=length, addends=clients, **form)
    return {
        "setting": f"BFV {bits} bits, N {parameters.degree}, {parameters.per_word} per coefficient",
        "clients": clients,
        "upload_bytes": len(sealed[0]),
        "sum_bytes": len(added),
        "key_bytes": len(key),
        "encrypt_s": best_s(lambda: scheme.encrypt(pack_fields(vectors[0], **form), key), repetitions),
        "add_s": best_s(lambda: scheme.add(sealed), 2) / clients,
        "decrypt_s": best_s(lambda: scheme.decrypt(added, key), repetitions),
        "largest_error": float(np.max(np.abs(total - np.sum(vectors, axis=0)))),
    }


def ckks(length: int, name: str, clients: int, repetitions: int) -> dict[str, Any]:
    """Measure TenSEAL's CKKS vectors, one per ciphertext's worth of values."""
    degree, primes, scale = CKKS_SETTINGS[name]
    kind = ts.ENCRYPTION_TYPE.ASYMMETRIC if name == "tutorial" else ts.ENCRYPTION_TYPE.SYMMETRIC
    context = ts.context(ts.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=primes, encryption_type=kind)
    context.global_scale = scale
    if name == "tutorial":
        context.generate_galois_keys()
    random = np.random.default_rng(0)
    vectors = [random.normal(0, 0.02, length) for _ in range(clients)]
    parts = np.arange(degree // 2, length, degree // 2)

    def encrypt(vector: Any) -> list[bytes]:
        return [ts.ckks_vector(context, part.tolist()).serialize() for part in np.split(vector, parts)]

    def add(messages: list[list[bytes]]) -> list[Any]:
        sums = [ts.ckks_vector_from(context, part) for part in messages[0]]
        for message in messages[1:]:
            sums = [total + ts.ckks_vector_from(context, part) for total, part in zip(sums, message, strict=True)]
        return sums

    sealed = [encrypt(vector) for vector in vectors]
    sums = add(sealed)
    total = np.concatenate([part.decrypt() for part in sums])
    key_bytes = len(context.serialize(save_secret_key=True, save_galois_keys=name == "tutorial"))
    return {
        "setting": f"CKKS {name}, N {degree}, primes {primes}",
        "clients": clients,
        "upload_bytes": sum(map(len, sealed[0])),
        "sum_bytes": sum(len(part.serialize()) for part in sums),
        "key_bytes": key_bytes,
        "encrypt_s": best_s(lambda: encrypt(vectors[0]), repetitions),
        "add_s": best_s(lambda: add(sealed), 2) / clients,
        "decrypt_s": best_s(lambda: [part.decrypt() for part in sums], repetitions),
        "largest_error": float(np.max(np.abs(total / clients - np.mean(vectors, axis=0)))),
    }


def main() -> None:
    """Print the table, the conditions and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    weights = sum(weight.numel() for weight in task.new_model(AppConfig()).parameters())
    float_bytes, length = 4 * weights, weights + TAIL
    rows = []
    for clients in options.clients:
        rows += [bfv(length, bits, clients, options.repetitions) for bits in (8, 16)]
    rows += [ckks(length, name, options.clients[0], options.repetitions) for name in CKKS_SETTINGS]
    print(f"{weights} weights, {float_bytes} bytes as 32-bit floats; Python {platform.python_version()}, one core")
    print(
        f"{'setting':<52}{'clients':>8}{'upload':>9}{'sum':>8}{'key kB':>9}{'encrypt':>9}{'add':>9}{'decrypt':>9}{'error':>10}"
    )
    for row in rows:
        print(
            f"{row['setting']:<52}{row['clients']:>8}{row['upload_bytes'] / float_bytes:>8.2f}x"
            f"{row['sum_bytes'] / float_bytes:>7.2f}x{row['key_bytes'] / 1000:>9.1f}{1e3 * row['encrypt_s']:>7.1f}ms"
            f"{1e3 * row['add_s']:>7.1f}ms{1e3 * row['decrypt_s']:>7.1f}ms{row['largest_error']:>10.1e}"
        )
    print(json.dumps({"weights": weights, "float_bytes": float_bytes, "rows": rows}))


if __name__ == "__main__":
    main()
