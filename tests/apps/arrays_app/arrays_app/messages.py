"""The messages that travel: ``count`` arrays of ``elements`` float32, no two alike, so that none is sent only once."""

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict


def parse_forms(text: str) -> list[tuple[int, int]]:
    """Return (count, elements) for each word like ``4x1000``."""
    return [(int(count), int(elements)) for count, elements in (word.split("x") for word in text.split())]


def make_arrays(count: int, elements: int, seed: int) -> ArrayRecord:
    generator = np.random.Generator(np.random.PCG64(seed))
    return ArrayRecord(
        {f"layer{index}": Array(generator.standard_normal(elements, dtype=np.float32)) for index in range(count)}
    )


def make_instruction(count: int, elements: int, round_number: int) -> RecordDict:
    config = ConfigRecord({"server-round": round_number})
    return RecordDict({"arrays": make_arrays(count, elements, round_number), "config": config})


def make_reply(count: int, elements: int, seed: int) -> RecordDict:
    metrics = MetricRecord({"num-examples": 10, "loss": seed / 7})
    return RecordDict({"arrays": make_arrays(count, elements, seed), "metrics": metrics})
