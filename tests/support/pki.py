"""Certificates for tests, in files: an authority, a server, and clients that are good, bad and revoked.

``pki`` is a fixture of the whole session, so that no test may change its files; :meth:`Pki.copy` gives files to change.
"""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mqttbroker.certs import (
    Issued,
    issue_client,
    issue_server,
    make_authority,
    make_revocation_list,
    parse_certificates,
    parse_key,
)
from mqttbroker.config import CertificateConfig, TlsConfig
from mqttbroker.listeners.tls import CertificateFiles, TlsSettings

__all__ = ["OTHER_NAME", "SERVER_NAMES", "ClientName", "Pki", "SettingsChanges", "TlsChanges"]

SERVER_NAMES = ("localhost", "127.0.0.1", "::1")
OTHER_NAME = "other.example.org"
"""What the second certificate of a server is for, besides ``*.things.example.org``."""

ClientName = Literal["alice", "expired", "foreign", "revoked"]

_DAY = timedelta(days=1)


class TlsChanges(TypedDict, total=False):
    """Fields of :class:`TlsConfig`."""

    certificate: Path | None
    key: Path | None
    certificates: tuple[CertificateConfig, ...]
    minimum_version: Literal["1.2", "1.3"]
    ciphers: str | None
    client_certificates: Literal["none", "optional", "required"]
    client_ca: Path | None
    crl: Path | None


class SettingsChanges(TypedDict, total=False):
    """Fields of :class:`TlsSettings`."""

    certificates: tuple[CertificateFiles, ...]
    minimum_version: Literal["1.2", "1.3"]
    ciphers: str | None
    client_certificates: Literal["none", "optional", "required"]
    client_ca: Path | None
    crl: Path | None
    alpn: tuple[str, ...]


class Pki:
    """Certificates in one directory, ``NAME.pem``, and their keys, ``NAME-key.pem``.

    ``server``
        Holds for ``SERVER_NAMES``.
    ``other``
        Another server, for ``OTHER_NAME`` and ``*.things.example.org``.
    ``expired-server``
        A server like the first, a day ago.
    ``alice``
        A client, signed by ``ca``; CN and DNS name are ``alice``.
    ``expired``, ``foreign``, ``revoked``
        Clients that must be refused: the certificate has expired; another authority has signed it (``foreign-ca``); it
        is in ``crl.pem``.
    """

    def __init__(self, directory: Path) -> None:
        self.directory: Path = directory

    @classmethod
    def make(cls, directory: Path) -> Pki:
        """Make everything."""
        self = cls(directory)
        now = datetime.now(UTC).replace(microsecond=0)
        start, end = now - _DAY, now + 30 * _DAY
        authority = make_authority("test authority", now - 30 * _DAY, now + 60 * _DAY)
        foreign = make_authority("foreign authority", now - 30 * _DAY, now + 60 * _DAY)
        revoked = issue_client(authority, "revoked", start, end)
        self.write("ca", authority)
        self.write("foreign-ca", foreign)
        self.write("server", issue_server(authority, SERVER_NAMES, start, end))
        self.write("other", issue_server(authority, [OTHER_NAME, "*.things.example.org"], start, end))
        self.write("expired-server", issue_server(authority, SERVER_NAMES, start - _DAY, now - _DAY))
        self.write("alice", issue_client(authority, "alice", start, end))
        self.write("expired", issue_client(authority, "expired", start - _DAY, now - _DAY))
        self.write("foreign", issue_client(foreign, "foreign", start, end))
        self.write("revoked", revoked)
        serials = [revoked.certificate.serial_number]
        self.write_revocation_list("crl", authority, serials, end)
        self.write_revocation_list("empty-crl", authority, [], end)
        self.write_revocation_list("expired-crl", authority, serials, now - timedelta(hours=1))
        self.write_revocation_list("foreign-crl", foreign, [], end)
        return self

    def copy(self, directory: Path) -> Pki:
        """Return the same certificates in another directory, which need not exist."""
        shutil.copytree(self.directory, directory, dirs_exist_ok=True)
        return Pki(directory)

    def certificate(self, name: str) -> Path:
        """The path of a certificate, and of a list of revoked ones."""
        return self.directory / f"{name}.pem"

    def key(self, name: str) -> Path:
        """The path of a private key."""
        return self.directory / f"{name}-key.pem"

    def files(self, name: str) -> CertificateFiles:
        """The paths of both."""
        return CertificateFiles(self.certificate(name), self.key(name))

    def authority(self, name: Literal["ca", "foreign-ca"] = "ca") -> Issued:
        """An authority, to sign more with."""
        certificate, key = self.certificate(name), self.key(name)
        signing = parse_key(key, key.read_bytes())
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        return Issued(parse_certificates(certificate, certificate.read_bytes())[0], signing)

    @property
    def ca(self) -> Path:
        """The authority's certificate: what clients trust, and what their certificates are signed with."""
        return self.certificate("ca")

    @property
    def crl(self) -> Path:
        """The list of revoked certificates."""
        return self.certificate("crl")

    def write(self, name: str, issued: Issued) -> None:
        """Write one more certificate and its key."""
        self.certificate(name).write_bytes(issued.certificate_pem())
        self.key(name).write_bytes(issued.key_pem())

    def write_revocation_list(
        self, name: str, authority: Issued, serials: Sequence[int], next_update: datetime
    ) -> None:
        """Write one more list of revoked certificates."""
        begin = next_update - 60 * _DAY
        made = make_revocation_list(authority, [(serial, begin) for serial in serials], begin, next_update)
        self.certificate(name).write_bytes(made.public_bytes(Encoding.PEM))

    def client_context(
        self, name: ClientName | None = None, *, version: Literal["1.2", "1.3"] | None = None, alpn: Sequence[str] = ()
    ) -> ssl.SSLContext:
        """A client that trusts the authority, and shows this certificate or none. ``version`` is the only one that it
        speaks.
        """
        context = ssl.create_default_context(cafile=self.ca)
        # The default in Python 3.13: certificates must be as RFC 5280 wants them.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if name is not None:
            context.load_cert_chain(self.certificate(name), self.key(name))
        if version is not None:
            context.minimum_version = context.maximum_version = (
                ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
            )
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def server_context(self) -> ssl.SSLContext:
        """A server that asks for no client certificate, for tests of clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate("server"), self.key("server"))
        return context

    def tls_config(self, **changes: Unpack[TlsChanges]) -> TlsConfig:
        """The table ``[listeners.tls]`` with the first server's certificate. Where clients are asked for theirs,
        ``client_ca`` is the authority unless given.
        """
        if changes.get("client_certificates", "none") != "none":
            changes = {"client_ca": self.ca, **changes}
        return replace(TlsConfig(self.certificate("server"), self.key("server")), **changes)

    def tls_settings(self, **changes: Unpack[SettingsChanges]) -> TlsSettings:
        """The same as a listener wants it."""
        if changes.get("client_certificates", "none") != "none":
            changes = {"client_ca": self.ca, **changes}
        return replace(TlsSettings((self.files("server"),)), **changes)
