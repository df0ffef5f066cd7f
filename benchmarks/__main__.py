"""``python -m benchmarks [--seconds S] [--rounds N] [NUMBER ...]``: this broker beside Mosquitto, where that is
installed.

Brokers take turns, round by round, so that what the machine does meanwhile hits both. What counts is the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from benchmarks.load import SCENARIOS, Result, Scenario, run

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
START_TIMEOUT = 10.0


@contextmanager
def broker(name: str) -> Iterator[tuple[psutil.Process, int]]:
    """A running broker: its process and port."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        if name == "mosquitto":
            settings = Path(folder, "mosquitto.conf")
            settings.write_text(
                f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n"
                "max_inflight_messages 1000\n"
            )
            command = [str(MOSQUITTO), "-c", str(settings)]
        else:
            command = [sys.executable, "-m", "mqttbroker", "serve", "--port", str(port), "--log-level", "warning"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until_it_listens(process, port)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()
            process.wait()


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, timeout: float = START_TIMEOUT) -> None:
    """Wait until something listens on the port. Raises ``RuntimeError`` if nothing does in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}")


def measure(scenario: Scenario, name: str, seconds: float) -> Result:
    """One round of one scenario against one broker."""
    with broker(name) as (process, port):

        def cpu() -> float:
            times = process.cpu_times()
            return float(times.user + times.system)

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(run(scenario, port, seconds, cpu))


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def main() -> None:
    """Print a row for each scenario: messages a second and CPU microseconds a message, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("numbers", type=int, nargs="*", metavar="NUMBER", help="scenarios, from 1; all by default")
    options = parser.parse_args()
    names = ["mqttbroker", "mosquitto"] if MOSQUITTO else ["mqttbroker"]
    print(f"{'scenario':30}" + "".join(f"{name:>26}" for name in names) + f"{'CPU ratio':>22}")
    for number in options.numbers or range(1, len(SCENARIOS) + 1):
        scenario = SCENARIOS[number - 1]
        rounds = [[measure(scenario, name, options.seconds) for name in names] for _ in range(options.rounds)]
        cells = []
        for results in zip(*rounds, strict=True):
            rate = median(each.messages / each.seconds for each in results)
            cells.append(f"{rate:12,.0f}/s {median(each.microseconds for each in results):8.2f} µs")
        ratios = sorted(ours.microseconds / theirs[0].microseconds for ours, *theirs in rounds if theirs)
        spread = f"{median(ratios):8.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})" if ratios else ""
        print(f"{scenario.name:30}" + "".join(f"{cell:>26}" for cell in cells) + f"{spread:>22}", flush=True)


if __name__ == "__main__":
    main()
