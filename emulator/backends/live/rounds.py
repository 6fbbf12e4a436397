"""Rounds as the log shows them, by the rules of the virtual world, for a ServerApp in a process of its own.

A strategy says when its round begins. Without one, training messages open a round when nothing of the one before is
outstanding and they carry another group, go to several nodes, or go to a node that this round has asked already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Asked = tuple[int, str, str]
"""A message about to be pushed: node id, message type, group."""


class RoundKeeper:
    """Numbers rounds and tells ``note`` when one opens and closes.

    Args:
        note: Called with ``round_opened`` (``round``, ``value``: messages) and ``round_closed`` (``round``,
        ``value``: nodes that answered).
    """

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note
        self.number = 0
        self._is_open = self._is_announced = self._has_strategy = False
        self._group = ""
        self._asked: set[int] = set()
        self._answered: set[str] = set()
        self._outstanding: set[str] = set()

    def begin(self) -> None:
        """A strategy begins its next round; it opens with its first messages, or empty when the next one begins."""
        self._finish_announced()
        self._close()
        self._is_announced = True

    def enter(self, messages: Sequence[Asked]) -> int:
        """Return the round these messages belong to, opening it where it is new."""
        training = [message for message in messages if message[1].startswith("train")]
        if self._is_announced:
            if messages:
                self._is_announced = False
                self._open(len(messages))
        elif training and not self._has_strategy and self._is_new(training):
            self._open(len(messages))
        self._asked |= {message[0] for message in training}
        return self.number

    def trust_strategy(self, is_running: bool) -> None:
        """While a strategy runs, only it opens rounds."""
        self._finish_announced()
        self._has_strategy = is_running

    def sent(self, key: str) -> None:
        """A message of the current round is pushed."""
        self._outstanding.add(key)

    def replied(self, key: str, node: str, *, is_good: bool) -> None:
        """The ServerApp has a reply."""
        self._outstanding.discard(key)
        if is_good:
            self._answered.add(node)

    def waiting(self) -> frozenset[str]:
        """Return the messages of the current round without a reply."""
        return frozenset(self._outstanding)

    def abandon_but(self, kept: frozenset[str]) -> None:
        """The ServerApp waits no longer for any message but ``kept``."""
        self._outstanding &= kept

    def end(self) -> None:
        """The ServerApp has ended: close what is open."""
        self._finish_announced()
        self._close()

    def _open(self, count: int) -> None:
        self._close()
        self.number += 1
        self._is_open, self._answered, self._asked, self._outstanding = True, set(), set(), set()
        self._note("round_opened", round=self.number, value=count)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._note("round_closed", round=self.number, value=len(self._answered))

    def _finish_announced(self) -> None:
        if self._is_announced:
            self._is_announced = False
            self._open(0)

    def _is_new(self, training: Sequence[Asked]) -> bool:
        if not self._is_open:
            self._group = training[0][2]
            return True
        if self._outstanding:
            return False
        group, before = training[0][2], self._group
        self._group = group
        return group != before or len(training) > 1 or any(message[0] in self._asked for message in training)
