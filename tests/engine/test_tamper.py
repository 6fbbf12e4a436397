"""What hostile clients send, by the formulas; and that the real reply is what it starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Error, Message, MetricRecord, RecordDict

from emulator.errors import RunFailed
from emulator.flower import adapter
from emulator.flower.tamper import is_active, node_config, tampered
from emulator.flower.worker import Outcome
from emulator.hostility import Hostility

MODEL = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, dtype=np.float64)}
OWN = {"w": MODEL["w"] + np.float32(0.5), "b": MODEL["b"] - 0.25}


@pytest.fixture(autouse=True)
def identity() -> None:
    adapter.set_identity(adapter.SERVER_NODE_ID)


def record(arrays: dict[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: Array(values) for name, values in arrays.items()})


def instruction(arrays: dict[str, np.ndarray] = MODEL) -> Message:
    message = Message(RecordDict({"arrays": record(arrays)}), dst_node_id=7, message_type="train")
    return adapter.build_message(adapter.instruction_metadata(message, "m", 0.0), content=message.content)


def outcome(reply: Message) -> Outcome:
    return Outcome(
        reply=adapter.message_to_bytes(reply), state=b"", sizes=adapter.object_sizes(reply), work=None, cpu_s=0.0,
        peak_bytes=0, error="", metrics={},
    )  # fmt: skip


def reply(arrays: dict[str, np.ndarray] = OWN) -> Outcome:
    content = RecordDict({"arrays": record(arrays), "metrics": MetricRecord({"num-examples": 5})})
    return outcome(Message(content, reply_to=instruction()))


def attacked(
    attack: str, strength: float, *, given: Outcome | None = None, turn: int = 1, seed: int = 1, **more: Any
) -> Outcome:
    given = given or reply()
    settings = {"messages": [adapter.message_to_bytes(instruction())], "first_reply": given.reply, **more}
    return tampered(given, Hostility("x", attack, strength), turn=turn, seed=seed, **settings)


def arrays_of(done: Outcome) -> dict[str, np.ndarray]:
    content = adapter.message_from_bytes(done.reply).content
    return {name: array.numpy() for name, array in content["arrays"].items()}


@pytest.mark.parametrize(("attack", "strength", "factor"), [("sign_flip", 2.0, -2.0), ("scaling", 10.0, 10.0)])
def test_moves_along_the_update(attack: str, strength: float, factor: float) -> None:
    for name, values in arrays_of(attacked(attack, strength)).items():
        np.testing.assert_allclose(values, MODEL[name] + factor * (OWN[name] - MODEL[name]), rtol=1e-6)
        assert values.dtype == OWN[name].dtype


def test_noise_has_the_stated_size_and_follows_the_seed() -> None:
    model = {"w": np.zeros(20_000, np.float32)}
    given = reply({"w": model["w"] + np.float32(0.1)})
    settings: dict[str, Any] = {"given": given, "messages": [adapter.message_to_bytes(instruction(model))]}
    noisy = arrays_of(attacked("noise", 3.0, **settings))["w"] - 0.1
    assert noisy.std() == pytest.approx(0.3, rel=0.03)
    assert attacked("noise", 3.0, **settings).reply == attacked("noise", 3.0, **settings).reply
    assert attacked("noise", 3.0, **settings).reply != attacked("noise", 3.0, seed=2, **settings).reply


def test_not_a_number() -> None:
    assert all(np.isnan(values).all() for values in arrays_of(attacked("nan", 1.0)).values())


def test_stale_sends_back_an_earlier_model() -> None:
    earlier = {name: values + 5 for name, values in MODEL.items()}
    messages = [adapter.message_to_bytes(instruction(earlier)), adapter.message_to_bytes(instruction())]
    for name, values in arrays_of(attacked("stale", 1.0, messages=messages)).items():
        np.testing.assert_array_equal(values, earlier[name])


def test_replay_sends_the_first_reply_again() -> None:
    first = reply({name: values + 1 for name, values in OWN.items()})
    for name, values in arrays_of(attacked("replay", 1.0, first_reply=first.reply)).items():
        np.testing.assert_array_equal(values, OWN[name] + 1)


def test_oversized_weighs_what_it_says() -> None:
    done = attacked("oversized", 1000.0)
    assert done.sizes.total_bytes > 4 * 1000 * 10
    assert done.sizes == adapter.object_sizes(adapter.message_from_bytes(done.reply))


def test_malformed_takes_turns() -> None:
    shapes = [arrays_of(attacked("malformed", 1.0, turn=turn))["w"] for turn in (0, 1)]
    assert shapes[0].shape == (3,)
    assert shapes[1].dtype == np.complex128
    content = adapter.message_from_bytes(attacked("malformed", 1.0, turn=2).reply).content
    with pytest.raises(Exception, match=r"."):
        content["arrays"]["w"].numpy()


def test_masked_numbers_cannot_be_moved_from_outside() -> None:
    with pytest.raises(RunFailed, match=r"the hostile client x cannot do 'sign_flip': its reply holds 'w' \(uint8"):
        attacked("sign_flip", 1.0, given=reply({"w": np.zeros(3, np.uint8)}))


def test_errors_and_attacks_inside_the_app_pass_unchanged() -> None:
    failed = outcome(Message(Error(code=0, reason="raised"), reply_to=instruction()))
    assert attacked("nan", 1.0, given=failed) is failed
    given = reply()
    assert attacked("label_flip", 1.0, given=given) is given
    assert node_config(Hostility("x", "label_flip", 0.5, 2, 3)) == {
        "hostile": "label_flip", "hostile-strength": 0.5, "hostile-from-round": 2, "hostile-to-round": 3,
    }  # fmt: skip


def test_rounds_of_hostility() -> None:
    span = Hostility("x", "nan", 1.0, 2, 3)
    assert [is_active(span, number) for number in (1, 2, 3, 4)] == [False, True, True, False]
    assert is_active(Hostility("x", "nan", 1.0), 10**6)
