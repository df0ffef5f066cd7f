"""TLS hand-shakes in memory, between two contexts and without sockets."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

__all__ = ["Ends", "shake_hands"]

ROUNDS = 10
"""No hand-shake goes to and fro more often."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a connection that is ready for data."""

    client: ssl.SSLObject
    server: ssl.SSLObject

    def shown_by_server(self) -> str:
        """The common name in the server's certificate."""
        encoded = self.client.getpeercert(binary_form=True)
        assert encoded is not None
        subject = x509.load_der_x509_certificate(encoded).subject
        return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def shake_hands(
    client: ssl.SSLContext,
    server: ssl.SSLContext,
    name: str | None = "localhost",
    session: ssl.SSLSession | None = None,
) -> Ends:
    """Connect a client that asks for a server name, and resumes a session if there is one.

    Raises what the end raises that fails first. The client has the server's session tickets afterwards.
    """
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = Ends(
        client.wrap_bio(to_client, to_server, server_hostname=name, session=session),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    unfinished = [ends.client, ends.server]
    for _ in range(ROUNDS):
        for end in list(unfinished):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
                unfinished.remove(end)
    assert not unfinished
    ends.server.write(b"ready")
    assert ends.client.read(5) == b"ready"
    return ends
