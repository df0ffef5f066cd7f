"""TLS of one listener: its files, read anew when they change, and the certificate that a client has shown.

Rules:

1. Everything is checked when it is read, and used as a whole or not at all: where new files are not in order, what was
   in force stays in force.
2. What has only run out is no error, so that a broker can be started with it: an expired certificate is told to the
   log, and clients complain. A list of revoked certificates that has run out lets no client certificate in.
3. OpenSSL checks a client's certificate in the hand-shake. A session that is resumed has no such check, so that
   :func:`client_certificate` looks at the dates; new files mean new contexts, which resume nothing of the old ones.
4. A client without a server name, or with one that no certificate holds for, is shown the first certificate.

Deliberately absent: renegotiation and compression, which serve nobody but attackers; OCSP; keys with passwords. Nothing
here knows the event loop.
"""

from __future__ import annotations

import ssl
import time
import unicodedata
from typing import Final, cast

from cryptography import x509

from mqttbroker.broker import ClientCertificate, Log
from mqttbroker.certs import CertificateInfo
from mqttbroker.listeners.certificates import CertificateFiles, Loaded, ServerContext, TlsSettings, load
from mqttbroker.listeners.watched_file import WatchedFile
from mqttbroker.security import TlsError

__all__ = ["CertificateFiles", "CertificateInfo", "TlsFiles", "TlsSettings", "client_certificate", "lasting_context"]

ATTEMPTS: Final = 3
"""How often files are read that change while they are read."""


class TlsFiles:
    """The certificates, keys and authorities of one listener. Raises :class:`TlsError` when they cannot be used."""

    def __init__(self, settings: TlsSettings, log: Log) -> None:
        self.settings: TlsSettings = settings
        self._log: Log = log
        self._files: list[WatchedFile] = [WatchedFile(path) for path in settings.files]
        self._digests: list[bytes] = []
        self._loaded: Loaded = self._load(self._read())

    @property
    def context(self) -> ssl.SSLContext:
        """For new connections; those that are open keep theirs."""
        return self._loaded.context

    @property
    def certificates(self) -> list[CertificateInfo]:
        """The server's certificates, in the order of the settings."""
        return self._loaded.certificates

    @property
    def crl_next_update(self) -> float | None:
        """When the first list of revoked certificates runs out, in seconds since the epoch; ``None`` without one."""
        return self._loaded.crl_next_update

    def changed(self) -> bool:
        """Tell, cheaply, whether a file differs from the one that was last read, also where that was of no use.

        After a :meth:`reload` that failed it is false until a file changes again.
        """
        return any([file.changed() for file in self._files])

    def reload(self) -> bool:
        """Read all files anew; return whether anything differs from what was in force.

        Raises :class:`TlsError`, and leaves in force what was, when they cannot be used.
        """
        contents = self._read()
        if [file.digest for file in self._files] == self._digests:
            return False
        self._loaded = self._load(contents)
        return True

    def _read(self) -> dict[WatchedFile, bytes]:
        """Read all files, also those after one that cannot be read: :meth:`changed` must know them all."""
        contents: dict[WatchedFile, bytes] = {}
        failed: TlsError | None = None
        for file in self._files:
            try:
                contents[file] = file.read()
            except OSError as error:
                failed = failed or TlsError(f"{file.path}: cannot be read: {error.strerror}")
        if failed is not None:
            raise failed
        return contents

    def _load(self, contents: dict[WatchedFile, bytes]) -> Loaded:
        for attempt in range(ATTEMPTS):
            if attempt:
                contents = self._read()
            by_path = {file.path: content for file, content in contents.items()}
            loaded = load(self.settings, by_path, self._log, time.time())
            if not self.changed():
                self._digests = [file.digest for file in self._files]
                return loaded
        changing = ", ".join(str(file.path) for file in self._files)
        raise TlsError(f"{changing}: expected files that nobody writes while they are read")


def lasting_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for a server that is given one for good: it shows the certificate that is in force, whatever was read
    since. Only for files with one certificate, and without certificates of clients.
    """
    first = files.context

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, server_name: str | None, _: ssl.SSLContext) -> None:
        if files.context is not first:
            connection.context = files.context

    first.sni_callback = choose
    return first


def client_certificate(connection: ssl.SSLObject | ssl.SSLSocket | None) -> ClientCertificate | None:
    """Return the names in the certificate that the client has shown, ``None`` where it has shown none or there is no
    TLS. To be called once, after the hand-shake.

    Names with control characters are left out, and a common name that is one of several: none of them may become a
    user name. Raises :class:`TlsError` where the session was resumed and its certificate has expired since, or the list
    of revoked certificates has run out: the connection must be closed.
    """
    if connection is None:
        return None
    encoded = connection.getpeercert(binary_form=True)
    if encoded is None:
        return None
    if connection.session_reused:
        _check_dates(connection.context, encoded)
    try:
        shown = connection.getpeercert() or {}
    except UnicodeDecodeError:
        return ClientCertificate()
    subject = cast("tuple[tuple[tuple[str, str], ...], ...]", shown.get("subject", ()))
    alternatives = cast("tuple[tuple[str, str], ...]", shown.get("subjectAltName", ()))
    common_names = [value for part in subject for key, value in part if key == "commonName"]
    return ClientCertificate(
        common_names[0] if len(common_names) == 1 and _is_usable(common_names[0]) else "",
        tuple(value for kind, value in alternatives if kind in _ALTERNATIVES and _is_usable(value)),
    )


_ALTERNATIVES: Final = ("DNS", "email", "URI")


def _is_usable(name: str) -> bool:
    return bool(name) and not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)


def _check_dates(context: ssl.SSLContext, encoded: bytes) -> None:
    """Raise :class:`TlsError` where something has run out since the certificate was checked."""
    now = time.time()
    try:
        expires = x509.load_der_x509_certificate(encoded).not_valid_after_utc.timestamp()
    except ValueError as error:
        raise TlsError(f"the client's certificate cannot be understood: {error}") from error
    if expires < now:
        raise TlsError("the client's certificate has expired")
    if isinstance(context, ServerContext) and context.crl_next_update is not None and context.crl_next_update < now:
        raise TlsError("the list of revoked certificates has run out")
