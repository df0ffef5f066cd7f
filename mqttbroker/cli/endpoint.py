"""Where ``pub`` and ``sub`` connect: TCP, TLS over TCP, or a Unix socket; and what is said where that fails.

Deliberately absent: WebSocket, and TLS over a Unix socket, which does not leave the machine.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["PLAIN_PORT", "TLS_PORT", "ClientError", "Endpoint", "Tls"]

PLAIN_PORT: Final = 1_883
TLS_PORT: Final = 8_883

SHUTDOWN_TIMEOUT: Final = 2.0
"""Seconds in which the other end may answer that a TLS connection ends."""

# The numbers of OpenSSL for what can be wrong with a certificate (X509_V_ERR_...), which ``ssl`` has no names for.
_OTHER_NAME: Final = {62, 64}  # A name, an address.
_UNKNOWN_AUTHORITY: Final = {2, 18, 19, 20, 21}


class ClientError(Exception):
    """The exchange cannot go on; the text is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How the broker's certificate is checked, and which one is shown to it. All files are PEM."""

    cafile: Path | None = None
    """The authorities that are trusted; ``None``: those of the system."""
    system: bool = False
    """Whether those of the system are trusted besides ``cafile``."""
    certificate: Path | None = None
    """The client's certificate; ``None``: it has none."""
    key: Path | None = None
    """The key of that; never without it."""
    check_name: bool = True
    """Whether the certificate must be for the name or address that is connected to."""

    def context(self) -> ssl.SSLContext:
        """Read the files. Raise :class:`ClientError` where one cannot be used."""
        for file in (self.cafile, self.certificate, self.key):
            if file is not None:
                _check_readable(file)
        try:
            context = ssl.create_default_context(cafile=self.cafile)
        except ssl.SSLError:
            raise ClientError(f"{self.cafile}: expected certificates, PEM") from None
        if self.cafile is not None and self.system:
            context.load_default_certs()
        context.check_hostname = self.check_name
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except ssl.SSLError as error:
                if error.reason == "KEY_VALUES_MISMATCH":
                    raise ClientError(f"{self.key}: is not the key of {self.certificate}") from None
                raise ClientError(f"{self.certificate}, {self.key}: expected a certificate and its key, PEM") from None
        return context


def _check_readable(file: Path) -> None:
    # ``ssl`` does not say which file it cannot read.
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise ClientError(f"{file}: cannot be read: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place to connect to."""

    host: str = "localhost"
    port: int = PLAIN_PORT
    path: Path | None = None
    """Of a Unix socket, in the place of host and port."""
    tls: Tls | None = None
    """For host and port only; ``None``: without TLS."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.path is None else str(self.path)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect. Raise :class:`ClientError` where that fails; there is no time-out."""
        try:
            if self.path is not None:
                return await _open_unix(self.path)
            if self.tls is None:
                return await asyncio.open_connection(self.host, self.port)
            return await asyncio.open_connection(
                self.host, self.port, ssl=self.tls.context(), ssl_shutdown_timeout=SHUTDOWN_TIMEOUT
            )
        except OSError as error:
            why = self.why(error)
            if self.tls is not None and isinstance(error, ConnectionResetError | ConnectionAbortedError):
                why = "the connection was closed during the TLS hand-shake (is this a port with TLS?)"
        except ValueError:
            why = "that cannot be a host name"
        raise ClientError(f"cannot connect to {self}: {why}")

    def why(self, error: OSError) -> str:
        """Why it could not be connected to, or the connection was lost."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._why_not_trusted(error)
        if isinstance(error, ssl.SSLError):
            return self._why_no_tls(error)
        if isinstance(error, socket.gaierror):
            return "no such host"
        if isinstance(error, FileNotFoundError):
            return "there is no such socket (is a broker running there?)"
        # Where a name has several addresses, asyncio joins the causes and gives no number.
        if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
            return "connection refused (is a broker running there?)"
        return error.strerror or str(error)

    def why_no_answer(self) -> str:
        """What may be the matter where the connection is closed before CONNECT is answered; empty where that is not
        known.
        """
        if self.path is not None:
            return ""
        if self.tls is None:
            return " (is this a port with TLS? then use --cafile)"
        # In TLS 1.3 a server asks for a certificate and says that it misses one when the hand-shake is over for the
        # client. Where CONNECT crosses that message on the way, the message can be lost.
        return "" if self.tls.certificate else " (does it want a client certificate? then use --cert and --key)"

    def _why_not_trusted(self, error: ssl.SSLCertVerificationError) -> str:
        if error.verify_code in _OTHER_NAME:
            return (
                f"the broker's certificate is not for {self.host} (use a name that it is for as --host, or --insecure)"
            )
        advice = " (does --cafile name the authority?)" if error.verify_code in _UNKNOWN_AUTHORITY else ""
        return f"the broker's certificate is not trusted: {error.verify_message}{advice}"

    def _why_no_tls(self, error: ssl.SSLError) -> str:
        reason = error.reason or ""
        if reason == "WRONG_VERSION_NUMBER":
            return "what answers does not speak TLS (is this a port with TLS?)"
        # What the other end has said; the words before it are versions of TLS in which there first was such a message.
        alert = reason.partition("_ALERT_")[2].replace("_", " ").lower()
        if not alert:
            return f"TLS failed: {error}"
        certificate = self.tls.certificate if self.tls is not None else None
        if certificate is None and alert in ("certificate required", "handshake failure"):
            # The first is that of TLS 1.3; before, there is none of its own for this.
            return f"the broker refused TLS: {alert} (it may want a client certificate: --cert and --key)"
        if certificate is not None and ("certificate" in alert or alert == "unknown ca"):
            return f"the broker refused {certificate}: {alert}"
        return f"the broker refused TLS: {alert}"


async def _open_unix(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if sys.platform == "win32":
        raise OSError("there are no Unix sockets here")
    return await asyncio.open_unix_connection(path)
