"""Certificates and keys that a run makes for itself: an authority, the SuperLink's, a key pair for every SuperNode."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

VALID_FOR = datetime.timedelta(days=2)
"""A live run lasts hours; its certificates are worth nothing after it."""


@dataclass(frozen=True)
class ServerFiles:
    """Certificate files of a SuperLink."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class NodeKey:
    """Key files of one SuperNode."""

    private: Path
    public: Path


def make_server_files(folder: Path, address: str) -> ServerFiles:
    """Write an authority's certificate, and a certificate and key (RSA 2048, as in Flower's guide) for ``address``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, server_key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "live authority")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    authority = _certificate(authority_name, authority_key, authority_name, authority_key.public_key(), address=None)
    server = _certificate(authority_name, authority_key, server_name, server_key.public_key(), address=address)
    files = ServerFiles(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    _write_secret(
        files.key,
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    return files


def make_node_key(folder: Path, name: str) -> NodeKey:
    """Write a key pair (P-384) with which a SuperNode proves who it is."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP384R1())
    files = NodeKey(folder / f"{name}.key", folder / f"{name}.pub")
    _write_secret(
        files.private,
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        ),
    )
    files.public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    )
    return files


def _certificate(
    issuer: x509.Name, issuer_key: rsa.RSAPrivateKey, subject: x509.Name, key: rsa.RSAPublicKey, *, address: str | None
) -> x509.Certificate:
    """Return a certificate; without an address it is the authority's own."""
    now, is_authority = datetime.datetime.now(datetime.UTC), address is None
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if address is not None:
        names = [x509.IPAddress(ipaddress.ip_address(text)) for text in sorted({address, "127.0.0.1"})]
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), *names]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _write_secret(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
