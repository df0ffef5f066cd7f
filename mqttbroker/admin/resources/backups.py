"""Backups of the store: made while the broker runs, listed, downloaded, deleted."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from starlette.responses import StreamingResponse

from mqttbroker.admin.backups import Backup
from mqttbroker.admin.endpoint import PREFIX, Call, Output, endpoint

__all__ = ["backups", "delete_backup", "download_backup", "make_backup"]


class BackupView(Output):
    """A backup that is whole."""

    name: str
    time: Annotated[float, Meta(description="When it was begun, in seconds since the epoch.")]
    size: Annotated[int, Meta(description="Bytes.")]


class BackupRunning(Output):
    """A backup that is being made."""

    name: str
    started: float
    size: Annotated[int, Meta(description="Bytes that are written.")]
    expected: Annotated[int, Meta(description="Bytes that it has at most.")]


class BackupFailed(Output):
    """The last backup, where nothing came of it."""

    name: str
    started: float
    reason: str


class BackupList(Output):
    """Backups, the newest first."""

    items: list[BackupView]
    running: BackupRunning | None
    failed: BackupFailed | None
    possible: Annotated[bool, Meta(description="Whether there is a store on disk.")]
    needed: Annotated[int, Meta(description="Bytes that the next one has at most.")]
    free: Annotated[int, Meta(description="Bytes of the disk that are free for it.")]


@endpoint("GET", f"{PREFIX}/backups", role="viewer", tag="backups", summary="Backups of the store")
async def backups(call: Call[None, None]) -> BackupList:
    kept = call.context.backups
    running = kept.running  # Asked before, so that one which ends meanwhile is here or there, or both.
    state = await kept.state()
    failed = kept.failed
    return BackupList(
        items=[_view(each) for each in state.backups],
        running=None
        if running is None
        else BackupRunning(name=running.name, started=running.started, size=running.size, expected=running.expected),
        failed=None if failed is None else BackupFailed(name=failed.name, started=failed.started, reason=failed.reason),
        possible=kept.directory is not None,
        needed=state.needed,
        free=max(state.free, 0),
    )


@endpoint("POST", f"{PREFIX}/backups", role="admin", tag="backups", summary="Make a backup of the store", status=201)
async def make_backup(call: Call[None, None]) -> BackupRunning:
    """Begins it: the list of backups has it under ``running`` until it is whole. It holds at least what was
    acknowledged before. 409: there is one under way, or nothing on disk; 507: there is no room for it.
    """
    running = await call.context.backups.begin(call.context.broker.now())
    call.changed(after={"name": running.name})
    return BackupRunning(name=running.name, started=running.started, size=0, expected=running.expected)


@endpoint(
    "GET",
    f"{PREFIX}/backups/{{name}}",
    role="admin",
    tag="backups",
    summary="Download a backup",
    media_type="application/octet-stream",
)
async def download_backup(call: Call[None, None]) -> StreamingResponse:
    """One file, for ``mqttbroker store restore``. It holds the messages of all clients."""
    backup, parts = await call.context.backups.read(call.path["name"])
    headers = {"Content-Length": str(backup.size), "Content-Disposition": f'attachment; filename="{backup.name}"'}
    return StreamingResponse(parts, media_type="application/octet-stream", headers=headers)


@endpoint("DELETE", f"{PREFIX}/backups/{{name}}", role="admin", tag="backups", summary="Delete a backup")
async def delete_backup(call: Call[None, None]) -> None:
    deleted = await call.context.backups.delete(call.path["name"])
    call.changed(before=_view(deleted))


def _view(backup: Backup) -> BackupView:
    return BackupView(name=backup.name, time=backup.time, size=backup.size)
