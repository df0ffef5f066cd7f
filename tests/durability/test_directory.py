"""D9, and who may read the files: the data directory is missing, taken, not ours, or on a file system that cannot be
written to. There is one clear message, and no store is touched.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.durability.process import ROOT, BrokerProcess, DidNotStart
from tests.durability.support import as_root, keep, kept
from tests.support.tools import missing, require_tool

NOBODY = 65_534


async def refused(store: Path, environment: Mapping[str, str] | None = None) -> str:
    """Start a broker that must refuse; the one line that it says."""
    broker = BrokerProcess(store, environment=environment, point="none" if environment else "")
    with pytest.raises(DidNotStart) as caught:
        async with broker:
            pytest.fail("it has started")
    assert caught.value.returncode == 1
    said = caught.value.lines
    lines = [each for each in said if each.startswith("mqttbroker: ")]
    # Who measures coverage may have something to say as well, but no traceback goes through the broker.
    assert len(lines) == 1 and not any(f'File "{ROOT / "mqttbroker"}' in each for each in said), said
    return lines[0]


async def test_d9_a_second_broker_on_the_same_directory(store: Path) -> None:
    async with BrokerProcess(store) as broker:
        assert "another broker uses it" in await refused(store)
        # The first has not noticed.
        await keep(broker, "keeper", "a")
        await broker.kill()
    async with BrokerProcess(store) as broker:
        await kept(broker, "keeper", 0)


async def test_d9_a_file_where_the_directory_should_be(store: Path) -> None:
    store.write_text("mine")
    assert str(store) in await refused(store)
    assert store.read_text() == "mine"


@pytest.fixture
def nobody() -> dict[str, str]:
    """The environment of a broker that is nobody's; see ``runner.py``."""
    if not as_root():
        pytest.skip("only root may become somebody else")
    return {"TEST_BECOME": str(NOBODY)}


async def test_d9_a_directory_of_somebody_else(store: Path, nobody: dict[str, str]) -> None:
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a")
    message = await refused(store, environment=nobody)
    assert str(store) in message
    assert "ermission" in message or "ermitted" in message


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A store on a file system that has turned read-only."""
    if not as_root():
        pytest.skip("only root may mount a file system")
    mount = require_tool("mount")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "tmpfs", place], timeout=10, check=False).returncode:
        missing("mounting a tmpfs is not possible here")
    yield place
    subprocess.run(["umount", "--lazy", place], timeout=10, check=True)


async def test_d9_a_file_system_that_is_read_only(read_only: Path) -> None:
    store = read_only / "store"
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a")
        await broker.stop()
    subprocess.run(["mount", "-o", "remount,ro", read_only], timeout=10, check=True)
    message = await refused(store)
    assert str(store) in message
    assert "ead-only" in message
    subprocess.run(["mount", "-o", "remount,rw", read_only], timeout=10, check=True)
    async with BrokerProcess(store) as broker:
        await kept(broker, "keeper", 0)


@pytest.mark.parametrize("umask", (0, 0o022, 0o077, 0o777), ids=oct)
async def test_only_the_owner_may_read_the_files(store: Path, umask: int) -> None:
    async with BrokerProcess(store, preexec=lambda: os.umask(umask)) as broker:
        await keep(broker, "keeper", "a")
        assert stat.S_IMODE(store.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.iterdir()}
    assert modes == dict.fromkeys(("broker.lock", "data.mdb", "lock.mdb"), 0o600)


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of nobody's own, where nobody can get to it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        os.chown(place, NOBODY, NOBODY)
        yield place


async def test_a_strict_umask_hinders_nobody(nobody: dict[str, str], home: Path) -> None:
    """Root may open any file; others may not open one whose mode the umask has taken away."""
    for _ in range(2):
        async with BrokerProcess(
            home / "store", environment=nobody, point="none", preexec=lambda: os.umask(0o777)
        ) as broker:
            assert await broker.stop() == 0
    assert (home / "store").stat().st_uid == NOBODY
