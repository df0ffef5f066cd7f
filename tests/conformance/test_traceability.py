"""No statement that binds a server is without a test."""

from __future__ import annotations

import pytest

from tests.conformance.statements import BY_THE_OTHERS, CLIENT_ONLY, TABLES, TITLES, load
from tests.conformance.trace import TRACE


@pytest.mark.parametrize("version", TABLES)
def test_every_statement_that_binds_a_server_has_a_test(version: str, pytestconfig: pytest.Config) -> None:
    trace = pytestconfig.stash[TRACE][version]
    if not trace.complete:
        pytest.skip(f"only some of the tests in {version}/ were collected")
    missing = [row for row in load(version).values() if row.needs_test and row.id not in trace.named]
    assert not missing, f"{TITLES[version]}: no test for " + ", ".join(row.id for row in missing)


@pytest.mark.parametrize("version", TABLES)
def test_the_table_is_well_formed(version: str) -> None:
    for row in load(version).values():
        assert row.role in ("server", "client", "both"), row
        assert row.level in ("MUST", "MUST NOT"), row
        assert row.statement and row.check, row
        assert row.check == BY_THE_OTHERS or (row.role == "client") == (row.check == CLIENT_ONLY), row
