"""A broker that strangers can reach must know its users, unless its owner says in so many words that it need not.

The check is apart from loading, because a configuration that is open to all is well-formed; it is only refused
where a broker would be started with it.
"""

from __future__ import annotations

from mqttbroker.config.listener import ListenerConfig
from mqttbroker.config.loading import ConfigError
from mqttbroker.config.managed import is_there, managed_password_file
from mqttbroker.config.schema import Config

__all__ = ["check_exposure"]


def check_exposure(config: Config, managed: bool | None = None) -> None:
    """Raise :class:`ConfigError` where a listener and its security settings do not go together.

    That is: a listener that clients on other machines reach, themselves or through a proxy, while none of them has to
    say who it is and ``allow_anonymous`` does not say that this is meant; or a listener that would let nobody in.

    ``managed`` says whether there is a password file in the data directory; ``None``: look.
    """
    if _is_managed(config) if managed is None else managed:
        return  # It is every listener's that names none.
    for listener in config.listeners:
        security = listener.security.over(config.security)
        if security.password_file is not None or security.allow_anonymous or listener.username_from is not None:
            continue
        if security.allow_anonymous is False:
            raise ConfigError(
                f"listener {listener.name!r} would let nobody in: allow_anonymous is false, and there is neither a "
                "password_file (make one with: mqttbroker passwd FILE USER) nor username_from"
            )
        if listener.tls is None or listener.tls.client_certificates != "required":
            _check_strangers(listener)


def _is_managed(config: Config) -> bool:
    path = managed_password_file(config)
    try:
        return path is not None and is_there(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be looked at: {error.strerror}") from error


def _check_strangers(listener: ListenerConfig) -> None:
    """Raise :class:`ConfigError` where strangers reach a listener that asks for nothing."""
    ways_out = [
        "a password_file in [security] or [listeners.security] (make one with: mqttbroker passwd FILE USER)",
        'client_certificates = "required" in [listeners.tls]',
    ]
    if not listener.local:
        who = f"on {listener.host} could be used by anybody who reaches this machine"
        ways_out.append('host = "127.0.0.1" for this machine only')
    elif listener.proxy_protocol or listener.trusted_proxies:
        who = "could be used by anybody who reaches the proxy in front of it"
        ways_out.pop()
    else:
        return
    raise ConfigError(
        f"listener {listener.name!r} {who}. Set {', '.join(ways_out)}, "
        "or allow_anonymous = true if it is meant to be open to all"
    )
