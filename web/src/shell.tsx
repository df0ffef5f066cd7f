// What is around every page: navigation, who is logged in, and whether the data are fresh.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { freshness } from "./api/freshness";
import { messageOf } from "./api/problems";
import { logout, session } from "./api/session";
import { Button } from "./design/basics";
import { toast } from "./design/toast";
import { clock } from "./format";
import { linkTo, place } from "./router";
import { applyTheme, theme, THEMES } from "./theme";

export interface Entry {
  key: string;
  title: string;
  /** An SVG path of 24 by 24, drawn as lines. */
  icon: string;
}

export function Shell(props: {
  entries: readonly Entry[];
  current: string;
  title: string;
  children: ComponentChildren;
}): JSX.Element {
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const menu = useRef<HTMLButtonElement>(null);
  const where = place.value.path.join("/");
  const before = useRef(where);

  useEffect(() => {
    document.title = `${props.title} · MQTT broker`;
    setOpen(false);
    if (before.current === where) return;
    before.current = where;
    window.scrollTo(0, 0);
    // Screen readers and the keyboard begin at the new page.
    main.current?.focus({ preventScroll: true });
  }, [where, props.title]);

  const close = (): void => {
    if (!open) return;
    setOpen(false);
    menu.current?.focus();
  };

  return (
    <div class="shell">
      <button type="button" class="skip button" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <Brand />
        <button
          ref={menu}
          type="button"
          class="button quiet"
          aria-expanded={open}
          aria-controls="rail"
          onClick={() => setOpen(!open)}
        >
          <Icon path={open ? "M6 6l12 12M18 6L6 18" : "M4 7h16M4 12h16M4 17h16"} />
          Menu
        </button>
      </header>
      <aside
        aria-label="Navigation"
        class={open ? "rail open" : "rail"}
        id="rail"
        onKeyDown={(event) => event.key === "Escape" && close()}
      >
        <Brand />
        <nav aria-label="Pages">
          <ul>
            {props.entries.map((each) => (
              <li key={each.key}>
                <a
                  href={linkTo([each.key])}
                  aria-current={each.key === props.current ? "page" : undefined}
                  onClick={() => setOpen(false)}
                >
                  <Icon path={each.icon} />
                  {each.title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <Foot />
      </aside>
      <main ref={main} tabIndex={-1}>
        <Stale />
        {props.children}
      </main>
    </div>
  );
}

function Brand(): JSX.Element {
  return (
    <a class="brand" href={linkTo(["overview"])}>
      <img src="/icon.svg" alt="" width="24" height="24" />
      MQTT broker
    </a>
  );
}

export function Icon({ path }: { path: string }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

function Foot(): JSX.Element {
  const state = session.value;
  const leave = (): void => {
    logout().catch((error: unknown) => toast(messageOf(error), true));
  };
  return (
    <div class="foot">
      <fieldset class="theme">
        <legend class="unseen">Colours</legend>
        {THEMES.map((each) => (
          <label key={each}>
            <input
              type="radio"
              class="unseen"
              name="theme"
              checked={theme.value === each}
              onChange={() => applyTheme(each)}
            />
            <span>{each.charAt(0).toUpperCase() + each.slice(1)}</span>
          </label>
        ))}
      </fieldset>
      {state.is === "in" && (
        <div class="who">
          <span class="cut">
            {state.me.name} <span class="muted">{state.me.role === "admin" ? "" : state.me.role}</span>
          </span>
          <Button look="quiet" onClick={leave}>
            Log out
          </Button>
        </div>
      )}
    </div>
  );
}

function Stale(): JSX.Element {
  const since = freshness.staleSince.value;
  return (
    <div role="status">
      {since !== null && (
        <p class="notice stale">
          The broker does not answer: what you see is from {clock(since / 1000)}. Trying again …
        </p>
      )}
    </div>
  );
}
