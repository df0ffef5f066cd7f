"""From the files of one listener to the contexts that the standard library serves TLS with.

Everything is checked before OpenSSL sees it, since OpenSSL says little about what is wrong, and not which file it is
in. What comes out is complete: a listener changes from one :class:`Loaded` to another, never in parts.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding

from mqttbroker.broker import Log
from mqttbroker.certs import (
    CertificateError,
    CertificateInfo,
    belongs,
    describe,
    dns_names,
    parse_certificates,
    parse_key,
    parse_revocation_lists,
)
from mqttbroker.security import TlsError

__all__ = ["CertificateFiles", "Loaded", "ServerContext", "TlsSettings", "load"]

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate of the server and its private key, in PEM."""

    certificate: Path
    """The certificate, and behind it those that it was signed with."""
    key: Path | None = None
    """``None``: in the same file."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What a listener serves TLS with."""

    certificates: tuple[CertificateFiles, ...]
    """At least one. The first is shown to clients that ask for no name, or for one that no certificate holds for."""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    ciphers: str | None = None
    """Cipher suites of TLS 1.2, as OpenSSL writes them; ``None``: those that Python chooses."""
    client_certificates: Literal["none", "optional", "required"] = "none"
    client_ca: Path | None = None
    """Authorities that client certificates must have been signed by. An intermediate one is trusted by itself."""
    crl: Path | None = None
    """Lists of revoked client certificates. Where one of an authority is missing, nobody whom it has signed gets in."""
    alpn: tuple[str, ...] = ()
    """Protocols to choose from (RFC 7301). A client that asks for none of them is served all the same."""

    def __post_init__(self) -> None:
        if not self.certificates:
            raise ValueError("certificates: expected at least one")
        if self.client_certificates != "none" and self.client_ca is None:
            raise ValueError("client_ca: expected a path, since clients are asked for certificates")

    @property
    def files(self) -> list[Path]:
        """All files, each once."""
        paths = [path for each in self.certificates for path in (each.certificate, each.key)]
        if self.client_certificates != "none":
            paths += [self.client_ca, self.crl]
        return list(dict.fromkeys(path for path in paths if path is not None))


class ServerContext(ssl.SSLContext):
    """A context that knows how long its lists of revoked certificates hold."""

    crl_next_update: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of reading all files."""

    context: ServerContext
    certificates: list[CertificateInfo]
    crl_next_update: float | None


def load(settings: TlsSettings, contents: Mapping[Path, bytes], log: Log, now: float) -> Loaded:
    """Make contexts of what was read from the files. Raises :class:`TlsError`.

    OpenSSL reads keys and lists from their files once more, so that the caller must see to it that these have not
    changed. ``log`` is told what has run out; ``now`` is in seconds since the epoch.
    """
    try:
        return _Loading(settings, contents, log, now).load()
    except CertificateError as error:
        raise TlsError(str(error)) from error
    except ValueError as error:
        # Some mistakes in a certificate come out only when that part of it is looked at.
        files = ", ".join(map(str, settings.files))
        raise TlsError(f"{files}: expected certificates that can be understood: {error}") from error


class _Loading:
    """One reading of all files."""

    def __init__(self, settings: TlsSettings, contents: Mapping[Path, bytes], log: Log, now: float) -> None:
        self._settings: TlsSettings = settings
        self._contents: Mapping[Path, bytes] = contents
        self._log: Log = log
        self._now: float = now
        self._authorities: list[x509.Certificate] = []
        self._crl_next_update: float | None = None

    def load(self) -> Loaded:
        """Do all of it."""
        self._read_client_files()
        contexts: list[ServerContext] = []
        described: list[CertificateInfo] = []
        # The first context stands for itself: in a table of its own it would only be freed as garbage.
        by_name: dict[str, ServerContext | None] = {}
        for files in self._settings.certificates:
            certificate = self._read_chain(files)[0]
            described.append(describe(files.certificate, certificate))
            context = self._make_context(files)
            for name in dns_names(files.certificate, certificate):
                by_name.setdefault(name, context if contexts else None)
            contexts.append(context)
        if len(contexts) > 1:
            _choose_by_name(contexts[0], by_name)
        return Loaded(contexts[0], described, self._crl_next_update)

    def _read_chain(self, files: CertificateFiles) -> list[x509.Certificate]:
        """Return the certificate and those behind it, which have been checked against the key."""
        path, key_path = files.certificate, files.key or files.certificate
        chain = parse_certificates(path, self._contents[path])
        key = parse_key(key_path, self._contents[key_path])
        if not belongs(key, chain[0]):
            if any(belongs(key, other) for other in chain):
                raise TlsError(f"{path}: expected the server's certificate first, and behind it those that signed it")
            raise TlsError(f"{key_path}: expected the private key of the certificate in {path}, found another one")
        for each in chain:
            self._tell_dates(path, each)
        return chain

    def _read_client_files(self) -> None:
        settings = self._settings
        if settings.client_certificates == "none" or settings.client_ca is None:
            return
        self._authorities = parse_certificates(settings.client_ca, self._contents[settings.client_ca])
        for authority in self._authorities:
            self._tell_dates(settings.client_ca, authority)
        if settings.crl is not None:
            self._read_revocation_lists(settings.client_ca, settings.crl)

    def _read_revocation_lists(self, client_ca: Path, path: Path) -> None:
        lists = parse_revocation_lists(path, self._contents[path])
        signers = [self._find_signer(client_ca, path, each) for each in lists]
        ends = [each.next_update_utc for each in lists if each.next_update_utc is not None]
        for end in ends:
            if end.timestamp() <= self._now:
                self._log(
                    "warning",
                    "list of revoked certificates has run out: no client certificate of its authority is accepted",
                    file=str(path),
                    expired=_date(end),
                )
        for authority in self._authorities:
            if authority not in signers and not self._signs_authorities(authority):
                self._log(
                    "warning",
                    "no list of revoked certificates of an authority: no client certificate of it is accepted",
                    file=str(path),
                    authority=authority.subject.rfc4514_string(),
                )
        self._crl_next_update = min((end.timestamp() for end in ends), default=None)

    def _find_signer(self, client_ca: Path, path: Path, revoked: x509.CertificateRevocationList) -> x509.Certificate:
        """Return the authority that has signed a list."""
        for authority in self._authorities:
            if _has_signed(authority, revoked):
                if not _may_sign_lists(authority):
                    raise TlsError(f"{client_ca}: expected an authority that may sign the lists in {path} (cRLSign)")
                return authority
        issuer = revoked.issuer.rfc4514_string()
        raise TlsError(f"{path}: expected lists signed by an authority in {client_ca}, found one of {issuer!r}")

    def _signs_authorities(self, authority: x509.Certificate) -> bool:
        return any(each.issuer == authority.subject for each in self._authorities if each is not authority)

    def _tell_dates(self, path: Path, certificate: x509.Certificate) -> None:
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        subject = certificate.subject.rfc4514_string()
        if ends.timestamp() <= self._now:
            self._log("warning", "certificate has expired", file=str(path), subject=subject, expired=_date(ends))
        elif begins.timestamp() > self._now:
            self._log("warning", "certificate is not valid yet", file=str(path), subject=subject, begins=_date(begins))

    def _make_context(self, files: CertificateFiles) -> ServerContext:
        settings = self._settings
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[settings.minimum_version]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        if settings.ciphers is not None:
            _set_ciphers(context, settings.ciphers)
        # A client that has one connection at a time resumes it with one ticket, and gets the next one then.
        context.num_tickets = 1
        if settings.alpn:
            context.set_alpn_protocols(list(settings.alpn))
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(files.certificate, files.key, password="")
        except (OSError, ValueError) as error:
            raise TlsError(f"{files.certificate}: OpenSSL refuses it: {_reason(error)}") from error
        self._trust_clients(context)
        return context

    def _trust_clients(self, context: ServerContext) -> None:
        settings = self._settings
        context.verify_mode = _VERIFY[settings.client_certificates]
        if not self._authorities:
            return
        # An intermediate authority is trusted without the root above it, as everybody expects who names only that.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        authorities = b"".join(each.public_bytes(Encoding.DER) for each in self._authorities)
        try:
            context.load_verify_locations(cadata=authorities)
        except (OSError, ValueError) as error:
            raise TlsError(f"{settings.client_ca}: OpenSSL refuses it: {_reason(error)}") from error
        if settings.crl is None:
            return
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.crl_next_update = self._crl_next_update
        try:
            context.load_verify_locations(cafile=settings.crl)
        except (OSError, ValueError) as error:
            raise TlsError(f"{settings.crl}: OpenSSL refuses it: {_reason(error)}") from error


def _choose_by_name(first: ServerContext, by_name: Mapping[str, ServerContext | None]) -> None:
    """Let the first context give way to another one whose certificate holds for the name that a client asks for."""

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, server_name: str | None, _: ssl.SSLContext) -> None:
        name = (server_name or "").lower().rstrip(".")
        chosen = by_name[name] if name in by_name else by_name.get("*." + name.partition(".")[2])
        if chosen is not None:
            connection.context = chosen

    first.sni_callback = choose


def _set_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    """Set the cipher suites of TLS 1.2. OpenSSL passes over names that it does not know, unless there are no others."""
    for name in ciphers.replace(",", ":").replace(" ", ":").split(":"):
        if name and name[0] not in "!-+@":
            _try_ciphers(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), name)
    _try_ciphers(context, ciphers)


def _try_ciphers(context: ssl.SSLContext, ciphers: str) -> None:
    try:
        context.set_ciphers(ciphers)
    except (ssl.SSLError, ValueError):
        raise TlsError(f"ciphers: expected cipher suites of TLS 1.2 as OpenSSL writes them, got {ciphers!r}") from None


def _has_signed(authority: x509.Certificate, revoked: x509.CertificateRevocationList) -> bool:
    try:
        return revoked.is_signature_valid(cast("CertificateIssuerPublicKeyTypes", authority.public_key()))
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _may_sign_lists(authority: x509.Certificate) -> bool:
    """Tell whether OpenSSL accepts lists of this authority: it says that it signs them, or nothing at all."""
    try:
        return authority.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True
    except x509.DuplicateExtension:
        return False


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason).replace("_", " ").lower()
