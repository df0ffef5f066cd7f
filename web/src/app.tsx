// Which page is shown. A new page is a line in PAGES, and its file in pages/.
import type { JSX } from "preact";
import { resume, session } from "./api/session";
import { EmptyState, Failure, Spinner } from "./design/basics";
import { Toasts } from "./design/toast";
import { AccessPage } from "./pages/access";
import { ClientPage } from "./pages/client";
import { ClientsPage } from "./pages/clients";
import { LivePage } from "./pages/live";
import { LoginPage } from "./pages/login";
import { OverviewPage } from "./pages/overview";
import { SessionsPage } from "./pages/sessions";
import { SettingsPage } from "./pages/settings";
import { SubscriptionsPage } from "./pages/subscriptions";
import { TopicsPage } from "./pages/topics";
import { TracePage } from "./pages/trace";
import { linkTo, place } from "./router";
import { type Entry, Shell } from "./shell";

interface Page extends Entry {
  /** The page, for what comes after its own segment in the path. */
  show: (rest: readonly string[]) => JSX.Element;
}

const PAGES: readonly Page[] = [
  {
    key: "overview",
    title: "Overview",
    icon: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
    show: () => <OverviewPage />,
  },
  {
    key: "clients",
    title: "Clients",
    icon: "M4 5h16v10H4zM9 19h6M12 15v4",
    show: ([id]) => (id === undefined ? <ClientsPage /> : <ClientPage key={id} id={id} />),
  },
  {
    key: "topics",
    title: "Topics",
    icon: "M5 5h5M5 5v14h5M5 12h5M13 5h6M13 12h6M13 19h6",
    show: () => <TopicsPage />,
  },
  {
    key: "subscriptions",
    title: "Subscriptions",
    icon: "M4 7h10M4 12h7M4 17h10M16 8l4 4-4 4",
    show: () => <SubscriptionsPage />,
  },
  {
    key: "sessions",
    title: "Sessions",
    icon: "M4 6h16M4 11h16M4 16h9M17 14v6M14.5 17.5L17 20l2.5-2.5",
    show: ([id]) => (id === undefined ? <SessionsPage /> : <ClientPage key={id} id={id} from="sessions" />),
  },
  {
    key: "live",
    title: "Live client",
    icon: "M4 12a8 8 0 0 1 16 0M7.5 12a4.5 4.5 0 0 1 9 0M12 12v.01M12 16v4M9 20h6",
    show: () => <LivePage />,
  },
  {
    key: "trace",
    title: "Trace",
    icon: "M3 12h4l3-8 4 16 3-8h4",
    show: () => <TracePage />,
  },
  {
    key: "access",
    title: "Access",
    icon: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 12l2 2 4-4",
    show: ([part]) => <AccessPage part={part} />,
  },
  {
    key: "settings",
    title: "Settings",
    icon: "M4 7h9M17 7h3M15 5v4M4 12h3M11 12h9M9 10v4M4 17h9M17 17h3M15 15v4",
    show: ([section]) => <SettingsPage section={section} />,
  },
];

export function App(): JSX.Element {
  const state = session.value;
  return (
    <>
      {state.is === "in" ? <Inside /> : <Outside />}
      <Toasts />
    </>
  );
}

function Inside(): JSX.Element {
  const [first = "overview", ...rest] = place.value.path;
  const page = PAGES.find((each) => each.key === first);
  return (
    <Shell entries={PAGES} current={first} title={page?.title ?? "Not found"}>
      {page?.show(rest) ?? (
        <EmptyState title="There is no such page">
          <a class="button" href={linkTo(["overview"])}>
            To the overview
          </a>
        </EmptyState>
      )}
    </Shell>
  );
}

function Outside(): JSX.Element {
  const state = session.value;
  if (state.is === "out") return <LoginPage because={state.because} />;
  const retry = (): void => void resume();
  return (
    <main class="outside">
      {state.is === "unreachable" ? (
        <Failure error={state.error} retry={retry} />
      ) : (
        <Spinner what="the console" retry={retry} />
      )}
    </main>
  );
}
