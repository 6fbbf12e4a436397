"""Every table's columns: name, unit, meaning. The one place; ``results/README.md`` is generated from it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Column(NamedTuple):
    """A column of a table. ``unit`` is empty for names and texts; ``dtype`` is what pandas holds it as."""

    name: str
    unit: str
    meaning: str
    dtype: str = "float64"


_INT: Final = "Int64"
_TEXT: Final = "object"
_ROUND: Final = Column("round", "", "round number as the ServerApp counts; empty outside rounds", _INT)

ROUNDS: Final = (
    _ROUND,
    Column("opened_s", "s", "virtual time at which the round opened"),
    Column(
        "ended_s",
        "s",
        "virtual time of its last reply, server work or metric; closed_s where clients are missing and none follows",
    ),
    Column(
        "closed_s",
        "s",
        "virtual time at which the ServerApp began another round or ended; the log's end where it did neither",
    ),
    Column("duration_s", "s", "closed_s - opened_s"),
    Column("latency_s", "s", "ended_s - opened_s"),
    Column("pause_s", "s", "closed_s - ended_s: the ServerApp paused until its next round"),
    Column("is_closed", "", "false where the log ends inside the round", "bool"),
    Column("addressed", "clients", "clients that were sent a deciding message (type train; else any)", _INT),
    Column("replies", "clients", "addressed clients whose replies all came in time and without error", _INT),
    Column("failed", "clients", "addressed clients of which an error came back", _INT),
    Column("late", "clients", "addressed clients whose reply came after the ServerApp stopped waiting", _INT),
    Column(
        "lost", "clients", "addressed clients that never answered (device down, message, work or transfer lost)", _INT
    ),
    Column("open", "clients", "addressed clients still undecided where the log ends", _INT),
    Column("participation", "1", "replies / clients in the plan"),
    Column(
        "bytes_down", "B", "bytes delivered to clients by the round's transfers, those of lost transfers included", _INT
    ),
    Column(
        "bytes_up",
        "B",
        "bytes delivered to the server by the round's transfers, those of lost transfers included",
        _INT,
    ),
    Column("wait_s", "s", "critical path: polls, devices that were off, and all else between push and reply"),
    Column("download_s", "s", "critical path: server to client, stalls included"),
    Column("compute_s", "s", "critical path: the client's work, process start included"),
    Column("upload_s", "s", "critical path: client to server, stalls included"),
    Column("server_s", "s", "critical path: the server's own work (serving, aggregating)"),
    Column("unanswered_s", "s", "critical path: waiting for clients that failed, were late or never answered"),
    Column("other_s", "s", "the rest, so that the seven parts (wait_s to other_s) sum to latency_s"),
    Column("stalled_s", "s", "of download_s and upload_s: stood still because a link or node was down"),
    Column(
        "protection_s",
        "s",
        "of compute_s: ciphers, masks, keys, signatures, and calls that only answer questions (QUERY)",
    ),
)
"""Followed by one column ``metric.<name>`` for each global metric (no node, not of one patient)."""

TRANSFERS: Final = (
    _ROUND,
    Column("msg", "", "message identifier; a reply carries that of its message", _TEXT),
    Column("node", "", "sender", _TEXT),
    Column("peer", "", "receiver", _TEXT),
    Column("direction", "", "download (server to client) or upload", _TEXT),
    Column("started_s", "s", "virtual time of the first byte"),
    Column("ended_s", "s", "virtual time of the last byte or of the loss; the end of the log where it is open"),
    Column("duration_s", "s", "ended_s - started_s"),
    Column("size_bytes", "B", "bytes to carry", _INT),
    Column("delivered_bytes", "B", "bytes delivered; empty while open", _INT),
    Column("outcome", "", "delivered, lost or open", _TEXT),
    Column("reason", "", "why it was lost", _TEXT),
    Column("stalled_s", "s", "stood still because a link or node was down"),
    Column("goodput_bps", "bit/s", "8 * delivered_bytes / duration_s; empty while open or where the duration is 0"),
)

DEVICES: Final = (
    Column("node", "", "name", _TEXT),
    Column("kind", "", "server, client, sensor or router", _TEXT),
    Column("site", "", "clinic or site; empty for none", _TEXT),
    Column("class", "", "device class; empty where the node is not modelled as a device", _TEXT),
    Column("up_s", "s", "not down"),
    Column("down_s", "s", "down (power cut, crash, left)"),
    Column("busy_s", "s", "computing (union of its jobs)"),
    Column("idle_s", "s", "up_s - busy_s"),
    Column("tx_s", "s", "sending messages (union, stalls taken out)"),
    Column("rx_s", "s", "receiving messages (union, stalls taken out)"),
    Column("bytes_sent", "B", "message bytes it sent that were delivered", _INT),
    Column("bytes_received", "B", "message bytes delivered to it", _INT),
    Column("stream_bytes", "B", "bytes of the sensor's data streams; 0 for others", _INT),
    Column("jobs", "jobs", "computations started", _INT),
    Column("jobs_lost", "jobs", "computations lost (out of memory, power cut, crash)", _INT),
    Column("rounds_joined", "rounds", "rounds in which its reply was used", _INT),
    Column(
        "energy_j",
        "J",
        "idle_w * up_s + (busy_w - idle_w) * busy_s + tx_w * tx_s + rx_w * rx_s; empty where a power is unknown",
    ),
    Column(
        "stream_energy_j",
        "J",
        "a sensor's radio energy: stream_bytes * J per byte of its link; empty where unknown; not in energy_j",
    ),
)

LINKS: Final = (
    Column("link", "", "name", _TEXT),
    Column("direction", "", "up (towards the server) or down", _TEXT),
    Column("leaf", "", "end farther from the server", _TEXT),
    Column("root", "", "end nearer to the server", _TEXT),
    Column("profile", "", "link profile", _TEXT),
    Column("bytes", "B", "bytes carried", _INT),
    Column(
        "flow_bytes",
        "B",
        "of these, messages (all bytes, where the log does not tell streams apart on a link that carries both)",
        _INT,
    ),
    Column("stream_bytes", "B", "of these, sensor streams", _INT),
    Column(
        "utilisation",
        "1",
        "8 * bytes / integral of the rate over the run while the link was not down; empty where that is 0",
    ),
    Column("down_s", "s", "the link itself passed nothing (outage or rate 0); nodes that were off are not counted"),
    Column("stalled_s", "s", "sum over transfers that cross it of the time they stood still while the link was down"),
    Column("cost_usd", "USD", "tariff * bytes; empty where the tariff is unknown"),
    Column(
        "energy_j",
        "J",
        "radio energy of the sender: bytes * J per byte; empty where unknown; not in the devices' energy_j",
    ),
)

METRICS: Final = (
    _ROUND,
    Column("node", "", "client, or empty for the server (global)", _TEXT),
    Column("name", "", "metric; privacy.epsilon for the privacy spent so far", _TEXT),
    Column("value", "", "its value"),
    Column("t_s", "s", "virtual time"),
)

PARTICIPATION: Final = (
    _ROUND,
    Column("node", "", "client", _TEXT),
    Column(
        "fate",
        "",
        "replied, late, failed, lost, down, open, away (not addressed and off) or idle (not addressed)",
        _TEXT,
    ),
    Column("reason", "", "why there was no reply", _TEXT),
)

TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "rounds": ROUNDS,
    "transfers": TRANSFERS,
    "devices": DEVICES,
    "links": LINKS,
    "metrics": METRICS,
    "participation": PARTICIPATION,
}
