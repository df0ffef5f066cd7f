"""Certificates for brokers that are measured over TLS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mqttbroker.certs import issue_server, make_authority

__all__ = ["Certificates"]


@dataclass(frozen=True)
class Certificates:
    """Files of an authority, and of a server certificate with an EC key (P-256) for 127.0.0.1."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Make them, for a day."""
        begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        end = begin + timedelta(days=1)
        authority = make_authority("benchmarks", begin, end)
        server = issue_server(authority, ["localhost", "127.0.0.1"], begin, end)
        self = cls(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
        self.authority.write_bytes(authority.certificate_pem())
        self.certificate.write_bytes(server.certificate_pem())
        self.key.write_bytes(server.key_pem())
        return self
