"""Fixtures for all tests: the broker's own pytest plugin, loaded here so that coverage measures its imports.

The profiles of hypothesis (``--hypothesis-profile=NAME``):

``deterministic`` (the default)
    The same examples in every run, and no deadline that a busy machine could miss.
``quick``
    The same with a tenth of the examples, for those who run the tests very often: mutation testing.
``thorough``
    New examples in each run, ten times as many; a failure is printed with what reproduces it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.support.pki import Pki

pytest_plugins = ["mqttbroker.testing.plugin"]

settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=100)
settings.register_profile(
    "quick",
    derandomize=True,
    deadline=None,
    max_examples=10,
    # mutmut runs the tests more than once in one process.
    suppress_health_check=[HealthCheck.differing_executors],
)
settings.register_profile("thorough", derandomize=False, deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile("deterministic")


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates in files, which no test may change."""
    # Most tests have no use for all that this imports.
    from tests.support.pki import Pki

    return Pki.make(tmp_path_factory.mktemp("pki"))
