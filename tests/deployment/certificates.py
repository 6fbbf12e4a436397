"""A certificate authority and a server certificate for 127.0.0.1, as live runs make them for themselves."""

from __future__ import annotations

import ssl
from pathlib import Path

from emulator.backends.live.credentials import make_server_files


def make_certificates(folder: Path) -> tuple[tuple[Path, Path, Path], int]:
    """Write CA certificate, server certificate and server key (RSA 2048); return their paths and the chain's bytes as sent.

    The server sends its own certificate only, as Flower's guide to TLS sets it up: the CA's is with the SuperNodes.
    """
    files = make_server_files(folder, "127.0.0.1")
    chain_bytes = len(ssl.PEM_cert_to_DER_cert(files.certificate.read_text()))
    return (files.authority, files.certificate, files.key), chain_bytes
