"""What endpoints reach: the running broker, and what belongs to the admin server itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mqttbroker.access import Access
from mqttbroker.broker import BrokerCore, Inspection, Log, Steering
from mqttbroker.config import Config
from mqttbroker.protocol import NO_PROPERTIES, Properties

if TYPE_CHECKING:
    from mqttbroker.admin.accounts import Accounts
    from mqttbroker.admin.audit import AuditLog
    from mqttbroker.admin.backups import Backups
    from mqttbroker.admin.feed import Feed
    from mqttbroker.admin.log_lines import LogLines
    from mqttbroker.admin.login import Login
    from mqttbroker.admin.monitor import Monitor
    from mqttbroker.admin.offload import Offload
    from mqttbroker.admin.watching import Watches
    from mqttbroker.certs import CertificateInfo

__all__ = ["Administered", "Context"]


class Administered(Protocol):
    """The broker, as far as the admin server needs it; :class:`mqttbroker.server.Broker` is one."""

    config: Config
    monitor: Monitor | None
    """What is measured while it runs."""

    @property
    def core(self) -> BrokerCore: ...

    @property
    def access(self) -> Access: ...

    @property
    def addresses(self) -> Mapping[str, Sequence[tuple[str, int]]]:
        """Host and port by name of listener."""
        ...

    @property
    def connections(self) -> Mapping[str, int]:
        """Connections that are open, by name of listener."""
        ...

    @property
    def certificates(self) -> Mapping[str, Sequence[CertificateInfo]]:
        """Certificates in use by name of listener."""
        ...

    def now(self) -> float:
        """Seconds since the epoch by the broker's clock, which the core's methods are given."""
        ...

    def flush_soon(self) -> None:
        """Send what the core has written for clients. Call it after everything that may have written something."""
        ...

    def reload(self) -> bool:
        """Read users, rules and certificates again."""
        ...

    async def publish(
        self,
        topic: str,
        payload: bytes | str = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> None:
        """Publish a message as the program itself."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """One per server."""

    broker: Administered
    log: Log
    accounts: Accounts
    login: Login
    audit: AuditLog
    offload: Offload
    """For work that waits for the disk or takes a core for long."""
    started: float
    """When the server was started, in seconds since the epoch."""
    inspection: Inspection
    steering: Steering
    feed: Feed
    lines: LogLines
    """The last lines of the log."""
    backups: Backups
    watches: Watches
    """Who watches which topics are published to."""
    description: dict[str, Any]
    """The OpenAPI document."""
