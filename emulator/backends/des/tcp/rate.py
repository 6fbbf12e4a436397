"""Delivery rate samples (draft-cheng-iccrg-delivery-rate-estimation), as ns-3.37's tcp-rate-ops.cc takes them."""

from __future__ import annotations

from typing import NamedTuple


class SendRecord(NamedTuple):
    """The connection's progress when a segment left."""

    delivered_bytes: int
    delivered_s: float
    first_sent_s: float
    sent_s: float


class RateSample:
    """The newest sample; values that an ACK does not renew stay.

    Attributes:
        rate_bps: Delivery rate of the last valid sample.
        newly_delivered: Bytes the ACK delivered.
        lost_bytes: Change in the bytes marked lost, without sign.
        prior_flight: Bytes in flight before the ACK.
        prior_delivered: Bytes delivered when the sampled segment left.
        delivered_bytes: Bytes delivered over the sample's interval; -1 where there is no sample.
    """

    __slots__ = (
        "ack_elapsed_s", "delivered_bytes", "lost_bytes", "newly_delivered", "prior_delivered", "prior_flight",
        "prior_s", "rate_bps", "send_elapsed_s",
    )  # fmt: skip

    def __init__(self) -> None:
        self.rate_bps = 0
        self.newly_delivered = 0
        self.lost_bytes = 0
        self.prior_flight = 0
        self.prior_delivered = 0
        self.delivered_bytes = 0
        self.prior_s = 0.0
        self.send_elapsed_s = 0.0
        self.ack_elapsed_s = 0.0


class RateSampler:
    """Keeps the send records of one connection and turns ACKs into rate samples.

    That a sender ran out of data is not tracked: transfers here have all their data at once.
    """

    __slots__ = ("_delivered_s", "_first_sent_s", "_records", "delivered_bytes", "sample")

    def __init__(self, count: int) -> None:
        self.sample = RateSample()
        self.delivered_bytes = 0
        self._delivered_s = 0.0
        self._first_sent_s = 0.0
        self._records: list[SendRecord | None] = [None] * count

    def sent(self, index: int, is_idle: bool, now_s: float) -> None:
        """Note a segment that leaves; ``is_idle`` if nothing was in flight."""
        if is_idle:
            self._first_sent_s = self._delivered_s = now_s
        self._records[index] = SendRecord(self.delivered_bytes, self._delivered_s, self._first_sent_s, now_s)

    def delivered(self, index: int, size_bytes: int, now_s: float) -> None:
        """Note a segment that was acknowledged or SACKed for the first time."""
        record = self._records[index]
        if record is None:
            return
        self._records[index] = None
        self.delivered_bytes += size_bytes
        self._delivered_s = now_s
        sample = self.sample
        if sample.prior_delivered == 0 or record.delivered_bytes > sample.prior_delivered:
            sample.ack_elapsed_s = now_s - sample.prior_s
            sample.prior_delivered = record.delivered_bytes
            sample.prior_s = record.delivered_s
            sample.send_elapsed_s = record.sent_s - record.first_sent_s
            self._first_sent_s = record.sent_s

    def take(self, newly_delivered: int, lost_bytes: int, prior_flight: int, smallest_rtt_s: float) -> RateSample:
        """Return the sample after an ACK."""
        sample = self.sample
        sample.newly_delivered = newly_delivered
        sample.lost_bytes = lost_bytes
        sample.prior_flight = prior_flight
        if sample.prior_s == 0:
            sample.delivered_bytes = -1
            return sample
        interval_s = max(sample.send_elapsed_s, sample.ack_elapsed_s)
        sample.delivered_bytes = self.delivered_bytes - sample.prior_delivered
        if interval_s < smallest_rtt_s:
            sample.prior_s = 0.0
            return sample
        sample.rate_bps = int(sample.delivered_bytes * 8 / interval_s)
        return sample
