# SPDX-License-Identifier: Apache-2.0
"""The carriers of encrypted contributions: sums that the server adds and cannot read, by BFV or CKKS.

Upload: seeded ciphertexts. After adding, the server sends the sum to a key holder, which decrypts it and returns the sums
of the numbers; so one more exchange with one node ends each round, and the new model travels in the clear as ever.
"""

from collections.abc import Mapping
from logging import WARNING
from typing import cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, RecordDict
from flwr.common.logger import log
from numpy.typing import NDArray

from fedgen.config import AppConfig
from fedgen.privacy import ckks
from fedgen.privacy.bfv import BfvParameters, BfvScheme, choose_parameters
from fedgen.privacy.frame import Call, Sealed, Sum, Talk
from fedgen.privacy.he_keys import KeyRing, epoch_key
from fedgen.privacy.packing import bytes_to_words, pack_fields, unpack_fields, words_to_bytes
from fedgen.privacy.vectors import read_array
from fedgen.work import WORK_REPORT, WorkReport

CIPHERTEXTS = "ciphertexts"
SUMS = "sums"
OPEN = "he_open"


class BfvCarrier:
    """The server's half: adds ciphertexts, and has a key holder decrypt the sum.

    A contribution of another length than the parameters ask for is left out; what else a client puts into a ciphertext
    cannot be seen.
    """

    is_exact = True

    def __init__(self, config: AppConfig, largest: int) -> None:
        """Start without keys.

        Args:
            config: The settings.
            largest: Bound of the numbers in a contribution.
        """
        self.largest = largest
        self.keys = KeyRing(authority=config.privacy_he_authority, leave_after=config.privacy_he_leave_after)
        self._work = WorkReport()

    def prepare(self, talk: Talk, nodes: list[int]) -> list[int]:
        """Deal keys; return the nodes that hold the current one."""
        return self.keys.prepare(talk, nodes)

    def brief(self, node: int) -> ConfigRecord:
        """Return the epoch, and how many contributions a sum may have, from which the parameters follow."""
        return ConfigRecord({"epoch": self.keys.epoch, "cohort": self.keys.cohort, "largest": self.largest})

    def total(self, talk: Talk, sealed: Mapping[int, ArrayRecord], length: int) -> Sum | None:
        """Return the sum of the contributions of the right length, or None where no key holder decrypts it."""
        parameters = choose_parameters(length, largest=self.largest, addends=self.keys.cohort)
        count = parameters.ciphertexts(length)
        read = {node: _bytes_of(record, CIPHERTEXTS) for node, record in sealed.items()}
        good = {node: data for node, data in read.items() if len(data) == count * parameters.fresh_bytes}
        good = {node: good[node] for node in list(good)[: self.keys.cohort]}
        if not good:
            return None
        added = BfvScheme(parameters).add(list(good.values()))
        self._work = self._work.plus(WorkReport(added_ciphertexts=count * len(good) * parameters.work))
        words = self._opened(talk, added, parameters, list(good))
        if words is None:
            return None
        sums = unpack_fields(
            words, largest=self.largest, bits=parameters.field_bits, per_word=parameters.per_word, count=length,
            addends=len(good),
        )  # fmt: skip
        return Sum(sums.astype(np.float64), tuple(good))

    def _opened(
        self, talk: Talk, added: bytes, parameters: BfvParameters, awake: list[int]
    ) -> NDArray[np.uint64] | None:
        """Return the words of a sum that a key holder has decrypted."""
        words = len(added) // parameters.sum_bytes * parameters.degree
        wanted = -(-words * parameters.plain_bits // 8)
        data = self.ask_to_open(talk, added, _as_config(parameters), awake, wanted_bytes=wanted)
        return None if data is None else bytes_to_words(data, parameters.plain_bits, words)

    def ask_to_open(
        self, talk: Talk, added: bytes, form: dict[str, int], awake: list[int], *, wanted_bytes: int
    ) -> bytes | None:
        """Have one key holder after the other try to decrypt a sum; return the first answer of the right length."""
        brief = ConfigRecord({"epoch": self.keys.epoch, **form})
        for node in self.keys.openers(awake):
            content = RecordDict({OPEN: _record(CIPHERTEXTS, added), f"{OPEN}-brief": brief})
            answer = talk.ask(OPEN, {node: content}).get(node)
            data = b"" if answer is None else _bytes_of(answer.array_records.get(OPEN, ArrayRecord()), SUMS)
            if len(data) == wanted_bytes:
                return data
            log(WARNING, "node %d does not decrypt the sum; asking the next", node)
        return None

    def work(self) -> WorkReport:
        """Return the additions since the last call."""
        done, self._work = self._work, WorkReport()
        return done


def seal(call: Call, values: NDArray[np.float64], brief: ConfigRecord) -> Sealed:
    """Encrypt a contribution of whole numbers with the epoch's key."""
    largest = cast(int, brief["largest"])
    parameters = choose_parameters(len(values), largest=largest, addends=cast(int, brief["cohort"]))
    key = epoch_key(call.context, cast(int, brief["epoch"]))
    words = pack_fields(
        values.astype(np.int64), largest=largest, bits=parameters.field_bits, per_word=parameters.per_word
    )
    data = BfvScheme(parameters).encrypt(words, key)
    count = parameters.ciphertexts(len(values))
    return Sealed(_record(CIPHERTEXTS, data), WorkReport(encrypted_ciphertexts=count * parameters.work))


class CkksCarrier(BfvCarrier):
    """The same with CKKS: floats, and sums that are nearly right."""

    is_exact = False

    def total(self, talk: Talk, sealed: Mapping[int, ArrayRecord], length: int) -> Sum | None:
        """Return the sum of the contributions of the right length, or None where no key holder decrypts it."""
        count = ckks.count_for(length)
        read = {node: _bytes_of(record, CIPHERTEXTS) for node, record in sealed.items()}
        good = {node: data for node, data in read.items() if ckks.is_row(data, count)}
        good = {node: good[node] for node in list(good)[: self.keys.cohort]}
        if not good:
            return None
        added = ckks.add(list(good.values()))
        self._work = self._work.plus(WorkReport(added_ciphertexts=count * len(good) * ckks.WORK))
        data = self.ask_to_open(talk, added, {}, list(good), wanted_bytes=4 * length)
        if data is None:
            return None
        return Sum(np.frombuffer(data, "<f4").astype(np.float64), tuple(good))


def seal_floats(call: Call, values: NDArray[np.float64], brief: ConfigRecord) -> Sealed:
    """Encrypt a contribution of floats with the epoch's key.

    Raises:
        ValueError: A value is so large that a sum could wrap around.
    """
    largest = float(np.max(np.abs(values)))
    if largest * cast(int, brief["cohort"]) > ckks.LARGEST_SUM:
        raise ValueError(
            f"a value of {largest:g} in the update could make a sum beyond {ckks.LARGEST_SUM:g}; use privacy.he.scheme=bfv"
        )
    data = ckks.encrypt(values, epoch_key(call.context, cast(int, brief["epoch"])))
    return Sealed(_record(CIPHERTEXTS, data), WorkReport(encrypted_ciphertexts=ckks.count_for(len(values)) * ckks.WORK))


def answer_open(context: Context, content: RecordDict, config: AppConfig) -> RecordDict:
    """Decrypt a sum with the epoch's key and return its words, or its floats."""
    brief = content.config_records[f"{OPEN}-brief"]
    added = _bytes_of(content.array_records[OPEN], CIPHERTEXTS)
    key = epoch_key(context, cast(int, brief["epoch"]))
    if config.privacy_he_scheme == "ckks":
        data = ckks.decrypt(added, key).astype("<f4").tobytes()
        done = len(added) // ckks.CIPHERTEXT_BYTES * ckks.WORK
    else:
        form = {name: cast(int, brief[name]) for name in _as_config(BfvParameters(0, 0, 0, 0))}
        parameters = BfvParameters(**form)
        data = words_to_bytes(BfvScheme(parameters).decrypt(added, key), parameters.plain_bits)
        done = len(added) // parameters.sum_bytes * parameters.work
    report = WorkReport(decrypted_ciphertexts=done).to_record()
    return RecordDict({OPEN: _record(SUMS, data), WORK_REPORT: report})


def _as_config(parameters: BfvParameters) -> dict[str, int]:
    return {
        "degree": parameters.degree,
        "prime_bits": parameters.prime_bits,
        "field_bits": parameters.field_bits,
        "per_word": parameters.per_word,
    }


def _record(name: str, data: bytes) -> ArrayRecord:
    return ArrayRecord({name: Array(np.frombuffer(data, np.uint8))})


def _bytes_of(record: ArrayRecord, name: str) -> bytes:
    """Return the bytes in an array of a message; none where there is no such array."""
    values = read_array(record, name, np.dtype(np.uint8))
    return b"" if values is None else values.tobytes()
