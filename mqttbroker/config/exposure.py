"""A broker that strangers can reach must know its users, unless its owner says in so many words that it need not.

The check is apart from loading, because a configuration that is open to all is well-formed; it is only refused
where a broker would be started with it.
"""

from __future__ import annotations

from mqttbroker.config.loading import ConfigError
from mqttbroker.config.schema import Config

__all__ = ["check_exposure"]


def check_exposure(config: Config) -> None:
    """Raise :class:`ConfigError` where the listeners and the security settings do not go together.

    That is: a listener that is reachable from other machines while nobody has to give a password and
    ``allow_anonymous`` does not say that this is meant; or a broker that would let nobody in.
    """
    for listener in config.listeners:
        security = listener.security.over(config.security)
        if security.password_file is not None or security.allow_anonymous or listener.username_from is not None:
            continue
        if security.allow_anonymous is False:
            raise ConfigError(
                "nobody could connect: security.allow_anonymous is false and there is no security.password_file "
                "(make one with: mqttbroker passwd FILE USER)"
            )
        by_certificate = listener.tls is not None and listener.tls.client_certificates == "required"
        if not listener.local and not by_certificate:
            raise ConfigError(
                f"listener {listener.name!r} on {listener.host} could be used by anybody who reaches this machine. "
                "Set security.password_file (make one with: mqttbroker passwd FILE USER), "
                'or host = "127.0.0.1" for this machine only, '
                "or security.allow_anonymous = true if it is meant to be open to all"
            )
