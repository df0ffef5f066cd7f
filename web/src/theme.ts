// Light, dark, or as the system says; kept in this browser.
import { signal } from "@preact/signals";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "mqttbroker.theme";

function stored(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return THEMES.find((each) => each === found) ?? "auto";
  } catch {
    return "auto";
  }
}

export const theme = signal<Theme>("auto");

export function applyTheme(next: Theme = stored()): void {
  theme.value = next;
  if (next === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage it lasts as long as the page.
  }
}
