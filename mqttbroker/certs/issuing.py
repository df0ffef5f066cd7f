"""A small certification authority: certificates for servers and clients, and lists of revoked ones, in memory.

It is meant for development and tests. What it makes passes OpenSSL's strictest checks (RFC 5280): keys on the curve
P-256, signatures with SHA-256, and every extension that a certificate of its kind should have.

Nothing here touches a file or reads a clock; ``directory.py`` does.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "Issued",
    "SigningKey",
    "alternative_name",
    "check_client_name",
    "issue_client",
    "issue_server",
    "make_authority",
    "make_revocation_list",
]

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

MAX_COMMON_NAME: Final = 64
"""Bytes in UTF-8. RFC 5280, appendix A, counts characters, but not everybody does."""

_LABEL: Final = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME: Final = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: SigningKey

    def certificate_pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self) -> bytes:
        """The private key, without a password."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_authority(name: str, not_before: datetime, not_after: datetime) -> Issued:
    """Make a self-signed authority that may sign certificates of servers and clients, and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key, not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return Issued(builder.sign(key, SHA256()), key)


def issue_server(authority: Issued, names: Sequence[str], not_before: datetime, not_after: datetime) -> Issued:
    """Make a server's certificate for these DNS names and IP addresses, at least one.

    Raises ``ValueError`` for a name that is neither.
    """
    alternatives = [alternative_name(name) for name in names]
    common = next((name for name in names if len(name.encode()) <= MAX_COMMON_NAME), "server")
    return _issue(authority, common, alternatives, ExtendedKeyUsageOID.SERVER_AUTH, not_before, not_after)


def issue_client(authority: Issued, name: str, not_before: datetime, not_after: datetime) -> Issued:
    """Make a client's certificate. ``name`` is its common name, and its alternative name where it has the form of a
    DNS name or an e-mail address.

    Raises ``ValueError`` for a name that a certificate or a user name cannot hold.
    """
    check_client_name(name)
    alternatives: list[x509.GeneralName] = []
    if _DNS_NAME.fullmatch(name):
        alternatives = [x509.DNSName(name)]
    elif re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+", name):
        alternatives = [x509.RFC822Name(name)]
    return _issue(authority, name, alternatives, ExtendedKeyUsageOID.CLIENT_AUTH, not_before, not_after)


def make_revocation_list(
    authority: Issued,
    revoked: Iterable[tuple[int, datetime]],
    this_update: datetime,
    next_update: datetime,
    number: int = 1,
) -> x509.CertificateRevocationList:
    """Make a list of the certificates, by serial number and date, that count no more. It holds until ``next_update``;
    ``number`` grows with each list of one authority.
    """
    issuer = authority.certificate
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_identifier_of(authority), critical=False)
    )
    for serial, date in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(date).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.key, SHA256())


def alternative_name(name: str) -> x509.DNSName | x509.IPAddress:
    """Return a name as a certificate holds it. International names are converted.

    Raises ``ValueError`` for what is neither a DNS name nor an IP address.
    """
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        ascii_name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        ascii_name = ""
    if not _DNS_NAME.fullmatch(ascii_name) or len(ascii_name) > 253:
        raise ValueError(f"expected a DNS name or an IP address, got {name!r}")
    return x509.DNSName(ascii_name)


def check_client_name(name: str) -> None:
    """Raise ``ValueError`` for a name that cannot be the common name of a client and its MQTT user name."""
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise ValueError(f"expected a name without control characters, got {name!r}")
    if not 1 <= len(name.encode()) <= MAX_COMMON_NAME or name != name.strip():
        raise ValueError(f"expected a name of 1 to {MAX_COMMON_NAME} bytes without spaces around it, got {name!r}")


def _issue(
    authority: Issued,
    common_name: str,
    alternatives: Sequence[x509.GeneralName],
    purpose: x509.ObjectIdentifier,
    not_before: datetime,
    not_after: datetime,
) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_subject(common_name), authority.certificate.subject, key, not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(_identifier_of(authority), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Issued(builder.sign(authority.key, SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _identifier_of(authority: Issued) -> x509.AuthorityKeyIdentifier:
    """Return the identifier that the authority's own certificate gives to its key."""
    try:
        own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
