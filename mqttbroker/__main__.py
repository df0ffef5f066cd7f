"""``python -m mqttbroker`` is ``mqttbroker``."""

from __future__ import annotations

from mqttbroker.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
