"""A change of a file is noticed, however it is made, and none is imagined."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mqttbroker.listeners.watched_file import MOMENT, WatchedFile


class Clock:
    """The time, and what is added to it."""

    def __init__(self) -> None:
        self.ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with something in it."""
    file = tmp_path / "file"
    file.write_bytes(b"one")
    return file


def read(path: Path, clock: Clock | None = None) -> WatchedFile:
    """A file that has been read."""
    file = WatchedFile(path, clock or Clock())
    file.read()
    return file


def test_nothing_happens(path: Path) -> None:
    file = WatchedFile(path)
    assert file.read() == b"one"
    assert not file.changed()
    assert not file.changed()


def test_other_content_of_another_size(path: Path) -> None:
    file = read(path)
    path.write_bytes(b"three")
    assert file.changed()
    assert file.read() == b"three"
    assert not file.changed()


def test_another_file_in_its_place(path: Path) -> None:
    file = read(path)
    status = path.stat()
    beside = path.with_name("beside")
    beside.write_bytes(b"two")
    os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
    beside.replace(path)
    assert file.changed()


def test_a_link_that_points_elsewhere(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"two")
    link = tmp_path / "link"
    link.symlink_to(path)
    file = read(link)
    assert not file.changed()
    new = tmp_path / "new"
    new.symlink_to(other)
    new.replace(link)
    assert file.changed()
    assert file.read() == b"two"


def test_a_folder_of_a_link_that_points_elsewhere(path: Path, tmp_path: Path) -> None:
    """This is how Kubernetes changes a secret: ``file`` -> ``..data/file``, and ``..data`` is swapped."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(name.encode())
    (tmp_path / "..data").symlink_to("first")
    link = tmp_path / "link"
    link.symlink_to("..data/file")
    file = read(link)
    (tmp_path / "..new").symlink_to("second")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert file.changed()
    assert file.read() == b"second"


def test_a_file_that_goes_and_comes_back(path: Path) -> None:
    file = read(path)
    path.unlink()
    assert file.changed()
    with pytest.raises(FileNotFoundError):
        file.read()
    assert not file.changed(), "it is still not there"
    path.write_bytes(b"one")
    assert file.changed()


def test_a_moment_later_the_time_may_be_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = read(path)
    status = path.stat()
    path.write_bytes(b"two")
    # As a file system with coarse times shows it.
    monkeypatch.setattr("mqttbroker.listeners.watched_file.os.stat", lambda _: status)
    assert file.changed()


def test_a_moment_passes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    file = read(path, clock)
    clock.ahead = MOMENT + 1
    assert not file.changed()

    def never(_: Path) -> bytes:
        raise AssertionError("a file at rest is not read")

    monkeypatch.setattr(Path, "read_bytes", never)
    assert not file.changed()


def test_a_file_that_cannot_be_read_any_more_although_it_looks_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = read(path)

    def refuse(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert file.changed()
    with pytest.raises(PermissionError):
        file.read()
    assert not file.changed()
