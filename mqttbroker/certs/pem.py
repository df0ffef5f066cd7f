"""Certificates, private keys and lists of revoked certificates, as they stand in PEM files (RFC 7468).

Every function takes what was read and the path it was read from, which is only there for the message: a
:class:`CertificateError` says which file is meant and what was expected of it.

A file is taken as a whole or not at all: a block that is cut off, as in a file that somebody is still writing, is an
error even where the blocks before it are in order.

Deliberately absent: keys that need a password, since nobody is there to type it when a broker starts; DER, PKCS#12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

__all__ = [
    "CertificateError",
    "CertificateInfo",
    "belongs",
    "describe",
    "dns_names",
    "parse_certificates",
    "parse_key",
    "parse_revocation_lists",
    "read_file",
]

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.+?-----END \1-----", re.DOTALL)
_CERTIFICATES: Final = (b"CERTIFICATE", b"X509 CERTIFICATE")
_KEYS: Final = (b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY")
_REVOCATION_LISTS: Final = (b"X509 CRL",)


class CertificateError(Exception):
    """A file of certificates, keys or revoked certificates is not as it should be."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path: Path = path
        self.problem: str = problem
        super().__init__(f"{path}: {problem}")


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What people want to know of a certificate."""

    file: Path
    subject: str
    """As RFC 4514 writes it: ``CN=broker.example.org,O=Example``."""
    issuer: str
    names: tuple[str, ...]
    """DNS names and IP addresses that it holds for, in its own order."""
    not_before: float
    """Seconds since the epoch."""
    not_after: float
    """Seconds since the epoch."""
    serial: str
    """In hexadecimal digits, as OpenSSL shows it."""


def read_file(path: Path) -> bytes:
    """Read a file. Raises :class:`CertificateError` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(path, f"cannot be read: {error.strerror}") from error


def parse_certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    """Return all certificates, at least one. Keys may stand beside them."""
    found: list[x509.Certificate] = []
    for block in _blocks(path, content, _CERTIFICATES):
        try:
            found.append(x509.load_pem_x509_certificate(block))
        except (ValueError, x509.InvalidVersion) as error:
            raise CertificateError(path, f"certificate {len(found) + 1} cannot be understood: {error}") from error
    if not found:
        raise CertificateError(path, "expected a certificate (BEGIN CERTIFICATE), found none")
    return found


def parse_key(path: Path, content: bytes) -> PrivateKeyTypes:
    """Return the private key, of which there must be exactly one. Certificates may stand beside it."""
    blocks = _blocks(path, content, _KEYS)
    if len(blocks) != 1:
        raise CertificateError(path, f"expected one private key (BEGIN PRIVATE KEY), found {len(blocks) or 'none'}")
    try:
        return load_pem_private_key(blocks[0], None)
    except TypeError as error:
        raise CertificateError(path, "expected a private key that needs no password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(path, f"the private key cannot be understood: {error}") from error


def parse_revocation_lists(path: Path, content: bytes) -> list[x509.CertificateRevocationList]:
    """Return all lists of revoked certificates, at least one.

    Nothing else may stand in the file: OpenSSL would trust a certificate that it finds there.
    """
    if _blocks(path, content, _CERTIFICATES):
        raise CertificateError(path, "expected nothing but lists of revoked certificates, found a certificate")
    found: list[x509.CertificateRevocationList] = []
    for block in _blocks(path, content, _REVOCATION_LISTS):
        try:
            found.append(x509.load_pem_x509_crl(block))
        except ValueError as error:
            raise CertificateError(path, f"list {len(found) + 1} cannot be understood: {error}") from error
    if not found:
        raise CertificateError(path, "expected a list of revoked certificates (BEGIN X509 CRL), found none")
    return found


def _blocks(path: Path, content: bytes, labels: tuple[bytes, ...]) -> list[bytes]:
    """Return the blocks with one of these labels."""
    blocks = list(_BLOCK.finditer(content))
    if len(blocks) != content.count(b"-----BEGIN "):
        raise CertificateError(path, "expected whole PEM blocks, found one without its END line")
    return [block[0] for block in blocks if block[1] in labels]


def belongs(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    """Tell whether this is the private key of the certificate."""
    try:
        certified = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == certified.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def dns_names(path: Path, certificate: x509.Certificate) -> list[str]:
    """Return the DNS names that the certificate holds for, also those like ``*.example.org``, in lower case."""
    names = _alternative_names(path, certificate)
    return [] if names is None else [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def describe(path: Path, certificate: x509.Certificate) -> CertificateInfo:
    """Return what people want to know of a certificate."""
    names = _alternative_names(path, certificate) or ()
    return CertificateInfo(
        path,
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)),
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        f"{certificate.serial_number:X}",
    )


def _alternative_names(path: Path, certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise CertificateError(path, f"the names in the certificate cannot be understood: {error}") from error
