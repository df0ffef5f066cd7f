// How the broker is set up, and who looks after it. Each section has an address: #/settings/log.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import { isAdmin } from "../api/session";
import { Button, EmptyState } from "../design/basics";
import { ConfirmDialog } from "../design/dialog";
import { toast } from "../design/toast";
import { linkTo } from "../router";
import { Accounts } from "./settings/accounts";
import { Audit } from "./settings/audit";
import { Backups } from "./settings/backups";
import { Certificates } from "./settings/certificates";
import { Configuration } from "./settings/configuration";
import { Limits } from "./settings/limits";
import { Listeners } from "./settings/listeners";
import { Log } from "./settings/log";
import { OwnPassword } from "./settings/password";
import "./settings.css";

interface Section {
  key: string;
  title: string;
  /** Whether it is for admins only. */
  admin?: boolean;
  show: () => JSX.Element;
}

const SECTIONS: readonly Section[] = [
  { key: "listeners", title: "Listeners", show: () => <Listeners /> },
  { key: "limits", title: "Limits", show: () => <Limits /> },
  { key: "certificates", title: "Certificates", show: () => <Certificates /> },
  { key: "configuration", title: "Configuration", admin: true, show: () => <Configuration /> },
  { key: "backup", title: "Backup", show: () => <Backups /> },
  { key: "log", title: "Log", admin: true, show: () => <Log /> },
  { key: "administrators", title: "Administrators", admin: true, show: () => <Accounts /> },
  { key: "password", title: "Own password", show: () => <OwnPassword /> },
  { key: "audit", title: "Audit log", admin: true, show: () => <Audit /> },
];

export function SettingsPage({ section = "listeners" }: { section?: string | undefined }): JSX.Element {
  const known = SECTIONS.find((each) => each.key === section);
  const allowed = SECTIONS.filter((each) => isAdmin.value || !each.admin);
  return (
    <div class="page">
      <header class="head">
        <h1>Settings</h1>
        {isAdmin.value && <Reload />}
      </header>
      <div class="sections">
        <Sections sections={allowed} current={section} />
        <div class="section">
          {!known ? (
            <EmptyState title="There is no such section" />
          ) : allowed.includes(known) ? (
            known.show()
          ) : (
            <EmptyState title={`${known.title} is for admins`}>
              <p>You are logged in as a viewer, who sees what clients do and changes nothing.</p>
            </EmptyState>
          )}
        </div>
      </div>
    </div>
  );
}

function Sections({ sections, current }: { sections: readonly Section[]; current: string }): JSX.Element {
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const link = list.current?.querySelector<HTMLElement>("[aria-current]");
    // On a telephone they are one line that scrolls; the page stays where it is.
    if (link && list.current) list.current.scrollLeft = link.offsetLeft - list.current.clientWidth / 2;
  }, [current]);
  return (
    <nav aria-label="Settings">
      <ul ref={list}>
        {sections.map((each) => (
          <li key={each.key}>
            <a href={linkTo(["settings", each.key])} aria-current={each.key === current ? "page" : undefined}>
              {each.title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Reload(): JSX.Element {
  const [asking, setAsking] = useState(false);
  return (
    <div class="push">
      <Button onClick={() => setAsking(true)}>Reload files</Button>
      {asking && (
        <ConfirmDialog
          title="Read files again?"
          action="Reload"
          look="primary"
          onConfirm={async () => {
            await api.post("/api/v1/reload", {});
            toast("Users, rules, certificates and accounts were read again.");
          }}
          onClose={() => setAsking(false)}
        >
          <p>
            The broker reads users, rules, certificates and the accounts of this console from their files, as it does on
            SIGHUP. Clients stay connected, and are held to the new rules. A file that is wrong changes nothing.
          </p>
          <p class="muted">The configuration itself is read when the broker starts, and only then.</p>
        </ConfirmDialog>
      )}
    </div>
  );
}
