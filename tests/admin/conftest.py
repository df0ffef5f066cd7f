"""What the tests of the admin server have in common."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords that are as good as any, in a hundredth of the time."""
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("mqttbroker.security.passwords.PasswordHasher", cheap)


@pytest.fixture(autouse=True)
def no_console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same answers, whether the console has been built in this tree or not."""
    monkeypatch.setattr("mqttbroker.admin.pages.BUILT", tmp_path / "not-built")
