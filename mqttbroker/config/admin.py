"""The HTTP API and the console: the table ``[admin]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LOCAL_TOKEN_FILE", "AdminConfig", "AdminTlsConfig"]

LOCAL_TOKEN_FILE = "admin-token"
"""In the data directory: by it, programs of the broker's own account use the admin server while that runs."""


@dataclass(frozen=True, slots=True)
class AdminTlsConfig:
    """Encryption of the admin server: the table ``[admin.tls]``, which turns it on."""

    certificate: Path | None = None
    """The certificate and those that it was signed with, in PEM."""
    key: Path | None = None
    """Its private key, in PEM; ``None``: in the same file."""

    def __post_init__(self) -> None:
        if self.certificate is None:
            raise ValueError("certificate: expected a path in quotes")


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """Where people and programs look after the broker. It speaks plain HTTP where there is no ``tls``."""

    enabled: bool = False
    """Whether there is an admin server."""
    host: str = "127.0.0.1"
    """Address or name to listen on."""
    port: int = 8080
    """TCP port; 0 lets the system choose a free one, which the log names."""
    accounts_file: Path | None = None
    """Who may log in. ``None``: ``admin.json`` in the data directory; in memory where there is none."""
    audit_file: Path | None = None
    """Who has changed what, in JSON lines. ``None``: ``admin-audit.jsonl`` beside the accounts, where these are in a
    file.
    """
    backup_dir: Path | None = None
    """Where backups of the store are kept. ``None``: ``backups`` in the data directory."""
    trusted_hosts: tuple[str, ...] = ()
    """Names by which browsers reach the server, besides ``localhost`` and all addresses."""
    tls: AdminTlsConfig | None = None

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("host: expected an address or a name")
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")
        for name in self.trusted_hosts:
            if not name or any(each in name for each in " /:@*"):
                raise ValueError(f"trusted_hosts: expected names like broker.example, without a port, got {name!r}")
