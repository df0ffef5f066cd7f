import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../../api/client";
import { addressOf } from "../../api/client";
import { messageOf } from "../../api/problems";
import { useResource } from "../../api/resource";
import { isAdmin } from "../../api/session";
import type { Backup, BackupList } from "../../api/types";
import { Button, Card, EmptyState, Failure, Spinner } from "../../design/basics";
import { CopyLine } from "../../design/copy";
import { ConfirmDialog } from "../../design/dialog";
import { toast } from "../../design/toast";
import { bytes, clock } from "../../format";

const EVERY = 15_000;
const WHILE_RUNNING = 500;

export function Backups(): JSX.Element {
  const [running, setRunning] = useState(false);
  const { data, error, refresh } = useResource(
    "backups",
    (signal) => api.get("/api/v1/backups", { signal }),
    running ? WHILE_RUNNING : EVERY,
  );
  const before = useRef<BackupList["running"]>(null);
  useEffect(() => {
    if (!data) return;
    setRunning(data.running !== null);
    const made = before.current;
    if (made && !data.running && data.failed?.name !== made.name) toast(`The backup ${made.name} is complete.`);
    before.current = data.running;
  }, [data]);
  if (!data) return error ? <Failure error={error} retry={refresh} /> : <Spinner what="backups" retry={refresh} />;
  if (!data.possible) {
    return (
      <div class="card">
        <EmptyState title="There is nothing to back up">
          <p>
            This broker keeps everything in memory. With <span class="mono">data_dir</span> in the configuration it
            keeps sessions, queues and retained messages on disk.
          </p>
        </EmptyState>
      </div>
    );
  }
  return (
    <>
      <Card title="Backups of the store" aside={isAdmin.value && <Make list={data} made={refresh} />}>
        {data.running && <Progress running={data.running} />}
        {data.failed && !data.running && (
          <p class="notice bad flush">
            The backup of {clock(data.failed.started)} came to nothing: {data.failed.reason}
          </p>
        )}
        {data.items.length === 0 && !data.running ? (
          <EmptyState title="There is no backup yet">
            <p>
              A backup is a copy of sessions, queues and retained messages as they are at one moment. The broker goes on
              meanwhile.
            </p>
          </EmptyState>
        ) : (
          <ul class="rows">
            {data.items.map((each) => (
              <Row key={each.name} backup={each} changed={refresh} />
            ))}
          </ul>
        )}
      </Card>
      <p class="muted hint number">
        The next one takes at most {bytes(data.needed)}; the disk has {bytes(data.free)} to spare. A backup has no
        users, rules, certificates and accounts: these are files, to be copied by themselves.
      </p>
      <Card title="To restore one">
        <div class="body steps">
          <p>Stop the broker, put the backup in the place of its store, and start it again:</p>
          <CopyLine
            text={`mqttbroker store restore --force ${data.items[0]?.name ?? "BACKUP.mdb"} DATA_DIR`}
            what="command to restore"
          />
          <p class="muted">
            The backup is verified first. The store that was there is kept beside it, as{" "}
            <span class="mono">data.mdb.before-restore</span>.
          </p>
        </div>
      </Card>
    </>
  );
}

function Make({ list, made }: { list: BackupList; made: () => void }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const make = async (): Promise<void> => {
    setBusy(true);
    try {
      await api.post("/api/v1/backups", {});
      made();
    } catch (error) {
      toast(messageOf(error), true);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button look="primary" disabled={busy || list.running !== null} onClick={() => void make()}>
      Make a backup
    </Button>
  );
}

function Progress({ running }: { running: NonNullable<BackupList["running"]> }): JSX.Element {
  const part = running.expected ? Math.min(1, running.size / running.expected) : 0;
  return (
    <div class="body" role="status">
      <p class="number">
        Making a backup … {bytes(running.size)} of {bytes(running.expected)} at most
      </p>
      <div class="bar good" aria-hidden="true">
        <span style={{ width: `${part * 100}%` }} />
      </div>
    </div>
  );
}

function Row({ backup, changed }: { backup: Backup; changed: () => void }): JSX.Element {
  const [asking, setAsking] = useState(false);
  return (
    <li class="row">
      <div>
        <p class="mono name">{backup.name}</p>
        <p class="muted number">
          {clock(backup.time)} · {bytes(backup.size)}
        </p>
      </div>
      {isAdmin.value && (
        <div class="actions">
          <a
            class="button"
            href={addressOf("/api/v1/backups/{name}", { path: { name: backup.name } })}
            download={backup.name}
            aria-label={`Download ${backup.name}`}
          >
            Download
          </a>
          <button
            type="button"
            class="button danger"
            aria-label={`Delete ${backup.name}`}
            onClick={() => setAsking(true)}
          >
            Delete
          </button>
        </div>
      )}
      {asking && (
        <ConfirmDialog
          title="Delete this backup?"
          action="Delete"
          onConfirm={async () => {
            await api.delete("/api/v1/backups/{name}", { path: { name: backup.name } });
            toast(`The backup ${backup.name} was deleted.`);
            changed();
          }}
          onClose={() => setAsking(false)}
        >
          <p>
            <span class="mono">{backup.name}</span> of {clock(backup.time)} is gone for good.
          </p>
        </ConfirmDialog>
      )}
    </li>
  );
}
