import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { messageOf } from "../../api/problems";
import { session } from "../../api/session";
import { Button, Card } from "../../design/basics";
import { Field } from "../../design/fields";
import { toast } from "../../design/toast";

export const SHORTEST = 10;
const EMPTY = { current: "", password: "", again: "" };

/** What is wrong with a new password, or nothing. */
export function wrongWith(password: string): string {
  return password.length < SHORTEST ? `Please take at least ${SHORTEST} characters.` : "";
}

export function OwnPassword(): JSX.Element {
  const [given, setGiven] = useState(EMPTY);
  const [wrong, setWrong] = useState<Partial<typeof EMPTY>>({});
  const [busy, setBusy] = useState(false);
  const set = (next: Partial<typeof EMPTY>): void => {
    setGiven({ ...given, ...next });
    setWrong({});
  };
  const change = async (event: Event): Promise<void> => {
    event.preventDefault();
    const short = wrongWith(given.password);
    if (short) return setWrong({ password: short });
    if (given.again !== given.password) return setWrong({ again: "This is not the same." });
    setBusy(true);
    try {
      await api.put("/api/v1/me/password", { body: { current: given.current, password: given.password } });
      setGiven(EMPTY);
      toast("Your password was changed. Other sessions of yours have ended.");
    } catch (error) {
      setWrong({ current: messageOf(error) });
    } finally {
      setBusy(false);
    }
  };
  const state = session.value;
  return (
    <Card title="Own password">
      <form class="body form" onSubmit={(event) => void change(event)}>
        {state.is === "in" && (
          <p class="muted">
            Of the account <span class="mono">{state.me.name}</span>, a
            {state.me.role === "admin" ? "n admin" : " viewer"}.
          </p>
        )}
        <Field
          label="Current password"
          type="password"
          autocomplete="current-password"
          required
          value={given.current}
          {...(wrong.current ? { wrong: wrong.current } : {})}
          onInput={(current) => set({ current })}
        />
        <Field
          label="New password"
          type="password"
          autocomplete="new-password"
          required
          value={given.password}
          {...(wrong.password ? { wrong: wrong.password } : {})}
          onInput={(password) => set({ password })}
        />
        <Field
          label="The new one again"
          type="password"
          autocomplete="new-password"
          required
          value={given.again}
          {...(wrong.again ? { wrong: wrong.again } : {})}
          onInput={(again) => set({ again })}
        />
        <div>
          <Button type="submit" look="primary" disabled={busy}>
            Change the password
          </Button>
        </div>
      </form>
    </Card>
  );
}
