"""Reno with appropriate byte counting in slow start, as Linux and ns-3's TcpLinuxReno do it (RFC 5681)."""

from __future__ import annotations

from emulator.backends.des.tcp.control.base import Control
from emulator.backends.des.tcp.state import SocketState


class Reno(Control):
    """One segment per ACKed segment below the threshold, one per window above; a loss halves the window."""

    def __init__(self) -> None:
        self._credit = 0

    def grow(self, state: SocketState, segments: int, now_s: float) -> None:
        """See ``Control.grow``."""
        if state.cwnd < state.ssthresh:
            state.cwnd = min(state.cwnd + segments * state.mss, state.ssthresh)
            return
        window = max(1, state.cwnd // state.mss)
        if self._credit >= window:
            self._credit = 0
            state.cwnd += state.mss
        self._credit += segments
        if self._credit >= window:
            steps = self._credit // window
            self._credit -= steps * window
            state.cwnd += steps * state.mss
