"""Who may connect and what they may do: the table ``[security]``, and ``[listeners.security]`` of one listener."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["SecurityConfig"]


@dataclass(frozen=True, slots=True)
class SecurityConfig:
    """Users and rules. What a listener does not set is as ``[security]`` has it."""

    allow_anonymous: bool | None = None
    """Whether a client may connect without a user name. ``None``: it may while there is no password file."""
    password_file: Path | None = None
    """Users and the hashes of their passwords, as ``mqttbroker passwd`` writes them. ``None``: ``passwords`` in the
    data directory, where it is there.
    """
    acl_file: Path | None = None
    """Rules of who may publish and subscribe to what. ``None``: ``acl.toml`` in the data directory, where it is there.
    Without them everybody may do everything where there is no password file, and nobody may do anything where there is
    one.
    """

    @property
    def anonymous(self) -> bool:
        """Whether a client may connect without a user name, as it follows from the fields."""
        return self.password_file is None if self.allow_anonymous is None else self.allow_anonymous

    def over(self, default: SecurityConfig) -> SecurityConfig:
        """These settings, and those of ``default`` where nothing is set."""
        return SecurityConfig(
            default.allow_anonymous if self.allow_anonymous is None else self.allow_anonymous,
            self.password_file or default.password_file,
            self.acl_file or default.acl_file,
        )
