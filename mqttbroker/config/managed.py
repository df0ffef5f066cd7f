"""Users and rules that no configuration names: files in the data directory, which hold as soon as they are there.

So that people can begin without either and add them to a running broker. What the configuration names comes first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from mqttbroker.config.schema import Config

__all__ = ["is_there", "managed_password_file", "managed_rules_file"]

PASSWORD_FILE: Final = "passwords"
RULES_FILE: Final = "acl.toml"


def managed_password_file(config: Config) -> Path | None:
    """The password file of listeners for which none is named, whether it is there or not; ``None``: nowhere."""
    return None if config.data_dir is None else config.data_dir / PASSWORD_FILE


def managed_rules_file(config: Config) -> Path | None:
    """The rules of listeners for which none are named, as above."""
    return None if config.data_dir is None else config.data_dir / RULES_FILE


def is_there(path: Path) -> bool:
    """Whether there is something of this name. A link that leads nowhere is: it must not open a broker to everybody.

    Raises ``OSError`` where that cannot be told.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
