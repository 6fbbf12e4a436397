# SPDX-License-Identifier: Apache-2.0
"""What a privacy mechanism is: a half on the server and a half on the client, and how the two talk.

A contribution goes through one carrier, which brings the sum of all contributions to the server, and past any number of
guards, which may keep nodes out and see every reply. Noise comes before the carrier, on the client.

Server, in one round (`fedgen.strategies.private_fedavg`):

    guards and carrier `prepare`    talk to the nodes (QUERY messages), say which may take part
    `brief`                         what a node is told beside the model
    training messages, replies
    guards `inspect`                see the replies, say which count
    carrier `total`                 the sum of the contributions; may talk again (unmasking, decryption)
    guards `conclude`               the round is over (votes on a block)
    `spent`                         what has been released about whom so far

Client (`fedgen.privacy.client`): train, noise, `seal` (carrier), `stamp` (guards). Secrets of a client live in its
`Context.state` and nowhere else: they are in no reply, log or report.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from fedgen.config import AppConfig
from fedgen.privacy.vectors import Vector
from fedgen.work import WORK_REPORT, WorkReport

CONFIG = "config"
"""ConfigRecord of every message to a client; holds `server-round`."""
BRIEF = "brief-{}"
"""ConfigRecord in a training message: what a mechanism tells the client, by the mechanism's name."""
SEALED = "sealed"
"""ArrayRecord in a reply: the contribution as its carrier sends it."""
SPENT = "privacy-spent"
"""ConfigRecord in a reply under dp-example: the client's account and delta. In the ServerApp's `context.state`: epsilon so far by
`Guarantee.words`."""
REFUSED = "refused"
"""ConfigRecord in a reply instead of a contribution: the `reason` why the client takes no part any more."""


@dataclass(frozen=True)
class Guarantee:
    """One differential privacy guarantee so far.

    Attributes:
        unit: What it protects: `example` or `client`.
        epsilon: Epsilon so far; never falls.
        delta: Its delta; 0 stands for 1 / (10 n), with n the examples of each clinic.
        renyi: Epsilon by Renyi accounting, which stops the run.
    """

    unit: str
    epsilon: float
    delta: float
    renyi: float

    @property
    def words(self) -> str:
        """What the guarantee is about, as logs and reports name it; the same in every round."""
        return f"one {self.unit}, delta {f'{self.delta:.3g}' if self.delta else '1/(10 n)'}"


@dataclass(frozen=True)
class Sum:
    """The sum of the contributions of some nodes.

    Attributes:
        values: Shape [length of the layout]; whole numbers where contributions were quantised.
        nodes: Nodes whose contributions are in it.
    """

    values: Vector
    nodes: tuple[int, ...]


@dataclass(frozen=True)
class Sealed:
    """A contribution as a carrier sends it, and the work of making it."""

    arrays: ArrayRecord
    work: WorkReport = field(default_factory=WorkReport)


@dataclass
class Talk:
    """The server's way to ask nodes something besides training.

    Attributes:
        grid: Flower's Grid.
        server_round: Number of the round; 0 before the first.
        timeout_s: Longest wait for the answers of one question.
    """

    grid: Grid
    server_round: int
    timeout_s: float

    def ask(self, action: str, contents: Mapping[int, RecordDict]) -> dict[int, RecordDict]:
        """Send a `query.<action>` message to each node and wait.

        Args:
            action: A key of `fedgen.privacy.registry.QUERIES`, a Python name as Flower wants it.
            contents: What to send, by node. A ConfigRecord `config` with the round is added.

        Returns:
            What was answered, by node in order of id. Nodes that failed, were late or left are not in it.
        """
        messages = []
        for node, content in sorted(contents.items()):
            content.setdefault(CONFIG, ConfigRecord({"server-round": self.server_round}))
            messages.append(Message(content, dst_node_id=node, message_type=f"query.{action}"))
        replies = self.grid.send_and_receive(messages, timeout=self.timeout_s) if messages else []
        good = {reply.metadata.src_node_id: reply.content for reply in replies if not reply.has_error()}
        for content in good.values():
            content.pop(WORK_REPORT, None)
        return dict(sorted(good.items()))


class Carrier(Protocol):
    """The server's half of what brings the sum of contributions."""

    is_exact: bool
    """It carries whole numbers and their exact sum; else floats."""

    def prepare(self, talk: Talk, nodes: list[int]) -> list[int]:
        """Get ready for a round; return the nodes that can take part, in order."""
        ...

    def brief(self, node: int) -> ConfigRecord:
        """Return what a node must know for this round; empty where it is nothing."""
        ...

    def total(self, talk: Talk, sealed: Mapping[int, ArrayRecord], length: int) -> Sum | None:
        """Return the sum of sealed contributions of that length, or None where it cannot be had (then the model stays)."""
        ...

    def work(self) -> WorkReport:
        """Return the server's work since the last call."""
        ...


class Guard(Protocol):
    """The server's half of what watches over a run without touching the contributions."""

    name: str

    def prepare(self, talk: Talk, nodes: list[int], model: ArrayRecord) -> list[int]:
        """Get ready for a round that starts from a model; return the nodes that may take part, in order."""
        ...

    def brief(self, node: int, server_round: int) -> ConfigRecord:
        """The model is about to be sent to a node; return what the node must know for this round."""
        ...

    def inspect(self, talk: Talk, replies: Mapping[int, RecordDict]) -> list[int]:
        """See the replies as they came; return the nodes whose replies count."""
        ...

    def conclude(self, talk: Talk, model: ArrayRecord | None) -> None:
        """The round is over, with this model or none."""
        ...

    def measures(self) -> dict[str, float]:
        """Return metrics of the round, by name."""
        ...


@dataclass(frozen=True)
class Call:
    """What a client's half knows in a call.

    Attributes:
        context: The client's context; `context.state` outlives the call.
        config: The run's settings.
        server_round: Number of the round.
        seed: Of every draw in this call that need not be secret.
    """

    context: Context
    config: AppConfig
    server_round: int
    seed: int


Seal = Callable[[Call, NDArray[np.float64], ConfigRecord], Sealed]
"""The client's half of a carrier: (call, contribution, brief) -> sealed. Whole numbers where the carrier is exact."""
Stamp = Callable[[Call, RecordDict, RecordDict, ConfigRecord], WorkReport]
"""The client's half of a guard: (call, content asked, reply content, brief) -> work; adds to the reply (a signature)."""
Query = Callable[[Context, RecordDict, AppConfig], RecordDict]
"""Answers one kind of question: (context, content asked, settings) -> content of the reply."""
