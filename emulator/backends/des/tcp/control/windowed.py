"""A running maximum over a window of rounds, as Linux's win_minmax keeps it: the three best samples."""

from __future__ import annotations


class WindowedMax:
    """Kathleen Nichols' filter: constant space; the best sample is forgotten when it is older than the window.

    It starts from a guess, which the first sample replaces even if it is smaller.
    """

    __slots__ = ("_guess", "_length", "_samples")

    def __init__(self, length: int, guess: int = 0) -> None:
        self._length = length
        self._guess = guess
        self._samples = [(guess, 0)] * 3

    @property
    def best(self) -> int:
        """The largest value of the window."""
        return self._samples[0][0]

    def update(self, value: int, time: int) -> None:
        """Add a sample; times never fall."""
        samples, length = self._samples, self._length
        new = (value, time)
        if samples[0][0] in (self._guess, 0) or value >= samples[0][0] or time - samples[2][1] > length:
            samples[:] = [new] * 3
            return
        if value >= samples[1][0]:
            samples[1] = samples[2] = new
        elif value >= samples[2][0]:
            samples[2] = new
        if time - samples[0][1] > length:
            samples[:] = [samples[1], samples[2], new]
            if time - samples[0][1] > length:
                samples[0], samples[1] = samples[1], samples[2]
        elif samples[1][0] == samples[0][0] and time - samples[1][1] > length >> 2:
            samples[1] = samples[2] = new
        elif samples[2][0] == samples[1][0] and time - samples[2][1] > length >> 1:
            samples[2] = new
