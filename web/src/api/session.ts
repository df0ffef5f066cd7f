// Who is logged in. The cookie is the server's business; the CSRF token is had again from /session after a reload.
import { computed, signal } from "@preact/signals";
import { api } from "./client";
import { live } from "./live";
import type { Me } from "./types";

export type SessionState =
  { is: "unknown" } | { is: "unreachable"; error: unknown } | { is: "out"; because: string } | { is: "in"; me: Me };

export const session = signal<SessionState>({ is: "unknown" });
export const isAdmin = computed(() => session.value.is === "in" && session.value.me.role === "admin");

function enter(me: Me): void {
  api.csrfToken = me.csrf_token;
  session.value = { is: "in", me };
  live.start();
}

function leave(because: string): void {
  api.csrfToken = null;
  live.stop();
  session.value = { is: "out", because };
}

api.onLoggedOut = () => {
  if (session.value.is === "in") leave("Your session has ended. Please log in again.");
};

/** Find out whether there is a session already. */
export async function resume(): Promise<void> {
  try {
    const { me } = await api.get("/api/v1/session", {});
    if (me) enter(me);
    else leave("");
  } catch (error) {
    session.value = { is: "unreachable", error };
  }
}

export async function login(name: string, password: string): Promise<void> {
  enter(await api.post("/api/v1/login", { body: { name, password } }));
}

export async function logout(): Promise<void> {
  await api.post("/api/v1/logout", {});
  leave("");
}
