"""Certificates: what stands in their files (``pem.py``), and a small authority that makes them for development and
tests (``issuing.py``, and ``directory.py`` for the files that it keeps).
"""

from __future__ import annotations

from mqttbroker.certs.directory import DEFAULT_DAYS, CertificateDirectory
from mqttbroker.certs.issuing import Issued, issue_client, issue_server, make_authority, make_revocation_list
from mqttbroker.certs.pem import (
    CertificateError,
    CertificateInfo,
    belongs,
    describe,
    dns_names,
    parse_certificates,
    parse_key,
    parse_revocation_lists,
    read_file,
)

__all__ = [
    "DEFAULT_DAYS",
    "CertificateDirectory",
    "CertificateError",
    "CertificateInfo",
    "Issued",
    "belongs",
    "describe",
    "dns_names",
    "issue_client",
    "issue_server",
    "make_authority",
    "make_revocation_list",
    "parse_certificates",
    "parse_key",
    "parse_revocation_lists",
    "read_file",
]
