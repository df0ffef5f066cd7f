"""The directory that ``mqttbroker certs`` keeps: an authority for development, and what it has signed.

``ca.pem``, ``ca-key.pem``
    The authority. Everybody who talks to the broker needs the first, nobody but this program the second.
``server.pem``, ``server-key.pem``
    The broker's certificate with the authority's behind it, and its key.
``client-NAME.pem``, ``client-NAME-key.pem``
    The same for a client.
``crl.pem``
    The list of revoked client certificates. It is there from the start, so that a broker can be told of it once and
    for all, and does not run out before the authority does: nobody would be there to renew it.
``clients.txt``
    Serial number and name of each client certificate, so that all of one name can be revoked, also lost ones.

Each file is replaced as a whole or not at all. Private keys are readable by their owner only; whoever owned a file,
and could read it, before it was replaced still does afterwards.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from mqttbroker.certs.issuing import (
    Issued,
    alternative_name,
    check_client_name,
    issue_client,
    issue_server,
    make_authority,
    make_revocation_list,
)
from mqttbroker.certs.pem import (
    CertificateError,
    belongs,
    describe,
    parse_certificates,
    parse_key,
    parse_revocation_lists,
    read_file,
)
from mqttbroker.files import replace_file

__all__ = ["AUTHORITY_DAYS", "DEFAULT_DAYS", "CertificateDirectory"]

DEFAULT_DAYS: Final = 825
"""Validity of a certificate. Some systems refuse those that last longer."""
AUTHORITY_DAYS: Final = 3_650

_SAFE: Final = " @+,=()._-"
"""Characters besides letters and digits that a file name may have everywhere."""
_SKEW: Final = timedelta(hours=1)
"""Certificates begin so much in the past, for those whose clocks are a little behind."""
_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class CertificateDirectory:
    """An authority for development in one directory.

    Its methods raise :class:`CertificateError` for files, and ``ValueError`` for names that cannot be used.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = _now) -> None:
        self.path: Path = path
        self.authority: Path = path / "ca.pem"
        self.authority_key: Path = path / "ca-key.pem"
        self.server: Path = path / "server.pem"
        self.server_key: Path = path / "server-key.pem"
        self.revocation_list: Path = path / "crl.pem"
        self._clients: Path = path / "clients.txt"
        self._clock: Callable[[], datetime] = clock

    def init(self, names: Sequence[str] = (), days: int = DEFAULT_DAYS, force: bool = False) -> bool:
        """Make what is missing, and a new certificate for the server; return whether the authority is new.

        The certificate holds for this machine and for ``names``, and for what the one before it held for. An authority
        that is there stays, so that whoever trusts it need not be told anything; ``force`` makes a new one all the
        same, which ends all that the old one has signed. A certificate that another authority has signed is only
        replaced with ``force``.
        """
        for name in names:
            alternative_name(name)
        new = force or not (self.authority.exists() or self.authority_key.exists())
        if new:
            before: tuple[str, ...] = ()
            if not force:
                self._refuse_to_overwrite(self.server, self.server_key)
            authority = self._make_authority(days)
        else:
            authority = self._read_authority()
            before = self._names_before(authority)
        if new or not self.revocation_list.exists():
            self._write_revocation_list(authority, {}, 1)
        wanted = list(dict.fromkeys((*before, *_LOCAL_NAMES, *_host_name(), *names)))
        issued = issue_server(authority, wanted, *self._validity(days, authority))
        self._write_pair(self.server, self.server_key, issued, authority)
        return new

    def client(self, name: str, days: int = DEFAULT_DAYS, force: bool = False) -> tuple[Path, Path]:
        """Make a certificate for a client; return the paths of it and of its key.

        One that is there is only replaced with ``force``; it counts until it is revoked or has run out.
        """
        authority = self._read_authority()
        certificate, key = self.client_files(name)
        if not force:
            self._refuse_to_overwrite(certificate, key)
        issued = issue_client(authority, name, *self._validity(days, authority))
        # First the record: a certificate that is not in it could not be revoked.
        record = [*self._read_record(), f"{issued.certificate.serial_number:X} {name}"]
        self._write(self._clients, "".join(f"{line}\n" for line in record).encode(), 0o644)
        self._write_pair(certificate, key, issued, authority)
        return certificate, key

    def client_files(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a client's certificate and key."""
        check_client_name(name)
        if name.endswith("-key"):
            raise ValueError(f"expected a name that does not end in -key, like the names of key files, got {name!r}")
        safe = "".join(each if each.isalnum() or each in _SAFE else quote(each, safe="") for each in name)
        stem = f"client-{safe}"
        return self.path / f"{stem}.pem", self.path / f"{stem}-key.pem"

    def revoke(self, name: str) -> int:
        """Revoke all certificates that were made for a client; return how many were not revoked yet."""
        authority = self._read_authority()
        entries = [line.partition(" ") for line in self._read_record()]
        try:
            serials = {int(serial, 16) for serial, _, client in entries if client == name}
        except ValueError as error:
            raise CertificateError(self._clients, "expected lines like: 1A2B3C NAME") from error
        if not serials:
            raise CertificateError(self.path, f"there is no certificate for a client {name!r}")
        revoked, number = self._read_revocation_list()
        new = serials - revoked.keys()
        if new:
            self._write_revocation_list(authority, revoked | dict.fromkeys(new, self._clock()), number + 1)
        return len(new)

    # Parts of these.

    def _refuse_to_overwrite(self, *files: Path) -> None:
        for file in files:
            if file.exists():
                raise CertificateError(file, "is there already; --force replaces it")

    def _make_authority(self, days: int) -> Issued:
        now = self._clock()
        # The name is unlike any other, since some programs confuse authorities of one name and different keys.
        name = f"mqttbroker development CA {secrets.token_hex(4)}"
        made = make_authority(name, now - _SKEW, now + timedelta(days=max(AUTHORITY_DAYS, days)))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._clients.unlink(missing_ok=True)
        except OSError as error:
            raise CertificateError(self.path, f"cannot be written: {error.strerror}") from error
        self._write(self.authority_key, made.key_pem(), 0o600)
        self._write(self.authority, made.certificate_pem(), 0o644)
        return made

    def _read_authority(self) -> Issued:
        if not self.authority.exists() and not self.authority_key.exists():
            raise CertificateError(self.path, "there is no authority here; make one with: mqttbroker certs init DIR")
        certificate = parse_certificates(self.authority, read_file(self.authority))[0]
        key = parse_key(self.authority_key, read_file(self.authority_key))
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise CertificateError(self.authority_key, "expected an elliptic curve or RSA key")
        if not belongs(key, certificate):
            raise CertificateError(self.authority_key, f"expected the private key of {self.authority.name}")
        if certificate.not_valid_after_utc <= self._clock():
            raise CertificateError(self.authority, "has expired; mqttbroker certs init DIR --force begins anew")
        return Issued(certificate, key)

    def _names_before(self, authority: Issued) -> tuple[str, ...]:
        """Return what the server's certificate holds for, which must be the authority's."""
        if not self.server.exists():
            self._refuse_to_overwrite(self.server_key)
            return ()
        certificate = parse_certificates(self.server, read_file(self.server))[0]
        if certificate.issuer != authority.certificate.subject:
            raise CertificateError(self.server, f"was not signed with {self.authority.name}; --force replaces both")
        return describe(self.server, certificate).names

    def _validity(self, days: int, authority: Issued) -> tuple[datetime, datetime]:
        now = self._clock()
        until = min(now + timedelta(days=days), authority.certificate.not_valid_after_utc)
        return max(now - _SKEW, authority.certificate.not_valid_before_utc), until

    def _read_record(self) -> list[str]:
        """Return serial number and name of each client certificate."""
        if not self._clients.exists():
            return []
        try:
            return [line for line in read_file(self._clients).decode().split("\n") if line]
        except UnicodeDecodeError as error:
            raise CertificateError(self._clients, "expected lines like: 1A2B3C NAME") from error

    def _read_revocation_list(self) -> tuple[dict[int, datetime], int]:
        """Return the serial numbers with their dates, and the number of the list."""
        if not self.revocation_list.exists():
            return {}, 0
        found = parse_revocation_lists(self.revocation_list, read_file(self.revocation_list))[0]
        try:
            number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        except x509.ExtensionNotFound:
            number = 0
        return {each.serial_number: each.revocation_date_utc for each in found}, number

    def _write_revocation_list(self, authority: Issued, revoked: dict[int, datetime], number: int) -> None:
        until = authority.certificate.not_valid_after_utc
        made = make_revocation_list(authority, revoked.items(), self._clock() - _SKEW, until, number)
        self._write(self.revocation_list, made.public_bytes(Encoding.PEM), 0o644)

    def _write_pair(self, certificate: Path, key: Path, issued: Issued, authority: Issued) -> None:
        self._write(key, issued.key_pem(), 0o600)
        self._write(certificate, issued.certificate_pem() + authority.certificate_pem(), 0o644)

    def _write(self, path: Path, content: bytes, mode: int) -> None:
        try:
            replace_file(path, content, mode, keep_mode=True)
        except OSError as error:
            raise CertificateError(path, f"cannot be written: {error.strerror}") from error


def _host_name() -> tuple[str, ...]:
    """Return the machine's name, if a certificate can hold it."""
    name = socket.gethostname()
    try:
        alternative_name(name)
    except ValueError:
        return ()
    return (name,)
