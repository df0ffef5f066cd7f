// Rules that somebody is writing. They outlive a look at another page, and not the tab of the browser.
import { signal } from "@preact/signals";

export interface Draft {
  text: string;
  /** The version that it was made from. */
  version: string;
}

/** By set. */
const drafts = signal<Readonly<Record<string, Draft>>>({});

export function draftOf(set: string): Draft | null {
  return drafts.value[set] ?? null;
}

export function keepDraft(set: string, draft: Draft | null): void {
  const rest = { ...drafts.value };
  if (draft) rest[set] = draft;
  else delete rest[set];
  drafts.value = rest;
}
