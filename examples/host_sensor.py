"""Publish readings of this machine: processor, memory, disk and, where there is a sensor, temperature.

    python examples/host_sensor.py --interval 2
    mqttbroker sub -t 'sensors/#' -v

Each reading is one number as text, retained, so that whoever subscribes later sees the last one at once. A Will tells
when the sensor is gone: sensors/HOST/status is "online" or "offline". Needs the package paho-mqtt; readings come from
psutil where it is installed, else from Linux's /proc and /sys.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

try:
    import psutil
except ImportError:
    psutil = None

__all__ = ["Readings", "main"]

TIMEOUT = 10.0
"""Seconds to wait for an answer of the broker."""


class Readings:
    """What is read, by the last level of its topic. A reading that this machine does not have is left out."""

    def __init__(self) -> None:
        self._processor_times = self._read_processor_times()

    def take(self) -> dict[str, float]:
        """Return cpu, memory and disk in percent and temperature in degrees Celsius."""
        sources: dict[str, Callable[[], float | None]] = {
            "cpu": self.cpu,
            "memory": self.memory,
            "disk": self.disk,
            "temperature": self.temperature,
        }
        values = {name: source() for name, source in sources.items()}
        return {name: round(value, 1) for name, value in values.items() if value is not None}

    def cpu(self) -> float | None:
        """Return how busy all processors were since the last call, in percent."""
        before, now = self._processor_times, self._read_processor_times()
        self._processor_times = now
        if before is None or now is None:
            return None
        busy, total = now[0] - before[0], now[1] - before[1]
        return 100 * busy / total if total > 0 else 0.0

    def memory(self) -> float | None:
        """Return how much memory is in use, in percent."""
        if psutil is not None:
            return float(psutil.virtual_memory().percent)
        try:
            lines = Path("/proc/meminfo").read_text().splitlines()
        except OSError:
            return None
        sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return 100 * (1 - sizes["MemAvailable"] / sizes["MemTotal"])

    def disk(self) -> float:
        """Return how full the disk of the working directory is, in percent."""
        usage = shutil.disk_usage(".")
        return 100 * usage.used / usage.total

    def temperature(self) -> float | None:
        """Return the highest temperature of any sensor, in degrees Celsius."""
        if psutil is not None and hasattr(psutil, "sensors_temperatures"):
            return max(
                (float(each.current) for group in psutil.sensors_temperatures().values() for each in group),
                default=None,
            )
        found: list[float] = []
        for zone in Path("/sys/class/thermal").glob("thermal_zone*/temp"):
            try:
                found.append(int(zone.read_text()) / 1000)
            except (OSError, ValueError):
                continue  # Some sensors are listed and cannot be read.
        return max(found, default=None)

    def _read_processor_times(self) -> tuple[float, float] | None:
        """Return busy and total seconds since the machine started."""
        if psutil is not None:
            times = psutil.cpu_times()
            idle, total = times.idle + getattr(times, "iowait", 0.0), sum(times)
            return total - idle, total
        try:
            ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        except OSError:
            return None
        return float(sum(ticks) - ticks[3] - ticks[4]), float(sum(ticks))


def main(arguments: list[str] | None = None) -> int:
    """Run until ``--count`` rounds are published, or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Publish readings of this machine to an MQTT broker.")
    parser.add_argument("--host", default="127.0.0.1", help="the broker's host (default: %(default)s)")
    parser.add_argument("--port", type=int, default=1883, help="the broker's port (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between rounds (default: %(default)s)")
    parser.add_argument("--count", type=int, default=0, help="rounds to publish, 0 for no end (default: %(default)s)")
    parser.add_argument("--username", help="user name; the password is taken from the variable MQTT_PASSWORD")
    options = parser.parse_args(arguments)

    # A host name may hold no character that means something in a topic.
    prefix = "sensors/" + "".join("_" if c in "/+#" else c for c in socket.gethostname() or "unknown")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.will_set(f"{prefix}/status", "offline", qos=1, retain=True)
    if options.username:
        client.username_pw_set(options.username, os.environ.get("MQTT_PASSWORD"))
    refused: list[str] = []
    answered = threading.Event()

    @client.connect_callback()
    def connected(_client: mqtt.Client, _data: object, _flags: object, reason: object, _properties: object) -> None:
        if getattr(reason, "is_failure", False):
            refused.append(str(reason))
        else:  # Also after a connection that was lost and made again.
            client.publish(f"{prefix}/status", "online", qos=1, retain=True)
        answered.set()

    try:
        client.connect(options.host, options.port)
    except OSError as error:
        print(f"cannot connect to {options.host}:{options.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    client.loop_start()
    try:
        if not answered.wait(TIMEOUT) or refused:
            print(f"the broker refused the connection: {refused or 'no answer'}", file=sys.stderr)
            return 1
        publish_rounds(client, prefix, options.interval, options.count)
    except KeyboardInterrupt:
        return 130
    finally:
        if client.is_connected():
            client.publish(f"{prefix}/status", "offline", qos=1, retain=True).wait_for_publish(TIMEOUT)
        client.disconnect()
        client.loop_stop()
    return 0


def publish_rounds(client: mqtt.Client, prefix: str, interval: float, count: int) -> None:
    """Publish readings every ``interval`` seconds, ``count`` times. While there is no connection, none are taken."""
    readings = Readings()
    done = 0
    while True:
        # Processor time is a difference, so that the first round too needs a moment before it.
        time.sleep(interval if done else min(interval, 0.2))
        if not client.is_connected():
            continue
        sent = [
            client.publish(f"{prefix}/{name}", str(value), qos=1, retain=True)
            for name, value in readings.take().items()
        ]
        # An error here is a connection that was lost meanwhile: paho-mqtt sends the message when it is back.
        with suppress(RuntimeError):
            for message in sent:
                message.wait_for_publish(TIMEOUT)
        done += 1
        if done == count:
            return


if __name__ == "__main__":
    sys.exit(main())
