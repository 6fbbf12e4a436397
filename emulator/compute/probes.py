"""What one unit of work takes on this machine: each probe does the work for real and returns seconds.

Times are medians over repetitions, after a warm-up: CPU seconds, which other processes on the machine disturb little, or wall
seconds where several threads work together. A probe whose library is not installed returns nothing, and the unit is then scaled
from other machines as for any profile.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np

STARTED: Final = "import torch, flwr.clientapp"
"""What a ClientApp process imports before its first line, where no app is named."""
FIRST_STEP: Final = """
import sys
if "torch" in sys.modules:
    import torch
    layers = torch.nn.Conv1d(1, 8, 5), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(96, 1)
    network = torch.nn.Sequential(*layers)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.zeros(8, 1, 16)).sum().backward()
    optimiser.step()
"""
"""PyTorch loads parts of itself at the first step of an optimiser; every process pays for it once."""
Clock = Callable[[], float]
_ELEMENTS: Final = 1_000_000


def median_s(
    action: Callable[[], object], *, least: int = 5, budget_s: float = 1.0, clock: Clock = time.process_time
) -> float:
    """Return the median seconds of ``action`` by ``clock``, over at least ``least`` repetitions and about ``budget_s``."""
    action()
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < least or time.perf_counter() - began < budget_s:
        before = clock()
        action()
        taken.append(clock() - before)
    return statistics.median(taken)


def process_start(statement: str = STARTED) -> tuple[float, int]:
    """Return CPU seconds and peak bytes of a process that carries out ``statement``, trains a few weights for one step, and ends.

    Raises:
        subprocess.CalledProcessError: The statement fails.
    """

    def start() -> None:
        subprocess.run([sys.executable, "-c", f"{statement}\n{FIRST_STEP}"], check=True)

    def children_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    seconds = median_s(start, least=3, budget_s=0.0, clock=children_s)
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def array_element() -> float:
    """Return seconds to add one float32 to a weighted sum and to serialise it."""
    total, update = np.zeros(_ELEMENTS, np.float32), np.ones(_ELEMENTS, np.float32)

    def aggregate() -> None:
        nonlocal total
        total += update * np.float32(0.1)
        total.tobytes()

    return median_s(aggregate) / _ELEMENTS


def sample() -> float:
    """Return seconds to fetch, stack and count one sample in Python, as a data loader does."""
    data, order = np.ones((4096, 256), np.float32), np.random.default_rng(1).permutation(4096)

    def epoch() -> None:
        for start in range(0, len(order), 32):
            np.stack([data[index] for index in order[start : start + 32].tolist()])

    return median_s(epoch) / len(order)


def signal_sample() -> float | None:
    """Return seconds to clean one raw sample: two median filters, a band-pass both ways, resampling."""
    try:
        from scipy import signal
    except ImportError:
        return None
    raw = np.random.default_rng(1).normal(size=60 * 360)
    band = signal.butter(4, (0.5, 40.0), btype="bandpass", fs=360, output="sos")

    def clean() -> None:
        baseline = signal.medfilt(signal.medfilt(raw, 73), 217)
        signal.resample_poly(signal.sosfiltfilt(band, raw - baseline), 25, 36)

    return median_s(clean) / len(raw)


def ciphertexts() -> dict[str, float]:
    """Return seconds per ciphertext encrypted, decrypted and added (CKKS, N = 8192, five primes of 218 bits together)."""
    try:
        import tenseal
    except ImportError:
        return {}
    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[50, 40, 40, 40, 48])
    context.global_scale = 2**40
    values = np.random.default_rng(1).normal(size=4096).tolist()
    one = tenseal.ckks_vector(context, values)
    return {
        "encrypted_ciphertexts": median_s(lambda: tenseal.ckks_vector(context, values)),
        "decrypted_ciphertexts": median_s(one.decrypt),
        "added_ciphertexts": median_s(lambda: one + one),
    }


def key_work() -> dict[str, float]:
    """Return seconds per masked element (AES-256-CTR), X25519 agreement with HKDF, and Ed25519 signature (mean of both sides)."""
    with suppress(ImportError):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        own, other = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
        signer, text = Ed25519PrivateKey.generate(), bytes(200)
        reader, signature = signer.public_key(), signer.sign(text)
        numbers = np.zeros(_ELEMENTS // 4, np.uint32)

        def mask() -> None:
            stream = Cipher(algorithms.AES(bytes(32)), modes.CTR(bytes(16))).encryptor().update(bytes(numbers.nbytes))
            np.add(numbers, np.frombuffer(stream, np.uint32))

        def agree() -> None:
            HKDF(hashes.SHA256(), 32, None, b"calibration").derive(own.exchange(other))

        signing_s = median_s(lambda: signer.sign(text)) + median_s(lambda: reader.verify(signature, text))
        return {
            "masked_elements": median_s(mask) / len(numbers),
            "key_agreements": median_s(agree),
            "signatures": signing_s / 2,
        }
    return {}
